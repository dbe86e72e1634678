"""Tiny logs in the format of each tool, as it writes them."""

import json
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from orchestra.errors import InputError
from orchestra.evals.importers.gather import Imports, import_results
from orchestra.records import Kind

Write = Callable[[Path], Path]

RIVER = {"question": "Which river is longest?", "options": ["Po", "Nile", "Rhine"]}
SUM = "What is 40 + 2?"


def lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def whole(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def taken(source: Path, tmp_path: Path, **options: Any) -> Imports:
    return import_results([source], tmp_path / "recordings.parquet", **options)


def texts(found: Imports) -> list[tuple[str, str, int, str]]:
    rows = pq.read_table(found.recordings).to_pylist()
    return [(r["question_id"], r["model"], r["sample_index"], r["output"]) for r in rows]


# lm-evaluation-harness


def lm_line(doc_id: int, doc: dict[str, Any], resps: Any, **more: Any) -> dict[str, Any]:
    return {"doc_id": doc_id, "doc": doc, "resps": resps, "filter": "strict", **more}


def lm_generated(tmp_path: Path) -> Path:
    folder = tmp_path / "out" / "org__tiny"
    whole(
        folder / "results_2026-01-02T03-04-05.000001.json",
        {
            "model_name": "org/tiny",
            "results": {
                "sums": {"alias": "sums", "exact_match,strict": 0.5, "x_stderr,strict": 0.1}
            },
            "n-samples": {"sums": {"original": 2, "effective": 2}},
            "config": {"model_args": "pretrained=org/tiny"},
        },
    )
    doc, other = {"question": SUM, "answer": "#### 42"}, {"question": "7 - 9?", "answer": "#### -2"}
    rows = [
        lm_line(0, doc, [["The answer is 42.", "The answer is 41."]], target="42"),
        lm_line(0, doc, [["The answer is 42.", "The answer is 41."]], target="42")
        | {"filter": "flexible"},
        lm_line(1, other, [["The answer is 5."]], target="-2"),
    ]
    lines(folder / "samples_sums_2026-01-02T03-04-05.000001.jsonl", rows)
    return tmp_path / "out"


def lm_likelihood(tmp_path: Path) -> Path:
    doc = {"query": "Rivers: which is longest?", "gold": 1, "choices": RIVER["options"]}
    arguments = {
        f"gen_args_{i}": {"arg_0": "Which?", "arg_1": f" {o}"}
        for i, o in enumerate(RIVER["options"])
    }
    resps = [[["-7.1", "False"]], [["-2.5", "True"]], [["-9.0", "False"]]]
    row = lm_line(3, doc, resps, arguments=arguments, target="1")
    return lines(tmp_path / "samples_rivers_2026-01-02T03-04-05.jsonl", [row])


def test_generated_answers_of_lm_eval(tmp_path: Path) -> None:
    found = taken(lm_generated(tmp_path), tmp_path)
    assert texts(found) == [
        ("sums-0", "org/tiny", 0, "The answer is 42."),
        ("sums-0", "org/tiny", 1, "The answer is 41."),
        ("sums-1", "org/tiny", 0, "The answer is 5."),
    ]
    assert [(i.question.kind, i.gold) for i in found.items] == [
        (Kind.NUMBER, "42"),
        (Kind.NUMBER, "-2"),
    ]
    assert [(s.metric, s.value, s.n) for s in found.stated] == [("exact_match,strict", 0.5, 2)]
    told = found.accuracy()["org/tiny"]
    assert (told.n, told.right, told.absent) == (3, 1, 0)


def test_choices_by_likelihood_of_lm_eval(tmp_path: Path) -> None:
    found = taken(lm_likelihood(tmp_path), tmp_path)
    assert texts(found)[0][3] == "The answer is (B)."
    assert found.items[0].gold == "B"
    assert "log-likelihood" in found.notes[0]


# MMLU-Pro


def pro_rows(*texts: str | None, **more: Any) -> list[dict[str, Any]]:
    return [
        {"question_id": n, **RIVER, "answer": "B", "answer_index": 1, "category": "geography",
         "pred": "B", "model_outputs": text, **more}
        for n, text in enumerate(texts, 70)
    ]  # fmt: skip


def pro_zip(tmp_path: Path) -> Path:
    path = tmp_path / "model_outputs_Tiny-7B_5shots.json.zip"
    with zipfile.ZipFile(path, "w") as archive:
        rows = pro_rows("The answer is (B).", "no idea", None)
        archive.writestr("model_outputs_Tiny-7B_5shots.json", json.dumps(rows))
        archive.writestr("__MACOSX/._model_outputs_Tiny-7B_5shots.json", b"\0\1")
    return path


def test_a_zip_of_mmlu_pro(tmp_path: Path) -> None:
    found = taken(pro_zip(tmp_path), tmp_path)
    assert [(row[0], row[1]) for row in texts(found)] == [
        ("mmlu_pro-70", "Tiny-7B"),
        ("mmlu_pro-71", "Tiny-7B"),
    ]
    assert found.accuracy()["Tiny-7B"].right == 1
    assert found.accuracy()["Tiny-7B"].absent == 1
    assert [(s.metric, s.value) for s in found.stated] == [("pred", 1.0)]
    assert "1 failed calls" in found.notes[-1]


def test_folders_of_local_and_api_runs_of_mmlu_pro(tmp_path: Path) -> None:
    old = [{**row, "generated_text": row.pop("model_outputs")} for row in pro_rows("It is (B).")]
    whole(tmp_path / "in" / "local-model" / "CoT" / "all" / "geography.json", old)
    whole(tmp_path / "in" / "api-model" / "geography_result.json", pro_rows("Answer: A"))
    total = {"geography": {"acc": 0.0}, "total": {"corr": 0.0, "wrong": 1.0, "acc": 0.0}}
    whole(tmp_path / "in" / "api-model" / "geography_summary.json", dict(reversed(total.items())))
    found = taken(tmp_path / "in", tmp_path)
    assert sorted(found.models) == ["api-model", "local-model"]
    assert len(found.items) == 1, "the same question in both"


def test_a_question_in_two_orders_is_two_questions(tmp_path: Path) -> None:
    whole(tmp_path / "in" / "a" / "x_result.json", pro_rows("The answer is (B)."))
    turned = pro_rows("The answer is (A).", options=RIVER["options"][::-1])
    whole(tmp_path / "in" / "b" / "x_result.json", turned)
    found = taken(tmp_path / "in", tmp_path)
    assert len(found.items) == 2
    assert any("several forms" in note for note in found.notes)


def test_a_repaired_key_is_the_same_question(tmp_path: Path) -> None:
    whole(tmp_path / "in" / "a" / "x_result.json", pro_rows("The answer is (B)."))
    whole(tmp_path / "in" / "b" / "x_result.json", pro_rows("The answer is (A).", answer="C"))
    assert len(taken(tmp_path / "in", tmp_path).items) == 1


# HELM


def helm_run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "v1" / "mmlu_pro:subject=all,model=org_tiny"
    references = [
        {"output": {"text": text}, "tags": ["correct"] if text == "Nile" else []}
        for text in RIVER["options"]
    ]

    def state(number: int, text: str | None, **more: Any) -> dict[str, Any]:
        result: dict[str, Any] = {"success": False, "completions": [], "error": "timeout"}
        if text is not None:
            completion = {
                "text": text,
                "logprob": 0,
                "tokens": [],
                "finish_reason": {"reason": "length"},
            }
            result = {"success": True, "completions": [completion], "request_time": 1.5}
        return {
            "instance": {"id": f"id{number}", "input": {"text": f"{RIVER['question']} {number}"},
                         "references": references, "split": "test", **more},
            "train_trial_index": 0,
            "output_mapping": dict(zip("ABC", RIVER["options"], strict=True)),
            "request": {"model": "org/tiny"},
            "result": result,
        }  # fmt: skip

    states = [
        state(1, "The correct answer is B."),
        state(2, None),
        state(3, "A", perturbation={"name": "typos"}),
    ]
    whole(
        folder / "scenario_state.json",
        {"adapter_spec": {"model": "org/tiny"}, "request_states": states},
    )
    whole(folder / "run_spec.json", {"name": "mmlu_pro:subject=all,model=org_tiny"})
    stat = {"name": {"name": "exact_match", "split": "test"}, "count": 1, "mean": 1.0}
    whole(folder / "stats.json", [stat])
    return tmp_path / "runs"


def test_a_run_of_helm(tmp_path: Path) -> None:
    found = taken(helm_run(tmp_path), tmp_path)
    assert texts(found) == [("mmlu_pro:subject=all-id1", "org/tiny", 0, "The correct answer is B.")]
    [row] = pq.read_table(found.recordings).to_pylist()
    assert (row["seconds"], row["finish_reason"]) == (1.5, "length")
    assert found.items[0].gold == "B"
    assert found.models["org/tiny"].failed == 1
    assert [(s.metric, s.value) for s in found.stated] == [("exact_match", 1.0)]
    assert any("perturbed" in note for note in found.notes)


# Batches


def batch(tmp_path: Path) -> Path:
    def line(key: str, body: Any, **more: Any) -> dict[str, Any]:
        return {"id": f"r-{key}", "custom_id": key, "error": None,
                "response": {"status_code": 200, "body": body}, **more}  # fmt: skip

    message = {"role": "assistant", "content": "The answer is (B)."}
    chat = {
        "model": "tiny",
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5},
    }
    responses = {
        "model": "tiny",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "So 42"}]},
        ],
    }
    failed = {"id": "x", "custom_id": "sum", "response": None, "error": {"code": "batch_expired"}}
    return lines(
        tmp_path / "output.jsonl",
        [line("sum", responses), line("river", chat), line("else", chat), failed],
    )


def test_the_output_of_a_batch_needs_the_questions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not hold the questions") as raised:
        taken(batch(tmp_path), tmp_path)
    assert "--on" in raised.value.hint
    assert not list(tmp_path.glob(".*partial")), "nothing is left behind"
    items = lines(
        tmp_path / "items.jsonl",
        [
            {"question_id": "river", **RIVER, "answer": "B"},
            {"question_id": "sum", "question": SUM, "answer": "42"},
        ],
    )
    found = taken(batch(tmp_path), tmp_path, on=items)
    assert texts(found) == [
        ("sum", "tiny", 0, "So 42"),
        ("river", "tiny", 0, "The answer is (B)."),
    ]
    rows = pq.read_table(found.recordings).to_pylist()
    assert [row["finish_reason"] for row in rows] == ["length", "stop"]
    assert [row["completion_tokens"] for row in rows] == [None, 5]
    assert any("none of the given questions" in note for note in found.notes)


# Inspect


def inspect_sample(key: Any, epoch: int, text: Any, **more: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "stop_reason": "stop"}
    return {
        "id": key,
        "epoch": epoch,
        "input": [{"role": "user", "content": "attachment://00ff"}],
        "choices": RIVER["options"],
        "target": "B",
        "attachments": {"00ff": RIVER["question"]},
        "output": {"model": "p/tiny", "choices": [choice], "time": float("nan"),
                   "usage": {"input_tokens": 3, "output_tokens": 4}},
        "scores": {"choice": {"value": "C"}},
        **more,
    }  # fmt: skip


INSPECT_HEAD = {
    "version": 2,
    "status": "success",
    "eval": {"task": "pkg/rivers", "model": "p/tiny"},
    "results": {
        "scores": [{"name": "choice", "scorer": "choice", "metrics": {"accuracy": {"value": 0.5}}}]
    },
}
INSPECT = [
    inspect_sample(
        1,
        1,
        [{"type": "reasoning", "reasoning": "It is (A)."}, {"type": "text", "text": "ANSWER: B"}],
    ),
    inspect_sample(1, 2, "ANSWER: A"),
    inspect_sample(2, 1, "", error={"message": "rate limit"}, input="Another?"),
]


def inspect_json(tmp_path: Path) -> Path:
    return whole(tmp_path / "log.json", {**INSPECT_HEAD, "samples": INSPECT})


def packed(path: Path, members: dict[str, bytes], method: int) -> Path:
    """A zip archive whose members are packed by one method; 93 is zstandard."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            if method == 93:
                half = len(content) // 2
                frames = [
                    zstandard.ZstdCompressor().compress(part)
                    for part in (content[:half], content[half:])
                ]
                info = zipfile.ZipInfo(name)
                archive.writestr(info, b"".join(frames))
            else:
                archive.writestr(name, content, compress_type=method)
    if method == 93:
        _relabelled(path, members)
    return path


def _relabelled(path: Path, members: dict[str, bytes]) -> None:
    """Say in both headers of each member that it is packed by method 93, with its true size."""
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        central = archive.start_dir
    for info in infos:
        content = members[info.filename]
        facts = (93).to_bytes(2, "little")
        crc, size = zlib.crc32(content).to_bytes(4, "little"), len(content).to_bytes(4, "little")
        at = info.header_offset
        data[at + 8 : at + 10], data[at + 14 : at + 18], data[at + 22 : at + 26] = facts, crc, size
        data[central + 10 : central + 12] = facts
        data[central + 16 : central + 20], data[central + 24 : central + 28] = crc, size
        central += 46 + len(info.filename.encode())
    path.write_bytes(data)


def inspect_members() -> dict[str, bytes]:
    names = [f"samples/{each['id']}_epoch_{each['epoch']}.json" for each in INSPECT]
    samples = {n: json.dumps(each).encode() for n, each in zip(names, INSPECT, strict=True)}
    return {"_journal/start.json": json.dumps(INSPECT_HEAD).encode(), **samples}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 93])
@pytest.mark.parametrize("head", ["header.json", "_journal/start.json"])
def test_archives_of_inspect(tmp_path: Path, method: int, head: str) -> None:
    members = inspect_members()
    members[head] = members.pop("_journal/start.json")
    found = taken(packed(tmp_path / "log.eval", members, method), tmp_path)
    assert texts(found) == [
        ("rivers-1", "p/tiny", 0, "ANSWER: B"),
        ("rivers-1", "p/tiny", 1, "ANSWER: A"),
    ]
    assert found.models["p/tiny"].failed == 1


def test_a_json_log_of_inspect(tmp_path: Path) -> None:
    found = taken(inspect_json(tmp_path), tmp_path)
    assert [row[3] for row in texts(found)] == ["ANSWER: B", "ANSWER: A"]
    assert found.items[0].question.text == RIVER["question"]
    assert found.items[0].gold == "B"
    assert [(s.metric, s.value) for s in found.stated] == [("choice accuracy", 0.5)]
    assert found.accuracy()["p/tiny"].n == 2


def test_a_sample_of_inspect_that_a_limit_stopped(tmp_path: Path) -> None:
    limit = {"type": "token", "limit": 9}
    samples = [
        inspect_sample(1, 1, "ANSWER: B", limit=limit),
        inspect_sample(1, 2, "", limit=limit),
    ]
    found = taken(whole(tmp_path / "log.json", {**INSPECT_HEAD, "samples": samples}), tmp_path)
    assert [row[3] for row in texts(found)] == ["ANSWER: B"]
    assert found.models["p/tiny"].failed == 1
    assert found.notes[0] == "the tool stopped samples at a limit: token (2 times, in log.json)"


def test_logs_whose_calls_all_failed_say_so(tmp_path: Path) -> None:
    samples = [inspect_sample(1, 1, "", error={"message": "rate limit"})]
    with pytest.raises(InputError) as caught:
        taken(whole(tmp_path / "log.json", {**INSPECT_HEAD, "samples": samples}), tmp_path)
    assert "1 failed calls" in caught.value.hint


# lighteval and ZeroEval


@pytest.mark.parametrize("mark", ["", "__"])
def test_details_of_lighteval(tmp_path: Path, mark: str) -> None:
    query = "Pick one.\n\nWhich river is longest?\nA. Po\nB. Nile\nC. Rhine\nAnswer:"
    doc = {"query": query, "choices": ["A", "B", "C"], "gold_index": [1], "id": "7"}
    response = {
        "text": ["It is B: the answer is B."],
        "output_tokens": [[1, 2, 3]],
        "input_tokens": [1],
    }
    path = (
        tmp_path
        / "details"
        / "org"
        / "tiny"
        / "2026-01-02T03-04-05"
        / "details_x|rivers|0_2026-01-02T03-04-05.parquet"
    )
    path.parent.mkdir(parents=True)
    rows = {
        f"{mark}doc{mark}": [doc],
        f"{mark}model_response{mark}": [response],
        f"{mark}metric{mark}": [{"em": 1}],
    }
    pq.write_table(pa.table(rows), path)
    found = taken(tmp_path / "details", tmp_path)
    assert texts(found) == [("rivers-7", "org/tiny", 0, "It is B: the answer is B.")]
    assert found.items[0].question.options == ("Po", "Nile", "Rhine")
    assert found.items[0].gold == "B"
    assert found.accuracy()["org/tiny"].right == 1


def test_sessions_of_zeroeval(tmp_path: Path) -> None:
    output = json.dumps({"reasoning": "40 and 2", "answer": "42"})
    row: dict[str, Any] = {
        "session_id": "gsm-1",
        "model_input": f"Solve: {SUM}",
        "output": [output],
    }
    row |= {"question": SUM, "generator": "org/tiny", "dataset": "gsm", "answer": "42"}
    found = taken(whole(tmp_path / "gsm" / "tiny.json", [row]), tmp_path)
    assert texts(found) == [("gsm-gsm-1", "org/tiny", 0, output)]
    assert found.accuracy()["org/tiny"].right == 1


# Tables


ROW = {"question": SUM, "output": "The answer is 42."}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", f"id,model,response,question,gold\n1,m,{ROW['output']},{SUM},42\n"),
        ("t.tsv", f"qid\tmodel_name\toutput\tquestion\tanswer\n1\tm\t{ROW['output']}\t{SUM}\t42\n"),
        ("t.jsonl", json.dumps({"question_id": 1, "model": "m", **ROW, "answer": 42})),
        ("m.jsonl", json.dumps({"question_id": 1, **ROW, "answer": "42"}) + "\n"),
    ],
)
def test_tables_of_answers(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    found = taken(tmp_path / name, tmp_path)
    assert texts(found) == [("1", "m", 0, "The answer is 42.")]
    assert found.accuracy()["m"].right == 1


def test_our_own_recordings_are_a_table(tmp_path: Path) -> None:
    first = taken(lm_generated(tmp_path), tmp_path)
    again = import_results([first.recordings], tmp_path / "again.parquet", on=list(first.items))
    assert texts(again) == texts(first)
