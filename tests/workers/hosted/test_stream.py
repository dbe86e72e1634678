"""Replies that come piece by piece."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.replies import Answer, Said, read_call, usage_of
from orchestra.workers.hosted.stream import Assembly
from orchestra.workers.hosted.usage import counts

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}


def event(**told: Any) -> bytes:
    return b"data: " + orjson.dumps(told) + b"\n\n"


def piece(index: int = 0, finish: str | None = None, **delta: Any) -> bytes:
    return event(choices=[{"index": index, "delta": delta, "finish_reason": finish}])


def assembled(*pieces: bytes) -> Assembly:
    assembly = Assembly()
    for each in pieces:
        assembly.feed(each)
    assembly.end()
    return assembly


def reply_of(assembly: Assembly) -> dict[str, Any]:
    reply = assembly.reply()
    assert isinstance(reply, dict)
    return reply


def message(*pieces: bytes) -> dict[str, Any]:
    (choice,) = reply_of(assembled(*pieces))["choices"]
    return dict(choice["message"])


HI, END = piece(content="hi"), piece(finish="stop")


@pytest.mark.parametrize(
    "stream",
    [
        HI + END + DONE,
        HI + END,  # no mark of the end
        HI + DONE,  # no reason for the end
        HI + END + DONE.strip(),  # no end of the line
        HI + END.strip(),
        (HI + END + DONE).replace(b"\n", b"\r\n"),
        (HI + END + DONE).replace(b"data: ", b"data:"),
        HI + END + b'data: "[DONE]"\n\n',
        b": OPENROUTER PROCESSING\n\n" + HI + b": ping\n\n" + END + DONE,
        b"event: message\nid: 1\nretry: 5\n" + HI + END + DONE,
        b"data:\n\ndata: null\n\n" + HI + b"data: 7\n\n" + END + DONE,
        event(choices=[], prompt_filter_results=[{}]) + HI + END + DONE,  # Azure's first
        piece(role="assistant", content="") + HI + END + DONE,
        HI + event(choices=[{"index": 0, "delta": None, "finish_reason": "stop"}]) + DONE,
        HI + event(choices=[{"index": 0, "finish_reason": "stop"}]) + DONE,
        HI + piece(content=None, finish="stop") + DONE,
        HI + piece(finish="") + END + DONE,
        HI + event(choices=None) + event(choices=7) + event(choices=[None, "x"]) + END + DONE,
        event(choices=[{"delta": {"content": "hi"}}]) + END + DONE,  # no index
        HI + event(choices=[{"index": 0, "delta": "odd"}]) + END + DONE,
        event(choices=[{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]),
        HI + END + event(error=None, choices=[]) + DONE,
    ],
)
def test_what_servers_of_many_makes_send(stream: bytes) -> None:
    assembly = assembled(stream)
    assert assembly.whole
    (choice,) = reply_of(assembly)["choices"]
    assert choice["message"] == {"content": "hi"}


@pytest.mark.parametrize(
    ("stream", "whole"),
    [
        (b"", False),
        (HI, False),
        (HI + END[:-9], False),  # half an event
        (piece(0, "stop", content="a") + piece(1, content="b"), False),
        (piece(0, "stop", content="a") + piece(1, "length"), True),
        (DONE, True),
    ],
)
def test_whether_it_came_to_its_end(stream: bytes, whole: bool) -> None:
    assert assembled(stream).whole is whole


@pytest.mark.parametrize("spoilt", [b"data: {half\n\n", b"data: <html>\n\n", b"error: oh\n"])
def test_what_is_no_event_is_an_error(spoilt: bytes) -> None:
    with pytest.raises(ValueError, match="line 1"):
        Assembly().feed(HI + spoilt)


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        (event(error={"message": "busy"}), {"message": "busy"}),
        (HI + event(error="busy") + DONE, "busy"),
        # OpenRouter's: a piece all the same
        (HI + event(error={"code": 502}, choices=[{"finish_reason": "error"}]), {"code": 502}),
        # vLLM's of old
        (event(object="error", message="no", code=400), None),
        (b'event: error\ndata: {"code":400,"details":"no"}\n\n' + DONE, None),
        # llama.cpp's of old: a field of its own
        (b'error: {"code":400,"message":"too long"}\n\n' + DONE, None),
    ],
)
def test_an_error_in_the_middle(stream: bytes, error: object) -> None:
    assembly = assembled(stream)
    assert assembly.whole
    told = reply_of(assembly)
    if error is None:
        assert told["error"]["code"] == 400
    else:
        assert told["error"] == error


def test_an_event_after_an_error_is_none_of_it() -> None:
    for newline in (b"\n", b"\r\n"):
        assert "error" not in reply_of(assembled(b"event: error" + newline * 2, HI, END))


def test_draws_come_mixed_and_are_sorted() -> None:
    stream = [piece(2, content="c"), piece(0, content="a"), piece(1, content="b")]
    stream += [piece(1, content="B"), piece(2, "length"), piece(0, "stop"), piece(1, "stop")]
    choices = reply_of(assembled(*stream))["choices"]
    assert [each["message"]["content"] for each in choices] == ["a", "bB", "c"]
    assert [each["finish_reason"] for each in choices] == ["stop", "stop", "length"]


@pytest.mark.parametrize(
    ("stream", "usage"),
    [
        (HI + END + event(choices=[], usage=USAGE) + DONE, USAGE),
        (HI + event(choices=[], usage=None) + END + DONE, None),
        # With every piece: the last is the sum
        (event(choices=[], usage={"completion_tokens": 1}) + event(choices=[], usage=USAGE), USAGE),
        (event(choices=[], usage=USAGE) + event(choices=[], usage={}) + END, USAGE),
        (event(choices=[{"index": 0, "usage": USAGE, "delta": {}}]), USAGE),  # Moonshot's
        (event(usage=USAGE), USAGE),
        (event(choices=[], usage="free"), None),
    ],
)
def test_where_the_usage_is(stream: bytes, usage: object) -> None:
    assert counts(reply_of(assembled(stream))) == (usage or {})


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "refusal"])
def test_texts_are_kept_apart(key: str) -> None:
    thoughts: list[dict[str, Any]] = [{key: "so "}, {key: "so"}]
    stream = [*(piece(**each) for each in thoughts), HI, END]
    assert message(*stream) == {key: "so so", "content": "hi"}


def test_parts_that_think_and_parts_that_speak() -> None:
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    speaking = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
    stream = [piece(content=thinking), piece(content=speaking), END]
    assert message(*stream) == {"content": "hi", "reasoning_content": "hm"}


def test_log_probabilities_of_both_shapes() -> None:
    chat = [{"token": "h", "logprob": -0.5}]
    told = [
        {"index": 0, "delta": {"content": "h"}, "logprobs": {"content": chat, "refusal": None}},
        {"index": 0, "delta": {"content": "h"}, "logprobs": {"content": chat}},
        {"index": 1, "text": "x", "logprobs": {"tokens": ["x"], "token_logprobs": [-1.0]}},
        {"index": 1, "text": "y", "logprobs": {"tokens": ["y"], "token_logprobs": [-2.0]}},
        {"index": 1, "text": "", "logprobs": None},
    ]
    first, second = reply_of(assembled(*(event(choices=[each]) for each in told)))["choices"]
    assert first["logprobs"] == {"token_logprobs": [-0.5, -0.5]}
    assert second["logprobs"] == {"token_logprobs": [-1.0, -2.0]}
    assert second["text"] == "xy"


def test_halves_of_letters_meet_again() -> None:
    # JavaScript cuts texts within letters, and sends the halves as escapes.
    halves = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'
    said = message(halves % rb"\ud83d", halves % rb"\ude00", END)["content"]
    assert said.encode("utf-16", "surrogatepass").decode("utf-16") == "\N{GRINNING FACE}"


# Streamed and whole are the same

TOKENS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
WORDS = st.lists(TOKENS, max_size=6).map(tuple)
FINISHES = st.sampled_from(["stop", "length"])


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    chat = draw(st.booleans())
    asked: dict[str, Any] = {"model": "m", "stream_options": {"include_usage": draw(st.booleans())}}
    asked |= {"messages": [{"content": "q"}]} if chat else {"prompt": "q"}
    if draw(st.booleans()):
        asked |= {"logprobs": True, "top_logprobs": 2} if chat else {"logprobs": 2}
    call = read_call(chat, asked, "")
    said = [
        Said(draw(WORDS) if chat else (), draw(WORDS), draw(FINISHES), "A")
        for _ in range(draw(st.integers(1, 3)))
    ]
    field = draw(st.sampled_from(["reasoning", "reasoning_content"]))
    return Answer(call, 1, said, usage_of(call, said, 0.5), field)


def plain(choice: dict[str, Any]) -> object:
    """What there is in a choice, however it came."""
    told = choice.get("message") or {}
    kept = {key: told.get(key) or "" for key in ("content", "reasoning", "reasoning_content")}
    logprobs = choice.get("logprobs") or {}
    numbers = logprobs.get("token_logprobs") or [
        each["logprob"] for each in logprobs.get("content") or ()
    ]
    return kept, choice.get("text") or "", choice["finish_reason"], numbers


@given(answers(), st.lists(st.integers(0, 4000), max_size=30), st.sampled_from([b"\n", b"\r\n"]))
def test_any_cutting_of_the_bytes_gives_the_reply_that_came_whole(
    answer: Answer, cuts: list[int], newline: bytes
) -> None:
    sent = b"".join(answer.events()).replace(b"\n", newline)
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    assembly = assembled(*(sent[a:b] for a, b in zip(places, places[1:], strict=False)))
    assert assembly.done
    streamed, whole = reply_of(assembly), answer.whole()
    assert [plain(each) for each in streamed["choices"]] == [
        plain(each) for each in whole["choices"]
    ]
    wanted = answer.call.asked["stream_options"]["include_usage"]
    assert streamed.get("usage") == (counts(whole) if wanted else None)


KEYS = (
    *("choices", "usage", "error", "object", "index", "delta", "message", "content", "text"),
    *("finish_reason", "logprobs", "token_logprobs", "reasoning", "type", "thinking"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_no_event_of_json_is_ever_a_bug(events: list[object]) -> None:
    sent = b"".join(b"data: " + orjson.dumps(each) + b"\n\n" for each in events if fits(each))
    assembly = assembled(sent, DONE)
    assert orjson.loads(orjson.dumps(assembly.reply())) is not None
    assert assembly.held >= 0


def fits(value: object) -> bool:
    """Whether the number that may be in it is one that a server can send."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True
