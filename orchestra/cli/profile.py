"""`orchestra profile`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Unpack

import click
from rich.console import Group

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.cli.question_options import chosen
from orchestra.errors import BudgetExhausted, InputError, WorkerError
from orchestra.evals import Item, enrol, load_dataset, profile_experts, profile_identity
from orchestra.evals.profile import profiled_items
from orchestra.pipeline import WorkerPool
from orchestra.pipeline.context import check_budget
from orchestra.pipeline.spec import read_budget
from orchestra.report import heat_map, heat_map_data, heat_map_view
from orchestra.report.format import dollars
from orchestra.report.terminal.layout import Line
from orchestra.roster import Roster
from orchestra.runs import SPENDING, Account, Cost, Ledger, RunFolder
from orchestra.skills import RecruitmentTable, read_table, write_table
from orchestra.sync import wait


class _Given(options.Output):
    roster: Path
    on: Path
    tagger: str | None
    out: Path
    read: str | None
    rows: str
    limit: int | None
    seed: int | None
    add_to: Path | None
    run: Path | None
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
    help="The rules that read answers: stated (the default), lenient, official or strict.",
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
    help="Store the generations in this folder, so that the same command resumes.",
)
@options.budget
@options.output
def command(**given: Unpack[_Given]) -> None:
    """Measure experts on labelled questions and write a recruitment table.

    Every expert answers every question once. The table is written when it is complete,
    and never replaces a file that is not a recruitment table.
    """
    screen = Screen.of(given)
    _refuse_to_replace(given["out"])
    roster = Roster.load(given["roster"])
    before = None if given["add_to"] is None else read_table(given["add_to"])
    with _account(given, roster) as account, _honest_hint(given):
        workers = WorkerPool(report=screen.note, account=account)
        if before is None:
            table = _fresh(given, screen, roster, workers)
        else:
            table = _enrolled(given, screen, roster, before, workers)
        paid = _paid(account)
    write_table(table, given["out"])
    added = [name for name in table.experts if before is None or name not in before.experts]
    shown = heat_map(table)
    words = f"wrote {given['out']}: {len(added)} of {len(table.experts)} experts were measured now"
    screen.show(
        {
            "table": str(given["out"]),
            "tagger": table.provenance.get("tagger", ""),
            "added": added,
            "paid": paid,
            **heat_map_data(shown),
        },
        Group(heat_map_view(shown.head(0)), Line(words), *_paid_view(paid)),
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


@contextmanager
def _honest_hint(given: _Given) -> Iterator[None]:
    """Without `--run` no generation is stored, and the same command would start again."""
    try:
        yield
    except (BudgetExhausted, WorkerError) as error:
        if given["run"] is not None:
            raise
        hint = "`--run DIR` stores paid generations, so that the same command resumes"
        raise type(error)(error.message, hint=hint) from None


def _paid(account: Account | None) -> dict[str, Any] | None:
    """The cost of the profile, resumes included; None without an account."""
    if account is None:
        return None
    spent = sum((each.spent for each in account.entries().values()), Cost())
    return {"attempts": spent.calls, "tokens": spent.tokens, "money": round(spent.dollars, 9)}


def _paid_view(paid: dict[str, Any] | None) -> list[Line]:
    if paid is None:
        return []
    return [Line(f"paid at most {dollars(paid['money'])} for {paid['attempts']:,} attempts")]


def _account(given: _Given, roster: Roster) -> AbstractContextManager[Account | None]:
    """The account of the profile, if it has a budget or a hosted expert."""
    if not given["budget"] and not any(expert.hosted for expert in roster):
        return nullcontext()
    limits, file = read_budget(given["budget"])
    check_budget(limits, roster)
    if file is None and given["run"] is not None:
        given["run"].mkdir(parents=True, exist_ok=True)
        file = given["run"] / SPENDING
    return Account.open(file, limits, run=str(given["run"] or given["out"].resolve()))


def _fresh(given: _Given, screen: Screen, roster: Roster, workers: WorkerPool) -> RecruitmentTable:
    items = chosen(
        given["on"], screen, rows=given["rows"], limit=given["limit"], seed=given["seed"] or 0
    )
    tagger = given["tagger"] or "category"
    with _kept(given, roster, items, workers) as ledger, screen.progress() as progress:
        return wait(
            profile_experts(
                roster,
                items,
                tagger=tagger,
                read=given["read"] or "stated",
                workers=workers,
                ledger=ledger,
                progress=progress,
            )
        )


def _enrolled(
    given: _Given,
    screen: Screen,
    roster: Roster,
    table: RecruitmentTable,
    workers: WorkerPool,
) -> RecruitmentTable:
    _refuse_other_terms(given, table)
    fresh = [name for name in roster.recruits if name not in table.experts]
    if not fresh:
        screen.note("every expert of the roster is in the table already")
        return table
    items = profiled_items(table, load_dataset(given["on"]))
    newcomers = roster.subset(fresh)
    with _kept(given, newcomers, items, workers) as ledger, screen.progress() as progress:
        return wait(
            enrol(table, roster, items=items, workers=workers, ledger=ledger, progress=progress)
        )


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


@contextmanager
def _kept(
    given: _Given, roster: Roster, items: Sequence[Item], workers: WorkerPool
) -> Iterator[Ledger | None]:
    """The ledger of `--run`, from which the same command resumes."""
    if given["run"] is None:
        yield None
        return
    workers.check(roster)
    tagger, read = given["tagger"] or "category", given["read"] or "stated"
    with RunFolder.open(
        given["run"],
        command=options.command_line(),
        identity=profile_identity(roster, items, tagger=tagger, read=read, workers=workers),
        details={"items": str(given["on"].resolve()), "experts": list(roster.names)},
    ) as folder:
        yield folder.ledger
        folder.finish()
