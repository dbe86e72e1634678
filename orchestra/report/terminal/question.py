"""One question of a finished run, read from the ledger: tags, seats, drafts, votes, decision.

The question itself and its gold answer are shown where the items are at hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from orchestra.errors import unknown
from orchestra.evals import Asked, AskedDraft, Item, mark_decision
from orchestra.records import (
    LETTERS,
    Answer,
    Ballot,
    Brief,
    Decision,
    Failure,
    Generation,
    Kind,
    Mark,
    Outcome,
    Plan,
    Seat,
    Usage,
)
from orchestra.report.format import count, counted, dollars, percent
from orchestra.report.terminal.layout import Grid, Line, fact, heading
from orchestra.report.terminal.plan import plan_data, plan_view
from orchestra.runs import RowKind, RunView

_SHORT = 480
"""Characters of a draft that are shown unless all are wanted: the end, where answers stand."""
_LINE = 60
"""Characters of a value that are shown where it is one of several."""


@dataclass(frozen=True)
class QuestionTrace:
    """Everything that a run holds of one question."""

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


def question_trace(
    view: RunView, question_id: str, *, item: Item | None = None, who: str = "run"
) -> QuestionTrace:
    """Read one question's rows. Raises InputError where the run has no such question."""
    rows = {kind: list(view.ledger.rows(kind, question_id)) for kind in RowKind}
    if not rows[RowKind.DECISION]:
        ids = view.ledger.keys(RowKind.DECISION)
        raise unknown("question of this run", question_id, ids, place=str(view.path))
    plan: Plan = rows[RowKind.PLAN][0]
    decision: Decision = rows[RowKind.DECISION][0]
    answers = {(a.expert, a.sample): a for a in rows[RowKind.ANSWER]}
    generations = (*rows[RowKind.GENERATION], *rows[RowKind.FAILURE])
    texts = {(g.expert, g.sample): g for g in generations if g.layer == 0}
    return QuestionTrace(
        question_id,
        rows[RowKind.BRIEF][0],
        plan,
        tuple(
            (seat, texts.get((seat.expert, seat.sample)), answers[seat.expert, seat.sample])
            for seat in (*plan.seats, *plan.reserves)
            if (seat.expert, seat.sample) in answers
        ),
        rows[RowKind.BALLOT][0],
        decision,
        item,
        _mark(decision, item, who),
    )


def question_data(trace: QuestionTrace) -> dict[str, Any]:
    """The question as plain data, texts whole."""
    question = None if trace.item is None else trace.item.question
    return {
        "question_id": trace.question_id,
        "question": None if question is None else question.text,
        "options": [] if question is None else list(question.options),
        "gold": None if trace.item is None else trace.item.gold,
        "outcome": None if trace.mark is None else trace.mark.outcome.value,
        "brief": asdict(trace.brief),
        "plan": asdict(trace.plan),
        "drafts": [
            {
                "expert": seat.expert,
                "sample": seat.sample,
                "reason": seat.reason,
                "text": None if generation is None else generation.text,
                "failure": _failed(None if generation is None else generation.failure),
                "value": answer.value,
                "absence": answer.absence,
                "rule": answer.rule,
                "span": answer.span,
                "instead_of": answer.instead_of or None,
            }
            for seat, generation, answer in trace.drafts
        ],
        "ballot": asdict(trace.ballot),
        "decision": asdict(trace.decision),
    }


def question_view(trace: QuestionTrace, *, full: bool = False) -> RenderableType:
    """The question for a terminal; drafts shortened to their end unless `full`."""
    parts: list[RenderableType] = [Line(trace.question_id, "bold"), *_question(trace.item)]
    parts += [heading("Recruited"), plan_view(trace.brief, trace.plan, len(trace.plan.seats))]
    parts.append(heading("Drafts"))
    for seat, generation, answer in trace.drafts:
        failure = None if generation is None else generation.failure
        text = "(the run has no text)" if generation is None else generation.text.strip()
        parts += _draft(seat, answer, _failed(failure) or text, full=full)
    parts += [heading(f"Votes ({trace.ballot.method})"), _votes(trace.ballot)]
    parts += [heading("Decision"), *_decision(trace.decision, trace.mark, trace.item)]
    return Group(*parts)


def asked_data(asked: Asked) -> dict[str, Any]:
    """One question that was just asked, as plain data, texts whole."""
    return {
        **plan_data(asked.brief, asked.plan, asked.calls),
        "question": asked.question.text,
        "kind": asked.question.kind.value,
        "drafts": [
            {
                "expert": draft.seat.expert,
                "sample": draft.seat.sample,
                "text": draft.text,
                "failure": _failed(draft.failure),
                "seconds": draft.usage.seconds,
                "input_tokens": draft.usage.input_tokens,
                "output_tokens": draft.usage.output_tokens,
                "money": draft.usage.money,
            }
            for draft in asked.drafts
        ],
        "answers": [asdict(draft.answer) for draft in asked.drafts],
        "ballot": asdict(asked.ballot),
        "decision": asdict(asked.decision),
        "alarms": list(asked.trust.alarms),
        "cost": asdict(asked.usage),
    }


def draft_view(
    draft: AskedDraft, *, full: bool = False, kind: Kind = Kind.CHOICE
) -> RenderableType:
    """What one expert said; shortened to its end, where answers stand, or an open answer to its
    beginning, unless `full`."""
    usage = draft.usage
    cost = f"{usage.seconds:.1f} s" if usage.seconds >= 0.05 else ""
    tokens = usage.input_tokens + usage.output_tokens
    cost += f"{', ' if cost else ''}{count(tokens)} tokens" if tokens else ""
    text = _failed(draft.failure) or draft.text
    start = kind is Kind.OPEN
    return Group(*_draft(draft.seat, draft.answer, text, full=full, start=start, cost=cost))


def ballot_view(ballot: Ballot) -> RenderableType:
    """The votes on one question."""
    return Group(heading(f"Votes ({ballot.method})"), _votes(ballot))


def decision_view(decision: Decision, item: Item | None = None) -> RenderableType:
    """The decision, and whether it is right where the gold answer is known."""
    return Group(heading("Decision"), *_decision(decision, _mark(decision, item, "ask"), item))


def cost_view(usage: Usage, *, priced: bool = True) -> RenderableType:
    """What one question took. Without prices of all experts the money is not known."""
    estimated = ", estimated" if usage.estimated else ""
    tokens = (
        f"{count(usage.input_tokens)} tokens in and {count(usage.output_tokens)} out{estimated}"
    )
    money = dollars(usage.money) if priced else "not known, since the roster has no prices"
    calls = counted(usage.calls, "call")
    return Group(heading("Cost"), Line(f"{calls}, {tokens}; money: {money}"))


def asked_view(asked: Asked) -> RenderableType:
    """Everything of one question that was just asked."""
    return Group(
        plan_view(asked.brief, asked.plan, asked.calls),
        heading("Drafts"),
        *(draft_view(draft, kind=asked.question.kind) for draft in asked.drafts),
        ballot_view(asked.ballot),
        decision_view(asked.decision),
    )


def _mark(decision: Decision, item: Item | None, who: str) -> Mark | None:
    """The Mark of a decision; None without a gold answer."""
    if item is None or item.gold is None:
        return None
    return mark_decision(decision, item, who=who)


def _question(item: Item | None) -> list[RenderableType]:
    if item is None:
        return [Line("the question itself is not at hand: `--on ITEMS` shows it", "dim")]
    question = item.question
    lines = [question.context, question.text] if question.context else [question.text]
    lines += [f"{letter}. {text}" for letter, text in zip(LETTERS, question.options, strict=False)]
    return [Line(line, label="  ") for line in lines]


def _draft(
    seat: Seat, answer: Answer, text: str, *, full: bool, start: bool = False, cost: str = ""
) -> list[RenderableType]:
    title = Text(seat.expert, style="bold")
    if answer.value != text.strip() or _shown(text) == text.strip():  # else the text says it all
        title.append(f"  {_value(answer)}", style="green" if answer.value else "yellow")
    for words in (answer.rule, answer.instead_of and f"in place of {answer.instead_of}", cost):
        title.append(f"  {words}" if words else "", style="dim")
    if not full and len(text) > _SHORT:
        more = f"[... {len(text) - _SHORT:,} characters]"
        kept = text[:_SHORT].rstrip() if start else text[-_SHORT:].lstrip()
        text = f"{kept} {more}" if start else f"{more} {kept}"
    return [Line(title), Line(text, "dim", label="  "), Text("")]


def _value(answer: Answer) -> str:
    return f"absent: {answer.absence}" if answer.value is None else _shown(answer.value)


def _shown(value: str) -> str:
    """A value on one line."""
    line = " ".join(value.split())
    return line if len(line) <= _LINE else f"{line[:_LINE].rstrip()}…"


def _failed(failure: Failure | None) -> str | None:
    return None if failure is None else f"{failure.kind}: {failure.detail}"


def _votes(ballot: Ballot) -> RenderableType:
    totals: dict[str, float] = {}
    voters: dict[str, list[str]] = {}
    for vote in ballot.votes:
        if vote.value is not None:
            totals[vote.value] = totals.get(vote.value, 0.0) + vote.weight
            voters.setdefault(vote.value, []).append(f"{vote.expert} {vote.weight:.2f}")
    if not totals:
        return Line("no expert voted")
    view = Grid(["value", ">weight", "from"])
    for value in sorted(totals, key=lambda name: (name != ballot.winner, -totals[name], name)):
        style = "bold" if value == ballot.winner else ""
        view.add_row(_shown(value), f"{totals[value]:.2f}", ", ".join(voters[value]), style=style)
    return Group(view, *_certificate(ballot))


def _certificate(ballot: Ballot) -> list[Line]:
    """How many lies would change the winner, and which rules decide otherwise."""
    others = "; ".join(map(_shown, ballot.alarms))
    lines = [Line(f"other rules: {others}", "yellow")] if others else []
    if (certificate := ballot.certificate) is None:
        return lines
    words = f"{counted(certificate.experts, 'expert')} would have to lie here for another answer"
    words += " to win"
    if certificate.everywhere == 0:
        words += "; if the suspects are honest, another answer has more weight already"
    elif certificate.everywhere != certificate.experts:
        words += f", or {certificate.everywhere} that lie on other questions too"
    if certificate.guaranteed is not None:
        held = "" if certificate.guaranteed else "not "
        words += f"; {held}guaranteed against the declared number of liars"
    return [*lines, Line(words, "dim")]


def _decision(decision: Decision, mark: Mark | None, item: Item | None) -> Iterator[Line]:
    if decision.value is None:
        text = Text(f"abstained: {decision.abstained}", style="yellow")
    else:
        text = Text(_shown(decision.value), style="bold")
    if decision.confidence is not None:
        text.append(f"  confidence {percent(decision.confidence)}", style="not bold")
    if decision.text:
        text.append(f"  by {decision.method}", style="not bold dim")
    yield Line(text)
    if decision.text:
        yield Line(f"\n{decision.text}")
    if mark is not None and item is not None:
        style = "green" if mark.outcome is Outcome.CORRECT else "red"
        yield Line(Text.assemble(f"gold {item.gold}: ", (mark.outcome.value, style)))


def run_data(view: RunView, report: Mapping[str, Any] | None) -> dict[str, Any]:
    """The manifest and the counts of a run folder, as plain data."""
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
        "command": data["command"] or "–",
        "status": f"{data['status']}, begun {data['started']}, ended {data['ended'] or '–'}",
        "pipeline": details.get("pipeline", "–"),
        "questions": f"{details.get('questions', '–')} from {details.get('items') or '–'}",
        "experts": ", ".join(details.get("experts", ())) or "–",
        "rows": rows or "none",
    }
    if data["accuracy"] is not None:
        facts["accuracy"] = percent(data["accuracy"])
    lines = (fact(name, value, width=11) for name, value in facts.items())
    return Group(Line(data["run"], "bold"), *lines)
