"""Questions of one's own, from a file: the name `items:FILE` where a benchmark's name is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from orchestra.components import component
from orchestra.errors import InputError
from orchestra.evals.datasets import load_dataset
from orchestra.evals.items import Dataset


@component("benchmark", "items", argument="file")
@dataclass(frozen=True)
class OwnItems:
    """A file of questions, read as `load_dataset` reads files."""

    title: ClassVar[str] = "a file of your own"
    file: str = ""
    """The file; also without `items:` before it."""

    def load(self) -> Dataset:
        """The questions of the file.

        Raises:
            InputError, InputErrors: as `load_dataset`.
        """
        if not self.file:
            raise InputError("`items` needs a file", hint="write `items:FILE`")
        if ":" in self.file and self.file.startswith("items:"):
            raise InputError(f"one `items:` is enough: {self.file!r}")
        return load_dataset(self.file)
