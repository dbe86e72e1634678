"""The defences that a red team compares: votes, and those of a Mixture-of-Agents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from orchestra.components import build, find, names, parts
from orchestra.config import read_text
from orchestra.errors import InputError, InputErrors, raise_all, unknown
from orchestra.pipeline import Pipeline, PipelineSpec, Synthesise
from orchestra.synthesis import DEFENCES
from orchestra.voting import Majority, Robust, Voter, Weighted

PLAIN = "moa"
"""A Mixture-of-Agents without a defence."""

UNDEFENDED = ("majority", "weighted", PLAIN)
"""Methods that trust everybody: what a defence is compared with on an honest panel."""

REFERENCE = "weighted"
"""The vote that shows what the panel without its liars would have decided."""

_ALONE = ("synthesise=none",)
_USUAL = ("majority", "weighted", "one-coin", "mmsr", "reputation", "robust")


@dataclass(frozen=True, slots=True)
class Defence:
    """One method to decide: a vote, or an aggregator with its defence."""

    name: str
    """As users type it."""
    setting: str
    """What `--set` sets a pipeline to it."""
    voter: Voter | None = None
    """None: an aggregator decides."""
    merging: Synthesise | None = None
    """Options of the aggregator; None: votes are counted."""
    also: tuple[str, ...] = ()
    """What has to be set with it, so that it decides."""

    @property
    def settings(self) -> tuple[str, ...]:
        """All that sets a pipeline to it, one for each `--set`."""
        return (self.setting, *self.also)

    @property
    def names_suspects(self) -> bool:
        """Whether it names the experts that it does not trust."""
        return isinstance(self.voter, Robust)

    @property
    def undefended(self) -> bool:
        """Whether it trusts everybody."""
        return self.name in UNDEFENDED

    def of(self, spec: PipelineSpec) -> PipelineSpec:
        """A pipeline's stages, set to it."""
        chosen = {"vote": self.voter, "synthesise": self.merging}
        stages = [
            replace(each, options=chosen.get(each.stage) or each.options)
            for each in spec.stages
            if each.stage != "synthesise" or self.merging is not None
        ]
        return replace(spec, stages=tuple(stages))


BASELINES: Mapping[str, Defence] = MappingProxyType(
    {
        "majority": Defence("majority", "vote=majority", Majority()),
        REFERENCE: Defence(REFERENCE, f"vote={REFERENCE}", Weighted()),
    }
)
"""Undefended votes, which are counted whatever is compared."""


def defences_of(names: Iterable[str], pipeline: Pipeline) -> tuple[Defence, ...]:
    """The defences of these names, each once; by default the pipeline's own and the usual ones.

    Args:
        names: votes as a pipeline file names them, with their argument after a colon
            (`robust:1`); `moa` and its defences where the pipeline puts drafts together.
        pipeline: its vote and stages count.

    Raises:
        InputError: a name is unknown or has no such argument; all of them at once.
    """
    found = _named(list(names), pipeline)
    if pipeline.spec.synthesise.kind == "none":
        return found
    # Votes decide nothing where an aggregator decides after them.
    return tuple([replace(each, also=_ALONE) if each.voter is not None else each for each in found])


def _named(given: Sequence[str], pipeline: Pipeline) -> tuple[Defence, ...]:
    merged = _merged(pipeline.spec.synthesise)
    if not given:
        own = vote_name(pipeline.spec.vote)
        votes = {name: _vote(name) for name in _USUAL}
        first = votes.get(own) or replace(_vote(_USUAL[0]), name=own, voter=pipeline.spec.vote)
        return tuple(({own: replace(first, setting=_set(own))} | votes | merged).values())
    found: dict[str, Defence] = {}
    errors: list[InputError] = []
    for name in given:
        try:
            defence = merged.get(name) or _vote(name, merged)
            found.setdefault(defence.name, defence)
        except InputErrors as several:
            errors += several.errors
        except InputError as error:
            errors.append(error)
    raise_all(errors)
    return tuple(found.values())


def vote_name(voter: Voter) -> str:
    """How users type a voter: its name, and its argument where that is not the default."""
    component = find("vote", voter.name)
    usual = component.build()
    options = [(getattr(voter, each), getattr(usual, each)) for each in component.options]
    other = [str(value) for value, default in options if value != default]
    return f"{voter.name}:{','.join(other)}" if other else voter.name


def _merged(settings: Synthesise) -> dict[str, Defence]:
    """`moa` and its defences; nothing where drafts are not put together."""
    if settings.kind == "none":
        return {}
    return {
        PLAIN if name == "none" else name: Defence(
            PLAIN if name == "none" else name,
            f"synthesise.defence={name}",
            merging=replace(settings, defence=name),
        )
        for name in DEFENCES
    }


def _vote(text: str, others: Mapping[str, Defence] = MappingProxyType({})) -> Defence:
    name, colon, argument = text.partition(":")
    place = "--defence"
    if name not in names("vote"):
        known = {*names("vote"), *others}
        if name == "none":
            raise InputError(
                "unknown defence: 'none'",
                place=place,
                hint="undefended are the votes `majority` and `weighted`, "
                + (
                    f"and the aggregator as `{PLAIN}`"
                    if others
                    else f"and `{PLAIN}` where a pipeline has a `synthesise` stage: this has none"
                ),
            )
        if name in {PLAIN, *DEFENCES} - {"none"} - known:
            raise InputError(
                f"`{name}` puts drafts together, and the pipeline has no `synthesise` stage",
                place=place,
                hint="`--set synthesise={moa: NAME}` has an expert put them together",
            )
        raise unknown("defence", name, known, place=place)
    options: dict[str, Any] = {}
    if colon:
        value = dict(read_text(f"value: {argument}", place).data)["value"]
        name, options = parts("vote", {name: value}, place=place)
    voter: Voter = build("vote", name, options, place=place)
    return Defence(vote_name(voter), _set(vote_name(voter)), voter)


def _set(name: str) -> str:
    vote, _, argument = name.partition(":")
    return f"vote={{{vote}: {argument}}}" if argument else f"vote={vote}"
