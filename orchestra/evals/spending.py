"""What a run paid, next to what its answers cost: every attempt counts, also those that failed.

Knows the account, when one is kept, and where prices come from; spends nothing.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

from orchestra.pipeline import Pipeline
from orchestra.roster import Expert
from orchestra.runs import SPENDING, Account, Budget, Cost, RunFolder
from orchestra.workers.hosted import price_of


def paying(pipeline: Pipeline, folder: RunFolder) -> AbstractContextManager[Account | None]:
    """What pays for the calls of a run in a folder, where anything limits or charges them."""
    limits = pipeline.spec.budget
    if limits == Budget() and not any(expert.hosted for expert in pipeline.roster):
        return nullcontext()
    path = pipeline.spec.budget_file or folder.path / SPENDING
    return Account.open(path, limits, run=str(folder.path.resolve()))


def spending(account: Account | None, pipeline: Pipeline) -> dict[str, Any] | None:
    """The part `spending` of `report.json`; None where nobody counted.

    `attempts` are calls that were or may have been made, retries included; `lost` is the part of
    them that was under way when a process ended, at the most that they may have cost.
    """
    if account is None:
        return None
    entries = account.entries()  # of this run, whoever else shares the budget
    return {
        **_amounts(sum((each.spent for each in entries.values()), Cost())),
        "lost": _amounts(sum((each.lost for each in entries.values()), Cost())),
        "experts": {who: _amounts(each.spent) for who, each in entries.items()},
        "prices": {expert.name: _source(expert) for expert in pipeline.roster if expert.hosted},
        "budget": {name: most for name, most in asdict(account.budget).items() if most is not None},
    }


def _amounts(cost: Cost) -> dict[str, Any]:
    return {"attempts": cost.calls, "tokens": cost.tokens, "money": round(cost.dollars, 9)}


def _source(expert: Expert) -> str:
    """Where the price of a hosted expert comes from."""
    if expert.price is not None:
        return "roster"
    return "litellm" if price_of(expert) is not None else "unknown"
