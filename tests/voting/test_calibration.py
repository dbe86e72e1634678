from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.records import Ballot, Vote
from orchestra.voting import Calibration, calibrate, decide


def brier(confidences: list[float], right: list[bool]) -> float:
    return float(np.mean((np.array(confidences) - np.array(right)) ** 2))


def overconfident(count: int, *, seed: int) -> tuple[list[float], list[bool]]:
    """Scores whose log-odds are three times what they should be, and half a unit too high."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0.5, 1.0, count)
    scores = 1 / (1 + np.exp(-(3 * logit + 0.5)))
    return scores.tolist(), (rng.random(count) < 1 / (1 + np.exp(-logit))).tolist()


class TestFit:
    def test_finds_what_was_put_in(self) -> None:
        fitted = calibrate(*overconfident(6000, seed=0))
        assert fitted.slope == pytest.approx(1 / 3, abs=0.04)
        assert fitted.shift == pytest.approx(-0.5 / 3, abs=0.08)
        assert fitted.pairs == 6000

    def test_improves_the_brier_score_of_questions_it_has_not_seen(self) -> None:
        fitted = calibrate(*overconfident(300, seed=1))
        scores, right = overconfident(3000, seed=2)
        told = [fitted.confidence(score) for score in scores]
        assert brier(told, right) < brier(scores, right) - 0.01

    def test_leaves_good_scores_nearly_alone(self) -> None:
        rng = np.random.default_rng(3)
        scores = rng.random(3000)
        fitted = calibrate(scores.tolist(), (rng.random(3000) < scores).tolist())
        assert fitted.confidence(0.7) == pytest.approx(0.7, abs=0.03)

    @pytest.mark.parametrize("count", [0, 1, 19])
    def test_few_pairs_change_nothing(self, count: int) -> None:
        fitted = calibrate([0.9] * count, [False] * count)
        assert fitted == Calibration(pairs=count)
        assert fitted.confidence(0.73) == 0.73

    def test_belief_that_runs_against_the_truth_says_only_the_share_right(self) -> None:
        scores = [0.9] * 60 + [0.1] * 60
        fitted = calibrate(scores, [False] * 60 + [True] * 40 + [False] * 20)
        assert fitted.slope == 0
        assert fitted.confidence(0.9) == fitted.confidence(0.1) == pytest.approx(40.5 / 121)

    @pytest.mark.parametrize("right", [True, False])
    def test_one_outcome_only_is_not_certainty(self, right: bool) -> None:
        fitted = calibrate([0.6] * 50, [right] * 50)
        assert 0 < fitted.confidence(0.6) < 1
        assert (fitted.confidence(0.6) > 0.9) == right

    def test_scores_that_separate_do_not_overflow(self) -> None:
        fitted = calibrate([0.49] * 4000 + [0.51] * 4000, [False] * 4000 + [True] * 4000)
        assert fitted.confidence(0.0) == 0
        assert fitted.confidence(1.0) == 1


pairs = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=15, max_size=60)


@settings(max_examples=60)
@given(pairs, st.floats(0, 1), st.floats(0, 1))
def test_confidence_never_falls_as_belief_rises(
    known: list[tuple[float, bool]], one: float, other: float
) -> None:
    fitted = calibrate([score for score, _ in known], [right for _, right in known])
    low, high = sorted((one, other))
    assert 0 <= fitted.confidence(low) <= fitted.confidence(high) <= 1


class TestDecide:
    VOTES = (Vote("ann", "A", 2.0), Vote("bob", "B", 1.0), Vote("cid", None, 1.0))
    BALLOT = Ballot("q", VOTES, "A", 2 / 3, 1 / 3, "majority", score=0.8)

    def test_tells_the_winner_and_who_dissents(self) -> None:
        found = decide(self.BALLOT, None)
        assert (found.question_id, found.value, found.method) == ("q", "A", "majority")
        assert found.dissent == (Vote("bob", "B", 1.0),)
        assert found.confidence is None
        assert found.abstained is None

    def test_confidence_is_calibrated(self) -> None:
        calibration = Calibration(slope=0.5, shift=0.1)
        assert decide(self.BALLOT, calibration).confidence == calibration.confidence(0.8)
        assert decide(self.BALLOT, Calibration()).confidence == 0.8

    def test_abstains_with_its_reason(self) -> None:
        empty = Ballot("q", self.VOTES[2:], None, 0.0, 0.0, "majority")
        found = decide(empty, Calibration(), absence="refused")
        assert (found.value, found.confidence, found.abstained) == (None, None, "refused")
        assert decide(empty, None).abstained == "no_votes"
