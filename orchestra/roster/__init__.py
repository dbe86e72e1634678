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
from orchestra.roster.expert import ROLES, Calls, Expert, Limits, Price, Role, Scalar, WorkerName
from orchestra.roster.roster import Roster
from orchestra.roster.shape import roster_schema
from orchestra.roster.strategies import (
    DEFAULT_STRATEGY,
    STRATEGIES,
    Strategy,
    StrategyName,
    prompt,
    strategy,
    with_drafts,
)

__all__ = [
    "DEFAULT_STRATEGY",
    "ROLES",
    "STRATEGIES",
    "Calls",
    "Complaint",
    "Document",
    "Expert",
    "Limits",
    "Price",
    "Role",
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
    "with_drafts",
]
