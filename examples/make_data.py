"""Writes `data/` of this folder anew: synthetic questions, and what the experts say to them.

The experts are the embedded ones (docs/embedded.md); docs/files.md has the formats.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from orchestra import Expert, Generation, Question, Request, Roster
from orchestra.embedded import Split, questions
from orchestra.evals import write_items
from orchestra.workers.pool import WorkerPool

HERE = Path(__file__).parent


async def ask(expert: Expert, asked: list[Question]) -> list[Generation]:
    requests = [
        Request(each.id, each.id, expert.name, "draft", expert.messages(each), expert.sampling)
        for each in asked
    ]
    async with WorkerPool().open(expert) as worker:
        return sorted([each async for each in worker.generate(requests)], key=lambda g: g.key)


def row(model: str, said: Generation) -> str:
    told = {"question_id": said.question_id, "model": model, "output": said.text}
    sent, got = said.usage.input_tokens, said.usage.output_tokens
    return json.dumps(told | {"prompt_tokens": sent, "completion_tokens": got})


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    profiled, tested = questions(12, of=Split.PROFILE, seed=7), questions(10, of=Split.TEST, seed=7)
    write_items(folder / "profile.jsonl", profiled)
    write_items(folder / "test.jsonl", tested)
    asked = [item.question for item in (*profiled, *tested)]
    roster = Roster.load(HERE / "roster.yaml")
    experts = [roster[name] for name in roster.recruits]
    rows = [row(each.model, said) for each in experts for said in asyncio.run(ask(each, asked))]
    (folder / "recordings.jsonl").write_text("\n".join([*rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "data")
