"""litellm as a worker: what needs no litellm, then real litellm against a loopback provider.

The second half compares it with `worker: openai`, call by call: the same answers, the same
failures.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import logging
import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
import pytest
from packaging.requirements import Requirement

from benchmarks.provider import FAULTS, provider
from orchestra.errors import InputError, MissingExtra
from orchestra.records import Generation, Message, Request, Sampling
from orchestra.roster import Calls, Expert, Price
from orchestra.workers.hosted import litellm_package
from orchestra.workers.hosted.litellm import LiteLLMCaller, check_litellm, litellm_price
from orchestra.workers.hosted.litellm_errors import is_known, is_refusal, of_litellm
from orchestra.workers.hosted.openai import OpenAICaller, Sessions
from orchestra.workers.hosted.wire import Dialect
from orchestra.workers.secrets import Secret

KEY = "sk-planted-5f0c2a97d1e84b36"
REPOSITORY = Path(__file__).resolve().parents[3]
QUESTION = "Which letter comes first?\nA) a\nB) b\nC) c"


def expert(model: str = "openai/m", **fields: Any) -> Expert:
    return Expert("e", model, **{"worker": "litellm", **fields})


def request(sample: int = 0, said: str = QUESTION, **sampling: Any) -> Request:
    drawn = Sampling(**{"max_tokens": 64, **sampling})
    messages = (Message("system", "Be brief."), Message("user", said))
    return Request(f"k{sample}", "q", "e", "generate", messages, drawn, sample=sample)


# What needs no litellm


@pytest.fixture
def fresh() -> Iterator[None]:
    """As if nobody had asked for litellm yet."""
    litellm_package.package.cache_clear()
    yield
    litellm_package.package.cache_clear()


def has_version(monkeypatch: pytest.MonkeyPatch, version: str | None) -> None:
    def told(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", told)


@pytest.mark.usefixtures("fresh")
def test_without_litellm_the_command_that_installs_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_version(monkeypatch, None)
    with pytest.raises(
        MissingExtra, match=r"expert `e`.*\n.*pip install 'orchestra-experts\[litellm\]'"
    ):
        check_litellm(expert())
    with pytest.raises(MissingExtra):
        LiteLLMCaller(expert(), secret=None)
    with pytest.raises(MissingExtra):
        litellm_price("openai/m")


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.82.7", "not genuine"),
        ("1.82.8", "not genuine"),
        ("1.82.8.post1", "not genuine"),
        ("1.107.0", "withdrawn"),
        ("1.107.2.post1", "withdrawn"),
        ("1.107.0rc1", "withdrawn"),
        ("1.82.6", "known holes"),
        ("1.83.6", "known holes"),
        ("0.9", "known holes"),
    ],
)
def test_a_release_that_is_not_safe_is_never_imported(
    monkeypatch: pytest.MonkeyPatch, version: str, said: str
) -> None:
    has_version(monkeypatch, version)
    # Whoever imports it now gets an ImportError.
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(InputError, match=said):
        check_litellm(expert())


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("1.82.7", False),
        ("1.82.8", False),
        ("1.83.6", False),
        ("1.83.7", True),
        ("1.106.2", True),
        ("1.107.0", False),
        ("1.107.9", False),
        ("1.108.0", True),
        ("2.0.0", False),
    ],
)
def test_what_is_installed_is_what_may_be_imported(
    monkeypatch: pytest.MonkeyPatch, version: str, wanted: bool
) -> None:
    told = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    (wants,) = told["project"]["optional-dependencies"]["litellm"]
    assert Requirement(wants).specifier.contains(version) is wanted
    has_version(monkeypatch, version)
    if not wanted and version < "2":
        with pytest.raises(InputError):
            litellm_package._check_version()
    else:
        litellm_package._check_version()


@pytest.mark.usefixtures("fresh")
def test_options_that_are_not_the_users_are_named_even_without_litellm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_version(monkeypatch, None)
    engine = {"num_retries": 3, "success_callback": "x", "fallbacks": "[]", "top_k": 4, "n": 2}
    with pytest.raises(InputError) as caught:
        check_litellm(expert(engine={**engine, "api": "completions"}))
    said = str(caught.value)
    for name in ("num_retries", "success_callback", "fallbacks", "n"):
        assert f"`engine` cannot set `{name}`" in said
    assert "top_k" not in said
    assert "only chats" in said
    assert "not installed" in said


class OpenAIError(Exception):
    """Stands for what litellm's exceptions are made of; they are known by name."""

    def __init__(self, said: str, status: int | None = None, **told: Any) -> None:
        super().__init__(said)
        self.status_code = status
        vars(self).update(told)


class RateLimitError(OpenAIError):
    pass


class BadRequestError(OpenAIError):
    pass


class ContentPolicyViolationError(BadRequestError):
    pass


class UnsupportedParamsError(BadRequestError):
    pass


class InternalServerError(OpenAIError):
    pass


class APIConnectionError(OpenAIError):
    pass


class Timeout(OpenAIError):
    pass


def raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


WAIT = {"litellm_response_headers": {"Retry-After": "7"}}
REFUSED = aiohttp.ClientConnectionError("gone")


@pytest.mark.parametrize(
    ("error", "kind", "retryable", "wait"),
    [
        (RateLimitError("slow down", 429, **WAIT), "rate_limited", True, 7.0),
        (RateLimitError("slow down", 429), "rate_limited", True, None),
        (
            RateLimitError("x", 429, body={"code": "insufficient_quota"}),
            "out_of_credit",
            False,
            None,
        ),
        (BadRequestError("too long", 400), "bad_request", False, None),
        (BadRequestError("pay", 402), "out_of_credit", False, None),
        (InternalServerError("busy", 529, **WAIT), "server_error", True, 7.0),
        (raised_from(InternalServerError("x", 500), REFUSED), "connection", True, None),
        (raised_from(InternalServerError("x", 500), TimeoutError()), "timeout", True, None),
        (
            raised_from(InternalServerError("x", 500), json.JSONDecodeError("x", "", 0)),
            "malformed",
            True,
            None,
        ),
        (APIConnectionError("x", 500), "connection", True, None),
        (Timeout("x", 408), "timeout", True, None),
        (OpenAIError("x"), "server_error", True, None),
        (TimeoutError(), "timeout", True, None),
        (KeyError("x"), "crash", False, None),
    ],
)
def test_an_error_is_of_the_kind_that_worker_openai_gives_it(
    error: Exception, kind: str, retryable: bool, wait: float | None
) -> None:
    found = of_litellm(error)
    assert (found.kind, found.retryable, found.retry_after) == (kind, retryable, wait)


def test_an_error_names_neither_keys_nor_litellms_own_classes() -> None:
    said = "litellm.RateLimitError: RateLimitError: OpenAIException - no " + "x " * 120
    found = of_litellm(RateLimitError(said + KEY, 429), [Secret(KEY)])
    assert found.detail.startswith("429: OpenAIException - no x")
    # Cut after it was hidden: not even half of it is left.
    assert "sk-pl" not in found.detail
    assert len(found.detail) < 320


def test_an_option_that_the_provider_does_not_take_is_told_with_the_way_out() -> None:
    assert "`engine: {omit: ...}`" in of_litellm(UnsupportedParamsError("no seed", 400)).detail


def test_a_refusal_is_known() -> None:
    assert is_refusal(ContentPolicyViolationError("no", 400))
    assert not is_refusal(BadRequestError("no", 400))


# Real litellm

INSTALLED = importlib.util.find_spec("litellm") is not None
needs_litellm = [
    pytest.mark.engine,
    pytest.mark.skipif(not INSTALLED, reason="litellm is not installed"),
    # It warns of its own use of pydantic.
    pytest.mark.filterwarnings("ignore:.*model_(computed_)?fields.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning"),
]


def engine(test: Any) -> Any:
    for mark in needs_litellm:
        test = mark(test)
    return pytest.mark.usefixtures("no_network")(test)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls anything but this machine is stopped."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith("127."):
            raise AssertionError(f"called {address}")
        connect(self, address)

    def looked_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in ("localhost", "127.0.0.1"):
            raise AssertionError(f"looked up {host}")
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket, "getaddrinfo", looked_up)


def by_litellm(
    url: str,
    requests: Sequence[Request],
    *,
    secret: str = KEY,
    model: str = "openai/m",
    **fields: Any,
) -> list[Generation]:
    async def whole() -> list[Generation]:
        asked = expert(model, base_url=f"{url}/v1", **fields)
        caller = LiteLLMCaller(asked, secret=Secret(secret) if secret else None)
        try:
            return await caller.call(requests)
        finally:
            await caller.close()

    return asyncio.run(whole())


def by_openai(
    url: str, requests: Sequence[Request], *, secret: str = KEY, model: str = "m", **fields: Any
) -> list[Generation]:
    async def whole() -> list[Generation]:
        asked = expert(model, base_url=f"{url}/v1", worker="openai", **fields)
        async with Sessions().session() as session:
            caller = OpenAICaller(
                asked, session, dialect=Dialect.of(asked), secret=Secret(secret) if secret else None
            )
            return await caller.call(requests)

    return asyncio.run(whole())


def timeless(found: Sequence[Generation]) -> list[Generation]:
    return [replace(each, usage=replace(each.usage, seconds=0.0)) for each in found]


def serving(**settings: Any) -> AbstractContextManager[str]:
    return provider(**settings)


STREAM = Calls(stream=True)
DRAWS = [request(sample, temperature=1.0) for sample in range(3)]


@engine
@pytest.mark.parametrize("via", ["openai", "hosted_vllm"])
@pytest.mark.parametrize(
    ("requests", "fields"),
    [
        ([request()], {}),
        ([request()], {"calls": STREAM}),
        ([request(max_tokens=3)], {"calls": STREAM}),
        ([request(max_tokens=3)], {"price": Price(2.0, 5.0)}),
        ([request(4, seed=11, temperature=0.7, top_p=0.9, stop=("B",))], {}),
        ([request(logprobs=2)], {}),
        ([request(logprobs=2)], {"calls": STREAM}),
        ([request(choices=("A", "B"))], {}),
        ([request(choices=("A", "B"))], {"engine": {"structured": "guided_choice"}}),
        ([request()], {"engine": {"max_tokens_field": "max_completion_tokens", "user": "u"}}),
        (DRAWS, {}),
        (DRAWS, {"calls": STREAM}),
    ],
    ids=lambda each: None if isinstance(each, list) else str(each)[:40],
)
def test_it_answers_what_worker_openai_answers(
    via: str, requests: list[Request], fields: dict[str, Any]
) -> None:
    with serving(varies=0.5, cached=0.5, words=3) as url:
        expected = by_openai(url, requests, **fields)
        found = by_litellm(url, requests, model=f"{via}/m", **fields)
    assert all(each.failure is None for each in expected)
    assert timeless(found) == timeless(expected)


@engine
@pytest.mark.parametrize("calls", [Calls(), STREAM], ids=["whole", "stream"])
def test_reasoning_is_kept_apart(calls: Calls) -> None:
    with serving() as url:
        (expected,) = by_openai(url, [request()], model="reason", calls=calls)
        (found,) = by_litellm(url, [request()], model="openai/reason", calls=calls)
    assert found.reasoning == expected.reasoning != ""
    assert found.text == expected.text
    assert found.usage.reasoning_tokens == expected.usage.reasoning_tokens > 0


@engine
@pytest.mark.parametrize("via", ["openai", "hosted_vllm"])
@pytest.mark.parametrize("calls", [Calls(), STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "trickle"])
def test_a_fault_is_what_it_is_for_worker_openai_and_asked_once(
    fault: str, calls: Calls, via: str
) -> None:
    if (fault, calls, via) == ("malformed", STREAM, "hosted_vllm"):
        pytest.skip("litellm passes over pieces that it cannot read, and says nothing")
    with serving(faults={fault: 1.0}) as url:
        (expected,) = by_openai(url, [request()], calls=calls)
        (found,) = by_litellm(url, [request()], calls=calls, model=f"{via}/m")
        with urlopen(f"{url}/control") as told:
            received = json.load(told)["received"]
    assert expected.failure is not None
    assert found.failure is not None
    assert found.failure.kind == expected.failure.kind, found.failure
    assert found.failure.retryable == expected.failure.retryable
    if fault == "limited_date":
        assert found.failure.retry_after is not None
    else:
        assert found.failure.retry_after == expected.failure.retry_after
    assert found.usage.calls == 1
    # For some providers, litellm's client before 1.110 sends again what a broken connection may
    # have lost; nothing turns that off.
    again = fault == "reset" and via == "hosted_vllm"
    assert received in ((2, 3) if again else (2,))


@engine
@pytest.mark.parametrize(
    ("settings", "calls", "kind"),
    [
        ({"key": "sk-another-key-9"}, Calls(), "unauthorised"),
        ({"models": ["other"]}, Calls(), "not_found"),
        ({"latency": 30}, Calls(timeout=0.3), "timeout"),
        ({"pause": 30}, Calls(stream=True, silence=0.3), "timeout"),
        ({"faults": {"trickle": 1.0}, "trickle": 30}, Calls(timeout=0.3), "timeout"),
    ],
)
def test_other_ways_to_fail(settings: dict[str, Any], calls: Calls, kind: str) -> None:
    with serving(**settings) as url:
        (expected,) = by_openai(url, [request()], calls=calls)
        (found,) = by_litellm(url, [request()], calls=calls)
    assert expected.failure is not None
    assert found.failure is not None
    assert found.failure.kind == expected.failure.kind == kind


@engine
def test_nobody_at_the_address_is_unreachable() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # not listening
        (found,) = by_litellm(f"http://127.0.0.1:{held.getsockname()[1]}", [request()])
    assert found.failure is not None
    assert found.failure.kind == "unreachable"


@engine
def test_no_key_is_shown_though_the_server_repeats_it(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    other = "sk-of-the-environment-31337"
    monkeypatch.setenv("HOSTED_VLLM_API_KEY", other)
    with serving(key="sk-right") as url:
        (ours,) = by_litellm(url, [request()])
        # With an address and no key, none that is meant for somebody else is sent.
        (none,) = by_litellm(url, [request()], secret="", model="hosted_vllm/m")
    gc.collect()
    written = "".join(capfd.readouterr()) + caplog.text
    assert ours.failure is not None
    assert "[hidden]" in ours.failure.detail
    assert none.failure is not None
    assert "none" in none.failure.detail
    for secret in (KEY, other):
        assert secret not in f"{ours} {none} {written}"
    assert "".join(capfd.readouterr()) == ""


@engine
def test_a_provider_that_takes_one_draw_a_call_is_asked_for_one() -> None:
    caller = LiteLLMCaller(expert("anthropic/claude-x"), secret=Secret(KEY))
    assert caller.draws == 1
    assert LiteLLMCaller(expert("openai/m"), secret=Secret(KEY)).draws > 1


@engine
@pytest.mark.parametrize(
    ("fields", "kind"),
    [({}, "bad_request"), ({"engine": {"omit": "seed"}}, "not_found")],
    ids=["seed", "no seed"],
)
def test_an_option_that_a_provider_does_not_take_is_an_error_until_it_is_left_out(
    fields: dict[str, Any], kind: str
) -> None:
    with serving() as url:  # which is no Anthropic, and says so
        (found,) = by_litellm(url, [request(seed=1)], model="anthropic/claude-x", **fields)
    assert found.failure is not None
    assert found.failure.kind == kind
    assert ("omit" in found.failure.detail) == (kind == "bad_request")


@engine
def test_a_call_may_be_cancelled() -> None:
    async def whole(url: str) -> None:
        caller = LiteLLMCaller(expert(base_url=f"{url}/v1"), secret=Secret(KEY))
        await caller.call([request()])
        task = asyncio.ensure_future(caller.call([request()]))
        while not await asyncio.to_thread(in_flight, url):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await caller.close()

    with serving(latency=0.5) as url:
        asyncio.run(whole(url))
        gc.collect()


def in_flight(url: str) -> int:
    with urlopen(f"{url}/control") as told:
        return int(json.load(told)["in_flight"])


@engine
def test_a_refusal_is_an_answer_without_text(monkeypatch: pytest.MonkeyPatch) -> None:
    litellm = litellm_package.package()

    async def refuse(**asked: Any) -> None:
        raise litellm.ContentPolicyViolationError("no", "m", "openai")

    monkeypatch.setattr(litellm, "acompletion", refuse)
    found = by_litellm("http://127.0.0.1:9", DRAWS)
    assert [(each.finish_reason, each.text, each.failure) for each in found] == [
        ("filtered", "", None)
    ] * 3
    assert sum(each.usage.calls for each in found) == 1


@engine
def test_several_loops_one_after_the_other_leave_nothing_open() -> None:
    litellm = litellm_package.package()

    async def many(url: str) -> None:
        first, second = (
            LiteLLMCaller(expert(base_url=f"{url}/v1"), secret=Secret(KEY)) for _ in range(2)
        )
        await asyncio.gather(*(first.call([request(n)]) for n in range(20)))
        await second.call([request()])
        await first.close()
        # The clients are still the second's.
        (found,) = await second.call([request()])
        assert found.failure is None
        await second.close()
        mark = f"-{id(asyncio.get_running_loop())}"
        assert not [key for key in litellm.in_memory_llm_clients_cache.cache_dict if mark in key]
        # Closed is not for ever.
        (found,) = await first.call([request()])
        assert found.failure is None
        await first.close()

    with serving() as url:
        for _ in range(3):
            asyncio.run(many(url))
            gc.collect()  # what was left open would say so


def unfilled(kind: type[Exception]) -> Exception:
    """An exception without what its constructor wants, of which every class wants another."""
    made = kind.__new__(kind)
    vars(made).update(message="x", num_retries=None, max_retries=None, original_exception=None)
    return made


@engine
def test_every_exception_of_litellm_has_a_place() -> None:
    litellm = litellm_package.package()
    exceptions = litellm.exceptions

    found = [
        each
        for each in vars(exceptions).values()
        if isinstance(each, type)
        and issubclass(each, Exception)
        and each.__module__ == exceptions.__name__
    ]
    assert len(found) > 20
    assert [each.__name__ for each in found if not is_known(each)] == []
    bare = {each.__name__: of_litellm(unfilled(each)).kind for each in found}
    assert "crash" not in bare.values()
    assert bare["RateLimitError"] == "rate_limited"
    assert bare["ContextWindowExceededError"] == "bad_request"
    paid = litellm.PaymentRequiredError("pay", "m", "openai")
    assert of_litellm(paid).kind == "out_of_credit"


@engine
@pytest.mark.parametrize("model", ["gpt-4o-mini", "openai/gpt-4o-mini"])
def test_prices_come_from_litellms_own_list(model: str) -> None:
    assert litellm_price(model) == Price(0.15, 0.6)


@engine
@pytest.mark.parametrize(
    "model", ["openai/never-heard-of", "hosted_vllm/m", "nobody/m", "ollama/llama3", "m"]
)
def test_no_price_is_made_up(model: str) -> None:
    assert litellm_price(model) is None


@engine
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (expert("nobody/m"), "no provider"),
        (expert("m"), "no provider"),
        (expert("openai/m"), "`OPENAI_API_KEY`"),
        (expert("gemini/m"), "`GOOGLE_API_KEY` or `GEMINI_API_KEY`"),
    ],
)
def test_what_cannot_be_called_is_told_before(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    asked: Expert,
    said: str,
) -> None:
    for name in [name for name in os.environ if name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)
    with pytest.raises(InputError, match=said):
        check_litellm(asked)
    assert "".join(capfd.readouterr()) == ""


@engine
@pytest.mark.parametrize(
    "asked",
    [
        expert("openai/m", api_key_env="MINE"),
        expert("openai/m", base_url="http://127.0.0.1:9/v1"),
        expert("m", engine={"custom_llm_provider": "hosted_vllm"}),
        expert("bedrock/anthropic.claude-3-haiku-20240307-v1:0"),
        expert("ollama_chat/m"),
    ],
    ids=lambda each: each.model,
)
def test_what_may_be_called_passes(asked: Expert) -> None:
    check_litellm(asked)


PROGRAM = """
import asyncio, logging, os, sys

def guard(event, arguments):
    if event == "socket.connect" and not str(arguments[1][0]).startswith("127."):
        raise RuntimeError(f"{event} {arguments}")
    if event == "socket.getaddrinfo" and arguments[0] not in ("localhost", "127.0.0.1"):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(guard)
from orchestra.records import Message, Request, Sampling
from orchestra.roster import Calls, Expert
from orchestra.workers.hosted.litellm import LiteLLMCaller, check_litellm, litellm_price
from orchestra.workers.secrets import Secret

assert "litellm" not in sys.modules
url, key = sys.argv[1:]
request = Request("k", "q", "e", "generate", (Message("user", "hi"),), Sampling(max_tokens=9))

async def call(where, secret, stream):
    expert = Expert("e", "openai/m", worker="litellm", base_url=where, calls=Calls(stream=stream))
    check_litellm(expert)
    caller = LiteLLMCaller(expert, secret=Secret(secret))
    (found,) = await caller.call([request])
    await caller.close()
    return found.failure and found.failure.kind

litellm_price("openai/gpt-4o-mini")
kinds = [
    asyncio.run(call(where, secret, stream))
    for where in (f"{url}/v1", "http://127.0.0.1:9/v1")
    for secret in (key, "sk-wrong-0000000")
    for stream in (False, True)
]
assert kinds == [None] * 2 + ["unauthorised"] * 2 + ["unreachable"] * 4, kinds
import litellm
assert "litellm.proxy.proxy_server" not in sys.modules
assert "FROM_DOTENV" not in os.environ
assert not litellm.callbacks and not litellm.success_callback and not litellm.failure_callback
assert litellm.suppress_debug_info
for name, logger in logging.root.manager.loggerDict.items():
    if name.startswith("LiteLLM") and isinstance(logger, logging.Logger):
        assert not logger.isEnabledFor(logging.INFO), name
"""


@engine
def test_a_program_that_uses_it_stays_silent_and_at_home(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FROM_DOTENV=1\n", encoding="utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LITELLM")
    }
    with serving(key=KEY) as url:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, url, KEY],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
