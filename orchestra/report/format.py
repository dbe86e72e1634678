"""Numbers as people read them, and the rows of a report, for the terminal and the page alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor
from types import MappingProxyType
from typing import Any

ARMS: Mapping[str, str] = MappingProxyType(
    {
        "best_single": "best single, by profile",
        "best_single_hindsight": "best single, hindsight",
        "random_k": "random seats, majority",
        "majority_same_seats": "same seats, majority",
        "majority_all": "all experts, majority",
        "self_consistency_same_calls": "one expert, same calls",
        "self_synthesis_same_calls": "one expert, own synthesis",
        "oracle_seats": "oracle over the seats",
        "oracle_all": "oracle over all experts",
    }
)
"""The label of each arm of a report. `oracle`: right if any expert is right."""
_NAMED = 8
"""Most experts that a line of advice names."""


def percent(share: float | None, digits: int = 1) -> str:
    """`50.8 %` for 0.508; a dash where there is no number."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def band(interval: Sequence[float] | None) -> str:
    """`49.7 – 52.0 %` for [0.497, 0.520]; a dash where there is none."""
    return "–" if interval is None else f"{100 * interval[0]:.1f} – {100 * interval[1]:.1f} %"


def ends_of(interval: Sequence[float] | None) -> str:
    """`49.7 – 52.0`, in percent without its sign; a dash where there is none."""
    return "–" if interval is None else band(interval)[:-2]


def points(difference: float) -> str:
    """`+1.3` for a difference of shares of 0.013, in points."""
    return f"{100 * difference:+.1f}"


def count(number: float) -> str:
    """`34,980` up to a hundred thousand, `1.2 M` above."""
    if number < 100_000:
        return f"{number:,.0f}"
    return f"{number / 1e3:,.0f} k" if number < 1e6 else f"{number / 1e6:,.1f} M"


def counted(number: int, noun: str) -> str:
    """`1 draw`, `2 draws`, `1,200 draws`; the noun takes an s in the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def dollars(money: float) -> str:
    """`$0.42`; small sums keep their first digits."""
    return f"${money:,.2f}" if money >= 0.1 or money == 0 else f"${money:.2g}"


def money_of(money: float, spending: Mapping[str, Any] | None = None) -> str:
    """`$0.42`; without prices `not known: no prices`, and not the zero that they add up to."""
    lacking = _unpriced(spending)
    if lacking and not money:
        return "not known: no prices"
    return dollars(money) + (f" without {', '.join(lacking)}: no prices" if lacking else "")


def _unpriced(spending: Mapping[str, Any] | None) -> list[str]:
    """The experts whose price is not known."""
    prices = {} if spending is None else spending["prices"]
    return [name for name, source in prices.items() if source == "unknown"]


def price_sources(spending: Mapping[str, Any]) -> str:
    """`litellm and roster`; empty where no price is known."""
    return " and ".join(sorted({*spending["prices"].values()} - {"unknown"}))


def reasons(absent: Mapping[str, int]) -> str:
    """`unparsed 12, refused 3`, most frequent first; `none` for no absence."""
    ranked = sorted(absent.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {number:,}" for name, number in ranked if number) or "none"


def probability(p: float) -> str:
    """A p-value: `0.034`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def scale(intervals: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The ends of an axis that holds every interval, on whole twentieths within [0, 1]."""
    low = min((low for low, _ in intervals), default=0.0)
    high = max((high for _, high in intervals), default=1.0)
    first, last = floor(low * 20 + 1e-9) / 20, min(ceil(high * 20 - 1e-9) / 20, 1.0)
    return (first, last) if last > first else (max(first - 0.05, 0.0), min(first + 0.05, 1.0))


def paid(spending: Mapping[str, Any], money: float) -> str:
    """`$0.42 for 1,200 attempts`: the money of all attempts, beside that of the decisions."""
    # Calls with an unknown outcome are paid at the most that they may have cost.
    most = "at most " if spending["money"] > money + 1e-6 else ""
    attempts = counted(spending["attempts"], "attempt")
    if _unpriced(spending) and spending["attempts"] and not spending["money"]:
        return f"a sum that is not known for {attempts}: no prices"
    return f"{most}{dollars(spending['money'])} for {attempts}"


def arms_of(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """(name, figures) of the run itself, then of every arm that a reader compares it with."""
    own = {
        "accuracy": report["accuracy"],
        "interval": report["interval"],
        "calls_per_question": report["calls_per_question"],
        "tokens": report["tokens"]["input"] + report["tokens"]["output"],
    }
    arms = ((ARMS.get(name, name), row) for name, row in report["arms"].items())
    return [(f"this run: {report['pipeline']}", own), *arms]


def seats_of(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, int]]]:
    """(expert, its calls), most calls first."""
    return sorted(report["seats"].items(), key=lambda pair: (-pair[1]["calls"], pair[0]))


def groupings_of(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Figures by category, and by skill where skills are not the categories."""
    same = set(report["by_skill"]) == set(report["by_category"])
    names = ("category",) if same else ("category", "skill")
    return [(name, report[f"by_{name}"]) for name in names]


def panel_lines(report: Mapping[str, Any]) -> list[str]:
    """What the votes say of the panel, the most important first; empty for reports without."""
    panel, split = report.get("panel"), report.get("split")
    lines = []
    if split and split["n"]:
        alike = split["unanimous"]
        lines.append(
            f"experts differ on {counted(split['n'], 'question')}: {percent(split['accuracy'])} "
            f"right ({band(split['interval'])}); they agree on {alike['n']:,}: "
            f"{percent(alike['accuracy'])} right"
        )
    if not panel:
        return lines
    failing = panel["cofailure"]
    reach = [
        f"{percent(part['ceiling']['value'])} ({band(part['ceiling']['interval'])}) over {words}"
        for name, words in (("seats", "the seats"), ("all", "all experts"))
        if (part := failing.get(name))
    ]
    lines.append(f"ceiling, some expert is right: {'; '.join(reach)}")
    size = panel["effective_size"]
    if size["experts"] > 1:
        lines.append(
            f"{size['experts']} experts vote like {size['kish']:.1f} independent ones "
            f"(correlation of errors {size['correlation'] or 0:.2f})"
        )
    lines.append(_advised(panel["advice"]))
    if placebo := panel["placebo"]:
        low, high = placebo["gain"]["interval"]
        lines.append(
            f"with the weights dealt to others {percent(placebo['accuracy']['value'])} right: "
            f"the weights gain {points(placebo['gain']['value'])} points "
            f"({points(low)} to {points(high)})"
        )
    return lines


def _advised(advice: Mapping[str, Any]) -> str:
    """Which experts can go."""
    margin = f"{100 * advice['margin']:g} point"
    if not advice["drop"]:
        return (
            f"no expert can go with a loss certainly below {margin}, on {advice['n']:,} questions"
        )
    low, high = (points(-end) for end in reversed(advice["loss"]["interval"]))
    more = len(advice["drop"]) - _NAMED
    names = ", ".join(advice["drop"][:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return (
        f"can go with a loss below {margin}: {names} "
        f"(change {low} to {high} points on {advice['n']:,} questions)"
    )


def calibration_words(confidence: Mapping[str, Any]) -> str:
    """Calibration error and Brier score with their intervals, and what the confident half is."""
    error, score = percent(confidence["ece"]), f"{confidence['brier']:.3f}"
    if confidence.get("ece_interval"):
        error += f" ({band(confidence['ece_interval'])})"
        score += " ({:.3f} – {:.3f})".format(*confidence["brier_interval"])
    words = (
        f"expected calibration error {error}, Brier score {score}, "
        f"fitted on {confidence['fitted_on']:,} profiled questions"
    )
    risk = confidence.get("risk_coverage")
    if not risk:
        return words
    half = min(risk["points"], key=lambda each: abs(each["coverage"] - 0.5))
    return (
        f"{words}; the more confident {percent(half['coverage'], 0)} of the answers are "
        f"{percent(half['accuracy'])} right ({band(half['interval'])})"
    )


def trust_lines(report: Mapping[str, Any]) -> list[str]:
    """Alarms first, then suspects with their evidence, clones and certificates.

    Empty where there is nothing to say.
    """
    trust = report.get("trust")
    if trust is None:
        return []
    lines = [f"alarm: {alarm}" for alarm in trust["alarms"]]
    lines += [
        f"suspect: {one['expert']} ({one['kind']}, {one['deviation']:.1f} standard deviations): "
        f"{one['detail']}"
        for one in trust["suspects"]
    ]
    if trust["suspects"]:
        lines.append(f"estimated share of liars in the panel: {percent(trust['liars'])}")
    lines += [f"count as one expert: {', '.join(group)}" for group in trust["clones"]]
    return [*lines, *_certificates(trust["certificates"])]


def _certificates(certificates: Mapping[str, Any]) -> list[str]:
    """How many answers one liar, two or three can change."""
    counts = certificates["experts"]
    if not (total := sum(counts.values())):
        return []
    here, anywhere = (
        _unchanged(numbers, total) for numbers in (counts, certificates["everywhere"])
    )
    lines = [
        f"if liars lie on the question alone: of {counted(total, 'answer')}, {here}",
        f"if liars may lie on all other questions too: {anywhere}",
    ]
    if certificates["guaranteed"] is not None:
        share = percent(certificates["guaranteed"] / total)
        lines.append(f"guaranteed against the declared number of liars, wherever they lie: {share}")
    return lines


def _unchanged(counts: Mapping[str, int], total: int) -> str:
    """Shares of the answers that one liar cannot change, nor two, nor three."""
    shares = [
        f"{percent(left / total)} cannot be changed by {words}"
        for liars, words in ((1, "one liar"), (2, "two"), (3, "three"))
        if (left := sum(n for number, n in counts.items() if int(number) > liars))
    ]
    return ", ".join(shares) or "a single liar could change each of them"


def independence(experts: int, panel: float) -> str:
    """How many independent experts a pool of so many is worth, as a sentence without full stop."""
    if experts < 2:
        return "with one expert there is no vote"
    if panel > 0.95 * experts:
        return f"as far as the profile shows, the {experts} experts err independently of each other"
    return (
        f"the experts err on the same questions more often than by chance: {experts} votes decide "
        f"as well as {panel:.1f} votes of independent experts would"
    )
