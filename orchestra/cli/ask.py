"""`orchestra ask`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Unpack

import click
from rich.console import Group

from orchestra.cli import question_options
from orchestra.cli.output import Screen
from orchestra.records import Absence
from orchestra.report import answered_view, decision_view, plan_data, plan_view
from orchestra.sync import wait


@click.command("ask")
@question_options.arguments
def command(**given: Unpack[question_options.Asked]) -> None:
    """Ask one question and print which experts answer, and why.

    Prints the question's skills, the seats with reasons, each answer, the votes and the
    decision. Recorded experts answer only the questions of their recordings: name one
    with --id and --on.
    """
    screen = Screen.of(given)
    item = question_options.question(given)
    pipeline = question_options.pipeline(given, item, screen)
    with screen.progress() as progress:
        batch = wait(pipeline.run([item.question], progress=progress))
    (brief,), (plan,), (ballot,), (decision,) = (
        batch.briefs,
        batch.plans,
        batch.ballots,
        batch.decisions,
    )
    asked = [(draft.seat, draft.answer) for draft in batch.drafts[0]]
    if all(answer.absence is Absence.NOT_RECORDED for _, answer in asked):
        screen.note(
            "no expert has a recorded answer to this question; `--id QID --on ITEMS` names one "
            "that was recorded"
        )
    for alarm in batch.trust.alarms:
        screen.note(alarm)
    calls = pipeline.spec.generate.calls
    screen.show(
        {
            **plan_data(brief, plan, calls),
            "answers": [asdict(answer) for _, answer in asked],
            "ballot": asdict(ballot),
            "decision": asdict(decision),
        },
        Group(
            plan_view(brief, plan, calls),
            answered_view(asked, ballot),
            decision_view(decision, item),
        ),
    )
