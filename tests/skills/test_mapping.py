"""The mapper: itself, the vocabulary, the nearest, nothing; in this order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Brief
from orchestra.skills.embedders import LexicalEmbedder, Rows
from orchestra.skills.mapping import Place, SkillMapper
from orchestra.skills.vocabulary import Skill, Vocabulary

VOCABULARY = Vocabulary(
    [
        Skill("math", "Numbers.", ("mathematics",), category="math"),
        Skill("algebra", "Unknowns.", ("equations",), parent="math"),
        Skill("polynomials", "Powers.", ("roots",), parent="algebra"),
        Skill("general knowledge", "Facts.", category="other"),
        Skill("film", "Films.", ("movies",), parent="general knowledge"),
    ]
)


class Planar:
    """Places words on the unit circle, by angle in degrees."""

    name = "planar"

    def __init__(self, **degrees: float) -> None:
        self._degrees = degrees
        self.asked: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> Rows:
        self.asked.append(list(texts))
        angles = np.radians([self._degrees[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def brief(*skills: tuple[str, float]) -> Brief:
    return Brief("q", skills, "tagger")


@pytest.mark.parametrize(
    ("profiled", "given", "place"),
    [
        (["algebra", "math"], "algebra", Place("algebra", "same")),
        (["Group-Theory"], "group theory", Place("Group-Theory", "same")),
        (["my own skill"], "my own skill", Place("my own skill", "same")),
        (["algebra", "math"], "equations", Place("algebra", "vocabulary")),
        (["equations"], "algebra", Place("equations", "vocabulary")),
        (["algebra", "math"], "polynomials", Place("algebra", "vocabulary")),
        (["math", "film"], "roots", Place("math", "vocabulary")),
        (["mathematics"], "polynomials", Place("mathematics", "vocabulary")),
        (["other"], "movies", Place("other", "vocabulary")),
        (["polynomials"], "algebra", Place(None, "none")),
        (["film"], "algebra", Place(None, "none")),
        (["film"], "quantum cooking", Place(None, "none")),
        ([], "algebra", Place(None, "none")),
    ],
)
def test_steps_without_an_embedder(profiled: list[str], given: str, place: Place) -> None:
    assert SkillMapper(profiled, VOCABULARY).places([given]) == {given: place}


def test_without_a_vocabulary_only_the_same_name_counts() -> None:
    assert SkillMapper(["algebra"]).places(["equations"])["equations"] == Place(None, "none")


@pytest.mark.parametrize(
    ("threshold", "degrees", "skill"),
    [(0.5, 59.0, "a"), (0.5, 61.0, None), (None, 100.0, "a"), (-1.0, 100.0, "a"), (0.9, 20, "a")],
)
def test_the_nearest_one_if_it_is_near_enough(
    threshold: float | None, degrees: float, skill: str | None
) -> None:
    mapper = SkillMapper(["a", "b"], embedder=Planar(a=0, b=120, x=-degrees), threshold=threshold)
    [mapped] = mapper.map([brief(("x", 0.7))])
    assert mapped.skills == (((skill, 0.7),) if skill else ())
    assert mapped.distance == pytest.approx(1 - np.cos(np.radians(degrees)), abs=1e-6)


def test_the_vocabulary_comes_before_the_nearest() -> None:
    embedder = Planar(math=0, film=90)
    mapper = SkillMapper(["math", "film"], VOCABULARY, embedder=embedder)
    [mapped] = mapper.map([brief(("polynomials", 1.0), ("film", 0.5))])
    assert mapped.skills == (("math", 1.0), ("film", 0.5))
    assert mapped.distance is None
    assert embedder.asked == []


def test_everything_strange_is_embedded_once_and_together() -> None:
    embedder = Planar(a=0, b=90, x=10, y=80)
    mapper = SkillMapper(["a", "b"], embedder=embedder)
    mapper.map([brief(("x", 1.0), ("a", 1.0)), brief(("y", 1.0), ("x", 1.0))])
    mapper.map([brief(("y", 1.0))])
    assert sorted(embedder.asked) == [["a", "b"], ["x", "y"], ["y"]]


MEETING = brief(("equations", 0.5), ("film", 0.3), ("polynomials", 0.2))


@pytest.mark.parametrize(
    ("merge", "skills"),
    [
        (True, (("math", 0.7), ("film", 0.3))),
        (False, (("math", 0.5), ("film", 0.3), ("math", 0.2))),
    ],
)
def test_skills_that_meet(merge: bool, skills: tuple[tuple[str, float], ...]) -> None:
    [mapped] = SkillMapper(["math", "film"], VOCABULARY, merge=merge).map([MEETING])
    assert mapped == Brief("q", skills, "tagger")


def test_merging_puts_the_heaviest_first() -> None:
    given = brief(("film", 0.4), ("equations", 0.3), ("polynomials", 0.3))
    [mapped] = SkillMapper(["math", "film"], VOCABULARY).map([given])
    assert [skill for skill, _ in mapped.skills] == ["math", "film"]


def test_as_published_every_keyword_goes_to_its_nearest_and_may_count_twice() -> None:
    embedder = Planar(algebra=0, film=90, equations=40, cooking=170)
    mapper = SkillMapper(["algebra", "film"], embedder=embedder, threshold=None, merge=False)
    [mapped] = mapper.map([brief(("equations", 1.0), ("cooking", 1.0), ("film", 1.0))])
    assert mapped.skills == (("algebra", 1.0), ("film", 1.0), ("film", 1.0))


@pytest.mark.parametrize(
    ("skills", "distance"),
    [
        (["x"], 1 - np.cos(np.radians(10))),
        (["x", "far"], 1 - np.cos(np.radians(10))),
        (["far"], 1 - np.cos(np.radians(120))),
        (["far", "a"], 0.0),
        (["twin"], 0.0),
        (["a"], None),
        ([], None),
    ],
)
def test_distance_is_that_of_the_nearest_skill(skills: list[str], distance: float | None) -> None:
    mapper = SkillMapper(["a"], embedder=Planar(a=0, x=10, far=120, twin=0))
    [mapped] = mapper.map([brief(*((skill, 1.0) for skill in skills))])
    assert mapped.distance == (None if distance is None else pytest.approx(distance, abs=1e-6))


def test_nothing_profiled_measures_nothing() -> None:
    [mapped] = SkillMapper([], VOCABULARY, embedder=Planar()).map([brief(("algebra", 1.0))])
    assert mapped == brief()


@pytest.mark.parametrize("threshold", [1.1, -2.0, float("nan")])
def test_a_threshold_is_a_cosine(threshold: float) -> None:
    with pytest.raises(InputError, match="`threshold` is a cosine"):
        SkillMapper(["a"], threshold=threshold)


NAMES = st.sampled_from([*VOCABULARY.names, "movies", "roots", "cooking", "films", ""])


@given(
    st.lists(NAMES, max_size=4),
    st.lists(st.tuples(NAMES, st.floats(0.01, 5)), max_size=5),
    st.booleans(),
    st.sampled_from([None, 0.3, 0.9]),
)
def test_only_profiled_skills_come_out_and_no_weight_is_made_up(
    profiled: list[str], skills: list[tuple[str, float]], merge: bool, threshold: float | None
) -> None:
    mapper = SkillMapper(
        profiled, VOCABULARY, embedder=LexicalEmbedder(), threshold=threshold, merge=merge
    )
    [mapped] = mapper.map([brief(*skills)])
    weights = [weight for _, weight in mapped.skills]
    assert {skill for skill, _ in mapped.skills} <= set(profiled)
    assert weights == sorted(weights, reverse=True)
    assert sum(weights) <= sum(weight for _, weight in skills) + 1e-9
    assert not merge or len(set(mapped.skills)) == len({skill for skill, _ in mapped.skills})
    assert mapped.distance is None or 0 <= mapped.distance <= 2
    if threshold is None and profiled:
        assert sum(weights) == pytest.approx(sum(weight for _, weight in skills))
