"""The postcards as a dataset of geolib: table and embeddings ship, pictures are drawn on demand."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from geolib.common.files import cache_path, data_path, sha256_file, write_bytes
from geolib.datasets.tables import checked, read_table


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


# Modules that draw nothing: after a change of these, drawn pictures stay valid.
_NOT_DRAWING = {
    "__main__", "build", "captions", "ceiling", "letters", "others", "pictures", "places", "report", "report_page",
    "train", "dataset",
}  # fmt: skip


def renderer_version() -> str:
    """Twelve hex digits that change with the code and the facts that pictures are drawn from."""
    folder = Path(__file__).resolve().parent
    code = [path for path in sorted(folder.glob("*.py")) if path.stem not in _NOT_DRAWING]
    facts = [data_path("postcards", name) for name in ("countries.csv", "lettering.json", "lettering.png")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in code + facts)).hexdigest()[:12]


def _picture(photos: pd.DataFrame, samples: Path, cache: Path, photo: str) -> Path:
    """File of a postcard: the shipped sample, or the drawing in the cache, which is made if need be."""
    sample, drawn = samples / f"{photo}.jpg", cache / f"{photo}.jpg"
    if sample.is_file():
        return sample
    if not drawn.is_file():
        from postcards import render_bytes  # large, and most uses never draw

        write_bytes(drawn, render_bytes({"id": photo} | {str(key): value for key, value in photos.loc[photo].items()}))
    return drawn
