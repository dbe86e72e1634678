"""Another distribution adds a voter, a stage, a worker kind, an attack and a benchmark.

`examples/extension` is put where Python finds it, with the entry points of its `pyproject.toml`,
as an installer leaves it; nothing else of this repository knows its names.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import yaml
from click.testing import CliRunner

from orchestra import components
from orchestra.cli import main
from orchestra.components import build
from orchestra.errors import InputError
from orchestra.evals import Item, load_dataset, profile_experts
from orchestra.pipeline import Pipeline, load_spec, tag_like
from orchestra.redteam import Sweep, attack_named, attacks_of, defences_of, redteam_run
from orchestra.roster import Roster
from orchestra.workers.pool import WorkerPool

if TYPE_CHECKING:
    from tests.conftest import Builder

REPOSITORY = Path(__file__).resolve().parents[1]
EXTENSION = REPOSITORY / "examples" / "extension"
PAGE = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8")
ROSTER = """\
schema: 1
defaults: {worker: parrot}
experts:
  - {name: first, model: m, engine: {says: A}}
  - {name: second, model: m, engine: {says: B}}
  - {name: third, model: m, engine: {says: B}}
"""


def place(site: Path) -> Path:
    """Put the distribution into a folder, as an installer does."""
    shutil.copytree(EXTENSION / "tiny_orchestra", site / "tiny_orchestra")
    project = tomllib.loads((EXTENSION / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"tiny_orchestra-{project['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    points = project["entry-points"][components.GROUP].items()
    lines = "\n".join(f"{name} = {value}" for name, value in points)
    (info / "entry_points.txt").write_text(f"[{components.GROUP}]\n{lines}\n", encoding="utf-8")
    return site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: None) -> Iterator[Path]:
    """The folder; the distribution is gone after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(place(folder))
    yield folder
    for name in [name for name in sys.modules if name.startswith("tiny_orchestra")]:
        del sys.modules[name]


def pipeline(folder: Path, stages: list[Any]) -> Path:
    path = folder / "mine.yaml"
    data = {"schema": 1, "name": "mine", "stages": stages}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def drafted(*after: object) -> list[Any]:
    return [{"tag": "category"}, {"route": "all"}, {"generate": "draft"}, *after]


def decided(source: Path, items: list[Item]) -> list[str | None]:
    made = Pipeline.load(source, roster=Roster.loads(ROSTER))
    batch = asyncio.run(made.run([item.question for item in items]))
    return [decision.value for decision in batch.decisions]


def test_the_page_shows_the_whole_file_and_the_entry_points() -> None:
    shown = re.findall(r"^```(python|toml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    voter = (EXTENSION / "tiny_orchestra" / "voter.py").read_text(encoding="utf-8")
    assert ("python", voter) in shown
    project = (EXTENSION / "pyproject.toml").read_text(encoding="utf-8")
    assert [text in project for language, text in shown if language == "toml"] == [True]


def test_each_component_is_one_file() -> None:
    files = {path.stem for path in (EXTENSION / "tiny_orchestra").glob("[!_]*.py")}
    points = tomllib.loads((EXTENSION / "pyproject.toml").read_text(encoding="utf-8"))
    named = points["project"]["entry-points"][components.GROUP].values()
    assert sorted(value.rpartition(".")[2] for value in named) == sorted(files)


def test_the_pipeline_of_the_page(site: Path, tmp_path: Path) -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "seniors.yaml").write_text(shown[0], encoding="utf-8")
    spec = load_spec(tmp_path / "seniors.yaml")
    assert [each.label for each in spec.stages] == ["tag", "route", "generate", "support", "vote"]
    assert spec.vote.name == "senior"


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        ([{"vote": "majority"}], "B"),
        ([{"vote": {"senior": 3}}], "A"),
        ([{"vote": {"senior": {"weight": 1.5}}}], "B"),
        (["support", {"vote": {"senior": 3}}], "B"),
        ([{"support": {"least": 1}}, {"vote": {"senior": 3}}], "A"),
    ],
)
def test_voter_stage_and_worker_decide_together(
    site: Path, build: Builder, tmp_path: Path, after: list[Any], wanted: str
) -> None:
    assert decided(pipeline(tmp_path, drafted(*after)), build.items(3)) == [wanted] * 3


def test_settings_and_mistakes_are_those_of_any_component(site: Path, tmp_path: Path) -> None:
    source = pipeline(tmp_path, drafted("support", {"vote": {"senior": 3}}))
    plain = load_spec(source)
    changed = load_spec(source, overrides=["vote.weight=1.5", "support.least=3"])
    assert changed.digest != plain.digest == load_spec(source, overrides=["vote.weight=3.0"]).digest
    with pytest.raises(InputError) as caught:
        load_spec(source, overrides=["vote.wieght=2", "support.least=x"])
    assert "stages[3].support.least: Input should be a valid integer" in str(caught.value)
    assert "unknown option: 'wieght'" in str(caught.value)
    assert "did you mean `weight`" in str(caught.value)
    with pytest.raises(InputError, match="`weight` is above 0, not -1"):
        load_spec(source, overrides=["vote.weight=-1"])


def test_a_stage_that_reads_what_nobody_wrote_is_refused(site: Path, tmp_path: Path) -> None:
    stages = [{"tag": "category"}, {"route": "all"}, "support", {"generate": "draft"}]
    with pytest.raises(InputError, match=r"stages\[2\]: `support` reads `drafts`"):
        load_spec(pipeline(tmp_path, [*stages, {"vote": "majority"}]))


def test_the_worker_is_checked_with_the_roster(site: Path) -> None:
    roster = Roster.loads(ROSTER.replace(", engine: {says: A}", ""))
    with pytest.raises(InputError, match="expert `first`: a parrot needs"):
        WorkerPool().check(roster)
    assert not roster["second"].hosted


def test_the_attack_is_measured(site: Path, build: Builder, tmp_path: Path) -> None:
    attack = attack_named("contrarian")
    assert (attack.style, attack.only_split, attack.stage) == ("oppose", True, "generate")
    profile, test = build.items(30, prefix="p"), build.items(20)
    shares = {"a": 0.9, "b": 0.7, "c": 0.6}
    recordings = build.recordings(build.rows([*profile, *test], shares))
    roster = build.recorded(recordings, *shares)
    table = asyncio.run(profile_experts(roster, profile))
    made = Pipeline.load("majority", roster=roster, table=table)
    sweep = Sweep(attacks_of(["contrarian"]), (0, 1), seeds=1)
    out, ways = tmp_path / "redteam", defences_of(["senior:3", "majority"], made)
    report = asyncio.run(redteam_run(made, test, out, sweep=sweep, defences=ways)).report
    cells = {(cell["defence"], cell["faults"]): cell["attack"] for cell in report["cells"]}
    assert cells["senior:3.0", 1] == "contrarian"


def test_the_tagger_profiles_and_is_taken_up_again(site: Path, build: Builder) -> None:
    items = build.items(30)
    shares = {"a": 0.9, "b": 0.7, "c": 0.6}
    roster = build.recorded(build.recordings(build.rows(items, shares)), *shares)
    table = asyncio.run(profile_experts(roster, items, tagger="length:1"))
    assert table.provenance["tagger"] == "length:1"
    assert table.skills == ("long",)
    made = Pipeline.load("majority", roster=roster, table=table)
    briefs = asyncio.run(made.brief([item.question for item in items]))
    assert {skill for brief in briefs for skill, _ in brief.skills} == {"long"}


@pytest.mark.parametrize(
    ("name", "says"),
    [("length:x", "valid integer, not 'x'"), ("lenght", "did you mean `length`")],
)
def test_taggers_that_are_wrong(site: Path, name: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        tag_like(name)
    assert says in str(caught.value)


def test_the_benchmark_loads(site: Path) -> None:
    items = list(build("benchmark", "sums", {"size": 3}).load())
    assert len(items) == 3
    assert all(
        sum(map(int, re.findall(r"\d+", item.question.text))) == int(item.gold or "")
        for item in items
    )


def test_the_benchmark_has_a_name(site: Path) -> None:
    items = load_dataset("sums:30", seed=5, limit=4)
    assert len(items) == 4
    assert items.exam is not None
    assert (items.exam.benchmark, items.source["items_seed"]) == ("sums:30", 5)
    assert items != load_dataset("sums:30", seed=6, limit=4)
    assert len(load_dataset("sums")) == 100


def test_check_says_where_names_come_from(site: Path, tmp_path: Path) -> None:
    """In a process of its own, which knows the distribution by its entry points alone."""
    (tmp_path / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    source = pipeline(tmp_path, drafted("support", {"vote": {"senior": 3}}))
    path = os.pathsep.join([str(REPOSITORY), str(site)])
    done = subprocess.run(
        [sys.executable, "-m", "orchestra", "check", "--json", "roster.yaml", str(source)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    roster, spec = orjson.loads(done.stdout)["files"]
    assert spec["facts"]["stages"] == "tag -> route -> generate -> support -> vote"
    assert spec["facts"]["components of others"] == {
        "support": "tiny-orchestra 1.0",
        "senior": "tiny-orchestra 1.0",
    }
    assert roster["facts"]["workers"] == {"parrot": 3}
    assert roster["facts"]["components of others"] == {"parrot": "tiny-orchestra 1.0"}


def test_the_command_line_runs_them(site: Path, build: Builder, tmp_path: Path) -> None:
    (tmp_path / "roster.yaml").write_text(ROSTER, encoding="utf-8")
    items = tmp_path / "items.jsonl"
    rows = [
        {"question_id": f"q{n}", "question": f"Which is {n}?", "options": ["x", "y"], "answer": "B"}
        for n in range(4)
    ]
    items.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    source = pipeline(tmp_path, drafted("support", {"vote": {"senior": 3}}))
    words = ["--roster", str(tmp_path / "roster.yaml"), "--on", str(items), "--json"]
    out = str(tmp_path / "run")
    done = CliRunner().invoke(main, ["run", str(source), *words, "--out", out])
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout)["accuracy"] == 1.0
