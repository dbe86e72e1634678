r"""The last line of a lie: how a planted value is stated so that every reader finds it.

Knows the wording that experts are asked to end with, and safer ones for values that would be
read otherwise; does not know what is right, nor any argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from orchestra.answers import CASCADES, read
from orchestra.records import LETTERS, Generation, Kind, Question

_OFFICIAL = LETTERS[:10]
"""The letters that MMLU-Pro's own rules can read."""
_READ_FURTHER = ("stated", "lenient")


def statement(question: Question, value: str) -> str | None:
    """The line that states a value, read back as exactly that value; None: there is none.

    The line is the one that honest experts are asked to end with, where it can be read back.
    """
    return next(
        (text for text in _wordings(question, value) if states(text, question, value)), None
    )


def states(text: str, question: Question, value: str) -> bool:
    """Whether a text states exactly that value under every cascade that can state it.

    MMLU-Pro's own rules (`official`, `strict`) end at the letter J, and are not asked beyond.
    """
    if question.kind is not Kind.CHOICE:
        cascades: tuple[str, ...] = ("stated",)  # cascades differ for choices only
    else:
        cascades = tuple(CASCADES) if value in _OFFICIAL else _READ_FURTHER
    said = Generation("", question.id, "", text)
    return all(read(question, said, cascade=each).value == value for each in cascades)


def _wordings(question: Question, value: str) -> Iterator[str]:
    if question.kind is Kind.CHOICE:
        if value in question.letters:
            yield f"The answer is ({value})"
        return
    if question.kind is Kind.CODE:
        yield f"```\n{value}\n```"
        return
    yield f"The answer is {value}"
    yield f"\\boxed{{{value}}}"
    yield f"<answer>{value}</answer>"
    # A value that itself looks like an answer field must not open one.
    quoted = json.dumps(value).replace("'", "\\u0027")
    yield f'{{"answer": {quoted}}}'
