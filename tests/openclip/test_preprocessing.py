"""Preprocessing against open_clip's own, for images of all shapes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny import PREPROCESSING

from geolib.common.errors import CorruptFileError
from geolib.images import open_rgb
from geolib.openclip.model import Preprocessing
from geolib.openclip.torchvision import import_open_clip


def picture(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def largest_difference(preprocessing, pixels):
    """Between geolib's input and open_clip's for one image."""
    import_open_clip()
    from open_clip.transform import image_transform

    options = vars(preprocessing) | {"is_train": False, "image_size": preprocessing.size}
    del options["size"]
    expected = image_transform(**options)(Image.fromarray(pixels))
    got = preprocessing.normalise(torch.from_numpy(preprocessing.crop(pixels)[None].copy()))[0]
    assert got.shape == expected.shape == (3, preprocessing.size, preprocessing.size)
    return (got - expected).abs().max()


FILTERS, MODES = st.sampled_from(["bicubic", "bilinear"]), st.sampled_from(["shortest", "squash"])


@given(st.integers(1, 300), st.integers(1, 300), FILTERS, MODES)
def test_preprocessing_is_open_clips(height, width, interpolation, resize_mode):
    if max(height, width) > 60 * min(height, width):  # there open_clip makes an image of gigabytes
        height = width
    preprocessing = Preprocessing(32, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), interpolation, resize_mode)
    assert largest_difference(preprocessing, picture(height * 1000 + width, height, width)) < 1e-5


@pytest.mark.parametrize("shape", [(480, 640), (683, 1024), (1024, 576), (224, 224), (60, 90), (900, 230)])
def test_preprocessing_of_the_articles_encoder_is_open_clips(shape):
    tag = import_open_clip().get_pretrained_cfg("ViT-L-14", "openai")
    config = {"size": 224} | {key: tag[key] for key in ("mean", "std", "interpolation", "resize_mode")}
    assert largest_difference(Preprocessing.of(config, "ViT-L-14"), picture(1, *shape)) < 1e-5


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes_need_no_gigabytes(shape):
    pixels = picture(1, *shape)
    crop = Preprocessing.of(PREPROCESSING, "test").crop(pixels)
    assert crop.shape == (32, 32, 3)
    middle = pixels[(pixels.shape[0] - 1) // 2, (pixels.shape[1] - 1) // 2]
    assert (crop == middle).all() or shape != (1, 1)


def test_an_image_decoded_at_a_fraction_of_its_size_gives_nearly_the_same_crop(tmp_path):
    rows, columns = np.mgrid[0:600, 0:800]
    pixels = np.stack([rows / 3, columns / 4, 128 + 100 * np.sin(rows / 90 + columns / 70)], 2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.jpg", quality=95)
    small, preprocessing = open_rgb(tmp_path / "large.jpg", min_side=64), Preprocessing.of(PREPROCESSING, "test")
    assert min(small.size) < 600
    whole, reduced = (preprocessing.crop(source).astype(int) for source in (tmp_path / "large.jpg", small))
    assert 0 < np.abs(whole - reduced).max() <= 4


@pytest.mark.parametrize(
    "change",
    [
        {"size": [48, 64]},
        {"size": 0},
        {"size": None},
        {"mean": [0.5, 0.5]},
        {"std": [0.2, 0.0, 0.2]},
        {"interpolation": "random"},
        {"resize_mode": "longest"},
    ],
)
def test_a_wrong_or_missing_value_is_refused(change):
    with pytest.raises(CorruptFileError, match="here"):
        Preprocessing.of(PREPROCESSING | change, "here")
    with pytest.raises(CorruptFileError, match="here"):
        Preprocessing.of({key: value for key, value in PREPROCESSING.items() if key not in change}, "here")
