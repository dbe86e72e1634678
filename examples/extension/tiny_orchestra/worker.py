"""A kind of worker: every answer is what the roster's `engine: {says: ...}` holds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.roster import Expert
from orchestra.workers import ScriptedWorker, Worker
from orchestra.workers.pool import Opening, WorkerKind, WorkerPool


@component("worker", "parrot")
@dataclass(frozen=True)
class Parrot(WorkerKind):
    """Repeats one text."""

    free: ClassVar[bool] = True

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        """Raise InputError where the roster does not say what it repeats."""
        if "says" not in expert.engine:
            raise InputError(f"expert `{expert.name}`: a parrot needs `engine: {{says: ...}}`")

    def open(
        self, experts: Sequence[Expert], pool: WorkerPool, how: Opening
    ) -> AbstractAsyncContextManager[Worker]:
        """A worker that needs no loading."""
        text = f"The answer is {experts[0].engine['says']}."
        return nullcontext(ScriptedWorker(lambda request: text))
