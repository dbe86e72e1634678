"""Other tools run a task of ours against a loopback server; their logs import as they were said."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orchestra.evals.importers.gather import Imports, import_results
from tests.loopback import loopback

pytestmark = pytest.mark.engine

CHOICES: list[tuple[str, list[str], str, str]] = [
    ("Which of these is a colour?", ["seven", "red", "table", "run"], "B", "ANSWER: B"),
    ("Which of these is an animal?", ["horse", "stone", "blue", "nine"], "A", "ANSWER: C"),
    ("Which of these is a number?", ["green", "chair", "eleven", "walk"], "C", "ANSWER: C"),
]
NUMBERS = [
    ("What is 12 + 30?", "42", "The answer is 42."),
    ("What is 7 * 8?", "56", "The answer is 54."),
]
SAID = [*((q, said) for q, _, _, said in CHOICES), *((q, said) for q, _, said in NUMBERS)]


def reply(model: str, prompt: Any) -> str:
    text = json.dumps(prompt)
    return next(said for question, said in SAID if question in text)


def tool(name: str, arguments: Sequence[str], folder: Path, url: str) -> None:
    """A tool's command, with nothing but the loopback server to reach."""
    environment = {
        **os.environ,
        "HOME": str(folder),
        "HF_HOME": str(folder / "hf"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_ALLOW_CODE_EVAL": "0",
        "OPENAI_API_KEY": "none",
        "OPENAI_BASE_URL": url,
        "PYTHONWARNINGS": "ignore",
    }
    ran = subprocess.run(
        [sys.executable, "-m", name, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-3000:]


def check(found: Imports, right: int, said: Sequence[str], stated: float) -> None:
    """Equal answers and equal accuracy."""
    assert not found.notes
    rows = pq.read_table(found.recordings).to_pylist()
    assert sorted(row["output"] for row in rows) == sorted(said)
    (counted,) = found.accuracy().values()
    assert (counted.n, counted.right, counted.absent) == (len(said), right, 0)
    assert [each.value for each in found.stated] == pytest.approx([stated])
    assert counted.right / counted.n == pytest.approx(stated)


INSPECT_TASKS = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import choice, match
from inspect_ai.solver import generate, multiple_choice

@task
def words():
    rows = {choices!r}
    samples = [Sample(input=q, choices=o, target=a) for q, o, a, _ in rows]
    return Task(dataset=samples, solver=multiple_choice(), scorer=choice())

@task
def sums():
    samples = [Sample(input=q, target=a) for q, a, _ in {numbers!r}]
    return Task(dataset=samples, solver=generate(), scorer=match(numeric=True))
"""


@pytest.mark.skipif(find_spec("inspect_ai") is None, reason="needs the package `inspect-ai`")
@pytest.mark.parametrize("form", ["eval", "json"])
def test_inspect(tmp_path: Path, form: str) -> None:
    task = tmp_path / "tiny.py"
    task.write_text(INSPECT_TASKS.format(choices=CHOICES, numbers=NUMBERS))
    with loopback(chat=reply) as served:
        for name in ("words", "sums"):
            arguments = ["eval", f"tiny.py@{name}", "--model", "openai/m", "--log-dir", name]
            arguments += ["--log-format", form, "--display", "none", "-M", "responses_api=false"]
            tool("inspect_ai", arguments, tmp_path, served.url)
    words = import_results([tmp_path / "words"], tmp_path / "w.parquet")
    check(words, 2, [said for *_, said in CHOICES], 2 / 3)
    read = {i.question.text: (list(i.question.options), i.gold) for i in words.items}
    assert read == {question: (options, gold) for question, options, gold, _ in CHOICES}
    sums = import_results([tmp_path / "sums"], tmp_path / "s.parquet")
    check(sums, 1, [said for *_, said in NUMBERS], 1 / 2)


LM_EVAL = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{text}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], max_gen_toks: 32}}
filter_list:
  - name: last
    filter:
      - {{function: regex, regex_pattern: "(?i)answer(?: is|:) ([A-D]|[0-9]+)"}}
      - {{function: take_first}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""
LM_ROWS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "words": (
        "{{question}} A. {{options[0]}} B. {{options[1]}} C. {{options[2]}} D. {{options[3]}}",
        [{"question": q, "options": o, "answer": a} for q, o, a, _ in CHOICES],
    ),
    "sums": ("{{question}}", [{"question": q, "answer": a} for q, a, _ in NUMBERS]),
}


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="needs the package `lm-eval[api]`")
@pytest.mark.parametrize(
    ("name", "right", "said"),
    [
        ("words", 2, [said for *_, said in CHOICES]),
        ("sums", 1, [said for *_, said in NUMBERS]),
    ],
)
def test_lm_eval(tmp_path: Path, name: str, right: int, said: list[str]) -> None:
    text, rows = LM_ROWS[name]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / f"{name}.yaml").write_text(
        LM_EVAL.format(name=name, data=data, text=text)
    )
    with loopback(chat=reply) as served:
        model = f"model=m,base_url={served.url}/chat/completions,num_concurrent=1,max_retries=1"
        arguments = ["--model", "local-chat-completions", "--model_args", model]
        arguments += ["--tasks", name, "--include_path", "tasks", "--apply_chat_template"]
        arguments += ["--log_samples", "--output_path", "out"]
        tool("lm_eval", arguments, tmp_path, served.url)
    found = import_results([tmp_path / "out"], tmp_path / "r.parquet")
    check(found, right, said, right / len(said))
