"""What is known of a country, a region and a climate, as the renderer draws it.

Country facts come from `data/postcards/countries.csv` (driving side, road lines, plates, languages, signs);
`data/postcards/README.md` gives the source of each column. Regional building styles below are caricatures: broad,
recognisable tendencies chosen for teaching, not architecture.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt

from geolib.common.files import data_path


@dataclass(frozen=True)
class Country:
    """One row of `countries.csv`."""

    iso: str
    name: str
    region: str
    side: str  # "L" or "R": the side of the road that one drives on
    centre: str
    edge: str
    plate_front: str
    plate_rear: str
    plate_shape: str
    script: str
    language: str  # of the words over shops, a key of LANGUAGES
    warning: str
    guide: str
    pole: str
    bollard: str
    flag: str


@dataclass(frozen=True)
class Region:
    """How one builds somewhere: colours of walls and roofs, form of roofs, floors in a town, extras by the road."""

    walls: tuple[str, ...]
    roofs: tuple[str, ...]
    roof_form: str  # gable | steep | hip | flat | pagoda | tin
    floors: tuple[int, int]
    window: str  # grid | tall | shutters | balcony | small | arch | bay
    extras: tuple[str, ...] = ()


REGIONS: dict[str, Region] = {
    "namerica": Region(("#d8d4ca", "#b9c3c9", "#e9e4d8", "#a8b89a", "#c9a98a"), ("#54565a", "#6b5b52"),
           "gable", (2, 14), "grid", ("pickup", "hydrant", "schoolbus")),
    "mexico": Region(("#e8853d", "#d9497a", "#f2c14e", "#4fa3a5", "#f4ead5"), ("#b5573a",),
           "flat", (1, 6), "small", ("tinaco",)),
    "camerica": Region(("#f3d36b", "#7cc4c4", "#e98d6b", "#f2efe4"), ("#a8462f", "#8d9aa0"),
           "tin", (1, 4), "small", ("bougainvillea",)),
    "carib": Region(("#f7a8a8", "#8fd3d1", "#f7e08a", "#b6e0a0", "#f4f0ea"), ("#b3402e", "#d8d8d8"),
           "tin", (1, 5), "shutters", ("bougainvillea",)),
    "andes": Region(("#b5623c", "#c97b52", "#e7dcc6", "#a9563a"), ("#a34a2d",),
           "flat", (2, 9), "small", ("mototaxi",)),
    "brazil": Region(("#f1efe8", "#e6c065", "#7fb5d5", "#d9794f", "#e8e3d2"), ("#b4522f",),
           "hip", (2, 18), "balcony", ("mosaic",)),
    "cone": Region(("#e9e2cf", "#cfc6b4", "#d6b48a", "#f1ede2"), ("#7c4a38", "#5e6367"),
           "hip", (2, 12), "balcony"),
    "weurope": Region(("#b5553f", "#d9cdb8", "#e9dfc9", "#a96a52", "#c8bfae"), ("#6d3b30", "#4c4f55"),
           "steep", (3, 6), "tall", ("bike",)),
    "british": Region(("#9d4f3c", "#a85c47", "#d7cbb4", "#8b5a48", "#ece7da"), ("#4a4d55", "#5a4a46"),
           "gable", (2, 5), "bay", ("redbus", "chimney", "phonebox")),
    "alpine": Region(("#f3ecdc", "#e8dcc2", "#caa27a", "#f6f2ea"), ("#5c3d2b", "#6f4a34"),
           "chalet", (2, 5), "shutters", ("flowers",)),
    "med": Region(("#efd9a7", "#e8b98a", "#f4ead6", "#dca077", "#f7f2e6"), ("#c2663f", "#b8563a"),
           "lowgable", (2, 6), "shutters", ("awning",)),
    "ceurope": Region(("#e9d08f", "#dfb48c", "#cfd9b8", "#efe6d0", "#d3a6a0"), ("#9c4631", "#7d4536"),
           "steep", (3, 7), "tall", ("tram",)),
    "balkan": Region(("#e7dcc8", "#d8b79a", "#efe9dc", "#c98b68"), ("#b0512f",),
           "hip", (2, 7), "balcony"),
    "eeurope": Region(("#d9d6cc", "#c8cdbf", "#e5d9a8", "#b9b4aa"), ("#5f6a70", "#7a4a3c"),
           "gable", (3, 10), "grid", ("tram",)),
    "russia": Region(("#cfcac0", "#b9bcc0", "#d9c79a", "#c7a08a"), ("#4f6b57", "#6a6f75"),
           "gable", (4, 12), "grid", ("fence",)),
    "baltic": Region(("#e6c98d", "#cfd3c4", "#c98f72", "#ece5d4"), ("#7e3f30", "#53585e"),
           "steep", (2, 7), "tall", ("tram",)),
    "nordic": Region(("#8e2a22", "#a23a2c", "#d9a441", "#e9e6df", "#3f5f73"), ("#2f3237", "#44403c"),
           "steep", (2, 6), "tall", ("bike",)),
    "caucasus": Region(("#d7b58f", "#b98c6a", "#e7d9c0", "#a9a39a"), ("#8f4a37", "#7a7f84"),
           "hip", (2, 8), "balcony"),
    "anatolia": Region(("#f0d9b8", "#e8c7a4", "#d9e0e0", "#f2e9d8"), ("#b65a38",),
           "hip", (4, 9), "balcony", ("minaret",)),
    "levant": Region(("#e9dfc6", "#ddd0b0", "#f1ead8"), ("#d6c9a8",),
           "flat", (3, 9), "small", ("solartank",)),
    "gulf": Region(("#e8dcc0", "#d9c7a0", "#f0eadb", "#c9d3d6"), ("#d9c9a5",),
           "flat", (2, 26), "arch", ("minaret", "suv")),
    "persia": Region(("#d9bd8e", "#cfae7b", "#e3d2ae"), ("#bfa070",),
           "flat", (2, 8), "arch", ("minaret",)),
    "nafrica": Region(("#e9c79c", "#d99f72", "#f3ead8", "#cf8b63", "#f6f3ec"), ("#c99268",),
           "flat", (2, 6), "arch", ("minaret",)),
    "wafrica": Region(("#e0b46a", "#d98e5a", "#8cbf9f", "#efe2c4"), ("#9aa0a3", "#a5553b"),
           "tin", (1, 4), "small", ("minibus", "stall")),
    "eafrica": Region(("#e3cf9f", "#c98f62", "#7fb0c0", "#efe6d0"), ("#8f979b", "#9b4a35"),
           "tin", (1, 6), "small", ("minibus", "stall")),
    "safrica": Region(("#f0ebdd", "#d9b98f", "#e7d7b8", "#c6d1cf"), ("#8a4030", "#6d7478"),
           "hip", (1, 9), "grid", ("minibus",)),
    "southasia": Region(("#e8c15a", "#d96f6f", "#7fb7d6", "#8cc9a1", "#f0e4cc"), ("#b9b0a0",),
           "flat", (2, 7), "balcony", ("tuktuk", "wires")),
    "himalaya": Region(("#d98f5f", "#b5623f", "#e7d3b0", "#8fb6c9"), ("#8a8f93", "#a34d33"),
           "flat", (2, 5), "tall", ("prayerflags", "wires")),
    "seasia": Region(("#f0e1c0", "#8fcfc0", "#f2b5a0", "#cfe0ea", "#e8cf7a"), ("#b5482f", "#3f6f8f"),
           "hip", (2, 10), "small", ("motorbike", "wires", "tuktuk")),
    "vietnam": Region(("#f2cf6b", "#9fcfb8", "#f0b8a8", "#bcd7ea", "#f5efe0"), ("#b5482f",),
           "tube", (3, 7), "balcony", ("motorbike", "wires")),
    "china": Region(("#dcd6cb", "#e7e0d2", "#c7a99a", "#cdd5d8"), ("#6b6f76", "#9a3b2c"),
           "flat", (6, 28), "grid", ("lantern", "scooter")),
    "taiwan": Region(("#d9d4c8", "#c9c2b3", "#b8c4c0", "#e2d5c0"), ("#8f9599", "#4a7a6a"),
           "flat", (3, 10), "small", ("scooter", "wires")),
    "japan": Region(("#e4e0d6", "#cfcac0", "#b9a58f", "#d6dad8", "#8f7f70"), ("#3f4a5a", "#4a4f55"),
           "pagoda", (2, 11), "grid", ("wires", "vending", "kei")),
    "korea": Region(("#e2ddd2", "#c9b8a5", "#d8dde0", "#b5705a"), ("#4f5f6a", "#3f6f5f"),
           "flat", (3, 22), "grid", ("wires",)),
    "casia": Region(("#e3d6b5", "#cfd9df", "#d9c79a", "#efe9dc"), ("#4f7fa8", "#8a8f93"),
           "gable", (2, 8), "grid", ("fence",)),
    "oceania": Region(("#e9e2d2", "#c98f72", "#d9dedb", "#b96f55"), ("#9b4a38", "#6f7478"),
           "hip", (1, 10), "grid", ("ute",)),
    "polar": Region(("#a23a2c", "#3f6f9f", "#d9a441", "#5a8f5a"), ("#3a3d42",),
           "steep", (1, 3), "small"),
    "other": Region(("#e7dcc6", "#cfc2a8", "#d9a98a", "#efe9dc"), ("#a5553b", "#7f858a"),
           "gable", (2, 6), "small"),
}  # fmt: skip

# The languages of shop signs, by the script that they are written in; the first one stands for the script.
_WRITTEN = {
    "latin": (
        "english albanian azerbaijani catalan czech dutch estonian filipino finnish french german hungarian "
        "icelandic indonesian italian latvian lithuanian malagasy malay nordic polish portuguese romanian "
        "slovak slovenian somali southslavic spanish swahili turkish turkmen uzbek vietnamese"
    ),
    "cyrillic": "russian belarusian bulgarian kazakh kyrgyz macedonian mongolian serbian tajik ukrainian",
    "arabic": "arabic kurdish persian urdu",
    "devanagari": "hindi marathi nepali",
    "bengali": "bengali assamese",
    "ethiopic": "amharic",
    "armenian": "armenian",
    "burmese": "burmese",
    "han": "chinese",
    "thaana": "dhivehi",
    "georgian": "georgian",
    "greek": "greek",
    "gujarati": "gujarati",
    "hebrew": "hebrew",
    "japanese": "japanese",
    "kannada": "kannada",
    "khmer": "khmer",
    "hangul": "korean",
    "lao": "lao",
    "malayalam": "malayalam",
    "odia": "odia",
    "gurmukhi": "punjabi",
    "sinhala": "sinhala",
    "tamil": "tamil",
    "telugu": "telugu",
    "thai": "thai",
    "tibetan": "tibetan",
    "hant": "traditional_chinese",
}
LANGUAGES: dict[str, str] = {language: script for script, row in _WRITTEN.items() for language in row.split()}

# Countries that the table does not name, each under the country of the table whose facts it borrows.
_LIKE = {
    "JM": "BS BB LC VC GD AG DM KN GY BM KY TC VG AI MS",
    "US": "PR VI GU MP AS FM MH PW",
    "DO": "SX CW AW BQ SR",
    "GT": "BZ",
    "FR": "MC PM MQ GP GF BL MF RE YT NC PF WF TF",
    "IT": "SM VA",
    "GB": "IM JE GG GI FK SH GS IO",
    "DK": "FO GL",
    "NO": "SJ",
    "FI": "AX",
    "MY": "BN",
    "ID": "TL",
    "PG": "SB VU FJ WS TO KI NR TV",
    "MA": "EH",
    "ET": "ER",
    "SO": "DJ",
    "SN": "GM GW CV ST",
    "CM": "CF GQ",
    "TZ": "KM SC",
    "ZA": "SZ LS",
    "AU": "CC CX NF",
    "NZ": "CK NU PN TK",
}
NEIGHBOURS: dict[str, str] = {iso: like for like, isos in _LIKE.items() for iso in isos.split()}
# What those do not borrow: the side of the road, the language of signs, the manner of building.
_LEFT_BESIDES_TABLE = (
    "AG AI BB BM BN BS CC CK CX DM FJ FK GD GG GY IM JE KI KN KY LC LS MS NF NR NU PN SB SC SH SR SZ TC TK TL TO TV "
    "VC VG VI WS"
)
_OWN_LANGUAGE = {
    "PR": "spanish", "GQ": "spanish", "BZ": "english", "SX": "english", "GM": "english", "SC": "english",
    "AQ": "english", "CW": "dutch", "AW": "dutch", "BQ": "dutch", "SR": "dutch", "GW": "portuguese",
    "CV": "portuguese", "ST": "portuguese", "TL": "portuguese", "DJ": "french", "KM": "french", "AX": "nordic",
    "SZ": "english", "LS": "english",
}  # fmt: skip
_OWN_REGION = {
    **dict.fromkeys(("AQ", "GL", "GS", "SJ", "TF"), "polar"),
    **dict.fromkeys(("PR", "VI", "MQ", "GP", "GF", "BL", "MF", "RE"), "carib"),
    **dict.fromkeys(("AS", "FM", "GU", "IO", "MH", "MP", "NC", "PF", "PW", "WF"), "oceania"),
    "GI": "med", "MC": "med", "YT": "eafrica",
}  # fmt: skip

# Where a province writes otherwise than its country: GeoNames admin1 codes.
_PROVINCES = {
    "BA": {"serbian": "02"},  # Republika Srpska
    "BE": {"french": "WAL BRU"},
    "CA": {"french": "10"},  # Quebec
    "CH": {"french": "FR GE JU NE VD VS", "italian": "TI"},
    "CM": {"english": "07 09"},  # Bamenda, Buea
    "CN": {"tibetan": "14"},
    "CY": {"turkish": "02"},  # Kyrenia
    "ES": {"catalan": "07 56"},  # Balearic Islands, Catalonia
    "GE": {"russian": "02"},  # Abkhazia
    "IN": {
        "assamese": "03", "bengali": "26 28", "english": "17 18 20 30 31 33", "gujarati": "09 52", "kannada": "19",
        "malayalam": "13 14", "marathi": "16", "nepali": "29", "odia": "21", "punjabi": "23", "tamil": "22 25",
        "telugu": "02 40",
    },
    "IQ": {"kurdish": "05 11 19"},  # Sulaymaniyah, Erbil, Halabja
    "LK": {"tamil": "37 38"},  # Batticaloa, Jaffna
    "MD": {"russian": "58"},  # Tiraspol
}  # fmt: skip
_PROVINCE_LANGUAGE = {
    (iso, code): language
    for iso, languages in _PROVINCES.items()
    for language, codes in languages.items()
    for code in codes.split()
}


@cache
def countries() -> dict[str, Country]:
    """The table of hand-entered country facts, by ISO 3166-1 alpha-2 code."""
    with open(data_path("postcards", "countries.csv"), encoding="utf-8", newline="") as stream:
        return {row["iso"]: Country(**row) for row in csv.DictReader(stream)}


@cache
def country(iso: str) -> Country:
    """Facts of a country; one that the table does not name borrows a neighbour's, all but its side and its language."""
    table = countries()
    if iso in table:
        return table[iso]
    like = table[NEIGHBOURS.get(iso, "FR")]
    language = _OWN_LANGUAGE.get(iso, like.language)
    return replace(
        like,
        iso=iso,
        name="",
        side="L" if iso in _LEFT_BESIDES_TABLE.split() else "R",
        region=_OWN_REGION.get(iso, like.region if iso in NEIGHBOURS else "other"),
        language=language,
        script=script_of(language),
        flag="",
    )


def script_of(language: str) -> str:
    """The script that a language is written in; the name of a script is its own answer.

    Raises:
        ValueError: nothing is called so.
    """
    if language in LANGUAGES:
        return LANGUAGES[language]
    if language in _WRITTEN:
        return language
    raise ValueError(f"unknown language {language!r}, expected one of {', '.join(sorted(LANGUAGES))}")


def language_of(script: str) -> str:
    """The language that stands for a script, such as russian for cyrillic; a language is its own answer."""
    return script if script in LANGUAGES else _WRITTEN[script_of(script)].split()[0]


def language_at(iso: str, admin1: str) -> str:
    """The language of shop signs at a place: its province's where that differs, else its country's.

    `admin1` is the GeoNames code of the province, such as "25" or "IN.25" for Tamil Nadu; empty if unknown.
    """
    return _PROVINCE_LANGUAGE.get((iso, admin1.removeprefix(f"{iso}.")), country(iso).language)


Floats = npt.NDArray[np.float64]


def annual_temperature(lat: float | Floats, lon: float | Floats, elevation_m: float | Floats) -> Floats:
    """Rough annual mean temperature in °C: a parabola in latitude, 6 K per km of height, a mild north Atlantic."""
    sea_level = 27.5 - 0.0082 * lat**2
    gulf_stream = np.where(lat > 40, 6.5 * np.exp(-(((lon - 5) / 22) ** 2)) * np.clip((lat - 40) / 12, 0, 1), 0)
    mean: Floats = np.maximum(sea_level + gulf_stream, -28) - 6.0 * elevation_m / 1000
    return mean


def seasonal_amplitude(lat: float | Floats, coast_km: float | Floats) -> Floats:
    """Half the difference between July and January in K: grows with latitude and with distance from the sea."""
    continental = 0.45 + 0.55 * np.clip(coast_km / 600, 0, 1)
    amplitude: Floats = np.clip(np.abs(lat) - 8, 0, 60) * 0.47 * continental
    return amplitude


def biome(mean: float, amplitude: float, arid: float, relief_m: float) -> str:
    """One of twelve belts of vegetation from temperature (°C), its half range (K) and aridity (0 wet, 1 desert)."""
    warmest = mean + amplitude
    if warmest < 6:
        return "ice"
    if warmest < 10.5:
        return "tundra"
    if mean < 4:
        return "boreal" if arid < 0.6 else "steppe"
    if arid > 0.78:
        return "desert"
    if mean < 12.5:
        return "steppe" if arid > 0.5 else "mixed" if mean < 8 else "broadleaf"
    if mean < 20:
        return "mediterranean" if arid > 0.26 else "subtropical"
    if arid > 0.5:
        return "scrub"
    return "savanna" if arid > 0.17 else "rainforest"
