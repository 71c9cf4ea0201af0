"""Photos side by side, with their titles, and around a map with their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from geolib.plots.ground import INK, PREDICTION, QUIET, RC, TRUTH, ground_axes, project
from geolib.plots.marks import draw_arc
from geolib.sphere import check_lat_lon, haversine_km

if TYPE_CHECKING:
    from geolib.datasets.dataset import Dataset


def print_credits(dataset: Dataset, photos: Iterable[str]) -> None:
    """Print the authors and licences of photos that a figure shows, as Creative Commons licences ask for.

    Prints nothing for the postcards, which the project drew, and for photos without a known author and licence.
    """
    shown = dataset.photos.loc[list(photos)]
    known = shown[(shown["author"] != "") | (shown["licence"] != "")]
    if dataset.name != "postcards" and len(known):
        print(dataset.credits(known.index))


def _show_picture(ax: Any, image: Any, title: str = "", size: int = 10, **how: Any) -> None:
    """A picture without axes, its title below."""
    ax.imshow(image, interpolation="antialiased", **how)
    ax.set_axis_off()
    if title:
        ax.text(0.5, -0.03, title, transform=ax.transAxes, ha="center", va="top", fontsize=size, color=INK)


@matplotlib.rc_context(RC)
def plot_pictures(images: Sequence[Any], titles: Sequence[str] = (), *, columns: int = 6) -> tuple[Figure, Any]:
    r"""Show pictures side by side, each with its title below.

    Parameters
    ----------
    images
        Anything that `imshow` takes; none raises `ValueError`.
    titles : one per picture, of one line or more, or none

    Examples
    --------
    >>> fig, axes = plot_pictures([np.zeros((8, 8))] * 2, ["Lyon\n12 km", "Nice\n8 km"])
    >>> fig.get_label()
    '2 pictures: Lyon, 12 km; Nice, 8 km.'
    """
    if not len(images) or len(titles) not in (0, len(images)):
        raise ValueError(
            f"{len(images)} pictures, {len(titles)} titles: expected at least one, and a title each or none"
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    lines = 1 + max((title.count("\n") for title in titles), default=-1)
    fig = Figure(figsize=(10, rows * (10 / columns + 0.28 * lines)))
    axes = fig.subplots(rows, columns, squeeze=False)
    foot = 0.1 * lines / rows if lines else 0.003
    fig.subplots_adjust(0.003, foot, 0.997, 0.997, wspace=0.04, hspace=0.16 * max(lines, 1))
    for number, ax in enumerate(axes.flat):
        if number < len(images):
            _show_picture(ax, images[number], titles[number] if len(titles) else "")
        ax.set_axis_off()
    words = "; ".join(title.replace("\n", ", ") for title in titles)
    fig.set_label(f"{len(images)} pictures" + (f": {words}." if words else "."))
    return fig, axes


@matplotlib.rc_context(RC)
def plot_answers(
    images: Sequence[Any],
    true: tuple[npt.ArrayLike, npt.ArrayLike],
    predicted: tuple[npt.ArrayLike, npt.ArrayLike],
) -> tuple[Figure, Any]:
    """Show photos around a world map: a star where each was taken, a disc at the prediction, an arc between.

    Parameters
    ----------
    images
        An even number of pictures; half of them stand above the map, half below it.
    true, predicted : (lat, lon), each (n,) degrees
        Bad coordinates and other numbers raise `ValueError`.
    """
    true_lat, true_lon = check_lat_lon(*true)
    lat, lon = check_lat_lon(*predicted)
    n = len(images)
    if n % 2 or not n == true_lat.size == lat.size:
        numbers = f"{n} pictures, {true_lat.size} true and {lat.size} predicted places"
        raise ValueError(f"{numbers}: expected as many of each, an even number")
    side = 1.92 / n - 0.012
    fig = Figure(figsize=(10, 5.1 + 2 * (10 * side + 0.26)))
    high, label = np.array([10 * side, 0.26]) / fig.get_figheight()
    band = high + label
    ax = ground_axes(fig, (0.02, band + 0.02, 0.96, 1 - 2 * band - 0.04))
    km = haversine_km(true_lat, true_lon, lat, lon)
    stars = project(true_lat, true_lon, ax)
    northmost = np.argsort(-stars[:, 1], kind="stable")
    for upper, row in ((True, northmost[: n // 2]), (False, northmost[n // 2 :])):
        for place, i in enumerate(row[np.argsort(stars[row, 0])]):
            left = 0.02 + place * (side + 0.012)
            photo = fig.add_axes((left, 1 - high - 0.005 if upper else label, side, high))
            _show_picture(photo, images[i], f"{km[i]:,.0f} km off", size=9, aspect="auto")
            draw_arc(ax, (true_lat[i], true_lon[i]), (lat[i], lon[i]), color=INK, linewidth=1.2, alpha=0.8)
            x, y = fig.transFigure.inverted().transform(ax.transData.transform(stars[i]))
            foot = (left + side / 2, 1 - band - 0.008 if upper else band + 0.006)
            fig.add_artist(Line2D([foot[0], x], [foot[1], y], color=QUIET, linewidth=0.7, alpha=0.7))
    ax.scatter(*project(lat, lon, ax).T, zorder=4, **PREDICTION | {"s": 95})
    ax.scatter(*stars.T, zorder=5, **TRUTH | {"s": 230, "linewidth": 1.0})
    fig.set_label(f"{n} pictures around a world map; their median error is {np.median(km):,.0f} km.")
    return fig, ax
