"""The synthesise stage: a model is shown the drafts, in as many rounds as its defence asks for.

Knows layers and how consultations of all questions become one batch of requests; how they are
asked, kept and paid is the generate stage's. Does not decide what is shown, nor what follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestra.errors import InputError
from orchestra.pipeline.draft import DraftStage, Progress
from orchestra.pipeline.found import Drafts, added, total
from orchestra.pipeline.load import embedder
from orchestra.pipeline.prompts import InView
from orchestra.pipeline.stages.generate import Generate
from orchestra.pipeline.stages.synthesise import Synthesise
from orchestra.records import Ballot, Decision, Plan, Question, Seat, Usage
from orchestra.roster import Roster
from orchestra.runs import Ledger
from orchestra.scheduling import Loads
from orchestra.synthesis import (
    Conclusion,
    Consultation,
    Defence,
    Dialogue,
    Draft,
    Reply,
    defence,
    settle,
)
from orchestra.workers import Resident

Panel = tuple[Draft, ...]


@dataclass(frozen=True)
class Synthesis:
    """What the synthesise stage came to."""

    settings: Synthesise
    """How it was done."""
    conclusions: Mapping[str, Conclusion]
    """question id -> what the aggregator came to, in the order of the questions."""
    usage: Mapping[str, Usage]
    """expert -> what its calls of this stage cost, replayed ones included; sorted by name."""
    calls: int
    """Calls that were made or replayed: consultations, and those of experts who drafted again."""
    failures: int
    """Calls that failed."""
    loads: Loads
    """Of this stage; the lower bound counts what the drafts did not need already."""

    @property
    def method(self) -> str:
        """What decisions of the aggregator are called: `moa`, or `moa+` and the defence."""
        guard = self.settings.defence
        return self.settings.kind if guard == "none" else f"{self.settings.kind}+{guard}"

    def decide(self, question: Question, ballot: Ballot, voted: Decision) -> Decision:
        """The decision on one question, of which `voted` is what follows from the votes."""
        return settle(
            question,
            ballot,
            voted=voted,
            conclusion=self.conclusions[question.id],
            method=self.method,
            guarded=self.settings.decide == "guarded",
        )


class SynthesiseStage:
    """Shows the drafts of one batch of questions to the experts that are to see them.

    Args:
        roster: the experts.
        workers: opens them; its owner closes it.
        identities: expert -> digest of everything that changes what it says.
        settings: who is shown what, how often.
        generate: how answers are read, and how many calls may fail.
        ledger: where generations are kept and found; None: nowhere.
        progress: told how far it is, round by round.
    """

    def __init__(
        self,
        roster: Roster,
        workers: Resident,
        identities: Mapping[str, str],
        *,
        settings: Synthesise,
        generate: Generate,
        ledger: Ledger | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._roster, self._workers, self._identities = roster, workers, identities
        self._settings, self._ledger, self._progress = settings, ledger, progress
        self._generate = replace(generate, next_if_absent=False, fallback=False)
        self._made: list[Drafts] = []

    async def run(
        self,
        questions: Mapping[str, Question],
        drafts: Drafts,
        *,
        seed: int,
        withheld: Collection[str] = (),
    ) -> Synthesis:
        """Ask whoever drafts again, then the aggregator, round by round.

        Args:
            questions: question id -> question.
            drafts: the first layer, with its texts.
            seed: decides every random choice.
            withheld: experts whose drafts are shown to nobody, and who are not asked again.

        Raises:
            BudgetExhausted, WorkerError: see `DraftStage.run`; what is done is kept.
        """
        self._made = []
        last = _without(drafts, frozenset(withheld))
        for layer in range(1, self._settings.layers):
            last = await self._again(layer, questions, last, seed)
        repeated = len(self._made)
        conclusions = await self._consult(questions, _panels(last), seed)
        return Synthesis(
            self._settings,
            {each: conclusions[each] for each in questions},
            _usage(self._made),
            sum(each.calls for each in self._made),
            sum(each.failures for each in self._made),
            self._loads(drafts, self._made[: repeated + 1]),
        )

    def _loads(self, drafts: Drafts, made: Sequence[Drafts]) -> Loads:
        """Of these calls, the aggregator's only in its first round: from then on it is loaded."""
        before, now = self._units([drafts]), self._units(made)
        return replace(added(each.loads for each in made), lower_bound=len(now - before))

    def _units(self, made: Sequence[Drafts]) -> set[str]:
        experts = [self._roster[name] for each in made for name in each.usage]
        return {self._workers.unit(expert) for expert in experts if not expert.hosted}

    async def _again(
        self, layer: int, questions: Mapping[str, Question], before: Drafts, seed: int
    ) -> Drafts:
        """Everybody who drafted, in view of all drafts of the layer before."""
        panels = _panels(before)
        plans = [
            Plan(question_id, tuple(row), "layers", seed)
            for question_id, row in before.answers.items()
        ]
        return await self._ask(
            "generate", layer, plans, questions, lambda each, sample: Consultation(panels[each])
        )

    async def _consult(
        self, questions: Mapping[str, Question], panels: Mapping[str, Panel], seed: int
    ) -> dict[str, Conclusion]:
        """Every question's dialogue to its end, one round of all of them after another."""
        guard = build_defence(self._settings)
        conclusions: dict[str, Conclusion] = {}
        talks: dict[str, _Talk] = {}
        for question_id, question in questions.items():
            talk = _Talk(guard, question, panels.get(question_id, ()), seed)
            if talk.conclusion is None:
                talks[question_id] = talk
            else:
                conclusions[question_id] = talk.conclusion
        while talks:
            await self._round(questions, talks, seed)
            over = {each: talk.conclusion for each, talk in talks.items() if talk.conclusion}
            conclusions |= over
            talks = {each: talk for each, talk in talks.items() if each not in over}
        return conclusions

    async def _round(
        self, questions: Mapping[str, Question], talks: Mapping[str, _Talk], seed: int
    ) -> None:
        """One round of every dialogue that is not over, in one batch."""
        plans = [
            Plan(each, talk.seats(self._settings.aggregator), "synthesise", seed)
            for each, talk in talks.items()
        ]
        found = await self._ask(
            "synthesise",
            self._settings.layers,
            plans,
            questions,
            lambda each, sample: talks[each].shown[sample],
        )
        for question_id, said in _panels(found).items():
            talks[question_id].hear([Reply(each.text, each.value) for each in said])

    async def _ask(
        self,
        stage: str,
        layer: int,
        plans: Sequence[Plan],
        questions: Mapping[str, Question],
        shown: Callable[[str, int], Consultation],
    ) -> Drafts:
        most = max((len(plan.seats) for plan in plans), default=1)
        asking = DraftStage(
            self._roster,
            self._workers,
            self._identities,
            settings=replace(self._generate, calls=max(most, 1)),
            ledger=self._ledger,
            progress=self._progress,
            prompts=InView(stage, layer, shown=shown, oblivious=self._settings.oblivious),
        )
        made = await asking.run(plans, questions, texts=True)
        self._made.append(made)
        return made


class _Talk:
    """One question's dialogue under way."""

    def __init__(self, guard: Defence, question: Question, panel: Panel, seed: int) -> None:
        self._dialogue: Dialogue = guard.conduct(question, panel, seed=seed)
        self._round = 0
        self.shown: list[Consultation] = []
        """Every consultation so far; its place is the sample that its request names."""
        self.conclusion: Conclusion | None = None
        """Set once the dialogue is over."""
        self._go_on(lambda: next(self._dialogue))

    def seats(self, aggregator: str) -> tuple[Seat, ...]:
        """The calls of the round that is due."""
        places = range(self._round, len(self.shown))
        return tuple([Seat(aggregator, 1.0, "synthesises", place) for place in places])

    def hear(self, replies: Sequence[Reply]) -> None:
        """The round's replies, in the order of its seats."""
        self._round = len(self.shown)
        self._go_on(lambda: self._dialogue.send(replies))

    def _go_on(self, step: Callable[[], Sequence[Consultation]]) -> None:
        try:
            self.shown += step()
        except StopIteration as end:
            self.conclusion = end.value


def build_defence(settings: Synthesise) -> Defence:
    """The defence that the options name.

    Raises:
        MissingExtra: its embedder needs a package that is not installed.
    """
    return defence(
        settings.defence,
        embedder=embedder(settings.embedder),
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
        if roster[name].worker == "recorded":
            raise InputError(
                f"expert `{name}` is recorded: what it would say to drafts is not known",
                hint="the aggregator, and with `layers` above 1 everybody, must generate",
            )
    build_defence(settings)


def _without(drafts: Drafts, experts: frozenset[str]) -> Drafts:
    """The drafts of all others."""
    rows = {
        question_id: {seat: answer for seat, answer in row.items() if seat.expert not in experts}
        for question_id, row in drafts.answers.items()
    }
    return replace(drafts, answers=rows) if experts else drafts


def _panels(drafts: Drafts) -> dict[str, Panel]:
    """Question id -> what each seat said, in the order of the plan."""
    return {
        question_id: tuple(
            [
                Draft(seat.expert, drafts.texts[question_id][seat], answer.value, seat.sample)
                for seat, answer in row.items()
            ]
        )
        for question_id, row in drafts.answers.items()
    }


def _usage(made: Sequence[Drafts]) -> dict[str, Usage]:
    names = sorted({name for each in made for name in each.usage})
    return {name: total(each.usage[name] for each in made if name in each.usage) for name in names}
