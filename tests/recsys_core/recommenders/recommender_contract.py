"""What every recommender must do; a test class inherits this and says how to build one."""

import polars as pl
import pytest

from recsys_core.columns import CANDIDATES, ITEM, RANK, RATING, SCORE, USER, VECTOR, check
from recsys_core.interactions.feedback import RatingScale

CONFIG = RatingScale()
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


def texts_of(items: pl.Series) -> pl.DataFrame:
    """A text vector for each item, by its place."""
    vectors = [[float(n == 1), float(n == 7), 0.1 * n] for n in range(items.len())]
    return pl.DataFrame(
        {ITEM: items, VECTOR: vectors}, schema_overrides={VECTOR: pl.Array(pl.Float32, 3)}
    )


class RecommenderContract:
    """Inherit, and define the fixture `build`."""

    @pytest.fixture(scope="class")
    @classmethod
    def build(cls):
        """Item ids -> an unfitted recommender."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def fitted(cls, build):
        """One fit for all tests of a class: no test may change what it gets."""
        return build(ITEMS).fit(TRAIN, ITEMS)

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

    def test_fitting_twice_gives_the_same_lists(self, build, fitted):
        again = build(ITEMS).fit(TRAIN.sample(fraction=1, shuffle=True, seed=1), ITEMS.reverse())
        one, other = (r.recommend(USERS, 8, exclude=TRAIN) for r in (fitted, again))
        assert one.drop(SCORE).equals(other.drop(SCORE))

    def test_other_users_in_the_call_change_nothing(self, fitted):
        alone = fitted.recommend(USERS.filter(USERS == "cas"), 4, exclude=TRAIN)
        together = fitted.recommend(USERS, 4, exclude=TRAIN).filter(pl.col(USER) == "cas")
        assert alone.drop(SCORE).equals(together.drop(SCORE))

    def test_integer_ids_rank_alike(self, build, fitted):
        users = sorted(set(TRAIN[USER]) | set(USERS))
        ids = {name: number for number, name in enumerate(users)}
        items = {name: number for number, name in enumerate(ITEMS)}
        train = TRAIN.with_columns(
            pl.col(USER).replace_strict(ids), pl.col(ITEM).replace_strict(items)
        )
        numbers = pl.Series(ITEM, range(ITEMS.len()))
        table = build(numbers).fit(train, numbers).recommend(
            USERS.replace_strict(ids), 8, exclude=train
        )  # fmt: skip
        expected = fitted.recommend(USERS, 8, exclude=TRAIN)
        assert table[ITEM].to_list() == expected[ITEM].replace_strict(items).to_list()
        assert table.schema[USER] == table.schema[ITEM] == pl.Int64


class InductiveContract(RecommenderContract):
    """What every recommender must do that also serves users who came after training."""

    def test_a_user_folded_in_is_ranked_without_what_was_shown(self, fitted):
        shown = TRAIN.filter(pl.col(USER) == "ann").with_columns(pl.lit("new").alias(USER))
        table = fitted.fold_in(shown).recommend(pl.Series(USER, ["new"]), 8, exclude=shown)
        assert table.height == ITEMS.len() - shown.height
        assert table.join(shown, on=[USER, ITEM]).is_empty()
        assert table[SCORE].is_finite().all()

    def test_folding_in_leaves_the_trained_users_alone(self, fitted):
        before = fitted.recommend(USERS, 8, exclude=TRAIN)
        fitted.fold_in(TRAIN.head(2))
        assert fitted.recommend(USERS, 8, exclude=TRAIN).equals(before)

    def test_a_new_user_who_shows_nothing_is_served_like_a_stranger(self, fitted):
        stranger = fitted.recommend(pl.Series(USER, ["stranger"]), 8, exclude=TRAIN)
        new = fitted.fold_in(TRAIN.clear())
        table = new.recommend(pl.Series(USER, ["stranger"]), 8, exclude=TRAIN.clear())
        assert table.equals(stranger)

    def test_showing_an_unknown_item_is_showing_nothing(self, fitted):
        user = pl.Series(USER, ["new"])
        unknown = TRAIN.head(1).with_columns(
            pl.lit("new").alias(USER), pl.lit("unheard of").alias(ITEM)
        )
        one, other = (
            fitted.fold_in(shown).recommend(user, 8, exclude=TRAIN)
            for shown in (unknown, unknown.clear())
        )
        assert one.equals(other)

    def test_only_items_among_the_wanted_are_listed(self, fitted):
        among = pl.Series(ITEM, ["i7", "i2", "unheard of"])
        table = fitted.recommend(USERS, 8, exclude=TRAIN, among=among)
        assert set(table[ITEM]) == {"i7", "i2"}
        assert table.filter(pl.col(USER) == "ann")[ITEM].to_list() == ["i7"]

    def test_nothing_positive_to_learn_from_gives_every_item_in_some_order(self, build):
        disliked = TRAIN.with_columns(pl.lit(1.0, pl.Float32).alias(RATING))
        table = build(ITEMS).fit(disliked, ITEMS).recommend(USERS, 8, exclude=TRAIN.clear())
        assert table.height == USERS.len() * ITEMS.len()
