"""Files that are written completely or not at all: a program that is killed leaves the old file or the new one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pooch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError

_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{8}\.part")  # the temporary names of `atomic_path`
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)  # of a JSON text: brackets inside them nest nothing
_STALE_S = 3600  # a temporary file that nobody has written to for so long is of a process that was killed
LOCK = ".geolib-lock"  # the file that `alone_in` makes and empties: no name that a user might have given
_tidied: set[Path] = set()


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block ends without an error.

    The first call for a folder also removes temporary files there that are older than an hour: of killed processes.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    with _naming_the_cache(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.parent not in _tidied:
            _tidied.add(target.parent)
            remove_left_overs(target.parent, _STALE_S)
        temporary.touch(exist_ok=False)
    try:
        mode = temporary.stat().st_mode  # follows the user's umask; safetensors would make the file private
        yield temporary
        temporary.chmod(mode)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_left_overs(folder: Path, older_than_s: float = 0.0) -> None:
    """Remove the temporary files of `atomic_path` in a folder, those of running processes excepted if they are young.

    With `older_than_s` = 0 the caller knows that no other process writes there.
    """
    for path in folder.iterdir():
        with suppress(OSError):  # gone already, or not ours to remove
            if _LEFT_OVER.fullmatch(path.name) and time.time() - path.stat().st_mtime >= older_than_s:
                path.unlink()


def file_stamp(path: str | os.PathLike[str]) -> str:
    """Size and time of a file: they differ when it was changed."""
    try:
        return "{0.st_size} {0.st_mtime_ns}".format(Path(path).stat())
    except (OSError, ValueError):  # the latter for a name that no file can have
        return "missing"


@contextmanager
def _naming_the_cache(path: Path) -> Iterator[None]:
    """Name the variable that moves geolib's cache in errors of writing there."""
    try:
        yield
    except OSError as error:
        if not path.is_relative_to(cache_path()):
            raise
        what = f"geolib's cache cannot be written ({error.strerror}): set GEOLIB_CACHE to a folder that can be"
        raise OSError(error.errno, what, str(path)) from error


@contextmanager
def alone_in(folder: str | os.PathLike[str], wait_s: float = 0.0) -> Iterator[None]:
    """Lock a folder, created if needed, for this process, and remove the temporary files of killed processes there.

    Raises `GeolibError` if another process holds the lock for `wait_s` seconds.
    """
    with _naming_the_cache(Path(folder)):
        Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(Path(folder) / LOCK, timeout=wait_s):
            remove_left_overs(Path(folder))
            yield
    except Timeout as error:
        raise GeolibError(f"another process is working in {folder}: wait for it, or choose another folder") from error


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON with sorted keys: equal values give equal bytes."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def parse_json(text: str) -> Any:
    """The value of a JSON text.

    Raises `ValueError` if it is not JSON, and `RecursionError` if it is nested more than 200 deep. Such a text is
    refused unread: while the parser uses up the stack, nothing else can run, such as the closing of a lost socket.
    """
    if text.count("[") + text.count("{") > 200:
        bare = np.frombuffer(_STRINGS.sub("", text).encode("utf-8", "replace"), np.uint8)
        steps = np.isin(bare, list(b"[{")).astype(np.int64) - np.isin(bare, list(b"]}"))
        if steps.cumsum().max(initial=0) > 200:
            raise RecursionError("it is nested too deeply")
    return json.loads(text)


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file. Raises `MissingDataError` if there is none, `CorruptFileError` if it is not JSON."""
    try:
        return parse_json(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDataError(f"{path} does not exist") from error
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path} is not JSON ({error}): restore or remake it") from error


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None
) -> None:
    """Write numpy arrays to one safetensors file. Raises `GeolibError` if they cannot be written: on a full disk."""
    arrays = {key: np.ascontiguousarray(x) for key, x in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(arrays, temporary, dict(metadata or {}) or None)
        except SafetensorError as error:
            raise GeolibError(
                f"{path} cannot be written ({error}): free some space, or choose another folder"
            ) from error


def read_tensors(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of a safetensors file. Raises `MissingDataError` or `CorruptFileError`."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise MissingDataError(f"{path} does not exist") from error
    except (SafetensorError, ValueError) as error:
        raise CorruptFileError(f"{path} is not a whole safetensors file ({error}): restore or remake it") from error
    except (TypeError, AttributeError, KeyError) as error:  # what safetensors raises for types that numpy lacks
        raise CorruptFileError(f"{path} holds numbers that numpy lacks ({error}): save it as float32") from error


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def data_path(*parts: str) -> Path:
    """Path in the `data/` folder of the clone, or of `GEOLIB_DATA`. Raises `MissingDataError` if it does not exist."""
    path = Path(os.environ.get("GEOLIB_DATA") or Path(__file__).resolve().parents[2] / "data", *parts)
    if not path.exists():
        remedy = "run `pip install -e .` inside a complete clone, or set GEOLIB_DATA to a clone's data folder"
        raise MissingDataError(f"{path} is missing: {remedy}")
    return path


def cache_path(*parts: str) -> Path:
    """Path in geolib's cache (`GEOLIB_CACHE`, else the user's cache folder). It need not exist."""
    return Path(os.environ.get("GEOLIB_CACHE") or pooch.os_cache("geolib"), *parts)
