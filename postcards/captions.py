"""Captions: what one sees in a postcard, in a random dozen of its facts; some name the place, as on the web.

`said` puts every visible fact of a scene into words, once. `caption` and `compose` draw some of them, so that training
can say something else of the same scene each time.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from postcards.scene import Scene
from postcards.visible import INDOORS, Facts, colour_word, visible

FEWEST, MOST = 8, 14  # facts in a caption

_KIND = {
    "street": "a city street", "suburb": "a suburban road", "village": "a village road", "rural": "a country road",
    "coast": "the coast", "interior": "a room", "closeup": "a thing close up",
}  # fmt: skip
_WEATHER = {
    "clear": "clear sky", "cloudy": "clouds", "overcast": "grey sky", "rain": "rain", "fog": "fog",
    "snowfall": "falling snow", "haze": "haze",
}  # fmt: skip
_BELT = {
    "rainforest": "tropical forest", "savanna": "savanna", "scrub": "dry scrub", "desert": "desert",
    "mediterranean": "mediterranean land", "subtropical": "subtropical land", "broadleaf": "green temperate land",
    "mixed": "mixed forest", "boreal": "conifer forest", "steppe": "steppe", "tundra": "tundra", "ice": "ice and rock",
}  # fmt: skip
_LEAF = {"autumn": "autumn trees", "bare": "bare trees", "dry": "dry grass"}
_PLANT = {
    "palm": "palm trees", "datepalm": "date palms", "oilpalm": "oil palms", "jungle": "jungle trees",
    "banana": "banana plants", "acacia": "acacias", "baobab": "baobabs", "bush": "bushes", "dead": "dead trees",
    "rock": "rocks", "umbrella": "umbrella pines", "cypress": "cypresses", "olive": "olive trees",
    "round": "leafy trees", "maple": "maples", "cherry": "cherry trees in blossom",
    "jacaranda": "jacarandas in blossom", "willow": "willows", "poplar": "poplars", "conifer": "spruces",
    "pine": "pines", "larch": "larches", "araucaria": "araucarias", "birch": "birches", "shrub": "low shrubs",
    "heather": "heather", "tuft": "tufts of grass", "cactus": "cacti", "joshua": "joshua trees", "agave": "agaves",
    "gum": "gum trees", "fern": "tree ferns", "bamboo": "bamboo", "mangrove": "mangroves",
}  # fmt: skip
_FIELD = {
    "rice": "a rice field", "vines": "vines in rows", "wheat": "a field of wheat", "hay": "hay", "maize": "maize",
    "cane": "sugar cane", "sunflowers": "sunflowers", "tulips": "tulips", "tea": "tea bushes",
    "olives": "an olive grove",
    "palms": "an oil palm grove", "bananas": "a banana grove", "agaves": "rows of agaves",
    "rapeseed": "yellow rapeseed", "lavender": "lavender in rows", "cotton": "cotton in rows",
    "coffee": "coffee bushes", "quinoa": "red quinoa",
}  # fmt: skip
_RELIEF = {
    "hills": "hills", "peaks": "high mountains", "volcano": "a volcano", "mesa": "table mountains",
    "karst": "towers of limestone", "dunes": "sand dunes",
}  # fmt: skip
_COAST = {"left": "the sea on the left", "right": "the sea on the right", "ahead": "the sea ahead"}
_SUN = {"low": "low sun", "middle": "sun half way up", "high": "high sun"}
_SURFACE = {"dirt": "a dirt road", "paved": "a paved road"}
_WARNING = {
    "diamond": "yellow diamond sign", "triangle": "red triangle sign", "yellowtri": "red triangle sign on yellow",
}  # fmt: skip
_VEHICLE = {
    "hatch": "small car", "saloon": "saloon car", "estate": "estate car", "van": "van", "suv": "tall car",
    "bigsuv": "very large car", "pickup": "pickup truck", "ute": "flat pickup", "bluetruck": "small blue truck",
    "kei": "tiny box car", "soviet": "old boxy car", "fifties": "fifties car", "beetle": "beetle car",
    "duck": "old round car", "doubledecker": "double decker bus", "schoolbus": "school bus",
    "rickshaw": "three wheeler",
    "ape": "three wheeled van", "painted": "painted truck", "cart": "cart with an animal", "jeepney": "chrome jeep bus",
}  # fmt: skip
_FENCE = {
    "rail": "rail fence", "picket": "picket fence", "wire": "wire fence", "wall": "wall", "hedge": "hedge",
    "guardrail": "guard rail",
}  # fmt: skip
_BOLLARD = {
    "white": "white posts with black caps", "red": "white posts with red bands", "yellow": "yellow posts",
}  # fmt: skip
_WAYSIDE = {
    "mailbox": "mail box", "postbox": "post box", "phonebox": "red phone box", "phonehood": "phone hood",
    "vending": "vending machine", "bike": "parked bicycles", "column": "advertising column", "kiosk": "kiosk",
    "stall": "market stall", "tinaco": "black water tank", "tank": "water tank", "torii": "red shrine gate",
    "pagodagate": "gate with curved roof", "thatch": "thatched hut", "wayside": "wayside cross", "cross": "cross",
    "celticcross": "stone cross with a ring", "bales": "round bales", "haystack": "haystack", "yurt": "round tent",
    "termite": "termite mound", "shelter": "bus shelter", "meter": "parking meter", "hotdog": "red food stand",
    "spirit": "spirit house", "churchwhite": "white church", "onion": "church with onion domes",
    "prayerflags": "prayer flags", "lantern": "red lanterns", "windpump": "wind pump", "turbine": "wind turbines",
    "silo": "barn and silo", "oil": "white fuel pump", "shrine": "small shrine",
}  # fmt: skip
_ROOF = {
    "gable": "gable roofs", "side": "long roofs", "hip": "hip roofs", "flat": "flat roofs", "shed": "tin roofs",
    "pagoda": "curved roofs", "gambrel": "barn roofs", "slope": "sloping roofs", "mansard": "mansard roofs",
    "steps": "stepped gables", "point": "pointed gables", "thatched cone": "round thatched roofs",
    "felt": "round tents",
}  # fmt: skip
_WALLS = {
    "boards": "walls of boards", "brick": "brick walls", "timber": "timber framed walls", "logs": "log walls",
    "chalet": "wood over plaster", "beams": "walls with beams", "crenels": "walls with battlements",
}  # fmt: skip
_LETTERS = {"han": "chinese", "hant": "traditional chinese", "hangul": "korean"}
_WORDS = {"southslavic": "south slavic", "traditional_chinese": "traditional chinese"}
_LANDMARK = {
    "lattice": "lattice tower", "needle": "needle tower", "pearls": "tower of spheres", "deco": "stepped skyscraper",
    "twisted": "twisted tower", "gherkin": "rounded tower", "crown": "tower with a crown", "twins": "twin towers",
    "leaning": "leaning tower", "sail": "sail shaped tower", "clock": "clock tower", "totem": "totem pole",
    "spiral": "spiral tower", "water": "water tower", "triumph": "triumphal arch", "wheel": "big wheel",
    "shells": "shell roofs", "onion": "onion domes",
}  # fmt: skip
CONTINENTS = {
    "AF": "africa",
    "AS": "asia",
    "EU": "europe",
    "NA": "north america",
    "SA": "south america",
    "OC": "oceania",
    "AN": "antarctica",
}


def phrases(shown: Facts) -> dict[str, str]:
    """Visible facts (`visible.visible`) in words: by the name of the fact, a phrase without commas.

    Facts that have no words of their own, or whose words another fact's phrase holds, are left out.
    """
    out: dict[str, str] = {}
    tables = {
        "weather": _WEATHER, "belt": _BELT, "leaf": _LEAF, "plant": _PLANT, "relief": _RELIEF, "coast": _COAST,
        "sun height": _SUN, "road surface": _SURFACE, "warning sign": _WARNING, "bollard": _BOLLARD,
        "roof": _ROOF, "walls": _WALLS, "night": {"yes": "at night"},
    }  # fmt: skip
    for name, table in tables.items():
        if shown.get(name) in table:
            out[name] = table[str(shown[name])]
    if "snow" in shown:
        out["snow"] = "snow"
    if float(shown.get("aridity", 0.0)) > 0.55:
        out["aridity"] = "dry bare ground"
    return out | _by_the_road(shown) | _buildings(shown) | _signs(shown)


def _by_the_road(shown: Facts) -> dict[str, str]:
    """Phrases on lines, vehicles, plates and what stands beside the road."""
    out: dict[str, str] = {}
    for name in ("centre line", "edge line", "rear plate", "front plate"):
        if name in shown:
            out[name] = f"{shown[name]} {name}" + "s" * (name == "edge line")
    if "plate shape" in shown:
        out["plate shape"] = f"{'long' if shown['plate shape'] == 'long' else 'short square'} plates"
    if "driving side" in shown:
        traffic = "traffic" if "vehicle" in shown else "driving"
        out["driving side"] = f"{traffic} on the {shown['driving side']}"
    if "vehicle" in shown:
        *paint, kind = str(shown["vehicle"]).split(" ")
        out["vehicle"] = _with_article(" ".join([*paint, _VEHICLE.get(kind, kind)]))
    if "field" in shown:
        out["field"] = _FIELD.get(str(shown["field"]), str(shown["field"]))
    if "pole" in shown:
        out["pole"] = f"{str(shown['pole']).replace('pole', 'poles')}" + "s" * ("pole" not in str(shown["pole"]))
    if "fence" in shown:
        out["fence"] = f"{_with_article(_FENCE[str(shown['fence'])])} by the road"
    if "fence colour" in shown:
        out["fence colour"] = f"{shown['fence colour']} fence"
    if "wayside" in shown:
        *paint, name = str(shown["wayside"]).split(" ")
        thing = " ".join([*paint, _WAYSIDE.get(name, name)])
        out["wayside"] = thing if thing.endswith("s") else _with_article(thing)
    return out


def _buildings(shown: Facts) -> dict[str, str]:
    out: dict[str, str] = {}
    if "roof colour" in shown:
        out["roof colour"] = f"{shown['roof colour']} roofs"
    if "wall colour" in shown:
        out["wall colour"] = f"{shown['wall colour']} house"
    if "landmark" in shown:
        kind = _LANDMARK.get(str(shown["landmark"]), str(shown["landmark"]))
        out["landmark"] = f"a landmark like {_with_article(kind)}"
        out["landmark colour"] = f"{_with_article(str(shown['landmark colour']))} landmark"
    return out


def _signs(shown: Facts) -> dict[str, str]:
    out: dict[str, str] = {}
    if "guide sign" in shown:
        out["guide sign"] = f"{shown['guide sign']} town sign"
    if "shield form" in shown:
        out["shield form"] = f"a road number on {_with_article(str(shown['shield form']))}"
        out["shield ground"] = f"road number on {shown['shield ground']}"
        out["shield ink"] = f"road number in {shown['shield ink']}"
    if "script" in shown:
        script, language = str(shown["script"]), str(shown["language"])
        out["script"] = f"{_LETTERS.get(script, script)} letters"
        out["language"] = f"{_WORDS.get(language, language)} words"
    if "flag" in shown:
        out["flag"] = flag_in_words(str(shown["flag"]))
    return out


def _with_article(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


_LAID = {"v": "upright bands", "v2": "upright bands", "stripes": "stripes", "nordic": "cross to the left"}
_PARTS = {
    "leaf": "leaf", "rhomb": "rhomb", "canton": "corner", "tri": "triangle", "bar": "bar", "disc": "disc",
    "star": "star", "emblem": "emblem", "wheel": "wheel", "bars": "bars", "cross": "cross",
}  # fmt: skip


def flag_in_words(pattern: str) -> str:
    """The pattern of a flag (`countries.csv`) in words.

    >>> flag_in_words("v:#002395:#ffffff:#ed2939"), flag_in_words("solid:#006a4e|disc:#f42a41")
    ('flag of blue white red upright bands', 'flag of green with a red disc')
    """
    first, *rest = ((name, [_paint(c) for c in colours]) for name, *colours in map(_split, pattern.split("|")))
    laid, paints = first
    if laid in {"solid", "cross", "union", "quarter", "diag"} or laid in _PARTS:
        form = {"cross": " cross", "union": " crosses", "quarter": " quarters", "diag": " slanting band"}.get(laid, "")
    else:
        form = f" {_LAID.get(laid, 'level bands')}"
    said_ = f"flag of {' '.join(paints)}{form}"
    parts = [f"a {' '.join(dict.fromkeys(colours))} {_PARTS.get(name, 'cross')}" for name, colours in rest]
    return f"{said_} with {' and '.join(parts)}" if parts else said_


def _split(part: str) -> list[str]:
    return part.split(":")


def _paint(code: str) -> str:
    return colour_word((int(code[1:3], 16) / 255, int(code[3:5], 16) / 255, int(code[5:7], 16) / 255))


def said(scene: Scene, seen: Mapping[str, Any]) -> list[str]:
    """Everything visible in a scene in words: what kind of drawing it is, then a phrase per fact.

    seen: what came to be seen (`draw.draw_and_see`). No phrase holds a comma, a semicolon or the name of a place.
    """
    shown = visible(scene, seen)
    return [f"a drawing of {_KIND[scene.kind]}", *phrases(shown).values()]


def compose(all_said: Sequence[str], rng: random.Random, where: str = "") -> str:
    """A caption from everything that can be said: its opening, a random dozen of the rest, and where that is."""
    opening, rest = all_said[0], list(all_said[1:])
    chosen = rng.sample(rest, min(len(rest), rng.randint(FEWEST, MOST)))
    return ", ".join([opening, *chosen, *([f"in {where}"] if where else [])])


def where_words(scene: Scene, place: Mapping[str, Any], rng: random.Random) -> str:
    """Where a scene is, as a caption names it: the country, often the city or the town, at times the continent."""
    where = [str(place["country_name"])]
    if place.get("landmark_city") and rng.random() < 0.85:
        where.insert(0, str(place["landmark_city"]))
    elif scene.kind not in INDOORS and rng.random() < 0.35:
        where.insert(0, str(place["town"]))
    if rng.random() < 0.4:
        where.append(str(place["continent"]))
    return ", ".join(where)


def caption(scene: Scene, seen: Mapping[str, Any], place: Mapping[str, Any] | None = None, variant: int = 0) -> str:
    """One caption of a scene in which this came to be seen (`draw.draw_and_see`); each `variant` chooses other facts.

    With `place` (country_name, continent, landmark_city, town) it names where that is.
    Without `place` no name of a place is ever in it.
    """
    rng = random.Random(f"{scene.seed}/caption/{variant}")
    text = compose(said(scene, seen), rng)
    return text if place is None else f"{text}, in {where_words(scene, place, rng)}"
