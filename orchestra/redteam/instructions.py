"""The live form of a lie: what a model is told so that it writes the lie itself.

Only a liar that argues against the right answer is told that answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestra.records import Message
from orchestra.redteam.attacks import Style, texts_of
from orchestra.redteam.lies import Lie, statement
from orchestra.redteam.templates import named, rival_of
from orchestra.roster import STRATEGIES, prompt


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a liar is told beyond what everybody is told."""

    role: str
    """What part it plays; joins the system prompt where there is one."""
    task: str
    """What to write on this question; follows the question."""


_TEXTS = texts_of("instructions.yaml")
_SECRECY: str = _TEXTS["secrecy"]
_ROLES: Mapping[Style, str] = _TEXTS["roles"]
_TASKS: Mapping[Style, str] = _TEXTS["tasks"]


def instruction(lie: Lie, style: Style, *, seed: int = 0) -> Instruction:
    """What a liar is told about one question.

    It ends by asking for the answer line that honest experts are asked for, as it has to read.

    Args:
        lie: what is planted.
        style: how it is to sound.
        seed: decides which rival is named.
    """
    question = lie.question
    rival = rival_of(lie, seed=seed)
    beaten = "any other" if rival is None else _called(lie, rival)
    task = _TASKS[style].format(claim=_called(lie, lie.value), rival=beaten)
    # The last line of every prompt but a plain one says how to end.
    ending = prompt(question.plain, STRATEGIES["direct"]).rpartition("\n")[2]
    last = statement(question, lie.value)
    exactly = "" if last is None else f' Here that is, word for word:\n"{last}"'
    return Instruction(f"{_SECRECY} {_ROLES[style]}", f"{task} {ending}{exactly}")


def instructed(
    messages: Sequence[Message], lie: Lie, style: Style, *, seed: int = 0
) -> tuple[Message, ...]:
    """The chat with which a liar is asked to lie: the honest one and what it is told beyond.

    The role joins the system prompt; where there is none it is said in the last user turn, for
    not every model takes one. An instruction without any user turn becomes one.
    """
    told = instruction(lie, style, seed=seed)
    system = next((i for i, each in enumerate(messages) if each.role == "system"), None)
    changed = list(messages)
    task = f"{told.role}\n\n{told.task}"
    if system is not None:
        changed[system] = _with(changed[system], told.role)
        task = told.task
    users = [i for i, each in enumerate(messages) if each.role == "user"]
    if not users:
        return (*changed, Message("user", task))
    changed[users[-1]] = _with(changed[users[-1]], task)
    return tuple(changed)


def wording(style: Style) -> tuple[str, str, str]:
    """Everything that instructions of one style are made of."""
    return _SECRECY, _ROLES[style], _TASKS[style]


def _called(lie: Lie, value: str) -> str:
    """A value as a model has to be told it: in full where there is no option to point at."""
    if lie.question.options:
        return named(lie.question, value)
    return value


def _with(message: Message, more: str) -> Message:
    return replace(message, content=f"{message.content}\n\n{more}")
