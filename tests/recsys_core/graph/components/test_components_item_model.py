"""The served sum against dense sums: scores, lists, contributions, tables."""

import json

import numpy as np
import pytest
from scipy import sparse

from recsys_core.columns import check
from recsys_core.graph.components.histories import (
    Histories,
    HistoryInput,
    InputRows,
    UsualRatings,
)
from recsys_core.graph.components.item_maps import ItemPrior, LowRankMap, SparseMap, Vectors
from recsys_core.graph.components.item_model import TABLES, ItemToItemModel, summed

USERS, ITEMS = 17, 11
DECAYED, DEVIATIONS = HistoryInput(decay=0.5), HistoryInput(kind="deviations")
EVERYBODY = np.arange(USERS)


@pytest.fixture
def histories() -> Histories:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.4)
    ratings = rng.integers(1, 6, len(users)).astype(np.float32)
    return Histories(
        users=users, items=items, shape=(USERS, ITEMS), ratings=ratings,
        weights=(ratings >= 4).astype(np.float32), liked=ratings >= 4,
        order=rng.random(len(users)),
    )  # fmt: skip


def parts(seed: int = 1):
    rng = np.random.default_rng(seed)

    def square(wanted: HistoryInput) -> SparseMap:
        values = rng.standard_normal((ITEMS, ITEMS)) * (rng.random((ITEMS, ITEMS)) < 0.6)
        return SparseMap(input=wanted, weights=sparse.csr_matrix(values.astype(np.float32)))

    def pair(wanted: HistoryInput) -> LowRankMap:
        rated, scored = rng.standard_normal((2, ITEMS, 3)).astype(np.float32)
        return LowRankMap(input=wanted, rated=rated, scored=scored)

    prior = ItemPrior(values=rng.random(ITEMS).astype(np.float32))
    maps = [square(HistoryInput()), square(HistoryInput()), square(DECAYED), square(DEVIATIONS)]
    weights = [1.0, 0.5, 2.0, 0.3, 0.7, 1.5, 4.0]
    return list(zip([*maps, pair(DECAYED), pair(DECAYED), prior], weights, strict=True))


def model_of(histories: Histories, **options) -> ItemToItemModel:
    return summed(parts(), ITEMS, usual=UsualRatings.of(histories, 5.0), **options)


def test_the_model_scores_the_weighted_sum_of_its_parts(histories) -> None:
    model = model_of(histories)
    rows = InputRows(histories=histories, usual=model.usual)
    expected = sum(weight * part.scores(rows, EVERYBODY) for part, weight in parts())
    np.testing.assert_allclose(model.scores(histories, EVERYBODY), expected, atol=1e-4)
    assert set(model.maps) == {HistoryInput(), DECAYED, DEVIATIONS}
    assert model.low_rank[DECAYED][0].shape == (ITEMS, 6)


@pytest.mark.parametrize("block", [None, 1, 4])
def test_lists_are_the_best_unseen_items(histories, block) -> None:
    rng, model = np.random.default_rng(3), model_of(histories)
    network = Vectors(
        users=rng.standard_normal((USERS, 2)).astype(np.float32),
        items=rng.standard_normal((ITEMS, 2)).astype(np.float32),
    )
    items, values = model.top_k(histories, 8, network=network, block=block)
    scores = model.scores(histories, EVERYBODY) + network.users @ network.items.T
    scores[histories.users, histories.items] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :8]
    best = np.take_along_axis(scores, order, axis=1)
    np.testing.assert_array_equal(items, np.where(best == -np.inf, -1, order))
    np.testing.assert_allclose(values, best, atol=1e-5)
    assert (items == -1).any()  # somebody has rated too many for a list of eight


def test_equal_scores_rank_the_lower_item_first(histories) -> None:
    model = summed([(ItemPrior(values=np.ones(ITEMS, np.float32)), 1.0)], ITEMS)
    items, _ = model.top_k(histories, 3, seen=sparse.csr_matrix((USERS, ITEMS)))
    assert (items == [0, 1, 2]).all()


def test_a_list_longer_than_the_catalogue_is_filled_up(histories) -> None:
    model = summed([(ItemPrior(values=np.ones(ITEMS, np.float32)), 1.0)], ITEMS)
    items, values = model.top_k(histories, ITEMS + 4)
    assert (items[:, ITEMS:] == -1).all()
    assert (values[:, ITEMS:] == -np.inf).all()


def test_contributions_and_the_prior_sum_to_the_scores(histories) -> None:
    model, items = model_of(histories), np.array([7, 0, 3])
    for user in range(USERS):
        one = histories.of_users(np.array([user]))
        total = model.contributions(one, items).sum(0) + model.prior[items]
        np.testing.assert_allclose(total, model.scores(one, np.array([0]))[0, items], atol=1e-4)


def test_a_cut_keeps_the_largest_entries_of_every_row(histories) -> None:
    whole, cut = model_of(histories), model_of(histories, most=2)
    for wanted, weights in cut.maps.items():
        full = np.abs(whole.maps[wanted].toarray())
        assert np.diff(weights.indptr).max() <= 2
        np.testing.assert_allclose(
            np.abs(weights.toarray()).sum(1), np.sort(full, axis=1)[:, -2:].sum(1), rtol=1e-5
        )


def test_the_tables_hold_the_whole_model(histories) -> None:
    model = model_of(histories, facts={"effort": "quick"})
    tables = model.tables()
    assert set(tables) == set(TABLES)
    for name, table in tables.items():
        check(table, TABLES[name], table=name)
    facts = json.loads(json.dumps(model.facts))
    again = ItemToItemModel.from_tables(tables, facts)
    np.testing.assert_array_equal(
        again.scores(histories, EVERYBODY), model.scores(histories, EVERYBODY)
    )
    assert again.facts == facts


def test_a_model_of_nothing_is_stored_and_scores_zero(histories) -> None:
    model = summed([], ITEMS)
    again = ItemToItemModel.from_tables(model.tables(), model.facts)
    assert not again.scores(histories, EVERYBODY).any()
    assert again.usual is None
