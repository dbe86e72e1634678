"""The scripted world: the same for a seed, sound, read by the cascades, and written as files."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from orchestra.answers import read
from orchestra.evals import read_items, same
from orchestra.evals.scripted_demo import PERSONAS, ScriptedDemo, script, scripted_demo
from orchestra.evals.scripted_files import write_world
from orchestra.pipeline import LocalWorkers
from orchestra.records import Absence, Answer, Generation, Kind, Message, Request, Sampling
from orchestra.roster import Roster

SMALL = scripted_demo(seed=3, profile=6, test=6)


def ask(world: ScriptedDemo, name: str) -> list[tuple[str, Answer]]:
    """An expert's text and answer for every question of a world."""
    expert = world.roster[name]

    async def run() -> list[Generation]:
        requests = [
            Request("k", q.id, name, "generate", expert.messages(q), Sampling())
            for q in (item.question for item in (*world.profile, *world.test))
        ]
        async with world.workers.open(expert) as worker:
            return [each async for each in worker.generate(requests)]

    items = {item.question.id: item for item in (*world.profile, *world.test)}
    return [(g.text, read(items[g.question_id].question, g)) for g in asyncio.run(run())]


def test_the_same_seed_gives_the_same_world_and_another_another() -> None:
    again = scripted_demo(seed=3, profile=6, test=6)
    other = scripted_demo(seed=4, profile=6, test=6)
    assert again.profile == SMALL.profile
    assert again.test == SMALL.test
    assert ask(again, "abacus") == ask(SMALL, "abacus")
    assert other.test != SMALL.test


def test_questions_are_unique_labelled_and_of_both_forms() -> None:
    items = [*SMALL.profile, *SMALL.test]
    assert len({item.question.id for item in items}) == len(items) == 8 * 12
    assert len({item.question.text for item in items}) == len(items)
    assert set(Counter(item.question.category for item in SMALL.test).values()) == {6}
    for item in items:
        assert item.gold is not None
        if item.question.options:
            assert item.gold in item.question.letters
            assert len(set(item.question.options)) == 4
    assert {item.question.kind for item in items} == {Kind.CHOICE, Kind.NUMBER, Kind.TEXT}


def test_what_experts_state_is_read_and_what_they_do_not_is_absent() -> None:
    world = scripted_demo(seed=0, profile=10, test=10)
    stated = [pair for each in PERSONAS for pair in ask(world, each.name)]
    silent = [(text, answer) for text, answer in stated if answer.value is None]
    assert 0.05 < len(silent) / len(stated) < 0.2
    for text, answer in silent:
        assert answer.absence in (Absence.EMPTY, Absence.REFUSED, Absence.UNPARSED), text
        assert "answer is" not in text
    assert len({answer.rule for _, answer in stated}) >= 6


def test_experts_are_good_at_what_they_are_said_to_be() -> None:
    world = scripted_demo(seed=0, profile=30, test=1)
    items = {item.question.id: item for item in world.profile}

    def share(name: str, skill: str) -> float:
        marks = [
            answer.value is not None
            and same(answer.value, str(items[answer.question_id].gold), question.kind)
            for _, answer in ask(world, name)
            if answer.question_id in items
            and (question := items[answer.question_id].question).category == skill
        ]
        return sum(marks) / len(marks)

    assert share("abacus", "addition") > 0.75 > share("all-rounder", "sorting letters") + 0.2
    assert share("almanac", "remainders") < 0.25 < share("almanac", "Roman numerals") - 0.4


def test_a_second_sample_says_the_same_in_other_words() -> None:
    text = "What is 4817 plus 2994?"
    texts = {
        script(PERSONAS[0], 0)(
            Request("k", "q", "abacus", "g", (Message("user", text),), Sampling(), sample=n)
        )
        for n in range(12)
    }
    values = {found for each in texts for found in ("7811", "6701") if found in each}
    assert len(texts) > 2
    assert len(values) == 1


def test_a_question_it_never_learnt_is_no_answer() -> None:
    request = Request("k", "q", "abacus", "g", (Message("user", "Who wrote it?"),), Sampling())
    assert "never learnt" in script(PERSONAS[0], 0)(request)


def test_the_world_as_files_is_the_same_world(tmp_path: Path) -> None:
    asyncio.run(write_world(SMALL, tmp_path, data="data"))
    roster = Roster.load(tmp_path / "roster.yaml")
    LocalWorkers().check(roster)
    assert roster.names == SMALL.roster.names
    for name, items in (("profile", SMALL.profile), ("test", SMALL.test)):
        found = read_items(tmp_path / "data" / f"{name}.jsonl")
        assert [(i.question, i.gold) for i in found] == [(i.question, i.gold) for i in items]
    replayed = ScriptedDemo(SMALL.profile, SMALL.test, roster, LocalWorkers())
    assert ask(replayed, "mumbler") == ask(SMALL, "mumbler")
