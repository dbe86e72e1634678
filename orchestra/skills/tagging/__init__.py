"""Taggers: which skills a question needs, behind one protocol."""

from orchestra.skills.tagging.base import CategoryTagger, Tagger
from orchestra.skills.tagging.embedding import EmbeddingTagger
from orchestra.skills.tagging.keywords import Elicitation, KeywordTagger
from orchestra.skills.tagging.lexical import LexicalTagger

__all__ = [
    "CategoryTagger",
    "Elicitation",
    "EmbeddingTagger",
    "KeywordTagger",
    "LexicalTagger",
    "Tagger",
]
