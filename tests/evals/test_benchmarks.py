"""Benchmarks by name: releases as they are published, protocols word for word, honest reports."""

from __future__ import annotations

import binascii
import csv
import io
import struct
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from orchestra.cli import main
from orchestra.errors import InputError, MissingExtra
from orchestra.evals import Item, items_digest, load_dataset, write_items
from orchestra.evals.benchmarks.benchmark import is_benchmark, named
from orchestra.evals.conventions import examined
from orchestra.evals.items import take
from orchestra.evals.statistics import clustered_interval
from orchestra.records import Absence, Mark, Outcome, Question
from orchestra.roster.strategies import STRATEGIES, prompt

WORDS = "zebra"
"""Stands in every question of the secret release, and nowhere else."""

Row = dict[str, Any]


def mmlu(number: int, **other: Any) -> Row:
    row = {
        "question_id": number,
        "question": f"What comes after {number}?",
        "options": [str(number + step) for step in (0, 1, 2)],
        "answer": "B",
        "answer_index": 1,
        "cot_content": "",
        "category": ("law", "math")[number % 2],
        "src": "own",
    }
    return {**row, **other}


def worked(number: int) -> Row:
    words = f"A: Let's think step by step. It is {number + 1}. The answer is (B)."
    return mmlu(number, cot_content=words)


def parquet(path: Path, rows: Sequence[Row]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


@pytest.fixture
def mmlu_pro(tmp_path: Path) -> Path:
    """A folder as the hub has it."""
    data = tmp_path / "mmlu" / "data"
    parquet(data / "test-00000-of-00001.parquet", [mmlu(n) for n in range(100, 140)])
    parquet(data / "validation-00000-of-00001.parquet", [worked(n) for n in range(14)])
    return tmp_path / "mmlu"


# The archive with a password: zipfile reads such archives and writes none.


def _encrypted(data: bytes, password: bytes) -> bytes:
    """PKWARE's traditional encryption (APPNOTE.TXT, 6.1)."""
    table = [0] * 256
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ 0xEDB88320 if value & 1 else value >> 1
        table[byte] = value
    keys = [0x12345678, 0x23456789, 0x34567890]

    def update(byte: int) -> None:
        keys[0] = (keys[0] >> 8) ^ table[(keys[0] ^ byte) & 255]
        keys[1] = ((keys[1] + (keys[0] & 255)) * 134775813 + 1) & 0xFFFFFFFF
        keys[2] = (keys[2] >> 8) ^ table[(keys[2] ^ (keys[1] >> 24)) & 255]

    for byte in password:
        update(byte)
    out = bytearray()
    for byte in data:
        mask = (keys[2] | 2) & 0xFFFF
        out.append(byte ^ (((mask * (mask ^ 1)) >> 8) & 255))
        update(byte)
    return bytes(out)


def locked(path: Path, name: str, content: bytes, password: bytes) -> Path:
    crc = binascii.crc32(content)
    body = _encrypted(bytes(11) + bytes([crc >> 24]) + content, password)
    head = struct.pack("<HHHHHLLLHH", 20, 1, 0, 0, 0x21, crc, len(body), len(content), len(name), 0)
    local = b"PK\3\4" + head + name.encode() + body
    central = b"PK\1\2" + struct.pack("<H", 20) + head + struct.pack("<HHHLL", 0, 0, 0, 0, 0)
    central += name.encode()
    end = b"PK\5\6" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local), 0)
    path.write_bytes(local + central + end)
    return path


GPQA = ["Question", "Correct Answer", *(f"Incorrect Answer {n}" for n in (1, 2, 3))]


def gpqa_rows(count: int = 20) -> list[list[str]]:
    return [
        [f"What comes\nafter {n}? {WORDS}", f" {n + 1}\n", *(f"{n + step}" for step in (2, 3, 4))]
        + [f"rec{n:03}", ("Physics", "Biology")[n % 2], "canary"]
        for n in range(count)
    ]


def gpqa_csv(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([[*GPQA, "Record ID", "High-level domain", "Canary String"], *rows])
    return text.getvalue().encode()


@pytest.fixture
def gpqa(tmp_path: Path) -> Path:
    content = gpqa_csv(gpqa_rows())
    return locked(
        tmp_path / "dataset.zip", "dataset/gpqa_diamond.csv", content, b"deserted-untie-orchid"
    )


class TestNames:
    @pytest.mark.parametrize(
        ("name", "split", "protocol"),
        [
            ("mmlu_pro", "test", "chat"),
            ("mmlu_pro:validation", "validation", "chat"),
            ("mmlu_pro:official", "test", "official"),
            ("mmlu_pro:official:test", "test", "official"),
            ("gpqa", "diamond", "chat"),
            ("gpqa:extended", "extended", "chat"),
            ("gpqa:diamond:simple", "diamond", "simple"),
            ("gpqa:simple:main", "main", "simple"),
        ],
    )
    def test_parts_in_any_order(self, name: str, split: str, protocol: str) -> None:
        found = named(name)
        assert found.protocol is not None
        assert (found.split, found.protocol.name) == (split, protocol)

    @pytest.mark.parametrize(
        ("name", "says", "hint"),
        [
            ("gpqa:dimond", "unknown split or protocol: 'dimond'", "did you mean `diamond`?"),
            ("gpqa:x", "unknown split or protocol", "protocols: `chat`, `simple`, `official`"),
            ("mmlu_pro:test:validation", "two splits are named", "name one"),
            ("mmlu_pro:chat:official", "two protocols are named", "name one"),
            ("gqpa:diamond", "unknown benchmark: 'gqpa'", "did you mean `gpqa`"),
            ("gqpa", "neither a file nor a benchmark", "did you mean `gpqa`"),
            ("items", "`items` needs a file", "items:FILE"),
        ],
    )
    def test_what_is_misspelt(self, name: str, says: str, hint: str) -> None:
        with pytest.raises(InputError, match=says) as caught:
            load_dataset(name)
        assert hint in caught.value.hint

    @pytest.mark.parametrize("name", ["x.csv", "data/gpqa", "C:x.csv", "./gpqa:main", "shipped:x"])
    def test_paths_are_no_names(self, name: str) -> None:
        assert not is_benchmark(name)

    def test_a_file_of_that_name_comes_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "gpqa").write_text("")
        assert not is_benchmark("gpqa")

    def test_splits_and_protocols_have_names_of_their_own(self) -> None:
        for name in ("mmlu_pro", "gpqa"):
            made = named(name).benchmark
            protocols = [each.name for each in made.protocols]
            assert len(protocols) == len(set(protocols))
            assert not set(protocols) & set(made.splits)

    def test_a_file_of_ones_own(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.jsonl"
        write_items(path, [Item(Question("q", "1 + 1?"), "2")])
        found = load_dataset(f"items:{path}")
        assert list(found) == list(load_dataset(path))
        assert found.source == {"items": str(path)}
        with pytest.raises(InputError, match="takes no `--data`"):
            load_dataset(f"items:{path}", data=tmp_path)
        with pytest.raises(InputError, match="is for benchmarks by name"):
            load_dataset(path, data=tmp_path)


def as_jsonl(path: Path, rows: Sequence[Row]) -> None:
    path.write_bytes(b"\n".join(orjson.dumps(row) for row in rows))


def as_json(path: Path, rows: Sequence[Row]) -> None:
    path.write_bytes(orjson.dumps(list(rows)))


def as_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)  # lists as Python spells them, as pandas does


def as_zip(path: Path, rows: Sequence[Row]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/test.json", orjson.dumps(list(rows)))


class TestReleases:
    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("test-00000-of-00001.parquet", parquet),
            ("test.parquet", parquet),
            ("test.jsonl", as_jsonl),
            ("test.json", as_json),
            ("test.csv", as_csv),
            ("anything.jsonl", as_jsonl),
            ("release.zip", as_zip),
        ],
    )
    def test_every_format(
        self, tmp_path: Path, name: str, write: Callable[[Path, Sequence[Row]], object]
    ) -> None:
        rows = [mmlu(n) for n in range(100, 105)]
        write(tmp_path / name, rows)
        found = [load_dataset("mmlu_pro", data=tmp_path / name)]
        if name != "anything.jsonl":
            found.append(load_dataset("mmlu_pro", data=tmp_path))
        for items in found:
            assert [item.question.id for item in items] == ["100", "101", "102", "103", "104"]
            assert items[0].question.options == ("100", "101", "102")
            assert {item.gold for item in items} == {"B"}
            assert items.exam is not None
            assert list(items.exam.release["files"]) == ["test.json" if write is as_zip else name]
        notes = load_dataset("mmlu_pro", data=tmp_path / name).reading.notes
        assert ("anything.jsonl was taken for the split `test`" in notes) == (
            name == "anything.jsonl"
        )

    def test_shards_are_one_split(self, tmp_path: Path) -> None:
        for part in range(3):
            rows = [mmlu(n) for n in range(100 + 2 * part, 102 + 2 * part)]
            parquet(tmp_path / f"test-{part:05}-of-00003.parquet", rows)
        assert len(load_dataset("mmlu_pro", data=tmp_path)) == 6
        (tmp_path / "test-00001-of-00003.parquet").unlink()
        with pytest.raises(InputError, match="2 of the 3 files of split `test` are here"):
            load_dataset("mmlu_pro", data=tmp_path)

    @pytest.mark.parametrize(
        ("changed", "says"),
        [
            ({"answer": "Z"}, "`answer` is none of the 3 options: 'Z'"),
            ({"answer_index": 2}, "`answer` is B and `answer_index` 2"),
            ({"options": ["x", "N/A", "y"]}, "`answer` is none of the 3 options: 'B'"),
            ({"question": " "}, "`question` is empty"),
            ({"question_id": 100}, "question id '100' stands already at"),
        ],
    )
    def test_unsound_rows(self, tmp_path: Path, changed: Row, says: str) -> None:
        parquet(tmp_path / "test.parquet", [mmlu(100), mmlu(101, **changed)])
        with pytest.raises(InputError, match=says) as caught:
            load_dataset("mmlu_pro", data=tmp_path)
        assert caught.value.place.endswith("test.parquet row 2")

    @pytest.mark.parametrize(
        ("files", "says", "hint"),
        [
            ({}, "no file of split `test` of `mmlu_pro`", "no files"),
            ({"validation.jsonl": [{}]}, "no file of split", "there are: validation.jsonl"),
            ({"test.jsonl": [{"question": "?"}]}, "has no column `question_id`", "there are"),
            ({"test.jsonl": [mmlu(1)], "test.json": [mmlu(1)]}, "several files may be", "--data"),
            ({"test.jsonl": [mmlu(1)], "old/test.jsonl": [mmlu(2)]}, "several files may be", ""),
        ],
    )
    def test_wrong_folders(
        self, tmp_path: Path, files: Mapping[str, Sequence[Row]], says: str, hint: str
    ) -> None:
        for name, rows in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            as_jsonl(tmp_path / name, rows)
        with pytest.raises(InputError, match=says) as caught:
            load_dataset("mmlu_pro", data=tmp_path)
        assert hint in caught.value.hint

    def test_a_file_of_another_split(self, mmlu_pro: Path) -> None:
        file = mmlu_pro / "data" / "validation-00000-of-00001.parquet"
        with pytest.raises(InputError, match="no file of split `test`"):
            load_dataset("mmlu_pro", data=file)

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no such file or folder"):
            load_dataset("mmlu_pro", data=tmp_path / "nowhere")

    def test_a_snapshot_of_the_hub_says_its_revision(self, tmp_path: Path) -> None:
        revision = "ab" * 20
        folder = tmp_path / "datasets--TIGER-Lab--MMLU-Pro" / "snapshots" / revision / "data"
        parquet(folder / "test.parquet", [mmlu(1)])
        exam = load_dataset("mmlu_pro", data=tmp_path).exam
        assert exam is not None
        assert exam.release["revision"] == revision


def hub(files: Mapping[str, Path], error: Exception | None = None) -> ModuleType:
    """huggingface_hub, as far as it is used."""
    module = ModuleType("huggingface_hub")

    def listed(repository: str, *, repo_type: str, revision: str) -> list[str]:
        assert (repository, repo_type, len(revision)) == ("TIGER-Lab/MMLU-Pro", "dataset", 40)
        if error is not None:
            raise error
        return [*files, "README.md"]

    def download(repository: str, name: str, **where: str) -> str:
        return str(files[name])

    module.HfApi = lambda: SimpleNamespace(list_repo_files=listed)  # type: ignore[attr-defined]
    module.hf_hub_download = download  # type: ignore[attr-defined]
    return module


class TestDownloads:
    def test_a_pinned_revision(self, mmlu_pro: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        files = {f"data/{each.name}": each for each in (mmlu_pro / "data").iterdir()}
        monkeypatch.setitem(sys.modules, "huggingface_hub", hub(files))
        items = load_dataset("mmlu_pro:official", limit=3)
        assert items.exam is not None
        assert len(items.exam.release["files"]) == 2
        assert items.exam.release["revision"].startswith("3373e0b3")
        assert "downloaded from TIGER-Lab/MMLU-Pro" in items.reading.notes[0]
        assert "data" not in items.source

    def test_offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "huggingface_hub", hub({}, OSError("no network\nx")))
        with pytest.raises(InputError, match="cannot be downloaded: OSError: no network") as caught:
            load_dataset("mmlu_pro")
        assert "`--data FOLDER|FILE`" in caught.value.hint
        assert "`test.parquet`" in caught.value.hint

    def test_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "huggingface_hub", None)
        with pytest.raises(MissingExtra, match="huggingface_hub") as caught:
            load_dataset("gpqa:main")
        assert "`gpqa_main.parquet`" in caught.value.hint


OFFICIAL = """\
The following are multiple choice questions (with answers) about law. Think step by step and \
then finish your answer with "the answer is (X)" where X is the correct letter choice.



Question:
What comes after 0?
Options:
A. 0
B. 1
C. 2
Answer: Let's think step by step. It is 1. The answer is (B).

Question:
What comes after 2?
Options:
A. 2
B. 3
C. 4
Answer: Let's think step by step. It is 3. The answer is (B).

Question:
What comes after 100?
Options:
A. 100
B. 101
C. 102
Answer: Let's think step by step."""


class TestMmluPro:
    def test_the_official_prompt(self, tmp_path: Path) -> None:
        parquet(tmp_path / "test.parquet", [mmlu(100)])
        parquet(tmp_path / "validation.parquet", [worked(n) for n in range(4)])
        (item,) = load_dataset("mmlu_pro:official", data=tmp_path)
        assert item.question.prompt == OFFICIAL
        assert all(prompt(item.question, how) == OFFICIAL for how in STRATEGIES.values())
        assert "Let's" not in prompt(item.question.plain, STRATEGIES["plain"])

    @pytest.mark.parametrize(("length", "examples"), [(10, 5), (1_500, 4), (4_000, 1), (9_000, 0)])
    def test_examples_make_room(self, tmp_path: Path, length: int, examples: int) -> None:
        rows = [{**worked(2 * n), "question": "x" * length} for n in range(8)]
        parquet(tmp_path / "validation.parquet", rows)
        parquet(tmp_path / "test.parquet", [mmlu(100)])
        (item,) = load_dataset("mmlu_pro:official", data=tmp_path)
        assert item.question.prompt.count("Question:") == 1 + examples

    def test_a_question_without_room_is_asked_without_examples(self, tmp_path: Path) -> None:
        parquet(tmp_path / "validation.parquet", [worked(n) for n in range(8)])
        parquet(tmp_path / "test.parquet", [mmlu(100, question="x" * 20_000)])
        (item,) = load_dataset("mmlu_pro:official", data=tmp_path)
        assert item.question.prompt.count("Question:") == 1

    def test_the_chat_prompt(self, mmlu_pro: Path) -> None:
        item = load_dataset("mmlu_pro", data=mmlu_pro)[0]
        assert item.question.prompt.endswith(
            "one of the letters A, B, C.\n\nWhat comes after 100?\n\nA. 100\nB. 101\nC. 102"
        )

    @pytest.mark.parametrize(
        ("options", "gold", "kept", "letter"),
        [
            (["N/A", "a", "b"], "C", ("a", "b"), "B"),
            (["a", "N/A", "b", "N/A"], "C", ("a", "b"), "B"),
            ([" a", "b "], "A", ("a", "b"), "A"),
        ],
    )
    def test_padding_and_spaces(
        self, tmp_path: Path, options: list[str], gold: str, kept: tuple[str, ...], letter: str
    ) -> None:
        row = mmlu(1, options=options, answer=gold, answer_index="ABCD".index(gold))
        parquet(tmp_path / "test.parquet", [row])
        (item,) = load_dataset("mmlu_pro", data=tmp_path)
        assert (item.question.options, item.gold) == (kept, letter)

    @pytest.mark.parametrize(
        ("options", "state", "marked"),
        [
            (["1", " 2", "3"], "before 2026-01-18", True),
            (["1", " 2", " 3"], "unknown", False),
            ([" 1", "2", "3"], "unknown", False),
            (["1", "2", "3"], "unknown", False),
            (["1", "2", "3", "N/A"], "before 2025-08-25", False),
        ],
    )
    def test_the_state_of_a_part(
        self, tmp_path: Path, options: list[str], state: str, marked: bool
    ) -> None:
        parquet(tmp_path / "test.parquet", [mmlu(1, options=options), mmlu(2, options=options)])
        exam = load_dataset("mmlu_pro", data=tmp_path).exam
        assert exam is not None
        assert exam.release["state"] == state
        assert {len(ids) for ids in exam.parts.values()} == {2 if marked else 0}

    def test_questions_set_apart_for_profiling(
        self, tmp_path: Path, mmlu_pro: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from orchestra.evals.benchmarks import mmlu_pro as module

        ids = [{"question_id": f"mmlupro-{n}", "profile": n < 105} for n in range(100, 120)]
        monkeypatch.setattr(module, "_SHIPPED", parquet(tmp_path / "ids.parquet", ids))
        module._profiled.cache_clear()
        items = load_dataset("mmlu_pro", data=mmlu_pro)
        module._profiled.cache_clear()
        assert [item.question.id for item in items if item.profile] == [
            *("100", "101", "102", "103", "104")
        ]

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("moved", "spaced", "state"),
        [
            (0, True, "before 2025-10-24"),
            (0, False, "before 2025-10-24, options stripped"),
            (47, True, "2025-10-24 to 2026-01-18"),
            (47, False, "2025-10-24 or later"),
        ],
    )
    def test_the_state_of_the_whole(
        self, tmp_path: Path, moved: int, spaced: bool, state: str
    ) -> None:
        from orchestra.evals.benchmarks.mmlu_pro import _SUBJECTS

        subjects = [name for name, count in _SUBJECTS.items() for _ in range(count)]
        at = subjects.index("health")
        subjects[at : at + moved] = ["other"] * moved
        rows = [mmlu(n, category=name) for n, name in enumerate(subjects)]
        if spaced:
            rows[0]["options"] = ["0", " 1", "2"]
        parquet(tmp_path / "test.parquet", rows)
        exam = load_dataset("mmlu_pro", data=tmp_path).exam
        assert exam is not None
        assert exam.release["state"] == state


SIMPLE = (
    "Answer the following multiple choice question. The last line of your response should be of "
    "the following format: 'Answer: $LETTER' (without quotes) where LETTER is one of ABCD. Think "
    "step by step before answering.\n\n"
)


class TestGpqa:
    def test_from_its_archive(self, gpqa: Path) -> None:
        items = load_dataset("gpqa", data=gpqa)
        assert len(items) == 20
        assert items[3].question.id == "rec003"
        assert items[3].question.category == "Biology"
        assert sorted(items[3].question.options) == ["4", "5", "6", "7"]
        assert all(
            item.question.options["ABCD".index(item.gold or "")] == str(number + 1)
            for number, item in enumerate(items)
        )

    def test_simple_is_that_of_simple_evals(self, gpqa: Path) -> None:
        rows = gpqa_rows()
        draw = Random(0)
        wanted = []
        for row in rows * 4:
            texts = [row[1:5][at] for at in draw.sample(range(4), 4)]
            asked = "\n".join(
                f"{letter}) {text}" for letter, text in zip("ABCD", texts, strict=True)
            )
            wanted.append((f"{SIMPLE}{row[0]}\n\n{asked}", "ABCD"[texts.index(row[1])]))
        items = load_dataset("gpqa:simple", data=gpqa)
        assert [(item.question.prompt, item.gold) for item in items] == wanted
        assert [item.question.id for item in items[::20]] == [f"rec000#{n}" for n in (1, 2, 3, 4)]
        assert {item.group for item in items} == {row[5] for row in rows}

    def test_official_is_that_of_the_authors(self, gpqa: Path) -> None:
        rows = gpqa_rows()
        draw = Random(0)
        wanted = []
        for row in rows:
            texts = [*row[2:5], row[1]]
            draw.shuffle(texts)
            asked = "\n".join(
                f"({letter}) {text}" for letter, text in zip("ABCD", texts, strict=True)
            )
            question = f"What is the correct answer to this question: {row[0]}\n\nChoices:\n{asked}"
            end = (
                '\n\nFormat your response as follows: "The correct answer is (insert answer here)"'
            )
            wanted.append((question + end, "ABCD"[texts.index(row[1])]))
        items = load_dataset("gpqa:official", data=gpqa)
        assert [(item.question.prompt, item.gold) for item in items] == wanted

    def test_the_order_of_chat_is_the_questions_own(self, tmp_path: Path) -> None:
        rows = gpqa_rows()
        orders = []
        for given in (rows, rows[5:], rows[::-1]):
            (tmp_path / "gpqa_main.csv").write_bytes(gpqa_csv(given))
            for seed in (0, 1):
                items = load_dataset("gpqa:main", data=tmp_path, seed=seed)
                orders.append({item.question.id: item.question.options for item in items})
        assert orders[0] != orders[1]
        for whole, part in ((0, 2), (1, 3), (0, 4), (1, 5)):
            assert orders[part].items() <= orders[whole].items()

    def test_a_limit_takes_questions_with_all_their_repeats(self, gpqa: Path) -> None:
        few = load_dataset("gpqa:simple", data=gpqa, limit=5)
        more = load_dataset("gpqa:simple", data=gpqa, limit=9)
        assert (len(few), len(more)) == (20, 36)
        assert set(few) <= set(more) <= set(load_dataset("gpqa:simple", data=gpqa))
        assert few.exam == more.exam
        assert len({item.cluster for item in take(more, 3, seed=0)}) == 3

    def test_the_digest_is_that_of_the_content(self, gpqa: Path) -> None:
        exams = [load_dataset(f"gpqa:{each}", data=gpqa).exam for each in ("chat", "simple")]
        assert len({each.release["digest"] for each in exams if each}) == 1

    @pytest.mark.parametrize("password", [b"another", b"deserted"])
    def test_another_password(self, tmp_path: Path, password: bytes) -> None:
        path = locked(tmp_path / "x.zip", "gpqa_diamond.csv", gpqa_csv(gpqa_rows()), password)
        with pytest.raises(InputError, match=r"x\.zip/gpqa_diamond\.csv: "):
            load_dataset("gpqa", data=path)

    def test_an_archive_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "x.zip").write_bytes(b"PK\3\4 nothing")
        with pytest.raises(InputError, match=r"x\.zip: cannot be read"):
            load_dataset("gpqa", data=tmp_path)


def marks(items: Sequence[Item], *outcomes: Outcome) -> list[Mark]:
    told = zip(items, (outcomes * len(items))[: len(items)], strict=True)
    return [
        Mark(
            item.question.id,
            "x",
            outcome,
            None,
            Absence.UNPARSED if outcome is Outcome.ABSENT else None,
        )
        for item, outcome in told
    ]


class TestReports:
    def test_guesses_stand_beside_the_headline(self, mmlu_pro: Path) -> None:
        items = load_dataset("mmlu_pro:official", data=mmlu_pro)
        told = examined(items.exam, items, marks(items, Outcome.ABSENT), seed=0)
        guessed = told["accuracy_with_guesses"]
        assert guessed["drawn"] == 40
        assert 0.1 < guessed["accuracy"] < 0.6  # one of three letters
        again = examined(items.exam, items[::-1], marks(items[::-1], Outcome.ABSENT), seed=0)
        assert again["accuracy_with_guesses"] == guessed
        failed = [replace(mark, absence=Absence.FAILED) for mark in marks(items, Outcome.ABSENT)]
        nothing = examined(items.exam, items, failed, seed=0)["accuracy_with_guesses"]
        assert nothing == {"accuracy": 0.0, "interval": nothing["interval"], "drawn": 0}

    def test_no_guesses_under_other_protocols(self, mmlu_pro: Path) -> None:
        items = load_dataset("mmlu_pro", data=mmlu_pro)
        told = examined(items.exam, items, marks(items, Outcome.ABSENT), seed=0)
        assert "accuracy_with_guesses" not in told

    def test_repeats_are_clusters(self, gpqa: Path) -> None:
        from orchestra.evals.conventions import share

        items = load_dataset("gpqa:simple", data=gpqa)
        right = {item.question.id: int(item.group[3:]) % 2 == 0 for item in items}
        found = share(items, right)
        interval = clustered_interval(
            [float(each) for each in right.values()], [item.group for item in items]
        )
        assert found["interval"] == [round(interval.low, 6), round(interval.high, 6)]
        assert interval.high - interval.low > 0.35  # as of 20 questions, not of 80

    def test_marked_options_are_reported_apart(self, tmp_path: Path) -> None:
        rows = [mmlu(n, options=["1", " 2" if n < 5 else "2", "3"]) for n in range(20)]
        parquet(tmp_path / "test.parquet", rows)
        items = load_dataset("mmlu_pro", data=tmp_path)
        outcomes = [Outcome.CORRECT] * 5 + [Outcome.WRONG] * 15
        told = examined(items.exam, items, marks(items, *outcomes), seed=0)["parts"]
        assert [(part["n"], part["accuracy"]) for part in told.values()] == [(5, 1.0), (15, 0.0)]


class TestExtraColumns:
    ITEMS = (
        Item(
            Question("a", "1?", metadata={"tests": ["x"], "n": 1}), "1", grading={"hidden": [1, 2]}
        ),
        Item(Question("b", "2?"), "2"),
    )

    @pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
    def test_they_come_back(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"items{suffix}"
        write_items(path, self.ITEMS)
        found = load_dataset(path)
        assert [(i.question.metadata, i.grading) for i in found] == [
            (i.question.metadata, i.grading) for i in self.ITEMS
        ]
        assert items_digest(found) == items_digest(load_dataset(list(self.ITEMS)))

    def test_the_digest_covers_them_where_there_are_any(self) -> None:
        bare = [replace(each, grading={}) for each in self.ITEMS]
        assert items_digest(self.ITEMS) != items_digest(bare)

    @pytest.mark.parametrize("cell", ["a text", [1, 2], 5])
    def test_a_column_of_something_else_is_not_used(self, cell: object) -> None:
        found = load_dataset([{"question": "1 + 1?", "answer": 2, "metadata": cell}])
        assert "metadata" in found.reading.unused


@pytest.fixture
def work(tmp_path: Path, mmlu_pro: Path, gpqa: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a roster whose experts have answered both benchmarks."""
    rows = []
    for name, data in (
        ("mmlu_pro", mmlu_pro),
        ("mmlu_pro:validation", mmlu_pro),
        ("gpqa:simple", gpqa),
    ):
        for item in load_dataset(name, data=data):
            for model, share in (("m1", 0.9), ("m2", 0.6), ("m3", 0.4)):
                draw = Random(model + item.question.id)
                knows = draw.random() < share
                letter = item.gold if knows else draw.choice(item.question.letters)
                said = draw.choice([f"Answer: {letter}", f"The answer is ({letter})", "Hm."])
                rows.append(
                    {"question_id": item.question.id, "model": model, "output": f"I see. {said}"}
                )
    as_jsonl(tmp_path / "recordings.jsonl", rows)
    experts = [{"name": f"e{n}", "model": f"m{n}"} for n in (1, 2, 3)]
    defaults = {"worker": "recorded", "recordings": "recordings.jsonl"}
    roster = {"schema": 1, "defaults": defaults, "experts": experts}
    (tmp_path / "roster.yaml").write_text(yaml.safe_dump(roster))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def orchestra(*arguments: object, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(main, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == code, done.output
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


ON_GPQA = ("--on", "gpqa:diamond:simple", "--data", "dataset.zip")


class TestCommands:
    def test_profile_run_and_everything_after(self, work: Path) -> None:
        orchestra(
            "profile",
            "-r",
            "roster.yaml",
            "--on",
            "mmlu_pro:validation",
            "--data",
            "mmlu",
            "-o",
            "t.json",
        )
        run = ("run", "majority", "-r", "roster.yaml", "-t", "t.json")
        told = orchestra(*run, "--on", "mmlu_pro:official", "--data", "mmlu", "-o", "a")
        assert told["benchmark"] == "mmlu_pro:test"
        assert told["protocol"].startswith("official v1 (prompt ")
        assert "read by `official`" in told["protocol"]
        assert told["asked"]["guesses"] is True
        assert told["accuracy_with_guesses"]["accuracy"] >= told["accuracy"]
        assert "recorded answers are replies to their own prompts" in "\n".join(told["notes"])
        assert orchestra("mark", "a", "--rule", "stated")["before"]["n"] == 40
        assert orchestra("show", "a", "107")["question"] == "What comes after 107?"

    def test_repeats_from_an_archive(self, work: Path) -> None:
        run = ("run", "majority", "-r", "roster.yaml", *ON_GPQA)
        told = orchestra(*run, "-o", "a")
        assert (told["n"], told["asked"]["questions"]) == (80, 20)
        assert orchestra(*run, "-o", "a")["resumed"] is True
        other = orchestra(*run, "-o", "b", "--set", "generate.read=stated")
        assert other["accuracy"] > told["accuracy"]
        assert any("reads answers by `simple`, but `stated`" in note for note in other["notes"])
        assert orchestra("compare", "a", "b")["n"] == 80
        assert (
            orchestra("mark", "a", "--on", "gpqa:simple", "--data", "dataset.zip")["before"]["n"]
            == 80
        )
        (work / "dataset.zip").rename(work / "moved.zip")
        assert orchestra("mark", "a", "--data", "moved.zip")["after"]["n"] == 80
        for file in (*(work / "a").iterdir(), *(work / "b").iterdir()):
            assert WORDS.encode() not in file.read_bytes(), file

    def test_other_prompts_are_another_run(self, work: Path) -> None:
        run = ("run", "majority", "-r", "roster.yaml", "--data", "mmlu", "-o", "a")
        orchestra(*run, "--on", "mmlu_pro:official")
        done = CliRunner().invoke(main, [*run, "--on", "mmlu_pro"])
        assert done.exit_code == 2
        assert "protocol" in done.output

    def test_plan_redteam_check_and_ask(self, work: Path) -> None:
        at = ("-r", "roster.yaml", "--on", "mmlu_pro", "--data", "mmlu")
        assert orchestra("plan", "majority", *at)["calls"]
        attacked = orchestra(
            *("redteam", "majority", *at, "-o", "red", "--attack", "colluding"),
            *("--faults", "1", "--seeds", "1", "--defence", "majority"),
        )
        assert attacked["benchmark"] == "mmlu_pro:test"
        assert attacked["protocol"].startswith("chat v1")
        checked = orchestra("check", "gpqa:diamond", "--data", "dataset.zip")
        assert checked["files"][0]["facts"]["questions"] == 20
        assert (
            orchestra("ask", "--id", "105", "-p", "majority", *at)["question"]
            == "What comes after 105?"
        )
