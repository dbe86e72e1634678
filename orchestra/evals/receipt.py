"""A receipt for who was asked: a hash of all picks, which holds no outcome.

The same run without gold answers has the same receipt, which shows that seats and weights were not
chosen by the result. The picks are in the run's ledger, so the receipt can be computed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from orchestra.errors import InputError
from orchestra.records import Plan, Seat
from orchestra.runs import RowKind, RunView, digest


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was picked for a run's questions."""

    picks: str
    """Digest of question ids with their seats, reserves and weights, in the order of the ids, and
    of the other fields."""
    pipeline: str
    """Digest of the pipeline."""
    table: str
    """Digest of the recruitment table's evidence."""
    seed: int
    questions: int

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def receipt_of(plans: Iterable[Plan], *, pipeline: str, table: str, seed: int) -> Receipt:
    """The receipt of these plans, the same in whatever order they are given.

    Args:
        plans: one for each question.
        pipeline: digest of the pipeline that made them.
        table: digest of the evidence that they rest on.
        seed: the seed that they were drawn with.
    """
    picks = sorted([plan.question_id, _seats(plan.seats), _seats(plan.reserves)] for plan in plans)
    # One JSON text for all picks: `digest` walks through every value, which takes seconds here.
    whole = digest([orjson.dumps(picks).decode(), pipeline, table, seed])
    return Receipt(whole, pipeline, table, seed, len(picks))


def check_receipt(kept: Receipt, plans: Iterable[Plan]) -> None:
    """Make the receipt of a run's plans again.

    Raises:
        InputError: it is another one: the plans, or the kept receipt, were changed afterwards.
    """
    again = receipt_of(plans, pipeline=kept.pipeline, table=kept.table, seed=kept.seed)
    if again != kept:
        raise InputError(
            f"the receipt does not fit the picks: it says {kept.picks} for {kept.questions:,} "
            f"questions, the ledger gives {again.picks} for {again.questions:,}",
            hint="the run's plans or its receipt were changed after the run",
        )


def checked_receipt(view: RunView, report: Mapping[str, Any]) -> Receipt | None:
    """The receipt in a run's report, after a check of the run's own plans; None: it has none.

    Raises:
        InputError: it is malformed, or does not fit the plans.
    """
    told = report.get("receipt")
    if told is None:
        return None
    try:
        kept = Receipt(**told)
    except TypeError:
        raise InputError("the report's receipt is malformed", place=str(view.path)) from None
    check_receipt(kept, view.ledger.rows(RowKind.PLAN))
    return kept


def _seats(seats: Sequence[Seat]) -> list[list[object]]:
    return [[each.expert, each.sample, round(each.weight, 9)] for each in seats]
