"""Mixture-of-Agents (Wang et al. 2024, arXiv:2406.04692): drafts are shown to models.

In each layer but the last, every expert that drafted answers again in view of all drafts of the
layer before. In the last, the aggregator does, in as many rounds as its defence asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.records import Call, Draft, Question, Reply
from orchestra.synthesis.aggregator import AggregatorCall, Conclusion, Defence, Dialogue
from orchestra.synthesis.prompts import InView


@dataclass(frozen=True)
class MixtureOfAgents:
    """An aggregator over layers of drafts.

    Args:
        aggregator: the name of the expert that is shown the last drafts.
        guard: decides what it is shown of them, and what follows from its replies.
        layers: how often drafts are shown, at least 1. 2 is the paper's 3-3-1.
        oblivious: whether nobody is warned that drafts may be biased or wrong.
        read: the answer cascade that replies are read by.
    """

    aggregator: str
    guard: Defence
    layers: int = 1
    oblivious: bool = False
    read: str = "stated"

    def conduct(self, question: Question, drafts: Sequence[Draft], *, seed: int) -> Dialogue:
        """The layers in turn, then the aggregator's rounds."""
        panel = tuple(drafts)
        for layer in range(1, self.layers):
            if not panel:
                break
            prompt = InView(AggregatorCall(panel), self.oblivious)
            replies = yield [
                Call(
                    question,
                    draft.expert,
                    prompt,
                    layer=layer,
                    round=layer - 1,
                    sample=draft.sample,
                    read=self.read,
                )
                for draft in panel
            ]
            panel = tuple(map(_redrafted, panel, replies))
        return (yield from self._consult(question, panel, seed))

    def _consult(self, question: Question, panel: Sequence[Draft], seed: int) -> Dialogue:
        """The defence's rounds; the number of a call within the question is its sample."""
        consulting = self.guard.conduct(question, panel, seed=seed)
        asked, round_ = 0, self.layers - 1
        try:
            shown = next(consulting)
            while True:
                replies = yield [
                    Call(
                        question,
                        self.aggregator,
                        InView(each, self.oblivious),
                        "synthesise",
                        self.layers,
                        round_,
                        sample,
                        read=self.read,
                    )
                    for sample, each in enumerate(shown, asked)
                ]
                asked, round_ = asked + len(shown), round_ + 1
                shown = consulting.send(replies)
        except StopIteration as end:
            conclusion: Conclusion = end.value
            return conclusion


def _redrafted(draft: Draft, reply: Reply) -> Draft:
    """What the same seat says in the next layer."""
    assert reply.answer is not None
    return Draft(draft.seat, reply.answer, reply.text)
