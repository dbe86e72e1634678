"""What is compared, by the names that users type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestra.errors import InputError, InputErrors
from orchestra.pipeline import Pipeline, WorkerPool, load_spec
from orchestra.redteam import defences_of
from orchestra.redteam.defences import vote_name
from orchestra.synthesis import DEFENCES
from orchestra.voting import Majority, Robust, Voter, Weighted

if TYPE_CHECKING:
    from tests.conftest import Builder

USUAL = ["majority", "weighted", "one-coin", "mmsr", "reputation", "robust"]
MOA = "synthesise={moa: {aggregator: chief, subsets: 5}}"


def pipeline(build: Builder, *overrides: str) -> Pipeline:
    return Pipeline.load(
        "majority",
        roster=build.scripted("a", "chief", roles=["answer", "synthesise"]),
        workers=WorkerPool({name: lambda request: "" for name in ("a", "chief")}),
        overrides=overrides,
    )


@pytest.mark.parametrize(
    ("overrides", "names"),
    [
        ([], USUAL),
        (["vote=robust"], ["robust", *USUAL[:-1]]),
        (["vote={robust: 1}"], ["robust:1", *USUAL]),
        ([MOA], [*USUAL, "moa", *(name for name in DEFENCES if name != "none")]),
    ],
    ids=str,
)
def test_the_pipelines_own_vote_comes_first(
    build: Builder, overrides: list[str], names: list[str]
) -> None:
    defences = defences_of([], pipeline(build, *overrides))
    assert [each.name for each in defences] == names
    assert all((defence.voter is None) is not (defence.merging is None) for defence in defences)


def test_named_ways(build: Builder) -> None:
    defences = defences_of(["robust:2", "moa", "dropout-vote", "robust:2"], pipeline(build, MOA))
    assert [each.name for each in defences] == ["robust:2", "moa", "dropout-vote"]
    assert defences[0].voter == Robust(2)
    assert defences[0].names_suspects
    assert [defence.undefended for defence in defences] == [False, True, False]
    merging = defences[2].merging
    assert merging is not None
    assert (merging.defence, merging.subsets, merging.aggregator) == ("dropout-vote", 5, "chief")


@pytest.mark.parametrize(
    "name", ["robust", "robust:2", "majority", "mmsr", "moa", "cluster-prompt"]
)
def test_a_way_is_set_as_it_says(build: Builder, name: str) -> None:
    (defence,) = defences_of([name], pipeline(build, MOA))
    spec = load_spec("majority", overrides=[MOA, *defence.settings])
    assert defence.voter in (None, spec.vote)
    assert defence.merging in (None, spec.synthesise)
    assert (spec.synthesise.kind == "none") is (defence.voter is not None)
    assert defence.merging is None or spec.vote == Majority()


@pytest.mark.parametrize("names", [[], ["majority", "robust:1"]])
def test_without_an_aggregator_a_vote_is_all_that_is_set(build: Builder, names: list[str]) -> None:
    assert all(
        defence.settings == (defence.setting,) for defence in defences_of(names, pipeline(build))
    )


@pytest.mark.parametrize(
    ("voter", "name"),
    [
        (Majority(), "majority"),
        (Weighted(), "weighted"),
        (Robust(), "robust"),
        (Robust(0), "robust:0"),
    ],
)
def test_vote_names(voter: Voter, name: str) -> None:
    assert vote_name(voter) == name


def test_unknown_ways_all_at_once(build: Builder) -> None:
    with pytest.raises(InputErrors) as caught:
        defences_of(["robst", "majority:2", "robust:x", "moa", "robust:-1"], pipeline(build))
    told = [str(each) for each in caught.value.errors]
    assert [each.partition("\n")[0] for each in told] == [
        "--defence: unknown defence: 'robst'",
        "--defence: `majority` takes no argument, got 2",
        "--defence.robust.faults: Input should be a valid integer, not 'x'",
        "--defence: `moa` puts drafts together, and the pipeline has no `synthesise` stage",
        "--defence: `faults` is at least 0, not -1",
    ]
    assert "`robust`" in told[0]


@pytest.mark.parametrize(
    ("overrides", "hint"), [([MOA], "and the aggregator as `moa`"), ([], "stage: this has none")]
)
def test_no_defence_has_other_names(build: Builder, overrides: list[str], hint: str) -> None:
    with pytest.raises(InputError, match=f"unknown defence: 'none'\n.*`majority`.*{hint}"):
        defences_of(["none"], pipeline(build, *overrides))
