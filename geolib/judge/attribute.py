"""Which pixels moved an answer: maps of importance over a picture, and a measure of how far they can be believed.

`log_share` is the score that is explained: the logarithm of the probability that one head gives to a set of cells, such
as those of a country. `occlusion` (Zeiler & Fergus, ECCV 2014) covers the picture piece by piece and sees what is
lost; `gradients` and `integrated_gradients` (Sundararajan, Taly & Yan, ICML 2017) follow the score backward through
heads and encoder. A map is a claim about the model, not a fact: `rank_accuracy` and `mass_accuracy` (Arras, Osman &
Samek, Information Fusion 2022) hold it against a region that is known to matter, and `randomised` gives the encoder
without what it learnt, whose maps ought to look different (Adebayo et al., NeurIPS 2018).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from geolib.common.errors import MismatchError
from geolib.encoder import Encoder

if TYPE_CHECKING:
    from geolib.predict import Geolocator

FloatMap = npt.NDArray[np.float64]
Crop = npt.NDArray[np.uint8]


def log_share(model: Geolocator, inputs: Tensor, cells: npt.ArrayLike, level: int = -1) -> Tensor:
    """Log of the probability that a head gives to a set of cells, (n,), with a gradient if `inputs` has one.

    inputs: what the encoder takes, float32 (n, 3, size, size), as `Preprocessing.normalise` makes it.
    cells: indices of cells of `level`; the head's own softmax is summed over them, without fusion.

    Raises `ValueError` for no cells or cells that are not of this level.
    """
    heads, encoder = model.heads, model.encoder
    chosen = np.unique(np.asarray(cells))
    count = heads.n_cells[level]
    if not len(chosen) or chosen.dtype.kind not in "iu" or chosen[0] < 0 or chosen[-1] >= count:
        raise ValueError(f"cells of level {level}: expected some whole numbers from 0 to {count - 1}")
    # Not `encoder.forward`: that keeps no gradient, and 16 bits, where it computes in them, are too coarse for one.
    vectors = F.normalize(encoder.model.encode_image(inputs.to(encoder.device)).float(), dim=-1)
    where = next(heads.parameters()).device
    logits = heads(vectors.to(where))[level]
    mine: Tensor = logits.log_softmax(dim=1)[:, torch.from_numpy(chosen).to(where)].logsumexp(dim=1)
    return mine


def occlusion(
    model: Geolocator,
    crop: Crop,
    cells: npt.ArrayLike,
    level: int = -1,
    *,
    side: float = 1 / 6,
    overlap: int = 3,
    batch_size: int = 64,
) -> FloatMap:
    """What each part of a picture is worth: how far `log_share` falls when it is covered by the mean colour.

    crop: the part of the picture that the encoder sees, uint8 (size, size, 3), of `Preprocessing.crop`.
    side: of the square that covers, as a share of the picture's.  overlap: squares that cover a pixel in each
        direction; a pixel's value is the mean fall of all squares that cover it.

    Returns (size, size). Positive: the picture argues for these cells there; negative: against them.
    """
    size = _checked(model.encoder, crop)
    step = max(1, round(side * size / overlap))
    width = step * overlap
    starts = np.arange(step - width, size, step)
    spots = [(top, left) for top in starts for left in starts]
    plain = crop.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    total, times = np.zeros((size, size)), np.zeros((size, size))
    with torch.inference_mode():
        whole = float(log_share(model, _normalised(model.encoder, crop[None]), cells, level)[0])
        for first in range(0, len(spots), batch_size):
            part = spots[first : first + batch_size]
            covered = np.repeat(crop[None], len(part), axis=0)
            for picture, (top, left) in zip(covered, part, strict=True):
                picture[max(top, 0) : top + width, max(left, 0) : left + width] = plain
            falls = whole - log_share(model, _normalised(model.encoder, covered), cells, level).cpu().numpy()
            for fall, (top, left) in zip(falls, part, strict=True):
                square = slice(max(top, 0), top + width), slice(max(left, 0), left + width)
                total[square] += fall
                times[square] += 1
    return total / times


def gradients(model: Geolocator, crop: Crop, cells: npt.ArrayLike, level: int = -1) -> FloatMap:
    """Length of the gradient of `log_share` at each pixel, (size, size): where a small change would matter most."""
    _checked(model.encoder, crop)
    slope = _slope(model, _normalised(model.encoder, crop[None]), cells, level)
    length: FloatMap = slope[0].norm(dim=0).cpu().numpy().astype(np.float64)
    return length


def integrated_gradients(
    model: Geolocator,
    crop: Crop,
    cells: npt.ArrayLike,
    level: int = -1,
    *,
    baseline: Crop | None = None,
    steps: int = 32,
) -> FloatMap:
    """How much each pixel adds to `log_share` on the straight way from a baseline to the picture, (size, size).

    baseline: a picture that says nothing, uint8 (size, size, 3) (default: this one, blurred until only its colours are
        left).  steps: of the integral, by the midpoint rule.

    The map sums to the difference of the scores of picture and baseline (*completeness*), up to the steps' coarseness.
    """
    size = _checked(model.encoder, crop)
    if steps < 1:
        raise ValueError(f"steps={steps}: expected at least 1")
    start = blurred(crop) if baseline is None else baseline
    if start.shape != crop.shape:
        raise MismatchError(f"baseline {start.shape}: expected the picture's {crop.shape}")
    here, there = (_normalised(model.encoder, each[None]) for each in (start, crop))
    slope = torch.zeros_like(there)
    for shares in torch.split((torch.arange(steps, device=there.device) + 0.5) / steps, 16):
        between = torch.lerp(here, there, shares[:, None, None, None])
        slope += _slope(model, between, cells, level).sum(dim=0, keepdim=True) / steps
    added: FloatMap = ((there - here) * slope)[0].sum(dim=0).cpu().numpy().astype(np.float64)
    return added.reshape(size, size)


def blurred(crop: Crop, share: float = 1 / 12) -> Crop:
    """A picture blurred by a Gaussian of so large a share of its side: what is left are its colours."""
    sigma = share * len(crop)
    return np.stack([gaussian_filter(crop[..., c].astype(np.float32), sigma) for c in range(3)], -1).astype(np.uint8)


def smooth(values: FloatMap, pixels: float = 3.0) -> FloatMap:
    """A map of single pixels, blurred so that an eye can follow it; its sum stays the same but for the rim."""
    spread: FloatMap = gaussian_filter(values, pixels)
    return spread


def randomised(encoder: Encoder, seed: int = 0) -> Encoder:
    """The same network with weights that learnt nothing: each tensor's values in another order, drawn from `seed`.

    Shuffling keeps what the values of a layer are like; which does what is lost.
    """
    other = copy.copy(encoder)
    other.model = copy.deepcopy(encoder.model)
    other.__dict__.pop("fingerprint", None)  # of the weights that it no longer has
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in other.model.visual.parameters():
            order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
            tensor.copy_(tensor.flatten()[order].view_as(tensor))
    return other


def rank_accuracy(values: npt.ArrayLike, region: npt.ArrayLike) -> float:
    """Of the K highest pixels of a map, the share that lies in a region of K pixels: 1 finds it, its area is chance.

    values: (h, w).  region: bool (h, w), with at least one pixel in it. Ties are broken by position.
    """
    flat, inside = _map_and_region(values, region)
    highest = np.argsort(-flat, kind="stable")[: inside.sum()]
    return float(inside[highest].mean())


def mass_accuracy(values: npt.ArrayLike, region: npt.ArrayLike) -> float:
    """Of a map's positive values, the share of their sum that lies in a region; 0 for a map without any."""
    flat, inside = _map_and_region(values, region)
    positive = flat.clip(0)
    return float(positive[inside].sum() / positive.sum()) if positive.any() else 0.0


def changed(crop: Crop, other: Crop, at_least: int = 24) -> npt.NDArray[np.bool_]:
    """Where two pictures differ visibly: by `at_least` of 255 in some colour, bool (h, w)."""
    if crop.shape != other.shape:
        raise MismatchError(f"pictures of {crop.shape} and {other.shape}: expected the same shape")
    difference: npt.NDArray[np.bool_] = np.abs(crop.astype(np.int16) - other).max(axis=-1) >= at_least
    return difference


def _map_and_region(values: npt.ArrayLike, region: npt.ArrayLike) -> tuple[FloatMap, npt.NDArray[np.bool_]]:
    given, inside = np.asarray(values, np.float64), np.asarray(region, bool)
    if given.shape != inside.shape or not inside.any() or not np.isfinite(given).all():
        raise ValueError(
            f"a map {given.shape} and a region {inside.shape} of {inside.sum()} pixels: expected one shape, finite "
            "values, and a region that is not empty"
        )
    return given.ravel(), inside.ravel()


def _checked(encoder: Encoder, crop: Any) -> int:
    """The side of a crop that this encoder can see."""
    size = encoder.image_size
    if not isinstance(crop, np.ndarray) or crop.dtype != np.uint8 or crop.shape != (size, size, 3):
        what = f"{crop.dtype} {crop.shape}" if isinstance(crop, np.ndarray) else type(crop).__name__
        raise MismatchError(
            f"a picture of {what}: expected uint8 ({size}, {size}, 3), as encoder.preprocessing.crop(picture) gives it"
        )
    return size


def _normalised(encoder: Encoder, crops: Crop) -> Tensor:
    return encoder.preprocessing.normalise(torch.from_numpy(crops.copy()).to(encoder.device))


def _slope(model: Geolocator, inputs: Tensor, cells: npt.ArrayLike, level: int) -> Tensor:
    """Gradient of each input's `log_share` in the input."""
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(log_share(model, inputs, cells, level).sum(), inputs)
    return slope
