"""The cache of generations: what is one request, and what several processes see of each other."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from orchestra.errors import InputError
from orchestra.records import Failure, Generation, Message, Request, Sampling, Usage
from orchestra.runs import Cache, Ledger, RowKind, cache_key

REQUEST = Request("k", "q", "e", "generate", (Message("user", "How much?"),), Sampling())


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (REQUEST, True),
        (replace(REQUEST, expert="f", question_id="r"), True),  # the content key says who and what
        (replace(REQUEST, key="l"), False),
        (replace(REQUEST, messages=()), False),
        (replace(REQUEST, messages=(Message("system", "How much?"),)), False),
        (replace(REQUEST, messages=(Message("user", "How much"),)), False),
        (replace(REQUEST, messages=(Message("user", "How "), Message("user", "much?"))), False),
        (replace(REQUEST, messages=(Message("user", "How much?"),) * 2), False),
        (replace(REQUEST, messages=(Message("user", "How much\ud800?"),)), False),
    ],
)
def test_what_is_one_request(other: Request, same: bool) -> None:
    assert (cache_key(other) == cache_key(REQUEST)) is same


def generation(number: int, text: str = "") -> tuple[bytes, Generation]:
    key = f"{number:032x}"
    return bytes.fromhex(key), Generation(key, "q", "e", text or f"text {number} \ud800 \x00")


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cache.sqlite"
    rows = [generation(n) for n in range(1_200)]
    with Cache(path) as cache:
        cache.put(rows)
        cache.put([generation(0, "another draw")])  # the first is kept
        failed = replace(generation(5000)[1], failure=Failure("timeout"))
        cache.put([(generation(5000)[0], failed)])
    odd = replace(generation(2000)[1], usage=Usage(1, 2, 3, money=float("inf")))
    with Cache(path) as cache:
        cache.put([(generation(2000)[0], odd)])
        assert cache.count() == 1_201
        assert cache.get([key for key, _ in rows] + [b"unknown"]) == dict(rows)
        assert cache.get([generation(2000)[0], generation(5000)[0]]) == {generation(2000)[0]: odd}
        assert cache.get([]) == {}


def test_a_row_of_another_release_is_made_again(tmp_path: Path) -> None:
    with Cache(tmp_path / "c") as cache:
        cache.put([generation(1), generation(2)])
    db = sqlite3.connect(tmp_path / "c")
    with db:
        db.execute("UPDATE generations SET body = ? WHERE rowid = 1", (b'{"new":1}',))
    db.close()
    with Cache(tmp_path / "c") as cache:
        assert cache.get([generation(1)[0], generation(2)[0]]) == dict([generation(2)])


def test_files_of_other_kinds_are_refused_unchanged(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.put(RowKind.GENERATION, [("k", generation(1)[1])])
    (tmp_path / "text").write_text("some text that is long enough to be no database at all")
    with Cache(tmp_path / "newer"):
        pass
    db = sqlite3.connect(tmp_path / "newer")
    db.execute("PRAGMA user_version = 9")
    db.close()
    for name, words in (("ledger", "cache"), ("text", "not a"), ("newer", "newer orchestra")):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(InputError, match=words) as caught:
            Cache(tmp_path / name)
        assert "--cache" in str(caught.value)
        assert (tmp_path / name).read_bytes() == before


# Keeps what is missing of its share, and says after each commit how many it has kept.
WRITER = """
import sys
from pathlib import Path
from orchestra.records import Generation
from orchestra.runs import Cache
first, last, own = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
keys = [f"{n:032x}" for n in range(first, last)]
with Cache(Path(sys.argv[1])) as cache:
    print("ready", flush=True)
    for start in range(0, len(keys), 20):
        some = keys[start : start + 20]
        known = cache.get([bytes.fromhex(key) for key in some])
        cache.put(
            (bytes.fromhex(key), Generation(key, "q", "e", own * 500))
            for key in some
            if bytes.fromhex(key) not in known
        )
        print(start + len(some), flush=True)
"""


def writer(path: Path, first: int, last: int, own: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(first), str(last), own]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def sound(path: Path) -> dict[bytes, Generation]:
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    keys = [key for (key,) in db.execute("SELECT key FROM generations")]
    db.close()
    with Cache(path) as cache:
        found = cache.get(keys)
    assert len(found) == len(keys)
    return found


@pytest.mark.slow
def test_two_processes_keep_everything_of_both(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    processes = [writer(path, 0, 3_000, "a"), writer(path, 1_500, 4_500, "b")]
    for each in processes:
        each.communicate()
        assert each.returncode == 0
    found = sound(path)
    assert {int(key.hex(), 16) for key in found} == set(range(4_500))
    assert {each.text for each in found.values()} == {"a" * 500, "b" * 500}


@pytest.mark.slow
def test_killed_again_and_again_beside_another_writer(tmp_path: Path) -> None:
    path, random = tmp_path / "cache.sqlite", Random("kill")
    beside = writer(path, 10_000, 14_000, "c")
    for _ in range(10):
        with writer(path, 0, 4_000, "a") as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(random.randint(1, 40))]
            time.sleep(random.uniform(0, 0.003))
            process.kill()
            said += process.stdout.read().splitlines(keepends=True)
        whole = [int(line) for line in said[1:] if line.endswith("\n")]
        kept = {int(key.hex(), 16) for key in sound(path)}
        assert kept >= set(range(max(whole, default=0)))
        assert sum(n < 10_000 for n in kept) % 20 == 0  # a commit is whole or undone
    for each in (beside, writer(path, 0, 4_000, "a")):
        each.communicate()
        assert each.returncode == 0
    assert len(sound(path)) == 8_000
