"""Figures on maps, drawn offline from the layers in `data/natural_earth`.

World maps are in Equal Earth (Savric, Patterson and Jenny 2018), close-ups in Lambert's azimuthal projection: both
keep areas, so equal ink is equal ground. The shapes end at the dateline already, so they are projected here, vertex
by vertex: cartopy neither cuts them, which is slow, nor looks for layers of its own, which it would download.

Every function returns `(fig, ax)`. The figure carries a description for readers who cannot see it, `alt_text(fig)`;
`show(fig)` displays it in a notebook as a small PNG with that text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from matplotlib.transforms import Bbox

from geolib import sphere
from geolib.cells.quadtree import Partition
from geolib.countries import country_name, country_of
from geolib.evaluate import THRESHOLDS_KM
from geolib.plots.ground import (
    _DEGREES,
    _FARTHEST_KM,
    _HALO,
    _HEXAGONS,
    _RC,
    _WORLD,
    BORDER,
    COAST,
    COLORS,
    DASHES,
    INK,
    PREDICTION,
    QUIET,
    REACH,
    TRUTH,
    Places,
    View,
    _add_ground,
    _bare_bar,
    _canvas,
    _caption,
    _clip,
    _color_bar,
    _paths,
    _project,
    _ramp,
    _shade,
    _small_maps,
    _view,
    percent,
    quiet,
)
from geolib.sphere import FloatArray, check_lat_lon, haversine_km


@matplotlib.rc_context(_RC)
def plot_photos(lat: npt.ArrayLike, lon: npt.ArrayLike, *, seed: int | None = None) -> tuple[Figure, Any]:
    """Where photographs were taken: dots; from 2,000 photos on, their number per hexagon on a log scale.

    lat, lon: degrees (n,). seed: of the draw that chose the photos, for the caption.
    """
    lat, lon = check_lat_lon(lat, lon)
    fig, ax = _canvas()
    x, y = _project(lat, lon, _WORLD)
    if lat.size < 2000:
        ax.scatter(x, y, s=16, color=COLORS[0], alpha=0.5, linewidth=0, zorder=3)
    else:
        grid = {"gridsize": _HEXAGONS, "extent": (*_WORLD.x_limits, *_WORLD.y_limits), "mincnt": 1}
        bins = ax.hexbin(x, y, **grid, norm=LogNorm(), cmap=_ramp("YlGnBu", 0.25, 1), linewidths=0.2, zorder=3)
        ax.set_global()  # hexbin narrows the view to its points
        _add_ground(ax, "coast", None, edgecolor=INK, linewidth=0.3, zorder=4)
        _color_bar(fig, bins, "photos per hexagon of 42,000 km²")
    _caption(fig, f"n = {lat.size:,} photos", seed)
    fig.set_label(f"World map of where {lat.size:,} photographs were taken.")
    return fig, ax


@matplotlib.rc_context(_RC)
def plot_cells(tree: Partition, level: int = -1, *, per: str = "km2") -> tuple[Figure, Any]:
    """The geocells of one level, coloured by their training photos on a log scale.

    level: 0 is the coarsest, -1 the finest. per: `"km2"` (density) or `"cell"` (number).
    Raises `ValueError` for a level that the tree does not have and for another `per`.
    """
    if per not in ("km2", "cell"):
        raise ValueError(f"per={per!r}: expected 'km2' or 'cell'")
    counts, areas = tree.counts(level), tree.areas_km2(level)
    values, unit = (counts / areas * 1000, "1,000 km²") if per == "km2" else (counts.astype(float), "cell")
    # A few cells are as small as a street and would stretch the scale: its ends are quantiles of the ground shown.
    order = np.argsort(values)
    low, high = np.interp([0.01, 0.999], np.cumsum(areas[order]) / areas.sum(), values[order])
    few = counts.size <= 2500  # more edges would hide the small cells
    fig, ax = _canvas()
    cells = PathCollection(_paths(tree.polygons(level), _WORLD), zorder=2, edgecolor="white", antialiased=few)
    cells.set(array=values, norm=LogNorm(low / 1.01, high * 1.01), cmap=_ramp("YlGnBu", 0, 1), linewidth=0.5 * few)
    ax.add_collection(cells, autolim=False)
    _add_ground(ax, "coast", None, edgecolor=INK, linewidth=0.4, zorder=3)
    _color_bar(fig, cells, f"training photos per {unit}", extend="both")
    name = f"{counts.size:,} cells (level {level % tree.n_levels})"
    _caption(fig, f"{name} · n = {counts.sum():,} photos")
    fig.set_label(f"World map of {name}, small where photos are dense, coloured by training photos per {unit}.")
    return fig, ax


@matplotlib.rc_context(_RC)
def plot_nesting(tree: Partition, view: View) -> tuple[Figure, Any]:
    """A close-up of all levels at once: the finest cells coloured by density, thicker edges for coarser levels.

    view: (lat, lon, km) of its middle, in degrees, and half its height, at most 4,000 km.
    Raises `ValueError` for a view that is not on Earth or too large.
    """
    lat, lon, half_height_km = view
    check_lat_lon(lat, lon)
    if not 0 < half_height_km <= _FARTHEST_KM:
        raise ValueError(f"a view of {half_height_km} km: expected half its height, 0 to {_FARTHEST_KM:,.0f} km")
    fig, ax = _canvas(view)
    colors = (*COLORS[1:4], INK)
    for level in range(tree.n_levels)[::-1]:
        shapes = _clip(np.array(tree.polygons(level), dtype=object), view)
        shown = ~shapely.is_empty(shapes)
        cells = PathCollection(_paths(shapes[shown], ax.projection), zorder=2.9 - 0.01 * level, facecolor="none")
        coarser = tree.n_levels - 1 - level
        color = "white" if not coarser else colors[(coarser - 1) % len(colors)]
        cells.set(edgecolor=color, linewidth=0.6 + 1.1 * coarser)
        if not coarser:
            values = (tree.counts(level) / tree.areas_km2(level) * 1000)[shown]
            cells.set(array=values, norm=LogNorm(values.min() / 1.01, values.max() * 1.01), zorder=2)
            cells.set(cmap=_ramp("YlGnBu", 0, 1), facecolor=None)
            _color_bar(fig, cells, "training photos per 1,000 km²")
        ax.add_collection(cells, autolim=False)
        x = 0.012 + 0.148 * level
        fig.add_artist(Line2D([x, x + 0.025], [0.062] * 2, color=color if coarser else BORDER, linewidth=3))
        fig.text(x + 0.03, 0.062, f"{tree.n_cells[level]:,} cells", fontsize=12, color=QUIET, va="center")
    _add_ground(ax, "coast", view, edgecolor=INK, linewidth=0.7, zorder=2.5)
    fig.set_label(
        f"Close-up around {lat:.0f}, {lon:.0f} of {tree.n_levels} nested levels of cells, "
        f"{' > '.join(f'{n:,}' for n in tree.n_cells)}: each cell is cut into whole cells of the next level."
    )
    return fig, ax


@matplotlib.rc_context(_RC)
def plot_prediction(
    posterior: npt.ArrayLike,
    tree: Partition,
    *,
    truth: tuple[float, float] | None = None,
    top: int | pd.DataFrame = 5,
    image: Any = None,
    zoom: bool = False,
) -> tuple[Figure, Any]:
    """One prediction: the posterior as shaded cells, the best guesses by rank, and how far the first is from the truth.

    posterior: probabilities (n_finest,). truth: (lat, lon). top: how many cells to mark, or a table of guesses with
    `lat`, `lon`, `probability`, best first (`Prediction.top`). image: anything `imshow` takes, shown in a corner.
    zoom: show only the region with the guesses, the truth and 90 % of the posterior, if it is small enough.
    Raises `ValueError` for a posterior that does not fit the tree, and for coordinates that are none.
    """
    p = np.asarray(posterior, dtype=float)
    if p.shape != (tree.n_cells[-1],):
        raise ValueError(f"posterior of shape {p.shape}: expected ({tree.n_cells[-1]},), one row of `fuse`")
    if not (np.isfinite(p).all() and p.min() >= 0 and p.max() > 0):
        raise ValueError("the posterior is negative, all zero or not finite: expected one row of `fuse`")
    order, centers = np.argsort(-p, kind="stable"), np.stack(tree.centers(-1))
    if isinstance(top, int):
        best = order[: max(top, 1)]
        top = pd.DataFrame({"lat": centers[0, best], "lon": centers[1, best], "probability": p[best]})
    guesses, shares = check_lat_lon(top["lat"], top["lon"]), np.asarray(top["probability"], dtype=float)
    places = np.stack(guesses) if truth is None else np.hstack([guesses, check_lat_lon(*truth)])
    bulk = order[: np.searchsorted(np.cumsum(p[order]), 0.9 * p.sum()) + 1]
    view = _view(*np.hstack([places, centers[:, bulk]])) if zoom else None

    fig, ax = _canvas(view)
    cells = _shade(ax, p, np.array(tree.polygons(-1), dtype=object), p.max(), view)
    _color_bar(fig, cells, "probability of the cell", percent=True)

    names = [country_name(code) or "open sea" for code in country_of(*places)]
    told = [f"{i + 1} {names[i]} {percent(share)}" for i, share in enumerate(shares)]
    words = f"Map of one prediction; best guesses: {', '.join(told)}."
    if truth is not None:
        km = _draw_arc(ax, truth, (guesses[0][0], guesses[1][0]), True, color=INK, linewidth=1.6, linestyle=(0, (4, 2)))
        ax.scatter(*_project(*truth, ax.projection), zorder=4, **TRUTH)
        words += f" The truth, in {names[-1]}, is {km:,.0f} km from the first."
        told = [*told[:5], f"★ truth: {names[-1]}"]
    _draw_guesses(ax, guesses, shares)
    if image is not None:
        _inset(fig, ax, image, (places[0], places[1]))
    _caption(fig, "\n".join(" · ".join(told[i : i + 3]) for i in (0, 3) if told[i:]))
    fig.set_label(words)
    return fig, ax


@matplotlib.rc_context(_RC)
def plot_posteriors(
    posteriors: Mapping[str, npt.ArrayLike],
    tree: Partition,
    *,
    truth: tuple[float, float] | None = None,
    kept: Mapping[str, npt.ArrayLike] | None = None,
    view: View | None = None,
    columns: int = 2,
) -> tuple[Figure, Any]:
    """Several distributions of one photo side by side, in one scale of shades: rules, levels, or steps of a rule.

    posteriors: title to probabilities over the cells of any one level (n_cells[level],); the level is told by their
    number. truth: (lat, lon), a star; a disc marks each panel's likeliest cell. kept: for some of the titles the
    numbers of the cells to outline. view: (lat, lon, half the height in km) of a close-up; default the world.
    Raises `ValueError` for nothing to show and for numbers of cells that no level has.
    """
    values = {title: np.asarray(given, dtype=float) for title, given in posteriors.items()}
    if not values or any(p.ndim != 1 or p.size not in tree.n_cells or not p.max() > 0 for p in values.values()):
        raise ValueError(
            f"{[p.shape for p in values.values()]}: expected probabilities over one of {tree.n_cells} cells"
        )
    fig, made = _small_maps(list(values), columns, view)
    height, words = fig.get_figheight(), []
    peak = max(p.max() for p in values.values())
    for ax, (title, p) in zip(made, values.items(), strict=True):
        level = tree.n_cells.index(p.size)
        shapes = np.array(tree.polygons(level), dtype=object)
        cells = _shade(ax, p, shapes, peak, view, coast=0.4)
        if kept and title in kept:
            chosen = _clip(shapes[np.asarray(kept[title], dtype=int)], view)
            edges: dict[str, Any] = {"facecolor": "none", "edgecolor": COLORS[2], "linewidth": 1.6}
            ax.add_collection(PathCollection(_paths(chosen, ax.projection), zorder=3, **edges), autolim=False)
        if truth is not None:
            ax.scatter(*_project(*truth, ax.projection), zorder=4, **TRUTH | {"s": 200, "linewidth": 1.0})
        lat, lon = (float(centre[p.argmax()]) for centre in tree.centers(level))
        ax.scatter(*_project(lat, lon, ax.projection), zorder=5, **PREDICTION | {"s": 75})
        km = "" if truth is None else f", {haversine_km(*truth, lat, lon):,.0f} km from the truth"
        words.append(f"{title}: likeliest cell {percent(p.max())}{km}")
    _bare_bar(fig, cells, (0.66, 0.3 / height, 0.3, 0.1 / height), percent=True)
    legend = ["★ truth"] * (truth is not None) + ["● likeliest cell"] + ["green outline: kept"] * bool(kept)
    text: dict[str, Any] = {"fontsize": 12, "color": QUIET, "va": "center"}
    fig.text(0.012, 0.3 / height, " · ".join(legend), **text)
    fig.text(0.645, 0.34 / height, "probability of the cell", ha="right", **text)
    fig.set_label(f"{len(values)} maps of one photo. {'; '.join(words)}.")
    return fig, made


@matplotlib.rc_context(_RC)
def plot_regions(
    regions: Mapping[str, npt.ArrayLike],
    tree: Partition,
    *,
    truth: Mapping[str, tuple[float, float]] | None = None,
    columns: int = 3,
) -> tuple[Figure, Any]:
    """Sets of finest cells side by side, a map each: what holds the true place at some confidence.

    regions: title to which cells are in the set, bool (n_finest,). truth: for some of the titles (lat, lon), a star.
    Raises `ValueError` for nothing to show and for sets that do not fit the tree.
    """
    sets = {title: np.asarray(given) for title, given in regions.items()}
    if not sets or any(cells.dtype != np.bool_ or cells.shape != (tree.n_cells[-1],) for cells in sets.values()):
        raise ValueError(
            f"{[(cells.dtype, cells.shape) for cells in sets.values()]}: expected bool ({tree.n_cells[-1]},)"
        )
    fig, made = _small_maps(list(sets), columns, None)
    shapes, areas = np.array(tree.polygons(-1), dtype=object), tree.areas_km2(-1)
    words = []
    for ax, (title, cells) in zip(made, sets.items(), strict=True):
        whole = shapely.union_all(shapes[cells])  # drawn one by one, neighbours leave seams
        inside: dict[str, Any] = {"facecolor": PREDICTION["color"], "linewidth": 0, "alpha": 0.6}
        ax.add_collection(PathCollection(_paths([whole], _WORLD), zorder=2, **inside), autolim=False)
        _add_ground(ax, "coast", None, edgecolor=COAST, linewidth=0.4, zorder=2.5)
        if truth is not None and title in truth:
            ax.scatter(*_project(*truth[title], ax.projection), zorder=4, **TRUTH | {"s": 90, "linewidth": 0.8})
        words.append(f"{title}: {cells.sum():,} of {cells.size:,} cells, {areas[cells].sum():,.0f} km²")
    legend = "shaded: cells in the set" + (" · ★ truth" if truth else "")
    fig.text(0.012, 0.3 / fig.get_figheight(), legend, fontsize=12, color=QUIET, va="center")
    fig.set_label(f"{len(sets)} maps of sets of cells. {'; '.join(words)}.")
    return fig, made


def grid(step: float = 1.0) -> Places:
    """The places that `plot_field` has values at: lat (n, m) and lon (n, m), degrees, every `step` degrees."""
    lat, lon = np.meshgrid(np.linspace(-90, 90, round(180 / step) + 1), np.linspace(-180, 180, round(360 / step) + 1))
    return lat.T, lon.T


@matplotlib.rc_context(_RC)
def plot_field(
    value: npt.ArrayLike,
    levels: Sequence[float],
    labels: Sequence[str],
    *,
    answer: tuple[float, float],
    truth: tuple[float, float] | None = None,
    image: Any = None,
) -> tuple[Figure, Any]:
    """A value all over the Earth in bands, the higher the darker: circles around an answer, or a density.

    value: at each place of `grid()`, (n, m). levels: the lower edge of each band, ascending; lower values have no
    shade. labels: of the bands. answer, truth: (lat, lon), a disc and a star. image: shown in a corner.
    Raises `ValueError` for levels that do not ascend, labels that are not as many, a value on another grid, and NaN.
    """
    field, edges = np.asarray(value, dtype=float), np.asarray(levels, dtype=float)
    if field.ndim != 2 or 2 * (field.shape[0] - 1) != field.shape[1] - 1 or np.isnan(field).any():
        raise ValueError(f"values {field.shape}: expected numbers at the places of `maps.grid()`")
    if edges.ndim != 1 or not edges.size or not (np.diff(edges) > 0).all() or len(labels) != edges.size:
        raise ValueError(f"levels {levels}, labels {labels}: expected ascending levels and a label each")
    fig, ax = _canvas()
    lat, lon = grid(180 / (field.shape[0] - 1))
    x, y = (axis.reshape(field.shape) for axis in _project(lat.ravel(), lon.ravel(), _WORLD))
    colors = matplotlib.colormaps["Oranges"](np.linspace(0.25, 0.75, edges.size))
    ax.contourf(x, y, field, levels=[*edges, np.inf], colors=colors, alpha=0.75, zorder=2)
    ax.set_global()  # contourf narrows the view to what it fills
    _add_ground(ax, "coast", None, edgecolor=COAST, linewidth=0.5, zorder=2.5)
    marks = answer if truth is None else tuple(zip(answer, truth, strict=True))
    if truth is not None:
        ax.scatter(*_project(*truth, ax.projection), zorder=4, **TRUTH)
    ax.scatter(*_project(*answer, ax.projection), zorder=5, **PREDICTION | {"s": 110})
    if image is not None:
        _inset(fig, ax, image, (np.atleast_1d(marks[0]), np.atleast_1d(marks[1])))
    bands = [Line2D([], [], marker="s", markersize=11, linestyle="", color=color, alpha=0.75) for color in colors]
    how: dict[str, Any] = {"frameon": False, "fontsize": 12, "handletextpad": 0.1}
    fig.legend(bands, labels, loc="center right", bbox_to_anchor=(0.99, 0.062), ncols=edges.size, **how)
    _caption(fig, "● answer" + (" · ★ truth" if truth is not None else ""))
    fig.set_label(f"World map in bands: {', '.join(labels)}; around an answer at {answer[0]:.1f}, {answer[1]:.1f}.")
    return fig, ax


@matplotlib.rc_context(_RC)
def plot_decoded(
    posterior: npt.ArrayLike,
    tree: Partition,
    places: Mapping[str, tuple[float, float]],
    *,
    truth: tuple[float, float] | None = None,
) -> tuple[Figure, Any]:
    """Several answers to one photo, named, on its posterior: what each decoder makes of the same probabilities.

    posterior: probabilities (n_finest,). places: name to (lat, lon), drawn as discs; those that would hide each other
    share one. truth: (lat, lon), a star. Raises `ValueError` for no place and for a posterior that does not fit.
    """
    p = np.asarray(posterior, dtype=float)
    if p.shape != (tree.n_cells[-1],) or not (np.isfinite(p).all() and p.min() >= 0 and p.max() > 0):
        raise ValueError(f"posterior of shape {p.shape}: expected ({tree.n_cells[-1]},), one row of `fuse`")
    fig, ax = _canvas()
    cells = _shade(ax, p, np.array(tree.polygons(-1), dtype=object), p.max())
    _color_bar(fig, cells, "probability of the cell", percent=True)
    fig.set_label(f"World map of one posterior with {_draw_named(fig, ax, places, truth)}.")
    return fig, ax


@matplotlib.rc_context(_RC)
def plot_landscape(
    values: npt.ArrayLike,
    label: str,
    places: Mapping[str, tuple[float, float]],
    *,
    truth: tuple[float, float] | None = None,
) -> tuple[Figure, Any]:
    """A number for each place on Earth as shades, such as what an answer there is worth, and named places on it.

    values: (rows, columns) at equal steps from the south pole to the north pole and from -180 to 180 degrees, both ends
    included. label: what they are. places, truth: as in `plot_decoded`. Raises `ValueError` for less than two rows or
    columns, numbers that are not finite, and no place.
    """
    grid = np.asarray(values, dtype=float)
    if grid.ndim != 2 or min(grid.shape) < 2 or not np.isfinite(grid).all():
        raise ValueError(f"values {grid.shape}: expected finite numbers, (rows, columns), at least two of each")
    lat, lon = np.linspace(-90, 90, grid.shape[0]), np.linspace(-180, 180, grid.shape[1])
    fig, ax = _canvas()
    # A hair inside: projected, the meridian of 180 degrees is the one of -180.
    x, y, _ = np.moveaxis(_WORLD.transform_points(_DEGREES, *np.meshgrid(lon * (1 - 1e-9), lat)), -1, 0)
    shades = ax.contourf(x, y, grid, levels=12, cmap="viridis", zorder=2)
    ax.set_global()
    _add_ground(ax, "coast", None, edgecolor="white", linewidth=0.5, zorder=2.5)
    _color_bar(fig, shades, label, ticks=MaxNLocator(5))
    top = np.unravel_index(grid.argmax(), grid.shape)
    words = f"World map of {label}, highest near {lat[top[0]]:.0f}, {lon[top[1]]:.0f}, with "
    fig.set_label(f"{words}{_draw_named(fig, ax, places, truth)}.")
    return fig, ax


@matplotlib.rc_context(_RC)
def plot_partitions(partitions: Mapping[str, Partition], view: View) -> tuple[Figure, Any]:
    """The finest cells of several partitions in one region, two maps a row, coloured by density in one scale.

    partitions: name to cells. view: (lat, lon, km) of its middle, in degrees, and half its height, at most 4,000 km.
    Raises `ValueError` for no partition and for a view that is not on Earth or too large.
    """
    check_lat_lon(view[0], view[1])
    if not partitions or not 0 < view[2] <= _FARTHEST_KM:
        raise ValueError(
            f"{len(partitions)} partitions, a view of {view[2]} km: expected one, and up to {_FARTHEST_KM:,.0f} km"
        )
    titles = [f"{name}: {cells.n_cells[-1]:,} cells" for name, cells in partitions.items()]
    fig, made = _small_maps(titles, 2, view)
    height, drawn, ground = fig.get_figheight(), [], []
    for ax, cells in zip(made, partitions.values(), strict=True):
        shapes = _clip(np.array(cells.polygons(-1), dtype=object), view)
        shown = ~shapely.is_empty(shapes)
        patches = PathCollection(_paths(shapes[shown], ax.projection), edgecolor="white", linewidth=0.6, zorder=2)
        patches.set(array=(cells.counts(-1) / cells.areas_km2(-1) * 1000)[shown], cmap=_ramp("YlGnBu", 0, 1))
        ax.add_collection(patches, autolim=False)
        _add_ground(ax, "coast", view, edgecolor=INK, linewidth=0.6, zorder=2.5)
        drawn.append(patches)
        ground.append(cells.areas_km2(-1)[shown])
    values = np.concatenate([np.asarray(patches.get_array()) for patches in drawn])
    # A few cells are as small as a street and would stretch the scale: its ends are quantiles of the ground shown.
    order, area = np.argsort(values), np.concatenate(ground)
    low, high = np.interp([0.05, 0.99], np.cumsum(area[order]) / area.sum(), values[order])
    for patches in drawn:
        patches.set_norm(LogNorm(low / 1.01, high * 1.01))
    _bare_bar(fig, drawn[-1], (0.66, 0.3 / height, 0.3, 0.1 / height), extend="both", ticks=LogLocator(numticks=6))
    text: dict[str, Any] = {"fontsize": 12, "color": QUIET, "va": "center"}
    fig.text(0.645, 0.34 / height, "training photos per 1,000 km²", ha="right", **text)
    fig.set_label(
        f"{len(made)} maps of cells around {view[0]:.0f}, {view[1]:.0f}; on all the Earth {'; '.join(titles)}."
    )
    return fig, made


def _draw_named(
    fig: Figure, ax: Any, places: Mapping[str, tuple[float, float]], truth: tuple[float, float] | None
) -> str:
    """Discs with names, and a star at the truth; what was drawn, in words. Raises `ValueError` for no place."""
    if not places:
        raise ValueError("no place to mark: expected {name: (lat, lon)}")
    lat, lon = check_lat_lon(*(np.array(list(places.values()), dtype=float).T))
    xy = np.column_stack(_project(lat, lon, ax.projection))
    points = ax.transData.transform(xy) * 72 / fig.dpi
    groups: list[list[int]] = []
    for i in range(len(xy)):
        near = [group for group in groups if np.hypot(*(points[i] - points[group[0]])) < 13]
        near[0].append(i) if near else groups.append([i])
    heads = xy[[group[0] for group in groups]]
    ax.scatter(*heads.T, zorder=5, **PREDICTION | {"s": 150})
    taken = list(ax.transData.transform(heads))
    if truth is not None:
        ax.scatter(*_project(*truth, ax.projection), zorder=4.9, **TRUTH)
        taken.append(ax.transData.transform(np.column_stack(_project(*truth, ax.projection)))[0])
    labels = [" · ".join(list(places)[i] for i in group) for group in groups]
    placed: list[Bbox] = []
    for label, at in zip(labels, heads, strict=True):
        note = ax.annotate(label, at, xytext=(0, 0), textcoords="offset points", weight="bold", zorder=7)
        note.set_path_effects(_HALO)
        costs = []
        for side in _SIDES:
            box = _beside(note, side).padded(2)
            outside = box.x0 < ax.bbox.x0 or box.x1 > ax.bbox.x1 or box.y0 < ax.bbox.y0 or box.y1 > ax.bbox.y1
            costs.append(10 * outside + box.count_overlaps(placed) + box.count_contains(np.array(taken)))
        placed.append(_beside(note, _SIDES[int(np.argmin(costs))]))
    told = [f"{label} at {lat[group[0]]:.0f}, {lon[group[0]]:.0f}" for label, group in zip(labels, groups, strict=True)]
    if truth is not None:
        _caption(fig, "★ truth")
        told.append(f"the truth at {truth[0]:.0f}, {truth[1]:.0f}")
    return "; ".join(told)


_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))  # right, left, above, below, between


def _beside(note: Annotation, side: tuple[int, int]) -> Bbox:
    """Move a label to a side of its point; the pixels that it then covers."""
    across, up = side
    note.set(position=(11 * across, 11 * up), ha=_align(across, "left", "center", "right"))
    note.set(va=_align(up, "bottom", "center", "top"))
    return note.get_window_extent()


@matplotlib.rc_context(_RC)
def plot_error_map(
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    true_lat: npt.ArrayLike,
    true_lon: npt.ArrayLike,
    *,
    arcs: int = 0,
    seed: int = 0,
) -> tuple[Figure, Any]:
    """Each photo at its true place, coloured by the error in km on a log scale.

    lat, lon: predictions, degrees (n,). arcs: also draw the great circles to the predictions, of so many photos
    chosen with `seed`. Raises `ValueError` for bad coordinates and for predictions and places that are not as many.
    """
    lat, lon = check_lat_lon(lat, lon)
    true_lat, true_lon = check_lat_lon(true_lat, true_lon)
    if lat.size != true_lat.size:
        raise ValueError(f"{lat.size} predictions for {true_lat.size} true places: expected one for each")
    km = np.maximum(haversine_km(lat, lon, true_lat, true_lon), 1e-3)  # a logarithm needs a metre at least
    norm, cmap = LogNorm(THRESHOLDS_KM[0], 20_000, clip=True), matplotlib.colormaps["viridis_r"]
    fig, ax = _canvas()
    order = np.random.default_rng(seed).permutation(km.size)  # so that neither good nor bad photos lie on top
    for i in order[:arcs]:
        _draw_arc(ax, (true_lat[i], true_lon[i]), (lat[i], lon[i]), color=cmap(norm(km[i])), linewidth=0.9, alpha=0.7)
    x, y = _project(true_lat[order], true_lon[order], _WORLD)
    size = float(np.clip(60_000 / km.size, 7, 45))
    dots = ax.scatter(x, y, s=size, c=km[order], norm=norm, cmap=cmap, edgecolor="white", linewidth=0.25, zorder=4)
    _color_bar(fig, dots, "error (km), at the true place", ticks=[*THRESHOLDS_KM, 20_000])
    _caption(fig, f"n = {km.size:,} photos", seed if arcs else None)
    fig.set_label(f"World map of {km.size:,} photographs coloured by error; the median is {np.median(km):,.0f} km.")
    return fig, ax


@matplotlib.rc_context(_RC)
def plot_error_distribution(
    errors: Mapping[str, npt.ArrayLike], *, floor: npt.ArrayLike | None = None, seed: int | None = None
) -> tuple[Figure, Axes]:
    """Share of photos within each distance: one labelled line a system, the field's five thresholds marked.

    errors: km (n,) by the name of the system, one to five. floor: errors of the perfect classifier (each photo in its
    right cell, decoded at the cell's centre), which no head can beat without refinement.
    Raises `ValueError` for no or too many systems and for errors that are negative, infinite or NaN.
    """
    if not 1 <= len(errors) <= len(COLORS):
        raise ValueError(f"{len(errors)} systems: expected 1 to {len(COLORS)}; more cannot be told apart in one figure")
    fig = Figure(figsize=(10, 6))
    ax = fig.add_axes((0.09, 0.17, 0.88, 0.72))
    ax.set(
        xscale="log", xlim=(0.5, 20_100), ylim=(0, 102), xlabel="error (km)", ylabel="photos within this distance (%)"
    )
    _mark_thresholds(ax)
    series = list(zip(errors, errors.values(), COLORS, DASHES, strict=False))
    if floor is not None:
        series.append(("perfect cells", floor, QUIET, (0, (1, 2))))
    words = "Share of photographs within each distance."
    for name, values, color, dash in series:
        km = np.sort(np.asarray(values, dtype=float).ravel())
        if not km.size or not np.isfinite(km).all() or km[0] < 0:
            raise ValueError(f"errors of {name!r}: expected at least one distance in km, finite and not negative")
        median = f"median {np.median(km):,.0f} km"
        x, y = np.concatenate([[0.1], np.maximum(km, 0.1), [30_000]]), [*np.linspace(0, 100, km.size + 1), 100]
        ax.plot(x, y, drawstyle="steps-post", label=f"{name}\n{median}", color=color, linestyle=dash, linewidth=2.6)
        words += f" {name}: {median}, {np.mean(km <= 200):.0%} within 200 km."
    _label_lines(ax)
    sizes = dict.fromkeys(f"{np.size(values):,}" for _, values, _, _ in series)
    _caption(fig, f"n = {' / '.join(sizes)} photos", seed)
    fig.set_label(words)
    return fig, ax


def _draw_guesses(ax: Any, places: Places, shares: FloatArray) -> None:
    """Numbered discs, the larger the likelier; a guess that a better one would hide is a dot without a number."""
    xy = np.column_stack(_project(*places, ax.projection))
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


def _draw_arc(
    ax: Any, start: tuple[float, float], end: tuple[float, float], label: bool = False, **style: Any
) -> float:
    """Draw the great circle between two places, broken at the edge of the map; its length in km."""
    # Some centimetres off, so that antipodes, between which every way is shortest, have a shortest one too.
    near, far = np.array(start) * (1 - 1e-9), np.array(end) * (1 - 3e-9)
    x, y = _project(*sphere.great_circle(near[0], near[1], far[0], far[1], 201), ax.projection)
    (breaks,) = np.nonzero(np.abs(np.diff(x)) > 0.5 * np.diff(_WORLD.x_limits))
    ax.add_line(Line2D(np.insert(x, breaks + 1, np.nan), np.insert(y, breaks + 1, np.nan), zorder=3.5, **style))
    km = float(haversine_km(*start, *end))
    if label:
        _label_arc(ax, np.column_stack([x, y]), f"{km:,.0f} km")
    return km


def _label_arc(ax: Any, arc: FloatArray, text: str) -> None:
    """Write `text` beside the middle of an arc, towards the middle of the map; above the arc where that is short."""
    points = ax.transData.transform(arc) * 72 / ax.figure.dpi
    at, across, gap = 100, (points[101] - points[99])[::-1] * (-1, 1), 12
    if np.hypot(*(points[-1] - points[0])) < 90:
        at, across, gap = int(np.argmax(points[:, 1])), np.array([0.0, 1.0]), 18
    across = across / max(np.hypot(*across), 1e-9)
    if across[0] * (arc[at, 0] - np.mean(ax.get_xlim())) > 0:
        across = -across
    note = ax.annotate(text, arc[at], xytext=across * gap, textcoords="offset points", weight="bold", zorder=7)
    note.set(ha=_align(across[0], "left", "center", "right"), va=_align(across[1], "bottom", "center", "top"))
    note.set_path_effects(_HALO)


def _align(direction: float, forward: str, none: str, back: str) -> str:
    return none if abs(direction) < 0.3 else forward if direction > 0 else back


def _inset(fig: Figure, ax: Any, image: Any, places: Places) -> None:
    """Show the photo in the corner that is farthest from everything marked."""
    size = np.array([0.19, 0.28])
    corners = {"SW": (0.015, 0.13), "SE": (0.795, 0.13), "NW": (0.015, 0.705), "NE": (0.795, 0.705)}
    marks = ax.transData.transform(np.column_stack(_project(*places, ax.projection)))
    marks = fig.transFigure.inverted().transform(marks)
    best = max(corners, key=lambda name: np.linalg.norm(marks - corners[name] - size / 2, axis=1).min())
    inset = fig.add_axes((*corners[best], *size), zorder=10, anchor=best)
    inset.imshow(image)
    inset.set(xticks=[], yticks=[])
    inset.spines[:].set(edgecolor="white", linewidth=3)


def _mark_thresholds(ax: Axes) -> None:
    """Grid lines at the five thresholds, with their names above; no other grid."""
    ax.set_xticks(THRESHOLDS_KM, [f"{km:,}" for km in THRESHOLDS_KM])
    ax.xaxis.set_minor_locator(NullLocator())
    quiet(ax)
    for km, name in zip(THRESHOLDS_KM, REACH, strict=True):
        ax.text(km, 103.5, name, ha="center", va="bottom", fontsize=12, color=QUIET)


def _label_lines(ax: Axes) -> None:
    """Write each line's label beside it, where it covers least of the lines and of other labels."""
    shares = np.linspace(1, 99, 393)
    data = [np.array(line.get_data(), dtype=float) for line in ax.get_lines()]
    curves = [np.column_stack([np.interp(shares, y, x), shares]) for x, y in data]
    ink = ax.transData.transform(np.concatenate(curves))
    placed: list[Bbox] = []
    for line, curve in zip(ax.get_lines(), curves, strict=True):
        text = ax.annotate(str(line.get_label()), (1, 1), xytext=(0, 0), textcoords="offset points", fontsize=12)
        text.set(color=line.get_color(), weight="bold", path_effects=_HALO)
        places = [(at, side) for at in curve[28:-16:16] for side in (-1, 1)]
        costs = []
        for at, side in places:
            box = _put(text, at, side).padded(2)
            outside = box.x0 < ax.bbox.x0 or box.x1 > ax.bbox.x1 or box.y0 < ax.bbox.y0 or box.y1 > ax.bbox.y1
            covered = box.count_contains(ink) + 1000 * (outside + box.count_overlaps(placed))
            costs.append(covered + abs(at[1] - 55) / 100)  # of equally free places the one nearest the middle
        placed.append(_put(text, *places[int(np.argmin(costs))]))


def _put(text: Annotation, at: FloatArray, side: int) -> Bbox:
    """Move a label to the upper left (-1) or the lower right (1) of a point; the pixels that it then covers."""
    text.xy = (at[0], at[1])
    text.set(
        position=(10 * side, -4 * side), ha=_align(-side, "right", "", "left"), va=_align(-side, "bottom", "", "top")
    )
    return text.get_window_extent()
