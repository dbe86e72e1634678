"""The skills that a question can be tagged with, as a tree of at most three levels.

A skill has a name, aliases and a parent; a root may name a benchmark subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestra.errors import InputError, raise_all, unknown
from orchestra.files import shipped_folder

DEPTH = 3
"""Most levels of the tree: skill, parent, root."""


@dataclass(frozen=True, slots=True)
class Skill:
    """One node of the vocabulary."""

    name: str
    """Unique, lower-case words with single spaces."""
    description: str
    """One sentence, which an embedder reads together with the name."""
    aliases: tuple[str, ...] = ()
    """Other names, and terms that a question about the skill tends to contain."""
    parent: str | None = None
    """The name of the skill above; None for a root."""
    category: str | None = None
    """The benchmark subject that a root stands for; None for all others."""


def fold(name: str) -> str:
    """`name` as it is compared: lower case, hyphens and underscores as single spaces."""
    return " ".join(name.lower().replace("-", " ").replace("_", " ").split())


def shipped_vocabulary() -> Path:
    """The vocabulary that ships with the package."""
    return shipped_folder("skills") / "vocabulary.yaml"


class Vocabulary:
    """Skills by name and alias, with the tree above each. Immutable.

    Case, hyphens and underscores do not count in look-ups. `place` names the file in
    messages. Raises InputError (InputErrors for several at once) for a name or alias that
    is used twice, an unknown parent, a cycle, a tree deeper than `DEPTH`, a
    category on a skill that is not a root or on two roots, and a name that is not lower-case
    words.
    """

    def __init__(self, skills: Iterable[Skill], *, place: str = "vocabulary") -> None:
        self._skills = tuple(skills)
        if not self._skills:
            raise InputError("a vocabulary has at least one skill", place=place)
        self._found, errors = _owners(self._skills, place)
        raise_all([*errors, *_tree_errors(self._skills, place)])

    @classmethod
    def load(cls, path: str | Path | None = None) -> Vocabulary:
        """Read a vocabulary file, the shipped one by default.

        Raises InputError or InputErrors: for a file that cannot be read or is no YAML, and
        for everything in it that is missing, unknown or contradictory, all at once.
        """
        source = shipped_vocabulary() if path is None else Path(path)
        place = source.name if path is None else str(path)
        return cls(_parse(_text(source, place), place), place=place)

    @property
    def skills(self) -> tuple[Skill, ...]:
        """All skills, in the file's order."""
        return self._skills

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all skills, in the file's order."""
        return tuple(skill.name for skill in self._skills)

    def __len__(self) -> int:
        return len(self._skills)

    def __iter__(self) -> Iterator[Skill]:
        return iter(self._skills)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and fold(name) in self._found

    def __getitem__(self, name: str) -> Skill:
        skill = self.find(name)
        if skill is None:
            raise unknown("skill", name, self.names)
        return skill

    def find(self, name: str) -> Skill | None:
        """The skill with this name or alias; None if there is none."""
        return self._found.get(fold(name))

    def parent(self, name: str) -> Skill | None:
        """The skill above `name` (a name or alias); None for a root.

        Raises InputError for an unknown name, as do `ancestors` and `category_of`.
        """
        above = self[name].parent
        return None if above is None else self[above]

    def ancestors(self, name: str) -> tuple[Skill, ...]:
        """The skills above `name` (a name or alias), the nearest first, the root last."""
        above = []
        skill = self.parent(name)
        while skill is not None:
            above.append(skill)
            skill = self.parent(skill.name)
        return tuple(above)

    def root(self, name: str) -> Skill:
        """The root of the tree that `name` (a name or alias) is in; itself for a root."""
        return (self[name], *self.ancestors(name))[-1]

    def category_of(self, name: str) -> str | None:
        """The benchmark subject of the root above `name`; None where the root has none."""
        return self.root(name).category


class _Entry(BaseModel):
    """The shape of one skill in the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    aliases: str = ""
    parent: str | None = None
    category: str | None = None

    def skill(self) -> Skill:
        aliases = tuple(alias.strip() for alias in self.aliases.split(",")) if self.aliases else ()
        return Skill(self.name, self.description, aliases, self.parent, self.category)


class _File(BaseModel):
    """The shape of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1] = Field(alias="schema")
    skills: list[_Entry] = Field(min_length=1)


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is some ten times as fast


def _text(source: Path, place: str) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"the vocabulary cannot be read: {error.strerror or error}", place=place
        ) from error
    except UnicodeDecodeError as error:
        raise InputError("the vocabulary is not UTF-8 text", place=place) from error


def _parse(text: str, place: str) -> list[Skill]:
    """The skills in `text`; every error of shape at once."""
    try:
        data = yaml.load(text, Loader=_LOADER)
        return [entry.skill() for entry in _File.model_validate(data).skills]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        spot = f"{place}:{mark.line + 1}" if mark else place
        problem = getattr(error, "problem", None) or "it cannot be parsed"
        raise InputError(f"not YAML: {problem}", place=spot) from error
    except ValidationError as error:
        raise_all([_shape_error(found["loc"], found, place) for found in error.errors()])
        raise


def _shape_error(loc: tuple[int | str, ...], found: Mapping[str, object], place: str) -> InputError:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    spot = f"{place}: {path}" if path else place
    if found["type"] == "extra_forbidden":
        allowed = _Entry.model_fields if len(loc) > 1 else ("schema", "skills")
        return unknown("key", str(loc[-1]), allowed, place=spot)
    hint = "aliases are one text, separated by commas" if loc[-1:] == ("aliases",) else ""
    return InputError(str(found["msg"]).lower(), place=spot, hint=hint)


def _owners(skills: Sequence[Skill], place: str) -> tuple[Mapping[str, Skill], list[InputError]]:
    """The skill of each folded name and alias; errors for empty, repeated or upper-case ones."""
    errors = []
    owners: dict[str, Skill] = {}
    for skill in skills:
        if skill.name != " ".join(skill.name.lower().split()):
            problem = f"a name is lower-case words with single spaces: {skill.name!r}"
            errors.append(InputError(problem, place=place))
        for name in (skill.name, *skill.aliases):
            key = fold(name)
            if not key:
                problem = f"`{skill.name}` has an empty name or alias"
                errors.append(InputError(problem, place=place))
            elif key in owners:
                errors.append(_collision(name, skill, owners[key], place))
            else:
                owners[key] = skill
    return owners, errors


def _collision(name: str, skill: Skill, owner: Skill, place: str) -> InputError:
    return InputError(
        f"{name!r} belongs to `{owner.name}` and again to `{skill.name}`",
        place=place,
        hint="a name or alias belongs to one skill, once; case and hyphens do not count",
    )


def _tree_errors(skills: Sequence[Skill], place: str) -> list[InputError]:
    """Errors for unknown parents, cycles, trees that are too deep, and misplaced categories."""
    parents = {skill.name: skill.parent for skill in skills}
    errors: list[InputError] = []
    for skill in skills:
        if skill.parent is not None and skill.parent not in parents:
            spot = f"{place}: `{skill.name}`"
            errors.append(unknown("parent", skill.parent, parents, place=spot))
        errors.extend(_line_errors(skill, parents, place))
    return [*errors, *_category_errors(skills, place)]


def _category_errors(skills: Sequence[Skill], place: str) -> list[InputError]:
    errors = []
    roots: dict[str, str] = {}
    for skill in skills:
        if skill.category is None:
            continue
        first = roots.setdefault(skill.category, skill.name)
        if skill.parent is not None:
            problem = f"`{skill.name}` has a category but is no root"
            errors.append(InputError(problem, place=place))
        elif first != skill.name:
            problem = f"category {skill.category!r} has two roots: `{first}` and `{skill.name}`"
            errors.append(InputError(problem, place=place))
    return errors


def _line_errors(skill: Skill, parents: Mapping[str, str | None], place: str) -> list[InputError]:
    """The error in the line from `skill` up to its root, if any."""
    line = [skill.name]
    while (above := parents.get(line[-1])) is not None and above in parents:
        if above in line:
            circle = " -> ".join(f"`{name}`" for name in (*line, above))
            return [InputError(f"the parents go round in a circle: {circle}", place=place)]
        line.append(above)
    if len(line) > DEPTH:
        problem = f"`{skill.name}` is {len(line)} levels deep, at most {DEPTH}"
        return [InputError(problem, place=place)]
    return []
