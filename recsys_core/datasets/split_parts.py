"""The parts of a split, and what every kind of split needs to make them."""

import logging
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from recsys_core.columns import INTERACTIONS, POSITION, ROW, USER
from recsys_core.errors import DataError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """Three disjoint tables of interactions, each in the order of the file.

    Attributes:
        train: what models, profiles and graphs are made from.
        valid: held out of training for early stopping.
        test: never seen before the evaluation.
        kind: name in `splits.KINDS`; `none` where nothing is held out.
        facts: what the run's summary shall say of it, such as the moment of a split by time.
    """

    train: pl.DataFrame
    valid: pl.DataFrame
    test: pl.DataFrame
    kind: str
    facts: dict[str, str | int] = field(default_factory=dict)

    @property
    def known(self) -> pl.DataFrame:
        """What is no test: a user's history at test time, and what lists leave out."""
        return pl.concat([self.train, self.valid])


def interaction_columns(table: pl.DataFrame) -> list[str]:
    """Those of `INTERACTIONS`, and `position` where there is one: an order without times."""
    return [*INTERACTIONS, POSITION] if POSITION in table.columns else [*INTERACTIONS]


def parted(
    interactions: pl.DataFrame,
    in_valid: pl.Series,
    in_test: pl.Series,
    *,
    kind: str,
    facts: dict[str, str | int] | None = None,
) -> Split:
    """The split that two masks over the interactions say.

    Raises:
        DataError: nothing is left for training, or nothing is held out for test.
    """
    rows = interactions.select(interaction_columns(interactions))
    found = Split(
        train=rows.filter(~(in_valid | in_test)),
        valid=rows.filter(in_valid),
        test=rows.filter(in_test),
        kind=kind,
        facts=facts or {},
    )
    for name in ("train", "test"):
        if getattr(found, name).is_empty():
            raise too_few(f"The {name} part of a split of kind {kind} would be empty.")
    return found


def drawn_validation(rest: pl.DataFrame, share: float, generator: np.random.Generator) -> pl.Series:
    """Mask of a random sample of rows that leaves every user at least one row."""
    wanted = max(1, round(share * rest.height))
    drawn = pl.Series(ROW, generator.permutation(rest.height))
    # A user's last draw is not for validation, so that something is left to train on.
    spare = rest.select(pl.col(USER), drawn).select(pl.col(ROW) < pl.col(ROW).max().over(USER))
    candidates = drawn.filter(spare.to_series()).sort().head(wanted)
    if candidates.is_empty():
        raise too_few("No user has two training interactions, so validation would be empty.")
    if candidates.len() < wanted:
        logger.warning(
            "validation is smaller than asked for",
            extra={"wanted": wanted, "rows": candidates.len()},
        )
    return drawn.is_in(candidates.implode())


def too_few(seen: str) -> DataError:
    """The error for a split that cannot fill its parts."""
    return DataError(
        seen,
        expected="at least 5 interactions, and users with several of them.",
        fix="add interactions, or choose another --split.kind.",
    )
