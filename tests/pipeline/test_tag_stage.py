"""Building taggers and embedders from their options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestra.errors import InputError
from orchestra.pipeline import Tag, tag_like
from orchestra.pipeline.stages.tag import build_tagger, keyword_tagger
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
