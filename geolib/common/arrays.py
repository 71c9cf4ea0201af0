"""Arrays in and tensors out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


def pieces(items: Any, size: int) -> list[Any]:
    """Consecutive slices of a sequence, `size` items each; the last may be shorter."""
    return [items[start : start + size] for start in range(0, len(items), size)]


Vectors = npt.NDArray[Any] | Tensor


def as_tensor(array: npt.ArrayLike | Tensor) -> Tensor:
    """A tensor that shares the array's memory where it can; it is for reading only."""
    with warnings.catch_warnings():
        # Stores are mapped read-only; torch warns that writing to them would fail, and nobody here writes.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.as_tensor(array)


def as_vectors(vectors: Vectors, n: int | None = None, dim: int | None = None, name: str = "vectors") -> Tensor:
    """Embeddings as a tensor that shares their memory. Raises `ValueError` unless floating, (n, dim) and finite."""
    tensor = as_tensor(vectors)
    expected = f"({'n' if n is None else n}, {'dim' if dim is None else dim})"
    if tensor.ndim != 2 or not tensor.numel() or not tensor.is_floating_point():
        raise ValueError(
            f"{name} are {tensor.dtype} {tuple(tensor.shape)}; expected floats {expected}, at least one row"
        )
    if len(tensor) != (n or len(tensor)) or tensor.shape[1] != (dim or tensor.shape[1]):
        raise ValueError(f"{name} have shape {tuple(tensor.shape)}, expected {expected}: same photos, same encoder?")
    for start in range(0, len(tensor), 65_536):
        if not (finite := tensor[start : start + 65_536].isfinite().all(dim=1)).all():
            row = start + int((~finite).nonzero()[0])
            raise ValueError(f"{name} row {row} holds NaN or infinity: leave out photos that failed to embed")
    return tensor
