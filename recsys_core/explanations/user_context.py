"""The users' context for explanations: from tables to the variables of the prompt."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.attributes import attributes
from recsys_core.explanations.prompt import ExplanationInput, KnownItem
from recsys_core.prompt_context.tables import item_facts, recent, recent_items, taste, tastes


@dataclass(frozen=True, kw_only=True)
class ExplanationContext:
    """One user's prompt variables, one set per request.

    Attributes:
        user: the id as text.
        order: ids of the titles as they are listed, the best first.
        batches: the titles in the order of their ids: a prompt does not change because ranks did.
    """

    user: str
    order: tuple[str, ...]
    batches: tuple[ExplanationInput, ...]


class ExplanationContexts:
    """The contexts of all users of `pool`, built lazily in its order."""

    def __init__(
        self,
        pool: pl.DataFrame,
        *,
        history: pl.DataFrame,
        items: pl.DataFrame,
        item_profiles: pl.DataFrame,
        user_profiles: pl.DataFrame,
        evidence: pl.DataFrame,
        batch: int,
    ) -> None:
        liked = evidence.filter(pl.col(c.POLARITY) == c.LIKED).sort(
            c.USER, c.TURN, maintain_order=True
        )
        needed = pl.concat([pool.select(c.ITEM), liked.select(c.ITEM)]).unique()
        shown = item_facts(items.join(needed, on=c.ITEM, how="semi"), item_profiles)
        self._batch = batch
        self._items = {row[c.ITEM]: known_item(row) for row in shown.iter_rows(named=True)}
        cited = liked.group_by(c.USER, maintain_order=True).agg(pl.col(c.ITEM).alias(c.LIKED))
        self._frame = (
            pool.group_by(c.USER, maintain_order=True)
            .agg(c.ITEM)
            .join(cited, on=c.USER, how="left", maintain_order="left")
            .join(tastes(user_profiles), on=c.USER, how="left", maintain_order="left")
            .join(recent_items(history, items), on=c.USER, how="left", maintain_order="left")
        )

    @property
    def without_liked(self) -> int:
        """Users who have no liked title to cite."""
        return self._frame[c.LIKED].null_count()

    def __iter__(self) -> Iterator[ExplanationContext]:
        for row in self._frame.iter_rows(named=True):
            shown = sorted((self._items[item] for item in row[c.ITEM]), key=lambda one: one.id)
            liked = tuple(self._items[item] for item in row[c.LIKED] or () if item in self._items)
            parts = [shown[at : at + self._batch] for at in range(0, len(shown), self._batch)]
            yield ExplanationContext(
                user=str(row[c.USER]),
                order=tuple(map(str, row[c.ITEM])),
                batches=tuple(
                    ExplanationInput(
                        taste=taste(row), recent=recent(row), liked=liked, items=tuple(part)
                    )
                    for part in parts
                ),
            )


def known_item(row: Mapping[str, Any]) -> KnownItem:
    """A row of `prompt_context.tables.item_facts` with its attributes as keys."""
    return KnownItem(
        id=str(row[c.ITEM]), title=row[c.TITLE], year=row[c.YEAR], description=row[c.DESCRIPTION],
        attributes=attributes(row[c.GENRES], row[c.TAGS], row[c.YEAR]),
    )  # fmt: skip
