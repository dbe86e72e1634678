"""Builds taggers and embedders: where a plan meets the models that name skills.

Does not decide anything and keeps nothing of what is generated.
"""

from __future__ import annotations

from orchestra.errors import InputError, unknown
from orchestra.pipeline.stages.tag import Tag
from orchestra.roster import Expert, Roster
from orchestra.skills import (
    CategoryTagger,
    Elicitation,
    Embedder,
    EmbeddingTagger,
    KeywordTagger,
    LexicalEmbedder,
    LexicalTagger,
    SentenceEmbedder,
    Tagger,
    Vocabulary,
)
from orchestra.workers import Worker
from orchestra.workers.pool import WorkerPool

LocalWorkers = WorkerPool
"""The former name of `WorkerPool`."""


def build_tagger(
    tag: Tag,
    *,
    roster: Roster,
    worker: Worker | None = None,
    identity: str = "",
    vocabulary: Vocabulary | None = None,
) -> Tagger:
    """The tagger that the options name.

    Args:
        tag: any kind but `as-profiled`, which `tag_like` turns into one of the others.
        roster: where `keywords` finds its expert.
        worker: the open worker of that expert.
        identity: digest of everything that changes what that expert says; its roster entry's by
            default, which knows nothing of a checkpoint's files.
        vocabulary: the shipped one by default.

    Raises:
        InputError: the expert is unknown, or an optional package is missing.
    """
    if tag.kind == "category":
        return CategoryTagger()
    if tag.kind == "keywords":
        expert = roster[tag.model]
        assert worker is not None
        told = identity or expert.identity
        return KeywordTagger(worker, expert.name, expert_digest=told, way=elicitation(expert))
    known = vocabulary or Vocabulary.load()
    if tag.kind == "embedding":
        return EmbeddingTagger(embedder(tag.model), known, most=tag.most, threshold=tag.threshold)
    return LexicalTagger(known, most=tag.most)


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


def embedder(model: str) -> Embedder:
    """The embedder of that name: `lexical` (or empty) for the built-in one."""
    if not model or model.startswith("lexical"):
        return LexicalEmbedder()
    return SentenceEmbedder(model)
