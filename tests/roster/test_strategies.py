"""How a question is laid out: parts, letters, and a closing that the answer rules can read."""

from __future__ import annotations

import typing

import pytest

from orchestra.errors import InputError
from orchestra.records import Kind, Question
from orchestra.roster.strategies import (
    DEFAULT_STRATEGY,
    STRATEGIES,
    Strategy,
    StrategyName,
    prompt,
    strategy,
)

STEPS = STRATEGIES["chain-of-thought"]


def test_the_names_that_are_typed_are_the_names_that_exist() -> None:
    assert sorted(STRATEGIES) == sorted(typing.get_args(StrategyName))
    assert DEFAULT_STRATEGY in STRATEGIES
    assert all(name == each.name for name, each in STRATEGIES.items())


def test_no_two_strategies_say_the_same() -> None:
    assert len({each.text for each in STRATEGIES.values()}) == len(STRATEGIES)


def test_an_unknown_strategy_is_told_with_near_names() -> None:
    with pytest.raises(InputError, match="did you mean `plan-and-solve`"):
        strategy("plan-and-sovle")


def test_the_parts_stand_in_order() -> None:
    question = Question("q", "Which one?", ("red", "blue"), context="Two colours.")
    context, text, options, how = prompt(question, STEPS).split("\n\n")
    assert (context, text, options) == ("Two colours.", "Which one?", "A. red\nB. blue")
    assert how.startswith(STEPS.text)
    assert 'The answer is (X)"' in how


def test_what_is_not_there_leaves_no_gap() -> None:
    question = Question("q", "How many?", kind=Kind.NUMBER)
    assert prompt(question, STEPS).startswith(f"How many?\n\n{STEPS.text}\n")


@pytest.mark.parametrize(
    ("kind", "options", "closing"),
    [
        (Kind.CHOICE, ("a", "b"), "The answer is (X)"),
        (Kind.CHOICE, (), "The answer is T"),
        (Kind.NUMBER, (), "The answer is N"),
        (Kind.LITERAL, (), "The answer is V"),
        (Kind.TEXT, (), "The answer is T"),
        (Kind.CODE, (), "one fenced code block"),
    ],
)
def test_the_closing_suits_the_kind(kind: Kind, options: tuple[str, ...], closing: str) -> None:
    for how in STRATEGIES.values():
        last = prompt(Question("q", "?", options, kind), how).split("\n")[-1]
        assert (closing in last) is (how.name != "plain")


def test_plain_adds_nothing() -> None:
    plain = strategy("plain")
    assert prompt(Question("q", "Why?"), plain) == "Why?"
    assert prompt(Question("q", "Why?", ("x", "y")), plain) == "Why?\n\nA. x\nB. y"


def test_every_kind_has_a_closing() -> None:
    assert len({prompt(Question("q", "?", ("a",), kind), STEPS) for kind in Kind}) == len(Kind)


def test_twenty_six_options_have_letters_and_no_more() -> None:
    most = Question("q", "?", tuple("abcdefghijklmnopqrstuvwxyz"))
    assert "\nZ. z\n" in prompt(most, STEPS)
    with pytest.raises(InputError, match="27 options"):
        prompt(Question("q", "?", (*most.options, "more")), STEPS)


def test_text_is_passed_on_as_it_is() -> None:
    question = Question("q", "{x} %s\n\\d", ("{0}", "$1"))
    assert "{x} %s\n\\d\n\nA. {0}\nB. $1" in prompt(question, Strategy("direct", "", "Now."))
