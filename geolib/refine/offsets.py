"""The hybrid head of OSV-5M (Astruc et al., CVPR 2024, section 4): a class says which cell, a regression where in it.

Per finest cell, a linear map of the embedding gives a relative place inside the cell's box; tanh keeps it inside. It
starts at the mean of the cell's photos, so an untrained hybrid answers like `argmax`. It goes below the error of a
perfect classifier only where embeddings tell places inside a cell apart.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import shapely
import torch
from torch import Tensor, nn

from geolib.cells.nested import Partition
from geolib.common.arrays import Vectors, as_tensor, as_vectors
from geolib.sphere import EARTH_RADIUS_KM, FloatArray

_EDGE = 0.9999  # a start on the very edge of a box would need an infinite number before tanh


class OffsetHead(nn.Module):
    """Places inside cells: middle of the box + tanh(offset) * half its size, with the offset linear in the embedding.

    Made by `train_offsets`, which shows an example. Has 2 x dim weights per finest cell.
    """

    def __init__(self, dim: int, tree: Partition) -> None:
        super().__init__()
        middle, half = _boxes(tree)
        from_middle = np.stack(tree.centers(-1), axis=1) - middle
        from_middle[:, 1] = (from_middle[:, 1] + 180) % 360 - 180
        start = np.arctanh(np.clip(from_middle / half, -_EDGE, _EDGE))
        self.dim = dim
        self.slope = nn.Parameter(torch.zeros(tree.n_cells[-1], 2, dim))
        self.start = nn.Parameter(torch.from_numpy(start).float())
        self.middle, self.reach = torch.from_numpy(middle).float(), torch.from_numpy(half).float()
        self.mean = torch.zeros(dim)

    def forward(self, x: Tensor, cells: Tensor) -> Tensor:
        """Latitude and longitude in degrees, (n, 2), of embeddings (n, dim) in the finest cells (n,).

        East of the dateline, longitudes of a cell that lies on both sides of it go on above 180.
        """
        o = torch.einsum("nd,nkd->nk", (x - self.mean) * math.sqrt(self.dim), self.slope[cells]) + self.start[cells]
        return self.middle[cells] + o.tanh() * self.reach[cells]

    @torch.no_grad()
    def place(self, vectors: Vectors, cells: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Places (lat, lon) in degrees, float64 (n,) each, of embeddings (n, dim) in their finest cells (n,).

        Raises `ValueError` for vectors of another encoder, and for cells that are not as many or not of this tree.
        """
        rows, chosen, last = as_vectors(vectors, dim=self.dim), as_tensor(cells), len(self.start) - 1
        if chosen.shape != rows.shape[:1] or chosen.min() < 0 or chosen.max() > last:
            raise ValueError(f"{len(chosen)} cells for {len(rows)} photos: expected one of 0 to {last} per photo")
        lat, lon = self(rows.float(), chosen).double().numpy().T
        lon = np.where(lon > 180 + 1e-4, lon - 360, lon)  # float32 is off by less on the dateline itself
        return np.clip(lat, -90, 90), np.clip(lon, -180, 180)


@torch.inference_mode(False)
@torch.enable_grad()
def train_offsets(
    vectors: Vectors,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    tree: Partition,
    *,
    calibration: tuple[Vectors, npt.ArrayLike, npt.ArrayLike] | None = None,
    epochs: int = 20,
    seed: int = 0,
) -> OffsetHead:
    """Train the offsets on photos in their own cells; the loss is the mean distance, in units of the cell's size.

    With calibration photos, (vectors, lat, lon) of other photographers, the weights of the best epoch are kept, the
    start among them: where a cell's photos all look alike, nothing is better than their mean. Raises `ValueError` for
    vectors that are not (n, dim), finite and as many as the coordinates (degrees, (n,)).

    >>> from geolib.cells import GeocellTree
    >>> lat, lon = np.linspace(45.0, 50.0, 40), np.linspace(0.0, 10.0, 40)
    >>> vectors = np.stack([np.cos(lat), np.sin(lat)], axis=1)  # they tell the latitude
    >>> head = train_offsets(vectors, lat, lon, GeocellTree.fit(lat, lon, (1,)))
    >>> south, north = head.place(vectors[[0, -1]], np.array([0, 0]))[0]
    >>> bool(south < 47 < 48 < north)  # the centre of the cell is at 47.5
    True
    """
    head = OffsetHead(as_vectors(vectors).shape[1], tree)
    train = _sample(vectors, lat, lon, tree, head)
    held_out = None if calibration is None else _sample(*calibration, tree, head)
    head.mean = train[0].mean(dim=0)
    groups = [{"params": [head.slope], "weight_decay": 1.0}, {"params": [head.start], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=5e-3)
    generator = torch.Generator().manual_seed(seed)
    best, kept = math.inf, head.state_dict()
    for epoch in range(epochs + 1):
        for rows in torch.split(torch.randperm(len(train[0]), generator=generator), 256) if epoch else ():
            optimiser.zero_grad()
            _relative_error(head, *(part[rows] for part in train)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if held_out is not None:
            with torch.no_grad():
                loss = float(_relative_error(head, *held_out))
            if loss < best:
                best, kept = loss, {name: value.clone() for name, value in head.state_dict().items()}
    head.load_state_dict(kept)  # without calibration photos, `kept` are the weights after the last epoch
    return head


def _boxes(tree: Partition) -> tuple[FloatArray, FloatArray]:
    """Middle and half the size (n_cells, 2), in degrees, of each finest cell's box; across the dateline if narrower."""
    shapes, cells = shapely.get_parts(tree.polygons(-1), return_index=True)
    west, south, east, north = shapely.bounds(shapes).T
    boxes = []
    for turn in (0, 360):
        shift = np.where(west < 0, turn, 0)
        edges = [(np.minimum, south), (np.minimum, west + shift), (np.maximum, north), (np.maximum, east + shift)]
        boxes.append(
            np.stack([grow.reduceat(edge, np.flatnonzero(np.diff(cells, prepend=-1))) for grow, edge in edges])
        )
    plain, across = boxes
    box = np.where(across[3] - across[1] < plain[3] - plain[1], across, plain).T
    return (box[:, :2] + box[:, 2:]) / 2, (box[:, 2:] - box[:, :2]) / 2


def _sample(
    vectors: Vectors, lat: npt.ArrayLike, lon: npt.ArrayLike, tree: Partition, head: OffsetHead
) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors (n, dim), places (n, 2) in degrees and finest cells (n,) of photos."""
    cells = torch.from_numpy(tree.assign(lat, lon)[:, -1])
    places = torch.from_numpy(np.column_stack([lat, lon])).float()
    return as_vectors(vectors, len(cells), head.dim).float(), places, cells


def _relative_error(head: OffsetHead, x: Tensor, places: Tensor, cells: Tensor) -> Tensor:
    """Mean distance of the predicted places, each as a share of half the diagonal of its cell's box.

    Otherwise the few huge cells would be all that is learnt. Inside a cell the Earth is flat enough: degrees of
    longitude are shortened by the cosine of the latitude.
    """
    shrink = torch.stack([torch.ones_like(places[:, 0]), places[:, 0].deg2rad().cos().clamp_min(1e-3)], dim=1)
    km = shrink * (math.pi / 180 * EARTH_RADIUS_KM)
    off = head(x, cells) - places
    off = torch.stack([off[:, 0], (off[:, 1] + 180) % 360 - 180], dim=1)  # the short way round
    error = (off * km).square().sum(dim=1).add(1e-6).sqrt()
    relative: Tensor = error / (head.reach[cells] * km).square().sum(dim=1).sqrt()
    return relative.mean()
