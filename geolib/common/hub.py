"""Ask the Hugging Face hub again while it is busy, which huggingface_hub itself does for broken transfers only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

from huggingface_hub import errors, get_session

from geolib.common.download import FINAL_STATUSES, PASSING_STATUSES, DownloadError, PatientRetry, UnavailableError
from geolib.common.texts import one_line

T = TypeVar("T")
_REFUSALS = (errors.OfflineModeIsEnabled, errors.HFValidationError)


def ask_hub(what: str, ask: Callable[[], T]) -> T:
    """Call a function of huggingface_hub, up to six times while the hub is busy, twice when nothing answers.

    `what` names the thing in errors. Raises `DownloadError` when the hub refuses for good, and `UnavailableError` when
    all attempts failed or the hub asks for a wait of more than ten minutes.
    """
    answered = False
    for attempt in count(1):
        try:
            with _no_long_waits():
                return ask()
        except DownloadError:
            raise
        except Exception as error:  # huggingface_hub lets errors of its HTTP library through, and changes that library
            causes = (error, error.__cause__)
            answers = (getattr(cause, "response", None) for cause in causes)
            answer = next((answer for answer in answers if answer is not None), None)
            if answer is not None and answer.status_code not in PASSING_STATUSES:
                status = f"HTTP {answer.status_code}"
                meaning = FINAL_STATUSES.get(answer.status_code, one_line(error))
                if isinstance(error, errors.RevisionNotFoundError):
                    meaning = "there is no such revision"
                raise DownloadError(f"{what} cannot be fetched: {status}: {meaning}", status) from error
            if any(isinstance(cause, _REFUSALS) for cause in causes):
                raise DownloadError(f"{what} cannot be fetched: {one_line(error)}", "refused") from error
            answered |= answer is not None
            if attempt >= (6 if answered else 2):
                said = f"{what} could not be fetched in {attempt} attempts ({one_line(error, 200)})"
                raise UnavailableError(said) from error
            wait = None if answer is None else PatientRetry().get_retry_after(answer)
            time.sleep(max(wait or 0.0, 2.0 ** (attempt - 1)))
    raise AssertionError("unreachable")


@contextmanager
def _no_long_waits() -> Iterator[None]:
    """Raise `UnavailableError` where huggingface_hub would silently wait for hours because a busy hub asks for it."""

    def check(answer: Any) -> None:
        if answer.status_code in PASSING_STATUSES:
            PatientRetry().get_retry_after(answer)

    session = get_session()
    hooks = session.event_hooks
    session.event_hooks = {**hooks, "response": [*hooks["response"], check]}
    try:
        yield
    finally:
        session.event_hooks = hooks
