"""Policies for interactions: scale, repeated pairs, k-core, and counts as weights.

Each policy is a field of `DataConfig`; what it did is counted in the notes of the run.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from recsys_core.columns import INTERACTIONS, ITEM, PART, POSITION, RATING, ROW, TIMESTAMP, USER
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.contract.findings import Findings
from recsys_core.datasets.contract.rating_scale import explicit_scale, feedback_of, implicit_weights
from recsys_core.interactions.feedback import Feedback, RatingScale, is_liked

_SHOW: Final = (USER, ITEM, RATING)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rated:
    """Interactions of one row per (user, item), and the scale of their ratings.

    Attributes:
        table: `columns.INTERACTIONS`, and part and position where the data have them.
        scale: kind of feedback, scale, thresholds.
        notes: what the policies did.
    """

    table: pl.DataFrame
    scale: RatingScale
    notes: tuple[str, ...] = ()


def apply_policies(
    table: pl.DataFrame,
    config: DataConfig,
    findings: Findings,
    *,
    hint: Feedback | None = None,
    need_likes: bool = True,
) -> Rated | None:
    """One row per pair, on a known scale.

    Args:
        table: cast columns; rating, part and position may be absent.
        config: the policies.
        findings: for problems and for notes.
        hint: kind of feedback, where the source says so.
        need_likes: whether ratings of which none is liked are a problem.

    Returns:
        None where something was found that the policies do not allow.
    """
    ratings = table[RATING] if RATING in table.columns else None
    feedback = feedback_of(ratings, config, hint=hint)
    if feedback == "implicit":
        table, scale = _implicit(table, config, findings)
    else:
        table, scale = _explicit(table, config, findings, need_likes=need_likes)
    if findings or scale is None:
        return None
    table = _k_core(table, config, findings)
    if table.is_empty():
        findings.add(
            "no interaction is left",
            "lower --data.min_user_interactions and --data.min_item_interactions, or correct the"
            " file",
        )
        return None
    findings.notes.append(_said(scale, config))
    kept = [name for name in (PART, POSITION) if name in table.columns]
    return Rated(table=table.select(*INTERACTIONS, *kept), scale=scale, notes=tuple(findings.notes))


def _explicit(
    table: pl.DataFrame, config: DataConfig, findings: Findings, *, need_likes: bool
) -> tuple[pl.DataFrame, RatingScale | None]:
    if RATING not in table.columns:
        findings.add(
            "missing column rating",
            "name it, for example --data.columns '{rating: NAME}', or leave --data.feedback out",
        )
        return table, None
    try:
        scale = explicit_scale(table[RATING], config)
    except ValueError as error:
        findings.add(f"its ratings do not fit the configuration: {_reason(error)}",
                     "correct --data.rating_min, --data.negative, --data.positive and"
                     " --data.rating_max")  # fmt: skip
        return table, None
    table = _on_scale(table, scale, config, findings)
    _note_zeros(table[RATING], scale, findings)
    liked = table.select(is_liked(scale.like_from).any()).item()
    if not findings and need_likes and not liked:
        findings.add(
            f"none of the {table.height:,} ratings is {scale.like_from:g} or more, so nothing is"
            " liked", "lower --data.positive, or set --data.feedback implicit",
        )  # fmt: skip
    if config.repeats == "sum":
        findings.add("ratings of a scale cannot be added up (--data.repeats sum)",
                     "choose last, max or mean, or --data.feedback implicit")  # fmt: skip
    return _one_per_pair(table, config.repeats or "last", findings), scale


def _implicit(
    table: pl.DataFrame, config: DataConfig, findings: Findings
) -> tuple[pl.DataFrame, RatingScale | None]:
    if RATING in table.columns:
        kept = table.filter(pl.col(RATING) > 0)
        findings.note(
            table.height - kept.height, "interaction", "with a count of 0 or less dropped"
        )
        if kept.is_empty():
            findings.add("every count is 0 or less", "check the column of the counts")
            return table, None
        table = kept
    else:
        table = table.with_columns(pl.lit(1.0, pl.Float32).alias(RATING))
    if table[RATING].n_unique() < 2 and config.repeats in (None, "last", "max", "mean"):
        # Events without a count: how often somebody came back is no rating of its own.
        table = table.with_columns(pl.lit(1.0, pl.Float32).alias(RATING))
        table = _one_per_pair(table, "last", findings)
    else:
        table = _one_per_pair(table, config.repeats or "sum", findings)
    try:
        weights, scale = implicit_weights(table[RATING], config)
    except ValueError as error:
        findings.add(f"its counts do not fit the configuration: {_reason(error)}",
                     "correct --data.positive")  # fmt: skip
        return table, None
    weight = pl.lit(1.0, pl.Float32) if weights is None else weights
    return table.with_columns(weight.alias(RATING)), scale


def _on_scale(
    table: pl.DataFrame, scale: RatingScale, config: DataConfig, findings: Findings
) -> pl.DataFrame:
    # Compared as Float32: a bound such as 0.3 has no exact value in either precision.
    low, high = pl.lit(scale.rating_min, pl.Float32), pl.lit(scale.rating_max, pl.Float32)
    inside = pl.col(RATING).is_between(low, high)
    outside = table.height - int(table.select(inside.sum()).item())
    if not outside:
        return table
    if config.out_of_scale == "drop":
        findings.note(outside, "rating", "outside the scale dropped")
        return table.filter(inside)
    if config.out_of_scale == "clip":
        findings.note(outside, "rating", "outside the scale moved to its ends")
        return table.with_columns(pl.col(RATING).clip(low, high))
    findings.add_rows(
        table, ~inside,
        f"have a rating outside the scale {scale.rating_min:g} to {scale.rating_max:g}",
        f"correct the file, or set its scale (it goes from {table[RATING].min()!r} to"
        f" {table[RATING].max()!r}): --data.rating_min and --data.rating_max, and with them"
        " --data.positive (liked from here up) and --data.negative (disliked up to here); or set"
        " --data.out_of_scale to clip or drop", show=_SHOW,
    )  # fmt: skip
    return table


def _note_zeros(ratings: pl.Series, scale: RatingScale, findings: Findings) -> None:
    """Say so where 0 may mean that somebody rated nothing: many zeros below whole numbers."""
    zeros, others = int((ratings == 0).sum()), ratings.filter(ratings > 0)
    whole = others.len() > 0 and bool((others >= 1).all())
    if scale.rating_max > 1 and whole and zeros > ratings.len() / 10:
        findings.note(
            zeros, "rating", "of 0 taken for the lowest; if 0 means that there is no rating, set"
            " --data.rating_min 1 and --data.out_of_scale drop",
        )  # fmt: skip


def _one_per_pair(table: pl.DataFrame, policy: str, findings: Findings) -> pl.DataFrame:
    """One row per (user, item), at the place of its last row."""
    if not _has_repeats(table):
        return table
    pair = [USER, ITEM]
    repeated = pl.struct(pair).is_duplicated()
    if policy == "error":
        findings.add_rows(
            table, repeated, "repeat a (user, item) pair",
            "keep one row per pair, or set --data.repeats to last, max, mean or sum", show=_SHOW,
        )  # fmt: skip
        return table
    # The latest by time, and by the file's order where times are equal or unknown.
    order = [pl.col(TIMESTAMP), pl.col(ROW)]
    last = (
        table.with_row_index(ROW)
        .sort(order, nulls_last=False)
        .unique(pair, keep="last", maintain_order=False)
        .sort(ROW)
    )
    findings.note(table.height - last.height, "repeated row",
                  f"of a (user, item) pair merged ({policy})")  # fmt: skip
    if policy != "last":
        value = getattr(pl.col(RATING), policy)().cast(pl.Float32)
        merged = table.group_by(pair).agg(value)
        last = last.drop(RATING).join(merged, on=pair, how="left", maintain_order="left")
    return last.select(table.columns)


def _has_repeats(table: pl.DataFrame) -> bool:
    """Whether a pair occurs twice: by sorted hashes, which need a fraction of a table's memory."""
    hashes = table.select(pl.struct(USER, ITEM).hash()).to_series().sort().to_numpy()
    if not (hashes[1:] == hashes[:-1]).any():
        return False
    return bool(table.select(pl.struct(USER, ITEM).is_duplicated().any()).item())


def _k_core(table: pl.DataFrame, config: DataConfig, findings: Findings) -> pl.DataFrame:
    least = {USER: config.min_user_interactions, ITEM: config.min_item_interactions}
    before, rows = table.height, -1
    while rows != table.height:
        rows = table.height
        for name, count in least.items():
            if count > 1:
                table = table.filter(pl.len().over(name) >= count)
    findings.note(
        before - table.height, "interaction",
        f"left out: users with fewer than {least[USER]} or items with fewer than {least[ITEM]}",
    )  # fmt: skip
    return table


def _said(scale: RatingScale, config: DataConfig) -> str:
    if scale.is_implicit:
        how = "configured" if config.feedback == "implicit" else "told from the data"
        return f"implicit feedback ({how}): everything from {scale.like_from:g} up is liked"
    given = config.rating_min is not None and config.rating_max is not None
    return (
        f"ratings from {scale.rating_min:g} to {scale.rating_max:g}"
        f" ({'configured' if given else 'told from the data'}): liked from {scale.like_from:g},"
        f" disliked up to {scale.dislike_from:g}"
    )


def _reason(error: ValueError) -> str:
    text = str(error).replace("Value error, ", "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-2].partition(" [type=")[0] if len(lines) > 2 else lines[0]
