"""Names of columns: which of ours others stand for, whatever their case, spaces and underlines.

An explicit table; knows no cells.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from orchestra.errors import InputError
from orchestra.evals.choices import runs_of
from orchestra.evals.rows import Rows

ALSO: Mapping[str, tuple[str, ...]] = {
    "question_id": (
        *("qid", "id", "uid", "uuid", "idx", "index", "questionidx", "exampleid", "itemid"),
        *("problemid", "recordid", "taskid", "pubid", "ind", "docid"),
    ),
    "question": (
        *("questiontext", "questionstem", "stem", "problem", "problemtext", "query", "instruction"),
        *(
            "prompt",
            "userprompt",
            "goal",
            "ctx",
            "startphrase",
            "sentence",
            "statement",
            "claim",
            "input",
        ),
        *("inputs", "text", "pregunta", "frage", "pergunta", "domanda", "问题", "题目", "問題"),
    ),
    "options": (
        *("choices", "option", "endings", "alternatives", "candidates", "answerchoices"),
        *("answeroptions", "possibleanswers", "mc1targets", "optionlist", "choicelist"),
        *("opciones", "选项", "選択肢"),
    ),
    "answer": (
        *("correctanswer", "bestanswer", "rightanswer", "correct", "correctoption"),
        *("correctchoice", "answerkey", "correctletter", "answerletter", "gold", "goldanswer"),
        *("goldlabel", "groundtruth", "finalanswer", "expectedanswer", "expectedoutput"),
        *("expected", "label", "target", "targets", "cop", "finaldecision", "answerindex"),
        *("answeridx", "correctanswerindex", "correctindex", "correctidx", "goldindex", "goldidx"),
        *("answers", "answersspans", "correctanswers", "referenceanswer", "reference"),
        *("rewardmodel", "solution", "output", "response", "completion", "respuesta", "antwort"),
        *("réponse", "reponse", "resposta", "risposta", "答案", "答え", "正解"),
    ),
    "category": (
        *("subject", "subjectname", "topic", "topicname", "highleveldomain", "domain", "subdomain"),
        *("field", "discipline", "area", "skill", "type", "questiontype"),
    ),
    "benchmark": ("dataset", "datasetname"),
    "language": ("lang",),
    "context": (
        *("passage", "article", "contexts", "paragraph", "premise", "support", "background"),
        *("story", "document"),
    ),
    "kind": (),
    "profile": (),
    "metadata": (),
    "grading": (),
}
"""Our column -> the keys of names that stand for it where it is absent, best first."""

CHATS = frozenset({"messages", "conversations", "conversation", "chat", "dialog", "turns"})
WRONG = re.compile(r"(?:incorrect|wrong|distractor|negative)s?(?:answer|option|choice)?s?(\d{0,2})")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the columns of a source were understood."""

    taken: Mapping[str, str] = field(default_factory=dict)
    """Our column -> where its cells came from, for columns that are called otherwise."""
    unused: tuple[str, ...] = ()
    """The columns that were not used."""
    notes: tuple[str, ...] = ()
    """What else a person should know, in words."""

    @property
    def lines(self) -> tuple[str, ...]:
        """All of it in sentences."""
        taken = "; ".join(f"`{ours}` is {theirs}" for ours, theirs in self.taken.items())
        unused = ", ".join(f"`{name}`" for name in self.unused)
        found = (f"read as: {taken}" if taken else "", f"not used: {unused}" if unused else "")
        return (*(line for line in found if line), *self.notes)


def key_of(name: str) -> str:
    """A name without case, spaces, underlines and what it is nested in."""
    return re.sub(r"[\W_]+", "", name.rpartition(".")[2] or name).casefold()


MEANS = {key_of(role): role for role in ALSO}
MEANS |= {alias: role for role, names in ALSO.items() for alias in names}


def useful(names: Sequence[str]) -> list[str]:
    """The names that may mean something, in their order."""
    keys = {name: key_of(name) for name in names}
    options = {name for group, _ in runs_of(keys) for name in group}
    return [
        name
        for name, key in keys.items()
        if key in MEANS or key in CHATS or name in options or WRONG.fullmatch(key)
    ]


def asks(names: Collection[str]) -> bool:
    """Whether one of the names stands for a question, or for a conversation that asks one."""
    return any(MEANS.get(key_of(n)) == "question" or key_of(n) in CHATS for n in names)


def misnamed(rows: Rows, reading: Reading) -> Iterator[InputError]:
    """Errors for a question that is missing, and for other columns that look misspelt."""
    for role in ("question_id", "question", "options", "answer"):
        if not rows.names or role in rows.columns or role in rows.names:
            continue
        wanted = key_of(role)
        close = 0.7 if role == "question" else 0.8
        near = [
            name
            for name in reading.unused
            if difflib.SequenceMatcher(None, key_of(name), wanted).ratio() >= close
        ]
        hint = f"rename {' or '.join(f'`{name}`' for name in near)} to `{role}`"
        if role == "question" and not near:
            shown = ", ".join(f"`{name[:40]}`" for name in islice(rows.names, 20))
            hint = f"name the column of questions `question`; there are: {shown}"
            if rows.texts:
                hint += "; where the first line is a question, write a line of names above it"
        if near or role == "question":
            yield InputError(f"no column `{role}`", place=rows.source, hint=hint)
