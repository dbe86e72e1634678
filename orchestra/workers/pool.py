"""What a kind of worker is, and the pool that opens the workers of a roster's experts.

A kind is a component `worker`; what experts of one kind share is kept in the pool. Does not know
which kinds there are, and does not generate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal, TypeVar

from orchestra.components import build
from orchestra.errors import InputError, raise_all
from orchestra.roster import Expert, Price, risks
from orchestra.runs import Account
from orchestra.workers.base import Worker
from orchestra.workers.recordings import Recordings
from orchestra.workers.scripted import Script

Shared = TypeVar("Shared")


@dataclass(frozen=True, slots=True)
class Opening:
    """How a worker is opened."""

    account: Account | None = None
    """Pays for every attempt to call a hosted expert; None: nothing is counted."""
    device: int | None = None
    """The accelerator that an engine is loaded on; None: the engine chooses."""
    sleeps: bool = False
    """Whether the engine is loaded so that it can sleep, where it can."""


@dataclass(frozen=True)
class WorkerKind:
    """One way to reach a model, registered as `@component("worker", NAME)` on a subclass.

    The class attributes say what a plan, a budget and a report have to know of it.
    """

    hosted: ClassVar[bool] = False
    """Another server holds the model: nothing is loaded, and others are asked meanwhile."""
    loads: ClassVar[bool] = False
    """An engine is loaded for it, which takes all its requests at once."""
    from_files: ClassVar[bool] = False
    """`model` and `adapter` may be folders, which a roster names from its own folder."""
    replayed: ClassVar[bool] = False
    """Its answers were recorded: it cannot be asked anything new."""
    free: ClassVar[bool] = False
    """Asking it takes neither money nor an engine."""
    synthetic: ClassVar[bool] = False
    """No language model answers, and it can be opened from Python only."""
    available: ClassVar[bool] = True
    """Whether this release can open it."""
    engine_costs: ClassVar[Literal["gpu", "local"]] = "gpu"
    """The measured figures that its loads are planned with."""

    def check(self, expert: Expert, pool: WorkerPool) -> None:
        """Raise InputError for what would keep the expert from being opened."""

    def identity(self, expert: Expert, pool: WorkerPool) -> str:
        """Digest of everything that changes the expert's text."""
        return expert.identity

    def unit(self, expert: Expert) -> str:
        """What is loaded for the expert: experts of one unit are served by one load."""
        return expert.name

    def price(self, expert: Expert) -> Price | None:
        """What the expert charges; None: nothing, or not known."""
        return expert.price

    def provider(self, expert: Expert) -> str:
        """The address that the expert's limits are of, with its key."""
        return expert.base_url.rstrip("/")

    def open(
        self, experts: Sequence[Expert], pool: WorkerPool, how: Opening
    ) -> AbstractAsyncContextManager[Worker]:
        """A context that loads these experts of one unit on entry and unloads them on exit."""
        raise NotImplementedError


def kind_of(expert: Expert) -> WorkerKind:
    """The kind of an expert's worker. Raises InputError where no component has its name."""
    kind: WorkerKind = build("worker", expert.worker, {})
    return kind


class WorkerPool:
    """Opens the workers of experts, and keeps what they share: recordings, sessions, throttles.

    Args:
        scripts: expert name -> the function that plays it, for `worker: scripted`.
        report: is given one line when an engine died or is no longer what it was, and for each
            program that an expert runs and each key that it sends to an unusual place.
        account: pays for profiles; a pipeline's run has an account of its own.
        cache: a file of generations that runs share: no call is made that is in it. None: every
            run makes its own.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script] = MappingProxyType({}),
        *,
        report: Callable[[str], None] | None = None,
        account: Account | None = None,
        cache: Path | None = None,
    ) -> None:
        self.scripts = dict(scripts)
        self.report = report
        self.account = account
        self.cache = cache
        self._recordings: dict[Path, Recordings] = {}
        self._shared: dict[object, object] = {}
        self._reported: set[str] = set()

    def shared(self, make: Callable[[], Shared]) -> Shared:
        """What `make` makes, once for the pool: what experts of one kind have in common."""
        if make not in self._shared:
            self._shared[make] = make()
        made: Shared = self._shared[make]  # type: ignore[assignment]
        return made

    def check(self, roster: Iterable[Expert]) -> None:
        """Raise one error for everything that would keep an expert from being opened.

        What programs the experts run and what keys they send away is reported, each once.
        """
        errors: list[InputError] = []
        for expert in roster:
            for risk in risks(expert):
                if self.report is not None and risk not in self._reported:
                    self._reported.add(risk)
                    self.report(risk)
            try:
                kind_of(expert).check(expert, self)
            except InputError as error:
                errors.append(error)
        raise_all(list({str(error): error for error in errors}.values()))

    def unit(self, expert: Expert) -> str:
        """What is loaded for it: adapters of one base share an engine where the engine can."""
        return kind_of(expert).unit(expert)

    def open(
        self,
        expert: Expert,
        *others: Expert,
        account: Account | None = None,
        device: int | None = None,
        sleeps: bool = False,
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them."""
        return kind_of(expert).open((expert, *others), self, Opening(account, device, sleeps))

    def recordings(self, expert: Expert) -> Recordings:
        """The recordings that a recorded expert replays. Raises InputError if they are unsound."""
        assert expert.recordings is not None
        if expert.recordings not in self._recordings:
            self._recordings[expert.recordings] = Recordings.open(expert.recordings)
        return self._recordings[expert.recordings]

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says, recordings included."""
        return kind_of(expert).identity(expert, self)
