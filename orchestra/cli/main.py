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
import keyword
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType, MappingProxyType
from typing import Any

import click

from orchestra.errors import InputErrors, OrchestraError, visible

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "demo": "Run every stage on a small example, offline.",
        "models": "List the models of an OpenAI-compatible server.",
        "init": "Write a roster and a project file from servers that are found or named.",
        "ask": "Ask one question; see each draft as it comes, the answer and its cost.",
        "advise": "Say what a mixture of models would gain, from answers that are there already.",
        "profile": "Measure experts on labelled questions and write a recruitment table.",
        "table": "Show a recruitment table: experts by skills, with intervals.",
        "route": "Show which experts a pipeline would ask one question, and why.",
        "plan": "Forecast a run's calls, loads, tokens, money and time.",
        "run": "Run a pipeline on questions; the same command again resumes.",
        "show": "Show a run, or every step of one question in it.",
        "mark": "Mark a run again by other rules, without any call.",
        "replay": "Try other settings on the generations of a finished run, without any call.",
        "compare": "Compare runs question by question.",
        "redteam": "Attack your own panel with simulated liars, and compare defences.",
        "report": "Show a finished run's report, or write it as an HTML file.",
        "export": "Write a run's rows to a file for other tools.",
        "convert": "Turn questions as people write them into items.",
        "import": "Turn results of other tools into recordings, items and a roster.",
        "check": "Check files of any kind and list all errors.",
    }
)
"""Name -> summary, in the order of a first use. Each is `orchestra.cli.NAME.command`, where NAME
has an underline for a hyphen and behind a keyword of Python."""

_INTERRUPTED = 130
_RESUMED = frozenset({"profile", "run", "redteam"})
"""The commands that keep finished calls where the same command finds them."""
_ASCII = dict(zip("├┤┼│─━╸╺●±–…·×≤≥→█░", "+++|----o~-..x<>>#.", strict=True))
"""Marks of our own views in encodings without them."""
_MOMENT = 0.5
"""Seconds that a command may be silent while it is loaded."""


def module_of(name: str) -> str:
    """The module of a command, in `orchestra.cli`."""
    return f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")


class Commands(click.Group):
    """The group of all commands."""

    owns_process = False
    """Whether this process is there for the command alone."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a first use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(
            f"orchestra.cli.{module_of(cmd_name)}"
        ).command
        return found

    @contextmanager
    def _soon_said(self, ctx: click.Context) -> Iterator[None]:
        """Say that something is coming, where the imports alone take a moment."""
        quiet = {"-q", "--quiet"} & set(ctx.meta.get("orchestra.arguments", ()))
        said = threading.Timer(_MOMENT, click.echo, ("starting",), {"err": True})
        if self.owns_process and not quiet:
            said.start()
        try:
            yield
        finally:
            said.cancel()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names, or an error with the near names."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=2, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`orchestra --help` lists all"
            ctx.fail(f"no command {name!r}; {hint}")
        with self._soon_said(ctx):
            # By name, because the help loads no options.
            values = importlib.import_module("orchestra.cli.options").ProjectValues
            ctx.default_map = {name: values(name)}
            return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Store the arguments for manifests (`options.command_line`)."""
        ctx.meta["orchestra.arguments"] = tuple(args)
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **extra: Any) -> Any:
        """Read the arguments, run the command and exit; see `click.Command.main`.

        As the process's own command (no arguments are given), it owns Ctrl-C to the very end.
        """
        self.owns_process = not args and extra.get("args") is None
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # started in the background
        in_main = threading.current_thread() is threading.main_thread()
        if ignored or not in_main or not self.owns_process:
            return super().main(*args, **extra)
        interrupts = _Interrupts()
        signal.signal(signal.SIGINT, interrupts)
        try:
            return super().main(*args, **extra)
        finally:
            interrupts.came = True

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an OrchestraError becomes a message and an exit code."""
        _write_any_text()
        try:
            with _sigterm_as_interrupt():
                return super().invoke(ctx)
        except OrchestraError as error:
            _print_errors(error)
            ctx.exit(error.exit_code)
        except click.MissingParameter as error:
            if error.param is not None and error.param.name in {"roster", "table"}:
                words = "orchestra.yaml may name it; `orchestra init` writes both"
                raise click.MissingParameter(words, ctx=error.ctx, param=error.param) from None
            raise
        except KeyboardInterrupt:
            more = "; the same command resumes" if ctx.invoked_subcommand in _RESUMED else ""
            click.echo(f"interrupted{more}", err=True)
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


class _Interrupts:
    """What Ctrl-C does in a process of the command.

    The first interrupt lets the command end in order. Another ends the process at once, as a kill
    does: committed work is kept, and no part of the exit is interrupted halfway with a traceback.
    """

    def __init__(self) -> None:
        self.came = False
        """Whether there was one, or the command has ended."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            with suppress(OSError):
                os.write(2, b"interrupted again: left at once; finished work is kept\n")
            os._exit(_INTERRUPTED)
        self.came = True
        raise KeyboardInterrupt


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
