"""Reading and writing artefacts: whole or not at all, and checked.

Every file that geolib writes goes to a temporary file in the same folder first and gets its name by
`os.replace`, so that a kill at any moment leaves either the old file or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
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
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an error."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # mkstemp makes files private; artefacts are meant to be shared
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a folder, made if need be, for one process: a kill at any moment lets it go.

    Raises `GeolibError` where another process holds it.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    lock = FileLock(Path(folder) / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise GeolibError(f"another process is at work in {folder}: wait for it, or name another folder") from error
    try:
        yield
    finally:
        lock.release()


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as indented JSON with sorted keys (equal values give equal bytes)."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file. Raises `MissingDataError` when absent and `CorruptFileError` when not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDataError(f"{path} does not exist") from error
    except ValueError as error:
        raise CorruptFileError(f"{path} is not JSON ({error}); restore or rebuild it") from error


def write_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, npt.NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write numpy arrays as one safetensors file, whole or not at all."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with atomic_path(path) as temporary:
        save_file(contiguous, temporary, metadata=dict(metadata) if metadata else None)


def read_tensors(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[Any]]:
    """Read a safetensors file into numpy arrays. Raises `MissingDataError` or `CorruptFileError`."""
    if not Path(path).is_file():
        raise MissingDataError(f"{path} does not exist")
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise CorruptFileError(f"{path} is not a whole safetensors file ({error}); restore or rebuild it") from error


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def data_path(*parts: str) -> Path:
    """Path inside the `data/` folder that ships with the clone (or inside `GEOLIB_DATA`).

    Raises `MissingDataError` when the file or folder is not there.
    """
    root = Path(os.environ.get("GEOLIB_DATA") or Path(__file__).resolve().parents[2] / "data")
    path = root.joinpath(*parts)
    if not path.exists():
        raise MissingDataError(
            f"{path} is missing: geolib reads it from the clone. Install with `pip install -e .` "
            "inside a full clone, or set GEOLIB_DATA to the clone's data folder."
        )
    return path


def cache_path(*parts: str) -> Path:
    """Path inside geolib's cache: `GEOLIB_CACHE`, or the user's cache folder. It may not exist yet."""
    root = os.environ.get("GEOLIB_CACHE") or pooch.os_cache("geolib")
    return Path(root).joinpath(*parts)
