"""Causes keep their strength over retrainings, and never against the truth of today."""

import numpy as np
import polars as pl
import pytest

from recsys_core import columns as c
from recsys_core.explanations.attribution.kinds import (
    ATTRIBUTES,
    LIKED,
    POPULARITY,
    PROFILE,
    STRONGEST,
)
from recsys_core.explanations.attribution.strengths import (
    CITABLE,
    MAIN,
    STRONG,
    WEAK,
    citable,
    rests_on,
    strongest_ratings,
    with_strengths,
)

SCHEMA = {**c.ATTRIBUTIONS, c.USER: pl.Int64, c.ITEM: pl.Int64, c.CAUSE: pl.Int64}


def causes(drops: dict[int, float], *, item: int = 1, **signs: int) -> pl.DataFrame:
    """Liked titles with these drops; signs of contributions by title, `t7=-1`."""
    rows = [
        {c.USER: 1, c.ITEM: item, c.CAUSE: cause, c.KIND: LIKED, c.DROP: drop,
         c.SIGN: signs.get(f"t{cause}", 1), c.SHARE: 0.1}
        for cause, drop in drops.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SCHEMA)


def strengths(table: pl.DataFrame) -> dict[int, str]:
    rows = table.filter(pl.col(c.KIND) == LIKED).drop_nulls(c.STRENGTH)
    return dict(rows.select(c.CAUSE, c.STRENGTH).iter_rows())


def test_without_a_last_run_strength_follows_the_drops_alone():
    table = causes({7: 1.0, 8: 0.4, 9: 0.39, 10: 0.1, 11: 0.09, 12: -0.5, 13: 0.8}, t13=-1)
    found = with_strengths(table)
    assert strengths(found) == {7: MAIN, 8: STRONG, 9: WEAK, 10: WEAK}
    assert found.drop(c.STRENGTH).equals(table.drop(c.STRENGTH)), "nothing else changes"
    assert list(found.columns) == list(c.ATTRIBUTIONS)


def test_no_more_than_a_few_titles_may_be_cited_and_the_strongest_come_first():
    found = citable(with_strengths(causes({cause: 1.0 - cause / 100 for cause in range(9)})))
    assert found[c.CAUSE].to_list() == list(range(CITABLE))
    assert found[c.INFLUENCE].to_list() == [100, 99, 98, 97, 96]


LAST = with_strengths(causes({1: 1.0, 2: 0.8, 3: 0.7, 4: 0.5, 5: 0.3, 6: 0.25}))


def test_what_retraining_moves_a_little_stays_as_it_was():
    # The order of all, the boundary of the five, and that of strong and weak are crossed.
    moved = causes({1: 0.97, 2: 1.0, 3: 0.7, 4: 0.36, 5: 0.28, 6: 0.3})
    assert strengths(with_strengths(moved, last=LAST, margin=10)) == strengths(LAST)
    assert strengths(with_strengths(moved, last=LAST)) == {
        1: STRONG, 2: MAIN, 3: STRONG, 4: WEAK, 6: WEAK,
    }  # fmt: skip


def test_what_moves_by_more_than_the_margin_changes():
    moved = causes({1: 0.85, 2: 1.0, 3: 0.7, 4: 0.29, 5: 0.2, 6: 0.6})
    assert strengths(with_strengths(moved, last=LAST, margin=10)) == {
        1: STRONG, 2: MAIN, 3: STRONG, 4: WEAK, 6: STRONG,
    }  # fmt: skip


def test_what_does_not_raise_the_score_any_more_is_never_kept():
    moved = causes({1: -0.001, 2: 1.0, 3: 0.7, 4: 0.5, 5: 0.3, 6: 0.25}, t3=-1)
    found = strengths(with_strengths(moved, last=LAST, margin=10))
    assert found == {2: MAIN, 4: STRONG, 5: WEAK, 6: WEAK}


def test_a_weak_cause_of_before_stays_below_the_bound_for_newcomers():
    last = with_strengths(causes({1: 1.0, 2: 0.11}))
    moved = causes({1: 1.0, 2: 0.02, 3: 0.09})
    assert strengths(with_strengths(moved, last=last, margin=10)) == {1: MAIN, 2: WEAK}


def test_a_title_that_was_no_cause_of_a_known_entry_needs_the_margin_to_become_one():
    last = with_strengths(causes({1: 1.0, 2: 0.09, 3: 0.09}))
    moved = causes({1: 1.0, 2: 0.11, 3: 0.21})
    assert strengths(with_strengths(moved, last=last, margin=10)) == {1: MAIN, 3: WEAK}
    assert strengths(with_strengths(moved)) == {1: MAIN, 2: WEAK, 3: WEAK}


def test_of_the_ratings_that_are_kept_those_that_may_be_cited_are_always_some():
    drops = np.zeros((30, 2), np.float32)
    drops[:, 0] = -1 - np.arange(30) / 100
    drops[[3, 8, 9], 0] = 0.01, 0.02, 0.5
    drops[:, 1] = np.arange(30)
    liked = np.arange(30) != 9
    found = strongest_ratings(drops, liked)
    assert found.shape == (STRONGEST, 2)
    assert found[:, 0].tolist() == [29, 28, 27, 26, 25, 24, 23, 22, 8, 3]
    assert found[:, 1].tolist() == list(range(29, 19, -1))
    assert strongest_ratings(np.zeros((0, 2), np.float32), liked[:0]).shape == (0, 2)
    before = np.zeros((30, 2), np.bool_)
    before[[5, 8], [1, 0]] = True
    before[0] = True  # does not raise a score any more
    found = strongest_ratings(drops, liked, before)
    assert found[:, 0].tolist() == [29, 28, 27, 26, 25, 24, 23, 22, 8, 3]
    assert found[:, 1].tolist() == [*range(29, 20, -1), 5]


def test_causes_of_another_item_user_or_type_of_ids_say_nothing():
    moved = causes({1: 0.97, 2: 1.0}, item=2)
    plain = with_strengths(moved)
    assert with_strengths(moved, last=LAST, margin=50).equals(plain)
    strings = LAST.with_columns(pl.col(c.USER).cast(pl.String))
    assert with_strengths(moved, last=strings, margin=50).equals(plain)


def test_what_else_a_recommendation_rests_on_stays_too():
    def others(profile: float, popularity: float, known: float) -> pl.DataFrame:
        rows = [
            {c.USER: 1, c.ITEM: 1, c.KIND: kind, c.SHARE: share, c.SIGN: 1, c.PEOPLE: people}
            for kind, share, people in [
                (PROFILE, profile, None), (POPULARITY, popularity, 12), (ATTRIBUTES, known, None)
            ]
        ]  # fmt: skip
        return pl.DataFrame(rows, schema=SCHEMA)

    def kind(table: pl.DataFrame) -> tuple[str, int]:
        return rests_on(table).select(c.KIND, c.PEOPLE).row(0)

    last = with_strengths(others(0.4, 0.3, 0.1))
    assert kind(last) == (PROFILE, 12)
    assert kind(with_strengths(others(0.37, 0.4, 0.1), last=last, margin=10)) == (PROFILE, 12)
    assert kind(with_strengths(others(0.3, 0.4, 0.1), last=last, margin=10)) == (POPULARITY, 12)
    assert kind(with_strengths(others(0.37, 0.4, 0.1))) == (POPULARITY, 12)


@pytest.mark.parametrize("seed", range(5))
def test_a_kept_cause_is_among_the_strongest_within_the_margin(seed: int):
    rng = np.random.default_rng(seed)
    drops = dict(enumerate(rng.exponential(size=10).tolist()))
    moved = {cause: drop + 0.02 * rng.normal() for cause, drop in drops.items()}
    last = with_strengths(causes(drops))
    found = with_strengths(causes(moved), last=last, margin=10)
    chosen = citable(found)
    influence = {cause: 100 * drop / max(moved.values()) for cause, drop in moved.items()}
    fifth = sorted(influence.values(), reverse=True)[CITABLE - 1]
    assert all(influence[cause] >= min(fifth, 10) - 10 for cause in chosen[c.CAUSE])
    main = chosen.filter(pl.col(c.STRENGTH) == MAIN)[c.CAUSE].item()
    assert influence[main] >= 90
    again = with_strengths(causes(moved), last=found, margin=10)
    assert again.equals(found), "nothing changes without a change"
