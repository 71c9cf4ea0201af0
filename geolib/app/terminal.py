"""Words for the terminal: errors, notes, progress."""

from __future__ import annotations

import sys
from typing import Any


def _epoch(row: dict[str, float]) -> None:
    """One line that counts the epochs of a training, where somebody is looking."""
    if sys.stderr.isatty():
        print(f"\rfitting the model, epoch {row['epoch']:.0f} ", end="", file=sys.stderr, flush=True)


def _complain(text: str, status: int) -> int:
    print(_printable(text), file=sys.stderr)
    return status


def _note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    _complain(f"note: {message}", 0)


def _print_lines(text: str) -> None:
    for line in text.split("\n"):
        print(_printable(line))


def _printable(text: str) -> str:
    """Text without what a file name could do to a terminal: control characters become escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
