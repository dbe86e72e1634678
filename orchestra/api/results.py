"""What a pipeline returns: routes, answers, runs and reports as objects with attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from orchestra.errors import MissingExtra, unknown
from orchestra.evals import Asked, AskedDraft, Comparison, Dataset, Item, compare
from orchestra.records import (
    LETTERS,
    Ballot,
    Brief,
    Decision,
    Mark,
    Outcome,
    Plan,
    Question,
    Usage,
    Vote,
)
from orchestra.report import (
    Terminal,
    asked_data,
    asked_view,
    cost_view,
    page,
    plain,
    plan_data,
    plan_view,
    summary_view,
)
from orchestra.report.format import percent
from orchestra.runs import write_whole
from orchestra.skills import RecruitmentTable

_LONG = 60
"""Characters of a value in a `repr`."""


class Shown:
    """An object with a view for terminals (`print`) and notebooks."""

    def view(self) -> RenderableType:
        """The object as rich draws it."""
        raise NotImplementedError

    def __str__(self) -> str:
        return plain(self.view())

    def _repr_html_(self) -> str:
        console = Terminal(StringIO(), width=100, record=True)
        console.print(self.view())
        return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


@dataclass(frozen=True, repr=False)
class Route(Shown):
    """The experts that one question would go to, and why."""

    question: Question
    brief: Brief
    """The skills that the question needs."""
    plan: Plan
    """All seats and reserves with their reasons."""
    calls: int
    """The most calls for one question."""

    @property
    def experts(self) -> tuple[str, ...]:
        """The experts that would be asked."""
        return tuple(seat.expert for seat in self.plan.seats[: self.calls])

    @property
    def skills(self) -> dict[str, float]:
        """Skill -> its weight, heaviest first."""
        return dict(self.brief.skills)

    def explain(self) -> str:
        """Skills, seats, weights and reasons as text."""
        return str(self)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return plan_data(self.brief, self.plan, self.calls)

    def view(self) -> RenderableType:
        """For terminals and notebooks."""
        return plan_view(self.brief, self.plan, self.calls)

    def __repr__(self) -> str:
        return f"Route({', '.join(self.experts)}; skills: {', '.join(self.skills) or 'none'})"


@dataclass(frozen=True, repr=False)
class Answered(Shown):
    """The answer to one question."""

    asked: Asked
    """The question's whole way."""

    @property
    def question(self) -> Question:
        """What was asked."""
        return self.asked.question

    @property
    def route(self) -> Route:
        """Who was asked, and why."""
        return Route(self.question, self.asked.brief, self.asked.plan, self.asked.calls)

    @property
    def drafts(self) -> tuple[AskedDraft, ...]:
        """What each expert that was asked said (`text`), and what was read from it (`answer`)."""
        return self.asked.drafts

    @property
    def ballot(self) -> Ballot:
        """The votes."""
        return self.asked.ballot

    @property
    def decision(self) -> Decision:
        """What the votes, or an aggregator, came to."""
        return self.asked.decision

    @property
    def alarms(self) -> tuple[str, ...]:
        """What the vote noticed about the experts, in words."""
        return self.asked.trust.alarms

    @property
    def cost(self) -> Usage:
        """Calls, tokens, money and seconds of all calls."""
        return self.asked.usage

    @property
    def value(self) -> str | None:
        """The option's letter, the number or the text in one spelling; None: no answer."""
        return self.decision.value

    @property
    def text(self) -> str:
        """The chosen option, the whole text of an open answer, or else the value."""
        if self.question.options and self.value is not None:
            return self.question.options[LETTERS.index(self.value)]
        return self.decision.text or self.value or ""

    @property
    def confidence(self) -> float | None:
        """Calibrated probability of being right; None without a fitted table."""
        return self.decision.confidence

    @property
    def experts(self) -> tuple[str, ...]:
        """The experts that were asked."""
        return tuple(dict.fromkeys(draft.seat.expert for draft in self.drafts))

    @property
    def dissent(self) -> tuple[Vote, ...]:
        """Votes for other values."""
        return self.decision.dissent

    def explain(self) -> str:
        """Route, answers, votes and decision as text."""
        return str(self)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "value": self.value,
            "text": self.text,
            "confidence": self.confidence,
            "experts": list(self.experts),
            "abstained": self.decision.abstained,
            "route": self.route.to_dict(),
            **asked_data(self.asked),
        }

    def view(self) -> RenderableType:
        """For terminals and notebooks."""
        return Group(asked_view(self.asked), cost_view(self.cost))

    def __repr__(self) -> str:
        if self.value is None:
            return f"Answered(no answer: {self.decision.abstained})"
        option = f" {self.text!r}" if self.question.options else ""
        value = self.value if len(self.value) <= _LONG else f"{self.value[:_LONG]}…"
        sure = "" if self.confidence is None else f", confidence {self.confidence:.2f}"
        return f"Answered({value!r}{option}{sure}; {', '.join(self.experts)})"


class Report(Shown):
    """The content of `report.json`, each member as an attribute: `report.accuracy`."""

    accuracy: float | None
    """Share right among all questions with a gold answer; None: there are none."""
    arms: Mapping[str, Mapping[str, Any]]
    """What else could have been done with the experts."""
    calls: int
    calls_per_question: float
    n: int
    """Questions with a gold answer."""

    def __init__(self, content: Mapping[str, Any], table: RecruitmentTable | None = None) -> None:
        self._content, self._table = content, table

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % of the accuracy; None without gold answers."""
        ends = self._content["interval"]
        return None if ends is None else (ends[0], ends[1])

    def to_dict(self) -> dict[str, Any]:
        """As plain data: what `report.json` holds."""
        return dict(self._content)

    def to_html(self, path: str | Path) -> None:
        """Write one HTML file that needs no other file and no network."""
        write_whole(Path(path), page(self._content, self._table).encode())

    def view(self) -> RenderableType:
        """For terminals and notebooks."""
        return summary_view(self._content)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._content:
            raise AttributeError(f"a report has no {name!r}: {', '.join(self._content)}")
        return self._content[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._content]

    def __repr__(self) -> str:
        if self.interval is None:
            right = f"{self._content['questions']:,} questions without gold answers"
        else:
            low, high = self.interval
            right = f"{percent(self.accuracy)} right ({percent(low)} to {percent(high)})"
            right += f", n = {self.n:,}"
        where = f"{self._content['pipeline']} on {self._content['benchmark']}"
        return f"Report({where}: {right}, {self.calls_per_question:.2f} calls a question)"


@dataclass(frozen=True, repr=False)
class Run(Shown):
    """A finished run: its decisions, marks and report."""

    report: Report
    items: Dataset
    ballots: tuple[Ballot, ...]
    """In the order of the questions."""
    decisions: tuple[Decision, ...]
    """In the order of the questions."""
    marks: Mapping[str, Mark]
    """Question id -> whether the decision is right, for questions with a gold answer."""
    folder: Path | None = None
    """The run folder; None: the run was in memory only."""
    resumed: bool = False
    """True if the folder held the finished run and nothing was asked."""

    def compare(self, other: Run, *, seed: int = 0, force: bool = False) -> Comparison:
        """This run (A) against another (B), question by question.

        Args:
            other: a run on the same questions.
            seed: of the bootstrap.
            force: compare the shared questions where the runs differ in questions.

        Raises:
            InputError: the runs share no question, or (without `force`) differ in some.
        """
        repeats = {item.question.id: item.cluster for item in self.items}
        return compare(self.marks, other.marks, repeats=repeats, seed=seed, force=force)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One row for each question, as plain data."""
        rows = zip(self.items, self.decisions, self.ballots, strict=True)
        return [self._row(item, decision, ballot) for item, decision, ballot in rows]

    def to_pandas(self) -> Any:
        """One row for each question, as a DataFrame.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("pandas is not installed", hint="pip install pandas") from error
        return pandas.DataFrame(self.to_dicts())

    def _row(self, item: Item, decision: Decision, ballot: Ballot) -> dict[str, Any]:
        mark = self.marks.get(decision.question_id)
        return {
            "question_id": decision.question_id,
            "question": item.question.text,
            "category": item.question.category,
            "value": decision.value,
            "gold": item.gold,
            "correct": None if mark is None else mark.outcome is Outcome.CORRECT,
            "confidence": decision.confidence,
            "abstained": decision.abstained,
            "method": decision.method,
            "experts": [vote.expert for vote in ballot.votes],
        }

    @cached_property
    def _places(self) -> dict[str, int]:
        return {decision.question_id: at for at, decision in enumerate(self.decisions)}

    def __getitem__(self, question_id: str) -> Decision:
        if question_id not in self._places:
            raise unknown("question of this run", question_id, self._places)
        return self.decisions[self._places[question_id]]

    def __len__(self) -> int:
        return len(self.decisions)

    def view(self) -> RenderableType:
        """For terminals and notebooks."""
        return self.report.view()

    def __repr__(self) -> str:
        where = "" if self.folder is None else f" in {str(self.folder)!r}"
        return f"Run({len(self):,} questions{where}; {self.report!r})"
