"""Real checkpoints on the processor: the same text in any company, and clear ends of trouble."""

from __future__ import annotations

import asyncio
import json
import math
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Generation, Message, Request, Sampling
from orchestra.roster import Expert
from orchestra.roster.expert import Price
from orchestra.workers.local import convert as convert_module
from orchestra.workers.local import engine as local
from orchestra.workers.local.decoding import Decoder
from orchestra.workers.local.engine import LocalWorker, check_local, open_local

Make = Callable[..., Path]

PROMPTS = [f"{'tell me ' * (n % 5)}about {n * 37} and {n}" for n in range(24)]


def expert(model: Path | str, **options: Any) -> Expert:
    return Expert("e", str(model), worker="local", **options)


def request(number: int, *, sample: int = 0, **sampling: Any) -> Request:
    how = Sampling(**{"max_tokens": 30, **sampling})
    messages = (Message("user", PROMPTS[number]),)
    key = f"key {number} {sample}"
    return Request(key, f"q{number}", "e", "generate", messages, how, 1, sample)


def ask(
    who: Expert, cache: Path, *batches: Sequence[Request]
) -> tuple[list[Generation], dict[str, Generation]]:
    """All generations in the order they came, and by key."""

    async def run() -> list[Generation]:
        async with open_local(who, cache=cache) as worker:
            return [each for batch in batches async for each in worker.generate(batch)]

    came = asyncio.run(run())
    return came, {each.key: each for each in came}


def said(found: dict[str, Generation]) -> dict[str, tuple[object, ...]]:
    """What must not depend on company; times do."""
    return {
        key: (each.text, each.finish_reason, each.usage.output_tokens)
        for key, each in found.items()
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


HOW = [
    pytest.param({}, id="greedy"),
    pytest.param({"temperature": 1.0}, id="drawn"),
    pytest.param({"temperature": 0.6, "top_p": 0.8, "seed": 4}, id="nucleus"),
    pytest.param({"stop": ("e", "4")}, id="stopped"),
]


@pytest.mark.parametrize("sampling", HOW)
def test_company_and_order_change_nothing(
    sampling: dict[str, Any], babbler: Path, cache: Path
) -> None:
    requests = [request(number, **sampling) for number in range(len(PROMPTS))]
    shuffled = random.Random(7).sample(requests, len(requests))
    together = said(ask(expert(babbler), cache, requests)[1])
    assert len({each[0] for each in together.values()}) > 20, "different prompts, different text"
    assert said(ask(expert(babbler), cache, shuffled)[1]) == together
    assert said(ask(expert(babbler), cache, *[[each] for each in shuffled])[1]) == together
    small = expert(babbler, engine={"threads": 3, "batch": 2})
    assert said(ask(small, cache, shuffled)[1]) == together


@settings(max_examples=10)
@given(
    st.permutations(range(12)),
    st.integers(1, 11),
    st.sampled_from([0.0, 0.3, 1.0, 2.5]),
    st.sampled_from([1.0, 0.9, 0.5]),
)
def test_any_split_of_any_order(
    babbler: Path, cache: Path, order: list[int], at: int, temperature: float, top_p: float
) -> None:
    requests = [request(number, temperature=temperature, top_p=top_p) for number in order]
    found = said(ask(expert(babbler), cache, requests[:at], requests[at:])[1])
    assert found == said(ask(expert(babbler), cache, sorted(requests, key=lambda r: r.key))[1])


def test_draws_differ_by_sample_and_by_seed(babbler: Path, cache: Path) -> None:
    draws = [request(1, sample=number, temperature=1.0) for number in range(12)]
    texts = [each.text for each in ask(expert(babbler), cache, draws)[0]]
    assert len(set(texts)) > 10
    seeded = [replace(each, sampling=replace(each.sampling, seed=9)) for each in draws]
    assert set(texts).isdisjoint(each.text for each in ask(expert(babbler), cache, seeded)[0])


def test_a_low_temperature_is_nearly_greedy(babbler: Path, cache: Path) -> None:
    greedy = said(ask(expert(babbler), cache, [request(number) for number in range(8)])[1])
    cold = [request(number, temperature=1e-4) for number in range(8)]
    assert said(ask(expert(babbler), cache, cold)[1]) == greedy
    narrow = [request(number, temperature=1.0, top_p=1e-9) for number in range(8)]
    assert said(ask(expert(babbler), cache, narrow)[1]) == greedy


def test_one_generation_for_each_request(babbler: Path, cache: Path) -> None:
    came, found = ask(
        expert(babbler, price=Price(1.0, 2.0)), cache, [request(n, sample=3) for n in range(20)]
    )
    assert len(came) == len(found) == 20
    for each in came:
        assert (each.layer, each.sample, each.expert) == (1, 3, "e")
        assert each.failure is None
        assert each.logprobs is None
        assert each.usage.calls == 1
        assert not each.usage.estimated
        assert each.usage.money == pytest.approx(
            (each.usage.input_tokens + 2 * each.usage.output_tokens) / 1e6
        )
        number = int(each.question_id[1:])
        assert each.usage.input_tokens == len(PROMPTS[number]) + 3, "a letter is a token"


def test_length_and_stop(babbler: Path, cache: Path) -> None:
    whole = ask(expert(babbler), cache, [request(2)])[0][0]
    assert (whole.finish_reason, whole.usage.output_tokens) == ("length", 30)
    [short] = ask(expert(babbler), cache, [request(2, max_tokens=7)])[0]
    assert whole.text.startswith(short.text)
    assert (short.finish_reason, short.usage.output_tokens) == ("length", 7)
    word = whole.text[9:12]
    [stopped] = ask(expert(babbler), cache, [request(2, stop=("never said", word))])[0]
    assert stopped.text == whole.text[: whole.text.index(word)]
    assert stopped.finish_reason == "stop"
    assert stopped.usage.output_tokens == whole.text.index(word) + 3


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0, "top_p": 0.9}])
def test_log_probabilities(sampling: dict[str, Any], babbler: Path, cache: Path) -> None:
    requests = [request(number, logprobs=1, **sampling) for number in range(6)]
    for each in ask(expert(babbler), cache, requests)[0]:
        assert each.logprobs is not None
        assert len(each.logprobs) == each.usage.output_tokens
        assert all(-20 < value <= 0 for value in each.logprobs)


def test_shares_of_draws_are_the_probabilities(babbler: Path, cache: Path) -> None:
    draws = [request(1, sample=n, temperature=1.0, max_tokens=1, logprobs=1) for n in range(2000)]
    seen: dict[str, list[float]] = {}
    for each in ask(expert(babbler), cache, draws)[0]:
        assert each.logprobs is not None
        seen.setdefault(each.text, []).append(math.exp(each.logprobs[0]))
    seen.pop("", None)  # special tokens have no text to tell them apart
    assert len(seen) > 10
    for values in seen.values():
        share, wanted = len(values) / 2000, values[0]
        assert values == pytest.approx([wanted] * len(values), abs=1e-4)
        assert abs(share - wanted) < 5 * math.sqrt(wanted * (1 - wanted) / 2000) + 1e-3


@pytest.mark.parametrize(
    ("letters", "most", "got"), [(124, 30, 1), (120, 30, 5), (125, 30, None), (400, 1, None)]
)
def test_the_window(letters: int, most: int, got: int | None, babbler: Path, cache: Path) -> None:
    sent = replace(request(0, max_tokens=most), messages=(Message("user", "x" * letters),))
    fine = request(1)
    found = ask(expert(babbler), cache, [sent, fine])[1]
    assert found[fine.key].failure is None
    failure = found[sent.key].failure
    if got is not None:
        assert failure is None
        assert found[sent.key].usage.output_tokens == got
        assert found[sent.key].finish_reason == "length"
    else:
        assert failure is not None
        assert (failure.kind, failure.retryable) == ("too_long", False)
        assert failure.detail == (
            f"the prompt has {letters + 3} tokens, and with one for an answer {letters + 4}; "
            "the window is 128"
        )


def test_a_narrower_window(babbler: Path, cache: Path) -> None:
    [found] = ask(expert(babbler, engine={"max_model_len": 20}), cache, [request(4)])[0]
    assert found.failure is not None
    assert found.failure.detail.endswith("the window is 20")


def test_a_template_that_refuses_is_a_failure(babbler: Path, cache: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    (folder / "chat_template.jinja").write_text(
        "{% if '37' in messages[0].content %}{{ raise_exception('not that') }}{% endif %}ok"
    )
    found = ask(expert(folder), cache, [request(1), request(2)])[1]
    assert found["key 2 0"].failure is None
    failure = found["key 1 0"].failure
    assert failure is not None
    assert (failure.kind, failure.detail) == (
        "template",
        "the chat template does not take this: not that",
    )


def test_a_crash_is_a_record(babbler: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(9))
    real = Decoder.draw

    def once(self: Decoder, wanted: Any) -> Any:
        if next(calls) == 0:
            raise MemoryError("no room for 3 GiB")
        return real(self, wanted)

    monkeypatch.setattr(Decoder, "draw", once)
    who = expert(babbler, engine={"batch": 2, "threads": 1})
    came, _ = ask(who, cache, [request(number) for number in range(9)])
    crashed = [each for each in came if each.failure]
    assert len(came) == 9
    assert len(crashed) == 4
    assert {(f.kind, f.detail, f.retryable) for each in crashed if (f := each.failure)} == {
        ("crash", "MemoryError: no room for 3 GiB", True)
    }


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ({"thread": 2}, r"unknown option: 'thread'\n  hint: did you mean `threads`\?"),
        ({"threads": 0}, "`threads` must be a number of at least 1: 0"),
        ({"batch": True}, "`batch` must be a number of at least 1: True"),
        ({"max_model_len": "long"}, "`max_model_len` must be a number of at least 1: 'long'"),
        ({"compute_type": "float8"}, "unknown `compute_type`: 'float8'"),
        ({"gpu": 1, "batch": -1}, "unknown option(.|\n)*`batch` must be"),
    ],
)
def test_options_that_are_wrong(engine: dict[str, Any], said: str, babbler: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        check_local(expert(babbler, engine=engine))
    assert "expert `e`: `engine`" in str(caught.value)


def test_a_name_that_is_not_there(cache: Path) -> None:
    with pytest.raises(InputError, match="expert `e`: no checkpoint folder: 'nobody/nothing'"):
        ask(expert("nobody/nothing"), cache, [])


def test_all_missing_files_are_named(babbler: Path, cache: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    (folder / "model.safetensors").unlink()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"no `tokenizer\.json`, `model\.safetensors`"):
        ask(expert(folder), cache, [])


def test_a_spoiled_conversion_is_made_anew(babbler: Path, tmp_path: Path) -> None:
    wanted = ask(expert(babbler), tmp_path, [request(1)])[0][0].text
    [model] = tmp_path.glob("*/model.bin")
    model.write_bytes(model.read_bytes()[:500])
    assert ask(expert(babbler), tmp_path, [request(1)])[0][0].text == wanted


def test_without_a_cache_it_works_all_the_same(
    babbler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    [found] = ask(expert(babbler), tmp_path / "file", [request(1)])[0]
    assert found.failure is None
    assert list((tmp_path / "tmp").iterdir()) == [], "taken away at the end"


def test_a_changed_checkpoint_is_converted_again(make: Make, cache: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(make(1), tmp_path / "copy")
    before = ask(expert(folder), cache, [request(1)])[0][0].text
    shutil.copy(make(2) / "model.safetensors", folder)
    assert ask(expert(folder), cache, [request(1)])[0][0].text != before


def test_nothing_is_loaded_for_a_config_that_does_not_fit(babbler: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text()) | {
        "architectures": ["RwkvForCausalLM"]
    }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="unknown architecture: 'RwkvForCausalLM'"):
        check_local(expert(folder))


def test_leaving_early_stops_the_engine(
    babbler: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    portions: list[int] = []
    real = Decoder.draw

    def counted(self: Decoder, wanted: Any) -> Any:
        portions.append(len(wanted))
        return real(self, wanted)

    monkeypatch.setattr(Decoder, "draw", counted)

    async def run() -> LocalWorker:
        who = expert(babbler, engine={"batch": 2, "threads": 1})
        async with open_local(who, cache=cache) as worker:
            async for _ in worker.generate([request(number) for number in range(20)]):
                break
        return worker

    asyncio.run(run())
    assert portions == [4]


def test_the_event_loop_is_free_meanwhile(babbler: Path, cache: Path) -> None:
    async def run() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(tick())
        async with open_local(expert(babbler), cache=cache) as worker:
            async for _ in worker.generate([request(number) for number in range(20)]):
                pass
        beside.cancel()
        return ticks

    assert asyncio.run(run()) > 20


def test_logits_that_do_not_fit_are_done_without(
    babbler: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = [request(number) for number in range(8)]
    wanted = said(ask(expert(babbler), cache, requests)[1])
    monkeypatch.setattr("orchestra.workers.local.decoding._LOGITS", 1)
    assert said(ask(expert(babbler), cache, requests)[1]) == wanted
    drawn = [request(number, temperature=1.0, max_tokens=5) for number in range(3)]
    one_by_one = said(ask(expert(babbler), cache, drawn)[1])
    monkeypatch.undo()
    assert said(ask(expert(babbler), cache, drawn)[1]) == one_by_one


def test_a_large_model_has_one_batch_on_all_cores(
    babbler: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = said(ask(expert(babbler), cache, [request(1)])[1])
    monkeypatch.setattr(local, "_SMALL", 0)
    who = expert(babbler, engine={"threads": 1})
    assert said(ask(who, cache, [request(1)])[1]) == wanted


def test_conversion_is_kept_for_the_next_load(
    babbler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ask(expert(babbler), tmp_path, [request(1)])[0][0].text
    monkeypatch.setattr(convert_module, "read_weights", lambda folder: pytest.fail("read again"))
    assert ask(expert(babbler), tmp_path, [request(1)])[0][0].text == wanted
