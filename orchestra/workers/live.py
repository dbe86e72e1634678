"""One tiny call of each hosted expert, side by side, and what is wrong where none comes back.

What a server lists tells a wrong model from a wrong address. Engines and recordings are named and
not asked.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from orchestra.errors import InputError
from orchestra.records import Failure, Generation, Message, Request
from orchestra.roster import Expert, Served, local_servers, served
from orchestra.workers.base import ended
from orchestra.workers.hosted.open import secret_of
from orchestra.workers.pool import WorkerPool, kind_of

_ASKED = (Message("user", "Reply with the word ready."),)
_TOKENS = 16
"""Most tokens of a reply."""
_GLANCE = 5.0
"""Seconds that a server may take to list its models, where a call of it failed."""
_SHOWN = 8
"""Models of a server that a hint names."""
_HINTS = {
    "out_of_credit": "the provider wants money first",
    "rate_limited": "wait, or lower `limits` in the roster",
    "server_error": "the server itself fails: its own log says why",
}


@dataclass(frozen=True, slots=True)
class LiveCheck:
    """What came of the call of one expert."""

    expert: str
    outcome: Literal["ok", "wrong", "not called"]
    seconds: float = 0.0
    """Seconds until the reply, or until it was given up."""
    text: str = ""
    """What the expert said."""
    failure: str = ""
    """The kind of failure; empty: none."""
    details: tuple[str, ...] = ()
    """What is wrong, or why it was not called."""
    hint: str = ""
    """What to do; empty: nothing."""


async def check_live(experts: Iterable[Expert], *, limit: float = 30.0) -> list[LiveCheck]:
    """Call every hosted expert once, all at the same time.

    Args:
        experts: in the order of the result.
        limit: seconds that a call may take, more than 0.
    """
    pool = WorkerPool()
    return list(await asyncio.gather(*(_call(each, pool, limit) for each in experts)))


async def _call(expert: Expert, pool: WorkerPool, limit: float) -> LiveCheck:
    kind = kind_of(expert)
    if not kind.hosted or not kind.available:
        why = {kind.replayed: "its answers are recorded", kind.loads: "an engine is loaded for it"}
        reason = why.get(True, "this release cannot call it" if kind.hosted else "it is a function")
        return LiveCheck(expert.name, "not called", details=(f"`{expert.worker}`: {reason}",))
    started = time.perf_counter()
    try:
        kind.check(expert, pool)
        async with asyncio.timeout(limit):
            generation = await _generation(expert, pool, limit)
    except InputError as error:
        message = error.message.removeprefix(f"{error.place}: ")
        return LiveCheck(expert.name, "wrong", failure="input", details=(message,), hint=error.hint)
    except TimeoutError:
        generation = Failure("timeout", f"no reply in {limit:g} s")
    seconds = time.perf_counter() - started
    if isinstance(generation, Generation) and generation.failure is None:
        silent = generation.finish_reason == "length" and not generation.text.strip()
        told = (f"its {_TOKENS} tokens held reasoning only",) if silent else ()
        return LiveCheck(expert.name, "ok", seconds, generation.text, details=told)
    failure = generation if isinstance(generation, Failure) else generation.failure
    assert failure is not None
    details, hint = await asyncio.to_thread(_diagnosis, expert, failure)
    return LiveCheck(expert.name, "wrong", seconds, "", failure.kind, details, hint)


async def _generation(expert: Expert, pool: WorkerPool, limit: float) -> Generation | Failure:
    calls = replace(expert.calls, timeout=limit, attempts=1, hedge_after=None)
    sampling = replace(expert.sampling, max_tokens=_TOKENS, choices=(), logprobs=0)
    system = (Message("system", expert.system),) if expert.system else ()
    request = Request("live", "live", expert.name, "generate", (*system, *_ASKED), sampling)
    async with (
        pool.open(replace(expert, calls=calls)) as worker,
        ended(worker, [request]) as stream,
    ):
        async for generation in stream:
            return generation
    return Failure("no_reply", "the worker ended without a reply")


def _diagnosis(expert: Expert, failure: Failure) -> tuple[tuple[str, ...], str]:
    """What is wrong, in lines, and what to do about it."""
    said = f"{failure.kind}: {failure.detail}"
    if failure.kind == "unauthorised":
        named = expert.api_key_env
        hint = f"is the value of `{named}` the key of this server?" if named else ""
        return (said,), hint or "name the variable that holds its key: `api_key_env: NAME`"
    if failure.kind == "timeout":
        return (said,), "is the model still loading? `--timeout SECONDS` waits longer"
    if failure.kind in _HINTS or not expert.base_url:
        return (said,), _HINTS.get(failure.kind, "")
    return _compared(expert, said)


def _compared(expert: Expert, said: str) -> tuple[tuple[str, ...], str]:
    """A failure beside what the expert's server lists."""
    secret = secret_of(expert)
    try:
        found = served(
            expert.base_url,
            key=secret.reveal() if secret else "",
            key_name=expert.api_key_env,
            patience=_GLANCE,
        )
    except InputError as error:
        message = error.message.partition(": ")[2] if error.place else error.message
        return (said, message), _elsewhere(expert) or error.hint
    models = [each.id for each in found.models]
    if found.base_url.rstrip("/") != expert.base_url.rstrip("/"):
        note = found.note or f"the server lists its models under {found.base_url}"
        hint = f"`base_url: {found.base_url}`"
        if expert.model not in models:
            hint += f", and the server lists no `{expert.model}`: {_near(expert.model, models)}"
        return (said, note), hint
    if expert.model not in models:
        return (said, f"the server lists no `{expert.model}`"), _near(expert.model, models)
    return (said,), "the server lists this model, but does not answer: its own log says why"


def _near(name: str, models: list[str]) -> str:
    """The near names of a server's list, and what else it lists."""
    plain = {each.lower(): each for each in reversed(models)}
    low = name.lower()
    near = difflib.get_close_matches(low, plain, n=3, cutoff=0.5)
    near += [each for each in plain if each not in near and (low in each or each in low)]
    words = " or ".join(f"`{plain[each]}`" for each in near[:3])
    rest = [each for each in models if each not in {plain[key] for key in near[:3]}]
    more = ", ".join(f"`{each}`" for each in rest[:_SHOWN])
    more += f" and {len(rest) - _SHOWN} more" if len(rest) > _SHOWN else ""
    if not words:
        return f"it lists {more}"
    return f"did you mean {words}?" + (f" It also lists {more}" if more else "")


def _elsewhere(expert: Expert) -> str:
    """The servers of this machine, where the expert's is meant to be one of them."""
    host = urlsplit(expert.base_url).hostname or ""
    if host != "localhost" and not host.startswith("127."):
        return ""
    lists = [each for each in local_servers() if isinstance(each, Served)]
    lists.sort(key=lambda each: expert.model not in [model.id for model in each.models])
    told = ", ".join(f"{each.base_url} (`{each.models[0].id}`, ...)" for each in lists[:3])
    return f"is the port right? On this machine: {told}" if told else ""
