"""The served sum of components: one sparse item-to-item matrix per input, and a few columns.

    score(u, i) = sum over inputs of (history(u) @ S)_i + (history(u) @ rated) . scored_i + prior_i

A user without a history has the scores of a popularity instead.

All maps of one input are added up, weights multiplied in, and cut to a few hundred entries per
row. A server needs the item's row for every item of the history, and adds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from scipy import sparse

from recsys_core.columns import (
    INPUT,
    ITEM_FACTORS,
    ITEM_INDEX,
    ITEM_PRIORS,
    ITEM_TO_ITEM,
    NEWCOMER_SCORE,
    PRIOR,
    RATED_ITEM,
    RATED_VECTOR,
    SCORED_ITEM,
    SCORED_VECTOR,
    USUAL_RATING,
    WEIGHT,
    Schema,
)
from recsys_core.graph.components.histories import (
    Histories,
    HistoryInput,
    InputRows,
    UsualRatings,
)
from recsys_core.graph.components.item_maps import (
    FittedMap,
    ItemPrior,
    LowRankMap,
    SparseMap,
    Vectors,
)
from recsys_core.graph.components.sparse_products import largest_of_rows
from recsys_core.graph.interaction_graph import Floats, Indices
from recsys_core.interactions.topk import best_columns

MAPS_TABLE: Final = "item_to_item"
FACTORS_TABLE: Final = "item_factors"
PRIORS_TABLE: Final = "item_priors"
TABLES: Final[Mapping[str, Schema]] = {
    MAPS_TABLE: ITEM_TO_ITEM,
    FACTORS_TABLE: ITEM_FACTORS,
    PRIORS_TABLE: ITEM_PRIORS,
}
"""Tables of the artifact and their schemas."""

Facts = Mapping[str, Any]
"""Plain values, as JSON holds them."""

_BLOCK_CELLS: Final = 16_000_000
"""Scores held at once (64 MB): bounds memory, changes nothing."""


@dataclass(frozen=True, kw_only=True)
class ItemToItemModel:
    """A fitted sum of components.

    Attributes:
        maps: by input, (n_items, n_items) sparse; row = rated item, column = scored item.
        low_rank: by input, (n_items, d) of rated and of scored items.
        prior: (n_items,) added for every user.
        newcomers: (n_items,) scores for a user without a history, instead of all others.
        usual: what deviations are measured from; None where no map reads them.
        facts: plain values: the components, their settings and weights, and what the cut cost.
    """

    maps: Mapping[HistoryInput, sparse.csr_matrix]
    low_rank: Mapping[HistoryInput, tuple[Floats, Floats]]
    prior: Floats
    newcomers: Floats
    usual: UsualRatings | None = None
    facts: Facts = field(default_factory=dict)

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.prior)

    def rows(self, histories: Histories) -> InputRows:
        """What the model reads of users' histories."""
        return InputRows(histories=histories, usual=self.usual)

    @property
    def described_newcomers(self) -> Floats:
        """(n_items,) scores for a user without a history of whom attributes are known.

        The attributes rank for them; popularity is added as far as validation users of that kind
        were better off with it (`facts[BESIDE_ATTRIBUTES]`), by default not at all.
        """
        return np.float32(self.facts.get(BESIDE_ATTRIBUTES, 0.0)) * self.newcomers

    def scores(self, histories: Histories | InputRows, users: Indices) -> Floats:
        """(b, n_items) scores of some users (b,) of the histories."""
        rows = self.rows(histories) if isinstance(histories, Histories) else histories
        total = np.repeat(self.prior[None, :], len(users), axis=0)
        for wanted, (rated, scored) in self.low_rank.items():
            total += np.asarray(rows.matrix(wanted)[users] @ rated, np.float32) @ scored.T
        for wanted, weights in self.maps.items():
            _add_sparse(total, rows.matrix(wanted)[users] @ weights)
        total[np.diff(rows.seen.indptr)[users] == 0] = self.newcomers
        return total

    def scores_of_one(self, history: Histories) -> Floats:
        """(n_items,) as `scores` of a single user, without a matrix of one row."""
        if not len(history):
            return self.newcomers.copy()
        rows, total = self.rows(history), self.prior.astype(np.float64)
        for wanted, (rated, scored) in self.low_rank.items():
            total += scored @ (rows.values(wanted) @ rated[history.items])
        for wanted, weights in self.maps.items():
            read = weights[history.items]
            values = np.repeat(rows.values(wanted), np.diff(read.indptr)) * read.data
            total += np.bincount(read.indices, values, self.n_items)
        return total.astype(np.float32)

    def top_k(
        self,
        histories: Histories,
        k: int,
        *,
        network: Vectors | None = None,
        seen: sparse.csr_matrix | None = None,
        block: int | None = None,
    ) -> tuple[Indices, Floats]:
        """The k items of the highest score for every user, in blocks of users.

        Equal scores rank the lower item number first.

        Args:
            histories: of the users.
            k: length of each list.
            network: vectors whose dot products are added, their weight multiplied in.
            seen: (n_users, n_items) pairs that are left out; by default what the histories hold.
            block: users scored at once; by default as many as 16 million scores allow.

        Returns:
            (items, scores), each (n_users, k); -1 and minus infinity past the last item left.
        """
        import torch

        rows = self.rows(histories)
        seen = rows.seen if seen is None else seen
        n_users, n_items = histories.shape
        items = np.full((n_users, k), -1, np.int64)
        values = np.full((n_users, k), -np.inf, np.float32)
        width, step = min(k, n_items), block or max(1, _BLOCK_CELLS // max(n_items, 1))
        for start in range(0, n_users if width else 0, step):
            users = np.arange(start, min(start + step, n_users))
            scores = self.scores(rows, users)
            if network is not None:
                scores += network.scores(rows, users)
            hidden = seen[users]
            at = np.repeat(np.arange(len(users)), np.diff(hidden.indptr))
            scores[at, hidden.indices] = -np.inf
            best, chosen = best_columns(torch.from_numpy(scores), width)
            chosen[best == -torch.inf] = -1
            items[users, :width], values[users, :width] = chosen.numpy(), best.numpy()
        return items, values

    def contributions(self, histories: Histories, items: Indices) -> Floats:
        """(n_pairs, n_items) what each rated pair adds to the scores of some items.

        With the prior of the items, and the network's part, the columns of one user sum to the
        user's scores.

        Args:
            histories: of one or more users.
            items: (n_items,) that were scored.
        """
        rows, found = self.rows(histories), np.zeros((len(histories), len(items)), np.float32)
        rated = histories.items
        for wanted, weights in self.maps.items():
            cells = weights[rated][:, items].toarray()
            found += rows.values(wanted)[:, None] * cells
        for wanted, (left, right) in self.low_rank.items():
            found += rows.values(wanted)[:, None] * (left[rated] @ right[items].T)
        return found

    def tables(self) -> dict[str, pl.DataFrame]:
        """The model as tables (`TABLES`), rows in the order of the rated items."""
        usual = None if self.usual is None else self.usual.values
        return {
            MAPS_TABLE: _stacked(map(_map_table, self.maps.items()), ITEM_TO_ITEM),
            FACTORS_TABLE: _stacked(map(_factor_table, self.low_rank.items()), ITEM_FACTORS),
            PRIORS_TABLE: pl.DataFrame(
                {
                    ITEM_INDEX: np.arange(self.n_items),
                    PRIOR: self.prior,
                    NEWCOMER_SCORE: self.newcomers,
                    USUAL_RATING: usual,
                },
                schema=ITEM_PRIORS,
            ),
        }

    @classmethod
    def from_tables(cls, tables: Mapping[str, pl.DataFrame], facts: Facts) -> "ItemToItemModel":
        """The model that `tables()` and `facts` described."""
        priors = tables[PRIORS_TABLE].sort(ITEM_INDEX)
        n_items, spread = priors.height, facts.get(_SPREAD)
        usual = None
        if isinstance(spread, float) and not priors[USUAL_RATING].null_count():
            usual = UsualRatings(values=priors[USUAL_RATING].to_numpy(), spread=spread)
        return cls(
            maps={
                wanted: sparse.csr_matrix(
                    (some[WEIGHT], (some[RATED_ITEM], some[SCORED_ITEM])), (n_items, n_items)
                )
                for wanted, some in _by_input(tables[MAPS_TABLE])
            },
            low_rank={
                wanted: _factors(some.sort(ITEM_INDEX))
                for wanted, some in _by_input(tables[FACTORS_TABLE])
            },
            prior=priors[PRIOR].to_numpy(),
            newcomers=priors[NEWCOMER_SCORE].to_numpy(),
            usual=usual,
            facts=facts,
        )


BESIDE_ATTRIBUTES: Final = "popularity_beside_attributes"
"""Fact: factor on what is popular for users without a history whose attributes are known."""
_SPREAD: Final = "rating_spread"


def summed(
    parts: Iterable[tuple[FittedMap, float]],
    n_items: int,
    *,
    most: int | None = None,
    usual: UsualRatings | None = None,
    newcomers: FittedMap | None = None,
    facts: Facts | None = None,
) -> ItemToItemModel:
    """Fitted components with their weights as one model.

    Args:
        parts: maps and the weights of their scores.
        n_items: number of items.
        most: entries kept per row of each input's matrix; None for all.
        usual: what deviations are measured from.
        newcomers: a prior that orders items for users without a history; by default the sum's.
        facts: plain values to be stored with it.
    """
    maps: dict[HistoryInput, sparse.csr_matrix] = {}
    low_rank: dict[HistoryInput, tuple[Floats, Floats]] = {}
    prior = np.zeros(n_items, np.float32)
    for part, weight in parts:
        factor = np.float32(weight)
        if isinstance(part, ItemPrior):
            prior += factor * part.values
        elif isinstance(part, SparseMap):
            more = part.weights * factor
            maps[part.input] = maps[part.input] + more if part.input in maps else more
        else:
            low_rank[part.input] = _joined(low_rank.get(part.input), part, factor)
    if most is not None:
        maps = {wanted: largest_of_rows(weights, most) for wanted, weights in maps.items()}
    spread = {} if usual is None else {_SPREAD: float(usual.spread)}
    return ItemToItemModel(
        maps=maps,
        low_rank=low_rank,
        prior=prior,
        newcomers=newcomers.values if isinstance(newcomers, ItemPrior) else prior,
        usual=usual,
        facts={**(facts or {}), **spread},
    )


def _joined(
    known: tuple[Floats, Floats] | None, part: LowRankMap, factor: np.float32
) -> tuple[Floats, Floats]:
    mine = (factor * part.rated).astype(np.float32), part.scored
    if known is None:
        return mine
    return np.hstack([known[0], mine[0]]), np.hstack([known[1], mine[1]])


def _add_sparse(total: Floats, found: sparse.csr_matrix) -> None:
    """Add to the dense scores what a sparse product holds."""
    rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    total[rows, found.indices] += found.data


def _map_table(entry: tuple[HistoryInput, sparse.csr_matrix]) -> pl.DataFrame:
    wanted, weights = entry
    weights = sparse.csr_matrix(weights)
    weights.sort_indices()
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    return pl.DataFrame(
        {RATED_ITEM: rows, SCORED_ITEM: weights.indices, WEIGHT: weights.data}
    ).select(pl.lit(wanted.name).alias(INPUT), pl.all())


def _factor_table(entry: tuple[HistoryInput, tuple[Floats, Floats]]) -> pl.DataFrame:
    wanted, (rated, scored) = entry
    return pl.DataFrame(
        {
            ITEM_INDEX: np.arange(len(rated)),
            RATED_VECTOR: pl.Series(rated).arr.to_list(),
            SCORED_VECTOR: pl.Series(scored).arr.to_list(),
        }
    ).select(pl.lit(wanted.name).alias(INPUT), pl.all())


def _stacked(tables: Iterable[pl.DataFrame], schema: Schema) -> pl.DataFrame:
    empty = pl.DataFrame(schema=schema)
    return pl.concat([empty, *(table.cast(empty.schema) for table in tables)])


def _by_input(table: pl.DataFrame) -> Iterable[tuple[HistoryInput, pl.DataFrame]]:
    for (name,), some in table.group_by(INPUT, maintain_order=True):
        yield HistoryInput.named(str(name)), some


def _factors(table: pl.DataFrame) -> tuple[Floats, Floats]:
    rated, scored = (np.array(table[name].to_list()) for name in (RATED_VECTOR, SCORED_VECTOR))
    return rated.astype(np.float32), scored.astype(np.float32)
