"""Only regular files are read, and one that changes while it is in use is an error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestra.config import read_yaml
from orchestra.errors import InputError
from orchestra.files import check_regular, read_file, stamp_of, unchanged
from orchestra.skills.table_file import read_table


def fifo(folder: Path) -> Path:
    path = folder / "pipe"
    os.mkfifo(path)
    return path


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (path := tmp_path / "a").write_bytes(b"abc")
    assert read_file(path) == b"abc"
    assert read_file(path, most=3) == b"abc"
    with pytest.raises(InputError, match="larger than 2 bytes"):
        read_file(path, most=2)


@pytest.mark.parametrize("read", [read_file, check_regular, read_yaml, read_table])
def test_what_is_no_regular_file_is_refused_at_once(read: object, tmp_path: Path) -> None:
    refused = {
        tmp_path: "a folder, not a file",
        tmp_path / "none": "no such file",
        Path("/dev/zero"): "not a regular file",
        Path("/dev/full"): "not a regular file",
        fifo(tmp_path): "not a regular file",
        tmp_path / "a\0b": "cannot be read",
    }
    for path, said in refused.items():
        with pytest.raises(InputError, match=said):
            read(path)  # type: ignore[operator]


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (path := tmp_path / "a").write_text("x")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        read_file(path)


def spoil(path: Path) -> None:
    path.write_text("xy")
    raise ValueError("half read")


def test_a_change_is_noticed_whatever_the_block_raised(tmp_path: Path) -> None:
    (path := tmp_path / "a").write_text("x")
    stamp = stamp_of(path)
    with unchanged(path, stamp):
        pass
    with pytest.raises(InputError, match="was changed"), unchanged(path, stamp):
        spoil(path)
