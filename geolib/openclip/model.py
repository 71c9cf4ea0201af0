"""A CLIP of open_clip: its preprocessing, towers and tokenizer."""

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
_WHOLE_UP_TO = 64  # times as long as wide: up to there the whole photo is scaled, into 10 MB at most


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


@dataclass(frozen=True)
class ClipModel:
    """A loaded CLIP: open_clip's module, length of its vectors, preprocessing, and which file its weights came from."""

    module: Any
    dim: int
    preprocessing: Preprocessing
    quick_gelu: bool
    make_tokenizer: Callable[[], Tokenizer]
    weights: Mapping[str, Any] = field(default_factory=dict)
