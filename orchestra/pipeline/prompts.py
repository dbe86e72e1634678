"""What experts are sent: a question alone, or in view of what others drafted.

Knows the messages and the digest that stands for them in content keys; does not know who is
asked when, nor what comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from orchestra.records import Message, Question
from orchestra.roster import Expert
from orchestra.runs import digest
from orchestra.synthesis import Consultation, consulting

_PROMPTS = 20_000
"""Prompts that are kept for the next expert that is spoken to alike."""


class Prompts(Protocol):
    """How the experts of one layer of one stage are asked."""

    @property
    def stage(self) -> str:
        """The stage that requests name: `generate` or `synthesise`."""
        ...

    @property
    def layer(self) -> int:
        """The layer that requests name, from 0."""
        ...

    def digest(self, expert: Expert, question: Question, sample: int) -> str:
        """Stands for the messages, apart from what the expert's identity covers."""
        ...

    def messages(self, expert: Expert, question: Question, sample: int) -> tuple[Message, ...]:
        """The chat for one draw of an expert."""
        ...


class Alone:
    """The question alone: the first layer."""

    stage, layer = "generate", 0

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}
        self._messages: dict[tuple[str, str, str], tuple[Message, ...]] = {}

    def digest(self, expert: Expert, question: Question, sample: int) -> str:
        """The question with everything a prompt may show of it."""
        if question.id not in self._asked:
            self._asked[question.id] = _asked(question)
        return self._asked[question.id]

    def messages(self, expert: Expert, question: Question, sample: int) -> tuple[Message, ...]:
        """The same for every draw."""
        spoken = (question.id, expert.strategy, expert.system)
        messages = self._messages.get(spoken)
        if messages is None:
            messages = expert.messages(question)
            if len(self._messages) < _PROMPTS:
                self._messages[spoken] = messages
        return messages


class InView:
    """The question in view of drafts.

    Args:
        stage: `generate` for those who draft again, `synthesise` for the aggregator.
        layer: from 1.
        shown: question id and sample -> what is shown.
        oblivious: whether nobody is warned of it.
    """

    def __init__(
        self,
        stage: str,
        layer: int,
        *,
        shown: Callable[[str, int], Consultation],
        oblivious: bool = False,
    ) -> None:
        self.stage, self.layer = stage, layer
        self._shown, self._oblivious = shown, oblivious

    def digest(self, expert: Expert, question: Question, sample: int) -> str:
        """Every message as it is sent: what is shown is in none of the expert's identity."""
        sent = self.messages(expert, question, sample)
        return digest([_asked(question), [[each.role, each.content] for each in sent]])

    def messages(self, expert: Expert, question: Question, sample: int) -> tuple[Message, ...]:
        """The chat that shows this draw's consultation."""
        shown = self._shown(question.id, sample)
        return consulting(expert, question, shown, oblivious=self._oblivious)


def _asked(question: Question) -> str:
    """Stands for what is sent: the question with everything a prompt may show of it.

    The system prompt and strategy are in the expert's identity.
    """
    said = (question.id, question.text, question.options, question.kind.value, question.context)
    return digest(repr(said))
