"""The output of commands: results to standard output, everything else to standard error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import click
import orjson
from rich.console import Console, RenderableType

from orchestra.cli.options import Output
from orchestra.pipeline import Progress
from orchestra.report import progress_bar


class Screen:
    """The streams of one command.

    Args:
        as_json: results are one JSON object.
        quiet: no notes and no progress.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json, self._quiet = as_json, quiet
        self._out = Console(highlight=False, soft_wrap=False)
        self._err = Console(stderr=True, highlight=False)

    @classmethod
    def of(cls, given: Output) -> Self:
        """The screen for a command's options."""
        return cls(as_json=given["as_json"], quiet=given["quiet"])

    @property
    def width(self) -> int:
        """Characters in a line of standard output."""
        return self._out.width

    def show(self, data: Mapping[str, Any], view: RenderableType) -> None:
        """Print the result: its data with `--json`, else its view."""
        if self._as_json:
            options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
            click.echo(orjson.dumps(data, option=options).decode())
        else:
            self._out.print(view)

    def note(self, words: str) -> None:
        """Print a note on standard error, unless quiet."""
        if not self._quiet:
            click.echo(f"note: {words}", err=True)

    def warn(self, words: str) -> None:
        """Print the reason of an exit code on standard error, even when quiet."""
        click.echo(words, err=True)

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A progress bar on standard error, where a person may be looking."""
        if self._quiet:
            yield lambda stage, done, expected: None
            return
        with progress_bar(self._err) as progress:
            yield progress
