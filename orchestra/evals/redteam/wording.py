"""Counted things in words, shared by all that tells of a red team.

Knows how a number and its noun are written; does not know what is counted.
"""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 draw`, `2 draws`, `1,200 draws`; the noun takes an s in the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
