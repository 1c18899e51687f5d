"""One person's list with reasons, quick enough for a request: numbers and plain objects, no tables.

The list is that of `answers.recommend` for the same ratings, and so are the reasons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core.columns import (
    DISLIKES,
    GENRES,
    ITEM,
    OVERVIEW,
    RATING,
    TAGS,
    TIMESTAMP,
    TITLE,
    USER,
    YEAR,
)
from recsys_core.explanations.attribution.kinds import POPULARITY
from recsys_core.explanations.attribution.strengths import CITABLE, CITED_FROM
from recsys_core.explanations.prompt import KnownItem, citable
from recsys_core.explanations.rule_explainer import RuleExplainer, reasons_of
from recsys_core.explanations.rule_tables import LikedCause, RecommendedTitle, RuleReason
from recsys_core.explanations.user_context import known_item
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.interactions.order import Times, order_of
from recsys_core.profiles.history_selection import select_ratings
from recsys_core.profiles.inputs import RatedItem
from recsys_core.profiles.rules.users import NEUTRAL, refine_user_profile
from recsys_core.profiles.schema import Profile
from recsys_core.profiles.users import evidence_turns, shown_items
from recsys_core.prompt_context.models import Taste
from recsys_core.prompt_context.tables import item_facts
from recsys_core.serving.causes import Drops, drops_of, people_of
from recsys_core.serving.product.located import Located
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.visitors import FOLDED_IN, KNOWN, NOTHING_KNOWN

_NOBODY: Final = -1


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One recommended item.

    Attributes:
        item: id.
        title: its title.
        year: or None.
        score: of the model.
        reason: a sentence.
        because: titles that the reason cites.
        shares: what it names.
    """

    item: Any
    title: str
    year: int | None
    score: float
    reason: str
    because: tuple[str, ...]
    shares: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PersonalList:
    """A list, and how it came about (`visitors.KNOWN` and the others)."""

    status: str
    entries: tuple[Entry, ...]


class People:
    """Answers for single persons of a model.

    Args:
        model: what ranks; read once.
    """

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        ids = model.items[ITEM].to_list()
        self._places = {item: at for at, item in enumerate(ids)}
        self._users = {user: at for at, user in enumerate(model.user_ids.to_list())}
        facts = item_facts(model.items, model.item_profiles)
        by_id = {row[ITEM]: known_item(row) for row in facts.iter_rows(named=True)}
        self._known: list[KnownItem] = [by_id[item] for item in ids]
        self._liked = {one.id: citable(one) for one in self._known}
        self._ids = ids
        self._titles = model.items.select(TITLE, YEAR).rows()
        shown: dict[Any, RatedItem | None] = shown_items(model.items, model.item_profiles)
        self._shown = shown
        self._fans = np.diff(model.likers.indptr)
        self._read_histories()
        self._read_profiles()

    def _read_histories(self) -> None:
        table = self.model.histories
        self._rated = np.array([self._places[one] for one in table[ITEM].to_list()], np.int64)
        self._ratings: Floats = table[RATING].cast(pl.Float32).to_numpy()
        self._times: Times = order_of(table, self.model.order)
        runs = table[USER].rle().struct.unnest()
        ends = runs["len"].cum_sum().to_list()
        starts = [0, *ends[:-1]]
        self._spans = dict(
            zip(runs["value"].to_list(), zip(starts, ends, strict=True), strict=True)
        )

    def _read_profiles(self) -> None:
        names = [USER, OVERVIEW, GENRES, TAGS, DISLIKES]
        self._tastes = {row[0]: row[1:] for row in self.model.user_profiles.select(names).rows()}

    def of_user(self, user: Any, k: int) -> PersonalList:
        """The list of a user whom training placed.

        Raises:
            KeyError: it placed no such user.
        """
        place, (start, end) = self._users[user], self._spans.get(user, (0, 0))
        span = slice(start, end)
        located = self._located(
            place, self._rated[span], self._ratings[span], self._times[span], user
        )
        overview, genres, tags, dislikes = self._tastes.get(user, ("", (), (), ()))
        taste = Taste(
            overview=overview or "", description="", genres=tuple(genres or ()),
            tags=tuple(tags or ()), dislikes=tuple(dislikes or ()),
        )  # fmt: skip
        return self._answer(located, KNOWN, self._likes(self._ratings[span]), taste, k)

    def of_ratings(
        self,
        rated: Sequence[tuple[Any, float, int | None]],
        k: int,
        user: Any = None,
        attributes: Floats | None = None,
    ) -> PersonalList:
        """The list of somebody who rated these items (id, rating, seconds or None).

        Args:
            rated: the last one of an item counts.
            k: length of the list.
            user: a known user, whose other ratings count, too; None for somebody new.
            attributes: (1, d) as `visitors.typed_attributes` has them; None for those of the user.
        """
        items, ratings, times = self._joined(rated, user)
        located = self._located(_NOBODY, items, ratings, times, user)
        if attributes is not None:
            located = replace(located, attributes=attributes)
        evidence = self._evidence(items, ratings, times)
        profile = self._profile(evidence)
        taste = Taste(
            overview=profile.overview, description=profile.description, genres=profile.genres,
            tags=profile.tags, dislikes=profile.dislikes,
        )  # fmt: skip
        told = len(located.edges) or located.attributes.any()
        status = FOLDED_IN if told else NOTHING_KNOWN
        return self._answer(located, status, self._likes(ratings), taste, k)

    def _likes(self, ratings: Floats) -> bool:
        """Whether one of the ratings is a like."""
        return bool((ratings >= np.float32(self.model.scale.like_from)).any())

    def _joined(
        self, rated: Sequence[tuple[Any, float, int | None]], user: Any
    ) -> tuple[Indices, Floats, Times]:
        start, end = self._spans.get(user, (0, 0)) if user is not None else (0, 0)
        kept: dict[int, tuple[float, float]] = {
            int(place): (float(rating), float(time))
            for place, rating, time in zip(
                self._rated[start:end], self._ratings[start:end], self._times[start:end],
                strict=True,
            )
        }  # fmt: skip
        last = max((time for _, time in kept.values()), default=float("nan"))
        timed = self.model.order == TIMESTAMP
        for item, rating, time in sorted(rated, key=lambda one: (one[2] is not None, one[2] or 0)):
            kept.pop(self._places[item], None)
            when = last + 1 if time is None or not timed else float(time)
            kept[self._places[item]] = (rating, when)
        values = list(kept.values())
        return (
            np.array(list(kept), np.int64),
            np.array([one[0] for one in values], np.float32),
            np.array([one[1] for one in values], np.float64),
        )

    def _located(
        self, place: int, items: Indices, ratings: Floats, times: Times, user: Any = None
    ) -> Located:
        trained = items < self.model.item_ids.len()
        edges = Edges(
            users=np.zeros(int(trained.sum()), np.int64), items=items[trained],
            ratings=ratings[trained], times=times[trained],
        )  # fmt: skip
        return Located(
            trained=np.array([place]), edges=edges, seen=(np.zeros(len(items), np.int64), items),
            attributes=self.model.attributes_of(user), texts=self.model.no_text,
        )  # fmt: skip

    def _evidence(
        self, items: Indices, ratings: Floats, times: Times
    ) -> list[tuple[Any, str, int]]:
        """Item, liked or disliked, and turn, as a profile is written from."""
        ids = [self._ids[at] for at in items.tolist()]
        rated = list(zip(ids, ratings.tolist(), times.tolist(), strict=True))
        return select_ratings(rated, self.model.scale, self.model.config.user_profiles)

    def _profile(self, evidence: Sequence[tuple[Any, str, int]]) -> Profile:
        profile = None
        for turn in evidence_turns(evidence, self._shown):
            profile = refine_user_profile(turn.model_copy(update={"previous": profile}))
        return profile or NEUTRAL

    def _answer(
        self, located: Located, status: str, has_liked: bool, taste: Taste, k: int
    ) -> PersonalList:
        ((places, scores),) = self.model.best(located, k)
        targets = sorted(self._targets(located, places), key=lambda one: one.id)
        batch = self.model.config.explanations.batch
        reasons: dict[str, RuleReason] = {}
        for at in range(0, len(targets), batch):
            some = targets[at : at + batch]
            liked = {cause.id: self._liked[cause.id] for one in some for cause in one.causes}
            writer = RuleExplainer(
                list(liked.values()), some, (*taste.genres, *taste.tags), taste.dislikes,
                has_liked=has_liked, implicit=self.model.scale.is_implicit,
            )  # fmt: skip
            found = reasons_of(writer, some)
            reasons |= {one.id: reason for one, reason in zip(some, found, strict=True)}
        entries = tuple(
            Entry(
                item=self._ids[at], title=self._titles[at][0], year=self._titles[at][1],
                score=float(score), reason=reason.sentence,
                because=tuple(self._liked[one].title for one in reason.liked),
                shares=reason.attributes,
            )
            for at, score in zip(places, scores, strict=True)
            for reason in (reasons[self._known[at].id],)
        )  # fmt: skip
        return PersonalList(status=status, entries=entries)

    def _targets(self, located: Located, places: Indices) -> list[RecommendedTitle]:
        """The items with the causes that `causes.visitor_causes` finds."""
        model, own = self.model, located.edges
        found = drops_of(
            model, own, places, located.attributes[0], located.texts[0], liked_only=True
        )
        rated = own.items[found.asked]
        cited = [self._cited(found, column, rated) for column in range(len(places))]
        asked = sorted({row for rows in cited for row in rows[:CITABLE]})
        row_of = {row: at for at, row in enumerate(asked)}
        people, both = people_of(model, rated[asked], places)
        fans = self._fans
        made = []
        for column, (place, rows) in enumerate(zip(places, cited, strict=True)):
            drops = found.drops[rows[:CITABLE], column].astype(np.float64)
            causes = tuple(
                LikedCause(
                    id=self._known[rated[row]].id, influence=int(np.floor(percent + 0.5)),
                    people=int(people[row_of[row]]), people_both=int(both[row_of[row], column]),
                )
                for row, percent in zip(rows, 100 * drops / drops[:1], strict=False)
                if percent >= CITED_FROM
            )  # fmt: skip
            known = self._known[place]
            made.append(
                RecommendedTitle(
                    id=known.id, title=known.title, attributes=known.attributes, causes=causes,
                    rests_on="" if causes else POPULARITY,
                    people=int(fans[place]) if place < len(fans) else 0, place=column + 1,
                )
            )  # fmt: skip
        return made

    def _cited(self, found: Drops, column: int, rated: Indices) -> list[int]:
        """Rows of the liked ratings without which the item's score were lower, most first."""
        drops = found.drops[:, column]
        rows = [row for row in found.strongest[:, column].tolist() if drops[row] > 0]
        return sorted(rows, key=lambda row: (-drops[row], self._ids[rated[row]]))
