from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestra.routing import PanelModel, Pool
from orchestra.routing.panel_size import LARGEST
from orchestra.skills.estimation import log_odds

if TYPE_CHECKING:
    from tests.routing.conftest import Drawn, PoolOf


def one(model: PanelModel, shares: list[float], weights: list[float]) -> list[float]:
    """`prefixes` of a single panel."""
    found: list[float] = model.prefixes(np.array([shares]), np.array([weights]))[0].tolist()
    return found


def simulated(
    model: PanelModel, shares: list[float], weights: list[float], questions: int
) -> float:
    """Accuracy of the whole panel on made-up questions, drawn as the model says."""
    rng = np.random.default_rng(7)
    difficulty = rng.standard_normal((questions, 1)) * model.spread
    logit = np.log(np.array(shares) / (1 - np.array(shares)))
    centre = logit * np.sqrt(1 + np.pi * model.spread**2 / 8)
    chance = 1 / (1 + np.exp(difficulty - centre))
    right = rng.random(chance.shape) < chance
    popular = ~right & (rng.random(chance.shape) < model.follow)
    lone = ~right & ~popular
    weight = np.array(weights)
    ours, theirs = right @ weight, np.maximum(popular @ weight, (lone * weight).max(axis=1))
    won = np.where(np.isclose(ours, theirs), 0.5, ours > theirs)
    return float(np.where(right.any(axis=1), won, 0).mean())


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("follow", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(
    ("shares", "weights"),
    [
        ([0.6, 0.6, 0.6], [1.0, 1.0, 1.0]),
        ([0.8, 0.5, 0.4, 0.3, 0.6], [3.0, 1.0, 1.5, 1.0, 2.0]),
        ([0.35] * 7, [1.0] * 7),
    ],
)
def test_agrees_with_a_simulation(
    spread: float, follow: float, shares: list[float], weights: list[float]
) -> None:
    model = PanelModel(spread, follow)
    found = one(model, shares, weights)[-1]
    assert found == pytest.approx(simulated(model, shares, weights, 60_000), abs=0.012)


class TestExtremes:
    @pytest.mark.parametrize(("share", "kept"), [(0.0, 0.001), (1.0, 0.999)])
    def test_nobody_is_always_right_or_wrong(self, share: float, kept: float) -> None:
        assert one(PanelModel(0.0, 0.5), [share], [1.0]) == pytest.approx([kept])

    def test_one_expert_is_as_good_as_it_is(self) -> None:
        assert one(PanelModel(0.0, 0.5), [0.37], [1.0]) == pytest.approx([0.37])
        # The mean of a logistic of a normal is approximate: to within a point.
        assert one(PanelModel(2.0, 0.5), [0.37], [1.0]) == pytest.approx([0.37], abs=0.015)

    def test_three_independent_equals_by_hand(self) -> None:
        p, model = 0.6, PanelModel(0.0, 1.0)
        by_hand = p**3 + 3 * p**2 * (1 - p)
        assert one(model, [p] * 3, [1.0] * 3) == pytest.approx([p, p, by_hand])

    def test_errors_that_never_meet_leave_a_single_right_vote_tied(self) -> None:
        p, model = 0.6, PanelModel(0.0, 0.0)
        by_hand = p**3 + 3 * p**2 * (1 - p) + 3 * p * (1 - p) ** 2 * 0.5
        assert one(model, [p] * 3, [1.0] * 3)[-1] == pytest.approx(by_hand)

    def test_a_weight_above_all_others_decides(self) -> None:
        assert one(PanelModel(0.0, 0.5), [0.4, 0.9, 0.9], [5.0, 1.0, 1.0])[-1] == pytest.approx(0.4)

    def test_votes_add_little_where_difficulty_decides(self) -> None:
        gains = [
            one(PanelModel(spread, 0.5), [0.6] * 5, [1.0] * 5)[-1] - 0.6
            for spread in (0.0, 1.5, 6.0)
        ]
        assert gains[0] > gains[1] > gains[2]
        assert gains[0] > 0.15
        assert gains[2] < 0.08


shares = st.lists(st.floats(0.2, 0.95), min_size=1, max_size=5)


@settings(max_examples=50)
@given(shares, st.floats(0, 4), st.floats(0, 1), st.data())
def test_a_better_expert_makes_no_panel_worse(
    row: list[float], spread: float, follow: float, data: st.DataObject
) -> None:
    model, weights = PanelModel(spread, follow), [1.0] * len(row)
    better = list(row)
    better[data.draw(st.integers(0, len(row) - 1))] += 0.04
    assert one(model, better, weights)[-1] >= one(model, row, weights)[-1] - 1e-9


@settings(max_examples=50)
@given(shares, st.floats(0, 4), st.floats(0, 1))
def test_the_more_errors_meet_the_worse(row: list[float], spread: float, follow: float) -> None:
    weights = [1.0] * len(row)
    alike = one(PanelModel(spread, min(follow + 0.2, 1.0)), row, weights)[-1]
    assert alike <= one(PanelModel(spread, follow), row, weights)[-1] + 1e-9


@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.floats(0.05, 0.95)] * 4), min_size=1, max_size=4))
def test_panels_are_told_the_same_alone_and_together(rows: list[tuple[float, ...]]) -> None:
    model, panels = PanelModel(1.2, 0.5), np.array(rows)
    weights = np.array([[log_odds(p, 3.0) for p in row] for row in rows])
    together = model.prefixes(panels, weights)
    assert together.shape == panels.shape
    for i in range(len(rows)):
        alone = model.prefixes(panels[i : i + 1], weights[i : i + 1])
        assert together[i] == pytest.approx(alone[0], abs=1e-12)


def test_more_panels_than_are_done_at_once() -> None:
    panels = np.tile([[0.7, 0.6, 0.5]], (1000, 1))
    found = PanelModel(1.0, 0.5).prefixes(panels, panels)
    assert found.shape == (1000, 3)
    assert (found == found[0]).all()


def test_no_panels() -> None:
    assert PanelModel(1.0, 0.5).prefixes(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)


class TestFit:
    def test_independent_experts_have_little_spread(self, drawn: Drawn) -> None:
        pool = drawn({f"e{i}": 0.4 + 0.05 * i for i in range(6)}, 600)
        assert PanelModel.fit(pool).spread < 0.8

    def test_experts_right_together_have_much(self, pool_of: PoolOf) -> None:
        row = "+" * 30 + "x" * 30
        assert PanelModel.fit(pool_of({"ann": row, "bob": row, "cid": row})).spread > 4

    def test_recovers_the_spread_of_a_simulated_pool(self, pool_of: PoolOf) -> None:
        rng = np.random.default_rng(3)
        chance = 1 / (1 + np.exp(2.0 * rng.standard_normal((4000, 1)) - np.zeros((1, 6))))
        right = rng.random(chance.shape) < chance
        records = {f"e{i}": "".join("+" if each else "x" for each in right[:, i]) for i in range(6)}
        assert PanelModel.fit(pool_of(records)).spread == pytest.approx(2.0, abs=0.3)

    @pytest.mark.parametrize(
        ("other", "follow"), [("x" * 40, (44 - 3.7) / 41), ("y" * 40, 0.3 / 41)]
    )
    def test_follow_is_the_root_of_the_chance_to_err_alike(
        self, pool_of: PoolOf, other: str, follow: float
    ) -> None:
        model = PanelModel.fit(pool_of({"ann": "x" * 40, "bob": other}))
        assert model.follow**2 == pytest.approx(follow)

    def test_questions_that_an_expert_was_not_asked_say_nothing_of_it(
        self, pool_of: PoolOf
    ) -> None:
        asked, unasked = {"ann": "+x+x+xxx", "bob": "+x+xx+xx"}, "........"
        alone = PanelModel.fit(pool_of(asked))
        padded = PanelModel.fit(pool_of({name: row + unasked for name, row in asked.items()}))
        assert padded == alone

    @pytest.mark.parametrize(
        "records", [{"ann": "+x+x"}, {"ann": "++..", "bob": "..+x"}, {"ann": "..", "bob": ".."}]
    )
    def test_without_pairs_experts_count_as_independent(
        self, pool_of: PoolOf, records: dict[str, str]
    ) -> None:
        assert PanelModel.fit(pool_of(records)) == PanelModel(0.0, 0.5)
        assert PanelModel.fit(Pool(("ann", "bob"))) == PanelModel(0.0, 0.5)

    def test_only_the_best_experts_count(self, pool_of: PoolOf) -> None:
        best = {"ann": "+++x+++x" * 5, "bob": "++++x++x" * 5}
        weak = {f"e{i}": "x" * 40 for i in range(9)}
        assert PanelModel.fit(pool_of(weak | best), most=2) == PanelModel.fit(pool_of(best))


def test_every_outcome_is_counted_once() -> None:
    """Against a sum over all outcomes, written plainly; two against one may tie."""
    row, weights, follow = [0.7, 0.45, 0.6], [1.5, 0.25, 1.25], 0.3
    total = 0.0
    for states in product("rpl", repeat=3):
        chance, votes = 1.0, {"r": 0.0, "p": 0.0}
        for i, state in enumerate(states):
            chance *= {"r": row[i], "p": (1 - row[i]) * follow, "l": (1 - row[i]) * (1 - follow)}[
                state
            ]
            key = f"l{i}" if state == "l" else state
            votes[key] = votes.get(key, 0.0) + weights[i]
        ours = votes.pop("r")
        theirs = max(votes.values())
        total += chance * (0 if not ours else 1 if ours > theirs else 0.5 if ours == theirs else 0)
    assert one(PanelModel(0.0, follow), row, weights)[-1] == pytest.approx(total)
    assert len(row) <= LARGEST
