"""A frozen CLIP: photos become unit vectors."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from geolib.common import files
from geolib.common.arrays import pieces
from geolib.common.errors import CorruptFileError
from geolib.images import ImageSource
from geolib.openclip.model import ClipModel, Tokenizer
from geolib.openclip.weights import from_folder, from_open_clip

Vectors = npt.NDArray[np.float32]

_SHIPPED = {"postcards": "encoder", "postcards-no-names": "encoder-no-names"}  # folders of data/postcards


class Encoder:
    """A frozen CLIP that turns images, and texts, into unit vectors of one space. Made by `Encoder.load`.

    name, pretrained: as given to `load` (`pretrained` is None for random weights and model folders).
    dim: length of a vector.  image_size: side of the model's input, pixels.
    device, precision ("fp32" or "bf16") and reason: where it runs, how, and why in one sentence.
    preprocessing: how a photo becomes the model's input.
    weights: of a downloaded one, which file it is: repository, revision (a commit), file, bytes, sha256; else empty.
    """

    def __init__(self, model: ClipModel, name: str, pretrained: str | None, device: str, precision: str) -> None:
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
            `python -m postcards train-encoder --no-names` has made it; or a model folder with
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
                return cls(from_folder(folder), str(name), None, device, precision)
            model = from_open_clip(str(name), pretrained, revision, allow_pickle)
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
        crops = [np.stack([self.preprocessing.crop(x) for x in part]) for part in pieces(images, batch_size)]
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


def _check_list(items: Any, what: str, single: Any) -> None:
    if isinstance(items, single):
        raise ValueError(f"expected a list of {what}, got one {type(items).__name__}: put it in a list")
    if len(items) == 0:
        raise ValueError(f"no {what}: expected a list of at least one")


def _to_numpy(vectors: torch.Tensor) -> Vectors:
    array: Vectors = vectors.cpu().numpy()
    if not np.isfinite(array).all():
        raise CorruptFileError("the encoder gives vectors that are not finite: its weights are damaged, load it again")
    return array
