"""Pictures of the dataset as a whole, for the README and the datasheet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from geolib.files import atomic_path
from geolib.postcards import render
from geolib.postcards.build import records

# Belts of the Earth, each with a country that has it: together they go from the Arctic to the equator.
SIX_BELTS = {
    "boreal": "FI", "broadleaf": "GB", "mediterranean": "GR", "desert": "EG", "savanna": "KE", "rainforest": "TH",
}  # fmt: skip


def telling(table: pd.DataFrame) -> pd.DataFrame:
    """Scenes of the test splits by day and in good sight, those that show most of their place first."""
    plain = ~table["scene"].isin(["interior", "closeup", "night"]) & table["weather"].isin(["clear", "cloudy", "haze"])
    test = table[plain & table["split"].str.startswith("test")]
    cues = test.filter(like="cue_").sum(axis=1) + 2 * test["cue_landmark"] + test["cue_script"] + test["cue_relief"]
    return test.assign(cues=cues).sort_values(["cues", "id"], ascending=[False, True]).drop(columns="cues")


def contact_sheet(folder: Path, columns: int = 8, rows: int = 5, side: int = 232) -> None:
    """Write `contact_sheet.jpg`: one postcard a country, the place's name under each, from north to south."""
    table = telling(pd.read_parquet(folder / "photos.parquet"))
    chosen = table.drop_duplicates("country").head(columns * rows).sort_values("lat", ascending=False)
    _write_sheet(folder / "contact_sheet.jpg", records(chosen), columns, side)


def six_belts(folder: Path, side: int = 256) -> None:
    """Write `six_belts.jpg`: one postcard each of six belts."""
    table = telling(pd.read_parquet(folder / "photos.parquet"))
    rows = [
        table[(table["belt"] == belt) & (table["country"] == country)].head(1) for belt, country in SIX_BELTS.items()
    ]
    _write_sheet(folder / "six_belts.jpg", records(pd.concat(rows)), 3, side)


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
