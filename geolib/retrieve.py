"""Training photos looked up: the baselines that print beside every result, and refinement inside likely cells.

A classifier can answer no finer than a cell. Its training photos have exact places, so among those in the likely cells
the ones that look like the query say where in the cell it is. `refine` takes the best of them, `photo_posterior` weighs
them all, `refine_prototypes` is PIGEON's way (Haas et al., CVPR 2024, section 3.4).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from geolib.cells import Partition
from geolib.countries import country_of
from geolib.decode import decode, decode_points
from geolib.embed import Encoder
from geolib.heads import Vectors, as_tensor, as_vectors
from geolib.images import Failure, ImageSource, answer_each
from geolib.sphere import EARTH_RADIUS_KM, FloatArray, check_lat_lon, geoscore, haversine_km, to_lat_lon, unit_vectors

IntArray = npt.NDArray[np.int64]
Posterior = npt.NDArray[Any] | Tensor

_GALLERY_ROWS = 65_536  # similarities of a block of queries to so many gallery photos are held at a time
_QUERIES = 256  # with a posterior over 50,000 cells each, 51 MB
_KEPT_KM = 1000.0  # PIGEON: a refined point farther away than this is not believed


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
    `geolib.decode.decode_points` decodes: `decode_points(mass, gallery.lat[rows], gallery.lon[rows], "geoscore")`.
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


def near_duplicates(
    vectors: Vectors,
    others: Vectors,
    threshold: float = 0.99,
    *,
    ids: Sequence[str] | None = None,
    other_ids: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Pairs of two sets of unit vectors, (n, dim) and (m, dim), as similar as `threshold` or more, the most so first.

    A frame with `photo`, `other` (rows, or ids where they are given) and `similarity`. Across the splits of a dataset
    such pairs are answers that were seen in training. Raises `ValueError` for a threshold outside (-1, 1] and vectors
    that are not of unit length.
    """
    if not -1 < threshold <= 1:
        raise ValueError(f"threshold={threshold}: expected a cosine similarity, above -1 and at most 1")
    first = _unit_length(as_vectors(vectors, None if ids is None else len(ids)))
    second = _unit_length(as_vectors(others, None if other_ids is None else len(other_ids), first.shape[1], "others"))
    found = []
    for i in range(0, len(first), _QUERIES):
        queries = first[i : i + _QUERIES].to(second.device).float()
        for j in range(0, len(second), _GALLERY_ROWS):
            similarity = queries @ second[j : j + _GALLERY_ROWS].float().T
            rows, columns = (similarity >= threshold).nonzero(as_tuple=True)
            found.append([(rows + i).cpu(), (columns + j).cpu(), similarity[rows, columns].cpu()])
    photo, other, similar = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    order = np.lexsort((other, photo, -similar))
    names = [
        rows[order] if known is None else [known[row] for row in rows[order]]
        for rows, known in ((photo, ids), (other, other_ids))
    ]
    return pd.DataFrame({"photo": names[0], "other": names[1], "similarity": similar[order]})


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
