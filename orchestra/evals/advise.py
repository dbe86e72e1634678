"""What a mixture of models would gain over the best of them, from answers that are there already.

Profiles on one half of the questions, replays every shipped pipeline that needs no new call on the
other, and says which models can go. Asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from orchestra.errors import InputError
from orchestra.evals.contribution import advice, contributions
from orchestra.evals.items import Item, items_digest
from orchestra.evals.known import (
    Flags,
    Known,
    Replayed,
    SilentPool,
    Tried,
    halves,
    is_right,
    right_of,
    tried,
)
from orchestra.evals.panel import NO_VOTE, Votes, cofailure, effective_size, error_correlation
from orchestra.evals.power import least_difference, questions_needed
from orchestra.evals.profile import profile_experts
from orchestra.evals.replay import read_free
from orchestra.evals.statistics import Estimate, clopper_pearson, paired_bootstrap, wilson
from orchestra.pipeline import (
    Batch,
    PipelineSpec,
    Progress,
    WorkerPool,
    load_spec,
    shipped_pipelines,
)
from orchestra.pipeline.calibration import cross_voted
from orchestra.records import Plan, Seat
from orchestra.roster import Roster
from orchestra.skills import RecruitmentTable
from orchestra.sync import wait

SINGLE = "single-best"
"""The shipped pipeline that asks the best expert of the profile alone."""
_MARGIN = 0.005
"""The loss that counts as none when an expert goes."""
_FEW = 30
"""Questions below which nothing is concluded."""


@dataclass(frozen=True)
class Advised:
    """The answers, how they were used, and what came of it."""

    content: Mapping[str, Any]
    """All figures as plain data; `verdict` is a sentence."""
    items: tuple[Item, ...]
    """The questions that were used, `profile` on the half that the table rests on."""
    roster: Roster
    """The experts that were compared."""
    table: RecruitmentTable | None
    """Measured on the profile half; None for a single expert."""

    @property
    def verdict(self) -> str:
        """What to do, in one sentence."""
        return str(self.content["verdict"])

    def to_dict(self) -> dict[str, Any]:
        """All figures as plain data."""
        return dict(self.content)

    def __repr__(self) -> str:
        return f"Advised({len(self.roster)} experts, {len(self.items):,} questions: {self.verdict})"


def advise(
    roster: Roster,
    items: Sequence[Item],
    *,
    seed: int = 0,
    read: str = "stated",
    workers: WorkerPool | None = None,
    progress: Progress | None = None,
) -> Advised:
    """Compare mixtures of experts whose answers are known with the best of them.

    Args:
        roster: recorded (or scripted) experts.
        items: the questions that they answered, at least two with gold answers. An expert that
            answered only some is left out where that leaves more to compare.
        seed: decides the halves and every other random choice.
        read: the cascade of answer rules.
        workers: opens the experts.
        progress: told how far it is.

    Raises:
        InputError: there is nothing to compare.
    """
    told = progress or (lambda stage, done, expected: None)
    opened = workers or WorkerPool()
    opened.check(roster)
    gold = _with_gold(items)
    known = Known()
    told("read answers", 0, 0)
    wait(read_free(known, gold, read, roster=roster, workers=opened, progress=told))
    experts, used = _common(known, roster.recruits, gold)
    used = sorted(used, key=lambda item: item.question.id)  # so that their order changes nothing
    kept = roster.subset(experts)
    first, second = halves(used, seed=seed, purpose="advise")
    profile = [replace(used[place], profile=True) for place in first]
    test = [replace(used[place], profile=False) for place in second]
    table = None
    if len(experts) > 1:
        told("profile on one half", 0, 0)
        table = wait(profile_experts(kept, profile, read=read, workers=opened))
    case = _Case(kept, table, known, profile, test, seed)
    content = {
        "schema": 1,
        "seed": seed,
        "protocol": f"profiled on {len(profile):,} questions, measured on {len(test):,} others; "
        f"answers read by `{read}`, absent counts as not right, no credit for guesses",
        "items": items_digest(used),
        "questions": {
            "given": len(items),
            "without_gold": len(items) - len(gold),
            "not_common": len(gold) - len(used),
            "profile": len(profile),
            "test": len(test),
        },
        "experts": [*_experts(case, roster, gold)],
        **(_alone(case) if table is None else _compared(case, told)),
    }
    place = {item.question.id: number for number, item in enumerate(items)}
    ordered = sorted([*profile, *test], key=lambda item: place[item.question.id])
    return Advised(content, tuple(ordered), kept, table)


def _with_gold(items: Sequence[Item]) -> list[Item]:
    gold = [item for item in items if item.gold is not None]
    if len(gold) < 2:
        raise InputError(
            f"{len(gold)} of {len(items)} questions have a gold answer: nothing can be compared",
            hint="give items with the right answers, in a column `answer`",
        )
    return gold


def _common(
    known: Known, experts: Sequence[str], items: Sequence[Item]
) -> tuple[list[str], list[Item]]:
    """Experts and the questions that all of them answered: as many answers as can be compared.

    From each set of questions that an expert answered, the others join in the order of how many
    of these they answered, too.
    """
    there = {
        name: frozenset(i.question.id for i in items if (name, 0) in known.of(i.question.id))
        for name in experts
    }
    chosen, shared, most = set[str](), frozenset[str](), -1
    for start in dict.fromkeys(there.values()):
        common = start
        overlap = {name: len(there[name] & start) for name in experts}
        ranked = sorted(experts, key=overlap.__getitem__, reverse=True)
        for count, name in enumerate(ranked, start=1):
            common &= there[name]
            # One expert is no mixture: two with some questions are better than one with more.
            worth = count * len(common) if count > 1 else 0
            if len(common) > 1 and worth > most:
                chosen, shared, most = {*ranked[:count]}, common, worth
    if not chosen:
        raise InputError(
            f"no model answered two of the {len(items)} questions with gold answers",
            hint="do the recordings have the ids of these questions?",
        )
    return (
        [name for name in experts if name in chosen],
        [item for item in items if item.question.id in shared],
    )


@dataclass(frozen=True)
class _Case:
    """One comparison."""

    roster: Roster
    table: RecruitmentTable | None
    known: Known
    profile: Sequence[Item]
    test: Sequence[Item]
    seed: int

    made: dict[str, Replayed] = field(default_factory=dict)
    """Pipelines by their digest: what the profile says of each is worked out once."""

    def pipeline(self, spec: PipelineSpec) -> Replayed:
        if spec.digest not in self.made:
            self.made[spec.digest] = Replayed(
                spec, self.roster, SilentPool(), self.table, self.seed, known=self.known
            )
        return self.made[spec.digest]

    def replayed(self, spec: PipelineSpec, plans: Sequence[Plan] = ()) -> tuple[Tried, Batch]:
        """A pipeline on the test half, from given plans or its own."""
        pipeline = self.pipeline(spec)
        batch = Batch.of(item.question for item in self.test)
        batch = wait(pipeline.draft(replace(batch, plans=tuple(plans)) if plans else batch))
        if not pipeline.lack.questions:
            batch = wait(pipeline.decide(batch))
        return tried(batch, self.test, pipeline.lack), batch


def _experts(case: _Case, roster: Roster, items: Sequence[Item]) -> Iterator[dict[str, Any]]:
    """Each expert: how much it answered, and its accuracy on the test half."""
    ids = [item.question.id for item in items]
    names = case.roster.names
    right = dict(zip(names, right_of(case.known, case.test, names), strict=True))
    for name in roster.recruits:
        drafts = [case.known.of(each).get((name, 0)) for each in ids]
        given = [each[0] for each in drafts if each is not None]
        row: dict[str, Any] = {
            "name": name,
            "answered": len(given),
            "readable": sum(draft.value is not None for draft in given),
            "used": name in right,
        }
        yield row | _share(right[name]) if name in right else row


def _share(right: Flags) -> dict[str, Any]:
    n, hits = len(right), int(right.sum())
    interval = wilson(hits, n)
    return {
        "n": n,
        "accuracy": round(hits / n, 6) if n else 0.0,
        "interval": [round(interval.low, 6), round(interval.high, 6)],
    }


def _alone(case: _Case) -> dict[str, Any]:
    """What there is to say of a single model."""
    [name] = case.roster.names
    [right] = right_of(case.known, case.test, [name])
    return {
        "best_single": name,
        "chosen": None,
        "arms": [_row(SINGLE, "baseline", Tried(right, calls=1.0), None, case.seed)],
        "not_replayed": [],
        "ceiling": None,
        "panel": None,
        "power": None,
        "contributions": [],
        "drop": None,
        "verdict": f"there is one model that can be compared, `{name}`: a mixture needs at least "
        "two that answered the same questions",
    }


# Arms


def _compared(case: _Case, told: Progress) -> dict[str, Any]:
    done: dict[str, Tried] = {}
    lacking: dict[str, Tried] = {}
    batches: dict[str, Batch] = {}
    specs = {name: load_spec(name) for name in shipped_pipelines()}
    for name, spec in specs.items():
        told("replay pipelines", len(done) + len(lacking), len(specs))
        found, batches[name] = case.replayed(spec)
        (lacking if found.lack is not None else done)[name] = found
    told("choose on the profile", 0, 0)
    chosen = _chosen(case, {name: specs[name] for name in done if name != SINGLE})
    single, mixture = done[SINGLE], done[chosen]
    name = _single(case)
    told("contributions", 0, 0)
    arms = [
        _row(SINGLE, "baseline", single, None, case.seed),
        *(
            _row(each, "pipeline", found, single, case.seed)
            for each, found in done.items()
            if each != SINGLE
        ),
        *_baselines(case, single, name, max(round(mixture.calls), 1)),
    ]
    votes, power = _votes(case, batches[chosen]), _power(mixture.right, single.right)
    return {
        "best_single": name,
        "chosen": chosen,
        "arms": arms,
        "not_replayed": [
            {
                "name": each,
                "questions": len(found.lack.questions) if found.lack else 0,
                "calls": sum(found.lack.experts.values()) if found.lack else 0,
            }
            for each, found in lacking.items()
        ],
        **_panel(case),
        "power": power,
        **_who_counts(votes, case),
        "verdict": _verdict(
            mixture, single, name, row=next(r for r in arms if r["name"] == chosen), power=power
        ),
    }


def _single(case: _Case) -> str:
    pipeline = case.pipeline(load_spec(SINGLE))
    [plan] = pipeline.plan([pipeline.table.briefs[0]]) if pipeline.table else []
    return plan.seats[0].expert


def _chosen(case: _Case, specs: Mapping[str, PipelineSpec]) -> str:
    """The pipeline that is best on the profile, each question decided by what the others tell.

    Of equals the one with fewer calls. The test half has no part in it.
    """

    def worth(spec: PipelineSpec) -> tuple[int, int]:
        votes = case.pipeline(spec).profile_votes
        decided = cross_voted(votes, spec.vote, seed=case.seed)
        right = sum(ballot.winner in each.right for ballot, each in decided)
        return right, -sum(len(each.poll.answers) for each in votes)

    return max(specs, key=lambda name: worth(specs[name]))


def _baselines(case: _Case, single: Tried, best: str, k: int) -> Iterator[dict[str, Any]]:
    """Other ways to spend as many calls, and the bounds in hindsight."""
    names = case.roster.names
    k = min(k, len(names))
    drawn, _ = case.replayed(load_spec("majority", overrides=[f"route={{random: {k}}}"]))
    yield _row(f"{k} random, majority", "baseline", drawn, single, case.seed)
    ids = [item.question.id for item in case.test]
    samples = case.known.samples(best, ids)[: max(k, 2)]
    if len(samples) > 1:
        seats = tuple(Seat(best, 1.0, "another draw of the best expert", each) for each in samples)
        plans = [Plan(each, seats, "samples", case.seed) for each in ids]
        again, _ = case.replayed(load_spec("majority"), plans)
        words = f"self-consistency of {len(samples)} draws"
        yield _row(words, "baseline", again, single, case.seed)
    right = right_of(case.known, case.test, names)
    first = int(np.argmax(right.sum(axis=1)))
    hindsight = Tried(right[first], calls=1.0)
    words = f"best in hindsight: {names[first]}"
    yield _row(words, "bound", hindsight, single, case.seed)
    oracle = Tried(np.asarray(right.any(axis=0)), calls=float(len(names)))
    yield _row("oracle over all", "bound", oracle, single, case.seed)


def _row(name: str, kind: str, found: Tried, single: Tried | None, seed: int) -> dict[str, Any]:
    gain = None if single is None else paired_bootstrap(found.right, single.right, seed=seed)
    return {
        "name": name,
        "kind": kind,
        **_share(found.right),
        "gain": None if gain is None else gain.rounded(),
        "calls": round(found.calls, 4),
        "tokens": round(found.tokens, 2) or None,
        "tokens_estimated": found.estimated,
    }


# Who counts


def _votes(case: _Case, batch: Batch) -> Votes:
    """The votes of a decided batch, with the weights that they had, of those that were asked."""
    asked_of = {draft.expert for drafts in batch.drafts for draft in drafts}
    names = [name for name in case.roster.names if name in asked_of]
    codes = np.full((len(names), len(case.test)), NO_VOTE, dtype=np.int64)
    weights = np.zeros(codes.shape)
    rows = {name: row for row, name in enumerate(names)}
    values: list[list[str]] = []
    for place, ballot in enumerate(batch.ballots):
        named = sorted({vote.value for vote in ballot.votes if vote.value is not None})
        values.append(named)
        for vote in ballot.votes:
            if vote.value is not None:
                codes[rows[vote.expert], place] = named.index(vote.value)
                weights[rows[vote.expert], place] = vote.weight
    correct = np.zeros((len(case.test), max(map(len, values), default=0) or 1), dtype=bool)
    for place, (item, named) in enumerate(zip(case.test, values, strict=True)):
        for code, value in enumerate(named):
            correct[place, code] = is_right(item, value)
    asked = np.zeros(codes.shape, dtype=bool)
    for place, drafts in enumerate(batch.drafts):
        asked[[rows[draft.expert] for draft in drafts], place] = True
    return Votes.of(names, codes, correct, asked=asked, weights=weights)


def _panel(case: _Case) -> dict[str, Any]:
    right = right_of(case.known, case.test, case.roster.names)
    found = cofailure(right)
    size = effective_size(error_correlation(right, np.ones(right.shape, dtype=bool)))
    interval = clopper_pearson(found.failed, found.n)
    return {
        "ceiling": {
            **found.ceiling.rounded(),
            "all_wrong": Estimate(found.beta, interval).rounded(),
        },
        "panel": {
            "experts": size.experts,
            "correlation": None if size.correlation is None else round(size.correlation, 4),
            "worth": round(size.kish, 2),
        },
    }


def _who_counts(votes: Votes, case: _Case) -> dict[str, Any]:
    shares = contributions(votes, seed=case.seed)
    gone = advice(votes, seed=case.seed, margin=_MARGIN)
    ranked = sorted(shares.items(), key=lambda pair: -pair[1].shapley.value)
    return {
        "contributions": [
            {
                "name": name,
                "asked": round(float(votes.asked[votes.experts.index(name)].mean()), 6),
                "shapley": each.shapley.rounded(),
                "left_out": each.left_out.rounded(),
            }
            for name, each in ranked
        ],
        "drop": {
            "never_asked": [name for name in case.roster.names if name not in shares],
            "experts": list(gone.drop),
            "loss": gone.loss.rounded(),
            "margin": gone.margin,
            "n": gone.n,
        },
    }


def _power(mixture: Flags, single: Flags) -> dict[str, Any]:
    """How many questions a gain as large as this one takes to be seen, at 80 % power."""
    discordance = float((mixture != single).mean())
    gain = abs(float(mixture.mean()) - float(single.mean()))
    least = least_difference(len(mixture), discordance=discordance)
    return {
        "discordance": round(discordance, 6),
        "needed": questions_needed(gain, discordance=discordance) if gain else None,
        "least": None if least is None else round(least, 6),
        "n": len(mixture),
    }


def _verdict(
    mixture: Tried, single: Tried, name: str, *, row: Mapping[str, Any], power: Mapping[str, Any]
) -> str:
    n = len(mixture.right)
    low, high = row["gain"]["interval"]
    gain = f"{100 * row['gain']['value']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
    calls = f"{mixture.calls:.1f} calls a question"
    alone = f"`{name}` alone has {100 * single.accuracy:.1f} % at one call"
    if n < _FEW:
        return f"{n} test questions are too few to conclude anything: {gain} at {calls}; {alone}"
    if low > 0:
        return (
            f"a mixture gains {gain} over the best model at {calls}, by the pipeline "
            f"`{row['name']}`; {alone}, which is enough where that gain is not worth the calls"
        )
    if high < 0:
        return f"a mixture loses: {gain} at {calls}, by the pipeline `{row['name']}`; {alone}"
    needed = power["needed"]
    more = ", and is enough"
    if row["gain"]["value"] > 0 and needed is not None:
        more = f"; a gain as large as this one takes {needed:,} questions to be shown"
    return f"no gain of a mixture can be shown: {gain} at {calls}; {alone}{more}"
