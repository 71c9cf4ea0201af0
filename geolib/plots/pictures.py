"""Photos with their places and answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from geolib.plots.ground import _RC, _WORLD, COAST, INK, LAND, PREDICTION, QUIET, SEA, TRUTH, _add_ground, _project
from geolib.plots.maps import _draw_arc
from geolib.sphere import check_lat_lon, haversine_km

if TYPE_CHECKING:
    from geolib.datasets.dataset import Dataset


def print_credits(dataset: Dataset, photos: Iterable[str]) -> None:
    """Print whom to name under a figure that shows these photos of a dataset, as CC BY and its kin ask for.

    Nothing is printed for the postcards, which geolib drew, nor for photos without a known author and licence.
    """
    shown = dataset.photos.loc[list(photos)]
    known = shown[(shown["author"] != "") | (shown["licence"] != "")]
    if dataset.name != "postcards" and len(known):
        print(dataset.credits(known.index))


@matplotlib.rc_context(_RC)
def plot_pictures(images: Sequence[Any], titles: Sequence[str] = (), *, columns: int = 6) -> tuple[Figure, Any]:
    """Pictures side by side, each with its title below.

    images: anything `imshow` takes. titles: one a picture, of one line or more, or none. Raises `ValueError` for no
    picture, and for titles that are not as many.
    """
    if not len(images) or len(titles) not in (0, len(images)):
        raise ValueError(
            f"{len(images)} pictures and {len(titles)} titles: expected at least one, a title each or none"
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = 1 + max((title.count("\n") for title in titles), default=-1)
    fig = Figure(figsize=(10, rows * (10 / columns + 0.28 * lines)))
    axes = fig.subplots(rows, columns, squeeze=False)
    foot = 0.1 * lines / rows if lines else 0.003
    fig.subplots_adjust(0.003, foot, 0.997, 0.997, wspace=0.04, hspace=0.16 * max(lines, 1))
    for ax in axes.flat:
        ax.set_axis_off()
    for number, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        ax.imshow(image, interpolation="antialiased")
        if len(titles):
            ax.text(0.5, -0.03, titles[number], transform=ax.transAxes, ha="center", va="top", fontsize=10, color=INK)
    words = "; ".join(title.replace("\n", ", ") for title in titles)
    fig.set_label(f"{len(images)} pictures" + (f": {words}." if words else "."))
    return fig, axes


@matplotlib.rc_context(_RC)
def plot_answers(
    images: Sequence[Any],
    true: tuple[npt.ArrayLike, npt.ArrayLike],
    predicted: tuple[npt.ArrayLike, npt.ArrayLike],
) -> tuple[Figure, Any]:
    """Several photos around a world map: a star where each was taken, a disc where it was placed, an arc between.

    images: an even number of pictures; the first half stands above the map, the second half below it. true,
    predicted: (lat, lon), degrees (n,). Raises `ValueError` for bad coordinates and numbers that do not match.
    """
    true_lat, true_lon = check_lat_lon(*true)
    lat, lon = check_lat_lon(*predicted)
    if len(images) % 2 or not len(images) == true_lat.size == lat.size:
        raise ValueError(
            f"{len(images)} pictures, {true_lat.size} true and {lat.size} predicted places: expected as many, even"
        )
    half = len(images) // 2
    side = 0.96 / half - 0.012
    fig = Figure(figsize=(10, 5.1 + 2 * (10 * side + 0.26)))
    high, label = np.array([10 * side, 0.26]) / fig.get_figheight()
    band = high + label
    ax: Any = fig.add_axes((0.02, band + 0.02, 0.96, 1 - 2 * band - 0.04), projection=_WORLD)
    ax.set_global()
    ax.set_facecolor(SEA)
    ax.spines["geo"].set_edgecolor(COAST)
    _add_ground(ax, "land", None, facecolor=LAND, linewidth=0, zorder=1)
    _add_ground(ax, "coast", None, edgecolor=COAST, linewidth=0.4, zorder=2)
    km = haversine_km(true_lat, true_lon, lat, lon)
    x, y = _project(true_lat, true_lon, _WORLD)
    order = np.argsort(x)
    rows = [order[np.argsort(-y[order])[:half]], order[np.argsort(-y[order])[half:]]]
    for upper, row in zip((True, False), rows, strict=True):
        for place, i in enumerate(row[np.argsort(x[row])]):
            left = 0.02 + place * (side + 0.012)
            inset = fig.add_axes((left, 1 - high - 0.005 if upper else label, side, high))
            inset.imshow(images[i], aspect="auto", interpolation="antialiased")
            inset.set_axis_off()
            inset.text(
                0.5,
                -0.02,
                f"{km[i]:,.0f} km off",
                transform=inset.transAxes,
                ha="center",
                va="top",
                fontsize=9,
                color=INK,
            )
            _draw_arc(ax, (true_lat[i], true_lon[i]), (lat[i], lon[i]), color=INK, linewidth=1.2, alpha=0.8)
            end = ax.transData.transform((x[i], y[i]))
            at = fig.transFigure.inverted().transform(end)
            foot = (left + side / 2, 1 - band - 0.008 if upper else band + 0.006)
            fig.add_artist(Line2D([foot[0], at[0]], [foot[1], at[1]], color=QUIET, linewidth=0.7, alpha=0.7))
    ax.scatter(*_project(lat, lon, _WORLD), zorder=4, **PREDICTION | {"s": 95})
    ax.scatter(x, y, zorder=5, **TRUTH | {"s": 230, "linewidth": 1.0})
    fig.set_label(f"{len(images)} pictures around a world map; their median error is {np.median(km):,.0f} km.")
    return fig, ax
