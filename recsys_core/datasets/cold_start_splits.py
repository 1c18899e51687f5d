"""Cold-start splits: held-out users and items that training never saw (DESIGN, protocols).

The rows are put in order by their ids before anything is drawn, so a split depends on the data
and the seed alone, not on the order of the file.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from recsys_core.columns import INDEX, ITEM, ROW, USER
from recsys_core.errors import ConfigError, DataError

SHOWN: Final = (0, 1, 3, 5, 9)
"""The numbers of interactions that a new user shows."""
SEEDS: Final = (0, 1, 2)
"""The seeds whose mean is reported."""
USER_SHARE: Final = 0.2
ITEM_SHARE: Final = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class ColdUsers:
    """Users held out of training, each showing n interactions.

    Attributes:
        train: all interactions of the other users.
        shown: n random interactions of each held-out user; their profiles come from these only.
        test: the rest of their interactions, of any rating.
        users: the held-out users that have something left for test, sorted.
        too_short: held-out users with at most n interactions, who are in none of the tables.
        n: interactions shown per user.
        seed: what was drawn.
    """

    train: pl.DataFrame
    shown: pl.DataFrame
    test: pl.DataFrame
    users: pl.Series
    too_short: int
    n: int
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class ColdItems:
    """Items held out of training with all their interactions.

    Attributes:
        train: all interactions with the other items.
        test: all interactions with the held-out items.
        items: the held-out items, sorted: what is ranked.
        seed: what was drawn.
    """

    train: pl.DataFrame
    test: pl.DataFrame
    items: pl.Series
    seed: int


def cold_users(interactions: pl.DataFrame, n: int, seed: int) -> ColdUsers:
    """`cold_user(n)`: a random fifth of the users, at least one, is new and shows n interactions.

    One seed holds out the same users for every n, and shows them the same interactions first: what
    is shown at n = 1 is among what is shown at n = 3. So only the amount of evidence differs.

    Args:
        interactions: `columns.INTERACTIONS`.
        n: interactions shown per held-out user, at least 0.
        seed: of the users and of what they show.

    Raises:
        ConfigError: n is negative.
        DataError: fewer than two users, so none could be held out and one be learned from.
    """
    if n < 0:
        raise ConfigError(f"cold_user({n}) shows {n} interactions.", expected="0 or more.")
    ordered = interactions.sort(USER, ITEM)
    rng = np.random.default_rng([seed, 0])
    held_out = _drawn(ordered[USER], USER_SHARE, rng)
    new = pl.col(USER).is_in(held_out.implode())
    theirs = ordered.filter(new)
    draw = pl.Series(INDEX, rng.permutation(theirs.height))
    theirs = theirs.with_columns(draw).with_columns(
        (pl.col(INDEX).rank("ordinal") - 1).over(USER).alias(INDEX), pl.len().over(USER).alias(ROW)
    )
    kept = theirs.filter(pl.col(ROW) > n)
    first = pl.col(INDEX) < n
    users = kept[USER].unique().sort()
    return ColdUsers(
        train=interactions.filter(~new),
        shown=kept.filter(first).drop(INDEX, ROW),
        test=kept.filter(~first).drop(INDEX, ROW),
        users=users,
        too_short=held_out.len() - users.len(),
        n=n,
        seed=seed,
    )


def cold_items(interactions: pl.DataFrame, seed: int) -> ColdItems:
    """`cold_item`: a random tenth of the items that have interactions, at least one, is new.

    Args:
        interactions: `columns.INTERACTIONS`.
        seed: of the items.

    Raises:
        DataError: fewer than two items, so none could be held out and one be learned from.
    """
    held_out = _drawn(interactions[ITEM], ITEM_SHARE, np.random.default_rng([seed, 1]))
    new = pl.col(ITEM).is_in(held_out.implode())
    return ColdItems(
        train=interactions.filter(~new),
        test=interactions.filter(new),
        items=held_out,
        seed=seed,
    )


def _drawn(ids: pl.Series, share: float, rng: np.random.Generator) -> pl.Series:
    """A random share of the distinct ids, at least one and not all, sorted."""
    distinct = ids.unique().sort()
    if distinct.len() < 2:
        raise DataError(
            f"{distinct.len()} distinct values of {ids.name} cannot be divided.",
            expected="at least two: one to hold out, one to learn from.",
            fix="add interactions.",
        )
    wanted = max(1, round(share * distinct.len()))
    return distinct.gather(np.sort(rng.permutation(distinct.len())[:wanted]))
