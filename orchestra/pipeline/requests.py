"""Calls as requests: their content keys, and those that other runs have made already.

A generation that is taken over from another run stands in the run's own ledger from then on,
counts like any other on the way that decided, and is nothing that this run has spent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from orchestra.records import Call, Generation, Message, Question, Request, Sampling
from orchestra.roster import Expert, Roster
from orchestra.runs import Cache, Ledger, Reused, RowKind, cache_key, digest, request_key
from orchestra.workers import Workers
from orchestra.workers.pool import kind_of

_PROMPTS = 20_000
"""Prompts that are kept for the next expert that is asked alike."""


class ContentKeys:
    """The content key and the messages of each call."""

    def __init__(self, roster: Roster, identities: Mapping[str, str]) -> None:
        self._roster, self._identities = roster, identities
        self._questions: dict[str, str] = {}
        self._samplings: dict[Sampling, str] = {}
        self._messages: dict[tuple[str, str, str], tuple[Message, ...]] = {}

    def of(self, call: Call, again: str = "") -> tuple[str, tuple[Message, ...] | None]:
        """The key, and the messages where it took them to make it; `again` tells repetitions of a
        stage apart."""
        expert = self._roster[call.expert]
        asked = self._question(call.question)
        messages = None
        if call.prompt is not None:
            messages = call.prompt.messages(expert, call.question)
            asked = digest([asked, [[each.role, each.content] for each in messages]])
        key = request_key(
            expert=self._identities[expert.name],
            messages=asked,
            sampling=self._sampling(call.sampling or expert.sampling),
            stage=f"{call.stage}#{again}" if again else call.stage,
            layer=call.layer,
            sample=call.sample,
        )
        return key, messages

    def alike(self, name: str) -> tuple[str, str]:
        """Equal for experts that are alike but in name."""
        return self._identities[name], self._sampling(self._roster[name].sampling)

    def request(self, call: Call, key: str, messages: tuple[Message, ...] | None) -> Request:
        """The call, ready to send."""
        expert = self._roster[call.expert]
        return Request(
            key,
            call.question.id,
            expert.name,
            call.stage,
            self._own(expert, call.question) if messages is None else messages,
            call.sampling or expert.sampling,
            layer=call.layer,
            sample=call.sample,
        )

    def _own(self, expert: Expert, question: Question) -> tuple[Message, ...]:
        """The question as the expert is always asked; the same for every draw."""
        spoken = (question.id, expert.strategy, expert.system)
        messages = self._messages.get(spoken)
        if messages is None:
            messages = expert.messages(question)
            if len(self._messages) < _PROMPTS:
                self._messages[spoken] = messages
        return messages

    def _question(self, question: Question) -> str:
        """Stands for everything of a question that a prompt may show."""
        found = self._questions.get(question.id)
        if found is None:
            shown = (
                question.id,
                question.text,
                question.options,
                question.kind.value,
                question.context,
                *((question.prompt,) if question.prompt else ()),
            )
            found = self._questions[question.id] = digest(repr(shown))
        return found

    def _sampling(self, sampling: Sampling) -> str:
        found = self._samplings.get(sampling)
        if found is None:
            found = self._samplings[sampling] = digest(sampling)
        return found


class SharedCalls:
    """The cache of a project, as one run sees it.

    Experts that are free to ask (recordings, scripts) are left out: asking them again costs less.

    Args:
        cache: the generations of all runs.
        roster: the experts of this one.
        ledger: the run's own; None: nothing is kept of it.
    """

    def __init__(self, cache: Cache, roster: Roster, ledger: Ledger | None) -> None:
        self._cache, self._ledger = cache, ledger
        self._experts = {each.name: each for each in roster if not kind_of(each).free}
        self._keys: dict[str, bytes] = {}
        """Content key -> key in the cache, of requests that are to be made."""

    def found(
        self, requests: Mapping[str, Request], own: Mapping[str, Generation]
    ) -> dict[str, Generation]:
        """Content key -> what another run was told to the same request; into the ledger with it.

        What the run's ledger has (`own`) is kept for others, since a run may have been killed
        before it was shared.
        """
        keys = {k: cache_key(each) for k, each in requests.items() if each.expert in self._experts}
        self._cache.put((keys.pop(key), each) for key, each in own.items() if key in keys)
        known = self._cache.get(list(keys.values()))
        found = {
            key: _repriced(known[shared], requests[key], self._experts[requests[key].expert])
            for key, shared in keys.items()
            if shared in known
        }
        self._keys |= {key: shared for key, shared in keys.items() if key not in found}
        if found and self._ledger is not None:
            self._ledger.put(RowKind.GENERATION, found.items())
            self._ledger.append(RowKind.REUSED, Reused(len(found)))
            self._ledger.commit()
        return found

    def keep(self, generations: Iterable[Generation]) -> None:
        """Keep for other runs what was generated for requests that were not found."""
        pairs = [(self._keys.pop(each.key, None), each) for each in generations]
        self._cache.put((key, each) for key, each in pairs if key is not None)


def _repriced(found: Generation, request: Request, expert: Expert) -> Generation:
    """The generation as this run would have been given it, at the price of its own roster."""
    usage, price = found.usage, kind_of(expert).price(expert)
    money = price.money(usage.input_tokens, usage.output_tokens) if price else 0.0
    if not math.isclose(money, usage.money, rel_tol=1e-9):
        usage = replace(usage, money=money)
    return replace(found, key=request.key, expert=request.expert, usage=usage)


@contextmanager
def shared_calls(
    workers: Workers, roster: Roster, ledger: Ledger | None
) -> Iterator[SharedCalls | None]:
    """The cache that a worker pool names, open; None where it names none."""
    path = getattr(workers, "cache", None)
    if path is None:
        yield None
        return
    with Cache(path) as cache:
        yield SharedCalls(cache, roster, ledger)
