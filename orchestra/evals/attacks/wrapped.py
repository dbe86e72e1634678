"""Workers with other workers inside: the same interface, handed on.

Knows what a pipeline asks of its workers; changes none of it (`infiltrate` and `partial` do).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

from orchestra.pipeline import LocalWorkers
from orchestra.roster import Expert
from orchestra.runs import Account
from orchestra.workers import Recordings, Worker


class Wrapped(LocalWorkers):
    """Hands everything on to the workers inside. In their place it serves any pipeline.

    Args:
        workers: what is wrapped; may itself be wrapped around others.
    """

    def __init__(self, workers: LocalWorkers) -> None:
        super().__init__(account=workers.account)
        self._inside = workers

    def check(self, roster: Iterable[Expert]) -> None:
        """Raise one error for everything that would keep an expert from being opened."""
        self._inside.check(roster)

    def unit(self, expert: Expert) -> str:
        """What is loaded for it."""
        return self._inside.unit(expert)

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        return self._inside.open(expert, *others, account=account)

    def recordings(self, expert: Expert) -> Recordings:
        """The recordings that a recorded expert replays."""
        return self._inside.recordings(expert)

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says."""
        return self._inside.identity(expert)
