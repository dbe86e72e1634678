"""Run folders: a run resumes, a finished one is left alone, another's is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from orchestra.errors import BudgetExhausted, InputError, RunConflict, WorkerError
from orchestra.evals import Item, evaluate_run, profile_experts
from orchestra.evals.evaluate import Evaluation
from orchestra.pipeline import Pipeline, WorkerPool
from orchestra.records import Request
from orchestra.runs import RowKind, RunFolder, RunStatus
from orchestra.skills import RecruitmentTable
from orchestra.workers.scripted import Script

if TYPE_CHECKING:
    from tests.conftest import Builder

SHARES = {"a": 0.8, "b": 0.5}


class House:
    """A roster of two and thirty questions."""

    def __init__(self, build: Builder) -> None:
        self.build, self.items = build, build.items(30)
        self.scripts = build.scripts(self.items, SHARES, absent=0.1)
        self.out = build.folder / "run"
        self.asked: list[str] = []
        self.source: str | Path = "majority"
        self.fields: dict[str, object] = {}
        self.table: RecruitmentTable | None = None
        self.overrides: tuple[str, ...] = ()
        self.seed = 0

    def script(self, name: str) -> Script:
        def says(request: Request) -> Any:
            self.asked.append(request.expert)
            return self.scripts[name](request)

        return says

    def pipeline(self) -> Pipeline:
        return Pipeline.load(
            self.source,
            roster=self.build.scripted(*self.scripts, **self.fields),
            table=self.table,
            workers=WorkerPool({name: self.script(name) for name in self.scripts}),
            seed=self.seed,
            overrides=self.overrides,
        )

    def run(self) -> Evaluation:
        details = {"command": "orchestra run"}
        return asyncio.run(evaluate_run(self.pipeline(), self.items, self.out, details=details))


def _same(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report without what a stop and a resume add to it."""
    return {k: v for k, v in report.items() if k not in ("seconds", "spending", "spent")}


@pytest.fixture
def house(build: Builder) -> House:
    return House(build)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "lock"}


def test_a_run_leaves_a_whole_folder(house: House) -> None:
    done = house.run()
    assert not done.resumed
    with RunFolder.inspect(house.out) as view:
        assert view.finished
        assert view.manifest.command == "orchestra run"
        assert view.read_report() == orjson.loads(orjson.dumps(done.report))
        assert view.ledger.count(RowKind.DECISION) == 30
        assert view.ledger.count(RowKind.GENERATION) == 60


def test_a_finished_run_is_left_alone(house: House) -> None:
    first = house.run()
    before, house.asked = files(house.out), []
    again = house.run()
    assert again.resumed
    assert again.report == orjson.loads(orjson.dumps(first.report))
    assert house.asked == []
    assert files(house.out) == before


def test_a_lost_report_is_written_again(house: House) -> None:
    first = house.run()
    (house.out / "report.json").unlink()
    again = house.run()
    assert not again.resumed
    assert {**again.report, "seconds": 0} == {**first.report, "seconds": 0}
    with RunFolder.inspect(house.out) as view:
        assert view.ledger.count(RowKind.DECISION) == 30


CHANGES: list[tuple[str, Callable[[House], object]]] = [
    ("seed", lambda h: setattr(h, "seed", 1)),
    ("pipeline", lambda h: setattr(h, "overrides", ("vote=weighted",))),
    ("pipeline", lambda h: setattr(h, "overrides", ("generate.read=strict",))),
    ("items", lambda h: setattr(h, "items", h.items[:20])),
    ("items", lambda h: h.items.__setitem__(0, replace(h.items[0], gold="D"))),
    ("labels", lambda h: h.items.__setitem__(0, relabelled(h.items[0]))),
    ("roster", lambda h: h.scripts.pop("b")),
    ("roster", lambda h: setattr(h, "fields", {"system": "Be brief."})),
    ("roster", lambda h: setattr(h, "fields", {"sampling": {"temperature": 0.5}})),
    ("roster", lambda h: setattr(h, "fields", {"price": {"input": 1.0, "output": 1.0}})),
    ("table", lambda h: setattr(h, "table", table(h))),
]


def relabelled(item: Item) -> Item:
    return replace(item, question=replace(item.question, category="history"))


def table(house: House) -> RecruitmentTable:
    roster = house.build.scripted(*house.scripts)
    return asyncio.run(profile_experts(roster, house.items[:5], workers=WorkerPool(house.scripts)))


@pytest.mark.parametrize(("part", "change"), CHANGES)
def test_another_run_is_refused_and_nothing_is_touched(
    house: House, part: str, change: Callable[[House], object]
) -> None:
    house.run()
    before = files(house.out)
    change(house)
    with pytest.raises(RunConflict, match=f"a run with another .*`{part}`") as caught:
        house.run()
    assert caught.value.exit_code == 2
    assert files(house.out) == before


def test_names_and_words_do_not_make_another_run(house: House, build: Builder) -> None:
    house.source = build.pipeline_file("one", route="all", description="first")
    house.run()
    house.source = build.pipeline_file("two", route="all", description="second")
    assert house.run().resumed


def test_a_folder_of_something_else(house: House) -> None:
    house.out.mkdir()
    (house.out / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(RunConflict, match="not a run folder"):
        house.run()
    assert files(house.out) == {"thesis.tex": b"years of work"}


def test_a_budget_stops_a_run_and_a_larger_one_finishes_it(house: House) -> None:
    whole = house.run().report
    house.out, house.asked = house.build.folder / "stopped", []
    house.overrides = ("budget.calls=25",)
    with pytest.raises(BudgetExhausted):
        house.run()
    assert len(house.asked) == 25
    with RunFolder.inspect(house.out) as view:
        assert view.manifest.status is RunStatus.STOPPED
        assert view.ledger.count(RowKind.GENERATION) == 25
    house.overrides = ("budget.calls=60",)
    done = house.run()
    assert len(house.asked) == 60
    told = done.report["spending"]
    assert (told["attempts"], told["budget"]) == (60, {"calls": 60})
    assert _same(done.report) == _same(whole)


def test_too_many_failures_stop_a_run_and_the_next_one_mends_it(house: House) -> None:
    whole = house.run().report
    good, house.out = house.scripts["b"], house.build.folder / "failed"

    def broken(request: Request) -> str:
        raise OSError("no engine")

    house.scripts["b"] = broken
    with pytest.raises(
        WorkerError, match="7 of 60 calls failed, tolerated is a share of 0.1; the last: expert `b`"
    ) as caught:
        house.run()
    assert caught.value.exit_code == 3
    with RunFolder.inspect(house.out) as view:
        assert view.manifest.status is RunStatus.INTERRUPTED
        assert not (house.out / "report.json").exists()
        assert view.ledger.count(RowKind.FAILURE) == 7  # more would not have changed anything
    house.scripts["b"], house.asked = good, []
    done = house.run()
    assert house.asked == ["b"] * 30
    assert _same(done.report) == _same(whole)
    with RunFolder.inspect(house.out) as view:
        assert view.ledger.count(RowKind.FAILURE) == 0


def test_an_interrupt_keeps_what_has_arrived(house: House) -> None:
    good = house.scripts["b"]

    def interrupted(request: Request) -> Any:
        if request.question_id == "q20":
            raise KeyboardInterrupt
        return good(request)

    house.scripts["b"] = interrupted
    with pytest.raises(KeyboardInterrupt):
        house.run()
    with RunFolder.inspect(house.out) as view:
        assert view.ledger.count(RowKind.GENERATION) == 50
    house.scripts["b"], house.asked = good, []
    house.run()
    assert len(house.asked) == 10


def test_a_report_that_is_not_there(house: House) -> None:
    house.overrides = ("budget.calls=5",)
    with pytest.raises(BudgetExhausted):
        house.run()
    with (
        RunFolder.inspect(house.out) as view,
        pytest.raises(InputError, match="there is no report yet"),
    ):
        view.read_report()


def test_without_a_folder_the_same_comes_out(house: House) -> None:
    there = house.run()
    here = asyncio.run(evaluate_run(house.pipeline(), house.items, None))
    assert (here.folder, here.resumed) == (None, False)
    assert (here.decisions, here.ballots) == (there.decisions, there.ballots)
    assert {**here.report, "seconds": 0} == {**there.report, "seconds": 0}
