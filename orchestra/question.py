"""One question and what form its answer takes.

A kind that is not given follows from the options and from what the question asks for. Knows no
gold answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, cast

from orchestra.errors import expect, unknown

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_WORDS = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|fifty|hundred"
_EXPRESSION = rf"(?:[-−\d(√][-−\d\s.,()+*/×·÷^%√]*|(?:{_WORDS})\b\s*)"
_BETWEEN = (
    r"(?:plus|minus|times|(?:divided|multiplied) by|to the power of|mod(?:ulo)?|percent of)\s+"
)
_ASKED = (
    r"(?:remainder|sum|product|quotient|number|square root|cube root|factorial|greatest common|"
    r"least common)\b|(?:difference|average|mean|median) (?:between|of) [-−\d]"
)
_ASKS_FOR_NUMBER = re.compile(
    rf"\b(?:how many\b|(?:what|which) number\b|what(?:'s| is) the (?:{_ASKED}))"
    rf"|^(?:what is|what's|how much is|calculate|compute) {_EXPRESSION}"
    rf"(?:{_BETWEEN}{_EXPRESSION})*[?.=\s]*$",
    re.IGNORECASE,
)
_TEXTS = ("id", "text", "context", "language", "category", "benchmark", "prompt")


class Kind(StrEnum):
    """What form the answer to a question takes."""

    CHOICE = "choice"
    """One of the question's options, named by its letter."""
    NUMBER = "number"
    """A number, compared by value."""
    LITERAL = "literal"
    """A Python literal, compared by value (the output of a program, say)."""
    TEXT = "text"
    """Short free text, compared after normalisation."""
    CODE = "code"
    """A program."""
    OPEN = "open"
    """An answer of any length in the expert's own words. Where it ends by stating a short answer,
    that is compared, as a text is; else the whole is the value, and two are hardly ever equal."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question without its gold answer.

    Raises:
        InputError: a field has another type than it must have, or the kind is unknown.
    """

    id: str
    """Unique within a run."""
    text: str
    """The question itself, never rewritten."""
    options: tuple[str, ...] = ()
    """The options in order; letter `LETTERS[i]` names `options[i]`. Empty for open answers."""
    kind: Kind = cast(Kind, None)
    """The form of the answer, or its name. By default `choice` where there are options, else
    `number` where the question asks for a number, else `text`."""
    context: str = ""
    """A passage the question is about; empty if there is none."""
    language: str = "en"
    """ISO 639-1 code."""
    category: str = ""
    """The source's own subject label, or empty; taggers may use it."""
    benchmark: str = ""
    """The benchmark that the question comes from, or empty."""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Anything else the source says; never read by routers or voters."""
    prompt: str = ""
    """The whole prompt word for word, where a benchmark's protocol fixes it: an expert is told
    this in place of its strategy. Empty: nothing is fixed. Taggers never see it."""

    def __post_init__(self) -> None:
        for name in _TEXTS:
            if type(getattr(self, name)) is not str:
                expect(f"`Question.{name}`", getattr(self, name), str, "a string")
        if type(self.options) is not tuple or any(type(each) is not str for each in self.options):
            object.__setattr__(self, "options", _options(self.options))
        if type(self.kind) is not Kind:
            object.__setattr__(self, "kind", _kind(self))

    @property
    def plain(self) -> Question:
        """The same question without a fixed prompt."""
        return replace(self, prompt="") if self.prompt else self

    @property
    def letters(self) -> str:
        """The letters of the options, `"ABCD"` for four."""
        return LETTERS[: len(self.options)]


def asks_for_number(text: str) -> bool:
    """Whether a question, by its words, asks for a number."""
    return bool(_ASKS_FOR_NUMBER.search(text.strip()))


def _options(given: object) -> tuple[str, ...]:
    expect("`Question.options`", given, (list, tuple), "a list of strings")
    options = tuple(cast("tuple[str, ...]", given))
    for each in options:
        expect("an option", each, str, "a string", hint='write numbers as text: `["1", "2"]`')
    return options


def _kind(question: Question) -> Kind:
    """The kind that is named, or that follows from the rest of the question."""
    given: object = question.kind
    if given is None:
        if question.options:
            return Kind.CHOICE
        return Kind.NUMBER if asks_for_number(question.text) else Kind.TEXT
    names = {kind.value: kind for kind in Kind}
    expect("`Question.kind`", given, str, "the name of a kind", hint=f"one of {', '.join(names)}")
    if given not in names:
        raise unknown("kind", str(given), names)
    return names[str(given)]
