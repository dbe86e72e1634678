"""The public surface: one `Pipeline`, and what it returns as objects."""

from orchestra.api.pipeline import Pipeline
from orchestra.api.results import Answered, Report, Route, Run

__all__ = ["Answered", "Pipeline", "Report", "Route", "Run"]
