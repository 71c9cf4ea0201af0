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
    """The drawn dataset that ships with the clone; pictures are drawn on demand into the cache."""
    table = data_path("postcards", "photos.parquet")
    photos = checked(read_table(table), str(table))
    version = sha256_file(table)
    cache = drawn_folder(table)
    shipped = (table.parent / "embeddings", table.parent / "embeddings-no-names")
    file = partial(_postcard, photos, table.parent / "samples", cache)
    return {"photos": photos, "_file": file, "_version": version, "_shipped": shipped}


def drawn_folder(table: Path) -> Path:
    """Where pictures of a photo table are kept once they are drawn, in geolib's cache."""
    return cache_path("postcards", f"{sha256_file(table)[:12]}-{renderer_version()}")


# Modules here that draw nothing: a change of these alone leaves drawn pictures as they are.
_NOT_DRAWING = {
    "__main__", "build", "captions", "ceiling", "letters", "others", "pictures", "places", "report", "report_page",
    "train", "dataset",
}  # fmt: skip


def renderer_version() -> str:
    """Twelve digits that change with the code and the facts that draw, so that older pictures are not taken for new."""
    folder = Path(__file__).resolve().parent
    code = [path for path in sorted(folder.glob("*.py")) if path.stem not in _NOT_DRAWING]
    facts = [data_path("postcards", name) for name in ("countries.csv", "lettering.json", "lettering.png")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in code + facts)).hexdigest()[:12]


def _postcard(photos: pd.DataFrame, samples: Path, cache: Path, photo: str) -> Path:
    sample, drawn = samples / f"{photo}.jpg", cache / f"{photo}.jpg"
    if sample.is_file():
        return sample
    if not drawn.is_file():
        from postcards import render_bytes  # the renderer is large; most uses never draw

        write_bytes(drawn, render_bytes({"id": photo} | {str(key): value for key, value in photos.loc[photo].items()}))
    return drawn
