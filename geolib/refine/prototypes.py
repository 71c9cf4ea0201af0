"""PIGEON's refinement (Haas et al., CVPR 2024, section 3.4): clusters of training photos inside the likely cells."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from geolib.cells.nested import IntArray, Partition, rows_by
from geolib.common.arrays import Vectors
from geolib.decoding import decode
from geolib.refine.photos import query_blocks
from geolib.retrieve import NearestNeighbour, Posterior
from geolib.sphere import FloatArray, haversine_km, to_lat_lon, unit_vectors

# Both values are the defaults of PIGEON's code (github.com/LukasHaas/PIGEON, models/proto_refiner.py).
_TEMPERATURE = 1.6
_LIMIT_KM = 1000.0  # a refined point farther away than this is not believed


class Prototypes(NamedTuple):
    """Clusters of training photos inside finest cells, made by `cell_prototypes`."""

    gallery: NearestNeighbour  # the mean embedding of each cluster, scaled to unit length, at the mean of its places
    cells: IntArray  # the finest cell of each cluster, (n,)


def cell_prototypes(gallery: NearestNeighbour, tree: Partition, photos: int = 5, seed: int = 0) -> Prototypes:
    """Cluster the photos of each finest cell by place, about `photos` per cluster, with k-means.

    PIGEON clusters with OPTICS, which leaves out what it calls noise; in a cell of 20 photos that is most of them.
    `seed` draws the first means. Raises `ValueError` for `photos` < 1.

    >>> from geolib.cells import GeocellTree
    >>> lat, lon = [50.0, 50.1, 52.0, 52.1], [9.0, 9.0, 9.0, 9.0]
    >>> tree = GeocellTree.fit(lat, lon, (1,))
    >>> cell_prototypes(NearestNeighbour(np.eye(4), lat, lon), tree, photos=2).gallery.lat.round(2)
    array([50.05, 52.05])
    """
    if photos < 1:
        raise ValueError(f"photos={photos}: expected at least 1 per cluster")
    rng, units = np.random.default_rng(seed), unit_vectors(gallery.lat, gallery.lon)
    cells = tree.assign(gallery.lat, gallery.lon)[:, -1]
    means, places, owners = [], [], []
    for rows in rows_by(cells):
        labels = _clusters(units[rows], max(1, len(rows) // photos), rng)
        looks = gallery.vectors[torch.from_numpy(rows).to(gallery.vectors.device)].float().cpu().numpy()
        for cluster in rows_by(labels):
            means.append(looks[cluster].mean(axis=0))
            places.append(units[rows[cluster]].sum(axis=0))
            owners.append(cells[rows[0]])
    vectors = torch.nn.functional.normalize(torch.from_numpy(np.stack(means)), dim=1)
    made = NearestNeighbour(vectors.to(gallery.vectors.device), *to_lat_lon(np.stack(places)))
    return Prototypes(made, np.array(owners, dtype=np.int64))


def refine_prototypes(
    posterior: Posterior, vectors: Vectors, prototypes: Prototypes, tree: Partition, *, cells: int = 5
) -> tuple[FloatArray, FloatArray]:
    """The place of the best prototype in the likeliest `cells`: (lat, lon) in degrees, float64 (n,) each.

    The best prototype has the greatest p(cell) * exp(-distance / 1.6), with the distance between embeddings. If it is
    over 1,000 km from the centre of the likeliest cell, the answer is that centre. Arguments and errors are those of
    `refine`; `cells` < 1 is an error, too.
    """
    if cells < 1:
        raise ValueError(f"cells={cells}: expected at least 1")
    gallery, best = prototypes.gallery, []
    owner = torch.from_numpy(prototypes.cells).to(gallery.vectors.device)
    for queries, mass in query_blocks(posterior, vectors, gallery, owner, tree):
        kept = torch.zeros_like(mass, dtype=torch.bool)
        kept.scatter_(1, mass.topk(min(cells, mass.shape[1]), dim=1).indices, True)
        bias = torch.where(kept, mass.log(), -torch.inf)

        def score(similarity: Tensor, rows: slice, bias: Tensor = bias) -> Tensor:
            return bias[:, owner[rows]] - (2 - 2 * similarity).clamp_min(0).sqrt() / _TEMPERATURE

        best.append(gallery.search(queries, 1, score)[1][:, 0])
    row = torch.cat(best).cpu().numpy()
    lat, lon = decode(posterior, tree)
    near = haversine_km(lat, lon, gallery.lat[row], gallery.lon[row]) <= _LIMIT_KM
    return np.where(near, gallery.lat[row], lat), np.where(near, gallery.lon[row], lon)


def _clusters(units: FloatArray, k: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Labels (n,) of at most `k` clusters; photos of one place always share theirs."""
    places, which = np.unique(units, axis=0, return_inverse=True)
    k = min(k, len(places))
    if k == 1:
        return np.zeros(len(units), np.intp)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of the clusters is empty")  # then there is one fewer
        centred = places - places.mean(axis=0)  # k-means in full precision, however small the cell
        labels = kmeans2(centred, k, minit="++", seed=rng)[1]
    return np.asarray(labels[which.ravel()], dtype=np.intp)
