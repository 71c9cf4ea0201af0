"""One head per geocell level over frozen, unit-length embeddings: the model, its targets, and the loop that trains it.

The targets are PIGEON's haversine smoothing (Haas et al., CVPR 2024, section 3.2), normalised to sum 1, so that the
loss is a cross-entropy against a distribution. `train_heads` trains all levels in one loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.spatial import cKDTree
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import skip_init

from geolib import sphere
from geolib.cells.nested import IntArray, Partition
from geolib.common.arrays import Vectors, as_vectors, pieces

Photos = tuple[Vectors, npt.ArrayLike, npt.ArrayLike]  # embeddings (n, dim), lat and lon in degrees (n,)
Smoothing = Literal["auto"] | Sequence[float] | None
CHUNK_ELEMENTS = 2**25  # logits of one chunk: 134 MB in float32, and about five arrays of that size exist at once
TRUNK_DROPOUT = 0.5  # Srivastava et al., JMLR 2014


class HierarchicalHeads(nn.Module):
    """Softmax heads on one embedding, one per level, from coarse to fine.

    Each coordinate is first centred and divided by its standard deviation over the training photos (`scale` is 1 /
    that, with a floor), so that one learning rate suits every encoder: CLIP embeddings sit in a narrow cone, whose
    mean is much larger than the differences between photos.

    Parameters
    ----------
    n_cells : of each level, coarse to fine.
    trunk : units of one layer, `Linear -> GELU`, that all heads read; 0 makes the heads linear and independent.
    ancestors : of a tree, int64 (n_finest, n_levels). With them there is one head only, over the finest cells, and the
        logit of a coarser cell is the log-sum-exp of its finest ones: leaf sums (OSV-5M: Astruc et al., CVPR 2024,
        section 4). Levels then cannot contradict each other.
    seed : of the trunk's weights. Output weights are zero at first, so that all photos get one answer.

    Examples
    --------
    >>> [tuple(logits.shape) for logits in HierarchicalHeads(8, (3, 12))(torch.zeros(5, 8))]
    [(5, 3), (5, 12)]
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, dim: int, n_cells: Sequence[int], *, trunk: int = 0, ancestors: IntArray | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        if dim < 1 or not len(n_cells) or min(n_cells) < 1 or trunk < 0:
            raise ValueError(f"{dim=}, n_cells={tuple(n_cells)}, {trunk=}: expected dim, cells >= 1 and trunk >= 0")
        self.dim, self.n_cells = dim, tuple(int(count) for count in n_cells)
        self.ancestors = None if ancestors is None else torch.from_numpy(ancestors)
        self.trunk = _linear(dim, trunk) if trunk else None
        if self.trunk is not None:
            generator = Generator().manual_seed(seed)  # nothing is drawn from torch's global generator
            nn.init.kaiming_uniform_(self.trunk.weight, nonlinearity="relu", generator=generator)
        counts = self.n_cells if ancestors is None else self.n_cells[-1:]
        self.heads = nn.ModuleList(_linear(trunk or dim, count) for count in counts)
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.full((dim,), math.sqrt(dim)))

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], tree: Partition) -> HierarchicalHeads:
        """Heads from their `state_dict`, whatever their kind. Raises `RuntimeError` for weights that do not fit."""
        if any(".inner." in key for key in state):
            raise RuntimeError("heads with hidden layers of their own are of an older geolib: fit with trunk=... again")
        single = tree.n_levels > 1 and not any(key.startswith("heads.1.") for key in state)
        dim, trunk = len(state.get("mean", [0])), len(state.get("trunk.bias", []))
        heads = cls(max(dim, 1), tree.n_cells, trunk=trunk, ancestors=tree.ancestors if single else None)
        heads.load_state_dict(dict(state))
        return heads.eval()

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits of embeddings `x` (n, dim): one (n, n_cells) tensor per level, coarse to fine."""
        x = self.features(self.standardise(x))
        return [logits for number in range(len(self.heads)) for logits in self.answers(number, x)]

    def standardise(self, x: Tensor) -> Tensor:
        """Embeddings (n, dim), centred, each coordinate with about unit spread."""
        return (x.to(self.mean) - self.mean) * self.scale

    def features(self, x: Tensor) -> Tensor:
        """What the heads read, of standardised `x` (n, dim): `x` itself, or the trunk's output (n, trunk)."""
        return x if self.trunk is None else F.gelu(self.trunk(x))

    def answers(self, number: int, x: Tensor) -> list[Tensor]:
        """Logits of one head for `features` (n, dim or trunk), one tensor per level of `levels_of`."""
        fine: Tensor = self.heads[number](x)
        if self.ancestors is None:
            return [fine]
        top = fine.amax(dim=1, keepdim=True)
        mass, parents = (fine - top).exp(), self.ancestors.to(fine.device)
        empty = [fine.new_zeros(len(fine), count) for count in self.n_cells[:-1]]
        sums = [zeros.index_add(1, parents[:, level], mass) for level, zeros in enumerate(empty)]
        return [*(total.clamp_min(torch.finfo(total.dtype).tiny).log() + top for total in sums), fine]

    def parts(self) -> list[tuple[nn.Module, range]]:
        """What can be kept from different epochs, with the levels that it answers for: each head, or what shares."""
        if self.trunk is not None or self.ancestors is not None:
            return [(self, range(len(self.n_cells)))]
        return [(head, self.levels_of(number)) for number, head in enumerate(self.heads)]

    def levels_of(self, number: int) -> range:
        """The levels that a head answers for: its own, or with leaf sums all."""
        return range(number, number + 1) if self.ancestors is None else range(len(self.n_cells))

    @torch.no_grad()
    def fit_start(self, vectors: Tensor, cells: Tensor) -> None:
        """Set mean and scale from training embeddings (n, dim), biases to the prior of their cells (n, n_levels)."""
        sample = vectors[:: max(1, len(vectors) // 100_000)].cpu().double()
        spread = sample.std(dim=0, correction=0)
        floor = 0.1 * spread.square().mean().sqrt().clamp_min(1e-4 / math.sqrt(self.dim))
        self.mean.copy_(sample.mean(dim=0))
        self.scale.copy_(1 / spread.clamp_min(floor))
        for number, head in enumerate(self.heads):
            level = self.levels_of(number)[-1]
            photos = torch.bincount(cells[:, level].cpu(), minlength=self.n_cells[level]) + 0.5  # log of 0 is infinite
            head.bias.copy_((photos / photos.sum()).log())  # type: ignore[operator]


def _linear(n_in: int, n_out: int) -> nn.Linear:
    """A layer of zeros, made without torch's own initialisation: that draws from the global generator."""
    layer: nn.Linear = skip_init(nn.Linear, n_in, n_out, device=torch.empty(0).device)  # type: ignore[no-untyped-call]
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _dropped(x: Tensor, share: float, generator: Generator | None) -> Tensor:
    """Dropout that draws from `generator`: torch's own layer draws from the global one."""
    return x * torch.empty_like(x).bernoulli_(1 - share, generator=generator) / (1 - share) if share else x


@torch.no_grad()
def predict_logits(heads: HierarchicalHeads, vectors: Vectors) -> list[npt.NDArray[np.float32]]:
    """Logits of embeddings (n, dim): one float32 (n, n_cells) array per level, coarse to fine.

    Raises `ValueError` unless the vectors are (n, dim) and finite.

    >>> [logits.shape for logits in predict_logits(HierarchicalHeads(8, (3, 12)), np.zeros((5, 8), np.float32))]
    [(5, 3), (5, 12)]
    """
    batches = [heads(rows) for rows in pieces(as_vectors(vectors, dim=heads.dim), 4096)]
    return [torch.cat(level).cpu().numpy() for level in zip(*batches, strict=True)]


def level_weights(n_levels: int) -> npt.NDArray[np.float64]:
    """Weights of levels that share weights: proportional to 1, 2, 3, ..., so finer levels count more; sum 1.

    >>> level_weights(4)
    array([0.1, 0.2, 0.3, 0.4])
    """
    return np.arange(1, n_levels + 1) / (n_levels * (n_levels + 1) / 2)


def smoothing_scale(tree: Partition, level: int, smoothing_km: Smoothing = "auto") -> npt.NDArray[np.float64] | None:
    """tau in km of every cell of a level, (n_cells,), or None for hard targets.

    PIGEON uses 75 km for all. But cells of one quadtree level differ a thousandfold in size: one tau would smear a city
    over a hundred cells and leave a desert hard. "auto" takes half the distance from each centre to the nearest other:
    a neighbour then gets about exp(-2) of what the cell gets. A sequence gives one tau per level in km.

    >>> from geolib.cells import GeocellTree
    >>> smoothing_scale(GeocellTree.fit([0, 0, 0], [0, 2, 8], (3,), min_photos=1), 0).round()
    array([111., 111., 334.])
    """
    auto = str(smoothing_km) == "auto"
    if smoothing_km is None or (auto and tree.n_cells[level] == 1):
        return None
    if auto:
        units = sphere.unit_vectors(*tree.centers(level))
        return np.maximum(sphere.chord_km(cKDTree(units).query(units, k=2)[0][:, 1]) / 2, 1e-3)  # no tau of 0
    taus = np.asarray(smoothing_km)
    if taus.shape != (tree.n_levels,) or not np.all((taus > 0) & (taus < math.inf)):
        raise ValueError(f'smoothing_km={smoothing_km}: expected "auto", None or {tree.n_levels} numbers of km above 0')
    return np.full(tree.n_cells[level], taus[level], dtype=np.float64)


def cell_targets(
    lat: npt.ArrayLike, lon: npt.ArrayLike, tree: Partition, level: int, smoothing_km: Smoothing = "auto"
) -> Tensor:
    """Targets of photos over the cells of a level, float32 (n, n_cells), rows sum to 1.

    y_i is proportional to exp(-d(g_i, x) / tau), for cell centres g_i and the photo's place x. tau is that of the
    photo's own cell (`smoothing_scale`). With None the target is hard: 1 for the own cell. Training computes the same
    in `smoothed_targets`, batch by batch.

    >>> from geolib.cells import GeocellTree
    >>> tree = GeocellTree.fit([0, 0, 0], [0, 2, 5], (3,), min_photos=1)
    >>> cell_targets([0], [0], tree, 0), cell_targets([0], [0], tree, 0, None)
    (tensor([[0.8756, 0.1185, 0.0059]]), tensor([[1., 0., 0.]]))
    """
    points, cells = _unit(lat, lon), torch.from_numpy(tree.assign(lat, lon)[:, level])
    tau = smoothing_scale(tree, level, smoothing_km)
    if tau is None:
        return F.one_hot(cells, tree.n_cells[level]).float()
    return smoothed_targets(points, _unit(*tree.centers(level)), torch.from_numpy(tau).float()[cells])


def smoothed_targets(points: Tensor, centers: Tensor, tau_km: Tensor) -> Tensor:
    """softmax(-d / tau) of unit vectors (n, 3) against centres (m, 3), with one tau (n,) per photo: (n, m)."""
    # From differences, not from 2 - 2 cos: in float32 that is off by kilometres for near points.
    chord = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist")
    km = chord.mul_(0.5).clamp_(max=1).asin_().mul_(2 * sphere.EARTH_RADIUS_KM)
    return km.div_(-tau_km[:, None]).softmax(dim=1)


def _unit(lat: npt.ArrayLike, lon: npt.ArrayLike) -> Tensor:
    return torch.from_numpy(sphere.unit_vectors(lat, lon)).float()  # (n, 3); each coordinate is good to 0.4 m


@dataclass(frozen=True)
class TrainOptions:
    """How heads are trained. Raises `ValueError` for settings out of range; what depends on the tree is checked later.

    Parameters
    ----------
    batch_size : default a power of two, at least 128, that gives 32 or more steps per epoch where photos suffice.
    lr, warmup : the rate rises linearly to `lr` in the first `warmup` share of all steps, then falls to 0 as a cosine.
    weight_decay, dropout : AdamW's decay of the weights, not the biases; share of the embedding's coordinates dropped.
    trunk, leaf_sums : as in `HierarchicalHeads`; `leaf_sums` is True for one head. Unless dropout is 0, half of the
        trunk's units are dropped, too.
    smoothing_km : "auto", None for hard targets, or km per level (`smoothing_scale`).
    level_weights : one per level; default `geolib.heads.level_weights`. Only with `trunk` or `leaf_sums`: heads that
        share nothing would be the same by construction, because Adam rescales the gradients of each.
    patience : training stops when the calibration loss has not improved for this many epochs.

    >>> TrainOptions(epochs=5, smoothing_km=[75]).smoothing_km
    (75.0,)
    """

    epochs: int = 30
    batch_size: int | None = None
    lr: float = 2e-3
    weight_decay: float = 0.5
    dropout: float = 0.1
    trunk: int = 0
    leaf_sums: bool = False
    smoothing_km: Smoothing = "auto"
    level_weights: Sequence[float] | None = None
    warmup: float = 0.05
    patience: int = 5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():  # numpy's numbers become Python's, which JSON can hold
            if name in ("smoothing_km", "level_weights") and not isinstance(value, str | None):
                object.__setattr__(self, name, tuple(float(number) for number in value))
            elif isinstance(value, np.generic | np.ndarray | Tensor):
                object.__setattr__(self, name, value.item())
        for name, most in (("dropout", 1), ("warmup", 1), ("weight_decay", math.inf), ("trunk", math.inf)):
            if not 0 <= (value := getattr(self, name)) < most:
                raise ValueError(f"{name}={value}: expected a number from 0 to below {most}")
        for name in ("epochs", "batch_size", "lr", "patience"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}={value}: expected a number above 0")
        for name in ("epochs", "batch_size", "trunk", "patience"):
            if (value := getattr(self, name)) is not None:
                if value != int(value):
                    raise ValueError(f"{name}={value}: expected a whole number")
                object.__setattr__(self, name, int(value))
        if self.level_weights is not None and not (self.trunk or self.leaf_sums):
            raise ValueError(
                f"level_weights={self.level_weights}: heads that share nothing are the same by construction: "
                "Adam rescales the gradients of each. Leave the weights out, or share a layer with trunk=256"
            )


class TrainingPhotos(NamedTuple):
    """Photos, checked and on the device."""

    vectors: Tensor  # (n, dim); a set too large for the device stays where it is, and each batch is copied
    cells: Tensor  # (n, n_levels) int64
    points: Tensor  # (n, 3) unit vectors


class LevelTargets(NamedTuple):
    """What the loss of one level needs."""

    weight: float  # of its loss; all levels' weights sum to 1
    centers: Tensor  # (n_cells, 3) unit vectors
    tau_km: Tensor | None  # (n_cells,), None for hard targets


def training_photos(photos: Photos, tree: Partition, device: torch.device, dim: int | None = None) -> TrainingPhotos:
    """Check (vectors, lat, lon), find the cells, and move all to the device."""
    vectors, lat, lon = photos
    cells = torch.from_numpy(tree.assign(lat, lon)).to(device)
    tensor = as_vectors(vectors, len(cells), dim)
    if device.type != "cuda" or tensor.nbytes < 0.6 * torch.cuda.mem_get_info(device)[0]:
        tensor = tensor.to(device)
    return TrainingPhotos(tensor, cells, _unit(lat, lon).to(device))


def level_targets(tree: Partition, options: TrainOptions, device: torch.device) -> list[LevelTargets]:
    """Of each level, coarse to fine."""
    usual = level_weights(tree.n_levels) if options.trunk or options.leaf_sums else np.ones(tree.n_levels)
    weights = usual if options.level_weights is None else np.asarray(options.level_weights)
    if weights.shape != (tree.n_levels,) or not (weights >= 0).all() or not 0 < weights.sum() < math.inf:
        raise ValueError(f"level_weights={weights}: expected {tree.n_levels} numbers, none negative, not all 0")
    out = []
    for level, weight in enumerate(weights / weights.sum()):
        tau = smoothing_scale(tree, level, options.smoothing_km)
        tau_km = None if tau is None else torch.from_numpy(tau).float().to(device)
        out.append(LevelTargets(float(weight), _unit(*tree.centers(level)).to(device), tau_km))
    return out


def train_heads(
    vectors: Vectors,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    tree: Partition,
    *,
    calibration: Photos | None = None,
    options: TrainOptions = TrainOptions(),
    device: str = "auto",
    seed: int = 0,
    progress: Callable[[dict[str, float]], object] | None = None,
) -> tuple[HierarchicalHeads, pd.DataFrame]:
    """Train the heads of all levels on embeddings (n, dim) of photos at `lat`, `lon`, degrees (n,).

    Raises `ValueError` for vectors that are not finite or not as many as the places, and when the loss overflows.

    Parameters
    ----------
    calibration : (vectors, lat, lon) of other photographers, for early stopping. Each head returns to the epoch of its
        own lowest loss; heads that share a trunk return together, by their weighted loss. Without it: last epoch.
    device : "auto" is a CUDA device, else the CPU. On small heads MPS is not faster, and it is not deterministic.
    progress : called with each epoch's row of the history.

    Returns
    -------
    The heads, on the CPU, and the history, one row per epoch: `epoch`, the mean `train_loss` and `calibration_loss`
    (weighted, if heads share), and for each level `train_loss_0`, `train_accuracy_0`, `calibration_loss_0`, ... Its
    `attrs["best_epoch"]` lists the epoch kept for each level. Equal seeds give equal bytes on one CPU.

    Examples
    --------
    >>> from geolib.cells import GeocellTree
    >>> lat, lon = np.array([50, 51, -30, -31]), np.array([0, 1, 120, 121])
    >>> vectors, tree = sphere.unit_vectors(lat, lon), GeocellTree.fit(lat, lon, (2,), min_photos=1)
    >>> heads, history = train_heads(vectors, lat, lon, tree, options=TrainOptions(epochs=3))
    >>> predict_logits(heads, vectors)[0].argmax(axis=1)
    array([1, 1, 0, 0])
    """
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    train = training_photos((vectors, lat, lon), tree, chosen)
    held_out = None if calibration is None else training_photos(calibration, tree, chosen, train.vectors.shape[1])
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller has switched off
        training = _Training(tree, train, held_out, options, seed)
        for _ in range(options.epochs):
            training.run_epoch()
            if progress is not None:
                progress(training.rows[-1])
            if held_out is not None and training.keep_best() >= options.patience:
                break
        return training.result()


class _Training:
    """The state of the loop: heads, optimiser, learning rates, random numbers, history and best weights."""

    def __init__(
        self, tree: Partition, train: TrainingPhotos, held_out: TrainingPhotos | None, options: TrainOptions, seed: int
    ) -> None:
        (n, dim), device = train.vectors.shape, train.cells.device
        self.train, self.held_out, self.options = train, held_out, options
        self.levels = level_targets(tree, options, device)
        self.batch_size = options.batch_size or min(4096, max(128, 2 ** int(math.log2(max(n / 32, 1)))))
        ancestors = tree.ancestors if options.leaf_sums else None
        heads = HierarchicalHeads(dim, tree.n_cells, trunk=options.trunk, ancestors=ancestors, seed=seed)
        self.heads = heads.to(device)
        self.heads.fit_start(train.vectors, train.cells)
        self.optimiser = make_optimiser(self.heads, options.weight_decay)
        self.generator = Generator(device).manual_seed(seed)
        self.rates = learning_rates(options.epochs * math.ceil(n / self.batch_size), options.lr, options.warmup)
        self.rows: list[dict[str, float]] = []
        self.best: dict[int, tuple[int, float, dict[str, Tensor]]] = {}  # of each part: epoch, loss, weights

    def run_epoch(self) -> None:
        """One pass over the training photos in random order, and one row of the history."""
        n, device, sums = len(self.train.cells), self.train.cells.device, []
        for batch in pieces(torch.randperm(n, generator=self.generator, device=device), self.batch_size):
            rate = next(self.rates)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
            self.optimiser.zero_grad()
            sums.append(batch_loss(self.heads, self.train, batch, self.levels, self.options.dropout, self.generator))
            self.optimiser.step()
        row = {"epoch": len(self.rows) + 1} | self._columns("train", sums, n)
        if self.held_out is not None:
            numbers = torch.arange(len(self.held_out.cells), device=device)
            with torch.no_grad():
                sums = [batch_loss(self.heads, self.held_out, x, self.levels) for x in pieces(numbers, self.batch_size)]
            row |= self._columns("calibration", sums, len(numbers))
        if not all(map(math.isfinite, row.values())):
            raise ValueError(f"the loss of epoch {row['epoch']} is not finite: lower lr={self.options.lr}")
        self.rows.append(row)

    def _columns(self, split: str, sums: list[Tensor], n: int) -> dict[str, float]:
        """A split's part of a history row, from the `batch_loss` of the batches of its n photos."""
        losses, accuracies = (torch.stack(sums).sum(dim=0) / n).tolist()
        row = {f"{split}_loss": sum(level.weight * loss for level, loss in zip(self.levels, losses, strict=True))}
        for level, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True)):
            row |= {f"{split}_loss_{level}": loss, f"{split}_accuracy_{level}": accuracy}
        return row

    def keep_best(self) -> int:
        """Copy the parts of the heads that the last epoch improved; how many epochs ago the last of them improved.

        A part that has not improved for `patience` epochs is done, as if it were trained alone.
        """
        row, now = self.rows[-1], len(self.rows)
        for number, (part, answered) in enumerate(self.heads.parts()):
            loss = sum(self.levels[level].weight * row[f"calibration_loss_{level}"] for level in answered)
            epoch, lowest = self.best[number][:2] if number in self.best else (now, math.inf)
            if loss < lowest and now - epoch <= self.options.patience:
                state = {name: value.clone() for name, value in part.state_dict().items()}
                self.best[number] = now, loss, state
        return now - max(epoch for epoch, _, _ in self.best.values())

    def result(self) -> tuple[HierarchicalHeads, pd.DataFrame]:
        """The heads with their best weights, on the CPU, and the history."""
        history, epochs = pd.DataFrame(self.rows), []
        for number, (part, answered) in enumerate(self.heads.parts()):
            epoch, _, state = self.best.get(number, (len(self.rows), math.nan, part.state_dict()))
            part.load_state_dict(state)
            epochs += [epoch] * len(answered)
        history.attrs["best_epoch"] = epochs
        return self.heads.cpu().eval(), history


def batch_loss(
    heads: HierarchicalHeads,
    photos: TrainingPhotos,
    batch: Tensor,
    levels: Sequence[LevelTargets],
    dropout: float = 0.0,
    generator: Generator | None = None,
) -> Tensor:
    """Summed loss and right answers of a batch of photo numbers (b,), (2, n_levels); adds to the heads' gradients.

    The gradients are of the weighted mean loss. Levels are done in chunks of `CHUNK_ELEMENTS` logits. Each chunk's loss
    goes backward at once as far as the features, and its graph is freed before the next; the trunk follows at the end.
    """
    x = heads.standardise(photos.vectors[batch.to(photos.vectors.device)].to(batch.device))
    x, learns = _dropped(x, dropout, generator), torch.is_grad_enabled()
    below = heads.features(x)
    if heads.trunk is not None:
        below = _dropped(below, TRUNK_DROPOUT if dropout else 0.0, generator)
    features = below.detach().requires_grad_(learns and heads.trunk is not None)
    cells, points = photos.cells[batch], photos.points[batch]
    sums = torch.zeros(2, len(levels), device=x.device)
    for number in range(len(heads.heads)):
        answered = heads.levels_of(number)
        rows = max(1, CHUNK_ELEMENTS // sum(heads.n_cells[level] for level in answered))
        for part, own, point in zip(*(torch.split(one, rows) for one in (features, cells, points)), strict=True):
            total = torch.zeros((), device=x.device)
            for level, logits in zip(answered, heads.answers(number, part), strict=True):
                right, known = own[:, level], levels[level]
                target = right if known.tau_km is None else smoothed_targets(point, known.centers, known.tau_km[right])
                loss = F.cross_entropy(logits, target, reduction="sum")
                total = total + loss * (known.weight / len(batch))
                sums[0, level] += loss.detach()
                sums[1, level] += (logits.detach().argmax(dim=1) == right).sum()
            if learns:
                total.backward()  # type: ignore[no-untyped-call]
    if features.grad is not None:
        below.backward(features.grad)  # type: ignore[no-untyped-call]
    return sums


def make_optimiser(heads: HierarchicalHeads, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW without decay of the biases: they hold the prior, which should not shrink."""
    named = list(heads.named_parameters())
    weights, biases = ([value for name, value in named if name.endswith(kind)] for kind in ("weight", "bias"))
    groups = [{"params": weights, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, fused=True)  # fused: no temporaries of the weights' size


def learning_rates(n_steps: int, lr: float, warmup: float) -> Iterator[float]:
    """The rate of each step: linear warmup to `lr` over a `warmup` share of the steps, then half a cosine to 0."""
    for step in range(n_steps):
        done = (step + 0.5) / n_steps
        cosine = 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
        yield lr * (done / warmup if done < warmup else cosine)
