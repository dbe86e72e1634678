"""Eight small skills as exercises in plain English: posed at random, and really worked out.

Knows how a problem is drawn, put into words and solved on paper, the slips people make
on it, and which of three sets that cannot overlap it belongs to. Does not know who
answers, nor how well. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from random import Random
from string import ascii_lowercase
from types import MappingProxyType

from orchestra.records import Kind

Parts = tuple[int | str, ...]
"""What a problem is about: two numbers, a word, a numeral..."""

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
UNITS: Mapping[str, tuple[str, int, str]] = MappingProxyType(
    {
        "hours": ("minutes", 6, "0"),
        "minutes": ("seconds", 6, "0"),
        "weeks": ("days", 7, ""),
        "gallons": ("pints", 8, ""),
        "yards": ("feet", 3, ""),
        "metres": ("centimetres", 1, "00"),
        "kilograms": ("grams", 1, "000"),
        "centimetres": ("millimetres", 1, "0"),
    }
)
"""Large unit -> small unit, the factor's first digit, and the zeros after it."""

_NUMERALS = tuple(
    zip(
        ("M", "CM", "D", "CD", "C", "XC", "L", "XL", "X", "IX", "V", "IV", "I"),
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        strict=True,
    )
)


class Split(StrEnum):
    """Which set a problem belongs to, whatever words it is put into."""

    TRAIN = "train"
    """Seven in ten: what checkpoints were trained on."""
    PROFILE = "profile"
    """One in ten: labelled questions to measure experts on."""
    TEST = "test"
    """Two in ten: what pipelines are judged on."""


@dataclass(frozen=True, slots=True)
class Worked:
    """What comes out when a problem is worked through."""

    right: str
    """The right answer."""
    paper: str
    """The steps as somebody would jot them down; empty where there are none."""
    slips: tuple[str, ...]
    """Wrong results that people arrive at, likeliest first; distinct, at least three."""


@dataclass(frozen=True, slots=True)
class Exercise:
    """One skill."""

    skill: str
    kind: Kind
    """The form of the answer where no options are offered."""
    draw: Callable[[Random], Parts]
    """A problem."""
    size: Callable[[Parts], int]
    """How large a problem is, from 1: digits, letters, or the place of a unit."""
    phrasings: tuple[str, ...]
    """Ways to ask for it, with a field for each part."""
    work: Callable[[Parts], Worked]
    """Solves it."""


def split(skill: str, parts: Parts) -> Split:
    """The set of a problem: a digest of what it is about decides, so that none is in two."""
    told = f"{skill}:{parts!r}".encode()
    tenth = int.from_bytes(blake2b(told, digest_size=8).digest(), "big") % 10
    return Split.TRAIN if tenth < 7 else Split.PROFILE if tenth < 8 else Split.TEST


def numeral(number: int) -> str:
    """The Roman numeral of a number of 1 to 3,999."""
    written = []
    for letters, value in _NUMERALS:
        written.append(letters * (number // value))
        number %= value
    return "".join(written)


def _distinct(right: object, slips: Sequence[object]) -> tuple[str, ...]:
    told = dict.fromkeys(str(slip) for slip in slips)
    return tuple(slip for slip in told if slip != str(right))


def _number(draw: Random) -> int:
    return draw.randrange(10, 100) if draw.random() < 0.3 else draw.randrange(100, 1000)


def _two_numbers(draw: Random) -> Parts:
    a, b = _number(draw), _number(draw)
    return (max(a, b), min(a, b)) if draw.random() < 0.5 else (a, b)


def _larger_first(draw: Random) -> Parts:
    a, b = _number(draw), _number(draw)
    return (max(a, b), min(a, b))


def _digits(parts: Parts) -> int:
    return max(len(str(each)) for each in parts)


def _columns(parts: Parts) -> tuple[str, str]:
    """Two numbers with their last digits first, of one length."""
    wide = _digits(parts)
    first, second = (str(each).zfill(wide)[::-1] for each in parts)
    return first, second


def _added(parts: Parts) -> Worked:
    a, b = int(parts[0]), int(parts[1])
    columns = list(zip(*_columns(parts), strict=True))
    carry, steps = 0, []
    for x, y in columns:
        column = int(x) + int(y) + carry
        steps.append(f"{x}+{y}>{column}")
        carry = column // 10
    uncarried = int("".join(str((int(x) + int(y)) % 10) for x, y in reversed(columns)))
    slips = (a + b + 10, a + b - 10, uncarried, a + b + 1, a + b - 1, a + b + 100)
    paper = f"{' '.join(steps)}={str(a + b)[::-1]}"
    return Worked(str(a + b), paper, _distinct(a + b, slips))


def _subtracted(parts: Parts) -> Worked:
    a, b = int(parts[0]), int(parts[1])
    columns = list(zip(*_columns(parts), strict=True))
    borrowed, steps = 0, []
    for x, y in columns:
        column = int(x) - int(y) - borrowed
        borrowed = int(column < 0)
        steps.append(f"{x}-{y}>{column % 10}{'*' * borrowed}")
    unborrowed = int("".join(str(abs(int(x) - int(y))) for x, y in reversed(columns)))
    slips = (unborrowed, a - b + 10, abs(a - b - 10), a - b + 1, a - b + 100, a - b + 20)
    paper = f"{' '.join(steps)}={str(a - b)[::-1]}"
    return Worked(str(a - b), paper, _distinct(a - b, slips))


def _word(draw: Random) -> Parts:
    """Letters that make no word, none twice: nobody has learnt it by heart."""
    return ("".join(draw.sample(ascii_lowercase, draw.randrange(3, 8))),)


def _letters(parts: Parts) -> int:
    return len(str(parts[0]))


def _swapped(text: str, place: int) -> str:
    return text[:place] + text[place : place + 2][::-1] + text[place + 2 :]


def _mangled(right: str) -> list[str]:
    """A word with letters swapped, left out or doubled."""
    middle = len(right) // 2
    return [
        _swapped(right, middle - 1),
        right[:-1] + right[-1] * 2,
        right[:middle] + right[middle + 1 :],
        _swapped(right, 0),
        right[1:],
        right[:-1],
        right[0] + right,
    ]


def _sorted(parts: Parts) -> Worked:
    right = "".join(sorted(str(parts[0])))
    return Worked(right, "", _distinct(right, [*_mangled(right), right[::-1]]))


def _reversed(parts: Parts) -> Worked:
    word = str(parts[0])
    right = word[::-1]
    places = [f"{place}{letter}" for place, letter in enumerate(word, 1)]
    paper = f"{''.join(places)}>{''.join(places[::-1])}"
    return Worked(right, paper, _distinct(right, [*_mangled(right), word]))


def _division(draw: Random) -> Parts:
    return (draw.randrange(20, 1000), draw.randrange(3, 13))


def _remainder_steps(number: int, divisor: int) -> tuple[str, int]:
    """Long division, digit by digit: what is divided at each step, and what is left."""
    rest, steps = 0, []
    for digit in str(number):
        told = f"{rest or ''}{digit}"
        rest = (rest * 10 + int(digit)) % divisor
        steps.append(f"{told}>{rest}")
    return f"{divisor}: {' '.join(steps)}", rest


def _divided(parts: Parts) -> Worked:
    number, divisor = int(parts[0]), int(parts[1])
    paper, rest = _remainder_steps(number, divisor)
    slips = (number // divisor, (rest + 1) % divisor, (rest - 1) % divisor, divisor - rest)
    more = (number % 10 % divisor, rest + divisor, rest + 2)
    return Worked(str(rest), paper, _distinct(rest, (*slips, *more)))


def quotient(parts: Parts) -> Worked:
    """A remainder as somebody takes it who thinks that the quotient is meant."""
    number, divisor = int(parts[0]), int(parts[1])
    rest, steps, digits = 0, [], []
    for digit in str(number):
        told = rest * 10 + int(digit)
        steps.append(f"{rest or ''}{digit}>{told // divisor}")
        digits.append(str(told // divisor))
        rest = told % divisor
    return Worked(str(int("".join(digits))), f"{divisor}: {' '.join(steps)}", ())


def _small_number(draw: Random) -> Parts:
    return (numeral(draw.randrange(1, 2000)),)


def _value(parts: Parts) -> int:
    rest, total = str(parts[0]), 0
    for letters, value in _NUMERALS:
        while rest.startswith(letters):
            rest, total = rest[len(letters) :], total + value
    return total


def _read(parts: Parts) -> Worked:
    right = _value(parts)
    slips = (right + 10, right + 1, right + 100, abs(right - 2), right + 5, right + 50, right + 2)
    return Worked(str(right), "", _distinct(right, slips))


def _days(draw: Random) -> Parts:
    return (draw.randrange(3, 100), draw.choice(("after", "before")), draw.choice(DAYS))


def _direction(parts: Parts) -> int:
    return 1 if parts[1] == "after" else 2


def _counted(parts: Parts) -> Worked:
    count, way, day = int(parts[0]), parts[1], str(parts[2])
    steps, rest = _remainder_steps(count, 7)
    forward = rest if way == "after" else -rest
    today = DAYS.index(day)
    right = DAYS[(today + forward) % 7]
    wrong = (forward + 1, forward - 1, -forward, forward + 2, forward - 2, 3, 4, 5)
    step = 1 if way == "after" else -1
    passed = [DAYS[(today + step * count) % 7][:3] for count in range(1, rest + 1)]
    paper = f"{steps} {day[:3]}{'+' if way == 'after' else '-'}{' '.join([str(rest), *passed])}"
    return Worked(right, paper, _distinct(right, [DAYS[(today + each) % 7] for each in wrong]))


def _measure(draw: Random) -> Parts:
    large = draw.choice(tuple(UNITS))
    return (draw.randrange(2, 1000), large, UNITS[large][0])


def _place(parts: Parts) -> int:
    return tuple(UNITS).index(str(parts[1])) + 1


def _converted(parts: Parts) -> Worked:
    number = int(parts[0])
    _, factor, zeros = UNITS[str(parts[1])]
    right = f"{number * factor}{zeros}"
    carry, steps = 0, []
    for digit in str(number)[::-1]:
        product = int(digit) * factor + carry
        steps.append(f"{digit}>{product}")
        carry = product // 10
    paper = f"{factor}{zeros}: {' '.join(steps)}={str(number * factor)[::-1]}"
    value = int(right)
    slips = (f"{right}0", value + 10, number * 10, value + factor, number * 12, number * 100)
    return Worked(right, paper, _distinct(right, (*slips, value + 100)))


_ALL = (
    Exercise(
        "addition",
        Kind.NUMBER,
        _two_numbers,
        _digits,
        (
            "What is {0} + {1}?",
            "Add {0} and {1}.",
            "A shop has {0} apples and gets {1} more. How many apples does it have now?",
            "Calculate {0} plus {1}.",
        ),
        _added,
    ),
    Exercise(
        "subtraction",
        Kind.NUMBER,
        _larger_first,
        _digits,
        (
            "What is {0} - {1}?",
            "Subtract {1} from {0}.",
            "A library has {0} books and lends out {1}. How many books are left?",
            "Calculate {0} minus {1}.",
        ),
        _subtracted,
    ),
    Exercise(
        "sorting",
        Kind.TEXT,
        _word,
        _letters,
        (
            "Sort the letters of '{0}' alphabetically.",
            "Write the letters of '{0}' in alphabetical order.",
            "Put the letters '{0}' in order from a to z.",
        ),
        _sorted,
    ),
    Exercise(
        "reversal",
        Kind.TEXT,
        _word,
        _letters,
        (
            "Spell '{0}' backwards.",
            "Reverse the word '{0}'.",
            "Write '{0}' from its last letter to its first.",
        ),
        _reversed,
    ),
    Exercise(
        "remainders",
        Kind.NUMBER,
        _division,
        lambda parts: int(parts[1]) - 2,
        (
            "What is the remainder when {0} is divided by {1}?",
            "What is {0} modulo {1}?",
            "{0} eggs go into boxes of {1}. How many eggs are left over?",
        ),
        _divided,
    ),
    Exercise(
        "roman numerals",
        Kind.NUMBER,
        _small_number,
        lambda parts: len(str(_value(parts))),
        (
            "Which number is the Roman numeral {0}?",
            "Write {0} in ordinary digits.",
            "A clock tower bears the year {0}. Which year is that?",
        ),
        _read,
    ),
    Exercise(
        "weekdays",
        Kind.TEXT,
        _days,
        _direction,
        (
            "Which day of the week is {0} days {1} a {2}?",
            "What day comes {0} days {1} {2}?",
            "The meeting is {0} days {1} {2}. On which day of the week is it?",
        ),
        _counted,
    ),
    Exercise(
        "units",
        Kind.NUMBER,
        _measure,
        _place,
        (
            "How many {2} are {0} {1}?",
            "Convert {0} {1} to {2}.",
            "A label says {0} {1}. How much is that in {2}?",
        ),
        _converted,
    ),
)

EXERCISES: Mapping[str, Exercise] = MappingProxyType({each.skill: each for each in _ALL})
"""Every exercise by its skill."""
