"""Where the datasets come from: each opener reads a table of photos and says how to get a picture's file.

An opener returns the keyword arguments of `geolib.datasets.Dataset` besides its name.
"""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import ExifTags

from geolib.datasets.reference import LAYOUTS, applied, layout_of
from geolib.errors import CorruptFileError, ImageError, MissingDataError
from geolib.files import atomic_path, cache_path, data_path, sha256_file, write_bytes
from geolib.images import decoder_of
from geolib.texts import one_line

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".heif"}
_TEXTS = ("photographer", "licence", "author", "source")
# The names that published tables use (Im2GPS3k, YFCC4k, OSV-5M), lower case.
_ALIASES = {"id": ("id", "img_id"), "lat": ("lat", "latitude"), "lon": ("lon", "lng", "longitude"), "path": ("path",)}


def postcards() -> dict[str, Any]:
    """The drawn dataset that ships with the clone; pictures are drawn on demand into the cache."""
    table = data_path("postcards", "photos.parquet")
    photos = checked(read_table(table), str(table))
    version = sha256_file(table)
    cache = drawn_folder(table)
    shipped = (table.parent / "embeddings", table.parent / "embeddings-no-names")
    file = partial(_postcard, photos, table.parent / "samples", cache)
    return {"photos": photos, "_file": file, "_version": version, "_shipped": shipped}


def drawn_folder(table: Path) -> Path:
    """Where pictures of a photo table are kept once they are drawn, in geolib's cache."""
    return cache_path("postcards", f"{sha256_file(table)[:12]}-{renderer_version()}")


# Modules of geolib.postcards that draw nothing: a change of these alone leaves drawn pictures as they are.
_NOT_DRAWING = {
    "__main__", "build", "captions", "ceiling", "letters", "others", "pictures", "places", "report", "report_page",
    "train",
}  # fmt: skip


def renderer_version() -> str:
    """Twelve digits that change with the code and the facts that draw, so that older pictures are not taken for new."""
    folder = Path(__file__).resolve().parent.parent / "postcards"
    code = [path for path in sorted(folder.glob("*.py")) if path.stem not in _NOT_DRAWING]
    facts = [data_path("postcards", name) for name in ("countries.csv", "lettering.json", "lettering.png")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in code + facts)).hexdigest()[:12]


def _postcard(photos: pd.DataFrame, samples: Path, cache: Path, photo: str) -> Path:
    sample, drawn = samples / f"{photo}.jpg", cache / f"{photo}.jpg"
    if sample.is_file():
        return sample
    if not drawn.is_file():
        from geolib.postcards import render_bytes  # the renderer is large; most uses never draw

        write_bytes(drawn, render_bytes({"id": photo} | {str(key): value for key, value in photos.loc[photo].items()}))
    return drawn


def gallery() -> dict[str, Any]:
    """Coordinates only; see data/gallery/README.md."""
    path = data_path("gallery", "gallery.parquet")
    photos = checked(
        read_table(path).assign(
            licence="MIT", author="GeoCLIP (Vicente Vivanco)", source="https://github.com/VicenteVivan/geo-clip"
        ),
        str(path),
    )

    return {"photos": photos, "_version": sha256_file(path)}


def folder(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Photographs below a folder that carry GPS coordinates in their EXIF; an id is the path below the folder.

    The photographer and author is the EXIF's artist, else the camera's owner; its copyright notice stands for the
    licence. Where these people are too few to be kept apart, the photos have no photographer, and a warning says so.
    Each file's EXIF is read once: what was found is kept in geolib's cache, until the file changes.

    Warns of HEIC files that cannot be read for want of pillow-heif. Raises `MissingDataError` when there is no such
    folder, `ValueError` when no picture in it has coordinates.
    """
    root = Path(path)
    labels = _labels(root, pictures(root))
    photos = labels[labels["refused"] == ""]
    refused = Counter(labels["refused"][labels["refused"] != ""])
    if photos.empty:
        reasons = "; ".join(f"{n:,} {why}" for why, n in refused.most_common())
        raise ValueError(f"none of the {len(labels)} pictures in {path} has GPS coordinates in its EXIF: {reasons}")
    if unread := refused[_UNREAD_HEIC]:
        warnings.warn(f"{path}: {unread:,} left out: {_UNREAD_HEIC}", stacklevel=2)
    photos = photos.drop(columns=["refused", "stamp"]).assign(photographer=photos["author"], source=photos.index)
    photos = _apart(checked(photos, str(path)), str(path))
    return _with_files(photos, root, list(photos.index)) | {"refused": dict(refused.most_common())}


def _named(n: int) -> str:
    return "1 photographer is named" if n == 1 else f"{n:,} photographers are named"


def _apart(photos: pd.DataFrame, where: str) -> pd.DataFrame:
    """The photos; without photographers, and with a warning, where these are too few to be kept apart."""
    from geolib.datasets import can_be_kept_apart

    known = photos["photographer"][photos["photographer"] != ""]
    if known.empty or can_be_kept_apart(photos):
        return photos
    warnings.warn(
        f"{where}: {_named(known.nunique())}, too few, or too far travelled, to be kept apart. Its "
        "safe split keeps places of one degree apart and treats each photo as by another photographer: results are "
        "those for new places, not for new photographers, and their intervals are too narrow",
        stacklevel=3,
    )
    return photos.assign(photographer="")


_UNREAD_HEIC = "HEIC files (`pip install pillow-heif` to read them, or convert them to JPEG)"


def _labels(root: Path, files: list[Path]) -> pd.DataFrame:
    """lat, lon, author, licence of files by their path below `root`, or why one is `refused`; kept in the cache."""
    kept = cache_path("folders", f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.parquet")
    columns = ["stamp", "lat", "lon", "author", "licence", "refused"]
    try:
        known = pd.read_parquet(kept)[columns]
    except Exception:  # none yet, or none that can be read: read the files again
        known = pd.DataFrame(columns=columns)
    before = {row.Index: row[1:] for row in known.itertuples()}
    rows = {}
    for file in files:
        name, stamp = file.relative_to(root).as_posix(), _stamp(file)
        row = before.get(name)
        same = row is not None and row[0] == stamp and row[-1] != _UNREAD_HEIC
        rows[name] = row if same else (stamp, *read_label(file))
    labels = pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("id")
    labels = labels.astype({"lat": "float64", "lon": "float64"})
    if rows != before:
        with atomic_path(kept) as temporary:
            labels.to_parquet(temporary)
    return labels


def pictures(path: str | os.PathLike[str]) -> list[Path]:
    """JPEG, PNG, WEBP, HEIC files below a folder, sorted. Raises `MissingDataError` for no folder or an empty one."""
    root = Path(path)
    if not root.is_dir():
        raise MissingDataError(f"{root} is not a folder; expected a folder of pictures")
    found = sorted(file for file in root.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    if not found:
        raise MissingDataError(f"{root} holds no pictures ({', '.join(sorted(PICTURES))})")
    return found


def read_label(path: Path) -> tuple[float, float, str, str, str]:
    """(lat, lon, author, copyright notice, "") of a picture's EXIF: the label. Never used to predict.

    Where there is no usable place, the coordinates are NaN, and the last text says why.
    """
    try:
        decoder = decoder_of(_head(path))
    except ImageError:
        return _no_label(_UNREAD_HEIC)
    if decoder is None:
        return _no_label("not a JPEG, PNG or WEBP file")
    try:
        with open(path, "rb") as stream, decoder(stream) as picture:
            exif = picture.getexif()
            gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
            owner = exif.get_ifd(ExifTags.IFD.Exif).get(_CAMERA_OWNER, "")
        if not gps:
            return _no_label("without coordinates in the EXIF")
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "N", "S")
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "E", "W")
    except Exception:  # hostile EXIF raises nearly anything; a photo without a readable place has no label
        return _no_label("with EXIF that cannot be read")
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        return _no_label("with coordinates that are not on the Earth")
    if lat == lon == 0:
        return _no_label("with coordinates of exactly 0, 0, as a camera without a fix writes them")
    author = _exif_text(exif.get(ExifTags.Base.Artist)) or _exif_text(owner)
    return lat, lon, author, _exif_text(exif.get(ExifTags.Base.Copyright)), ""


_CAMERA_OWNER = 0xA430


def _no_label(why: str) -> tuple[float, float, str, str, str]:
    return math.nan, math.nan, "", "", why


def _exif_text(value: object) -> str:
    """Text of a tag on one line. EXIF is ASCII by its standard, and UTF-8 by custom, which Pillow reads as Latin-1."""
    text = value if isinstance(value, str) else ""
    with suppress(UnicodeError):
        text = text.encode("latin-1").decode()
    return one_line(text.replace("\0", " "), 200)


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(12)
    except OSError:  # whoever opens it for its pixels will say why
        return b""


def _degrees(parts: Any, ref: str, positive: str, negative: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    if not (0 <= minutes < 60.001 and 0 <= seconds < 60.001):  # 60 itself is what rounding makes of 59.9999
        raise ValueError("minutes or seconds beyond 60")
    sign = {positive: 1, negative: -1}[ref.strip("\0 ").upper()]
    return sign * (degrees + minutes / 60 + seconds / 3600)


def table(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
    layout: str | None = None,
) -> dict[str, Any]:
    """A csv or parquet with id, lat and lon, and a folder of pictures (default: the folder of the table).

    columns: which column of the table is `id`, `lat`, `lon`, `path`, `photographer`, ...; common names are found
        without. A picture's file is its `path` below the folder, or its id with `.jpg` added when it has no ending.
    layout: the name of a published table, which says what its other columns are (`reference.LAYOUTS`).
    """
    known = None if layout is None else layout_of(layout)
    photos = read_table(Path(path), columns)
    if known is not None:
        photos = applied(known, photos, str(path))
    files = [str(name) for name in photos.get("path", photos.index)]
    files = [name if Path(name).suffix.lower() in PICTURES else f"{name}.jpg" for name in files]
    return _with_files(checked(photos, str(path)), Path(folder or Path(path).parent), files)


def published(
    layout: str,
    path: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    columns: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A published table by its name (`reference.LAYOUTS`): `open_dataset("im2gps3k")`, or with its path.

    path: the table; without one, under its published name in geolib's cache, in a folder of the layout's name.
    Raises `MissingDataError` that says where to get it.
    """
    known = layout_of(layout)
    path = Path(path or cache_path(layout, known.file))
    if not path.is_file():
        raise MissingDataError(
            f"{path} does not exist. {known.title}; geolib does not fetch it, its pictures being others' to give: "
            f"{known.get}. Put {known.file} there, or open {layout}:/path/to/{known.file}"
        )
    return table(path, folder, columns, layout)


def commons(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Photographs of Wikimedia Commons that `python -m geolib fetch commons` wrote (default: into geolib's cache).

    Raises `MissingDataError` that names the command, the size and the time.
    """
    root = Path(path) if path else cache_path("commons")
    table = root / "photos.parquet"
    if not table.is_file():
        state = "was begun and is not finished" if (root / "journal.jsonl").is_file() else "does not exist"
        raise MissingDataError(
            f"{table} {state}: `python -m geolib fetch commons --contact YOUR_ADDRESS` fetches it: 10,000 photographs "
            "of 500 pixels, about 0.7 GB and some hours; `--photos 1000` a tenth of that. The same command goes on"
        )
    photos = checked(read_table(table), str(table))
    names = dict(zip(photos.index, photos["path"].astype(str), strict=True))
    return {"photos": photos, "_file": partial(_inside, root, names), "_version": sha256_file(table)}


def osv5m(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Shards of OSV-5M that were fetched, from geolib's cache or another folder; see `geolib.datasets.osv5m`."""
    from geolib.datasets.osv5m import osv5m as fetched  # brings the hub's client along; most uses need none

    return fetched(path)


def _with_files(photos: pd.DataFrame, root: Path, files: list[str]) -> dict[str, Any]:
    stamps = (f"{name} {_stamp(root / name)}" for name in files)
    version = hashlib.sha256("\n".join(stamps).encode()).hexdigest()
    names = dict(zip(photos.index, files, strict=True))
    return {"photos": photos, "_file": partial(_inside, root, names), "_version": version}


def _inside(root: Path, names: Mapping[str, str], photo: str) -> Path:
    file = root / names[photo]
    if not file.resolve().is_relative_to(root.resolve()):
        raise ImageError(f"photo {photo!r} has a name that leads out of its folder: {names[photo]!r} is not in {root}")
    return file


def _stamp(path: Path) -> str:
    try:
        stat = path.stat()
    except OSError:
        return "missing"
    return f"{stat.st_size} {stat.st_mtime_ns}"


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read a csv or parquet into a frame indexed by `id`, with `lat` and `lon` found under their usual names.

    Raises `MissingDataError` for no file, `CorruptFileError` for one that cannot be read, `ValueError` for columns
    that are not there.
    """
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist; expected a csv or parquet with columns id, lat, lon")
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, columns)
    except Exception as error:  # pyarrow and pandas raise a dozen kinds on hostile bytes
        raise CorruptFileError(f"{path} is not a readable table ({error}); restore or rebuild it") from error
    if frame.index.name is not None:
        frame = frame.reset_index()
    lower = {str(name).lower(): name for name in reversed(frame.columns)}
    wanted = {key: next((lower[a] for a in names if a in lower), None) for key, names in _ALIASES.items()}
    wanted |= dict(columns or {})
    absent = [key for key, name in wanted.items() if name not in frame.columns and (key != "path" or name)]
    if absent:
        raise ValueError(
            f"{path} has no column for {', '.join(absent)}: it has {', '.join(map(str, frame.columns))}; "
            "name them with columns={'id': ..., 'lat': ..., 'lon': ...}, or in the dataset's name as "
            "table:/path/table.csv?id=...&lat=...&lon=..."
        )
    frame = frame.rename(columns={name: key for key, name in wanted.items() if name})
    return frame.astype({"id": str}).set_index("id")


def _read_csv(path: Path, columns: Mapping[str, str] | None) -> pd.DataFrame:
    """A csv with `,`, `;` or tabs. Ids are text, for `0012` is not 12, and so is what stands for nothing elsewhere: the
    country NA is Namibia."""
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        first = stream.readline()
    separator = max(",;\t", key=first.count)
    named = {(columns or {}).get("id", "id").lower(), *_ALIASES["id"]}
    ids = [name for name in pd.read_csv(path, sep=separator, nrows=0).columns if str(name).lower() in named]
    return pd.read_csv(path, sep=separator, dtype=dict.fromkeys(ids, str), keep_default_na=False, na_values=[""])


def checked(photos: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table with all columns that every dataset has; raises `ValueError` that names the first bad rows."""
    photos = photos.rename_axis("id")
    if photos.empty:
        raise ValueError(f"{where} has no rows")
    bad = photos.index[photos.index.duplicated() | photos.index.isna()]
    _refuse(bad, where, "an id that is missing or there twice", "give every photo an id of its own")
    for column, limit in (("lat", 90), ("lon", 180)):
        values = pd.to_numeric(photos[column], errors="coerce")
        bad = photos.index[~values.between(-limit, limit)]
        _refuse(bad, where, f"{column} that is not a number in [-{limit}, {limit}]", "mend or drop these rows")
        photos = photos.assign(**{column: values.astype("float64")})
    texts = {name: photos[name].astype(object) if name in photos else "" for name in _TEXTS}
    return photos.assign(**texts).fillna(dict.fromkeys(_TEXTS, "")).astype(dict.fromkeys(_TEXTS, str))


def _refuse(bad: pd.Index[Any], where: str, what: str, mend: str) -> None:
    if len(bad):
        rows = ", ".join(repr(row) for row in bad[:3])
        raise ValueError(f"{where} has {len(bad):,} rows with {what}, such as {rows}: {mend}")


OPENERS: dict[str, Callable[..., dict[str, Any]]] = {
    "postcards": postcards,
    "gallery": gallery,
    "folder": folder,
    "table": table,
    "commons": commons,
    "osv5m": osv5m,
    **{name: partial(published, name) for name in LAYOUTS},
}
