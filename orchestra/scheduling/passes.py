"""Which engines a pass visits on each device, in which order, how each leaves, who makes room.

A pass takes the calls that wait at its start and visits each engine once. A pass whose calls
are those of the next phase of the forecast follows the forecast's order; any other is planned
anew, in the opposite direction of the pass before, with what is still to come in view. Pure:
the same passes, the same answers. Does not open anything and does not know calls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestra import scheduling
from orchestra.scheduling.costs import CostModel
from orchestra.scheduling.jobs import Job, Phase
from orchestra.scheduling.order import Comes, Leaves, Order, Step

Waiting = Mapping[str, Mapping[Phase, int]]
"""Load unit -> phase -> calls that wait."""

_SLACK = 1e-9
_COMES: tuple[Comes, ...] = ("stays", "wake1", "wake2")
_WIDTH = 256
"""Partial choices of a search that a run waits for."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over the engines."""

    lines: tuple[tuple[str, ...], ...]
    """For each device, its units in the order of their visits; those without calls are left
    out, those that get some in time may be visited too."""
    leaves: Mapping[str, Leaves]
    """Load unit -> how it leaves; without an entry it exits."""
    foreseen: bool = False
    """Whether this is the forecast's own order, which is kept."""


class Residents:
    """The engines of one device, awake or asleep, the latest used last.

    Args:
        costs: what units take of the device's room.
        device: from 0.
    """

    def __init__(self, costs: CostModel, device: int) -> None:
        self._costs, self._device = costs, device
        self._levels: dict[str, int] = {}
        """Unit -> how deep it sleeps; 0: it is awake."""
        self._leaving: set[str] = set()

    @property
    def units(self) -> list[str]:
        """All of them."""
        return list(self._levels)

    @property
    def awake(self) -> list[str]:
        """Those that are ready."""
        return [unit for unit, level in self._levels.items() if not level]

    def come(self, unit: str) -> tuple[Comes, list[str]]:
        """How a unit comes, and who exits before.

        Those that are to leave do, and of the others the least lately used as far as needed.
        """
        level = self._levels.pop(unit, None)
        gone: list[str] = []
        if level != 0:
            gone = [other for other in self._levels if other in self._leaving]
            awake = [other for other in self.awake if other not in gone]
            held = sum(self._costs.size(other, self._device) for other in awake)
            room = self._costs.room(self._device) - self._costs.size(unit, self._device) + _SLACK
            while awake and held > room:
                held -= self._costs.size(awake[0], self._device)
                gone.append(awake.pop(0))
        for other in gone:
            self.drop(other)
        self._leaving.discard(unit)
        self._levels[unit] = 0
        return "cold" if level is None else _COMES[level], gone

    def leave(self, unit: str, how: Leaves) -> None:
        """Stay, sleep, or exit as soon as another comes."""
        if unit in self._levels:
            self._levels[unit] = {"sleep1": 1, "sleep2": 2}.get(how, 0)
            if how == "exit":
                self._leaving.add(unit)

    def drop(self, unit: str) -> None:
        """Exit at once."""
        self._levels.pop(unit, None)
        self._leaving.discard(unit)


class Passes:
    """Decides one pass after another.

    Args:
        costs: of every unit, and the machine.
        order: the forecast's; None: every pass is planned from what waits.
    """

    def __init__(self, costs: CostModel, *, order: Order | None = None) -> None:
        self._costs = costs
        self._left: dict[Phase, list[Step]] = {}
        self._homes = {} if len(costs.machine.devices) > 1 else dict.fromkeys(costs.units, 0)
        self._lines: list[list[str]] = [[] for _ in costs.machine.devices]
        self._each: dict[str, tuple[float, float]] = {}
        self._sleeping: set[str] = set()
        if order is not None:
            self.follow(order)

    def follow(self, order: Order) -> None:
        """Carry this order out from now on; units that a pass has visited stay where they are."""
        self._left = {}
        for step in order.steps:
            job = step.job
            self._left.setdefault(job.key, []).append(step)
            self._homes.setdefault(job.unit, step.device)
            count = max(job.requests, 1)
            self._each[job.unit] = job.input_tokens / count, job.output_tokens / count
            self._sleeping |= {job.unit} if step.leaves.startswith("sleep") else set()

    def sleeps(self, unit: str) -> bool:
        """Whether a unit sleeps at any time in what is planned so far."""
        return unit in self._sleeping

    def home(self, unit: str) -> int:
        """The device of a unit that a pass has visited or will visit."""
        return self._homes[unit]

    def next(self, waiting: Waiting, awake: Collection[str]) -> Pass:
        """What to do about the calls that wait.

        Args:
            waiting: what waits at the start of the pass; not empty.
            awake: units that are loaded and awake.

        Raises:
            InputError: a unit fits on no device.
        """
        phases = {phase for counts in waiting.values() for phase in counts}
        steps = self._forecast(waiting, phases, awake)
        for phase in list(self._left):
            if not phases & set(self._left):
                break
            del self._left[phase]  # phases come one after another: what is before it is done
        known = self._known(steps) if steps else self._anew(waiting, awake)
        self._lines = [list(line) for line in known.lines]
        return known

    def _forecast(
        self, waiting: Waiting, phases: Collection[Phase], awake: Collection[str]
    ) -> Sequence[Step]:
        """The forecast's steps, where what waits and who is there is what it foresaw."""
        if len(phases) > 1:
            return ()
        steps = self._left.get(next(iter(phases)), [])
        there = {step.job.unit for step in steps if step.comes == "stays"}
        foreseen = {step.job.unit for step in steps} == set(waiting) and there <= set(awake)
        foreseen &= all(step.device == self._homes[step.job.unit] for step in steps)
        return steps if foreseen else ()

    def _known(self, steps: Sequence[Step]) -> Pass:
        """As foreseen; units that were not foreseen come before those that will stay."""
        planned = [step.job.unit for step in steps]
        leaves = {step.job.unit: step.leaves for step in steps}
        lines = []
        for device, line in enumerate(self._units()):
            mine = [unit for unit in planned if self._homes[unit] == device]
            staying = next(
                (i for i in range(len(mine), 0, -1) if leaves[mine[i - 1]] != "stays"), 0
            )
            others = [unit for unit in line if unit not in leaves]
            lines.append((*mine[:staying], *others, *mine[staying:]))
        return Pass(tuple(lines), leaves, foreseen=True)

    def _anew(self, waiting: Waiting, awake: Collection[str]) -> Pass:
        leaves = self._planned(waiting, awake)
        lines = []
        for device, units in enumerate(self._units()):
            before = self._lines[device][::-1]
            line = [*before, *(unit for unit in units if unit not in before)]
            rank = {
                unit: 0 if unit in awake else 2 if leaves.get(unit) == "stays" else 1
                for unit in line
            }
            lines.append(tuple(sorted(line, key=rank.__getitem__)))
        return Pass(tuple(lines), leaves)

    def _planned(self, waiting: Waiting, awake: Collection[str]) -> dict[str, Leaves]:
        """How units leave, with the phases that are still foreseen in view; settles new homes."""
        machine = self._costs.machine
        if not self._left and machine.devices == (None,):
            return {}
        order = scheduling.schedule(
            self._jobs(waiting, awake), self._costs, homes=self._homes, width=_WIDTH
        )
        leaves: dict[str, Leaves] = {}
        for step in order.steps:
            self._homes.setdefault(step.job.unit, step.device)
            self._sleeping |= {step.job.unit} if step.leaves.startswith("sleep") else set()
            if step.job.key in (_AWAKE, _NOW):
                leaves[step.job.unit] = step.leaves
        return leaves

    def _jobs(self, waiting: Waiting, awake: Collection[str]) -> list[Job]:
        """Those that are awake as if they worked just now, what waits, and what is foreseen."""
        jobs = [Job(unit, *_AWAKE[:2], phase=0) for unit in self._costs.units if unit in awake]
        for unit in (each for each in self._costs.units if each in waiting):
            calls = sum(waiting[unit].values())
            read, written = self._each.get(unit, (0.0, 0.0))
            jobs.append(Job(unit, *_NOW[:2], calls, read * calls, written * calls, phase=1))
        for place, steps in enumerate(self._left.values(), 2):
            jobs += [replace(step.job, phase=place) for step in steps]
        return jobs

    def _units(self) -> list[list[str]]:
        """For each device, all units that are on it, in the roster's order."""
        lines: list[list[str]] = [[] for _ in self._lines]
        for unit in self._costs.units:
            if unit in self._homes:
                lines[self._homes[unit]].append(unit)
        return lines


_AWAKE, _NOW = Phase("", 0), Phase("", 1)
"""What stands for the time before a pass, and for the pass, in a plan made anew."""
