"""Tagging by asking a model for keywords, several times over.

The keywords are free; a SkillMapper maps them to profiled skills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestra.errors import InputError
from orchestra.records import Brief, Call, Message, Question, Reply, Sampling
from orchestra.skills.tagging.base import plain

STAGE = "tag"
_MARK = "Keywords:"
_PROMPT = """\
Below is a question. Do not answer it. Decide which fields, subjects or skills somebody must \
master to get it right, and name two to five of them as short keywords of one to three words, \
for example: algebra, contract law, pharmacology, thermodynamics, macroeconomics, sorting, \
medieval history, formal logic, marketing.

{question}

Reply with a single line of two to five keywords, separated by commas, and nothing else:
Keywords: first keyword, second keyword, ..."""


def _instructed(question: Question) -> tuple[Message, ...]:
    return (Message("user", _PROMPT.format(question=plain(question))),)


@dataclass(frozen=True, slots=True)
class Elicitation:
    """The prompt and the rule for keywords that count; by default as in Skill-MoE.

    The procedure of arXiv 2503.05641, `annotate_skills`: five replies at temperature 0.7; a
    keyword longer than `longest` characters is dropped; a keyword counts if it occurs at least
    `least` times over all runs, by exact match. A keyword that one reply repeats counts twice, as
    in the paper. Raises InputError for several greedy runs, or several of one seed: their
    replies would all be equal.
    """

    messages: Callable[[Question], tuple[Message, ...]] = _instructed
    """The messages; by default the question with instructions. A model that was trained for the
    task may need the question alone."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=4096)
    """The sampling of replies."""
    runs: int = 5
    """Replies for each question, at least 1."""
    least: int = 2
    """Least occurrences of a keyword that counts, from 1 to `runs`."""
    longest: int = 20
    """Most characters of a keyword, at least 1."""

    def __post_init__(self) -> None:
        if self.least < 1 or self.runs < 1 or self.longest < 1:
            raise InputError("`runs`, `least` and `longest` are at least 1")
        if self.least > self.runs:
            raise InputError("`least` is at most `runs`")
        alike = self.sampling.temperature == 0 or self.sampling.seed is not None
        if self.runs > 1 and alike:
            raise InputError(
                "the keyword runs would all be alike",
                hint="give a temperature above 0 and no seed, or one run",
            )


@dataclass(frozen=True, slots=True)
class KeywordTagger:
    """Asks one expert for keywords of a question and uses those that occur often enough.

    Every such keyword has weight 1; the most frequent come first. A failed call is a run without
    keywords.
    """

    expert: str
    """The expert that is asked."""
    way: Elicitation = field(default_factory=Elicitation)
    """Prompt, sampling and rule."""

    @property
    def name(self) -> str:
        """The name that briefs and tables use."""
        return f"keywords:{self.expert}"

    def messages(self, expert: Any, question: Question) -> tuple[Message, ...]:
        """The messages of a call; the tagger is the prompt of its own calls."""
        return self.way.messages(question)

    def conduct(self, question: Question) -> Generator[Sequence[Call], Sequence[Reply], Brief]:
        """One round of calls, one for each run; `sample` is the number of the run."""
        replies = yield [
            Call(question, self.expert, self, STAGE, sample=run, sampling=self.way.sampling)
            for run in range(self.way.runs)
        ]
        return self._brief(question.id, [each.text for each in replies if each.failure is None])

    def _brief(self, question_id: str, replies: Iterable[str]) -> Brief:
        seen = Counter(
            keyword
            for reply in replies
            for keyword in keywords(reply)
            if len(keyword) <= self.way.longest
        )
        kept = [(keyword, count) for keyword, count in seen.items() if count >= self.way.least]
        kept.sort(key=lambda pair: (-pair[1], pair[0]))
        return Brief(question_id, tuple((keyword, 1.0) for keyword, _ in kept), self.name)


def keywords(reply: str) -> list[str]:
    """The keywords of one reply, in order: the text after the last `Keywords:`, split at commas.

    Lower case, without full stops and outer spaces; the whole reply where the mark is missing.
    """
    listed = reply.rpartition(_MARK)[2].split(",")
    found = (keyword.strip().lower().replace(".", "") for keyword in listed)
    return [keyword for keyword in found if keyword]
