"""Generations that several runs share, in one SQLite file beside their ledgers.

Any number of processes read and write it. A ledger has what its run decides on; the cache saves
calls that another run has made, and holds no failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Self

from orchestra.records import Generation, Request
from orchestra.runs.codec import decode, encode
from orchestra.runs.disk import translated
from orchestra.runs.store import Layout, connect

CACHE = ("cache of generations", "delete the file, or name another with `--cache`")
"""What the file is, and what to do where it is something else; see `disk.LEDGER`."""
_LAYOUT = Layout(
    what=CACHE,
    schema=1,
    tables=("CREATE TABLE generations (key BLOB NOT NULL UNIQUE, body BLOB NOT NULL)",),
    names=frozenset({"generations"}),
    page_size=16384,
    settings=("PRAGMA wal_autocheckpoint = 4000", "PRAGMA cache_size = -16384"),
    patience=60.0,  # a commit of another process takes some milliseconds
)
_CHUNK = 500


def cache_key(request: Request) -> bytes:
    """Equal for requests whose generations are interchangeable.

    The content key, which covers the question, the expert with its checkpoint, sampling, stage and
    sample; and the messages as they are sent, since another release may word them otherwise.
    """
    told = blake2b(request.key.encode(), digest_size=16)
    for message in request.messages:
        for part in (message.role, message.content):
            sent = part.encode("utf-8", "surrogatepass")
            told.update(len(sent).to_bytes(8))
            told.update(sent)
    return told.digest()


class Cache:
    """The file. A context manager; opening makes the file and its folder if need be.

    Every write is a transaction of its own, which a kill leaves whole or undone; of two processes
    that keep the same key, the first is kept. Raises InputError for a file that is no cache, is
    damaged or may not be written to, and RunConflict where others write for a minute.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with translated(path, CACHE):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = connect(path, _LAYOUT)

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Generation]:
        """The generations of these keys, as they were kept; those that are there."""
        found: dict[bytes, Generation] = {}
        for start in range(0, len(keys), _CHUNK):
            some = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(some))
            statement = f"SELECT key, body FROM generations WHERE key IN ({marks})"
            with translated(self.path, CACHE):
                rows = self._db.execute(statement, some).fetchall()
            for key, body in rows:
                with suppress(ValueError):  # of another release: it is made again
                    found[key] = decode(Generation, body)
        return found

    def put(self, rows: Iterable[tuple[bytes, Generation]]) -> None:
        """Keep generations, all or none of them; what failed is left out."""
        packed = [(key, encode(each)) for key, each in rows if each.failure is None]
        if not packed:
            return
        with translated(self.path, CACHE):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR IGNORE INTO generations VALUES (?, ?)", packed)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def count(self) -> int:
        """How many generations there are."""
        with translated(self.path, CACHE):
            return int(self._db.execute("SELECT count(*) FROM generations").fetchone()[0])

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close()
