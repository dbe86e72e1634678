"""Eight small skills as exercises in plain English: posed at random, and really worked out.

Knows how to put a question into words, how to read one back, its right answer and the
slips that people make on it; does not know who answers, nor how well. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from orchestra.records import Kind

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMES = ("Ada", "Ben", "Cleo", "Dev", "Esther", "Farid", "Gwen", "Hugo", "Ines", "Jonas")
_UNITS = (
    ("hours", "minutes", 60),
    ("minutes", "seconds", 60),
    ("metres", "centimetres", 100),
    ("kilograms", "grams", 1000),
    ("feet", "inches", 12),
    ("weeks", "days", 7),
)
_FACTOR = {(large, small): factor for large, small, factor in _UNITS}
_NUMERALS = tuple(
    zip(
        ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        strict=True,
    )
)


@dataclass(frozen=True, slots=True)
class Worked:
    """What comes out when a question is worked through."""

    right: str
    slips: tuple[str, ...]
    """Wrong results that people arrive at, likeliest first; distinct, at least three."""
    steps: int
    """Elementary steps on the way, at least 1: each is a chance to slip."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """One skill."""

    skill: str
    kind: Kind
    """The form of the answer where no options are offered."""
    pose: Callable[[Random], str]
    """A question in words."""
    form: re.Pattern[str]
    """Recognises such a question and finds what it is about."""
    work: Callable[[Sequence[str]], Worked]
    """Works out what the groups of `form` ask for."""


def solve(text: str) -> tuple[str, Worked] | None:
    """The skill that a text asks for and what comes out; None if no exercise reads like it."""
    for exercise in EXERCISES:
        found = exercise.form.search(text)
        if found is not None:
            groups = [group for group in found.groups() if group is not None]
            return exercise.skill, exercise.work(groups)
    return None


def _worked(right: object, slips: Sequence[object], steps: int) -> Worked:
    told = dict.fromkeys(str(slip) for slip in slips)
    return Worked(str(right), tuple(slip for slip in told if slip != str(right)), steps)


def _add(draw: Random) -> str:
    a, b = draw.randrange(100, 10_000), draw.randrange(100, 10_000)
    if draw.random() < 0.5:
        return f"What is {a} plus {b}?"
    return f"A library owns {a} books and buys {b} more. How many books does it own now?"


def _added(groups: Sequence[str]) -> Worked:
    a, b = int(groups[0]), int(groups[1])
    places = max(len(groups[0]), len(groups[1]))
    columns = [(a // 10**i % 10) + (b // 10**i % 10) for i in range(places)]
    lower = sum((column % 10) * 10**i for i, column in enumerate(columns[:-1]))
    uncarried = columns[-1] * 10 ** (places - 1) + lower
    return _worked(a + b, (uncarried, a + b + 10, a + b - 100, a + b + 1, a + b - 10), places)


def _divide(draw: Random) -> str:
    product = f"{draw.randrange(12, 99)} times {draw.randrange(12, 99)}"
    return f"What is the remainder when {product} is divided by {draw.randrange(6, 14)}?"


def _divided(groups: Sequence[str]) -> Worked:
    a, b, m = map(int, groups)
    rest = a * b % m
    return _worked(rest, (a % m, m - rest, (rest + 1) % m, (rest + 2) % m, (rest - 1) % m), 4)


def _word(draw: Random) -> str:
    """A word that nobody has learnt by heart."""
    return "".join(
        draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(draw.choice((3, 3, 4)))
    ) + draw.choice("lmnrst")


def _sort(draw: Random) -> str:
    return f"Write the letters of the made-up word '{_word(draw)}' in alphabetical order."


def _sorted(groups: Sequence[str]) -> Worked:
    letters = sorted(groups[0])
    right = "".join(letters)
    slips = ("".join(dict.fromkeys(letters)), _swapped(right, 2), right[:-1], _swapped(right, 0))
    return _worked(right, (*slips, right[::-1], right[1:]), len(right))


def _reverse(draw: Random) -> str:
    return f"Spell the made-up word '{_word(draw)}' backwards."


def _reversed(groups: Sequence[str]) -> Worked:
    right = groups[0][::-1]
    slips = (_swapped(right, len(right) // 2), right[1:], _swapped(right, 0), right[:-1])
    return _worked(right, (*slips, groups[0]), len(right))


def _swapped(word: str, at: int) -> str:
    """The word with two neighbouring letters exchanged."""
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _numeral(draw: Random) -> str:
    rest, letters = draw.randrange(300, 2500), ""
    for sign, value in _NUMERALS:
        letters += sign * (rest // value)
        rest %= value
    return f"Which number does the Roman numeral {letters} stand for?"


def _numbered(groups: Sequence[str]) -> Worked:
    values = [dict(_NUMERALS)[letter] for letter in groups[0]]
    following = [*values[1:], 0]
    right = sum(-v if v < after else v for v, after in zip(values, following, strict=True))
    slips = (sum(values), right + 10, right - 1, right + 100, right - 10)
    return _worked(right, slips, len(values))


def _weekday(draw: Random) -> str:
    day, n = draw.choice(_DAYS), draw.randrange(8, 80)
    if draw.random() < 0.5:
        return f"Today is {day}. Which day of the week will it be in {n} days?"
    return f"Today is {day}. Which day of the week was it {n} days ago?"


def _weekday_found(groups: Sequence[str]) -> Worked:
    back = len(groups) > 2
    n = -int(groups[1]) if back else int(groups[1])
    today = _DAYS.index(groups[0])
    right = (today + n) % 7
    wrong = (right + 1, right - 1, today - n, right + 2, right - 2)
    return _worked(_DAYS[right], [_DAYS[each % 7] for each in wrong if each % 7 != right], 5)


def _convert(draw: Random) -> str:
    large, small, factor = draw.choice(_UNITS)
    n, rest = draw.randrange(2, 30), draw.randrange(1, factor)
    return f"How many {small} are {n} {large} and {rest} {small}?"


def _converted(groups: Sequence[str]) -> Worked:
    small, n, large, rest = groups[0], int(groups[1]), groups[2], int(groups[3])
    factor = _FACTOR[large, small]
    right = n * factor + rest
    return _worked(
        right, (n * 100 + rest, n * factor, n * 10 + rest, right + factor, right + 10), 3
    )


def _rank(draw: Random) -> str:
    people = draw.sample(_NAMES, draw.choice((4, 4, 5)))
    said = [f"{a} is older than {b}." for a, b in zip(people, people[1:], strict=False)]
    draw.shuffle(said)
    asked = draw.choice(("oldest", "second oldest", "youngest", "second youngest"))
    return f"{' '.join(said)} Who is the {asked}?"


def _ranked(groups: Sequence[str]) -> Worked:
    pairs = re.findall(r"(\w+) is older than (\w+)", groups[0])
    order = [next(a for a, _ in pairs if a not in {b for _, b in pairs})]
    below = dict(pairs)
    while order[-1] in below:
        order.append(below[order[-1]])
    if groups[1].endswith("youngest"):
        order.reverse()
    place = int(groups[1].startswith("second"))
    others = [order[1 - place], order[-1 - place], *order]
    return _worked(order[place], others, len(pairs))


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "addition",
        Kind.NUMBER,
        _add,
        re.compile(r"What is (\d+) plus (\d+)\?|owns (\d+) books and buys (\d+) more"),
        _added,
    ),
    Exercise(
        "remainders",
        Kind.NUMBER,
        _divide,
        re.compile(r"remainder when (\d+) times (\d+) is divided by (\d+)"),
        _divided,
    ),
    Exercise(
        "sorting letters",
        Kind.TEXT,
        _sort,
        re.compile(r"letters of the made-up word '(\w+)' in alphabetical order"),
        _sorted,
    ),
    Exercise(
        "spelling backwards",
        Kind.TEXT,
        _reverse,
        re.compile(r"Spell the made-up word '(\w+)' backwards"),
        _reversed,
    ),
    Exercise(
        "Roman numerals",
        Kind.NUMBER,
        _numeral,
        re.compile(r"Roman numeral ([MDCLXVI]+) stand"),
        _numbered,
    ),
    Exercise(
        "weekdays",
        Kind.TEXT,
        _weekday,
        re.compile(
            r"Today is (\w+)\. Which day of the week (?:will it be in|was it) (\d+) days( ago)?"
        ),
        _weekday_found,
    ),
    Exercise(
        "units",
        Kind.NUMBER,
        _convert,
        re.compile(r"How many (\w+) are (\d+) (\w+) and (\d+)"),
        _converted,
    ),
    Exercise(
        "logic",
        Kind.TEXT,
        _rank,
        re.compile(r"((?:\w+ is older than \w+\. ?)+)Who is the ((?:second )?(?:oldest|youngest))"),
        _ranked,
    ),
)
"""Every exercise; a text is read by the first whose form it has."""
