"""`orchestra profile`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import click
from rich.console import Group

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.cli.question_options import chosen
from orchestra.errors import InputError
from orchestra.evals import (
    Item,
    Lack,
    enrol,
    lacking,
    load_dataset,
    past_tolerance,
    profile_experts,
    profile_folder,
    profile_identity,
    protocol_of,
)
from orchestra.evals.evaluate import price_sources
from orchestra.evals.items import source_of
from orchestra.evals.profile import missing, profiled_items
from orchestra.pipeline import Progress, WorkerPool
from orchestra.pipeline.context import check_budget
from orchestra.pipeline.spec import read_budget
from orchestra.report import HeatMap, heat_map, heat_map_data, heat_map_view
from orchestra.report import format as figures
from orchestra.report.terminal.layout import Line
from orchestra.roster import Roster
from orchestra.runs import SPENDING, Account, Cost, Ledger
from orchestra.skills import RecruitmentTable, read_table, write_table
from orchestra.sync import wait


class _Given(options.Output, options.Cached):
    roster: Path
    on: Path
    data: Path | None
    tagger: str | None
    out: Path
    read: str | None
    rows: str
    limit: int | None
    seed: int | None
    add_to: Path | None
    run: Path | None
    tolerance: float
    budget: tuple[str, ...]


@click.command("profile")
@options.roster
@options.on(True, words="Labelled questions: .parquet, .jsonl or .csv.")
@click.option(
    "--out", "-o", type=options.PATH, required=True, help="The recruitment table to write."
)
@click.option(
    "--tagger",
    metavar="NAME",
    help="The tagger: category (the default), lexical, embedding:MODEL or keywords:EXPERT.",
)
@click.option(
    "--read",
    metavar="RULES",
    help="The rules that read answers: stated (the default), lenient, official, simple, ...",
)
@options.rows
@click.option(
    "--add-to",
    type=options.PATH,
    metavar="TABLE",
    help="Measure only the experts that this table lacks, on its questions, and join both.",
)
@click.option(
    "--run",
    type=options.PATH,
    metavar="DIR",
    help="The folder that keeps the calls. Default: TABLE.run, beside the table.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="The share of calls that may fail. If more do, the exit code is 3.",
)
@options.budget
@options.cache
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Measure experts on labelled questions and write a recruitment table.

    Every expert answers every question once; an expert that cannot be reached is skipped and
    named. Calls are kept as they come: after Ctrl-C, a failure or the end of a budget, the same
    command makes only those that are missing, and so does a profile of more experts or questions
    for the same table. The table never replaces a file that is not a recruitment table.
    """
    screen = Screen.of(given)
    _refuse_to_replace(given["out"])
    with screen.progress("load questions") as progress:
        roster = Roster.load(given["roster"])
        if given["add_to"] is None:
            before, measured = None, list(roster.recruits)
            items: Sequence[Item] = chosen(given, screen, seed=given["seed"] or 0)
        else:
            before = read_table(given["add_to"])
            _refuse_other_terms(given, before)
            measured = missing(before, roster)
            items = _again(before, given) if measured else ()
        if measured:
            facts = {"command": options.command_line(), **options.project_details()}
            done, paid = wait(
                _measured(given, roster, items, screen, before=before, facts=facts, told=progress)
            )
        else:
            assert before is not None
            screen.note("every expert of the roster is in the table already")
            done, paid = _Done(before, [], {}), None
        write_table(done.table, given["out"])
        shown = heat_map(done.table)
    failed = past_tolerance(done.table, done.measured, done.lacks, given["tolerance"])
    _show(given, screen, done, shown, paid=paid, named=failed is not None)
    if failed is not None:
        raise failed


def _again(before: RecruitmentTable, given: _Given) -> list[Item]:
    """The questions that the table rests on."""
    items = load_dataset(given["on"], data=given["data"], seed=given["seed"] or 0)
    return profiled_items(before, items)


def _read(given: _Given) -> str:
    """The cascade: the one asked for, the protocol's, or the usual one."""
    protocol = protocol_of(str(given["on"]))
    return given["read"] or ("stated" if protocol is None else protocol.read)


class _Done(NamedTuple):
    table: RecruitmentTable
    measured: list[str]
    """The experts that were asked."""
    lacks: Mapping[str, Lack]


def _show(
    given: _Given,
    screen: Screen,
    done: _Done,
    shown: HeatMap,
    *,
    paid: dict[str, Any] | None,
    named: bool,
) -> None:
    """Show the table, and the experts with failed calls unless an error has `named` them."""
    table, lacks = done.table, done.lacks
    measured = [name for name in done.measured if name not in lacks or not lacks[name].all]
    words = (
        f"wrote {given['out']}: {len(measured)} of {len(table.experts)} experts were measured now"
    )
    screen.show(
        {
            "table": str(given["out"]),
            "tagger": table.provenance.get("tagger", ""),
            "added": done.measured,
            "lacking": {name: asdict(lack) for name, lack in lacks.items()},
            "paid": paid,
            **heat_map_data(shown),
        },
        Group(
            heat_map_view(shown.head(0), path=str(given["out"])),
            *(Line(f"{name}: {lack}", "bold") for name, lack in lacks.items() if not named),
            Line(words),
            *_paid_view(paid),
        ),
    )


def _refuse_to_replace(out: Path) -> None:
    """Raise InputError if `out` is a file other than a recruitment table."""
    if not out.exists():
        return
    try:
        read_table(out)
    except InputError as error:
        raise InputError(
            "exists and is not a recruitment table: it is not replaced",
            place=str(out),
            hint="choose another --out",
        ) from error


def _paid(account: Account | None, roster: Roster) -> dict[str, Any] | None:
    """The cost of the profile, resumes included; None without an account."""
    if account is None:
        return None
    spent = sum((each.spent for each in account.entries().values()), Cost())
    return {
        "attempts": spent.calls,
        "tokens": spent.tokens,
        "money": round(spent.dollars, 9),
        "prices": price_sources(roster),
    }


def _paid_view(paid: dict[str, Any] | None) -> list[Line]:
    if paid is None:
        return []
    return [Line(f"paid {figures.paid(paid, 0.0)}")]


def _account(given: _Given, roster: Roster) -> AbstractContextManager[Account | None]:
    """The account of the profile, if it has a budget or a hosted expert."""
    if not given["budget"] and not any(expert.hosted for expert in roster):
        return nullcontext()
    limits, file = read_budget(given["budget"])
    check_budget(limits, roster)
    folder = _folder(given)
    if file is None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / SPENDING
    return Account.open(file, limits, run=str(folder.resolve()))


def _folder(given: _Given) -> Path:
    """Where the calls of the table are kept."""
    return given["run"] or given["out"].with_name(given["out"].name + ".run")


async def _measured(
    given: _Given,
    roster: Roster,
    items: Sequence[Item],
    screen: Screen,
    *,
    before: RecruitmentTable | None,
    facts: dict[str, Any],
    told: Progress,
) -> tuple[_Done, dict[str, Any] | None]:
    """The table, joined with one that was there before, and what it cost.

    The account is closed where it was used: in the thread of the event loop.
    """
    with _account(given, roster) as account:
        workers = WorkerPool(report=screen.note, account=account, cache=options.cache_of(given))
        names = list(roster.recruits) if before is None else missing(before, roster)
        tagger, read = given["tagger"] or "category", _read(given)
        asked = roster if before is None else roster.subset(names)
        with _kept(given, asked, items, workers, facts=facts) as ledger:
            if before is None:
                table = await profile_experts(
                    roster,
                    items,
                    tagger=tagger,
                    read=read,
                    workers=workers,
                    ledger=ledger,
                    progress=told,
                )
            else:
                table = await enrol(
                    before, roster, items=items, workers=workers, ledger=ledger, progress=told
                )
            return _Done(table, names, lacking(table, names, ledger=ledger)), _paid(account, asked)


def _refuse_other_terms(given: _Given, table: RecruitmentTable) -> None:
    """Refuse options that differ from those by which the table was measured."""
    for name in ("tagger", "read"):
        measured = table.provenance.get(name, "")
        if given[name] not in (None, measured):
            raise InputError(
                f"the table has {name} `{measured}`, not `{given[name]}`",
                place=str(given["add_to"]),
                hint=f"leave `--{name}` out with `--add-to`",
            )
    if given["limit"] is not None or given["rows"] != "all":
        raise InputError(
            "`--add-to` measures on the questions of the table",
            hint="leave `--limit` and `--rows` out",
        )


def _kept(
    given: _Given,
    roster: Roster,
    items: Sequence[Item],
    workers: WorkerPool,
    *,
    facts: dict[str, Any],
) -> AbstractContextManager[Ledger]:
    """The ledger of the table's calls, from which the same command resumes."""
    workers.check(roster)
    tagger, read = given["tagger"] or "category", _read(given)
    return profile_folder(
        _folder(given),
        command=str(facts.pop("command")),
        identity=profile_identity(roster, items, tagger=tagger, read=read, workers=workers),
        details={
            **source_of(items),
            "experts": list(roster.names),
            **facts,
        },
    )
