"""From Briefs to Plans: the experts to ask, decided before anything is generated. No I/O."""

from orchestra.routing.baselines import Everybody, Oracle, RandomK, TopK
from orchestra.routing.complementary import Complementary
from orchestra.routing.panel_size import PanelModel
from orchestra.routing.pool import Estimates, Pool, Router, generator
from orchestra.routing.posterior import Posterior
from orchestra.routing.symbolic import Symbolic

__all__ = [
    "Complementary",
    "Estimates",
    "Everybody",
    "Oracle",
    "PanelModel",
    "Pool",
    "Posterior",
    "RandomK",
    "Router",
    "Symbolic",
    "TopK",
    "generator",
]
