"""Damaged data files are read or refused with an InputError, never with another exception."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random

import pytest

from orchestra.errors import InputError
from orchestra.evals import check_files, load_dataset
from tests.evals.test_shapes import MULTIPLE, OPEN

ROWS = [row for _, rows in MULTIPLE for row in rows] + [row for _, rows, *_ in OPEN for row in rows]
MARKS = [
    *("\x00", '"', "'", "\\", "{", "}", "[", "]", ",", ";", "\t", "\n", "\r", "####", "\\boxed{"),
    *("null", "NaN", "1e999", "A)", "(B)", "\ud835", "\\ud835", "\ufeff", "é", "答案", "true"),
    *("array(", "dtype=", "-1", "", "9" * 5000),
]  # fmt: skip


def seeds(random: Random) -> tuple[str, bytes]:
    rows = random.sample(ROWS, random.randint(1, 4))
    if random.random() < 0.5:
        rows = [random.choice(ROWS)] * random.randint(1, 4)
    names = list(dict.fromkeys(name for row in rows for name in row))
    suffix = random.choice([".csv", ".tsv", ".jsonl", ".json", ".ndjson"])
    if suffix in (".csv", ".tsv"):
        mark = random.choice([",", ";"]) if suffix == ".csv" else "\t"
        cells = [[str(row.get(name, "")).replace("\n", " ") for name in names] for row in rows]
        text = "\n".join(mark.join(line) for line in [names, *cells])
    elif suffix == ".json":
        layouts = [rows, {"data": rows}, {str(at): row for at, row in enumerate(rows)}]
        layouts.append({name: [row.get(name) for row in rows] for name in names})
        text = json.dumps(random.choice(layouts))
    else:
        text = "\n".join(map(json.dumps, rows))
    return suffix, text.encode(random.choice(["utf-8"] * 4 + ["utf-16", "utf-8-sig"]))


def damaged(content: bytes, random: Random) -> bytes:
    for _ in range(random.randint(0, 6)):
        at = random.randint(0, len(content))
        end = min(len(content), at + random.choice([0, 0, 1, 2, 8]))
        mark = random.choice(MARKS).encode("utf-8", "surrogatepass")
        mark = bytes([random.randrange(256)]) if random.random() < 0.2 else mark
        content = content[:at] + mark + content[end:]
    return content[: random.randint(0, len(content))] if random.random() < 0.1 else content


def read(count: int, seed: int, folder: Path) -> None:
    random = Random(seed)
    for number in range(count):
        suffix, content = seeds(random)
        content = damaged(content, random)
        if random.random() < 0.1:
            suffix, content = f"{suffix}.gz", damaged(gzip.compress(content), random)
        path = folder / f"case{suffix}"
        path.write_bytes(content)
        try:
            load_dataset(path)
        except InputError:
            pass
        except BaseException as error:
            pytest.fail(f"seed {seed}, case {number}: {error!r} for {content[:500]!r}")
        if number % 10 == 0:
            check_files([path])


def test_damaged_files(tmp_path: Path) -> None:
    read(150, 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_many_damaged_files(tmp_path: Path, seed: int) -> None:
    read(10_000, seed, tmp_path)
