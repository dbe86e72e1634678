"""How well the embedded experts learnt: `accuracy.json` beside the checkpoints.

Knows the test questions, on which nobody was trained, and asks everybody all of them; does
not know how anybody was trained. `make experts` ends with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson

from orchestra import embedded
from orchestra.answers import read
from orchestra.embedded.curriculum import ADAPTERS
from orchestra.embedded.exercises import EXERCISES, Split
from orchestra.embedded.questions import TAGGER, embedded_roster, questions
from orchestra.evals import Item, mark_answer
from orchestra.pipeline import Batch, TagStage, WorkerPool, open_context, tag_like
from orchestra.records import Answer, Generation, Message, Outcome, Question, Request
from orchestra.roster import Expert, Roster, with_drafts
from orchestra.runs import write_whole

EACH = 100
"""Test questions for each skill."""
DRAFTS = 4
"""Drafts that the chair is given, of experts chosen at random."""
RESULT = Path(embedded.__file__).with_name("accuracy.json")

Texts = Mapping[str, Mapping[str, Generation]]
"""Expert -> question id -> what it wrote."""


async def measured() -> dict[str, Any]:
    """What ends up in `accuracy.json`; counts are [right, asked]."""
    items, roster = questions(EACH, of=Split.TEST), embedded_roster()
    plain = roster[roster.recruits[0]]
    adapted = [
        Expert(
            name,
            f"embedded/{adapter.base}",
            worker="local",
            adapter=f"embedded/{name}",
            strategy=plain.strategy,
            sampling=plain.sampling,
        )
        for name, adapter in ADAPTERS.items()
    ]
    asked = [*(roster[name] for name in roster.recruits), *adapted]
    texts = {expert.name: await _texts(expert, items) for expert in asked}
    return {
        "schema": 1,
        "questions": f"{EACH} of each skill, of the test set, half with options; greedy",
        "experts": {name: _by_skill(row, items) for name, row in texts.items()},
        "labeller": await _labelled(items, roster),
        "chair": await _chaired(items, {name: texts[name] for name in roster.recruits}, roster),
    }


async def _texts(expert: Expert, items: Sequence[Item]) -> dict[str, Generation]:
    asked = {item.question.id: expert.messages(item.question) for item in items}
    return await _replies(expert, asked)


async def _replies(
    expert: Expert, asked: Mapping[str, tuple[Message, ...]]
) -> dict[str, Generation]:
    requests = [
        Request(name, name, expert.name, "generate", messages, expert.sampling)
        for name, messages in asked.items()
    ]
    async with WorkerPool().open(expert) as worker:
        return {said.question_id: said async for said in worker.generate(requests)}


def _by_skill(texts: Mapping[str, Generation], items: Sequence[Item]) -> dict[str, list[int]]:
    return {
        skill: [
            sum(
                _right(item, texts[item.question.id])
                for item in items
                if item.question.category == skill
            ),
            EACH,
        ]
        for skill in EXERCISES
    }


def _right(item: Item, said: Generation) -> bool:
    return _marked(item, _read(item.question, said))


def _read(question: Question, said: Generation) -> Answer:
    return read(question, said, cascade="stated")


def _marked(item: Item, answer: Answer) -> bool:
    return mark_answer(answer, item).outcome is Outcome.CORRECT


async def _labelled(items: Sequence[Item], roster: Roster) -> list[int]:
    asked = [item.question for item in items]
    workers = WorkerPool()
    identities = {expert.name: workers.identity(expert) for expert in roster}
    async with open_context(roster, workers, identities) as context:
        briefs = (await TagStage(tag_like(TAGGER)).run(Batch.of(asked), context)).briefs
    named = [
        brief.skills == ((item.question.category, 1.0),)
        for brief, item in zip(briefs, items, strict=True)
    ]
    return [sum(named), len(named)]


async def _chaired(items: Sequence[Item], texts: Texts, roster: Roster) -> dict[str, list[int]]:
    """The chair on drafts of random experts, beside their majority and their oracle."""
    chair = roster["chair"]
    drawn = {
        item.question.id: Random(f"chair:{item.question.id}").sample(sorted(texts), DRAFTS)
        for item in items
    }
    asked = {}
    for item in items:
        name = item.question.id
        question = chair.messages(item.question)[-1].content
        drafts = [texts[expert][name].text for expert in drawn[name]]
        asked[name] = (Message("user", with_drafts(question, drafts)),)
    merged = await _replies(chair, asked)
    counts = {"chair": 0, "majority": 0, "any draft": 0}
    for item in items:
        name = item.question.id
        answers = [_read(item.question, texts[expert][name]) for expert in drawn[name]]
        counts["chair"] += _right(item, merged[name])
        counts["majority"] += _marked(item, _most(answers))
        counts["any draft"] += any(_marked(item, answer) for answer in answers)
    return {name: [count, len(items)] for name, count in counts.items()}


def _most(answers: Sequence[Answer]) -> Answer:
    """The answer that most gave, the first of equals; an absent one if all are."""
    values = [answer.value for answer in answers if answer.value is not None]
    if not values:
        return answers[0]
    most = max(values, key=values.count)
    return next(answer for answer in answers if answer.value == most)


def main() -> None:
    """Measure, and write the file."""
    found = asyncio.run(measured())
    write_whole(RESULT, orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    for name, row in found["experts"].items():
        print(f"{name:20}", *(f"{right:4}" for right, _ in row.values()))
    print("labeller", found["labeller"], "chair", found["chair"])


if __name__ == "__main__":
    main()
