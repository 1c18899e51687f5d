"""The bipartite graph of users and items, as plain arrays.

Every user and item of the tables is a node, also those without an edge: the model scores them
from their profile alone. Nodes are numbered in the order of the tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import (
    INDEX,
    ITEM,
    ITEM_INDEX,
    RATING,
    TIMESTAMP,
    USER,
    USER_INDEX,
    VECTOR,
)
from recsys_core.errors import ConfigError, DataError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.order import Times, order_of

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

USERS_TABLE: Final = "users"
ITEMS_TABLE: Final = "items"
EDGES_TABLE: Final = "edges"
ATTRIBUTES_TABLE: Final = "user_attributes"

RATING_LEVELS: Final = 5
"""Levels of rating that an edge is told apart by."""


@dataclass(frozen=True, kw_only=True)
class Edges:
    """Rated pairs as node numbers.

    Attributes:
        users: (n_edges,) numbers of the users.
        items: (n_edges,) numbers of the items.
        ratings: (n_edges,) ratings on the data set's own scale.
        times: (n_edges,) Unix seconds of the ratings, or positions where there are no timestamps
            (an order within each user); NaN where unknown.
    """

    users: Indices
    items: Indices
    ratings: Floats
    times: Times

    @classmethod
    def empty(cls) -> Self:
        """No edges."""
        none = np.empty(0, np.int64)
        return cls(users=none, items=none, ratings=np.empty(0, np.float32), times=np.empty(0))

    def __len__(self) -> int:
        return len(self.users)

    def without_order(self) -> "Edges":
        """The same pairs, their times unknown."""
        return replace(self, times=np.full(len(self), np.nan))

    @property
    def are_alike(self) -> bool:
        """Whether all ratings are the same, so that one says no more than its presence."""
        return len(self) == 0 or float(np.ptp(self.ratings)) == 0.0

    def where(self, which: npt.NDArray[np.bool_] | Indices) -> "Edges":
        """The edges where a mask (n_edges,) is true, or those at given places, in their order."""
        return Edges(
            users=self.users[which],
            items=self.items[which],
            ratings=self.ratings[which],
            times=self.times[which],
        )

    def liked(self, scale: RatingScale) -> "Edges":
        """Edges with a rating of `like_from` or more."""
        return self.where(self.ratings >= np.float32(scale.like_from))

    def disliked(self, scale: RatingScale) -> "Edges":
        """Edges with a rating of `dislike_from` or less."""
        return self.where(self.ratings <= np.float32(scale.dislike_from))

    def by_user(self) -> "Edges":
        """These edges sorted by user, those of one user in the order they have here."""
        return self.where(self.users.argsort(kind="stable"))

    def joined(self, other: "Edges") -> "Edges":
        """These edges, then those of `other`."""
        return Edges(
            users=np.concatenate([self.users, other.users]),
            items=np.concatenate([self.items, other.items]),
            ratings=np.concatenate([self.ratings, other.ratings]),
            times=np.concatenate([self.times, other.times]),
        )


@dataclass(frozen=True, kw_only=True)
class InteractionGraph:
    """Users, items and the rated pairs between them.

    Attributes:
        user_ids: (n_users,) ids; the position is the node's number.
        item_ids: (n_items,) ids.
        edges: the rated pairs.
        attributes: (n_users, d) user attributes (age, country, ...); None for none.
    """

    user_ids: pl.Series
    item_ids: pl.Series
    edges: Edges
    attributes: Floats | None = None

    @classmethod
    def from_interactions(
        cls,
        interactions: pl.DataFrame,
        users: pl.Series,
        items: pl.Series,
        attributes: Floats | None = None,
    ) -> Self:
        """Number all users and items and turn interactions into edges.

        Args:
            interactions: `columns.INTERACTIONS` (the training rows).
            users: ids of all users, each once.
            items: ids of all items, each once.
            attributes: (n_users, d) user attributes.

        Raises:
            DataError: an id appears twice or is null, or an interaction names an unknown one.
            ConfigError: the attributes are not of these users.
        """
        for name, ids in ((USER, users), (ITEM, items)):
            _all_distinct(name, ids)
        if attributes is not None and (attributes.ndim != 2 or len(attributes) != users.len()):
            raise ConfigError(
                f"Attributes have shape {attributes.shape}; there are {users.len()} users.",
                expected="a row per user, in the order of the ids.",
                fix="make them of the table that the ids are from.",
            )
        graph = cls(user_ids=users, item_ids=items, edges=Edges.empty(), attributes=attributes)
        return graph.with_edges(graph.edges_of(interactions))

    @property
    def n_users(self) -> int:
        """Number of users, with or without edges."""
        return self.user_ids.len()

    @property
    def n_items(self) -> int:
        """Number of items, with or without edges."""
        return self.item_ids.len()

    @property
    def user_attributes(self) -> Floats:
        """The attributes (n_users, d); d is 0 where nothing is known."""
        return no_attributes(self.n_users) if self.attributes is None else self.attributes

    def with_edges(self, edges: Edges) -> Self:
        """The same nodes with other edges."""
        return replace(self, edges=edges)

    def edges_of(self, interactions: pl.DataFrame) -> Edges:
        """Interactions (validation rows, for example) as edges between these nodes.

        Without timestamps, a column of positions takes their place: an order within each user.

        Raises:
            DataError: an interaction names a user or an item that is no node.
        """
        return Edges(
            users=_numbers(interactions[USER], self.user_ids),
            items=_numbers(interactions[ITEM], self.item_ids),
            ratings=interactions[RATING].cast(pl.Float32).to_numpy(),
            times=order_of(interactions),
        )

    def tables(self) -> dict[str, pl.DataFrame]:
        """Tables to store: users and items by number, edges (`columns.EDGES`), known attributes."""
        known = {} if self.attributes is None else {ATTRIBUTES_TABLE: self._attributes_table()}
        return known | {
            USERS_TABLE: _numbered(USER, self.user_ids),
            ITEMS_TABLE: _numbered(ITEM, self.item_ids),
            EDGES_TABLE: pl.DataFrame(
                {
                    USER_INDEX: self.edges.users,
                    ITEM_INDEX: self.edges.items,
                    RATING: self.edges.ratings,
                    TIMESTAMP: pl.Series(self.edges.times).fill_nan(None).cast(pl.Int64),
                }
            ),
        }

    def _attributes_table(self) -> pl.DataFrame:
        values = pl.Series(VECTOR, self.attributes)
        return _numbered(USER, self.user_ids).select(INDEX, values)

    @classmethod
    def from_tables(cls, tables: Mapping[str, pl.DataFrame]) -> Self:
        """The graph that `tables()` described."""
        edges, known = tables[EDGES_TABLE], tables.get(ATTRIBUTES_TABLE)
        return cls(
            user_ids=tables[USERS_TABLE].sort(INDEX)[USER],
            item_ids=tables[ITEMS_TABLE].sort(INDEX)[ITEM],
            edges=Edges(
                users=edges[USER_INDEX].to_numpy(),
                items=edges[ITEM_INDEX].to_numpy(),
                ratings=edges[RATING].to_numpy(),
                times=order_of(edges),
            ),
            attributes=None if known is None else known.sort(INDEX)[VECTOR].to_numpy(),
        )


def no_attributes(n_users: int) -> Floats:
    """(n_users, 0): users without attributes."""
    return np.empty((n_users, 0), np.float32)


def _numbered(name: str, ids: pl.Series) -> pl.DataFrame:
    return (
        pl.DataFrame({name: ids}).with_row_index(INDEX).with_columns(pl.col(INDEX).cast(pl.Int64))
    )


def _all_distinct(name: str, ids: pl.Series) -> None:
    twice = ids.len() - ids.n_unique()
    if twice or ids.null_count():
        raise DataError(
            f"The ids in {name!r} hold {twice} repetitions and {ids.null_count()} nulls.",
            expected="every node once, each with an id.",
            fix="remove the duplicates from the table of users or items.",
        )


def _numbers(ids: pl.Series, nodes: pl.Series) -> Indices:
    lookup = pl.DataFrame({INDEX: np.arange(nodes.len()), ids.name: nodes})
    found = ids.to_frame().join(lookup, on=ids.name, how="left", maintain_order="left")[INDEX]
    if found.null_count():
        unknown = ids.filter(found.is_null()).unique(maintain_order=True)
        raise DataError(
            f"{found.null_count()} interactions name a {ids.name!r} that is no node of the graph,"
            f" such as {unknown[0]!r}.",
            expected="interactions among the users and items of the data set's tables.",
            fix="add the missing rows to the table, or remove these interactions.",
        )
    return found.to_numpy().astype(np.int64, copy=False)
