"""How a notebook shows a prediction: picture, sentence, table of the top places, map."""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from geolib.countries import country_name
from geolib.plots.ground import alt_text, png
from geolib.plots.maps import plot_prediction
from geolib.sphere import in_words

if TYPE_CHECKING:
    from geolib.predict import Prediction

# Text colours are inherited and backgrounds half transparent, so that light and dark themes both work.
_STYLE = f"<style>\n{Path(__file__).with_suffix('.css').read_text(encoding='utf-8')}</style>"


def prediction_map(prediction: Prediction) -> Figure:
    """A map of the posterior and the top places, under a warning for an unfamiliar image."""
    fig, _ = plot_prediction(prediction.posterior, prediction.tree, top=prediction.to_frame())
    if prediction.familiar is False:
        box = {"facecolor": "white", "edgecolor": "firebrick"}
        fig.suptitle(prediction.warning.partition(" (")[0], y=0.985, fontsize=11, color="firebrick", bbox=box)
    return fig


def prediction_html(prediction: Prediction) -> str:
    """HTML that needs no other file. For an unfamiliar image it has a warning, and the guess is folded."""
    fig = prediction_map(prediction)
    details = _table(prediction) + img_tag(png(fig), alt_text(fig))
    words = f"<p>{escape(prediction.guess())}</p>"
    if prediction.warning:
        words = f'<p class="geolib-warning" role="note">{escape(prediction.warning)}</p>{words}'
    if prediction.familiar is False:
        details = f"<details><summary>Show the guess on a map</summary>{details}</details>"
    picture = ""
    if prediction.picture is not None:
        stream = BytesIO()
        prediction.picture.save(stream, "PNG")
        picture = (
            f'<div class="geolib-picture">{img_tag(stream.getvalue(), "The image whose place is estimated.")}</div>'
        )
    answer = f'<div class="geolib-answer">{words}{details}</div>'
    return f'{_STYLE}<div class="geolib-prediction">{picture}{answer}</div>'


def _table(prediction: Prediction) -> str:
    """The top places; for an unfamiliar image without probabilities."""
    known = prediction.familiar is not False
    columns = ["", "Country", "Centre of the cell", *["Probability", ""] * known]
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    body = ""
    for rank, place in prediction.top.iterrows():
        country = escape(country_name(place["country"]) or "Open sea")
        body += f"<tr><td>{rank}</td><td>{country}</td><td>{escape(in_words(place['lat'], place['lon']))}</td>"
        if known:
            share = f"{100 * float(place['probability']):.1f}"
            body += f'<td>{share} %</td><td class="geolib-bar"><span style="width: {share}%"></span></td>'
        body += "</tr>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def img_tag(content: bytes, alt: str) -> str:
    """Return HTML of a PNG with its alt text."""
    return f'<img src="data:image/png;base64,{b64encode(content).decode()}" alt="{escape(alt)}">'
