"""Trains everything that ships in `checkpoints/`: `make experts`.

Knows the order (experts side by side, then the labeller, then the chair, who learns from
what the experts really write) and where the files go. Needs torch; takes about an hour of
one core, spread over those there are.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

import torch

from orchestra import embedded
from orchestra.answers import read
from orchestra.embedded.curriculum import (
    ADAPTERS,
    STRATEGY,
    TRAINING_SPECS,
    Lesson,
    TrainingSpec,
    example,
    labelled,
)
from orchestra.embedded.exercises import Split
from orchestra.embedded.questions import embedded_roster, questions
from orchestra.evals import Item
from orchestra.evals.marking import same
from orchestra.pipeline import WorkerPool
from orchestra.records import Request
from orchestra.roster import prompt, strategy, with_drafts
from orchestra.workers.local.convert import read_weights
from training import accuracy
from training.checkpoint import Shape, write_adapter, write_checkpoint
from training.network import Example, fresh, train, train_adapter

LABELLER, CHAIR = "labeller", "chair"
_LABELLER_STEPS, _CHAIR_STEPS = 300, 1200
_LESSONS_OF_CHAIR = 400
_CHAIR_SHAPE = Shape(window=1024)


Draw = Callable[[Random], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Drafted:
    """A question with what every expert drafted for it."""

    asked: str
    right: str
    drafts: tuple[tuple[str, str], ...]
    """Text and the answer in it, in the experts' order; an empty answer where there is none."""


def main(arguments: Sequence[str]) -> None:
    """Train what is asked for, by default everything."""
    here = Path(embedded.__file__).parent
    every = (*TRAINING_SPECS, LABELLER, CHAIR, *ADAPTERS)
    parser = argparse.ArgumentParser(prog="make experts", description=main.__doc__)
    parser.add_argument("names", nargs="*", help=f"of: {', '.join(every)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=here, help="holds checkpoints/")
    given = parser.parse_args(arguments)
    wanted = given.names or every
    if unknown := set(wanted) - set(every):
        parser.error(f"no such experts: {', '.join(sorted(unknown))}")
    first = [name for name in wanted if name in TRAINING_SPECS or name == LABELLER]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        list(pool.map(_teach, first, [given.seed] * len(first), [given.out] * len(first)))
        later = [name for name in wanted if name in ADAPTERS]
        list(pool.map(_adapt, later, [given.seed] * len(later), [given.out] * len(later)))
    if CHAIR in wanted:
        _teach_chair(given.seed, given.out)
    if given.out == here:
        accuracy.main()


def _teach(name: str, seed: int, out: Path) -> None:
    """Train one expert, or the labeller, and write its files."""
    draw: Draw = labelled
    shape, steps = Shape(layers=2), _LABELLER_STEPS
    if name != LABELLER:
        shape, steps, draw = Shape(), TRAINING_SPECS[name].steps, _examples(TRAINING_SPECS[name])
    told = f"{seed}:{name}"
    weights = train(
        fresh(shape, told),
        lambda random: Example(*draw(random)),
        steps=steps,
        seed=told,
        told=_progress(name, steps),
    )
    write_checkpoint(out / "checkpoints" / name, shape, weights)


def _examples(schooling: TrainingSpec) -> Draw:
    return lambda random: example(schooling, random)


def _adapt(name: str, seed: int, out: Path) -> None:
    """Train one adapter on its finished base."""
    adapter = ADAPTERS[name]
    told = f"{seed}:{name}"
    network = fresh(Shape(), told)
    tensors = read_weights(out / "checkpoints" / adapter.base)
    network.load_state_dict(
        {key.removeprefix("model."): torch.tensor(value) for key, value in tensors.items()}
    )
    lesson = TrainingSpec("", (Lesson(adapter.skill),), adapter.steps)
    draw = _examples(lesson)
    found = train_adapter(
        network, lambda random: Example(*draw(random)), steps=adapter.steps, seed=told
    )
    write_adapter(out / "checkpoints" / name, found)


def _teach_chair(seed: int, out: Path) -> None:
    """Train the aggregator on drafts that the finished experts wrote for training problems."""
    drafted = asyncio.run(_drafts(seed))
    told = f"{seed}:{CHAIR}"
    weights = train(
        fresh(_CHAIR_SHAPE, told),
        lambda random: _merged(random.choice(drafted), random),
        steps=_CHAIR_STEPS,
        seed=told,
        told=_progress(CHAIR, _CHAIR_STEPS),
    )
    write_checkpoint(out / "checkpoints" / CHAIR, _CHAIR_SHAPE, weights)


async def _drafts(seed: int) -> list[Drafted]:
    items = questions(_LESSONS_OF_CHAIR, of=Split.TRAIN, seed=seed)
    texts: dict[str, list[tuple[str, str]]] = {item.question.id: [] for item in items}
    roster = embedded_roster()
    for name in roster.recruits:
        expert = roster[name]
        requests = [
            Request(q.id, q.id, name, "generate", expert.messages(q), expert.sampling)
            for q in (item.question for item in items)
        ]
        by_id = {item.question.id: item for item in items}
        async with WorkerPool().open(expert) as worker:
            async for said in worker.generate(requests):
                answer = read(by_id[said.question_id].question, said, cascade="stated")
                texts[said.question_id].append((said.text, answer.value or ""))
    return [_drafted(item, texts[item.question.id]) for item in items]


def _drafted(item: Item, texts: Sequence[tuple[str, str]]) -> Drafted:
    question = item.question
    right = (
        question.options[question.letters.index(str(item.gold))] if question.options else item.gold
    )
    marked = tuple(
        (text, "right" if value and same(value, str(item.gold), question.kind) else value)
        for text, value in texts
    )
    return Drafted(prompt(question, strategy(STRATEGY)), str(right), marked)


def _merged(drafted: Drafted, draw: Random) -> Example:
    """Two to five drafts in any order, and the answer: the right one where any draft has it.

    Where none has, the answer that most drafts agree on, the first of equals.
    """
    places = range(len(drafted.drafts))
    good = [place for place in places if drafted.drafts[place][1] == "right"]
    count = draw.randrange(2, 6)
    taken = draw.sample(good, min(len(good), draw.randrange(count + 1)))
    taken += draw.sample([place for place in places if place not in taken], count - len(taken))
    draw.shuffle(taken)
    chosen = [drafted.drafts[place] for place in taken]
    asked = with_drafts(drafted.asked, [text for text, _ in chosen])
    stated = [text.rpartition("Answer: ")[2].strip() for text, _ in chosen]
    right = any(value == "right" for _, value in chosen)
    answer = drafted.right if right else Counter(stated).most_common(1)[0][0]
    # What each draft says is copied out first: a list side by side is easier to compare.
    return Example(asked, f"{'; '.join(stated)}\nAnswer: {answer}")


def _progress(name: str, steps: int) -> Callable[[int, float], None]:
    def told(step: int, loss: float) -> None:
        print(f"{name:14} {step:5} of {steps}  loss {loss:.3f}", file=sys.stderr, flush=True)

    return told


if __name__ == "__main__":
    main(sys.argv[1:])
