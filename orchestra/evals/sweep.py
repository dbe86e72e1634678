"""What many pipelines on the same calls come to: fronts, and a winner that is measured fairly.

The best of many variants looks better than it is on the questions that chose it, so it is chosen
on one half of them and measured on the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestra.evals.items import Item, items_digest
from orchestra.evals.known import Flags, Known, Tried, halves, right_of
from orchestra.evals.statistics import paired_bootstrap, wilson
from orchestra.evals.variants import Variant

COSTS = ("calls", "tokens", "money")
"""What accuracy is weighed against, a question."""

Results = Sequence[tuple[Variant, Tried]]


def sweep_data(
    run: str,
    items: Sequence[Item],
    found: Results,
    *,
    impossible: Mapping[str, str],
    known: Known,
    experts: Sequence[str],
    differing: int,
) -> dict[str, Any]:
    """The content of `sweep.json`. The same arguments give the same content.

    Args:
        run: its folder.
        items: its questions.
        found: every variant with what became of it; the run's own settings come first.
        impossible: combination -> why there is no such pipeline.
        known: the calls that are known.
        experts: whose calls they may be.
        differing: questions that the run's own settings decide otherwise than the run did.
    """
    marked = [item for item in items if item.gold is not None]
    whole = [(variant, each) for variant, each in found if each.lack is None]
    fronts = {cost: _front(whole, cost) for cost in COSTS}
    return {
        "schema": 1,
        "run": run,
        "pipeline": found[0][0].pipeline,
        "protocol": "replayed over the run's own generations; absent counts as not right, no "
        "credit for guesses",
        "seed": found[0][0].seed,
        "items": items_digest(items),
        "n": len(marked),
        "differing": differing,
        "tried": len(whole),
        "variants": [
            {
                **_row(variant, each, {cost: variant.name in fronts[cost] for cost in COSTS}),
                "own": not place,
            }
            for place, (variant, each) in enumerate(found)
        ],
        "impossible": dict(impossible),
        "winner": _winner(marked, whole, known, experts=experts, run=found[0][1])
        if whole
        else None,
    }


def _row(variant: Variant, each: Tried, front: Mapping[str, bool]) -> dict[str, Any]:
    lack = each.lack
    row: dict[str, Any] = {
        "name": variant.name,
        "pipeline": variant.pipeline,
        "settings": dict(_pair(setting) for setting in variant.settings),
        "seed": variant.seed,
        "lacking": None,
    }
    if lack is not None:
        calls = dict(sorted(lack.experts.items()))
        row["lacking"] = {
            "questions": len(lack.questions),
            "calls": sum(calls.values()),
            "experts": calls,
        }
        return row
    return row | {
        **_share(each.right),
        "calls": round(each.calls, 4),
        "tokens": round(each.tokens, 2),
        "tokens_estimated": each.estimated,
        "money": round(each.money, 9),
        "absent": dict(each.absent),
        "front": dict(front),
    }


def _pair(setting: str) -> tuple[str, str]:
    key, _, value = setting.partition("=")
    return key, value


def _share(right: Flags) -> dict[str, Any]:
    n, hits = len(right), int(right.sum())
    interval = wilson(hits, n)
    return {
        "n": n,
        "accuracy": round(hits / n, 6) if n else 0.0,
        "interval": [round(interval.low, 6), round(interval.high, 6)],
    }


def _front(whole: Results, cost: str) -> set[str]:
    """Variants of which no other is at least as good and as cheap, and better in one of both.

    Empty where nobody knows the cost.
    """
    price = {variant.name: round(float(getattr(each, cost)), 9) for variant, each in whole}
    if not any(price.values()):
        return set()
    front, best = set[str](), -1
    ranked = sorted(whole, key=lambda pair: (price[pair[0].name], -int(pair[1].right.sum())))
    last = (-1.0, -1)
    for variant, each in ranked:
        hits, paid = int(each.right.sum()), price[variant.name]
        if hits > best or (paid, hits) == last:
            front.add(variant.name)
            best, last = hits, (paid, hits)
    return front


def _winner(
    marked: Sequence[Item], whole: Results, known: Known, *, experts: Sequence[str], run: Tried
) -> dict[str, Any]:
    """The variant that is best on one half, as it does on the other."""
    seed = whole[0][0].seed
    chose, told = halves(marked, seed=seed, purpose="sweep")

    def better(pair: tuple[Variant, Tried]) -> tuple[int, float]:
        return int(pair[1].right[chose].sum()), -pair[1].calls

    variant, best = max(whole, key=better)
    single = _single(marked, known, experts, chose)
    return {
        "name": variant.name,
        "tried": len(whole),
        "chosen_on": _share(best.right[chose]),
        "measured_on": _share(best.right[told]),
        "calls": round(best.calls, 4),
        "against_run": None if run.lack is not None else _gain(best.right, run.right, told, seed),
        "against_best_single": None
        if single is None
        else {"expert": single[0], **_gain(best.right, single[1], told, seed)},
    }


def _single(
    marked: Sequence[Item], known: Known, experts: Sequence[str], chose: Sequence[int]
) -> tuple[str, Flags] | None:
    """The best single expert on the same half, among those whose every answer is known."""
    whole = known.whole(experts, [item.question.id for item in marked])
    if not whole:
        return None
    right = right_of(known, marked, whole)
    best = int(np.argmax(right[:, list(chose)].sum(axis=1)))
    return whole[best], right[best]


def _gain(a: Flags, b: Flags, places: Sequence[int], seed: int) -> dict[str, Any]:
    """How much better one is than another on some questions, in pairs."""
    where = list(places)
    gap = paired_bootstrap(a[where], b[where], seed=seed)
    return {
        **_share(b[where]),
        "gain": round(gap.value, 6),
        "gain_interval": [round(gap.interval.low, 6), round(gap.interval.high, 6)],
    }
