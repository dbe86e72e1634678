"""The intervals of evaluations hold the truth as often as they say, by `benchmarks.intervals`."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from benchmarks.intervals import KINDS, LEVELS, RESULT, SHARES, SIZES, held, planted

WIDE = ("ceiling", "calibration error, truly 0", "accuracy lost")
"""Never too short: bounds, an error at the end of its range, rare flips."""


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(RESULT.read_bytes())
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_measured_coverage(measured: dict[str, Any], kind: str, level: float) -> None:
    cells = measured["intervals"][kind][f"{level:.2f}"]
    assert set(cells) == {f"{n}, {share}" for n in SIZES for share in SHARES}
    assert min(cells.values()) >= level - 0.03  # two points, and one of 1,000 repeats' own error
    for cell, found in cells.items():
        if not cell.startswith("30") and not kind.startswith(WIDE):
            assert found <= level + (0.06 if "Shapley" in kind or "random" in kind else 0.04)


def test_a_planted_point_is_found_where_few_questions_flip(measured: dict[str, Any]) -> None:
    assert measured["planted"]["0.05"]["found"] > 0.9
    again = planted(repeats=200)
    for discordance, row in measured["planted"].items():
        assert again[discordance]["found"] == pytest.approx(row["found"], abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_coverage_measured_again(kind: str) -> None:
    assert held(kind, 200, 0.5, level=0.95, repeats=200) > 0.9
