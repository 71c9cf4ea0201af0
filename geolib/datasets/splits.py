"""Split photos into training, calibration and test sides without data leakage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

if TYPE_CHECKING:
    from geolib.datasets.dataset import Dataset
    from geolib.encoder import Encoder

SHARES = {"test": 0.1, "calibration": 0.1}  # the rest trains
_MIN_KEPT = 0.1  # least share of a side's photos that a good split keeps


class Photos(NamedTuple):
    """Embeddings (n, dim) of photos with their places, degrees (n,), and ids (n,)."""

    vectors: npt.NDArray[np.float32]
    lat: npt.ArrayLike
    lon: npt.ArrayLike
    ids: list[str]


def split_photos(dataset: Dataset, encoder: Encoder, kind: str = "safe", seed: int = 0) -> dict[str, Photos]:
    """Embed a dataset and split it: {"train": Photos, "calibration": ..., "test": ...}.

    `kind` is explained in `Dataset.split`. Photos without an embedding (unreadable files) are on no side.

    Examples
    --------
    >>> from geolib import Encoder, open_dataset
    >>> sides = split_photos(open_dataset("postcards"), Encoder.load("postcards"))
    >>> len(sides["calibration"].ids), len(sides["test"].ids)
    (3000, 3000)
    """
    store = dataset.embeddings(encoder)
    photos = dataset.photos.loc[store.ids]
    side_of = dataset.split(kind, seed).loc[store.ids].to_numpy()
    lat, lon = photos["lat"].to_numpy(), photos["lon"].to_numpy()
    rows = {str(side): np.flatnonzero(side_of == side) for side in np.unique(side_of)}
    return {side: Photos(store.vectors[at], lat[at], lon[at], photos.index[at].to_list()) for side, at in rows.items()}


def safe_split(photos: pd.DataFrame, seed: int = 0, shares: Mapping[str, float] | None = None) -> pd.Series[str]:
    """Split photos so that no photographer and no 1-degree block is on two sides.

    Photos of one photographer resemble each other, and so do photos of one place (spatial autocorrelation): with either
    on two sides, training data leaks into the test. Blocks are assigned to the sides at random. A photographer belongs
    to the side with most of their photos; their other photos are "left_out". If a side keeps almost nothing, because
    few photographers took everything, photographers are assigned at random instead and each block belongs to the side
    with most of its photos; the better split is returned.

    Parameters
    ----------
    photos : columns `lat`, `lon` (degrees) and `photographer`, indexed by id, in any order. A photo without a
        photographer ("") follows its block.
    shares : of the sides besides "train", default 10 % "test" and 10 % "calibration"

    Examples
    --------
    >>> photos = pd.DataFrame({"lat": [48.2, 48.7, -33.9], "lon": [16.4, 16.1, 151.2], "photographer": ""})
    >>> sides = safe_split(photos)
    >>> bool(sides[0] == sides[1])  # both in the block of 48 north, 16 east
    True
    """
    ordered, rng, shares = photos.sort_index(), np.random.default_rng(seed), shares or SHARES
    block = degree_blocks(ordered)
    photographer = ordered["photographer"].where(ordered["photographer"] != "")
    unknown = photographer.isna()
    by_block = block.map(assign_sides(block.value_counts().sort_index(), rng, shares))
    best = by_block.where(unknown | (by_block == _majority_side(photographer, by_block)), "left_out")
    if _least_kept(best, by_block) < _MIN_KEPT:
        sizes = photographer.value_counts().sort_index()
        by_photographer = photographer.map(_fill_sides(assign_sides(sizes, rng, shares), sizes, shares))
        side = _majority_side(block, by_photographer).fillna(by_block)
        other = side.where(unknown | (side == by_photographer), "left_out")
        best = max(best, other, key=lambda sides: _least_kept(sides, by_block))
    return best.reindex(photos.index).rename("split")


def degree_blocks(photos: pd.DataFrame) -> pd.Series[int]:
    """Number of the 1-degree block that each photo (`lat`, `lon` in degrees) lies in.

    Examples
    --------
    >>> degree_blocks(pd.DataFrame({"lat": [48.2, 48.7, 47.9], "lon": [16.4, 16.1, 16.4]})).tolist()
    [48016, 48016, 47016]
    """
    blocks: pd.Series[int] = (np.floor(photos["lat"]) * 1000 + np.floor(photos["lon"])).astype(np.int64)
    return blocks


def can_be_kept_apart(photos: pd.DataFrame) -> bool:
    """Whether `safe_split` can separate these photographers and still keep enough photos on every side."""
    return _least_kept(safe_split(photos), safe_split(photos.assign(photographer=""))) >= _MIN_KEPT


def photographer_overlap(
    dataset: Dataset, photos: Sequence[str], gallery: Dataset, seen: Sequence[str]
) -> dict[str, Any] | None:
    """Count the test `photos` whose photographer (or, where unknown, author) also took photos `seen` in training.

    Returns the number of `photographers` on both sides, number, `share` and `ids` of their test `photos`, and how many
    test photos have a `known` one; None if a side has none. Names are compared as written.
    """
    test, train = (
        rows["photographer"].where(rows["photographer"] != "", rows["author"])
        for rows in (dataset.photos.loc[list(photos)], gallery.photos.loc[list(seen)])
    )
    known, train_names = test[test != ""], set(train) - {""}
    if known.empty or not train_names:
        return None
    both = known[known.isin(train_names)]
    counts = {"photographers": int(both.nunique()), "photos": len(both), "share": len(both) / len(test)}
    return counts | {"known": len(known), "ids": list(both.index)}


def training_overlap(dataset: Dataset, parts: Mapping[str, Photos]) -> dict[str, int | None]:
    """Count the test photos whose photographer (None: unknown) or 1-degree block is in the training side, too."""
    train = parts["train"].ids
    test = [photo for side, part in parts.items() if side.startswith("test") for photo in part.ids]
    overlap, blocks = photographer_overlap(dataset, test, dataset, train), degree_blocks(dataset.photos)
    shared = int(blocks.loc[test].isin(set(blocks.loc[train])).sum())
    return {"by_training_photographers": overlap["photos"] if overlap else None, "in_training_blocks": shared}


def assign_sides(sizes: pd.Series[int], rng: np.random.Generator, shares: Mapping[str, float]) -> pd.Series[str]:
    """Assign groups (index) of so many photos (values) to sides at random, so that the sides get their shares."""
    shuffled = sizes.iloc[rng.permutation(len(sizes))]
    middle = (shuffled.cumsum() - shuffled / 2) / max(shuffled.sum(), 1)
    edges = np.cumsum(list(shares.values()))
    return pd.Series(np.array([*shares, "train"])[np.searchsorted(edges, middle)], index=shuffled.index)


def _fill_sides(sides: pd.Series[str], sizes: pd.Series[int], shares: Mapping[str, float]) -> pd.Series[str]:
    """Give each side without a group the training group of the best size, while two others stay in training."""
    for side, share in shares.items():
        train = sizes[sides.reindex(sizes.index) == "train"]
        if side not in set(sides) and len(train) > 2:
            sides[str((train - share * sizes.sum()).abs().idxmin())] = side
    return sides


def _majority_side(groups: pd.Series[Any], sides: pd.Series[str]) -> pd.Series[str]:
    """The side of most photos of each photo's group; missing where no photo of the group has a side."""
    votes = pd.crosstab(groups, sides)
    return groups.map(votes.idxmax(axis=1)) if len(votes) else sides.where(groups.isna())


def _least_kept(sides: pd.Series[str], by_block: pd.Series[str]) -> float:
    """The least share of photos that a side keeps, of those that its blocks hold."""
    return float((sides.value_counts().reindex(by_block.unique()).fillna(0) / by_block.value_counts()).min())
