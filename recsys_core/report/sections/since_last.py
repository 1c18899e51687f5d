"""What changed since the last run: how the model was trained, and how far lists stayed."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from pydantic import BaseModel, ConfigDict

from recsys_core.columns import ITEM, RANK, USER

_BEFORE = "_before"


class SinceLast(BaseModel):
    """The lists of a run beside those of the last run of the same configuration.

    Attributes:
        run: the last run.
        k: places that are compared.
        users: users with a list in both.
        stability: mean share of a user's first k items that are still among the first k.
        changed_lists: share of these users whose first k items are others, or in another order.
        changed_places: share of their places that hold another item.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    k: int
    users: int
    stability: float
    changed_lists: float
    changed_places: float

    def line(self) -> str:
        """In words."""
        return (
            f"Since the run {self.run}: stability@{self.k} {self.stability:.3f} over"
            f" {self.users:,} users; {self.changed_lists:.1%} of the lists and"
            f" {self.changed_places:.1%} of the places changed."
        )


def since_last(before: pl.DataFrame, now: pl.DataFrame, *, run: str, k: int) -> SinceLast | None:
    """Compare the first k places of two tables of lists; None where no user is in both.

    Args:
        before: USER, ITEM and RANK of the last run.
        now: those of this run.
        run: name of the last run.
        k: places.
    """
    if before.schema[USER] != now.schema[USER] or before.schema[ITEM] != now.schema[ITEM]:
        return None
    tops = (one.filter(pl.col(RANK) <= k).select(USER, ITEM, RANK) for one in (before, now))
    old, new = (one.sort(USER, RANK).group_by(USER, maintain_order=True).agg(ITEM) for one in tops)
    both = new.join(old.rename({ITEM: _BEFORE}), on=USER).sort(USER)
    if both.is_empty():
        return None
    places = pl.max_horizontal(pl.col(ITEM).list.len(), pl.col(_BEFORE).list.len())
    kept = pl.col(ITEM).list.set_intersection(_BEFORE).list.len() / pl.col(_BEFORE).list.len()
    rows = both.select(
        kept.alias("kept"),
        (pl.col(ITEM) != pl.col(_BEFORE)).alias("lists"),
        places.alias("places"),
    )
    return SinceLast(
        run=run,
        k=k,
        users=both.height,
        stability=float(rows["kept"].mean() or 0.0),  # type: ignore[arg-type]
        changed_lists=float(rows["lists"].mean() or 0.0),  # type: ignore[arg-type]
        changed_places=1 - _same_places(both) / max(1, int(rows["places"].sum())),
    )


def _same_places(both: pl.DataFrame) -> int:
    pairs = both.select(ITEM, _BEFORE).iter_rows()
    return sum(
        one == other for now, before in pairs for one, other in zip(now, before, strict=False)
    )


def training_line(facts: Mapping[str, Any], why: str, *, cached: bool) -> str:
    """How the model was trained, in a sentence.

    Args:
        facts: of the step `train`.
        why: what was said of the earlier model, whether it is used.
        cached: the model was there, and nothing was trained.
    """
    before = _number(facts.get("valid_ndcg_when_chosen"))
    now = _number(facts.get("valid_ndcg_of_the_same_users"))
    run = facts.get("went_on_from")
    how = "found; it" if cached else "it"
    if run is not None:
        return (
            f"Model: {how} went on from the run {run} for {facts['epochs']} of"
            f" {facts['best_epoch']} epochs, its components and weights kept; validation NDCG"
            f" {before} when they were chosen, {now} now."
        )
    lists = _number(facts.get("valid_ndcg_of_lists"))
    if cached:
        return f"Model: found, its components and weights its own; validation NDCG {lists}."
    told = facts.get("chosen_anew") or f"earlier model: {why}"
    return f"Model: everything chosen anew ({told}); validation NDCG {lists}."


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "not measured"
