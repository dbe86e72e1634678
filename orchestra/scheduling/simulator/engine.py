"""One simulated engine, which behaves as a vLLM engine does: load, sleep, wake, fingerprint, work,
death and one retry on a fresh process. Requests are numbers of calls and tokens.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import NamedTuple

from orchestra.scheduling.order import Leaves
from orchestra.scheduling.simulator.machine import LABEL, SimulatedMachine, What
from orchestra.workers.vllm.engine import TOKENS

_GARBAGE = (0,) * TOKENS
"""What a spoiled engine writes: the first token of its vocabulary over and over."""
_DIED = "its process died at work (an injected fault)"
_AGAIN = "restarted cold"


class Worked(NamedTuple):
    """What came of a batch."""

    answered: int
    """Requests that were answered: the first ones."""
    lost: str
    """Why the others were not; empty: there are none."""


class SimulatedEngine:
    """Holds one load unit on one device of a machine."""

    def __init__(self, machine: SimulatedMachine, unit: str, device: int) -> None:
        self.unit, self.device = unit, device
        self._machine, self._cost = machine, machine.costs.units[unit]
        self._gib = machine.costs.size(unit, device)
        self._state: Leaves = "exit"
        """How it left last; `stays`: it is awake."""
        self._copied = False
        self._lost = ""
        self._turn = asyncio.Lock()

    @property
    def awake(self) -> bool:
        """Whether it is ready."""
        return self._state == "stays"

    async def come(self) -> None:
        """Be ready: from nothing, from a sleep, or at once.

        One that wakes as another is restarted cold. A load that fails is tried again, once, by
        `work`.
        """
        async with self._turn:
            if self._state == "exit":
                self._lost = await self._load()
            elif not self.awake:
                await self._wake()

    async def work(self, requests: int, input_tokens: float, output_tokens: float) -> Worked:
        """Read and write; wakes if it sleeps. A fresh process does what a death leaves open.

        What is left is taken to be as long as the rest. Requests after a second death start a
        fresh process.
        """
        async with self._turn:
            return await self._work(requests, input_tokens, output_tokens)

    async def leave(self, how: Leaves) -> None:
        """Stay, sleep or exit. A sleep that the host has no room for ends the process.

        Raises:
            ValueError: it cannot sleep at that level.
        """
        async with self._turn:
            if how == "exit" and self._state != "exit":
                await self._exit()
            elif how in ("sleep1", "sleep2") and self.awake:
                await self._sleep(1 if how == "sleep1" else 2)

    def may_sleep(self, level: int) -> bool:
        """Whether it can sleep at a level and the host has room for it."""
        seconds, host = self._asleep(level)
        known = level == 2 or self._machine.costs.machine.host_gib is not None
        return seconds is not None and known and self._machine.host_fits(self, host)

    async def _work(self, requests: int, input_tokens: float, output_tokens: float) -> Worked:
        answered = 0
        for last in (False, True):
            left = 1 - answered / requests if requests else 1.0
            if await self._ready(last):
                tokens = (input_tokens * left, output_tokens * left)
                answered += await self._batch(requests - answered, *tokens)
                if not self._lost:
                    return Worked(answered, "")
            self._machine.report(self.unit, f"{self._lost}; {'given up' if last else _AGAIN}")
        lost, self._lost = self._lost, ""
        self._note("given up", detail=lost)
        return Worked(answered, lost)

    async def _ready(self, last: bool) -> bool:
        if self._state == "exit":
            if last or not self._lost:
                self._lost = await self._load()
        elif not self.awake:
            await self._wake()
        return self.awake

    async def _load(self) -> str:
        """Start a process and load; why it is not there, or nothing."""
        slow = self._machine.fault(self.unit, "slow load")
        full = self._machine.fault(self.unit, "out of memory")
        seconds = self._cost.cold * (slow.times if slow else 1.0)
        await self._machine.turn(self.device, seconds)
        begun = self._machine.clock.now
        free = self._machine.room(self.device)
        if full or not self._machine.take(self, self.device, self._gib):
            await self._machine.clock.until(begun + seconds)
            return self._no_room(free, bool(full))
        detail = f"slow: {slow.times:g} times as long" if slow else ""
        self._note("load", seconds=seconds, detail=detail)
        try:
            await self._machine.clock.until(begun + seconds)
        except BaseException:  # a cancelled load leaves nothing behind
            self._machine.give(self, host=True)
            raise
        self._state, self._copied = "stays", False
        self._unlike(spoiled=False)
        return ""

    def _no_room(self, free: float, injected: bool) -> str:
        """In a real engine's words."""
        why = " (an injected fault)" if injected else ""
        lost = (
            f"torch.OutOfMemoryError: CUDA out of memory: {self._gib:g} GiB wanted, "
            f"{free:g} free on device {self.device}{why}"
        )
        self._note("out of memory", detail=lost)
        return lost

    async def _wake(self) -> None:
        level = 1 if self._state == "sleep1" else 2
        seconds = self._cost.wake1 if level == 1 else self._cost.wake2
        assert seconds is not None
        await self._machine.turn(self.device, seconds)
        free = self._machine.room(self.device)
        if not self._machine.take(self, self.device, self._gib):
            await self._end(self._no_room(free, False))
            return
        await self._spend("wake1" if level == 1 else "wake2", seconds)
        self._state = "stays"
        if self._unlike(spoiled=self._machine.fault(self.unit, "garbage") is not None):
            lost = "the canary's tokens are not those of the first load"
            self._note("garbage", detail=lost)
            await self._end(lost)

    async def _end(self, lost: str) -> None:
        """End a process that is of no use, and load a fresh one."""
        self._machine.report(self.unit, f"{lost}; {_AGAIN}")
        await self._exit()
        self._lost = await self._load()

    def _unlike(self, *, spoiled: bool) -> bool:
        """Whether the fingerprint differs from the first; its few tokens cost nothing here."""
        draw = Random(f"canary:{self.unit}")
        tokens = _GARBAGE if spoiled else tuple(draw.randrange(1, 1000) for _ in range(TOKENS))
        return not self._machine.fingerprints.agrees(f"{LABEL} {self.unit}", {"": tokens})

    async def _batch(self, requests: int, input_tokens: float, output_tokens: float) -> int:
        """How many were answered before it died, all if it did not."""
        fault = self._machine.fault(self.unit, "death")
        share = fault.after if fault else 1.0
        reading = self._cost.token_in * input_tokens
        writing = self._cost.token_out * output_tokens * share
        await self._machine.turn(self.device, reading + writing)
        self._note("prefill", seconds=reading)
        self._note("decode", after=reading, seconds=writing)
        await self._machine.clock.until(self._machine.clock.now + reading + writing)
        if fault is None:
            return requests
        self._lost, self._state = _DIED, "exit"
        self._note("died", detail=_DIED)
        self._machine.give(self, host=True)
        return int(requests * share)

    async def _sleep(self, level: int) -> None:
        seconds, host = self._asleep(level)
        if seconds is None:
            raise ValueError(f"unit {self.unit!r} cannot sleep at level {level}")
        await self._machine.turn(self.device, seconds)
        if not self._machine.take_host(self, host):
            lost = f"out of host memory: {host:g} GiB wanted to sleep"
            self._note("out of memory", detail=lost)
            self._machine.report(self.unit, f"{lost}; it comes back cold")
            await self._exit()
            return
        await self._spend("sleep1" if level == 1 else "sleep2", seconds)
        self._copied = self._copied or level == 1
        self._state = "sleep1" if level == 1 else "sleep2"
        self._machine.give(self, host=False)

    def _asleep(self, level: int) -> tuple[float | None, float]:
        """Seconds to fall asleep, and host memory: a copy on the host is made once."""
        if level == 1:
            copying = 0.0 if self._copied else self._cost.sleep1
            return copying, self._cost.host1_gib
        return self._cost.sleep2, self._cost.host2_gib

    async def _exit(self) -> None:
        await self._machine.turn(self.device, self._cost.exit)
        await self._spend("exit", self._cost.exit)
        self._state = "exit"
        self._machine.give(self, host=True)

    async def _spend(self, what: What, seconds: float) -> None:
        self._note(what, seconds=seconds)
        await self._machine.clock.until(self._machine.clock.now + seconds)

    def _note(
        self, what: What, *, after: float = 0.0, seconds: float = 0.0, detail: str = ""
    ) -> None:
        self._machine.note(
            self.device, self.unit, what, after=after, seconds=seconds, detail=detail
        )
