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
from orchestra.pipeline.stage import CallEstimate
from orchestra.records import Decision, Question
from orchestra.roster import Expert, Roster
from orchestra.runs import RowKind
from orchestra.scheduling import Length
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
    drafts: int | None = None
    """Most drafts of a question, for forecasts; None: as many as the plan has seats."""
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

    def forecast(
        self, batch: Batch, roster: Roster, lengths: Mapping[str, Length]
    ) -> Sequence[CallEstimate]:
        """Those who draft again, layer by layer in the roster's order, then the aggregator."""
        calls: Counter[tuple[int, int, str, str]] = Counter()
        letters: Counter[tuple[int, int, str, str]] = Counter()
        guard, layers = build_defence(self.settings), self.settings.layers
        for question, plan in zip(batch.questions, batch.plans, strict=True):
            row = [seat.expert for seat in plan.seats[: self.drafts]]
            if not row:
                continue
            shown = _stand_ins(row, roster, lengths)
            asked = [
                (layer, layer - 1, name, "generate", row.count(name))
                for layer in range(1, layers)
                for name in dict.fromkeys(row)
            ]
            asked += [
                (layers, layers - 1 + number, self.settings.aggregator, "synthesise", count)
                for number, count in enumerate(guard.rounds(len(row)))
            ]
            names = {name for _, _, name, _, _ in asked}
            sent = {name: _read(roster[name], question, shown) for name in names}
            for layer, round_, name, stage, count in asked:
                calls[layer, round_, name, stage] += count
                letters[layer, round_, name, stage] += count * sent[name]
        order = {name: place for place, name in enumerate(roster.names)}
        return [
            CallEstimate(name, calls[key], letters[key], stage, layer, round_)
            for key in sorted(calls, key=lambda key: (*key[:2], order[key[2]]))
            for layer, round_, name, stage in [key]
        ]


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


def _read(expert: Expert, question: Question, shown: tuple[Draft, ...]) -> int:
    """Characters of one prompt."""
    messages = consulting(expert, question, AggregatorCall(shown))
    return sum(len(message.content) for message in messages)


def _stand_ins(
    row: Sequence[str], roster: Roster, lengths: Mapping[str, Length]
) -> tuple[Draft, ...]:
    """Drafts as long as they usually are."""
    usual = [_usual(roster[name], lengths).tokens for name in row]
    return tuple(
        [
            Draft.written(
                name, "x" * max(round(tokens * _CHARACTERS_PER_TOKEN), 1), None, sample=place
            )
            for place, (name, tokens) in enumerate(zip(row, usual, strict=True))
        ]
    )


def _usual(expert: Expert, lengths: Mapping[str, Length]) -> Length:
    return lengths.get(expert.name, Length(expert.sampling.max_tokens, known=False))
