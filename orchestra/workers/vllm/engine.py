"""vLLM in a child process: every expert of one base, loaded on entry and gone on exit.

Knows how an engine lives: load, crash, one retry on a fresh child, sleep, wake, canary. Does not
import vLLM (the child does) and does not decide when an engine is loaded.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from orchestra.errors import InputError
from orchestra.records import Generation, Request
from orchestra.roster import Expert
from orchestra.workers.vllm.options import LoadOrder, load_order
from orchestra.workers.vllm.process import DIED, Child, Message
from orchestra.workers.vllm.wire import Call, calls, failed, read_answer

PROMPT = "What is 12 + 34? Sort dcab. One two three four five"
"""What every checkpoint is asked; its own tokeniser turns it into tokens."""
TOKENS = 16
"""How many it writes."""


class Fingerprints:
    """What each checkpoint wrote at its first load. One object serves a whole run."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[int, ...]] = {}

    def agrees(self, engine: str, wrote: Mapping[str, Sequence[int]]) -> bool:
        """Whether an engine wrote what it wrote at first sight; if so, what is new is remembered.

        Args:
            engine: says which checkpoint, with which options.
            wrote: adapter (empty for none) -> token ids.
        """
        told = {(engine, adapter): tuple(tokens) for adapter, tokens in wrote.items()}
        if any(self._first.get(key, tokens) != tokens for key, tokens in told.items()):
            return False  # nothing that a spoiled engine wrote is worth remembering
        self._first.update(told)
        return True


PROGRAM = Path(__file__).with_name("program.py")
"""What runs in the child."""

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_AT_ONCE = 256
"""Calls in one message."""
_AHEAD = 4096
"""Calls that the child may hold: enough for any engine's batch, and little to lose."""
_GRACE = 10.0
"""Seconds that an idle engine has for leaving by itself."""


class VllmEngine:
    """The worker of all experts of one base; they may differ in adapter, prompts and sampling.

    Args:
        experts: of one model and one set of engine options.
        fingerprints: shared by all engines of a run, so that a reload is compared with the first.
        report: told in one line when an engine died or is no longer what it was.
        sleeps: make `sleep` possible where there is an accelerator.
        device: the accelerator that it is loaded on, of those that this process sees, unless its
            options spread it over several; None: all are open to it.
        program: what runs in the child; another one in tests.
    """

    def __init__(
        self,
        experts: Sequence[Expert],
        *,
        fingerprints: Fingerprints | None = None,
        report: Callable[[str], None] | None = None,
        sleeps: bool = False,
        device: int | None = None,
        program: Path = PROGRAM,
    ) -> None:
        self._experts = {expert.name: expert for expert in experts}
        self._fingerprints = fingerprints or Fingerprints()
        self._report = report or (lambda line: None)
        self._sleeps, self._device, self._program = sleeps, device, program
        self._can_sleep = False
        self._order = LoadOrder("", {}, {})
        self._child: Child | None = None
        self._loading: Child | None = None
        self._lost = ""
        self._asleep = False
        self._numbers = 0
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Load. A load that fails is no error here: `generate` tries again, once.

        Raises:
            InputError: what the roster asks for can never be loaded.
        """
        self._order = load_order(tuple(self._experts.values()))
        self._lost = await self._load()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._drop(grace=0.0 if error or self._turn.locked() else _GRACE)

    @property
    def pid(self) -> int | None:
        """The process that loads or holds the engine, and its process group; None: there is none.

        Here one sees what memory it takes.
        """
        child = self._child or self._loading
        return child.pid if child else None

    @property
    def sleeps(self) -> bool:
        """Whether it was loaded so that it can sleep; on a CPU none can."""
        return self._can_sleep

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each Request, as they finish; wakes the engine if it sleeps.

        If the child dies, what is unanswered is asked once more, of a fresh child; what is then
        unanswered is a failure of kind `crash`. A second call waits until the first is over.
        """
        async with self._turn:
            waiting = {call.number: call for call in calls(requests, start=self._numbers)}
            self._numbers += len(waiting)
            try:
                for last in (False, True):
                    talk = await self._talk(waiting, last)
                    while waiting and not talk.over:
                        for generation in await talk.more():
                            yield generation
                    if not waiting:
                        return
                    await self._mourn(talk.over, last)
                for call in waiting.values():
                    for request in call.requests:
                        yield failed(request, "crash", self._lost, retryable=True)
                self._lost = ""  # those who ask later find a fresh child
            finally:
                if waiting:  # nobody hears the rest: it must not be answered to the next who asks
                    await self._drop()

    async def sleep(self, level: Literal[1, 2]) -> None:
        """Give the accelerator's memory back; 1 keeps the weights in main memory, 2 nowhere."""
        async with self._turn:
            if self._child is None or self._asleep:
                return
            await self._child.say({"do": "sleep", "level": level})
            message = await self._heard(self._child)
            if message["event"] == DIED:
                await self._mourn(message["reason"], False)
            else:
                self._asleep = True

    async def wake(self) -> None:
        """Be ready again; an engine that wakes as another is restarted cold, and reported."""
        async with self._turn:
            await self._wake()

    async def _wake(self) -> None:
        if self._child is None or not self._asleep:
            return
        self._asleep = False
        await self._child.say({"do": "wake"})
        reason = self._unlike(await self._heard(self._child))
        if reason:
            await self._mourn(reason, False)
            self._lost = await self._load()

    async def _talk(self, waiting: dict[int, Call], last: bool) -> _Talk:
        """A talk with the child, who is started if there is none and a try is left."""
        await self._wake()
        if self._child is None and (last or not self._lost):
            self._lost = await self._load()
        return _Talk(self._child, waiting, (self._order, self._experts), self._lost)

    async def _load(self) -> str:
        """Start a child and have it load; why it is not there, or nothing."""
        order = self._order
        child = self._loading = await Child.start(
            self._program, python=order.python, environment=self._environment()
        )
        try:
            await child.say(self._load_message())
            message = await self._heard(child)
            reason = self._unlike(message)
        except BaseException:  # a cancelled load leaves nothing behind either
            await child.end()
            raise
        finally:
            self._loading = None
        if message["event"] == "loaded" and not reason:
            self._child = child
            self._can_sleep = bool(message.get("sleeps", self._sleeps))
            return ""
        await child.end()
        if message["event"] == "refused":
            place = " and ".join(f"`{name}`" for name in self._experts)
            raise InputError(f"vLLM cannot load it: {message['error']}", place=f"expert {place}")
        return reason

    def _environment(self) -> dict[str, str]:
        order = self._order
        sizes = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
        if self._device is None or any(order.options.get(size, 1) != 1 for size in sizes):
            return order.environment
        seen = os.environ.get(_VISIBLE, "").split(",")
        one = seen[self._device] if self._device < len(seen) and seen[0] else str(self._device)
        return {**order.environment, _VISIBLE: one.strip()}

    def _load_message(self) -> Message:
        order = self._order
        return {
            "do": "load",
            "model": order.model,
            "options": {**order.options, **({"enable_sleep_mode": True} if self._sleeps else {})},
            "on_cpu": order.on_cpu,
            "adapters": order.adapters,
            "chat_template_kwargs": order.chat_template_kwargs,
            "canary": {"prompt": PROMPT, "tokens": TOKENS},
        }

    async def _heard(self, child: Child) -> Message:
        return await child.hear(patience=self._order.load_timeout)

    def _unlike(self, message: Message) -> str:
        """Why a child that was loaded or woken is of no use; nothing if it is."""
        if message["event"] == DIED:
            return str(message["reason"])
        adapters, canary = self._order.adapters, message.get("canary", {})
        wrote = {adapters.get(name, ""): tokens for name, tokens in canary.items()}
        if self._fingerprints.agrees(self._order.name, wrote):
            return ""
        return "the canary's tokens are not those of the first load"

    async def _mourn(self, reason: str, last: bool) -> None:
        self._lost = reason
        await self._drop()
        then = "given up" if last else "restarted cold"
        self._report(f"{', '.join(self._experts)}: {reason}; {then}")

    async def _drop(self, *, grace: float = 0.0) -> None:
        child, self._child, self._asleep = self._child, None, False
        if child is not None:
            await child.end(grace=grace)


class _Talk:
    """What is asked of one child and what it answers, until it dies or nothing is waited for."""

    def __init__(
        self,
        child: Child | None,
        waiting: dict[int, Call],
        base: tuple[LoadOrder, Mapping[str, Expert]],
        lost: str,
    ) -> None:
        self._child, self._waiting = child, waiting
        self._order, self._experts = base
        self._unsaid = iter(tuple(waiting.values()))
        self._ahead = 0
        self.over = "" if child else lost
        """Why there is nothing more to hear."""

    async def more(self) -> list[Generation]:
        """What is answered next; nothing, now and then, and nothing when it is over."""
        assert self._child is not None
        while self._ahead <= _AHEAD - _AT_ONCE:
            part = [self._message(call) for call in islice(self._unsaid, _AT_ONCE)]
            if not part:
                break
            await self._child.say({"do": "generate", "requests": part})
            self._ahead += len(part)
        message = await self._child.hear(patience=self._order.silence_timeout)
        if message["event"] == DIED:
            self.over = message["reason"]
        return self._read(message) if message["event"] == "answers" else []

    def _message(self, call: Call) -> dict[str, Any]:
        expert = call.requests[0].expert
        return call.message(expert if expert in self._order.adapters else "")

    def _read(self, message: Message) -> list[Generation]:
        answers = message["answers"]
        self._ahead -= len(answers)
        seconds = message["seconds"] / len(answers)
        found: list[Generation] = []
        for answer in answers:
            call = self._waiting.pop(answer["id"])
            price = self._experts[call.requests[0].expert].price
            found += read_answer(call, answer, seconds=seconds, price=price)
        return found
