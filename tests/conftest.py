"""What every test runs under: no network, a cache of its own, no windows, the same examples each time."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import hypothesis
import matplotlib
import pytest

from geolib.common import threads  # before torch is imported: its threads then spin only briefly

OFFLINE = Path(__file__).resolve().parent / "offline"
sys.path.insert(0, str(OFFLINE))
sys.modules.pop("sitecustomize", None)  # some systems have one of their own, loaded when Python started
import sitecustomize  # noqa: E402, F401  importing it installs the guard in this process

sys.path.remove(str(OFFLINE))
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")]))
os.environ["JUPYTER_PLATFORM_DIRS"] = "1"  # the coming default; without it jupyter_core warns

# Tests run on the defaults, whatever the shell that starts them has set for a notebook.
for name in ("DATASET", "ENCODER", "DEVICE", "SEED", "DATA"):
    os.environ.pop(f"GEOLIB_{name}", None)

# Workers of pytest-xdist take one thread each, also in the processes that they start: more would wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# One cache a session, shared by the workers of pytest-xdist (they inherit it), so that no test sees the user's cache.
_OWNS_CACHE = "PYTEST_XDIST_WORKER" not in os.environ
if _OWNS_CACHE:
    os.environ["GEOLIB_CACHE"] = tempfile.mkdtemp(prefix="geolib-tests-")

matplotlib.use("Agg")
hypothesis.settings.register_profile("geolib", derandomize=True, deadline=None, max_examples=50, database=None)
hypothesis.settings.load_profile("geolib")


@pytest.fixture(scope="module")
def one_thread():
    """One torch thread: sums in one order on any machine, and no waiting in models this small."""
    with threads.one_thread():
        yield


def pytest_unconfigure():
    if _OWNS_CACHE:
        shutil.rmtree(os.environ["GEOLIB_CACHE"], ignore_errors=True)
