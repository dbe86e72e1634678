"""`orchestra route`."""

from __future__ import annotations

from typing import Unpack

import click

from orchestra.cli import question_options
from orchestra.cli.output import Screen
from orchestra.report import plan_data, plan_view
from orchestra.sync import wait


@click.command("route")
@question_options.arguments
def command(**given: Unpack[question_options.Asked]) -> None:
    """Show which experts a pipeline would ask one question, and why.

    Prints the question's skills, and the seats with their weights, expected accuracy and
    evidence. Generates nothing.
    """
    screen = Screen.of(given)
    item = question_options.question(given)
    pipeline = question_options.pipeline(given, item, screen)
    briefs = wait(pipeline.brief([item.question]))
    (plan,) = pipeline.plan(briefs)
    calls = pipeline.spec.generate.calls
    screen.show(plan_data(briefs[0], plan, calls), plan_view(briefs[0], plan, calls))
