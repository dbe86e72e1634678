"""What every test may ask for: recorded answers of real models, where this machine has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

# No deadlines: a busy machine is no bug. On CI the same examples are tried every time.
settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("house")


def _shared_data_folder() -> Path:
    given = os.environ.get("ORCHESTRA_SHARED_DATA")
    return Path(given) if given else REPOSITORY.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use `shared_data`, and skip the marked ones where the folder is absent."""
    folder = _shared_data_folder()
    absent = pytest.mark.skip(
        reason=f"no recorded answers in {folder}; ORCHESTRA_SHARED_DATA names another folder"
    )
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker("shared_data")
        if item.get_closest_marker("shared_data") and not folder.is_dir():
            item.add_marker(absent)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with recorded answers of real models; read in place, never copied."""
    return _shared_data_folder()
