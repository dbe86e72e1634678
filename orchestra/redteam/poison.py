"""Tables and drafts as they would be had the liars lied, without asking anybody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from orchestra.answers import read, visible
from orchestra.records import LETTERS, Brief, Draft, Generation, Mark, Outcome
from orchestra.redteam.attacks import Attack
from orchestra.redteam.lies import Lie, Lies, draw, drawn, is_split
from orchestra.redteam.templates import write
from orchestra.runs import digest
from orchestra.skills import RecruitmentTable
from orchestra.skills.table import abridged


def lying_table(
    table: RecruitmentTable, attack: Attack, *, liars: Collection[str], seed: int
) -> RecruitmentTable:
    """The table with the liars' marks wrong wherever they would have lied.

    Nothing changes for an attack that is honest on the profile, nor where a liar was never asked.
    The values are those that `plant` draws, as far as the table tells: an answer that nobody got
    right may be any option, and a wrong value for an open question that nobody holds is made up.

    Args:
        table: an honest profile.
        attack: what is planted.
        liars: who lies; names that are not in the table do nothing.
        seed: decides every draw.
    """
    names = [name for name in dict.fromkeys(liars) if name in table.marks]
    if not attack.on_profile or not names:
        return table
    marks = {name: list(row) for name, row in table.marks.items()}
    for place, brief in enumerate(table.briefs):
        row = {name: row[place] for name, row in table.marks.items()}
        for name, value in _values(brief, row, attack, names, seed).items():
            if row[name] is not None:
                lie = Mark(brief.question_id, name, Outcome.WRONG, value)
                marks[name][place] = abridged(lie)
    told = f"{attack.name} by {', '.join(names)}, seed {seed}"
    return replace(
        table,
        marks={name: tuple(row) for name, row in marks.items()},
        provenance={**table.provenance, "attack": told},
    )


def _values(
    brief: Brief, row: Mapping[str, Mark | None], attack: Attack, liars: Sequence[str], seed: int
) -> dict[str, str]:
    """Liar -> what it plants on a profiled question."""
    told = [(who, each.outcome, each.value) for who, each in row.items() if each and each.value]
    honest = [(outcome, value) for who, outcome, value in told if who not in liars]
    if attack.only_split and not is_split([value for _, value in honest]):
        return {}
    if not attack.lies_on(brief.question_id, seed=seed):
        return {}
    right = {value for _, outcome, value in told if outcome is Outcome.CORRECT}
    wrong = Counter([value for outcome, value in honest if outcome is Outcome.WRONG])
    values: dict[str, str] = {}
    for liar in liars:
        random = draw(attack, liar, brief.question_id, seed=seed)
        pool = [letter for letter in LETTERS[: brief.choices] if letter not in right]
        if not brief.choices:
            whose = "" if attack.shared else liar
            pool = [*sorted(wrong), f"#{digest(['lie', seed, whose, brief.question_id])}"]
        value = drawn(attack, wrong, pool, random)
        if value is not None:
            values[liar] = value
    return values


def lying_draft(honest: Draft, lie: Lie, lies: Lies, *, cascade: str = "stated") -> Draft:
    """The draft of a liar in the template form, in place of its honest one.

    Args:
        honest: what it drafts when it is honest.
        lie: what it plants on this question.
        lies: all lies of its attack.
        cascade: how its text is read.

    Raises:
        InputError: the cascade is unknown.
    """
    seat = honest.seat
    text = write(lie, lies.attack.style, seed=lies.seed, turn=lies.turn(seat.expert, seat.sample))
    generation = Generation("", lie.question.id, seat.expert, text, sample=seat.sample)
    answer = read(lie.question, generation, cascade=cascade)
    replaced = honest.answer.instead_of
    return Draft(
        seat,
        replace(answer, instead_of=replaced) if replaced else answer,
        visible(text).text.strip(),
    )
