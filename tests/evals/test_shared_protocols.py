"""Marks under published protocols agree with a marker that was written from their text alone.

On recorded answers of 24 real models to MMLU-Pro; nothing of `orchestra.answers` is used by the
marker here.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from orchestra.answers import read
from orchestra.evals import load_dataset, mark_answer
from orchestra.records import Generation, Outcome

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]


def official(text: str) -> str | None:
    """MMLU-Pro: `answer is (X)`; else the first line with `Answer: X`, its last; else the last
    capital from A to J that stands alone."""
    if found := re.search(r"answer is \(?([A-J])\)?", text):
        return found[1]
    # A line break may stand between the colon and the letter.
    lines = re.sub(r"([aA]nswer:)\s*([A-J])", r"\1\2", text).split("\n")
    for line in lines:
        if labelled := re.findall(r"[aA]nswer:([A-J])", line):
            return str(labelled[-1])
    alone = re.findall(r"\b[A-J]\b", text)
    return alone[-1] if alone else None


def test_accuracy_by_model(shared_data: Path) -> None:
    items = {
        item.question.id: item for item in load_dataset(shared_data / "mmlu_pro.items.parquet")
    }
    seen: Counter[str] = Counter()
    ours: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    columns = ["question_id", "model", "output"]
    with pq.ParquetFile(shared_data / "mmlu_pro.recordings.parquet") as file:
        for batch in file.iter_batches(columns=columns):
            for row in batch.to_pylist():
                item, model, text = items[row["question_id"]], row["model"], row["output"] or ""
                answer = read(
                    item.question, Generation("", item.question.id, model, text), cascade="official"
                )
                seen[model] += 1
                ours[model] += mark_answer(answer, item).outcome is Outcome.CORRECT
                theirs[model] += official(text) == item.gold
    assert len(seen) == 24
    gaps = {model: 100 * (ours[model] - theirs[model]) / seen[model] for model in seen}
    assert {model: gap for model, gap in gaps.items() if abs(gap) > 0.5} == {}
