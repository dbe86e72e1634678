"""Which models can be asked, how each is called, what it costs and what it needs."""

from orchestra.roster.discover import (
    Served,
    ServedModel,
    Unlisted,
    experts_of,
    local_servers,
    served,
)
from orchestra.roster.expert import ROLES, Calls, Expert, Limits, Price, Role, Scalar, WorkerName
from orchestra.roster.risks import risks
from orchestra.roster.roster import Roster, roster_schema, yaml_text
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
    "Expert",
    "Limits",
    "Price",
    "Role",
    "Roster",
    "Scalar",
    "Served",
    "ServedModel",
    "Strategy",
    "StrategyName",
    "Unlisted",
    "WorkerName",
    "experts_of",
    "local_servers",
    "prompt",
    "risks",
    "roster_schema",
    "served",
    "strategy",
    "with_drafts",
    "yaml_text",
]
