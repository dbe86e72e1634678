"""Which defence to choose against so many liars, and what it costs a panel that is honest.

Knows the figures of all trials; does not know how they came about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from orchestra.redteam.defences import BASELINES, Way
from orchestra.redteam.metrics import Figures
from orchestra.redteam.sweep import Reason, Trial, counted

Cells = Sequence[Mapping[str, Any]]
"""As in `report.json`: one for each attack, number of liars and way."""

_FIGURES = (
    *("defence", "attack", "faults", "accuracy", "interval", "loss", "loss_interval", "honest"),
    *("price", "price_interval", "guaranteed", "calls_per_question"),
)


def honest_part(figures: Figures, ways: Sequence[Way], *, declared: int) -> dict[str, Any]:
    """What each way makes of an honest panel, beside the best that trusts everybody.

    Args:
        figures: with the trial without liars.
        ways: in the order of the report.
        declared: how many liars the certificates are asked about.
    """
    decided = figures.honest.decided
    plain = dict.fromkeys([*BASELINES, *(way.name for way in ways if way.undefended)])
    best = max(plain, key=lambda name: float(figures.right(decided[name].values).mean()))
    right = figures.right(decided[best].values)
    told = figures.share(right)
    return {
        "best_undefended": best,
        "accuracy": told["share"],
        "interval": told["interval"],
        "defences": {way.name: _honestly(figures, way, best, declared) for way in ways},
    }


def _honestly(figures: Figures, way: Way, best: str, declared: int) -> dict[str, Any]:
    trial = figures.honest
    cell = figures.cell(way, [trial])
    price, ends = figures.gap(
        figures.right(trial.decided[best].values), figures.right(trial.decided[way.name].values)
    )
    kept = ("accuracy", "interval", "abstained", "calls_per_question", "detection", "certificate")
    told = [each for each in trial.decided[way.name].certificates if each is not None]
    sure = sum(each.everywhere > declared for each in told)
    return {
        **{name: cell[name] for name in kept},
        "price": price,
        "price_interval": ends,
        "guaranteed": round(sure / len(told), 6) if told else None,
    }


def failed_to_lie(cell: Mapping[str, Any]) -> bool:
    """Whether liars were to lie and not one lie read as planted: then nothing was tried."""
    return bool(cell["faults"] > 0 and cell.get("lies_kept") == 0)


def recommend(
    cells: Cells, honest: Mapping[str, Any], ways: Sequence[Way], *, declared: int, panel: int
) -> dict[str, Any]:
    """The way that does best where the attacks do it most harm.

    Equals go to the cheaper one on an honest panel, then to the one with fewer calls, then to the
    one that was named first. Attacks in which no lie read as planted are left out; where none is
    left, no way is recommended.

    Args:
        cells: every cell of the sweep.
        honest: from `honest_part`.
        ways: in the order of the report.
        declared: how many liars it is to hold.
        panel: how many experts are asked for most questions.
    """
    tried = [cell for cell in cells if 0 < cell["faults"] <= declared]
    held = [cell for cell in tried if not failed_to_lie(cell)]
    gone = dict.fromkeys(_name(cell) for cell in tried if failed_to_lie(cell))
    told: dict[str, Any] = {
        "declared": declared,
        "panel": panel,
        "warning": _warning(declared, panel),
        "left_out": list(gone),
        "reason": None,
    }
    if tried and not held:
        nothing = dict.fromkeys([*_FIGURES, "setting", "settings"])
        reason = "no lie of any attack read as planted, so that no defence was tried"
        return {**told, **nothing, "reason": reason, "ranking": []}
    ranking = [_standing(way, held, honest["defences"][way.name]) for way in ways]
    order = sorted(
        ranking, key=lambda row: (-row["accuracy"], row["price"], row["calls_per_question"])
    )
    settings = next(way.settings for way in ways if way.name == order[0]["defence"])
    return {
        **told,
        **order[0],
        "setting": " --set ".join(settings),
        "settings": list(settings),
        "ranking": order,
    }


def _name(cell: Mapping[str, Any]) -> str:
    return f"{cell['attack']} by {cell['faults']}"


def _standing(way: Way, cells: Cells, honest: Mapping[str, Any]) -> dict[str, Any]:
    """A way's worst case among these cells; without any, the honest panel."""
    tried = [cell for cell in cells if cell["defence"] == way.name]
    worst = min(tried, key=lambda cell: float(cell["accuracy"]), default=None)
    where = honest if worst is None else worst
    return {
        "defence": way.name,
        "attack": None if worst is None else worst["attack"],
        "faults": 0 if worst is None else worst["faults"],
        "accuracy": where["accuracy"],
        "interval": where["interval"],
        "loss": None if worst is None else worst["loss"],
        "loss_interval": None if worst is None else worst["loss_interval"],
        "honest": honest["accuracy"],
        "price": honest["price"],
        "price_interval": honest["price_interval"],
        "guaranteed": honest["guaranteed"],
        "calls_per_question": honest["calls_per_question"],
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
