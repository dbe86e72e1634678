"""The loopback provider says what OpenAI's API says, and its faults look so on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import math
from array import array
from collections.abc import Iterator
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDictProxy

from benchmarks.provider import Settings, digest, most_in, provider
from benchmarks.replies import Answer, Model, read_call, usage_of

ASKED = "Which letter comes third?\nA. a\nB. b\nC. c"
MESSAGES = [{"role": "user", "content": ASKED}]
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
PLAIN = {"model": "m", "messages": MESSAGES}
Json = dict[str, Any]


class Reply(NamedTuple):
    """A response, read to its end."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def events(self) -> list[Any]:
        lines = [line.removeprefix(b"data: ") for line in self.body.split(b"\n\n") if line]
        assert lines.pop() == b"[DONE]"
        return [orjson.loads(line) for line in lines]


class Client:
    """Asks the provider from ordinary functions."""

    def __init__(self, url: str) -> None:
        self.url = url

    def set(self, **told: Any) -> Json:
        reply = self.ask("/control", {**asdict(Settings()), **told, "reset": True})
        assert reply.status == 200, reply.body
        found: Json = reply.json
        return found

    def counts(self, query: str = "") -> Json:
        found: Json = self.ask("/control" + query).json
        return found

    def chat(self, **told: Any) -> Reply:
        return self.ask(CHAT, PLAIN | told)

    def ask(self, path: str, body: Json | None = None, **headers: str) -> Reply:
        return self.together([body], path, **headers)[0]

    def together(self, bodies: list[Json | None], path: str, **headers: str) -> list[Reply]:
        async def one(session: aiohttp.ClientSession, body: Json | None) -> Reply:
            method = "GET" if body is None else "POST"
            told = {name.replace("_", "-"): value for name, value in headers.items()}
            async with session.request(method, self.url + path, json=body, headers=told) as found:
                return Reply(found.status, found.headers, await found.read())

        async def all_of_them() -> list[Reply]:
            async with aiohttp.ClientSession() as session:
                return await asyncio.gather(*[one(session, body) for body in bodies])

        return asyncio.run(all_of_them())

    def raw(self, body: Json) -> tuple[bytes, bool]:
        """What comes over the wire, and whether the connection was reset."""

        async def read() -> tuple[bytes, bool]:
            port = urlsplit(self.url).port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            sent = orjson.dumps(body)
            head = f"POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: "
            writer.write(f"{head}{len(sent)}\r\n\r\n".encode() + sent)
            found = b""
            try:
                while part := await reader.read(65_536):
                    found += part
            except ConnectionResetError:
                return found, True
            finally:
                writer.close()
                with contextlib.suppress(ConnectionResetError):
                    await writer.wait_closed()
            return found, False

        return asyncio.run(read())


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with provider() as url:
        yield url


@pytest.fixture
def client(served: str) -> Client:
    found = Client(served)
    found.set()
    return found


def test_answers_as_the_prompt_says(client: Client) -> None:
    first, again = client.chat(), client.chat()
    (choice,) = first.json["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] in {f"The answer is ({each})." for each in "ABC"}
    assert choice == again.json["choices"][0]
    usage = first.json["usage"]
    assert usage["completion_tokens"] == 7
    assert usage["total_tokens"] == usage["prompt_tokens"] + 7
    said = {client.chat(model=f"m{n}").json["choices"][0]["message"]["content"] for n in range(20)}
    assert len(said) == 3


def test_completions_have_their_own_form(client: Client) -> None:
    told = client.ask(TEXT, {"model": "m", "prompt": ASKED, "logprobs": 2}).json
    (choice,) = told["choices"]
    assert choice["text"] == client.chat().json["choices"][0]["message"]["content"]
    assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
    assert [len(each) for each in choice["logprobs"]["top_logprobs"]] == [2] * 7
    assert choice["logprobs"]["text_offset"][:2] == [0, 3]


def test_an_expert_is_right_as_often_as_told(client: Client) -> None:
    client.set(knows={"good": 0.8, "poor": 0.1})

    def right(model: str) -> list[bool]:
        asked = [f"{n}\nA. a\nB. b\nC. c [gold:B]" for n in range(100)]
        bodies = [{"model": model, "messages": [{"role": "user", "content": e}]} for e in asked]
        return [b"(B)" in reply.body for reply in client.together([*bodies], CHAT)]

    good = right("good")
    assert 65 <= sum(good) <= 92
    assert right("good") == good
    assert sum(right("poor")) <= 22


@pytest.mark.parametrize(
    ("told", "text", "finish"),
    [
        ({"max_tokens": 3}, "The answer is", "length"),
        ({"max_completion_tokens": 1}, "The", "length"),
        ({"max_tokens": 7, "stop": " ("}, "The answer is", "stop"),
        ({"stop": ["is", "answer"]}, "The ", "stop"),
    ],
)
def test_stops_where_it_is_told(client: Client, told: Json, text: str, finish: str) -> None:
    (choice,) = client.chat(**told).json["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (text, finish)


def test_draws_vary_only_where_told(client: Client) -> None:
    def drawn(seed: int) -> list[str]:
        choices = client.chat(n=30, seed=seed).json["choices"]
        assert [choice["index"] for choice in choices] == [*range(30)]
        return [choice["message"]["content"] for choice in choices]

    assert len({*drawn(1), *drawn(2)}) == 1
    client.set(varies=0.9)
    assert drawn(1) == drawn(1) != drawn(2)
    assert client.counts()["tokens"]["completion_tokens"] == 3 * 30 * 7


def test_log_probabilities_name_other_options(client: Client) -> None:
    (choice,) = client.chat(logprobs=True, top_logprobs=4).json["choices"]
    places = choice["logprobs"]["content"]
    assert "".join(place["token"] for place in places) == choice["message"]["content"]
    (letter,) = [place for place in places if place["token"] in "ABC"]
    assert {"A", "B", "C"} < {each["token"] for each in letter["top_logprobs"]}
    assert sum(math.exp(each["logprob"]) for each in letter["top_logprobs"]) <= 1
    assert all(len(place["top_logprobs"]) == 4 for place in places)


def test_keeps_to_a_schema(client: Client) -> None:
    properties = {"answer": {"type": "string", "enum": ["A", "B", "C"]}, "sure": {"type": "number"}}
    schema = {"type": "object", "properties": properties, "required": ["answer"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    told = orjson.loads(client.chat(response_format=form).json["choices"][0]["message"]["content"])
    assert told["answer"] in "ABC"
    assert isinstance(told["sure"], int | float)
    chosen = client.chat(structured_outputs={"choice": ["yes", "no"]}).json["choices"][0]
    assert chosen["message"]["content"] in ("yes", "no")


def test_reasons_apart_from_its_answer(client: Client) -> None:
    told = client.chat(model="reasoner").json
    message = told["choices"][0]["message"]
    assert message["reasoning_content"].startswith("Let me think")
    assert message["content"].startswith("The answer is")
    thought = told["usage"]["completion_tokens_details"]["reasoning_tokens"]
    assert told["usage"]["completion_tokens"] == thought + 7
    client.set(reasoning_field="reasoning", cached=0.5)
    other = client.chat(model="reasoner").json
    assert other["choices"][0]["message"]["reasoning"] == message["reasoning_content"]
    usage = other["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == usage["prompt_tokens"] // 2
    cut = client.chat(model="reasoner", max_tokens=thought).json["choices"][0]
    assert (cut["message"]["content"], cut["finish_reason"]) == ("", "length")


def test_a_stream_says_what_a_body_says(client: Client) -> None:
    plain = client.chat(model="reasoner", logprobs=True, n=2).json
    options = {"stream": True, "stream_options": {"include_usage": True}}
    reply = client.chat(model="reasoner", logprobs=True, n=2, **options)
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    *events, last = reply.events
    assert (last["choices"], last["usage"]) == ([], plain["usage"])
    assert all(each["usage"] is None for each in events)
    for place, choice in enumerate(plain["choices"]):
        parts = [each["choices"][0] for each in events]
        own = [part for part in parts if part["index"] == place]
        for name in ("content", "reasoning_content"):
            joined = "".join(part["delta"].get(name, "") for part in own)
            assert joined == choice["message"][name]
        tokens = [entry for part in own for entry in (part["logprobs"] or {}).get("content", ())]
        assert tokens == choice["logprobs"]["content"]
        assert [part["finish_reason"] for part in own if part["finish_reason"]] == ["stop"]


@given(
    n=st.integers(1, 3),
    most=st.none() | st.integers(1, 40),
    words=st.integers(0, 12),
    model=st.sampled_from(["m", "reasoner"]),
    chat=st.booleans(),
)
def test_any_stream_adds_up_to_its_body(
    n: int, most: int | None, words: int, model: str, chat: bool
) -> None:
    asked: Json = {"model": model, "messages": MESSAGES, "prompt": ASKED, "max_tokens": most}
    call = read_call(chat, asked, "")
    said = [Model(varies=0.5, words=words).says(call, place) for place in range(n)]
    usage = usage_of(call, said, 0.5)
    assert most is None or usage["completion_tokens"] <= n * most
    answer = Answer(call, 1, said, usage, "reasoning")
    joined = ["" for _ in range(n)]
    for line in answer.events()[:-1]:
        choice = orjson.loads(line.removeprefix(b"data: "))["choices"][0]
        text = choice["delta"].get("content", "") if chat else choice["text"]
        joined[choice["index"]] += text
    whole = answer.whole()["choices"]
    assert joined == [each["message"]["content"] if chat else each["text"] for each in whole]


def test_a_stream_of_completions(client: Client) -> None:
    reply = client.ask(TEXT, {"model": "m", "prompt": ASKED, "stream": True})
    assert "".join(each["choices"][0]["text"] for each in reply.events).startswith("The answer")


def test_refuses_strangers_and_unknown_models(client: Client) -> None:
    client.set(key="sk-right", models=["one", "two"])
    wrong = client.ask(CHAT, PLAIN, authorization="Bearer sk-wrong")
    assert (wrong.status, wrong.json["error"]["code"]) == (401, "invalid_api_key")
    assert "sk-wrong" in wrong.json["error"]["message"]
    unknown = client.ask(CHAT, PLAIN, authorization="Bearer sk-right")
    assert (unknown.status, unknown.json["error"]["code"]) == (404, "model_not_found")
    known = client.ask(CHAT, PLAIN | {"model": "two"}, authorization="Bearer sk-right")
    assert known.status == 200
    assert [each["id"] for each in client.ask("/v1/models").json["data"]] == ["one", "two"]
    assert client.ask(CHAT, {"nonsense": 1}, authorization="Bearer sk-right").status == 400
    assert client.counts()["statuses"] == {"200": 1, "400": 1, "401": 1, "404": 1}


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ("limited", 429, "requests"),
        ("limited_seconds", 429, "requests"),
        ("limited_date", 429, "requests"),
        ("quota", 429, "insufficient_quota"),
        ("error_500", 500, "server_error"),
        ("error_503", 503, "server_error"),
        ("error_event", 200, "server_error"),
    ],
)
def test_faults_that_are_said(client: Client, fault: str, status: int, kind: str) -> None:
    client.set(faults={fault: 1.0}, retry_after=2)
    reply = client.chat()
    assert (reply.status, reply.json["error"]["type"]) == (status, kind)
    wait = reply.headers.get("retry-after")
    if fault == "limited_date":
        assert wait is not None
        assert parsedate_to_datetime(wait).tzinfo is not None
    else:
        assert wait == ("2" if fault == "limited_seconds" else None)
    counts = client.counts()
    assert (counts["paid"], counts["faults"]) == (0, {fault: 1})


def test_faults_of_a_body(client: Client) -> None:
    client.set(faults={"malformed": 1.0})
    with pytest.raises(orjson.JSONDecodeError):
        assert client.chat().json
    client.set(faults={"no_choices": 1.0})
    assert client.chat().json["choices"] == []
    client.set(faults={"html": 1.0})
    reply = client.chat()
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html")
    assert client.counts()["paid"] == 0


@pytest.mark.parametrize("fault", ["half_body", "half_stream", "reset"])
@pytest.mark.parametrize("stream", [False, True])
def test_faults_of_a_connection(client: Client, fault: str, stream: bool) -> None:
    client.set(faults={fault: 1.0})
    found, reset = client.raw(PLAIN | {"stream": stream})
    if fault == "reset":
        assert (found, reset) == (b"", True)
    else:
        head, body = found.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200")
        assert body
        assert not body.endswith(b"0\r\n\r\n")
        if not stream:
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            assert 0 < len(body) < length
    with pytest.raises(aiohttp.ClientError):
        client.chat(stream=stream)
    counts = client.counts()
    assert (counts["paid"], counts["in_flight"]) == (0, 0)


def test_faults_of_a_stream(client: Client) -> None:
    client.set(faults={"malformed": 1.0})
    with pytest.raises(orjson.JSONDecodeError):
        assert client.chat(stream=True).events
    client.set(faults={"no_choices": 1.0})
    assert [each["choices"] for each in client.chat(stream=True).events] == [[]]
    client.set(faults={"error_event": 1.0})
    body = client.chat(stream=True).body
    assert b"[DONE]" not in body
    assert "error" in orjson.loads(body.split(b"\n\n")[-2].removeprefix(b"data: "))


@pytest.mark.parametrize("stream", [False, True])
def test_a_trickle_is_whole_in_the_end(client: Client, stream: bool) -> None:
    whole = client.chat(stream=stream).body
    client.set(faults={"trickle": 1.0}, trickle=0.05)
    slow = client.chat(stream=stream).body
    assert len(slow) == len(whole)
    assert client.counts()["paid"] == 1


def test_faults_are_drawn_by_prompt_and_attempt(client: Client) -> None:
    rates = dict.fromkeys(("limited", "error_500", "html", "no_choices"), 0.1)
    bodies: list[Json | None] = [
        PLAIN | {"messages": [{"role": "user", "content": str(n)}]} for n in range(60)
    ]
    client.set(faults=rates)
    statuses = [reply.status for reply in client.together(bodies, CHAT)]
    counts = client.counts()
    assert counts["faults"].keys() == rates.keys()
    assert counts["paid"] + sum(counts["faults"].values()) == 60
    client.set(faults=rates)
    turned = client.together(bodies[::-1], CHAT)
    assert [reply.status for reply in turned][::-1] == statuses
    second = [reply.status for reply in client.together(bodies, CHAT)]
    assert second != statuses
    client.set(faults=rates, faults_by="number")
    one_by_one = [client.chat().status for _ in range(20)]
    client.set(faults=rates, faults_by="number")
    assert [client.chat(seed=n).status for n in range(20)] == one_by_one


def test_limits_requests_in_any_window(client: Client) -> None:
    client.set(rpm=5)
    replies = client.together([PLAIN] * 8, CHAT)
    assert sorted(reply.status for reply in replies) == [200] * 5 + [429] * 3
    waits = {reply.headers.get("retry-after") for reply in replies if reply.status == 429}
    assert waits <= {"59", "60"}
    counts = client.counts("?arrivals=1")
    assert counts["most_in_window"] == len(counts["arrivals"]) == 8
    assert client.counts("?window=0.000000001")["most_in_window"] == 1


@given(st.lists(st.integers(0, 60), max_size=30).map(sorted), st.integers(1, 30))
def test_the_fullest_window_is_found(arrivals: list[int], window: int) -> None:
    counted = [sum(last - window < at <= last for at in arrivals) for last in arrivals]
    assert most_in(array("d", arrivals), window) == max(counted, default=0)


def test_counts_what_was_answered(client: Client) -> None:
    client.set(latency=[0.01, 0.02])
    client.together([PLAIN, PLAIN, PLAIN | {"seed": 7}, PLAIN | {"user": "2"}], CHAT)
    client.ask(CHAT, PLAIN, x_sample="2")
    counts = client.counts()
    assert counts["answered"] == {
        digest("m", MESSAGES): 2,
        digest("m", MESSAGES, seed=7): 1,
        digest("m", MESSAGES, marker="2"): 2,
    }
    assert (counts["received"], counts["paid"], counts["most_in_flight"]) == (5, 5, 4)
    assert counts["tokens"]["completion_tokens"] == 35


def test_nobody_pays_for_what_nobody_waited_for(client: Client) -> None:
    client.set(latency=0.05)

    async def leave() -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(0.02)) as session:
            with contextlib.suppress(TimeoutError):
                await session.post(client.url + CHAT, json=PLAIN)

    asyncio.run(leave())
    client.chat(seed=1)  # comes back after the one that was left
    counts = client.counts()
    assert (counts["received"], counts["abandoned"], counts["paid"]) == (2, 1, 1)


@pytest.mark.parametrize("told", [{"colour": 1}, {"faults": {"fire": 1.0}}, {"faults_by": "mood"}])
def test_says_what_it_cannot_be_told(client: Client, told: Json) -> None:
    reply = client.ask("/control", told)
    assert reply.status == 400
    assert client.chat().status == 200


def test_a_provider_ends_with_its_context() -> None:
    with provider(key="sk-x", latency=0.0, models=["m"]) as url:
        assert Client(url).chat().status == 401
    with pytest.raises(aiohttp.ClientConnectionError):
        Client(url).chat()
