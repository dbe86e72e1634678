"""Checkpoints as models of CTranslate2: right numbers, right errors, safe to share."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestra.errors import InputError
from orchestra.workers.local import convert as convert_module
from orchestra.workers.local.convert import (
    Network,
    Tensor,
    cache_root,
    cached,
    convert,
    merge,
    read_safetensors,
    read_weights,
)
from training.checkpoint import encode, safetensors

Make = Callable[..., Path]
ENGINE: Any = import_module("ctranslate2")

IDS = [encode("what is 2 + 2?"), encode("sort: zebra")]


def logits(folder: Path, to: Path, adapter: Path | None = None) -> Tensor:
    to.mkdir()
    convert(folder, to, adapter=adapter)
    generator = ENGINE.Generator(str(to), compute_type="float32", intra_threads=1)
    width = min(map(len, IDS))
    found: Tensor = np.array(generator.forward_batch([each[:width] for each in IDS]))
    return found


def by_hand(folder: Path) -> Tensor:
    """The same network in plain numpy, written from its definition."""
    config, of = json.loads((folder / "config.json").read_text()), read_weights(folder)
    heads, width = config["num_attention_heads"], min(map(len, IDS))
    head = config["hidden_size"] // heads
    angles = np.outer(np.arange(width), 10_000.0 ** (-np.arange(0, head, 2) / head))
    cos, sin = np.cos(np.hstack([angles, angles])), np.sin(np.hstack([angles, angles]))

    def norm(x: Tensor, name: str) -> Tensor:
        whole: Tensor = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
        return np.multiply(whole, of[f"model.{name}.weight"])

    def rotated(x: Tensor) -> Tensor:
        x = x.reshape(width, heads, head).transpose(1, 0, 2)
        turned: Tensor = x * cos
        turned += np.concatenate([-x[..., head // 2 :], x[..., : head // 2]], -1) * sin
        return turned

    def one(ids: list[int]) -> Tensor:
        x = of["model.embed_tokens.weight"][ids[:width]].astype(np.float64)
        for number in range(config["num_hidden_layers"]):
            at = f"layers.{number}"
            own = {key[len(f"model.{at}.") : -7]: w.T for key, w in of.items() if f".{at}." in key}
            y = norm(x, f"{at}.input_layernorm")
            q, k = rotated(y @ own["self_attn.q_proj"]), rotated(y @ own["self_attn.k_proj"])
            v = (y @ own["self_attn.v_proj"]).reshape(width, heads, head).transpose(1, 0, 2)
            scores = q @ k.transpose(0, 2, 1) / np.sqrt(head) + np.triu(
                np.full((width,) * 2, -1e9), 1
            )
            share = np.exp(scores - scores.max(-1, keepdims=True))
            share /= share.sum(-1, keepdims=True)
            x = x + (share @ v).transpose(1, 0, 2).reshape(width, -1) @ own["self_attn.o_proj"]
            y = norm(x, f"{at}.post_attention_layernorm")
            gate = y @ own["mlp.gate_proj"]
            x = x + (gate / (1 + np.exp(-gate)) * (y @ own["mlp.up_proj"])) @ own["mlp.down_proj"]
        return norm(x, "norm") @ of["model.embed_tokens.weight"].T

    return np.stack([one(ids) for ids in IDS])


def changed(folder: Path, to: Path, **changes: Any) -> Path:
    """A copy with another config; None takes a key out."""
    copied = shutil.copytree(folder, to)
    config = json.loads((folder / "config.json").read_text()) | changes
    kept = {key: each for key, each in config.items() if each is not None}
    (copied / "config.json").write_text(json.dumps(kept))
    return copied


def write_adapter(folder: Path, tensors: dict[str, Tensor], **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    plain = {"peft_type": "LORA", "r": 2, "lora_alpha": 6}
    (folder / "adapter_config.json").write_text(json.dumps(plain | config))
    halves = {name: each.astype("<f2") for name, each in tensors.items()}
    (folder / "adapter_model.safetensors").write_bytes(safetensors(halves))
    return folder


def lora(of: str = "layers.1.self_attn.q_proj", width: int = 32) -> dict[str, Tensor]:
    draw, stem = np.random.default_rng(5), f"base_model.model.model.{of}."
    return {
        stem + "lora_A.weight": draw.normal(0, 0.5, (2, width)),
        stem + "lora_B.weight": draw.normal(0, 0.5, (width, 2)),
    }


@pytest.mark.parametrize("shape", [{}, {"heads": 4, "layers": 1}, {"width": 64, "inner": 160}])
def test_the_numbers_are_those_of_the_definition(
    shape: dict[str, int], make: Make, tmp_path: Path
) -> None:
    folder = make(3, **shape)
    np.testing.assert_allclose(logits(folder, tmp_path / "c"), by_hand(folder), atol=2e-4)


def test_halves_wholes_and_brain_floats(babbler: Path, tmp_path: Path) -> None:
    halves = read_weights(babbler)
    assert {each.dtype for each in halves.values()} == {np.dtype("<f2")}
    for kind, size in (("F32", 4), ("BF16", 2)):
        whole = {name: np.ascontiguousarray(each, "<f4") for name, each in halves.items()}
        raw = {n: each.view("<u4") >> (0 if size == 4 else 16) for n, each in whole.items()}
        raw = {name: each.astype(f"<u{size}") for name, each in raw.items()}
        path = tmp_path / f"{kind}.safetensors"
        path.write_bytes(written(raw, kind))
        for name, each in read_safetensors(path).items():
            wanted = whole[name] if size == 4 else (raw[name].astype("<u4") << 16).view("<f4")
            np.testing.assert_array_equal(each, wanted)


def written(tensors: dict[str, Tensor], kind: str) -> bytes:
    """The tensors under another name of their type."""
    whole = safetensors(tensors)
    size = int.from_bytes(whole[:8], "little")
    header = whole[8 : 8 + size].replace(b'"F16"', f'"{kind}"'.encode())
    return len(header).to_bytes(8, "little") + header + whole[8 + size :]


def test_weights_in_several_files(babbler: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    tensors = read_weights(babbler)
    names = sorted(tensors)
    parts = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for file, own in parts.items():
        (folder / file).write_bytes(safetensors({name: tensors[name] for name in own}))
    where = {name: file for file, own in parts.items() for name in own}
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    np.testing.assert_array_equal(
        logits(folder, tmp_path / "one"), logits(babbler, tmp_path / "other")
    )


@pytest.mark.parametrize("rslora", [False, True])
def test_an_adapter_is_added_to_the_weights(rslora: bool, babbler: Path, tmp_path: Path) -> None:
    update = lora()
    adapter = write_adapter(tmp_path / "lora", update, use_rslora=rslora)
    merged = read_weights(babbler)
    merge(merged, adapter)
    first, second = (each.astype("<f2").astype(np.float32) for each in update.values())
    name = "model.layers.1.self_attn.q_proj.weight"
    wanted = read_weights(babbler)[name] + 6 / (2**0.5 if rslora else 2) * (second @ first)
    np.testing.assert_allclose(merged[name], wanted, rtol=1e-5, atol=1e-6)
    whole = logits(babbler, tmp_path / "with", adapter)
    assert np.abs(whole - logits(babbler, tmp_path / "without")).max() > 0.1


@pytest.mark.parametrize(
    ("tensors", "config", "said"),
    [
        (lora("layers.9.self_attn.q_proj"), {}, "does not fit the checkpoint"),
        (lora(width=16), {}, "does not fit the checkpoint"),
        ({"base_model.model.lora_A.weight": np.ones((2, 2))}, {}, "not a pair"),
        (lora(), {"peft_type": "IA3"}, "not a LoRA: 'IA3'"),
        (lora(), {"use_dora": True}, "`use_dora` cannot be merged"),
        (lora(), {"bias": "all"}, "`bias` cannot be merged"),
        (lora(), {"r": 0}, "`r` must be more than 0: 0"),
    ],
)
def test_an_adapter_that_does_not_fit(
    tensors: dict[str, Tensor], config: dict[str, Any], said: str, babbler: Path, tmp_path: Path
) -> None:
    adapter = write_adapter(tmp_path, tensors, **config)
    with pytest.raises(InputError, match=said) as caught:
        merge(read_weights(babbler), adapter)
    assert str(tmp_path) in caught.value.place


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "unknown architecture: 'GPT2LMHeadModel'"),
        ({"architectures": None}, "unknown architecture: ''"),
        ({"hidden_act": "gelu"}, "`hidden_act` is not supported: 'gelu'"),
        ({"quantization_config": {"bits": 4}}, "`quantization_config` is not supported"),
        ({"rope_scaling": {"type": "yarn", "factor": 2}}, "`rope_type` is not supported: 'yarn'"),
        ({"rope_scaling": {"type": "llama3"}}, "no 'factor'"),
        ({"rope_parameters": 3}, "`rope_type` is not supported: '3'"),
        ({"hidden_size": "wide", "head_dim": None}, "`hidden_size` must be a whole number from 1"),
        ({"num_attention_heads": None}, "no 'num_attention_heads'"),
        ({"num_attention_heads": 0}, "`num_attention_heads` must be a whole number from 1 to 4096"),
        ({"num_attention_heads": -1}, "`num_attention_heads` must be"),
        ({"num_attention_heads": 2.5}, "`num_attention_heads` must be"),
        ({"num_attention_heads": True}, "`num_attention_heads` must be"),
        ({"num_hidden_layers": 10**9}, "`num_hidden_layers` must be"),
        ({"num_hidden_layers": 0}, "`num_hidden_layers` must be"),
        ({"vocab_size": 2**62}, "`vocab_size` must be"),
        ({"num_key_value_heads": 3}, "must be a whole number|no multiple"),
        ({"head_dim": 10**12}, "`head_dim` must be"),
        ({"max_position_embeddings": 0}, "`max_position_embeddings` must be"),
        ({"rms_norm_eps": 0}, "`rms_norm_eps` must be a number above 0"),
        ({"rope_theta": -5, "rope_parameters": None}, "`rope_theta` must be a number above 0"),
    ],
)
def test_a_config_that_cannot_be_converted(
    changes: dict[str, Any], said: str, babbler: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        Network.read(changed(babbler, tmp_path / "copy", **changes))
    assert caught.value.place == str(tmp_path / "copy" / "config.json")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_hidden_layers": 3}, "no tensor `model.layers.2.* and 6 more"),
        ({"tie_word_embeddings": False}, "no tensor `lm_head.weight`"),
        ({"architectures": ["Qwen3ForCausalLM"]}, r"self_attn\.q_norm"),
        ({"num_attention_heads": 6, "head_dim": 16}, "has the shape"),
        ({"hidden_size": 64}, "has the shape"),
        ({"head_dim": 1}, "has the shape"),
        ({"vocab_size": 99}, r"embed_tokens.weight` has the shape \(104, 32\)"),
    ],
)
def test_weights_that_do_not_go_with_the_config(
    changes: dict[str, Any], said: str, babbler: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        logits(changed(babbler, tmp_path / "copy", **changes), tmp_path / "c")


@pytest.mark.parametrize("size", [0, 7, 200, -1])
def test_weights_that_end_early(size: int, babbler: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(babbler, tmp_path / "copy")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match="not a whole safetensors file") as caught:
        convert(folder, tmp_path)
    assert caught.value.place == str(path)


@pytest.mark.parametrize(
    ("changes", "window"),
    [
        ({}, 128),
        ({"sliding_window": 64}, 64),
        ({"sliding_window": 64, "use_sliding_window": False}, 128),
        ({"sliding_window": 4096}, 128),
    ],
)
def test_the_window(changes: dict[str, Any], window: int, babbler: Path, tmp_path: Path) -> None:
    assert Network.read(changed(babbler, tmp_path / "copy", **changes)).window == window


def test_what_is_cached_is_converted_once(
    babbler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Path] = []

    def counted(folder: Path, target: Path, *, adapter: Path | None = None) -> None:
        done.append(target)
        convert(folder, target, adapter=adapter)

    monkeypatch.setattr(convert_module, "convert", counted)
    places = {cached(babbler, "digest", tmp_path / "new" / "root") for _ in range(3)}
    [place] = places
    assert place is not None
    assert (place / "model.bin").is_file()
    assert len(done) == 1
    assert [each.name for each in place.parent.iterdir()] == [place.name], "nothing left beside it"


def test_two_may_convert_at_once(
    babbler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)

    def together(folder: Path, target: Path, *, adapter: Path | None = None) -> None:
        convert(folder, target, adapter=adapter)
        both.wait(timeout=60)

    monkeypatch.setattr(convert_module, "convert", together)
    found: list[Path | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(cached(babbler, "digest", tmp_path)))
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [tmp_path / f"digest-{convert_module.FORMAT}"] * 2
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_that_cannot_be_written_is_none(babbler: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert cached(babbler, "digest", tmp_path / "file" / "below") is None


def test_a_full_disk_leaves_nothing_half_written(
    babbler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, target: Path, *, adapter: Path | None = None) -> None:
        (target / "model.bin").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert_module, "convert", full)
    assert cached(babbler, "digest", tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "orchestra" / "converted"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "orchestra" / "converted"
