"""Gold answers, marks, statistics and arms: the only room that knows what is right."""

from orchestra.evals.arms import Arm, Arms
from orchestra.evals.compare import Comparison, compare
from orchestra.evals.evaluate import Evaluation, evaluate_run, read_report
from orchestra.evals.items import Item, items_digest, letter_histogram, read_items, take
from orchestra.evals.marking import mark_answer, mark_decision, same
from orchestra.evals.profile import profile_experts
from orchestra.evals.statistics import Interval, mcnemar, paired_bootstrap, wilson

__all__ = [
    "Arm",
    "Arms",
    "Comparison",
    "Evaluation",
    "Interval",
    "Item",
    "compare",
    "evaluate_run",
    "items_digest",
    "letter_histogram",
    "mark_answer",
    "mark_decision",
    "mcnemar",
    "paired_bootstrap",
    "profile_experts",
    "read_items",
    "read_report",
    "same",
    "take",
    "wilson",
]
