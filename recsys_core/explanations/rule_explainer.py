"""Explanations by rules: the causes of a recommendation, and what it shares with them.

Titles are cited because they are causes (`explanations.attribution`), not because they resemble
what is recommended. Of causes that are nearly as strong as the strongest the writer takes one that
shares something that can be said; where none does, numbers of people speak: counted ones. Where no
liked title is a cause, the sentence says what is. Everything named is true of the recommended title
and of every liked title that is cited; what the user dislikes is never given as a reason.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from recsys_core.explanations.attributes import (
    DECADE,
    GENRE,
    TAG,
    WORD,
    kind,
    label,
    normalise_key,
)
from recsys_core.explanations.attribution.kinds import PROFILE
from recsys_core.explanations.evaluation.claims import QUOTED
from recsys_core.explanations.named_attributes import NamedAttributes, is_mood
from recsys_core.explanations.rule_tables import (
    LikedCause,
    LikedTitle,
    RecommendedTitle,
    RuleReason,
)
from recsys_core.explanations.sentence_templates import (
    collaborative_sentences,
    genre_and_people_sentences,
    liked_sentences,
    rests_on_sentences,
    shown_title,
    strongest_sentences,
    taste_sentences,
    with_another_cause,
    with_shared_cause,
)
from recsys_core.explanations.vocabulary import verb_of

_NEAR: Final = 80
"""A cause of at least this influence, in percent of the strongest, may be cited in its place."""
_PAIR: Final = 0.6
"""A second title is cited if it shares this part of what the first one has in common."""
_PAIR_INFLUENCE: Final = 40
"""... and has this influence."""
_REPEAT_PENALTY: Final = 0.03
"""A cause counts for this share less for every time it was cited before in the list."""
_COMMON: Final = 0.2
"""A genre that more of a user's titles have than this share says nothing when it stands alone; a
theme or a label says nothing at all then, ..."""
_SEVERAL: Final = 5
"""... if at least so many titles have it."""
_WORDS: Final = 40
"""Words of a sentence at most."""
_FEW: Final = 3
"""Fewer people are no numbers to speak of."""
_TENTH: Final = 0.1
"""... and neither is a smaller part of those who liked the cause."""
_KIND_WEIGHT: Final = {GENRE: 1.0, TAG: 1.5, DECADE: 0.3, WORD: 0.8}
_FACT_WEIGHT: Final = 2.0
"""Of labels of the data's own columns: who wrote, made or plays in something is no guess."""
_NUMBER: Final = re.compile(r"\d+")


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
        self.verb = verb_of(implicit=implicit)
        self.wanted = {one.casefold() for one in wanted}
        self.dislikes = {one.casefold() for one in dislikes}
        seen = Counter(key for one in liked for key in one.keys)
        seen.update(normalise_key(key) for target in targets for key in target.attributes)
        titles = max(len(liked) + len(targets), 1)
        self.common = {key for key, count in seen.items() if count > _COMMON * titles}
        self.empty = {key for key in self.common if kind(key) != GENRE and seen[key] >= _SEVERAL}
        self.weights = {key: weight(key) / math.sqrt(count) for key, count in seen.items()}
        self.cited: Counter[str] = Counter()
        self.used: Counter[str] = Counter()
        self.opening = ""

    def write(self, target: RecommendedTitle) -> RuleReason:
        """The reason for `target`, worded unlike the one before."""
        written = self._written(target)
        self.opening = opening(written.sentence)
        return written

    def _written(self, target: RecommendedTitle) -> RuleReason:
        usable = {
            normalise_key(key): key
            for key in target.attributes
            if label(key).casefold() not in self.dislikes and normalise_key(key) not in self.empty
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
            return self._by_genre(cited[0], matches, named, target, usable)
        if substantial(keys) and named.keys:
            titles = [self._title(one.title, target) for one in cited]
            sentence = self._said("liked", liked_sentences(titles, named, self.verb))
            return RuleReason(
                sentence=sentence, liked=tuple(one.cause.id for one in cited),
                attributes=named.keys,
            )  # fmt: skip
        return self._by_people(cited[0], matches, target, usable)

    def _said(self, pattern: str, forms: Sequence[str]) -> str:
        """The next of the forms, which take turns; one that begins unlike the sentence before."""
        first = self.used[pattern]
        turns = [(first + more) % len(forms) for more in range(len(forms))]
        chosen = next((one for one in turns if opening(forms[one]) != self.opening), turns[0])
        self.used[pattern] = chosen + 1
        return forms[chosen]

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
        usable: Mapping[str, str],
    ) -> RuleReason:
        """One genre says little: numbers of people stand beside it, or in its place."""
        title, cause = self._title(one.title, target), one.cause
        few = not telling(cause.people, cause.people_both)
        if not few and normalise_key(named.genres[0]) in self.common:
            return self._by_people(one, matches, target, usable)
        if few:
            sentence = self._said("liked", liked_sentences([title], named, self.verb))
            return RuleReason(sentence=sentence, liked=(cause.id,), attributes=named.keys)
        forms = genre_and_people_sentences(title, named, cause.people, cause.people_both, self.verb)
        written = RuleReason(
            sentence=self._said("genre and people", forms), liked=(cause.id,),
            attributes=named.keys,
        )  # fmt: skip
        return self._with_another(written, one, matches, target, usable)

    def _by_people(
        self,
        one: _Match,
        matches: Sequence[_Match],
        target: RecommendedTitle,
        usable: Mapping[str, str],
    ) -> RuleReason:
        """A reason of numbers, or that it weighs most, where nothing shared can be said."""
        title, cause = self._title(one.title, target), one.cause
        if telling(cause.people, cause.people_both):
            forms = collaborative_sentences(title, cause.people, cause.people_both, self.verb)
            written = RuleReason(sentence=self._said("people", forms), liked=(cause.id,))
            return self._with_another(written, one, matches, target, usable)
        strongest = self._title(matches[0].title, target)
        sentence = self._said("strongest", strongest_sentences(strongest, self.verb))
        return RuleReason(sentence=sentence, liked=(matches[0].cause.id,))

    def _with_another(
        self,
        written: RuleReason,
        one: _Match,
        matches: Sequence[_Match],
        target: RecommendedTitle,
        usable: Mapping[str, str],
    ) -> RuleReason:
        """The reason, and after it the next cause if it counts for much, with what that shares."""
        others = [
            other for other in matches[:2]
            if other is not one and other.cause.influence >= _PAIR_INFLUENCE
        ]  # fmt: skip
        if not others or one not in matches[:2]:
            return written
        other = others[0]
        title, liked = self._title(other.title, target), (*written.liked, other.cause.id)
        found = []
        if not written.attributes and (named := self._shared_by(other, usable)).keys:
            forms = with_shared_cause(written.sentence, title, named, self.verb)
            sentence = self._said("another that shares", forms)
            found.append(RuleReason(sentence=sentence, liked=liked, attributes=named.keys))
        forms = with_another_cause(written.sentence, title, self.verb)
        found.append(replace(written, sentence=self._said("another", forms), liked=liked))
        short = [reason for reason in found if len(reason.sentence.split()) <= _WORDS]
        if not short:
            return written
        self.cited[other.cause.id] += 1
        return short[0]

    def _shared_by(self, one: _Match, usable: Mapping[str, str]) -> NamedAttributes:
        """What can be said that a title shares; no genre alone that many of the titles have."""
        keys = [usable[key] for key in usable if key in one.shared]
        named = NamedAttributes.choose(keys, self.weights)
        alone = len(named.keys) == 1 and named.genres
        if not substantial(one.shared) or (alone and normalise_key(named.genres[0]) in self.common):
            return NamedAttributes.choose([], self.weights)
        return named

    def _without_titles(self, target: RecommendedTitle, usable: list[str]) -> RuleReason:
        """No liked title is a cause: what the recommendation rests on instead."""
        fitting = [
            key for key in usable if kind(key) != DECADE and label(key).casefold() in self.wanted
        ]
        named = NamedAttributes.choose(fitting, self.weights)
        if target.rests_on == PROFILE and named.keys:
            sentence = self._said("taste", taste_sentences(named))
            return RuleReason(sentence=sentence, attributes=named.keys)
        people = target.people if target.people >= _FEW else 0
        forms = rests_on_sentences(
            target.rests_on, people, has_liked=self.has_liked, verb=self.verb
        )
        return RuleReason(sentence=self._said(f"rests on {target.rests_on}", forms))


def reasons_of(writer: RuleExplainer, targets: Sequence[RecommendedTitle]) -> list[RuleReason]:
    """The reasons, written in the order in which they are read: neighbours are worded unlike."""
    written = {
        at: writer.write(targets[at])
        for at in sorted(range(len(targets)), key=lambda one: targets[one].place)
    }
    return [written[at] for at in range(len(targets))]


def opening(sentence: str) -> str:
    """How a sentence begins, whatever title or number it names: two words."""
    return " ".join(_NUMBER.sub("N", QUOTED.sub("T", sentence)).split()[:2])


def telling(people: int, both: int) -> bool:
    """Whether `both` of `people` are large enough numbers to speak of."""
    return both >= max(_FEW, _TENTH * people)


@lru_cache(maxsize=65_536)
def weight(key: str) -> float:
    """How much it says that two titles share this attribute, before its rarity counts."""
    return _KIND_WEIGHT.get(kind(key), _FACT_WEIGHT) / (3 if is_mood(key) else 1)


def substantial(shared: frozenset[str]) -> bool:
    """Whether a genre, a theme or a label is shared, not only a decade or a mood."""
    return any(kind(key) != DECADE and not is_mood(key) for key in shared)
