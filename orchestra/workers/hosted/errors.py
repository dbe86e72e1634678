"""What went wrong with a call over HTTP, as Failures, and how a draw ended.

Knows status codes, headers, the words of servers of many makes and the ways a connection breaks;
the only place where errors of aiohttp become ours. Does not know what was asked.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus
from itertools import islice
from typing import Any

import aiohttp
import orjson

from orchestra.records import Failure

_LONGEST_WAIT = 900.0
"""Seconds; a provider that asks for more is not waited for."""
_MOST_TOLD = 300
"""Characters of a server's own words that are kept."""
_DEEP, _MANY = 4, 100
"""Levels of an error that are looked through, and entries of each."""

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
    **{re.sub("[^a-z]", "", s.phrase.lower()): s.value for s in HTTPStatus if s.value >= 400},
    # OpenAI's, Anthropic's and those of engines
    "invalidrequest": 400,
    "contextlengthexceeded": 400,
    "exceedcontextsize": 400,
    "invalidapikey": 401,
    "authentication": 401,
    "permission": 403,
    "modelnotfound": 404,
    "ratelimit": 429,
    "ratelimitexceeded": 429,
    "insufficientquota": 429,
    "overloaded": 529,
    # gRPC's, which Google sends
    "invalidargument": 400,
    "failedprecondition": 400,
    "outofrange": 400,
    "unauthenticated": 401,
    "permissiondenied": 403,
    "resourceexhausted": 429,
    "unimplemented": 501,
    "unavailable": 503,
    "deadlineexceeded": 504,
    # Amazon's
    "validation": 400,
    "unrecognizedclient": 401,
    "accessdenied": 403,
    "resourcenotfound": 404,
    "throttling": 429,
}
"""What servers call errors, in small letters alone and without `Error` or `Exception`."""
_STATED = re.compile(r"(http|error|err|response|ret|return|result)?(status|code|no)+(number)?")
"""Where a status is stated, in small letters alone; so are the next two."""
_NAMED = frozenset(
    {
        *("type", "code", "status", "error", "errortype", "errorcode", "reason", "name"),
        *("message", "detail"),
    }
)
"""Where an error is named."""
_TOLD = (
    *("error", "errors", "err", "fault", "message", "msg", "errormessage", "errormsg", "errmsg"),
    *("statusmessage", "statusmsg", "faultstring", "errordescription", "description", "detail"),
    *("details", "reason", "response", "baseresp", "title", "body"),
)
"""Where a server has its words, the best first."""
_WITHHELD = re.compile(
    r"(content|data|responsibleai|prompt)(filter|inspection|policy|moderation|blocked)"
    r"|safety|moderation|recitation|prohibitedcontent|blocklist|spii"
)
"""How the code of an error begins that stands for a filter."""
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
_NOBODY = re.compile(
    "(?i)connection refused|name or service not known|nodename nor servname|no address associated"
)
"""How systems say that nothing listens at an address, or that no host has that name."""

_NOT_YET = frozenset(
    {
        *("", "null", "none", "nil", "na", "n_a", "undefined", "unspecified", "unset", "false"),
        *("not_finished", "unfinished", "not_stopped", "in_progress", "running", "pending"),
        *("generating", "continue", "streaming", "not_yet"),
    }
)
_WHOLE = frozenset(
    {
        *("stop", "stopped", "stopping", "end", "ended", "of", "eos", "eot", "eom", "endoftext"),
        *("token", "tokens", "id", "turn", "text", "message", "sequence", "sequences", "string"),
        *("str", "word", "words", "criteria", "complete", "completed", "completion", "finish"),
        *("finished", "done", "success", "successful", "succeeded", "normal", "natural", "ok"),
        *("hit", "matched", "reached", "tool", "tools", "call", "calls", "use", "function"),
    }
)
_ENDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "filtered",
        re.compile(
            r"filter|safety|unsafe|recitation|block|spii|\bpii|prohibit|refus|sensitiv|moderat"
            r"|policy|guard|toxic|flag|censor|inspect|harm|violat|nsfw|jailbreak|armor|risk|illegal"
            r"|abus|copyright|inappropriat|disallow|interven|withheld|declin|\blanguage"
        ),
    ),
    (
        "error",
        re.compile(
            r"\b(rate|quota|deadline|timeout|timed|retr\w+|net|network|connection|oom|busy)\b"
            r"|abort|cancel|interrupt|disconnect|resource|capacity|unavailab|overload|preempt"
            r"|internal|malformed|\bkill|shutdown|memory"
        ),
    ),
    (
        "length",
        re.compile(
            r"length|\bmax|limit|window|truncat|incomplete|exceed|overflow|too long|\bcut|\bfull"
            r"|repetit"
        ),
    ),
    ("error", re.compile(r"\berr|error|fail|exception|crash|broken|invalid|unexpected|panic")),
)
"""How draws end, by words of their reasons; the first that fits."""


@lru_cache(256)
def finish(told: str) -> str:
    """How a draw ended, by the reason that a server of any make gives.

    A reason is read by its words, whatever its case and punctuation: `MAX_TOKENS`,
    `FinishReason.SAFETY` and `modelContextWindowExceeded` are known.

    Returns:
        `stop`: whole. `length`: cut at some limit. `filtered`: withheld. `error`: it broke off.
        `unknown`: another reason. Nothing: it has not ended (`null` as a text, say).
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", told[:100])
    words = re.sub(r"[\W_]+", "_", spaced).strip("_").lower()
    words = re.sub(r"^finish_?reason(_|$)", "", words)
    if words in _NOT_YET:
        return ""
    if _WHOLE.issuperset(words.split("_")):
        return "stop"
    spelled = words.replace("_", " ")
    return next((kind for kind, known in _ENDS if known.search(spelled)), "unknown")


def of_status(status: int, headers: Mapping[str, str], told: object) -> Failure:
    """Why a reply that is no success was sent.

    Args:
        status: the HTTP status, anything but 200.
        headers: case-insensitive.
        told: the body as plain data, or as text where it is no JSON.
    """
    said = _message(told)
    if 300 <= status < 400:
        said = _short(f"the server is elsewhere: {headers.get('Location', said)}")
    if status == 404 and "model" not in said:
        said = _short(f"{said} (is `base_url` the root of the API, such as http://host:8000/v1?)")
    if status == 429 and any(mark in _dumped(told) for mark in _NO_CREDIT):
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
        told: the reply, or what stands under `error`.
    """
    failure = of_status(stated(told) or 500, {}, told)
    return replace(failure, detail=_short(f"the reply is an error: {_message(told)}"))


def of_no_choices(reply: object) -> Failure:
    """Why a reply of status 200 holds no choices: an error in whatever words, or nobody knows."""
    one = reply[0] if isinstance(reply, list) and len(reply) == 1 else reply
    if isinstance(one, Mapping):
        marked = any(one.get(key) for key in ("error", "errors", "err", "fault"))
        if marked or "error" in map(one.get, ("object", "type", "status")) or stated(one):
            return of_error(one)
    said = f": {_message(one)}" if one else ""
    return Failure("malformed", _short(f"the reply has no choices{said}"), retryable=True)


def stated(told: object) -> int | None:
    """The status of an error, from 400 to 599, that a reply states by number or by name."""
    named = None
    for key, value in _entries(told):
        if isinstance(value, str):
            if named is None and key in _NAMED:
                name = re.sub("(error|exception)$", "", _letters(value))
                named = _NAMES.get(name)
            number = re.match(r"(?:http\S* *)?([45]\d\d)\b", value, re.IGNORECASE)
            value = int(number[1]) if number else None
        if type(value) is int and 400 <= value < 600 and _STATED.fullmatch(key):
            return value
    return named


def withheld(told: object) -> bool:
    """Whether an error, or a reply without choices, says that a filter keeps back the answer."""
    return any(
        key in ("flaggedinput", "blockreason")  # OpenRouter's way, and Google's
        or (key in ("code", "type") and isinstance(value, str) and _is_filter(value))
        for key, value in _entries(told)
        if value
    )


def _is_filter(code: str) -> bool:
    return _WITHHELD.match(_letters(code)) is not None


def _letters(name: str) -> str:
    return re.sub("[^a-z]", "", name[:100].lower())


def _entries(told: object) -> Iterator[tuple[str, Any]]:
    """What an error holds, level by level; the keys in small letters alone."""
    level = [told]
    for _ in range(_DEEP):
        below = []
        for each in islice(level, _MANY):
            if isinstance(each, Mapping):
                for key, value in islice(each.items(), _MANY):
                    if key not in ("choices", "usage"):
                        yield _letters(key), value
                        below.append(value)
            elif isinstance(each, list):
                below += each[:_MANY]
        level = below


def of_exception(error: BaseException) -> Failure:
    """Why a call ended without a reply. Raises the error again if it is a bug of ours."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        words = f"the certificate of {error.host}:{error.port} is not trusted"
        return Failure("unreachable", f"{words}: {_words(error.certificate_error)}")
    if isinstance(error, aiohttp.ClientConnectorError):
        told = error.os_error
        number = told.errno or 0  # asyncio's own words repeat the address
        reason = os.strerror(number) if number > 0 else told.strerror or _words(told)
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


def nobody_there(failure: Failure) -> bool:
    """Whether no server listens at the address, or no host has its name: seldom for a moment."""
    return failure.kind == "unreachable" and _NOBODY.search(failure.detail) is not None


def of_odd_body(content_type: str, raw: bytes | bytearray) -> Failure:
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


def _message(told: object) -> str:
    """The server's own words, on one line."""
    for _ in range(_DEEP):
        if isinstance(told, list) and len(told) == 1 and isinstance(told[0], Mapping):
            told = told[0] if {"error", "message"}.intersection(told[0]) else told
        if not isinstance(told, Mapping):
            break
        keyed = {_letters(key): value for key, value in islice(told.items(), _MANY)}
        inner = [keyed[key] for key in _TOLD if isinstance(keyed.get(key), str | Mapping | list)]
        told = next(filter(None, inner), None) or told
    return _short(told if isinstance(told, str) else _dumped(told)) or "no reason given"


def _dumped(told: object) -> str:
    if isinstance(told, str):
        return told
    try:
        return orjson.dumps(told).decode()
    except TypeError:  # nested too deeply, or with half a letter
        return "an odd one"


def _short(words: str) -> str:
    """On one line, and no longer than anybody reads."""
    return " ".join(words[: 10 * _MOST_TOLD].split())[:_MOST_TOLD]


def _words(error: BaseException) -> str:
    return _short(str(error)) or type(error).__name__
