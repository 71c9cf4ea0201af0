"""Sharing models on the Hugging Face hub: `push` and `pull`, with huggingface_hub's own functions.

Both were tested against a local server that speaks the hub's protocol, never against the live one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError

from geolib.common.errors import GeolibError
from geolib.common.files import write_bytes
from geolib.common.texts import one_line
from geolib.sharing.card import RESPONSIBLE_USE, is_drawn, model_card
from geolib.sharing.model_folder import MODEL_FILES, check_target, read_model

MOST_BYTES = 4_000_000_000  # of a model on the hub; 50,000 cells of CLIP ViT-L/14 make 0.2 GB


def push(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    public: bool = False,
    token: str | None = None,
    i_have_read_responsible_use: bool = False,
) -> str:
    """Upload a saved model, and nothing else that is in its folder; returns the address of the commit.

    repo_id: "OWNER/NAME", made if it is not there, private unless `public`; one that is there stays as it is.
    token: of the hub; default: the one that `hf auth login` keeps.
    i_have_read_responsible_use: has to be True for a model that was trained on anything but postcards.

    Raises `ValueError` for a model of photographs without that word and for a name that the hub does not take, as
    `Geolocator.load` does for a folder that is no whole model, and `GeolibError` for what the hub refuses.
    """
    folder = Path(folder)
    model = read_model(folder)
    if not is_drawn(model) and not i_have_read_responsible_use:
        raise ValueError(
            f"{folder} was trained on photographs ({model['training'].get('dataset', 'dataset not recorded')}): such a "
            f"model can find real people, and what was downloaded cannot be called back. Read {RESPONSIBLE_USE} first; "
            "then say so with --i-have-read-responsible-use (i_have_read_responsible_use=True)"
        )
    if Path(model["encoder"]["name"]).is_absolute():
        warnings.warn(f"the name of the encoder's folder goes with it: {model['encoder']['name']}", stacklevel=2)
    if not (folder / "README.md").is_file():  # saved by an older version
        write_bytes(folder / "README.md", model_card(model).encode())
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, private=not public, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=list(MODEL_FILES),
            commit_message="Upload a geolib model",
        )
    except HFValidationError:
        raise
    except Exception as error:  # huggingface_hub lets errors of its HTTP library through: which one that is varies
        raise GeolibError(
            f"{repo_id} could not be uploaded ({one_line(error)}); if it is about who you are: `hf auth login`"
        ) from error
    return str(done.commit_url)


def pull(repo_id: str, out: str | os.PathLike[str], *, revision: str | None = None, token: str | None = None) -> str:
    """Download a model that `push` uploaded into the folder `out`: all of it, checked, or nothing; returns its commit.

    revision: a commit, branch or tag; default: the newest. Only a model's own files are fetched, none of which can hold
    code. The model's encoder is not part of it.

    Raises `ValueError` when something that is no model is at `out`, and `GeolibError` for what the hub does not give or
    gives otherwise than it should be.
    """
    target = check_target(out)
    api = HfApi(token=token)
    try:
        about = api.model_info(repo_id, revision=revision, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in about.siblings or [] if file.rfilename in MODEL_FILES}
        if sum(sizes.values()) > MOST_BYTES:
            raise GeolibError(f"{repo_id} holds {sum(sizes.values()) / 1e9:.1f} GB: expected a model of a few at most")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            snapshot_download(repo_id, revision=about.sha, local_dir=new, allow_patterns=list(MODEL_FILES), token=token)
            shutil.rmtree(new / ".cache", ignore_errors=True)  # huggingface_hub's notes on the download
            read_model(new)
            if target.exists():
                os.replace(target, old)
            os.replace(new, target)
    except (GeolibError, HFValidationError):
        raise
    except Exception as error:  # as above
        raise GeolibError(f"{repo_id} could not be fetched ({one_line(error)})") from error
    return str(about.sha)
