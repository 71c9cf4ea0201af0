"""The download code against a local server that misbehaves: nothing unverified gets its name, nothing asks too fast."""

import re
import time

import numpy as np
import pytest
from huggingface_hub import get_session
from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled
from hypothesis import given
from hypothesis import strategies as st
from web import Server, answer, cut, hang_up, instead, redirect, reply, status

from geolib.common.download import Client, DownloadError, UnavailableError, check_contact
from geolib.common.hub import ask_hub

BODY = np.random.default_rng(0).bytes(300_000)
COMMONS = Client("https://commons.wikimedia.org/w/api.php", "you@example.org", "wikimedia.org")


@pytest.fixture
def server():
    with Server() as running:
        running.files["/a"] = BODY
        yield running


@pytest.fixture(autouse=True)
def naps(monkeypatch):
    """The seconds that would have been waited."""
    naps = []
    monkeypatch.setattr(time, "sleep", lambda seconds: naps.append(seconds) if seconds else None)
    return naps


def client_of(server, **options):
    return Client(server.base + "/api", "you@example.org", **options)


def whole(part):
    if part.read_bytes() != BODY:
        raise DownloadError("other bytes", "wrong hash")


def fetch(server, path, url="/a", check=whole, max_bytes=1 << 20, **options):
    return client_of(server, **options).file(server.base + url, path, check, max_bytes=max_bytes)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_a_service_that_asks_for_no_contact_gets_none(server, tmp_path):
    Client(server.base).file(server.base + "/a", tmp_path / "x", whole, max_bytes=1 << 20)
    assert re.fullmatch(r"geolib/[\d.]+ python-requests/[\d.]+", server.asked[0][2]["User-Agent"])


# A file


def test_a_file_comes_whole_and_under_its_name_only(server, tmp_path, naps):
    seen = fetch(server, tmp_path / "deep" / "x.bin", check=lambda part: (part.name, part.stat().st_size))
    assert seen == (".x.bin.part", len(BODY)), "the check sees the file before it has its name"
    assert (tmp_path / "deep" / "x.bin").read_bytes() == BODY
    assert names(tmp_path / "deep") == ["x.bin"] and naps == []
    agent = server.asked[0][2]["User-Agent"]
    assert re.fullmatch(r"geolib/[\d.]+ \(you@example.org\) python-requests/[\d.]+", agent)


def test_a_cut_transfer_begins_again(server, tmp_path, naps):
    server.faults["/a"] = [cut(100_000), status(503), cut(100_000), cut(0)]
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY and names(tmp_path) == ["x"]
    assert naps == [2, 4], "the waits grow while transfers break off"


def test_a_transfer_that_always_breaks_off_leaves_nothing_and_the_next_call_begins_again(server, tmp_path):
    server.faults["/a"] = [cut(100_000)] * 8
    with pytest.raises(UnavailableError, match=r"in 8 attempts .*; run the same command again later"):
        fetch(server, tmp_path / "x")
    assert names(tmp_path) == [] and len(server.asked) == 8
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY


def test_the_rest_of_a_killed_run_is_overwritten(server, tmp_path):
    (tmp_path / ".x.part").write_bytes(b"\0" * 400_000)
    fetch(server, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY and names(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        (status(401), {}, "HTTP 401"),
        (status(410), {}, "HTTP 410"),
        (status(404), {}, "HTTP 404"),
        (status(403), {}, "HTTP 403"),
        (instead(b"other"), {}, "wrong hash"),
        (instead(b"x" * 2000), {"max_bytes": 1000}, "too large"),
        (status(206, Content_Range="bytes x-y/z"), {}, "HTTP 206"),
        (status(416), {}, "HTTP 416"),
    ],
)
def test_a_refusal_is_final_and_leaves_nothing(server, tmp_path, naps, fault, options, reason):
    server.faults["/a"] = [fault]
    with pytest.raises(DownloadError) as caught:
        fetch(server, tmp_path / "x", **options)
    assert caught.value.reason == reason and not isinstance(caught.value, UnavailableError)
    assert names(tmp_path) == [] and len(server.asked) == 1 and naps == []


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
        fetch(server, tmp_path / "x", max_bytes=250_000)
    assert names(tmp_path) == []
    assert sum(sent) < 50_000_000, "what is too large is not read to its end"


# Waiting


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_is_obeyed(server, tmp_path, naps, code):
    server.faults["/a"] = [status(code, Retry_After=7), status(code, Retry_After="soon"), hang_up]
    fetch(server, tmp_path / "x")
    assert naps == [7, 2, 4], "without a number of seconds the waits double"


def test_a_server_that_stays_busy_is_given_up(server, tmp_path, naps):
    server.faults["/a"] = [status(503)] * 9
    with pytest.raises(UnavailableError, match=r"in 8 attempts \(HTTP 503\); run the same command again later"):
        fetch(server, tmp_path / "x")
    assert len(server.asked) == 8 and naps == [2, 4, 8, 16, 32, 64], "and does not wait after the last attempt"


@pytest.mark.parametrize("wait", [3600, 100_000, 10**17, "Wed, 21 Oct 2099 07:28:00 GMT"])
def test_a_server_that_asks_for_an_hour_is_left_alone(server, tmp_path, naps, wait):
    server.faults["/a"] = [status(429, Retry_After=wait)]
    with pytest.raises(UnavailableError, match=rf"a long wait \(Retry-After: {wait}\)") as caught:
        fetch(server, tmp_path / "x")
    assert naps == [] and caught.value.reason == "asked to wait"


def test_who_is_offline_hears_it_soon(naps):
    with pytest.raises(UnavailableError, match=r"could not be fetched .*Connection.*run the same command again later"):
        Client("http://127.0.0.1:9/api").json({})
    assert sum(naps) <= 1


def test_a_connection_that_was_lost_is_waited_for(server, tmp_path, naps):
    client = client_of(server)
    client.file(server.base + "/a", tmp_path / "x", whole, max_bytes=1 << 20)
    server.faults["/a"] = [hang_up] * 7
    client.file(server.base + "/a", tmp_path / "y", whole, max_bytes=1 << 20)
    assert naps == [2, 4, 8, 16, 32, 64]


def test_files_come_no_faster_than_was_promised(server, tmp_path, naps):
    fetch(server, tmp_path / "x", bytes_per_s=10_000.0)
    assert sum(naps) == pytest.approx(len(BODY) / 10_000, abs=2)


# Redirects and addresses


def test_redirects_are_followed_on_the_same_service(server, tmp_path):
    server.faults["/b"] = [redirect("/c")]
    server.faults["/c"] = [redirect(server.base + "/a")]
    fetch(server, tmp_path / "x", url="/b")
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.1:1/a", "https://example.org/a", "file:///etc/passwd", "//example.org/a", "ftp://127.0.0.1/a"],
)
def test_redirects_to_elsewhere_are_not(server, tmp_path, to):
    server.faults["/a"] = [redirect(to)]
    with pytest.raises(DownloadError, match="redirects to a forbidden address") as caught:
        fetch(server, tmp_path / "x", domain="wikimedia.org")
    assert names(tmp_path) == [] and caught.value.reason == "bad address"


def test_a_ring_of_redirects_ends(server, tmp_path):
    server.faults["/a"] = [redirect("/a")] * 20
    with pytest.raises(DownloadError, match="Exceeded 5 redirects"):
        fetch(server, tmp_path / "x")
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
        ("https:///a", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_addresses_that_may_be_asked(url, allowed):
    assert COMMONS.allows(url) is allowed


@given(st.text())
def test_allowing_never_fails(text):
    assert COMMONS.allows("https://" + text) in (True, False)


def test_a_forbidden_address_is_not_asked(server, tmp_path):
    with pytest.raises(DownloadError, match="is a forbidden address"):
        client_of(server).file("https://example.org/a", tmp_path / "x", whole, max_bytes=100)
    assert server.asked == [] and names(tmp_path) == []


# JSON


def test_json_is_asked_for_again_while_the_service_is_busy(server, naps):
    server.routes["/api"] = lambda handler, query: answer(handler, query, Retry_After=8)
    seen = []

    def busy(value):
        seen.append(value)
        return "busy" if len(seen) < 3 else ""

    assert client_of(server).json({"a": "1|2", "b": "é"}, busy) == {"a": "1|2", "b": "é"}
    assert len(seen) == 3 and naps == [8, 8], "the server's Retry-After counts where it is longer"
    server.routes["/api"] = lambda handler, query: answer(handler, [1])
    assert client_of(server).json({}) == [1]
    seen.clear()
    client_of(server).json({}, busy)
    assert naps[2:] == [5, 5]


def test_a_service_that_stays_busy_is_given_up(server, naps):
    server.routes["/api"] = answer
    with pytest.raises(UnavailableError, match=r"in 8 attempts \(busy\)"):
        client_of(server).json({}, lambda value: "busy")
    assert len(server.asked) == 8 and naps == [5, 5, 5, 8, 16, 32, 64]


def test_json_that_is_nested_without_end_is_refused(server, naps):
    server.routes["/api"] = lambda handler, query: reply(handler, 200, b"[" * 200_000)
    with pytest.raises(DownloadError, match="nested too deeply"):
        client_of(server).json({})
    assert naps == []


def test_json_that_is_cut_or_none_is_asked_for_again(server):
    server.files["/api"] = b'{"x": 1}'
    server.faults["/api"] = [status(200), status(502), cut(4)]
    assert client_of(server).json({}) == {"x": 1}
    assert len(server.asked) == 4


# Contact


@pytest.mark.parametrize("contact", ["you@example.org", "https://example.org/~you", "http://example.org"])
def test_contacts(contact):
    assert check_contact(contact) == contact


@pytest.mark.parametrize(
    "contact", [None, "", "me", "me@", "@example.org", "a b@example.org", "x@y.z\r\nHost: a", "ftp://a.b"]
)
def test_no_contact_no_service(contact):
    with pytest.raises(ValueError, match=r"e-mail or web address .* blocks programs without one"):
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
    """A question with these outcomes, one after the other."""
    left = list(outcomes)

    def ask():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return ask


def test_the_hub_is_asked_again_as_it_says(naps):
    ask = asking(busy(429, Retry_After="30"), busy(503), busy(503, Retry_After="1"), OSError("cut short"), "here")
    assert ask_hub("x", ask) == "here"
    assert naps == [30, 2, 4, 8]


def test_the_hub_is_given_up_after_six_attempts_and_after_two_where_it_never_answered(naps):
    with pytest.raises(UnavailableError, match=r"x could not be fetched in 6 attempts \(answer 503 of two lines\)"):
        ask_hub("x", asking(*[busy(503)] * 9))
    assert naps == [1, 2, 4, 8, 16]
    with pytest.raises(UnavailableError, match=r"in 2 attempts \(no way there\); run the same command again later"):
        ask_hub("x", asking(*[OSError("no way there")] * 9))
    assert naps[5:] == [1]


@pytest.mark.parametrize(
    ("error", "said", "reason"),
    [
        (busy(404), "HTTP 404: it does not exist", "HTTP 404"),
        (busy(410), "HTTP 410: it was removed for good", "HTTP 410"),
        (busy(403), "HTTP 403: access is restricted", "HTTP 403"),
        (busy(418), "HTTP 418: answer 418 of two lines", "HTTP 418"),
        (OfflineModeIsEnabled("offline"), "offline", "refused"),
        (HFValidationError("no name"), "no name", "refused"),
    ],
)
def test_what_the_hub_refuses_for_good_is_asked_once(naps, error, said, reason):
    with pytest.raises(DownloadError, match=f"x cannot be fetched: {said}") as caught:
        ask_hub("x", asking(error))
    assert caught.value.reason == reason and not isinstance(caught.value, UnavailableError)
    assert naps == []


def test_the_hubs_client_gets_its_hooks_back(naps):
    before = {kind: list(hooks) for kind, hooks in get_session().event_hooks.items()}
    with pytest.raises(UnavailableError, match=r"a long wait \(Retry-After: 3600\)"):
        ask_hub("x", asking(busy(429, Retry_After="3600")))
    assert get_session().event_hooks == before and naps == []
