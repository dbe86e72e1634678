"""What litellm raises, as Failures.

Knows its exceptions by name, so that it needs no litellm, and where the real cause hides behind
them; what a status means is for `openai_errors`. Does not know what was asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import aiohttp

from orchestra.records import Failure
from orchestra.workers.hosted.errors import of_exception, of_status
from orchestra.workers.secrets import Secret, hide

_STATUSES: Mapping[str, int] = {
    "AuthenticationError": 401,
    "BudgetExceededError": 402,
    "PaymentRequiredError": 402,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
    "BadRequestError": 400,
    "InternalServerError": 500,
    "BadGatewayError": 502,
    "ServiceUnavailableError": 503,
    # The next are of its proxy and its callbacks, which nobody here uses.
    "BlockedPiiEntityError": 400,
    "GuardrailRaisedException": 400,
    "ModelNotMappedError": 400,
    "ModifyResponseException": 400,
    "SensitiveDataRouteException": 400,
}
_KINDS: Mapping[str, str] = {
    "Timeout": "timeout",
    "APITimeoutError": "timeout",
    "APIResponseValidationError": "malformed",
    "APIConnectionError": "connection",
    "OpenAIError": "server_error",  # the root of what litellm raises
}
_TRANSPORT: Mapping[str, str] = {
    "ConnectError": "unreachable",
    "ConnectTimeout": "unreachable",
    "TimeoutException": "timeout",
    "TransportError": "connection",
}
"""Errors of httpx."""

_NO_REPLY = (
    "Empty or invalid response from LLM endpoint",
    "Stream ended before a finish_reason",  # since 1.110: before, such a stream just ended
)
_PREFIX = re.compile(r"^(litellm\.)?\w+(Error|Exception)?: (?=\w+(Error|Exception)\b)")
_MOST_TOLD = 300
_LEAVE_OUT = "`engine: {omit: ...}` leaves out what the provider does not take"


def of_litellm(error: Exception, secrets: Iterable[Secret] = ()) -> Failure:
    """Why a call by litellm ended without a reply.

    Args:
        error: whatever litellm raised.
        secrets: hidden, should the error repeat one.
    """
    names = _names(error)
    words = _words(error, secrets)
    headers = _headers(error)
    if not headers and (kind := _kind_below(error)):
        return Failure(kind, words, retryable=True)
    status = getattr(error, "status_code", None)
    if status == 200 or any(told in words for told in _NO_REPLY):
        return Failure("malformed", words, retryable=True)
    for name in names:
        if name in _STATUSES:
            if name == "BadRequestError" and "UnsupportedParamsError" in names:
                words = f"{_LEAVE_OUT}: {words}"
            # Its own exceptions say the status best: 529 is an `InternalServerError` too.
            known = status if isinstance(status, int) and status >= 400 else _STATUSES[name]
            return of_status(known, headers, _body(error, words))
        if name in _KINDS:
            return _of_kind(_KINDS[name], status, headers, words)
    return Failure("crash", f"litellm failed with {type(error).__name__}: {words}")


def is_refusal(error: Exception) -> bool:
    """Whether the provider would not answer this question, which is an answer of its own."""
    return "ContentPolicyViolationError" in _names(error)


def is_known(kind: type[BaseException]) -> bool:
    """Whether exceptions of that class have a place here."""
    return any(each.__name__ in _STATUSES or each.__name__ in _KINDS for each in kind.__mro__)


def _of_kind(kind: str, status: object, headers: Mapping[str, str], words: str) -> Failure:
    if headers and isinstance(status, int) and status >= 400:  # the server did say something
        return of_status(status, headers, words)
    return Failure(kind, words, retryable=True)


def _kind_below(error: BaseException) -> str:
    """The kind of the network's or the parser's error that litellm's was made of; or nothing.

    Those of aiohttp go first: what litellm makes of them takes a reset for a refusal.
    """
    below = list(_below(error))
    for each in below:
        if isinstance(each, aiohttp.ClientError | TimeoutError):
            return of_exception(each).kind
    for each in below:
        for kind in type(each).__mro__:
            if kind.__module__.partition(".")[0] == "httpx" and kind.__name__ in _TRANSPORT:
                return _TRANSPORT[kind.__name__]
    return "malformed" if any(isinstance(each, json.JSONDecodeError) for each in below) else ""


def _below(error: BaseException) -> Iterator[BaseException]:
    """What the exception was raised from, nearest first, itself included."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__ or each.__context__


def _names(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]


def _headers(error: BaseException) -> Mapping[str, str]:
    """The reply's headers, in small letters and Capital-Ised; empty where there was no reply."""
    for each in _below(error):
        # The responses that litellm makes up for its own exceptions have none.
        response = getattr(each, "response", None)
        told: Any = getattr(each, "litellm_response_headers", None)
        found: Any = told or getattr(response, "headers", None)
        if found and isinstance(found, Mapping):  # some are plain dicts, in small letters
            return {str(name).title(): str(value) for name, value in found.items()} | {
                str(name).lower(): str(value) for name, value in found.items()
            }
    return {}


def _words(error: BaseException, secrets: Iterable[Secret]) -> str:
    """What the error says, on one line; secrets go before it is cut, lest half of one stays."""
    said = " ".join(hide(str(error), secrets).split())
    while short := _PREFIX.match(said):
        said = said[short.end() :]
    return said[:_MOST_TOLD] or type(error).__name__


def _body(error: BaseException, words: str) -> object:
    """A body as the provider might have sent it: litellm keeps little of the real one."""
    body = getattr(error, "body", None)
    code = str(body.get("code")) if isinstance(body, Mapping) else ""
    return {"error": {"message": words, "code": code}}
