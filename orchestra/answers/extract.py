"""From a Generation to an Answer: named rules, tried in order; the Answer names the rule.

Defines the cascades and the absences. Reasoning is removed from the text first, so that no
rule reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orchestra.answers.choice as choice
import orchestra.answers.conventions as official
import orchestra.answers.open_ended as opened
from orchestra.answers.canonical import canonical
from orchestra.answers.marks import boxes, visible
from orchestra.answers.multilingual import said_abroad
from orchestra.answers.patterns import NEXT_QUESTION, Found, Rule, in_ascii, refused
from orchestra.components import build, component
from orchestra.records import Absence, Answer, Generation, Kind, Question

Rules = tuple[tuple[str, Rule], ...]
WHOLE = "whole"
"""The rule that takes a whole text, which is an answer only if it came to its end."""


def _in_any_type(rule: Rule) -> Rule:
    """The same rule, which takes full-width and styled letters for plain ones."""
    return lambda text, question: rule(in_ascii(text), question)


_STATED_CHOICE: Rules = (
    ("said", _in_any_type(choice.said)),
    ("abroad", _in_any_type(said_abroad)),
    ("bold", _in_any_type(choice.bold)),
    ("line", _in_any_type(choice.line)),
    ("text", choice.option_text),
)
_LENIENT_CHOICE: Rules = (
    *_STATED_CHOICE,
    ("closing", _in_any_type(choice.closing)),
    ("closest", _in_any_type(choice.closest)),
)
_OFFICIAL_CHOICE: Rules = (
    ("1", official.stated),
    ("2", official.labelled),
    ("3", official.bare),
)
_STRICT_CHOICE: Rules = (("1", official.stated),)
_SIMPLE_CHOICE: Rules = (("1", official.simple),)
_GPQA_CHOICE: Rules = tuple((str(at), rule) for at, rule in enumerate(official.GPQA, 1))
_OPENED: Rules = (
    ("json", opened.json_field),
    ("tag", opened.tagged),
    ("boxed", opened.boxed),
    ("hashes", opened.hashes),
    ("label", opened.labelled),
    ("line", opened.line),
)
_FENCED: Rules = (("fenced", opened.fenced),)
_PROSE: Rules = (("closing", opened.closing), (WHOLE, opened.whole))

CASCADES: Mapping[str, Mapping[Kind, Rules]] = MappingProxyType(
    {
        name: MappingProxyType(
            {
                Kind.CHOICE: letters,
                Kind.NUMBER: _OPENED,
                Kind.LITERAL: _OPENED,
                Kind.TEXT: _OPENED,
                Kind.CODE: _FENCED,
                Kind.OPEN: _PROSE,
            }
        )
        for name, letters in (
            ("stated", _STATED_CHOICE),
            ("lenient", _LENIENT_CHOICE),
            ("official", _OFFICIAL_CHOICE),
            ("strict", _STRICT_CHOICE),
            ("simple", _SIMPLE_CHOICE),
            ("gpqa-official", _GPQA_CHOICE),
        )
    }
)
"""`stated`: the last statement wins (default). `lenient`: also a marked letter that ends the last
sentence, or `the closest option is X`: guesses more than answers, so never the default.
`official`: MMLU-Pro's three rules, first match. `strict`: its first rule alone. `simple`: that of
simple-evals, first match. `gpqa-official`: the five patterns of GPQA's authors. They differ for
choices only."""


@component("read", "stated", fixed={"name": "stated"})
@component("read", "lenient", fixed={"name": "lenient"})
@component("read", "official", fixed={"name": "official"})
@component("read", "strict", fixed={"name": "strict"})
@component("read", "simple", fixed={"name": "simple"})
@component("read", "gpqa-official", fixed={"name": "gpqa-official"})
@dataclass(frozen=True)
class Cascade:
    """The shipped answer rules of one name, a key of `CASCADES`."""

    name: str

    def rules(self, kind: Kind) -> Rules:
        """The rules for one kind of answer, in the order in which they are tried."""
        return CASCADES[self.name][kind]


def read(question: Question, generation: Generation, *, cascade: str = "stated") -> Answer:
    """The answer that a generation states, or the reason for its absence.

    Args:
        question: decides the kind of answer and the allowed letters.
        generation: the text; `finish_reason` `length` turns no answer into `truncated`.
        cascade: the name of a component `read`: `stated`, `lenient`, `official`, ...

    Returns:
        An Answer whose value is canonical (see `canonical`) and whose rule is `cascade:rule`.

    Raises:
        InputError: the cascade is unknown. Nothing in the text raises.
    """
    rules = rules_for(cascade, question.kind)
    shown = visible(generation.text)
    if question.kind is not Kind.CODE:
        shown = boxes(shown)
    text = shown.text
    found, rule = (None, "") if generation.failure else _find(text, question, rules)
    if rule == WHOLE and generation.finish_reason == "length":
        found = None
    who = (question.id, generation.expert)
    if found is None:
        absence = _why(generation, text)
        return Answer(*who, value=None, absence=absence, sample=generation.sample)
    span = shown.span(found.start, found.end)
    return Answer(*who, found.value, None, f"{cascade}:{rule}", span, generation.sample)


def rules_for(cascade: str, kind: Kind) -> Rules:
    """The rules of a named cascade for one kind of answer, in order.

    Raises:
        InputError: no component `read` has that name.
    """
    if cascade in CASCADES:
        return CASCADES[cascade][kind]
    rules: Rules = build("read", cascade, {}).rules(kind)
    return rules


def _find(text: str, question: Question, rules: Rules) -> tuple[Found | None, str]:
    if question.kind is Kind.CHOICE:
        return _letter(text, question, rules)  # these rules find the end of an answer themselves
    prose = question.kind in (Kind.CODE, Kind.OPEN)
    over = None if prose else NEXT_QUESTION.search(text)
    found = _value(text[: over.start()], question, rules) if over else (None, "")
    return found if found[0] else _value(text, question, rules)


def _letter(text: str, question: Question, rules: Rules) -> tuple[Found | None, str]:
    for name, rule in rules:
        found = rule(text, question)
        if found is not None:
            # The text states a letter without an option: no later rule may overrule it.
            return (found, name) if found.value in question.letters else (None, "")
    return None, ""


def _value(text: str, question: Question, rules: Rules) -> tuple[Found | None, str]:
    for name, rule in rules:
        found = rule(text, question)
        value = canonical(found.value, question.kind) if found else None
        if found is not None and value is not None:
            return Found(value, found.start, found.end), name
    return None, ""


def _why(generation: Generation, text: str) -> Absence:
    if generation.failure is not None:
        recorded = generation.failure.kind != Absence.NOT_RECORDED
        return Absence.FAILED if recorded else Absence.NOT_RECORDED
    if generation.finish_reason == "length":
        return Absence.TRUNCATED
    if not text.strip():
        return Absence.REFUSED if generation.finish_reason == "filtered" else Absence.EMPTY
    return Absence.REFUSED if refused(text) else Absence.UNPARSED
