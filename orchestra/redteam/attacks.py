"""The kinds of deceptive expert that a panel is tested against, by the names users type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from random import Random
from types import MappingProxyType
from typing import Any, Literal

from orchestra.components import build, component
from orchestra.config import read_text

Target = Literal["random", "popular"]
"""Which wrong value is planted: any, or the one that most honest experts hold."""

Place = Literal["answer", "synthesise"]
"""Where a liar sits: among the experts that answer, or as the one that merges their drafts."""

Style = Literal["assert", "blend", "flatter", "inject", "merge", "mislead", "oppose", "promote"]
"""How a lie sounds, a key of the templates and of the instructions."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind of deception."""

    name: str
    """As users type it."""
    meaning: str
    """What the liars do, in one sentence."""
    target: Target
    """`popular`: the wrong value that most honest experts hold, ties drawn; where none holds a
    wrong one, as `random`."""
    style: Style
    """How the lie sounds."""
    shared: bool = False
    """Whether all liars plant the same value; else each draws its own."""
    on_profile: bool = True
    """Whether it lies on the profile too, where its lies are counted against it."""
    only_split: bool = False
    """Whether it lies only where fewer than two thirds of the honest answers agree."""
    role: Place = "answer"
    """Whose seat it takes."""
    rate: float = 1.0
    """Share of the questions that liars lie on, in (0, 1]; the same questions for all of them."""

    def lies_on(self, question_id: str, *, seed: int) -> bool:
        """Whether a seed has drawn the question among those that liars lie on."""
        return self.rate >= 1 or Random(f"{seed}:rate:{question_id}").random() < self.rate

    @property
    def against_gold(self) -> bool:
        """Whether the liar is told what is right, to argue against it."""
        return self.style == "oppose"

    @property
    def stage(self) -> str:
        """The `Request.stage` in which it lies; in every other it does its work honestly."""
        return "generate" if self.role == "answer" else "synthesise"


def texts_of(name: str) -> Mapping[str, Any]:
    """The content of a data file of this package."""
    return read_text((files(__package__) / name).read_text(encoding="utf-8"), name).data


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {name: Attack(name, **fields) for name, fields in texts_of("attacks.yaml").items()}
)
"""Every shipped attack by its name."""

for _each in ATTACKS.values():
    component("attack", _each.name, fixed=asdict(_each))(Attack)


def attack_named(name: str) -> Attack:
    """The attack of that name.

    Raises:
        InputError: there is none; the hint has the near names.
    """
    attack: Attack = build("attack", name, {})
    return attack
