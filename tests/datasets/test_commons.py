"""Wikimedia Commons on a local server that speaks the same part of its API: fetched, resumed, refused, shared, used."""

import hashlib
import io
import itertools
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny import write_encoder
from web import Server, answer, cut, instead, redirect, reply, status

import geolib
from geolib.app import cli as cli
from geolib.common.download import Client, DownloadError, UnavailableError
from geolib.common.errors import CorruptFileError, MismatchError, MissingDataError
from geolib.countries import country_of
from geolib.datasets import commons, mediawiki, open_dataset
from geolib.datasets.report import format_report
from geolib.images import open_rgb
from geolib.sphere import haversine_km

ROOT = Path(__file__).resolve().parents[2]
ME = "you@example.org"
SIZE = (1000, 750)  # of the originals, as the API tells


def picture(number, size=(500, 375), kind="JPEG"):
    """A blurred random picture, as bytes."""
    pixels = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(stream, kind)
    return stream.getvalue()


class Wiki(Server):
    """Files with coordinates, behind `action=query` as MediaWiki answers it."""

    def __init__(self):
        super().__init__()
        self.api = f"{self.base}/w/api.php"
        self.pages, self.questions = {}, []
        self.routes["/w/api.php"] = self.query

    def add(self, lat, lon, user="Ada", **changes):
        """A file of the wiki; `changes` are to its imageinfo, its extmetadata (`meta`), its page (`page`) or `body`."""
        number = len(self.pages) + 100
        title = changes.pop("title", f"File:Photo {number}.jpg")
        body = changes.pop("body", None) or picture(number)
        meta = {
            "License": "cc-by-sa-4.0",
            "LicenseShortName": "CC BY-SA 4.0",
            "LicenseUrl": "https://creativecommons.org/licenses/by-sa/4.0",
            "Artist": f'<a href="//commons.wikimedia.org/wiki/User:{user}" title="User:{user}">{user}</a>',
            "Categories": "Self-published work|Pages with maps|Landscapes",
        }
        meta |= changes.pop("meta", {})
        page = {"pageid": number, "ns": 6, "title": title, "coordinates": [{"lat": lat, "lon": lon, "globe": "earth"}]}
        page |= changes.pop("page", {})
        address = f"{self.base}/thumb/{number}/500px-{number}.jpg"
        info = {
            "url": f"{self.base}/original/{number}.jpg",
            "thumburl": address,
            "thumbwidth": 500,
            "descriptionurl": f"{self.base}/wiki/File:Photo_{number}.jpg",
            "size": 400_000,
            "width": SIZE[0],
            "height": SIZE[1],
            "mime": "image/jpeg",
            "sha1": hashlib.sha1(b"original %d" % number).hexdigest(),
            "user": user,
            "extmetadata": {key: {"value": value, "source": "x"} for key, value in meta.items() if value is not None},
        }
        page.setdefault("imageinfo", [info | changes])
        self.pages[number] = page
        self.files[f"/thumb/{number}/500px-{number}.jpg"] = body
        return number

    def query(self, handler, asked):
        self.questions.append(asked)
        assert asked["action"] == "query" and asked["maxlag"] == "5" and asked["formatversion"] == "2"
        if asked.get("generator") == "geosearch":
            lat, lon = map(float, asked["ggscoord"].split("|"))
            assert (asked["ggsnamespace"], int(asked["ggsradius"]) <= 10_000) == ("6", True)
            near = []
            for number, page in self.pages.items():
                at = page["coordinates"][0] if page.get("coordinates") else page["near"]
                km = haversine_km(lat, lon, min(max(at["lat"], -90), 90), min(max(at["lon"], -180), 180))
                if km <= int(asked["ggsradius"]) / 1000:
                    near.append((float(km), number))
            chosen = [number for _, number in sorted(near)[: int(asked["ggslimit"])]]
        else:
            chosen = [int(number) for number in asked["pageids"].split("|")]
            assert len(chosen) <= 50
        if not chosen:
            return answer(handler, {"batchcomplete": True})
        # As in ApiQueryImageInfo: 50 thumbnails an answer, by title, and the title that comes next to go on with.
        known = sorted((n for n in chosen if n in self.pages), key=lambda n: self.pages[n]["title"])
        first = next((i for i, n in enumerate(known) if str(n) == asked.get("iicontinue")), 0)
        told = set(known[first : first + 50])
        pages = []
        for number in chosen:
            page = dict(self.pages.get(number, {"pageid": number, "missing": True}))
            page.pop("near", None)
            if number not in told:
                page.pop("imageinfo", None)
            if "iicontinue" in asked:
                page.pop("coordinates", None)
            pages.append(page)
        value = {"query": {"pages": pages}}
        if first + 50 < len(known):
            value["continue"] = {"iicontinue": str(known[first + 50]), "continue": "||coordinates"}
        return answer(handler, value)


def world(wiki, places, each, seed=0):
    """`each` files around each of the first `places` places that a fetch with this seed asks for."""
    rng = np.random.default_rng(1)
    for number, (lat, lon) in enumerate(itertools.islice(commons.places(seed), places)):
        for k in range(each):
            dlat, dlon = rng.uniform(-0.03, 0.03, 2)
            wiki.add(
                float(np.clip(lat + dlat, -90, 90)), float((lon + dlon + 180) % 360 - 180), f"User {number}.{k % 2}"
            )


@pytest.fixture
def wiki():
    with Wiki() as running:
        yield running


HOME = next(commons.places(0))  # the first place that is asked for


@pytest.fixture(autouse=True)
def naps(monkeypatch):
    """The seconds that would have been waited."""
    naps = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


def fetch(wiki, out, photos=10, caps=(), **options):
    with mock.patch.dict(commons.CAPS, caps):
        return commons.fetch(out, ME, photos=photos, api=wiki.api, **options)


def table_of(out):
    return pd.read_parquet(out / "photos.parquet")


def unfinished(out):
    return [file for file in out.rglob("*") if ".part" in file.name]


# Fetching


def test_a_complete_run(wiki, tmp_path):
    world(wiki, 12, 6)
    report = fetch(wiki, tmp_path / "c", photos=50, caps={"place": 5})
    assert report["photos"] == 50
    assert report["photographers"] == 20
    assert report["licences"] == {"CC BY-SA 4.0": 50}
    table = table_of(tmp_path / "c")
    assert report["countries"] == len(set(country_of(table["lat"], table["lon"])) - {""}) > 3
    assert report["bytes"] == sum(f.stat().st_size for f in (tmp_path / "c" / "images").rglob("*.jpg"))
    assert json.loads((tmp_path / "c" / "report.json").read_text()) == report
    assert list(table["id"]) == sorted(table["id"])
    for row in table.to_dict("records"):
        body = (tmp_path / "c" / row["path"]).read_bytes()
        assert hashlib.sha256(body).hexdigest() == row["sha256"]
        page = wiki.pages[int(row["id"][1:])]
        assert (row["lat"], row["lon"]) == (page["coordinates"][0]["lat"], page["coordinates"][0]["lon"])
        assert row["sha1"] == page["imageinfo"][0]["sha1"]
        assert (row["author"], row["photographer"], row["uploader"]) == (page["imageinfo"][0]["user"],) * 3
        assert row["source"] == page["imageinfo"][0]["descriptionurl"]
    assert not unfinished(tmp_path / "c")
    agents = {headers["User-Agent"] for _, _, headers in wiki.asked}
    assert len(agents) == 1 and ME in agents.pop()
    said = format_report(report)
    assert "50 photos" in said and "20 photographers" in said and "CC BY-SA 4.0 50" in said


def test_the_same_seed_gives_the_same_photos(wiki, tmp_path):
    world(wiki, 6, 8)
    for out in ("a", "b"):
        fetch(wiki, tmp_path / out, photos=20, caps={"place": 4})
    for name in ("manifest.jsonl", "report.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    pd.testing.assert_frame_equal(table_of(tmp_path / "a"), table_of(tmp_path / "b"))


class Killed(BaseException):
    """As of a kill: nothing in geolib catches it."""


def kill_at(monkeypatch, picture):
    """Let the process die while it reads the picture of this number."""
    calls = itertools.count()

    def dies(path):
        if next(calls) == picture:
            raise Killed
        return open_rgb(path)

    monkeypatch.setattr(commons, "open_rgb", dies)


def same_files(one, other):
    for name in ("manifest.jsonl", "report.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert not unfinished(one)


@pytest.mark.parametrize(("after", "lost"), [(3, 0), (17, 0), (12, 1)])
def test_a_run_that_is_killed_goes_on_and_ends_the_same(wiki, tmp_path, after, lost, monkeypatch):
    world(wiki, 8, 6)
    options = {"photos": 30, "caps": {"place": 4}}
    fetch(wiki, tmp_path / "whole", **options)
    wiki.asked.clear()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, after)
        fetch(wiki, tmp_path / "c", **options)
    journal = tmp_path / "c" / "journal.jsonl"
    if lost:  # the kill came between a picture and its line
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-lost]))
    assert len(list((tmp_path / "c" / "images").rglob("M*.jpg"))) == after
    with pytest.raises(MissingDataError, match="was begun and is not finished"):
        open_dataset("commons", path=tmp_path / "c")
    for _ in range(2):
        with open(journal, "ab") as stream:
            stream.write(b'{"photo": {"id": "M1')  # the kill came in mid-line
        fetch(wiki, tmp_path / "c", **options)
        same_files(tmp_path / "c", tmp_path / "whole")
    pictures = [path for path, _, _ in wiki.asked if path.startswith("/thumb")]
    assert len(pictures) == 31, "only the one that was in transfer is asked for twice"


def test_a_process_that_is_killed_in_mid_transfer_goes_on(wiki, tmp_path):
    world(wiki, 5, 6)
    fetch(wiki, tmp_path / "whole", photos=20, caps={"place": 4})
    victim = sorted(table_of(tmp_path / "whole")["id"])[10].removeprefix("M")

    def kill(handler, body):
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nContent-Length: %d\r\n\r\n' % len(body) + body[:1000])
        process.kill()
        handler.close_connection = True

    wiki.faults[f"/thumb/{victim}/500px-{victim}.jpg"] = [kill]
    code = f"""from pathlib import Path
from geolib.datasets import commons
commons.CAPS["place"] = 4
commons.fetch(Path({str(tmp_path / "c")!r}), {ME!r}, api={wiki.api!r}, photos=20)
"""
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    assert process.wait() == -signal.SIGKILL
    assert not list((tmp_path / "c" / "images").rglob(f"M{victim}.jpg"))
    fetch(wiki, tmp_path / "c", photos=20, caps={"place": 4})
    same_files(tmp_path / "c", tmp_path / "whole")


def test_more_can_be_asked_for_later(wiki, tmp_path):
    world(wiki, 8, 6)
    fetch(wiki, tmp_path / "c", photos=10, caps={"place": 4})
    before = set(table_of(tmp_path / "c")["id"])
    fetch(wiki, tmp_path / "c", photos=30, caps={"place": 4})
    fetch(wiki, tmp_path / "whole", photos=30, caps={"place": 4})
    assert before < set(table_of(tmp_path / "c")["id"])
    assert (tmp_path / "c" / "manifest.jsonl").read_bytes() == (tmp_path / "whole" / "manifest.jsonl").read_bytes()
    fetch(wiki, tmp_path / "c", photos=10, caps={"place": 4})
    assert set(table_of(tmp_path / "c")["id"]) == before, "and fewer"


def test_a_folder_of_other_options_or_things_is_refused(wiki, tmp_path):
    world(wiki, 1, 2)
    fetch(wiki, tmp_path / "c", photos=2)
    with pytest.raises(MismatchError, match="was begun with width 500, not 960"):
        fetch(wiki, tmp_path / "c", width=960)
    with pytest.raises(MismatchError, match="was begun with seed 0, not 1"):
        fetch(wiki, tmp_path / "c", seed=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(MismatchError, match="holds other files"):
        fetch(wiki, tmp_path / "mine")
    for line in ("[]", '{"photo": []}', '{"step": 0, "refused": []}', "[" * 200_000):
        (tmp_path / "c" / "journal.jsonl").write_text(line + "\n")
        with pytest.raises(CorruptFileError, match=r"journal.jsonl is damaged"):
            fetch(wiki, tmp_path / "c", photos=2)


@pytest.mark.parametrize("options", [{"photos": 0}, {"width": 640}, {"width": -1}])
def test_wrong_options_are_refused(wiki, tmp_path, options):
    with pytest.raises(ValueError, match=r"expected at least 1|serves thumbnails of 250, 330, 500"):
        fetch(wiki, tmp_path / "c", **options)
    assert not (tmp_path / "c").exists()
    assert wiki.asked == []


def test_a_page_of_500_with_continuation(wiki, tmp_path):
    for k in range(510):
        wiki.add(HOME[0] + k * 1e-5, HOME[1], f"User {k}", body=b"none")
    pages = mediawiki.files_around(client_of(wiki), *HOME, 500)
    assert len(wiki.questions) == 10
    assert [page["pageid"] for page in pages] == list(range(100, 600)), "the nearest 500"
    assert all(page["imageinfo"] and page["coordinates"] for page in pages)
    assert wiki.questions[0]["iiurlwidth"] == "500"


def client_of(wiki):
    return Client(wiki.api, ME)


def test_answers_that_are_nested_without_end_are_refused(wiki, tmp_path):
    wiki.routes["/w/api.php"] = lambda h, q: reply(h, 200, b'{"query":' * 100_000)
    with pytest.raises(DownloadError, match="nested too deeply"):
        fetch(wiki, tmp_path / "c")


def test_answers_without_end_end(wiki):
    wiki.routes["/w/api.php"] = lambda h, q: answer(h, {"continue": {"iicontinue": "x"}, "query": {"pages": []}})
    with pytest.raises(DownloadError, match="continues an answer without end"):
        mediawiki.files_around(client_of(wiki), *HOME, 500)


# What the server may do


def test_throttling_is_obeyed_and_nothing_is_lost(wiki, tmp_path, naps):
    world(wiki, 2, 4)
    lagging = {"error": {"code": "maxlag", "info": "Waiting for db1: 6.2 seconds lagged", "lag": 6.2}}
    wiki.faults["/w/api.php"] = [
        lambda h, b: answer(h, lagging, Retry_After=6),
        lambda h, b: answer(h, {"error": {"code": "ratelimited", "info": "..."}}),
        status(429, Retry_After=9),
        status(503),
    ]
    wiki.faults["/thumb/101/500px-101.jpg"] = [
        status(429, Retry_After=11),
        status(503),
        cut(1000),
        redirect("/elsewhere"),
    ]
    wiki.files["/elsewhere"] = wiki.files["/thumb/101/500px-101.jpg"]
    report = fetch(wiki, tmp_path / "c", photos=8)
    assert report["photos"] == 8
    assert report["refused"] == {}
    assert [nap for nap in naps if nap > 0.2] == [6, 5, 9, 2, 11, 2]


def test_an_error_of_the_api_ends_the_run_in_words(wiki, tmp_path):
    wiki.routes["/w/api.php"] = lambda h, q: answer(h, {"error": {"code": "badvalue", "info": "<b>no such</b> thing"}})
    with pytest.raises(DownloadError, match=r"refuses the question: badvalue: no such thing"):
        fetch(wiki, tmp_path / "c")
    for odd in ([], "x", {"query": []}, {"query": {"pages": 7}}, {"query": {"pages": [7]}}, {"continue": 1}):
        wiki.routes["/w/api.php"] = lambda h, q, odd=odd: answer(h, odd)
        with pytest.raises(DownloadError, match="does not answer like MediaWiki"):
            fetch(wiki, tmp_path / "c")


def test_one_file_that_fails_is_left_out_many_end_the_run(wiki, tmp_path):
    for k in range(8):
        wiki.add(HOME[0], HOME[1], f"User {k}")
    wiki.faults["/thumb/103/500px-103.jpg"] = [status(500)] * 99
    report = fetch(wiki, tmp_path / "c", photos=8)
    assert report["photos"] == 7
    assert report["refused"] == {"unavailable": 1}
    wiki.faults = {path: [status(500)] * 99 for path in wiki.files}
    with pytest.raises(UnavailableError, match="run the same command again later"):
        fetch(wiki, tmp_path / "d", photos=8)
    wiki.faults = {}
    assert fetch(wiki, tmp_path / "d", photos=8)["photos"] == 8, "and nothing was held against the files"


BAD_FILES = {
    "HTTP 410": {"fault": status(410)},
    "HTTP 404": {"fault": status(404)},
    "not a whole picture": {"fault": instead(b"<html>no picture</html>")},
    "wrong dimensions": {"fault": instead(picture(0, (500, 300)))},
    "bad address": {"fault": redirect("http://127.0.0.1:1/evil.jpg")},
}


@pytest.mark.parametrize("reason", BAD_FILES)
def test_a_bad_file_is_refused_and_counted(wiki, tmp_path, reason):
    for k in range(4):
        wiki.add(HOME[0], HOME[1], f"User {k}")
    wiki.faults["/thumb/102/500px-102.jpg"] = [BAD_FILES[reason]["fault"]]
    report = fetch(wiki, tmp_path / "c")
    assert (report["photos"], report["refused"]) == (3, {reason: 1})
    assert "M102" not in set(table_of(tmp_path / "c")["id"])
    assert not list((tmp_path / "c").rglob("*M102*"))


def test_a_picture_cut_short_by_the_server_itself(wiki, tmp_path):
    for k in range(2):
        wiki.add(HOME[0], HOME[1], f"User {k}")
    wiki.files["/thumb/100/500px-100.jpg"] = wiki.files["/thumb/100/500px-100.jpg"][:-800]
    assert fetch(wiki, tmp_path / "c")["refused"] == {"not a whole picture": 1}


def test_small_originals_and_wider_thumbnails_are_fine(wiki, tmp_path):
    wiki.add(HOME[0], HOME[1], "a", body=picture(1, (960, 720)))
    wiki.add(HOME[0], HOME[1], "b", body=picture(2, (490, 640)), width=490, height=640)
    wiki.add(HOME[0], HOME[1], "c", body=picture(3, kind="PNG"), mime="image/png")
    wiki.add(HOME[0], HOME[1], "d", body=picture(3, (330, 248)))
    wiki.add(HOME[0], HOME[1], "e", thumburl=None)
    report = fetch(wiki, tmp_path / "c")
    assert (report["photos"], report["refused"]) == (3, {"wrong dimensions": 1, "no thumbnail": 1})


def test_originals_are_checked_by_their_sha1(wiki, tmp_path):
    for k in range(3):
        body = picture(k, (640, 480))
        number = wiki.add(
            HOME[0], HOME[1], f"User {k}", size=len(body), width=640, height=480, sha1=hashlib.sha1(body).hexdigest()
        )
        wiki.files[f"/original/{number}.jpg"] = body
    wiki.files["/original/101.jpg"] = picture(77, (640, 480))
    wiki.pages[101]["imageinfo"][0]["size"] = len(wiki.files["/original/101.jpg"])
    wiki.files["/original/102.jpg"] += b"\0"
    report = fetch(wiki, tmp_path / "c", width=commons.ORIGINALS)
    assert (report["photos"], report["refused"]) == (1, {"wrong hash": 1, "wrong length": 1})
    assert all("iiurlwidth" not in question for question in wiki.questions)


# What the API may say of a file

BAD_PAGES = {
    "no coordinates": [
        {"page": {"coordinates": [], "near": {"lat": HOME[0], "lon": HOME[1]}}},
        {"page": {"coordinates": None, "near": {"lat": HOME[0], "lon": HOME[1]}}},
        {"page": {"coordinates": [{"lat": HOME[0], "lon": HOME[1], "globe": "moon"}]}},
    ],
    "coordinates of exactly 0, 0": [
        {"page": {"coordinates": [{"lat": 0, "lon": 0, "globe": "earth"}]}},
        {"page": {"coordinates": [{"lat": 0.0, "lon": -0.0}]}},
    ],
    "not a picture format of photographs": [{"mime": "image/svg+xml"}, {"mime": "image/tiff"}, {"mime": "video/webm"}],
    "smaller than 480 pixels": [{"width": 640, "height": 479}],
    "a long strip": [{"width": 5000, "height": 1000}],
    "not a photograph (maps)": [{"meta": {"Categories": "Old maps of Rome|Rome"}}],
    "not a photograph (flag)": [{"meta": {"Categories": "Flag of X"}}],
    "not a photograph (scans)": [{"meta": {"Categories": "Scans of letters"}}],
    "not a photograph (coats of arms)": [{"meta": {"Categories": "Rome|Coats of arms in Rome"}}],
    "licence not allowed (GFDL)": [{"meta": {"License": "gfdl", "LicenseShortName": "GFDL"}}],
    "licence not allowed (CC BY-NC 2.0)": [{"meta": {"License": "cc-by-nc-2.0", "LicenseShortName": "CC BY-NC 2.0"}}],
    "licence not allowed (CC BY-SA 4.0)": [
        {"meta": {"License": "fal"}},
        {"meta": {"License": "cc-by-4.0"}},
        {"meta": {"NonFree": "true"}},
    ],
    "licence unknown": [
        {"meta": {"License": None, "LicenseShortName": None}},
        {"meta": {"License": "fal", "LicenseShortName": ""}},
    ],
    "a name, hash or address that is not one of Commons": [
        {"page": {"pageid": "../../evil"}},
        {"page": {"pageid": -5}},
        {"sha1": "../../../../etc/passwd"},
        {"sha1": "A" * 40},
        {"thumburl": "http://127.0.0.1:1/x.jpg"},
        {"url": "file:///etc/passwd"},
        {"descriptionurl": "javascript:alert(1)"},
    ],
    "incomplete record": [
        {"page": {"imageinfo": []}},
        {"page": {"coordinates": [{"lat": "north", "lon": 0}], "near": {"lat": HOME[0], "lon": HOME[1]}}},
        {"extmetadata": None},
        {"sha1": None},
        {"width": "wide"},
    ],
}


@pytest.mark.parametrize(
    ("reason", "changes"), [(why, change) for why, changes in BAD_PAGES.items() for change in changes]
)
def test_what_is_no_free_photograph_is_refused_in_words(wiki, reason, changes):
    number = wiki.add(*HOME, **json.loads(json.dumps(changes)))
    assert mediawiki.read_page(wiki.pages[number], client_of(wiki).allows) == reason


def test_refusals_are_counted_and_never_fetched(wiki, tmp_path):
    for reason in ("licence unknown", "not a photograph (maps)", "smaller than 480 pixels"):
        for change in BAD_PAGES[reason]:
            wiki.add(*HOME, **json.loads(json.dumps(change)))
    good = wiki.add(*HOME)
    report = fetch(wiki, tmp_path / "c")
    assert report["refused"] == {"licence unknown": 2, "not a photograph (maps)": 1, "smaller than 480 pixels": 1}
    assert [path for path, _, _ in wiki.asked if path.startswith("/thumb")] == [f"/thumb/{good}/500px-{good}.jpg"]


def test_an_evil_title_names_no_file(wiki, tmp_path):
    number = wiki.add(*HOME, title="File:../../../evil.jpg")
    fetch(wiki, tmp_path / "c")
    (row,) = table_of(tmp_path / "c").to_dict("records")
    assert re.fullmatch(rf"images/[0-9a-f]{{2}}/M{number}\.jpg", row["path"])
    files = {file.relative_to(tmp_path).parts[0] for file in tmp_path.rglob("*")}
    assert files == {"c"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["coordinates", "imageinfo", "pageid", "lat", "lon", "mime", "extmetadata", "value", "url"]
                ),
                x,
            )
        ),
    )
)
def test_whatever_the_api_says_is_read_or_refused(page):
    assert isinstance(mediawiki.read_page(page, lambda url: True), str)


def test_fewer_than_wanted_are_reported_with_both_numbers(wiki, tmp_path):
    world(wiki, 2, 3)
    report = fetch(wiki, tmp_path / "c", photos=50)
    assert (report["photos"], report["wanted"], report["asked"]) == (6, 50, 150)
    assert json.loads((tmp_path / "c" / "report.json").read_text()) == report
    manifest = tmp_path / "c" / "manifest.jsonl"
    del wiki.pages[100]
    report = fetch(wiki, tmp_path / "d", photos=None, manifest=manifest)
    assert (report["photos"], report["wanted"], report["asked"]) == (5, 6, 1)


def test_nothing_to_be_had_is_said(wiki, tmp_path):
    with pytest.raises(MissingDataError, match="no photograph was found in"):
        fetch(wiki, tmp_path / "c", photos=1)


# Duplicates and caps


@pytest.mark.parametrize("reason", ["the same bytes as another", "the same sha1 as another"])
def test_duplicates_are_taken_once(wiki, tmp_path, reason):
    changes = {"the same bytes as another": {"body": picture(5)}, "the same sha1 as another": {"sha1": "a" * 40}}[
        reason
    ]
    for k in range(3):
        wiki.add(*HOME, f"User {k}", **changes)
    wiki.add(*HOME, "other")
    report = fetch(wiki, tmp_path / "c")
    assert (report["photos"], report["refused"]) == (2, {reason: 2})
    files = sorted(f.stem for f in (tmp_path / "c" / "images").rglob("*.jpg"))
    assert files == sorted(table_of(tmp_path / "c")["id"])


def test_a_file_near_two_places_is_judged_once(wiki, tmp_path, monkeypatch):
    for k in range(3):
        wiki.add(*HOME, f"User {k}")
    wiki.faults["/thumb/101/500px-101.jpg"] = [status(410)] * 2
    monkeypatch.setattr(commons, "places", lambda seed: iter([HOME, (HOME[0] + 0.01, HOME[1])]))
    report = fetch(wiki, tmp_path / "c")
    assert (report["photos"], report["refused"], report["asked"]) == (2, {"HTTP 410": 1}, 2)
    assert sum(path.startswith("/thumb") for path, _, _ in wiki.asked) == 3


def test_at_most_so_many_a_photographer_and_a_block(wiki, tmp_path):
    world(wiki, 6, 12)
    report = fetch(wiki, tmp_path / "c", photos=40, caps={"place": 12, "photographer": 3})
    table = table_of(tmp_path / "c")
    assert table["photographer"].value_counts().max() == 3
    assert report["refused"]["3 by the same photographer already"] == 6 * 6
    fetch(wiki, tmp_path / "d", photos=40, caps={"place": 12, "block": 5})
    block = np.floor(table_of(tmp_path / "d")[["lat", "lon"]]).astype(int).astype(str).agg(" ".join, axis=1)
    assert block.value_counts().max() == 5


# Words


@pytest.mark.parametrize(
    ("code", "short", "licence"),
    [
        ("cc-by-sa-4.0", "CC BY-SA 4.0", "CC BY-SA 4.0"),
        ("cc-by-2.0", "CC BY 2.0", "CC BY 2.0"),
        ("cc-by-sa-3.0-de", "CC BY-SA 3.0 de", "CC BY-SA 3.0 DE"),
        ("cc-by-sa-2.5,2.0,1.0", "CC BY-SA 2.5-2.0-1.0", "CC BY-SA 2.5"),
        ("cc0", "CC0", "CC0"),
        ("cc-zero", None, "CC0"),
        ("pd", "Public domain", "Public domain"),
        (None, "CC BY 4.0", "CC BY 4.0"),
        ("cc-by-nc-sa-4.0", "CC BY-NC-SA 4.0", ""),
        ("cc-by-nd-4.0", "CC BY-ND 4.0", ""),
        ("cc-sa-1.0", "CC SA 1.0", ""),
        ("gfdl", "GFDL", ""),
        (None, "No restrictions", ""),
        (None, "Attribution", ""),
        (None, None, ""),
        ("cc-by-4.0", "CC BY-SA 4.0", ""),
    ],
)
def test_licences(code, short, licence):
    meta = {"License": code, "LicenseShortName": short}
    assert mediawiki.licence_of({key: {"value": value} for key, value in meta.items() if value}) == licence


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('<a href="x" title="y">Ada  Lovelace</a>', "Ada Lovelace"),
        ("Ada &amp; Bob &lt;b&gt;", "Ada & Bob <b>"),
        ('<span style="display: none;">hidden <b>deep</b></span>Unknown author', "Unknown author"),
        ("<script>alert(1)</script><style>a{}</style>Ada<br>Bob", "Ada Bob"),
        ("Ada\x1b[31m\u202e\nBob\x00", "Ada[31m Bob"),
        ("<![bad <b>Ada", "Ada"),
        ("<b <script>Ada", "Ada"),
        ("<script>" * 1000, ""),
        ("<a style=" * 1000, ""),
        ("<a" + " style='display:none'" * 200 + ">Ada", "Ada"),
        ('<p style="display:none">' * 300, ""),
        ("x" * 500, "x" * 200),
        ("</a></a>Ada", "Ada"),
    ],
)
def test_plain_text(markup, text):
    assert mediawiki.plain_text(markup) == text


@given(st.text())
def test_plain_text_is_one_printable_line(markup):
    text = mediawiki.plain_text(markup)
    assert len(text) <= 200 and (text == "" or text.isprintable())


@pytest.mark.parametrize(
    ("artist", "attribution", "author"),
    [
        ("<i>Bob</i>", None, "Bob"),
        ("Bob", "Bob / example.org", "Bob / example.org"),
        (None, None, "Ada"),
        ("Unknown author", None, "Unknown author"),
        ("© <b>Bob</b>, 2014", None, "© Bob, 2014"),
    ],
)
def test_who_is_credited(wiki, artist, attribution, author):
    number = wiki.add(*HOME, meta={"Artist": artist, "Attribution": attribution})
    row = mediawiki.read_page(wiki.pages[number], client_of(wiki).allows)
    assert (row["author"], row["uploader"]) == (author, "Ada")
    assert row["licence_url"] == "https://creativecommons.org/licenses/by-sa/4.0"


@pytest.mark.parametrize(
    "category", ["Pages with maps", "Photographs of Rome", "Uploaded with Flag of X", "Flagstaff, Arizona"]
)
def test_categories_that_say_nothing_against_a_photograph(wiki, category):
    number = wiki.add(*HOME, meta={"Categories": category})
    assert isinstance(mediawiki.read_page(wiki.pages[number], client_of(wiki).allows), dict)


# Photographers


def test_the_account_is_the_photographer_whatever_the_author_is_called(wiki, tmp_path):
    for k in range(12):
        wiki.add(*HOME, "Ada", meta={"Attribution": f"View no. {k} of Rome, with thanks"})
    report = fetch(wiki, tmp_path / "c", photos=12, caps={"place": 12, "photographer": 3})
    assert (report["photos"], report["photographers"]) == (3, 1)
    assert report["refused"] == {"3 by the same photographer already": 9}
    table = table_of(tmp_path / "c")
    assert set(table["photographer"]) == {"Ada"} and table["author"].nunique() == 3, "the words stay as they are"


def test_two_accounts_are_two_photographers_and_a_hidden_one_is_nobody(wiki, tmp_path):
    for user in ("Ada", "ada", "☆", None, None):
        wiki.add(*HOME, user, meta={"Artist": "Photo by Ada"})
    report = fetch(wiki, tmp_path / "c", caps={"photographer": 1})
    assert (report["photos"], report["photographers"]) == (5, 3)
    assert sorted(table_of(tmp_path / "c")["photographer"]) == ["", "", "Ada", "ada", "☆"]


def accounts(wiki):
    """18 files by four accounts, all at one place."""
    for k in range(18):
        wiki.add(HOME[0], HOME[1] + k * 1e-4, ["Ada", "Bot", "Cy", "Bot", "Bot", "Dan"][k % 6])


def test_photographers_are_the_same_after_an_interruption(wiki, tmp_path, monkeypatch):
    accounts(wiki)
    options = {"photos": 18, "caps": {"place": 18, "photographer": 4}}
    fetch(wiki, tmp_path / "whole", **options)
    assert table_of(tmp_path / "whole")["photographer"].value_counts().to_dict() == {
        "Bot": 4,
        "Ada": 3,
        "Cy": 3,
        "Dan": 3,
    }
    for after in (1, 5, 9):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(patch, after)
            fetch(wiki, tmp_path / f"{after}", **options)
        fetch(wiki, tmp_path / f"{after}", **options)
        same_files(tmp_path / f"{after}", tmp_path / "whole")


def test_a_folder_that_an_older_version_began_is_resumed(wiki, tmp_path):
    accounts(wiki)
    fetch(wiki, tmp_path / "whole", photos=18, caps={"place": 18})
    fetch(wiki, tmp_path / "c", photos=9, caps={"place": 18})
    journal = tmp_path / "c" / "journal.jsonl"
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    for event in events:
        if "photo" in event:
            event["photo"]["photographer"] = event["photo"]["author"]  # as it was noted then
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))
    fetch(wiki, tmp_path / "c", photos=18, caps={"place": 18})
    assert (tmp_path / "c" / "manifest.jsonl").read_bytes() == (tmp_path / "whole" / "manifest.jsonl").read_bytes()


def test_the_split_keeps_one_account_on_one_side(wiki, tmp_path):
    for number, (lat, lon) in enumerate(itertools.islice(commons.places(0), 40)):
        for k in range(4):
            wiki.add(float(lat), float(lon), f"User {number % 20}", meta={"Attribution": f"words {number}.{k}"})
    fetch(wiki, tmp_path / "c", photos=120)
    dataset = open_dataset("commons", path=tmp_path / "c")
    sides = dataset.photos.assign(side=dataset.split())
    sides = sides[sides["side"] != "left_out"]
    assert sides["side"].nunique() == 4 and sides["uploader"].nunique() == 20 and sides["author"].nunique() > 60
    assert (sides.groupby("uploader")["side"].nunique() == 1).all()


# Places


def test_places_are_many_on_land_and_the_same_each_time():
    some = list(itertools.islice(commons.places(3), 3000))
    assert some == list(itertools.islice(commons.places(3), 3000))
    assert some != list(itertools.islice(commons.places(4), 3000))
    assert len(set(some)) == 3000
    lat, lon = np.array(some).T
    countries = country_of(lat, lon)
    assert np.mean(countries != "") > 0.99, "a town on an islet may be off the map's shores"
    assert "ATA" not in countries
    assert len(set(countries)) > 200
    assert 0.2 < np.mean(lat < 10) < 0.5


# A manifest


def test_a_second_person_gets_the_same_subset(wiki, tmp_path):
    world(wiki, 10, 6)
    fetch(wiki, tmp_path / "a", photos=40, caps={"place": 5})
    manifest = tmp_path / "a" / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)
    assert ME not in manifest.read_text() and str(tmp_path) not in manifest.read_text()
    wiki.questions.clear()
    report = fetch(wiki, tmp_path / "b", photos=None, manifest=manifest)
    assert report["photos"] == 40 and report["refused"] == {}
    assert len(wiki.questions) == 1
    assert (tmp_path / "b" / "manifest.jsonl").read_bytes() == manifest.read_bytes()
    assert open_dataset("commons", path=tmp_path / "b").key(Named) == open_dataset("commons", path=tmp_path / "a").key(
        Named
    )


class Named:
    fingerprint = "x"


def test_a_manifest_is_trusted_for_nothing_but_what_to_ask_for(wiki, tmp_path):
    world(wiki, 2, 6)
    fetch(wiki, tmp_path / "a", photos=10)
    manifest = tmp_path / "a" / "manifest.jsonl"
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    for line in lines:
        line |= {"author": "Eve", "licence": "mine", "path": "../../evil.jpg", "source": "http://evil"}
    gone, other, changed, unfree = (int(line["id"][1:]) for line in lines[:4])
    del wiki.pages[gone]
    wiki.pages[other]["imageinfo"][0]["sha1"] = "0" * 40
    wiki.files[f"/thumb/{changed}/500px-{changed}.jpg"] = picture(999)  # drawn anew: other bytes of the same original
    wiki.pages[unfree]["imageinfo"][0]["extmetadata"] = {}
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = fetch(wiki, tmp_path / "b", photos=None, manifest=tmp_path / "m.jsonl")
    assert report["refused"] == {
        "no longer on Commons": 1,
        "changed since the manifest (other sha1)": 1,
        "licence unknown": 1,
    }
    table = table_of(tmp_path / "b")
    assert len(table) == 7 and f"M{changed}" in set(table["id"])
    assert not set(table["author"]) & {"Eve"} and not table["path"].str.contains("evil").any()


def test_a_place_of_a_manifest_that_is_none_is_refused(wiki, tmp_path):
    world(wiki, 1, 3)
    fetch(wiki, tmp_path / "a", photos=3)
    lines = [json.loads(line) for line in (tmp_path / "a" / "manifest.jsonl").read_text().splitlines()]
    lines[0] |= {"lat": 0, "lon": 0}
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = fetch(wiki, tmp_path / "b", photos=None, manifest=tmp_path / "m.jsonl")
    assert (report["photos"], report["refused"]) == (2, {"coordinates of exactly 0, 0": 1})


def test_a_manifest_run_goes_on(wiki, tmp_path):
    world(wiki, 12, 6)
    fetch(wiki, tmp_path / "a", photos=70)
    manifest = tmp_path / "a" / "manifest.jsonl"
    fetch(wiki, tmp_path / "b", photos=20, manifest=manifest)
    wiki.asked.clear()
    assert fetch(wiki, tmp_path / "b", photos=None, manifest=manifest)["photos"] == 70
    assert sum(path.startswith("/thumb") for path, _, _ in wiki.asked) == 50
    assert (tmp_path / "b" / "manifest.jsonl").read_bytes() == manifest.read_bytes()


@pytest.mark.parametrize(
    "line",
    ["", "{}", "x", "[]", '{"id": "../x", "sha1": "%s", "lat": 0, "lon": 0, "width": 500}',
     '{"id": "M1", "sha1": "x", "lat": 0, "lon": 0, "width": 500}',
     '{"id": "M1", "sha1": "%s", "lat": 91, "lon": 0, "width": 500}',
     '{"id": "M1", "sha1": "%s", "lat": NaN, "lon": 0, "width": 500}',
     '{"id": "M1", "sha1": "%s", "lat": 1e999, "lon": 0, "width": 500}',
     '{"id": "M1", "sha1": "%s", "lat": 1' + "0" * 400 + ', "lon": 0, "width": 500}',
     *('{"id": "M1", "sha1": "%s", "lat": 0, "lon": 0, "width": ' + w + "}" for w in ("[]", "{}", "null", "[5]", "5.")),
     "[" * 200_000],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused_by_line(wiki, tmp_path, line):
    (tmp_path / "m.jsonl").write_text(line.replace("%s", "a" * 40) + ("\n" if line else ""))
    with pytest.raises(CorruptFileError, match=r"line 1 of .*m\.jsonl is not of a manifest|lists no photos"):
        fetch(wiki, tmp_path / "c", manifest=tmp_path / "m.jsonl")
    with pytest.raises(MissingDataError, match=r"expected the manifest\.jsonl"):
        fetch(wiki, tmp_path / "c", manifest=tmp_path / "none.jsonl")


# Opening, and the whole chain


def test_a_dataset_that_is_not_fetched_says_how(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path))
    with pytest.raises(MissingDataError, match=r"geolib fetch commons .*10,000 photographs .*GB and some hours"):
        open_dataset("commons")


def test_the_command_needs_a_contact(capsys, tmp_path):
    assert cli.main(["fetch", "commons", "--out", str(tmp_path / "c")]) == 2
    assert re.search("contact is missing: expected an e-mail or web address .* blocks", capsys.readouterr().err)
    assert not (tmp_path / "c").exists()


def test_the_whole_chain_by_command_line(wiki, tmp_path, capsys, monkeypatch):
    world(wiki, 45, 3)
    wiki.add(*HOME, meta={"License": "gfdl", "LicenseShortName": "GFDL"})
    monkeypatch.setitem(commons.fetch.__kwdefaults__, "api", wiki.api)
    monkeypatch.setenv("GEOLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GEOLIB_ENCODER", str(write_encoder(tmp_path / "encoder")))
    monkeypatch.setenv("GEOLIB_DEVICE", "cpu")
    monkeypatch.setenv("GEOLIB_DATASET", "commons")
    assert cli.main(["fit", "--out", str(tmp_path / "model")]) == 2
    assert "geolib fetch commons" in capsys.readouterr().err
    assert cli.main(["fetch", "commons", "--photos", "130", "--contact", ME]) == 0
    said = capsys.readouterr().out
    assert "130 photos" in said and "licence not allowed (GFDL)" in said and "as commons" in said

    assert cli.main(["embed", "commons", "--out", str(tmp_path / "store")]) == 0
    assert "130 vectors of 16 numbers" in capsys.readouterr().out
    model = str(tmp_path / "model")
    assert cli.main(["fit", "--out", model, "--cells", "4,12", "--epochs", "3"]) == 0
    assert cli.main(["evaluate", "--model", model]) == 0
    table = capsys.readouterr().out
    assert "test photos of commons; the model was fitted on commons" in table
    assert all(name in table for name in ("prior", "nearest neighbour", "geolocator"))

    dataset = open_dataset()
    photo = dataset.photos.index[7]
    row = dataset.photos.loc[photo]
    assert cli.main(["predict", str(dataset.path(photo)), "--model", model]) == 0
    line = f"{row['author']}, CC BY-SA 4.0, {wiki.base}/wiki/File:Photo_{photo[1:]}.jpg"
    assert f"  photo: {line}\n" in capsys.readouterr().out
    assert dataset.credits([photo]) == f"1 photo: {line}"
    assert geolib.datasets.commons.credit(tmp_path / "other.jpg") == ""
    assert dataset.image(photo).shape == (375, 500, 3)

    second = str(tmp_path / "second")
    manifest = str(tmp_path / "cache" / "commons" / "manifest.jsonl")
    asked = ["--manifest", manifest, "--out", second, "--contact", ME, "--photos", "30"]
    assert cli.main(["fetch", "commons", *asked]) == 0
    assert f"as commons:{second}" in capsys.readouterr().out
    pd.testing.assert_frame_equal(open_dataset(f"commons:{second}").photos, dataset.photos[:30])
