"""Panels of scripted experts for red teams: honest, unable to lie live, or with a chief."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestra.evals import Evaluation, Item, profile_experts
from orchestra.pipeline import Batch, Pipeline, WorkerPool
from orchestra.records import Answer, Draft, Request, Seat
from orchestra.redteam import (
    Defence,
    Lies,
    Sweep,
    attacks_of,
    defences_of,
    lying_draft,
    redteam_run,
)
from orchestra.redteam.trial import RedTeam
from orchestra.skills import RecruitmentTable
from orchestra.workers.scripted import Script

if TYPE_CHECKING:
    from tests.conftest import Builder

SHARES = {"a": 0.9, "b": 0.75, "c": 0.7, "d": 0.65, "e": 0.6, "f": 0.6}
ROUTE = "route={posterior: {seats: 4, reserves: 2}}"
MOA = ("route=all", "synthesise={moa: {aggregator: chief, layers: 2}}")


class House:
    """Six experts of whom some say nothing now and then, their profile and their test."""

    def __init__(self, build: Builder) -> None:
        self.build = build
        self.profiled, self.items = build.items(60, prefix="p"), build.items(40)
        self.heard: list[Request] = []
        scripts = build.scripts([*self.profiled, *self.items], SHARES, absent=0.15)
        self.scripts = {name: self._listening(script) for name, script in scripts.items()}
        self.roster = build.scripted(*SHARES)
        self.out = build.folder / "redteam"

    def _listening(self, script: Script) -> Script:
        def listen(request: Request) -> Any:
            self.heard.append(request)
            return script(request)

        return listen

    @property
    def workers(self) -> WorkerPool:
        return WorkerPool(self.scripts)

    def table(self) -> RecruitmentTable:
        return asyncio.run(profile_experts(self.roster, self.profiled, workers=self.workers))

    def pipeline(self, *overrides: str, source: str = "orchestra") -> Pipeline:
        return Pipeline.load(
            source,
            roster=self.roster,
            table=self.table(),
            workers=self.workers,
            overrides=overrides or (ROUTE,),
        )

    def run(
        self,
        pipeline: Pipeline,
        sweep: Sweep,
        names: Sequence[str] = ("weighted", "robust"),
        *,
        defences: Sequence[Defence] | None = None,
    ) -> Evaluation:
        chosen = defences_of(names, pipeline) if defences is None else defences
        return asyncio.run(
            redteam_run(pipeline, self.items, self.out, sweep=sweep, defences=chosen)
        )


class Deaf(House):
    """Experts who write the lie that they are told to, except where their calls fail."""

    def __init__(self, build: Builder, names: str = "abcdefghijkl", fails: str = "stress") -> None:
        super().__init__(build)
        self.items, self.fails = build.items(12), fails
        self.roster = build.scripted(*names)
        scripts = build.scripts([*self.profiled, *self.items], dict.fromkeys(names, 0.8))
        self.scripts = {name: self.obeying(script) for name, script in scripts.items()}

    def obeying(self, script: Script) -> Script:
        def obey(request: Request) -> Any:
            told = "\n".join(message.content for message in request.messages)
            if self.fails in told:
                raise ValueError("cannot lie" if request.question_id == "q0" else "will not lie")
            wanted = re.search(r'word for word:\n"(.+)"', told)
            return script(request) if wanted is None else wanted[1]

        return obey

    def report(self, *attacks: str) -> Any:
        pipeline = self.pipeline(
            "route=all", f"generate.calls={len(self.scripts)}", source="majority"
        )
        sweep = Sweep(attacks_of(attacks), (1,), seeds=1, form="live")
        return self.run(pipeline, sweep).report


class Chaired(House):
    """The same with a chief, who believes whoever is listed last."""

    def __init__(self, build: Builder) -> None:
        super().__init__(build)
        names = "".join(f"  - {{name: {name}, model: {name}, roles: [answer]}}\n" for name in "abc")
        self.roster = self.roster.loads(
            "schema: 1\ndefaults: {worker: scripted}\nexperts:\n"
            + names
            + "  - {name: chief, model: chief, roles: [synthesise]}\n",
            "roster",
        )
        again = {name: self._again(self.scripts[name]) for name in "abc"}
        self.scripts = {**again, "chief": self._listening(self._believing)}
        self.items = self.items[:10]

    def _again(self, script: Script) -> Script:
        return lambda request: script(replace(request, layer=0))

    @staticmethod
    def _believing(request: Request) -> str:
        told = "\n".join(message.content for message in request.messages)
        found = re.findall(r"The answer is \(([A-D])\)", told)
        return f"Taken together: the answer is ({found[-1]})." if found else "Who could tell?"


class Panelled(House):
    """The same with a chief; `a` has turned since its profile, and some calls fail."""

    def __init__(self, build: Builder) -> None:
        super().__init__(build)
        names = "".join(
            f"  - {{name: {name}, model: {name}, roles: [answer]}}\n" for name in SHARES
        )
        self.roster = self.roster.loads(
            "schema: 1\ndefaults: {worker: scripted}\nexperts:\n"
            + names
            + "  - {name: chief, model: chief, roles: [synthesise]}\n",
            "roster",
        )
        self.profiled, self.items = build.items(120, prefix="p"), build.items(60)
        scripts = build.scripts([*self.profiled, *self.items], SHARES, absent=0.1)
        self.gold = {item.question.id: str(item.gold) for item in self.items}
        self.scripts = {name: self._failing(name, each) for name, each in scripts.items()}
        self.scripts["chief"] = Chaired._believing

    def _failing(self, name: str, script: Script) -> Script:
        def reply(request: Request) -> Any:
            gold, place = self.gold.get(request.question_id), request.question_id[1:]
            if gold is not None and int(place) % 11 == ord(name) - ord("a"):
                raise ValueError("down")
            if gold is not None and name == "a":  # right on the profile, and now always wrong
                return f"The answer is ({'ABCD'['ABCD'.index(gold) - 1]})"
            return script(replace(request, layer=0))

        return reply


def decide(pipeline: Pipeline, items: Sequence[Item]) -> Batch:
    return asyncio.run(pipeline.run([item.question for item in items]))


async def tried(
    pipeline: Pipeline, items: Sequence[Item], sweep: Sweep, names: Sequence[str]
) -> Any:
    """The trials of a sweep, without a folder."""
    team = RedTeam(pipeline, items, sweep, defences_of(names, pipeline))
    honest = await team.honest()
    return honest, [await team.trial(each) for each in sweep.conditions(pipeline.seed)]


def lying_answers(
    rows: Mapping[str, Mapping[Seat, Answer]], lies: Lies, *, cascade: str = "stated"
) -> dict[str, dict[Seat, Answer]]:
    """Honest answers (question id -> seat -> answer) with the liars' in place of theirs."""
    found: dict[str, dict[Seat, Answer]] = {}
    for question_id, row in rows.items():
        found[question_id] = {}
        for seat, answer in row.items():
            lie = lies.of(question_id, seat.expert)
            if lie is not None and lies.attack.role == "answer":
                answer = lying_draft(Draft(seat, answer), lie, lies, cascade=cascade).answer
            found[question_id][seat] = answer
    return found
