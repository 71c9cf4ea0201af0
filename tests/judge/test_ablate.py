"""The ablation as a user runs it: whole, stopped and resumed, in another folder's way, and its sentences."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import world, write_encoder

import geolib
from geolib import evaluate
from geolib.app import cli
from geolib.common.errors import MismatchError
from geolib.common.files import data_path
from geolib.datasets import Dataset
from geolib.encoder import Encoder
from geolib.judge.ablate import answers_path, markdown, reading, run
from geolib.judge.methods import ARTICLE, DEFAULT, ROWS

SIDES = {"train": 700, "train_balanced": 200, "calibration": 200, "test": 150, "test_balanced": 150}


class Drawn(Dataset):
    """A dataset whose embeddings are given: as much as the ablation sees."""

    def embeddings(self, encoder, progress=False):
        return self._store


@pytest.fixture(scope="module")
def bench_world(tmp_path_factory):
    encoder = Encoder.load(write_encoder(tmp_path_factory.mktemp("ablate") / "encoder"), device="cpu")
    vectors, lat, lon = world(sum(SIDES.values()))
    ids = [f"p{number:04}" for number in range(len(lat))]
    photos = pd.DataFrame({"lat": lat, "lon": lon, "split": np.repeat([*SIDES], [*SIDES.values()])}, index=ids)
    photos["photographer"] = [f"who{number % 40}-{side}" for number, side in enumerate(photos["split"])]
    dataset = Drawn("world", photos)
    store = type("Store", (), {"ids": ids, "vectors": vectors})()
    object.__setattr__(dataset, "_store", store)
    return dataset, encoder


OPTIONS = {"epochs": 2, "n_boot": 20, "device": "cpu"}


@pytest.fixture(scope="module")
def whole(bench_world, tmp_path_factory):
    out = tmp_path_factory.mktemp("ablation") / "out"
    lines = []
    return run(*bench_world, out, progress=lines.append, **OPTIONS), out, lines


def test_every_row_stands_for_both_test_sides_with_its_paired_difference(whole):
    table, out, lines = whole
    assert len(lines) == len(ROWS)
    assert table.groupby("side")["method"].apply(list).tolist() == [[row.name for row in ROWS]] * 2
    compared = table["against"] != ""
    assert table.loc[compared, "gain_geoscore_low"].notna().all() and compared.sum() == 2 * (len(ROWS) - 1)
    for metric in evaluate.METRICS:
        assert (table[f"{metric}_low"] <= table[f"{metric}_high"]).all()
    assert pd.read_parquet(out / "ablation.parquet").equals(table)
    assert all(json.loads(chosen) is not None for chosen in table["chosen"])


def test_the_table_is_what_evaluate_says_of_the_kept_answers(whole, bench_world):
    table, out, _ = whole
    photos = bench_world[0].photos
    truth = photos[photos["split"] == "test"]
    article, product = (
        pd.read_parquet(answers_path(out, row)).query("side == 'test'").set_index("id").loc[truth.index]
        for row in ROWS
        if row.name in (ARTICLE, "product rule")
    )
    expected = evaluate.difference(
        (product["lat"], product["lon"]), (article["lat"], article["lon"]), truth["lat"], truth["lon"],
        truth["photographer"], n_boot=20,
    )  # fmt: skip
    row = table.set_index(["side", "method"]).loc[("test", "product rule")]
    assert row["against"] == ARTICLE
    for end in ("", "_low", "_high"):
        assert row[f"gain_geoscore{end}"] == pytest.approx(expected[f"geoscore{end}"].iloc[0])


def test_a_stopped_run_goes_on_with_the_same_table(whole, bench_world, tmp_path):
    few = {"rows": ROWS[:12]} | OPTIONS
    table, _, _ = whole
    table = table[table["method"].isin([row.name for row in ROWS[:12]])].reset_index(drop=True)
    calls = []

    def stop(line):
        calls.append(line)
        if len(calls) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(*bench_world, tmp_path / "out", progress=stop, **few)
    assert not (tmp_path / "out" / "ablation.parquet").exists()
    lines = []
    again = run(*bench_world, tmp_path / "out", progress=lines.append, **few)
    assert sum("kept" in line for line in lines) == 9
    pd.testing.assert_frame_equal(again, table)
    fresh = []
    run(*bench_world, tmp_path / "out", progress=fresh.append, **few)
    assert all(line.endswith("kept") for line in fresh)


def test_a_folder_of_other_settings_or_files_is_refused(whole, bench_world, tmp_path):
    with pytest.raises(MismatchError, match="name a new folder"):
        run(*bench_world, whole[1], epochs=3)
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds other files"):
        run(*bench_world, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_answers_do_not_see_the_test_places(whole, bench_world, tmp_path):
    """The same rows after the test photos were moved: not one answer changes."""
    dataset, encoder = bench_world
    photos = dataset.photos.copy()
    test = photos["split"].str.startswith("test")
    photos.loc[test, ["lat", "lon"]] = [[-75.0, 10.0]]
    moved = Drawn("world", photos)
    object.__setattr__(moved, "_store", dataset._store)
    some = [row for row in ROWS if row.name in (ARTICLE, "+ offsets", "+ best photo", "+ all photos")]
    run(moved, encoder, tmp_path / "out", rows=some, progress=len, **OPTIONS)
    for row in some:
        pd.testing.assert_frame_equal(
            pd.read_parquet(answers_path(tmp_path / "out", row)),
            pd.read_parquet(answers_path(whole[1], row)),
        )


@pytest.mark.parametrize(
    ("interval", "said"), [((3, 9), "gains, +5"), ((-9, -3), "loses"), ((-2, 9), "gains nothing that is more")]
)
def test_readings_follow_the_interval(interval, said):
    row = pd.Series({"says": "Part", "against": "other", "gain_geoscore": 5.0})
    row["gain_geoscore_low"], row["gain_geoscore_high"] = interval
    row["gain_median_km"], row["gain_median_km_low"], row["gain_median_km_high"] = -20.0, -30.0, 10.0
    assert said in reading(row) and "*other*" in reading(row)


def test_the_shipped_table_is_of_these_rows_and_its_page_is_made_of_it():
    table = pd.read_parquet(data_path("postcards", "ablation.parquet"))
    assert table.groupby("side")["method"].apply(list).tolist() == [[row.name for row in ROWS]] * 2
    assert markdown(table) == data_path("postcards", "ABLATION.md").read_text(encoding="utf-8")


def test_the_shipped_table_can_be_made_again(tmp_path):
    """Two rows that train nothing, computed anew from the clone."""
    dataset, encoder = geolib.open_dataset("postcards"), Encoder.load("postcards")
    made = run(dataset, encoder, tmp_path / "out", rows=ROWS[:2], n_boot=1, progress=len).set_index(["side", "method"])
    shipped = pd.read_parquet(data_path("postcards", "ablation.parquet")).set_index(["side", "method"])
    for metric in evaluate.METRICS:
        np.testing.assert_allclose(made[metric], shipped.loc[made.index, metric], rtol=1e-3, atol=1e-3)


def test_the_command_line_runs_it_on_a_table_of_photos(tmp_path, capsys, monkeypatch):
    """One's own photographs through `python -m geolib ablate`."""
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GEOLIB_FAST", "1")
    encoder = write_encoder(tmp_path / "encoder")
    _, lat, lon = world(120)
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    rows = []
    for number, place in enumerate(zip(lat, lon, strict=True)):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / "pictures" / f"{number}.png")
        rows.append((f"pictures/{number}.png", *place))
    table = pd.DataFrame(rows, columns=["path", "lat", "lon"])
    table.insert(0, "id", table["path"])
    table.to_csv(tmp_path / "table.csv", index=False)
    command = ["ablate", "--dataset", f"table:{tmp_path / 'table.csv'}", "--encoder", str(encoder), "--epochs", "1"]
    status = cli.main([*command, "--out", str(tmp_path / "out")])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert "## test:" in printed.out and DEFAULT in printed.out and "balanced training" not in printed.out
    assert Path(tmp_path / "out" / "ablation.md").read_text() in printed.out + "\n"
    assert cli.main([*command[:-1], "0", "--out", str(tmp_path / "out")]) == 2
    assert "--epochs 0" in capsys.readouterr().err
