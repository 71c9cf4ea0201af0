"""The report on the postcards' encoder: numbers against oracles, and all of it on a few hundred postcards."""

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
from postcards import CUES, __main__, build, goals, measures, methods, render_bytes, report, report_page
from postcards.ceiling import facts_of, visible_facts
from postcards.measures import How
from postcards.methods import BOTH, CEILING, HEADLINE, NEIGHBOUR, PIXELS, PROMPTED, Answers, Method

SCENES = 12
SIDES = {"train": 110, "train_balanced": 40, "calibration": 40, "test": 60, "test_places": 30, "test_balanced": 50}


@pytest.fixture(scope="module")
def dataset():
    """A few hundred rows of the shipped table, dealt to sides of our own."""
    shipped = open_dataset("postcards")
    few = shipped.photos.sample(sum(SIDES.values()), random_state=1)
    return replace(shipped, photos=few.assign(split=np.repeat(list(SIDES), list(SIDES.values()))), _version="tiny")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    folder = write_encoder(tmp_path_factory.mktemp("unnamed") / "encoder")
    return {"names": Encoder.load("postcards", device="cpu"), "no names": Encoder.load(folder, device="cpu")}


@pytest.fixture(scope="module")
def written(dataset, encoders, tmp_path_factory):
    """Folder of a whole report, and what it returned."""
    out = tmp_path_factory.mktemp("report")
    options = {"progress": False, "dataset": dataset, "encoders": encoders, "scenes": SCENES, "epochs": 4}
    return out, report.report(out, 0, 1, **options, n_boot=50)


@pytest.fixture(scope="module")
def page(written):
    return (written[0] / "REPORT.md").read_text(encoding="utf-8")


# Numbers against oracles


def draws_of(clusters, n_boot, seed):
    """Draw photographers and places, count each postcard as often as both came; nothing clever."""
    kinds = [clusters[kind].astype(str).to_numpy() for kind in ("photographer", "place")]
    rng = np.random.default_rng(seed)
    for _ in range(n_boot):
        draws = [rng.choice(sorted(set(labels)), size=len(set(labels))).tolist() for labels in kinds]
        times = [[draw.count(label) for label in labels] for draw, labels in zip(draws, kinds, strict=True)]
        yield np.prod(times, axis=0)


def brute_interval(values, clusters, n_boot, seed):
    means = [np.average(values, weights=draw) for draw in draws_of(clusters, n_boot, seed)]
    return np.mean(values), *np.quantile(means, [0.025, 0.975])


def test_the_interval_of_country_accuracy_is_that_of_drawing_photographers_and_places_one_by_one():
    rng = np.random.default_rng(3)
    clusters = pd.DataFrame({"photographer": rng.choice(list("abcdefghij"), 80), "place": rng.integers(8, size=80)})
    truth, said = rng.choice(["FR", "DE"], 80), rng.choice(["FR", "DE"], 80)
    expected = brute_interval((truth == said).astype(float), clusters, 200, 5)
    found = measures.mean_interval((truth == said).astype(float), clusters, How(5, 200))
    assert found == pytest.approx(expected)


def test_the_interval_of_a_ratio_divides_within_each_draw():
    rng = np.random.default_rng(4)
    clusters = pd.DataFrame({"photographer": rng.choice(list("abcdefghij"), 90), "place": rng.integers(9, size=90)})
    a, b = rng.random(90) < 0.7, rng.random(90) < 0.5
    ratios = [(draw @ a) / (draw @ b) for draw in draws_of(clusters, 100, 5)]
    expected = a.sum() / b.sum(), *np.quantile(ratios, [0.025, 0.975], method="nearest")
    assert measures.ratio_interval(a, b, clusters, How(5, 100)) == pytest.approx(expected)
    assert measures.ratio_interval(a, a, clusters, How(5, 100)) == (1, 1, 1), "paired: what is equal has no spread"
    value, low, high = measures.ratio_interval(a, b, clusters.assign(place=0), How(5, 100))
    assert value == pytest.approx(expected[0]) and np.isnan([low, high]).all(), "one place says nothing of others"


def photos_of(truth, who, lat=None, lon=None):
    n = len(truth)
    place = {"lat": np.zeros(n) if lat is None else lat, "lon": np.zeros(n) if lon is None else lon}
    return pd.DataFrame({"country": truth, "photographer": who} | place)


def answers(country, lat=0.0, lon=0.0):
    n = len(country)
    return Answers(np.full(n, lat), np.full(n, lon), np.asarray(country, dtype=object))


def test_a_difference_is_paired():
    """Two methods right on the same photos differ by exactly nothing, and that is no finding."""
    rng = np.random.default_rng(0)
    towns = np.repeat([0.0, 40.0, 80.0], 20)
    photos = photos_of(rng.choice(["FR", "DE"], 60), rng.choice(list("abcdef"), 60), lon=towns)
    said = np.where(rng.random(60) < 0.5, photos["country"], "XX")
    same = measures.difference(answers(said), answers(np.where(said == "XX", "YY", said)), photos, How(0, 100))
    assert (same["country_accuracy"], same["country_accuracy_low"], same["country_accuracy_high"]) == (0, 0, 0)
    assert same["country_accuracy_verdict"] == same["median_km_verdict"] == "same by construction"
    assert report_page.changed(same, "country_accuracy") == "same by construction: no draw differs"
    more = measures.difference(answers(photos["country"]), answers(said), photos, How(7, 100))
    gain = (said != photos["country"]).to_numpy().astype(float)
    expected = brute_interval(gain, measures.clusters_of(photos), 100, 7)
    assert more["country_accuracy_verdict"] == "more"
    assert (more["photographers"], more["places"]) == (6, 3)
    assert [more[f"country_accuracy{end}"] for end in ("", "_low", "_high")] == pytest.approx(expected)


def test_the_table_of_methods_holds_the_shares_that_counting_gives():
    photos = photos_of(["FR", "FR", "DE", "IT"], list("abcd"), lat=[0, 0.2, 5, 50])
    row = measures.score([Method("all at zero", "-", "train", 9, answers(["FR"] * 4))], photos, How(0, 20)).iloc[0]
    assert row["country_accuracy"] == 0.5
    assert (row["within_25_km"], row["within_200_km"], row["within_750_km"]) == (0.5, 0.5, 0.75)
    errors = evaluate.errors_km([0] * 4, [0] * 4, photos["lat"], photos["lon"])
    assert row["median_km"] == pytest.approx(np.median(errors))


def test_zero_shot_answers_with_the_mean_point_of_the_named_country():
    def embed_text(texts):
        """Knows countries by name: each its own direction, whatever the template says besides."""
        return np.array([[float(name in text) for name in ("France", "Fiji", "Kenya")] for text in texts], np.float32)

    train = pd.DataFrame(
        {
            "country": ["FR", "FJ", "FJ", "FR", "KE"],
            "country_name": ["France", "Fiji", "Fiji", "France", "Kenya"],
            "lat": [48.0, -18.0, -18.0, 44.0, 0.0],
            "lon": [2.0, 179.0, -179.0, 4.0, 37.0],
        }
    )
    vectors = np.eye(3, dtype=np.float32)[[1, 0, 2, 1]]
    said = methods.zero_shot(SimpleNamespace(embed_text=embed_text), vectors, train)
    assert said.country.tolist() == ["FJ", "FR", "KE", "FJ"]
    middle = sphere.mean_point([-18.0, -18.0], [179.0, -179.0])
    assert sphere.haversine_km(said.lat[0], said.lon[0], *middle) < 1e-6
    assert abs(said.lon[0]) == pytest.approx(180), "right across the dateline"
    assert sphere.haversine_km(said.lat[1], said.lon[1], *sphere.mean_point([48.0, 44.0], [2.0, 4.0])) < 1e-6


def test_the_country_classifier_is_the_logistic_regression_of_scikit_learn():
    rng = np.random.default_rng(0)
    middles = rng.normal(size=(4, 8))
    y = rng.integers(0, 4, 600)
    x = (middles[y] + rng.normal(0, 1.2, (600, 8))).astype(np.float32)
    names = np.array(["DE", "FR", "IT", "XX"])[y]
    made = methods.fit_countries(x[:400], names[:400], (x[400:500], names[400:500]), iterations=200)
    scaled = ((x - x[:400].mean(axis=0)) / x[:400].std(axis=0)).astype(np.float64)
    oracle = LogisticRegression(C=1 / (made.decay * 400), max_iter=2000, tol=1e-8).fit(scaled[:400], names[:400])
    assert (made.predict(x) == oracle.predict(scaled)).mean() > 0.995
    assert (made.predict(x[500:]) == names[500:]).mean() > 0.6


def test_the_decay_is_the_best_on_calibration_and_of_equals_the_strongest():
    x = np.eye(3, dtype=np.float32).repeat(20, axis=0)
    names = np.array(["A", "B", "C"]).repeat(20)
    assert methods.fit_countries(x, names, (x, names)).decay == methods.DECAYS[0]
    unseen = methods.fit_countries(x, names, (x, np.full(60, "Z")))  # a country never seen is wrong, not an error
    assert unseen.decay == methods.DECAYS[0]


# Goals


def asked(split, lat, train_lat=(0.0,), probed=()):
    """Goals of postcards on the meridian of Greenwich that every method places at 0, 0 in FR."""
    n = len(lat)
    table = photos_of(["FR"] * n, [f"p{number}" for number in range(n)], lat=lat)
    test = table.assign(split=split, cue_landmark=False, landmark_id=0)
    train = pd.DataFrame({"lat": train_lat, "lon": 0.0, "cue_landmark": True, "landmark_id": 7})
    keys = {HEADLINE, NEIGHBOUR, PIXELS, CEILING, PROMPTED, methods.LINEAR_HEADS}
    rows = goals.goals([Method(*key, 1, answers(["FR"] * n)) for key in keys], test, train, probed, How(0, 20))
    return {(row["goal"], row["side"]): row for row in rows}


def test_a_goal_that_cannot_be_measured_is_not_missed():
    rows = asked("test_balanced", [0.0, 1.0, 50.0])
    for (_, side), row in rows.items():
        measured = side == "test_balanced" and "read" not in row["goal"]
        assert (row["value"] is not None) == (row["reached"] is not None) == measured
        assert report_page.goal_result(row).startswith("not measured") != measured


def test_shares_and_ratios_are_those_that_counting_gives():
    rows = asked("test_balanced", [0.0, 1.0, 50.0])
    ratio = rows["share within 750 km, over that of thumbnails", "test_balanced"]
    assert (ratio["value"], ratio["target"], ratio["reached"], ratio["missed_by"]) == (1, 2, False, 1)
    assert report_page.goal_result(ratio) == "missed by 1.00 times (less)"
    assert rows["share within 750 km, over that of the ceiling", "test_balanced"]["reached"]
    assert rows["country named", "test_balanced"]["value"] == 1
    rows = asked("test", [0.0, 1.0, 50.0, 60.0])
    median = rows["median error", "test"]
    expected = sphere.haversine_km(0, 0, np.array([1.0, 50.0]), 0).mean()
    assert (median["value"], median["reached"]) == (pytest.approx(expected), False)
    assert median["missed_by"] == pytest.approx(expected - 500)
    assert report_page.goal_target(median) == "at most 500 km"


def test_one_place_holds_the_part_of_the_hits_that_it_holds():
    """Hits lie at two places, 20 km from the answer and 40 km from each other: three of four at one."""
    rows = asked("test", [0.18, 0.18, 0.18, -0.18, 30.0])
    row = rows["largest place's part of the nearest neighbour's hits within 25 km", "test"]
    assert (row["value"], row["reached"], row["note"]) == (0.75, False, "4 hits")


def test_held_out_places_are_as_far_from_training_as_the_nearest_of_them():
    row = asked("test_places", [1.0, 3.0], train_lat=(0.0, 2.1))[
        "smallest distance to a training postcard", "test_places"
    ]
    assert row["value"] == pytest.approx(sphere.haversine_km(3.0, 0, 2.1, 0))
    assert row["reached"] and row["verdict"] == ""
    nearer = asked("test_places", [2.5])["smallest distance to a training postcard", "test_places"]
    assert nearer["missed_by"] == pytest.approx(max(50 - sphere.haversine_km(2.5, 0, 0, 0), 0))


def test_landmarks_count_only_where_training_shows_them():
    table = photos_of(["FR"] * 4, list("abcd"), lat=[0, 0, 0, 50]).assign(
        split="test", cue_landmark=[True, True, False, True], landmark_id=[1, 2, 1, 1]
    )
    train = pd.DataFrame({"lat": [0.0, 1.0], "lon": 0.0, "cue_landmark": [True, False], "landmark_id": [1, 2]})
    keys = {HEADLINE, NEIGHBOUR, methods.LINEAR_HEADS}
    found = goals.goals([Method(*key, 1, answers(["FR"] * 4)) for key in keys], table, train, [], How(0, 10))
    row = next(row for row in found if "landmark" in row["goal"])
    assert (row["value"], row["reached"]) == (0.5, True), "2 shows one that training does not show; 3 shows none"
    assert row["note"].startswith("2 postcards")


def test_a_fact_is_read_as_far_as_it_comes_from_chance_to_the_ceiling():
    probed = {"fact": "language", "side": "test_balanced", "encoder": 0.7, "low": 0.6, "high": 0.8, "chance": 0.2}
    rows = asked("development", [0.0], probed=[probed | {"ceiling": 1.0, "way": 0.625}])
    row = rows["language read, from chance to the ceiling", "test_balanced"]
    assert (row["value"], row["value_low"], row["value_high"]) == pytest.approx((0.625, 0.5, 0.75))
    assert row["reached"] and row["verdict"] == "undecided"


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
        assert rows[[f"cue_{cue}" for cue in report.GROUPS[name]]].any(axis=1).all()
    none = dataset.photos.assign(cue_landmark=False)
    assert "landmark" not in report.choose_scenes(none, report.GROUPS, SCENES, 0)


def test_groups_hide_cues_that_exist():
    assert {cue for cues in report.GROUPS.values() for cue in cues} == set(CUES)


def test_reading_is_the_loss_times_how_often_it_can_be_read():
    lost = {"country_accuracy": -0.2, "country_accuracy_low": -0.3, "country_accuracy_high": -0.1}
    costs = pd.DataFrame([{"cues": report.READING, "share_of_scenes": 0.4} | lost])
    found = report.reading(costs, 0.32)
    assert (found["points"], found["share_of_result"]) == pytest.approx((0.08, 0.25))
    assert (found["points_low"], found["points_high"]) == pytest.approx((0.04, 0.12))
    assert report.reading(costs.iloc[:0], 0.32) is None


# The whole


def test_the_page_is_what_the_json_says(written, page):
    out, numbers = written
    stored = read_json(out / "report.json")
    assert stored == numbers
    assert page == report_page.markdown(stored)
    for side, rows in stored["methods"].items():
        part = page.split(f"### `{side}`")[1].split("\n##")[0]
        lines = [line for line in part.splitlines() if line.startswith("| ") and "%" in line]
        assert len(lines) == len(rows), "every method has a line on every side"
        for key, label in report_page.SHOWN.items():
            row = next(row for row in rows if (row["method"], row["captions"], row["trained_on"]) == key)
            cells = next(line for line in lines if line.startswith(f"| {label} |")).strip("|").split("|")
            value, low, high = map(float, re.findall(r"-?\d+\.\d", cells[2])[:3])
            expected = [round(100 * row[f"country_accuracy{end}"], 1) for end in ("", "_low", "_high")]
            assert [value, low, high] == pytest.approx(expected, abs=0.051)
            assert float(cells[7].split(" km")[0].replace(",", "")) == pytest.approx(row["median_km"], abs=0.51)


def test_the_first_thing_is_the_figure_and_the_last_are_the_goals(written, page):
    first = page.split("\n\n")
    assert first[0].startswith("# ") and first[1].startswith("![") and first[1].endswith("(report_methods.png)")
    assert first[2].count(". ") + 1 == 3, "three sentences"
    headings = re.findall(r"^## (.*)$", page, flags=re.M)
    assert headings[0] == "What the encoder reads" and headings[-1] == "Goals"
    assert len(page.split("## Goals")[1]) < 5_000


def test_missed_goals_stand_beside_what_the_probes_say_of_them(written, page):
    missed = [row for row in written[1]["goals"] if row["reached"] is False]
    why = page.partition("**Missed**: ")[2]
    assert bool(why) == bool(missed)
    assert all(f"{row['goal']} on `{row['side']}`" in why for row in missed)
    unread = [row["fact"] for row in written[1]["probe"] if not row["halfway"]]
    assert all(f" {fact} (" in why for fact in unread) or not missed


def test_every_goal_has_its_value_and_whether_it_is_reached(written, page):
    rows, end = written[1]["goals"], page.split("## Goals")[1]
    assert len(rows) == 20 + 1
    for row in rows:
        line = next(t for t in end.splitlines() if t.startswith(f"| {row['goal']} | `{row['side']}` |"))
        assert report_page.goal_value(row) in line and report_page.goal_result(row) in line
        assert report_page.goal_target(row) in line
        if row["value"] is not None:
            better = row["value"] - row["target"] if row["at_least"] else row["target"] - row["value"]
            assert row["reached"] == (better >= 0) and row["missed_by"] == pytest.approx(max(-better, 0))
            assert row["verdict"] in {"more", "less", "undecided", ""}
    measured = {row["goal"] for row in rows if row["value"] is not None}
    assert {"country named", "median error", "smallest distance to a training postcard"} <= measured


def test_the_page_names_places_and_gives_a_verdict_for_every_difference(written, page):
    numbers = written[1]
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


def test_heads_of_one_classifier_name_the_same_countries_and_the_page_says_why(written, page):
    rows = written[1]["differences"]["test"]
    row = next(row for row in rows if row["claim"] == "default model instead of linear heads")
    assert row["country_accuracy_verdict"] == "same by construction"
    assert "same by construction: one classifier names the country for both" in page


def test_every_method_is_there_once_and_pixels_and_ceiling_get_the_same_heads(written):
    rows = written[1]["methods"]
    assert set(rows) == {"test", "test_places", "test_balanced"}
    keys = [(row["method"], row["captions"], row["trained_on"]) for row in rows["test"]]
    assert len(set(keys)) == len(keys)
    assert {HEADLINE, PIXELS, CEILING, NEIGHBOUR, PROMPTED, methods.LINEAR_HEADS, methods.PRIOR} <= set(keys)
    assert ("default model", "no names", BOTH) in keys and ("default model", "names", "train") in keys
    trained = {key: row["training_photos"] for key, row in zip(keys, rows["test"], strict=True)}
    assert {trained[key] for key in (HEADLINE, PIXELS, CEILING, NEIGHBOUR)} == {150}
    assert {row["photos"] for row in rows["test_balanced"]} == {50}


def test_cues_are_sorted_by_cost_and_of_scenes_that_show_them(written):
    rows = written[1]["cues"]
    costs = [row["country_accuracy"] for row in rows]
    assert costs == sorted(costs)
    assert {"everything", "road", report.READING} <= {row["cues"] for row in rows}
    assert all(0 < row["photos"] <= SCENES for row in rows)


def test_figures_are_small_pictures_with_alt_text(written, page):
    out, numbers = written
    for name in ("report_methods.png", "report_probe.png", "report_cues.png"):
        content = (out / name).read_bytes()
        assert len(content) < 120_000
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.width > 800
        alt = re.search(rf"!\[([^\]]+)\]\({name}\)", page)
        assert alt and len(alt.group(1)) > 60
    names = {"REPORT.md", "report.json", "report_cues.png", "report_methods.png", "report_probe.png"}
    assert {path.name for path in out.iterdir()} == names, "nothing temporary is left"
    rows = numbers["methods"]["test_places"]
    own = next(row for row in rows if (row["method"], row["captions"], row["trained_on"]) == HEADLINE)
    assert f"place {100 * own['within_750_km']:.0f} % within 750 km" in report_page.headline(numbers)


def test_the_tree_finds_the_leak_on_purpose_and_no_other(written):
    rows = {row["features"]: row["ratio"] for row in written[1]["leaks"]}
    assert rows["order of longitudes (a leak on purpose)"] < 0.7
    assert rows["order in the table"] > 0.8


def test_without_the_twin_all_other_rows_are_the_same(dataset, encoders, written):
    study = report.Study(dataset, {"names": encoders["names"]}, report.data_path("postcards"), How(0, 50, epochs=4))
    answered, _ = report.answer_all(study, methods.thumbnails(dataset))
    assert {method.captions for method in answered} == {"-", "names"}
    test = dataset.photos[study.mask(*methods.TESTS)]
    for side, rows in written[1]["methods"].items():
        mask = (test["split"] == side).to_numpy()
        own = [replace(method, answers=method.answers.at(mask)) for method in answered]
        again = build.records(measures.score(own, test[mask], study.how))
        before = [row for row in rows if row["captions"] != "no names"]
        assert [{k: None if v != v else v for k, v in row.items()} for row in again] == before


def test_without_an_encoder_nothing_is_written(dataset, tmp_path):
    with pytest.raises(MissingDataError, match="train-encoder"):
        report.report(tmp_path, dataset=dataset, encoders={}, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_side_that_is_missing_is_left_out_of_page_and_figure(written, tmp_path):
    numbers = written[1]
    few = numbers | {"probe": []}
    for name in ("methods", "differences"):
        few[name] = {side: rows for side, rows in numbers[name].items() if side != "test_places"}
    assert "### `test_places`" not in report_page.markdown(few)
    report_page.write_figures(tmp_path, few)
    assert {path.name for path in tmp_path.iterdir()} == {"report_methods.png", "report_cues.png"}


def test_the_command_passes_its_options_on(monkeypatch, capsys):
    asked_for = SimpleNamespace()
    monkeypatch.setattr(report, "report", lambda out, *args, **options: vars(asked_for).update(args=args, **options))
    assert __main__.main(["report", "--seed", "3", "--workers", "1"]) == 0
    assert asked_for.args == (3, 1)
    assert "REPORT.md" in capsys.readouterr().out


def test_visible_facts_hold_no_address_and_nothing_hidden():
    """What a postcard does not show is no fact, and no name or place is one either."""
    photos = open_dataset("postcards").photos.iloc[:400]
    blind = photos.assign(**{name: False for name in photos if name.startswith("cue_")})
    learns = np.arange(len(photos)) < 300
    assert visible_facts(photos, learns, fewest=1).shape[1] > 100 > visible_facts(blind, learns, fewest=1).shape[1]
    towns = set(photos["town"]) | set(photos["country_name"])
    assert not towns & {str(value) for shown in facts_of(photos) for value in shown.values()}
    moved = photos.assign(lat=photos["lat"].clip(-89, 89) + 1e-9, town="", admin1=photos["admin1"])
    np.testing.assert_allclose(visible_facts(moved, learns), visible_facts(photos, learns), atol=1e-6)
