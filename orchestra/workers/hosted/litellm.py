"""Calls of any provider that litellm knows, by litellm.

Knows what must not be left to litellm (retries, fallbacks, callbacks, keys) and what it makes up;
does not know how it is imported (`litellm_package`), what its errors mean (`litellm_errors`) nor
how a reply is read (`openai_wire`).
"""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import orjson

from orchestra.errors import InputError, raise_all
from orchestra.records import Failure, Generation, Request, Usage
from orchestra.roster import Expert, Price
from orchestra.workers.hosted.errors import NEVER_PROCESSED
from orchestra.workers.hosted.litellm_errors import is_refusal, of_litellm
from orchestra.workers.hosted.litellm_package import package
from orchestra.workers.hosted.reading import LARGEST
from orchestra.workers.hosted.stream import Assembly
from orchestra.workers.hosted.wire import Dialect, body, failed, read_reply, withheld_reply
from orchestra.workers.secrets import Secret, environment_secrets, without

_OURS = re.compile(
    r"(?x) acompletion | api_base | api_key | base_url | best_of | .*callbacks? | cache | caching"
    r"| client | .*fallbacks? | .*_fallback_dict | max_(completion_)?tokens | messages | metadata"
    r"| mock_.* | model | model_list | n | no-log | .*_?retries | retry_.* | prompt"
    r"| shared_session | stream | stream_options | (request_|stream_)?timeout | tools"
    r"| tool_choice | verbose"
)
"""What an engine option cannot set: we do, or nobody may."""
_NO_KEY = "none"
"""Sent to a server of one's own that wants no key: litellm would look for one that is for the
provider."""
_MOST_DRAWS = 16

_Loops = WeakKeyDictionary[asyncio.AbstractEventLoop, "WeakSet[LiteLLMCaller]"]
# litellm keeps its clients for the whole process, by event loop; so it is known here for the
# whole process who still uses them.
_USERS: _Loops = WeakKeyDictionary()


class LiteLLMCaller:
    """Calls one expert through litellm.

    Args:
        expert: `worker: litellm`, as `check_litellm` approves it.
        secret: the key; None: litellm finds the provider's own variable, or none is needed.
        dialect: how the provider is spoken to; that of the expert's `engine:` by default.
    """

    def __init__(
        self, expert: Expert, *, secret: Secret | None, dialect: Dialect | None = None
    ) -> None:
        self._expert, self._dialect = expert, dialect or _dialect(expert)
        self._litellm = package()
        # Keys that litellm finds by itself are not to be seen either.
        self._secrets = (*((secret,) if secret else ()), *environment_secrets())
        self._loop: asyncio.AbstractEventLoop | None = None
        provider, taken = _provider(self._litellm, _named(expert))
        self._options = _options(self._litellm, expert, secret, provider)
        self.draws = _MOST_DRAWS if taken is None or "n" in taken else 1
        """Most draws of one call that the provider takes; of more, it is asked for this many."""

    async def call(self, requests: Sequence[Request]) -> list[Generation]:
        """One call for these draws of one prompt; see `Caller`."""
        self._enter()
        # Of several choices in a stream, litellm loses how all but the first ended.
        stream = self._expert.calls.stream and len(requests) == 1
        asked = body(self._expert, requests[: self.draws], self._dialect, stream=stream)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._expert.calls.timeout):  # litellm's is for each read
                reply = await self._reply(asked, stream)
        except Exception as error:
            if is_refusal(error):
                reply = withheld_reply(min(len(requests), self.draws))
            else:
                reply = of_litellm(error, self._secrets)
        if isinstance(reply, Failure):
            unsure = reply.kind not in NEVER_PROCESSED
            return failed(requests, reply, usage=Usage(calls=1, estimated=unsure))
        seconds = time.perf_counter() - started
        found = read_reply(
            reply, requests, self._dialect, seconds=seconds, price=self._expert.price
        )
        return [without(each, self._secrets) for each in found]

    async def close(self) -> None:
        """End the connections of this event loop, if no other caller uses them any more."""
        loop = asyncio.get_running_loop()
        users = _USERS.get(loop)
        if users is None:
            return
        users.discard(self)
        self._loop = None
        if not users:
            del _USERS[loop]
            await _close_clients(self._litellm, loop)

    def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            _USERS.setdefault(loop, WeakSet()).add(self)

    async def _reply(self, asked: Mapping[str, Any], stream: bool) -> Mapping[str, Any] | Failure:
        response = await self._litellm.acompletion(**asked, **self._options)
        if not stream:
            return _plain(response.model_dump())
        return await self._assembled(response)

    async def _assembled(self, stream: Any) -> Mapping[str, Any] | Failure:
        """The reply that comes piece by piece; litellm makes up an end where none came."""
        assembly = Assembly()
        async with aclosing(stream):
            pieces = aiter(stream)
            while True:
                async with asyncio.timeout(self._expert.calls.silence):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                assembly.feed(b"data:" + orjson.dumps(piece.model_dump()) + b"\n\n")
                if assembly.held > LARGEST:
                    return Failure("malformed", f"the reply is longer than {LARGEST >> 20} MiB")
        assembly.end()
        reply: Any = assembly.reply()
        # So does it with tokens: only what a piece brought is the provider's word.
        if all(getattr(each, "usage", None) is None for each in getattr(stream, "chunks", ())):
            reply.pop("usage", None)
        if _silent(reply):
            return Failure("malformed", "the stream holds no text and no end", retryable=True)
        if getattr(stream, "received_finish_reason", "unknown") is None:
            return Failure("connection", "the stream broke off", retryable=True)
        return _plain(reply)


def _dialect(expert: Expert) -> Dialect:
    return Dialect.of(expert, reserved=frozenset())  # `_OURS` has what litellm's options cannot set


def check_litellm(expert: Expert) -> None:
    """Raise for whatever would keep an expert from being called, before anything is called.

    Raises:
        InputError: litellm is not installed or not to be trusted, an option is not the user's to
            set, no provider is recognised, or there is no key for it.
    """
    place = f"expert `{expert.name}`"
    found = [
        InputError(f"`engine` cannot set `{key}`: orchestra does", place=place)
        for key in expert.engine
        if _OURS.fullmatch(key)
    ]
    if _dialect(expert).api != "chat":
        hint = "leave `api` out, or use `worker: openai`"
        found.append(InputError("`worker: litellm` only chats", place=place, hint=hint))
    try:
        litellm = package()
    except InputError as error:
        raise_all([*found, type(error)(error.message, place=place, hint=error.hint)])
        raise
    provider, _ = _provider(litellm, _named(expert))
    if not provider:
        known = "litellm's own name, provider first: `anthropic/...`, `openai/...`"
        said = f"litellm knows no provider for {expert.model!r}"
        found.append(InputError(said, place=place, hint=f"`model` is {known}"))
    elif missing := _missing_keys(litellm, expert):
        names = " or ".join(f"`{name}`" for name in missing)
        hint = f"set {names}, or `api_key_env` to the variable that holds the key"
        found.append(InputError(f"no key for {expert.model!r}", place=place, hint=hint))
    raise_all(found)


def litellm_price(model: str) -> Price | None:
    """What litellm's own list says that a model charges; None where it does not know.

    Raises:
        InputError: litellm is not installed or not to be trusted.
    """
    # Its function of that purpose asks the network for some providers; the list does not.
    litellm = package()
    entries: Mapping[str, Mapping[str, Any]] = litellm.model_cost
    provider, _ = _provider(litellm, model)
    entry = entries.get(model)
    if entry is None and provider:
        bare = model.removeprefix(f"{provider}/")
        for name in (f"{provider}/{bare}", bare):
            if str(entries.get(name, {}).get("litellm_provider", "")).startswith(provider):
                entry = entries[name]
                break
    found = entry or {}
    read, written = found.get("input_cost_per_token"), found.get("output_cost_per_token")
    if not isinstance(read, int | float) or not isinstance(written, int | float):
        return None
    # Nothing is what stands there where nobody looked.
    return Price(round(read * 1e6, 9), round(written * 1e6, 9)) if read or written else None


def _options(
    litellm: ModuleType, expert: Expert, secret: Secret | None, provider: str
) -> dict[str, Any]:
    """What every call of an expert is made with, besides its body."""
    options: dict[str, Any] = {
        "timeout": expert.calls.timeout,
        "num_retries": 0,
        "max_retries": 0,
        "caching": False,
    }
    if expert.base_url:
        options["api_base"] = expert.base_url
    if secret:
        options["api_key"] = secret.reveal()
    elif expert.base_url and provider in ("openai", *litellm.openai_compatible_providers):
        options["api_key"] = _NO_KEY
    return options


def _named(expert: Expert) -> str:
    """The model with its provider, where an engine option names that."""
    provider = expert.engine.get("custom_llm_provider")
    return f"{provider}/{expert.model}" if provider else expert.model


def _provider(litellm: ModuleType, model: str) -> tuple[str, frozenset[str] | None]:
    """The provider of a model and the options that it takes; nothing where none is known."""
    try:
        bare, provider, *_ = litellm.get_llm_provider(model)
        taken = litellm.get_supported_openai_params(bare, custom_llm_provider=provider)
    except Exception:  # it raises what it likes
        return "", None
    return str(provider), None if taken is None else frozenset(taken)


def _missing_keys(litellm: ModuleType, expert: Expert) -> list[str]:
    """The variables of which one has to hold the key; empty where that cannot be told."""
    if expert.api_key_env or expert.base_url:
        return []
    told = litellm.validate_environment(_named(expert))
    missing = [str(name) for name in told.get("missing_keys", ())]
    # Other providers have more ways to say who one is than litellm looks for.
    simple = all(name.endswith("_API_KEY") for name in missing)
    return missing if simple and not told.get("keys_in_environment") else []


def _plain(reply: dict[str, Any]) -> dict[str, Any]:
    """The reply as the provider gave it: what litellm moved put back, what it made up left out."""
    written = 0
    for choice in reply.get("choices") or ():
        message = choice.get("message") or {}
        moved = message.get("provider_specific_fields") or {}
        if not message.get("content") and isinstance(moved.get("refusal"), str):
            message["refusal"] = moved["refusal"]
        written += len(message.get("content") or "")
    usage = reply.get("usage") or {}
    if written and not usage.get("completion_tokens"):
        reply["usage"] = None
    return reply


def _silent(reply: Mapping[str, Any]) -> bool:
    """Whether nothing came but an end that may be made up."""
    usage = reply.get("usage") or {}
    return not usage.get("completion_tokens") and not any(
        any(choice["message"].values()) or choice["finish_reason"] not in (None, "stop")
        for choice in reply.get("choices") or ()
    )


async def _close_clients(litellm: ModuleType, loop: asyncio.AbstractEventLoop) -> None:
    """Close the clients that litellm keeps for an event loop, and let it forget them."""
    held = litellm.in_memory_llm_clients_cache
    for key in [key for key in held.cache_dict if str(key).endswith(f"-{id(loop)}")]:
        client = held.cache_dict.pop(key)
        held.ttl_dict.pop(key, None)
        close = getattr(client, "close", None) or getattr(client, "aclose", None)
        if close is not None and inspect.isawaitable(closing := close()):
            await closing
