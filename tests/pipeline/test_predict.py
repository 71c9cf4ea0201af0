"""The whole chain: it predicts from pixels only, saves and loads unchanged, and refuses what does not belong."""

import itertools
import json
import math
import shutil
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image
from tiny import world, write_encoder, write_store

import geolib
from geolib import predict, predict_location
from geolib.common.errors import CorruptFileError, GeolibError, ImageError, MismatchError, MissingDataError
from geolib.common.files import read_json, sha256_file, write_json
from geolib.common.settings import Settings
from geolib.datasets import Dataset, open_dataset
from geolib.embed import EmbeddingStore
from geolib.encoder import Encoder
from geolib.evaluate import errors_km
from geolib.familiar import Familiarity
from geolib.fusion import RULES, fuse
from geolib.images import Failure
from geolib.predict import Geolocator, Prediction, cells_for
from geolib.sharing import model_folder


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    return Encoder.load(write_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")


@pytest.fixture(scope="session")
def other_encoder(tmp_path_factory):
    return Encoder.load(write_encoder(tmp_path_factory.mktemp("other-encoder"), seed=1), device="cpu")


@pytest.fixture(scope="session")
def model(encoder):
    return Geolocator.fit(
        encoder, *world(), calibration=world(200, seed=1), cells_per_level=(4, 24), epochs=15, device="cpu"
    )


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path / "photo.jpg")


def write_photo(path, seed=0, **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((80, 60), Image.Resampling.BICUBIC).save(path, **options)
    return path


def prediction(lat, lon, code, share, familiar=True, limit=1.2):
    countries = pd.Series([share], index=[code])
    return Prediction(
        familiar,
        1.5,
        limit,
        lat,
        lon,
        pd.DataFrame(),
        np.ones(1),
        [],
        entropy=0.0,
        radius_km=1234.0,
        countries=countries,
    )


def same(a: Prediction, b: Prediction):
    names = ("familiar", "distance", "familiar_below", "lat", "lon", "entropy", "radius_km")
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
        encoder, *world(), calibration=world(200, seed=1), cells_per_level=(4, 24), epochs=15, device="cpu"
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
    model = Geolocator.fit(encoder, vectors, [48.5] * copies, [2.5] * copies, epochs=2, device="cpu")
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
    given = {"vectors": vectors, "lat": [48.0], "lon": [2.0], "epochs": 1, "device": "cpu"} | change
    with pytest.raises(ValueError, match=message):
        Geolocator.fit(encoder, **given)


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
    first = found.top.iloc[0]
    assert (first["lat"], first["lon"]) == (found.lat, found.lon), "argmax decodes to the first cell"
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
    def say(lat, lon, code, share):
        return prediction(lat, lon, code, share).sentence()

    assert say(-33.9, 151.2, "AUS", 0.97) == (
        "Very likely Australia (the model gives it 97 %): best guess 33.90° S, 151.20° E; "
        "half of the model's probability lies within 1,234 km."
    )
    assert say(0, -30, "", 0.3).startswith("Perhaps the open sea (the model gives it 30 %): best guess 0.00° N, 30.0")
    assert say(26.37, 95.59, "ZAF", 0.23) == (
        "Perhaps South Africa (the model gives it 23 %): best guess 26.37° N, 95.59° E (alone the likeliest, though in "
        "Myanmar); half of the model's probability lies within 1,234 km."
    )


def test_an_unfamiliar_picture_gets_a_warning_first_and_no_confidence():
    found = prediction(-33.9, 151.2, "AUS", 0.97, familiar=False)
    assert found.sentence() == (
        "This picture is unlike those that the model was trained on: the places are not to be trusted (distance 1.50; "
        "99 % of calibration photos are below 1.20). Its best guess, if it must: 33.90° S, 151.20° E (Australia)."
    )
    assert str(found) == found.sentence()
    assert repr(found).startswith("Prediction(familiar=False, distance=1.5, familiar_below=1.2, ")
    assert prediction(0, 0, "", 0.9).warning == ""
    unknown = prediction(-33.9, 151.2, "AUS", 0.97, familiar=None, limit=None)
    assert unknown.warning.endswith("is not known: it was fitted without calibration photos.")
    assert unknown.sentence() == f"{unknown.warning} {unknown.guess()}"
    assert unknown.guess().startswith("Very likely Australia")


def test_a_prediction_says_whether_the_picture_is_familiar(model, encoder, photo):
    found = model.predict(photo)
    (distance,) = model.familiarity.distance(encoder.embed_images([photo]))
    assert (found.distance, found.familiar_below) == (distance, model.familiarity.threshold)
    assert found.familiar is False, "the world's embeddings are not those of pictures"
    easy = replace(model, familiarity=replace(model.familiarity, threshold=float(distance)))
    assert easy.predict(photo).familiar is True, "as far as the threshold is not beyond it"


def test_without_calibration_photos_familiar_is_not_known(encoder, photo):
    made = Geolocator.fit(encoder, *world(50), cells_per_level=(2, 6), epochs=1, device="cpu")
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


def test_saving_over_a_model_replaces_it_and_leaves_no_litter(model, saved, encoder):
    other = Geolocator.fit(encoder, *world(100, seed=5), cells_per_level=(2, 6), epochs=1, device="cpu")
    heads = (saved / "heads.safetensors").read_bytes()
    other.save(saved)
    assert Geolocator.load(saved, encoder).tree.n_cells == other.tree.n_cells
    model.save(saved)
    assert (saved / "heads.safetensors").read_bytes() == heads
    assert [path.name for path in saved.parent.iterdir() if path.is_dir()] == ["model"]


def test_a_save_that_fails_leaves_the_old_model(model, saved, encoder, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(predict, "write_json", full)
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
    with pytest.raises(CorruptFileError, match=r"tree\.safetensors was .* of another model"):
        Geolocator.load(saved, encoder)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_model_is_refused(saved, encoder, tmp_path, name):
    other = Geolocator.fit(encoder, *world(100, seed=5), cells_per_level=(2, 6), epochs=1, device="cpu")
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / name, saved / name)
    with pytest.raises(CorruptFileError, match="of another model"):
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
    write_json(path, content | {"checksum": model_folder._checksum(content)})


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


def test_heads_of_another_shape_are_refused_even_when_the_hashes_fit(saved, encoder, tmp_path):
    other = Geolocator.fit(encoder, *world(100, seed=5), cells_per_level=(2, 6), epochs=1, device="cpu")
    other.save(tmp_path / "other")
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
    model = Geolocator.fit_dataset(dataset, encoder, epochs=2, device="cpu")
    assert model.training["photos"] == 80
    assert model.training["calibration_photos"] == 20
    assert (model.training["dataset"], model.training["split"]) == ("small", "safe")
    assert model.tree.counts(-1).sum() == 80


def test_other_labels_of_the_same_pictures_are_another_dataset(dataset, encoder):
    model = Geolocator.fit_dataset(dataset, encoder, epochs=1, device="cpu")
    photos = dataset.photos
    swapped = photos["split"].map({"train": "test", "test": "train"}).fillna("calibration")
    for changed in ({"lat": -photos["lat"]}, {"split": swapped}, {"photographer": "somebody"}):
        relabelled = replace(dataset, photos=photos.assign(**changed))
        assert relabelled.key(encoder) == dataset.key(encoder), "the embeddings are the same"
        with pytest.raises(MismatchError, match="or their labels, are not those that the model was fitted on"):
            model.evaluate(relabelled)


def test_photos_without_an_embedding_are_counted_on_the_card(dataset, encoder, tmp_path):
    missing = dataset.photos.iloc[[0]].set_axis(["gone"])
    paths = {"gone": tmp_path / "gone.jpg"}
    more = replace(
        dataset,
        photos=pd.concat([dataset.photos, missing]).rename_axis("id"),
        _file=lambda photo: paths.get(photo) or dataset.path(photo),
        _shipped=(),
    )
    model = Geolocator.fit_dataset(more, encoder, epochs=1, device="cpu")
    assert model.training["unreadable"] == 1
    model.save(tmp_path / "model")
    assert "could not be read, and are on no side: 1" in (tmp_path / "model" / "README.md").read_text()


def test_what_test_and_training_photos_share_is_counted_for_the_card(dataset, encoder):
    photos, test = dataset.photos, dataset.split() == "test"
    degree = np.floor(photos[["lat", "lon"]]).apply(tuple, axis=1)
    blocks, people = degree[~test][:80], photos["photographer"][:80]
    told = Geolocator.fit_dataset(dataset, encoder, epochs=1, device="cpu").training["overlap"]
    assert told == {
        "by_training_photographers": int(photos["photographer"][test].isin(set(people)).sum()),
        "in_training_blocks": int(degree[test].isin(set(blocks)).sum()),
    }
    assert told["by_training_photographers"] == 20
    strangers = replace(dataset, photos=photos.assign(photographer=""))
    told = Geolocator.fit_dataset(strangers, encoder, epochs=1, device="cpu").training["overlap"]
    assert told["by_training_photographers"] is None


def test_an_evaluation_stands_beside_its_baselines(dataset, encoder):
    model = Geolocator.fit_dataset(dataset, encoder, epochs=80, cells_per_level=(4, 12), device="cpu")
    table = model.evaluate(dataset, n_boot=20)
    assert list(table.index) == ["prior", "nearest neighbour", "geolocator"]
    assert (table["photos"] == 20).all()
    assert (table["clusters"] == 12).all()
    assert table.loc["geolocator", "median_km"] < table.loc["prior", "median_km"]


def other_dataset(encoder, folder, name="other", photographers=("by 1", "by 1", "nobody else", ""), ids="q"):
    """Forty photos of another collection, whose first half was taken by somebody of the training photos."""
    vectors, lat, lon = world(40, seed=8)
    names = [f"{ids}{number:03}" for number in range(40)]
    photos = pd.DataFrame({"lat": lat, "lon": lon, "photographer": np.repeat(photographers, 10)}, index=names)
    photos[["author", "licence", "source"]] = ""
    write_store(folder, names, vectors, encoder)
    return Dataset(name, photos.rename_axis("id"), lambda photo: folder / photo, "v1", (folder,)), vectors


def test_another_dataset_is_tested_on_whole(dataset, encoder, tmp_path):
    model = Geolocator.fit_dataset(dataset, encoder, epochs=5, cells_per_level=(4, 12), device="cpu")
    other, _ = other_dataset(encoder, tmp_path / "other")
    alone = model.evaluate(other, n_boot=20)
    assert list(alone.index) == ["geolocator"] and alone.loc["geolocator", "photos"] == 40
    assert alone.attrs["overlap"] is None
    table = model.evaluate(other, n_boot=20, gallery=dataset)
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
    model = Geolocator.fit_dataset(dataset, encoder, epochs=1, device="cpu")
    other, _ = other_dataset(encoder, tmp_path / "other", name="small")
    with pytest.raises(MismatchError, match="was not fitted on these photos of small: give those as the gallery"):
        model.evaluate(dataset, gallery=other)
    with pytest.raises(MismatchError, match="or give them as gallery"):
        model.evaluate(other)
    assert len(model.evaluate(other, n_boot=20, gallery=dataset)) == 6, "of the same kind, but other photos"


@pytest.mark.parametrize(
    ("photographers", "photos", "rows"),
    [(("", "", "", ""), None, 3), (("a", "b", "c", ""), 0, 3), (("by 0", "by 1", "by 2", "by 3"), 40, 3)],
)
def test_the_overlap_of_photographers(dataset, encoder, tmp_path, photographers, photos, rows):
    model = Geolocator.fit_dataset(dataset, encoder, epochs=1, device="cpu")
    other, _ = other_dataset(encoder, tmp_path / "other", photographers=photographers)
    table = model.evaluate(other, n_boot=20, gallery=dataset)
    assert len(table) == rows
    overlap = table.attrs["overlap"]
    assert overlap is None if photos is None else overlap["photos"] == photos


def test_figures_and_licences_come_back_and_older_models_load(dataset, encoder, tmp_path):
    dataset.photos["licence"] = ["CC BY 4.0"] * 60 + ["CC0"] * 60
    model = Geolocator.fit_dataset(dataset, encoder, epochs=1, device="cpu")
    assert model.training["licences"] == {"CC BY 4.0": 60, "CC0": 20}, "of the training photos"
    assert model.training["sides"] == {"calibration": 20, "test": 20, "train": 80}
    assert model.training["photographers"] == 12
    table = model.evaluate(dataset, n_boot=20)
    model.save(tmp_path / "model")
    loaded = Geolocator.load(tmp_path / "model", encoder)
    assert loaded.figures == model.figures
    kept = loaded.figures["test photos of small"]["geolocator"]
    assert kept["median_km"] == table.loc["geolocator", "median_km"] and kept["clusters"] == 12
    record = read_json(tmp_path / "model" / "model.json")
    del record["figures"], record["checksum"]
    for name in ("licences", "sides", "photographers"):
        del record["training"][name]
    write_json(tmp_path / "model" / "model.json", record | {"checksum": model_folder._checksum(record)})
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
        Geolocator.fit_dataset(dataset, encoder, epochs=1, device="cpu").evaluate(dataset)


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


def test_the_default_model_is_fitted_once_and_then_loaded(dataset, encoder, monkeypatch, tmp_path, photo):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(predict, "open_dataset", lambda name: dataset)
    settings = Settings(encoder=encoder.name, device="cpu")
    monkeypatch.setattr(Settings, "encoder_name", (encoder.name, None))
    first = predict.default_model(settings)
    (folder,) = (tmp_path / "cache" / "models").iterdir()
    assert json.loads((folder / "model.json").read_text())["training"]["dataset"] == "small"
    with monkeypatch.context() as once:
        once.setattr(Geolocator, "fit", lambda *_, **__: pytest.fail("fitted again"))
        assert same(predict.default_model(settings).predict(photo), first.predict(photo))
    (folder / "heads.safetensors").write_bytes(b"damaged")
    assert same(predict.default_model(settings).predict(photo), first.predict(photo)), "a damaged cache is made again"


def test_predict_location_works_on_a_fresh_clone():
    postcards = open_dataset("postcards")
    test = postcards.split().eq("test")
    with warnings.catch_warnings(action="ignore"):  # one postcard in a hundred is called unfamiliar
        top = predict_location(postcards.path(test.idxmax()), top_k=3)
    assert len(top) == 3
    assert list(top.columns) == ["lat", "lon", "probability", "cell", "country"]
    assert set(top.attrs) == {"familiar", "distance"}
    assert top["probability"].is_monotonic_decreasing


def test_predict_location_warns_of_an_unfamiliar_picture(model, photo, monkeypatch):
    monkeypatch.setattr(predict, "_default_model", lambda settings: model)
    with pytest.warns(UserWarning, match="unlike those that the model was trained on"):
        top = predict_location(photo)
    assert top.attrs == {"familiar": False, "distance": model.predict(photo).distance}


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
    with pytest.raises(ValueError, match=r"expected|available"):
        model.answer(model.see(photo), **options)
