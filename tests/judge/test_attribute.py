"""Maps of importance keep their axioms, find what is known to matter, and their measures are what they say."""

import copy
import dataclasses

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import spearmanr

from geolib import Encoder, Geolocator, TrainOptions
from geolib.common.errors import MismatchError
from geolib.judge import attribute


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    encoder = Encoder.load(tiny.write_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")
    vectors, lat, lon = tiny.world(dim=encoder.dim)
    return Geolocator.fit(encoder, vectors, lat, lon, cells_per_level=(4, 12), options=TrainOptions(epochs=8), seed=0)


@pytest.fixture(scope="module")
def crop(model):
    size = model.encoder.image_size
    small = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.kron(small, np.ones((size // 4, size // 4, 1), np.uint8))


def score(model, crop, cells, level=-1):
    with torch.no_grad():
        inputs = model.encoder.preprocessing.normalise(torch.from_numpy(crop[None].copy()))
        return float(attribute.log_share(model, inputs, cells, level)[0])


class Watcher(torch.nn.Module):
    """An image tower that sees one square of the picture alone, and of that the mean colour."""

    def __init__(self, dim, rows, columns):
        super().__init__()
        self.rows, self.columns, self.dim = rows, columns, dim
        self.visual = torch.nn.Linear(1, 1)  # for `randomised`, which wants weights

    def encode_image(self, inputs):
        seen = inputs[:, :, self.rows, self.columns].mean(dim=(2, 3))
        return torch.nn.functional.pad(torch.cat([seen, torch.ones(len(seen), 1)], dim=1), (0, self.dim - 4))


@pytest.fixture
def watching(model):
    """A model that looks at the square [4, 12) x [16, 24) alone, with heads that answer to the colours there."""
    encoder = copy.copy(model.encoder)
    encoder.model = Watcher(encoder.dim, slice(4, 12), slice(16, 24))
    heads = copy.deepcopy(model.heads)
    with torch.no_grad():
        for head in heads.heads:
            head.weight.normal_(generator=torch.Generator().manual_seed(2))
            head.bias.zero_()
    region = np.zeros((encoder.image_size,) * 2, bool)
    region[4:12, 16:24] = True
    return dataclasses.replace(model, encoder=encoder, heads=heads), region


# The score


def test_the_score_is_the_log_of_what_the_head_gives(model, crop):
    vector = model.encoder.embed_images([crop])
    for level in (0, -1):
        logits = model.heads(torch.from_numpy(vector))[level][0].detach().double()
        share = logits.softmax(0)[[1, 2]].sum().log().item()
        assert score(model, crop, [2, 1, 1], level) == pytest.approx(share, abs=1e-4)
    every = np.arange(model.tree.n_cells[-1])
    assert score(model, crop, every) == pytest.approx(0, abs=1e-5), "all cells together are certain"


@pytest.mark.parametrize("cells", [[], [-1], [12_000], [0.5], ["a"]])
def test_cells_that_are_none_are_refused(model, crop, cells):
    with pytest.raises(ValueError, match="expected some whole numbers from 0 to"):
        score(model, crop, cells)


@pytest.mark.parametrize("method", [attribute.occlusion, attribute.gradients, attribute.integrated_gradients])
def test_a_picture_that_is_no_crop_is_refused_with_the_mend(model, crop, method):
    for wrong in (crop[:-1], crop.astype(float), "photo.jpg"):
        with pytest.raises(MismatchError, match=r"encoder\.preprocessing\.crop\(picture\)"):
            method(model, wrong, [0])


# The maps


@pytest.mark.parametrize("method", [attribute.occlusion, attribute.gradients, attribute.integrated_gradients])
def test_a_map_finds_the_only_pixels_that_matter(watching, method):
    model, region = watching
    crop = np.random.default_rng(3).integers(0, 256, (*region.shape, 3), dtype=np.uint8)
    cells = [int(model.heads(torch.from_numpy(model.encoder.embed_images([crop])))[-1].argmax())]
    found = np.abs(method(model, crop, cells))
    assert found.shape == region.shape and np.isfinite(found).all()
    if method is attribute.occlusion:  # sharp to the size of its squares
        near = np.zeros_like(region)
        step = round(region.shape[0] / 18)
        near[max(4 - 3 * step, 0) : 12 + 3 * step, max(16 - 3 * step, 0) : 24 + 3 * step] = True
        assert found[~near].max(initial=0) < 1e-6 < found[region].min()
    else:
        assert found[~region].max() == 0 < found[region].max()
        assert attribute.rank_accuracy(found, region) == 1


def test_integrated_gradients_are_complete(model, crop):
    for cells, baseline in (([0], None), ([1, 5], np.zeros_like(crop))):
        added = attribute.integrated_gradients(model, crop, cells, baseline=baseline, steps=100)
        start = attribute.blurred(crop) if baseline is None else baseline
        expected = score(model, crop, cells) - score(model, start, cells)
        assert added.sum() == pytest.approx(expected, abs=0.02 + 0.02 * abs(expected))


def test_a_gradient_is_what_finite_differences_say(model, crop):
    inputs = model.encoder.preprocessing.normalise(torch.from_numpy(crop[None].copy()))
    wanted = inputs.detach().requires_grad_()
    (slope,) = torch.autograd.grad(attribute.log_share(model, wanted, [2]).sum(), wanted)
    assert attribute.gradients(model, crop, [2]) == pytest.approx(slope[0].norm(dim=0).numpy(), rel=1e-5)
    slope = slope[0]
    step = 1e-2
    for channel, y, x in ((0, 3, 5), (1, 10, 2), (2, 20, 20)):
        there, back = inputs.clone(), inputs.clone()
        there[0, channel, y, x] += step
        back[0, channel, y, x] -= step
        with torch.no_grad():
            difference = attribute.log_share(model, there, [2]) - attribute.log_share(model, back, [2])
        assert float(difference) / (2 * step) == pytest.approx(float(slope[channel, y, x]), abs=2e-3)


def test_a_cover_over_everything_is_what_a_plain_picture_costs(model, crop):
    whole = attribute.occlusion(model, crop, [2], side=3, overlap=1)
    plain = np.broadcast_to(crop.reshape(-1, 3).mean(axis=0).round().astype(np.uint8), crop.shape)
    size = len(crop)
    assert whole[size // 2, size // 2] == pytest.approx(score(model, crop, [2]) - score(model, plain, [2]), abs=1e-4)


def test_maps_repeat_bit_for_bit_and_leave_the_model_as_it_was(model, crop):
    before = model.encoder.fingerprint
    model.heads.zero_grad()
    state = {name: value.clone() for name, value in model.heads.state_dict().items()}
    for method in (attribute.occlusion, attribute.gradients, attribute.integrated_gradients):
        one, two = (method(model, crop, [1]) for _ in range(2))
        assert np.array_equal(one, two)
    del model.encoder.fingerprint
    assert model.encoder.fingerprint == before
    assert all(torch.equal(value, model.heads.state_dict()[name]) for name, value in state.items())
    assert not any(parameter.grad is not None for parameter in model.heads.parameters())


def test_a_randomised_encoder_holds_the_same_numbers_in_another_order(model, crop):
    other = attribute.randomised(model.encoder, seed=1)
    assert other.fingerprint != model.encoder.fingerprint
    for (name, mine), theirs in zip(
        model.encoder.model.visual.named_parameters(), other.model.visual.parameters(), strict=True
    ):
        assert torch.equal(mine.flatten().sort().values, theirs.flatten().sort().values), name
    again = attribute.randomised(model.encoder, seed=1)
    assert again.fingerprint == other.fingerprint
    assert np.isfinite(other.embed_images([crop])).all()


# The measures

maps = arrays.arrays(np.float64, (6, 5), elements=st.floats(-1e6, 1e6))
regions = arrays.arrays(bool, (6, 5)).filter(np.any)


@given(maps, regions)
def test_measures_are_shares_and_do_not_depend_on_scale(values, region):
    for measure in (attribute.rank_accuracy, attribute.mass_accuracy):
        share = measure(values, region)
        assert 0 <= share <= 1 + 1e-12
        assert measure(values * 4, region) == pytest.approx(share)
    assert attribute.rank_accuracy(region.astype(float), region) == 1
    assert attribute.mass_accuracy(region.astype(float), region) == 1
    positive = np.abs(values) + 1
    other = attribute.mass_accuracy(positive, region) + (
        attribute.mass_accuracy(positive, ~region) if (~region).any() else 0
    )
    assert other == pytest.approx(1)


def test_a_map_of_noise_scores_its_area():
    rng = np.random.default_rng(0)
    region = np.zeros((60, 60), bool)
    region[10:40, 20:50] = True
    scores = [attribute.rank_accuracy(rng.normal(size=region.shape), region) for _ in range(50)]
    assert np.mean(scores) == pytest.approx(region.mean(), abs=0.01)


@pytest.mark.parametrize(
    ("values", "region"),
    [(np.zeros((2, 2)), np.zeros((2, 2), bool)), (np.zeros((2, 2)), np.ones((2, 3), bool)), ([[np.nan]], [[True]])],
)
def test_measures_refuse_what_cannot_be_measured(values, region):
    with pytest.raises(ValueError, match="expected one shape, finite"):
        attribute.rank_accuracy(values, region)


def test_what_changed_is_where_pictures_differ(crop):
    other = crop.copy()
    other[2:5, 7:9, 1] ^= 128
    seen = attribute.changed(crop, other)
    assert seen.sum() == 6 and seen[2:5, 7:9].all()
    assert not attribute.changed(crop, crop).any()


def test_smoothing_keeps_order_and_sum():
    values = np.zeros((41, 41))
    values[20, 20] = 5
    spread = attribute.smooth(values)
    assert spread.sum() == pytest.approx(5) and spread.argmax() == values.argmax()
    assert spearmanr(spread[20, 20:30], -np.arange(10)).statistic == pytest.approx(1)
