"""A run folder belongs to one run and one process, and loses nothing."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestra.errors import BudgetExhausted, InputError, RunConflict
from orchestra.records import Generation
from orchestra.runs import RowKind, RunFolder, RunStatus, digest, read_manifest
from orchestra.runs.folder import FolderLock

IDENTITY = {"items": digest("i"), "pipeline": digest("p"), "seed": digest(1)}
HOLDER = """
import sys
from pathlib import Path
from orchestra.runs import RunFolder
with RunFolder.open(Path(sys.argv[1]), command="run", identity={}, details={}):
    print("in", flush=True)
    sys.stdin.read()
"""


def opened(path: Path, **changes: Any) -> RunFolder:
    given = {"command": "run", "identity": IDENTITY, "details": {"seed": 1}, **changes}
    return RunFolder.open(path, **given)


def put(run: RunFolder, *keys: str) -> None:
    run.ledger.put(RowKind.GENERATION, [(key, Generation(key, "q", "e", key)) for key in keys])


def status(path: Path) -> RunStatus:
    return read_manifest(path / "manifest.json").status


def contents(path: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in path.iterdir() if entry.is_file()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out" / "run"


# --- one run --------------------------------------------------------------------------


def test_a_run_from_beginning_to_end(path: Path) -> None:
    with opened(path) as run:
        assert (run.path, run.manifest.command, run.finished) == (path, "run", False)
        assert status(path) is RunStatus.RUNNING
        put(run, "a")
        run.report.write_text("{}")
        run.finish()
        assert run.finished
    assert status(path) is RunStatus.FINISHED
    assert contents(path).keys() == {"manifest.json", "ledger.sqlite", "report.json", "lock"}


def test_the_same_run_again_goes_on(path: Path) -> None:
    with opened(path) as run:
        put(run, "a")
        run.interrupt()
    with opened(path, command="run again", details={"seed": 2}) as run:
        assert status(path) is RunStatus.RUNNING
        assert run.ledger.keys(RowKind.GENERATION) == {"a"}
        assert (run.manifest.command, run.manifest.details) == ("run", {"seed": 1})
        assert run.manifest.ended == ""


def test_a_finished_run_is_left_as_it_is(path: Path) -> None:
    with opened(path) as run:
        run.report.write_text("{}")
        run.finish()
    before = contents(path)
    with opened(path) as run:
        assert run.finished
    assert contents(path) == before


def test_finished_needs_a_report(path: Path) -> None:
    with opened(path) as run:
        run.finish()
        assert not run.finished
    with opened(path) as run:
        assert run.manifest.status is RunStatus.RUNNING


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, RunStatus.INTERRUPTED),
        (KeyboardInterrupt(), RunStatus.INTERRUPTED),
        (InputError("x"), RunStatus.INTERRUPTED),
        (BudgetExhausted("x"), RunStatus.STOPPED),
    ],
)
def test_leaving_without_finishing(
    path: Path, error: BaseException | None, expected: RunStatus
) -> None:
    def leave() -> None:
        with opened(path) as run:
            put(run, "a")
            if error is not None:
                raise error

    if error is None:
        leave()
    else:
        with pytest.raises(type(error)):
            leave()
    assert status(path) is expected
    with RunFolder.inspect(path) as view:
        assert view.manifest.ended >= view.manifest.started
        assert view.ledger.keys(RowKind.GENERATION) == {"a"}


def test_what_was_said_before_leaving_stays(path: Path) -> None:
    with opened(path) as run:
        run.stop()
    assert status(path) is RunStatus.STOPPED


def test_the_first_error_is_the_one_that_is_seen(path: Path) -> None:
    def fail() -> None:
        with opened(path):
            (path / "manifest.json").unlink()
            (path / "manifest.json").mkdir()  # so that leaving fails as well
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    FolderLock(path / "lock").release()


# --- another identity -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "details", "words"),
    [
        ({**IDENTITY, "seed": digest(2)}, {"seed": 2}, "another `seed` (1 there, 2 now)"),
        ({**IDENTITY, "items": "x", "seed": "y"}, {}, "another `items`, `seed`"),
        ({**IDENTITY, "limit": "x"}, {"limit": 5}, "another `limit`"),
        ({"seed": IDENTITY["seed"]}, {"seed": 1}, "another `items`, `pipeline`"),
    ],
)
def test_another_identity_is_refused_and_nothing_changes(
    path: Path, identity: dict[str, str], details: dict[str, object], words: str
) -> None:
    with opened(path) as run:
        put(run, "a")
    before = contents(path)
    with pytest.raises(RunConflict) as caught:
        opened(path, identity=identity, details=details)
    assert caught.value.message.endswith(words)
    assert "--out" in caught.value.hint
    assert contents(path) == before
    opened(path).close()


# --- folders that are no run's --------------------------------------------------------


def with_notes(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "notes.txt").write_text("mine")


def a_file(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("mine")


def without_manifest(path: Path) -> None:
    with opened(path) as run:
        put(run, "a")
    (path / "manifest.json").unlink()


REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (with_notes, "not empty and not a run folder: it has 'notes.txt'"),
    (a_file, "is a file, not a run folder"),
    (without_manifest, "`ledger.sqlite` is here without its `manifest.json`"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_is_not_a_run_folder_is_refused(
    path: Path, make: Callable[[Path], None], words: str
) -> None:
    make(path)
    before = contents(path.parent if path.is_file() else path)
    with pytest.raises(RunConflict, match=words) as caught:
        opened(path)
    assert "--out" in caught.value.hint
    assert contents(path.parent if path.is_file() else path) == before


@pytest.mark.parametrize("leftovers", [[], ["lock"], ["lock", ".manifest.json.123"]])
def test_what_a_killed_beginning_leaves_is_no_obstacle(path: Path, leftovers: list[str]) -> None:
    path.mkdir(parents=True)
    for name in leftovers:
        (path / name).touch()
    opened(path).close()
    assert status(path) is RunStatus.RUNNING


@pytest.mark.parametrize("name", ["manifest.json", "ledger.sqlite"])
def test_a_damaged_file_is_an_input_error_and_the_lock_is_let_go(path: Path, name: str) -> None:
    opened(path).close()
    (path / name).write_text("damaged " * 100)
    for _ in range(2):
        with pytest.raises(InputError, match=name):
            opened(path)
        with pytest.raises(InputError, match=name):
            RunFolder.inspect(path)


def test_a_path_through_a_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Not a directory"):
        opened(tmp_path / "file" / "run")


# --- looking --------------------------------------------------------------------------


def test_a_run_in_progress_can_be_looked_at(path: Path) -> None:
    with opened(path) as run:
        put(run, "a")
        run.ledger.commit()
        put(run, "b")
        with RunFolder.inspect(path) as view:
            assert view.manifest == run.manifest
            assert view.ledger.keys(RowKind.GENERATION) == {"a"}
            assert not view.finished
            assert not isinstance(view, RunFolder)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such run folder"),
        (a_file, "no such run folder"),
        (with_notes, "not a run folder"),
        (without_manifest, "not a run folder"),
    ],
)
def test_only_run_folders_can_be_looked_at(
    path: Path, make: Callable[[Path], None], words: str
) -> None:
    make(path)
    with pytest.raises(InputError, match=words) as caught:
        RunFolder.inspect(path)
    assert str(path) in str(caught.value)


# --- two processes --------------------------------------------------------------------


def test_one_process_at_a_time(path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(RunConflict, match=rf"held by process {holder.pid}\b") as caught:
            opened(path, identity={})
        assert "--out" in caught.value.hint
        with RunFolder.inspect(path) as view:
            assert view.manifest.status is RunStatus.RUNNING
        holder.send_signal(signal.SIGKILL)
    with opened(path, identity={}) as run:  # the lock went with its process
        run.report.write_text("{}")
        run.finish()
    assert status(path) is RunStatus.FINISHED


def test_one_holder_within_a_process(path: Path) -> None:
    with opened(path), pytest.raises(RunConflict, match=f"process {os.getpid()}"):
        opened(path)
    opened(path).close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "held by another process"),
        (f"42 {socket.gethostname()}\n", "held by process 42"),
        ("42 node7\n", "held by process 42 on node7"),
    ],
)
def test_the_holder_is_named_as_well_as_it_is_known(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "lock"
    first = FolderLock(file)
    file.write_text(text)
    with pytest.raises(RunConflict) as caught:
        FolderLock(file)
    assert caught.value.message.endswith(words)
    first.release()
    first.release()
    FolderLock(file).release()
    assert file.read_text() == ""


def bare(path: Path) -> RunFolder:
    return RunFolder.open(path, command="run", identity={}, details={})


DAMAGED_REPORTS = ["[]", "{}", "", "{", '{"n": "x"}', '{"arms": 3}', "null", "1", '"x"', "[[]]"]


@pytest.mark.parametrize("content", DAMAGED_REPORTS)
def test_a_report_that_the_run_did_not_write_is_refused(tmp_path: Path, content: str) -> None:
    with bare(tmp_path) as folder:
        folder.report.write_text('{"n": 1}')
        folder.finish()
    with RunFolder.inspect(tmp_path) as view:
        assert view.read_report() == {"n": 1}
        view.report.write_text(content)
        with pytest.raises(InputError, match="damaged, or changed by hand"):
            view.read_report()


@pytest.mark.parametrize("content", [None, b""])
def test_a_finished_run_that_lost_its_rows_is_damaged(
    tmp_path: Path, content: bytes | None
) -> None:
    with bare(tmp_path) as folder:
        folder.finish()
    ledger = tmp_path / "ledger.sqlite"
    ledger.unlink()
    if content is not None:
        ledger.write_bytes(content)
    with pytest.raises(InputError, match="not a ledger, or damaged"):
        RunFolder.inspect(tmp_path)
    with pytest.raises(InputError, match="not a ledger, or damaged"):
        bare(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE rows DROP COLUMN body",
        "ALTER TABLE rows RENAME COLUMN key TO keys",
        "ALTER TABLE rows ADD COLUMN more TEXT",
        "DROP INDEX rows_by_question",
        "DROP TABLE rows",
    ],
)
def test_a_ledger_with_other_columns_is_damaged(tmp_path: Path, change: str) -> None:
    with bare(tmp_path) as folder:
        folder.finish()
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as db:
        db.execute(change)
        db.commit()
    for look in (RunFolder.inspect, bare):
        with pytest.raises(InputError, match="ledger"):
            look(tmp_path)
