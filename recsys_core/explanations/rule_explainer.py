"""Explanations by rules: the attributes that a title shares with titles the user liked.

Everything a sentence names is true of the recommended title and of every liked title it cites,
and stands in the evidence; what the user dislikes is never given as a reason; and where nothing
is shared the sentence says so.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recsys_core.explanations.attributes import DECADE, GENRE, TAG, kind, label, normalise_key
from recsys_core.explanations.sentence_templates import (
    NamedAttributes,
    is_mood,
    liked_sentence,
    no_match_sentence,
    shown_title,
    taste_sentence,
)

_PAIR: Final = 0.6
"""A second liked title is cited if it keeps this share of what the first one has in common."""
_REPEAT_PENALTY: Final = 0.3
"""A liked title's match score is divided by 1 + this for every time it was cited before."""
_KIND_WEIGHT: Final = {GENRE: 1.0, TAG: 1.5, DECADE: 0.3}


@dataclass(frozen=True, kw_only=True)
class LikedTitle:
    """A liked title that may be cited."""

    id: str
    title: str
    year: int | None
    keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class RecommendedTitle:
    """A recommended title that needs a reason."""

    title: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RuleReason:
    """A sentence and its evidence: ids of liked titles, attributes of the recommended title."""

    sentence: str
    liked: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


class RuleExplainer:
    """Writes the reasons of one request, in order, so that liked titles and forms take turns.

    Args:
        liked: the user's liked titles, the most telling first.
        targets: everything that will be explained; tells which attributes are special here.
        wanted: genres and tags of the user's profile.
        dislikes: attributes that are never a reason.
    """

    def __init__(
        self,
        liked: Sequence[LikedTitle],
        targets: Sequence[RecommendedTitle],
        wanted: Sequence[str],
        dislikes: Sequence[str],
    ) -> None:
        self.liked = liked
        self.wanted = {one.casefold() for one in wanted}
        self.dislikes = {one.casefold() for one in dislikes}
        seen = Counter(key for one in liked for key in one.keys)
        seen.update(normalise_key(key) for target in targets for key in target.attributes)
        self.weights = {key: weight(key) / math.sqrt(count) for key, count in seen.items()}
        self.cited: Counter[str] = Counter()
        self.variant = 0

    def write(self, target: RecommendedTitle) -> RuleReason:
        """The reason for `target`."""
        usable = {
            normalise_key(key): key
            for key in target.attributes
            if label(key).casefold() not in self.dislikes
        }
        cited, shared = self._match(usable.keys())
        named = NamedAttributes.choose(
            [usable[key] for key in usable if key in shared], self.weights
        )
        self.variant += 1
        if cited and named.keys:
            self.cited.update(one.id for one in cited)
            titles = [self._title(one, target) for one in cited]
            sentence = liked_sentence(titles, named, self.variant)
            return RuleReason(
                sentence=sentence, liked=tuple(x.id for x in cited), attributes=named.keys
            )
        return self._without_match(usable)

    def _title(self, one: LikedTitle, target: RecommendedTitle) -> str:
        """The liked title; with its year where the two are called the same (a remake)."""
        same = one.title == target.title and one.year is not None
        return f"{shown_title(one.title)} ({one.year})" if same else shown_title(one.title)

    def _match(self, keys: Iterable[str]) -> tuple[list[LikedTitle], frozenset[str]]:
        """One or two liked titles that share most with the target, and what all of them share."""
        own = frozenset(keys)
        overlaps = [(one, own & one.keys) for one in self.liked]
        overlaps = [(one, shared) for one, shared in overlaps if substantial(shared)]
        if not overlaps:
            return [], frozenset()
        first, shared = max(overlaps, key=lambda pair: self._match_score(*pair))
        others = [
            (one, both) for one, keys in overlaps if one is not first and (both := shared & keys)
        ]
        if others:
            second, both = max(others, key=lambda pair: self._match_score(*pair))
            if substantial(both) and self._shared_weight(both) >= _PAIR * self._shared_weight(
                shared
            ):
                return [first, second], both
        return [first], shared

    def _shared_weight(self, shared: frozenset[str]) -> float:
        return math.fsum(self.weights[key] for key in shared)

    def _match_score(self, one: LikedTitle, shared: frozenset[str]) -> float:
        return self._shared_weight(shared) / (1 + _REPEAT_PENALTY * self.cited[one.id])

    def _without_match(self, usable: Mapping[str, str]) -> RuleReason:
        fitting = [
            key for key in usable.values()
            if kind(key) != DECADE and label(key).casefold() in self.wanted
        ]  # fmt: skip
        named = NamedAttributes.choose(fitting, self.weights)
        if named.keys:
            return RuleReason(sentence=taste_sentence(named, self.variant), attributes=named.keys)
        itself = NamedAttributes.choose(
            [key for key in usable.values() if kind(key) != TAG], self.weights
        )
        sentence = no_match_sentence(itself, has_liked=bool(self.liked), variant=self.variant)
        return RuleReason(sentence=sentence, attributes=itself.keys)


def weight(key: str) -> float:
    """How much it says that two titles share this attribute, before its rarity counts."""
    return _KIND_WEIGHT[kind(key)] / (3 if is_mood(key) else 1)


def substantial(shared: frozenset[str]) -> bool:
    """Whether a genre or a theme is shared, not only a decade or a mood."""
    return any(kind(key) == GENRE or (kind(key) == TAG and not is_mood(key)) for key in shared)
