"""Attacks on a user's own experts: swept, counted, and answered with a defence to choose."""

from orchestra.redteam.attacks import ATTACKS, Attack, Place, Style, Target, attack_named
from orchestra.redteam.defences import Defence, defences_of
from orchestra.redteam.inject import Form, Injected, PartialInformation
from orchestra.redteam.instructions import Instruction, instructed, instruction
from orchestra.redteam.lies import Lie, Lies, Scene, choose_liars, plant, scenes_of
from orchestra.redteam.poison import lying_draft, lying_table
from orchestra.redteam.run import redteam_run
from orchestra.redteam.sweep import (
    EVERY_ATTACK,
    Condition,
    Information,
    Sweep,
    attacks_of,
    numbers_of,
)
from orchestra.redteam.templates import TEMPLATES, write

__all__ = [
    "ATTACKS",
    "EVERY_ATTACK",
    "TEMPLATES",
    "Attack",
    "Condition",
    "Defence",
    "Form",
    "Information",
    "Injected",
    "Instruction",
    "Lie",
    "Lies",
    "PartialInformation",
    "Place",
    "Scene",
    "Style",
    "Sweep",
    "Target",
    "attack_named",
    "attacks_of",
    "choose_liars",
    "defences_of",
    "instructed",
    "instruction",
    "lying_draft",
    "lying_table",
    "numbers_of",
    "plant",
    "redteam_run",
    "scenes_of",
    "write",
]
