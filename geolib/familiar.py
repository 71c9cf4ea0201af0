"""Whether a picture is like those that a model was trained on: its distance to the training embeddings.

A model answers any picture, a page of text as readily as a street. What it was never shown it can only guess, and its
own probabilities do not say so: they compare places with each other. The distance to what it was shown does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geolib.common.arrays import Vectors, as_vectors
from geolib.common.errors import CorruptFileError, MismatchError
from geolib.common.files import read_tensors, write_tensors

NEIGHBOURS = 10  # whose mean distance counts; 1 to 20 tell photographs from postcards about equally well
PERCENTILE = 99  # of the calibration photos: what is farther away than these is unfamiliar
_MOST = 20_000  # reference photos kept, and calibration photos measured
_PAIRED, _PARTNERS = 2_000, 5  # reference photos, and neighbours of each, that show how neighbours differ
_RIDGE = 0.01  # of the mean variance, added to each: a direction in which no neighbours differ is no measure
_LEAST = 1e-8  # added too: no scale above 10,000, so that unit vectors are measured within the range of float16
_KINDS = {"references": ("float16", 2), "centre": ("float32", 1), "scale": ("float32", 2), "threshold": ("float64", 1)}
_ROWS = 1024  # distances of so many photos to all references are held at a time


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Distances to the training embeddings, and the distance from which on a picture is unfamiliar. Made by `fit`.

    A picture's distance is the mean Euclidean distance to its 10 nearest training photos, each direction of the
    embedding measured in what it differs between a training photo and its nearest others, root mean square over the
    directions. 1 is thus about as far as neighbours are from each other, in any embedding. Plain cosine distance sees
    less: it is ruled by the few directions in which training photos differ most, while a picture of another kind
    leaves them along directions in which they hardly differ at all.

    It is no proof. An encoder keeps what it was trained to tell apart, and a picture of another kind may have as much
    of that as a training photo. The postcards' encoder was also shown other drawn and spoilt pictures
    (`postcards.others`); with it all of 29 photographs and 96 % of 232 crops from them were unfamiliar when this was
    written, as were 1 to 2 % of test postcards. Of mirrored postcards it was 13 %, and of cropped or noisy ones less
    than half. And a familiar picture may still be placed wrongly.

    threshold: the 99th percentile of the distances of calibration photos; None when there were none.
    references: training photos, (m, dim), in the measure of `scale`; a seeded random 20,000 of them if there are more.
    centre, scale: a vector x (dim,) is measured as (x - centre) @ scale, (dim, dim).
    """

    references: npt.NDArray[np.float16] = field(repr=False)
    centre: npt.NDArray[np.float32] = field(repr=False)
    scale: npt.NDArray[np.float32] = field(repr=False)
    threshold: float | None

    @classmethod
    def fit(cls, vectors: Vectors, calibration: Vectors | None = None, seed: int = 0) -> Familiarity:
        """Learn the measure from training photos (n, dim), the threshold from calibration photos (m, dim).

        calibration: embeddings of other photographers and regions, or nothing is known about new ones. With fewer than
            100 of them the percentile lies between the two farthest.
        seed: draws the references; up to 20,000 photos all are kept, and the order of the photos does not matter.

        Raises `ValueError` for vectors that are not (n, dim) and finite.
        """
        rng = np.random.default_rng(seed)
        train = _sample(as_vectors(vectors), _MOST, rng)
        centre = train.mean(dim=0)
        centred = train - centre
        scale = _scale(_differences(centred, rng))
        references = (centred @ scale).half()
        made = cls(references.numpy(), centre.numpy(), scale.numpy(), None)
        if calibration is None:
            return made
        held_out = _sample(as_vectors(calibration, dim=len(centre), name="calibration vectors"), _MOST, rng)
        threshold = float(np.percentile(made.distance(held_out), PERCENTILE))
        return cls(made.references, made.centre, made.scale, threshold)

    @property
    def dim(self) -> int:
        """Length of the embeddings."""
        return len(self.centre)

    def distance(self, vectors: Vectors) -> npt.NDArray[np.float64]:
        """Distance of embeddings (n, dim) to the training embeddings, (n,): 1 is usual between neighbours.

        Raises `ValueError` for vectors that are not (n, dim) and finite.
        """
        queries = as_vectors(vectors, dim=self.dim).float().cpu() - torch.from_numpy(self.centre)
        references = torch.from_numpy(self.references).float()
        k = min(NEIGHBOURS, len(references))
        measured = torch.split(queries @ torch.from_numpy(self.scale), _ROWS)
        near = [_nearest(part, references, k)[0] for part in measured]
        mean: npt.NDArray[np.float64] = torch.cat(near).double().mean(dim=1).numpy() / np.sqrt(self.dim)
        return mean

    def familiar(self, vectors: Vectors) -> npt.NDArray[np.bool_] | None:
        """Which of the embeddings (n, dim) are no farther away than the threshold, (n,); None without a threshold."""
        return None if self.threshold is None else self.distance(vectors) <= self.threshold

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all of it as one safetensors file."""
        arrays: dict[str, npt.NDArray[Any]] = {name: getattr(self, name) for name in _KINDS}
        arrays["threshold"] = np.array([] if self.threshold is None else [self.threshold], dtype=np.float64)
        write_tensors(path, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], dim: int | None = None) -> Familiarity:
        """Read what `save` wrote.

        dim: length of the embeddings that it must be for. Raises `MissingDataError`, `CorruptFileError` for other
        content, `MismatchError` for another length.
        """
        arrays = read_tensors(path)
        if fault := _fault(arrays):
            raise CorruptFileError(f"{path} does not hold a familiarity: {fault}; restore it, or fit and save it again")
        threshold = arrays.pop("threshold")
        made = cls(**arrays, threshold=float(threshold[0]) if len(threshold) else None)
        if dim not in (None, made.dim):
            raise MismatchError(f"{path} is for embeddings of {made.dim} numbers, not {dim}: fit the model again")
        return made


def _sample(vectors: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """At most so many of the rows, drawn at random, float32 on the CPU."""
    if len(vectors) > most:
        vectors = vectors[torch.from_numpy(np.sort(rng.choice(len(vectors), most, replace=False)))]
    return vectors.float().cpu()


def _nearest(queries: Tensor, references: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Euclidean distance and index of the `k` nearest references (m, dim) of each query (n, dim): (n, k) each."""
    near = torch.cdist(queries, references).topk(k, dim=1, largest=False)
    return near.values, near.indices


def _differences(vectors: Tensor, rng: np.random.Generator) -> Tensor:
    """Differences (pairs, dim) of vectors (n, dim) to their nearest others; a random part of them when n is large."""
    some = _sample(vectors, _PAIRED, rng)
    k = min(_PARTNERS + 1, len(vectors))  # the nearest one is the photo itself
    near = [vectors[_nearest(part, vectors, k)[1][:, 1:]] - part[:, None] for part in torch.split(some, _ROWS)]
    return torch.cat(near).flatten(0, 1)


def _scale(differences: Tensor) -> Tensor:
    """The matrix (dim, dim) that gives differences (n, dim) of neighbours the same spread in all directions.

    Known as within-class whitening or relevant component analysis (Bar-Hillel et al., JMLR 2005), each photo's
    neighbourhood being a class.
    """
    x = differences.double()
    variance, axes = torch.linalg.eigh(x.T @ x / max(len(x), 1))
    scale: Tensor = axes / (variance.clamp(min=0) + _RIDGE * variance.mean().clamp(min=0) + _LEAST).sqrt()
    return scale.float().contiguous()  # eigh gives columns; files hold rows, and the last bit would differ


def _fault(arrays: dict[str, npt.NDArray[Any]]) -> str:
    """What is wrong with the content of a file; "" if nothing."""
    if arrays.keys() != _KINDS.keys():
        return f"it holds {', '.join(sorted(arrays)) or 'nothing'}, expected {', '.join(sorted(_KINDS))}"
    for name, (dtype, ndim) in _KINDS.items():
        if (str(arrays[name].dtype), arrays[name].ndim) != (dtype, ndim) or not np.isfinite(arrays[name]).all():
            return f"{name} is {arrays[name].dtype} {arrays[name].shape}, expected finite {dtype} of {ndim} dimensions"
    dim = len(arrays["centre"])
    shapes = (arrays["references"].shape[1], *arrays["scale"].shape)
    if set(shapes) != {dim} or not arrays["references"].size or len(arrays["threshold"]) > 1:
        shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        return f"its shapes do not fit together, {shown}"
    return ""
