"""Six engines on one GPU, in the order that `orchestra plan` gives and in its seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.gpu.conftest import Bench, Card

pytestmark = pytest.mark.gpu

SIX = ("abacus", "ledger", "scribe", "mirror", "centurion", "chair")
SHARE = 0.12
"""Of the card, for each engine: all six are there at once."""
LAYERS = "synthesise={moa: {aggregator: chair, layers: 2}}"
"""Five engines are visited twice, the sixth once."""


@pytest.mark.parametrize("fitting", [6, 3])
def test_six_engines_come_and_leave_as_planned(
    bench: Bench, gpu: Card, record_property: Callable[[str, object], None], fitting: int
) -> None:
    """With room for three the others sleep and wake, or exit, as the plan has it."""
    gib = SHARE * gpu.gib
    roster = bench.roster("six", *SIX, gib=gib, share=SHARE, enforce_eager=True)
    machine = ("--device-memory", fitting * gib, "--host-memory", 64)
    given = ("majority", "--roster", roster, "--on", bench.folder / "test.jsonl", "--limit", 100)
    plan = bench("plan", *given, "--set", LAYERS, *machine)["order"]
    since = time.monotonic()
    out = bench.folder / f"six-{fitting}"
    report = bench("run", *given, "--set", LAYERS, *machine, "--arms", "free", "--out", out)
    took = time.monotonic() - since
    record_property("planned seconds", plan["seconds"])
    record_property("seconds of the run, of the whole command", (report["seconds"], round(took, 1)))
    assert report["loads"] == plan["loads"]
    assert report.get("wakes", plan["wakes"]) == plan["wakes"]
    assert plan["loads"] == len(SIX)
