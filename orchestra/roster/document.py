"""The one door for YAML files: from a file or text to a checked pydantic model.

Knows files, and how to say where in one an error stands (`roster.yaml:12 experts[2].price`);
does not know what any document means: the model says that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from orchestra.errors import InputError, raise_all
from orchestra.roster.complaints import Complaint, complaints
from orchestra.roster.yaml_tree import MAX_ERRORS, Spot, parse, spell

Model = TypeVar("Model", bound=BaseModel)

MAX_BYTES = 1_000_000
"""Largest file that is read; a thousand experts take about a third of it."""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping as plain data, with the line of each part."""

    name: str
    """What the file is called in messages, as the user gave it; may be empty."""
    data: Mapping[str, Any]
    """None, bool, int, float, str, and lists and str-keyed dicts of these."""
    lines: Mapping[Spot, int]
    """Line, from 1, of each mapping key and sequence item; may be empty."""
    path: Path | None = None
    """The file; None for text that was never one."""

    def line(self, spot: Spot) -> int | None:
        """The line of a spot, or of the nearest thing around it that has one."""
        for length in range(len(spot), 0, -1):
            if (line := self.lines.get(spot[:length])) is not None:
                return line
        return None

    def place(self, spot: Spot) -> str:
        """`roster.yaml:12 experts[2].price`, less whatever is not known."""
        line = self.line(spot)
        where = f"{self.name}:{line}" if line is not None else self.name
        return f"{where} {spell(spot)}".strip()

    def errors(self, found: Iterable[Complaint]) -> list[InputError]:
        """Complaints as errors with their place, in the file's order, each once."""
        in_order = sorted(
            dict.fromkeys(found), key=lambda complaint: self.line(complaint.spot) or 0
        )
        return [
            InputError(complaint.message, place=self.place(complaint.spot), hint=complaint.hint)
            for complaint in in_order[:MAX_ERRORS]
        ]


def read_yaml(path: str | Path) -> Document:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: the file is missing, a folder, unreadable, too large, not UTF-8, empty, not
            YAML, or not a mapping; `InputErrors` for several keys that are wrong in themselves.
    """
    path = Path(path)
    raw = _bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"not UTF-8 text: byte {raw[error.start]:#04x}",
            place=f"{path}:{line}",
            hint="save the file as UTF-8",
        ) from None
    return _document(text, str(path), path)


def read_text(text: str, name: str = "<text>") -> Document:
    """Read YAML text that holds one mapping; `name` stands for the file in messages.

    Raises:
        InputError: as `read_yaml` does for the text of a file.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(name)
    return _document(text, name, None)


def examine(document: Document, model: type[Model]) -> tuple[Model | None, list[Complaint]]:
    """Check a document against a model: the model's instance, or everything that is wrong.

    For doors that have rules of their own to check beside the model's, so that the user is
    told of both at once.
    """
    try:
        return model.model_validate(document.data), []
    except ValidationError as error:
        return None, complaints(error, model, data=document.data)


def validate(document: Document, model: type[Model]) -> Model:
    """Check a document against a model and return the model's instance.

    Raises:
        InputError: one thing is wrong; its place names the file, the line and the key.
        InputErrors: several things are wrong; all of them.
    """
    instance, found = examine(document, model)
    if instance is None:
        raise_all(document.errors(found))
        raise AssertionError("pydantic refused a document without saying why")
    return instance


def validate_text(text: str, model: type[Model], *, name: str = "<text>") -> Model:
    """`read_text` and `validate` in one.

    Raises:
        InputError: as those do.
    """
    return validate(read_text(text, name), model)


def _bytes(path: Path) -> bytes:
    """The one place where errors of the file system become ours."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError("no such file", place=str(path)) from None
    except IsADirectoryError:
        raise InputError("this is a folder, not a file", place=str(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a path that holds a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}", place=str(path)) from None
    if len(raw) > MAX_BYTES:
        raise _too_large(str(path))
    return raw


def _too_large(name: str) -> InputError:
    return InputError(f"larger than {MAX_BYTES} bytes", place=name, hint="is this the right file?")


def _document(text: str, name: str, path: Path | None) -> Document:
    tree = parse(text, name)
    if not isinstance(tree.data, dict):
        kind = "a list" if isinstance(tree.data, list) else "a single value"
        raise InputError(
            f"the document must be a mapping (`key: value` lines), not {kind}", place=f"{name}:1"
        )
    return Document(name, tree.data, tree.lines, path)
