"""The ground of every map: land, sea, colours, captions."""

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

SEA, LAND, COAST, BORDER, INK, QUIET = "#e4edf3", "#fbfaf6", "#8d9ba6", "#cfc9bc", "#22303a", "#5d6b75"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", INK)  # of systems that are compared; apart in every colour vision
# Always these two. A posterior is shaded in the prediction's hue, because it is the prediction.
TRUTH: dict[str, Any] = {"color": COLORS[0], "marker": "*", "edgecolor": "white", "linewidth": 1.4, "s": 480}
PREDICTION: dict[str, Any] = {"color": COLORS[1], "marker": "o", "edgecolor": "white", "linewidth": 1.2}
DASHES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (6, 2, 1, 2)), (0, (2, 1)), "-")
REACH = ("street", "city", "region", "country", "continent")  # the field's names of its five thresholds
_RC: Any = {"font.size": 13.0, "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK}
_RC["text.parse_math"] = False  # names come from strangers: a `$` is a `$`
_HALO = [patheffects.withStroke(linewidth=3, foreground="white")]
_DEGREES, _WORLD = ccrs.PlateCarree(), ccrs.EqualEarth()
_HEXAGONS = (156, 44)  # columns and rows over Equal Earth: regular, of 42,000 km2 each
_ASPECT = 2.03  # width to height of a close-up
_FARTHEST_KM = 4000.0  # half the height of the largest close-up: its corners are then still in one hemisphere
View = tuple[float, float, float]  # a close-up: lat and lon of its middle, half its height in km
Places = tuple[FloatArray, FloatArray]  # lat (n,), lon (n,)


def alt_text(fig: Figure) -> str:
    """What the figure shows, in words."""
    return str(fig.get_label())


def png(fig: Figure, dpi: int = 110, *, palette: bool = False) -> bytes:
    """The figure as a PNG; without a photograph in it, a palette of 256 colours saves two thirds of the bytes.

    palette: also with pictures in it. Drawings hardly change; photographs lose their soft shades.
    """
    full, small = io.BytesIO(), io.BytesIO()
    fig.savefig(full, dpi=dpi, facecolor="white")
    picture = Image.open(full).convert("RGB")
    if palette or not any(ax.images for ax in fig.axes):
        picture = _with_palette(picture)
    picture.save(small, "PNG", optimize=True)
    return small.getvalue()


def _with_palette(picture: Image.Image) -> Image.Image:
    """The picture in 256 colours, those with a meaning exact: left to itself, a palette spends none on a marker."""
    kept = [[round(255 * part) for part in to_rgb(color)] for color in (*COLORS, SEA, LAND, "white")]
    first = 256 - len(kept)
    coarse = picture.quantize(first, dither=Image.Dither.NONE)
    indices, pixels = np.array(coarse), np.asarray(picture)
    for number, color in enumerate(kept, start=first):
        indices[(pixels == color).all(axis=2)] = number
    palette = np.zeros((256, 3), np.uint8)
    found = np.reshape(coarse.getpalette() or [], (-1, 3))[:first]
    palette[: len(found)], palette[first:] = found, kept
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    return image


def show(fig: Figure, dpi: int = 110, *, palette: bool = False) -> None:
    """Display the figure in a notebook, with its alt text; fewer `dpi` keep a notebook with photographs small.

    palette: see `png`; it keeps a notebook with drawings small.
    """
    from IPython.display import Image as Picture  # every notebook has it; the library alone does not need it
    from IPython.display import display

    display(Picture(data=png(fig, dpi, palette=palette), format="png", alt=alt_text(fig)))


@lru_cache(maxsize=3)
def _ground(kind: str) -> Geometries:
    """Shapes of `land`, its `coast` (without the cuts at the dateline and the pole) or the `borders` of countries."""
    if kind == "borders":
        return layer("cultural", "ne_50m_admin_0_boundary_lines_land")[0]
    land, _ = layer("physical", "ne_50m_land")
    if kind == "land":
        return land
    cuts = shapely.multilinestrings([[(-180, -90), (-180, 90)], [(180, -90), (180, 90)], [(-180, -90), (180, -90)]])
    coast: Geometries = shapely.difference(shapely.boundary(land), cuts)
    return coast


@lru_cache(maxsize=3)
def _world_paths(kind: str) -> list[Path]:
    return _paths(_ground(kind), _WORLD)


def _add_ground(ax: Any, kind: str, view: View | None, **style: Any) -> None:
    paths = _world_paths(kind) if view is None else _paths(_clip(_ground(kind), view), ax.projection)
    ax.add_collection(PathCollection(paths, **({"facecolor": "none"} | style)), autolim=False)


def _shade(
    ax: Any, p: FloatArray, shapes: Geometries, peak: float, view: View | None = None, coast: float = 0.5
) -> PathCollection:
    """Cells shaded by their probabilities (n,), with the coast on top; below a thousandth of `peak` they stay white."""
    (shaded,) = np.nonzero(p >= peak / 1000)
    # Not antialiased: neighbours that are smoothed one by one leave seams.
    paths = _paths(_clip(shapes[shaded], view), ax.projection)
    cells = PathCollection(paths, linewidth=0, antialiased=False, alpha=0.85, zorder=2)
    cells.set(array=p[shaded], norm=LogNorm(peak / 1000, peak), cmap=_ramp("Oranges", 0.1, 0.8))
    ax.add_collection(cells, autolim=False)
    _add_ground(ax, "coast", view, edgecolor=COAST, linewidth=coast, zorder=2.5)
    return cells


def _clip(shapes: Geometries, view: View | None) -> Geometries:
    """The part of shapes that a close-up can show: what is far behind the horizon must not be projected."""
    if view is None:
        return shapes
    lat, lon, half_height_km = view
    reach = half_height_km * np.hypot(1, _ASPECT) * 1.05 / sphere.EARTH_RADIUS_KM  # to the corners, as an angle
    south, north, half = lat - np.degrees(reach), lat + np.degrees(reach), 180.0  # 180: a pole has every longitude
    if south > -90 and north < 90:
        half = np.degrees(np.arcsin(np.sin(reach) / np.cos(np.radians(lat))))
    turns = [shapely.box(lon - half + turn, south, lon + half + turn, north) for turn in (-360, 0, 360)]
    window = shapely.intersection(shapely.union_all(turns), shapely.box(-180, -90, 180, 90))
    clipped: Geometries = shapely.intersection(shapes, window)
    return clipped


def _project(lat: npt.ArrayLike, lon: npt.ArrayLike, crs: Any) -> Places:
    x, y, _ = crs.transform_points(_DEGREES, np.atleast_1d(lon), np.atleast_1d(lat)).T
    return x, y


def _paths(shapes: Any, crs: Any) -> list[Path]:
    """One matplotlib path for each of the shapes (degrees), with a vertex every degree so that long edges curve."""
    shapes = shapely.segmentize(shapely.normalize(np.asarray(shapes, dtype=object)), 1.0)
    parts, owner = shapely.get_parts(shapes, return_index=True)
    parts = np.where(shapely.get_dimensions(parts) == 2, shapely.boundary(parts), parts)
    lines, part = shapely.get_parts(parts, return_index=True)
    points, line = shapely.get_coordinates(lines, return_index=True)
    codes = np.full(len(points), Path.LINETO, dtype=Path.code_type)
    codes[np.flatnonzero(np.diff(line, prepend=-1))] = Path.MOVETO
    vertices = np.column_stack(_project(points[:, 1], points[:, 0], crs))
    ends = np.searchsorted(owner[part][line], np.arange(1, len(shapes)))
    return [Path(v, c) for v, c in zip(np.split(vertices, ends), np.split(codes, ends), strict=True)]


def _canvas(view: View | None = None) -> tuple[Figure, Any]:
    """An empty map of the world, or of a close-up, with room for a caption and a colour bar below."""
    fig = Figure(figsize=(11, 6.1))
    return fig, _ground_axes(fig, (0.01, 0.125, 0.98, 0.87), view)


def _ground_axes(fig: Figure, box: tuple[float, float, float, float], view: View | None = None) -> Any:
    """Axes with an empty map of the world, or of a close-up, at `box` (left, bottom, width, height)."""
    crs = (
        _WORLD if view is None else ccrs.LambertAzimuthalEqualArea(central_latitude=view[0], central_longitude=view[1])
    )
    ax: Any = fig.add_axes(box, projection=crs)
    if view is None:
        ax.set_global()
    else:
        half = view[2] * 1000
        ax.set(xlim=(-half * _ASPECT, half * _ASPECT), ylim=(-half, half))
    ax.set_facecolor(SEA)
    ax.spines["geo"].set(edgecolor=COAST, linewidth=0.6)
    _add_ground(ax, "land", view, facecolor=LAND, linewidth=0, zorder=1)
    _add_ground(ax, "borders", view, edgecolor=BORDER, linewidth=0.4, zorder=1.1)
    _add_ground(ax, "coast", view, edgecolor=COAST, linewidth=0.4, zorder=1.2)
    return ax


def _small_maps(titles: Sequence[str], columns: int, view: View | None) -> tuple[Figure, list[Any]]:
    """Empty maps in rows, a bold title above each, and room for a legend below."""
    columns = min(columns, len(titles))
    panel = 11 / columns * (0.487 if view is None else 1 / _ASPECT)  # the height of an Equal Earth map of that width
    height = -(-len(titles) // columns) * (panel + 0.34) + 0.55
    fig, made = Figure(figsize=(11, height)), []
    for number, title in enumerate(titles):
        left, top = number % columns / columns, 1 - (number // columns) * (panel + 0.34) / height
        box = (left + 0.005, top - (panel + 0.32) / height, 1 / columns - 0.01, panel / height)
        made.append(_ground_axes(fig, box, view))
        fig.text(left + 0.012, top - 0.17 / height, title, va="center", fontsize=13, weight="bold")
    return fig, made


def _ramp(name: str, start: float, stop: float) -> ListedColormap:
    return ListedColormap(matplotlib.colormaps[name](np.linspace(start, stop, 256)))


def percent(share: float) -> str:
    """A probability for reading: whole percents, never 0 for what is merely small."""
    return "<1 %" if share < 0.01 else f"{100 * share:.0f} %"


def _color_bar(fig: Figure, drawn: Any, label: str, percent: bool = False, **how: Any) -> None:
    """A colour bar at the lower right, with plain numbers."""
    how = {"ticks": LogLocator(numticks=6)} | how
    bar = _bare_bar(fig, drawn, (0.62, 0.05, 0.34, 0.022), percent, **how)
    bar.ax.set_title(label, fontsize=12, pad=4)


def _bare_bar(fig: Figure, drawn: Any, box: Any, percent: bool = False, **how: Any) -> Any:
    """A colour bar without a title at `box` (left, bottom, width, height)."""
    bar = fig.colorbar(drawn, cax=fig.add_axes(box), orientation="horizontal", **how)
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:.4g} %" if percent else f"{v:,.10g}"))
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.ax.tick_params(labelsize=11, length=3, color=QUIET, labelcolor=QUIET, pad=2)
    bar.ax.spines[:].set_visible(False)
    return bar


def _caption(fig: Figure, text: str, seed: int | None = None) -> None:
    text += "" if seed is None else f" · seed {seed}"
    fig.text(0.012, 0.062, text, fontsize=12, color=QUIET, va="center", linespacing=1.6)


def _view(lat: FloatArray, lon: FloatArray) -> View | None:
    """The smallest close-up with all these places, or None where only the world will do."""
    vectors = sphere.unit_vectors(lat, lon)
    middle = vectors[0]
    for step in range(2, 200):  # Badoiu and Clarkson (2003): ever smaller steps to the farthest point
        middle = middle + (vectors[np.argmin(vectors @ middle)] - middle) / step
    if not middle.any():  # two antipodes have no middle
        return None
    middle_lat, middle_lon = sphere.to_lat_lon(middle)
    half_height = max(200.0, 1.25 * float(haversine_km(middle_lat, middle_lon, lat, lon).max()))
    return (float(middle_lat), float(middle_lon), half_height) if half_height <= _FARTHEST_KM else None


def quiet(ax: Axes) -> None:
    """Axes in the course's style: a thin grid behind the data, no frame above and at the right."""
    ax.grid(color=BORDER, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[:].set_color(COAST)
    ax.tick_params(color=COAST, labelcolor=QUIET)
