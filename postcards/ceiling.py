"""What the pictures hold: the facts that a postcard shows, as a list of numbers instead of pixels.

An encoder can only lose what a picture shows. The same heads on the facts themselves say how much there was to read:
the belt, the side of the road, lines, plates, the language of signs, shields, fences, poles, roofs. Left out are names
(of town, province and landmark) and exact shades of paint, which no eye would take for an address. A fact counts only
where its cue is marked visible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_extraction import DictVectorizer

from postcards.build import records
from postcards.scene import describe


def visible_facts(photos: pd.DataFrame, learns: npt.NDArray[np.bool_], fewest: int = 3) -> npt.NDArray[np.float32]:
    """One row per postcard of a photo table, float32 (n, facts), in order.

    learns: the training postcards (n,): a fact that fewer than `fewest` of them show is left out.
    """
    made = [dict(_facts(row)) for row in records(photos.reset_index())]
    vectorizer = DictVectorizer(dtype=np.float32, sparse=True)
    known = vectorizer.fit_transform([facts for facts, own in zip(made, learns, strict=True) if own])
    often = np.asarray((known != 0).sum(axis=0)).ravel() >= fewest
    return np.asarray(vectorizer.transform(made)[:, often].toarray(), dtype=np.float32)


def _facts(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Names and values of what one postcard shows."""
    scene = describe(row)
    country, province = scene.country, scene.province
    yield f"kind {scene.kind}", 1.0
    yield f"night {scene.night}", 1.0
    shown: dict[str, tuple[Any, ...]] = {
        "vegetation": (scene.biome, scene.leaf),
        "road": (country.centre, country.edge, country.side),
        "vehicles": (country.side,),
        "plate": (country.plate_rear, country.plate_front, country.plate_shape),
        "warning": (country.warning,),
        "script": (scene.language,),
        "architecture": (country.region,),
        "route": ((province.shield, province.shield_form),),
        "fence": ((province.fence, province.fence_colour),),
        "flag": (row["country"],),
        "poles": (country.pole,),
        "bollard": (country.bollard,),
        "town_name": (country.guide,),
    }
    for cue, values in shown.items():
        if row[f"cue_{cue}"]:
            yield from ((f"{cue} {number} {value}", 1.0) for number, value in enumerate(values))
    measured = {
        "snow": 1.0,
        "coast": 1.0,
        "relief": scene.relief,
        "ground": scene.arid,
        "light": row["sun_height"] / 90,
    }
    for cue, number in measured.items():
        if row[f"cue_{cue}"]:
            yield f"{cue} shown", 1.0
            yield cue, float(number)
