"""Gold answers, marks, statistics and arms: the only room that knows what is right."""

from orchestra.evals.advise import Advised, advise
from orchestra.evals.advise_files import keep_advice, recorded_experts
from orchestra.evals.asking import Asked, AskedDraft, ask, asked_question
from orchestra.evals.baselines import Arm, Arms
from orchestra.evals.benchmarks.benchmark import Benchmark, Exam, Protocol, protocol_of
from orchestra.evals.compare import (
    Comparison,
    Pair,
    Power,
    compare,
    compare_all,
    compare_groups,
    power_of,
)
from orchestra.evals.contribution import Contribution, contributions
from orchestra.evals.datasets import load_dataset
from orchestra.evals.evaluate import ArmsAsked, Evaluation, evaluate_run
from orchestra.evals.finished import decision_marks, items_of, of_redteam, open_finished
from orchestra.evals.items import (
    Dataset,
    Item,
    items_digest,
    letter_histogram,
    take,
    write_items,
)
from orchestra.evals.marking import mark_answer, mark_decision, same
from orchestra.evals.panel import Votes
from orchestra.evals.panel_report import votes_of
from orchestra.evals.profile import (
    Lack,
    enrol,
    lacking,
    past_tolerance,
    profile_experts,
    profile_folder,
    profile_identity,
)
from orchestra.evals.receipt import Receipt, check_receipt, checked_receipt
from orchestra.evals.replay import replay
from orchestra.evals.rescore import Reread, Standing, reread
from orchestra.evals.statistics import Interval, mcnemar, paired_bootstrap, wilson
from orchestra.evals.validate import Checked, check_files, described

__all__ = [
    "Advised",
    "Arm",
    "Arms",
    "ArmsAsked",
    "Asked",
    "AskedDraft",
    "Benchmark",
    "Checked",
    "Comparison",
    "Contribution",
    "Dataset",
    "Evaluation",
    "Exam",
    "Interval",
    "Item",
    "Lack",
    "Pair",
    "Power",
    "Protocol",
    "Receipt",
    "Reread",
    "Standing",
    "Votes",
    "advise",
    "ask",
    "asked_question",
    "check_files",
    "check_receipt",
    "checked_receipt",
    "compare",
    "compare_all",
    "compare_groups",
    "contributions",
    "decision_marks",
    "described",
    "enrol",
    "evaluate_run",
    "items_digest",
    "items_of",
    "keep_advice",
    "lacking",
    "letter_histogram",
    "load_dataset",
    "mark_answer",
    "mark_decision",
    "mcnemar",
    "of_redteam",
    "open_finished",
    "paired_bootstrap",
    "past_tolerance",
    "power_of",
    "profile_experts",
    "profile_folder",
    "profile_identity",
    "protocol_of",
    "recorded_experts",
    "replay",
    "reread",
    "same",
    "take",
    "votes_of",
    "wilson",
    "write_items",
]
