"""Train, validation and test: five folds of 80:20 (paper, section 3), validation out of train.

The official folds u1 to u5 of MovieLens 100K are the five consecutive blocks of 20,000 lines of
`u.data`; any other data set is shuffled first, since a file's order usually means something.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from recsys_core.columns import ITEM, RATING, ROW, USER
from recsys_core.errors import DataError

if TYPE_CHECKING:  # the configuration's choices are the table below
    from recsys_core.datasets.config import SplitConfig

logger = logging.getLogger(__name__)

FOLDS: Final = 5
_ML_100K_ROWS: Final = 100_000
# SHA-256 of u.data's (user, item, rating) as "196,242,3\n...", in the file's order.
_ML_100K_DIGEST: Final = "d5812f98b37f839b32a323e8ce7dbf8f55a6aaa33e755a9abf2feb77e97f183b"


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Three disjoint tables of interactions, each in the order of the file.

    Attributes:
        train: what models, profiles and graphs are made from.
        valid: held out of training for early stopping.
        test: the fold's block, never seen before the evaluation.
        kind: name in `KINDS`; `none` where nothing is held out.
    """

    train: pl.DataFrame
    valid: pl.DataFrame
    test: pl.DataFrame
    kind: str

    @property
    def known(self) -> pl.DataFrame:
        """What is no test: a user's history at test time, and what lists leave out."""
        return pl.concat([self.train, self.valid])


def split_interactions(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    """Train, validation and test, as `config.kind` of `KINDS` divides.

    Equal arguments give equal splits.

    Args:
        interactions: `columns.INTERACTIONS` in the file's order.
        config: kind, fold and share of validation.
        seed: of whatever is drawn.

    Raises:
        DataError: there are too few interactions to fill the three parts.
    """
    return KINDS[config.kind].divide(interactions, config, seed)


def everything(interactions: pl.DataFrame) -> Split:
    """All interactions for training: the split of the last fit before lists are served."""
    none = interactions.clear()
    return Split(train=interactions, valid=none, test=none, kind="none")


def is_ml_100k_in_order(interactions: pl.DataFrame) -> bool:
    """Whether these are MovieLens 100K's ratings in the order of `u.data`, ids of any type."""
    if interactions.height != _ML_100K_ROWS:
        return False
    values = (pl.col(USER), pl.col(ITEM), pl.col(RATING).cast(pl.Int64))
    lines = interactions.select(pl.concat_str(values, separator=",")).to_series()
    text = "\n".join(lines.fill_null("").to_list())
    return hashlib.sha256(text.encode()).hexdigest() == _ML_100K_DIGEST


def _blocks(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    return _fold("blocks", interactions, np.arange(interactions.height), config, seed)


def _random(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(interactions.height)
    return _fold("random", interactions, order, config, seed)


def _auto(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    divide = _blocks if is_ml_100k_in_order(interactions) else _random
    return divide(interactions, config, seed)


def _fold(
    kind: str,
    interactions: pl.DataFrame,
    order: np.ndarray[tuple[int], np.dtype[np.int64]],
    config: "SplitConfig",
    seed: int,
) -> Split:
    """The fold `config.fold` of five equal parts of `order` as test, validation out of the rest.

    The folds' test parts partition the interactions. No user loses the last training interaction
    to validation. The seed draws the validation sample.
    """
    rows = interactions.height
    if rows < FOLDS:
        raise _too_few(f"{rows} interactions cannot be cut into {FOLDS} folds.")
    start, end = ((config.fold - 1) * rows // FOLDS, config.fold * rows // FOLDS)
    in_test = np.zeros(rows, dtype=bool)
    in_test[order[start:end]] = True
    rest = interactions.filter(~pl.Series(in_test))
    generator = np.random.default_rng([seed, config.fold])
    in_valid = _validation(rest, config.valid_share, generator)
    return Split(
        train=rest.filter(~in_valid),
        valid=rest.filter(in_valid),
        test=interactions.filter(pl.Series(in_test)),
        kind=kind,
    )


def _validation(rest: pl.DataFrame, share: float, generator: np.random.Generator) -> pl.Series:
    """Mask of a random sample of rows that leaves every user at least one row."""
    wanted = max(1, round(share * rest.height))
    drawn = pl.Series(ROW, generator.permutation(rest.height))
    # A user's last draw is not for validation, so that something is left to train on.
    spare = rest.select(pl.col(USER), drawn).select(pl.col(ROW) < pl.col(ROW).max().over(USER))
    candidates = drawn.filter(spare.to_series()).sort().head(wanted)
    if candidates.is_empty():
        raise _too_few("No user has two training interactions, so validation would be empty.")
    if candidates.len() < wanted:
        logger.warning(
            "validation is smaller than asked for",
            extra={"wanted": wanted, "rows": candidates.len()},
        )
    return drawn.is_in(candidates.implode())


def _too_few(seen: str) -> DataError:
    return DataError(
        seen,
        expected=f"at least {FOLDS} interactions, and users with several of them.",
        fix="add interactions.",
    )


@dataclass(frozen=True, kw_only=True)
class SplitKind:
    """A way to divide interactions.

    Attributes:
        divide: (interactions, configuration, seed) -> split.
        help: what it does, for `--help`.
    """

    divide: Callable[[pl.DataFrame, "SplitConfig", int], Split]
    help: str


KINDS: Final[Mapping[str, SplitKind]] = {
    "auto": SplitKind(divide=_auto, help="blocks for MovieLens 100K in its own order, else random"),
    "blocks": SplitKind(
        divide=_blocks,
        help="five consecutive blocks of the file (MovieLens 100K's official folds u1-u5)",
    ),
    "random": SplitKind(divide=_random, help="five seeded random blocks"),
}
"""Every split kind; choices of the configuration and of the command lines follow from it."""
