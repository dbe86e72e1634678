"""Drafts whose texts are alike or not as a test says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestra.skills.embedders import Rows
from orchestra.synthesis import Draft


class Degrees:
    """Embeds a text by the number it ends in: a direction of the plane, in degrees."""

    name = "degrees"

    def embed(self, texts: Sequence[str]) -> Rows:
        radians = np.radians([float(text.split()[-1]) for text in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def spoken(said: str) -> tuple[Draft, ...]:
    """Drafts of `a`, `b`, ... from `A@10 B@90 -@12`: a value (or none) and a direction each."""
    drafts = []
    for name, each in zip("abcdefghijkl", said.split(), strict=False):
        value, _, degrees = each.partition("@")
        text = f"{name} says {value} {degrees}" if degrees else ""
        drafts.append(Draft.written(name, text, None if value == "-" else value))
    return tuple(drafts)
