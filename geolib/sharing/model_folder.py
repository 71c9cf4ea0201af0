"""The files of a saved model."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from geolib._version import __version__
from geolib.common.errors import CorruptFileError, MissingDataError
from geolib.common.files import read_json, sha256_file

_FORMAT = "geolib-model/2"
_FILES = ("tree.safetensors", "heads.safetensors", "familiar.safetensors")
MODEL_FILES = ("model.json", *_FILES, "README.md")  # all that a model's folder holds


def check_target(folder: str | os.PathLike[str]) -> Path:
    """The folder for a model, absolute. Raises `ValueError` when something that is not a model is there."""
    target = Path(folder).resolve()
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / "model.json").is_file()):
        raise ValueError(f"{target} exists and is not a model folder: choose another name")
    return target


def _names_an_encoder(encoder: dict[str, Any]) -> bool:
    pretrained, weights = encoder.get("pretrained"), encoder.get("weights", {})
    texts = [encoder.get("name"), encoder.get("fingerprint"), *([] if pretrained is None else [pretrained])]
    return "pretrained" in encoder and isinstance(weights, dict) and all(isinstance(text, str) for text in texts)


def versions() -> dict[str, str]:
    """Versions of what a prediction depends on."""
    packages = ("torch", "open_clip_torch", "numpy", "pillow")
    return {"geolib": __version__, "python": platform.python_version()} | {p: version(p) for p in packages}


def _checksum(model: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()


def read_model(folder: Path) -> dict[str, Any]:
    """The content of model.json, and the other files' hashes checked. This finds damage; it is no signature."""
    path = folder / "model.json"
    try:
        model = read_json(path)
    except RecursionError as error:
        raise CorruptFileError(
            f"{path} is nested too deeply to be a model: restore it, or save the model again"
        ) from error
    if not isinstance(model, dict) or model.pop("checksum", None) != _checksum(model):
        raise CorruptFileError(f"{path} was changed after it was saved: restore it, or save the model again")
    kinds: dict[str, type] = {"format": str, "fusion": str, "decoding": str}
    kinds |= dict.fromkeys(["encoder", "fusion_options", "training", "files"], dict)
    wrong = [name for name, kind in kinds.items() if not isinstance(model.get(name), kind)]
    wrong += [name for name in ("figures",) if not isinstance(model.get(name, {}), dict)]  # not in older models
    if wrong or model["format"] != _FORMAT or not _names_an_encoder(model["encoder"]):
        raise CorruptFileError(f"{path} is not of format {_FORMAT} ({', '.join(wrong)}): fit and save the model again")
    for name in _FILES:
        if not (folder / name).is_file():
            raise MissingDataError(f"{folder / name} is missing: restore it, or save the model again")
        if sha256_file(folder / name) != model["files"].get(name):
            raise CorruptFileError(
                f"{folder / name} was cut short, changed, or is of another model: restore it, or save the model again"
            )
    return model
