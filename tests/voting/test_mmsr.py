from __future__ import annotations

from math import log
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import Codes
from orchestra.voting.mmsr import mmsr, mmsr_weights
from tests.voting.panels import Panel, panel, voted


def accuracies(skills: Floats, options: int) -> Floats:
    return (1 + (options - 1) * skills) / options


def share_right(made: Panel) -> float:
    return made.share_right(
        voted(made.codes, mmsr_weights(mmsr(made.codes, made.sizes), made.sizes))
    )


class TestRecovery:
    @pytest.mark.parametrize("options", [2, 4, 10])
    def test_finds_the_skills_that_were_put_in(self, options: int) -> None:
        planted = [0.9, 0.8, 0.75, 0.7, 0.65]
        made = panel(planted, questions=6000, options=options)
        found = accuracies(mmsr(made.codes, made.sizes), options)
        assert found == pytest.approx(planted, abs=0.03)

    def test_questions_are_centred_each_by_its_own_number_of_answers(self) -> None:
        options = np.tile([2, 10], 4000)
        skills = np.array([0.8, 0.6, 0.5, 0.4])
        halves = [
            panel(accuracies(skills, k).tolist(), questions=4000, options=k, seed=k)
            for k in (2, 10)
        ]
        codes = np.stack([half.codes for half in halves], axis=2).reshape(4, -1)
        assert mmsr(codes, options.astype(np.float64)) == pytest.approx(skills, abs=0.04)

    def test_missing_answers_are_no_disagreement(self) -> None:
        planted = [0.9, 0.8, 0.75, 0.7, 0.65]
        made = panel(planted, questions=8000, missing=0.5)
        assert accuracies(mmsr(made.codes, made.sizes), 4) == pytest.approx(planted, abs=0.04)

    def test_an_expert_worse_than_guessing_is_negative(self) -> None:
        made = panel([0.8, 0.75, 0.7, 0.1], questions=4000)
        assert accuracies(mmsr(made.codes, made.sizes), 4)[3] == pytest.approx(0.1, abs=0.05)


class TestCollusion:
    @pytest.mark.parametrize("honest", [[0.75, 0.68, 0.6], [0.75, 0.7, 0.65, 0.65, 0.6]])
    @pytest.mark.parametrize("missing", [0.0, 0.3])
    def test_two_colluders_are_outvoted(self, honest: list[float], missing: float) -> None:
        made = panel(honest, colluders=2, missing=missing)
        skills = mmsr(made.codes, made.sizes)
        assert (skills[:-2] > 0).all()
        assert (skills[-2:] < 0).all()
        honest_alone = Panel(made.truth, made.codes[:-2], made.sizes)
        assert share_right(made) > share_right(honest_alone) - 0.01

    def test_skills_of_the_honest_are_what_they_are_without_colluders(self) -> None:
        planted = [0.75, 0.7, 0.65, 0.65, 0.6]
        made = panel(planted, questions=4000, colluders=2)
        assert accuracies(mmsr(made.codes, made.sizes)[:5], 4) == pytest.approx(planted, abs=0.03)

    def test_noise_and_one_strong_tie_seldom_decide_who_is_honest(self) -> None:
        exposed = []
        for seed in range(40):
            made = panel(
                [0.5, 0.5, 0.45, 0.45, 0.4], questions=100, colluders=2, missing=0.2, seed=seed
            )
            exposed.append((mmsr(made.codes, made.sizes)[-2:] < 0).all())
        assert np.mean(exposed) > 0.95

    def test_of_two_camps_as_large_neither_is_believed(self) -> None:
        made = panel([0.9, 0.9], colluders=2)
        assert mmsr(made.codes, made.sizes).tolist() == [0, 0, 0, 0]


class TestSparse:
    def test_whoever_shares_no_question_has_no_skill(self) -> None:
        made = panel([0.9, 0.8, 0.7, 0.9], questions=2000)
        made.codes[3, :1500], made.codes[:3, 1500:] = -1, -1
        skills = mmsr(made.codes, made.sizes)
        assert skills[3] == 0
        assert mmsr_weights(skills, made.sizes)[3] == pytest.approx(np.zeros(2000))
        assert accuracies(skills[:3], 4) == pytest.approx([0.9, 0.8, 0.7], abs=0.05)

    def test_two_who_share_questions_only_with_each_other_are_equals(self) -> None:
        made = panel([0.9, 0.7], questions=4000)
        one, other = mmsr(made.codes, made.sizes)
        assert one == pytest.approx(other)
        agreed = (made.codes[0] == made.codes[1]).mean()
        assert one * other == pytest.approx(4 / 3 * (agreed - 1 / 4))

    def test_groups_without_common_questions_are_judged_apart(self) -> None:
        planted = [0.9, 0.8, 0.7, 0.05, 0.75, 0.65, 0.85, 0.05]
        made = panel(planted, questions=8000)
        made.codes[:4, :4000], made.codes[4:, 4000:] = -1, -1
        assert accuracies(mmsr(made.codes, made.sizes), 4) == pytest.approx(planted, abs=0.06)

    def test_a_few_questions_make_nobody_infallible(self) -> None:
        skills = mmsr(np.zeros((3, 9), dtype=np.int64), np.full(9, 4.0))
        assert skills == pytest.approx([5 / 6] * 3)


class TestWeights:
    @pytest.mark.parametrize(
        ("skill", "size", "expected"),
        [
            (0.0, 4, 0.0),
            (0.5, 2, log(0.75 / 0.25)),
            (0.5, 4, log(3 * 0.625 / 0.375)),
            (-0.2, 4, log(3 * 0.1 / 0.9)),
            (0.5, 1, log(0.75 / 0.25)),
            (1.0, 4, log(3 * 0.999 / 0.001)),
            (-0.9, 4, log(3 * 0.001 / 0.999)),
        ],
    )
    def test_are_log_odds(self, skill: float, size: float, expected: float) -> None:
        weights = mmsr_weights(np.array([skill]), np.array([size, size]))
        assert weights == pytest.approx(np.full((1, 2), expected))


@st.composite
def batches(draw: st.DrawFn) -> tuple[Codes, Floats]:
    experts, questions = draw(st.integers(0, 6)), draw(st.integers(0, 12))
    cells = st.integers(-1, 3)
    codes = draw(st.lists(cells, min_size=experts * questions, max_size=experts * questions))
    sizes = draw(st.lists(st.floats(0, 12), min_size=questions, max_size=questions))
    table = np.array(codes, dtype=np.int64).reshape(experts, questions)
    return table, np.array(sizes, dtype=np.float64)


@settings(max_examples=300)
@given(batches())
def test_any_batch_gives_finite_skills(batch: tuple[Codes, Floats]) -> None:
    codes, sizes = batch
    skills = mmsr(codes, sizes, rounds=500)
    assert skills.shape == codes.shape[:1]
    assert ((skills >= -1) & (skills < 1)).all()
    weights = mmsr_weights(skills, sizes)
    assert weights.shape == codes.shape
    assert np.isfinite(weights).all()


@settings(max_examples=60)
@given(st.integers(0, 99), st.integers(0, 2), st.sampled_from([0.0, 0.3]), st.randoms())
def test_order_and_numbering_mean_nothing(
    seed: int, colluders: int, missing: float, random: Random
) -> None:
    made = panel([0.8, 0.75, 0.7, 0.6], colluders=colluders, missing=missing, seed=seed)
    skills = mmsr(made.codes, made.sizes)
    experts, questions, names = (list(range(n)) for n in (*made.codes.shape, 4))
    for order in (experts, questions, names):
        random.shuffle(order)
    other = np.where(made.codes >= 0, np.array(names)[made.codes], -1)
    again = mmsr(other[np.ix_(experts, questions)], made.sizes[questions])
    assert again == pytest.approx(skills[experts], abs=1e-6)
