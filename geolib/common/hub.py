"""Ask the Hugging Face hub through huggingface_hub, which resumes broken transfers, but asks most questions once.

Where it tries again by itself, it would wait for hours without a word if the hub asked for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from huggingface_hub import errors, get_session

from geolib.common.download import FINAL_STATUSES, PASSING_STATUSES, DownloadError, PatientRetry, UnavailableError
from geolib.common.texts import one_line

T = TypeVar("T")
TRIES = 6


def ask_hub(what: str, ask: Callable[[], T]) -> T:
    """Call a function of huggingface_hub, up to six times while the hub is busy, twice when nothing answers.

    `what` names the thing in errors. Raises `DownloadError` when the hub refuses for good, and `UnavailableError` when
    all attempts failed or the hub asks for a wait of more than ten minutes.

    >>> ask_hub("a number", lambda: 7)
    7
    """
    answered = False
    for attempt in range(1, TRIES + 1):
        try:
            with _no_long_waits():
                return ask()
        except DownloadError:
            raise
        except Exception as error:  # huggingface_hub lets errors of its HTTP library through, and changes that library
            answers = (getattr(each, "response", None) for each in (error, error.__cause__))
            answer = next((answer for answer in answers if answer is not None), None)
            answered |= answer is not None
            _raise_if_final(what, error, answer)
            if attempt == TRIES or (attempt == 2 and not answered):
                said = f"{what} could not be fetched in {attempt} attempts ({one_line(error, 200)})"
                raise UnavailableError(said) from error
            wait = None if answer is None else PatientRetry().get_retry_after(answer)
            time.sleep(max(wait or 0.0, 2.0 ** (attempt - 1)))
    raise AssertionError("unreachable")


def _raise_if_final(what: str, error: Exception, answer: Any) -> None:
    """Raise `DownloadError` for an error that another attempt would meet again."""
    if answer is not None and answer.status_code not in PASSING_STATUSES:
        status = f"HTTP {answer.status_code}"
        if isinstance(error, errors.RevisionNotFoundError):
            meaning = "there is no such revision"
        else:
            meaning = FINAL_STATUSES.get(answer.status_code, one_line(error))
        raise DownloadError(f"{what} cannot be fetched: {status}: {meaning}", status) from error
    refusals = (errors.OfflineModeIsEnabled, errors.HFValidationError)
    if isinstance(error, refusals) or isinstance(error.__cause__, refusals):
        raise DownloadError(f"{what} cannot be fetched: {one_line(error)}", "refused") from error


@contextmanager
def _no_long_waits() -> Iterator[None]:
    """Meanwhile, a busy answer that asks huggingface_hub for more than ten minutes raises `UnavailableError`."""

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
