"""YAML files, checked against annotated dataclasses: every error at once, each with its place.

Scalars are those of YAML 1.2 (`no` and dates are text, `1e-3` a number); depth and size are capped.
Pydantic's errors are rewritten: the key, what it must be, near names, no value of a secret field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator

from orchestra.errors import InputError, raise_all, unknown
from orchestra.files import read_file

Checked = TypeVar("Checked")
KeyPath = tuple[str | int, ...]
"""Where a value stands in a document: keys and positions from the top."""

MAX_BYTES = 1_000_000  # a thousand experts take about a third of it
MAX_DEPTH = 50
MAX_VALUES = 100_000  # each use of an alias counted anew
MAX_ERRORS = 50  # of one document, reported at once

DECLARED = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
"""The `__pydantic_config__` of a dataclass that describes a file; nested ones inherit it."""
SECRET = Field(json_schema_extra={"writeOnly": True})
"""Annotates a field whose value no error message may show."""


class Problem(NamedTuple):
    """One thing that is wrong, and where in the data."""

    path: KeyPath
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML mapping as plain data, with the line of each part."""

    name: str
    """What the file is called in messages, as the user gave it; may be empty."""
    data: Mapping[str, Any]
    """None, bool, int, float, str, and lists and str-keyed dicts of these."""
    lines: Mapping[KeyPath, int]
    """Line, from 1, of each mapping key and sequence item; may be empty."""
    path: Path | None = None
    """The file; None for text that was never one."""

    def line(self, path: KeyPath) -> int | None:
        """The line of a value, or of the nearest thing around it that has one."""
        parts = (path[:length] for length in range(len(path), 0, -1))
        return next((self.lines[part] for part in parts if part in self.lines), None)

    def place(self, path: KeyPath) -> str:
        """`roster.yaml:12 experts[2].price`, less whatever is not known."""
        line = self.line(path)
        where = f"{self.name}:{line}" if line is not None else self.name
        return f"{where} {spell(path)}".strip()

    def errors(self, problems: Iterable[Problem]) -> list[InputError]:
        """Problems as errors with their place, in the file's order, each once."""
        in_order = sorted(dict.fromkeys(problems), key=lambda each: self.line(each.path) or 0)
        return [
            InputError(each.message, place=self.place(each.path), hint=each.hint)
            for each in in_order[:MAX_ERRORS]
        ]


def read_yaml(path: str | Path) -> Document:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: the file is missing, a folder, unreadable, too large, not UTF-8, empty, not
            YAML, or not a mapping; `InputErrors` for several keys that are wrong in themselves.
    """
    path = Path(path)
    raw = read_file(path, most=MAX_BYTES)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"not UTF-8 text: byte {raw[error.start]:#04x}",
            place=f"{path}:{raw[: error.start].count(10) + 1}",
            hint="save the file as UTF-8",
        ) from None
    return _document(text, str(path), path)


def read_text(text: str, name: str = "<text>") -> Document:
    """Read YAML text that holds one mapping; `name` stands for the file in messages.

    Raises:
        InputError: as `read_yaml` does for the text of a file.
    """
    if len(text) > MAX_BYTES:
        raise InputError(
            f"larger than {MAX_BYTES} bytes", place=name, hint="is this the right file?"
        )
    return _document(text, name, None)


def examine(document: Document, kind: type[Checked]) -> tuple[Checked | None, list[Problem]]:
    """Check a document against a dataclass or model: the instance, or everything that is wrong.

    A list stands for a tuple and a mapping for a dataclass; nothing else is converted. For files
    with rules of their own beside the declaration's, so that all errors are reported at once.
    """
    validator, adapter = _checker(kind)  # type: ignore[arg-type]  # types are hashable
    try:
        return validator.validate_python(document.data), []
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, _problems(details, adapter.json_schema(), document.data)


def within(data: Any, location: Sequence[str | int]) -> KeyPath:
    """The steps of a location that are in the data: names of a union's branches are not."""
    path: list[str | int] = []
    for step in location:
        steps = range(len(data)) if isinstance(data, list | tuple) else data
        if isinstance(steps, Mapping | range) and step in steps:
            path.append(step)
            data = data[step]
    return tuple(path)


def spell(path: KeyPath) -> str:
    """`("experts", 2, "price")` as `experts[2].price`; empty for the document itself."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w@/-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{shorten(step)}]"
    return text


def shorten(value: object, width: int = 60) -> str:
    """`repr(value)`, cut in its middle where it is longer than `width` characters."""
    text = repr(value)
    half = (width - 3) // 2
    return text if len(text) <= width else f"{text[:half]}...{text[-half:]}"


# --- YAML to plain data ---------------------------------------------------------------

_TAG = "tag:yaml.org,2002:"
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep"
_TOO_MANY = f"more than {MAX_VALUES} values"
_KINDS = {
    "null": re.compile(r"(?:~|null|Null|NULL)?"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
}
_YAML_HINTS = {
    "\\t": "indent with spaces, not tabs",
    "another document": "one file holds one document: remove what follows the second `---`",
    "mapping values are not allowed": "put text that holds `: ` in quotes, and line up the keys of "
    "one mapping",
    "": "check the indentation, quotes and brackets just before this place",
}


def _document(text: str, name: str, path: Path | None) -> Document:
    root = _compose(text, name)
    if root is None:
        raise InputError("the file is empty", place=name, hint="see the examples for its form")
    builder = _Builder(name)
    data = builder.build(root, ())
    raise_all(builder.errors)
    if not isinstance(data, dict):
        kind = "a list" if isinstance(data, list) else "a single value"
        raise InputError(
            f"the document must be a mapping (`key: value` lines), not {kind}", place=f"{name}:1"
        )
    return Document(name, data, builder.lines, path)


class _Loader(yaml.SafeLoader):
    """PyYAML's composer, which calls itself for each level, with YAML 1.2's scalars and caps."""

    depth = count = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        self.count += 1
        if (deep := self.depth > MAX_DEPTH) or self.count > MAX_VALUES:
            mark = parent.start_mark if parent else None
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP if deep else _TOO_MANY, problem_mark=mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _TAG + (_kind(value) if implicit[0] else "str")
        return _TAG + ("seq" if kind is yaml.SequenceNode else "map")


def _kind(plain: str) -> str:
    return next((kind for kind, form in _KINDS.items() if form.fullmatch(plain)), "str")


def _compose(text: str, name: str) -> yaml.Node | None:
    """The document's nodes. All errors of PyYAML are translated here."""
    place, hint = name, ""
    try:
        loader = _Loader(text)
        node: yaml.Node | None = loader.get_single_node()
        return node
    except yaml.reader.ReaderError as error:
        place = f"{name}:{text[: error.position].count(chr(10)) + 1}"
        message = f"the character {chr(error.character)!r} is not allowed in YAML"
    except yaml.MarkedYAMLError as error:
        if mark := error.problem_mark or error.context_mark:
            place = f"{name}:{mark.line + 1}:{mark.column + 1}"
        message = error.problem or error.context or "cannot be read"
        if error.context and message.startswith("but "):
            message = f"{error.context}, {message}"
        if message not in (_TOO_DEEP, _TOO_MANY):
            hint = next(hint for part, hint in _YAML_HINTS.items() if part in message)
            message = f"not YAML: {message}"
    except (ValueError, OverflowError):
        # PyYAML passes on what chr() and int() raise for escapes and version directives.
        place = f"{name}:{loader.line + 1}"
        message = "not YAML: a number in an escape or directive is out of range"
    raise InputError(message, place=place, hint=hint)


@dataclass
class _Builder:
    """Turns one node graph into plain data, noting lines and errors as it goes."""

    name: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    errors: list[InputError] = field(default_factory=list)
    values: int = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.values += 1
        if self.values > MAX_VALUES or len(path) > MAX_DEPTH:
            raise InputError(
                f"more than {MAX_VALUES} values or {MAX_DEPTH} levels once aliases are written out",
                place=f"{self.name}:{_line(node)}",
                hint="an alias (`*name`) holds itself, or aliases multiply each other",
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._has_tag(node, "seq", path)
            self.lines |= {(*path, at): _line(child) for at, child in enumerate(node.value)}
            return [self.build(child, (*path, at)) for at, child in enumerate(node.value)]
        self._has_tag(node, "map", path)
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key in built:
                message = f"the key `{key}` is given twice, first on line "
                self._error(f"{message}{self.lines[*path, key]}", key_node, (*path, key))
            elif key is not None:
                self.lines[(*path, key)] = _line(key_node)
                built[key] = self.build(value_node, (*path, key))
        return built

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        """The key's text, or None after noting why it is not one."""
        if not isinstance(node, yaml.ScalarNode):
            self._error("a key must be text, not a list or mapping", node, path)
        elif node.style is None and node.value == "<<":
            message = "merge keys (`<<`) are not read"
            self._error(message, node, path, hint="write the keys out instead")
        elif "str" in (node.tag.removeprefix(_TAG), _kind(node.value)):
            text: str | None = self._scalar(node, path)
            return text
        else:
            message = f"a key must be text, not {shorten(node.value)}"
            self._error(message, node, path, hint=f'put it in quotes: "{node.value[:40]}"')
        return None

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = node.value
        kind = "str" if node.tag == _TAG + "str" else _kind(text)
        if not self._has_tag(node, kind, path) or kind == "null":
            return None
        if kind == "str":
            return self._text(node, path)
        if kind == "bool":
            return text.lower() == "true"
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        base = {"0x": 16, "0o": 8}.get(text[:2], 10)
        digits = text if base == 10 else text[2:]
        # A number of 64 bits has at most 22 digits in any base, leading zeros aside.
        if len(digits.lstrip("+-0")) <= 22 and -(2**63) <= (value := int(digits, base)) < 2**63:
            return value
        self._error(f"{shorten(text)} does not fit into 64 bits", node, path)
        return None

    def _text(self, node: yaml.ScalarNode, path: KeyPath) -> str | None:
        """The text, with surrogate pairs that JSON escapes joined; half a pair is refused."""
        text = str(node.value)
        if text.isascii() or not re.search(r"[\ud800-\udfff]", text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._error("text holds half of a surrogate pair", node, path)
            return None

    def _has_tag(self, node: yaml.Node, kind: str, path: KeyPath) -> bool:
        if node.tag != _TAG + kind:
            tag = node.tag.replace(_TAG, "!!")
            self._error(f"the tag `{tag}` is not read", node, path, hint="write the value plainly")
        return node.tag == _TAG + kind

    def _error(self, message: str, node: yaml.Node, path: KeyPath, *, hint: str = "") -> None:
        place = f"{self.name}:{_line(node)} {spell(path)}".rstrip()
        self.errors.append(InputError(message, place=place, hint=hint))
        if len(self.errors) >= MAX_ERRORS:
            raise_all(self.errors)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


# --- plain data to instances, and pydantic's errors to problems ------------------------

_TYPES = {
    "string_type": "text",
    "string_unicode": "text that can be written as UTF-8",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "path_type": "a path",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "dataclass_type"), "a mapping"),
}
_CHOICES = ("literal_error", "enum")
_FOLLOWING = (*_CHOICES, "too_short")  # from an error deeper in the data: it is reported alone
_BOUNDS = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "string_pattern_mismatch": "text of the form `{pattern}`",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "of length {min_length} or more",
    "too_long": "of length {max_length} or less",
}
Schema = Mapping[str, Any]


@cache
def _checker(kind: Any) -> tuple[SchemaValidator, TypeAdapter[Any]]:
    adapter = TypeAdapter(kind)
    return SchemaValidator(_strict_leaves(adapter.core_schema)), adapter


def _strict_leaves(part: Any) -> Any:
    """Pydantic's schema with texts, numbers and truth values strict, but no lists or mappings."""
    if isinstance(part, dict):
        leaf = part.get("type") in ("str", "int", "float", "bool")
        strict = {"strict": True} if leaf else {}
        return {key: _strict_leaves(value) for key, value in part.items()} | strict
    return [_strict_leaves(each) for each in part] if isinstance(part, list) else part


def _problems(details: Iterable[ErrorDetails], schema: Schema, data: Any) -> list[Problem]:
    """Every error once. Of a union, all branches' types are named, or the branch that got deeper.

    A validator that raises `ValueError(message)` or `ValueError(message, hint)` is quoted.
    """
    groups: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in details:
        groups.setdefault(within(data, detail["loc"]), []).append(detail)
    deeper = {path[:length] for path in groups for length in range(len(path))}
    problems: list[Problem] = []
    for path, group in groups.items():
        types = dict.fromkeys(_TYPES.get(detail["type"], "") for detail in group)
        if "" not in types and path not in deeper:
            if "a number" in types:
                types.pop("a whole number", None)
            problems.append(_must_be(" or ".join(types), path, group[0], schema))
        for detail in group:
            if detail["type"] not in (*_TYPES, *(_FOLLOWING if path in deeper else ())):
                problems.append(_problem(path, detail, schema))
    return list(dict.fromkeys(problems))


def _problem(path: KeyPath, detail: ErrorDetails, schema: Schema) -> Problem:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        key = str(detail["loc"][-1])
        about = (part.get("description", "") for part in _parts(schema, (*path, key)))
        text = " ".join(next(filter(None, about), "").split())
        return Problem(path, f"`{key}` is missing", text[:1].lower() + text[1:].rstrip("."))
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        keys = {key for part in _parts(schema, path[:-1]) for key in part.get("properties", ())}
        error = unknown("key", str(path[-1]), keys)
        return Problem(path, error.message, error.hint)
    if kind in _CHOICES:
        parts = _parts(schema, path)
        allowed = [each for part in parts for each in part.get("enum", [part.get("const")])]
        allowed = list(dict.fromkeys(each for each in allowed if each is not None))
        if all(isinstance(each, str) for each in [detail["input"], *allowed]):
            error = unknown(_name(path), detail["input"], allowed)
            return Problem(path, error.message, error.hint)
        return _must_be(" or ".join(f"`{each}`" for each in allowed), path, detail, schema)
    if context.get("min_length") == 1:
        return Problem(path, f"{_label(path)} must not be empty")
    if kind in _BOUNDS:
        limits = {k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
        return _must_be(_BOUNDS[kind].format(**limits), path, detail, schema)
    if kind in ("value_error", "assertion_error"):
        message, hint, *_ = *map(str, context["error"].args), "", ""
        return Problem(path, message, hint)
    return Problem(path, f"{_label(path)}: {detail['msg'][:1].lower()}{detail['msg'][1:]}")


def _must_be(words: str, path: KeyPath, detail: ErrorDetails, schema: Schema) -> Problem:
    secret = any(part.get("writeOnly") for part in _parts(schema, path))
    shown = "" if secret else f", not {_shown(detail['input'])}"
    return Problem(path, f"{_label(path)} must be {words}{shown}")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    if not isinstance(value, Mapping | list | tuple):
        return shorten(value)
    name = "mapping" if isinstance(value, Mapping) else "list"
    return f"a {name}" if value else f"an empty {name}"


def _name(path: KeyPath) -> str:
    """The last key of a path, with the positions after it: `stop[0]`."""
    keys = [at for at, step in enumerate(path) if isinstance(step, str)]
    return spell(path[keys[-1] :]) if keys else spell(path)


def _label(path: KeyPath) -> str:
    return f"`{_name(path)}`" if path else "the document"


def _parts(schema: Schema, path: KeyPath) -> list[Schema]:
    """The parts of a JSON Schema that describe the value at `path`, unions taken apart."""
    here = [*_branches(schema, schema)]
    for step in path:
        inner = [each for part in here for each in _inside(part, step)]
        here = [branch for each in inner for branch in _branches(each, schema)]
    return here


def _branches(part: Schema, root: Schema) -> Iterator[Schema]:
    yield part
    if "$ref" in part:
        yield from _branches(root["$defs"][part["$ref"].rpartition("/")[2]], root)
    for each in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _branches(each, root)


def _inside(part: Schema, step: str | int) -> list[Schema]:
    if isinstance(step, str):
        inner = part.get("properties", {}).get(step, part.get("additionalProperties"))
    else:
        before = part.get("prefixItems", [])
        inner = before[step] if step < len(before) else part.get("items")
    return [inner] if isinstance(inner, dict) else []
