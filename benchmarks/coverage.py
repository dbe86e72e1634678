"""How often the 95 % intervals that are printed hold the truth, by simulation.

Worlds of several shapes draw the true shares of experts, then answers; each interval is compared
with the truth it was made from. `measure` is what the tests run on a few seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.readme import coverage_rows
from orchestra.evals.statistics import clustered_interval, paired_bootstrap, wilson
from orchestra.records import Brief, Mark, Outcome
from orchestra.skills import Beliefs, RecruitmentTable

RESULT = Path(__file__).resolve().parent / "results" / "coverage.json"
SIZES = (5, 10, 25, 50, 100, 200)
"""Questions of each skill."""
UNEQUAL = "1 to 200"
"""The size in which skills have different numbers of questions."""
_CELLS = 2_000
"""Least intervals behind each figure."""
_MARK = {
    right: Mark("", "", Outcome.CORRECT if right else Outcome.WRONG, "A" if right else "B")
    for right in (True, False)
}

Floats = NDArray[np.float64]


class World(NamedTuple):
    """How true shares come about."""

    experts: int
    skills: int
    draw: Callable[[np.random.Generator, tuple[int, int]], Floats]
    """From a generator and (experts, skills): the share right of each cell, in (0, 1)."""

    def shares(self, rng: np.random.Generator) -> Floats:
        """The true shares of one draw, shape (experts, skills)."""
        shape = (self.experts, self.skills)
        return np.broadcast_to(self.draw(rng, shape), shape)


def _logistic(centre: float, expert: float, skill: float, both: float) -> Any:
    """Log-odds with normal terms of the expert, of the skill and of both, of these deviations."""

    def draw(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        terms = expert * rng.normal(size=(shape[0], 1)) + skill * rng.normal(size=(1, shape[1]))
        logit = np.log(centre / (1 - centre)) + terms + both * rng.normal(size=shape)
        return np.asarray(1 / (1 + np.exp(-logit)))

    return draw


def _outliers(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """One cell in ten is at 95 %, whatever the expert's usual share."""
    usual = rng.uniform(0.35, 0.55, size=(shape[0], 1))
    return np.where(rng.random(shape) < 0.1, 0.95, usual)


def _specialists(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Each expert knows one skill."""
    own = np.arange(shape[0])[:, None] % shape[1] == np.arange(shape[1])
    return np.where(own, 0.93, 0.3)


def _mixed(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Every other expert is the same everywhere, the others differ by skill."""
    alike = rng.uniform(0.4, 0.7, size=(shape[0], 1))
    return np.where(np.arange(shape[0])[:, None] % 2, alike, rng.uniform(0.1, 0.95, size=shape))


WORLDS: Mapping[str, World] = {
    "8 × 3, any share from 20 to 90 %": World(8, 3, lambda rng, n: rng.uniform(0.2, 0.9, n)),
    "8 × 3, experts, skills and cells differ": World(8, 3, _logistic(0.5, 0.7, 0.5, 0.6)),
    "8 × 3, only experts and skills differ": World(8, 3, _logistic(0.5, 0.7, 0.5, 0.0)),
    "24 × 14, cells differ a little": World(24, 14, _logistic(0.5, 0.7, 0.5, 0.2)),
    "24 × 14, cells differ much": World(24, 14, _logistic(0.5, 0.7, 0.5, 0.8)),
    "10 × 60, cells differ": World(10, 60, _logistic(0.5, 0.7, 0.5, 0.5)),
    "8 × 6, near 25 %": World(8, 6, _logistic(0.25, 0.1, 0.1, 0.1)),
    "8 × 6, near 97 %": World(8, 6, _logistic(0.97, 0.3, 0.3, 0.3)),
    "8 × 6, one cell in ten stands out": World(8, 6, _outliers),
    "6 × 6, each expert knows one skill": World(6, 6, _specialists),
    "8 × 8, half are specialists": World(8, 8, _mixed),
    "8 × 6, skills do not matter": World(8, 6, lambda r, n: r.uniform(0.2, 0.9, (n[0], 1))),
    "8 × 6, nothing differs": World(8, 6, lambda rng, n: np.array(0.5)),
    "1 × 6, any share": World(1, 6, lambda rng, n: rng.uniform(0.2, 0.9, n)),
    "1 × 6, skills do not matter": World(1, 6, lambda r, n: r.uniform(0.2, 0.9, (n[0], 1))),
    "1 × 1, any share": World(1, 1, lambda rng, n: rng.uniform(0.2, 0.9, n)),
    "2 × 2, any share": World(2, 2, lambda rng, n: rng.uniform(0.2, 0.9, n)),
}
"""Experts × skills, and what differs."""


class Found(NamedTuple):
    """What became of many intervals."""

    coverage: float
    """Share that holds the truth."""
    width: float
    """Mean width, as a share."""
    seeds: int


def profile(shares: Floats, skills: Sequence[int], rng: np.random.Generator) -> RecruitmentTable:
    """A table of answers drawn with those shares to one question of each skill in the list."""
    names = [f"s{skill:03}" for skill in range(shares.shape[1])]
    briefs = tuple(Brief(f"q{i}", ((names[skill], 1.0),), "") for i, skill in enumerate(skills))
    right = rng.random((len(shares), len(skills))) < shares[:, list(skills)]
    marks = {
        f"e{row:03}": tuple([_MARK[each] for each in answers])
        for row, answers in enumerate(right.tolist())
    }
    return RecruitmentTable(briefs, marks, {}, {})


def by_skill(world: World, size: int | str, seeds: int) -> Found:
    """Intervals of each expert on each skill."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 7])
        shares = world.shares(rng)
        each = (
            np.full(world.skills, size)
            if isinstance(size, int)
            else np.round(np.exp(rng.uniform(0, np.log(200), world.skills))).astype(int)
        )
        table = profile(shares, np.repeat(np.arange(world.skills), each).tolist(), rng)
        found.append(_held(table.beliefs, shares))
    return _found(found)


def overall(world: World, size: int, seeds: int) -> Found:
    """Intervals of each expert over all skills, where each question's skill is drawn at random."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 8])
        shares = world.shares(rng)
        skills = rng.integers(world.skills, size=size * world.skills).tolist()
        table = profile(shares, skills, rng)
        found.append(_held(table.global_beliefs, shares.mean(axis=1, keepdims=True)))
    return _found(found)


def _held(beliefs: Beliefs, truth: Floats) -> tuple[float, float]:
    low, high = beliefs.quantile(0.025), beliefs.quantile(0.975)
    return float(((low <= truth) & (truth <= high)).mean()), float((high - low).mean())


def _found(rows: Sequence[tuple[float, float]]) -> Found:
    coverage, width = np.mean(rows, axis=0).tolist()
    return Found(round(coverage, 4), round(width, 4), len(rows))


def _shares_of_runs(n: int, seeds: int) -> Found:
    """Accuracy of a report, of an arm or of a category: Wilson's interval."""
    rng = np.random.default_rng(1)
    rows = []
    for share in rng.uniform(0.2, 0.98, seeds).tolist():
        found = wilson(int(rng.binomial(n, share)), n)
        rows.append((float(found.low <= share <= found.high), found.high - found.low))
    return _found(rows)


def _differences(n: int, seeds: int) -> Found:
    """Two pipelines on the same questions, of which up to a third come out differently."""
    rng = np.random.default_rng(2)
    rows = []
    for seed in range(seeds):
        flips, won = rng.uniform(0.02, 0.35), rng.uniform(0.2, 0.8)
        kind = rng.choice(3, size=n, p=[1 - flips, flips * won, flips * (1 - won)])
        found = paired_bootstrap(kind == 1, kind == 2, seed=seed, draws=1_000).interval
        truth = flips * (2 * won - 1)
        rows.append((float(found.low <= truth <= found.high), found.high - found.low))
    return _found(rows)


def _clusters(n: int, seeds: int) -> Found:
    """Four samples of each question, which is easy or hard: a red team's share over its draws."""
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(seeds):
        a, b = rng.uniform(0.5, 8), rng.uniform(0.3, 3)
        marks = rng.random((n, 4)) < rng.beta(a, b, size=(n, 1))
        found = clustered_interval(marks.ravel(), np.repeat(np.arange(n), 4).tolist())
        rows.append((float(found.low <= a / (a + b) <= found.high), found.high - found.low))
    return _found(rows)


OTHERS: Mapping[str, Callable[[int, int], Found]] = {
    "accuracy of a run, an arm, a category": _shares_of_runs,
    "difference of two runs": _differences,
    "accuracy over samples of each question": _clusters,
}
"""Interval -> its coverage for so many questions and seeds."""


def measure(*, cells: int = _CELLS, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Coverage of all intervals, each figure from at least so many of them."""
    every: list[int | str] = [*sizes, UNEQUAL]
    found: dict[str, Any] = {"skills": {}, "overall": {}, "others": {}}
    for name, world in WORLDS.items():
        seeds = -(-cells // (world.experts * world.skills))
        rows = {str(size): by_skill(world, size, seeds) for size in every}
        found["skills"][name] = {size: row._asdict() for size, row in rows.items()}
        seeds = -(-cells // (2 * world.experts))
        whole = {str(size): overall(world, size, seeds) for size in sizes}
        found["overall"][name] = {size: row._asdict() for size, row in whole.items()}
    for name, simulated in OTHERS.items():
        rows = {str(4 * size): simulated(4 * size, cells) for size in sizes}
        found["others"][name] = {size: row._asdict() for size, row in rows.items()}
    return found


def main() -> None:
    protocol = (
        "share of 95 % intervals that hold the true share, in percent; worlds are drawn anew for "
        f"each seed, at least {_CELLS:,} intervals of skills behind each figure"
    )
    content = {"schema": 1, "protocol": protocol, **measure()}
    RESULT.write_bytes(
        orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )
    console = Console(width=140)
    for head, *rows in coverage_rows(content):
        view = Table(*head)
        for row in rows:
            view.add_row(*row)
        console.print(view)


if __name__ == "__main__":
    main()
