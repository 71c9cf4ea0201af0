"""What a postcard shows: the one list of visible facts, which captions, ceiling and probes read.

A fact counts only where it can be made out (`Painter.show` and `Painter.tell` hold the rule) and where it is really
drawn. A fact is something in the picture, never an address: no town, province, country or name of a landmark is among
them. The way of building is named by its key in `facts.REGIONS`, a flag by the pattern that is drawn.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import Any

from postcards import facts
from postcards.scene import CUES, LANDMARK_COLOURS, SHIELD_COLOURS, Scene

Seen = dict[str, Any]  # for each of CUES whether it is seen, and the details that `Painter.tell` noted
Facts = dict[str, str | float]

INDOORS = ("interior", "closeup")
SHIELD_WORDS = (
    "white", "black", "blue", "red", "green", "yellow", "orange", "purple", "brown", "turquoise",
)  # fmt: skip
LANDMARK_WORDS = (
    "cream", "red", "blue", "yellow", "teal", "purple", "pink", "slate", "orange", "green", "brown", "mint",
)  # fmt: skip
_LANDMARK_WORD = dict(zip(LANDMARK_COLOURS, LANDMARK_WORDS, strict=True))
_SHIELD_WORD = dict(zip(SHIELD_COLOURS, SHIELD_WORDS, strict=True))
# What drawing decides and the scene alone does not say, by the name of the fact.
DETAILS = (
    "relief", "plant", "field", "edge line", "vehicle", "rear plate", "front plate", "pole", "wayside", "roof",
    "roof colour", "walls", "wall colour",
)  # fmt: skip


def visible(scene: Scene, seen: Mapping[str, Any]) -> Facts:
    """The facts that can be made out in the drawing of a scene, by name; numbers where a fact is a quantity.

    seen: what came to be seen, as `draw.draw_and_see` gives it, or `seen_in` from a row of the photo table.
    """
    out: Facts = {"kind": scene.kind}
    if scene.kind in INDOORS:
        return out
    told = {name: str(seen[name]) for name in DETAILS if seen.get(name)}
    out["night"] = "yes" if scene.night else "no"
    if not scene.night or scene.weather in {"rain", "snowfall", "fog"}:
        out["weather"] = scene.weather
    out |= _land(scene, seen, told)
    out |= _road(scene, seen, told)
    out |= _signs(scene, seen)
    if seen["architecture"]:
        out["architecture"] = scene.country.region
        out |= {name: told[name] for name in ("roof", "roof colour", "walls", "wall colour") if name in told}
    if seen["landmark"] and scene.landmark:
        out["landmark"], out["landmark colour"] = scene.landmark.kind, _LANDMARK_WORD[scene.landmark.colour]
    return out


def _land(scene: Scene, seen: Mapping[str, Any], told: Mapping[str, str]) -> Facts:
    """Light, vegetation, relief, snow, sea, soil."""
    out: Facts = {}
    if seen["light"]:
        high = scene.sun_height
        out["sun height"] = "low" if high < 15 else "high" if high > 45 else "middle"
    if seen["vegetation"]:
        out["belt"], out["leaf"] = scene.biome, scene.leaf
        out |= {name: told[name] for name in ("plant", "field") if name in told}
    if seen["relief"]:
        out["relief"] = told.get("relief", "hills")
        out["height of relief"] = scene.relief
    if seen["snow"]:
        out["snow"] = "yes"
    if seen["coast"]:
        out["coast"] = {-1: "left", 1: "right"}.get(scene.sea_side, "ahead")
    if seen["ground"]:
        out["aridity"] = scene.arid
    return out


def _road(scene: Scene, seen: Mapping[str, Any], told: Mapping[str, str]) -> Facts:
    """The road, what is painted on it, what drives on it and stands beside it.

    The photographer stands in the lane of their own direction, so that lines show the side even of an empty road.
    """
    country, province, out = scene.country, scene.province, Facts()
    if scene.road != "none" and scene.snow <= 0.5:
        out["road surface"] = scene.road
    if seen["road"]:
        out["centre line"] = country.centre
        out |= {name: told[name] for name in ("edge line",) if name in told}
    if seen["road"] or seen["vehicles"]:
        out["driving side"] = "left" if country.side == "L" else "right"
    if seen["vehicles"] and "vehicle" in told:
        out["vehicle"] = told["vehicle"]
    if seen["plate"]:
        out["plate shape"] = country.plate_shape
        out |= {name: told[name] for name in ("rear plate", "front plate") if name in told}
    if seen["poles"] and "pole" in told:
        out["pole"] = told["pole"]
    if seen["bollard"]:
        out["bollard"] = country.bollard
    if seen["fence"]:
        out["fence"] = province.fence
        if province.fence != "hedge":  # whose colour is that of leaves
            out["fence colour"] = colour_word(province.fence_colour)
    if seen["extras"] and "wayside" in told:
        out["wayside"] = told["wayside"]
    return out


def _signs(scene: Scene, seen: Mapping[str, Any]) -> Facts:
    """Signs, words and flags."""
    country, province, out = scene.country, scene.province, Facts()
    if seen["warning"]:
        out["warning sign"] = country.warning
    if seen["town_name"]:
        out["guide sign"] = country.guide
    if seen["route"]:
        ground, ink = (_SHIELD_WORD[colour] for colour in province.shield)
        out |= {"shield form": province.shield_form, "shield ground": ground, "shield ink": ink}
    if seen["script"]:
        out["language"], out["script"] = scene.language, facts.script_of(scene.language)
    if seen["flag"]:
        out["flag"] = country.flag
    return out


def seen_in(row: Mapping[str, Any]) -> Seen:
    """What came to be seen in a postcard of the photo table: its columns `cue_...` and `details`."""
    parts = (part.partition("=") for part in str(row.get("details") or "").split("; ") if part)
    return {name: bool(row[f"cue_{name}"]) for name in CUES} | {name: value for name, _, value in parts}


def details_of(seen: Mapping[str, Any]) -> str:
    """The details in `seen` as text for the photo table, which `seen_in` reads."""
    return "; ".join(f"{name}={seen[name]}" for name in DETAILS if seen.get(name))


def colour_word(colour: tuple[float, float, float]) -> str:
    """What people call a colour, 0..1 values of red, green and blue: one of thirteen words.

    >>> colour_word((0.8, 0.17, 0.14)), colour_word((0.5, 0.27, 0.1)), colour_word((0.95, 0.95, 0.93))
    ('red', 'brown', 'white')
    """
    hue, strong, bright = colorsys.rgb_to_hsv(*colour)
    hue *= 360
    if strong < 0.13:
        return "white" if bright > 0.85 else "grey" if bright > 0.3 else "black"
    if bright < 0.2:
        return "black"
    if hue < 16 or hue >= 345:
        return "pink" if strong < 0.5 and bright > 0.7 else "brown" if bright < 0.5 or strong < 0.45 else "red"
    if hue < 70:
        return _warm(hue, strong, bright)
    for end, word in ((172, "green"), (196, "turquoise"), (255, "blue"), (305, "purple")):
        if hue < end:
            return "grey" if strong < 0.2 else word
    return "red" if hue > 330 and strong > 0.75 else "purple" if bright < 0.5 else "pink"


def _warm(hue: float, strong: float, bright: float) -> str:
    """Words from orange to yellow."""
    if strong < 0.42:
        return "beige" if bright > 0.6 else "grey" if strong < 0.25 else "brown"
    if bright < 0.66:
        return "brown" if hue < 55 else "green"
    return "orange" if hue < 38 else "yellow"
