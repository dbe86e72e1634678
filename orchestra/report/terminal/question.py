"""One question's whole way through a finished run: tags, seats, drafts, votes, decision.

Knows the ledger's rows and, where the items are at hand, the question and its gold
answer. Reads, never computes anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from orchestra.errors import unknown
from orchestra.evals import Item, mark_decision
from orchestra.records import (
    LETTERS,
    Answer,
    Ballot,
    Brief,
    Decision,
    Generation,
    Mark,
    Outcome,
    Plan,
    Seat,
)
from orchestra.report.format import percent
from orchestra.report.terminal.layout import grid, heading
from orchestra.report.terminal.plan import plan_view
from orchestra.runs import RowKind, RunView

_SHORT = 480
"""Characters of a draft that are shown unless all are wanted: the end, where answers stand."""


@dataclass(frozen=True)
class Journey:
    """Everything that a run knows of one question."""

    question_id: str
    brief: Brief
    plan: Plan
    drafts: tuple[tuple[Seat, Generation | None, Answer], ...]
    """Each call in the order of the plan; without a Generation where the ledger has none."""
    ballot: Ballot
    decision: Decision
    item: Item | None = None
    """The question itself, where it is at hand."""
    mark: Mark | None = None
    """Whether the decision was right, where the item has a gold answer."""


def journey(
    view: RunView, question_id: str, *, item: Item | None = None, who: str = "run"
) -> Journey:
    """Read one question's way. Raises InputError where the run has no such question."""
    found = {
        kind: list(view.ledger.rows(kind, question_id))
        for kind in RowKind
        if kind is not RowKind.FAILURE
    }
    failures = list(view.ledger.rows(RowKind.FAILURE, question_id))
    if not found[RowKind.DECISION]:
        ids = view.ledger.keys(RowKind.DECISION)
        raise unknown("question of this run", question_id, ids, place=str(view.path))
    plan: Plan = found[RowKind.PLAN][0]
    decision: Decision = found[RowKind.DECISION][0]
    answers = {(a.expert, a.sample): a for a in found[RowKind.ANSWER]}
    told = (*found[RowKind.GENERATION], *failures)
    texts = {(g.expert, g.sample): g for g in told if g.layer == 0}
    gold = item is not None and item.gold is not None
    return Journey(
        question_id,
        found[RowKind.BRIEF][0],
        plan,
        tuple(
            (seat, texts.get((seat.expert, seat.sample)), answers[seat.expert, seat.sample])
            for seat in (*plan.seats, *plan.reserves)
            if (seat.expert, seat.sample) in answers
        ),
        found[RowKind.BALLOT][0],
        decision,
        item,
        mark_decision(decision, item, who=who) if gold and item is not None else None,
    )


def journey_data(way: Journey) -> dict[str, Any]:
    """The journey as plain data, texts whole."""
    question = None if way.item is None else way.item.question
    return {
        "question_id": way.question_id,
        "question": None if question is None else question.text,
        "options": [] if question is None else list(question.options),
        "gold": None if way.item is None else way.item.gold,
        "outcome": None if way.mark is None else way.mark.outcome.value,
        "brief": asdict(way.brief),
        "plan": asdict(way.plan),
        "drafts": [
            {
                "expert": seat.expert,
                "sample": seat.sample,
                "reason": seat.reason,
                "text": None if generation is None else generation.text,
                "failure": _failure(generation),
                "value": answer.value,
                "absence": answer.absence,
                "rule": answer.rule,
                "span": answer.span,
                "instead_of": answer.instead_of or None,
            }
            for seat, generation, answer in way.drafts
        ],
        "ballot": asdict(way.ballot),
        "decision": asdict(way.decision),
    }


def journey_view(way: Journey, *, full: bool = False) -> RenderableType:
    """The journey for a terminal; drafts shortened to their end unless `full`."""
    parts: list[RenderableType] = [Text(way.question_id, style="bold"), *_question(way.item)]
    parts += [heading("Recruited"), plan_view(way.brief, way.plan, len(way.plan.seats))]
    parts.append(heading("Drafts"))
    for seat, generation, answer in way.drafts:
        parts += _draft(seat, generation, answer, full)
    parts += [heading(f"Votes ({way.ballot.method})"), _votes(way.ballot)]
    parts += [heading("Decision"), _decision(way.decision, way.mark, way.item)]
    return Group(*parts)


def answered_view(drafts: Sequence[tuple[Seat, Answer]], ballot: Ballot) -> RenderableType:
    """Each expert's answer and the votes, for one question that was just asked."""
    view = grid(["expert", "answer", "read by"])
    for seat, answer in drafts:
        view.add_row(seat.expert, _value(answer), answer.rule or "–")
    return Group(heading("Answers"), view, heading(f"Votes ({ballot.method})"), _votes(ballot))


def decision_view(decision: Decision, item: Item | None = None) -> RenderableType:
    """What was decided, and whether that is right where it is known."""
    gold = item is not None and item.gold is not None
    mark = mark_decision(decision, item, who="ask") if gold and item is not None else None
    return Group(heading("Decision"), _decision(decision, mark, item))


def _question(item: Item | None) -> list[RenderableType]:
    if item is None:
        return [Text("the question itself is not at hand: `--on ITEMS` shows it", style="dim")]
    question = item.question
    lines = [question.context, question.text] if question.context else [question.text]
    lines += [f"{letter}. {each}" for letter, each in zip(LETTERS, question.options, strict=False)]
    return [Padding(Text(line), (0, 0, 0, 2)) for line in lines]


def _draft(
    seat: Seat, generation: Generation | None, answer: Answer, full: bool
) -> list[RenderableType]:
    title = Text()
    title.append(seat.expert, style="bold")
    title.append(f"  {_value(answer)}", style="green" if answer.value else "yellow")
    title.append(f"  {answer.rule}" if answer.rule else "", style="dim")
    title.append(f"  in place of {answer.instead_of}" if answer.instead_of else "", style="dim")
    if generation is None:
        text = "(no text is kept)"
    elif generation.failure is not None:
        text = _failure(generation) or ""
    else:
        text = generation.text.strip()
    if not full and len(text) > _SHORT:
        text = f"[... {len(text) - _SHORT:,} characters] {text[-_SHORT:].lstrip()}"
    return [title, Padding(Text(text, style="dim"), (0, 0, 1, 2))]


def _value(answer: Answer) -> str:
    return f"absent: {answer.absence}" if answer.value is None else answer.value


def _failure(generation: Generation | None) -> str | None:
    if generation is None or generation.failure is None:
        return None
    return f"{generation.failure.kind}: {generation.failure.detail}"


def _votes(ballot: Ballot) -> RenderableType:
    totals: dict[str, float] = {}
    voters: dict[str, list[str]] = {}
    for vote in ballot.votes:
        if vote.value is not None:
            totals[vote.value] = totals.get(vote.value, 0.0) + vote.weight
            voters.setdefault(vote.value, []).append(f"{vote.expert} {vote.weight:.2f}")
    if not totals:
        return Text("nobody voted")
    view = grid(["value", ">weight", "from"])
    for value in sorted(totals, key=lambda each: (each != ballot.winner, -totals[each], each)):
        style = "bold" if value == ballot.winner else ""
        view.add_row(value, f"{totals[value]:.2f}", ", ".join(voters[value]), style=style)
    return Group(view, *_survives(ballot))


def _survives(ballot: Ballot) -> list[Text]:
    """What it would take to change the winner, and which rules say otherwise."""
    lines = [Text(f"other rules: {'; '.join(ballot.alarms)}", "yellow")] if ballot.alarms else []
    if ballot.certificate is not None:
        told = ballot.certificate
        lie = "expert" if told.experts == 1 else "experts"
        words = f"{told.experts} {lie} would have to lie here for another answer to win"
        if told.everywhere == 0:
            words += "; if those that are suspected are honest, none"
        elif told.everywhere != told.experts:
            words += f", {told.everywhere} if lies on all other questions are reckoned with"
        if told.guaranteed is not None:
            words += "; guaranteed" if told.guaranteed else "; not guaranteed"
        lines.append(Text(words, "dim"))
    return lines


def _decision(decision: Decision, mark: Mark | None, item: Item | None) -> Text:
    text = Text()
    if decision.value is None:
        text.append(f"abstained: {decision.abstained}", style="yellow")
    else:
        text.append(decision.value, style="bold")
    if decision.confidence is not None:
        text.append(f"  confidence {percent(decision.confidence)}")
    if decision.text:
        text.append(f"  by {decision.method}\n{decision.text}", style="dim")
    if mark is not None and item is not None:
        style = "green" if mark.outcome is Outcome.CORRECT else "red"
        text.append(f"\ngold {item.gold}: ")
        text.append(mark.outcome.value, style=style)
    return text


def run_data(view: RunView, report: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a run folder says of itself, as plain data."""
    manifest = view.manifest
    return {
        "run": str(view.path),
        "command": manifest.command,
        "status": manifest.status.value,
        "started": manifest.started,
        "ended": manifest.ended,
        "identity": dict(manifest.identity),
        "details": dict(manifest.details),
        "versions": dict(manifest.versions),
        "rows": {kind.value: view.ledger.count(kind) for kind in RowKind},
        "accuracy": None if report is None else report["accuracy"],
        "interval": None if report is None else report["interval"],
    }


def run_view(data: Mapping[str, Any]) -> RenderableType:
    """A run folder in a few lines."""
    details = data["details"]
    rows = ", ".join(f"{name} {number:,}" for name, number in data["rows"].items() if number)
    facts = {
        "command": data["command"] or "(not told)",
        "status": f"{data['status']}, begun {data['started']}, left {data['ended'] or '–'}",
        "pipeline": details.get("pipeline", "–"),
        "questions": f"{details.get('questions', '–')} from {details.get('items', '(not told)')}",
        "experts": ", ".join(details.get("experts", ())) or "–",
        "rows": rows or "none",
    }
    if data["accuracy"] is not None:
        facts["accuracy"] = percent(data["accuracy"])
    lines = [Text(f"{name:<10} {value}") for name, value in facts.items()]
    return Group(Text(data["run"], style="bold"), *lines)
