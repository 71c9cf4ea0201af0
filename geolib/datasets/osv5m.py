"""OSV-5M: 5.1 million street views of Mapillary in 225 countries, from the Hugging Face hub, whole or by shard.

Astruc et al., "OpenStreetView-5M: The Many Roads to Global Visual Geolocation", CVPR 2024; CC BY-SA 4.0. The repository
`osv5m/osv5m` holds `train.csv`, `test.csv`, and the pictures as `images/train/00.zip`, `images/test/00.zip` and so on
(98 and 5 archives of about 50,000 pictures, as public code counts them; the hub's own list is used).

*Revision.* The first fetch looks up the commit of `main` and writes it to `manifest.json`; later calls use that commit
until another `revision` is asked for.

*Columns.* The photographer is `creator_id`, the account on Mapillary; the author to credit is `creator_username`; the
page of a photo is `https://www.mapillary.com/app/?pKey=` and its id. A table without these columns opens too.

*Split.* The published test side stays `test`: at least 1 km from every training photo, but photographers and blocks of
1 degree may be on both sides; the report counts the photos of such photographers. The training side is split again, by
blocks and photographers: 90 % `train`, 10 % `calibration`, and `left_out` for photographers who would be on both. A
larger fetch splits anew, so fit and calibrate on one fetch.

Tested against a local server that speaks the hub's protocol over HTTP, never against the hub itself, nor over Xet.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub
import pandas as pd

from geolib._version import __version__
from geolib.common.download import DownloadError, UnavailableError
from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError
from geolib.common.files import alone_in, atomic_path, cache_path, read_json, sha256_file, write_json
from geolib.common.hub import ask_hub
from geolib.common.texts import one_line
from geolib.datasets.archives import unpack_pictures
from geolib.datasets.report import format_report
from geolib.datasets.splits import safe_split
from geolib.datasets.tables import checked, file_below, read_table

REPOSITORY = "osv5m/osv5m"
SIDES = ("train", "test")
_SHARD = re.compile(r"images/(train|test)/([0-9]{2,3})\.zip")
_COMMIT = re.compile("[0-9a-f]{40}")
_IDS = r"[0-9]{1,20}"
_CLIENT: dict[str, Any] = {"token": False, "library_name": "geolib", "library_version": __version__}
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
    """What is in the folder after a fetch.

    shards: number per side.  near_duplicates: photos that look like an earlier one.  shared_photographers: test photos
    whose photographer also took training photos.  refused: number of photos per reason.  refused_shards: those that
    this call could not get, with the reason; a later call tries again.
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
        shards = ", ".join(f"{n:,} shards of {side}" for side, n in self.shards.items())
        lines = [
            f"OSV-5M at commit {self.revision}: {shards}",
            format_report(vars(self)),
            "split: " + ", ".join(f"{n:,} {side}" for side, n in self.sides.items()),
            f"test photos by photographers who are also in train: {self.shared_photographers:,}",
        ]
        return "\n".join(lines + [f"a shard is left out: {why}" for why in self.refused_shards.values()])


def fetch_osv5m(
    shards: int | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    progress: Callable[[str], object] | None = None,
) -> Report:
    """Fetch OSV-5M, or the first shards of each side, or resume an interrupted call.

    Every file is checked against the hash that the hub lists, every picture is decoded, and what is refused is counted.
    A shard that is refused as a whole is left out and tried again by the next call.

    Parameters
    ----------
    shards : number per side; default: all, which the published figures need. Shards that are here already stay.
    folder : default: `osv5m` in geolib's cache. A shard takes twice its size while it is unpacked.
    revision : a commit, or a name that is looked up now; default: the commit of `manifest.json`, else `main`.
    progress : called with a line of text for each step.

    Raises
    ------
    UnavailableError : the hub does not answer; the same call resumes later.
    DownloadError : the hub refuses the list, the tables or all shards.
    CorruptFileError : their content is not as listed.
    GeolibError : the disk is too small, or another process fetches into the folder.
    """
    if shards is not None and shards < 1:
        raise ValueError(f"shards={shards}: expected at least 1")
    tell = progress or (lambda line: None)
    root = Path(folder or cache_path("osv5m"))
    with alone_in(root):
        listing = _listing(root, revision, tell)
        home = root / listing["revision"]
        state = read_json(home / "shards.json") if (home / "shards.json").is_file() else {}
        missing = [name for name in _wanted(listing, shards) if not _is_here(home, name, state)]
        _check_space(home, listing, missing, tell)
        tables = {side: _fetch_file(f"{side}.csv", listing, home, tell) for side in SIDES}
        failed = _fetch_shards(home, listing, missing, state, tell)
        if not state:
            raise next(iter(failed.values()))
        tell("reading the tables")
        unmatched = _build_table(home, sorted(state), tables)
        report = _report(home, state, unmatched, {name: str(error) for name, error in failed.items()})
        write_json(root / "manifest.json", read_json(root / "manifest.json") | {"report": vars(report)})
        return report


def _fetch_shards(
    home: Path, listing: dict[str, Any], missing: list[str], state: dict[str, Any], tell: Callable[[str], object]
) -> dict[str, DownloadError | CorruptFileError]:
    """Fetch and unpack shards one by one, and note each in `shards.json`; returns the errors of those that failed."""
    failed: dict[str, DownloadError | CorruptFileError] = {}
    for number, name in enumerate(missing, start=1):
        tell(f"{name}: {number} of {len(missing)}, {listing['files'][name]['size'] / 1e9:,.2f} GB")
        state.pop(name, None)  # of a shard that has lost pictures since
        archive, folder = home / "downloads" / name, _pictures(home, name)
        try:
            _fetch_file(name, listing, home, tell)
            photos, refused = unpack_pictures(archive, folder, ids=_IDS)
        except UnavailableError:
            raise
        except (DownloadError, CorruptFileError) as error:
            failed[name] = error
            if isinstance(error, CorruptFileError):
                shutil.rmtree(folder, ignore_errors=True)
            tell(f"{name} is left out: {error}")
        else:
            with atomic_path(folder.with_suffix(".parquet")) as temporary:
                photos.to_parquet(temporary)
            state[name] = {"photos": len(photos), "refused": dict(refused)}
            tell(f"{name}: {len(photos):,} pictures, {sum(refused.values()):,} refused")
        write_json(home / "shards.json", state)
        archive.unlink(missing_ok=True)
    return failed


def osv5m(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """What `fetch_osv5m` brought to a folder (default: in geolib's cache), for `open_dataset`."""
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
    table = root / revision / "photos.parquet"
    if not table.is_file():
        raise MissingDataError(f"{table} does not exist; run `python -m geolib fetch osv5m` to its end")
    photos = checked(read_table(table), str(table))
    files = dict(zip(photos.index, photos["path"], strict=True))
    version = f"{revision} {sha256_file(table)}"
    return {"photos": photos, "_file": partial(file_below, table.parent / "images", files), "_version": version}


def _listing(root: Path, revision: str | None, tell: Callable[[str], object]) -> dict[str, Any]:
    """Commit, sizes and hashes of the dataset's files: those of `manifest.json`, else of the hub."""
    manifest = root / "manifest.json"
    known: dict[str, Any] = read_json(manifest) if manifest.is_file() else {}
    if known and revision in (None, known["revision"]):
        return known
    asked = revision or "main"
    api = huggingface_hub.HfApi(**_CLIENT)
    about: dict[str, Any] = {"revision": asked, "files_metadata": True, "timeout": 60}
    info = ask_hub(f"{REPOSITORY} at {asked}", lambda: api.dataset_info(REPOSITORY, **about))
    if not _COMMIT.fullmatch(str(info.sha)):
        raise DownloadError(f"the hub names no commit for {REPOSITORY} at {asked}: {info.sha!r}", "bad answer")
    files, tables = {}, {f"{side}.csv" for side in SIDES}
    for file in info.siblings or []:
        if _SHARD.fullmatch(file.rfilename) or file.rfilename in tables:
            if not (file.size and file.lfs):
                raise DownloadError(f"the hub lists {file.rfilename} without size or sha256", "bad answer")
            files[file.rfilename] = {"size": file.size, "sha256": file.lfs.sha256}
    if tables - set(files) or len(files) < 3:
        absent = ", ".join(tables - set(files)) or "shards"
        raise DownloadError(f"{REPOSITORY} at {asked} has no {absent}", "bad answer")
    tell(f"{REPOSITORY}: {asked} is commit {info.sha}, which this folder uses from now on")
    listing = {"revision": info.sha, "asked": asked, "files": files}
    write_json(manifest, listing)
    return listing


def _fetch_file(name: str, listing: dict[str, Any], home: Path, tell: Callable[[str], object]) -> Path:
    """A file of the listing, checked against its sha256; a wrong one is fetched once more."""
    options = {"repo_type": "dataset", "revision": listing["revision"], "local_dir": home / "downloads", **_CLIENT}
    for outcome in ("fetched once more", "given up"):
        path = Path(ask_hub(name, lambda: huggingface_hub.hf_hub_download(REPOSITORY, name, **options)))
        if sha256_file(path) == listing["files"][name]["sha256"]:
            return path
        path.unlink()
        tell(f"{name}: its sha256 is not the one that the hub lists; {outcome}")
    raise CorruptFileError(f"{name} of {REPOSITORY} came twice, and is not what the hub lists")


def _wanted(listing: dict[str, Any], shards: int | None) -> list[str]:
    names = sorted(filter(_SHARD.fullmatch, listing["files"]), key=lambda name: (len(name), name))
    return [name for side in SIDES for name in [name for name in names if f"/{side}/" in name][:shards]]


def _pictures(home: Path, shard: str) -> Path:
    """The folder of a shard's pictures."""
    found = _SHARD.fullmatch(shard)
    if found is None:
        raise CorruptFileError(f"{home / 'shards.json'} names a shard {shard!r}; delete it, and fetch again")
    return home / "images" / found[1] / found[2]


def _is_here(home: Path, shard: str, state: dict[str, Any]) -> bool:
    """Whether all pictures of a shard are here."""
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
    needed, free = to_come + max(sizes, default=0), shutil.disk_usage(home).free
    tell(f"{len(missing)} shards to come, {to_come / 1e9:,.2f} GB; {free / 1e9:,.1f} GB are free")
    if needed > free:
        raise GeolibError(
            f"{home} has {free / 1e9:,.1f} GB free, {needed / 1e9:,.1f} GB are needed; ask for fewer shards, or set "
            "GEOLIB_CACHE to a larger disk"
        )


def _build_table(home: Path, shards: list[str], tables: dict[str, Path]) -> Counter[str]:
    """Write `photos.parquet` of the pictures that are here; returns the numbers of pictures left out by reason."""
    parts, unmatched = [], Counter[str]()
    for side in SIDES:
        if here := [_unpacked(home, shard) for shard in shards if f"/{side}/" in shard]:
            parts.append(_rows(tables[side], pd.concat(here), unmatched).assign(published_side=side, split="test"))
    photos = pd.concat(parts)
    if photos.empty:
        raise CorruptFileError(f"no picture in {home} has a row with coordinates: {dict(unmatched)}; fetch again")
    photos = photos.assign(licence="CC BY-SA 4.0", source="Mapillary, through OSV-5M")
    train = photos["published_side"] == "train"
    if train.any():
        photos.loc[train, "split"] = safe_split(photos[train], seed=0, shares={"calibration": 0.1})
    with atomic_path(home / "photos.parquet") as temporary:
        photos.reset_index().to_parquet(temporary, index=False)
    return unmatched


def _unpacked(home: Path, shard: str) -> pd.DataFrame:
    """bytes, look and path of the pictures of a shard, by id."""
    folder = _pictures(home, shard)
    photos = pd.read_parquet(folder.with_suffix(".parquet"))
    return photos.assign(path=f"{folder.parent.name}/{folder.name}/" + photos.index.astype(str) + ".jpg")


def _rows(table: Path, here: pd.DataFrame, unmatched: Counter[str]) -> pd.DataFrame:
    """The rows of a published table whose pictures are here, under our names, by id."""
    here = here[~here.index.duplicated()]  # a picture that is in two shards is one
    rows = pd.concat([batch[batch["id"].isin(here.index)] for batch in _batches(table)]).set_index("id")
    once = rows[~rows.index.duplicated()]
    lat, lon = (pd.to_numeric(once[name], errors="coerce").astype(float) for name in ("lat", "lon"))
    kept = once.assign(lat=lat, lon=lon)[lat.between(-90, 90) & lon.between(-180, 180)]
    counts = {
        "no row in the table": len(here) - len(once),
        "a row twice in the table": len(rows) - len(once),
        "no coordinates on the Earth": len(once) - len(kept),
    }
    unmatched.update({reason: n for reason, n in counts.items() if n})
    return kept.join(here)


def _batches(table: Path) -> Iterator[pd.DataFrame]:
    """Pieces of a published table with our columns. All is text: NA is Namibia, and an account may be called null."""
    try:
        header = set(pd.read_csv(table, nrows=0).columns)
        names = {ours: next((name for name in theirs if name in header), None) for ours, theirs in _COLUMNS.items()}
        absent = [_COLUMNS[ours][0] for ours in ("id", "lat", "lon") if names[ours] is None]
        if absent:
            raise CorruptFileError(f"{table} has no column {', '.join(absent)}; it has {', '.join(sorted(header))}")
        known = {theirs: ours for ours, theirs in names.items() if theirs}
        read = pd.read_csv(table, usecols=list(known), dtype=str, keep_default_na=False, chunksize=100_000)
        with read as batches:
            for batch in batches:
                yield batch.rename(columns=known).reindex(columns=list(_COLUMNS), fill_value="")
    except CorruptFileError:
        raise
    except ValueError as error:  # of pandas: no table, rows of other lengths, bytes that are not text
        raise CorruptFileError(f"{table} is not a readable csv ({one_line(error)}); fetch it again") from error


def _report(home: Path, state: dict[str, Any], unmatched: Counter[str], refused_shards: dict[str, str]) -> Report:
    columns = ["country", "photographer", "licence", "bytes", "look", "split", "published_side"]
    photos = pd.read_parquet(home / "photos.parquet", columns=columns)
    test, known = photos["published_side"] == "test", photos["photographer"] != ""
    in_train = set(photos["photographer"][~test & known])
    refused = sum((Counter(shard["refused"]) for shard in state.values()), Counter(unmatched))
    return Report(
        revision=home.name,
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
