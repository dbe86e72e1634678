"""Whom a run did not trust, and how many liars its answers survive, in words.

Knows the part `trust` of `report.json`, which older reports lack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestra.report.figures import percent


def trust_lines(report: Mapping[str, Any]) -> list[str]:
    """Alarms first, then suspects with their evidence, clones and certificates.

    Empty where there is nothing to say.
    """
    trust = report.get("trust")
    if trust is None:
        return []
    lines = [f"alarm: {alarm}" for alarm in trust["alarms"]]
    lines += [
        f"suspect: {each['expert']} ({each['kind']}, {each['deviation']:.1f} standard deviations): "
        f"{each['detail']}"
        for each in trust["suspects"]
    ]
    if trust["suspects"]:
        lines.append(f"estimated share of liars in the panel: {percent(trust['liars'])}")
    lines += [f"count as one expert: {', '.join(group)}" for group in trust["clones"]]
    return [*lines, *_certificates(trust["certificates"])]


def _surviving(counts: Mapping[str, int], total: int) -> str:
    """Shares of the answers that one liar cannot change, nor two, nor three."""
    told = []
    for liars, words in ((1, "any one liar"), (2, "any two"), (3, "any three")):
        if surviving := sum(n for number, n in counts.items() if int(number) > liars):
            told.append(f"{percent(surviving / total)} survive {words}")
    return ", ".join(told) or "none survives a liar"


def _certificates(found: Mapping[str, Any]) -> list[str]:
    """How many answers it takes one liar, two, ... to change."""
    total = sum(found["experts"].values())
    if not total:
        return []
    lines = [
        f"of {total:,} answers, {_surviving(found['experts'], total)}, who lie on that question",
        f"where they lie on all other questions too: {_surviving(found['everywhere'], total)}",
    ]
    if found["guaranteed"] is not None:
        share = percent(found["guaranteed"] / total)
        lines.append(f"guaranteed against the declared number of liars, wherever they lie: {share}")
    return lines
