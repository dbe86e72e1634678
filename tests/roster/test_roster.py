"""Rosters: from files and from Python, with every rule broken once, alone and all together."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.config import examine
from orchestra.errors import InputError, InputErrors, OrchestraError
from orchestra.records import Sampling
from orchestra.roster.expert import Expert, Limits, Price
from orchestra.roster.roster import Roster

FULL = """\
schema: 1
defaults: {worker: recorded, recordings: recordings.parquet, sampling: {temperature: 1, seed: 3}}
experts:
  - name: mathstral
    model: mathstral-7B
    family: mistral
    memory_gib: 15.2
    price: {input: 0.2, output: 1}
    sampling: {temperature: 0.7, max_tokens: 2048, stop: [end]}
    strategy: plan-and-solve
    system: Be exact.
    adapter: algebra
    rule: strict
  - name: qwen@served
    worker: openai
    model: Qwen/Qwen2.5-7B-Instruct
    base_url: http://127.0.0.1:8000/v1
    api_key_env: QWEN_KEY
    limits: {requests_per_minute: 6000, tokens_per_minute: 2000000, concurrency: 64}
  - name: gpt
    worker: litellm
    model: openai/gpt-4o-mini
  - name: sorter
    worker: vllm
    model: embedded/sorter
    engine: {max_model_len: 512, gpu_memory_utilization: 0.85, enforce_eager: true, dtype: half}
"""

GOOD: dict[str, Any] = {"name": "a", "model": "m", "worker": "scripted"}


def full() -> Roster:
    return Roster.loads(FULL, folder="/data")


def test_every_field_arrives() -> None:
    assert full()["mathstral"] == Expert(
        "mathstral",
        "mathstral-7B",
        worker="recorded",
        family="mistral",
        memory_gib=15.2,
        price=Price(0.2, 1.0),
        sampling=Sampling(temperature=0.7, max_tokens=2048, stop=("end",), seed=3),
        strategy="plan-and-solve",
        system="Be exact.",
        adapter="algebra",
        recordings=Path("/data/recordings.parquet"),
        rule="strict",
    )
    assert full()["qwen@served"] == Expert(
        "qwen@served",
        "Qwen/Qwen2.5-7B-Instruct",
        worker="openai",
        sampling=Sampling(temperature=1.0, seed=3),
        base_url="http://127.0.0.1:8000/v1",
        api_key_env="QWEN_KEY",
        limits=Limits(6000, 2_000_000, 64),
    )
    assert full()["sorter"].engine == {
        "max_model_len": 512,
        "gpu_memory_utilization": 0.85,
        "enforce_eager": True,
        "dtype": "half",
    }


def test_a_roster_is_read_in_its_own_order() -> None:
    roster = full()
    assert roster.names == ("mathstral", "qwen@served", "gpt", "sorter")
    assert [expert.name for expert in roster] == list(roster.names)
    assert len(roster) == 4
    assert "gpt" in roster
    assert "gtp" not in roster


def test_an_unknown_expert_is_told_with_near_names() -> None:
    with pytest.raises(InputError, match="did you mean `mathstral`"):
        full()["mathstrl"]


def test_a_default_that_a_worker_cannot_use_does_not_reach_it() -> None:
    assert full()["gpt"].recordings is None


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("", "system", "Be brief."),
        ("system: Other.", "system", "Other."),
        ("system: null", "system", ""),
        ("price: {input: 5, output: 5}", "price", Price(5.0, 5.0)),
        ("sampling: {max_tokens: 7}", "sampling", Sampling(temperature=0.5, max_tokens=7)),
        ("sampling: {temperature: null}", "sampling", Sampling()),
        ("sampling: null", "sampling", Sampling()),
        ("limits: {concurrency: 2}", "limits", Limits(concurrency=2)),
    ],
)
def test_defaults_lie_under_each_expert(line: str, field: str, value: object) -> None:
    roster = Roster.loads(
        f"""\
schema: 1
defaults:
  worker: scripted
  system: Be brief.
  price: {{input: 1, output: 1}}
  sampling: {{temperature: 0.5}}
  limits: {{requests_per_minute: 9}}
experts:
  - name: a
    model: m
    {line}
"""
    )
    assert getattr(roster["a"], field) == value


def test_paths_start_from_the_rosters_folder(tmp_path: Path) -> None:
    (tmp_path / "tuned").mkdir()
    file = tmp_path / "roster.yaml"
    file.write_text(
        """\
schema: 1
defaults: {worker: vllm}
experts:
  - {name: beside, model: ./checkpoints/one, adapter: ../lora}
  - {name: folder, model: tuned}
  - {name: hub, model: Qwen/Qwen2.5-7B-Instruct, adapter: some-hub/lora}
  - {name: shipped, model: embedded/tuned}
  - {name: fixed, model: /models/one}
  - {name: home, model: ~/models/one}
  - {name: replay, worker: recorded, model: tuned, recordings: runs/old.jsonl}
  - {name: other, worker: recorded, model: m, recordings: /runs/old.jsonl}
""",
        encoding="utf-8",
    )
    roster = Roster.load(file)
    assert roster.path == file
    assert {expert.name: expert.model for expert in roster} == {
        "beside": str(tmp_path / "checkpoints/one"),
        "folder": str(tmp_path / "tuned"),
        "hub": "Qwen/Qwen2.5-7B-Instruct",
        "shipped": "embedded/tuned",
        "fixed": "/models/one",
        "home": os.path.expanduser("~/models/one"),
        "replay": "tuned",
        "other": "m",
    }
    assert roster["beside"].adapter == str(tmp_path.parent / "lora")
    assert roster["hub"].adapter == "some-hub/lora"
    assert roster["replay"].recordings == tmp_path / "runs/old.jsonl"
    assert roster["other"].recordings == Path("/runs/old.jsonl")


def test_a_relative_roster_gives_the_same_experts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "roster.yaml"
    file.write_text("schema: 1\nexperts: [{name: a, worker: local, model: ./m}]")
    monkeypatch.chdir(tmp_path)
    assert Roster.load("roster.yaml")["a"] == Roster.load(file)["a"]


BROKEN: list[tuple[str, str, str]] = [
    # what stands in the expert's mapping, the key that is pointed at, what is said
    ("name: a b, model: m, worker: scripted", ".name", "the name 'a b' is not allowed"),
    ("name: é, model: m, worker: scripted", ".name", "is not allowed"),
    ("name: '', model: m, worker: scripted", ".name", "is not allowed"),
    ("model: m, worker: scripted", "", "`name` is missing"),
    ("name: a, worker: scripted", "", "`model` is missing"),
    ("name: a, model: m", "", "`worker` is missing"),
    ("name: a, model: m, worker: vlm", ".worker", "did you mean `vllm`"),
    ("name: a, model: m, worker: recorded", "", "`recordings` is missing"),
    ("name: a, model: m, worker: openai", "", "`base_url` is missing"),
    ("name: a, model: m, worker: vllm, recordings: r", ".recordings", "makes no sense"),
    ("name: a, model: m, worker: vllm, base_url: http://h/v1", ".base_url", "makes no sense"),
    ("name: a, model: m, worker: local, api_key_env: KEY", ".api_key_env", "makes no sense"),
    ("name: a, model: m, worker: scripted, engine: {x: 1}", ".engine", "makes no sense"),
    ("name: a, model: m, worker: litellm, adapter: x", ".adapter", "makes no sense"),
    ("name: a, model: m, worker: scripted, memory_gib: 0", ".memory_gib", "greater than 0"),
    ("name: a, model: m, worker: scripted, memory_gib: .nan", ".memory_gib", "finite"),
    ("name: a, model: m, worker: scripted, price: {input: 1}", ".price", "`output` is missing"),
    (
        "name: a, model: m, worker: scripted, price: {input: -1, output: 0}",
        ".price.input",
        "at least 0",
    ),
    (
        "name: a, model: m, worker: scripted, sampling: {temperature: 2.5}",
        ".sampling.temperature",
        "at most 2",
    ),
    (
        "name: a, model: m, worker: scripted, sampling: {max_tokens: 0}",
        ".sampling.max_tokens",
        "at least 1",
    ),
    (
        "name: a, model: m, worker: scripted, sampling: {top_k: 3}",
        ".sampling.top_k",
        "did you mean `top_p`",
    ),
    (
        "name: a, model: m, worker: scripted, limits: {concurrency: 1.5}",
        ".limits.concurrency",
        "must be a whole number, not 1.5",
    ),
    ("name: a, model: m, worker: scripted, strategy: cot", ".strategy", "unknown strategy: 'cot'"),
    ("name: a, model: m, worker: scripted, api_key: x", ".api_key", "did you mean `api_key_env`"),
    ("name: a, model: 7, worker: scripted", ".model", "must be text, not 7"),
    ("name: a, model: m, worker: vllm, engine: {x: [1]}", ".engine.x", "not a list"),
]


@pytest.mark.parametrize(("expert", "key", "said"), BROKEN, ids=[said for *_, said in BROKEN])
def test_each_rule_has_its_place(expert: str, key: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Roster.loads(f"schema: 1\nexperts:\n  - {{{expert}}}\n", "r.yaml")
    assert not isinstance(caught.value, InputErrors)
    assert caught.value.place == f"r.yaml:3 experts[0]{key}"
    assert said in str(caught.value)


def test_all_that_is_broken_is_told_at_once() -> None:
    text = "schema: 1\nexperts:\n" + "".join(f"  - {{{expert}}}\n" for expert, _, _ in BROKEN)
    with pytest.raises(InputErrors) as caught:
        Roster.loads(text, "r.yaml")
    told = {(error.place, error.message) for error in caught.value.errors}
    for at, (_, key, _) in enumerate(BROKEN):
        assert any(place == f"r.yaml:{at + 3} experts[{at}]{key}" for place, _ in told)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("experts: [{name: a, model: m, worker: scripted}]", "r", "`schema` is missing"),
        ("schema: 2\nexpertise: {}", "r:1 schema", "upgrade orchestra"),
        ("schema: 0\nexperts: [{name: a, model: m, worker: scripted}]", "r:1 schema", "`1`"),
        ("schema: 1\nexperts: []", "r:2 experts", "`experts` must not be empty"),
        ("schema: 1", "r", "`experts` is missing"),
        ("schema: 1\nexperts: {a: b}", "r:2 experts", "must be a list"),
        ("schema: 1\nexperts:\n- mathstral", "r:3 experts[0]", "must be a mapping"),
        ("schema: 1\ndefaults: 3\nexperts: [{name: a, model: m, worker: scripted}]", "r:2", "map"),
    ],
)
def test_the_frame_of_the_file(text: str, place: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        Roster.loads(text, "r")
    assert caught.value.place.startswith(place)
    assert said in str(caught.value)


def test_a_name_that_is_taken_names_both_lines() -> None:
    text = """\
schema: 1
defaults: {worker: scripted, model: m}
experts:
  - name: a
  - name: b
  - name: a
"""
    with pytest.raises(InputError) as caught:
        Roster.loads(text, "r.yaml")
    assert caught.value.place == "r.yaml:6 experts[2].name"
    assert "r.yaml:4 experts[0].name" in caught.value.hint


SECRET = "hunter2Abc9hunter2Abc9"


@pytest.mark.parametrize(
    "line",
    [
        f"api_key_env: sk-{SECRET}",
        f"api_key_env: hf_{SECRET}",
        f"api_key_env: {SECRET}",
        "api_key_env: huntertwohuntertwohuntertwo",
        f"api_key_env: [{SECRET}]",
        f"api_key: {SECRET}",
        f"base_url: http://me:{SECRET}@h/v1",
        f"base_url: http://{SECRET}@h/v1",
        f"base_url: http://h:{SECRET}/v1",
        f"base_url: http://[{SECRET}/v1",
        f"base_url: http://h/v1?key={SECRET}",
        f"base_url: {SECRET}",
        f"base_url: [{SECRET}]",
    ],
)
def test_a_secret_is_refused_and_never_shown(line: str) -> None:
    address = "" if line.startswith("base_url") else "    base_url: http://h/v1\n"
    text = (
        f"schema: 1\nexperts:\n  - name: a\n    model: m\n    worker: openai\n{address}    {line}"
    )
    with pytest.raises(InputError) as caught:
        Roster.loads(text, "r")
    assert caught.value.place.startswith("r:")
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("option", ["api_key", "hf_token", "some-secret", "password"])
def test_a_secret_among_engine_options_is_refused(option: str) -> None:
    with pytest.raises(InputError, match=f"`engine` holds a secret: `{option}`") as caught:
        Roster.of(Expert("a", "m", worker="vllm", engine={option: SECRET}))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["KEY", "OPENAI_API_KEY_2", "my_azure_openai_key", "_X"])
def test_names_of_variables_are_accepted(name: str) -> None:
    expert = Expert("a", "m", worker="openai", base_url="https://h:1/v1", api_key_env=name)
    assert Roster.of(expert)["a"].api_key_env == name


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": "a b"}, "experts[0].name"),
        ({"worker": "vlm"}, "experts[0].worker"),
        ({"worker": "recorded"}, "experts[0]"),
        ({"price": Price(-1, 0)}, "experts[0].price.input"),
        ({"sampling": Sampling(temperature=-1)}, "experts[0].sampling.temperature"),
        ({"sampling": Sampling(stop=("",))}, "experts[0].sampling.stop[0]"),
        ({"limits": Limits(concurrency=0)}, "experts[0].limits.concurrency"),
        ({"memory_gib": 0}, "experts[0].memory_gib"),
        ({"strategy": "none"}, "experts[0].strategy"),
        ({"system": 3}, "experts[0].system"),
        ({"system": "\ud800"}, "experts[0].system"),
        ({"engine": {"x": 1}}, "experts[0].engine"),
    ],
    ids=str,
)
def test_experts_made_in_python_keep_the_same_rules(change: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError) as caught:
        Roster.of(Expert(**{**GOOD, **change}))
    assert caught.value.place == place


def test_no_experts_are_no_roster() -> None:
    with pytest.raises(InputError, match="`experts` must not be empty"):
        Roster.of()


def test_what_was_loaded_is_accepted_from_python() -> None:
    assert Roster.of(*full()).experts == full().experts


def test_a_subset_keeps_the_order() -> None:
    subset = full().subset(["gpt", "mathstral", "gpt"])
    assert subset.names == ("mathstral", "gpt")


def test_a_subset_of_unknown_names_tells_all_of_them() -> None:
    with pytest.raises(InputErrors) as caught:
        full().subset(["gpt", "x", "y"])
    assert len(caught.value.errors) == 2
    with pytest.raises(InputError):
        full().subset([])


def test_experts_without_a_family_are_families_of_their_own() -> None:
    roster = Roster.of(
        Expert("a", "m", worker="scripted", family="one"),
        Expert("b", "m", worker="scripted"),
        Expert("c", "m", worker="scripted", family="one"),
    )
    assert roster.families == {"one": ("a", "c"), "b": ("b",)}


def digest_with(**change: Any) -> str:
    return Roster.of(replace(Expert(**GOOD), **change), Expert(**{**GOOD, "name": "z"})).digest


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"model": "n"},
        {"family": "f"},
        {"sampling": Sampling(seed=1)},
        {"price": Price(1, 1)},
        {"memory_gib": 1},
        {"rule": "strict"},
        {"strategy": "direct"},
    ],
    ids=str,
)
def test_the_digest_changes_with_what_can_change_a_decision(change: dict[str, Any]) -> None:
    assert digest_with(**change) != digest_with()


def test_the_digest_does_not_change_with_how_fast_or_how_a_number_is_written() -> None:
    assert digest_with(limits=Limits(concurrency=1)) == digest_with()
    whole, real = Sampling(temperature=1), Sampling(temperature=1.0)
    assert digest_with(sampling=whole, memory_gib=2) == digest_with(sampling=real, memory_gib=2.0)


def test_the_digest_is_the_same_wherever_recordings_lie() -> None:
    assert Roster.loads(FULL, folder="/a").digest == Roster.loads(FULL, folder="/b").digest


def test_a_roster_survives_the_way_to_another_process() -> None:
    roster = full()
    assert roster.digest
    assert roster.families
    assert pickle.loads(pickle.dumps(roster)) == roster


# --- experts made in Python ------------------------------------------------------------


def test_the_worker_is_openai_where_only_an_address_is_given() -> None:
    roster = Roster(
        [
            Expert("gpt", model="gpt-4o-mini", worker="litellm"),
            Expert("law", model="law-7b", base_url="http://localhost:8000/v1"),
        ]
    )
    assert roster.names == ("gpt", "law")
    assert [expert.worker for expert in roster] == ["litellm", "openai"]
    same = Expert("law", "law-7b", worker="openai", base_url="http://localhost:8000/v1")
    assert roster["law"] == same
    assert roster["law"].identity == same.identity
    text = "schema: 1\nexperts: [{name: law, model: law-7b, base_url: http://localhost:8000/v1}]"
    assert Roster.loads(text)["law"] == same


def test_without_a_worker_and_an_address_the_worker_is_missing() -> None:
    with pytest.raises(InputError, match="`worker` is missing") as caught:
        Roster([Expert("a", model="m")])
    assert caught.value.place == "experts[0]"
    assert "`litellm`" in caught.value.hint
    assert "`base_url`" in caught.value.hint


def test_all_that_is_wrong_with_experts_made_in_python_is_told_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        Roster(
            [
                Expert("a", "m", worker="scripted", base_url="http://h/v1", memory_gib=-1),
                Expert("a", "m", worker="recorded", limits=Limits(concurrency=0)),
            ]
        )
    assert [error.place for error in caught.value.errors] == [
        "experts[0].base_url",
        "experts[1].name",
        "experts[1]",
        "experts[0].memory_gib",
        "experts[1].limits.concurrency",
    ]


def test_lists_and_whole_numbers_from_python_become_what_a_file_gives() -> None:
    lists: Any = ["answer", "tag"]
    made = Expert("a", "m", worker="scripted", roles=lists, price=Price(1, 2), memory_gib=3)
    expert = Roster([made])["a"]
    assert expert.roles == ("answer", "tag")
    assert [repr(value) for value in (expert.price, expert.memory_gib)] == [
        "Price(input=1.0, output=2.0)",
        "3.0",
    ]
    assert {expert}


def test_a_secret_of_an_expert_made_in_python_is_never_shown() -> None:
    with pytest.raises(InputError) as caught:
        Roster([Expert("a", "m", base_url="http://h/v1", api_key_env=SECRET)])
    assert "hunter" not in str(caught.value)


# --- what older ledgers and tables refer to ---------------------------------------------

HOSTED = """\
schema: 1
defaults: {sampling: {temperature: 1, seed: 3}, limits: {concurrency: 8}}
experts:
  - name: served
    worker: openai
    model: Qwen/Qwen2.5-7B-Instruct
    base_url: http://127.0.0.1:8000/v1
    api_key_env: QWEN_KEY
    price: {input: 0.2, output: 1}
    engine: {reasoning_effort: low, top_k: 5}
    system: Be exact.
    calls: {timeout: 30}
  - name: gpt
    worker: litellm
    model: openai/gpt-4o-mini
    family: gpt
    strategy: direct
    sampling: {temperature: 0.7, stop: [end]}
  - name: engine
    worker: vllm
    model: Qwen/Qwen2.5-7B-Instruct
    adapter: some-hub/lora
    memory_gib: 15
    engine: {max_model_len: 512, gpu_memory_utilization: 0.85, enforce_eager: true, dtype: half}
    rule: strict
  - name: far
    worker: remote
    model: m
    base_url: ray://127.0.0.1:1
    roles: [tag, judge]
"""
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("file", "digest", "identities"),
    [
        (
            "roster.yaml",
            "75a48addb6a305ed4f0795701a6f6045",
            {
                "abacus": "8d510c5f7b61e5a36d1f9b440f8b6eb1",
                "ledger": "fc28c8903aa7141e72b1233b4c8b20b7",
                "labeller": "2ef6c41921a39a215319cf73309c37ac",
            },
        ),
        (
            "recorded.yaml",
            "997f9f500884fea267d8ac020c3021c9",
            {
                "abacus": "c4ad7ffc84f0c4a7472d4b59f55f0ce5",
                "ledger": "c09567da16b06fe0bc7d03473e0c5dd6",
                "apprentice": "c43f569efd2632fac411b033470f7b8b",
            },
        ),
        (
            "",
            "7feb7247975003e9e46faead001d35b6",
            {
                "served": "81ca134124c2f8ad4495f6ac0a117961",
                "gpt": "e9075a9ebc7965c438dd6a349d7875e7",
                "engine": "bf5686002b838a7893968ba7d0d25b4e",
                "far": "74433621f7aef4f471b1445e148740a2",
            },
        ),
    ],
)
def test_digests_are_those_of_every_release(
    file: str, digest: str, identities: dict[str, str]
) -> None:
    roster = Roster.load(EXAMPLES / file) if file else Roster.loads(HOSTED)
    assert roster.digest == digest
    assert {name: roster[name].identity for name in identities} == identities
    assert Roster(roster).digest == digest


def test_a_file_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = []

    def counted(*arguments: Any) -> Any:
        checks.append(arguments)
        return examine(*arguments)

    monkeypatch.setattr("orchestra.roster.roster.examine", counted)
    Roster.loads(FULL)
    assert len(checks) == 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from([field.name for field in fields(Expert)])


@settings(max_examples=60)
@given(st.dictionaries(FIELDS, VALUES), st.dictionaries(FIELDS, VALUES))
def test_any_values_are_a_roster_or_input_errors(
    defaults: dict[str, Any], own: dict[str, Any]
) -> None:
    data = {"schema": 1, "defaults": defaults, "experts": [{**GOOD, **own}]}
    text = json.dumps(data).replace("NaN", ".nan").replace("Infinity", ".inf")
    with contextlib.suppress(OrchestraError):
        assert len(Roster.loads(text).digest) == 32
