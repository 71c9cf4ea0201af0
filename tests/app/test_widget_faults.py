"""The prediction demo with files that vanish, uploads that are refused, and arguments that are not files."""

import importlib.util
import io
import re

import numpy as np
import pandas as pd
import pytest
from handmade import picture
from PIL import Image
from tiny import album, world, write_encoder

from geolib.app.widget import UPLOAD_PIXELS, PredictionDemo
from geolib.common.errors import ImageError
from geolib.encoder import Encoder
from geolib.heads import TrainOptions
from geolib.predict import Geolocator

STILL = "The picture below is still the previous one."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    encoder = Encoder.load(write_encoder(tmp_path_factory.mktemp("encoder")), device="cpu")
    how = {"cells_per_level": (4, 8, 24), "options": TrainOptions(epochs=2), "device": "cpu"}
    return Geolocator.fit(encoder, *world(), calibration=world(200, seed=1), **how)


@pytest.fixture
def dataset(tmp_path):
    return album(tmp_path, photographer="", licence="CC0", author="Ada", source="", split="test")


def upload(demo, *files):
    rows = [{"name": name, "type": "", "size": len(data), "content": memoryview(data)} for name, data in files]
    demo.upload.value = tuple({**row, "last_modified": pd.Timestamp(0).to_pydatetime()} for row in rows)


def test_a_sample_whose_file_vanished_says_so_and_the_picture_before_stays(demo, dataset):
    before = demo.picture.value, demo.sentence.value
    dataset.path("p03").unlink()
    demo.thumbs[3].click()
    assert "Sample 4 cannot be shown: " in demo.message.value and "p03.jpg does not exist" in demo.message.value
    assert 'role="alert"' in demo.message.value and STILL in demo.message.value
    assert (demo.picture.value, demo.sentence.value) == before and "geolib-on" in demo.thumbs[0]._dom_classes
    demo.thumbs[4].click()
    assert demo.message.value == "" and "Sample 5 " in demo.picture.value
    dataset.path("p11").write_bytes(b"no picture")
    demo.more.click()
    assert [button.tooltip for button in demo.thumbs[:2]] == ["Show sample 11", "Sample 12 cannot be shown"]
    demo.thumbs[1].click()
    assert "Sample 12 cannot be shown" in demo.message.value


def test_the_demo_begins_with_the_first_sample_that_can_be_read(model, dataset):
    for photo in ("p00", "p01"):
        dataset.path(photo).unlink()
    assert "Sample 3 " in PredictionDemo(model, dataset, ["p00", "p01", "p02"]).picture.value
    with pytest.raises(ImageError, match="none of the 2 samples of tiny can be read"):
        PredictionDemo(model, dataset, ["p00", "p01"])


@pytest.mark.parametrize("order", [0, 1])
def test_a_refusal_is_not_wiped_by_the_next_picture_of_the_upload(demo, order):
    files = [("<b>torn</b>.jpg", picture()[:600]), ("whole.jpg", picture(3))]
    upload(demo, *(files if order == 0 else files[::-1]))
    assert "&lt;b&gt;torn&lt;/b&gt;.jpg is damaged or cut short" in demo.message.value
    assert "The picture below is whole.jpg." in demo.message.value and STILL not in demo.message.value
    assert "Your picture: whole.jpg" in demo.picture.value and demo.upload.value == ()


def test_every_refusal_of_an_upload_is_said(demo):
    upload(demo, ("one.jpg", b""), ("two.gif", b"GIF89a" + bytes(30)))
    assert "one.jpg is empty" in demo.message.value and "two.gif is not a JPEG" in demo.message.value
    assert STILL in demo.message.value
    upload(demo, ("whole.jpg", picture(3)))
    assert demo.message.value == ""


@pytest.mark.parametrize("what", [None, "photo.jpg", 5, np.zeros((4, 4, 3), np.uint8)])
def test_what_is_not_bytes_is_a_clear_error(demo, what):
    before = demo.picture.value
    with pytest.raises(
        ValueError, match=f"^{type(what).__name__}: expected the bytes of an image file; `choose` shows a sample"
    ):
        demo.open(what)
    assert demo.picture.value == before


def large(kind):
    """A file of more pixels than the demo takes."""
    stream, side = io.BytesIO(), int(UPLOAD_PIXELS**0.5) + 100
    noise = Image.effect_noise((side // 64, side // 64), 90).resize((side, side), Image.Resampling.NEAREST)
    noise.save(stream, kind, quality=30)
    return stream.getvalue()


def test_a_large_jpeg_is_decoded_at_a_smaller_size(demo):
    demo.open(large("JPEG"), "large.jpg")
    assert demo.message.value == "" and "large.jpg" in demo.picture.value


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_demo_takes_fewer_pixels_than_geolib_does(demo, kind):
    demo.open(large(kind), "large.png")
    assert "large.png has too many pixels" in demo.message.value
    assert f"over the limit of {UPLOAD_PIXELS:,}" in demo.message.value


def test_an_unfamiliar_picture_gets_no_probability_anywhere(demo, model, monkeypatch):
    monkeypatch.setattr(model.familiarity.__class__, "distance", lambda self, vectors: np.array([0.1]))
    demo.thumbs[1].click()
    alt = re.search('alt="(.+?)"', demo.map.value)[1]
    assert "%" in alt and " %</td>" in demo.table.value
    monkeypatch.setattr(model.familiarity.__class__, "distance", lambda self, vectors: np.array([99.0]))
    demo.thumbs[2].click()
    alt = re.search('alt="(.+?)"', demo.map.value)[1]
    assert alt.startswith("Map of one prediction; best guesses: 1 ") and "%" not in alt
    assert "%" not in re.sub("<style.*?</style>", "", demo.table.value) and "<td>?</td>" in demo.table.value
    assert "%" not in demo._repr_mimebundle_()[0]["text/plain"]


# HEIC


def test_heic_can_be_chosen(demo):
    assert {".heic", ".heif", ".jpg", ".png", ".webp"} <= set(demo.upload.accept.split(","))


def test_heic_is_refused_in_words_where_pillow_heif_is_missing(demo, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    upload(demo, ("IMG_1.HEIC", b"\x00\x00\x00\x18ftypheic" + bytes(100)))
    assert "IMG_1.HEIC is a HEIC photo: `pip install pillow-heif` to read it" in demo.message.value


@pytest.mark.skipif(not importlib.util.find_spec("pillow_heif"), reason="pillow-heif is an extra")
def test_heic_is_shown_where_pillow_heif_is_installed(demo, model):
    import pillow_heif

    stream = io.BytesIO()
    pillow_heif.from_pillow(Image.open(io.BytesIO(picture(3)))).save(stream)
    upload(demo, ("IMG_1.HEIC", stream.getvalue()))
    assert demo.message.value == "" and "Your picture: IMG_1.HEIC" in demo.picture.value
    assert demo.prediction.lat == model.predict(stream.getvalue()).lat


@pytest.mark.parametrize("what", [None, [], {}, slice(None), np.array(["a"])])
def test_what_is_no_id_cannot_be_chosen(demo, what):
    with pytest.raises(ValueError, match="expected the id of a photo"):
        demo.choose(what)
