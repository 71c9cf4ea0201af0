"""Heads against PyTorch's own cross-entropy and autograd, targets against the formula in float64, and bad input."""

import json
import math
import weakref
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from geolib import heads as module
from geolib import sphere
from geolib.cells import GeocellTree
from geolib.fusion import marginals
from geolib.heads import (
    HierarchicalHeads,
    LevelTargets,
    TrainingPhotos,
    TrainOptions,
    batch_loss,
    cell_targets,
    learning_rates,
    level_targets,
    make_optimiser,
    predict_logits,
    smoothed_targets,
    smoothing_scale,
    train_heads,
    training_photos,
)

DIM = 24
CITIES = np.array(
    [(48.9, 2.3), (51.5, -0.1), (40.7, -74.0), (35.7, 139.7), (-33.9, 151.2), (-17.8, 179.9), (0, -179.9)]
)


def photos(n, seed, noise=0.05):
    """Unit vectors (n, DIM) that show where the photo is, off-centre as CLIP's are: (vectors, lat, lon)."""
    rng = np.random.default_rng(seed)
    place = CITIES[rng.integers(len(CITIES), size=n)]
    lat = np.clip(place[:, 0] + rng.normal(0, 2, n), -90, 90)
    lon = (place[:, 1] + rng.normal(0, 2, n) + 180) % 360 - 180
    mix = np.random.default_rng(99).normal(size=(3, DIM))
    vectors = sphere.unit_vectors(lat, lon) @ mix + noise * rng.normal(size=(n, DIM)) + 5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), lat, lon


TRAIN, HELD_OUT = photos(1500, 0), photos(400, 1)
TREE = GeocellTree.fit(TRAIN[1], TRAIN[2], (8, 40), min_photos=5)


@pytest.fixture(scope="module")
def trained():
    return train_heads(*TRAIN, TREE, calibration=HELD_OUT, options=TrainOptions(epochs=8))


def random_heads(dim, n_cells):
    heads = HierarchicalHeads(dim, n_cells)
    generator = torch.Generator().manual_seed(5)
    for parameter in heads.heads.parameters():
        parameter.data.normal_(generator=generator)
    return heads


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Matrices this small are slower on two threads, and far slower when other tests want them too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# Targets


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("smoothing", ["auto", (500.0, 0.5)])
def test_targets_are_the_papers_formula(level, smoothing):
    _, lat, lon = HELD_OUT
    got = cell_targets(lat, lon, TREE, level, smoothing)
    own = TREE.assign(lat, lon)[:, level]
    center_lat, center_lon = TREE.centers(level)
    km = sphere.haversine_km(lat[:, None], lon[:, None], center_lat, center_lon)
    tau = smoothing_scale(TREE, level, smoothing)[own]
    excess = km - km[np.arange(len(km)), own][:, None]
    log_y = -excess / tau[:, None]
    expected = np.exp(log_y - np.logaddexp.reduce(log_y, axis=1, keepdims=True))
    np.testing.assert_allclose(
        got.numpy(), expected, atol=2e-3 if smoothing != "auto" else 1e-4
    )  # tau of 500 m in float32
    np.testing.assert_allclose(got.double().sum(dim=1), 1, atol=1e-6)


def test_targets_tell_centres_apart_that_are_metres_apart():
    """2 - 2 cos in float32 cannot: it makes the distances 0 or kilometres."""
    lat = 48.0 + np.array([0, 10, 30]) / 111_195  # metres north
    points = torch.from_numpy(sphere.unit_vectors(lat[:1], [11.0])).float()
    centers = torch.from_numpy(sphere.unit_vectors(lat, np.full(3, 11.0))).float()
    got = smoothed_targets(points, centers, torch.tensor([0.02]))
    np.testing.assert_allclose(got[0], np.exp([0, -0.5, -1.5]) / np.exp([0, -0.5, -1.5]).sum(), atol=0.01)


def test_targets_reach_the_antipode_without_nan():
    points = torch.tensor([[1.0, 0, 0]])
    got = smoothed_targets(points, torch.tensor([[-1.0, 0, 0], [1.0, 0, 0], [-1 - 1e-6, 0, 0]]), torch.tensor([1e4]))
    far = math.exp(-math.pi * sphere.EARTH_RADIUS_KM / 1e4)
    np.testing.assert_allclose(got[0], np.array([far, 1, far]) / (1 + 2 * far), rtol=1e-5)


def test_without_smoothing_the_target_is_the_own_cell():
    _, lat, lon = HELD_OUT
    got = cell_targets(lat, lon, TREE, 1, None)
    np.testing.assert_array_equal(got.argmax(dim=1), TREE.assign(lat, lon)[:, 1])
    np.testing.assert_array_equal(got.sum(dim=1), 1)
    assert set(np.unique(got)) == {0, 1}


def test_auto_scale_is_half_the_distance_to_the_nearest_other_centre():
    lat, lon = TREE.centers(1)
    km = sphere.haversine_km(lat[:, None], lon[:, None], lat, lon)
    np.fill_diagonal(km, np.inf)
    np.testing.assert_allclose(smoothing_scale(TREE, 1), km.min(axis=1) / 2, rtol=1e-9)


@pytest.mark.parametrize("smoothing", ["km", (75,), (75, -1), (75, 0), (75, math.nan), (75, math.inf)])
def test_bad_smoothing_is_refused(smoothing):
    with pytest.raises(ValueError, match="smoothing_km"):
        smoothing_scale(TREE, 0, smoothing)


# Loss


def batch_of(tree, vectors, lat, lon):
    data = training_photos((vectors, lat, lon), tree, torch.device("cpu"))
    return data, torch.arange(len(vectors))


@pytest.mark.parametrize("smoothing", ["auto", None, (300, 75)])
@pytest.mark.parametrize("chunk", [1, 333, 2**25])
def test_chunked_loss_and_gradients_are_autograds(monkeypatch, smoothing, chunk):
    vectors, lat, lon = (column[:150] for column in HELD_OUT)
    heads = random_heads(DIM, TREE.n_cells)
    logits = heads(torch.from_numpy(vectors))
    targets = [cell_targets(lat, lon, TREE, level, smoothing) for level in range(2)]
    losses = [F.cross_entropy(z, y) for z, y in zip(logits, targets, strict=True)]
    (sum(losses) / 2).backward()
    expected = [parameter.grad.clone() for parameter in heads.heads.parameters()]
    heads.zero_grad()

    monkeypatch.setattr(module, "CHUNK_ELEMENTS", chunk)
    data, batch = batch_of(TREE, vectors, lat, lon)
    sums = batch_loss(
        heads, data, batch, level_targets(TREE, TrainOptions(smoothing_km=smoothing), torch.device("cpu"))
    )
    torch.testing.assert_close(sums[0] / 150, torch.stack(losses).detach(), rtol=1e-5, atol=1e-5)
    own = torch.from_numpy(TREE.assign(lat, lon))
    assert sums[1].tolist() == [(z.argmax(dim=1) == own[:, level]).sum() for level, z in enumerate(logits)]
    for got, want in zip(heads.heads.parameters(), expected, strict=True):
        torch.testing.assert_close(got.grad, want, rtol=1e-4, atol=1e-5)


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of all living tensors made under it; on the "meta" device nothing is allocated or computed."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.seen = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.count(tensor.untyped_storage())
        return result

    def count(self, storage):
        if storage not in self.seen:
            self.seen.add(storage)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.free, storage.nbytes())

    def free(self, nbytes):
        self.now -= nbytes


def step_on(device, n_cells, dim, batch, smooth):
    """Two training steps of full size: from the second on Adam's moments are there too."""
    heads = HierarchicalHeads(dim, n_cells).to(device)
    optimiser = make_optimiser(heads, 0.5)
    for group in optimiser.param_groups:
        group["fused"] = device.type != "meta"  # there is no fused kernel for "meta"; the plain one needs more memory
    cells = torch.zeros(batch, len(n_cells), dtype=torch.int64, device=device)
    data = TrainingPhotos(torch.zeros(batch, dim, device=device), cells, torch.zeros(batch, 3, device=device))
    tau = [torch.ones(count, device=device) if smooth else None for count in n_cells]
    levels = [LevelTargets(1.0, torch.zeros(m, 3, device=device), t) for m, t in zip(n_cells, tau, strict=True)]
    for _ in range(2):
        optimiser.zero_grad()
        batch_loss(heads, data, torch.arange(batch, device=device), levels, 0.1)
        optimiser.step()


ARTICLE = {"n_cells": (100, 1000, 10_000, 50_000), "dim": 768, "batch": 4096}


@pytest.mark.parametrize("smooth", [True, False])
def test_the_articles_levels_fit_in_8_gb(smooth, monkeypatch):
    def peak():
        with PeakMemory() as memory:
            step_on(torch.device("meta"), **ARTICLE, smooth=smooth)
        return memory.peak

    chunked = peak()
    assert 0.75e9 < chunked < 3e9  # weights, gradient and Adam's two moments alone are 0.75 GB
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", 2**40)
    assert peak() > chunked + 2e9  # what chunks save; also shows that the count sees logits


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("smooth", [True, False])
def test_the_articles_levels_fit_in_8_gb_on_a_gpu(smooth):
    torch.cuda.reset_peak_memory_stats()
    step_on(torch.device("cuda"), **ARTICLE, smooth=smooth)
    assert 0.75e9 < torch.cuda.max_memory_allocated() < 8e9


# Training


def test_training_learns_every_level(trained):
    heads, history = trained
    cells = TREE.assign(*HELD_OUT[1:])
    shares = [np.bincount(TREE.assign(*TRAIN[1:])[:, level]).max() / len(TRAIN[1]) for level in range(2)]
    for level, logits in enumerate(predict_logits(heads, HELD_OUT[0])):
        accuracy = (logits.argmax(axis=1) == cells[:, level]).mean()
        assert accuracy > 2 * shares[level]
        best = history.attrs["best_epoch"][level] - 1
        assert accuracy == pytest.approx(history[f"calibration_accuracy_{level}"][best])  # the best epoch's weights
        assert best == history[f"calibration_loss_{level}"].argmin()


def test_history_can_be_plotted(trained):
    history = trained[1]
    assert list(history["epoch"]) == list(range(1, len(history) + 1))
    assert history.notna().all(axis=None)
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    np.testing.assert_allclose(history["train_loss"], history[["train_loss_0", "train_loss_1"]].mean(axis=1), rtol=1e-6)


def test_the_loss_of_a_trunk_is_weighted():
    history = train_heads(*TRAIN, TREE, options=TrainOptions(epochs=2, trunk=8))[1]
    parts = sum(w * history[f"train_loss_{level}"] for level, w in enumerate(module.level_weights(2)))
    np.testing.assert_allclose(history["train_loss"], parts, rtol=1e-6)


def test_the_first_answer_is_the_prior():
    heads = HierarchicalHeads(DIM, TREE.n_cells)
    cells = torch.from_numpy(TREE.assign(*TRAIN[1:]))
    heads.fit_start(torch.from_numpy(TRAIN[0]), cells)
    probability = heads(torch.from_numpy(HELD_OUT[0]))[1].softmax(dim=1)
    counts = TREE.counts(1)
    np.testing.assert_allclose(probability[7].detach(), (counts + 0.5) / (counts + 0.5).sum(), rtol=1e-4)
    x = heads.standardise(torch.from_numpy(TRAIN[0]))
    np.testing.assert_allclose(x.mean(dim=0), 0, atol=1e-3)
    assert x.std(dim=0).max() < 1.01


def test_equal_seeds_give_equal_bytes_and_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    runs = [train_heads(*TRAIN, TREE, options=TrainOptions(epochs=2), seed=seed)[0].state_dict() for seed in (3, 3, 4)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not torch.equal(runs[0]["heads.1.weight"], runs[2]["heads.1.weight"])


SWAPPED = HELD_OUT[0], -HELD_OUT[1], HELD_OUT[2]  # what is learnt is wrong here


def test_training_stops_when_calibration_gets_worse_and_keeps_the_best():
    heads, history = train_heads(*TRAIN, TREE, calibration=SWAPPED, options=TrainOptions(patience=2))
    best = [history[f"calibration_loss_{level}"].argmin() + 1 for level in range(2)]
    assert history.attrs["best_epoch"] == best
    assert len(history) == max(best) + 2 < 30
    first, _ = train_heads(*TRAIN, TREE, calibration=SWAPPED, options=TrainOptions(patience=1))
    assert torch.equal(heads.heads[1].weight, first.heads[1].weight)


def test_heads_on_a_trunk_return_to_one_epoch_together():
    seen = {}

    def watch(row):
        seen[row["epoch"]] = row

    options = TrainOptions(trunk=16, lr=0.02, patience=3)
    heads, history = train_heads(*TRAIN, TREE, calibration=HELD_OUT, options=options, progress=watch)
    best = int(history["calibration_loss"].argmin()) + 1
    assert history.attrs["best_epoch"] == [best, best] and best < len(history)  # there is something to return from
    cells = TREE.assign(*HELD_OUT[1:])
    for level, logits in enumerate(predict_logits(heads, HELD_OUT[0])):
        target = cell_targets(*HELD_OUT[1:], TREE, level)
        assert F.cross_entropy(torch.tensor(logits), target) == pytest.approx(seen[best][f"calibration_loss_{level}"])
        accuracy = (logits.argmax(axis=1) == cells[:, level]).mean()
        assert accuracy == pytest.approx(seen[best][f"calibration_accuracy_{level}"])


def test_heads_that_share_nothing_learn_as_each_does_alone():
    """Why level weights are refused for them, and why four heads are one flat head by construction."""
    tau = np.array([2000.0, 100.0])
    options = TrainOptions(lr=5e-4, patience=1, smoothing_km=tau)
    both, history = train_heads(*TRAIN, TREE, calibration=SWAPPED, options=options)
    epochs = history.attrs["best_epoch"]
    assert epochs[0] != epochs[1]  # one of them stopped first
    for level, cells in enumerate(TREE.n_cells):
        tree = GeocellTree.fit(*TRAIN[1:], (cells,), min_photos=5)
        how = TrainOptions(lr=5e-4, patience=1, smoothing_km=tau[[level]])
        alone, history = train_heads(*TRAIN, tree, calibration=SWAPPED, options=how)
        assert history.attrs["best_epoch"] == [epochs[level]]
        np.testing.assert_allclose(
            predict_logits(both, HELD_OUT[0])[level], predict_logits(alone, HELD_OUT[0])[0], rtol=1e-3, atol=1e-3
        )


@pytest.mark.parametrize("switch", [torch.no_grad, torch.inference_mode])
def test_training_learns_where_the_caller_has_switched_gradients_off(switch):
    options = TrainOptions(epochs=2, trunk=8)
    with switch():
        heads, _ = train_heads(*TRAIN, TREE, options=options)
    expected, _ = train_heads(*TRAIN, TREE, options=options)
    assert heads.heads[1].weight.abs().max() > 0
    for got, want in zip(heads.parameters(), expected.parameters(), strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize("trunk", [0, 2000])
def test_dropout_keeps_the_expected_logit(trunk):
    """Sums of 2,000 equal terms, half of them dropped: the loss stays what it is without dropout."""
    heads = HierarchicalHeads(2000, (2,), trunk=trunk)
    with torch.no_grad():
        heads.heads[0].weight[0] = 1e-3
        if trunk:
            heads.trunk.weight.zero_()
            heads.trunk.bias.fill_(1.0)
    vectors = torch.full((50, 2000), 2000**-0.5)
    data = TrainingPhotos(vectors, torch.zeros(50, 1, dtype=torch.int64), torch.zeros(50, 3))
    levels, batch = [LevelTargets(1.0, torch.zeros(2, 3), None)], torch.arange(50)
    plain = batch_loss(heads, data, batch, levels)[0, 0]
    dropped = batch_loss(heads, data, batch, levels, 0.5, torch.Generator().manual_seed(0))[0, 0]
    assert dropped != plain and dropped == pytest.approx(plain.item(), rel=0.05)


@pytest.mark.parametrize("trunk", [0, 6])
def test_weight_decay_spares_the_biases(trunk):
    heads = HierarchicalHeads(DIM, TREE.n_cells, trunk=trunk)
    for parameter in heads.parameters():
        parameter.data.fill_(1.0)
        parameter.grad = torch.zeros_like(parameter)
    make_optimiser(heads, 50.0).step()
    for name, parameter in heads.named_parameters():
        shrunk = parameter.max() < 0.99
        assert shrunk == name.endswith("weight"), name


def test_options_have_their_effect():
    def last(progress=None, **options):
        return train_heads(*TRAIN, TREE, options=TrainOptions(epochs=2, **options), progress=progress)

    plain, history = last()
    assert last(weight_decay=50.0)[0].heads[1].weight.norm() < 0.9 * plain.heads[1].weight.norm()
    assert last(dropout=0.5)[1]["train_loss"].iloc[-1] > history["train_loss"].iloc[-1]
    assert (
        last(smoothing_km=None)[1]["train_loss"].iloc[-1] < history["train_loss"].iloc[-1]
    )  # no entropy in the target
    watched = last(trunk=8, level_weights=(1, 0))[1]
    np.testing.assert_allclose(watched["train_loss"], watched["train_loss_0"])
    seen = []
    _, watched = last(progress=seen.append)
    assert [row["epoch"] for row in seen] == [1, 2] and seen[1]["train_loss"] == watched["train_loss"][1]


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_training_learns_in_a_context_without_gradients(context):
    options = TrainOptions(epochs=2)
    with context():
        inside, history = train_heads(*TRAIN, TREE, options=options)
        assert not torch.is_grad_enabled(), "the caller's context goes on"
    outside, _ = train_heads(*TRAIN, TREE, options=options)
    assert torch.equal(inside.heads[1].weight, outside.heads[1].weight)
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


@pytest.mark.parametrize("dropout", [0.0, 0.1, 0.5, 0.8])
def test_dropout_keeps_the_mean_of_what_it_drops_from(dropout):
    """The loss of a sure and wrong answer is its logit, and the mean logit must be that without dropout."""
    dim, n = 400, 600
    heads, ones = HierarchicalHeads(dim, (2,)), torch.ones(n, dim)
    with torch.no_grad():
        heads.heads[0].weight.copy_(torch.tensor([[10.0], [-10.0]]) / heads.standardise(ones[:1]).sum())
        heads.heads[0].bias.zero_()
    known = TrainingPhotos(ones, torch.ones(n, 1, dtype=torch.int64), torch.zeros(n, 3))
    levels, generator = [LevelTargets(1.0, torch.zeros(2, 3), None)], torch.Generator().manual_seed(0)
    with torch.no_grad():
        loss, _ = batch_loss(heads, known, torch.arange(n), levels, dropout, generator)
    assert float(loss[0]) / n == pytest.approx(20, rel=0.02)


def test_weights_decay_and_biases_do_not():
    heads = random_heads(6, (3, 4))
    before = {name: value.detach().clone() for name, value in heads.heads.named_parameters()}
    optimiser = make_optimiser(heads, weight_decay=0.5)
    for parameter in heads.heads.parameters():
        parameter.grad = torch.zeros_like(parameter)  # nothing to learn: only the decay acts
    for group in optimiser.param_groups:
        group["lr"] = 0.1
    optimiser.step()
    for name, value in heads.heads.named_parameters():
        factor = 0.95 if name.endswith("weight") else 1.0
        torch.testing.assert_close(value.detach(), before[name] * factor)


def test_the_rate_rises_then_falls():
    rates = list(learning_rates(1000, 3.0, warmup=0.1))
    assert rates[0] == pytest.approx(3 * 0.5 / 100) and max(rates) == pytest.approx(3, rel=1e-4)
    assert rates[549] == pytest.approx(1.5, abs=0.01) and rates[-1] == pytest.approx(0, abs=1e-4)
    assert np.argmax(rates) == 100 and (np.diff(rates[:100]) > 0).all() and (np.diff(rates[100:]) < 0).all()


def test_one_cell_constant_embeddings_and_half_precision():
    lat, lon = np.full(20, 48.0), np.full(20, 11.0)
    vectors = np.full((20, 4), 0.5, dtype=np.float16)
    with pytest.warns(UserWarning, match="fill at most 1 cells"):
        tree = GeocellTree.fit(lat, lon, (2,), min_photos=20)
    heads, history = train_heads(vectors, lat, lon, tree, options=TrainOptions(epochs=2))
    assert history["train_loss"].abs().max() == 0
    assert predict_logits(heads, vectors)[0].shape == (20, 1)


# Prediction


def test_prediction_does_not_depend_on_the_batch(trained):
    whole = predict_logits(trained[0], HELD_OUT[0])
    assert [z.shape for z in whole] == [(400, n) for n in TREE.n_cells]
    assert all(isinstance(z, np.ndarray) and z.dtype == np.float32 for z in whole)
    many = predict_logits(trained[0], torch.from_numpy(np.tile(HELD_OUT[0], (11, 1))))  # more than one batch
    for a, b in zip(whole, many, strict=True):
        np.testing.assert_allclose(np.tile(a, (11, 1)), b, rtol=1e-4, atol=1e-5)


def test_a_read_only_store_is_accepted(trained):
    vectors = HELD_OUT[0].copy()
    vectors.flags.writeable = False
    assert len(predict_logits(trained[0], vectors)[0]) == 400


def test_weights_survive_a_round_trip(trained):
    other = HierarchicalHeads(DIM, TREE.n_cells)
    other.load_state_dict({name: value.clone() for name, value in trained[0].state_dict().items()})
    for a, b in zip(predict_logits(trained[0], HELD_OUT[0]), predict_logits(other, HELD_OUT[0]), strict=True):
        np.testing.assert_array_equal(a, b)


# Trunk and leaf sums


def test_leaf_sums_are_the_marginals_of_the_finest_softmax():
    heads = HierarchicalHeads(DIM, TREE.n_cells, ancestors=TREE.ancestors)
    for parameter in heads.heads.parameters():
        parameter.data.normal_(0, 30, generator=torch.Generator().manual_seed(5))  # far apart, so sums underflow
    coarse, fine = heads(torch.from_numpy(HELD_OUT[0]))
    expected = marginals(fine.softmax(dim=1), TREE)[0]
    np.testing.assert_allclose(coarse.softmax(dim=1).detach(), expected, rtol=1e-3, atol=1e-5)
    assert coarse.isfinite().all()


@pytest.mark.parametrize("chunk", [1, 333, 2**25])
@pytest.mark.parametrize(
    "kind", [{"ancestors": TREE.ancestors}, {"trunk": 7}, {"ancestors": TREE.ancestors, "trunk": 7}]
)
def test_what_shares_has_autograds_loss_and_gradients(monkeypatch, chunk, kind):
    vectors, lat, lon = (column[:80] for column in HELD_OUT)
    heads = HierarchicalHeads(DIM, TREE.n_cells, **kind)
    for parameter in heads.parameters():
        parameter.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(6))
    losses = [
        F.cross_entropy(z, cell_targets(lat, lon, TREE, level))
        for level, z in enumerate(heads(torch.from_numpy(vectors)))
    ]
    sum(w * loss for w, loss in zip(module.level_weights(2), losses, strict=True)).backward()
    expected = [parameter.grad.clone() for parameter in heads.parameters()]
    heads.zero_grad()
    monkeypatch.setattr(module, "CHUNK_ELEMENTS", chunk)
    data, batch = batch_of(TREE, vectors, lat, lon)
    sums = batch_loss(heads, data, batch, level_targets(TREE, TrainOptions(trunk=7), torch.device("cpu")))
    torch.testing.assert_close(sums[0] / 80, torch.stack(losses).detach(), rtol=1e-5, atol=1e-5)
    for got, want in zip(heads.parameters(), expected, strict=True):
        torch.testing.assert_close(got.grad, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [{"leaf_sums": True}, {"trunk": 32}, {"leaf_sums": True, "trunk": 32}])
def test_what_shares_learns_and_survives_a_round_trip(kind):
    before = torch.random.get_rng_state()
    options = TrainOptions(epochs=8, lr=1e-3, **kind)
    heads, history = train_heads(*TRAIN, TREE, calibration=HELD_OUT, options=options)
    again, _ = train_heads(*TRAIN, TREE, calibration=HELD_OUT, options=options)
    assert torch.equal(before, torch.random.get_rng_state())
    state = {name: value.clone() for name, value in heads.state_dict().items()}
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in state.items())
    cells, answers = TREE.assign(*HELD_OUT[1:]), predict_logits(heads, HELD_OUT[0])
    for level, logits in enumerate(answers):
        share = np.bincount(TREE.assign(*TRAIN[1:])[:, level]).max() / len(TRAIN[1])
        assert (logits.argmax(axis=1) == cells[:, level]).mean() > 2 * share
    for got, want in zip(predict_logits(HierarchicalHeads.of_state(state, TREE), HELD_OUT[0]), answers, strict=True):
        np.testing.assert_array_equal(got, want)
    assert set(history.attrs["best_epoch"]) == {history["calibration_loss"].argmin() + 1}


@pytest.mark.parametrize("kind", [{"leaf_sums": True}, {"trunk": 8}])
def test_level_weights_decide_what_is_shared(kind):
    coarse, fine = (
        train_heads(*TRAIN, TREE, options=TrainOptions(epochs=3, level_weights=weights, **kind))[1].iloc[-1]
        for weights in ((1, 0.01), (0.01, 1))
    )
    assert coarse["train_loss_0"] < fine["train_loss_0"] and fine["train_loss_1"] < coarse["train_loss_1"]


def test_level_weights_are_refused_where_they_would_do_nothing():
    with pytest.raises(ValueError, match=r"same by construction.*trunk=256"):
        TrainOptions(level_weights=(1, 2))


def test_weights_of_the_older_hidden_layers_are_refused_with_their_reason():
    state = {f"heads.{level}.inner.{name}": torch.zeros(3) for level in range(2) for name in ("weight", "bias")}
    with pytest.raises(RuntimeError, match="older geolib: fit"):
        HierarchicalHeads.of_state(state, TREE)


# Bad input


def spoilt(value):
    vectors = TRAIN[0].copy()
    vectors[700, 3] = value
    return vectors


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (TRAIN[0][:-1], r"expected \(1500, dim\)"),
        (TRAIN[0][0], "expected floats"),
        (TRAIN[0][:, :0], "expected floats"),
        ((TRAIN[0] * 127).astype(np.int8), "torch.int8"),
        (spoilt(np.nan), "row 700 holds NaN"),
        (spoilt(np.inf), "row 700 holds NaN or infinity"),
    ],
)
def test_bad_vectors_are_refused(vectors, message):
    with pytest.raises(ValueError, match=message):
        train_heads(vectors, *TRAIN[1:], TREE)


def test_vectors_of_another_encoder_are_refused(trained):
    with pytest.raises(ValueError, match=rf"\(n, {DIM}\) .*same photos, same encoder"):
        predict_logits(trained[0], HELD_OUT[0][:, :-1])
    with pytest.raises(ValueError, match="same encoder"):
        train_heads(*TRAIN, TREE, calibration=(HELD_OUT[0][:, :-1], *HELD_OUT[1:]))
    with pytest.raises(ValueError, match="at least one row"):
        predict_logits(trained[0], HELD_OUT[0][:0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"lr": math.nan}, "lr=nan"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"warmup": 1.0}, "warmup=1.0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0"),
        ({"trunk": -1}, "trunk=-1"),
        ({"trunk": 8, "level_weights": (1,)}, "level_weights"),
        ({"level_weights": "auto"}, "level_weights=auto"),
        ({"trunk": 8, "level_weights": (0, 0)}, "level_weights"),
        ({"trunk": 8, "level_weights": (1, math.nan)}, "level_weights"),
        ({"smoothing_km": "soft"}, "smoothing_km"),
        ({"lr": 1e38}, "not finite: lower lr"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        train_heads(*TRAIN, TREE, options=TrainOptions(**{"epochs": 1, **options}))


def test_options_are_plain_numbers_whatever_they_were_given_as():
    options = TrainOptions(
        epochs=np.int64(2), batch_size=256.0, lr=np.float32(0.5), dropout=np.float64(0), trunk=np.int32(8),
        leaf_sums=np.True_, smoothing_km=np.array([75, 30]), level_weights=[np.int8(1), 2], patience=np.array(3),
    )  # fmt: skip
    assert options == TrainOptions(
        epochs=2, batch_size=256, lr=0.5, dropout=0.0, trunk=8, leaf_sums=True, smoothing_km=(75.0, 30.0),
        level_weights=(1.0, 2.0), patience=3,
    )  # fmt: skip
    assert json.loads(json.dumps(asdict(options)))["smoothing_km"] == [75.0, 30.0]
    train_heads(*TRAIN, TREE, options=options)
    with pytest.raises(FrozenInstanceError):
        options.epochs = 3


@pytest.mark.parametrize(("dim", "n_cells"), [(0, (3,)), (4, ()), (4, (3, 0))])
def test_heads_without_cells_are_refused(dim, n_cells):
    with pytest.raises(ValueError, match="n_cells"):
        HierarchicalHeads(dim, n_cells)


@pytest.mark.parametrize("settings", [{"epochs": 2.5}, {"trunk": 3.5}, {"batch_size": 1.5}, {"patience": 0.5}])
def test_counts_of_the_options_are_whole_numbers(settings):
    with pytest.raises(ValueError, match="expected a whole number"):
        TrainOptions(**settings)
