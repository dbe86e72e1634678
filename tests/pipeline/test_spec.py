"""Pipeline files: every form a stage may take, and every mistake with its place, all at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import yaml
from jsonschema import Draft202012Validator

from orchestra.errors import InputError, InputErrors
from orchestra.pipeline import (
    Generate,
    Tag,
    load_spec,
    pipeline_schema,
    rebuild,
    shipped_pipelines,
)
from orchestra.pipeline.stage_graph import draw, stage_graph
from orchestra.routing import Everybody, Posterior, RandomK, TopK
from orchestra.runs import Budget
from orchestra.voting import Majority, Robust, Weighted

if TYPE_CHECKING:
    from tests.conftest import Builder

REPOSITORY = Path(__file__).resolve().parents[2]
HEAD = "schema: 1\nname: mine\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("line", "stage", "wanted"),
    [
        ("route: all", "route", Everybody()),
        ("route: {all: }", "route", Everybody()),
        ("route: {all: {}}", "route", Everybody()),
        ("route: {top-k: 4}", "route", TopK(4)),
        ("route: {top-k: {k: 4}}", "route", TopK(4)),
        ("route: single-best", "route", TopK(1, "single-best")),
        ("route: {random: 2}", "route", RandomK(2)),
        ("route: {posterior: 3}", "route", Posterior(3)),
        ("route: {posterior: {seats: 3, by: lower, z: 2}}", "route", Posterior(3, "lower", z=2)),
        ("generate: draft", "generate", Generate()),
        ("generate: {draft: 2}", "generate", Generate(2)),
        (
            "generate: {draft: {next_if_absent: true, read: official}}",
            "generate",
            Generate(next_if_absent=True, read="official"),
        ),
        ("vote: majority", "vote", Majority()),
        ("vote: weighted", "vote", Weighted()),
        ("tag: category", "tag", Tag("category")),
        ("tag: {lexical: 3}", "tag", Tag("lexical", most=3)),
        ("tag: {embedding: lexical}", "tag", Tag("embedding", "lexical")),
        (
            "tag: {keywords: {model: gpt, map_threshold: null}}",
            "tag",
            Tag("keywords", "gpt", map_threshold=None),
        ),
    ],
)
def test_each_form_of_a_stage(tmp_path: Path, line: str, stage: str, wanted: object) -> None:
    spec = load_spec(write(tmp_path, f"{HEAD}{line}\n"))
    assert getattr(spec, stage) == wanted


def test_what_a_file_leaves_out_is_the_default(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, HEAD))
    assert (spec.tag, spec.route, spec.generate, spec.vote) == (
        Tag("as-profiled"),
        Posterior(),
        Generate(),
        Robust(),
    )
    assert (spec.seed, spec.budget, spec.budget_file) == (0, Budget(), None)


WRONG: list[tuple[str, list[tuple[str, str, str]]]] = [
    # lines after the head; then (place, what is said, a near name or hint) of each error
    ("rout: all", [(":3 rout", "unknown key: 'rout'", "did you mean `route`")]),
    ("route: topk", [(":3 route", "unknown route: 'topk'", "did you mean `top-k`")]),
    ("vote: {majorty: {}}", [(":3 vote", "unknown vote: 'majorty'", "`majority`")]),
    ("tag: lexcal", [(":3 tag", "unknown tag: 'lexcal'", "`lexical`")]),
    ("generate: drafts", [(":3 generate", "unknown generate: 'drafts'", "`draft`")]),
    ("route: {posterior: {seat: 3}}", [(".posterior.seat", "unknown option", "`seats`")]),
    ("route: {all: 3}", [(":3 route", "`all` takes no argument", "")]),
    ("vote: {majority: 1}", [(":3 vote", "`majority` takes no argument", "")]),
    ("route: [all]", [(":3 route", "a stage is `name`", "")]),
    ("route: {all: {}, top-k: 2}", [(":3 route", "a stage is `name`", "")]),
    ("route:", [(":3 route", "a stage is `name`", "")]),
    ("route: {top-k: 0}", [(":3 route", "`k` is at least 1", "")]),
    ("route: {random: -1}", [(":3 route", "`k` is at least 1", "")]),
    ("route: {top-k: two}", [(":3 route.top-k.k", "valid integer", "")]),
    ("route: {posterior: {fit: 1}}", [("route.posterior.fit", "valid boolean", "")]),
    ("route: {posterior: {by: men}}", [(":3 route", "unknown belief: 'men'", "`mean`")]),
    ("route: {posterior: {reserves: -1}}", [(":3 route", "`reserves` at least 0", "")]),
    ("route: {posterior: {z: .nan}}", [(":3 route", "finite", "")]),
    ("route: {symbolic: {temperature: .nan}}", [(":3 route", "`temperature` above 0", "")]),
    ("generate: {draft: {calls: 0}}", [(":3 generate", "`calls` is at least 1", "")]),
    ("generate: {draft: {tolerance: .nan}}", [(":3 generate", "`tolerance`", "")]),
    ("generate: {draft: {read: statd}}", [(":3 generate", "unknown answer cascade", "`stated`")]),
    ("tag: {embedding: {threshold: 2.0}}", [(":3 tag", "`threshold`", "")]),
    ("tag: {category: {model: x}}", [("tag.category.model", "unknown option: 'model'", "none")]),
    ("vote: {weighted: {name: x}}", [("vote.weighted.name", "unknown option: 'name'", "none")]),
    ("budget: {call: 5}", [(":3 budget.call", "unknown key: 'call'", "did you mean `calls`")]),
    ("budget: {calls: 0}", [(":3 budget.calls", "at least 1", "")]),
    ("budget: 5", [(":3 budget", "must be a mapping", "")]),
    ("seed: x", [(":3 seed", "must be a whole number", "")]),
    (
        "route: {posterior: {seat: 3, rserves: 2}}\nvote: majorty\nextra: 1\nseed: x\n"
        "generate: {draft: {calls: 2.5}}",
        [
            ("route.posterior.seat", "unknown option", "`seats`"),
            ("route.posterior.rserves", "unknown option", "`reserves`"),
            (":4 vote", "unknown vote", "`majority`"),
            (":5 extra", "unknown key", "allowed"),
            (":6 seed", "whole number", ""),
            (":7 generate.draft.calls", "valid integer", ""),
        ],
    ),
]


@pytest.mark.parametrize(("lines", "wanted"), WRONG)
def test_every_mistake_is_told_with_its_place(
    tmp_path: Path, lines: str, wanted: list[tuple[str, str, str]]
) -> None:
    path = write(tmp_path, f"{HEAD}{lines}\n")
    with pytest.raises(InputError) as caught:
        load_spec(path)
    found = caught.value.errors if isinstance(caught.value, InputErrors) else (caught.value,)
    assert len(found) == len(wanted)
    for place, says, hint in wanted:
        assert any(
            place in error.place
            and error.place.startswith(str(path))
            and says in error.message
            and hint in error.hint
            for error in found
        ), (place, says, hint, [str(error) for error in found])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("[1]", "must be a mapping"),
        ("name: mine\n", "`schema` is missing"),
        ("schema: 2\nname: mine\n", "`schema` must be at most 1"),
        ("schema: 1\n", "`name` is missing"),
        ("schema: 1\nname: [", "not YAML"),
        ("schema: 1\nname: ''\n", "`name`"),
    ],
)
def test_files_that_are_no_pipeline(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_spec(write(tmp_path, text))


def test_a_name_that_is_not_shipped() -> None:
    with pytest.raises(InputError, match="unknown pipeline: 'orchestr'") as caught:
        load_spec("orchestr")
    assert "did you mean `orchestra`" in caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_spec(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("settings", "stage", "wanted"),
    [
        (["route.seats=2"], "route", Posterior(2)),
        (["route.seats=2", "route.by=lower"], "route", Posterior(2, "lower")),
        (["route=all"], "route", Everybody()),
        (["route={top-k: 2}"], "route", TopK(2)),
        (["route=top-k", "route.k=5"], "route", TopK(5)),
        (["vote=majority"], "vote", Majority()),
        (["generate.next_if_absent=true"], "generate", Generate(next_if_absent=True)),
        (["seed=7"], "seed", 7),
        (["budget.calls=9"], "budget", Budget(calls=9)),
        (["budget={calls: 9}"], "budget", Budget(calls=9)),
    ],
)
def test_settings_change_a_file(
    tmp_path: Path, settings: list[str], stage: str, wanted: object
) -> None:
    assert getattr(load_spec(write(tmp_path, HEAD), overrides=settings), stage) == wanted


def test_a_setting_keeps_the_other_options_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "route: {posterior: {by: lower, z: 2}}\n")
    assert load_spec(path, overrides=["route.seats=2"]).route == Posterior(2, "lower", z=2)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("route.seats", "not a setting"),
        ("=3", "not a setting"),
        ("rout.seats=3", "not a setting"),
        ("name=x", "not a setting"),
        ("seed.x=3", "`seed` has no options"),
        ("route.seats=[", "not YAML"),
        ("route.seat=3", "unknown option: 'seat'"),
        ("route.=3", "unknown option: ''|a stage is"),
        ("route=", "a stage is"),
        ("vote.x=1", "unknown option: 'x'"),
        ("budget.calls=no", "whole number"),
        ("budget=3", "must be a mapping"),
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, setting: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_spec(write(tmp_path, HEAD), overrides=[setting])


def test_wrong_settings_and_a_wrong_file_are_told_together(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "vote: majorty\nbudget: 5\n")
    with pytest.raises(InputErrors) as caught:
        load_spec(path, overrides=["a=1", "b.c", "route.seat=3"])
    assert len(caught.value.errors) == 5


def test_a_wrong_budget_is_mended_by_a_setting(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "budget: 5\n")
    assert load_spec(path, overrides=["budget.calls=3"]).budget.calls == 3


# The digest: whatever changes decisions, and nothing else


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ("route: {top-k: 4}", "route: {top-k: {k: 4}}", True),
        ("name: other", "description: text", True),
        ("budget: {calls: 5}", "budget: {calls: 50}", True),
        ("route: {top-k: 4}", "route: {top-k: 3}", False),
        ("vote: majority", "vote: weighted", False),
        ("generate: {draft: {read: strict}}", "generate: {draft: {read: official}}", False),
        ("tag: lexical", "tag: {lexical: 4}", False),
    ],
)
def test_digest(tmp_path: Path, first: str, second: str, alike: bool) -> None:
    def told(line: str) -> str:
        head = "schema: 1\n" if line.startswith("name") else HEAD
        return load_spec(write(tmp_path, f"{head}{line}\n")).digest

    assert (told(first) == told(second)) is alike


def test_rebuilt_from_its_data(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, HEAD + "route: {top-k: 4}\n"), overrides=["vote=majority"])
    again = rebuild(orjson.loads(orjson.dumps(spec.data)), "manifest")
    assert again == spec
    assert again.digest == spec.digest


# What is shipped, and the schema


def test_what_is_shipped() -> None:
    assert list(shipped_pipelines()) == [
        "majority",
        "orchestra",
        "robust",
        "robust-f1",
        "robust-f2",
        "single-best",
        "symbolic-moe",
        "symbolic-moe-released",
    ]


@pytest.mark.parametrize("name", shipped_pipelines())
def test_a_shipped_pipeline_is_named_as_its_file_and_described(name: str) -> None:
    spec = load_spec(name)
    assert spec.name == name
    assert spec.description
    assert spec.generate.calls <= 5 or name in ("majority", "robust", "robust-f1", "robust-f2")


def checker() -> Draft202012Validator:
    Draft202012Validator.check_schema(pipeline_schema())
    return Draft202012Validator(pipeline_schema())


def test_the_schema_file_is_the_generated_one() -> None:
    kept = orjson.loads((REPOSITORY / "pipelines" / "schema.json").read_bytes())
    assert kept == pipeline_schema()


@pytest.mark.parametrize("name", shipped_pipelines())
def test_the_schema_takes_what_is_shipped(name: str) -> None:
    assert checker().is_valid(yaml.safe_load(shipped_pipelines()[name]))


@pytest.mark.parametrize(
    "lines",
    ["route: {all: }", "route: {top-k: 4}", "tag: {keywords: {model: gpt, map_threshold: null}}"],
)
def test_the_schema_takes_what_is_sound(lines: str) -> None:
    assert checker().is_valid(yaml.safe_load(f"{HEAD}{lines}\n"))


@pytest.mark.parametrize(
    "lines",
    [
        "rout: all",
        "route: topk",
        "route: {all: 3}",
        "route: {posterior: {seat: 3}}",
        "route: {posterior: {seats: three}}",
        "vote: [majority]",
        "budget: {call: 5}",
        "budget: {calls: 0}",
    ],
)
def test_the_schema_refuses_what_is_wrong(lines: str) -> None:
    assert not checker().is_valid(yaml.safe_load(f"{HEAD}{lines}\n"))


def test_a_file_written_as_json_is_read(build: Builder) -> None:
    stages: dict[str, Any] = {"route": {"top-k": 2}}
    assert load_spec(build.pipeline_file(**stages)).route == TopK(2)


# Stages as a list


LISTED = """\
stages:
  - tag: category
  - route: {top-k: 2}
  - generate: {draft: 2}
  - vote: majority
"""
TWICE = """\
stages:
  - tag
  - route: {top-k: 2}
  - repeat: {times: 2, stages: [generate: {draft: 2}, vote: majority]}
  - vote: weighted
"""


def labels(spec: Any) -> list[str]:
    return [each.label for each in spec.stages]


def test_keys_in_any_order_run_in_one_order(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, f"{HEAD}vote: majority\nroute: all\ntag: category\n"))
    assert labels(spec) == ["tag", "route", "generate", "vote", "synthesise"]
    assert draw(stage_graph(spec.stages)) == "tag -> route -> generate -> vote"


def test_a_list_of_stages_is_the_same_pipeline(tmp_path: Path) -> None:
    keyed = load_spec(
        write(
            tmp_path,
            f"{HEAD}tag: category\nroute: {{top-k: 2}}\ngenerate: {{draft: 2}}\nvote: majority",
        )
    )
    listed = load_spec(write(tmp_path, HEAD + LISTED))
    assert listed.digest == keyed.digest
    assert (listed.route, listed.vote, listed.generate) == (TopK(2), Majority(), Generate(2))
    assert listed.synthesise.kind == "none"


def test_stages_may_stand_twice_and_be_repeated(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, HEAD + TWICE))
    twice = ["tag", "route", "generate", "vote", "generate[1]", "vote[1]", "vote[2]"]
    assert labels(spec) == twice
    assert [each.occurrence for each in spec.stages if each.stage == "vote"] == [0, 1, 2]
    assert spec.vote == Weighted()
    assert spec.tag == Tag("as-profiled")
    again = rebuild(orjson.loads(orjson.dumps(spec.data)), "manifest")
    assert (again, again.digest) == (spec, spec.digest)


@pytest.mark.parametrize(
    ("setting", "calls"),
    [("generate.calls=4", (4, 4)), ("generate[1].calls=4", (2, 4)), ("generate[0]=draft", (5, 2))],
)
def test_settings_of_occurrences(tmp_path: Path, setting: str, calls: tuple[int, int]) -> None:
    spec = load_spec(write(tmp_path, HEAD + TWICE), overrides=[setting])
    assert tuple(each.options.calls for each in spec.stages if each.stage == "generate") == calls
    assert rebuild(spec.data, "manifest") == spec


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("generate[2].calls=4", "the pipeline has 2 of the stage `generate`"),
        ("synthesise=none", "the pipeline has 0 of the stage `synthesise`"),
        ("seed[1]=4", "`seed` stands once"),
        ("generate[x].calls=4", "not a setting"),
    ],
)
def test_settings_of_no_occurrence(tmp_path: Path, setting: str, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)):
        load_spec(write(tmp_path, HEAD + TWICE), overrides=[setting])


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("stages: []", [("stages", "must not be empty")]),
        ("stages: all", [(":3 stages", "`stages` must be a list")]),
        ("stages: [3]", [(":3 stages[0]", "an item is one stage")]),
        ("stages: [{tag: category, route: all}]", [("stages[0]", "an item is one stage")]),
        ("stages: [{rout: all}]", [("stages[0].rout", "unknown stage: 'rout'")]),
        (
            "stages:\n - tag\n - vote: {robust: {fault: 1}}\n - route: {top-k: x}",
            [
                (":5 stages[1].vote.robust.fault", "unknown option"),
                (":6 stages[2].route.top-k.k", "valid integer"),
            ],
        ),
        (
            "vote: majority\nstages: [tag, route, generate]",
            [(":3 vote", "`vote` stands beside `stages`")],
        ),
        (
            "stages:\n  - generate: draft\n  - vote: majority",
            [
                (
                    ":4 stages[0].generate",
                    "`generate` reads `plans`, which no stage before it writes",
                ),
                (":5 stages[1].vote", "`vote` reads `plans`"),
            ],
        ),
        ("stages: [tag, route, generate]", [(":3 stages", "no stage decides")]),
        ("stages: [repeat: {times: 0, stages: [tag]}]", [("[0].repeat", "`times` is a whole")]),
        ("stages: [repeat: {times: true, stages: [tag]}]", [("[0].repeat", "`times` is a")]),
        ("stages: [repeat: {times: 2}]", [("[0].repeat", "`stages` of `repeat` is a list")]),
        (
            "stages: [repeat: {times: 2, stages: [tag], time: 1}]",
            [("[0].repeat.time", "unknown key: 'time'")],
        ),
        (
            "stages: [repeat: {times: 100, stages: [repeat: {times: 100, stages: [tag]}]}]",
            [("[0].repeat", "more than 1000 stages")],
        ),
    ],
)
def test_lists_that_are_wrong(tmp_path: Path, lines: str, wanted: list[tuple[str, str]]) -> None:
    with pytest.raises(InputError) as caught:
        load_spec(write(tmp_path, f"{HEAD}{lines}\n"))
    found = caught.value.errors if isinstance(caught.value, InputErrors) else (caught.value,)
    assert len(found) == len(wanted), [str(error) for error in found]
    for (place, says), error in zip(wanted, found, strict=True):
        assert place in error.place
        assert says in error.message


def test_a_graph_that_branches_is_drawn_as_a_tree(tmp_path: Path) -> None:
    text = HEAD + LISTED.replace("  - vote: majority\n", "  - vote: majority\n  - vote: robust\n")
    drawn = draw(stage_graph(load_spec(write(tmp_path, text)).stages))
    assert len(drawn.splitlines()) == 5
    assert sorted(re.findall(r"[a-z]+(?:\[1\])?", drawn)) == [
        "generate",
        "route",
        "tag",
        "vote",
        "vote[1]",
    ]


@pytest.mark.parametrize("lines", [LISTED, TWICE])
def test_the_schema_takes_lists(lines: str) -> None:
    assert checker().is_valid(yaml.safe_load(HEAD + lines))


@pytest.mark.parametrize(
    "lines",
    [
        "stages: []",
        "stages: [{tag: category, route: all}]",
        "stages: [rout]",
        "stages: [route: topk]",
        "stages: [repeat: {times: 2}]",
        "stages: [tag]\nvote: majority",
    ],
)
def test_the_schema_refuses_wrong_lists(lines: str) -> None:
    assert not checker().is_valid(yaml.safe_load(f"{HEAD}{lines}\n"))
