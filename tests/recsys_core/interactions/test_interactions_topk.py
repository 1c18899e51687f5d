import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recsys_core.columns import CANDIDATES, ITEM, RANK, USER, check
from recsys_core.errors import TrainingError
from recsys_core.interactions.topk import ranked_lists, top_columns, top_k


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


@pytest.mark.parametrize("batch", [None, 2])
def test_what_is_added_to_the_dot_products_counts(batch: int | None) -> None:
    rng = np.random.default_rng(0)
    users, items = (rng.normal(size=(n, 3)).astype(np.float32) for n in (5, 9))
    more, none = rng.normal(size=(5, 9)).astype(np.float32), np.empty(0, np.int64)
    found, scores = top_k(users, items, none, none, 4, batch, added=lambda some: more[some])
    whole = users @ items.T + more
    assert np.array_equal(found, np.argsort(-whole, axis=1)[:, :4])
    np.testing.assert_allclose(scores, np.take_along_axis(whole, found, axis=1), rtol=1e-5)


def test_vectors_with_nan_are_refused() -> None:
    bad, none = np.full((1, 2), np.nan, np.float32), np.empty(0, np.int64)
    with pytest.raises(TrainingError, match="NaN"):
        top_k(bad, np.ones((3, 2), np.float32), none, none, 2)


def test_candidates_have_ids_and_ranks_from_one() -> None:
    users, items = pl.Series(USER, ["a", "b"]), pl.Series(ITEM, [7, 8, 9])
    indices = np.array([[2, 0], [-1, -1]])  # b knows everything
    scores = np.array([[3, 1], [-np.inf, -np.inf]], np.float32)
    table = check(ranked_lists(users, items, indices, scores), CANDIDATES, table="candidates")
    assert table.select(USER, ITEM, RANK).rows() == [("a", 9, 1), ("a", 7, 2)]


@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 8)), elements=st.integers(0, 3)),
    st.integers(0, 10),
)
def test_the_top_columns_are_those_of_a_stable_sort(scores, k):
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(top_columns(scores, k), expected)


def test_barred_items_are_in_no_list() -> None:
    users, items = np.ones((2, 1), np.float32), np.arange(5, dtype=np.float32)[:, None]
    none = np.empty(0, np.int64)
    indices, _ = top_k(users, items, none, none, 3, barred=np.array([4, 2]))
    assert indices.tolist() == [[3, 1, 0]] * 2
    indices, scores = top_k(users, items, none, none, 5, barred=np.array([4, 2]))
    assert indices[0].tolist() == [3, 1, 0, -1, -1]
    assert scores[0, 3] == -np.inf
