import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError, InputErrors
from orchestra.workers.recordings import Recorded, Recordings

Row = dict[str, Any]
SHARED = Path(__file__).parents[3] / "shared" / "data"

FULL: Row = {
    "question_id": "q1",
    "model": "owl",
    "output": " The answer is (B).\n",
    "sample_index": 0,
    "prompt_tokens": 120,
    "completion_tokens": 7,
    "seconds": 0.25,
    "finish_reason": "stop",
    "logprobs": [-0.5, -1.0],
}


def row(question: object, model: str, output: str | None = "text", **more: object) -> Row:
    return {"question_id": question, "model": model, "output": output, **more}


def write_jsonl(folder: Path, rows: Sequence[Row]) -> Path:
    path = folder / "recordings.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return path


def write_parquet(folder: Path, rows: Sequence[Row]) -> Path:
    path = folder / "recordings.parquet"
    names = dict.fromkeys(name for each in rows for name in each)
    table = pa.table({name: [each.get(name) for each in rows] for name in names})
    pq.write_table(table, path, row_group_size=5)
    return path


Writer = Callable[[Path, Sequence[Row]], Path]
WRITERS: tuple[Writer, ...] = (write_jsonl, write_parquet)
KEEP = (0, 1 << 20)


def outputs(found: Sequence[Recorded | None]) -> list[str | None]:
    return [None if each is None else each.output for each in found]


def problems(path: Path) -> tuple[InputError, ...]:
    with pytest.raises(InputError) as caught:
        Recordings.open(path)
    return caught.value.errors if isinstance(caught.value, InputErrors) else (caught.value,)


@pytest.mark.parametrize("keep_bytes", KEEP)
@pytest.mark.parametrize("write", WRITERS)
class TestTexts:
    def test_gives_everything_that_is_recorded(
        self, write: Writer, keep_bytes: int, tmp_path: Path
    ) -> None:
        rows = [FULL, row("q2", "owl", sample_index=None)]
        recordings = Recordings.open(write(tmp_path, rows), keep_bytes=keep_bytes)
        assert recordings.texts("owl", [("q1", 0), ("q2", 0)]) == [
            Recorded(" The answer is (B).\n", 120, 7, 0.25, "stop", (-0.5, -1.0)),
            Recorded("text"),
        ]

    def test_answers_in_the_order_asked_with_none_where_there_is_nothing(
        self, write: Writer, keep_bytes: int, tmp_path: Path
    ) -> None:
        rows = [
            row(f"q{at}", model, f"{model} {at}") for at in range(9) for model in ("owl", "elk")
        ]
        recordings = Recordings.open(write(tmp_path, rows), keep_bytes=keep_bytes)
        wanted = [("q7", 0), ("q2", 0), ("q7", 0), ("q99", 0), ("q3", 1), ("q3", -1), ("q0", 0)]
        assert outputs(recordings.texts("elk", wanted)) == [
            "elk 7",
            "elk 2",
            "elk 7",
            None,
            None,
            None,
            "elk 0",
        ]
        assert recordings.texts("owl", []) == []
        assert recordings.texts("owl", [("q99", 0)]) == [None]

    def test_never_gives_one_models_text_for_another(
        self, write: Writer, keep_bytes: int, tmp_path: Path
    ) -> None:
        rows = [row("q1", "owl"), row("q2", "elk"), row("q2", "owl", "two", sample_index=1)]
        recordings = Recordings.open(write(tmp_path, rows), keep_bytes=keep_bytes)
        assert outputs(recordings.texts("owl", [("q1", 0), ("q2", 0), ("q2", 1)])) == [
            "text",
            None,
            "two",
        ]
        assert outputs(recordings.texts("elk", [("q1", 0), ("q2", 1), ("q2", 0)])) == [
            None,
            None,
            "text",
        ]

    @given(data=st.data())
    @settings(deadline=None, max_examples=15)
    def test_finds_every_sample_wherever_its_row_stands(
        self, write: Writer, keep_bytes: int, tmp_path_factory: Any, data: st.DataObject
    ) -> None:
        names = st.tuples(
            st.sampled_from(["owl", "elk", "hen"]), st.integers(0, 20), st.integers(0, 3)
        )
        keys = data.draw(st.lists(names, unique=True, min_size=1, max_size=40))
        rows = [
            row(f"q{question}", model, f"{model}/{question}/{sample}", sample_index=sample)
            for model, question, sample in keys
        ]
        path = write(tmp_path_factory.mktemp("any"), rows)
        recordings = Recordings.open(path, keep_bytes=keep_bytes)
        wanted = [(f"q{question}", sample) for question in range(21) for sample in range(5)]
        for model in recordings.models:
            assert outputs(recordings.texts(model, wanted)) == [
                f"{model}/{question}/{sample}" if (model, question, sample) in keys else None
                for question in range(21)
                for sample in range(5)
            ]

    def test_says_what_there_is(self, write: Writer, keep_bytes: int, tmp_path: Path) -> None:
        rows = [
            row("q1", "owl", sample_index=7),
            row("q1", "elk", sample_index=2),
            row("q2", "owl", sample_index=0),
        ]
        recordings = Recordings.open(write(tmp_path, rows), keep_bytes=keep_bytes)
        assert recordings.models == ("elk", "owl")
        assert recordings.samples("owl") == (0, 7)
        assert recordings.samples("elk") == (2,)
        assert len(recordings) == 3

    def test_a_null_output_is_an_empty_text(
        self, write: Writer, keep_bytes: int, tmp_path: Path
    ) -> None:
        path = write(tmp_path, [row("q1", "owl", None), row("q2", "owl", "")])
        recordings = Recordings.open(path, keep_bytes=keep_bytes)
        assert outputs(recordings.texts("owl", [("q1", 0), ("q2", 0)])) == ["", ""]

    def test_whole_numbers_may_be_question_ids(
        self, write: Writer, keep_bytes: int, tmp_path: Path
    ) -> None:
        path = write(tmp_path, [row(at, "owl", f"text {at}") for at in range(12)])
        recordings = Recordings.open(path, keep_bytes=keep_bytes)
        assert outputs(recordings.texts("owl", [("11", 0), ("3", 0)])) == ["text 11", "text 3"]

    def test_a_model_that_is_not_there_is_named_with_its_near_names(
        self, write: Writer, keep_bytes: int, tmp_path: Path
    ) -> None:
        path = write(tmp_path, [row("q1", "Mistral-7B-v0.1"), row("q1", "owl")])
        recordings = Recordings.open(path, keep_bytes=keep_bytes)
        for ask in (recordings.samples, lambda name: recordings.texts(name, [])):
            with pytest.raises(InputError, match="unknown recorded model") as caught:
                ask("mistral-7b-v0.1")
            assert "did you mean `Mistral-7B-v0.1`?" in caught.value.hint

    def test_a_file_that_goes_away_is_a_user_error(
        self, write: Writer, keep_bytes: int, tmp_path: Path
    ) -> None:
        path = write(tmp_path, [row("q1", "owl")])
        recordings = Recordings.open(path, keep_bytes=keep_bytes)
        path.unlink()
        with pytest.raises(InputError, match="no such file"):
            recordings.texts("owl", [("q1", 0)])


@pytest.fixture
def pool() -> Iterator[pa.MemoryPool]:
    """A pool that sees only what is allocated once it is set; the old one comes back."""
    usual = pa.default_memory_pool()
    yield pa.proxy_memory_pool(usual)
    pa.set_memory_pool(usual)


class TestParquet:
    def test_kept_texts_are_read_once_and_streamed_ones_each_time(self, tmp_path: Path) -> None:
        path = write_parquet(tmp_path, [row(f"q{at}", "owl") for at in range(12)])
        kept, streamed = (Recordings.open(path, keep_bytes=keep) for keep in (1 << 20, 0))
        assert kept.texts("owl", [("q1", 0)]) == streamed.texts("owl", [("q1", 0)])
        path.unlink()
        assert outputs(kept.texts("owl", [("q11", 0)])) == ["text"]
        with pytest.raises(InputError, match="no such file"):
            streamed.texts("owl", [("q11", 0)])

    def test_reads_only_the_row_groups_that_are_needed(self, tmp_path: Path) -> None:
        path = write_parquet(
            tmp_path, [row(f"q{at:02}", "owl", f"{at} " * 500) for at in range(20)]
        )
        recordings = Recordings.open(path, keep_bytes=0)
        column = pq.ParquetFile(path).metadata.row_group(1).column(2)
        start, size = column.dictionary_page_offset, column.total_compressed_size
        content = bytearray(path.read_bytes())
        content[start : start + size] = b"\xff" * size
        before = path.stat()
        path.write_bytes(content)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert outputs(recordings.texts("owl", [("q03", 0), ("q17", 0)])) == [
            "3 " * 500,
            "17 " * 500,
        ]
        with pytest.raises(InputError, match="cannot be read"):
            recordings.texts("owl", [("q07", 0)])

    @pytest.mark.parametrize(("keep_bytes", "least", "most"), [(0, 4, 18), (64 << 20, 24, 60)])
    def test_streaming_never_holds_all_texts(
        self, tmp_path: Path, pool: pa.MemoryPool, keep_bytes: int, least: int, most: int
    ) -> None:
        noise = random.Random(0)
        rows = [row(f"q{at}", "owl", noise.randbytes(2_000).hex()) for at in range(6_000)]
        path = tmp_path / "recordings.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)  # one row group, 24 MB of text
        recordings = Recordings.open(path, keep_bytes=keep_bytes)
        pa.set_memory_pool(pool)
        (found,) = recordings.texts("owl", [("q5999", 0)])
        assert found == Recorded(rows[-1]["output"])
        assert least < pool.max_memory() / 1e6 < most

    def test_reads_categories_large_strings_and_floats_with_gaps(self, tmp_path: Path) -> None:
        path = tmp_path / "recordings.parquet"
        columns = {
            "output": pa.array(["one", "two", "two"]).dictionary_encode(),
            "model": pa.array(["owl", "elk", "owl"]).dictionary_encode(),
            "question_id": pa.array(["q1", "q1", "q2"], pa.large_string()),
            "sample_index": pa.array([1, 0, None], pa.uint8()),
            "prompt_tokens": pa.array([3.0, float("nan"), None]),
            "completion_tokens": pa.nulls(3),
            "seconds": pa.array([1, 2, None], pa.int32()),
            "logprobs": pa.array([[-1.0], [], None], pa.large_list(pa.float32())),
        }
        pq.write_table(pa.table(columns), path)
        recordings = Recordings.open(path)
        assert recordings.texts("owl", [("q1", 1), ("q2", 0)]) == [
            Recorded("one", prompt_tokens=3, seconds=1.0, logprobs=(-1.0,)),
            Recorded("two"),
        ]
        assert recordings.texts("elk", [("q1", 0)]) == [Recorded("two", seconds=2.0, logprobs=())]

    def test_threads_may_share_one(self, tmp_path: Path) -> None:
        path = write_parquet(tmp_path, [row(f"q{at}", "owl", str(at)) for at in range(60)])
        recordings = Recordings.open(path)
        with ThreadPoolExecutor(4) as pool:
            found = pool.map(lambda at: recordings.texts("owl", [(f"q{at}", 0)]), range(60))
            assert [outputs(each) for each in found] == [[str(at)] for at in range(60)]

    @pytest.mark.parametrize(
        ("name", "column", "says"),
        [
            ("question_id", pa.array([1.5]), "a string or a whole number, not double"),
            ("model", pa.array([1]), "a string, not int64"),
            ("model", pa.nulls(1), "a string, not null"),
            ("output", pa.array([["a"]]), "a string, not list<element: string>"),
            ("sample_index", pa.array(["0"]), "a whole number, not string"),
            ("prompt_tokens", pa.array(["9"]), "a number, not string"),
            ("seconds", pa.array([True]), "a number, not bool"),
            ("finish_reason", pa.array([0]), "a string, not int64"),
            ("logprobs", pa.array([["a"]]), "a list of numbers, not list<element: string>"),
        ],
    )
    def test_a_column_of_the_wrong_type(
        self, tmp_path: Path, name: str, column: pa.Array, says: str
    ) -> None:
        path = tmp_path / "recordings.parquet"
        columns = {key: pa.array([cell]) for key, cell in FULL.items()}
        pq.write_table(pa.table({**columns, name: column}), path)
        assert [problem.message for problem in problems(path)] == [
            f"{path}: column `{name}` must hold {says}"
        ]

    @pytest.mark.parametrize("keep", KEEP)
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            *((name, kind) for name in ("question_id", "model", "output", "finish_reason")
              for kind in (pa.string_view(), pa.large_string(), pa.binary(), pa.large_binary(),
                           pa.binary_view(), pa.dictionary(pa.int32(), pa.string()))),
            *(("logprobs", kind) for kind in (
                pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_view(pa.float64()),
                pa.large_list_view(pa.float64()), pa.list_(pa.float64(), 2))),
            *(("prompt_tokens", kind) for kind in (pa.int16(), pa.uint64(), pa.float64())),
            ("seconds", pa.decimal128(21, 2)),
        ],
    )  # fmt: skip
    def test_columns_of_every_type_that_fits(
        self, tmp_path: Path, name: str, kind: pa.DataType, keep: int
    ) -> None:
        path = tmp_path / "recordings.parquet"
        rows = [row("q0", "owl", "first"), FULL]
        columns = {key: pa.array([each.get(key) for each in rows]) for key in FULL}
        cells = columns[name].to_pylist()
        listed = name == "logprobs" or pa.types.is_binary_view(kind)
        if listed:
            given = [each.encode() if isinstance(each, str) else each for each in cells]
            columns[name] = pa.array(given, kind)
        else:
            columns[name] = columns[name].cast(kind)
        pq.write_table(pa.table(columns), path)
        recordings = Recordings.open(path, keep_bytes=keep)
        first, full = recordings.texts("owl", [("q0", 0), ("q1", 0)])
        assert first == Recorded("first")
        assert full == Recorded(FULL["output"], 120, 7, 0.25, "stop", (-0.5, -1.0))

    def test_a_column_that_is_there_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "recordings.parquet"
        names = ["question_id", "model", "output", "model"]
        pq.write_table(pa.Table.from_arrays([pa.array(["x"])] * 4, names), path)
        assert problems(path)[0].message == f"{path}: column `model` is there twice"

    def test_is_not_parquet(self, tmp_path: Path) -> None:
        path = tmp_path / "recordings.parquet"
        path.write_text("question_id,model,output\n")
        assert problems(path)[0].message.startswith(f"{path}: cannot be read: ")

    def test_has_no_rows(self, tmp_path: Path) -> None:
        path = write_parquet(tmp_path, [FULL])
        pq.write_table(pq.read_table(path).slice(0, 0), path)
        assert [str(problem) for problem in problems(path)] == [f"{path}: has no rows"]


class TestJsonl:
    def test_blank_lines_byte_order_marks_and_line_ends_do_not_matter(self, tmp_path: Path) -> None:
        path = tmp_path / "recordings.jsonl"
        lines = [
            "\ufeff" + json.dumps(row("q1", "owl", "é")),
            "",
            json.dumps(row("q2", "owl", "b")),
        ]
        path.write_bytes("\r\n".join(lines).encode())
        recordings = Recordings.open(path)
        assert outputs(recordings.texts("owl", [("q2", 0), ("q1", 0)])) == ["b", "é"]

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("{broken", "is not JSON: "),
            ("[1]", "must be a JSON object, not list"),
            ('{"model": "owl", "output": "x"}', "`question_id` is empty"),
            ('{"question_id": "q2", "model": null, "output": "x"}', "`model` is empty"),
            ('{"question_id": "q2", "model": "owl"}', "`output` is empty"),
            (
                '{"question_id": true, "model": "owl", "output": "x"}',
                "`question_id` must be a string",
            ),
            (
                '{"question_id": "q2", "model": 5, "output": "x"}',
                "`model` must be a string, not int",
            ),
            ('{"question_id": "q2", "model": "owl", "output": ["x"]}', "`output` must be a string"),
        ],
    )
    def test_a_wrong_line_has_its_number(self, tmp_path: Path, line: str, says: str) -> None:
        path = tmp_path / "recordings.jsonl"
        path.write_text(f"{json.dumps(FULL)}\n\n{line}\n")
        (problem,) = problems(path)
        assert problem.message.startswith(f"{path}:3: {says}")

    @pytest.mark.parametrize(
        ("name", "cell", "says"),
        [
            ("sample_index", "1", "a whole number, not str"),
            ("sample_index", 1.5, "a whole number, not float"),
            ("sample_index", -1, "from 0 to 2147483647"),
            ("sample_index", 2**63, "from 0 to 2147483647"),
            ("prompt_tokens", "many", "a number, not str"),
            ("seconds", True, "a number, not bool"),
            ("finish_reason", 0, "a string, not int"),
            ("logprobs", ["a"], "a list of numbers, not list"),
            ("logprobs", -1.0, "a list of numbers, not float"),
        ],
    )
    def test_optional_columns_are_checked(
        self, tmp_path: Path, name: str, cell: object, says: str
    ) -> None:
        path = write_jsonl(tmp_path, [{**FULL, name: cell}])
        assert [problem.message for problem in problems(path)] == [
            f"{path}:1: `{name}` must be {says}"
        ]

    def test_has_no_rows(self, tmp_path: Path) -> None:
        path = tmp_path / "recordings.jsonl"
        path.write_text("\n\n")
        assert [str(problem) for problem in problems(path)] == [f"{path}: has no rows"]


@pytest.mark.parametrize("write", WRITERS)
class TestWhatIsWrong:
    def test_names_both_rows_of_a_duplicate(self, write: Writer, tmp_path: Path) -> None:
        rows = [row("q1", "owl"), row("q2", "owl"), row("q1", "elk"), row("q1", "owl")]
        path = write(tmp_path, rows)
        places = [f"{path} row 1", f"{path} row 4"]
        if path.suffix == ".jsonl":
            places = [f"{path}:1", f"{path}:4"]
        (problem,) = problems(path)
        says = f"sample 0 of question 'q1' by model 'owl' stands already at {places[0]}"
        assert problem.message == f"{places[1]}: {says}"
        assert "`sample_index`" in problem.hint

    def test_the_same_question_in_two_samples_is_no_duplicate(
        self, write: Writer, tmp_path: Path
    ) -> None:
        rows = [row("q1", "owl", sample_index=at) for at in range(3)]
        assert len(Recordings.open(write(tmp_path, rows))) == 3
        assert len(problems(write(tmp_path, [*rows, rows[2]]))) == 1

    @pytest.mark.parametrize("name", ["question_id", "model", "output"])
    def test_a_column_is_missing(self, write: Writer, tmp_path: Path, name: str) -> None:
        given = {(f"{key}s" if key == name else key): cell for key, cell in FULL.items()}
        path = write(tmp_path, [given])
        found = problems(path)
        assert found[0].message == f"{path}: no column `{name}`"
        assert f"`{name}s`" in found[0].hint

    def test_gathers_everything_at_once(self, write: Writer, tmp_path: Path) -> None:
        rows = [
            row("q1", "owl", sample_index=0),
            row(None, "owl", sample_index=0),
            row("q1", "owl", sample_index=0),
            row("q2", None, sample_index=0),  # type: ignore[arg-type]
            row("q3", "owl", sample_index=-4),
        ]
        messages = "\n".join(problem.message for problem in problems(write(tmp_path, rows)))
        for says in ("`question_id` is empty", "`model` is empty", "from 0 to", "stands already"):
            assert says in messages

    def test_shows_twenty_problems_and_counts_the_rest(self, write: Writer, tmp_path: Path) -> None:
        found = problems(write(tmp_path, [row("q1", "owl")] * 30))
        assert len(found) == 21
        assert found[-1].message.endswith("and 9 more problems")


class TestFiles:
    def test_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "nowhere.parquet"
        assert [str(problem) for problem in problems(path)] == [f"{path}: no such file"]

    @pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
    def test_a_folder(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"recordings{suffix}"
        path.mkdir()
        assert problems(path)[0].message == f"{path}: this is a folder, not a file"

    @pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
    def test_a_pipe_is_refused_and_not_waited_for(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"recordings{suffix}"
        os.mkfifo(path)
        assert "not a regular file" in str(problems(path)[0])

    @pytest.mark.parametrize("keep_bytes", [0, 64 << 20])
    @pytest.mark.parametrize("change", ["replaced", "appended", "removed", "truncated"])
    @pytest.mark.parametrize("write", [write_parquet, write_jsonl])
    def test_a_file_that_is_changed_while_it_is_in_use_is_an_error(
        self, tmp_path: Path, write: Any, change: str, keep_bytes: int
    ) -> None:
        rows = [row(f"q{at}", "owl", "The answer is (A).") for at in range(20)]
        path = write(tmp_path, rows)
        recordings = Recordings.open(path, keep_bytes=keep_bytes)
        other = tmp_path / "other"
        other.mkdir()
        fresh = write(other, [each | {"output": "The answer is (B)."} for each in rows])
        match change:
            case "replaced":
                fresh.replace(path)
            case "appended":
                path.write_bytes(path.read_bytes() + b"\n")
            case "removed":
                path.unlink()
            case "truncated":
                path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(InputError, match="was changed while it was in use|no such file"):
            recordings.texts("owl", [("q3", 0)])

    @pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
    def test_empty(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"recordings{suffix}"
        path.touch()
        assert [str(problem) for problem in problems(path)] == [f"{path}: is empty"]

    def test_unknown_suffix(self, tmp_path: Path) -> None:
        path = tmp_path / "recordings.csv"
        path.write_text("question_id,model,output\n")
        assert problems(path)[0].message == f"{path}: unknown file type: '.csv'"

    def test_digest_is_of_the_content(self, tmp_path: Path) -> None:
        path = write_jsonl(tmp_path, [row("q1", "owl")])
        copy = path.rename(tmp_path / "elsewhere.jsonl")
        other = write_jsonl(tmp_path, [row("q1", "owl", "texts")])
        digests = [Recordings.open(each).digest for each in (copy, copy, other)]
        assert digests[0] == digests[1] != digests[2]
        assert len(digests[0]) == 32


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="recorded answers of real models are not here")
def test_reads_real_recordings() -> None:
    path = SHARED / "zeroeval.recordings.parquet"
    recordings = Recordings.open(path)
    assert len(recordings) == 45_246
    assert len(recordings.models) == 50
    table = pq.read_table(path)
    for at in (0, 20_000, 45_245):
        (given,) = table.slice(at, 1).to_pylist()
        (found,) = recordings.texts(given["model"], [(given["question_id"], 0)])
        assert found == Recorded(given["output"])


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (rb"half \ud835 of (B).", "half \ufffd of (B)."),
        (rb"\udc00", "\ufffd"),
        (rb"\ud835\udc00 is whole", "\U0001d400 is whole"),
        (b"half \xed\xa0\xb5 of it", "half \ufffd of it"),
    ],
)
def test_half_a_letter_is_mended(tmp_path: Path, said: bytes, read: str) -> None:
    path = tmp_path / "recordings.jsonl"
    path.write_bytes(b'{"question_id":"q1","model":"m","seconds":NaN,"output":"' + said + b'"}\n')
    assert outputs(Recordings.open(path).texts("m", [("q1", 0)])) == [read]
