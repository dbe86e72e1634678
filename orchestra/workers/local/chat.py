"""Messages to token ids by a checkpoint's own chat template, and token ids to text.

Knows the files of a Hugging Face tokenizer and how their templates are meant to be run;
knows no engine and no weights. A template is a stranger's program: it runs in a sandbox.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestra.errors import InputError, MissingExtra, WorkerError
from orchestra.records import Message
from orchestra.workers.checkpoints import read_json

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
        self._words = {key: word for key in _SPECIAL if (word := _word(config.get(key)))}
        self._template = _compiled(*_template(folder, config))
        self._jinja_errors = package("jinja2").TemplateError
        self.ends = _ends(folder, self._tokenizer, self._words)

    ends: frozenset[int]
    """The tokens that end an answer; may be empty."""

    def prompt(self, messages: Sequence[Message]) -> str:
        """What the model reads, up to where its answer begins.

        Raises:
            WorkerError: the template does not take such messages.
        """
        turns = [{"role": each.role, "content": each.content} for each in messages]
        try:
            return str(
                self._template.render(messages=turns, add_generation_prompt=True, **self._words)
            )
        except (self._jinja_errors, TypeError, ValueError, KeyError) as error:
            raise WorkerError(" ".join(str(error).split())) from error

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, in which a template has put the special tokens already."""
        found: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return found

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


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
        found = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
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
        return alone.read_text(encoding="utf-8"), str(alone)
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


def _compiled(source: str, place: str) -> Any:
    # No `strftime_now`: what a model is asked must not depend on the day. Templates that know
    # of it ask whether it is there and fall back on a fixed date.
    jinja2 = package("jinja2")
    sandbox = package("jinja2.sandbox").ImmutableSandboxedEnvironment
    environment = sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _tojson

    def raise_exception(reason: str) -> None:
        raise jinja2.TemplateError(reason)

    environment.globals["raise_exception"] = raise_exception
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise InputError(
            f"the chat template is broken in its line {error.lineno}: {error.message}", place=place
        ) from error


def _tojson(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


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
