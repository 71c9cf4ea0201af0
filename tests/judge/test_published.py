"""What others report, beside one's own row, from the command line."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import write_encoder

from geolib.app import cli
from geolib.evaluate import SHARES, compare
from geolib.judge import published
from geolib.predict import Geolocator


def test_the_published_table_holds_together():
    table = published.im2gps3k()
    shares = table[list(SHARES)]
    assert table.index.is_unique
    numbers = shares.fillna(0).to_numpy()
    assert (numbers >= 0).all() and (numbers < 1).all()
    assert (np.diff(numbers, axis=1) >= 0).all(), "more photos lie within a larger distance"
    assert table["source"].str.len().min() > 10
    known = {"PIGEOTTO": (0.113, 0.367, 0.538, 0.724, 0.853), "GeoCLIP": (0.141, 0.345, 0.507, 0.697, 0.838)}
    for system, values in known.items():
        assert tuple(shares.loc[system]) == values
    # A median and a share within a distance have to agree.
    with_median = table.dropna(subset="median_km")
    assert (with_median["median_km"] < 750).eq(with_median["within_750_km"] > 0.5).all()
    assert (with_median["median_km"] < 200).eq(with_median["within_200_km"] > 0.5).all()


def test_ones_own_row_stands_under_the_others_with_its_interval():
    truth = np.zeros(50), np.arange(50.0)
    ours = compare({"geolocator": (truth[0], truth[1] + np.arange(50) / 10)}, *truth, clusters=np.arange(50), n_boot=50)
    lines = published.beside(ours).splitlines()
    row = next(line for line in lines if line.startswith("> geolocator"))
    assert row.count("[") == 6 and lines.index(row) > next(n for n, x in enumerate(lines) if x.startswith("PIGEOTTO"))
    assert "72.4 %" in next(line for line in lines if line.startswith("PIGEOTTO"))
    assert any(line.strip() == "PIGEOTTO: arXiv 2307.05845" for line in lines)
    assert "nan" not in "\n".join(lines).lower()


# From the command line


@pytest.fixture
def collections(tmp_path, monkeypatch):
    """A table of sixty photos to train on, and one of Im2GPS3k's shape, six photos of each of five people."""
    monkeypatch.setenv("GEOLIB_ENCODER", str(write_encoder(tmp_path / "encoder")))
    monkeypatch.setenv("GEOLIB_DEVICE", "cpu")
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name, count in (("train", 60), ("im2gps", 30)):
        (tmp_path / name).mkdir()
        for number in range(count):
            pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).resize((64, 48)).save(tmp_path / name / f"1_2_3_{number % 5:08}@N00_{number}.jpg")
    for name, count in (("train", 60), ("im2gps", 30)):
        files = [f"1_2_3_{number % 5:08}@N00_{number}.jpg" for number in range(count)]
        people = [f"{number % (20 if name == 'train' else 5):08}@N00" for number in range(count)]
        table = pd.DataFrame({"IMG_ID": files, "photographer": people})
        table["LAT"], table["LON"] = rng.uniform(-60, 60, count), rng.uniform(-170, 170, count)
        table.to_csv(tmp_path / name / f"{name}.csv", index=False)
    return tmp_path


def run(capsys, *arguments):
    status = cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_a_benchmark_is_evaluated_beside_the_field(collections, capsys):
    train, benchmark = f"table:{collections}/train/train.csv", f"im2gps3k:{collections}/im2gps/im2gps.csv"
    model = collections / "model"
    assert run(capsys, "fit", "--dataset", train, "--out", model, "--cells", "2,6", "--epochs", "2")[0] == 0
    status, out, err = run(capsys, "evaluate", "--model", model, "--dataset", benchmark, "--gallery", train)
    assert status == 0, err
    assert out.startswith(f"all photos of {benchmark}; the model was fitted on table\n")
    assert "The photographer of 30 photos is known" in out
    assert all(
        name in out for name in ("PIGEOTTO", "> nearest neighbour", "> geolocator", "> prior", "arXiv 2307.05845")
    )
    other = f"table:{collections}/im2gps/im2gps.csv"  # has the name of the training data, but other photos
    status, out, err = run(capsys, "evaluate", "--model", model, "--dataset", other)
    assert status == 2 and "tell which photos the model has seen" in err


def test_a_layout_by_name_gets_the_reference_and_says_what_it_lacks(collections, capsys, monkeypatch):
    train, benchmark = f"table:{collections}/train/train.csv", f"im2gps3k:{collections}/im2gps/im2gps.csv"
    model = collections / "model"
    assert run(capsys, "fit", "--dataset", train, "--out", model, "--cells", "2,6", "--epochs", "2")[0] == 0
    status, out, err = run(capsys, "evaluate", "--model", model, "--dataset", benchmark, "--card")
    assert status == 0, err
    assert "no baselines, because they need the training photos of table (--gallery)" in err
    assert "PIGEOTTO" in out and "> geolocator" in out and "prior" not in out
    assert "| geolocator | 30 |" in (model / "README.md").read_text()
    assert "all photos of im2gps3k" in Geolocator.load(model, device="cpu").figures
    assert "name the model with --model" in run(capsys, "evaluate", "--dataset", benchmark, "--card")[2]
    monkeypatch.setenv("GEOLIB_DATASET", train)  # the training photos are then known by name
    status, out, err = run(capsys, "evaluate", "--dataset", benchmark)
    assert status == 0 and err == "" and "> nearest neighbour" in out
