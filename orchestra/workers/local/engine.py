"""Runs a checkpoint folder on the processor of this machine, in batches, on CTranslate2.

Knows how requests become prompts and drawn tokens become generations, and when an expert is
loaded and unloaded; does not know how a token is chosen (`decoding`), how text becomes tokens
(`chat`) or how weights are stored (`converted`).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from orchestra.errors import InputError, WorkerError, raise_all, unknown
from orchestra.records import Failure, Generation, Request, Usage
from orchestra.roster import Expert
from orchestra.workers.checkpoints import Digests, check_checkpoint, checkpoint_folder
from orchestra.workers.local.chat import Chat, check_template, package
from orchestra.workers.local.convert import Network, cache_root, cached, convert
from orchestra.workers.local.decoding import Decoder, Drawn, Wanted

COMPUTE_TYPES = ("float32", "bfloat16", "int16", "int8")
_SMALL = 256 << 20
"""Bytes of a converted model up to which one core runs a whole batch: below it, cores that share
a batch wait for each other longer than they compute."""
_BATCH = 64
_BATCHES = 2
"""Batches for each replica of the engine between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `engine` may say of a local expert."""

    threads: int
    """Cores to use; those that this process may use by default."""
    batch: int = _BATCH
    """Requests in one batch of the engine."""
    compute_type: str = "float32"
    """What the engine computes in, one of `COMPUTE_TYPES`."""
    max_model_len: int | None = None
    """Most tokens of prompt and answer together; None: what the checkpoint was made for."""

    @classmethod
    def of(cls, expert: Expert) -> Options:
        """The options of an expert. Raises InputError for all that is wrong with them."""
        place, given = f"expert `{expert.name}`: `engine`", dict(expert.engine)
        errors = [
            unknown("option", key, cls.__slots__, place=place)
            for key in given
            if key not in cls.__slots__
        ]
        for key in ("threads", "batch", "max_model_len"):
            value = given.get(key, 1)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                errors.append(
                    InputError(f"`{key}` must be a number of at least 1: {value!r}", place=place)
                )
        kind = given.get("compute_type", "float32")
        if kind not in COMPUTE_TYPES:
            errors.append(unknown("`compute_type`", str(kind), COMPUTE_TYPES, place=place))
        raise_all(errors)
        return cls(**{"threads": _cores(), **given})  # type: ignore[arg-type]  # checked above


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was found complete."""

    folder: Path
    adapter: Path | None
    network: Network
    options: Options

    @classmethod
    def of(cls, expert: Expert) -> Checkpoint:
        """What a local expert runs; reads no weights, and imports no engine.

        Raises:
            InputError: an option, a folder or a file is wrong or missing.
        """
        place = f"expert `{expert.name}`"
        options = Options.of(expert)
        folder = checkpoint_folder(expert.model, place=place)
        adapter = checkpoint_folder(expert.adapter, place=place) if expert.adapter else None
        check_checkpoint(folder, adapter=adapter)
        return cls(folder, adapter, Network.read(folder), options)


class LocalWorker:
    """One loaded checkpoint.

    Args:
        expert: whose checkpoint it is.
        chat: its tokenizer and template.
        decoder: its engine.
        window: most tokens of prompt and answer together.
        portion: requests between two reports of progress.
    """

    def __init__(
        self, expert: Expert, chat: Chat, decoder: Decoder, *, window: int, portion: int
    ) -> None:
        self._expert, self._chat, self._decoder = expert, chat, decoder
        self._window, self._portion = window, portion
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"local-{expert.name}")

    async def generate(self, requests: Iterable[Request]) -> AsyncIterator[Generation]:
        """Longest prompts first; those that cannot be answered before all others."""
        loop = asyncio.get_running_loop()
        ready, failed = await loop.run_in_executor(self._thread, self._prepared, tuple(requests))
        for generation in failed:
            yield generation
        for start in range(0, len(ready), self._portion):
            part = ready[start : start + self._portion]
            for generation in await loop.run_in_executor(self._thread, self._answered, part):
                yield generation

    async def close(self) -> None:
        """Give up what is under way; returns when the engine is idle."""
        self._decoder.halted = True
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _prepared(
        self, requests: Sequence[Request]
    ) -> tuple[list[tuple[Request, Wanted]], list[Generation]]:
        ready, failed = [], []
        for request in requests:
            wanted = self._wanted(request)
            if isinstance(wanted, Failure):
                failed.append(_failed(request, wanted))
            else:
                ready.append((request, wanted))
        # Likes go together, whatever order they came in: greedy or drawn, then by length.
        ready.sort(key=lambda each: (bool(each[1].temperature), -len(each[1].prompt), each[0].key))
        return ready, failed

    def _wanted(self, request: Request) -> Wanted | Failure:
        try:
            ids = self._chat.ids(self._chat.prompt(request.messages))
        except (InputError, WorkerError) as error:
            return Failure("template", f"the chat template does not take this: {error.message}")
        sampling = request.sampling
        room = min(sampling.max_tokens, self._window - len(ids))
        if room < 1:
            return Failure(
                "too_long",
                f"the prompt has {len(ids)} tokens, and with one for an answer "
                f"{len(ids) + 1}; the window is {self._window}",
            )
        if not ids:
            return Failure("template", "the chat template makes an empty prompt of this")
        return Wanted(
            ids,
            room,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=f"{sampling.seed}:{request.key}:{request.sample}",
            logprobs=sampling.logprobs > 0,
            stop=self._stop(sampling.stop),
        )

    def _stop(self, words: tuple[str, ...]) -> Any:
        if not words:
            return None
        tail = 4 * max(map(len, words)) + 8  # a letter is at most four tokens of bytes

        def ends(ids: Sequence[int]) -> bool:
            text = self._chat.text(ids[-tail:])
            return any(word in text for word in words)

        return ends

    def _answered(self, part: Sequence[tuple[Request, Wanted]]) -> list[Generation]:
        since = time.perf_counter()
        try:
            found = self._decoder.draw([wanted for _, wanted in part])
        except Exception as error:  # whatever an engine does is a record
            failure = Failure("crash", f"{type(error).__name__}: {error}", retryable=True)
            return [_failed(request, failure) for request, _ in part]
        if self._decoder.halted:
            failure = Failure("halted", "the worker was closed", retryable=True)
            return [_failed(request, failure) for request, _ in part]
        share = (time.perf_counter() - since) / len(part)
        return [
            self._generation(request, wanted, drawn, share)
            for (request, wanted), drawn in zip(part, found, strict=True)
        ]

    def _generation(
        self, request: Request, wanted: Wanted, drawn: Drawn, seconds: float
    ) -> Generation:
        text = self._chat.text(drawn.ids)
        stops = [text.find(word) for word in request.sampling.stop if word in text]
        sent, got = len(wanted.prompt), len(drawn.ids)
        price = self._expert.price
        return Generation(
            request.key,
            request.question_id,
            request.expert,
            text=text[: min(stops)] if stops else text,
            finish_reason="stop" if drawn.ended else "length",
            usage=Usage(
                1, sent, got, seconds=seconds, money=price.money(sent, got) if price else 0.0
            ),
            logprobs=tuple(drawn.logprobs) if wanted.logprobs else None,
            layer=request.layer,
            sample=request.sample,
        )


@asynccontextmanager
async def open_local(
    expert: Expert, *, digests: Digests | None = None, cache: Path | None = None
) -> AsyncIterator[LocalWorker]:
    """Load the expert's checkpoint on entry, off the event loop; unload it on exit.

    Args:
        expert: a `worker: local` one.
        digests: remembers digests of checkpoints from one load to the next.
        cache: where converted checkpoints are kept; None: `cache_root()`.

    Raises:
        InputError: an option, a folder or a file is wrong or missing.
    """
    with ExitStack() as held:
        load = partial(_load, expert, digests or Digests(), cache or cache_root(), held)
        worker = await asyncio.to_thread(load)
        try:
            yield worker
        finally:
            await worker.close()


def check_local(expert: Expert) -> None:
    """Raise for everything that would keep a local expert from being opened, weights apart."""
    check_template(Checkpoint.of(expert).folder)


def _load(expert: Expert, digests: Digests, cache: Path, held: ExitStack) -> LocalWorker:
    found = Checkpoint.of(expert)
    options, network = found.options, found.network
    check_template(found.folder)
    chat = Chat(found.folder)
    try:
        chat.ids("?")
    except WorkerError as error:
        raise InputError(str(error), place=str(found.folder)) from error
    generator = _generator(found, digests.of(found.folder, found.adapter), cache, held)
    held.callback(generator.unload_model)
    decoder = Decoder(generator, chat.ends, vocabulary=network.vocabulary, batch=options.batch)
    return LocalWorker(
        expert,
        chat,
        decoder,
        window=min(network.window, options.max_model_len or network.window),
        portion=options.batch * _BATCHES * generator.num_generators,
    )


def _generator(found: Checkpoint, digest: str, cache: Path, held: ExitStack) -> Any:
    engine = package("ctranslate2")
    kept = cached(found.folder, digest, cache, adapter=found.adapter)
    if kept is not None:
        try:
            return _opened(engine, kept, found.options)
        except (RuntimeError, ValueError):  # what is kept is spoiled: convert once more, aside
            pass
    aside = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="orchestra-")))
    convert(found.folder, aside, adapter=found.adapter)
    try:
        return _opened(engine, aside, found.options)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"the engine does not load it: {error}", place=str(found.folder)
        ) from error


def _opened(engine: Any, folder: Path, options: Options) -> Any:
    small = (folder / "model.bin").stat().st_size <= _SMALL
    across, within = (options.threads, 1) if small else (1, options.threads)
    return engine.Generator(
        str(folder),
        device="cpu",
        compute_type=options.compute_type,
        inter_threads=across,
        intra_threads=within,
    )


def _failed(request: Request, failure: Failure) -> Generation:
    return Generation(
        request.key,
        request.question_id,
        request.expert,
        text="",
        finish_reason="error",
        failure=failure,
        layer=request.layer,
        sample=request.sample,
    )


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
