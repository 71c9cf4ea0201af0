"""The whole chain: it predicts from pixels only, saves and loads unchanged, and refuses what does not belong."""

import base64
import importlib.util
import io
import itertools
import json
import math
import re
import shutil
import warnings
from contextlib import suppress
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import ExifTags, Image
from shipped import SAMPLE
from tiny import world, write_encoder, write_store

import geolib
from geolib import plots, predict, predict_location
from geolib.cells import GeocellTree
from geolib.common.errors import CorruptFileError, GeolibError, ImageError, MismatchError, MissingDataError
from geolib.common.files import data_path, read_json, sha256_file, write_json
from geolib.common.settings import Settings
from geolib.common.sources import code_hash
from geolib.datasets import Dataset, open_dataset
from geolib.datasets.splits import split_photos
from geolib.decoding import decode
from geolib.embed import EmbeddingStore
from geolib.encoder import Encoder
from geolib.evaluate import errors_km, verdict
from geolib.familiar import Familiarity
from geolib.fusion import RULES, fuse
from geolib.heads import TrainOptions, predict_logits, train_heads
from geolib.images import Failure
from geolib.judge import abstain
from geolib.judge.model import evaluate, record
from geolib.plots import prediction as plots_prediction
from geolib.predict import Geolocator, Prediction, cells_for
from geolib.retrieve import NearestNeighbour
from geolib.sharing import model_folder
from geolib.sphere import haversine_km

TOOL = Path(__file__).resolve().parents[2] / "tools" / "default_model.py"
spec = importlib.util.spec_from_file_location("default_model_tool", TOOL)
default_model_tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(default_model_tool)


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    return Encoder.load(write_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")


@pytest.fixture(scope="session")
def other_encoder(tmp_path_factory):
    return Encoder.load(write_encoder(tmp_path_factory.mktemp("other-encoder"), seed=1), device="cpu")


@pytest.fixture(scope="session")
def model(encoder):
    return Geolocator.fit(
        encoder,
        *world(),
        calibration=world(200, seed=1),
        cells_per_level=(4, 24),
        options=TrainOptions(epochs=15),
        device="cpu",
    )


@pytest.fixture(scope="session")
def other_model(encoder):
    options = TrainOptions(epochs=1)
    return Geolocator.fit(encoder, *world(100, seed=5), cells_per_level=(2, 6), options=options, device="cpu")


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path / "photo.jpg")


def write_photo(path, seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((80, 60), Image.Resampling.BICUBIC).save(path, **options)
    return path


def prediction(lat, lon, code, sure, familiar=True, limit=1.2):
    answer = {"lat": lat, "lon": lon, "entropy": 0.0, "radius_km": 1234.0, "countries": pd.Series([0.4], index=[code])}
    cells = {"top": pd.DataFrame(), "posterior": np.full(2, 0.5), "levels": [], "tree": None}
    return Prediction(familiar=familiar, distance=1.5, familiar_below=limit, confidence=sure, **answer, **cells)


def same(a: Prediction, b: Prediction):
    names = ("familiar", "distance", "familiar_below", "lat", "lon", "confidence", "entropy", "radius_km")
    assert [getattr(a, name) for name in names] == [getattr(b, name) for name in names]
    assert np.array_equal(a.posterior, b.posterior)
    pd.testing.assert_frame_equal(a.top, b.top)
    return True


# Fitting


def test_it_learns_where_photos_are(model):
    vectors, lat, lon = world(300, seed=2)
    found = np.median(errors_km(*model.predict_vectors(vectors), lat, lon))
    constant = np.median(errors_km(np.full(300, lat.mean()), np.full(300, lon.mean()), lat, lon))
    assert found < 1000 < constant


def test_posteriors_are_distributions_and_batches_do_not_matter(model):
    vectors, _, _ = world(50, seed=3)
    posterior = model.posterior(vectors)
    assert posterior.shape == (50, model.tree.n_cells[-1])
    assert posterior.sum(axis=1) == pytest.approx(np.ones(50), abs=1e-5)
    assert np.allclose(model.predict_vectors(vectors, batch_size=7), model.predict_vectors(vectors))


def test_equal_seeds_give_equal_models(model, encoder):
    again = Geolocator.fit(
        encoder,
        *world(),
        calibration=world(200, seed=1),
        cells_per_level=(4, 24),
        options=TrainOptions(epochs=15),
        device="cpu",
    )
    vectors, _, _ = world(20, seed=4)
    assert np.array_equal(again.posterior(vectors), model.posterior(vectors))


@pytest.mark.parametrize("photos", [1, 19, 20, 400, 20_000, 999_999, 1_000_000, 10**9])
def test_cells_scale_with_the_photos(photos):
    cells = cells_for(photos)
    assert all(a < b for a, b in itertools.pairwise(cells))
    assert cells[0] >= 1
    assert cells[-1] == min(max(photos // 20, 1), 50_000)
    assert len(cells) == 4 or photos < 1000


def test_a_million_photos_get_the_articles_first_and_last_level():
    assert cells_for(1_000_000)[0] == 100
    assert cells_for(1_000_000)[-1] == 50_000


@pytest.mark.parametrize("copies", [1, 30])
def test_one_photo_or_all_at_one_point_predicts_that_point(encoder, copies, photo):
    vectors = world(copies)[0]
    model = Geolocator.fit(
        encoder, vectors, [48.5] * copies, [2.5] * copies, options=TrainOptions(epochs=2), device="cpu"
    )
    found = model.predict(photo)
    assert (found.lat, found.lon) == pytest.approx((48.5, 2.5), abs=1e-4)
    assert found.top["probability"].tolist() == [1.0]
    assert (found.entropy, found.countries.index[0]) == (0.0, "FRA")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lat": [91.0]}, "lat"),
        ({"lon": [math.nan]}, "lon"),
        ({"vectors": np.full((1, 16), np.nan, np.float32)}, "NaN"),
        ({"cells_per_level": "many"}, "expected 'auto'"),
        ({"cells_per_level": (10, 5)}, "cells_per_level"),
        ({"fusion": "guess"}, "guess"),
        ({"decoding": "guess"}, "guess"),
        ({"lat": [1.0, 2.0], "lon": [1.0, 2.0]}, "1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(encoder, change, message):
    vectors, _, _ = world(1)
    given = {"vectors": vectors, "lat": [48.0], "lon": [2.0]} | change
    with pytest.raises(ValueError, match=message):
        Geolocator.fit(encoder, **given, options=TrainOptions(epochs=1), device="cpu")


def test_what_cannot_be_used_is_refused_before_training(encoder, monkeypatch):
    monkeypatch.setattr("geolib.predict.train_heads", None)
    for change in ({"fusion": "guess"}, {"decoding": "guess"}, {"preset": "guess"}, {"fusion_options": {"top_k": 0}}):
        with pytest.raises(ValueError, match=r"guess|top_k"):
            Geolocator.fit(encoder, *world(100), **{"preset": "article"} | change)


def test_presets_and_what_is_given_in_their_place(encoder):
    def fit(**given):
        return Geolocator.fit(encoder, *world(100), cells_per_level=(2, 6), device="cpu", **given)

    def rules(made):
        return made.fusion, made.decoding, made.training["settings"]["trunk"] > 0

    usual, article = fit(), fit(preset="article")
    assert rules(usual) == ("finest", "geoscore", True) and rules(article) == ("consistency", "argmax", False)
    options = TrainOptions(epochs=1)
    assert rules(fit(options=options)) == ("finest", "geoscore", False)
    mixed = fit(preset="article", fusion="product", options=options)
    assert rules(mixed) == ("product", "argmax", False) and mixed.training["settings"]["epochs"] == 1
    tree = GeocellTree.fit(*world(100)[1:], (2, 6))
    heads, _ = train_heads(*world(100), tree)
    by_hand = decode(fuse(predict_logits(heads, world(20, seed=1)[0]), tree, "consistency"), tree, "argmax")
    assert np.array_equal(article.predict_vectors(world(20, seed=1)[0]), by_hand)


def test_an_unknown_preset_is_refused_where_everything_else_is_given_too(encoder):
    given = {"fusion": "product", "decoding": "argmax", "options": TrainOptions(epochs=1)}
    with pytest.raises(ValueError, match="preset='starlog': expected one of default, article"):
        Geolocator.fit(encoder, *world(100), cells_per_level=(2, 6), preset="starlog", device="cpu", **given)


def test_numpy_numbers_in_any_option_can_be_saved(encoder, tmp_path):
    model = Geolocator.fit(
        encoder,
        *world(100),
        cells_per_level=np.array([2, 6]),
        min_photos=np.int64(5),
        fusion=str(np.array("product")),
        fusion_options={
            "temperatures": np.array([1.0, 2.0]),
            "level_weights": torch.tensor([1.0, 0.5]),
        },
        options=TrainOptions(epochs=np.int64(1), trunk=np.int32(4), dropout=np.float32(0.1), leaf_sums=np.False_),
        seed=np.int64(3),
        device="cpu",
    )
    model.save(tmp_path / "model")
    loaded = Geolocator.load(tmp_path / "model", encoder)
    assert loaded.fusion_options == {"temperatures": [1.0, 2.0], "level_weights": [1.0, 0.5]}
    assert (loaded.training["seed"], loaded.training["settings"]["trunk"]) == (3, 4)
    options = {"top_k": np.int64(1), "penalty": np.float32(0.5)}
    training = loaded.training | {"seed": np.int8(1)}
    by_hand = replace(loaded, fusion="consistency", fusion_options=options, training=training)
    by_hand.save(tmp_path / "by-hand")
    assert Geolocator.load(tmp_path / "by-hand", encoder).fusion_options == {"top_k": 1, "penalty": 0.5}


def test_vectors_of_another_model_are_refused(encoder):
    with pytest.raises(MismatchError, match=r"\(600, 24\): expected \(n, 16\)"):
        Geolocator.fit(encoder, *world(dim=24))


# Predicting


def test_a_prediction_holds_together(model, photo):
    found = model.predict(photo, top_k=7)
    assert found.posterior.dtype == np.float32
    assert len(found.top) == 7
    assert found.top["probability"].is_monotonic_decreasing
    assert found.top["probability"].tolist() == pytest.approx(found.posterior[found.top["cell"]].tolist())
    center = replace(model, decoding="argmax").predict(photo)
    first = found.top.iloc[0]
    assert (first["lat"], first["lon"]) == (center.lat, center.lon), "argmax decodes to the first cell"
    assert [len(level) for level in found.levels] == list(model.tree.n_cells)
    assert [float(level.sum()) for level in found.levels] == pytest.approx([1.0] * model.tree.n_levels, abs=1e-5)
    assert 0 <= found.entropy <= math.log2(model.tree.n_cells[-1])
    assert found.countries.sum() == pytest.approx(1, abs=1e-5)
    inside = [
        km <= found.radius_km + 1e-9
        for km in errors_km(
            np.full(len(found.posterior), found.lat), np.full(len(found.posterior), found.lon), *model.tree.centers(-1)
        )
    ]
    assert found.posterior[inside].sum() >= 0.5 - 1e-6
    assert f"{abs(found.lat):.2f}°" in found.sentence()


def test_a_sentence_says_hemispheres_and_how_sure():
    def say(lat, lon, code, sure):
        return prediction(lat, lon, code, sure).sentence()

    assert say(-33.9, 151.2, "AUS", 0.97) == (
        "Very likely within 750 km of 33.90° S, 151.20° E (Australia): confidence 97 %; "
        "half of the model's probability lies within 1,234 km."
    )
    assert say(0, -30, "", 0.3).startswith("Perhaps within 750 km of 0.00° N, 30.00° W (the open sea): confidence 30 %")
    assert say(26.37, 95.59, "ZAF", 0.23).endswith("within 1,234 km; the likeliest country is South Africa.")
    assert say(26.37, 95.59, "", 0.23).endswith("within 1,234 km; the likeliest country is none (the open sea).")


@pytest.mark.parametrize(
    ("sure", "word"),
    [
        (1, "Very likely"),
        (0.8, "Very likely"),
        (0.79, "Probably"),
        (0.5, "Probably"),
        (0.49, "Perhaps"),
        (0, "Perhaps"),
    ],
)
def test_words_follow_from_the_confidence_alone(sure, word):
    found = prediction(-33.9, 151.2, "AUS", sure)
    assert found.guess().startswith(f"{word} within 750 km of ")
    assert f"confidence {100 * sure:.0f} %" in found.guess()
    assert "40 %" not in found.guess(), "the country's probability does not rank errors"


def test_an_unfamiliar_picture_gets_a_warning_first_and_no_confidence():
    found = prediction(-33.9, 151.2, "AUS", 0.97, familiar=False)
    assert found.sentence() == (
        "This image is unlike the training images (distance 1.50; 99 % of the calibration images are below 1.20). "
        "If you still want a guess: 33.90° S, 151.20° E (Australia)."
    )
    assert str(found) == found.sentence()
    assert repr(found).startswith("Prediction(familiar=False, distance=1.5, familiar_below=1.2, ")
    assert prediction(0, 0, "", 0.9).warning == ""
    unknown = prediction(-33.9, 151.2, "AUS", 0.97, familiar=None, limit=None)
    assert unknown.warning.endswith("is not known: no calibration photos were given.")
    assert unknown.sentence() == f"{unknown.warning} {unknown.guess()}"
    assert unknown.guess().startswith("Very likely within 750 km")


def test_the_confidence_is_said_wherever_the_answer_is(model, photo):
    found = replace(model, familiarity=replace(model.familiarity, threshold=None)).predict(photo)
    (expected,) = abstain.confidence(found.posterior[None], model.tree, [found.lat], [found.lon])
    assert found.confidence == expected and 0 < expected <= 1
    said = f"confidence {100 * expected:.0f} %"
    assert f"confidence={found.confidence}" in repr(found)
    assert (
        found.to_frame().attrs["confidence"] == found.geojson()["features"][0]["properties"]["confidence"] == expected
    )
    assert said in found.sentence() and said in plots_prediction.prediction_html(found)


def test_an_unfamiliar_picture_ranks_below_every_other(model, photo):
    seen = model.see(photo)
    limits = {"far": seen.distance / 2, "near": seen.distance * 2, "unknown": None}
    far, near, unknown = (
        replace(model, familiarity=replace(model.familiarity, threshold=limit)) for limit in limits.values()
    )
    assert far.answer(seen).confidence == 0 < near.answer(seen).confidence == unknown.answer(seen).confidence
    assert "confidence" not in far.answer(seen).sentence()


def test_a_model_of_one_cell_names_no_place():
    found = replace(prediction(64, 100, "RUS", 1.0), posterior=np.ones(1))
    assert found.sentence() == "The model has one cell for the whole Earth: it cannot say where."


def test_a_prediction_says_whether_the_picture_is_familiar(model, encoder, photo):
    found = model.predict(photo)
    (distance,) = model.familiarity.distance(encoder.embed_images([photo]))
    assert (found.distance, found.familiar_below) == (distance, model.familiarity.threshold)
    assert found.familiar is False, "the world's embeddings are not those of pictures"
    easy = replace(model, familiarity=replace(model.familiarity, threshold=float(distance)))
    assert easy.predict(photo).familiar is True, "as far as the threshold is not beyond it"


def test_without_calibration_photos_familiar_is_not_known(encoder, photo):
    made = Geolocator.fit(encoder, *world(50), cells_per_level=(2, 6), options=TrainOptions(epochs=1), device="cpu")
    found = made.predict(photo)
    assert (found.familiar, found.familiar_below) == (None, None)
    assert math.isfinite(found.distance)


def test_gps_in_exif_changes_nothing_bit_for_bit(model, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "somebody in Paris"
    exif[ExifTags.IFD.GPSInfo] = {1: "N", 2: (48.0, 51.0, 24.0), 3: "E", 4: (2.0, 21.0, 3.0)}
    bare = write_photo(tmp_path / "bare.jpg", quality=90)
    told = write_photo(tmp_path / "Paris 48.8566,2.3522.jpg", quality=90, exif=exif, comment=b"taken in Paris")
    assert told.stat().st_size > bare.stat().st_size
    assert same(model.predict(bare), model.predict(told))


def test_rules_and_their_options_are_used_and_kept(model, encoder, tmp_path):
    vectors = world(20, seed=7)[0]
    cold = replace(model, fusion="product", decoding="mean", fusion_options={"temperatures": [1.0, 0.1]})
    assert cold.posterior(vectors).max() > model.posterior(vectors).max()
    assert not np.allclose(cold.predict_vectors(vectors), model.predict_vectors(vectors))
    cold.save(tmp_path / "cold")
    assert np.array_equal(Geolocator.load(tmp_path / "cold", encoder).posterior(vectors), cold.posterior(vectors))


@pytest.mark.parametrize("top_k", [0, -1])
def test_top_k_below_one_is_refused(model, photo, top_k):
    with pytest.raises(ValueError, match=f"top_k={top_k}: expected at least 1"):
        model.predict(photo, top_k)


def test_top_k_beyond_the_cells_gives_them_all(model, photo):
    assert len(model.predict(photo, 10**9).top) == model.tree.n_cells[-1]


def test_one_photo_is_not_many(model, photo):
    for one in (str(photo), photo, photo.read_bytes(), geolib.load_rgb(photo)):
        with pytest.raises(ValueError, match="put it in a list"):
            model.predict_many(one)
    assert model.predict_many([]) == []


def test_many_photos_with_failures_as_data(model, photo, tmp_path):
    (tmp_path / "text.jpg").write_text("not a photo")
    images = [photo, tmp_path / "text.jpg", tmp_path / "none.jpg", b"", photo]
    answers = model.predict_many(images)
    assert [type(answer) for answer in answers] == [Prediction, Failure, Failure, Failure, Prediction]
    assert answers[1].image == str(tmp_path / "text.jpg")
    assert "not a JPEG, PNG or WEBP" in answers[1].reason
    assert same(answers[0], answers[4])
    assert same(answers[0], model.predict(photo)), "an answer does not depend on what else was asked"
    with pytest.raises(ImageError):
        model.predict(images[1])


# Saving and loading


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_comes_back_the_same(model, saved, encoder, photo):
    loaded = Geolocator.load(saved, encoder)
    assert same(loaded.predict(photo), model.predict(photo))
    assert (loaded.fusion, loaded.decoding, loaded.training) == (model.fusion, model.decoding, model.training)
    by_name = Geolocator.load(saved, device="cpu")
    assert by_name.encoder.fingerprint == encoder.fingerprint
    record = read_json(saved / "model.json")
    assert record["encoder"]["fingerprint"] == encoder.fingerprint
    assert record["versions"]["geolib"] == geolib.__version__
    assert sorted(path.name for path in saved.iterdir()) == sorted([*FILES, "README.md"])
    assert sorted(model_folder.MODEL_FILES) == sorted([*FILES, "README.md"])


def test_saving_over_a_model_replaces_it_and_leaves_no_litter(model, other_model, saved, encoder):
    heads = (saved / "heads.safetensors").read_bytes()
    other_model.save(saved)
    assert Geolocator.load(saved, encoder).tree.n_cells == other_model.tree.n_cells
    model.save(saved)
    assert (saved / "heads.safetensors").read_bytes() == heads
    assert [path.name for path in saved.parent.iterdir() if path.is_dir()] == ["model"]


def test_a_save_that_fails_leaves_the_old_model(model, saved, encoder, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(model_folder, "write_json", full)
    with pytest.raises(OSError, match="no space"):
        model.save(saved)
    with pytest.raises(OSError, match="no space"):
        model.save(saved.parent / "new")
    monkeypatch.undo()
    assert Geolocator.load(saved, encoder).training == model.training
    assert [path.name for path in saved.parent.iterdir() if path.is_dir()] == ["model"]


def test_a_folder_that_is_no_model_is_not_overwritten(model, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for name in ("thesis", "file"):
        with pytest.raises(ValueError, match="is not a model folder"):
            model.save(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "years of work"


def test_another_encoder_is_refused_by_name(saved, other_encoder):
    with pytest.raises(MismatchError, match="load that encoder, or fit the model again"):
        Geolocator.load(saved, other_encoder)


FILES = ["model.json", "tree.safetensors", "heads.safetensors", "familiar.safetensors"]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved, encoder, name):
    (saved / name).unlink()
    with pytest.raises(MissingDataError, match=name):
        Geolocator.load(saved, encoder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0, 1, 7, 0.5, 0.99, -1])
def test_a_truncated_file_is_named(saved, encoder, name, kept):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[: int(kept * len(content)) if 0 < kept < 1 else kept])
    if name == "model.json" and kept == -1:  # only the last line's end: nothing is lost
        assert Geolocator.load(saved, encoder).training
        return
    with pytest.raises(CorruptFileError, match=name):
        Geolocator.load(saved, encoder)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_found_anywhere(saved, encoder, model, name):
    content = (saved / name).read_bytes()
    for position in np.linspace(0, len(content) - 1, 25).astype(int):
        flipped = bytearray(content)
        flipped[position] ^= 0x10
        (saved / name).write_bytes(flipped)
        with pytest.raises(CorruptFileError, match=name):
            Geolocator.load(saved, encoder)
    (saved / name).write_bytes(content)
    assert Geolocator.load(saved, encoder).training == model.training


def test_files_that_were_swapped_are_refused(saved, encoder):
    tree, heads = saved / "tree.safetensors", saved / "heads.safetensors"
    content = tree.read_bytes(), heads.read_bytes()
    tree.write_bytes(content[1])
    heads.write_bytes(content[0])
    with pytest.raises(CorruptFileError, match=r"tree\.safetensors was .* belongs to another model"):
        Geolocator.load(saved, encoder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_model_is_refused(other_model, saved, encoder, tmp_path, name):
    other_model.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, saved / name)
    with pytest.raises(CorruptFileError, match="belongs to another model"):
        Geolocator.load(saved, encoder)


@pytest.mark.parametrize("nonsense", ["", "null", "[]", "{}", "3", '"model"', '{"checksum": "x"}', "[" * 100_000])
def test_json_nonsense_is_refused(saved, encoder, nonsense):
    (saved / "model.json").write_text(nonsense)
    with pytest.raises(CorruptFileError, match=r"model\.json"):
        Geolocator.load(saved, encoder)


def forge(path, **changes):
    """Write model.json with other content and a checksum that fits it."""
    content = {key: value for key, value in (read_json(path) | changes).items() if value is not None}
    content.pop("checksum")
    write_json(path, content | {"checksum": model_folder.checksum(content)})


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "geolib-model/1"},
        {"format": "geolib-model/99"},
        {"format": None},
        {"files": None},
        {"files": []},
        {"files": {"../../secret": "x"}},
        {"files": {"tree.safetensors": 1, "heads.safetensors": None}},
        {"encoder": None},
        {"encoder": {"name": "x"}},
        {"encoder": "postcards"},
        {"encoder": {"name": 1, "pretrained": None, "fingerprint": "x"}},
        {"encoder": {"name": "ViT-L-14", "pretrained": [], "fingerprint": "x"}},
        {"encoder": {"name": "ViT-L-14", "pretrained": "openai", "fingerprint": "x", "weights": "main"}},
        {"encoder": {"name": "ViT-L-14", "pretrained": "openai", "fingerprint": "x", "weights": {"revision": "../x"}}},
        {"figures": []},
        {"fusion": None},
        {"training": None},
        {"fusion_options": [1]},
    ],
)
def test_forged_content_is_refused_in_words(saved, encoder, changes):
    forge(saved / "model.json", **changes)
    with pytest.raises(GeolibError):
        Geolocator.load(saved, encoder)


def test_a_familiarity_of_another_shape_is_refused_even_when_the_hashes_fit(saved, encoder):
    Familiarity.fit(world(20, dim=24)[0]).save(saved / "familiar.safetensors")
    files = read_json(saved / "model.json")["files"]
    forge(saved / "model.json", files=files | {"familiar.safetensors": sha256_file(saved / "familiar.safetensors")})
    with pytest.raises(MismatchError, match="for embeddings of 24 numbers, not 16"):
        Geolocator.load(saved, encoder)


def test_heads_of_another_shape_are_refused_even_when_the_hashes_fit(other_model, saved, encoder, tmp_path):
    other_model.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "heads.safetensors", saved)
    theirs, ours = (read_json(folder / "model.json")["files"] for folder in (tmp_path / "other", saved))
    forge(saved / "model.json", files=ours | {"heads.safetensors": theirs["heads.safetensors"]})
    with pytest.raises(CorruptFileError, match="heads and tree do not fit together"):
        Geolocator.load(saved, encoder)


# From a dataset


def _picture(folder, photo):
    path = folder / f"{photo}.jpg"
    return path if path.exists() else write_photo(path, seed=int(photo[1:]))


@pytest.fixture
def dataset(encoder, tmp_path):
    """120 photos in a table with a published split, their embeddings beside it."""
    vectors, lat, lon = world(120, seed=6)
    ids = [f"p{number:03}" for number in range(120)]
    photos = pd.DataFrame({"lat": lat, "lon": lon, "photographer": [f"by {n % 12}" for n in range(120)]}, index=ids)
    photos["split"] = ["train"] * 80 + ["calibration"] * 20 + ["test"] * 20
    photos[["author", "licence", "source"]] = ""
    write_store(tmp_path / "store", ids, vectors, encoder)
    (tmp_path / "pictures").mkdir()
    return Dataset(
        "small", photos.rename_axis("id"), partial(_picture, tmp_path / "pictures"), "v1", (tmp_path / "store",)
    )


def test_a_dataset_is_fitted_on_its_training_photos_only(dataset, encoder):
    model = Geolocator.fit_dataset(dataset, encoder, options=TrainOptions(epochs=2), device="cpu")
    assert model.training["photos"] == 80
    assert model.training["calibration_photos"] == 20
    assert (model.training["dataset"], model.training["split"]) == ("small", "auto")
    assert model.tree.counts(-1).sum() == 80


def test_other_labels_of_the_same_pictures_are_another_dataset(dataset, encoder):
    model = Geolocator.fit_dataset(dataset, encoder, options=TrainOptions(epochs=1), device="cpu")
    photos = dataset.photos
    swapped = photos["split"].map({"train": "test", "test": "train"}).fillna("calibration")
    for changed in ({"lat": -photos["lat"]}, {"split": swapped}, {"photographer": "somebody"}):
        relabelled = replace(dataset, photos=photos.assign(**changed))
        assert relabelled.key(encoder) == dataset.key(encoder), "the embeddings are the same"
        with pytest.raises(MismatchError, match="or their labels, are not those that the model was fitted on"):
            evaluate(model, relabelled)


def test_photos_without_an_embedding_are_counted_on_the_card(dataset, encoder, tmp_path):
    missing = dataset.photos.iloc[[0]].set_axis(["gone"])
    paths = {"gone": tmp_path / "gone.jpg"}
    more = replace(
        dataset,
        photos=pd.concat([dataset.photos, missing]).rename_axis("id"),
        _file=lambda photo: paths.get(photo) or dataset.path(photo),
        _shipped=(),
    )
    model = Geolocator.fit_dataset(more, encoder, options=TrainOptions(epochs=1), device="cpu")
    assert model.training["unreadable"] == 1
    model.save(tmp_path / "model")
    assert "could not be read, and are in no part of the split: 1" in (tmp_path / "model" / "README.md").read_text()


def test_what_test_and_training_photos_share_is_counted_for_the_card(dataset, encoder):
    photos, test = dataset.photos, dataset.split() == "test"
    trained, people = photos[~test][:80], photos["photographer"][:80]
    km = haversine_km(*photos.loc[test, ["lat", "lon"]].to_numpy().T[..., None], trained["lat"], trained["lon"])
    told = Geolocator.fit_dataset(dataset, encoder, options=TrainOptions(epochs=1), device="cpu").training["overlap"]
    assert told == {
        "by_training_photographers": int(photos["photographer"][test].isin(set(people)).sum()),
        "within_25_km": int((km.min(axis=1) <= 25).sum()),
    }
    assert told["by_training_photographers"] == 20
    strangers = replace(dataset, photos=photos.assign(photographer=""))
    told = Geolocator.fit_dataset(strangers, encoder, options=TrainOptions(epochs=1), device="cpu").training["overlap"]
    assert told["by_training_photographers"] is None


def test_an_evaluation_stands_beside_its_baselines(dataset, encoder):
    model = Geolocator.fit_dataset(
        dataset, encoder, options=TrainOptions(epochs=80), cells_per_level=(4, 12), device="cpu"
    )
    table = evaluate(model, dataset, n_boot=20)
    assert list(table.index) == ["prior", "nearest neighbour", "geolocator"]
    assert (table["photos"] == 20).all()
    assert (table["clusters"] == 12).all()
    assert table.loc["geolocator", "median_km"] < table.loc["prior", "median_km"]


def test_a_model_that_does_not_know_its_photos_is_not_evaluated_on_them(dataset, encoder):
    """Fitted by hand on all photos, it was tested on those of the "test" side and looked excellent."""
    vectors, photos = dataset.embeddings(encoder).vectors, dataset.photos
    model = Geolocator.fit(encoder, vectors, photos["lat"], photos["lon"], options=TrainOptions(epochs=1), device="cpu")
    for gallery in (None, dataset):
        with pytest.raises(MismatchError, match=r"no record of its training photos.*fit_dataset.*geolib\.compare"):
            evaluate(model, dataset, gallery=gallery)
    elsewhere = replace(dataset, name="other")
    with pytest.raises(MismatchError, match="no record of its training photos"):
        evaluate(model, elsewhere)


def test_the_geolocator_is_compared_with_each_baseline_in_a_word(dataset, encoder):
    model = Geolocator.fit_dataset(
        dataset, encoder, options=TrainOptions(epochs=80), cells_per_level=(4, 12), device="cpu"
    )
    table = evaluate(model, dataset, n_boot=50)
    against = table.attrs["against"]
    assert list(against) == ["prior", "nearest neighbour"]
    for name, row in against.items():
        gain = table.loc["geolocator", "geoscore"] - table.loc[name, "geoscore"]
        assert row["geoscore"] == pytest.approx(gain)
        assert row["verdict"] == verdict(row["geoscore_low"], row["geoscore_high"])
    assert against["prior"]["verdict"] == "more"


def test_a_geolocator_that_equals_its_baseline_is_the_same_by_construction(dataset, encoder, monkeypatch):
    model = Geolocator.fit_dataset(dataset, encoder, options=TrainOptions(epochs=1), device="cpu")
    train = dataset.photos[:80]
    vectors = dataset.embeddings(encoder).subset(list(train.index))
    nearest = NearestNeighbour(vectors, train["lat"].to_numpy(), train["lon"].to_numpy())
    monkeypatch.setattr(model, "predict_vectors", nearest.predict_vectors)
    against = evaluate(model, dataset, n_boot=20).attrs["against"]
    assert against["nearest neighbour"]["verdict"] == "same by construction"
    assert against["prior"]["verdict"] != "same by construction"


def other_dataset(encoder, folder, name="other", photographers=("by 1", "by 1", "nobody else", ""), ids="q"):
    """Forty photos of another collection, whose first half was taken by somebody of the training photos."""
    vectors, lat, lon = world(40, seed=8)
    names = [f"{ids}{number:03}" for number in range(40)]
    photos = pd.DataFrame({"lat": lat, "lon": lon, "photographer": np.repeat(photographers, 10)}, index=names)
    photos[["author", "licence", "source"]] = ""
    write_store(folder, names, vectors, encoder)
    return Dataset(name, photos.rename_axis("id"), lambda photo: folder / photo, "v1", (folder,)), vectors


def test_another_dataset_is_tested_on_whole(dataset, encoder, tmp_path):
    model = Geolocator.fit_dataset(
        dataset, encoder, options=TrainOptions(epochs=5), cells_per_level=(4, 12), device="cpu"
    )
    other, _ = other_dataset(encoder, tmp_path / "other")
    alone = evaluate(model, other, n_boot=20)
    assert list(alone.index) == ["geolocator"] and alone.loc["geolocator", "photos"] == 40
    assert alone.attrs["overlap"] is None
    table = evaluate(model, other, n_boot=20, gallery=dataset)
    rows = ["prior", "nearest neighbour", "geolocator"]
    assert list(table.index) == rows + [f"{row}, new photographers" for row in rows]
    assert table["photos"].tolist() == [40] * 3 + [20] * 3
    assert table["clusters"].tolist() == [12] * 3 + [11] * 3, "a photo without a photographer is one of its own"
    assert table.attrs["overlap"] == {"photographers": 1, "photos": 20, "share": 0.5, "known": 30}
    pd.testing.assert_series_equal(table.loc["geolocator"], alone.loc["geolocator"])
    stored = dataset.embeddings(encoder)
    train = stored.subset([f"p{n:03}" for n in range(80)])
    nearest = np.argmax(EmbeddingStore.open(tmp_path / "other").vectors @ train.T, axis=1)  # by brute force
    places, truth = dataset.photos.iloc[nearest], other.photos
    km = errors_km(places["lat"], places["lon"], truth["lat"], truth["lon"])
    assert table.loc["nearest neighbour", "median_km"] == pytest.approx(np.median(km))
    assert table.loc["nearest neighbour, new photographers", "median_km"] == pytest.approx(np.median(km[20:]))


def test_a_gallery_that_the_model_has_not_seen_is_refused(dataset, encoder, tmp_path):
    model = Geolocator.fit_dataset(dataset, encoder, options=TrainOptions(epochs=1), device="cpu")
    other, _ = other_dataset(encoder, tmp_path / "other", name="small")
    with pytest.raises(
        MismatchError, match=r"photos of small, or their labels, are not .*give its own photos as the gal"
    ):
        evaluate(model, dataset, gallery=other)
    with pytest.raises(MismatchError, match=r"the photos of small, .*could be among the test photos"):
        evaluate(model, other)
    assert len(evaluate(model, other, n_boot=20, gallery=dataset)) == 6, "of the same kind, but other photos"


@pytest.mark.parametrize(
    ("photographers", "photos", "rows"),
    [(("", "", "", ""), None, 3), (("a", "b", "c", ""), 0, 3), (("by 0", "by 1", "by 2", "by 3"), 40, 3)],
)
def test_the_overlap_of_photographers(dataset, encoder, tmp_path, photographers, photos, rows):
    model = Geolocator.fit_dataset(dataset, encoder, options=TrainOptions(epochs=1), device="cpu")
    other, _ = other_dataset(encoder, tmp_path / "other", photographers=photographers)
    table = evaluate(model, other, n_boot=20, gallery=dataset)
    assert len(table) == rows
    overlap = table.attrs["overlap"]
    assert overlap is None if photos is None else overlap["photos"] == photos


def test_figures_and_licences_come_back_and_older_models_load(dataset, encoder, tmp_path):
    dataset.photos["licence"] = ["CC BY 4.0"] * 60 + ["CC0"] * 60
    model = Geolocator.fit_dataset(dataset, encoder, options=TrainOptions(epochs=1), device="cpu")
    assert model.training["licences"] == {"CC BY 4.0": 60, "CC0": 20}, "of the training photos"
    assert model.training["sides"] == {"calibration": 20, "test": 20, "train": 80}
    assert model.training["photographers"] == 12
    table = evaluate(model, dataset, n_boot=20)
    assert model.figures == {}, "evaluating does not change the model"
    record(model, dataset, table)
    model.save(tmp_path / "model")
    loaded = Geolocator.load(tmp_path / "model", encoder)
    assert loaded.figures == model.figures
    kept = loaded.figures["test photos of small"]["geolocator"]
    assert kept["median_km"] == table.loc["geolocator", "median_km"] and kept["clusters"] == 12
    assert set(kept["against"]) == {"prior", "nearest neighbour"}
    content = read_json(tmp_path / "model" / "model.json")
    del content["figures"], content["checksum"]
    for name in ("licences", "sides", "photographers"):
        del content["training"][name]
    write_json(tmp_path / "model" / "model.json", content | {"checksum": model_folder.checksum(content)})
    (tmp_path / "model" / "README.md").unlink()
    older = Geolocator.load(tmp_path / "model", encoder)
    assert older.figures == {} and older.predict_vectors(world(3)[0])[0].shape == (3,)
    older.save(tmp_path / "again")


def test_a_model_asks_for_the_very_weights_it_was_fitted_with(saved, encoder, monkeypatch):
    asked = []
    monkeypatch.setattr(Encoder, "load", lambda *given, **options: asked.append((given, options)) or encoder)
    record = read_json(saved / "model.json")["encoder"] | {"name": "ViT-L-14", "pretrained": "openai"}
    forge(saved / "model.json", encoder=record | {"weights": {"revision": "a" * 40}})
    Geolocator.load(saved)
    assert asked == [(("ViT-L-14", "openai", "auto"), {"revision": "a" * 40})]


def test_a_split_without_training_photos_is_refused(dataset, encoder):
    dataset.photos["split"] = "test"
    with pytest.raises(ValueError, match="leaves no photo to train on"):
        Geolocator.fit_dataset(dataset, encoder)
    dataset.photos["split"] = "train"
    with pytest.raises(ValueError, match="no training or no test photos"):
        evaluate(Geolocator.fit_dataset(dataset, encoder, options=TrainOptions(epochs=1), device="cpu"), dataset)


def test_a_shipped_store_serves_its_own_encoder_only(dataset, encoder, other_encoder, monkeypatch, tmp_path):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    assert dataset.embeddings(encoder).meta["encoder"]["fingerprint"] == encoder.fingerprint
    assert not (tmp_path / "cache").exists()
    small = Dataset("small", dataset.photos.iloc[:5], dataset._file, "v1", dataset._shipped)
    store = small.embeddings(other_encoder)
    assert store.meta["encoder"]["fingerprint"] == other_encoder.fingerprint
    assert store.ids == list(small.photos.index)
    assert len(list((tmp_path / "cache" / "embeddings").iterdir())) == 1
    monkeypatch.setattr("geolib.datasets.Dataset.path", lambda *_: pytest.fail("the cached store was not used"))
    assert small.embeddings(other_encoder).ids == store.ids


def test_a_shipped_store_of_other_photos_is_refused(dataset, encoder):
    with pytest.raises(MismatchError, match="115 ids that are not photos of small"):
        Dataset("small", dataset.photos.iloc[:5], dataset._file, "v1", dataset._shipped).embeddings(encoder)


# The default model


@pytest.fixture
def settings(dataset, encoder, monkeypatch, tmp_path):
    """Settings for which the default model is fitted, on the small dataset, with a cache of their own."""
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(predict, "open_dataset", lambda name: dataset)
    monkeypatch.setattr(Settings, "encoder_name", (encoder.name, None))
    return Settings(encoder=encoder.name, device="cpu")


def files_in(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_default_model_is_fitted_once_and_then_loaded(settings, monkeypatch, tmp_path, photo):
    first = predict.default_model(settings)
    (folder,) = (tmp_path / "cache" / "models").iterdir()
    assert json.loads((folder / "model.json").read_text())["training"]["dataset"] == "small"
    with monkeypatch.context() as once:
        once.setattr(Geolocator, "fit", lambda *_, **__: pytest.fail("fitted again"))
        assert same(predict.default_model(settings).predict(photo), first.predict(photo))
    (folder / "heads.safetensors").write_bytes(b"damaged")
    assert same(predict.default_model(settings).predict(photo), first.predict(photo)), "a damaged cache is made again"


def test_other_training_code_makes_another_default_model(settings, monkeypatch, tmp_path):
    predict.default_model(settings)
    before = files_in(tmp_path / "cache")
    real = Path.read_text

    def edited(path, *given, **options):
        return real(path, *given, **options) + ("\nEPOCHS = 31\n" if path.name == "heads.py" else "")

    monkeypatch.setattr(Path, "read_text", edited)
    predict.default_model(settings)
    after = files_in(tmp_path / "cache")
    assert len(list((tmp_path / "cache" / "models").iterdir())) == 2
    assert before.items() < after.items(), "the model of the old code is still there"


@pytest.mark.parametrize("error", [MemoryError, PermissionError, OSError, RuntimeError, MismatchError])
def test_an_error_that_may_pass_deletes_no_default_model(settings, monkeypatch, tmp_path, error):
    predict.default_model(settings)
    before = files_in(tmp_path / "cache")

    def fail(*_, **__):
        raise error("for now")

    with monkeypatch.context() as now:
        now.setattr(Geolocator, "load", fail)
        now.setattr(Geolocator, "save", fail)
        with warnings.catch_warnings(action="ignore"), suppress(error):
            predict.default_model(settings)
    assert files_in(tmp_path / "cache") == before
    monkeypatch.setattr(Geolocator, "fit", lambda *_, **__: pytest.fail("fitted again"))
    predict.default_model(settings)


def test_a_cache_that_cannot_be_written_is_named_once_and_the_model_kept(settings, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder can be made in a file")
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.warns(UserWarning, match="GEOLIB_CACHE to a folder that can be written") as said:
        first = predict.default_model(settings)
    assert len(said) == 1
    monkeypatch.setattr(Geolocator, "fit", lambda *_, **__: pytest.fail("fitted again"))
    assert predict.default_model(settings) is first, "without a second warning, which would be an error here"


def test_a_folder_of_somebody_else_in_the_cache_is_not_replaced(settings, tmp_path):
    predict.default_model(settings)
    (folder,) = (tmp_path / "cache" / "models").iterdir()
    for path in folder.iterdir():
        path.unlink()
    (folder / "notes.txt").write_text("mine")
    with pytest.warns(UserWarning, match=r"holds notes\.txt"):
        predict.default_model(settings)
    assert (folder / "notes.txt").read_text() == "mine"


def test_locate_needs_no_training_in_a_fresh_clone(monkeypatch, tmp_path):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(predict, "train_heads", lambda *_, **__: pytest.fail("the shipped model was not used"))
    predict.shared_model.cache_clear()
    found = geolib.locate(SAMPLE, top_k=3)
    assert len(found.top) == 3 and found.familiar is not None
    assert not (tmp_path / "cache").exists(), "nothing was computed that had to be kept"
    again = geolib.load(data_path("model")).predict(SAMPLE, 3)
    assert same(found, again)


def test_predict_location_is_the_table_of_locate():
    with warnings.catch_warnings(action="ignore"):  # one postcard in a hundred is called unfamiliar
        top = predict_location(SAMPLE, top_k=3)
    found = geolib.locate(SAMPLE, 3)
    assert list(top.columns) == ["lat", "lon", "probability", "cell", "country"]
    assert top.attrs == {name: getattr(found, name) for name in ("familiar", "distance", "confidence")}
    assert found.top.attrs == {}, "the prediction itself stays as it was"
    pd.testing.assert_frame_equal(top, found.top)


def test_predict_location_warns_of_an_unfamiliar_picture(model, photo, monkeypatch):
    monkeypatch.setattr(predict, "shared_model", lambda settings: model)
    with pytest.warns(UserWarning, match="unlike the training images"):
        top = predict_location(photo)
    assert top.attrs == {"familiar": False, "distance": model.predict(photo).distance, "confidence": 0}


def test_the_shipped_model_belongs_to_this_code_and_this_data():
    changed = default_model_tool.stale(geolib.load(data_path("model"), device="cpu"))
    assert not changed, f"data/model is stale, {changed} changed: run `{default_model_tool.COMMAND}`"


def test_a_reworded_docstring_does_not_make_the_model_stale_and_code_does():
    one = code_hash('"""Old."""\n\n\ndef f(x):\n    """Old."""\n    return x + 1  # old\n')
    assert one == code_hash('"""New."""\ndef f(x):\n    """New\n\n    words."""\n    return (x +\n        1)\n')
    assert one != code_hash('"""Old."""\n\n\ndef f(x):\n    """Old."""\n    return x + 2  # old\n')
    two = "A = {0}\nB: int = 1\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return {0}\n"
    assert code_hash(two.format(1), ["B"]) == code_hash(two.format(2), ["B"])
    assert code_hash(two.format(1), ["A"]) != code_hash(two.format(2), ["A"])
    assert code_hash(two.format(1), ["f"]) == code_hash(two.format(2), ["f"])
    assert code_hash(two.format(1), ["g"]) != code_hash(two.format(2), ["g"])


def test_the_shipped_model_is_small_and_knows_test_postcards():
    folder = data_path("model")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4e6
    model = geolib.load(folder, device="cpu")
    sides = split_photos(open_dataset("postcards"), model.encoder)
    flagged = model.familiarity.distance(sides["test"].vectors) > model.familiarity.threshold
    assert 0 < flagged.mean() < 0.03, "as on the calibration side, about one in a hundred"
    whole = Familiarity.fit(sides["train"].vectors, sides["calibration"].vectors)
    agree = flagged == (whole.distance(sides["test"].vectors) > whole.threshold)
    assert agree.mean() > 0.97, "with all references the verdicts are nearly the same"


@pytest.mark.slow
def test_the_shipped_model_is_what_its_command_builds():
    shipped, fresh = geolib.load(data_path("model"), device="cpu"), default_model_tool.build()
    vectors = split_photos(open_dataset("postcards"), shipped.encoder)["test"].vectors[:20]
    assert np.allclose(shipped.posterior(vectors), fresh.posterior(vectors), atol=1e-4)
    assert np.allclose(shipped.predict_vectors(vectors), fresh.predict_vectors(vectors), atol=1e-6)
    assert np.allclose(shipped.familiarity.distance(vectors), fresh.familiarity.distance(vectors), atol=1e-3)


# A prediction shows itself


class Once(io.RawIOBase):
    """A stream that can be read only once, such as an upload."""

    def __init__(self, content):
        super().__init__()
        self.content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.content.readinto(buffer)


def sources():
    """The same picture as everything that `locate` takes."""
    pixels = geolib.load_rgb(SAMPLE)
    return {
        "path": SAMPLE,
        "string": str(SAMPLE),
        "bytes": SAMPLE.read_bytes(),
        "file": io.BytesIO(SAMPLE.read_bytes()),
        "stream": io.BufferedReader(Once(SAMPLE.read_bytes())),
        "array": pixels,
        "image": Image.fromarray(pixels),
    }


class Page(HTMLParser):
    """Tags, alt texts and text of HTML; fails on a tag that is not closed."""

    def __init__(self, text):
        super().__init__()
        self.images, self.words, self.open = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def pixels_of(image):
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("source", ["path", "string", "bytes", "file", "stream", "array", "image"])
def test_a_prediction_shows_picture_sentence_table_and_map(source, monkeypatch):
    monkeypatch.setattr(plots_prediction, "png", lambda fig: b"the map")  # drawn once, in the test below
    given = sources()[source]
    found = geolib.locate(given)
    page = Page(found._repr_html_())
    picture, _ = page.images
    assert np.array_equal(np.asarray(pixels_of(picture)), geolib.load_rgb(SAMPLE))
    assert all(image["alt"] for image in page.images)
    text = " ".join(page.words)
    assert found.sentence() in text
    assert all(f"{100 * share:.1f} %" in text for share in found.top["probability"])


def test_a_large_turned_picture_becomes_a_small_upright_one(model, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("RGB", (1200, 900), "red").save(tmp_path / "turned.jpg", exif=exif)
    found = model.predict(tmp_path / "turned.jpg")
    assert found.picture.size == (330, 440)
    given = Image.new("RGB", (1200, 900))
    assert model.predict(given).picture.size == (440, 330) and given.size == (1200, 900)


def test_the_page_of_an_unfamiliar_picture_warns_and_folds_the_guess(model, photo):
    found = model.predict(photo)
    html = found._repr_html_()
    page = Page(html)
    assert found.familiar is False
    assert html.index("unlike the training images") < html.index("<details>") < html.index("<table>")
    assert "%" not in html[html.index("<table>") : html.index("</table>")], "no probabilities"
    assert pixels_of(page.images[1]).width > 600
    assert "best guesses" in page.images[1]["alt"]
    (title,) = [text.get_text() for text in found.plot().texts if "unlike" in text.get_text()]
    assert title == "This image is unlike the training images"


def test_geojson_holds_the_answer_and_the_places(model, photo):
    found = replace(model.predict(photo, 3), familiar=True)
    back = json.loads(json.dumps(found.geojson(), allow_nan=False))
    assert back["type"] == "FeatureCollection"
    answer, *places = back["features"]
    assert answer["geometry"] == {"type": "Point", "coordinates": [found.lon, found.lat]}
    assert answer["properties"]["sentence"] == found.sentence()
    assert [place["properties"]["rank"] for place in places] == [1, 2, 3]
    assert [place["geometry"]["coordinates"] for place in places] == found.top[["lon", "lat"]].to_numpy().tolist()
    assert [place["properties"]["probability"] for place in places] == found.top["probability"].tolist()


def test_an_unfamiliar_picture_has_places_without_probabilities(model, photo):
    found = model.predict(photo, 3)
    assert found.familiar is False and found.to_frame()["probability"].isna().all()
    assert found.to_frame()["lat"].tolist() == found.top["lat"].tolist() and found.top["probability"].notna().all()
    back = json.loads(json.dumps(found.geojson(), allow_nan=False))
    assert [place["properties"]["probability"] for place in back["features"][1:]] == [None] * 3
    known = replace(found, familiar=True)
    for alt, expected in ((plots.alt_text(known.plot()), True), (plots.alt_text(found.plot()), False)):
        assert ("%" in alt) == expected
    html = found._repr_html_()
    assert "%" not in re.sub(
        r"<style>.*?</style>|base64,[^\"]*|\d+ % of the calibration images", "", html, flags=re.DOTALL
    )


@given(arrays.arrays(np.float32, st.integers(1, 12), elements=st.floats(0, 1, width=32)), st.floats(0.01, 1))
def test_a_region_is_the_smallest_set_that_holds_its_share(weights, confidence):
    posterior = ((weights + np.float32(1e-3)) / (weights + np.float32(1e-3)).sum()).astype(np.float32)
    found = replace(prediction(0, 0, "", 1.0), posterior=posterior)
    cells = found.region(confidence)
    mass = posterior.astype(np.float64)
    assert len(set(cells)) == len(cells) and mass[cells].sum() >= confidence * mass.sum() - 1e-9
    fewer = range(len(cells))
    smaller = [sum(best) for k in fewer for best in [sorted(mass)[len(mass) - k :]]]
    assert all(share < confidence * mass.sum() + 1e-9 for share in smaller), "no smaller set would do"
    assert mass[cells].tolist() == sorted(mass[cells], reverse=True)


@pytest.mark.parametrize("confidence", [0, -0.1, 1.1, math.nan])
def test_a_confidence_that_is_no_share_is_refused(confidence):
    with pytest.raises(ValueError, match="expected a share above 0, at most 1"):
        prediction(0, 0, "", 1.0).region(confidence)


# One look, several rules


def test_a_picture_is_looked_at_once_and_asked_by_every_rule(model, photo, monkeypatch):
    seen = model.see(photo)
    assert same(model.answer(seen, 3), model.predict(photo, 3))
    monkeypatch.setattr(Encoder, "embed_images", None)  # from here on nobody may look again
    for rule in RULES:
        assert np.array_equal(model.answer(seen, fusion=rule).posterior, fuse(seen.logits, model.tree, rule)[0])
    alone, fine = model.answer(seen, fusion="product", levels=[]), model.answer(seen, fusion="finest")
    assert np.allclose(alone.posterior, fine.posterior, atol=1e-6)
    assert not np.allclose(model.answer(seen, fusion="product").posterior, fine.posterior, atol=1e-6)


@pytest.mark.parametrize("options", [{"top_k": 0}, {"fusion": "vote"}, {"levels": [2]}])
def test_an_answer_that_cannot_be_given_is_refused(model, photo, options):
    with pytest.raises(ValueError, match=r"expected|available|does not use"):
        model.answer(model.see(photo), **options)
