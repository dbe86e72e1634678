from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from orchestra.cli import main
from orchestra.cli.main import COMMANDS, Commands
from orchestra.errors import BudgetExhausted, InputError, InputErrors, OrchestraError, WorkerError

World = Any

HELP = """
import sys
from pathlib import Path
from typing import Any
from orchestra.cli import main
try:
    main(["--help"])
except SystemExit as done:
    assert done.code == 0
heavy = {"numpy", "pyarrow", "pydantic", "rich", "yaml", "orchestra.pipeline"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""


def test_help_loads_no_command() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "orchestra", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("orchestra 0.")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_in_the_list_what_it_says_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert (command.help or "").splitlines()[0] == COMMANDS[name]
    flags = {flag for option in command.params for flag in option.opts}
    assert {"--json", "--quiet"} <= flags


@pytest.mark.parametrize(
    ("given", "told"),
    [("profil", "did you mean profile"), ("zzzzz", "`orchestra --help` lists all")],
)
def test_an_unknown_command_is_wrong_input(given: str, told: str) -> None:
    result = CliRunner().invoke(main, [given])
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


class Failing(Commands):
    """Every command ends in the same error."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("failing")
        self.error = error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        def fail() -> None:
            raise self.error

        return click.Command(cmd_name, callback=fail)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (OrchestraError("odd"), 1, "error: odd\n"),
        (InputError("bad", place="f:1", hint="mend"), 2, "error: f:1: bad\n  hint: mend\n"),
        (InputErrors([InputError("a"), InputError("b")]), 2, "error: a\nerror: b\n"),
        (WorkerError("down"), 3, "error: down\n"),
        (BudgetExhausted("spent"), 4, "error: spent\n"),
        (KeyboardInterrupt(), 130, "interrupted; the same command resumes\n"),
    ],
)
def test_each_error_has_its_exit_code(error: BaseException, code: int, told: str) -> None:
    result = CliRunner().invoke(Failing(error), ["run"])
    assert (result.exit_code, result.stderr, result.stdout) == (code, told, "")


@pytest.mark.parametrize(
    ("command", "resumes"),
    [("run", True), ("profile", True), ("redteam", True), ("ask", False), ("table", False)],
)
def test_only_commands_that_keep_calls_are_said_to_resume(command: str, resumes: bool) -> None:
    told = CliRunner().invoke(Failing(KeyboardInterrupt()), [command]).stderr
    assert told == f"interrupted{'; the same command resumes' if resumes else ''}\n"


def test_a_bug_is_traced() -> None:
    result = CliRunner().invoke(Failing(RuntimeError("a bug")), ["run"])
    assert isinstance(result.exception, RuntimeError)


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "- 98 ~ ?"), ("cp1252", "– 98 ± ?")])
def test_any_encoding_of_the_output_will_do(encoding: str, shown: str) -> None:
    code = (
        "from orchestra.cli.main import main\n"
        "@main.command('x')\n"
        "def x(): print('\\u2013 98 \\xb1 \\u2713')\n"
        "main.get_command = lambda *_: x\n"
        "main(['run'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (done.stdout.decode(encoding).strip(), done.stderr) == (shown, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
def test_an_output_without_room_is_an_error_of_one_line(world: World) -> None:
    for words in (["check"],):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "orchestra", *words, world.path("roster.yaml")],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 2
        assert "error: standard output cannot be written: No space" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


INTERRUPTED = """
import atexit, signal, sys, threading, time, types
import click
from orchestra.cli.main import Commands

# All of the package would take a second to load.
sys.modules["orchestra.cli.options"] = types.SimpleNamespace(ProjectValues=lambda name: {{}})

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt():
    signal.raise_signal(signal.SIGINT)

class Slow(Commands):
    def get_command(self, ctx, name):
        def work():
            try:
                {first}
            finally:
                {second}
        return click.Command(name, callback=work)

atexit.register(lambda: {last})
sys.argv = ["orchestra", "run"]
Slow("orchestra").main()
"""


@pytest.mark.parametrize(
    ("first", "second", "last", "code"),
    [
        ("interrupt()", "pass", "None", 130),
        ("interrupt()", "interrupt()", "None", 130),
        ("interrupt()", "signal.raise_signal(signal.SIGTERM)", "None", 130),
        ("signal.raise_signal(signal.SIGTERM)", "interrupt()", "None", 130),
        ("interrupt()", "pass", "interrupt()", 130),
        ("pass", "pass", "interrupt()", 130),
        ("pass", "threading.Timer(0.05, interrupt).start()", "time.sleep(0.2)", 130),
        ("interrupt()", "raise ValueError", "None", 1),  # a bug is still traced
        ("pass", "pass", "None", 0),
    ],
)
def test_interrupts_leave_no_traceback(first: str, second: str, last: str, code: int) -> None:
    text = INTERRUPTED.format(first=first, second=second, last=last)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert ("Traceback" in done.stderr) is (code == 1)
