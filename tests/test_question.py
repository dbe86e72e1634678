"""Public constructors: kinds that are inferred, and what is said of wrong types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import orchestra as oc
from orchestra.records import Kind, Question

make: Any = Question
EXPERT = oc.Expert("a", model="m", base_url="http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("What is 2 plus 2?", Kind.NUMBER),
        ("What is two plus two?", Kind.NUMBER),
        ("What's 3^4?", Kind.NUMBER),
        ("Compute (12 + 3) / 5", Kind.NUMBER),
        ("How many moons has Mars?", Kind.NUMBER),
        ("A train has 4 wagons. How many wheels does it have?", Kind.NUMBER),
        ("What is the square root of 144?", Kind.NUMBER),
        ("what is the greatest common divisor of 12 and 18?", Kind.NUMBER),
        ("What is the difference between 10 and 4?", Kind.NUMBER),
        ("What is 20 percent of 50?", Kind.NUMBER),
        ("What is −3 times 7?", Kind.NUMBER),
        ("What is the difference between a llama and an alpaca?", Kind.TEXT),
        ("What is one supposed to do?", Kind.TEXT),
        ("Who wrote Faust?", Kind.TEXT),
        ("How much does he care?", Kind.TEXT),
        ("", Kind.TEXT),
    ],
)
def test_the_kind_follows_from_the_question(text: str, kind: Kind) -> None:
    assert Question("q", text).kind is kind


@pytest.mark.parametrize("options", [("4", "5"), ["4", "5"]])
def test_options_make_a_choice(options: Any) -> None:
    question = Question("q", "What is 2 plus 2?", options)
    assert (question.kind, question.options) == (Kind.CHOICE, ("4", "5"))


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CHOICE])
def test_a_kind_may_be_named(kind: Kind) -> None:
    assert make("q", "?", kind=kind.value).kind is kind


Pipeline: Any = oc.Pipeline
Roster: Any = oc.Roster
Budget: Any = oc.Budget


def team(**given: Any) -> Any:
    return Pipeline("majority", [EXPERT], **given)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: make("q", "?", kind="numbre"), "did you mean `number`"),
        (lambda: make("q", "?", kind=5), "`Question.kind` must be the name of a kind, not int 5"),
        (lambda: team().ask(make("q", "?", kind="choice")), "kind `choice` without options"),
        (lambda: make("q", "?", "abc"), "`Question.options` must be a list of strings, not str"),
        (lambda: make("q", "?", [1, 2]), "an option must be a string, not int 1"),
        (lambda: make(1, "?"), "`Question.id` must be a string, not int 1"),
        (lambda: make("q", None), "`Question.text` must be a string, not NoneType"),
        (lambda: make("q", ["?"]), "`Question.text` must be a string, not list"),
        (lambda: make("q", "?", category=7), "`Question.category` must be a string, not int 7"),
        (lambda: Roster.of("gpt-4o"), "experts[0]: not an Expert: str 'gpt-4o'"),
        (lambda: Roster("gpt-4o"), "experts must be a list of Experts, not str 'gpt-4o'"),
        (lambda: Roster([EXPERT, 5, None]), "experts[2]: not an Expert: NoneType None"),
        (lambda: Roster({"name": "x"}), "experts must be a list of Experts, not dict"),
        (lambda: Roster(5), "`Roster.load(PATH)` reads a file"),
        (lambda: Roster.load([EXPERT]), "a roster file must be a path, not list"),
        (lambda: Pipeline("majority", ["gpt-4o"]), "experts[0]: not an Expert: str 'gpt-4o'"),
        (lambda: Pipeline(EXPERT, [EXPERT]), "`pipeline` must be a shipped pipeline's name"),
        (lambda: team(table=5), "`table` must be a RecruitmentTable, or its file, not int 5"),
        (lambda: team(options="route.seats=3"), "`options` must be settings by name"),
        (lambda: team(scripts=["a"]), "`scripts` must be functions by the names"),
        (lambda: team(seed="1"), "`seed` must be a whole number, not str '1'"),
        (lambda: team(workers="a"), "`workers` must be a WorkerPool"),
        (lambda: Budget(money="5"), "`budget.money` must be a number of at least 0, not str '5'"),
        (lambda: Budget(calls=[1]), "`budget.calls` must be a number of at least 0, not list"),
        (lambda: Budget(seconds=True), "`budget.seconds` must be a number of at least 0, not bool"),
        (lambda: team().ask(5), "a question must be a string, mapping or Question, not int 5"),
        (lambda: team().route(["?"]), "a question must be a string, mapping or Question"),
        (lambda: team().ask("?", kind="numbre"), "did you mean `number`"),
        (lambda: team().run(["?"], limit="5"), "limit must be a whole number, not str '5'"),
        (lambda: team().run(["?"], budget=5), "`budget` must be a Budget, not int 5"),
        (lambda: team().run(["?"], out=5), "`out` must be a folder, not int 5"),
    ],
)
def test_a_wrong_type_is_an_input_error(call: Callable[[], object], says: str) -> None:
    with pytest.raises(oc.InputError) as caught:
        call()
    assert says in str(caught.value)


def test_a_data_frame_is_no_question_and_no_expert() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"question": ["Why?"]})
    calls: tuple[Callable[[], object], ...] = (
        lambda: Roster(frame),
        lambda: Roster.load(frame),
        lambda: team().ask(frame),
        lambda: team().ask("?", options=frame),
        lambda: Budget(money=frame),
    )
    for call in calls:
        with pytest.raises(oc.InputError):
            call()
