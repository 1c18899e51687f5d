"""The tables that reranking reads, and every user's context made from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys_core import columns as c
from recsys_core.columns import MAX_ID_CHARS
from recsys_core.errors import DataError
from recsys_core.prompt_context.models import UserContext
from recsys_core.prompt_context.tables import (
    candidate,
    item_facts,
    recent,
    recent_items,
    taste,
    tastes,
)

_ROWS_AT_ONCE: Final = 16_384
"""Pairs whose vectors are gathered at once: 2 x 25 MB of 384 floats."""


@dataclass(frozen=True, kw_only=True)
class RerankTables:
    """What reranking reads. Nothing in it may come from the test split.

    Attributes:
        candidates: `columns.CANDIDATES`; may be deeper than what is reranked.
        history: `columns.INTERACTIONS` of the training split.
        items: `columns.ITEMS`.
        item_profiles: `columns.ITEM_PROFILES`; an item without one shows its metadata only.
        user_profiles: `columns.USER_PROFILES`; a user without one has an empty taste.
        user_vectors: USER and VECTOR, the embedded user profiles.
        item_vectors: ITEM and VECTOR, the embedded item profiles, of the same dimension.
    """

    candidates: pl.DataFrame
    history: pl.DataFrame
    items: pl.DataFrame
    item_profiles: pl.DataFrame
    user_profiles: pl.DataFrame
    user_vectors: pl.DataFrame
    item_vectors: pl.DataFrame

    def __post_init__(self) -> None:
        c.check(self.candidates, c.CANDIDATES, table="candidates")
        c.check(self.history, c.INTERACTIONS, table="training interactions")
        c.check(self.items, c.ITEMS, table="items")
        c.check(self.item_profiles, c.ITEM_PROFILES, table="item_profiles")
        c.check(self.user_profiles, c.USER_PROFILES, table="user_profiles")
        _check_candidates(self.candidates, self.items)

    def missing(self, pool: pl.DataFrame) -> dict[str, int]:
        """How many users and items of `pool` lack a profile or a vector, for the summary."""
        pairs = {
            "users_without_profile": (c.USER, self.user_profiles),
            "users_without_vector": (c.USER, self.user_vectors),
            "items_without_profile": (c.ITEM, self.item_profiles),
            "items_without_vector": (c.ITEM, self.item_vectors),
        }
        return {
            name: pool.select(pl.col(key).unique()).join(table, on=key, how="anti").height
            for name, (key, table) in pairs.items()
        }


def _check_candidates(candidates: pl.DataFrame, items: pl.DataFrame) -> None:
    problems = {
        "name an item that the items table does not have": candidates.join(
            items, on=c.ITEM, how="anti"
        ).height,
        "name an item twice for one user": candidates.select(c.USER, c.ITEM).is_duplicated().sum(),
        "have no finite score": candidates.filter(pl.col(c.SCORE).is_finite().not_()).height
        + candidates[c.SCORE].null_count(),
        f"have an id of more than {MAX_ID_CHARS} characters": candidates.filter(
            pl.col(c.ITEM).cast(pl.String).str.len_chars() > MAX_ID_CHARS
        ).height,
    }
    found = [f"{count} rows {what}" for what, count in problems.items() if count]
    if found:
        raise DataError(
            f"candidates: {'; '.join(found)}.",
            expected="each user's candidates once, known items, finite scores, short ids.",
            fix="build the candidates anew from the same items table.",
        )


def similarities(pool: pl.DataFrame, users: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """`pool` with SIMILARITY, the cosine of the two profile vectors; null where one is missing."""
    user_matrix, item_matrix = _normalised(users), _normalised(items)
    rows = np.stack([_places(pool, users, c.USER), _places(pool, items, c.ITEM)], axis=1)
    known = (rows >= 0).all(axis=1)
    cosines = np.full(pool.height, np.nan, np.float32)
    for part in np.array_split(np.flatnonzero(known), 1 + pool.height // _ROWS_AT_ONCE):
        one, other = user_matrix[rows[part, 0]], item_matrix[rows[part, 1]]
        cosines[part] = np.einsum("nd,nd->n", one, other)
    return pool.with_columns(pl.Series(c.SIMILARITY, cosines, nan_to_null=True))


def _places(pool: pl.DataFrame, vectors: pl.DataFrame, key: str) -> NDArray[np.int64]:
    """The row in `vectors` of every row of `pool`; -1 where there is none."""
    known = vectors.select(key).with_row_index(c.INDEX)
    placed = pool.select(key).join(known, on=key, how="left", maintain_order="left")
    rows: NDArray[np.int64] = placed[c.INDEX].cast(pl.Int64).fill_null(-1).to_numpy()
    return rows


def _normalised(vectors: pl.DataFrame) -> NDArray[np.float32]:
    """Rows of length one, `(n, d)`; a zero vector stays zero."""
    matrix = vectors[c.VECTOR].to_numpy()
    if not vectors.height:
        return np.zeros((0, 1), np.float32)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (matrix / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


class UserContexts:
    """The contexts of all users of `pool`, made one by one in the order of its users.

    Args:
        pool: USER, ITEM, RANK: the candidates to judge, ordered by user and rank.
        tables: what the contexts are made of.
    """

    def __init__(self, pool: pl.DataFrame, tables: RerankTables) -> None:
        shown = item_facts(tables.items.join(pool, on=c.ITEM, how="semi"), tables.item_profiles)
        self._items = {row[c.ITEM]: candidate(row) for row in shown.iter_rows(named=True)}
        self._frame = (
            similarities(pool, tables.user_vectors, tables.item_vectors)
            .group_by(c.USER, maintain_order=True)
            .agg(c.ITEM, c.SIMILARITY)
            .join(tastes(tables.user_profiles), on=c.USER, how="left", maintain_order="left")
            .join(recent_items(tables.history, tables.items), on=c.USER, how="left",
                  maintain_order="left")
        )  # fmt: skip

    def __len__(self) -> int:
        return self._frame.height

    def __iter__(self) -> Iterator[UserContext]:
        for row in self._frame.iter_rows(named=True):
            yield UserContext(
                user=str(row[c.USER]),
                taste=taste(row),
                recent=recent(row),
                candidates=tuple(
                    self._items[item].model_copy(update={"similarity": cosine})
                    for item, cosine in zip(row[c.ITEM], row[c.SIMILARITY], strict=True)
                ),
            )
