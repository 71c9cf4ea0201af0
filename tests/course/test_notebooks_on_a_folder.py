"""Every notebook runs to its end on a reader's own small folder, as `make course DATASET=folder:...` runs it."""

import io
import os
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from nbclient import NotebookClient
from PIL import ExifTags, Image

from geolib import Encoder, open_dataset
from geolib.common.files import cache_path
from geolib.datasets import Dataset
from geolib.plots import pictures
from postcards import render_bytes

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import course  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NEED_DRAWINGS = {"02", "06", "08", "10", "11"}  # they say so and go on with the postcards
SHOW_PICTURES = {"00", "01", "04", "05", "07", "12"}  # of the dataset, so with the names of their authors


def degrees(angle):
    """An angle as EXIF has it: whole degrees, whole minutes, seconds."""
    minutes, seconds = divmod(round(abs(angle) * 3600, 3), 60)
    return (*map(float, divmod(minutes, 60)), seconds)


def exif_of(lat, lon, artist):
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = artist
    exif[ExifTags.IFD.GPSInfo] = {1: "NS"[lat < 0], 2: degrees(lat), 3: "EW"[lon < 0], 4: degrees(lon)}
    return exif


def fill(folder, people=40, each=3):
    """Write JPEG files with a place and an artist, and the files that no real folder is without."""
    cards = open_dataset("postcards").photos
    cards = cards[cards["split"].isin(["train", "calibration", "test"])]
    busy = cards["photographer"].value_counts().loc[lambda count: count >= each].index.sort_values()
    chosen = np.random.default_rng(0).permutation(busy)[:people]
    for number, name in enumerate(chosen):
        rows = cards[cards["photographer"] == name].head(each)
        for photo, row in rows.iterrows():
            picture = Image.open(io.BytesIO(render_bytes({"id": photo, **row.to_dict()})))
            exif = exif_of(row["lat"], row["lon"], f"Somebody {number}")
            picture.save(folder / f"{photo}.jpg", quality=92, exif=exif)
    for file in sorted(folder.iterdir())[::12]:  # ten, so that every side of a split has some
        (folder / f"torn-{file.name}").write_bytes(file.read_bytes()[:4000])
    (folder / "notes.jpg").write_text("Not a picture at all.")
    Image.new("RGB", (64, 48)).save(folder / "no-place.jpg")


@pytest.fixture(scope="session")
def folder():
    """A folder of 120 pictures and their embeddings, made once for all workers of pytest-xdist: they share a cache."""
    place, done = cache_path("folder-of-a-reader"), cache_path("folder-of-a-reader.done")
    with FileLock(f"{place}.lock"):
        if not done.exists():
            place.mkdir(parents=True)
            fill(place)
            with pytest.warns(UserWarning, match=r"1 left out: not a JPEG, PNG or WEBP file, such as notes\.jpg"):
                dataset = open_dataset("folder", path=place)
            dataset.embeddings(Encoder.load("postcards"))
            done.touch()
    return place


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_a_folder_of_photographs(path, folder, monkeypatch):
    number = path.stem[:2]
    monkeypatch.setenv("GEOLIB_DATASET", f"folder:{folder}")
    monkeypatch.setenv("GEOLIB_FAST", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if number in NEED_DRAWINGS:  # there is no network: whoever did not exchange the encoder too would fail
        monkeypatch.setenv("GEOLIB_ENCODER", "ViT-L-14/openai")
    notebook = nbformat.read(path, as_version=4)
    code = [(position, cell) for position, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    how = {"kernel_name": "python3", "startup_timeout": 300, "extra_arguments": ["--log-level=ERROR"]}
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}, **how)
    with client.setup_kernel():
        for position, cell in code:
            client.execute_cell(cell, position)
            if number in NEED_DRAWINGS and "uses the postcards instead" in course.cell_text(cell):
                return  # what follows is the run on the postcards, which is a test already
    assert number not in NEED_DRAWINGS, "it went on with photographs"
    said = " ".join(course.cell_text(cell) for _, cell in code)
    assert course.headline(notebook)
    assert (": Somebody " in said) == (number in SHOW_PICTURES), "credits stand under photographs that are shown"
    assert "nan%" not in said and " nan " not in said, "what cannot be counted is said in words"


def test_credits_are_printed_under_photographs_and_not_under_drawings(capsys):
    rows = [
        ("a", "Ada", "CC BY 4.0", "https://example.org/a"),
        ("b", "", "", "b"),
        ("c", "Cem", "", "c"),
        ("d", "Cem", "", "d"),
    ]
    table = pd.DataFrame(rows, columns=["id", "author", "licence", "source"]).set_index("id")
    pictures.print_credits(Dataset("folder", table), ["a", "b", "c", "d"])
    assert capsys.readouterr().out == "1 photo: Ada, CC BY 4.0, https://example.org/a\n2 photos: Cem\n"
    pictures.print_credits(Dataset("folder", table), ["b"])
    pictures.print_credits(Dataset("postcards", table), ["a", "b", "c"])
    assert capsys.readouterr().out == ""


def test_the_folder_is_made_under_the_cache_of_the_session(folder):
    assert folder.is_relative_to(Path(os.environ["GEOLIB_CACHE"]))
    with pytest.warns(UserWarning, match="1 left out"):
        assert len(open_dataset("folder", path=folder)) == 130
