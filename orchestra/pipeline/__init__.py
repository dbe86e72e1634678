"""The stages in their order: tag, route, generate, vote, synthesise, decide."""

from orchestra.pipeline.draft import Progress
from orchestra.pipeline.foresee import foresee
from orchestra.pipeline.found import Drafts
from orchestra.pipeline.load import LocalWorkers, tag_like
from orchestra.pipeline.rehearsal import rehearse
from orchestra.pipeline.run import Outcomes, Pipeline, match, tag_questions
from orchestra.pipeline.spec import (
    PipelineSpec,
    load_spec,
    pipeline_schema,
    rebuild,
    shipped_pipelines,
    weak_panel,
)
from orchestra.pipeline.stages.generate import Generate
from orchestra.pipeline.stages.synthesise import Synthesise
from orchestra.pipeline.stages.tag import Tag
from orchestra.pipeline.synthesise import Synthesis

__all__ = [
    "Drafts",
    "Generate",
    "LocalWorkers",
    "Outcomes",
    "Pipeline",
    "PipelineSpec",
    "Progress",
    "Synthesis",
    "Synthesise",
    "Tag",
    "foresee",
    "load_spec",
    "match",
    "pipeline_schema",
    "rebuild",
    "rehearse",
    "shipped_pipelines",
    "tag_like",
    "tag_questions",
    "weak_panel",
]
