"""Training, calibration and test sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from geolib.datasets.dataset import Dataset
    from geolib.encoder import Encoder

Vectors = npt.NDArray[np.float32]


class Photos(NamedTuple):
    """Embeddings (n, dim) of photos with their places, degrees (n,), and ids."""

    vectors: Vectors
    lat: npt.ArrayLike
    lon: npt.ArrayLike
    ids: list[str]


def split_photos(dataset: Dataset, encoder: Encoder, kind: str = "safe", seed: int = 0) -> dict[str, Photos]:
    """The sides of a dataset's split, {"train": ..., "test": ...}, of the photos that have an embedding."""
    store = dataset.embeddings(encoder)
    photos = dataset.photos.loc[store.ids]
    sides = dataset.split(kind, seed).loc[store.ids].to_numpy()
    parts = {str(side): np.flatnonzero(sides == side) for side in np.unique(sides)}
    lat, lon = photos["lat"].to_numpy(), photos["lon"].to_numpy()
    return {
        side: Photos(store.vectors[rows], lat[rows], lon[rows], photos.index[rows].to_list())
        for side, rows in parts.items()
    }


def photographer_overlap(
    dataset: Dataset, photos: Sequence[str], gallery: Dataset, seen: Sequence[str]
) -> dict[str, Any] | None:
    """How many of the test `photos` were taken by somebody who also took `seen` ones of `gallery`, the training photos.

    `photographers` on both sides, their test `photos`, the `share` of all test photos, `known`: how many of them have a
    photographer, and the `ids`. None where no photo of one side has any. Names are compared as they are written: across
    two websites, or where names are missing, more can overlap than is found. Where there is no photographer,
    the author counts: in a folder whose photographers could not be kept apart, that is who they are.
    """
    names, theirs = _by_whom(dataset).loc[list(photos)], _by_whom(gallery).loc[list(seen)]
    known, authors = names[names != ""], set(theirs[theirs != ""])
    if known.empty or not authors:
        return None
    both = known[known.isin(authors)]
    share = len(both) / len(names)
    counts = {"photographers": int(both.nunique()), "photos": len(both), "share": share, "known": len(known)}
    return counts | {"ids": list(both.index)}


def _by_whom(dataset: Dataset) -> pd.Series[str]:
    names = dataset.photos["photographer"]
    return names.where(names != "", dataset.photos["author"])


def _shared(dataset: Dataset, parts: Mapping[str, Photos]) -> dict[str, int | None]:
    """How many test photos have their photographer (None: not known), or their 1-degree block, in training too."""
    test = [photo for side, part in parts.items() if side.startswith("test") for photo in part.ids]
    people = photographer_overlap(dataset, test, dataset, parts["train"].ids)
    blocks = degree_blocks(dataset.photos)
    places = blocks.loc[test].isin(set(blocks.loc[parts["train"].ids]))
    return {"by_training_photographers": people["photos"] if people else None, "in_training_blocks": int(places.sum())}


_SHARES = {"test": 0.1, "calibration": 0.1}  # the rest trains
_LEAST = 0.1  # of what blocks alone would give to a side: what is left of it once photographers are apart too


def safe_split(photos: pd.DataFrame, seed: int = 0, shares: Mapping[str, float] | None = None) -> pd.Series[str]:
    """Split photos so that neither a photographer nor a 1-degree block is on two sides: a Series id -> side.

    Blocks are dealt out at random, 80 / 10 / 10 % of the photos to train, calibration and test, or other `shares` of
    sides beside train. A photographer goes where most of their photos lie; their photos elsewhere are "left_out".
    Where that leaves next to nothing of a side, because few photographers took all, photographers are dealt out, and a
    block goes where most of its photos are, if that leaves more.
    Photos without a photographer follow their block. The result does not depend on the order of the rows.
    """
    ordered, rng, shares = photos.sort_index(), np.random.default_rng(seed), shares or _SHARES
    block = degree_blocks(ordered)
    who = ordered["photographer"].where(ordered["photographer"] != "")
    by_block = block.map(_deal(block.value_counts().sort_index(), rng, shares))
    side = by_block.where(who.isna() | (by_block == _home(who, by_block)), "left_out")
    if _worst_served(side, by_block) < _LEAST:
        dealt = who.map(_deal_to_all(who.value_counts().sort_index(), rng, shares))
        there = _home(block, dealt).fillna(by_block)
        other = there.where(who.isna() | (there == dealt), "left_out")
        side = max(side, other, key=lambda sides: _worst_served(sides, by_block))
    done: pd.Series[str] = side.reindex(photos.index)
    return done.rename("split")


def degree_blocks(photos: pd.DataFrame) -> pd.Series[int]:
    """The block of one degree that each photo (`lat`, `lon`) lies in, as a number."""
    blocks: pd.Series[int] = (np.floor(photos["lat"]) * 1000 + np.floor(photos["lon"])).astype(np.int64)
    return blocks


def _home(units: pd.Series[Any], sides: pd.Series[str]) -> pd.Series[str]:
    """The side that most photos of each one's unit are on; missing where no photo of the unit has a side."""
    votes = pd.crosstab(units, sides)
    return units.map(votes.idxmax(axis=1)) if len(votes) else sides.where(units.isna())


def can_be_kept_apart(photos: pd.DataFrame) -> bool:
    """Whether `safe_split` leaves enough of every side, with the photographers that these photos have."""
    return _worst_served(safe_split(photos), safe_split(photos.assign(photographer=""))) >= _LEAST


def _worst_served(sides: pd.Series[str], by_block: pd.Series[str]) -> float:
    """Of the sides that blocks alone fill, the least share of their photos that is left."""
    return float((sides.value_counts().reindex(by_block.unique()).fillna(0) / by_block.value_counts()).min())


def _deal(sizes: pd.Series[int], rng: np.random.Generator, shares: Mapping[str, float]) -> pd.Series[str]:
    """Deal units (index) of so many photos (value) to the sides in random order, by the middle of each one's turn."""
    shuffled = sizes.iloc[rng.permutation(len(sizes))]
    middle = (shuffled.cumsum() - shuffled / 2) / max(shuffled.sum(), 1)
    edges = np.cumsum(list(shares.values()))
    return pd.Series(np.array([*shares, "train"])[np.searchsorted(edges, middle)], index=shuffled.index)


def _deal_to_all(sizes: pd.Series[int], rng: np.random.Generator, shares: Mapping[str, float]) -> pd.Series[str]:
    """As `_deal`; a side that got none gets the unit of fitting size of those in train, while two others stay there."""
    dealt = _deal(sizes, rng, shares)
    for side, share in shares.items():
        train = sizes[dealt.reindex(sizes.index) == "train"]
        if not (dealt == side).any() and len(train) > 2:
            dealt[str((train - share * sizes.sum()).abs().idxmin())] = side
    return dealt
