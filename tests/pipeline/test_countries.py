"""Countries against known places, brute force, and the manifest of the layers."""

import importlib.util
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely

from geolib.common.errors import CorruptFileError, MissingDataError
from geolib.common.files import data_path, sha256_file
from geolib.countries import continent_of, country_name, country_of, layer
from geolib.sphere import haversine_km

FOLDER = data_path("natural_earth")
LAYERS = [
    (category, f"ne_{scale}_{name}")
    for scale in ("110m", "50m")
    for category, name in (
        ("physical", "land"),
        ("cultural", "admin_0_countries"),
        ("cultural", "admin_0_boundary_lines_land"),
    )
]
PLACES = {
    "Paris": (48.857, 2.352, "FRA"),
    "Maseru, in an enclave": (-29.31, 27.48, "LSO"),
    "Vatican, where the source draws it": (41.902, 12.434, "VAT"),
    "San Marino": (43.94, 12.45, "SMR"),
    "Monaco": (43.745, 7.41, "MCO"),
    "Gibraltar, from 1:10m": (36.14, -5.35, "GIB"),
    "Kaliningrad, an exclave": (54.70, 20.50, "RUS"),
    "Nakhchivan, an exclave": (39.20, 45.40, "AZE"),
    "Honolulu": (21.31, -157.86, "USA"),
    "Taveuni, west of the dateline": (-16.80, 179.95, "FJI"),
    "Fiji, east of the dateline": (-16.80, -179.95, "FJI"),
    "on the dateline, as 180": (-16.50, 180.0, "FJI"),
    "on the dateline, as -180": (-16.50, -180.0, "FJI"),
    "Chukotka, east of the dateline": (66.0, -175.0, "RUS"),
    "Wrangel Island": (71.2, -179.5, "RUS"),
    "Longyearbyen": (78.22, 15.65, "SJM"),
    "Jan Mayen": (70.98, -8.4, "SJM"),
    "Cayenne": (4.92, -52.31, "GUF"),
    "Réunion": (-21.1, 55.5, "REU"),
    "Bonaire": (12.15, -68.27, "BES"),
    "Hong Kong": (22.37, 114.12, "HKG"),
    "Pristina": (42.66, 21.16, "XKX"),
    "Hargeisa": (9.56, 44.06, "SOM"),
    "Kyrenia": (35.33, 33.32, "CYP"),
    "Funafuti": (-8.52, 179.20, "TUV"),
    "South Pole": (-90.0, 0.0, "ATA"),
    "South Pole, by another name": (-90.0, 123.0, "ATA"),
    "McMurdo": (-77.85, 166.67, "ATA"),
    "San Francisco, Pier 39": (37.811, -122.410, "USA"),
    "Brighton, end of the pier": (50.813, -0.137, "GBR"),
    "North Pole": (90.0, 0.0, ""),
    "middle of the Atlantic": (30.0, -40.0, ""),
    "Gulf of Guinea at 0, 0": (0.0, 0.0, ""),
    "middle of the Caspian": (41.5, 50.8, ""),
}


@pytest.mark.parametrize("place", PLACES)
def test_known_places(place):
    lat, lon, code = PLACES[place]
    assert country_of(lat, lon).tolist() == [code]


def test_places_together_are_as_places_alone():
    lat, lon, codes = zip(*PLACES.values(), strict=True)
    assert country_of(lat, lon).tolist() == list(codes)


def test_points_on_land_against_every_country_in_turn():
    shapes, records = layer("cultural", "ne_50m_admin_0_countries")
    rng = np.random.default_rng(0)
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 400))), rng.uniform(-180, 180, 400)
    points = shapely.points(lon, lat)
    answers = country_of(lat, lon, offshore_km=0)
    for point, answer in zip(points, answers, strict=True):
        inside = [r["ISO_A3"] for shape, r in zip(shapes, records, strict=True) if shapely.contains(shape, point)]
        assert inside == ([answer] if answer else [])
    assert 60 < np.sum(answers != "") < 200  # 29 % of the Earth is land


def test_points_at_sea_against_the_distance_to_every_shore():
    shapes, records = layer("cultural", "ne_50m_admin_0_countries")
    shores = shapely.segmentize(shapely.boundary(shapes), 0.04)
    points, owner = shapely.get_coordinates(shores, return_index=True)
    rng = np.random.default_rng(1)
    # Around the Pacific's dateline, where the islands are, and around Svalbard, where meridians are close.
    lat = np.concatenate([rng.uniform(-19, -16, 20), rng.uniform(77, 81, 20)])
    lon = np.concatenate([rng.uniform(177, 182, 20), rng.uniform(8, 30, 20)])
    lon[lon > 180] -= 360
    at_sea, seen = country_of(lat, lon, offshore_km=0) == "", set()
    for y, x, code in zip(lat[at_sea], lon[at_sea], country_of(lat, lon)[at_sea], strict=True):
        km = haversine_km(y, x, points[:, 1], points[:, 0])
        if code:
            mine = [records[row]["ISO_A3"] == code for row in range(len(records))]
            assert km[np.array(mine)[owner]].min() < min(50, km.min()) + 3
        else:
            assert km.min() > 47
        seen.add(code)
    assert seen == {"", "FJI", "SJM"}


@pytest.mark.parametrize(("reach", "code"), [(0, ""), (20, ""), (100, "ISL"), (30_000, "ISL")])
def test_reach_over_water(reach, code):
    assert country_of(63.0, -20.3, offshore_km=reach)[0] == code  # 50 km south of Iceland's coast


def test_a_hundred_thousand_points_take_seconds():
    rng = np.random.default_rng(2)
    lat, lon = rng.uniform(-60, 75, 100_000), rng.uniform(-180, 180, 100_000)
    country_of(0, 0)  # reads the layer
    start = time.perf_counter()
    codes = country_of(lat, lon)
    assert codes.shape == (100_000,) and codes.dtype.kind == "U"
    assert time.perf_counter() - start < 20  # under one second on two idle cores


@pytest.mark.parametrize(("lat", "lon"), [(91, 0), (0, 181), (np.nan, 0), (0, np.inf), ([1, 2], [3]), ([], [])])
def test_bad_coordinates_are_refused(lat, lon):
    with pytest.raises(ValueError, match="expected"):
        country_of(lat, lon)


def test_names_and_continents():
    assert (country_name("CIV"), continent_of("CIV")) == ("Ivory Coast", "Africa")
    assert (continent_of("TUR"), continent_of("RUS"), continent_of("ATA")) == ("Asia", "Europe", "Antarctica")
    assert (continent_of("REU"), continent_of("FRA"), continent_of("GUF")) == ("Africa", "Europe", "South America")
    assert (country_name(""), continent_of("")) == ("", "")
    _, records = layer("cultural", "ne_50m_admin_0_countries")
    assert len({continent_of(record["ISO_A3"]) for record in records}) == 7
    assert all(country_name(record["ISO_A3"]) for record in records)


@pytest.mark.parametrize("code", ["FR", "fra", "France", "???"])
def test_what_is_no_code_is_refused(code):
    for question in (country_name, continent_of):
        with pytest.raises(ValueError, match="unknown country code"):
            question(code)


# The layers


def test_the_manifest_lists_every_file_and_its_hash():
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    found = {path.relative_to(FOLDER).as_posix() for path in (FOLDER / "shapefiles").rglob("*") if path.is_file()}
    assert set(manifest["files"]) == found
    assert {name: sha256_file(FOLDER / name) for name in found} == manifest["files"]
    assert manifest["natural_earth_version"] in (FOLDER / "README.md").read_text()
    assert sum((FOLDER / name).stat().st_size for name in found) < 3_000_000


@pytest.mark.parametrize(("category", "name"), LAYERS)
def test_layers_are_valid_and_end_at_the_dateline(category, name):
    shapes, records = layer(category, name)
    assert len(shapes) == len(records) > 0
    assert shapely.is_valid(shapes).all() and not shapely.is_empty(shapes).any()
    west, south, east, north = shapely.total_bounds(shapes)
    assert west >= -180 and east <= 180 and south >= -90 and north < 84
    # A segment that jumps from one side of the map to the other is what a wrong cut at the dateline leaves.
    points, part = shapely.get_coordinates(shapely.get_parts(shapely.boundary(shapes)), return_index=True)
    steps = np.abs(np.diff(points[:, 0]))[(np.diff(part) == 0) & (points[1:, 1] > -89.99)]
    assert not steps.size or steps.max() < 60


@pytest.mark.parametrize(("scale", "tolerance"), [("110m", 0.12), ("50m", 0.03)])
def test_areas_are_those_of_the_world(scale, tolerance):
    geod = pyproj.Geod(ellps="WGS84")

    def area(shape):  # million km2
        return abs(geod.geometry_area_perimeter(shapely.segmentize(shape, 1.0))[0]) / 1e12

    shapes, records = layer("cultural", f"ne_{scale}_admin_0_countries")
    countries = {record["ISO_A3"]: shape for shape, record in zip(shapes, records, strict=True)}
    for code, expected in {"RUS": 17.0, "USA": 9.45, "AUS": 7.7, "FRA": 0.545, "FJI": 0.0183, "LSO": 0.0304}.items():
        assert area(countries[code]) == pytest.approx(expected, rel=tolerance), code
    land = sum(area(shape) for shape in layer("physical", f"ne_{scale}_land")[0])
    assert land == pytest.approx(147.5, rel=0.01)  # with lakes, and Antarctica's ice shelves as sea
    assert sum(map(area, countries.values())) == pytest.approx(land, rel=0.005)


def test_countries_do_not_overlap():
    shapes, _ = layer("cultural", "ne_50m_admin_0_countries")
    assert shapely.area(shapes).sum() == pytest.approx(shapely.union_all(shapes).area, rel=1e-9)


def test_cartopy_finds_the_layers_where_it_looks(monkeypatch):
    import cartopy
    from cartopy.io import shapereader

    monkeypatch.setitem(cartopy.config, "pre_existing_data_dir", FOLDER)
    path = shapereader.natural_earth(resolution="50m", category="physical", name="land")
    assert Path(path) == FOLDER / "shapefiles/natural_earth/physical/ne_50m_land.shp"


@pytest.mark.parametrize("suffix", [".shp", ".shx", ".dbf"])
def test_a_missing_file_is_an_error_with_the_mend(tmp_path, monkeypatch, suffix):
    shutil.copytree(FOLDER, tmp_path / "natural_earth")
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    assert len(layer("physical", "ne_110m_land")[0]) > 100
    (tmp_path / f"natural_earth/shapefiles/natural_earth/physical/ne_110m_land{suffix}").unlink()
    with pytest.raises(MissingDataError, match=rf"ne_110m_land\{suffix} is missing.*GEOLIB_DATA"):
        layer("physical", "ne_110m_land")


@pytest.mark.parametrize("damage", [b"", b"not a shapefile", None])
def test_a_damaged_file_is_an_error_with_the_mend(tmp_path, monkeypatch, damage):
    shutil.copytree(FOLDER, tmp_path / "natural_earth")
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    path = tmp_path / "natural_earth/shapefiles/natural_earth/physical/ne_110m_land.shp"
    path.write_bytes(path.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(CorruptFileError, match=r"ne_110m_land.*restore it"):
        layer("physical", "ne_110m_land")


# The build script


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("natural_earth_build", FOLDER / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_ring_across_the_dateline_is_cut_in_two(build):
    ring = np.array([[170.0, 0.0], [-170.0, 0.0], [-170.0, 10.0], [170.0, 10.0], [170.0, 0.0]])
    expected = shapely.union_all([shapely.box(170, 0, 180, 10), shapely.box(-180, 0, -170, 10)])
    assert build.ring_region([ring], [0]).equals(expected)
    assert build.ring_region([ring], [~0]).equals(expected)


def test_a_ring_around_the_globe_reaches_the_south_pole(build):
    ring = np.array([[100.0, -70.0], [-140.0, -70.0], [-20.0, -70.0], [100.0, -70.0]])
    assert build.ring_region([ring], [0]).equals(shapely.box(-180, -90, 180, -70))
    assert build.ring_region([ring], [~0]).equals(shapely.box(-180, -90, 180, -70))


def test_a_hole_stays_a_hole(build):
    def square(half):
        return np.array([[-half, -half], [half, -half], [half, half], [-half, half], [-half, -half]], dtype=float)

    shape = build.region([square(4), square(1)], [[[0], [1]]])
    assert shape.area == 64 - 4 and shape.geom_type == "MultiPolygon"


def test_sources_with_another_hash_are_refused(build, tmp_path):
    fake = tmp_path / "world-atlas-2.0.2.tgz"
    fake.write_bytes(b"something else")
    with pytest.raises(SystemExit, match="expected 032e7765"):
        build.checked(fake, build.WORLD_ATLAS["sha256"])
