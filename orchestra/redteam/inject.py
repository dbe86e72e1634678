"""Liars among the experts of any pipeline, by wrapping its workers and never the pipeline.

Replaces a liar's texts (template form) or its messages (live form); only the liar sees them.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Literal, get_args

from orchestra.errors import unknown
from orchestra.pipeline import WorkerPool
from orchestra.records import Failure, Generation, Message, Question, Request, Usage
from orchestra.redteam.instructions import instructed, wording
from orchestra.redteam.lies import Lie, Lies
from orchestra.redteam.templates import TEMPLATES, write
from orchestra.roster import Expert
from orchestra.runs import Account, digest
from orchestra.workers import Recordings, Worker, ended


class Wrapped(WorkerPool):
    """Workers of which some are changed; everything else is handed on. They serve any pipeline.

    Args:
        workers: what is wrapped; may itself be wrapped around others.
        changed: the experts whose workers are changed.
        lazy: whether those are loaded when something is first asked of them, not at once.
    """

    def __init__(
        self, workers: WorkerPool, changed: Iterable[str] = (), *, lazy: bool = False
    ) -> None:
        super().__init__(account=workers.account)
        self._inside, self._names, self._lazy = workers, frozenset(changed), lazy

    def check(self, roster: Iterable[Expert]) -> None:
        """Raise one error for everything that would keep an expert from being opened."""
        self._inside.check(roster)

    def unit(self, expert: Expert) -> str:
        """What is loaded for it."""
        return self._inside.unit(expert)

    def recordings(self, expert: Expert) -> Recordings:
        """The recordings that a recorded expert replays."""
        return self._inside.recordings(expert)

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says."""
        return self._inside.identity(expert)

    def open(
        self, expert: Expert, *others: Expert, account: Account | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        inside = self._inside.open(expert, *others, account=account, **options)
        if self._names.isdisjoint(each.name for each in (expert, *others)):
            return inside
        return _visited(inside, self, lazy=self._lazy)

    def changed(self, request: Request) -> Request | Generation:
        """What a changed expert is asked in place of a request, or its reply without asking."""
        return request

    def failed(self, failure: Failure) -> None:
        """Called for each changed request that failed."""


@asynccontextmanager
async def _visited(
    inside: AbstractAsyncContextManager[Worker], wrapped: Wrapped, *, lazy: bool
) -> AsyncIterator[Worker]:
    async with AsyncExitStack() as held:
        changed = _Changed(inside, held, wrapped)
        if not lazy:
            await changed.load()
        yield changed


class _Changed:
    """A worker whose requests are changed, or answered beside it."""

    def __init__(
        self, inside: AbstractAsyncContextManager[Worker], held: AsyncExitStack, wrapped: Wrapped
    ) -> None:
        self._inside, self._held, self._wrapped = inside, held, wrapped
        self._worker: Worker | None = None

    async def load(self) -> Worker:
        """The worker inside."""
        if self._worker is None:
            self._worker = await self._held.enter_async_context(self._inside)
        return self._worker

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """One Generation for each request, in whatever order they come."""
        written: deque[Generation] = deque()
        changed: set[str] = set()
        asked = self._asked(requests, written, changed)
        first = next(asked, None)
        if first is not None:
            async with ended(await self.load(), chain((first,), asked)) as stream:
                async for generation in stream:
                    if generation.key in changed:
                        changed.remove(generation.key)
                        if generation.failure is not None:
                            self._wrapped.failed(generation.failure)
                    yield generation
                    while written:
                        yield written.popleft()
        for _ in changed:
            self._wrapped.failed(_NO_REPLY)
        while written:
            await asyncio.sleep(0)  # nothing here ever waits: without this, no Ctrl-C gets through
            yield written.popleft()

    def _asked(
        self, requests: Iterable[Request], written: deque[Generation], changed: set[str]
    ) -> Iterator[Request]:
        """The requests that are to be asked; replies to the others go to `written`."""
        for request in requests:
            given = self._wrapped.changed(request)
            if isinstance(given, Generation):
                written.append(given)
                continue
            if given is not request:
                changed.add(request.key)
            yield given


Form = Literal["template", "live"]
"""`template`: lies are written here and nobody is asked; `live`: the model writes them."""

_CHARACTERS_PER_TOKEN = 4
_NO_REPLY = Failure("no_reply", "the worker ended without a reply")


@dataclass(frozen=True, order=True, slots=True)
class Reason:
    """Why some calls gave no text."""

    kind: str
    """As in `Failure`."""
    detail: str
    """One line for a person."""
    calls: int = 1
    """How many failed for it."""


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
        # An expert that only lies is never loaded for the lies that are written for it.
        super().__init__(workers, lies.liars, lazy=form == "template")
        self.lies = lies
        """Who plants what."""
        self.failures: Counter[tuple[str, str]] = Counter()
        """(kind, detail) -> how many lies failed for it, so that nothing was said."""
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

    def lie(self, request: Request) -> Lie | None:
        """What the asked expert plants in its reply; None: it replies honestly."""
        if request.stage != self.lies.attack.stage:
            return None
        if self._layers is not None and request.layer not in self._layers:
            return None
        return self.lies.of(request.question_id, request.expert)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why lies failed so far, sorted."""
        return tuple(sorted(Reason(*why, calls) for why, calls in self.failures.items()))

    def changed(self, request: Request) -> Request | Generation:
        """The request with instructions to lie, or the lie that is written from a template."""
        lie, lies = self.lie(request), self.lies
        if lie is None:
            return request
        style = lies.attack.style
        if self._form == "live":
            messages = instructed(request.messages, lie, style, seed=lies.seed)
            return replace(request, messages=messages)
        turn = lies.turn(request.expert, request.sample)
        text = write(lie, style, seed=lies.seed, turn=turn)
        length = sum(len(message.content) for message in request.messages)
        return Generation(
            request.key,
            request.question_id,
            request.expert,
            text,
            usage=Usage(1, _tokens(length), _tokens(len(text)), estimated=True),
            layer=request.layer,
            sample=request.sample,
        )

    def failed(self, failure: Failure) -> None:
        """Count a lie that failed."""
        self.failures[failure.kind, failure.detail] += 1


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
        super().__init__(workers, experts)
        self._places = {name: place for place, name in enumerate(experts)}
        self._contexts = {each.id: each.context for each in questions if each.context}

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says, its part included."""
        whole = super().identity(expert)
        if expert.name not in self._places:
            return whole
        return digest([whole, "part", self._places[expert.name], len(self._places)])

    def changed(self, request: Request) -> Request | Generation:
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
