"""From a text to an Answer, by named rules; gold answers are not used."""

from orchestra.answers.canonical import canonical
from orchestra.answers.extract import CASCADES, read, rules_for
from orchestra.answers.marks import visible

__all__ = ["CASCADES", "canonical", "read", "rules_for", "visible"]
