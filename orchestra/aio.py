"""Async twins of the package's doors, under the same names."""

from orchestra.evals.evaluate import evaluate_run as evaluate
from orchestra.evals.profile import profile_experts as profile
from orchestra.pipeline import Pipeline

__all__ = ["Pipeline", "evaluate", "profile"]
