"""Which models can be asked, how each is spoken to, what it costs and what it needs."""

from orchestra.roster.complaints import Complaint
from orchestra.roster.document import (
    Document,
    examine,
    read_text,
    read_yaml,
    validate,
    validate_text,
)
from orchestra.roster.expert import Expert, Limits, Price, Scalar, WorkerName
from orchestra.roster.roster import Roster
from orchestra.roster.shape import roster_schema
from orchestra.roster.strategies import (
    DEFAULT_STRATEGY,
    STRATEGIES,
    Strategy,
    StrategyName,
    prompt,
    strategy,
)

__all__ = [
    "DEFAULT_STRATEGY",
    "STRATEGIES",
    "Complaint",
    "Document",
    "Expert",
    "Limits",
    "Price",
    "Roster",
    "Scalar",
    "Strategy",
    "StrategyName",
    "WorkerName",
    "examine",
    "prompt",
    "read_text",
    "read_yaml",
    "roster_schema",
    "strategy",
    "validate",
    "validate_text",
]
