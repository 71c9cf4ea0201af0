"""The postcards as a dataset of geolib: table and embeddings ship, pictures are drawn on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from geolib.common.files import cache_path, data_path, sha256_file, write_bytes
from geolib.datasets.tables import checked, read_table
from postcards.captions import caption
from postcards.scene import describe
from postcards.visible import seen_in


def postcards() -> dict[str, Any]:
    """Open the dataset for `geolib.open_dataset("postcards")`; pictures are drawn into the cache when asked for."""
    table = data_path("postcards", "photos.parquet")
    photos = checked(read_table(table), table)
    file = partial(_picture, photos, table.parent / "samples", drawn_folder(table))
    shipped = (table.parent / "embeddings", table.parent / "embeddings-no-names")
    return {"photos": photos, "_file": file, "_version": sha256_file(table), "_shipped": shipped}


def drawn_folder(table: Path) -> Path:
    """Folder in geolib's cache for drawn pictures of a table: another one for other rows or another renderer."""
    return cache_path("postcards", f"{sha256_file(table)[:12]}-{renderer_version()}")


# What a picture depends on: after a change of any other module, drawn pictures stay valid.
_DRAWING = (
    "__init__", "brush", "buildings", "cards", "draw", "facts", "fields", "foliage", "houses", "indoors", "land",
    "landmarks", "lettering", "plants", "road", "scene", "signs", "traffic", "visible", "wayside",
)  # fmt: skip


def renderer_version() -> str:
    """Twelve hex digits that change with the code and the facts that pictures are drawn from."""
    folder = Path(__file__).resolve().parent
    code = [folder / f"{name}.py" for name in _DRAWING]
    facts = [data_path("postcards", name) for name in ("countries.csv", "lettering.json", "lettering.png")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in code + facts)).hexdigest()[:12]


def caption_of(row: Mapping[str, Any]) -> str:
    """The caption of a row of `photos.parquet`: a random dozen of the facts that can be seen, and where that is.

    `row` also needs the `id`, which is the index of `Dataset.photos`: `caption_of({"id": photo, **photos.loc[photo]})`.
    """
    named = {**row, "landmark_city": row["landmark_city"] if row["cue_landmark"] else ""}
    return caption(describe(row), seen_in(row), named)


def _picture(photos: pd.DataFrame, samples: Path, cache: Path, photo: str) -> Path:
    """File of a postcard: the shipped sample, or the drawing in the cache, which is made if need be."""
    sample, drawn = samples / f"{photo}.jpg", cache / f"{photo}.jpg"
    if sample.is_file():
        return sample
    if not drawn.is_file():
        from postcards import render_bytes  # large, and most uses never draw

        write_bytes(drawn, render_bytes({"id": photo} | {str(key): value for key, value in photos.loc[photo].items()}))
    return drawn
