"""A Hugging Face checkpoint of the Llama family as a model folder of CTranslate2.

Knows what a config says, which tensor goes where and where converted models are kept; needs
neither torch nor transformers. Knows no text, no prompt and no token.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from orchestra.errors import InputError, unknown
from orchestra.workers.checkpoints import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    read_json,
    weight_files,
)

Tensor = NDArray[Any]

_DTYPES = {"F16": "<f2", "F32": "<f4", "BF16": "<u2"}
_LORA = ("lora_A.weight", "lora_B.weight")


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint: 16 or 32 bits as they are, brain floats as 32 bits."""
    found: dict[str, Tensor] = {}
    for name in weight_files(folder):
        found |= read_safetensors(folder / name)
    return found


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of one file.

    Raises:
        InputError: the file is broken, ends early or holds other than floating-point numbers.
    """
    try:
        return dict(_tensors(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"not a whole safetensors file: {error}",
            place=str(path),
            hint="the file is broken or incomplete: fetch it again",
        ) from error


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError("it ends inside its header")
        header = orjson.loads(file.read(size))
    raw = np.memmap(path, dtype=np.uint8, mode="r", offset=8 + size)
    for name, told in header.items():
        if name == "__metadata__":
            continue
        begin, end = told["data_offsets"]
        if told["dtype"] not in _DTYPES:
            raise ValueError(f"`{name}` holds {told['dtype']}, not {', '.join(_DTYPES)}")
        if end > len(raw):
            raise ValueError(f"it ends inside `{name}`")
        values = raw[begin:end].view(_DTYPES[told["dtype"]]).reshape(told["shape"])
        yield name, _unbrained(values) if told["dtype"] == "BF16" else np.asarray(values)


def _unbrained(values: Tensor) -> Tensor:
    """Brain floats are the upper halves of 32-bit floats."""
    return (values.astype(np.uint32) << 16).view(np.float32)


def merge(tensors: dict[str, Tensor], adapter: Path) -> None:
    """Add a LoRA's low-rank update to the weights it was trained for: W + alpha / r * B A.

    Raises:
        InputError: it is not a plain LoRA, or belongs to another model.
    """
    place = str(adapter / ADAPTER_CONFIG)
    config = read_json(adapter / ADAPTER_CONFIG)
    _plain_lora(config, place)
    rank, alpha = int(config["r"]), float(config["lora_alpha"])
    scale = alpha / (rank**0.5 if config.get("use_rslora") else rank)
    updates = read_safetensors(adapter / ADAPTER_WEIGHTS)
    for name, first in updates.items():
        if name.endswith(_LORA[1]):
            continue
        stem = name.removesuffix(_LORA[0])
        target = stem.removeprefix("base_model.model.") + "weight"
        second = updates.get(stem + _LORA[1])
        if not name.endswith(_LORA[0]) or second is None:
            raise InputError(f"not a pair of low-rank matrices: {name!r}", place=str(adapter))
        whole = tensors.get(target)
        if whole is None or whole.shape != (second.shape[0], first.shape[1]):
            raise InputError(
                f"{name!r} does not fit the checkpoint",
                place=str(adapter),
                hint="an adapter goes with the model that it was trained on",
            )
        update = second.astype(np.float32) @ first.astype(np.float32)
        tensors[target] = whole.astype(np.float32) + np.float32(scale) * update


def _plain_lora(config: Mapping[str, Any], place: str) -> None:
    if config.get("peft_type") != "LORA":
        raise InputError(f"not a LoRA: {config.get('peft_type')!r}", place=place)
    odd = [
        key
        for key in (
            "use_dora",
            "fan_in_fan_out",
            "rank_pattern",
            "alpha_pattern",
            "modules_to_save",
        )
        if config.get(key)
    ]
    if odd or config.get("bias", "none") != "none":
        raise InputError(
            f"a LoRA with `{odd[0] if odd else 'bias'}` cannot be merged",
            place=place,
            hint="`worker: local` merges plain low-rank updates of linear layers",
        )
    for key in ("r", "lora_alpha"):
        if not isinstance(config.get(key), int | float) or config[key] <= 0:
            raise InputError(f"`{key}` must be more than 0: {config.get(key)!r}", place=place)


FORMAT = 1
"""Raised whenever what is written changes, so that no old conversion is taken for a new one."""

ARCHITECTURES = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
)
"""What can be converted."""

_ROPES = {
    "default": (),
    "linear": ("factor",),
    "llama3": (
        "factor",
        "low_freq_factor",
        "high_freq_factor",
        "original_max_position_embeddings",
    ),
}


@dataclass(frozen=True, slots=True)
class Network:
    """What a config says about the network."""

    layers: int
    heads: int
    key_heads: int
    """Heads of keys and values."""
    head: int
    """Width of one head."""
    wide: int
    """Width of a layer's output."""
    vocabulary: int
    window: int
    """Most tokens of prompt and answer together."""
    epsilon: float
    tied: bool
    """The output layer is the embedding."""
    normed: bool
    """Queries and keys are normalised for each head."""
    rope_type: str
    """How rotary positions are scaled, a key of `_ROPES`."""
    rope: Mapping[str, float]
    """Rotary positions: `rope_theta` and what the type needs."""

    @classmethod
    def read(cls, folder: Path) -> Network:
        """The network of a checkpoint folder. Raises InputError if it cannot be converted."""
        place = folder / "config.json"
        config = read_json(place)
        _supported(config, str(place))
        try:
            return cls._of(config)
        except KeyError as error:
            raise InputError(f"no {error.args[0]!r}", place=str(place)) from error
        except (TypeError, ValueError, ZeroDivisionError) as error:
            raise InputError(f"not a network: {error}", place=str(place)) from error

    @classmethod
    def _of(cls, config: Mapping[str, Any]) -> Network:
        heads = _number(config, "num_attention_heads", 4096)
        window = _number(config, "max_position_embeddings", 1 << 30)
        wide = _number(config, "hidden_size", 1 << 20)
        sliding = config.get("sliding_window")
        if sliding and config.get("use_sliding_window", True):
            window = min(
                window, _number(config, "sliding_window", 1 << 30)
            )  # up to here, both kinds of attention are the same
        given = config.get("rope_parameters") or config.get("rope_scaling") or {}
        rope = {key: _positive(given, key) for key in _ROPES[_rope_type(given)]}
        rope["rope_theta"] = _positive({"rope_theta": 10_000.0, **config, **given}, "rope_theta")
        key_heads = _number(
            {"num_key_value_heads": heads} | _given(config), "num_key_value_heads", heads
        )
        if heads % key_heads:
            raise ValueError(f"{heads} heads are no multiple of {key_heads} heads of keys")
        return cls(
            layers=_number(config, "num_hidden_layers", 1000),
            heads=heads,
            key_heads=key_heads,
            head=_number({"head_dim": wide // heads} | _given(config), "head_dim", wide),
            wide=wide,
            vocabulary=_number(config, "vocab_size", 10_000_000),
            window=window,
            epsilon=_positive(config, "rms_norm_eps"),
            tied=bool(config.get("tie_word_embeddings", False)),
            normed=config["architectures"][0] == "Qwen3ForCausalLM",
            rope_type=_rope_type(given),
            rope=rope,
        )


def _given(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without what it leaves open."""
    return {key: value for key, value in config.items() if value is not None}


def _number(config: Mapping[str, Any], key: str, most: int) -> int:
    """A whole number from 1 to `most`. Raises KeyError and ValueError."""
    value = _given(config)[key]
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value % 1 == 0
    if not whole or not 1 <= value <= most:
        raise ValueError(f"`{key}` must be a whole number from 1 to {most}: {value!r}")
    return int(value)


def _positive(config: Mapping[str, Any], key: str) -> float:
    """A number above 0. Raises KeyError, TypeError and ValueError."""
    value = float(config[key])
    if not 0 < value < float("inf"):
        raise ValueError(f"`{key}` must be a number above 0: {config[key]!r}")
    return value


def convert(folder: Path, target: Path, *, adapter: Path | None = None) -> None:
    """Write the checkpoint, with the adapter merged into it, into the folder `target`.

    Raises:
        InputError: the checkpoint is not of the Llama family, or its files are broken.
    """
    network = Network.read(folder)
    tensors = read_weights(folder)
    if adapter is not None:
        merge(tensors, adapter)
    _check_tensors(network, tensors, folder)
    try:
        spec = _spec(network, tensors)
        spec.validate()
    except ValueError as error:
        raise InputError(
            f"the weights do not fit `config.json`: {error}", place=str(folder)
        ) from error
    spec.optimize()
    spec.save(str(target))


def cached(folder: Path, digest: str, root: Path, *, adapter: Path | None = None) -> Path | None:
    """The folder under `root` with the converted checkpoint; None where nothing can be written.

    Written aside and moved into place, so that a folder that is there is whole, whoever else
    converts the same checkpoint at the same time. `digest` is that of all files.
    """
    place = root / f"{digest}-{FORMAT}"
    if (place / "model.bin").is_file():
        return place
    try:
        root.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f"{digest}-", dir=root))
    except OSError:
        return None
    try:
        convert(folder, aside, adapter=adapter)
        os.rename(aside, place)
    except OSError:  # another process was first, or the disk is full
        return place if (place / "model.bin").is_file() else None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return place


def cache_root() -> Path:
    """Where converted checkpoints are kept: `$XDG_CACHE_HOME`, or `.cache` in the home folder."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path("~/.cache").expanduser()
    return base / "orchestra" / "converted"


def _supported(config: Mapping[str, Any], place: str) -> None:
    named = config.get("architectures")
    kind = str(named[0]) if isinstance(named, list) and named else ""
    if kind not in ARCHITECTURES:
        raise unknown("architecture", kind, ARCHITECTURES, place=place)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    wanted = {
        "hidden_act": (config.get("hidden_act", "silu"), ("silu",)),
        "quantization_config": (config.get("quantization_config"), (None,)),
        "rope_type": (_rope_type(rope), tuple(_ROPES)),
    }
    for key, (given, allowed) in wanted.items():
        if given not in allowed:
            names = ", ".join(str(each) for each in allowed)
            hint = f"`worker: local` runs {names if names != 'None' else 'plain weights'} only"
            raise InputError(f"`{key}` is not supported: {given!r}", place=place, hint=hint)


def _rope_type(rope: object) -> str:
    if not isinstance(rope, Mapping):
        return repr(rope)
    return str(rope.get("rope_type") or rope.get("type") or "default")


def _check_tensors(network: Network, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Raise for tensors that are missing or do not fit: the engine would end the process."""
    hint = "the weights do not belong to this `config.json`, or are incomplete"
    shapes = dict(_shapes(network))
    missing = [name for name in shapes if name not in tensors]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InputError(
            f"no tensor {', '.join(f'`{name}`' for name in missing[:3])}{more}",
            place=str(folder),
            hint=hint,
        )
    inner = tensors["model.layers.0.mlp.up_proj.weight"].shape[0]
    for name, shape in shapes.items():
        wanted = tuple(inner if size is None else size for size in shape)
        if tensors[name].shape != wanted:
            raise InputError(
                f"the tensor `{name}` has the shape {tensors[name].shape}, and `config.json` "
                f"makes it {wanted}",
                place=str(folder),
                hint=hint,
            )
        bias = tensors.get(name.removesuffix("weight") + "bias")
        if bias is not None and bias.shape != wanted[:1]:
            raise InputError(f"the bias of `{name}` does not fit it", place=str(folder), hint=hint)


def _shapes(network: Network) -> Iterator[tuple[str, tuple[int | None, ...]]]:
    """Name and shape of every tensor; None is the width within the feed-forward network."""
    wide, vocabulary = network.wide, network.vocabulary
    queries, keys = network.heads * network.head, network.key_heads * network.head
    yield "model.embed_tokens.weight", (vocabulary, wide)
    yield "model.norm.weight", (wide,)
    if not network.tied:
        yield "lm_head.weight", (vocabulary, wide)
    parts: dict[str, tuple[int | None, ...]] = {
        "input_layernorm": (wide,),
        "post_attention_layernorm": (wide,),
        "self_attn.q_proj": (queries, wide),
        "self_attn.k_proj": (keys, wide),
        "self_attn.v_proj": (keys, wide),
        "self_attn.o_proj": (wide, queries),
        "mlp.gate_proj": (None, wide),
        "mlp.up_proj": (None, wide),
        "mlp.down_proj": (wide, None),
    }
    if network.normed:
        parts |= {f"self_attn.{name}_norm": (network.head,) for name in "qk"}
    for number in range(network.layers):
        yield from ((f"model.layers.{number}.{part}.weight", parts[part]) for part in parts)


def _spec(network: Network, tensors: Mapping[str, Tensor]) -> Any:
    specs = import_module("ctranslate2.specs")
    scaling = import_module("ctranslate2.specs.attention_spec").RotaryScalingType
    spec = specs.TransformerDecoderModelSpec.from_config(
        network.layers,
        network.heads,
        pre_norm=True,
        activation=specs.Activation.SWISH,
        ffn_glu=True,
        rms_norm=True,
        rotary_dim=network.head,
        rotary_interleave=False,
        rotary_scaling_type={"linear": scaling.Linear, "llama3": scaling.Llama3}.get(
            network.rope_type
        ),
        rotary_scaling_factor=network.rope.get("factor", 1.0),
        rotary_base=network.rope["rope_theta"],
        original_max_position_embeddings=int(
            network.rope.get("original_max_position_embeddings", 0)
        ),
        num_heads_kv=None if network.key_heads == network.heads else network.key_heads,
        head_dim=network.head,
        qk_norm=network.normed,
    )
    names = [str(number) for number in range(network.vocabulary)]
    spec.register_vocabulary(names)  # tokens go by their ids: the tokenizer is another's business
    spec.config.bos_token = spec.config.eos_token = spec.config.unk_token = names[0]
    spec.config.layer_norm_epsilon = network.epsilon
    decoder = spec.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = tensors["model.embed_tokens.weight"]
    decoder.layer_norm.gamma = tensors["model.norm.weight"]
    head = "model.embed_tokens.weight" if network.tied else "lm_head.weight"
    decoder.projection.weight = tensors[head]
    for number, layer in enumerate(decoder.layer):
        part = f"model.layers.{number}."
        own = {
            name.removeprefix(part): each for name, each in tensors.items() if name.startswith(part)
        }
        _fill(layer, own, network)
        if network.rope_type == "llama3":
            _scale(layer.self_attention, network.rope)
    return spec


def _scale(attention: Any, rope: Mapping[str, float]) -> None:
    attention.rotary_low_freq_factor = rope["low_freq_factor"]
    attention.rotary_high_freq_factor = rope["high_freq_factor"]
    # The engine reads the factor with every kind of scaling; its class offers it for one only.
    vars(attention)["rotary_scaling_factor"] = np.float32(rope["factor"])


def _fill(layer: Any, own: Mapping[str, Tensor], network: Network) -> None:
    attention, inner = layer.self_attention, layer.ffn
    attention.layer_norm.gamma = own["input_layernorm.weight"]
    inner.layer_norm.gamma = own["post_attention_layernorm.weight"]
    if network.normed:
        attention.q_norm.gamma = own["self_attn.q_norm.weight"]
        attention.k_norm.gamma = own["self_attn.k_norm.weight"]
    together = [f"self_attn.{name}_proj" for name in "qkv"]
    _linear(attention.linear[0], own, *together)
    _linear(attention.linear[1], own, "self_attn.o_proj")
    _linear(inner.linear_0, own, "mlp.gate_proj")
    _linear(inner.linear_0_noact, own, "mlp.up_proj")
    _linear(inner.linear_1, own, "mlp.down_proj")


def _linear(linear: Any, own: Mapping[str, Tensor], *names: str) -> None:
    linear.weight = np.concatenate([own[f"{name}.weight"] for name in names])
    if any(f"{name}.bias" in own for name in names):
        kind = linear.weight.dtype
        blank = [np.zeros(len(own[f"{name}.weight"]), kind) for name in names]
        biases = zip(names, blank, strict=True)
        linear.bias = np.concatenate([own.get(f"{name}.bias", none) for name, none in biases])
