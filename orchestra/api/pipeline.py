"""The public `Pipeline`: fit, route, ask, run, save and load.

Sync and async by prefix: `ask` and `aask`, `fit` and `afit`, `run` and `arun`, `route` and
`aroute`. Sync names work in scripts, threads and notebooks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from orchestra.api.results import Answered, Report, Route, Run
from orchestra.errors import InputError, expect, unknown
from orchestra.evals import (
    ArmsAsked,
    AskedDraft,
    Dataset,
    Item,
    ask,
    asked_question,
    evaluate_run,
    lacking,
    load_dataset,
    past_tolerance,
    profile_experts,
    profile_folder,
    profile_identity,
    write_items,
)
from orchestra.pipeline import History, Progress, memory_beside
from orchestra.pipeline import Pipeline as Engine
from orchestra.pipeline.context import check_budget
from orchestra.records import (
    Question,
)
from orchestra.report import (
    progress_bar,
)
from orchestra.roster import Expert, Roster, yaml_text
from orchestra.roster.roster import _as_data as expert_data
from orchestra.runs import Account, Budget, Ledger, write_whole
from orchestra.skills import RecruitmentTable, read_table, write_table
from orchestra.skills.tagging.base import label_of
from orchestra.sync import wait
from orchestra.workers.pool import WorkerPool
from orchestra.workers.scripted import Script

P = ParamSpec("P")
R = TypeVar("R")

_PLACE = (str, Path, type(None))
_PIPELINE, _ROSTER, _TABLE, _ITEMS = "pipeline.yaml", "roster.yaml", "table.json", "items.jsonl"


def _sync(
    method: Callable[Concatenate[Pipeline, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[Pipeline, P], R]:
    """The sync twin of an async method. Of several threads, a pipeline serves one at a time."""

    @wraps(method)
    def call(self: Pipeline, /, *args: P.args, **given: P.kwargs) -> R:
        return wait(method(self, *args, **given), turn=self._turn)

    call.__name__ = method.__name__.removeprefix("a")
    call.__qualname__ = f"Pipeline.{call.__name__}"
    return call


class Pipeline:
    """A mixture of experts: routes each question, asks the experts, votes, and decides.

    Args:
        pipeline: the name of a shipped pipeline, or a pipeline file.
        experts: a Roster, its file, or Experts.
        seed: decides every random choice; None: the pipeline's own.
        table: what was measured of the experts, or its file; `fit` measures it.
        options: settings by name, `{"route.seats": 3, "vote": "majority"}`.
        scripts: expert name -> the function that plays it, for `worker: scripted`.
        workers: opens the experts instead of the default, for tests and wrappers.

    Raises:
        InputError: the pipeline, an option or an expert is wrong; every error at once.
    """

    def __init__(
        self,
        pipeline: str | Path,
        experts: Roster | str | Path | Iterable[Expert],
        *,
        seed: int | None = None,
        table: RecruitmentTable | str | Path | None = None,
        options: Mapping[str, object] = MappingProxyType({}),
        scripts: Mapping[str, Script] = MappingProxyType({}),
        workers: WorkerPool | None = None,
    ) -> None:
        expect("`pipeline`", pipeline, (str, Path), "a shipped pipeline's name, or a file")
        expect("`table`", table, (RecruitmentTable, *_PLACE), "a RecruitmentTable, or its file")
        expect("`options`", options, Mapping, 'settings by name: `{"route.seats": 3}`')
        expect("`scripts`", scripts, Mapping, "functions by the names of their experts")
        expect("`seed`", seed, (int, type(None)), "a whole number")
        expect("`workers`", workers, (WorkerPool, type(None)), "a WorkerPool")
        if isinstance(experts, str | Path):
            experts = Roster.load(experts)
        self.experts = experts if isinstance(experts, Roster) else Roster(experts)
        """The experts that may be asked."""
        self._source, self._seed = pipeline, seed
        self._options = tuple(f"{key}={json.dumps(value)}" for key, value in options.items())
        self._workers = workers or WorkerPool(scripts)
        self._table = read_table(table) if isinstance(table, str | Path) else table
        self._engines: dict[tuple[str, ...], Engine] = {}
        self._history = History()
        # Limits and connections serve one event loop at a time.
        self._turn = threading.Lock()
        self._engine()

    @classmethod
    def load(
        cls, folder: str | Path, *, scripts: Mapping[str, Script] = MappingProxyType({})
    ) -> Self:
        """The pipeline that `save` wrote. Functions are not saved: `scripts` gives them anew."""
        folder = Path(folder)
        table = folder / _TABLE
        team = cls(
            folder / _PIPELINE,
            folder / _ROSTER,
            table=table if table.exists() else None,
            scripts=scripts,
        )
        team._history = History(team._engine().identities, memory_beside(table), keeps=False)
        return team

    def save(self, folder: str | Path) -> None:
        """Write pipeline, experts, table, and what earlier `ask`s told of the experts into a
        folder, for `load` and the command line.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        roster = {"schema": 1, "experts": [expert_data(expert) for expert in self.experts]}
        pipeline = {**self._engine().spec.data, "seed": self.seed}
        for name, content in ((_PIPELINE, pipeline), (_ROSTER, roster)):
            plain = json.loads(json.dumps(content, default=str))
            write_whole(folder / name, yaml_text(plain).encode())
        if self._table is not None:
            write_table(self._table, folder / _TABLE)
            self._history.save(memory_beside(folder / _TABLE), self._engine().identities)

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self._engine().spec.name

    @property
    def seed(self) -> int:
        """Decides every random choice."""
        return self._engine().seed

    @property
    def table(self) -> RecruitmentTable | None:
        """What `fit` measured of the experts; None: nothing yet."""
        return self._table

    def __repr__(self) -> str:
        measured = "not fitted"
        if self._table is not None:
            measured = f"fitted on {len(self._table.briefs):,} questions"
        return f"Pipeline({self.name!r}, {len(self.experts)} experts, {measured})"

    async def afit(
        self,
        train: object,
        *,
        tagger: str = "",
        out: str | Path | None = None,
        cache: str | Path | None = None,
        budget: Budget | None = None,
        tolerance: float = 0.1,
        progress: bool | Progress = True,
    ) -> Self:
        """Measure every expert on labelled questions, and use the result from now on.

        Args:
            train: labelled questions; see `load_dataset`.
            tagger: `category`, `lexical`, `embedding:MODEL` or `keywords:EXPERT`; by default
                `keywords` with an expert whose role is to tag; without one, `category` where
                every question has a category, else `lexical`.
            out: a folder that keeps the calls: those that it has are not made again.
            cache: a file that shares calls with other runs, likewise; None: none is shared.
            budget: the most that may be spent.
            tolerance: share of the calls that may fail, in [0, 1].
            progress: False shows none; a function is called with (stage, done, expected).

        Returns:
            The pipeline itself.

        Raises:
            WorkerError: more calls failed; `table` has the evidence of the others, unless all did.
            BudgetExhausted: the budget ended; what `out` or `cache` keeps is kept.
        """
        experts = self.experts
        with _shown(progress) as shown:
            items = load_dataset(train)
            tagger = tagger or _tagger_for(items, experts)
            protocol = items.exam.protocol if items.exam else None
            read = protocol.read if protocol else "stated"
            kept = self._kept(items, tagger, out, read=read)
            with _paying(experts, budget) as account, kept as ledger:
                workers = _sharing(self._workers, cache)
                workers.account = account or workers.account
                table = await profile_experts(
                    experts,
                    items,
                    tagger=tagger,
                    read=read,
                    workers=workers,
                    ledger=ledger,
                    progress=shown,
                )
                lacks = lacking(table, table.experts, ledger=ledger)
        self._table = table
        self._engines.clear()
        self._history = History()
        if error := past_tolerance(table, table.experts, lacks, tolerance):
            raise error
        return self

    async def aroute(
        self,
        text: str | Mapping[str, object] | Question | Item,
        *,
        options: Sequence[str] = (),
        kind: str = "",
        category: str = "",
        context: str = "",
    ) -> Route:
        """The experts that a question would go to, and why. Drafts are not generated.

        Args:
            text: the question.
            options: its options, where it is a choice.
            kind: `choice`, `number`, `text`, ...; inferred where it is empty.
            category: the question's own subject label, if it has one.
            context: a passage that the question is about.
        """
        question = _question(text, options=options, kind=kind, category=category, context=context)
        return await _routed(self._engine_for([question]), question)

    async def aask(
        self,
        text: str | Mapping[str, object] | Question | Item,
        *,
        options: Sequence[str] = (),
        kind: str = "",
        category: str = "",
        context: str = "",
        drafted: Callable[[AskedDraft], None] = lambda draft: None,
    ) -> Answered:
        """Answer one question. Arguments are those of `route`.

        Without options, and where it asks for no number, the answer may be of any length (kind
        `open`). Votes that compare experts with their profile see earlier questions too.

        Args:
            drafted: called with each expert's draft, as it comes.

        Raises:
            WorkerError: every call failed. A part of the calls may fail.
        """
        question = _question(text, options=options, kind=kind, category=category, context=context)
        engine = self._engine_for([question])
        return Answered(await ask(engine, question, history=self._history, drafted=drafted))

    async def arun(
        self,
        data: object,
        *,
        out: str | Path | None = None,
        cache: str | Path | None = None,
        limit: int | None = None,
        budget: Budget | None = None,
        arms: ArmsAsked = "free",
        progress: bool | Progress = True,
    ) -> Run:
        """Answer many questions, each expert loaded once where that can be, and report.

        Args:
            data: the questions, labelled or not; see `load_dataset`.
            out: the run folder; the same call resumes, and a finished run is only read. None:
                the run is in memory only.
            cache: a file that shares calls with other runs: those that it has are not made again.
                None: none is shared.
            limit: the most questions.
            budget: the most that may be spent, beside the pipeline's own limits.
            arms: `all` also asks every live expert every question, for the report's comparisons.
            progress: False shows none; a function is called with (stage, done, expected).

        Raises:
            BudgetExhausted, WorkerError: the run stopped; with `out`, finished work is kept.
        """
        expect("`out`", out, _PLACE, "a folder")
        files: dict[str, Path] = {}
        with _shown(progress) as shown:
            items = load_dataset(data, limit=limit, seed=self.seed)
            if out is not None:  # a benchmark is found again by its name, and stays where it is
                files |= {} if items.exam else {"items": Path(out).absolute() / _ITEMS}
                files |= {} if self._table is None else {"table": Path(out).absolute() / _TABLE}
            more = (*self._reading(items), *_limits(budget))
            engine = self._engine_for([item.question for item in items], *more)
            done = await evaluate_run(
                replace(engine, workers=_sharing(self._workers, cache)) if cache else engine,
                items,
                out,
                details={
                    "command": "orchestra.Pipeline.run",
                    **{name: str(path) for name, path in files.items()},
                },
                arms=arms,
                progress=shown,
            )
        if out is not None and not done.resumed:
            if "items" in files:
                write_items(files["items"], items)
            if self._table is not None:
                write_table(self._table, files["table"])
        report = Report(done.report, engine.table)
        marks = done.marks(items)
        return Run(
            report, items, done.ballots, done.decisions, marks, done.folder, resumed=done.resumed
        )

    fit, route, ask, run = _sync(afit), _sync(aroute), _sync(aask), _sync(arun)

    def _engine(self, *more: str) -> Engine:
        """The machinery under these settings. The only place that makes it."""
        if more not in self._engines:
            self._engines[more] = Engine.load(
                self._source,
                roster=self.experts,
                table=self._table,
                workers=self._workers,
                seed=self._seed,
                overrides=(*self._options, *more),
            )
        return self._engines[more]

    def _engine_for(self, questions: Sequence[Question], *more: str) -> Engine:
        """The machinery with a tagger that reads these questions.

        Where the table's skills are categories and no question names one, words decide.
        """
        engine = self._engine(*more)
        if engine.table is None or engine.tag.kind != "category":
            return engine
        labels = {label_of(question) for question in questions} - {""}
        if not labels:
            kinds = {question.kind.value for question in questions}
            return engine if kinds <= {*engine.table.skills} else self._engine("tag=lexical", *more)
        if len(questions) == 1 and labels.isdisjoint(engine.table.skills):
            raise unknown("category", labels.pop(), engine.table.skills)
        return engine

    def _reading(self, items: Dataset) -> tuple[str, ...]:
        """The setting of a benchmark's protocol, unless another cascade was asked for."""
        protocol = items.exam.protocol if items.exam else None
        own = any(each.startswith("generate.read") for each in self._options)
        return () if protocol is None or own else (f"generate.read={protocol.read}",)

    def _kept(
        self, items: Sequence[Item], tagger: str, out: str | Path | None, *, read: str
    ) -> AbstractContextManager[Ledger | None]:
        expect("`out`", out, _PLACE, "a folder")
        if out is None:
            return nullcontext()
        identity = profile_identity(
            self.experts, items, tagger=tagger, read=read, workers=self._workers
        )
        details = {"experts": list(self.experts.names)}
        return profile_folder(
            Path(out), command="orchestra.Pipeline.fit", identity=identity, details=details
        )


async def _routed(engine: Engine, question: Question) -> Route:
    (brief,) = await engine.brief([question])
    (plan,) = engine.plan([brief])
    return Route(question, brief, plan, engine.spec.generate.calls)


def _question(text: str | Mapping[str, object] | Question | Item, **details: object) -> Question:
    """The question that the arguments mean, checked as those of a dataset are."""
    expect("a question", text, (str, Mapping, Question, Item), "a string, mapping or Question")
    empty = (str, list, tuple, type(None))
    given = {name: each for name, each in details.items() if not isinstance(each, empty) or each}
    if isinstance(text, str):
        return asked_question({"question": text, **given})
    if given:
        raise InputError(f"`{next(iter(given))}` belongs into the question that was given")
    if isinstance(text, Mapping):
        return asked_question(text)
    return load_dataset([text])[0].question


def _tagger_for(items: Sequence[Item], experts: Roster) -> str:
    """The roster's own tagger, else the questions' categories, else their words."""
    for expert in experts:
        if "tag" in expert.roles and "answer" not in expert.roles:
            return f"keywords:{expert.name}"
    return "category" if all(item.question.category for item in items) else "lexical"


def _limits(budget: Budget | None) -> tuple[str, ...]:
    """A budget as settings."""
    expect("`budget`", budget, (Budget, type(None)), "a Budget", hint="`Budget(money=5)`")
    if budget is None:
        return ()
    limits = {each.name: getattr(budget, each.name) for each in fields(budget)}
    return tuple(f"budget.{name}={most}" for name, most in limits.items() if most is not None)


def _sharing(workers: WorkerPool, cache: str | Path | None) -> WorkerPool:
    """The same pool, for one call, with a cache of its own."""
    changed = copy(workers)
    changed.cache = changed.cache if cache is None else Path(cache)
    return changed


def _paying(experts: Roster, budget: Budget | None) -> AbstractContextManager[Account | None]:
    if budget is None:
        return nullcontext()
    check_budget(budget, experts)
    return Account.open(None, budget)


def _shown(progress: bool | Progress) -> AbstractContextManager[Progress | None]:
    """What is told how far the work is: a bar, the caller's function, or nobody."""
    if progress is True:
        return progress_bar()
    return nullcontext(None if progress is False else progress)
