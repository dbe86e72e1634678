"""Choices by log-likelihood in lm-eval's samples: the letter, the options and the gold agree."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestra.evals.importers.gather import import_results
from tests.evals.importers.test_formats import lines

Doc = Callable[[int], tuple[Mapping[str, Any], list[str], int]]
"""Number -> the document, the continuations that are compared, and the place of the right one."""


def shuffled_by_us(n: int) -> tuple[Mapping[str, Any], list[str], int]:
    wrong = {f"distractor{k}": f"{n} w{k}" for k in (1, 2, 3)}
    doc = {"question": f"Which {n}?", **wrong, "correct_answer": f"{n} r", "support": "A text."}
    return doc, [*wrong.values(), f"{n} r"], 3


def without_options(n: int) -> tuple[Mapping[str, Any], list[str], int]:
    return {"question": f"is it {n}", "passage": "P", "label": n % 2}, ["no", "yes"], n % 2


def of_letters(n: int) -> tuple[Mapping[str, Any], list[str], int]:
    doc = {"question": f"Which {n}?", "choices": ["w", "x", "y", "z"], "answer": n % 4}
    return doc, list("ABCD"), n % 4


def of_numbers(n: int) -> tuple[Mapping[str, Any], list[str], int]:
    return {"question": f"Which {n}?", "choices": ["1", "2", "3"]}, ["1", "2", "3"], 1


def in_columns(n: int) -> tuple[Mapping[str, Any], list[str], int]:
    return {"goal": f"do {n}", "sol1": "a way", "sol2": "b way"}, ["a way", "b way"], n % 2


@pytest.mark.parametrize("halves", [1, 2], ids=["acc", "acc_mutual_info"])
@pytest.mark.parametrize(
    "doc", [shuffled_by_us, without_options, of_letters, of_numbers, in_columns]
)
def test_accuracy_is_that_of_the_tool(tmp_path: Path, doc: Doc, halves: int) -> None:
    """13 of 20 are right; the second half of the requests favours other options."""
    rows = []
    for n in range(20):
        told, options, gold = doc(n)
        best = gold if n < 13 else (gold + 1) % len(options)
        asked = [("a prompt", each) for each in options] + [("", each) for each in options]
        scores = [-1.0 if at == best else -9.0 for at in range(len(options))]
        scores += [-8.0 if at == best else -0.1 for at in range(len(options))]
        count = halves * len(options)
        rows.append(
            {
                "doc_id": n,
                "doc": told,
                "target": str(gold),
                "arguments": {
                    f"gen_args_{at}": {"arg_0": prompt, "arg_1": f" {text}"}
                    for at, (prompt, text) in enumerate(asked[:count])
                },
                "resps": [[[str(score), "False"]] for score in scores[:count]],
                "acc": float(best == gold),
            }
        )
    path = lines(tmp_path / "samples_t_2026-01-02T03-04-05.jsonl", rows)
    found = import_results([path], tmp_path / "r.parquet")
    (ours,) = found.accuracy().values()
    assert (ours.right, ours.n, ours.absent) == (13, 20, 0)


def test_targets_that_may_be_either_have_no_gold_where_nothing_tells(tmp_path: Path) -> None:
    rows = [
        {
            "doc_id": n,
            "doc": {"question": f"Which {n}?", "choices": ["1", "2", "3"]},
            "target": "1",
            "arguments": [["p", " 1"], ["p", " 2"], ["p", " 3"]],
            "resps": [[["-1.0", "True"]], [["-2.0", "False"]], [["-3.0", "False"]]],
        }
        for n in range(3)
    ]
    path = lines(tmp_path / "samples_t_2026-01-02T03-04-05.jsonl", rows)
    assert {item.gold for item in import_results([path], tmp_path / "r.parquet").items} == {None}


@pytest.mark.parametrize("whole", [False, True], ids=["lines", "list"])
def test_samples_are_known_by_their_first_keys(tmp_path: Path, whole: bool) -> None:
    """Prompts of many examples are longer than what is looked at; old releases write one list."""
    row = {
        "doc_id": 0,
        "doc": {"question": "How many?", "answer": "4"},
        "target": "4",
        "arguments": {"gen_args_0": {"arg_0": "x" * 100_000, "arg_1": {}}},
        "resps": [["4"]],
    }
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps([row], indent=1) if whole else json.dumps(row))
    found = import_results([path], tmp_path / "r.parquet")
    assert [item.gold for item in found.items] == ["4"]
