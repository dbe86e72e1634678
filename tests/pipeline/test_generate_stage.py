"""The generate stage: who is asked, in which order, what is kept, and what stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from orchestra.errors import BudgetExhausted, WorkerError
from orchestra.pipeline import Generate
from orchestra.pipeline.counts import total
from orchestra.records import (
    Absence,
    Failure,
    Generation,
    Plan,
    Question,
    Request,
    Seat,
    Usage,
)
from orchestra.roster import Expert, Roster
from orchestra.runs import Account, Budget, Ledger, RowKind
from orchestra.workers import Worker
from tests.pipeline.staging import Drafted, Drafting

Says = Callable[[Request], str | Failure]
OPTIONS = ("one", "two", "three")


@dataclass
class Desk:
    """Workers that write down who was opened and asked; their order of arrival is shuffled."""

    says: Says
    shuffle: int | None = None
    forgets: str = ""
    breaks: str = ""
    units: dict[str, str] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    def unit(self, expert: Expert) -> str:
        return self.units.get(expert.name, expert.name)

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        self.opened.append("+".join(each.name for each in (expert, *others)))
        return self._open()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Worker]:
        yield self

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        order = list(requests)
        if self.shuffle is not None:
            Random(self.shuffle).shuffle(order)
        for at, request in enumerate(order):
            if self.shuffle is not None and (at + self.shuffle) % 3 == 0:
                await asyncio.sleep(0)
            if request.question_id == self.forgets:
                continue
            if request.question_id == self.breaks:
                raise RuntimeError("a bug")
            self.asked.append((request.question_id, request.expert, request.sample))
            yield generation(request, self.says(request))


def generation(request: Request, said: str | Failure) -> Generation:
    failed = isinstance(said, Failure)
    return Generation(
        request.key,
        request.question_id,
        request.expert,
        text="" if isinstance(said, Failure) else said,
        usage=Usage(1, 10, 0 if failed else 5, money=0.1),
        failure=said if isinstance(said, Failure) else None,
        sample=request.sample,
    )


def letter(request: Request) -> str:
    return "The answer is (B)."


def silent(*who: tuple[str, str]) -> Says:
    """Nothing readable from these (question, expert) pairs, B from all others."""
    return lambda r: "Hm." if (r.question_id, r.expert) in who else letter(r)


def failing(*who: tuple[str, str]) -> Says:
    broken = Failure("crash", "out of memory", retryable=True)
    return lambda r: broken if (r.question_id, r.expert) in who else letter(r)


def questions(n: int, text: str = "") -> dict[str, Question]:
    return {f"q{i}": Question(f"q{i}", text or f"number {i}?", OPTIONS) for i in range(n)}


def plan(question_id: str, seats: str, reserves: str = "") -> Plan:
    """One letter for each expert; a letter again is its next sample."""
    names = [*seats, *reserves]
    all_seats = [Seat(n, 1.0, "test", names[:i].count(n)) for i, n in enumerate(names)]
    return Plan(
        question_id, tuple(all_seats[: len(seats)]), "test", 0, tuple(all_seats[len(seats) :])
    )


def stage(
    desk: Desk,
    settings: Generate | None = None,
    *,
    names: str = "abcd",
    ledger: Ledger | None = None,
    account: Account | None = None,
    alike: bool = False,
) -> Drafting:
    roster = Roster.of(*(Expert(name, name, worker="scripted") for name in names))
    return Drafting(
        roster,
        desk,
        {name: "one" if alike else f"identity of {name}" for name in names},
        settings=settings or Generate(),
        ledger=ledger,
        account=account,
    )


def draft(work: Drafting, plans: Sequence[Plan], asked: Mapping[str, Question]) -> Drafted:
    return asyncio.run(work.run(plans, asked))


def values(drafts: Drafted) -> dict[str, dict[str, str | None]]:
    return {
        each: {f"{seat.expert}{seat.sample or ''}": answer.value for seat, answer in row.items()}
        for each, row in drafts.answers.items()
    }


NEXT = Generate(calls=3, next_if_absent=True)


def test_each_expert_is_opened_once() -> None:
    desk = Desk(letter)
    plans = [plan("q0", "abc"), plan("q1", "cba"), plan("q2", "bd")]
    drafts = draft(stage(desk), plans, questions(3))
    assert sorted(desk.opened) == ["a", "b", "c", "d"]
    assert values(drafts) == {
        "q0": {"a": "B", "b": "B", "c": "B"},
        "q1": {"c": "B", "b": "B", "a": "B"},
        "q2": {"b": "B", "d": "B"},
    }
    assert (drafts.calls, drafts.failures) == (8, 0)
    # One after another: abc, cba (c is there), bd.
    assert len(desk.opened) == 4


def test_experts_of_one_unit_share_a_load() -> None:
    desk = Desk(letter, units=dict.fromkeys("abc", "base"))
    drafts = draft(stage(desk), [plan("q0", "abd"), plan("q1", "dc")], questions(2))
    assert sorted(desk.opened) == ["a+b+c", "d"]
    assert values(drafts) == {"q0": {"a": "B", "b": "B", "d": "B"}, "q1": {"d": "B", "c": "B"}}
    # One after another: the base and d for q0; d is there, then the base again.
    assert len(desk.opened) == 2


def test_experts_that_are_the_same_but_in_name_are_all_answered_in_one_unit() -> None:
    desk = Desk(letter, units=dict.fromkeys("ab", "base"))
    drafts = draft(stage(desk, alike=True), [plan("q0", "ab")], questions(1))
    assert values(drafts) == {"q0": {"a": "B", "b": "B"}}


def test_no_more_seats_than_calls() -> None:
    desk = Desk(letter)
    drafts = draft(stage(desk, Generate(calls=2)), [plan("q0", "abcd")], questions(1))
    assert values(drafts) == {"q0": {"a": "B", "b": "B"}}


@pytest.mark.parametrize(
    ("seats", "reserves", "absent", "wanted"),
    [
        ("a", "bcd", "", "a"),
        ("a", "bcd", "a", "ab"),
        ("a", "bcd", "ab", "abc"),
        ("a", "bcd", "abc", "abc"),  # never a fourth call
        ("ab", "cd", "ab", "abc"),
        ("ab", "cd", "b", "abc"),
        ("abc", "d", "abc", "abc"),
        ("abcd", "", "abcd", "abc"),
        ("a", "", "a", "a"),
        ("a", "aab", "a", "aaa"),  # a reserve may be another draw of the same expert
    ],
)
def test_the_next_reserve_in_order_never_past_the_calls(
    seats: str, reserves: str, absent: str, wanted: str
) -> None:
    desk = Desk(silent(*(("q0", name) for name in absent)))
    drafts = draft(stage(desk, NEXT), [plan("q0", seats, reserves)], questions(1))
    assert "".join(seat.expert for seat in drafts.answers["q0"]) == wanted
    assert drafts.calls == len(wanted)


def test_reserves_stay_where_the_pipeline_does_not_ask_for_them() -> None:
    desk = Desk(silent(("q0", "a")))
    drafts = draft(stage(desk, Generate(calls=3)), [plan("q0", "a", "bcd")], questions(1))
    assert values(drafts) == {"q0": {"a": None}}


def test_an_expert_that_questions_may_turn_to_is_loaded_late() -> None:
    # By roster order `a` would come first, and again when q1's `b` says nothing.
    desk = Desk(silent(("q1", "b")))
    plans = [plan("q0", "a"), plan("q1", "b", "a")]
    drafts = draft(stage(desk, NEXT), plans, questions(2))
    assert desk.opened == ["b", "a"]
    assert values(drafts) == {"q0": {"a": "B"}, "q1": {"b": None, "a": "B"}}


def test_one_text_under_two_ids_is_asked_twice() -> None:
    desk = Desk(letter)
    drafts = draft(stage(desk), [plan("q0", "a"), plan("q1", "a")], questions(2, "the same?"))
    assert desk.asked == [("q0", "a", 0), ("q1", "a", 0)]
    assert set(drafts.answers) == {"q0", "q1"}


def test_draws_of_one_expert_are_calls_of_their_own() -> None:
    desk = Desk(lambda r: f"The answer is ({'ABC'[r.sample]}).")
    drafts = draft(stage(desk), [plan("q0", "aba")], questions(1))
    assert values(drafts) == {"q0": {"a": "A", "b": "A", "a1": "B"}}
    assert desk.opened == ["a", "b"]


@pytest.mark.parametrize("seed", range(10))
def test_arrival_leaves_no_trace(seed: int) -> None:
    says = silent(("q1", "a"), ("q3", "b"), ("q3", "a"), ("q5", "c"))
    plans = [plan(f"q{i}", "aab"[i % 3 :], "cdb") for i in range(8)]
    calm, wild = Desk(says), Desk(says, shuffle=seed)
    first = draft(stage(calm, NEXT), plans, questions(8))
    second = draft(stage(wild, NEXT), plans, questions(8))
    assert calm.asked != wild.asked
    assert first == second
    assert [list(row) for row in first.answers.values()] == [
        list(row) for row in second.answers.values()
    ]


def test_what_calls_cost() -> None:
    desk = Desk(letter)
    drafts = draft(stage(desk), [plan("q0", "ab"), plan("q1", "a")], questions(2))
    assert drafts.usage["a"] == Usage(2, 20, 10, money=0.2)
    assert drafts.usage["b"] == Usage(1, 10, 5, money=0.1)


def test_a_sum_of_usages_does_not_depend_on_the_order() -> None:
    parts = [Usage(1, i, 2 * i, money=0.1 * i, estimated=i == 4) for i in range(100)]
    shuffled = Random(1).sample(parts, len(parts))
    assert total(parts) == total(shuffled)
    assert total(parts).estimated
    assert total([]) == Usage()


# Failures


def test_a_failure_is_an_absence_and_turns_to_the_reserve() -> None:
    desk = Desk(failing(("q0", "a")))
    settings = Generate(calls=3, next_if_absent=True, tolerance=0.5)
    drafts = draft(stage(desk, settings), [plan("q0", "a", "b")], questions(1))
    answers = {seat.expert: answer for seat, answer in drafts.answers["q0"].items()}
    assert (answers["a"].value, answers["a"].absence) == (None, Absence.FAILED)
    assert answers["b"].value == "B"
    assert (drafts.calls, drafts.failures) == (2, 1)


@pytest.mark.parametrize(("tolerance", "stops"), [(0.0, True), (0.24, True), (0.25, False)])
def test_tolerance(tolerance: float, stops: bool) -> None:
    work = stage(Desk(failing(("q0", "a"))), Generate(tolerance=tolerance))
    plans = [plan("q0", "ab"), plan("q1", "ab")]
    if not stops:
        assert draft(work, plans, questions(2)).failures == 1
        return
    with pytest.raises(WorkerError, match="1 of 4 calls failed") as caught:
        draft(work, plans, questions(2))
    assert caught.value.exit_code == 3


def test_an_answer_that_was_never_recorded_is_no_failure_of_the_run() -> None:
    desk = Desk(lambda r: Failure("not_recorded"))
    drafts = draft(stage(desk, Generate(tolerance=0)), [plan("q0", "a")], questions(1))
    assert drafts.failures == 0
    assert [a.absence for a in drafts.answers["q0"].values()] == [Absence.NOT_RECORDED]


def test_a_request_without_reply_is_a_failure_and_is_not_kept(tmp_path: Path) -> None:
    desk = Desk(letter, forgets="q0")
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        work = stage(desk, Generate(tolerance=1), ledger=ledger)
        drafts = draft(work, [plan("q0", "a"), plan("q1", "a")], questions(2))
        assert ledger.count(RowKind.GENERATION) == 1
    assert [a.absence for a in drafts.answers["q0"].values()] == [Absence.FAILED]
    assert drafts.failures == 1


@pytest.mark.parametrize("key", ["", "another"])
def test_a_reply_to_no_request(key: str) -> None:
    class Confused(Desk):
        async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
            for request in requests:
                yield Generation(key, request.question_id, request.expert, text="B")

    with pytest.raises(WorkerError, match="expert `a`: its worker answered a request"):
        draft(stage(Confused(letter)), [plan("q0", "a")], questions(1))


def test_two_replies_to_one_request() -> None:
    class Doubling(Desk):
        async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
            for request in [*(given := list(requests)), *given]:
                yield generation(request, "The answer is (A).")

    with pytest.raises(WorkerError, match="not waiting"):
        draft(stage(Doubling(letter)), [plan("q0", "a")], questions(1))


# With a ledger


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    with Ledger(path / "ledger.sqlite") as ledger:
        yield ledger


def test_what_is_known_is_not_asked_again(tmp_path: Path) -> None:
    plans = [plan("q0", "ab"), plan("q1", "ab")]
    first, second = Desk(letter), Desk(letter)
    with opened(tmp_path) as ledger:
        one = draft(stage(first, ledger=ledger), plans, questions(2))
    with opened(tmp_path) as ledger:
        two = draft(stage(second, ledger=ledger), plans, questions(2))
    assert (len(first.asked), second.asked, second.opened) == (4, [], [])
    assert one == two  # loads and cost too: they are the run's, not the process's


def test_a_failure_is_tried_again_and_then_gone(tmp_path: Path) -> None:
    plans = [plan("q0", "ab"), plan("q1", "ab")]
    settings = Generate(tolerance=1)
    with opened(tmp_path) as ledger:
        draft(stage(Desk(failing(("q0", "a"))), settings, ledger=ledger), plans, questions(2))
        assert (ledger.count(RowKind.GENERATION), ledger.count(RowKind.FAILURE)) == (3, 1)
    again = Desk(letter)
    with opened(tmp_path) as ledger:
        drafts = draft(stage(again, settings, ledger=ledger), plans, questions(2))
        assert (ledger.count(RowKind.GENERATION), ledger.count(RowKind.FAILURE)) == (4, 0)
    assert again.asked == [("q0", "a", 0)]
    assert drafts.failures == 0


def test_experts_that_differ_in_name_only_share_their_generations(tmp_path: Path) -> None:
    desk = Desk(letter)
    with opened(tmp_path) as ledger:
        drafts = draft(stage(desk, ledger=ledger, alike=True), [plan("q0", "ab")], questions(1))
    assert desk.asked == [("q0", "a", 0)]
    assert {seat.expert: a.expert for seat, a in drafts.answers["q0"].items()} == {
        "a": "a",
        "b": "b",
    }


def test_a_bug_in_a_worker_loses_nothing_that_arrived(tmp_path: Path) -> None:
    plans = [plan(f"q{i}", "a") for i in range(5)]
    with opened(tmp_path) as ledger, pytest.raises(RuntimeError, match="a bug"):
        draft(stage(Desk(letter, breaks="q3"), ledger=ledger), plans, questions(5))
    with opened(tmp_path) as ledger:
        assert ledger.count(RowKind.GENERATION) == 3


def calls(folder: Path, most: int) -> Account:
    return Account.open(folder / "spending.sqlite", Budget(calls=most), run="r")


@pytest.mark.parametrize("budget", range(0, 9))
def test_a_budget_stops_at_its_last_call_and_a_larger_one_goes_on(
    tmp_path: Path, budget: int
) -> None:
    plans = [plan(f"q{i}", "ab", "c") for i in range(4)]
    says = silent(("q2", "a"))
    whole = draft(stage(Desk(says), NEXT), plans, questions(4))
    desk = Desk(says)
    with opened(tmp_path) as ledger, calls(tmp_path, budget) as account:
        with pytest.raises(BudgetExhausted) as caught:
            draft(stage(desk, NEXT, ledger=ledger, account=account), plans, questions(4))
        assert ledger.count(RowKind.GENERATION) == len(desk.asked) == budget
    assert caught.value.exit_code == 4
    again = Desk(says)
    with opened(tmp_path) as ledger, calls(tmp_path, 9) as account:
        drafts = draft(stage(again, NEXT, ledger=ledger, account=account), plans, questions(4))
    assert drafts == whole
    assert sorted(desk.asked + again.asked) == sorted(set(desk.asked + again.asked))
    assert drafts.calls == 9


def test_replayed_calls_count_towards_the_budget(tmp_path: Path) -> None:
    plans = [plan(f"q{i}", "a") for i in range(4)]
    for _ in range(2):
        desk = Desk(letter)
        with (
            opened(tmp_path) as ledger,
            calls(tmp_path, 3) as account,
            pytest.raises(BudgetExhausted),
        ):
            draft(stage(desk, ledger=ledger, account=account), plans, questions(4))
    assert desk.asked == []


def test_progress_ends_at_the_end() -> None:
    told: list[tuple[str, int, int]] = []
    roster = Roster.of(*(Expert(name, name, worker="scripted") for name in "ab"))
    work = Drafting(
        roster,
        Desk(silent(("q0", "a"))),
        {"a": "1", "b": "2"},
        settings=NEXT,
        progress=lambda *now: told.append(now),
    )
    draft(work, [plan("q0", "a", "b"), plan("q1", "a")], questions(2))
    assert told == [("generate", 1, 3), ("generate", 2, 3), ("generate", 3, 3)]


def test_a_long_wait_commits_what_has_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def says(request: Request) -> str:
        with Ledger(tmp_path / "ledger.sqlite", readonly=True) as reader:
            seen.append(reader.count(RowKind.GENERATION))
        return letter(request)

    monkeypatch.setattr("orchestra.runs.ledger._SECONDS", -1.0)
    with opened(tmp_path) as ledger:
        draft(
            stage(Desk(says), ledger=ledger), [plan(f"q{i}", "a") for i in range(4)], questions(4)
        )
    assert seen == [0, 1, 2, 3]
