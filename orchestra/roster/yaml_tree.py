"""YAML text to plain data, with the line of every key and item.

Knows the plain scalars of YAML 1.2 (`no` is text, `1e-3` a number, dates are text) and
what a hostile file may try: depth, size and the values that aliases multiply are capped.
Does not know where the text came from or what the data means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import yaml

from orchestra.errors import InputError, raise_all

Spot = tuple[str | int, ...]
"""Where a value stands in a document: keys and positions from the top."""

MAX_DEPTH = 50
"""Deepest nesting that is read."""
MAX_VALUES = 100_000
"""Most values that are read, each use of an alias counted anew."""
MAX_ERRORS = 50
"""Most errors that one document reports at once."""

_TAG = "tag:yaml.org,2002:"
_KINDS = {
    "null": re.compile(r"(?:~|null|Null|NULL)?"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    "float": re.compile(
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
}


class Tree(NamedTuple):
    """A document's data and where each part of it stands."""

    data: Any
    """None, bool, int, float, str, and lists and str-keyed dicts of these."""
    lines: dict[Spot, int]
    """Line, from 1, of each mapping key and sequence item."""


def spell(spot: Spot) -> str:
    """`("experts", 2, "price")` as `experts[2].price`; empty for the document itself."""
    text = ""
    for step in spot:
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
    if len(text) <= width:
        return text
    half = (width - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def parse(text: str, name: str) -> Tree:
    """Read one YAML document; `name` stands for the file in messages.

    Raises:
        InputError: the text is not YAML, holds several documents or none, is nested too deep,
            or too large once its aliases are written out.
        InputErrors: keys that are given twice or are not text, tags, merge keys.
    """
    root = _compose(text, name)
    if root is None:
        raise InputError("the file is empty", place=name, hint="see the examples for its form")
    builder = _Builder(name)
    data = builder.build(root, ())
    raise_all(builder.errors)
    return Tree(data, builder.lines)


class _TooMuch(yaml.MarkedYAMLError):
    """A cap was passed; `problem` says which."""


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with YAML 1.2's scalars and a cap on depth.

    The cap is here because the composer calls itself once for each level.
    """

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = parent.start_mark if parent else None
            raise _TooMuch(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=mark)
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
    """The one place where PyYAML's errors become ours."""
    line = 0
    try:
        loader = _Loader(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
        finally:
            line = loader.line + 1
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(
            f"the character {chr(error.character)!r} is not allowed in YAML", place=f"{name}:{line}"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise _translated(error, name) from None
    except (ValueError, OverflowError):
        # PyYAML lets chr() and int() speak for themselves about escapes and version directives.
        raise InputError(
            "not YAML: a number in an escape or directive is out of range", place=f"{name}:{line}"
        ) from None
    return node


def _translated(error: yaml.MarkedYAMLError, name: str) -> InputError:
    mark = error.problem_mark or error.context_mark
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    if isinstance(error, _TooMuch):
        return InputError(error.problem or "too large", place=place)
    problem = error.problem or error.context or "cannot be read"
    if error.context and problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    if "\\t" in problem:
        hint = "indent with spaces, not tabs"
    elif "another document" in problem:
        hint = "one file holds one document: remove what follows the second `---`"
    elif "mapping values are not allowed" in problem:
        hint = "put text that holds `: ` in quotes, and line up the keys of one mapping"
    else:
        hint = "check the indentation, quotes and brackets just before this place"
    return InputError(f"not YAML: {problem}", place=place, hint=hint)


class _Builder:
    """Turns one node graph into plain data, noting lines and errors as it goes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Spot, int] = {}
        self.errors: list[InputError] = []
        self.values = 0

    def build(self, node: yaml.Node, spot: Spot) -> Any:
        self.values += 1
        if self.values > MAX_VALUES or len(spot) > MAX_DEPTH:
            raise InputError(
                f"more than {MAX_VALUES} values or {MAX_DEPTH} levels once aliases are written out",
                place=f"{self.name}:{_line(node)}",
                hint="an alias (`*name`) holds itself, or aliases multiply each other",
            )
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, spot)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq", spot)
            return [self._item(child, (*spot, i)) for i, child in enumerate(node.value)]
        self._check_tag(node, "map", spot)
        return self._mapping(node, spot)

    def _item(self, node: yaml.Node, spot: Spot) -> Any:
        self.lines[spot] = _line(node)
        return self.build(node, spot)

    def _mapping(self, node: yaml.Node, spot: Spot) -> dict[str, Any]:
        built: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, spot)
            if key is None:
                continue
            if key in built:
                self._fault(
                    f"the key `{key}` is given twice, first on line {first[key]}",
                    key_node,
                    (*spot, key),
                )
                continue
            first[key] = self.lines[(*spot, key)] = _line(key_node)
            built[key] = self.build(value_node, (*spot, key))
        return built

    def _key(self, node: yaml.Node, spot: Spot) -> str | None:
        """The key's text, or None after noting why it is not one."""
        if not isinstance(node, yaml.ScalarNode):
            self._fault("a key must be text, not a list or mapping", node, spot)
        elif node.style is None and node.value == "<<":
            self._fault(
                "merge keys (`<<`) are not read", node, spot, hint="write the keys out instead"
            )
        elif node.tag != _TAG + "str" and _kind(node.value) == "str":
            self._check_tag(node, "str", spot)
        elif node.tag != _TAG + "str":
            self._fault(
                f"a key must be text, not {shorten(node.value)}",
                node,
                spot,
                hint=f'put it in quotes: "{node.value[:40]}"',
            )
        else:
            return self._text(node, spot)
        return None

    def _scalar(self, node: yaml.ScalarNode, spot: Spot) -> Any:
        kind = "str" if node.tag == _TAG + "str" else _kind(node.value)
        if not self._check_tag(node, kind, spot):
            return None
        if kind == "str":
            return self._text(node, spot)
        if kind == "int":
            return self._whole(node, spot)
        return _CONSTRUCT[kind](node.value)

    def _whole(self, node: yaml.ScalarNode, spot: Spot) -> int | None:
        digits, base = node.value, 10
        if digits[:2] in ("0x", "0o"):
            digits, base = digits[2:], 16 if digits[1] == "x" else 8
        # A number of 64 bits has at most 22 digits in any base, leading zeros aside.
        if len(digits.lstrip("+-0")) <= 22 and -(2**63) <= (value := int(digits, base)) < 2**63:
            return value
        self._fault(f"{shorten(node.value)} does not fit into 64 bits", node, spot)
        return None

    def _check_tag(self, node: yaml.Node, kind: str, spot: Spot) -> bool:
        if node.tag == _TAG + kind:
            return True
        self._fault(
            f"the tag `{node.tag.replace(_TAG, '!!')}` is not read",
            node,
            spot,
            hint="write the value plainly",
        )
        return False

    def _text(self, node: yaml.ScalarNode, spot: Spot) -> str | None:
        """The text, with characters that JSON escapes in two halves put together.

        Half of one alone, which only an escape can write, could not be stored or shown.
        """
        text = str(node.value)
        if text.isascii() or not re.search(r"[\ud800-\udfff]", text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._fault("text holds half of a surrogate pair", node, spot)
            return None

    def _fault(self, message: str, node: yaml.Node, spot: Spot, *, hint: str = "") -> None:
        place = f"{self.name}:{_line(node)} {spell(spot)}".rstrip()
        self.errors.append(InputError(message, place=place, hint=hint))
        if len(self.errors) >= MAX_ERRORS:
            raise_all(self.errors)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _float(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_CONSTRUCT: Mapping[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "float": _float,
}
