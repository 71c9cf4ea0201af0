"""embed_photos and its store against kills, damage and mix-ups."""

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import PREPROCESSING, write_encoder, write_store

from geolib.common import files
from geolib.common.errors import CorruptFileError, ImageError, MismatchError, MissingDataError
from geolib.embed import EmbeddingStore, embed_photos
from geolib.encoder import Encoder

pytestmark = pytest.mark.usefixtures("one_thread")

DIM, N, BAD = 16, 24, [7, 20]
GOOD = [number for number in range(N) if number not in BAD]
IDS = [f"photo/{number}" for number in range(N)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of many shapes, two of them unreadable: a text and half a JPEG."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(N):
        pixels = rng.integers(0, 80, (*rng.integers(20, 150, 2), 3)) + rng.integers(0, 176, 3)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.jpg")
    whole = (folder / "20.jpg").read_bytes()
    (folder / "20.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "07.jpg").write_text("not a photo")
    return sorted(folder.iterdir())


@pytest.fixture
def store(encoder, photos, tmp_path):
    embed_photos(encoder, photos, IDS, tmp_path / "store", shard_size=10, workers=0)
    return tmp_path / "store"


def hashes(folder):
    return {path.name: files.sha256_file(path) for path in sorted(Path(folder).iterdir())}


# The job


def test_photos_become_vectors_and_failures_in_order(encoder, photos, tmp_path):
    store = embed_photos(encoder, photos, IDS, tmp_path / "store", batch_size=4, shard_size=10, workers=0)
    assert store.ids == [IDS[i] for i in GOOD]
    assert [name for name, _ in store.failures] == [IDS[i] for i in BAD]
    assert "is not a JPEG" in store.failures[0][1] and "cut short" in store.failures[1][1]
    assert store.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(store.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(store.vectors, encoder.embed_images([photos[i] for i in GOOD]), atol=5e-4)
    assert sorted(hashes(tmp_path / "store")) == ["meta.json", *(f"shard-0000{k}.safetensors" for k in range(3))]
    meta = store.meta
    assert (meta["photos"], meta["vectors"], meta["failures"], meta["dtype"]) == (N, N - 2, 2, "float16")
    assert meta["encoder"]["fingerprint"] == encoder.fingerprint
    assert [entry["sha256"] for entry in meta["shards"]] == list(hashes(tmp_path / "store").values())[1:]


def test_float32_keeps_every_bit_of_the_forward_pass(encoder, photos, tmp_path):
    good, ids = [photos[i] for i in GOOD], [IDS[i] for i in GOOD]
    store = embed_photos(encoder, good, ids, tmp_path, batch_size=8, dtype="float32", workers=0)
    np.testing.assert_array_equal(store.vectors, encoder.embed_images(good, batch_size=8))
    assert store.failures == []


def test_workers_change_no_byte(encoder, photos, tmp_path):
    for workers in (0, 2, "auto"):
        options = {"workers": workers, "progress": workers == "auto"}
        embed_photos(encoder, photos, IDS, tmp_path / str(workers), batch_size=5, shard_size=17, **options)
    assert hashes(tmp_path / "0") == hashes(tmp_path / "2") == hashes(tmp_path / "auto")


def test_images_may_be_made_on_demand(encoder, tmp_path):
    class Drawn:
        def __len__(self):
            return 6

        def __getitem__(self, position):
            return np.random.default_rng(position).integers(0, 256, (60, 90, 3), dtype=np.uint8)

    store = embed_photos(encoder, Drawn(), IDS[:6], tmp_path, workers=1)
    np.testing.assert_allclose(store.vectors, encoder.embed_images([Drawn()[i] for i in range(6)]), atol=5e-4)


def test_the_store_names_the_file_of_the_weights(encoder, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "weights", {"repository": "team/tiny", "sha256": "0" * 64})
    store = embed_photos(encoder, photos[:1], IDS[:1], tmp_path, workers=0)
    assert store.meta["encoder"]["weights"] == {"repository": "team/tiny", "sha256": "0" * 64}


def embed_slowly(encoder, photos, out, workers):
    """In a process group of its own, so that the workers can be killed with it."""
    os.setsid()
    forward = encoder.forward

    def slow(crops):
        time.sleep(0.1)
        return forward(crops)

    encoder.forward = slow
    embed_photos(encoder, photos, IDS, out, batch_size=2, shard_size=4, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_job_resumes_to_the_same_bytes(encoder, photos, tmp_path, workers):
    options = {"batch_size": 2, "shard_size": 4, "workers": 0}
    embed_photos(encoder, photos, IDS, tmp_path / "whole", **options)
    out = tmp_path / "killed"
    child = multiprocessing.get_context("fork").Process(target=embed_slowly, args=(encoder, photos, out, workers))
    child.start()
    deadline = time.monotonic() + 90
    while len(list(out.glob("shard-*"))) < 2 and child.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    kept = sorted(out.glob("shard-*"))
    assert 2 <= len(kept) < 6, "the kill came too late to test anything"
    times = [path.stat().st_mtime_ns for path in kept]
    with pytest.raises(MissingDataError, match="unfinished"):
        EmbeddingStore.open(out)

    resumed = embed_photos(encoder, photos, IDS, out, **options)
    assert [path.stat().st_mtime_ns for path in kept] == times, "finished shards were made again"
    for path in out.glob(".*.part"):
        path.unlink()
    assert hashes(out) == hashes(tmp_path / "whole")
    np.testing.assert_array_equal(resumed.vectors, EmbeddingStore.open(tmp_path / "whole").vectors)


def test_resuming_remakes_what_is_missing_or_empty(encoder, photos, tmp_path):
    options = {"batch_size": 4, "shard_size": 6, "workers": 0}
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
    (tmp_path / "shard-00002.safetensors").unlink()  # what the error about a damaged shard advises
    embed_photos(encoder, photos, IDS, tmp_path, **options)
    assert hashes(tmp_path) == before


def test_a_finished_store_is_opened_at_once(encoder, photos, store, monkeypatch):
    monkeypatch.setattr(Encoder, "forward", lambda *_: pytest.fail("it embedded again"))
    again = embed_photos(encoder, photos, IDS, store, shard_size=7)
    np.testing.assert_array_equal(again.vectors, EmbeddingStore.open(store).vectors)


def test_a_store_of_something_else_is_refused(encoder, photos, store, tmp_path):
    before = hashes(store)
    weights = Encoder.load(write_encoder(tmp_path / "weights", seed=1), device="cpu")
    squash = PREPROCESSING | {"resize_mode": "squash"}
    shape = Encoder.load(write_encoder(tmp_path / "shape", preprocessing=squash), device="cpu")
    others = [
        ((weights, photos, IDS), {}, "fingerprint"),
        ((shape, photos, IDS), {}, "preprocessing"),
        ((encoder, photos[1:], IDS[1:]), {}, f"photos {N} .* this run has {N - 1}"),
        ((encoder, photos, IDS[::-1]), {}, "photos_sha256"),
        ((encoder, photos, IDS), {"dtype": "float32"}, "dtype float16 .* float32"),
    ]
    for arguments, options, message in others:
        with pytest.raises(MismatchError, match=message) as caught:
            embed_photos(*arguments, store, workers=0, **options)
        for part in (str(store), encoder.name, arguments[0].name, "choose another folder"):
            assert str(part) in str(caught.value)
    assert hashes(store) == before


def test_a_store_of_images_decoded_at_reduced_size_opens_but_is_not_resumed(encoder, photos, store):
    meta = files.read_json(store / "meta.json")  # earlier versions could decode at a fraction of the size
    files.write_json(store / "meta.json", meta | {"decode": "reduced"})
    assert len(EmbeddingStore.open(store).ids) == N - 2
    with pytest.raises(MismatchError, match=r"decode reduced .* full"):
        embed_photos(encoder, photos, IDS, store)


def test_shards_of_unknown_origin_are_refused(encoder, photos, store):
    (store / "meta.json").unlink()
    with pytest.raises(MismatchError, match=r"shards without meta\.json"):
        embed_photos(encoder, photos, IDS, store, shard_size=10, workers=0)


def test_an_unfinished_store_of_another_shard_size_is_refused(encoder, photos, store):
    (store / "shard-00000.safetensors").unlink()
    with pytest.raises(MismatchError, match="shard_size 10"):
        embed_photos(encoder, photos, IDS, store, shard_size=9, workers=0)


def test_if_no_photo_can_be_read_there_is_an_error_and_no_store(encoder, photos, tmp_path):
    (tmp_path / ".mine").touch()
    bad = [photos[i] for i in BAD]
    for _ in range(2):
        with pytest.raises(ImageError, match=r"none of the 2 photos could be read; b: .*20\.jpg"):
            embed_photos(encoder, bad, ["a", "b"], tmp_path, shard_size=1, workers=0)
        assert [path.name for path in tmp_path.iterdir()] == [".mine"]
    store = embed_photos(encoder, [photos[0], *bad], ["x", "a", "b"], tmp_path, shard_size=1, workers=0)
    assert store.ids == ["x"] and [name for name, _ in store.failures] == ["a", "b"]


@pytest.mark.parametrize(
    ("count", "ids", "options", "message"),
    [
        (1, [], {}, "1 paths and 0 ids"),
        (1, ["a", "b"], {}, "1 paths and 2 ids"),
        (0, [], {}, "0 ids, .*expected at least one"),
        (1, [3], {}, r"\[3\] among them: .*strings"),
        (3, ["a", "b", "a"], {}, r"\['a'\] among them: .*distinct"),
        (1, ["a"], {"batch_size": 0}, "batch_size=0"),
        (1, ["a"], {"shard_size": 0}, "shard_size=0"),
        (1, ["a"], {"dtype": "int8"}, "int8"),
    ],
)
def test_wrong_arguments_are_refused(encoder, photos, tmp_path, count, ids, options, message):
    with pytest.raises(ValueError, match=message):
        embed_photos(encoder, photos[:count], ids, tmp_path, **options)
    assert not list(tmp_path.iterdir())


# The store


def flip_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [flip_last_byte, lambda p: os.truncate(p, 100), lambda p: p.unlink()])
def test_a_damaged_shard_is_named(store, damage):
    path = store / "shard-00001.safetensors"
    damage(path)
    with pytest.raises(CorruptFileError) as caught:
        EmbeddingStore.open(store)
    assert str(path) in str(caught.value) and "embed_photos again" in str(caught.value)


def test_a_damaged_meta_file_is_named(store, tmp_path):
    with pytest.raises(MissingDataError, match="holds no embeddings"):
        EmbeddingStore.open(tmp_path)
    whole = files.read_json(store / "meta.json")
    damaged = ["[]", "{}", "not json", json.dumps(whole | {"format": "other/1"}), json.dumps(whole | {"vectors": 3})]
    damaged += [json.dumps(whole | {"shards": whole["shards"][:-1]}), json.dumps(whole | {"encoder": {"dim": "x"}})]
    damaged += [json.dumps(whole | {"photos": "many"}), json.dumps(whole | {"shard_size": 0})]
    for content in damaged:
        (store / "meta.json").write_text(content)
        with pytest.raises(CorruptFileError, match=r"meta\.json"):
            EmbeddingStore.open(store)


def test_a_subset_is_in_the_order_asked_for(store):
    opened = EmbeddingStore.open(store)
    some = [opened.ids[9], opened.ids[0], opened.ids[9]]
    np.testing.assert_array_equal(opened.subset(some), opened.vectors[[9, 0, 9]])
    assert opened.subset([]).shape == (0, DIM)
    with pytest.raises(ValueError, match=r"no vector for 'nobody' \(1 such ids\)"):
        opened.subset(["nobody"])
    with pytest.raises(ValueError, match=r"photo/7.*is not a JPEG"):
        opened.subset([opened.ids[0], "photo/7"])


def test_ids_may_hold_any_letters_and_vectors_keep_their_length(encoder, tmp_path):
    ids, vectors = ["Zürich", "東京", "c"], np.random.default_rng(0).normal(size=(3, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store = write_store(tmp_path, ids, vectors, encoder)
    assert store.ids == ids and store.failures == []
    np.testing.assert_allclose(store.vectors, vectors, atol=5e-4)
    np.testing.assert_allclose(np.linalg.norm(store.vectors, axis=1), 1, atol=1e-6)


# On a GPU


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_gpu_gives_the_vectors_of_the_cpu(encoder, model_folder, photos, tmp_path, precision):
    on_gpu = Encoder.load(model_folder, device="cuda", precision=precision)
    assert (on_gpu.device, on_gpu.precision) == ("cuda", precision) and on_gpu.fingerprint == encoder.fingerprint
    options = {"batch_size": 4, "shard_size": 10, "workers": 2}
    ours = embed_photos(on_gpu, photos, IDS, tmp_path / "gpu", **options)
    theirs = embed_photos(encoder, photos, IDS, tmp_path / "cpu", **options)
    assert ours.ids == theirs.ids and ours.failures == theirs.failures
    assert (ours.vectors * theirs.vectors).sum(1).min() > (0.99 if precision == "bf16" else 0.9999)
    np.testing.assert_allclose(on_gpu.embed_text(["a city"]), encoder.embed_text(["a city"]), atol=0.02)
