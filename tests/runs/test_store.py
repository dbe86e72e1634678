"""Damaged files, foreign files, readers, other writers and full disks, each told in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestra.errors import InputError, RunConflict
from orchestra.records import Generation
from orchestra.runs import Ledger, RowKind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def generation(key: str, text: str = "B") -> tuple[str, Generation]:
    return key, Generation(key, "q", "e", text)


# --- files that are not what they should be -------------------------------------------


def not_sqlite(path: Path) -> None:
    path.write_text("these are notes, not a ledger\n" * 100)


def of_something_else(path: Path) -> None:
    run(path, "CREATE TABLE recipes (name TEXT)")


def newer(path: Path) -> None:
    Ledger(path).close()
    run(path, "PRAGMA user_version = 99")


def overwritten(path: Path) -> None:
    fill(path)
    content = bytearray(path.read_bytes())
    content[16384:] = b"\xaa" * (len(content) - 16384)
    path.write_bytes(content)


def truncated(path: Path) -> None:
    fill(path)
    path.write_bytes(path.read_bytes()[:40_000])


def foreign_body(path: Path) -> None:
    fill(path)
    run(path, "UPDATE rows SET body = '{\"text\":1}'")


def fill(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.put(RowKind.GENERATION, [generation(f"k{i}") for i in range(1000)])


def run(path: Path, statement: str) -> None:
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (not_sqlite, "not a ledger, or damaged"),
    (of_something_else, "not a ledger"),
    (newer, "newer orchestra: ledger schema 99"),
    (overwritten, "damaged"),
    (truncated, "damaged"),
    (foreign_body, "damaged generation row 'k0'"),
]


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_a_file_that_is_no_ledger_is_an_input_error(
    path: Path, damage: Callable[[Path], None], words: str, readonly: bool
) -> None:
    damage(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=words) as caught, Ledger(path, readonly=readonly) as got:
        list(got.rows(RowKind.GENERATION))
    assert str(path) in str(caught.value)
    if words != "damaged":
        assert path.read_bytes() == before


def test_a_folder_is_no_ledger(path: Path) -> None:
    path.mkdir()
    with pytest.raises(InputError, match="may not be opened"):
        Ledger(path)


def test_an_empty_file_is_a_new_ledger_but_nothing_to_read(path: Path) -> None:
    path.touch()
    with pytest.raises(InputError, match="holds nothing yet"):
        Ledger(path, readonly=True)
    Ledger(path).close()
    with Ledger(path, readonly=True) as ledger:
        assert ledger.keys(RowKind.PLAN) == set()


def test_reading_needs_a_file(path: Path) -> None:
    with pytest.raises(InputError, match="no ledger here"):
        Ledger(path, readonly=True)
    assert not path.exists()


# --- readers, writers, and the disk ---------------------------------------------------


def test_a_reader_changes_nothing_and_leaves_nothing_behind(path: Path) -> None:
    fill(path)
    before = path.read_bytes()
    with Ledger(path, readonly=True) as ledger:
        with pytest.raises(InputError, match="may not be opened or written to"):
            ledger.put(RowKind.GENERATION, [generation("new")])
        assert ledger.count(RowKind.GENERATION) == 1000
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_second_writer_is_told(path: Path) -> None:
    with Ledger(path) as ledger, Ledger(path) as other:
        ledger.put(RowKind.GENERATION, [generation("mine")])
        other._db.execute("PRAGMA busy_timeout = 10")  # it waits longer than a test likes to
        with pytest.raises(RunConflict, match="another process is writing"):
            other.put(RowKind.GENERATION, [generation("theirs")])


def test_a_full_disk_keeps_what_was_committed(path: Path) -> None:
    rows = [generation(str(i), text="x" * 5_000) for i in range(200)]

    def work() -> None:
        with Ledger(path, batch=50) as ledger:
            # The file may not grow past this many pages: SQLite then fails as on a full disk.
            ledger._db.execute("PRAGMA max_page_count = 30")
            ledger.put(RowKind.GENERATION, rows)

    with pytest.raises(InputError, match="no space left") as caught:
        work()
    assert "kept" in caught.value.hint
    with Ledger(path) as ledger:
        assert ledger.keys(RowKind.GENERATION) == {key for key, _ in rows[:50]}
        ledger.put(RowKind.GENERATION, rows)
        assert ledger.count(RowKind.GENERATION) == 200
