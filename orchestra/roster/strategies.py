"""Named reasoning strategies, and how a question is laid out for a model.

Knows what is asked of every model before it answers and how the answer must be stated so
that the cascades of `answers` find it; does not know any model or any answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from orchestra.errors import InputError, unknown
from orchestra.records import LETTERS, Kind, Question

StrategyName = Literal[
    "chain-of-thought",
    "code-like",
    "direct",
    "elimination",
    "plain",
    "plan-and-solve",
    "self-check",
]
"""The names of the strategies, for type checkers and the JSON Schema."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to reason that an expert is asked to follow."""

    name: StrategyName
    meaning: str
    """When it helps, in one sentence."""
    text: str
    """What the model is told, after the question; empty: nothing, not even how to end."""


_ALL = (
    Strategy(
        name="direct",
        meaning="No reasoning: cheap, and right for models that reason on their own.",
        text="Give the answer straight away, with no explanation.",
    ),
    Strategy(
        # Wei et al. 2022, arXiv:2201.11903; without examples: Kojima et al. 2022, arXiv:2205.11916.
        name="chain-of-thought",
        meaning="Step by step in prose: the default.",
        text="Reason step by step: state what is known, draw one conclusion at a time, and let "
        "the answer follow from the last.",
    ),
    Strategy(
        # Wang et al. 2023, arXiv:2305.04091.
        name="plan-and-solve",
        meaning="A plan first: for problems of several steps, where steps get lost.",
        text="First write a short plan: what is asked, which quantities or facts it depends on, "
        "and the steps that lead there. Then carry out the plan step by step, and calculate "
        "every intermediate result explicitly.",
    ),
    Strategy(
        # Gao et al. 2023, arXiv:2211.10435, with the model itself in the interpreter's place.
        name="code-like",
        meaning="Pseudo-code traced by hand: for arithmetic, counting and program behaviour.",
        text="Write the solution as a few lines of Python-like pseudo-code. Then execute it by "
        "hand, line by line, noting the value of each variable after it changes.",
    ),
    Strategy(
        # Weng et al. 2023, arXiv:2212.09561.
        name="self-check",
        meaning="Solve, then test the result: for answers that are easier to verify than to find.",
        text="Solve the problem step by step. Then test your result in another way: put it back "
        "into the problem, or argue for its strongest rival. If the test fails, correct the "
        "result before you answer.",
    ),
    Strategy(
        name="elimination",
        meaning="Rule options out: for multiple choice with several near misses.",
        text="Consider each candidate answer in turn and say what speaks against it. Drop those "
        "that cannot be right, and decide between the rest on the evidence.",
    ),
    Strategy(
        name="plain",
        meaning="The question and its options alone: for models trained on such questions.",
        text="",
    ),
)

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({each.name: each for each in _ALL})
"""Every named strategy."""

DEFAULT_STRATEGY: StrategyName = "chain-of-thought"
"""What an expert follows whose roster entry does not say."""

# Questions come first and instructions last, so that experts of one model that differ only in
# strategy share the longest prefix, which engines cache.
_CLOSINGS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.CHOICE: 'End with the line "The answer is (X)", where X is the letter of the option '
        "you choose.",
        Kind.NUMBER: 'End with the line "The answer is N", where N is the number alone, in digits, '
        "with no unit and no thousands separators.",
        Kind.LITERAL: 'End with the line "The answer is V", where V is the value alone, written as '
        "a Python literal.",
        Kind.TEXT: 'End with the line "The answer is T", where T is the answer alone, in as few '
        "words as possible.",
        Kind.CODE: "End with the complete program in one fenced code block.",
        Kind.OPEN: 'If the question has one short answer, end with the line "The answer is T", '
        "where T is that answer alone. Otherwise leave that line out.",
    }
)


def strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        InputError: there is none; the hint has the near names.
    """
    if found := STRATEGIES.get(name):
        return found
    raise unknown("strategy", name, STRATEGIES)


def prompt(question: Question, how: Strategy) -> str:
    """Everything a model is told about one question: context, question, options, how to answer.

    Where the question has a prompt of its own, that is all, and the strategy adds nothing.

    Raises:
        InputError: the question has more options than there are letters.
    """
    if question.prompt:
        return question.prompt
    options = question.options
    parts = [question.context] if question.context else []
    parts.append(question.text)
    if options:
        if len(options) > len(LETTERS):
            raise InputError(
                f"question {question.id!r} has {len(options)} options; "
                f"there are letters for {len(LETTERS)}"
            )
        lines = [f"{letter}. {text}" for letter, text in zip(LETTERS, options, strict=False)]
        parts.append("\n".join(lines))
    if how.text and question.kind is Kind.OPEN:  # how to answer is for the expert to choose
        parts.append(_closing(question))
    elif how.text:
        parts.append(f"{how.text}\n{_closing(question)}")
    return "\n\n".join(parts)


def with_drafts(asked: str, drafts: Sequence[str]) -> str:
    """A question as it was asked, and below it what others have drafted, numbered from 1."""
    lines = [f"{number}. {' '.join(text.split())}" for number, text in enumerate(drafts, 1)]
    return "\n".join((f"{asked}\n\nDrafts:", *lines))


def _closing(question: Question) -> str:
    if question.kind is Kind.CHOICE and not question.options:
        return _CLOSINGS[Kind.TEXT]
    return _CLOSINGS[question.kind]
