"""The graph model under the contract of recommenders."""

import numpy as np
import polars as pl
import pytest

from recsys_core.columns import ITEM, RATING, USER, VECTOR
from recsys_core.errors import ConfigError, DataError
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.recommender import GraphRecommender
from tests.recsys_core.recommenders.recommender_contract import (
    CONFIG,
    ITEMS,
    TRAIN,
    InductiveContract,
    texts_of,
)

SMALL = {"hidden": 4, "heads": 2, "max_epochs": 15, "device": "cpu", "effort": "quick"}
TEXTS = texts_of(ITEMS)


def likes(interactions: pl.DataFrame) -> pl.DataFrame:
    """A profile that says how many items a user liked; nobody else has one."""
    liked = interactions.filter(pl.col(RATING) >= 4).group_by(USER).agg(pl.len().alias(VECTOR))
    return liked.with_columns(
        pl.concat_list(pl.col(VECTOR).cast(pl.Float32)).list.to_array(1).alias(VECTOR)
    )


class TestGraphRecommender(InductiveContract):
    @pytest.fixture(scope="class")
    @classmethod
    def build(cls):
        return lambda items: GraphRecommender(CONFIG, GraphConfig(**SMALL), texts_of(items))

    def test_a_dislike_is_evidence_too(self, fitted):
        rows = pl.DataFrame({USER: ["new"], ITEM: ["i1"], RATING: [1.0]})
        user, nothing = pl.Series(USER, ["new"]), rows.clear()
        one, other = (
            fitted.fold_in(shown).recommend(user, 8, exclude=nothing) for shown in (rows, nothing)
        )
        assert not np.allclose(one["score"], other["score"], atol=1e-4)


class TestGraphRecommenderOfThePaper(TestGraphRecommender):
    @pytest.fixture(scope="class")
    @classmethod
    def build(cls):
        config = GraphConfig(preset="paper", **SMALL)
        return lambda items: GraphRecommender(
            CONFIG, config, texts_of(items), profiles=likes, name="paper"
        )

    test_showing_an_unknown_item_is_showing_nothing = None  # the profile counts it
    test_a_dislike_is_evidence_too = None  # liked edges alone carry messages


def test_profiles_are_written_from_what_is_given_alone():
    seen = []

    def watched(interactions: pl.DataFrame) -> pl.DataFrame:
        seen.append(interactions)
        return likes(interactions)

    shown = TRAIN.filter(pl.col(USER) == "ann").head(1).with_columns(pl.lit("new").alias(USER))
    model = GraphRecommender(CONFIG, GraphConfig(**SMALL), TEXTS, profiles=watched)
    model.fit(TRAIN, ITEMS).fold_in(shown)
    assert seen[0].sort(USER, ITEM).equals(TRAIN.sort(USER, ITEM))
    assert seen[-1].equals(shown)


def test_texts_must_be_there_and_of_one_size():
    config = GraphConfig(**SMALL)
    with pytest.raises(DataError, match="1 items have no text vector"):
        GraphRecommender(CONFIG, config, TEXTS.head(7)).fit(TRAIN, ITEMS)
    lists = TEXTS.with_columns(pl.col(VECTOR).arr.to_list())
    with pytest.raises(ConfigError, match="vectors of the texts are List"):
        GraphRecommender(CONFIG, config, lists)


def test_who_has_rated_nothing_is_placed_by_what_else_is_known():
    """Two plans whose users like items of their own."""
    users = [f"{plan}{n}" for plan in ("free", "paid") for n in range(40)]
    liked = {"free": ITEMS[:4].to_list(), "paid": ITEMS[4:8].to_list()}
    rows = [
        (user, item)
        for user in users
        for place, item in enumerate(liked[user[:4]])
        if int(user[4:]) % 4 != place  # all items are equally popular
    ]
    everybody = [*users, "free new", "paid new"]
    plans = [[float(user.startswith(plan)) for plan in liked] for user in everybody]
    known = pl.DataFrame(
        {USER: everybody, VECTOR: plans}, schema_overrides={VECTOR: pl.Array(pl.Float32, 2)}
    )
    train = pl.DataFrame(rows, schema=[USER, ITEM], orient="row").with_columns(
        pl.lit(5.0).alias(RATING)
    )
    model = GraphRecommender(CONFIG, GraphConfig(**SMALL), TEXTS, attributes=known)
    model.fit(train, ITEMS)
    strangers, nothing = pl.Series(USER, ["free new", "paid new", "who?"]), train.clear()
    lists = model.recommend(strangers, 4, exclude=nothing)
    for user, plan in (("free new", "free"), ("paid new", "paid")):
        assert set(lists.filter(pl.col(USER) == user)[ITEM]) == set(liked[plan])
    assert lists.equals(model.fold_in(nothing).recommend(strangers, 4, exclude=nothing))
    # Meeting them changed nothing of the model.
    assert model.recommend(strangers, 4, exclude=nothing).equals(lists)
