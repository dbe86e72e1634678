"""The client of OpenAI-compatible servers: real connections, to a provider that misbehaves on
demand, and to a server of this file that sends exactly the bytes it is told.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.request import Request as Asking
from urllib.request import urlopen

import aiohttp
import orjson
import pytest

from benchmarks.provider import FAULTS, provider
from orchestra.answers import read
from orchestra.errors import InputError
from orchestra.records import Absence, Generation, Message, Question, Request, Sampling, Usage
from orchestra.roster import Calls, Expert, Price
from orchestra.workers.hosted.openai import OpenAICaller, Sessions, _proxy
from orchestra.workers.hosted.wire import Dialect
from orchestra.workers.secrets import Secret

KEY = "sk-planted-5f0c2a97d1e84b36"
ASKED = "Which letter comes first?\nA) a\nB) b\nC) c"
STREAM = Calls(stream=True)


def request(sample: int = 0, **sampling: Any) -> Request:
    drawn = Sampling(**{"max_tokens": 64, **sampling})
    messages = (Message("system", "Be brief."), Message("user", ASKED))
    return Request(f"k{sample}", "q", "e", "generate", messages, drawn, sample=sample)


def caller(
    url: str, session: aiohttp.ClientSession, *, secret: str = KEY, model: str = "m", **fields: Any
) -> OpenAICaller:
    expert = Expert("e", model, worker="openai", base_url=f"{url}/v1", **fields)
    key = Secret(secret) if secret else None
    return OpenAICaller(expert, session, dialect=Dialect.of(expert), secret=key)


def ask(url: str, requests: Sequence[Request] = (), **fields: Any) -> list[Generation]:
    """One call, in a loop of its own."""

    async def once() -> list[Generation]:
        async with Sessions().session() as session:
            return await caller(url, session, **fields).call(requests or [request()])

    return asyncio.run(once())


# A provider, shared by the tests of this file


@pytest.fixture(scope="module")
def shared() -> Iterator[str]:
    with provider() as url:
        yield url


DEFAULTS: dict[str, Any] = {
    **{"models": [], "key": "", "faults": {}, "latency": 0.0, "pause": 0.0, "trickle": 1.0},
    **{"varies": 0.0, "words": 0, "cached": 0.0, "reasoning_field": "reasoning_content"},
}


def control(url: str, **told: Any) -> dict[str, Any]:
    posted = Asking(f"{url}/control", data=json.dumps(told).encode())
    with urlopen(posted) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


Serving = Callable[..., str]


@pytest.fixture
def serving(shared: str) -> Serving:
    """The provider's address, once it has those settings."""

    def serve(**settings: Any) -> str:
        control(shared, reset=True, **DEFAULTS | settings)
        return shared

    return serve


# A server that sends what it is told


def http(
    body: bytes | str | object, status: int = 200, *, cut: bool = False, **headers: str
) -> bytes:
    """A response; `cut` promises more than it holds."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    told = {"content_type": "application/json", "content_length": str(len(raw) + 9 * cut)}
    lines = [f"{name.replace('_', '-')}: {each}" for name, each in (told | headers).items() if each]
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode() + raw


def events(*bodies: bytes, done: bool = True, whole: bool = True) -> bytes:
    """A response that streams; `whole` ends it."""
    sent = b"".join(b"data: " + each + b"\n\n" for each in bodies) + b"data: [DONE]\n\n" * done
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    return head + b"%x\r\n%s\r\n" % (len(sent), sent) + b"0\r\n\r\n" * whole


def reply(text: str = "B", **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 5, "completion_tokens": 7}
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": usage, **more}


GOOD = http(reply())


@dataclass
class FailureLog:
    """What a server was sent."""

    url: str = ""
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0


@asynccontextmanager
async def server(*replies: bytes, then: str = "") -> AsyncIterator[FailureLog]:
    """Sends the replies one after the other, the last for ever; and `then`: `close`s, `reset`s or
    `hold`s the connection, or ends what is chunked `late`.
    """
    heard, over = FailureLog(), asyncio.Event()
    waiting = list(replies)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.connections += 1
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                heard.heads.append(head)
                length = head.lower().partition("content-length: ")[2].split("\r")[0]
                heard.bodies.append(await reader.readexactly(int(length or 0)))
                writer.write(waiting.pop(0) if len(waiting) > 1 else waiting[0])
                await writer.drain()
                if then == "late":
                    await asyncio.sleep(0.01)
                    writer.write(b"0\r\n\r\n")
                    continue
                if then == "hold":
                    await over.wait()
                if then:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if then == "reset":
                writer.transport.abort()
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    heard.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield heard
    finally:
        over.set()
        listening.close()
        await asyncio.sleep(0)


def told(
    *replies: bytes, requests: Sequence[Request] = (), then: str = "", **fields: Any
) -> tuple[list[Generation], FailureLog]:
    """What a call makes of a reply."""

    async def once() -> tuple[list[Generation], FailureLog]:
        async with server(*replies, then=then) as heard, Sessions().session() as session:
            asked = caller(heard.url, session, **fields)
            return await asked.call(requests or [request()]), heard

    return asyncio.run(once())


def failure_of(found: Sequence[Generation]) -> tuple[str, bool]:
    """Kind and retryability, the same of all."""
    (one,) = {(each.failure.kind, each.failure.retryable) for each in found if each.failure}
    assert all((each.text, each.finish_reason) == ("", "error") for each in found)
    return one


# What is sent


def test_what_a_server_hears() -> None:
    _, heard = told(GOOD)
    first, *lines = heard.heads[0].split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    assert first == "POST /v1/chat/completions HTTP/1.1"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert "Cookie" not in headers
    body = orjson.loads(heard.bodies[0])
    assert body["messages"][1] == {"role": "user", "content": ASKED}
    assert KEY.encode() not in heard.bodies[0]


def test_without_a_key_none_is_sent() -> None:
    _, heard = told(GOOD, secret="", engine={"api": "completions"}, adapter="law")
    assert heard.heads[0].startswith("POST /v1/completions ")
    assert "authorization" not in heard.heads[0].lower()
    assert orjson.loads(heard.bodies[0])["model"] == "law"


# The provider: chat and completions, whole and streamed


def without_time(found: Sequence[Generation]) -> list[Generation]:
    return [replace(each, usage=replace(each.usage, seconds=0.0)) for each in found]


DRAWS = [request(sample, temperature=1.0) for sample in range(3)]


@pytest.mark.parametrize("api", ["chat", "completions"])
@pytest.mark.parametrize(
    ("requests", "fields"),
    [
        ([request()], {}),
        ([request(max_tokens=3)], {"price": Price(2.0, 5.0)}),
        ([request(2, seed=11, temperature=0.7, top_p=0.9, stop=("(",))], {}),
        ([request(logprobs=2)], {}),
        ([request(choices=("A", "B"))], {}),
        ([request(choices=("A", "B"))], {"engine": {"structured": "guided_choice"}}),
        ([request(choices=("A", "B"))], {"engine": {"structured": "structured_outputs"}}),
        ([request()], {"model": "reasoner"}),
        (DRAWS, {"price": Price(2.0, 5.0)}),
    ],
    ids=["plain", "cut", "seed", "logprobs", "schema", "guided", "outputs", "reasons", "draws"],
)
def test_streamed_is_the_same_as_whole(
    serving: Serving, requests: list[Request], fields: dict[str, Any], api: str
) -> None:
    url = serving(words=4, varies=0.5, cached=0.5, reasoning_field="reasoning")
    fields = {**fields, "engine": {"api": api, **fields.get("engine", {})}}
    whole = ask(url, requests, **fields)
    streamed = ask(url, requests, calls=STREAM, **fields)
    assert [each.failure for each in whole] == [None] * len(requests)
    assert without_time(streamed) == without_time(whole)
    first = whole[0]
    assert first.usage.calls == 1
    assert first.usage.seconds > 0
    assert not first.usage.estimated
    assert (first.usage.money > 0) == ("price" in fields)
    assert (first.reasoning != "") == (fields.get("model") == "reasoner" and api == "chat")
    assert (first.finish_reason == "length") == (requests[0].sampling.max_tokens == 3)
    if requests[0].sampling.logprobs:
        assert first.logprobs is not None
        assert len(first.logprobs) == first.usage.output_tokens
    if requests[0].sampling.choices:
        assert first.text in ("A", "B")
    counted = control(url)["tokens"]
    total = sum((each.usage for each in whole + streamed), Usage())
    assert counted["prompt_tokens"] == total.input_tokens
    assert counted["completion_tokens"] == total.output_tokens


def test_each_draw_has_its_seed(serving: Serving) -> None:
    url = serving()
    for sample in range(3):
        ask(url, [request(sample, seed=7)])
    assert len(control(url)["answered"]) == 3


# Faults of the provider

BUSY = ("server_error", True)
LIMITED = ("rate_limited", True)
ODD = ("malformed", True)
BROKEN = ("connection", True)
MEANING = {
    "limited": LIMITED,
    "limited_seconds": LIMITED,
    "limited_date": LIMITED,
    "quota": ("out_of_credit", False),
    "error_500": BUSY,
    "error_503": BUSY,
    "reset": BROKEN,
    "html": ODD,
    "half_body": BROKEN,
    "half_stream": BROKEN,
    "malformed": ODD,
    "no_choices": ODD,
    "error_event": BUSY,
}


@pytest.mark.parametrize("calls", [Calls(), STREAM], ids=["whole", "streamed"])
@pytest.mark.parametrize("fault", [each for each in FAULTS if each != "trickle"])
def test_what_a_fault_is(serving: Serving, fault: str, calls: Calls) -> None:
    url = serving(faults={fault: 1.0}, retry_after=2.0)
    found = ask(url, DRAWS, calls=calls)
    assert failure_of(found) == MEANING[fault]
    assert [each.key for each in found] == ["k0", "k1", "k2"]
    assert [each.usage.calls for each in found] == [1, 0, 0]
    # What may have been charged is an estimate of nothing.
    assert found[0].usage.estimated == (MEANING[fault] == BROKEN or fault in ("html", "malformed"))
    wait = found[0].failure.retry_after if found[0].failure else None
    if fault == "limited_date":
        assert wait is not None
        assert 0 < wait <= 3
    else:
        assert wait == (2.0 if fault == "limited_seconds" else None)
    assert control(url)["received"] == 1


@pytest.mark.parametrize("calls", [Calls(), STREAM], ids=["whole", "streamed"])
def test_a_trickle_is_no_failure(serving: Serving, calls: Calls) -> None:
    (found,) = ask(serving(faults={"trickle": 1.0}, trickle=0.05), calls=calls)
    assert found.failure is None
    assert found.text


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({"latency": 30}, Calls(timeout=0.1)),
        ({"latency": 30}, Calls(timeout=0.1, stream=True)),
        ({"latency": 30}, Calls(silence=0.1, stream=True)),
        ({"pause": 30}, Calls(silence=0.1, stream=True)),
        ({"pause": 0.04, "words": 99}, Calls(timeout=0.1, stream=True)),
        ({"faults": {"trickle": 1.0}, "trickle": 30}, Calls(timeout=0.1)),
    ],
)
def test_time_limits(serving: Serving, settings: dict[str, Any], calls: Calls) -> None:
    found = ask(serving(**settings), calls=calls)
    assert failure_of(found) == ("timeout", True)
    assert found[0].usage.estimated


def test_a_stream_may_last_as_long_as_it_is_not_silent(serving: Serving) -> None:
    calls = Calls(silence=0.1, stream=True)
    (found,) = ask(serving(pause=0.012, words=0), calls=calls)
    assert found.failure is None


@pytest.mark.parametrize(
    ("settings", "kind", "said"),
    [
        ({"key": "sk-another-key"}, "unauthorised", "401: Incorrect API key provided: [hidden]."),
        ({"models": ["other"]}, "not_found", "404: The model `m` does not exist"),
    ],
)
def test_what_no_retry_mends(
    serving: Serving, settings: dict[str, Any], kind: str, said: str
) -> None:
    found = ask(serving(**settings))
    assert failure_of(found) == (kind, False)
    assert found[0].failure is not None
    assert found[0].failure.detail.startswith(said)
    assert KEY not in f"{found}"


def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # not listening
        found = ask(f"http://127.0.0.1:{held.getsockname()[1]}")
    assert failure_of(found) == ("unreachable", True)
    assert not found[0].usage.estimated


# Replies of other servers


@pytest.mark.parametrize(
    "raw",
    [
        GOOD,
        http(reply(), 201),
        http(reply(), content_type="text/plain"),
        http(reply(), content_type=""),
        http(reply(error=None)),
        http(b"\xef\xbb\xbf" + orjson.dumps(reply())),
        http(b"\n\n  " + orjson.dumps(reply())),  # kept open with blanks
        http(orjson.dumps(reply())[:-1] + b', "x": [NaN, -Infinity]}'),
        http(orjson.dumps(reply())[:-1] + b', "x": "\xff \\ud800"}'),
    ],
)
@pytest.mark.parametrize("calls", [Calls(), STREAM], ids=["whole", "streamed"])
def test_a_reply_is_a_reply(raw: bytes, calls: Calls) -> None:
    ((found,), _) = told(raw, calls=calls)
    assert (found.text, found.finish_reason, found.failure) == ("B", "stop", None)
    assert (found.usage.input_tokens, found.usage.output_tokens) == (5, 7)


HI = b'{"choices":[{"index":0,"delta":{"content":"B"},"finish_reason":"stop"}]}'
BEGUN = b'{"choices":[{"index":0,"delta":{"content":"B"}}]}'


@pytest.mark.parametrize(
    ("raw", "then", "calls"),
    [
        (events(HI), "", STREAM),
        (events(HI), "", Calls()),  # nobody asked for a stream
        (events(HI, done=False), "", STREAM),
        (events(HI, whole=False), "close", STREAM),  # broke off after all was said
        (events(HI, whole=False), "reset", STREAM),
        (events(HI, done=False, whole=False), "close", STREAM),
        (events(HI, whole=False), "hold", Calls(stream=True, silence=0.1)),
        (events(HI, done=False, whole=False), "hold", Calls(stream=True, silence=0.1)),
        (http(b"data: " + HI + b"\n\ndata: [DONE]", content_type="text/plain"), "", STREAM),
        (http(b": wait\n\ndata: " + HI + b"\n\n", content_type=""), "", STREAM),
    ],
)
def test_a_stream_that_says_all(raw: bytes, then: str, calls: Calls) -> None:
    ((found,), _) = told(raw, then=then, calls=calls)
    assert (found.text, found.failure) == ("B", None)
    assert found.usage.estimated


@pytest.mark.parametrize(
    ("raw", "then", "meaning"),
    [
        (events(BEGUN, done=False), "", BROKEN),
        (events(BEGUN, done=False, whole=False), "close", BROKEN),
        (events(BEGUN, done=False, whole=False), "reset", BROKEN),
        (events(BEGUN, done=False, whole=False), "hold", ("timeout", True)),
        (events(done=False), "", BROKEN),
        (events(), "", ODD),
        (events(b"{half", done=False), "", ODD),
        (events(b'{"error": {"code": 400}}'), "", ("bad_request", False)),
        (events(BEGUN, b'{"error": {"message": "x"}}', done=False), "", BUSY),
        (http(b"data: {half\n"), "", ODD),
        (http(b"data: " + BEGUN), "", BROKEN),
        (http(b""), "", ODD),
        (http(b"", 204), "", ODD),
        (http(b"{}", cut=True), "close", BROKEN),
        (b"", "close", BROKEN),
        (b"SSH-2.0-OpenSSH\r\n", "close", BROKEN),
        (http(b"\x1f\x8bnot gzip", content_encoding="gzip"), "", BROKEN),
        # Errors whose body does not come: the status says enough
        (http(b"{}", 401, cut=True), "close", ("unauthorised", False)),
        (http(b"{}", 503, cut=True), "reset", BUSY),
        (http({"error": {"message": "busy"}}), "", BUSY),
        (http({"object": "error", "message": "long", "code": 400}), "", ("bad_request", False)),
    ],
)
def test_a_stream_that_does_not(raw: bytes, then: str, meaning: tuple[str, bool]) -> None:
    found, _ = told(raw, then=then, calls=Calls(stream=True, silence=0.1))
    assert failure_of(found) == meaning


def test_a_server_that_takes_no_n() -> None:
    (first, *rest), _ = told(GOOD, requests=DRAWS)
    assert first.failure is None
    assert failure_of(rest) == ("too_few", True)


FILTERED = {"error": {"code": "content_filter", "message": "no", "param": "prompt"}}
FLAGGED = {"error": {"code": 403, "message": "no", "metadata": {"flagged_input": "x"}}}


@pytest.mark.parametrize(
    "raw",
    [
        http({"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}] * 3}),
        http(FILTERED, 400),
        http(FLAGGED, 403),
    ],
)
def test_what_a_filter_withholds_is_an_answer_of_its_own(raw: bytes) -> None:
    found, _ = told(raw, requests=DRAWS)
    question = Question("q", "Which?", ("a", "b"))
    assert [each.failure for each in found] == [None] * 3
    assert [read(question, each).absence for each in found] == [Absence.REFUSED] * 3
    assert sum(each.usage.calls for each in found) == 1


# Keys


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    async def once() -> tuple[list[Generation], FailureLog, FailureLog]:
        async with server(GOOD) as there:
            moved = http(b"", status, Location=f"{there.url}/v1/chat/completions?key={KEY}")
            async with server(moved) as here, Sessions().session() as session:
                return await caller(here.url, session).call([request()]), here, there

    found, here, there = asyncio.run(once())
    assert failure_of(found) == ("bad_request", False)
    assert "elsewhere: http://127.0.0.1:" in f"{found}"
    assert (len(here.heads), there.connections) == (1, 0)
    assert KEY not in f"{found}"


@pytest.mark.parametrize("calls", [Calls(), STREAM], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "raw",
    [
        http({"error": {"message": f"no such key: {KEY}"}}, 401),
        http({"error": f"{KEY} {KEY}"}, 500),
        http({"detail": [{"input": KEY}]}, 422),
        http(f"<p>{KEY}</p>".encode(), 502),
        http(f"{KEY} is no JSON".encode()),
        http({"error": {"message": f"{KEY}"}}),
        http({"choices": [{"error": {"message": KEY}}]}),
        http({"choices": [{"error": {"message": "x" * 265 + KEY}}]}),
        http({"error": "x" * 285 + KEY}, 500),
        http({"error": "x" * 295 + KEY}, 500),
        http(b"x" * 50 + KEY.encode()),
        events(orjson.dumps({"error": {"message": f"no: {KEY}"}})),
        events(b'{"error": "' + KEY.encode()),
        http(b"data: {" + KEY.encode() + b"\n"),
        f"HTTP/1.1 {KEY} {KEY}\r\n\r\n".encode(),
    ],
)
def test_a_key_that_the_server_repeats_is_hidden(raw: bytes, calls: Calls) -> None:
    found, _ = told(raw, calls=calls)
    assert found[0].failure is not None
    assert KEY[:4] not in f"{found}"


def test_a_caller_does_not_show_its_key() -> None:
    async def shown() -> str:
        async with Sessions().session() as session:
            return repr(caller("http://127.0.0.1:9", session))

    assert KEY not in asyncio.run(shown())


# Proxies


def test_a_proxy_of_the_environment_is_used_but_not_for_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def once() -> tuple[FailureLog, FailureLog, list[Generation]]:
        async with server(GOOD) as here, server(GOOD) as proxy, Sessions().session() as session:
            monkeypatch.setenv("http_proxy", proxy.url)
            near = await caller(here.url, session).call([request()])
            far = await caller("http://model.invalid:81", session).call([request()])
            monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
            far += await caller("http://model.invalid:81", session).call([request()])
            return here, proxy, near + far

    here, proxy, found = asyncio.run(once())
    assert [each.failure for each in found] == [None] * 3
    assert len(here.heads) == 1
    assert [head.split()[1] for head in proxy.heads] == [
        "http://model.invalid:81/v1/chat/completions"
    ] * 2


@pytest.mark.parametrize(
    ("url", "environ", "proxied"),
    [
        ("http://far.invalid", {"http_proxy": "http://127.0.0.1:9"}, True),
        ("http://far.invalid", {"all_proxy": "http://127.0.0.1:9"}, True),
        ("http://far.invalid", {"https_proxy": "http://127.0.0.1:9"}, False),
        ("http://far.invalid", {"http_proxy": "http://127.0.0.1:9", "no_proxy": "invalid"}, False),
        ("http://far.invalid:8", {"http_proxy": "http://x:9", "no_proxy": "far.invalid:8"}, False),
        ("http://localhost:9", {"http_proxy": "http://127.0.0.1:9"}, False),
        ("http://127.9.9.9:9", {"all_proxy": "http://127.0.0.1:9"}, False),
        ("http://[::1]:9", {"http_proxy": "http://127.0.0.1:9"}, False),
    ],
)
def test_which_proxy(
    url: str, environ: dict[str, str], proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert _proxy(f"{url}/v1", place="") == ("http://127.0.0.1:9" if proxied else None)


def test_a_proxy_that_is_not_spoken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", "socks5://user:planted@127.0.0.1:9")
    with pytest.raises(InputError, match="expert `e`.*'socks5'") as caught:
        ask("http://far.invalid")
    assert "planted" not in f"{caught.value} {caught.value!r}"


# Sessions and connections


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Warnings are errors: what is left open says so when it is collected."""
    yield
    gc.collect()


def test_a_session_is_shared_and_closed_by_the_last() -> None:
    async def use() -> None:
        sessions = Sessions()
        async with sessions.session() as first:
            async with sessions.session() as second:
                assert second is first
            assert not first.closed
            async with Sessions().session() as other:
                assert other is not first
        assert first.closed
        async with sessions.session() as anew:
            assert anew is not first
        assert anew.closed

    with nothing_left_open():
        asyncio.run(use())


def test_a_session_is_closed_though_its_user_fails() -> None:
    async def use() -> None:
        sessions = Sessions()
        with pytest.raises(KeyError):
            async with sessions.session() as session:
                raise KeyError("bug")
        assert session.closed

    with nothing_left_open():
        asyncio.run(use())


def test_every_loop_has_its_session(serving: Serving) -> None:
    url, sessions = serving(), Sessions()
    seen: list[aiohttp.ClientSession] = []

    async def use() -> None:
        async with sessions.session() as session:
            seen.append(session)
            found = await asyncio.gather(*(caller(url, session).call([request()]) for _ in "abc"))
        assert [each.failure for (each,) in found] == [None] * 3

    with nothing_left_open():
        for _ in range(3):
            asyncio.run(use())
    assert len({id(each) for each in seen}) == 3
    assert all(each.closed for each in seen)


async def in_turn(call: Callable[[], Awaitable[list[Generation]]], times: int) -> list[Generation]:
    return [each for _ in range(times) for each in await call()]


@pytest.mark.parametrize(
    ("replies", "calls", "connections"),
    [
        ([GOOD], Calls(), 1),
        ([events(HI)], STREAM, 1),
        # A server that ends its answer later than it says that it is done
        ([http(reply(), 429), GOOD], Calls(), 1),
        ([http({"error": "x"}, 500), GOOD], STREAM, 1),
        ([http(b"", 307), GOOD], Calls(), 1),
        ([http(b"no json"), GOOD], Calls(), 1),
        ([http(reply(), connection="close"), GOOD], Calls(), 1),
    ],
)
def test_connections_are_used_again(replies: list[bytes], calls: Calls, connections: int) -> None:
    async def use() -> FailureLog:
        async with server(*replies) as heard, Sessions().session() as session:
            ours = caller(heard.url, session, calls=calls)
            await in_turn(lambda: ours.call([request()]), 5)
            again = caller(heard.url, session, calls=calls, model="another")
            await again.call([request()])
        return heard

    heard = asyncio.run(use())
    assert len(heard.heads) == 6
    closes = b"connection: close" in replies[0]
    assert heard.connections == connections + closes


def test_a_stream_that_ends_later_than_it_says_leaves_its_connection() -> None:
    async def use() -> FailureLog:
        async with server(events(HI, whole=False), then="late") as heard:
            async with Sessions().session() as session:
                ours = caller(heard.url, session, calls=STREAM)
                found = await in_turn(lambda: ours.call([request()]), 3)
                assert [each.text for each in found] == ["B"] * 3
            return heard

    assert asyncio.run(use()).connections == 1


def test_nobody_waits_for_a_stream_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestra.workers.hosted.openai._LINGER", 0.01)
    calls = Calls(stream=True, timeout=5.0)
    ((found,), _) = told(events(HI, whole=False), then="hold", calls=calls)
    assert (found.text, found.failure) == ("B", None)
    assert found.usage.seconds < 5.0


def test_a_call_that_is_cancelled_leaves_nothing_open(serving: Serving) -> None:
    url = serving(latency=30)

    async def use() -> None:
        async with Sessions().session() as session:
            task = asyncio.ensure_future(caller(url, session).call([request()]))
            while not (await asyncio.to_thread(control, url))["in_flight"]:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with nothing_left_open():
        asyncio.run(use())
