"""HTML and style sheet of the prediction demo (`geolib.app.widget`)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image

from geolib.plots.ground import percent

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
_BAR = "background: linear-gradient(to right, rgba(213, 94, 0, .28) {0:.1f}%, transparent {0:.1f}%)"


def data_uri(image: Image.Image) -> str:
    """Return the address of a picture that holds the picture itself, as a JPEG."""
    stream = BytesIO()
    image.save(stream, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"


def figure(image: Image.Image, title: str) -> str:
    """Return a picture with its title below."""
    name = escape(title)
    return f'<figure><img src="{data_uri(image)}" alt="{name}"><figcaption>{name}</figcaption></figure>'


def alert(words: str) -> str:
    """Return a warning, which screen readers say at once."""
    return f'<p class="geolib-box" role="alert">{escape(words)}</p>'


def note(words: str) -> str:
    """Return a remark in small letters; `words` are HTML."""
    return f'<p class="geolib-note">{words}</p>'


def level_table(name: str, rows: Sequence[tuple[str, float, float]]) -> str:
    """Return the candidates of one level as (country, probability after fusion, probability by the head alone).

    Probabilities of NaN, for an unfamiliar image, are shown as "?".
    """
    body = ""
    for country, fused, head in rows:
        known = fused == fused
        bar = f' style="{_BAR.format(100 * fused)}"' if known else ""
        cells = "".join(
            f"<td{look}>{escape(percent(p)) if known else '?'}</td>" for look, p in ((bar, fused), ("", head))
        )
        body += f'<tr><th scope="row">{escape(country)}</th>{cells}</tr>'
    titles = '<tr><td></td><th scope="col">Fused</th><th scope="col">Head</th></tr>'
    return f"<table><caption>{name}</caption><thead>{titles}</thead><tbody>{body}</tbody></table>"
