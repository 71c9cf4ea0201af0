"""Baselines: the most similar training photo, the best constant answer ("prior" in tables), the share of each cell.

They need no training and are printed beside every result. `geolib.refine` uses the same search inside likely cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geolib.cells.nested import IntArray, Partition
from geolib.common.arrays import Vectors, as_vectors
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, geoscore, unit_vectors

Posterior = npt.NDArray[Any] | Tensor
Score = Callable[[Tensor, slice], Tensor]


class NearestNeighbour:
    """Exact nearest neighbours by cosine similarity: "it was taken where the most similar training photo was taken".

    The gallery's embeddings, `vectors` (n, dim), are of numpy or torch; the search runs where a tensor lies. They are
    never copied: an `np.memmap`, also of float16, stays on disk, and is read and converted in blocks. Raises
    `ValueError` unless they are finite and of unit length, and `lat`, `lon` are (n,) degrees.

    >>> gallery = NearestNeighbour(np.eye(3), lat=[48.9, 52.5, -33.9], lon=[2.4, 13.4, 151.2])
    >>> gallery.predict_vectors(np.array([[0.0, 0.6, 0.8]]))
    (array([-33.9]), array([151.2]))
    """

    gallery_rows = 65_536  # photos per block of the gallery
    query_rows = 1024  # queries per block; query_rows x gallery_rows similarities are held at a time

    def __init__(self, vectors: Vectors, lat: npt.ArrayLike, lon: npt.ArrayLike) -> None:
        self.lat, self.lon = check_lat_lon(lat, lon)
        self.vectors = check_unit_length(as_vectors(vectors, len(self.lat), name="gallery vectors"))

    def top_k(self, vectors: Vectors, k: int) -> tuple[npt.NDArray[np.float32], IntArray]:
        """Cosine similarity and row of the `k` most similar gallery photos per query (m, dim): (m, k) each, best first.

        Raises `ValueError` for queries that the gallery would refuse as vectors, and for k outside 1 to n.
        """
        if not 1 <= k <= len(self.vectors):
            raise ValueError(f"k={k}: expected from 1 to {len(self.vectors)}, the photos of the gallery")
        queries = self.check_queries(vectors)
        found = [self.search(part.to(self.vectors.device).float(), k) for part in torch.split(queries, self.query_rows)]
        similarity, photo = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
        return similarity, photo

    def predict_vectors(self, vectors: Vectors) -> tuple[FloatArray, FloatArray]:
        """Coordinates (lat, lon) in degrees of the nearest gallery photo per query (m, dim), float64 (m,) each."""
        nearest = self.top_k(vectors, 1)[1][:, 0]
        return self.lat[nearest], self.lon[nearest]

    def check_queries(self, vectors: Vectors) -> Tensor:
        """Embeddings (m, dim) as a tensor. Raises `ValueError` unless they fit the gallery and have unit length."""
        return check_unit_length(as_vectors(vectors, dim=self.vectors.shape[1], name="query vectors"))

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """The gallery in blocks: rows, and their vectors as float32."""
        for start in range(0, len(self.vectors), self.gallery_rows):
            rows = slice(start, start + self.gallery_rows)
            yield rows, self.vectors[rows].float()

    def search(self, queries: Tensor, k: int, score: Score | None = None) -> tuple[Tensor, Tensor]:
        """The best `k` photos per query (m, dim), or all if there are fewer: scores and rows, (m, k) each, best first.

        score: makes scores (m, rows) of the similarities (m, rows) to a slice of rows; by default they are the scores.
        """
        scores = queries.new_empty(len(queries), 0)
        photos = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
        for rows, vectors in self.blocks():
            similarity = queries @ vectors.T
            block = similarity if score is None else score(similarity, rows)
            best = block.topk(min(k, block.shape[1]), dim=1)
            both = torch.cat([scores, best.values], dim=1), torch.cat([photos, best.indices + rows.start], dim=1)
            scores, order = both[0].topk(min(k, both[0].shape[1]), dim=1)
            photos = both[1].gather(1, order)
        return scores, photos


def check_unit_length(vectors: Tensor) -> Tensor:
    """The vectors (n, dim). Raises `ValueError` unless all have length 1: only then are their products cosines."""
    for start in range(0, len(vectors), NearestNeighbour.gallery_rows):
        lengths = torch.linalg.vector_norm(vectors[start : start + NearestNeighbour.gallery_rows].float(), dim=1)
        if not ((lengths - 1).abs() < 1e-2).all():
            row = int((lengths - 1).abs().argmax())
            raise ValueError(
                f"row {start + row} has length {lengths[row]:.4g}, expected 1: divide each row by its norm"
            )
    return vectors


def constant_guess(lat: npt.ArrayLike, lon: npt.ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """The best single answer to every photo: the training photo (lat, lon) with the highest mean GeoScore to all.

    The point of least mean distance would lie between the continents, near nobody; the GeoScore rewards being near
    many. Exact for up to 1,000 photos (n,) in degrees; of more, 1,000 drawn at random are scored on 10,000.

    >>> constant_guess([48, 49, 50, -34], [2, 2, 2, 151])
    (49.0, 2.0)
    """
    lat, lon = check_lat_lon(lat, lon)
    order = np.random.default_rng(seed).permutation(len(lat))
    tried, scored = order[:1000], order[:10_000]
    units = unit_vectors(lat, lon)  # arccos is off by up to 0.1 km near 0, which no mean score shows
    cosines = (np.clip(units[scored] @ units[i], -1, 1) for i in tried)
    best = tried[int(np.argmax([geoscore(EARTH_RADIUS_KM * np.arccos(cosine)).mean() for cosine in cosines]))]
    return float(lat[best]), float(lon[best])


def prior(tree: Partition) -> npt.NDArray[np.float32]:
    """Share of the training photos in each finest cell, float32 (n_finest,): the posterior before seeing a photo.

    >>> from geolib.cells import GeocellTree
    >>> prior(GeocellTree.fit([50, 51, 52, -30], [9, 10, 11, 140], (2,), min_photos=1))
    array([0.25, 0.75], dtype=float32)
    """
    counts = tree.counts(-1).astype(np.float64)
    return np.asarray(counts / counts.sum(), dtype=np.float32)
