"""Trains the checkpoints that ship with the package, from nothing: `make experts`.

Knows the network (a Llama of three small layers), the optimiser and the loop; what is
taught stands in `lessons`, the files in `checkpoint`. Needs torch, which nothing else
of this room does. The same seed and torch build give the same weights on one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from training.checkpoint import ALPHA, END, PAD, RANK, Shape, Weights, encode

BATCH = 64
"""Examples in a step."""
_IGNORED = -100
_POOL = 4
_WARM_UP = 50
_MUON_RATE = 0.02
_ADAM_RATE = 4e-3


@dataclass(frozen=True, slots=True)
class Example:
    """What is asked, and what is to be written."""

    asked: str
    written: str


class _Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.rms_norm(x, self.weight.shape, self.weight, 1e-5)


class _Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, inner = shape.width, shape.inner
        self.heads = shape.heads
        self.input_layernorm, self.post_attention_layernorm = _Norm(width), _Norm(width)
        self.self_attn = nn.ModuleDict(
            {
                name: nn.Linear(width, width, bias=False)
                for name in ("q_proj", "k_proj", "v_proj", "o_proj")
            }
        )
        self.mlp = nn.ModuleDict(
            {
                "gate_proj": nn.Linear(width, inner, bias=False),
                "up_proj": nn.Linear(width, inner, bias=False),
                "down_proj": nn.Linear(inner, width, bias=False),
            }
        )

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        batch, length, width = x.shape
        normed, attention = self.input_layernorm(x), self.self_attn
        q, k, v = (
            attention[name](normed).view(batch, length, self.heads, -1).transpose(1, 2)
            for name in ("q_proj", "k_proj", "v_proj")
        )
        mixed = functional.scaled_dot_product_attention(
            _turned(q, cos, sin), _turned(k, cos, sin), v, is_causal=True
        )
        x = x + attention["o_proj"](mixed.transpose(1, 2).reshape(batch, length, width))
        normed = self.post_attention_layernorm(x)
        gate = functional.silu(self.mlp["gate_proj"](normed))
        return cast(Tensor, x + self.mlp["down_proj"](gate * self.mlp["up_proj"](normed)))


class Network(nn.Module):
    """A Llama with tied embeddings; its parameters have the names that checkpoints use."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.norm = _Norm(shape.width)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                last = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 if not last else 0.02 / (2 * shape.layers) ** 0.5)
        turns = shape.theta ** -(torch.arange(0, shape.head, 2) / shape.head)
        angles = torch.outer(torch.arange(shape.window), turns).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits of shape (batch, length, vocabulary)."""
        x, length = self.embed_tokens(ids), ids.shape[1]
        for layer in self.layers:
            x = layer(x, self.cos[:length], self.sin[:length])
        return functional.linear(self.norm(x), self.embed_tokens.weight)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021), halves paired as in Llama checkpoints."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def fresh(shape: Shape, seed: str) -> Network:
    """A network that has seen nothing; the seed decides its weights."""
    torch.manual_seed(Random(f"{seed}:weights").getrandbits(63))
    return Network(shape)


def train(
    network: Network,
    examples: Callable[[Random], Example],
    *,
    steps: int,
    seed: str,
    told: Callable[[int, float], None] = lambda step, loss: None,
) -> Weights:
    """Show a network `steps` batches, and return its weights.

    Args:
        network: trained in place, on one thread, so that sums come out the same.
        examples: draws an example.
        steps: optimiser steps.
        seed: decides every example.
        told: given (step, loss) now and then.
    """
    torch.set_num_threads(1)
    hidden = [w for n, w in network.named_parameters() if w.dim() == 2 and "layers" in n]
    others = [w for n, w in network.named_parameters() if w.dim() == 1 or "layers" not in n]
    optimisers: list[torch.optim.Optimizer] = [
        Muon(hidden, lr=_MUON_RATE),
        torch.optim.AdamW(others, lr=_ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    _learn(network, optimisers, _batches(examples, Random(f"{seed}:examples"), steps), steps, told)
    return {name: weight.detach().numpy() for name, weight in network.named_parameters()}


def train_adapter(
    network: Network, examples: Callable[[Random], Example], *, steps: int, seed: str
) -> Weights:
    """Low-rank updates of every projection of a network that stays as it is (Hu et al. 2021).

    Returns `A` and `B` of each, under `<layer>.lora_A.weight` and `<layer>.lora_B.weight`;
    the update is `B @ A`, times `ALPHA / RANK`.
    """
    torch.set_num_threads(1)
    torch.manual_seed(Random(f"{seed}:adapter").getrandbits(63))
    network.requires_grad_(False)
    linear = {n: m for n, m in network.named_modules() if isinstance(m, nn.Linear)}
    low = {name: _LowRank(module) for name, module in linear.items()}
    for name, module in linear.items():
        parametrize.register_parametrization(module, "weight", low[name])
    weights = [weight for each in low.values() for weight in each.parameters()]
    optimisers = [torch.optim.AdamW(weights, lr=_ADAM_RATE, weight_decay=0.0)]
    batches = _batches(examples, Random(f"{seed}:examples"), steps)
    _learn(network, optimisers, batches, steps, lambda step, loss: None)
    return {
        f"{name}.{part}.weight": weight.detach().numpy()
        for name, each in low.items()
        for part, weight in (("lora_A", each.a), ("lora_B", each.b))
    }


class _LowRank(nn.Module):
    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(RANK, linear.in_features) / linear.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(linear.out_features, RANK))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + ALPHA / RANK * self.b @ self.a


def _learn(
    network: Network,
    optimisers: Sequence[torch.optim.Optimizer],
    batches: Iterator[tuple[Tensor, Tensor]],
    steps: int,
    told: Callable[[int, float], None],
) -> None:
    plans = [
        torch.optim.lr_scheduler.LambdaLR(each, lambda step: _rate(step, steps))
        for each in optimisers
    ]
    for step, (ids, targets) in enumerate(batches):
        logits = network(ids)
        wanted = targets != _IGNORED
        loss = functional.cross_entropy(logits[wanted], targets[wanted])
        for each in optimisers:
            each.zero_grad()
        loss.backward()
        for each in optimisers:
            each.step()
        for plan in plans:
            plan.step()
        if step % 50 == 0:
            told(step, loss.item())


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal (Jordan et al. 2024), matrices of a shape at once.

    torch has it too, but works in bfloat16 one matrix at a time: a third of a step's time here.
    """

    def __init__(self, weights: list[nn.Parameter], *, lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Move every weight along its orthogonal update."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for weight in group["params"]:
                by_shape.setdefault(weight.shape, []).append(weight)
            for shape, weights in by_shape.items():
                updates = []
                for weight in weights:
                    assert weight.grad is not None
                    kept = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                    kept.lerp_(weight.grad, 1 - group["momentum"])
                    updates.append(weight.grad.lerp(kept, group["momentum"]))
                turned = _orthogonal(torch.stack(updates))
                scale = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
                for weight, update in zip(weights, turned, strict=True):
                    weight.sub_(update, alpha=scale)


def _orthogonal(matrices: Tensor) -> Tensor:
    """Singular values brought near 1 by five Newton-Schulz steps, coefficients as in the paper."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.mT if tall else x


def _rate(step: int, steps: int) -> float:
    """A short rise, a plateau, and a fall to nothing over the last two fifths."""
    return min(1.0, (step + 1) / _WARM_UP, 2.5 * (steps - step) / steps)


def _batches(
    examples: Callable[[Random], Example], draw: Random, steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Token ids and what follows each; only what is to be written is a target."""
    rows: list[tuple[list[int], int]] = []
    for _ in range(steps):
        if not rows:  # batches of about one length waste little on padding
            rows = sorted((_row(examples(draw)) for _ in range(_POOL * BATCH)), key=_length)
            rows = [row for batch in _shuffled(rows, draw) for row in batch]
        rows, batch = rows[BATCH:], rows[:BATCH]
        longest = max(len(ids) for ids, _ in batch) - 1
        ids = np.full((BATCH, longest), PAD)
        targets = np.full((BATCH, longest), _IGNORED)
        for i, (row, begin) in enumerate(batch):
            ids[i, : len(row) - 1] = row[:-1]
            targets[i, begin - 1 : len(row) - 1] = row[begin:]
        yield torch.from_numpy(ids), torch.from_numpy(targets)


def _length(row: tuple[list[int], int]) -> int:
    return len(row[0])


def _shuffled(rows: list[tuple[list[int], int]], draw: Random) -> list[list[tuple[list[int], int]]]:
    """Rows cut into batches, in any order."""
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    draw.shuffle(batches)
    return batches


def _row(example: Example) -> tuple[list[int], int]:
    """All token ids, and where the answer begins."""
    asked = encode(example.asked)
    return [*asked, *encode(example.written, chat=False), END], len(asked)
