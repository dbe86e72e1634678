"""An attack: each liar argues for a random wrong option and against the right one."""

from __future__ import annotations

from dataclasses import dataclass

from orchestra.components import component
from orchestra.redteam.attacks import Attack, Style, Target


@component("attack", "contrarian")
@dataclass(frozen=True)
class Contrarian(Attack):
    """Lies where the honest experts are split, and is honest on the profile."""

    name: str = "contrarian"
    meaning: str = "Is honest on the profile; later opposes the right answer where opinions differ."
    target: Target = "random"
    style: Style = "oppose"
    on_profile: bool = False
    only_split: bool = True
