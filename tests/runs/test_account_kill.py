"""What may have been paid is never forgotten, whoever is killed and whenever."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from orchestra.runs.account import Account
from orchestra.runs.budget import NOTHING, Budget, Cost

pytestmark = pytest.mark.slow

LIMIT, CALLERS, WORST, ACTUAL = 30_000, 32, 10, 3

# Spends in small calls until it is refused; writes `s` when a call is sent, `d` when it is done.
SPENDER = f"""
import asyncio, os, sys
from pathlib import Path
from orchestra.errors import BudgetExhausted
from orchestra.runs.account import Account
from orchestra.runs.budget import Budget, Cost

async def caller(account, number):
    try:
        while True:
            hold = await account.reserve(Cost(1, {WORST}), f"e{{number % 3}}")
            os.write(1, b"s")
            await asyncio.sleep(number % 4 / 2000)
            os.write(1, b"d")
            account.settle(hold, Cost(1, {ACTUAL}))
    except BudgetExhausted:
        pass

async def main(account):
    await asyncio.gather(*(caller(account, number) for number in range({CALLERS})))

with Account.open(Path(sys.argv[1]), Budget(tokens={LIMIT}), run=sys.argv[2]) as account:
    asyncio.run(main(account))
"""


@dataclass
class Said:
    """What one process, or several, said that they did."""

    sent: int = 0
    done: int = 0

    def hear(self, what: bytes) -> None:
        self.sent += what.count(b"s")
        self.done += what.count(b"d")

    @property
    def least(self) -> int:
        """What must be counted: calls in flight at their worst case."""
        return self.done * ACTUAL + (self.sent - self.done) * WORST


def spender(path: Path, run: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", SPENDER, str(path), run]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes], said: Said, *, kill_after: int | None = None) -> None:
    """Hear it out, killed after so many words or not at all."""
    assert process.stdout is not None
    with process:
        if kill_after is not None:
            said.hear(process.stdout.read(kill_after))
            process.kill()
        said.hear(process.stdout.read())
    assert kill_after is not None or process.returncode == 0


def open_account(path: Path, run: str) -> Account:
    return Account.open(path, Budget(tokens=LIMIT), run=run)


def test_killed_again_and_again(tmp_path: Path) -> None:
    path, said, random = tmp_path / "budget.sqlite", Said(), Random("kill")
    before = NOTHING
    for kills in range(1, 9):
        finish(spender(path, "r"), said, kill_after=random.randint(1, 600))
        with open_account(path, "r") as account:
            spent, lost = account.spent, account.lost
            assert said.least <= spent.tokens <= LIMIT
            # A hold that was committed may not have been said.
            assert said.sent <= spent.calls <= said.sent + CALLERS * kills
            assert lost.calls <= CALLERS * kills
            assert lost.tokens == lost.calls * WORST
            assert spent.tokens == lost.tokens + (spent.calls - lost.calls) * ACTUAL
            assert account.held == NOTHING
            assert spent.tokens >= before.tokens
            before = spent
        with open_account(path, "r") as account:  # once
            assert (account.spent, account.lost) == (spent, lost)
            entries = account.entries().values()
            assert sum((entry.spent for entry in entries), NOTHING) == spent
            assert sum((entry.lost for entry in entries), NOTHING) == lost
    assert lost.calls > 0

    finish(spender(path, "r"), said)
    with open_account(path, "r") as account:
        assert account.lost == lost
        assert LIMIT - WORST < account.spent.tokens <= LIMIT
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_two_processes_share_the_limits(tmp_path: Path) -> None:
    path, said = tmp_path / "budget.sqlite", Said()
    both = [spender(path, name) for name in "ab"]
    for process in both:
        finish(process, said)
    with open_account(path, "a") as account:
        assert account.spent == Cost(said.done, said.done * ACTUAL)
        assert LIMIT - WORST < account.spent.tokens <= LIMIT
        mine = sum((entry.spent for entry in account.entries().values()), NOTHING)
    with open_account(path, "b") as account:
        theirs = sum((entry.spent for entry in account.entries().values()), NOTHING)
        assert mine + theirs == account.spent
    assert min(mine.calls, theirs.calls) > 0


def test_who_is_killed_does_not_stop_the_other(tmp_path: Path) -> None:
    path, said = tmp_path / "budget.sqlite", Said()
    killed, other = spender(path, "a"), spender(path, "b")
    finish(killed, said, kill_after=300)
    finish(other, said)
    with open_account(path, "b") as account:
        assert said.least <= account.spent.tokens
        assert LIMIT - WORST < account.spent.tokens <= LIMIT
        assert 0 < account.lost.calls <= CALLERS
