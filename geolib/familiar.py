"""Is this picture like the training photos?

A model answers any picture, even a page of text, and its probabilities do not show that it guesses: they only compare
places with each other. The distance of the picture's embedding to the training embeddings does show it.
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

Array = npt.NDArray[Any]
NEIGHBOURS = 10  # nearest photos per distance; with 1 to 20, photographs and postcards are told apart equally well
PERCENTILE = 99  # the threshold is this percentile of the calibration photos' distances: 1 in 100 of them is above
MAX_PHOTOS = 20_000  # reference photos kept, and calibration photos measured
_PAIRED, _PARTNERS = 2_000, 5  # photos, and neighbours of each, that are compared to learn how neighbours differ
_RIDGE = 0.01  # of the mean variance, added to each: a direction in which neighbours hardly differ would be all noise
_MIN_VARIANCE = 1e-8  # also added: no scale above 10,000, so that unit vectors stay within the range of float16
_ROWS = 1024  # pictures whose distances to all references are held at a time
_KINDS = {"references": ("float16", 2), "centre": ("float32", 1), "scale": ("float32", 2), "threshold": ("float64", 1)}


@dataclass(frozen=True, eq=False)
class Familiarity:
    """Distances to the training embeddings, and the distance above which a picture is unfamiliar. Made by `fit`.

    The distance of a picture is the mean Euclidean distance to its 10 nearest training photos, over sqrt(dim). Before,
    each direction is divided by how much neighbouring training photos differ in it: 1 is about their own distance.
    Cosine distance detects less: it depends on the directions in which training photos differ most, while
    a picture of another kind differs in those in which they hardly do. The measure is no proof: many cropped, noisy or
    mirrored postcards count as familiar, and a familiar picture may still be placed wrongly.

    references, centre, scale : (m, dim), (dim,), (dim, dim); the references are (training photos - centre) @ scale.
    threshold : the 99th percentile of the distances of calibration photos; None without such photos.

    >>> train, calibration = np.random.default_rng(0).normal(size=(2, 500, 4))
    >>> familiarity = Familiarity.fit(train, calibration)
    >>> familiarity.distance(np.array([[0.0] * 4, [9.0] * 4])) <= familiarity.threshold
    array([ True, False])
    """

    references: npt.NDArray[np.float16] = field(repr=False)
    centre: npt.NDArray[np.float32] = field(repr=False)
    scale: npt.NDArray[np.float32] = field(repr=False)
    threshold: float | None

    @classmethod
    def fit(cls, vectors: Vectors, calibration: Vectors | None = None, seed: int = 0) -> Familiarity:
        """Learn the measure from training photos (n, dim), and the threshold from calibration photos (m, dim).

        Calibration photos are by other photographers. `seed` draws 20,000 references from more photos.
        Raises `ValueError` for vectors that are not (n, dim) and finite.
        """
        rng = np.random.default_rng(seed)
        train = _sample(as_vectors(vectors), MAX_PHOTOS, rng)
        centre = train.mean(dim=0)
        centred = train - centre
        scale = _scale(centred, rng)
        measure = (centred @ scale).half().numpy(), centre.numpy(), scale.numpy()
        if calibration is None:
            return cls(*measure, None)
        held_out = _sample(as_vectors(calibration, dim=len(centre), name="calibration vectors"), MAX_PHOTOS, rng)
        return cls(*measure, float(np.percentile(cls(*measure, None).distance(held_out), PERCENTILE)))

    def distance(self, vectors: Vectors) -> npt.NDArray[np.float64]:
        """Distance of embeddings (n, dim) to the training embeddings, (n,). Raises `ValueError` as `fit` does."""
        dim = len(self.centre)
        queries = as_vectors(vectors, dim=dim).float().cpu() - torch.from_numpy(self.centre)
        references = torch.from_numpy(self.references).float()
        k = min(NEIGHBOURS, len(references))
        measured = torch.split(queries @ torch.from_numpy(self.scale), _ROWS)
        near = [torch.cdist(part, references).topk(k, largest=False).values for part in measured]
        mean: npt.NDArray[np.float64] = torch.cat(near).double().mean(dim=1).numpy() / np.sqrt(dim)
        return mean

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file."""
        threshold = np.array([] if self.threshold is None else [self.threshold], dtype=np.float64)
        write_tensors(path, {name: getattr(self, name) for name in _KINDS} | {"threshold": threshold})

    @classmethod
    def load(cls, path: str | os.PathLike[str], dim: int | None = None) -> Familiarity:
        """Read what `save` wrote; `dim` is the expected length of the embeddings.

        Raises `MissingDataError`, `CorruptFileError` for other content, and `MismatchError` for another length.
        """
        arrays = read_tensors(path)
        kinds = {name: (str(array.dtype), array.ndim) for name, array in arrays.items()}
        if kinds != _KINDS or not _fit_together(**arrays):
            found = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.items())
            raise CorruptFileError(
                f"{path} does not hold a familiarity: {found}; expected finite references (m, dim), centre (dim,), "
                "scale (dim, dim) and at most one threshold; restore it, or fit and save it again"
            )
        threshold = float(arrays["threshold"][0]) if len(arrays["threshold"]) else None
        made = cls(arrays["references"], arrays["centre"], arrays["scale"], threshold)
        if dim not in (None, len(made.centre)):
            raise MismatchError(
                f"{path} is for embeddings of {len(made.centre)} numbers, not {dim}: fit the model again"
            )
        return made


def _fit_together(references: Array, centre: Array, scale: Array, threshold: Array) -> bool:
    finite = all(np.isfinite(array).all() for array in (references, centre, scale, threshold))
    shapes = {references.shape[1], *scale.shape} == {len(centre)}
    return finite and shapes and len(references) > 0 and len(threshold) <= 1


def _sample(vectors: Tensor, most: int, rng: np.random.Generator) -> Tensor:
    """At most so many of the rows, drawn at random, float32 on the CPU."""
    if len(vectors) > most:
        vectors = vectors[torch.from_numpy(np.sort(rng.choice(len(vectors), most, replace=False)))]
    return vectors.float().cpu()


def _scale(vectors: Tensor, rng: np.random.Generator) -> Tensor:
    """The matrix (dim, dim) that gives the differences of neighbours the same spread in all directions.

    Known as relevant component analysis (Bar-Hillel et al., JMLR 2005), each photo's neighbourhood being a class.
    """
    k = min(_PARTNERS + 1, len(vectors))  # the nearest one is the photo itself
    differences = []
    for part in torch.split(_sample(vectors, _PAIRED, rng), _ROWS):
        near = torch.cdist(part, vectors).topk(k, largest=False).indices[:, 1:]
        differences.append(vectors[near] - part[:, None])
    x = torch.cat(differences).flatten(0, 1).double()
    variance, axes = torch.linalg.eigh(x.T @ x / max(len(x), 1))
    variance = variance.clamp(min=0) + _RIDGE * variance.mean().clamp(min=0) + _MIN_VARIANCE
    scale: Tensor = axes / variance.sqrt()
    return scale.float().contiguous()  # row by row, as in files: the last bits depend on it
