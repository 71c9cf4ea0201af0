"""Share models on the Hugging Face hub: `push` and `pull`, with huggingface_hub's own functions.

Tested against a local server that speaks the hub's protocol, never against the live one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError

from geolib.common.errors import GeolibError
from geolib.common.texts import one_line
from geolib.sharing.card import RESPONSIBLE_USE, is_drawn, model_card
from geolib.sharing.model_folder import MODEL_FILES, check_target, new_model_folder, path_in, read_model

MOST_BYTES = 4_000_000_000  # of a model on the hub; 50,000 cells of CLIP ViT-L/14 take 0.2 GB


def push(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    public: bool = False,
    token: str | None = None,
    i_have_read_responsible_use: bool = False,
) -> str:
    """Upload the files of a saved model, and no other file of its folder; returns the address of the commit.

    Parameters
    ----------
    repo_id : "OWNER/NAME"; it is created, private unless `public`, if it does not exist.
    token : of the hub; default: the one of `hf auth login`.
    i_have_read_responsible_use : required for a model that was trained on anything but postcards.

    Raises `ValueError` without that consent and for an invalid name, the errors of `Geolocator.load` for a damaged
    model, and `GeolibError` when the hub refuses.
    """
    folder = Path(folder)
    model = read_model(folder)
    if not is_drawn(model) and not i_have_read_responsible_use:
        raise ValueError(
            f"{folder} was trained on photographs ({model['training'].get('dataset', 'dataset not recorded')}): such a "
            f"model can find real people, and a published model cannot be called back. Read {RESPONSIBLE_USE} first; "
            "then say so with --i-have-read-responsible-use (i_have_read_responsible_use=True)"
        )
    if Path(model["encoder"]["name"]).is_absolute():
        warnings.warn(f"the upload contains the path of the encoder: {model['encoder']['name']}", stacklevel=2)
    files: dict[str, Any] = {name: path_in(folder, model, name) for name in MODEL_FILES}
    if not files["README.md"].is_file():  # saved by an older version
        files["README.md"] = model_card(model).encode()
    api = HfApi(token=token)
    with _hub_errors(f"{repo_id} could not be uploaded"):
        api.create_repo(repo_id, private=not public, exist_ok=True)
        parts = [CommitOperationAdd(name, file) for name, file in files.items()]
        done = api.create_commit(repo_id, parts, commit_message="Upload a model of geolib")
        return str(done.commit_url)


def pull(repo_id: str, out: str | os.PathLike[str], *, revision: str | None = None, token: str | None = None) -> str:
    """Download a model into the folder `out`, whole and checked or not at all; returns its commit.

    `revision` is a commit, branch or tag; default: the newest commit. Only a model's own files are fetched, none of
    which can hold code; its encoder is not among them.

    Raises `ValueError` when `out` holds something else, and `GeolibError` when the hub refuses or the model is damaged.
    """
    check_target(out)
    with _hub_errors(f"{repo_id} could not be fetched"):
        about = HfApi(token=token).model_info(repo_id, revision=revision, files_metadata=True)
        size = sum(file.size or 0 for file in about.siblings or [] if file.rfilename in MODEL_FILES)
        if size > MOST_BYTES:
            raise GeolibError(f"{repo_id} holds {size / 1e9:.1f} GB: expected a model of at most {MOST_BYTES / 1e9} GB")
        with new_model_folder(out) as new:
            snapshot_download(repo_id, revision=about.sha, local_dir=new, allow_patterns=list(MODEL_FILES), token=token)
        return str(about.sha)


@contextmanager
def _hub_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (GeolibError, HFValidationError):
        raise
    except Exception as error:  # huggingface_hub lets errors of its HTTP library through, and changes that library
        raise GeolibError(f"{what} ({one_line(error)}). Check the network; or log in with `hf auth login`") from error
