"""Attribution: which part of an image speaks for a place.

The score to explain is `log_share`: the log of the probability that a head gives to a set of cells, such as those of a
country. `occlusion` (Zeiler & Fergus, ECCV 2014) covers the image piece by piece. `gradients` and
`integrated_gradients` (Sundararajan, Taly & Yan, ICML 2017) follow the score backward through heads and encoder. A map
is a claim about the model and has to be tested: `rank_accuracy` and `mass_accuracy` (Arras, Osman & Samek, Information
Fusion 2022) compare it with a region that is known to matter; `randomised` gives an encoder that has learnt nothing,
whose maps should look different (Adebayo et al., NeurIPS 2018).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

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

FloatMap = npt.NDArray[np.float64]  # (size, size), one value per pixel
Crop = npt.NDArray[np.uint8]  # (size, size, 3): what the encoder sees, as `encoder.preprocessing.crop` returns it
_BATCH = 64  # covered images per call of the encoder


def log_share(model: Geolocator, inputs: Tensor, cells: npt.ArrayLike, level: int = -1) -> Tensor:
    """Log of the probability that a head gives to a set of cells, (n,); differentiable in `inputs`.

    `inputs` are float32 (n, 3, size, size) as `Preprocessing.normalise` returns them, `cells` indices of cells of
    `level`. Their softmax of the head alone is summed, without fusion. Raises `ValueError` for other indices, or none.
    """
    heads, encoder = model.heads, model.encoder
    chosen, count = np.unique(np.asarray(cells)), heads.n_cells[level]
    if not len(chosen) or chosen.dtype.kind not in "iu" or chosen[0] < 0 or chosen[-1] >= count:
        raise ValueError(f"cells of level {level}: expected some whole numbers from 0 to {count - 1}")
    # Not `encoder.forward`: it keeps no gradient, and on some devices it computes in 16 bits.
    vectors = F.normalize(encoder.model.encode_image(inputs.to(encoder.device)).float(), dim=-1)
    device = next(heads.parameters()).device
    logits: Tensor = heads(vectors.to(device))[level]
    return logits.log_softmax(dim=1)[:, torch.from_numpy(chosen).to(device)].logsumexp(dim=1)


def occlusion(
    model: Geolocator, crop: Crop, cells: npt.ArrayLike, level: int = -1, *, side: float = 1 / 6, overlap: int = 3
) -> FloatMap:
    """How far `log_share` falls when a part of the image is covered by its mean colour.

    The cover is a square of `side` times the image's side; `overlap` squares cover a pixel in each direction, and its
    value is their mean fall. Positive: the image speaks for the cells there. Negative: against them.
    """
    inputs, size = _inputs(model.encoder, crop), len(crop)
    step = max(1, round(side * size / overlap))
    width = step * overlap
    starts = np.arange(step - width, size, step)
    sides = [slice(max(start, 0), start + width) for start in starts]
    squares = [(rows, columns) for rows in sides for columns in sides]
    mean_colour = crop.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    total, times = np.zeros((size, size)), np.zeros((size, size))
    with torch.inference_mode():
        whole = float(log_share(model, inputs, cells, level)[0])
        for first in range(0, len(squares), _BATCH):
            part = squares[first : first + _BATCH]
            covered = np.repeat(crop[None], len(part), axis=0)
            for image, square in zip(covered, part, strict=True):
                image[square] = mean_colour
            scores = log_share(model, _normalised(model.encoder, covered), cells, level).cpu().numpy()
            for score, square in zip(scores, part, strict=True):
                total[square] += whole - score
                times[square] += 1
    return total / times


def gradients(model: Geolocator, crop: Crop, cells: npt.ArrayLike, level: int = -1) -> FloatMap:
    """Length of the gradient of `log_share` at each pixel: where a small change would matter most."""
    slope = _slope(model, _inputs(model.encoder, crop), cells, level)
    return np.asarray(slope[0].norm(dim=0).cpu(), np.float64)


def integrated_gradients(
    model: Geolocator,
    crop: Crop,
    cells: npt.ArrayLike,
    level: int = -1,
    *,
    baseline: Crop | None = None,
    steps: int = 32,
) -> FloatMap:
    """How much each pixel adds to `log_share` on the straight line from a baseline to the image.

    The default baseline is the image blurred until only its colours are left. The integral is taken in `steps` steps by
    the midpoint rule. The map sums to the difference of the two scores (*completeness*), up to the step size.
    """
    end = _inputs(model.encoder, crop)
    start = _inputs(model.encoder, blurred(crop) if baseline is None else baseline)
    slope = torch.zeros_like(end)
    for shares in torch.split((torch.arange(steps, device=end.device) + 0.5) / steps, 16):
        between = torch.lerp(start, end, shares[:, None, None, None])
        slope += _slope(model, between, cells, level).sum(dim=0, keepdim=True) / steps
    return np.asarray(((end - start) * slope)[0].sum(dim=0).cpu(), np.float64)


def blurred(crop: Crop) -> Crop:
    """An image blurred by a Gaussian whose sigma is a twelfth of its side."""
    sigma = len(crop) / 12
    return np.asarray(gaussian_filter(crop.astype(np.float32), (sigma, sigma, 0)), np.uint8)


def smooth(values: FloatMap) -> FloatMap:
    """A map blurred by three pixels, so that it can be read; its sum stays the same except at the border."""
    return np.asarray(gaussian_filter(values, 3.0))


def randomised(encoder: Encoder, seed: int = 0) -> Encoder:
    """The same network without what it has learnt: the values of each weight tensor are shuffled."""
    other = copy.copy(encoder)
    other.model = copy.deepcopy(encoder.model)
    other.__dict__.pop("fingerprint", None)  # cached, of the old weights
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in other.model.visual.parameters():
            order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
            tensor.copy_(tensor.flatten()[order].view_as(tensor))
    return other


def rank_accuracy(values: npt.ArrayLike, region: npt.ArrayLike) -> float:
    """Share of the K highest pixels of a map (h, w) that lie in a region, bool (h, w), of K pixels.

    1 is a hit; the region's share of the image is chance. Ties are broken by position.

    >>> rank_accuracy([[3, 2], [1, 0]], [[True, False], [True, False]])
    0.5
    """
    flat, inside = _map_and_region(values, region)
    highest = np.argsort(-flat, kind="stable")[: inside.sum()]
    return float(inside[highest].mean())


def mass_accuracy(values: npt.ArrayLike, region: npt.ArrayLike) -> float:
    """Share of the sum of a map's positive values (h, w) that lies in a region, bool (h, w); 0 if none is positive.

    >>> mass_accuracy([[3, 2], [1, -4]], [[True, False], [False, True]])
    0.5
    """
    flat, inside = _map_and_region(values, region)
    positive = flat.clip(0)
    return float(positive[inside].sum() / positive.sum()) if positive.any() else 0.0


def changed(crop: Crop, other: Crop) -> npt.NDArray[np.bool_]:
    """Where two images of the same shape differ by at least 24 of 255 in some colour, bool (h, w)."""
    return np.asarray(np.abs(crop.astype(np.int16) - other).max(axis=-1) >= 24)


def _map_and_region(values: npt.ArrayLike, region: npt.ArrayLike) -> tuple[FloatMap, npt.NDArray[np.bool_]]:
    given, inside = np.asarray(values, np.float64), np.asarray(region, bool)
    if given.shape != inside.shape or not inside.any() or not np.isfinite(given).all():
        raise ValueError(
            f"a map {given.shape} and a region {inside.shape} of {inside.sum()} pixels: expected one shape, finite "
            "values, and a region that is not empty"
        )
    return given.ravel(), inside.ravel()


def _inputs(encoder: Encoder, crop: Crop) -> Tensor:
    """One crop as the network takes it; refuses what this encoder does not see."""
    size, dtype = encoder.image_size, getattr(crop, "dtype", type(crop).__name__)
    if dtype != np.uint8 or crop.shape != (size, size, 3):
        raise MismatchError(
            f"an image of {dtype} {np.shape(crop)}: expected uint8 ({size}, {size}, 3), as "
            "encoder.preprocessing.crop(picture) returns"
        )
    return _normalised(encoder, crop[None])


def _normalised(encoder: Encoder, crops: Crop) -> Tensor:
    return encoder.preprocessing.normalise(torch.from_numpy(crops.copy()).to(encoder.device))


def _slope(model: Geolocator, inputs: Tensor, cells: npt.ArrayLike, level: int) -> Tensor:
    """Gradient of each input's `log_share`."""
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(log_share(model, inputs, cells, level).sum(), inputs)
    return slope
