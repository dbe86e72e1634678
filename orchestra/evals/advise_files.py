"""Recordings as experts to compare, and a comparison kept so that a user can go on with it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import orjson

from orchestra.errors import InputError
from orchestra.evals.advise import SINGLE, Advised
from orchestra.evals.evaluate import Evaluation, evaluate_run
from orchestra.evals.items import write_items
from orchestra.files import full_path
from orchestra.pipeline import Pipeline, Progress, WorkerPool
from orchestra.roster import Expert, Roster, yaml_text
from orchestra.runs import claim_folder, write_whole
from orchestra.skills import write_table
from orchestra.sync import wait
from orchestra.workers.recordings import Recordings

_ROSTER, _TABLE, _ITEMS = "roster.yaml", "table.json", "items.jsonl"
_ADVICE, _RUN = "advice.json", "run"
ADVICE_FILES = (_ROSTER, _TABLE, _ITEMS, _ADVICE, _RUN, "recordings.parquet")
"""What a kept comparison has, imported recordings among it."""
_LONGEST = 100


def recorded_experts(paths: Sequence[Path]) -> Roster:
    """An expert for every model of some recordings, under a name that a roster allows.

    Models of one name in several files are experts of their own.

    Raises:
        InputError: a file is unsound.
    """
    experts: dict[str, Expert] = {}
    for path in paths:
        for model in Recordings.open(path).models:
            stem = re.sub(r"[^A-Za-z0-9._@/-]+", "-", model)[:_LONGEST].strip("-") or "model"
            name, number = stem, 1
            while name in experts:
                number += 1
                name = f"{stem}-{number}"
            experts[name] = Expert(name, model, worker="recorded", recordings=Path(full_path(path)))
    if not experts:
        raise InputError("the recordings have no model", place=", ".join(map(str, paths)))
    return Roster.of(*experts.values())


def keep_advice(
    advised: Advised,
    folder: Path,
    *,
    workers: WorkerPool,
    details: Mapping[str, object] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Evaluation:
    """Write roster, table, items, figures and a run of the chosen pipeline to a folder.

    Args:
        advised: what is kept.
        folder: is made; one that holds such a comparison is written over, all but its run.
        workers: opens the experts.
        details: plain facts for the manifest of the run.
        progress: told how far the run is.

    Returns:
        The run on the questions that were not profiled, of the best expert alone where there is
        no mixture.

    Raises:
        InputError: the folder has other things in it.
        RunConflict: the folder holds the run of another comparison.
    """
    claim_folder(folder, ADVICE_FILES, hint="choose another --out")
    paths = {name.split(".")[0]: folder.resolve() / name for name in ADVICE_FILES}
    rows = [
        {"name": each.name, "model": each.model, "recordings": str(each.recordings)}
        for each in advised.roster
    ]
    written = {"schema": 1, "defaults": {"worker": "recorded"}, "experts": rows}
    write_whole(paths["roster"], yaml_text(written).encode())
    write_items(paths["items"], advised.items)
    known = {"roster": str(paths["roster"]), "items": str(paths["items"])}
    if advised.table is not None:
        write_table(advised.table, paths["table"])
        known["table"] = str(paths["table"])
    content = orjson.dumps(advised.content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    write_whole(paths["advice"], content)
    pipeline = Pipeline.load(
        advised.content["chosen"] or ("majority" if advised.table is None else SINGLE),
        roster=Roster.load(paths["roster"]),
        table=advised.table,
        workers=workers,
        seed=advised.content["seed"],
    )
    test = [item for item in advised.items if not item.profile]
    return wait(
        evaluate_run(pipeline, test, paths["run"], details={**details, **known}, progress=progress)
    )
