"""The files of a tiny checkpoint: what any Hugging Face loader of Llamas expects.

Knows the character vocabulary, the chat template, the config and the tensors' names; does
not know how weights come about, nor which engine will read them.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]
"""Tensor name -> values, under the names of a Hugging Face Llama without the `model.` prefix."""

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
_LETTERS = ("\n", *string.printable[:95])
VOCABULARY = (*SPECIAL, *_LETTERS)
"""Tokens in the order of their ids: each printable character of ASCII is one."""
_IDS = {token: number for number, token in enumerate(VOCABULARY)}
PAD, BEGIN, _, UNKNOWN, _SYSTEM, USER, ASSISTANT, END = range(len(SPECIAL))
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""The chat template, in Jinja."""
RANK, ALPHA = 8, 16
"""Of the adapters."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a network."""

    width: int = 64
    inner: int = 160
    layers: int = 3
    heads: int = 2
    window: int = 512
    """Most tokens of prompt and answer together."""
    vocabulary: int = len(VOCABULARY)
    theta: float = 10_000.0

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


def encode(text: str, *, chat: bool = True) -> list[int]:
    """Token ids of a text; with `chat`, of a user's turn up to where the answer begins."""
    ids = [_IDS.get(letter, UNKNOWN) for letter in text]
    return [USER, *ids, END, ASSISTANT] if chat else ids


def write_checkpoint(folder: Path, shape: Shape, weights: Weights) -> None:
    """Write config, tokenizer and weights (half precision) into a folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "config.json": _config(shape),
        "generation_config.json": {"eos_token_id": END, "pad_token_id": PAD},
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": _tokenizer_config(shape),
    }
    for name, content in files.items():
        (folder / name).write_bytes(
            orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        )
    named = {f"model.{name}": values.astype("<f2") for name, values in weights.items()}
    (folder / "model.safetensors").write_bytes(safetensors(named))


def write_adapter(folder: Path, weights: Weights) -> None:
    """Write a LoRA adapter as PEFT does, made of what `train_adapter` returns."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted({name.split(".")[-3] for name in weights}),
        "inference_mode": True,
    }
    told = orjson.dumps(config, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    (folder / "adapter_config.json").write_bytes(told)
    named = {f"base_model.model.model.{n}": v.astype("<f2") for n, v in weights.items()}
    (folder / "adapter_model.safetensors").write_bytes(safetensors(named))


def safetensors(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """Half-precision tensors in the safetensors format: header length, JSON header, values."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in sorted(tensors):
        begin, end = end, end + tensors[name].nbytes
        header[name] = {
            "dtype": "F16",
            "shape": list(tensors[name].shape),
            "data_offsets": [begin, end],
        }
    told = orjson.dumps(header)
    told += b" " * (-len(told) % 8)  # the values stay aligned
    return b"".join(
        (
            len(told).to_bytes(8, "little"),
            told,
            *(tensors[name].tobytes() for name in sorted(tensors)),
        )
    )


def _config(shape: Shape) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float16",
        "torch_dtype": "float16",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": shape.head,
        "max_position_embeddings": shape.window,
        "rope_theta": shape.theta,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": PAD,
    }


def _tokenizer() -> dict[str, Any]:
    """One token a character: byte-pair encoding without a single merge."""
    added = [
        {
            "id": number,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for number, token in enumerate(SPECIAL)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": VOCABULARY[UNKNOWN],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": _IDS,
            "merges": [],
        },
    }


def _tokenizer_config(shape: Shape) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": TEMPLATE,
        "bos_token": VOCABULARY[BEGIN],
        "eos_token": VOCABULARY[END],
        "pad_token": VOCABULARY[PAD],
        "unk_token": VOCABULARY[UNKNOWN],
        "clean_up_tokenization_spaces": False,
        "model_max_length": shape.window,
    }
