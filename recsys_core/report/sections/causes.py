"""Causes of recommendations as the page shows them: a bar, and what would be without a title."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.attribution.kinds import (
    ATTRIBUTES,
    DISLIKED,
    JOINT,
    JUDGEMENT,
    LEARNED,
    LIKED,
    POPULARITY,
    PROFILE,
    RATED,
    TIME,
)
from recsys_core.explanations.sentence_templates import shown_title

_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "liked titles": (LIKED,),
    "other ratings": (RATED, DISLIKED, JOINT),
    "profile": (PROFILE,),
    "what is known of the user": (ATTRIBUTES, LEARNED),
    "popularity": (POPULARITY,),
    "time": (TIME,),
    "the model's judgement": (JUDGEMENT,),
}
"""Name of a part of the bar -> the kinds of causes that it holds, in the order of the bar."""
_OTHER: Final = "other ratings"


@dataclass(frozen=True, kw_only=True)
class CausePart:
    """A part of the bar.

    Attributes:
        name: what it is.
        number: its place among all that a bar may have; colours follow it.
        percent: of all that contributed, whichever way.
    """

    name: str
    number: int
    percent: float


PARTS: Final = tuple(_GROUPS)
"""Names of all parts that a bar may have, by their number."""


class ListCauses:
    """The causes of all entries of some lists.

    Args:
        attributions: `columns.ATTRIBUTIONS`; of an item it has the strongest ratings, so what is
            missing to a whole is other ratings.
    """

    def __init__(self, attributions: pl.DataFrame) -> None:
        shares = attributions.group_by(c.USER, c.ITEM, c.KIND).agg(pl.col(c.SHARE).sum())
        self._shares: dict[tuple[Any, Any], dict[str, float]] = {}
        for user, item, kind, share in shares.iter_rows():
            self._shares.setdefault((user, item), {})[kind] = share
        told = attributions.filter(pl.col(c.PLACE_WITHOUT).is_not_null())
        columns = (c.USER, c.ITEM, c.CAUSE, c.PLACE, c.PLACE_WITHOUT)
        self._places = {
            (user, item, cause): (place, without)
            for user, item, cause, place, without in told.select(columns).iter_rows()
        }
        judged = attributions.filter(pl.col(c.KIND) == JUDGEMENT)
        rows = judged.select(c.USER, c.ITEM, c.PLACE).iter_rows()
        self._judged = {(user, item): place for user, item, place in rows}

    def parts(self, user: Any, item: Any) -> list[CausePart]:
        """The bar of one entry; empty where nothing is known of it."""
        shares = self._shares.get((user, item))
        if not shares:
            return []
        found = {name: sum(shares.get(kind, 0.0) for kind in kinds)
                 for name, kinds in _GROUPS.items()}  # fmt: skip
        found[_OTHER] += max(0.0, 1 - sum(found.values()))
        return [
            CausePart(name=name, number=number, percent=round(100 * share, 1))
            for number, (name, share) in enumerate(found.items())
            if share >= _LEAST
        ]

    def told(
        self, user: Any, item: Any, rank: int, cited: Sequence[Any], titles: Mapping[Any, str]
    ) -> list[str]:
        """Sentences: where the entry would stand without a cited title, and what a judgement did.

        Args:
            user: whose list.
            item: the entry.
            rank: where it stands.
            cited: liked titles that its reason cites.
            titles: of the items.
        """
        said = [
            f"Without {shown_title(titles.get(cause) or str(cause))} it would stand at place"
            f" {without:,}."
            for cause, without in self.falls(user, item, cited)
        ]
        before = self.judged_from(user, item, rank)
        if before:
            said.append(f"By the model's score it stood at place {before:,}; judged, at {rank:,}.")
        return said

    def falls(self, user: Any, item: Any, cited: Sequence[Any]) -> list[tuple[Any, int]]:
        """The cited titles without which an entry would stand lower, and at which place."""
        places = [(cause, *self._places.get((user, item, cause), (0, 0))) for cause in cited]
        return [(cause, without) for cause, place, without in places if without > place]

    def judged_from(self, user: Any, item: Any, rank: int) -> int:
        """The place by the model's score of an entry that a judgement moved; else 0."""
        before: int = self._judged.get((user, item), 0)
        return 0 if before == rank else before


_LEAST: Final = 0.005
"""Smaller parts are not drawn."""
