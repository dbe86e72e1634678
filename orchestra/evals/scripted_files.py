"""Writes the demo's world as files, in the formats that a user's own questions and models have.

Knows the item, recording and roster formats and asks the scripted experts every
question once; does not know what they answer, nor anything of pipelines.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import yaml

from orchestra.evals.items import Item
from orchestra.evals.scripted_demo import LABEL, ScriptedDemo
from orchestra.records import Question, Request
from orchestra.runs import write_whole


async def write_world(demo: ScriptedDemo, folder: Path, *, data: str = "") -> None:
    """Write `roster.yaml`, and beside it (or in its folder `data`) items and recordings.

    The files are `profile.jsonl`, `test.jsonl` and `recordings.jsonl`. The roster replays
    the recordings, so every command works on the folder with no script at hand.

    Args:
        demo: the world.
        folder: where the roster goes; made if it is not there.
        data: name of the folder in it that holds the other files; empty: `folder` itself.
    """
    beside = folder / data
    beside.mkdir(parents=True, exist_ok=True)
    for name, items in (("profile", demo.profile), ("test", demo.test)):
        write_whole(beside / f"{name}.jsonl", b"".join(_line(_item(item)) for item in items))
    write_whole(beside / "recordings.jsonl", await _recordings(demo))
    write_whole(folder / "roster.yaml", _roster(demo, data).encode())


def _line(row: object) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _item(item: Item) -> dict[str, object]:
    question = item.question
    row: dict[str, object] = {
        "question_id": question.id,
        "question": question.text,
        "options": list(question.options),
        "answer": item.gold,
        "kind": question.kind.value,
        "category": question.category,
        "benchmark": question.benchmark,
    }
    return {key: value for key, value in row.items() if value not in ("", [])}


async def _recordings(demo: ScriptedDemo) -> bytes:
    lines: list[bytes] = []
    for expert in demo.roster:
        requests = [
            Request(
                question.id,
                question.id,
                expert.name,
                "generate",
                expert.messages(question),
                expert.sampling,
            )
            for question in _questions(demo)
        ]
        async with demo.workers.open(expert) as worker:
            async for said in worker.generate(requests):
                row = {"question_id": said.question_id, "model": expert.model, "output": said.text}
                lines.append(_line(row))
    return b"".join(lines)


def _questions(demo: ScriptedDemo) -> Sequence[Question]:
    return [item.question for item in (*demo.profile, *demo.test)]


def _roster(demo: ScriptedDemo, data: str) -> str:
    path = f"{data}/recordings.jsonl" if data else "recordings.jsonl"
    content = {
        "schema": 1,
        "defaults": {"worker": "recorded", "recordings": path},
        "experts": [{"name": expert.name, "model": expert.model} for expert in demo.roster],
    }
    return f"# {LABEL}\n" + yaml.safe_dump(content, sort_keys=False)
