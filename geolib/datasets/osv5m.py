"""OSV-5M: 5.1 million street views of Mapillary in 225 countries, from the Hugging Face hub, whole or by shard.

Astruc et al., "OpenStreetView-5M: The Many Roads to Global Visual Geolocation", CVPR 2024; CC BY-SA 4.0. The repository
`osv5m/osv5m` holds `train.csv`, `test.csv`, and the pictures as `images/train/00.zip`, `images/test/00.zip` and so on
(98 and 5 archives of about 50,000 pictures, as public code counts them; the hub's own list is used). The photographer
is `creator_id`, the account on Mapillary. The page of a photo is `https://www.mapillary.com/app/?pKey=` and its id.

The published test side stays `test`: at least 1 km from every training photo, but photographers and blocks of 1 degree
may be on both sides; the report counts the photos of such photographers. The training side is split again, by blocks
and photographers: 90 % `train`, 10 % `calibration`, and `left_out` for photographers who would be on both. A larger
fetch splits anew, so fit and calibrate on one fetch.

Tested against a local server that speaks the hub's protocol over HTTP, never against the hub itself, nor over Xet.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
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
from geolib.datasets.report import describe, format_report
from geolib.datasets.splits import safe_split
from geolib.datasets.tables import checked, read_table, with_files

REPOSITORY = "osv5m/osv5m"
SIDES = ("train", "test")
_TABLES = {side: f"{side}.csv" for side in SIDES}
_SHARD = re.compile(r"images/(train|test)/[0-9]{2,3}\.zip")
_COMMIT = re.compile("[0-9a-f]{40}")
_IDS = r"[0-9]{1,20}"
_CLIENT: dict[str, Any] = {"token": False, "library_name": "geolib", "library_version": __version__}
_COLUMNS = {  # published name -> our name; if a table has two for the same, the later one is used
    "id": "id",
    "latitude": "lat",
    "longitude": "lon",
    "creator_id": "photographer",
    "creator_username": "author",
    "country": "country",
    "unique_country": "country",
    "region": "region",
    "sub-region": "sub_region",
    "city": "city",
    "captured_at": "captured_at",
    "sequence": "sequence",
    "quadtree_10_1000": "quadtree",
}
Tell = Callable[[str], object]


def fetch_osv5m(
    shards: int | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    progress: Tell = lambda line: None,
) -> dict[str, Any]:
    """Fetch OSV-5M, or the first shards of each side, or resume an interrupted call.

    Every file is checked against the hash that the hub lists, every picture is decoded, and what is refused is counted.
    A shard that is refused as a whole is left out and tried again by the next call.

    Parameters
    ----------
    shards : number per side; default: all, which the published figures need. Shards that are here already stay.
    folder : default: `osv5m` in geolib's cache. A shard takes twice its size while it is unpacked.
    revision : a commit, or a name that is looked up now; default: the commit of `manifest.json`, else `main`.
    progress : called with a line of text for each step.

    Returns
    -------
    The counts of `describe` (near-duplicates have equal difference hashes), and numbers of `shards` per side, photos
    per side of the split (`sides`), test photos whose photographer also took training photos (`shared_photographers`),
    `refused` photos by reason, and errors of `refused_shards`. `format_osv5m` writes it as text.

    Raises
    ------
    UnavailableError : the hub does not answer; the same call resumes later.
    DownloadError : the hub refuses the list, the tables or all shards.
    CorruptFileError : their content is not as listed.
    GeolibError : the disk is too small, or another process fetches into the folder.
    """
    if shards is not None and shards < 1:
        raise ValueError(f"shards={shards}: expected at least 1")
    root = Path(folder or cache_path("osv5m"))
    with alone_in(root):
        listing = _listing(root, revision, progress)
        home = root / listing["revision"]
        state = read_json(home / "shards.json") if (home / "shards.json").is_file() else {}
        names = sorted(filter(_SHARD.fullmatch, listing["files"]), key=lambda name: (len(name), name))
        wanted = [name for side in SIDES for name in [name for name in names if f"/{side}/" in name][:shards]]
        missing = [name for name in wanted if not _is_here(home, name, state)]
        _check_space(home, listing, missing, progress)
        tables = {side: _fetch_file(name, listing, home, progress) for side, name in _TABLES.items()}
        failed = _fetch_shards(home, listing, missing, state, progress)
        if not state:
            raise next(iter(failed.values()))
        progress("reading the tables")
        photos, unmatched = _build_table(home, sorted(state), tables)
        report = _report(home, photos, state, unmatched)
        report["refused_shards"] = {name: str(error) for name, error in failed.items()}
        write_json(root / "manifest.json", read_json(root / "manifest.json") | {"report": report})
        return report


def format_osv5m(report: dict[str, Any]) -> str:
    """Write the report of `fetch_osv5m` in lines of text."""
    shards = ", ".join(f"{n:,} shards of {side}" for side, n in report["shards"].items())
    lines = [
        f"OSV-5M at commit {report['revision']}: {shards}",
        format_report(report),
        "split: " + ", ".join(f"{n:,} {side}" for side, n in report["sides"].items()),
        f"test photos by photographers who are also in train: {report['shared_photographers']:,}",
    ]
    return "\n".join(lines + [f"a shard is left out: {why}" for why in report["refused_shards"].values()])


def _fetch_shards(
    home: Path, listing: dict[str, Any], missing: list[str], state: dict[str, Any], tell: Tell
) -> dict[str, DownloadError | CorruptFileError]:
    """Fetch and unpack shards one by one, and note each in `shards.json`; returns the errors of those that failed."""
    failed: dict[str, DownloadError | CorruptFileError] = {}
    for number, name in enumerate(missing, start=1):
        tell(f"{name}: {number} of {len(missing)}, {listing['files'][name]['size'] / 1e9:,.2f} GB")
        state.pop(name, None)  # of a shard that has lost pictures since
        folder = _pictures(home, name)
        try:
            photos, refused = unpack_pictures(_fetch_file(name, listing, home, tell), folder, ids=_IDS)
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
        (home / "downloads" / name).unlink(missing_ok=True)
    return failed


def osv5m(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """What `fetch_osv5m` brought to a folder (default: in geolib's cache), for `open_dataset`."""
    root = Path(path or cache_path("osv5m"))
    manifest = root / "manifest.json"
    if not manifest.is_file():
        raise MissingDataError(
            f"{manifest} does not exist; `geolib fetch osv5m --shards 1` fetches a first part of OSV-5M "
            "(it says how large before it begins), without --shards all of it"
        )
    revision = str(read_json(manifest).get("revision"))
    if not _COMMIT.fullmatch(revision):
        raise CorruptFileError(f"{manifest} names no commit ({revision!r}); delete it, and fetch again")
    table = root / revision / "photos.parquet"
    if not table.is_file():
        raise MissingDataError(f"{table} does not exist; run `geolib fetch osv5m` to its end")
    photos = checked(read_table(table), table)
    return with_files(photos, table.parent / "images", photos["path"], f"{revision} {sha256_file(table)}")


def _listing(root: Path, revision: str | None, tell: Tell) -> dict[str, Any]:
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
    files: dict[str, dict[str, Any]] = {}
    for file in info.siblings or []:
        if _SHARD.fullmatch(file.rfilename) or file.rfilename in _TABLES.values():
            if not (file.size and file.lfs):
                raise DownloadError(f"the hub lists {file.rfilename} without size or sha256", "bad answer")
            files[file.rfilename] = {"size": file.size, "sha256": file.lfs.sha256}
    absent = set(_TABLES.values()) - set(files)
    if absent or len(files) < 3:
        raise DownloadError(f"{REPOSITORY} at {asked} has no {', '.join(absent) or 'shards'}", "bad answer")
    tell(f"{REPOSITORY}: {asked} is commit {info.sha}, which this folder uses from now on")
    listing = {"revision": info.sha, "asked": asked, "files": files}
    write_json(manifest, listing)
    return listing


def _fetch_file(name: str, listing: dict[str, Any], home: Path, tell: Tell) -> Path:
    """A file of the listing, checked against its sha256; a wrong one is fetched once more."""
    options = {"repo_type": "dataset", "revision": listing["revision"], "local_dir": home / "downloads", **_CLIENT}
    for outcome in ("fetched once more", "given up"):
        path = Path(ask_hub(name, lambda: huggingface_hub.hf_hub_download(REPOSITORY, name, **options)))
        if sha256_file(path) == listing["files"][name]["sha256"]:
            return path
        path.unlink()
        tell(f"{name}: its sha256 is not the one that the hub lists; {outcome}")
    raise CorruptFileError(f"{name} of {REPOSITORY} came twice, and is not what the hub lists")


def _pictures(home: Path, shard: str) -> Path:
    """The folder of a shard's pictures."""
    if not _SHARD.fullmatch(shard):
        raise CorruptFileError(f"{home / 'shards.json'} names a shard {shard!r}; delete it, and fetch again")
    return (home / shard).with_suffix("")


def _is_here(home: Path, shard: str, state: dict[str, Any]) -> bool:
    """Whether all pictures of a shard are here."""
    folder = _pictures(home, shard)
    noted = shard in state and folder.with_suffix(".parquet").is_file()
    return bool(noted and sum(1 for _ in folder.glob("*.jpg")) == state[shard]["photos"])


def _check_space(home: Path, listing: dict[str, Any], missing: list[str], tell: Tell) -> None:
    home.mkdir(parents=True, exist_ok=True)
    sizes = [listing["files"][name]["size"] for name in missing]
    tables = [name for name in _TABLES.values() if not (home / "downloads" / name).is_file()]
    to_come = sum(sizes) + sum(listing["files"][name]["size"] for name in tables)
    needed, free = to_come + max(sizes, default=0), shutil.disk_usage(home).free
    tell(f"{len(missing)} shards to come, {to_come / 1e9:,.2f} GB; {free / 1e9:,.1f} GB are free")
    if needed > free:
        raise GeolibError(
            f"{home} has {free / 1e9:,.1f} GB free, {needed / 1e9:,.1f} GB are needed; ask for fewer shards, or set "
            "GEOLIB_CACHE to a larger disk"
        )


def _build_table(home: Path, shards: list[str], tables: dict[str, Path]) -> tuple[pd.DataFrame, Counter[str]]:
    """Write `photos.parquet` of the pictures that are here; returns it, and counts of the pictures left out."""
    parts, unmatched = [], Counter[str]()
    for side in SIDES:
        here = []
        for folder in [_pictures(home, shard) for shard in shards if f"/{side}/" in shard]:
            photos = pd.read_parquet(folder.with_suffix(".parquet"))
            here.append(photos.assign(path=f"{side}/{folder.name}/" + photos.index.astype(str) + ".jpg"))
        if here:
            parts.append(_rows(tables[side], pd.concat(here), unmatched).assign(published_side=side, split="test"))
    photos = pd.concat(parts).assign(licence="CC BY-SA 4.0", source="Mapillary, through OSV-5M")
    if photos.empty:
        raise CorruptFileError(f"no picture in {home} has a row with coordinates: {dict(unmatched)}; fetch again")
    train = photos["published_side"] == "train"
    if train.any():
        shares = {"calibration": 0.1, "development": 0.1}
        photos.loc[train, "split"] = safe_split(photos[train], "places", shares=shares)
    with atomic_path(home / "photos.parquet") as temporary:
        photos.reset_index().to_parquet(temporary, index=False)
    return photos, unmatched


def _rows(table: Path, here: pd.DataFrame, unmatched: Counter[str]) -> pd.DataFrame:
    """The rows of a published table whose pictures are `here`, by id; counts the others in `unmatched`."""
    here = here[~here.index.duplicated()]  # a picture that is in two shards is one
    rows = pd.concat([batch[batch["id"].isin(here.index)] for batch in _batches(table)]).set_index("id")
    once = rows[~rows.index.duplicated()]
    lat, lon = (pd.to_numeric(once[name], errors="coerce").astype(float) for name in ("lat", "lon"))
    kept = once.assign(lat=lat, lon=lon)[lat.between(-90, 90) & lon.between(-180, 180)]
    unmatched["no row in the table"] += len(here) - len(once)
    unmatched["a row twice in the table"] += len(rows) - len(once)
    unmatched["no coordinates on the Earth"] += len(once) - len(kept)
    return kept.join(here)


def _batches(table: Path) -> Iterator[pd.DataFrame]:
    """Pieces of a published table with our columns. All is text: NA is Namibia, and an account may be called null."""
    try:
        header = pd.read_csv(table, nrows=0).columns
        names = {ours: theirs for theirs, ours in _COLUMNS.items() if theirs in header}
        if absent := {"latitude", "longitude", "id"} - set(names.values()):
            raise ValueError(f"it has no column {', '.join(sorted(absent))}")
        known = {theirs: ours for ours, theirs in names.items()}
        with pd.read_csv(table, usecols=list(known), dtype=str, keep_default_na=False, chunksize=100_000) as batches:
            for batch in batches:
                yield batch.rename(columns=known).reindex(columns=list(dict.fromkeys(_COLUMNS.values())), fill_value="")
    except ValueError as error:  # pandas: no table, rows of other lengths, bytes that are not text
        raise CorruptFileError(f"{table} is not a table of OSV-5M ({one_line(error)}); fetch it again") from error


def _report(home: Path, photos: pd.DataFrame, state: dict[str, Any], unmatched: Counter[str]) -> dict[str, Any]:
    train = set(photos["photographer"][photos["published_side"] == "train"]) - {""}
    shared = photos["photographer"][photos["published_side"] == "test"].isin(train)
    refused = sum((Counter(shard["refused"]) for shard in state.values()), unmatched)
    return describe(photos, int(photos["look"].duplicated().sum())) | {
        "revision": home.name,
        "shards": {side: sum(f"/{side}/" in name for name in state) for side in SIDES},
        "shared_photographers": int(shared.sum()),
        "sides": photos["split"].value_counts().to_dict(),
        "refused": dict(sorted(refused.items())),
    }
