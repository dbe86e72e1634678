"""Files that are cut off, damaged, enormous or something else: an error or a note, nothing lost."""

import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestra.cli.main import main
from orchestra.errors import InputError, OrchestraError
from orchestra.evals import load_dataset
from orchestra.evals.importers.gather import import_results
from orchestra.roster import Roster
from tests.evals.importers.test_formats import (
    RIVER,
    SUM,
    inspect_members,
    lines,
    lm_generated,
    lm_line,
    packed,
    pro_rows,
    pro_zip,
    whole,
)


def test_a_last_line_that_is_cut_off_is_said_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "samples_sums_2026-01-02T03-04-05.jsonl"
    rows = [lm_line(n, {"question": SUM, "answer": "42"}, [["42"]], target="42") for n in range(3)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text[:-40])
    found = import_results([path], tmp_path / "r.parquet")
    assert len(found.items) == 2
    assert "cut off" in found.notes[0]


def test_a_damaged_sample_of_an_archive_costs_that_sample_alone(tmp_path: Path) -> None:
    path = packed(tmp_path / "log.eval", inspect_members(), zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    at = data.index(b"ANSWER: A")
    data[at : at + 3] = b"XYZ"
    path.write_bytes(data)
    found = import_results([path], tmp_path / "r.parquet")
    assert pq.read_table(found.recordings)["output"].to_pylist() == ["ANSWER: B"]
    assert any("damaged" in note for note in found.notes)


def test_an_archive_that_is_cut_off_is_said_and_the_others_kept(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    whole_one = packed(tmp_path / "logs" / "a.eval", inspect_members(), zipfile.ZIP_DEFLATED)
    cut = tmp_path / "logs" / "b.eval"
    cut.write_bytes(whole_one.read_bytes()[:-40])
    found = import_results([tmp_path / "logs"], tmp_path / "r.parquet")
    assert found.models["p/tiny"].samples == 2
    assert "an archive that is cut off or damaged is left out (in b.eval)" in found.notes
    with pytest.raises(InputError, match="cut off"):
        import_results([cut], tmp_path / "r.parquet")


def test_a_member_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model_outputs_bomb_5shots.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.json", b"[" + b" " * (32 << 20) + b"]")
    with pytest.raises(InputError, match="unpacks to"):
        import_results([path], tmp_path / "r.parquet")
    assert not (tmp_path / "r.parquet").exists()


def test_an_archive_with_a_password_is_refused(tmp_path: Path) -> None:
    path = pro_zip(tmp_path)
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + flags] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        import_results([path], tmp_path / "r.parquet")


def test_a_file_that_is_read_is_not_replaced(tmp_path: Path) -> None:
    row = {"question_id": 1, "model": "m", "output": "A", "question": "Which?"}
    first = import_results([lines(tmp_path / "t.jsonl", [row])], tmp_path / "r.parquet")
    before = first.recordings.read_bytes()
    with pytest.raises(InputError, match="would be replaced"):
        import_results([tmp_path / "r.parquet"], tmp_path / "r.parquet", on=first.items)
    assert first.recordings.read_bytes() == before


def test_requests_beside_a_batch_and_counts_that_cannot_be(tmp_path: Path) -> None:
    asked = {"custom_id": "1", "method": "POST", "url": "/v1/x", "body": {"model": "m"}}
    told = {"choices": [{"message": {"content": "B"}}], "usage": {"prompt_tokens": 7}}
    answer = {"custom_id": "1", "response": {"status_code": 200, "body": told}, "error": None}
    paths = [lines(tmp_path / "in.jsonl", [asked]), lines(tmp_path / "out.jsonl", [answer])]
    paths[1].write_text(paths[1].read_text().replace("7", "7" * 400))
    found = import_results(paths, tmp_path / "r.parquet", on=ITEMS)
    assert pq.read_table(found.recordings)["prompt_tokens"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("options", "questions"), [(["a", " b", "c"], 1), (["b", "a", "c"], 2), (["a", "b", "d"], 2)]
)
def test_space_around_options_makes_no_other_question(
    tmp_path: Path, options: list[str], questions: int
) -> None:
    row = {**pro_rows("The answer is (B).")[0], "options": ["a", "b", "c"], "answer": "B"}
    paths = [
        whole(tmp_path / "model_outputs_m_5shots.json", [row]),
        whole(tmp_path / "model_outputs_n_5shots.json", [{**row, "options": options}]),
    ]
    assert len(import_results(paths, tmp_path / "r.parquet").items) == questions


@pytest.mark.parametrize(
    "rows",
    [
        [None],
        [3, "x", []],
        [{"question_id": None, "options": [], "model_outputs": "x"}],
        [{"question_id": {}, "options": "x", "model_outputs": ["x"]}],
        [{**pro_rows("x")[0], "options": 7}],
        [{**pro_rows("x")[0], "question": None}],
        [{**pro_rows("x")[0], "answer": "Q"}],
    ],
)
def test_unsound_rows_cost_themselves_alone(tmp_path: Path, rows: list[Any]) -> None:
    sound = {**pro_rows("The answer is (B).")[0], "question_id": 99}
    path = whole(tmp_path / "model_outputs_m_5shots.json", [sound, *rows])
    found = import_results([path], tmp_path / "r.parquet")
    assert [item.question.id for item in found.items] == ["mmlu_pro-99"]
    assert found.notes


def test_words_that_a_terminal_obeys_are_harmless(tmp_path: Path) -> None:
    name = "evil\x1b[31m[bold]name"
    row = {"question_id": 1, "model": name, "output": "\x1b]0;x\x07", "question": "\x1b[2J?"}
    path = lines(tmp_path / "t.jsonl", [row])
    out = CliRunner().invoke(main, ["import", str(path), "--to", str(tmp_path / "r.parquet"), "-q"])
    assert out.exit_code == 0
    assert "\x1b" not in out.output
    assert "[bold]" in out.output


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is of no known format"),
        ("hello", "is of no known format"),
        ("[]", "is of no known format"),
        ('{"a": 1}', "is of no known format"),
    ],
)
def test_other_files_are_refused_with_the_formats(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError, match=says) as raised:
        import_results([tmp_path / "x.json"], tmp_path / "r.parquet")
    assert "`lm-eval`" in raised.value.hint


def test_nothing_and_nowhere(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        import_results([tmp_path / "none"], tmp_path / "r.parquet")
    with pytest.raises(InputError, match="no file in this folder is of a known format"):
        import_results([tmp_path], tmp_path / "r.parquet")
    with pytest.raises(InputError, match="file type"):
        import_results([tmp_path], tmp_path / "r.csv")
    with pytest.raises(InputError, match="importer"):
        import_results([tmp_path], tmp_path / "r.parquet", format="lm_evil")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.data())
def test_no_log_breaks_an_importer(tmp_path: Path, data: st.DataObject) -> None:
    """Every field of every format may hold anything."""
    drawn = data.draw(JSON)
    at = data.draw(st.sampled_from(["lm", "pro", "inspect", "batch", "zero", "helm"]))
    name = data.draw(st.sampled_from(sorted(FIELDS[at])))
    base = json.loads(json.dumps(BASES[at]))
    base[name] = drawn
    text = json.dumps(base) if at in ("lm", "batch", "inspect", "helm") else json.dumps([base])
    path = tmp_path / {
        "lm": "samples_x.jsonl",
        "batch": "b.jsonl",
        "helm": "scenario_state.json",
    }.get(at, "model_outputs_x.json")
    path.write_text(text)
    with suppress(OrchestraError):
        import_results([path], tmp_path / "r.parquet", on=ITEMS)


ITEMS = list(load_dataset([{"question_id": "1", **RIVER, "answer": "B"}]))
BASES: dict[str, dict[str, Any]] = {
    "lm": lm_line(1, {"question": SUM, "answer": "42"}, [["42"]], arguments={}, target="42"),
    "pro": pro_rows("x")[0],
    "inspect": {"version": 2, "eval": {"task": "t", "model": "m"}, "results": {}, "samples": []},
    "batch": {"custom_id": "1", "response": {"status_code": 200, "body": {}}, "error": None},
    "zero": {
        "session_id": "1",
        "output": ["x"],
        "generator": "m",
        "model_input": "x",
        "choices": [],
    },
    "helm": {"adapter_spec": {"model": "m"}, "request_states": []},
}
FIELDS = {name: base.keys() for name, base in BASES.items()}


def test_the_command_writes_all_that_profile_needs(tmp_path: Path) -> None:
    source, out = lm_generated(tmp_path), tmp_path / "mine"
    paths = [str(out / name) for name in ("r.parquet", "items.jsonl", "roster.yaml")]
    arguments = ["import", str(source), str(pro_zip(tmp_path)), "--to", paths[0]]
    told = CliRunner().invoke(
        main, [*arguments, "--items", paths[1], "--roster", paths[2], "--json", "-q"]
    )
    assert told.exit_code == 0, told.output
    content = json.loads(told.output)
    assert content["formats"] == {"lm-eval": 2, "mmlu-pro": 1}
    assert content["models"]["org/tiny"]["accuracy"]["n"] == 3
    assert content["written"] == paths
    assert Roster.load(paths[2]).names == ("Tiny-7B", "org/tiny")
    assert len(load_dataset(paths[1])) == 4
    table = str(out / "table.json")
    profiled = CliRunner().invoke(
        main,
        ["profile", "-r", paths[2], "--on", paths[1], "--out", table, "--tolerance", "1", "-q"],
    )
    assert profiled.exit_code == 0, profiled.output
