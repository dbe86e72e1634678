"""MMLU-Pro: questions of fourteen subjects with up to ten options (Wang et al., arXiv:2406.01574).

The official prompt and rules are those of `evaluate_from_local.py` in TIGER-AI-Lab/MMLU-Pro at
f418b11. What tells the states of the release apart was read in the history of its data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import pyarrow.parquet as pq

from orchestra.components import component
from orchestra.evals.benchmarks.benchmark import Benchmark, Protocol
from orchestra.evals.benchmarks.release import Hub, Release, Row, Splits
from orchestra.evals.items import Item
from orchestra.records import LETTERS, Kind, Question

MARKED = "gold option marked by a leading space"
"""The part of the questions that gave their answer away until January 2026."""
_SHIPPED = "mmlu-pro/items.parquet"
"""The questions, without their texts, that 24 models' letters ship for."""
_PADDING = "N/A"
# Until 2025-10-24, when questions of health were moved to other subjects.
_SUBJECTS = {
    **{"math": 1351, "physics": 1299, "chemistry": 1132, "law": 1101, "engineering": 969},
    **{"other": 924, "economics": 844, "health": 818, "psychology": 798, "business": 789},
    **{"biology": 717, "philosophy": 499, "computer science": 410, "history": 381},
}
_SHOTS = 5
_ROOM, _CHARACTERS = 2048, 4
"""Tokens that the script leaves for a prompt, which drops examples until it is shorter, and the
characters that stand for one here: no one tokenizer is that of all experts."""
_OFFICIAL = Protocol(
    "official",
    "The authors' script: five worked examples of the same subject, first match, a letter is "
    "drawn where none is found.",
    "The following are multiple choice questions (with answers) about {subject}. Think step by "
    'step and then finish your answer with "the answer is (X)" where X is the correct letter '
    "choice.\n\n\n\n{examples}Question:\n{question}\nOptions:\n{options}Answer: Let's think step "
    "by step.",
    read="official",
    guesses=True,
    sampling={"temperature": 0.0, "max_tokens": 2048, "stop": ("Question:",)},
)
_CHAT = Protocol(
    "chat",
    "One message without examples; the last answer that is stated counts, nothing is guessed.",
    "Answer the following multiple choice question about {subject}. Think step by step, and then "
    "write your answer as the last line in the form: Answer: X, where X is one of the letters "
    "{letters}.\n\n{question}\n\n{options}",
)


@component("benchmark", "mmlu_pro")
@dataclass(frozen=True)
class MmluPro(Benchmark):
    """MMLU-Pro, 12,032 test questions and 70 for examples."""

    title: ClassVar[str] = "MMLU-Pro: fourteen subjects, up to ten options"
    splits: ClassVar[Splits] = {
        "test": ("test", "test-*-of-*", "*mmlu*pro*test*"),
        "validation": ("validation", "validation-*-of-*", "*mmlu*pro*validation*"),
    }
    protocols: ClassVar[tuple[Protocol, ...]] = (_CHAT, _OFFICIAL)
    columns: ClassVar[tuple[str, ...]] = ("question_id", "question", "options", "answer")
    also: ClassVar[tuple[str, ...]] = ("answer_index", "category", "cot_content", "src")
    hub: ClassVar[Hub | None] = Hub(
        "TIGER-Lab/MMLU-Pro", "3373e0b32277875b8db2aa555a333b78a08477ea"
    )
    release: ClassVar[str] = "the dataset TIGER-Lab/MMLU-Pro of the Hugging Face Hub, `data/`"

    def item(self, row: Row, *, seed: int) -> Item:
        """Options without padding and outer white space, and the letter that is left for gold."""
        given = row.texts("options")
        letter = row.text("answer").strip()
        at = LETTERS.find(letter) if len(letter) == 1 else -1
        if not 0 <= at < len(given) or _pads(given[at]):
            raise row.wrong(f"`answer` is none of the {len(given)} options: {letter!r}")
        index = row.text("answer_index", empty=True)
        if index and index != str(at):
            raise row.wrong(f"`answer` is {letter} and `answer_index` {index}")
        options = tuple(each.strip() for each in given if not _pads(each))
        gold = LETTERS[at - sum(map(_pads, given[:at]))]
        question = Question(
            row.text("question_id"),
            row.text("question"),
            options,
            Kind.CHOICE,
            category=row.text("category", empty=True),
        )
        return Item(question, gold, profile=_profiled().get(question.id))

    def shots(self, protocol: Protocol, release: Release) -> Sequence[Row]:
        """The validation split, where the protocol shows examples."""
        if protocol is not _OFFICIAL:
            return ()
        return release.rows("validation", (*self.columns, "category", "cot_content"))

    def prompt(self, item: Item, protocol: Protocol, shots: Sequence[Row]) -> str:
        """The whole prompt; examples are the first of the same subject, as in the script."""
        question = item.question
        if protocol is _CHAT:
            return protocol.prompt.format(
                subject=question.category or "any subject",
                letters=", ".join(question.letters),
                question=question.text,
                options=_listed(question.options).removesuffix("\n"),
            )
        mine = [row for row in shots if row.text("category") == question.category]
        for count in range(min(_SHOTS, len(mine)), -1, -1):
            asked = protocol.prompt.format(
                subject=question.category,
                examples="".join(map(_example, mine[:count])),
                question=question.text,
                options=_listed(question.options),
            )
            if len(asked) < _ROOM * _CHARACTERS:
                break
        return asked

    def state(self, rows: Sequence[Row], items: Sequence[Item]) -> tuple[str, list[str]]:
        """The state of the release, as far as spaces, padding and subjects tell."""
        options = [row.texts("options") for row in rows]
        notes = []
        if any(each != each.strip() for row in options for each in row):
            notes.append("white space around options was removed")
        if padded := sum(any(map(_pads, each)) for each in options):
            notes.append(f"padding options (`{_PADDING}`) of {padded:,} questions were left out")
        marked = len(self.parts(rows, items)[MARKED])
        subjects = Counter(item.question.category for item in items)
        whole = len(items) == sum(_SUBJECTS.values())
        if padded:
            return "before 2025-08-25", notes
        if whole and subjects == _SUBJECTS:
            return f"before 2025-10-24{'' if marked else ', options stripped'}", notes
        if whole:
            return f"2025-10-24 {'to 2026-01-18' if marked else 'or later'}", notes
        return "before 2026-01-18" if marked else "unknown", notes

    def parts(self, rows: Sequence[Row], items: Sequence[Item]) -> Mapping[str, frozenset[str]]:
        """The questions whose right option, and no other, begins with a space."""
        marked = set()
        for row, item in zip(rows, items, strict=True):
            spaced = [each[:1] == " " for each in row.texts("options") if not _pads(each)]
            if sum(spaced) == 1 and spaced[LETTERS.index(item.gold or "A")]:
                marked.add(item.question.id)
        return {MARKED: frozenset(marked)}


@cache
def _profiled() -> Mapping[str, bool]:
    """The 350 questions that Symbolic-MoE profiles on, where their ids (`mmlupro-70`) ship."""
    package = Path(str(files("orchestra")))
    for skills in (package / "data" / "skills", package.parent / "skills"):
        path = skills / _SHIPPED
        if path.is_file():
            rows = pq.read_table(path, columns=["question_id", "profile"]).to_pylist()
            return {row["question_id"].rpartition("-")[2]: True for row in rows if row["profile"]}
    return {}


def _pads(option: str) -> bool:
    return option.strip() == _PADDING


def _listed(options: Sequence[str]) -> str:
    return "".join(f"{letter}. {each}\n" for letter, each in zip(LETTERS, options, strict=False))


def _example(row: Row) -> str:
    """A worked example as the script shows it."""
    options = [each.strip() for each in row.texts("options") if not _pads(each)]
    worked = row.text("cot_content").replace(
        "A: Let's think step by step.", "Answer: Let's think step by step."
    )
    return f"Question:\n{row.text('question')}\nOptions:\n{_listed(options)}{worked}\n\n"
