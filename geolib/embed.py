"""Photographs to unit vectors: a frozen CLIP encoder, and a store on disk for what it computed.

The encoder is any model of open_clip (Radford et al. 2021, arXiv 2103.00020; Ilharco et al. 2021,
doi 10.5281/zenodo.5143773). Weights are read from safetensors; a pickle only where the caller allows it by hand.
Downloads go through huggingface_hub and were tried against a local server that speaks the hub's protocol, never
against the live one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as parse_tensors
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from geolib._version import __version__
from geolib.common import files
from geolib.common.arrays import pieces
from geolib.common.errors import CorruptFileError, ImageError, MismatchError, MissingDataError
from geolib.encoder import Encoder, to_numpy
from geolib.images import ImageSource
from geolib.openclip.model import Preprocessing

Vectors = npt.NDArray[np.float32]
_FORMAT = "geolib-embeddings/1"
_CHUNK = 32  # photos that a worker hands over at once: small enough that the first ones come soon
_MEND = "delete the folder and embed again"
_COMPILE_FROM = 200_000  # photos; a shorter run would not earn back the minute that compiling takes


def embed_photos(
    encoder: Encoder,
    paths: Sequence[ImageSource],
    ids: Sequence[str],
    out: str | os.PathLike[str],
    batch_size: int | None = None,
    workers: int | Literal["auto"] = "auto",
    shard_size: int = 4096,
    dtype: Literal["float16", "float32"] = "float16",
    *,
    reduced: bool = False,
    progress: bool = False,
) -> EmbeddingStore:
    """Embed photos into the store `out`, going on where an earlier call was stopped.

    paths: one image source a photo; only indexed in the worker processes, so it may also make them on demand.
    ids: one distinct string a photo.
    batch_size: photos in a forward pass; None is 256 on a GPU, 64 on a CPU (larger ones leave its caches).
    workers: processes that decode and resize; 0 does it in this one.
    shard_size: photos in a file. A shard's content depends on the input alone, so a run that was killed and
        started again gives the same bytes as one that was not.
    reduced: decode large JPEGs at a fraction of their size (`Preprocessing.crop`): faster, slightly other vectors.

    Unreadable photos become `.failures`; only when all are does this raise (`ImageError`). A store of another
    encoder, preprocessing or photo list is refused (`MismatchError`); a finished one is opened at once.
    """
    batch_size = (64 if encoder.device == "cpu" else 256) if batch_size is None else batch_size
    if min(batch_size, shard_size) < 1:
        raise ValueError(f"batch_size={batch_size}, shard_size={shard_size}: expected at least 1")
    if len(paths) != len(ids):
        raise ValueError(f"{len(paths)} paths and {len(ids)} ids: expected one id a path")
    folder, ids = Path(out), _checked_ids(ids)
    plan = _plan(encoder.describe(), ids, shard_size, dtype, encoder.precision, reduced)
    if _finished(folder, plan):
        return EmbeddingStore.open(folder)
    todo = [rows for rows in pieces(range(len(ids)), shard_size) if not _is_whole(_shard_path(folder, rows, plan))]
    crops = _Crops(paths, encoder.preprocessing, reduced)
    # Compiled or not by the length of the list, not of what is left of it: resuming must change no bit.
    compiling = encoder.device == "cuda" and len(ids) >= _COMPILE_FROM
    tower = _compiled(encoder, batch_size) if compiling else None
    with ThreadPoolExecutor(1) as writer, tqdm(total=len(ids), unit="photo", disable=not progress) as bar:
        bar.update(len(ids) - sum(map(len, todo)))
        writing: Future[None] | None = None
        batches = _batches(encoder, crops, todo, batch_size, workers)
        for rows in todo:
            vectors, reasons = [], []
            for pixels, failed in islice(batches, len(pieces(rows, batch_size))):
                vectors += [encoder.forward(pixels, tower)] if len(pixels) else []
                reasons += failed
                bar.update(len(failed))
            if writing:
                writing.result()
            # The other thread fetches the vectors from the GPU and writes them; this one goes on without waiting.
            path, names = _shard_path(folder, rows, plan), ids[rows.start : rows.stop]
            writing = writer.submit(_write_shard, path, names, reasons, vectors, plan)
        if writing:
            writing.result()
    return _finish(folder, plan)


@dataclass(frozen=True)
class _Crops(Dataset[npt.NDArray[np.uint8] | str]):
    """What the worker processes hold: indexing gives a crop, or the reason why there is none."""

    sources: Sequence[ImageSource]
    preprocessing: Preprocessing
    reduced: bool

    def __getitem__(self, position: int) -> npt.NDArray[np.uint8] | str:
        try:
            return self.preprocessing.crop(self.sources[position], self.reduced)
        except ImageError as error:
            return str(error)

    def collate(self, items: Sequence[npt.NDArray[np.uint8] | str]) -> tuple[torch.Tensor, list[str | None]]:
        """The crops of the readable photos, uint8 (k, size, size, 3), and for every photo None or a reason."""
        crops = [item for item in items if not isinstance(item, str)]
        none = np.empty((0, self.preprocessing.size, self.preprocessing.size, 3), np.uint8)
        stacked = torch.from_numpy(np.stack(crops) if crops else none)
        return stacked, [item if isinstance(item, str) else None for item in items]


def _batches(
    encoder: Encoder, crops: _Crops, shards: Sequence[range], batch_size: int, workers: int | Literal["auto"]
) -> Iterator[tuple[torch.Tensor, list[str | None]]]:
    """Crops on the device and reasons, batch after batch. No batch reaches over the end of a shard."""
    batches = [batch for shard in shards for batch in pieces(shard, batch_size)]
    chunks = [chunk for batch in batches for chunk in pieces(batch, _CHUNK)]
    loader = DataLoader(
        crops,
        batch_sampler=chunks,
        num_workers=_worker_count(encoder, len(chunks)) if workers == "auto" else workers,
        collate_fn=crops.collate,
        pin_memory=encoder.device == "cuda",
        generator=torch.Generator(),  # else it draws from the global one
    )
    ready = iter(loader)
    for batch in batches:
        parts = [next(ready) for _ in pieces(batch, _CHUNK)]
        on_device = [part.to(encoder.device, non_blocking=encoder.device == "cuda") for part, _ in parts]
        yield torch.cat(on_device), [reason for _, reasons in parts for reason in reasons]


def _worker_count(encoder: Encoder, chunks: int) -> int:
    """A process a core, but none for a handful of photos and no more than shared memory has room for."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if chunks < 2:
        return 0
    shared = Path("/dev/shm")  # containers often give it 64 MB
    in_flight = 4 * _CHUNK * 3 * encoder.image_size**2
    room = shutil.disk_usage(shared).free // in_flight if shared.is_dir() else cores
    return max(0, min(cores, chunks, room))


def _compiled(encoder: Encoder, batch_size: int) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """The image tower compiled for one batch shape, to which smaller batches are filled up; None where that fails."""
    try:
        tower: Callable[..., torch.Tensor] = torch.compile(encoder.model.encode_image, dynamic=False)

        def padded(pixels: torch.Tensor) -> torch.Tensor:
            fill = pixels[:1].expand(batch_size - len(pixels), -1, -1, -1)
            return tower(torch.cat([pixels, fill]).contiguous(memory_format=torch.channels_last))[: len(pixels)]

        encoder.forward(torch.zeros(1, encoder.image_size, encoder.image_size, 3, dtype=torch.uint8), padded)
        return padded
    except Exception as error:  # compilers fail in as many ways as there are machines; eager always works
        warnings.warn(f"torch.compile failed ({error}); embedding without it, which is slower", stacklevel=3)
        return None


@dataclass(eq=False)
class EmbeddingStore:
    """Unit vectors of photos on disk: safetensors shards with their rows in input order, and `meta.json`.

    ids: of the photos that could be read.  vectors: float32 (n, dim), unit length, a row an id.
    failures: (id, reason) of the others, also in input order.
    meta: encoder (name, fingerprint, preprocessing), hash of the photo list, counts, dtype, sha256 of each shard.
    """

    ids: list[str]
    vectors: Vectors
    failures: list[tuple[str, str]]
    meta: dict[str, Any]

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> EmbeddingStore:
        """Read a store into memory, checking every shard against its sha256.

        Raises `MissingDataError` for no store or an unfinished one, `CorruptFileError`, naming the file, for a
        shard that was cut short or changed.
        """
        folder = Path(folder)
        meta = _read_meta(folder)
        if not meta["complete"]:
            raise MissingDataError(f"{folder} is unfinished; call embed_photos again with the same arguments")
        try:
            ids, vectors, failures = _read_rows(folder, meta)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, CorruptFileError):
                raise
            raise CorruptFileError(f"{folder / 'meta.json'} does not fit its shards ({error!r}): {_MEND}") from error
        return cls(ids, vectors, failures, meta)

    @classmethod
    def write(
        cls,
        folder: str | os.PathLike[str],
        ids: Sequence[str],
        vectors: npt.NDArray[np.floating[Any]],
        encoder: Encoder | Mapping[str, Any],
        *,
        dtype: Literal["float16", "float32"] = "float16",
        shard_size: int = 4096,
    ) -> EmbeddingStore:
        """Write vectors (n, dim) of unit length as a store that `embed_photos` would also have made.

        encoder: what made them, or the `meta["encoder"]` of another store.
        """
        folder, ids = Path(folder), _checked_ids(ids)
        identity = encoder.describe() if isinstance(encoder, Encoder) else dict(encoder)
        if vectors.shape != (len(ids), identity["dim"]):
            raise ValueError(f"vectors of shape {vectors.shape}: expected {(len(ids), identity['dim'])}")
        if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
            raise ValueError("vectors must be finite and of unit length: divide each by its norm")
        plan = _plan(identity, ids, shard_size, dtype, getattr(encoder, "precision", "unknown"), reduced=False)
        _start(folder, plan)
        for shard in pieces(range(len(ids)), shard_size):
            names, part = ids[shard.start : shard.stop], torch.from_numpy(vectors[shard.start : shard.stop])
            _write_shard(_shard_path(folder, shard, plan), names, [None] * len(names), [part], plan)
        return _finish(folder, plan)

    def subset(self, ids: Sequence[str]) -> Vectors:
        """Vectors of these ids in their order, float32 (len(ids), dim). Raises `ValueError` for an unknown id."""
        unknown = [name for name in ids if name not in self._row]
        if unknown:
            reason = dict(self.failures).get(unknown[0], "it is not among the photos of this store")
            raise ValueError(f"no vector for {unknown[0]!r} ({len(unknown)} such ids): {reason}")
        return self.vectors[[self._row[name] for name in ids]]

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}


def _plan(
    encoder: dict[str, Any], ids: list[str], shard_size: int, dtype: str, precision: str, reduced: bool
) -> dict[str, Any]:
    """`meta.json` of a store that is about to be made: all that a later call has to agree with."""
    if dtype not in ("float16", "float32"):
        raise ValueError(f"dtype={dtype!r}: expected float16 or float32")
    return {
        "format": _FORMAT,
        "complete": False,
        "geolib": __version__,
        "encoder": encoder,
        "precision": precision,
        "decode": "reduced" if reduced else "full",
        "dtype": dtype,
        "photos": len(ids),
        "photos_sha256": hashlib.sha256(json.dumps(ids).encode()).hexdigest(),
        "shard_size": shard_size,
    }


def _finished(folder: Path, plan: dict[str, Any]) -> bool:
    """Whether the store is there and whole; starts it where there is none. Raises `MismatchError`."""
    if not (folder / "meta.json").exists():
        _start(folder, plan)
        return False
    meta = _read_meta(folder)
    shards = pieces(range(meta["photos"]), meta["shard_size"])
    done = bool(meta["complete"]) and all(_shard_path(folder, shard, meta).exists() for shard in shards)
    ours, theirs = plan | plan["encoder"], meta | meta["encoder"]
    keys = ["preprocessing", "fingerprint", "decode", "photos", "photos_sha256", "dtype"]
    for key in keys if done else [*keys, "precision", "shard_size"]:
        if ours[key] != theirs[key]:
            raise MismatchError(
                f"{folder} was made with {key} {theirs[key]} (encoder {theirs['name']}), this run has {ours[key]} "
                f"(encoder {ours['name']}): choose another folder, or delete that one"
            )
    return done


def _start(folder: Path, plan: dict[str, Any]) -> None:
    """Write `meta.json` before any shard. Shards without it could be of any encoder: they are not built upon."""
    if (folder / "meta.json").exists() or any(folder.glob("shard-*")):
        raise MismatchError(f"{folder} already holds a store or parts of one: delete it, or choose another folder")
    files.write_json(folder / "meta.json", plan)


def _finish(folder: Path, plan: dict[str, Any]) -> EmbeddingStore:
    """Record counts and hashes of the shards, and open the store."""
    paths = [_shard_path(folder, rows, plan) for rows in pieces(range(plan["photos"]), plan["shard_size"])]
    shards: list[dict[str, Any]] = []
    for path in paths:
        shard = _read_shard(path)
        shards.append({"file": path.name, "vectors": len(shard["vectors"]), "sha256": files.sha256_file(path)})
    count = sum(entry["vectors"] for entry in shards)
    if count == 0:
        for path in [*paths, folder / "meta.json"]:
            path.unlink()  # so that a run after the mend does not find the failures of this one
        name, reason = _from_bytes(shard["failures"])[-1]
        raise ImageError(f"none of the {plan['photos']} photos could be read; {name}: {reason}")
    counts = {"complete": True, "vectors": count, "failures": plan["photos"] - count}
    files.write_json(folder / "meta.json", plan | counts | {"shards": shards})
    return EmbeddingStore.open(folder)


def _write_shard(
    path: Path, ids: list[str], reasons: list[str | None], parts: list[torch.Tensor], plan: dict[str, Any]
) -> None:
    vectors = to_numpy(torch.cat(parts)) if parts else np.empty((0, plan["encoder"]["dim"]), np.float32)
    kept = [name for name, reason in zip(ids, reasons, strict=True) if reason is None]
    failures = [(name, reason) for name, reason in zip(ids, reasons, strict=True) if reason is not None]
    tensors = {"vectors": vectors.astype(plan["dtype"]), "ids": _to_bytes(kept), "failures": _to_bytes(failures)}
    files.write_tensors(path, tensors)


def _read_meta(folder: Path) -> dict[str, Any]:
    path = folder / "meta.json"
    if not path.exists():
        raise MissingDataError(f"{folder} holds no embeddings ({path.name} is missing): make them with embed_photos")
    meta = files.read_json(path)
    needed = {"complete", "encoder", "precision", "decode", "dtype", "photos", "photos_sha256", "shard_size"}
    if not isinstance(meta, dict) or meta.get("format") != _FORMAT or needed - meta.keys():
        raise CorruptFileError(f"{path} does not describe a store of format {_FORMAT}: {_MEND}")
    return meta


def _read_rows(folder: Path, meta: dict[str, Any]) -> tuple[list[str], Vectors, list[tuple[str, str]]]:
    ids: list[str] = []
    failures: list[tuple[str, str]] = []
    vectors = np.empty((meta["vectors"], meta["encoder"]["dim"]), np.float32)
    for rows, recorded in zip(pieces(range(meta["photos"]), meta["shard_size"]), meta["shards"], strict=True):
        shard = _read_shard(_shard_path(folder, rows, meta), recorded["sha256"])
        vectors[len(ids) : len(ids) + recorded["vectors"]] = shard["vectors"]
        ids += _from_bytes(shard["ids"])
        failures += map(tuple, _from_bytes(shard["failures"]))
    if meta["dtype"] == "float16":  # rounding moved the lengths by up to 0.0005
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return ids, vectors, failures


def _read_shard(path: Path, sha256: str | None = None) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a shard, hashed and parsed from one reading."""
    try:
        content = path.read_bytes()
        changed = sha256 is not None and hashlib.sha256(content).hexdigest() != sha256
        problem = "was changed or cut short since it was written" if changed else None
        tensors = {} if changed else parse_tensors(content)
    except (OSError, SafetensorError) as error:
        problem = f"is not a whole shard ({error})"
    if problem:
        raise CorruptFileError(f"{path} {problem}: delete this file and call embed_photos again, which remakes it")
    return tensors


def _is_whole(path: Path) -> bool:
    try:
        return bool(_read_shard(path))
    except CorruptFileError:  # a power cut can leave an empty file behind a name
        return False


def _shard_path(folder: Path, rows: range, plan: Mapping[str, Any]) -> Path:
    return folder / f"shard-{rows.start // plan['shard_size']:05d}.safetensors"


def _checked_ids(ids: Sequence[str]) -> list[str]:
    counts = Counter(ids)
    if not counts:
        raise ValueError("no photos: expected at least one path and id")
    for name, count in counts.items():
        if not isinstance(name, str) or count > 1:
            raise ValueError(f"id {name!r} ({count} times): expected strings, each of one photo only")
    return list(ids)


def _to_bytes(value: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _from_bytes(array: npt.NDArray[np.uint8]) -> Any:
    return json.loads(array.tobytes())
