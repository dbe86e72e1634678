"""A worker that looks in the ledger before it asks, and writes down what it hears.

Knows content keys and the ledger; does not know what it wraps. Failures are kept as
failures and asked again the next time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from orchestra.records import Generation, Request
from orchestra.runs import Ledger, LedgerWriter, RowKind
from orchestra.workers.base import Worker, ended


class Cached:
    """The same shape as any worker.

    Args:
        worker: asked for what the ledger does not have.
        ledger: where generations are found and kept.
    """

    def __init__(self, worker: Worker, ledger: Ledger) -> None:
        self._worker, self._ledger = worker, ledger

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """What is known first, in the order of the requests; then the rest as it finishes."""
        requests = tuple(requests)
        known = self._ledger.get(RowKind.GENERATION, [request.key for request in requests])
        for request in requests:
            if request.key in known:
                yield known[request.key]
        missing = [request for request in requests if request.key not in known]
        if not missing:
            return
        with LedgerWriter(self._ledger) as kept:
            async with ended(self._worker, missing) as stream:
                async for generation in stream:
                    kept.add(generation)
                    yield generation
