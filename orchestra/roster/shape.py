"""The shape of `roster.yaml`: its keys, their types and ranges.

Knows what each value may be on its own; does not know how values depend on each other
(`rules` does) nor what an expert is (`expert` does). Field docstrings go into the JSON
Schema, so they speak to whoever writes the file.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from orchestra.components import find
from orchestra.errors import InputError
from orchestra.roster.expert import Role, WorkerName
from orchestra.roster.strategies import StrategyName

SCHEMA = 1
"""The version of the roster format that is written and read."""

_NAME = r"[A-Za-z0-9._@/-]+"
_SECRET_OPTIONS = re.compile(
    r"(?i)(.*[_-])?(api_?key|secret|password|access_?token|hf_?token|token)"
)


def _checked_name(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise ValueError(
            f"the name {name!r} is not allowed",
            "names are made of letters A to Z, digits and `.-_@/`, without spaces",
        )
    return name


def _checked_worker(name: str) -> str:
    """Refuse what no component `worker` is called; shipped names need no look at the registry."""
    if name not in get_args(WorkerName):
        try:
            find("worker", name)
        except InputError as error:
            raise ValueError(error.message, error.hint) from None
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
        raise ValueError(
            "`base_url` holds a user name or password",
            "remove it; `api_key_env` names the variable that holds a key",
        )
    if not usable:
        raise ValueError("`base_url` is not the URL of a server", hint)
    if parts.query or parts.fragment or re.search(r"\s", url):
        raise ValueError("`base_url` has a query, fragment or space", hint)
    return url


def _checked_engine(options: dict[str, Any]) -> dict[str, Any]:
    for key in options:
        if _SECRET_OPTIONS.fullmatch(key):
            raise ValueError(
                f"`engine` holds a secret: `{key}`",
                "remove it; `api_key_env` names the variable that holds a key",
            )
    return options


# A length check also refuses text that is not Unicode, which could not be hashed or stored.
Text = Annotated[str, Field(min_length=1, max_length=100_000)]
Prose = Annotated[str, Field(max_length=100_000)]
Worker = Annotated[
    str,
    AfterValidator(_checked_worker),
    WithJsonSchema({"enum": [*get_args(WorkerName)], "type": "string"}),
]
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Shape(BaseModel):
    """A mapping in the file: nothing unknown, nothing converted, nothing infinite."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class PriceShape(Shape):
    """What tokens cost, in US dollars per million."""

    input: float = Field(ge=0)
    """US dollars for a million tokens read."""
    output: float = Field(ge=0)
    """US dollars for a million tokens written."""


class LimitsShape(Shape):
    """How fast an expert may be called; what is left out is not limited."""

    requests_per_minute: Whole | None = Field(default=None, ge=1)
    """Most calls in a minute."""
    tokens_per_minute: Whole | None = Field(default=None, ge=1)
    """Most tokens in a minute, input and output together."""
    concurrency: Whole | None = Field(default=None, ge=1)
    """Most calls in flight at once; 64 for hosted models where it is not said."""
    per: Literal["key", "model"] | None = None
    """Whether all experts on one address and key share the limits (the default), or each model
    there has its own."""


class CallsShape(Shape):
    """How a hosted model is called; none of it changes what it says."""

    timeout: float | None = Field(default=None, gt=0)
    """Seconds that one attempt may take in all; 600 by default."""
    attempts: Whole | None = Field(default=None, ge=1, le=20)
    """Most attempts for one call; 6 by default."""
    retries: float | None = Field(default=None, ge=0)
    """Most retries for each call of a run in the mean; 1 by default, and the first hundred are
    free."""
    hedge_after: float | None = Field(default=None, gt=0)
    """Seconds after which a second attempt is made beside one without answer; never by default."""
    stream: bool | None = None
    """Whether the answer is sent piece by piece; not by default."""
    silence: float | None = Field(default=None, gt=0)
    """Seconds that a streamed answer may pause; 60 by default."""


class SamplingShape(Shape):
    """How text is drawn."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 is greedy and the default."""
    max_tokens: Whole | None = Field(default=None, ge=1)
    """Most new tokens in one answer."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Nucleus share."""
    stop: list[Text] | None = None
    """Texts that end the answer."""
    seed: Whole | None = None
    """The engine's seed, where it has one."""
    logprobs: Whole | None = Field(default=None, ge=0, le=20)
    """How many alternatives' log-probabilities to return for each token."""
    choices: list[Text] | None = None
    """The only texts the answer may be; for engines with structured output, such as vLLM."""


class DefaultsShape(Shape):
    """What holds for every expert that does not say otherwise; null undoes it."""

    worker: Worker | None = None
    """How the model is reached."""
    model: Text | None = None
    """The recording's, provider's or checkpoint's name for the model."""
    roles: Annotated[list[Role], Field(min_length=1)] | None = None
    """What the expert may be asked to do; by default everything."""
    family: Prose | None = None
    """Experts of one family are not counted as independent voters."""
    memory_gib: float | None = Field(default=None, gt=0)
    """Accelerator memory that holds the model, in GiB."""
    price: PriceShape | None = None
    """What tokens cost, in US dollars per million."""
    sampling: SamplingShape | None = None
    """How text is drawn; joined key by key with the defaults'."""
    strategy: StrategyName | None = None
    """The reasoning strategy that the model is asked to follow."""
    system: Prose | None = None
    """System prompt."""
    adapter: Text | None = None
    """A LoRA on the model: a folder, or the server's name for it."""
    base_url: Annotated[str, AfterValidator(_checked_url)] | None = Field(default=None, repr=False)
    """Root of an OpenAI-compatible API, without user name, password or query."""
    api_key_env: Annotated[str, AfterValidator(_checked_variable)] | None = Field(
        default=None, repr=False
    )
    """Name of the environment variable that holds the key; never the key."""
    limits: LimitsShape | None = None
    """How fast the expert may be called."""
    calls: CallsShape | None = None
    """How a hosted model is called: time limits, retries, streaming."""
    engine: (
        Annotated[dict[Text, Prose | Whole | float | bool], AfterValidator(_checked_engine)] | None
    ) = Field(default=None, repr=False)
    """Options for the engine that runs the model, in the engine's own words."""
    recordings: Text | None = None
    """File of recorded answers to replay, relative to this file."""
    rule: Text | None = None
    """Cascade of answer rules that reads the expert's text."""


class ExpertShape(DefaultsShape):
    """One expert; what it leaves out is taken from the defaults."""

    name: Annotated[str, Field(max_length=128), AfterValidator(_checked_name)]
    """Unique in the file: letters, digits and `.-_@/`."""


class RosterShape(Shape):
    """A roster: the models that can be asked, and how each is spoken to."""

    schema_: Literal[1] = Field(alias="schema")
    """Version of this format: 1."""
    defaults: DefaultsShape = DefaultsShape()
    """What holds for every expert that does not say otherwise."""
    experts: list[ExpertShape] = Field(min_length=1)
    """The experts, in the order in which they are listed everywhere."""


def roster_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of `roster.yaml`, for editors and other tools."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **RosterShape.model_json_schema(by_alias=True),
        "title": "orchestra roster",
    }
