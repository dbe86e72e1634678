"""What a pipeline remembers of questions that were asked one at a time, in memory and in a file.

Voters that compare an expert with its profile need more than one question (`VoterContext.past`).
Kept are who was asked and which answers were equal, no text of a question or an answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from orchestra.answers.extract import WHOLE
from orchestra.errors import InputError
from orchestra.records import LETTERS, Absence, Answer, Plan, Seat
from orchestra.runs import encode, write_whole
from orchestra.runs.disk import translated
from orchestra.voting import QuestionVotes

try:
    import fcntl
except ImportError:  # two processes at once may then forget a question
    fcntl = None  # type: ignore[assignment]

Kept = TypeVar("Kept")
_REMEMBERED = 1_000
"""Most questions; the oldest are forgotten."""
_LARGEST = 64 << 20
"""Bytes of the longest file that is read."""


@dataclass(frozen=True)
class _Vote:
    """One expert's part in a remembered question."""

    expert: str
    identity: str
    """Of the expert when it was asked: an expert that changed since is another."""
    value: str | None
    """A letter, or a digest of the answer; None: it gave none."""
    sample: int = 0
    weight: Annotated[FiniteFloat, Field(ge=0)] = 1.0
    accuracy: Annotated[float, Field(gt=0, lt=1)] | None = None
    absence: Absence | None = None


@dataclass(frozen=True)
class _Poll:
    question_id: str
    at: FiniteFloat
    """When it was asked, in seconds since 1970."""
    rivals: FiniteFloat | None
    votes: tuple[_Vote, ...]

    def votes_of(self, identities: Mapping[str, str]) -> QuestionVotes | None:
        """The question as voters see it; None where fewer than two of its experts are left."""
        left = [vote for vote in self.votes if identities.get(vote.expert) == vote.identity]
        if len({vote.expert for vote in left}) < 2:
            return None
        answers = {
            Seat(vote.expert, vote.weight, "", vote.sample, vote.accuracy): Answer(
                self.question_id, vote.expert, vote.value, vote.absence, sample=vote.sample
            )
            for vote in left
        }
        plan = Plan(self.question_id, tuple(answers), "", 0, rivals=self.rivals)
        return QuestionVotes(plan, answers)


@dataclass(frozen=True)
class _File:
    schema: Literal[1]
    questions: tuple[_Poll, ...]


_FILE = TypeAdapter(_File)


class History:
    """The last thousand questions that were asked one at a time.

    Args:
        identities: expert -> digest of everything that changes what it says; with a file, only
            answers of experts that are still the same count.
        path: a file that has them; None: they last as long as this object.
        keeps: whether each new question goes into the file at once.

    Raises:
        InputError: the file is no such file, or cannot be read.
    """

    def __init__(
        self,
        identities: Mapping[str, str] | None = None,
        path: Path | None = None,
        *,
        keeps: bool = True,
    ) -> None:
        self._identities, self._path = dict(identities or {}), path if keeps else None
        self._polls: dict[str, _Poll | QuestionVotes] = {}
        if path is not None:
            self._polls |= _read(path)

    def before(self, question_id: str) -> tuple[QuestionVotes, ...]:
        """What is remembered of other questions, oldest first."""
        others = (poll for each, poll in self._polls.items() if each != question_id)
        votes = (
            poll if isinstance(poll, QuestionVotes) else poll.votes_of(self._identities)
            for poll in others
        )
        return tuple([each for each in votes if each is not None])

    def add(self, poll: QuestionVotes) -> None:
        """Remember one more, each question once, and forget the oldest where there are too many.

        Left out are whole texts, no two of which are equal, liar or not, and questions that fewer
        than two experts answered.

        Raises:
            InputError: the file cannot be written.
        """
        given = [answer for answer in poll.answers.values() if answer.value is not None]
        whole = any(answer.rule.endswith(f":{WHOLE}") for answer in given)
        if whole or len({answer.expert for answer in given}) < 2:
            return
        if self._path is None:
            self._polls = _bounded(self._polls, poll.plan.question_id, poll)
            return
        with translated(self._path), _alone(self._path):  # what others add meanwhile stays
            kept = _bounded(_read(self._path), poll.plan.question_id, _kept(poll, self._identities))
            _write(self._path, kept)
        self._polls = dict(kept)

    def save(self, path: Path, identities: Mapping[str, str]) -> None:
        """Write everything into a file, in place of what it has; nothing where nothing is known.

        Raises:
            InputError: the file cannot be written.
        """
        kept = {
            each: poll if isinstance(poll, _Poll) else _kept(poll, identities)
            for each, poll in self._polls.items()
        }
        if kept:
            with translated(path), _alone(path):
                _write(path, kept)

    def __len__(self) -> int:
        return len(self._polls)


def memory_beside(table: Path) -> Path:
    """The file that keeps what is learned of a table's experts: `.orchestra/trust-NAME.json`."""
    return table.parent / ".orchestra" / f"trust-{table.stem}.json"


def _bounded(polls: Mapping[str, Kept], question_id: str, poll: Kept) -> dict[str, Kept]:
    kept = {each: other for each, other in polls.items() if each != question_id}
    kept[question_id] = poll
    return dict(list(kept.items())[-_REMEMBERED:])


def _kept(poll: QuestionVotes, identities: Mapping[str, str]) -> _Poll:
    votes = [
        _Vote(
            seat.expert,
            identities.get(seat.expert, ""),
            _hidden(poll.answers[seat].value),
            seat.sample,
            seat.weight,
            seat.accuracy,
            poll.answers[seat].absence,
        )
        for seat in poll.asked
    ]
    return _Poll(poll.plan.question_id, round(time.time(), 3), poll.plan.rivals, tuple(votes))


def _hidden(value: str | None) -> str | None:
    """Equal where the values are, and no text."""
    if value is None or (len(value) == 1 and value in LETTERS):
        return value
    return blake2b(value.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _read(path: Path) -> dict[str, _Poll]:
    hint = "delete the file, or leave the memory out: `--no-memory`"
    try:
        if not path.exists():
            return {}
        if not path.is_file() or path.stat().st_size > _LARGEST:
            raise InputError("is not a memory of questions", place=str(path), hint=hint)
        polls = _FILE.validate_json(path.read_bytes()).questions
    except ValidationError as error:
        raise InputError("is not a memory of questions", place=str(path), hint=hint) from error
    except OSError as error:
        words = f"cannot be read: {error.strerror or error}"
        raise InputError(words, place=str(path), hint=hint) from error
    return {poll.question_id: poll for poll in polls}


def _write(path: Path, polls: Mapping[str, _Poll]) -> None:
    rows = b",\n".join(encode(poll) for poll in polls.values())
    write_whole(path, b'{"schema": 1, "questions": [\n%b\n]}\n' % rows)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Make the folder, and keep other processes from changing the file meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
