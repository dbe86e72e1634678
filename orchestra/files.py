"""Files that users name, read whole: only regular ones, since pipes and devices may never end.

`shipped:NAME` names data that ship with the package; each reader takes its own file of them.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from orchestra.errors import InputError, unknown

_SHIPPED = "shipped:"
SHIPPED_FILES = ("roster.yaml", "table.json", "items.parquet", "recordings.parquet")
"""What data that ship have."""
Stamp = tuple[int, ...]
"""Device, number, size and time of change of a file."""


def check_regular(path: Path, *, hint: str = "") -> None:
    """Raise InputError where there is no regular file: nothing, a folder, a pipe, a device."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise InputError("no such file", place=str(path), hint=hint) from None
    except (OSError, ValueError) as error:  # ValueError: a path that holds a zero byte
        raise InputError(_unread(error), place=str(path), hint=hint) from None
    if stat.S_ISDIR(mode):
        raise InputError("this is a folder, not a file", place=str(path), hint=hint)
    if not stat.S_ISREG(mode):
        raise InputError(
            "not a regular file: pipes and devices are not read",
            place=str(path),
            hint="copy what it gives into a file first",
        )


def read_file(path: Path, *, most: int | None = None, hint: str = "") -> bytes:
    """The content of a regular file.

    Args:
        path: the file.
        most: bytes from which on it is refused, in the belief that it is the wrong file.
        hint: what to do where there is none.

    Raises:
        InputError: there is no regular file, it may not be read, or is too large.
    """
    check_regular(path, hint=hint)
    try:
        with path.open("rb") as file:
            content = file.read() if most is None else file.read(most + 1)
    except OSError as error:
        raise InputError(_unread(error), place=str(path), hint=hint) from None
    if most is not None and len(content) > most:
        raise InputError(
            f"larger than {most} bytes", place=str(path), hint="is this the right file?"
        )
    return content


def shipped_folder(name: str) -> Path:
    """The folder of data of that name, `skills` or `pipelines`.

    An installed package has it in `orchestra/data`; in a checkout it is beside the package. The
    installed one comes first, because beside an installed package `skills` may be an unrelated
    folder.
    """
    package = Path(str(files("orchestra")))
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name


def located(path: str | Path, file: str) -> Path:
    """`path` itself, or where it is `shipped:NAME`, the file `file` of those data.

    Raises:
        InputError: no data of that name ship.
    """
    if not is_shipped(path):
        return Path(path)
    name = str(path).removeprefix(_SHIPPED)
    names = [each.parent.name for each in shipped_folder("skills").glob("*/roster.yaml")]
    if name not in names:
        raise unknown("shipped data", name, names)
    return shipped_folder("skills") / name / file


def is_shipped(path: str | Path) -> bool:
    """Whether it is `shipped:NAME`, which is no path."""
    return str(path).startswith(_SHIPPED)


def full_path(path: str | Path) -> str:
    """An input's absolute path, for manifests; `shipped:NAME` stays what it is."""
    return str(path) if is_shipped(path) else str(Path(path).resolve())


def stamp_of(path: Path) -> Stamp:
    """What tells two files, or two states of one file, apart without reading them."""
    fact = path.stat()
    return fact.st_dev, fact.st_ino, fact.st_size, fact.st_mtime_ns


@contextmanager
def unchanged(path: Path, stamp: Stamp | None) -> Iterator[None]:
    """A block that reads a file; afterwards, InputError if it is not the one that it was.

    Nothing is checked where `stamp` is None. A file that is gone is the block's own error.
    """
    try:
        yield
    finally:
        if stamp is not None and path.exists() and stamp_of(path) != stamp:
            raise InputError(
                "the file was changed while it was in use",
                place=str(path),
                hint="put the old file back and give the same command again, or choose another "
                "--out for the new one",
            )


def _unread(error: OSError | ValueError) -> str:
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"
