"""Makes the shipped answers of real models: `python -m benchmarks.letters`.

Reads the recorded texts of ../shared/data by the cascade `stated` and keeps letters and reasons
of absence; no text is kept. A test compares what ships with what is read today, so that a
changed reader is noticed: run this again then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.liars import data_folder
from orchestra.evals import Item, load_dataset, profile_experts
from orchestra.evals.profile import measure
from orchestra.files import shipped_folder
from orchestra.records import Absence, Mark
from orchestra.roster import Expert, Roster, yaml_text
from orchestra.skills import write_table
from orchestra.workers import Recordings

TARGET = shipped_folder("skills") / "mmlu-pro"
_ABSENT = {
    Absence.UNPARSED: ("No answer was read.", None),
    Absence.EMPTY: ("", None),
    Absence.TRUNCATED: ("", "length"),
    Absence.REFUSED: ("", "filtered"),
}
"""Reason of an absence -> text and finish reason that are read as that reason."""


def stated(data: Path) -> tuple[list[Item], list[Mark]]:
    """The questions of the data folder, and what every model answered to each."""
    items = load_dataset(data / "mmlu_pro.items.parquet")
    path = data / "mmlu_pro.recordings.parquet"
    experts = [
        Expert(m, m, worker="recorded", recordings=path) for m in Recordings.open(path).models
    ]
    return list(items), asyncio.run(measure(Roster(experts), items))


def bare(item: Item) -> Item:
    """The same question without its words."""
    question = item.question
    text = f"MMLU-Pro question {question.id.rpartition('-')[2]} (its text does not ship)"
    options = tuple(f"option {letter}" for letter in question.letters)
    return replace(item, question=replace(question, text=text, options=options))


def said(mark: Mark) -> tuple[str, str | None]:
    """A short text that states the answer, or is read as absent for the same reason."""
    if mark.value is not None:
        return f"The answer is ({mark.value}).", None
    return _ABSENT[mark.absence or Absence.UNPARSED]


def write(items: Sequence[Item], marks: Sequence[Mark], folder: Path) -> None:
    """Questions, answers, roster and recruitment table."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [bare(item) for item in items]
    columns = {
        "question_id": [row.question.id for row in rows],
        "benchmark": [row.question.benchmark for row in rows],
        "category": [row.question.category for row in rows],
        "question": [row.question.text for row in rows],
        "options": [list(row.question.options) for row in rows],
        "answer": [row.gold for row in rows],
        "kind": [str(row.question.kind) for row in rows],
        "profile": [row.profile for row in rows],
    }
    _write(pa.table(columns), folder / "items.parquet")
    place = {item.question.id: at for at, item in enumerate(items)}
    # Question by question: models often say the same, which packs better.
    ordered = sorted(marks, key=lambda mark: (place[mark.question_id], mark.who))
    texts = [said(mark) for mark in ordered]
    answers = {
        "question_id": [mark.question_id for mark in ordered],
        "model": [mark.who for mark in ordered],
        "output": [text for text, _ in texts],
        "finish_reason": pa.array([reason for _, reason in texts], pa.string()),
        "answer_only": [True] * len(texts),
    }
    _write(pa.table(answers), folder / "recordings.parquet")
    names = sorted({mark.who for mark in marks})
    roster = {
        "schema": 1,
        "defaults": {"worker": "recorded", "recordings": "recordings.parquet"},
        "experts": [{"name": name, "model": name} for name in names],
    }
    (folder / "roster.yaml").write_text(yaml_text(roster), encoding="utf-8")
    profile = [item for item in load_dataset(folder / "items.parquet") if item.profile]
    table = asyncio.run(profile_experts(Roster.load(folder / "roster.yaml"), profile))
    write_table(table, folder / "table.json")


def _write(table: pa.Table, path: Path) -> None:
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=22,
        row_group_size=1 << 20,
        write_statistics=False,
        store_schema=False,
    )


def main() -> None:
    data = data_folder()
    if data is None:
        print("no recorded answers on this machine: nothing is made")
        return
    write(*stated(data), TARGET)
    for path in sorted(TARGET.iterdir()):
        print(f"{path.stat().st_size:>9,} {path.name}")


if __name__ == "__main__":
    main()
