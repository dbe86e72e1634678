from __future__ import annotations

from math import log, prod
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import (
    NO_ANSWER,
    NONE_RIGHT,
    NOT_KNOWN,
    Codes,
    OneCoin,
    one_coin,
    possible_answers,
)
from tests.voting.panels import panel


def flat(codes: Codes, sizes: Floats, gold: Codes | None = None, rounds: int = 100) -> OneCoin:
    """With nothing known about anybody beforehand."""
    nothing = np.zeros(len(codes))
    return one_coin(codes, sizes, right=nothing, seen=nothing, gold=gold, rounds=rounds)


def table(*rows: list[int]) -> Codes:
    return np.array(rows, dtype=np.int64)


class TestPossibleAnswers:
    @pytest.mark.parametrize(
        ("answers", "size", "expected"),
        [
            ([0, 1, 0], 4, 4),
            ([0, 1, 2], 2, 3),
            ([0, 0, -1], 1, 1),
            ([0, 1, -1], 1, 2),
            ([0, 0, 0], 1.3, 2),
            ([0, 1, 1], 3.7, 3.7),
            ([-1, -1, -1], 0, 1),
            ([5, 2, -1], 1, 2),
        ],
    )
    def test_is_the_size_but_no_less_than_what_was_given(
        self, answers: list[int], size: float, expected: float
    ) -> None:
        codes = np.array(answers, dtype=np.int64)[:, None]
        assert possible_answers(codes, np.array([size])).tolist() == [expected]


class TestRecovery:
    @pytest.mark.parametrize("options", [2, 4, 10])
    def test_finds_the_accuracies_that_were_put_in(self, options: int) -> None:
        planted = [0.9, 0.8, 0.7, 0.65, 0.55]
        made = panel(planted, questions=4000, options=options)
        found = flat(made.codes, made.sizes)
        assert found.accuracy == pytest.approx(planted, abs=0.03)
        majority = flat(made.codes, made.sizes, rounds=0)
        right = made.share_right(found.posterior.argmax(axis=1))
        assert right > made.share_right(majority.posterior.argmax(axis=1)) + 0.005

    def test_posterior_is_calibrated(self) -> None:
        made = panel([0.8, 0.7, 0.6, 0.5], questions=6000, missing=0.3)
        posterior = flat(made.codes, made.sizes).posterior
        assert made.share_right(posterior.argmax(axis=1)) == pytest.approx(
            posterior.max(axis=1).mean(), abs=0.02
        )

    def test_questions_may_differ_in_how_many_answers_they_have(self) -> None:
        options = np.tile([2, 3, 10], 1500)
        made = panel([0.85, 0.75, 0.65, 0.6], options=options, questions=len(options))
        assert flat(made.codes, made.sizes).accuracy == pytest.approx(
            [0.85, 0.75, 0.65, 0.6], abs=0.03
        )

    def test_an_expert_below_chance_is_found_out(self) -> None:
        made = panel([0.8, 0.8, 0.7, 0.05], questions=2000)
        assert flat(made.codes, made.sizes).accuracy[3] == pytest.approx(0.05, abs=0.02)

    def test_two_colluders_are_seen_through_by_five_but_believed_over_three(self) -> None:
        many = panel([0.75, 0.7, 0.65, 0.65, 0.6], colluders=2)
        few = panel([0.65, 0.6, 0.55], colluders=2)
        assert many.share_right(flat(many.codes, many.sizes).posterior.argmax(axis=1)) > 0.88
        assert few.share_right(flat(few.codes, few.sizes).posterior.argmax(axis=1)) < 0.05

    def test_a_profile_keeps_colluders_from_being_believed(self) -> None:
        made = panel([0.75, 0.68, 0.6], colluders=2)
        seen = np.full(5, 400.0)
        right = seen * [0.75, 0.68, 0.6, 0.05, 0.05]
        found = one_coin(made.codes, made.sizes, right=right, seen=seen)
        assert made.share_right(found.posterior.argmax(axis=1)) > 0.8


def log_posterior(codes: Codes, sizes: Floats, hits: Floats, misses: Floats, p: Floats) -> float:
    """Of the accuracies, answers summed out: written from the model, one question after another."""
    total = float((hits * np.log(p) + misses * np.log(1 - p)).sum())
    for column, size in zip(codes.T, sizes, strict=True):
        asked = np.flatnonzero(column >= 0)
        chances = [
            prod(p[e] if column[e] == truth else (1 - p[e]) / (size - 1) for e in asked) / size
            for truth in range(int(size))
        ]
        total += log(sum(chances))
    return total


class TestModel:
    """Against the model written out, with whole numbers of answers."""

    def test_ends_where_the_accuracies_are_most_likely(self) -> None:
        made = panel([0.8, 0.7, 0.6, 0.5], questions=60, missing=0.2, seed=3)
        right, seen = np.array([3.0, 0.0, 8.0, 1.0]), np.array([4.0, 0.0, 10.0, 3.0])
        found = one_coin(
            made.codes, made.sizes, right=right, seen=seen, rounds=5000, tolerance=1e-10
        )
        hits, misses = right + 1.2, seen - right + 0.8

        def value(p: Floats) -> float:
            return log_posterior(made.codes, made.sizes, hits, misses, p)

        assert approx_fprime(found.accuracy, value, 1e-6) == pytest.approx(np.zeros(4), abs=1e-3)
        rng = np.random.default_rng(0)
        near = np.clip(found.accuracy + rng.normal(0, 0.02, (20, 4)), 0.01, 0.99)
        assert all(value(p) < value(found.accuracy) for p in near)

    def test_posterior_of_one_question_is_bayes_rule(self) -> None:
        seen = np.full(3, 1e9)
        accuracy = np.array([0.9, 0.6, 0.2])
        found = one_coin(table([0], [1], [1]), np.array([4.0]), right=accuracy * seen, seen=seen)
        said_0 = 0.9 * (0.4 / 3) * (0.8 / 3)
        said_1 = (0.1 / 3) * 0.6 * 0.2
        unnamed = (0.1 / 3) * (0.4 / 3) * (0.8 / 3)
        total = said_0 + said_1 + 2 * unnamed
        assert found.posterior[0] == pytest.approx([said_0 / total, said_1 / total])

    @pytest.mark.parametrize(("accuracy", "helps"), [(0.3, True), (0.2, False)])
    def test_an_expert_below_chance_speaks_against_what_it_says(
        self, accuracy: float, helps: bool
    ) -> None:
        seen = np.full(2, 1e9)
        right = seen * [0.7, accuracy]
        codes, sizes = table([0, 0], [-1, 0]), np.full(2, 4.0)
        alone, both = one_coin(codes, sizes, right=right, seen=seen).posterior[:, 0]
        assert alone == pytest.approx(0.7)
        assert (both > alone) == helps

    def test_what_nobody_said_keeps_its_share(self) -> None:
        alone = flat(table([0]), np.array([4.0]), rounds=0)
        assert alone.posterior[0] == pytest.approx([0.6])
        assert flat(table([0], [0]), np.array([1e9]), rounds=0).posterior[0, 0] > 0.999

    def test_answers_possible_need_not_be_whole(self) -> None:
        between = [flat(table([0], [1]), np.array([k]), rounds=0).posterior[0] for k in (3, 3.5, 4)]
        assert between[0][0] > between[1][0] > between[2][0]


class TestGold:
    def test_anchors_are_clamped(self) -> None:
        made = panel([0.7, 0.6, 0.5], questions=50)
        gold = np.full(50, NOT_KNOWN)
        gold[:10], gold[10:15] = (made.truth[:10] + 1) % 4, NONE_RIGHT
        posterior = flat(made.codes, made.sizes, gold).posterior
        assert (posterior[:10] == np.eye(4)[gold[:10]]).all()
        assert (posterior[10:15] == 0).all()
        assert ((posterior[15:].max(axis=1) > 0) & (posterior[15:].max(axis=1) < 1)).all()

    def test_known_answers_are_counted_as_they_are(self) -> None:
        codes = table([0, 0, 0, 0], [0, 1, 1, -1])
        gold = np.array([0, 0, 1, NONE_RIGHT])
        found = flat(codes, np.full(4, 3.0), gold)
        assert found.accuracy == pytest.approx([(1.2 + 2) / 6, (1.2 + 2) / 5])

    def test_gold_tells_even_where_only_one_answer_is_possible(self) -> None:
        found = flat(table([0, 0]), np.ones(2), np.array([0, NONE_RIGHT]))
        assert found.posterior.tolist() == [[1], [0]]
        assert found.accuracy == pytest.approx([2.2 / 4])

    def test_gold_that_nobody_gave_is_known_all_the_same(self) -> None:
        found = flat(table([0, 0], [0, 1]), np.array([4.0, 4.0]), np.array([3, NOT_KNOWN]))
        assert found.posterior[0].tolist() == [0, 0, 0, 1]
        assert found.posterior[1, 2:].tolist() == [0, 0]

    def test_a_hundred_anchors_break_up_the_colluders(self) -> None:
        made = panel([0.75, 0.68, 0.6], colluders=2)
        gold = np.where(np.arange(400) < 100, made.truth, NOT_KNOWN)
        found = flat(made.codes, made.sizes, gold)
        rest = slice(100, None)
        right = found.posterior[rest].argmax(axis=1) == made.truth[rest]
        assert right.mean() > 0.8


class TestPriors:
    def test_pull_a_small_batch_and_hardly_a_large_one(self) -> None:
        def accuracy(questions: int, seen: float) -> float:
            made = panel([0.9, 0.9, 0.9], questions=questions)
            profile = np.full(3, seen)
            found = one_coin(made.codes, made.sizes, right=profile * 0.5, seen=profile)
            return float(found.accuracy.mean())

        assert accuracy(5, 100) == pytest.approx(0.52, abs=0.02)
        assert accuracy(5000, 100) == pytest.approx(0.9, abs=0.02)
        assert accuracy(5, 0) > 0.7

    def test_decide_who_is_right_when_two_disagree(self) -> None:
        codes, sizes = table([0, 0, 0], [1, 1, 1]), np.full(3, 4.0)
        seen = np.array([50.0, 50.0])
        for right, winner in (([40.0, 30.0], 0), ([30.0, 40.0], 1)):
            found = one_coin(codes, sizes, right=np.array(right), seen=seen)
            assert found.posterior.argmax(axis=1).tolist() == [winner] * 3

    def test_equal_cases_for_two_answers_are_equal_to_the_last_bit(self) -> None:
        sides = np.array([0] * 5 + [1] * 5)[:, None]
        seen = np.full(10, 100.0)
        rng = np.random.default_rng(0)
        for _ in range(50):
            case = rng.uniform(50, 95, 5)
            right = np.concatenate([case, rng.permutation(case)])
            found = one_coin(sides, np.array([4.0]), right=right, seen=seen, rounds=0)
            assert found.posterior[0, 0] == found.posterior[0, 1]

    def test_say_that_every_answer_given_is_unlikely_if_so(self) -> None:
        codes = np.array([0] * 150 + [1] * 149)[:, None]
        right, seen = np.zeros(299), np.full(299, 1000.0)
        found = one_coin(codes, np.array([2.0]), right=right, seen=seen, rounds=0)
        assert found.posterior[0] == pytest.approx([0.0, 1.0], abs=0.01)

    def test_are_all_that_is_said_of_an_expert_who_did_not_vote(self) -> None:
        codes = table([0, 0], [NO_ANSWER, NO_ANSWER])
        right, seen = np.array([0.0, 18.0]), np.array([0.0, 28.0])
        found = one_coin(codes, np.full(2, 4.0), right=right, seen=seen)
        assert found.accuracy[1] == pytest.approx(19.2 / 30)


DEGENERATE = [
    pytest.param(np.full((3, 4), -1), [4, 4, 4, 4], id="all absent"),
    pytest.param(np.zeros((0, 4), dtype=np.int64), [4, 4, 4, 4], id="no experts"),
    pytest.param(np.zeros((3, 0), dtype=np.int64), [], id="no questions"),
    pytest.param(table([0, 0, -1]), [4, 2, 3], id="one expert"),
    pytest.param(table([0, 0], [0, 0]), [1, 1], id="one possible answer"),
    pytest.param(table([0, 0], [1, 0]), [1, 2], id="more answers than possible"),
    pytest.param(table([0, 1], [1, 0]), [2, 2], id="two who always disagree"),
    pytest.param(table([0], [1], [2], [3], [4]), [5], id="everybody says something else"),
    pytest.param(np.zeros((40, 30), dtype=np.int64), [2] * 30, id="everybody says the same"),
]


@pytest.mark.parametrize(("codes", "sizes"), DEGENERATE)
def test_degenerate_batches_are_safe(codes: Codes, sizes: list[float]) -> None:
    found = flat(codes, np.array(sizes, dtype=np.float64))
    assert found.accuracy.shape == codes.shape[:1]
    assert ((found.accuracy > 0) & (found.accuracy < 1)).all()
    assert found.posterior.shape[0] == codes.shape[1]
    assert ((found.posterior >= 0) & (found.posterior.sum(axis=1) <= 1 + 1e-9)[:, None]).all()


def test_an_only_possible_answer_is_right_and_nobodys_merit() -> None:
    found = flat(table([0, 0, 0]), np.ones(3))
    assert found.posterior.tolist() == [[1], [1], [1]]
    assert found.accuracy == pytest.approx([0.6])


@st.composite
def batches(draw: st.DrawFn) -> tuple[Codes, Floats, Codes]:
    """Small batches of any kind, numbered without gaps, some questions with gold."""
    experts, questions = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    cells = st.lists(st.integers(-1, 3), min_size=experts, max_size=experts)
    columns = [draw(cells) for _ in range(questions)]
    numbered = []
    for column in columns:
        names = sorted({value for value in column if value >= 0})
        numbered.append([names.index(value) if value >= 0 else -1 for value in column])
    sizes = draw(st.lists(st.floats(1, 12), min_size=questions, max_size=questions))
    gold = [draw(st.integers(-2, max(column))) for column in numbered]
    return np.array(numbered).T, np.array(sizes), np.array(gold)


@settings(max_examples=150)
@given(batches(), st.randoms(use_true_random=False))
def test_order_and_numbering_mean_nothing(
    batch: tuple[Codes, Floats, Codes], random: Random
) -> None:
    codes, sizes, gold = batch
    experts = list(range(len(codes)))
    questions = list(range(codes.shape[1]))
    random.shuffle(experts)
    random.shuffle(questions)
    found = flat(codes, sizes, gold)

    width = found.posterior.shape[1]
    again = flat(codes[np.ix_(experts, questions)], sizes[questions], gold[questions])
    assert again.accuracy == pytest.approx(found.accuracy[experts], abs=1e-9)
    assert again.posterior == pytest.approx(found.posterior[questions], abs=1e-9)

    other = list(range(width))
    random.shuffle(other)
    names = np.array([*other, NONE_RIGHT, NOT_KNOWN])  # negative codes stay as they are
    renamed = flat(names[codes], sizes, names[gold])
    assert renamed.accuracy == pytest.approx(found.accuracy, abs=1e-9)
    wide = np.zeros((len(sizes), width))
    wide[:, : renamed.posterior.shape[1]] = renamed.posterior
    assert wide[:, other] == pytest.approx(found.posterior, abs=1e-9)


@settings(max_examples=150)
@given(batches())
def test_posterior_is_a_distribution_over_what_was_given(
    batch: tuple[Codes, Floats, Codes],
) -> None:
    codes, sizes, _ = batch
    posterior = flat(codes, sizes).posterior
    given_at_all = np.stack([(codes == code).any(axis=0) for code in range(posterior.shape[1])], 1)
    assert (posterior[~given_at_all] == 0).all()
    assert (posterior >= 0).all()
    assert (posterior.sum(axis=1) <= 1 + 1e-9).all()
    full = given_at_all.sum(axis=1) >= possible_answers(codes, sizes)
    assert posterior[full].sum(axis=1) == pytest.approx(np.ones(full.sum()), abs=1e-9)
