"""A served model ranks for new users as the cold-start protocol does: vectors, lists and NDCG."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from recsys_core.columns import (
    AVAILABLE,
    INDEX,
    ITEM,
    POSITION,
    RANK,
    RATING,
    TIMESTAMP,
    USER,
)
from recsys_core.datasets.cold_start_splits import ColdUsers
from recsys_core.evaluation.cold_start import judge_cold_users
from recsys_core.evaluation.significance import means
from recsys_core.graph.recommender import GraphRecommender
from recsys_core.recommenders import rating_matrix
from recsys_core.recommenders.cold_start_tuning import rank_cold_users
from recsys_core.serving import visitors_of
from tasks.runtime.saved_models import read_model
from tests.served_world import GRAPH, SCALE, World, model, world
from tests.small_data import CIRCLES, N_ITEMS

K, N_NEW, SHOWN, RATED = 10, 24, 3, 14
DAY = 86_400


def cold(made: World, column: str | None) -> ColdUsers:
    """New users of every circle, who show three ratings each."""
    rng = np.random.default_rng(4)
    rows = []
    for user in range(N_NEW):
        for place, item in enumerate(rng.choice(N_ITEMS, RATED, replace=False).tolist()):
            fond = item % len(CIRCLES) == user % len(CIRCLES)
            rating = float(np.clip(rng.normal(9 if fond else 3.5, 1.2), 1, 10).round())
            when = (user + place) * DAY if column else None
            rows.append((f"new{user:02}", f"film-{item:02}", rating, when, place < SHOWN))
    schema = {USER: pl.String, ITEM: pl.String, RATING: pl.Float32, column or TIMESTAMP: pl.Int64,
              "shown": pl.Boolean}  # fmt: skip
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    if column == POSITION:
        frame = frame.with_columns(pl.lit(None, pl.Int64).alias(TIMESTAMP))
    frame = frame.select(*made.ratings.columns, "shown")
    shown, test = (frame.filter(pl.col("shown") == one).drop("shown") for one in (True, False))
    users = frame[USER].unique().sort()
    return ColdUsers(
        train=made.ratings, shown=shown, test=test, users=users, too_short=users.clear(), n=SHOWN,
        seed=0,
    )  # fmt: skip


@pytest.mark.parametrize("column", [TIMESTAMP, POSITION, None])
def test_lists_vectors_and_ndcg_are_those_of_the_protocol(
    column: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protocol's own functions, on the weights of the same training."""
    made, _ = world(column, False)
    served = model(column, False)
    # The protocol knows no items that may not be recommended.
    served = replace(served, items=served.items.with_columns(pl.lit(value=True).alias(AVAILABLE)))
    graph, texts, split_of = (made.parts[name] for name in ("graph", "embeddings", "split"))
    trained = read_model(made.trained, graph=graph, embeddings=texts, split=split_of)
    protocol = GraphRecommender(
        SCALE, GRAPH, texts.table("item_features"), seed=0,
        profiles=lambda _: texts.table("users"),
    )  # fmt: skip
    found = SimpleNamespace(
        weights=trained.weights, config=trained.config, served=trained.served,
        item_vectors=served.item_vectors, user_vectors=served.user_vectors,
    )  # fmt: skip
    monkeypatch.setattr(GraphRecommender, "_trained", lambda *_: found)
    # Columns in the order of this training's nodes; the protocol numbers items by popularity.
    nodes = pl.DataFrame({ITEM: served.item_ids}).with_row_index(INDEX)
    monkeypatch.setattr(rating_matrix, "_by_popularity", lambda *_: nodes)
    protocol.fit(made.ratings, made.items[ITEM])
    split = cold(made, column)

    folded = protocol.fold_in(split.shown)
    visitors = visitors_of(served, ratings=split.shown)
    vectors = served.vectors(visitors.located(served))
    order = [folded.weights.users[USER].to_list().index(one) for one in visitors.users.to_list()]
    np.testing.assert_allclose(vectors, folded._user_vectors[order], atol=1e-5)

    theirs = rank_cold_users(protocol, split, K)
    ours = served.lists(visitors, K)
    names = [USER, ITEM]
    assert ours.sort(USER, RANK).select(names).equals(theirs.sort(USER, RANK).select(names))
    how = {"cutoffs": (K,), "like_from": SCALE.like_from}
    ndcg = [
        float(means(judge_cold_users(lists, split, method="gat", **how).values["ndcg"])[0][0])
        for lists in (ours, theirs)
    ]
    assert ndcg[0] == pytest.approx(ndcg[1], abs=1e-12)
    assert ndcg[0] > 0.05, "lists of three epochs, and not of none"
