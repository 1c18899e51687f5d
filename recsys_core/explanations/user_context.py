"""The users' context for explanations: from tables to the variables of the prompt."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.attributes import WORD, attributes
from recsys_core.explanations.attribution.strengths import citable, rests_on
from recsys_core.explanations.prompt import Cause, ExplainedItem, ExplanationInput, KnownItem
from recsys_core.llm.providers.rules import RULES
from recsys_core.profiles.rules.lexicon import lexicon
from recsys_core.profiles.rules.stemming import load_table
from recsys_core.prompt_context.tables import (
    LABELS,
    item_facts,
    recent,
    recent_items,
    taste,
    tastes,
)


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
    """The contexts of all users of `pool`, built lazily in its order.

    Args:
        pool: USER and ITEM of what is explained, in order.
        history: `columns.INTERACTIONS` that may be shown.
        items: `columns.ITEMS`.
        item_profiles: `columns.ITEM_PROFILES`.
        user_profiles: `columns.USER_PROFILES`.
        attributions: `columns.ATTRIBUTIONS` of the pool.
        liking: users who are known to like something.
        batch: titles per request.
        language: what sentences are to be written in.
        implicit: whether what people like is what they chose.
    """

    def __init__(
        self,
        pool: pl.DataFrame,
        *,
        history: pl.DataFrame,
        items: pl.DataFrame,
        item_profiles: pl.DataFrame,
        user_profiles: pl.DataFrame,
        attributions: pl.DataFrame,
        liking: pl.Series,
        batch: int,
        language: str = "English",
        implicit: bool = False,
    ) -> None:
        cited = citable(attributions)
        needed = pl.concat([pool[c.ITEM], cited[c.CAUSE]]).unique()
        shown = item_facts(items.filter(pl.col(c.ITEM).is_in(needed.implode())), item_profiles)
        self._batch, self._language, self._implicit = batch, language, implicit
        self._items = {row[c.ITEM]: known_item(row) for row in shown.iter_rows(named=True)}
        self._without = pool[c.USER].unique().is_in(cited[c.USER].implode()).not_().sum()
        causes = cited.group_by(c.USER, c.ITEM, maintain_order=True).agg(
            pl.struct(c.CAUSE, c.INFLUENCE, c.STRENGTH, c.PEOPLE, c.PEOPLE_BOTH).alias(_CAUSES)
        )
        self._frame = (
            pool.select(c.USER, c.ITEM)
            .join(causes, on=[c.USER, c.ITEM], how="left", maintain_order="left")
            .join(rests_on(attributions), on=[c.USER, c.ITEM], how="left", maintain_order="left")
            .with_columns(pl.col(c.USER).is_in(liking.implode()).alias(_LIKES))
            .with_columns(pl.int_range(1, pl.len() + 1).over(c.USER).alias(_LISTED))
            .group_by(c.USER, maintain_order=True)
            .agg(
                pl.col(_LIKES).first(),
                pl.struct(c.ITEM, _CAUSES, c.KIND, c.PEOPLE, _LISTED).alias(_ROWS),
            )
            .join(tastes(user_profiles), on=c.USER, how="left", maintain_order="left")
            .join(recent_items(history, items), on=c.USER, how="left", maintain_order="left")
        )

    @property
    def without_liked(self) -> int:
        """Users of whom no liked title is a cause of anything."""
        return int(self._without)

    def __iter__(self) -> Iterator[ExplanationContext]:
        for row in self._frame.iter_rows(named=True):
            rows, own = sorted(row[_ROWS], key=lambda one: str(one[c.ITEM])), row
            parts = [rows[at : at + self._batch] for at in range(0, len(rows), self._batch)]
            yield ExplanationContext(
                user=str(row[c.USER]),
                order=tuple(str(one[c.ITEM]) for one in row[_ROWS]),
                batches=tuple(self._input(own, part) for part in parts),
            )

    def _input(self, row: Mapping[str, Any], part: Sequence[Mapping[str, Any]]) -> ExplanationInput:
        shown = [self._explained(one) for one in part]
        cited = sorted({one[c.CAUSE] for item in part for one in item[_CAUSES] or ()}, key=str)
        return ExplanationInput(
            taste=taste(dict(row)), recent=recent(dict(row)), items=tuple(shown),
            liked=tuple(self._items[one] for one in cited if one in self._items),
            has_liked=row[_LIKES], language=self._language, implicit=self._implicit,
        )  # fmt: skip

    def _explained(self, row: Mapping[str, Any]) -> ExplainedItem:
        causes = tuple(
            Cause(
                id=str(one[c.CAUSE]), influence=one[c.INFLUENCE], strength=one[c.STRENGTH],
                people=one[c.PEOPLE] or 0, people_both=one[c.PEOPLE_BOTH] or 0,
            )
            for one in row[_CAUSES] or ()
            if one[c.CAUSE] in self._items
        )  # fmt: skip
        return ExplainedItem(
            **self._items[row[c.ITEM]].model_dump(), causes=causes,
            rests_on="" if causes else row[c.KIND] or "", people=row[c.PEOPLE] or 0,
            place=row[_LISTED],
        )  # fmt: skip


_CAUSES: Final = "__causes__"
_LIKES: Final = "__likes__"
_LISTED: Final = "__listed__"
_ROWS: Final = "__rows__"


_WORDS_OF_A_TITLE: Final = 8
_LETTERS: Final = re.compile(r"\b[^\W\d_]{3,}\b")
"""Whole words: of `15pcs` no `pcs`."""


def title_words(title: str) -> list[str]:
    """Words of three letters or more, each once, that are no articles, pronouns and the like."""
    words = dict.fromkeys(_LETTERS.findall(title.casefold()))
    return [one for one in words if one not in stop_words()][:_WORDS_OF_A_TITLE]


@lru_cache(maxsize=1)
def stop_words() -> frozenset[str]:
    """Words that say nothing by themselves."""
    return frozenset(load_table("words.yaml")["stop"].split())


def known_item(row: Mapping[str, Any]) -> KnownItem:
    """A row of `prompt_context.tables.item_facts` with its attributes as keys.

    Of a profile that was written by rules the lexicon's themes are attributes. The names and
    phrases that rules pick out of a text are not, since two items that share one need not be
    alike; nor are moods, which rules conclude from the genres. Of an item without genres and labels
    the words of its title are attributes: in a shop they name brand and kind.
    """
    tags = row[c.TAGS]
    if row[c.MODEL] == RULES:
        known = lexicon()
        tags = [one for one in tags if one in known.order]
    labels = row[LABELS]
    if not row[c.GENRES] and not labels:
        labels = [f"{WORD}:{one}" for one in title_words(row[c.TITLE])]
    return KnownItem(
        id=str(row[c.ITEM]), title=row[c.TITLE], year=row[c.YEAR], description=row[c.DESCRIPTION],
        attributes=attributes(row[c.GENRES], tags, row[c.YEAR], labels),
    )  # fmt: skip
