"""Messages to token ids by a checkpoint's own chat template, and token ids to text.

Knows the files of a Hugging Face tokenizer and how their templates are meant to be run;
knows no engine and no weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestra.errors import InputError, MissingExtra, WorkerError
from orchestra.files import read_file
from orchestra.records import Message
from orchestra.workers.checkpoints import read_json
from orchestra.workers.local.templates import LONGEST, TEMPLATES

_SPECIAL = ("bos_token", "eos_token", "pad_token", "unk_token")
_CONFIG, _TEMPLATE, _TOKENIZER = "tokenizer_config.json", "chat_template.jinja", "tokenizer.json"


class Chat:
    """A checkpoint's tokenizer and chat template.

    Args:
        folder: the checkpoint, complete.

    Raises:
        InputError: a file is broken, or there is no chat template.
    """

    def __init__(self, folder: Path) -> None:
        config = read_json(folder / _CONFIG)
        self._tokenizer = _tokenizer(folder / _TOKENIZER)
        self._words = _special(config)
        self._template = _template(folder, config)
        self.ends = _ends(folder, self._tokenizer, self._words)

    ends: frozenset[int]
    """The tokens that end an answer; may be empty."""

    def prompt(self, messages: Sequence[Message]) -> str:
        """What the model reads, up to where its answer begins.

        Raises:
            WorkerError: the template does not take such messages.
        """
        turns = [{"role": each.role, "content": each.content} for each in messages]
        return _rendered(self._template, turns, self._words)

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, in which a template has put the special tokens already.

        Raises:
            WorkerError: the tokenizer does not take the text.
        """
        try:
            found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        except Exception as error:  # the package raises bare Exceptions
            raise WorkerError(f"the tokenizer does not take this: {error}") from error
        return found

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def check_template(folder: Path, *, needed: bool = True) -> None:
    """Raise for a chat template that is broken or no program that ends, and for none if needed.

    Raises:
        InputError: see `Chat`; a template that refuses a plain user's message is not sound.
    """
    config = read_json(folder / _CONFIG)
    if not needed and not (folder / _TEMPLATE).is_file() and "chat_template" not in config:
        return
    template = _template(folder, config)
    try:
        _rendered(template, [{"role": "user", "content": "?"}], _special(config))
    except WorkerError as error:
        raise InputError(
            f"the chat template refuses a plain message: {error}", place=template[1]
        ) from error


def _rendered(
    template: tuple[str, str], turns: Sequence[Mapping[str, str]], words: Mapping[str, str]
) -> str:
    source, place = template
    given = {"messages": list(turns), "add_generation_prompt": True, **words}
    return TEMPLATES.render(source, given, place)


def _special(config: Mapping[str, Any]) -> dict[str, str]:
    return {key: word for key in _SPECIAL if (word := _word(config.get(key)))}


def package(name: str) -> ModuleType:
    """A package that is imported only once a checkpoint is opened."""
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(
            f"`worker: local` needs the package `{name.partition('.')[0]}`: {error}",
            hint="reinstall orchestra with its dependencies",
        ) from error


def _tokenizer(path: Path) -> Any:
    tokenizers = package("tokenizers")
    try:
        found = tokenizers.Tokenizer.from_str(read_file(path).decode())
    except InputError:
        raise
    except Exception as error:  # the package raises bare Exceptions
        hint = "the file is broken or incomplete: fetch it again"
        raise InputError(f"not a tokenizer: {error}", place=str(path), hint=hint) from error
    found.no_truncation()
    found.no_padding()
    return found


def _word(value: object) -> str:
    """A special token, which a config writes as a string or as an object with `content`."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _template(folder: Path, config: Mapping[str, Any]) -> tuple[str, str]:
    """The source of the chat template and the file it is in."""
    alone = folder / _TEMPLATE
    if alone.is_file():
        try:
            return read_file(alone, most=LONGEST).decode(), str(alone)
        except UnicodeDecodeError as error:
            raise InputError(
                f"the chat template cannot be read: {error}", place=str(alone)
            ) from error
    given = config.get("chat_template")
    if isinstance(given, list):  # several by name
        named = {each.get("name"): each.get("template") for each in given if isinstance(each, dict)}
        given = named.get("default")
    if not isinstance(given, str):
        raise InputError(
            "no chat template",
            place=str(folder / _CONFIG),
            hint=f"put one into `{_TEMPLATE}` beside it: base models without one are not spoken to",
        )
    return given, str(folder / _CONFIG)


def _ends(folder: Path, tokenizer: Any, words: Mapping[str, str]) -> frozenset[int]:
    """Ends that the generation config names, else the config, and the tokenizer's own."""
    named: object = None
    for name in ("generation_config.json", "config.json"):
        if named is None and (folder / name).is_file():
            named = read_json(folder / name).get("eos_token_id")
    listed: Iterable[object] = named if isinstance(named, list) else (named,)
    found = {number for number in listed if isinstance(number, int)}
    own = tokenizer.token_to_id(words["eos_token"]) if "eos_token" in words else None
    return frozenset(found if own is None else found | {own})
