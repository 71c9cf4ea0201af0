"""The prediction demo without a browser: what its parts say after each thing that a reader can do."""

import io
import re
import warnings
from base64 import b64decode
from dataclasses import replace
from html import escape

import numpy as np
import pandas as pd
import pytest
from handmade import picture
from PIL import Image
from tiny import album, world, write_encoder

from geolib.app.widget import UPLOAD_BYTES, PredictionDemo, default_samples
from geolib.datasets import open_dataset
from geolib.encoder import Encoder
from geolib.fusion import RULES
from geolib.heads import TrainOptions
from geolib.predict import Geolocator

N = 12


def heic():
    stream = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(Image.open(io.BytesIO(picture(7)))).save(stream)
    return stream.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    encoder = Encoder.load(write_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")
    return Geolocator.fit(
        encoder,
        *world(),
        calibration=world(200, seed=1),
        cells_per_level=(4, 8, 24),
        options=TrainOptions(epochs=5),
        device="cpu",
    )


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    columns = {"photographer": "ada", "licence": "CC0", "author": "Ada <&> Co", "source": "test", "split": "test"}
    return album(tmp_path_factory.mktemp("pictures"), N, **columns)


def map_png(demo):
    data, alt = re.fullmatch(r'<img src="data:image/png;base64,(.*?)" alt="(.+?)">', demo.map.value).groups()
    image = b64decode(data)
    assert image.startswith(b"\x89PNG") and Image.open(io.BytesIO(image)).size[0] > 200
    return image, alt


def upload(demo, content, name):
    file = {"name": name, "type": "image/jpeg", "size": len(content), "content": memoryview(content)}
    demo.upload.value = ({**file, "last_modified": pd.Timestamp(0).to_pydatetime()},)


def test_the_first_sample_is_shown_with_map_words_and_table(demo, model):
    image, alt = map_png(demo)
    assert alt.startswith("Map of one prediction; best guesses: 1 ")
    assert escape(demo.prediction.guess()) in demo.sentence.value
    assert "Sample 1 (Ada &lt;&amp;&gt; Co, CC0, test)" in demo.picture.value
    assert demo.table.value.count("<table>") == 3
    coarsest, middle, finest = model.tree.n_cells
    for name in (f"{coarsest} cells, coarsest", f"{middle} cells", f"{finest} cells, finest"):
        assert f"<caption>{name}</caption>" in demo.table.value
    assert demo.message.value == "" and not demo.truth.value
    assert all(text in demo.picture.value for text in ('alt="Sample 1', "data:image/jpeg;base64,"))
    demo.thumbs[3].click()
    assert map_png(demo)[0] != image


def test_a_click_on_a_thumbnail_shows_that_sample_and_marks_it(demo, model, dataset):
    demo.thumbs[3].click()
    assert "Sample 4 " in demo.picture.value
    assert demo.prediction.lat == model.predict(dataset.path("p03")).lat
    assert [("geolib-on" in button._dom_classes) for button in demo.thumbs] == [i == 3 for i in range(10)]
    demo.more.click()
    assert [button.tooltip for button in demo.thumbs[:2]] == ["Show sample 11", "Show sample 12"]
    assert [button.layout.display for button in demo.thumbs] == [None] * 2 + ["none"] * 8
    assert not any("geolib-on" in button._dom_classes for button in demo.thumbs)
    demo.thumbs[1].click()
    assert "Sample 12 " in demo.picture.value and "geolib-on" in demo.thumbs[1]._dom_classes
    demo.more.click()
    assert demo.thumbs[0].tooltip == "Show sample 1"


def test_rules_and_levels_change_the_answer_without_the_encoder(demo, model, dataset, monkeypatch):
    seen = model.see(dataset.path("p00"))
    monkeypatch.setattr(Encoder, "embed_images", None)  # a change must not look at the picture again
    maps = set()
    for rule in RULES:
        demo.rule.value = rule
        assert np.array_equal(demo.prediction.posterior, model.answer(seen, fusion=rule).posterior)
        assert [tick.disabled for tick in demo.levels] == [rule in ("finest", "leaf")] * 2 + [True]
        maps.add(map_png(demo)[0])
    assert len(maps) > 1
    assert {value for _, value in demo.rule.options} == set(RULES)
    demo.rule.value = "product"
    demo.levels[1].value = False
    assert np.array_equal(demo.prediction.posterior, model.answer(seen, fusion="product", levels=[0, 2]).posterior)
    demo.levels[0].value = False
    alone = model.answer(seen, fusion="finest").posterior
    assert np.allclose(demo.prediction.posterior, alone, atol=1e-6), "the finest always takes part"


def test_the_slider_sets_how_many_guesses_are_shown(demo):
    demo.top_k.value = 2
    assert len(demo.prediction.top) == 2
    assert demo.table.value.count('<th scope="row">') == 3 * 2
    assert " 3 " not in map_png(demo)[1]
    demo.closeup.value = True
    map_png(demo)


def test_the_truth_is_told_only_when_asked_for_and_hidden_again_with_the_next_picture(demo, dataset):
    assert "GeoScore" not in demo.truth_note.value and "truth" not in map_png(demo)[1]
    demo.truth.value = True
    lat, lon = dataset.photos.loc["p00", ["lat", "lon"]]
    assert f"{abs(lat):.2f}° {'NS'[lat < 0]}, {abs(lon):.2f}° {'EW'[lon < 0]}" in demo.truth_note.value
    assert re.search(r"is [\d,]+ km off: GeoScore [\d,]+ of 5,000", demo.truth_note.value)
    assert "The truth" in map_png(demo)[1]
    demo.thumbs[1].click()
    assert not demo.truth.value and "GeoScore" not in demo.truth_note.value


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIC"])
def test_an_uploaded_picture_is_answered_and_not_kept(demo, model, kind):
    demo.truth.value = True
    content = heic() if kind == "HEIC" else picture(7, kind)
    assert f".{kind.lower()}" in demo.upload.accept.split(","), "the dialogue of the browser offers such files"
    upload(demo, content, "<b>castle</b>.jpg")
    assert "Your picture: &lt;b&gt;castle&lt;/b&gt;.jpg" in demo.picture.value and "<b>" not in demo.picture.value
    assert demo.prediction.lat == model.predict(content).lat
    assert demo.truth.disabled and not demo.truth.value and "Only you know" in demo.truth_note.value
    assert demo.upload.value == ()
    demo.thumbs[0].click()
    assert not demo.truth.disabled


def test_an_animation_gives_its_first_frame(demo, model):
    later = [Image.new("RGB", (80, 60), color) for color in ("red", "blue")]
    upload(demo, picture(7, "WEBP", save_all=True, append_images=later, lossless=True), "film.webp")
    assert "film.webp" in demo.picture.value and demo.message.value == ""
    assert demo.prediction.lat == pytest.approx(model.predict(picture(7, "WEBP", lossless=True)).lat)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (picture()[:600], "torn.jpg is damaged or cut short"),
        (b"", "torn.jpg is empty"),
        (picture(kind="GIF"), "torn.jpg is not a JPEG, PNG or WEBP file"),
        (b"<script>alert(1)</script>", "&lt;script&gt;"),
        (picture(kind="PNG")[:16] + b"\0\0\x13\x88\0\0\x13\x89", "torn.jpg has too many pixels (5,000 x 5,001, over"),
        (b"\xff\xd8\xff" + bytes(UPLOAD_BYTES), "torn.jpg is too large (10.0 MB; the limit is 10 MB)"),
    ],
    ids=["torn", "empty", "gif", "script", "wide", "large"],
)
def test_what_cannot_be_shown_is_explained_and_the_picture_before_stays(demo, content, words):
    before = demo.picture.value, demo.map.value, demo.table.value
    upload(demo, content, "torn.jpg")
    assert words in demo.message.value and 'role="alert"' in demo.message.value and "<script" not in demo.message.value
    assert "The picture below is still the previous one." in demo.message.value
    assert (demo.picture.value, demo.map.value, demo.table.value) == before
    assert demo.upload.value == ()
    upload(demo, picture(3), "whole.jpg")
    assert demo.message.value == ""


def test_an_unfamiliar_picture_is_warned_of(demo, model, monkeypatch):
    monkeypatch.setattr(model.familiarity.__class__, "distance", lambda self, vectors: np.array([99.0]))
    demo.thumbs[2].click()
    assert "unlike the training images" in demo.sentence.value
    assert 'role="alert"' in demo.sentence.value and "If you still want a guess" in demo.sentence.value
    monkeypatch.setattr(model.familiarity.__class__, "distance", lambda self, vectors: np.array([0.1]))
    demo.thumbs[1].click()
    assert 'role="alert"' not in demo.sentence.value


def test_without_a_kernel_a_static_picture_with_alt_text_stands_in(demo):
    data, metadata = demo._repr_mimebundle_(include=None, exclude=None)
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == metadata["image/png"]["alt"]
    assert data["text/plain"].startswith("Prediction demo, static view. Map of one prediction")
    assert "truth" not in data["text/plain"]
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == demo.box.model_id


def test_every_picture_and_control_has_a_name(demo):
    for button in [*demo.thumbs, demo.more, demo.upload, demo.truth]:
        assert button.tooltip
    assert [demo.rule.description, demo.top_k.description] == ["Fusion rule", "Best guesses"]
    assert all(tick.description and tick.tooltip for tick in demo.levels)
    shown = demo.picture.value + demo.map.value
    assert len(re.findall(r"<img [^>]*alt=\"[^\"]+\"", shown)) == shown.count("<img ") == 2


def test_samples_are_of_the_test_side(model, dataset):
    drawn = dataset.photos.assign(split=["train"] * 8 + ["test"] * 4)
    assert sorted(default_samples(model, replace(dataset, photos=drawn))) == ["p08", "p09", "p10", "p11"]
    postcards = open_dataset("postcards")
    shipped = default_samples(model, postcards)
    assert len(shipped) == 40 and postcards.photos.loc[shipped, "split"].str.startswith("test").all()
    with pytest.raises(ValueError, match="no samples"):
        PredictionDemo(model, dataset, [])
    with pytest.raises(ValueError, match="no photo"):
        PredictionDemo(model, dataset, ["nobody"])


def test_nothing_warns_under_a_strict_interpreter(model, dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        demo = PredictionDemo(model, dataset, ["p01"])
    assert Image.open(io.BytesIO(map_png(demo)[0])).size == (1100, 610)
