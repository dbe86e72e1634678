"""A mixture of language models: measured skills, recruiting for each question, honest votes.

Each public name is loaded when it is first used, so that `import orchestra` stays quick.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_NAMES = {
    "Absence": "orchestra.records",
    "Answer": "orchestra.records",
    "Answered": "orchestra.api",
    "Ballot": "orchestra.records",
    "Brief": "orchestra.records",
    "Budget": "orchestra.runs",
    "Comparison": "orchestra.evals",
    "Dataset": "orchestra.evals",
    "Decision": "orchestra.records",
    "Expert": "orchestra.roster",
    "Generation": "orchestra.records",
    "InputError": "orchestra.errors",
    "Item": "orchestra.evals",
    "Kind": "orchestra.records",
    "Mark": "orchestra.records",
    "OrchestraError": "orchestra.errors",
    "Pipeline": "orchestra.api",
    "Plan": "orchestra.records",
    "Question": "orchestra.records",
    "RecruitmentTable": "orchestra.skills",
    "Report": "orchestra.api",
    "Request": "orchestra.records",
    "Roster": "orchestra.roster",
    "Route": "orchestra.api",
    "Run": "orchestra.api",
    "Sampling": "orchestra.records",
    "Seat": "orchestra.records",
    "Usage": "orchestra.records",
    "Vocabulary": "orchestra.skills",
    "load_dataset": "orchestra.evals",
    "read_table": "orchestra.skills",
    "write_table": "orchestra.skills",
}

__all__ = sorted(_NAMES)


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'orchestra' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
