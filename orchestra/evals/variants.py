"""Pipelines with other settings: the points of a grid, each checked as a pipeline file is.

Knows settings as text and pipelines as specs; tries none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from orchestra.errors import InputError, InputErrors, raise_all
from orchestra.pipeline import PipelineSpec
from orchestra.runs import digest

MOST = 5_000
"""Most variants of one sweep."""
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Variant:
    """One pipeline of a sweep."""

    pipeline: str
    """The pipeline's name."""
    settings: tuple[str, ...]
    """`stage.option=value`, as they were given."""
    spec: PipelineSpec
    seed: int

    @property
    def name(self) -> str:
        """The pipeline with its settings."""
        return " ".join([self.pipeline, *self.settings])

    @cached_property
    def identity(self) -> str:
        """Equal for variants that decide alike."""
        return digest([self.spec.digest, self.seed])

    @cached_property
    def drafting(self) -> str:
        """Equal for variants with the same drafts: the stages up to the last that drafts."""
        stages = [each for each in self.spec.stages if not each.idle]
        last = max((i for i, each in enumerate(stages) if each.stage == "generate"), default=-1)
        return digest([self.seed, *([each.stage, each.identity] for each in stages[: last + 1])])


@dataclass(frozen=True)
class Grid:
    """All variants that can be, and why others cannot."""

    variants: tuple[Variant, ...]
    """The first of those that decide alike, in the order of the grid."""
    impossible: Mapping[str, str]
    """Name of a combination -> why there is no such pipeline."""


Bases = Mapping[str, Callable[[Sequence[str]], PipelineSpec]]
"""Name -> makes the pipeline with settings."""


def grid(
    bases: Bases,
    settings: Iterable[str],
    *,
    seed: int,
) -> Grid:
    """Every base pipeline under every combination of values.

    Args:
        bases: the pipelines.
        settings: `stage.option=value,value,...`. Commas inside brackets or quotes part nothing.
        seed: of all variants, where no setting changes `seed`.

    Raises:
        InputError: a setting has no form, there are too many combinations, or a value is wrong by
            itself; every such error at once.
    """
    _refuse_unknown(bases)
    axes = [_axis(each) for each in settings]
    count = len(bases)
    for axis in axes:
        count *= len(axis)
    if count > MOST:
        raise InputError(
            f"{count:,} variants are too many, {MOST:,} is the most",
            place="--set",
            hint="give fewer values, or sweep one setting after another",
        )
    found: dict[str, Variant] = {}
    possible: set[str] = set()
    wrong: dict[tuple[str, ...], InputError] = {}
    for name, make in bases.items():
        for chosen in product(*axes):
            try:
                spec = make(chosen)
            except InputError as error:
                wrong[name, *chosen] = error
                continue
            possible |= set(chosen)
            own = any(each.partition("=")[0].strip() == "seed" for each in chosen)
            variant = Variant(name, chosen, spec, spec.seed if own else seed)
            found.setdefault(variant.identity, variant)
    hopeless = {each: error for each, error in wrong.items() if not set(each[1:]) <= possible}
    _refuse_mistakes(bases, hopeless if found else wrong)
    told = {" ".join(parts): str(error) for parts, error in wrong.items()}
    return Grid(tuple(found.values()), told)


def _refuse_unknown(bases: Bases) -> None:
    """Raise the errors of pipelines that are wrong as they are."""
    errors: list[InputError] = []
    for make in bases.values():
        try:
            make([])
        except InputError as error:
            errors += error.errors if isinstance(error, InputErrors) else (error,)
    raise_all(errors)


def _refuse_mistakes(bases: Bases, wrong: Mapping[tuple[str, ...], InputError]) -> None:
    """Raise the errors of values that are wrong by themselves, on every pipeline, too; where no
    combination is possible, all errors."""
    errors: dict[str, InputError] = {}
    for parts, error in wrong.items():
        if all(_alone(bases, setting) for setting in parts[1:]):
            continue
        several = error.errors if isinstance(error, InputErrors) else (error,)
        errors |= {str(each): each for each in several}
    raise_all(list(errors.values()))


def _alone(bases: Bases, setting: str) -> bool:
    """Whether some pipeline can be built with one setting."""
    for make in bases.values():
        with suppress(InputError):
            make([setting])
            return True
    return False


def _axis(setting: str) -> list[str]:
    """One setting for each of its values."""
    key, equals, text = setting.partition("=")
    values = list(_parted(text))
    if not equals or not key.strip() or not all(values):
        raise InputError(
            f"not a setting with values: {setting!r}",
            place="--set",
            hint="for instance `route.seats=1,3,5` or `vote=majority,weighted`",
        )
    return list(dict.fromkeys(f"{key.strip()}={value}" for value in values))


def _parted(text: str) -> Iterator[str]:
    """The parts between commas that stand in no brackets and no quotes."""
    depth, quote, part = 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        if letter == "," and depth <= 0 and not quote:
            yield part.strip()
            part = ""
        else:
            part += letter
    yield part.strip()
