from __future__ import annotations

from rich.console import Console, RenderableType

from orchestra.report.terminal.plan import order_data, order_memory, order_time, order_view
from orchestra.scheduling import CostModel, EngineCost, Job, Machine, schedule

JOBS = [
    Job("a", "tag", 0, 5),
    Job("a", "generate", 0, 9),
    Job("b", "generate", 0, 7),
    Job("b", "generate", 1, 7),
    Job("a", "synthesise", 0, 5),
]
COST = EngineCost(
    40, 2, sleep1=3, wake1=1, sleep2=1, wake2=4, device_gib=50, host1_gib=9, host2_gib=2
)
COSTS = CostModel({"a": COST, "b": COST}, Machine((80.0,), 64.0), {"a": "a", "b": "b", "c": "a"})


def printed(view: RenderableType) -> str:
    console = Console(width=120, file=None, record=True, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_steps_as_data() -> None:
    told = order_data(schedule(JOBS, COSTS, comings={"a": 30, "b": 40}))
    assert [(step["unit"], step["comes"], step["leaves"]) for step in told["steps"]] == [
        ("a", "cold", "stays"),
        ("a", "stays", "sleep1"),
        ("b", "cold", "stays"),
        ("b", "stays", "exit"),
        ("a", "wake1", "exit"),
    ]
    assert told["steps"][0]["experts"] == ["a", "c"]
    assert (told["loads"], told["wakes"], told["loads_lower_bound"]) == (2, 1, 2)
    assert (told["loads_first_come"], told["exact"]) == (70, True)
    assert told["seconds"] == 2 * 42 + 4
    assert told["seconds_lower_bound"] <= told["seconds"] < told["seconds_first_come"]
    assert (told["device_gib"], told["host_gib"]) == ([50], 9)


def test_a_line_for_each_step() -> None:
    order = schedule(JOBS, COSTS, comings={"a": 30, "b": 40})
    words = printed(order_view(order))
    for each in ("a + 1 adapters", "loads", "is there", "sleeps (1)", "wakes (1)", "generate 1"):
        assert each in words
    assert order_time(order).startswith("88 s, extrapolated (lower bound ")
    assert order_memory(order) == "at most 50 GiB on the devices, 9 GiB of the host"


def test_seconds_that_mean_nothing_are_not_shown() -> None:
    unknown = EngineCost(1, 0, basis="unknown")
    order = schedule([Job("a", "generate", 0, 9)], CostModel({"a": unknown}))
    told = order_data(order)
    assert (told["seconds"], told["seconds_rest_on"]) == (None, None)
    assert set(told["steps"][0]["seconds"].values()) == {None}
    assert "–" in printed(order_view(order))


def test_a_gap_is_told_where_the_best_is_not_proven() -> None:
    jobs = [
        Job(name, "generate", 0, 1, 0, tokens)
        for name, tokens in zip("abc", (5, 4, 4), strict=True)
    ]
    cost = EngineCost(10, 1, token_out=1.0)
    order = schedule(jobs, CostModel(dict.fromkeys("abc", cost), Machine((None, None))))
    assert not order.exact
    assert "more than the best" in order_time(order)
