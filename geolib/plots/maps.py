"""Maps of photos, cells, predictions and errors.

Every function returns `(fig, ax)`, or `(fig, list of axes)` for maps side by side, and takes places in degrees. The
figure carries a description in words, `plots.alt_text(fig)`; `plots.show(fig)` displays it in a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from geolib.cells.quadtree import Partition
from geolib.countries import country_name, country_of
from geolib.evaluate import THRESHOLDS_KM
from geolib.plots import ground, marks
from geolib.plots.ground import BORDER, COAST, COLORS, INK, LARGEST_VIEW_KM, PREDICTION, QUIET, RC, WORLD, View, percent
from geolib.sphere import FloatArray, check_lat_lon, haversine_km

_HEXAGONS = {"gridsize": (156, 44), "extent": (*WORLD.x_limits, *WORLD.y_limits)}  # regular, of 42,000 km2 each

# Photos and errors


@matplotlib.rc_context(RC)
def plot_photos(lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[Figure, Any]:
    """Draw where photos were taken: dots, or from 2,000 photos on their number per hexagon on a logarithmic scale.

    Examples
    --------
    >>> fig, ax = plot_photos([48.9, 40.7], [2.4, -74.0])
    >>> fig.get_label()
    'World map of where 2 photographs were taken.'
    """
    lat, lon = check_lat_lon(lat, lon)
    fig, ax = ground.canvas()
    xy = ground.project(lat, lon, ax)
    if lat.size < 2000:
        ax.scatter(*xy.T, s=16, color=COLORS[0], alpha=0.5, linewidth=0, zorder=3)
    else:
        how: dict[str, Any] = {"norm": LogNorm(), "cmap": ground.ramp("YlGnBu", 0.25, 1), "linewidths": 0.2}
        bins = ax.hexbin(*xy.T, mincnt=1, zorder=3, **_HEXAGONS, **how)
        ax.set_global()  # hexbin narrows the view to its points
        ground.add_ground(ax, "coast", edgecolor=INK, linewidth=0.3, zorder=4)
        ground.color_bar(fig, bins, "photos per hexagon of 42,000 km²")
    ground.caption(fig, f"n = {lat.size:,} photos")
    fig.set_label(f"World map of where {lat.size:,} photographs were taken.")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_error_map(
    lat: npt.ArrayLike, lon: npt.ArrayLike, true_lat: npt.ArrayLike, true_lon: npt.ArrayLike
) -> tuple[Figure, Any]:
    """Draw each photo at its true place, coloured by the error in km on a logarithmic scale.

    Parameters
    ----------
    lat, lon, true_lat, true_lon : (n,) degrees
        Predictions and true places; other numbers of them, and bad coordinates, raise `ValueError`.
    """
    lat, lon = check_lat_lon(lat, lon)
    true_lat, true_lon = check_lat_lon(true_lat, true_lon)
    if lat.size != true_lat.size:
        raise ValueError(f"{lat.size} predictions for {true_lat.size} true places: expected one for each")
    km = np.maximum(haversine_km(lat, lon, true_lat, true_lon), 1e-3)  # 0 has no logarithm
    norm = LogNorm(THRESHOLDS_KM[0], 20_000, clip=True)
    fig, ax = ground.canvas()
    order = np.random.default_rng(0).permutation(km.size)  # else the last photos would hide the others
    size = float(np.clip(60_000 / km.size, 7, 45))
    how: dict[str, Any] = {"norm": norm, "cmap": "viridis_r", "edgecolor": "white", "linewidth": 0.25, "zorder": 4}
    dots = ax.scatter(*ground.project(true_lat[order], true_lon[order], ax).T, s=size, c=km[order], **how)
    ground.color_bar(fig, dots, "error (km), at the true place", ticks=[*THRESHOLDS_KM, 20_000])
    ground.caption(fig, f"n = {km.size:,} photos")
    fig.set_label(f"World map of {km.size:,} photographs coloured by error; the median is {np.median(km):,.0f} km.")
    return fig, ax


# Cells


@matplotlib.rc_context(RC)
def plot_cells(tree: Partition, level: int = -1) -> tuple[Figure, Any]:
    """Draw the cells of one level, coloured by training photos per area on a logarithmic scale.

    Level 0 is the coarsest, -1 the finest; one that the tree does not have raises `ValueError`.

    Examples
    --------
    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([48.9, 40.7], [2.4, -74.0], cells_per_level=(2,), min_photos=1)
    >>> fig, ax = plot_cells(tree)
    """
    counts = tree.counts(level)
    few = counts.size <= 2500  # more edges would hide the small cells
    fig, ax = ground.canvas()
    cells, density, areas = _add_density(ax, tree, level, edgecolor="white", linewidth=0.5 * few, antialiased=few)
    cells.set_norm(_norm_by_area(density, areas, 0.01, 0.999))
    ground.add_ground(ax, "coast", edgecolor=INK, linewidth=0.4, zorder=3)
    ground.color_bar(fig, cells, "training photos per 1,000 km²", extend="both")
    name = f"{counts.size:,} cells (level {level % tree.n_levels})"
    ground.caption(fig, f"{name} · n = {counts.sum():,} photos")
    fig.set_label(f"World map of {name}, small where photos are dense, coloured by training photos per 1,000 km².")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_nesting(tree: Partition, view: View) -> tuple[Figure, Any]:
    """Draw a close-up of all levels: the finest cells coloured by density, thicker edges for coarser levels.

    Parameters
    ----------
    view : (lat, lon, km)
        The middle in degrees, and half the height, at most 4,000 km. Anything else raises `ValueError`.
    """
    _check_view(view)
    fig, ax = ground.canvas(view)
    for level in range(tree.n_levels)[::-1]:
        coarser = tree.n_levels - 1 - level
        color = [*COLORS[1:4], INK][(coarser - 1) % 4] if coarser else "white"
        edges: dict[str, Any] = {"edgecolor": color, "linewidth": 0.6 + 1.1 * coarser}
        if coarser:
            ground.add_shapes(ax, tree.polygons(level), facecolor="none", zorder=2.9 - 0.01 * level, **edges)
        else:
            cells, density, areas = _add_density(ax, tree, level, **edges)
            cells.set_norm(_norm_by_area(density, areas, 0, 1))
            ground.color_bar(fig, cells, "training photos per 1,000 km²")
        x = 0.012 + 0.148 * level
        fig.add_artist(Line2D([x, x + 0.025], [0.062] * 2, color=color if coarser else BORDER, linewidth=3))
        fig.text(x + 0.03, 0.062, f"{tree.n_cells[level]:,} cells", fontsize=12, color=QUIET, va="center")
    ground.add_ground(ax, "coast", edgecolor=INK, linewidth=0.7, zorder=2.5)
    numbers = " > ".join(f"{n:,}" for n in tree.n_cells)
    fig.set_label(
        f"Close-up around {view[0]:.0f}, {view[1]:.0f} of {tree.n_levels} nested levels of cells, {numbers}: each cell "
        "is cut into whole cells of the next level."
    )
    return fig, ax


@matplotlib.rc_context(RC)
def plot_partitions(partitions: Mapping[str, Partition], view: View) -> tuple[Figure, Any]:
    """Draw the finest cells of partitions in a view (see `plot_nesting`), two maps per row, colours on one scale."""
    _check_view(view)
    if not partitions:
        raise ValueError("no partitions: expected one or more")
    titles = [f"{name}: {cells.n_cells[-1]:,} cells" for name, cells in partitions.items()]
    fig, made = ground.small_maps(titles, 2, view)
    drawn = []
    for ax, tree in zip(made, partitions.values(), strict=True):
        drawn.append(_add_density(ax, tree, -1, edgecolor="white", linewidth=0.6))
        ground.add_ground(ax, "coast", edgecolor=INK, linewidth=0.6, zorder=2.5)
    cells, density, areas = zip(*drawn, strict=True)
    norm = _norm_by_area(np.concatenate(density), np.concatenate(areas), 0.05, 0.99)
    for patches in cells:
        patches.set_norm(norm)
    ground.color_bar(fig, cells[0], "training photos per 1,000 km²", extend="both")
    where = f"around {view[0]:.0f}, {view[1]:.0f}"
    fig.set_label(f"{len(made)} maps of cells {where}; on all the Earth {'; '.join(titles)}.")
    return fig, made


def _check_view(view: View) -> None:
    check_lat_lon(view[0], view[1])
    if not 0 < view[2] <= LARGEST_VIEW_KM:
        raise ValueError(f"a view of {view[2]} km: expected half its height, 0 to {LARGEST_VIEW_KM:,.0f} km")


def _add_density(ax: Any, tree: Partition, level: int, **style: Any) -> tuple[PathCollection, FloatArray, FloatArray]:
    """Draw the cells in view, coloured by photos per 1,000 km2; returns the drawing, these numbers, areas in km2."""
    shapes = ground.clip(tree.polygons(level), ax)
    shown = ~shapely.is_empty(shapes)
    areas = tree.areas_km2(level)[shown]
    density = tree.counts(level)[shown] / areas * 1000
    style |= {"array": density, "cmap": ground.ramp("YlGnBu", 0, 1), "zorder": 2}
    return ground.add_shapes(ax, shapes[shown], **style), density, areas


def _norm_by_area(values: FloatArray, areas: FloatArray, low: float, high: float) -> LogNorm:
    """Scale of colours between two quantiles of the area: cells as small as a street would stretch it."""
    order = np.argsort(values)
    ends = np.interp([low, high], np.cumsum(areas[order]) / areas.sum(), values[order])
    return LogNorm(ends[0] / 1.01, ends[1] * 1.01)


# Predictions


@matplotlib.rc_context(RC)
def plot_prediction(
    posterior: npt.ArrayLike,
    tree: Partition,
    *,
    truth: tuple[float, float] | None = None,
    top: int | pd.DataFrame = 5,
    image: Any = None,
    zoom: bool = False,
) -> tuple[Figure, Any]:
    """Draw one prediction: the posterior as shaded cells, the best guesses by rank, the distance to the truth.

    Parameters
    ----------
    posterior : (n_finest,) probabilities
    truth : (lat, lon), optional
    top : int or DataFrame
        How many cells to mark, or a table of guesses with `lat`, `lon`, `probability`, best first.
    image : optional
        Anything that `imshow` takes; shown in a corner.
    zoom : bool
        Show only the region with the guesses, the truth and 90 % of the posterior, if it is small enough.

    Raises `ValueError` for a posterior that does not fit the tree, and for bad coordinates.
    """
    p = _checked_posterior(posterior, tree)
    order, centers = np.argsort(-p, kind="stable"), np.stack(tree.centers(-1))
    if isinstance(top, int):
        best = order[: max(top, 1)]
        top = pd.DataFrame({"lat": centers[0, best], "lon": centers[1, best], "probability": p[best]})
    guesses, shares = check_lat_lon(top["lat"], top["lon"]), np.asarray(top["probability"], dtype=float)
    places = np.stack(guesses) if truth is None else np.hstack([guesses, check_lat_lon(*truth)])
    bulk = order[: np.searchsorted(np.cumsum(p[order]), 0.9 * p.sum()) + 1]
    fig, ax = ground.canvas(ground.close_up(*np.hstack([places, centers[:, bulk]])) if zoom else None)
    cells = ground.shade(ax, p, tree.polygons(-1), p.max())
    ground.color_bar(fig, cells, "probability of the cell", as_percent=True)

    names = [country_name(code) or "open sea" for code in country_of(*places)]
    told = [f"{i + 1} {names[i]} {percent(share)}" for i, share in enumerate(shares)]
    words = f"Map of one prediction; best guesses: {', '.join(told)}."
    if truth is not None:
        dashed: dict[str, Any] = {"color": INK, "linewidth": 1.6, "linestyle": (0, (4, 2))}
        first = (guesses[0][0], guesses[1][0])
        marks.draw_arc(ax, truth, first, **dashed)
        km = marks.label_arc(ax, truth, first, (places[0], places[1]))
        marks.draw_truth(ax, truth)
        words += f" The truth, in {names[-1]}, is {km:,.0f} km from the first."
        told = [*told[:5], f"★ truth: {names[-1]}"]
    marks.draw_guesses(ax, guesses, shares)
    if image is not None:
        marks.inset(fig, ax, image, (places[0], places[1]))
    ground.caption(fig, "\n".join(" · ".join(told[i : i + 3]) for i in (0, 3) if told[i:]))
    fig.set_label(words)
    return fig, ax


def _checked_posterior(posterior: npt.ArrayLike, tree: Partition) -> FloatArray:
    p = np.asarray(posterior, dtype=float)
    if p.shape != (tree.n_cells[-1],):
        raise ValueError(f"posterior of shape {p.shape}: expected ({tree.n_cells[-1]},), one row of `fuse`")
    if not (np.isfinite(p).all() and p.min() >= 0 and p.max() > 0):
        raise ValueError("the posterior is negative, all zero or not finite: expected one row of `fuse`")
    return p


@matplotlib.rc_context(RC)
def plot_decoded(
    posterior: npt.ArrayLike,
    tree: Partition,
    places: Mapping[str, tuple[float, float]],
    *,
    truth: tuple[float, float] | None = None,
) -> tuple[Figure, Any]:
    """Draw several named answers to one photo on its posterior, such as those of the decoding rules.

    Parameters
    ----------
    posterior : (n_finest,) probabilities
    places, truth : name to (lat, lon), (lat, lon)
        Discs and a star. Places that would hide each other share a disc; no place raises `ValueError`.
    """
    p = _checked_posterior(posterior, tree)
    fig, ax = ground.canvas()
    cells = ground.shade(ax, p, tree.polygons(-1), p.max())
    ground.color_bar(fig, cells, "probability of the cell", as_percent=True)
    fig.set_label(f"World map of one posterior with {marks.draw_named(ax, places, truth)}.")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_posteriors(
    posteriors: Mapping[str, npt.ArrayLike],
    tree: Partition,
    *,
    truth: tuple[float, float] | None = None,
    kept: Mapping[str, npt.ArrayLike] | None = None,
    view: View | None = None,
) -> tuple[Figure, Any]:
    """Draw several distributions of one photo, two maps per row, on one scale: rules, levels, or steps of a rule.

    Parameters
    ----------
    posteriors : title to (n_cells[level],) probabilities
        Over the cells of any level; their number tells which. A disc marks the likeliest cell.
        No distribution, or a number of cells that no level has, raises `ValueError`.
    kept : title to cell numbers, optional
        Cells to outline.
    truth, view : (lat, lon), as in `plot_nesting`, optional
    """
    values = {title: np.asarray(given, dtype=float) for title, given in posteriors.items()}
    if not values or any(p.ndim != 1 or p.size not in tree.n_cells or not p.max() > 0 for p in values.values()):
        shapes = [p.shape for p in values.values()]
        raise ValueError(f"{shapes}: expected probabilities over one of {tree.n_cells} cells")
    fig, made = ground.small_maps(list(values), 2, view)
    words, peak = [], max(p.max() for p in values.values())
    for ax, (title, p) in zip(made, values.items(), strict=True):
        level = tree.n_cells.index(p.size)
        polygons = np.array(tree.polygons(level), dtype=object)
        cells = ground.shade(ax, p, polygons, peak)
        if kept and title in kept:
            outlined = polygons[np.asarray(kept[title], dtype=int)]
            ground.add_shapes(ax, outlined, facecolor="none", edgecolor=COLORS[2], linewidth=1.6, zorder=3)
        if truth is not None:
            marks.draw_truth(ax, truth, s=200, linewidth=1.0)
        lat, lon = (float(centre[p.argmax()]) for centre in tree.centers(level))
        marks.draw_disc(ax, (lat, lon), s=75)
        km = "" if truth is None else f", {haversine_km(*truth, lat, lon):,.0f} km from the truth"
        words.append(f"{title}: likeliest cell {percent(p.max())}{km}")
    ground.color_bar(fig, cells, "probability of the cell", as_percent=True)
    legend = ["★ truth"] * (truth is not None) + ["● likeliest cell"] + ["green outline: kept"] * bool(kept)
    ground.caption(fig, " · ".join(legend))
    fig.set_label(f"{len(values)} maps of one photo. {'; '.join(words)}.")
    return fig, made


@matplotlib.rc_context(RC)
def plot_regions(
    regions: Mapping[str, npt.ArrayLike], tree: Partition, *, truth: Mapping[str, tuple[float, float]] | None = None
) -> tuple[Figure, Any]:
    """Draw sets of finest cells, three maps per row, such as those that hold the true place at some confidence.

    Parameters
    ----------
    regions : title to (n_finest,) bool
        No set, or one that does not fit the tree, raises `ValueError`.
    truth : title to (lat, lon), optional
    """
    sets = {title: np.asarray(given) for title, given in regions.items()}
    if not sets or any(cells.dtype != np.bool_ or cells.shape != (tree.n_cells[-1],) for cells in sets.values()):
        given = [(cells.dtype, cells.shape) for cells in sets.values()]
        raise ValueError(f"{given}: expected bool ({tree.n_cells[-1]},)")
    fig, made = ground.small_maps(list(sets), 3)
    polygons, areas, words = np.array(tree.polygons(-1), dtype=object), tree.areas_km2(-1), []
    for ax, (title, cells) in zip(made, sets.items(), strict=True):
        whole = shapely.union_all(polygons[cells])  # drawn one by one, neighbours leave seams
        ground.add_shapes(ax, [whole], facecolor=PREDICTION["color"], linewidth=0, alpha=0.6, zorder=2)
        ground.add_ground(ax, "coast", edgecolor=COAST, linewidth=0.4, zorder=2.5)
        if truth is not None and title in truth:
            marks.draw_truth(ax, truth[title], s=90, linewidth=0.8)
        words.append(f"{title}: {cells.sum():,} of {cells.size:,} cells, {areas[cells].sum():,.0f} km²")
    ground.caption(fig, "shaded: cells in the set" + (" · ★ truth" if truth else ""))
    fig.set_label(f"{len(sets)} maps of sets of cells. {'; '.join(words)}.")
    return fig, made


# A number for each place on Earth


def grid(step: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return the lat and lon, (rows, columns) each, that `plot_field` and `plot_landscape` have values at.

    They stand every `step` degrees, from pole to pole and from -180 to 180, both ends included.

    Examples
    --------
    >>> grid(90)[1][0]
    array([-180.,  -90.,    0.,   90.,  180.])
    """
    axes = np.linspace(-90, 90, round(180 / step) + 1), np.linspace(-180, 180, round(360 / step) + 1)
    lat, lon = np.meshgrid(*axes, indexing="ij")
    return lat, lon


def _fill_map(ax: Any, value: npt.ArrayLike, **how: Any) -> tuple[FloatArray, Any]:
    """Shade a map by the value at each place of a `grid`; returns the values and the shades."""
    field = np.asarray(value, dtype=float)
    if field.ndim != 2 or 2 * (field.shape[0] - 1) != field.shape[1] - 1 or not np.isfinite(field).all():
        raise ValueError(f"values {field.shape}: expected finite numbers at the places of `maps.grid(step)`")
    lat, lon = grid(180 / (field.shape[0] - 1))
    # Just inside: the projection takes the meridian of 180 degrees for the one of -180.
    x, y = (axis.reshape(field.shape) for axis in ground.project(lat.ravel(), lon.ravel() * (1 - 1e-9), ax).T)
    shades = ax.contourf(x, y, field, zorder=2, **how)
    ax.set_global()  # contourf narrows the view to what it fills
    return field, shades


@matplotlib.rc_context(RC)
def plot_field(
    value: npt.ArrayLike,
    levels: Sequence[float],
    labels: Sequence[str],
    *,
    answer: tuple[float, float],
    truth: tuple[float, float] | None = None,
    image: Any = None,
) -> tuple[Figure, Any]:
    """Draw a value all over the Earth in bands, darker where higher: circles around an answer, or a density.

    Parameters
    ----------
    value : (rows, columns)
        At each place of `grid(step)`; others, and values that are not finite, raise `ValueError`.
    levels, labels
        The lower edge of each band, ascending, and its name; else `ValueError`. Lower values have no shade.
    answer, truth : (lat, lon)
        A disc and a star.
    image : optional
        Anything that `imshow` takes; shown in a corner.
    """
    edges = np.asarray(levels, dtype=float)
    if edges.ndim != 1 or not edges.size or not (np.diff(edges) > 0).all() or len(labels) != edges.size:
        raise ValueError(f"levels {levels}, labels {labels}: expected ascending levels and one label for each")
    fig, ax = ground.canvas()
    colors = matplotlib.colormaps["Oranges"](np.linspace(0.25, 0.75, edges.size))
    _fill_map(ax, value, levels=[*edges, np.inf], colors=colors, alpha=0.75)
    ground.add_ground(ax, "coast", edgecolor=COAST, linewidth=0.5, zorder=2.5)
    marked = [answer] if truth is None else [answer, truth]
    if truth is not None:
        marks.draw_truth(ax, truth)
    marks.draw_disc(ax, answer, s=110)
    if image is not None:
        lat, lon = np.array(marked, dtype=float).T
        marks.inset(fig, ax, image, (lat, lon))
    bands = [Line2D([], [], marker="s", markersize=11, linestyle="", color=color, alpha=0.75) for color in colors]
    how: dict[str, Any] = {"frameon": False, "fontsize": 12, "handletextpad": 0.1}
    fig.legend(bands, labels, loc="center right", bbox_to_anchor=(0.99, 0.062), ncols=edges.size, **how)
    ground.caption(fig, "● answer" + (" · ★ truth" if truth is not None else ""))
    fig.set_label(f"World map in bands: {', '.join(labels)}; around an answer at {answer[0]:.1f}, {answer[1]:.1f}.")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_landscape(
    values: npt.ArrayLike,
    label: str,
    places: Mapping[str, tuple[float, float]],
    *,
    truth: tuple[float, float] | None = None,
) -> tuple[Figure, Any]:
    """Draw a number for each place on Earth, such as the score that an answer there would get, and named places.

    The values are those at each place of `grid(step)`, `label` says what they are; for the rest see `plot_decoded`.
    """
    fig, ax = ground.canvas()
    field, shades = _fill_map(ax, values, levels=12, cmap="viridis")
    ground.add_ground(ax, "coast", edgecolor="white", linewidth=0.5, zorder=2.5)
    ground.color_bar(fig, shades, label, ticks=MaxNLocator(5))
    lat, lon = (axis.flat[field.argmax()] for axis in grid(180 / (field.shape[0] - 1)))
    words = f"World map of {label}, highest near {lat:.0f}, {lon:.0f}, with "
    fig.set_label(f"{words}{marks.draw_named(ax, places, truth)}.")
    return fig, ax
