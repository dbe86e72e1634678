"""A run that is failed in every way and killed: nothing is lost, and nothing is paid twice."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.chaos import Books, Trial, audit, torment
from benchmarks.provider import FAULTS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes")


def test_killed_amid_faults(tmp_path: Path) -> None:
    trial = Trial(600, kills=2, concurrency=24, timeout=0.4, seed=18)
    outcome = torment(tmp_path, trial)
    assert audit(trial, outcome) == []
    # The kills fell into the middle, and there was something to pay twice.
    assert len(outcome.kills) == 2
    assert outcome.kills[-1].committed
    assert outcome.server["received"] > trial.calls
    assert set(outcome.server["faults"]) == set(FAULTS)
    assert Books.read(outcome.folder).failures


def test_every_request_is_accounted(tmp_path: Path) -> None:
    trial = Trial(200, kills=0, seed=3)
    outcome = torment(tmp_path, trial)
    assert audit(trial, outcome) == []
    assert outcome.server["received"] > trial.calls
    # The audit can fail.
    server = outcome.server
    wrong = {
        "what the server got was accounted": {"received": server["received"] + 1},
        "attempts that are not lost reached the server": {"received": server["received"] - 1},
        "tokens that were billed were accounted": {"tokens": {"total_tokens": 10**9}},
        "money that was billed was accounted": {"tokens": {"completion_tokens": 10**9}},
    }
    for words, told in wrong.items():
        assert words in audit(trial, replace(outcome, server={**server, **told}))
    assert "each call is in the ledger once" in audit(replace(trial, calls=204), outcome)
