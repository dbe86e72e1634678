"""Experts that each know only a part of what a question is about.

Knows how a passage is dealt out and where it stands in a prompt; does not know who lies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from orchestra.evals.attacks.wrapped import Wrapped
from orchestra.pipeline import LocalWorkers
from orchestra.records import Generation, Message, Question, Request
from orchestra.roster import Expert
from orchestra.runs import Account, digest
from orchestra.workers import Worker, ended


class PartialInformation(Wrapped):
    """Workers whose experts are each shown one part of a question's context.

    The regime in which the others cannot check a liar (Wolf, Yoon and Bogunovic 2025,
    arXiv:2503.05856). Recorded experts have seen the whole, whatever they are shown.

    Args:
        workers: what is wrapped.
        experts: who shares the context, in the order of its parts; others see all of it.
        questions: where the contexts are found.
    """

    def __init__(
        self, workers: LocalWorkers, experts: Sequence[str], *, questions: Iterable[Question]
    ) -> None:
        super().__init__(workers)
        self._places = {name: place for place, name in enumerate(experts)}
        self._contexts = {each.id: each.context for each in questions if each.context}

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says, its part included."""
        whole = super().identity(expert)
        if expert.name not in self._places:
            return whole
        return digest([whole, "part", self._places[expert.name], len(self._places)])

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        inside = super().open(expert, *others, account=account)
        if {each.name for each in (expert, *others)}.isdisjoint(self._places):
            return inside
        return self._visit(inside)

    @asynccontextmanager
    async def _visit(self, inside: AbstractAsyncContextManager[Worker]) -> AsyncIterator[Worker]:
        async with inside as worker:
            yield _InPart(worker, self)

    def shown(self, request: Request) -> Request:
        """The request with the asked expert's part of the context in place of the whole."""
        context = self._contexts.get(request.question_id)
        place = self._places.get(request.expert)
        if context is None or place is None:
            return request
        own = part(context, place, len(self._places))
        messages = tuple(_shortened(message, context, own) for message in request.messages)
        return replace(request, messages=messages)


def part(context: str, place: int, parts: int) -> str:
    """One of so many consecutive parts of a text, equal to a character."""
    return context[place * len(context) // parts : (place + 1) * len(context) // parts]


def _shortened(message: Message, context: str, own: str) -> Message:
    """A user turn that begins with the context, with only a part of it."""
    if message.role != "user" or not message.content.startswith(context):
        return message
    return replace(message, content=f"{own}{message.content[len(context) :]}")


class _InPart:
    """A worker that is shown each request in part."""

    def __init__(self, inside: Worker, partial: PartialInformation) -> None:
        self._inside, self._partial = inside, partial

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each request, in whatever order they come."""
        async with ended(self._inside, map(self._partial.shown, requests)) as stream:
            async for generation in stream:
                yield generation
