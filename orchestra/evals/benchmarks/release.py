"""A benchmark's release: the files of each split, on the disk, in archives or downloaded, as rows.

Knows how files are named and packed; does not know what a row means. Members of archives are
read in memory only.
"""

from __future__ import annotations

import os
import re
import socket
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from orchestra.errors import InputError, MissingExtra, raise_all, shown, unknown
from orchestra.evals.cells import scalar, structured
from orchestra.evals.files import SUFFIXES, read_file, suffix_of
from orchestra.files import check_regular

_MOST_FILES = 50_000
_LARGEST = 1 << 30
"""Bytes of a member of an archive, from which on it is not read."""
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})$")
_SNAPSHOT = re.compile(r"/snapshots/([0-9a-f]{40})(?:/|$)")

Splits = Mapping[str, tuple[str, ...]]
"""Split -> patterns of its files' paths without suffix, from the right: `test`, `main/test-*`."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a release, whose cells are asked for by name and type."""

    cells: Mapping[str, object]
    place: str

    def wrong(self, message: str, *, hint: str = "") -> InputError:
        """An error with the row's place."""
        return InputError(message, place=self.place, hint=hint)

    def text(self, name: str, *, empty: bool = False) -> str:
        """The cell as text, a number spelt; `empty` allows none.

        Raises:
            InputError: it is something else, or is empty and may not be.
        """
        cell = self.cells.get(name)
        value = "" if cell is None else scalar(cell)
        if value is None:
            raise self.wrong(f"`{name}` must be a text, not {shown(cell)}")
        if not (empty or value.strip()):
            raise self.wrong(f"`{name}` is empty")
        return value

    def texts(self, name: str) -> list[str]:
        """The cell as a list of texts; a list may be spelt as text, as csv does.

        Raises:
            InputError: it is something else.
        """
        cell = self.cells.get(name)
        found = structured(cell) if isinstance(cell, str) else cell
        values = [scalar(each) for each in found] if isinstance(found, list) else [None]
        if any(each is None for each in values):
            raise self.wrong(f"`{name}` must be a list of texts, not {shown(cell)}")
        return [str(each) for each in values]

    def mapping(self, name: str) -> Mapping[str, Any]:
        """The cell as a mapping, which may be spelt as text.

        Raises:
            InputError: it is something else.
        """
        cell = self.cells.get(name)
        found = structured(cell) if isinstance(cell, str) else cell
        if not isinstance(found, Mapping):
            raise self.wrong(f"`{name}` must be an object, not {shown(cell)}")
        return found


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a release, perhaps a member of an archive."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """Its whole path, with that in the archive."""
        return f"{self.path.as_posix()}/{self.member}" if self.member else self.path.as_posix()

    @property
    def stem(self) -> str:
        """The same without what says the format."""
        return re.sub(r"(?i)\.[a-z]+(\.gz)?$", "", self.name)


@dataclass(frozen=True)
class Hub:
    """Where a release can be downloaded from, and which revision of it."""

    repository: str
    revision: str


@dataclass
class Release:
    """The files of one benchmark.

    Args:
        benchmark: its name, for messages.
        splits: the files of each split.
        data: a folder, an archive or a file; None: they are downloaded from `hub`.
        hub: where from.
        password: that of archives, where the authors publish one with them.
    """

    benchmark: str
    splits: Splits
    data: Path | None = None
    hub: Hub | None = None
    password: bytes = b""
    about: str = ""
    """Where people get the files, in words."""
    read: dict[str, str] = field(default_factory=dict)
    """File that was read -> its SHA-256."""
    notes: list[str] = field(default_factory=list)
    """What a person should know of how it was read."""
    revision: str = ""
    """The revision of the files, where it is known."""

    def rows(self, split: str, columns: Sequence[str], *, also: Sequence[str] = ()) -> list[Row]:
        """The rows of a split.

        Args:
            split: one of `splits`.
            columns: must be there.
            also: may be there.

        Raises:
            InputError: there is no file of the split, several, or one that cannot be read.
        """
        found: list[Row] = []
        problems: list[InputError] = []
        wanted = {*columns, *also}
        for file in self._of(split):
            choose = _chooser(wanted)
            rows = read_file(Path(file.name), choose, problems, content=self._content(file))
            raise_all(problems[:20])
            for name in columns:
                if name not in rows.names:
                    error = unknown("column", name, rows.names)
                    says = f"has no column `{name}`: is this `{self.benchmark}` (`{split}`)?"
                    raise InputError(
                        says, place=file.name, hint=error.hint.replace("allowed", "there are")
                    )
            names = [name for name in rows.columns if name in wanted]
            cells = zip(*(rows.columns[name] for name in names), strict=True)
            found += [
                Row(dict(zip(names, row, strict=True)), rows.place(at))
                for at, row in enumerate(cells)
            ]
        if not found:
            raise InputError(f"split `{split}` has no rows", place=str(self.data or ""))
        return found

    def _content(self, file: _File) -> bytes:
        if file.member:
            content = _member(file, self.password)
        else:
            check_regular(file.path)
            content = file.path.read_bytes()
        self.read[PurePosixPath(file.name).name] = sha256(content).hexdigest()
        if known := _SNAPSHOT.search(file.name):
            self.revision = known[1]
        return content

    # Which files

    def _of(self, split: str) -> list[_File]:
        """The files of a split: one, or all shards."""
        files = self._files(split)
        mine = [each for each in files if self._split_of(each) == split]
        if self.data is not None and self.data.is_file() and not mine and len(files) == 1:
            other = self._split_of(files[0])
            if other is None:
                note = f"{files[0].path.name} was taken for the split `{split}`"
                self.notes += [] if note in self.notes else [note]
                return files
        if not mine:
            there = ", ".join(PurePosixPath(each.name).name for each in files[:8])
            raise InputError(
                f"no file of split `{split}` of `{self.benchmark}`",
                place=str(self.data),
                hint=f"its name is like {self._names(split)}; there are: {there or 'no files'}",
            )
        return self._whole(split, mine)

    def _whole(self, split: str, files: list[_File]) -> list[_File]:
        """The files, if they are one copy of the split."""
        copies: dict[tuple[str, str], list[_File]] = {}
        for each in files:
            folder = str(PurePosixPath(each.name).parent)
            copies.setdefault((folder, suffix_of(Path(each.name))), []).append(each)
        (_, first), *others = copies.items()
        shards = [_SHARD.search(each.stem) for each in first]
        if others or (len(first) > 1 and not all(shards)):
            names = ", ".join(each.name for each in files[:4])
            says = f"several files may be split `{split}` of `{self.benchmark}`: {names}"
            raise InputError(says, place=str(self.data), hint="name one of them with `--data`")
        total = int(shards[0][2]) if shards[0] else len(first)
        if len(first) != total:
            says = f"{len(first)} of the {total} files of split `{split}` are here"
            raise InputError(says, place=str(self.data), hint="complete the download")
        return sorted(first, key=lambda each: each.name)

    def _split_of(self, file: _File) -> str | None:
        parts = file.stem.casefold().split("/")
        for split, patterns in self.splits.items():
            for each in patterns:
                names = each.casefold().split("/")
                if len(names) <= len(parts) and all(map(fnmatchcase, parts[-len(names) :], names)):
                    return split
        return None

    def _files(self, split: str) -> list[_File]:
        if self.data is None:
            return self._downloaded(split)
        if not self.data.exists():
            raise InputError("no such file or folder", place=str(self.data))
        plain = list(_within(self.data)) if self.data.is_dir() else [self.data]
        files = [_File(path) for path in plain if suffix_of(path) in SUFFIXES]
        if any(self._split_of(each) == split for each in files):
            return files
        archives = [path for path in plain if path.suffix.casefold() == ".zip"]
        return files + [_File(path, name) for path in archives for name in _members(path)]

    def _names(self, split: str) -> str:
        return f"`{self.splits[split][0]}.parquet`"

    def _downloaded(self, split: str) -> list[_File]:
        hint = (
            f"give its files with `--data FOLDER|FILE` (`data=` in Python): {self._names(split)}, "
            "or the same as jsonl, json, csv or in a zip"
        )
        hint += f"; the release is {self.about}" if self.about else ""
        if self.hub is None:
            raise InputError(f"`{self.benchmark}` needs the files of its release", hint=hint)
        try:
            import huggingface_hub as hub
        except ImportError:
            raise MissingExtra(
                f"`{self.benchmark}` needs the files of its release, or the package "
                "huggingface_hub to download them",
                hint=hint,
            ) from None
        where: Any = {"repo_type": "dataset", "revision": self.hub.revision}
        if host := _unreached(hub):
            says = f"`{self.hub.repository}` cannot be downloaded: {host} is not reached from here"
            raise InputError(says, hint=hint)
        try:
            names = hub.HfApi().list_repo_files(self.hub.repository, **where)
            wanted = [name for name in names if suffix_of(Path(name)) in SUFFIXES]
            files = [
                _File(Path(hub.hf_hub_download(self.hub.repository, name, **where)))
                for name in wanted
                if self._split_of(_File(Path(name))) == split
            ]
        except Exception as error:  # whatever the package and the network below it raise
            reason = str(error).partition("\n")[0][:200]
            raise InputError(
                f"`{self.hub.repository}` cannot be downloaded: {type(error).__name__}: {reason}",
                hint=hint,
            ) from error
        self.revision = self.hub.revision
        note = f"downloaded from {self.hub.repository}, revision {self.hub.revision}"
        self.notes += [] if note in self.notes else [note]
        return files


def _unreached(hub: Any) -> str:
    """The hub's host, if no machine of that name is known here; the package tries for minutes."""
    address = getattr(hub.HfApi(), "endpoint", None)  # the user may have another
    host = urlsplit(address).hostname if isinstance(address, str) else None
    if host is None or getproxies():
        return ""
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return host
    return ""


def _chooser(wanted: set[str]) -> Callable[[Sequence[str]], list[str]]:
    return lambda names: [name for name in names if name in wanted]


def _within(folder: Path) -> Iterator[Path]:
    """The files in a folder and below it, without hidden ones."""
    count = 0
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                says = f"has more than {_MOST_FILES:,} files"
                raise InputError(says, place=str(folder), hint="name the folder of the release")
            if not name.startswith("."):
                yield Path(here) / name


def _members(path: Path) -> list[str]:
    check_regular(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [each.filename for each in archive.infolist() if not each.is_dir()]
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"cannot be read: {error}", place=str(path)) from error
    return [
        name
        for name in names
        if suffix_of(Path(name)) in SUFFIXES and not Path(name).name.startswith(".")
    ]


def _member(file: _File, password: bytes) -> bytes:
    """What a member of an archive holds; it stays in memory."""
    try:
        with (
            zipfile.ZipFile(file.path) as archive,
            archive.open(file.member, pwd=password or None) as member,
        ):
            content = member.read(_LARGEST + 1)
    except (OSError, ValueError, RuntimeError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {error}", place=file.name) from error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"cannot be read: {error}", place=file.name) from error
    if len(content) > _LARGEST:
        raise InputError("holds more than 1 GiB", place=file.name, hint="unpack the archive")
    return content
