"""Tagging by asking a model for keywords, several times over.

Knows the prompt, how keywords are read out of a reply, and which ones are kept; any
worker can answer. Knows no vocabulary: keywords are free, a SkillMapper brings them
to profiled skills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
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

    def generate(self, requests: Sequence[Request]) -> AsyncIterator[Generation]:
        """Yield a Generation for each request, in any order, with the request's key."""
        ...


class KeywordTagger:
    """Asks one expert `runs` times what a question is about and keeps what it repeats.

    The procedure of Skill-MoE (arXiv 2503.05641, `annotate_skills`): replies at temperature
    0.7; a keyword longer than `longest` characters is dropped; kept is what occurs at least
    `least` times over all runs, by exact match. A keyword that one reply repeats counts twice,
    as it does there. Every kept keyword weighs 1; the most frequent come first. A failed
    generation is a run without keywords.

    `expert` is the name that the worker knows, `expert_digest` what stands for it in content
    keys (see `runs.keys`); the name's own digest by default. Raises InputError for greedy
    sampling or a fixed seed: all runs would be alike, and the rule void.
    """

    def __init__(
        self,
        worker: Generates,
        expert: str,
        *,
        expert_digest: str | None = None,
        sampling: Sampling | None = None,
        runs: int = 5,
        least: int = 2,
        longest: int = 20,
    ) -> None:
        if least < 1 or runs < 1 or longest < 1:
            raise InputError("`runs`, `least` and `longest` are at least 1")
        if least > runs:
            raise InputError("`least` is at most `runs`")
        self.name = f"keywords:{expert}"
        self._worker = worker
        self._expert = expert
        self._expert_digest = digest(expert) if expert_digest is None else expert_digest
        self._sampling = _varied(sampling or Sampling(temperature=0.7, max_tokens=4096), runs)
        self._runs = runs
        self._least = least
        self._longest = longest

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
        messages = (Message("user", _PROMPT.format(question=plain(question))),)
        # The question's id counts because a replaying worker looks answers up by it.
        asked, sampling = digest([question.id, messages]), digest(self._sampling)
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
                sampling=self._sampling,
                sample=run,
            )
            for run in range(self._runs)
        ]

    def _brief(self, question_id: str, replies: Iterable[str]) -> Brief:
        seen = Counter(
            keyword
            for reply in replies
            for keyword in keywords(reply)
            if len(keyword) <= self._longest
        )
        kept = [(keyword, count) for keyword, count in seen.items() if count >= self._least]
        kept.sort(key=lambda pair: (-pair[1], pair[0]))
        return Brief(question_id, tuple((keyword, 1.0) for keyword, _ in kept), self.name)


def _varied(sampling: Sampling, runs: int) -> Sampling:
    if runs > 1 and (sampling.temperature == 0 or sampling.seed is not None):
        raise InputError(
            "the keyword runs would all be alike",
            hint="give a temperature above 0 and no seed, or one run",
        )
    return sampling


def keywords(reply: str) -> list[str]:
    """The keywords of one reply, in order: what follows the last `Keywords:`, at commas.

    Lower case, without full stops and outer spaces; the whole reply where the mark is missing.
    """
    listed = reply.rpartition(_MARK)[2].split(",")
    found = (keyword.strip().lower().replace(".", "") for keyword in listed)
    return [keyword for keyword in found if keyword]
