"""The amounts of an account: what is held and what is spent, by name and in sum.

Knows additions and whether one more fits; does not know who waits, nor what is written down.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestra.runs.budget import NOTHING, Cost


@dataclass(frozen=True, slots=True)
class Entry:
    """What was spent in one name. Adds."""

    spent: Cost = NOTHING
    """What calls did cost, lost ones included."""
    held: Cost = NOTHING
    """What calls in flight may cost."""
    lost: Cost = NOTHING
    """The part of `spent` that stands for calls whose process ended before they did."""

    def __add__(self, other: Entry) -> Entry:
        return Entry(self.spent + other.spent, self.held + other.held, self.lost + other.lost)


@dataclass(frozen=True, slots=True)
class Others:
    """What everybody but one owner has done with a file."""

    sum: Entry = Entry()
    seconds: float = 0.0
    """How long they had it open."""


class Line:
    """What one process spends in one name, as it changes."""

    __slots__ = (
        *("who", "unpaid", "calls", "tokens", "money"),
        *("held_calls", "held_tokens", "held_money"),
    )

    def __init__(self, who: str = "", *, unpaid: bool = False) -> None:
        self.who, self.unpaid = who, unpaid
        self.calls = self.tokens = self.money = 0
        self.held_calls = self.held_tokens = self.held_money = 0

    def hold(self, cost: Cost) -> None:
        """Set `cost` aside."""
        self.held_calls += cost.calls
        self.held_tokens += cost.tokens
        self.held_money += cost.picodollars

    def settle(self, held: Cost, actual: Cost) -> None:
        """Spend `actual` in the place of what was set aside."""
        self.held_calls -= held.calls
        self.held_tokens -= held.tokens
        self.held_money -= held.picodollars
        self.calls += actual.calls
        self.tokens += actual.tokens
        self.money += actual.picodollars

    @property
    def entry(self) -> Entry:
        """How it stands now."""
        return Entry(
            Cost(self.calls, self.tokens, self.money),
            Cost(self.held_calls, self.held_tokens, self.held_money),
        )

    @property
    def closed(self) -> Entry:
        """How it stands if nothing is settled any more: what was held may have been paid."""
        now = self.entry
        lost = NOTHING if self.unpaid else now.held
        return Entry(now.spent + lost, lost=lost)


class Hold:
    """What is set aside for calls in flight, until it is settled."""

    __slots__ = ("cost", "line", "open")

    def __init__(self, cost: Cost, line: Line) -> None:
        self.cost, self.line, self.open = cost, line, True


class Books:
    """What one process holds and spends, beside what others do who share the limits.

    Attributes:
        lines: name -> what was spent in it.
        dirty: the lines that changed; whoever writes them down clears it.
        flying: how many holds are open.
        others: what the others do, as it was last seen.
    """

    def __init__(self, most: Cost) -> None:
        self.lines: dict[str, Line] = {}
        self.dirty: set[Line] = set()
        self.flying = 0
        self.others = Others()
        self._most = self._free = most
        self._sum = Line()

    def see(self, others: Others) -> None:
        """Take note of what the others do."""
        if others is not self.others:
            self.others = others
            self._free = self._most - others.sum.spent - others.sum.held

    def leave(self, others: Others) -> None:
        """Forget what this process did: by now it is in what the others did."""
        self.lines, self._sum = {}, Line()
        self.dirty.clear()
        self.see(others)

    @property
    def sum(self) -> Entry:
        """How it stands for all who share the limits."""
        return self.others.sum + self._sum.entry

    def fits(self, cost: Cost) -> bool:
        """Whether `cost` stays within the limits; one that it takes nothing of does not matter."""
        mine, free = self._sum, self._free
        money, tokens, calls = cost.picodollars, cost.tokens, cost.calls
        return (
            (not money or mine.money + mine.held_money + money <= free.picodollars)
            and (not tokens or mine.tokens + mine.held_tokens + tokens <= free.tokens)
            and (not calls or mine.calls + mine.held_calls + calls <= free.calls)
        )

    def hold(self, cost: Cost, who: str, *, unpaid: bool = False) -> Hold:
        """Set `cost` aside, whether it fits or not."""
        line = self.lines.get(who)
        if line is None:
            line = self.lines[who] = Line(who, unpaid=unpaid)
        line.hold(cost)
        self._sum.hold(cost)
        self.flying += 1
        self.dirty.add(line)
        return Hold(cost, line)

    def settle(self, hold: Hold, actual: Cost = NOTHING) -> None:
        """Spend `actual` in the place of what was set aside."""
        if not hold.open:
            raise ValueError("a hold is settled once")
        hold.open = False
        self.flying -= 1
        hold.line.settle(hold.cost, actual)
        self._sum.settle(hold.cost, actual)
        self.dirty.add(hold.line)
