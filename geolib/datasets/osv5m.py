"""OSV-5M: 5.1 million street views of Mapillary in 225 countries, from the Hugging Face hub, whole or by shard.

Astruc et al., "OpenStreetView-5M: The Many Roads to Global Visual Geolocation", CVPR 2024; CC BY-SA 4.0. The
repository `osv5m/osv5m` holds `train.csv`, `test.csv`, and the pictures as `images/train/00.zip`, `images/test/00.zip`
and so on (98 and 5, of about 50,000, as public code counts them; the hub's own list is what is used).

*Revision.* geolib does not know a commit of that repository for certain, so `main` is looked up once, at the first
fetch; the commit is written to `manifest.json` and used ever after, until another `revision` is asked for by name.

*Columns.* `latitude` and `longitude` are `lat` and `lon`. The photographer is `creator_id`, the account on Mapillary:
it is what a camera, a car and a habit of driving belong to. (`sequence` is one drive, of which OSV-5M keeps one
picture, so it groups nothing.) The author to be credited is `creator_username`; a photo's page is
`https://www.mapillary.com/app/?pKey=` and its id. A copy of the tables without these columns opens too: its photos then
have no photographer, and count as each by one of its own.

*Split.* The published test side is `test`, as it was published: 1 km and more from every training photo, but nothing
keeps the same photographers and blocks from being in train too; the report counts the photos of such photographers.
Train is dealt once more by blocks of 1 degree and by photographers: 90 % `train`, 10 % `calibration`, and `left_out`
where a photographer would be on both. A larger fetch deals anew: fit and calibrate on one.

Tried against a local server that speaks the hub's protocol over HTTP, never against the hub itself, nor over Xet, which
the hub prefers where the package hf-xet is installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from geolib._version import __version__
from geolib.common.download import DownloadError, HubPatience, UnavailableError
from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError
from geolib.common.files import alone_in, atomic_path, cache_path, read_json, sha256_file, write_json
from geolib.common.texts import one_line
from geolib.datasets.archives import Limits, unpack_pictures
from geolib.datasets.report import format_report

REPOSITORY = "osv5m/osv5m"
SIDES = ("train", "test")
_SHARD = re.compile(r"images/(train|test)/([0-9]{2,3})\.zip")
_COMMIT = re.compile("[0-9a-f]{40}")
_IDS = r"[0-9]{1,20}"
_AGENT: dict[str, Any] = {"library_name": "geolib", "library_version": __version__}
_LICENCE, _SOURCE = "CC BY-SA 4.0", "Mapillary, through OSV-5M"
# What is kept of the tables: our name, theirs (the first that is there).
_COLUMNS = {
    "id": ("id",),
    "lat": ("latitude",),
    "lon": ("longitude",),
    "photographer": ("creator_id",),
    "author": ("creator_username",),
    "country": ("unique_country", "country"),
    "region": ("region",),
    "sub_region": ("sub-region",),
    "city": ("city",),
    "captured_at": ("captured_at",),
    "sequence": ("sequence",),
    "quadtree": ("quadtree_10_1000",),
}


@dataclass(frozen=True)
class Report:
    """What a fetch has brought, all in all.

    revision: the commit.  shards: that are here, of each side.  bytes: of the pictures.
    near_duplicates: photos that look as another one before them (`duplicates.difference_hash`).
    shared_photographers: of the test photos, those whose photographer also took training photos.
    refused: photos that are not here, by reason.
    refused_shards: shards that were asked for now and could not be had, each with the reason; a later call tries again.
    """

    revision: str
    shards: dict[str, int]
    photos: int
    countries: int
    photographers: int
    licences: dict[str, int]
    bytes: int
    near_duplicates: int
    shared_photographers: int
    sides: dict[str, int]
    refused: dict[str, int]
    refused_shards: dict[str, str]

    def __str__(self) -> str:
        lines = [
            f"OSV-5M at commit {self.revision}: " + _counted(self.shards, "shards of {}"),
            format_report(vars(self)),
            "split: " + _counted(self.sides),
            f"test photos by photographers who are also in train: {self.shared_photographers:,}",
        ]
        lines += [f"a shard is left out: {why}" for why in self.refused_shards.values()]
        return "\n".join(lines)


def _counted(numbers: dict[str, int], called: str = "{}") -> str:
    return ", ".join(f"{n:,} {called.format(name)}" for name, n in numbers.items())


def fetch_osv5m(
    shards: int | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    endpoint: str | None = None,
    limits: Limits | None = None,
    progress: Callable[[str], object] | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Fetch OSV-5M, or so many shards of each side, and go on where an earlier call stopped.

    shards: of train and of test, from the first (default: all; the figures of the paper want all of test). What is
        here already stays: the number is of those that are here afterwards, or more.
    folder: default `osv5m` in geolib's cache. A shard takes its size twice while it is unpacked, then once.
    revision: a commit, or a name that is looked up now; default the commit of the manifest, else `main`.
    endpoint: address of the hub (default: huggingface_hub's, which `HF_ENDPOINT` sets). No token is sent.
    progress: told of each step in a line.  sleep: what waits between attempts, seconds.

    A shard is the unit of going on: a transfer that was killed begins again with its shard. Every file is checked
    against the sha256 (or git's sha1) that the hub lists for it, every picture is decoded, and what is refused is
    counted; a shard that is refused as a whole is left out, with its reason in the report, and tried again by the next
    call. Raises `UnavailableError` when the hub does not answer, `GeolibError` when the disk is too small or while
    another process fetches here; and where listing, tables or all of the shards cannot be had, `DownloadError` for a
    final refusal, `CorruptFileError` for content that is not as listed.
    """
    if shards is not None and shards < 1:
        raise ValueError(f"shards={shards}: expected at least 1")
    tell = progress or (lambda line: None)
    root = Path(folder or cache_path("osv5m"))
    hub = _Hub(endpoint, sleep)
    with alone_in(root):
        return _fetch(root, hub, shards, revision, limits, tell)


def _fetch(
    root: Path,
    hub: _Hub,
    shards: int | None,
    revision: str | None,
    limits: Limits | None,
    tell: Callable[[str], object],
) -> Report:
    listing = _listing(root, hub, revision, tell)
    home = root / listing["revision"]
    wanted = _wanted(listing, shards)
    state = read_json(home / "shards.json") if (home / "shards.json").is_file() else {}
    missing = [name for name in wanted if not _here(home, name, state)]
    _check_space(home, listing, missing, tell)
    tables = {side: hub.file(f"{side}.csv", listing, home / "downloads", tell) for side in SIDES}
    failed: dict[str, DownloadError | CorruptFileError] = {}
    for number, name in enumerate(missing, start=1):
        tell(f"{name}: {number} of {len(missing)}, {listing['files'][name]['size'] / 1e9:,.2f} GB")
        state.pop(name, None)  # of a shard that was here once, and lost pictures since
        try:
            archive = hub.file(name, listing, home / "downloads", tell)
            state[name] = _unpack(archive, _pictures(home, name), limits)
        except UnavailableError:
            raise
        except (DownloadError, CorruptFileError) as error:
            failed[name] = error
            tell(f"{name} is left out: {error}")
        write_json(home / "shards.json", state)
        if name in state:
            archive.unlink()
            tell(f"{name}: {state[name]['photos']:,} pictures, {sum(state[name]['refused'].values()):,} refused")
    if not state:
        raise next(iter(failed.values()))
    tell("reading the tables")
    strays = _build_table(home, sorted(state), tables)
    report = _report(home, listing["revision"], state, strays, {name: str(error) for name, error in failed.items()})
    write_json(root / "manifest.json", read_json(root / "manifest.json") | {"report": _as_dict(report)})
    return report


def _unpack(archive: Path, folder: Path, limits: Limits | None) -> dict[str, Any]:
    """Unpack a shard to its folder and write its table beside it; returns how many pictures it has, and which not."""
    try:
        photos, refused = unpack_pictures(archive, folder, ids=_IDS, limits=limits)
    except CorruptFileError:
        archive.unlink()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with atomic_path(folder.with_suffix(".parquet")) as temporary:
        photos.to_parquet(temporary)
    return {"photos": len(photos), "refused": dict(refused)}


def osv5m(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """What `fetch_osv5m` brought to a folder (default: in geolib's cache), for `open_dataset`."""
    from geolib.datasets.tables import checked, file_below

    root = Path(path or cache_path("osv5m"))
    manifest = root / "manifest.json"
    if not manifest.is_file():
        raise MissingDataError(
            f"{manifest} does not exist; `python -m geolib fetch osv5m --shards 1` fetches a first part of OSV-5M "
            "(it says how large before it begins), without --shards all of it"
        )
    revision = str(read_json(manifest).get("revision"))
    if not _COMMIT.fullmatch(revision):
        raise CorruptFileError(f"{manifest} names no commit ({revision!r}); delete it, and fetch again")
    home = root / revision
    if not (home / "photos.parquet").is_file():
        raise MissingDataError(f"{home} holds no photos yet; run `python -m geolib fetch osv5m` to its end")
    try:
        photos = pd.read_parquet(home / "photos.parquet").set_index("id")
    except Exception as error:  # pyarrow raises several kinds on hostile bytes
        raise CorruptFileError(f"{home / 'photos.parquet'} is not a readable table ({error}); fetch again") from error
    photos = checked(photos, str(home / "photos.parquet"))
    files = dict(zip(photos.index, photos["path"], strict=True))
    version = f"{home.name} {sha256_file(home / 'photos.parquet')}"
    return {"photos": photos, "_file": partial(file_below, home / "images", files), "_version": version}


class _Hub:
    """The dataset's repository, through huggingface_hub's own functions, asked again while it is busy."""

    def __init__(self, endpoint: str | None, sleep: Callable[[float], None]) -> None:
        self._endpoint, self._patiently = endpoint, HubPatience(sleep)

    def listing(self, revision: str) -> dict[str, Any]:
        """The commit of a revision, and size and hash of the files of the dataset at that commit."""
        api = huggingface_hub.HfApi(endpoint=self._endpoint, token=False, **_AGENT)
        info = self._patiently(
            f"{REPOSITORY} at {revision}",
            lambda: api.dataset_info(REPOSITORY, revision=revision, files_metadata=True, timeout=60),
        )
        if not _COMMIT.fullmatch(str(info.sha)):
            raise DownloadError(f"the hub names no commit for {REPOSITORY} at {revision}: {info.sha!r}", "bad answer")
        files = {}
        for file in info.siblings or []:
            if _SHARD.fullmatch(file.rfilename) or file.rfilename in ("train.csv", "test.csv"):
                sha256 = file.lfs.sha256 if file.lfs else None
                if not file.size or not (sha256 or file.blob_id):
                    raise DownloadError(f"the hub lists {file.rfilename} without size or hash", "bad answer")
                files[file.rfilename] = {"size": file.size, "sha256": sha256, "sha1": file.blob_id}
        absent = {f"{side}.csv" for side in SIDES} - set(files)
        if absent or len(files) < 3:
            raise DownloadError(f"{REPOSITORY} at {revision} has no {', '.join(absent) or 'shards'}", "bad answer")
        return {"revision": info.sha, "asked": revision, "files": files}

    def file(self, name: str, listing: dict[str, Any], folder: Path, tell: Callable[[str], object]) -> Path:
        """A file of the listing, checked against its hash; a second transfer is tried for one that is wrong."""
        known = listing["files"][name]
        for last in (False, True):
            path = Path(
                self._patiently(
                    name,
                    lambda: huggingface_hub.hf_hub_download(
                        REPOSITORY,
                        name,
                        repo_type="dataset",
                        revision=listing["revision"],
                        local_dir=folder,
                        endpoint=self._endpoint,
                        token=False,
                        **_AGENT,
                    ),
                )
            )
            fault = _fault(path, known)
            if fault is None:
                return path
            path.unlink()
            tell(f"{name}: {fault}; " + ("given up" if last else "fetched once more"))
        raise CorruptFileError(f"{name} of {REPOSITORY} came twice, and is not what the hub lists: {fault}")


def _fault(path: Path, known: dict[str, Any]) -> str | None:
    """What is wrong with a file, by its size and the hash that the hub keeps of it (git's for small ones)."""
    size = path.stat().st_size
    if size != known["size"]:
        return f"{size:,} bytes, expected {known['size']:,}"
    if known["sha256"]:
        return None if sha256_file(path) == known["sha256"] else "its sha256 is another"
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return None if digest.hexdigest() == known["sha1"] else "its git sha1 is another"


def _listing(root: Path, hub: _Hub, revision: str | None, tell: Callable[[str], object]) -> dict[str, Any]:
    """The files at the commit that this folder is pinned to, pinned now where it was not."""
    manifest = root / "manifest.json"
    known: dict[str, Any] = read_json(manifest) if manifest.is_file() else {}
    if known and revision in (None, known["revision"]):
        return known
    listing = hub.listing(revision or "main")
    tell(f"{REPOSITORY}: {listing['asked']} is commit {listing['revision']}, which this folder keeps to from now on")
    write_json(manifest, listing)
    return listing


def _wanted(listing: dict[str, Any], shards: int | None) -> list[str]:
    by_side: dict[str, list[str]] = {side: [] for side in SIDES}
    for name in sorted(listing["files"], key=lambda name: (len(name), name)):
        if found := _SHARD.fullmatch(name):
            by_side[found[1]].append(name)
    return [name for side in SIDES for name in by_side[side][:shards]]


def _pictures(home: Path, shard: str) -> Path:
    """The folder of a shard's pictures."""
    found = _SHARD.fullmatch(shard)
    if found is None:
        raise CorruptFileError(f"{home / 'shards.json'} names a shard {shard!r}; delete it, and fetch again")
    return home / "images" / found[1] / found[2]


def _here(home: Path, shard: str, state: dict[str, Any]) -> bool:
    """Whether a shard is here as it was unpacked."""
    folder = _pictures(home, shard)
    if shard not in state or not folder.is_dir() or not folder.with_suffix(".parquet").is_file():
        return False
    with os.scandir(folder) as entries:
        found = sum(1 for entry in entries if entry.name.endswith(".jpg"))
    return bool(found == state[shard]["photos"])


def _check_space(home: Path, listing: dict[str, Any], missing: list[str], tell: Callable[[str], object]) -> None:
    home.mkdir(parents=True, exist_ok=True)
    sizes = [listing["files"][name]["size"] for name in missing]
    tables = [f"{side}.csv" for side in SIDES if not (home / "downloads" / f"{side}.csv").is_file()]
    to_come = sum(sizes) + sum(listing["files"][name]["size"] for name in tables)
    needed = to_come + max(sizes, default=0)
    free = shutil.disk_usage(home).free
    tell(f"{len(missing)} shards to come, {to_come / 1e9:,.2f} GB; {free / 1e9:,.1f} GB are free")
    if needed > free:
        raise GeolibError(
            f"{home} has {free / 1e9:,.1f} GB free, {needed / 1e9:,.1f} GB are needed; ask for fewer shards, or set "
            "GEOLIB_CACHE to a larger disk"
        )


def _build_table(home: Path, shards: list[str], tables: dict[str, Path]) -> Counter[str]:
    """Write `photos.parquet` of the pictures that are here; returns the photos left out by reason."""
    parts, strays = [], Counter[str]()
    for side in SIDES:
        here = [_unpacked(home, shard) for shard in shards if _SHARD.fullmatch(shard)[1] == side]  # type: ignore[index]
        if here:
            parts.append(_rows(tables[side], pa.concat_tables(here), side, strays))
    photos = pa.concat_tables(parts)
    if photos.num_rows == 0:
        raise CorruptFileError(f"no picture in {home} has a row with coordinates: {dict(strays)}; fetch again")
    photos = photos.append_column("split", pa.array(_sides(photos), pa.string()))
    with atomic_path(home / "photos.parquet") as temporary:
        pq.write_table(photos, temporary)
    return strays


def _unpacked(home: Path, shard: str) -> pa.Table:
    """id, path, bytes and look of the pictures of a shard."""
    folder = _pictures(home, shard)
    photos = pq.read_table(folder.with_suffix(".parquet"))
    place = f"{folder.parent.name}/{folder.name}/"
    ids = photos["id"].cast(pa.string())
    paths = pc.binary_join_element_wise(place, ids, ".jpg", "")
    return pa.table({"id": ids, "path": paths, "bytes": photos["bytes"], "look": photos["look"]})


def _rows(table: Path, here: pa.Table, side: str, strays: Counter[str]) -> pa.Table:
    """The rows of a published table whose pictures are here, under our names; the table is read in pieces."""
    here = here.take(pa.array(_firsts(here["id"])))  # a picture that is in two shards is one
    ids, parts = here["id"].combine_chunks(), []
    for batch in _batches(table):
        at = pc.index_in(batch["id"], value_set=ids)
        parts.append(batch.filter(at.is_valid()))
    rows = pa.concat_tables(parts)
    once = rows.take(pa.array(_firsts(rows["id"])))
    lat, lon = (once[name].to_numpy() for name in ("lat", "lon"))
    good = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)  # NaN is neither
    kept = once.filter(pa.array(good))
    counts = {
        "no row in the table": here.num_rows - once.num_rows,
        "a row twice in the table": rows.num_rows - once.num_rows,
        "no coordinates on the Earth": once.num_rows - kept.num_rows,
    }
    strays.update({reason: n for reason, n in counts.items() if n})
    files = here.take(pc.index_in(kept["id"], value_set=ids).combine_chunks())
    for name in ("path", "bytes", "look"):
        kept = kept.append_column(name, files[name])
    fixed = {"licence": _LICENCE, "source": _SOURCE, "published_side": side}
    for name, text in fixed.items():
        kept = kept.append_column(name, pa.array([text] * kept.num_rows, pa.string()))
    return kept.combine_chunks()


def _batches(table: Path) -> Iterator[pa.Table]:
    """Pieces of a published table with our columns: text, but for `lat` and `lon`."""
    read = pa.csv.ReadOptions(block_size=64 << 20)
    try:
        with pa.csv.open_csv(table, read_options=pa.csv.ReadOptions(block_size=1 << 20)) as reader:
            header = set(reader.schema.names)
        names = {ours: next((name for name in theirs if name in header), None) for ours, theirs in _COLUMNS.items()}
        absent = [_COLUMNS[ours][0] for ours in ("id", "lat", "lon") if names[ours] is None]
        if absent:
            raise CorruptFileError(f"{table} has no column {', '.join(absent)}; it has {', '.join(sorted(header))}")
        theirs = [name for name in names.values() if name]
        # As text, without nulls: NA is Namibia, and an account may be called null.
        text = dict.fromkeys(theirs, pa.string())
        convert = pa.csv.ConvertOptions(include_columns=theirs, column_types=text)
        with pa.csv.open_csv(table, read_options=read, convert_options=convert) as reader:
            for batch in reader:
                yield _named(pa.Table.from_batches([batch]), names)
    except pa.ArrowInvalid as error:
        raise CorruptFileError(f"{table} is not a readable csv ({one_line(error)}); fetch it again") from error


def _named(batch: pa.Table, names: dict[str, str | None]) -> pa.Table:
    columns = {}
    for ours, theirs in names.items():
        column = batch[theirs] if theirs else pa.nulls(batch.num_rows, pa.string())
        if ours in ("lat", "lon"):  # text that is no number becomes NaN, to be refused by row
            values = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(np.float64)
            columns[ours] = pa.array(values, pa.float64())
        else:
            columns[ours] = pc.fill_null(column, "")
    return pa.table(columns)


def _firsts(column: Any) -> Any:
    """Where each value comes first, in order."""
    return np.flatnonzero(~column.to_pandas().duplicated().to_numpy())


def _sides(photos: pa.Table) -> list[str]:
    """train, calibration, left_out or test for each photo; see the module."""
    from geolib.datasets.splits import safe_split

    frame = photos.select(["id", "lat", "lon", "photographer", "published_side"]).to_pandas().set_index("id")
    train = frame["published_side"] == "train"
    side = pd.Series("test", index=frame.index)
    if train.any():
        side[train] = safe_split(frame[train], seed=0, shares={"calibration": 0.1})
    return [str(name) for name in side]


def _report(
    home: Path, revision: str, state: dict[str, Any], strays: Counter[str], refused_shards: dict[str, str]
) -> Report:
    columns = ["country", "photographer", "licence", "bytes", "look", "split", "published_side"]
    photos = pd.read_parquet(home / "photos.parquet", columns=columns)
    test = photos["published_side"] == "test"
    known = photos["photographer"] != ""
    in_train = set(photos["photographer"][~test & known])
    refused: Counter[str] = Counter(strays)
    for shard in state.values():
        refused.update(shard["refused"])
    return Report(
        revision=revision,
        shards={side: sum(f"/{side}/" in name for name in state) for side in SIDES},
        photos=len(photos),
        countries=photos["country"][photos["country"] != ""].nunique(),
        photographers=photos["photographer"][known].nunique(),
        licences={str(k): int(v) for k, v in photos["licence"].value_counts().items()},
        bytes=int(photos["bytes"].sum()),
        near_duplicates=int(photos["look"].duplicated().sum()),
        shared_photographers=int(photos["photographer"][test].isin(in_train).sum()),
        sides={str(k): int(v) for k, v in photos["split"].value_counts().items()},
        refused=dict(sorted(refused.items())),
        refused_shards=refused_shards,
    )


def _as_dict(report: Report) -> dict[str, Any]:
    return dict(vars(report))
