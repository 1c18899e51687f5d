"""Step `graph`: the bipartite graph of users and items, training ratings as edges."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import EDGES, INDEX, ITEM, USER, vectors
from recsys_core.embedding.user_features import user_attribute_features
from recsys_core.graph.interaction_graph import (
    ATTRIBUTES_TABLE,
    EDGES_TABLE,
    ITEMS_TABLE,
    USERS_TABLE,
    InteractionGraph,
)
from tasks.runtime.references import GraphRef, ItemIdsRef, SplitRef, UsersRef
from tasks.runtime.step import step


@step("graph", version="7", returns=GraphRef)
def graph(
    out: ArtifactWriter, *, known_users: UsersRef, item_ids: ItemIdsRef, split: SplitRef
) -> None:
    """Number all users and items, and turn training interactions into edges.

    Args:
        out: tables `users` and `items` (id and node number), `edges`, and `user_attributes` (node
            number and vector) where the table of users has attributes.
        known_users: all users, and what is known of them.
        item_ids: all items.
        split: only its training part becomes edges.
    """
    users = known_users.table("users")
    known = user_attribute_features(users)
    tables = InteractionGraph.from_interactions(
        split.table("train"), users[USER], item_ids.table("item_ids")[ITEM],
        known if known.shape[1] else None,
    ).tables()  # fmt: skip
    out.table(USERS_TABLE, tables[USERS_TABLE], {USER: None, INDEX: pl.Int64})
    out.table(ITEMS_TABLE, tables[ITEMS_TABLE], {ITEM: None, INDEX: pl.Int64})
    out.table(EDGES_TABLE, tables[EDGES_TABLE], EDGES)
    if ATTRIBUTES_TABLE in tables:
        out.table(ATTRIBUTES_TABLE, tables[ATTRIBUTES_TABLE], vectors(INDEX, known.shape[1]))


def read_graph(ref: GraphRef) -> InteractionGraph:
    """The graph that the step wrote."""
    return InteractionGraph.from_tables({name: ref.table(name) for name in ref.tables})
