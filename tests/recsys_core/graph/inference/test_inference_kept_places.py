"""Hysteresis of lists: what stays, what a better newcomer takes, and what is never kept."""

import numpy as np
import polars as pl
import pytest

from recsys_core.columns import CANDIDATES, ITEM, RANK, SCORE, USER
from recsys_core.graph.inference.kept_places import KeptPlaces, keep_places
from recsys_core.interactions.topk import Floats, Indices, top_k

USERS, ITEMS, K, HEAD = 40, 12, 9, 6
IDS = pl.Series(USER, range(USERS)), pl.Series(ITEM, range(ITEMS))


def before(scores: Floats) -> pl.DataFrame:
    """The lists of a run with these scores (n_users, n_items)."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    rows = [
        (user, int(item), rank, float(scores[user, item]))
        for user, items in enumerate(best)
        for rank, item in enumerate(items, 1)
    ]
    types = {USER: pl.Int64, ITEM: pl.Int64, RANK: CANDIDATES[RANK], SCORE: CANDIDATES[SCORE]}
    return pl.DataFrame(rows, schema=types, orient="row")


def lists(
    last: pl.DataFrame, scores: Floats, *, margin: float = 2.0,
    seen: tuple[list[int], list[int]] = ([], []), barred: list[int] | None = None,
) -> KeptPlaces:  # fmt: skip
    """Lists by the scores, which stand as what is added to vectors of zeros."""
    nothing = np.zeros((USERS, 1), np.float32), np.zeros((ITEMS, 1), np.float32)

    def top(added: object) -> tuple[Indices, Floats]:
        known = np.array(seen[0], np.int64), np.array(seen[1], np.int64)
        gone = np.array(barred or [], np.int64)
        return top_k(*nothing, *known, K, added=added, barred=gone)  # type: ignore[arg-type]

    return keep_places(
        top,
        lambda users: scores[users].copy(),
        last,
        users=IDS[0],
        items=IDS[1],
        head=HEAD,
        margin=margin,
    )


@pytest.fixture
def scores() -> Floats:
    """Items at even distances of one, the first the best."""
    return np.tile(np.arange(ITEMS, 0, -1), (USERS, 1)).astype(np.float32)


def noisy(scores: Floats, size: float, seed: int = 0) -> Floats:
    moved = np.random.default_rng(seed).normal(size=scores.shape) * size
    return (scores + moved).astype(np.float32)


def sets(found: Indices) -> list[set[int]]:
    return [set(row[:HEAD].tolist()) for row in found]


def test_noise_changes_fewer_lists_with_a_margin(scores: Floats) -> None:
    now = noisy(scores, 0.8)
    free, held = (lists(before(scores), now, margin=one) for one in (0.0, 2.0))
    assert free.kept == 0
    changed = [
        sum(one != set(range(HEAD)) for one in sets(found.indices)) for found in (free, held)
    ]
    assert changed[1] < changed[0] / 3
    assert held.kept >= changed[0] - changed[1]


def test_the_noise_is_what_moved_in_spreads_of_the_lists(scores: Floats) -> None:
    size = 0.1
    found = lists(before(scores), noisy(scores, size))
    spread = np.std(np.arange(HEAD), ddof=1)
    assert found.noise == pytest.approx(size / spread, rel=0.25)


def test_another_unit_of_the_scores_is_no_noise(scores: Floats) -> None:
    assert lists(before(scores), 7 * scores - 3).noise == pytest.approx(0, abs=1e-6)


def test_a_newcomer_that_is_better_by_more_than_the_noise_takes_its_place(scores: Floats) -> None:
    now = noisy(scores, 0.05)
    now[3, ITEMS - 1] = scores.max() + 1
    found = lists(before(scores), now)
    assert found.indices[3, 0] == ITEMS - 1
    assert found.scores[3, 0] == now[3, ITEMS - 1]


def test_the_order_within_the_head_and_behind_it_is_that_of_the_scores(scores: Floats) -> None:
    now = noisy(scores, 0.8)
    found = lists(before(scores), now)
    shown = np.take_along_axis(now, found.indices, axis=1)
    assert (np.diff(shown[:, :HEAD], axis=1) <= 0).all()
    assert (np.diff(shown[:, HEAD:], axis=1) <= 0).all()
    assert (np.diff(shown, axis=1) > 0).any(), "somebody stayed although somebody else is better"
    np.testing.assert_allclose(found.scores, shown, rtol=1e-5)


def test_what_is_rated_by_now_or_may_not_be_recommended_is_never_kept(scores: Floats) -> None:
    everybody = list(range(USERS))
    now = noisy(scores, 0.8)
    found = lists(before(scores), now, margin=10, seen=(everybody, [2] * USERS), barred=[4])
    assert not np.isin(found.indices, [2, 4]).any()


def test_without_shared_items_or_users_lists_are_by_the_scores_alone(scores: Floats) -> None:
    now = noisy(scores, 0.8)
    others = before(scores).with_columns(pl.col(USER) + USERS)
    unknown = before(scores).with_columns(pl.col(ITEM) + ITEMS)
    free = lists(before(scores), now, margin=0.0)
    for last in (others, before(scores).clear(), unknown):
        found = lists(last, now, margin=2.0)
        assert np.array_equal(found.indices, free.indices)
        assert np.array_equal(found.scores, free.scores)
        assert found.kept == 0
