"""Files that are written completely or not at all: a program that is killed leaves the old file or the new one."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pooch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` if the block ends without an error."""
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    with _naming_the_cache(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    try:
        mode = temporary.stat().st_mode  # follows the user's umask; safetensors would make the file private
        yield temporary
        temporary.chmod(mode)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


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
def alone_in(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Lock a folder, created if needed, for this process. Raises `GeolibError` if another process holds the lock."""
    with _naming_the_cache(Path(folder)):
        Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(Path(folder) / ".lock", timeout=0):
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


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file. Raises `MissingDataError` if there is none, `CorruptFileError` if it is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDataError(f"{path} does not exist") from error
    except (ValueError, RecursionError) as error:
        raise CorruptFileError(f"{path} is not JSON ({error}): restore or remake it") from error


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str] | None = None
) -> None:
    """Write numpy arrays to one safetensors file."""
    with atomic_path(path) as temporary:
        save_file({key: np.ascontiguousarray(x) for key, x in tensors.items()}, temporary, dict(metadata or {}) or None)


def read_tensors(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of a safetensors file. Raises `MissingDataError` or `CorruptFileError`."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise MissingDataError(f"{path} does not exist") from error
    except (SafetensorError, ValueError) as error:
        raise CorruptFileError(f"{path} is not a whole safetensors file ({error}): restore or remake it") from error


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
