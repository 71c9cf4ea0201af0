"""Pictures of the dataset as a whole, for the README and the datasheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from geolib.common.errors import MismatchError
from geolib.common.files import atomic_path
from postcards import render
from postcards.build import choose_samples, records

# Test postcards from six belts of the Earth, chosen by eye: no sign in them names the place.
SIX_BELTS = {
    "boreal": "postcard-43548", "broadleaf": "postcard-07602", "mediterranean": "postcard-37304",
    "desert": "postcard-10947", "savanna": "postcard-06728", "rainforest": "postcard-32471",
}  # fmt: skip


def contact_sheet(folder: Path, columns: int = 8, rows: int = 5, side: int = 232) -> None:
    """Write `contact_sheet.jpg`: one postcard a country, the place's name under each, from north to south."""
    chosen = choose_samples(pd.read_parquet(folder / "photos.parquet"), columns * rows)
    chosen = chosen.sort_values("lat", ascending=False)
    _write_sheet(folder / "contact_sheet.jpg", records(chosen), columns, side)


def six_belts(folder: Path, side: int = 256) -> None:
    """Write `six_belts.jpg`: one postcard each of six belts."""
    table = pd.read_parquet(folder / "photos.parquet").set_index("id", drop=False)
    chosen = table.loc[list(SIX_BELTS.values())]
    if list(chosen["belt"]) != list(SIX_BELTS):
        raise MismatchError("the table was dealt anew: choose six other postcards for `pictures.SIX_BELTS`")
    _write_sheet(folder / "six_belts.jpg", records(chosen), 3, side)


def _write_sheet(path: Path, rows: list[dict[str, Any]], columns: int, side: int) -> None:
    gap, label = 8, 24
    down = -(-len(rows) // columns)
    sheet = Image.new("RGB", (columns * (side + gap) + gap, down * (side + label + gap) + gap), "white")
    pen, font = ImageDraw.Draw(sheet), _font(15)
    for number, row in enumerate(rows):
        x = gap + number % columns * (side + gap)
        y = gap + number // columns * (side + label + gap)
        sheet.paste(_scaled(render(row), side), (x, y))
        pen.text((x + 2, y + side + 3), f"{row['town']}, {row['country']}"[:28], fill=(70, 70, 70), font=font)
    with atomic_path(path) as temporary:
        sheet.save(temporary, "JPEG", quality=86)


def _scaled(pixels: npt.NDArray[np.uint8], side: int) -> Image.Image:
    picture = Image.fromarray(pixels)
    return picture if picture.width == side else picture.resize((side, side), Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
