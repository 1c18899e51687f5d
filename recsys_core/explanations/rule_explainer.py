"""Reasons without a model: what a title shares with titles the user liked, said in one sentence.

Everything a sentence names is true of the recommended title and of every liked title it cites,
and stands in the evidence; what the user dislikes is never given as a reason; and where nothing
is shared the sentence says so.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recsys_core.explanations.attributes import DECADE, GENRE, TAG, fold, kind, label
from recsys_core.explanations.sentence_templates import (
    Named,
    is_mood,
    liked_sentence,
    open_sentence,
    shown_title,
    taste_sentence,
)

_PAIR: Final = 0.6
"""A second liked title is cited if it keeps this share of what the first one has in common."""
_TIRED: Final = 0.3
"""Each earlier citation of a liked title makes it that much less attractive."""
_KIND_WEIGHT: Final = {GENRE: 1.0, TAG: 1.5, DECADE: 0.3}


@dataclass(frozen=True, kw_only=True)
class Liked:
    """A liked title that may be cited."""

    id: str
    title: str
    year: int | None
    keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A recommended title that needs a reason."""

    title: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A sentence and what it rests on: ids of liked titles, attributes of the target."""

    sentence: str
    liked: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


class Writer:
    """Writes the reasons of one request, in order, so that liked titles and forms take turns.

    Args:
        liked: the user's liked titles, the most telling first.
        targets: everything that will be explained; tells which attributes are special here.
        wanted: genres and tags of the user's profile.
        dislikes: attributes that are never a reason.
    """

    def __init__(
        self,
        liked: Sequence[Liked],
        targets: Sequence[Target],
        wanted: Sequence[str],
        dislikes: Sequence[str],
    ) -> None:
        self.liked = liked
        self.wanted = {one.casefold() for one in wanted}
        self.dislikes = {one.casefold() for one in dislikes}
        seen = Counter(key for one in liked for key in one.keys)
        seen.update(fold(key) for target in targets for key in target.attributes)
        self.weights = {key: weight(key) / math.sqrt(count) for key, count in seen.items()}
        self.cited: Counter[str] = Counter()
        self.place = 0

    def write(self, target: Target) -> Written:
        """The reason for `target`."""
        usable = {
            fold(key): key
            for key in target.attributes
            if label(key).casefold() not in self.dislikes
        }
        cited, shared = self._match(usable.keys())
        named = Named.choose([usable[key] for key in usable if key in shared], self.weights)
        self.place += 1
        if cited and named.keys:
            self.cited.update(one.id for one in cited)
            titles = [self._title(one, target) for one in cited]
            sentence = liked_sentence(titles, named, self.place)
            return Written(
                sentence=sentence, liked=tuple(x.id for x in cited), attributes=named.keys
            )
        return self._without_match(usable)

    def _title(self, one: Liked, target: Target) -> str:
        """The liked title; with its year where the two are called the same (a remake)."""
        same = one.title == target.title and one.year is not None
        return f"{shown_title(one.title)} ({one.year})" if same else shown_title(one.title)

    def _match(self, keys: Iterable[str]) -> tuple[list[Liked], frozenset[str]]:
        """One or two liked titles that share most with the target, and what all of them share."""
        own = frozenset(keys)
        overlaps = [(one, own & one.keys) for one in self.liked]
        overlaps = [(one, shared) for one, shared in overlaps if substantial(shared)]
        if not overlaps:
            return [], frozenset()
        first, shared = max(overlaps, key=lambda pair: self._appeal(*pair))
        others = [
            (one, both) for one, keys in overlaps if one is not first and (both := shared & keys)
        ]
        if others:
            second, both = max(others, key=lambda pair: self._appeal(*pair))
            if substantial(both) and self._worth(both) >= _PAIR * self._worth(shared):
                return [first, second], both
        return [first], shared

    def _worth(self, shared: frozenset[str]) -> float:
        return math.fsum(self.weights[key] for key in shared)

    def _appeal(self, one: Liked, shared: frozenset[str]) -> float:
        return self._worth(shared) / (1 + _TIRED * self.cited[one.id])

    def _without_match(self, usable: Mapping[str, str]) -> Written:
        fitting = [
            key for key in usable.values()
            if kind(key) != DECADE and label(key).casefold() in self.wanted
        ]  # fmt: skip
        named = Named.choose(fitting, self.weights)
        if named.keys:
            return Written(sentence=taste_sentence(named, self.place), attributes=named.keys)
        itself = Named.choose([key for key in usable.values() if kind(key) != TAG], self.weights)
        sentence = open_sentence(itself, has_liked=bool(self.liked), place=self.place)
        return Written(sentence=sentence, attributes=itself.keys)


def weight(key: str) -> float:
    """How much it says that two titles share this attribute, before its rarity counts."""
    return _KIND_WEIGHT[kind(key)] / (3 if is_mood(key) else 1)


def substantial(shared: frozenset[str]) -> bool:
    """Whether a genre or a theme is shared, not only a decade or a mood."""
    return any(kind(key) == GENRE or (kind(key) == TAG and not is_mood(key)) for key in shared)
