"""What the default pipeline is worth on recorded answers of real models.

Every expert is read once on every question; each seed then draws a profile, and the plans
made from it are replayed on the other questions. The thresholds lie a point below the ones
that the benchmark has to show over ten seeds, for two seeds stand for ten here.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import pytest

from orchestra.evals import Item, evaluate_run, load_dataset, profile_experts
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Answer, Outcome, Plan, Seat
from orchestra.roster import Roster
from orchestra.skills import RecruitmentTable, read_table, write_table
from orchestra.voting import QuestionVotes

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]

SEEDS = (0, 1)
LOW = (
    "Llama-2-13b-hf Meta-Llama-3-8B Mistral-7B-Instruct-v0.1 Mistral-7B-v0.1 Mistral-7B-v0.2-hf "
    "Qwen1.5-7B-Chat Yi-6B gemma-7b"
)
MIDDLE = (
    "Llama-2-70b-hf Meta-Llama-3_1-8B Meta-Llama-3_1-8B-Instruct Mixtral-8x7B-Instruct-v0.1 "
    "Yi-34B c4ai-command-r-v01 llama-3-8b-quantized mathstral-7B"
)
HIGH = "Meta-Llama-3_1-70B Qwen1.5-110B Qwen1.5-72B-Chat deepseek-v2-chat"
STRONG = "Meta-Llama-3_1-70B-Instruct gemini-1.5-pro-002 gpt-4o-2024-05-13"
REST = "Llama-2-7b-hf"
BOTH = "Meta-Llama-3-8B-Instruct Meta-Llama-3.1-8B-Instruct Phi-3.5-mini-instruct Yi-1.5-9B-Chat"
# Two more of that size, which answered the questions about programs only.
SOME = f"{BOTH} Qwen2.5-7B-Instruct Phi-3-mini-4k-instruct"


@dataclass(frozen=True)
class Exam:
    """Items, and what every expert said to every one of them."""

    folder: Path
    name: str
    per_category: int
    items: tuple[Item, ...]
    table: RecruitmentTable

    @classmethod
    def of(cls, folder: Path, name: str, experts: str, per_category: int) -> Exam:
        items = load_dataset(folder / f"{name}.items.parquet")
        table = asyncio.run(profile_experts(roster(folder, name, experts), items))
        return cls(folder, name, per_category, items, table)

    def draw(self, seed: int) -> list[int]:
        """Places of a random profile."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(self.items):
            places[item.question.category].append(place)
        random = Random(seed)
        drawn = [random.sample(places[name], self.per_category) for name in sorted(places)]
        return sorted(place for row in drawn for place in row)

    def gain(self, experts: str, seed: int) -> tuple[float, float]:
        """Points over the best single expert of the profile, and calls for each question."""
        names = experts.split()
        table, profile = self.table.subset(names), self.draw(seed)
        known, test = table.questions(profile), sorted({*range(len(self.items))} - {*profile})
        pipeline = Pipeline.load(
            "orchestra", roster=roster(self.folder, self.name, experts), table=known, seed=seed
        )
        plans = pipeline.plan([table.briefs[place] for place in test])
        polls = [
            QuestionVotes(plan, replayed(pipeline, plan, table, place))
            for place, plan in zip(test, plans, strict=True)
        ]
        calls = sum(len(poll.answers) for poll in polls)
        ballots = pipeline.spec.vote.vote(polls, pipeline.evidence).ballots
        right = sum(
            ballot.winner in right_values(table, place)
            for place, ballot in zip(test, ballots, strict=True)
        )
        best = max(names, key=lambda name: known.tally(name).correct)
        alone = int((table.outcomes[names.index(best)][test] == 1).sum())
        return 100 * (right - alone) / len(test), calls / len(test)


def roster(folder: Path, name: str, experts: str) -> Roster:
    entries = "".join(f"  - {{name: {each}, model: {each}}}\n" for each in experts.split())
    common = f"{{worker: recorded, recordings: {folder / name}.recordings.parquet}}"
    return Roster.loads(f"schema: 1\ndefaults: {common}\nexperts:\n{entries}")


def replayed(
    pipeline: Pipeline, plan: Plan, table: RecruitmentTable, place: int
) -> dict[Seat, Answer]:
    """What the generate stage would have come to: seats, then reserves for the absent."""
    settings = pipeline.spec.generate
    queue = list(plan.seats[: settings.calls])
    spare = list(plan.reserves[: max(settings.calls - len(plan.seats), 0)])
    answers: dict[Seat, Answer] = {}
    while queue:
        seat = queue.pop(0)
        mark = table.marks[seat.expert][place]
        value = mark.value if mark is not None else None
        answers[seat] = Answer(plan.question_id, seat.expert, value)
        if value is None and spare:
            queue.append(spare.pop(0))
    return answers


def right_values(table: RecruitmentTable, place: int) -> set[str | None]:
    marks = [row[place] for row in table.marks.values()]
    return {mark.value for mark in marks if mark and mark.outcome is Outcome.CORRECT}


@pytest.fixture(scope="module")
def mmlu_pro(shared_data: Path) -> Exam:
    everybody = " ".join((LOW, MIDDLE, HIGH, STRONG, REST))
    return Exam.of(shared_data, "mmlu_pro", everybody, 25)


@pytest.fixture(scope="module")
def opened(shared_data: Path) -> Exam:
    return Exam.of(shared_data, "zeroeval", SOME, 50)


@pytest.mark.parametrize(
    ("experts", "points"),
    [
        pytest.param(LOW, 3.5, id="24 to 35 %"),
        pytest.param(MIDDLE, 8.0, id="35 to 44 %"),
        pytest.param(HIGH, 7.0, id="47 to 57 %"),
        pytest.param(STRONG, 1.5, id="60 to 76 %"),
        pytest.param(" ".join((LOW, MIDDLE, HIGH, STRONG, REST)), 1.3, id="all"),
    ],
)
def test_gain_over_the_best_single_expert(mmlu_pro: Exam, experts: str, points: float) -> None:
    gains = [mmlu_pro.gain(experts, seed) for seed in SEEDS]
    assert np.mean([gain for gain, _ in gains]) >= points - 1.0
    assert max(calls for _, calls in gains) <= 5


@pytest.mark.parametrize(("experts", "points"), [(BOTH, 6.0), (SOME, 7.0)])
def test_gain_on_open_answers(opened: Exam, experts: str, points: float) -> None:
    gains = [opened.gain(experts, seed) for seed in SEEDS]
    assert np.mean([gain for gain, _ in gains]) >= points - 1.0
    assert max(calls for _, calls in gains) <= 5


def test_the_replay_is_what_a_run_does(mmlu_pro: Exam, tmp_path: Path) -> None:
    """The shortcut above, against the real thing, on a part of the questions."""
    profile = mmlu_pro.draw(3)
    test = sorted({*range(len(mmlu_pro.items))} - {*profile})[::40]
    table = mmlu_pro.table.subset(MIDDLE.split())
    pipeline = Pipeline.load(
        "orchestra",
        roster=roster(mmlu_pro.folder, "mmlu_pro", MIDDLE),
        table=table.questions(profile),
    )
    outcomes = asyncio.run(pipeline.run([mmlu_pro.items[place].question for place in test]))
    polls = [
        QuestionVotes(plan, replayed(pipeline, plan, table, place))
        for place, plan in zip(test, outcomes.plans, strict=True)
    ]
    assert pipeline.spec.vote.vote(polls, pipeline.evidence).ballots == outcomes.ballots


def test_a_run_twice_gives_the_same_bytes(shared_data: Path, tmp_path: Path) -> None:
    experts = roster(shared_data, "mmlu_pro", MIDDLE)
    items = load_dataset(shared_data / "mmlu_pro.items.parquet")
    profile = [item for item in items if item.profile][::2]
    test = [item for item in items if not item.profile][:300]
    told = [_bytes(experts, profile, test, tmp_path / str(number)) for number in range(2)]
    assert told[0] == told[1]


def _bytes(experts: Roster, profile: list[Item], test: list[Item], folder: Path) -> bytes:
    folder.mkdir()
    workers = WorkerPool()
    table = asyncio.run(profile_experts(experts, profile, workers=workers))
    write_table(table, folder / "table.json")
    known = read_table(folder / "table.json")
    pipeline = Pipeline.load("orchestra", roster=experts, table=known, workers=workers)
    asyncio.run(evaluate_run(pipeline, test, folder / "run"))
    report = (folder / "run" / "report.json").read_bytes()
    left = re.sub(rb'\n  "seconds": [\d.e-]+', b"", report)
    assert len(left) < len(report)
    return left
