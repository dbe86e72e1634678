"""A loopback provider: answers as OpenAI's API does, and misbehaves as providers do.

Knows the wire, what it was told to answer and which faults to make; does not know orchestra, so
that its counts are a second opinion. Run `python benchmarks/provider.py --port 0 [--NAME VALUE]`
(it prints {"port": N} when it is ready), or in a program `with provider(latency=0.02) as url:`.
GET /control tells the counts (?arrivals=1: the times too; ?window=S: another window); POST
/control sets some `Settings`, and {"reset": true} counts anew.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from argparse import ArgumentParser
from array import array
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import orjson
import uvicorn

if not __package__:  # run as a file: the house is next door
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.replies import Answer, Call, Json, Model, chance, digest, event, read_call, usage_of

__all__ = ["FAULTS", "Settings", "digest", "provider"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HTML = b"<html><body><h1>Bad gateway</h1></body></html>"


def mistake(message: str, kind: str, code: str | None = None) -> Json:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


BROKEN = mistake("The server had an error while processing your request.", "server_error")
OVERLOADED = mistake("The server is overloaded.", "server_error")
LIMITED = mistake("Rate limit reached for requests", "requests", "rate_limit_exceeded")
SPENT = mistake("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")

# Faults that come instead of an answer.
REFUSALS: dict[str, tuple[int, Json]] = {
    "limited": (429, LIMITED),
    "limited_seconds": (429, LIMITED),  # `Retry-After: 1`
    "limited_date": (429, LIMITED),  # `Retry-After: Fri, 31 Dec ...`
    "quota": (429, SPENT),
    "error_500": (500, BROKEN),
    "error_503": (503, OVERLOADED),
    "reset": (0, {}),  # before the first byte
    "html": (200, {}),  # a page where JSON was due
}
# Faults of an answer. A plain request answers `half_stream` with half a body and `error_event`
# with status 200 and an error; a stream that is to have half a body is a half stream.
SPOILT = ("half_body", "half_stream", "malformed", "no_choices", "trickle", "error_event")
FAULTS = (*REFUSALS, *SPOILT)


@dataclass(frozen=True)
class Settings:
    """What it serves and how badly; all may be set at start and through /control."""

    models: list[str] = field(default_factory=list)
    """The models it has; empty: any name is one."""
    key: str = ""
    """The API key it demands; empty: none."""
    knows: float | dict[str, float] | None = None
    """Chance (of each model) to say the X of a `[gold:X]` in the prompt; None: not looked for."""
    varies: float = 0.0
    """Chance that a draw (by its `seed` and place among the `n`) is not what the prompt gives."""
    words: int = 0
    """How many words come before the answer."""
    reasoning_field: str = "reasoning_content"
    """Where the reasoning of a model goes whose name has `reason` in it."""
    cached: float = 0.0
    """Share of the prompt tokens that are reported as cached."""
    latency: float | list[float] = 0.0
    """Seconds before an answer, or [least, most]."""
    pause: float = 0.0
    """Seconds between the events of a stream."""
    faults: dict[str, float] = field(default_factory=dict)
    """Chance of each of `FAULTS`."""
    fault_seed: int = 0
    """What the faults are drawn from."""
    faults_by: str = "attempt"
    """`attempt`: drawn by prompt and how often it was asked; `number`: by the request's number."""
    retry_after: float = 1.0
    """Seconds that `limited_seconds` and `limited_date` ask to wait."""
    trickle: float = 1.0
    """Seconds that a trickle lasts before the rest comes at once."""
    rpm: int = 0
    """Most requests that it admits in any `window`; 0: all."""
    window: float = 60.0
    """Seconds of the window of `rpm` and of the count of the most requests in one."""

    def changed(self, told: Mapping[str, Any]) -> Settings:
        """The same with some changed.

        Raises:
            ValueError: there is no such setting, or no such fault.
        """
        unknown = {*told} - {each.name for each in fields(self)}
        unknown |= {*told.get("faults", ())} - {*FAULTS}
        if unknown or told.get("faults_by", "attempt") not in ("attempt", "number"):
            raise ValueError(f"not known: {sorted(unknown) or told['faults_by']}")
        return replace(self, **told)


class Wire:
    """One response as it goes out."""

    def __init__(self, send: Send, statuses: Counter[int]) -> None:
        self.send = send
        self.statuses = statuses

    @property
    def gone(self) -> bool:
        """Whether the client has closed the connection."""
        return bool(self.send.__self__.disconnected)  # type: ignore[attr-defined]

    async def start(self, status: int, *, length: int | None = None, **headers: str) -> None:
        """Status and headers; without a length the body is chunked."""
        self.statuses[status] += 1
        told = {"content_type": "application/json", **headers}
        if length is not None:
            told["content_length"] = str(length)
        pairs = [(name.replace("_", "-").encode(), each.encode()) for name, each in told.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})

    async def part(self, body: bytes, *, more: bool = True) -> None:
        """Some of the body."""
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    async def whole(self, status: int, body: bytes, **headers: str) -> None:
        """A response."""
        await self.start(status, length=len(body), **headers)
        await self.part(body, more=False)

    async def json(self, status: int, told: Any, **headers: str) -> None:
        """A response of JSON."""
        await self.whole(status, orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS), **headers)

    async def cut(self, *, reset: bool = False) -> None:
        """Close the connection under the response; with a reset, what was sent is lost too."""
        transport = self.send.__self__.transport  # type: ignore[attr-defined]
        if reset:
            linger = struct.pack("ii", 1, 0)
            own = transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
        while not self.gone:  # uvicorn hears of it in the next turn of the loop
            await asyncio.sleep(0)


class Provider:
    """The application, and all that it remembers."""

    def __init__(self, settings: Settings) -> None:
        self.in_flight = 0
        self.settings = settings
        self.model = Model(settings.knows, settings.varies, settings.words)
        self.forget()

    def forget(self) -> None:
        """Count from nothing."""
        self.arrivals = array("d")
        self.admitted: deque[float] = deque()
        self.statuses: Counter[int] = Counter()
        self.faults: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        self.most_in_flight = self.abandoned = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire, path = Wire(send, self.statuses), scope["path"]
        if path in ("/v1/chat/completions", "/v1/completions") and scope["method"] == "POST":
            self.arrivals.append(time.monotonic())
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            try:
                await self.complete(scope, await whole(receive), wire)
            finally:
                self.in_flight -= 1
            return
        wire.statuses = Counter()  # only requests for text are counted
        if path == "/control":
            await self.control(scope, await whole(receive), wire)
        elif path == "/v1/models":
            names = self.settings.models or ["loopback"]
            rows = [{"id": each, "object": "model", "owned_by": "loopback"} for each in names]
            await wire.json(200, {"object": "list", "data": rows})
        else:
            await wire.json(404, mistake(f"Invalid URL ({path})", "invalid_request_error"))

    async def complete(self, scope: Scope, body: bytes, wire: Wire) -> None:
        """Answer one request for text, or fail it."""
        number, headers = len(self.arrivals), dict(scope["headers"])
        if await self.refused(headers, wire):
            return
        try:
            asked = orjson.loads(body)
            chat, sample = "chat" in scope["path"], headers.get(b"x-sample", b"").decode()
            call = read_call(chat, asked, sample)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            await wire.json(400, mistake(f"Bad body: {error!r}", "invalid_request_error"))
            return
        if self.settings.models and call.model not in self.settings.models:
            told = f"The model `{call.model}` does not exist or you do not have access to it."
            await wire.json(404, mistake(told, "invalid_request_error", "model_not_found"))
            return
        fault = self.fault_of(call, number)
        if (delay := self.delay(number)) > 0:
            await asyncio.sleep(delay)
        if fault in REFUSALS:
            await self.refuse(fault, wire)
        else:
            await self.reply(call, number, fault, wire)

    async def reply(self, call: Call, number: int, fault: str, wire: Wire) -> None:
        """Answer, as the fault lets it."""
        places = range(call.asked.get("n") or 1)
        said = [self.model.says(call, place) for place in places]
        usage = usage_of(call, said, self.settings.cached)
        answer = Answer(call, number, said, usage, self.settings.reasoning_field)
        if call.asked.get("stream"):
            full = await self.stream(answer, fault, wire)
        else:
            full = await self.plain(answer, fault, wire)
        if full:
            self.bill(call, usage, wire)

    def bill(self, call: Call, usage: Json, wire: Wire) -> None:
        """Count what was answered in full; what was cut or spoilt is not paid."""
        if wire.gone:
            self.abandoned += 1
            return
        self.answered[call.digest] += 1
        for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
            self.tokens[name] += usage[name]

    async def refused(self, headers: Mapping[bytes, bytes], wire: Wire) -> bool:
        """Whether the request is turned away for its key or for the limit."""
        settings = self.settings
        given = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        if settings.key and given != settings.key:
            told = f"Incorrect API key provided: {given}." if given else "No API key provided."
            await wire.json(401, mistake(told, "invalid_request_error", "invalid_api_key"))
            return True
        if not settings.rpm:
            return False
        now, admitted = time.monotonic(), self.admitted
        while admitted and admitted[0] <= now - settings.window:
            admitted.popleft()
        if len(admitted) < settings.rpm:
            admitted.append(now)
            return False
        wait = str(math.ceil(admitted[0] + settings.window - now))
        await wire.json(429, LIMITED, retry_after=wait)
        return True

    def fault_of(self, call: Call, number: int) -> str:
        """The fault that is drawn for a request, or nothing."""
        if not self.settings.faults:
            return ""
        drawn_by: tuple[object, ...] = (number,)
        if self.settings.faults_by == "attempt":
            self.attempts[call.digest] += 1
            drawn_by = (call.digest, self.attempts[call.digest])
        left = chance("fault", self.settings.fault_seed, *drawn_by)
        for name, rate in self.settings.faults.items():
            left -= rate
            if left < 0:
                self.faults[name] += 1
                return name
        return ""

    def delay(self, number: int) -> float:
        """Seconds that a request waits."""
        told = self.settings.latency
        if isinstance(told, list):
            least, most = told
            return least + (most - least) * chance("latency", self.settings.fault_seed, number)
        return told

    async def refuse(self, fault: str, wire: Wire) -> None:
        """Turn a request away as a fault says."""
        if fault == "reset":
            await wire.cut(reset=True)
        elif fault == "html":
            await wire.whole(200, HTML, content_type="text/html")
        elif fault == "limited_seconds":
            await wire.json(429, LIMITED, retry_after=f"{self.settings.retry_after:g}")
        elif fault == "limited_date":
            # Whole seconds, as dates have; never sooner than asked.
            until = math.ceil(time.time() + self.settings.retry_after)
            await wire.json(429, LIMITED, retry_after=formatdate(until, usegmt=True))
        else:
            status, body = REFUSALS[fault]
            await wire.json(status, body)

    async def plain(self, answer: Answer, fault: str, wire: Wire) -> bool:
        """Whether all of the answer was sent."""
        body = orjson.dumps(answer.whole())
        if fault == "no_choices":
            await wire.json(200, answer.nothing())
        elif fault == "malformed":
            await wire.whole(200, body[: len(body) * 2 // 3])
        elif fault == "error_event":
            await wire.json(200, OVERLOADED)
        elif fault.startswith("half"):
            await wire.start(200, length=len(body))
            await wire.part(body[: len(body) // 2])
            await wire.cut()
        elif fault == "trickle":
            await wire.start(200, length=len(body))
            await wire.part(await self.dribble(body, wire), more=False)
        else:
            await wire.whole(200, body)
        return fault in ("", "trickle")

    async def stream(self, answer: Answer, fault: str, wire: Wire) -> bool:
        """The same as server-sent events."""
        events = answer.events()
        half = len(events) // 2
        if fault == "malformed":
            events[half] = events[half][: len(events[half]) // 2] + b"\n\n"
        elif fault == "no_choices":
            events = [event(answer.nothing()), events[-1]]
        elif fault == "error_event":
            events = [*events[:half], event(OVERLOADED)]
        elif fault.startswith("half"):
            events = [*events[:half], events[half][:-9]]
        await wire.start(200, content_type="text/event-stream; charset=utf-8")
        if fault == "trickle":
            events[0] = await self.dribble(events[0], wire)
        for each in events:
            await wire.part(each)
            if self.settings.pause:
                await asyncio.sleep(self.settings.pause)
        if fault.startswith("half"):
            await wire.cut()
        else:
            await wire.part(b"", more=False)
        return fault in ("", "trickle")

    async def dribble(self, body: bytes, wire: Wire) -> bytes:
        """Send a byte now and then; what is left of the body."""
        for place in range(10):
            if wire.gone:
                break
            await wire.part(body[place : place + 1])
            await asyncio.sleep(self.settings.trickle / 10)
        return body[10:]

    async def control(self, scope: Scope, body: bytes, wire: Wire) -> None:
        """Change the settings, tell the counts."""
        try:
            told = orjson.loads(body) if scope["method"] == "POST" else {}
            anew = told.pop("reset", False)
            now = self.settings = self.settings.changed(told)
        except (ValueError, TypeError, AttributeError) as error:
            await wire.json(400, mistake(str(error), "invalid_request_error"))
            return
        self.model = Model(now.knows, now.varies, now.words)
        if anew:
            self.forget()
        query = parse_qs(scope["query_string"].decode())
        counts = self.counts(float(query.get("window", [now.window])[0]))
        if "arrivals" in query:
            counts["arrivals"] = self.arrivals.tolist()
        await wire.json(200, counts)

    def counts(self, window: float) -> Json:
        """What GET /control tells."""
        return {
            "received": len(self.arrivals),
            "statuses": dict(self.statuses),
            "faults": dict(self.faults),
            "paid": sum(self.answered.values()),
            "abandoned": self.abandoned,
            "tokens": dict(self.tokens),
            "answered": dict(self.answered),
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "most_in_window": most_in(self.arrivals, window),
            "cpu_seconds": time.process_time(),
        }


def most_in(arrivals: array[float], window: float) -> int:
    """The most arrivals in any half-open window of that length."""
    most = first = 0
    for last, at in enumerate(arrivals):
        while arrivals[first] <= at - window:
            first += 1
        most = max(most, last - first + 1)
    return most


async def whole(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


class Announced(uvicorn.Server):
    """A server that says its port once it is listening."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say where."""
        await super().startup(sockets)
        port = (sockets or [])[0].getsockname()[1]
        print(json.dumps({"port": port}), flush=True)


def serve(settings: Settings, port: int) -> None:
    # Clients that leave amid a reply are what it is for.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    own.bind(("127.0.0.1", port))
    config = uvicorn.Config(
        Provider(settings),
        loop="asyncio",
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=4096,
        timeout_keep_alive=120,
    )
    Announced(config).run([own])


@contextmanager
def provider(**settings: Any) -> Iterator[str]:
    """The address of a provider with those `Settings`, in a process that ends with the context."""
    told = [f"--{name}={json.dumps(value)}" for name, value in settings.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.provider", "--with-parent", *told],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the provider did not start: exit {process.wait()}")
        yield f"http://127.0.0.1:{json.loads(line)['port']}"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def main() -> None:
    parser = ArgumentParser(description="A loopback provider; values of settings are JSON.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--with-parent", action="store_true", help="end when stdin does")
    for each in fields(Settings):
        parser.add_argument(f"--{each.name}", f"--{each.name.replace('_', '-')}", type=value)
    told = vars(parser.parse_args())
    port, with_parent = told.pop("port"), told.pop("with_parent")
    given = {name: each for name, each in told.items() if each is not None}
    try:
        settings = Settings().changed(given)
    except ValueError as error:
        parser.error(str(error))
    gc.freeze()
    gc.set_threshold(50_000)  # what it makes is freed by counting; looking for circles is waste
    if with_parent:
        threading.Thread(target=end_with_parent, daemon=True).start()
    serve(settings, port)


if __name__ == "__main__":
    main()
