from __future__ import annotations

from random import Random

import pytest

from orchestra.errors import InputError
from orchestra.scheduling import (
    CostModel,
    EngineCost,
    Job,
    Machine,
    Order,
    engine,
    schedule,
    stage_graph,
)

FULL = EngineCost(10, 1, sleep1=4, wake1=1, sleep2=1, wake2=3, host1_gib=8, host2_gib=1)


def realistic(
    seed: int, models: int, *, devices: int = 1, layers: int = 1, sizes: str = "usual"
) -> tuple[list[Job], CostModel]:
    """Experts asked by a Zipf law on 80 GiB devices, a keyword model and an aggregator."""
    draw = Random(f"realistic:{seed}")
    usual = (3.0, 8.0, 15.3, 15.3, 15.3, 18.0, 27.5, 30.0, 61.0)
    gib = [
        draw.choice(usual) if sizes == "usual" else round(draw.uniform(2, 40), 3)
        for _ in range(models)
    ]
    names = [f"m{i:02}" for i in range(models)]
    jobs = [Job(names[0], "tag", 0, 5_000, 600_000, 150_000)]
    for layer in range(layers):
        order = draw.sample(range(models), models)
        for rank, i in enumerate(order, 1):
            calls = round(15_000 / rank / sum(1 / r for r in range(1, models + 1))) + 1
            jobs.append(
                Job(
                    names[i],
                    "generate",
                    layer,
                    calls,
                    300.0 * calls,
                    draw.uniform(200, 900) * calls,
                )
            )
    jobs.append(Job(names[-1], "synthesise", 0, 5_000, 5_000_000, 1_000_000))
    units = {name: engine(each) for name, each in zip(names, gib, strict=True)}
    return jobs, CostModel(units, Machine((80.0,) * devices, 256.0))


@pytest.mark.parametrize("models", [16, 24, 32, 48, 64])
@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_within_a_tenth_of_the_lower_bound(models: int, devices: int) -> None:
    jobs, costs = realistic(models + devices, models, devices=devices)
    order = schedule(jobs, costs)
    assert order.gap <= 0.1
    assert order.loads == order.fewest_loads == models
    assert obeyed(order, jobs, costs)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("devices", [1, 2, 3])
def test_orders_of_several_layers_obey_the_machine(seed: int, devices: int) -> None:
    jobs, costs = realistic(seed, 9, devices=devices, layers=2, sizes="any")
    order = schedule(jobs, costs)
    assert obeyed(order, jobs, costs)
    assert order.gap <= 0.25
    assert order.exact or devices > 1


def obeyed(order: Order, jobs: list[Job], costs: CostModel) -> bool:
    """Every job once, stages one after another, memories kept to, engines come as they left."""
    assert sorted(step.job.node for step in order.steps) == sorted(job.node for job in jobs)
    ends = {step.job.node: step.worked for step in order.steps}
    begins = {step.job.node: step.worked - step.working for step in order.steps}
    for before, after in stage_graph(jobs).edges:
        assert ends[before] <= begins[after] + 1e-6
    clocks: dict[int, float] = {}
    ways: dict[str, str] = {}
    back = {"cold": "exit", "wake1": "sleep1", "wake2": "sleep2", "stays": "stays"}
    for step in order.steps:
        assert clocks.get(step.device, 0.0) <= step.start + 1e-6
        clocks[step.device] = step.end
        assert ways.get(step.job.unit, "exit") == back[step.comes]
        ways[step.job.unit] = step.leaves
    assert set(ways.values()) <= {"exit"}
    assert max(clocks.values()) == pytest.approx(order.seconds)
    rooms = [costs.room(device) for device in range(len(clocks))]
    assert all(gib <= room for gib, room in zip(order.peak_gib, rooms, strict=False))
    assert order.host_gib <= (costs.machine.host_gib or 0.0) + 1e-6
    return True


def test_one_round_on_one_slot_loads_each_expert_once() -> None:
    jobs = [Job(f"m{i}", "generate", requests=1) for i in range(16)]
    order = schedule(jobs, CostModel({job.unit: FULL for job in jobs}))
    assert (order.loads, order.wakes, order.fewest_loads) == (16, 0, 16)
    assert {(step.comes, step.leaves) for step in order.steps} == {("cold", "exit")}


def test_a_stage_boundary_costs_no_load() -> None:
    """The keyword model is the first expert, the aggregator the last."""
    asked = [Job(name, "generate") for name in "abcd"]
    order = schedule(
        [Job("c", "tag"), *asked, Job("b", "synthesise")],
        CostModel(dict.fromkeys("abcd", FULL)),
    )
    assert [step.job.unit for step in order.steps] == ["c", "c", "a", "d", "b", "b"]
    assert order.loads == 4
    assert [step.comes for step in order.steps].count("stays") == 2


@pytest.mark.parametrize(
    ("revisits", "host", "leaves"),
    [
        (0, 99.0, set()),
        (1, 99.0, {"sleep2"}),  # 4 + 1 against 1 + 3: the copy does not pay once
        (2, 99.0, {"sleep1"}),  # 4 + 2 against 2 (1 + 3)
        (2, 7.0, {"sleep2"}),  # no room for the copy
        (2, None, {"sleep2"}),  # room not known
        (2, 0.5, set()),  # no room for a process either
    ],
)
def test_how_a_revisited_engine_leaves(revisits: int, host: float | None, leaves: set[str]) -> None:
    jobs = [Job("a", "generate", layer) for layer in range(revisits + 1)]
    jobs += [Job(f"x{layer}", "judge", layer) for layer in range(revisits)]
    once = EngineCost(10, 1)
    costs = CostModel({"a": FULL} | {f"x{i}": once for i in range(3)}, Machine((None,), host))
    steps = [step for step in schedule(jobs, costs).steps if step.job.unit == "a"]
    assert {step.leaves for step in steps[:-1]} - {"exit"} == leaves
    assert steps[-1].leaves == "exit"


def test_engines_stay_together_where_they_fit() -> None:
    jobs = [Job(name, stage) for stage in ("tag", "generate") for name in "ab"]
    units = dict.fromkeys("ab", EngineCost(10, 1, device_gib=30.0))
    assert schedule(jobs, CostModel(units, Machine((40.0,)))).loads == 3
    together = schedule(jobs, CostModel(units, Machine((60.0,))))
    assert (together.loads, together.peak_gib) == (2, (60.0,))


def test_nothing_to_do_takes_no_time() -> None:
    order = schedule([], CostModel({}))
    assert (order.seconds, order.lower_bound, order.steps, order.exact) == (0.0, 0.0, (), True)


def test_the_same_jobs_have_the_same_order() -> None:
    jobs, costs = realistic(3, 20, devices=2, layers=2)
    assert schedule(jobs, costs) == schedule(jobs, costs)


def test_an_engine_that_fits_nowhere_is_refused() -> None:
    costs = CostModel({"a": EngineCost(1, 1, device_gib=90.0)}, Machine((40.0, 80.0)))
    with pytest.raises(InputError, match="takes 90 GiB, the largest device has 80"):
        schedule([Job("a", "generate")], costs)


def test_first_come_order_pays_for_every_coming() -> None:
    jobs = [Job("a", "generate"), Job("b", "generate")]
    costs = CostModel(dict.fromkeys("ab", FULL))
    order = schedule(jobs, costs, comings={"a": 3, "b": 1})
    assert order.first_come is not None
    assert order.first_come.loads == 4
    assert order.first_come.seconds == pytest.approx(2 * 11 + 2 * 4)
    assert order.seconds == 22


@pytest.mark.parametrize(
    ("cost", "host", "seconds"),
    [
        (FULL, 8.0, 4 + 2),  # level 1 twice
        (FULL, 7.75, 2 * (1 + 3)),  # no room for the copy
        (EngineCost(10, 1, sleep1=4, wake1=1, sleep2=1, wake2=3), 1.0, 4 + 2),  # takes nothing
        (EngineCost(10, 1), 8.0, 2 * 11),
    ],
)
def test_how_engines_leave_in_first_come_order(
    cost: EngineCost, host: float, seconds: float
) -> None:
    costs = CostModel({"a": cost}, Machine((None,), host))
    order = schedule([Job("a", "generate")], costs, comings={"a": 3})
    assert order.first_come is not None
    assert order.first_come.seconds == pytest.approx(11 + seconds)


def test_engines_that_cannot_sleep_are_spread_over_devices() -> None:
    jobs = [Job(name, stage) for stage in ("tag", "generate") for name in "ab"]
    costs = CostModel(dict.fromkeys("ab", EngineCost(10, 1)), Machine((None, None)))
    order = schedule(jobs, costs)
    assert (order.seconds, {step.device for step in order.steps}) == (11, {0, 1})
