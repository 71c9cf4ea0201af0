"""Checks for the exercises of the notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np


def check(answer: Any, expected: Any, hint: str, *, rel: float = 1e-3) -> None:
    """Compare an answer with the expected one and print what to do next.

    An `answer` of `...` means an untouched exercise. `expected` is a number, an array, or anything that compares with
    `==`; `rel` is the relative tolerance for numbers. A wrong answer prints the hint.

    Examples
    --------
    >>> check(41.99, 42, "Add them up.")
    Right.
    """
    if answer is ...:
        print("Your turn: replace the `...` above and run the cell again.")
    elif _same(answer, expected, rel):
        print("Right.")
    else:
        print(f"Not yet. {hint}")


def must_be_right(answer: Any, expected: Any, *, rel: float = 1e-3) -> None:
    """Check a solution in its own cell. Raises `AssertionError` when it is wrong."""
    assert _same(answer, expected, rel), f"the solution gives {answer!r}, expected {expected!r}"
    print("The solution is right.")


def _same(answer: Any, expected: Any, rel: float) -> bool:
    try:
        given, wanted = np.asarray(answer, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return bool(answer == expected)
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0)
    near = 1e-9 * (size or 1)  # what rounding leaves where 0 is expected
    return given.shape == wanted.shape and bool(np.allclose(given, wanted, rtol=rel, atol=near))
