"""The output of commands: results to standard output, everything else to standard error."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

import click
import orjson
from rich.console import RenderableType

from orchestra.cli import options
from orchestra.errors import InputError, visible
from orchestra.pipeline import Progress
from orchestra.report import Terminal, progress_bar

_OBEYED = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that JSON writes as they are and a terminal may obey."""


class Screen:
    """The streams of one command.

    Args:
        as_json: results are one JSON object.
        quiet: no notes and no progress.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json, self._quiet = as_json, quiet
        self._out, self._err = Terminal(), Terminal(stderr=True)

    @classmethod
    def of(cls, given: options.Output) -> Self:
        """The screen for a command's options, with what was noticed about them."""
        screen = cls(as_json=given["as_json"], quiet=given["quiet"])
        for words in options.notes():
            screen.note(words)
        return screen

    @property
    def width(self) -> int:
        """Characters in a line of standard output."""
        return self._out.width

    def show(self, data: Mapping[str, Any], view: RenderableType) -> None:
        """Print the result: its data with `--json`, else its view.

        The data says which options the project file stood for.
        """
        try:
            if self._as_json:
                project = options.from_project()
                click.echo(_json({**data, "project": project} if project else data))
            else:
                self._out.print(view)
        except BrokenPipeError:
            raise
        except OSError as error:
            _discard_output()
            raise InputError(
                f"standard output cannot be written: {error.strerror}",
                hint="the work itself is done; print it again to a place with room",
            ) from None

    def note(self, words: str) -> None:
        """Print a note on standard error, unless quiet."""
        if not self._quiet:
            click.echo(f"note: {visible(words)}", err=True)

    def warn(self, words: str) -> None:
        """Print the reason of an exit code on standard error, even when quiet."""
        click.echo(visible(words), err=True)

    @contextmanager
    def progress(self, first: str = "starting") -> Iterator[Progress]:
        """Progress on standard error, unless quiet; `first` is done until a stage reports."""
        if self._quiet:
            yield lambda stage, done, expected: None
            return
        with progress_bar(self._err, first) as progress:
            yield progress


def _json(data: Mapping[str, Any]) -> str:
    """One JSON object; characters that a terminal may obey are escaped in it."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    text = orjson.dumps(data, option=options).decode()
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _discard_output() -> None:
    """Let what is still in the buffer go nowhere, so that the exit does not fail on it again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
