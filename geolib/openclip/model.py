"""What geolib takes from open_clip: how an image becomes a model's input, and a loaded model with its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from geolib.common.errors import CorruptFileError
from geolib.images import ImageSource, open_rgb

Tokenizer = Callable[[list[str]], torch.Tensor]
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a model's input. The fields are those of open_clip's `preprocess_cfg`.

    size : side of the square input, in pixels.
    mean, std : of each colour, for pixel values from 0 to 1.
    resize_mode : "shortest" scales the short side to `size` and keeps the middle; "squash" ignores the shape.

    >>> half = Preprocessing(size=2, mean=(0.5,) * 3, std=(0.5,) * 3)
    >>> crop = half.crop(np.full((4, 8, 3), 255, np.uint8))
    >>> crop.shape, half.normalise(torch.tensor(crop[None])).shape
    ((2, 2, 3), torch.Size([1, 3, 2, 2]))
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    @classmethod
    def of(cls, config: Mapping[str, Any], where: str) -> Preprocessing:
        """From open_clip's configuration. Raises `CorruptFileError` with `where` if a value is missing or wrong."""
        try:
            sides = {int(side) for side in np.atleast_1d(config["size"])}
            mean, std = (tuple(float(x) for x in config[key]) for key in ("mean", "std"))
            made = cls(sides.pop(), mean, std, config["interpolation"], config["resize_mode"])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFileError(f"{where}: the preprocessing {dict(config)} is not complete ({error!r})") from error
        sensible = not sides and made.size > 0 and len(mean) == len(std) == 3 and min(std) > 0
        if not (sensible and made.interpolation in _FILTERS and made.resize_mode in ("shortest", "squash")):
            raise CorruptFileError(
                f"{where}: cannot preprocess as {dict(config)}: expected a square size, three means and positive "
                "deviations, bicubic or bilinear, shortest or squash"
            )
        return made

    def crop(self, source: ImageSource) -> npt.NDArray[np.uint8]:
        """The square that the model sees, uint8 (size, size, 3). Raises `ImageError`."""
        image, square, filter_ = open_rgb(source), (self.size, self.size), _FILTERS[self.interpolation]
        if self.resize_mode == "squash":
            return np.asarray(image.resize(square, filter_))
        width, height = (self.size * side // min(image.size) for side in image.size)
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        right, bottom = left + self.size, top + self.size
        if max(width, height) <= 64 * self.size:  # scale, then cut: the same bits as open_clip
            return np.asarray(image.resize((width, height), filter_).crop((left, top, right, bottom)))
        # Scaled as a whole, an image of 1 x 5,000 pixels would fill gigabytes: scale only the part that is kept.
        x, y = image.width / width, image.height / height
        return np.asarray(image.resize(square, filter_, box=(left * x, top * y, right * x, bottom * y)))

    def normalise(self, crops: torch.Tensor) -> torch.Tensor:
        """The model's input, float32 (n, 3, size, size) in channels-last memory, for crops uint8 (n, size, size, 3)."""
        # (pixels / 255 - mean) / std in one pass over rows: on a CPU several times faster than colour by colour.
        mean, std = (torch.tensor(x, device=crops.device).repeat(self.size) for x in (self.mean, self.std))
        rows = crops.flatten(2).float()
        torch.addcmul(-mean / std, rows, 1 / (255 * std), out=rows)
        return rows.view(crops.shape).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class ClipModel:
    """A loaded CLIP: open_clip's module, length of its vectors, preprocessing, and which file its weights came from."""

    module: Any
    dim: int
    preprocessing: Preprocessing
    quick_gelu: bool
    make_tokenizer: Callable[[], Tokenizer]
    weights: Mapping[str, Any] = field(default_factory=dict)
