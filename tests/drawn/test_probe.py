"""Probes read what stands in the vectors, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from postcards import probe

COUNT = 1_500


@pytest.fixture(scope="module")
def world():
    """Postcards with three facts, and vectors that hold the first two of them: of the third they know nothing."""
    rng = np.random.default_rng(0)
    kinds = rng.choice(["white", "yellow", "red"], COUNT)
    side = np.where(rng.random(COUNT) < 0.1, "left", "right")
    other = np.where(rng.random(COUNT) < 0.8, "wood", "concrete")
    facts = [{"centre line": a, "driving side": b, "pole": c} for a, b, c in zip(kinds, side, other, strict=True)]
    for number in range(0, COUNT, 3):
        del facts[number]["centre line"]  # which these do not show
    photos = pd.DataFrame(
        {
            "photographer": [f"p{number // 5}" for number in range(COUNT)],
            "lat": rng.uniform(-60, 60, COUNT),
            "lon": rng.uniform(-180, 180, COUNT),
        }
    )
    told = np.stack([kinds == "white", kinds == "red", side == "left"], axis=1)
    vectors = np.concatenate([2.0 * told, rng.normal(0, 0.3, (COUNT, 20))], axis=1).astype(np.float32)
    train = np.arange(COUNT) < 900
    return {
        "vectors": {"encoder": vectors, "noise": rng.normal(size=(COUNT, 300)).astype(np.float32)},
        "facts": facts,
        "photos": photos,
        "train": train,
        "tests": {"test": ~train},
    }


@pytest.fixture(scope="module")
def table(world):
    return probe.probe(**world, n_boot=200).set_index("fact")


def test_a_probe_reads_a_planted_fact_and_nothing_from_noise(table):
    for fact in ("centre line", "driving side"):
        row = table.loc[fact]
        assert row["encoder"] > 0.97 and row["balanced encoder"] > 0.97
        assert row["halfway"] and row["balanced halfway"]
        assert row["low"] <= row["encoder"] <= row["high"]
        assert row["noise"] < (row["chance"] + 1) / 2 and row["balanced noise"] < 0.62
    row = table.loc["pole"]
    assert row["low"] - 0.02 <= row["chance"] <= row["high"] + 0.02
    assert row["balanced low"] <= row["balanced chance"] <= row["balanced high"]
    assert not row["halfway"] and not row["balanced halfway"]


def test_only_postcards_that_show_a_fact_are_asked(table, world):
    shown = sum(
        "centre line" in facts for facts, asked in zip(world["facts"], world["tests"]["test"], strict=True) if asked
    )
    assert table.loc["centre line", "n"] == shown < table.loc["pole", "n"] == 600
    assert table["classes"].to_dict() == {"driving side": 2, "centre line": 3, "pole": 2}


def test_a_rare_value_makes_chance_high_and_balanced_chance_not(table):
    row = table.loc["driving side"]
    assert row["chance"] > 0.85 and row["balanced chance"] == 0.5


def test_no_interval_leaves_what_a_share_can_be(table):
    ends = table[["low", "high", "balanced low", "balanced high"]].to_numpy()
    assert (ends >= 0).all() and (ends <= 1).all()
    assert (table["balanced low"] <= table["balanced encoder"]).all()
    assert (table["balanced encoder"] <= table["balanced high"]).all()


def test_values_that_training_hardly_shows_are_not_asked_for(world):
    facts = [dict(one) for one in world["facts"]]
    for number in [*range(5), *range(1_000, 1_100)]:
        facts[number]["pole"] = "lamp"
    row = probe.probe(**world | {"facts": facts}, asked=["pole"], n_boot=20).iloc[0]
    assert row["n"] == 500 and row["classes"] == 2


def test_the_same_seed_gives_the_same_table(world):
    first, again = (probe.probe(**world, asked=["centre line"], most=300, n_boot=20, seed=3) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert first["trained on"].item() == 300


@pytest.mark.parametrize("balanced", [True, False])
def test_the_figure_says_what_it_found(table, tmp_path, balanced):
    path = tmp_path / "probe.png"
    fig = probe.figure(table.reset_index(), path, main="encoder", others=["noise"], balanced=balanced)
    assert fig.get_suptitle() == "The encoder reads 2 of 3 visible facts at least halfway"
    assert "pole" in fig.get_label()
    with Image.open(path) as image:
        assert 850 <= image.width <= 950


def test_a_fact_that_says_where_is_worth_more_than_one_that_does_not(world):
    rng = np.random.default_rng(1)
    home = rng.integers(0, 6, COUNT)
    lat, lon = np.array([[50, 10], [-30, 20], [40, 110], [-10, -50], [60, -110], [-35, 150]])[home].T
    photos = world["photos"].assign(lat=lat + rng.normal(0, 1, COUNT), lon=lon + rng.normal(0, 1, COUNT))
    facts = [{"belt": f"b{one}", "pole": rng.choice(["wood", "lamp"]), "aridity": rng.random()} for one in home]
    table = probe.worth(facts, photos, world["train"], world["tests"], cells=6)
    assert set(table.index[:2]) == {"all", "vegetation"}
    assert table.loc["vegetation", "test alone"] > 0.95 and table.loc["all", "test alone"] > 0.95
    assert table.loc["vegetation", "test lost"] > 0.5
    assert table.loc[["pole", "aridity"], "test lost"].abs().max() < 0.05
    assert table.loc[["pole", "aridity"], "test alone"].max() < 0.5
