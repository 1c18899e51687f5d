"""NDCG of scorers and of pooled sums against the metrics of the evaluation."""

import numpy as np
import pytest
from scipy import sparse

from recsys_core.errors import DataError
from recsys_core.evaluation.metrics import hits_of, ndcg
from recsys_core.graph.components.histories import Histories, InputRows
from recsys_core.graph.components.item_maps import Vectors
from recsys_core.graph.components.selection import candidate_pool as module
from recsys_core.graph.components.selection.candidate_pool import (
    ndcg_of,
    pooled_candidates,
    target_of,
)

USERS, ITEMS, K = 30, 25, 5


def problem(seed: int = 0):
    rng = np.random.default_rng(seed)
    seen, relevant = rng.random((2, USERS, ITEMS)) < [[[0.2]], [[0.15]]]
    relevant &= ~seen
    users, items = np.nonzero(seen)
    histories = Histories(
        users=users, items=items, shape=(USERS, ITEMS), weights=np.ones(len(users), np.float32),
        liked=np.ones(len(users), np.bool_),
    )  # fmt: skip
    rows = InputRows(histories=histories)
    target = target_of(rows, sparse.csr_matrix(relevant.astype(np.float32)), K, most=99, seed=0)
    scorers = {
        name: Vectors(
            users=rng.standard_normal((USERS, 4)).astype(np.float32),
            items=rng.standard_normal((ITEMS, 4)).astype(np.float32),
        )
        for name in ("a", "b")
    }
    return seen, relevant, target, scorers


def expected(scores, seen, relevant, users):
    ranked = np.argsort(-np.where(seen, -np.inf, scores), axis=1)
    hits = np.take_along_axis(relevant, ranked, axis=1)[users]
    return ndcg(hits_of(hits, relevant[users].sum(1), [K]))[:, 0]


def test_ndcg_is_that_of_the_evaluation(monkeypatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_CELLS", 4 * ITEMS)  # blocks of four users
    seen, relevant, target, scorers = problem()
    scores = scorers["a"].users @ scorers["a"].items.T
    np.testing.assert_allclose(
        ndcg_of(scorers["a"], target), expected(scores, seen, relevant, target.users)
    )


@pytest.mark.parametrize("weights", [[1.0, 0.0], [0.3, 2.0]])
def test_a_pool_of_all_items_gives_the_ndcg_of_the_sum(weights) -> None:
    seen, relevant, target, scorers = problem(1)
    pool = pooled_candidates(scorers, target, top=ITEMS)
    scores = sum(
        weight / scale * vectors.users @ vectors.items.T
        for weight, scale, vectors in zip(weights, pool.scales, scorers.values(), strict=True)
    )
    found = pool.ndcg(pool.total(np.array(weights)))
    np.testing.assert_allclose(found, expected(scores, seen, relevant, target.users), atol=1e-5)


def test_a_component_alone_is_ranked_exactly_by_its_own_candidates() -> None:
    _, _, target, scorers = problem(2)
    pool = pooled_candidates(scorers, target, top=K)
    for place, vectors in enumerate(scorers.values()):
        np.testing.assert_allclose(
            pool.ndcg(pool.scores[place]), ndcg_of(vectors, target), atol=1e-5
        )


def test_some_users_are_drawn_where_there_are_too_many() -> None:
    _, relevant, target, _ = problem()
    few = target_of(target.rows, sparse.csr_matrix(relevant.astype(np.float32)), K, most=7, seed=3)
    assert len(few.users) == 7
    assert np.isin(few.users, target.users).all()


def test_validation_rows_without_a_liked_item_are_refused() -> None:
    _, _, target, _ = problem()
    with pytest.raises(DataError, match="No user has a liked item"):
        target_of(target.rows, sparse.csr_matrix((USERS, ITEMS)), K, most=9, seed=0)
