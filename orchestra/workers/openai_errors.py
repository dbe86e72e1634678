"""What went wrong with a call over HTTP, as Failures.

Knows status codes, headers and the ways a connection breaks; the only place where errors of
aiohttp become ours. Does not know what was asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp
import orjson

from orchestra.records import Failure

_LONGEST_WAIT = 900.0
"""Seconds; a provider that asks for more is not waited for."""
_MOST_TOLD = 300
"""Characters of a server's own words that are kept."""

_KINDS: Mapping[int, str] = {
    400: "bad_request",
    401: "unauthorised",
    402: "out_of_credit",
    403: "unauthorised",
    404: "not_found",
    405: "bad_request",
    408: "timeout",
    409: "server_error",
    413: "bad_request",
    422: "bad_request",
    425: "server_error",
    429: "rate_limited",
}
_LATER = frozenset({408, 409, 425, 429})
"""Client errors that may pass; so may every server error but 501."""
_NO_CREDIT = ("insufficient_quota", "billing_hard_limit_reached", "out of credit")

NEVER_PROCESSED = frozenset(
    {
        "unreachable",
        "rate_limited",
        "unauthorised",
        "out_of_credit",
        "bad_request",
        "not_found",
        "server_error",
    }
)
"""Kinds of failure that no provider charges for: the model was not run, or not to its end."""


def of_status(status: int, headers: Mapping[str, str], raw: bytes) -> Failure:
    """Why a reply that is no success was sent.

    Args:
        status: the HTTP status, anything but 200.
        headers: case-insensitive.
        raw: the body, whatever it is.
    """
    said = _message(raw)
    if status == 429 and any(mark in raw.decode("utf-8", "replace") for mark in _NO_CREDIT):
        return Failure("out_of_credit", f"429: {said}")
    kind = _KINDS.get(status, "server_error" if status >= 500 else "bad_request")
    later = status in _LATER or (status >= 500 and status != 501)
    wait = retry_after(headers) if later else None
    if wait is not None and wait > _LONGEST_WAIT:
        return Failure(kind, f"{status}: {said} (asks to wait {wait:,.0f} s)")
    return Failure(kind, f"{status}: {said}", later, wait)


def of_exception(error: BaseException) -> Failure:
    """Why a call ended without a reply. Raises the error again if it is a bug of ours."""
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or _words(error.os_error)
        where = f"{error.host}:{error.port}"
        return Failure("unreachable", f"no connection to {where}: {reason}", retryable=True)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Failure("unreachable", _words(error), retryable=True)
    if isinstance(error, asyncio.TimeoutError):
        return Failure("timeout", _words(error) or "no reply in time", retryable=True)
    if isinstance(error, aiohttp.ClientPayloadError):
        return Failure("connection", "the reply broke off", retryable=True)
    if isinstance(error, aiohttp.InvalidURL):
        return Failure("bad_request", _words(error))
    if isinstance(error, aiohttp.ClientError | OSError):
        return Failure("connection", _words(error), retryable=True)
    raise error


def of_odd_body(content_type: str, raw: bytes) -> Failure:
    """Why a reply of status 200 cannot be read."""
    start = " ".join(raw[:60].decode("utf-8", "replace").split())
    return Failure("malformed", f"no JSON ({content_type or 'no type'}): {start!r}", retryable=True)


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds that the headers ask to wait, at least 0; None if they do not, or not sensibly.

    `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), `retry-after-ms` before it.

    Args:
        headers: case-insensitive.
        now: seconds since 1970, the present by default.
    """
    try:
        if (exact := headers.get("retry-after-ms")) is not None:
            return _sensible(float(exact) / 1000)
        told = headers.get("Retry-After", "")
        try:
            return _sensible(float(told))
        except ValueError:
            date = parsedate_to_datetime(told)
            return _sensible(max(date.timestamp() - (time.time() if now is None else now), 0.0))
    except (ValueError, OverflowError, TypeError):
        return None


def _sensible(seconds: float) -> float | None:
    return seconds if 0 <= seconds < float("inf") else None


def _message(raw: bytes) -> str:
    """The server's own words, on one line."""
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        told = raw.decode("utf-8", "replace")
    for key in ("error", "message", "detail"):
        if isinstance(told, dict):
            told = told.get(key, told)
    words = told if isinstance(told, str) else orjson.dumps(told).decode()
    return " ".join(words.split())[:_MOST_TOLD] or "no reason given"


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:_MOST_TOLD] or type(error).__name__
