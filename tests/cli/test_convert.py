"""`orchestra convert`, and what `check` says of data as people write it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.cli import main
from orchestra.evals import Item, load_dataset, write_items
from orchestra.records import LETTERS, Kind, Question

GPQA = "Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,Writer\n"
GPQA += "".join(f"N{at}?,right,wrong 1,wrong 2,wrong 3,w\n" for at in range(14))


def orchestra(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_writes_items(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / "gpqa.csv", tmp_path / f"items{suffix}"
    source.write_text(GPQA)
    done = orchestra("convert", source, target)
    assert done.exit_code == 0, done.output
    for words in ("`Question`", "shuffled", "Writer", "wrote 14 items"):
        assert words in done.output
    items = load_dataset(target)
    assert items == load_dataset(source)
    assert items.reading.lines == ()
    assert all(i.question.options[i.question.letters.index(i.gold or "")] == "right" for i in items)


def test_json_is_one_object(tmp_path: Path) -> None:
    source = tmp_path / "gpqa.csv"
    source.write_text(GPQA)
    done = orchestra("convert", source, tmp_path / "items.jsonl", "--json")
    data = json.loads(done.stdout)
    assert data["items"] == 14
    assert data["facts"]["not used"] == ["Writer"]
    assert data["facts"]["read as"]["question"] == "`Question`"


@pytest.mark.parametrize(
    ("source", "target", "says"),
    [
        ("a.csv", "a.csv", "IN and OUT are one file"),
        ("a.csv", "a.txt", "unknown file type: '.txt'"),
        ("none.csv", "b.csv", "no such file"),
        ("bad.csv", "b.csv", "(and 2 more like it: "),
    ],
)
def test_errors(tmp_path: Path, source: str, target: str, says: str) -> None:
    (tmp_path / "a.csv").write_text(GPQA)
    (tmp_path / "bad.csv").write_text("question,A,B,answer\n" + "N?,x,y,Z\n" * 3)
    done = orchestra("convert", tmp_path / source, tmp_path / target)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output
    assert (tmp_path / "a.csv").read_text() == GPQA


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.jsonl", '{"question_id":"q","model":"m","output":"half \\ud835 (B)."}', "recordings"),
        ("a.jsonl", '{"question_id":"q","model":"m","output":\n', "recordings"),
        ("a.jsonl", '{"question_id":"q","modell":"m","output":"B"}', "recordings"),
        ("a.jsonl", '{"instruction":"N?","input":"","output":"B"}', "items"),
        ("a.jsonl", '{"question":"half \\ud835"}', "items"),
        ("a.json", '[{"question":"N?"}]', "items"),
        ("a.json", '{"data":[{"question":"N?"}]}', "items"),
        ("a.json", '{"schema":1,"skills":[]}', "table"),
        ("a.tsv", "question\tanswer\nN?\t1\n", "items"),
        ("a.csv", "question,model,output\nN?,m,1\n", "items"),
    ],
)
def test_check_names_the_kind_of_file(tmp_path: Path, name: str, content: str, kind: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    (found,) = json.loads(orchestra("check", path, "--json").stdout)["files"]
    assert found["kind"] == kind


text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda each: bool(each.strip())
)
choices = st.builds(
    lambda q, options, at: Item(Question("", q, tuple(options)), LETTERS[at % len(options)]),
    text,
    st.lists(text, min_size=2, max_size=6),
    st.integers(0, 5),
)
others = st.builds(
    lambda q, answer, context: Item(Question("", q, kind=answer[0], context=context), answer[1]),
    text,
    st.sampled_from(
        [
            (Kind.TEXT, "two words"),
            (Kind.TEXT, None),
            (Kind.LITERAL, "[1, 'a,\"b']"),
            (Kind.CODE, "print(1)\n#### done"),
            (Kind.NUMBER, "1,234"),
        ]
    ),
    st.one_of(st.just(""), text),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(choices, others), min_size=1, max_size=4), st.data())
def test_items_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, items: list[Item], data: st.DataObject
) -> None:
    named = load_dataset(
        [
            Item(
                Question(f"q{at}", q.text, q.options, q.kind, context=q.context),
                each.gold,
            )
            for at, each in enumerate(items)
            for q in (each.question,)
        ]
    )
    suffix = data.draw(st.sampled_from([".jsonl", ".csv", ".parquet"]))
    path = tmp_path_factory.mktemp("items") / f"items{suffix}"
    write_items(path, named)
    assert load_dataset(path) == named
