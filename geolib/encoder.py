"""A frozen CLIP image encoder: an image becomes a unit vector, and similar images get similar vectors.

CLIP: Radford et al. 2021, arXiv 2103.00020. The models are those of open_clip, doi 10.5281/zenodo.5143773.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import cache, cached_property
from io import IOBase
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from geolib.common import files
from geolib.common.arrays import pieces
from geolib.common.errors import CorruptFileError, MissingDataError
from geolib.common.threads import one_thread
from geolib.images import ImageSource
from geolib.openclip.model import ClipModel
from geolib.openclip.weights import from_folder, from_open_clip

Vectors = npt.NDArray[np.float32]
_SMALL = 30_000_000  # parameters times images: up to this a pass on a CPU takes one thread (4 postcards, no ViT-B-32)
_ONE = (str, bytes, bytearray, os.PathLike, IOBase, Image.Image)  # what is not a list of images or texts
_FOLDERS = {"postcards": "encoder", "postcards-no-names": "encoder-no-names"}  # of data/postcards; the first ships


class Encoder:
    """Turns images, and texts, into unit vectors. Made by `Encoder.load`.

    name, pretrained : as given to `load`, a folder as its absolute path; `pretrained` is None for random weights and
        for model folders.
    dim : length of a vector.
    preprocessing, image_size : how an image becomes the model's input, and the side of that input in pixels.
    device, precision, reason : where it runs, "fp32" or "bf16", and why.
    weights : of downloaded weights, the repository, revision, file, bytes and sha256.

    >>> encoder = Encoder.load("postcards", device="cpu")
    >>> encoder.embed_images([np.full((60, 90, 3), value, np.uint8) for value in (128, 255)]).shape
    (2, 128)
    """

    def __init__(self, model: ClipModel, name: str, pretrained: str | None, device: str, precision: str) -> None:
        self.device, self.precision, self.reason = choose_device(device, precision)
        self.name, self.pretrained, self.image_size = name, pretrained, model.preprocessing.size
        self.dim, self.preprocessing, self.quick_gelu = model.dim, model.preprocessing, model.quick_gelu
        self.model = model.module.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)
        self._parameters = sum(weights.numel() for weights in self.model.parameters())
        self._tokenizer = cache(model.make_tokenizer)
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

        Parameters
        ----------
        name : an open_clip model; "postcards", which ships with the clone; "postcards-no-names" (`python -m postcards
            train-encoder --no-names`); or a model folder with `open_clip_config.json`, `open_clip_model.safetensors`
            and `vocab.json`: a `Path`, or text with a slash ("./mine"). Folders ignore `pretrained`.
        pretrained : open_clip's name for weights of this model. None gives random weights, always the same.
        device, precision : "auto", "cpu", "cuda" or "mps"; "auto", "fp32" or "bf16".
        revision : a commit of the weights on the Hugging Face hub. None takes the newest at the first download, and
            that one from then on, without asking the network: it is recorded in geolib's cache (`encoders/`).
        allow_pickle : read weights that exist only as a pickle, once, and keep them as safetensors. Only if you trust
            the author: a pickle can run programs, and torch's protection (`weights_only=True`) was bypassed twice
            (CVE-2025-32434, CVE-2026-24747).

        Raises `ValueError` for an unknown name or option, `MissingDataError` for weights that are missing, and
        `CorruptFileError` for a damaged file.
        """
        choose_device(device, precision)  # raises before minutes of loading
        if revision is not None and not re.fullmatch("[0-9a-f]{40}", revision):
            raise ValueError(f"revision={revision!r}: expected a commit, 40 digits from 0 to f, or None")
        folder = _folder_of(name)
        with torch.random.fork_rng(devices=[]):  # building a model draws numbers; the global generator must not move
            torch.default_generator.manual_seed(0)
            if folder is not None and folder.is_dir():
                # The absolute path, so that a saved model finds its encoder from any working directory.
                label = str(name) if name in _FOLDERS else str(folder.resolve())
                return cls(from_folder(folder), label, None, device, precision)
            model = from_open_clip(str(name), pretrained, revision, allow_pickle)
        return cls(model, str(name), pretrained, device, precision)

    def embed_images(self, images: Sequence[ImageSource], batch_size: int = 64) -> Vectors:
        """Unit vectors of images, float32 (n, dim). For thousands of images see `embed_photos`.

        Raises `ImageError` for the first image that cannot be read, and `ValueError` for an empty list.
        """
        check_list(images, "images")
        vectors = []
        for part in pieces(images, batch_size):
            crops = np.stack([self.preprocessing.crop(image) for image in part])
            vectors.append(self.forward(torch.from_numpy(crops)))
        return to_numpy(torch.cat(vectors))

    @torch.inference_mode()
    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Unit vectors, float32 (n, dim) on the device, of crops uint8 (n, size, size, 3)."""
        with self._threads(len(crops)), self.autocast():
            inputs = self.preprocessing.normalise(crops.to(self.device))
            return torch.nn.functional.normalize(self.model.encode_image(inputs).float(), dim=-1)

    def embed_text(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of texts, float32 (n, dim). Their dot product with an image's vector says how well they fit."""
        check_list(texts, "texts")
        tokens = self._tokenizer()(list(texts)).to(self.device)
        with torch.inference_mode(), self._threads(len(texts)), self.autocast():
            return to_numpy(torch.nn.functional.normalize(self.model.encode_text(tokens).float(), dim=-1))

    def preprocess(self, image: ImageSource) -> torch.Tensor:
        """The model's input for one image, float32 (3, size, size). Raises `ImageError`."""
        return self.preprocessing.normalise(torch.from_numpy(self.preprocessing.crop(image)[None].copy()))[0]

    def autocast(self) -> AbstractContextManager[Any]:
        """What a forward pass runs under: bfloat16 or nothing."""
        return torch.autocast(self.device, torch.bfloat16) if self.precision == "bf16" else nullcontext()

    def _threads(self, n: int) -> AbstractContextManager[Any]:
        """One thread for a pass of `n` images or texts that is small, so that other programs do not hold it up."""
        return one_thread() if self.device == "cpu" and n * self._parameters <= _SMALL else nullcontext()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all weights and the preprocessing. Encoders with the same fingerprint give the same vectors."""
        config = {"preprocessing": asdict(self.preprocessing), "quick_gelu": self.quick_gelu}
        digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
        for key, tensor in sorted(self.model.state_dict().items()):
            array = tensor.cpu().contiguous().numpy()
            digest.update(f"{key} {array.dtype.str} {array.shape}".encode())
            digest.update(np.atleast_1d(array).data)
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """What identifies the encoder, for JSON: name, pretrained, dim, fingerprint, preprocessing, weights."""
        preprocessing = json.loads(json.dumps(asdict(self.preprocessing)))  # lists, as a JSON file returns them
        identity = {key: getattr(self, key) for key in ("name", "pretrained", "dim", "fingerprint")}
        return identity | {"preprocessing": preprocessing} | ({"weights": self.weights} if self.weights else {})


def choose_device(device: str, precision: str) -> tuple[str, str, str]:
    """Device, precision and the reason for the choice. Raises `ValueError` for what this machine cannot do.

    >>> choose_device("cpu", "fp32")
    ('cpu', 'fp32', 'cpu: as asked; fp32: as asked')
    """
    if device not in ("auto", "cpu", "cuda", "mps") or precision not in ("auto", "fp32", "bf16"):
        raise ValueError(f"device={device!r}, precision={precision!r}: expected auto, cpu, cuda, mps; auto, fp32, bf16")
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    why = how = "as asked"
    if device == "auto":
        device = next(name for name, here in present.items() if here)
        why = "no GPU that torch can use" if device == "cpu" else "torch found a GPU"
    if not present[device]:
        raise ValueError(f"device={device!r}: torch {torch.__version__} finds none here; use 'auto' or 'cpu'")
    fast = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bf16" and not (fast or device == "cpu"):
        raise ValueError(f"precision='bf16': this {device} device does not support it; use 'auto' or 'fp32'")
    if precision == "auto":
        precision = "bf16" if fast else "fp32"
        how = f"the GPU {'supports' if fast else 'does not support'} bf16" if device != "cpu" else "exact on a CPU"
    return device, precision, f"{device}: {why}; {precision}: {how}"


def _folder_of(name: str | os.PathLike[str]) -> Path | None:
    """The folder that `Encoder.load` is asked for; None for the name of an open_clip model."""
    if isinstance(name, os.PathLike) or "/" in name or os.sep in name:
        return Path(name).expanduser()
    if name == "postcards-no-names" and not (files.data_path("postcards") / _FOLDERS[name]).is_dir():
        raise MissingDataError(f"{name} does not ship: `python -m postcards train-encoder --no-names` trains it")
    return files.data_path("postcards", _FOLDERS[name]) if name in _FOLDERS else None


def check_list(items: Any, what: str, least: int = 1) -> None:
    """Raise `ValueError` for too few, and for one in place of a list: its letters or rows would pass for several."""
    one_array = isinstance(items, np.ndarray) and items.ndim == 3
    if one_array or isinstance(items, _ONE) or len(items) < least:
        got = f"one array of shape {items.shape}" if one_array else f"{items!r:.80}"
        raise ValueError(f"got {got}: expected a list of {what}{', at least one' * least}; one alone, put it in a list")


def to_numpy(vectors: torch.Tensor) -> Vectors:
    """Vectors as numpy. Raises `CorruptFileError` if one is not finite."""
    array: Vectors = vectors.cpu().numpy()
    if not np.isfinite(array).all():
        raise CorruptFileError("the encoder gives vectors that are not finite: its weights are damaged, load it again")
    return array
