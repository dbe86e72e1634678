"""Tagging by asking a model for keywords, several times over.

Knows the prompt, how keywords are read out of a reply, and which ones are kept; any
worker can answer. Knows no vocabulary: keywords are free, a SkillMapper brings them
to profiled skills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from orchestra.errors import InputError
from orchestra.records import Brief, Generation, Message, Question, Request, Sampling
from orchestra.runs.keys import digest, request_key
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


class Generates(Protocol):
    """The part of a worker that a tagger needs."""

    def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """Yield a Generation for each request, in any order, with the request's key."""
        ...


def _instructed(question: Question) -> tuple[Message, ...]:
    return (Message("user", _PROMPT.format(question=plain(question))),)


@dataclass(frozen=True, slots=True)
class Elicitation:
    """How keywords are asked for, and which are kept; by default as in Skill-MoE.

    The procedure of arXiv 2503.05641, `annotate_skills`: five replies at temperature 0.7; a
    keyword longer than `longest` characters is dropped; kept is what occurs at least `least`
    times over all runs, by exact match. A keyword that one reply repeats counts twice, as it
    does there. Raises InputError for several greedy runs, or several of one seed: they would
    all be alike, and the rule void.
    """

    messages: Callable[[Question], tuple[Message, ...]] = _instructed
    """What is sent; by default the question with instructions. A model that was trained for
    the task may need the question alone."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=4096)
    """How replies are drawn."""
    runs: int = 5
    """Replies for each question, at least 1."""
    least: int = 2
    """Occurrences that keep a keyword, from 1 to `runs`."""
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


class KeywordTagger:
    """Asks one expert what a question is about and keeps what it says often enough.

    Every kept keyword weighs 1; the most frequent come first. A failed generation is a run
    without keywords.

    Args:
        worker: where the expert can be asked.
        expert: the name that the worker knows.
        expert_digest: what stands for it in content keys (see `runs.keys`); the name's own
            digest by default.
        way: how it is asked.
    """

    def __init__(
        self,
        worker: Generates,
        expert: str,
        *,
        expert_digest: str | None = None,
        way: Elicitation | None = None,
    ) -> None:
        self.name = f"keywords:{expert}"
        self._worker = worker
        self._expert = expert
        self._expert_digest = digest(expert) if expert_digest is None else expert_digest
        self._way = way or Elicitation()

    async def tag(self, questions: Sequence[Question]) -> list[Brief]:
        """One Brief for each question, in the same order."""
        requests = [request for question in questions for request in self.requests(question)]
        texts = {
            generation.key: generation.text
            async for generation in self._worker.generate(requests)
            if generation.failure is None
        }
        replies: dict[str, list[str]] = {question.id: [] for question in questions}
        for request in requests:
            if request.key in texts:
                replies[request.question_id].append(texts[request.key])
        return [self._brief(question.id, replies[question.id]) for question in questions]

    def requests(self, question: Question) -> list[Request]:
        """The calls for one question, one for each run; `sample` is the number of the run."""
        messages = self._way.messages(question)
        # The question's id counts because a replaying worker looks answers up by it.
        asked, sampling = digest([question.id, messages]), digest(self._way.sampling)
        return [
            Request(
                key=request_key(
                    expert=self._expert_digest,
                    messages=asked,
                    sampling=sampling,
                    stage=STAGE,
                    layer=0,
                    sample=run,
                ),
                question_id=question.id,
                expert=self._expert,
                stage=STAGE,
                messages=messages,
                sampling=self._way.sampling,
                sample=run,
            )
            for run in range(self._way.runs)
        ]

    def _brief(self, question_id: str, replies: Iterable[str]) -> Brief:
        seen = Counter(
            keyword
            for reply in replies
            for keyword in keywords(reply)
            if len(keyword) <= self._way.longest
        )
        kept = [(keyword, count) for keyword, count in seen.items() if count >= self._way.least]
        kept.sort(key=lambda pair: (-pair[1], pair[0]))
        return Brief(question_id, tuple((keyword, 1.0) for keyword, _ in kept), self.name)


def keywords(reply: str) -> list[str]:
    """The keywords of one reply, in order: what follows the last `Keywords:`, at commas.

    Lower case, without full stops and outer spaces; the whole reply where the mark is missing.
    """
    listed = reply.rpartition(_MARK)[2].split(",")
    found = (keyword.strip().lower().replace(".", "") for keyword in listed)
    return [keyword for keyword in found if keyword]
