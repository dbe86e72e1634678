"""How an aggregator is asked, message by message."""

from __future__ import annotations

import pytest

from orchestra.records import Message, Question
from orchestra.roster import Expert
from orchestra.synthesis import AggregatorCall, Draft, consulting

QUESTION = Question("q", "How much is two and two?", ("three", "four"))
DRAFTS = (
    Draft.written("a", "It is four.\nSo (B).", "B"),
    Draft.written("b", "", None),
    Draft.written("c", "It is (A).", "A"),
)


def expert(**fields: str) -> Expert:
    return Expert("chief", "m", worker="scripted", **fields)  # type: ignore[arg-type]


def asked(
    one: Expert, *, clusters: tuple[int, ...] = (), oblivious: bool = False
) -> tuple[Message, ...]:
    return consulting(one, QUESTION, AggregatorCall(DRAFTS, clusters), oblivious=oblivious)


def test_the_users_turn_is_unchanged_and_responses_are_numbered() -> None:
    one = expert(strategy="direct")
    system, user = asked(one)
    assert (user,) == one.messages(QUESTION)
    assert system.role == "system"
    task, responses = system.content.split("\n\n")
    assert responses == "Responses from models:\n1. It is four.\nSo (B).\n2. It is (A)."
    assert "critically" in task
    assert "do not simply copy" in task
    assert "cluster" not in task


def test_an_own_system_prompt_comes_first() -> None:
    one = expert(system="You are terse.")
    own, user = one.messages(QUESTION)
    system, same = asked(one)
    assert same == user
    assert system.content == f"{own.content}\n\n{asked(expert())[0].content}"


def test_an_oblivious_aggregator_is_not_warned() -> None:
    warned, oblivious = (asked(expert(), oblivious=each)[0].content for each in (False, True))
    assert "critically" not in oblivious
    assert "biased" not in oblivious
    assert oblivious.split("\n\n")[1] == warned.split("\n\n")[1]


def test_clusters_are_told() -> None:
    task, responses = asked(expert(), clusters=(1, 2, 2))[0].content.split("\n\n")
    assert responses.endswith("1. (cluster 1) It is four.\nSo (B).\n2. (cluster 2) It is (A).")
    assert "cluster 1" in task


@pytest.mark.parametrize(
    ("clusters", "drafts"),
    [
        ((), "1. It is four. So (B).\n2. It is (A)."),
        ((1, 1, 2), "1. (cluster 1) It is four. So (B).\n2. (cluster 2) It is (A)."),
    ],
)
def test_who_was_trained_on_drafts_gets_them_that_way(
    clusters: tuple[int, ...], drafts: str
) -> None:
    (user,) = asked(expert(strategy="plain"), clusters=clusters)
    question = "How much is two and two?\n\nA. three\nB. four"
    assert user == Message("user", f"{question}\n\nDrafts:\n{drafts}")


def test_a_plain_expert_keeps_its_system_prompt() -> None:
    system, user = asked(expert(strategy="plain", system="Merge."))
    assert system == Message("system", "Merge.")
    assert user.role == "user"


@pytest.mark.parametrize("strategy", ["plain", "chain-of-thought"])
def test_without_any_response_it_is_asked_as_ever(strategy: str) -> None:
    one = expert(strategy=strategy)
    assert consulting(
        one, QUESTION, AggregatorCall((Draft.written("b", "", None),))
    ) == one.messages(QUESTION)
