"""Skills: those that questions need, and the record of each expert on them."""

from orchestra.skills.agreement import Agreement, agreement
from orchestra.skills.embedders import (
    Embedder,
    LexicalEmbedder,
    SentenceEmbedder,
    named_embedder,
)
from orchestra.skills.estimation import Beliefs
from orchestra.skills.mapping import SkillMapper
from orchestra.skills.table import RecruitmentTable, Tally
from orchestra.skills.table_file import as_json, read_table, write_table
from orchestra.skills.tagging import (
    CategoryTagger,
    Elicitation,
    EmbeddingTagger,
    KeywordTagger,
    LexicalTagger,
    Tagger,
)
from orchestra.skills.vocabulary import Skill, Vocabulary

__all__ = [
    "Agreement",
    "Beliefs",
    "CategoryTagger",
    "Elicitation",
    "Embedder",
    "EmbeddingTagger",
    "KeywordTagger",
    "LexicalEmbedder",
    "LexicalTagger",
    "RecruitmentTable",
    "SentenceEmbedder",
    "Skill",
    "SkillMapper",
    "Tagger",
    "Tally",
    "Vocabulary",
    "agreement",
    "as_json",
    "named_embedder",
    "read_table",
    "write_table",
]
