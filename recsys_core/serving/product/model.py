"""The served model in memory: lists of any users, by numpy alone."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from recsys_core.columns import AVAILABLE, INDEX, ITEM, USER
from recsys_core.embedding.user_features import attribute_features
from recsys_core.errors import DataError
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.inference.user_placing import UserPlacing
from recsys_core.graph.interaction_graph import Floats, Indices
from recsys_core.interactions.feedback import RatingScale, is_liked
from recsys_core.interactions.order import order_column
from recsys_core.interactions.topk import ranked_lists
from recsys_core.serving.product.config import ServingConfig
from recsys_core.serving.product.located import Located, best_places
from recsys_core.serving.product.scoring import Scoring
from recsys_core.serving.titles import Titles
from recsys_core.serving.visitors import Visitors

_CELLS: Final = 8_000_000
"""Scores, users x items, held at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NewItems:
    """Items that came after training.

    Attributes:
        mix: (n_new, n_items) shares of the trained items whose scores make theirs.
    """

    mix: sparse.csr_matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class ServedModel:
    """A trained model, and all that lists with reasons take.

    Attributes:
        uri: where it lies.
        content_hash: of what it holds.
        facts: what the run says of it (`contract.FACTS`).
        user_ids: users placed by training.
        user_vectors: (n_users, d).
        item_ids: (n_items,) items of the training.
        item_vectors: (n_items, d).
        item_model: the item-to-item part of the score; None for none.
        placing: places users who came later.
        scale: of ratings.
        items: `columns.ITEMS` and `available`, those of the training first, in their order.
        item_profiles: `columns.ITEM_PROFILES`.
        item_texts: (n_items, d_text) vectors of the items' texts, in the order of `items`.
        users: everybody of the data set, with attributes.
        user_profiles: of everybody of the training.
        evidence: what these were written from.
        histories: ratings of the known users.
        probe: what validation said about reranking (`columns.PROBE`).
        new_items: items that came after training, the last ones of `items`.
    """

    uri: str
    content_hash: str
    facts: dict[str, Any]
    user_ids: pl.Series
    user_vectors: Floats
    item_ids: pl.Series
    item_vectors: Floats
    item_model: ItemToItemModel | None
    placing: UserPlacing
    scale: RatingScale
    items: pl.DataFrame
    item_profiles: pl.DataFrame
    item_texts: Floats
    users: pl.DataFrame
    user_profiles: pl.DataFrame
    evidence: pl.DataFrame
    histories: pl.DataFrame
    probe: pl.DataFrame
    new_items: NewItems | None = None

    @cached_property
    def config(self) -> ServingConfig:
        """What lists are made with, as in the run."""
        return ServingConfig.read(self.facts["config"])

    @cached_property
    def order(self) -> str:
        """Column that orders the ratings of a user: `timestamp`, or `position`."""
        return order_column(self.histories)

    @property
    def reads_attributes(self) -> bool:
        """Whether users are placed by what is known beside their ratings."""
        return bool(self.facts["attributes"])

    @property
    def allows_repeats(self) -> bool:
        """Whether items that a user knows may be recommended again."""
        return bool(self.facts["allow_repeats"])

    @cached_property
    def available(self) -> npt.NDArray[np.bool_]:
        """(n,) which of the items may be recommended."""
        return self.items[AVAILABLE].to_numpy()

    @cached_property
    def known_users(self) -> frozenset[Any]:
        """Ids of the users placed by training."""
        return frozenset(self.user_ids.to_list())

    @cached_property
    def no_attributes(self) -> Floats:
        """(1, d) of a user of whom nothing is known beside ratings."""
        width = attribute_features(self.users, self.users.head(1)).shape[1]
        return np.zeros((1, width if self.reads_attributes else 0), np.float32)

    def attributes_of(self, user: Any) -> Floats:
        """(1, d) of a known user; zeros for anybody else."""
        place = self._attribute_rows.get(user)
        return self.no_attributes if place is None else self._attributes[place : place + 1]

    @cached_property
    def _attributes(self) -> Floats:
        return attribute_features(self.users, self.users)

    @cached_property
    def _attribute_rows(self) -> dict[Any, int]:
        if not self.reads_attributes:
            return {}
        return {user: at for at, user in enumerate(self.users[USER].to_list())}

    @cached_property
    def no_text(self) -> Floats:
        """(1, d_text) of a user whose profile is not embedded."""
        return np.zeros((1, self.placing.text_width), np.float32)

    @cached_property
    def known_items(self) -> frozenset[Any]:
        """Ids of the items."""
        return frozenset(self.items[ITEM].to_list())

    @cached_property
    def likers(self) -> sparse.csr_matrix:
        """(n_items, n_users) a 1 for everybody of the known users who liked an item."""
        liked = self.histories.filter(is_liked(self.scale.like_from))
        liked = liked.filter(pl.col(ITEM).is_in(self.item_ids.implode())).unique([USER, ITEM])
        places = pl.DataFrame({ITEM: self.item_ids}).with_row_index(INDEX)
        items = liked.join(places, on=ITEM, how="left", maintain_order="left")[INDEX]
        users = liked[USER].rank("dense") - 1
        shape = self.item_ids.len(), liked[USER].n_unique()
        return sparse.csr_matrix(
            (np.ones(liked.height, np.int32), (items.to_numpy(), users.to_numpy())), shape
        )

    @cached_property
    def titles(self) -> Titles:
        """The titles of the items, for looking up."""
        return Titles(items=self.items)

    def history_of(self, users: pl.Series) -> pl.DataFrame:
        """What known users have rated."""
        places = [self._places[one] for one in users.to_list() if one in self._places]
        if len(places) > _MANY:
            return self.histories.join(users.to_frame(USER), on=USER, how="semi")
        parts = [self.histories.slice(start, count) for start, count in places]
        return pl.concat([self.histories.clear(), *parts])

    @cached_property
    def _places(self) -> dict[Any, tuple[int, int]]:
        runs = self.histories[USER].rle().struct.unnest()
        starts = runs["len"].cum_sum() - runs["len"]
        return {
            user: (start, count)
            for user, start, count in zip(runs["value"], starts, runs["len"], strict=True)
        }

    @cached_property
    def scoring(self) -> Scoring:
        """What scores take."""
        return Scoring(
            user_vectors=self.user_vectors, item_vectors=self.item_vectors,
            item_model=self.item_model, placing=self.placing, scale=self.scale,
            unary=bool(self.facts["unary"]), neutral=float(self.facts["weighing"]["neutral"]),
            mix=None if self.new_items is None else self.new_items.mix,
        )  # fmt: skip

    def vectors(self, located: Located) -> Floats:
        """(n, d) vectors of users: those of training, or folded in."""
        return self.scoring.vectors(located)

    def scores(self, located: Located) -> Floats:
        """(n, n_items) of a block of users, new items last."""
        return self.scoring.scores(located)

    def lists(
        self, visitors: Visitors, k: int, barred: npt.NDArray[np.bool_] | None = None
    ) -> pl.DataFrame:
        """The k best items of each user (`columns.CANDIDATES`).

        Left out are items that may not be recommended and, unless the data allow repeats, what the
        users know. Equal scores rank the earlier item first.

        Args:
            visitors: the users.
            k: length of each list; shorter where fewer items are left.
            barred: (n_items,) further items that are in no list.
        """
        located, n_items = visitors.located(self), self.items.height
        items = np.full((len(visitors), k), -1, np.int64)
        values = np.full((len(visitors), k), -np.inf, np.float32)
        step = max(1, _CELLS // max(n_items, 1))
        for start in range(0, len(visitors), step):
            rows = np.arange(start, min(start + step, len(visitors)))
            for row, (best, scores) in zip(
                rows, self.best(located.where(rows), k, barred), strict=True
            ):
                items[row, : len(best)], values[row, : len(best)] = best, scores
        return ranked_lists(visitors.users, self.items[ITEM], items, values)

    def best(
        self, located: Located, k: int, barred: npt.NDArray[np.bool_] | None = None
    ) -> list[tuple[Indices, Floats]]:
        """As `lists`, for one block of users: places of the items, and their scores."""
        scores = self.scores(located)
        scores[:, ~self.available if barred is None else ~self.available | barred] = -np.inf
        if not self.allows_repeats:
            scores[located.seen] = -np.inf
        places = [best_places(line, k) for line in scores]
        return [(best, line[best]) for best, line in zip(places, scores, strict=True)]

    def unknown_items(self, items: pl.DataFrame) -> pl.DataFrame:
        """Those of some items (`columns.ITEMS`) that the model does not have, ids in its type.

        Raises:
            DataError: an id is of another type.
        """
        dtype = self.items.schema[ITEM]
        cast = items.with_columns(pl.col(ITEM).cast(dtype, strict=False))
        if cast[ITEM].null_count():
            raise DataError(
                f"{items[ITEM].filter(cast[ITEM].is_null())[0]!r} is no item id of this model.",
                expected=f"ids of type {dtype}, as in the data set.",
                fix="write ids as the data set has them.",
            )
        new = cast.filter(~pl.col(ITEM).is_in(self.items[ITEM].implode()))
        if AVAILABLE not in new.columns:
            new = new.with_columns(pl.lit(value=True).alias(AVAILABLE))
        return new

    def knowing(self, items: pl.DataFrame) -> "ServedModel":
        """The same with further items that are known and not placed yet."""
        return replace(self, items=pl.concat([self.items, items], how="diagonal"))

    def with_items(
        self, items: pl.DataFrame, profiles: pl.DataFrame, texts: Floats, mix: sparse.csr_matrix
    ) -> "ServedModel":
        """The same with further items, which no training has seen (`new_items`)."""
        return replace(
            self.knowing(items),
            item_profiles=pl.concat([self.item_profiles, profiles], how="diagonal"),
            item_texts=np.vstack([self.item_texts, texts]), new_items=NewItems(mix=mix),
        )  # fmt: skip


_MANY: Final = 200
"""Users from which on one join is quicker than slices."""
