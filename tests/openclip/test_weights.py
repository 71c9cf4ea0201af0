"""Where weights come from: a model folder, or the Hugging Face hub through its real client and a local server."""

import hashlib
import logging
import os
import re
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from local_hub import serving
from PIL import Image
from tiny import model_shape, write_encoder

from geolib.app import cli
from geolib.common import files
from geolib.common.errors import CorruptFileError, MissingDataError
from geolib.encoder import Encoder
from geolib.openclip.model import Preprocessing
from geolib.openclip.torchvision import import_open_clip

TORCH_LOAD = torch.load
CONFIG, WEIGHTS, WORDS = "open_clip_config.json", "open_clip_model.safetensors", "vocab.json"


def load(name, pretrained=None, **options):
    return Encoder.load(name, pretrained, device="cpu", **options)


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="session")
def weights_of(tmp_path_factory):
    """The bytes of a weights file, by seed."""
    return lambda seed: (write_encoder(tmp_path_factory.mktemp(f"seed{seed}"), seed) / WEIGHTS).read_bytes()


# A model folder


def edit(file, *keys, **changes):
    """Something that changes values inside a JSON file of a folder."""

    def apply(folder):
        value = files.read_json(folder / file)
        inner = value
        for key in keys:
            inner = inner[key]
        inner.update(changes)
        files.write_json(folder / file, value)

    return apply


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / CONFIG).unlink(), MissingDataError, "open_clip_config.json does not exist"),
        (lambda f: (f / WORDS).unlink(), MissingDataError, "vocab.json does not exist"),
        (lambda f: (f / WEIGHTS).unlink(), MissingDataError, "safetensors does not exist"),
        (lambda f: (f / WORDS).write_text("{"), CorruptFileError, "vocab.json is not JSON"),
        (lambda f: (f / WORDS).write_text("[]"), CorruptFileError, "fits together"),
        (lambda f: (f / CONFIG).write_text("{}"), CorruptFileError, "model_cfg"),
        (lambda f: os.truncate(f / WEIGHTS, 5000), CorruptFileError, "not a whole safetensors"),
        (edit(CONFIG, "model_cfg", embed_dim=8), CorruptFileError, "size mismatch"),
        (edit(CONFIG, "model_cfg", extra=1), CorruptFileError, "extra"),
        (edit(CONFIG, "model_cfg", "vision_cfg", timm_model_name="hf-hub:a/b"), CorruptFileError, "on a hub"),
        (edit(CONFIG, "model_cfg", "vision_cfg", timm_model_name="nonsense"), CorruptFileError, "nonsense"),
        (edit(CONFIG, "model_cfg", "text_cfg", hf_model_name="a/b"), CorruptFileError, "on a hub"),
        (edit(CONFIG, "preprocess_cfg", mean=[1]), CorruptFileError, "three means"),
        (edit(WORDS, vocabulary=["other"]), CorruptFileError, "another text tower"),
    ],
)
def test_a_damaged_model_folder_is_refused(tmp_path, damage, error, message):
    damage(write_encoder(tmp_path))
    with pytest.raises(error, match=message) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_hides_no_model_of_its_name(tmp_path, monkeypatch, tiny):
    write_encoder(tmp_path / "tiny", seed=3)
    write_encoder(tmp_path / "postcards", seed=3)
    shipped = load("postcards").fingerprint
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="tiny has random weights"):
        by_name = load("tiny")
    assert (by_name.name, load("postcards").fingerprint) == ("tiny", shipped)
    folder = load("./tiny")
    assert folder.name == str(tmp_path / "tiny") and folder.fingerprint != by_name.fingerprint
    for written in (tmp_path / "tiny", Path("tiny"), "postcards/", "../" + tmp_path.name + "/tiny"):
        assert load(written).fingerprint == folder.fingerprint


# Names that open_clip knows


@pytest.fixture
def tiny(monkeypatch):
    """A small model among those that open_clip knows by name, with weights on the hub and others that are a pickle."""
    open_clip = import_open_clip()
    tags = {"openai": {"hf_hub": "team/tiny/", "mean": (0.1, 0.2, 0.3), "std": (1, 1, 1), "quick_gelu": True}}
    tags |= {"named": {"hf_hub": "team/tiny/weights.bin"}, "old": {"url": "https://example.org/weights.pt"}}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", model_shape())
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", tags)
    return "tiny"


def test_random_weights_are_always_the_same_and_give_a_warning(tiny, caplog):
    with pytest.warns(UserWarning, match="tiny has random weights"):
        first = load(tiny)
    assert "initialized randomly" not in caplog.text, "open_clip's own alarm"
    with torch.random.fork_rng(devices=[]), pytest.warns(UserWarning, match="random weights"):
        torch.manual_seed(99)
        second = load(tiny)
    assert first.fingerprint == second.fingerprint
    assert (first.name, first.pretrained, first.dim, first.image_size) == ("tiny", None, 16, 32)


def test_unknown_names_are_refused(tiny):
    with pytest.raises(ValueError, match=r"ViT-B-23.*such as .*ViT-B-32"):
        Encoder.load("ViT-B-23")
    with pytest.raises(ValueError, match=r"tiny has no weights called 'opnai': expected one of openai, named, old$"):
        Encoder.load(tiny, "opnai")
    for name in ("hf-hub:org/model", "local-dir:/tmp", "no/such/folder"):
        with pytest.raises(ValueError, match="expected 'postcards'"):
            Encoder.load(name)


# The hub


@pytest.fixture
def hub(monkeypatch, tmp_path, weights_of):
    """A hub with weights of seed 5 as safetensors, and caches of this test's own."""
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was read"))
    with serving(monkeypatch, tmp_path / "hub") as server:
        server.first = server.commit("team/tiny", open_clip_model__safetensors=weights_of(5))
        yield server


def recorded(tmp_path):
    return files.read_json(tmp_path / "cache" / "encoders" / "tiny-openai.json")


def blobs(tmp_path):
    return [path for path in (tmp_path / "hub").rglob("*") if path.is_file() and path.parent.name == "blobs"]


def test_pretrained_weights_come_as_safetensors_by_name(hub, tiny, tmp_path, capsys):
    encoder = load(tiny, "openai")  # without a warning, which would be an error here
    content = hub.repositories["team/tiny"][0][WEIGHTS]
    expected = f"fetching tiny/openai: {len(content) / 1e9:.2f} GB, team/tiny at {hub.first[:12]}\n"
    assert capsys.readouterr().err.startswith(expected)
    assert (encoder.name, encoder.pretrained, encoder.quick_gelu) == ("tiny", "openai", True)
    assert encoder.preprocessing == Preprocessing(32, (0.1, 0.2, 0.3), (1, 1, 1))
    (tmp_path / "same").write_bytes(content)
    weights = files.read_tensors(tmp_path / "same")
    for name, tensor in encoder.model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[name].astype(np.float32), err_msg=name)
    where = {"repository": "team/tiny", "revision": hub.first, "file": WEIGHTS}
    where |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert encoder.weights == recorded(tmp_path) == encoder.describe()["weights"] == where


def test_a_second_load_sends_no_request(hub, tiny):
    first = load(tiny, "openai")
    assert {method for method, _, _ in hub.requests} == {"HEAD", "GET"}
    hub.requests.clear()
    again = load(tiny, "openai")
    assert (again.fingerprint, again.weights) == (first.fingerprint, first.weights)
    assert load(tiny, "openai", revision=hub.first).weights == first.weights
    assert hub.requests == []


def test_what_other_programs_downloaded_is_used(hub, tiny, tmp_path):
    huggingface_hub.hf_hub_download("team/tiny", WEIGHTS)
    hub.requests.clear()
    encoder = load(tiny, "openai")
    assert hub.requests == [] and encoder.weights == recorded(tmp_path)
    assert encoder.weights["revision"] == hub.first


def test_the_revision_of_the_first_download_stays(hub, tiny, tmp_path, weights_of):
    first = load(tiny, "openai")
    second = hub.commit("team/tiny", open_clip_model__safetensors=weights_of(6))
    assert load(tiny, "openai").fingerprint == first.fingerprint
    shutil.rmtree(tmp_path / "hub")
    assert load(tiny, "openai").fingerprint == first.fingerprint, "fetched again, as recorded"
    other = load(tiny, "openai", revision=second)
    assert other.weights["revision"] == second and other.fingerprint != first.fingerprint
    assert load(tiny, "openai").fingerprint == first.fingerprint, "asking for one revision pins nothing"
    with pytest.raises(MissingDataError, match=r"at 0{40} cannot be fetched: HTTP 404: there is no such revision"):
        load(tiny, "openai", revision="0" * 40)


def test_the_command_line_fetches_a_revision_and_names_it(hub, tiny, tmp_path, capsys, weights_of):
    hub.commit("team/tiny", open_clip_model__safetensors=weights_of(6))
    assert cli.main(["fetch", "encoder", f"{tiny}/openai", "--revision", hub.first]) == 0
    assert f"\n  revision {hub.first}\n" in capsys.readouterr().out
    assert cli.main(["fetch", "encoder", f"{tiny}/openai", "--revision", "main"]) == 2
    assert "revision='main': expected a commit" in capsys.readouterr().err


def test_an_interrupted_download_is_resumed(hub, tiny, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # what is written at once
    hub.faults["cdn"] = "cut"
    load(tiny, "openai")
    size = len(hub.repositories["team/tiny"][0][WEIGHTS])
    first, second = (asked for _, path, asked in hub.requests if path.startswith("/cdn/"))
    assert first is None and size // 2 - 1000 <= int(re.fullmatch(r"bytes=(\d+)-", second)[1]) <= size // 2


@pytest.mark.parametrize(("fault", "error"), [("short", MissingDataError), ("wrong", CorruptFileError)])
def test_a_wrong_body_leaves_no_file(hub, tiny, tmp_path, fault, error):
    hub.faults["cdn"] = fault
    with pytest.raises(error, match=r"should be of size|is deleted: load again to fetch it"):
        load(tiny, "openai")
    assert blobs(tmp_path) == []
    assert not (tmp_path / "cache").exists()
    hub.faults.clear()
    assert load(tiny, "openai").dim == 16


@pytest.mark.parametrize("where", ["resolve", "cdn"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_asked_again_when_it_says(hub, tiny, where, status):
    hub.faults[where] = [(status, 7), (status, 40), (status, None)]
    assert load(tiny, "openai").dim == 16
    path = "/cdn/" if where == "cdn" else "/resolve/"
    assert sum(asked.startswith(path) or path in asked for _, asked, _ in hub.requests) >= 4
    waited = [nap for nap in hub.naps if nap >= 7]
    assert len(waited) == 2 and 7 <= waited[0] <= 8 and 40 <= waited[1] <= 41, "the hub's client adds a second"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_stays_busy_is_given_up(hub, tiny, status):
    hub.faults["resolve"] = status
    with pytest.raises(MissingDataError, match=rf"in 6 attempts \(.*{status}.*run the same command again later"):
        load(tiny, "openai")
    assert len(hub.requests) == 6 and hub.naps == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("where", ["resolve", "cdn"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_asks_for_a_day_is_left_alone(hub, tiny, where, status):
    hub.faults[where] = [(status, 100_000)]
    with pytest.raises(MissingDataError, match=r"a long wait \(Retry-After: 100000\)"):
        load(tiny, "openai")
    assert hub.naps == []
    assert load(tiny, "openai").dim == 16


@pytest.mark.parametrize("where", ["resolve", "cdn"])
@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "access is restricted"),
        (403, "access is restricted"),
        (404, "does not exist"),
        (410, "removed for good"),
    ],
)
def test_a_hub_that_refuses_for_good_is_asked_once(hub, tiny, tmp_path, where, status, said):
    hub.faults[where] = status
    with pytest.raises(MissingDataError, match=rf"HTTP {status}: .*{said}.*Choose other weights") as caught:
        load(tiny, "openai")
    assert hub.naps == [] and "later" not in str(caught.value)
    assert sum(f"/{where}/" in path for _, path, _ in hub.requests) == 1
    assert blobs(tmp_path) == []


def test_a_damaged_cache_is_noticed_and_repaired(hub, tiny, tmp_path):
    fingerprint = load(tiny, "openai").fingerprint
    (blob,) = blobs(tmp_path)
    flip_last_byte(blob)
    with pytest.raises(CorruptFileError, match=r"was damaged .* is deleted: load again to fetch it"):
        load(tiny, "openai")
    assert load(tiny, "openai").fingerprint == fingerprint


def test_a_hub_that_changes_a_commit_is_not_believed(hub, tiny, tmp_path, weights_of):
    load(tiny, "openai")
    shutil.rmtree(tmp_path / "hub")
    hub.repositories["team/tiny"][0][WEIGHTS] = weights_of(7)
    with pytest.raises(CorruptFileError, match=r"for what was .* when it was fetched first"):
        load(tiny, "openai")


@pytest.mark.parametrize("content", [b"\x40\0\0\0\0\0\0\0{", b"\x02\0\0\0\0\0\0\0{}", b"PK\3\4"])
def test_a_file_that_is_not_weights_is_refused(hub, tiny, content):
    hub.commit("team/tiny", open_clip_model__safetensors=content)
    with pytest.raises(CorruptFileError, match="delete it and load again"):
        load(tiny, "openai")


def test_without_network_the_error_says_what_to_do_and_nothing_alarms_before(monkeypatch, tmp_path, caplog):
    # Through the real huggingface_hub, which the tests' guard keeps off the network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingDataError) as caught:
        load("ViT-L-14", "openai")
    command = "`geolib fetch encoder ViT-L-14/openai` fetches about 1.7 GB"
    assert f"{command} from timm/vit_large_patch14_clip_224.openai" in str(caught.value)
    assert "initialized randomly" not in caplog.text
    logging.warning("Model initialized randomly")
    assert "initialized randomly" in caplog.text, "what others say is not silenced"


# Pickles


@pytest.fixture
def pickled(hub, tmp_path):
    """A repository that holds a pickle only."""
    (tmp_path / "weights").write_bytes(hub.repositories["team/tiny"][0][WEIGHTS])
    weights = files.read_tensors(tmp_path / "weights")
    torch.save({name: torch.from_numpy(x) for name, x in weights.items()}, tmp_path / "weights.bin")
    hub.repositories["team/tiny"] = []
    hub.commit("team/tiny", weights__bin=(tmp_path / "weights.bin").read_bytes())
    return hub


def test_a_pickle_is_not_loaded_unless_allowed_by_hand(pickled, tiny):
    with pytest.raises(ValueError, match=r"as a pickle only.*may run programs.*`geolib fetch .* --allow-p"):
        load(tiny, "named")
    assert [path for _, path, _ in pickled.requests if path.endswith(".bin") or path.startswith("/cdn/")] == []
    with pytest.raises(ValueError, match="not published on the Hugging Face hub"):
        load(tiny, "old", allow_pickle=True)


def test_an_allowed_pickle_is_read_once_and_kept_as_safetensors(pickled, tiny, monkeypatch, tmp_path):
    loads, real = [], TORCH_LOAD
    monkeypatch.setattr(torch, "load", lambda *given, **options: loads.append(options) or real(*given, **options))
    first = load(tiny, "named", allow_pickle=True)
    assert [options["weights_only"] for options in loads] == [True]
    assert first.weights["sha256"] == files.sha256_file(tmp_path / "weights.bin")
    assert first.weights["file"] == "weights.bin"
    pickled.requests.clear()
    again = load(tiny, "named")  # safetensors need no consent
    assert (again.fingerprint, again.weights) == (first.fingerprint, first.weights)
    assert len(loads) == 1 and pickled.requests == []
    flip_last_byte(tmp_path / "cache" / "encoders" / "tiny-named.safetensors")
    with pytest.raises(CorruptFileError, match="changed since it was written"):
        load(tiny, "named")


def test_a_pickle_that_runs_a_program_is_stopped(pickled, tiny, monkeypatch, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it ran"),)

    torch.save({"weights": Evil()}, tmp_path / "evil.bin")
    pickled.commit("team/tiny", weights__bin=(tmp_path / "evil.bin").read_bytes())
    monkeypatch.setattr(torch, "load", TORCH_LOAD)
    with pytest.raises(CorruptFileError, match="damaged"):
        load(tiny, "named", allow_pickle=True)
    assert not (tmp_path / "it ran").exists()
    assert not (tmp_path / "cache").exists()


def test_a_busy_hub_is_no_reason_to_read_a_pickle(pickled, tiny):
    pickled.repositories["team/tiny"][0]["weights.safetensors"] = b"x"
    pickled.faults["resolve"] = 503
    with pytest.raises(MissingDataError, match="could not be fetched"):
        load(tiny, "named", allow_pickle=True)
    assert [path for _, path, _ in pickled.requests if path.endswith(".bin")] == []


# The article's encoder


def test_vit_l_14_runs_as_open_clip_runs_it(hub, monkeypatch, tmp_path):
    """Its name, tag, repository, preprocessing and widths, with one layer of 24 and random weights."""
    open_clip = import_open_clip()
    shape = open_clip.get_model_config("ViT-L-14")
    shape["vision_cfg"]["layers"] = shape["text_cfg"]["layers"] = 1
    shape["text_cfg"]["vocab_size"] = 1000
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-L-14", shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = open_clip.CLIP(**shape).state_dict()
    files.write_tensors(tmp_path / WEIGHTS, {name: x.half().numpy() for name, x in weights.items()})
    hub.commit_files("timm/vit_large_patch14_clip_224.openai", {WEIGHTS: (tmp_path / WEIGHTS).read_bytes()})
    encoder = load("ViT-L-14", "openai")
    assert (encoder.dim, encoder.image_size, encoder.quick_gelu) == (768, 224, True)
    assert encoder.weights["sha256"] == files.sha256_file(tmp_path / WEIGHTS)
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((300, 400), (500, 333))]
    vectors = encoder.embed_images(images)
    assert vectors.shape == (2, 768) and np.abs(vectors[0] - vectors[1]).max() > 1e-4
    local = {"pretrained": str(tmp_path / WEIGHTS)}
    model, _, transform = open_clip.create_model_and_transforms("ViT-L-14", **local, force_quick_gelu=True)
    theirs = torch.stack([transform(Image.fromarray(x)) for x in images])
    assert (torch.stack([encoder.preprocess(x) for x in images]) - theirs).abs().max() < 1e-5
    with torch.no_grad():
        expected = model.eval().encode_image(theirs, normalize=True).numpy()
        other = open_clip.create_model("ViT-L-14", **local).eval().encode_image(theirs, normalize=True).numpy()
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert np.abs(vectors - other).max() > 1e-4, "without quick_gelu it is another model"
