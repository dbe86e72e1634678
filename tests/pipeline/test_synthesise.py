"""The synthesise stage: who is shown what, what is kept, and whose answer counts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from orchestra.embedded import Split, embedded_roster, questions
from orchestra.errors import BudgetExhausted, InputError, OrchestraError, WorkerError
from orchestra.evals import evaluate_run, profile_experts, reread
from orchestra.pipeline import Batch, Pipeline, WorkerPool, foresee, load_spec
from orchestra.records import Question, Request
from orchestra.roster import Roster
from orchestra.runs import Account, Budget, Ledger, RowKind, RunFolder
from orchestra.synthesis import DEFENCES

if TYPE_CHECKING:
    from tests.conftest import Builder

LISTED = re.compile(r"^\d+\. (.+)$", re.MULTILINE)
CALLS = {
    "none": 1,
    "cluster-filter": 1,
    "cluster-prompt": 1,
    "dropout-vote": 7,
    "dropout-cluster": 8,
}
Hook = Callable[[Request], None]


class Panel:
    """Three who draft, of whom `c` lies, and a chief who believes whoever is listed last."""

    def __init__(self, build: Builder, n: int = 4, *, chief: str = "", hook: Hook | None = None):
        self.build, self.hook = build, hook
        self.items = build.items(n)
        self.questions = [item.question for item in self.items]
        self.chief = chief
        self.asked: list[Request] = []
        self.roster = Roster.loads(
            "schema: 1\ndefaults: {worker: scripted}\nexperts:\n"
            + "".join(f"  - {{name: {name}, model: {name}, roles: [answer]}}\n" for name in "abc")
            + "  - {name: chief, model: chief, roles: [synthesise]}\n",
            "roster",
        )

    def says(self, request: Request) -> str:
        if self.hook is not None:
            self.hook(request)
        self.asked.append(request)
        if request.expert == "chief":
            return self.chief or f"Taken together: {LISTED.findall(system(request))[-1]}"
        again = " again" if request.layer else ""
        return f"<think>Hm.</think>{request.expert} says{again}: {self.letter(request)}"

    def letter(self, request: Request) -> str:
        gold = next(i.gold for i in self.items if i.question.id == request.question_id)
        wrong = "A" if gold != "A" else "B"
        return f"the answer is ({wrong if request.expert == 'c' else gold})."

    def pipeline(self, **moa: object) -> Pipeline:
        tolerance = moa.pop("tolerance", 0.1)
        source = self.build.pipeline_file(
            route="all",
            vote="majority",
            generate={"draft": {"tolerance": tolerance}},
            synthesise={"moa": {"aggregator": "chief", **moa}},
        )
        workers = WorkerPool({expert.name: self.says for expert in self.roster})
        return Pipeline.load(source, roster=self.roster, workers=workers)

    def run(self, ledger: Ledger | None = None, **moa: object) -> Batch:
        return asyncio.run(self.pipeline(**moa).run(self.questions, ledger=ledger))

    def right(self, outcomes: Batch) -> list[bool]:
        pairs = zip(outcomes.decisions, self.items, strict=True)
        return [decision.value == item.gold for decision, item in pairs]

    def of(self, expert: str, question_id: str = "q0") -> list[Request]:
        who = (expert, question_id)
        return [each for each in self.asked if (each.expert, each.question_id) == who]


def system(request: Request) -> str:
    return "".join(each.content for each in request.messages if each.role == "system")


@pytest.fixture
def panel(build: Builder) -> Panel:
    return Panel(build)


# Who is shown what


def test_the_aggregator_is_shown_every_draft_without_reasoning(panel: Panel) -> None:
    outcomes = panel.run()
    (request,) = panel.of("chief")
    assert (request.stage, request.layer, request.sample) == ("synthesise", 1, 0)
    assert LISTED.findall(system(request)) == [
        f"{name} says: {panel.letter(replace(request, expert=name))}" for name in "abc"
    ]
    assert panel.right(outcomes) == [False] * 4  # it believes the liar
    assert {each.method for each in outcomes.decisions} == {"moa"}
    assert all(each.text.startswith("Taken together: c says") for each in outcomes.decisions)


@pytest.mark.parametrize(
    ("defence", "right"),
    [("cluster-filter", True), ("cluster-prompt", False), ("dropout-vote", False)],
)
def test_defences_change_what_is_decided(panel: Panel, defence: str, right: bool) -> None:
    outcomes = panel.run(defence=defence)
    assert panel.right(outcomes) == [right] * 4
    assert {each.method for each in outcomes.decisions} == {f"moa+{defence}"}


def test_nobody_is_shown_what_suspects_wrote(build: Builder) -> None:
    """`c` is wrong on every profiled question, worse than guessing: the vote does not trust it."""
    panel = Panel(build, 80)
    workers = WorkerPool({expert.name: panel.says for expert in panel.roster})
    table = asyncio.run(profile_experts(panel.roster, panel.items, workers=workers))
    panel.asked.clear()
    source = build.pipeline_file(
        route="all", vote="robust", synthesise={"moa": {"aggregator": "chief", "layers": 2}}
    )
    pipeline = Pipeline.load(source, roster=panel.roster, table=table, workers=workers)
    outcomes = asyncio.run(pipeline.run(panel.questions))
    assert [each.expert for each in outcomes.trust.suspects] == ["c"]
    assert panel.right(outcomes) == [True] * 80
    again = [each for each in panel.asked if each.layer == 1 and each.stage == "generate"]
    assert {each.expert for each in again} == {"a", "b"}
    shown = [each for each in panel.asked if each.layer]
    assert all("c says" not in system(each) for each in shown)
    assert all("a says" in system(each) for each in shown)


@pytest.mark.parametrize("defence", DEFENCES)
def test_consultations_are_calls_of_one_load(panel: Panel, defence: str) -> None:
    outcomes = panel.run(defence=defence)
    consulted = outcomes.counts.of("synthesise")
    assert consulted.calls == len(panel.asked) - 12 == 4 * CALLS[defence]
    assert [each.sample for each in panel.of("chief")] == list(range(CALLS[defence]))
    assert outcomes.counts.calls == 12 + consulted.calls
    assert outcomes.counts.usage.calls == outcomes.counts.calls
    assert list(outcomes.counts.of("synthesise").usage) == ["chief"]
    assert (outcomes.counts.loads.loads, outcomes.counts.loads.lower_bound) == (4, 4)


def test_nobody_is_warned_where_that_is_asked(panel: Panel) -> None:
    panel.run(oblivious=True)
    assert "critically" not in system(panel.of("chief")[0])


def test_everybody_drafts_again_in_view_of_all(panel: Panel) -> None:
    outcomes = panel.run(layers=3)
    assert [(each.layer, each.stage) for each in panel.of("a")] == [
        (i, "generate") for i in range(3)
    ]
    first, second, third = panel.of("a")
    assert system(first) == ""
    assert [each.split(":")[0] for each in LISTED.findall(system(second))] == [
        f"{name} says" for name in "abc"
    ]
    assert [each.split(":")[0] for each in LISTED.findall(system(third))] == [
        f"{name} says again" for name in "abc"
    ]
    (last,) = panel.of("chief")
    assert last.layer == 3
    assert "a says again" in system(last)
    assert outcomes.counts.of("synthesise").calls == 4 * (3 + 3 + 1)
    assert list(outcomes.counts.of("synthesise").usage) == ["a", "b", "c", "chief"]
    assert (outcomes.counts.loads.loads, outcomes.counts.loads.lower_bound) == (3 + 2 + 2 + 1, 4)
    # The votes are those of the first layer, which nobody could influence.
    assert [each.winner for each in outcomes.ballots] == [item.gold for item in panel.items]


def test_a_silent_panel_is_not_put_together(panel: Panel) -> None:
    panel.says = lambda request: ""  # type: ignore[method-assign]
    outcomes = panel.run(defence="dropout-cluster")
    assert outcomes.counts.of("synthesise").calls == 0
    assert {each.abstained for each in outcomes.decisions} == {"empty"}


def test_no_questions(panel: Panel) -> None:
    panel.questions = []
    outcomes = panel.run(layers=2)
    assert (outcomes.decisions, outcomes.counts.calls) == ((), 0)


@pytest.mark.parametrize("defence", DEFENCES)
def test_one_question_is_a_batch_of_one(panel: Panel, defence: str) -> None:
    batch = panel.run(defence=defence)
    pipeline = panel.pipeline(defence=defence)
    alone = [asyncio.run(pipeline.answer(each)) for each in panel.questions]
    assert alone == list(batch.decisions)


# What counts


@pytest.mark.parametrize(
    ("decide", "right", "method"), [("aggregator", False, "moa"), ("guarded", True, "majority")]
)
def test_who_decides(panel: Panel, decide: str, right: bool, method: str) -> None:
    outcomes = panel.run(decide=decide)
    assert panel.right(outcomes) == [right] * 4
    assert {each.method for each in outcomes.decisions} == {method}


def test_an_answer_that_cannot_be_read_leaves_the_votes(build: Builder) -> None:
    panel = Panel(build, chief="They are all very good.")
    outcomes = panel.run()
    assert panel.right(outcomes) == [True] * 4
    assert {(each.method, each.text) for each in outcomes.decisions} == {("majority", "")}


def test_a_failure_is_no_answer(build: Builder) -> None:
    def breaks(request: Request) -> None:
        if (request.expert, request.question_id) == ("chief", "q2"):
            raise OSError("no engine")

    panel = Panel(build, hook=breaks)
    outcomes = panel.run(tolerance=0.5)
    assert [each.method for each in outcomes.decisions] == ["moa", "moa", "majority", "moa"]
    assert outcomes.counts.of("synthesise").failures == 1


def test_too_many_failures_stop_the_run(build: Builder, tmp_path: Path) -> None:
    def breaks(request: Request) -> None:
        if request.expert == "chief" and broken:
            raise OSError("no engine")

    broken, panel = True, Panel(build, hook=breaks)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(WorkerError, match="calls failed"):
            panel.run(ledger)
        broken = False
        asked = len(panel.asked)
        assert all(each.method == "moa" for each in panel.run(ledger).decisions)
        assert len(panel.asked) == asked + 4  # only what had failed


# What is kept


@pytest.mark.parametrize("stop", [1, 9, 13, 17, 30, 40])
@pytest.mark.parametrize("moa", [{"defence": "dropout-cluster"}, {"layers": 2}], ids=str)
def test_an_interrupted_run_goes_on(
    build: Builder, tmp_path: Path, moa: dict[str, Any], stop: int
) -> None:
    calm, panel = Panel(build), Panel(build)
    expected = calm.run(**moa)
    stop %= len(calm.asked)

    def interrupt(request: Request) -> None:
        if len(panel.asked) == stop:
            raise KeyboardInterrupt

    panel.hook = interrupt
    with Ledger(tmp_path / "ledger.sqlite") as ledger, pytest.raises(KeyboardInterrupt):
        panel.run(ledger, **moa)
    panel.hook = None
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        outcomes = panel.run(ledger, **moa)
        assert tuple(ledger.rows(RowKind.DECISION)) == outcomes.decisions
        assert ledger.count(RowKind.GENERATION) == len(calm.asked)
    assert outcomes == expected
    assert len({each.key for each in panel.asked}) == len(panel.asked) == len(calm.asked)


def test_a_budget_stops_and_a_larger_one_goes_on(build: Builder, tmp_path: Path) -> None:
    panel = Panel(build)
    pipeline = panel.pipeline(defence="dropout-vote")

    def run(ledger: Ledger, calls: int) -> Batch:
        with Account.open(tmp_path / "account.sqlite", Budget(calls=calls)) as account:
            return asyncio.run(pipeline.run(panel.questions, ledger=ledger, account=account))

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(BudgetExhausted):
            run(ledger, 20)
        assert len(panel.asked) == 20
        assert run(ledger, 40).counts.calls == len(panel.asked) == 40


def test_another_draft_is_another_consultation(build: Builder, tmp_path: Path) -> None:
    panel = Panel(build)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        panel.run(ledger)
        panel.run(ledger)
        assert len(panel.asked) == 16
        panel.run(ledger, defence="cluster-filter")
        assert len(panel.asked) == 20
        panel.run(ledger, oblivious=True)
        assert len(panel.asked) == 24


# Reports


def evaluated(panel: Panel, folder: Path, **moa: object) -> dict[str, Any]:
    done = asyncio.run(evaluate_run(panel.pipeline(**moa), panel.items, folder))
    return dict(done.report)


def test_the_report_counts_the_synthesis(panel: Panel, tmp_path: Path) -> None:
    told = evaluated(panel, tmp_path / "run", defence="dropout-cluster", layers=2)
    asked = 12 + 12 + 4 * 8
    assert (told["calls"], told["calls_per_question"]) == (asked, asked / 4)
    stages = told["tokens"]["generate"], told["tokens"]["synthesise"]
    assert [sorted(each) for each in stages] == [["a", "b", "c"], ["a", "b", "c", "chief"]]
    for way in ("input", "output"):
        assert told["tokens"][way] == sum(e[way] for s in stages for e in s.values())
    found = told["synthesis"]
    assert (found["aggregator"], found["defence"], found["layers"]) == (
        "chief",
        "dropout-cluster",
        2,
    )
    assert (found["calls"], found["consultations"], found["failed"]) == (44, 32, 0)
    assert found["notes"] == {}  # answers told


def test_without_the_stage_the_report_is_as_ever(build: Builder, tmp_path: Path) -> None:
    panel = Panel(build)
    workers = WorkerPool({expert.name: panel.says for expert in panel.roster})
    pipeline = Pipeline.load("majority", roster=panel.roster, workers=workers)
    told = dict(asyncio.run(evaluate_run(pipeline, panel.items, tmp_path / "run")).report)
    assert "synthesis" not in told
    assert sorted(told["tokens"]) == ["estimated", "generate", "input", "output"]
    assert told["calls"] == 12


def test_a_run_is_marked_again_only_as_it_was_read(panel: Panel, tmp_path: Path) -> None:
    evaluated(panel, tmp_path / "run", defence="cluster-filter")
    with RunFolder.inspect(tmp_path / "run") as view:
        items = tuple(panel.items)
        assert reread(view, items).after.correct == 4
        assert sorted(reread(view, items).experts) == ["a", "b", "c"]
        with pytest.raises(InputError, match="`chief` put the drafts together"):
            reread(view, items, rule="lenient")


# At the door


@pytest.mark.parametrize("given", [{}, {"synthesise": "none"}, {"synthesise": {"none": {}}}])
def test_a_stage_that_does_nothing_changes_no_digest(build: Builder, given: dict[str, Any]) -> None:
    spec = load_spec(build.pipeline_file(route="all", **given))
    assert spec.digest == load_spec(build.pipeline_file(route="all")).digest
    moa = load_spec(build.pipeline_file(route="all", synthesise={"moa": "chief"}))
    assert moa.digest != spec.digest
    assert moa.synthesise.aggregator == "chief"


@pytest.mark.parametrize(
    ("moa", "says"),
    [
        ({"aggregator": ""}, "`moa` needs an aggregator"),
        ({"aggregator": "chef"}, "unknown expert: 'chef'"),
        ({"aggregator": "a"}, "expert `a` does not have the role `synthesise`"),
        ({"layers": 0}, "`layers` and `subsets` are at least 1"),
        ({"subsets": 0}, "`layers` and `subsets` are at least 1"),
        ({"defence": "cluster"}, "`cluster-filter`"),
        ({"decide": "judge"}, "unknown decide: 'judge'"),
        ({"aggregatr": "chief"}, "unknown option: 'aggregatr'"),
        pytest.param(
            {"embedder": "all-MiniLM-L6-v2"},
            "sentence_transformers",
            marks=pytest.mark.skipif(
                find_spec("sentence_transformers") is not None,
                reason="sentence-transformers is installed",
            ),
        ),
    ],
)
def test_what_cannot_be_done(panel: Panel, moa: dict[str, object], says: str) -> None:
    with pytest.raises(OrchestraError) as caught:
        panel.pipeline(**moa)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("aggregator", "layers", "recorded"), [("a", 1, "a"), ("chief", 2, "a"), ("chief", 1, "")]
)
def test_recordings_cannot_read_drafts(
    build: Builder, aggregator: str, layers: int, recorded: str
) -> None:
    items = build.items(5)
    path = build.recordings(build.rows(items, {"a": 1.0, "b": 1.0}))
    experts = [*build.recorded(path, "a", "b"), *build.scripted("chief", roles=["synthesise"])]
    source = build.pipeline_file(
        route="all", synthesise={"moa": {"aggregator": aggregator, "layers": layers}}
    )
    workers = WorkerPool({"chief": lambda request: "The answer is (A)."})

    def load() -> Pipeline:
        return Pipeline.load(source, roster=Roster.of(*experts), workers=workers)

    if recorded:
        with pytest.raises(InputError, match=f"expert `{recorded}` is recorded"):
            load()
    else:
        outcomes = asyncio.run(load().run([item.question for item in items]))
        assert {each.value for each in outcomes.decisions} == {"A"}


# The embedded experts, which really generate


class Interrupted(WorkerPool):
    """Leaves in the middle of what the chair says."""

    def open(
        self, expert: Any, *others: Any, account: Account | None = None, **options: Any
    ) -> Any:
        if expert.name == "chair":
            raise KeyboardInterrupt
        return super().open(expert, *others, account=account, **options)


@pytest.mark.parametrize("defence", ["cluster-filter", "dropout-vote"])
def test_the_embedded_chair(build: Builder, tmp_path: Path, defence: str) -> None:
    source = build.pipeline_file(
        route={"random": 3},
        vote="majority",
        synthesise={"moa": {"aggregator": "chair", "defence": defence}},
    )
    items = questions(2, of=Split.TEST)
    asked: list[Question] = [item.question for item in items]

    def run(ledger: Ledger | None, workers: WorkerPool) -> Batch:
        pipeline = Pipeline.load(source, roster=embedded_roster(), workers=workers)
        return asyncio.run(pipeline.run(asked, ledger=ledger))

    whole = run(None, WorkerPool())
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        with pytest.raises(KeyboardInterrupt):
            run(ledger, Interrupted())
        drafted = ledger.count(RowKind.GENERATION)
        assert drafted == 3 * len(asked)
        resumed = run(ledger, WorkerPool())
        assert ledger.count(RowKind.GENERATION) == whole.counts.calls
    assert resumed.decisions == whole.decisions
    by_chair = [each for each in whole.decisions if each.method == f"moa+{defence}"]
    assert len(by_chair) > len(asked) / 2
    assert all(each.text for each in by_chair)


def test_the_plan_of_such_a_pipeline(panel: Panel) -> None:
    told = asyncio.run(foresee(panel.pipeline(defence="dropout-cluster"), panel.questions))
    assert told.calls == 12 + 4 * 8
