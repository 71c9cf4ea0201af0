"""Where was this picture taken? The whole idea of geolib in one file, from embeddings to a score.

A frozen image encoder has turned every picture into a vector. Here we cut the Earth into geocells at four levels, train
a classifier for each level, let the levels vote together, and answer with the centre of the likeliest fine cell.
Read from top to bottom, then run `python minimal.py`. The folder geolib/ takes the same steps with more care.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load_file
from torch.nn.functional import cross_entropy

POSTCARDS = Path(__file__).resolve().parent / "data" / "postcards"
EARTH_RADIUS_KM = 6371.0088  # we take the Earth for a sphere: distances are wrong by at most 0.5 %
DEPTH = 24  # the quadtree halves a side at most 24 times: the smallest quadrant is 2.4 m wide at the equator
SIDE = 2**DEPTH
# All ways to divide a row of four quadrants into parts (begin, end), the preferred ones first: ties go to the earlier.
DIVISIONS = [list(pairwise((0, *cuts, 4))) for cuts in ((), (2,), (1,), (3,), (1, 3), (1, 2), (2, 3), (1, 2, 3))]


# 1. Data: what the encoder made of each picture, and where the picture is.
def load_postcards(side):
    """Embeddings (n, dim) of one side of the split ("train", "test"), with latitude and longitude (n,) in degrees."""
    shards = [load_file(path) for path in sorted(POSTCARDS.glob("embeddings/*.safetensors"))]
    ids = [name for shard in shards for name in json.loads(shard["ids"].tobytes())]
    vectors = np.concatenate([shard["vectors"] for shard in shards]).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)  # they were stored as float16, which rounds the lengths
    table = pd.read_parquet(POSTCARDS / "photos.parquet").set_index("id").loc[ids]
    rows = (table["split"] == side).to_numpy()  # no photographer is on two sides: that would be leakage
    return vectors[rows], *table.loc[rows, ["lat", "lon"]].to_numpy().T


# 2. Sphere: degrees in, kilometres out. Latitude comes first, always.
def haversine_km(lat1, lon1, lat2, lon2):
    """Great-circle distance in km between points in degrees, of any shapes that broadcast."""
    lat1, lon1, lat2, lon2 = (np.radians(degrees) for degrees in (lat1, lon1, lat2, lon2))
    h = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(h, 1)))  # rounding may lift h just above 1


def mean_points(lat, lon, cell):
    """Spherical mean of the points (n,) in each cell, (2, n_cells): unlike a mean of degrees, right at the dateline."""
    lat, lon = np.radians(lat), np.radians(lon)
    axes = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    x, y, z = (np.bincount(cell, weights=axis) for axis in axes)  # the sum of unit vectors points to their mean
    return np.degrees([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)])


# 3. Geocells: a quadtree that is fine where photos are dense. Every point on Earth is in one cell at every level.
def quadrant_keys(lat, lon):
    """One key per point, int64 (n,): a number in base 4 with one digit per depth, SW 0, SE 1, NE 2, NW 3."""
    x = ((lon + 180) / (360 / SIDE)).astype(np.int64) % SIDE  # 180 E is the same meridian as 180 W
    y = np.minimum(((lat + 90) / (180 / SIDE)).astype(np.int64), SIDE - 1)  # the North Pole joins the row below it
    # Points of one quadrant share their first digits: in sorted keys they stand side by side, and are easy to count.
    # In the order SW, SE, NE, NW a quadrant borders on the next, so that neighbours can be joined to one cell.
    return sum((2 * (y >> bit & 1) + ((x ^ y) >> bit & 1)) * 4**bit for bit in range(DEPTH))


def grow(keys, min_photos):
    """Split cells until none can be split: the keys of the cuts, and the photos in the cell that each cut divides."""
    cuts, sizes = [], []  # a cut is the key at which one cell ends and the next one starts
    # A cell holds the photos keys[first:last]. Thin quadrants join a neighbour, so a cell may be larger than the
    # quadrant that is split next. We keep both: the photos of the cell, and first key and area of its fullest quadrant.
    cells = [(0, len(keys), 0, SIDE**2)]
    while cells:
        first, last, corner, area = cells.pop()
        if last - first < 2 * min_photos or area == 1:
            continue
        corners = [corner + quadrant * area // 4 for quadrant in range(5)]
        inside = np.searchsorted(keys, corners).tolist()
        edges = [first, *inside[1:4], last]  # photos outside the quadrant stay with its first or last part
        thinnest = [min(edges[end] - edges[begin] for begin, end in parts) for parts in DIVISIONS]
        # No head can learn a class from two photos, so a thin quadrant joins its neighbour: we take the most parts of
        # at least `min_photos` photos each, and of such divisions the one whose thinnest part holds most.
        ranks = [(len(parts) if n >= min_photos else 0, n) for parts, n in zip(DIVISIONS, thinnest, strict=True)]
        parts = DIVISIONS[ranks.index(max(ranks))]
        cuts += [corners[begin] for begin, _ in parts[1:]]
        sizes += [last - first] * (len(parts) - 1)
        for begin, end in parts:
            fullest = begin + int(np.argmax(np.diff(inside[begin : end + 1])))  # the quadrant of this part to split
            cells.append((edges[begin], edges[end], corners[fullest], area // 4))
    return np.array(cuts, np.int64), np.array(sizes, np.int64)


def fit_cells(lat, lon, cells_per_level, min_photos=5):
    """Geocells of training photos (n,), per level: first keys of the cells (n_cells,), and centres (2, n_cells)."""
    keys = quadrant_keys(lat, lon)
    cuts, sizes = grow(np.sort(keys), min_photos)
    # A level splits every cell that holds at least `threshold` photos. Of all thresholds we take the one whose number
    # of cells comes closest to the target.
    thresholds = [len(keys) + 1, *np.unique(sizes)[::-1]]  # the first one splits nothing, the last one everything
    n_cells = np.array([1 + np.sum(sizes >= threshold) for threshold in thresholds])
    chosen = [thresholds[np.argmin(np.abs(n_cells - target))] for target in cells_per_level]
    # A lower threshold keeps all cuts of a higher one, so the levels nest: every cell has one parent.
    starts = [np.sort(np.append(0, cuts[sizes >= threshold])) for threshold in chosen]
    return starts, [mean_points(lat, lon, find_cells(level, keys)) for level in starts]


def find_cells(starts, keys):
    """Number of the cell that holds each key, int64 (n,): the last cell of the level whose first key is not larger."""
    return np.searchsorted(starts, keys, side="right") - 1


# 4. Heads: one linear softmax classifier per level.
def smooth_targets(lat, lon, cell, centers):
    """Target probabilities (n, n_cells) of photos in these cells (n,), by haversine smoothing."""
    # To answer with the next cell is a small error, so that cell gets a share, too: exp(-distance / scale), normalised.
    # The scale is half the distance from the photo's cell to the nearest other: short in cities, long in deserts.
    between = haversine_km(*centers[:, :, None], *centers)
    np.fill_diagonal(between, np.inf)
    km = haversine_km(lat[:, None], lon[:, None], *centers)
    return torch.softmax(torch.from_numpy(-km / (between.min(axis=1)[cell, None] / 2)).float(), dim=1)


def train_heads(vectors, lat, lon, starts, centers, seed, epochs=8, batch_size=256, lr=2e-3):
    """Train on embeddings (n, dim) of photos at lat, lon (n,). Returns a function: embeddings -> logits per level."""
    labels = [find_cells(level, quadrant_keys(lat, lon)) for level in starts]
    targets = [smooth_targets(lat, lon, *level) for level in zip(labels, centers, strict=True)]
    shares = [np.bincount(cell) / len(cell) for cell in labels]
    x, n_cells = torch.from_numpy(vectors), [len(share) for share in shares]
    mean, std = x.mean(dim=0), x.std(dim=0)  # CLIP vectors lie close together: standardised, their differences show
    # The heads stand side by side in one matrix. Before training they answer the prior: the share of each cell.
    weights = torch.zeros(x.shape[1], sum(n_cells), requires_grad=True)
    biases = torch.from_numpy(np.log(np.concatenate(shares))).float().requires_grad_()

    def heads(x):
        return ((x - mean) / std @ weights + biases).split(n_cells, dim=1)

    optimiser = torch.optim.Adam([weights, biases], lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)  # large steps first, small ones last
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(batch_size):
            losses = [cross_entropy(z, y[rows]) for z, y in zip(heads(x[rows]), targets, strict=True)]
            # Weights of the levels would change nothing: heads share no parameters, and Adam rescales gradients.
            optimiser.zero_grad()
            sum(losses).backward()
            optimiser.step()
        schedule.step()
    return heads


# 5. Fusion and decoding: from the logits of all levels to one place.
def fuse(logits, starts, top_k=5, penalty=0.3):
    """Posterior over the finest cells (n, n_finest), by the consistency filter."""
    # Coarse levels are easier. A fine cell whose ancestor is not among the `top_k` likeliest cells of a coarser level
    # is multiplied by `penalty`, once per such level. It is never removed: a coarse head can be wrong, too.
    posterior = logits[-1].softmax(dim=1)
    for z, level in zip(logits[:-1], starts[:-1], strict=True):
        likeliest = z.topk(min(top_k, z.shape[1]), dim=1).indices
        factors = torch.full_like(z, penalty).scatter(1, likeliest, 1.0)
        posterior = posterior * factors[:, find_cells(level, starts[-1])]  # cells nest: a first key finds the ancestor
    return posterior / posterior.sum(dim=1, keepdim=True)


def decode(posterior, centers):
    """Latitude and longitude, (2, n): the centre of the likeliest finest cell."""
    return centers[-1][:, posterior.argmax(dim=1).numpy()]


# 6. Score, beside two baselines that need no training.
def score(lat, lon, true_lat, true_lon):
    """Median error in km, share of the photos within 25, 200 and 750 km, and mean GeoScore (5,000 is perfect)."""
    km = haversine_km(lat, lon, true_lat, true_lon)
    return np.median(km), *((km <= limit).mean() for limit in (25, 200, 750)), 5000 * np.exp(-km / 1492.7).mean()


def main(seed=0):
    """Fit on the training postcards and print the scores on the test postcards."""
    torch.set_num_threads(1)  # the matrices are small: more threads would wait for each other
    vectors, *places = load_postcards("train")
    test_vectors, *truth = load_postcards("test")
    starts, centers = fit_cells(*places, cells_per_level=(14, 58, 242, 1000))  # about 20 photos per finest cell
    heads = train_heads(vectors, *places, starts, centers, seed)
    with torch.no_grad():
        posterior = fuse(heads(torch.from_numpy(test_vectors)), starts)
    prior = max(centers[-1].T, key=lambda center: score(*center, *places)[-1])  # the best constant guess
    nearest = (test_vectors @ vectors.T).argmax(axis=1)  # of unit vectors, the largest product is the smallest angle
    answers = {"prior": prior, "neighbour": np.array(places)[:, nearest], "geocells": decode(posterior, centers)}
    print(f"{len(vectors):,} training postcards in {', '.join(str(len(level)) for level in starts)} cells\n")
    print("             median    25 km   200 km   750 km  GeoScore")
    for name, answer in answers.items():
        print("{:10}{:6,.0f} km{:9.1%}{:9.1%}{:9.1%}{:10,.0f}".format(name, *score(*answer, *truth)))
    print(f"\nMedian error on {len(test_vectors):,} test postcards: {score(*answers['geocells'], *truth)[0]:,.0f} km.")
    print("Postcards are drawings at real places, not photographs.")


if __name__ == "__main__":
    main()
