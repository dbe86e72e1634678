"""The stage `tag`: which skills a question needs."""

from __future__ import annotations

from dataclasses import dataclass

from orchestra.components import component
from orchestra.errors import InputError


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
