"""Checks of arrays, and work on large ones in blocks of rows. torch is imported only where a tensor is needed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from torch import Tensor

Vectors: TypeAlias = "npt.NDArray[Any] | Tensor"
BLOCK_ELEMENTS = 1 << 21  # numbers in one block of rows: 16 MB in float64


def pieces(items: Any, size: int) -> list[Any]:
    """Consecutive slices of a sequence, `size` items each; the last may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def row_blocks(*arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Matching blocks of rows of arrays (n, ...), of at most `BLOCK_ELEMENTS` numbers (or one row) of the first."""
    step = max(1, BLOCK_ELEMENTS // arrays[0].shape[1])
    return zip(*(pieces(array, step) for array in arrays), strict=True)


def by_rows(function: Callable[..., Any], *arrays: Any) -> npt.NDArray[Any]:
    """The results of a numpy function of matching `row_blocks`, joined: temporary arrays stay small."""
    return np.concatenate([function(*blocks) for blocks in row_blocks(*arrays)])


def to_numpy(array: Any) -> npt.NDArray[Any]:
    """An array, or a tensor's numbers on the CPU, as a numpy array."""
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)


def top_columns(array: npt.NDArray[Any], k: int) -> npt.NDArray[np.intp]:
    """Columns of the `k` largest numbers of each row (of all, if there are fewer), largest first, (n, k)."""
    k = min(k, array.shape[1])
    index = np.argpartition(-array, k - 1, axis=1)[:, :k]  # of the negative numbers: up to seven times as fast
    order = np.argsort(-np.take_along_axis(array, index, axis=1), axis=1, stable=True)
    return np.take_along_axis(index, order, axis=1)


def group_sums(array: npt.NDArray[Any], groups: npt.NDArray[np.int64], count: int) -> npt.NDArray[Any]:
    """Sums of the columns that belong to each of `count` groups, (n, count); `groups` (m,) says which."""
    member = csr_array((np.ones(len(groups), array.dtype), groups, np.arange(len(groups) + 1)), (len(groups), count))
    return np.asarray(array @ member)


def as_tensor(array: npt.ArrayLike | Tensor) -> Tensor:
    """A tensor that shares the array's memory where it can; it is for reading only."""
    import torch

    with warnings.catch_warnings():
        # A gallery may be an np.memmap opened read-only. torch warns that writing would fail; nobody here writes.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(array)


def as_vectors(vectors: Vectors, n: int | None = None, dim: int | None = None, name: str = "vectors") -> Tensor:
    """Embeddings as a tensor that shares their memory. Raises `ValueError` unless floats (n, dim), all finite."""
    tensor = as_tensor(vectors)
    expected = f"({'n' if n is None else n}, {'dim' if dim is None else dim})"
    shape = tuple(tensor.shape)
    fits = len(shape) == 2 and 0 not in shape and shape[0] == (n or shape[0]) and shape[1] == (dim or shape[1])
    if not fits or not tensor.is_floating_point():
        raise ValueError(
            f"{name} have shape {shape}, expected {expected} with at least one row, and type {tensor.dtype}, expected "
            "floats: same photos, same encoder?"
        )
    for number, part in enumerate(pieces(tensor, 65_536)):
        if len(bad := (~part.isfinite().all(dim=1)).nonzero()):
            row = number * 65_536 + int(bad[0])
            raise ValueError(f"{name} row {row} holds NaN or infinity: leave out photos that failed to embed")
    return tensor
