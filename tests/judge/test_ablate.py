"""The ablation as a user runs it: whole, stopped and resumed, in another folder's way, and its sentences."""

import json
import re
from functools import partial
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
from geolib.judge.methods import ARTICLE, DEFAULT, ROWS, Row

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
    assert len([line for line in lines if line.startswith("seed 0 ")]) == len(ROWS)
    assert table.groupby("side")["method"].apply(list).tolist() == [[row.name for row in ROWS]] * 2
    compared, same = table["against"] != "", table["verdict"] == "same by construction"
    assert compared.sum() == 2 * (len(ROWS) - 1) and (table["verdict"] != "").equals(compared)
    assert table["gain_geoscore_low"].notna().equals(compared & ~same), "an identity has no interval"
    assert (table["same"] != "").equals(same)
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
    ("interval", "word", "printed"),
    [
        ((3, 9), "more", "+5 of GeoScore [+3, +9]"),
        ((-9, -3), "less", "+5 of GeoScore [-9, -3]"),
        ((-2, 9), "undecided", "[-2, +9]"),
    ],
)
def test_readings_give_the_verdict_and_the_interval(interval, word, printed):
    row = pd.Series({"says": "Part", "against": "other", "gain_geoscore": 5.0, "verdict": word, "same": ""})
    row["gain_geoscore_low"], row["gain_geoscore_high"] = interval
    row["gain_median_km"], row["gain_median_km_low"], row["gain_median_km_high"] = -20.0, -30.0, 10.0
    assert f"**{word}**, " in reading(row) and printed in reading(row) and "*other*" in reading(row)
    small = row.copy()
    small[["gain_geoscore", "gain_geoscore_low", "gain_geoscore_high"]] = 0.03, 0.01, 0.08
    small[["gain_median_km", "gain_median_km_low", "gain_median_km_high"]] = 0.0
    assert "+0.030 of GeoScore [+0.010, +0.080], median unchanged," in reading(small)


# Rows by content


def shifted(bench, by=0.0):
    """Answers that are cheap and tell which row they are of."""
    return bench.each_side(lambda side, x: (np.full(len(x), by), np.asarray(bench.parts[side].lon))), {"by": by}


def moved(bench, by=0.0):
    return shifted(bench, by + 1)


def trained(bench):
    return shifted(bench, float(bench.seed))


FEW = {"n_boot": 20, "device": "cpu", "progress": len}


def test_a_row_that_moved_or_changed_does_not_come_back_under_another_name(bench_world, tmp_path, monkeypatch):
    """Rows were stored by position: after an insertion each came back with the answers of its neighbour."""
    first = (Row("one", "", partial(shifted, by=1.0), "..."), Row("two", "one", partial(shifted, by=2.0), "..."))
    later = (
        Row("new", "", partial(shifted, by=9.0), "..."),
        Row("two", "new", partial(moved, by=2.0), "..."),  # another function under the old name
        Row("one", "new", partial(shifted, by=5.0), "..."),  # another option
        Row("uno", "new", partial(shifted, by=1.0), "another name"),
    )
    for rows, expected in ((first, {"one": 1, "two": 2}), (later, {"new": 9, "two": 3, "one": 5, "uno": 1})):
        monkeypatch.setattr("geolib.judge.ablate.ROWS", rows)
        table = run(*bench_world, tmp_path / "out", rows=rows, **FEW)
        chosen = table[table["side"] == "test"].set_index("method")["chosen"].map(json.loads)
        assert {name: said["by"] for name, said in chosen.items()} == expected
    monkeypatch.setattr("geolib.judge.ablate.ROWS", first[::-1])
    lines = []
    table = run(*bench_world, tmp_path / "out", rows=first[::-1], **FEW | {"progress": lines.append})
    assert all(line.endswith("kept") for line in lines) and len(lines) == 2
    assert table["chosen"].map(json.loads).map(lambda said: said["by"]).tolist() == [2, 1, 2, 1]


def test_a_row_that_equals_the_one_that_it_changes_is_no_finding(bench_world, tmp_path):
    """Level weights without a trunk: "+0 of GeoScore [+0, +0]" stood in the table as a result."""
    rows = (
        Row("one", "", partial(shifted, by=1.0), "One"),
        Row("same", "one", shifted_one, "Same", same="both say 1"),
        Row("luck", "one", partial(shifted_one), "Luck"),
        Row("hair", "one", partial(shifted, by=1.000001), "Hair", same="but for rounding they are one"),
        Row("wrong", "one", partial(shifted, by=4.0), "Wrong", same="they differ, so this is not said"),
    )
    table = run(*bench_world, tmp_path / "out", rows=rows, **FEW).set_index(["side", "method"]).loc["test"]
    assert table["verdict"].tolist() == ["", *["same by construction"] * 3, table.loc["wrong", "verdict"]]
    assert table.loc["wrong", "verdict"] in ("more", "less", "undecided")
    assert table.loc["same", "same"] == "both say 1" and table.loc["luck", "same"] != ""
    page = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert "**same by construction** as *one*: both say 1." in page
    assert "they differ, so this is not said" not in page
    assert not re.search(r"\+0 \[\+0, \+0\]|\+0 of GeoScore \[\+0, \+0\]", page)


def shifted_one(bench):
    return shifted(bench, 1.0)


def test_headlines_are_means_over_five_seeds_and_so_is_what_they_are_compared_with(bench_world, tmp_path):
    rows = (
        Row("base", "", trained, "Base"),
        Row("head", "base", partial(shifted, by=40.0), "Head", headline=True),
        Row("tail", "head", trained, "Tail"),
    )
    table = run(*bench_world, tmp_path / "out", rows=rows, **FEW).set_index(["side", "method"]).loc["test"]
    assert table["seeds"].to_dict() == {"base": 5, "head": 5, "tail": 1}
    truth = bench_world[0].photos.query("split == 'test'")
    place, clusters = (truth["lat"], truth["lon"]), bench_world[0].clusters(truth.index)
    runs = [np.full(len(truth), float(seed)) for seed in range(5)]
    each = [evaluate.compare({"x": (lat, truth["lon"])}, *place, clusters, n_boot=1) for lat in runs]
    for metric in ("geoscore", "median_km", "within_2500_km"):
        assert table.loc["base", metric] == pytest.approx(np.mean([one[metric].item() for one in each]))
    alone = evaluate.difference((runs[0], truth["lon"]), (runs[0] * 0 + 40, truth["lon"]), *place, clusters, n_boot=1)
    assert table.loc["tail", "gain_geoscore"] == pytest.approx(alone["geoscore"].item()), "paired on the seed of both"
    assert "base x 5" in (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")


def test_the_page_starts_with_its_figure_and_folds_its_tables(whole):
    table, out, _ = whole
    page = (out / "ablation.md").read_text(encoding="utf-8")
    assert page.index("](ablation.png)") < page.index("## test") < page.index("<details>") < page.index("| method |")
    assert page.count("<details>") == page.count("</details>") == table["side"].nunique()
    with Image.open(out / "ablation.png") as picture:
        assert picture.width >= 1000
    for word in set(table["verdict"]) - {""}:
        assert f"- **{word}**: " in page
    assert "postcard" not in page and "95 % bootstrap over 40 photographers and " in page


def test_the_shipped_table_is_of_these_rows_and_its_page_is_made_of_it():
    table = pd.read_parquet(data_path("postcards", "ablation.parquet"))
    assert sorted(set(table["side"])) == ["test", "test_balanced", "test_places"]
    assert table.groupby("side")["method"].apply(list).tolist() == [[row.name for row in ROWS]] * 3
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
