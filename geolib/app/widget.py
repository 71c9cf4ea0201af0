"""The prediction demo of the notebooks: choose or upload a picture, change the rules, and only then see the truth.

It needs ipywidgets 8 in any front end that shows them (JupyterLab 4, Notebook 7), and no extension. Where widgets
cannot run, as on GitHub or in a printed notebook, it shows a static picture of the same prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import escape
from itertools import zip_longest
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
import pandas as pd
from PIL import Image
from scipy.special import softmax

from geolib import plots
from geolib.app import page
from geolib.common.errors import ImageError
from geolib.common.files import data_path
from geolib.countries import country_name, country_of
from geolib.datasets.dataset import Dataset
from geolib.images import ImageSource, open_rgb
from geolib.plots import maps
from geolib.predict import Geolocator, Prediction, Seen
from geolib.sphere import geoscore, haversine_km, in_words

UPLOAD_BYTES = 10_000_000  # Jupyter's web socket takes 10 MiB per message and drops larger ones
_PER_PAGE, _MOST_SAMPLES = 10, 40
_SIDE, _THUMB = 512, 96  # pixels of the picture shown and of a thumbnail
_RULES = {  # name, explanation
    "consistency": ("Consistency filter", "The article's rule: each ticked level lowers cells outside its best ones."),
    "product": ("Product of the levels", "Multiplies the ticked levels. They judge one picture: overconfident."),
    "finest": ("Finest level alone", "Uses only the finest head; the coarse levels have no effect."),
    "leaf": ("Leaf sums", "Gives the same map as the finest level alone: coarse cells are sums of finest cells."),
}
_USES_LEVELS = ("consistency", "product")


class _Picture(NamedTuple):
    photo: str | None  # id in the dataset
    image: Image.Image
    seen: Seen
    truth: tuple[float, float] | None


class PredictionDemo:
    """A picture, a map and a table: what the model predicts for a sample or for one's own picture.

    Display it in a notebook. The encoder sees each picture once; rule, levels and number of guesses only combine the
    heads' outputs anew. The truth stays hidden until it is asked for, and is hidden again with the next picture. An
    uploaded picture stays in memory: nothing is written to disk, and only its pixels are used.

    Parameters
    ----------
    model : Geolocator
    dataset : Dataset
        Where the samples and their true places come from.
    samples : ids of photos, optional
        Default: the photos of the test sides that ship with the dataset, else 40 of them at random.

    The parts are public, for use from code: `choose(id)`, `open(data, name)`, `rule`, `levels`, `top_k`, `closeup`,
    `truth`, and `prediction`.
    """

    def __init__(self, model: Geolocator, dataset: Dataset, samples: Sequence[str] | None = None) -> None:
        self.model, self.dataset = model, dataset
        self.samples = default_samples(model, dataset) if samples is None else list(samples)
        if not self.samples:
            raise ValueError("no samples: name at least one photo of the dataset")
        self._codes = country_of(*model.tree.centers(-1))
        self._page = 0
        self._make_controls()
        self.message, self.picture, self.rule_note, self.truth_note, self.sentence, self.map, self.table = (
            widgets.HTML(layout=widgets.Layout(width="100%", margin="0")) for _ in range(7)
        )
        self.box = self._arranged()
        self.choose(self.samples[0])
        self._show_page()
        self._listen()

    def choose(self, photo: str) -> None:
        """Show a photo of the dataset. Raises `ValueError` for an unknown id."""
        path = self.dataset.path(photo)
        lat, lon = self.dataset.photos.loc[photo, ["lat", "lon"]].to_numpy(dtype=float)
        number = f"Sample {self.samples.index(photo) + 1}" if photo in self.samples else "Sample"
        credit = self.dataset.credits([photo]).removeprefix("1 photo: ")
        self._take(path, f"{number} ({credit})", photo, (float(lat), float(lon)))

    def open(self, data: bytes, name: str = "your picture") -> None:
        """Show a picture given as the bytes of a file; `message` explains why one cannot be shown."""
        try:
            if len(data) > UPLOAD_BYTES:
                size = f"{len(data) / 1e6:.1f} MB; the limit is {UPLOAD_BYTES / 1e6:.0f} MB"
                raise ImageError(f"is too large ({size}): save it smaller, 1,000 pixels across are enough")
            self._take(data, f"Your picture: {name}")
        except ImageError as error:
            reason = str(error).removeprefix("the bytes given ")
            self.message.value = page.alert(f"{name} {reason}. The picture below is still the previous one.")

    @property
    def prediction(self) -> Prediction:
        """The prediction on show."""
        return self._prediction

    def _take(
        self, source: ImageSource, title: str, photo: str | None = None, truth: tuple[float, float] | None = None
    ) -> None:
        seen = self.model.see(source)
        image = open_rgb(source, min_side=_SIDE)
        image.thumbnail((_SIDE, _SIDE))
        self._picture = _Picture(photo, image, seen, truth)
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
        levels = [level for level, tick in enumerate(self.levels) if tick.value]
        found = self.model.answer(self._picture.seen, self.top_k.value, fusion=self.rule.value, levels=levels)
        self._prediction = found
        for tick in self.levels[:-1]:
            tick.disabled = self.rule.value not in _USES_LEVELS
        fig, _ax = self._map()
        self.map.value = page.img(plots.png(fig, dpi=100), plots.alt_text(fig))
        self.rule_note.value = page.note(_RULES[self.rule.value][1])
        self.sentence.value = (page.alert(found.warning) if found.warning else "") + f"<p>{escape(found.guess())}</p>"
        self.truth_note.value = f"<p>{escape(self._truth_words())}</p>"
        self.table.value = self._table()

    def _map(self, image: Image.Image | None = None) -> Any:
        found, truth = self._prediction, self._picture.truth if self.truth.value else None
        return maps.plot_prediction(
            found.posterior, self.model.tree, truth=truth, top=found.top, image=image, zoom=self.closeup.value
        )

    def _truth_words(self) -> str:
        truth = self._picture.truth
        if truth is None:
            return "Only you know where your picture was taken."
        if not self.truth.value:
            return "Hidden. Guess first."
        km = float(haversine_km(*truth, self._prediction.lat, self._prediction.lon))
        where = country_name(str(country_of(*truth)[0])) or "the open sea"
        score = f"GeoScore {float(geoscore(km)):,.0f} of 5,000"
        return f"{where}, {in_words(*truth)}. The best guess is {km:,.0f} km off: {score}."

    def _table(self) -> str:
        """The likeliest cells of every level: after fusion, and by that level's head alone."""
        tree, found = self.model.tree, self._prediction
        temperatures = self.model.fusion_options.get("temperatures") or [1.0] * tree.n_levels
        tables = []
        for level, mass in enumerate(found.levels):
            alone = softmax(self._picture.seen.logits[level][0].astype(float) / temperatures[level])
            best = np.argsort(-mass, kind="stable")[: self.top_k.value]
            countries = _countries(found.posterior, tree.ancestors[:, level], self._codes)
            rows = [(country_name(countries[cell]) or "open sea", mass[cell], alone[cell]) for cell in best]
            end = ", finest" if level == tree.n_levels - 1 else ", coarsest" if level == 0 else ""
            tables.append(page.level_table(f"{tree.n_cells[level]:,} cells{end}", rows))
        note = "A cell is named after its likeliest country. <b>Fused</b>: after the fusion rule. <b>Head</b>: the "
        note = page.note(f"{note}output of this level's head alone.")
        return f"<h4>Candidates by level</h4>{note}<div class='geolib-levels'>{''.join(tables)}</div>"

    def _uploaded(self, change: Mapping[str, Any]) -> None:
        for file in change["new"]:
            self.open(bytes(file["content"]), str(file["name"]))
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
                image = open_rgb(self.dataset.path(photo), min_side=_THUMB)
                image.thumbnail((_THUMB, _THUMB))
                button.tooltip = f"Show sample {self._page * _PER_PAGE + place + 1}"
                background = f"background-image: url({page.data_uri(image)}) !important"
                rules.append(f".{self._thumb_class(place)} {{{background}}}")
        self.thumb_style.value = f"<style>{''.join(rules)}</style>"
        self._mark_chosen()

    def _mark_chosen(self) -> None:
        for photo, button in zip_longest(self._page_ids(), self.thumbs):
            chosen = photo is not None and photo == self._picture.photo
            (button.add_class if chosen else button.remove_class)("geolib-on")

    def _clicked(self, button: Any) -> None:
        self.choose(self._page_ids()[self.thumbs.index(button)])

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
        said = {"description": "Upload a picture", "tooltip": "Upload a JPEG, PNG or WEBP file"}
        self.upload = widgets.FileUpload(accept=".jpg,.jpeg,.png,.webp", **said)
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
        limit = f"JPEG, PNG or WEBP, up to {UPLOAD_BYTES / 1e6:.0f} MB: Jupyter drops larger files silently."
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

    def _listen(self) -> None:
        for button in self.thumbs:
            button.on_click(self._clicked)
        self.more.on_click(self._turn_page)
        self.upload.observe(self._uploaded, "value")
        for control in (self.rule, *self.levels, self.top_k, self.closeup, self.truth):
            control.observe(self._draw, "value")

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and a static picture of what it shows for readers of a notebook without a kernel."""
        fig, _ax = self._map(self._picture.image)
        words = f"Prediction demo, static view. {plots.alt_text(fig)}"
        data = {**self.box._repr_mimebundle_(), "image/png": plots.png(fig, dpi=80), "text/plain": words}
        return data, {"image/png": {"alt": words}}


def default_samples(model: Geolocator, dataset: Dataset) -> list[str]:
    """Ids of photos of the test sides: those whose pictures ship with the clone, else up to 40 at random."""
    sides = dataset.split(model.training.get("split", "safe"), model.training.get("seed", 0))
    test = sides.index[sides.str.startswith("test")]
    if dataset.name == "postcards":
        shipped = {path.stem for path in data_path("postcards", "samples").glob("*.jpg")}
        return [photo for photo in test if photo in shipped]
    readable: list[str] = []
    for photo in pd.Series(test).sample(frac=1, random_state=0):
        with suppress(ImageError):
            open_rgb(dataset.path(photo), min_side=64)
            readable.append(photo)
        if len(readable) == _MOST_SAMPLES:
            break
    return readable


def _countries(posterior: Any, ancestors: Any, codes: Any) -> dict[int, str]:
    """For each cell of a level, the country that holds most of its probability."""
    mass = pd.Series(posterior).groupby([ancestors, codes]).sum()
    return dict(mass.groupby(level=0).idxmax().tolist())  # of pairs (cell, country)


def _heading(words: str) -> Any:
    return widgets.HTML(f"<h4>{words}</h4>", layout=widgets.Layout(width="100%", margin="0"))


def _row(children: Sequence[Any]) -> Any:
    """Side by side where there is room, else below each other."""
    return widgets.HBox(children).add_class("geolib-row")
