"""Work: when calls come up, whatever the order in which replies arrive."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from random import Random

import pytest

from orchestra.pipeline import Calls, Dialogue, Dialogues, Drafting, Generate, Work
from orchestra.pipeline.stages.generate import replay
from orchestra.records import Absence, Answer, Call, Plan, Question, Reply, Seat

Q = Question("q", "?", ("one", "two"))


def carry_out(work: Work, reply: Callable[[Call], Reply], seed: int | None = None) -> list[Call]:
    """Reply to every call, in an order that the seed draws; every call in the order of replies."""
    waiting, made = list(work.start()), list[Call]()
    while waiting:
        at = 0 if seed is None else Random(f"{seed}:{len(made)}").randrange(len(waiting))
        call = waiting.pop(at)
        made.append(call)
        waiting.extend(work.heard(call, reply(call)))
    return made


def talk(name: str, rounds: Sequence[int]) -> Dialogue[str]:
    """A dialogue of rounds of so many calls; returns everything that was said."""
    said: list[str] = []
    for number, size in enumerate(rounds):
        calls = [Call(Q, name, round=number, sample=sample) for sample in range(size)]
        replies = yield calls
        assert len(replies) == size
        said += [each.text for each in replies]
    return " ".join(said)


def says(call: Call) -> Reply:
    return Reply(f"{call.expert}{call.round}{call.sample}")


@pytest.mark.parametrize("seed", range(20))
def test_each_dialogue_goes_on_when_its_own_round_is_complete(seed: int) -> None:
    work = Dialogues([talk("a", [2, 1]), talk("b", [1, 0, 2]), talk("c", [])])
    made = carry_out(work, says, seed)
    assert work.results == ["a00 a01 a10", "b00 b20 b21", ""]
    assert len(made) == 6
    for name in "ab":
        rounds = [call.round for call in made if call.expert == name]
        assert rounds == sorted(rounds)


def test_a_dialogue_does_not_wait_for_others() -> None:
    work = Dialogues([talk("a", [1, 1]), talk("b", [1])])
    first, other = work.start()
    (second,) = work.heard(first, Reply("x"))
    assert (second.expert, second.round) == ("a", 1)
    with pytest.raises(ValueError, match="not over"):
        _ = work.results
    assert other.expert == "b"


def test_closing_ends_dialogues_without_replies() -> None:
    closed = []

    def open_ended() -> Generator[Sequence[Call], Sequence[Reply], str]:
        try:
            yield [Call(Q, "a")]
        finally:
            closed.append("a")
        return ""

    work = Dialogues([open_ended()])
    list(work.start())
    work.close()
    assert closed == ["a"]


@pytest.mark.parametrize("seed", range(5))
def test_calls_are_replied_to_in_their_order(seed: int) -> None:
    work = Calls([Call(Q, name) for name in "abcd"])
    carry_out(work, says, seed)
    assert [each.text[0] for each in work.replies] == list("abcd")


SEATS = [Seat(name, 1.0, "test") for name in "abcxyz"]


def plan(seats: int, reserves: int) -> Plan:
    return Plan("q", tuple(SEATS[:seats]), "test", 0, tuple(SEATS[3 : 3 + reserves]))


def answer(seat: Seat, said: str) -> Answer:
    """A letter; `-` is an answer that could not be read, `!` a call that failed."""
    if said in "-!":
        absence = Absence.UNPARSED if said == "-" else Absence.FAILED
        return Answer("q", seat.expert, None, absence, sample=seat.sample)
    return Answer("q", seat.expert, said, sample=seat.sample)


NEXT = Generate(calls=5, next_if_absent=True)
BACK = Generate(calls=3, fallback=True)
BOTH = Generate(calls=4, next_if_absent=True, fallback=True)


@pytest.mark.parametrize(
    ("settings", "said", "asked", "replaces"),
    [
        (NEXT, "AAAAAA", "abc", {}),
        (NEXT, "-AAAAA", "abcx", {"x": "a"}),
        (NEXT, "-A-AAA", "abcxy", {"x": "a", "y": "c"}),
        (NEXT, "---AAA", "abcxy", {"x": "a", "y": "b"}),
        (NEXT, "-AA-AA", "abcxy", {"x": "a", "y": "x"}),
        (NEXT, "!AAAAA", "abcx", {"x": "a"}),
        (BACK, "-AAAAA", "abc", {}),
        (BACK, "!AAAAA", "abcx", {"x": "a"}),
        (BACK, "!!!!AA", "abcxyz", {"x": "a", "y": "b", "z": "c"}),
        (BOTH, "!-AAAA", "abcxy", {"x": "a", "y": "b"}),
        (BOTH, "--!AAA", "abcxy", {"x": "a", "y": "c"}),
        (Generate(calls=2), "---AAA", "ab", {}),
        (Generate(calls=3), "!!!AAA", "abc", {}),
    ],
)
def test_one_rule_says_when_a_reserve_is_asked(
    settings: Generate, said: str, asked: str, replaces: dict[str, str]
) -> None:
    spoken = dict(zip("abcxyz", said, strict=True))
    plans = [plan(3, 3)]
    for seed in (None, *range(20)):
        work = Drafting(plans, {"q": Q}, settings)
        carry_out(
            work,
            lambda call: Reply("", answer=answer(call.tag[1], spoken[call.expert])),  # type: ignore[index]
            seed,
        )
        (row,) = work.drafts
        assert "".join(draft.expert for draft in row) == asked
        assert {d.expert: d.answer.instead_of for d in row if d.answer.instead_of} == replaces
    answers, missing = replay(plans[0], settings, lambda seat: answer(seat, spoken[seat.expert]))
    assert "".join(seat.expert for seat in answers) == asked
    assert missing == []
