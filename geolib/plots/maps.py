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
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from geolib.cells.quadtree import Partition
from geolib.countries import country_name, country_of
from geolib.evaluate import THRESHOLDS_KM, errors_km
from geolib.plots import ground, marks
from geolib.plots.ground import BORDER, COAST, COLORS, INK, PREDICTION, QUIET, RC, TRUTH, WORLD, Place, View, percent
from geolib.sphere import FloatArray, check_lat_lon, haversine_km

_HEXAGONS: Any = {"gridsize": (156, 44), "extent": (*WORLD.x_limits, *WORLD.y_limits)}  # regular, of 42,000 km2 each

# Photos and errors


@matplotlib.rc_context(RC)
def plot_photos(lat: npt.ArrayLike, lon: npt.ArrayLike, *, noun: str = "photos") -> tuple[Figure, Any]:
    """Draw where photos were taken: dots, or from 2,000 photos on their number per hexagon on a logarithmic scale.

    `noun` says what is counted, as `Dataset.noun` does.
    """
    lat, lon = check_lat_lon(lat, lon)
    fig, ax = ground.canvas()
    xy = ground.project(lat, lon, ax)
    if lat.size < 2000:
        ax.scatter(*xy.T, s=16, color=COLORS[0], alpha=0.5, linewidth=0, zorder=3)
    else:
        blues = ListedColormap(matplotlib.colormaps["YlGnBu"](np.linspace(0.25, 1, 256)))
        bins = ax.hexbin(*xy.T, mincnt=1, norm=LogNorm(), cmap=blues, linewidths=0.2, zorder=3, **_HEXAGONS)
        ax.set_global()  # hexbin narrows the view to its points
        ground.add_ground(ax, "coast", edgecolor=INK, linewidth=0.3, zorder=4)
        ground.color_bar(fig, bins, f"{noun} per hexagon of 42,000 km²")
    ground.caption(fig, f"n = {lat.size:,} {noun}")
    fig.set_label(f"World map with the places of {lat.size:,} {noun}.")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_error_map(
    lat: npt.ArrayLike, lon: npt.ArrayLike, true_lat: npt.ArrayLike, true_lon: npt.ArrayLike, *, noun: str = "photos"
) -> tuple[Figure, Any]:
    """Draw each photo at its true place, coloured by the error in km on a logarithmic scale.

    `noun` says what is counted, as `Dataset.noun` does. Unequal numbers of predictions and true places, and bad
    coordinates, raise `ValueError`.
    """
    km = np.maximum(errors_km(lat, lon, true_lat, true_lon), 1e-3)  # 0 has no logarithm
    fig, ax = ground.canvas()
    order = np.random.default_rng(0).permutation(km.size)  # else the last photos would hide the others
    how: dict[str, Any] = {"cmap": "viridis_r", "edgecolor": "white", "linewidth": 0.25, "zorder": 4}
    how |= {"norm": LogNorm(THRESHOLDS_KM[0], 20_000, clip=True), "s": np.clip(60_000 / km.size, 7, 45)}
    dots = ax.scatter(*ground.project(true_lat, true_lon, ax)[order].T, c=km[order], **how)
    ground.color_bar(fig, dots, "error (km), at the true place", ticks=[*THRESHOLDS_KM, 20_000])
    ground.caption(fig, f"n = {km.size:,} {noun}")
    fig.set_label(f"World map of {km.size:,} {noun} coloured by error; the median is {np.median(km):,.0f} km.")
    return fig, ax


# Cells


@matplotlib.rc_context(RC)
def plot_cells(tree: Partition, level: int = -1, *, noun: str = "photos") -> tuple[Figure, Any]:
    """Draw the cells of one level, coloured by training photos per area on a logarithmic scale.

    Level 0 is the coarsest, -1 the finest; one that the tree does not have raises `ValueError`. `noun` says what is
    counted, as `Dataset.noun` does.
    """
    counts = tree.counts(level)
    few = counts.size <= 2500  # more edges would hide the small cells
    fig, ax = ground.canvas()
    _shade_density(fig, [ax], [tree], level, noun, edgecolor="white", linewidth=0.5 * few, antialiased=few)
    name = f"{counts.size:,} cells (level {level % tree.n_levels})"
    ground.caption(fig, f"{name} · n = {counts.sum():,} {noun}")
    fig.set_label(f"World map of {name}, small where {noun} are dense, coloured by training {noun} per 1,000 km².")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_nesting(tree: Partition, view: View) -> tuple[Figure, Any]:
    """Draw a close-up of all levels: the finest cells coloured by density, thicker edges for coarser levels.

    `view` is the middle in degrees and half the height, at most 4,000 km; anything else raises `ValueError`.
    """
    fig, ax = ground.canvas(view)
    _shade_density(fig, [ax], [tree], -1, edgecolor="white", linewidth=0.6)
    colors = [BORDER, *COLORS[1:4], INK]  # fine to coarse
    for level in range(tree.n_levels)[::-1]:
        finer = tree.n_levels - 1 - level  # levels that are finer
        color = colors[finer % len(colors)]
        if finer:
            edges = {"edgecolor": color, "linewidth": 0.6 + 1.1 * finer, "facecolor": "none"}
            ground.add_shapes(ax, tree.polygons(level), zorder=2.9 - 0.01 * level, **edges)
        x = 0.012 + 0.148 * level
        fig.add_artist(Line2D([x, x + 0.025], [0.062] * 2, color=color, linewidth=3))
        fig.text(x + 0.03, 0.062, f"{tree.n_cells[level]:,} cells", fontsize=12, color=QUIET, va="center")
    numbers = " > ".join(f"{n:,}" for n in tree.n_cells)
    words = f"Close-up around {view[0]:.0f}, {view[1]:.0f} of {tree.n_levels} nested levels of cells"
    fig.set_label(f"{words}, {numbers}: each cell is cut into whole cells of the next level.")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_partitions(partitions: Mapping[str, Partition], view: View) -> tuple[Figure, Any]:
    """Draw the finest cells of partitions in a view (see `plot_nesting`), two maps per row, colours on one scale."""
    titles = [f"{name}: {cells.n_cells[-1]:,} cells" for name, cells in partitions.items()]
    fig, made = ground.small_maps(titles, 2, view)
    _shade_density(fig, made, list(partitions.values()), -1, edgecolor="white", linewidth=0.6)
    where = f"around {view[0]:.0f}, {view[1]:.0f}"
    fig.set_label(f"{len(made)} maps of cells {where}; on all the Earth {'; '.join(titles)}.")
    return fig, made


def _shade_density(
    fig: Figure, axes: Sequence[Any], trees: Sequence[Partition], level: int, noun: str = "photos", **style: Any
) -> None:
    """Shade the cells in view by photos per 1,000 km2, one map per tree, on one scale of colours."""
    drawn = []
    for ax, tree in zip(axes, trees, strict=True):
        shapes = ground.clip(tree.polygons(level), ax)
        shown = ~shapely.is_empty(shapes)
        areas = tree.areas_km2(level)[shown]
        density = tree.counts(level)[shown] / areas * 1000
        cells = ground.add_shapes(ax, shapes[shown], array=density, cmap="YlGnBu", zorder=2, **style)
        ground.add_ground(ax, "coast", edgecolor=INK, linewidth=0.5, zorder=2.5)
        drawn.append((cells, density, areas))
    # The scale ends at quantiles of the area: cells as small as a street would stretch it.
    density, areas = (np.concatenate([part[i] for part in drawn]) for i in (1, 2))
    order = np.argsort(density)
    ends = np.interp([0.01, 0.999], np.cumsum(areas[order]) / areas.sum(), density[order])
    norm = LogNorm(ends[0] / 1.01, ends[1] * 1.01)
    for cells, *_ in drawn:
        cells.set_norm(norm)
    ground.color_bar(fig, cells, f"training {noun} per 1,000 km²", extend="both")


# Predictions


@matplotlib.rc_context(RC)
def plot_prediction(
    posterior: npt.ArrayLike,
    tree: Partition,
    *,
    truth: Place | None = None,
    top: int | pd.DataFrame = 5,
    image: Any = None,
    zoom: bool = False,
) -> tuple[Figure, Any]:
    """Draw one prediction: the posterior as shaded cells, the best guesses by rank, the distance to the truth.

    Parameters
    ----------
    posterior : (n_finest,) probabilities
        One that does not fit the tree raises `ValueError`.
    top
        How many cells to mark, or a table of guesses with `lat`, `lon`, `probability`, best first. If probabilities are
        NaN, as in `Prediction.to_frame` of an unfamiliar image, the map names none.
    image
        Anything that `imshow` takes; shown in a corner.
    zoom
        Show only the region with the guesses, the truth and 90 % of the posterior, if it is small enough.
    """
    p = _distribution("posterior", posterior, tree.n_cells[-1:])
    order, centers = np.argsort(-p, kind="stable"), np.stack(tree.centers(-1))
    if isinstance(top, int):
        best = order[: max(top, 1)]
        top = pd.DataFrame({"lat": centers[0, best], "lon": centers[1, best], "probability": p[best]})
    guesses, shares = np.stack(check_lat_lon(top["lat"], top["lon"])), np.asarray(top["probability"], dtype=float)
    places = guesses if truth is None else np.hstack([guesses, check_lat_lon(*truth)])
    bulk = order[: np.searchsorted(np.cumsum(p[order]), 0.9 * p.sum()) + 1]
    fig, ax = ground.canvas(ground.close_up(*np.hstack([places, centers[:, bulk]])) if zoom else None)
    known = bool(np.isfinite(shares).all())
    _shade_posteriors(fig, [ax], [p], tree, scale=known)

    names = [country_name(code) or "open sea" for code in country_of(*places)]
    told = [f"{i + 1} {names[i]} {percent(share) if known else ''}".rstrip() for i, share in enumerate(shares)]
    words = f"Map of one prediction; best guesses: {', '.join(told)}."
    if truth is not None:
        first = (guesses[0, 0], guesses[1, 0])
        km = f"{haversine_km(*truth, *first):,.0f} km"
        arc = marks.draw_arc(ax, truth, first, color=INK, linewidth=1.6, linestyle=(0, (4, 2)))
        marks.label_arc(ax, arc, km, (places[0], places[1]))
        marks.draw_mark(ax, truth, TRUTH, zorder=4)
        words += f" The truth, in {names[-1]}, is {km} from the first."
        told = [*told[:5], f"★ truth: {names[-1]}"]
    marks.draw_guesses(ax, (guesses[0], guesses[1]), np.nan_to_num(shares))
    if image is not None:
        marks.inset(fig, ax, image, (places[0], places[1]))
    ground.caption(fig, "\n".join(" · ".join(told[i : i + 3]) for i in (0, 3) if told[i:]))
    fig.set_label(words)
    return fig, ax


def _distribution(name: str, given: npt.ArrayLike, sizes: Sequence[int]) -> FloatArray:
    p = np.asarray(given, dtype=float)
    if p.ndim != 1 or p.size not in sizes or not np.isfinite(p).all() or p.min() < 0 or p.max() <= 0:
        raise ValueError(f"{name} {p.shape}: expected probabilities of {sizes} cells, such as one row of `fuse`")
    return p


def _shade_posteriors(
    fig: Figure, axes: Sequence[Any], values: Sequence[FloatArray], tree: Partition, scale: bool = True
) -> None:
    """Shade cells by their probabilities, one map per distribution, on one scale down to a thousandth of its top."""
    peak = max(p.max() for p in values)
    oranges = ListedColormap(matplotlib.colormaps["Oranges"](np.linspace(0.1, 0.8, 256)))
    style: dict[str, Any] = {"norm": LogNorm(peak / 1000, peak), "cmap": oranges, "alpha": 0.85, "zorder": 2}
    style |= {"linewidth": 0, "antialiased": False}  # smoothed one by one, neighbours would leave seams
    for ax, p in zip(axes, values, strict=True):
        shown, polygons = p >= peak / 1000, np.array(tree.polygons(tree.n_cells.index(p.size)), dtype=object)
        drawn = ground.add_shapes(ax, polygons[shown], array=p[shown], **style)
        ground.add_ground(ax, "coast", edgecolor=COAST, linewidth=0.5, zorder=2.5)
    if scale:
        ground.color_bar(fig, drawn, "probability of the cell", as_percent=True)


@matplotlib.rc_context(RC)
def plot_decoded(
    posterior: npt.ArrayLike, tree: Partition, places: Mapping[str, Place], *, truth: Place
) -> tuple[Figure, Any]:
    """Draw several named answers to one photo on its posterior (n_finest,), such as those of the decoding rules.

    Places that would hide each other share a disc; no place raises `ValueError`.
    """
    p = _distribution("posterior", posterior, tree.n_cells[-1:])
    fig, ax = ground.canvas()
    _shade_posteriors(fig, [ax], [p], tree)
    fig.set_label(f"World map of one posterior with {marks.draw_named(ax, places, truth)}.")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_posteriors(
    posteriors: Mapping[str, npt.ArrayLike],
    tree: Partition,
    *,
    truth: Place,
    kept: Mapping[str, npt.ArrayLike] | None = None,
    view: View | None = None,
) -> tuple[Figure, Any]:
    """Draw several distributions of one photo, two maps per row, on one scale: rules, levels, or steps of a rule.

    Parameters
    ----------
    posteriors : title to (n_cells[level],) probabilities
        Over the cells of any level: their number tells which, and one that no level has raises `ValueError`.
    kept : title to cell numbers, optional
        Cells to outline.
    view
        See `plot_nesting`.
    """
    values = [_distribution(title, given, tree.n_cells) for title, given in posteriors.items()]
    fig, made = ground.small_maps(list(posteriors), 2, view)
    _shade_posteriors(fig, made, values, tree)
    words = []
    for ax, title, p in zip(made, posteriors, values, strict=True):
        level = tree.n_cells.index(p.size)
        if kept and title in kept:
            outlined = np.array(tree.polygons(level), dtype=object)[np.asarray(kept[title], dtype=int)]
            ground.add_shapes(ax, outlined, facecolor="none", edgecolor=COLORS[2], linewidth=1.6, zorder=3)
        lat, lon = (float(centre[p.argmax()]) for centre in tree.centers(level))
        marks.draw_mark(ax, truth, TRUTH, s=200, linewidth=1.0, zorder=4)
        marks.draw_mark(ax, (lat, lon), PREDICTION, s=75)
        km = float(haversine_km(*truth, lat, lon))
        words.append(f"{title}: likeliest cell {percent(p.max())}, {km:,.0f} km from the truth")
    ground.caption(fig, "★ truth · ● likeliest cell" + " · green outline: kept" * bool(kept))
    fig.set_label(f"{len(values)} maps of one photo. {'; '.join(words)}.")
    return fig, made


@matplotlib.rc_context(RC)
def plot_regions(
    regions: Mapping[str, npt.ArrayLike], tree: Partition, *, truth: Mapping[str, Place]
) -> tuple[Figure, Any]:
    """Draw sets of finest cells, three maps per row, such as those that hold the true place at some confidence.

    `regions` are title to (n_finest,) bool. No set, or one that does not fit the tree, raises `ValueError`.
    """
    fig, made = ground.small_maps(list(regions), 3)
    polygons, areas, words = np.array(tree.polygons(-1), dtype=object), tree.areas_km2(-1), []
    for ax, (title, given) in zip(made, regions.items(), strict=True):
        cells = np.asarray(given)
        if cells.dtype != np.bool_ or cells.shape != areas.shape:
            raise ValueError(f"{title}: {cells.dtype} {cells.shape}, expected bool {areas.shape}")
        whole = shapely.union_all(polygons[cells])  # drawn one by one, neighbours leave seams
        ground.add_shapes(ax, [whole], facecolor=PREDICTION["color"], linewidth=0, alpha=0.6, zorder=2)
        ground.add_ground(ax, "coast", edgecolor=COAST, linewidth=0.4, zorder=2.5)
        marks.draw_mark(ax, truth[title], TRUTH, s=90, linewidth=0.8, zorder=4)
        words.append(f"{title}: {cells.sum():,} of {cells.size:,} cells, {areas[cells].sum():,.0f} km²")
    ground.caption(fig, "shaded: cells in the set · ★ truth")
    fig.set_label(f"{len(made)} maps of sets of cells. {'; '.join(words)}.")
    return fig, made


# A number for each place on Earth


def grid(step: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return the lat and lon, (rows, columns) each, of the values of `plot_field` and `plot_landscape`.

    They are `step` degrees apart, from pole to pole and from -180 to 180, both ends included.

    Examples
    --------
    >>> grid(90)[1][0]
    array([-180.,  -90.,    0.,   90.,  180.])
    """
    n = round(180 / step)
    lat, lon = np.meshgrid(np.linspace(-90, 90, n + 1), np.linspace(-180, 180, 2 * n + 1), indexing="ij")
    return lat, lon


def _fill_map(ax: Any, value: npt.ArrayLike, **how: Any) -> Any:
    """Shade a map by the value at each place of a `grid`."""
    field = np.asarray(value, dtype=float)
    if field.ndim != 2 or field.shape[1] != 2 * field.shape[0] - 1 or not np.isfinite(field).all():
        raise ValueError(f"values {field.shape}: expected finite numbers at the places of `maps.grid(step)`")
    lat, lon = grid(180 / (len(field) - 1))
    # Just inside: the projection takes the meridian of 180 degrees for the one of -180.
    x, y = (axis.reshape(field.shape) for axis in ground.project(lat.ravel(), lon.ravel() * (1 - 1e-9), ax).T)
    shades = ax.contourf(x, y, field, zorder=2, **how)
    ax.set_global()  # contourf narrows the view to what it fills
    return shades


@matplotlib.rc_context(RC)
def plot_field(
    value: npt.ArrayLike, levels: Sequence[float], labels: Sequence[str], *, answer: Place, truth: Place, image: Any
) -> tuple[Figure, Any]:
    """Draw a value all over the Earth in bands, darker where higher: circles around an answer, or a density.

    `value` are finite numbers at the places of `grid(step)`. `levels` are the lower edges of the bands, ascending, and
    `labels` their names. Anything else raises `ValueError`.
    """
    if not 0 < len(levels) == len(labels) or (np.diff(levels) <= 0).any():
        raise ValueError(f"levels {levels}, labels {labels}: expected ascending levels and one label for each")
    fig, ax = ground.canvas()
    colors = matplotlib.colormaps["Oranges"](np.linspace(0.25, 0.75, len(levels)))
    _fill_map(ax, value, levels=[*levels, np.inf], colors=colors, alpha=0.75)
    ground.add_ground(ax, "coast", edgecolor=COAST, linewidth=0.5, zorder=2.5)
    marks.draw_mark(ax, truth, TRUTH, zorder=4)
    marks.draw_mark(ax, answer, PREDICTION, s=110)
    marks.inset(fig, ax, image, (np.array([answer[0], truth[0]]), np.array([answer[1], truth[1]])))
    bands = [Patch(color=color, alpha=0.75) for color in colors]
    how: dict[str, Any] = {"frameon": False, "fontsize": 12, "handlelength": 0.9, "handletextpad": 0.5}
    fig.legend(bands, labels, loc="center right", bbox_to_anchor=(0.99, 0.062), ncols=len(levels), **how)
    ground.caption(fig, "● answer · ★ truth")
    fig.set_label(f"World map in bands: {', '.join(labels)}; around an answer at {answer[0]:.1f}, {answer[1]:.1f}.")
    return fig, ax


@matplotlib.rc_context(RC)
def plot_landscape(
    values: npt.ArrayLike, label: str, places: Mapping[str, Place], *, truth: Place
) -> tuple[Figure, Any]:
    """Draw a number for each place on Earth, such as the score that an answer there would get, and named places.

    The values are those at each place of `grid(step)`, and `label` names them; for the places see `plot_decoded`.
    """
    fig, ax = ground.canvas()
    ground.color_bar(fig, _fill_map(ax, values, levels=12, cmap="viridis"), label, ticks=MaxNLocator(5))
    ground.add_ground(ax, "coast", edgecolor="white", linewidth=0.5, zorder=2.5)
    lat, lon = (axis.flat[np.argmax(values)] for axis in grid(180 / (len(np.asarray(values)) - 1)))
    words = f"World map of {label}, highest near {lat:.0f}, {lon:.0f}, with "
    fig.set_label(f"{words}{marks.draw_named(ax, places, truth)}.")
    return fig, ax
