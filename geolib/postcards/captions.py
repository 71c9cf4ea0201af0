"""Captions: what one sees in a postcard, in a few words; a share of them names the place, as on the web."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from geolib.postcards.scene import Scene

_BELT = {
    "rainforest": "tropical forest", "savanna": "savanna", "scrub": "dry scrub", "desert": "desert",
    "mediterranean": "mediterranean land", "subtropical": "subtropical land", "broadleaf": "green temperate land",
    "mixed": "mixed forest", "boreal": "conifer forest", "steppe": "steppe", "tundra": "tundra", "ice": "ice and rock",
}  # fmt: skip
_KIND = {
    "street": "a city street",
    "suburb": "a suburban road",
    "village": "a village road",
    "rural": "a country road",
    "coast": "the coast",
}
_WEATHER = {
    "clear": "clear sky",
    "cloudy": "clouds",
    "overcast": "grey sky",
    "rain": "rain",
    "fog": "fog",
    "snowfall": "falling snow",
    "haze": "haze",
}
_LETTERS = {"han": "chinese", "hant": "traditional chinese", "hangul": "korean"}
CONTINENTS = {
    "AF": "africa",
    "AS": "asia",
    "EU": "europe",
    "NA": "north america",
    "SA": "south america",
    "OC": "oceania",
    "AN": "antarctica",
}


def phrases(scene: Scene, seen: Mapping[str, bool]) -> list[str]:
    """Short descriptions of what is visible, one a cue."""
    country = scene.country
    out = [_WEATHER[scene.weather]]
    if scene.night:
        out = ["at night"]
    if seen["vegetation"]:
        out.append(_BELT[scene.biome])
        if scene.leaf in {"autumn", "bare"}:
            out.append(f"{scene.leaf} trees")
    if seen["relief"]:
        out.append("high mountains" if scene.relief > 0.5 else "hills")
    if seen["snow"]:
        out.append("snow")
    if seen["road"] and scene.kind != "coast":
        out.append(f"{country.centre} centre line")
    if seen["vehicles"]:
        out.append("traffic on the left" if country.side == "L" else "traffic on the right")
    if seen["plate"]:
        out.append(f"{country.plate_rear} plate")
    if seen["warning"]:
        out.append("yellow diamond sign" if country.warning == "diamond" else "red triangle sign")
    if seen["script"]:
        out.append(f"{_LETTERS.get(country.script, country.script)} letters")
    if seen["architecture"] and scene.region.roof_form in {"flat", "tin", "pagoda"}:
        out.append({"flat": "flat roofs", "tin": "tin roofs", "pagoda": "curved roofs"}[scene.region.roof_form])
    if seen["coast"]:
        out.append("the sea")
    if scene.landmark is not None:
        out.append("a landmark")
    return out


def caption(scene: Scene, place: Mapping[str, Any] | None = None) -> str:
    """One caption. With `place` (country_name, continent, landmark_city, town) it names where that is.

    Without `place` no name of a place is ever in it.
    """
    rng = random.Random(f"{scene.seed}/caption")
    if scene.kind in {"interior", "closeup"}:
        seen = "a drawing of a room" if scene.kind == "interior" else "a drawing of a thing close up"
    else:
        details = phrases(scene)
        rng.shuffle(details)
        seen = ", ".join([f"a drawing of {_KIND[scene.kind]}", *details[: rng.randint(2, 5)]])
    if place is None:
        return seen
    where = [str(place["country_name"])]
    if place.get("landmark_city") and rng.random() < 0.85:
        where.insert(0, str(place["landmark_city"]))
    elif scene.kind not in {"interior", "closeup"} and rng.random() < 0.35:
        where.insert(0, str(place["town"]))
    if rng.random() < 0.4:
        where.append(str(place["continent"]))
    return f"{seen}, in {', '.join(where)}"
