"""The registry: shipped names, options and identities, and what other distributions bring."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
import pytest

from orchestra import components
from orchestra.components import build, component, find, index, installed, names, origin, parts
from orchestra.errors import InputError, InputErrors
from orchestra.pipeline import Generate, Tag
from orchestra.routing import Complementary, Posterior, Symbolic

REPOSITORY = Path(__file__).resolve().parents[1]
NAMES = [(stage, name) for stage, known in index().items() for name in known]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: None) -> Iterator[Path]:
    """A folder of installed distributions."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def install(site: Path, distribution: str, module: str, code: str, *points: str) -> None:
    """Put a distribution of one module where Python finds it, as an installer leaves it."""
    (site / f"{module}.py").write_text(code, encoding="utf-8")
    info = site / f"{distribution}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = "\n".join(["[orchestra.components]", *points])
    (info / "entry_points.txt").write_text(f"{lines}\n")


def voter(name: str) -> str:
    return f"""
from dataclasses import dataclass
from orchestra.components import component

@component("vote", "{name}", argument="power")
@dataclass(frozen=True)
class Voter:
    power: float = 1.0
    name: str = "{name}"
"""


# Shipped names


@pytest.mark.parametrize(("stage", "name"), NAMES)
def test_every_name_builds_with_its_defaults(stage: str, name: str) -> None:
    made = find(stage, name)
    assert is_dataclass(made.build)
    assert not made.argument or made.argument in made.options
    if made.fields or made.fixed:
        built = build(stage, name, {})
        for option, value in made.fixed.items():
            assert getattr(built, option) == value


@pytest.mark.parametrize(("stage", "name"), NAMES)
def test_an_option_may_be_given_its_default(stage: str, name: str) -> None:
    default = build(stage, name, {})
    for option in find(stage, name).options:
        assert build(stage, name, {option: getattr(default, option)}) == default


def test_routers_and_voters_have_their_registered_name() -> None:
    for stage in ("route", "vote", "defence", "attack"):
        for name in index()[stage]:
            assert build(stage, name, {}).name == name


def test_no_stage_can_name_the_oracle() -> None:
    assert not any("oracle" in known for known in index().values())


def test_names_are_sorted() -> None:
    votes = ("majority", "mmsr", "one-coin", "reputation", "robust", "weighted")
    assert tuple(index()["vote"]) == votes
    assert names("vote") == tuple(sorted(names("vote")))


def test_the_index_is_what_the_code_registers() -> None:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kept = orjson.loads((REPOSITORY / "orchestra" / "components.json").read_bytes())
    assert kept == orjson.loads(orjson.dumps(module.component_index())), "run `make docs`"


def test_names_are_known_before_anything_is_imported() -> None:
    code = """
import sys
from orchestra.components import build, index
assert "robust" in index()["vote"]
assert not any(name.startswith("orchestra.voting") for name in sys.modules)
assert build("vote", "robust", {"faults": 1}).faults == 1
assert not any(name.startswith(("orchestra.routing", "orchestra.pipeline")) for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Options


@pytest.mark.parametrize(
    ("stage", "name", "options", "wanted"),
    [
        ("route", "symbolic", {"k": 5, "form": "released"}, Symbolic("released", 5)),
        ("route", "symbolic", {"temperature": 1}, Symbolic(temperature=1)),
        ("route", "complementary", {"aim": "any"}, Complementary(aim="any")),
        ("generate", "draft", {"calls": 3, "tolerance": 0}, Generate(3, tolerance=0)),
        ("tag", "lexical", {"map_threshold": None}, Tag("lexical", map_threshold=None)),
    ],
)
def test_options_are_set(stage: str, name: str, options: Mapping[str, Any], wanted: object) -> None:
    assert build(stage, name, options) == wanted


@pytest.mark.parametrize("value", ["3", 3.5, True, None, [3]])
def test_numbers_are_not_guessed_from_other_types(value: object) -> None:
    with pytest.raises(InputError, match="valid integer") as caught:
        build("route", "top-k", {"k": value}, place="file:3 route")
    assert caught.value.place == "file:3 route.top-k.k"


def test_all_wrong_options_at_once() -> None:
    with pytest.raises(InputErrors) as caught:
        build("route", "posterior", {"seat": 1, "seats": "x", "fit": 3})
    assert [error.place.rpartition(".")[2] for error in caught.value.errors] == [
        "seat",
        "seats",
        "fit",
    ]


@dataclass(frozen=True)
class Inner:
    """Options of an option."""

    weights: tuple[float, ...] = ()
    mode: Literal["fast", "slow"] = "fast"


@dataclass(frozen=True)
class Outer:
    """Options with a structure."""

    inner: Inner = Inner()
    others: tuple[Inner, ...] = ()
    file: Path | None = None
    tolerance: float = field(default=0.1, metadata={"identity": False})
    name: str = "outer"


def test_options_may_be_records_lists_and_paths(registry: None) -> None:
    component("vote", "outer")(Outer)
    data = {"inner": {"weights": [1, 2.5]}, "others": [{"mode": "slow"}], "file": "a.txt"}
    assert build("vote", "outer", data) == Outer(
        Inner((1.0, 2.5)), (Inner(mode="slow"),), Path("a.txt")
    )


def test_errors_inside_an_option_have_their_place(registry: None) -> None:
    component("vote", "outer")(Outer)
    data = {"inner": {"weights": ["x"]}, "others": [{}, {"mode": "slwo"}]}
    with pytest.raises(InputErrors) as caught:
        build("vote", "outer", data, place="f:2 vote")
    assert [error.place for error in caught.value.errors] == [
        "f:2 vote.outer.inner.weights[0]",
        "f:2 vote.outer.others[1].mode",
    ]


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ("top-k", ("top-k", {})),
        ({"top-k": None}, ("top-k", {})),
        ({"top-k": 3}, ("top-k", {"k": 3})),
        ({"top-k": {"k": 3}}, ("top-k", {"k": 3})),
        ({"symbolic": 4}, ("symbolic", {"k": 4})),
    ],
)
def test_parts(data: object, wanted: tuple[str, dict[str, Any]]) -> None:
    assert parts("route", data, place="") == wanted


@pytest.mark.parametrize("data", [None, 3, [], ["all"], {}, {"all": {}, "top-k": {}}, True])
def test_what_is_no_stage(data: object) -> None:
    with pytest.raises(InputError, match="a stage is `name`"):
        parts("route", data, place="file:3")


# Identity


def identity(stage: str, name: str, **options: Any) -> str:
    return find(stage, name).identity(build(stage, name, options))


def test_identity_is_of_name_version_and_options(registry: None) -> None:
    plain = identity("route", "top-k")
    assert plain == identity("route", "top-k", k=3), "a default that is written out"
    assert plain != identity("route", "top-k", k=4)
    assert plain != identity("route", "random"), "another name of equal options"
    assert find("route", "posterior").identity(Posterior(z=2)) == find(
        "route", "posterior"
    ).identity(Posterior(z=2.0))
    component("vote", "outer")(Outer)
    first = identity("vote", "outer")
    components._REGISTERED["vote"].pop("outer")
    component("vote", "outer", version=2)(Outer)
    assert identity("vote", "outer") != first


def test_an_option_of_no_identity_is_left_out(registry: None) -> None:
    component("vote", "outer")(Outer)
    assert identity("vote", "outer", tolerance=0.5) == identity("vote", "outer")
    assert identity("generate", "draft", tolerance=1.0) == identity("generate", "draft")


def test_a_file_counts_by_its_content(registry: None, tmp_path: Path) -> None:
    component("vote", "outer")(Outer)
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("x")
    second.write_text("x")
    assert identity("vote", "outer", file=str(first)) == identity("vote", "outer", file=str(second))
    second.write_text("y")
    assert identity("vote", "outer", file=str(first)) != identity("vote", "outer", file=str(second))
    with pytest.raises(InputError, match="cannot be read"):
        identity("vote", "outer", file=str(tmp_path / "none"))


def test_identities_do_not_depend_on_the_process() -> None:
    """Literals: a changed one makes finished runs start anew, and needs a line in CHANGELOG."""
    assert identity("vote", "robust", faults=1) == "57b63855144299f99edd3a125cc8a517"


# Names that cannot be registered


def test_a_name_stands_for_one_class(registry: None) -> None:
    component("vote", "outer")(Outer)
    component("vote", "outer")(Outer)
    with pytest.raises(InputError, match=r"`vote.outer` is registered twice"):
        component("vote", "outer")(Inner)


def test_shipped_names_cannot_be_replaced(registry: None) -> None:
    components._REGISTERED["vote"].pop("robust", None)
    with pytest.raises(InputError, match=r"`vote.robust` of `.*Outer` is a name of orchestra's"):
        component("vote", "robust")(Outer)


def test_what_cannot_be_a_component() -> None:
    @dataclass
    class Mutable:
        pass

    with pytest.raises(TypeError, match="no frozen dataclass"):
        component("vote", "mutable")(Mutable)
    with pytest.raises(TypeError, match="no option `power`"):
        component("vote", "outer", argument="power")(Outer)
    with pytest.raises(InputError, match=r"(?s)unknown stage of components: 'votes'.*`vote`"):
        component("votes", "outer")(Outer)


# Other distributions


def test_a_component_of_another_distribution(site: Path) -> None:
    install(site, "tiny", "tiny_votes", voter("mine"), "vote.mine = tiny_votes:Voter")
    assert "mine" in names("vote")
    assert "tiny_votes" not in sys.modules, "names are listed without loading"
    assert build("vote", "mine", {"power": 2}).power == 2
    assert parts("vote", {"mine": 3}, place="") == ("mine", {"power": 3})
    assert origin("vote", "mine") == "tiny 1.0"
    assert origin("vote", "robust") == "orchestra"


def test_an_unknown_name_has_near_names_of_all_distributions(site: Path) -> None:
    install(site, "tiny", "tiny_votes", voter("mine"), "vote.mine = tiny_votes:Voter")
    with pytest.raises(InputError, match="unknown vote: 'mien'") as caught:
        build("vote", "mien", {})
    assert "did you mean `mine`" in caught.value.hint


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import no_such_module", "cannot be loaded: ModuleNotFoundError"),
        ("Voter = 1", "registers no component `vote.mine`"),
        (voter("other"), "registers no component `vote.mine`"),
        (voter("robust"), "is a name of orchestra's own"),
    ],
)
def test_a_distribution_that_is_broken(site: Path, code: str, says: str) -> None:
    install(site, "tiny", "tiny_votes", code, "vote.mine = tiny_votes:Voter")
    with pytest.raises(InputError, match=says) as caught:
        build("vote", "mine", {}, place="f:3 vote")
    assert caught.value.place == "f:3 vote"
    assert "tiny 1.0" in str(caught.value)


def test_a_shipped_name_of_another_distribution_is_ignored(site: Path) -> None:
    install(site, "tiny", "tiny_votes", voter("robust"), "vote.robust = tiny_votes:Voter")
    assert build("vote", "robust", {}).faults is None
    assert [each.problem for each in installed()] == ["a name of orchestra's own"]


def test_two_distributions_with_one_name(site: Path) -> None:
    install(site, "tiny", "tiny_votes", voter("mine"), "vote.mine = tiny_votes:Voter")
    install(site, "small", "small_votes", voter("mine"), "vote.mine = small_votes:Voter")
    assert [(each.distribution, each.problem) for each in installed()] == [
        ("small 1.0", "declared more than once"),
        ("tiny 1.0", "declared more than once"),
    ]
    with pytest.raises(InputError, match="by `small 1.0` and `tiny 1.0`"):
        build("vote", "mine", {})


def test_an_entry_point_of_no_stage(site: Path) -> None:
    install(site, "tiny", "tiny_votes", voter("mine"), "votes.mine = tiny_votes:Voter")
    assert [each.problem for each in installed()] == ["unknown stage"]


def test_a_module_that_the_index_does_not_know_is_found(
    registry: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = deepcopy(dict(index()))
    del older["vote"]["robust"]  # type: ignore[attr-defined]
    monkeypatch.setattr(components, "index", lambda: older)
    assert find("vote", "robust").shipped
