"""Every fault of the command line ends in one line of words: full disks, bugs, wrong names and settings."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors import SafetensorError
from tiny import world, write_encoder

from geolib.app import cli
from geolib.encoder import Encoder
from geolib.heads import TrainOptions
from geolib.predict import Geolocator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory):
    return str(write_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def calibrated_folder(encoder_folder, tmp_path_factory):
    """A model to which every picture is unfamiliar."""
    folder, encoder = tmp_path_factory.mktemp("model") / "model", Encoder.load(encoder_folder, device="cpu")
    how = {"cells_per_level": (4, 12), "options": TrainOptions(epochs=2), "device": "cpu"}
    Geolocator.fit(encoder, *world(300), calibration=world(100, seed=1), **how).save(folder)
    return str(folder)


def photos(folder, n, seed=0):
    """A folder of `n` pictures and a table of their places."""
    folder.mkdir()
    ids = [f"{number:03}-{'long name ' * 15}.png" for number in range(n)]
    rng = np.random.default_rng(seed)
    for number in range(n):
        pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / ids[number], compress_level=1)
    places = pd.DataFrame({"id": ids, "lat": rng.uniform(-60, 60, n), "lon": rng.uniform(-180, 180, n)})
    places.to_csv(folder / "t.csv", index=False)
    return f"table:{folder / 't.csv'}"


def geolib_command(*arguments, most_bytes=None, stdout=subprocess.PIPE, **environment):
    """Run the command as a user would; no file may grow over `most_bytes`, as if the disk were full."""

    def limit():
        if most_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    return subprocess.run(
        [sys.executable, "-m", "geolib", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "GEOLIB_DEVICE": "cpu", "OMP_NUM_THREADS": "1", **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        check=False,
    )


def is_one_line(ended):
    lines = ended.stderr.splitlines()
    return len(lines) == 1 and lines[0].startswith("error: ") and "Traceback" not in ended.stderr


def errors(ended):
    return [line for line in ended.stderr.splitlines() if line.startswith("error: ")]


# Disks and bugs


def test_a_full_disk_in_embed_and_fit_is_said_in_words(encoder_folder, tmp_path):
    name = photos(tmp_path / "photos", 30)  # so few that no worker needs shared memory, which the limit holds for, too
    setting = {"GEOLIB_ENCODER": encoder_folder, "GEOLIB_CACHE": str(tmp_path / "cache")}
    ended = geolib_command("embed", tmp_path / "photos", "--out", tmp_path / "store", most_bytes=4000, **setting)
    assert ended.returncode in (1, 2) and len(errors(ended)) == 1, ended.stderr
    assert "Traceback" not in ended.stderr and "File too large" in errors(ended)[0]
    fit = ["fit", "--dataset", name, "--epochs", "1", "--cells", "2,6", "--out", tmp_path / "model"]
    assert geolib_command(*fit, **setting).returncode == 0
    ended = geolib_command(*fit[:-1], tmp_path / "other", most_bytes=1500, **setting)
    assert ended.returncode in (1, 2) and len(errors(ended)) == 1, ended.stderr
    assert "Traceback" not in ended.stderr and "File too large" in errors(ended)[0]
    assert not (tmp_path / "other" / "model.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has this device")
def test_output_that_cannot_be_written_is_said_in_words():
    with open("/dev/full", "w") as full:
        ended = geolib_command("info", stdout=full)
    assert ended.returncode == 2 and is_one_line(ended) and "No space left on device" in ended.stderr


def test_a_closed_output_is_no_fault():
    ended = subprocess.run(
        ["sh", "-c", '"$0" -m geolib info >&-', sys.executable], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    assert ended.returncode == 0 and ended.stderr == ""


@pytest.mark.parametrize(
    "fault",
    [
        SafetensorError("I/O error:\nNo space left on device"),
        RuntimeError("DataLoader worker is killed by signal: Bus error."),
        KeyError("cells"),
        MemoryError(),
        AssertionError(),
        RecursionError("maximum recursion depth exceeded"),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_what_nobody_expected_is_a_line_with_status_1_and_a_traceback_on_demand(fault, debug, capsys, monkeypatch):
    def broken(_):
        raise fault

    monkeypatch.setattr(cli, "_info", broken)
    assert cli.main(["info", *debug]) == 1
    said = capsys.readouterr().err
    assert ("Traceback" in said) == bool(debug)
    last = said.splitlines()[-1]
    assert last.startswith(f"error: {type(fault).__name__}: ") and "--debug" in last
    if not debug:
        assert len(said.splitlines()) == 1


def test_debug_stands_before_or_after_the_command_and_shows_expected_errors_too(tmp_path):
    for arguments in (["--debug", "fetch", "look", "folder:nowhere"], ["fetch", "look", "folder:nowhere", "--debug"]):
        ended = geolib_command(*arguments)
        assert ended.returncode == 2 and "Traceback" in ended.stderr
        assert ended.stderr.splitlines()[-1].startswith("error: nowhere is not a folder")
    assert is_one_line(geolib_command("fetch", "look", "folder:nowhere"))


# Names and settings


@pytest.mark.parametrize("words", [["predict", ""], ["embed", "postcards", "--out", ""], ["fit", "--out="]])
def test_an_empty_name_is_not_the_current_folder(words, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith("error: an argument is empty")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["map.txt", "map", "map.jpg", "map.svg"])
def test_a_map_that_is_no_png_is_refused_before_the_model_is_loaded(name, tmp_path):
    ended = geolib_command("predict", "photo.jpg", "--map", tmp_path / name, "--model", tmp_path / "no model")
    assert ended.returncode == 2 and is_one_line(ended)
    assert f"{name}: maps are PNG files; expected a name that ends in .png" in ended.stderr


@pytest.mark.parametrize("command", [["info"], ["predict", "photo.jpg"], ["embed", "postcards", "--out", "x"]])
def test_a_device_that_does_not_exist_names_those_that_do(command):
    ended = geolib_command(*command, GEOLIB_DEVICE="gpu")
    assert ended.returncode == 2 and is_one_line(ended) and ended.stdout == ""
    assert "GEOLIB_DEVICE='gpu': expected one of auto, cpu, cuda, mps" in ended.stderr


def test_a_second_folder_needs_the_first_as_gallery_and_the_reason_is_said(encoder_folder, tmp_path):
    first, second = photos(tmp_path / "first", 40), photos(tmp_path / "second", 12, seed=1)
    setting = {"GEOLIB_ENCODER": encoder_folder, "GEOLIB_CACHE": str(tmp_path / "cache")}
    model = tmp_path / "model"
    fit = ["fit", "--dataset", first, "--epochs", "1", "--cells", "2,6", "--out", model]
    assert geolib_command(*fit, **setting).returncode == 0
    asked = ["evaluate", "--model", model, "--dataset", second]
    ended = geolib_command(*asked, **setting)
    assert ended.returncode == 2 and len(errors(ended)) == 1
    assert "--gallery table:PATH" in ended.stderr and "which photos the model has seen" in ended.stderr
    ended = geolib_command(*asked, "--gallery", first, **setting)
    assert ended.returncode == 0, ended.stderr
    assert "all photos of table:" in ended.stdout and "nearest neighbour" in ended.stdout


@pytest.mark.parametrize(
    ("journal", "words"),
    [
        (None, "does not exist"),
        ("", "does not exist"),
        ('{"refused": {"no coordinates": ["M1"]}, "step": 0}\n', "does not exist"),
        ('{"photo": {"id": "M1"}}\n', "was begun and is not finished"),
    ],
)
def test_commons_is_begun_when_a_photo_was_fetched(journal, words, tmp_path):
    (tmp_path / "commons").mkdir()
    if journal is not None:
        (tmp_path / "commons" / "journal.jsonl").write_text(journal)
    ended = geolib_command("fetch", "look", "commons", GEOLIB_CACHE=str(tmp_path))
    assert ended.returncode == 2 and is_one_line(ended)
    assert f"photos.parquet {words}: `geolib fetch commons" in ended.stderr


# Unfamiliar images


def test_an_unfamiliar_image_has_no_probability_in_words_json_or_map(encoder_folder, calibrated_folder, tmp_path):
    photos(tmp_path / "photos", 1)
    photo = next((tmp_path / "photos").glob("*.png"))
    setting = {"GEOLIB_ENCODER": encoder_folder}
    ended = geolib_command("predict", photo, "--model", calibrated_folder, "--json", **setting)
    (answer,) = json.loads(ended.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert answer["familiar"] is False
    assert {place["probability"] for place in answer["top"]} == {None}
    assert all(isinstance(place["lat"], float) and place["country"] for place in answer["top"])
    assert answer["radius_km"] is None and answer["entropy_bits"] is None
    said = geolib_command("predict", photo, "--model", calibrated_folder, **setting).stdout.splitlines()
    assert not any("%" in line for line in said if "unlike the training images" not in line)
