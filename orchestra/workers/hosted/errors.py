"""What went wrong with a call over HTTP, as Failures.

Knows status codes, headers and the ways a connection breaks; the only place where errors of
aiohttp become ours. Does not know what was asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC
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
    504: "timeout",  # of a gateway: what is behind it may have done its work
    524: "timeout",
}
_LATER = frozenset({408, 409, 425, 429})
"""Client errors that may pass; so may every server error but 501."""
_NAMES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "context_length_exceeded": 400,
    "exceed_context_size_error": 400,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "notfounderror": 404,
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
}
"""What servers call errors that come with no status of their own; any other is a 500."""
_WITHHELD = ("content_filter", "content_policy_violation", "data_inspection_failed")
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
    if 300 <= status < 400:
        said = _short(f"the server is elsewhere: {headers.get('Location', said)}")
    if status == 404 and "model" not in said:
        said = _short(f"{said} (is `base_url` the root of the API, such as http://host:8000/v1?)")
    if status == 429 and any(mark in raw.decode("utf-8", "replace") for mark in _NO_CREDIT):
        return Failure("out_of_credit", f"429: {said}")
    kind = _KINDS.get(status, "server_error" if status >= 500 else "bad_request")
    later = status in _LATER or (status >= 500 and status != 501)
    wait = retry_after(headers) if later else None
    if wait is not None and wait > _LONGEST_WAIT:
        return Failure(kind, f"{status}: {said} (asks to wait {wait:,.0f} s)")
    return Failure(kind, f"{status}: {said}", later, wait)


def of_error(told: object) -> Failure:
    """Why a reply of status 200 is an error, or a draw of it.

    Args:
        told: what stands under `error`; true.
    """
    status = 500
    for key in ("type", "code"):
        value = told.get(key) if isinstance(told, Mapping) else None
        if isinstance(value, str):
            status = (
                int(value)
                if value.isdecimal() and len(value) == 3
                else _NAMES.get(value.lower(), status)
            )
        elif isinstance(value, int) and not isinstance(value, bool):
            status = value
    raw = _dumped(told)
    failure = of_status(status if 400 <= status < 600 else 500, {}, raw)
    return replace(failure, detail=_short(f"the reply is an error: {_message(raw)}"))


def withheld(raw: bytes) -> bool:
    """Whether the body of an error says that a filter keeps the prompt from being answered."""
    try:
        error = orjson.loads(raw)["error"]
        code, metadata = error.get("code"), error.get("metadata")
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
    flagged = isinstance(metadata, Mapping) and "flagged_input" in metadata  # OpenRouter's way
    return code in _WITHHELD or flagged


def of_exception(error: BaseException) -> Failure:
    """Why a call ended without a reply. Raises the error again if it is a bug of ours."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        words = f"the certificate of {error.host}:{error.port} is not trusted"
        return Failure("unreachable", f"{words}: {_words(error.certificate_error)}")
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
    exact = _number(headers.get("retry-after-ms", ""))
    if exact is not None:
        return exact / 1000
    told = headers.get("Retry-After", "")
    if (seconds := _number(told)) is not None:
        return seconds
    try:
        date = parsedate_to_datetime(told)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)  # `-0000` leaves it out
        return max(date.timestamp() - (time.time() if now is None else now), 0.0)
    except (ValueError, OverflowError, TypeError):
        return None


def _number(told: str) -> float | None:
    """Seconds, or none: less than nothing, for ever or no number."""
    try:
        found = float(told)
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None


def _message(raw: bytes) -> str:
    """The server's own words, on one line."""
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        told = raw.decode("utf-8", "replace")
    for key in ("error", "message", "detail"):
        if isinstance(told, dict):
            told = told.get(key) or told
    words = told if isinstance(told, str) else _dumped(told).decode()
    return _short(words) or "no reason given"


def _dumped(told: object) -> bytes:
    try:
        return orjson.dumps(told)
    except TypeError:  # nested too deeply, or with half a letter
        return b"an odd one"


def _short(words: str) -> str:
    """On one line, and no longer than anybody reads."""
    return " ".join(words.split())[:_MOST_TOLD]


def _words(error: BaseException) -> str:
    return _short(str(error)) or type(error).__name__
