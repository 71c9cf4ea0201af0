"""The report on the postcards' encoders: numbers against oracles, and all of it on a few hundred postcards."""

import io
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from tiny import write_encoder

from geolib import Encoder, evaluate, open_dataset, sphere
from geolib.common.errors import MissingDataError
from geolib.common.files import read_json
from postcards import CUES, __main__, build, ceiling, render_bytes, report, report_page
from postcards.ceiling import visible_facts

SCENES = 12


@pytest.fixture(scope="module")
def dataset():
    """A few hundred rows of the shipped table, some of the training ones named `train_balanced`."""
    shipped = open_dataset("postcards")
    sizes = {"train": 150, "calibration": 40, "test": 60, "test_balanced": 50}
    parts = [shipped.photos[shipped.photos["split"] == name].sample(n, random_state=1) for name, n in sizes.items()]
    parts[0] = parts[0].assign(split=["train"] * 110 + ["train_balanced"] * 40)
    return replace(shipped, photos=pd.concat(parts).sample(frac=1, random_state=1), _version="tiny")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = write_encoder(tmp_path_factory.mktemp("unnamed") / "encoder")
    return {
        "names": Encoder.load("postcards", device="cpu"),
        "no names": Encoder.load(folder, device="cpu"),
    }


@pytest.fixture(scope="module")
def written(dataset, encoders, tmp_path_factory):
    """Folder of a whole report, and what it returned."""
    out = tmp_path_factory.mktemp("report")
    numbers = report.report(
        out, SCENES, 0, progress=False, dataset=dataset, encoders=encoders, pixels=60, epochs=4, n_boot=50
    )
    return out, numbers


# Numbers against oracles


def brute_interval(values, clusters, n_boot, seed):
    """Draw photographers and places, count each postcard as often as both came; nothing clever."""
    kinds = [clusters[kind].astype(str).to_numpy() for kind in ("photographer", "place")]
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(n_boot):
        draws = [rng.choice(sorted(set(labels)), size=len(set(labels))).tolist() for labels in kinds]
        times = [[draw.count(label) for label in labels] for draw, labels in zip(draws, kinds, strict=True)]
        means.append(np.average(values, weights=np.prod(times, axis=0)))
    return np.mean(values), *np.quantile(means, [0.025, 0.975])


def test_the_interval_of_country_accuracy_is_that_of_drawing_photographers_and_places_one_by_one():
    rng = np.random.default_rng(3)
    clusters = pd.DataFrame({"photographer": rng.choice(list("abcdefghij"), 80), "place": rng.integers(8, size=80)})
    truth, said = rng.choice(["FR", "DE"], 80), rng.choice(["FR", "DE"], 80)
    expected = brute_interval((truth == said).astype(float), clusters, 200, 5)
    found = report.mean_interval((truth == said).astype(float), clusters, 200, 5)
    assert found == pytest.approx(expected)


def photos_of(truth, who, lat=None, lon=None):
    n = len(truth)
    place = {"lat": np.zeros(n) if lat is None else lat, "lon": np.zeros(n) if lon is None else lon}
    return pd.DataFrame({"country": truth, "photographer": who} | place)


def answers(country, lat=0.0, lon=0.0):
    n = len(country)
    return report.Answers(np.full(n, lat), np.full(n, lon), np.asarray(country, dtype=object))


def test_a_difference_is_paired():
    """Two methods right on the same photos differ by exactly nothing, and that is no finding."""
    rng = np.random.default_rng(0)
    towns = np.repeat([0.0, 40.0, 80.0], 20)
    photos = photos_of(rng.choice(["FR", "DE"], 60), rng.choice(list("abcdef"), 60), lon=towns)
    said = np.where(rng.random(60) < 0.5, photos["country"], "XX")
    same = report.difference(answers(said), answers(np.where(said == "XX", "YY", said)), photos, 100)
    assert (same["country_accuracy"], same["country_accuracy_low"], same["country_accuracy_high"]) == (0, 0, 0)
    assert same["country_accuracy_verdict"] == same["median_km_verdict"] == "same by construction"
    assert report_page.changed(same, "country_accuracy") == "same by construction: no draw differs"
    more = report.difference(answers(photos["country"]), answers(said), photos, 100, 7)
    gain = (said != photos["country"]).to_numpy().astype(float)
    expected = brute_interval(gain, report.clusters_of(photos), 100, 7)
    assert more["country_accuracy_verdict"] == "more"
    assert (more["photographers"], more["places"]) == (6, 3)
    assert [more[f"country_accuracy{end}"] for end in ("", "_low", "_high")] == pytest.approx(expected)


def test_the_table_of_methods_holds_the_shares_that_counting_gives():
    photos = photos_of(["FR", "FR", "DE", "IT"], list("abcd"), lat=[0, 0.2, 5, 50])
    table = report.score([report.Method("all at zero", "-", "train", 9, answers(["FR"] * 4))], photos, 20)
    row = table.iloc[0]
    assert row["country_accuracy"] == 0.5
    assert (row["within_25_km"], row["within_200_km"], row["within_750_km"]) == (0.5, 0.5, 0.75)
    assert row["median_km"] == pytest.approx(
        np.median(evaluate.errors_km([0] * 4, [0] * 4, photos["lat"], photos["lon"]))
    )


class Prompts:
    """An encoder that knows countries by name: each its own direction, whatever the template says besides."""

    names = ("France", "Fiji", "Kenya")

    def embed_text(self, texts):
        return np.array([[float(name in text) for name in self.names] for text in texts], np.float32)


def test_zero_shot_answers_with_the_mean_point_of_the_named_country():
    train = pd.DataFrame(
        {
            "country": ["FR", "FJ", "FJ", "FR", "KE"],
            "country_name": ["France", "Fiji", "Fiji", "France", "Kenya"],
            "lat": [48.0, -18.0, -18.0, 44.0, 0.0],
            "lon": [2.0, 179.0, -179.0, 4.0, 37.0],
        }
    )
    vectors = np.eye(3, dtype=np.float32)[[1, 0, 2, 1]]
    said, distinct = report.zero_shot(Prompts(), vectors, train)
    assert said.country.tolist() == ["FJ", "FR", "KE", "FJ"]
    assert distinct == 3
    middle = sphere.mean_point([-18.0, -18.0], [179.0, -179.0])
    assert sphere.haversine_km(said.lat[0], said.lon[0], *middle) < 1e-6
    assert abs(said.lon[0]) == pytest.approx(180), "right across the dateline"
    assert sphere.haversine_km(said.lat[1], said.lon[1], *sphere.mean_point([48.0, 44.0], [2.0, 4.0])) < 1e-6


def test_prompts_that_an_encoder_cannot_tell_apart_are_counted_as_one():
    class Deaf(Prompts):
        names = ("a drawing",)

    train = pd.DataFrame({"country": ["A", "B"], "country_name": ["Aland", "Benin"], "lat": [1, 2], "lon": [3, 4]})
    assert report.zero_shot(Deaf(), np.ones((1, 1), np.float32), train)[1] == 1


def test_the_country_classifier_is_the_logistic_regression_of_scikit_learn():
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(4, 8))
    y = rng.integers(0, 4, 600)
    x = (middles[y] + rng.normal(0, 1.2, (600, 8))).astype(np.float32)
    names = np.array(["DE", "FR", "IT", "XX"])[y]
    made = report.fit_countries(x[:400], names[:400], (x[400:500], names[400:500]), iterations=200)
    scaled = ((x - x[:400].mean(axis=0)) / x[:400].std(axis=0)).astype(np.float64)
    oracle = LogisticRegression(C=1 / (made.decay * 400), max_iter=2000, tol=1e-8).fit(scaled[:400], names[:400])
    assert (made.predict(x) == oracle.predict(scaled)).mean() > 0.995
    assert (made.predict(x[500:]) == names[500:]).mean() > 0.6


def test_the_decay_is_the_best_on_calibration_and_of_equals_the_strongest():
    x = np.eye(3, dtype=np.float32).repeat(20, axis=0)
    names = np.array(["A", "B", "C"]).repeat(20)
    assert report.fit_countries(x, names, (x, names)).decay == report.DECAYS[0]
    unseen = report.fit_countries(x, names, (x, np.full(60, "Z")))  # a country never seen is wrong, not an error
    assert unseen.decay == report.DECAYS[0]


def test_a_goal_is_reached_by_the_value_and_landmarks_count_only_if_training_has_shown_them():
    photos = photos_of(["FR"] * 4, list("abcd"), lat=[0, 0, 0, 50]).assign(
        cue_landmark=[True, True, False, True], landmark_id=[1, 2, 1, 1]
    )
    train = {"train": pd.DataFrame({"cue_landmark": [True, False], "landmark_id": [1, 2]})}
    method = report.Method("heads", "names", "train", 2, answers(["FR", "FR", "FR", "DE"]))
    table = {"test_balanced": report.score([method], photos, 10)}
    found = report.goals(table, [method], photos, train, 10)
    assert found["value"].tolist() == [0.75, 0.75, 0.5]
    assert found["reached"].tolist() == [True, True, True]
    assert found["photos"].tolist() == [4, 4, 2], "postcard 2 shows a landmark that training never did; 3 shows none"


# Cues


def test_hiding_a_cue_that_is_not_there_changes_nothing(dataset, encoders):
    table = dataset.photos.reset_index()
    rows = build.records(table[~table["cue_flag"] & ~table["cue_landmark"]].head(12))
    ids, encoder = [row["id"] for row in rows], encoders["names"]
    vectors, hashes = report.embed_drawn(encoder, (render_bytes(row) for row in rows), ids, batch=5)
    known = {name: (digest, vector) for name, digest, vector in zip(ids, hashes, vectors, strict=True)}
    drawn = (render_bytes(row, ("flag", "landmark")) for row in rows)
    again, same = report.embed_drawn(encoder, drawn, ids, known)
    assert same == hashes
    assert (again == vectors).all()
    photos, said = dataset.photos.loc[ids], answers(["FR"] * len(ids))
    assert report.difference(said, said, photos, 10)["within_750_km"] == 0


def test_hiding_everything_changes_pictures_and_vectors_stay_in_order(dataset, encoders):
    rows = build.records(dataset.photos[dataset.photos["cue_script"]].reset_index().head(7))
    ids, encoder = [row["id"] for row in rows], encoders["names"]
    vectors, hashes = report.embed_drawn(encoder, (render_bytes(row) for row in rows), ids, batch=3)
    known = {name: (digest, vector) for name, digest, vector in zip(ids, hashes, vectors, strict=True)}
    mixed = [render_bytes(row, CUES if number % 2 else ()) for number, row in enumerate(rows)]
    hidden, digests = report.embed_drawn(encoder, iter(mixed), ids, known, batch=3)
    assert [a == b for a, b in zip(digests, hashes, strict=True)] == [True, False] * 3 + [True]
    np.testing.assert_allclose(hidden, encoder.embed_images(mixed), atol=1e-5)


def test_scenes_of_a_group_show_one_of_its_cues(dataset):
    chosen = report.choose_scenes(dataset.photos, report.GROUPS, SCENES, 0)
    for name, rows in chosen.items():
        assert len(rows) <= SCENES
        assert rows[[f"cue_{cue}" for cue in report.GROUPS[name] if f"cue_{cue}" in rows]].any(axis=1).all()
    none = dataset.photos.assign(cue_flag=False)
    assert "flag" not in report.choose_scenes(none, report.GROUPS, SCENES, 0)


def test_groups_hide_cues_that_exist():
    assert {cue for cues in report.GROUPS.values() for cue in cues} == set(CUES)


def test_reading_is_the_loss_times_how_often_it_can_be_read():
    costs = pd.DataFrame(
        [
            {
                "cues": report.READING,
                "share_of_scenes": 0.4,
                "country_accuracy": -0.2,
                "country_accuracy_low": -0.3,
                "country_accuracy_high": -0.1,
            }
        ]
    )
    found = report.reading(costs, 0.32)
    assert (found["points"], found["share_of_result"]) == pytest.approx((0.08, 0.25))
    assert (found["points_low"], found["points_high"]) == pytest.approx((0.04, 0.12))
    assert report.reading(costs.iloc[:0], 0.32) is None


# The whole


def test_the_page_is_what_the_json_says(written):
    out, numbers = written
    stored = read_json(out / "report.json")
    assert stored == numbers
    page = (out / "REPORT.md").read_text(encoding="utf-8")
    assert page == report_page.markdown(stored)
    for row in stored["methods"]["test_balanced"]:
        line = next(
            text
            for text in page.split("### `test_balanced`")[1].splitlines()
            if text.startswith(f"| {row['method']}")
            and f"| {row['captions']} |" in text
            and f"| {row['trained_on']} ({row['training_photos']:,}) |" in text
        )
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        value, low, high = map(float, re.findall(r"-?\d+\.\d", cells[3])[:3])
        expected = [round(100 * row[f"country_accuracy{end}"], 1) for end in ("", "_low", "_high")]
        assert [value, low, high] == pytest.approx(expected, abs=0.051)
        assert float(cells[8].split(" km")[0].replace(",", "")) == pytest.approx(row["median_km"], abs=0.51)


def test_the_page_names_places_and_gives_a_verdict_for_every_difference(written):
    out, numbers = written
    page = (out / "REPORT.md").read_text(encoding="utf-8")
    assert "bootstrap over photographers and places" in page
    rows = numbers["methods"]["test"]
    assert f"by {rows[0]['photographers']:,} photographers at {rows[0]['places']:,} places" in page
    words = {"more", "less", "undecided", "same by construction"}
    for row in (*numbers["differences"]["test"], *numbers["cues"], *numbers["blind"]):
        for name in ("country_accuracy", "within_750_km", "median_km"):
            assert row[f"{name}_verdict"] in words
            assert f"| {report_page.changed(row, name)} |" in page or name == "median_km"
    for row in rows:
        if (row["within_25_km_place"] or 0) > 0.2:
            assert f", {100 * row['within_25_km_place']:.0f} % of it one place |" in page
    for old in ("more than chance", "cannot be told", "helped"):
        assert old not in page


def test_every_method_is_there_once_on_both_tests(written):
    rows = written[1]["methods"]
    assert set(rows) == {"test", "test_balanced"}
    keys = [(row["method"], row["captions"], row["trained_on"]) for row in rows["test"]]
    assert len(set(keys)) == len(keys) == 2 + 4 + 2 * 5 + 2  # prior, pixels, encoders, visible facts
    assert ("heads", "names", "train + train_balanced") in keys
    assert {row["training_photos"] for row in rows["test"] if row["method"].startswith("thumbnails")} == {60}
    assert {row["photos"] for row in rows["test_balanced"]} == {50}


def test_the_control_is_called_a_control(written):
    out, numbers = written
    unnamed = next(row for row in numbers["prompts"] if row["captions"] == "no names")
    assert unnamed["distinct_prompts"] == 1, "the tiny encoder knows no name of a country"
    assert "| zero-shot prompts (control) | no names |" in (out / "REPORT.md").read_text(encoding="utf-8")


def test_cues_are_sorted_by_cost_and_of_scenes_that_show_them(written):
    rows = written[1]["cues"]
    costs = [row["country_accuracy"] for row in rows]
    assert costs == sorted(costs)
    assert {"everything", "script", report.READING} <= {row["cues"] for row in rows}
    assert all(0 < row["photos"] <= SCENES for row in rows)
    for row in rows:
        assert row["country_accuracy_low"] is None or row["country_accuracy_low"] <= row["country_accuracy_high"]


def test_figures_are_small_pictures_with_alt_text(written):
    out, _ = written
    page = (out / "REPORT.md").read_text(encoding="utf-8")
    for name in ("report_methods.png", "report_cues.png"):
        content = (out / name).read_bytes()
        assert len(content) < 120_000
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.width > 1000
        alt = re.search(rf"!\[([^\]]+)\]\({name}\)", page)
        assert alt and len(alt.group(1)) > 60
    assert sorted(path.name for path in out.iterdir()) == [
        "REPORT.md",
        "report.json",
        "report_cues.png",
        "report_methods.png",
    ], "nothing temporary is left"


def test_the_tree_finds_the_leak_on_purpose_and_no_other(written):
    rows = {row["features"]: row["ratio"] for row in written[1]["leaks"]}
    assert rows["order of longitudes (a leak on purpose)"] < 0.7
    assert rows["order in the table"] > 0.8


def test_what_is_missing_is_left_out_with_a_note_and_changes_no_other_row(dataset, encoders, written, tmp_path):
    """A second run: with the same seed, the methods that are there answer exactly as they did beside the others."""
    few = dataset.photos[dataset.photos["split"] != "train_balanced"]
    notes = []
    methods, models, prompts = report.answer_all(
        replace(dataset, photos=few),
        {"names": encoders["names"]},
        report.data_path("postcards"),
        seed=0,
        device="cpu",
        pixels=60,
        epochs=4,
        progress=False,
        note=notes.append,
    )
    assert {method.captions for method in methods} == {"-", "names"}
    assert {method.trained_on for method in methods} == {"train"}
    assert list(models) == ["names"]
    assert [row["captions"] for row in prompts] == ["names"]
    assert any("no names" in note for note in notes)
    assert any("train_balanced" in note for note in notes)
    test = few[few["split"].isin(report.TESTS)]
    for split, rows in written[1]["methods"].items():
        mask = (test["split"] == split).to_numpy()
        own = [replace(method, answers=method.answers.at(mask)) for method in methods]
        again = {(row["method"], row["captions"]): row for row in build.records(report.score(own, test[mask], 50))}
        before = {(r["method"], r["captions"]): r for r in rows if r["trained_on"] == "train"}
        assert len(again) == 9
        nan_as_none = {key: {k: None if v != v else v for k, v in row.items()} for key, row in again.items()}
        assert nan_as_none == {key: before[key] for key in again}
    with pytest.raises(MissingDataError, match="train-encoder"):
        report.report(tmp_path, dataset=dataset, encoders={}, progress=False)
    assert not list(tmp_path.iterdir())


def test_the_command_passes_its_options_on(monkeypatch, capsys):
    asked = SimpleNamespace()
    monkeypatch.setattr(report, "report", lambda out, *args, **options: vars(asked).update(args=args, **options))
    assert __main__.main(["report", "--scenes", "7", "--seed", "3", "--workers", "1"]) == 0
    assert (asked.args, asked.pixels, asked.workers) == ((7, 3), None, 1)
    assert "REPORT.md" in capsys.readouterr().out


def test_visible_facts_hold_no_address_and_nothing_hidden():
    """What a postcard does not show is no fact, and no name or place is one either."""
    photos = open_dataset("postcards").photos.iloc[:400]
    blind = photos.assign(**{name: False for name in photos if name.startswith("cue_")})
    learns = np.arange(len(photos)) < 300
    assert visible_facts(photos, learns, fewest=1).shape[1] > 100 > visible_facts(blind, learns, fewest=1).shape[1]
    shown = list(ceiling._facts({"id": photos.index[0], **photos.iloc[0].to_dict()}))
    assert all(isinstance(value, float) for _, value in shown)
    moved = photos.assign(lat=photos["lat"].clip(-89, 89) + 1e-9, town="", admin1=photos["admin1"])
    np.testing.assert_allclose(visible_facts(moved, learns), visible_facts(photos, learns), atol=1e-6)
