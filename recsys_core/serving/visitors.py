"""Whom lists are asked for: known users, users who came since, and what both have rated."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import ITEM, RATING, TIMESTAMP, USER
from recsys_core.embedding.user_features import attribute_features
from recsys_core.errors import DataError
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.interactions.order import ORDERS, order_of
from recsys_core.serving.product.located import Located

if TYPE_CHECKING:
    from recsys_core.serving.product.model import ServedModel

KNOWN: Final = "known"
"""Placed by training: nothing came since."""
FOLDED_IN: Final = "folded in"
"""Placed by their ratings, without training."""
NOTHING_KNOWN: Final = "nothing known"
"""Neither a rating of a known item nor an attribute: what is popular."""

Status = pl.Series
_MASK: Final = "_new"


@dataclass(frozen=True, kw_only=True, eq=False)
class Visitors:
    """Users, each once, and their ratings of the model's items.

    Attributes:
        users: (n,) ids.
        status: (n,) `KNOWN`, `FOLDED_IN` or `NOTHING_KNOWN`.
        history: `columns.INTERACTIONS`, all that is known of them, one row per pair.
        unknown: (n,) ratings of items that the model does not have; they say nothing.
        attributes: (n, d) as in training; d is 0 where the model reads none.
        texts: (n, d_text) vectors of the profiles of those who are folded in, zeros elsewhere.
    """

    users: pl.Series
    status: list[str]
    history: pl.DataFrame
    unknown: Indices
    attributes: Floats
    texts: Floats

    def __len__(self) -> int:
        return self.users.len()

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """(n,) who is placed by training."""
        return np.array([one == KNOWN for one in self.status], np.bool_)

    @property
    def placed(self) -> pl.Series:
        """Ids of those who are folded in, or of whom nothing is known."""
        return self.users.filter(pl.Series(~self.is_known, dtype=pl.Boolean))

    def with_texts(self, texts: Floats) -> "Visitors":
        """The same with vectors of their profiles."""
        return replace(self, texts=texts)

    def as_newcomers(self) -> "Visitors":
        """The same users, all of them placed by their ratings, as if no training had seen them."""
        found = [one if one == NOTHING_KNOWN else FOLDED_IN for one in self.status]
        return replace(self, status=found)

    def located(self, model: "ServedModel") -> Located:
        """The same as numbers of the model."""
        trained = np.full(len(self), -1, np.int64)
        known = np.flatnonzero(self.is_known)
        trained[known] = model_numbers(self.users.gather(known), model.user_ids)
        seen = (
            model_numbers(self.history[USER], self.users),
            model_numbers(self.history[ITEM], model.items[ITEM]),
        )
        return Located(
            trained=trained, edges=self.edges(model), seen=seen, attributes=self.attributes,
            texts=self.texts,
        )  # fmt: skip

    def edges(self, model: "ServedModel") -> Edges:
        """Their ratings of items that the model was trained with, by number, sorted by user."""
        rated = self.history.filter(pl.col(ITEM).is_in(model.item_ids.implode()))
        users = model_numbers(rated[USER], self.users)
        order = np.argsort(users, kind="stable")
        return Edges(
            users=users, items=model_numbers(rated[ITEM], model.item_ids),
            ratings=rated[RATING].cast(pl.Float32).to_numpy(), times=order_of(rated, model.order),
        ).where(order)  # fmt: skip


def visitors_of(
    model: "ServedModel",
    users: pl.Series | None = None,
    ratings: pl.DataFrame | None = None,
    attributes: pl.DataFrame | None = None,
) -> Visitors:
    """Known users, and users with new ratings.

    A new rating takes the place of an older one of the same item; several of one item in `ratings`
    leave the last. A new rating without a time of somebody whose other ratings have one counts as
    their latest; where positions order the ratings of the model, one without a position does.

    Args:
        model: what knows the known ones.
        users: ids of users of the model, whose lists are wanted as they are.
        ratings: new ratings (`columns.INTERACTIONS`) of known or new users.
        attributes: `user_id` and what is known of new users beside their ratings, in the columns
            of the model's table of users; columns that it does not have say nothing.

    Raises:
        DataError: a user is neither known nor has a row in `ratings` or `attributes`, or the ids
            are of another type than the model's.
    """
    dtype = model.users.schema[USER]
    wanted = _ids(users, dtype)
    rows = _rows(ratings, model)
    new = _one_per_pair(rows)
    told = _ids(None if attributes is None else attributes[USER], dtype)
    everybody = pl.concat([wanted, rows[USER], told]).unique(maintain_order=True)
    known = everybody.is_in(model.users[USER].implode())
    strangers = wanted.filter(
        ~wanted.is_in(model.users[USER].implode())
        & ~wanted.is_in(pl.concat([new[USER], told]).implode())
    )
    if strangers.len():
        raise DataError(
            f"{strangers.len()} users are not known to the model, such as {strangers[0]!r}.",
            expected="users that the model was trained with, or ratings of new ones.",
            fix="give their ratings (--interactions, or a history).",
        )
    ours = new.filter(pl.col(ITEM).is_in(model.items[ITEM].implode()))
    history = _joined(model.history_of(everybody.filter(known)), ours, model.order)
    unknown = new.join(ours, on=[USER, ITEM], how="anti").group_by(USER).len()
    counts = everybody.to_frame(USER).join(unknown, on=USER, how="left", maintain_order="left")
    found = _attributes(model, everybody, attributes)
    changed = everybody.is_in(pl.concat([ours[USER], told]).implode())
    trained = history.filter(pl.col(ITEM).is_in(model.item_ids.implode()))
    rated = everybody.is_in(trained[USER].unique().implode())
    status = [
        KNOWN if is_known and not came else FOLDED_IN if some or row.any() else NOTHING_KNOWN
        for is_known, came, some, row in zip(known, changed, rated, found, strict=True)
    ]
    return Visitors(
        users=everybody, status=status, history=history, attributes=found,
        unknown=counts["len"].fill_null(0).cast(pl.Int64).to_numpy(),
        texts=np.zeros((everybody.len(), model.placing.text_width), np.float32),
    )  # fmt: skip


def typed_attributes(model: "ServedModel", given: Mapping[str, Any], user: Any = None) -> Floats:
    """(1, d) of one person's attributes, over those of a known user.

    Args:
        model: knows the columns and their types.
        given: by column; None for what is not known.
        user: the known user; None for somebody new.

    Raises:
        DataError: the model reads no attributes, has no such column, or a value is of another type.
    """
    known = model.users.drop(USER)
    if not model.reads_attributes:
        raise DataError(
            "This model places users by their ratings alone, and reads no attributes.",
            expected="ratings.", fix="leave the attributes out.",
        )  # fmt: skip
    for name in given:
        if name not in known.columns:
            raise DataError(
                f"The model's users have no attribute {name!r}.",
                expected=f"some of {', '.join(known.columns)}.", fix="leave it out.",
            )  # fmt: skip
    there = model.users.filter(pl.col(USER) == user).rows(named=True) if user is not None else []
    row = dict(there[0]) if there else {}
    for name, value in given.items():
        cast = pl.Series(name, [value], strict=False).cast(known.schema[name], strict=False)
        if value is not None and cast[0] is None:
            raise DataError(
                f"The attribute {name} is {value!r}.", expected=f"{known.schema[name]}.",
                fix="write it as the data's table of users does.",
            )  # fmt: skip
        row[name] = cast[0]
    table = {name: [row.get(name)] for name in known.columns}
    return attribute_features(model.users, pl.DataFrame(table, schema=known.schema))


def model_numbers(ids: pl.Series, nodes: pl.Series) -> Indices:
    """Places of known ids (n,) among the nodes."""
    table = pl.DataFrame({"_id": nodes}).with_row_index(_MASK)
    found = ids.alias("_id").to_frame().join(table, on="_id", how="left", maintain_order="left")
    return found[_MASK].cast(pl.Int64).to_numpy()


def _ids(given: pl.Series | None, dtype: pl.DataType) -> pl.Series:
    if given is None or given.is_empty():
        return pl.Series(USER, [], dtype)
    cast = given.cast(dtype, strict=False).alias(USER)
    if cast.null_count():
        wrong = given.filter(cast.is_null())[0]
        raise DataError(
            f"{wrong!r} is no user id of this model.", expected=f"ids of type {dtype}.",
            fix="write ids as the data set has them.",
        )  # fmt: skip
    return cast.unique(maintain_order=True)


def _rows(ratings: pl.DataFrame | None, model: "ServedModel") -> pl.DataFrame:
    """New ratings in the types of the model."""
    schema: dict[str, Any] = {
        USER: model.users.schema[USER], ITEM: model.items.schema[ITEM],
        RATING: pl.Float32, TIMESTAMP: pl.Int64, model.order: pl.Int64,
    }  # fmt: skip
    if ratings is None:
        return pl.DataFrame(schema=schema)
    given = ratings.columns
    return ratings.select(
        (pl.col(name) if name in given else pl.lit(None).alias(name)).cast(kind)
        for name, kind in schema.items()
    )


def _one_per_pair(ratings: pl.DataFrame) -> pl.DataFrame:
    keys = [name for name in ORDERS if name in ratings.columns]
    latest = ratings.sort(*keys, nulls_last=False, maintain_order=True)
    return latest.unique([USER, ITEM], keep="last", maintain_order=True)


def _joined(old: pl.DataFrame, new: pl.DataFrame, order: str) -> pl.DataFrame:
    kept = old.join(new, on=[USER, ITEM], how="anti")
    after = kept.group_by(USER).agg(pl.col(order).max().alias("_last"))
    timed = (
        new.join(after, on=USER, how="left", maintain_order="left")
        .with_columns(pl.coalesce(order, pl.col("_last") + 1).alias(order))
        .drop("_last")
    )
    return pl.concat([kept, timed], how="diagonal")


def _attributes(
    model: "ServedModel", users: pl.Series, new: pl.DataFrame | None
) -> Floats:  # fmt: skip
    """(n, d) attributes in the columns of training; zeros where unknown."""
    if not model.reads_attributes:
        return np.zeros((users.len(), 0), np.float32)
    known = model.users
    rows = users.to_frame(USER).join(known, on=USER, how="left", maintain_order="left")
    if new is not None:
        same = [name for name in known.columns if name != USER and name in new.columns]
        given = new.select(
            pl.col(USER).cast(known.schema[USER]),
            *(pl.col(name).cast(known.schema[name], strict=False) for name in same),
        )
        rows = rows.update(given, on=USER, how="left")
    return attribute_features(known, rows)
