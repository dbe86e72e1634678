"""Liars among the experts of any pipeline, by wrapping its workers and never the pipeline.

Knows which requests a liar lies on, and replaces its texts (template form) or what it is told
(live form). Does not decide what is planted, and shows the lie to nobody but the liar.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import chain
from typing import Literal, get_args

from orchestra.errors import unknown
from orchestra.evals.attacks.instructions import instructed, wording
from orchestra.evals.attacks.lies import Lie, Lies
from orchestra.evals.attacks.templates import TEMPLATES, write
from orchestra.evals.attacks.wrapped import Wrapped
from orchestra.pipeline import LocalWorkers
from orchestra.records import Generation, Request, Usage
from orchestra.roster import Expert
from orchestra.runs import Account, digest
from orchestra.workers import Worker, ended

Form = Literal["template", "live"]
"""`template`: lies are written here and nobody is asked; `live`: the model writes them."""

_CHARACTERS_PER_TOKEN = 4


class Infiltrated(Wrapped):
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
        workers: LocalWorkers,
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
        self, expert: Expert, *others: Expert, account: Account | None = None
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        inside = super().open(expert, *others, account=account)
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

    def __init__(self, inside: Worker, infiltrated: Infiltrated) -> None:
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

    def __init__(self, inside: Worker, infiltrated: Infiltrated) -> None:
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
