from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError
from orchestra.records import Brief
from orchestra.routing import Pool, Symbolic

if TYPE_CHECKING:
    from tests.routing.conftest import Drawn, PoolOf

Profile = Mapping[str, Mapping[str, int]]


# The algorithm of METHODS 1.2 and 1.3 once more, on dictionaries, line by line.


def profile(records: Mapping[str, str], skills: str) -> dict[str, dict[str, int]]:
    """Right +1, not right -1, on each tagged skill of the question."""
    scores: dict[str, dict[str, int]] = {name: {} for name in records}
    for name, row in records.items():
        for sign, word in zip(row, skills.split(), strict=True):
            for skill in word.split(","):
                point = {"+": 1, ".": 0}.get(sign, -1)
                scores[name][skill] = scores[name].get(skill, 0) + point
    return scores


def paper(scores: Profile, asked: Sequence[str], temperature: float) -> list[float]:
    totals = {name: sum(row.values()) for name, row in scores.items()}
    pool = sum(totals.values())
    gamma = {n: t / pool if pool > 0 else 1 / len(totals) for n, t in totals.items()}
    suit = [gamma[n] * sum(row.get(k, 0) for k in asked) for n, row in scores.items()]
    raised = [math.exp((each - max(suit)) / temperature) for each in suit]
    return [each / sum(raised) for each in raised]


def released(scores: Profile, asked: Sequence[str], temperature: float) -> list[float]:
    totals = [sum(row.values()) for row in scores.values()]
    if any(each < 0 for each in totals):
        totals = [each - min(totals) + 1 for each in totals]
    power = [float(each) ** (1 / temperature) for each in totals]
    gamma = [each / sum(power) if sum(power) else 1 / len(power) for each in power]
    local = [sum(row.get(k, 0) for k in asked) for row in scores.values()]
    weights = [s * g if s > 0 else 0.0 for s, g in zip(local, gamma, strict=True)]
    if sum(weights) <= 0:
        shifted = [s - min(local) + 1 for s in local]
        weights = [s * g for s, g in zip(shifted, gamma, strict=True)]
    if sum(weights) <= 0:
        return [1 / len(local)] * len(local)
    return [each / sum(weights) for each in weights]


def chances(router: Symbolic, pool: Pool, question: Brief) -> dict[str, float]:
    """Expert -> chance, for those drawn in enough draws to see everybody who can be."""
    many = Symbolic(form=router.form, k=400, temperature=router.temperature)
    [plan] = many.route([question], pool, seed=1)
    return {seat.expert: seat.weight for seat in plan.seats}


def asking(*skills: str) -> Brief:
    return Brief("q", tuple((skill, 1.0) for skill in skills), "test", choices=4)


EXAMPLES = [
    # records, skills of the profiled questions, skills asked for
    ({"ann": "+++-", "bob": "+-+-", "cid": "--++"}, "a a b b", ["a"]),
    ({"ann": "+++-", "bob": "+-+-", "cid": "--++"}, "a a b b", ["a", "b"]),
    ({"ann": "+++-", "bob": "+-+-", "cid": "--++"}, "a a b b", ["a", "a", "b"]),
    # A pool whose totals are all positive is not shifted.
    ({"ann": "++++", "bob": "+++-"}, "a a b b", ["b"]),
    # One total below zero shifts all of them.
    ({"ann": "++++", "bob": "---+", "cid": "++-+"}, "a a b b", ["b"]),
    # Nobody has a positive local score.
    ({"ann": "--++", "bob": "-+++", "cid": "--+-"}, "a a b b", ["a"]),
    # Totals of zero.
    ({"ann": "+-", "bob": "-+"}, "a b", ["a"]),
    # The pool's total is below zero.
    ({"ann": "+---", "bob": "----"}, "a a b b", ["a"]),
    # Questions of several skills count on each; absent answers count as wrong, unasked not.
    ({"ann": "+?+.", "bob": "++.."}, "a,b b a,c c", ["b", "c"]),
    ({"ann": "+"}, "a", ["a"]),
]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("form", "plainly"), [("paper", paper), ("released", released)])
@pytest.mark.parametrize(("records", "skills", "asked"), EXAMPLES)
def test_chances_are_the_papers_and_the_released_codes(
    pool_of: PoolOf,
    records: dict[str, str],
    skills: str,
    asked: list[str],
    form: str,
    plainly: object,
    temperature: float,
) -> None:
    assert callable(plainly)
    expected = plainly(profile(records, skills), asked, temperature)
    found = chances(
        Symbolic(form, temperature=temperature), pool_of(records, skills), asking(*asked)
    )
    for name, chance in zip(records, expected, strict=True):
        assert found.get(name, 0.0) == pytest.approx(chance if name in found else 0.0)
        assert name in found or chance < 0.03


signs = st.sampled_from("+-?.")
skill_words = st.sampled_from(["a", "b", "c", "a,b", "b,c", "a,b,c"])


@settings(max_examples=60)
@given(
    st.integers(1, 4).flatmap(
        lambda n: st.tuples(
            st.lists(st.text(signs, min_size=n, max_size=n), min_size=1, max_size=4),
            st.lists(skill_words, min_size=n, max_size=n),
        )
    ),
    st.lists(st.sampled_from("abc"), max_size=4),
    st.sampled_from(["paper", "released"]),
    st.floats(0.05, 5),
)
def test_any_profile(
    pool_of: PoolOf,
    made: tuple[list[str], list[str]],
    asked: list[str],
    form: str,
    temperature: float,
) -> None:
    rows, words = made
    records = {f"e{i}": row for i, row in enumerate(rows)}
    skills = " ".join([*words, "c"])
    records = {name: row + "." for name, row in records.items()}
    known = [skill for skill in asked if any(skill in word.split(",") for word in [*words, "c"])]
    found = chances(
        Symbolic(form, temperature=temperature), pool_of(records, skills), asking(*asked)
    )
    plainly = {"paper": paper, "released": released}[form]
    expected = (
        plainly(profile(records, skills), known, temperature)
        if known
        else [1 / len(records)] * len(records)
    )
    for name, chance in zip(records, expected, strict=True):
        if name in found:
            assert found[name] == pytest.approx(chance, rel=1e-6)


class TestForms:
    RECORDS = {"ann": "++++++", "bob": "++++--", "cid": "----++"}
    SKILLS = "a a a a b b"

    def test_paper_by_hand(self, pool_of: PoolOf) -> None:
        # Totals 6, 2, -2 of 6; on `a` 4, 4, -4: suitability 4, 4/3, 4/3.
        found = chances(Symbolic(), pool_of(self.RECORDS, self.SKILLS), asking("a"))
        low = math.exp((4 / 3 - 4) / 0.5)
        assert found["ann"] == pytest.approx(1 / (1 + 2 * low))

    def test_released_by_hand(self, pool_of: PoolOf) -> None:
        # Totals 6, 2, -2 become 9, 5, 1, squared 81, 25, 1; on `a` only ann and bob are above 0.
        found = chances(Symbolic("released"), pool_of(self.RECORDS, self.SKILLS), asking("a"))
        assert found == {"ann": pytest.approx(81 / 106), "bob": pytest.approx(25 / 106)}

    @pytest.mark.parametrize("form", ["paper", "released"])
    @pytest.mark.parametrize("asked", [(), ("unheard of",)])
    def test_without_a_known_skill_everybody_is_as_likely(
        self, pool_of: PoolOf, form: str, asked: tuple[str, ...]
    ) -> None:
        found = chances(Symbolic(form), pool_of(self.RECORDS, self.SKILLS), asking(*asked))
        assert found == {name: pytest.approx(1 / 3) for name in self.RECORDS}

    def test_a_skill_never_tagged_counts_what_is_below_it(self, pool_of: PoolOf) -> None:
        parents = {"a": "root", "b": "root", "c": "root"}
        pool = pool_of(self.RECORDS, self.SKILLS, parents=parents)
        above = chances(Symbolic("released"), pool, asking("root"))
        both = chances(Symbolic("released"), pool, asking("a", "b"))
        assert above == both
        assert chances(Symbolic("released"), pool, asking("c")) == above

    @pytest.mark.parametrize("form", ["paper", "released"])
    @pytest.mark.parametrize("temperature", [1e-3, 1e-9, 1e6])
    def test_extreme_temperatures(self, pool_of: PoolOf, form: str, temperature: float) -> None:
        pool = pool_of(self.RECORDS, self.SKILLS)
        found = chances(Symbolic(form, temperature=temperature), pool, asking("a"))
        assert sum(found.values()) == pytest.approx(1)
        if temperature < 1:
            assert found["ann"] == pytest.approx(1)


class TestDraws:
    def test_follow_the_chances(self, drawn: Drawn) -> None:
        pool = drawn({"ann": 0.7, "bob": 0.6, "cid": 0.5}, 60)
        briefs = [Brief(f"q{i}", (("s0", 1.0),), "test") for i in range(2000)]
        plans = Symbolic("released").route(briefs, pool, seed=0)
        counts = Counter(seat.expert for plan in plans for seat in plan.seats)
        for name, chance in chances(Symbolic("released"), pool, briefs[0]).items():
            assert counts[name] / 6000 == pytest.approx(chance, abs=0.03)

    def test_with_replacement_and_samples_are_numbered(self, pool_of: PoolOf) -> None:
        [plan] = Symbolic(k=4).route([asking("s")], pool_of({"ann": "+"}), seed=0)
        assert [(seat.expert, seat.sample) for seat in plan.seats] == [("ann", n) for n in range(4)]
        assert plan.reserves == ()

    def test_seats_say_why(self, pool_of: PoolOf) -> None:
        [plan] = Symbolic(k=1).route([asking("s")], pool_of({"ann": "+-"}), seed=0)
        assert plan.seats[0].reason == (
            "drawn with chance 100 %: right on 1 of 2 profiled `s` questions, 1 of 2 overall"
        )
        assert plan.rivals == 3.0
        assert plan.router == "symbolic"

    def test_depend_on_seed_and_question_only(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i}": 0.5 for i in range(5)}, 60)
        briefs = [Brief(f"q{i}", (("s0", 1.0),), "test") for i in range(30)]
        router = Symbolic()
        plans = router.route(briefs, pool, seed=4)
        assert router.route(briefs[::-1], pool, seed=4)[::-1] == plans
        assert [router.route([each], pool, seed=4)[0] for each in briefs] == plans
        assert router.route(briefs, pool, seed=5) != plans


class TestTrim:
    def test_the_rarely_drawn_give_way_to_the_frequent(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i}": 0.55 + 0.04 * i for i in range(8)}, 60)
        briefs = [Brief(f"q{i}", (("s0", 1.0),), "test") for i in range(300)]
        plain = Symbolic("released").route(briefs, pool, seed=0)
        trimmed = Symbolic("released", trim=0.3).route(briefs, pool, seed=0)
        users = Counter(name for plan in plain for name in {seat.expert for seat in plan.seats})
        rare = {name for name, count in users.items() if count < 90}
        assert rare
        for before, after in zip(plain, trimmed, strict=True):
            for old, new in zip(before.seats, after.seats, strict=True):
                if old.expert in rare:
                    assert users[new.expert] >= 90
                    assert new.reason.startswith("in place of an expert rarely drawn: ")
                else:
                    assert (new.expert, new.reason) == (old.expert, old.reason)

    def test_samples_are_numbered_after_trimming(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i}": 0.4 + 0.08 * i for i in range(6)}, 60)
        briefs = [Brief(f"q{i}", (("s0", 1.0),), "test") for i in range(100)]
        for plan in Symbolic(k=5, trim=0.3).route(briefs, pool, seed=0):
            assert len({(seat.expert, seat.sample) for seat in plan.seats}) == 5

    def test_where_everybody_is_rare_nobody_is_replaced(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i}": 0.5 for i in range(6)}, 60)
        briefs = [Brief(f"q{i}", (), "test") for i in range(40)]
        plain = Symbolic(k=1).route(briefs, pool, seed=0)
        assert Symbolic(k=1, trim=0.9).route(briefs, pool, seed=0) == plain

    def test_does_not_depend_on_the_order_of_the_batch(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i}": 0.4 + 0.08 * i for i in range(6)}, 60)
        briefs = [Brief(f"q{i}", (("s0", 1.0),), "test") for i in range(60)]
        mixed = Random(0).sample(briefs, len(briefs))
        router = Symbolic(trim=0.2)
        plans = {plan.question_id: plan for plan in router.route(briefs, pool, seed=0)}
        assert all(plans[plan.question_id] == plan for plan in router.route(mixed, pool, seed=0))


@pytest.mark.parametrize(
    "options",
    [
        {"form": "papre"},
        {"k": 0},
        {"temperature": 0.0},
        {"temperature": math.inf},
        {"temperature": math.nan},
        {"trim": 1.0},
        {"trim": -0.1},
    ],
)
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Symbolic(**options)  # type: ignore[arg-type]


def test_needs_a_table() -> None:
    with pytest.raises(InputError, match="needs a recruitment table") as caught:
        Symbolic().route([asking("a")], Pool(("ann",)), seed=0)
    assert "orchestra profile" in caught.value.hint


def test_no_questions(pool_of: PoolOf) -> None:
    assert Symbolic(trim=0.05).route([], pool_of({"ann": "+"}), seed=0) == []
