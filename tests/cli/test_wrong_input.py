"""Every mistake a user can make: exit code 2, a message that helps, and nothing written over."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

World = Any
Write = Callable[[str, str], str]

ITEM = {"question_id": "a", "question": "Which?", "options": ["x", "y"], "answer": "A"}


def refused(world: World, *arguments: str) -> str:
    """What a command says that must refuse its input."""
    result = world.call(*arguments, "--json")
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    told: str = result.stderr
    return told


def rows(*items: dict[str, Any]) -> str:
    return "\n".join(json.dumps(item) for item in items)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("twice.jsonl", rows(ITEM, ITEM), "question_id 'a' stands already at"),
        ("gold.jsonl", rows({**ITEM, "answer": "C"}), "`answer` is none of AB: 'C'"),
        ("empty.jsonl", "", "is empty"),
        ("empty.parquet", "", "is empty"),
        ("odd.txt", "hello", "unknown file type"),
        ("broken.jsonl", "{", "is not JSON"),
    ],
)
@pytest.mark.parametrize("command", ["profile", "run", "plan"])
def test_unsound_items(
    world: World, write: Write, command: str, name: str, text: str, told: str
) -> None:
    given = ["--roster", world.path("roster.yaml"), "--on", write(name, text)]
    out = {"profile": ["--out", world.path("t.json")], "run": ["--out", world.path("r")]}
    pipeline = [] if command == "profile" else ["majority"]
    message = refused(world, command, *pipeline, *given, *out.get(command, []))
    assert told in message
    assert name in message
    assert not Path(world.path("t.json")).exists()
    assert not Path(world.path("r")).exists()


def test_a_parquet_with_a_wrong_column(world: World, tmp_path: Path) -> None:
    path = tmp_path / "wrong.parquet"
    pq.write_table(pa.table({"id": ["a"], "question": [3]}), path)
    message = refused(
        world, "profile", "-r", world.path("roster.yaml"), "--on", str(path), "-o", "t"
    )
    assert "`question` must be a string, not int 3" in message


def test_an_unknown_model(world: World) -> None:
    path = Path(world.path("roster.yaml"))
    path.write_text(path.read_text().replace("m-steady", "m-stedy"))
    message = refused(world, "profile", *world.inputs, "-o", world.path("t.json"))
    assert "unknown recorded model: 'm-stedy'" in message
    assert "did you mean `m-steady`" in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("schema: 1\nname: [", "broken.yaml"),
        ("schema: 1\nname: x\nvotes: majority\n", "votes"),
        ("schema: 1\nname: x\nroute: {posterior: {seets: 3}}\n", "did you mean `seats`"),
        ("schema: 1\nname: x\nvote: majorty\n", "did you mean `majority`"),
        ("", "broken.yaml"),
    ],
)
def test_a_pipeline_that_is_wrong(world: World, write: Write, text: str, told: str) -> None:
    given = [*world.inputs, "--out", world.path("run")]
    assert told in refused(world, "run", write("broken.yaml", text), *given)
    assert not Path(world.path("run")).exists()


def test_an_unknown_pipeline_is_told_with_near_names(world: World) -> None:
    given = [*world.inputs, "--out", world.path("run")]
    assert "did you mean `orchestra`" in refused(world, "run", "orchestr", *given)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_table_of_another_roster(finished: World, tmp_path: Path, command: str) -> None:
    given = ["-r", finished.path("other.yaml"), *finished.inputs[2:]]
    out = ["--out", str(tmp_path / "run")] if command == "run" else []
    message = refused(
        finished, command, "orchestra", *given, "-t", finished.path("table.json"), *out
    )
    assert "never seen 1 of the roster's 4 experts: `counter`" in message
    assert "--add-to" in message


def test_a_run_folder_of_another_command(finished: World) -> None:
    report = (finished.folder / "run" / "report.json").read_bytes()
    given = [*finished.inputs, "-t", finished.path("table.json"), "--out", finished.path("run")]
    message = refused(finished, "run", "majority", *given, "--rows", "rest")
    assert "another `pipeline` ('orchestra' there, 'majority' now)" in message
    assert "choose another --out" in message
    other = refused(finished, "profile", *finished.inputs, "--run", finished.path("run"), "-o", "t")
    assert "another" in other
    assert (finished.folder / "run" / "report.json").read_bytes() == report


@pytest.mark.parametrize("content", ["precious notes", "{}", '{"schema": 1}'])
def test_a_profile_never_writes_over_something_else(world: World, content: str) -> None:
    out = Path(world.path("mine.json"))
    out.write_text(content)
    message = refused(world, "profile", *world.inputs, "--out", str(out))
    assert "is not a recruitment table" in message
    assert out.read_text() == content


def test_a_failed_profile_leaves_the_old_table(finished: World, world: World) -> None:
    out = Path(world.path("table.json"))
    out.write_bytes((finished.folder / "table.json").read_bytes())
    before = out.read_bytes()
    Path(world.path("answers.jsonl")).write_text("")
    assert "is empty" in refused(world, "profile", *world.inputs, "--out", str(out))
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "RUN", "q1x"],
        ["show", "TABLE"],
        ["report", "FOLDER"],
        ["mark", "RUN", "--rule", "stricter"],
        ["mark", "RUN", "--on", "ROSTER"],
        ["compare", "RUN", "FOLDER"],
        ["export", "RUN", "--what", "decisions", "--to", "decisions.txt"],
        ["export", "RUN", "--what", "votes", "--to", "votes.csv"],
        ["table", "ROSTER"],
        ["table", "TABLE", "--skill", "sum"],
        ["route", "-r", "ROSTER", "-t", "TABLE", ""],
        ["route", "-r", "ROSTER", "-t", "TABLE", "What?", "--category", "sum"],
        ["route", "-r", "ROSTER", "-t", "TABLE", "--id", "q1"],
        ["route", "-r", "ROSTER", "-t", "TABLE", "What?", "--kind", "choice"],
        ["ask", "-r", "ROSTER", "--id", "q1x", "--on", "ITEMS"],
        ["plan", "orchestra", "-r", "ROSTER", "--on", "ITEMS", "--limit", "0"],
        ["plan", "orchestra", "-r", "ROSTER", "--on", "ITEMS", "--set", "route.seets=2"],
        ["plan", "orchestra", "-r", "ROSTER", "--on", "ITEMS", "--set", "nothing"],
        ["plan", "orchestra", "-r", "ROSTER", "--on", "ITEMS", "--devices", "0"],
        ["plan", "orchestra", "-r", "ROSTER", "--on", "ITEMS", "--host-memory", "-1"],
    ],
)
def test_what_other_commands_refuse(finished: World, tmp_path: Path, arguments: list[str]) -> None:
    names = {
        "RUN": "run", "TABLE": "table.json", "ROSTER": "roster.yaml", "ITEMS": "items.jsonl"
    }  # fmt: skip
    paths = {name: finished.path(file) for name, file in names.items()}
    paths["FOLDER"] = str(tmp_path)
    assert refused(finished, *(paths.get(each, each) for each in arguments))


def test_an_export_of_an_unfinished_run_says_so(finished: World, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.path("run"), run)
    manifest = run / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"finished"', '"interrupted"'))
    row = ("--what", "decisions", "--to", str(tmp_path / "d.csv"))
    told = finished.call("export", str(run), *row)
    assert (told.exit_code, "not finished (interrupted)" in told.stderr) == (0, True)
    assert "not finished" not in finished.call("export", finished.path("run"), *row).stderr


def test_questions_that_changed_since_the_run(finished: World, tmp_path: Path) -> None:
    changed = tmp_path / "items.jsonl"
    text = (finished.folder / "items.jsonl").read_text()
    changed.write_text(text.replace("How much is 5 times 6?", "How much is 6 times 5?"))
    message = refused(finished, "mark", finished.path("run"), "--on", str(changed))
    assert "changed since the run" in message


def test_questions_are_no_table(world: World) -> None:
    result = world.call("table", world.path("items.jsonl"))
    assert result.exit_code == 2
    assert "not a recruitment table" in result.stderr
    assert "`orchestra profile`" in result.stderr


def test_without_a_roster_the_project_file_is_named(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = world.call("run", "majority", "--on", world.path("items.jsonl"), "--out", "r")
    assert result.exit_code == 2
    assert "Missing option '--roster'" in result.stderr
    assert "`orchestra init`" in result.stderr


def test_check_lists_every_error_of_every_file(world: World, write: Write) -> None:
    files = [
        write("bad.jsonl", rows(ITEM, ITEM, {**ITEM, "question_id": "b", "answer": "Z"})),
        write("bad.yaml", "schema: 1\nname: x\nroute: nowhere\nvote: nobody\n"),
        write("roster.yaml", Path(world.path("roster.yaml")).read_text().replace("m-s", "m-z")),
        write("strange.yaml", "a: 1\n"),
        world.path("items.jsonl"),
        world.path("absent.json"),
    ]
    result = world.call("check", *files, "--json")
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    counts = [len(each["errors"]) for each in told["files"]]
    assert counts == [2, 2, 1, 1, 0, 1]
    assert told["errors"] == sum(counts)
    words = world.call("check", *files).stdout
    assert words.count("error:") == sum(counts)


def test_check_holds_prompts_against_context_windows(world: World, write: Write) -> None:
    text = (
        "schema: 1\nexperts:\n"
        "  - {name: tiny, worker: vllm, model: some/model, engine: {max_model_len: 64},\n"
        "     sampling: {max_tokens: 64}}\n"
        "  - {name: tight, worker: vllm, model: some/model, engine: {max_model_len: 80},\n"
        "     sampling: {max_tokens: 60}}\n"
    )
    result = world.call("check", write("r.yaml", text), world.path("items.jsonl"), "--json")
    told = json.loads(result.stdout)["files"][0]
    assert [error["message"][:40] for error in told["errors"]] == [
        f"{told['path']} (expert `tiny`): `max_tokens` 64"[:40]
    ]
    assert any("`tight`" in warning for warning in told["warnings"])


def test_check_warns_of_a_lopsided_key(world: World, write: Write) -> None:
    many = [{**ITEM, "question_id": str(n)} for n in range(200)]
    told = world.data("check", write("lopsided.jsonl", rows(*many)))
    assert "far from evenly spread" in told["files"][0]["warnings"][0]


REFUSED: list[tuple[list[str], dict[str, str], list[str]]] = [
    (["--set", "route.seats=2"], {}, ["`pipeline`", "pipeline.route.seats`: none there, 2 now"]),
    (["--set", "vote=majority"], {}, ["pipeline.vote.name`: 'robust' there, 'majority' now"]),
    (["--set", "generate.read=strict"], {}, ["pipeline.generate.read`: none there, 'strict' now"]),
    (["--limit", "5"], {}, ["items.questions`: 20 there, 5 now"]),
    (["--seed", "3"], {}, ["`seed` (0 there, 3 now)"]),
    (["--rows", "all"], {}, ["items.questions`: 20 there, 60 now", "items.digest"]),
    ([], {"m-adder": "m-steady"}, ["roster.adder.model`: 'm-adder' there, 'm-steady' now"]),
    ([], {"input: 1": "input: 3"}, ["roster.steady.price.input`: 1.0 there, 3.0 now"]),
    (
        [],
        {"name: steady,": "name: steady, system: Think,"},
        ["steady.system`: none there, 'Think'"],
    ),
    (
        [],
        {"name: mumbler,": "name: mumbler, family: f,"},
        ["roster.mumbler.family`: none there, 'f'"],
    ),
]


@pytest.mark.parametrize(("more", "changes", "words"), REFUSED)
def test_a_refused_run_folder_says_what_differs(
    finished: World, tmp_path: Path, more: list[str], changes: dict[str, str], words: list[str]
) -> None:
    roster = Path(finished.path("roster.yaml")).read_text()
    for old, new in changes.items():
        assert old in roster
        roster = roster.replace(old, new)
    own = finished.folder / f"{tmp_path.name}.yaml"  # beside its recordings
    own.write_text(roster)
    given = ["--roster", str(own), "--on", finished.path("items.jsonl"), "--rows", "rest", *more]
    table = ["--table", finished.path("table.json"), "--out", finished.path("run")]
    message = refused(finished, "run", "orchestra", *given, *table)
    assert all(word in message for word in words), message
    assert "choose another --out, or give what that run was given: orchestra run" in message


@pytest.mark.parametrize("seed", ["99999999999999999999", "-1", str(2**63), "x", "1.5", ""])
@pytest.mark.parametrize(
    "command",
    [["profile", "-o", "t"], ["run", "majority", "-o", "r"], ["plan", "majority"], ["demo"]],
    ids=lambda words: words[0],
)
def test_seeds_are_checked_before_anything_is_read(
    world: World, command: list[str], seed: str
) -> None:
    inputs = [] if command == ["demo"] else ["--roster", "nowhere.yaml", "--on", "nowhere.jsonl"]
    message = refused(world, *command, *inputs, f"--seed={seed}")
    assert "'--seed'" in message
    assert "nowhere" not in message.replace("--on nowhere.jsonl", "")
