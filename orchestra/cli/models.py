"""`orchestra models`."""

from __future__ import annotations

from typing import Unpack

import click

from orchestra.cli import options
from orchestra.cli.output import Screen
from orchestra.report import served_data, served_view
from orchestra.roster import Served, served
from orchestra.workers import read_secret


class _Given(options.Output):
    url: str
    key_env: str | None
    timeout: float


def listed(url: str, key_env: str | None, *, timeout: float = 15.0) -> Served:
    """What a server lists, asked with the key that a variable holds. Raises as `served`."""
    key = read_secret(key_env, place=url).reveal() if key_env else ""
    return served(url, key=key, key_name=key_env or "", patience=timeout)


@click.command("models")
@click.argument("url")
@click.option("--key-env", metavar="NAME", help="The environment variable with the server's key.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=15.0,
    show_default=True,
    help="The most seconds that the server may take.",
)
@options.output
def command(**given: Unpack[_Given]) -> None:
    """List the models of an OpenAI-compatible server.

    URL is the root of its API, such as http://127.0.0.1:8000/v1; `/v1` is added or removed where
    the server needs that. Context length and owner are shown where the server states them.
    """
    screen = Screen.of(given)
    found = listed(given["url"], given["key_env"], timeout=given["timeout"])
    if found.note:
        screen.note(found.note)
    screen.show(served_data(found), served_view(found))
