"""The postcards' encoder: trained through open_clip, stopped and resumed without a trace, loaded like any other."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from geolib.common.files import data_path, read_json
from geolib.encoder import Encoder
from geolib.openclip.tokenizer import WordTokenizer, words
from geolib.openclip.torchvision import import_open_clip
from postcards import build, others, train
from postcards.__main__ import main

pytestmark = pytest.mark.usefixtures("one_thread")

SCENES = 96
RECIPE = train.Recipe(
    steps=4, first_steps=5, place_steps=3, first_size=64, batch_size=16, other_pictures=3, warmup=2, text_width=32,
    text_layers=1,
)  # fmt: skip


@pytest.fixture
def table(monkeypatch, tmp_path):
    """Places whose "scenes" are plain colours with a caption that says which: nothing is drawn."""
    rng = np.random.default_rng(0)
    colours = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (120, 120, 120)}
    named = rng.choice(list(colours), SCENES)
    noise = rng.integers(-25, 25, (SCENES, train.IMAGE_SIZE, train.IMAGE_SIZE, 3))
    pixels = np.clip(np.array([colours[name] for name in named])[:, None, None] + noise, 0, 255).astype(np.uint8)
    shown = pd.DataFrame(
        {
            "caption": [f"a {name} wall" for name in named],
            "caption_named": [f"a {name} wall, in Utopia" for name in named],
        }
    )
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(train, "draw_scenes", lambda table, workers: ([pixels], shown))
    return pd.DataFrame(
        {
            "id": [f"encoder-{n}" for n in range(SCENES)],
            "lat": np.where(named == "red", 60.0, 10.0),
            "lon": 10.0,
            "town": [f"{name}town" for name in named],
            "town_population": np.where(named == "blue", 2000, 1000),
            "admin1": np.where(named == "red", "1", "2"),
            "country_name": np.where(named == "grey", "Laputa", "Utopia"),
            "continent": np.where(named == "red", "europe", "asia"),
        }
    )


def weights(folder):
    return load_file(folder / "open_clip_model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


class Stop(Exception):
    """Stands for a kill."""


def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(table, tmp_path, monkeypatch):
    train.train(table, tmp_path / "whole", RECIPE, workers=1, checkpoint_every=2, report=lambda line: None)
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "other"))
    real, steps = train._batch, []

    def batch(pixels, size, rng):
        if len(steps) == 5:
            raise Stop
        assert len(pixels) == RECIPE.batch_size + RECIPE.other_pictures
        steps.append(size)
        return real(pixels, size, rng)

    monkeypatch.setattr(train, "_batch", batch)
    with pytest.raises(Stop):
        train.train(table, tmp_path / "killed", RECIPE, workers=1, checkpoint_every=2, report=lambda line: None)
    assert not (tmp_path / "killed").exists(), "nothing half-made under the final name"
    monkeypatch.setattr(train, "_batch", real)
    lines = []
    train.train(table, tmp_path / "killed", RECIPE, workers=1, checkpoint_every=2, report=lines.append)
    assert steps == [64] * 5, "the first pictures are small"
    assert lines[0].startswith("step     6/7"), "resumed after the last checkpoint, step 4"
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_one_seed_one_encoder(table, tmp_path, monkeypatch):
    made = []
    for number, seed in enumerate((0, 0, 1)):
        monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / f"cache{number}"))
        recipe = train.Recipe(**{**RECIPE.__dict__, "seed": seed})
        train.train(table, tmp_path / f"encoder{number}", recipe, workers=1, report=lambda line: None)
        made.append(weights(tmp_path / f"encoder{number}"))
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


def test_what_was_trained_loads_and_embeds_like_any_encoder(table, tmp_path):
    train.train(table, tmp_path / "encoder", RECIPE, workers=1, report=lambda line: None)
    encoder = Encoder.load(tmp_path / "encoder")
    assert encoder.dim == RECIPE.embed_dim
    images = encoder.embed_images([Image.new("RGB", (50, 70), colour) for colour in ("red", "blue")])
    text = encoder.embed_text(["a red wall", "a blue wall"])
    for vectors in (images, text):
        assert vectors.shape == (2, RECIPE.embed_dim)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    with open(tmp_path / "encoder" / "training_log.csv", encoding="utf-8") as stream:
        log = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in log] == [0, 6]
    assert json.loads((tmp_path / "encoder" / "recipe.json").read_text())["scenes"] == SCENES


def test_captions_name_places_in_the_share_that_was_asked_for():
    table = pd.DataFrame({"caption": ["plain"] * 2000, "caption_named": ["named"] * 2000})
    for share in (0.0, 0.8, 1.0):
        recipe = train.Recipe(named_share=share)
        assert np.mean([c == "named" for c in train.captions_for(table, recipe)]) == pytest.approx(share, abs=0.04)


def test_captions_of_places_say_only_where(table):
    shown = pd.DataFrame({"caption": ["a red wall"] * SCENES})
    where = train.places_for(table, shown, RECIPE)
    assert set(where) == {
        "in redtown, north of Utopia, europe",
        "in greentown, bluetown, Utopia, asia",
        "in bluetown, Utopia, asia",
        "in greytown, Laputa, asia",
    }
    assert train.places_for(table, shown, train.Recipe(named_share=0.0)) == ["a red wall"] * SCENES


def test_parts_of_a_country_across_the_dateline():
    places = pd.DataFrame(
        {
            "country_name": ["Fiji"] * 3 + ["Russia"] * 5,
            "lat": [-17.0, -17, -17, 60, 60, 60, 60, 75],
            "lon": [179.0, -179, 180, 30, 60, 90, -170, 90],
        }
    )
    parts = train.part_of_country(places)
    assert parts == ["", "", "", "west of ", "west of ", "", "east of ", "north of "]


def test_every_scene_is_seen_once_in_an_epoch_and_late_batches_are_by_turns_of_one_continent_and_one_country():
    recipe = train.Recipe(steps=12, place_steps=9, batch_size=16)
    places = pd.DataFrame({"continent": np.arange(96) % 2, "country_name": np.arange(96) % 4})
    places.loc[:14, "country_name"] = 7  # a country with too few scenes for a batch
    scenes = train.Scenes(places, recipe)
    epoch = np.concatenate([scenes.of(step)[0] for step in range(6)])
    assert sorted(epoch) == list(range(96))
    assert not any(scenes.of(step)[1] for step in range(12))
    for step in range(12, 21):
        index, only_where = scenes.of(step)
        assert len(set(index)) == 16
        assert only_where == (step % 3 > 0)
        spread = places.loc[index].nunique()
        assert (spread["continent"] == 1) == only_where
        assert (spread["country_name"] == 1) == (step % 3 == 2)
        assert 7 not in set(places.loc[index, "country_name"]) or step % 3 < 2


def test_where_no_country_has_scenes_for_a_batch_all_are_drawn_from():
    places = pd.DataFrame({"continent": ["a"] * 20, "country_name": list("bcdef") * 4})
    index, only_where = train.Scenes(places, train.Recipe(steps=1, place_steps=3, batch_size=8)).of(3)
    assert only_where
    assert len(set(places.loc[index, "country_name"])) > 1


def test_training_warms_up_and_ends_near_zero():
    recipe = train.Recipe()
    rates = [train._schedule(recipe, step) for step in range(recipe.all_steps)]
    assert min(rates) >= 0
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=0.02)
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] < 0.01 * max(rates)


def test_the_vocabulary_keeps_the_most_frequent_words_and_those_that_are_always_needed():
    captions = ["red red wall", "wall green", "wall blue"]
    assert train.vocabulary(captions, 2) == ["nowhere", "wall"]
    assert train.vocabulary(captions, 4, ["out of"]) == ["nowhere", "of", "out", "wall"]
    assert train.vocabulary(captions, 100) == ["blue", "green", "nowhere", "red", "wall"]


def test_texts_cut_where_the_longest_ends_are_encoded_as_by_open_clip():
    tokenizer = WordTokenizer(["a", "red", "green", "wall", "in", "utopia"], RECIPE.context_length)
    model = import_open_clip().CLIP(**train.model_config(RECIPE, tokenizer.vocab_size)).eval()
    tokens = tokenizer(["a red wall", "a green wall in Utopia", "", "a"])
    with torch.no_grad():
        torch.testing.assert_close(train.encode_text(model, tokens), model.encode_text(tokens), atol=1e-5, rtol=1e-4)


# Pictures that are no postcards


def test_other_pictures_are_of_every_kind_and_the_same_for_the_same_seed():
    scenes = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    seen = set()
    for seed in range(8):
        pixels, said = others.draw(np.random.default_rng(seed), scenes)
        again, _ = others.draw(np.random.default_rng(seed), scenes)
        assert (pixels.shape, pixels.dtype) == (scenes.shape, np.uint8)
        assert np.array_equal(pixels, again)
        assert len(set(said)) == 8
        assert all((one != other).any() for one, other in zip(pixels, scenes, strict=True))
        seen |= set(said)
    assert seen == {f"{kind}, nowhere" for kind in others.KINDS}


def test_none_and_too_many_other_pictures():
    scenes = np.zeros((13, 32, 32, 3), np.uint8)
    pixels, said = others.draw(np.random.default_rng(0), scenes[:0])
    assert (len(pixels), said) == (0, [])
    with pytest.raises(ValueError, match="12 kinds"):
        others.draw(np.random.default_rng(0), scenes)


def test_pictures_are_never_mirrored_in_training():
    """The side of the road that one drives on is a cue."""
    ramp = np.repeat(np.linspace(0, 255, train.IMAGE_SIZE, dtype=np.uint8)[None, None, :, None], 3, axis=3)
    pixels = np.broadcast_to(ramp, (4, train.IMAGE_SIZE, train.IMAGE_SIZE, 3)).copy()
    for seed in range(30):
        batch = train._batch(pixels, 96, np.random.default_rng(seed))
        assert batch.shape == (4, 3, 96, 96)
        assert (batch[..., -1] > batch[..., 0]).all()


@pytest.mark.parametrize("folder", sorted(path.name for path in data_path("postcards").glob("encoder*")))
def test_the_encoders_of_the_clone_are_small_and_say_how_they_were_made(folder):
    path = data_path("postcards", folder)
    assert (path / "open_clip_model.safetensors").stat().st_size < 12e6
    assert {tensor.dtype for tensor in weights(path).values() if tensor.is_floating_point()} == {torch.float16}
    recipe = read_json(path / "recipe.json")
    assert set(recipe) == {*train.Recipe.__dataclass_fields__, "scenes"}
    assert recipe["scenes"] >= 100_000
    card = (path / "README.md").read_text(encoding="utf-8")
    assert f"{recipe['scenes']:,} postcards" in card
    assert f"{recipe['steps']:,} steps of {recipe['batch_size']}" in card
    assert f"{recipe['place_steps']:,} more" in card


@pytest.mark.skipif(
    not (data_path("postcards") / "encoder-no-names").is_dir(), reason="this encoder is not in the clone yet"
)
def test_the_encoder_without_names_knows_no_name_of_a_place():
    known = set(read_json(data_path("postcards", "encoder-no-names", "vocab.json"))["vocabulary"])
    table = pd.read_parquet(data_path("postcards", "photos.parquet"))
    countries = {word for name in set(table["country_name"]) for word in words(name) if len(word) > 3}
    said = {word for text in table["caption"] for word in words(text)}
    assert len(countries) > 150
    assert not countries & (known - said)
    assert len(known) < 400, "words for what is seen, no more"
    assert read_json(data_path("postcards", "encoder-no-names", "recipe.json"))["named_share"] == 0


def test_the_command_trains_the_encoder_that_was_asked_for(monkeypatch, tmp_path, capsys):
    asked = []
    (tmp_path / "postcards").mkdir()
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    monkeypatch.setattr(build, "encoder_places", lambda: "places")
    monkeypatch.setattr(train, "train", lambda *arguments: asked.append(arguments))
    assert main(["train-encoder", "--steps", "20"]) == 0
    assert main(["train-encoder", "--no-names"]) == 0
    (table, named, recipe, *_), (_, nameless, other, *_) = asked
    assert table == "places"
    assert (named.name, nameless.name) == ("encoder", "encoder-no-names")
    assert (recipe.all_steps, recipe.steps, recipe.first_steps, recipe.place_steps) == (20, 6, 10, 14)
    assert (other.named_share, other.all_steps) == (0.0, train.Recipe().all_steps)
