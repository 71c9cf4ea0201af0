"""What the commands write to the terminal: messages, notes and the progress of a training."""

from __future__ import annotations

import sys
from typing import Any


def printable(text: str) -> str:
    """Text in which control characters are escaped, so that a file name cannot steer the terminal.

    >>> printable("a\\x1b[2J.jpg")
    'a\\\\x1b[2J.jpg'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_lines(text: str) -> None:
    """Print text line by line, with control characters escaped."""
    for line in text.split("\n"):
        print(printable(line))


def message(text: str) -> None:
    """Print one line to stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    """Show a warning as one line on stderr, in place of `warnings.showwarning`."""
    print(printable(f"note: {message}"), file=sys.stderr, flush=True)


def show_epoch(row: dict[str, float]) -> None:
    """Count the epochs of a training in one line, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\rfitting the model, epoch {row['epoch']:.0f} ", end="", file=sys.stderr, flush=True)
