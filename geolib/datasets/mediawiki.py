"""Ask the API of Wikimedia Commons about files, and read what it says of each: licence, author, place.

Etiquette (https://www.mediawiki.org/wiki/API:Etiquette): one request at a time, `maxlag`, Retry-After, a User-Agent
with a contact. The questions are `action=query` with `geosearch` (https://www.mediawiki.org/wiki/API:Geosearch).
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from geolib.common.download import Client, DownloadError
from geolib.common.texts import one_line

Page = Mapping[str, Any]
Row = dict[str, Any]
MOST_IDS = 50  # page ids in one question, for accounts without special rights
_RADIUS_M, _NEAREST = 10_000, 500  # the most that the API gives
_MAX_CONTINUATIONS = 200
_MIN_SIDE, _MAX_ASPECT = 480, 3.0  # of the original, pixels; longer strips are panoramas
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
_INFO: dict[str, str] = {
    "prop": "coordinates|imageinfo",
    "coprop": "globe",
    "coprimary": "primary",
    "colimit": "500",
    "iiprop": "url|size|mime|sha1|user|extmetadata",
    "iiextmetadatafilter": "Artist|Attribution|Categories|License|LicenseShortName|LicenseUrl|NonFree",
    "iiextmetadatalanguage": "en",
}
_NOT_PHOTOGRAPHS = re.compile(
    r"\b(maps?|scans?|scanned|diagrams?|flags?|logos?|coats? of arms|heraldry|drawings?|paintings?|watercolou?rs?"
    r"|engravings?|lithographs?|illustrations?|posters?|postage|stamps?|screenshots?|charts?|graphs|plans"
    r"|blueprints?|manuscripts?|documents?|postcards?|icons?|symbols?|signatures?|renderings?|x-rays?"
    r"|micrographs?|from space|satellite (?:images?|imagery|pictures?))\b",
    re.IGNORECASE,
)
# Categories that say how a file was described or uploaded ("Pages with maps"), not what it shows.
_HOUSEKEEPING = re.compile(r"(pages|files|images|media|photos|uploaded|taken|created) (with|from|by|using|via)\b", re.I)
_CC = re.compile(r"cc[ -]by(-sa)?[ -](\d\.\d)(?:[-,]\d\.\d)*(?:[ -]([a-z]{2,5}))?", re.I)
_HIDDEN = re.compile(
    r"<(script|style)\b.*?</\1\s*>|<(\w+)\b[^<>]*\bstyle=.[^<>'\"]*display:\s*none[^<>]*>.*?</\2\s*>",
    re.IGNORECASE | re.DOTALL,
)
ID = re.compile(r"M[1-9]\d{0,11}")  # of a file, as the structured data of Commons writes it
SHA1 = re.compile(r"[0-9a-f]{40}")


def files_around(client: Client, lat: float, lon: float, width: int) -> list[Row]:
    """The pages of the files around a place (degrees), by id; `width` is that of the thumbnails, or 0."""
    asked = {"generator": "geosearch", "ggsnamespace": "6", "ggsprimary": "primary", "ggscoord": f"{lat}|{lon}"}
    asked |= {"ggsradius": str(_RADIUS_M), "ggslimit": str(_NEAREST)}
    return list(_query(client, asked, width).values())


def files_by_id(client: Client, ids: Iterable[str], width: int) -> dict[int, Row]:
    """The pages of at most `MOST_IDS` files ("M123"), by number."""
    return _query(client, {"pageids": "|".join(photo.removeprefix("M") for photo in ids)}, width)


def _query(client: Client, asked: Mapping[str, str], width: int) -> dict[int, Row]:
    """All pages of a query. One answer describes at most 50 thumbnails; continued answers describe the others."""
    thumbnails = {"iiurlwidth": str(width)} if width else {}
    always = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5"}
    pages: dict[int, Row] = {}
    more: dict[str, str] = {}
    for _ in range(_MAX_CONTINUATIONS):
        answer = client.json({**always, **_INFO, **thumbnails, **asked, **more}, _busy)
        try:
            for page in answer.get("query", {}).get("pages", []):
                if page.get("ns", 6) == 6 and "pageid" in page:
                    pages.setdefault(int(page["pageid"]), {}).update(page)
            more = {str(key): str(value) for key, value in answer.get("continue", {}).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise DownloadError(f"{client.base} does not answer like MediaWiki ({error})", "bad answer") from error
        if not more:
            return dict(sorted(pages.items()))
    raise DownloadError(f"{client.base} continues an answer without end", "bad answer")


def _busy(answer: Any) -> str:
    """Why the service is too busy to answer, or "". Raises `DownloadError` for a refusal."""
    if not isinstance(answer, dict):
        raise DownloadError("the service does not answer like MediaWiki", "bad answer")
    error = answer.get("error") or {}
    code, info = (error.get("code"), error.get("info")) if isinstance(error, dict) else (error, "")
    if code in ("maxlag", "ratelimited"):
        return f"the service is too busy: {code}"
    if error:
        raise DownloadError(f"the service refuses the question: {plain_text(f'{code}: {info}')}", "bad answer")
    return ""


def read_page(page: Page, allows: Callable[[object], bool]) -> Row | str:
    """The row of a file that the API describes, or why it is refused, in words that can be counted.

    `page` is an entry of `action=query`; `allows` says whether an address may be asked.
    """
    try:
        return _refusal(page, allows) or _row(page)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
        return "incomplete record"


def _refusal(page: Page, allows: Callable[[object], bool]) -> str:
    if not page.get("coordinates"):
        return "no coordinates"
    info, place = page["imageinfo"][0], page["coordinates"][0]
    if place.get("globe", "earth") != "earth" or not (abs(place["lat"]) <= 90 and abs(place["lon"]) <= 180):
        return "no coordinates"
    if place["lat"] == place["lon"] == 0:
        return "coordinates of exactly 0, 0"
    if info["mime"] not in _SUFFIXES:
        return "not a picture format of photographs"
    short, long = sorted((int(info["width"]), int(info["height"])))
    if short < _MIN_SIDE:
        return f"smaller than {_MIN_SIDE} pixels"
    if long > _MAX_ASPECT * short:
        return "a long strip"
    meta = info["extmetadata"]
    categories = [name for name in _value(meta, "Categories").split("|") if not _HOUSEKEEPING.match(name)]
    if word := next(filter(None, map(_NOT_PHOTOGRAPHS.search, categories)), None):
        return f"not a photograph ({word[0].lower()})"
    if not licence_of(meta):
        named = plain_text(_value(meta, "LicenseShortName"), 40)
        return f"licence not allowed ({named})" if named else "licence unknown"
    addresses = filter(None, (info["url"], info.get("thumburl"), info["descriptionurl"]))
    if not (ID.fullmatch(f"M{page['pageid']}") and SHA1.fullmatch(info["sha1"]) and all(map(allows, addresses))):
        return "a name, hash or address that is not one of Commons"
    return ""


def _row(page: Page) -> Row:
    info, place, photo = page["imageinfo"][0], page["coordinates"][0], f"M{page['pageid']}"
    meta, uploader = info["extmetadata"], plain_text(str(info.get("user") or ""))
    licence_url = re.sub(r"^//", "https://", _value(meta, "LicenseUrl"))
    return {
        "id": photo,
        "lat": float(place["lat"]),
        "lon": float(place["lon"]),
        "author": plain_text(_value(meta, "Attribution")) or plain_text(_value(meta, "Artist")) or uploader,
        "uploader": uploader,
        "licence": licence_of(meta),
        "licence_url": licence_url if re.fullmatch(r"https?://[!#-;=?-~]{1,300}", licence_url) else "",
        "source": info["descriptionurl"],
        "sha1": info["sha1"],
        "mime": info["mime"],
        "original_width": int(info["width"]),
        "original_height": int(info["height"]),
        "original_bytes": int(info["size"]),
        "path": f"images/{info['sha1'][:2]}/{photo}{_SUFFIXES[info['mime']]}",
        "addresses": (info["url"], info.get("thumburl")),
    }


def licence_of(meta: Page) -> str:
    """The licence of a file's `extmetadata`: CC0, Public domain, CC BY or CC BY-SA; "" for any other.

    The licence's code and its short name have to agree where both are given.

    Examples
    --------
    >>> licence_of({"License": {"value": "cc-by-sa-3.0-de"}})
    'CC BY-SA 3.0 DE'
    """
    said = filter(None, (_value(meta, "License"), _value(meta, "LicenseShortName")))
    names = {_licence(text.strip()) for text in said}
    free = _value(meta, "NonFree").lower() in ("", "false")
    return names.pop() if free and len(names) == 1 else ""


def _licence(text: str) -> str:
    if re.fullmatch(r"cc0([ -]1\.0)?|cc-zero", text, re.I):
        return "CC0"
    if re.fullmatch(r"public domain|pd(-[a-z0-9-]+)?", text, re.I):
        return "Public domain"
    if match := _CC.fullmatch(text):
        alike, version, port = match.groups(default="")
        return f"CC BY{alike} {version} {port}".upper().strip()
    return ""


def _value(meta: Page, key: str) -> str:
    return str(meta.get(key, {}).get("value", ""))


def plain_text(markup: str, limit: int = 200) -> str:
    """The visible text of a piece of HTML, on one line of at most `limit` characters, without control characters.

    Examples
    --------
    >>> plain_text('<a href="x">Ada &amp; <b>Bob</b></a>')
    'Ada & Bob'
    """
    visible = re.sub(r"<br\b[^>]*>", " ", _HIDDEN.sub("", markup[:5_000]))
    return one_line(html.unescape(re.sub(r"<[^>]*(>|$)", "", visible)), limit)
