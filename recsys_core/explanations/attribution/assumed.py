"""Causes before there is a model: for estimates of what asking about them would cost."""

import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.attribution.kinds import LIKED
from recsys_core.explanations.attribution.strengths import with_strengths


def assumed(evidence: pl.DataFrame, lists: pl.DataFrame) -> pl.DataFrame:
    """The liked titles of every user's evidence as the causes of every entry of the user's list.

    A dry run knows no model, and a prompt shows as many causes either way.

    Args:
        evidence: `columns.EVIDENCE`; the earlier turns count as the stronger causes.
        lists: USER and ITEM.

    Returns:
        `columns.ATTRIBUTIONS` without counts and places.
    """
    liked = evidence.filter(pl.col(c.POLARITY) == c.LIKED).sort(c.USER, c.TURN, maintain_order=True)
    place = pl.int_range(1, pl.len() + 1).over(c.USER)
    share = (1 / (place + 1)).cast(pl.Float32)
    causes = liked.select(c.USER, pl.col(c.ITEM).alias(c.CAUSE), share.alias(c.SHARE))
    empty = pl.DataFrame(
        schema={name: lists.schema[c.ITEM] if dtype is None else dtype
                for name, dtype in c.ATTRIBUTIONS.items()} | {c.USER: lists.schema[c.USER]}
    )  # fmt: skip
    pairs = lists.select(c.USER, c.ITEM).join(causes, on=c.USER, maintain_order="left")
    found = pairs.with_columns(
        pl.lit(LIKED).alias(c.KIND), pl.lit(1, pl.Int8).alias(c.SIGN),
        pl.col(c.SHARE).alias(c.CONTRIBUTION), pl.col(c.SHARE).alias(c.DROP),
    )  # fmt: skip
    return with_strengths(pl.concat([empty, found], how="diagonal"))
