"""Native threads on a busy machine: what is set and when, and that it changes no answer."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from shipped import SAMPLE
from tiny import write_encoder

import geolib
from geolib.common.threads import one_thread
from geolib.embed import embed_photos

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
ENVIRON = f"print(json.dumps({{name: os.environ.get(name) for name in {VARIABLES}}}))"


def run(code, **variables):
    """Output of code in a fresh Python without these variables, or with those given."""
    clean = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "OMP_NUM_THREADS")}
    command = [sys.executable, "-c", f"import json, os, subprocess, sys\n{code}"]
    return subprocess.run(command, env=clean | variables, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def short_spin():
    found = json.loads(run(f"import geolib\n{ENVIRON}"))
    assert found["GOMP_SPINCOUNT"] and found["KMP_BLOCKTIME"]
    return found


def test_importing_geolib_shortens_the_spinning_before_torch_reads_it():
    at_import = f"""
import importlib.abc
class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "torch":
            {ENVIRON}
sys.meta_path.insert(0, Watch())
from geolib import Encoder
assert "torch" in sys.modules
"""
    seen = json.loads(run(at_import))
    assert seen == short_spin()
    assert seen["OMP_WAIT_POLICY"] is None
    assert 0 < int(seen["GOMP_SPINCOUNT"]) < 100_000 and 0 < int(seen["KMP_BLOCKTIME"]) < 200


def test_processes_that_it_starts_inherit_the_setting():
    child = f"import json, os; {ENVIRON}"
    assert json.loads(run(f"import geolib\nsubprocess.run([sys.executable, '-c', {child!r}])")) == short_spin()


@pytest.mark.parametrize(
    ("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "5"), ("KMP_BLOCKTIME", "7")]
)
def test_the_settings_of_the_user_win(name, value):
    nothing = dict.fromkeys(VARIABLES)
    assert json.loads(run(f"import geolib\n{ENVIRON}", **{name: value})) == nothing | {name: value}


def test_nothing_is_set_where_torch_has_read_it_already():
    assert json.loads(run(f"import torch, geolib\n{ENVIRON}")) == dict.fromkeys(VARIABLES)


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_starts_notebooks_with_the_same_setting():
    """Some pages import torch before geolib, so the process that starts their kernels has to have it."""
    for given, expected in (({}, short_spin()), ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"})):
        clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        command = ["make", "--silent", "--eval", "show: ; @env", "show"]
        shown = subprocess.run(command, cwd=ROOT, env=clean | given, capture_output=True, text=True, check=True).stdout
        lines = [line.partition("=") for line in shown.splitlines()]
        assert {name: value for name, _, value in lines if name in VARIABLES} == {
            name: value for name, value in expected.items() if value
        }


def test_one_thread_inside_the_block_and_as_before_after_it(two_threads):
    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(RuntimeError, match="stop"), one_thread():
        raise RuntimeError("stop")
    assert torch.get_num_threads() == 2


class Watched(torch.nn.Module):
    """An image encoder that notes how many threads it may use."""

    def __init__(self, model):
        super().__init__()
        self.model, self.threads = model, []

    def encode_image(self, inputs):
        self.threads.append((len(inputs), torch.get_num_threads()))
        return self.model.encode_image(inputs)


@pytest.fixture
def watched(tmp_path, monkeypatch):
    encoder = geolib.Encoder.load("postcards", device="cpu")
    monkeypatch.setattr(encoder, "model", Watched(encoder.model))
    return encoder


def test_a_few_pictures_take_one_thread_and_many_take_all(watched, two_threads):
    picture = np.zeros((128, 128, 3), np.uint8)
    for n in (1, 4, 64):
        watched.embed_images([picture] * n)
    assert watched.model.threads == [(1, 1), (4, 1), (64, 2)]
    assert torch.get_num_threads() == 2


def test_a_picture_gives_the_same_numbers_whatever_the_threads():
    code = f"""
import geolib, hashlib, torch
found = geolib.locate({str(SAMPLE)!r})
print(torch.get_num_threads(), hashlib.sha256(found.posterior.tobytes()).hexdigest(), found.distance)
"""
    threads, answers = zip(*(run(code, OMP_NUM_THREADS=n).split(" ", 1) for n in "12"), strict=True)
    assert threads == ("1", "2")
    assert len(set(answers)) == 1


class Threads:
    """Images that show how many threads the process has that makes them."""

    def __len__(self):
        return 64

    def __getitem__(self, position):
        return np.full((32, 32, 3), 100 * torch.get_num_threads(), np.uint8)


def test_workers_that_decode_have_one_thread(two_threads, tmp_path):
    encoder = geolib.Encoder.load(write_encoder(tmp_path / "model"), device="cpu")
    one, two = (encoder.embed_images([np.full((32, 32, 3), 100 * n, np.uint8)] * 64)[0] for n in (1, 2))
    assert np.abs(one - two).max() > 5e-3
    for workers, expected in ((0, two), (1, one)):
        store = embed_photos(encoder, Threads(), [str(i) for i in range(64)], tmp_path / str(workers), workers=workers)
        np.testing.assert_allclose(store.vectors, np.tile(expected, (64, 1)), atol=5e-4)


def test_workers_of_pytest_have_one_thread(tmp_path):
    (tmp_path / "test_inside.py").write_text(
        "import os, subprocess, sys, torch\n"
        "def test_threads():\n"
        "    assert torch.get_num_threads() == 1\n"
        "    assert os.environ['GOMP_SPINCOUNT']\n"
    )
    command = ["-p", "conftest", "-p", "no:cacheprovider", "-n", "1", "--rootdir", str(tmp_path), str(tmp_path)]
    paths = os.pathsep.join(filter(None, [str(ROOT / "tests"), os.environ.get("PYTHONPATH")]))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "OMP_", "GOMP_", "KMP_"))}
    environment = clean | {"PYTHONPATH": paths}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *command], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other systems handle memory in their own way")
def test_freed_blocks_are_kept_for_the_next_step_unless_the_user_chose_otherwise():
    """`mallinfo2` tells how many bytes lie in blocks that go back to the system as soon as they are freed."""
    returned = """
import ctypes, numpy
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info
block = numpy.ones(8_000_000)
print(mallinfo().hblkhd)
"""
    assert int(run(f"import geolib\n{returned}")) < 32_000_000
    assert int(run(f"import geolib\n{returned}", MALLOC_MMAP_THRESHOLD_="131072")) >= 64_000_000
