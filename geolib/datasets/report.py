"""What a dataset holds, and what was refused on the way: the lines that `python -m geolib fetch` ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from geolib.common.errors import ImageError
from geolib.countries import country_of
from geolib.images import open_rgb

if TYPE_CHECKING:
    from geolib.datasets.dataset import Dataset

_NEAR_BITS = 10  # of 256
_LICENCES = 10  # named in a report's line
_COUNTED = (("photo", "photos"), ("country", "countries"), ("photographer", "photographers"))


def survey(dataset: Dataset, progress: bool = False) -> dict[str, Any]:
    """Decode every picture of a dataset once, and count: the report of `describe`, with the pictures refused by reason.

    Raises `MissingDataError` for a dataset without pictures.
    """
    found, refused = [], Counter(dataset.refused)
    photos = dataset.photos.index
    for photo in tqdm(photos, desc="looking at pictures", unit="photo", disable=not progress):
        path = None
        try:
            path = dataset.path(photo)
            look = average_hash(open_rgb(path, min_side=64))
            found.append((photo, path.stat().st_size, look))
        except (ImageError, OSError) as error:
            refused[_reason(str(error), str(path or f"photo {photo!r}"))] += 1
    table = dataset.photos.loc[[photo for photo, *_ in found]]
    table = table.assign(bytes=[size for _, size, _ in found], hash=[look for *_, look in found])
    if "country" not in table:
        table = table.assign(country=country_of(table["lat"], table["lon"]))
    return describe(table) | {"refused": dict(refused.most_common())}


def _reason(said: str, name: str) -> str:
    """The part of an error's sentence that is the same for all files of its kind."""
    for end in (" (", ";", ":"):
        said = said.removeprefix(name).partition(end)[0]
    return said.strip()


def describe(table: pd.DataFrame) -> dict[str, Any]:
    """Counts of a table with `country`, `photographer`, `licence`, `bytes` and `hash` (of `average_hash`)."""
    return {
        "photos": len(table),
        "countries": int(table["country"].replace("", np.nan).nunique()),
        "photographers": int(table["photographer"].replace("", np.nan).nunique()),
        "licences": {str(name) or "not stated": int(n) for name, n in table["licence"].value_counts().items()},
        "bytes": int(table["bytes"].sum()),
        "near_duplicates": near_duplicates(table["hash"]),
    }


def format_report(report: Mapping[str, Any]) -> str:
    """The report in lines."""
    near, reasons, licences = report["near_duplicates"], report["refused"], report["licences"]
    shown = [f"{name} {n:,}" for name, n in list(licences.items())[:_LICENCES]]
    shown += [f"{len(licences) - _LICENCES:,} others"] * (len(licences) > _LICENCES)
    lines = [
        ", ".join(_number(report[many], one, many) for one, many in _COUNTED) + f", {report['bytes'] / 1e6:,.1f} MB",
        "licences: " + ", ".join(shown),
        f"near-duplicates: {_number(near, 'photo looks', 'photos look')} like an earlier one",
        f"refused: {sum(reasons.values()):,}" + (", of these" if reasons else ""),
    ]
    if (wanted := report.get("wanted", 0)) > report["photos"]:
        lines.insert(1, f"{wanted:,} were asked for: no more were found in {report['asked']:,} places")
    return "\n".join(lines + [f"  {n:8,}  {why}" for why, n in reasons.items()])


def _number(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def average_hash(picture: Image.Image) -> str:
    """256 bits as 64 hex digits: which of 16 x 16 squares are brighter than the whole. Alike for alike pictures."""
    small = np.asarray(picture.convert("L").resize((16, 16), Image.Resampling.BOX), dtype=np.float64)
    return np.packbits(small > small.mean()).tobytes().hex()


def near_duplicates(hashes: Iterable[str], bits: int = _NEAR_BITS) -> int:
    """How many photos have an earlier one whose average hash differs in at most `bits` of 256.

    Pictures of little but sky and ground may be alike by chance: this counts what is worth a look, it drops nothing.
    Every pair is compared: seconds for 10,000 photos, minutes for 100,000.
    """
    words = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint64).reshape(-1, 4)
    alike = 0
    for first in range(0, len(words), 64):
        block = words[first : first + 64]
        others = words[: first + len(block)]
        distance = sum(np.bitwise_count(block[:, None, k] ^ others[None, :, k]).astype(np.int16) for k in range(4))
        earlier = np.arange(len(others)) < np.arange(first, first + len(block))[:, None]
        alike += int(((distance <= bits) & earlier).any(axis=1).sum())
    return alike
