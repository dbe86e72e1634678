"""A loopback server that means harm: replies without end, bombs, drips, and JSON of every excess.

Knows the wire alone. Run `python -m benchmarks.hostile` (it prints {"port": N} when it is ready),
or in a program `with hostile() as url:`; `{url}/MODE/v1` misbehaves as one of `MODES`.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, repeat
from pathlib import Path

__all__ = ["MODES", "STREAMS", "hostile"]

Mode = Callable[[], Iterator[bytes | float]]
"""What goes out, headers included; a number is a pause in seconds."""

BLOCK = 1 << 16
JSON, EVENTS, TEXT = "application/json", "text/event-stream", "text/plain"


def head(kind: str, *lines: str, status: int = 200) -> bytes:
    told = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", *lines, "", ""]
    return "\r\n".join(told).encode()


def ending(kind: str, status: int, begin: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """A body that ends with the connection."""
    yield head(kind, "Connection: close", status=status) + begin
    yield from blocks


def endless(kind: str, begin: bytes, part: bytes, status: int = 200) -> Mode:
    block = part * (BLOCK // len(part) + 1)
    return lambda: ending(kind, status, begin, repeat(block))


def whole(body: Callable[[], bytes], kind: str = JSON) -> Mode:
    made: list[bytes] = []

    def sent() -> Iterator[bytes]:
        if not made:
            made.append(body())
        (raw,) = made
        yield head(kind, f"Content-Length: {len(raw)}")
        yield from (raw[at : at + BLOCK] for at in range(0, len(raw), BLOCK))

    return sent


def bomb(coding: str, bits: int, status: int = 200, kind: str = JSON) -> Mode:
    def sent() -> Iterator[bytes]:
        yield head(kind, f"Content-Encoding: {coding}", "Connection: close", status=status)
        press = zlib.compressobj(9, wbits=bits)
        yield press.compress(b'{"choices":[{"message":{"content":"')
        block = b"x" * (16 << 20)
        squeezed = press.compress(block) + press.flush(zlib.Z_FULL_FLUSH)
        same = press.compress(block) + press.flush(zlib.Z_FULL_FLUSH)
        yield squeezed
        yield from repeat(same, 600)  # 10 GB

    return sent


def chunked(parts: Iterator[bytes]) -> Iterator[bytes]:
    """One HTTP chunk for each byte."""
    yield head(EVENTS, "Transfer-Encoding: chunked")
    for part in parts:
        yield b"".join(b"1\r\n%c\r\n" % byte for byte in part)


def drip(begin: bytes) -> Mode:
    def sent() -> Iterator[bytes | float]:
        yield begin
        while True:
            yield b"x"
            yield 0.05

    return sent


def draws() -> Iterator[bytes]:
    for first in count(step=1000):
        pieces = b",".join(b'{"index":%d,"text":"x"}' % n for n in range(first, first + 1000))
        yield b'data: {"choices":[' + pieces + b"]}\n\n"


def numbered(kind: str, part: bytes) -> Iterator[bytes]:
    """Parts that all differ."""
    yield head(kind, "Connection: close")
    for first in count(step=1000):
        yield b"".join(part % n for n in range(first, first + 1000))


def completion(text: bytes, more: bytes = b"") -> bytes:
    choice = b'{"message":{"content":"' + text + b'"},"finish_reason":"stop"}'
    return b'{"choices":[' + choice + b"]" + more + b"}"


def delta(said: bytes) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{' + said + b"}}]}\n\n"


MODES: dict[str, Mode] = {
    "body": endless(JSON, b'{"choices":[{"message":{"content":"', b"x"),
    "body_500": endless(JSON, b'{"error":{"message":"', b"x", 500),
    "body_400_text": endless(TEXT, b"", b"no ", 400),
    "array": endless(JSON, b'{"choices":', b"[[],{},"),
    "gzip": bomb("gzip", 31),
    "gzip_400": bomb("gzip", 31, 400),
    "deflate": bomb("deflate", 15),
    "deflate_bare": bomb("deflate", -15),
    "br": endless(f"{JSON}\r\nContent-Encoding: br", b"", b"\x0b\x02\x80x"),
    "gzip_events": bomb("gzip", 31, kind=EVENTS),
    "gzip_empty": lambda: ending(
        f"{JSON}\r\nContent-Encoding: gzip", 200, b"", repeat(zlib.compress(b"", wbits=31) * 3000)
    ),
    "length": lambda: iter([head(JSON, "Content-Length: 10000000000"), *[b" " * BLOCK] * 2000]),
    "json": lambda: ending(
        JSON, 200, completion(b"B")[:-1] + b',"x":[0', repeat(b",0" * BLOCK, 8192)
    ),
    "drip": drip(head(JSON, "Connection: close")),
    "drip_events": drip(head(EVENTS, "Connection: close") + b"data: "),
    "drip_500": drip(head(JSON, "Connection: close", status=500)),
    "headers": lambda: iter([b"HTTP/1.1 200 X\r\n", *[b"X-A: b\r\n" * 4096] * 100_000]),
    "header": lambda: iter([b"HTTP/1.1 200 X\r\nX-A: ", *[b"b" * BLOCK] * 100_000]),
    "continues": lambda: repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "trailers": lambda: iter(
        [
            head(JSON, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n",
            *[b"X-A: b\r\n" * 4096] * 10_000,
        ]
    ),
    "thoughts": endless(EVENTS, b"", delta(b'"reasoning_content":"so "')),
    "empty_events": endless(EVENTS, b"", delta(b'"content":""')),
    "comments": endless(EVENTS, b"", b":\n"),
    "one_line": endless(EVENTS, b"data: ", b"x"),
    "data_lines": endless(EVENTS, b"", b"data: [\n"),
    "no_frame": endless(EVENTS, b"{", b'"a":[{},\n'),
    "tiny_chunks": lambda: chunked(repeat(delta(b'"content":"x"') * 20)),
    "draws": lambda: ending(EVENTS, 200, b"", draws()),
    "logprobs": endless(
        EVENTS, b"", b'data: {"choices":[{"delta":{},"logprobs":{"token_logprobs":[0,0,0,0]}}]}\n\n'
    ),
    "keys": lambda: numbered(EVENTS, b'data: {"key %d":1}\n\n'),
    "nested": whole(lambda: b"[" * (50 << 20)),
    "numbers": whole(
        lambda: completion(b"B", b',"usage":{"prompt_tokens":' + b"9" * (30 << 20) + b"}")
    ),
    "wide": whole(lambda: completion(b"B", b',"x":[' + b"{}," * (20 << 20) + b"1]")),
    "letters": whole(lambda: completion(b"x" * (60 << 20) + "\N{GRINNING FACE}".encode())),
    "long_texts": whole(lambda: completion(b"x" * 200_000 + "\N{GRINNING FACE}".encode())),
    "long_error": whole(lambda: b'{"error":{"message":"' + b"x " * (30 << 20) + b'"}}'),
}

STREAMS = frozenset(
    {
        *("gzip_events", "drip_events", "thoughts", "empty_events", "comments", "one_line"),
        *("data_lines", "no_frame", "tiny_chunks", "draws", "logprobs", "keys", "trailers"),
    }
)
"""Those that are meant for calls that ask for a stream."""


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:  # some replies end, and others are asked for
            asked = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = asked.lower().partition("content-length: ")[2].split("\r")[0]
            await reader.readexactly(int(length or 0))
            for part in MODES[asked.split("/")[1]]():
                if isinstance(part, float):
                    await asyncio.sleep(part)
                else:
                    writer.write(part)
                    await writer.drain()
    writer.transport.abort()


async def listen() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.buffer.read)  # ends with the parent


@contextmanager
def hostile() -> Iterator[str]:
    """The address of such a server, in a process that ends with the context."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hostile"],
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        process.kill()


if __name__ == "__main__":
    asyncio.run(listen())
