"""A saved model is a folder: `model.json`, three safetensors files, and `README.md`, the model card.

`model.json` holds the description of the model and the sha256 of the other four files. These find damage; they are not
a signature. A card that was edited is no damage: the next save keeps it as `README.old-SHA256.md`.

A folder cannot be exchanged for another in one step, a file can. So the new files first lie beside the old ones, under
names that end with their sha256 (`heads-SHA256.safetensors`; `README` with the checksum of its `model.json`). Then the
new `model.json` replaces the old one: from now on the folder is the new model, because a reader looks for the sha256 in
`model.json` first. Last, the new files get their plain names. A kill at any moment leaves the old model or the new one,
whole, and the next save tidies up.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geolib._version import __version__
from geolib.cells import Partition
from geolib.cells.kinds import load_partition
from geolib.common.errors import CorruptFileError, GeolibError, MismatchError, MissingDataError
from geolib.common.files import (
    LOCK,
    alone_in,
    read_json,
    read_tensors,
    sha256_file,
    write_bytes,
    write_json,
    write_tensors,
)
from geolib.decoding import decode
from geolib.encoder import Encoder
from geolib.familiar import Familiarity
from geolib.fusion import fuse
from geolib.heads import HierarchicalHeads

FORMAT = "geolib-model/2"
_PARTS = ("tree.safetensors", "heads.safetensors", "familiar.safetensors")
MODEL_FILES = ("model.json", *_PARTS, "README.md")  # the whole content of a model folder
_WAITING = re.compile(r"(tree|heads|familiar|README)-[0-9a-f]{64}\.(safetensors|md)")  # files without their plain name
_EDITED = re.compile(r"README\.old-[0-9a-f]{64}\.md")  # cards that somebody edited before another model was saved here
_NEW = ".geolib-new"  # folder inside a model folder in which the next model is written
_WAIT_S = 60.0  # for another process that saves into the same folder
_ATTEMPTS = 20  # to read a model into whose folder another process saves
_KINDS: dict[str, Any] = dict.fromkeys(["format", "fusion", "decoding"], str)
_KINDS |= dict.fromkeys(["encoder", "fusion_options", "training", "files"], dict)
_KINDS |= {"figures": dict | None}  # older models have none
_ENCODER_KINDS = {"name": str, "pretrained": str | None, "fingerprint": str, "weights": dict | None}
_LARGEST = {"heads": 1e8, "familiar": 1e6}  # larger weights can overflow: with these, no answer to a unit vector does


def save_model(
    folder: str | os.PathLike[str],
    description: Mapping[str, Any],
    tree: Partition,
    heads: HierarchicalHeads,
    familiarity: Familiarity,
    card: Callable[[Mapping[str, Any]], str],
) -> None:
    """Write a model into `folder`. The old model stays until the new one is complete.

    `description` is the content of model.json that does not depend on the files; arrays and numpy numbers become plain
    lists and numbers. `card` makes the text of README.md from the whole content of model.json.
    """
    plain = json.loads(json.dumps(description, default=lambda value: np.asarray(value).tolist()))
    with new_model_folder(folder) as new:
        tree.save(new / "tree.safetensors")
        write_tensors(new / "heads.safetensors", {key: x.cpu().numpy() for key, x in heads.state_dict().items()})
        familiarity.save(new / "familiar.safetensors")
        model = {"format": FORMAT, **plain, "versions": versions()}
        model["files"] = {name: sha256_file(new / name) for name in _PARTS}
        write_bytes(new / "README.md", card(model).encode())
        model["files"]["README.md"] = sha256_file(new / "README.md")
        write_json(new / "model.json", model | {"checksum": checksum(model)})


@contextmanager
def new_model_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder to write a model into. If the block ends without an error, that model replaces `folder`.

    Raises as `check_target` and `read_model`, and `GeolibError` if another process saves there for a minute.
    """
    target = check_target(folder)
    is_new = not target.exists()
    try:
        with alone_in(target, _WAIT_S):
            try:
                _settle(target)
                (target / _NEW).mkdir()
                yield target / _NEW
                _replace_model(target / _NEW, target)
            finally:
                with suppress(OSError):  # the next save does it
                    _settle(target)
                    (target / LOCK).unlink()
    finally:
        if is_new:
            with suppress(OSError):  # where it holds a model
                target.rmdir()


def _replace_model(new: Path, target: Path) -> None:
    """Move the whole model in the folder `new` into `target`, in place of the one there."""
    _load_parts(new, read_model(new))  # nothing that cannot be loaded replaces a model
    _keep_edited_card(target, new)
    files = {name: waiting for waiting, name in _waiting(new).items() if (new / name).is_file()}
    for name, waiting in files.items():
        os.replace(new / name, target / waiting)
    os.replace(new / "model.json", target / "model.json")  # the step from the old model to the new one
    if "README.md" not in files:  # a model of an older version
        (target / "README.md").unlink(missing_ok=True)  # the card of the model that was here


def _keep_edited_card(target: Path, new: Path) -> None:
    """Copy the card in `target`, unless it is as it was saved there or equals the new one."""
    card = target / "README.md"
    if not card.is_file():
        return
    known = {sha256_file(new / "README.md")} if (new / "README.md").is_file() else set()
    with suppress(GeolibError, LookupError, TypeError):  # of a damaged model
        known.add(read_json(target / "model.json")["files"]["README.md"])
    if (digest := sha256_file(card)) not in known:
        kept = target / f"README.old-{digest}.md"
        write_bytes(kept, card.read_bytes())
        warnings.warn(f"{card} was edited, or is of an older version: it is kept as {kept.name}", stacklevel=2)


def _waiting(folder: Path) -> dict[str, str]:
    """The names, with sha256, under which files of the model in `folder` may wait, and their plain names."""
    with suppress(GeolibError):
        model = read_json(folder / "model.json")
        if isinstance(model, dict) and isinstance(model.get("files"), dict):
            digests = {**model["files"], "README.md": model.get("checksum")}
            return {_with_digest(name, digests.get(name)): name for name in (*_PARTS, "README.md")}
    return {}


def _with_digest(name: str, digest: Any) -> str:
    stem, _, ending = name.partition(".")
    return f"{stem}-{digest}.{ending}"


def _settle(folder: Path) -> None:
    """Give waiting files of the present model their plain names; remove what is left of a save that was killed."""
    shutil.rmtree(folder / _NEW, ignore_errors=True)
    waiting = _waiting(folder)
    for path in [path for path in folder.iterdir() if _WAITING.fullmatch(path.name)]:
        if path.name in waiting:
            os.replace(path, folder / waiting[path.name])
        else:
            path.unlink()


def path_in(folder: Path, model: Mapping[str, Any], name: str) -> Path:
    """Where a file of the model lies: under its plain name, unless a save was killed before it got that."""
    digest = model["files"][name] if name in _PARTS else checksum(model)
    waiting = folder / _with_digest(name, digest)
    return waiting if waiting.is_file() else folder / name


def load_model(
    folder: str | os.PathLike[str], encoder: Encoder | None = None, device: str = "auto"
) -> tuple[dict[str, Any], Encoder, Partition, HierarchicalHeads, Familiarity]:
    """Read a model folder and check every file: (content of model.json, encoder, tree, heads, familiarity).

    Raises `MissingDataError` or `CorruptFileError`, naming the file, and `MismatchError` for another encoder than the
    one that the model was trained with. If `encoder` is None, that one is loaded, last.
    """
    folder = Path(folder)
    model, (tree, heads, familiarity) = _read_unchanged(folder)
    encoder = encoder or _load_encoder(folder, model["encoder"], device)
    wanted = model["encoder"]
    if (encoder.fingerprint, encoder.dim) != (wanted["fingerprint"], heads.dim):
        raise MismatchError(
            f"{folder} was trained on embeddings of {wanted['name']} ({wanted['fingerprint'][:12]}, {heads.dim} "
            f"numbers), this encoder is {encoder.name} ({encoder.fingerprint[:12]}, {encoder.dim} numbers): load that "
            "encoder, or fit the model again"
        )
    return model, encoder, tree, heads, familiarity


def _read_unchanged(folder: Path) -> tuple[dict[str, Any], tuple[Partition, HierarchicalHeads, Familiarity]]:
    """Content of model.json and the parts; again from the start while another process saves a model meanwhile."""
    for attempt in range(_ATTEMPTS):
        before, problem = _stamps(folder), None
        try:
            model = read_model(folder)
            parts = _load_parts(folder, model)
        except (GeolibError, OSError) as error:
            problem = error
        if _stamps(folder) == before:
            if problem:
                raise problem
            return model, parts
        time.sleep(0.01 * attempt)
    raise GeolibError(f"{folder} is saved to all the time: load it when no other process writes there")


def _stamps(folder: Path) -> list[tuple[str, int, int, int, int]]:
    """Name and state of each file of the model: another one in its place has another state."""
    found = []
    with suppress(OSError):  # a file that goes away meanwhile also leaves a difference
        for path in sorted(folder.iterdir()):
            if path.name in ("model.json", *_PARTS) or _WAITING.fullmatch(path.name):
                state = path.stat()
                found.append((path.name, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    return found


def _load_parts(folder: Path, model: Mapping[str, Any]) -> tuple[Partition, HierarchicalHeads, Familiarity]:
    """Tree, heads and familiarity, checked against each other; checks the rules, too."""
    tree_path, heads_path, familiar_path = (path_in(folder, model, name) for name in _PARTS)
    tree = load_partition(tree_path)
    heads = _load_heads(heads_path, tree)
    familiarity = Familiarity.load(familiar_path, heads.dim)
    _check_values(familiar_path, {"centre": familiarity.centre, "scale": familiarity.scale}, _LARGEST["familiar"])
    _check_rules(folder / "model.json", model, tree)
    return tree, heads, familiarity


def _load_encoder(folder: Path, wanted: Mapping[str, Any], device: str) -> Encoder:
    if re.search(r"[/\\]", wanted["name"]) and not Path(wanted["name"]).is_dir():
        raise MissingDataError(
            f"{folder} needs the encoder that was in {wanted['name']} and is not there any more: give it, as in "
            "Geolocator.load(FOLDER, Encoder.load(ENCODER_FOLDER))"
        )
    revision = (wanted.get("weights") or {}).get("revision")
    return Encoder.load(wanted["name"], wanted.get("pretrained"), device, revision=revision)


def _load_heads(path: Path, tree: Partition) -> HierarchicalHeads:
    """Heads from a file whose content is not trusted: shapes are compared with the tree before memory is taken."""
    state = read_tensors(path)
    _check_values(path, state, _LARGEST["heads"])
    try:
        with torch.device("meta"):  # tensors with a shape and no content
            HierarchicalHeads.of_state({key: torch.empty(array.shape) for key, array in state.items()}, tree)
    except RuntimeError as error:  # torch raises it for weights that are missing, unknown or of another shape
        raise CorruptFileError(f"{path}: heads and tree do not fit together ({error})") from error
    return HierarchicalHeads.of_state({key: torch.from_numpy(array) for key, array in state.items()}, tree)


def _check_values(path: Path, arrays: Mapping[str, Any], largest: float) -> None:
    remedy = "fit and save the model again"
    for name, array in arrays.items():
        if array.dtype != np.float32 or array.ndim == 0:
            found = f"`{name}` is {array.dtype} {array.shape}"
            raise CorruptFileError(f"{path}: {found}, expected float32 with at least one axis: {remedy}")
        if not np.all(np.abs(array) <= largest):
            raise CorruptFileError(f"{path}: `{name}` holds NaN or numbers beyond {largest:g}: {remedy}")


def check_rules(tree: Partition, fusion: str, decoding: str, fusion_options: Mapping[str, Any]) -> None:
    """Raise what `fuse` and `decode` raise for rules and options that would fail at the first prediction."""
    nothing = [np.zeros((1, count), np.float32) for count in tree.n_cells]
    decode(fuse(nothing, tree, fusion, **fusion_options), tree, decoding)


def _check_rules(path: Path, model: Mapping[str, Any], tree: Partition) -> None:
    """Raise `CorruptFileError` for rules and options that would fail at the first prediction."""
    try:
        check_rules(tree, model["fusion"], model["decoding"], model["fusion_options"])
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise CorruptFileError(f"{path}: its rules cannot be used ({error}): fit and save the model again") from error


def check_target(folder: str | os.PathLike[str]) -> Path:
    """Absolute path of a folder that a model may be saved to: new, empty, or a model with nothing else in it.

    Cards that were kept (`README.old-...`) and names that begin with a dot (`.git`, `.DS_Store`) may be there, and
    stay. Raises `ValueError` for anything else.
    """
    target = Path(folder).resolve()
    if target.is_file():
        raise ValueError(f"{target} is a file and is not a model folder: choose another name")
    names = {path.name for path in target.iterdir() if path.name[0] != "."} if target.is_dir() else set()
    ours = {name for name in names if _WAITING.fullmatch(name) or _EDITED.fullmatch(name)}
    names -= {name for name in ours if (target / name).is_file()}
    if others := sorted(name for name in names if name not in MODEL_FILES or (target / name).is_dir()):
        raise ValueError(f"{target} holds {', '.join(others)[:200]} and so is not a model folder: choose another name")
    if names and not (names.issuperset(_PARTS) or _is_ours(target / "model.json")):
        raise ValueError(f"{target} is not a model folder: its model.json is not geolib's; choose another name")
    return target


def _is_ours(path: Path) -> bool:
    with suppress(GeolibError):
        model = read_json(path)
        return isinstance(model, dict) and str(model.get("format")).startswith("geolib-model/")
    return False


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
    if not wrong and (revision := (model["encoder"].get("weights") or {}).get("revision")) is not None:
        is_commit = isinstance(revision, str) and re.fullmatch("[0-9a-f]{40}", revision)
        wrong = [] if is_commit else [f"revision {revision!r}"]
    if wrong or model["format"] != FORMAT:
        raise CorruptFileError(f"{path} is not of format {FORMAT} ({', '.join(wrong)}): fit and save the model again")
    for name in _PARTS:
        digest = str(model["files"].get(name))
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise CorruptFileError(f"{path} holds no sha256 of {name}: {remedy}")
        if not (part := path_in(folder, model, name)).is_file():
            raise MissingDataError(f"{part} is missing: {remedy}")
        if sha256_file(part) != digest:
            raise CorruptFileError(f"{part} was cut short, changed, or belongs to another model: {remedy}")
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
