"""The executor: passes, devices, how engines come and leave, hosted experts, and how it ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from orchestra.errors import BudgetExhausted
from orchestra.pipeline.engines import Load
from orchestra.pipeline.executor import Executor, OpenWorker
from orchestra.records import Generation, Request
from orchestra.roster import Expert, Roster
from orchestra.runs import Account
from orchestra.scheduling import Machine
from orchestra.workers import Worker
from tests.virtual_time import now, run


@dataclass(frozen=True)
class Call:
    """One call that waits."""

    expert: str
    stage: str = "generate"
    layer: int = 0
    round: int = 0
    question: int = 0


@dataclass
class Board:
    """The calls that wait."""

    calls: dict[str, list[Call]] = field(default_factory=dict)

    @classmethod
    def of(cls, *calls: Call) -> Board:
        board = cls()
        for call in calls:
            board.add(call)
        return board

    def add(self, call: Call) -> None:
        self.calls.setdefault(call.expert, []).append(call)

    def waiting(self) -> Mapping[str, int]:
        return {name: len(row) for name, row in self.calls.items()}

    def take(self, expert: str) -> list[Call]:
        return self.calls.pop(expert)


@dataclass
class Floor:
    """Upper-case experts are hosted, lower-case ones are engines; a unit is the letter.

    Every call takes a second, and so does a load.
    """

    log: list[str] = field(default_factory=list)
    spans: list[tuple[str, float, float]] = field(default_factory=list)
    given: list[Mapping[str, Any]] = field(default_factory=list)
    inside: Counter[str] = field(default_factory=Counter)

    def unit(self, expert: Expert) -> str:
        assert not expert.hosted
        return expert.name[0]

    def open(
        self,
        expert: Expert,
        *others: Expert,
        account: Account | None = None,
        device: int | None = None,
        sleeps: bool = False,
    ) -> AbstractAsyncContextManager[Worker]:
        if not expert.hosted:
            self.given.append({"device": device, "sleeps": sleeps})
        return self._open("+".join(each.name for each in (expert, *others)), expert.hosted)

    @asynccontextmanager
    async def _open(self, names: str, hosted: bool) -> AsyncIterator[Worker]:
        self.log.append(f"open {names}")
        if not hosted:
            await asyncio.sleep(1)
        try:
            yield Sleeper(self, names)
        finally:
            self.log.append(f"close {names}")

    @property
    def opened(self) -> list[str]:
        return [each.removeprefix("open ") for each in self.log if each.startswith("open ")]


@dataclass
class Sleeper:
    """A worker that can sleep and does not generate: `Asking` takes the time."""

    floor: Floor
    names: str

    async def sleep(self, level: int) -> None:
        self.floor.log.append(f"sleep{level} {self.names}")

    async def wake(self) -> None:
        self.floor.log.append(f"wake {self.names}")

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        for _ in requests:
            yield Generation("", "", "", "")


@dataclass
class Asking:
    """Makes calls: those that are known need no worker; `then` says what follows a call."""

    floor: Floor
    board: Board
    then: Callable[[Call], Iterable[Call]] = lambda call: ()
    known: Callable[[Call], bool] = lambda call: False
    breaks: Mapping[str, Exception] = field(default_factory=dict)
    asked: list[Call] = field(default_factory=list)
    served: list[tuple[str, ...]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    async def __call__(
        self, calls: Sequence[Call], experts: Sequence[Expert], open_worker: OpenWorker
    ) -> None:
        names = tuple(each.name for each in experts)
        assert {call.expert for call in calls} == set(names)
        self.served.append(names)
        new = [call for call in calls if not self.known(call)]
        for call in calls:
            if self.known(call):
                self._settle(call)
        if not new:
            return
        async with open_worker():
            since = now()
            for call in new:
                try:
                    await asyncio.sleep(1)
                except asyncio.CancelledError:
                    self.cancelled.append(call.expert)
                    raise
                if call.expert in self.breaks:
                    raise self.breaks[call.expert]
                self._settle(call)
            self.floor.spans.append((names[0], since, now()))

    def _settle(self, call: Call) -> None:
        self.asked.append(call)
        for each in self.then(call):
            self.board.add(each)


def expert(name: str, gib: float | None = None) -> Expert:
    if name[0].isupper():
        return Expert(name, name, worker="openai", base_url=f"http://{name.lower()}/v1")
    return Expert(name, name, worker="scripted", memory_gib=gib)


def roster(names: Iterable[str], gib: float | None = None) -> Roster:
    return Roster.of(*(expert(name, gib) for name in names))


def drained(
    executor: Executor, *drains: tuple[Board, Asking], close: bool = True
) -> list[tuple[str, str, str]]:
    """Every visit's unit, how it came and how it left."""

    async def whole() -> None:
        async with executor:
            for board, asking in drains:
                await executor.drain(board, asking)

    run(whole())
    return [(visit.unit, visit.comes, visit.leaves) for visit in executor.visits]


def simple(
    names: str, calls: Iterable[Call], *, loaded: Any = None, alike: Any = None, **asking: Any
) -> tuple[Executor, Floor, Asking]:
    floor, board = Floor(), Board.of(*calls)
    options = {} if alike is None else {"alike": alike}
    return (
        Executor(floor, roster(names), loaded=loaded, **options),
        floor,
        Asking(floor, board, **asking),
    )


def test_each_engine_is_visited_once_and_one_at_a_time() -> None:
    executor, floor, asking = simple(
        "abc", [Call(name, question=i) for i in range(3) for name in "cab"]
    )
    visits = drained(executor, (asking.board, asking))
    assert visits == [("a", "cold", "exit"), ("b", "cold", "exit"), ("c", "cold", "exit")]
    assert floor.log == ["open a", "close a", "open b", "close b", "open c", "close c"]
    assert [visit.requests for visit in executor.visits] == [{("generate", 0, 0): 3}] * 3
    assert (executor.loads, executor.wakes, len(asking.asked)) == (3, 0, 9)


@pytest.mark.parametrize(
    ("first", "then", "visits"),
    [
        ("ab", {"a": "b"}, "ab"),  # b takes it along
        ("a", {"a": "c"}, "ac"),  # so does one for which nothing waited before
        ("abc", {"c": "a"}, "abca"),  # the next pass begins with c, for which nothing waits
        ("abc", {"c": "ab"}, "abcba"),
        ("abc", {"b": "a", "c": "bc"}, "abccba"),
    ],
)
def test_later_engines_take_what_comes_meanwhile_and_the_next_pass_goes_back(
    first: str, then: Mapping[str, str], visits: str
) -> None:
    executor, _, asking = simple(
        "abc",
        map(Call, first),
        then=lambda call: (
            [] if call.question else [Call(n, question=1) for n in then.get(call.expert, "")]
        ),
    )
    drained(executor, (asking.board, asking))
    assert "".join(visit.unit for visit in executor.visits) == visits
    assert executor.loads == len(visits.replace("cc", "c"))


def test_what_another_phase_asks_waits_for_the_next_pass() -> None:
    """Each question's second layer is asked when its first is done, all in one visit an engine."""
    executor, _, asking = simple(
        "abc",
        [Call(name, question=i) for i in range(4) for name in "abc"],
        then=lambda call: (
            [Call(name, layer=1, question=call.question) for name in "abc"]
            if call.expert == "b" and not call.layer
            else []
        ),
    )
    drained(executor, (asking.board, asking))
    assert [(visit.unit, visit.requests) for visit in executor.visits] == [
        (unit, {("generate", place // 3, 0): 4}) for place, unit in enumerate("abccba")
    ]  # fmt: skip
    assert executor.loads == 5


def test_an_engine_stays_until_its_room_is_needed_across_drains() -> None:
    floor = Floor()
    executor = Executor(floor, roster("abc"))
    boards = [Board.of(Call(name)) for name in "aabbb"]
    visits = drained(executor, *((board, Asking(floor, board)) for board in boards))
    assert visits == [
        ("a", "cold", "stays"), ("a", "stays", "exit"),
        ("b", "cold", "stays"), ("b", "stays", "stays"), ("b", "stays", "exit"),
    ]  # fmt: skip
    assert floor.log == ["open a", "close a", "open b", "close b"]


def test_nothing_is_loaded_for_what_is_known() -> None:
    rows: list[Load] = []
    executor, floor, asking = simple(
        "abc",
        [Call(name, question=i) for i in range(2) for name in "abc"],
        loaded=rows.append,
        known=lambda call: call.expert == "a" or (call.expert == "b" and call.question == 0),
    )
    visits = drained(executor, (asking.board, asking))
    assert visits == [("b", "cold", "exit"), ("c", "cold", "exit")]
    assert [(row.unit, row.comes, row.device, row.phase, row.seconds) for row in rows] == [
        (unit, "cold", 0, ("generate", 0, 0), 1.0) for unit in "bc"
    ]
    assert len(asking.asked) == 6


def test_experts_of_one_unit_are_asked_together_and_those_alike_in_turn() -> None:
    floor = Floor()
    names = ("a1", "a2", "a3", "b")
    executor = Executor(floor, roster(names), alike=lambda name: name.replace("3", "1"))
    board = Board.of(*(Call(name) for name in names))
    asking = Asking(floor, board)
    drained(executor, (board, asking))
    assert asking.served == [("a1", "a2"), ("a3",), ("b",)]
    assert floor.opened == ["a1+a2+a3", "b"]
    assert executor.visits[0].requests == {("generate", 0, 0): 3}


def test_hosted_experts_are_asked_side_by_side_beside_the_engine() -> None:
    executor, floor, asking = simple(
        "ABab", [Call(name, question=i) for i in range(3) for name in "ABab"]
    )
    drained(executor, (asking.board, asking))
    spans = {name: (since, until) for name, since, until in floor.spans}
    assert spans == {"A": (0, 3), "B": (0, 3), "a": (1, 4), "b": (5, 8)}
    assert executor.loads == 2


def test_hosted_experts_that_are_alike_follow_each_other() -> None:
    executor, floor, asking = simple("AB", [Call("A"), Call("B")], alike=lambda name: "same")
    drained(executor, (asking.board, asking))
    assert floor.spans == [("A", 0, 1), ("B", 1, 2)]


def test_beside_a_hosted_expert_a_pass_takes_only_what_waited_at_its_start() -> None:
    """Otherwise visits would depend on how quick a server is."""
    executor, _, asking = simple(
        "Aab",
        [*(Call("A", question=i) for i in range(9)), Call("a"), Call("b")],
        then=lambda call: [Call("b", question=1)] if call == Call("a") else [],
    )
    visits = drained(executor, (asking.board, asking))
    assert visits == [("a", "cold", "exit"), ("b", "cold", "stays"), ("b", "stays", "exit")]


def test_a_hosted_expert_begins_as_soon_as_a_visit_of_a_pass_is_over() -> None:
    executor, floor, asking = simple(
        "Aabc",
        [Call("a"), Call("b"), Call("c")],
        then=lambda call: [Call("A")] if call.expert == "a" else [],
    )
    drained(executor, (asking.board, asking))
    assert dict((name, since) for name, since, _ in floor.spans)["A"] == 2


def test_when_the_budget_ends_hosted_calls_are_awaited_and_engines_give_up() -> None:
    executor, floor, asking = simple(
        "ABa",
        [
            Call("A"),
            *(Call("B", question=i) for i in range(3)),
            *(Call("a", question=i) for i in range(9)),
        ],
        breaks={"A": BudgetExhausted("no more")},
    )
    with pytest.raises(BudgetExhausted):
        drained(executor, (asking.board, asking))
    assert [call.expert for call in asking.asked] == ["B"] * 3
    assert asking.cancelled == ["a"]
    assert floor.log[-2:] == ["close a", "close B"]
    assert asking.board.calls == {}


def test_a_bug_that_comes_up_meanwhile_is_raised() -> None:
    executor, _, asking = simple(
        "ABa",
        [Call("A"), Call("B", question=0), Call("B", question=1), Call("a")],
        breaks={"A": BudgetExhausted("no more")},
    )
    late = RuntimeError("a bug")

    def then(call: Call) -> list[Call]:
        if call.expert == "B" and call.question == 1:
            raise late
        return []

    asking.then = then
    with pytest.raises(RuntimeError, match="a bug"):
        drained(executor, (asking.board, asking))


def test_an_engine_that_is_left_by_an_error_is_dropped() -> None:
    floor = Floor()
    executor = Executor(floor, roster("ab"))

    async def whole() -> None:
        async with executor:
            board = Board.of(Call("a"))
            with pytest.raises(RuntimeError):
                await executor.drain(board, Asking(floor, board, breaks={"a": RuntimeError()}))
            assert floor.log == ["open a", "close a"]
            board = Board.of(Call("a"))
            await executor.drain(board, Asking(floor, board))

    run(whole())
    assert floor.opened == ["a", "a"]
    assert executor.loads == 2


def test_a_cancelled_drain_leaves_nothing_loaded_by_its_visit() -> None:
    floor = Floor()

    async def whole() -> None:
        async with Executor(floor, roster("aA")) as executor:
            board = Board.of(Call("a"), Call("A"))
            task = asyncio.create_task(executor.drain(board, Asking(floor, board)))
            await asyncio.sleep(1.5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert sorted(floor.log) == ["close A", "close a", "open A", "open a"]

    run(whole())


def test_two_drains_share_engines_and_never_a_device() -> None:
    floor = Floor()

    async def whole() -> None:
        async with Executor(floor, roster("ab")) as executor:
            boards = [Board.of(Call("a"), Call("b")) for _ in range(2)]
            await asyncio.gather(*(executor.drain(board, Asking(floor, board)) for board in boards))

    run(whole())
    assert len(floor.opened) <= 3
    spans = sorted((since, until) for _, since, until in floor.spans)
    assert all(one[1] <= other[0] for one, other in zip(spans, spans[1:], strict=False))


def test_devices_work_side_by_side_and_each_engine_stays_on_its_own() -> None:
    floor = Floor()
    executor = Executor(floor, roster("abcd"), machine=Machine((None, None)))
    board = Board.of(*(Call(name) for name in "abcd"))
    drained(executor, (board, Asking(floor, board)))
    assert Counter(visit.device for visit in executor.visits) == {0: 2, 1: 2}
    assert sorted(each["device"] for each in floor.given) == [0, 0, 1, 1]
    assert max(until for _, _, until in floor.spans) == 4


def opened_directly(executor: Executor, *names: str) -> None:
    async def whole() -> None:
        async with executor:
            for name in names:
                async with executor.open(executor.experts[name]):
                    pass

    run(whole())


def test_a_caller_may_ask_a_worker_by_itself() -> None:
    floor = Floor()
    executor = Executor(floor, roster("abA"))
    opened_directly(executor, "a", "a", "A", "b")
    assert floor.log == ["open a", "open A", "close A", "close a", "open b", "close b"]
    assert [visit.comes for visit in executor.visits] == ["cold", "stays", "cold"]
