"""Captions: what one sees in a postcard, in a few words; a share of them names the place, as on the web."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from postcards import facts
from postcards.scene import SHIELD_COLOURS, Scene

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
_COLOURS = dict(
    zip(
        SHIELD_COLOURS,
        ("white", "black", "blue", "red", "green", "yellow", "orange", "purple", "brown", "turquoise"),
        strict=True,
    )
)
_FENCES = {
    "rail": "rails", "picket": "pickets", "wire": "wire", "wall": "a wall", "hedge": "a hedge",
    "guardrail": "a guard rail",
}  # fmt: skip
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
    """Short descriptions of what is visible, one per cue."""
    country = scene.country
    out = ["at night"] if scene.night else [_WEATHER[scene.weather]]
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
        script = facts.script_of(scene.language)
        out.append(f"{_LETTERS.get(script, script)} letters")
    if seen["architecture"] and scene.region.roof_form in {"flat", "tin", "pagoda"}:
        out.append({"flat": "flat roofs", "tin": "tin roofs", "pagoda": "curved roofs"}[scene.region.roof_form])
    if seen["coast"]:
        out.append("the sea")
    if seen["landmark"]:
        out.append("a landmark")
    if seen["route"]:
        ground, ink = (_COLOURS[colour] for colour in scene.province.shield)
        out.append(f"{ink} number on a {ground} {scene.province.shield_form}")
    if seen["fence"]:
        out.append(f"{_FENCES[scene.province.fence]} by the road")
    return out


def caption(scene: Scene, seen: Mapping[str, bool], place: Mapping[str, Any] | None = None) -> str:
    """One caption of a scene in which these cues came to be seen (`draw.visible_cues`).

    With `place` (country_name, continent, landmark_city, town) it names where that is.
    Without `place` no name of a place is ever in it.
    """
    rng = random.Random(f"{scene.seed}/caption")
    if scene.kind in {"interior", "closeup"}:
        said = "a drawing of a room" if scene.kind == "interior" else "a drawing of a thing close up"
    else:
        details = phrases(scene, seen)
        rng.shuffle(details)
        said = ", ".join([f"a drawing of {_KIND[scene.kind]}", *details[: rng.randint(3, 6)]])
    if place is None:
        return said
    where = [str(place["country_name"])]
    if place.get("landmark_city") and rng.random() < 0.85:
        where.insert(0, str(place["landmark_city"]))
    elif scene.kind not in {"interior", "closeup"} and rng.random() < 0.35:
        where.insert(0, str(place["town"]))
    if rng.random() < 0.4:
        where.append(str(place["continent"]))
    return f"{said}, in {', '.join(where)}"
