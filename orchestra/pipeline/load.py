"""Opens workers and builds taggers: where a plan meets the engines of this machine.

Knows which worker speaks to which expert and keeps recordings open between loads;
does not decide anything and keeps nothing of what is generated.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import MappingProxyType

from orchestra.errors import InputError, raise_all, unknown
from orchestra.pipeline.registry import Tag
from orchestra.roster import Expert, Roster
from orchestra.runs import digest
from orchestra.skills import (
    CategoryTagger,
    Embedder,
    EmbeddingTagger,
    KeywordTagger,
    LexicalEmbedder,
    LexicalTagger,
    SentenceEmbedder,
    Tagger,
    Vocabulary,
)
from orchestra.workers import RecordedWorker, Recordings, ScriptedWorker, Worker
from orchestra.workers.scripted import Script


class LocalWorkers:
    """Workers of this process: recorded experts, and scripted ones that the caller gives.

    Args:
        scripts: expert name -> the function that plays it, for `worker: scripted`.
    """

    def __init__(self, scripts: Mapping[str, Script] = MappingProxyType({})) -> None:
        self._scripts = dict(scripts)
        self._recordings: dict[Path, Recordings] = {}

    def check(self, roster: Iterable[Expert]) -> None:
        """Raise one error for everything that would keep an expert from being opened."""
        errors: list[InputError] = []
        for expert in roster:
            try:
                self._checked(expert)
            except InputError as error:
                errors.append(error)
        raise_all(list({str(error): error for error in errors}.values()))

    def open(self, expert: Expert) -> AbstractAsyncContextManager[Worker]:
        """Load the expert; leaving the context unloads it."""
        return self._opened(expert)

    def recordings(self, expert: Expert) -> Recordings:
        """The recordings that a recorded expert replays. Raises InputError if they are unsound."""
        assert expert.recordings is not None
        if expert.recordings not in self._recordings:
            self._recordings[expert.recordings] = Recordings.open(expert.recordings)
        return self._recordings[expert.recordings]

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says, recordings included."""
        if expert.worker == "recorded":
            return digest([expert.identity, self.recordings(expert).digest])
        if expert.worker == "scripted":  # scripts go by the expert's name
            return digest([expert.identity, expert.name])
        return expert.identity

    @asynccontextmanager
    async def _opened(self, expert: Expert) -> AsyncIterator[Worker]:
        yield self._checked(expert)

    def _checked(self, expert: Expert) -> Worker:
        if expert.worker == "recorded":
            recordings = self.recordings(expert)
            if expert.model not in recordings.models:
                place = f"{expert.recordings} (expert `{expert.name}`)"
                raise unknown("recorded model", expert.model, recordings.models, place=place)
            return RecordedWorker(expert, recordings)
        if expert.worker == "scripted" and expert.name in self._scripts:
            return ScriptedWorker(self._scripts[expert.name])
        if expert.worker == "scripted":
            raise InputError(
                f"expert `{expert.name}` is scripted, but no script was given for it",
                hint="`worker: scripted` is for Python: LocalWorkers({name: function})",
            )
        raise InputError(
            f"expert `{expert.name}`: `worker: {expert.worker}` is not part of this release",
            hint="`worker: recorded` replays answers; `worker: scripted` runs a Python function",
        )


def build_tagger(
    tag: Tag,
    *,
    roster: Roster,
    worker: Worker | None = None,
    vocabulary: Vocabulary | None = None,
) -> Tagger:
    """The tagger that the options name.

    Args:
        tag: any kind but `as-profiled`, which `tag_like` turns into one of the others.
        roster: where `keywords` finds its expert.
        worker: the open worker of that expert.
        vocabulary: the shipped one by default.

    Raises:
        InputError: the expert is unknown, or an optional package is missing.
    """
    if tag.kind == "category":
        return CategoryTagger()
    if tag.kind == "keywords":
        expert = roster[tag.model]
        assert worker is not None
        return KeywordTagger(worker, expert.name, expert_digest=expert.identity)
    known = vocabulary or Vocabulary.load()
    if tag.kind == "embedding":
        return EmbeddingTagger(embedder(tag.model), known, most=tag.most, threshold=tag.threshold)
    return LexicalTagger(known, most=tag.most)


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
