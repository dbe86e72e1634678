"""Where a checkpoint's files are, whether they are all there, and which digest they have.

Knows the names of the files of a Hugging Face checkpoint and of a LoRA adapter beside it;
reads none of the weights as numbers and knows no engine.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson

from orchestra.errors import InputError, raise_all, unknown
from orchestra.files import read_file

EMBEDDED = "embedded/"
"""Models whose name begins so are those that ship with the package."""

WEIGHTS = "model.safetensors"
SHARDS = "model.safetensors.index.json"
"""Lists the files of weights where they are more than one."""
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json")
_OPTIONAL = ("generation_config.json", "chat_template.jinja")
_PIECE = 1 << 20
_LARGEST = 100_000_000
"""Bytes of a JSON file that is not the tokenizer."""

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change and size of each file of a checkpoint."""


def embedded_names() -> tuple[str, ...]:
    """The names of the checkpoints and adapters that ship with the package, less `embedded/`."""
    root = _shipped()
    if not root.is_dir():
        return ()
    found = (*root.glob("*/config.json"), *root.glob(f"*/{ADAPTER_CONFIG}"))
    return tuple(sorted(each.parent.name for each in found))


def checkpoint_folder(model: str, *, place: str = "") -> Path:
    """The folder of a checkpoint: `embedded/NAME` or the path of a folder.

    Raises:
        InputError: there is no such checkpoint here; `place` says who asked for it.
    """
    if model.startswith(EMBEDDED):
        names = embedded_names()
        if model.removeprefix(EMBEDDED) not in names:
            raise unknown("checkpoint", model, [EMBEDDED + name for name in names], place=place)
        return _shipped() / model.removeprefix(EMBEDDED)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise InputError(
            f"`{model}` is a file, and a checkpoint is a folder",
            place=place,
            hint="name the folder that holds `config.json` and `model.safetensors`",
        )
    raise InputError(
        f"no checkpoint folder: {model!r}",
        place=place,
        hint="give the path of a folder, or `embedded/NAME` for a checkpoint that ships with the "
        "package; one from a hub is downloaded first",
    )


def is_here(model: str) -> bool:
    """Whether a checkpoint is named by where its files are, rather than by a hub's name."""
    return model.startswith(EMBEDDED) or Path(model).expanduser().is_dir()


def missing_files(folder: Path) -> tuple[str, ...]:
    """What a Hugging Face checkpoint has and this folder has not, by name."""
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if not (folder / WEIGHTS).is_file() and not (folder / SHARDS).is_file():
        missing.append(WEIGHTS)
    missing += [name for name in weight_files(folder) if not (folder / name).is_file()]
    return tuple(dict.fromkeys(missing))


def check_checkpoint(folder: Path, *, adapter: Path | None = None) -> None:
    """Raise for everything that is missing from a checkpoint and its adapter, all at once.

    Raises:
        InputError: a file is missing, or the list of shards cannot be read.
    """
    missing = missing_files(folder)
    errors = [_incomplete("checkpoint", folder, missing)] if missing else []
    if adapter is not None:
        absent = [
            name for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS) if not (adapter / name).is_file()
        ]
        errors += [_incomplete("adapter", adapter, absent)] if absent else []
    raise_all(errors)


def weight_files(folder: Path) -> tuple[str, ...]:
    """The names of the files that hold the weights, whether or not they are there."""
    if (folder / WEIGHTS).is_file() or not (folder / SHARDS).is_file():
        return (WEIGHTS,)
    listed = read_json(folder / SHARDS).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise InputError("no `weight_map` of tensors to files", place=str(folder / SHARDS))
    names = sorted(set(listed.values()))
    strange = [name for name in names if Path(name).name != name]
    if strange:
        raise InputError(
            f"`weight_map` names a file outside the folder: {strange[0]!r}",
            place=str(folder / SHARDS),
        )
    return tuple(names)


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object.

    Raises:
        InputError: it is missing, cannot be read, or holds something else.
    """
    try:
        data = orjson.loads(read_file(path, most=_LARGEST))
    except orjson.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        hint = "the file is broken or incomplete: fetch it again"
        raise InputError(f"not JSON: {error.msg}", place=place, hint=hint) from error
    if not isinstance(data, dict):
        raise InputError(f"a JSON object is wanted, not {type(data).__name__}", place=str(path))
    return data


class Digests:
    """Digests of checkpoints; a file is read again only when its time or size has changed."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, Path | None], tuple[Stamp, str]] = {}

    def of(self, folder: Path, adapter: Path | None = None) -> str:
        """Digest of every file that changes what the checkpoint says, 32 hexadecimal digits.

        Raises:
            InputError: a file is missing or cannot be read.
        """
        check_checkpoint(folder, adapter=adapter)
        paths = _paths(folder, adapter)
        stamp = _stamp(paths)
        known = self._known.get((folder, adapter))
        if known and known[0] == stamp:
            return known[1]
        found = _digest(paths)
        self._known[folder, adapter] = stamp, found
        return found


def checkpoint_digest(folder: Path, adapter: Path | None = None) -> str:
    """The same as `Digests.of`, reading every file."""
    return Digests().of(folder, adapter)


def _paths(folder: Path, adapter: Path | None) -> dict[str, Path]:
    names = (*_NEEDED, *_OPTIONAL, *weight_files(folder))
    found = {name: folder / name for name in names if (folder / name).is_file()}
    if adapter is not None:
        found |= {name: adapter / name for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS)}
    return found


def _stamp(paths: dict[str, Path]) -> Stamp:
    facts = [(name, path.stat()) for name, path in paths.items()]
    return tuple((name, fact.st_mtime_ns, fact.st_size) for name, fact in facts)


def _digest(paths: dict[str, Path]) -> str:
    whole = blake2b(digest_size=16)
    for name in sorted(paths):
        part = blake2b(digest_size=16)
        try:
            with paths[name].open("rb") as file:
                while piece := file.read(_PIECE):
                    part.update(piece)
        except OSError as error:
            raise InputError(error.strerror or "cannot be read", place=str(paths[name])) from error
        whole.update(f"{name}\n".encode() + part.digest())
    return whole.hexdigest()


def _incomplete(kind: str, folder: Path, missing: list[str] | tuple[str, ...]) -> InputError:
    what = ", ".join(f"`{name}`" for name in missing)
    there = os.listdir(folder) if folder.is_dir() else []
    if not there:
        return InputError(f"the {kind} folder is empty or missing: no {what}", place=str(folder))
    return InputError(
        f"the {kind} is incomplete: no {what}",
        place=str(folder),
        hint="only weights in safetensors and a `tokenizer.json` are read; fetch or convert them",
    )


def _shipped() -> Path:
    return Path(str(files("orchestra"))) / "embedded" / "checkpoints"
