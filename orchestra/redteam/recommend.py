"""Which defence to choose against so many liars, and what it costs a panel that is honest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.redteam.defences import BASELINES, Defence
from orchestra.redteam.inject import Reason
from orchestra.redteam.metrics import Metrics
from orchestra.redteam.sweep import Trial, counted

Cells = Sequence[Mapping[str, Any]]
"""As in `report.json`: one for each attack, number of liars and defence."""

_HONEST = ("accuracy", "interval", "abstained", "calls_per_question", "detection", "certificate")


def honest_part(metrics: Metrics, defences: Sequence[Defence], *, declared: int) -> dict[str, Any]:
    """What each defence makes of an honest panel, beside the best that trusts everybody.

    Args:
        metrics: with the trial without liars.
        defences: in the order of the report.
        declared: how many liars the certificates are asked about.
    """
    trial = metrics.honest
    marks = {name: metrics.right(each.values) for name, each in trial.decided.items()}
    undefended = dict.fromkeys([*BASELINES, *(each.name for each in defences if each.undefended)])
    best = max(undefended, key=lambda name: float(marks[name].mean()))
    figures = metrics.share(marks[best])
    rows = {}
    for defence in defences:
        cell = metrics.cell(defence, [trial])
        price, ends = metrics.gap(marks[best], marks[defence.name])
        certificates = [each for each in trial.decided[defence.name].certificates if each]
        sure = sum(each.everywhere > declared for each in certificates)
        rows[defence.name] = {
            **{name: cell[name] for name in _HONEST},
            "price": price,
            "price_interval": ends,
            "guaranteed": round(sure / len(certificates), 6) if certificates else None,
        }
    return {
        "best_undefended": best,
        "accuracy": figures["share"],
        "interval": figures["interval"],
        "defences": rows,
    }


def failed_to_lie(cell: Mapping[str, Any]) -> bool:
    """Whether liars were to lie and not one lie read as planted: then nothing was tried."""
    return bool(cell["faults"] > 0 and cell.get("lies_kept") == 0)


def recommend(
    cells: Cells,
    honest: Mapping[str, Any],
    defences: Sequence[Defence],
    *,
    declared: int,
    panel: int,
) -> dict[str, Any]:
    """The defence that does best where the attacks do it most harm.

    Equals go to the cheaper one on an honest panel, then to the one with fewer calls, then to the
    one that was named first. Attacks in which no lie read as planted are left out; where none is
    left, no defence is recommended.

    Args:
        cells: every cell of the sweep.
        honest: from `honest_part`.
        defences: in the order of the report.
        declared: how many liars it is to hold.
        panel: how many experts are asked for most questions.
    """
    tried = [cell for cell in cells if 0 < cell["faults"] <= declared]
    held = [cell for cell in tried if not failed_to_lie(cell)]
    gone = [f"{cell['attack']} by {cell['faults']}" for cell in tried if failed_to_lie(cell)]
    order = sorted(
        [_standing(each, held, honest["defences"][each.name]) for each in defences],
        key=lambda row: (-row["accuracy"], row["price"], row["calls_per_question"]),
    )
    settings = next(each.settings for each in defences if each.name == order[0]["defence"])
    first = {**order[0], "setting": " --set ".join(settings), "settings": list(settings)}
    reason = None
    if tried and not held:
        reason = "no lie of any attack read as planted, so that no defence was tried"
        first, order = dict.fromkeys(first), []
    return {
        "declared": declared,
        "panel": panel,
        "warning": _warning(declared, panel),
        "left_out": list(dict.fromkeys(gone)),
        "reason": reason,
        **first,
        "ranking": order,
    }


def _standing(defence: Defence, cells: Cells, honest: Mapping[str, Any]) -> dict[str, Any]:
    """A defence's worst case among these cells; without any, the honest panel."""
    tried = [cell for cell in cells if cell["defence"] == defence.name]
    nowhere = {**honest, "attack": None, "faults": 0, "loss": None, "loss_interval": None}
    worst = min(tried, key=lambda cell: float(cell["accuracy"]), default=nowhere)
    there = ("attack", "faults", "accuracy", "interval", "loss", "loss_interval")
    costs = ("price", "price_interval", "guaranteed", "calls_per_question")
    return {
        "defence": defence.name,
        **{name: worst[name] for name in there},
        "honest": honest["accuracy"],
        **{name: honest[name] for name in costs},
    }


def _warning(declared: int, panel: int) -> str | None:
    if declared == 0 or 2 * declared < panel:
        return None
    liars = "one liar is" if declared == 1 else f"{declared} liars are"
    return (
        f"{liars} half or more of the {counted(panel, 'expert')} asked for most "
        "questions: no vote can guarantee anything then, and what is shown here held against "
        "these attacks only"
    )


def failed_attacks(cells: Cells, trials: Sequence[Trial]) -> dict[str, dict[str, str]]:
    """Why attacks failed, by their names and, in digits, the numbers of liars.

    Args:
        cells: every cell of the report.
        trials: what they were counted from.
    """
    found: dict[str, dict[str, str]] = {}
    for cell in cells:
        attack, faults = cell["attack"], cell["faults"]
        if not failed_to_lie(cell) or str(faults) in found.get(attack, {}):
            continue
        words = "no lie reads as planted: this was no attack, and no recommendation rests on it"
        reasons = [
            reason
            for trial in trials
            if trial.condition is not None
            and (trial.condition.attack.name, trial.faults) == (attack, faults)
            for reason in trial.reasons
        ]
        if reasons:
            failed = counted(sum(each.calls for each in reasons), "call")
            words += f"; {failed} of liars failed, most often {commonest(reasons)}"
        found.setdefault(attack, {})[str(faults)] = words
    return found


def commonest(reasons: Sequence[Reason]) -> str:
    """The kind of failure of most calls, with its most frequent detail."""
    kinds: Counter[str] = Counter()
    details: Counter[tuple[str, str]] = Counter()
    for each in sorted(reasons):
        kinds[each.kind] += each.calls
        details[each.kind, each.detail] += each.calls
    kind = kinds.most_common(1)[0][0]
    detail = max((calls, each) for (of, each), calls in details.items() if of == kind)[1]
    return f"{kind}: {detail}" if detail else kind
