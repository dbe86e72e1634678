"""What loading, leaving and using an engine takes, and what the machine has room for.

Knows measured figures with their sources (`engines.yaml`), which experts share an engine,
and how a size without a measurement is read off those that were; plans nothing and touches
no engine. A planner and the simulated engine read the same costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
import yaml

from orchestra.errors import InputError
from orchestra.roster import Expert
from orchestra.workers.pool import kind_of

Basis = Literal["measured", "extrapolated", "elsewhere", "unknown"]
"""What an engine's cost rests on. `elsewhere`: another party's server holds it."""
Kind = Literal["gpu", "cpu", "local"]
"""Tables of `engines.yaml`."""


class Figure(NamedTuple):
    """One number that was measured or, where its source says so, assumed."""

    gib: float
    """Size of the weights."""
    value: float
    model: str
    source: str


@dataclass(frozen=True, slots=True)
class EngineCost:
    """What one engine takes, in seconds and GiB."""

    cold: float
    """Seconds from nothing to ready."""
    exit: float
    """Seconds until it is gone and its memory is free."""
    _: KW_ONLY
    sleep1: float | None = None
    """Seconds to copy its weights to the host and free the device, once for each process: the
    copy is kept. None: it cannot sleep at level 1."""
    wake1: float | None = None
    """Seconds to come back from level 1; None where `sleep1` is."""
    sleep2: float | None = None
    """Seconds to drop its weights and keep the process; None: it cannot sleep at level 2."""
    wake2: float | None = None
    """Seconds to come back from level 2, reloading included; None where `sleep2` is."""
    token_in: float = 0.0
    """Seconds for a token that is read, the whole batch together."""
    token_out: float = 0.0
    """Seconds for a token that is written, the whole batch together."""
    device_gib: float | None = None
    """Device memory while awake; None: a whole device."""
    host1_gib: float = 0.0
    """Host memory from its first sleep at level 1 until it exits."""
    host2_gib: float = 0.0
    """Host memory from its first sleep at level 2 until it exits."""
    basis: Basis = "measured"
    """What the seconds rest on."""

    @property
    def timed(self) -> bool:
        """Whether its seconds say anything."""
        return self.basis in ("measured", "extrapolated")

    def work(self, input_tokens: float, output_tokens: float) -> float:
        """Seconds of reading and writing that many tokens in one batch."""
        return self.token_in * input_tokens + self.token_out * output_tokens

    def away(self, level: int, times: int) -> float | None:
        """Seconds of leaving and coming back that often; None: it cannot.

        Args:
            level: 1 or 2 for a sleep, 0 for an exit and a cold load.
            times: how often, at least 1.
        """
        if level == 0:
            return times * (self.exit + self.cold)
        if level == 1:
            if self.sleep1 is None or self.wake1 is None:
                return None
            return self.sleep1 + times * self.wake1
        if self.sleep2 is None or self.wake2 is None:
            return None
        return times * (self.sleep2 + self.wake2)


UNKNOWN = EngineCost(1.0, 0.0, basis="unknown")
"""Counts loads, one each, where nothing is known of seconds or memory."""
ELSEWHERE = EngineCost(0.0, 0.0, device_gib=0.0, basis="elsewhere")
"""An expert on another party's server: nothing is loaded here."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What engines are loaded on."""

    devices: tuple[float | None, ...] = (None,)
    """Memory of each device in GiB; None: not known, so one engine at a time."""
    host_gib: float | None = None
    """Host memory that sleeping engines may fill; None: not known, so none sleeps at level 1."""

    def __post_init__(self) -> None:
        known = [each for each in (*self.devices, self.host_gib) if each is not None]
        if not self.devices or any(each <= 0 for each in known):
            raise InputError("a machine has at least one device, and memories are more than 0 GiB")


@dataclass(frozen=True, slots=True)
class Unit:
    """What is loaded at once: one expert, or all adapters of one base."""

    name: str
    """Its first expert's name in the roster's order."""
    experts: tuple[str, ...]
    model: str = ""


@dataclass(frozen=True)
class CostModel:
    """What every load unit takes on one machine."""

    units: Mapping[str, EngineCost]
    """Load unit -> its cost."""
    machine: Machine = field(default_factory=Machine)
    homes: Mapping[str, str] = field(default_factory=dict)
    """Expert -> its load unit; an expert without an entry is a unit of its own."""

    @classmethod
    def of(
        cls,
        experts: Iterable[Expert],
        machine: Machine | None = None,
        *,
        load_key: Callable[[Expert], object] | None = None,
    ) -> CostModel:
        """Costs of a roster's experts, extrapolated from measured figures where memory is known.

        Experts of equal `load_key` share an engine; by default as `load_units` has it.
        """
        known = list(experts)
        by_name = {expert.name: expert for expert in known}
        groups = load_units(known, load_key=load_key or _load_key)
        units = {unit.name: _shared([by_name[name] for name in unit.experts]) for unit in groups}
        homes = {name: unit.name for unit in groups for name in unit.experts}
        return cls(units, machine or Machine(), homes)

    def unit(self, expert: str) -> str:
        """The load unit that holds an expert."""
        return self.homes.get(expert, expert)

    def experts(self, unit: str) -> tuple[str, ...]:
        """The experts that a load unit holds."""
        return tuple(name for name, home in self.homes.items() if home == unit) or (unit,)

    def room(self, device: int) -> float:
        """What a device has room for: GiB, or 1 for one engine at a time."""
        gib = self.machine.devices[device]
        return 1.0 if gib is None else gib

    def size(self, unit: str, device: int) -> float:
        """What a unit takes of a device's room while it is awake."""
        gib = self.units[unit].device_gib
        if gib is None or (gib and self.machine.devices[device] is None):
            return self.room(device)
        return gib


def _load_key(expert: Expert) -> object:
    return kind_of(expert).unit(expert)


def load_units(
    experts: Iterable[Expert], *, load_key: Callable[[Expert], object] = _load_key
) -> tuple[Unit, ...]:
    """What is loaded at once, in the order of the experts.

    Experts whose kind of worker names one unit for them are served by one load: adapters of one
    `vllm` model with the same engine options, say, are chosen request by request.
    """
    groups: dict[object, list[Expert]] = {}
    for expert in experts:
        groups.setdefault(load_key(expert), []).append(expert)
    return tuple(
        Unit(group[0].name, tuple(each.name for each in group), group[0].model)
        for group in groups.values()
    )


def estimate(expert: Expert) -> EngineCost:
    """What an expert's engine takes, from `memory_gib` and what was measured of other models.

    Recorded and scripted experts with a memory are planned as if vLLM served them. Without a
    memory nothing is known.
    """
    if expert.hosted:
        return ELSEWHERE
    if expert.memory_gib is None:
        return UNKNOWN
    return engine(expert.memory_gib, kind=kind_of(expert).engine_costs)


def engine(gib: float, *, kind: Kind = "gpu") -> EngineCost:
    """The cost of an engine whose weights take `gib` GiB, read off the figures for its kind."""
    table = figures()[kind]
    sleeps = {
        name: read(table[name], gib)
        for name in ("sleep1", "wake1", "sleep2", "wake2")
        if name in table
    }
    host1 = table["host1"][0].value / table["host1"][0].gib * gib if "host1" in table else 0.0
    return EngineCost(
        read(table["cold"], gib),
        read(table["exit"], gib, grows=False),
        **sleeps,
        token_in=_in_proportion(table["token_in"], gib),
        token_out=read(table["token_out"], gib),
        device_gib=gib if kind == "gpu" else None,
        host1_gib=host1,
        host2_gib=read(table["host2"], gib, grows=False) if "host2" in table else 0.0,
        basis="extrapolated",
    )


def read(known: Sequence[Figure], gib: float, *, grows: bool = True) -> float:
    """A figure for a size: exact where measured (the mean of several), else extrapolated.

    Between two sizes along a straight line; below the least, the least's; above the largest, in
    proportion to size unless `grows` is false.
    """
    sizes = sorted({figure.gib for figure in known})
    values = [float(np.mean([each.value for each in known if each.gib == size])) for size in sizes]
    if gib > sizes[-1] and grows:
        return values[-1] * gib / sizes[-1]
    return float(np.interp(gib, sizes, values))


@cache
def figures() -> Mapping[str, Mapping[str, tuple[Figure, ...]]]:
    """Kind of engine -> what was measured -> figures, from `engines.yaml`."""
    text = files("orchestra.scheduling").joinpath("engines.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    return MappingProxyType(
        {
            kind: {
                name: tuple(Figure(**row) for row in rows)
                for name, rows in data[kind].items()
                if isinstance(rows, list)
            }
            for kind in ("gpu", "cpu", "local")
        }
    )


def _in_proportion(known: Sequence[Figure], gib: float) -> float:
    """A figure that is reckoned rather than measured grows with size from nothing."""
    return known[0].value * gib / known[0].gib


def _shared(experts: Sequence[Expert]) -> EngineCost:
    """One engine for several experts needs the memory of the largest."""
    return estimate(max(experts, key=lambda expert: expert.memory_gib or 0.0))
