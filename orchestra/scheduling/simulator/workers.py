"""Workers whose engines are simulated: a pipeline runs on them as on real engines.

No model is run. Texts, finish reasons, identities and reports are labelled simulated, token counts
are estimated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Literal, Self

from orchestra.errors import InputError, raise_all, unknown
from orchestra.records import Failure, Generation, Request, Usage
from orchestra.roster import Expert
from orchestra.runs import Account, digest
from orchestra.scheduling.expert_cost import Length
from orchestra.scheduling.simulator.engine import SimulatedEngine, Worked
from orchestra.scheduling.simulator.machine import LABEL, SimulatedMachine

_CHARACTERS_PER_TOKEN = 4
"""Rule of thumb for English text."""

Says = Callable[[Request], str]
"""Stands for a model: the text that a request gets, below the label."""


def nothing(request: Request) -> str:
    """The text of an expert without a function: no answer that might be taken for a model's."""
    return "No model was run."


@dataclass(frozen=True)
class Writing:
    """What simulated experts write."""

    says: Says = nothing
    lengths: Mapping[str, Length] = field(default_factory=dict)
    """Expert -> how long its texts are on average; they vary by up to half of that. Without an
    entry, all are as long as they may be."""
    seed: int = 0
    """Decides the length of each text."""

    def tokens(self, request: Request) -> int:
        """How many tokens a text has, the same for the same request and seed."""
        most = request.sampling.max_tokens
        length = self.lengths.get(request.expert)
        if length is None:
            return most
        draw = Random(f"{self.seed}:length:{request.key}")
        return max(1, min(most, round(length.tokens * draw.uniform(0.5, 1.5))))


class SimulatedWorker:
    """The worker of all experts of one load unit: a simulated engine.

    Args:
        engine: where it is held.
        machine: the machine.
        writing: what its experts write.
    """

    def __init__(
        self, engine: SimulatedEngine, machine: SimulatedMachine, writing: Writing
    ) -> None:
        self._engine, self._machine, self._writing = engine, machine, writing

    async def __aenter__(self) -> Self:
        """Load. A load that fails is no error here: `generate` tries again, once."""
        await self._engine.come()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._engine.leave("exit")

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each Request, all at once when the simulated batch is done.

        If the simulated process dies, what is unanswered is asked once more, of a fresh one; what
        is then unanswered is a failure of kind `crash`.
        """
        requests = tuple(requests)
        if not requests:
            return
        read = [_sent(request) for request in requests]
        wrote = [self._writing.tokens(request) for request in requests]
        since = self._machine.clock.now
        done = await self._engine.work(len(requests), sum(read), sum(wrote))
        seconds = (self._machine.clock.now - since) / len(requests)
        for place, request in enumerate(requests):
            if place < done.answered:
                usage = Usage(1, read[place], wrote[place], estimated=True, seconds=seconds)
                yield self._answer(request, usage)
            else:
                yield _failure(request, done.lost)

    async def sleep(self, level: Literal[1, 2]) -> None:
        """Give the device's memory back, as a real engine would."""
        await self._engine.leave("sleep1" if level == 1 else "sleep2")

    async def wake(self) -> None:
        """Be ready again; an engine that wakes as another is restarted cold, and reported."""
        await self._engine.come()

    @property
    def sleeps(self) -> bool:
        """Whether it can sleep at some level."""
        return self._engine.may_sleep(1) or self._engine.may_sleep(2)

    async def work(self, requests: int, input_tokens: float, output_tokens: float) -> Worked:
        """What so many requests take, without texts."""
        return await self._engine.work(requests, input_tokens, output_tokens)

    def _answer(self, request: Request, usage: Usage) -> Generation:
        return Generation(
            request.key,
            request.question_id,
            request.expert,
            text=f"[{LABEL}]\n{self._writing.says(request)}",
            finish_reason=LABEL,
            usage=usage,
            layer=request.layer,
            sample=request.sample,
        )


class SimulatedWorkers:
    """Opens simulated engines in place of real ones.

    Args:
        machine: the machine, and what every engine takes on it.
        homes: load unit -> its device; others come onto the device with most room.
        writing: what experts write.
    """

    def __init__(
        self,
        machine: SimulatedMachine,
        *,
        homes: Mapping[str, int] | None = None,
        writing: Writing | None = None,
    ) -> None:
        self.machine = machine
        self._homes = dict(homes or {})
        self._writing = writing or Writing()

    def check(self, roster: Iterable[Expert]) -> None:
        """Raise one error for all experts that the machine has no costs of, or no device for."""
        errors: list[InputError] = []
        for expert in roster:
            try:
                self._device(expert)
            except InputError as error:
                errors.append(error)
        raise_all(errors)

    def unit(self, expert: Expert) -> str:
        """What is loaded for it: the planner's load unit."""
        return self.machine.costs.unit(expert.name)

    def identity(self, expert: Expert) -> str:
        """Digest of what changes a text, but `says`; never a real expert's, for ledgers' sake."""
        length = self._writing.lengths.get(expert.name)
        return digest([LABEL, expert.name, expert.identity, self._writing.seed, repr(length)])

    def open(
        self,
        expert: Expert,
        *others: Expert,
        account: Account | None = None,
        device: int | None = None,
    ) -> SimulatedWorker:
        """Load the expert, and others of its unit; leaving the context unloads them.

        Raises:
            InputError: the machine has no costs of it, or no device is large enough.
        """
        place = self._device(expert) if device is None else device
        engine = SimulatedEngine(self.machine, self.unit(expert), place)
        return SimulatedWorker(engine, self.machine, self._writing)

    def _device(self, expert: Expert) -> int:
        unit, costs = self.unit(expert), self.machine.costs
        if unit not in costs.units:
            raise unknown("simulated expert", expert.name, costs.units)
        devices = range(len(costs.machine.devices))
        device = self._homes.get(unit)
        if device is not None and device not in devices:
            raise InputError(f"there is no device {device} for expert `{expert.name}`")
        allowed = devices if device is None else [device]
        large = [each for each in allowed if costs.size(unit, each) <= costs.room(each)]
        if not large:
            size = max(costs.size(unit, each) for each in allowed)
            raise InputError(f"expert `{expert.name}` takes {size:g} GiB, more than its device has")
        return max(large, key=lambda each: (self.machine.room(each), -each))


def _sent(request: Request) -> int:
    letters = sum(len(message.content) for message in request.messages)
    return -(-letters // _CHARACTERS_PER_TOKEN)


def _failure(request: Request, lost: str) -> Generation:
    return Generation(
        request.key,
        request.question_id,
        request.expert,
        text="",
        finish_reason="error",
        failure=Failure("crash", f"{LABEL}: {lost}", retryable=True),
        layer=request.layer,
        sample=request.sample,
    )
