import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import CANDIDATES, ITEM, RANK, USER, check
from recsys_core.errors import TrainingError
from recsys_core.graph.inference.topk import candidates, top_k
from recsys_core.graph.interaction_graph import Bipartite, Edges
from recsys_core.graph.training.early_stopping import Validator
from tests.graph_world import edges_of


@given(
    n_users=st.integers(1, 6), n_items=st.integers(1, 8), k=st.integers(1, 10),
    batch=st.none() | st.integers(1, 4), seed=st.integers(0, 999),
)  # fmt: skip
def test_top_k_equals_a_full_sort_with_ties_by_item(
    n_users: int, n_items: int, k: int, batch: int | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    users = rng.integers(-1, 2, (n_users, 2)).astype(np.float32)  # few values: many ties
    items = rng.integers(-1, 2, (n_items, 2)).astype(np.float32)
    seen = np.argwhere(rng.random((n_users, n_items)) < 0.4)
    found, scores = top_k(users, items, seen[:, 0], seen[:, 1], k, batch)
    assert found.shape == scores.shape == (n_users, k)
    known = {tuple(pair) for pair in seen.tolist()}
    for user in range(n_users):
        all_scores = users[user] @ items.T
        left = [item for item in range(n_items) if (user, item) not in known]
        wanted = sorted(left, key=lambda item: (-all_scores[item], item))[:k]
        padding = k - len(wanted)
        assert found[user].tolist() == wanted + [-1] * padding
        assert scores[user].tolist() == [all_scores[i] for i in wanted] + [-np.inf] * padding


def test_vectors_with_nan_are_refused() -> None:
    bad, none = np.full((1, 2), np.nan, np.float32), np.empty(0, np.int64)
    with pytest.raises(TrainingError, match="NaN"):
        top_k(bad, np.ones((3, 2), np.float32), none, none, 2)


def test_candidates_have_ids_and_ranks_from_one() -> None:
    graph = Bipartite(
        user_ids=pl.Series(USER, ["a", "b"]), item_ids=pl.Series(ITEM, [7, 8, 9]),
        edges=Edges.empty(),
    )  # fmt: skip
    indices = np.array([[2, 0], [-1, -1]])  # b knows everything
    scores = np.array([[3, 1], [-np.inf, -np.inf]], np.float32)
    table = check(candidates(graph, indices, scores), CANDIDATES, table="candidates")
    assert table.select(USER, ITEM, RANK).rows() == [("a", 9, 1), ("a", 7, 2)]


def test_validation_ndcg_by_hand() -> None:
    train = edges_of([0], [0], 1)
    held_out = edges_of([0, 0, 1, 1], [2, 3, 0, 1], [5, 5, 4, 1])
    validator = Validator(train, held_out, n_items=4, like_from=4, k=2)
    scores = np.array([[9, 3, 2, 1], [1, 2, 3, 0]], np.float32)  # lists: 0: 1 2, 1: 2 1
    first, second = 1 / np.log2(2), 1 / np.log2(3)
    wanted = (second / (first + second) + 0 / first) / 2
    assert validator.n_users == 2
    assert validator.ndcg(scores, np.eye(4, dtype=np.float32)) == pytest.approx(wanted)
