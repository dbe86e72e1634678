"""Token ids to token ids on CTranslate2, the same whatever else is in the batch.

Knows logits, draws and ties; knows no text and no request. The engine only ever drafts
greedily, with its logits; each token is then chosen here. A draft is kept up to the first
token that was chosen otherwise, and drafted anew from there. Where rounding could have decided
(another batch adds in another order), the logits of that prefix alone decide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

_TIE = 1e-3
"""Logits closer than this are a tie. What a batch changes was measured at 4e-5 at most."""
_EDGE = 1e-4
"""A draw as near as this to a boundary between tokens is one; at temperatures below 1, wider."""
_LOGITS = 1 << 28
"""Most bytes of logits at once."""
_DRAFT = 16
"""Fewest new tokens in a draft for a random draw; twice as many as were kept of the last."""
_STOPPED_DRAFT = 64
"""New tokens in a draft where a text may end it, which is known only afterwards."""


class Wanted(NamedTuple):
    """One continuation to make."""

    prompt: Sequence[int]
    """At least one token."""
    room: int
    """Most new tokens, at least 1."""
    temperature: float = 0.0
    top_p: float = 1.0
    seed: str = ""
    """Stands for the stream of random numbers; not used at temperature 0."""
    logprobs: bool = False
    stop: Callable[[Sequence[int]], bool] | None = None
    """Whether the new tokens end here; asked after each."""


@dataclass(slots=True)
class Drawn:
    """What was made."""

    ids: list[int]
    """New tokens, with the end token if there was one."""
    logprobs: list[float]
    """Log-probability of each before temperature and nucleus; empty unless asked for."""
    ended: bool = False
    """An end token or a stop ended it, not the room."""


class Decoder:
    """Continues prompts.

    Args:
        generator: a loaded `ctranslate2.Generator`.
        ends: tokens that end a continuation.
        vocabulary: how many tokens there are.
        batch: continuations in one batch of the engine.
    """

    def __init__(
        self, generator: Any, ends: frozenset[int], *, vocabulary: int, batch: int
    ) -> None:
        self._generator, self._ends, self._batch = generator, ends, batch
        self._vocabulary = vocabulary
        self._end_tokens = sorted(ends) or [vocabulary]  # no token has that number
        self._names = [str(number) for number in range(vocabulary)]
        self.halted = False

    halted: bool
    """Set from another thread: come back after this round, with whatever there is.

    The engine's own callback could end it within a round, but its threads let go of it without
    Python's lock, which now and then aborts the whole process (seen with 4.8.5).
    """

    def draw(self, wanted: Sequence[Wanted]) -> list[Drawn]:
        """One continuation for each, in order."""
        under_way = [_Course(each) for each in wanted]
        active, kept = list(under_way), _DRAFT / 2
        while active and not self.halted:
            room, look = self._round(active, kept)
            drafts = self._drafts([each.prefix for each in active], room, look=look)
            taken = [
                each.take(ids, rows, self._ends, self._alone)
                for each, (ids, rows) in zip(active, drafts, strict=True)
            ]
            kept = sum(taken) / len(taken)
            active = [each for each in active if not each.done]
        return [each.drawn for each in under_way]

    def _round(self, active: Sequence[_Course], kept: float) -> tuple[int, bool]:
        """How many tokens to draft, and whether with logits."""
        room = max(each.left for each in active)
        fit = _LOGITS // (4 * self._vocabulary * len(active))
        if any(each.wanted.stop for each in active):
            room = min(room, _STOPPED_DRAFT)
        if any(each.wanted.temperature for each in active):
            return min(room, max(fit, 1), max(int(2 * kept), _DRAFT)), True
        if any(each.wanted.logprobs for each in active):
            return min(room, max(fit, 1)), True
        return room, room <= fit

    def _drafts(
        self, prefixes: Sequence[Sequence[int]], room: int, *, look: bool
    ) -> list[tuple[Sequence[int], Rows | None]]:
        """Greedy continuations, and with `look` the logits behind each of their tokens."""
        found: dict[tuple[int, ...], Any] = dict.fromkeys(tuple(each) for each in prefixes)
        results = self._generator.generate_batch(
            [[self._names[number] for number in each] for each in found],
            max_batch_size=self._batch,
            max_length=room,
            end_token=self._end_tokens,
            return_end_token=True,
            include_prompt_in_result=False,
            return_logits_vocab=look,
        )
        for each, result in zip(found, results, strict=True):
            ids = result.sequences_ids[0]
            # The longer prompts of a batch come with the logits of their last prompt tokens too.
            rows = np.array(result.logits[0][-len(ids) :], np.float32) if look and ids else None
            found[each] = ids, rows
        return [found[tuple(each)] for each in prefixes]

    def _alone(self, prefix: Sequence[int]) -> Rows:
        [(_, rows)] = self._drafts([prefix], 1, look=True)
        assert rows is not None
        return rows


class _Course:
    """One continuation under way."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.drawn = Drawn([], [])
        self.done = False
        self._draws = _stream(wanted.seed, wanted.room) if wanted.temperature else None

    @property
    def left(self) -> int:
        return self.wanted.room - len(self.drawn.ids)

    @property
    def prefix(self) -> list[int]:
        return [*self.wanted.prompt, *self.drawn.ids]

    def take(
        self,
        draft: Sequence[int],
        rows: Rows | None,
        ends: frozenset[int],
        alone: Callable[[Sequence[int]], Rows],
    ) -> int:
        """Keep the draft as far as it is what is chosen; how many tokens that made."""
        before = len(self.drawn.ids)
        draft = draft[: self.left]
        if not draft:  # not known to happen; without this it would never end
            self.done = True
            return 0
        chosen, near = (draft, ()) if rows is None else self._choose(rows[: len(draft)], before)
        for place, number in enumerate(chosen):
            row = None if rows is None else rows[place : place + 1]
            if rows is not None and near[place]:
                row = alone(self.prefix)
                number = self._choose(row, before + place)[0][0]
            self._add(int(number), row, ends)
            if self.done or number != draft[place]:
                break
        return len(self.drawn.ids) - before

    def _add(self, number: int, row: Rows | None, ends: frozenset[int]) -> None:
        ids, stop = self.drawn.ids, self.wanted.stop
        ids.append(number)
        if self.wanted.logprobs and row is not None:
            self.drawn.logprobs.append(float(_log_softmax(row)[0, number]))
        self.drawn.ended = number in ends or (stop is not None and stop(ids))
        self.done = self.drawn.ended or self.left == 0

    def _choose(self, rows: Rows, at: int) -> tuple[Sequence[int], Sequence[bool]]:
        if self._draws is None:
            return greedy(rows)
        draws = self._draws[at : at + len(rows)]
        return drawn(rows, draws, self.wanted.temperature, self.wanted.top_p)


def greedy(rows: Rows) -> tuple[list[int], list[bool]]:
    """The likeliest token of each row, and whether another is as likely up to rounding."""
    best = rows.argmax(axis=1)
    if rows.shape[1] == 1:
        return best.tolist(), [False] * len(rows)
    two = np.partition(rows, -2, axis=1)[:, -2:]
    return best.tolist(), (two[:, 1] - two[:, 0] < _TIE).tolist()


def drawn(
    rows: Rows, draws: NDArray[np.float64], temperature: float, top_p: float
) -> tuple[list[int], list[bool]]:
    """The token of each row that a number in [0, 1) falls on, and whether rounding decides.

    Tokens stand in the order of their ids, so that no two change places for a rounding error.
    """
    edge = min(_EDGE / min(temperature, 1.0), 0.5)
    share = np.exp(_log_softmax(rows / temperature))
    near = np.zeros(len(rows), bool)
    if top_p < 1:
        share, near = _nucleus(share, top_p, edge)
    upto = share.cumsum(axis=1)
    upto /= upto[:, -1:]
    chosen = (upto <= draws[:, None]).sum(axis=1).clip(max=rows.shape[1] - 1)
    at = np.arange(len(rows))
    above = upto[at, chosen] - draws
    below = draws - np.where(chosen > 0, upto[at, chosen - 1], -1.0)
    # Past the last token of any weight there is no other to fall on.
    near |= ((above < edge) & (upto[at, chosen] < 1 - 1e-12)) | (below < edge)
    return chosen.tolist(), near.tolist()


def _nucleus(
    share: NDArray[np.float64], top_p: float, edge: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Shares outside the nucleus set to 0, and whether rounding decides who is in it.

    The nucleus is the fewest likeliest tokens that reach `top_p` together.
    """
    order = np.argsort(-share, axis=1, kind="stable")
    ranked = np.take_along_axis(share, order, axis=1)
    before = ranked.cumsum(axis=1) - ranked
    inside = before < top_p
    inside[:, 0] = True
    kept = np.zeros_like(share)
    np.put_along_axis(kept, order, np.where(inside, ranked, 0.0), axis=1)
    at, size = np.arange(len(share)), inside.sum(axis=1)
    last, first_out = ranked[at, size - 1], ranked[at, np.minimum(size, share.shape[1] - 1)]
    reached = before[at, size - 1] + last
    close = (top_p - before[at, size - 1] < edge) | (reached - top_p < edge)
    swapped = (last - first_out < edge) & (size < share.shape[1])
    return kept, (last > edge) & (close | swapped)


def _log_softmax(rows: NDArray[Any]) -> NDArray[np.float64]:
    shifted = rows.astype(np.float64) - rows.max(axis=1, keepdims=True)
    whole: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return whole


def _stream(seed: str, count: int) -> NDArray[np.float64]:
    number = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.PCG64(number)).random(count)
