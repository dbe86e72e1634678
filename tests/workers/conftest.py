"""Checkpoints with random weights, small enough to be made for a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.checkpoint import Shape, write_checkpoint

Make = Callable[..., Path]


def _weights(shape: Shape, seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return draw.normal(0, 0.3, (rows, columns)).astype(np.float32)

    found = {"embed_tokens.weight": matrix(shape.vocabulary, shape.width)}
    found["norm.weight"] = np.ones(shape.width, np.float32)
    width, inner = shape.width, shape.inner
    for layer in range(shape.layers):
        at = f"layers.{layer}."
        found |= {at + f"self_attn.{name}_proj.weight": matrix(width, width) for name in "qkvo"}
        found |= {at + f"mlp.{name}_proj.weight": matrix(inner, width) for name in ("gate", "up")}
        found[at + "mlp.down_proj.weight"] = matrix(width, inner)
        for name in ("input_layernorm", "post_attention_layernorm"):
            found[at + name + ".weight"] = np.ones(width, np.float32)
    return found


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Writes a checkpoint of random weights into a new folder."""

    def write(seed: int = 0, **shape: int) -> Path:
        folder = tmp_path_factory.mktemp("checkpoint")
        size = Shape(**{"width": 32, "inner": 48, "layers": 2, "window": 128, **shape})
        write_checkpoint(folder, size, _weights(size, seed))
        return folder

    return write


@pytest.fixture(scope="session")
def babbler(make: Make) -> Path:
    """One such checkpoint, which tests leave as it is."""
    return make()
