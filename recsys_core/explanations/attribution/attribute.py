"""Attribution of whole lists: `columns.ATTRIBUTIONS` for any users of a trained model."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from threadpoolctl import threadpool_limits

from recsys_core import columns as c
from recsys_core.explanations.attribution.causes import UserCauses, causes_of
from recsys_core.explanations.attribution.co_likes import co_likes
from recsys_core.explanations.attribution.kinds import (
    DISLIKED,
    LIKED,
    OTHERS,
    POPULARITY,
    RATED,
)
from recsys_core.explanations.attribution.strengths import (
    cited_before,
    strongest_ratings,
    with_strengths,
)
from recsys_core.graph.inference.counterfactual import Counterfactuals, UserHistory
from recsys_core.graph.interaction_graph import Edges, Floats, Indices

ASKED: Final = 3
"""Strongest liked causes of each item of which is found out where it would stand without them."""
_WHICH: Final = "__which__"


@dataclass(frozen=True, kw_only=True)
class KnownUsers:
    """Users whose lists are attributed; arrays have a row per user.

    Attributes:
        ids: (n,) their ids.
        shown: their ratings; `users` counts through `ids`.
        profiles: (n, d_text) text vectors, zeros where there is none.
        attributes: (n, d) user attributes; d may be 0.
        vectors: (n, d) vectors of training; None for users who were folded in.
    """

    ids: pl.Series
    shown: Edges
    profiles: Floats
    attributes: Floats
    vectors: Floats | None = None


def attribute(
    model: Counterfactuals,
    users: KnownUsers,
    lists: pl.DataFrame,
    *,
    barred: Indices,
    seen: Edges | None = None,
    last: pl.DataFrame | None = None,
    margin: float = 0.0,
    on_user: Callable[[int], None] | None = None,
) -> pl.DataFrame:
    """What made every entry of some lists.

    Args:
        model: the trained model (`Counterfactuals.of`, once for all calls).
        users: whose lists.
        lists: USER, ITEM and RANK of the entries; users without a row get none.
        barred: numbers of items that are recommended to nobody.
        seen: pairs that the lists leave out; by default what is shown.
        last: what the last run found: causes stay what they were by `margin` (`strengths`).
        margin: points of influence.
        on_user: called with the number of users done.

    Returns:
        `columns.ATTRIBUTIONS`, ordered by user, rank of the item, and size of the share: the
        ratings with the largest drops, and everything that is no rating.
    """
    graph = model.fitted.graph
    numbers = pl.DataFrame({c.USER: users.ids}).with_row_index(c.USER_INDEX)
    places = pl.DataFrame({c.ITEM: graph.item_ids}).with_row_index(c.ITEM_INDEX)
    rows = lists.join(numbers, on=c.USER).join(places, on=c.ITEM).sort(c.USER_INDEX, c.RANK)
    wanted = rows[c.USER_INDEX].unique().sort().to_numpy().astype(np.int64)
    items = rows.group_by(c.USER_INDEX, maintain_order=True).agg(c.ITEM_INDEX)[c.ITEM_INDEX]
    cited = _cited(last, numbers, places)
    known = users.shown if seen is None else seen
    with one_thread():
        found = list(_found(model, users, wanted, items, barred, known, cited, on_user))
    return with_strengths(_named(_stacked(found), users, model), last=last, margin=margin)


@contextmanager
def one_thread() -> Iterator[None]:
    """Thousands of small products: handing each to several threads takes longer than it does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


_NUMBERED: Final = {
    c.USER_INDEX: pl.Int32, c.ITEM_INDEX: pl.Int32, c.CAUSE: pl.Int32, _WHICH: pl.Int8,
    c.SHARE: pl.Float32, c.CONTRIBUTION: pl.Float32, c.DROP: pl.Float32, c.PLACE: pl.Int32,
    c.PLACE_WITHOUT: pl.Int32,
}  # fmt: skip
_Columns = dict[str, npt.NDArray[Any]]
_KINDS: Final = (LIKED, RATED, DISLIKED, *OTHERS)
_POPULARITY: Final = _KINDS.index(POPULARITY)


def _found(
    model: Counterfactuals,
    users: KnownUsers,
    wanted: Indices,
    items: pl.Series,
    barred: Indices,
    seen: Edges,
    cited: Mapping[int, Indices],
    on_user: Callable[[int], None] | None,
) -> Iterator[_Columns]:
    n_items = model.fitted.graph.n_items
    known = seen.by_user()
    starts = np.searchsorted(known.users, np.arange(users.ids.len() + 1))
    histories = model.users(users.shown, users.profiles, users.attributes, wanted)
    for done, (user, history) in enumerate(zip(wanted.tolist(), histories, strict=True), 1):
        mine = items[done - 1].to_numpy().astype(np.int64)
        hidden = np.zeros(n_items, np.bool_)
        hidden[barred] = True
        hidden[known.items[starts[user] : starts[user + 1]]] = True
        hidden[mine] = False
        causes = causes_of(
            history, mine, placed=None if users.vectors is None else users.vectors[user],
            hidden=hidden, asked=ASKED,
        )  # fmt: skip
        before = cited.get(user, np.empty((0, 2), np.int64))
        yield _strongest(user, mine, history, causes, before)
        if on_user is not None:
            on_user(done)


def _cited(
    last: pl.DataFrame | None, users: pl.DataFrame, items: pl.DataFrame
) -> dict[int, Indices]:
    """User number -> (n, 2) numbers of items, and of titles that their reasons might cite before.

    Args:
        last: `columns.ATTRIBUTIONS` of the last run.
        users: USER and USER_INDEX.
        items: ITEM and ITEM_INDEX.
    """
    same = users.schema[c.USER], items.schema[c.ITEM]
    if last is None or (last.schema[c.USER], last.schema[c.ITEM]) != same:
        return {}
    causes = items.rename({c.ITEM: c.CAUSE, c.ITEM_INDEX: _WHICH})
    found = (
        cited_before(last).join(users, on=c.USER).join(items, on=c.ITEM).join(causes, on=c.CAUSE)
    )
    pairs = found.select(c.USER_INDEX, c.ITEM_INDEX, _WHICH).cast(pl.Int64)
    parts = pairs.partition_by(c.USER_INDEX, as_dict=True, include_key=False)
    return {int(user): part.to_numpy() for (user,), part in parts.items()}


def _strongest(
    user: int, items: Indices, history: UserHistory, causes: UserCauses, cited: Indices
) -> _Columns:
    n, count = causes.drops.shape
    before = np.zeros((n, count), np.bool_)
    for item, cause in cited.tolist():
        before |= (history.items == cause)[:, None] & (items == item)
    order = strongest_ratings(causes.drops, history.liked, before).T
    place = np.arange(count)[:, None]
    total = np.abs(causes.contributions).sum(0) + np.abs(causes.others).sum(0)
    total = np.maximum(total, np.finfo(np.float32).tiny)
    others = np.flatnonzero(causes.others.any(1))
    kept = order.shape[1]
    asked = causes.places_without[order, place]

    def both(of_ratings: Any, of_others: Any, dtype: Any) -> Any:
        left = np.broadcast_to(of_ratings, (count, kept)).astype(dtype)
        right = np.broadcast_to(of_others, (count, len(others))).astype(dtype)
        return np.concatenate([left, right], axis=1).ravel()

    contributions = both(causes.contributions[order, place], causes.others[others].T, np.float32)
    which = np.where(history.liked, 0, np.where(history.disliked, 2, 1))
    return {
        c.USER_INDEX: np.full(len(contributions), user, np.int32),
        c.ITEM_INDEX: both(items[:, None], items[:, None], np.int32),
        c.CAUSE: both(history.items[order] if n else order, -1, np.int32),
        _WHICH: both(which[order] if n else order, 3 + others[None], np.int8),
        c.SHARE: np.abs(contributions) / both(total[:, None], total[:, None], np.float32),
        c.CONTRIBUTION: contributions,
        c.DROP: both(causes.drops[order, place], np.nan, np.float32),
        c.PLACE: both(causes.places[:, None], causes.places[:, None], np.int32),
        c.PLACE_WITHOUT: both(asked, 0, np.int32),
    }


def _stacked(found: Sequence[_Columns]) -> pl.DataFrame:
    """The users' columns as one table."""
    if not found:
        return pl.DataFrame(schema=_NUMBERED)
    joined = {name: np.concatenate([one[name] for one in found]) for name in _NUMBERED}
    return pl.DataFrame(joined, schema=_NUMBERED)


def _named(found: pl.DataFrame, users: KnownUsers, model: Counterfactuals) -> pl.DataFrame:
    """Ids in place of numbers, kinds, signs, and the counts of people."""
    graph, item_ids = model.fitted.graph, model.fitted.graph.item_ids
    likes = graph.edges.liked(model.fitted.data)
    which = found[_WHICH].to_numpy()
    cited, popular = np.flatnonzero(which == 0), np.flatnonzero(which == _POPULARITY)
    causes, items = (found[name].to_numpy() for name in (c.CAUSE, c.ITEM_INDEX))
    shape = graph.n_users, graph.n_items
    people, both = co_likes(likes, shape, causes[cited], items[cited])
    of_items, _ = co_likes(likes, shape, items[popular], items[popular])
    return found.with_columns(
        pl.Series(c.USER, users.ids.gather(found[c.USER_INDEX])),
        pl.Series(c.ITEM, item_ids.gather(found[c.ITEM_INDEX])),
        pl.Series(c.CAUSE, item_ids.gather(found[c.CAUSE].replace(-1, None)), item_ids.dtype),
        pl.Series(c.KIND, _KINDS, pl.String).gather(found[_WHICH]).alias(c.KIND),
        pl.col(c.CONTRIBUTION).sign().cast(pl.Int8).alias(c.SIGN),
        pl.col(c.DROP).fill_nan(None),
        pl.col(c.PLACE_WITHOUT).replace(0, None),
        _scattered(c.PEOPLE, np.append(cited, popular), np.append(people, of_items), found.height),
        _scattered(c.PEOPLE_BOTH, cited, both, found.height),
    )


def _scattered(name: str, places: Any, values: Indices, length: int) -> pl.Series:
    found = np.full(length, -1, np.int32)
    found[places] = values
    return pl.Series(name, found).replace(-1, None)
