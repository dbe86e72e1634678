"""How often the intervals of evaluations hold the truth, by simulation, at 90 and at 95 %.

Every interval that `orchestra.evals` makes, for three numbers of questions and three shares
right. `measure` is what the tests run on a few repeats.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from orchestra.evals.confidence import brier, calibration_error, risk_coverage
from orchestra.evals.contribution import contributions
from orchestra.evals.panel import Votes, cofailure, k_curve, walks
from orchestra.evals.power import least_difference, questions_needed
from orchestra.evals.statistics import (
    Interval,
    clustered_interval,
    mcnemar,
    paired_bootstrap,
    wilson,
)

RESULT = Path(__file__).resolve().parent / "results" / "intervals.json"
SIZES = (30, 200, 2000)
SHARES = (0.05, 0.5, 0.95)
LEVELS = (0.9, 0.95)
REPEATS = 1000
_MANY = 400_000
"""Questions from which a truth is taken that has no formula."""

Rng = np.random.Generator
Floats = NDArray[np.float64]
Simulated = Callable[[Rng, int, float, float], tuple[Interval, float]]
"""From a generator, a number of questions, a share right and a level: an interval, the truth."""


def _wilson(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    return wilson(int(rng.binomial(n, share)), n, level=level), share


def _ceiling(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    return cofailure(rng.random((1, n)) < share, level=level).ceiling.interval, share


def _clustered(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    """Four samples of each question, which is easy or hard."""
    marks = rng.random((n, 4)) < rng.beta(3 * share, 3 * (1 - share), size=(n, 1))
    clusters = np.repeat(np.arange(n), 4).tolist()
    return clustered_interval(marks.ravel(), clusters, level=level), share


def _paired(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    """A second run that loses a fifth of what the first has right, and wins a tenth of the rest."""
    first, draw = rng.random(n) < share, rng.random(n)
    second = np.where(first, draw < 0.8, draw < 0.1)
    found = paired_bootstrap(
        first, second, seed=int(rng.integers(1 << 30)), draws=1000, level=level
    )
    return found.interval, 0.2 * share - 0.1 * (1 - share)


def _told(rng: Rng, n: int, share: float, *, over: float) -> tuple[Floats, NDArray[np.bool_]]:
    """Confidences around a share, which state too much by a part of what is missing."""
    stated = rng.beta(6 * share, 6 * (1 - share), size=n)
    return stated, rng.random(n) < stated * (1 - over)


@cache
def _truth(measure: Callable[..., Any], share: float, over: float) -> float:
    found = measure(*_told(np.random.default_rng(99), 4 * _MANY, share, over=over))
    return float(found)


def _error(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    """Confidence is too high by a quarter."""
    stated, right = _told(rng, n, share, over=0.25)
    seed = int(rng.integers(1 << 30))
    found = calibration_error(stated, right, seed=seed, draws=400, level=level)
    assert found is not None
    return found.interval, _truth(_binned, share, 0.25)


def _sound(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    """Confidence is right: only the lower end can miss."""
    stated, right = _told(rng, n, share, over=0.0)
    seed = int(rng.integers(1 << 30))
    found = calibration_error(stated, right, seed=seed, draws=400, level=level)
    assert found is not None
    return found.interval, 0.0


def _binned(stated: Floats, _: object) -> float:
    return 0.25 * float(stated.mean())


def _brier(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    found = brier(*_told(rng, n, share, over=0.25), level=level)
    assert found is not None
    return found.interval, _truth(_score, share, 0.25)


def _score(stated: Floats, right: NDArray[np.bool_]) -> float:
    return float(((stated - right) ** 2).mean())


def _area(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    found = risk_coverage(*_told(rng, n, share, over=0.25), level=level)
    assert found is not None
    return found.area.interval, _truth(_whole_area, share, 0.25)


def _whole_area(stated: Floats, right: NDArray[np.bool_]) -> float:
    found = risk_coverage(stated, right)
    assert found is not None
    return found.area.value


def panel(rng: Rng, n: int, share: float, experts: int = 5) -> Votes:
    """Experts of different strength whose errors follow the difficulty of the questions."""
    logit = np.log(share / (1 - share)) + rng.normal(size=n)
    strength = np.linspace(-0.6, 0.6, experts)[:, None]
    right = rng.random((experts, n)) < 1 / (1 + np.exp(-logit - strength))
    codes = np.where(right, 0, rng.integers(1, 4, size=(experts, n)))
    correct = np.zeros((n, 4), dtype=bool)
    correct[:, 0] = True
    return Votes.of([f"e{i}" for i in range(experts)], codes, correct)


@cache
def _known(share: float) -> tuple[float, float, float]:
    """Of the last expert of `panel`: its Shapley value, its leave-one-out; the vote of three."""
    votes = panel(np.random.default_rng(98), _MANY, share)
    found = contributions(votes, seed=0)["e4"]
    curve = walks(votes, seed=0, pairs=4).curve
    return found.shapley.value, found.left_out.value, float(curve[3].mean())


def _shapley(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    found = contributions(panel(rng, n, share), seed=0, level=level)["e4"]
    return found.shapley.interval, _known(share)[0]


def _left_out(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    seed = int(rng.integers(1 << 30))
    found = contributions(panel(rng, n, share), seed=seed, level=level)["e4"]
    return found.left_out.interval, _known(share)[1]


def _sized(rng: Rng, n: int, share: float, level: float) -> tuple[Interval, float]:
    curve = walks(panel(rng, n, share), seed=int(rng.integers(1 << 30)), pairs=2).curve
    sizes = k_curve(curve, {"all": np.ones(n, dtype=bool)}, level=level)["all"]
    return sizes[2].interval, _known(share)[2]


KINDS: Mapping[str, Simulated] = {
    "accuracy (Wilson)": _wilson,
    "accuracy over samples of each question": _clustered,
    "difference of two runs": _paired,
    "calibration error, too sure by a quarter": _error,
    "calibration error, truly 0": _sound,
    "Brier score": _brier,
    "area of risk over coverage": _area,
    "ceiling 1 - beta (Clopper-Pearson)": _ceiling,
    "Shapley value of an expert": _shapley,
    "accuracy lost without an expert": _left_out,
    "accuracy of three random experts": _sized,
}


def held(kind: str, n: int, share: float, *, level: float, repeats: int) -> float:
    """The share of intervals of one kind that hold the truth."""
    place = list(KINDS).index(kind)
    rng = np.random.default_rng([place, n, round(100 * share), round(100 * level)])
    hits = 0
    for _ in range(repeats):
        inside, truth = KINDS[kind](rng, n, share, level)
        hits += inside.low - 1e-12 <= truth <= inside.high + 1e-12
    return hits / repeats


def _cell(task: tuple[str, int, float, float, int]) -> float:
    kind, n, share, level, repeats = task
    return round(held(kind, n, share, level=level, repeats=repeats), 4)


def measure(*, repeats: int = REPEATS, kinds: Sequence[str] = tuple(KINDS)) -> dict[str, Any]:
    """Kind -> level -> "questions, share right" -> share of intervals that hold the truth."""
    tasks = [
        (kind, n, p, level, repeats) for kind, level, n, p in product(kinds, LEVELS, SIZES, SHARES)
    ]
    with ProcessPoolExecutor(min(os.cpu_count() or 1, 4)) as processes:
        shares = list(processes.map(_cell, tasks, chunksize=1))
    found: dict[str, Any] = {}
    for (kind, n, p, level, _), share in zip(tasks, shares, strict=True):
        found.setdefault(kind, {}).setdefault(f"{level:.2f}", {})[f"{n}, {p}"] = share
    return found


def planted(*, n: int = 7000, difference: float = 0.01, repeats: int = REPEATS) -> dict[str, Any]:
    """How often McNemar's test finds a planted difference, by discordance, beside the formula."""
    rng, rows = np.random.default_rng(5), {}
    for discordance in (0.05, 0.1, 0.15, 0.2):
        won = rng.multinomial(
            n,
            [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance],
            size=repeats,
        )
        rows[str(discordance)] = {
            "found": round(float(np.mean([mcnemar(int(b), int(c)) < 0.05 for b, c, _ in won])), 4),
            "questions_for_power_0.8": questions_needed(difference, discordance=discordance),
            "least_difference": round(least_difference(n, discordance=discordance) or 0.0, 5),
        }
    return rows


def main() -> None:
    protocol = (
        f"share of {REPEATS:,} simulated intervals that hold the truth; planted: share of "
        f"{REPEATS:,} pairs of runs on 7,000 questions, truly 1 point apart, with McNemar p < 0.05"
    )
    found = {"schema": 1, "protocol": protocol, "intervals": measure(), "planted": planted()}
    RESULT.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


if __name__ == "__main__":
    main()
