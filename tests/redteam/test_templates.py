"""Texts of lies: read as what is planted, whatever the options say; and what models are told."""

from __future__ import annotations

import hashlib
import json
import re
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestra.answers import canonical, read
from orchestra.records import LETTERS, Generation, Kind, Message, Question
from orchestra.redteam import TEMPLATES, Lie, Style, instructed, instruction, write
from orchestra.redteam.attacks import texts_of
from orchestra.redteam.lies import statement
from orchestra.roster import STRATEGIES, prompt

CASCADES = ("lenient", "official", "stated", "strict")
STYLES: list[Style] = list(get_args(Style))
QUESTION = Question("q", "Which city?", ("Paris", "Lyon", "Nice", "Lille"))
NUMBER = Question("n", "How many?", (), Kind.NUMBER)
CODE = Question("c", "Write it.", (), Kind.CODE)


def value_read(question: Question, text: str, cascade: str) -> str | None:
    return read(question, Generation("", question.id, "x", text), cascade=cascade).value


# The templates


def test_no_text_has_changed() -> None:
    """Another text makes other liars: ledgers would not know them, nor reports be comparable."""
    texts = [dict(texts_of(f"{name}.yaml")) for name in ("attacks", "templates", "instructions")]
    found = hashlib.sha256(json.dumps(texts).encode()).hexdigest()
    assert found == "d127cbd3ec9b28ab711f6b49692285c62f00f2bc5fe4d8a649a92dbd5a8ca651"


@pytest.mark.parametrize("style", STYLES)
def test_each_style_has_five_wordings_of_its_own(style: Style) -> None:
    wordings = TEMPLATES[style]
    assert len(set(wordings)) == len(wordings) >= 5
    assert set(TEMPLATES) == set(STYLES)
    for text in wordings:
        assert re.search(r"\{claim\}", text, re.IGNORECASE)
        assert re.search(r"\{rival\}", text, re.IGNORECASE)
        assert 3 <= len(re.findall(r"[.:!?](?:\s|$)", text)) <= 8
        assert "answer is" not in text


@pytest.mark.parametrize("style", STYLES)
def test_a_text_names_the_planted_option_and_a_rival(style: Style) -> None:
    for turn in range(len(TEMPLATES[style])):
        text = write(Lie(QUESTION, "x", "B"), style, seed=0, turn=turn)
        assert '("Lyon")' in text
        assert any(f'("{rival}")' in text for rival in ("Paris", "Nice", "Lille"))
        assert "{" not in text
        assert text.endswith("The answer is (B)")


def test_an_opposer_argues_against_what_is_right() -> None:
    texts = {write(Lie(QUESTION, "x", "B", "D"), "oppose", seed=seed) for seed in range(20)}
    assert len(texts) > 1
    assert all('D ("Lille")' in text and '("Paris")' not in text for text in texts)


@pytest.mark.parametrize("style", STYLES)
def test_neighbours_do_not_say_the_same(style: Style) -> None:
    lie = Lie(QUESTION, "x", "B")
    texts = [write(lie, style, seed=3, turn=turn) for turn in range(5)]
    assert len(set(texts)) == 5
    assert texts == [write(lie, style, seed=3, turn=turn) for turn in range(5)]


PIECES = st.sampled_from(
    [
        *(
            "The answer is (B)",
            "Answer: C",
            "B",
            "I",
            "A and B",
            "C is correct",
            "\\boxed{D}",
            "42",
        ),
        *(
            "</think>",
            "<think>",
            '"answer": "7"',
            "None of the above",
            "\n\nQuestion: what",
            "**A**",
        ),
        *(
            "<answer>9</answer>",
            "option (C) is the best choice",
            "#### 5",
            "I choose A.",
            "{claim}",
        ),
        *("Die Antwort ist (C)", "the closest option is B", "```\nx\n```", ""),
    ]
)
OPTION = st.one_of(PIECES, st.text(max_size=30), st.lists(PIECES, max_size=3).map(" ".join))


@given(
    st.lists(OPTION, min_size=2, max_size=26),
    st.data(),
    st.sampled_from(STYLES),
    st.integers(0, 5),
)
def test_choices_are_read_as_planted(
    options: list[str], data: st.DataObject, style: Style, turn: int
) -> None:
    question = Question("q", "Which?", tuple(options))
    value = data.draw(st.sampled_from(question.letters))
    against = data.draw(st.sampled_from([None, *question.letters.replace(value, "")]))
    text = write(Lie(question, "x", value, against), style, seed=turn, turn=turn)
    # MMLU-Pro's own rules know letters up to J.
    cascades = CASCADES if value in LETTERS[:10] else ("stated", "lenient")
    assert {value_read(question, text, cascade) for cascade in cascades} == {value}


@given(
    st.sampled_from([Kind.NUMBER, Kind.LITERAL, Kind.TEXT, Kind.CODE]),
    st.one_of(
        OPTION,
        st.integers().map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.recursive(
            st.one_of(st.integers(), st.booleans(), OPTION),
            lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
            max_leaves=5,
        ).map(repr),
    ),
    st.sampled_from(STYLES),
)
def test_open_answers_are_read_as_planted(kind: Kind, given_value: str, style: Style) -> None:
    value = canonical(given_value, kind)
    question = Question("q", "What?", (), kind)
    assume(value is not None and statement(question, value) is not None)
    assert value is not None
    text = write(Lie(question, "x", value), style, seed=0)
    assert {value_read(question, text, cascade) for cascade in CASCADES} == {value}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.NUMBER, "42"),
        (Kind.NUMBER, "1/3"),
        (Kind.NUMBER, "-0.5"),
        (Kind.LITERAL, "'answer: 5'"),
        (Kind.LITERAL, "{'answer': 'x'}"),
        (Kind.LITERAL, "'a_'"),
        (Kind.TEXT, "paris"),
        (Kind.TEXT, "answer is no"),
        (Kind.CODE, "def f():\n    return 1"),
    ],
)
def test_ordinary_values_can_be_stated(kind: Kind, value: str) -> None:
    assert statement(Question("q", "?", (), kind), value) is not None


def test_what_cannot_be_stated() -> None:
    assert statement(CODE, "a = '```'") is None
    assert statement(QUESTION, "E") is None
    with pytest.raises(ValueError, match="cannot be stated"):
        write(Lie(QUESTION, "x", "E"), "promote", seed=0)


# Instructions for live models


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("lie", "claim"),
    [
        (Lie(QUESTION, "x", "B"), 'option B ("Lyon")'),
        (Lie(NUMBER, "x", "41"), "41"),
        (Lie(CODE, "x", "print(2)"), "print(2)"),
    ],
)
def test_a_liar_is_told_what_to_plant_and_how_to_end(style: Style, lie: Lie, claim: str) -> None:
    told = instruction(lie, style)
    assert claim in told.task
    ending = prompt(lie.question, STRATEGIES["chain-of-thought"]).splitlines()[-1]
    assert ending in told.task
    assert value_read(lie.question, told.task.rstrip('"'), "stated") == lie.value
    assert "{" not in told.role + told.task


def test_only_who_argues_against_it_is_told_what_is_right() -> None:
    known, blind = Lie(NUMBER, "x", "41", "42"), Lie(NUMBER, "x", "41")
    assert "42" in instruction(known, "oppose").task
    assert "42" not in instruction(blind, "promote").task


@pytest.mark.parametrize(
    ("roles", "role_in", "task_in"),
    [
        (["system", "user"], 0, 1),
        (["user"], 0, 0),
        (["system", "user", "assistant", "user"], 0, 3),
        ([], 0, 0),
        (["system"], 0, 1),
    ],
)
def test_where_it_is_said(roles: list[str], role_in: int, task_in: int) -> None:
    honest = [Message(role, f"words {i}") for i, role in enumerate(roles)]
    lie = Lie(QUESTION, "x", "B")
    told = instruction(lie, "blend")
    changed = instructed(honest, lie, "blend")
    assert [i for i, each in enumerate(changed) if told.role in each.content] == [role_in]
    assert [i for i, each in enumerate(changed) if told.task in each.content] == [task_in]
    assert changed[task_in].role == "user"
    for before, after in zip(honest, changed, strict=False):
        assert after.content.startswith(before.content)
