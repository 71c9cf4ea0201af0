"""Thousands of images to unit vectors, in files that survive a kill.

In `embed_photos`, worker processes decode and crop the images, the encoder turns batches of them into vectors, and a
second thread writes files, the shards: the first holds 64 images, the next ones twice as many each, up to 4,096. If the
job is killed, the next call computes only the missing shards. `EmbeddingStore` reads the folder that it makes:

    meta.json                    the encoder, the list of images, and at the end the SHA-256 of every shard
    shard-00000.safetensors ...  vectors, ids and failures of its images, in input order
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info
from tqdm import tqdm

from geolib._version import __version__
from geolib.common import files
from geolib.common.arrays import pieces
from geolib.common.errors import CorruptFileError, GeolibError, ImageError, MismatchError, MissingDataError
from geolib.common.processes import why_no_workers
from geolib.encoder import Encoder, check_list, to_numpy
from geolib.images import ImageSource
from geolib.openclip.model import Preprocessing

Vectors = npt.NDArray[np.float32]
Batch = tuple[torch.Tensor, list[str | None]]  # crops of the readable images; for every image None or what is wrong
Meta = dict[str, Any]  # the content of meta.json
_FORMAT = "geolib-embeddings/1"
_CHUNK = 32  # images that a worker hands over at once; small, so that the first batch comes soon
_FIRST_SHARD = 64  # images; shards double from there
_PATIENCE_S = 120  # for a chunk of huge photos on a busy machine


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
    progress: bool = False,
) -> EmbeddingStore:
    """Embed images into the folder `out`. Resumes an interrupted job, and opens a finished one at once.

    Parameters
    ----------
    paths, ids : one image source and one distinct name per image. `paths` may make its images on demand: it is indexed
        only when an image is decoded, and its attribute `version`, if it has one, changes with the images. Images that
        cannot be read become `failures` of the store.
    batch_size : images per forward pass; default: 256 on a GPU, 64 on a CPU, whose caches are small.
    workers : processes that decode and crop; 0 does it in this process. If they fail, it is done in this process, with
        a warning.
    shard_size : images per file, at most. A resumed job writes the same bytes.

    Raises `ImageError` if no image can be read, `GeolibError` on a full disk, and `MismatchError` if `out` is the store
    of another encoder, list of ids or dtype (unfinished: also precision or shard size), or if the size or time of a
    file in a list `paths` has changed, or if `out` holds other files. Images that are not files are known by their ids:
    new pixels need new ids.

    >>> from tempfile import TemporaryDirectory
    >>> encoder, image = Encoder.load("postcards", device="cpu"), np.zeros((60, 90, 3), np.uint8)
    >>> with TemporaryDirectory() as folder:
    ...     store = embed_photos(encoder, [image, b"a text"], ["first", "second"], folder)
    >>> store.vectors.shape, store.ids, store.failures[0][0]
    ((1, 128), ['first'], 'second')
    """
    if batch_size is None:
        batch_size = 64 if encoder.device == "cpu" else 256
    if min(batch_size, shard_size) < 1:
        raise ValueError(f"batch_size={batch_size}, shard_size={shard_size}: expected at least 1")
    check_list(paths, "images", least=0)
    if len(paths) != len(ids):
        raise ValueError(f"{len(paths)} paths and {len(ids)} ids: expected one id per path")
    folder, plan = Path(out), _plan(encoder, list(ids), shard_size, dtype) | {"files_sha256": _stamp(paths)}
    if not _start_or_resume(folder, plan):
        todo = {path: rows for path, rows in _shards(folder, plan).items() if not _is_whole(path)}
        batches = _batches(encoder, paths, list(todo.values()), batch_size, workers)
        names = {path: list(ids[rows.start : rows.stop]) for path, rows in todo.items()}
        _embed(encoder, batches, names, plan, progress)
        _complete(folder, plan)
    files.remove_left_overs(folder, older_than_s=60)  # another run may be writing younger ones
    return EmbeddingStore.open(folder)


def _embed(encoder: Encoder, batches: Iterator[Batch], todo: dict[Path, list[str]], plan: Meta, progress: bool) -> None:
    """Embed the batches, and write the files of `todo`, each with its ids."""
    done = plan["photos"] - sum(map(len, todo.values()))
    bar = tqdm(total=plan["photos"], initial=done, unit="photo", disable=not progress)
    with ThreadPoolExecutor(1) as writer, bar:
        writing: Future[Any] = writer.submit(int)  # nothing to write yet
        for path, ids in todo.items():
            vectors: list[torch.Tensor] = []
            problems: list[str | None] = []
            while len(problems) < len(ids):
                crops, found = next(batches)
                vectors += [encoder.forward(crops)] if len(crops) else []
                problems += found
                bar.update(len(found))
            writing.result()  # raises if the shard before could not be written
            # The writer waits for the GPU to finish these vectors; this thread starts the next shard.
            writing = writer.submit(_write_shard, path, dict(zip(ids, problems, strict=True)), vectors, plan)
        writing.result()


# The loader


@dataclass(frozen=True)
class _Crops(Dataset[npt.NDArray[np.uint8] | str]):
    """Crops of images by position, or what is wrong with an image that cannot be read."""

    sources: Sequence[ImageSource]
    preprocessing: Preprocessing

    def __getitem__(self, position: int) -> npt.NDArray[np.uint8] | str:
        try:
            return self.preprocessing.crop(self.sources[position])
        except ImageError as error:
            return str(error)

    def collate(self, items: Sequence[npt.NDArray[np.uint8] | str]) -> Batch:
        size = self.preprocessing.size
        crops = np.array([item for item in items if not isinstance(item, str)], np.uint8).reshape(-1, size, size, 3)
        tensor = torch.from_numpy(crops)
        if len(crops) and get_worker_info():
            tensor.untyped_storage().share_memory_()  # if there is no room, it raises here, and the parent hears of it
        return tensor, [item if isinstance(item, str) else None for item in items]


def _batches(
    encoder: Encoder, sources: Sequence[ImageSource], shards: list[range], size: int, workers: int | Literal["auto"]
) -> Iterator[Batch]:
    """Batches on the encoder's device. No batch crosses the end of a shard."""
    batches = [batch for shard in shards for batch in pieces(shard, size)]
    chunks = [chunk for batch in batches for chunk in pieces(batch, _CHUNK)]
    ready = _decoded(encoder, sources, chunks, _worker_count(encoder, len(chunks)) if workers == "auto" else workers)
    for batch in batches:
        parts = [next(ready) for _ in pieces(batch, _CHUNK)]
        on_device = [part.to(encoder.device, non_blocking=encoder.device == "cuda") for part, _ in parts]
        yield torch.cat(on_device), [problem for _, problems in parts for problem in problems]


def _decoded(encoder: Encoder, sources: Sequence[ImageSource], chunks: list[Any], workers: int) -> Iterator[Batch]:
    """Each chunk, by workers. If there cannot be any or they fail, the remaining chunks are decoded in this process."""
    crops, done = _Crops(sources, encoder.preprocessing), 0
    problem = why_no_workers() if workers else ""
    if workers and not problem:
        loader = DataLoader(
            crops,
            batch_sampler=chunks,
            num_workers=workers,
            collate_fn=crops.collate,
            pin_memory=encoder.device == "cuda",
            timeout=_PATIENCE_S,  # otherwise a chunk that gets lost on its way is waited for without end
            generator=torch.Generator(),  # otherwise it draws from torch's global generator
        )
        try:
            for batch in loader:
                yield batch
                done += 1
        except Exception as error:  # killed, no memory, not picklable; an error of `sources` comes again below
            problem = str(error).strip().rpartition("\n")[2] or type(error).__name__
    if problem:
        warnings.warn(f"no worker processes, so decoding is slower: {problem}", stacklevel=2)
    for chunk in chunks[done:]:
        yield crops.collate([crops[position] for position in chunk])


def _worker_count(encoder: Encoder, chunks: int) -> int:
    """One worker per core, none for a single chunk, and no more than shared memory holds (64 MB in containers)."""
    if chunks < 2:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shared, in_flight = Path("/dev/shm"), 4 * _CHUNK * 3 * encoder.image_size**2
    room = shutil.disk_usage(shared).free // in_flight if shared.is_dir() else cores
    return max(0, min(cores, chunks, room))


# The store


@dataclass(eq=False)
class EmbeddingStore:
    """Unit vectors of images, read from the folder that `embed_photos` made.

    ids : of the images that could be read, in input order.
    vectors : float32 (n, dim), one row per id.
    failures : (id, reason) of the other images, in input order.
    meta : encoder (name, fingerprint, preprocessing), SHA-256 of the list of ids, counts, dtype, shards.

    >>> store = EmbeddingStore(["a", "b"], np.eye(2, dtype=np.float32), [("c", "c is empty")], {})
    >>> store.subset(["b"])
    array([[0., 1.]], dtype=float32)
    """

    ids: list[str]
    vectors: Vectors
    failures: list[tuple[str, str]]
    meta: Meta

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> EmbeddingStore:
        """Read a store, and check the SHA-256 of each shard.

        Raises `MissingDataError` for no store or an unfinished one, `CorruptFileError` with the name of a damaged file.
        """
        folder = Path(folder)
        meta = _read_meta(folder)
        if not meta["complete"]:
            raise MissingDataError(f"{folder} is unfinished; call embed_photos again with the same arguments")
        ids: list[str] = []
        failures: list[tuple[str, str]] = []
        try:
            vectors = np.empty((meta["vectors"], meta["encoder"]["dim"]), np.float32)
            for path, recorded in zip(_shards(folder, meta), meta["shards"], strict=True):
                shard = files.read_tensors(path)
                if files.sha256_file(path) != recorded["sha256"]:
                    raise CorruptFileError(f"{path} was changed since it was written")
                vectors[len(ids) : len(ids) + recorded["vectors"]] = shard["vectors"]
                ids += _from_bytes(shard["ids"])
                failures += map(tuple, _from_bytes(shard["failures"]))
        except (KeyError, TypeError, ValueError, OSError, RecursionError) as error:
            remedy = "delete the damaged shard, or the whole folder, and call embed_photos again"
            raise CorruptFileError(f"the shards of {folder} do not fit meta.json ({error!r}): {remedy}") from error
        if meta["dtype"] == "float16":  # rounding changed the lengths by up to 0.0005
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(ids, vectors, failures, meta)

    def subset(self, ids: Sequence[str]) -> Vectors:
        """Vectors of these ids in their order, float32 (len(ids), dim). Raises `ValueError` for an unknown id."""
        row = {name: number for number, name in enumerate(self.ids)}
        if unknown := [name for name in ids if name not in row]:
            reason = dict(self.failures).get(unknown[0], "it is not among the images of this store")
            raise ValueError(f"no vector for {unknown[0]!r} ({len(unknown)} such ids): {reason}")
        return self.vectors[[row[name] for name in ids]]


# The files of a store


def _plan(encoder: Encoder, ids: list[str], shard_size: int, dtype: str) -> Meta:
    """`meta.json` of a store to be made. A resumed job has to agree with it."""
    wrong = [name for name, count in Counter(ids).items() if count > 1 or not isinstance(name, str)]
    if wrong or not ids:
        raise ValueError(f"{len(ids)} ids, {wrong[:3]} among them: expected at least one, and distinct strings")
    if dtype not in ("float16", "float32"):
        raise ValueError(f"dtype={dtype!r}: expected float16 or float32")
    return {
        "format": _FORMAT,
        "complete": False,
        "geolib": __version__,
        "encoder": encoder.describe(),
        "precision": encoder.precision,
        "decode": "full",  # earlier versions could also decode at a "reduced" size
        "dtype": dtype,
        "photos": len(ids),
        "photos_sha256": hashlib.sha256(json.dumps(ids).encode()).hexdigest(),
        "shard_size": shard_size,
        "first_shard": min(_FIRST_SHARD, shard_size),
    }


def _start_or_resume(folder: Path, plan: Meta) -> bool:
    """Start the store, or compare an old one with the plan. True if nothing is left to do. Raises `MismatchError`."""
    if not (folder / "meta.json").exists():
        if any(folder.glob("shard-*")):  # they could be of any encoder
            raise MismatchError(f"{folder} holds shards without meta.json: delete it, or choose another folder")
        others = sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []
        if others:
            raise MismatchError(f"{folder} holds {', '.join(others)[:200]} and so is no store: choose another folder")
        files.write_json(folder / "meta.json", plan)
        return False
    meta = _read_meta(folder)
    done = bool(meta["complete"]) and all(path.exists() for path in _shards(folder, meta))
    plan["first_shard"] = meta.get("first_shard", meta["shard_size"])  # earlier versions recorded neither this
    ours, theirs = plan | plan["encoder"], {"files_sha256": plan["files_sha256"]} | meta | meta["encoder"]  # nor that
    agreed = ["preprocessing", "fingerprint", "decode", "photos", "photos_sha256", "dtype", "files_sha256"]
    for key in agreed if done else [*agreed, "precision", "shard_size"]:
        if ours[key] != theirs[key]:
            changed = " (a file was replaced since: its size or time is another)" if key == "files_sha256" else ""
            raise MismatchError(
                f"{folder} was made with {key} {theirs[key]} (encoder {theirs['name']}), this run has {ours[key]} "
                f"(encoder {ours['name']}){changed}: choose another folder, or delete that one"
            )
    return done


def _complete(folder: Path, plan: Meta) -> None:
    """Add counts and the SHA-256 of every shard to `meta.json`. If no image was readable, delete the store, raise."""
    paths, shards, count = list(_shards(folder, plan)), [], 0
    for path in paths:
        shard = files.read_tensors(path)
        shards.append({"file": path.name, "vectors": len(shard["vectors"]), "sha256": files.sha256_file(path)})
        count += len(shard["vectors"])
    if count == 0:
        for path in [*paths, folder / "meta.json"]:
            path.unlink()  # so that the next run tries again
        name, reason = _from_bytes(shard["failures"])[-1]
        raise ImageError(f"none of the {plan['photos']} photos could be read; {name}: {reason}")
    counts = {"complete": True, "vectors": count, "failures": plan["photos"] - count, "shards": shards}
    files.write_json(folder / "meta.json", plan | counts)


def _read_meta(folder: Path) -> Meta:
    if not (folder / "meta.json").exists():
        raise MissingDataError(f"{folder} holds no embeddings (meta.json is missing): make them with embed_photos")
    meta = files.read_json(folder / "meta.json")
    needed = {"complete", "encoder", "precision", "decode", "dtype", "photos", "photos_sha256", "shard_size"}
    if not isinstance(meta, dict) or meta.get("format") != _FORMAT or needed - meta.keys():
        raise CorruptFileError(f"{folder / 'meta.json'} is not of format {_FORMAT}: delete the folder and embed again")
    return meta


def _shards(folder: Path, meta: Meta) -> dict[Path, range]:
    """The file of each shard, and the positions of its images in the input."""
    largest: int = meta["shard_size"]
    rows, size, parts = range(meta["photos"]), int(meta.get("first_shard", largest)), []
    if min(size, largest) < 1:
        raise ValueError(f"{folder} has shards of {size} images")
    while rows:
        parts.append(rows[:size])
        rows, size = rows[size:], min(2 * size, largest)
    return {folder / f"shard-{number:05d}.safetensors": part for number, part in enumerate(parts)}


def _stamp(paths: Sequence[ImageSource]) -> str:
    """SHA-256 of the sizes and times of the files in a list, or of the `version` of images that are made on demand."""
    stamps = [str(getattr(paths, "version", ""))]
    if isinstance(paths, list | tuple):
        stamps = [files.file_stamp(path) if isinstance(path, str | os.PathLike) else "" for path in paths]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()


def _write_shard(path: Path, problems: dict[str, str | None], parts: list[torch.Tensor], plan: Meta) -> None:
    vectors = to_numpy(torch.cat(parts)) if parts else np.empty((0, plan["encoder"]["dim"]), np.float32)
    kept = [name for name, problem in problems.items() if problem is None]
    failures = [(name, problem) for name, problem in problems.items() if problem is not None]
    arrays = {"vectors": vectors.astype(plan["dtype"]), "ids": _to_bytes(kept), "failures": _to_bytes(failures)}
    files.write_tensors(path, arrays)


def _is_whole(path: Path) -> bool:
    try:
        return bool(files.read_tensors(path))
    except GeolibError:  # missing, or empty after a power cut
        return False


def _to_bytes(value: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _from_bytes(array: npt.NDArray[np.uint8]) -> Any:
    return files.parse_json(array.tobytes().decode())
