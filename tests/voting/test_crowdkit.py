"""Our label models beside crowd-kit's, on panels where both should say the same."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest

from orchestra.voting.dawid_skene import one_coin
from orchestra.voting.mmsr import mmsr, mmsr_weights
from tests.voting.panels import Panel, panel, voted

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        importlib.util.find_spec("crowdkit") is None, reason="crowd-kit is not installed"
    ),
    # Its own imports and the newest pandas are not on the best of terms.
    pytest.mark.filterwarnings("ignore"),
]

PANELS = [
    pytest.param([0.8, 0.75, 0.7, 0.65, 0.6], 0, 0.0, id="five honest"),
    pytest.param([0.8, 0.75, 0.7, 0.65, 0.6], 0, 0.3, id="five honest, votes missing"),
    pytest.param([0.75, 0.7, 0.65, 0.65, 0.6], 2, 0.0, id="five honest, two colluders"),
    pytest.param([0.75, 0.7, 0.65, 0.65, 0.6], 2, 0.3, id="seven, two colluders, votes missing"),
]
# Whom one-coin believes here is settled for these three; with better ones it is a coin toss that
# hangs on where the model starts, and the two start differently.
OUTDONE = [
    pytest.param([0.65, 0.6, 0.55], 2, 0.0, id="three honest, two colluders"),
    pytest.param([0.65, 0.6, 0.55], 2, 0.3, id="three honest, two colluders, votes missing"),
]
HOLDING = [
    pytest.param([0.75, 0.68, 0.6], 2, 0.0, id="three honest, two colluders"),
    pytest.param([0.75, 0.68, 0.6], 2, 0.3, id="three honest, two colluders, votes missing"),
]
SEEDS = range(5)


def turned(made: Panel) -> Panel:
    """Every question four times, its codes shifted by 0 to 3.

    crowd-kit learns how often each code is right over all questions, and lets that decide what
    votes leave open. Codes that mean nothing are all right equally often, as we assume.
    """
    shifts = [np.where(made.codes >= 0, (made.codes + by) % 4, -1) for by in range(4)]
    truth = np.concatenate([(made.truth + by) % 4 for by in range(4)])
    return Panel(truth, np.concatenate(shifts, axis=1), np.tile(made.sizes, 4))


def frame(made: Panel) -> Any:
    """The votes as crowd-kit takes them: one row each."""
    import pandas as pd

    expert, question = np.nonzero(made.codes >= 0)
    return pd.DataFrame({"task": question, "worker": expert, "label": made.codes[expert, question]})


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("honest", "colluders", "missing"), PANELS + OUTDONE)
def test_one_coin_agrees(honest: list[float], colluders: int, missing: float, seed: int) -> None:
    from crowdkit.aggregation import OneCoinDawidSkene

    made = turned(panel(honest, colluders=colluders, missing=missing, seed=seed))
    theirs = OneCoinDawidSkene(n_iter=200, tol=1e-9).fit(frame(made))
    nothing = np.zeros(len(made.codes))
    ours = one_coin(made.codes, made.sizes, right=nothing, seen=nothing, rounds=200)
    asked = np.flatnonzero((made.codes >= 0).any(axis=0))
    # Where only experts it disbelieves have answered, its labels are answers that nobody gave.
    given = np.stack([(made.codes == code).any(axis=0) for code in range(4)], axis=1)[asked]
    labels = np.where(given, theirs.probas_.loc[asked, range(4)].to_numpy(), -1).argmax(axis=1)
    assert (ours.posterior[asked].argmax(axis=1) == labels).mean() >= 0.99
    assert ours.accuracy == pytest.approx(theirs.skills_.sort_index().to_numpy(), abs=0.02)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("honest", "colluders", "missing"), PANELS + HOLDING)
def test_mmsr_agrees(honest: list[float], colluders: int, missing: float, seed: int) -> None:
    from crowdkit.aggregation import MMSR

    made = panel(honest, colluders=colluders, missing=missing, seed=seed)
    theirs = MMSR()
    labels = theirs.fit_predict(frame(made))
    weights = mmsr_weights(mmsr(made.codes, made.sizes), made.sizes)
    known = theirs.skills_.sort_index().to_numpy()
    assert np.corrcoef(weights[:, 0], known)[0, 1] > 0.99
    # It divides the scores of a question by their sum. Where that is negative, liars having most of
    # the say, the worst answer comes out on top.
    sound = np.flatnonzero(np.where(made.codes >= 0, weights, 0.0).sum(axis=0) > 0)
    assert len(sound) > 200
    assert (voted(made.codes, weights)[sound] == labels.loc[sound].to_numpy()).mean() >= 0.98
