"""The command line: answers and refusals in words, the right exit status, no traceback."""

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image
from shipped import SAMPLE
from tiny import world, write_encoder

import geolib
from geolib.app import cli, terminal
from geolib.embed import EmbeddingStore
from geolib.encoder import Encoder
from geolib.heads import TrainOptions
from geolib.predict import Geolocator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("cli-encoder"))


@pytest.fixture(scope="session")
def model_folder(encoder_folder, tmp_path_factory):
    encoder = Encoder.load(encoder_folder, device="cpu")
    folder = tmp_path_factory.mktemp("cli") / "model"
    Geolocator.fit(encoder, *world(300), cells_per_level=(4, 12), options=TrainOptions(epochs=2), device="cpu").save(
        folder
    )
    return str(folder)


@pytest.fixture(scope="session")
def calibrated_folder(encoder_folder, tmp_path_factory):
    """A model that knows how far is too far: the embeddings of its world are unlike those of any picture."""
    encoder = Encoder.load(encoder_folder, device="cpu")
    folder = tmp_path_factory.mktemp("cli") / "calibrated"
    calibration = world(100, seed=1)
    model = Geolocator.fit(
        encoder,
        *world(300),
        calibration=calibration,
        cells_per_level=(4, 12),
        options=TrainOptions(epochs=2),
        device="cpu",
    )
    model.save(folder)
    return str(folder)


@pytest.fixture(autouse=True)
def settings(monkeypatch, encoder_folder):
    monkeypatch.setenv("GEOLIB_ENCODER", str(encoder_folder))
    monkeypatch.setenv("GEOLIB_DEVICE", "cpu")


def write_photo(path, seed=0, size=(64, 48), **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size).save(path, **options)
    return str(path)


def gps(lat, lon):
    exif = Image.Exif()
    exif[ExifTags.IFD.GPSInfo] = {
        1: "N" if lat >= 0 else "S",
        2: (abs(lat), 0.0, 0.0),
        3: "E" if lon >= 0 else "W",
        4: (abs(lon), 0.0, 0.0),
    }
    return exif


# predict


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "A.JPEG"])
def test_a_photo_gets_an_answer(name, tmp_path, model_folder, capsys):
    assert cli.main(["predict", write_photo(tmp_path / name), "--model", model_folder, "--top-k", "3"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == str(tmp_path / name)
    assert "is not known: no calibration photos were given" in lines[1]
    assert "within 750 km of" in lines[2]
    assert len(lines) == 6
    assert all(re.fullmatch(r"  +\d+ +-?\d+\.\d\d +-?\d+\.\d\d +\d+\.\d%  [\w ]+", line) for line in lines[3:])
    assert said.err == ""


def test_an_unfamiliar_picture_is_said_to_be_one_before_any_place(tmp_path, calibrated_folder, capsys):
    photo, out = write_photo(tmp_path / "a.jpg"), tmp_path / "map.png"
    assert cli.main(["predict", photo, "--model", calibrated_folder, "--top-k", "2", "--map", str(out)]) == 0
    name, warning, guess, *places = capsys.readouterr().out.splitlines()
    assert name == photo
    assert "This image is unlike the training images" in warning
    assert guess.startswith("  If you still want a guess: ")
    assert len(places) == 2
    assert all(re.fullmatch(r"  +\d+ +-?\d+\.\d\d +-?\d+\.\d\d +\?  [\w ]+", line) for line in places)
    assert "%" not in guess
    assert out.stat().st_size > 0


def test_json_says_whether_a_picture_is_familiar(tmp_path, model_folder, calibrated_folder, capsys):
    photo = write_photo(tmp_path / "a.jpg")
    assert cli.main(["predict", photo, "--model", calibrated_folder, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["familiar"] is False
    assert answer["distance"] > answer["familiar_below"] > 0
    assert answer["sentence"].startswith(answer["warning"])
    assert "unlike the training images" in answer["warning"]
    assert cli.main(["predict", photo, "--model", model_folder, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert (answer["familiar"], answer["familiar_below"]) == (None, None)
    assert 0 < answer["confidence"] <= 1 and f"confidence {100 * answer['confidence']:.0f} %" in answer["sentence"]


def test_bad_photos_are_refused_in_words_and_the_good_one_answered(tmp_path, model_folder, capsys):
    good = write_photo(tmp_path / "good.jpg")
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "cut.jpg").write_bytes(Path(good).read_bytes()[:300])
    (tmp_path / "empty.jpg").write_bytes(b"")
    bad = [str(tmp_path / name) for name in ("text.jpg", "cut.jpg", "empty.jpg", "none.jpg")]
    assert cli.main(["predict", *bad, good, "--model", model_folder]) == 1
    said = capsys.readouterr()
    refusals = said.err.splitlines()
    assert len(refusals) == 4
    assert all(line.startswith(f"refused: {name} ") for line, name in zip(refusals, bad, strict=True))
    assert good in said.out


def test_json_has_an_entry_for_every_photo(tmp_path, model_folder, capsys):
    good = write_photo(tmp_path / "good.jpg")
    assert cli.main(["predict", good, str(tmp_path / "none.jpg"), "--model", model_folder, "--json"]) == 1
    answers = json.loads(capsys.readouterr().out)
    assert [answer["photo"] for answer in answers] == [good, str(tmp_path / "none.jpg")]
    assert "does not exist" in answers[1]["refused"]
    assert len(answers[0]["top"]) == 5
    assert set(answers[0]["top"][0]) == {"lat", "lon", "probability", "country"}
    assert -90 <= answers[0]["lat"] <= 90


def test_a_folder_stands_for_all_pictures_in_it(tmp_path, model_folder, capsys):
    (tmp_path / "deep").mkdir()
    write_photo(tmp_path / "b.jpg")
    write_photo(tmp_path / "deep" / "a.png")
    (tmp_path / "notes.txt").write_text("x")
    assert cli.main(["predict", str(tmp_path), "--model", model_folder, "--json"]) == 0
    names = [Path(answer["photo"]).name for answer in json.loads(capsys.readouterr().out)]
    assert names == ["b.jpg", "a.png"]


def test_an_empty_folder_is_refused_in_words(tmp_path, model_folder, capsys):
    assert cli.main(["predict", str(tmp_path), "--model", model_folder]) == 1
    assert f"refused: {tmp_path} holds no pictures" in capsys.readouterr().err


def test_gps_in_exif_gives_the_same_answer(tmp_path, model_folder, capsys):
    bare = write_photo(tmp_path / "bare.jpg", quality=90)
    told = write_photo(tmp_path / "told.jpg", quality=90, exif=gps(48.0, 2.0))
    assert cli.main(["predict", bare, told, "--model", model_folder, "--json"]) == 0
    one, two = json.loads(capsys.readouterr().out)
    assert {**one, "photo": ""} == {**two, "photo": ""}


@pytest.mark.parametrize(
    "name",
    [
        "a b;rm -rf $HOME.jpg",
        "-top-k.jpg",
        "'\"`$(id)`.jpg",
        "%s%n{0}.jpg",
        "\u202egpj.exe",
        "ligne\nfausse.jpg",
        "\x1b[2Jx.jpg",
    ],
)
def test_hostile_file_names_are_only_names(name, tmp_path, model_folder, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_photo(tmp_path / "x.jpg")
    Path("x.jpg").rename(name)
    assert cli.main(["predict", "--model", model_folder, "--", name]) == 0
    os.truncate(name, 40)
    assert cli.main(["predict", "--model", model_folder, "--", name]) == 1
    said = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in said.out + said.err)
    assert said.out.splitlines()[0] == terminal.printable(name)
    assert len(said.err.splitlines()) == 1


def test_a_name_that_is_no_text_does_not_break_a_plain_terminal(tmp_path, model_folder):
    path = os.fsencode(tmp_path) + b"/\xff\xe9.jpg"
    Path(write_photo(tmp_path / "x.jpg")).rename(os.fsdecode(path))
    command = [sys.executable, "-m", "geolib", "predict", "--model", model_folder, path, b"/nonexistent/\xff.jpg"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": f"{os.environ['PYTHONPATH']}:{ROOT}"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "\\udcff\\udce9.jpg" in ended.stdout
    assert "refused: /nonexistent/\\udcff.jpg does not exist" in ended.stderr


def test_a_map_is_drawn_for_one_photo(tmp_path, model_folder, capsys):
    photo, out = write_photo(tmp_path / "a.jpg"), tmp_path / "map.png"
    assert cli.main(["predict", photo, "--model", model_folder, "--map", str(out)]) == 0
    with Image.open(out) as picture:
        assert picture.size[0] > 500
    assert cli.main(["predict", photo, photo, "--model", model_folder, "--map", str(out)]) == 2
    assert "--map draws one photo, 2 were given" in capsys.readouterr().err


# Errors


@pytest.mark.parametrize(
    "arguments", [[], ["predict"], ["guess"], ["predict", "x.jpg", "--top-k", "many"], ["embed", "x"], ["fit"]]
)
def test_wrong_usage_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: geolib" in capsys.readouterr().err


def test_errors_are_sentences_with_status_2(tmp_path, model_folder, capsys):
    photo = write_photo(tmp_path / "a.jpg")
    assert cli.main(["predict", photo, "--top-k", "0", "--model", model_folder]) == 2
    assert cli.main(["predict", photo, "--model", str(tmp_path / "none")]) == 2
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.json").write_text("[" * 100_000)
    assert cli.main(["predict", photo, "--model", str(tmp_path / "broken")]) == 2
    assert cli.main(["embed", "osv5m", "--out", str(tmp_path / "e")]) == 2
    assert cli.main(["fit", "--dataset", "nope", "--out", str(tmp_path / "m")]) == 2
    assert cli.main(["fit", "--dataset", "gallery", "--cells", "ten", "--out", str(tmp_path / "m")]) == 2
    assert cli.main(["fit", "--dataset", "gallery", "--out", str(tmp_path / "m")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 7
    assert all(line.startswith("error: ") for line in said)
    assert "expected at least 1" in said[0]
    assert "coordinates only" in said[6]


def test_an_interrupt_ends_in_a_line(tmp_path, model_folder, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Geolocator, "predict_many", interrupted)
    assert cli.main(["predict", write_photo(tmp_path / "a.jpg"), "--model", model_folder]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_warnings_are_notes(capsys, monkeypatch):
    monkeypatch.setattr(cli, "_info", lambda _: warnings.warn("weights are random", stacklevel=1) or 0)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["info"]) == 0
    assert capsys.readouterr().err == "note: weights are random\n"


def test_version_and_help_are_quick_to_say(capsys):
    for argument, expected in (("--version", f"geolib {geolib.__version__}\n"), ("--help", "predict")):
        with pytest.raises(SystemExit) as ended:
            cli.main([argument])
        assert ended.value.code == 0
        assert expected in capsys.readouterr().out
    code = "import sys, geolib.__main__; print([name for name in ('torch', 'pandas', 'numpy') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


# The other commands


@pytest.fixture
def album(tmp_path):
    """Sixty photos with GPS around two towns, and an unreadable one."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number in range(60):
        lat, lon = ((40, 10), (-20, 130))[number % 2]
        write_photo(folder / f"{number:02}.jpg", seed=number, exif=gps(lat + number % 15, lon + number % 13))
    return folder


def test_fit_then_evaluate_then_predict(album, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GEOLIB_DATASET", f"folder:{album}")
    model = str(tmp_path / "model")
    assert cli.main(["fit", "--out", model, "--cells", "2,6", "--epochs", "2"]) == 0
    assert "saved in" in capsys.readouterr().out
    assert cli.main(["evaluate", "--model", model]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in ("prior", "nearest neighbour", "geolocator", "within 750 km", "["))
    assert "In brackets: 95 % bootstrap over " in table
    assert re.search(r"GeoScore of geolocator against prior: (more|less|undecided|same by construction), ", table)
    assert cli.main(["predict", str(album / "00.jpg"), "--model", model]) == 0
    assert "drawn postcards" not in capsys.readouterr().err, "this model has seen the album"
    (album / "07.jpg").unlink()
    assert cli.main(["evaluate", "--model", model]) != 0
    assert "are not those that the model was fitted on" in capsys.readouterr().err
    monkeypatch.delenv("GEOLIB_DATASET")
    assert cli.main(["evaluate", "--model", model]) != 0
    assert "the model was fitted on 'folder': name the dataset to test on" in capsys.readouterr().err


def test_a_model_with_other_rules_is_fitted_and_asked(album, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GEOLIB_DATASET", f"folder:{album}")
    model = str(tmp_path / "model")
    rules = ["--fusion", "leaf", "--decoding", "geoscore"]
    assert cli.main(["fit", "--out", model, "--epochs", "2", *rules]) == 0
    assert cli.main(["predict", str(album / "00.jpg"), "--model", model, "--json"]) == 0
    assert '"lat"' in capsys.readouterr().out
    loaded = Geolocator.load(model, device="cpu")
    assert (loaded.fusion, loaded.decoding) == ("leaf", "geoscore")


def test_a_preset_is_fitted_and_its_parts_can_be_replaced(album, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GEOLIB_DATASET", f"folder:{album}")
    made = []
    for number, more in enumerate(([], ["--preset", "article"], ["--preset", "article", "--decoding", "mean"])):
        folder = str(tmp_path / f"model{number}")
        assert cli.main(["fit", "--out", folder, "--epochs", "2", *more]) == 0, capsys.readouterr().err
        loaded = geolib.load(folder)
        made.append((loaded.fusion, loaded.decoding, loaded.training["settings"]["trunk"] > 0))
        assert loaded.training["settings"]["epochs"] == 2
    assert made == [
        ("finest", "geoscore", True),
        ("consistency", "argmax", False),
        ("consistency", "mean", False),
    ]


@pytest.mark.parametrize("option", ["fusion", "decoding"])
def test_a_misspelt_rule_is_refused_before_fitting(option, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("geolib.Geolocator.fit_dataset", None)
    assert cli.main(["fit", "--out", str(tmp_path / "m"), f"--{option}", "magic"]) == 2
    assert f"--{option} magic: expected one of" in capsys.readouterr().err


def test_a_folder_of_other_things_is_refused_before_fitting(album, capsys, monkeypatch):
    monkeypatch.setattr("geolib.Geolocator.fit_dataset", None)
    assert cli.main(["fit", "--dataset", f"folder:{album}", "--out", str(album)]) != 0
    assert "is not a model folder: choose another name" in capsys.readouterr().err


def test_embed_a_folder_and_a_dataset(album, tmp_path, capsys):
    (album / "text.png").write_text("not a photo")
    assert cli.main(["embed", str(album), "--out", str(tmp_path / "a")]) == 1
    assert "60 vectors of 16 numbers" in capsys.readouterr().out
    store = EmbeddingStore.open(tmp_path / "a")
    assert store.ids[:2] == ["00.jpg", "01.jpg"]
    assert store.failures[0][0] == "text.png"
    pd.DataFrame({"id": ["00.jpg", "01.jpg"], "lat": [1, 2], "lon": [0, 1]}).to_csv(album / "t.csv")
    assert cli.main(["embed", f"table:{album / 't.csv'}", "--out", str(tmp_path / "b")]) == 0
    both = EmbeddingStore.open(tmp_path / "b")
    assert np.array_equal(both.vectors, store.subset(both.ids))


@pytest.mark.parametrize(
    "arguments",
    [
        ["postcards"],
        ["commons", "--shards=2"],
        ["osv5m", "--photos=5"],
        ["quadtree", "--contact=a@b.c"],
        ["encoder", "ViT-L-14/openai", "--out=x"],
        ["look", "folder:x", "--seed=1"],
    ],
)
def test_each_fetch_command_takes_its_own_options_only(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["fetch", *arguments])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "invalid choice: 'postcards'" in said if arguments == ["postcards"] else "unrecognized arguments" in said


def test_a_benchmark_without_a_path_says_how_to_get_it(capsys):
    assert cli.main(["fetch", "look", "im2gps3k"]) == 2
    assert re.search("geolib does not fetch it, because .* open im2gps3k:/path/to/", capsys.readouterr().err)


def test_an_encoder_needs_the_name_of_its_weights(capsys):
    assert cli.main(["fetch", "encoder", "ViT-L-14"]) == 2
    assert "expected MODEL/PRETRAINED" in capsys.readouterr().err


def test_fit_and_evaluate_say_how_many_photos_could_not_be_read(encoder_folder, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for n in range(30):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(tmp_path / f"{n}.jpg")
    (tmp_path / "3.jpg").write_bytes(b"no picture")
    ids, lat, lon = [*range(30), "../x"], rng.uniform(-60, 60, 31), rng.uniform(-180, 180, 31)
    pd.DataFrame({"id": ids, "lat": lat, "lon": lon}).to_csv(tmp_path / "t.csv", index=False)
    what = ["--dataset", f"table:{tmp_path}/t.csv"]
    done = cli.main(["fit", *what, "--encoder", str(encoder_folder), "--epochs", "1", "--out", str(tmp_path / "model")])
    assert done == 0
    assert "note: photos of table left out: 2, such as 3: " in capsys.readouterr().err
    assert cli.main(["evaluate", *what, "--model", str(tmp_path / "model")]) == 0
    assert "note: photos of table left out: 2, such as 3: " in capsys.readouterr().err


def test_a_strangers_table_beside_a_photo_does_not_hinder_its_prediction(model_folder, tmp_path, capsys):
    photo = tmp_path / "images" / "aa" / "M5.jpg"
    photo.parent.mkdir(parents=True)
    Image.new("RGB", (40, 40), "teal").save(photo)
    for content in (b"no table", None):
        if content is None:
            pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "photos.parquet")
        else:
            (tmp_path / "photos.parquet").write_bytes(content)
        assert cli.main(["predict", str(photo), "--model", model_folder, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)[0]["credit"] == ""


def test_fetch_without_a_network_says_so(capsys):
    assert cli.main(["fetch", "encoder", "RN50/openai"]) == 2
    assert re.search("error: the weights RN50/openai are not on this machine", capsys.readouterr().err)


def test_info_names_versions_device_and_settings(capsys):
    assert cli.main(["info"]) == 0
    said = capsys.readouterr().out
    assert all(f" {name}  " in said for name in ("geolib", "torch", "dataset", "encoder", "seed", "runs on", "cache"))
    assert "cpu: as asked" in said


def test_predict_works_on_a_fresh_clone_without_a_model(capsys, monkeypatch):
    monkeypatch.undo()
    assert cli.main(["predict", str(SAMPLE)]) == 0
    assert "within 750 km of" in capsys.readouterr().out
