"""Photographs to unit vectors: a frozen CLIP encoder, and a store on disk for what it computed.

The encoder is any model of open_clip (Radford et al. 2021, arXiv 2103.00020; Ilharco et al. 2021,
doi 10.5281/zenodo.5143773). Weights are read from safetensors; a pickle only where the caller allows it by hand.
Downloads go through huggingface_hub and were tried against a local server that speaks the hub's protocol, never
against the live one.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import shutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from huggingface_hub import HfFileMetadata, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load as parse_tensors
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from geolib import files
from geolib._torchvision import import_open_clip
from geolib.download import DownloadError, HubPatience, UnavailableError
from geolib.errors import CorruptFileError, ImageError, MismatchError, MissingDataError
from geolib.images import ImageSource, open_rgb
from geolib.texts import one_line
from geolib.tokenizer import WordTokenizer

Vectors = npt.NDArray[np.float32]
Tokenizer = Callable[[list[str]], torch.Tensor]

_FORMAT = "geolib-embeddings/1"
_SHIPPED = {"postcards": "encoder", "postcards-no-names": "encoder-no-names"}  # folders of data/postcards
_CHUNK = 32  # photos that a worker hands over at once: small enough that the first ones come soon
_MEND = "delete the folder and embed again"
_WHOLE_UP_TO = 64  # times as long as wide: up to there the whole photo is scaled, into 10 MB at most
_COMPILE_FROM = 200_000  # photos; a shorter run would not earn back the minute that compiling takes


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become a model's input, as in open_clip's `preprocess_cfg`.

    size: side of the square input, pixels.  mean, std: of each colour, for pixels in 0 to 1.
    resize_mode: "shortest" scales the short side to `size` and crops the middle, "squash" ignores the shape.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> Preprocessing:
        """From open_clip's configuration. Raises `CorruptFileError`, naming `where`, for one that makes no sense."""
        try:
            sides = {int(side) for side in np.atleast_1d(config["size"])}
            mean, std = (tuple(float(x) for x in config[key]) for key in ("mean", "std"))
            made = cls(sides.pop(), mean, std, config["interpolation"], config["resize_mode"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"{where}: the preprocessing {dict(config)} is not complete ({error!r})") from error
        sensible = not sides and made.size > 0 and len(mean) == len(std) == 3 and min(std) > 0
        known = made.interpolation in _FILTERS and made.resize_mode in ("shortest", "squash")
        if not (sensible and known):
            raise CorruptFileError(
                f"{where}: cannot preprocess as {dict(config)}: expected a square size, three means and positive "
                "deviations, bicubic or bilinear, shortest or squash"
            )
        return made

    def crop(self, source: ImageSource, reduced: bool = False) -> npt.NDArray[np.uint8]:
        """The part of a photo that the model sees, uint8 (size, size, 3). Raises `ImageError`.

        reduced: let a large JPEG be decoded at a fraction of its size, never below twice the size needed.
        """
        picture = open_rgb(source, min_side=2 * self.size if reduced else None)
        square, filter_ = (self.size, self.size), _FILTERS[self.interpolation]
        if self.resize_mode == "squash":
            return np.asarray(picture.resize(square, filter_))
        scaled = [self.size * side // min(picture.size) for side in picture.size]
        left, top = (round((side - self.size) / 2) for side in scaled)
        fast = reduced and min(picture.size) >= 2 * self.size
        if not fast and max(scaled) <= _WHOLE_UP_TO * self.size:  # open_clip's own two steps: equal to the last bit
            whole = picture.resize((scaled[0], scaled[1]), filter_)
            return np.asarray(whole.crop((left, top, left + self.size, top + self.size)))
        # Scaling only the part that is seen is faster and keeps a 1 x 5,000 picture from filling memory. But pillow
        # may then take rows and columns in another order, and rounds otherwise: by a grey level or two.
        across, down = (side / new for side, new in zip(picture.size, scaled, strict=True))
        box = (left * across, top * down, (left + self.size) * across, (top + self.size) * down)
        return np.asarray(picture.resize(square, filter_, box=box))

    def normalise(self, crops: torch.Tensor) -> torch.Tensor:
        """Crops uint8 (n, size, size, 3) to the model's input, float32 (n, 3, size, size), channels last in memory."""
        # One pass over whole rows: several times faster on a CPU than op by op with three colours innermost.
        mean, std = (torch.tensor(x, device=crops.device).repeat(self.size) for x in (self.mean, self.std))
        rows = crops.flatten(2).float()
        torch.addcmul(-mean / std, rows, 1 / (255 * std), out=rows)
        return rows.view(crops.shape).permute(0, 3, 1, 2)


_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class Encoder:
    """A frozen CLIP that turns images, and texts, into unit vectors of one space. Made by `Encoder.load`.

    name, pretrained: as given to `load` (`pretrained` is None for random weights and model folders).
    dim: length of a vector.  image_size: side of the model's input, pixels.
    device, precision ("fp32" or "bf16") and reason: where it runs, how, and why in one sentence.
    preprocessing: how a photo becomes the model's input.
    weights: of a downloaded one, which file it is: repository, revision (a commit), file, bytes, sha256; else empty.
    """

    def __init__(self, model: _Model, name: str, pretrained: str | None, device: str, precision: str) -> None:
        self.device, self.precision, self.reason = _choose(device, precision)
        self.name, self.pretrained = name, pretrained
        self.dim, self.preprocessing, self.quick_gelu = model.dim, model.preprocessing, model.quick_gelu
        self.image_size = self.preprocessing.size
        self.model = model.module.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        self._make_tokenizer = model.make_tokenizer
        self.weights: dict[str, Any] = dict(model.weights)

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] = "ViT-L-14",
        pretrained: str | None = "openai",
        device: str = "auto",
        precision: str = "auto",
        *,
        revision: str | None = None,
        allow_pickle: bool = False,
    ) -> Encoder:
        """Load an encoder.

        name: an open_clip model; or "postcards", the small one that ships with the clone, or
            "postcards-no-names", its twin whose training captions never named a place, once
            `python -m geolib.postcards train-encoder --no-names` has made it; or a model folder with
            `open_clip_config.json`, `open_clip_model.safetensors` and `vocab.json` (`pretrained` is then ignored).
        pretrained: a tag that open_clip knows for this model; None gives random weights, always the same, and warns.
        device: "auto", "cpu", "cuda" or "mps".  precision: "auto", "fp32" or "bf16".
        revision: commit of the weights on the Hugging Face hub. None is the newest when they are first fetched; that
            commit is recorded in geolib's cache (`encoders/`, delete the record to take a newer one) and kept to, and
            no later load sends a request.
        allow_pickle: read weights that are published as a pickle only, once, and keep them as safetensors. Whoever
            made a pickle may run programs on this machine: torch's `weights_only=True`, which is on, has been
            bypassed twice (CVE-2025-32434, CVE-2026-24747).

        Raises `ValueError` for what does not exist, `MissingDataError` for weights that are not here and
        cannot be fetched, `CorruptFileError` for a damaged file.
        """
        _choose(device, precision)  # refuse before minutes of loading
        if revision is not None and not re.fullmatch("[0-9a-f]{40}", revision):
            raise ValueError(f"revision={revision!r}: expected a commit, 40 digits from 0 to f, or None")
        folder = files.data_path("postcards", _SHIPPED[str(name)]) if str(name) in _SHIPPED else Path(name)
        with torch.random.fork_rng(devices=[]):  # building a model draws its first weights
            torch.default_generator.manual_seed(0)
            if folder.is_dir():
                return cls(_from_folder(folder), str(name), None, device, precision)
            model = _from_open_clip(str(name), pretrained, revision, allow_pickle)
            return cls(model, str(name), pretrained, device, precision)

    @cached_property
    def fingerprint(self) -> str:
        """Hex sha256 over every weight and the preprocessing: equal exactly when the vectors mean the same."""
        config = {"preprocessing": asdict(self.preprocessing), "quick_gelu": self.quick_gelu}
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for key, tensor in sorted(self.model.state_dict().items()):
            array = tensor.cpu().contiguous().numpy()
            digest.update(f"{key} {array.dtype.str} {array.shape}".encode())
            digest.update(np.atleast_1d(array).data)
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """What identifies the encoder, for JSON: name, pretrained, dim, fingerprint, preprocessing, and its weights."""
        preprocessing = json.loads(json.dumps(asdict(self.preprocessing)))  # lists, as they come back from a file
        identity = {key: getattr(self, key) for key in ("name", "pretrained", "dim", "fingerprint")}
        return identity | {"preprocessing": preprocessing} | ({"weights": self.weights} if self.weights else {})

    def preprocess(self, image: ImageSource) -> torch.Tensor:
        """The model's input for one image, float32 (3, size, size). Raises `ImageError`."""
        return self.preprocessing.normalise(torch.from_numpy(self.preprocessing.crop(image)[None].copy()))[0]

    def embed_images(self, images: Sequence[ImageSource], batch_size: int = 64) -> Vectors:
        """Unit vectors of images, float32 (n, dim); for thousands of photos see `embed_photos`.

        Raises `ImageError` for the first image that cannot be read, and `ValueError` for an empty list.
        """
        _check_list(images, "images", str | bytes | os.PathLike | Image.Image)
        crops = [np.stack([self.preprocessing.crop(x) for x in part]) for part in _pieces(images, batch_size)]
        return _to_numpy(torch.cat([self.forward(torch.from_numpy(part)) for part in crops]))

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of texts, float32 (n, dim), comparable with those of images by dot product."""
        _check_list(texts, "texts", str)
        tokens = self._tokenizer(list(texts)).to(self.device)
        with torch.inference_mode(), self._autocast():
            return _to_numpy(torch.nn.functional.normalize(self.model.encode_text(tokens).float(), dim=-1))

    @torch.inference_mode()
    def forward(self, crops: torch.Tensor, tower: Callable[[torch.Tensor], torch.Tensor] | None = None) -> torch.Tensor:
        """Unit vectors, float32 (n, dim) on the device, of crops uint8 (n, size, size, 3)."""
        with self._autocast():
            features = (tower or self.model.encode_image)(self.preprocessing.normalise(crops.to(self.device)))
        return torch.nn.functional.normalize(features.float(), dim=-1)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return self._make_tokenizer()

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device, torch.bfloat16) if self.precision == "bf16" else nullcontext()


@dataclass(frozen=True)
class _Model:
    module: Any
    dim: int
    preprocessing: Preprocessing
    quick_gelu: bool
    make_tokenizer: Callable[[], Tokenizer]
    weights: Mapping[str, Any] = field(default_factory=dict)


def _choose(device: str, precision: str) -> tuple[str, str, str]:
    """(device, precision, reason), or a `ValueError` in words for what this machine cannot do."""
    if device not in ("auto", "cpu", "cuda", "mps") or precision not in ("auto", "fp32", "bf16"):
        raise ValueError(
            f"device={device!r}, precision={precision!r}: expected auto, cpu, cuda or mps, and auto, fp32 or bf16"
        )
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    why = "as asked"
    if device == "auto":
        device = next(name for name, here in present.items() if here)
        why = "no GPU that torch can use" if device == "cpu" else "torch found a GPU"
    if not present[device]:
        raise ValueError(f"device={device!r}: torch {torch.__version__} finds none here; use 'auto' or 'cpu'")
    native = device == "cpu" or (device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False))
    if precision == "bf16" and not native:
        raise ValueError(f"precision='bf16': this {device} device does not support it; use 'auto' or 'fp32'")
    if precision != "auto":
        return device, precision, f"{device}: {why}; {precision}: as asked"
    if device == "cuda" and native:
        return device, "bf16", f"{device}: {why}; bf16: the GPU supports it"
    exact = "exact and fast enough on a CPU" if device == "cpu" else "the GPU does not support bf16"
    return device, "fp32", f"{device}: {why}; fp32: {exact}"


def _from_folder(folder: Path) -> _Model:
    config = files.read_json(folder / "open_clip_config.json")
    vocabulary = files.read_json(folder / "vocab.json")
    arrays = files.read_tensors(folder / "open_clip_model.safetensors")
    weights = {key: torch.from_numpy(array) for key, array in arrays.items()}
    try:
        shape, preprocessing = dict(config["model_cfg"]), config["preprocess_cfg"]
        # Anything with a hub address in it would go to the network.
        if "hf_model_name" in shape["text_cfg"] or ":" in shape["vision_cfg"].get("timm_model_name", ""):
            raise ValueError("it refers to a model on a hub")
        shape["vision_cfg"] = shape["vision_cfg"] | {"timm_model_pretrained": False}
        tokenizer = WordTokenizer(vocabulary["vocabulary"], vocabulary["context_length"])
        module = import_open_clip().CLIP(**shape)
        if (module.vocab_size, module.context_length) != (tokenizer.vocab_size, tokenizer.context_length):
            raise ValueError("vocab.json belongs to another text tower")
        module.load_state_dict(weights, strict=True)  # copies into float32
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, AssertionError) as error:
        raise CorruptFileError(f"{folder} is not a model folder that fits together ({error}); restore it") from error
    where = str(folder / "open_clip_config.json")
    quick_gelu = bool(shape.get("quick_gelu"))
    return _Model(module, shape["embed_dim"], Preprocessing.of(preprocessing, where), quick_gelu, lambda: tokenizer)


def _from_open_clip(name: str, pretrained: str | None, revision: str | None, allow_pickle: bool) -> _Model:
    open_clip = import_open_clip()
    if name not in open_clip.list_models():
        close = difflib.get_close_matches(name, open_clip.list_models()) or ["ViT-L-14"]
        raise ValueError(
            f"encoder {name!r}: expected 'postcards', a model folder, or an open_clip model such as {', '.join(close)}"
        )
    shape = open_clip.get_model_config(name)
    options: dict[str, Any] = {"pretrained_text": False}  # else a text tower of its own is fetched
    weights: dict[str, Any] = {}
    if pretrained is None:
        warnings.warn(f"{name} has random weights: its vectors say little about a photo", stacklevel=3)
    else:
        tag = open_clip.get_pretrained_cfg(name, pretrained)
        if not tag:
            tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
            raise ValueError(f"{name} has no weights called {pretrained!r}: expected one of {tags}, or None")
        kept, record = _recorded(name, pretrained, revision)
        path, weights = _weights(f"{name}/{pretrained}", tag, kept, record, revision, allow_pickle)
        options |= {"pretrained": str(path), "force_preprocess_cfg": tag}
        options |= {"force_quick_gelu": bool(tag.get("quick_gelu"))}
    module = _created(name, options)
    if weights and weights != record:
        if path.suffix != ".safetensors":  # so that the pickle is never read again
            files.write_tensors(kept, {key: x.numpy() for key, x in module.state_dict().items()})
            weights["safetensors_sha256"] = files.sha256_file(kept)
        files.write_json(kept.with_suffix(".json"), weights)
    quick_gelu = bool(shape.get("quick_gelu") or options.get("force_quick_gelu"))
    preprocessing = Preprocessing.of(module.visual.preprocess_cfg, name)
    return _Model(module, shape["embed_dim"], preprocessing, quick_gelu, lambda: open_clip.get_tokenizer(name), weights)


def _created(name: str, options: Mapping[str, Any]) -> Any:
    """open_clip's model, with the weights of a local file where `options` names one."""
    path = options.get("pretrained", "")
    # StopIteration: a file without tensors. On what is no pickle, torch's unpickler raises nearly anything.
    damage = (SafetensorError, RuntimeError, StopIteration) if path.endswith(".safetensors") else Exception
    try:
        return import_open_clip().create_model(name, **options, weights_only=True)
    except damage as error:
        if not path:
            raise
        raise CorruptFileError(f"{path} is damaged ({error}); delete it and load again") from error


def _recorded(name: str, pretrained: str, revision: str | None) -> tuple[Path, dict[str, Any]]:
    """Where a safe copy of weights from a pickle is kept, and the record beside it of what was fetched, or {}."""
    for pin in (None, revision):
        slug = re.sub(r"[^\w.-]", "_", "-".join(filter(None, (name, pretrained, pin))))
        kept = files.cache_path("encoders", f"{slug}.safetensors")
        record = files.read_json(kept.with_suffix(".json")) if kept.with_suffix(".json").is_file() else {}
        if revision in (None, record.get("revision")):
            return kept, record
    return kept, {}


def _weights(
    title: str, tag: Mapping[str, Any], kept: Path, record: dict[str, Any], revision: str | None, allow_pickle: bool
) -> tuple[Path, dict[str, Any]]:
    """The weights of a tag on this machine, fetched if need be: the file, and what `Encoder.weights` says of it.

    By their own name: asked for a tag, open_clip goes on to the pickle when the safetensors file fails, for any reason.
    """
    repository, _, named = tag.get("hf_hub", "").rpartition("/")
    if not repository:
        raise ValueError(f"{title} is not published on the Hugging Face hub, where geolib fetches from")
    if "safetensors_sha256" in record and kept.is_file():
        if files.sha256_file(kept) != record["safetensors_sha256"]:
            raise CorruptFileError(f"{kept} was changed since it was written; delete it and load again")
        return kept, record
    pickled = named or "open_clip_pytorch_model.bin"
    safe = f"{Path(named).stem}.safetensors" if named else "open_clip_model.safetensors"
    wanted = _Wanted(title, repository, safe, revision or record.get("revision"), HubPatience(time.sleep))
    found = wanted.fetch(record.get("sha256"))
    if found is None and not allow_pickle:
        raise ValueError(
            f"{title} is published as a pickle only ({repository}, {pickled}), which geolib does not read: "
            "whoever made a pickle may run programs on your machine. If you trust them, allow it by hand, once: "
            f"`python -m geolib fetch {title} --allow-pickle`, or Encoder.load(..., allow_pickle=True)"
        )
    found = found or replace(wanted, file=pickled).fetch(record.get("sha256"))
    if found is None:
        raise MissingDataError(f"{repository} holds neither {safe} nor {pickled}: {title} cannot be loaded")
    return found


@dataclass(frozen=True)
class _Wanted:
    """A file on the Hugging Face hub. revision: a commit, or None for the newest.  ask: what waits while it is busy."""

    title: str
    repository: str
    file: str
    revision: str | None
    ask: HubPatience

    def fetch(self, sha256: str | None) -> tuple[Path, dict[str, Any]] | None:
        """The file in the hub's own cache, checked against its sha256, and which it is; None where the hub has none.

        sha256: the one that was recorded when it was fetched. A file that is here is not asked for: no request is sent.
        """
        cached = try_to_load_from_cache(self.repository, self.file, revision=self.revision)
        if isinstance(cached, str):
            return self._checked(Path(cached), sha256)
        try:
            about = self.ask(self._named(self.revision), self._about)
        except DownloadError as error:
            raise self._missing(error) from error
        if about is None:
            return None
        commit, published = about.commit_hash or "", about.etag or ""
        if not re.fullmatch("[0-9a-f]{40}", commit) or not re.fullmatch("[0-9a-f]{64}", published):
            raise CorruptFileError(f"{self.repository}: the hub gives no commit or no sha256 for {self.file}")
        if sha256 not in (None, published):
            raise CorruptFileError(
                f"{self.title}: the hub gives sha256 {published} for what was {sha256} when it was fetched first"
            )
        _announce(f"fetching {self.title}: {(about.size or 0) / 1e9:.2f} GB, {self.repository} at {commit[:12]}")
        try:
            path = self.ask(self._named(commit), lambda: hf_hub_download(self.repository, self.file, revision=commit))
        except DownloadError as error:
            raise self._missing(error) from error
        return self._checked(Path(path), published)

    def _named(self, revision: str | None) -> str:
        return f"{self.file} of {self.repository}" + (f" at {revision}" if revision else "")

    def _about(self) -> HfFileMetadata | None:
        try:
            return get_hf_file_metadata(hf_hub_url(self.repository, self.file, revision=self.revision))
        except EntryNotFoundError:
            return None

    def _checked(self, path: Path, sha256: str | None) -> tuple[Path, dict[str, Any]]:
        named = path.resolve().name  # the hub's cache names a large file by its sha256
        expected = sha256 or (named if re.fullmatch("[0-9a-f]{64}", named) else None)
        actual = files.sha256_file(path)
        if expected not in (None, actual):
            for name in (path.resolve(), path):  # so that nobody takes it for what its name says
                name.unlink(missing_ok=True)
            raise CorruptFileError(
                f"{path} was damaged (sha256 {actual} instead of {expected}) and is deleted: load again to fetch it"
            )
        commit = path.parents[self.file.count("/")].name  # the cache keeps a file below snapshots/COMMIT
        where = {"repository": self.repository, "revision": commit, "file": self.file}
        return path, where | {"bytes": path.stat().st_size, "sha256": actual}

    def _missing(self, error: DownloadError) -> MissingDataError:
        here = f"the weights {self.title} are not on this machine and could not be fetched"
        if not (isinstance(error, UnavailableError) or error.reason == "refused"):
            return MissingDataError(
                f"{here}, for the hub does not give them ({one_line(error)}). Choose other weights, or a revision that "
                f"https://huggingface.co/{self.repository} has"
            )
        return MissingDataError(
            f"{here} ({one_line(error)}). With a network, `python -m geolib fetch {self.title}` fetches them from "
            f"{self.repository}: about {_gigabytes(self.title.partition('/')[0]):.1f} GB"
        )


def _announce(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _gigabytes(name: str) -> float:
    """Size of a model's weights in float32, found without making them."""
    with torch.device("meta"):
        module = import_open_clip().create_model(name, pretrained_text=False, device="meta")
    return float(sum(tensor.nbytes for tensor in module.state_dict().values())) / 1e9


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
    todo = [rows for rows in _pieces(range(len(ids)), shard_size) if not _is_whole(_shard_path(folder, rows, plan))]
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
            for pixels, failed in islice(batches, len(_pieces(rows, batch_size))):
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
    batches = [batch for shard in shards for batch in _pieces(shard, batch_size)]
    chunks = [chunk for batch in batches for chunk in _pieces(batch, _CHUNK)]
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
        parts = [next(ready) for _ in _pieces(batch, _CHUNK)]
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
        for shard in _pieces(range(len(ids)), shard_size):
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
    try:
        geolib = version("geolib")
    except PackageNotFoundError:
        geolib = "not installed"
    return {
        "format": _FORMAT,
        "complete": False,
        "geolib": geolib,
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
    shards = _pieces(range(meta["photos"]), meta["shard_size"])
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
    paths = [_shard_path(folder, rows, plan) for rows in _pieces(range(plan["photos"]), plan["shard_size"])]
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
    vectors = _to_numpy(torch.cat(parts)) if parts else np.empty((0, plan["encoder"]["dim"]), np.float32)
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
    for rows, recorded in zip(_pieces(range(meta["photos"]), meta["shard_size"]), meta["shards"], strict=True):
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


def _check_list(items: Any, what: str, single: Any) -> None:
    if isinstance(items, single):
        raise ValueError(f"expected a list of {what}, got one {type(items).__name__}: put it in a list")
    if len(items) == 0:
        raise ValueError(f"no {what}: expected a list of at least one")


def _pieces(items: Any, size: int) -> list[Any]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _to_numpy(vectors: torch.Tensor) -> Vectors:
    array: Vectors = vectors.cpu().numpy()
    if not np.isfinite(array).all():
        raise CorruptFileError("the encoder gives vectors that are not finite: its weights are damaged, load it again")
    return array


def _to_bytes(value: Any) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _from_bytes(array: npt.NDArray[np.uint8]) -> Any:
    return json.loads(array.tobytes())
