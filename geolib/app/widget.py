"""The prediction demo of the notebooks: choose or upload a picture, change the rules, and only then see the truth.

It needs ipywidgets 8 in any front end that shows them (JupyterLab 4, Notebook 7), and no extension. Where widgets
cannot run, as on GitHub or in a printed notebook, it shows a static picture of the same prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import zip_longest
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image
from scipy.special import softmax

from geolib import plots
from geolib.app import page
from geolib.common.errors import GeolibError, ImageError
from geolib.common.files import data_path
from geolib.countries import country_name, country_of
from geolib.datasets.dataset import Dataset
from geolib.datasets.splits import fitted_split
from geolib.datasets.tables import PICTURES
from geolib.images import ImageSource, open_rgb
from geolib.plots import maps
from geolib.plots.ground import Place
from geolib.plots.prediction import img_tag
from geolib.predict import Geolocator
from geolib.sphere import geoscore, haversine_km, in_words

UPLOAD_BYTES = 10_000_000  # Jupyter's web socket takes 10 MiB per message and drops larger ones
UPLOAD_PIXELS = 25_000_000  # 0.2 to 0.4 GB of memory; phones write 12 or 24 million
_PER_PAGE, _MOST_SAMPLES = 10, 40
_SIDE, _THUMB = 512, 96  # pixels of the picture shown and of a thumbnail
_RULES = {  # name, explanation
    "consistency": ("Consistency filter", "The article's rule: each ticked level lowers cells outside its best ones."),
    "product": ("Product of the levels", "Multiplies the ticked levels. They judge one picture: overconfident."),
    "finest": ("Finest level alone", "Uses only the finest head; the coarse levels have no effect."),
    "leaf": ("Leaf sums", "Gives the same map as the finest level alone: coarse cells are sums of finest cells."),
}


class PredictionDemo:
    """A picture, a map and a table: what the model predicts for a sample or for one's own picture.

    Display it in a notebook. The encoder sees each picture once; rule, levels and number of guesses only combine the
    heads' outputs anew. The truth stays hidden until it is asked for, and is hidden again with the next picture. An
    uploaded picture stays in memory: nothing is written to disk, and only its pixels are used.

    The samples are ids of photos of the dataset, by default those of `default_samples`. The parts are public, for use
    from code: `choose(id)`, `open(data, name)`, `rule`, `levels`, `top_k`, `closeup`, `truth`, and `prediction`.
    """

    def __init__(self, model: Geolocator, dataset: Dataset, samples: Sequence[str] | None = None) -> None:
        self.model, self.dataset = model, dataset
        self.samples = default_samples(model, dataset) if samples is None else list(samples)
        if not self.samples:
            raise ValueError("no samples: name at least one photo of the dataset")
        self._codes, self._page = country_of(*model.tree.centers(-1)), 0
        self._make_controls()
        self.message, self.picture, self.rule_note, self.truth_note, self.sentence, self.map, self.table = (
            widgets.HTML(layout=widgets.Layout(width="100%", margin="0")) for _ in range(7)
        )
        self.box = self._arranged()
        for photo in self.samples:  # the first whose file can be read
            self.choose(photo)
            if self.picture.value:
                break
        else:
            raise ImageError(f"none of the {len(self.samples)} samples of {dataset.name} can be read")
        self._show_page()
        for button in self.thumbs:
            button.on_click(lambda clicked: self.choose(self._page_ids()[self.thumbs.index(clicked)]))
        self.more.on_click(self._turn_page)
        self.upload.observe(self._uploaded, "value")
        for control in (self.rule, *self.levels, self.top_k, self.closeup, self.truth):
            control.observe(self._draw, "value")

    def choose(self, photo: str) -> None:
        """Show a photo of the dataset; `message` explains why one cannot be. Raises `ValueError` for other ids."""
        if not isinstance(photo, str):
            raise ValueError(f"{photo!r:.80}: expected the id of a photo of the dataset, a text")
        number = f"Sample {self.samples.index(photo) + 1}" if photo in self.samples else "Sample"
        try:
            path = self.dataset.path(photo)
            lat, lon = self.dataset.photos.loc[photo, ["lat", "lon"]].to_numpy(dtype=float)
            credit = self.dataset.credits([photo]).removeprefix("1 photo: ")
            self._take(path, f"{number} ({credit})", photo, (float(lat), float(lon)))
        except (GeolibError, OSError) as error:
            self._refuse([f"{number} cannot be shown: {error}."])

    def open(self, data: bytes, name: str = "your picture") -> None:
        """Show a picture given as the bytes of a file; `message` explains why one cannot be shown.

        Raises `ValueError` for what is not bytes.
        """
        if reason := self._refusal(data, name):
            self._refuse([reason])

    def _refusal(self, data: Any, name: str) -> str:
        """Show a picture, or return why it cannot be shown."""
        if not isinstance(data, bytes | bytearray | memoryview):
            given = type(data).__name__
            raise ValueError(f"{given}: expected the bytes of an image file; `choose` shows a sample by its id")
        data = bytes(data)
        try:
            if len(data) > UPLOAD_BYTES:
                size = f"{len(data) / 1e6:.1f} MB; the limit is {UPLOAD_BYTES / 1e6:.0f} MB"
                raise ImageError(f"is too large ({size}): save it smaller, 1,000 pixels across are enough")
            self._take(open_rgb(data, max_pixels=UPLOAD_PIXELS), f"Your picture: {name}")
        except ImageError as error:
            return f"{name} {str(error).removeprefix('the bytes given ')}."
        return ""

    def _refuse(self, reasons: Sequence[str], shown: str = "The picture below is still the previous one.") -> None:
        self.message.value = page.alert(" ".join([*reasons, shown]))

    def _take(self, source: ImageSource, title: str, photo: str | None = None, truth: Place | None = None) -> None:
        """See a picture and show the prediction. An `ImageError` leaves the previous picture on show."""
        seen, image = self.model.see(source), _reduced(source, _SIDE)
        self._photo, self._image, self._seen, self._true_place = photo, image, seen, truth
        self.truth.disabled = truth is None
        if self.truth.value:
            self.truth.value = False  # which draws
        else:
            self._draw()
        self.message.value = ""
        self.picture.value = page.figure(image, title)
        self._mark_chosen()

    # After a change

    def _draw(self, _: Any = None) -> None:
        """Fuse, decode and show; the encoder does not run again."""
        alone = self.rule.value in ("finest", "leaf")
        levels = None if alone else [level for level, tick in enumerate(self.levels) if tick.value]
        self.prediction = self.model.answer(self._seen, self.top_k.value, fusion=self.rule.value, levels=levels)
        for tick in self.levels[:-1]:
            tick.disabled = alone
        fig = self._map()
        self.map.value = img_tag(plots.png(fig, dpi=100), plots.alt_text(fig))
        self.rule_note.value = page.note(_RULES[self.rule.value][1])
        warning, guess = self.prediction.warning, escape(self.prediction.guess())
        self.sentence.value = f"{page.alert(warning) if warning else ''}<p>{guess}</p>"
        self.truth_note.value = f"<p>{escape(self._truth_words())}</p>"
        self.table.value = self._table()

    def _map(self, image: Image.Image | None = None) -> Figure:
        found, truth = self.prediction, self._true_place if self.truth.value else None
        how: dict[str, Any] = {"truth": truth, "top": found.to_frame(), "image": image, "zoom": self.closeup.value}
        return maps.plot_prediction(found.posterior, self.model.tree, **how)[0]

    def _truth_words(self) -> str:
        if self._true_place is None:
            return "Only you know where your picture was taken."
        if not self.truth.value:
            return "Hidden. Guess first."
        km = float(haversine_km(*self._true_place, self.prediction.lat, self.prediction.lon))
        where = country_name(str(country_of(*self._true_place)[0])) or "the open sea"
        score = f"GeoScore {float(geoscore(km)):,.0f} of 5,000"
        return f"{where}, {in_words(*self._true_place)}. The best guess is {km:,.0f} km off: {score}."

    def _table(self) -> str:
        """The likeliest cells of every level: after fusion, and by that level's head alone."""
        tree = self.model.tree
        temperatures = self.model.fusion_options.get("temperatures") or [1.0] * tree.n_levels
        tables = []
        hidden = np.nan if self.prediction.familiar is False else 0.0  # an unfamiliar image gets no probabilities
        for level, mass in enumerate(self.prediction.levels):
            alone = softmax(self._seen.logits[level][0].astype(float) / temperatures[level])
            in_country = pd.Series(self.prediction.posterior).groupby([tree.ancestors[:, level], self._codes]).sum()
            code = dict(in_country.groupby(level=0).idxmax().tolist())  # cell -> likeliest country
            best = np.argsort(-mass, kind="stable")[: self.top_k.value]
            named = [country_name(code[cell]) or "open sea" for cell in best]
            rows = list(zip(named, mass[best] + hidden, alone[best] + hidden, strict=True))
            end = ", finest" if level == tree.n_levels - 1 else ", coarsest" if level == 0 else ""
            tables.append(page.level_table(f"{tree.n_cells[level]:,} cells{end}", rows))
        note = page.note("A cell has the name of its likeliest country. <b>Head</b>: the head alone, before fusion.")
        return f"<h4>Candidates by level</h4>{note}<div class='geolib-levels'>{''.join(tables)}</div>"

    def _uploaded(self, change: Mapping[str, Any]) -> None:
        names = [str(file["name"]) for file in change["new"]]
        reasons = [self._refusal(file["content"], name) for file, name in zip(change["new"], names, strict=True)]
        shown = [name for name, reason in zip(names, reasons, strict=True) if not reason]
        if any(reasons):
            self._refuse([*filter(None, reasons)], *(f"The picture below is {name}." for name in shown[-1:]))
        if change["new"]:
            self.upload.value = ()  # so that the same file can be chosen again, and nothing is kept

    # Samples

    def _page_ids(self) -> list[str]:
        return self.samples[self._page * _PER_PAGE : (self._page + 1) * _PER_PAGE]

    def _turn_page(self, _: Any) -> None:
        self._page = (self._page + 1) % -(-len(self.samples) // _PER_PAGE)
        self._show_page()

    def _show_page(self) -> None:
        """Show a page of samples: their pictures are the backgrounds of buttons, set by a style sheet."""
        rules = []
        for place, (photo, button) in enumerate(zip_longest(self._page_ids(), self.thumbs)):
            button.layout.display = "none" if photo is None else None
            if photo is not None:
                number = self._page * _PER_PAGE + place + 1
                try:
                    address = page.data_uri(_reduced(self.dataset.path(photo), _THUMB))
                except (GeolibError, OSError):
                    button.tooltip = f"Sample {number} cannot be shown"
                    continue
                button.tooltip = f"Show sample {number}"
                rules.append(f".{self._thumb_class(place)} {{background-image: url({address}) !important}}")
        self.thumb_style.value = f"<style>{''.join(rules)}</style>"
        self._mark_chosen()

    def _mark_chosen(self) -> None:
        for photo, button in zip_longest(self._page_ids(), self.thumbs):
            chosen = photo is not None and photo == self._photo
            (button.add_class if chosen else button.remove_class)("geolib-on")

    def _thumb_class(self, place: int) -> str:
        return f"geolib-thumb-{self.thumb_style.model_id}-{place}"

    # Construction

    def _make_controls(self) -> None:
        layout = widgets.Layout(width="100%", margin="2px 0")
        wide: dict[str, Any] = {"style": {"description_width": "90px"}, "layout": layout}
        narrow = widgets.Layout(width="auto", margin="0")
        self.thumb_style = widgets.HTML(layout=widgets.Layout(display="none"))
        self.thumbs = [widgets.Button(tooltip="Show sample") for _ in range(_PER_PAGE)]
        for place, button in enumerate(self.thumbs):
            button.add_class("geolib-thumb").add_class(self._thumb_class(place))
        self.more = widgets.Button(description="Other samples", tooltip="Show other samples to choose from")
        said = {"description": "Upload a picture", "tooltip": "Upload a JPEG, PNG, WEBP or HEIC file"}
        self.upload = widgets.FileUpload(accept=",".join(sorted(PICTURES)), **said)
        rules = [(words, rule) for rule, (words, _) in _RULES.items()]
        self.rule = widgets.Dropdown(options=rules, value=self.model.fusion, description="Fusion rule", **wide)
        names = [f"{cells:,} cells" for cells in self.model.tree.n_cells]
        self.levels = [widgets.Checkbox(True, description=name, indent=False, layout=narrow) for name in names]
        for tick in self.levels:
            tick.tooltip = "Does this level take part in the fusion?"
        self.levels[-1].disabled, self.levels[-1].tooltip = True, "The finest level always takes part"
        self.top_k = widgets.IntSlider(5, 1, 10, description="Best guesses", continuous_update=False, **wide)
        self.closeup = widgets.Checkbox(description="Close-up, where the guesses are near", indent=False, layout=narrow)
        asked = "The true place, the distance of the guess, and the GeoScore"
        self.truth = widgets.ToggleButton(description="Show the truth", tooltip=asked)

    def _arranged(self) -> Any:
        """Everything in its place: two columns where there is room, else one."""
        kinds = "JPEG, PNG, WEBP, or HEIC if pillow-heif is installed"
        limit = f"{kinds}, up to {UPLOAD_BYTES / 1e6:.0f} MB: Jupyter drops larger files silently."
        hint = widgets.HTML(page.note(f"{limit} It stays in this notebook's memory; only its pixels are used."))
        label = widgets.HTML("<span class='geolib-label'>Levels</span>", layout=widgets.Layout(margin="2px 0"))
        ticks = widgets.HBox([label, widgets.Box(self.levels).add_class("geolib-ticks")])
        settings = widgets.VBox([_heading("Settings"), self.rule, ticks, self.rule_note, self.top_k, self.closeup])
        shown = widgets.VBox([_heading("The picture"), self.picture, self.truth, self.truth_note])
        left = _row([shown.add_class("geolib-shown"), settings.add_class("geolib-settings")])
        right = widgets.VBox([_heading("The prediction"), self.sentence, self.map, self.table])
        parts = [
            widgets.HTML(f"<style>{page.STYLE}</style>", layout=widgets.Layout(display="none")),
            self.thumb_style,
            _heading("Choose a sample, or upload your own picture"),
            _row([*self.thumbs, self.more]),
            _row([self.upload, hint.add_class("geolib-hint")]),
            self.message,
            _row([left.add_class("geolib-left"), right.add_class("geolib-right")]).add_class("geolib-main"),
        ]
        return widgets.VBox(parts).add_class("geolib-demo")

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and a static picture of what it shows for readers of a notebook without a kernel."""
        fig = self._map(self._image)
        words = f"Prediction demo, static view. {plots.alt_text(fig)}"
        data = {**self.box._repr_mimebundle_(), "image/png": plots.png(fig, dpi=80), "text/plain": words}
        return data, {"image/png": {"alt": words}}


def default_samples(model: Geolocator, dataset: Dataset) -> list[str]:
    """Ids of photos of the test sides: all postcards that ship with the clone, or at most 40 photos at random."""
    sides = dataset.split(**fitted_split(dataset, model.training))
    test = pd.Series(sides.index[sides.str.startswith("test")])
    if dataset.name == "postcards":
        return list(test[test.isin([path.stem for path in data_path("postcards", "samples").glob("*.jpg")])])
    return list(test.sample(min(_MOST_SAMPLES, len(test)), random_state=0))


def _reduced(source: ImageSource, side: int) -> Image.Image:
    image = open_rgb(source, min_side=side)
    image.thumbnail((side, side))
    return image


def _heading(words: str) -> Any:
    return widgets.HTML(f"<h4>{words}</h4>", layout=widgets.Layout(width="100%", margin="0"))


def _row(children: Sequence[Any]) -> Any:
    """Side by side where there is room, else below each other."""
    return widgets.HBox(children).add_class("geolib-row")
