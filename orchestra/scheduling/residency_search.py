"""Which engines of one device stay resident between their visits, and how the others leave.

Knows visits, costs and memories as numbers. Within a phase the order changes nothing except
who is resident while it begins and while it ends, so a schedule is the set of engines that
stays across each boundary. The sets are found by dynamic programming over the engines, all
partial choices in numpy arrays: exact unless the arrays outgrow `width`, as `exact` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from orchestra.scheduling.costs import EngineCost

Array = NDArray[np.float64]

_SLACK = 1e-9
_ROUNDS = 200
_WIDTHS = (256, 4_096, 32_768, 131_072)
"""Narrow searches come first: what they find lets a wider one drop all that is no better."""
_BLOCK = 8_192
_MIXED = np.random.default_rng(0).integers(1, 2**62, size=1_000)
_COMPARED = 2_000_000
"""Most pairs of partial choices that one step compares."""


class Resident(NamedTuple):
    """One engine as the choice sees it."""

    unit: str
    visits: tuple[int, ...]
    """The phases it works in, ascending, at least one."""
    gib: float
    """Device memory while awake."""
    cost: EngineCost


@dataclass(frozen=True, slots=True)
class Stay:
    """How one engine spends the time between its visits."""

    stays: tuple[bool, ...]
    """For each gap between visits: whether it stays resident."""
    level: int
    """How it leaves in the other gaps: 0 exit, 1 or 2 asleep."""
    seconds: float
    """What leaving and coming back take."""
    host_gib: float
    """Host memory that its sleep takes."""


_ONCE = Stay((), 0, 0.0, 0.0)
"""One visit, no gaps."""


class Chosen(NamedTuple):
    """What was decided for one device."""

    stays: dict[str, Stay]
    seconds: float
    """Of leaving and coming back, first loads and last exits not counted."""
    exact: bool
    """Whether no choice is better."""


@dataclass(frozen=True)
class Room:
    """What one device and the host have room for, and how many phases there are."""

    phases: int
    gib: float
    host_gib: float | None


def choose(residents: Sequence[Resident], room: Room, *, width: int = _WIDTHS[-1]) -> Chosen:
    """The cheapest choice, or the best found if more than `width` partial ones are open.

    Args:
        residents: the engines of the device; each fits on it alone.
        room: of the device and the host.
        width: most partial choices that are kept.
    """
    if all(len(each.visits) == 1 for each in residents):
        return Chosen({each.unit: _ONCE for each in residents}, 0.0, True)
    table = _Table(residents, room)
    best = _plain(table)
    for limit in (each for each in _WIDTHS if each <= width):
        choice = _search(table, limit, best.seconds)
        if choice.exact or choice.seconds < best.seconds:
            best = choice
        if best.exact:
            break
    return best


def least(residents: Sequence[Resident], room: Room) -> float:
    """A proven lower bound on the seconds of leaving and coming back."""
    if all(len(each.visits) == 1 for each in residents):
        return 0.0
    return _Table(residents, room).bound()


def options(resident: Resident, host_gib: float | None) -> tuple[Stay, ...]:
    """Everything that an engine may do between its visits, less what is never better."""
    choices: list[Stay] = []
    for stays in product((True, False), repeat=len(resident.visits) - 1):
        away = stays.count(False)
        choices += ways(resident.cost, stays, away, host_gib)
    return tuple(choices)


def ways(
    cost: EngineCost, stays: tuple[bool, ...], away: int, host_gib: float | None
) -> Iterator[Stay]:
    """How to leave and come back `away` times, cheapest first; later ones take less of the host."""
    if not away:
        yield Stay(stays, 0, 0.0, 0.0)
        return
    hosts = {0: 0.0, 1: cost.host1_gib, 2: cost.host2_gib}
    priced = sorted(
        (seconds, hosts[level], level)
        for level in (0, 1, 2)
        if (seconds := cost.away(level, away)) is not None
        and not (level == 1 and host_gib is None)
        and (host_gib is None or hosts[level] <= host_gib)
    )
    smallest = np.inf
    for seconds, host, level in priced:
        if host < smallest:
            smallest = host
            yield Stay(stays, level, seconds, host)


class _Table:
    """The choices of every engine with more than one visit, as arrays."""

    def __init__(self, residents: Sequence[Resident], room: Room) -> None:
        self.room = room
        self.fixed = {each.unit: _ONCE for each in residents if len(each.visits) == 1}
        # Those that weigh most are decided first: what they leave no room for is cut early.
        again = sorted(
            (each for each in residents if len(each.visits) > 1), key=lambda each: -each.gib
        )
        self.units = [each.unit for each in again]
        self.options = [options(each, room.host_gib) for each in again]
        self.rows = [
            np.array([_row(each, stay, room.phases) for stay in self.options[i]])
            for i, each in enumerate(again)
        ]
        # Columns: seconds | host | boundaries | through phases | passing through phases.
        self.edges = slice(2, 1 + room.phases)
        self.through = slice(1 + room.phases, 1 + 2 * room.phases)
        self.passing = slice(1 + 2 * room.phases, 1 + 3 * room.phases)
        self.start = np.zeros((1, 1 + 3 * room.phases))
        for each in residents:
            if len(each.visits) == 1:
                place = self.passing.start + each.visits[0]
                self.start[0, place] = max(self.start[0, place], each.gib)
        self._prices = self._dual()

    def added(self, labels: Array, rows: Array) -> Array:
        """Every label with every row: sums, but the largest of those that pass through."""
        both = labels[:, None, :] + rows[None, :, :]
        both[:, :, self.passing] = np.maximum(
            labels[:, None, self.passing], rows[None, :, self.passing]
        )
        return both.reshape(-1, labels.shape[1])

    def fits(self, labels: Array) -> NDArray[np.bool_]:
        """Which labels the memories have room for."""
        most = self.room.gib + _SLACK
        good = (labels[:, self.edges] <= most).all(axis=1)
        good &= (labels[:, self.through] + labels[:, self.passing] <= most).all(axis=1)
        if self.room.host_gib is not None:
            good &= labels[:, 1] <= self.room.host_gib + _SLACK
        return np.asarray(good, np.bool_)

    def hopes(self, labels: Array, decided: int) -> Array:
        """For each label, a proven lower bound on the seconds of all that it may become."""
        bounds = np.full(len(labels), -np.inf)
        spent = labels[:, : self.edges.stop]
        for prices, rest in self._prices:
            bounds = np.maximum(bounds, spent @ prices + rest[decided])
        return bounds

    def bound(self) -> float:
        """The same before anything is decided; at least 0."""
        return max(0.0, float(self.hopes(self.start, 0)[0]))

    def _dual(self) -> list[tuple[Array, Array]]:
        """Prices for memory, and what the engines from each on take at least at those prices.

        Lagrangian relaxation of boundaries and host by subgradient steps: every price of at
        least 0 gives a bound, the later ones better ones.
        """
        limits = np.full(self.edges.stop, self.room.gib)
        limits[0] = 0.0
        limits[1] = 0.0 if self.room.host_gib is None else self.room.host_gib
        prices = np.zeros(self.edges.stop)
        prices[0] = 1.0
        priced = [self._priced(prices, limits)]
        step = max(float(np.max(rows[:, 0])) for rows in self.rows)
        for round_ in range(1, _ROUNDS):
            used = sum(
                (rows[np.argmin(rows[:, : self.edges.stop] @ prices)] for rows in self.rows),
                np.zeros(self.start.shape[1]),
            )[: self.edges.stop]
            slope = (used - limits) / np.maximum(limits, _SLACK)
            slope[0] = 0.0
            if self.room.host_gib is None:
                slope[1] = 0.0
            size = float(np.abs(slope).max())
            if size == 0.0:
                break
            scaled = step / round_ * slope / size / np.maximum(limits, _SLACK)
            prices = np.maximum(prices + scaled, 0.0)
            prices[0] = 1.0
            priced.append(self._priced(prices, limits))
        priced.sort(key=lambda pair: -pair[1][0])
        return priced[:12]

    def _priced(self, prices: Array, limits: Array) -> tuple[Array, Array]:
        least = [float((rows[:, : self.edges.stop] @ prices).min()) for rows in self.rows]
        rest = np.concatenate([np.cumsum(least[::-1])[::-1], [0.0]]) - float(prices @ limits)
        return prices.copy(), rest


def _row(resident: Resident, stay: Stay, phases: int) -> Array:
    row = np.zeros(1 + 3 * phases)
    row[0], row[1] = stay.seconds, stay.host_gib
    held = [False] * (phases + 1)
    """Whether it is resident across the boundary before each phase."""
    for here, there, stays in zip(resident.visits, resident.visits[1:], stay.stays, strict=False):
        for boundary in range(here + 1, there + 1):
            held[boundary] = stays
    for phase in range(phases):
        if phase:
            row[1 + phase] = resident.gib * held[phase]
        row[1 + phases + phase] = resident.gib * (held[phase] and held[phase + 1])
        passes = phase in resident.visits and not (held[phase] or held[phase + 1])
        row[1 + 2 * phases + phase] = resident.gib * passes
    return row


def _search(table: _Table, width: int, known: float) -> Chosen:
    """Decide engine by engine, keeping every partial choice that may still be the best."""
    labels, exact = table.start, True
    parents: list[NDArray[np.int64]] = []
    for decided, rows in enumerate(table.rows, 1):
        grown, places, hopes = _grown(table, labels, rows, decided, known)
        order = np.lexsort((places, hopes))
        order = order[_distinct(grown[order])]
        order = order[_undominated(grown[order])]
        if len(order) > width:
            order, exact = order[:width], False
        labels = grown[order]
        parents.append(places[order])
    if not len(labels):
        return Chosen({}, np.inf, exact)
    best = int(np.argmin(labels[:, 0]))
    return Chosen(_traced(table, parents, best), float(labels[best, 0]), exact)


def _grown(
    table: _Table, labels: Array, rows: Array, decided: int, known: float
) -> tuple[Array, NDArray[np.int64], Array]:
    """Every label with every row that has room and hope: labels, places, hopes."""
    parts: list[tuple[Array, NDArray[np.int64], Array]] = []
    for since in range(0, len(labels), _BLOCK):
        grown = table.added(labels[since : since + _BLOCK], rows)
        places = np.flatnonzero(table.fits(grown))
        hopes = table.hopes(grown[places], decided)
        open_ = hopes <= known + _SLACK
        hopeful = places[open_]
        parts.append((grown[hopeful], hopeful.astype(np.int64) + since * len(rows), hopes[open_]))
    if not parts:
        return labels, np.zeros(0, np.int64), np.zeros(0)
    grown, places, hopes = (np.concatenate(each) for each in zip(*parts, strict=True))
    return grown, places, hopes


def _plain(table: _Table) -> Chosen:
    """Every engine exits after every visit: there is always room for that."""
    stays = dict(table.fixed)
    for unit, choices in zip(table.units, table.options, strict=True):
        stays[unit] = next(each for each in choices if not any(each.stays) and not each.level)
    return Chosen(stays, sum(stay.seconds for stay in stays.values()), False)


def _traced(table: _Table, parents: Iterable[NDArray[np.int64]], best: int) -> dict[str, Stay]:
    stays = dict(table.fixed)
    steps = list(zip(table.units, table.options, parents, strict=True))
    for unit, choices, places in reversed(steps):
        best, choice = divmod(int(places[best]), len(choices))
        stays[unit] = choices[choice]
    return stays


def _distinct(labels: Array) -> NDArray[np.int64]:
    """Places of the first of labels that are equal to a millionth, as like engines make them."""
    rounded = np.rint(labels * 1e6).astype(np.int64)
    with np.errstate(over="ignore"):
        keys = rounded @ _MIXED[: labels.shape[1]]
    return np.asarray(np.sort(np.unique(keys, return_index=True)[1]), np.int64)


def _undominated(labels: Array) -> NDArray[np.int64]:
    """Places of labels that none of the most hopeful is as good as in everything.

    Labels come most hopeful first. Only so many pairs are compared; what is left out costs
    time, never exactness.
    """
    count = len(labels)
    judges = labels[: max(1, min(count, _COMPARED // max(count, 1)))]
    good = np.ones(count, np.bool_)
    for place, judge in enumerate(judges):
        if good[place]:
            worse = (judge <= labels + _SLACK).all(axis=1) & good
            worse[: place + 1] = False
            good &= ~worse
    return np.flatnonzero(good)
