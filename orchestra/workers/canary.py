"""Whether an engine still is what it was when it was first loaded.

Knows the tokens that each checkpoint wrote, greedily, for one fixed prompt; does not know how
they were had. An engine that wakes with spoiled weights answers garbage without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PROMPT = "What is 12 + 34? Sort dcab. One two three four five"
"""What every checkpoint is asked; its own tokeniser turns it into tokens."""
TOKENS = 16
"""How many it writes."""


class Fingerprints:
    """What each checkpoint wrote at its first load. One object serves a whole run."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[int, ...]] = {}

    def agrees(self, engine: str, wrote: Mapping[str, Sequence[int]]) -> bool:
        """Whether an engine wrote what it wrote at first sight; if so, what is new is remembered.

        Args:
            engine: says which checkpoint, with which options.
            wrote: adapter (empty for none) -> token ids.
        """
        told = {(engine, adapter): tuple(tokens) for adapter, tokens in wrote.items()}
        if any(self._first.get(key, tokens) != tokens for key, tokens in told.items()):
            return False  # nothing that a spoiled engine wrote is worth remembering
        self._first.update(told)
        return True
