"""Results for people and other tools: terminal views, one self-contained page, exported tables."""

from orchestra.report.export import WHAT, export
from orchestra.report.heatmap import HeatMap, fitting, heat_map, heat_map_data, heat_map_view
from orchestra.report.html.page import page, redteam_page, sweep_page
from orchestra.report.terminal.advice import advice_view
from orchestra.report.terminal.compare import (
    comparison_data,
    comparisons_data,
    comparisons_view,
    reread_data,
    reread_view,
)
from orchestra.report.terminal.console import Terminal, plain
from orchestra.report.terminal.imports import imported_data, imported_view
from orchestra.report.terminal.plan import forecast_data, forecast_view, plan_data, plan_view
from orchestra.report.terminal.progress import progress_bar
from orchestra.report.terminal.question import (
    QuestionTrace,
    asked_data,
    asked_view,
    ballot_view,
    cost_view,
    decision_view,
    draft_view,
    question_data,
    question_trace,
    question_view,
    run_data,
    run_view,
)
from orchestra.report.terminal.redteam import redteam_view
from orchestra.report.terminal.servers import live_data, live_view, served_data, served_view
from orchestra.report.terminal.summary import summary_view
from orchestra.report.terminal.sweep import sweep_view
from orchestra.report.terminal.validate import (
    checked_data,
    checked_view,
    converted_data,
    converted_view,
)

__all__ = [
    "WHAT",
    "HeatMap",
    "QuestionTrace",
    "Terminal",
    "advice_view",
    "asked_data",
    "asked_view",
    "ballot_view",
    "checked_data",
    "checked_view",
    "comparison_data",
    "comparisons_data",
    "comparisons_view",
    "converted_data",
    "converted_view",
    "cost_view",
    "decision_view",
    "draft_view",
    "export",
    "fitting",
    "forecast_data",
    "forecast_view",
    "heat_map",
    "heat_map_data",
    "heat_map_view",
    "imported_data",
    "imported_view",
    "live_data",
    "live_view",
    "page",
    "plain",
    "plan_data",
    "plan_view",
    "progress_bar",
    "question_data",
    "question_trace",
    "question_view",
    "redteam_page",
    "redteam_view",
    "reread_data",
    "reread_view",
    "run_data",
    "run_view",
    "served_data",
    "served_view",
    "summary_view",
    "sweep_page",
    "sweep_view",
]
