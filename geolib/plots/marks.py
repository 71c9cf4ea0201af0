"""Marks on a map: arcs, ranked guesses, named places, and the photo in a corner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from geolib import sphere
from geolib.plots.ground import HALO, PREDICTION, TRUTH, WORLD, Places, caption, project
from geolib.sphere import FloatArray, check_lat_lon, haversine_km

_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))  # right, left, above, below, between


def draw_truth(ax: Any, truth: tuple[float, float], **style: Any) -> None:
    """Draw a star at (lat, lon)."""
    ax.scatter(*project(*truth, ax).T, **TRUTH | {"zorder": 4} | style)


def draw_disc(ax: Any, place: tuple[float, float], **style: Any) -> None:
    """Draw the disc of a prediction at (lat, lon)."""
    ax.scatter(*project(*place, ax).T, **PREDICTION | {"zorder": 5} | style)


def _great_circle(ax: Any, start: tuple[float, float], end: tuple[float, float]) -> FloatArray:
    """Positions (201, 2) on the map; moved by centimetres, because between antipodes every way is the shortest."""
    near, far = np.array(start) * (1 - 1e-9), np.array(end) * (1 - 3e-9)
    return project(*sphere.great_circle(near[0], near[1], far[0], far[1], 201), ax)


def draw_arc(ax: Any, start: tuple[float, float], end: tuple[float, float], **style: Any) -> None:
    """Draw the great circle between two places, broken at the edge of the map."""
    xy = _great_circle(ax, start, end)
    (breaks,) = np.nonzero(np.abs(np.diff(xy[:, 0])) > np.ptp(WORLD.x_limits) / 2)
    ax.add_line(Line2D(*np.insert(xy, breaks + 1, np.nan, axis=0).T, zorder=3.5, **style))


def label_arc(ax: Any, start: tuple[float, float], end: tuple[float, float], marked: Places) -> float:
    """Write the length on the middle of an arc, or beside a short one, off the places marked; returns it in km."""
    xy, km = _great_circle(ax, start, end), float(haversine_km(*start, *end))
    points = ax.transData.transform(xy) * 72 / ax.figure.dpi
    long = np.hypot(*(points[-1] - points[0])) > 150
    note = ax.annotate(f"{km:,.0f} km", xy[len(xy) // 2], xytext=(0, 0), textcoords="offset points", zorder=7)
    note.set(weight="bold", path_effects=HALO)
    _place_label(note, ax, ax.transData.transform(project(*marked, ax)), [], 24, ((0, 0), *_SIDES) if long else _SIDES)
    return km


def draw_guesses(ax: Any, places: Places, shares: FloatArray) -> None:
    """Draw numbered discs, larger where likelier; a guess that a better one would hide is a dot without a number."""
    xy = project(*places, ax)
    points = ax.transData.transform(xy) * 72 / ax.figure.dpi  # the unit of marker sizes
    areas = 170 + 900 * np.clip(shares, 0, 1)
    numbered: list[int] = []
    for i, (x, y) in enumerate(xy):
        gaps = np.hypot(*(points[numbered] - points[i]).T) - 0.4 * (areas[numbered] ** 0.5 + areas[i] ** 0.5)
        clear = bool(np.all(gaps > 0))
        ax.scatter(x, y, s=areas[i] if clear else 45, zorder=5 - i / 100, **PREDICTION)
        if clear:
            numbered.append(i)
            text = ax.text(x, y, str(i + 1), color="white", weight="bold", fontsize=11, zorder=5.001 - i / 100)
            text.set(ha="center", va="center_baseline", clip_on=True)


def draw_named(ax: Any, places: Mapping[str, tuple[float, float]], truth: tuple[float, float] | None) -> str:
    """Draw discs with names, and a star at the truth; returns what was drawn, in words.

    Places that would hide each other share a disc. Raises `ValueError` for no place.
    """
    if not places:
        raise ValueError("no place to mark: expected {name: (lat, lon)}")
    lat, lon = check_lat_lon(*np.array(list(places.values()), dtype=float).T)
    xy = project(lat, lon, ax)
    points = ax.transData.transform(xy) * 72 / ax.figure.dpi
    groups: list[list[int]] = []
    for i in range(len(xy)):
        near = [group for group in groups if np.hypot(*(points[i] - points[group[0]])) < 13]
        near[0].append(i) if near else groups.append([i])
    first = [group[0] for group in groups]
    ax.scatter(*xy[first].T, zorder=5, **PREDICTION | {"s": 150})
    marked = list(xy[first])
    if truth is not None:
        draw_truth(ax, truth, zorder=4.9)
        marked += list(project(*truth, ax))
        caption(ax.figure, "★ truth")
    labels = [" · ".join(list(places)[i] for i in group) for group in groups]
    placed: list[Bbox] = []
    for label, at in zip(labels, xy[first], strict=True):
        note = ax.annotate(label, at, xytext=(0, 0), textcoords="offset points", weight="bold", zorder=7)
        note.set_path_effects(HALO)
        placed.append(_place_label(note, ax, ax.transData.transform(marked), placed))
    told = [f"{label} at {lat[i]:.0f}, {lon[i]:.0f}" for label, i in zip(labels, first, strict=True)]
    return "; ".join(told if truth is None else [*told, f"the truth at {truth[0]:.0f}, {truth[1]:.0f}"])


def _place_label(
    note: Annotation, ax: Any, marked: FloatArray, placed: list[Bbox], gap: int = 11, sides: Any = _SIDES
) -> Bbox:
    """Move a label to the side of its point where it covers the fewest marks and labels; returns its box in pixels."""
    costs = []
    for side in sides:
        box = _beside(note, side, gap).padded(6)
        outside = box.x0 < ax.bbox.x0 or box.x1 > ax.bbox.x1 or box.y0 < ax.bbox.y0 or box.y1 > ax.bbox.y1
        costs.append(10 * outside + box.count_overlaps(placed) + box.count_contains(marked))
    return _beside(note, sides[int(np.argmin(costs))], gap)


def _beside(note: Annotation, side: tuple[int, int], gap: int) -> Bbox:
    across, up = side
    note.set(position=(gap * across, gap * up))
    note.set(ha=("center", "left", "right")[across], va=("center", "bottom", "top")[up])
    return note.get_window_extent()


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
