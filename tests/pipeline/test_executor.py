"""The executor: passes, devices, how engines come and leave, hosted experts, and how it ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from orchestra.errors import BudgetExhausted
from orchestra.pipeline.engines import Load, Visit
from orchestra.pipeline.executor import Executor, OpenWorker
from orchestra.records import Generation, Plan, Question, Request, Seat
from orchestra.roster import Expert, Roster
from orchestra.runs import Account
from orchestra.scheduling import (
    CostModel,
    EngineCost,
    Job,
    Machine,
    Order,
    SimulatedMachine,
    SimulatedWorkers,
    engine,
    forecast,
    schedule,
)
from orchestra.workers import Worker
from orchestra.workers.vllm.engine import Fingerprints, VllmEngine
from tests.virtual_time import now, run
from tests.workers.vllm.test_engine import FAKE, checkpoint
from tests.workers.vllm.test_engine import expert as vllm_expert
from tests.workers.vllm.test_engine import request as vllm_request


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

    A load takes a second.
    """

    can_sleep: bool = True

    log: list[str] = field(default_factory=list)
    spans: list[tuple[str, float, float]] = field(default_factory=list)
    given: list[Mapping[str, Any]] = field(default_factory=list)

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

    @property
    def sleeps(self) -> bool:
        return self.floor.can_sleep

    async def sleep(self, level: int) -> None:
        self.floor.log.append(f"sleep{level} {self.names}")

    async def wake(self) -> None:
        self.floor.log.append(f"wake {self.names}")

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        for _ in requests:
            yield Generation("", "", "", "")


@dataclass
class Asking:
    """Makes calls: those that are known need no worker; `then` says what follows a call.

    Each takes a second.
    """

    floor: Floor
    board: Board
    then: Callable[[Call], Iterable[Call]] = lambda call: ()
    known: Callable[[Call], bool] = lambda call: False
    takes: Callable[[Call], float] = lambda call: 1.0
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
                    await asyncio.sleep(self.takes(call))
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
    names: str,
    calls: Iterable[Call],
    *,
    loaded: Any = None,
    alike: Any = lambda name: name,
    **asking: Any,
) -> tuple[Executor, Floor, Asking]:
    floor, board = Floor(), Board.of(*calls)
    return (
        Executor(floor, roster(names), loaded=loaded, alike=alike),
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
    assert visits == [(unit, "cold", "exit") for unit in "abc"]
    assert (executor.loads, executor.opened, floor.opened) == (3, 2, ["b", "c"])
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
    assert executor.opened == 2


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


# Orders that are carried out.

SLEEPY = EngineCost(
    30, 2, sleep1=4, wake1=1, sleep2=1, wake2=3, device_gib=10, host1_gib=12, host2_gib=1
)


def layered(
    names: str, questions: int, *, layers: int, seats: int, last: str = ""
) -> tuple[list[Job], Board, Callable[[Call], list[Call]]]:
    """Every question's layers one after another, each as soon as its own last one is complete.

    Returns the forecast's jobs, what waits at first, and what follows a call.
    """
    panels = [Random(f"{i}:{names}").sample(names, seats) for i in range(questions)]
    asked = Counter(name for panel in panels for name in panel)
    jobs = [
        Job(name, "generate", layer, asked[name])
        for layer in range(layers)
        for name in names
        if asked[name]
    ]
    if last:
        jobs.append(Job(last, "synthesise", layers, questions))
    open_ = Counter({i: seats for i in range(questions)})

    def then(call: Call) -> list[Call]:
        if call.stage == "synthesise":
            return []
        open_[call.question] -= 1
        if open_[call.question]:
            return []
        layer = call.layer + 1
        if layer < layers:
            open_[call.question] = seats
            return [
                Call(name, layer=layer, question=call.question) for name in panels[call.question]
            ]
        return [Call(last, "synthesise", layers, question=call.question)] if last else []

    first = [Call(name, question=i) for i, panel in enumerate(panels) for name in panel]
    return jobs, Board.of(*first), then


Row = tuple[int, str, str, str, tuple[tuple[Any, int], ...]]


def foreseen(order: Order) -> list[Row]:
    """Device, unit, how it comes and leaves, phases with calls; device by device."""
    rows = [
        (step.device, step.job.unit, step.comes, step.leaves, ((step.job.key, step.job.requests),))
        for step in order.steps
    ]
    return sorted(rows, key=lambda row: row[0])


def done(visits: Iterable[Visit]) -> list[Row]:
    rows = [
        (each.device, each.unit, each.comes, each.leaves, tuple(each.requests.items()))
        for each in visits
    ]
    return sorted(rows, key=lambda row: row[0])


MACHINES = {
    "one at a time": Machine(),
    "two at once": Machine((20.0,)),
    "three devices": Machine((None, None, None)),
    "two devices, sleep": Machine((20.0, 10.0), 30.0),
    "one device, sleep": Machine((10.0,), 64.0),
}


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("shape", [(1, ""), (1, "b"), (3, ""), (3, "d")], ids=str)
@pytest.mark.parametrize("seats", [2, 6])
def test_a_run_makes_the_visits_that_were_planned(
    machine: Machine, shape: tuple[int, str], seats: int
) -> None:
    """Flat and in three layers, with an aggregator that is an expert too; slow and quick calls."""
    jobs, board, then = layered("abcdef", 40, layers=shape[0], seats=seats, last=shape[1])
    known = CostModel(dict.fromkeys("abcdef", SLEEPY), machine)
    order = schedule(jobs, known)
    floor = Floor()
    executor = Executor(floor, roster("abcdef"), machine=known, order=order)
    asking = Asking(floor, board, then, takes=lambda call: Random(repr(call)).random())
    drained(executor, (board, asking))
    assert done(executor.visits) == foreseen(order)
    assert (executor.loads, executor.wakes) == (order.loads, order.wakes)
    assert (executor.opened, executor.woken) == (order.loads, order.wakes)
    assert len(asking.asked) == sum(job.requests for job in jobs)
    assert len(floor.opened) == order.loads
    assert sum(line.startswith("wake") for line in floor.log) == order.wakes
    sleeping = {step.job.unit for step in order.steps if step.leaves.startswith("sleep")}
    assert {given["sleeps"] for given in floor.given} == {
        step.job.unit in sleeping for step in order.steps
    }


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_run_that_goes_on_makes_the_visits_of_one_that_was_never_killed(
    devices: int, share: float
) -> None:
    """However much the ledger has by then; it loads no more engines than a fresh run."""
    names = "abcdef"
    lists: list[list[Row]] = []
    for kept in (0.0, share):
        floor = Floor()
        board, then = reserves(names, 7)
        known = CostModel(dict.fromkeys(names, SLEEPY), Machine((20.0,) * devices, 64.0))
        jobs = [Job(n, "generate", 0, len(row)) for n, row in board.calls.items()]
        executor = Executor(floor, roster(names), machine=known, order=schedule(jobs, known))
        asking = Asking(
            floor,
            board,
            then,
            takes=lambda call: 0.0,
            known=lambda call, kept=kept: Random(repr(call)).random() < kept,  # type: ignore[misc]
        )
        drained(executor, (board, asking))
        assert executor.opened <= executor.loads
        lists.append(done(executor.visits))
    assert lists[0] == lists[1]
    assert bool(executor.opened) == (share < 1)


@pytest.mark.parametrize("can", [True, False])
def test_who_cannot_sleep_stays_or_exits(can: bool) -> None:
    """On a device for one, a, b and a again, as vLLM does on a CPU."""
    jobs = [Job(name, "generate", layer, 1) for layer, name in enumerate("aba")]
    known = CostModel(dict.fromkeys("ab", SLEEPY), Machine((10.0,), 64.0))
    floor = Floor(can_sleep=can)
    experts = [Expert(name, name, worker="local") for name in "ab"]
    executor = Executor(floor, experts, machine=known, order=schedule(jobs, known))
    boards = [Board.of(Call(name, layer=layer)) for layer, name in enumerate("aba")]
    visits = drained(executor, *((board, Asking(floor, board)) for board in boards))
    if can:
        assert visits == [
            ("a", "cold", "sleep2"), ("b", "cold", "exit"), ("a", "wake2", "exit")
        ]  # fmt: skip
        assert floor.log == [
            "open a", "sleep2 a", "open b", "close b", "wake a", "close a"
        ]  # fmt: skip
        assert (executor.opened, executor.woken) == (2, 1)
    else:
        assert floor.log == ["open a", "close a", "open b", "close b", "open a", "close a"]
        assert (executor.opened, executor.woken) == (3, 0)


def drawn(
    names: Sequence[str], seed: int, *, questions: int
) -> tuple[list[list[str]], Board, Callable[[Call], list[Call]]]:
    """Questions for 3 experts each; a tenth of the answers is absent, and up to 2 reserves are
    asked in their place. Returns all experts of each question in their order too."""
    draw = Random(f"{seed}")
    rows = [draw.sample(names, len(names)) for _ in range(questions)]
    absent = {(i, name): draw.random() < 0.1 for i in range(questions) for name in names}
    asked = Counter({i: 3 for i in range(questions)})

    def then(call: Call) -> list[Call]:
        row, place = rows[call.question], asked[call.question]
        if not absent[call.question, call.expert] or place == min(5, len(row)):
            return []
        asked[call.question] += 1
        return [Call(row[place], question=call.question)]

    first = [Call(n, question=i) for i, row in enumerate(rows) for n in row[:3]]
    return rows, Board.of(*first), then


def reserves(names: Sequence[str], seed: int) -> tuple[Board, Callable[[Call], list[Call]]]:
    """The same of 500 questions."""
    return drawn(names, seed, questions=500)[1:]


@pytest.mark.parametrize(("count", "before"), [(5, 57), (8, 101), (24, 367)])
def test_reserves_take_no_more_loads_than_the_least_turned_to_first(
    count: int, before: int
) -> None:
    """`before`: loads of the same five batches by the rule that runs had before passes: the
    expert to which fewest unfinished questions may still turn is next."""
    names = [f"{chr(ord('a') + i)}" for i in range(count)]
    loads = 0
    for seed in range(5):
        floor = Floor()
        board, then = reserves(names, seed)
        jobs = [Job(name, "generate", 0, len(row)) for name, row in board.calls.items()]
        known = CostModel(dict.fromkeys(names, EngineCost(1, 0)))
        executor = Executor(floor, roster(names), machine=known, order=schedule(jobs, known))
        drained(executor, (board, Asking(floor, board, then, takes=lambda call: 0.0)))
        assert count <= executor.loads
        loads += executor.loads
    assert loads <= before


def test_calls_are_within_the_forecast_in_95_of_100_runs_and_loads_never_below_the_bound() -> None:
    names = "abcde"
    experts = [Expert(name, name, worker="scripted") for name in names]
    inside = 0
    for seed in range(100):
        rows, board, then = drawn(names, seed, questions=60)
        plans = [
            Plan(f"q{i}", tuple(Seat(n, 1.0, "") for n in row[:3]), "", 0,
                 tuple(Seat(n, 1.0, "") for n in row[3:]))
            for i, row in enumerate(rows)
        ]  # fmt: skip
        estimate = forecast(
            plans,
            {plan.question_id: Question(plan.question_id, "?") for plan in plans},
            Roster.of(*experts),
            lengths={},
            absent=dict.fromkeys(names, 0.1),
            calls=5,
        )
        order = schedule(estimate.jobs, CostModel.of(experts))
        floor = Floor()
        executor = Executor(floor, experts, order=order)
        asking = Asking(floor, board, then, takes=lambda call: 0.0)
        drained(executor, (board, asking))
        assert executor.loads >= order.fewest_loads
        inside += estimate.sent.low <= len(asking.asked) <= estimate.sent.high
    assert inside >= 95


class Pace:
    """Calls take a random time."""

    def __init__(self, seed: str) -> None:
        self._draw = Random(seed)

    def __call__(self, call: Call) -> float:
        return self._draw.random()


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_replies_make_the_same_visits_however_long_they_take(
    devices: int, seed: int
) -> None:
    """What a run's replies lead to on real engines, they lead to on simulated ones."""
    names = "abcdefgh"
    known = CostModel({name: engine(10.0) for name in names}, Machine((20.0,) * devices, 64.0))
    order = schedule(
        [Job(n, "generate", 0, 180) for n in names] + [Job("c", "synthesise", 1, 9)], known
    )
    lists: list[list[Row]] = []
    for simulated in (False, False, True):
        floor = Floor()
        board, then = reserves(names, seed)
        workers = SimulatedWorkers(SimulatedMachine(known)) if simulated else floor
        executor = Executor(workers, roster(names, 10.0), machine=known, order=order)
        asking = Asking(floor, board, then, takes=Pace(f"{seed}:{len(lists)}"))
        last = Board.of(*(Call("c", "synthesise", 1, question=i) for i in range(9)))
        drained(executor, (board, asking), (last, Asking(floor, last)))
        lists.append(done(executor.visits))
    assert lists[0] == lists[1] == lists[2]
    assert executor.loads >= 8


class VllmFloor:
    """Opens vLLM engines whose child plays a script."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._prints = Fingerprints()

    def unit(self, expert: Expert) -> str:
        return expert.name

    def open(
        self,
        expert: Expert,
        *others: Expert,
        account: Account | None = None,
        device: int | None = None,
        sleeps: bool = False,
    ) -> VllmEngine:
        return VllmEngine(
            (expert, *others),
            fingerprints=self._prints,
            report=self.lines.append,
            sleeps=sleeps,
            device=device,
            program=FAKE,
        )


@pytest.mark.parametrize(
    ("faults", "processes", "reports"),
    [({}, 1, 0), ({"garbage": True}, 2, 1)],
    ids=["wakes", "wakes as another"],
)
def test_a_vllm_engine_sleeps_and_wakes_as_planned(
    tmp_path: Path, faults: dict[str, Any], processes: int, reports: int
) -> None:
    folders = {name: checkpoint(tmp_path / name, faults) for name in "ab"}
    experts = [vllm_expert(folder, name) for name, folder in folders.items()]
    jobs = [Job(name, "generate", layer, 1) for layer, name in enumerate("aba")]
    known = CostModel(dict.fromkeys("ab", SLEEPY), Machine((10.0,), 64.0))
    floor = VllmFloor()

    async def ask(
        calls: Sequence[Call], experts: Sequence[Expert], open_worker: OpenWorker
    ) -> None:
        async with open_worker() as worker:
            asked = [vllm_request(call.layer, who=call.expert) for call in calls]
            texts = [reply.text async for reply in worker.generate(asked)]
            assert texts == [f":question {call.layer}:None" for call in calls]

    async def whole() -> Executor:
        async with Executor(floor, experts, machine=known, order=schedule(jobs, known)) as executor:
            for layer, name in enumerate("aba"):
                await executor.drain(Board.of(Call(name, layer=layer)), ask)
        return executor

    executor = asyncio.run(whole())
    assert [(each.unit, each.comes, each.leaves) for each in executor.visits] == [
        ("a", "cold", "sleep2"), ("b", "cold", "exit"), ("a", "wake2", "exit")
    ]  # fmt: skip
    assert (executor.opened, executor.woken) == (2, 1)
    assert len((folders["a"] / "loads").read_text().split()) == processes
    assert len(floor.lines) == reports
