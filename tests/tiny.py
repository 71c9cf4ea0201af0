"""A small encoder and a small world, so that whole pipelines run in a second."""

import copy

import numpy as np
import pandas as pd
import torch
from handmade import picture

from geolib import sphere
from geolib.common.files import write_json, write_tensors
from geolib.datasets import Dataset
from geolib.embed import embed_photos
from geolib.openclip.torchvision import import_open_clip

WORDS = ["beach", "city", "desert", "forest", "snow"]
PREPROCESSING = {
    "size": 32,
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}


def model_shape(dim=16, **vision):
    """open_clip's `model_cfg` of a tiny CLIP; `vision` replaces its image encoder, a vision transformer."""
    transformer = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": len(WORDS) + 4, "width": 16, "heads": 2, "layers": 1}
    return {"embed_dim": dim, "vision_cfg": {"image_size": 32} | (vision or transformer), "text_cfg": text}


def write_encoder(folder, seed=0, dim=16, shape=None, preprocessing=PREPROCESSING):
    """A model folder with random weights, as `Encoder.load` takes it."""
    shape = shape or model_shape(dim)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        weights = import_open_clip().CLIP(**shape).state_dict()
    half = {name: (x.half() if x.is_floating_point() else x).numpy() for name, x in weights.items()}
    write_tensors(folder / "open_clip_model.safetensors", half)
    write_json(folder / "open_clip_config.json", {"model_cfg": shape, "preprocess_cfg": preprocessing})
    write_json(folder / "vocab.json", {"vocabulary": WORDS, "context_length": 8})
    return folder


def write_store(folder, ids, vectors, encoder):
    """The store that `embed_photos` would make if the encoder gave these unit vectors."""
    given = iter(torch.split(torch.tensor(vectors), 64))
    stand_in = copy.copy(encoder)
    stand_in.forward = lambda crops: next(given)
    images = [np.zeros((4, 4, 3), np.uint8)] * len(ids)
    return embed_photos(stand_in, images, ids, folder, batch_size=64, workers=0)


def album(folder, n=12, **columns):
    """A dataset of n small pictures around the towns of `world`; `columns` are further ones of its table."""
    _, lat, lon = world(n, seed=5)
    photos = pd.DataFrame({"lat": lat, "lon": lon}, index=[f"p{i:02d}" for i in range(n)])
    for number, photo in enumerate(photos.index):
        (folder / f"{photo}.jpg").write_bytes(picture(number))
    return Dataset("tiny", photos.assign(**columns), lambda photo: folder / f"{photo}.jpg")


def world(n=600, dim=16, seed=0):
    """Embeddings (n, dim) that say something about their places, around four towns: (vectors, lat, lon)."""
    rng = np.random.default_rng(seed)
    towns = np.array([[48.0, 2.0], [35.0, 139.0], [-33.0, 151.0], [40.0, -100.0]])[rng.integers(0, 4, n)]
    lat, lon = (towns + rng.normal(0, 3, (n, 2))).T
    look = np.random.default_rng(99).normal(size=(3, dim))  # of the world, not of its photos: the same for every seed
    vectors = sphere.unit_vectors(lat, lon) @ look + rng.normal(0, 0.3, (n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), lat, lon
