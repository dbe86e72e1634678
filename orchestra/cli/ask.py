"""`orchestra ask`."""

from __future__ import annotations

from typing import Unpack

import click
from rich.console import RenderableType

from orchestra.cli import question_options
from orchestra.cli.output import Screen
from orchestra.evals import Asked, AskedDraft, Item, ask
from orchestra.pipeline import History, Pipeline, memory_beside
from orchestra.records import Absence, Brief, Plan
from orchestra.report import (
    asked_data,
    ballot_view,
    cost_view,
    decision_view,
    draft_view,
    plan_view,
)
from orchestra.report.terminal.layout import heading
from orchestra.sync import wait
from orchestra.workers.hosted.open import price_of


class _Given(question_options.Asked):
    drafts: bool
    no_memory: bool


@click.command("ask")
@question_options.arguments
@click.option("--drafts", is_flag=True, help="Print whole drafts, not only a part of each.")
@click.option(
    "--no-memory",
    is_flag=True,
    help="Neither use nor keep what earlier questions told of the experts.",
)
def command(**given: Unpack[_Given]) -> None:
    """Ask one question; see each draft as it comes, the answer and its cost.

    Prints who is asked and why before any draft. A question without options gets an answer of
    any length, unless it asks for a number or --kind says otherwise. Recorded experts answer only
    the questions of their recordings: name one with --id and --on. Votes that compare experts
    with their profile remember who agreed with whom on earlier questions, without any text, in
    .orchestra/ beside the table.
    """
    screen = Screen.of(given)
    item = question_options.question(given)
    pipeline = question_options.pipeline(given, item, screen)
    live = _Live(screen, pipeline, item, full=given["drafts"], silent=given["as_json"])
    history = _history(given, pipeline)
    asked = wait(
        ask(pipeline, item.question, history=history, planned=live.plan, drafted=live.draft)
    )
    _note(screen, asked)
    if given["as_json"]:
        screen.show(asked_data(asked), "")
    else:
        live.end(asked)


class _Live:
    """Shows each part of the way as it comes, unless one object is printed at the end."""

    def __init__(
        self, screen: Screen, pipeline: Pipeline, item: Item, *, full: bool, silent: bool
    ) -> None:
        self._screen, self._pipeline, self._item = screen, pipeline, item
        self._full, self._silent = full, silent

    def plan(self, brief: Brief, plan: Plan) -> None:
        calls = self._pipeline.spec.generate.calls
        self._show(plan_view(brief, plan, calls), heading("Drafts"))

    def draft(self, draft: AskedDraft) -> None:
        self._show(draft_view(draft, full=self._full, kind=self._item.question.kind))

    def end(self, asked: Asked) -> None:
        called = [self._pipeline.roster[draft.seat.expert] for draft in asked.drafts]
        priced = all(not expert.hosted or price_of(expert) is not None for expert in called)
        self._show(
            ballot_view(asked.ballot),
            decision_view(asked.decision, self._item),
            cost_view(asked.usage, priced=priced),
        )

    def _show(self, *views: RenderableType) -> None:
        if not self._silent:
            for view in views:
                self._screen.show({}, view)


def _history(given: _Given, pipeline: Pipeline) -> History | None:
    """The memory beside the table, where the vote uses one; None: nothing is kept."""
    if given["no_memory"] or given["table"] is None or not pipeline.spec.vote.learns:
        return None
    return History(pipeline.identities, memory_beside(given["table"]))


def _note(screen: Screen, asked: Asked) -> None:
    absences = [draft.answer.absence for draft in asked.drafts]
    if all(absence is Absence.NOT_RECORDED for absence in absences):
        screen.note(
            "no expert has a recorded answer to this question; `--id QID --on ITEMS` names one "
            "that was recorded"
        )
    for alarm in asked.trust.alarms:
        screen.note(alarm)
    if asked.forgotten:
        screen.note(f"this question is not remembered: {asked.forgotten}")
