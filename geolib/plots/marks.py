"""Marks on a map: arcs, ranked guesses, named places, and the photo in a corner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from geolib import sphere
from geolib.plots.ground import PREDICTION, TRUTH, WORLD, Place, Places, caption, project
from geolib.sphere import FloatArray, check_lat_lon

_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))  # right, left, above, below, between


def draw_mark(ax: Any, place: Place, look: Mapping[str, Any], **style: Any) -> None:
    """Draw the mark of a place; its look is `TRUTH` or `PREDICTION`."""
    ax.scatter(*project(*place, ax).T, **{"zorder": 5, **look, **style})


def draw_arc(ax: Any, start: Place, end: Place, **style: Any) -> FloatArray:
    """Draw the great circle between two places, broken at the edge of the map; returns its points (201, 2)."""
    # Moved by centimetres, because between antipodes every way is the shortest.
    near, far = np.array(start) * (1 - 1e-9), np.array(end) * (1 - 3e-9)
    xy = project(*sphere.great_circle(near[0], near[1], far[0], far[1], 201), ax)
    (breaks,) = np.nonzero(np.abs(np.diff(xy[:, 0])) > np.ptp(WORLD.x_limits) / 2)
    ax.add_line(Line2D(*np.insert(xy, breaks + 1, np.nan, axis=0).T, zorder=3.5, **style))
    return xy


def label_arc(ax: Any, xy: FloatArray, label: str, marked: Places) -> None:
    """Write the label on the middle of an arc, or beside a short one, off the places marked."""
    start, *_, end = _in_points(ax, xy)
    sides = ((0, 0), *_SIDES) if np.hypot(*(end - start)) > 150 else _SIDES
    _add_label(ax, label, xy[len(xy) // 2], project(*marked, ax), gap=24, sides=sides)


def draw_guesses(ax: Any, places: Places, shares: FloatArray) -> None:
    """Draw numbered discs, larger where likelier; a guess that a better one would hide is a dot without a number."""
    xy = project(*places, ax)
    points, areas = _in_points(ax, xy), 170 + 900 * np.clip(shares, 0, 1)
    numbered: list[int] = []
    for i, (x, y) in enumerate(xy):
        gaps = np.hypot(*(points[numbered] - points[i]).T) - 0.4 * (areas[numbered] ** 0.5 + areas[i] ** 0.5)
        hidden = bool(np.any(gaps <= 0))
        ax.scatter(x, y, s=45 if hidden else areas[i], zorder=5 - i / 100, **PREDICTION)
        if not hidden:
            numbered.append(i)
            text = ax.text(x, y, str(i + 1), color="white", weight="bold", fontsize=11, zorder=5.001 - i / 100)
            text.set(ha="center", va="center_baseline", clip_on=True)


def draw_named(ax: Any, places: Mapping[str, Place], truth: Place) -> str:
    """Draw discs with names, and a star at the truth; returns what was drawn, in words.

    Places that would hide each other share a disc. Raises `ValueError` for no place.
    """
    if not places:
        raise ValueError("no place to mark: expected {name: (lat, lon)}")
    lat, lon = check_lat_lon(*np.array(list(places.values()), dtype=float).T)
    xy = project(lat, lon, ax)
    points = _in_points(ax, xy)
    groups: dict[int, list[str]] = {}  # the first place of a disc -> the names of all
    for i, name in enumerate(places):
        near = [first for first in groups if np.hypot(*(points[i] - points[first])) < 13]
        groups.setdefault(near[0] if near else i, []).append(name)
    draw_mark(ax, truth, TRUTH, zorder=4.9)
    caption(ax.figure, "★ truth")
    ax.scatter(*xy[list(groups)].T, zorder=5, **PREDICTION | {"s": 150})
    marked = np.concatenate([xy[list(groups)], project(*truth, ax)])
    placed: list[Bbox] = []
    words = []
    for first, names in groups.items():
        label = " · ".join(names)
        placed.append(_add_label(ax, label, xy[first], marked, placed))
        words.append(f"{label} at {lat[first]:.0f}, {lon[first]:.0f}")
    return "; ".join([*words, f"the truth at {truth[0]:.0f}, {truth[1]:.0f}"])


def _in_points(ax: Any, xy: FloatArray) -> Any:
    """Positions on the map in typographic points, the unit of marker sizes."""
    return ax.transData.transform(xy) * 72 / ax.figure.dpi


def _add_label(
    ax: Any, label: str, at: FloatArray, marked: FloatArray, placed: Any = (), gap: int = 11, sides: Any = _SIDES
) -> Bbox:
    """Write beside a point, where it covers the fewest marks and labels; returns the box of the text in pixels."""
    note = ax.annotate(label, at, xytext=(0, 0), textcoords="offset points", weight="bold", zorder=7)
    note.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])

    def move(side: tuple[int, int]) -> Bbox:
        across, up = side
        note.set(position=(gap * across, gap * up))
        note.set(ha=("center", "left", "right")[across], va=("center", "bottom", "top")[up])
        box: Bbox = note.get_window_extent()
        return box

    def cost(side: tuple[int, int]) -> Any:
        box = move(side).padded(6)
        outside = box.x0 < ax.bbox.x0 or box.x1 > ax.bbox.x1 or box.y0 < ax.bbox.y0 or box.y1 > ax.bbox.y1
        return 10 * outside + box.count_overlaps(placed) + box.count_contains(ax.transData.transform(marked))

    return move(min(sides, key=cost))


def inset(fig: Figure, ax: Any, image: Any, places: Places) -> None:
    """Show a photo in the corner that is farthest from all marked places."""
    size = np.array([0.19, 0.28])
    corners = {"SW": (0.015, 0.13), "SE": (0.795, 0.13), "NW": (0.015, 0.705), "NE": (0.795, 0.705)}
    marks = fig.transFigure.inverted().transform(ax.transData.transform(project(*places, ax)))
    best = max(corners, key=lambda name: np.linalg.norm(marks - corners[name] - size / 2, axis=1).min())
    corner = fig.add_axes((*corners[best], *size), zorder=10, anchor=best)
    corner.imshow(image)
    corner.set(xticks=[], yticks=[])
    corner.spines[:].set(edgecolor="white", linewidth=3)
