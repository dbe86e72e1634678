"""The simulated machine: what it takes is what was planned, and what goes wrong is survived."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.pipeline import Generate, Pipeline, WorkerPool
from orchestra.records import Absence, Generation, Message, Plan, Question, Request, Sampling, Seat
from orchestra.roster import Expert, Roster
from orchestra.scheduling import (
    CostModel,
    EngineCost,
    Fault,
    Length,
    Log,
    Machine,
    SimulatedEngine,
    SimulatedMachine,
    SimulatedWorkers,
    Writing,
    random_faults,
)
from orchestra.scheduling.simulator.machine import Clock
from tests.pipeline.staging import Drafting

FULL = EngineCost(
    10, 1, sleep1=4, wake1=1, sleep2=0.5, wake2=3, token_in=0.25, token_out=0.5,
    device_gib=4, host1_gib=8, host2_gib=1,
)  # fmt: skip


def obeyed(log: Log, costs: CostModel) -> bool:
    """Replays the log: one thing at a time on a device, no more memory than there is."""
    machine = costs.machine
    for device, gib in enumerate(machine.devices):
        events = [event for event in log.events if event.device == device]
        spent = [event for event in events if event.seconds]
        for before, after in zip(spent, spent[1:], strict=False):
            assert before.at + before.seconds <= after.at + 1e-6
        assert log.peak_gib[device] <= (0.0 if gib is None else gib) + 1e-6
        assert held(events, costs, device) <= costs.room(device) + 1e-6
    assert machine.host_gib is None or log.host_gib <= machine.host_gib + 1e-6
    return True


def held(events: Iterable[Any], costs: CostModel, device: int) -> float:
    """Most of a device's room in use, added up from what came and went; all is free at the end."""
    awake: set[str] = set()
    most = 0.0
    for event in events:
        if event.what in ("load", "wake1", "wake2"):
            assert event.unit not in awake
            awake.add(event.unit)
        elif event.what in ("prefill", "decode"):
            assert event.unit in awake
        elif event.what in ("sleep1", "sleep2", "exit", "died"):
            awake.discard(event.unit)
        most = max(most, sum(costs.size(unit, device) for unit in awake))
    assert not awake
    return most


LIFE = [("load", 0, 10), ("prefill", 10, 1), ("decode", 11, 2)]


@pytest.mark.parametrize(
    ("how", "then"),
    [
        ("stays", []),
        ("exit", [("exit", 13, 1), ("load", 14, 10)]),
        ("sleep1", [("sleep1", 13, 4), ("wake1", 17, 1)]),
        ("sleep2", [("sleep2", 13, 0.5), ("wake2", 13.5, 3)]),
    ],
)
def test_one_life(how: Any, then: list[tuple[str, float, float]]) -> None:
    log = lived(how)
    assert [(each.what, each.at, each.seconds) for each in log.events[: 3 + len(then)]] == [
        *LIFE, *then,
    ]  # fmt: skip


def lived(*ways: Any, host: float = 16.0, **options: Any) -> Log:
    """One engine that works, leaves that way, comes back, and so on, and exits."""

    async def whole() -> Log:
        machine = SimulatedMachine(CostModel({"a": FULL}, Machine((8.0,), host)), **options)
        one = SimulatedEngine(machine, "a", 0)
        for how in (*ways, "exit"):
            await one.come()
            await one.work(4, 4, 4)
            await one.leave(how)
        return machine.log

    return asyncio.run(whole())


def test_the_host_copy_is_made_once_and_given_back_at_the_end() -> None:
    log = lived("sleep1", "sleep1", "exit")
    assert [each.seconds for each in log.events if each.what == "sleep1"] == [4, 0]
    assert [each.host_gib for each in log.events if each.what == "load"] == [0, 0]
    assert log.host_gib == 8


@pytest.mark.parametrize(
    ("fault", "seen", "seconds", "told"),
    [
        (Fault("a", "garbage"), ["load", "wake2", "garbage", "exit", "load"], 11, "canary"),
        (Fault("a", "slow load", times=2), ["load", "wake2"], 10, ""),
        (Fault("a", "out of memory"), ["out of memory", "load", "wake2"], 10, "CUDA"),
        (Fault("a", "death", after=0.25), ["load", "died", "load", "wake2"], 10.75, "died at work"),
        (Fault("a", "death", on=3), ["load", "wake2"], 0, ""),
        (Fault("b", "death"), ["load", "wake2"], 0, ""),
    ],
    ids=str,
)
def test_each_fault_is_survived_and_told(
    fault: Fault, seen: list[str], seconds: float, told: str
) -> None:
    lines: list[str] = []
    log = lived("sleep2", faults=[fault], report=lines.append)
    usual = ("prefill", "decode", "sleep2")
    assert [each.what for each in log.events if each.what not in usual][:-1] == seen
    assert log.seconds == pytest.approx(lived("sleep2").seconds + seconds)
    assert len(lines) == bool(told)
    for line in lines:
        assert line.startswith("simulated: a: ")
        assert told in line
        assert line.endswith("; restarted cold")


def test_a_second_death_gives_up_and_who_asks_then_finds_a_fresh_process() -> None:
    async def whole() -> None:
        faults = [Fault("a", "death", on, after=0.5) for on in (1, 2)]
        machine = SimulatedMachine(CostModel({"a": FULL}), faults=faults)
        one = SimulatedEngine(machine, "a", 0)
        await one.come()
        done = await one.work(8, 0, 8)
        assert done.answered == 6
        assert "died" in done.lost
        assert await one.work(8, 0, 8) == (8, "")
        assert [machine.log.count(what) for what in ("load", "died", "given up")] == [3, 2, 1]

    asyncio.run(whole())


def test_a_host_without_room_ends_who_wants_to_sleep() -> None:
    lines: list[str] = []
    log = lived("sleep1", host=7.0, report=lines.append)
    assert (log.loads, log.wakes, log.host_gib) == (2, 0, 0)
    assert "out of host memory" in lines[0]


def test_an_engine_that_cannot_sleep_says_so() -> None:
    async def whole() -> None:
        one = SimulatedEngine(SimulatedMachine(CostModel({"a": EngineCost(1, 0)})), "a", 0)
        await one.come()
        assert [one.may_sleep(level) for level in (1, 2)] == [False, False]
        await one.leave("sleep1")

    with pytest.raises(ValueError, match="cannot sleep at level 1"):
        asyncio.run(whole())


def test_everything_shown_is_labelled_simulated() -> None:
    log = lived("sleep2", faults=[Fault("a", "garbage")])
    shown = [str(log), *map(str, log.events)]
    assert [line for line in shown if not line.startswith("simulated")] == []


def test_drawn_faults_are_the_same_for_the_same_seed() -> None:
    drawn = [random_faults("abcdefgh", seed=seed, chance=0.5) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert not random_faults("abc", seed=1, chance=0)
    assert len(random_faults("abc", seed=1, chance=1)) == 3 * 4 * 2


# Behind the workers' protocol.


def expert(name: str, gib: float = 4.0, **rest: Any) -> Expert:
    return Expert(
        name, rest.pop("model", name), worker="vllm", memory_gib=gib,
        sampling=Sampling(max_tokens=100), **rest,
    )  # fmt: skip


def request(number: int, who: str = "a") -> Request:
    messages = (Message("user", f"What is {number}?"),)
    return Request(f"{who} {number}", f"q{number}", who, "generate", messages, Sampling(0, 100))


def workers(*experts: Expert, device: float | None = 8.0, **options: Any) -> SimulatedWorkers:
    writing = options.pop("writing", Writing())
    return SimulatedWorkers(
        SimulatedMachine(CostModel.of(experts, Machine((device, device), 16.0)), **options),
        writing=writing,
    )


def asked(desk: SimulatedWorkers, one: Expert, count: int) -> list[Generation]:
    async def whole() -> list[Generation]:
        async with desk.open(one) as worker:
            return [each async for each in worker.generate([request(i) for i in range(count)])]

    return asyncio.run(whole())


def test_a_generation_says_that_it_is_simulated() -> None:
    one = expert("a")
    length = {"a": Length(40)}
    (found,) = asked(workers(one, writing=Writing(lambda _: "Yes.", length)), one, 1)
    assert (found.text, found.finish_reason) == ("[simulated]\nYes.", "simulated")
    assert found.usage.estimated
    assert (found.usage.calls, found.usage.input_tokens) == (1, 3)
    assert 20 <= found.usage.output_tokens <= 60
    assert found.usage.seconds > 0


def test_lengths_are_drawn_for_each_request_and_seed() -> None:
    def drawn(seed: int) -> list[int]:
        return [Writing(lengths={"a": Length(40)}, seed=seed).tokens(request(i)) for i in range(9)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) > 3
    assert Writing().tokens(request(1)) == 100


@pytest.mark.parametrize(
    ("faults", "failing", "loads"),
    [
        ([Fault("a", "death", 1)], 0, 2),
        ([Fault("a", "out of memory", 1)], 0, 1),
        ([Fault("a", "death", 1), Fault("a", "death", 2)], 3, 2),
        ([Fault("a", "out of memory", 1), Fault("a", "out of memory", 2)], 10, 0),
    ],
    ids=str,
)
def test_what_cannot_be_answered_is_a_crash(faults: list[Fault], failing: int, loads: int) -> None:
    one = expert("a")
    desk = workers(one, faults=faults)
    found = asked(desk, one, 10)
    failures = [each.failure for each in found if each.failure]
    assert [each.key for each in found] == [f"a {i}" for i in range(10)]
    assert (len(failures), desk.machine.log.loads) == (failing, loads)
    for failure in failures:
        assert (failure.kind, failure.retryable) == ("crash", True)
        assert failure.detail.startswith("simulated: ")


def test_a_device_without_room_is_out_of_memory() -> None:
    experts = [expert("a", 6.0), expert("b", 6.0), expert("c", 6.0)]
    desk = workers(*experts)

    async def whole() -> list[Generation]:
        async with desk.open(experts[0]), desk.open(experts[1]), desk.open(experts[2]) as third:
            return [each async for each in third.generate([request(0, "c")])]

    (found,) = asyncio.run(whole())
    assert found.failure is not None
    assert "CUDA out of memory: 6 GiB wanted, 2 free on device 0" in found.failure.detail
    assert desk.machine.log.peak_gib == (6, 6)


def test_a_worker_sleeps_and_wakes() -> None:
    one = expert("a")
    desk = workers(one)

    async def whole() -> None:
        async with desk.open(one) as worker:
            await worker.sleep(2)
            await worker.wake()
            await worker.sleep(1)
            assert [each.failure async for each in worker.generate([request(0)])] == [None]
            assert [each async for each in worker.generate([])] == []

    asyncio.run(whole())
    assert (desk.machine.log.loads, desk.machine.log.wakes) == (1, 2)


def test_engines_on_two_devices_run_side_by_side() -> None:
    experts = [expert("a"), expert("b")]
    desk = workers(*experts)

    async def alone(one: Expert) -> None:
        async with desk.open(one) as worker:
            assert len([each async for each in worker.generate([request(0, one.name)])]) == 1

    async def whole() -> None:
        await asyncio.gather(*(alone(one) for one in experts))

    asyncio.run(whole())
    together = desk.machine.log.seconds
    asyncio.run(whole())
    assert desk.machine.log.seconds == pytest.approx(2 * together)


def test_engines_of_one_device_take_turns() -> None:
    async def alone(machine: SimulatedMachine, unit: str) -> None:
        one = SimulatedEngine(machine, unit, 0)
        await one.come()
        await one.work(4, 4, 4)
        await one.leave("exit")

    async def whole(machine: SimulatedMachine) -> None:
        await asyncio.gather(alone(machine, "a"), alone(machine, "b"))

    machine = SimulatedMachine(CostModel({"a": FULL, "b": FULL}, Machine((8.0,))))
    asyncio.run(whole(machine))
    assert machine.log.seconds == 2 * (10 + 3 + 1)
    assert machine.log.peak_gib == (8,)
    assert obeyed(machine.log, machine.costs)


def test_a_cancelled_load_leaves_nothing_behind() -> None:
    one = expert("a", 8.0)
    desk = workers(one)

    async def whole() -> None:
        task = asyncio.create_task(desk.open(one).__aenter__())
        while desk.machine.room(0) == 8:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert desk.machine.room(0) == 8

    asyncio.run(whole())


def test_two_who_ask_at_once_are_served_by_one_load() -> None:
    one = expert("a")
    desk = workers(one, faults=[Fault("a", "death", 1)])

    async def whole() -> list[list[Generation]]:
        async def ask(worker: Any, since: int) -> list[Generation]:
            asks = [request(number) for number in range(since, since + 4)]
            return [each async for each in worker.generate(asks)]

        async with desk.open(one) as worker:
            await worker.sleep(2)
            return list(await asyncio.gather(ask(worker, 0), ask(worker, 4)))

    found = [each for row in asyncio.run(whole()) for each in row]
    assert [(each.key, each.failure) for each in found] == [(f"a {i}", None) for i in range(8)]
    assert (desk.machine.log.loads, desk.machine.log.wakes) == (2, 1)


def test_what_no_device_holds_is_the_users_error() -> None:
    experts = [expert("a", 9.0), expert("b", 90.0), expert("c")]
    with pytest.raises(Exception, match="expert `a` takes 9 GiB") as caught:
        workers(*experts).check([*experts, expert("d")])
    assert "expert `b` takes 90 GiB" in str(caught.value)
    assert "'d'" in str(caught.value) or "`d`" in str(caught.value)
    with pytest.raises(InputError, match="no device 7"):
        SimulatedWorkers(workers(expert("c")).machine, homes={"c": 7}).check([expert("c")])


def test_no_ledger_mixes_up_simulated_and_real() -> None:
    one = expert("a")
    assert workers(one).identity(one) not in (one.identity, WorkerPool().identity(one))


def drafted(desk: SimulatedWorkers, experts: list[Expert], questions: int) -> Any:
    roster = Roster.of(*experts)
    asked = {
        f"q{i}": Question(f"q{i}", f"What is {i}?", ("one", "two", "three"))
        for i in range(questions)
    }
    plans = [
        Plan(
            name, tuple(Seat(each, 1.0, "") for each in Random(name).sample(roster.names, 3)), "", 0
        )
        for name in asked
    ]
    identities = {each.name: desk.identity(each) for each in experts}
    stage = Drafting(
        roster, desk, identities, settings=Generate(calls=3, next_if_absent=False, tolerance=1.0)
    )
    return asyncio.run(stage.run(plans, asked))


@pytest.mark.parametrize("chance", [0.0, 0.4])
def test_the_generate_stage_runs_on_it_unchanged(chance: float) -> None:
    experts = [expert(f"m{i}", 3.0 + i % 4) for i in range(14)]
    experts += [expert(f"lora{i}", 4.0, model="m0", adapter=f"lora/{i}") for i in range(2)]
    names = [each.name for each in experts]
    faults = random_faults(names, seed=5, chance=chance)
    says = Writing(lambda request: "The answer is (B).", {name: Length(50) for name in names})
    desk = workers(*experts, faults=faults, writing=says)
    drafts = drafted(desk, experts, 100)
    answers = [answer for row in drafts.answers.values() for answer in row.values()]
    assert len(answers) == 300
    assert {(each.value, each.absence) for each in answers} <= {
        ("B", None), (None, Absence.FAILED),
    }  # fmt: skip
    assert drafts.failures == sum(each.absence is Absence.FAILED for each in answers)
    assert (drafts.failures > 0) == (chance > 0)
    assert desk.machine.log.loads == 14 or chance
    assert obeyed(desk.machine.log, desk.machine.costs)


def test_a_pipeline_runs_on_it_and_nothing_looks_like_an_answer() -> None:
    experts = [expert(name) for name in "abc"]
    desk = workers(*experts)
    pipeline = Pipeline.load(
        "majority", roster=Roster.of(*experts), workers=cast("WorkerPool", desk)
    )
    run = asyncio.run(pipeline.run([Question("q", "Which?", ("one", "two"))]))
    assert [decision.value for decision in run.decisions] == [None]
    assert desk.machine.log.loads == 3


# The clock.


@given(st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=6))
def test_time_passes_in_order_for_all_who_wait(waits: list[list[int]]) -> None:
    clock = Clock()
    seen: list[float] = []

    async def one(steps: list[int]) -> None:
        due = 0
        for step in steps:
            due += step
            await clock.until(clock.now + step)
            assert clock.now == due
            seen.append(clock.now)

    async def whole() -> None:
        await asyncio.gather(*map(one, waits))

    asyncio.run(whole())
    assert seen == sorted(seen)
    assert clock.now == max(map(sum, waits), default=0)


def test_who_is_cancelled_lets_no_time_pass() -> None:
    clock = Clock()

    async def whole() -> None:
        task = asyncio.create_task(clock.until(100))
        await asyncio.sleep(0)
        task.cancel()
        await clock.until(5)
        assert clock.now == 5

    asyncio.run(whole())
    asyncio.run(clock.until(7))
    assert clock.now == 7
