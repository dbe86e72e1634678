"""Sixteen models on two GPUs that nobody has: the plan, first-come order, and faults, simulated."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from orchestra.pipeline.simulation import rehearse_order
from orchestra.scheduling import (
    Arrivals,
    CostModel,
    Job,
    Machine,
    SimulatedMachine,
    engine,
    random_faults,
    schedule,
)

SIZES = (61.0, 30.0, 27.5, 18.0, 15.3, 15.3, 15.3, 15.3, 8.0, 8.0, 8.0, 8.0, 3.0, 3.0, 3.0, 1.1)


def main() -> None:
    draw = Random("simulate")
    names = [f"model-{gib:g}-{i}" for i, gib in enumerate(SIZES)]
    costs = CostModel(dict(zip(names, map(engine, SIZES), strict=True)), Machine((80.0, 80.0), 256))
    asked = [name for _ in range(200) for name in draw.sample(names, 3)]
    jobs = [Job(name, "generate", 0, n, 300 * n, 500 * n) for name, n in Counter(asked).items()]
    arrivals = Arrivals(costs)
    for name in asked:
        arrivals.call(name)
    order = schedule(jobs, costs, comings=arrivals.comings)
    done = asyncio.run(rehearse_order(jobs, costs, order=order))
    first = order.first_come
    assert first is not None
    print(f"planned:    {order.seconds:,.0f} s, {order.loads} loads")
    print(f"first come: {first.seconds:,.0f} s, {first.loads} loads or wakes")
    print(done.log)
    faulty = SimulatedMachine(costs, faults=random_faults(names, seed=1, chance=0.2), report=print)
    done = asyncio.run(rehearse_order(jobs, costs, order=order, machine=faulty))
    print(done.log)
    print(f"{sum(done.answered.values())} answered, {sum(done.failed.values())} recorded as failed")


if __name__ == "__main__":
    main()
