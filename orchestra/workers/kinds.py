"""The kinds of worker that ship: recorded, scripted, local, vllm, openai, litellm.

Each says what a roster's expert of its kind needs and how it is opened. Nothing else asks an
expert for the name of its worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass
from typing import ClassVar, Literal

from orchestra.components import component
from orchestra.errors import InputError, unknown
from orchestra.roster import Expert, Price
from orchestra.runs import digest
from orchestra.workers.base import Caller, Worker
from orchestra.workers.checkpoints import Digests, checkpoint_folder, is_here
from orchestra.workers.hosted.concurrent import MOST_DRAWS
from orchestra.workers.hosted.litellm import LiteLLMCaller, check_litellm, litellm_price
from orchestra.workers.hosted.open import HostedKind, secret_of
from orchestra.workers.hosted.openai import OpenAICaller, Sessions
from orchestra.workers.hosted.wire import Dialect
from orchestra.workers.local.chat import check_template
from orchestra.workers.local.engine import check_local, open_local
from orchestra.workers.pool import Opening, WorkerKind, WorkerPool
from orchestra.workers.recorded import RecordedWorker
from orchestra.workers.scripted import ScriptedWorker
from orchestra.workers.vllm.engine import Fingerprints, VllmEngine
from orchestra.workers.vllm.options import load_order


@component("worker", "recorded")
@dataclass(frozen=True)
class Recorded(WorkerKind):
    """Answers that a model already gave, read from a file."""

    replayed: ClassVar[bool] = True
    free: ClassVar[bool] = True

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        """Raise InputError where the file is unsound or does not hold the model."""
        models = pool.recordings(expert).models
        if expert.model not in models:
            place = f"{expert.recordings} (expert `{expert.name}`)"
            raise unknown("recorded model", expert.model, models, place=place)

    def identity(self, expert: Expert, pool: WorkerPool) -> str:
        """Digest of the expert and of its recordings."""
        return digest([expert.identity, pool.recordings(expert).digest])

    def open(
        self, experts: Sequence[Expert], pool: WorkerPool, how: Opening
    ) -> AbstractAsyncContextManager[Worker]:
        """A reader of the file, which the pool keeps open."""
        self.check(experts[0], pool)
        return nullcontext(RecordedWorker(experts[0], pool.recordings(experts[0])))


@component("worker", "scripted")
@dataclass(frozen=True)
class Scripted(WorkerKind):
    """A Python function that plays the expert of its name."""

    free: ClassVar[bool] = True
    synthetic: ClassVar[bool] = True

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        """Raise InputError where the pool has no function for the expert."""
        if expert.name not in pool.scripts:
            raise InputError(
                f"expert `{expert.name}` is scripted, but no script was given for it",
                hint="`worker: scripted` is for Python: WorkerPool({name: function})",
            )

    def identity(self, expert: Expert, pool: WorkerPool) -> str:
        """Digest of the expert and its name, by which its function goes."""
        return digest([expert.identity, expert.name])

    def open(
        self, experts: Sequence[Expert], pool: WorkerPool, how: Opening
    ) -> AbstractAsyncContextManager[Worker]:
        """The function as a worker."""
        self.check(experts[0], pool)
        return nullcontext(ScriptedWorker(pool.scripts[experts[0].name]))


class _Checkpoint(WorkerKind):
    """An engine of this machine over the files of a checkpoint."""

    loads: ClassVar[bool] = True
    from_files: ClassVar[bool] = True

    def identity(self, expert: Expert, pool: WorkerPool) -> str:
        """Digest of the expert and its files; a hub's checkpoint goes by its name alone."""
        files = ""
        if is_here(expert.model):
            adapted = expert.adapter and is_here(expert.adapter)
            adapter = checkpoint_folder(expert.adapter) if adapted else None
            files = pool.shared(Digests).of(checkpoint_folder(expert.model), adapter)
        return digest([expert.identity, files])


@component("worker", "local")
@dataclass(frozen=True)
class Local(_Checkpoint):
    """A checkpoint on this machine's processor."""

    engine_costs: ClassVar[Literal["gpu", "local"]] = "local"

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        """Raise InputError where the checkpoint or its options are unsound."""
        check_local(expert)

    def open(
        self, experts: Sequence[Expert], pool: WorkerPool, how: Opening
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the checkpoint."""
        return open_local(experts[0], digests=pool.shared(Digests))


@component("worker", "vllm")
@dataclass(frozen=True)
class Vllm(_Checkpoint):
    """A checkpoint, and adapters on it, in a vLLM engine of its own process."""

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        """Raise InputError where its options, or its own chat template, are unsound."""
        load_order((expert,))
        if is_here(expert.model) and not expert.engine.get("chat_template"):
            check_template(checkpoint_folder(expert.model), needed=False)

    def unit(self, expert: Expert) -> str:
        """One for each model and set of engine options: adapters share it."""
        return digest([expert.worker, expert.model, sorted(expert.engine.items())])

    def open(
        self, experts: Sequence[Expert], pool: WorkerPool, how: Opening
    ) -> AbstractAsyncContextManager[Worker]:
        """Start the process and load the experts."""
        return VllmEngine(
            experts,
            fingerprints=pool.shared(Fingerprints),
            report=pool.report,
            sleeps=how.sleeps,
            device=how.device,
        )


@component("worker", "openai")
@dataclass(frozen=True)
class OpenAI(HostedKind):
    """A server with an OpenAI-compatible interface."""

    def check_calls(self, expert: Expert) -> None:
        """Raise InputError where `engine:` holds what the interface does not take."""
        Dialect.of(expert)

    async def caller(
        self, expert: Expert, sessions: Sessions, held: AsyncExitStack
    ) -> tuple[Caller, int]:
        """A caller over the session that all experts share."""
        secret = secret_of(expert)
        session = await held.enter_async_context(sessions.session())
        return OpenAICaller(expert, session, dialect=Dialect.of(expert), secret=secret), MOST_DRAWS


@component("worker", "litellm")
@dataclass(frozen=True)
class LiteLLM(HostedKind):
    """A provider that litellm knows."""

    def check_calls(self, expert: Expert) -> None:
        """Raise InputErrors where litellm is missing, or cannot call the model."""
        check_litellm(expert)

    def price(self, expert: Expert) -> Price | None:
        """The roster's price, else that of litellm's own map."""
        return litellm_price(expert.model) if expert.price is None else expert.price

    def provider(self, expert: Expert) -> str:
        """The address, or the provider that the model's name begins with."""
        return super().provider(expert) or expert.model.partition("/")[0]

    async def caller(
        self, expert: Expert, sessions: Sessions, held: AsyncExitStack
    ) -> tuple[Caller, int]:
        """A caller of its own, which closes its connections."""
        caller = LiteLLMCaller(expert, secret=secret_of(expert))
        held.push_async_callback(caller.close)
        return caller, caller.draws


@component("worker", "remote")
@dataclass(frozen=True)
class Remote(WorkerKind):
    """A worker of a cluster; this release reads its roster entries and cannot open it."""

    hosted: ClassVar[bool] = True
    from_files: ClassVar[bool] = True
    available: ClassVar[bool] = False

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        """Raise InputError."""
        raise InputError(
            f"expert `{expert.name}`: `worker: {expert.worker}` is not part of this release",
            hint="`recorded`, `scripted`, `local`, `vllm`, `openai` and `litellm` are",
        )
