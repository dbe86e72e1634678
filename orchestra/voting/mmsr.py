"""M-MSR: expert skills from pairwise agreement, robust against few liars.

Needs no gold answers and no prior. Assumes that most experts in a group that shares questions
are better than chance. Pure, without random draws. Reliable where all experts answer many
common questions; weak where few do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestra.skills.estimation import Floats
from orchestra.voting.dawid_skene import Codes, on_grid, possible_answers

_SURE = 2.0
"""Standard errors from 0 at which the sign of a covariance counts in full."""
_SAFE = 0.001
"""Shares right are kept this far from 0 and 1 before they become weights."""
_NOTHING = 1e-9
"""Skills up to this count as zero: such experts are no evidence about others."""


@dataclass(frozen=True, slots=True)
class _Agreement:
    """How much more often than by chance two experts agree, for each pair."""

    covariance: Floats
    """Mean of K / (K - 1) (agreed - 1 / K), about s_i s_j; 0 with oneself and without overlap."""
    error: Floats
    """Its standard error for two experts who guess; 1 without overlap."""
    overlap: NDArray[np.bool_]
    """Whether the two have a question in common; never with oneself."""


def mmsr(codes: Codes, sizes: Floats, *, rounds: int = 10_000, tolerance: float = 1e-10) -> Floats:
    """Skills by robust rank-one matrix completion (Ma and Olshevsky, NeurIPS 2020), one for each.

    An expert with skill s is right with probability p = (1 + (K - 1) s) / K: 1 is always right,
    0 guesses, negative is worse than guessing: see `mmsr_weights`. Two experts agree
    beyond chance in proportion to s_i s_j; that matrix is fitted by trimmed means, which up to
    F = (fewest partners of any expert) // 2 - 1 liars on each side cannot move. Each
    question's agreement is centred by its own K.

    Unknown experts have skill 0: an expert that shares no question with another, and a group of
    experts, linked by common questions, of which half contradict the other half. In every other
    group the larger part is taken as honest. Two experts that share questions only with each
    other get the same skill, since the better one cannot be identified. Skills stay about
    1 / sqrt(questions) away from their limits, so that no small batch makes an expert infallible.

    Args:
        codes: shape (experts, questions), -1 where there is no answer.
        sizes: how many answers are possible, shape (questions,). See `possible_answers`.
        rounds: the most rounds of updates.
        tolerance: converged once the fitted matrix changes by less (Frobenius norm).
    """
    answers = possible_answers(codes, sizes)
    telling = (answers > 1) & (codes >= 0).any(axis=0)
    if not telling.any():
        return np.zeros(len(codes))
    codes, answers = codes[:, telling], answers[telling]
    found = _agreement(codes, answers)
    skills = _magnitudes(found, rounds, tolerance) * _signs(found)
    lowest = -1 / (float(answers.mean()) - 1)
    margin = min(1 / np.sqrt(len(answers)), -lowest / 2)
    return np.clip(skills, lowest + margin, 1 - margin)


def mmsr_weights(skills: Floats, sizes: Floats) -> Floats:
    """Log-odds ln((K - 1) p / (1 - p)) of each skill on each question, shape (experts, questions).

    Negative for a skill below 0: an answer worse than guessing is evidence against itself.
    Callers that want no such votes take the positive part. A K below 2 counts as 2.
    """
    answers = np.maximum(sizes, 2.0)[None, :]
    share = np.clip((1 + (answers - 1) * skills[:, None]) / answers, _SAFE, 1 - _SAFE)
    return np.asarray(np.log((answers - 1) * share / (1 - share)))


def _agreement(codes: Codes, answers: Floats) -> _Agreement:
    experts = len(codes)
    voted = codes >= 0
    differ = on_grid(-1 / (answers - 1))
    covariance, error = np.zeros((experts, experts)), np.ones((experts, experts))
    overlap = np.zeros((experts, experts), dtype=np.bool_)
    for one in range(experts):
        both = voted & voted[one]
        both[one] = False
        overlap[one] = both.any(axis=1)
        common = np.maximum(both.sum(axis=1), 1)
        excess = np.where(both, np.where(codes == codes[one], 1.0, differ), 0.0)
        covariance[one] = excess.sum(axis=1) / common
        # The variance of one question's term, for guesses, is 1 / (K - 1).
        spread = np.sqrt((both / (answers - 1)).sum(axis=1)) / common
        error[one] = np.where(overlap[one], spread, 1.0)
    return _Agreement(covariance, error, overlap)


def _magnitudes(found: _Agreement, rounds: int, tolerance: float) -> Floats:
    """|s|: the two factors of |covariance| in turns, each from the other by trimmed means."""
    target, overlap = np.abs(found.covariance), found.overlap
    partners = overlap.sum(axis=1)
    linked = partners > 0
    trim = max(int(partners[linked].min(initial=len(target))) // 2 - 1, 0)
    left = right = np.ones(len(target))
    for _ in range(rounds):
        before = np.outer(left, right)
        right = _trimmed(target, overlap, left, right, trim)
        left = _trimmed(target, overlap, right, left, trim)
        if np.linalg.norm(np.outer(left, right) - before) < tolerance:
            break
    return np.where(linked, np.sqrt(left * right), 0.0)


def _trimmed(
    target: Floats, overlap: NDArray[np.bool_], others: Floats, own: Floats, trim: int
) -> Floats:
    """A new value of each expert: the trimmed mean of its partners' estimates.

    Up to `trim` estimates below the present value are left out, and as many above. The choice can
    depend on the last bit, so that bit must not depend on the order of experts: terms are added
    by size, and the covariances are sums on a grid. Partners with value 0 are ignored; without
    a partner the value is unchanged.
    """
    usable = overlap & (others > _NOTHING)
    said = np.full(target.shape, np.inf)
    np.divide(target, others, out=said, where=usable)
    said.sort(axis=1)
    many = usable.sum(axis=1)
    below = (said < own[:, None]).sum(axis=1)
    above = many - (said <= own[:, None]).sum(axis=1)
    place = np.arange(len(own))
    kept = place >= np.minimum(below, trim)[:, None]
    kept &= place < (many - np.minimum(above, trim))[:, None]
    number = kept.sum(axis=1)
    total = np.where(kept, said, 0.0).sum(axis=1)
    return np.where(number > 0, total / np.maximum(number, 1), own)


def _signs(found: _Agreement) -> Floats:
    """+1 or -1 for each expert: the two camps of its group, the larger one positive; 0 if alike.

    Camps are the signs of the leading eigenvector of the covariances' signs, each weighted by its
    certainty, so that neither noise nor one huge value decides.
    """
    evidence = np.clip(found.covariance / (_SURE * found.error), -1, 1)
    signs = np.zeros(len(evidence))
    for group in _groups(found.overlap):
        leading = np.linalg.eigh(evidence[np.ix_(group, group)])[1][:, -1]
        camp = np.where(leading >= 0, 1.0, -1.0)
        signs[group] = camp * np.sign(camp.sum())
    return signs


def _groups(overlap: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """Experts that are linked by common questions, directly or through others."""
    reach = overlap | np.eye(len(overlap), dtype=np.bool_)
    for _ in range(len(overlap).bit_length()):
        reach = reach @ reach
    return [np.flatnonzero(row) for row in np.unique(reach, axis=0)]
