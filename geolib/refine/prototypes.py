"""Prototypes inside cells, as PIGEON has them."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from geolib.cells.quadtree import Partition
from geolib.common.arrays import Vectors
from geolib.decoding import decode
from geolib.refine.photos import _pairs
from geolib.retrieve import IntArray, NearestNeighbour, Posterior
from geolib.sphere import FloatArray, haversine_km, to_lat_lon, unit_vectors

_KEPT_KM = 1000.0  # PIGEON: a refined point farther away than this is not believed


class Prototypes(NamedTuple):
    """Clusters of training photos inside finest cells, made by `cell_prototypes`.

    gallery: the mean embedding of each cluster, scaled to unit length, at the spherical mean of its places.
    cells: the finest cell of each, int64 (n,).
    """

    gallery: NearestNeighbour
    cells: IntArray


def cell_prototypes(gallery: NearestNeighbour, tree: Partition, photos: int = 5, seed: int = 0) -> Prototypes:
    """Cluster the photos of each finest cell by place, about `photos` to a cluster.

    By k-means on the unit vectors of the places. PIGEON has OPTICS, which leaves out what it calls noise; in a cell of
    20 photos that is most of them. `seed` draws the first means. Raises `ValueError` for `photos` < 1.
    """
    if photos < 1:
        raise ValueError(f"photos={photos}: expected at least 1 to a cluster")
    rng, units = np.random.default_rng(seed), unit_vectors(gallery.lat, gallery.lon)
    cells = tree.assign(gallery.lat, gallery.lon)[:, -1]
    order = np.argsort(cells, kind="stable")
    means, places, owners = [], [], []
    for rows in np.split(order, np.flatnonzero(np.diff(cells[order])) + 1):
        labels = _clusters(units[rows], max(1, len(rows) // photos), rng)
        looks = gallery.vectors[torch.from_numpy(rows).to(gallery.vectors.device)].float().cpu().numpy()
        for label in np.unique(labels):
            means.append(looks[labels == label].mean(axis=0))
            places.append(units[rows][labels == label].sum(axis=0))
            owners.append(cells[rows[0]])
    vectors = torch.nn.functional.normalize(torch.from_numpy(np.stack(means)), dim=1)
    made = NearestNeighbour(vectors.to(gallery.vectors.device), *to_lat_lon(np.stack(places)))
    return Prototypes(made, np.array(owners, dtype=np.int64))


def refine_prototypes(
    posterior: Posterior,
    vectors: Vectors,
    prototypes: Prototypes,
    tree: Partition,
    *,
    cells: int = 5,
    temperature: float = 1.6,
) -> tuple[FloatArray, FloatArray]:
    """The place of the best prototype in the likeliest `cells`, (lat, lon) in degrees: PIGEON's refinement.

    The best has the greatest p(cell) * exp(-distance / temperature), the distance being between embeddings. Where it
    is over 1,000 km from the centre of the likeliest cell, the answer is that centre. Raises `ValueError` as `refine`
    does, for `cells` < 1 and a temperature <= 0.
    """
    if cells < 1 or not temperature > 0:
        raise ValueError(f"cells={cells}, temperature={temperature}: expected at least 1, and above 0")
    owner, gallery = torch.from_numpy(prototypes.cells).to(prototypes.gallery.vectors.device), prototypes.gallery
    best = []
    for queries, mass in _pairs(posterior, vectors, gallery, owner, tree):
        kept = torch.zeros_like(mass, dtype=torch.bool)
        kept.scatter_(1, mass.topk(min(cells, mass.shape[1]), dim=1).indices, True)
        bias = torch.where(kept, mass.log(), -torch.inf)

        def score(similarity: Tensor, rows: slice, bias: Tensor = bias) -> Tensor:
            return bias[:, owner[rows]] - (2 - 2 * similarity).clamp_min(0).sqrt() / temperature

        best.append(gallery._search(queries, 1, score)[1][:, 0])
    row = torch.cat(best).cpu().numpy()
    lat, lon = decode(posterior, tree)
    near = haversine_km(lat, lon, gallery.lat[row], gallery.lon[row]) <= _KEPT_KM
    return np.where(near, gallery.lat[row], lat), np.where(near, gallery.lon[row], lon)


def _clusters(units: FloatArray, k: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Labels (n,) of at most `k` clusters; photos of one place always share theirs."""
    places, which = np.unique(units, axis=0, return_inverse=True)
    k = min(k, len(places))
    if k == 1:
        return np.zeros(len(units), np.intp)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of the clusters is empty")  # then there is one fewer
        spread = places - places.mean(axis=0)  # k-means in full precision, however small the cell
        labels = kmeans2(spread, k, minit="++", seed=rng)[1]
    return np.asarray(labels[which.ravel()], dtype=np.intp)
