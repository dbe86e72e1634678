"""The ways to decide that a red team compares: votes, and defences of a Mixture-of-Agents.

Knows them by the names that users type, and how each is set in a pipeline; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from orchestra.components import build, find, names, parts
from orchestra.config import read_text
from orchestra.errors import InputError, InputErrors, raise_all, unknown
from orchestra.pipeline import Pipeline, Synthesise
from orchestra.synthesis import DEFENCES
from orchestra.voting import Majority, Robust, Voter, Weighted

PLAIN = "moa"
"""A Mixture-of-Agents without a defence."""

UNDEFENDED = ("majority", "weighted", PLAIN)
"""Ways that trust everybody: what a defence is compared with on an honest panel."""

REFERENCE = "weighted"
"""The vote that tells what the panel without its liars would have come to."""

_ALONE = ("synthesise=none",)
_USUAL = ("majority", "weighted", "one-coin", "mmsr", "reputation", "robust")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to decide: a vote, or a model that puts drafts together."""

    name: str
    """As users type it."""
    setting: str
    """What `--set` sets a pipeline to it."""
    voter: Voter | None = None
    """None: drafts are put together."""
    merging: Synthesise | None = None
    """How drafts are put together; None: votes are counted."""
    also: tuple[str, ...] = ()
    """What has to be set with it, so that it is this way that decides."""

    @property
    def settings(self) -> tuple[str, ...]:
        """All that sets a pipeline to it, one for each `--set`."""
        return (self.setting, *self.also)

    @property
    def names_suspects(self) -> bool:
        """Whether it says whom it does not trust."""
        return isinstance(self.voter, Robust)

    @property
    def undefended(self) -> bool:
        """Whether it trusts everybody."""
        return self.name in UNDEFENDED


BASELINES: Mapping[str, Way] = MappingProxyType(
    {
        "majority": Way("majority", "vote=majority", Majority()),
        REFERENCE: Way(REFERENCE, f"vote={REFERENCE}", Weighted()),
    }
)
"""Undefended votes, which are counted whoever is compared."""


def ways_of(names: Iterable[str], pipeline: Pipeline) -> tuple[Way, ...]:
    """The ways of these names, each once; without names the pipeline's own and the usual ones.

    Args:
        names: votes as a pipeline file names them, with their argument after a colon
            (`robust:1`); `moa` and its defences where the pipeline puts drafts together.
        pipeline: whose vote and stages these are.

    Raises:
        InputError: a name is unknown or has no such argument; all of them at once.
    """
    found = _named(list(names), pipeline)
    if pipeline.spec.synthesise.kind == "none":
        return found
    # Votes decide nothing where an aggregator still has its say.
    return tuple([replace(way, also=_ALONE) if way.voter is not None else way for way in found])


def _named(given: Sequence[str], pipeline: Pipeline) -> tuple[Way, ...]:
    merged = _merged(pipeline.spec.synthesise)
    if not given:
        own = vote_name(pipeline.spec.vote)
        votes = {name: _vote(name) for name in _USUAL}
        first = votes.get(own) or replace(_vote(_USUAL[0]), name=own, voter=pipeline.spec.vote)
        return tuple(({own: replace(first, setting=_set(own))} | votes | merged).values())
    found: dict[str, Way] = {}
    errors: list[InputError] = []
    for name in given:
        try:
            way = merged.get(name) or _vote(name, merged)
            found.setdefault(way.name, way)
        except InputErrors as several:
            errors += several.errors
        except InputError as error:
            errors.append(error)
    raise_all(errors)
    return tuple(found.values())


def vote_name(voter: Voter) -> str:
    """How a voter is typed: its name, and its argument where that is not the usual one."""
    component = find("vote", voter.name)
    usual = component.build()
    told = {
        option: getattr(voter, option)
        for option in component.options
        if getattr(voter, option) != getattr(usual, option)
    }
    if not told:
        return voter.name
    return f"{voter.name}:{','.join(str(value) for value in told.values())}"


def _merged(settings: Synthesise) -> dict[str, Way]:
    """`moa` and its defences; nothing where drafts are not put together."""
    if settings.kind == "none":
        return {}
    return {
        PLAIN if name == "none" else name: Way(
            PLAIN if name == "none" else name,
            f"synthesise.defence={name}",
            merging=replace(settings, defence=name),
        )
        for name in DEFENCES
    }


def _vote(text: str, others: Mapping[str, Way] = MappingProxyType({})) -> Way:
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
    return Way(vote_name(voter), _set(vote_name(voter)), voter)


def _set(name: str) -> str:
    vote, _, argument = name.partition(":")
    return f"vote={{{vote}: {argument}}}" if argument else f"vote={vote}"
