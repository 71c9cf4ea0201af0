"""The download code against a local server that misbehaves: nothing unverified gets its name, nothing asks too fast."""

import hashlib
import re

import numpy as np
import pytest
from huggingface_hub import get_session
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from hypothesis import given
from hypothesis import strategies as st
from web import Server, answer, cut, hang_up, instead, redirect, reply, status

from geolib.common.download import Client, DownloadError, HubPatience, UnavailableError, check_contact

BODY = np.random.default_rng(0).bytes(300_000)
SHA1 = f"sha1:{hashlib.sha1(BODY).hexdigest()}"


@pytest.fixture
def server():
    with Server() as running:
        running.files["/a"] = BODY
        yield running


class Naps(list):
    """Stands in for time.sleep, and keeps the naps that were asked for."""

    def __call__(self, seconds):
        if seconds:
            self.append(seconds)


def client_of(server, **options):
    options = {"sleep": Naps(), "tries": 4} | options
    return Client(server.base + "/api", "you@example.org", np.random.default_rng(0), **options)


def fetch(client, path, url="/a", check=lambda part: None, **options):
    base = client.base.removesuffix("/api")
    options = {"max_bytes": 1 << 20} | options
    return client.file(base + url if url.startswith("/") else url, path, check, **options)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_service_that_asks_for_no_contact_gets_none(server, tmp_path):
    client = Client(server.base, None, np.random.default_rng(0), sleep=Naps())
    client.file(server.base + "/a", tmp_path / "x", lambda part: None, max_bytes=1 << 20)
    assert re.fullmatch(r"geolib/[\d.]+ python-requests/[\d.]+", server.asked[0][2]["User-Agent"])


# A file


def test_a_file_comes_whole_and_under_its_name_only(server, tmp_path):
    client = client_of(server)
    seen = fetch(client, tmp_path / "deep" / "x.bin", check=lambda part: (part.name, part.stat().st_size), digest=SHA1)
    assert seen == (".x.bin.part", len(BODY)), "the check sees the file before it has its name"
    assert (tmp_path / "deep" / "x.bin").read_bytes() == BODY
    assert names(tmp_path / "deep") == ["x.bin"]
    assert client.sleep == []
    agent = server.asked[0][2]["User-Agent"]
    assert re.fullmatch(r"geolib/[\d.]+ \(you@example.org\) python-requests/[\d.]+", agent)


def test_a_cut_transfer_is_gone_on_with(server, tmp_path):
    server.faults["/a"] = [cut(100_000), status(503)]
    fetch(client_of(server), tmp_path / "x", digest=SHA1, length=len(BODY))
    assert (tmp_path / "x").read_bytes() == BODY
    ranges = [headers.get("Range") for _, _, headers in server.asked]
    assert ranges[0] is None
    assert re.fullmatch(r"bytes=\d+-", ranges[-1]), "only what is missing is asked for"


def test_a_killed_run_is_gone_on_with_by_the_next_one(server, tmp_path):
    server.faults["/a"] = [cut(100_000)] * 2
    with pytest.raises(UnavailableError, match="run the same command again later"):
        fetch(client_of(server, tries=1), tmp_path / "x")
    kept = (tmp_path / ".x.part").stat().st_size
    assert 0 < kept <= 100_000
    assert not (tmp_path / "x").exists()
    server.faults.clear()
    server.asked.clear()
    fetch(client_of(server), tmp_path / "x", digest=SHA1)
    assert [headers.get("Range") for _, _, headers in server.asked] == [f"bytes={kept}-"]
    assert names(tmp_path) == ["x"]


def test_a_file_that_changed_in_between_starts_again(server, tmp_path):
    other = BODY[::-1]
    server.faults["/a"] = [cut(100_000, etag='"v0"')]
    server.files["/a"] = other
    fetch(client_of(server), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == other


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_without_a_validator_nothing_is_joined(server, tmp_path, etag):
    server.faults["/a"] = [cut(100_000, etag=etag)]
    fetch(client_of(server), tmp_path / "x", digest=SHA1)
    assert all("Range" not in headers for _, _, headers in server.asked)


def test_a_piece_that_does_not_fit_starts_again(server, tmp_path):
    def elsewhere(handler, body):
        reply(handler, 206, body[200_000:], ETag='"v1"', Content_Range=f"bytes 200000-{len(body) - 1}/{len(body)}")

    server.faults["/a"] = [cut(100_000), elsewhere, cut(100_000), status(416)]
    fetch(client_of(server, tries=9), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY


def test_pieces_that_are_shorter_than_asked_for_are_joined(server, tmp_path):
    def piece(handler, body):
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        end = start + 70_000
        reply(handler, 206, body[start:end], ETag='"v1"', Content_Range=f"bytes {start}-{end - 1}/{len(body)}")

    server.faults["/a"] = [cut(100_000), piece, piece]
    fetch(client_of(server), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_wrong_piece_is_found_by_the_hash_and_fetched_anew(server, tmp_path):
    part = tmp_path / ".x.part"
    part.write_bytes(b"\0" * 1000)
    (tmp_path / ".x.part.json").write_text(f'{{"url": "{server.base}/a", "validator": "\\"v1\\""}}')
    fetch(client_of(server), tmp_path / "x", digest=SHA1)
    assert (tmp_path / "x").read_bytes() == BODY
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        (status(401), {}, "HTTP 401"),
        (status(410), {}, "HTTP 410"),
        (status(404), {}, "HTTP 404"),
        (status(403), {}, "HTTP 403"),
        (instead(b"other"), {"digest": SHA1}, "wrong hash"),
        (instead(b"other"), {"length": 6}, "wrong length"),
        (instead(b"x" * 2000), {"max_bytes": 1000}, "too large"),
        (status(206, Content_Range="bytes x-y/z"), {}, "bad answer"),
    ],
)
def test_a_refusal_is_final_and_leaves_nothing(server, tmp_path, fault, options, reason):
    server.faults["/a"] = [fault]
    client = client_of(server)
    with pytest.raises(DownloadError) as caught:
        fetch(client, tmp_path / "x", **options)
    assert caught.value.reason == reason
    assert names(tmp_path) == []
    assert len(server.asked) == 1
    assert client.sleep == []


def test_a_body_without_a_length_is_cut_at_the_limit(server, tmp_path):
    sent = []

    def endless(handler, body):
        handler.close_connection = True
        handler.send_response(200)
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x" * 100_000)  # ends in an error when the client hangs up
            sent.append(100_000)

    server.faults["/a"] = [endless]
    with pytest.raises(DownloadError, match="larger than 250,000 bytes"):
        fetch(client_of(server), tmp_path / "x", max_bytes=250_000)
    assert names(tmp_path) == []
    assert sum(sent) < 50_000_000, "what is too large is not read to its end"


def test_a_check_that_refuses_keeps_the_name_free(server, tmp_path):
    def refuse(part):
        raise DownloadError("no picture", "not a picture")

    with pytest.raises(DownloadError, match="no picture"):
        fetch(client_of(server), tmp_path / "x", check=refuse)
    assert names(tmp_path) == []


def test_a_resumed_file_that_never_passes_ends(server, tmp_path):
    server.faults["/a"] = [cut(100_000), status(503), cut(100_000)]
    with pytest.raises(DownloadError, match="expected 0"):
        fetch(client_of(server), tmp_path / "x", digest="sha1:0")


# Waiting


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_obeyed(server, tmp_path, code):
    server.faults["/a"] = [status(code, Retry_After=7), status(code, Retry_After="soon"), hang_up]
    client = client_of(server)
    fetch(client, tmp_path / "x", digest=SHA1)
    assert client.sleep[0] == 7
    assert 1 <= client.sleep[1] <= 2, "without a number: twice as long as at first, up to half off"
    assert 2 <= client.sleep[2] <= 4


def test_a_server_that_stays_busy_is_given_up(server, tmp_path):
    server.faults["/a"] = [status(503)] * 9
    client = client_of(server, tries=5)
    with pytest.raises(UnavailableError, match=r"in 5 attempts \(HTTP 503\); run the same command again later"):
        fetch(client, tmp_path / "x")
    assert len(client.sleep) == 4
    assert client.sleep == sorted(client.sleep)


def test_a_server_that_asks_for_an_hour_is_left_alone(server, tmp_path):
    server.faults["/a"] = [status(429, Retry_After=3600)]
    client = client_of(server)
    with pytest.raises(UnavailableError, match="left alone for 3,600 seconds"):
        fetch(client, tmp_path / "x")
    assert client.sleep == []


def test_who_is_offline_hears_it_soon(tmp_path):
    client = Client("http://127.0.0.1:9/api", "you@example.org", np.random.default_rng(0), sleep=Naps())
    with pytest.raises(UnavailableError, match="in 2 attempts"):
        client.json({})
    assert sum(client.sleep) <= 1


def test_files_come_no_faster_than_was_promised(server, tmp_path):
    client = client_of(server, bytes_per_s=10_000.0)
    fetch(client, tmp_path / "x")
    assert sum(client.sleep) == pytest.approx(len(BODY) / 10_000, abs=2)


def test_the_jitter_comes_from_the_generator_given():
    waits = []
    for seed in (0, 0, 1):
        client = Client("http://127.0.0.1:9/", "you@example.org", np.random.default_rng(seed), sleep=Naps())
        client.wait(3)
        waits.append(client.sleep[0])
    assert waits[0] == waits[1] != waits[2]


# Redirects and addresses


def test_redirects_are_followed_on_the_same_service(server, tmp_path):
    server.faults["/b"] = [redirect("/c")]
    server.faults["/c"] = [redirect(server.base + "/a")]
    fetch(client_of(server), tmp_path / "x", url="/b", digest=SHA1)
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.1:1/a", "https://example.org/a", "file:///etc/passwd", "//example.org/a", "ftp://127.0.0.1/a"],
)
def test_redirects_to_elsewhere_are_not(server, tmp_path, to):
    server.faults["/a"] = [redirect(to)]
    with pytest.raises(DownloadError, match="leads to an address that is not asked"):
        fetch(client_of(server, domain="wikimedia.org"), tmp_path / "x")
    assert names(tmp_path) == []


def test_a_ring_of_redirects_ends(server, tmp_path):
    server.faults["/a"] = [redirect("/a")] * 20
    with pytest.raises(DownloadError, match="redirected more than 5 times"):
        fetch(client_of(server), tmp_path / "x")
    assert len(server.asked) == 6


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://upload.wikimedia.org/a/b.jpg", True),
        ("https://thumb.wikimedia.org/a/b.jpg", True),
        ("https://wikimedia.org/", True),
        ("https://commons.wikimedia.org/w/api.php", True),
        ("http://upload.wikimedia.org/a", False),
        ("https://upload.wikimedia.org:8443/a", False),
        ("https://evilwikimedia.org/a", False),
        ("https://wikimedia.org.example/a", False),
        ("https://wikimedia.org@example.org/a", False),
        ("https://user@upload.wikimedia.org/a", False),
        ("https://upload.wikimedia.org\\@example.org/a", False),
        ("https://upload.wikimedia.org/a b", False),
        ("https://upload.wikimedia.org/a\r\nHost: x", False),
        ("https://[::1/a", False),
        ("https://upload.wikimedia.org:x/", False),
        ("javascript:alert(1)", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_addresses_that_may_be_asked(url, allowed):
    client = Client(
        "https://commons.wikimedia.org/w/api.php", "you@example.org", np.random.default_rng(0), "wikimedia.org"
    )
    assert client.allows(url) is allowed


@given(st.text())
def test_allowing_never_fails(text):
    client = Client(
        "https://commons.wikimedia.org/w/api.php", "you@example.org", np.random.default_rng(0), "wikimedia.org"
    )
    assert client.allows("https://" + text) in (True, False)


# JSON


def test_json_comes_with_the_wait_that_is_asked_for(server):
    server.routes["/api"] = lambda handler, query: answer(handler, query, Retry_After=5)
    assert client_of(server).json({"a": "1|2", "b": "é"}) == ({"a": "1|2", "b": "é"}, 5.0)
    server.routes["/api"] = lambda handler, query: answer(handler, [1])
    assert client_of(server).json({}) == ([1], None)


def test_json_that_is_nested_without_end_is_refused(server):
    server.routes["/api"] = lambda handler, query: reply(handler, 200, b"[" * 200_000)
    client = client_of(server)
    with pytest.raises(DownloadError, match="nested too deeply"):
        client.json({})
    assert client.sleep == []


def test_json_that_is_cut_or_none_is_asked_for_again(server):
    server.routes["/api"] = lambda handler, query: answer(handler, {"x": 1})
    server.faults["/api"] = [status(200), status(502)]
    client = client_of(server)
    assert client.json({}) == ({"x": 1}, None)
    assert len(client.sleep) == 2


# Contact


@pytest.mark.parametrize("contact", ["you@example.org", "https://example.org/~you", "http://example.org"])
def test_contacts(contact):
    assert check_contact(contact) == contact


@pytest.mark.parametrize(
    "contact", [None, "", "me", "me@", "@example.org", "a b@example.org", "x@y.z\r\nHost: a", "ftp://a.b"]
)
def test_no_contact_no_service(contact):
    with pytest.raises(ValueError, match=r"e-mail or web address .* blocks those that do not"):
        check_contact(contact)


# The hub's client


class Answer:
    def __init__(self, status_code, **headers):
        self.status_code, self.headers = status_code, {name.replace("_", "-"): text for name, text in headers.items()}


def busy(status, **headers):
    error = RuntimeError(f"answer {status}\n\nof two lines")
    error.response = Answer(status, **headers)
    return error


def asking(*outcomes):
    """An attempt that has these outcomes, one after the other."""
    left = list(outcomes)

    def attempt():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt


def test_the_hub_is_asked_again_as_it_says():
    ask = HubPatience(Naps())
    attempt = asking(busy(429, Retry_After="30"), busy(503), busy(503, Retry_After="1"), OSError("cut short"), "here")
    assert ask("x", attempt) == "here"
    assert ask.sleep == [30, 2, 4, 8]


def test_the_hub_is_given_up_after_some_attempts_and_sooner_where_it_never_answered():
    ask = HubPatience(Naps(), tries=3)
    with pytest.raises(UnavailableError, match=r"x could not be fetched in 3 attempts \(answer 503 of two lines\)"):
        ask("x", asking(*[busy(503)] * 9))
    assert len(ask.sleep) == 2
    offline = HubPatience(Naps())
    with pytest.raises(UnavailableError, match=r"in 2 attempts \(no way there\); run the same command again later"):
        offline("x", asking(*[OSError("no way there")] * 9))
    assert offline.sleep == [1]


@pytest.mark.parametrize(
    ("error", "said", "reason"),
    [
        (busy(404), "HTTP 404: it is not there", "HTTP 404"),
        (busy(410), "HTTP 410: it was taken away for good", "HTTP 410"),
        (busy(403), "HTTP 403: it is not given to all", "HTTP 403"),
        (busy(418), "HTTP 418: answer 418 of two lines", "HTTP 418"),
        (OfflineModeIsEnabled("offline"), "offline", "refused"),
        (HFValidationError("no name"), "no name", "refused"),
    ],
)
def test_what_the_hub_refuses_for_good_is_asked_once(error, said, reason):
    ask = HubPatience(Naps())
    with pytest.raises(DownloadError, match=f"x cannot be fetched: {said}") as caught:
        ask("x", asking(error))
    assert caught.value.reason == reason and not isinstance(caught.value, UnavailableError)
    assert ask.sleep == []


def test_the_hubs_client_gets_its_hooks_back():
    before = {kind: list(hooks) for kind, hooks in get_session().event_hooks.items()}
    with pytest.raises(UnavailableError, match="left alone for 3,600 seconds"):
        HubPatience(Naps())("x", asking(busy(429, Retry_After="3600")))
    assert get_session().event_hooks == before
