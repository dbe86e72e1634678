"""The stages in their order: tag, route, generate, vote, decide."""

from orchestra.pipeline.draft import Progress
from orchestra.pipeline.foresee import foresee
from orchestra.pipeline.found import Drafts
from orchestra.pipeline.load import LocalWorkers, tag_like
from orchestra.pipeline.registry import REGISTRY, Generate, Tag
from orchestra.pipeline.run import Outcomes, Pipeline, match, tag_questions
from orchestra.pipeline.spec import (
    PipelineSpec,
    load_spec,
    pipeline_schema,
    rebuild,
    shipped_pipelines,
)

__all__ = [
    "REGISTRY",
    "Drafts",
    "Generate",
    "LocalWorkers",
    "Outcomes",
    "Pipeline",
    "PipelineSpec",
    "Progress",
    "Tag",
    "foresee",
    "load_spec",
    "match",
    "pipeline_schema",
    "rebuild",
    "shipped_pipelines",
    "tag_like",
    "tag_questions",
]
