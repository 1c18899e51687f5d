"""Explanations by rules: the causes of a recommendation, and what it shares with them.

Titles are cited because they are causes (`explanations.attribution`), not because they resemble
what is recommended. Of causes that are nearly as strong as the strongest the writer takes one that
shares something that can be said; where none does, numbers of people speak: counted ones. Where no
liked title is a cause, the sentence says what is. Everything named is true of the recommended title
and of every liked title that is cited; what the user dislikes is never given as a reason.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recsys_core.explanations.attributes import DECADE, GENRE, TAG, kind, label, normalise_key
from recsys_core.explanations.attribution.kinds import PROFILE
from recsys_core.explanations.sentence_templates import (
    NamedAttributes,
    another_cause,
    collaborative_sentence,
    genre_and_people_sentence,
    is_mood,
    liked_sentence,
    rests_on_sentence,
    shown_title,
    strongest_sentence,
    taste_sentence,
)
from recsys_core.explanations.vocabulary import CHOSE, LIKED

_NEAR: Final = 80
"""A cause of at least this influence, in percent of the strongest, may be cited in its place."""
_PAIR: Final = 0.6
"""A second title is cited if it shares this part of what the first one has in common."""
_PAIR_INFLUENCE: Final = 40
"""... and has this influence."""
_REPEAT_PENALTY: Final = 0.03
"""A cause counts for this share less for every time it was cited before in the list."""
_COMMON: Final = 0.2
"""A genre that more of a user's titles have than this share says nothing when it stands alone."""
_WORDS: Final = 40
"""Words of a sentence at most."""
_FEW: Final = 3
"""Fewer people are no numbers to speak of."""
_TENTH: Final = 0.1
"""... and neither is a smaller part of those who liked the cause."""
_KIND_WEIGHT: Final = {GENRE: 1.0, TAG: 1.5, DECADE: 0.3}


@dataclass(frozen=True, kw_only=True)
class LikedTitle:
    """A liked title that may be cited."""

    id: str
    title: str
    year: int | None
    keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class LikedCause:
    """A liked title as a cause of one recommendation: its id, influence and counts (`Cause`)."""

    id: str
    influence: int
    people: int
    people_both: int


@dataclass(frozen=True, kw_only=True)
class RecommendedTitle:
    """A recommended title that needs a reason (`ExplainedItem`)."""

    title: str
    attributes: tuple[str, ...]
    causes: tuple[LikedCause, ...] = ()
    rests_on: str = ""
    people: int = 0


@dataclass(frozen=True, kw_only=True)
class RuleReason:
    """A sentence and its evidence: ids of liked titles, attributes of the recommended title."""

    sentence: str
    liked: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Match:
    """A cause, the title it is, and the attributes that it shares with the recommended one."""

    cause: LikedCause
    title: LikedTitle
    shared: frozenset[str]


class RuleExplainer:
    """Writes the reasons of one request, in order, so that forms take turns.

    Args:
        liked: the liked titles that are causes of something.
        targets: everything that will be explained; tells which attributes are special here.
        wanted: genres and tags of the user's profile.
        dislikes: attributes that are never a reason.
        has_liked: whether the user is known to like any title.
        implicit: whether liked titles are chosen ones, of which no rating is known.
    """

    def __init__(
        self,
        liked: Sequence[LikedTitle],
        targets: Sequence[RecommendedTitle],
        wanted: Sequence[str],
        dislikes: Sequence[str],
        *,
        has_liked: bool = True,
        implicit: bool = False,
    ) -> None:
        self.liked = {one.id: one for one in liked}
        self.has_liked = has_liked
        self.verb = CHOSE if implicit else LIKED
        self.wanted = {one.casefold() for one in wanted}
        self.dislikes = {one.casefold() for one in dislikes}
        seen = Counter(key for one in liked for key in one.keys)
        seen.update(normalise_key(key) for target in targets for key in target.attributes)
        titles = max(len(liked) + len(targets), 1)
        self.common = {key for key, count in seen.items() if count > _COMMON * titles}
        self.weights = {key: weight(key) / math.sqrt(count) for key, count in seen.items()}
        self.cited: Counter[str] = Counter()
        self.used: Counter[str] = Counter()

    def write(self, target: RecommendedTitle) -> RuleReason:
        """The reason for `target`."""
        usable = {
            normalise_key(key): key
            for key in target.attributes
            if label(key).casefold() not in self.dislikes
        }
        matches = [
            _Match(cause=one, title=self.liked[one.id],
                   shared=frozenset(usable) & self.liked[one.id].keys)
            for one in target.causes if one.id in self.liked
        ]  # fmt: skip
        if not matches:
            return self._without_titles(target, list(usable.values()))
        cited = self._cited(matches)
        keys = frozenset.intersection(*(one.shared for one in cited))
        named = NamedAttributes.choose([usable[key] for key in usable if key in keys], self.weights)
        self.cited.update(one.cause.id for one in cited)
        if len(named.keys) == 1 and named.genres:
            return self._by_genre(cited[0], matches, named, target)
        if substantial(keys) and named.keys:
            titles = [self._title(one.title, target) for one in cited]
            form = self._turn("liked two" if len(titles) > 1 else "liked")
            return RuleReason(
                sentence=liked_sentence(titles, named, form, self.verb),
                liked=tuple(one.cause.id for one in cited), attributes=named.keys,
            )  # fmt: skip
        return self._by_people(cited[0], matches, target)

    def _turn(self, pattern: str) -> int:
        """How often this pattern was used before; its forms take turns."""
        self.used[pattern] += 1
        return self.used[pattern] - 1

    def _title(self, one: LikedTitle, target: RecommendedTitle) -> str:
        """The liked title; with its year where the two are called the same (a remake)."""
        same = one.title == target.title and one.year is not None
        return f"{shown_title(one.title)} ({one.year})" if same else shown_title(one.title)

    def _cited(self, matches: Sequence[_Match]) -> list[_Match]:
        """The cause to cite, or two; the strongest alone where no strong one shares anything."""
        near = [one for one in matches if one.cause.influence >= _NEAR and substantial(one.shared)]
        if not near:
            return [matches[0]]
        first = max(near, key=self._preference)
        others = [
            one for one in matches[:2]
            if one is not first
            and one.cause.influence >= _PAIR_INFLUENCE
            and substantial(one.shared & first.shared)
            and self._shared(one.shared & first.shared) >= _PAIR * self._shared(first.shared)
        ]  # fmt: skip
        return [first, *others[:1]] if first in matches[:2] else [first]

    def _preference(self, one: _Match) -> float:
        return one.cause.influence * (1 - _REPEAT_PENALTY * self.cited[one.cause.id])

    def _shared(self, shared: frozenset[str]) -> float:
        return math.fsum(self.weights[key] for key in shared)

    def _by_genre(
        self,
        one: _Match,
        matches: Sequence[_Match],
        named: NamedAttributes,
        target: RecommendedTitle,
    ) -> RuleReason:
        """One genre says little: numbers of people stand beside it, or in its place."""
        title, cause = self._title(one.title, target), one.cause
        few = not telling(cause.people, cause.people_both)
        if not few and normalise_key(named.genres[0]) in self.common:
            return self._by_people(one, matches, target)
        liked: tuple[str, ...] = (cause.id,)
        if few:
            sentence = liked_sentence([title], named, self._turn("liked"), self.verb)
        else:
            sentence = genre_and_people_sentence(
                title,
                named,
                cause.people,
                cause.people_both,
                self._turn("genre and people"),
                self.verb,
            )
            sentence, liked = self._with_another(sentence, one, matches, target)
        return RuleReason(sentence=sentence, liked=liked, attributes=named.keys)

    def _by_people(
        self, one: _Match, matches: Sequence[_Match], target: RecommendedTitle
    ) -> RuleReason:
        """A reason of numbers, or that it weighs most, where nothing shared can be said."""
        title, cause = self._title(one.title, target), one.cause
        if telling(cause.people, cause.people_both):
            sentence = collaborative_sentence(
                title, cause.people, cause.people_both, self._turn("people"), self.verb
            )
            sentence, liked = self._with_another(sentence, one, matches, target)
            return RuleReason(sentence=sentence, liked=liked)
        strongest = self._title(matches[0].title, target)
        sentence = strongest_sentence(strongest, self._turn("strongest"), self.verb)
        return RuleReason(sentence=sentence, liked=(matches[0].cause.id,))

    def _with_another(
        self, sentence: str, one: _Match, matches: Sequence[_Match], target: RecommendedTitle
    ) -> tuple[str, tuple[str, ...]]:
        """The sentence, and after it the next cause if it counts for much; the ids cited."""
        others = [
            other for other in matches[:2]
            if other is not one and other.cause.influence >= _PAIR_INFLUENCE
        ]  # fmt: skip
        if not others or one not in matches[:2]:
            return sentence, (one.cause.id,)
        other = others[0]
        added = another_cause(
            sentence, self._title(other.title, target), self._turn("another"), self.verb
        )
        if len(added.split()) > _WORDS:
            return sentence, (one.cause.id,)
        self.cited[other.cause.id] += 1
        return added, (one.cause.id, other.cause.id)

    def _without_titles(self, target: RecommendedTitle, usable: list[str]) -> RuleReason:
        """No liked title is a cause: what the recommendation rests on instead."""
        fitting = [
            key for key in usable if kind(key) != DECADE and label(key).casefold() in self.wanted
        ]
        named = NamedAttributes.choose(fitting, self.weights)
        if target.rests_on == PROFILE and named.keys:
            return RuleReason(
                sentence=taste_sentence(named, self._turn("taste")), attributes=named.keys
            )
        people = target.people if target.people >= _FEW else 0
        sentence = rests_on_sentence(
            target.rests_on, people, has_liked=self.has_liked,
            variant=self._turn(f"rests on {target.rests_on}"), verb=self.verb,
        )  # fmt: skip
        return RuleReason(sentence=sentence)


def telling(people: int, both: int) -> bool:
    """Whether `both` of `people` are large enough numbers to speak of."""
    return both >= max(_FEW, _TENTH * people)


def weight(key: str) -> float:
    """How much it says that two titles share this attribute, before its rarity counts."""
    return _KIND_WEIGHT[kind(key)] / (3 if is_mood(key) else 1)


def substantial(shared: frozenset[str]) -> bool:
    """Whether a genre or a theme is shared, not only a decade or a mood."""
    return any(kind(key) == GENRE or (kind(key) == TAG and not is_mood(key)) for key in shared)
