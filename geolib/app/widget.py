"""The prediction demo of the notebooks: choose or upload a picture, change the rules, and only then see the truth.

It needs ipywidgets 8 in any front end that shows them (JupyterLab 4, Notebook 7), and no extension. Where widgets
cannot run, as on GitHub or in a printed notebook, its output is a static picture of the same prediction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice, zip_longest
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
from PIL import Image
from scipy.special import softmax

from geolib import plots
from geolib.app import page as page
from geolib.common.errors import ImageError
from geolib.common.files import data_path
from geolib.countries import country_name, country_of
from geolib.datasets.dataset import Dataset
from geolib.images import ImageSource, open_rgb
from geolib.plots import maps
from geolib.predict import Geolocator, Prediction, Seen
from geolib.sphere import geoscore, haversine_km, in_words

UPLOAD_BYTES = 10_000_000  # Jupyter's web socket takes 10 MiB a message and drops what is longer
_PER_PAGE, _MOST_SAMPLES = 10, 40
_SIDE, _THUMB = 512, 96  # pixels of the picture shown and of a thumbnail
_RULES = {
    "consistency": (
        "Consistency filter",
        "The article's rule: each ticked coarse level marks down the finest cells that lie outside its own best cells.",
    ),
    "product": (
        "Product of the levels",
        "The probabilities of all ticked levels are multiplied. They judge the same picture, so this is surer than "
        "it should be.",
    ),
    "finest": ("Finest level alone", "Only the finest head speaks; the coarse levels have no say."),
    "leaf": (
        "Leaf sums",
        "The same map as the finest level alone: coarse cells are sums of the finest, as in the table below for every "
        "rule.",
    ),
}
_USES_LEVELS = ("consistency", "product")


@dataclass(frozen=True, eq=False)
class _Picture:
    """What is on show: a photo of the dataset or None, title, pixels, what the model saw, and the place if known."""

    photo: str | None
    title: str
    image: Image.Image
    seen: Seen
    truth: tuple[float, float] | None


class PredictionDemo:
    """A picture, a map, a table: what the model makes of a sample or of one's own picture. Display it in a notebook.

    model: a fitted `Geolocator`. dataset: where the samples and their true places come from.
    samples: ids of photos to choose from; default: those of the test side that ship with the dataset, else 40 drawn
        from it at random.

    The picture goes through the encoder once; rule, levels and number of guesses only ask the heads' answers anew.
    The truth is hidden until it is asked for, and hidden again with the next picture. What is uploaded stays in the
    kernel's memory: nothing is written to disk, and only its pixels are looked at. Its parts are public, for use from
    code: `choose(id)`, `open(data, name)`, `rule`, `levels`, `top_k`, `closeup`, `truth`, and `prediction`.
    """

    def __init__(self, model: Geolocator, dataset: Dataset, samples: Sequence[str] | None = None) -> None:
        self.model, self.dataset = model, dataset
        self.samples = list(samples) if samples is not None else _default_samples(model, dataset)
        if not self.samples:
            raise ValueError("no samples: name at least one photo of the dataset")
        self._codes = country_of(*model.tree.centers(-1))
        self._page = 0
        self._make_controls()
        self._make_outputs()
        self.box = self._arranged()
        self.choose(self.samples[0])
        self._show_page()
        self._listen()

    # What a reader or a test does

    def choose(self, photo: str) -> None:
        """Show a photo of the dataset. Raises `ValueError` for an unknown id."""
        path = self.dataset.path(photo)
        lat, lon = self.dataset.photos.loc[photo, ["lat", "lon"]].to_numpy(dtype=float)
        number = f"Sample {self.samples.index(photo) + 1}" if photo in self.samples else "Sample"
        credit = self.dataset.credits([photo]).removeprefix("1 photo: ")
        self._take(path, f"{number} ({credit})", photo, (float(lat), float(lon)))

    def open(self, data: bytes, name: str = "your picture") -> None:
        """Show a picture given as the bytes of a file; one that cannot be shown is explained in `message`."""
        try:
            if len(data) > UPLOAD_BYTES:
                raise ImageError(
                    f"the bytes given is too large ({len(data) / 1e6:.1f} MB; the limit is {UPLOAD_BYTES / 1e6:.0f} "
                    "MB): save it smaller, 1,000 pixels across are plenty"
                )
            self._take(data, f"Your picture: {name}")
        except ImageError as error:
            words = str(error).removeprefix("the bytes given ")
            self.message.value = page.alert(f"{name} {words}. Below is still the picture before it.")

    @property
    def prediction(self) -> Prediction:
        """The answer on show."""
        return self._prediction

    def _take(
        self, source: ImageSource, title: str, photo: str | None = None, truth: tuple[float, float] | None = None
    ) -> None:
        seen = self.model.see(source)
        image = open_rgb(source, min_side=_SIDE)
        image.thumbnail((_SIDE, _SIDE))
        self._picture = _Picture(photo, title, image, seen, truth)
        self.truth.disabled = truth is None
        if self.truth.value:
            self.truth.value = False  # which draws
        else:
            self._draw()
        self.message.value = ""
        self.picture.value = page.figure(image, title)
        self._mark_chosen()

    # What follows a change

    def _draw(self, _: Any = None) -> None:
        """Fusion, decoding, map, words and table of the picture on show; the encoder is not asked."""
        shown = self._picture
        levels = [level for level, tick in enumerate(self.levels) if tick.value]
        found = self.model.answer(shown.seen, self.top_k.value, fusion=self.rule.value, levels=levels)
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
            return "Where your own picture was taken, only you know."
        if not self.truth.value:
            return "Hidden. Guess first."
        km = float(haversine_km(*truth, self._prediction.lat, self._prediction.lon))
        where = country_name(str(country_of(*truth)[0])) or "the open sea"
        score = f"GeoScore {float(geoscore(km)):,.0f} of 5,000"
        return f"{where}, {in_words(*truth)}. The best guess is {km:,.0f} km off: {score}."

    def _table(self) -> str:
        """The likeliest cells of every level: after fusion, and by that level's head alone."""
        tree, found = self.model.tree, self._prediction
        heat = self.model.fusion_options.get("temperatures") or [1.0] * tree.n_levels
        blocks = []
        for level, mass in enumerate(found.levels):
            alone = softmax(self._picture.seen.logits[level][0].astype(float) / heat[level])
            best = np.argsort(-mass, kind="stable")[: self.top_k.value]
            countries = _countries(found.posterior, tree.ancestors[:, level], self._codes)
            rows = [(country_name(countries[cell]) or "open sea", mass[cell], alone[cell]) for cell in best]
            blocks.append(page.level_table(_level_name(tree.n_cells, level), rows))
        return (
            "<h4>Candidates by level</h4>"
            + page.note(
                "A cell is named after its likeliest country. <b>Fused</b>: after the rule. <b>Head</b>: what the "
                "head of this level said alone."
            )
            + f"<div class='geolib-levels'>{''.join(blocks)}</div>"
        )

    def _uploaded(self, change: Mapping[str, Any]) -> None:
        for file in change["new"]:
            self.open(bytes(file["content"]), str(file["name"]))
        if change["new"]:
            self.upload.value = ()  # so that the same file can be chosen again, and nothing is kept

    # Samples

    def _page_ids(self) -> list[str]:
        start = self._page * _PER_PAGE
        return self.samples[start : start + _PER_PAGE]

    def _turn_page(self, _: Any) -> None:
        self._page = (self._page + 1) % -(-len(self.samples) // _PER_PAGE)
        self._show_page()

    def _show_page(self) -> None:
        """Show a page of samples: their pictures are the backgrounds of buttons, set by a style sheet."""
        rules = []
        ids = self._page_ids()
        for place, button in enumerate(self.thumbs):
            button.layout.display = None if place < len(ids) else "none"
            if place < len(ids):
                image = open_rgb(self.dataset.path(ids[place]), min_side=_THUMB)
                image.thumbnail((_THUMB, _THUMB))
                button.tooltip = f"Show sample {self._page * _PER_PAGE + place + 1}"
                rules.append(
                    f".{self._thumb_class(place)} {{background-image: url({page.data_uri(image)}) !important}}"
                )
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
        tree, wide = self.model.tree, {"description_width": "90px"}
        full = widgets.Layout(width="100%", margin="2px 0")
        self.thumb_style = widgets.HTML(layout=widgets.Layout(display="none"))
        self.thumbs = [widgets.Button(tooltip="Show sample") for _ in range(_PER_PAGE)]
        for place, button in enumerate(self.thumbs):
            button.add_class("geolib-thumb").add_class(self._thumb_class(place))
        self.more = widgets.Button(description="Other samples", tooltip="Show other samples to choose from")
        self.upload = widgets.FileUpload(
            accept=".jpg,.jpeg,.png,.webp", description="Upload a picture", tooltip="Upload a JPEG, PNG or WEBP file"
        )
        options = [(words, rule) for rule, (words, _) in _RULES.items()]
        self.rule = widgets.Dropdown(
            options=options, value=self.model.fusion, description="Fusion rule", style=wide, layout=full
        )
        self.levels = [
            widgets.Checkbox(value=True, indent=False, description=f"{tree.n_cells[level]:,} cells")
            for level in range(tree.n_levels)
        ]
        for tick in self.levels:
            tick.tooltip = "Does this level take part in the fusion?"
            tick.layout = widgets.Layout(width="auto", margin="0")
        self.levels[-1].disabled = True
        self.levels[-1].tooltip = "The finest level always takes part"
        self.top_k = widgets.IntSlider(
            5, 1, 10, description="Best guesses", continuous_update=False, style=wide, layout=full
        )
        self.closeup = widgets.Checkbox(value=False, indent=False, description="Close-up, where the guesses are near")
        self.closeup.layout = widgets.Layout(width="auto")
        self.truth = widgets.ToggleButton(
            description="Show the truth", tooltip="Where it really is, how far off the guess is, and the GeoScore"
        )

    def _make_outputs(self) -> None:
        names = ("message", "picture", "rule_note", "truth_note", "sentence", "map", "table")
        self.message, self.picture, self.rule_note, self.truth_note, self.sentence, self.map, self.table = (
            widgets.HTML(layout=widgets.Layout(width="100%", margin="0")) for _ in names
        )

    def _arranged(self) -> Any:
        """Everything in its place: two columns where there is room, else one."""
        note = (
            f"JPEG, PNG or WEBP, up to {UPLOAD_BYTES / 1e6:.0f} MB: Jupyter drops larger files without a word. It "
            "stays in this notebook's memory; only its pixels are used."
        )
        choose = _row([*self.thumbs, self.more])
        send = _row([self.upload, widgets.HTML(page.note(note)).add_class("geolib-hint")])
        label = widgets.HTML("<span class='geolib-label'>Levels</span>", layout=widgets.Layout(margin="2px 0"))
        ticks = widgets.HBox([label, widgets.Box(self.levels).add_class("geolib-ticks")])
        settings = widgets.VBox([_heading("Settings"), self.rule, ticks, self.rule_note, self.top_k, self.closeup])
        shown = widgets.VBox([_heading("The picture"), self.picture, self.truth, self.truth_note])
        left = _row([shown, settings])
        right = widgets.VBox([_heading("The answer"), self.sentence, self.map, self.table])
        main = _row([left, right])
        for part, name in [(shown, "shown"), (settings, "settings"), (left, "left"), (right, "right"), (main, "main")]:
            part.add_class(f"geolib-{name}")
        parts = [
            widgets.HTML(f"<style>{page.STYLE}</style>", layout=widgets.Layout(display="none")),
            self.thumb_style,
            _heading("Choose a sample, or upload your own picture"),
            choose,
            send,
            self.message,
            main,
        ]
        return widgets.VBox(parts).add_class("geolib-demo")

    def _listen(self) -> None:
        for button in self.thumbs:
            button.on_click(self._clicked)
        self.more.on_click(self._turn_page)
        self.upload.observe(self._uploaded, "value")
        for control in (self.rule, *self.levels, self.top_k, self.closeup, self.truth):
            control.observe(self._draw, "value")

    # Display

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and a static picture of what it shows for readers of a notebook without a kernel."""
        fig, _ax = self._map(self._picture.image)
        words = f"Prediction demo, static view. {plots.alt_text(fig)}"
        data = {**self.box._repr_mimebundle_(), "image/png": plots.png(fig, dpi=80), "text/plain": words}
        return data, {"image/png": {"alt": words}}


def _default_samples(model: Geolocator, dataset: Dataset) -> list[str]:
    """Photos of the split's test sides: those whose pictures ship with the clone, else some drawn at random."""
    sides = dataset.split(model.training.get("split", "safe"), model.training.get("seed", 0))
    test = sides.index[sides.str.startswith("test")]
    if dataset.name == "postcards":
        shipped = {path.stem for path in data_path("postcards", "samples").glob("*.jpg")}
        return [photo for photo in test if photo in shipped]
    shuffled = pd.Series(test).sample(frac=1, random_state=0)
    return list(islice((photo for photo in shuffled if _is_readable(dataset, photo)), _MOST_SAMPLES))


def _is_readable(dataset: Dataset, photo: str) -> bool:
    try:
        open_rgb(dataset.path(photo), min_side=64)
    except ImageError:
        return False
    return True


def _countries(posterior: Any, ancestors: Any, codes: Any) -> dict[int, str]:
    """Of each cell of a level: the country that holds most of its probability."""
    frame = pd.DataFrame({"cell": ancestors, "country": codes, "mass": posterior})
    mass = frame.groupby(["cell", "country"])["mass"].sum().reset_index()
    best = mass.sort_values("mass", kind="stable").groupby("cell")["country"].last()
    return {int(str(cell)): str(code) for cell, code in best.items()}


def _level_name(n_cells: Sequence[int], level: int) -> str:
    end = ", finest" if level == len(n_cells) - 1 else ", coarsest" if level == 0 else ""
    return f"{n_cells[level]:,} cells{end}"


def _heading(words: str) -> Any:
    return widgets.HTML(f"<h4>{words}</h4>", layout=widgets.Layout(width="100%", margin="0"))


def _row(children: Sequence[Any]) -> Any:
    """Side by side where there is room, else below each other."""
    return widgets.HBox(children).add_class("geolib-row")
