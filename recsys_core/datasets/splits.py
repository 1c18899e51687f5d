"""Split kinds: five folds of 80:20 (paper, section 3), given parts, by time, each user's last.

The official folds u1 to u5 of MovieLens 100K are the five consecutive blocks of 20,000 lines of
`u.data`, which are recognised by the rows they hold. Any other data set is divided by hash
(`hashed_split`), so that rows which are added later move no others.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from recsys_core.columns import ITEM, PART, USER
from recsys_core.datasets.hashed_split import Mask, hashed_parts
from recsys_core.datasets.split_parts import (
    Split,
    drawn_validation,
    interaction_columns,
    parted,
    too_few,
)
from recsys_core.datasets.temporal_splits import by_last, by_time
from recsys_core.errors import DataError

if TYPE_CHECKING:  # the configuration's choices are the table below
    from recsys_core.datasets.config import SplitConfig

FOLDS: Final = 5
_ML_100K_ROWS: Final = 100_000
# SHA-256 of u.data's (user, item) as "196,242\n...", in the file's order.
_ML_100K_DIGEST: Final = "9c0c3e8e0ce2a7115361822aa1acd819d2a4a5acd8925778be79bc2e7b131810"


def split_interactions(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    """Train, validation and test, as `config.kind` of `KINDS` divides.

    Equal arguments give equal splits.

    Args:
        interactions: `columns.INTERACTIONS` in the file's order.
        config: kind, fold and share of validation.
        seed: of whatever is drawn, unless the configuration has its own.

    Raises:
        DataError: there are too few interactions to fill the three parts.
    """
    own = seed if config.seed is None else config.seed
    return KINDS[config.kind].divide(interactions, config, own)


def everything(interactions: pl.DataFrame) -> Split:
    """All interactions for training: the split of the last fit before lists are served."""
    interactions = interactions.select(interaction_columns(interactions))
    none = interactions.clear()
    return Split(train=interactions, valid=none, test=none, kind="none")


def holds_ml_100k(interactions: pl.DataFrame) -> bool:
    """Whether the first 100,000 rows are MovieLens 100K in the order of `u.data`.

    Ids may have any type, ratings any value, and later rows may follow.
    """
    first = interactions.head(_ML_100K_ROWS).select(USER, ITEM)
    if first.height < _ML_100K_ROWS:
        return False
    lines = first.select(pl.concat_str(USER, ITEM, separator=",")).to_series()
    text = "\n".join(lines.fill_null("").to_list())
    return hashlib.sha256(text.encode()).hexdigest() == _ML_100K_DIGEST


def _blocks(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    return _divided("blocks", interactions, config, seed, _block(interactions.height, config.fold))


def _official(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    """The official folds of MovieLens 100K; rows that came later are for training."""
    test = np.zeros(interactions.height, dtype=np.bool_)
    test[:_ML_100K_ROWS] = _block(_ML_100K_ROWS, config.fold)
    return _divided("blocks", interactions, config, seed, test)


def _random(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    return _divided("random", interactions, config, seed, None)


def _auto(interactions: pl.DataFrame, config: "SplitConfig", seed: int) -> Split:
    divide = _official if holds_ml_100k(interactions) else _random
    return divide(interactions, config, seed)


def _block(rows: int, fold: int) -> Mask:
    test = np.zeros(rows, dtype=np.bool_)
    test[(fold - 1) * rows // FOLDS : fold * rows // FOLDS] = True
    return test


def _divided(
    kind: str,
    interactions: pl.DataFrame,
    config: "SplitConfig",
    seed: int,
    test: Mask | None,
) -> Split:
    """Test as given, or by hash; validation by hash out of the rest (`hashed_split`)."""
    interactions = interactions.select(interaction_columns(interactions))
    if interactions.height < FOLDS:
        raise too_few(f"{interactions.height} interactions cannot be cut into {FOLDS} folds.")
    parts = hashed_parts(
        interactions, fold=config.fold, folds=FOLDS, valid_share=config.valid_share, seed=seed,
        test=test,
    )  # fmt: skip
    for part, rows in (("validation", parts.valid), ("test", parts.test)):
        if not rows.any():
            raise too_few(f"Of {interactions.height} interactions none falls into the {part} part.")
    return Split(
        train=interactions.filter(pl.Series(~(parts.valid | parts.test))),
        valid=interactions.filter(pl.Series(parts.valid)),
        test=interactions.filter(pl.Series(parts.test)),
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
        divide=_auto, folds=FOLDS,
        help="the official folds for MovieLens 100K (later rows are for training), else random",
    ),
    "blocks": SplitKind(
        divide=_blocks, folds=FOLDS,
        help="five consecutive blocks of the file (MovieLens 100K's official folds u1-u5)",
    ),
    "random": SplitKind(
        divide=_random, folds=FOLDS,
        help="five folds by a seeded hash of user and item: rows that come later move no others",
    ),
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
