"""Words from elsewhere, fit to be shown: authors, licences, and what other libraries say when they fail."""

from __future__ import annotations


def one_line(text: object, limit: int | None = None) -> str:
    """A text, or an error's, on one line: printable characters only, at most `limit` of them.

    An error without words gives the name of its kind.
    """
    words = " ".join(str(text).split())
    shown = "".join(letter for letter in words if letter.isprintable())[:limit].strip()
    return shown or (type(text).__name__ if isinstance(text, BaseException) else "")
