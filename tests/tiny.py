"""A small encoder and a small world, so that whole pipelines run in a second."""

import json

import numpy as np
import torch

from geolib import sphere
from geolib.common.files import write_tensors
from geolib.openclip.torchvision import import_open_clip

WORDS = ["beach", "city", "desert", "forest", "snow"]


def write_encoder(folder, seed=0, dim=16):
    """A model folder with random weights, as `Encoder.load` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = {
        "embed_dim": dim,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": len(WORDS) + 4, "width": 16, "heads": 2, "layers": 1},
    }
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        weights = import_open_clip().CLIP(**shape).state_dict()
    write_tensors(folder / "open_clip_model.safetensors", {name: x.half().numpy() for name, x in weights.items()})
    preprocess = {
        "size": 32,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    config = {"model_cfg": shape, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    (folder / "vocab.json").write_text(json.dumps({"vocabulary": WORDS, "context_length": 8}))
    return folder


def world(n=600, dim=16, seed=0):
    """Embeddings (n, dim) that tell something of their places, around four towns: (vectors, lat, lon)."""
    rng = np.random.default_rng(seed)
    towns = np.array([[48.0, 2.0], [35.0, 139.0], [-33.0, 151.0], [40.0, -100.0]])[rng.integers(0, 4, n)]
    lat, lon = (towns + rng.normal(0, 3, (n, 2))).T
    look = np.random.default_rng(99).normal(
        size=(3, dim)
    )  # the same for every seed: it is the world's, not the photos'
    vectors = sphere.unit_vectors(lat, lon) @ look + rng.normal(0, 0.3, (n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), lat, lon
