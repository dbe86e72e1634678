"""Work: what asks for calls, hears replies and may ask for more, without any input or output.

Calls of one list, dialogues of many questions, and seats with their reserves are Works; the
context makes their calls in whatever order is cheapest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from orchestra.records import Call, Reply

T = TypeVar("T")

Dialogue = Generator[Sequence[Call], Sequence[Reply], T]
"""A method for one question: yields rounds of calls, is sent as many replies in their order, and
returns its result. A function of its arguments and the replies alone: no clock, no order of
arrival."""


class Work(Protocol):
    """Everything that a stage has to ask, whenever it turns out to be needed."""

    def start(self) -> Iterable[Call]:
        """The calls to begin with."""
        ...

    def heard(self, call: Call, reply: Reply) -> Iterable[Call]:
        """The calls that this reply brings up. Replies come in any order."""
        ...


class Dialogues(Generic[T]):
    """The dialogues of many questions; each goes on when its own round is complete."""

    def __init__(self, dialogues: Sequence[Dialogue[T]]) -> None:
        self._open = [_Open(dialogue) for dialogue in dialogues]

    @property
    def results(self) -> list[T]:
        """What each dialogue returned, in their order. Raises ValueError while one is open."""
        if any(not each.over for each in self._open):
            raise ValueError("a dialogue is not over yet")
        return [each.result for each in self._open]

    def start(self) -> Iterable[Call]:
        """The first round of each."""
        for place, each in enumerate(self._open):
            yield from each.advance(partial(next, each.dialogue), place)

    def heard(self, call: Call, reply: Reply) -> Iterable[Call]:
        """The next round of this reply's dialogue, once its round is complete."""
        assert isinstance(call.tag, tuple)
        place, number = call.tag
        each = self._open[place]
        each.replies[number] = reply
        each.missing -= 1
        if each.missing:
            return ()
        replies = [each.replies[n] for n in range(len(each.replies))]
        return each.advance(partial(each.dialogue.send, replies), place)

    def close(self) -> None:
        """End the dialogues that are still open, without inventing replies."""
        for each in self._open:
            each.dialogue.close()


class _Open(Generic[T]):
    """One dialogue under way."""

    def __init__(self, dialogue: Dialogue[T]) -> None:
        self.dialogue = dialogue
        self.replies: dict[int, Reply] = {}
        self.missing = 0
        self.over = False
        self.result: Any = None

    def advance(self, step: Callable[[], Sequence[Call]], place: int) -> list[Call]:
        """Take a step to the next round that has calls; none once the dialogue is over."""
        try:
            calls = list(step())
            while not calls:  # a round without calls has its replies already
                calls = list(self.dialogue.send(()))
        except StopIteration as end:
            self.over, self.result = True, end.value
            return []
        self.replies, self.missing = {}, len(calls)
        return [call._replace(tag=(place, number)) for number, call in enumerate(calls)]


class Calls:
    """Calls that depend on no reply."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = tuple(calls)
        self._replies: dict[int, Reply] = {}

    @property
    def replies(self) -> list[Reply]:
        """The replies in the order of the calls."""
        return [self._replies[number] for number in range(len(self._calls))]

    def start(self) -> Iterable[Call]:
        """All of them."""
        return [call._replace(tag=number) for number, call in enumerate(self._calls)]

    def heard(self, call: Call, reply: Reply) -> Iterable[Call]:
        """Nothing more."""
        assert isinstance(call.tag, int)
        self._replies[call.tag] = reply
        return ()
