"""The generated parts of the documentation are what the code says now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def generated() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("generate", REPOSITORY / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages: dict[Path, str] = module.pages()
    return pages


@pytest.mark.parametrize("name", ["docs/cli.md", "docs/embedded.md", "pipelines/schema.json"])
def test_up_to_date(name: str) -> None:
    path = REPOSITORY / name
    assert path.read_text(encoding="utf-8") == generated()[path], "run `make docs`"
