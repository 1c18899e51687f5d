"""Which ratings of visitors made their lists: leave-one-out through the served model.

A visitor is placed once more without each of the ratings. That takes no training and no network
library: the served model places users by numpy alone.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.attribution.kinds import DISLIKED, LIKED, POPULARITY, RATED
from recsys_core.explanations.attribution.strengths import strongest_ratings, with_strengths
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.serving.product.excerpt import excerpt
from recsys_core.serving.product.located import Located
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.product.scoring import Scoring
from recsys_core.serving.product.without_each import scores_without_each
from recsys_core.serving.visitors import Visitors, model_numbers

Bools = npt.NDArray[np.bool_]

_MOST: Final = 200
"""Ratings that are taken away one by one; of a longer history, those that the item-to-item part
reads most from (the last ones, where there is none)."""
_EDGES: Final = 1_000_000
"""Ratings of visitors without one rating each that are held at once."""


def visitor_causes(model: ServedModel, visitors: Visitors, lists: pl.DataFrame) -> pl.DataFrame:
    """What made the lists of visitors (`columns.ATTRIBUTIONS`).

    CONTRIBUTION is the drop without the rating; of what is no rating there is a row for the item's
    popularity, with the people who liked it. Places are not asked for.

    Args:
        model: what ranked.
        visitors: the users.
        lists: USER, ITEM and RANK.
    """
    located = visitors.located(model)
    edges = located.edges
    starts = np.searchsorted(edges.users, np.arange(len(visitors) + 1))
    users = dict(zip(visitors.users.to_list(), range(len(visitors)), strict=True))
    parts = [pl.DataFrame(schema=_schema(lists))]
    for (user,), rows in lists.sort(c.USER, c.RANK).partition_by(c.USER, as_dict=True).items():
        at = users[user]
        own = edges.where(np.arange(int(starts[at]), int(starts[at + 1])))
        items = model_numbers(rows[c.ITEM], model.items[c.ITEM])
        parts.append(_of_user(model, user, rows[c.ITEM], items, own, located, at))
    return with_strengths(pl.concat(parts))


def _schema(lists: pl.DataFrame) -> dict[str, Any]:
    ids = {c.USER: lists.schema[c.USER], c.ITEM: lists.schema[c.ITEM]}
    return {
        name: ids.get(name, lists.schema[c.ITEM]) if dtype is None else dtype
        for name, dtype in c.ATTRIBUTIONS.items()
    }


@dataclass(frozen=True, kw_only=True)
class Drops:
    """What the scores of a list were without each rating.

    Attributes:
        asked: (n,) places of the ratings that were taken away.
        drops: (n, n_items) how much lower the scores were.
        strongest: (m, n_items) rows of `drops`, the largest of each item first.
    """

    asked: Indices
    drops: Floats
    strongest: Indices


def drops_of(
    model: ServedModel,
    own: Edges,
    items: Indices,
    attributes: Floats,
    text: Floats,
    *,
    liked_only: bool = False,
) -> Drops:
    """Take a user's ratings away one by one.

    Args:
        model: what ranks.
        own: the user's ratings.
        items: (n_items,) places of the recommended items.
        attributes: (d,) of the user.
        text: (d_text,) of the user's profile.
        liked_only: leave the others of the same ratings alone; no reason cites them.
    """
    asked = _asked(model, own, items)
    if liked_only:
        asked = asked[polarity(model, own)[asked] == 1]
    drops = _drops(model, own, asked, items, attributes, text)
    order = strongest_ratings(drops, polarity(model, own)[asked] == 1)
    return Drops(asked=asked, drops=drops, strongest=order)


def _of_user(
    model: ServedModel,
    user: object,
    ids: pl.Series,
    items: Indices,
    own: Edges,
    located: Located,
    at: int,
) -> pl.DataFrame:
    found = drops_of(model, own, items, located.attributes[at], located.texts[at])
    asked, drops, order = found.asked, found.drops, found.strongest
    people, both = people_of(model, own.items[asked], items)
    cells = order.T.ravel()
    columns = np.repeat(np.arange(len(items)), len(order))
    strength = drops[cells, columns]
    total = np.maximum(np.abs(drops).sum(0), np.finfo(np.float32).tiny)
    kinds = np.array([RATED, LIKED, DISLIKED])[polarity(model, own)[asked]]
    liked = kinds[cells] == LIKED
    fans = np.diff(model.likers.indptr)
    known = items < len(fans)
    ratings = pl.DataFrame(
        {
            c.ITEM: ids.gather(columns), c.CAUSE: model.item_ids.gather(own.items[asked][cells]),
            c.KIND: kinds[cells], c.SHARE: np.abs(strength) / total[columns],
            c.SIGN: np.sign(strength), c.CONTRIBUTION: strength, c.DROP: strength,
            c.PEOPLE: np.where(liked, people[cells], -1),
            c.PEOPLE_BOTH: np.where(liked, both[cells, columns], -1),
        }
    )  # fmt: skip
    popular = pl.DataFrame(
        {
            c.ITEM: ids, c.KIND: [POPULARITY] * len(items), c.SHARE: 0.0, c.SIGN: 1,
            c.PEOPLE: np.where(known, fans[np.where(known, items, 0)], -1) if len(fans) else -1,
        }
    )  # fmt: skip
    schema = _schema(pl.DataFrame({c.USER: [user], c.ITEM: ids.head(1)}))
    both_kinds = pl.concat([ratings, popular], how="diagonal_relaxed").with_columns(
        pl.lit(user).alias(c.USER), pl.col(c.PEOPLE, c.PEOPLE_BOTH).replace(-1, None)
    )
    missing = [pl.lit(None).alias(name) for name in schema if name not in both_kinds.columns]
    return both_kinds.with_columns(missing).select(list(schema)).cast(schema)  # type: ignore[arg-type]


def polarity(model: ServedModel, own: Edges) -> Indices:
    """(n,) 1 for liked, 2 for disliked, 0 for neither."""
    if bool(model.facts["unary"]) or model.scale.is_implicit:
        return np.ones(len(own), np.int64)
    liked = own.ratings >= np.float32(model.scale.like_from)
    return np.where(liked, 1, np.where(own.ratings <= np.float32(model.scale.dislike_from), 2, 0))


def _asked(model: ServedModel, own: Edges, items: Indices) -> Indices:
    """Places of the ratings that are taken away one by one."""
    if len(own) <= _MOST:
        return np.arange(len(own))
    trained = items[items < model.item_ids.len()]
    if model.item_model is None or not len(trained):
        return np.argsort(np.nan_to_num(own.times), kind="stable")[-_MOST:]
    rated = model.scoring.rated(Edges(
        users=np.zeros(len(own), np.int64), items=own.items, ratings=own.ratings, times=own.times
    ), 1)  # fmt: skip
    read = np.abs(model.item_model.contributions(rated, trained)).max(1)
    return np.sort(np.argsort(-read, kind="stable")[:_MOST])


def _drops(
    model: ServedModel, own: Edges, asked: Indices, items: Indices, attributes: Floats, text: Floats
) -> Floats:
    """(n_asked, n_items) how much lower the scores were without each of the ratings asked for."""
    if not len(asked):
        return np.zeros((0, len(items)), np.float32)
    scoring, columns = excerpt(model.scoring, own.items, items)
    there = Edges(
        users=np.zeros(len(own), np.int64), items=np.arange(len(own)), ratings=own.ratings,
        times=own.times,
    )  # fmt: skip
    scores = scores_without_each(scoring, there, asked, attributes[None], text[None])
    if scores is None:
        scores = _one_by_one(scoring, there, asked, attributes, text)
    drops: Floats = (scores[0] - scores[1:])[:, columns].astype(np.float32)
    return drops


def _one_by_one(
    scoring: Scoring, own: Edges, asked: Indices, attributes: Floats, text: Floats
) -> Floats:
    """As `scores_without_each`, of any history: n histories of n - 1 ratings are placed."""
    kept = np.ones((1 + len(asked), len(own)), np.bool_)
    kept[1 + np.arange(len(asked)), asked] = False
    step = max(1, _EDGES // len(own))
    return np.concatenate([
        scoring.scores(_without(own, kept[start : start + step], attributes, text))
        for start in range(0, len(kept), step)
    ])  # fmt: skip


def _without(own: Edges, kept: Bools, attributes: Floats, text: Floats) -> Located:
    """Users (n,) who have rated the kept (n, n_own) parts of the history, all else the same.

    Their ratings are of the items of an excerpt, numbered as the history has them.
    """
    parts, places = np.nonzero(kept)
    nobody = np.empty(0, np.int64)
    return Located(
        trained=np.full(len(kept), -1, np.int64),
        edges=Edges(
            users=parts, items=places, ratings=own.ratings[places], times=own.times[places]
        ),
        seen=(nobody, nobody), attributes=np.repeat(attributes[None], len(kept), 0),
        texts=np.repeat(text[None], len(kept), 0),
    )  # fmt: skip


def people_of(model: ServedModel, causes: Indices, items: Indices) -> tuple[Indices, Indices]:
    """(n,) people who liked each cause, and (n, n_items) those of them who liked each item."""
    people = np.diff(model.likers.indptr)[causes].astype(np.int64)
    both = np.zeros((len(causes), len(items)), np.int64)
    trained = np.flatnonzero(items < model.likers.shape[0])
    if len(causes) and len(trained):
        liking = model.likers[items[trained]].toarray()
        both[:, trained] = model.likers[causes] @ liking.T
    return people, both
