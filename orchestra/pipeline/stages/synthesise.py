"""The synthesise stage: an aggregator is shown the drafts, and its conclusion may decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from orchestra.components import component, find
from orchestra.errors import InputError
from orchestra.pipeline.batch import Batch
from orchestra.pipeline.context import Context
from orchestra.pipeline.stages.generate import Generate
from orchestra.records import Decision, Plan, Question
from orchestra.roster import Expert, Roster
from orchestra.runs import RowKind
from orchestra.scheduling import Asked, CostModel, Job, Length, Share, share_of
from orchestra.skills import named_embedder
from orchestra.synthesis import (
    SUBSETS,
    AggregatorCall,
    Defence,
    Draft,
    MixtureOfAgents,
    consulting,
    defence,
    settle,
)

_CHARACTERS_PER_TOKEN = 4


@component("synthesise", "moa", argument="aggregator", fixed={"kind": "moa"})
@component(
    "synthesise",
    "none",
    fixed={"kind": "none"},
    unused=(
        "aggregator",
        "layers",
        "defence",
        "gate",
        "subsets",
        "embedder",
        "oblivious",
        "decide",
    ),
)
@dataclass(frozen=True, slots=True)
class Synthesise:
    """How drafts are put together by a model, if they are."""

    kind: str = "none"
    """`none`, or `moa`: a Mixture-of-Agents (Wang et al. 2024, arXiv:2406.04692)."""
    aggregator: str = ""
    """The expert that is shown the drafts; it has the role `synthesise`."""
    layers: int = 1
    """How often drafts are shown, at least 1: the last time to the aggregator, and each time
    before to all experts that drafted, which draft again. 2 is the paper's 3-3-1."""
    defence: str = field(default="none", metadata={"names": "defence"})
    """The method that chooses the last drafts to show, and uses the replies."""
    gate: bool = True
    """Whether drafts that hardly differ stay in one cluster; false: as published."""
    subsets: int = SUBSETS
    """Most subsets that dropout consults the aggregator on, at least 1."""
    embedder: str = "lexical"
    """What compares texts: `lexical`, or a sentence-transformers name or folder."""
    oblivious: bool = False
    """Leave out the warning that drafts may be biased or wrong."""
    decide: Literal["aggregator", "guarded"] = "aggregator"
    """Whose answer counts. `guarded`: where answers can be counted, the ballot's."""

    def __post_init__(self) -> None:
        find("defence", self.defence)
        if self.layers < 1 or self.subsets < 1:
            raise InputError("`layers` and `subsets` are at least 1")

    def check(self, *, place: str = "") -> None:
        """Raise InputError where the aggregator is not named."""
        if self.kind == "moa" and not self.aggregator:
            raise InputError(
                "`moa` needs an aggregator",
                place=place,
                hint="`synthesise: {moa: NAME}`, an expert with the role `synthesise`",
            )


@dataclass(frozen=True)
class SynthesiseStage:
    """Shows each question's drafts to an aggregator, but for those of suspects."""

    settings: Synthesise
    read: str = "stated"
    """The answer cascade that replies are read by."""
    tolerance: float = 1.0
    """Share of its calls that may fail, in [0, 1]."""
    name: ClassVar[str] = "synthesise"
    reads: ClassVar[tuple[str, ...]] = ("drafts", "ballots", "decisions", "trust")
    scope: ClassVar[Literal["question"]] = "question"

    @property
    def method(self) -> str:
        """What decisions of the aggregator are called: `moa`, or `moa+` and the defence."""
        guard = self.settings.defence
        return self.settings.kind if guard == "none" else f"{self.settings.kind}+{guard}"

    async def run(self, batch: Batch, context: Context) -> Batch:
        """Adds `conclusions`, and replaces the decisions that they change."""
        shown = batch.without(frozenset(each.expert for each in batch.trust.suspects))
        aggregator = MixtureOfAgents(
            self.settings.aggregator,
            build_defence(self.settings),
            self.settings.layers,
            self.settings.oblivious,
            self.read,
        )
        conclusions = await context.converse(
            [
                aggregator.conduct(question, row, seed=context.seed)
                for question, row in zip(shown.questions, shown.drafts, strict=True)
            ],
            tolerance=self.tolerance,
        )
        decided = self._decided(replace(batch, conclusions=tuple(conclusions)))
        context.keep(RowKind.DECISION, {each.question_id: each for each in decided.decisions})
        return decided

    def _decided(self, batch: Batch) -> Batch:
        decisions: list[Decision] = []
        rows = zip(batch.questions, batch.ballots, batch.decisions, batch.conclusions, strict=True)
        for question, ballot, voted, conclusion in rows:
            decisions.append(
                settle(
                    question,
                    ballot,
                    voted=voted,
                    conclusion=conclusion,
                    method=self.method,
                    guarded=self.settings.decide == "guarded",
                )
            )
        return replace(batch, decisions=tuple(decisions))

    def experts(self, batch: Batch, place: int) -> Sequence[str]:
        """Those who drafted again in each layer, and the aggregator if it was consulted."""
        if not batch.conclusions:
            return []
        suspects = {each.expert for each in batch.trust.suspects}
        again = [each.expert for each in batch.drafts[place] if each.expert not in suspects]
        consulted = [self.settings.aggregator] * bool(batch.conclusions[place].consultations)
        return [*again * (self.settings.layers - 1), *consulted]


def build_defence(settings: Synthesise) -> Defence:
    """The defence that the options name.

    Raises:
        MissingExtra: its embedder needs a package that is not installed.
    """
    return defence(
        settings.defence,
        embedder=named_embedder(settings.embedder),
        gate=settings.gate,
        subsets=settings.subsets,
    )


def check_synthesis(settings: Synthesise, roster: Roster) -> None:
    """Raise InputError where these experts, or this installation, cannot do what is asked."""
    if settings.kind == "none":
        return
    settings.check()
    expert = roster[settings.aggregator]
    if "synthesise" not in expert.roles:
        raise InputError(
            f"expert `{expert.name}` does not have the role `synthesise`",
            hint=f"it has {', '.join(expert.roles) or 'none'}; name another aggregator",
        )
    again = roster.recruits if settings.layers > 1 else ()
    for name in (expert.name, *again):
        if roster[name].replayed:
            raise InputError(
                f"expert `{name}` is recorded: what it would say to drafts is not known",
                hint="the aggregator, and with `layers` above 1 everybody, must generate",
            )
    build_defence(settings)


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
            held = sum(guard.rounds(len(row)))
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
        return [*drafted, *self._consulted(chief, costs)]

    def _consulted(self, chief: Share, costs: CostModel) -> list[Job]:
        """The aggregator's calls, round by round."""
        guard, layers = build_defence(self.settings), self.settings.layers
        rounds: Counter[int] = Counter()
        for row in self.panels.values():
            rounds.update(dict(enumerate(guard.rounds(len(row)))))
        return [
            Job(
                costs.unit(chief.expert),
                "synthesise",
                layers,
                calls,
                chief.input_tokens * calls / chief.seats,
                chief.output_tokens * calls / chief.seats,
                round=layers - 1 + number,
            )
            for number, calls in sorted(rounds.items())
        ]

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
