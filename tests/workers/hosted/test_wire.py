"""Bodies that are sent, and what is made of replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.answers import read
from orchestra.errors import InputError
from orchestra.records import Absence, Generation, Message, Question, Request, Sampling, Usage
from orchestra.roster import Expert, Price
from orchestra.workers.hosted.usage import apportioned
from orchestra.workers.hosted.wire import Dialect, body, failed, read_reply

QUESTION = Question("q", "Which?", ("one", "two", "three"))
MESSAGES = (Message("system", "Be brief."), Message("user", "Which?"))


def expert(**fields: Any) -> Expert:
    return Expert("e", "m", **{"worker": "openai", "base_url": "http://127.0.0.1/v1", **fields})


def requests(draws: int = 1, *, first: int = 0, **sampling: Any) -> list[Request]:
    drawn = Sampling(**{"max_tokens": 64, **sampling})
    return [
        Request(f"k{n}", "q", "e", "generate", MESSAGES, drawn, layer=1, sample=n)
        for n in range(first, first + draws)
    ]


def sent(
    asked: Sequence[Request] = (), *, stream: bool = False, adapter: str = "", **engine: Any
) -> dict[str, Any]:
    whose = expert(engine=engine, adapter=adapter)
    told = body(whose, asked or requests(), Dialect.of(whose), stream=stream)
    return dict(orjson.loads(orjson.dumps(told)))


def got(
    reply: object,
    asked: Sequence[Request] = (),
    *,
    api: str = "chat",
    structured: str = "json_schema",
    price: Price | None = None,
) -> list[Generation]:
    dialect = Dialect.of(expert(engine={"api": api, "structured": structured}))
    return read_reply(reply, asked or requests(), dialect, seconds=2.0, price=price)


def choice(content: object = "The answer is B.", finish: object = "stop", **message: Any) -> Any:
    return {"message": {"content": content, **message}, "finish_reason": finish}


def one(told: Mapping[str, Any], **asked: Any) -> Generation:
    """What one choice is."""
    (found,) = got({"choices": [told]}, requests(**asked))
    return found


# What is sent


def test_a_chat() -> None:
    assert sent() == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Which?"},
        ],
        "temperature": 0.0,
        "max_tokens": 64,
    }


def test_a_completion() -> None:
    told = sent(requests(logprobs=2), api="completions")
    assert told["prompt"] == "Be brief.\n\nWhich?"
    assert told["logprobs"] == 2
    assert not {"messages", "top_logprobs", "api"} & told.keys()


@pytest.mark.parametrize(
    ("asked", "engine", "keys"),
    [
        (requests(temperature=0.5, top_p=0.9), {}, {"temperature": 0.5, "top_p": 0.9}),
        (requests(), {}, {"top_p": None, "stop": None, "seed": None, "n": None, "logprobs": None}),
        (requests(stop=("a", "b")), {}, {"stop": ["a", "b"]}),
        (requests(seed=0), {}, {"seed": 0}),
        (requests(first=3, seed=40), {}, {"seed": 43, "n": None}),
        (requests(3), {}, {"n": 3}),
        (requests(logprobs=4), {}, {"logprobs": True, "top_logprobs": 4}),
        (requests(), {"omit": "temperature"}, {"temperature": None}),
        (requests(3), {"omit": "n, temperature seed"}, {"temperature": None, "n": None}),
        (
            requests(),
            {"max_tokens_field": "max_completion_tokens"},
            {"max_tokens": None, "max_completion_tokens": 64},
        ),
        (requests(), {"top_k": 20, "user": "u"}, {"top_k": 20, "user": "u"}),
        (requests(temperature=0.5), {"temperature": 1}, {"temperature": 1}),
        (requests(), {"x": '{"a": [true, null]}'}, {"x": {"a": [True, None]}}),
        (requests(), {"x": '["a", 1]'}, {"x": ["a", 1]}),
        (requests(), {"x": "{{name}}", "y": "7"}, {"x": "{{name}}", "y": "7"}),
    ],
)
def test_how_sampling_and_options_are_said(
    asked: list[Request], engine: dict[str, Any], keys: dict[str, Any]
) -> None:
    told = sent(asked, **engine)
    assert {key: told.get(key) for key in keys} == keys
    assert not {"omit", "max_tokens_field", "structured"} & told.keys()


def test_a_stream_says_what_it_costs() -> None:
    told = sent(stream=True)
    assert (told["stream"], told["stream_options"]) == (True, {"include_usage": True})
    assert "stream" not in sent()
    assert "stream_options" not in sent(stream=True, omit="stream_options")


def test_an_adapter_is_a_model_of_its_own() -> None:
    assert sent(adapter="law")["model"] == "law"


CHOICES = ("A", 'say "é" (1+1)', "日本\\n")


@pytest.mark.parametrize(
    ("structured", "key", "told"),
    [
        ("structured_outputs", "structured_outputs", {"choice": list(CHOICES)}),
        ("guided_choice", "guided_choice", list(CHOICES)),
        ("grammar", "grammar", r'root ::= "A" | "say \"é\" (1+1)" | "日本\\n"'),
        ("regex", "regex", r'(A|say "é" \(1\+1\)|日本\\n)'),
    ],
)
def test_ways_to_force_an_answer(structured: str, key: str, told: object) -> None:
    found = sent(requests(choices=CHOICES), structured=structured)
    assert found[key] == told
    assert "response_format" not in found


def test_openais_way_to_force_an_answer() -> None:
    form = sent(requests(choices=CHOICES))["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    schema = form["json_schema"]["schema"]
    assert schema["properties"]["answer"]["enum"] == list(CHOICES)
    assert (schema["required"], schema["additionalProperties"]) == (["answer"], False)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ({"api": "responses"}, r"'responses'|`responses`"),
        ({"api": 3}, "3"),
        ({"structured": "json"}, "json_schema"),
        ({"max_tokens_field": 3}, "are text"),
        ({"max_tokens_field": ""}, "are text"),
        ({"omit": True}, "are text"),
        ({"n": 3}, "cannot set `n`"),
        ({"stream": True, "model": "x"}, "cannot set `model`, `stream`"),
        ({"max_tokens": 9}, "cannot set `max_tokens`"),
        ({"max_completion_tokens": 9}, "cannot set `max_completion_tokens`"),
    ],
)
def test_options_that_are_not_what_they_may_be(engine: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        Dialect.of(expert(engine=engine))
    assert caught.value.place == "expert `e`: engine"


# What a reply is


def test_a_generation_is_that_of_its_request() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    (found,) = got({"choices": [choice()], "usage": usage}, price=Price(1.0, 10.0))
    assert found == Generation(
        "k0",
        "q",
        "e",
        text="The answer is B.",
        usage=Usage(1, 5, 7, seconds=2.0, money=75e-6),
        layer=1,
    )


@pytest.mark.parametrize(
    ("told", "text", "reasoning"),
    [
        (choice("hi"), "hi", ""),
        (choice(None), "", ""),
        (choice(""), "", ""),
        ({"finish_reason": "stop"}, "", ""),
        ({"message": None}, "", ""),
        (choice(7), "", ""),
        (choice([{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]), "hi", ""),
        (choice(["h", "i", None, 3, {"type": "image_url"}]), "hi", ""),
        (choice("hi", reasoning_content="hm"), "hi", "hm"),
        (choice("hi", reasoning="hm"), "hi", "hm"),
        (choice("hi", reasoning="hm", reasoning_content="hm"), "hi", "hm"),
        (choice("hi", reasoning=None, reasoning_content=""), "hi", ""),
        (choice("hi", reasoning={"odd": 1}), "hi", ""),
        (choice(None, reasoning="hm"), "", "hm"),
        (
            choice(
                [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                    {"type": "text", "text": "hi"},
                ]
            ),
            "hi",
            "hm",
        ),
        (choice([{"type": "thinking", "thinking": "hm"}, {"text": "hi"}]), "hi", "hm"),
        (choice([{"type": "reasoning", "text": "hm"}, {"text": "hi"}]), "hi", "hm"),
        (choice(None, refusal="I cannot."), "I cannot.", ""),
        (choice("hi", refusal=None), "hi", ""),
        (choice("\ud83d\ude00 \ud83d"), "\N{GRINNING FACE} \ufffd", ""),
    ],
)
def test_where_the_text_is(told: dict[str, Any], text: str, reasoning: str) -> None:
    found = one(told)
    assert (found.text, found.reasoning, found.failure) == (text, reasoning, None)


def test_the_text_of_a_completion() -> None:
    told = {"text": "so B", "reasoning": "hm", "finish_reason": "length", "message": {"x": 1}}
    (found,) = got({"choices": [told]}, api="completions")
    assert (found.text, found.reasoning, found.finish_reason) == ("so B", "hm", "length")


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("length", "length"),
        ("MAX_TOKENS", "length"),
        ("content_filter", "filtered"),
        ("SAFETY", "filtered"),
        ("tool_calls", "stop"),
        ("whatever", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        ({"type": "stop"}, "unknown"),
    ],
)
def test_why_it_ended(said: object, finish: str) -> None:
    assert one(choice(finish=said)).finish_reason == finish


@pytest.mark.parametrize(
    ("told", "absence"),
    [
        (choice(None, "content_filter"), Absence.REFUSED),
        (choice("", "content_filter"), Absence.REFUSED),
        (choice(None, refusal="I'm sorry, I can't help with that."), Absence.REFUSED),
        (choice("", "length"), Absence.TRUNCATED),
        (choice("", "length", reasoning="The answer is B."), Absence.TRUNCATED),
        (choice("", reasoning="The answer is B."), Absence.EMPTY),
        (choice(None), Absence.EMPTY),
        (choice(finish="content_filter"), None),
    ],
)
def test_what_the_answer_is(told: dict[str, Any], absence: Absence | None) -> None:
    answer = read(QUESTION, one(told))
    assert answer.absence == absence
    assert answer.value == (None if absence else "B")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ('{"answer": "B"}', "B"),
        (' {"answer":\n"B"} ', "B"),
        ('{"answer": 3}', '{"answer": 3}'),
        ('{"other": "B"}', '{"other": "B"}'),
        ('["B"]', '["B"]'),
        ('"B"', '"B"'),
        ("B", "B"),
        ('{"answer": "B', '{"answer": "B'),
        ("", ""),
    ],
)
def test_a_forced_answer_is_unwrapped(said: str, text: str) -> None:
    assert one(choice(said), choices=("A", "B")).text == text
    # Where none was forced it is what the model said.
    assert one(choice(said)).text == said
    for structured in ("structured_outputs", "guided_choice", "grammar", "regex"):
        asked = requests(choices=("A", "B"))
        (found,) = got({"choices": [choice(said)]}, asked, structured=structured)
        assert found.text == said


def logprobs(*values: Any) -> dict[str, Any]:
    return {"content": [{"token": "x", "logprob": each} for each in values], "refusal": None}


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (logprobs(-0.5, -1, 0), (-0.5, -1.0, 0.0)),
        (logprobs(), ()),
        ({"tokens": ["a", "b"], "token_logprobs": [-0.5, -1]}, (-0.5, -1.0)),
        ({"token_logprobs": [None, -1.0]}, (-1.0,)),
        # SGLang's for what cannot be
        (logprobs(-0.5, None), (-0.5,)),
        (logprobs(-0.5, "-1"), (-0.5,)),
        (logprobs(float("-inf")), (float("-inf"),)),
        ({"content": [None, {}, 3]}, ()),
        ({"content": None}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_log_probabilities(told: object, found: tuple[float, ...] | None) -> None:
    with_them = choice() | {"logprobs": told}
    assert one(with_them, logprobs=1).logprobs == found
    assert one(with_them, logprobs=1).failure is None
    assert one(with_them).logprobs is None  # nobody asked


# Draws


def test_draws_of_one_call() -> None:
    usage = {
        "prompt_tokens": 5,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }
    said = [choice("aaaa"), choice("bb", reasoning="bb"), choice("cc")]
    found = got({"choices": said, "usage": usage}, requests(3), price=Price(1.0, 10.0))
    assert [each.sample for each in found] == [0, 1, 2]
    assert [each.text for each in found] == ["aaaa", "bb", "cc"]
    assert [each.usage for each in found] == [
        Usage(1, 5, 4, 2, 4, seconds=2 / 3, money=45e-6),
        Usage(0, 0, 4, 2, 0, seconds=2 / 3, money=40e-6),
        Usage(0, 0, 2, 2, 0, seconds=2 / 3, money=20e-6),
    ]


def test_fewer_draws_than_asked() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 10}
    first, *rest = got({"choices": [choice()], "usage": usage}, requests(3))
    assert (first.failure, first.usage.output_tokens) == (None, 10)
    assert [each.sample for each in rest] == [1, 2]
    for each in rest:
        assert each.failure is not None
        assert (each.failure.kind, each.failure.retryable) == ("too_few", True)
        assert each.usage == Usage()


def test_draws_that_nobody_asked_for_are_paid_all_the_same() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 10}
    (found,) = got({"choices": [choice(), choice()], "usage": usage})
    assert found.usage.output_tokens == 10


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_parts_sum_to_the_whole(whole: int, weights: list[int]) -> None:
    parts = apportioned(whole, weights)
    assert (len(parts), sum(parts)) == (len(weights), whole)
    assert min(parts) >= 0
    total = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        fair = whole * weight / total if total else whole / len(weights)
        assert abs(part - fair) <= 1 + fair * 1e-12


@given(st.integers(0, 10**6), st.lists(st.text(max_size=50), min_size=1, max_size=9))
def test_no_token_is_lost_among_draws(written: int, texts: list[str]) -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": written or None}
    reply = {"choices": [choice(text) for text in texts], "usage": usage}
    found = got(reply, requests(len(texts)), price=Price(2.0, 3.0))
    total = sum((each.usage for each in found), Usage())
    assert (total.calls, total.input_tokens) == (1, 3)
    assert total.estimated == (not written)
    assert not written or total.output_tokens == written
    assert total.seconds == pytest.approx(2.0)
    assert total.money == pytest.approx((6 + 3 * total.output_tokens) / 1e6)


# Usage

READ = -(-len("Be brief.Which?") // 4)


@pytest.mark.parametrize(
    ("usage", "tokens", "estimated"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 7}, (5, 7), False),
        ({"prompt_tokens": 5.0, "completion_tokens": 7.0}, (5, 7), False),
        ({"prompt_tokens": 0, "completion_tokens": 7}, (0, 7), False),
        # xAI and Gemini leave reasoning out of the completion, and bill it.
        ({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 100}, (5, 95), False),
        ({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 3}, (5, 7), False),
        ({"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": "x"}, (5, 7), False),
        (None, (READ, 2), True),
        ({}, (READ, 2), True),
        ([], (READ, 2), True),
        ("free", (READ, 2), True),
        ({"completion_tokens": 7}, (READ, 7), True),
        ({"prompt_tokens": 5}, (5, 2), True),
        ({"prompt_tokens": None, "completion_tokens": None}, (READ, 2), True),
        ({"prompt_tokens": "5", "completion_tokens": "7"}, (READ, 2), True),
        ({"prompt_tokens": 5, "completion_tokens": -7}, (5, 2), True),
        ({"prompt_tokens": 5, "completion_tokens": True}, (5, 2), True),
        ({"prompt_tokens": 5, "completion_tokens": 7.5}, (5, 2), True),
        ({"prompt_tokens": 5, "completion_tokens": 1e300}, (5, 2), True),
        ({"prompt_tokens": float("nan"), "completion_tokens": float("inf")}, (READ, 2), True),
        # A server that does not count
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (READ, 2), True),
        ({"prompt_tokens": 5, "completion_tokens": 0}, (5, 2), True),
    ],
)
def test_what_it_cost(usage: object, tokens: tuple[int, int], estimated: bool) -> None:
    (found,) = got({"choices": [choice("12345")], "usage": usage}, price=Price(1e6, 1e6))
    assert (found.usage.input_tokens, found.usage.output_tokens) == tokens
    assert found.usage.estimated is estimated
    assert found.usage.money == sum(tokens)
    assert found.usage.calls == 1


@pytest.mark.parametrize(
    ("details", "reasoning", "cached"),
    [
        ({"completion_tokens_details": {"reasoning_tokens": 3}}, 3, 0),
        ({"reasoning_tokens": 3}, 3, 0),
        ({"prompt_tokens_details": {"cached_tokens": 4}}, 0, 4),
        ({"prompt_cache_hit_tokens": 4}, 0, 4),
        ({"prompt_tokens_details": None, "completion_tokens_details": [1]}, 0, 0),
        ({"prompt_tokens_details": {"cached_tokens": None}}, 0, 0),
        ({"completion_tokens_details": {"reasoning_tokens": "3"}}, 0, 0),
    ],
)
def test_what_it_cost_in_detail(details: dict[str, Any], reasoning: int, cached: int) -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 7, **details}
    (found,) = got({"choices": [choice()], "usage": usage})
    assert (found.usage.reasoning_tokens, found.usage.cached_tokens) == (reasoning, cached)
    assert found.usage.output_tokens == 7


def test_a_reply_withheld_at_once_costs_what_the_server_says() -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 0}
    (found,) = got({"choices": [choice(None, "content_filter")], "usage": usage})
    assert found.usage == Usage(1, seconds=2.0)


# Failures


@pytest.mark.parametrize(
    ("reply", "kind", "retryable", "said"),
    [
        (None, "malformed", True, "no choices"),
        ([], "malformed", True, "no choices"),
        ({}, "malformed", True, "no choices"),
        ({"choices": None}, "malformed", True, "no choices"),
        ({"choices": []}, "malformed", True, "no choices"),
        ({"choices": {"0": {}}}, "malformed", True, "no choices"),
        ({"choices": ["hi"]}, "malformed", True, "unknown shape"),
        ({"choices": [{"message": "hi"}]}, "malformed", True, "unknown shape"),
        ({"error": {"message": "no\nroom"}}, "server_error", True, "an error: no room"),
        ({"error": "no room"}, "server_error", True, "an error: no room"),
        ({"error": {"message": "x", "code": 400}}, "bad_request", False, "an error: x"),
        ({"object": "error", "message": "x", "code": 404}, "not_found", False, "an error: x"),
        ({"error": {"code": 429}, "choices": []}, "rate_limited", True, "an error"),
        ({"error": {"code": 502}, "choices": [choice("ha")]}, "server_error", True, "an error"),
        # OpenRouter's, and those of engines that gave up
        ({"choices": [choice("ha") | {"error": {"code": 429}}]}, "rate_limited", True, "429"),
        ({"choices": [choice("ha", "error")]}, "server_error", True, "error"),
        ({"choices": [choice("ha", "abort")]}, "server_error", True, "abort"),
    ],
)
def test_a_reply_without_an_answer(reply: object, kind: str, retryable: bool, said: str) -> None:
    first, second = got(reply, requests(2))
    assert first.failure is not None
    assert (first.failure.kind, first.failure.retryable) == (kind, retryable)
    assert said in first.failure.detail
    assert (first.text, first.finish_reason) == ("", "error")
    assert first.usage.calls == 1
    assert second.failure is not None
    assert second.usage.calls == 0
    assert (second.sample, second.layer, second.key) == (1, 1, "k1")


def test_what_was_charged_for_nothing_is_charged() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 0}
    (found,) = got({"choices": [], "usage": usage}, price=Price(1e6, 1e6))
    assert (found.usage.input_tokens, found.usage.money) == (5, 5.0)
    broken = {"choices": [choice("ha", "error"), choice()], "usage": {"completion_tokens": 20}}
    first, second = got(broken, requests(2))
    assert first.failure is not None
    assert second.failure is None
    assert first.usage.output_tokens + second.usage.output_tokens == 20


def test_the_first_of_failed_requests_bears_the_cost() -> None:
    reply = got({}, requests(1))[0]
    assert reply.failure is not None
    first, second = failed(requests(2), reply.failure, usage=Usage(calls=1, estimated=True))
    assert (first.usage, second.usage) == (Usage(calls=1, estimated=True), Usage())


KEYS = (
    *("choices", "usage", "error", "object", "message", "content", "text", "refusal", "code"),
    *("finish_reason", "logprobs", "token_logprobs", "logprob", "reasoning", "type", "thinking"),
    *("prompt_tokens", "completion_tokens", "total_tokens", "completion_tokens_details"),
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=2), inner, max_size=4)
    ),
    max_leaves=15,
)
ODD_CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "message": JSON | st.fixed_dictionaries({"content": JSON}),
        "text": JSON,
        "logprobs": JSON | st.fixed_dictionaries({"content": JSON}),
        "finish_reason": JSON,
        "error": JSON,
    },
)
REPLIES = JSON | st.fixed_dictionaries(
    {"choices": st.lists(ODD_CHOICES | JSON, max_size=3)}, optional={"usage": JSON, "error": JSON}
)


@given(REPLIES, st.integers(1, 3), st.sampled_from(["chat", "completions"]))
def test_no_reply_is_ever_a_bug(reply: object, draws: int, api: str) -> None:
    asked = requests(draws, logprobs=1, choices=("A", "B"))
    found = got(reply, asked, api=api, price=Price(1.0, 2.0))
    assert [each.key for each in found] == [each.key for each in asked]
    for each in found:
        each.text.encode()
        assert isinstance(each.reasoning, str)
        assert each.failure is None or (each.text, each.finish_reason) == ("", "error")
        assert min(each.usage.input_tokens, each.usage.output_tokens, each.usage.money) >= 0
        assert read(QUESTION, each).question_id == "q"
    assert sum(each.usage.calls for each in found) == 1
