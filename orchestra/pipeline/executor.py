"""Interim."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Any, Protocol, Self

from orchestra.pipeline.turns import Turns
from orchestra.roster import Expert, Roster
from orchestra.runs import Account
from orchestra.workers import Resident, Worker, Workers


class Queue(Protocol):
    """Calls that wait, by expert."""

    def waiting(self) -> Mapping[str, int]:
        """Expert -> how many."""
        ...

    def take(self, expert: str) -> list[Any]:
        """All of an expert's."""
        ...

    def alike(self, expert: str) -> object:
        """Equal for experts that are alike but in name."""
        ...


Ask = Callable[
    [Sequence[Any], Sequence[Expert], Callable[[], AbstractAsyncContextManager[Worker]]],
    Coroutine[Any, Any, None],
]


class Executor:
    """One engine at a time."""

    def __init__(self, workers: Workers, roster: Roster, *, account: Account | None = None) -> None:
        self._roster = roster
        self._resident = Resident(workers, account)
        self._units = {each.name: workers.unit(each) for each in roster if not each.hosted}
        self._unit = ""
        self.turns = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._resident.__aexit__(kind, error, trace)

    async def drain(self, queue: Queue, ask: Ask) -> None:
        """Until nothing waits."""
        turns = Turns()
        try:
            while True:
                for names in self._due(queue, turns):
                    calls = [call for each in names for call in queue.take(each)]
                    experts = [self._roster[name] for name in names]
                    engine = names[0] in self._units
                    if engine:
                        self.turns += self._units[names[0]] != self._unit
                        self._unit = self._units[names[0]]
                    turns.begin(
                        names,
                        ask(calls, experts, partial(self._resident.open, *experts)),
                        engine=engine,
                    )
                if not turns:
                    break
                await turns.one()
        finally:
            await turns.end()

    def _due(self, queue: Queue, turns: Turns) -> list[list[str]]:
        alike = {queue.alike(name) for name in turns.names}
        due: list[list[str]] = []
        engines: list[str] = []
        for name in queue.waiting():
            if name in self._units:
                engines.append(name)
            elif queue.alike(name) not in alike:
                alike.add(queue.alike(name))
                due.append([name])
        if engines and not turns.engine:
            order = self._roster.names
            chosen = min(engines, key=lambda n: (self._units[n] != self._unit, order.index(n)))
            unit = self._units[chosen]
            due.append(
                list({queue.alike(n): n for n in engines if self._units[n] == unit}.values())
            )
        return due
