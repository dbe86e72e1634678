"""A run that is failed in every way and killed: nothing is lost, and nothing is paid twice."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from benchmarks.chaos import Books, Outcome, Trial, audit, torment
from benchmarks.provider import FAULTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes"),
]

# The seed is one of which every fault comes, and whose kills are not all at the start.
KILLED = Trial(600, kills=2, concurrency=24, timeout=0.4, seed=18)
# Nobody gives a call up before it is sent, so that the counts must be the same.
WHOLE = Trial(200, kills=0, timeout=2.0, seed=3)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[Trial, Outcome]:
    """Both trials, side by side: most of their time is waiting."""
    trials = (KILLED, WHOLE)
    folders = [tmp_path_factory.mktemp("chaos") for _ in trials]
    with ThreadPoolExecutor(len(trials)) as pool:
        return dict(zip(trials, pool.map(torment, folders, trials), strict=True))


def test_killed_amid_faults(outcomes: dict[Trial, Outcome]) -> None:
    outcome = outcomes[KILLED]
    assert audit(KILLED, outcome) == []
    # The kills fell into the middle, and there was something to pay twice.
    assert len(outcome.kills) == 2
    assert outcome.kills[-1].committed
    assert outcome.server["received"] > KILLED.calls
    assert set(outcome.server["faults"]) == set(FAULTS)
    assert Books.read(outcome.folder).failures


def test_every_request_is_accounted(outcomes: dict[Trial, Outcome]) -> None:
    assert audit(WHOLE, outcomes[WHOLE]) == []
    assert outcomes[WHOLE].server["received"] > WHOLE.calls


def test_the_audit_finds_what_is_wrong(outcomes: dict[Trial, Outcome]) -> None:
    outcome = outcomes[WHOLE]
    server = outcome.server
    wrong = {
        "what the server got was accounted": {"received": server["received"] + 1},
        "attempts that are not lost reached the server": {"received": server["received"] - 1},
        "tokens that were billed were accounted": {"tokens": {"total_tokens": 10**9}},
        "money that was billed was accounted": {"tokens": {"completion_tokens": 10**9}},
    }
    for words, told in wrong.items():
        assert words in audit(WHOLE, replace(outcome, server={**server, **told}))
    assert "each call is in the ledger once" in audit(replace(WHOLE, calls=204), outcome)
    again = dict(outcomes[KILLED].kills[-1].committed)
    again[next(iter(again))] -= 1  # the server answered it once more after the kill
    kills = [replace(outcomes[KILLED].kills[-1], committed=again)]
    assert audit(KILLED, replace(outcomes[KILLED], kills=kills)) == [
        "kill 1: no committed answer is paid again"
    ]
