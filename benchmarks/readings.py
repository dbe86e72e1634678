"""Every recorded answer, read by this code; with `--against`, what another version read otherwise.

A reading is what `read` makes of one recorded output: its value or the reason for its absence,
the rule, and whether it is right. Texts of the recordings are not written.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from orchestra.answers import read
from orchestra.evals import load_dataset
from orchestra.evals.marking import same
from orchestra.records import Generation

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"
STEMS = ("mmlu_pro", "zeroeval")
TURNS = ("became right", "became wrong", "became absent", "was right, absent", "no longer absent")


class Reading(NamedTuple):
    """What one recorded output was read as; `value` and `absence` are "" where there is none."""

    question_id: str
    model: str
    sample: int
    kind: str
    value: str
    absence: str
    rule: str
    correct: bool


def readings(data: Path, stem: str, cascade: str) -> Iterator[Reading]:
    """A reading of each recording of `stem`, in the file's order."""
    items = {item.question.id: item for item in load_dataset(data / f"{stem}.items.parquet")}
    samples: Counter[tuple[str, str]] = Counter()
    for batch in pq.ParquetFile(data / f"{stem}.recordings.parquet").iter_batches(4_096):
        for row in batch.to_pylist():
            item = items[row["question_id"]]
            who = (row["question_id"], row["model"])
            sample = samples[who]
            samples[who] += 1
            answer = read(item.question, Generation("", *who, row["output"]), cascade=cascade)
            right = answer.value is not None and item.gold is not None
            right = right and same(answer.value or "", item.gold or "", item.question.kind)
            told = (answer.value or "", answer.absence.value if answer.absence else "")
            yield Reading(*who, sample, item.question.kind.value, *told, answer.rule, right)


def turns(before: Reading, after: Reading) -> tuple[str, ...]:
    """What became of a reading that has changed; () if it was and is wrong."""
    now = (after.correct and not before.correct, bool(after.value) and not after.correct)
    was = (bool(before.value), bool(after.value))
    wrong = now[1] and (before.correct or not was[0])
    gone = was == (True, False)
    changes = (now[0], wrong, gone, gone and before.correct, was == (False, True))
    return tuple(name for name, holds in zip(TURNS, changes, strict=True) if holds)


def compare(before: list[Reading], after: list[Reading], console: Console) -> None:
    """Each changed reading, then counts by kind of answer, rules and what became of it."""
    old = {each[:3]: each for each in before}
    if old.keys() != {each[:3] for each in after}:
        console.print(
            "the two files hold readings of different recordings: the others are left out"
        )
    groups: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for now in after:
        was = old.get(now[:3], now)
        if now == was:
            continue
        changed = turns(was, now)
        group = (now.kind, " -> ".join(each.rule or each.absence for each in (was, now)))
        groups[group].update(["changed", *changed])
        mark = (
            f"{', '.join(changed) or 'another value'}: {was.question_id} {now.model} {now.sample}"
        )
        values = f"{was.value or was.absence!s:.80} -> {now.value or now.absence!s:.80}"
        print(ascii(f"{now.kind} {group[1]} | {mark} | {values}")[1:-1])
    table = Table("kind", "rules", "changed", *TURNS, title=f"{len(after)} readings")
    for (kind, rules), counts in sorted(groups.items()):
        table.add_row(kind, rules, *(str(counts[name]) for name in ("changed", *TURNS)))
    whole = sum(groups.values(), Counter[str]())
    table.add_row("all", "", *(str(whole[name]) for name in ("changed", *TURNS)))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="a folder of recordings")
    parser.add_argument("--out", type=Path, help="the readings, as a Parquet file")
    parser.add_argument("--against", type=Path, help="readings of another version to compare with")
    parser.add_argument("--cascade", default="stated", help="the cascade of answer rules")
    given = parser.parse_args()
    found = [each for stem in STEMS for each in readings(given.data, stem, given.cascade)]
    if given.out:
        columns = zip(*found, strict=True)
        table = pa.table(dict(zip(Reading._fields, map(list, columns), strict=True)))
        pq.write_table(table, given.out, compression="zstd")
    if given.against:
        rows = pq.read_table(given.against).to_pylist()
        compare([Reading(**row) for row in rows], found, Console(width=150, markup=False))


if __name__ == "__main__":
    main()
