"""What figures share: colours, fonts, and the empty map of land and sea with its colour bar and caption.

World maps use the Equal Earth projection (Savric, Patterson and Jenny 2018), close-ups Lambert's azimuthal one: both
preserve areas. Shapes come from `data/natural_earth`. They already end at the dateline, so we project their vertices
ourselves: cartopy would first cut them, which is slow.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import cartopy.crs as ccrs
import numpy as np
import numpy.typing as npt
import shapely
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from PIL import Image

from geolib import sphere
from geolib.countries import Geometries, layer
from geolib.sphere import FloatArray, check_lat_lon, haversine_km

View = tuple[float, float, float]  # a close-up: lat and lon of its middle, half its height in km
Place = tuple[float, float]  # lat, lon
Places = tuple[FloatArray, FloatArray]  # lat (n,), lon (n,)

SEA, LAND, COAST, BORDER, INK, QUIET = "#e4edf3", "#fbfaf6", "#8d9ba6", "#cfc9bc", "#22303a", "#5d6b75"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", INK)  # of systems that are compared; safe for colour blindness
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (2, 1)), "-")
# Truth and prediction look the same in every figure. A posterior is shaded in the prediction's hue.
TRUTH: dict[str, Any] = {"color": COLORS[0], "marker": "*", "edgecolor": "white", "linewidth": 1.4, "s": 480}
PREDICTION: dict[str, Any] = {"color": COLORS[1], "marker": "o", "edgecolor": "white", "linewidth": 1.2}
RC: Any = {"font.size": 13.0, "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK}
RC["text.parse_math"] = False  # names come from strangers: a `$` is no formula
DEGREES, WORLD = ccrs.PlateCarree(), ccrs.EqualEarth()
LARGEST_VIEW_KM = 4000.0  # half the height of the largest close-up: its corners are still on one hemisphere
_ASPECT = 2.03  # width to height of a close-up


def alt_text(fig: Figure) -> str:
    """Return the description of a figure for readers who cannot see it."""
    return str(fig.get_label())


def png(fig: Figure, dpi: int = 110, *, palette: bool = False) -> bytes:
    """Return the figure as a PNG file, with 256 colours if it shows no picture or if `palette` is set.

    256 colours take a third of the bytes. Photographs lose their soft shades, drawings hardly change.
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
    """Display the figure in a notebook, with its alt text. For `palette` see `png`."""
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
    return np.asarray(shapely.difference(shapely.boundary(land), cuts))


@lru_cache(maxsize=3)
def world_paths(kind: str) -> list[Path]:
    """Return the `ground_shapes` on the world map."""
    return _paths(ground_shapes(kind), WORLD)


def add_ground(ax: Any, kind: str, **style: Any) -> None:
    """Draw the `land`, `coast` or `borders` on a map."""
    paths = world_paths(kind) if ax.projection is WORLD else _paths(clip(ground_shapes(kind), ax), ax.projection)
    ax.add_collection(PathCollection(paths, **({"facecolor": "none"} | style)), autolim=False)


def add_shapes(ax: Any, shapes: Any, **style: Any) -> PathCollection:
    """Draw shapes (degrees, x is longitude) on a map; `array` colours each by a number."""
    drawn = PathCollection(_paths(clip(shapes, ax), ax.projection), **style)
    ax.add_collection(drawn, autolim=False)
    return drawn


def clip(shapes: Any, ax: Any) -> Geometries:
    """Return the part of shapes that a map can show; beyond the horizon of a close-up they would turn inside out."""
    clipped: Geometries = np.asarray(shapes, dtype=object)
    if ax.projection is WORLD:
        return clipped
    lat, lon = (ax.projection.proj4_params[name] for name in ("lat_0", "lon_0"))
    reach = 1.05 * np.hypot(ax.get_xlim()[1], ax.get_ylim()[1]) / 1000 / sphere.EARTH_RADIUS_KM  # to a corner, radians
    south, north, half = lat - np.degrees(reach), lat + np.degrees(reach), 180.0  # at a pole, all longitudes
    if south > -90 and north < 90:
        half = np.degrees(np.arcsin(np.sin(reach) / np.cos(np.radians(lat))))
    window = shapely.union_all([shapely.box(x - half, south, x + half, north) for x in (lon - 360, lon, lon + 360)])
    return np.asarray(shapely.intersection(clipped, window))


def project(lat: npt.ArrayLike, lon: npt.ArrayLike, ax: Any) -> FloatArray:
    """Return the positions (n, 2) of places on a map, in the metres of its axes."""
    return np.asarray(ax.projection.transform_points(DEGREES, np.atleast_1d(lon), np.atleast_1d(lat))[:, :2])


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


# Maps


def canvas(view: View | None = None) -> tuple[Figure, Any]:
    """Make an empty map of the world, or a close-up, with room for a caption and a colour bar below."""
    fig = Figure(figsize=(11, 6.1))
    return fig, ground_axes(fig, (0.01, 0.125, 0.98, 0.87), view)


def small_maps(titles: Sequence[str], columns: int, view: View | None = None) -> tuple[Figure, list[Any]]:
    """Make empty maps in rows, a bold title above each. Raises `ValueError` for no title."""
    if not titles:
        raise ValueError("no maps: expected at least one")
    columns = min(columns, len(titles))
    panel = 11 / columns * (0.487 if view is None else 1 / _ASPECT)  # the height of an Equal Earth map of that width
    height = -(-len(titles) // columns) * (panel + 0.34) + 0.76  # 0.76 inches for a caption and a colour bar
    fig, made = Figure(figsize=(11, height)), []
    for number, title in enumerate(titles):
        left, top = number % columns / columns, 1 - (number // columns) * (panel + 0.34) / height
        box = (left + 0.005, top - (panel + 0.32) / height, 1 / columns - 0.01, panel / height)
        made.append(ground_axes(fig, box, view))
        fig.text(left + 0.012, top - 0.17 / height, title, va="center", fontsize=13, weight="bold")
    return fig, made


def ground_axes(fig: Figure, box: tuple[float, float, float, float], view: View | None = None) -> Any:
    """Add an empty map of the world, or a close-up, at `box` (left, bottom, width, height)."""
    ax: Any
    if view is None:
        ax = fig.add_axes(box, projection=WORLD)
        ax.set_global()
    else:
        lat, lon, km = view
        check_lat_lon(lat, lon)
        if not 0 < km <= LARGEST_VIEW_KM:
            raise ValueError(f"a view of {km} km: expected half its height, up to {LARGEST_VIEW_KM:,.0f} km")
        ax = fig.add_axes(box, projection=ccrs.LambertAzimuthalEqualArea(lon, lat))
        ax.set(xlim=(-km * 1000 * _ASPECT, km * 1000 * _ASPECT), ylim=(-km * 1000, km * 1000))
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


def color_bar(fig: Figure, drawn: Any, label: str, *, as_percent: bool = False, **how: Any) -> None:
    """Add a colour bar with plain numbers at the lower right of maps; `how` is for `Figure.colorbar`."""
    height = fig.get_figheight()
    cax = fig.add_axes((0.62, 0.305 / height, 0.34, 0.134 / height))
    fig.colorbar(drawn, cax=cax, orientation="horizontal", **{"ticks": LogLocator(numticks=6)} | how)
    cax.set_title(label, fontsize=12, pad=4)
    cax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.4g} %" if as_percent else f"{v:,.10g}"))
    cax.xaxis.set_minor_locator(NullLocator())
    cax.tick_params(labelsize=11, length=3, color=QUIET, labelcolor=QUIET, pad=2)
    cax.spines[:].set_visible(False)


def caption(fig: Figure, text: str) -> None:
    """Write a quiet line or two at the lower left of maps."""
    y = 0.378 / fig.get_figheight()
    fig.text(0.012, y, text, fontsize=12, color=QUIET, va="center", linespacing=1.6)
