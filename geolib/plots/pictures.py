"""Photos side by side, with their titles, and around a map with their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from geolib.evaluate import errors_km
from geolib.plots.ground import INK, PREDICTION, QUIET, RC, TRUTH, ground_axes, project
from geolib.plots.marks import draw_arc
from geolib.sphere import check_lat_lon

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


def _show_picture(ax: Any, image: Any, title: str | None, size: int = 10, **how: Any) -> None:
    """A picture without axes, its title below; nothing for None."""
    ax.set_axis_off()
    if image is not None:
        ax.imshow(image, interpolation="antialiased", **how)
    if title:
        ax.text(0.5, -0.03, title, transform=ax.transAxes, ha="center", va="top", fontsize=size, color=INK)


@matplotlib.rc_context(RC)
def plot_pictures(images: Sequence[Any], titles: Sequence[str] = (), *, columns: int = 6) -> tuple[Figure, Any]:
    r"""Show pictures side by side, each with its title below.

    `images` are anything that `imshow` takes, `titles` one per picture or none; else `ValueError`.

    Examples
    --------
    >>> fig, axes = plot_pictures([np.zeros((8, 8))] * 2, ["Lyon\n12 km", "Nice\n8 km"])
    >>> fig.get_label()
    '2 pictures: Lyon, 12 km; Nice, 8 km.'
    """
    n = len(images)
    if not n or len(titles) not in (0, n):
        raise ValueError(f"{n} pictures, {len(titles)} titles: expected at least one, and a title each or none")
    columns = min(columns, n)
    rows = -(-n // columns)
    lines = 1 + max((title.count("\n") for title in titles), default=-1)
    fig = Figure(figsize=(10, rows * (10 / columns + 0.28 * lines)))
    axes = fig.subplots(rows, columns, squeeze=False)
    foot = 0.1 * lines / rows if lines else 0.003
    fig.subplots_adjust(0.003, foot, 0.997, 0.997, wspace=0.04, hspace=0.16 * max(lines, 1))
    for ax, image, title in zip_longest(axes.flat, images, titles):
        _show_picture(ax, image, title)
    words = "; ".join(title.replace("\n", ", ") for title in titles)
    fig.set_label(f"{n} pictures" + (f": {words}." if words else "."))
    return fig, axes


@matplotlib.rc_context(RC)
def plot_answers(
    images: Sequence[Any], true: tuple[npt.ArrayLike, npt.ArrayLike], predicted: tuple[npt.ArrayLike, npt.ArrayLike]
) -> tuple[Figure, Any]:
    """Show photos around a world map: a star where each was taken, a disc at the prediction, an arc between.

    `true` and `predicted` are (lat, lon), (n,) degrees each. Raises `ValueError` for an odd number of pictures, for
    other numbers of places, and for bad coordinates.
    """
    n, km = len(images), errors_km(*predicted, *true)
    if n % 2 or n != len(km):
        raise ValueError(f"{n} pictures of {len(km)} places: expected as many, an even number")
    (true_lat, true_lon), (lat, lon) = check_lat_lon(*true), check_lat_lon(*predicted)
    side = 1.92 / n - 0.012
    fig = Figure(figsize=(10, 5.1 + 2 * (10 * side + 0.26)))
    high, label = np.array([10 * side, 0.26]) / fig.get_figheight()
    band = high + label
    ax = ground_axes(fig, (0.02, band + 0.02, 0.96, 1 - 2 * band - 0.04))
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
