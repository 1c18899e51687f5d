import numpy as np
import polars as pl
import pytest
from numpy import log2

from recsys_core.columns import (
    CI_LOW,
    GENRES,
    ITEM,
    METRIC,
    METRICS,
    RANK,
    RATING,
    USER,
    USERS,
    VALUE,
    VECTOR,
    K,
    check,
)
from recsys_core.evaluation.beyond_accuracy import beyond_accuracy, genre_vectors

ITEMS = pl.Series(ITEM, ["a", "b", "c", "d"])
TRAIN = pl.DataFrame({USER: [1, 2, 3, 4, 1], ITEM: ["a", "a", "a", "a", "b"], RATING: [1.0] * 5})
LISTS = pl.DataFrame(
    {USER: [1, 1, 2, 2, 3], ITEM: ["a", "b", "b", "c", "a"], RANK: [1, 2, 1, 2, 1]}
)


def measured(vectors=None, lists=LISTS, cutoffs=(1, 2)):
    table = beyond_accuracy(lists, TRAIN, ITEMS, method="m", cutoffs=cutoffs, vectors=vectors)
    check(table, METRICS, table="metrics")
    return {(row[METRIC], row[K]): row for row in table.iter_rows(named=True)}


def test_coverage_counts_distinct_items_of_the_catalogue():
    table = measured()
    assert table["coverage", 1][VALUE] == 2 / 4
    assert table["coverage", 2][VALUE] == 3 / 4
    assert table["coverage", 1][USERS] == 3
    assert table["coverage", 1][CI_LOW] is None


def test_gini_is_the_mean_absolute_difference():
    exposure = np.array([2, 2, 1, 0])  # at k = 2
    pairs = np.abs(exposure[:, None] - exposure[None, :])
    assert measured()["gini", 2][VALUE] == pytest.approx(pairs.mean() / (2 * exposure.mean()))


def test_gini_is_zero_for_equal_shares_and_highest_for_one_item():
    equal = pl.DataFrame({USER: [1, 2, 3, 4], ITEM: ITEMS, RANK: [1] * 4})
    one = equal.with_columns(pl.lit("a").alias(ITEM))
    assert measured(lists=equal)["gini", 1][VALUE] == 0
    assert measured(lists=one)["gini", 1][VALUE] == pytest.approx(1 - 1 / 4)


def test_novelty_is_the_mean_self_information():
    # Known by: a 4 of 4 users, b 1 of 4, c nobody (counts as one).
    table = measured()
    assert table["novelty", 1][VALUE] == pytest.approx(1 / 3 * (-log2(4 / 4) - log2(1 / 4) + 0))
    user_1, user_2, user_3 = (0 - log2(1 / 4)) / 2, (-log2(1 / 4) - log2(1 / 4)) / 2, 0
    assert table["novelty", 2][VALUE] == pytest.approx((user_1 + user_2 + user_3) / 3)


def test_diversity_is_the_mean_distance_of_all_pairs():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4, 5)).astype(np.float32)
    vectors = pl.DataFrame({ITEM: ITEMS, VECTOR: pl.Series(matrix, dtype=pl.Array(pl.Float32, 5))})
    lists = pl.DataFrame({USER: [1] * 4, ITEM: ["d", "a", "c", "b"], RANK: [1, 2, 3, 4]})
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    for k, rows in ((2, [3, 0]), (4, [3, 0, 2, 1])):
        pairs = [1 - unit[i] @ unit[j] for n, i in enumerate(rows) for j in rows[n + 1 :]]
        found = measured(vectors, lists, (1, 2, 4))["diversity", k][VALUE]
        assert found == pytest.approx(np.mean(pairs), abs=1e-6)
    assert measured(vectors, lists, (1, 2, 4))["diversity", 1][VALUE] is None


def test_items_without_a_vector_or_genres_are_left_out_of_the_pairs():
    table = pl.DataFrame({ITEM: ITEMS, GENRES: [["x"], ["x", "y"], [], None]})
    vectors = genre_vectors(table)
    assert sorted(vectors[ITEM]) == ["a", "b"]
    assert vectors.sort(ITEM)[VECTOR].to_list() == [[1.0, 0.0], [1.0, 1.0]]
    found = measured(vectors)["diversity", 2]
    assert found[VALUE] == pytest.approx(1 - 1 / np.sqrt(2))  # only user 1 has a pair
    assert found[USERS] == 1


def test_a_catalogue_without_any_genre_has_no_diversity():
    table = pl.DataFrame({ITEM: ITEMS, GENRES: pl.Series([[]] * 4, dtype=pl.List(pl.String))})
    assert measured(genre_vectors(table))["diversity", 2][VALUE] is None


def test_lists_shorter_than_the_cutoff_are_taken_as_they_are():
    assert measured(cutoffs=(50,))["coverage", 50][VALUE] == 3 / 4
