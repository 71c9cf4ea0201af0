"""A saved model is a folder: `model.json`, three safetensors files, and `README.md`, the model card.

`model.json` holds the description of the model and the sha256 of the other files. The checksums find damage; they are
not a signature.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from geolib._version import __version__
from geolib.cells import Partition
from geolib.cells.kinds import load_partition
from geolib.common.errors import CorruptFileError, MismatchError, MissingDataError
from geolib.common.files import read_json, read_tensors, sha256_file, write_bytes, write_json, write_tensors
from geolib.encoder import Encoder
from geolib.familiar import Familiarity
from geolib.heads import HierarchicalHeads

FORMAT = "geolib-model/2"
_PARTS = ("tree.safetensors", "heads.safetensors", "familiar.safetensors")
MODEL_FILES = ("model.json", *_PARTS, "README.md")  # the whole content of a model folder


def save_model(
    folder: str | os.PathLike[str],
    description: Mapping[str, Any],
    tree: Partition,
    heads: HierarchicalHeads,
    familiarity: Familiarity,
    card: Callable[[Mapping[str, Any]], str],
) -> None:
    """Write a model into `folder`. The old model stays until the new one is complete.

    Parameters
    ----------
    description : the content of model.json that does not depend on the files, as JSON can hold it.
    card : makes the text of README.md from the whole content of model.json.
    """
    target = check_target(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        tree.save(new / "tree.safetensors")
        write_tensors(new / "heads.safetensors", {key: x.cpu().numpy() for key, x in heads.state_dict().items()})
        familiarity.save(new / "familiar.safetensors")
        model = {"format": FORMAT, **description, "versions": versions()}
        model["files"] = {name: sha256_file(new / name) for name in _PARTS}
        write_json(new / "model.json", model | {"checksum": checksum(model)})
        write_bytes(new / "README.md", card(model).encode())
        if target.exists():
            os.replace(target, old)
        os.replace(new, target)


def load_model(
    folder: str | os.PathLike[str], encoder: Encoder | None = None, device: str = "auto"
) -> tuple[dict[str, Any], Encoder, Partition, HierarchicalHeads, Familiarity]:
    """Read a model folder and check every file: (content of model.json, encoder, tree, heads, familiarity).

    `encoder` saves loading the one that model.json names.

    Raises
    ------
    MissingDataError, CorruptFileError : a file is missing, or was cut short or changed; the message names it.
    MismatchError : the model was trained on the embeddings of another encoder.
    """
    folder = Path(folder)
    model = read_model(folder)
    made_with = model["encoder"]
    if encoder is None:
        revision = made_with.get("weights", {}).get("revision")
        encoder = Encoder.load(made_with["name"], made_with["pretrained"], device, revision=revision)
    if encoder.fingerprint != made_with["fingerprint"]:
        raise MismatchError(
            f"{folder} was trained on embeddings of {made_with['name']} ({made_with['fingerprint'][:12]}), this "
            f"encoder is {encoder.name} ({encoder.fingerprint[:12]}): load that encoder, or fit the model again"
        )
    tree = load_partition(folder / "tree.safetensors")
    state = {key: torch.from_numpy(array) for key, array in read_tensors(folder / "heads.safetensors").items()}
    try:
        heads = HierarchicalHeads.of_state(state, tree)
    except RuntimeError as error:  # torch raises it for weights that are missing, unknown or of another shape
        raise CorruptFileError(f"{folder}: heads and tree do not fit together ({error})") from error
    return model, encoder, tree, heads, Familiarity.load(folder / "familiar.safetensors", encoder.dim)


def check_target(folder: str | os.PathLike[str]) -> Path:
    """Absolute path of a folder that a model may be saved to. Raises `ValueError` if it holds something else."""
    target = Path(folder).resolve()
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / "model.json").is_file()):
        raise ValueError(f"{target} exists and is not a model folder: choose another name")
    return target


def read_model(folder: Path) -> dict[str, Any]:
    """Content of model.json without its checksum; also checks the sha256 of the other files.

    Raises `MissingDataError` or `CorruptFileError`, naming the file.
    """
    path = folder / "model.json"
    try:
        model = read_json(path)
    except RecursionError as error:
        raise CorruptFileError(f"{path} is nested too deeply for a model: restore it, or save it again") from error
    if not isinstance(model, dict) or model.pop("checksum", None) != checksum(model):
        raise CorruptFileError(f"{path} was changed after it was saved: restore it, or save the model again")
    kinds: dict[str, type] = {"format": str, "fusion": str, "decoding": str}
    kinds |= dict.fromkeys(["encoder", "fusion_options", "training", "files"], dict)
    wrong = [name for name, kind in kinds.items() if not isinstance(model.get(name), kind)]
    wrong += ["figures"] * (not isinstance(model.get("figures", {}), dict))  # older models have none
    if wrong or model["format"] != FORMAT or not _names_an_encoder(model["encoder"]):
        raise CorruptFileError(f"{path} is not of format {FORMAT} ({', '.join(wrong)}): fit and save the model again")
    for name in _PARTS:
        if not (folder / name).is_file():
            raise MissingDataError(f"{folder / name} is missing: restore it, or save the model again")
        if sha256_file(folder / name) != model["files"].get(name):
            raise CorruptFileError(
                f"{folder / name} was cut short, changed, or belongs to another model: restore it, or save it again"
            )
    return model


def _names_an_encoder(encoder: dict[str, Any]) -> bool:
    pretrained, weights = encoder.get("pretrained"), encoder.get("weights", {})
    texts = [encoder.get("name"), encoder.get("fingerprint"), *([] if pretrained is None else [pretrained])]
    return "pretrained" in encoder and isinstance(weights, dict) and all(isinstance(text, str) for text in texts)


def versions() -> dict[str, str]:
    """Versions of geolib, Python and the packages that a prediction depends on."""
    packages = ("torch", "open_clip_torch", "numpy", "pillow")
    return {"geolib": __version__, "python": platform.python_version()} | {name: version(name) for name in packages}


def checksum(model: Mapping[str, Any]) -> str:
    """Hex sha256 of the content of model.json, without the checksum itself."""
    return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()
