"""Panels of simulated experts of known worth: truth and answer codes, the same in every run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import Codes


@dataclass(frozen=True)
class Panel:
    """What everybody answered, and what is right."""

    truth: Codes
    codes: Codes
    sizes: Floats

    def share_right(self, chosen: Codes) -> float:
        return float((chosen == self.truth).mean())


def panel(
    accuracies: list[float],
    *,
    questions: int = 400,
    options: int | Codes = 4,
    colluders: int = 0,
    missing: float = 0.0,
    seed: int = 0,
) -> Panel:
    """Independent experts with symmetric errors, then colluders who always tell the same lie."""
    rng = np.random.default_rng(seed)
    sizes = np.broadcast_to(options, questions)
    truth = rng.integers(sizes)
    rows = []
    for accuracy in accuracies:
        wrong = (truth + rng.integers(1, sizes)) % sizes
        rows.append(np.where(rng.random(questions) < accuracy, truth, wrong))
    lie = (truth + rng.integers(1, sizes)) % sizes
    codes = np.array([*rows, *[lie] * colluders])
    codes[rng.random(codes.shape) < missing] = -1
    return Panel(truth, codes, sizes.astype(np.float64))


def voted(codes: Codes, weights: Floats) -> Codes:
    """The code with the most weight on each question; the lowest of equals."""
    width = max(int(codes.max(initial=0)) + 1, 2)
    heaps = [np.where(codes == code, weights, 0.0).sum(axis=0) for code in range(width)]
    given = [(codes == code).any(axis=0) for code in range(width)]
    return np.asarray(np.where(given, heaps, -np.inf).argmax(axis=0))
