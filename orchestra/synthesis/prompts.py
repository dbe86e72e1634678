"""How an aggregator is asked: the question as ever, and what others said to it.

Knows the shape of Mixture-of-Agents prompts (Wang et al. 2024, arXiv:2406.04692): instruction
and numbered responses in a system message, the user's turn untouched. Does not know who wrote
the responses, nor tell. A model that was trained on drafts (strategy `plain`) gets them its way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestra.records import Message, Question
from orchestra.roster import Expert
from orchestra.roster.strategies import with_drafts
from orchestra.synthesis.aggregator import AggregatorCall

_TASK = (
    "Several models have responded to the user's latest message. Put what they say together "
    "into one answer of high quality: accurate, complete and well structured, in the form that "
    "the user asks for."
)
_CRITICAL = (
    "Judge each response critically before you rely on it, since some may be biased or wrong, "
    "and do not simply copy one of them."
)
# How the groups came about is said, so that the aggregator can doubt them; which one to believe
# is not, since the paper's Cluster & Prompt leaves that to the aggregator as well.
_CLUSTERED = (
    "The responses were grouped by what they say; the cluster of each is given, the larger "
    "cluster being cluster 1."
)
_RESPONSES = "Responses from models:"


@dataclass(frozen=True, slots=True)
class InView:
    """The prompt that asks a question in view of drafts; see `consulting`."""

    shown: AggregatorCall
    """What is shown."""
    oblivious: bool = False
    """Leave out the sentence that asks for doubt."""

    def messages(self, expert: Expert, question: Question) -> tuple[Message, ...]:
        """The chat for one expert."""
        return consulting(expert, question, self.shown, oblivious=self.oblivious)


def consulting(
    expert: Expert, question: Question, consultation: AggregatorCall, *, oblivious: bool = False
) -> tuple[Message, ...]:
    """The chat that asks an expert the question in view of drafts.

    Args:
        expert: who is asked; its own system prompt comes first, and its strategy stays.
        question: what is asked.
        consultation: the drafts and their clusters; drafts without text are left out.
        oblivious: leave out the sentence that asks for doubt.

    Raises:
        InputError: as `Expert.messages`.
    """
    asked = expert.messages(question)
    texts = _texts(consultation)
    if not texts:
        return asked
    if expert.strategy == "plain":
        *before, user = asked
        return (*before, Message("user", with_drafts(user.content, texts)))
    own = [message.content for message in asked if message.role == "system"]
    block = _block(texts, clustered=bool(consultation.clusters), oblivious=oblivious)
    rest = [message for message in asked if message.role != "system"]
    return (Message("system", "\n\n".join((*own, block))), *rest)


def _texts(consultation: AggregatorCall) -> list[str]:
    """What each draft says, after its cluster where that is told."""
    drafts = consultation.drafts
    if not consultation.clusters:
        return [draft.text for draft in drafts if draft.text]
    told = zip(drafts, consultation.clusters, strict=True)
    return [f"(cluster {cluster}) {draft.text}" for draft, cluster in told if draft.text]


def _block(texts: Sequence[str], *, clustered: bool, oblivious: bool) -> str:
    sentences = [_TASK]
    if not oblivious:
        sentences.append(_CRITICAL)
    if clustered:
        sentences.append(_CLUSTERED)
    listed = [f"{number}. {text}" for number, text in enumerate(texts, 1)]
    return "\n".join((" ".join(sentences), "", _RESPONSES, *listed))
