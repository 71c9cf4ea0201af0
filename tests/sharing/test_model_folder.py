"""A model on disk: killed at every step it is the old one or the new one, and what strangers send is checked first."""

import json
import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from local_hub import serving
from safetensors.torch import save_file
from tiny import world, write_encoder

from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError
from geolib.common.files import read_json, read_tensors, sha256_file, write_json, write_tensors
from geolib.encoder import Encoder
from geolib.heads import HierarchicalHeads, TrainOptions
from geolib.predict import Geolocator
from geolib.sharing import hub as sharing
from geolib.sharing.model_folder import MODEL_FILES, checksum

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return Encoder.load(write_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")


def fitted(encoder, name, seed, **options):
    options = {"cells_per_level": (3, 9), "options": TrainOptions(epochs=1), "device": "cpu"} | options
    model = Geolocator.fit(encoder, *world(120, seed=seed), calibration=world(50, seed=9), **options)
    model.training["dataset"] = name
    return model


@pytest.fixture(scope="module")
def old(encoder):
    return fitted(encoder, "old", 1)


@pytest.fixture(scope="module")
def new(encoder):
    return fitted(encoder, "new", 2)


@pytest.fixture
def saved(old, tmp_path):
    old.save(tmp_path / "model")
    return tmp_path / "model"


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Kills

KILLS = """
import json, os, shutil, sys, tempfile
from pathlib import Path
from types import SimpleNamespace

import torch

from geolib.common.errors import GeolibError
from geolib.encoder import Encoder
from geolib.predict import Geolocator
from geolib.sharing import hub

torch.set_num_threads(1)
home, how, action = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
encoder = Encoder.load(home / "encoder", device="cpu")
new, target = Geolocator.load(home / "new", encoder), home / "place" / "target"
tempfile.tempdir = str(home / "tmp")


def pull():
    info = SimpleNamespace(sha="a" * 40, siblings=[])
    hub.HfApi = lambda **_: SimpleNamespace(model_info=lambda *_, **__: info)
    hub.snapshot_download = lambda *_, local_dir, **__: shutil.copytree(home / "new", local_dir, dirs_exist_ok=True)
    hub.pull("team/new", target)


act = pull if action == "pull" else lambda: new.save(target)


def attempt(k):
    # In a process of its own: stop at the k-th change of the file system, by a kill or by Ctrl-C.
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree") or writes:
            seen += 1
            if seen == k and how == "kill":
                os._exit(9)
            if seen == k:
                raise KeyboardInterrupt

    child = os.fork()
    if child == 0:
        sys.addaudithook(hook)
        try:
            act()
        except BaseException as error:
            os._exit(8)
        os._exit(0 if seen < k else 7)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


for k in range(1, 500):
    shutil.rmtree(home / "place", ignore_errors=True)
    if (home / "old").exists():
        shutil.copytree(home / "old", target)
    code = attempt(k)
    try:
        found = Geolocator.load(target, encoder).training["dataset"]
    except GeolibError as error:
        found = f"{type(error).__name__}: {error}"
    act()
    left = sorted(path.relative_to(home / "place").as_posix() for path in (home / "place").rglob("*"))
    after = Geolocator.load(target, encoder).training["dataset"]
    print(json.dumps({"k": k, "code": code, "found": found, "after": after, "left": left}), flush=True)
    if code == 0:
        break
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize(
    ("how", "action", "first"),
    [
        ("kill", "save", False),
        ("kill", "pull", False),
        pytest.param("kill", "save", True, marks=pytest.mark.slow),
        pytest.param("interrupt", "save", False, marks=pytest.mark.slow),
    ],
)
def test_stopped_at_any_step_the_folder_holds_the_old_or_the_new_model(encoder, old, new, tmp_path, how, action, first):
    write_encoder(tmp_path / "encoder")
    new.save(tmp_path / "new")
    (tmp_path / "tmp").mkdir()
    if not first:
        old.save(tmp_path / "old")
    command = [sys.executable, "-c", KILLS, str(tmp_path), how, action]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) > 10 and rows[-1]["code"] == 0 and rows[-1]["found"] == "new", "every step was tried"
    expected = {"new"} if first else {"old", "new"}
    for row in rows:
        absent = first and row["found"].startswith("MissingDataError") and "no model.json" in row["found"]
        assert row["found"] in expected or absent, row
        assert row["after"] == "new", "the next run succeeds"
        assert row["left"] == sorted(["target", *(f"target/{name}" for name in MODEL_FILES)]), "and removes the litter"
    found = [row["found"] for row in rows]
    assert found.index("new") > 5 and "new" in found[:-1], "it was stopped before and after the step that counts"
    assert set(found[found.index("new") :]) == {"new"}


def test_a_model_whose_save_was_killed_late_is_read_and_uploaded_whole(new, saved, encoder, tmp_path, monkeypatch):
    before, model = content(saved), read_json(saved / "model.json")
    for name, digest in {**model["files"], "README.md": model["checksum"]}.items():
        stem, ending = name.split(".")
        (saved / name).rename(saved / f"{stem}-{digest}.{ending}")
        (saved / name).write_bytes(b"of the model before")
    assert Geolocator.load(saved, encoder).training["dataset"] == "old"
    with serving(monkeypatch, tmp_path / "hub") as server, pytest.warns(UserWarning, match="path of the encoder"):
        sharing.push(saved, "team/model", i_have_read_responsible_use=True)
        assert server.repositories["team/model"][-1] == before
    new.save(saved)
    assert sorted(content(saved)) == sorted(MODEL_FILES)


def test_two_who_save_at_once_leave_one_whole_model(old, new, encoder, tmp_path):
    folder, errors = tmp_path / "model", []

    def save(model):
        try:
            for _ in range(5):
                model.save(folder)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(model,)) for model in (old, new, old)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Geolocator.load(folder, encoder).training["dataset"] in ("old", "new")
    assert sorted(content(folder)) == sorted(MODEL_FILES)


def test_a_load_during_saves_never_mixes_two_models(old, new, encoder, tmp_path):
    """The other model is saved after each of the first reads of a file, the last of which are of the parts."""
    for number in range(1, 12):
        old.save(tmp_path / "model")
        seen = 0

        def hook(frame, event, _argument, stop=number):
            nonlocal seen
            seen += event == "call" and frame.f_code.co_name in ("read_tensors", "sha256_file", "read_json")
            if seen == stop:
                seen += 1
                sys.setprofile(None)
                new.save(tmp_path / "model")

        sys.setprofile(hook)
        try:
            found = Geolocator.load(tmp_path / "model", encoder)
        finally:
            sys.setprofile(None)
        source = {"old": old, "new": new}[found.training["dataset"]]
        np.testing.assert_array_equal(found.familiarity.centre, source.familiarity.centre)
        vectors = world(5)[0]
        for ours, theirs in zip(found.predict_vectors(vectors), source.predict_vectors(vectors), strict=True):
            np.testing.assert_array_equal(ours, theirs)


# What may be replaced


@pytest.fixture
def fetch(saved, tmp_path, monkeypatch):
    """A function that pulls a model into a folder, from a local hub."""
    with serving(monkeypatch, tmp_path / "hub") as server:
        server.commit_files("team/model", content(saved))
        yield lambda folder: sharing.pull("team/model", folder)


TFJS = {"model.json": b'{"format": "layers-model", "weightsManifest": []}', "group1-shard1of1.bin": b"weights"}
FOREIGN = [
    TFJS,
    {"model.json": TFJS["model.json"]},
    {"model.json": b"[1]"},
    {"model.json": b"no JSON"},
    {"README.md": b"my notes"},
    {"heads.safetensors": b"mine"},
    {"model.json": TFJS["model.json"], "heads.safetensors": b"mine", "README.md": b"my notes"},
    {"README.md/notes.txt": b"my notes"} | {f"{name}.safetensors": b"mine" for name in ("tree", "heads", "familiar")},
    {"notes/model.json": b'{"format": "geolib-model/2"}'},
    {"model.json": b'{"format": "geolib-model/2"}', "notes.txt": b"my notes"},
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_folder_with_anything_else_is_refused_and_stays_as_it_is(old, fetch, tmp_path, foreign):
    for name, text in foreign.items():
        path = tmp_path / "place" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    for write in (old.save, fetch):
        with pytest.raises(ValueError, match="is not a model folder"):
            write(tmp_path / "place")
        assert content(tmp_path / "place") == foreign


def test_notes_beside_a_model_are_not_deleted(new, saved, fetch, encoder):
    (saved / "notes.txt").write_text("mine")
    for write in (new.save, fetch):
        with pytest.raises(ValueError, match=r"holds notes\.txt"):
            write(saved)
    assert (saved / "notes.txt").read_text() == "mine"
    (saved / "notes.txt").rename(saved / ".notes")
    (saved / ".lock").write_text("mine")
    new.save(saved)
    kept = {(saved / name).read_text() for name in (".notes", ".lock")}
    assert kept == {"mine"}, "what begins with a dot may be there, and stays"
    assert Geolocator.load(saved, encoder).training["dataset"] == "new"


def test_a_card_that_was_edited_is_kept_beside_the_new_one(old, new, saved, fetch):
    kept = []
    for write, text in ((new.save, "my own paragraph"), (fetch, "another"), (new.save, "a third")):
        with open(saved / "README.md", "a", encoding="utf-8") as stream:
            stream.write(text)
        edited = (saved / "README.md").read_bytes()
        with pytest.warns(UserWarning, match=r"README\.md was edited.* kept as README\.old-"):
            write(saved)
        kept.append(edited)
        assert sorted(content(saved)[name] for name in content(saved).keys() - set(MODEL_FILES)) == sorted(kept)
        assert text.encode() not in (saved / "README.md").read_bytes()
    before = set(content(saved))
    old.save(saved)
    assert set(content(saved)) == before, "a card that nobody edited is replaced"


def test_a_damaged_model_can_be_replaced(new, saved, encoder):
    (saved / "model.json").write_text("{")
    with pytest.warns(UserWarning, match="kept as"):  # nothing says any more whether its card was edited
        new.save(saved)
    next(saved.glob("README.old-*")).unlink()
    assert Geolocator.load(saved, encoder).training["dataset"] == "new"
    for name in ("heads.safetensors", "README.md"):
        (saved / name).unlink()
        new.save(saved)
    assert sorted(content(saved)) == sorted(MODEL_FILES)


def test_a_model_without_a_card_does_not_keep_that_of_another(new, saved, fetch, tmp_path, monkeypatch):
    older = {name: text for name, text in content(saved).items() if name != "README.md"}
    new.save(tmp_path / "there")
    with serving(monkeypatch, tmp_path / "hub2") as server:
        server.commit_files("team/older", older)
        sharing.pull("team/older", tmp_path / "there")
    assert content(tmp_path / "there") == older


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_follow_the_umask(old, fetch, tmp_path, umask):
    before = os.umask(umask)
    try:
        for write, name in ((old.save, "saved"), (fetch, "pulled")):
            write(tmp_path / "deep" / name)
            write(tmp_path / "deep" / name)
    finally:
        os.umask(before)
    made = [tmp_path / "deep", *(tmp_path / "deep").rglob("*")]
    assert len(made) == 3 + 2 * len(MODEL_FILES)
    for path in made:
        whole = 0o777 if path.is_dir() else 0o666
        assert stat.S_IMODE(path.stat().st_mode) == whole & ~umask, path


def test_numpy_numbers_in_options_can_be_saved(encoder, tmp_path):
    options = {"top_k": np.int32(2), "penalty": np.float32(0.5), "temperatures": np.array([1.0, 2.0])}
    model = fitted(encoder, "numpy", 3, fusion="consistency", fusion_options=options)
    model.training["photos"] = np.int64(120)
    model.save(tmp_path / "model")
    loaded = Geolocator.load(tmp_path / "model", encoder)
    assert loaded.fusion_options == {"top_k": 2, "penalty": 0.5, "temperatures": [1.0, 2.0]}
    assert loaded.training["photos"] == 120
    vectors = world(5)[0]
    np.testing.assert_array_equal(loaded.posterior(vectors), model.posterior(vectors))


def test_weights_that_cannot_be_loaded_replace_no_model(new, saved, fetch, encoder):
    before = content(saved)
    diverged = replace(new, heads=HierarchicalHeads(encoder.dim, new.tree.n_cells))
    with torch.no_grad():
        diverged.heads.scale.fill_(np.nan)
    with pytest.raises(CorruptFileError, match=r"heads\.safetensors: `scale` holds NaN"):
        diverged.save(saved)
    assert content(saved) == before


def test_a_hostile_model_replaces_none_that_is_here(new, saved, tmp_path, monkeypatch):
    new.save(tmp_path / "there")
    before = content(tmp_path / "there")
    retype("heads.safetensors", "mean", first(np.inf))(saved)
    forge(saved)
    with serving(monkeypatch, tmp_path / "hub") as server:
        server.commit_files("team/model", content(saved))
        with pytest.raises(GeolibError, match=r"heads\.safetensors: `mean` holds"):
            sharing.pull("team/model", tmp_path / "there")
    assert content(tmp_path / "there") == before


# Its encoder


def test_a_model_finds_its_encoder_from_any_working_directory(tmp_path, monkeypatch):
    write_encoder(tmp_path / "here" / "encoder")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    model = fitted(Encoder.load("./encoder", device="cpu"), "relative", 4)
    model.save("model")
    monkeypatch.chdir(tmp_path / "there")
    loaded = Geolocator.load("../here/model", device="cpu")
    assert loaded.encoder.fingerprint == model.encoder.fingerprint


def test_an_encoder_that_is_gone_is_named_with_the_mend(saved, encoder, tmp_path):
    forge(saved, encoder=read_json(saved / "model.json")["encoder"] | {"name": str(tmp_path / "gone")})
    with pytest.raises(MissingDataError, match=r"gone.*Geolocator\.load\(FOLDER, Encoder\.load"):
        Geolocator.load(saved, device="cpu")
    assert Geolocator.load(saved, encoder).training["dataset"] == "old"


# Strangers


def forge(folder, **changes):
    """Give model.json other content, and checksums that fit."""
    model = read_json(folder / "model.json") | changes
    model.pop("checksum")
    for name in model["files"]:
        model["files"][name] = sha256_file(folder / name)
    write_json(folder / "model.json", model | {"checksum": checksum(model)})


def retype(name, key, change):
    """Something that changes one tensor of a file, which may then be of a type that numpy lacks."""

    def apply(folder):
        tensors = {key: torch.from_numpy(array) for key, array in read_tensors(folder / name).items()}
        tensors[key] = change(tensors[key])
        metadata = {"format": "geolib-geocells/1"} if name.startswith("tree") else None
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, folder / name, metadata)

    return apply


def first(value):
    """Something that sets the first number of a tensor."""

    def change(tensor):
        tensor = tensor.clone()
        tensor.view(-1)[0] = value
        return tensor

    return change


HEADS, TREE, FAMILIAR = "heads.safetensors", "tree.safetensors", "familiar.safetensors"
HOSTILE_TENSORS = [
    *((HEADS, "mean", lambda x, dtype=dtype: x.to(dtype)) for dtype in (torch.float64, torch.float16, torch.int32)),
    *((name, key, lambda x, dtype=dtype: x.float().to(dtype))
      for name, key in ((HEADS, "heads.1.weight"), (TREE, "sums"), (FAMILIAR, "references"))
      for dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2)),
    *((name, key, lambda x: x.view(-1)[0].clone())
      for name, key in ((HEADS, "mean"), (HEADS, "scale"), (HEADS, "heads.0.bias"), (TREE, "counts"), (TREE, "opens"),
                        (FAMILIAR, "centre"), (FAMILIAR, "threshold"))),
    *((HEADS, key, first(value))
      for key in ("mean", "scale", "heads.0.weight", "heads.1.bias")
      for value in (np.nan, np.inf, -np.inf, 1e30)),
    *((FAMILIAR, key, first(value)) for key in ("centre", "scale") for value in (np.nan, np.inf, 1e30)),
    *((HEADS, key, lambda x: x[:-1].clone()) for key in ("mean", "heads.0.weight", "heads.1.bias")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "key", "change"), HOSTILE_TENSORS)
def test_tensors_that_are_not_a_models_are_refused_by_name(saved, encoder, name, key, change):
    retype(name, key, change)(saved)
    forge(saved)
    with pytest.raises(CorruptFileError, match=name) as caught:
        Geolocator.load(saved, encoder)
    assert str(saved) in str(caught.value)


def test_the_largest_weights_that_load_still_give_an_answer(saved, encoder):
    arrays = read_tensors(saved / HEADS)
    arrays = {key: np.where(array >= 0, np.float32(9e7), np.float32(-9e7)) for key, array in arrays.items()}
    write_tensors(saved / HEADS, arrays)
    forge(saved)
    lat, lon = Geolocator.load(saved, encoder).predict_vectors(world(50)[0])
    assert np.isfinite(lat).all() and np.isfinite(lon).all()


@pytest.mark.parametrize("layer", [("heads.0.inner.bias", "heads.0.inner.weight"), ("trunk.bias", "trunk.weight")])
def test_a_small_file_cannot_claim_gigabytes(saved, encoder, layer):
    resource = pytest.importorskip("resource")
    arrays = read_tensors(saved / HEADS)
    arrays |= {"mean": np.zeros(20_000, np.float32)} | {key: np.zeros(20_000, np.float32) for key in layer}
    write_tensors(saved / HEADS, arrays)
    forge(saved)
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    with pytest.raises(CorruptFileError, match="heads"):
        Geolocator.load(saved, encoder)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before
    assert grown < 200e6, "20,000 x 20,000 numbers are 1.6 GB"


@pytest.mark.parametrize(
    "changes",
    [
        {"fusion": "vote"},
        {"decoding": "middle"},
        {"fusion_options": {"temperature": 2}},
        {"fusion_options": {"rule": "finest"}},
        {"fusion_options": {"tree": None}},
        {"fusion": "consistency", "fusion_options": {"top_k": "5"}},
        {"fusion": "consistency", "fusion_options": {"top_k": 0}},
        {"fusion": "consistency", "fusion_options": {"top_k": 1.5}},
        {"fusion_options": {"penalty": [1]}},
        {"fusion_options": {"penalty": 7}},
        {"fusion_options": {"temperatures": [1]}},
        {"fusion_options": {"temperatures": "hot"}},
        {"fusion_options": {"temperatures": [float("nan"), 1]}},
        {"fusion_options": {"level_weights": {"0": 1}}},
        {"fusion_options": {"levels": [7]}},
        {"fusion_options": {"levels": [0.5]}},
        {"fusion_options": {"levels": 1}},
        {"encoder": {"revision": 7}},
        {"encoder": {"revision": int("1" * 40)}},
        {"encoder": {"revision": "main"}},
        {"encoder": {"revision": ["a" * 40]}},
    ],
)
def test_rules_and_revisions_that_cannot_be_used_are_refused_at_load(saved, encoder, changes, monkeypatch):
    if "encoder" in changes:
        changes = {"encoder": read_json(saved / "model.json")["encoder"] | {"weights": changes["encoder"]}}
    model = read_json(saved / "model.json") | changes
    model.pop("checksum")
    text = json.dumps(model | {"checksum": checksum(model)})
    (saved / "model.json").write_text(text)
    monkeypatch.setattr(Encoder, "load", lambda *_, **__: pytest.fail("an encoder was loaded first"))
    for given in (encoder, None):
        with pytest.raises(CorruptFileError, match=r"model\.json"):
            Geolocator.load(saved, given)


@pytest.mark.parametrize("digest", [7, None, "", "../../x", "A" * 64, ["a" * 64]])
def test_a_digest_that_is_none_is_refused(saved, encoder, digest):
    model = read_json(saved / "model.json")
    model.pop("checksum")
    model["files"]["heads.safetensors"] = digest
    write_json(saved / "model.json", model | {"checksum": checksum(model)})
    with pytest.raises(GeolibError, match=r"heads\.safetensors"):
        Geolocator.load(saved, encoder)
