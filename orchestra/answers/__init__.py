"""Text -> Answer: what a model stated, by named rules; never what is right."""

from orchestra.answers.canonical import canonical
from orchestra.answers.extract import CASCADES, read, rules_for, visible

__all__ = ["CASCADES", "canonical", "read", "rules_for", "visible"]
