"""Pictures out of zip archives that may be hostile.

Nothing that an archive says of itself is believed: not its sizes (what comes out is counted while it comes out), not
its names (a photo is called by its checked id, in the folder that the caller names), not its endings (a picture is
what decodes as one). A bad entry is refused and counted, and the others are kept; an archive that is bad as a whole
(too many entries, too much inside, no zip) is refused as such.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
import pandas as pd
from PIL import Image

from geolib.common.errors import CorruptFileError, ImageError, MissingDataError
from geolib.common.files import atomic_path
from geolib.images import open_rgb

_CHUNK = 1 << 18
_ENTRY_BYTES = 256  # of the directory, for each entry: 46 for its header, the rest for its name and what belongs to it
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others can ask for gigabytes of memory in a few bytes


@dataclass(frozen=True)
class Limits:
    """What an archive may hold: more is refused.

    entries: in all. photo_bytes: of one unpacked picture. total_bytes: of all. ratio: unpacked to packed bytes of one
    entry; pictures are packed already and hardly shrink.
    """

    entries: int = 200_000
    photo_bytes: int = 50_000_000
    total_bytes: int = 20_000_000_000
    ratio: float = 50.0


def unpack_pictures(
    archive: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    ids: str = r"[A-Za-z0-9_-]{1,100}",
    limits: Limits | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[pd.DataFrame, Counter[str]]:
    """Write the JPEGs of a zip archive to `folder` as `ID.jpg`, and say what was refused.

    The id of a picture is the name of its entry without folders and ending, and has to match `ids` as a whole. Every
    picture is decoded before it gets its name. Unpacking again goes on after a kill: what has its name is not written
    again. `progress` is called with the entries done and all of them.

    Returns a frame indexed by `id` with `bytes` (of the file) and `look` (`difference_hash`, for duplicates), and the
    number of entries refused by reason. Raises `MissingDataError` for no archive and `CorruptFileError` for one that is
    no zip, is cut short, or goes beyond `limits` as a whole; the pictures that came before are whole and stay.
    """
    archive, folder, limits = Path(archive), Path(folder), limits or Limits()
    if not archive.is_file():
        raise MissingDataError(f"{archive} does not exist; expected a zip archive of pictures")
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob(".*.part"):  # of a run that was killed while it wrote
        left_over.unlink()
    photos: dict[str, tuple[int, int]] = {}
    refused: Counter[str] = Counter()
    with archive.open("rb") as raw, _opened(archive, raw, limits) as opened:
        entries, total, taken = opened.infolist(), 0, set[str]()
        for done, entry in enumerate(entries):
            if progress:
                progress(done, len(entries))
            if entry.is_dir():
                continue
            name = PurePosixPath(entry.filename).stem
            try:
                _check_entry(entry, name, ids)
                if name.casefold() in taken:  # some file systems take `a` and `A` for one
                    raise _Refused("a name that was there before")
                content = _read(opened, entry, limits, limits.total_bytes - total)
                total += len(content)
                photos[name] = len(content), _look(content)
                taken.add(name.casefold())
            except _Refused as reason:
                refused[str(reason)] += 1
                continue
            if not (folder / f"{name}.jpg").is_file():
                with atomic_path(folder / f"{name}.jpg") as temporary:
                    temporary.write_bytes(content)
    frame = pd.DataFrame.from_dict(photos, orient="index", columns=["bytes", "look"], dtype="int64")
    return frame.rename_axis("id"), refused


def difference_hash(picture: Image.Image) -> int:
    """64 bits of where an RGB picture gets brighter from left to right, as a signed integer.

    Equal for copies of one picture in other sizes and qualities, and for hardly any others (the `dHash` of common use).
    """
    grey = np.asarray(picture.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return int(np.packbits(grey[:, 1:] > grey[:, :-1]).view(np.int64)[0])


class _Refused(Exception):
    """Why one entry is left out."""


class _Guarded:
    """A file of which nobody reads more at once than a zip's directory may take.

    `zipfile` reads the directory in one piece, of a size that the archive states.
    """

    def __init__(self, stream: IO[bytes], most: int) -> None:
        self._stream, self._most = stream, most
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self._most:
            raise zipfile.BadZipFile(f"its directory of {size:,} bytes is larger than {self._most:,}")
        return self._stream.read(size)


def _opened(archive: Path, raw: IO[bytes], limits: Limits) -> zipfile.ZipFile:
    most = max(1 << 20, limits.entries * _ENTRY_BYTES)
    try:
        opened = zipfile.ZipFile(_Guarded(raw, most))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, EOFError) as error:
        raise CorruptFileError(f"{archive} is not a whole zip archive ({error}); download it again") from error
    if len(opened.filelist) > limits.entries:
        raise CorruptFileError(
            f"{archive} has {len(opened.filelist):,} entries, over the limit of {limits.entries:,}: refused as a whole"
        )
    return opened


def _check_entry(entry: zipfile.ZipInfo, name: str, ids: str) -> None:
    """Raise `_Refused` for what can be seen without unpacking."""
    path, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if any(ord(letter) < 32 or letter == "\x7f" for letter in path):
        raise _Refused("control characters in its name")
    if path.startswith(("/", "\\")) or ":" in path:
        raise _Refused("an absolute name")
    if ".." in re.split(r"[/\\]", path):
        raise _Refused("a name that leads out of the folder")
    if kind not in (0, stat.S_IFREG):
        raise _Refused("a link or a device, not a file")
    if entry.flag_bits & 0x1:
        raise _Refused("encrypted")
    if entry.compress_type not in _METHODS:
        raise _Refused(f"packed by method {entry.compress_type}, not stored or deflated")
    if not path.lower().endswith((".jpg", ".jpeg")):
        raise _Refused("not called .jpg")
    if "\\" in path or not re.fullmatch(ids, name):
        raise _Refused("a name that is no id")


def _read(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits, left: int) -> bytes:
    """The bytes of an entry, counted as they come. Raises `_Refused`, or `CorruptFileError` where all was too much."""
    most = min(limits.photo_bytes, max(_CHUNK, int(limits.ratio * entry.compress_size)))
    parts, size = [], 0
    try:
        with opened.open(entry) as stream:
            while part := stream.read(_CHUNK):
                parts.append(part)
                size += len(part)
                if size > left:
                    raise CorruptFileError(
                        f"{opened.filename or 'the archive'} unpacks to more than {limits.total_bytes:,} bytes: "
                        "refused as a whole"
                    )
                if size > most:
                    raise _Refused("too large when unpacked")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, CorruptFileError):
            raise
        raise _Refused("damaged or not what the directory says") from error
    return b"".join(parts)


def _look(content: bytes) -> int:
    try:
        if not content.startswith(b"\xff\xd8\xff"):
            raise ImageError("is no JPEG")
        return difference_hash(open_rgb(content, min_side=64))
    except ImageError as error:
        raise _Refused("no readable JPEG") from error
