"""HTML and style sheet of the prediction demo (`geolib.app.widget`)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from io import BytesIO

from PIL import Image

from geolib.plots.ground import percent

STYLE = """
.geolib-demo { max-width: 1160px; padding: 4px; }
.geolib-demo, .geolib-demo .widget-box, .geolib-demo .widget-html-content { overflow: visible; }
.geolib-demo .widget-html, .geolib-demo .widget-html-content { height: auto; min-width: 0; line-height: 1.45; }
.geolib-demo .widget-button, .geolib-demo .widget-upload, .geolib-demo .widget-toggle-button { margin: 4px 0; }
.geolib-demo .widget-label { text-align: left; }
.geolib-demo .widget-upload { width: auto; padding: 0 14px; }
.geolib-demo .widget-dropdown select { min-width: 0; }
.geolib-demo h4 { margin: 12px 0 6px; font-size: 15px; font-weight: 600; color: inherit; }
.geolib-demo p, .geolib-demo figure { margin: 4px 0; }
.geolib-demo img { display: block; max-width: 100%; height: auto; }
.geolib-demo .geolib-note, .geolib-demo figcaption { opacity: .75; font-size: 12px; }
.geolib-demo .geolib-box { border-left: 4px solid #d55e00; background: rgba(213, 94, 0, .1); padding: 8px 12px; }
.geolib-demo .geolib-row { flex-flow: row wrap; align-items: center; gap: 6px; }
.geolib-demo .geolib-thumb { width: 72px; height: 72px; padding: 0; margin: 0; background-size: cover !important; }
.geolib-demo .geolib-on { outline: 3px solid #d55e00 !important; outline-offset: 1px !important; }
.geolib-demo .geolib-main, .geolib-demo .geolib-left { align-items: flex-start; gap: 0 24px; }
.geolib-demo .geolib-left { flex: 1 1 300px; }
.geolib-demo .geolib-right { flex: 3 1 480px; min-width: 0; }
.geolib-demo .geolib-shown { flex: 1 1 240px; max-width: 300px; }
.geolib-demo .geolib-shown img { width: 256px; }
.geolib-demo .geolib-shown img, .geolib-demo .geolib-thumb { border-radius: 4px; }
.geolib-demo .geolib-settings { flex: 1 1 260px; min-width: 0; max-width: 100%; }
.geolib-demo .geolib-hint { flex: 1 1 260px; }
.geolib-demo .geolib-label { display: inline-block; width: 92px; }
.geolib-demo .geolib-ticks { display: grid; flex: 1; min-width: 0; gap: 0 12px; }
.geolib-demo .geolib-ticks { grid-template-columns: repeat(auto-fit, minmax(100px, 1fr)); }
.geolib-levels { display: grid; grid-template-columns: repeat(auto-fit, minmax(210px, 1fr)); gap: 12px 28px; }
.geolib-levels table { border-collapse: collapse; font-size: 13px; align-self: start; }
.geolib-levels caption { text-align: left; font-weight: 600; padding-bottom: 2px; }
.geolib-levels th { font-weight: 400; text-align: left; padding: 3px 6px 3px 0; }
.geolib-levels td, .geolib-levels thead th { text-align: right; padding: 3px 6px; width: 56px; }
.geolib-levels thead th { opacity: .75; }
.geolib-levels tbody tr { border-top: 1px solid rgba(128, 128, 128, .25); }
"""
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
