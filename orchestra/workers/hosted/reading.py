"""The bodies of replies, read within limits that no server can pass.

Knows how bodies are compressed, and how much all replies of one event loop may hold together;
does not know what is in them. Sizes are those of what was decompressed.
"""

from __future__ import annotations

import asyncio
import socket
import time
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self
from weakref import WeakKeyDictionary

import aiohttp

from orchestra.errors import OrchestraError
from orchestra.records import Failure

ENCODINGS = "gzip, deflate"
"""What servers may compress replies with."""
LARGEST = 64 << 20
"""Bytes of the longest reply that is read."""
_TOGETHER = 64 << 20
"""Bytes that the replies of one event loop hold; beyond, only the eldest grows."""
SMALL = 16 << 10
"""Bytes of a reply that is not counted."""
_PIECE = 1 << 18
"""Bytes that are decompressed at once."""
SIP = 1 << 15
"""Bytes that a connection gives at once."""
_ERROR = 1 << 18
"""Bytes of an error that are read: its status says enough."""


class Sipping(socket.socket):
    """A socket that gives little at once, so that no turn of the event loop takes long, and many
    connections hold little before anybody looks at it."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """At most `SIP` bytes."""
        return super().recv(min(size, SIP), flags)

    def recv_into(self, buffer: Any, *told: int) -> int:
        """At most `SIP` bytes."""
        size, *flags = told or (0,)
        return super().recv_into(buffer, min(size or len(buffer), SIP), *flags)


class Unfit(OrchestraError):
    """A reply that is not read to its end.

    Args:
        failure: why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class Share:
    """What one reply holds. A context manager; leaving it gives all back.

    Args:
        timeout: seconds from now after which waiting for room ends in a TimeoutError.
    """

    def __init__(self, timeout: float) -> None:
        self._until = time.monotonic() + timeout  # the clock of event loops
        self._room: _Room | None = None
        self.size = 0
        self._in_turn = False

    async def hold(self, size: int) -> None:
        """Hold so many bytes, once there is room for them; for more than `SMALL`.

        Raises:
            Unfit: that is more than any reply may hold.
        """
        if size > LARGEST:
            raise Unfit(_too_long())
        room = self._room = self._room or _room()
        if not room.grows(self, size):
            async with asyncio.timeout_at(self._until):
                while not room.grows(self, size):
                    await room.change()

    async def turn(self) -> None:
        """Wait until no other large reply is being made sense of, which takes memory too."""
        if self._room is not None and not self._in_turn:
            async with asyncio.timeout_at(self._until):
                await self._room.turn.acquire()
            self._in_turn = True
            await asyncio.sleep(0)  # what the one before came to is taken away meanwhile

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._room is not None:
            if self._in_turn:
                self._room.turn.release()
            self._room.leave(self)


class _Room:
    """The bytes that the replies of one event loop hold."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self._held = 0
        self._shares: dict[Share, None] = {}  # the eldest first
        self._changed = asyncio.Event()

    def grows(self, share: Share, size: int) -> bool:
        """Let a share hold so many bytes, if it may."""
        more = size - share.size
        first = next(iter(self._shares), share)
        if more > 0 and self._held + more > _TOGETHER and share is not first:
            return False
        self._shares[share] = None
        share.size, self._held = size, self._held + more
        return True

    def leave(self, share: Share) -> None:
        """Take back what a share holds."""
        self._shares.pop(share, None)
        self._held -= share.size
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait for the next share that leaves."""
        await self._changed.wait()


_ROOMS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Room] = WeakKeyDictionary()


def _room() -> _Room:
    loop = asyncio.get_running_loop()
    room = _ROOMS.get(loop)
    if room is None:
        room = _ROOMS[loop] = _Room()
    return room


async def pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """The body as it comes, decompressed; the session must not decompress it itself.

    Raises:
        Unfit: it is longer than `LARGEST`, or cannot be decompressed.
    """
    coded = response.headers.get("Content-Encoding", "").strip().lower()
    inflate = None if coded in ("", "identity") else _Inflate(coded)
    came = size = 0
    async for chunk in response.content.iter_any():
        came += len(chunk)
        if inflate is None:
            size = came
            if size <= LARGEST:
                yield chunk
        else:
            for piece in inflate.pieces(chunk):
                size += len(piece)
                if size <= LARGEST:
                    yield piece
                else:
                    break
        if max(came, size) > LARGEST:  # what came, too: it may decompress to nothing
            raise Unfit(_too_long())
    if inflate is not None and not inflate.ended:
        raise Unfit(Failure("connection", "the reply broke off", retryable=True))


async def whole(response: aiohttp.ClientResponse, share: Share) -> bytes | bytearray:
    """The whole body. Raises Unfit as `pieces` does."""
    if (response.content_length or 0) > LARGEST:
        raise Unfit(_too_long())
    body: bytes | bytearray = b""
    async for piece in pieces(response):
        if not body:
            body = piece
            continue
        if isinstance(body, bytes):
            body = bytearray(body)
        body += piece
        if len(body) > SMALL:
            await share.hold(len(body))
    return body


async def beginning(response: aiohttp.ClientResponse) -> bytes:
    """The body of an error, as far as it comes and anybody looks."""
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async with aclosing(pieces(response)) as coming:
                async for piece in coming:
                    body += piece
                    if len(body) > _ERROR:
                        break
    except (aiohttp.ClientError, OSError, TimeoutError, Unfit):
        pass
    return bytes(body[:_ERROR])


_PATIENCE = 10.0
"""Seconds in which the body of an error comes."""


def _too_long() -> Failure:
    return Failure("malformed", f"the reply is longer than {LARGEST >> 20} MiB")


class _Inflate:
    """Decompresses a body a piece at a time, however much there is in its bytes.

    Raises:
        Unfit: the encoding is unknown.
    """

    def __init__(self, coded: str) -> None:
        self._gzip = coded in ("gzip", "x-gzip")
        if not self._gzip and coded != "deflate":
            told = f"the reply is encoded as {coded[:40]!r}, which was not asked for"
            raise Unfit(Failure("malformed", told))
        self._stream: zlib._Decompress | None = None
        self.ended = True
        """Whether what came is whole."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What these bytes hold. Raises Unfit where they are not what they should be."""
        while data:
            if self._stream is None:
                self._stream, self.ended = zlib.decompressobj(self._bits(data)), False
            stream = self._stream
            try:
                piece = stream.decompress(data, _PIECE)
            except zlib.error:
                told = "the reply cannot be decompressed"
                raise Unfit(Failure("connection", told, retryable=True)) from None
            data = stream.unconsumed_tail
            if stream.eof:
                # Several members may follow each other; what follows `deflate` is nothing.
                data = stream.unused_data if self._gzip else b""
                self._stream, self.ended = None, True
            if piece:
                yield piece

    def _bits(self, data: bytes) -> int:
        if self._gzip:
            return 31
        return 15 if data[0] & 0xF == 8 else -15  # some leave the frame of zlib out
