"""Calls of OpenAI-compatible servers over HTTP, one long-lived session for each event loop.

Knows connections, time limits and keys; does not know how bodies look (`openai_wire`), what an
error means (`openai_errors`), how fast calls may be made or whether they are made again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson

from orchestra.errors import InputError
from orchestra.records import Failure, Generation, Request, Usage
from orchestra.roster import Expert
from orchestra.workers.hosted.errors import (
    NEVER_PROCESSED,
    of_exception,
    of_odd_body,
    of_status,
    withheld,
)
from orchestra.workers.hosted.reading import (
    ENCODINGS,
    SIP,
    SMALL,
    Share,
    Sipping,
    Unfit,
    beginning,
    pieces,
    whole,
)
from orchestra.workers.hosted.stream import Assembly, TooLarge, parsed, plain
from orchestra.workers.hosted.wire import Dialect, body, failed, read_reply, withheld_reply
from orchestra.workers.secrets import Secret, hide, without

_CONNECTIONS = 1024
"""Most connections of one event loop; limits of concurrency are below that."""
_CONNECT = 15.0
"""Seconds that a connection may take to come about."""
_KEEP = 60.0
"""Seconds that an idle connection is kept."""
_PIECE = 1 << 16
"""Bytes of a body that are put together at once."""
_EVENTS = "text/event-stream"
_LINGER = 1.0
"""Seconds that a stream may stay open after it said that it is done."""


class Sessions:
    """The session of each event loop: opened by the first who needs it, closed by the last."""

    def __init__(self) -> None:
        self._open: dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, int]] = {}

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """The session of the running loop, for as long as the context lasts."""
        loop = asyncio.get_running_loop()
        for gone in [each for each in self._open if each.is_closed()]:
            del self._open[gone]
        session, users = self._open.get(loop) or (_session(), 0)
        self._open[loop] = session, users + 1
        try:
            yield session
        finally:
            _, users = self._open[loop]
            if users > 1:
                self._open[loop] = session, users - 1
            else:
                del self._open[loop]
                await session.close()


class OpenAICaller:
    """Calls one expert's server.

    Args:
        expert: `worker: openai`.
        session: of the running event loop.
        dialect: how the server is spoken to.
        secret: the key that it wants; None if it wants none.
    """

    def __init__(
        self,
        expert: Expert,
        session: aiohttp.ClientSession,
        *,
        dialect: Dialect,
        secret: Secret | None,
    ) -> None:
        self._expert, self._session, self._dialect = expert, session, dialect
        self._url = expert.base_url.rstrip("/") + dialect.path
        self._proxy = _proxy(self._url, place=f"expert `{expert.name}`")
        self._secrets = (secret,) if secret else ()
        self._headers = {"Content-Type": "application/json"}
        if secret:
            self._headers["Authorization"] = f"Bearer {secret.reveal()}"
        calls = expert.calls
        self._stream = calls.stream
        self._timeout = aiohttp.ClientTimeout(
            total=calls.timeout,
            sock_connect=min(_CONNECT, calls.timeout),
            sock_read=calls.silence if calls.stream else None,
        )

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        """One call for these draws of one prompt; see `Caller`."""
        asked = body(self._expert, requests, self._dialect, stream=self._stream)
        started = time.perf_counter()
        with Share(self._expert.calls.timeout) as share:
            try:
                reply = await self._reply(orjson.dumps(asked), share, len(requests))
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                reply = of_exception(error)
            except Unfit as error:
                reply = error.failure
            if isinstance(reply, Failure):
                unsure = reply.kind not in NEVER_PROCESSED
                usage = Usage(calls=1, estimated=unsure)
                return [self._hidden(each) for each in failed(requests, reply, usage=usage)]
            seconds = time.perf_counter() - started
            found = read_reply(
                reply, requests, self._dialect, seconds=seconds, price=self._expert.price
            )
        return [self._hidden(each) for each in found]

    async def _reply(self, asked: bytes, share: Share, draws: int) -> object | Failure:
        """The reply as plain data, or why there is none."""
        async with self._session.post(
            self._url,
            data=asked,
            headers=self._headers,
            timeout=self._timeout,
            proxy=self._proxy,
            allow_redirects=False,  # the key is for this server and no other
        ) as response:
            status = response.status
            if not 200 <= status < 300:  # some say 201
                told = plain(self._clean(await beginning(response)))
                if 400 <= status < 500 and withheld(told):
                    return withheld_reply(draws)
                return of_status(status, response.headers, told)
            if self._stream or response.content_type == _EVENTS:
                return await self._assembled(response, share)
            raw = await whole(response, share)
            await share.turn()
            return self._read(raw, response.content_type)

    def _read(self, raw: bytes | bytearray, content_type: str) -> object | Failure:
        """A body that came whole."""
        try:
            return parsed(raw)
        except TooLarge as error:
            return _no_events(error)
        except ValueError:
            assembly = Assembly()
        try:  # a stream that nobody asked for, or that does not say that it is one
            for start in range(0, len(raw), _PIECE):
                assembly.feed(bytes(raw[start : start + _PIECE]))
        except ValueError as error:
            return _no_events(error)
        return self._put_together(assembly, content_type)

    async def _assembled(self, response: aiohttp.ClientResponse, share: Share) -> object | Failure:
        assembly = Assembly()
        try:
            async with aclosing(pieces(response)) as coming:
                async for piece in coming:
                    assembly.feed(piece)
                    if (held := assembly.held) > SMALL:
                        await share.hold(held)
                    if assembly.done:
                        await _linger(response)
                        break
        except ValueError as error:  # not JSON
            return _no_events(error)
        except (aiohttp.ClientError, OSError, TimeoutError):
            if not assembly.whole:
                raise
        await share.turn()
        return self._put_together(assembly, response.content_type)

    def _put_together(self, assembly: Assembly, content_type: str) -> object | Failure:
        assembly.end()
        if assembly.whole:
            return assembly.reply()
        if assembly.odd or content_type != _EVENTS and not assembly.began:
            return of_odd_body(content_type, self._clean(assembly.odd))
        return Failure("connection", "the stream broke off", retryable=True)

    def _hidden(self, generation: Generation) -> Generation:
        """The generation, less any key that the server repeats in it."""
        return without(generation, self._secrets) if self._secrets else generation

    def _clean(self, raw: bytes) -> bytes:
        """What is told in part must not hold part of a key."""
        return hide(raw.decode("utf-8", "replace"), self._secrets).encode()


def _no_events(error: ValueError) -> Failure:
    if isinstance(error, TooLarge):
        return Failure("malformed", f"the reply is too large: {error}")
    return Failure("malformed", f"the stream holds no such events: {error}", retryable=True)


async def _linger(response: aiohttp.ClientResponse) -> None:
    """Wait for the end, so that the connection can be used again; not for long."""
    try:
        async with asyncio.timeout(_LINGER):
            while await response.content.readany():
                pass
    except (aiohttp.ClientError, OSError, TimeoutError):
        return


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=_CONNECTIONS,
        ttl_dns_cache=300,
        keepalive_timeout=_KEEP,
        use_dns_cache=True,
        socket_factory=lambda address: Sipping(*address[:3]),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # `reading` does, a piece at a time
        read_bufsize=SIP,
        headers={"User-Agent": "orchestra", "Accept-Encoding": ENCODINGS},
    )


def _proxy(url: str, *, place: str) -> str | None:
    """The proxy that the environment names for this address; looked up once, as it is slow."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(parts.netloc):
        return None
    named = getproxies()
    found = named.get(parts.scheme) or named.get("all")
    if not found:
        return None
    if "://" not in found:
        found = f"http://{found}"
    kind = urlsplit(found).scheme
    if kind not in ("http", "https"):
        hint = f"set `no_proxy={host}` to go without one"
        raise InputError(
            f"the proxy of the environment is of kind {kind!r}", place=place, hint=hint
        )
    return found
