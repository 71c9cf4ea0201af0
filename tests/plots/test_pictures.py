"""Figures as files and in a notebook, and photos with their titles and answers."""

import base64
import io

import numpy as np
import pyproj
import pytest
from PIL import Image

from geolib.plots import ground, pictures

EQUAL_EARTH = pyproj.Transformer.from_crs("EPSG:4326", "+proj=eqearth +ellps=WGS84", always_xy=True)
PHOTO = np.zeros((30, 40, 3), np.uint8)


def test_names_with_dollars_are_no_formulas():
    fig, _ = pictures.plot_pictures([PHOTO], ["Eve $x_{ $ & Co"])
    assert ground.png(fig, 20).startswith(b"\x89PNG")


def test_the_palette_keeps_the_colours_of_truth_and_prediction(figures):
    picture = Image.open(io.BytesIO(ground.png(figures["close-up"][0])))
    assert picture.mode == "P"
    colors = {color for _, color in picture.convert("RGB").getcolors(1000)}
    assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
    for style in (ground.TRUTH, ground.PREDICTION):
        assert tuple(int(style["color"][i : i + 2], 16) for i in (1, 3, 5)) in colors


def test_a_photo_in_the_figure_keeps_all_its_colours(figures):
    assert Image.open(io.BytesIO(ground.png(figures["prediction"][0], 30))).mode == "RGB"


def test_a_palette_keeps_drawings_small_and_is_not_forced_on_photographs():
    fig, _ = pictures.plot_pictures([PHOTO])
    full, small = (Image.open(io.BytesIO(ground.png(fig, 40, palette=palette))) for palette in (False, True))
    assert (full.mode, small.mode) == ("RGB", "P")
    assert full.size == small.size


def test_show_gives_the_notebook_a_picture_with_its_description(figures, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    fig, _ = figures["photos"]
    ground.show(fig)
    data, metadata = shown[0]._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (1210, 671)
    assert metadata["image/png"]["alt"] == ground.alt_text(fig) == "World map with the places of 2,800 photos."


def test_pictures_stand_in_rows_with_their_titles():
    fig, axes = pictures.plot_pictures([PHOTO] * 5, list("abcde"), columns=3)
    assert axes.shape == (2, 3)
    assert [ax.texts[0].get_text() for ax in axes.flat if ax.texts] == list("abcde")
    assert "a; b; c; d; e" in ground.alt_text(fig)
    for images, titles in (([], []), ([PHOTO], ["a", "b"])):
        with pytest.raises(ValueError, match="expected at least one"):
            pictures.plot_pictures(images, titles)


def test_titles_of_two_lines_have_room_below_their_pictures():
    fig, axes = pictures.plot_pictures([PHOTO] * 4, ["Lyon\n120 km", "Nice\n8 km"] * 2, columns=2)
    fig.canvas.draw()
    for upper, lower in zip(*axes, strict=True):
        assert upper.texts[0].get_window_extent().y0 > lower.get_window_extent().y1
        assert lower.texts[0].get_window_extent().y0 > 0
    assert "Lyon, 120 km; Nice, 8 km" in ground.alt_text(fig)


def test_answers_mark_each_truth_and_guess_with_the_distance_below_the_picture():
    true = (np.array([48.9, 40.7, -36.8, -17.7]), np.array([2.4, -74.0, 174.8, -179.9]))
    guess = (true[0] + 1, true[1])
    fig, ax = pictures.plot_answers([PHOTO] * 4, true, guess)
    discs, stars = (c.get_offsets() for c in ax.collections[-2:])
    for marks, (lat, lon) in ((stars, true), (discs, guess)):
        assert np.allclose(marks, np.column_stack(EQUAL_EARTH.transform(lon, lat)), atol=100)
    below = sorted(axes.texts[0].get_text() for axes in fig.axes if axes.images)
    assert below == ["111 km off"] * 4
    assert "median error is 111 km" in ground.alt_text(fig)
    with pytest.raises(ValueError, match="3 pictures of 3 places: expected as many, an even number"):
        pictures.plot_answers([PHOTO] * 3, (true[0][:3], true[1][:3]), (guess[0][:3], guess[1][:3]))
