"""The tag stage: the skills that each question needs, in terms of what was profiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from orchestra.components import component
from orchestra.errors import InputError, unknown
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Context
from orchestra.records import Brief
from orchestra.roster import Expert, Roster
from orchestra.runs import RowKind
from orchestra.skills import (
    CategoryTagger,
    Elicitation,
    EmbeddingTagger,
    KeywordTagger,
    LexicalTagger,
    RecruitmentTable,
    SkillMapper,
    Tagger,
    Vocabulary,
    named_embedder,
)


@component(
    "tag", "keywords", argument="model", fixed={"kind": "keywords"}, unused=("most", "threshold")
)
@component("tag", "embedding", argument="model", fixed={"kind": "embedding"})
@component(
    "tag", "lexical", argument="most", fixed={"kind": "lexical"}, unused=("model", "threshold")
)
@component(
    "tag",
    "category",
    fixed={"kind": "category"},
    unused=("model", "most", "threshold", "map_threshold"),
)
@component(
    "tag", "as-profiled", fixed={"kind": "as-profiled"}, unused=("model", "most", "threshold")
)
@dataclass(frozen=True, slots=True)
class Tag:
    """Options of a tagger that is built where its model can be reached."""

    kind: str
    """`as-profiled`, `category`, `lexical`, `embedding` or `keywords`."""
    model: str = ""
    """Embedding: a sentence-transformers name or folder, `lexical` for the built-in one.
    Keywords: the name of an expert of the roster."""
    most: int = 5
    """Most skills a question gets, at least 1."""
    threshold: float = 0.25
    """Embedding: least cosine, in (0, 1]."""
    map_threshold: float | None = 0.5
    """Least similarity, in (0, 1], for a skill that was never profiled to stand for one that was;
    null: the paper's nearest one, however far."""

    def __post_init__(self) -> None:
        within = [x for x in (self.threshold, self.map_threshold) if x is not None]
        if self.most < 1 or not all(0 < x <= 1 for x in within):
            raise InputError("`most` is at least 1, `threshold` and `map_threshold` in (0, 1]")


@dataclass(frozen=True)
class TagStage:
    """Names skills by a tagger, and maps them to profiled ones where there is a table."""

    tag: Tag
    """Any kind but `as-profiled`; see `resolve`."""
    mapped: bool = True
    """Whether skills that were never profiled are mapped to those that were."""
    name: ClassVar[str] = "tag"
    reads: ClassVar[tuple[str, ...]] = ("questions",)
    scope: ClassVar[Literal["question"]] = "question"

    async def run(self, batch: Batch, context: Context) -> Batch:
        """Adds `briefs`."""
        if self.tag.kind == "keywords":
            tagger = keyword_tagger(self.tag, context.roster)
            briefs = await context.converse([tagger.conduct(each) for each in batch.questions])
        else:
            briefs = await build_tagger(self.tag).tag(batch.questions)
        briefs = [
            replace(brief, choices=len(question.options))
            for brief, question in zip(briefs, batch.questions, strict=True)
        ]
        if self.mapped and context.table is not None and self.tag.kind != "category":
            briefs = self._map(briefs, context.table)
        context.keep(RowKind.BRIEF, {brief.question_id: brief for brief in briefs})
        return replace(batch, briefs=tuple(briefs))

    def experts(self, batch: Batch, place: int) -> Sequence[str]:
        """The keyword model, where one names the skills."""
        return [self.tag.model] if self.tag.kind == "keywords" else []

    def _map(self, briefs: Sequence[Brief], table: RecruitmentTable) -> list[Brief]:
        tag = self.tag
        paper = tag.map_threshold is None
        mapper = SkillMapper(
            table.skills,
            None if paper else Vocabulary.load(),
            embedder=named_embedder(tag.model if tag.kind == "embedding" else ""),
            threshold=tag.map_threshold,
            merge=not paper,
        )
        return mapper.map(briefs)


def resolve(tag: Tag, table: RecruitmentTable | None) -> Tag:
    """The tagger that is meant by `as-profiled`, or the one that is named."""
    if tag.kind != "as-profiled":
        return tag
    named = "category" if table is None else table.provenance.get("tagger", "")
    return replace(tag_like(named or "category"), map_threshold=tag.map_threshold)


def build_tagger(tag: Tag, *, vocabulary: Vocabulary | None = None) -> Tagger:
    """The tagger that the options name, of those that need no model of the roster.

    Args:
        tag: `category`, `lexical` or `embedding`.
        vocabulary: the shipped one by default.

    Raises:
        MissingExtra: an optional package is missing.
    """
    if tag.kind == "category":
        return CategoryTagger()
    known = vocabulary or Vocabulary.load()
    if tag.kind == "embedding":
        embedder = named_embedder(tag.model)
        return EmbeddingTagger(embedder, known, most=tag.most, threshold=tag.threshold)
    return LexicalTagger(known, most=tag.most)


def keyword_tagger(tag: Tag, roster: Roster) -> KeywordTagger:
    """The tagger that asks an expert of the roster.

    Raises:
        InputError: no expert is named, or the roster has none of that name.
    """
    if not tag.model:
        raise InputError("tagger `keywords` needs an expert", hint="`tag: {keywords: NAME}`")
    return KeywordTagger(tag.model, elicitation(roster[tag.model]))


def elicitation(expert: Expert) -> Elicitation:
    """A model that was trained to name skills is asked once, in its own way; others as usual."""
    if expert.strategy != "plain":
        return Elicitation()
    return Elicitation(expert.messages, expert.sampling, runs=1, least=1)


def tag_like(name: str) -> Tag:
    """The options of the tagger that calls itself `name`, as a table's provenance keeps it."""
    kind, _, model = name.partition(":")
    if kind not in ("category", "lexical", "embedding", "keywords"):
        raise unknown("tagger", name, ("category", "lexical", "embedding:MODEL", "keywords:EXPERT"))
    if kind in ("embedding", "keywords") and not model:
        raise InputError(f"tagger `{kind}` needs a model", hint=f"for instance `{kind}:NAME`")
    return Tag(kind, model)
