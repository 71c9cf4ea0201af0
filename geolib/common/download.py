"""Ask web services for JSON and files: one request at a time, with a contact address, retries and checked content.

urllib3's `Retry` repeats requests that fail temporarily: it waits longer each time, and as long as a Retry-After header
asks. Tested against local servers only.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from geolib._version import __version__
from geolib.common.errors import GeolibError
from geolib.common.files import parse_json
from geolib.common.texts import one_line

T = TypeVar("T")
TRIES = 8  # attempts per request
LONGEST_WAIT = 600  # seconds; a server that asks for more is not asked again
PASSING_STATUSES = {408, 425, 429, 500, 502, 503, 504}  # temporary faults: worth another attempt
FINAL_STATUSES = {  # what some of the other statuses mean
    **dict.fromkeys((401, 403), "access is restricted: it may be private, or its terms have to be accepted first"),
    404: "it does not exist, or no longer",
    410: "it was removed for good",
}
_TIMEOUT = (20.0, 60.0)  # seconds: to connect, and for the next bytes
_BUSY = 5.0  # seconds to wait for a service that says it is busy
_MAX_JSON = 64 << 20  # bytes
_CONTACT = re.compile(r"https?://[!-~]+\.[!-~]+|[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+")


class DownloadError(GeolibError):
    """A download failed for good. `reason` is the cause in a few words, for counting."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnavailableError(DownloadError):
    """The server or the network fails at the moment: the same command works later."""

    def __init__(self, message: str, reason: str = "unavailable") -> None:
        super().__init__(f"{message}; run the same command again later", reason)


class _TryAgain(requests.RequestException):
    """One attempt failed; the next may succeed after at least `wait` seconds."""

    def __init__(self, why: str, wait: float) -> None:
        super().__init__(why)
        self.wait = wait


class PatientRetry(Retry):
    """urllib3's `Retry`; raises `UnavailableError` where a server asks for a wait beyond `LONGEST_WAIT`."""

    def get_retry_after(self, response: Any) -> float | None:
        """Seconds that an answer asks to wait, or None."""
        try:
            wait = super().get_retry_after(response)
        except InvalidHeader:
            return None
        if wait is not None and wait > LONGEST_WAIT:
            asked = one_line(response.headers["Retry-After"], 40)
            raise UnavailableError(f"the server asks for a long wait (Retry-After: {asked})", "asked to wait")
        return wait


_PATIENT = PatientRetry(TRIES - 1, status_forcelist=PASSING_STATUSES, backoff_factor=1, raise_on_status=False)


@dataclass
class Client:
    """Talks to one web service and to no other.

    Parameters
    ----------
    base : address of the service. Only its scheme, host and port are asked, and https on `domain` and below.
    contact : e-mail or web address for the User-Agent; None for a service that asks for none.
    bytes_per_s : upper bound for the average speed of files.

    Examples
    --------
    >>> client = Client("https://commons.wikimedia.org/w/api.php", "you@example.org", "wikimedia.org")
    >>> client.allows("https://upload.wikimedia.org/a.jpg"), client.allows("https://example.org/a.jpg")
    (True, False)
    """

    base: str
    contact: str | None = None
    domain: str = ""
    bytes_per_s: float = float("inf")
    _session: requests.Session = field(init=False, repr=False)
    _adapter: HTTPAdapter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        contact = "" if self.contact is None else f"({check_contact(self.contact)}) "
        self._session = requests.Session()
        self._session.max_redirects = 5
        self._session.hooks["response"].append(self._check_redirect)
        self._session.headers["User-Agent"] = f"geolib/{__version__} {contact}{requests.utils.default_user_agent()}"
        # Without a first answer the user is most likely offline: give up after two attempts.
        self._adapter = HTTPAdapter(max_retries=_PATIENT.new(connect=1, other=1))
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)

    def allows(self, url: object) -> bool:
        """Whether `url` is printable ASCII and an address of the service or its domain."""
        if not (isinstance(url, str) and re.fullmatch(r"[!-\[\]-~]{1,2000}", url)):  # no backslash
            return False
        try:
            asked, base = urlsplit(url), urlsplit(self.base)
            same = (asked.scheme, asked.hostname, asked.port) == (base.scheme, base.hostname, base.port)
            below = bool(self.domain) and f".{asked.hostname}".endswith(f".{self.domain}")
            secure = asked.scheme == "https" and asked.port in (None, 443)
            return asked.username is None and (same or (below and secure))  # https://wikimedia.org@elsewhere deceives
        except ValueError:  # a port that is not a number, brackets that do not match
            return False

    def _check_redirect(self, response: requests.Response, **options: Any) -> None:
        if response.is_redirect and not self.allows(urljoin(response.url, response.headers["location"])):
            response.close()
            target = ascii(response.headers["location"])[:200]
            raise DownloadError(f"{response.url} redirects to a forbidden address: {target}", "bad address")

    def json(self, params: Mapping[str, str], busy: Callable[[Any], str] = lambda value: "") -> Any:
        """The JSON that `base` answers to these parameters; asks again, after 5 seconds or more, if it is `busy`.

        `busy` gets an answer and returns why the service cannot answer now, or "".
        """

        def attempt() -> Any:
            body = io.BytesIO()
            wait = self._read(self.base, body, _MAX_JSON, params)
            try:
                value = parse_json(body.getvalue().decode())
            except RecursionError:
                raise DownloadError(f"{self.base} answers JSON that is nested too deeply", "bad answer") from None
            except ValueError:
                raise _TryAgain("the answer is not JSON", wait) from None
            if why := busy(value):
                raise _TryAgain(why, max(wait, _BUSY))
            return value

        return _repeat(self.base, attempt)

    def file(self, url: str, path: Path, check: Callable[[Path], T], *, max_bytes: int) -> T:
        """Fetch a file to `path`, whole and checked or not at all; returns what `check` returns.

        `check` sees the file under a temporary name and raises `DownloadError` for one that is wrong. A transfer that
        breaks off begins again from the start.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        part, began = path.with_name(f".{path.name}.part"), time.monotonic()

        def attempt() -> None:
            with open(part, "wb") as stream:
                self._read(url, stream, max_bytes)

        try:
            _repeat(url, attempt)
            found, size = check(part), part.stat().st_size
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        time.sleep(max(0.0, size / self.bytes_per_s - (time.monotonic() - began)))
        return found

    def _read(self, url: str, stream: IO[bytes], max_bytes: int, params: Mapping[str, str] | None = None) -> float:
        """Copy an answer into a stream; returns the seconds that its Retry-After asks to wait."""
        if not self.allows(url):
            raise DownloadError(f"{ascii(url)[:200]} is a forbidden address", "bad address")
        try:
            response = self._session.get(url, params=params, stream=True, timeout=_TIMEOUT)
        except (requests.ConnectionError, requests.Timeout) as error:
            reason = getattr(error.args[0] if error.args else error, "reason", error)
            raise UnavailableError(f"{url} could not be fetched (no connection: {type(reason).__name__})") from error
        except requests.RequestException as error:
            raise DownloadError(f"{url} cannot be fetched ({one_line(error, 200)})", "bad address") from error
        self._adapter.max_retries = _PATIENT
        with response:
            status = response.status_code
            if status in PASSING_STATUSES:
                raise UnavailableError(f"{url} could not be fetched in {TRIES} attempts (HTTP {status})")
            if status != requests.codes.ok:
                meaning = FINAL_STATUSES.get(status, "unexpected")
                raise DownloadError(f"{url} answers HTTP {status}: {meaning}", f"HTTP {status}")
            for block in response.iter_content(1 << 16):
                stream.write(block)
                if stream.tell() > max_bytes:
                    raise DownloadError(f"{url} is larger than {max_bytes:,} bytes", "too large")
            return _PATIENT.get_retry_after(response) or 0.0


def _repeat(url: str, attempt: Callable[[], T]) -> T:
    """Try again when a transfer breaks off, which urllib3 leaves to its callers."""
    retry: Retry = _PATIENT
    while True:
        try:
            return attempt()
        except requests.RequestException as error:
            if not retry.total:
                said = f"{url} could not be fetched in {TRIES} attempts ({one_line(error, 200)})"
                raise UnavailableError(said) from error
            retry = retry.increment("GET", url, error=error)
            time.sleep(max(retry.get_backoff_time(), getattr(error, "wait", 0.0)))


def check_contact(contact: str | None) -> str:
    """Return an e-mail or web address as it is, or raise `ValueError` that says why one is needed.

    >>> check_contact("you@example.org")
    'you@example.org'
    """
    if contact and _CONTACT.fullmatch(contact):
        return contact
    raise ValueError(
        f"contact {repr(contact) if contact else 'is missing'}: expected an e-mail or web address such as "
        "you@example.org. The service asks for one to write to in case of trouble, and blocks programs without one"
    )
