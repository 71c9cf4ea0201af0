"""Files are complete or absent, and a damaged file is refused by name."""

import contextlib
import json
import os
import stat
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tiny import write_encoder

from geolib.common import files
from geolib.common.errors import CorruptFileError, GeolibError, MissingDataError
from geolib.datasets import open_dataset
from geolib.encoder import Encoder


def test_a_file_appears_whole(tmp_path):
    target = tmp_path / "new" / "a.bin"
    with files.atomic_path(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.parent == target.parent, "a rename is atomic only inside one folder"
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        files.write_bytes(tmp_path / "a", b"")
        files.write_tensors(tmp_path / "b", {"x": np.ones(1)})
        with files.alone_in(tmp_path):
            pass
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {mode}


def test_an_error_while_writing_leaves_the_old_file_and_no_temporary_file(tmp_path):
    target = tmp_path / "a.bin"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("umask", [0o027, 0o077, 0o002])
def test_stores_and_labels_in_the_cache_follow_the_umask(tmp_path, monkeypatch, umask):
    write_encoder(tmp_path / "encoder")
    (tmp_path / "album").mkdir()
    for number in range(3):
        Image.new("RGB", (40, 30), (number, 9, 9)).save(tmp_path / "album" / f"{number}.jpg")
    table = pd.DataFrame({"id": ["0.jpg", "1.jpg", "2.jpg"], "lat": [1, 2, 3], "lon": [1, 2, 3]})
    table.to_csv(tmp_path / "t.csv", index=False)
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    before = os.umask(umask)
    try:
        encoder = Encoder.load(tmp_path / "encoder", device="cpu")
        open_dataset(f"table:{tmp_path / 't.csv'}", folder=tmp_path / "album").embeddings(encoder)
        with contextlib.suppress(ValueError):  # the pictures have no place: labels are kept all the same
            open_dataset(f"folder:{tmp_path / 'album'}")
    finally:
        os.umask(before)
    made = [tmp_path / "cache", *(tmp_path / "cache").rglob("*")]
    assert {path.suffix for path in made} >= {".parquet", ".safetensors", ".json"}
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == (0o777 if path.is_dir() else 0o666) & ~umask, path


def killed_while_writing(target):
    code = "import os, sys; from geolib.common import files\nwith files.atomic_path(sys.argv[1]): os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    (left,) = (path for path in target.parent.iterdir() if path.name.startswith(f".{target.name}."))
    return left


def test_what_a_killed_process_was_writing_is_removed_by_the_next(tmp_path):
    for folder, old in (("young", False), ("old", True), ("locked", False)):
        (tmp_path / folder).mkdir()
        left, mine = killed_while_writing(tmp_path / folder / "x.bin"), tmp_path / folder / ".mine.part"
        mine.write_bytes(b"not geolib's")
        if old:
            os.utime(left, (0, 0))
        if folder == "locked":
            with files.alone_in(tmp_path / folder):
                assert not left.exists(), "nobody else can be writing in a locked folder"
        else:
            files.write_bytes(tmp_path / folder / "y.bin", b"")
            assert left.exists() != old, "another process may still be writing a young one"
        assert mine.exists()


def test_json_round_trip_and_equal_values_give_equal_bytes(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": "Zürich"})
    files.write_json(tmp_path / "b.json", {"a": "Zürich", "b": 1})
    assert files.read_json(tmp_path / "a.json") == {"a": "Zürich", "b": 1}
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_json_refuses_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_missing_and_damaged_json(tmp_path):
    with pytest.raises(MissingDataError, match=r"a\.json does not exist"):
        files.read_json(tmp_path / "a.json")
    for content in (b"", b'{"a": ', b"\xff\xfe\x00"):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(CorruptFileError, match=r"a\.json is not JSON"):
            files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["[" * 201, '{"a":' * 201, "[" * 100_000, '["]]]", ' * 201, '["\\"]", ' * 201])
def test_deep_json_is_refused_before_the_parser_uses_up_the_stack(text, monkeypatch, tmp_path):
    monkeypatch.setattr(json, "loads", lambda text: pytest.fail("parsed"))
    with pytest.raises(RecursionError, match="nested too deeply"):
        files.parse_json(text)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(CorruptFileError, match=r"a\.json is not JSON .*nested too deeply"):
        files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize("value", [["[{" * 500], [[]] * 500, {'"[': "\\"} | {str(i): [i] for i in range(500)}, [], ""])
def test_wide_json_and_brackets_in_texts_are_read(value):
    assert files.parse_json(json.dumps(value)) == value


def test_tensors_round_trip_even_if_not_contiguous(tmp_path):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    files.write_tensors(tmp_path / "a.safetensors", {"turned": array.T, "whole": array}, {"format": "1"})
    back = files.read_tensors(tmp_path / "a.safetensors")
    assert np.array_equal(back["turned"], array.T)
    assert np.array_equal(back["whole"], array)


@pytest.mark.parametrize("keep", [0, 4, 20, -1])
def test_truncated_tensors_are_refused(tmp_path, keep):
    path = tmp_path / "a.safetensors"
    files.write_tensors(path, {"x": np.ones(100)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CorruptFileError, match=r"a\.safetensors is not a whole safetensors file"):
        files.read_tensors(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_numbers_that_numpy_lacks_are_refused_in_words(tmp_path, dtype):
    save_file({"x": torch.zeros(3).to(dtype)}, tmp_path / "a.safetensors")
    with pytest.raises(CorruptFileError, match=r"a\.safetensors holds numbers that numpy lacks"):
        files.read_tensors(tmp_path / "a.safetensors")


def test_missing_tensors(tmp_path):
    with pytest.raises(MissingDataError, match="does not exist"):
        files.read_tensors(tmp_path / "a.safetensors")


def test_a_header_that_promises_gigabytes_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    header = json.dumps({"x": {"dtype": "F64", "shape": [1 << 40], "data_offsets": [0, 1 << 43]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 64)
    with pytest.raises(CorruptFileError):
        files.read_tensors(path)


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_data_and_cache_folders_follow_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLIB_DATA", str(tmp_path))
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x").mkdir()
    assert files.data_path("x") == tmp_path / "x"
    assert files.cache_path("a", "b") == tmp_path / "cache" / "a" / "b"
    with pytest.raises(MissingDataError, match="GEOLIB_DATA"):
        files.data_path("nothing")


def test_one_process_locks_a_folder_until_it_ends_or_is_killed(tmp_path):
    code = (
        "import sys, time; from geolib.common import files\n"
        "with files.alone_in(sys.argv[1]): print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(GeolibError, match="another process is working in"), files.alone_in(tmp_path):
            pytest.fail("two processes hold the folder")
        other.kill()
    with files.alone_in(tmp_path / "new"), files.alone_in(tmp_path):
        pass
    with pytest.raises(RuntimeError), files.alone_in(tmp_path):
        raise RuntimeError
    with files.alone_in(tmp_path):
        pass
