"""What the pictures hold: the facts that a postcard shows, as a list of numbers instead of pixels.

An encoder can only lose what a picture shows. The same heads on the visible facts themselves (`postcards.visible`) say
how much there was to read. Names of towns and exact shades of paint are not among them: no eye would take them for an
address.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_extraction import DictVectorizer

from postcards.scene import describe
from postcards.visible import Facts, seen_in, visible

# Facts of one thing: which of them come together says more than each alone, and linear heads cannot multiply.
TOGETHER = (
    ("shield form", "shield ground", "shield ink"),
    ("fence", "fence colour"),
    ("landmark", "landmark colour"),
    ("rear plate", "plate shape"),
)


def visible_facts(photos: pd.DataFrame, learns: npt.NDArray[np.bool_], fewest: int = 3) -> npt.NDArray[np.float32]:
    """One row per postcard of a photo table, float32 (n, facts), in order.

    learns: the training postcards (n,): a fact that fewer than `fewest` of them show is left out.
    """
    made = [dict(numbers(shown)) for shown in facts_of(photos)]
    vectorizer = DictVectorizer(dtype=np.float32, sparse=True)
    known = vectorizer.fit_transform([facts for facts, own in zip(made, learns, strict=True) if own])
    often = np.asarray((known != 0).sum(axis=0)).ravel() >= fewest
    return np.asarray(vectorizer.transform(made)[:, often].toarray(), dtype=np.float32)


def facts_of(photos: pd.DataFrame) -> list[Facts]:
    """The visible facts of each postcard of a photo table (index: ids), in order."""
    rows = ({str(name): value for name, value in row.items()} for row in photos.reset_index().to_dict("records"))
    return [visible(describe(row), seen_in(row)) for row in rows]


def numbers(shown: Facts) -> Iterator[tuple[str, float]]:
    """Names and values of what one postcard shows: 1 for a fact that it shows, and how much of it where that counts."""
    for name, value in shown.items():
        if isinstance(value, str):
            yield f"{name}: {value}", 1.0
        else:
            yield f"{name} shown", 1.0
            yield name, value
    for names in TOGETHER:
        if all(name in shown for name in names):
            yield ", ".join(f"{name}: {shown[name]}" for name in names), 1.0
