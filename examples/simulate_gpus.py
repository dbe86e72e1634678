"""Sixteen models on two GPUs that nobody has: the plan, first-come order, and faults, simulated."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from orchestra.scheduling import (
    Arrivals,
    CostModel,
    Job,
    Machine,
    SimulatedMachine,
    carry_out,
    engine,
    random_faults,
    schedule,
    serve,
)

SIZES = (61.0, 30.0, 27.5, 18.0, 15.3, 15.3, 15.3, 15.3, 8.0, 8.0, 8.0, 8.0, 3.0, 3.0, 3.0, 1.1)


def main() -> None:
    draw = Random("simulate")
    names = [f"model-{gib:g}-{i}" for i, gib in enumerate(SIZES)]
    costs = CostModel(dict(zip(names, map(engine, SIZES), strict=True)), Machine((80.0, 80.0), 256))
    asked = [name for _ in range(200) for name in draw.sample(names, 3)]
    calls = [Job(name, "generate", 0, 1, 300, 500) for name in asked]
    counts = Counter(asked)
    jobs = [Job(name, "generate", 0, n, 300 * n, 500 * n) for name, n in counts.items()]
    arrivals = Arrivals(costs)
    for call in calls:
        arrivals.call(call.unit)
    order = schedule(jobs, costs, comings=arrivals.comings)
    homes = {step.job.unit: step.device for step in order.steps}
    naive = order.first_come.seconds if order.first_come else 0.0
    done = asyncio.run(carry_out(order, SimulatedMachine(costs)))
    print(f"our order:  planned {order.seconds:5,.0f} s, {done.log}")
    served = asyncio.run(serve(calls, SimulatedMachine(costs), homes))
    print(f"first come: planned {naive:5,.0f} s, {served}")
    faulty = SimulatedMachine(costs, faults=random_faults(names, seed=1, chance=0.2), report=print)
    done = asyncio.run(carry_out(order, faulty))
    print(f"our order, with faults: {done.log}")
    print(f"{sum(done.answered.values())} answered, {sum(done.failed.values())} recorded as failed")


if __name__ == "__main__":
    main()
