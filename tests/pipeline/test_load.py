"""Opening experts and building taggers: what can be opened, what each expert's identity covers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from orchestra.errors import InputError, InputErrors
from orchestra.pipeline import LocalWorkers, Tag, tag_like
from orchestra.pipeline.stages.tag import build_tagger, keyword_tagger
from orchestra.records import Generation, Message, Request, Sampling
from orchestra.roster import Expert, Roster
from orchestra.skills import (
    CategoryTagger,
    EmbeddingTagger,
    KeywordTagger,
    LexicalEmbedder,
    LexicalTagger,
    named_embedder,
)

if TYPE_CHECKING:
    from tests.conftest import Builder


def request(expert: str, question: str = "q0") -> Request:
    return Request("key", question, expert, "generate", (Message("user", "?"),), Sampling())


def ask(workers: LocalWorkers, expert: Expert, question: str = "q0") -> Generation:
    async def one() -> Generation:
        async with workers.open(expert) as worker:
            return [each async for each in worker.generate([request(expert.name, question)])][0]

    return asyncio.run(one())


def test_scripted_experts_play_their_scripts(build: Builder) -> None:
    roster = build.scripted("a", "b")
    workers = LocalWorkers({"a": lambda r: "I am a", "b": lambda r: "I am b"})
    workers.check(roster)
    assert [ask(workers, expert).text for expert in roster] == ["I am a", "I am b"]


def test_recorded_experts_replay_their_model(build: Builder) -> None:
    rows = [{"question_id": "q0", "model": name, "output": f"{name} says"} for name in "ab"]
    roster = build.recorded(build.recordings(rows), "a", "b")
    workers = LocalWorkers()
    workers.check(roster)
    assert [ask(workers, expert).text for expert in roster] == ["a says", "b says"]
    assert workers.recordings(roster["a"]) is workers.recordings(roster["b"])


def test_everything_that_cannot_be_opened_is_told_at_once(build: Builder) -> None:
    path = build.recordings([{"question_id": "q0", "model": "mathstral", "output": "x"}])
    roster = Roster.of(
        Expert("near", "mathstra", worker="recorded", recordings=path),
        Expert("gone", "m", worker="recorded", recordings=build.folder / "gone.parquet"),
        Expert("mute", "m", worker="scripted"),
        Expert("keyed", "m", worker="openai", base_url="http://x/v1", api_key_env="NO_SUCH_KEY"),
        Expert("served", "m", worker="remote"),
    )
    with pytest.raises(InputErrors) as caught:
        LocalWorkers().check(roster)
    near, gone, mute, keyed, served = (str(error) for error in caught.value.errors)
    assert "unknown recorded model: 'mathstra'" in near
    assert "did you mean `mathstral`" in near
    assert "expert `near`" in near
    assert "gone.parquet: no such file" in gone
    assert "expert `mute` is scripted, but no script" in mute
    assert "expert `keyed`: the environment variable `NO_SUCH_KEY` is not set" in keyed
    assert "`worker: remote` is not part of this release" in served


def test_one_broken_file_is_told_once(build: Builder) -> None:
    roster = build.recorded(build.folder / "gone.parquet", "a", "b", "c")
    with pytest.raises(InputError, match="no such file") as caught:
        LocalWorkers().check(roster)
    assert not isinstance(caught.value, InputErrors)


def test_identity_covers_the_recordings(build: Builder) -> None:
    def told(output: str) -> str:
        rows = [{"question_id": "q0", "model": "a", "output": output}]
        roster = build.recorded(build.recordings(rows), "a")
        return LocalWorkers().identity(roster["a"])

    assert told("one") == told("one")
    assert told("one") != told("two")


def test_scripted_experts_of_one_model_are_two(build: Builder) -> None:
    first = Expert("a", "m", worker="scripted")
    second = Expert("b", "m", worker="scripted")
    workers = LocalWorkers()
    assert workers.identity(first) != workers.identity(second)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("category", Tag("category")),
        ("lexical", Tag("lexical")),
        ("embedding:lexical", Tag("embedding", "lexical")),
        ("embedding:folder:name", Tag("embedding", "folder:name")),
        ("keywords:a", Tag("keywords", "a")),
    ],
)
def test_tagger_names(name: str, wanted: Tag) -> None:
    assert tag_like(name) == wanted


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "unknown tagger"),
        ("lexcal", "unknown tagger: 'lexcal'"),
        ("embedding", "needs a model"),
        ("keywords:", "needs a model"),
    ],
)
def test_tagger_names_that_are_wrong(name: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        tag_like(name)


@pytest.mark.parametrize(
    ("tag", "wanted"),
    [
        (Tag("category"), CategoryTagger),
        (Tag("lexical", most=2), LexicalTagger),
        (Tag("embedding", "lexical"), EmbeddingTagger),
    ],
)
def test_taggers(tag: Tag, wanted: type[object]) -> None:
    assert type(build_tagger(tag)) is wanted


def test_the_keyword_tagger_asks_an_expert_of_the_roster(build: Builder) -> None:
    roster = build.scripted("a")
    assert keyword_tagger(Tag("keywords", "a"), roster) == KeywordTagger("a")
    with pytest.raises(InputError, match="needs an expert"):
        keyword_tagger(Tag("keywords"), roster)


@pytest.mark.parametrize("model", ["", "lexical"])
def test_the_built_in_embedder(model: str) -> None:
    assert type(named_embedder(model)) is LexicalEmbedder
