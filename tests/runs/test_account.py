"""Never past a limit at any moment, first come first served, and never stopped without need."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import BudgetExhausted, InputError, RunConflict
from orchestra.runs import Ledger
from orchestra.runs.account import Account
from orchestra.runs.account_store import AccountStore
from orchestra.runs.budget import NOTHING, PICO, Budget, Cost, Entry, Hold, lacking
from tests.virtual_time import now, run


@pytest.fixture(params=["memory", "file"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "budget.sqlite" if request.param == "file" else None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "budget.sqlite"


def calls(count: int) -> Cost:
    return Cost(calls=count)


async def turns(count: int = 5) -> None:
    """Let everybody do what they can, and the file be written."""
    for _ in range(count):
        await asyncio.sleep(0.01)


# --- one account ----------------------------------------------------------------------


def test_what_is_held_is_spent_at_what_it_did_cost(path: Path | None) -> None:
    async def main(account: Account) -> None:
        first = await account.reserve(Cost(1, 100, 50), "ada")
        second = await account.reserve(Cost(1, 200, 70), "bob")
        assert (account.spent, account.held) == (NOTHING, Cost(2, 300, 120))
        account.settle(first, Cost(1, 10, 5))
        third = await account.reserve(Cost(1, 9, 9), "ada")
        account.release(third)
        assert account.entries() == {
            "ada": Entry(spent=Cost(1, 10, 5)),
            "bob": Entry(held=Cost(1, 200, 70)),
        }
        account.settle(second, Cost(1, 20, 7))
        assert (account.spent, account.held) == (Cost(2, 30, 12), NOTHING)

    with Account.open(path, Budget(money=1), run="r") as account:
        run(main(account))
    assert account.spent == Cost(2, 30, 12)
    assert account.entries()["bob"] == Entry(spent=Cost(1, 20, 7))


def test_with_room_and_no_file_nothing_waits() -> None:
    account = Account.open(None, Budget(calls=1))
    asked = account.reserve(calls(1), "ada")
    with pytest.raises(StopIteration) as done:
        asked.send(None)  # without any event loop
    assert isinstance(done.value.value, Hold)


@pytest.mark.parametrize(
    ("budget", "asks", "when"),
    [
        # The third call is asked for at once, and refused when the second comes back; or nobody
        # asks, and no call is left when the second comes back.
        (Budget(tokens=25), True, 2.0),
        (Budget(calls=2), True, 2.0),
        (Budget(calls=2), False, 2.0),
        (Budget(tokens=20), False, 900.0),  # who knows how small the next one is
        (Budget(calls=3), False, 900.0),
    ],
)
def test_when_it_refuses_whoever_waits_for_something_else_ends(
    path: Path | None, budget: Budget, asks: bool, when: float
) -> None:
    async def wait(account: Account) -> str:
        try:
            with account.waits:
                await asyncio.sleep(900.0)
        except BudgetExhausted:
            return "refused"
        return "waited"

    async def main(account: Account) -> None:
        waiting = [asyncio.create_task(wait(account)) for _ in range(3)]
        holds = [await account.reserve(Cost(1, 10), "ada") for _ in range(2)]
        third = asyncio.create_task(account.reserve(Cost(1, 10), "bob")) if asks else None
        for seconds, hold in enumerate(holds, 1):
            await asyncio.sleep(seconds - now())
            assert not any(each.done() for each in waiting)
            account.settle(hold, Cost(1, 10))
        ended = await asyncio.gather(*waiting)
        assert set(ended) == {"refused" if when == 2.0 else "waited"}
        assert now() == pytest.approx(when, abs=0.2)
        if third is not None:
            with pytest.raises(BudgetExhausted):
                await third
        if when == 2.0:  # nor does anybody begin to wait
            assert await wait(account) == "refused"
            assert now() < 3.0

    with Account.open(path, budget) as account:
        run(main(account))


def test_no_limit_is_no_limit(path: Path | None) -> None:
    async def main(account: Account) -> None:
        for _ in range(3):
            await account.reserve(Cost(10**17, 10**17, 10**17), "ada")

    with Account.open(path, Budget()) as account:
        run(main(account))


def test_waits_for_refunds_and_then_is_refused(path: Path | None) -> None:
    async def main(account: Account) -> None:
        hold = await account.reserve(calls(8), "ada")
        waits = [asyncio.create_task(account.reserve(calls(n), "ada")) for n in (4, 1, 6)]
        await turns()
        assert not any(each.done() for each in waits)  # the 1 would fit, but is not first
        account.settle(hold, calls(6))
        await turns()
        assert [each.done() for each in waits] == [True, False, False]
        account.release(waits[0].result())
        await turns()
        assert [each.done() for each in waits] == [True, True, False]
        account.settle(waits[1].result(), calls(1))
        with pytest.raises(BudgetExhausted, match=r"10 calls may be spent, 7 calls are spent"):
            await waits[2]
        # From then on nobody is served, though this would fit.
        for cost in (calls(1), NOTHING):
            with pytest.raises(BudgetExhausted, match=r"may cost 6 calls"):
                await account.reserve(cost, "bob")
        with pytest.raises(BudgetExhausted):
            account.reserve_now([(calls(1), "bob")])
        assert account.spent == calls(7)

    with Account.open(path, Budget(calls=10)) as account:
        run(main(account))


def test_all_who_wait_are_refused(path: Path | None) -> None:
    async def main(account: Account) -> list[Any]:
        hold = await account.reserve(calls(5), "ada")
        waits = [asyncio.create_task(account.reserve(calls(6), str(n))) for n in range(5)]
        await turns()
        account.settle(hold, calls(5))
        return await asyncio.gather(*waits, return_exceptions=True)

    with Account.open(path, Budget(calls=10)) as account:
        errors = run(main(account))
    assert {type(each) for each in errors} == {BudgetExhausted}
    assert len({id(each) for each in errors}) == 5
    assert len({str(each) for each in errors}) == 1


@given(
    st.lists(st.integers(0, 10), min_size=1, max_size=30),
    st.integers(10, 25),
    st.randoms(use_true_random=False),
)
def test_first_come_first_served(asked: list[int], most: int, random: Random) -> None:
    order: list[int] = []

    async def one(account: Account, number: int) -> None:
        hold = await account.reserve(calls(asked[number]), str(number))
        order.append(number)
        await asyncio.sleep(random.random())
        account.release(hold)

    async def main() -> None:
        account = Account.open(None, Budget(calls=most))
        await asyncio.gather(*(one(account, number) for number in range(len(asked))))
        assert account.spent == account.held == NOTHING

    run(main())
    assert order == list(range(len(asked)))


def test_who_gives_up_is_out_of_the_way(path: Path | None) -> None:
    async def main(account: Account) -> None:
        hold = await account.reserve(calls(8), "ada")
        first, second, third = (
            asyncio.create_task(account.reserve(calls(n), "ada")) for n in (9, 2, 9)
        )
        await turns()
        first.cancel()
        await turns()
        assert second.done()
        assert not third.done()
        third.cancel()
        account.settle(hold, calls(8))
        account.release(await second)
        await turns()
        assert (account.spent, account.held) == (calls(8), NOTHING)

    with Account.open(path, Budget(calls=10)) as account:
        run(main(account))


def test_cancelled_just_as_it_is_served(path: Path | None) -> None:
    async def main(account: Account) -> None:
        hold = await account.reserve(calls(10), "ada")
        wait = asyncio.create_task(account.reserve(calls(10), "ada"))
        await turns()
        account.release(hold)
        while account.held == NOTHING:  # until it is served, but has not gone on
            await asyncio.sleep(0)
        assert not wait.done()
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        assert account.held == NOTHING

    with Account.open(path, Budget(calls=10)) as account:
        run(main(account))


def test_settled_once(path: Path | None) -> None:
    async def main(account: Account) -> None:
        hold = await account.reserve(calls(1), "ada")
        account.release(hold)
        with pytest.raises(ValueError, match="settled once"):
            account.settle(hold, calls(1))

    with Account.open(path, Budget()) as account:
        run(main(account))
    with pytest.raises(ValueError, match="closed"):
        account.reserve_now([])


def test_a_limit_that_is_passed_stops_only_what_takes_of_it(path: Path | None) -> None:
    """A bill may be higher than was foreseen."""

    async def main(account: Account) -> None:
        hold = await account.reserve(Cost(1, 10, PICO), "ada")
        account.settle(hold, Cost(1, 10, 2 * PICO))
        account.settle(await account.reserve(Cost(1, 10), "free"), Cost(1, 10))
        with pytest.raises(BudgetExhausted, match=r"\$1 may be spent, \$2 is spent"):
            await account.reserve(Cost(1, 10, 1), "ada")

    with Account.open(path, Budget(money=1)) as account:
        run(main(account))


@pytest.mark.parametrize(("most", "expected"), [(100, 4), (6, 3), (5, 2), (0, 0)])
def test_as_many_as_fit_now(path: Path | None, most: int, expected: int) -> None:
    costs = [(calls(n), "ada") for n in (1, 2, 3, 1)]
    with Account.open(path, Budget(calls=most)) as account:
        holds = account.reserve_now(costs)
        assert [each.cost for each in holds] == [cost for cost, _ in costs[:expected]]
        assert account.held == sum((each.cost for each in holds), NOTHING)
        for each in holds:
            account.settle(each, calls(1))
        assert account.spent == calls(expected)


def test_none_now_while_others_wait(path: Path | None) -> None:
    async def main(account: Account) -> None:
        hold = await account.reserve(calls(8), "ada")
        wait = asyncio.create_task(account.reserve(calls(9), "ada"))
        await turns()
        assert account.reserve_now([(calls(1), "bob")]) == []
        account.release(hold)
        await wait

    with Account.open(path, Budget(calls=10)) as account:
        run(main(account))


# --- the file -------------------------------------------------------------------------


def test_a_file_remembers(file: Path) -> None:
    for session in range(3):
        with Account.open(file, Budget(calls=100), run="r") as account:
            assert account.spent == calls(session * 3)
            first, second = account.reserve_now([(calls(5), "ada"), (calls(1), "bob")])
            account.settle(first, calls(2))
            account.settle(second, calls(1))
    with Account.open(file, Budget(), run="another") as account:
        assert account.spent == calls(9)
        assert account.entries() == {}
    with Account.open(file, Budget(calls=9), run="r") as account:
        assert account.entries() == {"ada": Entry(calls(6)), "bob": Entry(calls(3))}
        assert account.reserve_now([(calls(1), "ada")]) == []
    assert [each.name for each in file.parent.iterdir()] == [file.name]


# What the first version wrote, with one run closed and the process of another killed.
EARLIER = """
CREATE TABLE totals (calls INTEGER, tokens INTEGER, money INTEGER,
 lost_calls INTEGER, lost_tokens INTEGER, lost_money INTEGER, seconds REAL);
INSERT INTO totals VALUES (2, 11, 9, 1, 7, 7, 2.5);
CREATE TABLE closed (run TEXT, who TEXT, calls INTEGER, tokens INTEGER, money INTEGER,
 lost_calls INTEGER, lost_tokens INTEGER, lost_money INTEGER, PRIMARY KEY (run, who)) WITHOUT ROWID;
INSERT INTO closed VALUES ('r', 'ada', 1, 4, 2, 0, 0, 0), ('r', 'bob', 1, 7, 7, 1, 7, 7);
CREATE TABLE owners (id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT, seconds REAL);
INSERT INTO owners VALUES (2, 'r', 1.0);
CREATE TABLE lines (owner INTEGER, who TEXT, calls INTEGER, tokens INTEGER, money INTEGER,
 held_calls INTEGER, held_tokens INTEGER, held_money INTEGER, unpaid INTEGER,
 PRIMARY KEY (owner, who)) WITHOUT ROWID;
INSERT INTO lines VALUES (2, 'ada', 1, 5, 3, 1, 10, 6, 0), (2, 'here', 3, 30, 0, 1, 9, 0, 1);
PRAGMA user_version = 1;
"""


def test_a_file_of_an_earlier_version_goes_on(file: Path) -> None:
    with sqlite3.connect(file) as db:
        db.executescript(EARLIER)
    db.close()
    with Account.open(file, Budget(), run="r") as account:
        assert account.spent == Cost(7, 56, 18)
        assert account.lost == Cost(2, 17, 13)
        assert account.held == NOTHING
        assert account.seconds > 3.5
        assert account.entries() == {
            "ada": Entry(Cost(3, 19, 11), lost=Cost(1, 10, 6)),
            "bob": Entry(Cost(1, 7, 7), lost=Cost(1, 7, 7)),
            "here": Entry(Cost(3, 30, 0)),
        }


def test_what_is_open_at_the_end_is_lost(path: Path | None) -> None:
    with Account.open(path, Budget(), run="r") as account:
        hold, _ = account.reserve_now([(calls(5), "ada"), (calls(1), "ada")])
        account.reserve_now([(calls(7), "here")], unpaid=True)
    account.settle(hold, calls(1))  # too late
    if path is not None:
        account = Account.open(path, Budget(), run="r")
    assert (account.lost, account.spent, account.held) == (calls(6), calls(6), NOTHING)
    assert account.entries() == {"ada": Entry(calls(6), NOTHING, calls(6)), "here": Entry()}
    account.close()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many balances each transaction from now on writes."""
    commits: list[int] = []
    real = AccountStore.write

    def write(self: AccountStore, balances: Any, **named: Any) -> None:
        commits.append(len(list(balances)))
        real(self, balances, **named)

    monkeypatch.setattr(AccountStore, "write", write)
    return commits


def test_who_comes_together_shares_a_commit(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits = counted(monkeypatch)

    async def main(account: Account) -> None:
        for _ in range(3):
            together = (account.reserve(calls(1), f"e{n % 4}") for n in range(64))
            for hold in await asyncio.gather(*together):
                account.settle(hold, calls(1))

    with Account.open(file, Budget(calls=1_000)) as account:
        run(main(account))
    # The settlements go along with the next holds; the last are written on leaving.
    assert commits == [4, 4, 4, 4]


def test_commits_keep_a_distance(file: Path) -> None:
    async def main(account: Account) -> list[float]:
        times = []
        for _ in range(3):
            await account.reserve(calls(1), "ada")
            times.append(now())
        return times

    with Account.open(file, Budget()) as account:
        first, *others = run(main(account))
    assert [each - first for each in others] == pytest.approx([0.002, 0.004])


def test_what_is_settled_is_soon_seen_by_others(file: Path) -> None:
    async def main(mine: Account, theirs: Account) -> None:
        mine.settle(await mine.reserve(calls(5), "ada"), calls(2))
        assert theirs.held == calls(5)
        await asyncio.sleep(0.1)
        assert (theirs.held, theirs.spent) == (NOTHING, calls(2))

    with Account.open(file, Budget()) as mine, Account.open(file, Budget()) as theirs:
        run(main(mine, theirs))


def test_a_full_disk_is_told_to_all_who_wait(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(account: Account) -> None:
        with monkeypatch.context() as broken:

            def refuse(self: AccountStore, *given: Any, **named: Any) -> None:
                raise InputError("no space left on the disk")

            broken.setattr(AccountStore, "write", refuse)
            errors = await asyncio.gather(
                *(account.reserve(calls(1), "ada") for _ in range(3)), return_exceptions=True
            )
            assert [str(each) for each in errors] == ["no space left on the disk"] * 3
        assert account.held == NOTHING
        await account.reserve(calls(10), "ada")

    with Account.open(file, Budget(calls=10)) as account:
        run(main(account))


def test_loops_may_come_and_go(file: Path) -> None:
    async def main(account: Account) -> None:
        account.settle(await account.reserve(calls(1), "ada"), calls(1))

    with Account.open(file, Budget(calls=10)) as account:
        for _ in range(3):
            run(main(account))
        assert account.spent == calls(3)


def text(path: Path) -> None:
    path.write_text("calls: 100\n" * 100)


def ledger(path: Path) -> None:
    Ledger(path).close()


def newer(path: Path) -> None:
    Account.open(path, Budget()).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 2")
    db.close()


def damaged(path: Path) -> None:
    Account.open(path, Budget()).close()
    path.write_bytes(path.read_bytes()[:1024] + b"?" * 4096)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (text, "not a budget file, or damaged"),
        (ledger, "an SQLite file, but not a budget file"),
        (newer, "written by a newer orchestra: budget schema 2, known up to 1"),
        (damaged, "not a budget file, or damaged"),
        (folder, "may not be opened"),
    ],
)
def test_no_budget_file(file: Path, make: Callable[[Path], None], words: str) -> None:
    make(file)
    before = {each.name for each in file.parent.iterdir()}
    with pytest.raises(InputError, match=words) as caught:
        Account.open(file, Budget())
    assert str(file) in caught.value.place
    assert {each.name for each in file.parent.iterdir()} == before


# --- two accounts, one file -----------------------------------------------------------


@pytest.fixture
def two(file: Path) -> Iterator[tuple[Account, Account]]:
    with ExitStack() as held:
        mine, theirs = (
            held.enter_context(Account.open(file, Budget(calls=10), run=name)) for name in "ab"
        )
        yield mine, theirs


def test_the_sum_counts(two: tuple[Account, Account]) -> None:
    mine, theirs = two
    assert len(mine.reserve_now([(calls(3), "ada")] * 2)) == 2
    assert len(theirs.reserve_now([(calls(3), "ada")] * 2)) == 1
    assert mine.held == theirs.held == calls(9)
    assert mine.entries() == {"ada": Entry(held=calls(6))}


def test_waits_for_what_others_hold(two: tuple[Account, Account]) -> None:
    mine, theirs = two

    async def main() -> float:
        hold = await theirs.reserve(calls(8), "bob")
        wait = asyncio.create_task(mine.reserve(calls(5), "ada"))
        await asyncio.sleep(20)
        assert not wait.done()
        theirs.settle(hold, calls(5))
        await wait
        return asyncio.get_running_loop().time()

    assert run(main()) < 20.2


def test_waits_as_long_as_others_do_something(two: tuple[Account, Account]) -> None:
    mine, theirs = two

    async def main() -> float:
        hold = await theirs.reserve(calls(6), "bob")
        wait = asyncio.create_task(mine.reserve(calls(5), "ada"))
        for _ in range(4):
            await asyncio.sleep(25)
            theirs.release(await theirs.reserve(calls(1), "bob"))
        assert not wait.done()
        with pytest.raises(BudgetExhausted, match="another run that shares the budget holds 6"):
            await wait
        theirs.release(hold)
        return asyncio.get_running_loop().time()

    assert 130 < run(main()) < 131


def test_is_refused_at_once_where_waiting_is_of_no_use(two: tuple[Account, Account]) -> None:
    mine, theirs = two

    async def main() -> float:
        theirs.settle(await theirs.reserve(calls(6), "bob"), calls(6))
        await theirs.reserve(calls(1), "bob")
        with pytest.raises(BudgetExhausted, match="6 calls are spent"):
            await mine.reserve(calls(5), "ada")
        return asyncio.get_running_loop().time()

    assert run(main()) < 0.1


def die(store: AccountStore) -> None:
    """As a kill of its process."""
    assert store._lock is not None
    store._lock.release()
    store._db.close()


def test_what_the_dead_held_is_spent(file: Path) -> None:
    """Who waits for a process that dies is told so without waiting it out."""
    theirs = AccountStore(file, "b")
    dying = Account(Budget(calls=10), store=theirs)

    async def main(mine: Account) -> float:
        await dying.reserve(calls(8), "bob")
        wait = asyncio.create_task(mine.reserve(calls(5), "ada"))
        await asyncio.sleep(1)
        die(theirs)
        with pytest.raises(BudgetExhausted, match="8 calls of it is for calls cut off"):
            await wait
        assert (mine.spent, mine.lost, mine.held) == (calls(8), calls(8), NOTHING)
        return asyncio.get_running_loop().time()

    with Account.open(file, Budget(calls=10), run="a") as mine:
        assert run(main(mine)) < 1.2


def test_a_writer_that_hangs_is_named(file: Path) -> None:
    with Account.open(file, Budget()) as account:
        account._store._db.execute("PRAGMA busy_timeout = 0")  # it waits longer than a test likes
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunConflict, match="another process is writing"):
            account.reserve_now([(calls(1), "ada")])
        other.close()
        assert len(account.reserve_now([(calls(1), "ada")])) == 1


# --- seconds --------------------------------------------------------------------------


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_time_adds_up_over_resumes(file: Path) -> None:
    clock = Clock()
    for session in range(3):
        with Account.open(file, Budget(seconds=25), run="r", clock=clock) as account:
            assert account.seconds_left() == 25 - 10 * session
            clock.now += 10
            assert account.seconds == 10 * (session + 1)
        clock.now += 1_000
        assert account.seconds == 10 * (session + 1)
    assert account.seconds_left() == 0
    assert Account.open(None, Budget()).seconds_left() is None


@pytest.mark.parametrize(
    ("words", "counted"), [([7.0], 7), ([7.0, 0.5], 7), ([7.0, 1.0], 8), ([7.0, 0.5, 0.5], 8)]
)
def test_time_of_a_killed_process_counts_to_its_last_word(
    file: Path, words: list[float], counted: float
) -> None:
    """It is written with a hold, once a second."""
    clock = Clock()
    dying = AccountStore(file, "r")
    account = Account(Budget(seconds=100), store=dying, clock=clock)
    for seconds in words:
        clock.now += seconds
        account.reserve_now([(calls(1), "ada")])
    clock.now += 3
    die(dying)
    with Account.open(file, Budget(seconds=100), clock=clock) as account:
        assert account.seconds_left() == 100 - counted


# --- at random ------------------------------------------------------------------------


class Town:
    """Many callers, one or two accounts, and an oracle of its own that watches every step."""

    def __init__(self, random: Random, accounts: list[Account], budget: Budget) -> None:
        self.random, self.accounts, self.budget = random, accounts, budget
        self.spent = NOTHING
        self.held = {id(each): NOTHING for each in accounts}
        self.lines: dict[str, Cost] = {}
        self.waiting: dict[int, list[tuple[asyncio.Task[Any], Cost]]] = {
            id(each): [] for each in accounts
        }
        self.stopped: set[Account] = set()

    def check(self) -> None:
        taken = sum(self.held.values(), self.spent)
        most = self.budget.most
        assert taken.calls <= most.calls
        assert taken.tokens <= most.tokens
        assert taken.picodollars <= most.picodollars
        for each in self.accounts:
            seen = each.spent + each.held
            assert lacking(seen, NOTHING, most) is None

    def refused(self, account: Account) -> None:
        """The first in line must truly not fit, and nothing is in flight that gives back."""
        if account in self.stopped:
            return
        self.stopped.add(account)
        assert self.held[id(account)] == NOTHING
        line = [cost for task, cost in self.waiting[id(account)] if not task.cancelling()]
        assert lacking(line[0], self.spent, self.budget.most) is not None

    async def reserve(self, account: Account, cost: Cost, who: str) -> Hold:
        task = asyncio.current_task()
        assert task is not None
        mine, line = (task, cost), self.waiting[id(account)]
        line.append(mine)
        try:
            hold = await account.reserve(cost, who)
        except BudgetExhausted:
            self.refused(account)
            raise
        finally:
            line.remove(mine)
        self.held[id(account)] += cost
        self.check()
        return hold

    async def caller(self, account: Account, turns: int) -> None:
        random, key = self.random, id(account)
        for _ in range(turns):
            who, attempts = random.choice("abc"), 0
            while attempts < 3:
                cost = Cost(1, random.randint(1, 100), random.randint(0, 1_000))
                try:
                    hold = await self.reserve(account, cost, who)
                except BudgetExhausted:
                    return
                actual = cost  # where it is cut short
                try:
                    if random.random() < 0.9:
                        await asyncio.sleep(random.choice((0, 0, random.random())))
                    share = random.choice((0.0, random.random(), 1.0))
                    actual = Cost(
                        random.randint(0, 1),
                        int(cost.tokens * share),
                        int(cost.picodollars * share),
                    )
                finally:
                    self.held[key] -= cost
                    self.spent += actual
                    self.lines[who] = self.lines.get(who, NOTHING) + actual
                    account.settle(hold, actual)
                    self.check()
                if random.random() < 0.7:
                    break
                attempts += 1  # again, or somebody else in its place
                who = random.choice((who, *"abc"))

    async def live(self) -> None:
        random = self.random
        tasks = [
            asyncio.create_task(self.caller(random.choice(self.accounts), random.randint(1, 4)))
            for _ in range(random.randint(1, 64))
        ]
        for each in tasks:
            if random.random() < 0.1:
                asyncio.get_running_loop().call_later(random.random(), each.cancel)
        for told in await asyncio.gather(*tasks, return_exceptions=True):
            assert told is None or isinstance(told, asyncio.CancelledError), told


def budget_of(random: Random) -> Budget:
    """Sometimes out of reach, mostly not."""
    return Budget(
        calls=random.choice((None, random.randint(0, 200))),
        tokens=random.choice((None, random.randint(0, 5_000))),
        money=random.choice((None, random.randint(0, 50_000) / PICO)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("accounts", [0, 1, 2], ids=["memory", "a file", "two on one file"])
def test_never_past_a_limit(tmp_path: Path, accounts: int) -> None:
    refusals = 0
    for trial in range(800 if accounts == 0 else 100):
        random = Random(f"{accounts}:{trial}")
        budget = budget_of(random)
        path = tmp_path / f"{trial}.sqlite" if accounts else None
        with ExitStack() as held:
            opened = [
                held.enter_context(Account.open(path, budget, run="r"))
                for _ in range(max(accounts, 1))
            ]
            town = Town(random, opened, budget)
            run(town.live())
        refusals += bool(town.stopped)
        last = opened[0]
        assert last.held == NOTHING
        if accounts:
            with Account.open(path, budget, run="r") as last:
                pass
        assert last.spent == town.spent
        assert last.lost == NOTHING
        assert {
            who: entry.spent for who, entry in last.entries().items() if entry.spent != NOTHING
        } == {who: cost for who, cost in town.lines.items() if cost != NOTHING}
    assert refusals > 50


def test_amounts_beyond_all_sense_are_written_as_the_largest(file: Path) -> None:
    with Account.open(file, Budget(), run="r") as account:
        for _ in range(3):
            hold = asyncio.run(account.reserve(Cost(1, 2**70, 2**80), "e"))
            account.settle(hold, Cost(1, 2**70, 2**80))
    with Account.open(file, Budget(), run="r") as account:
        assert account.spent.tokens >= 2**60
