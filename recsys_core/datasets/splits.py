"""Train, validation and test: five folds of 80:20 (paper, section 3), validation out of train.

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

from recsys_core.columns import ITEM, USER
from recsys_core.datasets.hashed_split import Mask, hashed_parts
from recsys_core.errors import DataError

if TYPE_CHECKING:  # the configuration's choices are the table below
    from recsys_core.datasets.config import SplitConfig

FOLDS: Final = 5
_ML_100K_ROWS: Final = 100_000
# SHA-256 of u.data's (user, item) as "196,242\n...", in the file's order.
_ML_100K_DIGEST: Final = "9c0c3e8e0ce2a7115361822aa1acd819d2a4a5acd8925778be79bc2e7b131810"


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
    if interactions.height < FOLDS:
        raise _too_few(f"{interactions.height} interactions cannot be cut into {FOLDS} folds.")
    parts = hashed_parts(
        interactions, fold=config.fold, folds=FOLDS, valid_share=config.valid_share, seed=seed,
        test=test,
    )  # fmt: skip
    for part, rows in (("validation", parts.valid), ("test", parts.test)):
        if not rows.any():
            raise _too_few(
                f"Of {interactions.height} interactions none falls into the {part} part."
            )
    return Split(
        train=interactions.filter(pl.Series(~(parts.valid | parts.test))),
        valid=interactions.filter(pl.Series(parts.valid)),
        test=interactions.filter(pl.Series(parts.test)),
        kind=kind,
    )


def _too_few(seen: str) -> DataError:
    return DataError(
        seen,
        expected=f"at least {FOLDS} interactions, and users with several of them.",
        fix="add interactions, or raise split.valid_share where validation is empty.",
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
    "auto": SplitKind(
        divide=_auto,
        help="the official folds for MovieLens 100K (later rows are for training), else random",
    ),
    "blocks": SplitKind(
        divide=_blocks,
        help="five consecutive blocks of the file (MovieLens 100K's official folds u1-u5)",
    ),
    "random": SplitKind(
        divide=_random,
        help="five folds by a seeded hash of user and item: rows that come later move no others",
    ),
}
"""Every split kind; choices of the configuration and of the command lines follow from it."""
