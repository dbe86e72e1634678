"""The stage `synthesise`: how a model puts drafts together, if one does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from orchestra.components import component, find
from orchestra.errors import InputError
from orchestra.synthesis import SUBSETS


@component("synthesise", "moa", argument="aggregator", fixed={"kind": "moa"})
@component(
    "synthesise",
    "none",
    fixed={"kind": "none"},
    unused=(
        "aggregator",
        "layers",
        "defence",
        "gate",
        "subsets",
        "embedder",
        "oblivious",
        "decide",
    ),
)
@dataclass(frozen=True, slots=True)
class Synthesise:
    """How drafts are put together by a model, if they are."""

    kind: str = "none"
    """`none`, or `moa`: a Mixture-of-Agents (Wang et al. 2024, arXiv:2406.04692)."""
    aggregator: str = ""
    """The expert that is shown the drafts; it has the role `synthesise`."""
    layers: int = 1
    """How often drafts are shown, at least 1: the last time to the aggregator, and each time
    before to everybody who drafted, who draft again. 2 is the paper's 3-3-1."""
    defence: str = field(default="none", metadata={"names": "defence"})
    """What the aggregator sees of the last drafts, and what becomes of its replies."""
    gate: bool = True
    """Whether drafts that hardly differ stay in one cluster; false: as published."""
    subsets: int = SUBSETS
    """Most subsets that dropout consults the aggregator on, at least 1."""
    embedder: str = "lexical"
    """What compares texts: `lexical`, or a sentence-transformers name or folder."""
    oblivious: bool = False
    """Whether nobody is warned that drafts may be biased or wrong."""
    decide: Literal["aggregator", "guarded"] = "aggregator"
    """Whose answer counts. `guarded`: where answers can be counted, the ballot's."""

    def __post_init__(self) -> None:
        find("defence", self.defence)
        if self.layers < 1 or self.subsets < 1:
            raise InputError("`layers` and `subsets` are at least 1")

    def check(self, *, place: str = "") -> None:
        """Raise InputError where the aggregator is not named."""
        if self.kind == "moa" and not self.aggregator:
            raise InputError(
                "`moa` needs an aggregator",
                place=place,
                hint="`synthesise: {moa: NAME}`, an expert with the role `synthesise`",
            )
