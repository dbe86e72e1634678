"""A file of results, looked at before it is read, and what every importer makes of one.

Members of archives are read in memory, within limits. Does not know any format.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from orchestra.errors import InputError, MissingExtra
from orchestra.evals.rows import cells
from orchestra.files import check_regular, read_file
from orchestra.runs.foreign import loads

_HEAD = 1 << 16
_LARGEST = 4 << 30
"""Bytes of a file, or of a member of an archive, from which on it is not read."""
_RATIO = 200
"""Times that a member may be larger than what it is packed in, where it is large."""
_SMALL = 16 << 20
_ZSTANDARD = 93
_BATCH = 512


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of a model to a question, as a log has it."""

    model: str
    task: str
    """The benchmark or task, as the tool calls it."""
    key: str
    """The question's id, unique within the task."""
    output: str | None
    """The whole text; None: the call failed, and there is none."""
    question: Mapping[str, Any] | None = None
    """The question's columns, named as people name them; None: the log does not have it."""
    otherwise: Mapping[str, Any] | None = None
    """The question in columns of our own, where those of `question` cannot be read."""
    index: int = 0
    """Which draw of the same question it is."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    finish_reason: str | None = None
    """`stop`, `length`, `filtered`; None: not known."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A figure that the log itself states."""

    model: str
    task: str
    metric: str
    value: float
    """A share, in [0, 1]."""
    n: int | None = None


@dataclass(frozen=True, slots=True)
class Remark:
    """Something left out, counted together with others of the same words."""

    words: str


Found = Sample | Stated | Remark


class Importer(Protocol):
    """Reads the files of one format."""

    name: ClassVar[str]
    meaning: ClassVar[str]
    """Whose files, and which, in one line."""

    def recognises(self, log: LogFile) -> bool:
        """Whether a file is one of the format, by its beginning; never raises."""
        ...

    def read(self, log: LogFile) -> Iterator[Found]:
        """What the file holds. Raises InputError where it cannot be read at all."""
        ...


@dataclass(frozen=True)
class LogFile:
    """A file that may be a log."""

    path: Path
    _seen: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def place(self) -> str:
        """For messages."""
        return str(self.path)

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB; empty where it cannot be read."""
        try:
            check_regular(self.path)
            with self.path.open("rb") as file:
                return file.read(_HEAD)
        except (OSError, InputError):
            return b""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of a parquet file; none of others."""
        if self.head[:4] != b"PAR1":
            return ()
        try:
            return tuple(pq.read_schema(self.path).names)
        except (OSError, pa.ArrowException):
            return ()

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The files in a zip archive; none of others, or of one that is cut off."""
        if self.head[:2] != b"PK":
            return ()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return tuple(each.filename for each in archive.infolist() if not each.is_dir())
        except (OSError, zipfile.BadZipFile, NotImplementedError):
            return ()

    @property
    def beginning(self) -> Any:
        """What stands first in a JSON file: a mapping's first keys, or a list's first mapping."""
        if "beginning" not in self._seen:
            self._seen["beginning"] = _beginning(self.head)
        return self._seen["beginning"]

    def json(self) -> Any:
        """The whole file as JSON. Raises InputError where it is none."""
        try:
            return loads(read_file(self.path, most=_LARGEST))
        except (ValueError, RecursionError) as error:
            hint = "was the tool stopped while it wrote it?"
            raise InputError(f"is no whole JSON: {error}", place=self.place, hint=hint) from None

    def lines(self) -> Iterator[Any]:
        """Each line of JSON, or each part of one list; a Remark for a line that is none."""
        check_regular(self.path)
        if self.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
            yield from listed(self.json())
            return
        with self.path.open("rb") as file:
            for line in file:
                if not line.strip():
                    continue
                try:
                    yield loads(line.removeprefix(b"\xef\xbb\xbf"))
                except (ValueError, RecursionError):
                    cut = "a last line that is cut off" if line[-1:] != b"\n" else "a line"
                    yield Remark(f"{cut} is no JSON, and is left out")

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows of a parquet file, a few at a time."""
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(_BATCH):
                    columns = [cells(pa.chunked_array([column])) for column in batch.columns]
                    for row in zip(*columns, strict=True):
                        yield dict(zip(batch.schema.names, row, strict=True))
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"cannot be read: {error}", place=self.place) from None

    def member(self, name: str) -> bytes:
        """A file of the zip archive; of several under one name the last.

        Raises:
            InputError: it is damaged, too large, or packed as this Python cannot unpack it.
        """
        place = f"{self.path}/{name}"
        try:
            with zipfile.ZipFile(self.path) as archive:
                info = archive.getinfo(name)
                if info.file_size > _LARGEST or (
                    info.file_size > _SMALL and info.file_size > _RATIO * info.compress_size
                ):
                    raise InputError(f"unpacks to {info.file_size} bytes", place=place)
                if info.compress_type == _ZSTANDARD:
                    return _unpacked(self.path, info, place)
                return archive.read(info)
        except InputError:
            raise
        except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError, zlib.error) as error:
            raise InputError(f"cannot be read: {error}", place=place) from None
        except RuntimeError:  # zipfile's way to say that a password is needed
            hint = "unpack the archive, and give the folder"
            raise InputError("is encrypted", place=place, hint=hint) from None


def _unpacked(path: Path, info: zipfile.ZipInfo, place: str) -> bytes:
    """A member that is packed by zstandard, which the standard library of Python 3.13 lacks."""
    try:
        import zstandard
    except ImportError:
        raise MissingExtra(
            "files packed by zstandard need the package `zstandard`",
            place=place,
            hint="`pip install 'orchestra-experts[inspect]'`",
        ) from None
    with path.open("rb") as file:
        file.seek(info.header_offset)
        header = file.read(30)
        names, extra = struct.unpack("<HH", header[26:30])
        file.seek(names + extra, 1)
        packed = file.read(info.compress_size)
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
        content: bytes = reader.read(info.file_size + 1)
    except zstandard.ZstdError as error:
        raise InputError(f"cannot be unpacked: {error}", place=place) from None
    if zlib.crc32(content) != info.CRC:
        raise InputError("is damaged: its checksum is another", place=place)
    return content


def _beginning(head: bytes) -> Any:
    """The first mapping of a JSON text that may be cut off, as far as its values are whole."""
    text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").lstrip()
    if text[:1] == "[":
        text = text[1:].lstrip()
    if text[:1] != "{":
        return None
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return _first_keys(text)


def _first_keys(text: str) -> dict[str, Any]:
    decoder, found, at = json.JSONDecoder(), dict[str, Any](), 1
    try:
        while True:
            at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
            key, at = decoder.raw_decode(text, at)
            at = text.index(":", at) + 1
            at += len(text[at:]) - len(text[at:].lstrip())
            found[str(key)] = None
            found[str(key)], at = decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return found


def mapping(value: Any) -> Mapping[str, Any]:
    """A mapping that is there, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """A list that is there, else an empty one."""
    return value if isinstance(value, list) else []


def whole(value: Any) -> int | None:
    """A count that is there, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if 0 <= number < 2**31 else None


def seconds(value: Any) -> float | None:
    """A duration that is there, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1e9 else None


_REASONS: Mapping[str, str] = {
    **dict.fromkeys(("stop", "eos", "endoftext", "stop_sequence", "end_turn"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("content_filter", "safety", "refusal"), "filtered"),
}


def reason(value: Any) -> str | None:
    """Why a text ends, in our words; None where the log does not say, or says something else."""
    return _REASONS.get(str(value).casefold())
