import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.evals.power import least_difference, questions_needed
from orchestra.evals.statistics import generator, mcnemar

CASES = [(0.02, 0.1), (0.05, 0.1), (0.05, 0.3), (0.1, 0.2), (0.01, 0.02)]


@pytest.mark.parametrize(("difference", "discordance"), CASES)
@pytest.mark.parametrize("power", [0.8, 0.95])
def test_that_many_questions_find_the_difference_as_often(
    difference: float, discordance: float, power: float
) -> None:
    n = questions_needed(difference, discordance=discordance, power=power)
    assert n is not None
    won, lost = (discordance + difference) / 2, (discordance - difference) / 2
    drawn = generator(1, "power").multinomial(n, [won, lost, 1 - won - lost], size=2_000)
    found = np.mean([mcnemar(int(b), int(c)) < 0.05 for b, c, _ in drawn])
    assert found == pytest.approx(power, abs=0.035)


@settings(deadline=None)
@given(st.floats(0.005, 1), st.floats(0.005, 1))
def test_least_difference_is_the_inverse(difference: float, discordance: float) -> None:
    n = questions_needed(difference, discordance=discordance)
    if n is None:
        assert difference > discordance
        return
    least = least_difference(n, discordance=discordance)
    assert least is not None
    assert least <= difference + 1e-9
    again = questions_needed(least, discordance=discordance)
    assert again is not None
    assert abs(again - n) <= 1 + n * 1e-6


def test_more_questions_show_less() -> None:
    least = [least_difference(n, discordance=0.2) or 0 for n in (200, 2_000, 20_000)]
    assert least == sorted(least, reverse=True)
    assert least[1] == pytest.approx(0.0285, abs=0.0005)


@pytest.mark.parametrize(("questions", "discordance"), [(1, 0.5), (20, 0.1), (500, 0.0)])
def test_too_few_flips_show_nothing(questions: int, discordance: float) -> None:
    assert least_difference(questions, discordance=discordance) is None


def test_refuses_a_difference_that_is_none() -> None:
    with pytest.raises(ValueError, match="difference"):
        questions_needed(0.0, discordance=0.1)
