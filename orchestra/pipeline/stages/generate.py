"""The stage `generate`: how drafts are made and read."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestra.components import component, find
from orchestra.errors import InputError


@component("generate", "draft", argument="calls")
@dataclass(frozen=True, slots=True)
class Generate:
    """How drafts are made and read."""

    calls: int = 5
    """Most calls for one question, reserves included; at least 1."""
    next_if_absent: bool = False
    """Ask the next reserve where a seat gives no readable answer."""
    fallback: bool = False
    """Ask the next reserve in place of a call that failed, which then is no call of `calls`."""
    read: str = field(default="stated", metadata={"names": "read"})
    """The answer cascade: `stated`, `lenient`, `official` or `strict`."""
    tolerance: float = field(default=0.1, metadata={"identity": False})
    """Share of calls that may fail before the run counts as failed, in [0, 1]. It decides nothing,
    so it is no part of what tells pipelines apart."""

    def __post_init__(self) -> None:
        find("read", self.read)
        if self.calls < 1 or not 0 <= self.tolerance <= 1:
            raise InputError("`calls` is at least 1 and `tolerance` is in [0, 1]")
