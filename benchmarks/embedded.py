"""How much pipelines gain on the experts that ship with the package, on synthetic questions.

Really asks every expert every question, once; then as `quality` does: each seed draws a
profile, and plans made from it are replayed on all other questions.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
from rich.console import Console

from benchmarks.quality import SEEDS, Bench, measure, show
from orchestra.embedded import LABEL, TAGGER, Split, embedded_roster, questions
from orchestra.evals import profile_experts

RESULT = Path(__file__).parent / "results" / "embedded.json"
PROFILED, TESTED = 50, 100
"""Questions for each skill, of sets that share no problem."""


def bench() -> Bench:
    """The embedded experts with what each said on every question."""
    profile = questions(PROFILED, of=Split.PROFILE)
    test = questions(TESTED, of=Split.TEST)
    roster = embedded_roster()
    table = asyncio.run(profile_experts(roster, [*profile, *test], tagger=TAGGER))
    skills = tuple(item.question.category for item in (*profile, *test))
    own = tuple(range(len(profile)))
    return Bench("embedded", roster.subset(roster.recruits), table, skills, own, 25)


def main() -> None:
    console = Console(width=170)
    found = {"embedded": measure(bench(), SEEDS)}
    protocol = (
        f"{LABEL}; greedy; skills named by the labeller; gains in points over the expert that was "
        f"best on the same profile, mean ± sd over {SEEDS} random profiles of 25 questions a "
        "skill; all other questions are the test; answers read by `stated`, absent is not right; "
        "a second draw of the same expert is no vote"
    )
    console.print(protocol)
    show(found, console)
    content = {"schema": 1, "protocol": protocol, "pools": found}
    RESULT.write_bytes(
        orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )


if __name__ == "__main__":
    main()
