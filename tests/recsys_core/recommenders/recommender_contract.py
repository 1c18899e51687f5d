"""What every recommender must do; a test class inherits this and says how to build one."""

from functools import cache

import polars as pl
import pytest

from recsys_core.columns import CANDIDATES, ITEM, RANK, RATING, SCORE, USER, check
from recsys_core.datasets.config import DataConfig

CONFIG = DataConfig().scale
ITEMS = pl.Series(ITEM, [f"i{n}" for n in range(8)])
TRAIN = pl.DataFrame(
    [
        ("ann", "i0", 5.0), ("ann", "i1", 4.0), ("ann", "i2", 1.0),
        ("bob", "i0", 4.0), ("bob", "i1", 5.0), ("bob", "i3", 5.0),
        ("cas", "i1", 4.0), ("cas", "i3", 3.0), ("cas", "i4", 2.0),
        ("dan", "i5", 1.0),
    ],
    schema={USER: pl.String, ITEM: pl.String, RATING: pl.Float32}, orient="row",
)  # fmt: skip
USERS = pl.Series(USER, ["dan", "ann", "stranger", "cas"])
"""Only dislikes, some likes, never seen, with a neutral rating; not sorted."""


@cache
def _fitted(contract):
    """One fit for all tests of a class: no test may change what it gets."""
    return contract().build().fit(TRAIN, ITEMS)


class RecommenderContract:
    """Inherit, and define `build`."""

    def build(self):
        raise NotImplementedError

    @pytest.fixture
    def fitted(self):
        return _fitted(type(self))

    def test_the_table_is_candidates_in_the_order_of_the_users(self, fitted):
        table = fitted.recommend(USERS, 3, exclude=TRAIN)
        check(table, CANDIDATES, table="candidates")
        assert table.columns == list(CANDIDATES)
        assert table[USER].unique(maintain_order=True).to_list() == USERS.to_list()

    def test_ranks_count_from_one_and_scores_fall(self, fitted):
        for (_,), rows in fitted.recommend(USERS, 5, exclude=TRAIN).group_by(USER):
            assert rows[RANK].to_list() == list(range(1, rows.height + 1))
            assert rows[SCORE].is_sorted(descending=True)
            assert rows[ITEM].is_unique().all()

    def test_excluded_items_never_appear(self, fitted):
        table = fitted.recommend(USERS, 8, exclude=TRAIN)
        assert table.join(TRAIN, on=[USER, ITEM]).is_empty()

    def test_everything_else_appears_where_k_is_larger_than_the_catalogue(self, fitted):
        seen = dict(TRAIN.group_by(USER).len().iter_rows())
        for (user,), rows in fitted.recommend(USERS, 100, exclude=TRAIN).group_by(USER):
            assert rows.height == ITEMS.len() - seen.get(user, 0)

    def test_exclusion_is_what_the_caller_says(self, fitted):
        table = fitted.recommend(USERS, 100, exclude=TRAIN.clear())
        assert table.height == USERS.len() * ITEMS.len()

    def test_a_user_who_knows_everything_gets_no_rows(self, fitted):
        everything = pl.DataFrame({USER: ["ann"] * ITEMS.len(), ITEM: ITEMS})
        assert fitted.recommend(USERS, 3, everything)[USER].n_unique() == USERS.len() - 1

    def test_no_users_give_an_empty_table_of_the_right_types(self, fitted):
        table = fitted.recommend(USERS.clear(), 3, exclude=TRAIN)
        check(table, CANDIDATES, table="candidates")
        assert table.is_empty()

    def test_fitting_twice_gives_the_same_lists(self, fitted):
        again = self.build().fit(TRAIN.sample(fraction=1, shuffle=True, seed=1), ITEMS.reverse())
        one, other = (r.recommend(USERS, 8, exclude=TRAIN) for r in (fitted, again))
        assert one.drop(SCORE).equals(other.drop(SCORE))

    def test_other_users_in_the_call_change_nothing(self, fitted):
        alone = fitted.recommend(USERS.filter(USERS == "cas"), 4, exclude=TRAIN)
        together = fitted.recommend(USERS, 4, exclude=TRAIN).filter(pl.col(USER) == "cas")
        assert alone.drop(SCORE).equals(together.drop(SCORE))

    def test_integer_ids_rank_alike(self, fitted):
        users = sorted(set(TRAIN[USER]) | set(USERS))
        ids = {name: number for number, name in enumerate(users)}
        items = {name: number for number, name in enumerate(ITEMS)}
        train = TRAIN.with_columns(
            pl.col(USER).replace_strict(ids), pl.col(ITEM).replace_strict(items)
        )
        table = self.build().fit(train, pl.Series(ITEM, range(ITEMS.len()))).recommend(
            USERS.replace_strict(ids), 8, exclude=train
        )  # fmt: skip
        expected = fitted.recommend(USERS, 8, exclude=TRAIN)
        assert table[ITEM].to_list() == expected[ITEM].replace_strict(items).to_list()
        assert table.schema[USER] == table.schema[ITEM] == pl.Int64
