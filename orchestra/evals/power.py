"""How large a difference a number of questions can show, and how many a difference needs.

For two runs on the same questions, which McNemar's exact test compares.
"""

from __future__ import annotations

import math
from statistics import NormalDist


def questions_needed(
    difference: float, *, discordance: float, power: float = 0.8, alpha: float = 0.05
) -> int | None:
    """Questions with which a true difference is found with the given power.

    n such that n d = 1 + z(alpha/2) sqrt(n D) + z(power) sqrt(n (D - d^2)), for the difference d
    and the discordance D: Miettinen, "The matched pairs design in the case of all-or-none
    responses", Biometrics 24 (1968), with the correction of 1 that the exact test needs.

    Args:
        difference: of the two accuracies, in (0, 1).
        discordance: the share of questions that exactly one of the two gets right, in [0, 1].
        power: the chance of finding the difference, in (0, 1).
        alpha: the p below which it is found, in (0, 1).

    Returns:
        At least 1; None where the difference is larger than the discordance, which cannot be.
    """
    if not 0 < difference <= 1:
        raise ValueError(f"the difference must be within (0, 1]: {difference}")
    if difference > discordance:
        return None
    spread = _spread(difference, discordance, power, alpha)
    root = (spread + math.sqrt(spread**2 + 4 * difference)) / (2 * difference)
    return math.ceil(root**2 - 1e-9)


def least_difference(
    questions: int, *, discordance: float, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """The smallest true difference that so many questions show with the given power.

    The inverse of `questions_needed`. None where even a difference as large as the discordance,
    with all flips on one side, would not be found.
    """
    if questions < 1 or not 0 <= discordance <= 1:
        raise ValueError(f"no such questions: {questions}, discordance {discordance}")
    low, high = 0.0, discordance
    if not high or (questions_needed(high, discordance=high, power=power, alpha=alpha) or 0) > (
        questions
    ):
        return None
    for _ in range(50):
        middle = (low + high) / 2
        spread = _spread(middle, discordance, power, alpha)
        enough = questions * middle >= 1 + math.sqrt(questions) * spread
        low, high = (low, middle) if enough else (middle, high)
    return high


def _spread(difference: float, discordance: float, power: float, alpha: float) -> float:
    normal = NormalDist()
    left = max(discordance - difference**2, 0.0)
    return normal.inv_cdf(1 - alpha / 2) * math.sqrt(discordance) + normal.inv_cdf(
        power
    ) * math.sqrt(left)
