"""Fetching over HTTP as a guest should: one request at a time, with a name to write to, patient, and checked.

A download goes to a temporary name beside its target and gets the target's name only after its check. A transfer that
broke off is gone on with, where the server can say that the file is still the same. What comes through
huggingface_hub is asked for with the same patience (`HubPatience`). Tried against local servers only.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import numpy as np
import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from geolib._version import __version__
from geolib.common.errors import GeolibError
from geolib.common.texts import one_line

T = TypeVar("T")
_REDIRECTS = 5
_TIMEOUT = (20.0, 60.0)  # seconds: to connect, and for the next bytes
_PASSING = {408, 425, 429, 500, 502, 503, 504}  # answers that another time may be others
_BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
_FINAL = {  # what some of the others mean
    401: "it is not given to all: it may be private, or its terms have to be accepted first",
    403: "it is not given to all: it may be private, or its terms have to be accepted first",
    404: "it is not there, or no longer: asking again will not bring it",
    410: "it was taken away for good: asking again will not bring it",
}
_LONGEST_WAIT = 600.0  # seconds; a server that asks for more is left alone
_BLOCK = 1 << 16
_MAX_JSON = 64 << 20
_CONTACT = re.compile(r"https?://[!-~]+\.[!-~]+|[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+")


class DownloadError(GeolibError):
    """Something did not come, and asking again will not bring it. `reason` says why in a few words, for counting."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnavailableError(DownloadError):
    """A server, or the way to it, fails for now; the same command goes on where it stopped, later."""


class _PassingError(Exception):
    """One attempt failed, the next may not."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass
class Client:
    """What talks to one service: politely, in series, and with nobody else.

    base: address of the service. Only its own scheme, host and port are spoken to, and https on `domain` and below
        (such as "wikimedia.org"), redirects included.
    contact: an e-mail or web address that the service's operators can write to; it goes into the User-Agent. None
        where the service asks for none.
    rng: for the jitter of the waits.  sleep: what waits, seconds.
    tries: attempts at one thing before it is given up.
    bytes_per_s: files come no faster than this, on average.
    """

    base: str
    contact: str | None
    rng: np.random.Generator
    domain: str = ""
    sleep: Callable[[float], None] = time.sleep
    tries: int = 8
    bytes_per_s: float = float("inf")
    session: requests.Session = field(default_factory=requests.Session, repr=False)
    _reached: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        contact = "" if self.contact is None else f"({check_contact(self.contact)}) "
        self.session.headers["User-Agent"] = f"geolib/{__version__} {contact}{requests.utils.default_user_agent()}"

    def allows(self, url: object) -> bool:
        """Whether an address is one that this client may ask: text of printable ASCII, on the service or its domain."""
        if not (isinstance(url, str) and re.fullmatch(r"[!-~]{1,2000}", url)) or "\\" in url:
            return False
        try:
            asked, home = urlsplit(url), urlsplit(self.base)
            own = (asked.scheme, asked.hostname, asked.port) == (home.scheme, home.hostname, home.port)
            host = asked.hostname or ""
            kin = bool(self.domain) and (host == self.domain or host.endswith(f".{self.domain}"))
            # User names in an address ("https://wikimedia.org@elsewhere") are there to deceive.
            return asked.username is None and (own or (kin and asked.scheme == "https" and asked.port in (None, 443)))
        except ValueError:  # a port that is no number, brackets that do not match
            return False

    def json(self, params: Mapping[str, str]) -> tuple[Any, float | None]:
        """The JSON that the service answers to these parameters, and the seconds that its Retry-After asks to wait.

        Raises `DownloadError` for a final refusal, `UnavailableError` when all attempts failed.
        """

        def attempt() -> tuple[Any, float | None]:
            with self._get(self.base, {}, params) as response:
                _expect(response, HTTPStatus.OK)
                body = bytearray()
                for block in response.iter_content(_BLOCK):
                    body += block
                    if len(body) > _MAX_JSON:
                        raise DownloadError(f"{self.base} answers more than {_MAX_JSON:,} bytes", "too large")
                try:
                    return json.loads(body), _retry_after(response)
                except RecursionError:
                    raise DownloadError(f"{self.base} answers JSON that is nested too deeply", "bad answer") from None
                except ValueError:
                    raise _PassingError("no JSON") from None

        return self._patiently(self.base, attempt)

    def file(
        self,
        url: str,
        path: Path,
        check: Callable[[Path], T],
        *,
        max_bytes: int,
        length: int | None = None,
        digest: str = "",
    ) -> T:
        """Fetch a file to `path`, whole and checked or not at all; returns what `check` returns.

        check: is given the file under its temporary name; raises `DownloadError` for one that is not as it should be.
        length: its size in bytes, where known.  digest: such as "sha1:2fd4e1c6...", where known.

        A file that was resumed and fails is fetched once more from its start. Raises `DownloadError` for a final
        refusal, `UnavailableError` when all attempts failed (what has come is kept, to go on with).
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        began, pieces, resumed = time.monotonic(), 0, False

        def attempt() -> None:
            nonlocal pieces
            pieces += 1 + self._more(url, part, max_bytes)

        while True:
            self._patiently(url, attempt)
            try:
                _verify(part, length, digest)
                found = check(part)
            except DownloadError:
                _discard(part)
                if pieces == 1 or resumed:
                    raise
                pieces, resumed = 0, True
                continue
            self.sleep(max(0.0, part.stat().st_size / self.bytes_per_s - (time.monotonic() - began)))
            os.replace(part, path)
            _discard(part)
            return found

    def wait(self, failed: int, asked: float | None = None) -> None:
        """Wait before the next attempt: as long as was asked, else 1, 2, 4, ... seconds, each with up to half off.

        failed: attempts before this one, from 0.  asked: seconds of a Retry-After.
        Raises `UnavailableError` where more is asked than is worth waiting for.
        """
        self.sleep(_pause(failed, asked, self.base, self.rng.uniform(0.5, 1.0)))

    def _patiently(self, url: str, attempt: Callable[[], T]) -> T:
        failed = 0
        while True:
            try:
                return attempt()
            except _PassingError as error:
                why, asked = str(error), error.wait
            except _BROKEN as error:
                why, asked = type(error).__name__, None  # its text is as long as the address
            except requests.RequestException as error:
                raise DownloadError(f"{url} cannot be asked for ({error})", "bad address") from error
            failed += 1
            # Who has never been answered is most likely offline, and should hear that now.
            if failed >= (self.tries if self._reached else 2):
                raise _gave_up(url, failed, why)
            self.wait(failed - 1, asked)

    def _get(self, url: str, headers: Mapping[str, str], params: Mapping[str, str] | None = None) -> requests.Response:
        """One request, its redirects followed where this client may go."""
        asked = url
        for _ in range(_REDIRECTS + 1):
            if not self.allows(url):
                raise DownloadError(f"{asked} leads to an address that is not asked: {ascii(url)[:200]}", "bad address")
            response = self.session.get(
                url, params=params, headers=headers, stream=True, timeout=_TIMEOUT, allow_redirects=False
            )
            self._reached = True
            target = self.session.get_redirect_target(response)
            if target is None:
                return response
            response.close()
            url, params = urljoin(response.url, target), None
        raise DownloadError(f"{asked} is redirected more than {_REDIRECTS} times", "too many redirects")

    def _more(self, url: str, part: Path, max_bytes: int) -> bool:
        """Fetch a file, or what is missing of it, into `part`; whether a first piece of it was there already."""
        have, validator = _begun(url, part)
        headers = {"Accept-Encoding": "identity"}  # else lengths and ranges would be of a packed body
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": validator}
        with self._get(url, headers) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if response.headers.get("Content-Range") == f"bytes */{have}":
                    return True  # a kill came between the last byte and the check
                _discard(part)
                raise _PassingError("the piece that is here is not of this file")
            _expect(response, HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT)
            start, total = _extent(response)
            if start not in (0, have):
                _discard(part)
                raise _PassingError(f"byte {start:,} follows byte {have:,}")
            _note(part).write_text(json.dumps({"url": url, "validator": _validator(response)}), encoding="utf-8")
            with open(part, "r+b" if start else "wb") as stream:
                size = stream.seek(start)
                for block in response.iter_content(_BLOCK):
                    size += stream.write(block)
                    if size > max_bytes or (total or 0) > max_bytes:
                        break
        if max(size, total or 0) > max_bytes:
            _discard(part)
            raise DownloadError(f"{url} is larger than {max_bytes:,} bytes", "too large")
        if total is not None and size < total:
            raise _PassingError(f"{size:,} of {total:,} bytes came")
        return start > 0


@dataclass
class HubPatience:
    """Asks the Hugging Face hub, through huggingface_hub's own functions, and again while it is busy.

    Of what these functions try again by themselves, no wait is longer than that of `Client`.

    sleep: what waits, seconds.  tries: attempts at one thing before it is given up.
    """

    sleep: Callable[[float], None]
    tries: int = 6
    _reached: bool = field(default=False, repr=False)

    def __call__(self, what: str, attempt: Callable[[], T]) -> T:
        """What `attempt` returns. `what` names it in errors.

        Raises `DownloadError` for a final refusal, `UnavailableError` when all attempts failed.
        """
        failed = 0
        while True:
            try:
                with _no_long_waits():
                    found = attempt()
                self._reached = True
                return found
            except DownloadError:
                raise
            except Exception as error:  # huggingface_hub lets those of its HTTP library through: which one varies
                answer = _hub_answer(error)
                self._reached |= answer is not None
                if refusal := _hub_refusal(what, error, answer):
                    raise refusal from error
                failed += 1
                if failed >= (self.tries if self._reached else 2):  # as in `Client`
                    raise _gave_up(what, failed, one_line(error)) from error
            self.sleep(_pause(failed - 1, None if answer is None else _retry_after(answer), what))


def _hub_answer(error: Exception) -> Any:
    """The HTTP response behind an error of huggingface_hub, or None."""
    answers = (getattr(each, "response", None) for each in (error, error.__cause__))
    return next((answer for answer in answers if answer is not None), None)


def _hub_refusal(what: str, error: Exception, answer: Any) -> DownloadError | None:
    """The error for what another time will be the same, else None."""
    from huggingface_hub import errors  # the hub's client is large, and most that fetch need none

    if answer is not None and answer.status_code not in _PASSING:
        status = f"HTTP {answer.status_code}"
        if isinstance(error, errors.RevisionNotFoundError):
            said = "there is no such revision"
        else:
            said = _FINAL.get(answer.status_code, one_line(error))
        return DownloadError(f"{what} cannot be fetched: {status}: {said}", status)
    if any(isinstance(e, errors.OfflineModeIsEnabled | errors.HFValidationError) for e in (error, error.__cause__)):
        return DownloadError(f"{what} cannot be fetched: {one_line(error)}", "refused")
    return None


@contextmanager
def _no_long_waits() -> Iterator[None]:
    """Meanwhile, an answer to huggingface_hub that asks for a longer wait than any of ours is an error.

    Its own functions would wait for hours without a word.
    """
    from huggingface_hub import get_session

    def refuse(answer: Any) -> None:
        if answer.status_code in _PASSING:
            _pause(0, _retry_after(answer), str(answer.url.host))

    session = get_session()
    hooks = session.event_hooks
    session.event_hooks = {**hooks, "response": [*hooks["response"], refuse]}
    try:
        yield
    finally:
        session.event_hooks = hooks


def _pause(failed: int, asked: float | None, who: str, share: float = 1.0) -> float:
    """Seconds to wait before the next attempt: those asked for, at least this share of 1, 2, 4, ... up to 120.

    Raises `UnavailableError` where more is asked than is worth waiting for.
    """
    if asked is not None and asked > _LONGEST_WAIT:
        raise UnavailableError(
            f"{who} asks to be left alone for {asked:,.0f} seconds; run the same command again after that",
            "asked to wait",
        )
    return max(asked or 0.0, min(2.0**failed, 120.0) * share)


def _gave_up(what: str, attempts: int, why: str) -> UnavailableError:
    return UnavailableError(
        f"{what} could not be fetched in {attempts} attempts ({why}); run the same command again later, it goes on "
        "where it stopped",
        "unavailable",
    )


def check_contact(contact: str | None) -> str:
    """An e-mail or web address, as it is; raises `ValueError` that says why one is needed."""
    if not contact or not _CONTACT.fullmatch(contact):
        given = repr(contact) if contact else "is missing"
        raise ValueError(
            f"contact {given}: expected an e-mail or web address such as you@example.org. The service asks every "
            "program to say whom to write to when it makes trouble, and blocks those that do not"
        )
    return contact


def _expect(response: requests.Response, *wanted: HTTPStatus) -> None:
    status = response.status_code
    if status in wanted:
        return
    if status in _PASSING:
        raise _PassingError(f"HTTP {status}", _retry_after(response))
    said = f": {_FINAL[status]}" if status in _FINAL else ""
    raise DownloadError(f"{response.url} answers HTTP {status}{said}", f"HTTP {status}")


def _retry_after(response: Any) -> float | None:
    """Seconds that an answer (of requests or httpx) asks to wait, or None."""
    try:
        value = response.headers.get("Retry-After", "")
        if re.fullmatch(r"\d{1,18}", value):  # some versions of urllib3 make six hours of any longer time
            return float(value)
        return Retry().parse_retry_after(value) if value else None
    except InvalidHeader:
        return None


def _extent(response: requests.Response) -> tuple[int, int | None]:
    """(first byte, size of the whole file if said) of an answer."""
    if response.status_code == HTTPStatus.PARTIAL_CONTENT:
        said = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", ""))
        if said is None:
            raise DownloadError(f"{response.url} answers with a piece of unknown place", "bad answer")
        return int(said[1]), None if said[2] == "*" else int(said[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if re.fullmatch(r"\d{1,18}", length) else None


def _validator(response: requests.Response) -> str:
    """What If-Range takes: an ETag that is not weak, else the date of the last change."""
    etag = response.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _begun(url: str, part: Path) -> tuple[int, str]:
    """(bytes that are here, validator) of a transfer of this address that can be gone on with, else (0, "")."""
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        if note["url"] == url and note["validator"]:
            return part.stat().st_size, str(note["validator"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # none was begun, or its note was cut short
        pass
    return 0, ""


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _verify(part: Path, length: int | None, digest: str) -> None:
    size = part.stat().st_size
    if length is not None and size != length:
        raise DownloadError(f"{part.name} has {size:,} bytes, expected {length:,}", "wrong length")
    if digest:
        algorithm, _, expected = digest.partition(":")
        with open(part, "rb") as stream:
            found = hashlib.file_digest(stream, algorithm).hexdigest()
        if found != expected:
            raise DownloadError(f"{part.name} has {algorithm} {found}, expected {expected}", "wrong hash")
