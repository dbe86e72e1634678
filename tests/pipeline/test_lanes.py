"""The generate stage with hosted experts: side by side, beside one engine, and how it stops."""

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

from orchestra.errors import BudgetExhausted, WorkerError
from orchestra.pipeline import Generate
from orchestra.records import Absence, Failure, Generation, Plan, Question, Request, Seat, Usage
from orchestra.roster import Expert, Price, Roster
from orchestra.runs import Account, Budget, Ledger, RowKind
from orchestra.workers import Worker
from orchestra.workers.budgeted import Budgeted, worst_cost
from orchestra.workers.hosted.concurrent import ConcurrentWorker
from tests.pipeline.staging import Drafted, Drafting
from tests.virtual_time import now, run

Says = Callable[[Request], str | Failure]
Takes = Callable[[Request], float]

BROKEN = Failure("crash", "out of memory", retryable=True)


def letter(request: Request) -> str:
    return "The answer is (B)."


def but(absent: str = "", failed: str = "") -> Says:
    """B, but nothing readable from some experts, and failures of others."""

    def says(request: Request) -> str | Failure:
        if request.expert in failed:
            return BROKEN
        return "Hm." if request.expert in absent else letter(request)

    return says


def chance(seed: int) -> Says:
    """One of four calls fails, and one of three others says nothing: always the same ones."""

    def says(request: Request) -> str | Failure:
        whose = (seed, request.question_id, request.expert, request.sample)
        draw = Random(repr(whose)).random()
        return BROKEN if draw < 0.25 else "Hm." if draw < 0.5 else letter(request)

    return says


@dataclass
class House:
    """Upper-case experts are hosted, lower-case ones are engines; it takes as long as it is told.

    An engine answers one after another.
    """

    says: Says = letter
    takes: Takes = lambda request: 1.0
    loading: float = 0.0
    window: int = 8
    breaks: str = ""
    stays: list[tuple[str, float, float]] = field(default_factory=list)
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    answered: int = 0
    inside: int = 0
    cancelled: Counter[str] = field(default_factory=Counter)

    def unit(self, expert: Expert) -> str:
        assert not expert.hosted
        return expert.name

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        assert not (others and expert.hosted)
        return self._open(expert, account)

    @asynccontextmanager
    async def _open(self, expert: Expert, account: Account | None) -> AsyncIterator[Worker]:
        since = now()
        try:
            if expert.hosted:
                caller = self if account is None else Budgeted(self, account, worst_cost(PRICE))
                yield ConcurrentWorker(caller, window=self.window)
            else:
                await self._pass(expert.name, self.loading)
                yield self
        finally:
            self.stays.append((expert.name, since, now()))

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        [request] = requests
        self.inside += 1
        try:
            return [await self._answer(request)]
        finally:
            self.inside -= 1

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        for request in requests:
            yield await self._answer(request)

    async def _pass(self, name: str, seconds: float) -> None:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled[name] += 1
            raise

    async def _answer(self, request: Request) -> Generation:
        self.asked.append((request.question_id, request.expert, request.sample))
        await self._pass(request.expert, self.takes(request))
        if request.question_id + request.expert == self.breaks:
            raise RuntimeError("a bug")
        self.answered += 1
        said = self.says(request)
        text, failure = (said, None) if isinstance(said, str) else ("", said)
        return Generation(
            request.key,
            request.question_id,
            request.expert,
            text=text,
            usage=Usage(1, 10, 5, money=PRICE.money(10, 5) * request.expert.isupper()),
            failure=failure,
            sample=request.sample,
        )


PRICE = Price(1_000.0, 1_000.0)
NAMES = "HIJKab"


def expert(name: str) -> Expert:
    if name.isupper():
        return Expert(name, name, worker="openai", base_url=f"http://{name.lower()}/v1")
    return Expert(name, name, worker="local" if name == "b" else "scripted")


def stage(
    house: House,
    settings: Generate | None = None,
    *,
    ledger: Ledger | None = None,
    account: Account | None = None,
    alike: str = "",
) -> Drafting:
    return Drafting(
        Roster.of(*map(expert, NAMES)),
        house,
        {name: "one" if name in alike else f"identity of {name}" for name in NAMES},
        settings=settings or Generate(),
        ledger=ledger,
        account=account,
    )


def questions(count: int) -> dict[str, Question]:
    return {f"q{i}": Question(f"q{i}", f"number {i}?", ("one", "two")) for i in range(count)}


def plan(question_id: str, seats: str, reserves: str = "") -> Plan:
    """One letter for each expert; a letter again is its next sample."""
    names = [*seats, *reserves]
    made = [Seat(n, 1.0, "test", names[:i].count(n)) for i, n in enumerate(names)]
    return Plan(question_id, tuple(made[: len(seats)]), "test", 0, tuple(made[len(seats) :]))


def plans(count: int, seats: str, reserves: str = "") -> list[Plan]:
    return [plan(f"q{i}", seats, reserves) for i in range(count)]


def draft(work: Drafting, asked: Sequence[Plan]) -> Drafted:
    return run(work.run(asked, questions(len(asked))))


def values(drafts: Drafted) -> dict[str, str]:
    """question -> experts in order, `-` after those without an answer."""
    return {
        key: "".join(seat.expert + "-" * (a.value is None) for seat, a in row.items())
        for key, row in drafts.answers.items()
    }


def overlap(one: tuple[str, float, float], other: tuple[str, float, float]) -> bool:
    return one[1] < other[2] and other[1] < one[2]


# --- side by side ---------------------------------------------------------------------


def test_hosted_experts_are_asked_side_by_side_and_beside_one_engine_at_a_time() -> None:
    house = House(takes=lambda r: 20.0 if r.expert.isupper() else 2.0)

    async def main() -> None:
        await stage(house, Generate(calls=6)).run(plans(5, "HaIbJK"), questions(5))
        assert now() == 20.0  # all questions of H, I, J, K at once; 10 s of `a`, then 10 s of `b`

    run(main())
    stays = {name: (name, since, until) for name, since, until in house.stays}
    assert {name: until - since for name, since, until in house.stays} == {
        **dict.fromkeys("HIJK", 20.0),
        **dict.fromkeys("ab", 10.0),
    }
    assert not overlap(stays["a"], stays["b"])
    assert all(overlap(stays[one], stays[other]) for one in "HIJK" for other in "HIJKab")


def test_an_engine_does_not_wait_for_hosted_experts_nor_they_for_it() -> None:
    """A reserve is asked as soon as its expert is free, whoever else is at work."""
    house = House(
        but(absent="Ha"), takes=lambda r: {"H": 1.0, "I": 1.0, "J": 100.0, "a": 50.0}[r.expert]
    )
    work = stage(house, Generate(calls=4, next_if_absent=True, tolerance=1))
    asked = [plan("q0", "HJ", "I"), plan("q1", "a", "I")]
    assert values(draft(work, asked)) == {"q0": "H-JI", "q1": "a-I"}
    assert [stay for stay in house.stays if stay[0] == "I"] == [("I", 1.0, 2.0), ("I", 50.0, 51.0)]


@pytest.mark.parametrize(
    ("seats", "loads"), [("HI", 0), ("HaI", 1), ("aHb", 2), ("ab", 2), ("HIJK", 0)]
)
def test_loads_are_those_of_engines(seats: str, loads: int) -> None:
    house = House()
    drafts = draft(stage(house), plans(3, seats))
    assert sum(name.islower() for name in {name for name, _, _ in house.stays}) == loads
    assert drafts.calls == 3 * len(seats)


# --- alike but in name ----------------------------------------------------------------


@pytest.mark.parametrize("alike", ["HI", "HIJK", "ab"])
@pytest.mark.parametrize("seed", range(3))
def test_experts_alike_but_in_name_are_never_asked_the_same_twice(
    tmp_path: Path, alike: str, seed: int
) -> None:
    asked = [*plans(6, "HIab", "JK")]
    house = House(but(absent="Ia"), random_times(seed))
    settings = Generate(calls=6, next_if_absent=True)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        found = draft(stage(house, settings, ledger=ledger, alike=alike), asked)
    who = [(question, "*" if name in alike else name) for question, name, _ in house.asked]
    assert max(Counter(who).values()) == 1
    assert found.calls == sum(len(row) for row in found.answers.values())
    assert {a.expert == seat.expert for row in found.answers.values() for seat, a in row.items()}


def test_without_a_ledger_all_of_them_are_asked() -> None:
    house = House()
    assert values(draft(stage(house, alike="HI"), plans(2, "HI"))) == {"q0": "HI", "q1": "HI"}
    assert len(house.asked) == 4


# --- arrival --------------------------------------------------------------------------


def random_times(seed: int) -> Takes:
    def takes(request: Request) -> float:
        whose = (seed, request.question_id, request.expert, request.sample)
        return Random(repr(whose)).choice([0.0, 0.1, 1.0, 5.0])

    return takes


MODES: Mapping[str, dict[str, Any]] = {
    "seats only": {},
    "next": {"next_if_absent": True},
    "fallback": {"fallback": True},
    "both": {"next_if_absent": True, "fallback": True},
}


@pytest.mark.parametrize("mode", MODES)
def test_arrival_leaves_no_trace(mode: str) -> None:
    settings = Generate(calls=4, tolerance=1, **MODES[mode])
    asked = [plan(f"q{i}", "HaIbJ"[i % 3 :], "KHbJIa"[i % 2 :]) for i in range(9)]
    calm = draft(stage(House(chance(0)), settings), asked)
    for seed in range(20):
        house = House(chance(0), random_times(seed), window=1 + seed % 4)
        wild = draft(stage(house, settings), asked)
        assert wild == calm
        assert [list(row) for row in wild.answers.values()] == [
            list(row) for row in calm.answers.values()
        ]


# --- reserves -------------------------------------------------------------------------

NEXT = {"next_if_absent": True}
FALL = {"fallback": True}
BOTH = {**NEXT, **FALL}

RESERVES: list[tuple[dict[str, Any], int, str, str, str, str, str, str]] = [
    # options, calls, seats, reserves, say nothing, fail; who is asked, in whose place
    ({}, 4, "HI", "JK", "H", "I", "H-I-", ""),
    (NEXT, 4, "HI", "JK", "H", "", "H-IJ", "J:H"),
    (NEXT, 4, "HI", "JK", "", "I", "HI-J", "J:I"),
    (NEXT, 4, "HI", "JK", "HI", "", "H-I-JK", "J:H K:I"),
    (NEXT, 4, "HI", "JK", "HJ", "", "H-IJ-K", "J:H K:J"),
    (NEXT, 3, "HI", "JK", "HI", "", "H-I-J", "J:H"),
    (NEXT, 2, "HI", "JK", "HI", "", "H-I-", ""),
    (FALL, 2, "HI", "JK", "H", "", "H-I", ""),  # to say nothing is no failure
    (FALL, 2, "HI", "JK", "", "H", "H-IJ", "J:H"),  # a failed call is no call of `calls`
    (FALL, 2, "HI", "JK", "", "HI", "H-I-JK", "J:H K:I"),
    (FALL, 2, "HI", "JK", "", "IJ", "HI-J-K", "J:I K:J"),
    (FALL, 2, "HI", "JK", "H", "I", "H-I-J", "J:I"),
    (FALL, 2, "HI", "JK", "J", "I", "HI-J-", "J:I"),
    (FALL, 2, "HI", "J", "", "HI", "H-I-J", "J:H"),
    (FALL, 1, "HI", "J", "", "H", "H-J", "J:H"),
    (FALL, 5, "Ha", "b", "", "a", "Ha-b", "b:a"),
    (BOTH, 3, "HI", "JKa", "H", "I", "H-I-JK", "J:H K:I"),
    (BOTH, 2, "HI", "JK", "I", "H", "H-I-J", "J:H"),
    (BOTH, 1, "HI", "JK", "", "H", "H-J", "J:H"),  # a seat beyond `calls` takes nothing away
]


def check_reserves(row: tuple[dict[str, Any], int, str, str, str, str, str, str]) -> None:
    options, calls, seats, reserves, absent, failed, asked, instead = row
    settings = Generate(calls=calls, tolerance=1, **options)
    for seed in range(3):
        house = House(but(absent, failed), random_times(seed))
        drafts = draft(stage(house, settings), [plan("q0", seats, reserves)])
        assert values(drafts) == {"q0": asked}
        replaced = [f"{a.expert}:{a.instead_of}" for a in drafts.answers["q0"].values()]
        assert " ".join(each for each in replaced if each[-1] != ":") == instead
        assert drafts.calls == len(asked.replace("-", ""))


@pytest.mark.parametrize("row", RESERVES, ids=str)
def test_who_is_asked_in_whose_place(
    row: tuple[dict[str, Any], int, str, str, str, str, str, str],
) -> None:
    check_reserves(row)


def test_a_failure_has_the_place_even_where_an_empty_seat_stands_before_it() -> None:
    # `calls` leaves no reserve for H, which said nothing: J is asked in place of I, which failed.
    check_reserves((BOTH, 2, "HI", "JK", "H", "I", "H-I-J", "J:I"))


# --- what stops it --------------------------------------------------------------------


def kept(path: Path) -> tuple[int, int]:
    with Ledger(path / "ledger.sqlite") as ledger:
        return ledger.count(RowKind.GENERATION), ledger.count(RowKind.FAILURE)


@pytest.mark.parametrize("budget", [0, 1, 5, 9, 13])
@pytest.mark.parametrize("limit", ["calls", "money"])
def test_a_budget_stops_all_lanes_and_keeps_all_that_was_paid(
    tmp_path: Path, budget: int, limit: str
) -> None:
    asked = plans(6, "HIa", "JK")
    settings = Generate(calls=4, next_if_absent=True, fallback=True, tolerance=1)
    whole = draft(stage(House(chance(1)), settings), asked)
    # Money is held at the worst case, $4.338, for calls that then cost $0.015.
    most = {"calls": budget} if limit == "calls" else {"money": 0.015 * budget + 4.33}
    first, second = House(chance(1), random_times(budget)), House(chance(1))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with Account.open(None, Budget(**most)) as account:
            work = stage(first, settings, ledger=ledger, account=account)
            with pytest.raises(BudgetExhausted, match=f"budget.{limit}") as caught:
                draft(work, asked)
            assert caught.value.exit_code == 4
            spent, held = account.spent, account.held
        assert first.answered == len(first.asked) == spent.calls
        assert not first.inside
        assert not held.calls
        hosted = sum(name.isupper() for _, name, _ in first.asked)
        assert budget == (spent.calls if limit == "calls" else hosted)
        assert sum(kept_in(ledger)) == first.answered
        again = draft(stage(second, settings, ledger=ledger), asked)
    assert again == whole
    # Failures are tried again; answers are not paid twice.
    twice = set(first.asked) & set(second.asked)
    assert all(chance(1)(request_of(each)) is BROKEN for each in twice)


def kept_in(ledger: Ledger) -> tuple[int, int]:
    return ledger.count(RowKind.GENERATION), ledger.count(RowKind.FAILURE)


def request_of(asked: tuple[str, str, int]) -> Request:
    question, name, sample = asked
    sampling = expert(name).sampling
    return Request("", question, name, "generate", (), sampling, sample=sample)


def test_when_the_budget_is_over_hosted_calls_are_waited_for_and_a_loading_engine_is_not(
    tmp_path: Path,
) -> None:
    house = House(takes=lambda r: 30.0 if r.expert == "I" else 1.0, loading=1_000.0)

    async def main() -> None:
        with (
            Ledger(tmp_path / "ledger.sqlite") as ledger,
            Account.open(None, Budget(calls=9)) as account,
        ):
            work = stage(house, ledger=ledger, account=account)
            with pytest.raises(BudgetExhausted):
                await work.run([*plans(8, "HIa")], questions(8))
            # All calls that were paid for have come, and nobody waited for the engine to load.
            assert now() == 30.0

    run(main())
    assert house.answered == len(house.asked) == 9
    assert house.cancelled == {"a": 1}
    assert kept(tmp_path) == (9, 0)


@pytest.mark.parametrize("failing", ["H", "a"])
def test_it_stops_as_soon_as_too_many_have_failed(tmp_path: Path, failing: str) -> None:
    house = House(but(failed=failing), lambda r: 1.0 if r.expert == failing else 1_000.0)

    async def main() -> None:
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            work = stage(house, Generate(calls=4, tolerance=0.1), ledger=ledger)
            with pytest.raises(WorkerError, match="3 of 24 calls failed") as caught:
                await work.run(plans(8, f"{failing}IJ"), questions(8))
            assert caught.value.exit_code == 3
            assert now() < 10

    run(main())
    # An answer that came with the one too many may still be kept.
    assert kept(tmp_path)[1] >= 3


@pytest.mark.parametrize(
    "seats",
    [
        "H",
        "HI",
        "HIa",
    ],
)
def test_after_it_stopped_nobody_is_being_asked(seats: str) -> None:
    house = House(but(failed="H"), lambda r: 1.0 if r.question_id == "q0" else 1_000.0)

    async def main() -> None:
        with pytest.raises(WorkerError):
            await stage(house, Generate(tolerance=0)).run(plans(8, seats), questions(8))
        assert house.inside == 0

    run(main())


@pytest.mark.parametrize("where", ["q3H", "q3a", "q0I"])
def test_a_bug_in_one_lane_ends_the_others_and_is_what_one_sees(tmp_path: Path, where: str) -> None:
    house = House(takes=lambda r: 1.0 if r.expert == where[-1] else 500.0, breaks=where, window=2)

    async def main() -> None:
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            with pytest.raises(RuntimeError, match="a bug"):
                await stage(house, ledger=ledger).run(plans(8, "HIa"), questions(8))
            assert now() < 10
            assert house.inside == 0
            assert sum(kept_in(ledger)) == house.answered

    run(main())
    assert set(house.cancelled) | {where[-1]} == {"H", "I", "a"}


@pytest.mark.parametrize("after", [0.5, 2.5, 5.5])
def test_an_interruption_keeps_what_has_arrived(tmp_path: Path, after: float) -> None:
    house = House(takes=lambda r: float(r.question_id[1:]))

    async def main() -> None:
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            work = stage(house, ledger=ledger)
            task = asyncio.create_task(work.run(plans(8, "HIa"), questions(8)))
            await asyncio.sleep(after)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert now() == after
            assert house.inside == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
    assert kept(tmp_path) == (house.answered, 0)
    assert house.answered >= 2 * (int(after) + 1)


# --- scale ----------------------------------------------------------------------------


class Counted(Request):
    """A Request that is counted as long as it is held."""

    __slots__ = ()
    alive = 0
    most = 0

    def __init__(self, *values: Any, **named: Any) -> None:
        super().__init__(*values, **named)
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)

    def __del__(self) -> None:
        Counted.alive -= 1


def test_twenty_thousand_questions_hold_few_requests_and_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestra.pipeline.context.Request", Counted)
    monkeypatch.setattr(Counted, "alive", 0)
    monkeypatch.setattr(Counted, "most", 0)
    pending: list[int] = []

    class Watched(Ledger):
        def put(self, kind: RowKind, rows: Iterable[tuple[str, Any]]) -> None:
            listed = list(rows)
            pending.append(len(listed))
            super().put(kind, listed)

    count = 20_000
    prompts = {f"q{i}": Question(f"q{i}", f"number {i}?", ("one", "two")) for i in range(count)}
    house = House(window=64, takes=lambda r: 0.001 * (len(r.question_id) % 3))
    with Watched(tmp_path / "ledger.sqlite") as ledger:
        drafts = run(stage(house, ledger=ledger).run(plans(count, "H"), prompts))
    assert drafts.calls == count
    assert Counted.most <= 6 * 64
    assert Counted.alive == 0
    assert sum(pending) == count
    assert max(pending) <= 1_000


def test_absences_are_told_apart() -> None:
    drafts = draft(stage(House(but("H", "I")), Generate(tolerance=1)), plans(1, "HIJ"))
    absences = {seat.expert: answer.absence for seat, answer in drafts.answers["q0"].items()}
    assert absences == {"H": Absence.UNPARSED, "I": Absence.FAILED, "J": None}
    assert drafts.failures == 1
