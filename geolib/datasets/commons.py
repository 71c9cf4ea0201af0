"""Photographs from Wikimedia Commons, with author, licence and page for each: `python -m geolib fetch commons`.

Places are drawn over land by towns, by area and by country; the API is asked for the files around each
(https://www.mediawiki.org/wiki/API:Geosearch), what is no free photograph is refused and counted, and the others come
as thumbnails. The etiquette is kept (https://www.mediawiki.org/wiki/API:Etiquette): one request at a time, maxlag,
Retry-After, a User-Agent with a contact, at most 20 Mbit/s.

Thumbnails have no published hash: each is checked to be a whole picture of the dimensions told, and its sha256 is
noted in the manifest. Originals are checked by their sha1.

*Photographers.* Commons has no field for who took a picture: there are the account that uploaded it, and an author in
anybody's words. Files of the table that share either, but for case, punctuation and words such as "Photo by", are by
one `photographer`, called as the first of the group's accounts. An account that uploads the pictures of many (from
Geograph or Flickr, or of an archive) so makes one person of strangers. That is the safe side: nobody's pictures get to
both sides of a split, and of such an account only `per_photographer` are taken. The words themselves stay in `author`.

All this was tried against a local server that speaks the same part of the API, never against the live service.
"""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from geolib.common.download import Client, DownloadError, UnavailableError
from geolib.common.errors import CorruptFileError, ImageError, MismatchError, MissingDataError
from geolib.common.files import alone_in, atomic_path, data_path, read_json, sha256_file, write_bytes, write_json
from geolib.common.texts import one_line
from geolib.countries import country_of
from geolib.datasets.duplicates import average_hash
from geolib.datasets.report import describe
from geolib.images import open_rgb

API = "https://commons.wikimedia.org/w/api.php"
# The widths that Wikimedia serves; another width is answered with the next larger one, or not at all
# (https://www.mediawiki.org/wiki/Common_thumbnail_sizes). 500 is enough for models that see 224 pixels.
WIDTHS = (250, 330, 500, 960, 1280, 1920)
ORIGINALS = 0  # as a width
LICENCES = "CC0, CC BY, CC BY-SA and public domain"
_DOMAIN = "wikimedia.org"
_BYTES_PER_S = 2.5e6  # https://wikitech.wikimedia.org/wiki/Robot_policy allows 25 Mbit/s
_MAX_THUMBNAIL, _MAX_ORIGINAL = 20 << 20, 200 << 20
_RADIUS_M, _NEAREST = 10_000, 500  # the most that the API gives
_BATCH = 50  # page ids in one question, the most for those without special rights
_CONTINUATIONS = 200
_FAILURES = 5  # files in a row that could not be had: the way is broken, not the file
_MIN_SIDE, _MAX_ASPECT = 480, 3.0  # of the original, pixels; longer strips are panoramas, shown as a few rows
_MIMES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
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
# Of the words of an author, in lower case and without signs: what stands before and after a name, and what is no name.
_BEFORE = re.compile(
    r"((flickr )?user|author|copyright|credits?|by|(19|20)\d\d|own work|no machine readable author provided"
    r"|(the )?(original )?uploader was"
    r"|(photo|photos|photograph|photographs|photographed|photographer|photography|picture|pictures|image|images|taken"
    r"|created|uploaded|made|foto|fotos)( by| taken by| courtesy of| credit| von| de| di)?) "
)
_AFTER = re.compile(
    r" (talk|talk contribs|own work|cc by .*|cc0.*|(via |on |from )?(wikimedia commons|wikimedia|flickr)"
    r"|at ([a-z]+ ){1,3}(wikipedia|wikivoyage|project)|assumed( based on copyright claims)?)$"
)
_NOBODY = re.compile(
    r"((an? |the )?((anonymous|anonym|anonyme|anonimo|anon|unknown|unbekannt|unbekannter|inconnu|desconocido)( .*)?"
    r"|n a|na|none|null|nobody|(various|several|multiple|many)( .*)?|unspecified|unnamed|(see|self|own|my own)( .*)?"
    r"|not (known|stated|given|provided|specified|applicable|available)|myself|me|i|mine|user|author|uploader"
    r"|original uploader|photo|photograph|photographer|eigenes werk|eigen werk|selbst( .*)?|travail personnel"
    r"|trabajo propio|obra propia|opera propria|no machine readable author.*|commons|wikimedia commons|flickr"
    r"|flickr user|public domain|cc by( .*)?|cc0))?"
)
_CC = re.compile(r"cc[ -]by(?P<alike>-sa)?[ -](?P<version>\d\.\d)(?:[-,]\d\.\d)*(?:[ -](?P<port>[a-z]{2,5}))?", re.I)
_ID = re.compile(r"M[1-9]\d{0,11}")
_SHA1 = re.compile(r"[0-9a-f]{40}")
Page = Mapping[str, Any]
Row = dict[str, Any]


def fetch(
    out: Path,
    contact: str,
    *,
    photos: int | None = None,
    width: int | None = None,
    seed: int = 0,
    manifest: Path | None = None,
    api: str = API,
    per_place: int = 10,
    per_photographer: int = 30,
    per_block: int = 30,
    sleep: Callable[[float], None] = time.sleep,
    progress: bool = False,
) -> dict[str, Any]:
    """Fetch photographs into a folder, or go on where it was left; returns the report, also in `out/report.json`.

    out: folder; afterwards it holds `photos.parquet`, `images/`, `manifest.jsonl` and the report.
    contact: an e-mail or web address, for the User-Agent.
    photos: how many; fewer where no more are found (default: all of the manifest, else 10,000).
    width: of the thumbnails, one of `WIDTHS`, or `ORIGINALS` (default: that of the manifest, else 500).
    seed: which places are asked.
    manifest: the `manifest.jsonl` of somebody else; the same files are fetched, each checked to have the same sha1.
    per_place, per_photographer, per_block: at most so many photos from one question, by one photographer, and from a
        square of one degree.
    sleep: what waits, seconds.  progress: show a bar.

    The report says how many photos were `wanted`, and at how many places they were `asked` for: at most 100 more than
    that. Raises `ValueError` for wrong options, `MismatchError` for a folder that was begun with other ones,
    `CorruptFileError` for a manifest that is none, `DownloadError` when the service cannot be used (the same call goes
    on later), `GeolibError` while another process fetches into the same folder.
    """
    wanted = _read_manifest(manifest) if manifest else []
    width = _width(width, wanted)
    if photos is None:
        photos = len(wanted) or 10_000
    if photos < 1:
        raise ValueError(f"photos={photos}: expected at least 1")
    caps = {"place": per_place, "photographer": per_photographer, "block": per_block}
    shared = sha256_file(manifest) if manifest else ""
    client = Client(api, contact, np.random.default_rng(seed), _DOMAIN, sleep, bytes_per_s=_BYTES_PER_S)
    total = min(photos, len(wanted)) if manifest else photos
    _refuse_foreign(out)
    with alone_in(out):
        _check_settings(out, {"api": api, "width": width, "seed": seed, "caps": caps, "manifest": shared})
        with _Collection.open(out, client, width, total, progress) as found:
            if manifest:
                _fetch_listed(found, wanted)
            else:
                _fetch_around(found, places(seed), caps, seed)
            return found.finish()


def places(seed: int) -> Iterator[tuple[float, float]]:
    """Endless places to ask for photographs, (lat, lon) in degrees, none twice; the same for the same seed.

    In turn: a town, each as likely as another; a point on land, by area, Antarctica left out; a town of a country, each
    country as likely as another. Populations do not ship with the clone (see `data/places`): a city
    of millions counts as much as a town of 10,000.
    """
    rng = np.random.default_rng(seed)
    towns = pd.read_parquet(data_path("places", "places.parquet"))
    countries = [rows for _, rows in sorted(towns.groupby("country", observed=True).indices.items())]
    spots = towns[["lat", "lon"]].to_numpy(np.float64)
    seen = set()
    while True:
        for point in _on_land(rng):
            for spot in (
                spots[rng.integers(len(spots))],
                point,
                spots[rng.choice(countries[rng.integers(len(countries))])],
            ):
                place = (round(float(spot[0]), 4), round(float(spot[1]), 4))
                if place not in seen:
                    seen.add(place)
                    yield place


def _on_land(rng: np.random.Generator, n: int = 4096) -> npt.NDArray[np.float64]:
    """Those of `n` random points on the sphere that are on land, (m, 2)."""
    lat, lon = np.degrees(np.arcsin(rng.uniform(-1, 1, n))), rng.uniform(-180, 180, n)
    codes = country_of(lat, lon, offshore_km=0.0)
    points: npt.NDArray[np.float64] = np.column_stack([lat, lon])[(codes != "") & (codes != "ATA")]
    return points


def read_page(page: Page, allows: Callable[[object], bool]) -> Row | str:
    """The row of a file that the API describes, or why it is refused, in words that can be counted.

    page: of `action=query` with the properties of this module, formatversion 2.
    allows: whether an address may be asked.
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
    if info["mime"] not in _MIMES:
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
    fit = _ID.fullmatch(f"M{page['pageid']}") and _SHA1.fullmatch(info["sha1"])
    addresses = filter(None, (info["url"], info.get("thumburl"), info["descriptionurl"]))
    if not (fit and all(map(allows, addresses))):
        return "a name, hash or address that is not one of Commons"
    return ""


def _row(page: Page) -> Row:
    info, place = page["imageinfo"][0], page["coordinates"][0]
    meta = info["extmetadata"]
    uploader = plain_text(str(info.get("user") or ""))
    author = plain_text(_value(meta, "Attribution")) or plain_text(_value(meta, "Artist"))
    return {
        "id": f"M{page['pageid']}",  # as the structured data of Commons calls it
        "lat": float(place["lat"]),
        "lon": float(place["lon"]),
        "author": author or uploader,
        "uploader": uploader,
        "licence": licence_of(meta),
        "licence_url": _web_address(_value(meta, "LicenseUrl")),
        "source": info["descriptionurl"],
        "sha1": info["sha1"],
        "mime": info["mime"],
        "original_width": int(info["width"]),
        "original_height": int(info["height"]),
        "original_bytes": int(info["size"]),
        "path": f"images/{info['sha1'][:2]}/M{page['pageid']}{_MIMES[info['mime']]}",
        "addresses": (info["url"], info.get("thumburl")),
    }


def licence_of(meta: Page) -> str:
    """ "CC0", "Public domain", "CC BY 4.0" or "CC BY-SA 3.0 DE" (and their kin); "" for any other or an unknown one.

    meta: `extmetadata` of a file. Its licence's code and its short name have to agree where both are given.
    """
    if _value(meta, "NonFree").lower() not in ("", "false"):
        return ""
    said = [value for key in ("License", "LicenseShortName") if (value := _value(meta, key))]
    names = {_licence(value.strip()) for value in said}
    return names.pop() if len(names) == 1 else ""


def _licence(text: str) -> str:
    if re.fullmatch(r"cc0([ -]1\.0)?|cc-zero", text, re.I):
        return "CC0"
    if re.fullmatch(r"public domain|pd(-[a-z0-9-]+)?", text, re.I):
        return "Public domain"
    match = _CC.fullmatch(text)
    if match is None:
        return ""
    port = f" {match['port'].upper()}" if match["port"] else ""
    return f"CC BY{'-SA' if match['alike'] else ''} {match['version']}{port}"


def names_of(row: Row) -> set[str]:
    """What a file's photographer is known by: its uploader and its author, each without what differs by chance.

    Empty where the account is hidden and the author's words name nobody ("own work", "see description").
    """
    said = _squeezed(re.sub(r"\(c\)", " ", row["author"], flags=re.IGNORECASE))
    while around := _BEFORE.match(said):
        said = said[around.end() :]
    while around := _AFTER.search(said):
        said = said[: around.start()]
    account = _squeezed(row["uploader"]) or row["uploader"].casefold()
    return {account, "" if _NOBODY.fullmatch(said) else said} - {""}


def _squeezed(text: str) -> str:
    """Letters and digits of a text in lower case, with single spaces between words."""
    return " ".join(re.split(r"[\W_]+", unicodedata.normalize("NFKC", text).casefold())).strip()


class People:
    """Who took which photos: the names that came with one photo are one person's, and so are all that hang together.

    Photos without any name are by nobody.
    """

    def __init__(self) -> None:
        self._above: dict[str, str] = {}  # a name of the same person, towards the one that stands for all
        self._photos: Counter[str] = Counter()  # of the name that stands for all

    def person(self, names: Iterable[str]) -> str:
        """The name that stands for the person of a photo that was added; "" for nobody."""
        return next(map(self._top, sorted(names)), "")

    def photos(self, names: Iterable[str]) -> int:
        """How many photos are by the people of these names, who may be several yet."""
        return sum(self._photos[name] for name in {self._top(name) for name in names})

    def add(self, names: Iterable[str]) -> None:
        """Take in a photo that came with these names."""
        tops = sorted({self._top(name) for name in names})
        for name in tops[1:]:
            self._above[name] = tops[0]
            self._photos[tops[0]] += self._photos.pop(name, 0)
        if tops:
            self._photos[tops[0]] += 1

    def _top(self, name: str) -> str:
        while name in self._above:
            name = self._above[name]
        return name


def _photographers(rows: Sequence[Row]) -> list[str]:
    """One name for each person: the first of their accounts, else of what their photos' authors are called."""
    people, called = People(), dict[str, tuple[bool, str]]()
    named = [names_of(row) for row in rows]
    for names in named:
        people.add(names)
    persons = [people.person(names) for names in named]
    for person, row in zip(persons, rows, strict=True):
        name = (not row["uploader"], row["uploader"] or row["author"])
        called[person] = min(called.get(person, name), name)
    return [called[person][1] if person else "" for person in persons]


def _value(meta: Page, key: str) -> str:
    return str(meta.get(key, {}).get("value", ""))


def _web_address(text: str) -> str:
    text = f"https:{text}" if text.startswith("//") else text
    return text if re.fullmatch(r"https?://[!#-;=?-~]{1,300}", text) else ""


class _Text(HTMLParser):
    """Collects what a reader would see of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0  # how many open tags deep inside something that is not shown

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        style = (dict(attrs).get("style") or "").replace(" ", "").lower()
        unseen = tag in ("script", "style") or "display:none" in style
        if tag in ("br", "img", "hr", "wbr", "input", "link", "meta"):
            self.parts.append(" ")
        elif self.hidden or unseen:
            self.hidden += 1

    def handle_endtag(self, tag: str) -> None:
        self.hidden = max(0, self.hidden - 1)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(data)


def plain_text(markup: str, limit: int = 200) -> str:
    """What a reader sees of a piece of HTML, on one line of at most `limit` characters, without control characters."""
    parser = _Text()
    try:
        parser.feed(markup[:20_000])
        parser.close()
    except Exception:  # the parser of Python 3.11 trips over some malformed declarations
        return ""
    return one_line("".join(parser.parts), limit)


def _ask(client: Client, params: Mapping[str, str]) -> dict[str, Any]:
    """One answer of the API. Waits while its databases lag behind, as maxlag asks."""
    params = {"action": "query", "format": "json", "formatversion": "2", "maxlag": "5", **params}
    for failed in range(client.tries):
        answer, asked = client.json(params)
        if not isinstance(answer, dict):
            raise DownloadError(f"{client.base} does not answer as the API of MediaWiki does", "bad answer")
        error = answer.get("error")
        if not error:
            return answer
        code = error.get("code") if isinstance(error, dict) else error
        if code not in ("maxlag", "ratelimited"):
            raise DownloadError(f"{client.base} refuses the question: {plain_text(str(error))}", "bad answer")
        client.wait(failed, max(asked or 0.0, 5.0))
    raise UnavailableError(f"{client.base} is too busy; run the same command again later", "unavailable")


def _query(client: Client, params: Mapping[str, str]) -> dict[int, dict[str, Any]]:
    """All pages of a query by their id. An answer holds thumbnails for 50 of them; the next ones hold the others'."""
    pages: dict[int, dict[str, Any]] = {}
    more: dict[str, str] = {}
    for _ in range(_CONTINUATIONS):
        answer = _ask(client, {**params, **more})
        try:
            for page in answer.get("query", {}).get("pages", []):
                if page.get("ns", 6) == 6 and "pageid" in page:
                    pages.setdefault(int(page["pageid"]), {}).update(page)
            more = {str(key): str(value) for key, value in answer.get("continue", {}).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise DownloadError(f"{client.base} does not answer as the API does ({error})", "bad answer") from error
        if not more:
            return dict(sorted(pages.items()))
    raise DownloadError(f"{client.base} continues an answer without end", "bad answer")


def _thumbnails(width: int) -> dict[str, str]:
    return {"iiurlwidth": str(width)} if width else {}


def _around(client: Client, place: tuple[float, float], width: int) -> list[dict[str, Any]]:
    """The files around a place, (lat, lon), in the order of their ids."""
    asked = {
        "generator": "geosearch",
        "ggsnamespace": "6",
        "ggsprimary": "primary",
        "ggscoord": f"{place[0]}|{place[1]}",
        "ggsradius": str(_RADIUS_M),
        "ggslimit": str(_NEAREST),
    }
    return list(_query(client, _INFO | _thumbnails(width) | asked).values())


def _by_id(client: Client, ids: Iterable[str], width: int) -> dict[int, dict[str, Any]]:
    numbers = "|".join(photo.removeprefix("M") for photo in ids)
    return _query(client, _INFO | _thumbnails(width) | {"pageids": numbers})


@dataclass
class _Collection:
    """The photos in a folder, and the journal of how they came there: a killed run goes on from it.

    rows: of the photos, in the order in which they came.  steps: how many of the work are done.
    refused: id of a file -> why.  held: how many photos have a value, for some columns.  people: who took them.
    """

    folder: Path
    client: Client
    width: int
    wanted: int
    bar: Any
    rows: list[Row] = field(default_factory=list)
    steps: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    held: dict[str, Counter[str]] = field(default_factory=dict)
    people: People = field(default_factory=People)
    failures: int = 0
    _stream: IO[bytes] | None = None

    @classmethod
    def open(cls, folder: Path, client: Client, width: int, wanted: int, progress: bool) -> _Collection:
        found = cls(folder, client, width, wanted, tqdm(total=wanted, unit="photo", disable=not progress))
        journal = folder / "journal.jsonl"
        whole = 0
        for line in journal.read_bytes().splitlines(keepends=True) if journal.is_file() else []:
            if not line.endswith(b"\n"):  # a kill in mid-line
                break
            try:
                found._replay(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise CorruptFileError(f"{journal} is damaged ({error}); remove {folder} and fetch again") from error
            whole += len(line)
        found._stream = open(journal, "ab")  # noqa: SIM115  closed by __exit__
        found._stream.truncate(whole)
        return found

    def __enter__(self) -> _Collection:
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.close()
        if self._stream:
            self._stream.close()

    def full(self) -> bool:
        return len(self.rows) >= self.wanted

    def holds(self, kind: str, value: str) -> int:
        """How many photos have this value in a column."""
        return self.held.get(kind, Counter())[value]

    def add(self, row: Row) -> str:
        """Fetch a photo and take it in; why not, or ""."""
        address = row.pop("addresses")[self.width != ORIGINALS]
        if not address:
            return "no thumbnail"
        try:
            row |= self._file(row, address)
        except UnavailableError as error:
            self.failures += 1
            if self.failures >= _FAILURES or error.reason != "unavailable":
                raise
            return error.reason
        except DownloadError as error:
            self.failures = 0
            return error.reason
        self.failures = 0
        if self.holds("sha256", row["sha256"]):
            (self.folder / row["path"]).unlink()
            return "the same bytes as another"
        self._write({"photo": row})
        return ""

    def close_step(self, refused: Mapping[str, str]) -> None:
        """Note that a step of the work is done, so that it is not done again, and the files refused in it."""
        by_reason: dict[str, list[str]] = {}
        for photo, why in refused.items():
            by_reason.setdefault(why, []).append(photo)
        self._write({"step": self.steps, "refused": by_reason})

    def _file(self, row: Row, address: str) -> Row:
        check = partial(_inspect, row=row, width=self.width)
        target = self.folder / row["path"]
        if target.is_file():  # a kill came between the file and its line in the journal
            try:
                return check(target)
            except DownloadError:
                target.unlink()
        if self.width != ORIGINALS:
            return self.client.file(address, target, check, max_bytes=_MAX_THUMBNAIL)
        length, digest = row["original_bytes"], f"sha1:{row['sha1']}"
        return self.client.file(address, target, check, max_bytes=_MAX_ORIGINAL, length=length, digest=digest)

    def _write(self, event: Mapping[str, Any]) -> None:
        assert self._stream is not None
        self._stream.write(_line(event).encode())
        self._stream.flush()
        self._replay(event)

    def _replay(self, event: Mapping[str, Any]) -> None:
        if "photo" in event:
            row = event["photo"]
            self.rows.append(row)
            self.people.add(names_of(row))
            for kind, value in _held(row).items():
                self.held.setdefault(kind, Counter())[value] += 1
            self.bar.update(len(self.rows) <= self.wanted)
        else:
            self.steps = event["step"] + 1
            for why, photos in event["refused"].items():
                self.refused |= dict.fromkeys(photos, why)

    def finish(self) -> dict[str, Any]:
        """Write table, manifest and report of the photos wanted.

        In the report, `wanted` is how many photos were wanted, and `asked` at how many places they were asked for (with
        a manifest: in how many batches).
        """
        refused = Counter(why for photo, why in self.refused.items() if not self.holds("id", photo))
        if not self.rows:
            reasons = ", ".join(f"{n} {why}" for why, n in refused.most_common(3))
            raise MissingDataError(
                f"no photograph was found in {self.steps} steps" + (f": {reasons}" if reasons else "")
            )
        rows = self.rows[: self.wanted]
        table = pd.DataFrame(rows).assign(photographer=_photographers(rows))
        table = table.drop(columns="step").sort_values("id", ignore_index=True)
        table["country"] = country_of(table["lat"], table["lon"])
        lines = table.drop(columns="country").assign(width=self.width).to_dict("records")
        with atomic_path(self.folder / "photos.parquet") as temporary:
            table.to_parquet(temporary, index=False)
        write_bytes(self.folder / "manifest.jsonl", "".join(map(_line, lines)).encode())
        counts = {"wanted": self.wanted, "asked": self.steps, "refused": dict(refused.most_common())}
        report = describe(table) | counts
        write_json(self.folder / "report.json", report)
        return report


def _held(row: Row) -> dict[str, str]:
    block = f"{np.floor(row['lat']):.0f} {np.floor(row['lon']):.0f}"
    return {"block": block} | {key: row[key] for key in ("id", "sha1", "sha256")}


def _line(row: Mapping[Any, Any]) -> str:
    return json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n"


def _inspect(path: Path, row: Row, width: int) -> Row:
    """What is known of a file only once it is here. Raises `DownloadError` for one that is not the picture expected."""
    try:
        picture = open_rgb(path)
    except ImageError as error:
        raise DownloadError(str(error), "not a whole picture") from error
    w, h = row["original_width"], row["original_height"]
    # A thumbnail may be wider than asked (the next width served), or the original where that is small.
    least = w if width == ORIGINALS else min(width, w)
    if not (least <= picture.width <= w) or abs(picture.height - picture.width * h / w) > 1.5:
        raise DownloadError(f"{path.name} is {picture.size}, expected {least} of {w} x {h}", "wrong dimensions")
    size = path.stat().st_size
    return {"sha256": sha256_file(path), "bytes": size, "hash": average_hash(picture)}


def _fetch_around(found: _Collection, spots: Iterable[tuple[float, float]], caps: Mapping[str, int], seed: int) -> None:
    """A step for each place: ask what is around it, and take some in random order."""
    for step, place in enumerate(spots):
        # As many places as photos ought to give enough; where they do not, there is no more.
        if found.full() or step >= found.wanted + 100:
            return
        if step < found.steps:
            continue
        pages = _around(found.client, place, found.width)
        refused: dict[str, str] = {}
        taken = sum(row["step"] == step for row in found.rows[-caps["place"] :])  # before a kill
        for position in np.random.default_rng([seed, step]).permutation(len(pages)):
            if taken >= caps["place"] or found.full():
                break
            photo = f"M{pages[position]['pageid']}"
            if found.holds("id", photo) or photo in found.refused:
                continue  # before a kill, or from a place nearby
            row = read_page(pages[position], found.client.allows)
            why = row if isinstance(row, str) else _capped(found, row, caps) or found.add(row | {"step": step})
            taken += not why
            if why:
                refused[photo] = why
        if found.full() and taken < caps["place"]:
            return  # with more photos wanted, this place is gone on with
        found.close_step(refused)


def _capped(found: _Collection, row: Row, caps: Mapping[str, int]) -> str:
    held = _held(row | {"sha256": ""})
    if found.holds("sha1", row["sha1"]):
        return "the same sha1 as another"
    if found.people.photos(names_of(row)) >= caps["photographer"]:
        return f"{caps['photographer']} by the same photographer already"
    if found.holds("block", held["block"]) >= caps["block"]:
        return f"{caps['block']} from the same degree already"
    return ""


def _fetch_listed(found: _Collection, wanted: Sequence[Row]) -> None:
    """A step for each batch of ids. Only id, sha1 and place are taken from the manifest, all else from the API."""
    for step, first in enumerate(range(0, len(wanted), _BATCH)):
        if step < found.steps or found.full():
            continue
        batch = wanted[first : first + _BATCH]
        pages = _by_id(found.client, (row["id"] for row in batch), found.width)
        refused: dict[str, str] = {}
        for listed in batch:
            if found.full() or found.holds("id", listed["id"]):
                continue
            why = _again(found, listed, pages.get(int(listed["id"][1:]), {}), step)
            if why:
                refused[listed["id"]] = why
        if not found.full() or first + _BATCH >= len(wanted):
            found.close_step(refused)


def _again(found: _Collection, listed: Row, page: Page, step: int) -> str:
    if not page.get("imageinfo"):
        return "no longer on Commons"
    row = read_page({**page, "coordinates": [{"lat": listed["lat"], "lon": listed["lon"]}]}, found.client.allows)
    if isinstance(row, str):
        return row
    return (
        "changed since the manifest (other sha1)" if row["sha1"] != listed["sha1"] else found.add(row | {"step": step})
    )


def _read_manifest(path: Path) -> list[Row]:
    if not path.is_file():
        raise MissingDataError(f"{path} does not exist; expected the manifest.jsonl of a fetched dataset")
    rows: dict[str, Row] = {}
    with open(path, encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                row = json.loads(line)
                lat, lon = float(row["lat"]), float(row["lon"])
                if not (
                    _ID.fullmatch(row["id"]) and _SHA1.fullmatch(row["sha1"]) and abs(lat) <= 90 and abs(lon) <= 180
                ):
                    raise ValueError("an id, sha1 or place that is none")
                if type(row["width"]) is not int:
                    raise ValueError("a width that is no whole number")
                rows[row["id"]] = {"id": row["id"], "sha1": row["sha1"], "lat": lat, "lon": lon, "width": row["width"]}
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise CorruptFileError(
                    f"line {number} of {path} is not of a manifest ({error}); expected the manifest.jsonl that a "
                    "fetch has written"
                ) from error
    if not rows:
        raise CorruptFileError(f"{path} lists no photos; expected the manifest.jsonl of a fetched dataset")
    return list(rows.values())


def _width(width: int | None, wanted: Sequence[Row]) -> int:
    listed = {row["width"] for row in wanted}
    if width is None:
        width = listed.pop() if len(listed) == 1 else 500
    if type(width) is not int or width not in (*WIDTHS, ORIGINALS):
        raise ValueError(
            f"width={width}: Wikimedia serves thumbnails of {', '.join(map(str, WIDTHS))} pixels; "
            f"{ORIGINALS} stands for the originals"
        )
    return width


def _refuse_foreign(out: Path) -> None:
    if (out / "settings.json").is_file():
        return
    if out.is_dir() and any(not file.name.startswith(".") for file in out.iterdir()):
        raise MismatchError(f"{out} is not a folder of this command: name another with --out")


def _check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """The same options as in the run that began this folder, else its steps would be other ones."""
    path = out / "settings.json"
    if not path.is_file():
        write_json(path, settings)
        return
    before = read_json(path)
    other = [f"{key} {before.get(key)!r}, not {value!r}" for key, value in settings.items() if before.get(key) != value]
    if other:
        raise MismatchError(
            f"{out} was begun with {'; '.join(other)}: ask for the same, or name another folder with --out"
        )


def credit(path: Path) -> str:
    """Author, licence and page of a fetched photo's file, as one line; "" for any other file, whatever is beside it."""
    table = path.resolve().parent.parent.parent / "photos.parquet"
    if not (_ID.fullmatch(path.stem) and table.is_file()):
        return ""
    try:
        return _credits(table, table.stat().st_mtime_ns).get(path.stem, "")
    except Exception:  # a stranger's table: pyarrow and pandas raise a dozen kinds on it
        return ""


@lru_cache(maxsize=4)
def _credits(table: Path, changed: int) -> dict[str, str]:
    rows = pd.read_parquet(table, columns=["id", "author", "licence", "source"])
    return {str(row.id): f"{row.author}, {row.licence}, {row.source}" for row in rows.itertuples()}
