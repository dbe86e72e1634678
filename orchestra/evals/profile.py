"""Measures experts on labelled questions: the recruitment table's maker.

Knows gold answers and hands `skills` nothing but Marks. Asks every expert every
question, once, through the same stage that pipelines use.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from orchestra.errors import InputError
from orchestra.evals.items import Item, items_digest
from orchestra.evals.marking import mark_all
from orchestra.pipeline import Generate, LocalWorkers, Progress, tag_like, tag_questions
from orchestra.pipeline.draft import DraftStage
from orchestra.records import Plan, Seat
from orchestra.roster import Roster
from orchestra.runs import Ledger
from orchestra.skills import RecruitmentTable, Vocabulary


async def profile_experts(
    roster: Roster,
    items: Sequence[Item],
    *,
    tagger: str = "category",
    read: str = "stated",
    workers: LocalWorkers | None = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
) -> RecruitmentTable:
    """Ask every expert every labelled question and count who was right on which skill.

    Args:
        roster: the experts.
        items: questions with gold answers; those without are an error.
        tagger: `category`, `lexical`, `embedding:MODEL` or `keywords:EXPERT`.
        read: the answer cascade.
        workers: opens the experts.
        ledger: keeps the generations, so that the same call resumes; None: nowhere.
        progress: told how far it is.

    Raises:
        InputError: an item has no gold answer, or the tagger or an expert is unknown.
    """
    _labelled(items)
    opened = workers or LocalWorkers()
    opened.check(roster)
    questions = [item.question for item in items]
    briefs = await tag_questions(tag_like(tagger), questions, roster=roster, workers=opened)
    plans = [
        Plan(q.id, tuple(Seat(name, 1.0, "profile") for name in roster.names), "profile", 0)
        for q in questions
    ]
    stage = DraftStage(
        roster,
        opened,
        {expert.name: opened.identity(expert) for expert in roster},
        settings=Generate(calls=len(roster), read=read),
        ledger=ledger,
        progress=progress,
    )
    drafts = await stage.run(plans, {question.id: question for question in questions})
    by_id = {item.question.id: item for item in items}
    marks = mark_all((answer for row in drafts.answers.values() for answer in row.values()), by_id)
    parents = _parents() if tagger.partition(":")[0] in ("lexical", "embedding") else {}
    return RecruitmentTable.build(
        briefs,
        marks,
        experts=roster.names,
        parents=parents,
        provenance=_provenance(roster, items, tagger, read),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _labelled(items: Sequence[Item]) -> None:
    without = [item.question.id for item in items if item.gold is None]
    if without:
        raise InputError(
            f"{len(without)} of {len(items)} questions have no answer to profile on, "
            f"the first is {without[0]!r}",
            hint="give labelled questions",
        )


def _parents() -> dict[str, str]:
    vocabulary = Vocabulary.load()
    return {skill.name: skill.parent for skill in vocabulary if skill.parent}


def _provenance(roster: Roster, items: Sequence[Item], tagger: str, read: str) -> dict[str, str]:
    return {
        "roster": roster.digest,
        "items": items_digest(items),
        "questions": str(len(items)),
        "experts": str(len(roster)),
        "tagger": tagger,
        "read": read,
        "python": platform.python_version(),
    }
