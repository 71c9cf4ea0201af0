"""Photographs from Wikimedia Commons, with author, licence and page of each: `geolib fetch commons`.

Places are drawn over land by towns, by area and by country. The API is asked for the files around each place; files
that are not free photographs are refused and counted, and the others are fetched as thumbnails, at no more than
20 Mbit/s. A thumbnail has no published hash: it must decode whole, with the expected dimensions. Originals are checked
by their sha1.

The photographer of a picture is the account that uploaded it, for Commons has no field for who took it. An account
that uploads the pictures of many others (from Geograph, Flickr or an archive) counts as one photographer: a split keeps
all of them together. The author in words is kept for the credit line.

Tested against a local server that speaks the same part of the API, never against the live service.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pooch
from tqdm import tqdm

from geolib.common import files
from geolib.common.download import Client, DownloadError, UnavailableError
from geolib.common.errors import CorruptFileError, ImageError, MismatchError, MissingDataError
from geolib.countries import country_of
from geolib.datasets.duplicates import average_hash, count_near_duplicates
from geolib.datasets.mediawiki import ID, MOST_IDS, SHA1, Page, Row, files_around, files_by_id, read_page
from geolib.datasets.report import describe
from geolib.images import open_rgb

API = "https://commons.wikimedia.org/w/api.php"
# Wikimedia serves these widths (https://www.mediawiki.org/wiki/Common_thumbnail_sizes); it answers others with the next
# larger one, or not at all. 500 is enough for models that see 224 pixels.
WIDTHS = (250, 330, 500, 960, 1280, 1920)
ORIGINALS = 0  # as a width
CAPS = {"place": 10, "photographer": 30, "block": 30}  # most photos per question, account and square of one degree
_BYTES_PER_S = 2.5e6  # https://wikitech.wikimedia.org/wiki/Robot_policy allows 25 Mbit/s
_MAX_THUMBNAIL, _MAX_ORIGINAL = 20 << 20, 200 << 20  # bytes
_MOST_FAILURES = 5  # files in a row that could not be fetched: the network is at fault, not the files


def fetch(
    out: Path,
    contact: str,
    *,
    photos: int | None = None,
    width: int | None = None,
    seed: int = 0,
    manifest: Path | None = None,
    api: str = API,
    progress: bool = False,
) -> dict[str, Any]:
    """Fetch photographs into a folder, or resume an interrupted run.

    Parameters
    ----------
    out : folder for `photos.parquet`, `images/`, `manifest.jsonl` and `report.json`.
    contact : your e-mail or web address, for the User-Agent.
    photos : how many; default: all of the manifest, else 10,000.
    width : of the thumbnails, one of `WIDTHS`, or `ORIGINALS`; default: that of the manifest, else 500 pixels.
    seed : chooses the places.
    manifest : `manifest.jsonl` of another fetch: the same files are fetched, each with the same sha1.

    Returns
    -------
    The report: how many photos were `wanted`, at how many places they were `asked` for (at most 100 more), how many
    were `refused` for which reason, and the counts of `describe`.

    Raises
    ------
    MismatchError : the folder was begun with other options, or holds something else.
    CorruptFileError : the manifest or the folder's journal is damaged.
    DownloadError : the service cannot be used; the same call resumes later.
    """
    wanted = _read_manifest(manifest) if manifest else []
    if width is None:
        widths = {row["width"] for row in wanted}
        width = widths.pop() if len(widths) == 1 else 500
    if width not in (*WIDTHS, ORIGINALS):
        raise ValueError(f"width={width}: Wikimedia serves thumbnails of {str(WIDTHS)[1:-1]} pixels; 0: the originals")
    if photos is not None and photos < 1:
        raise ValueError(f"photos={photos}: expected at least 1")
    most = min(photos or len(wanted), len(wanted)) if wanted else photos or 10_000
    client = Client(api, contact, "wikimedia.org", _BYTES_PER_S)
    settings = {"api": api, "width": width, "seed": seed, "caps": CAPS}
    _check_folder(out, settings | {"manifest": files.sha256_file(manifest) if manifest else ""})
    with files.alone_in(out), _Collection(out, client, width, most, progress) as found:
        if manifest:
            _fetch_listed(found, wanted)
        else:
            _fetch_around(found, seed)
        return found.finish()


def places(seed: int) -> Iterator[tuple[float, float]]:
    """Endless places to ask for photographs, (lat, lon) in degrees, none twice; the same for the same seed.

    In turn: a town, each equally likely; a point on land without Antarctica, uniform by area; a town of a country, each
    country equally likely. The towns come without populations (see `data/places`).

    Examples
    --------
    >>> next(places(0))
    (34.1, -117.77)
    """
    rng = np.random.default_rng(seed)
    towns = pd.read_parquet(files.data_path("places", "places.parquet"))
    countries = [rows for _, rows in sorted(towns.groupby("country", observed=True).indices.items())]
    spots = towns[["lat", "lon"]].to_numpy(np.float64)
    seen = set()
    while True:
        lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, 4096))), rng.uniform(-180, 180, 4096)
        codes = country_of(lat, lon, offshore_km=0.0)
        for point in np.column_stack([lat, lon])[(codes != "") & (codes != "ATA")]:
            town = spots[rng.integers(len(spots))]
            town_of_country = spots[rng.choice(countries[rng.integers(len(countries))])]
            for spot in (town, point, town_of_country):
                place = (round(float(spot[0]), 4), round(float(spot[1]), 4))
                if place not in seen:
                    seen.add(place)
                    yield place


class _Collection:
    """The photos in a folder, and the journal from which an interrupted run resumes."""

    def __init__(self, folder: Path, client: Client, width: int, wanted: int, progress: bool) -> None:
        self.folder, self.client, self.width, self.wanted = folder, client, width, wanted
        self.rows: list[Row] = []  # of the photos, in the order in which they came
        self.steps = self.failures = 0  # a step is one question to the API
        self.refused: dict[str, str] = {}  # id of a file -> reason
        self.held = Counter[tuple[str, str]]()  # (column, value) -> number of photos
        self.bar = tqdm(total=wanted, unit="photo", disable=not progress)
        self.journal: IO[bytes]

    def __enter__(self) -> _Collection:
        path, whole = self.folder / "journal.jsonl", 0
        for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else []:
            if not line.endswith(b"\n"):  # the process was killed within this line
                break
            try:
                self._apply(files.parse_json(line.decode()))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise CorruptFileError(f"{path} is damaged ({error}); remove {self.folder} and fetch again") from error
            whole += len(line)
        self.journal = open(path, "ab")
        self.journal.truncate(whole)
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()
        self.journal.close()

    def full(self) -> bool:
        return len(self.rows) >= self.wanted

    def over_a_cap(self, row: Row) -> str:
        """Why this photo is one too many, or ""."""
        held = {kind: self.held[kind, value] for kind, value in _counted(row).items()}
        if held["sha1"]:
            return "the same sha1 as another"
        if row["uploader"] and held["uploader"] >= CAPS["photographer"]:
            return f"{CAPS['photographer']} by the same photographer already"
        return f"{CAPS['block']} from the same degree already" if held["block"] >= CAPS["block"] else ""

    def take(self, step: int, candidates: Iterable[tuple[str, Row | str]], most: int) -> None:
        """Fetch at most `most` of the candidates (id, and row or reason of its refusal), and close the step."""
        refused: dict[str, list[str]] = {}
        taken = sum(row["step"] == step for row in self.rows[-most:])  # before an interruption
        for photo, row in candidates:
            if taken >= most:
                break
            if self.full():
                return  # a later call that wants more photos resumes at this step
            if self.held["id", photo] or photo in self.refused:
                continue  # before an interruption, or from a place nearby
            if why := row if isinstance(row, str) else self._add(row, step):
                refused.setdefault(why, []).append(photo)
            else:
                taken += 1
        self._note({"step": step, "refused": refused})

    def _add(self, row: Row, step: int) -> str:
        """Fetch a photo and note it in the journal; returns why not, or ""."""
        addresses = row.pop("addresses")
        try:
            row |= {"step": step} | self._file(row, *addresses)
        except DownloadError as error:
            unavailable = isinstance(error, UnavailableError)
            self.failures = self.failures + 1 if unavailable else 0
            if unavailable and (self.failures >= _MOST_FAILURES or error.reason != "unavailable"):
                raise
            return error.reason
        self.failures = 0
        if self.held["sha256", row["sha256"]]:
            (self.folder / row["path"]).unlink()
            return "the same bytes as another"
        self._note({"photo": row})
        return ""

    def _file(self, row: Row, original: str, thumbnail: str | None) -> Row:
        """Fetch the picture of a row, unless it is here; returns its hashes and size."""
        address, limit = (thumbnail, _MAX_THUMBNAIL) if self.width else (original, _MAX_ORIGINAL)
        if not address:
            raise DownloadError(f"{row['id']} has no thumbnail", "no thumbnail")
        check, target = partial(_inspect, row=row, width=self.width), self.folder / row["path"]
        if target.is_file():  # the process was killed before it noted this file
            with suppress(DownloadError):
                return check(target)
            target.unlink()
        return self.client.file(address, target, check, max_bytes=limit)

    def _note(self, event: Mapping[str, Any]) -> None:
        self.journal.write(_json_line(event).encode())
        self.journal.flush()
        self._apply(event)

    def _apply(self, event: Mapping[str, Any]) -> None:
        if "photo" in event:
            self.rows.append(event["photo"])
            self.held.update(_counted(event["photo"]).items())
            self.bar.update(len(self.rows) <= self.wanted)
        else:
            self.steps = event["step"] + 1
            for why, photos in event["refused"].items():
                self.refused |= dict.fromkeys(photos, why)

    def finish(self) -> dict[str, Any]:
        """Write table, manifest and report of the photos wanted; returns the report."""
        refused = Counter(why for photo, why in self.refused.items() if not self.held["id", photo])
        if not self.rows:
            reasons = ", ".join(f"{n} {why}" for why, n in refused.most_common(3))
            raise MissingDataError(f"no photograph was found in {self.steps} steps. Refused: {reasons or 'none'}")
        table = pd.DataFrame(self.rows[: self.wanted])
        table = table.assign(photographer=table["uploader"]).drop(columns="step").sort_values("id", ignore_index=True)
        lines = table.assign(width=self.width).to_dict("records")
        table["country"] = country_of(table["lat"], table["lon"])
        with files.atomic_path(self.folder / "photos.parquet") as temporary:
            table.to_parquet(temporary, index=False)
        files.write_bytes(self.folder / "manifest.jsonl", "".join(map(_json_line, lines)).encode())
        counts = {"wanted": self.wanted, "asked": self.steps, "refused": dict(refused.most_common())}
        report = describe(table, count_near_duplicates(table["hash"])) | counts
        files.write_json(self.folder / "report.json", report)
        return report


def _counted(row: Row) -> dict[str, str]:
    """The values of a row that are counted, to find caps that are reached and duplicates."""
    block = f"{np.floor(row['lat']):.0f} {np.floor(row['lon']):.0f}"
    return {"block": block} | {key: row.get(key, "") for key in ("id", "uploader", "sha1", "sha256")}


def _json_line(row: Mapping[Any, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n"


def _inspect(path: Path, row: Row, width: int) -> Row:
    """sha256, size and look of a file. Raises `DownloadError` for one that is not the expected picture."""
    size = path.stat().st_size
    if width == ORIGINALS:
        if size != row["original_bytes"]:
            raise DownloadError(f"{path.name} has {size:,} bytes, expected {row['original_bytes']:,}", "wrong length")
        if pooch.file_hash(path, "sha1") != row["sha1"]:
            raise DownloadError(f"{path.name} does not have the sha1 {row['sha1']}", "wrong hash")
    try:
        picture = open_rgb(path)
    except ImageError as error:
        raise DownloadError(str(error), "not a whole picture") from error
    w, h = row["original_width"], row["original_height"]
    # A thumbnail may be wider than asked (the next width served), or the original where that is small.
    least = w if width == ORIGINALS else min(width, w)
    if not (least <= picture.width <= w) or abs(picture.height - picture.width * h / w) > 1.5:
        raise DownloadError(f"{path.name} is {picture.size}, expected {least} of {w} x {h}", "wrong dimensions")
    return {"sha256": files.sha256_file(path), "bytes": size, "hash": average_hash(picture)}


def _fetch_around(found: _Collection, seed: int) -> None:
    """One step per place: ask for the files around it, and take some in random order."""
    for step, (lat, lon) in enumerate(places(seed)):
        # One place per wanted photo should be enough; if it is not, there are no more photos to find.
        if found.full() or step >= found.wanted + 100:
            return
        if step >= found.steps:
            pages = files_around(found.client, lat, lon, found.width)
            order = np.random.default_rng([seed, step]).permutation(len(pages))
            found.take(step, (_candidate(found, pages[position]) for position in order), CAPS["place"])


def _candidate(found: _Collection, page: Page) -> tuple[str, Row | str]:
    row = read_page(page, found.client.allows)
    return f"M{page['pageid']}", row if isinstance(row, str) else found.over_a_cap(row) or row


def _fetch_listed(found: _Collection, wanted: Sequence[Row]) -> None:
    """One step per batch of ids. Of the manifest only id, sha1 and place are believed; the rest comes from the API."""
    for step, first in enumerate(range(0, len(wanted), MOST_IDS)):
        if step >= found.steps and not found.full():
            batch = wanted[first : first + MOST_IDS]
            pages = files_by_id(found.client, (row["id"] for row in batch), found.width)
            rows = ((row["id"], _listed_row(found, row, pages.get(int(row["id"][1:]), {}))) for row in batch)
            found.take(step, rows, MOST_IDS)


def _listed_row(found: _Collection, listed: Row, page: Page) -> Row | str:
    if not page.get("imageinfo"):
        return "no longer on Commons"
    row = read_page({**page, "coordinates": [{"lat": listed["lat"], "lon": listed["lon"]}]}, found.client.allows)
    if isinstance(row, dict) and row["sha1"] != listed["sha1"]:
        return "changed since the manifest (other sha1)"
    return row


def _read_manifest(path: Path) -> list[Row]:
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist; expected the manifest.jsonl of a fetched dataset")
    rows: dict[str, Row] = {}
    with open(path, encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                row = {key: x[key] for x in [files.parse_json(line)] for key in ("id", "sha1", "lat", "lon", "width")}
                row["lat"], row["lon"] = float(row["lat"]), float(row["lon"])
                good = abs(row["lat"]) <= 90 and abs(row["lon"]) <= 180 and type(row["width"]) is int
                good = good and bool(ID.fullmatch(row["id"]) and SHA1.fullmatch(row["sha1"]))
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                good = False
            if not good:
                raise CorruptFileError(
                    f"line {number} of {path} is not of a manifest; expected id, sha1, lat, lon, width"
                )
            rows[row["id"]] = row
    if not rows:
        raise CorruptFileError(f"{path} lists no photos; expected the manifest.jsonl of a fetched dataset")
    return list(rows.values())


def _check_folder(out: Path, settings: Mapping[str, Any]) -> None:
    """Raise `MismatchError` unless the folder is new or was begun with the same options, which make the same steps."""
    path = out / "settings.json"
    if not path.is_file():
        if out.is_dir() and any(not file.name.startswith(".") for file in out.iterdir()):
            raise MismatchError(f"{out} holds other files: name an empty or new folder with --out")
        files.write_json(path, settings)
    begun = files.read_json(path)
    if other := [
        f"{key} {begun.get(key)!r}, not {settings[key]!r}" for key in settings if begun.get(key) != settings[key]
    ]:
        raise MismatchError(f"{out} was begun with {'; '.join(other)}: use the same, or another folder with --out")


def credit(path: Path) -> str:
    """Author, licence and page of the file of a fetched photo, on one line; "" for any other file."""
    table = path.resolve().parent.parent.parent / "photos.parquet"
    if not (ID.fullmatch(path.stem) and table.is_file()):
        return ""
    try:
        rows = pd.read_parquet(table, columns=["author", "licence", "source"], filters=[("id", "==", path.stem)])
        return ", ".join(rows.iloc[0])
    except Exception:  # somebody else's table: pyarrow and pandas raise a dozen kinds on it
        return ""
