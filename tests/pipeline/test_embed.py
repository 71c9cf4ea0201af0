"""The encoder against open_clip itself; the store against kills, tampering and mix-ups."""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from local_hub import serving
from PIL import Image

from geolib import embed
from geolib import encoder as encoder_module
from geolib.app import cli as cli
from geolib.common import files
from geolib.common.errors import CorruptFileError, ImageError, MismatchError, MissingDataError
from geolib.embed import EmbeddingStore, embed_photos
from geolib.encoder import Encoder
from geolib.openclip import torchvision as _torchvision
from geolib.openclip.model import Preprocessing
from geolib.openclip.torchvision import import_open_clip

SIZE, DIM = 48, 32
TORCH_LOAD = torch.load
VOCABULARY = ["a", "photo", "of", "peru", "japan"]
PREPROCESSING = {
    "size": SIZE,
    "mean": [0.5, 0.4, 0.3],
    "std": [0.25, 0.26, 0.27],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}
MODEL = {
    "embed_dim": DIM,
    "vision_cfg": {"timm_model_name": "regnetx_002", "image_size": SIZE, "timm_pool": "avg", "timm_proj": "linear"},
    "text_cfg": {"context_length": 8, "vocab_size": len(VOCABULARY) + 4, "width": 32, "heads": 2, "layers": 1},
}


def make_model_folder(folder, seed=0, model=MODEL, preprocessing=PREPROCESSING):
    open_clip = import_open_clip()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        weights = open_clip.CLIP(**model).state_dict()
    half = {name: (x.half() if x.is_floating_point() else x).numpy() for name, x in weights.items()}
    files.write_tensors(folder / "open_clip_model.safetensors", half)
    files.write_json(folder / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": preprocessing})
    files.write_json(folder / "vocab.json", {"vocabulary": VOCABULARY, "context_length": 8})
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return make_model_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def encoder(model_folder):
    return Encoder.load(model_folder, device="cpu")


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Forty photos of many shapes, two of them unreadable: a text and a cut JPEG."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(40):
        height, width = rng.integers(20, 150, 2)
        pixels = rng.integers(0, 80, (height, width, 3)) + rng.integers(0, 176, 3)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.jpg")
    (folder / "07.jpg").write_text("not a photo")
    whole = (folder / "30.jpg").read_bytes()
    (folder / "30.jpg").write_bytes(whole[: len(whole) // 2])
    return sorted(folder.iterdir())


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """These models are so small that threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


IDS = [f"photo/{number}" for number in range(40)]
BAD = [7, 30]
GOOD = [number for number in range(40) if number not in BAD]


def hashes(folder):
    return {path.name: files.sha256_file(path) for path in sorted(Path(folder).iterdir())}


def picture(seed=0, height=60, width=90):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# Preprocessing, against open_clip's own


def oracle_transform(preprocessing):
    transform = __import__("open_clip.transform", fromlist=["image_transform"]).image_transform
    names = {"size": "image_size"}
    return transform(is_train=False, **{names.get(key, key): value for key, value in vars(preprocessing).items()})


SIDES, FILTERS, SHAPES = st.integers(1, 300), st.sampled_from(["bicubic", "bilinear"]), ["shortest", "squash"]


@given(SIDES, SIDES, FILTERS, st.sampled_from(SHAPES))
def test_preprocessing_is_open_clips(height, width, interpolation, resize_mode):
    import_open_clip()
    if max(height, width) > 60 * min(height, width):  # there the oracle makes a picture of gigabytes
        height = width
    preprocessing = Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), interpolation, resize_mode)
    pixels = picture(height * 1000 + width, height, width)
    expected = oracle_transform(preprocessing)(Image.fromarray(pixels))
    got = preprocessing.normalise(torch.from_numpy(preprocessing.crop(pixels)[None].copy()))[0]
    assert got.shape == expected.shape == (3, 32, 32)
    assert (got - expected).abs().max() < 1e-5


def test_extreme_shapes_need_no_gigabytes(encoder):
    for shape in ((1, 1), (1, 5000), (5000, 1)):
        pixels = picture(1, *shape)
        middle = pixels[(pixels.shape[0] - 1) // 2, (pixels.shape[1] - 1) // 2]
        crop = encoder.preprocessing.crop(pixels)
        assert crop.shape == (SIZE, SIZE, 3)
        if shape == (1, 1):
            assert (crop == middle).all()


def test_reduced_decoding_changes_little(tmp_path):
    rows, columns = np.mgrid[0:1200, 0:1600]
    pixels = np.stack([rows / 5, columns / 7, 128 + 100 * np.sin(rows / 90 + columns / 70)], 2).astype(np.uint8)
    path = tmp_path / "large.jpg"
    Image.fromarray(pixels).save(path, quality=95)
    preprocessing = Preprocessing.of(PREPROCESSING, "test")
    whole, reduced = (preprocessing.crop(path, reduced=reduced).astype(int) for reduced in (False, True))
    assert 0 < np.abs(whole - reduced).max() <= 4


@pytest.mark.parametrize(
    "change",
    [
        {"size": [48, 64]},
        {"size": 0},
        {"size": None},
        {"mean": [0.5, 0.5]},
        {"std": [0.2, 0.0, 0.2]},
        {"interpolation": "random"},
        {"resize_mode": "longest"},
    ],
)
def test_preprocessing_that_makes_no_sense(change):
    with pytest.raises(CorruptFileError, match="here"):
        Preprocessing.of(PREPROCESSING | change, "here")
    with pytest.raises(CorruptFileError, match="here"):
        Preprocessing.of({key: value for key, value in PREPROCESSING.items() if key not in change}, "here")


# The encoder, against the model called by hand


def test_images_are_embedded_as_the_model_embeds_them(encoder, model_folder):
    images = [picture(seed) for seed in range(5)]
    open_clip = import_open_clip()
    model = open_clip.CLIP(**MODEL).eval()
    weights = files.read_tensors(model_folder / "open_clip_model.safetensors")
    model.load_state_dict({name: torch.from_numpy(x).float() for name, x in weights.items()})
    transform = oracle_transform(encoder.preprocessing)
    with torch.no_grad():
        expected = model.encode_image(torch.stack([transform(Image.fromarray(x)) for x in images]), normalize=True)
    vectors = encoder.embed_images(images)
    assert vectors.dtype == np.float32 and vectors.shape == (5, encoder.dim) == (5, DIM)
    np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-4)  # a grey level here and there
    by_hand = encoder.model.encode_image(torch.stack([encoder.preprocess(x) for x in images]), normalize=True)
    np.testing.assert_allclose(vectors, by_hand.numpy(), atol=1e-6)
    assert np.ptp(vectors, axis=0).max() > 1e-3, "the test model gives the same vector for all"


def test_texts_are_embedded_as_the_model_embeds_them(encoder):
    texts = ["a photo of Peru", "a photo of Japan", "something else"]
    from geolib.openclip.tokenizer import WordTokenizer

    tokens = WordTokenizer(VOCABULARY, 8)(texts)
    vectors = encoder.embed_text(texts)
    np.testing.assert_allclose(vectors, encoder.model.encode_text(tokens, normalize=True).numpy(), atol=1e-6)
    assert vectors.dtype == np.float32 and vectors.shape == (3, DIM)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_vectors_do_not_depend_on_the_company(encoder):
    images = [picture(seed) for seed in range(9)]
    together = encoder.embed_images(images)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(encoder.embed_images(images, batch_size=2), together, atol=1e-6)
    alone = [encoder.embed_images([image]) for image in images]
    np.testing.assert_allclose(np.concatenate(alone), together, atol=1e-6)
    np.testing.assert_array_equal(encoder.embed_images([images[3]]), alone[3])


def test_coordinates_in_exif_change_no_bit(encoder, tmp_path):
    exif = Image.Exif()
    exif[0x8825] = {1: "S", 2: (12.0, 2.0, 0.0), 3: "W", 4: (77.0, 1.0, 0.0)}
    Image.fromarray(picture()).save(tmp_path / "bare.jpg")
    Image.fromarray(picture()).save(tmp_path / "tagged.jpg", exif=exif)
    bare, tagged = (encoder.embed_images([tmp_path / name]) for name in ("bare.jpg", "tagged.jpg"))
    np.testing.assert_array_equal(bare, tagged)


@pytest.mark.parametrize("method", ["embed_images", "embed_text"])
def test_lists_only_and_not_empty(encoder, method):
    with pytest.raises(ValueError, match="at least one"):
        getattr(encoder, method)([])
    with pytest.raises(ValueError, match="put it in a list"):
        getattr(encoder, method)("one")


def test_an_unreadable_image_is_named(encoder, photos):
    with pytest.raises(ImageError, match=r"07\.jpg is not a JPEG"):
        encoder.embed_images(photos)


def test_damaged_weights_are_noticed(model_folder, tmp_path):
    shutil.copytree(model_folder, tmp_path, dirs_exist_ok=True)
    weights = files.read_tensors(tmp_path / "open_clip_model.safetensors")
    weights["visual.head.proj.weight"][:] = np.nan
    files.write_tensors(tmp_path / "open_clip_model.safetensors", weights)
    broken = Encoder.load(tmp_path, device="cpu")
    with pytest.raises(CorruptFileError, match="not finite"):
        broken.embed_images([picture()])
    assert broken.fingerprint != Encoder.load(model_folder, device="cpu").fingerprint


# Loading


def global_state():
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002


@pytest.fixture
def tiny(monkeypatch):
    """A small model among those that open_clip knows by name, with weights on the hub and others that are a pickle."""
    open_clip = import_open_clip()
    tags = {"openai": {"hf_hub": "team/tiny/", "mean": (0.1, 0.2, 0.3), "std": (1, 1, 1), "quick_gelu": True}}
    tags |= {"named": {"hf_hub": "team/tiny/weights.bin"}, "old": {"url": "https://example.org/weights.pt"}}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", MODEL)
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", tags)
    return "tiny"


def test_random_weights_are_always_the_same_and_announced(tiny):
    before = global_state()
    with pytest.warns(UserWarning, match="tiny has random weights"):
        first = Encoder.load(tiny, None, device="cpu")
    assert global_state() == before
    with torch.random.fork_rng(devices=[]), pytest.warns(UserWarning, match="random weights"):
        torch.manual_seed(99)
        second = Encoder.load(tiny, None, device="cpu")
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.embed_images([picture()]), second.embed_images([picture()]))
    assert (first.name, first.pretrained, first.dim, first.image_size) == ("tiny", None, DIM, SIZE)


def test_nothing_global_moves(model_folder, photos, tmp_path):
    before = global_state()
    encoder = Encoder.load(model_folder, device="cpu")
    encoder.embed_images([picture()])
    embed_photos(encoder, photos, IDS, tmp_path, workers=0)
    embed_photos(encoder, photos, IDS, tmp_path / "with workers", workers=1)
    assert global_state() == before


def test_the_fingerprint_is_of_weights_and_preprocessing(encoder, model_folder, tmp_path):
    assert Encoder.load(str(model_folder), device="cpu").fingerprint == encoder.fingerprint
    moved = shutil.copytree(model_folder, tmp_path / "moved")
    assert Encoder.load(moved, device="cpu").fingerprint == encoder.fingerprint
    other = make_model_folder(tmp_path / "weights", seed=1)
    squash = make_model_folder(tmp_path / "squash", preprocessing=PREPROCESSING | {"resize_mode": "squash"})
    gelu = make_model_folder(tmp_path / "gelu", model=MODEL | {"quick_gelu": True})
    found = {Encoder.load(folder, device="cpu").fingerprint for folder in (other, squash, gelu)}
    assert len(found | {encoder.fingerprint}) == 4


def test_postcards_come_from_the_data_folder(model_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match="encoder is missing"):
        Encoder.load("postcards")
    shutil.copytree(model_folder, tmp_path / "postcards" / "encoder")
    loaded = Encoder.load("postcards", device="cpu")
    assert (loaded.name, loaded.pretrained) == ("postcards", None)


CONFIG, WEIGHTS, WORDS = "open_clip_config.json", "open_clip_model.safetensors", "vocab.json"


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
    ("spoil", "error", "message"),
    [
        (lambda f: (f / CONFIG).unlink(), MissingDataError, "open_clip_config.json does not exist"),
        (lambda f: (f / WORDS).unlink(), MissingDataError, "vocab.json does not exist"),
        (lambda f: (f / WEIGHTS).unlink(), MissingDataError, "safetensors does not exist"),
        (lambda f: (f / WORDS).write_text("{"), CorruptFileError, "vocab.json is not JSON"),
        (lambda f: (f / WORDS).write_text("[]"), CorruptFileError, "fits together"),
        (lambda f: (f / CONFIG).write_text("{}"), CorruptFileError, "model_cfg"),
        (lambda f: os.truncate(f / WEIGHTS, 5000), CorruptFileError, "not a whole safetensors"),
        (edit(CONFIG, "model_cfg", embed_dim=16), CorruptFileError, "size mismatch"),
        (edit(CONFIG, "model_cfg", extra=1), CorruptFileError, "extra"),
        (edit(CONFIG, "model_cfg", "vision_cfg", timm_model_name="hf-hub:a/b"), CorruptFileError, "on a hub"),
        (edit(CONFIG, "model_cfg", "vision_cfg", timm_model_name="nonsense"), CorruptFileError, "nonsense"),
        (edit(CONFIG, "model_cfg", "text_cfg", hf_model_name="a/b"), CorruptFileError, "on a hub"),
        (edit(CONFIG, "preprocess_cfg", mean=[1]), CorruptFileError, "three means"),
        (edit(WORDS, vocabulary=["other"]), CorruptFileError, "another text tower"),
    ],
)
def test_a_spoilt_model_folder_is_refused(model_folder, tmp_path, spoil, error, message):
    folder = shutil.copytree(model_folder, tmp_path / "spoilt")
    spoil(folder)
    with pytest.raises(error, match=message) as caught:
        Encoder.load(folder, device="cpu")
    assert str(folder) in str(caught.value)


def test_names_that_mean_nothing(tiny):
    with pytest.raises(ValueError, match=r"ViT-B-23.*such as .*ViT-B-32"):
        Encoder.load("ViT-B-23")
    with pytest.raises(ValueError, match="tiny has no weights called 'opnai': expected one of openai, named, old, or"):
        Encoder.load(tiny, "opnai")
    for schema in ("hf-hub:org/model", "local-dir:/tmp", "no/such/folder"):
        with pytest.raises(ValueError, match="expected 'postcards'"):
            Encoder.load(schema)


# Downloads, through the real huggingface_hub from a local server that speaks the hub's protocol


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with weights of seed 5 as safetensors, and caches of this test's own."""
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was read"))
    with serving(monkeypatch, tmp_path / "hub") as server:
        weights = (make_model_folder(tmp_path / "made", seed=5) / "open_clip_model.safetensors").read_bytes()
        server.first = server.commit("team/tiny", open_clip_model__safetensors=weights)
        yield server


def recorded(tmp_path):
    return files.read_json(tmp_path / "cache" / "encoders" / "tiny-openai.json")


def blobs(tmp_path):
    return [path for path in (tmp_path / "hub").rglob("*") if path.is_file() and path.parent.name == "blobs"]


def test_pretrained_weights_come_as_safetensors_by_name(hub, tiny, tmp_path, capsys):
    encoder = Encoder.load(tiny, "openai", device="cpu")  # without a warning, which would be an error here
    content = hub.repositories["team/tiny"][0]["open_clip_model.safetensors"]
    assert capsys.readouterr().err.startswith(
        f"fetching tiny/openai: {len(content) / 1e9:.2f} GB, team/tiny at {hub.first[:12]}\n"
    )
    assert (encoder.name, encoder.pretrained, encoder.quick_gelu) == ("tiny", "openai", True)
    assert encoder.preprocessing == Preprocessing(SIZE, (0.1, 0.2, 0.3), (1, 1, 1))
    weights = files.read_tensors(tmp_path / "made" / "open_clip_model.safetensors")
    for name, tensor in encoder.model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), weights[name].astype(np.float32), err_msg=name)
    where = {"repository": "team/tiny", "revision": hub.first, "file": "open_clip_model.safetensors"}
    where |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert encoder.weights == recorded(tmp_path) == encoder.describe()["weights"] == where


def test_the_store_says_which_file_the_weights_were(hub, tiny, photos, tmp_path):
    encoder = Encoder.load(tiny, "openai", device="cpu")
    embed_photos(encoder, photos, IDS, tmp_path / "store", workers=0)
    assert EmbeddingStore.open(tmp_path / "store").meta["encoder"]["weights"] == recorded(tmp_path)


def test_once_here_no_request_is_sent(hub, tiny, tmp_path):
    first = Encoder.load(tiny, "openai", device="cpu")
    assert {method for method, _, _ in hub.requests} == {"HEAD", "GET"}
    hub.requests.clear()
    again = Encoder.load(tiny, "openai", device="cpu")
    assert (again.fingerprint, again.weights) == (first.fingerprint, first.weights)
    assert Encoder.load(tiny, "openai", device="cpu", revision=hub.first).weights == first.weights
    assert hub.requests == []


def test_what_other_programs_fetched_serves_too(hub, tiny, tmp_path):
    huggingface_hub.hf_hub_download("team/tiny", "open_clip_model.safetensors")
    hub.requests.clear()
    encoder = Encoder.load(tiny, "openai", device="cpu")
    assert hub.requests == [] and encoder.weights == recorded(tmp_path)
    assert encoder.weights["revision"] == hub.first


def test_the_revision_of_the_first_fetch_is_kept_to(hub, tiny, tmp_path):
    first = Encoder.load(tiny, "openai", device="cpu")
    newer = (make_model_folder(tmp_path / "newer", seed=6) / "open_clip_model.safetensors").read_bytes()
    second = hub.commit("team/tiny", open_clip_model__safetensors=newer)
    assert Encoder.load(tiny, "openai", device="cpu").fingerprint == first.fingerprint
    shutil.rmtree(tmp_path / "hub")
    assert Encoder.load(tiny, "openai", device="cpu").fingerprint == first.fingerprint, "fetched again, as recorded"
    other = Encoder.load(tiny, "openai", device="cpu", revision=second)
    assert other.weights["revision"] == second and other.fingerprint != first.fingerprint
    assert Encoder.load(tiny, "openai", device="cpu").fingerprint == first.fingerprint, "asking for one pins nothing"
    with pytest.raises(MissingDataError, match=r"at 0{40} cannot be fetched: HTTP 404: there is no such revision"):
        Encoder.load(tiny, "openai", device="cpu", revision="0" * 40)


def test_the_command_line_fetches_a_revision_and_names_it(hub, tiny, tmp_path, capsys):
    newer = (make_model_folder(tmp_path / "newer", seed=6) / "open_clip_model.safetensors").read_bytes()
    hub.commit("team/tiny", open_clip_model__safetensors=newer)
    assert cli.main(["fetch", f"{tiny}/openai", "--revision", hub.first]) == 0
    assert f"\n  revision {hub.first}\n" in capsys.readouterr().out
    assert cli.main(["fetch", f"{tiny}/openai", "--revision", "main"]) == 2
    assert "revision='main': expected a commit" in capsys.readouterr().err


def test_a_download_that_breaks_off_is_resumed(hub, tiny, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # what is written at once
    hub.faults["cdn"] = "cut"
    Encoder.load(tiny, "openai", device="cpu")
    size = len(hub.repositories["team/tiny"][0]["open_clip_model.safetensors"])
    first, second = (asked for _, path, asked in hub.requests if path.startswith("/cdn/"))
    assert first is None and size // 2 - 1000 <= int(re.fullmatch(r"bytes=(\d+)-", second)[1]) <= size // 2


@pytest.mark.parametrize(("fault", "error"), [("short", MissingDataError), ("wrong", CorruptFileError)])
def test_a_body_that_is_not_the_file_leaves_nothing(hub, tiny, tmp_path, fault, error):
    hub.faults["cdn"] = fault
    with pytest.raises(error, match=r"should be of size|is deleted: load again to fetch it"):
        Encoder.load(tiny, "openai", device="cpu")
    assert blobs(tmp_path) == []
    assert not (tmp_path / "cache").exists()
    hub.faults.clear()
    assert Encoder.load(tiny, "openai", device="cpu").dim == DIM


@pytest.mark.parametrize("where", ["resolve", "cdn"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_asked_again_when_it_says(hub, tiny, where, status):
    hub.faults[where] = [(status, 7), (status, 40), (status, None)]
    assert Encoder.load(tiny, "openai", device="cpu").dim == DIM
    path = "/cdn/" if where == "cdn" else "/resolve/"
    assert sum(asked.startswith(path) or path in asked for _, asked, _ in hub.requests) >= 4
    waited = [nap for nap in hub.naps if nap >= 7]
    assert len(waited) == 2 and 7 <= waited[0] <= 8 and 40 <= waited[1] <= 41, "the hub's client adds a second"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_hub_that_stays_busy_is_given_up(hub, tiny, status):
    hub.faults["resolve"] = status
    with pytest.raises(MissingDataError, match=rf"in 6 attempts \(.*{status}.*run the same command again later"):
        Encoder.load(tiny, "openai", device="cpu")
    assert len(hub.requests) == 6 and hub.naps == [1, 2, 4, 8, 16]


@pytest.mark.parametrize("where", ["resolve", "cdn"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_asks_for_a_day_is_left_alone(hub, tiny, where, status):
    hub.faults[where] = [(status, 100_000)]
    with pytest.raises(MissingDataError, match=r"a long wait \(Retry-After: 100000\)"):
        Encoder.load(tiny, "openai", device="cpu")
    assert hub.naps == []
    assert Encoder.load(tiny, "openai", device="cpu").dim == DIM


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
        Encoder.load(tiny, "openai", device="cpu")
    assert hub.naps == [] and "later" not in str(caught.value)
    assert sum(f"/{where}/" in path for _, path, _ in hub.requests) == 1
    assert blobs(tmp_path) == []


def test_a_damaged_cache_is_noticed_and_mended(hub, tiny, tmp_path):
    fingerprint = Encoder.load(tiny, "openai", device="cpu").fingerprint
    (blob,) = blobs(tmp_path)
    flip_last_byte(blob)
    with pytest.raises(CorruptFileError, match=r"was damaged .* is deleted: load again to fetch it"):
        Encoder.load(tiny, "openai", device="cpu")
    assert Encoder.load(tiny, "openai", device="cpu").fingerprint == fingerprint


def test_a_hub_that_changes_a_commit_is_not_believed(hub, tiny, tmp_path):
    Encoder.load(tiny, "openai", device="cpu")
    shutil.rmtree(tmp_path / "hub")
    other = (make_model_folder(tmp_path / "other", seed=7) / "open_clip_model.safetensors").read_bytes()
    hub.repositories["team/tiny"][0]["open_clip_model.safetensors"] = other
    with pytest.raises(CorruptFileError, match=r"for what was .* when it was fetched first"):
        Encoder.load(tiny, "openai", device="cpu")


@pytest.mark.parametrize("content", [b"\x40\0\0\0\0\0\0\0{", b"\x02\0\0\0\0\0\0\0{}", b"PK\3\4"])
def test_weights_that_are_none_are_refused(hub, tiny, content):
    hub.commit("team/tiny", open_clip_model__safetensors=content)
    with pytest.raises(CorruptFileError, match="delete it and load again"):
        Encoder.load(tiny, "openai", device="cpu")


def test_without_network_the_error_says_what_to_do(monkeypatch, tmp_path):
    # Through the real huggingface_hub, which the tests' guard keeps off the network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingDataError) as caught:
        Encoder.load("ViT-L-14", "openai", device="cpu")
    message = str(caught.value)
    assert (
        "`python -m geolib fetch encoder ViT-L-14/openai` fetches about 1.7 GB from "
        "timm/vit_large_patch14_clip_224.openai" in message
    )


# Pickles


@pytest.fixture
def pickled(hub, tmp_path):
    """A repository that holds a pickle only."""
    weights = files.read_tensors(tmp_path / "made" / "open_clip_model.safetensors")
    torch.save({name: torch.from_numpy(x) for name, x in weights.items()}, tmp_path / "weights.bin")
    hub.repositories["team/tiny"] = []
    hub.commit("team/tiny", weights__bin=(tmp_path / "weights.bin").read_bytes())
    return hub


def test_a_pickle_is_not_loaded_unless_allowed_by_hand(pickled, tiny):
    with pytest.raises(ValueError, match=r"as a pickle only.*may run programs.*`python -m geolib fetch .* --allow-p"):
        Encoder.load(tiny, "named", device="cpu")
    assert [path for _, path, _ in pickled.requests if path.endswith(".bin") or path.startswith("/cdn/")] == []
    with pytest.raises(ValueError, match="not published on the Hugging Face hub"):
        Encoder.load(tiny, "old", device="cpu", allow_pickle=True)


def test_an_allowed_pickle_is_read_once_and_kept_as_safetensors(pickled, tiny, monkeypatch, tmp_path):
    loads, real = [], TORCH_LOAD
    monkeypatch.setattr(torch, "load", lambda *given, **options: loads.append(options) or real(*given, **options))
    first = Encoder.load(tiny, "named", device="cpu", allow_pickle=True)
    assert [options["weights_only"] for options in loads] == [True]
    assert first.weights["sha256"] == files.sha256_file(tmp_path / "weights.bin")
    assert first.weights["file"] == "weights.bin"
    pickled.requests.clear()
    again = Encoder.load(tiny, "named", device="cpu")  # no consent is needed for safetensors
    assert (again.fingerprint, again.weights) == (first.fingerprint, first.weights)
    assert len(loads) == 1 and pickled.requests == []
    flip_last_byte(tmp_path / "cache" / "encoders" / "tiny-named.safetensors")
    with pytest.raises(CorruptFileError, match="changed since it was written"):
        Encoder.load(tiny, "named", device="cpu")


def test_a_pickle_that_runs_something_is_stopped(pickled, tiny, monkeypatch, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "it ran"),)

    torch.save({"weights": Evil()}, tmp_path / "evil.bin")
    pickled.commit("team/tiny", weights__bin=(tmp_path / "evil.bin").read_bytes())
    monkeypatch.setattr(torch, "load", TORCH_LOAD)
    with pytest.raises(CorruptFileError, match="damaged"):
        Encoder.load(tiny, "named", device="cpu", allow_pickle=True)
    assert not (tmp_path / "it ran").exists()
    assert not (tmp_path / "cache").exists()


def test_allowing_pickles_does_not_make_one_out_of_an_error(pickled, tiny):
    pickled.repositories["team/tiny"][0]["weights.safetensors"] = b"x"
    pickled.faults["resolve"] = 503
    with pytest.raises(MissingDataError, match="could not be fetched"):
        Encoder.load(tiny, "named", device="cpu", allow_pickle=True)
    assert [path for _, path, _ in pickled.requests if path.endswith(".bin")] == []


# The article's encoder


def test_preprocessing_of_the_real_encoder_is_open_clips(monkeypatch):
    open_clip = import_open_clip()
    tag = open_clip.get_pretrained_cfg("ViT-L-14", "openai")
    config = {"size": 224} | {key: tag[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    preprocessing = Preprocessing.of(config, "ViT-L-14")
    for height, width in [(480, 640), (683, 1024), (1024, 576), (1600, 1200), (224, 224), (60, 90), (900, 230)]:
        pixels = picture(height, height, width)
        got = preprocessing.normalise(torch.from_numpy(preprocessing.crop(pixels)[None].copy()))[0]
        assert (got - oracle_transform(preprocessing)(Image.fromarray(pixels))).abs().max() < 1e-5


@pytest.mark.slow
def test_vit_l_14_runs_as_open_clip_runs_it(hub, monkeypatch, tmp_path):
    """Random weights in half precision, 0.9 GB, stand in for the download; all else is the real thing."""
    open_clip = import_open_clip()
    repository, file = "timm/vit_large_patch14_clip_224.openai", "open_clip_model.safetensors"
    with torch.device("meta"):
        shapes = open_clip.create_model("ViT-L-14", device="meta").state_dict()
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, 1_000_003).astype(np.float16)  # repeated: drawing 428 million numbers takes a minute
    tensors = {}
    for name, tensor in shapes.items():
        drawn = np.resize(noise, tensor.shape)
        tensors[name] = drawn + np.float16(1) if "ln_" in name and name.endswith("weight") else drawn
    files.write_tensors(tmp_path / file, tensors)
    hub.commit_files(repository, {file: (tmp_path / file).read_bytes()})
    encoder = Encoder.load("ViT-L-14", "openai", device="cpu")
    assert (encoder.dim, encoder.image_size, encoder.quick_gelu) == (768, 224, True)
    assert encoder.weights["sha256"] == files.sha256_file(tmp_path / file)
    images = [picture(1, 300, 400), picture(2, 500, 333)]
    vectors = encoder.embed_images(images)
    assert vectors.shape == (2, 768) and np.abs(vectors[0] - vectors[1]).max() > 1e-4
    inputs = torch.stack([encoder.preprocess(x) for x in images])
    del encoder
    model, _, transform = open_clip.create_model_and_transforms(
        "ViT-L-14", pretrained=str(tmp_path / file), force_quick_gelu=True
    )
    theirs = torch.stack([transform(Image.fromarray(x)) for x in images])
    assert (inputs - theirs).abs().max() < 1e-5
    with torch.no_grad():
        expected = model.eval().encode_image(theirs, normalize=True).numpy()
        plain = open_clip.create_model("ViT-L-14", pretrained=str(tmp_path / file)).eval()
        other = plain.encode_image(theirs, normalize=True).numpy()
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert np.abs(vectors - other).max() > 1e-4, "without quick_gelu it is another model"
    shutil.rmtree(tmp_path / "hub")
    (tmp_path / file).unlink()


# Device and precision


@pytest.mark.parametrize(
    ("asked", "cuda", "bf16", "chosen"),
    [
        (("auto", "auto"), False, False, ("cpu", "fp32", "cpu: no GPU that torch can use; fp32: ")),
        (("auto", "auto"), True, True, ("cuda", "bf16", "cuda: torch found a GPU; bf16: the GPU supports it")),
        (
            ("auto", "auto"),
            True,
            False,
            ("cuda", "fp32", "cuda: torch found a GPU; fp32: the GPU does not"),
        ),
        (("cuda", "fp32"), True, True, ("cuda", "fp32", "cuda: as asked; fp32: as asked")),
        (("cpu", "auto"), True, True, ("cpu", "fp32", "cpu: as asked; fp32: ")),
        (("cpu", "bf16"), False, False, ("cpu", "bf16", "cpu: as asked; bf16: as asked")),
        (("cuda", "auto"), False, False, "device='cuda': torch .* finds none here"),
        (("cuda", "bf16"), True, False, "does not support it"),
        (("tpu", "auto"), False, False, "expected auto, cpu, cuda or mps"),
        (("cpu", "fp16"), False, False, "fp32 or bf16"),
    ],
)
def test_device_and_precision_come_with_their_reason(monkeypatch, asked, cuda, bf16, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    if isinstance(chosen, str):
        with pytest.raises(ValueError, match=chosen):
            encoder_module._choose(*asked)
        with pytest.raises(ValueError, match=chosen):
            Encoder.load("no such model", device=asked[0], precision=asked[1])  # the device is checked first
    else:
        device, precision, reason = encoder_module._choose(*asked)
        assert (device, precision) == chosen[:2] and reason.startswith(chosen[2])


def test_bf16_is_close_to_fp32(encoder, model_folder):
    half = Encoder.load(model_folder, device="cpu", precision="bf16")
    images = [picture(seed) for seed in range(4)]
    vectors = half.embed_images(images)
    assert half.precision == "bf16" and vectors.dtype == np.float32
    assert (vectors * encoder.embed_images(images)).sum(1).min() > 0.99
    assert np.abs(vectors - encoder.embed_images(images)).max() > 0, "autocast was not on"


# embed_photos and the store


def test_photos_become_vectors_and_failures_in_order(encoder, photos, tmp_path):
    store = embed_photos(encoder, photos, IDS, tmp_path / "store", batch_size=4, shard_size=16, workers=0)
    assert store.ids == [IDS[i] for i in GOOD]
    assert [name for name, _ in store.failures] == [IDS[i] for i in BAD]
    assert "is not a JPEG" in store.failures[0][1] and "cut short" in store.failures[1][1]
    assert sorted(store.ids + [name for name, _ in store.failures]) == sorted(IDS)
    assert store.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(store.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(store.vectors, encoder.embed_images([photos[i] for i in GOOD]), atol=5e-4)
    assert sorted(hashes(tmp_path / "store")) == ["meta.json", *(f"shard-0000{k}.safetensors" for k in range(3))]
    meta = store.meta
    assert (meta["photos"], meta["vectors"], meta["failures"], meta["dtype"]) == (40, 38, 2, "float16")
    assert meta["encoder"]["fingerprint"] == encoder.fingerprint
    assert [entry["sha256"] for entry in meta["shards"]] == list(hashes(tmp_path / "store").values())[1:]


def test_float32_keeps_every_bit_of_the_forward_pass(encoder, photos, tmp_path):
    good = [photos[i] for i in GOOD]
    ids = [IDS[i] for i in GOOD]
    store = embed_photos(encoder, good, ids, tmp_path, batch_size=8, dtype="float32", workers=0)
    np.testing.assert_array_equal(store.vectors, encoder.embed_images(good, batch_size=8))
    assert store.failures == []


def test_workers_change_no_byte(encoder, photos, tmp_path):
    for workers in (0, 1, 2):
        embed_photos(encoder, photos, IDS, tmp_path / str(workers), batch_size=5, shard_size=17, workers=workers)
    assert hashes(tmp_path / "0") == hashes(tmp_path / "1") == hashes(tmp_path / "2")
    auto = embed_photos(encoder, photos, IDS, tmp_path / "auto", batch_size=5, shard_size=17, progress=True)
    assert hashes(tmp_path / "auto") == hashes(tmp_path / "0") and len(auto.ids) == 38


def test_sources_may_be_made_on_demand(encoder, tmp_path):
    class Drawn:
        def __len__(self):
            return 6

        def __getitem__(self, position):
            return picture(position)

    store = embed_photos(encoder, Drawn(), IDS[:6], tmp_path, workers=1)
    np.testing.assert_allclose(store.vectors, encoder.embed_images([picture(i) for i in range(6)]), atol=5e-4)


CHILD = """
    import sys, time
    from geolib import embed
    model, photos, out, workers = sys.argv[1:]
    if __name__ == "__main__":
        from pathlib import Path
        encoder = embed.Encoder.load(model, device="cpu")
        forward = encoder.forward
        def slow(*arguments):
            time.sleep(0.15)
            return forward(*arguments)
        encoder.forward = slow
        paths = sorted(Path(photos).iterdir())
        ids = [f"photo/{n}" for n in range(len(paths))]
        embed.embed_photos(encoder, paths, ids, out, batch_size=2, shard_size=4, workers=int(workers))
"""


def start_child(tmp_path, model_folder, photos, out, workers):
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(CHILD))
    root = str(Path(embed.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(script), str(model_folder), str(photos[0].parent), str(out), str(workers)]
    environment["OMP_NUM_THREADS"] = "1"
    return subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_to_the_same_bytes(encoder, model_folder, photos, tmp_path, workers):
    options = {"batch_size": 2, "shard_size": 4, "workers": 0}
    embed_photos(encoder, photos, IDS, tmp_path / "whole", **options)
    out = tmp_path / "killed"
    child = start_child(tmp_path, model_folder, photos, out, workers)
    deadline = time.monotonic() + 90
    while len(list(out.glob("shard-*"))) < 3 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    _, errors = child.communicate()
    assert child.returncode == -signal.SIGKILL, errors.decode()
    kept = sorted(out.glob("shard-*"))
    assert 3 <= len(kept) < 10, "the kill came too late to test anything"
    times = [path.stat().st_mtime_ns for path in kept]
    with pytest.raises(MissingDataError, match="unfinished"):
        EmbeddingStore.open(out)

    resumed = embed_photos(encoder, photos, IDS, out, **options)
    assert [path.stat().st_mtime_ns for path in kept] == times, "finished shards were made again"
    leftovers = [path for path in out.iterdir() if path.suffix == ".part"]
    for path in leftovers:
        path.unlink()
    assert hashes(out) == hashes(tmp_path / "whole")
    np.testing.assert_array_equal(resumed.vectors, EmbeddingStore.open(tmp_path / "whole").vectors)


def test_resuming_remakes_what_is_missing_or_empty(encoder, photos, tmp_path):
    options = {"batch_size": 4, "shard_size": 8, "workers": 0}
    embed_photos(encoder, photos, IDS, tmp_path, **options)
    before = hashes(tmp_path)
    meta = files.read_json(tmp_path / "meta.json")
    for name in ("complete", "vectors", "failures", "shards"):
        meta.pop(name)
    files.write_json(tmp_path / "meta.json", meta | {"complete": False})
    (tmp_path / "shard-00001.safetensors").unlink()
    os.truncate(tmp_path / "shard-00003.safetensors", 0)  # what a power cut can leave
    embed_photos(encoder, photos, IDS, tmp_path, **options)
    assert hashes(tmp_path) == before
    (tmp_path / "shard-00002.safetensors").unlink()  # the mend that a tampered shard is told
    embed_photos(encoder, photos, IDS, tmp_path, **options)
    assert hashes(tmp_path) == before


def test_a_finished_store_returns_at_once(encoder, photos, tmp_path, monkeypatch):
    first = embed_photos(encoder, photos, IDS, tmp_path, workers=0)
    monkeypatch.setattr(Encoder, "forward", lambda *_: pytest.fail("it embedded again"))
    again = embed_photos(encoder, photos, IDS, tmp_path, shard_size=7)
    np.testing.assert_array_equal(again.vectors, first.vectors)


def test_a_store_of_something_else_is_refused(encoder, photos, tmp_path):
    store = tmp_path / "store"
    embed_photos(encoder, photos, IDS, store, workers=0)
    before = hashes(store)
    weights = Encoder.load(make_model_folder(tmp_path / "weights", seed=1), device="cpu")
    squash = PREPROCESSING | {"resize_mode": "squash"}
    shape = Encoder.load(make_model_folder(tmp_path / "shape", preprocessing=squash), device="cpu")
    others = [
        ((weights, photos, IDS), {}, "fingerprint"),
        ((shape, photos, IDS), {}, "preprocessing"),
        ((encoder, photos[1:], IDS[1:]), {}, "photos 40 .* this run has 39"),
        ((encoder, photos, IDS[::-1]), {}, "photos_sha256"),
        ((encoder, photos, IDS), {"dtype": "float32"}, "dtype float16 .* float32"),
        ((encoder, photos, IDS), {"reduced": True}, "decode full .* reduced"),
    ]
    for arguments, options, message in others:
        with pytest.raises(MismatchError, match=message) as caught:
            embed_photos(*arguments, store, workers=0, **options)
        for part in (str(store), encoder.name, arguments[0].name, "choose another folder"):
            assert str(part) in str(caught.value)
    assert hashes(store) == before


def test_shards_of_unknown_origin_are_not_built_upon(encoder, photos, tmp_path):
    embed_photos(encoder, photos, IDS, tmp_path, shard_size=8, workers=0)
    (tmp_path / "meta.json").unlink()
    with pytest.raises(MismatchError, match="parts of one"):
        embed_photos(encoder, photos, IDS, tmp_path, shard_size=8, workers=0)


def test_an_unfinished_store_of_another_cut_is_refused(encoder, photos, tmp_path):
    embed_photos(encoder, photos, IDS, tmp_path, shard_size=8, workers=0)
    (tmp_path / "shard-00000.safetensors").unlink()
    with pytest.raises(MismatchError, match="shard_size 8"):
        embed_photos(encoder, photos, IDS, tmp_path, shard_size=9, workers=0)


def test_only_when_all_photos_fail_there_is_an_error(encoder, photos, tmp_path):
    (tmp_path / "mine.txt").touch()
    bad = [photos[i] for i in BAD]
    for _ in range(2):
        with pytest.raises(ImageError, match=r"none of the 2 photos could be read; b: .*30\.jpg"):
            embed_photos(encoder, bad, ["a", "b"], tmp_path, shard_size=1, workers=0)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    store = embed_photos(encoder, [photos[0], *bad], ["x", "a", "b"], tmp_path, shard_size=1, workers=0)
    assert store.ids == ["x"] and [name for name, _ in store.failures] == ["a", "b"]


@pytest.mark.parametrize(
    ("ids", "options", "message"),
    [
        ([], {}, "1 paths and 0 ids"),
        (["a", "b"], {}, "1 paths and 2 ids"),
        ([3], {}, "id 3 .*strings"),
        (["a"], {"batch_size": 0}, "batch_size=0"),
        (["a"], {"shard_size": 0}, "shard_size=0"),
        (["a"], {"dtype": "int8"}, "int8"),
    ],
)
def test_arguments_that_make_no_sense(encoder, photos, tmp_path, ids, options, message):
    with pytest.raises(ValueError, match=message):
        embed_photos(encoder, photos[:1], ids, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_ids_are_given_once_and_lists_are_not_empty(encoder, photos, tmp_path):
    with pytest.raises(ValueError, match="'a' \\(2 times\\)"):
        embed_photos(encoder, photos[:3], ["a", "b", "a"], tmp_path)
    with pytest.raises(ValueError, match="no photos"):
        embed_photos(encoder, [], [], tmp_path)


@pytest.fixture
def store(encoder, photos, tmp_path):
    embed_photos(encoder, photos, IDS, tmp_path / "store", shard_size=16, workers=0)
    return tmp_path / "store"


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [flip_last_byte, lambda p: os.truncate(p, 100), lambda p: p.unlink()])
def test_a_spoilt_shard_is_named(store, spoil):
    path = store / "shard-00001.safetensors"
    spoil(path)
    with pytest.raises(CorruptFileError) as caught:
        EmbeddingStore.open(store)
    assert str(path) in str(caught.value) and "embed_photos again" in str(caught.value)


def test_a_spoilt_meta_file_is_named(store, tmp_path):
    with pytest.raises(MissingDataError, match="holds no embeddings"):
        EmbeddingStore.open(tmp_path)
    whole = files.read_json(store / "meta.json")
    spoilt = ["[]", "{}", "not json", json.dumps(whole | {"format": "other/1"}), json.dumps(whole | {"vectors": 3})]
    spoilt += [json.dumps(whole | {"shards": whole["shards"][:-1]}), json.dumps(whole | {"encoder": {"dim": "x"}})]
    for content in spoilt:
        (store / "meta.json").write_text(content)
        with pytest.raises(CorruptFileError, match=r"meta\.json"):
            EmbeddingStore.open(store)


def test_subset_in_the_order_asked_for(store):
    opened = EmbeddingStore.open(store)
    some = [opened.ids[9], opened.ids[0], opened.ids[9]]
    np.testing.assert_array_equal(opened.subset(some), opened.vectors[[9, 0, 9]])
    assert opened.subset([]).shape == (0, DIM)
    with pytest.raises(ValueError, match=r"no vector for 'nobody' \(1 such ids\)"):
        opened.subset(["nobody"])
    with pytest.raises(ValueError, match=r"photo/7.*is not a JPEG"):
        opened.subset([opened.ids[0], "photo/7"])


def unit(n, dim=DIM, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_store_from_vectors(encoder, photos, tmp_path, dtype):
    ids, vectors = ["Zürich", "東京", "c"], unit(3)
    store = EmbeddingStore.write(tmp_path, ids, vectors, encoder, dtype=dtype, shard_size=2)
    assert store.ids == ids and store.failures == []
    np.testing.assert_allclose(store.vectors, vectors, atol=5e-4 if dtype == "float16" else 0)
    again = EmbeddingStore.write(tmp_path / "copy", ids, vectors, store.meta["encoder"], dtype=dtype, shard_size=2)
    np.testing.assert_array_equal(again.vectors, store.vectors)
    opened = embed_photos(encoder, photos[:3], ids, tmp_path, dtype=dtype)  # nothing left to do
    np.testing.assert_array_equal(opened.vectors, store.vectors)


def test_vectors_that_do_not_belong_in_a_store(encoder, tmp_path):
    good = unit(3)
    for vectors in (good[:2], good[:, :5], good[0]):
        with pytest.raises(ValueError, match=r"expected \(3, 32\)"):
            EmbeddingStore.write(tmp_path, list("abc"), vectors, encoder)
    for vectors in (2 * good, 0 * good, good * np.nan):
        with pytest.raises(ValueError, match="unit length"):
            EmbeddingStore.write(tmp_path, list("abc"), vectors, encoder)
    EmbeddingStore.write(tmp_path, list("abc"), good, encoder)
    with pytest.raises(MismatchError, match="already holds a store"):
        EmbeddingStore.write(tmp_path, list("abc"), good, encoder)


# torch.compile


def test_a_compiled_tower_gives_the_same_vectors(encoder, monkeypatch):
    calls = []

    def compile(function, dynamic):  # the compiler itself is torch's to test; ours is what is around it
        def compiled(pixels):
            calls.append(pixels.shape[0])
            return function(pixels)

        return compiled

    monkeypatch.setattr(torch, "compile", compile)
    tower = embed._compiled(encoder, batch_size=4)
    crops = torch.from_numpy(np.stack([encoder.preprocessing.crop(picture(seed)) for seed in range(4)]))
    for count in (1, 3, 4):
        got, expected = encoder.forward(crops[:count], tower), encoder.forward(crops[:count])
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    assert set(calls) == {4}, "another batch shape would be compiled again"


def test_a_failed_compile_falls_back_with_a_warning(encoder, monkeypatch):
    def compile(*_, **__):
        raise RuntimeError("no compiler on this machine")

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.warns(UserWarning, match="no compiler on this machine"):
        assert embed._compiled(encoder, batch_size=4) is None


# torchvision beside a torch that it was not built for


@pytest.fixture
def fresh_imports(monkeypatch):
    """open_clip and torchvision as if never imported; the real modules are put back afterwards."""
    import_open_clip()
    for name in list(sys.modules):
        if name.partition(".")[0] in ("torchvision", "open_clip"):
            monkeypatch.delitem(sys.modules, name)
    declared = []
    monkeypatch.setattr(_torchvision, "_declare_operators", lambda: declared.append(True))
    return declared


def install(folder, monkeypatch, torchvision):
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "ops.py").touch()
    (folder / "torchvision" / "__init__.py").write_text(textwrap.dedent(torchvision))
    (folder / "open_clip.py").write_text("import torchvision")
    monkeypatch.syspath_prepend(folder)


def test_an_ordinary_torchvision_is_left_alone(fresh_imports, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "")
    assert import_open_clip().__file__ == str(tmp_path / "open_clip.py")
    assert fresh_imports == []


def test_a_torchvision_without_operators_is_imported_again(fresh_imports, tmp_path, monkeypatch):
    install(
        tmp_path,
        monkeypatch,
        """
        import torchvision.ops
        from geolib.openclip import torchvision as _torchvision
        declared = _torchvision._declare_operators.__closure__[0].cell_contents
        if not declared:
            raise RuntimeError("operator torchvision::nms does not exist")
        """,
    )
    assert import_open_clip().__file__ == str(tmp_path / "open_clip.py")
    assert fresh_imports == [True]


def test_other_faults_of_torchvision_are_not_hidden(fresh_imports, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "raise RuntimeError('PyTorch and torchvision have different CUDA versions')")
    with pytest.raises(RuntimeError, match="different CUDA versions"):
        import_open_clip()
    assert fresh_imports == []


def test_declared_operators_do_no_work():
    """Where the extension cannot load, torchvision's operators exist by name and refuse to be called."""
    import_open_clip()
    if _torchvision._library is None:
        pytest.skip("torchvision's own operators are loaded here")
    boxes = torch.zeros(1, 4)
    with pytest.raises(NotImplementedError):
        torch.ops.torchvision.nms(boxes, boxes[:, 0], 0.5)


def test_importing_geolib_does_not_import_open_clip():
    code = "import geolib.embed, sys; assert not {'open_clip', 'torchvision', 'timm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(embed.__file__).parents[1])


# On a GPU

gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("precision", [pytest.param("fp32", marks=gpu), pytest.param("bf16", marks=gpu)])
def test_a_gpu_gives_the_vectors_of_the_cpu(encoder, model_folder, photos, tmp_path, precision):
    on_gpu = Encoder.load(model_folder, device="cuda", precision=precision)
    assert (on_gpu.device, on_gpu.precision) == ("cuda", precision) and on_gpu.fingerprint == encoder.fingerprint
    options = {"batch_size": 4, "shard_size": 16, "workers": 2}
    ours = embed_photos(on_gpu, photos, IDS, tmp_path / "gpu", **options)
    theirs = embed_photos(encoder, photos, IDS, tmp_path / "cpu", **options)
    assert ours.ids == theirs.ids and ours.failures == theirs.failures
    assert (ours.vectors * theirs.vectors).sum(1).min() > (0.99 if precision == "bf16" else 0.9999)
    np.testing.assert_allclose(on_gpu.embed_text(["a photo"]), encoder.embed_text(["a photo"]), atol=0.02)


@pytest.mark.parametrize("count", [pytest.param(40, marks=[*gpu, pytest.mark.slow])])
def test_compiling_on_a_gpu(model_folder, photos, tmp_path, monkeypatch, count):
    on_gpu = Encoder.load(model_folder, device="cuda")
    eager = embed_photos(on_gpu, photos[:count], IDS[:count], tmp_path / "eager", batch_size=16)
    monkeypatch.setattr(embed, "_COMPILE_FROM", 1)
    compiled = embed_photos(on_gpu, photos[:count], IDS[:count], tmp_path / "compiled", batch_size=16)
    assert (eager.vectors * compiled.vectors).sum(1).min() > 0.99
