"""What every test may ask for: recorded answers of real models, and small experts made up here."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from orchestra import components
from orchestra.embedded import Rehearsal, rehearse
from orchestra.evals import Item
from orchestra.records import LETTERS, Question
from orchestra.roster import Roster
from orchestra.workers.scripted import Script

REPOSITORY = Path(__file__).resolve().parents[1]

# No deadlines: a busy machine is no bug. On CI the same examples are tried every time.
settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("house")


def _shared_data_folder() -> Path:
    given = os.environ.get("ORCHESTRA_SHARED_DATA")
    return Path(given) if given else REPOSITORY.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use `shared_data`, and skip the marked ones where the folder is absent."""
    folder = _shared_data_folder()
    absent = pytest.mark.skip(
        reason=f"no recorded answers in {folder}; ORCHESTRA_SHARED_DATA names another folder"
    )
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("shared_data")
        if item.get_closest_marker("shared_data") and not folder.is_dir():
            item.add_marker(absent)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with recorded answers of real models; read in place, never copied."""
    return _shared_data_folder()


@pytest.fixture(scope="session")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    """A small demo, made once for all processes of a session; its folder is not to be changed."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "rehearsed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the second process only reads what the first made
        return asyncio.run(rehearse(shared / "rehearsed", profiled=6, tested=4, seed=5))


@dataclass(frozen=True)
class Builder:
    """Small questions, experts and recordings of known worth, the same in every run."""

    folder: Path

    def items(self, n: int, *, options: int = 4, prefix: str = "q") -> list[Item]:
        """Choice items in three categories; gold letters go round."""
        return [
            Item(
                Question(
                    f"{prefix}{i}",
                    f"What is fact number {i}?",
                    tuple(f"fact {i} or {j}" for j in range(options)),
                    category=("algebra", "biology", "law")[i % 3],
                    benchmark="facts",
                ),
                LETTERS[(i * 7 + i // 5) % options],
            )
            for i in range(n)
        ]

    def chance(self, *parts: object) -> float:
        """A number in [0, 1) that depends on the parts alone."""
        told = blake2b(repr(parts).encode(), digest_size=8).digest()
        return int.from_bytes(told, "big") / 2**64

    def said(
        self, item: Item, expert: str, share: float, *, absent: float = 0.0, sample: int = 0
    ) -> str:
        """What an expert that is right with that share says; without an answer now and then."""
        whose = (item.question.id, expert, sample)
        if self.chance("absent", *whose) < absent:
            return "Who could tell?"
        letters = item.question.letters
        gold = letters.index(item.gold or "A")
        off = 0 if self.chance("right", *whose) < share else 1 + int(2 * self.chance("w", *whose))
        return f"Let me see.\nThe answer is ({letters[(gold + off) % len(letters)]})."

    def scripts(
        self, items: Sequence[Item], shares: Mapping[str, float], *, absent: float = 0.0
    ) -> dict[str, Script]:
        """A script for each expert."""
        by_id = {item.question.id: item for item in items}

        def script(name: str, share: float) -> Script:
            return lambda request: self.said(
                by_id[request.question_id], name, share, absent=absent, sample=request.sample
            )

        return {name: script(name, share) for name, share in shares.items()}

    def scripted(self, *names: str, **fields: object) -> Roster:
        """A roster of scripted experts; `fields` go to each entry."""
        entries = [{"name": name, "model": name, "worker": "scripted", **fields} for name in names]
        return Roster.loads(json.dumps({"schema": 1, "experts": entries}), "roster")

    def recordings(self, rows: Iterable[Mapping[str, object]], name: str = "answers") -> Path:
        """A parquet file of recordings."""
        path = self.folder / f"{name}.parquet"
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path)
        return path

    def recorded(self, path: Path, *names: str, **fields: object) -> Roster:
        """A roster of experts that replay a file of recordings, each under its own name."""
        entries = [{"name": name, "model": name, **fields} for name in names]
        common = {"worker": "recorded", "recordings": str(path)}
        told = {"schema": 1, "defaults": common, "experts": entries}
        return Roster.loads(json.dumps(told), "roster")

    def rows(
        self,
        items: Sequence[Item],
        shares: Mapping[str, float],
        *,
        absent: float = 0.0,
        samples: int = 1,
    ) -> list[dict[str, object]]:
        """Recordings of experts of that worth."""
        return [
            {
                "question_id": item.question.id,
                "model": name,
                "output": self.said(item, name, share, absent=absent, sample=sample),
                "sample_index": sample,
            }
            for name, share in shares.items()
            for item in items
            for sample in range(samples)
        ]

    def pipeline_file(self, name: str = "mine", **stages: object) -> Path:
        """A pipeline file."""
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps({"schema": 1, "name": name, **stages}), encoding="utf-8")
        return path


@pytest.fixture
def build(tmp_path: Path) -> Builder:
    """Makes questions, experts, recordings and pipelines for a test."""
    return Builder(tmp_path)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test registers as a component is gone after it."""
    components.shipped()
    kept = {stage: dict(known) for stage, known in components._REGISTERED.items()}
    monkeypatch.setattr(components, "_REGISTERED", kept)
