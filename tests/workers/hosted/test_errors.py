"""What failures of HTTP are to us."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from orchestra.workers.hosted.errors import (
    NEVER_PROCESSED,
    of_error,
    of_exception,
    of_odd_body,
    of_status,
    retry_after,
    withheld,
)
from orchestra.workers.hosted.stream import plain

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def wait(**headers: str) -> float | None:
    told = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return retry_after(told, now=NOW.timestamp())


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (301, "bad_request", False),
        (400, "bad_request", False),
        (401, "unauthorised", False),
        (402, "out_of_credit", False),
        (403, "unauthorised", False),
        (404, "not_found", False),
        (405, "bad_request", False),
        (408, "timeout", True),
        (409, "server_error", True),
        (413, "bad_request", False),
        (418, "bad_request", False),
        (422, "bad_request", False),
        (425, "server_error", True),
        (429, "rate_limited", True),
        (500, "server_error", True),
        (501, "server_error", False),
        (502, "server_error", True),
        (503, "server_error", True),
        (504, "timeout", True),
        (524, "timeout", True),
        (529, "server_error", True),
    ],
)
def test_what_a_status_means(status: int, kind: str, retryable: bool) -> None:
    found = of_status(status, CIMultiDict(retry_after="3"), "")
    assert (found.kind, found.retryable) == (kind, retryable)
    assert found.detail.startswith(f"{status}: ")
    # What a gateway gave up may have been done, and is charged.
    assert (kind in NEVER_PROCESSED) == (kind != "timeout")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"error": {"message": "Too  fast\\n!", "type": "x"}}', "Too fast !"),
        (b'{"error": "Too fast"}', "Too fast"),
        (b'{"message": "Too fast", "code": 3}', "Too fast"),
        (b'{"object": "error", "message": "Too fast"}', "Too fast"),
        (b'{"detail": "Too fast"}', "Too fast"),
        (b'{"error": null, "message": "Too fast"}', "Too fast"),
        (b'{"error": {"message": null, "code": 3}}', '{"message":null,"code":3}'),
        (b'{"detail": [{"loc": ["n"], "msg": "odd"}]}', '[{"loc":["n"],"msg":"odd"}]'),
        (b'[{"error": 1}]', '{"error":1}'),
        (b"<h1>Too\n fast</h1>", "<h1>Too fast</h1>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", "no reason given"),
        (b"null", "null"),
        (b"[" * 500 + b"]" * 500, "an odd one"),
        (b"x" * 5000, "x" * 300),
    ],
)
def test_what_the_server_says(raw: bytes, said: str) -> None:
    assert of_status(500, {}, plain(raw)).detail == f"500: {said}"


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached"])
def test_no_credit_is_no_limit_of_speed(code: str) -> None:
    told = {"error": {"message": "Pay.", "code": code}}
    found = of_status(429, CIMultiDict({"Retry-After": "3"}), told)
    assert (found.kind, found.retryable, found.retry_after) == ("out_of_credit", False, None)


def test_a_server_that_is_elsewhere_says_where() -> None:
    found = of_status(308, CIMultiDict(Location="https://there/v1"), "")
    assert "elsewhere: https://there/v1" in found.detail
    assert not found.retryable


def test_nobody_waits_for_hours() -> None:
    near, far = (of_status(429, CIMultiDict({"Retry-After": s}), "") for s in ("900", "901"))
    assert (near.retryable, near.retry_after) == (True, 900.0)
    assert (far.retryable, far.retry_after) == (False, None)
    assert "asks to wait 901 s" in far.detail


def test_whoever_may_not_retry_need_not_wait() -> None:
    assert of_status(400, CIMultiDict({"Retry-After": "3"}), "").retry_after is None


# Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"RETRY_AFTER": " 0.25 "}, 0.25),
        ({"retry_after": "0"}, 0.0),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": ""}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "1e999"}, None),
        ({"retry_after_ms": "250"}, 0.25),
        ({"retry_after_ms": "250", "retry_after": "9"}, 0.25),
        ({"retry_after_ms": "what", "retry_after": "9"}, 9.0),
        ({"retry_after_ms": "-4", "retry_after": "9"}, 9.0),
        ({"retry_after": "Wed, 04 Mar 2026 05:06:09 GMT"}, 2.0),
        ({"retry_after": "Wed, 04 Mar 2026 05:06:09 -0000"}, 2.0),
        ({"retry_after": "Wed, 04 Mar 2026 05:06:09"}, 2.0),
        ({"retry_after": "Wed, 04 Mar 2026 07:06:09 +0200"}, 2.0),
        ({"retry_after": "Wednesday, 04-Mar-26 05:06:09 GMT"}, 2.0),
        ({"retry_after": "Wed, 04 Mar 2026 05:06:05 GMT"}, 0.0),
        ({"retry_after": "Wed, 99 Mar 2026 05:06:05 GMT"}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(**headers) == seconds


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In another time zone."""
    with monkeypatch.context() as there:
        there.setenv("TZ", "XYZ-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("zone", ["", " GMT", " -0000", " +0000"])
def test_dates_are_those_of_greenwich_wherever_one_is(zone: str) -> None:
    assert wait(retry_after=f"Wed, 04 Mar 2026 05:06:09{zone}") == 2.0


@given(st.integers(0, 10**6))
def test_seconds_and_dates_say_the_same(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert wait(retry_after=str(seconds)) == wait(retry_after=date) == seconds
    assert wait(retry_after_ms=str(seconds)) == seconds / 1000


@given(st.text() | st.floats().map(str), st.none() | st.text())
def test_a_wait_is_none_or_a_time(told: str, exact: str | None) -> None:
    headers = {"retry_after": told} | ({} if exact is None else {"retry_after_ms": exact})
    found = wait(**headers)
    assert found is None or 0 <= found < math.inf


# Errors of status 200


@pytest.mark.parametrize(
    ("told", "kind", "retryable"),
    [
        ("boom", "server_error", True),
        (True, "server_error", True),
        ([1], "server_error", True),
        ({"message": "boom"}, "server_error", True),
        ({"message": "boom", "type": "server_error", "code": None}, "server_error", True),
        ({"code": 502}, "server_error", True),
        ({"code": 429}, "rate_limited", True),
        ({"code": "429"}, "rate_limited", True),
        ({"type": "requests", "code": "rate_limit_exceeded"}, "rate_limited", True),
        ({"code": "insufficient_quota"}, "out_of_credit", False),
        ({"code": 402}, "out_of_credit", False),
        ({"code": 401}, "unauthorised", False),
        ({"type": "authentication_error"}, "unauthorised", False),
        ({"type": "BadRequestError", "code": 400}, "bad_request", False),
        ({"type": "invalid_request_error"}, "bad_request", False),
        ({"type": "exceed_context_size_error"}, "bad_request", False),
        ({"type": "NotFoundError"}, "not_found", False),
        ({"code": 1302}, "server_error", True),
        ({"code": 0, "type": 7}, "server_error", True),
        ({"code": True}, "server_error", True),
    ],
)
def test_an_error_that_comes_as_a_success(told: object, kind: str, retryable: bool) -> None:
    found = of_error(told)
    assert (found.kind, found.retryable) == (kind, retryable)
    assert found.detail.startswith("the reply is an error: ")
    assert len(found.detail) <= 300


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        ({"error": {"code": "content_filter", "message": "no", "status": 400}}, True),
        ({"error": {"code": "content_policy_violation"}}, True),
        ({"error": {"code": 403, "metadata": {"reasons": ["x"], "flagged_input": "y"}}}, True),
        ({"error": {"code": "context_length_exceeded"}}, False),
        ({"error": {"code": ["odd"], "metadata": "odd"}}, False),
        ({"error": "content_filter"}, False),
        ({"message": "no"}, False),
        ([], False),
    ],
)
def test_a_prompt_that_a_filter_withholds(body: object, is_one: bool) -> None:
    assert withheld(body) is is_one


# Exceptions


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (aiohttp.ConnectionTimeoutError("slow"), "unreachable", True),
        (aiohttp.SocketTimeoutError("silent"), "timeout", True),
        (aiohttp.ServerTimeoutError(), "timeout", True),
        (TimeoutError(), "timeout", True),
        (aiohttp.ClientPayloadError("half"), "connection", True),
        (aiohttp.ServerDisconnectedError(), "connection", True),
        (aiohttp.ClientOSError(104, "reset"), "connection", True),
        (ConnectionResetError(), "connection", True),
        (aiohttp.InvalidURL("http://"), "bad_request", False),
    ],
)
def test_what_an_exception_means(error: BaseException, kind: str, retryable: bool) -> None:
    found = of_exception(error)
    assert (found.kind, found.retryable) == (kind, retryable)
    assert found.detail
    assert "\n" not in found.detail


@pytest.mark.parametrize("bug", [KeyError("x"), AssertionError(), asyncio.CancelledError()])
def test_bugs_and_cancellations_are_no_failures(bug: BaseException) -> None:
    with pytest.raises(type(bug)):
        of_exception(bug)


def test_a_body_that_is_no_json_shows_how_it_starts() -> None:
    found = of_odd_body("text/html", b"<html>\n <h1>\x1b[31mBad gateway" + b"x" * 999)
    assert found.detail.startswith("no JSON (text/html): '<html> <h1>\\x1b[31mBad gateway")
    assert len(found.detail) < 120
    assert found.retryable
    assert of_odd_body("", b"").detail == "no JSON (no type): ''"
