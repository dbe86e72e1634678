"""Opens workers: which worker speaks to which expert."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType

from orchestra.errors import InputError, raise_all, unknown
from orchestra.roster import Expert
from orchestra.runs import Account, digest
from orchestra.workers import RecordedWorker, Recordings, ScriptedWorker, Worker
from orchestra.workers.checkpoints import Digests, checkpoint_folder, is_here
from orchestra.workers.hosted.open import HostedModels
from orchestra.workers.local.engine import check_local, open_local
from orchestra.workers.scripted import Script
from orchestra.workers.vllm.engine import Fingerprints, VllmEngine
from orchestra.workers.vllm.options import load_order


class LocalWorkers:
    """Workers of this machine: checkpoints, recordings, scripts that the caller gives, and calls
    of models that are served elsewhere.

    Args:
        scripts: expert name -> the function that plays it, for `worker: scripted`.
        report: told in one line when an engine died, or is no longer what it was.
        account: pays for profiles; a pipeline's run has an account of its own.
    """

    def __init__(
        self,
        scripts: Mapping[str, Script] = MappingProxyType({}),
        *,
        report: Callable[[str], None] | None = None,
        account: Account | None = None,
    ) -> None:
        self._scripts = dict(scripts)
        self._report = report
        self.account = account
        self._recordings: dict[Path, Recordings] = {}
        self._digests = Digests()
        self._fingerprints = Fingerprints()
        self._hosted = HostedModels()

    def check(self, roster: Iterable[Expert]) -> None:
        """Raise one error for everything that would keep an expert from being opened."""
        errors: list[InputError] = []
        for expert in roster:
            try:
                self._check(expert)
            except InputError as error:
                errors.append(error)
        raise_all(list({str(error): error for error in errors}.values()))

    def unit(self, expert: Expert) -> str:
        """What is loaded for it: adapters of one base share an engine where the engine can."""
        if expert.worker == "vllm":
            return digest([expert.worker, expert.model, sorted(expert.engine.items())])
        return expert.name

    def open(
        self,
        expert: Expert,
        *others: Expert,
        account: Account | None = None,
        device: int | None = None,
        sleeps: bool = False,
    ) -> AbstractAsyncContextManager[Worker]:
        """Load the expert, and others of its unit; leaving the context unloads them.

        Args:
            expert: one expert.
            others: more of its unit.
            account: pays for calls of hosted experts.
            device: the accelerator that an engine is loaded on; None: it chooses.
            sleeps: load an engine so that it can sleep, where it can.
        """
        if expert.hosted:
            return self._hosted.open(expert, account)
        if expert.worker == "vllm":
            return VllmEngine(
                (expert, *others),
                fingerprints=self._fingerprints,
                report=self._report,
                device=device,
                sleeps=sleeps,
            )
        if expert.worker == "local":
            return open_local(expert, digests=self._digests)
        return nullcontext(self._at_hand(expert))

    def recordings(self, expert: Expert) -> Recordings:
        """The recordings that a recorded expert replays. Raises InputError if they are unsound."""
        assert expert.recordings is not None
        if expert.recordings not in self._recordings:
            self._recordings[expert.recordings] = Recordings.open(expert.recordings)
        return self._recordings[expert.recordings]

    def identity(self, expert: Expert) -> str:
        """Digest of everything that changes what the expert says, recordings included."""
        if expert.worker == "recorded":
            return digest([expert.identity, self.recordings(expert).digest])
        if expert.worker == "scripted":  # scripts go by the expert's name
            return digest([expert.identity, expert.name])
        if expert.worker in ("local", "vllm"):
            return digest([expert.identity, self._files(expert)])
        return expert.identity

    def _files(self, expert: Expert) -> str:
        """Digest of a checkpoint's files; empty where it is a hub's, known by name alone."""
        if not is_here(expert.model):
            return ""
        adapter = expert.adapter if is_here(expert.adapter) else ""
        return self._digests.of(
            checkpoint_folder(expert.model), checkpoint_folder(adapter) if adapter else None
        )

    def _check(self, expert: Expert) -> None:
        if expert.worker == "local":
            check_local(expert)
        elif expert.worker == "vllm":
            load_order((expert,))
        elif expert.worker in ("openai", "litellm"):
            self._hosted.check(expert)
        else:
            self._at_hand(expert)

    def _at_hand(self, expert: Expert) -> Worker:
        """The worker of an expert that nothing has to be loaded for."""
        if expert.worker == "recorded":
            recordings = self.recordings(expert)
            if expert.model not in recordings.models:
                place = f"{expert.recordings} (expert `{expert.name}`)"
                raise unknown("recorded model", expert.model, recordings.models, place=place)
            return RecordedWorker(expert, recordings)
        if expert.worker == "scripted" and expert.name in self._scripts:
            return ScriptedWorker(self._scripts[expert.name])
        if expert.worker == "scripted":
            raise InputError(
                f"expert `{expert.name}` is scripted, but no script was given for it",
                hint="`worker: scripted` is for Python: LocalWorkers({name: function})",
            )
        raise InputError(
            f"expert `{expert.name}`: `worker: {expert.worker}` is not part of this release",
            hint="`recorded`, `scripted`, `local`, `vllm`, `openai` and `litellm` are",
        )
