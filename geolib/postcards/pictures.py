"""Pictures of the dataset as a whole, for the README and the datasheet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from geolib.files import atomic_path
from geolib.postcards import render
from geolib.postcards.build import records


def contact_sheet(folder: Path, columns: int = 8, rows: int = 5, side: int = 232) -> None:
    """Write `contact_sheet.jpg`: one postcard a country, the place's name under each."""
    table = pd.read_parquet(folder / "photos.parquet")
    outdoors = table[~table["scene"].isin(["interior", "closeup", "night"]) & (table["split"] == "test")]
    seen = outdoors.assign(cues=outdoors.filter(like="cue_").sum(axis=1)).sort_values(
        ["cues", "id"], ascending=[False, True]
    )
    chosen = seen.groupby("country", sort=False).head(1).head(columns * rows).sort_values("lat", ascending=False)
    gap, label = 8, 24
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + label + gap) + gap), "white")
    pen = ImageDraw.Draw(sheet)
    font = _font(15)
    for number, row in enumerate(records(chosen)):
        x = gap + number % columns * (side + gap)
        y = gap + number // columns * (side + label + gap)
        sheet.paste(Image.fromarray(render(row)).resize((side, side), Image.Resampling.LANCZOS), (x, y))
        pen.text((x + 2, y + side + 3), f"{row['town']}, {row['country']}"[:28], fill=(70, 70, 70), font=font)
    with atomic_path(folder / "contact_sheet.jpg") as temporary:
        sheet.save(temporary, "JPEG", quality=86)


def _font(size: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size)
