"""Models on the hub: the real client against a local server, the card, and the word that has to be given first."""

import copy
import hashlib
import json
import re

import pytest
from huggingface_hub import ModelCard
from local_hub import serving
from tiny import world, write_encoder

from geolib.app import cli as cli
from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError
from geolib.common.files import read_json
from geolib.encoder import Encoder
from geolib.openclip.torchvision import import_open_clip
from geolib.predict import Geolocator
from geolib.sharing import hub as sharing
from geolib.sharing.card import model_card
from geolib.sharing.model_folder import MODEL_FILES

NAME = "team/finder"


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    return Encoder.load(write_encoder(tmp_path_factory.mktemp("hub-encoder")), device="cpu")


@pytest.fixture(scope="session")
def fitted(encoder):
    return Geolocator.fit(encoder, *world(100), cells_per_level=(4, 12), device="cpu")


@pytest.fixture
def model(fitted):
    made = copy.copy(fitted)
    made.training = fitted.training | {
        "dataset": "postcards",
        "split": "auto",
        "sides": {"train": 300, "test": 40},
        "licences": {"MIT": 200, "": 100},
        "photographers": 12,
        "overlap": {"by_training_photographers": 0, "within_25_km": 0},
    }
    return made


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def photographs(model, tmp_path):
    model.training["dataset"] = "commons"
    model.save(tmp_path / "photographs")
    return tmp_path / "photographs"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with serving(monkeypatch, tmp_path / "hub") as server:
        yield server


def posted(hub):
    return [path for method, path, _ in hub.requests if method == "POST"]


# The card


def test_the_card_says_what_the_model_knows(saved):
    text = (saved / "README.md").read_text()
    headings = re.findall("^## (.*)$", text, re.MULTILINE)
    assert headings == [
        "Use",
        "Data",
        "Licences of the training photos",
        "Splits",
        "Figures",
        "Limits",
        "Responsible use",
        "How it was made",
    ]
    assert "**drawn postcards**, not photographs" in text
    assert "| MIT | 200 |" in text and "| not stated | 100 |" in text
    assert "| train | 300 |" in text and "0 test photos are by photographers of training photos" in text
    assert "None were computed" in text
    assert "notebooks/08_responsible_use.ipynb" in text
    assert ModelCard(text).data.to_dict()["library_name"] == "geolib"


def test_figures_stand_on_the_card_with_their_intervals(model, tmp_path):
    row = {"photos": 40, "interval": "95 % bootstrap over 9 photographers", "median_km": 812.0, "median_km_low": 700.0}
    row |= {"median_km_high": 1234.5, "within_25_km": 0.125, "within_25_km_low": None, "within_25_km_high": None}
    model.figures = {"test photos of postcards": {"geolocator": row}}
    model.save(tmp_path / "model")
    text = (tmp_path / "model" / "README.md").read_text()
    assert "On test photos of postcards; in brackets: 95 % bootstrap over 9 photographers." in text
    row |= {"interval": "95 % bootstrap over 40 photographers and 12 places", "clusters": 40}
    model.save(tmp_path / "model")
    text_without_names = (tmp_path / "model" / "README.md").read_text()
    assert "in brackets: 95 % bootstrap over 40 photos and 12 places." in text_without_names
    assert "| geolocator | 40 | - | 12.5 % | - | - | - | 812 km [700, 1,234] |" in text


def test_the_card_says_what_was_resampled_how_much_is_one_place_and_the_verdict(model, tmp_path):
    gain = {"verdict": "less", "geoscore": -20.4, "geoscore_low": -31.0, "geoscore_high": -2.0}
    row = {"photos": 40, "interval": "95 % bootstrap over 9 photographers and 7 places", "against": {"prior": gain}}
    row |= {"within_25_km": 0.125, "within_25_km_place": 0.61, "within_200_km": 0.5, "within_200_km_place": 0.05}
    model.figures = {"test photos of postcards": {"geolocator": row}}
    model.save(tmp_path / "model")
    text = (tmp_path / "model" / "README.md").read_text()
    assert "in brackets: 95 % bootstrap over 9 photographers and 7 places." in text
    assert "| 12.5 %, 61 % of it one place | 50.0 % |" in text
    assert "- GeoScore of geolocator against prior: less, -20 [-31, -2]; median -." in text


def test_a_model_fitted_by_hand_has_a_card_that_admits_what_is_not_known(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    text = (tmp_path / "model" / "README.md").read_text()
    assert "dataset: not recorded" in text and "Not recorded. Find out before you" in text


def test_names_from_strangers_stay_text(saved):
    model = read_json(saved / "model.json")
    evil = "CC BY](http://x) | <script>\n# Free `now` ![a](b)"
    model["training"]["licences"] = {evil: 1, "x" * 5000: 2}
    text = model_card(model)
    assert "<script>" not in text and "](http" not in text and "\n# Free" not in text and "![" not in text
    (line,) = [line for line in text.splitlines() if "CC BY" in line]
    assert line.count("|") == 3
    assert max(map(len, text.splitlines())) < 1000


def test_the_card_never_holds_a_path_of_this_machine(saved, encoder):
    assert encoder.name.startswith("/")
    assert str(encoder.name) not in (saved / "README.md").read_text()


# Upload


def test_a_model_of_postcards_goes_up_and_comes_down_the_same(saved, hub, tmp_path, encoder, model):
    (saved / "notes.txt").write_text("private")
    with pytest.warns(UserWarning, match="the upload contains the path of the encoder"):
        address = sharing.push(saved, NAME)
    assert address.startswith(f"{hub.url}/{NAME}/commit/")
    assert hub.created["visibility"] == "private"
    assert sorted(hub.repositories[NAME][-1]) == sorted(MODEL_FILES), "and nothing else of the folder"
    commit = sharing.pull(NAME, tmp_path / "pulled")
    assert address.endswith(commit)
    assert sorted(path.name for path in (tmp_path / "pulled").iterdir()) == sorted(MODEL_FILES)
    for name in MODEL_FILES:
        assert (tmp_path / "pulled" / name).read_bytes() == (saved / name).read_bytes()
    assert Geolocator.load(tmp_path / "pulled", encoder).training == model.training


def test_a_model_of_photographs_needs_the_word_first(photographs, hub):
    with pytest.raises(ValueError, match=r"commons.*can find real people.*notebooks/08_responsible_use\.ipynb"):
        sharing.push(photographs, NAME)
    assert hub.requests == [], "nothing was asked, nothing was sent"
    with pytest.warns(UserWarning, match="the upload contains"):
        sharing.push(photographs, NAME, public=True, i_have_read_responsible_use=True)
    assert "model.json" in hub.repositories[NAME][-1] and hub.created["visibility"] == "public"


def test_a_model_of_unknown_data_counts_as_one_of_photographs(fitted, hub, tmp_path):
    fitted.save(tmp_path / "model")
    with pytest.raises(ValueError, match="dataset not recorded"):
        sharing.push(tmp_path / "model", NAME)
    assert hub.requests == []


def test_what_is_no_whole_model_is_not_uploaded(saved, hub, tmp_path):
    (saved / "heads.safetensors").write_bytes(b"x")
    with pytest.raises(CorruptFileError, match="heads"):
        sharing.push(saved, NAME)
    with pytest.raises(MissingDataError):
        sharing.push(tmp_path / "none", NAME)
    assert hub.requests == []


@pytest.mark.filterwarnings("ignore:the upload contains")
def test_an_older_model_gets_its_card_when_it_goes_up(saved, hub):
    (saved / "README.md").unlink()
    sharing.push(saved, NAME)
    assert b"## Limits" in hub.repositories[NAME][-1]["README.md"]


@pytest.mark.filterwarnings("ignore:the upload contains")
def test_a_hub_that_refuses_is_said_to(saved, hub):
    hub.tokens = {"good"}
    with pytest.raises(GeolibError, match=r"team/finder could not be uploaded .*401.*hf auth login"):
        sharing.push(saved, NAME)
    sharing.push(saved, NAME, token="good")
    assert posted(hub)[-1] == f"/api/models/{NAME}/commit/main"
    for name in ("no owner/at/all", "../x", "a b/c"):
        with pytest.raises(ValueError, match=r"Repo id|repo"):
            sharing.push(saved, name)


# Download


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_only_a_models_own_files_come_down(saved, hub, tmp_path):
    evil = {"pytorch_model.bin": b"pickle", "code.py": b"import os", "extra.safetensors": b"x", "sub/model.json": b"{}"}
    hub.commit_files(NAME, files_of(saved) | evil)
    sharing.pull(NAME, tmp_path / "pulled")
    assert sorted(path.name for path in (tmp_path / "pulled").rglob("*")) == sorted(MODEL_FILES)


def test_a_revision_can_be_asked_for(saved, hub, tmp_path):
    first = hub.commit_files(NAME, files_of(saved))
    hub.commit_files(NAME, {"model.json": b"{}"})
    with pytest.raises(GeolibError, match="changed after it was saved"):
        sharing.pull(NAME, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()
    assert sharing.pull(NAME, tmp_path / "pulled", revision=first) == first
    with pytest.raises(GeolibError, match="could not be fetched"):
        sharing.pull(NAME, tmp_path / "other", revision="0" * 40)


@pytest.mark.parametrize("fault", ["wrong", "short"])
def test_what_is_not_as_it_should_be_leaves_the_old_model(saved, hub, tmp_path, encoder, fault):
    hub.commit_files(NAME, files_of(saved))
    sharing.pull(NAME, tmp_path / "pulled")
    before = files_of(tmp_path / "pulled")
    hub.faults["cdn"] = fault
    with pytest.raises(GeolibError, match=r"cut short, changed|should be of size"):
        sharing.pull(NAME, tmp_path / "pulled")
    assert files_of(tmp_path / "pulled") == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == [], "no litter"
    hub.faults.clear()
    sharing.pull(NAME, tmp_path / "pulled")


def test_a_missing_file_and_one_too_large_are_refused(saved, hub, tmp_path, monkeypatch):
    whole = files_of(saved)
    hub.commit_files(NAME, {name: content for name, content in whole.items() if name != "heads.safetensors"})
    with pytest.raises(GeolibError, match=r"heads\.safetensors is missing"):
        sharing.pull(NAME, tmp_path / "pulled")
    hub.commit_files(NAME, whole)
    monkeypatch.setattr(sharing, "MOST_BYTES", 1000)
    hub.requests.clear()
    with pytest.raises(GeolibError, match="expected a model of at most"):
        sharing.pull(NAME, tmp_path / "pulled")
    assert [path for _, path, _ in hub.requests if "resolve" in path] == [], "before a byte of it came"
    with pytest.raises(GeolibError, match="could not be fetched"):
        sharing.pull("team/nothing", tmp_path / "pulled")


def test_other_things_are_not_overwritten(saved, hub, tmp_path):
    hub.commit_files(NAME, files_of(saved))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(ValueError, match="is not a model folder"):
        sharing.pull(NAME, tmp_path / "thesis")
    assert hub.requests == []


# From the command line


@pytest.mark.filterwarnings("ignore:the upload contains")
def test_push_and_pull_from_the_command_line(photographs, hub, tmp_path, capsys):
    assert cli.main(["push", str(photographs), NAME]) == 2
    assert "--i-have-read-responsible-use" in capsys.readouterr().err
    assert cli.main(["push", str(photographs), NAME, "--i-have-read-responsible-use"]) == 0
    assert capsys.readouterr().out.startswith(f"{hub.url}/{NAME}/commit/")
    assert cli.main(["pull", NAME, "--out", str(tmp_path / "pulled")]) == 0
    assert re.match(rf"{NAME} at [0-9a-f]{{40}} is in ", capsys.readouterr().out)
    assert json.loads((tmp_path / "pulled" / "model.json").read_text())["training"]["dataset"] == "commons"


def test_fetching_an_encoder_prints_size_and_hash(hub, tmp_path, capsys, monkeypatch):
    open_clip = import_open_clip()
    made = write_encoder(tmp_path / "made")
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    tag = {"hf_hub": "team/tiny/", "mean": (0.1, 0.2, 0.3), "std": (1, 1, 1)}
    shape = read_json(made / "open_clip_config.json")["model_cfg"]
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", shape)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", {"openai": tag, "old": {"hf_hub": "team/old/"}})
    weights = (made / "open_clip_model.safetensors").read_bytes()
    commit = hub.commit("team/tiny", open_clip_model__safetensors=weights)
    hub.commit("team/old", open_clip_pytorch_model__bin=b"a pickle")
    assert cli.main(["fetch", "encoder", "tiny/openai"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("fetching tiny/openai: 0.00 GB")
    assert f"sha256 {hashlib.sha256(weights).hexdigest()}" in said.out and f"revision {commit}" in said.out
    assert cli.main(["fetch", "encoder", "tiny/old"]) == 2
    assert "may run programs on your machine" in capsys.readouterr().err
    assert cli.main(["fetch", "encoder", "tiny/old", "--allow-pickle"]) == 2
    assert "is damaged" in capsys.readouterr().err
