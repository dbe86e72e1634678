"""Requests -> Generations: everything that produces text, behind one call shape."""

from orchestra.workers.base import Worker, Workers, ended
from orchestra.workers.recorded import RecordedWorker
from orchestra.workers.recordings import Recorded, Recordings
from orchestra.workers.scripted import ScriptedWorker
from orchestra.workers.secrets import read_secret

__all__ = [
    "Recorded",
    "RecordedWorker",
    "Recordings",
    "ScriptedWorker",
    "Worker",
    "Workers",
    "ended",
    "read_secret",
]
