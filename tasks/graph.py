"""Graph: users and items as nodes, training ratings as edges."""

import polars as pl

from recsys_core.artifacts import ArtifactRef, ArtifactWriter
from recsys_core.columns import EDGES, INDEX, ITEM, USER
from recsys_core.graph.bipartite import EDGES_TABLE, ITEMS_TABLE, USERS_TABLE, Bipartite
from tasks.step import step


@step("graph", version="2")
def graph(out: ArtifactWriter, data: ArtifactRef, split: ArtifactRef) -> None:
    """Number all users and items, and turn training interactions into edges.

    Args:
        out: tables `users` and `items` (id and node number) and `edges`.
        data: the ingested data set.
        split: only its training part becomes edges.
    """
    tables = Bipartite.from_interactions(
        split.table("train"), data.table("users")[USER], data.table("items")[ITEM]
    ).tables()
    out.table(USERS_TABLE, tables[USERS_TABLE], {USER: None, INDEX: pl.Int64})
    out.table(ITEMS_TABLE, tables[ITEMS_TABLE], {ITEM: None, INDEX: pl.Int64})
    out.table(EDGES_TABLE, tables[EDGES_TABLE], EDGES)


def read_graph(ref: ArtifactRef) -> Bipartite:
    """The graph that the step wrote."""
    return Bipartite.from_tables({name: ref.table(name) for name in ref.tables})
