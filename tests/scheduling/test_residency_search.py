"""Against brute force: every sequence of single operations on one device."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import pytest

from orchestra.scheduling import CostModel, EngineCost, Job, Machine, phases, schedule, stage_graph


def small(seed: int) -> tuple[list[Job], CostModel]:
    """Up to four engines, four phases and seven jobs, on one device, with tight memories."""
    draw = Random(f"small:{seed}")
    names = "abcd"[: draw.randint(2, 4)]
    stages = [("tag", 0), ("generate", 0), ("generate", 1), ("synthesise", 0)]
    stages = sorted(draw.sample(stages, draw.randint(1, 4)), key=stages.index)
    pairs = [(name, stage) for name in names for stage in stages]
    kept = draw.sample(pairs, min(len(pairs), draw.randint(3, 10 - len(names))))
    jobs = [Job(name, *stage, 1, draw.randint(1, 9), draw.randint(1, 9)) for name, stage in kept]
    units = {name: _engine(draw) for name in names}
    room = draw.choice([None, None, 8.0, 8.0, 10.0, 12.0])
    host = draw.choice([None, 0.5, 4.0, 8.0, 16.0])
    return jobs, CostModel(units, Machine((room,), host))


def _engine(draw: Random) -> EngineCost:
    sleeps = draw.random() < 0.8
    return EngineCost(
        draw.randint(4, 40),
        draw.randint(0, 3),
        sleep1=draw.randint(1, 5) if sleeps else None,
        wake1=draw.randint(0, 2) if sleeps else None,
        sleep2=draw.randint(0, 2) if sleeps else None,
        wake2=draw.randint(1, 12) if sleeps else None,
        token_in=0.25,
        token_out=0.5,
        device_gib=draw.choice([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, None]),
        host1_gib=draw.randint(1, 8),
        host2_gib=draw.choice([0.25, 1.0]),
    )


class State(NamedTuple):
    """All that matters about a device in the middle of a run."""

    done: frozenset[Job]
    engines: tuple[str, ...]
    """For each unit: off, awake, asleep at 1 or at 2, each with `k` once its copy is kept."""
    slept: frozenset[tuple[str, int]]


def fastest(jobs: list[Job], costs: CostModel, within: float) -> float:
    """The least seconds of any sequence of single operations, tried in order of seconds.

    Sequences that take longer than `within` are not followed: there is one that takes no more.
    """
    units = sorted({job.unit for job in jobs})
    staged = phases(stage_graph(jobs))
    start = State(frozenset(), ("off",) * len(units), frozenset())

    def rest(state: State) -> float:
        """What must still be paid whatever is done."""
        left = [job for job in jobs if job not in state.done]
        seconds = sum(
            costs.units[job.unit].work(job.input_tokens, job.output_tokens) for job in left
        )
        for unit, engine in zip(units, state.engines, strict=True):
            if engine != "off":
                seconds += costs.units[unit].exit
            elif any(job.unit == unit for job in left):
                seconds += costs.units[unit].exit + costs.units[unit].cold
        return seconds

    waiting: list[tuple[float, int, State]] = [(0.0, 0, start)]
    seen: dict[State, float] = {start: 0.0}
    count = 0
    while waiting:
        seconds, _, state = heapq.heappop(waiting)
        if seconds > seen[state]:
            continue
        if len(state.done) == len(jobs) and set(state.engines) == {"off"}:
            return seconds
        for took, after in operations(state, units, staged, costs):
            known = min(seen.get(after, within + 1e-6), within + 1e-6 - rest(after))
            if seconds + took < known:
                seen[after] = seconds + took
                count += 1
                heapq.heappush(waiting, (seconds + took, count, after))
    raise AssertionError("no sequence finishes")


def operations(
    state: State, units: list[str], staged: list[list[Job]], costs: CostModel
) -> Iterator[tuple[float, State]]:
    """Everything that may be done next, and what it takes."""
    sizes = [costs.size(unit, 0) for unit in units]
    held = sum(size for size, engine in zip(sizes, state.engines, strict=True) if "awake" in engine)
    opened = next((row for row in staged if not set(row) <= state.done), [])
    for place, unit in enumerate(units):
        engine = state.engines[place]
        if "awake" in engine:
            yield from worked(state, unit, opened, costs)
            yield from left(state, place, unit, costs)
            continue
        cost = costs.units[unit]
        if engine != "off":
            yield cost.exit, becomes(state, place, "off")
        if held + sizes[place] <= costs.room(0) + 1e-9:
            comes = {"o": cost.cold, "1": cost.wake1, "2": cost.wake2}
            seconds = comes["o" if engine == "off" else engine[6]]
            assert seconds is not None
            yield seconds, becomes(state, place, "awake" + kept(engine))


def worked(
    state: State, unit: str, opened: list[Job], costs: CostModel
) -> Iterator[tuple[float, State]]:
    for job in opened:
        if job.unit == unit and job not in state.done:
            seconds = costs.units[unit].work(job.input_tokens, job.output_tokens)
            yield seconds, state._replace(done=state.done | {job})


def left(state: State, place: int, unit: str, costs: CostModel) -> Iterator[tuple[float, State]]:
    cost, engine = costs.units[unit], state.engines[place]
    yield cost.exit, becomes(state, place, "off")
    if cost.sleep1 is None or cost.sleep2 is None:
        return
    if costs.machine.host_gib is not None:
        asleep = becomes(state, place, "asleep1k", (unit, 1))
        if host(asleep, costs):
            yield (0.0 if kept(engine) else cost.sleep1), asleep
    asleep = becomes(state, place, "asleep2" + kept(engine), (unit, 2))
    if host(asleep, costs):
        yield cost.sleep2, asleep


def kept(engine: str) -> str:
    return "k" if engine.endswith("k") else ""


def becomes(state: State, place: int, engine: str, slept: tuple[str, int] | None = None) -> State:
    engines = (*state.engines[:place], engine, *state.engines[place + 1 :])
    return State(state.done, engines, state.slept | {slept} if slept else state.slept)


def host(state: State, costs: CostModel) -> bool:
    """Whether the host has room for all that ever slept: pinned copies are not given back."""
    if costs.machine.host_gib is None:
        return True
    taken: dict[str, float] = {}
    for unit, level in state.slept:
        cost = costs.units[unit]
        gib = cost.host1_gib if level == 1 else cost.host2_gib
        taken[unit] = max(taken.get(unit, 0.0), gib)
    return sum(taken.values()) <= costs.machine.host_gib + 1e-9


@pytest.mark.parametrize("seeds", [range(i, i + 20) for i in range(0, 200, 20)], ids=str)
def test_two_hundred_small_instances_are_solved_as_by_brute_force(seeds: range) -> None:
    for seed in seeds:
        jobs, costs = small(seed)
        order = schedule(jobs, costs)
        assert order.exact
        assert order.seconds == pytest.approx(fastest(jobs, costs, order.seconds)), f"seed {seed}"
        assert order.lower_bound <= order.seconds + 1e-9
