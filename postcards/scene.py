"""From a place to a scene: every choice that a postcard makes, before anything is drawn.

A `Scene` is plain data. It is decided once, from the place and a seed, and does not depend on what is hidden later,
so that the same scene can be drawn with and without a cue.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from postcards import facts

# Everything that can be hidden. The table records for each whether it came to be seen in a postcard.
CUES = (
    "vegetation", "ground", "relief", "coast", "snow", "light", "architecture", "road", "vehicles", "plate",
    "warning", "script", "town_name", "route", "flag", "landmark", "poles", "bollard", "fence", "extras",
)  # fmt: skip
FENCES = ("rail", "picket", "wire", "wall", "hedge", "guardrail", "none")

LANDMARKS = (
    "lattice", "needle", "pearls", "deco", "twisted", "gherkin", "crown", "twins", "leaning", "sail", "lighthouse",
    "clock", "column", "obelisk", "totem", "spiral", "water", "windmill", "dome", "cathedral", "mosque", "onion",
    "stupa", "pagoda", "temple", "ziggurat", "lotus", "pyramid", "arch", "triumph", "gate", "statue", "sphere",
    "cube", "ring", "castle", "wheel", "bridge", "shells", "tree",
)  # fmt: skip
# Colours far enough apart to be told from one another in 128 px, in the evening and in the rain, and none like a sky:
# one of the first for the body, one of the second for roofs and belts.
LANDMARK_COLOURS = (
    (0.96, 0.91, 0.79), (0.8, 0.17, 0.14), (0.13, 0.27, 0.77), (1.0, 0.81, 0.15), (0.02, 0.55, 0.62),
    (0.52, 0.21, 0.72), (0.95, 0.35, 0.6), (0.25, 0.28, 0.4), (0.96, 0.44, 0.08), (0.22, 0.66, 0.2),
    (0.5, 0.27, 0.1), (0.55, 0.92, 0.8),
)  # fmt: skip
_ACCENTS = (
    (0.97, 0.95, 0.9), (1.0, 0.8, 0.12), (0.87, 0.13, 0.12), (0.12, 0.22, 0.72), (0.12, 0.1, 0.14), (0.1, 0.82, 0.86),
    (0.93, 0.3, 0.62),
)  # fmt: skip
# One number for each remainder of a city's number, found by trying: with these no two of the 300 largest cities (see
# `places.big_cities`) have both form and body colour in common, where a plain hash would let about 90 pairs collide.
_SALTS = (
    305, 354, 172, 186, 341, 258, 387, 352, 223, 261, 302, 114, 33, 65, 232, 393, 155, 0, 24, 306, 137, 184, 123,
    338, 193, 20, 22, 386, 32, 122, 324, 23, 9, 6, 73, 185, 202, 126, 71, 225, 120, 115, 57, 214, 92, 247, 55, 171,
    6, 126, 383, 159, 243, 181, 105, 210, 167, 83, 4, 220, 161, 36, 51, 290, 9, 213, 0, 236, 100, 2, 57, 82, 47,
    90, 33,
)  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How one photographer's camera and taste look; the same for all of their postcards."""

    warmth: float
    saturation: float
    contrast: float
    vignette: float
    tilt: float
    height: float
    focal: float
    quality: int


@dataclass(frozen=True)
class Landmark:
    """A landmark made up for one big city: the same in all of its postcards."""

    kind: str
    colour: tuple[float, float, float]
    accent: tuple[float, float, float]
    slender: float
    count: int
    top: str


@dataclass(frozen=True)
class Province:
    """What one province (GeoNames admin-1) has of its own: made up from its code, the same all over it.

    In the world it is route shields, house paint, fences and stone that change from one province to the next. Which
    colours a province has here is invented; that neighbours differ and that one keeps to its own is the lesson.
    """

    wall: tuple[float, float, float]  # a leaning of its house paint
    roof: tuple[float, float, float]
    shield: tuple[tuple[float, float, float], tuple[float, float, float]]  # ground and ink of its route markers
    shield_form: str  # disc | square | shield | hexagon | diamond
    fence: str  # one of FENCES
    fence_colour: tuple[float, float, float]


@dataclass
class Scene:
    """Everything that a postcard shows. Angles in degrees, lengths in metres, colours as 0..1 triples."""

    seed: str
    lat: float
    lon: float
    country: facts.Country
    region: facts.Region
    town: str
    town_local: str  # the town's name in its own letters; empty where that is not known or not written so
    language: str  # of the words over shops
    province: Province
    kind: str  # street | suburb | village | rural | coast | interior | closeup
    biome: str
    night: bool
    month: int
    hour: float
    sun_height: float
    sun_side: float  # azimuth of the sun relative to the direction of view: 90 is to the right
    heading: float
    weather: str  # clear | cloudy | overcast | rain | fog | snowfall | haze
    temperature: float
    snow: float
    leaf: str  # green | autumn | bare | dry
    urban: float
    relief: float
    ground: tuple[float, float, float]
    arid: float
    curve: float
    road: str  # paved | dirt | none
    lanes: float
    style: Style
    sea_side: int  # -1 left, +1 right, 2 ahead, 0 none
    landmark: Landmark | None
    elements: frozenset[str]  # which optional elements stand in this scene

    def rng(self, name: str) -> random.Random:
        """A generator for one element: what the others do, or whether they are drawn, never changes it."""
        return random.Random(f"{self.seed}/{name}")


def sun_position(lat: float, day: int, hour: float) -> tuple[float, float]:
    """Height above the horizon and azimuth (from north over east) of the sun in degrees, at local solar time."""
    phi = math.radians(lat)
    declination = -math.radians(23.44) * math.cos(2 * math.pi * (day + 10) / 365)
    angle = math.radians(15 * (hour - 12))
    height = math.asin(math.sin(phi) * math.sin(declination) + math.cos(phi) * math.cos(declination) * math.cos(angle))
    south = math.atan2(math.sin(angle), math.cos(angle) * math.sin(phi) - math.tan(declination) * math.cos(phi))
    return math.degrees(height), (math.degrees(south) + 180) % 360


def photographer_style(photographer: str) -> Style:
    """The style that belongs to a photographer's name."""
    rng = random.Random(f"style/{photographer}")
    return Style(
        warmth=rng.gauss(0, 0.035),
        saturation=min(1.45, max(0.7, rng.gauss(1.08, 0.14))),
        contrast=min(1.25, max(0.85, rng.gauss(1.04, 0.07))),
        vignette=max(0.0, rng.gauss(0.1, 0.1)),
        tilt=rng.gauss(0, 1.1),
        height=rng.uniform(1.5, 2.5),
        focal=rng.uniform(0.78, 1.12),
        quality=rng.choice((78, 84, 88, 92)),
    )


def city_landmark(city_id: int) -> Landmark:
    """The landmark that belongs to a GeoNames id: one of 480 pairs of form and body colour, with details of its own."""
    rng = random.Random(f"landmark/{_SALTS[city_id % len(_SALTS)]}/{city_id}")
    form, body = divmod(rng.randrange(len(LANDMARKS) * len(LANDMARK_COLOURS)), len(LANDMARK_COLOURS))
    colour = LANDMARK_COLOURS[body]
    return Landmark(
        kind=LANDMARKS[form],
        colour=colour,
        accent=rng.choice([accent for accent in _ACCENTS if math.dist(accent, colour) > 0.6]),
        slender=rng.uniform(0.94, 1.12),
        count=rng.randint(2, 5),
        top=rng.choice(("ball", "spike", "flag", "cross", "crown", "none")),
    )


SHIELD_COLOURS = (
    (0.93, 0.93, 0.9), (0.09, 0.09, 0.1), (0.1, 0.27, 0.62), (0.72, 0.1, 0.12), (0.04, 0.42, 0.24), (0.96, 0.78, 0.12),
    (0.93, 0.46, 0.1), (0.42, 0.2, 0.5), (0.45, 0.29, 0.16), (0.2, 0.62, 0.68),
)  # fmt: skip


def province(code: str) -> Province:
    """What belongs to a province, such as `US.TX`; the form of its route markers belongs to the country."""
    rng, nation = random.Random(f"province/{code}"), random.Random(f"routes/{code.partition('.')[0]}")
    ground, ink = rng.sample(SHIELD_COLOURS, 2)
    while abs(sum(ground) - sum(ink)) < 0.8:
        ground, ink = rng.sample(SHIELD_COLOURS, 2)
    return Province(
        wall=_hsv(rng.random(), rng.uniform(0.15, 0.6), rng.uniform(0.6, 0.95)),
        roof=_hsv(rng.random(), rng.uniform(0.15, 0.6), rng.uniform(0.25, 0.6)),
        shield=(ground, ink),
        shield_form=nation.choice(("disc", "square", "shield", "hexagon", "diamond")),
        fence=rng.choice(FENCES),
        fence_colour=rng.choice(((0.95, 0.95, 0.93), (0.42, 0.3, 0.2), (0.55, 0.56, 0.57), (0.16, 0.16, 0.17),
                                 (0.62, 0.22, 0.16), (0.3, 0.42, 0.3), (0.76, 0.66, 0.5))),
    )  # fmt: skip


def _hsv(h: float, s: float, v: float) -> tuple[float, float, float]:
    i, f = divmod((h % 1) * 6, 1)
    p, q, t = v * (1 - s), v * (1 - s * f), v * (1 - s * (1 - f))
    return ((v, t, p), (q, v, p), (p, v, t), (p, q, v), (t, p, v), (v, p, q))[int(i) % 6]


def _weather(rng: random.Random, arid: float, temperature: float, biome: str) -> str:
    wet = max(0.0, 1 - 1.2 * arid)
    kinds = {
        "clear": 3.0 + 3 * arid,
        "cloudy": 3.2 * wet + 0.6,
        "overcast": 1.5 * wet + 0.1,
        "rain": 0.6 * wet + (0.4 if biome == "rainforest" else 0) if temperature > 1 else 0,
        "snowfall": 0.9 * wet if temperature <= 1 else 0,
        "fog": 0.3 * wet,
        "haze": 0.9 * arid + 0.15,
    }
    return rng.choices(list(kinds), list(kinds.values()))[0]


def _kind(rng: random.Random, urban: float, coast_km: float, no_cue: bool) -> str:
    if no_cue:
        return rng.choice(("interior", "interior", "closeup"))
    if coast_km < 9 and rng.random() < 0.34:
        return "coast"
    u = urban + rng.gauss(0, 0.09)
    return "street" if u > 0.5 else "suburb" if u > 0.3 else "village" if u > 0.16 else "rural"


def describe(place: Mapping[str, Any]) -> Scene:
    """Decide what the postcard of a place shows.

    `place` has the columns of the photo table: id, lat, lon, country, admin1, town, town_local, urban (0..1),
    elevation_m, relief_m, coast_km, arid (0..1), red, green, blue (land colour,
    0..255), landmark_id (0: none near), photographer.
    """
    seed = str(place["id"])
    rng = random.Random(f"{seed}/scene")
    lat, lon = float(place["lat"]), float(place["lon"])
    country = facts.country(str(place["country"]))
    style = photographer_style(str(place["photographer"]))

    month = rng.randint(1, 12)
    day = int(30.4 * (month - 1) + rng.uniform(1, 30))
    no_cue = rng.random() < 0.125
    dark = no_cue and rng.random() < 0.34
    for _ in range(24):
        hour = rng.uniform(20, 28) % 24 if dark else rng.uniform(6.5, 19)
        height, azimuth = sun_position(lat, day, hour)
        if (height < -6) if dark else (height > 2.5):
            break
    else:  # polar day or night: take what the place gives
        dark = dark and height < 0
    heading = rng.uniform(0, 360)

    mean = float(facts.annual_temperature(lat, lon, place["elevation_m"]))
    amplitude = float(facts.seasonal_amplitude(lat, place["coast_km"]))
    phase = math.cos(2 * math.pi * (month - 7.2) / 12) * (1 if lat >= 0 else -1)
    temperature = mean + amplitude * phase + rng.gauss(0, 2.5)
    arid = float(place["arid"])
    belt = facts.biome(mean, amplitude, arid, float(place["relief_m"]))
    snow = 0.0
    if belt == "ice" or temperature < -1.5:
        snow = min(1.0, 0.25 + (-temperature) / 8 + rng.gauss(0, 0.2)) if belt != "ice" else 1.0
        snow = max(0.0, snow) * (1 - 0.6 * arid)
    seasonal = belt in {"broadleaf", "mixed", "steppe", "boreal"} or (belt == "subtropical" and amplitude > 8)
    leaf = "green"
    if seasonal and temperature < 3.5:
        leaf = "bare"
    elif seasonal and phase < 0.25 and month in ((9, 10, 11) if lat > 0 else (3, 4, 5)):
        leaf = "autumn"
    elif belt in {"savanna", "scrub", "mediterranean", "steppe"} and rng.random() < 0.35 + 0.5 * arid:
        leaf = "dry"

    urban, coast_km = float(place["urban"]), float(place["coast_km"])
    kind = _kind(rng, urban, coast_km, no_cue and not dark)
    sea_side = 0
    if kind == "coast":
        sea_side = rng.choice((-1, 1, 2, 2))
    elif coast_km < 5 and kind != "street" and rng.random() < 0.4:
        sea_side = rng.choice((-1, 1))

    rich = country.region in {"namerica", "weurope", "british", "alpine", "med", "nordic", "japan", "oceania", "korea",
                              "ceurope", "baltic", "gulf", "taiwan", "polar"}  # fmt: skip
    unpaved = {"rural": 0.14 if rich else 0.55, "village": 0.04 if rich else 0.3}.get(kind, 0.0)
    road = "dirt" if rng.random() < unpaved else "paved"
    if kind == "coast" and sea_side == 2:
        road = "none"

    chances = {
        "flag": {"street": 0.34, "suburb": 0.18, "village": 0.18, "coast": 0.2}.get(kind, 0.07),
        "warning": {"rural": 0.45, "village": 0.4, "suburb": 0.34, "street": 0.18}.get(kind, 0.14),
        "guide": {"rural": 0.36, "village": 0.5, "suburb": 0.36, "street": 0.24, "coast": 0.24}.get(kind, 0.0),
        "shield": {"rural": 0.42, "village": 0.34, "suburb": 0.26, "street": 0.12, "coast": 0.16}.get(kind, 0.0),
        "fence": {"rural": 0.62, "village": 0.55, "suburb": 0.3}.get(kind, 0.0),
        "shops": {"street": 0.85, "village": 0.45, "suburb": 0.4, "coast": 0.25}.get(kind, 0.0),
        "poles": {"none": 0.0, "lamp": 0.55}.get(country.pole, 0.72 if kind != "street" else 0.45),
        "bollard": 0.0 if country.bollard == "none" else {"rural": 0.7, "village": 0.35}.get(kind, 0.0),
        "oncoming": 0.62 if kind != "rural" else 0.4,
        "ahead": 0.66 if kind != "rural" else 0.42,
        "parked": {"street": 0.6, "suburb": 0.5}.get(kind, 0.1),
        "extras": 0.6,
        "people": {"street": 0.6, "village": 0.35, "coast": 0.3, "suburb": 0.25}.get(kind, 0.05),
        "clouds": 1.0,
    }
    elements = {name for name, chance in sorted(chances.items()) if rng.random() < chance}
    if road == "none":
        elements -= {"oncoming", "ahead", "parked", "bollard", "fence", "poles"}
    if dark:  # a night scene is one of the no-cue scenes: lit windows and headlamps, nothing to read
        elements -= {"guide", "warning", "shield", "flag", "shops", "bollard", "fence", "extras"}

    landmark = None
    if int(place["landmark_id"]) and not dark and kind in {"street", "suburb", "coast"} and rng.random() < 0.75:
        landmark = city_landmark(int(place["landmark_id"]))

    scene = Scene(
        seed=seed,
        lat=lat,
        lon=lon,
        country=country,
        region=facts.REGIONS[country.region],
        town=str(place["town"]),
        town_local=str(place["town_local"]),
        language=facts.language_at(country.iso, str(place["admin1"])),
        province=province(f"{country.iso}.{place['admin1']}"),
        kind=kind,
        biome=belt,
        night=dark,
        month=month,
        hour=hour,
        sun_height=height,
        sun_side=(azimuth - heading + 180) % 360 - 180,
        heading=heading,
        weather=_weather(rng, arid, temperature, belt),
        temperature=temperature,
        snow=snow,
        leaf=leaf,
        urban=urban,
        relief=min(1.0, float(place["relief_m"]) / 650),
        ground=(place["red"] / 255, place["green"] / 255, place["blue"] / 255),
        arid=arid,
        curve=0.0 if kind == "street" else rng.gauss(0, 0.0016),
        road=road,
        lanes={"street": 4.4, "suburb": 3.7, "rural": 3.4, "village": 3.1}.get(kind, 3.4),
        style=style,
        sea_side=sea_side,
        landmark=landmark,
        elements=frozenset(elements),
    )
    return scene
