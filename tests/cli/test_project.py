"""The project file: what it stands for, where it is found, and what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestra.pipeline import find_project, read_project
from tests.cli.conftest import World

WHOLE = "schema: 1\nroster: roster.yaml\ntable: t.json\npipeline: majority\nbudget: {calls: 900}\n"


@pytest.fixture
def project(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world with a project file, seen from a folder below it."""
    (world.folder / "orchestra.yaml").write_text(WHOLE)
    (world.folder / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(world.folder / "deep" / "er")
    return world


def test_a_project_stands_for_the_options_of_the_same_names(project: World) -> None:
    on = ["--on", project.path("items.jsonl")]
    early = project.call("run", *on, "--rows", "rest", "--out", "early", "--json")
    assert early.exit_code == 0
    assert "t.json is not there yet" in early.stderr
    profiled = project.data("profile", *on, "--rows", "profile")
    assert profiled["table"] == project.path("t.json")
    assert set(profiled["project"]["values"]) == {"roster", "out", "budget", "cache"}
    ran = project.data("run", *on, "--rows", "rest", "--out", "run")
    assert ran["pipeline"] == "majority"
    told = {
        "file": project.path("orchestra.yaml"),
        "values": {
            "pipeline": "majority",
            "roster": project.path("roster.yaml"),
            "table": project.path("t.json"),
            "budget": ["calls=900"],
            "cache": project.path(".orchestra/cache.sqlite"),
        },
    }
    assert ran["project"] == told
    manifest = json.loads(Path("run", "manifest.json").read_text())
    assert manifest["details"]["project"] == told
    assert project.data("table")["table"] == project.path("t.json")
    assert project.data("plan", *on)["pipeline"] == "majority"
    routed = project.data("route", "How much is 2 plus 2?", "--category", "sums")
    assert routed["seats"]
    shown = project.data("report", "run")  # its table is the run's own
    assert "project" not in shown


def test_options_win(project: World) -> None:
    given = [*project.inputs, "--rows", "rest", "--budget", "calls=800", "--no-cache"]
    ran = project.data("run", "robust", *given, "--out", "run")
    assert ran["pipeline"] == "robust"
    assert ran["spending"]["budget"] == {"calls": 800}
    assert "project" not in ran or set(ran["project"]["values"]) <= {"cache", "table"}
    more = project.data("run", *given[:-3], "--budget", "tokens=900000", "--out", "more")
    assert more["spending"]["budget"] == {"calls": 900, "tokens": 900_000}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("roster: r.yaml\n", ["`schema` is missing"]),
        ("schema: 2\nroster: r.yaml\n", ["schema"]),
        ("schema: 1\nrostr: r.yaml\ntable: t\n", ["'rostr'", "`roster`"]),
        ("schema: 1\ntable: [t]\n", ["orchestra.yaml:2 table"]),
        ("schema: 1\nroster: ''\n", ["orchestra.yaml:2 roster"]),
        ("schema: 1\nroster: r\nbudget: {mony: 5}\n", ["'mony'", "`money`"]),
        ("schema: 1\nroster: r\nbudget: {money: -5}\n", ["budget.money"]),
        ("schema: 1\ncache: 5\n", ["cache"]),
        ("schema: 1\nroster: r\ntabel: t\npipline: p\n", ["'tabel'", "'pipline'"]),
        ("schema: 1\nroster: [\n", ["orchestra.yaml"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch, text: str, words: list[str]
) -> None:
    monkeypatch.chdir(world.folder)
    Path("orchestra.yaml").write_text(text)
    for command in (["table"], ["check", "orchestra.yaml"]):
        told = world.call(*command)
        assert told.exit_code == 2
        said = " ".join((told.stderr + told.stdout).split())
        assert all(word in said for word in words), said
    assert world.call("table", "--help").exit_code == 0


def test_check_sees_a_project_through(project: World) -> None:
    path = project.path("orchestra.yaml")
    (found,) = project.data("check", path)["files"]
    assert found["kind"] == "project"
    assert found["facts"]["budget"] == ["calls=900"]
    assert "t.json is not there yet" in found["warnings"][0]
    Path(path).write_text(WHOLE.replace("majority", "mine.yaml").replace("roster.yaml", "no.yaml"))
    told = project.call("check", path)
    assert told.exit_code == 2
    assert "mine.yaml" in told.stdout
    assert "no.yaml" in told.stdout


@pytest.mark.parametrize(
    ("text", "values", "budget"),
    [
        ("schema: 1\n", {"cache": "{}/.orchestra/cache.sqlite"}, ()),
        ("schema: 1\ncache: false\nroster: a/r.yaml\n", {"roster": "{}/a/r.yaml"}, ()),
        ("schema: 1\ncache: ../c.db\n", {"cache": "{}/../c.db"}, ()),
        ("schema: 1\ncache: false\ntable: /abs/t.json\n", {"table": "/abs/t.json"}, ()),
        ("schema: 1\ncache: false\npipeline: robust\n", {"pipeline": "robust"}, ()),
        ("schema: 1\ncache: false\npipeline: p.yaml\n", {"pipeline": "{}/p.yaml"}, ()),
        (
            "schema: 1\ncache: false\nbudget: {tokens: 9, file: b.db}\n",
            {},
            ("tokens=9", "file={}/b.db"),
        ),
    ],
)
def test_paths_start_from_the_project(
    tmp_path: Path, text: str, values: dict[str, str], budget: tuple[str, ...]
) -> None:
    path = tmp_path / "orchestra.yaml"
    path.write_text(text)
    found = read_project(path)
    assert dict(found.values) == {key: each.format(tmp_path) for key, each in values.items()}
    assert found.budget == tuple(each.format(tmp_path) for each in budget)


def test_the_nearest_project_counts_and_a_pipeline_of_its_name_is_none(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    above = tmp_path / "orchestra.yaml"
    above.write_text("schema: 1\nroster: r.yaml\n")
    assert find_project(inner) == above
    (inner / "orchestra.yaml").write_text("schema: 1\nname: mine\nroute: posterior\n")
    assert find_project(inner) == above
    (tmp_path / "a" / "orchestra.yaml").mkdir()
    assert find_project(inner) == above
    (inner / "orchestra.yaml").write_text("schema: 1\ncache: false\n")
    assert find_project(inner) == inner / "orchestra.yaml"
