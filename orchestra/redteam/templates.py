"""The template form of a lie: a text that argues for the planted value, for recorded experts.

A text that would be read as another value is replaced by a shorter one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from types import MappingProxyType

from orchestra.records import Kind, Question
from orchestra.redteam.attacks import Style, texts_of
from orchestra.redteam.lies import Lie, statement, states

_LONGEST_NAME = 120
"""Characters of an option's text that are quoted."""

TEMPLATES: Mapping[str, Sequence[str]] = MappingProxyType(
    {style: tuple(texts) for style, texts in texts_of("templates.yaml").items()}
)
"""Style -> its texts, at least five, with places for what is planted and its rival."""


def write(lie: Lie, style: Style, *, seed: int, turn: int = 0) -> str:
    """The text of a lie, which every reader reads as exactly the planted value.

    Args:
        lie: what is planted.
        style: how it sounds.
        seed: decides in which order a question's wordings come.
        turn: which of them it is; texts of neighbouring turns differ in wording.

    Raises:
        ValueError: no text can state the value; `plant` plants none of these.
    """
    last = statement(lie.question, lie.value)
    if last is None:
        raise ValueError(f"{lie.value!r} cannot be stated for question {lie.question.id!r}")
    wordings = TEMPLATES[style]
    order = Random(f"{seed}:wording:{lie.question.id}").sample(range(len(wordings)), len(wordings))
    wording = wordings[order[turn % len(order)]]
    rival = rival_of(lie, seed=seed)
    for claimed, beaten in _names(lie, rival):
        names = {"claim": claimed, "rival": beaten}
        names |= {key.capitalize(): f"{each[:1].upper()}{each[1:]}" for key, each in names.items()}
        text = f"{wording.format(**names)}\n\n{last}"
        if states(text, lie.question, lie.value):
            return text
    return last  # the options' own words would be read as answers


def rival_of(lie: Lie, *, seed: int) -> str | None:
    """The value a lie has to beat: the right one where the liar was told it, else any other
    option; None for an open question."""
    if lie.against is not None:
        return lie.against
    others = [letter for letter in lie.question.letters if letter != lie.value]
    return Random(f"{seed}:rival:{lie.question.id}").choice(others) if others else None


def named(question: Question, value: str, *, quoted: bool = True) -> str:
    """How a text speaks of a value: an option by its letter, and where `quoted` its words too."""
    if question.kind is Kind.CODE:
        return "the program below"
    if question.kind is not Kind.CHOICE:
        return _short(value) if quoted else "the value below"
    words = _short(question.options[question.letters.index(value)])
    return f'option {value} ("{words}")' if quoted and words else f"option {value}"


def _names(lie: Lie, rival: str | None) -> Iterator[tuple[str, str]]:
    """Names of what is planted and of its rival, with fewer and fewer of their own words."""
    for quoted in (True, False):
        claim = named(lie.question, lie.value, quoted=quoted)
        beaten = "the more obvious candidate"
        if rival is not None and (quoted or lie.question.options):
            beaten = named(lie.question, rival, quoted=quoted)
        if rival is not None and lie.question.kind is Kind.CODE:
            beaten = "the usual program"
        yield claim, beaten


def _short(text: str) -> str:
    """A text on one line, cut where it is long."""
    words = " ".join(text.split())
    return words if len(words) <= _LONGEST_NAME else f"{words[:_LONGEST_NAME].rstrip()}..."
