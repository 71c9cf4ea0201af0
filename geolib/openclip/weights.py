"""Load the weights of an encoder from a folder, or from the Hugging Face hub."""

from __future__ import annotations

import difflib
import logging
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfFileMetadata, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError

from geolib.common import files
from geolib.common.download import DownloadError, UnavailableError
from geolib.common.errors import CorruptFileError, MissingDataError
from geolib.common.hub import ask_hub
from geolib.common.texts import one_line
from geolib.openclip.model import ClipModel, Preprocessing
from geolib.openclip.tokenizer import WordTokenizer
from geolib.openclip.torchvision import import_open_clip


def from_folder(folder: Path) -> ClipModel:
    """Load a model folder. Raises `MissingDataError` or `CorruptFileError`."""
    config = files.read_json(folder / "open_clip_config.json")
    vocabulary = files.read_json(folder / "vocab.json")
    arrays = files.read_tensors(folder / "open_clip_model.safetensors")
    weights = {key: torch.from_numpy(array) for key, array in arrays.items()}
    try:
        shape, preprocessing = dict(config["model_cfg"]), config["preprocess_cfg"]
        # Anything with a hub address in it would go to the network.
        if "hf_model_name" in shape["text_cfg"] or ":" in shape["vision_cfg"].get("timm_model_name", ""):
            raise ValueError("it refers to a model on a hub")
        shape["vision_cfg"] = shape["vision_cfg"] | {"timm_model_pretrained": False}
        tokenizer = WordTokenizer(vocabulary["vocabulary"], vocabulary["context_length"])
        module = import_open_clip().CLIP(**shape)
        if (module.vocab_size, module.context_length) != (tokenizer.vocab_size, tokenizer.context_length):
            raise ValueError("vocab.json belongs to another text tower")
        module.load_state_dict(weights, strict=True)  # copies into float32
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, AssertionError) as error:
        raise CorruptFileError(f"{folder} is not a model folder that fits together ({error}); restore it") from error
    where = str(folder / "open_clip_config.json")
    quick_gelu = bool(shape.get("quick_gelu"))
    return ClipModel(module, shape["embed_dim"], Preprocessing.of(preprocessing, where), quick_gelu, lambda: tokenizer)


def from_open_clip(name: str, pretrained: str | None, revision: str | None, allow_pickle: bool) -> ClipModel:
    """Build a model of open_clip by name; weights that are not here are fetched. See `Encoder.load`."""
    open_clip = import_open_clip()
    if name not in open_clip.list_models():
        close = difflib.get_close_matches(name, open_clip.list_models()) or ["ViT-L-14"]
        raise ValueError(
            f"encoder {name!r}: expected 'postcards', an open_clip model such as {', '.join(close)}, or a model folder "
            "(with a slash in its name: ./FOLDER)"
        )
    options: dict[str, Any] = {"pretrained_text": False, "weights_only": True}  # else open_clip fetches a text tower
    weights: dict[str, Any] = {}
    if pretrained is None:
        warnings.warn(f"{name} has random weights: its vectors say little about a photo", stacklevel=3)
    else:
        tag = open_clip.get_pretrained_cfg(name, pretrained)
        if not tag:
            tags = ", ".join(open_clip.list_pretrained_tags_by_model(name)) or "none"
            raise ValueError(f"{name} has no weights called {pretrained!r}: expected one of {tags}")
        kept, record = _recorded(name, pretrained, revision)
        path, weights = _find_weights(f"{name}/{pretrained}", tag, kept, record, revision, allow_pickle)
        options |= {"pretrained": str(path), "force_preprocess_cfg": tag}
        options |= {"force_quick_gelu": bool(tag.get("quick_gelu"))}
    try:
        with _no_alarm():
            module = open_clip.create_model(name, **options)
    except Exception as error:  # on a damaged file, safetensors, torch and its unpickler raise nearly anything
        if not weights:
            raise
        raise CorruptFileError(f"{path} is damaged ({error}); delete it and load again") from error
    if weights and weights != record:
        if path.suffix != ".safetensors":  # a copy, so that the pickle is never read again
            files.write_tensors(kept, {key: x.numpy() for key, x in module.state_dict().items()})
            weights["safetensors_sha256"] = files.sha256_file(kept)
        files.write_json(kept.with_suffix(".json"), weights)
    shape = open_clip.get_model_config(name)
    quick_gelu = bool(shape.get("quick_gelu") or options.get("force_quick_gelu"))
    preprocessing = Preprocessing.of(module.visual.preprocess_cfg, name)
    return ClipModel(
        module, shape["embed_dim"], preprocessing, quick_gelu, partial(open_clip.get_tokenizer, name), weights
    )


@contextmanager
def _no_alarm() -> Iterator[None]:
    """Drop open_clip's warning that a model is initialized randomly: geolib says itself what that means here."""

    def keep(record: logging.LogRecord) -> bool:
        return "initialized randomly" not in record.getMessage()

    logging.getLogger().addFilter(keep)
    try:
        yield
    finally:
        logging.getLogger().removeFilter(keep)


def _recorded(name: str, pretrained: str, revision: str | None) -> tuple[Path, dict[str, Any]]:
    """Path of the safe copy of a pickle's weights, and the record beside it of what was fetched, or {}."""
    for pin in (None, revision):
        slug = re.sub(r"[^\w.-]", "_", "-".join(filter(None, (name, pretrained, pin))))
        kept = files.cache_path("encoders", f"{slug}.safetensors")
        record = files.read_json(kept.with_suffix(".json")) if kept.with_suffix(".json").is_file() else {}
        if revision in (None, record.get("revision")):
            return kept, record
    return kept, {}


def _find_weights(
    title: str, tag: Mapping[str, Any], kept: Path, record: dict[str, Any], revision: str | None, allow_pickle: bool
) -> tuple[Path, dict[str, Any]]:
    """The file of a tag's weights, fetched if it is not here, and the content of `Encoder.weights`.

    Asks for the safetensors file by its name: open_clip would take the pickle whenever that file fails.
    """
    repository, _, named = tag.get("hf_hub", "").rpartition("/")
    if not repository:
        raise ValueError(f"{title} is not published on the Hugging Face hub, where geolib fetches from")
    if "safetensors_sha256" in record and kept.is_file():
        if files.sha256_file(kept) != record["safetensors_sha256"]:
            raise CorruptFileError(f"{kept} was changed since it was written; delete it and load again")
        return kept, record
    pickled = named or "open_clip_pytorch_model.bin"
    safe = f"{Path(named).stem}.safetensors" if named else "open_clip_model.safetensors"
    wanted = _HubFile(title, repository, safe, revision or record.get("revision"))
    found = wanted.fetch(record.get("sha256"))
    if found is None and not allow_pickle:
        raise ValueError(
            f"{title} is published as a pickle only ({repository}, {pickled}), which geolib does not read: whoever "
            "made a pickle may run programs on your machine. If you trust them, allow it by hand, once: "
            f"`geolib fetch encoder {title} --allow-pickle`, or Encoder.load(..., allow_pickle=True)"
        )
    found = found or replace(wanted, file=pickled).fetch(record.get("sha256"))
    if found is None:
        raise MissingDataError(f"{repository} holds neither {safe} nor {pickled}: {title} cannot be loaded")
    return found


@dataclass(frozen=True)
class _HubFile:
    """A file with weights on the Hugging Face hub, at a commit, or the newest one for None."""

    title: str
    repository: str
    file: str
    revision: str | None

    def fetch(self, sha256: str | None) -> tuple[Path, dict[str, Any]] | None:
        """The checked file in the hub's own cache and its record; None where the hub has none of this name.

        `sha256` is the one that was recorded before. For a file in the cache no request is sent.
        """
        path = try_to_load_from_cache(self.repository, self.file, revision=self.revision)
        if not isinstance(path, str):
            name = f"{self.file} of {self.repository}" + (f" at {self.revision}" if self.revision else "")
            try:
                about = ask_hub(name, self._about)
                if about is None:
                    return None
                commit, published = about.commit_hash or "", about.etag or ""
                if not re.fullmatch("[0-9a-f]{40}", commit) or not re.fullmatch("[0-9a-f]{64}", published):
                    raise CorruptFileError(f"{self.repository}: the hub gives no commit or no sha256 for {self.file}")
                if sha256 not in (None, published):
                    was = f"what was {sha256} when it was fetched first"
                    raise CorruptFileError(f"{self.title}: the hub gives sha256 {published} for {was}")
                sha256 = published
                size = f"{(about.size or 0) / 1e9:.2f} GB"
                text = f"fetching {self.title}: {size}, {self.repository} at {commit[:12]}"
                print(text, file=sys.stderr, flush=True)
                path = ask_hub(name, lambda: hf_hub_download(self.repository, self.file, revision=commit))
            except DownloadError as error:
                raise self._missing(error) from error
        return self._check(Path(path), sha256)

    def _about(self) -> HfFileMetadata | None:
        try:
            return get_hf_file_metadata(hf_hub_url(self.repository, self.file, revision=self.revision))
        except EntryNotFoundError:
            return None

    def _check(self, path: Path, sha256: str | None) -> tuple[Path, dict[str, Any]]:
        actual, blob = files.sha256_file(path), path.resolve()
        if sha256 is None and re.fullmatch("[0-9a-f]{64}", blob.name):
            sha256 = blob.name  # the hub's cache names a large file by its sha256
        if sha256 not in (None, actual):
            for name in (blob, path):  # else other programs would trust its name
                name.unlink(missing_ok=True)
            raise CorruptFileError(
                f"{path} was damaged (its sha256 is {actual}) and is deleted: load again to fetch it"
            )
        commit = path.parents[self.file.count("/")].name  # the cache keeps a file below snapshots/COMMIT
        where = {"repository": self.repository, "revision": commit, "file": self.file}
        return path, where | {"bytes": path.stat().st_size, "sha256": actual}

    def _missing(self, error: DownloadError) -> MissingDataError:
        advice = f"Choose other weights, or a revision that https://huggingface.co/{self.repository} has"
        if isinstance(error, UnavailableError) or error.reason == "refused":
            with torch.device("meta"), _no_alarm():  # for the size alone
                module = import_open_clip().create_model(self.title.split("/")[0], pretrained_text=False, device="meta")
            size = sum(tensor.nbytes for tensor in module.state_dict().values()) / 1e9
            command = f"`geolib fetch encoder {self.title}`"
            advice = f"With a network, {command} fetches about {size:.1f} GB from {self.repository}"
        return MissingDataError(f"the weights {self.title} are not on this machine ({one_line(error)}). {advice}")
