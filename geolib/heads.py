"""One head a geocell level over frozen, unit-length embeddings, its rivals, and the loop that trains them.

The targets are PIGEON's haversine smoothing (Haas et al., CVPR 2024, section 3.2), normalised to sum 1 so that the
loss is a cross-entropy against a distribution. All levels are trained in one loop, the fine ones in chunks of
rows: the heads are linear and their input needs no gradient, so each chunk's loss is sent backward at once and
only the weights' gradient grows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn
from torch.nn import functional as F

from geolib import sphere
from geolib.cells.quadtree import Partition
from geolib.common.arrays import Vectors, as_vectors

Smoothing = Literal["auto"] | Sequence[float] | None
# Logits of one chunk: 2**25 float32 are 134 MB, and about five arrays of that size are alive at once.
CHUNK_ELEMENTS = 2**25
_HIDDEN_DROPOUT = 0.5  # Srivastava et al., JMLR 2014


class HierarchicalHeads(nn.Module):
    """Independent softmax heads on one embedding: `forward(x (n, dim))` gives (n, n_cells) a level, coarse to fine.

    Before the heads each coordinate is centred and scaled by the training set's mean and spread (`fit_start`).
    CLIP embeddings sit in a narrow cone: their common mean dwarfs the differences that tell places apart, and
    a coordinate of a unit vector is only about 1/sqrt(dim). Scaled, a learning rate suits every encoder. Until
    fitted, the scale is sqrt(dim). Weights start at zero, where every photo gets the same answer.

    hidden: units of a hidden layer in each head; 0 makes the heads linear, as the article's are.
    ancestors: of a tree, int64 (n_finest, n_levels). With them there is one head only, over the finest cells, and the
        logits of a coarser cell are the leaf sums of its finest ones, log sum exp (OSV-5M, Astruc et al., CVPR 2024,
        section 4): levels that cannot contradict each other.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, dim: int, n_cells: Sequence[int], *, hidden: int = 0, ancestors: npt.NDArray[np.int64] | None = None
    ) -> None:
        super().__init__()
        if dim < 1 or not len(n_cells) or min(n_cells) < 1 or hidden < 0:
            raise ValueError(
                f"dim={dim}, n_cells={tuple(n_cells)}, {hidden=}: expected dim >= 1, one positive count a level, no "
                "negative width"
            )
        self.dim, self.n_cells, self.hidden = dim, tuple(int(count) for count in n_cells), hidden
        self.ancestors = None if ancestors is None else torch.from_numpy(ancestors)
        if ancestors is not None and ancestors.shape != (self.n_cells[-1], len(self.n_cells)):
            raise ValueError(f"ancestors {ancestors.shape}: expected ({self.n_cells[-1]}, {len(self.n_cells)})")
        counts = self.n_cells if ancestors is None else self.n_cells[-1:]
        # Made on "meta", where nn.Linear's own initialisation draws nothing from the global generator.
        with torch.device("meta"):
            made = [_Deep(dim, hidden, count) if hidden else nn.Linear(dim, count) for count in counts]
        self.heads = nn.ModuleList(made).to_empty(device="cpu")
        self.draw(torch.Generator().manual_seed(0))
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.full((dim,), math.sqrt(dim)))

    @classmethod
    def of_state(cls, state: Mapping[str, Tensor], tree: Partition) -> HierarchicalHeads:
        """Heads from their `state_dict`, whatever their kind. Raises `RuntimeError` for weights that do not fit."""
        inner = state.get("heads.0.inner.bias")
        single = tree.n_levels > 1 and not any(key.startswith("heads.1.") for key in state)
        hidden = 0 if inner is None else len(inner)
        dim = len(state["mean"]) if "mean" in state else 1
        heads = cls(max(dim, 1), tree.n_cells, hidden=hidden, ancestors=tree.ancestors if single else None)
        heads.load_state_dict(dict(state))
        return heads.eval()

    def draw(self, generator: torch.Generator) -> None:
        """Start afresh: zero weights, and hidden layers drawn from `generator` (on the CPU)."""
        for head in self.heads:
            for parameter in _last(head).parameters():
                nn.init.zeros_(parameter)
            if isinstance(head, _Deep):
                fresh = torch.empty(head.inner.weight.shape)
                nn.init.kaiming_uniform_(fresh, nonlinearity="relu", generator=generator)
                with torch.no_grad():
                    head.inner.weight.copy_(fresh)
                nn.init.zeros_(head.inner.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Logits of embeddings `x` (n, dim): one (n, n_cells) tensor a level, coarse to fine."""
        x = self.standardise(x)
        return [logits for number in range(len(self.heads)) for logits in self.answers(number, x)]

    def answers(
        self, number: int, x: Tensor, dropout: float = 0.0, generator: torch.Generator | None = None
    ) -> list[Tensor]:
        """Logits of one head for standardised `x` (n, dim), one tensor for each level that it answers for.

        dropout: share of its hidden units that are dropped, drawn from `generator`.
        """
        head = self.heads[number]
        if isinstance(head, _Deep):
            x = _drop(F.gelu(head.inner(x)), dropout, generator)
        fine: Tensor = _last(head)(x)
        return [fine] if self.ancestors is None else [*self._leaf_sums(fine), fine]

    def levels_of(self, number: int) -> range:
        """The levels that a head answers for."""
        return range(number, number + 1) if self.ancestors is None else range(len(self.n_cells))

    def _leaf_sums(self, fine: Tensor) -> list[Tensor]:
        """log sum exp over the finest cells of each coarser one, coarse to fine, without the finest level."""
        assert self.ancestors is not None
        top = fine.amax(dim=1, keepdim=True)
        mass, parents = (fine - top).exp(), self.ancestors.to(fine.device)
        sums = [fine.new_zeros(len(fine), count) for count in self.n_cells[:-1]]
        sums = [empty.index_add(1, parents[:, level], mass) for level, empty in enumerate(sums)]
        return [total.clamp_min(torch.finfo(total.dtype).tiny).log() + top for total in sums]

    def standardise(self, x: Tensor) -> Tensor:
        """Embeddings (n, dim) as the heads see them: centred, each coordinate of about unit spread."""
        return (x.to(self.mean) - self.mean) * self.scale

    @torch.no_grad()
    def fit_start(self, vectors: Tensor, cells: Tensor) -> None:
        """Set mean, scale and biases from training embeddings (n, dim) and their cells (n, n_levels).

        The biases become the log share of each cell, so that training starts from the prior. A coordinate that
        hardly varies is not blown up to unit spread.
        """
        sample = vectors[:: max(1, len(vectors) // 100_000)].cpu().double()
        spread = sample.std(dim=0, correction=0)
        floor = 0.1 * spread.square().mean().sqrt().clamp_min(1e-4 / math.sqrt(self.dim))
        self.mean.copy_(sample.mean(dim=0))
        self.scale.copy_(1 / spread.clamp_min(floor))
        for number, head in enumerate(self.heads):
            level = self.levels_of(number)[-1]
            photos = (
                torch.bincount(cells[:, level].cpu(), minlength=self.n_cells[level]) + 0.5
            )  # an empty one is finite
            _last(head).bias.copy_((photos / photos.sum()).log())


class _Deep(nn.Module):
    """The layers of a head with a hidden layer; `HierarchicalHeads.answers` applies them."""

    def __init__(self, dim: int, hidden: int, count: int) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(dim, hidden), nn.Linear(hidden, count)


def _last(head: nn.Module) -> nn.Linear:
    """The layer that gives the logits."""
    last = head.outer if isinstance(head, _Deep) else head
    assert isinstance(last, nn.Linear)
    return last


def _drop(x: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Dropout from a generator of one's own: torch's own layer draws from the global one."""
    return x * torch.empty_like(x).bernoulli_(1 - share, generator=generator) / (1 - share) if share else x


def level_weights(n_levels: int) -> npt.NDArray[np.float64]:
    """Weights of the levels in the loss, finer levels more: proportional to 1, 2, 3, ..., sum 1."""
    return np.arange(1, n_levels + 1) / (n_levels * (n_levels + 1) / 2)


def smoothing_scale(tree: Partition, level: int, smoothing_km: Smoothing = "auto") -> npt.NDArray[np.float64] | None:
    """tau in km of every cell of a level, (n_cells,), or None for hard targets.

    PIGEON uses one tau, 75 km. Cells of one quadtree level differ a thousandfold in size, and one tau would smear
    a city over a hundred cells and leave a desert hard. "auto" takes for each cell half the distance from its
    centre to the nearest other, in cities as in deserts: a neighbour then gets about exp(-2) of what the cell gets.
    A sequence gives one tau a level in km, where 0 is hard; None is hard everywhere.
    """
    if smoothing_km is None:
        return None
    if isinstance(smoothing_km, str):
        if smoothing_km != "auto":
            raise ValueError(f'smoothing_km={smoothing_km!r}: expected "auto", None or one number of km a level')
        if tree.n_cells[level] == 1:
            return None
        units = sphere.unit_vectors(*tree.centers(level))
        chord = np.asarray(cKDTree(units).query(units, k=2)[0])[:, 1]
        return np.maximum(sphere.EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2, 1)), 1e-3)  # no tau of 0
    if len(smoothing_km) != tree.n_levels or not all(0 <= tau < math.inf for tau in smoothing_km):
        raise ValueError(f"smoothing_km={smoothing_km}: expected {tree.n_levels} numbers of km, none negative")
    return np.full(tree.n_cells[level], float(smoothing_km[level])) if smoothing_km[level] else None


def cell_targets(
    lat: npt.ArrayLike, lon: npt.ArrayLike, tree: Partition, level: int, smoothing_km: Smoothing = "auto"
) -> Tensor:
    """Targets of photos over the cells of a level, float32 (n, n_cells), rows sum to 1.

    log y_i = -(d(g_i, x) - d(g_n, x)) / tau for centres g, the photo x and its own cell n, normalised. tau belongs
    to the cell n (see `smoothing_scale`). With tau towards 0 the cell with the nearest centre takes all; None
    and 0 are the hard target, the photo's own cell.
    """
    points, cells = _unit(lat, lon), torch.from_numpy(tree.assign(lat, lon)[:, level])
    tau = smoothing_scale(tree, level, smoothing_km)
    if tau is None:
        return F.one_hot(cells, tree.n_cells[level]).float()
    return _smooth(points, _unit(*tree.centers(level)), torch.from_numpy(tau).float()[cells])


def _smooth(points: Tensor, centers: Tensor, tau_km: Tensor) -> Tensor:
    """softmax(-d / tau) for unit vectors (n, 3) and (m, 3) and tau (n,); d(g_n, x) cancels in the softmax.

    The chord is taken from differences, not from 2 - 2 cos, which in float32 is off by kilometres when near.
    """
    chord = torch.cdist(points, centers, compute_mode="donot_use_mm_for_euclid_dist")
    km = chord.mul_(0.5).clamp_(max=1).asin_().mul_(2 * sphere.EARTH_RADIUS_KM)
    return km.div_(-tau_km[:, None]).softmax(dim=1)


class _Photos(NamedTuple):
    vectors: Tensor  # (n, dim), on the device if they fit there
    cells: Tensor  # (n, n_levels) int64, on the device
    points: Tensor  # (n, 3) unit vectors, on the device


class _Level(NamedTuple):
    weight: float
    centers: Tensor  # (n_cells, 3) unit vectors
    tau_km: Tensor | None  # (n_cells,), None for hard targets


def train_heads(
    vectors: Vectors,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    tree: Partition,
    *,
    calibration: tuple[Vectors, npt.ArrayLike, npt.ArrayLike] | None = None,
    level_weights: Sequence[float] | None = None,
    smoothing_km: Smoothing = "auto",
    epochs: int = 30,
    batch_size: int | None = None,
    lr: float = 2e-3,
    weight_decay: float = 0.5,
    dropout: float = 0.1,
    hidden: int = 0,
    leaf_sums: bool = False,
    warmup: float = 0.05,
    patience: int = 5,
    device: str = "auto",
    seed: int = 0,
    progress: Callable[[dict[str, float]], object] | None = None,
) -> tuple[HierarchicalHeads, pd.DataFrame]:
    """Train the heads of all levels on embeddings (n, dim) of photos at `lat`, `lon` (n,); returns them on the CPU.

    calibration: (vectors, lat, lon) of other photographers; with it each head keeps the weights of its best epoch
        (heads share nothing, and coarse ones overfit later), and training stops when the weighted loss has
        not improved for `patience` epochs. Without it the last epoch counts.
    level_weights: one a level, normalised here; default `geolib.heads.level_weights`. As the heads share nothing
        and Adam ignores the scale of a gradient, they decide which loss is watched, not what a head learns; with
        `leaf_sums`, where one head answers for all levels, they decide that too.
    smoothing_km: "auto", None for hard targets, or km a level: see `smoothing_scale`.
    batch_size: default a power of two from 128 to 4,096 that gives an epoch about 32 steps or more.
    warmup: share of all steps in which the rate rises linearly to `lr`; then it falls as a half cosine to 0.
    weight_decay, dropout: AdamW's decay of the weights (not the biases); share of coordinates dropped.
    hidden: units of a hidden layer in each head, half of them dropped in training; 0 for linear heads.
    leaf_sums: one head over the finest cells, its sums at every level, instead of one head a level.
    progress: called with each epoch's row of the history.

    The history has one row an epoch: `epoch`, `learning_rate`, `train_loss`, `calibration_loss`, per level
    `train_loss_0`, `train_accuracy_0`, `calibration_loss_0`, `calibration_accuracy_0`, ..., `seconds`;
    `history.attrs["best_epoch"]` lists the epoch kept for each level. Equal seeds give equal bytes on one CPU.

    Raises `ValueError` for vectors that are not (n, dim), finite and as many as the coordinates, for settings out
    of range, and when the loss is no longer finite.
    """
    chosen = _device(device)
    train = _photos(vectors, lat, lon, tree, chosen)
    n, dim = train.vectors.shape
    held_out = None if calibration is None else _photos(*calibration, tree, chosen, dim=dim)
    levels = _levels(tree, level_weights, smoothing_km, chosen)
    if batch_size is None:
        batch_size = min(4096, max(128, 2 ** int(math.log2(max(n / 32, 1)))))
    _check_positive(epochs=epochs, batch_size=batch_size, lr=lr, patience=patience)
    if not (0 <= dropout < 1 and 0 <= warmup < 1 and 0 <= weight_decay < math.inf):
        raise ValueError(f"{dropout=}, {warmup=}, {weight_decay=}: expected shares in [0, 1) and a decay of 0 or more")

    ancestors = tree.ancestors if leaf_sums else None
    heads = HierarchicalHeads(dim, tree.n_cells, hidden=hidden, ancestors=ancestors).to(chosen)
    heads.draw(torch.Generator().manual_seed(seed))
    heads.fit_start(train.vectors, train.cells)
    optimiser = _optimiser(heads, weight_decay)
    generator = torch.Generator(chosen).manual_seed(seed)
    n_steps = epochs * math.ceil(n / batch_size)
    rates = iter([lr * _schedule((step + 0.5) / n_steps, warmup) for step in range(n_steps)])
    best: dict[int, dict[str, Tensor]] = {}
    rows: list[dict[str, float]] = []
    for epoch in range(epochs):
        start = time.perf_counter()
        sums = torch.zeros(2, tree.n_levels, device=chosen)
        for batch in torch.split(torch.randperm(n, generator=generator, device=chosen), batch_size):
            rate = next(rates)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
            sums += _pass(heads, train, batch, levels, dropout, generator)
            optimiser.step()
        row = {"epoch": epoch + 1, "learning_rate": rate} | _row("train", sums / n, levels)
        if held_out is not None:
            row |= _row("calibration", _measure(heads, held_out, levels, batch_size), levels)
        if not all(map(math.isfinite, row.values())):
            raise ValueError(f"the loss of epoch {epoch + 1} is not finite: lower lr={lr}")
        rows.append(row | {"seconds": time.perf_counter() - start})
        if progress is not None:
            progress(rows[-1])
        if held_out is not None and _keep_best(best, heads, rows) >= patience:
            break
    for number, state in best.items():
        heads.heads[number].load_state_dict(state)
    history = pd.DataFrame(rows)
    watched = [_watched(heads, number) for number in range(len(heads.heads)) for _ in heads.levels_of(number)]
    history.attrs["best_epoch"] = [_best_epoch(rows, column) + 1 if best else len(rows) for column in watched]
    return heads.cpu().eval(), history


def predict_logits(heads: HierarchicalHeads, vectors: Vectors, batch_size: int = 4096) -> list[Any]:
    """Logits of embeddings (n, dim), float32 (n, n_cells) a level, coarse to fine: numpy for numpy, else tensors.

    Computed where the heads are, `batch_size` rows at a time, and gathered on the CPU.
    """
    rows = as_vectors(vectors, dim=heads.dim)
    out = [torch.empty(len(rows), count) for count in heads.n_cells]
    with torch.no_grad():
        for start in range(0, len(rows), batch_size):
            for target, logits in zip(out, heads(rows[start : start + batch_size]), strict=True):
                target[start : start + batch_size] = logits
    return out if isinstance(vectors, Tensor) else [logits.numpy() for logits in out]


def _photos(
    vectors: Vectors,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    tree: Partition,
    device: torch.device,
    dim: int | None = None,
) -> _Photos:
    cells = torch.from_numpy(tree.assign(lat, lon)).to(device)
    tensor = as_vectors(vectors, len(cells), dim)
    if device.type != "cuda" or tensor.nbytes < 0.6 * torch.cuda.mem_get_info(device)[0]:
        tensor = tensor.to(device)  # a larger set stays where it is, and each batch is copied
    return _Photos(tensor, cells, _unit(lat, lon).to(device))


def _levels(
    tree: Partition, weights: Sequence[float] | None, smoothing_km: Smoothing, device: torch.device
) -> list[_Level]:
    share = np.asarray(level_weights(tree.n_levels) if weights is None else weights, dtype=np.float64)
    if share.shape != (tree.n_levels,) or not (share >= 0).all() or not 0 < share.sum() < math.inf:
        raise ValueError(f"level_weights={weights}: expected {tree.n_levels} numbers, none negative, not all 0")
    out = []
    for level, weight in enumerate(share / share.sum()):
        tau = smoothing_scale(tree, level, smoothing_km)
        tau_km = None if tau is None else torch.from_numpy(tau).float().to(device)
        out.append(_Level(float(weight), _unit(*tree.centers(level)).to(device), tau_km))
    return out


def _pass(
    heads: HierarchicalHeads,
    photos: _Photos,
    batch: Tensor,
    levels: Sequence[_Level],
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Summed loss and right answers of a batch, (2, n_levels); gradients of the weighted mean loss if enabled.

    Chunked over rows, so that one chunk's logits hold at most `CHUNK_ELEMENTS` numbers, and each chunk's graph is
    freed before the next is built.
    """
    x = heads.standardise(photos.vectors[batch.to(photos.vectors.device)].to(batch.device))
    x = _drop(x, dropout, generator)
    cells, points = photos.cells[batch], photos.points[batch]
    sums = torch.zeros(2, len(levels), device=x.device)
    for number in range(len(heads.heads)):
        answered = heads.levels_of(number)
        rows = max(1, CHUNK_ELEMENTS // sum(heads.n_cells[level] for level in answered))
        for part, own, point in zip(*(torch.split(tensor, rows) for tensor in (x, cells, points)), strict=True):
            total = torch.zeros((), device=x.device)
            hidden_dropout = _HIDDEN_DROPOUT if torch.is_grad_enabled() and dropout else 0.0
            for level, logits in zip(answered, heads.answers(number, part, hidden_dropout, generator), strict=True):
                right, known = own[:, level], levels[level]
                target = right if known.tau_km is None else _smooth(point, known.centers, known.tau_km[right])
                loss = F.cross_entropy(logits, target, reduction="sum")
                total = total + loss * (known.weight / len(batch))
                sums[0, level] += loss.detach()
                sums[1, level] += (logits.detach().argmax(dim=1) == right).sum()
            if torch.is_grad_enabled():
                total.backward()  # type: ignore[no-untyped-call]
    return sums


@torch.no_grad()
def _measure(heads: HierarchicalHeads, photos: _Photos, levels: Sequence[_Level], batch_size: int) -> Tensor:
    """Mean loss and accuracy over all photos, (2, n_levels)."""
    batches = torch.split(torch.arange(len(photos.cells), device=photos.cells.device), batch_size)
    return torch.stack([_pass(heads, photos, batch, levels) for batch in batches]).sum(dim=0) / len(photos.cells)


def _row(split: str, means: Tensor, levels: Sequence[_Level]) -> dict[str, float]:
    """A split's part of a history row, from mean loss and accuracy (2, n_levels)."""
    losses, accuracies = means.tolist()
    row = {f"{split}_loss": sum(level.weight * loss for level, loss in zip(levels, losses, strict=True))}
    row |= {f"{split}_loss_{level}": loss for level, loss in enumerate(losses)}
    return row | {f"{split}_accuracy_{level}": accuracy for level, accuracy in enumerate(accuracies)}


def _keep_best(best: dict[int, dict[str, Tensor]], heads: HierarchicalHeads, rows: Sequence[dict[str, float]]) -> int:
    """Copy the heads that the last epoch improved into `best`; how many epochs ago the weighted loss was best."""
    last = len(rows) - 1
    for number, head in enumerate(heads.heads):
        if _best_epoch(rows, _watched(heads, number)) == last:
            best[number] = {name: value.clone() for name, value in head.state_dict().items()}
    return last - _best_epoch(rows, "calibration_loss")


def _watched(heads: HierarchicalHeads, number: int) -> str:
    """The column of the history that says when a head was best: its level's loss, or the weighted loss of all."""
    return "calibration_loss" if heads.ancestors is not None else f"calibration_loss_{number}"


def _best_epoch(rows: Sequence[dict[str, float]], column: str) -> int:
    """Position of the row with the smallest value, the first of equals."""
    return min(range(len(rows)), key=lambda epoch: rows[epoch][column])


def _optimiser(heads: HierarchicalHeads, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW that leaves the biases alone: they hold the prior, which is no reason for doubt."""
    named = list(heads.heads.named_parameters())
    groups = [
        {"params": [value for name, value in named if name.endswith("weight")], "weight_decay": weight_decay},
        {"params": [value for name, value in named if name.endswith("bias")], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)  # fused: no temporaries of the weights' size


def _schedule(done: float, warmup: float) -> float:
    """Share of the full learning rate when a share `done` of all steps is done: linear warmup, then half a cosine."""
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def _unit(lat: npt.ArrayLike, lon: npt.ArrayLike) -> Tensor:
    """Unit vectors, float32 (n, 3): each coordinate is good to 0.4 m."""
    return torch.from_numpy(sphere.unit_vectors(lat, lon)).float()


def _device(name: str) -> torch.device:
    """`auto` is a CUDA device, else the CPU: on small heads MPS is not faster, and it is not deterministic."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def _check_positive(**settings: float) -> None:
    for name, value in settings.items():
        if not 0 < value < math.inf:
            raise ValueError(f"{name}={value}: expected a number above 0")
