"""Attacks that were not made: nobody lied as planted, so that nothing about them was tried.

Knows trials and their figures; does not know what is recommended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.evals.redteam.recommending import failed_to_lie
from orchestra.evals.redteam.trials import Reason, Trial
from orchestra.evals.redteam.wording import counted


def misfires(
    cells: Sequence[Mapping[str, Any]], trials: Sequence[Trial]
) -> dict[str, dict[str, str]]:
    """What a reader must be told of attacks, by their names and, in digits, the numbers of liars.

    Args:
        cells: every cell of the report.
        trials: what they were counted from.
    """
    found: dict[str, dict[str, str]] = {}
    for cell in cells:
        attack, faults = cell["attack"], cell["faults"]
        if failed_to_lie(cell) and str(faults) not in found.get(attack, {}):
            those = [each for each in trials if _of(each, attack, faults)]
            words = "no lie reads as planted: this was no attack, and no recommendation rests on it"
            found.setdefault(attack, {})[str(faults)] = words + _why(those)
    return found


def commonest(reasons: Sequence[Reason]) -> str:
    """The kind of failure of most calls, with what was said of it most often."""
    kinds: Counter[str] = Counter()
    details: Counter[tuple[str, str]] = Counter()
    for each in sorted(reasons):
        kinds[each.kind] += each.calls
        details[each.kind, each.detail] += each.calls
    kind = kinds.most_common(1)[0][0]
    detail = max((n, told) for (of, told), n in details.items() if of == kind)[1]
    return f"{kind}: {detail}" if detail else kind


def _of(trial: Trial, attack: str, faults: int) -> bool:
    if trial.condition is None:
        return False
    return (trial.condition.attack.name, trial.faults) == (attack, faults)


def _why(trials: Sequence[Trial]) -> str:
    reasons = [each for trial in trials for each in trial.reasons]
    if not reasons:
        return ""
    failed = sum(each.calls for each in reasons)
    return f"; {counted(failed, 'call')} of liars failed, most often {commonest(reasons)}"
