import numpy as np
import polars as pl
import pytest

from recsys_core.columns import (
    EDGES,
    INDEX,
    ITEM,
    ITEM_NODES,
    POSITION,
    RATING,
    TIMESTAMP,
    USER,
    USER_NODES,
    check,
)
from recsys_core.errors import ConfigError, DataError
from recsys_core.graph.interaction_graph import Edges, InteractionGraph
from recsys_core.interactions.feedback import RatingScale


def interactions(*rows: tuple[object, object, float]) -> pl.DataFrame:
    users, items, ratings = zip(*rows, strict=True) if rows else ((), (), ())
    times = [880_000_000 + n if n else None for n in range(len(users))]
    return pl.DataFrame(
        {USER: users, ITEM: items, RATING: ratings, TIMESTAMP: times},
        schema_overrides={RATING: pl.Float32, TIMESTAMP: pl.Int64},
    )


USERS = pl.Series(USER, ["ann", "bob", "cy"])
ITEMS = pl.Series(ITEM, [70, 10, 40, 20])


@pytest.fixture
def graph() -> InteractionGraph:
    rows = interactions(("bob", 20, 5.0), ("ann", 10, 3.0), ("bob", 70, 1.0))
    return InteractionGraph.from_interactions(rows, USERS, ITEMS)


def test_nodes_are_numbered_in_the_order_of_the_tables(graph: InteractionGraph) -> None:
    assert (graph.n_users, graph.n_items) == (3, 4)
    assert graph.edges.users.tolist() == [1, 0, 1]
    assert graph.edges.items.tolist() == [3, 1, 0]
    assert graph.edges.ratings.tolist() == [5, 3, 1]


def test_positions_are_an_order_where_there_are_no_timestamps() -> None:
    rows = interactions(("bob", 20, 5.0), ("bob", 70, 1.0)).with_columns(
        pl.lit(None, pl.Int64).alias(TIMESTAMP), pl.Series(POSITION, [7, 3])
    )
    assert InteractionGraph.from_interactions(rows, USERS, ITEMS).edges.times.tolist() == [7, 3]


def test_liked_and_disliked_leave_out_the_neutral(graph: InteractionGraph) -> None:
    assert graph.edges.liked(RatingScale()).items.tolist() == [3]
    assert graph.edges.disliked(RatingScale()).items.tolist() == [0]


def test_tables_keep_their_schema_and_come_back_the_same(graph: InteractionGraph) -> None:
    tables = graph.tables()
    for name, schema in (("users", USER_NODES), ("items", ITEM_NODES), ("edges", EDGES)):
        check(tables[name], schema, table=name)
    tables["users"] = tables["users"].sort(INDEX, descending=True)  # the numbers count, not rows
    again = InteractionGraph.from_tables(tables)
    assert again.user_ids.equals(graph.user_ids)
    assert again.item_ids.equals(graph.item_ids)
    for name in ("users", "items", "ratings", "times"):
        assert np.array_equal(
            getattr(again.edges, name), getattr(graph.edges, name), equal_nan=name == "times"
        )
    assert np.isnan(graph.edges.times).tolist() == [True, False, False]


def test_without_timestamps_the_times_are_unknown() -> None:
    rows = interactions(("bob", 20, 5.0), ("ann", 10, 3.0)).drop(TIMESTAMP)
    edges = InteractionGraph.from_interactions(rows, USERS, ITEMS).edges
    assert np.isnan(edges.times).tolist() == [True, True]


def test_no_interactions_make_a_graph_of_isolated_nodes() -> None:
    empty = interactions().cast({USER: pl.String, ITEM: pl.Int64})
    graph = InteractionGraph.from_interactions(empty, USERS, ITEMS)
    assert len(graph.edges) == 0
    assert graph.n_items == 4


def test_joining_keeps_both_sides(graph: InteractionGraph) -> None:
    both = graph.edges.joined(graph.edges_of(interactions(("cy", 40, 2.0))))
    assert both.users.tolist() == [1, 0, 1, 2]
    assert len(Edges.empty().joined(both)) == 4


@pytest.mark.parametrize(
    ("row", "said"), [(("dan", 10, 3.0), "user_id"), (("ann", 11, 3.0), "item_id")]
)
def test_an_unknown_id_is_named(row: tuple[object, object, float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        InteractionGraph.from_interactions(interactions(row), USERS, ITEMS)


@pytest.mark.parametrize("ids", [["ann", "ann"], ["ann", None]])
def test_nodes_must_be_distinct(ids: list[str | None]) -> None:
    with pytest.raises(DataError, match="every node once"):
        InteractionGraph.from_interactions(interactions(), pl.Series(USER, ids), ITEMS)


def test_attributes_come_back_in_the_order_of_the_nodes(graph: InteractionGraph) -> None:
    known = np.array([[1.0, 0.5], [0.0, 0.0], [0.2, 0.1]], np.float32)
    rows = interactions(("bob", 20, 5.0))
    tables = InteractionGraph.from_interactions(rows, USERS, ITEMS, known).tables()
    tables["user_attributes"] = tables["user_attributes"].sort(INDEX, descending=True)
    again = InteractionGraph.from_tables(tables)
    assert again.attributes is not None
    assert np.array_equal(again.attributes, known)
    assert again.with_edges(Edges.empty()).attributes is again.attributes
    assert "user_attributes" not in graph.tables()
    assert InteractionGraph.from_tables(graph.tables()).attributes is None


def test_attributes_of_other_users_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"Attributes have shape \(2, 1\).*3 users"):
        InteractionGraph.from_interactions(
            interactions(), USERS, ITEMS, np.zeros((2, 1), np.float32)
        )
