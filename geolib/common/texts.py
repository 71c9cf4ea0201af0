"""Text from elsewhere (authors, licences, errors of other libraries), made safe to print."""

from __future__ import annotations


def one_line(text: object, limit: int | None = None) -> str:
    r"""Text or an error's message on one line: printable characters, at most `limit`. An empty message gives the type.

    >>> one_line("two\n lines"), one_line(KeyError())
    ('two lines', 'KeyError')
    """
    shown = "".join(x for x in " ".join(str(text).split()) if x.isprintable())[:limit].strip()
    return shown or (type(text).__name__ if isinstance(text, BaseException) else "")
