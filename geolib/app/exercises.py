"""Checks for the exercises of the notebooks: they say "right", or what is off."""

from __future__ import annotations

from typing import Any

import numpy as np


def check(answer: Any, expected: Any, hint: str, *, rel: float = 1e-3) -> None:
    """Compare an answer with the expected one and print what to do next.

    answer: `...` while the exercise is untouched. expected: a number, an array or anything that compares with `==`.
    hint: printed when the answer is wrong. rel: relative tolerance for numbers.
    """
    if answer is ...:
        print("Your turn: replace the `...` above and run the cell again.")
    elif _same(answer, expected, rel):
        print("Right.")
    else:
        print(f"Not yet. {hint}")


def must_be_right(answer: Any, expected: Any, *, rel: float = 1e-3) -> None:
    """What the solution's own cell runs. Raises `AssertionError` when the solution is not right."""
    assert _same(answer, expected, rel), f"the solution gives {answer!r}, expected {expected!r}"
    print("The solution is right.")


def _same(answer: Any, expected: Any, rel: float) -> bool:
    try:
        given, wanted = np.asarray(answer, dtype=float), np.asarray(expected, dtype=float)
    except (TypeError, ValueError):
        return bool(answer == expected)
    return given.shape == wanted.shape and bool(np.allclose(given, wanted, rtol=rel, atol=0))
