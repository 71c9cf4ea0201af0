"""Unpack pictures from zip archives that may be hostile.

Nothing that an archive says is trusted. Sizes are counted while the content is unpacked, a photo is named by its
checked id in the folder of the caller, and only what decodes as a JPEG is a picture. A bad entry is refused and
counted, and the others are kept; an archive that is bad as a whole is refused as a whole.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

import pandas as pd

from geolib.common.errors import CorruptFileError, ImageError
from geolib.common.files import write_bytes
from geolib.datasets.duplicates import difference_hash
from geolib.images import open_rgb

# What an archive may hold. Pictures hardly shrink when they are packed; zip bombs do.
MAX_ENTRIES, MAX_PHOTO_BYTES, MAX_TOTAL_BYTES, MAX_RATIO = 200_000, 50_000_000, 20_000_000_000, 50
_CHUNK = 1 << 18
_ENTRY_BYTES = 256  # per entry of the directory: 46 for its header, the rest for its name
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # other methods can ask for gigabytes of memory in a few bytes


def unpack_pictures(
    archive: Path, folder: Path, ids: str = r"[A-Za-z0-9_-]{1,100}"
) -> tuple[pd.DataFrame, Counter[str]]:
    """Write the JPEGs of a zip archive to `folder` as `ID.jpg` and count what was refused.

    The id is the entry's name without folders and ending; it has to match the regular expression `ids`. A picture is
    decoded before it is written. Existing pictures are not written again: a second call resumes an interrupted one.

    Returns
    -------
    Frame indexed by `id` with `bytes` and `look` (`difference_hash`), and the number of refused entries by reason.

    Raises
    ------
    CorruptFileError : not a complete zip, or larger than the limits of this module; pictures before the fault stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob(".*.part"):  # of a run that was killed while it wrote
        left_over.unlink()
    photos: dict[str, tuple[int, int]] = {}
    refused: Counter[str] = Counter()
    with _LimitedFile(io.FileIO(archive)) as file, _open_zip(archive, file) as opened:
        left, taken = MAX_TOTAL_BYTES, set[str]()
        for entry in opened.infolist():
            if entry.is_dir():
                continue
            try:
                name = _checked_id(entry, ids, taken)
                content = _read(opened, entry, left)
                left -= len(content)
                photos[name] = len(content), _decoded_hash(content)
            except _Refused as reason:
                refused[str(reason)] += 1
                continue
            taken.add(name.casefold())
            if not (folder / f"{name}.jpg").is_file():
                write_bytes(folder / f"{name}.jpg", content)
    frame = pd.DataFrame.from_dict(photos, orient="index", columns=["bytes", "look"], dtype="int64")
    return frame.rename_axis("id"), refused


class _Refused(Exception):
    """Why one entry is left out."""


class _LimitedFile(io.BufferedReader):
    """A file that refuses to read much at once: `zipfile` reads a directory of any stated size in one piece."""

    def read(self, size: int | None = -1) -> bytes:
        if (size or 0) > (most := max(1 << 20, MAX_ENTRIES * _ENTRY_BYTES)):
            raise zipfile.BadZipFile(f"its directory of {size:,} bytes is larger than {most:,}")
        return super().read(size)


def _open_zip(archive: Path, file: _LimitedFile) -> zipfile.ZipFile:
    try:
        opened = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
        raise CorruptFileError(f"{archive} is not a whole zip archive ({error}); download it again") from error
    if (entries := len(opened.filelist)) > MAX_ENTRIES:
        raise CorruptFileError(
            f"{archive} has {entries:,} entries, over the limit of {MAX_ENTRIES:,}: refused as a whole"
        )
    return opened


def _checked_id(entry: zipfile.ZipInfo, ids: str, taken: set[str]) -> str:
    """The id of an entry. Raises `_Refused` for what is wrong before anything is unpacked."""
    path, kind, name = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16), PurePosixPath(entry.filename).stem
    faults = {
        "control characters in its name": any(ord(letter) < 32 or letter == "\x7f" for letter in path),
        "an absolute name": path.startswith(("/", "\\")) or ":" in path,
        "a name that leads out of the folder": ".." in re.split(r"[/\\]", path),
        "a link or a device, not a file": kind not in (0, stat.S_IFREG),
        "encrypted": bool(entry.flag_bits & 0x1),
        f"packed by method {entry.compress_type}, not stored or deflated": entry.compress_type not in _METHODS,
        "not called .jpg": not path.lower().endswith((".jpg", ".jpeg")),
        "a name that is no id": "\\" in path or not re.fullmatch(ids, name),
        "a name that was there before": name.casefold() in taken,  # some file systems take `a` and `A` for one
    }
    if fault := next((fault for fault, found in faults.items() if found), None):
        raise _Refused(fault)
    return name


def _read(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    """Unpack an entry. Raises `_Refused` for a bad one, `CorruptFileError` if all are more than the limit."""
    most = min(MAX_PHOTO_BYTES, max(_CHUNK, MAX_RATIO * entry.compress_size))
    try:
        with opened.open(entry) as stream:
            content = stream.read(min(most, left) + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _Refused("damaged or not what the directory says") from error
    if len(content) > left:
        raise CorruptFileError(f"{opened.filename} unpacks to more than {MAX_TOTAL_BYTES:,} bytes: refused as a whole")
    if len(content) > most:
        raise _Refused("too large when unpacked")
    return content


def _decoded_hash(content: bytes) -> int:
    try:
        if not content.startswith(b"\xff\xd8\xff"):
            raise ImageError("is not a JPEG")
        return difference_hash(open_rgb(content, min_side=64))
    except ImageError as error:
        raise _Refused("no readable JPEG") from error
