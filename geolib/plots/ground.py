"""What figures share: colours, fonts, and the empty map of land and sea with its colour bar and caption.

World maps use the Equal Earth projection (Savric, Patterson and Jenny 2018), close-ups Lambert's azimuthal one: both
preserve areas. Everything is drawn offline from `data/natural_earth`. Shapes are projected here, vertex by vertex:
they already end at the dateline, so cartopy need not cut them, which would be slow.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cartopy.crs as ccrs
import matplotlib
import numpy as np
import numpy.typing as npt
import shapely
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from PIL import Image

from geolib import sphere
from geolib.countries import Geometries, layer
from geolib.sphere import FloatArray, haversine_km

View = tuple[float, float, float]  # a close-up: lat and lon of its middle, half its height in km
Places = tuple[FloatArray, FloatArray]  # lat (n,), lon (n,)

SEA, LAND, COAST, BORDER, INK, QUIET = "#e4edf3", "#fbfaf6", "#8d9ba6", "#cfc9bc", "#22303a", "#5d6b75"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", INK)  # of systems that are compared; safe for colour blindness
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (2, 1)), "-")
# Truth and prediction look the same in every figure. A posterior is shaded in the prediction's hue.
TRUTH: dict[str, Any] = {"color": COLORS[0], "marker": "*", "edgecolor": "white", "linewidth": 1.4, "s": 480}
PREDICTION: dict[str, Any] = {"color": COLORS[1], "marker": "o", "edgecolor": "white", "linewidth": 1.2}
RC: Any = {"font.size": 13.0, "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK}
RC["text.parse_math"] = False  # names come from strangers: a `$` is no formula
HALO = [patheffects.withStroke(linewidth=3, foreground="white")]
DEGREES, WORLD = ccrs.PlateCarree(), ccrs.EqualEarth()
LARGEST_VIEW_KM = 4000.0  # half the height of the largest close-up: its corners are still on one hemisphere
_ASPECT = 2.03  # width to height of a close-up
_FOOT = 0.76  # inches below the maps, for a caption and a colour bar


def alt_text(fig: Figure) -> str:
    """Return the description of a figure for readers who cannot see it."""
    return str(fig.get_label())


def png(fig: Figure, dpi: int = 110, *, palette: bool = False) -> bytes:
    """Return the figure as a PNG file, with 256 colours where it shows no picture: a third of the bytes.

    `palette=True` reduces the colours of pictures, too. Drawings hardly change; photographs lose their soft shades.
    """
    full, small = io.BytesIO(), io.BytesIO()
    fig.savefig(full, dpi=dpi, facecolor="white")
    image = Image.open(full).convert("RGB")
    if palette or not any(ax.images for ax in fig.axes):
        image = _with_palette(image)
    image.save(small, "PNG", optimize=True)
    return small.getvalue()


def _with_palette(image: Image.Image) -> Image.Image:
    """Reduce to 256 colours. The colours with a meaning stay exact: a free palette spends none on a small marker."""
    exact = np.round(255 * np.array([to_rgb(color) for color in (*COLORS, SEA, LAND, "white")])).astype(np.uint8)
    others = image.quantize(256 - len(exact), dither=Image.Dither.NONE)
    indices, pixels = np.array(others) + np.uint8(len(exact)), np.asarray(image)
    for number, color in enumerate(exact):
        indices[(pixels == color).all(axis=2)] = number
    reduced = Image.fromarray(indices)
    reduced.putpalette((exact.tobytes() + bytes(others.getpalette() or []))[: 3 * 256])
    return reduced


def show(fig: Figure, dpi: int = 110, *, palette: bool = False) -> None:
    """Display the figure in a notebook, with its alt text; see `png` for `palette`."""
    from IPython.display import Image as Picture  # every notebook has IPython, the library alone does not need it
    from IPython.display import display

    display(Picture(data=png(fig, dpi, palette=palette), format="png", alt=alt_text(fig)))


def percent(share: float) -> str:
    """Write a probability in whole per cent, never 0 for a small one.

    Examples
    --------
    >>> percent(0.237), percent(0.001)
    ('24 %', '<1 %')
    """
    return "<1 %" if share < 0.01 else f"{100 * share:.0f} %"


def quiet(ax: Axes) -> None:
    """Give axes the style of the course: a thin grid behind the data, no frame at the top and the right."""
    ax.grid(color=BORDER, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[:].set_color(COAST)
    ax.tick_params(color=COAST, labelcolor=QUIET)


# Shapes and their projection


@lru_cache(maxsize=3)
def ground_shapes(kind: str) -> Geometries:
    """Return the `land`, its `coast` (without the cuts at dateline and pole) or the `borders` of countries."""
    if kind == "borders":
        return layer("cultural", "ne_50m_admin_0_boundary_lines_land")[0]
    land, _ = layer("physical", "ne_50m_land")
    if kind == "land":
        return land
    cuts = shapely.multilinestrings([[(-180, -90), (-180, 90)], [(180, -90), (180, 90)], [(-180, -90), (180, -90)]])
    coast: Geometries = shapely.difference(shapely.boundary(land), cuts)
    return coast


@lru_cache(maxsize=3)
def world_paths(kind: str) -> list[Path]:
    """Return the `ground_shapes` on the world map."""
    return _paths(ground_shapes(kind), WORLD)


def add_ground(ax: Any, kind: str, **style: Any) -> None:
    """Draw the `land`, `coast` or `borders` on a map."""
    made = world_paths(kind) if ax.projection is WORLD else _paths(clip(ground_shapes(kind), ax), ax.projection)
    ax.add_collection(PathCollection(made, **({"facecolor": "none"} | style)), autolim=False)


def add_shapes(ax: Any, shapes: Any, **style: Any) -> PathCollection:
    """Draw shapes (degrees, x is longitude) on a map; `array` colours each by a number."""
    made = PathCollection(_paths(clip(shapes, ax), ax.projection), **style)
    ax.add_collection(made, autolim=False)
    return made


def shade(ax: Any, p: FloatArray, shapes: Any, peak: float) -> PathCollection:
    """Shade cells by their probabilities (n,), and draw the coast on top; below a thousandth of `peak` no shade."""
    shown = p >= peak / 1000
    style: dict[str, Any] = {"norm": LogNorm(peak / 1000, peak), "cmap": ramp("Oranges", 0.1, 0.8), "alpha": 0.85}
    # Not antialiased: smoothed one by one, neighbours would leave seams.
    shapes = np.asarray(shapes, dtype=object)[shown]
    cells = add_shapes(ax, shapes, array=p[shown], linewidth=0, antialiased=False, zorder=2, **style)
    add_ground(ax, "coast", edgecolor=COAST, linewidth=0.5, zorder=2.5)
    return cells


def clip(shapes: Any, ax: Any) -> Geometries:
    """Return the part of shapes that a map can show; beyond the horizon of a close-up they would turn inside out."""
    shapes = np.asarray(shapes, dtype=object)
    if ax.projection is WORLD:
        return np.asarray(shapes)
    lat, lon = (ax.projection.proj4_params[name] for name in ("lat_0", "lon_0"))
    to_corner_km = np.hypot(ax.get_xlim()[1], ax.get_ylim()[1]) / 1000
    reach = to_corner_km * 1.05 / sphere.EARTH_RADIUS_KM  # an angle
    south, north, half = lat - np.degrees(reach), lat + np.degrees(reach), 180.0  # at a pole, all longitudes
    if south > -90 and north < 90:
        half = np.degrees(np.arcsin(np.sin(reach) / np.cos(np.radians(lat))))
    turns = [shapely.box(lon - half + turn, south, lon + half + turn, north) for turn in (-360, 0, 360)]
    window = shapely.intersection(shapely.union_all(turns), shapely.box(-180, -90, 180, 90))
    clipped: Geometries = shapely.intersection(shapes, window)
    return clipped


def project(lat: npt.ArrayLike, lon: npt.ArrayLike, ax: Any) -> FloatArray:
    """Return the positions (n, 2) of places on a map, in the metres of its axes."""
    xy: FloatArray = ax.projection.transform_points(DEGREES, np.atleast_1d(lon), np.atleast_1d(lat))[:, :2]
    return xy


def _paths(shapes: Geometries, crs: Any) -> list[Path]:
    """One matplotlib path per shape (degrees), with a vertex every degree so that long edges curve."""
    shapes = shapely.segmentize(shapely.normalize(shapes), 1.0)
    parts, owner = shapely.get_parts(shapes, return_index=True)
    parts = np.where(shapely.get_dimensions(parts) == 2, shapely.boundary(parts), parts)
    lines, part = shapely.get_parts(parts, return_index=True)
    points, line = shapely.get_coordinates(lines, return_index=True)
    codes = np.full(len(points), Path.LINETO, dtype=Path.code_type)
    codes[np.flatnonzero(np.diff(line, prepend=-1))] = Path.MOVETO
    vertices = crs.transform_points(DEGREES, *points.T)[:, :2]
    ends = np.searchsorted(owner[part][line], np.arange(1, len(shapes)))
    return [Path(v, c) for v, c in zip(np.split(vertices, ends), np.split(codes, ends), strict=True)]


# Empty maps


def canvas(view: View | None = None) -> tuple[Figure, Any]:
    """Make an empty map of the world, or a close-up, with room for a caption and a colour bar below."""
    fig = Figure(figsize=(11, 6.1))
    return fig, ground_axes(fig, (0.01, 0.125, 0.98, 0.87), view)


def small_maps(titles: Sequence[str], columns: int, view: View | None = None) -> tuple[Figure, list[Any]]:
    """Make empty maps in rows, a bold title above each, with room for a caption and a colour bar below."""
    columns = min(columns, len(titles))
    panel = 11 / columns * (0.487 if view is None else 1 / _ASPECT)  # the height of an Equal Earth map of that width
    height = -(-len(titles) // columns) * (panel + 0.34) + _FOOT
    fig, made = Figure(figsize=(11, height)), []
    for number, title in enumerate(titles):
        left, top = number % columns / columns, 1 - (number // columns) * (panel + 0.34) / height
        box = (left + 0.005, top - (panel + 0.32) / height, 1 / columns - 0.01, panel / height)
        made.append(ground_axes(fig, box, view))
        fig.text(left + 0.012, top - 0.17 / height, title, va="center", fontsize=13, weight="bold")
    return fig, made


def ground_axes(fig: Figure, box: tuple[float, float, float, float], view: View | None = None) -> Any:
    """Add an empty map of the world, or a close-up, at `box` (left, bottom, width, height)."""
    ax: Any = fig.add_axes(box, projection=WORLD if view is None else ccrs.LambertAzimuthalEqualArea(view[1], view[0]))
    if view is None:
        ax.set_global()
    else:
        half = view[2] * 1000
        ax.set(xlim=(-half * _ASPECT, half * _ASPECT), ylim=(-half, half))
    ax.set_facecolor(SEA)
    ax.spines["geo"].set(edgecolor=COAST, linewidth=0.6)
    add_ground(ax, "land", facecolor=LAND, linewidth=0, zorder=1)
    add_ground(ax, "borders", edgecolor=BORDER, linewidth=0.4, zorder=1.1)
    add_ground(ax, "coast", edgecolor=COAST, linewidth=0.4, zorder=1.2)
    return ax


def close_up(lat: FloatArray, lon: FloatArray) -> View | None:
    """Find the smallest close-up with all these places; None where only a map of the world holds them."""
    vectors = sphere.unit_vectors(lat, lon)
    middle = vectors[0]
    for step in range(2, 200):  # Badoiu and Clarkson (2003): ever smaller steps to the farthest point
        middle = middle + (vectors[np.argmin(vectors @ middle)] - middle) / step
    if not middle.any():  # two antipodes have no middle
        return None
    middle_lat, middle_lon = sphere.to_lat_lon(middle)
    half_height = max(200.0, 1.25 * float(haversine_km(middle_lat, middle_lon, lat, lon).max()))
    return (float(middle_lat), float(middle_lon), half_height) if half_height <= LARGEST_VIEW_KM else None


def ramp(name: str, start: float, stop: float) -> ListedColormap:
    """Return a part of a matplotlib colormap, from `start` to `stop` (0 to 1)."""
    return ListedColormap(matplotlib.colormaps[name](np.linspace(start, stop, 256)))


def color_bar(fig: Figure, drawn: Any, label: str, *, as_percent: bool = False, **how: Any) -> None:
    """Add a colour bar with plain numbers at the lower right of maps; `how` is for `Figure.colorbar`."""
    height = fig.get_figheight()
    how.setdefault("ticks", LogLocator(numticks=6))
    box = (0.62, 0.305 / height, 0.34, 0.134 / height)
    bar = fig.colorbar(drawn, cax=fig.add_axes(box), orientation="horizontal", **how)
    bar.ax.set_title(label, fontsize=12, pad=4)
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.4g} %" if as_percent else f"{v:,.10g}"))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(labelsize=11, length=3, color=QUIET, labelcolor=QUIET, pad=2)
    bar.ax.spines[:].set_visible(False)


def caption(fig: Figure, text: str) -> None:
    """Write a quiet line or two at the lower left of maps."""
    y = 0.378 / fig.get_figheight()
    fig.text(0.012, y, text, fontsize=12, color=QUIET, va="center", linespacing=1.6)
