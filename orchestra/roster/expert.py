"""One expert: which model, how it is spoken to, what it costs and what it needs.

Knows what makes two experts interchangeable (`identity`) and how a question becomes chat
messages; does not know how a model is called, nor how good it is. `Roster` checks the values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import orjson

from orchestra.components import build
from orchestra.records import Message, Question, Sampling
from orchestra.roster.strategies import DEFAULT_STRATEGY, Strategy, prompt, strategy

WorkerName = Literal["recorded", "scripted", "openai", "litellm", "vllm", "local", "remote"]
"""The shipped kinds of worker that an expert can be spoken to through."""

Role = Literal["answer", "tag", "judge", "synthesise"]
"""What an expert may be asked to do: draft answers, name skills, judge drafts, merge them."""

ROLES: tuple[Role, ...] = ("answer", "tag", "judge", "synthesise")
"""Every role, in the order of the stages that need them."""

Scalar = str | int | float | bool
"""What an engine option may be."""


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost, in US dollars per million."""

    input: float
    """For tokens that are read; at least 0."""
    output: float
    """For tokens that are written, reasoning included; at least 0."""

    def money(self, input_tokens: int, output_tokens: int) -> float:
        """The price of that many tokens, in US dollars."""
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast an expert may be called; None where there is no limit."""

    requests_per_minute: int | None = None
    """At least 1."""
    tokens_per_minute: int | None = None
    """Input and output together; at least 1."""
    concurrency: int | None = None
    """Calls in flight at once; at least 1."""
    per: Literal["key", "model"] = "key"
    """What the limits are of: all experts on one address and key together, or this model there."""


@dataclass(frozen=True, slots=True)
class Calls:
    """How a hosted model is called; none of it changes what it says."""

    timeout: float = 600.0
    """Seconds that one attempt may take in all, more than 0."""
    attempts: int = 6
    """Most attempts for one call, at least 1."""
    retries: float = 1.0
    """Most retries for each call of a run in the mean, at least 0; the first hundred are free."""
    hedge_after: float | None = None
    """Seconds after which a second attempt is made beside one without answer; None: never."""
    stream: bool = False
    """Whether the answer is sent piece by piece, so that a silent connection is told from a long
    answer."""
    silence: float = 60.0
    """Seconds that a streamed answer may pause, more than 0."""


@dataclass(frozen=True)
class Expert:
    """A model together with the way it is used. Two experts may share one model."""

    name: str
    """Unique in a roster: letters, digits and `.-_@/`."""
    model: str
    """The recording's, provider's or checkpoint's name; for a checkpoint folder, its path."""
    _: KW_ONLY
    worker: WorkerName | str
    """What kind of worker speaks to it: the name of a component `worker`."""
    roles: tuple[Role, ...] = ROLES
    """What it may be asked to do; only experts with `answer` are profiled and recruited."""
    family: str = ""
    """Experts of one family are not independent voters; empty: a family of its own."""
    memory_gib: float | None = None
    """Accelerator memory that holds it, in GiB, more than 0; None: not known."""
    price: Price | None = None
    """What it charges; None: not known, or nothing."""
    sampling: Sampling = Sampling()
    """How its text is drawn where a pipeline does not say otherwise."""
    strategy: str = DEFAULT_STRATEGY
    """The reasoning strategy it is asked to follow, a key of `STRATEGIES`."""
    system: str = ""
    """System prompt; empty: none is sent."""
    adapter: str = ""
    """A LoRA on `model`, as a folder or the server's name for it; empty: none."""
    base_url: str = ""
    """Root of the server's API, `http://host:port/v1`; empty: the provider's own."""
    api_key_env: str = ""
    """Environment variable that holds the key, never the key; empty: no key is needed."""
    limits: Limits = Limits()
    """How fast it may be called."""
    calls: Calls = Calls()
    """How it is called, where it is hosted."""
    engine: Mapping[str, Scalar] = field(default_factory=dict, hash=False)
    """Options for the engine that runs it, in the engine's own words; never written to."""
    recordings: Path | None = None
    """File of recorded answers that a recorded expert replays."""
    rule: str = ""
    """Cascade of answer rules that reads its text; empty: the pipeline's."""

    @cached_property
    def identity(self) -> str:
        """Digest of everything here that changes its text, 32 hexadecimal digits.

        Worker, model, adapter, system prompt, strategy, engine options and server count. Name,
        family, price, memory, limits and answer rule do not; nor does the recordings' file, whose
        `model` it replays wherever the file lies; nor sampling, which every Request carries.
        """
        parts = {
            "worker": self.worker,
            "model": self.model,
            "adapter": self.adapter,
            "system": self.system,
            "strategy": self.strategy,
            "engine": {key: repr(value) for key, value in self.engine.items()},
            "base_url": self.base_url,
        }
        packed = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(packed, digest_size=16).hexdigest()

    @property
    def hosted(self) -> bool:
        """Whether somebody else's server holds it: nothing is loaded, and others may be asked
        meanwhile."""
        hosted: bool = build("worker", self.worker, {}).hosted
        return hosted

    @property
    def loaded(self) -> bool:
        """Whether an engine is loaded here for it, which wants to see all its work at once."""
        loads: bool = build("worker", self.worker, {}).loads
        return loads

    @property
    def replayed(self) -> bool:
        """Whether its answers were recorded, so that it cannot be asked anything new."""
        replayed: bool = build("worker", self.worker, {}).replayed
        return replayed

    def messages(self, question: Question) -> tuple[Message, ...]:
        """The chat that asks this expert the question: system prompt if it has one, then user.

        Raises:
            InputError: the strategy is not known, or the question has more than 26 options.
        """
        user = Message("user", prompt(question, self._strategy))
        return (Message("system", self.system), user) if self.system else (user,)

    @cached_property
    def _strategy(self) -> Strategy:
        return strategy(self.strategy)
