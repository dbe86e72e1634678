"""The commands by name, loaded when called, and the exit codes of errors and interruptions.

The help loads no command, so that it is printed at once. Exit codes: 0 done, 1 a threshold was
missed, 2 wrong input, 3 a model failed, 4 a budget stopped the run, 130 interrupted; bugs show
a traceback.
"""

from __future__ import annotations

import codecs
import difflib
import importlib
import io
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import click

from orchestra.errors import InputErrors, OrchestraError, visible

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "demo": "Run every stage on a small example, offline.",
        "models": "List the models of an OpenAI-compatible server.",
        "init": "Write a roster and a project file from servers that are found or named.",
        "ask": "Ask one question; see each draft as it comes, the answer and its cost.",
        "profile": "Measure experts on labelled questions and write a recruitment table.",
        "table": "Show a recruitment table: experts by skills, with intervals.",
        "route": "Show which experts a pipeline would ask one question, and why.",
        "plan": "Forecast a run's calls, loads, tokens, money and time.",
        "run": "Run a pipeline on questions; the same command again resumes.",
        "show": "Show a run, or every step of one question in it.",
        "mark": "Mark a run again by other rules, without any call.",
        "compare": "Compare two runs question by question.",
        "redteam": "Attack your own panel with simulated liars, and compare defences.",
        "report": "Show a finished run's report, or write it as an HTML file.",
        "export": "Write a run's rows to a file for other tools.",
        "convert": "Turn questions as people write them into items.",
        "check": "Check files of any kind and list all errors.",
    }
)
"""Name -> summary, in the order of a first use. Each is `orchestra.cli.NAME.command`."""

_INTERRUPTED = 130
_ASCII = dict(zip("├┤┼│─━╸╺●±–…·×≤≥→█░", "+++|----o~-..x<>>#.", strict=True))
"""Marks of our own views in encodings without them."""


class Commands(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(f"orchestra.cli.{cmd_name}").command
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names, or an error with the near names."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`orchestra --help` lists all"
            ctx.fail(f"no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Store the arguments for manifests (`options.command_line`)."""
        ctx.meta["orchestra.arguments"] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an OrchestraError becomes a message and an exit code."""
        _write_any_text()
        try:
            with _sigterm_as_interrupt():
                return super().invoke(ctx)
        except OrchestraError as error:
            _print_errors(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted; the same command resumes", err=True)
            ctx.exit(_INTERRUPTED)


def _write_any_text() -> None:
    """Replace what the encoding of an output lacks, so that no finished work ends in an error."""
    codecs.register_error("orchestra", _nearest)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="orchestra")


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """The text without marks that an encoding lacks: similar ASCII, else question marks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_ASCII.get(each, "?") for each in lacking), error.end


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Treat SIGTERM, which schedulers send, as Ctrl-C: finished work is kept."""
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # other threads receive no signals
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_errors(error: OrchestraError) -> None:
    """Print every error on standard error."""
    for each in error.errors if isinstance(error, InputErrors) else (error,):
        click.echo(f"error: {visible(str(each))}", err=True)


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        # By name, because no package imports the root package.
        click.echo(f"orchestra {importlib.import_module('orchestra').__version__}")
        ctx.exit()


main = Commands(
    "orchestra",
    help=(
        "Ask several language models as one: profile their skills, recruit experts for each "
        "question, weigh their votes, and report the gain.\n\nResults go to standard output, "
        "everything else to standard error."
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version and exit.",
        )
    ],
)
"""The command `orchestra`; a call without arguments reads those of the process and exits."""
