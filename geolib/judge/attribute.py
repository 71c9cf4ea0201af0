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

FloatMap = npt.NDArray[np.float64]  # (size, size), one value per pixel
Crop = npt.NDArray[np.uint8]  # (size, size, 3): what the encoder sees, as `encoder.preprocessing.crop` returns it


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
    logits = heads(vectors.to(device))[level]
    share: Tensor = logits.log_softmax(dim=1)[:, torch.from_numpy(chosen).to(device)].logsumexp(dim=1)
    return share


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
    """How far `log_share` falls when a part of the image is covered by its mean colour.

    The cover is a square of `side` times the image's side; `overlap` squares cover a pixel in each direction, and its
    value is their mean fall. Positive: the image speaks for the cells there. Negative: against them.
    """
    size = _checked(model.encoder, crop)
    step = max(1, round(side * size / overlap))
    width = step * overlap
    starts = np.arange(step - width, size, step)
    squares = [
        (slice(max(top, 0), top + width), slice(max(left, 0), left + width)) for top in starts for left in starts
    ]
    mean_colour = crop.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    total, times = np.zeros((size, size)), np.zeros((size, size))
    with torch.inference_mode():
        whole = float(log_share(model, _normalised(model.encoder, crop[None]), cells, level)[0])
        for first in range(0, len(squares), batch_size):
            part = squares[first : first + batch_size]
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
    """How much each pixel adds to `log_share` on the straight line from a baseline to the image.

    The default baseline is the image blurred until only its colours are left. The integral is taken in `steps` steps by
    the midpoint rule. The map sums to the difference of the two scores (*completeness*), up to the step size. Raises
    `MismatchError` for a baseline of another shape, `ValueError` for `steps` < 1.
    """
    size = _checked(model.encoder, crop)
    if steps < 1:
        raise ValueError(f"steps={steps}: expected at least 1")
    origin = blurred(crop) if baseline is None else baseline
    if origin.shape != crop.shape:
        raise MismatchError(f"baseline {origin.shape}: expected the image's {crop.shape}")
    start, end = (_normalised(model.encoder, each[None]) for each in (origin, crop))
    slope = torch.zeros_like(end)
    for shares in torch.split((torch.arange(steps, device=end.device) + 0.5) / steps, 16):
        between = torch.lerp(start, end, shares[:, None, None, None])
        slope += _slope(model, between, cells, level).sum(dim=0, keepdim=True) / steps
    added: FloatMap = ((end - start) * slope)[0].sum(dim=0).cpu().numpy().astype(np.float64)
    return added.reshape(size, size)


def blurred(crop: Crop, share: float = 1 / 12) -> Crop:
    """An image blurred by a Gaussian whose sigma is a share of its side."""
    sigma = share * len(crop)
    return np.stack([gaussian_filter(crop[..., c].astype(np.float32), sigma) for c in range(3)], -1).astype(np.uint8)


def smooth(values: FloatMap, pixels: float = 3.0) -> FloatMap:
    """A map blurred by a few pixels, so that it can be read; its sum stays the same except at the border.

    >>> values = np.zeros((9, 9))
    >>> values[4, 4] = 1
    >>> int(smooth(values, 1.0).argmax())
    40
    """
    spread: FloatMap = gaussian_filter(values, pixels)
    return spread


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


def changed(crop: Crop, other: Crop, at_least: int = 24) -> npt.NDArray[np.bool_]:
    """Where two images differ by `at_least` of 255 in some colour, bool (h, w)."""
    if crop.shape != other.shape:
        raise MismatchError(f"images of {crop.shape} and {other.shape}: expected the same shape")
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
    """Side of a crop in pixels; refuses what this encoder does not see."""
    size = encoder.image_size
    if not isinstance(crop, np.ndarray) or crop.dtype != np.uint8 or crop.shape != (size, size, 3):
        given = f"{crop.dtype} {crop.shape}" if isinstance(crop, np.ndarray) else type(crop).__name__
        raise MismatchError(
            f"an image of {given}: expected uint8 ({size}, {size}, 3), as encoder.preprocessing.crop(picture) returns"
        )
    return size


def _normalised(encoder: Encoder, crops: Crop) -> Tensor:
    return encoder.preprocessing.normalise(torch.from_numpy(crops.copy()).to(encoder.device))


def _slope(model: Geolocator, inputs: Tensor, cells: npt.ArrayLike, level: int) -> Tensor:
    """Gradient of each input's `log_share`."""
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(log_share(model, inputs, cells, level).sum(), inputs)
    return slope
