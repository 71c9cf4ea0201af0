"""Refinement inside likely cells by training photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from geolib.cells.quadtree import Partition
from geolib.common.arrays import Vectors, as_tensor, as_vectors
from geolib.decoding import decode_points
from geolib.retrieve import _GALLERY_ROWS, _QUERIES, IntArray, NearestNeighbour, Posterior, _unit_length
from geolib.sphere import FloatArray, check_lat_lon, geoscore, haversine_km


def refine(
    posterior: Posterior,
    vectors: Vectors,
    gallery: NearestNeighbour,
    tree: Partition,
    *,
    share: float = 0.95,
    weight: float = 0.02,
) -> tuple[FloatArray, FloatArray]:
    """The place of the best training photo inside the likely cells: (lat, lon) in degrees, float64 (n,).

    The likely cells are the fewest that hold `share` of the posterior (n, n_finest); the best photo in them has the
    greatest similarity + weight * log p(cell). weight 0 takes the most similar, a large one stays in the likeliest
    cell; `fit_weight` finds what suits. Cells without a photo in `gallery` do not count.

    Raises `ValueError` for a share outside (0, 1], a negative weight, a posterior that does not fit tree and vectors,
    and rows without any probability where the gallery has photos.
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

    The mass is the softmax of (similarity + weight * log p(cell)) / temperature over the best `photos` photos (or all
    there are), so `refine` takes its largest; a photo in a cell without probability gets 0. weight None: each cell
    keeps its probability and deals it out to its photos by the softmax of similarity / temperature among them, so that
    looks do not choose between cells; the mass is scaled to sum 1 over the best, too. The places are points that
    `geolib.decoding.decode_points` decodes: `decode_points(mass, gallery.lat[rows], gallery.lon[rows], "geoscore")`.
    `fit_photo_posterior` finds weight and temperature. Raises as `refine` does, and for a temperature <= 0.
    """
    if not temperature > 0 or photos < 1:
        raise ValueError(f"temperature={temperature}, photos={photos}: expected above 0, and at least 1")
    scores, photo = _best_photos(posterior, vectors, gallery, tree, photos, 1.0, weight, temperature)
    return photo, _softmax(scores / temperature)


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

    Of equals the first. The photos must be neither in the gallery nor in the test set.
    """

    def score(options: dict[str, float]) -> float:
        at = refine(posterior, vectors, gallery, tree, **options)
        return float(geoscore(haversine_km(*at, *check_lat_lon(lat, lon))).mean())

    return max(({"share": share, "weight": weight} for share in shares for weight in weights), key=score)


def fit_photo_posterior(
    posterior: Posterior,
    vectors: Vectors,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    gallery: NearestNeighbour,
    tree: Partition,
    rule: str = "geoscore",
    *,
    photos: int = 64,
    weights: Sequence[float | None] = (None, 0.0, 0.0125, 0.025, 0.05, 0.1),
    temperatures: Sequence[float] = (0.025, 0.05, 0.1),
) -> dict[str, float | None]:
    """The `weight` and `temperature` of `photo_posterior` with the best mean GeoScore, decoded by `rule`.

    As `fit_weight`. Each pair costs a search of the gallery.
    """
    lat, lon = check_lat_lon(lat, lon)
    found: dict[tuple[float | None, float], float] = {}
    for pair in product(weights, temperatures):
        rows, mass = photo_posterior(
            posterior, vectors, gallery, tree, photos=photos, weight=pair[0], temperature=pair[1]
        )
        at = decode_points(mass, gallery.lat[rows], gallery.lon[rows], rule)
        found[pair] = float(geoscore(haversine_km(*at, lat, lon)).mean())
    best = max(found, key=lambda pair: found[pair])
    return {"weight": best[0], "temperature": best[1]}


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
    """The best `k` photos (or all) by similarity + weight * log p(cell): scores, -inf outside, and rows, (n, k).

    weight None: similarity + temperature * (log p(cell) - the log of the sum of exp(similarity / temperature) in it).
    """
    if not 0 < share <= 1 or not (weight is None or 0 <= weight < np.inf):
        raise ValueError(f"share={share}, weight={weight}: expected above 0 and at most 1, and not negative")
    cells = torch.from_numpy(tree.assign(gallery.lat, gallery.lon)[:, -1]).to(gallery.vectors.device)
    scores, photos = [], []
    for queries, mass in _pairs(posterior, vectors, gallery, cells, tree):
        if weight is None:
            bias = temperature * (mass.log() - _log_sums(queries, gallery, cells, mass.shape[1], temperature))
        else:
            bias = weight * mass.log()
        bias = torch.where(_likeliest(mass, share), bias, -torch.inf)

        def score(similarity: Tensor, rows: slice, bias: Tensor = bias) -> Tensor:
            return similarity + bias[:, cells[rows]]

        best = gallery._search(queries, k, score)
        scores.append(best[0].cpu())
        photos.append(best[1].cpu())
    return torch.cat(scores).numpy(), torch.cat(photos).numpy()


def _pairs(
    posterior: Posterior, vectors: Vectors, gallery: NearestNeighbour, cells: Tensor, tree: Partition
) -> Iterator[tuple[Tensor, Tensor]]:
    """Blocks of queries (q, dim) with their posterior (q, n_finest), zero in cells without a gallery photo, sum 1."""
    queries = _unit_length(as_vectors(vectors, dim=gallery.vectors.shape[1], name="query vectors"))
    rows = as_tensor(posterior)
    if tuple(rows.shape) != (len(queries), tree.n_cells[-1]):
        expected = (len(queries), tree.n_cells[-1])
        raise ValueError(f"posterior {tuple(rows.shape)}: expected {expected}, a row a query, a column a finest cell")
    filled = torch.bincount(cells, minlength=tree.n_cells[-1]) > 0
    for start in range(0, len(queries), _QUERIES):
        mass = rows[start : start + _QUERIES].to(cells.device).float() * filled
        total = mass.sum(dim=1, keepdim=True)
        if not bool(((mass.amin(dim=1, keepdim=True) >= 0) & (total > 0) & (total < torch.inf)).all()):
            raise ValueError(
                f"posterior rows {start} to {start + len(mass) - 1}: expected finite numbers >= 0, and in each row one "
                "above 0 in a cell that has a gallery photo; is the gallery that of the tree's training photos?"
            )
        yield queries[start : start + _QUERIES].to(cells.device).float(), mass / total


def _likeliest(mass: Tensor, share: float) -> Tensor:
    """Which cells are in the smallest set that holds `share` of each row, bool (q, n_finest)."""
    ordered, order = mass.sort(dim=1, descending=True, stable=True)
    rest = ordered.flip(1).cumsum(dim=1).flip(1)  # from the smallest on: at share 1 rounding loses no unlikely cell
    inside = (rest > 1 - share) & (ordered > 0)
    inside[:, 0] = True
    return torch.zeros_like(inside).scatter_(1, order, inside)


def _log_sums(queries: Tensor, gallery: NearestNeighbour, cells: Tensor, n: int, temperature: float) -> Tensor:
    """Log of the sum of exp(similarity / temperature) over the photos of each of `n` cells, float32 (q, n)."""
    sums = torch.zeros(n, len(queries), dtype=torch.float64, device=queries.device)
    for start in range(0, len(cells), _GALLERY_ROWS):
        rows = slice(start, start + _GALLERY_ROWS)
        similarity = gallery.vectors[rows].float() @ queries.T
        sums.index_add_(0, cells[rows], ((similarity.double() - 1) / temperature).exp())  # at most 1: no overflow
    return (sums.clamp_min(1e-300).log() + 1 / temperature).T.float()


def _softmax(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return torch.from_numpy(scores).softmax(dim=1).numpy()
