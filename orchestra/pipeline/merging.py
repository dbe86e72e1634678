"""What putting drafts together would take, from the plans alone: calls, tokens and engines.

Knows seats, layers and how often a defence consults the aggregator; asks nobody. Every
consultation is taken to show all drafts of its question, each as long as its expert usually
writes, so that what is read is rather less.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestra.pipeline.stages.generate import Generate
from orchestra.pipeline.stages.synthesise import Synthesise, build_defence
from orchestra.records import Plan, Question
from orchestra.roster import Expert, Roster
from orchestra.scheduling import Asked, CostModel, Job, Length, Share, share_of
from orchestra.synthesis import AggregatorCall, Draft, consulting

_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True)
class Merging:
    """The synthesise stage of some plans."""

    settings: Synthesise
    panels: Mapping[str, tuple[str, ...]]
    """question id -> the experts of its seats; only questions with seats."""

    @classmethod
    def of(cls, settings: Synthesise, generate: Generate, plans: Sequence[Plan]) -> Merging:
        """What is to be done with the drafts of these plans."""
        panels = {
            plan.question_id: tuple(seat.expert for seat in plan.seats[: generate.calls])
            for plan in plans
        }
        return cls(settings, {each: row for each, row in panels.items() if row})

    def shares(
        self, questions: Mapping[str, Question], roster: Roster, lengths: Mapping[str, Length]
    ) -> list[Share]:
        """The parts of those who draft again, in the roster's order, and of the aggregator.

        Args:
            questions: question id -> question.
            roster: the experts, with their prices.
            lengths: expert -> how much it usually writes.
        """
        if self.settings.kind == "none" or not self.panels:
            return []
        calls: Counter[str] = Counter()
        letters: Counter[str] = Counter()
        chief, guard = self.settings.aggregator, build_defence(self.settings)
        consulted: Counter[str] = Counter()
        for question_id, row in self.panels.items():
            shown = self._shown(row, roster, lengths)
            times = Counter(row * (self.settings.layers - 1))
            for name, count in times.items():
                calls[name] += count
                letters[name] += count * _read(roster[name], questions[question_id], shown)
            held = guard.consultations(len(row))
            consulted["calls"] += held
            consulted["letters"] += held * _read(roster[chief], questions[question_id], shown)
        again = [
            _share(roster[name], calls[name], letters[name], lengths)
            for name in roster.names
            if calls[name]
        ]
        return [*again, _share(roster[chief], consulted["calls"], consulted["letters"], lengths)]

    def jobs(self, shares: Sequence[Share], costs: CostModel) -> list[Job]:
        """The same as work for engines: one job for each of a layer, the aggregator's last."""
        if not shares:
            return []
        *again, chief = shares
        layers = self.settings.layers
        found: dict[str, Job] = {}
        for share in again:
            unit = costs.unit(share.expert)
            so_far = found.get(unit, Job(unit, "generate", 1))
            found[unit] = replace(
                so_far,
                requests=so_far.requests + share.seats // (layers - 1),
                input_tokens=so_far.input_tokens + share.input_tokens // (layers - 1),
                output_tokens=so_far.output_tokens + share.output_tokens // (layers - 1),
            )
        drafted = [
            replace(job, layer=layer, round=layer - 1)
            for layer in range(1, layers)
            for job in found.values()
        ]
        unit = costs.unit(chief.expert)
        tokens = chief.input_tokens, chief.output_tokens
        last = Job(unit, "synthesise", layers, chief.seats, *tokens, round=layers - 1)
        return [*drafted, last]

    @staticmethod
    def _shown(
        row: Sequence[str], roster: Roster, lengths: Mapping[str, Length]
    ) -> tuple[Draft, ...]:
        """Stand-ins for the drafts, as long as they usually are."""
        usual = [_usual(roster[name], lengths).tokens for name in row]
        return tuple(
            [
                Draft.written(
                    name, "x" * max(round(tokens * _CHARACTERS_PER_TOKEN), 1), None, sample=place
                )
                for place, (name, tokens) in enumerate(zip(row, usual, strict=True))
            ]
        )


def _read(expert: Expert, question: Question, shown: tuple[Draft, ...]) -> int:
    """Characters of one prompt."""
    messages = consulting(expert, question, AggregatorCall(shown))
    return sum(len(message.content) for message in messages)


def _share(expert: Expert, calls: int, letters: int, lengths: Mapping[str, Length]) -> Share:
    asked = Asked(calls, letters, expert.sampling.max_tokens)
    return share_of(expert, _usual(expert, lengths), asked)


def _usual(expert: Expert, lengths: Mapping[str, Length]) -> Length:
    return lengths.get(expert.name, Length(expert.sampling.max_tokens, known=False))
