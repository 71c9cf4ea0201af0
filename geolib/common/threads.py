"""A busy machine: native threads that spin only briefly, one thread for small work, and memory that is used again.

torch shares its loops among native threads of OpenMP. A thread that has to wait for the others spins for milliseconds
before it sleeps. Beside other programs that does harm: it spins on the core that the others need.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

# Units: rounds of a loop for GNU's runtime (torch on Linux; 10,000 take some 0.1 ms), milliseconds for those of LLVM
# and Intel (torch on macOS and Windows; their default is 200).
SHORT_SPIN = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}


def spin_briefly(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set how long native threads spin, in this process and in those that it starts. `import geolib` calls it.

    Nothing is changed if one of `OMP_WAIT_POLICY`, `GOMP_SPINCOUNT` and `KMP_BLOCKTIME` is set, nor after torch was
    imported: it reads them when it loads.
    """
    if "torch" not in sys.modules and not environ.keys() & {"OMP_WAIT_POLICY", *SHORT_SPIN}:
        environ.update(SHORT_SPIN)


def reuse_memory(environ: Mapping[str, str] = os.environ) -> None:
    """Let glibc keep freed blocks of up to 256 MB for the next step. `import geolib` calls it.

    Each forward pass needs the same megabytes again. Without this they go back to the system after every layer, and it
    clears them anew: with the postcards' encoder a third of the time. Nothing is changed where there is no glibc, nor
    if `MALLOC_MMAP_THRESHOLD_` or `MALLOC_TRIM_THRESHOLD_` is set.
    """
    if platform.libc_ver()[0] == "glibc" and not environ.keys() & {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}:
        libc = ctypes.CDLL(None)
        libc.mallopt(-3, 2**28)  # M_MMAP_THRESHOLD: larger blocks come from the system, and go back to it
        libc.mallopt(-1, 2**29)  # M_TRIM_THRESHOLD: what lies free at the end beyond this goes back


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread inside the block: small work then waits for nobody, and rounds alike on any machine.

    Other threads of Python keep theirs, but one whose first use of torch falls into the block stays on one.

    >>> import torch
    >>> with one_thread():
    ...     torch.get_num_threads()
    1
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
