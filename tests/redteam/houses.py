"""Panels of scripted experts for red teams: honest, unable to lie live, or with a chief."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestra.evals import Evaluation, Item, profile_experts
from orchestra.pipeline import Batch, Pipeline, WorkerPool
from orchestra.records import Request
from orchestra.redteam import Sweep, Way, attacks_of, redteam_run, ways_of
from orchestra.redteam.company import Means
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
        ways: Sequence[Way] | None = None,
    ) -> Evaluation:
        chosen = ways_of(names, pipeline) if ways is None else ways
        return asyncio.run(redteam_run(pipeline, self.items, self.out, sweep=sweep, ways=chosen))


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


def decide(pipeline: Pipeline, items: Sequence[Item]) -> Batch:
    return asyncio.run(pipeline.run([item.question for item in items]))


async def tried(
    pipeline: Pipeline, items: Sequence[Item], sweep: Sweep, names: Sequence[str]
) -> Any:
    """The trials of a sweep, without a folder."""
    asked = {item.question.id: item.question for item in items}
    briefs = await pipeline.brief(list(asked.values()))
    team = RedTeam(
        Means(pipeline, asked), items, sweep=sweep, ways=ways_of(names, pipeline), briefs=briefs
    )
    honest = await team.honest()
    return honest, [await team.trial(each) for each in sweep.conditions(pipeline.seed)]
