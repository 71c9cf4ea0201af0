"""Where torch is not installed, as in a browser: everything up to calibration works, and gives the same answers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import without_torch

SCRIPT = Path(without_torch.__file__)


@pytest.fixture(scope="module")
def by_torch():
    return without_torch.answers(torch.from_numpy)


def check_equal(got, wanted):
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_allclose(got[name], values, rtol=1e-4, atol=1e-3, err_msg=name)


def test_without_torch_all_imports_and_answers_as_with_it(tmp_path, by_torch):
    out = tmp_path / "answers.npz"
    done = subprocess.run([sys.executable, "-W", "error", SCRIPT, out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(out) as found:
        check_equal(dict(found), by_torch)


def test_numpy_arrays_are_answered_like_tensors(by_torch):
    check_equal(without_torch.answers(), by_torch)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_on_a_gpu_are_answered_like_others(by_torch):
    check_equal(without_torch.answers(lambda array: torch.from_numpy(array).cuda()), by_torch)
