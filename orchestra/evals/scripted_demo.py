"""A small offline world for `orchestra demo`: questions with computed answers, scripted experts.

The experts are plain functions that read the prompt and work the question out, each
reliable at some skills and slipping at others; none is a language model, and whoever
shows figures from here says so with `LABEL`. Knows nothing of routing or voting.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from orchestra.evals.items import Item
from orchestra.evals.scripted_skills import EXERCISES, Exercise, Worked, solve
from orchestra.pipeline import LocalWorkers
from orchestra.records import LETTERS, Kind, Question, Request
from orchestra.roster import Expert, Roster

LABEL = "synthetic: scripted experts, not language models"
"""Stands wherever a figure of the demo is shown."""
BENCHMARK = "scripted-demo"
"""The benchmark name of the demo's questions."""

_OPTIONS = 4
_SHARE_WITH_OPTIONS = 0.6
_SLIP_WEIGHTS = (6, 3, 1)
_OPTION_LINE = re.compile(r"^([A-Z])\. (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Persona:
    """What a scripted expert is like.

    Each step of a question goes right with the reliability of its skill, so longer questions
    are harder for everybody, and different experts slip to the same wrong results.
    """

    name: str
    character: str
    """In one sentence."""
    usual: float
    """Reliability of one step where `skills` does not say, in [0, 1]."""
    skills: Mapping[str, float]
    """Skill -> reliability of one step, in [0, 1]."""
    silent: float = 0.04
    """Share of answers that state nothing readable, in [0, 1]."""


PERSONAS: tuple[Persona, ...] = (
    Persona(
        "abacus",
        "calculates well and spells badly",
        0.90,
        MappingProxyType({"addition": 0.985, "remainders": 0.97, "units": 0.97}),
    ),
    Persona(
        "scribe",
        "handles letters well and reckons badly",
        0.90,
        MappingProxyType({"sorting letters": 0.98, "spelling backwards": 0.985}),
        silent=0.08,
    ),
    Persona(
        "almanac",
        "knows numerals and calendars, and is sure of its wrong way with remainders",
        0.90,
        MappingProxyType({"Roman numerals": 0.985, "weekdays": 0.975, "remainders": 0.30}),
    ),
    Persona(
        "logician",
        "reasons well and is average at the rest",
        0.93,
        MappingProxyType({"logic": 0.985, "weekdays": 0.96, "remainders": 0.95}),
        silent=0.12,
    ),
    Persona(
        "mumbler",
        "good at nearly everything, but often ends without an answer",
        0.955,
        MappingProxyType({"logic": 0.85}),
        silent=0.30,
    ),
    Persona(
        "all-rounder",
        "a weak generalist",
        0.84,
        MappingProxyType({}),
    ),
)
"""The scripted experts."""


@dataclass(frozen=True)
class ScriptedDemo:
    """Everything that the demo needs; made by `scripted_demo`."""

    profile: tuple[Item, ...]
    """Labelled questions to measure the experts on."""
    test: tuple[Item, ...]
    """Other questions, to judge pipelines on."""
    roster: Roster
    workers: LocalWorkers


def scripted_demo(*, seed: int = 0, profile: int = 25, test: int = 40) -> ScriptedDemo:
    """The demo's questions and experts, the same for the same seed.

    Args:
        seed: decides every question and every slip.
        profile: labelled questions for each skill, at least 1.
        test: test questions for each skill, at least 1.
    """
    items = [_items(exercise, profile, test, seed) for exercise in EXERCISES]
    flat = [item for row in items for item in row]
    experts = [
        # The seed is part of who an expert is: with another one it says other things.
        Expert(each.name, f"scripted-{each.name}-{seed}", worker="scripted")
        for each in PERSONAS
    ]
    return ScriptedDemo(
        tuple(item for item in flat if item.profile),
        tuple(item for item in flat if not item.profile),
        Roster.of(*experts),
        LocalWorkers({each.name: script(each, seed) for each in PERSONAS}),
    )


def script(persona: Persona, seed: int) -> Callable[[Request], str]:
    """The function that plays an expert: it reads the prompt, works it out and may slip."""

    def answer(request: Request) -> str:
        asked = request.messages[-1].content
        solved = solve(asked)
        if solved is None:
            return "I have never learnt to answer questions of this kind."
        skill, worked = solved
        # Asked twice, an expert says the same in other words: a second sample is no second opinion.
        thought = Random(f"{seed}:{persona.name}:{asked}")
        words = Random(f"{seed}:{persona.name}:{request.sample}:{asked}")
        options = {text: letter for letter, text in _OPTION_LINE.findall(asked)}
        if words.random() < persona.silent:
            return _nothing(words, worked)
        reliability = persona.skills.get(skill, persona.usual)
        tricky = Random(f"{seed}:tricky:{asked}").uniform(0, 2.4)
        fine = all(thought.random() < reliability**tricky for _ in range(worked.steps))
        value = worked.right if fine else _slip(worked, options, thought)
        return _stated(value, options.get(value, ""), sure=reliability < 0.5, draw=words)

    return answer


def _items(exercise: Exercise, profile: int, test: int, seed: int) -> Sequence[Item]:
    draw = Random(f"{seed}:pose:{exercise.skill}")
    texts: dict[str, None] = {}
    while len(texts) < profile + test:
        texts.setdefault(exercise.pose(draw))
    slug = exercise.skill.lower().replace(" ", "-")
    return [
        _item(exercise, text, f"{slug}-{i:03d}", i < profile, draw) for i, text in enumerate(texts)
    ]


def _item(exercise: Exercise, text: str, name: str, profiled: bool, draw: Random) -> Item:
    solved = solve(text)
    assert solved is not None
    worked = solved[1]
    options: list[str] = []
    if draw.random() < _SHARE_WITH_OPTIONS:
        options = [worked.right, *worked.slips[: _OPTIONS - 1]]
        draw.shuffle(options)
    question = Question(
        name,
        text,
        tuple(options),
        Kind.CHOICE if options else exercise.kind,
        category=exercise.skill,
        benchmark=BENCHMARK,
    )
    gold = LETTERS[options.index(worked.right)] if options else worked.right
    return Item(question, gold, profiled)


def _slip(worked: Worked, options: Mapping[str, str], draw: Random) -> str:
    """A wrong result, the likeliest most often; one of the options where there are any."""
    open_to = [slip for slip in worked.slips if not options or slip in options]
    open_to = open_to[: len(_SLIP_WEIGHTS)]
    return draw.choices(open_to, weights=_SLIP_WEIGHTS[: len(open_to)])[0]


def _stated(value: str, letter: str, *, sure: bool, draw: Random) -> str:
    """An answer in one of the many ways that models have of stating one."""
    if sure:
        return f"I am completely certain of this one. The answer is {letter or value}."
    if letter:
        forms = (
            f"Let me go through it. The result is {value}, so the answer is ({letter}).",
            f"Working it out step by step gives {value}.\n\n**Answer: {letter}**",
            f"At first glance (A) looks right, but it is not. The correct option is {letter}.",
            f"The final answer is $\\boxed{{{letter}}}$.",
            f"<think>Is it (B)? Or (C)? Check again.</think>The answer is {letter}) {value}",
            f'{{"reasoning": "step by step", "answer": "{letter}"}}',
            f"{letter}. {value}",
        )
        return draw.choice(forms)
    return draw.choice(
        (
            f"Step by step this comes to the following.\n\nThe answer is {value}.",
            f"The final answer is $\\boxed{{{value}}}$.",
            f"I work it out with care.\n#### {value}",
            f"<think>First guess, then check.</think>Answer: {value}",
            f'{{"reasoning": "step by step", "answer": "{value}"}}',
            f"So we find the result.\n\n**Answer:** {value}",
        )
    )


def _nothing(draw: Random, worked: Worked) -> str:
    """A text that states no answer."""
    return draw.choice(
        (
            "",
            "<think>Let me see. There are several ways to begin, and",
            f"Let me break this down into {worked.steps} steps. First, I look at what is given.",
            "I'm sorry, but I can't help with that.",
        )
    )
