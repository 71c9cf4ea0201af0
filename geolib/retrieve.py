"""Training photos looked up: the baselines that print beside every result, and refinement inside likely cells.

A classifier can answer no finer than a cell. Its training photos have exact places, so among those in the likely cells
the ones that look like the query say where in the cell it is. `refine` takes the best of them, `photo_posterior` weighs
them all, `refine_prototypes` is PIGEON's way (Haas et al., CVPR 2024, section 3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from geolib.cells.quadtree import Partition
from geolib.common.arrays import Vectors, as_vectors
from geolib.countries import country_of
from geolib.encoder import Encoder
from geolib.images import Failure, ImageSource, answer_each
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, geoscore, unit_vectors

IntArray = npt.NDArray[np.int64]
Posterior = npt.NDArray[Any] | Tensor
_GALLERY_ROWS = 65_536  # similarities of a block of queries to so many gallery photos are held at a time
_QUERIES = 256  # with a posterior over 50,000 cells each, 51 MB


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Where the gallery photos that look most like one picture were taken.

    lat, lon: of the most similar, degrees.
    top: the most similar, best first: `lat`, `lon`, `similarity` (cosine), `photo` (its row in the gallery, or its id),
        `country` (ISO A3).
    """

    lat: float
    lon: float
    top: pd.DataFrame = field(repr=False)


class NearestNeighbour:
    """Exact nearest neighbours by cosine similarity: "it was taken where the most similar training photo was".

    vectors: unit-length embeddings (n, dim) of the gallery, numpy or torch; searched where a tensor lies. They are
        never copied: an `np.memmap`, float16 too, stays on disk, and is read and converted a block at a time.
    lat, lon: degrees, (n,).  ids: of the photos, (n,), for `Neighbours.top`.
    encoder: what made the vectors, for `predict`.
    """

    def __init__(
        self,
        vectors: Vectors,
        lat: npt.ArrayLike,
        lon: npt.ArrayLike,
        *,
        ids: Sequence[str] | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.lat, self.lon = check_lat_lon(lat, lon)
        dim = None if encoder is None else encoder.dim
        self.vectors = _unit_length(as_vectors(vectors, len(self.lat), dim, name="gallery vectors"))
        if ids is not None and len(ids) != len(self.lat):
            raise ValueError(f"{len(ids)} ids for {len(self.lat)} photos: expected one each")
        self.ids, self.encoder = ids, encoder

    def top_k(
        self, vectors: Vectors, k: int, block: int = 1024
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """The `k` most similar gallery photos of each query (m, dim): similarity and index, each (m, k), best first.

        The gallery is read once a block of queries, and never more than block x 65,536 similarities are held.
        """
        if not 1 <= k <= len(self.vectors) or block < 1:
            raise ValueError(f"k={k}, block={block}: expected k from 1 to {len(self.vectors)} photos, block at least 1")
        queries = _unit_length(as_vectors(vectors, dim=self.vectors.shape[1], name="query vectors"))
        found = [self._search(part.to(self.vectors.device).float(), k) for part in torch.split(queries, block)]
        return torch.cat([near[0] for near in found]).cpu().numpy(), torch.cat(
            [near[1] for near in found]
        ).cpu().numpy()

    def predict_vectors(self, vectors: Vectors, block: int = 1024) -> tuple[FloatArray, FloatArray]:
        """Coordinates (lat, lon) of each query's nearest gallery photo, float64 (m,)."""
        nearest = self.top_k(vectors, 1, block)[1][:, 0]
        return self.lat[nearest], self.lon[nearest]

    def predict(self, image: ImageSource, top_k: int = 5) -> Neighbours:
        """The `top_k` gallery photos most like a picture. Raises `ImageError`, and `ValueError` without an encoder."""
        if self.encoder is None:
            raise ValueError("this gallery has no encoder to see pictures with: give it one, or use predict_vectors")
        (similarity,), (photo,) = self.top_k(self.encoder.embed_images([image]), top_k)
        lat, lon = self.lat[photo], self.lon[photo]
        names = photo if self.ids is None else [self.ids[row] for row in photo]
        top = pd.DataFrame({"lat": lat, "lon": lon, "similarity": similarity, "photo": names})
        top["country"] = country_of(lat, lon)
        top.index = pd.RangeIndex(1, top_k + 1, name="rank")
        return Neighbours(float(lat[0]), float(lon[0]), top)

    def predict_many(self, images: Sequence[ImageSource], top_k: int = 5) -> list[Neighbours | Failure]:
        """One answer an image, in order; an image that cannot be read gives a `Failure` in its place."""
        return answer_each(lambda image: self.predict(image, top_k), images)

    def _search(
        self, queries: Tensor, k: int, score: Callable[[Tensor, slice], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """The best `k` by similarity, or by what `score` makes of the similarities (q, rows) to a slice of rows."""
        best = (
            queries.new_empty(len(queries), 0),
            torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device),
        )
        for start in range(0, len(self.vectors), _GALLERY_ROWS):
            rows = slice(start, start + _GALLERY_ROWS)
            similarity = queries @ self.vectors[rows].float().T
            scores = similarity if score is None else score(similarity, rows)
            here = scores.topk(min(k, scores.shape[1]), dim=1)
            both = torch.cat([best[0], here.values], dim=1), torch.cat([best[1], here.indices + start], dim=1)
            values, order = both[0].topk(min(k, both[0].shape[1]), dim=1)
            best = values, both[1].gather(1, order)
        return best


def constant_guess(
    lat: npt.ArrayLike, lon: npt.ArrayLike, *, candidates: int = 1000, points: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The best single answer to every photo: the training photo (lat, lon) with the highest mean GeoScore to all.

    The point of least mean distance would lie between the continents, near nobody; the GeoScore rewards being near
    many. Exact for up to `candidates` photos; else `candidates` are scored on `points`, both drawn from `seed`.
    """
    lat, lon = check_lat_lon(lat, lon)
    order = np.random.default_rng(seed).permutation(len(lat))
    tried, scored = order[:candidates], order[:points]
    units = unit_vectors(lat, lon)  # arccos is off by up to 0.1 km near 0, which no mean score shows
    cosines = (np.clip(units[scored] @ units[i], -1, 1) for i in tried)
    best = tried[int(np.argmax([geoscore(EARTH_RADIUS_KM * np.arccos(cosine)).mean() for cosine in cosines]))]
    return float(lat[best]), float(lon[best])


def prior(tree: Partition) -> npt.NDArray[np.float32]:
    """Share of the training photos in each finest cell, float32 (n_finest,): the posterior before seeing a photo."""
    counts = tree.counts(-1).astype(np.float64)
    return np.asarray(counts / counts.sum(), dtype=np.float32)


def _unit_length(vectors: Tensor) -> Tensor:
    """Refuse vectors that are not unit-length: their dot product is not a cosine, and long ones would always win."""
    for start in range(0, len(vectors), _GALLERY_ROWS):
        lengths = torch.linalg.vector_norm(vectors[start : start + _GALLERY_ROWS].float(), dim=1)
        if not ((lengths - 1).abs() < 1e-2).all():
            row = start + int((lengths - 1).abs().argmax())
            raise ValueError(
                f"row {row} has length {lengths[row - start]:.4g}, expected 1: divide each row by its norm"
            )
    return vectors
