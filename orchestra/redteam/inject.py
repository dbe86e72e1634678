"""Liars among the experts of any pipeline, by wrapping its workers and never the pipeline.

Knows which requests a liar lies on, and replaces its texts (template form) or what it is told
(live form). Does not decide what is planted, and shows the lie to nobody but the liar.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import chain
from typing import Any, Literal, get_args

from orchestra.errors import unknown
from orchestra.pipeline import WorkerPool
from orchestra.records import Generation, Message, Question, Request, Usage
from orchestra.redteam.instructions import instructed, wording
from orchestra.redteam.lies import Lie, Lies
from orchestra.redteam.templates import TEMPLATES, write
from orchestra.roster import Expert
from orchestra.runs import Account, digest
from orchestra.workers import Recordings, Worker, ended


class Wrapped(WorkerPool):
    """Hands everything on to the workers inside. In their place it serves any pipeline.

    Args:
        workers: what is wrapped; may itself be wrapped around others.
    """

    def __init__(self, workers: WorkerPool) -> None:
        super().__init__(account=workers.account)
        self._inside = workers

    def check(self, roster: Iterable[Expert]) -> None:
        """Raise one error for everything that would keep an expert from being opened."""
        self._inside.check(roster)

    def unit(self, expert: Expert) -> str:
        """What is loaded for it."""
        return self._inside.unit(expert)

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        return self._inside.open(expert, *others, account=account, **options)

    def recordings(self, expert: Expert) -> Recordings:
        """The recordings that a recorded expert replays."""
        return self._inside.recordings(expert)

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says."""
        return self._inside.identity(expert)


Form = Literal["template", "live"]
"""`template`: lies are written here and nobody is asked; `live`: the model writes them."""

_CHARACTERS_PER_TOKEN = 4


class Injected(Wrapped):
    """Workers whose liars lie and whose other experts are as they were.

    A liar has another identity than the honest expert it was, so that no ledger takes the one for
    the other; where it answers honestly it does so under that identity too.

    Args:
        workers: the honest workers.
        lies: who plants what, on which question.
        form: `template` for recorded experts and quick tests, `live` for models that are asked.
        layers: layers of a layered pipeline, from 0, in which liars lie; None: in all.

    Raises:
        InputError: there is no such form.
    """

    def __init__(
        self,
        workers: WorkerPool,
        lies: Lies,
        *,
        form: Form = "template",
        layers: frozenset[int] | None = None,
    ) -> None:
        if form not in get_args(Form):
            raise unknown("form of lie", form, get_args(Form))
        super().__init__(workers)
        self.lies = lies
        """Who plants what."""
        self._form, self._layers = form, layers

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says, lies included."""
        honest = super().identity(expert)
        lies = self.lies
        if expert.name not in lies.liars:
            return honest
        style = lies.attack.style
        told = wording(style) if self._form == "live" else tuple(TEMPLATES[style])
        where = None if self._layers is None else sorted(self._layers)
        planted = [lies.turn(expert.name), lies.digest(expert.name)]
        return digest([honest, "lies", lies.attack, self._form, lies.seed, where, planted, told])

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        inside = super().open(expert, *others, account=account, **options)
        if {each.name for each in (expert, *others)}.isdisjoint(self.lies.liars):
            return inside
        return self._visit(inside)

    @asynccontextmanager
    async def _visit(self, inside: AbstractAsyncContextManager[Worker]) -> AsyncIterator[Worker]:
        async with AsyncExitStack() as held:
            if self._form == "live":
                yield _Live(await held.enter_async_context(inside), self)
            else:
                yield _Templates(_WhenAsked(inside, held), self)

    def lie(self, request: Request) -> Lie | None:
        """What the asked expert plants in its reply; None: it replies honestly."""
        if request.stage != self.lies.attack.stage:
            return None
        if self._layers is not None and request.layer not in self._layers:
            return None
        return self.lies.of(request.question_id, request.expert)


class _Live:
    """A worker that is told to lie where a liar is asked."""

    def __init__(self, inside: Worker, infiltrated: Injected) -> None:
        self._inside, self._infiltrated = inside, infiltrated

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each request, in whatever order they come."""
        async with ended(self._inside, map(self._changed, requests)) as stream:
            async for generation in stream:
                yield generation

    def _changed(self, request: Request) -> Request:
        lie = self._infiltrated.lie(request)
        if lie is None:
            return request
        lies = self._infiltrated.lies
        messages = instructed(request.messages, lie, lies.attack.style, seed=lies.seed)
        return replace(request, messages=messages)


class _WhenAsked:
    """A worker that is loaded once something is asked of it: whoever only lies never is."""

    def __init__(self, inside: AbstractAsyncContextManager[Worker], held: AsyncExitStack) -> None:
        self._inside, self._held = inside, held
        self._worker: Worker | None = None

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each request, in whatever order they come."""
        if self._worker is None:
            self._worker = await self._held.enter_async_context(self._inside)
        async with ended(self._worker, requests) as stream:
            async for generation in stream:
                yield generation


class _Templates:
    """A worker that is asked only where a reply is honest; lies are written beside it."""

    def __init__(self, inside: Worker, infiltrated: Injected) -> None:
        self._inside, self._infiltrated = inside, infiltrated

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each request, in whatever order they come."""
        planted: deque[tuple[Request, Lie]] = deque()
        honest = self._honest(requests, planted)
        first = next(honest, None)
        if first is not None:
            async with ended(self._inside, chain((first,), honest)) as stream:
                async for generation in stream:
                    yield generation
                    while planted:
                        yield self._written(*planted.popleft())
        while planted:
            await asyncio.sleep(0)  # nothing here ever waits: without this, no Ctrl-C gets through
            yield self._written(*planted.popleft())

    def _honest(
        self, requests: Iterable[Request], planted: deque[tuple[Request, Lie]]
    ) -> Iterator[Request]:
        """The requests that are to be asked; the others go to `planted`."""
        for request in requests:
            lie = self._infiltrated.lie(request)
            if lie is None:
                yield request
            else:
                planted.append((request, lie))

    def _written(self, request: Request, lie: Lie) -> Generation:
        lies = self._infiltrated.lies
        turn = lies.turn(request.expert, request.sample)
        text = write(lie, lies.attack.style, seed=lies.seed, turn=turn)
        read = sum(len(message.content) for message in request.messages)
        return Generation(
            request.key,
            request.question_id,
            request.expert,
            text,
            usage=Usage(1, _tokens(read), _tokens(len(text)), estimated=True),
            layer=request.layer,
            sample=request.sample,
        )


def _tokens(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)


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
        self, workers: WorkerPool, experts: Sequence[str], *, questions: Iterable[Question]
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
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        inside = super().open(expert, *others, account=account, **options)
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
