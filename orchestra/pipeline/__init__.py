"""The stages in their order: tag, route, generate, vote, synthesise."""

from orchestra.pipeline.batch import Batch
from orchestra.pipeline.calibration import profile_votes
from orchestra.pipeline.context import Context, Progress, open_context
from orchestra.pipeline.counts import Counts, StageCounts
from orchestra.pipeline.forecast import foresee
from orchestra.pipeline.memory import History, memory_beside
from orchestra.pipeline.pipeline import Pipeline, match
from orchestra.pipeline.project import PROJECT, Project, find_project, is_project, read_project
from orchestra.pipeline.spec import (
    PipelineSpec,
    load_spec,
    pipeline_schema,
    rebuild,
    shipped_pipelines,
    weak_panel,
)
from orchestra.pipeline.stage import Stage
from orchestra.pipeline.stages.generate import Drafting, Generate, GenerateStage
from orchestra.pipeline.stages.synthesise import Synthesise, SynthesiseStage
from orchestra.pipeline.stages.tag import Tag, TagStage, tag_like
from orchestra.pipeline.work import Calls, Dialogue, Dialogues, Work
from orchestra.workers.pool import WorkerPool

__all__ = [
    "PROJECT",
    "Batch",
    "Calls",
    "Context",
    "Counts",
    "Dialogue",
    "Dialogues",
    "Drafting",
    "Generate",
    "GenerateStage",
    "History",
    "Pipeline",
    "PipelineSpec",
    "Progress",
    "Project",
    "Stage",
    "StageCounts",
    "Synthesise",
    "SynthesiseStage",
    "Tag",
    "TagStage",
    "Work",
    "WorkerPool",
    "find_project",
    "foresee",
    "is_project",
    "load_spec",
    "match",
    "memory_beside",
    "open_context",
    "pipeline_schema",
    "profile_votes",
    "read_project",
    "rebuild",
    "shipped_pipelines",
    "tag_like",
    "weak_panel",
]
