"""Attacks on a user's own experts: swept, counted, and answered with a defence to choose."""

from orchestra.evals.redteam.run import redteam_run
from orchestra.evals.redteam.sweep import (
    EVERY_ATTACK,
    Condition,
    Information,
    Sweep,
    attacks_of,
    numbers_of,
)
from orchestra.evals.redteam.ways import Way, ways_of

__all__ = [
    "EVERY_ATTACK",
    "Condition",
    "Information",
    "Sweep",
    "Way",
    "attacks_of",
    "numbers_of",
    "redteam_run",
    "ways_of",
]
