"""A saved model is a folder: `model.json`, three safetensors files, and `README.md`, the model card.

`model.json` holds the description of the model and the sha256 of the three safetensors files. These find damage; they
are not a signature.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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
_KINDS: dict[str, Any] = dict.fromkeys(["format", "fusion", "decoding"], str)
_KINDS |= dict.fromkeys(["encoder", "fusion_options", "training", "files"], dict)
_KINDS |= {"figures": dict | None}  # older models have none
_ENCODER_KINDS = {"name": str, "pretrained": str | None, "fingerprint": str, "weights": dict | None}


def save_model(
    folder: str | os.PathLike[str],
    description: Mapping[str, Any],
    tree: Partition,
    heads: HierarchicalHeads,
    familiarity: Familiarity,
    card: Callable[[Mapping[str, Any]], str],
) -> None:
    """Write a model into `folder`. The old model stays until the new one is complete.

    `description` is the content of model.json that does not depend on the files. `card` makes the text of README.md
    from the whole content of model.json.
    """
    with new_model_folder(folder) as new:
        new.mkdir()
        tree.save(new / "tree.safetensors")
        write_tensors(new / "heads.safetensors", {key: x.cpu().numpy() for key, x in heads.state_dict().items()})
        familiarity.save(new / "familiar.safetensors")
        model = {"format": FORMAT, **description, "versions": versions()}
        model["files"] = {name: sha256_file(new / name) for name in _PARTS}
        write_json(new / "model.json", model | {"checksum": checksum(model)})
        write_bytes(new / "README.md", card(model).encode())


@contextmanager
def new_model_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a folder to make beside `folder`; it replaces `folder` if the block ends without an error."""
    target = check_target(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
        new = Path(scratch, "new")
        yield new
        if target.exists():
            os.replace(target, Path(scratch, "old"))
        os.replace(new, target)


def load_model(
    folder: str | os.PathLike[str], encoder: Encoder | None = None, device: str = "auto"
) -> tuple[dict[str, Any], Encoder, Partition, HierarchicalHeads, Familiarity]:
    """Read a model folder and check every file: (content of model.json, encoder, tree, heads, familiarity).

    Raises `MissingDataError` or `CorruptFileError`, naming the file, and `MismatchError` for another encoder than the
    one that the model was trained with. If `encoder` is None, that one is loaded.
    """
    folder = Path(folder)
    model = read_model(folder)
    wanted = model["encoder"]
    if encoder is None:
        revision = (wanted.get("weights") or {}).get("revision")
        encoder = Encoder.load(wanted["name"], wanted.get("pretrained"), device, revision=revision)
    if encoder.fingerprint != wanted["fingerprint"]:
        raise MismatchError(
            f"{folder} was trained on embeddings of {wanted['name']} ({wanted['fingerprint'][:12]}), this encoder is "
            f"{encoder.name} ({encoder.fingerprint[:12]}): load that encoder, or fit the model again"
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
    """Content of model.json without its checksum; also checks the sha256 of the three safetensors files.

    Raises `MissingDataError` or `CorruptFileError`, naming the file.
    """
    path, remedy = folder / "model.json", "restore it, or save the model again"
    if not path.is_file():
        raise MissingDataError(f"{folder} is not a model folder, for it has no model.json: name one that was saved")
    model = read_json(path)
    if not isinstance(model, dict) or model.pop("checksum", None) != checksum(model):
        raise CorruptFileError(f"{path} was changed after it was saved: {remedy}")
    wrong = _misfits(model, _KINDS) or _misfits(model["encoder"], _ENCODER_KINDS)
    if wrong or model["format"] != FORMAT:
        raise CorruptFileError(f"{path} is not of format {FORMAT} ({', '.join(wrong)}): fit and save the model again")
    for name in _PARTS:
        if not (folder / name).is_file():
            raise MissingDataError(f"{folder / name} is missing: {remedy}")
        if sha256_file(folder / name) != model["files"].get(name):
            raise CorruptFileError(f"{folder / name} was cut short, changed, or belongs to another model: {remedy}")
    return model


def _misfits(values: Mapping[str, Any], kinds: Mapping[str, Any]) -> list[str]:
    return [name for name, kind in kinds.items() if not isinstance(values.get(name), kind)]


def versions() -> dict[str, str]:
    """Versions of geolib, Python and the packages that a prediction depends on."""
    packages = ("torch", "open_clip_torch", "numpy", "pillow")
    return {"geolib": __version__, "python": platform.python_version()} | {name: version(name) for name in packages}


def checksum(model: Mapping[str, Any]) -> str:
    """Hex sha256 of the content of model.json without its checksum."""
    return hashlib.sha256(json.dumps(model, sort_keys=True).encode()).hexdigest()
