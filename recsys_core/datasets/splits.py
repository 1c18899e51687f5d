"""Split kinds: five folds of 80:20 (paper, section 3), given parts, by time, each user's last.

The official folds u1 to u5 of MovieLens 100K are the five consecutive blocks of 20,000 lines of
`u.data`; any other data set is shuffled first, since a file's order usually means something.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from recsys_core.columns import INTERACTIONS, ITEM, PART, RATING, USER
from recsys_core.datasets.split_parts import Split, drawn_validation, parted, too_few
from recsys_core.datasets.temporal_splits import by_last, by_time
from recsys_core.errors import DataError

if TYPE_CHECKING:  # the configuration's choices are the table below
    from recsys_core.datasets.config import SplitConfig

FOLDS: Final = 5
_ML_100K_ROWS: Final = 100_000
# SHA-256 of u.data's (user, item, rating) as "196,242,3\n...", in the file's order.
_ML_100K_DIGEST: Final = "d5812f98b37f839b32a323e8ce7dbf8f55a6aaa33e755a9abf2feb77e97f183b"


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
    interactions = interactions.select(INTERACTIONS.keys())
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
    interactions, rows = interactions.select(INTERACTIONS.keys()), interactions.height
    if rows < FOLDS:
        raise too_few(f"{rows} interactions cannot be cut into {FOLDS} folds.")
    start, end = ((config.fold - 1) * rows // FOLDS, config.fold * rows // FOLDS)
    in_test = np.zeros(rows, dtype=bool)
    in_test[order[start:end]] = True
    rest = interactions.filter(~pl.Series(in_test))
    generator = np.random.default_rng([seed, config.fold])
    in_valid = drawn_validation(rest, config.valid_share, generator)
    return Split(
        train=rest.filter(~in_valid),
        valid=rest.filter(in_valid),
        test=interactions.filter(pl.Series(in_test)),
        kind=kind,
    )


def _given(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    """The parts that the data name; validation drawn from train where they name none."""
    if PART not in interactions.columns:
        raise DataError(
            "The interactions have no column part.",
            expected="train, valid or test in every row, or files train, valid and test.",
            fix="add the column, or choose another --split.kind.",
        )
    part = interactions[PART]
    in_valid, in_test = part == "valid", part == "test"
    if not in_valid.any():
        train = interactions.filter(~in_test)
        drawn = drawn_validation(train, config.valid_share, np.random.default_rng(seed))
        rows = pl.Series(np.flatnonzero(~in_test.to_numpy())).filter(drawn)
        in_valid = pl.int_range(interactions.height, eager=True).is_in(rows.implode())
    return parted(interactions, in_valid, in_test, kind="given")


@dataclass(frozen=True, kw_only=True)
class SplitKind:
    """A way to divide interactions.

    Attributes:
        divide: (interactions, configuration, seed) -> split.
        help: what it does, for `--help`.
        folds: how many test parts it has.
    """

    divide: Callable[[pl.DataFrame, "SplitConfig", int], Split]
    help: str
    folds: int = 1


KINDS: Final[Mapping[str, SplitKind]] = {
    "auto": SplitKind(
        divide=_auto, help="blocks for MovieLens 100K in its own order, else random", folds=FOLDS
    ),
    "blocks": SplitKind(
        divide=_blocks, folds=FOLDS,
        help="five consecutive blocks of the file (MovieLens 100K's official folds u1-u5)",
    ),
    "random": SplitKind(divide=_random, help="five seeded random blocks", folds=FOLDS),
    "given": SplitKind(
        divide=_given, help="the column part of the interactions, or files train, valid and test"
    ),
    "time": SplitKind(
        divide=by_time,
        help="all before a moment trains, the rest is test; valid ends training",
    ),
    "last": SplitKind(
        divide=by_last, help="each user's last interactions are test, those before them valid"
    ),
}  # fmt: skip
"""Every split kind; choices of the configuration and of the command lines follow from it."""
