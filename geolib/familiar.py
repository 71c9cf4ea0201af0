"""Is this picture like the training photos? A model answers any picture, a page of text as readily as a street.

Its probabilities do not show that it only guesses: they compare places with each other. The distance of the picture's
embedding to the training embeddings does.
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

NEIGHBOURS = 10  # the distance is the mean to so many; 1 to 20 tell photographs from postcards about equally well
PERCENTILE = 99  # of the calibration photos: a picture farther away than these is unfamiliar
MAX_PHOTOS = 20_000  # reference photos kept, and calibration photos measured
_PAIRED, _PARTNERS = 2_000, 5  # so many references, and so many neighbours of each, show how neighbours differ
_RIDGE = 0.01  # of the mean variance, added to each: a direction in which neighbours hardly differ would be all noise
_MIN_VARIANCE = 1e-8  # added, too: no scale above 10,000, so that unit vectors stay within the range of float16
_ROWS = 1024  # distances of so many pictures to all references are held at a time
_KINDS = {"references": ("float16", 2), "centre": ("float32", 1), "scale": ("float32", 2), "threshold": ("float64", 1)}


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Distances to the training embeddings, and the distance above which a picture is unfamiliar. Made by `fit`.

    The distance of a picture is the mean Euclidean distance to its 10 nearest training photos. Each direction of the
    embedding is measured in units of how much neighbouring training photos differ in it, so 1 is about the distance
    between neighbours. Plain cosine distance sees less: it depends on the few directions in which training photos
    differ most, while a picture of another kind differs in those in which they hardly do. It is no proof: many cropped,
    noisy or mirrored postcards count as familiar, and a familiar picture may still be placed wrongly.

    Attributes
    ----------
    references, centre, scale : (m, dim), (dim,), (dim, dim)
        Training photos, as (x - centre) @ scale.
    threshold : float or None
        The 99th percentile of the distances of calibration photos.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> train, calibration = rng.normal(size=(500, 4)), rng.normal(size=(200, 4))
    >>> familiarity = Familiarity.fit(train, calibration)
    >>> familiarity.familiar(np.array([[0.0, 0.0, 0.0, 0.0], [9.0, 9.0, 9.0, 9.0]]))
    array([ True, False])
    """

    references: npt.NDArray[np.float16] = field(repr=False)
    centre: npt.NDArray[np.float32] = field(repr=False)
    scale: npt.NDArray[np.float32] = field(repr=False)
    threshold: float | None

    @classmethod
    def fit(cls, vectors: Vectors, calibration: Vectors | None = None, seed: int = 0) -> Familiarity:
        """Learn the measure from training photos (n, dim), and the threshold from calibration photos (m, dim).

        calibration: photos of other photographers and regions. With fewer than 100, the percentile lies between the two
        farthest. seed: draws 20,000 references from more photos; the order of fewer photos does not matter.

        Raises `ValueError` for vectors that are not (n, dim) and finite.
        """
        rng = np.random.default_rng(seed)
        train = _sample(as_vectors(vectors), MAX_PHOTOS, rng)
        centre = train.mean(dim=0)
        centred = train - centre
        scale = _scale(_differences(centred, rng))
        measure = (centred @ scale).half().numpy(), centre.numpy(), scale.numpy()
        if calibration is None:
            return cls(*measure, None)
        held_out = _sample(as_vectors(calibration, dim=len(centre), name="calibration vectors"), MAX_PHOTOS, rng)
        return cls(*measure, float(np.percentile(cls(*measure, None).distance(held_out), PERCENTILE)))

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
        near = [torch.cdist(part, references).topk(k, largest=False).values for part in measured]
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
        """Read what `save` wrote; `dim` is the length of the embeddings that it must be for.

        Raises `MissingDataError`, `CorruptFileError` for other content, and `MismatchError` for another length.
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


def _differences(vectors: Tensor, rng: np.random.Generator) -> Tensor:
    """Differences (pairs, dim) between vectors (n, dim), or some of them, and their nearest others."""
    some = _sample(vectors, _PAIRED, rng)
    k = min(_PARTNERS + 1, len(vectors))  # the nearest one is the photo itself
    differences = []
    for part in torch.split(some, _ROWS):
        near = torch.cdist(part, vectors).topk(k, largest=False).indices[:, 1:]
        differences.append(vectors[near] - part[:, None])
    return torch.cat(differences).flatten(0, 1)


def _scale(differences: Tensor) -> Tensor:
    """The matrix (dim, dim) that gives differences (n, dim) of neighbours the same spread in all directions.

    Known as relevant component analysis (Bar-Hillel et al., JMLR 2005), each photo's neighbourhood being a class.
    """
    x = differences.double()
    variance, axes = torch.linalg.eigh(x.T @ x / max(len(x), 1))
    variance = variance.clamp(min=0) + _RIDGE * variance.mean().clamp(min=0) + _MIN_VARIANCE
    scale: Tensor = axes / variance.sqrt()
    return scale.float().contiguous()  # row by row, as in files: the last bits depend on it


def _fault(arrays: dict[str, npt.NDArray[Any]]) -> str:
    """What is wrong with the content of a file; `""` if nothing."""
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
