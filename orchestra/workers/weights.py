"""The tensors of a checkpoint as numpy arrays, with a LoRA merged into them where there is one.

Knows the safetensors format and the files of a PEFT adapter; knows no network and no engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from orchestra.errors import InputError
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
