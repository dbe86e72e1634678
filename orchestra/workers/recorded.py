"""Replays answers that real models already gave.

Knows recordings; does not know what is right, and never invents: a question without a
recording is a failure `not_recorded`, and token counts that were not recorded are
estimates that say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import islice

from orchestra.records import Failure, Generation, Request, Usage
from orchestra.roster import Expert
from orchestra.workers.recordings import Recorded, Recordings

_CHARACTERS_PER_TOKEN = 4
"""Rule of thumb for English text; only ever used where `Usage.estimated` says so."""
_BATCH = 1_000
"""Texts held as Python strings at once."""


class RecordedWorker:
    """One expert's recordings."""

    def __init__(self, expert: Expert, recordings: Recordings) -> None:
        self._expert, self._recordings = expert, recordings

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """Replay each request; order is kept."""
        waiting = iter(requests)
        while part := list(islice(waiting, _BATCH)):
            wanted = [(request.question_id, request.sample) for request in part]
            found = self._recordings.texts(self._expert.model, wanted)
            await asyncio.sleep(0)  # nothing here ever waits: without this, no Ctrl-C gets through
            for request, recorded in zip(part, found, strict=True):
                yield self._generation(request, recorded)

    def _generation(self, request: Request, recorded: Recorded | None) -> Generation:
        who = (request.key, request.question_id, request.expert)
        if recorded is None:
            failure = Failure("not_recorded", f"no recording of sample {request.sample}")
            return Generation(
                *who,
                text="",
                finish_reason="error",
                failure=failure,
                layer=request.layer,
                sample=request.sample,
            )
        return Generation(
            *who,
            text=recorded.output,
            finish_reason=recorded.finish_reason or "unknown",
            usage=self._usage(request, recorded),
            layer=request.layer,
            sample=request.sample,
        )

    def _usage(self, request: Request, recorded: Recorded) -> Usage:
        if recorded.answer_only:  # nobody knows how much was read and written
            return Usage(calls=1, seconds=recorded.seconds or 0.0)
        sent, got = recorded.prompt_tokens, recorded.completion_tokens
        estimated = sent is None or got is None
        if sent is None:
            letters = sum([len(message.content) for message in request.messages])
            sent = -(-letters // _CHARACTERS_PER_TOKEN)
        if got is None:
            got = -(-len(recorded.output) // _CHARACTERS_PER_TOKEN)
        return Usage(
            calls=1,
            input_tokens=sent,
            output_tokens=got,
            estimated=estimated,
            seconds=recorded.seconds or 0.0,
            money=self._expert.price.money(sent, got) if self._expert.price else 0.0,
        )
