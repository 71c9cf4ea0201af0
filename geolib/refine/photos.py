"""Refine an answer by training photos inside the likely cells: they look like the query, and their places are exact.

A classifier can answer no finer than a cell. `refine` takes the best training photo in the likely cells,
`photo_posterior` weighs all of them, `prototypes.refine_prototypes` is PIGEON's way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geolib.cells.nested import IntArray, Partition
from geolib.common.arrays import Vectors, as_tensor
from geolib.decoding import decode_points
from geolib.retrieve import NearestNeighbour, Posterior
from geolib.sphere import FloatArray, check_lat_lon, geoscore, haversine_km

QUERY_ROWS = 256  # queries per block; with a posterior over 50,000 cells each, 51 MB


def refine(
    posterior: Posterior,
    vectors: Vectors,
    gallery: NearestNeighbour,
    tree: Partition,
    *,
    share: float = 0.95,
    weight: float = 0.02,
) -> tuple[FloatArray, FloatArray]:
    """The place of the best training photo inside the likely cells: (lat, lon) in degrees, float64 (n,) each.

    The likely cells are the fewest that hold `share` of the posterior (n, n_finest), which may have any scale. The best
    photo in them has the greatest similarity + weight * log p(cell): 0 takes the most similar photo, a large weight
    stays in the likeliest cell. `fit_weight` finds share and weight. Cells without a photo in `gallery` do not count.
    Raises `ValueError` for a share outside (0, 1], a negative weight, a posterior that does not fit tree and vectors
    (n, dim), and rows without any probability where the gallery has photos.

    >>> from geolib.cells import GeocellTree
    >>> lat, lon = [50.0, 51.0, -30.0, -31.0], [9.0, 9.0, 140.0, 140.0]
    >>> tree, gallery = GeocellTree.fit(lat, lon, (2,), min_photos=2), NearestNeighbour(np.eye(4), lat, lon)
    >>> refine(np.array([[0.01, 0.99]]), np.array([[0.0, 0.6, 0.8, 0.0]]), gallery, tree)  # cell 1 is in the north
    (array([51.]), array([9.]))
    """
    _, photo = _best_photos(posterior, vectors, gallery, tree, 1, share, weight)
    return gallery.lat[photo[:, 0]], gallery.lon[photo[:, 0]]


def photo_posterior(
    posterior: Posterior,
    vectors: Vectors,
    gallery: NearestNeighbour,
    tree: Partition,
    *,
    photos: int = 64,
    weight: float | None = 0.025,
    temperature: float = 0.05,
) -> tuple[IntArray, npt.NDArray[np.float32]]:
    """The posterior over cells, made one over training photos: rows of `gallery` and masses, (n, photos), best first.

    The mass is the softmax of (similarity + weight * log p(cell)) / temperature over the best `photos` photos. With
    weight None, each cell keeps its probability and divides it between its photos by the softmax of similarity /
    temperature. `fit_photo_posterior` finds weight and temperature. Arguments and errors are those of `refine`. Decode
    the result with `decode_points(mass, gallery.lat[rows], gallery.lon[rows], "geoscore")`.
    """
    if not temperature > 0 or photos < 1:
        raise ValueError(f"temperature={temperature}, photos={photos}: expected above 0, and at least 1")
    scores, rows = _best_photos(posterior, vectors, gallery, tree, photos, 1.0, weight, temperature)
    return rows, torch.from_numpy(scores / temperature).softmax(dim=1).numpy()


def fit_weight(
    posterior: Posterior,
    vectors: Vectors,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    gallery: NearestNeighbour,
    tree: Partition,
    *,
    shares: Sequence[float] = (0.5, 0.9, 0.95, 0.99),
    weights: Sequence[float] = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2),
) -> dict[str, float]:
    """The `share` and `weight` of `refine` with the best mean GeoScore on calibration photos at `lat`, `lon`.

    Of equally good ones the first. The photos must be neither in the gallery nor in the test set.
    """

    def score(options: dict[str, float]) -> float:
        return _mean_score(refine(posterior, vectors, gallery, tree, **options), lat, lon)

    return max(({"share": share, "weight": weight} for share, weight in product(shares, weights)), key=score)


def fit_photo_posterior(
    posterior: Posterior,
    vectors: Vectors,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    gallery: NearestNeighbour,
    tree: Partition,
    *,
    weights: Sequence[float | None] = (None, 0.0, 0.0125, 0.025, 0.05, 0.1),
    temperatures: Sequence[float] = (0.025, 0.05, 0.1),
) -> dict[str, float | None]:
    """The `weight` and `temperature` of `photo_posterior`, as `fit_weight`, where `decode_points` answers."""

    def score(options: dict[str, float | None]) -> float:
        rows, mass = photo_posterior(posterior, vectors, gallery, tree, **options)  # type: ignore[arg-type]
        return _mean_score(decode_points(mass, gallery.lat[rows], gallery.lon[rows], "geoscore"), lat, lon)

    return max(({"weight": weight, "temperature": heat} for weight, heat in product(weights, temperatures)), key=score)


def _mean_score(answers: tuple[FloatArray, FloatArray], lat: npt.ArrayLike, lon: npt.ArrayLike) -> float:
    return float(geoscore(haversine_km(*answers, *check_lat_lon(lat, lon))).mean())


def _best_photos(
    posterior: Posterior,
    vectors: Vectors,
    gallery: NearestNeighbour,
    tree: Partition,
    k: int,
    share: float,
    weight: float | None,
    temperature: float = 1.0,
) -> tuple[npt.NDArray[np.float32], IntArray]:
    """The best `k` photos (or all) by similarity + weight * log p(cell): scores, -inf outside, and rows, (n, k) each.

    weight None: similarity + temperature * (log p(cell) - the log of the sum of exp(similarity / temperature) in it).
    """
    if not 0 < share <= 1 or not (weight is None or 0 <= weight < np.inf):
        raise ValueError(f"share={share}, weight={weight}: expected above 0 and at most 1, and not negative")
    cells = torch.from_numpy(tree.assign(gallery.lat, gallery.lon)[:, -1]).to(gallery.vectors.device)
    found = []
    for queries, mass in query_blocks(posterior, vectors, gallery, cells, tree):
        if weight is None:
            bias = temperature * (mass.log() - _log_sums(queries, gallery, cells, mass.shape[1], temperature))
        else:
            bias = weight * mass.log()
        bias = torch.where(_likeliest(mass, share), bias, -torch.inf)

        def score(similarity: Tensor, rows: slice, bias: Tensor = bias) -> Tensor:
            return similarity + bias[:, cells[rows]]

        found.append(gallery.search(queries, k, score))
    scores, photos = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
    return scores, photos


def query_blocks(
    posterior: Posterior, vectors: Vectors, gallery: NearestNeighbour, cells: Tensor, tree: Partition
) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of queries (q, dim) with their posterior (q, n_finest): sum 1, and 0 in cells without a gallery photo.

    cells: the finest cell of each gallery photo, (n,). Raises `ValueError` as `refine` does.
    """
    queries, rows = gallery.check_queries(vectors), as_tensor(posterior)
    shape, expected = tuple(rows.shape), (len(queries), tree.n_cells[-1])
    if shape != expected:
        raise ValueError(f"posterior {shape}: expected {expected}, one row per query, one column per finest cell")
    filled = torch.bincount(cells, minlength=tree.n_cells[-1]) > 0
    for start in range(0, len(queries), QUERY_ROWS):
        mass = rows[start : start + QUERY_ROWS].to(cells.device).float() * filled
        total = mass.sum(dim=1, keepdim=True)
        if not bool((mass >= 0).all() and ((total > 0) & (total < torch.inf)).all()):
            raise ValueError(
                f"posterior rows {start} to {start + len(mass) - 1}: expected finite numbers >= 0, and in each row one "
                "above 0 in a cell that has a gallery photo; is the gallery that of the tree's training photos?"
            )
        yield queries[start : start + QUERY_ROWS].to(cells.device).float(), mass / total


def _likeliest(mass: Tensor, share: float) -> Tensor:
    """Which cells are in the smallest set that holds `share` of each row, bool (q, n_finest)."""
    ordered, order = mass.sort(dim=1, descending=True, stable=True)
    rest = ordered.flip(1).cumsum(dim=1).flip(1)  # from the smallest on: with share 1 no unlikely cell is rounded away
    inside = (rest > 1 - share) & (ordered > 0)
    inside[:, 0] = True
    return torch.zeros_like(inside).scatter_(1, order, inside)


def _log_sums(queries: Tensor, gallery: NearestNeighbour, cells: Tensor, n: int, temperature: float) -> Tensor:
    """Log of the sum of exp(similarity / temperature) over the photos of each of `n` cells, float32 (q, n)."""
    sums = torch.zeros(n, len(queries), dtype=torch.float64, device=queries.device)
    for rows, vectors in gallery.blocks():
        similarity = (vectors @ queries.T).double()
        sums.index_add_(0, cells[rows], ((similarity - 1) / temperature).exp())  # similarity <= 1: no overflow
    return (sums.clamp_min(1e-300).log() + 1 / temperature).T.float()
