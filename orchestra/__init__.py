"""A mixture of language models: measured skills, recruiting for each question, honest votes.

The names below are the package's doors; each is loaded when it is first used, so that
`import orchestra` stays quick. `orchestra.aio` has async twins of those that generate.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_DOORS = {
    "Absence": "orchestra.records",
    "Answer": "orchestra.records",
    "Ballot": "orchestra.records",
    "Brief": "orchestra.records",
    "Comparison": "orchestra.evals.compare",
    "Decision": "orchestra.records",
    "Expert": "orchestra.roster",
    "Generation": "orchestra.records",
    "InputError": "orchestra.errors",
    "Item": "orchestra.evals.datasets",
    "Kind": "orchestra.records",
    "LocalWorkers": "orchestra.pipeline",
    "Mark": "orchestra.records",
    "OrchestraError": "orchestra.errors",
    "Pipeline": "orchestra.pipeline.blocking",
    "Plan": "orchestra.records",
    "Question": "orchestra.records",
    "RecruitmentTable": "orchestra.skills",
    "Request": "orchestra.records",
    "Roster": "orchestra.roster",
    "Sampling": "orchestra.records",
    "ScriptedWorker": "orchestra.workers",
    "Seat": "orchestra.records",
    "Usage": "orchestra.records",
    "Vocabulary": "orchestra.skills",
    "compare": "orchestra.evals.compare",
    "evaluate": "orchestra.evals.blocking",
    "profile": "orchestra.evals.blocking",
    "load_dataset": "orchestra.evals.datasets",
    "read_table": "orchestra.skills",
    "write_table": "orchestra.skills",
}

__all__ = sorted(_DOORS)


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'orchestra' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
