"""Servers of many makes: how they frame, end, filter, fail and count, byte for byte.

Each row is what a loopback server sends and what the call comes to.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.answers import read
from orchestra.records import Absence, Generation, Question
from orchestra.roster import Calls, Price
from orchestra.workers.hosted.errors import finish, of_no_choices, withheld
from orchestra.workers.hosted.openai import Sessions
from orchestra.workers.hosted.reading import LARGEST
from orchestra.workers.hosted.stream import Assembly
from orchestra.workers.hosted.usage import counts
from tests.workers.hosted.test_openai import KEY, caller, http, request, server

QUESTION = Question("q", "Which?", ("a", "b", "c"))
SAID = "The answer is (B)."


def told(raw: bytes, *, stream: bool = False, then: str = "", **fields: Any) -> Generation:
    """What one call makes of what the server sends."""

    async def once() -> list[Generation]:
        async with server(raw, then=then) as heard, Sessions().session() as session:
            calls = Calls(stream=stream, silence=5)
            return await caller(heard.url, session, calls=calls, **fields).call([request()])

    (found,) = asyncio.run(once())
    return found


def streamed(body: bytes) -> bytes:
    """A response of events, whatever they are."""
    return http(body, content_type="text/event-stream")


def chunk(text: str | None = SAID, reason: object = "stop", **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    return orjson.dumps(
        {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}
    )


def reply(text: str | None = SAID, reason: object = "stop", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"content": text}, "finish_reason": reason}
    return {"choices": [choice], **more}


def kind(found: Generation) -> str:
    """The failure, or how the text ended."""
    return found.failure.kind if found.failure else found.finish_reason


# How draws end

ENDS = [
    (
        "stop",
        "stop eos eos_token end_turn stop_sequence STOP COMPLETE completed EndTurn tool_calls",
    ),
    ("stop", "FINISH_REASON_STOP FinishReason.STOP <|endoftext|> done stop_string Finished"),
    ("length", "length MAX_TOKENS max_output_tokens model_context_window_exceeded ERROR_LIMIT"),
    (
        "length",
        "maxTokens model_length token_limit max_new_tokens truncated context-length-exceeded",
    ),
    ("filtered", "content_filter SAFETY RECITATION BLOCKLIST SPII PROHIBITED_CONTENT refusal"),
    (
        "filtered",
        "IMAGE_SAFETY contentFiltered guardrail_intervened sensitive ERROR_TOXIC LANGUAGE",
    ),
    ("error", "error abort network_error insufficient_system_resource cancelled timeout ERROR"),
    ("error", "engine_failure internal_error disconnected MALFORMED_FUNCTION_CALL rate_limited"),
    ("error", "deadline_exceeded overloaded_error connection_reset preempted interrupted oom"),
    ("unknown", "whatever OTHER 7 fin"),
    ("", "null None NULL nil undefined FINISH_REASON_UNSPECIFIED in_progress not_finished N/A"),
]
REASONS = [(reason, end) for end, reasons in ENDS for reason in reasons.split()]


@pytest.mark.parametrize(("reason", "end"), REASONS)
def test_how_a_draw_ends(reason: str, end: str) -> None:
    assert finish(reason) == end
    assert "_" not in reason or finish(reason.lower()) == finish(reason.upper()) == end


@given(st.text() | st.sampled_from([each for each, _ in REASONS]))
def test_every_reason_is_of_a_kind(reason: str) -> None:
    assert finish(reason) in ("stop", "length", "filtered", "error", "unknown", "")
    assert finish(reason) == finish(f" {reason}.")


@pytest.mark.parametrize("reason", [None, "", "null", "None", "NULL", "unspecified", 0, "whatever"])
@pytest.mark.parametrize("then", ["", "close", "reset"])
def test_a_stream_without_an_end_broke_off(reason: object, then: str) -> None:
    sent = b"data: " + chunk("The answer is (A), or is", reason) + b"\n\n"
    raw = http(sent, cut=bool(then), content_type="text/event-stream")
    found = told(raw, stream=True, then=then)
    assert found.failure is not None
    assert (found.failure.kind, found.failure.retryable) == ("connection", True)


@pytest.mark.parametrize("reason", ["null", None, "whatever"])
def test_a_stream_that_says_that_it_is_done_needs_no_reason(reason: object) -> None:
    found = told(streamed(b"data: " + chunk(SAID, reason) + b"\n\ndata: [DONE]\n\n"), stream=True)
    assert (found.failure, found.finish_reason) == (None, "unknown")
    assert read(QUESTION, found).value == "B"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("reason", "text", "kind_", "absence"),
    [
        ("network_error", "The answer is (A), or", "server_error", Absence.FAILED),
        ("CANCELLED", "The answer is (A)", "server_error", Absence.FAILED),
        ("model_context_window_exceeded", "So far", "length", Absence.TRUNCATED),
        ("MAX_TOKENS", "", "length", Absence.TRUNCATED),
        ("RECITATION", "", "filtered", Absence.REFUSED),
        ("blocklist", None, "filtered", Absence.REFUSED),
        ("Spii", "", "filtered", Absence.REFUSED),
        ("refusal", "", "filtered", Absence.REFUSED),
        ("whatever", SAID, "unknown", None),
        ("end_turn", SAID, "stop", None),
    ],
)
def test_what_an_end_makes_of_a_text(
    reason: str, text: str | None, kind_: str, absence: Absence | None, stream: bool
) -> None:
    raw = http(reply(text, reason))
    if stream:
        raw = streamed(b"data: " + chunk(text, reason) + b"\n\ndata: [DONE]\n\n")
    found = told(raw, stream=stream)
    assert kind(found) == kind_
    assert read(QUESTION, found).absence is absence
    assert found.failure is None or found.failure.retryable


# How events are framed

ONE, DONE = chunk(), b"[DONE]"
BOM = b"\xef\xbb\xbf"
PRETTY = orjson.dumps(orjson.loads(ONE), option=orjson.OPT_INDENT_2)
FRAMES = {
    "usual": b"data: " + ONE + b"\n\ndata: [DONE]\n\n",
    "mark of byte order": BOM + b"data: " + ONE + b"\n\ndata: [DONE]\n\n",
    "mark before a comment": BOM + b": hello\n\ndata: " + ONE + b"\n\n",
    "carriage returns": b"data: " + ONE + b"\r\rdata: [DONE]\r\r",
    "both": b"data: " + ONE + b"\r\n\r\ndata: [DONE]\r\n\r\n",
    "mixed": b"data: " + ONE + b"\r\n\rdata: [DONE]\n\r\n",
    "several lines": b"data: " + PRETTY.replace(b"\n", b"\ndata: ") + b"\n\ndata: [DONE]\n\n",
    "several lines, returns": b"data:" + PRETTY.replace(b"\n", b"\r\ndata:") + b"\r\n\r\n",
    "a comment within": b"data: "
    + PRETTY.replace(b"\n", b"\n: ping\ndata: ", 3)
    .replace(b"\n ", b"\ndata: ")
    .replace(b"\n}", b"\ndata: }")
    .replace(b"\n]", b"\ndata: ]")
    + b"\n\n",
    "other fields": b"id: 7\nretry: 10\nevent: message\nfoo: bar\ndata: " + ONE + b"\nid: 8\n\n",
    "fields without colons": b"data\nid\nevent\n\ndata: " + ONE + b"\n\n",
    "no space": b"data:" + ONE + b"\n\ndata:[DONE]\n\n",
    "no empty lines": b"data: "
    + chunk("The answer ", None)
    + b"\ndata: "
    + chunk("is (B).")
    + b"\n",
    "no end of the last line": b"data: " + ONE,
    "heartbeats": b":\n\n:\n\ndata:\n\ndata: null\n\ndata: " + ONE + b"\n\n",
    "a list of events": b"data: ["
    + chunk("The answer ", None)
    + b","
    + chunk("is (B).")
    + b"]\n\n",
    "no frame": ONE,
    "no frame, a whole completion": orjson.dumps(reply()),
    "no frame, indented": BOM + orjson.dumps(reply(), option=orjson.OPT_INDENT_2) + b"\n",
    "no frame, a line each": chunk("The answer ", None) + b"\n" + chunk("is (B).") + b"\n",
}


@pytest.mark.parametrize("body", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("content_type", ["text/event-stream; charset=utf-8", "application/json"])
def test_frames(body: bytes, content_type: str) -> None:
    found = told(http(body, content_type=content_type), stream=True)
    assert (found.text, found.finish_reason, found.failure) == (SAID, "stop", None)


@given(st.sampled_from(sorted(FRAMES)), st.lists(st.integers(0, 900), max_size=40))
def test_frames_may_be_cut_anywhere(name: str, cuts: list[int]) -> None:
    body = FRAMES[name]
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    assembly = Assembly()
    for start, end in zip(places, places[1:], strict=False):
        assembly.feed(body[start:end])
    assembly.end()
    assert assembly.whole
    found: Any = assembly.reply()
    (choice,) = found["choices"]
    assert choice.get("message", choice.get("delta"))["content"] == SAID


# Errors in other words, with status 200


def error(message: object = "No room", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


ERRORS: list[tuple[object, str, bool]] = [
    (error(code=400, type="exceed_context_size_error"), "bad_request", False),
    ({"response": "No room", "status": 400}, "bad_request", False),
    ([error(code=429)], "rate_limited", True),
    ({"error": "No room", "status": 402}, "out_of_credit", False),
    ({"message": "No room", "statusCode": 404}, "not_found", False),
    ({"msg": "No room", "code": "401"}, "unauthorised", False),
    ({"detail": "No room", "status_code": 422}, "bad_request", False),
    ({"error": {"code": 503, "status": "UNAVAILABLE", "message": "No room"}}, "server_error", True),
    ({"error": {"status": "PERMISSION_DENIED", "message": "No room"}}, "unauthorised", False),
    ({"code": "InvalidApiKey", "message": "No room"}, "unauthorised", False),
    (
        {"type": "error", "error": {"type": "overloaded_error", "message": "No room"}},
        "server_error",
        True,
    ),
    ({"errors": [{"message": "No room"}], "success": False}, "server_error", True),
    ({"status": "429 Too Many Requests", "reason": "No room"}, "rate_limited", True),
    ({"Response": {"Error": {"Code": "x", "Message": "No room"}}}, "malformed", True),
    ({"__type": "ThrottlingException", "message": "No room", "status": 429}, "rate_limited", True),
    ({"base_resp": {"status_code": 1004, "status_msg": "No room"}}, "malformed", True),
    ({"fault": {"faultstring": "No room"}}, "server_error", True),
    ({"error_code": 110, "error_msg": "No room"}, "malformed", True),
    ({"message": "No room"}, "malformed", True),
    ({"choices": [], "status": 403, "message": "No room"}, "unauthorised", False),
    ({"choices": None, "error": True, "message": "No room"}, "server_error", True),
]


@pytest.mark.parametrize(("body", "kind_", "again"), ERRORS)
@pytest.mark.parametrize("frame", ["whole", "no frame", "event", "lines", "event: error"])
def test_errors_in_other_words(body: object, kind_: str, again: bool, frame: str) -> None:
    raw = orjson.dumps(body)
    indented = orjson.dumps(body, option=orjson.OPT_INDENT_2)
    sent = {
        "whole": http(raw),
        "no frame": streamed(indented),
        "event": streamed(b"data: " + raw + b"\n\n"),
        "lines": streamed(b"data: " + indented.replace(b"\n", b"\ndata: ") + b"\n\n"),
        "event: error": streamed(b"data: " + raw + b"\nevent: error\n\n"),
    }[frame]
    found = told(sent, stream=frame != "whole")
    assert found.failure is not None
    if frame == "event: error" and kind_ == "malformed":
        kind_ = "server_error"
    assert (found.failure.kind, found.failure.retryable) == (kind_, again)
    assert "No room" in found.failure.detail


def test_an_error_that_comes_bare_amid_events() -> None:
    begun = b"data: " + chunk("The answer is (A), or", None) + b"\n\n"
    bare = orjson.dumps(error(code=400), option=orjson.OPT_INDENT_2) + b"\n\ndata: [DONE]\n\n"
    found = told(streamed(begun + bare), stream=True)
    assert kind(found) == "bad_request"


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_errors_may_be_framed_as_events(status: int) -> None:
    raw = b"data: " + orjson.dumps(error()) + b"\n\n"
    found = told(http(raw, status, content_type="text/event-stream"), stream=True)
    assert found.failure is not None
    assert found.failure.detail.startswith(f"{status}: No room")


@pytest.mark.parametrize(
    "body",
    [
        error(code="content_filter"),
        error(code="content_policy_violation"),
        error(type="data_inspection_failed"),
        error(code=400, innererror={"code": "ResponsibleAIPolicyViolation"}),
        error(code=403, metadata={"flagged_input": "x"}),
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}, "choices": []},
        {"choices": [], **error(code="moderation_blocked")},
        error(type="safety_error"),
        [error(code="content_filtered")],
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403])
def test_what_a_filter_withholds_is_refused(body: object, status: int) -> None:
    found = told(http(body, status))
    assert found.failure is None
    assert read(QUESTION, found).absence is Absence.REFUSED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "status", "message", "type", "detail", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_no_error_is_ever_a_bug(body: object) -> None:
    found = of_no_choices(body)
    assert found.kind
    assert len(found.detail) <= 300
    assert withheld(body) in (True, False)


# What servers count


@pytest.mark.parametrize(
    "more",
    [
        {"usage": {"prompt_tokens": 11, "completion_tokens": 5}},
        {"usage": {"input_tokens": 11, "output_tokens": 5, "total_tokens": 16}},
        {"usage": {"inputTokens": 11, "outputTokens": 5}},
        {"usage": {"prompt_eval_count": 11, "eval_count": 5}},
        {"prompt_eval_count": 11, "eval_count": 5, "eval_duration": 1_000_000},
        {"usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 5}},
        {"usage_metadata": {"prompt_token_count": 11, "candidates_token_count": 5}},
        {"x_groq": {"id": "r", "usage": {"prompt_tokens": 11, "completion_tokens": 5}}},
        {"tokens_evaluated": 11, "tokens_predicted": 5},
        {"timings": {"prompt_n": 11, "predicted_n": 5, "predicted_ms": 3.5}},
        {"meta": {"billed_units": {"input_tokens": 11, "output_tokens": 5}}},
        {"usage": {"tokens": {"input_tokens": 11, "output_tokens": 5}}},
        {"usage": {"prompt_tokens": 0, "input_tokens": 11, "completion_tokens": 5.0}},
        {"usage": {"num_input_tokens": 11, "generated_tokens": 5, "cost": 0.1}},
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_servers_call_their_counts(more: dict[str, Any], stream: bool) -> None:
    raw = streamed(b"data: " + chunk(**more) + b"\n\n") if stream else http(reply(**more))
    usage = told(raw, stream=stream).usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (11, 5, False)


@pytest.mark.parametrize(
    ("details", "reasoning", "cached"),
    [
        ({"output_tokens_details": {"reasoning_tokens": 3}}, 3, 0),
        ({"input_tokens_details": {"cached_tokens": 4}}, 0, 4),
        ({"completionTokensDetails": {"reasoningTokens": 3}, "cachedTokens": 4}, 3, 4),
        ({"thoughtsTokenCount": 3, "cachedContentTokenCount": 4}, 3, 4),
        ({"cache_read_input_tokens": 4, "thinking_tokens": 3}, 3, 4),
    ],
)
def test_details_by_other_names(details: dict[str, Any], reasoning: int, cached: int) -> None:
    usage = {"input_tokens": 11, "output_tokens": 5, **details}
    found = told(http(reply(usage=usage))).usage
    assert (found.reasoning_tokens, found.cached_tokens) == (reasoning, cached)
    assert (found.input_tokens, found.output_tokens) == (11, 5)


ODD_COUNTS = [-1, 1.5, 2**53 - 1, 2**63, 10**30, 1e300, True, "5", None, [5], {"n": 5}, 10_000_001]


@pytest.mark.parametrize("odd", [*ODD_COUNTS, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_counts_that_cannot_be_are_estimated(odd: object, name: str) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 5, name: odd}
    raw = http(json.dumps(reply(usage=usage)).encode())  # with `NaN`
    found = told(raw, price=Price(1e6, 1e6)).usage
    assert found.estimated == (name != "total_tokens")
    assert 0 < found.input_tokens + found.output_tokens < 100
    assert found.money == found.input_tokens + found.output_tokens


@given(JSON, JSON)
def test_counts_are_counts(usage: object, beside: object) -> None:
    found = counts({"usage": usage, "status": beside})
    assert all(0 <= each <= 10_000_000 for each in found.values())


# Tools that nobody offered


def calls(*names: str | None) -> list[dict[str, Any]]:
    return [
        {"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in names
    ]


@pytest.mark.parametrize(
    ("message", "reason", "named"),
    [
        ({"content": None, "tool_calls": calls("search")}, "tool_calls", ["`search`"]),
        ({"content": "", "tool_calls": calls("a", "b", "a")}, "stop", ["`a`, `b`"]),
        (
            {"content": None, "function_call": {"name": "look", "arguments": ""}},
            "function_call",
            ["`look`"],
        ),
        ({"content": [{"type": "tool_use", "name": "look"}]}, "tool_use", ["`look`"]),
        ({"content": "  \n", "tool_calls": calls("search")}, "stop", ["`search`"]),
        ({"content": None, "tool_calls": calls(None)}, "tool_calls", []),
        ({"content": None}, "tool_calls", []),
        ({"content": None, "reasoning": "hm", "tool_calls": calls("x")}, "tool_calls", ["`x`"]),
        ({"content": None, "tool_calls": calls(*"abcdefghijkl")}, "tool_calls", ["`a`", "`h`"]),
        ({"tool_calls": calls("n" * 5000)}, "tool_calls", ["`nnn"]),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_is_no_answer(
    message: dict[str, Any], reason: str, named: Sequence[str], stream: bool
) -> None:
    choice = {"index": 0, "finish_reason": reason, "delta" if stream else "message": message}
    raw = orjson.dumps({"choices": [choice]})
    found = told(streamed(b"data: " + raw + b"\n\n") if stream else http(raw), stream=stream)
    assert found.failure is not None
    assert (found.failure.kind, found.failure.retryable) == ("tool_call", False)
    assert "called a tool" in found.failure.detail
    assert all(name in found.failure.detail for name in named)


def test_a_text_beside_a_tool_call_is_read() -> None:
    choice = {"message": {"content": SAID, "tool_calls": calls("x")}, "finish_reason": "tool_calls"}
    assert told(http({"choices": [choice]})).text == SAID


# Keys that servers repeat


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("field", ["content", "reasoning", "reasoning_content", "refusal"])
@pytest.mark.parametrize(
    "said", [KEY, f"You sent Bearer {KEY}. (B)", f"{KEY}{KEY}", f"cut {KEY[:15]}"]
)
def test_a_key_in_an_answer_is_hidden(said: str, field: str, stream: bool) -> None:
    pieces = [said] if not stream else [said[:9], said[9:12], said[12:]]
    name = "delta" if stream else "message"
    events = [
        orjson.dumps({"choices": [{"index": 0, name: {field: each}, "finish_reason": None}]})
        for each in pieces
    ]
    raw = streamed(b"".join(b"data: " + each + b"\n\n" for each in [*events, DONE]))
    found = told(raw if stream else http(events[0]), stream=stream)
    assert "[hidden]" in found.text + found.reasoning
    assert KEY[:10] not in f"{found}"


# What is compressed, and how long it may be


def deflated(raw: bytes) -> bytes:
    bare = zlib.compressobj(wbits=-15)
    return bare.compress(raw) + bare.flush()


WHOLE = orjson.dumps(reply())


@pytest.mark.parametrize(
    ("coding", "raw"),
    [
        ("gzip", gzip.compress(WHOLE, mtime=0)),
        ("x-gzip", gzip.compress(WHOLE, mtime=0)),
        ("GZIP", gzip.compress(WHOLE[:9], mtime=0) + gzip.compress(WHOLE[9:], mtime=0)),
        ("deflate", zlib.compress(WHOLE)),
        ("deflate", deflated(WHOLE)),
        ("identity", WHOLE),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_compressed(coding: str, raw: bytes, stream: bool) -> None:
    assert told(http(raw, content_encoding=coding), stream=stream).text == SAID


@pytest.mark.parametrize(
    ("coding", "raw", "kind_"),
    [
        ("gzip", gzip.compress(WHOLE, mtime=0)[:-9], "connection"),
        ("gzip", b"\x1f\x8bodd", "connection"),
        ("deflate", zlib.compress(WHOLE)[:9], "connection"),
        ("br", b"\x0b\x02\x80", "malformed"),
        ("zstd", b"(\xb5/\xfd", "malformed"),
        ("gzip, gzip", gzip.compress(gzip.compress(WHOLE, mtime=0), mtime=0), "malformed"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_decompressed(coding: str, raw: bytes, kind_: str, stream: bool) -> None:
    assert kind(told(http(raw, content_encoding=coding), stream=stream)) == kind_
    found = told(http(raw, 503, content_encoding=coding), stream=stream)
    assert kind(found) == "server_error"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 400])
def test_a_reply_that_is_too_long_is_not_read(status: int, stream: bool) -> None:
    bomb = gzip.compress(b" " * (LARGEST + 1), 1)
    found = told(http(bomb, status, content_encoding="gzip"), stream=stream)
    assert found.failure is not None
    assert not found.failure.retryable
    assert kind(found) == ("malformed" if status == 200 else "bad_request")
    assert status == 400 or "longer than" in found.failure.detail


def test_a_text_that_is_far_too_long_is_not_kept() -> None:
    found = told(http(reply("x" * (1 << 19))))
    assert found.failure is not None
    assert (found.failure.kind, found.text) == ("malformed", "")
    assert "64 tokens" in found.failure.detail
