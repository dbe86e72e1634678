"""One expert: which model, how it is called, what it costs and what it needs.

The fields are those of a roster file, and their annotations what a `Roster` checks. An expert's
`identity` says which experts are interchangeable.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import orjson
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from orchestra.components import build, find
from orchestra.config import SECRET
from orchestra.errors import InputError
from orchestra.records import Message, Question, Sampling
from orchestra.roster.strategies import DEFAULT_STRATEGY, StrategyName, prompt, strategy

WorkerName = Literal["recorded", "scripted", "openai", "litellm", "vllm", "local", "remote"]
"""The shipped kinds of worker; others are components `worker` of other distributions."""

Role = Literal["answer", "tag", "judge", "synthesise"]
"""What an expert may be asked to do: draft answers, name skills, judge drafts, merge them."""

ROLES: tuple[Role, ...] = ("answer", "tag", "judge", "synthesise")
"""Every role, in the order of the stages that need them."""

Scalar = str | int | float | bool
"""What an engine option may be."""

_KEY_HINT = "`api_key_env` names the variable that holds a key"
_SECRET_OPTIONS = re.compile(
    r"(?i)(.*[_-])?(api_?key|secret|password|access_?token|hf_?token|token)"
)


def _checked_worker(name: str) -> str:
    """Refuse what no component `worker` is called; shipped names need no look at the registry."""
    if name and name not in get_args(WorkerName):
        try:
            find("worker", name)
        except InputError as error:
            raise ValueError(error.message, error.hint) from None
    return name


_Worker = Annotated[
    str,
    AfterValidator(_checked_worker),
    WithJsonSchema({"enum": [*get_args(WorkerName)], "type": "string"}),
]


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._@/-]+", name):
        raise ValueError(
            f"the name {name!r} is not allowed",
            "names are made of letters A to Z, digits and `.-_@/`, without spaces",
        )
    return name


def _checked_variable(name: str) -> str:
    """Refuse what is no variable's name, or looks like a key; the text itself is never shown."""
    hint = "put the key into an environment variable and its name, such as `MY_KEY`, here"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("`api_key_env` is not the name of an environment variable", hint)
    # Words in variable names are short; keys hold long unbroken runs, most with digits in them.
    runs = [run for run in name.split("_") if len(run) >= 16]
    if any(len(run) >= 24 or re.search(r"\d", run) for run in runs):
        raise ValueError("`api_key_env` looks like a key, not like a variable's name", hint)
    return name


def _checked_url(url: str) -> str:
    """Refuse addresses that cannot be a server's root, or that hold a secret; never shown."""
    hint = "it looks like `http://127.0.0.1:8000/v1`"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https", "ray") and bool(parts.hostname)
        _ = parts.port  # raises where it is not a number up to 65535
    except ValueError:
        raise ValueError("`base_url` is not a URL", hint) from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("`base_url` holds a user name or password", f"remove it; {_KEY_HINT}")
    if not usable:
        raise ValueError("`base_url` is not the URL of a server", hint)
    if parts.query or parts.fragment or re.search(r"\s", url):
        raise ValueError("`base_url` has a query, fragment or space", hint)
    return url


def _checked_engine(options: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    for key in options:
        if _SECRET_OPTIONS.fullmatch(key):
            raise ValueError(f"`engine` holds a secret: `{key}`", f"remove it; {_KEY_HINT}")
    return options


def _checked_file(path: Any) -> Any:
    if path == "":
        raise ValueError("`recordings` must not be empty")
    return path


# A length check also refuses text that is not Unicode, which could not be hashed or stored.
_Prose = Annotated[str, Field(max_length=100_000)]
_Text = Annotated[str, Field(min_length=1, max_length=100_000)]
_Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Count = Annotated[int, Field(ge=1, lt=2**63)]


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost, in US dollars per million."""

    input: Annotated[float, Field(ge=0)]
    """For tokens that are read; at least 0."""
    output: Annotated[float, Field(ge=0)]
    """For tokens that are written, reasoning included; at least 0."""

    def money(self, input_tokens: int, output_tokens: int) -> float:
        """The price of that many tokens, in US dollars."""
        return (self.input * input_tokens + self.output * output_tokens) / 1e6


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast an expert may be called; None where there is no limit."""

    requests_per_minute: _Count | None = None
    """Most calls in a minute, at least 1."""
    tokens_per_minute: _Count | None = None
    """Most tokens in a minute, input and output together; at least 1."""
    concurrency: _Count | None = None
    """Most calls in flight at once, at least 1; 64 for hosted models where it is not given."""
    per: Literal["key", "model"] = "key"
    """What the limits are of: all experts on one address and key together, or this model there."""


@dataclass(frozen=True, slots=True)
class Calls:
    """How a hosted model is called; none of it changes what it answers."""

    timeout: Annotated[float, Field(gt=0)] = 600.0
    """Seconds that one attempt may take in all, more than 0."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 6
    """Most attempts for one call, from 1 to 20."""
    retries: Annotated[float, Field(ge=0)] = 1.0
    """Most retries for each call of a run in the mean, at least 0; the first hundred are free."""
    hedge_after: Annotated[float, Field(gt=0)] | None = None
    """Seconds after which a second attempt is made beside one without answer; None: never."""
    stream: bool = False
    """Whether the answer is sent piece by piece, so that a silent connection can be told from a
    long answer."""
    silence: Annotated[float, Field(gt=0)] = 60.0
    """Seconds that a streamed answer may pause, more than 0."""


@dataclass(frozen=True)
class Expert:
    """A model together with the way it is used. Two experts may share one model."""

    name: Annotated[str, Field(max_length=128), AfterValidator(_checked_name)]
    """Unique in a roster: letters, digits and `.-_@/`."""
    model: _Text
    """The recording's, provider's or checkpoint's name for the model; for a checkpoint folder, its
    path."""
    _: KW_ONLY
    worker: _Worker = ""
    """How the model is reached; `openai` where only `base_url` is given."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)] = ROLES
    """What it may be asked to do; only experts with `answer` are profiled and recruited."""
    family: _Prose = ""
    """Experts of one family are not independent voters; empty: a family of its own."""
    memory_gib: Annotated[float, Field(gt=0)] | None = None
    """Accelerator memory that holds the model, in GiB, more than 0; None: not known."""
    price: Price | None = None
    """What it charges; None: not known, or nothing."""
    sampling: Sampling = Sampling()
    """How its text is drawn where a pipeline does not say otherwise."""
    strategy: StrategyName = DEFAULT_STRATEGY
    """The reasoning strategy it is asked to follow, a key of `STRATEGIES`."""
    system: _Prose = ""
    """System prompt; empty: none is sent."""
    adapter: _Text = ""
    """A LoRA on `model`, as a folder or the server's name for it; empty: none."""
    base_url: Annotated[str, SECRET, AfterValidator(_checked_url)] = ""
    """Root of the server's API, `http://host:port/v1`; empty: the provider's own."""
    api_key_env: Annotated[str, SECRET, AfterValidator(_checked_variable)] = ""
    """Environment variable that holds the key, never the key; empty: no key is needed."""
    limits: Limits = Limits()
    """How fast it may be called."""
    calls: Calls = Calls()
    """How it is called, where it is hosted."""
    engine: Annotated[
        Mapping[_Text, _Prose | _Whole | float | bool], SECRET, AfterValidator(_checked_engine)
    ] = field(default_factory=dict, hash=False)
    """Options for the engine that runs it, in the engine's own words; never written to."""
    recordings: Annotated[Path, BeforeValidator(_checked_file)] | None = None
    """File of recorded answers that a recorded expert replays, or `shipped:NAME`."""
    rule: _Text = ""
    """Cascade of answer rules that reads its text; empty: the pipeline's."""

    def __post_init__(self) -> None:
        if self.base_url and not self.worker:
            object.__setattr__(self, "worker", "openai")

    def __repr__(self) -> str:
        plain = Expert("plain", "plain").__dict__
        given = (
            f", {each.name}={value!r}"
            for each in fields(self)[2:]
            if (value := getattr(self, each.name)) != plain[each.name]
        )
        return f"Expert({self.name!r}, {self.model!r}{''.join(given)})"

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

    @property
    def from_files(self) -> bool:
        """Whether its model and adapter may be folders of checkpoints."""
        from_files: bool = build("worker", self.worker, {}).from_files
        return from_files

    def messages(self, question: Question) -> tuple[Message, ...]:
        """The chat that asks this expert the question: system prompt if it has one, then user.

        Raises:
            InputError: the strategy is not known, or the question has more than 26 options.
        """
        user = Message("user", prompt(question, strategy(self.strategy)))
        return (Message("system", self.system), user) if self.system else (user,)
