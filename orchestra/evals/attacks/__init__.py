"""Deceptive experts for testing a panel: what they plant, how they say it, and how they get in."""

from orchestra.evals.attacks.attack import ATTACKS, Attack, Place, Style, Target, attack_named
from orchestra.evals.attacks.drafts import lying_answers
from orchestra.evals.attacks.infiltrate import Form, Infiltrated
from orchestra.evals.attacks.instructions import Instruction, instructed, instruction
from orchestra.evals.attacks.lies import Lie, Lies, Scene, choose_liars, plant, scenes_of
from orchestra.evals.attacks.partial import PartialInformation
from orchestra.evals.attacks.tables import lying_table
from orchestra.evals.attacks.templates import TEMPLATES, write

__all__ = [
    "ATTACKS",
    "TEMPLATES",
    "Attack",
    "Form",
    "Infiltrated",
    "Instruction",
    "Lie",
    "Lies",
    "PartialInformation",
    "Place",
    "Scene",
    "Style",
    "Target",
    "attack_named",
    "choose_liars",
    "instructed",
    "instruction",
    "lying_answers",
    "lying_table",
    "plant",
    "scenes_of",
    "write",
]
