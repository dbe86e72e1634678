"""The tag stage: the skills that each question needs, in terms of what was profiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import orjson

from orchestra.components import build, component, find, names
from orchestra.errors import InputError, unknown
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Context
from orchestra.pipeline.stage import CallEstimate
from orchestra.records import Brief
from orchestra.roster import Expert, Roster
from orchestra.runs import RowKind
from orchestra.scheduling import Length
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

_NAMED = (
    ("as-profiled", "", ("model", "most", "threshold")),
    ("category", "", ("model", "most", "threshold", "map_threshold")),
    ("lexical", "most", ("model", "threshold")),
    ("embedding", "model", ()),
    ("keywords", "model", ("most", "threshold")),
)
"""Name, argument, and the options that mean nothing under it."""
_TAGGERS = ("category", "lexical", "embedding", "keywords")


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
    tagger: Tagger | None = None
    """A component `tag` of another distribution, which is a tagger itself."""

    def __post_init__(self) -> None:
        within = [x for x in (self.threshold, self.map_threshold) if x is not None]
        if self.most < 1 or not all(0 < x <= 1 for x in within):
            raise InputError("`most` is at least 1, `threshold` and `map_threshold` in (0, 1]")

    @classmethod
    def of(cls, made: Tag | Tagger) -> Tag:
        """What a component `tag` was built to, as options: a tagger stands under its own name."""
        if isinstance(made, Tag):
            return made
        return cls(made.name, map_threshold=getattr(made, "map_threshold", 0.5), tagger=made)


for _name, _argument, _unused in _NAMED:
    component("tag", _name, argument=_argument, fixed={"kind": _name}, unused=(*_unused, "tagger"))(
        Tag
    )


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

    def forecast(
        self, batch: Batch, roster: Roster, lengths: Mapping[str, Length]
    ) -> Sequence[CallEstimate]:
        """The keyword model's runs; none where no model names the skills."""
        if self.tag.kind != "keywords" or self.tag.model not in roster.names:
            return ()
        way = elicitation(roster[self.tag.model])
        letters = sum(
            len(m.content) for question in batch.questions for m in way.messages(question)
        )
        runs = way.runs
        return [CallEstimate(self.tag.model, runs * len(batch.questions), runs * letters, "tag")]

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
        tag: `category`, `lexical`, `embedding`, or a tagger of another distribution.
        vocabulary: the shipped one by default.

    Raises:
        MissingExtra: an optional package is missing.
    """
    if tag.tagger is not None:
        return tag.tagger
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


def _argued(name: str, text: str) -> dict[str, Any]:
    """What stands behind the colon of a tagger's name, as its argument."""
    made = find("tag", name)
    if not text or not made.argument:
        return {}
    if made.options[made.argument] is str:
        return {made.argument: text}
    try:
        return {made.argument: orjson.loads(text)}
    except ValueError:  # the registry says what it must be
        return {made.argument: text}


def tag_like(name: str) -> Tag:
    """The options of the tagger that calls itself `name`, as a table's provenance keeps it."""
    kind, _, model = name.partition(":")
    if kind not in _TAGGERS:
        others = set(names("tag")) - {shipped for shipped, _, _ in _NAMED}
        if kind in others:
            return Tag.of(build("tag", kind, _argued(kind, model)))
        usual = ("category", "lexical", "embedding:MODEL", "keywords:EXPERT")
        raise unknown("tagger", name, {*usual, *others})
    if kind in ("embedding", "keywords") and not model:
        raise InputError(f"tagger `{kind}` needs a model", hint=f"for instance `{kind}:NAME`")
    return Tag(kind, model)
