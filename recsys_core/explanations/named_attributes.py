"""Attributes as words of a sentence: which of those shared are named, and how they read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from recsys_core.explanations.attributes import GENRE, TAG, is_fact, kind, label, normalise_key
from recsys_core.explanations.vocabulary import (
    ADJECTIVES,
    BEFORE,
    COLUMNS,
    EMPTY,
    HEADS,
    IMPLIED,
    NAMES,
    PLACES,
    THEMES,
)

_WORDS: Final = ("NASA", "NATO", "SWAT", "FIFA", "LEGO", "SIM", "FEMA", "RAID", "ROM", "HIPAA")
"""Abbreviations that are read as words."""
_KEPT: Final = 65_536
"""Attributes of which is kept how they read: the same ones come for every user."""


@dataclass(frozen=True, kw_only=True)
class NamedAttributes:
    """The one or two shared attributes that a sentence names."""

    genres: tuple[str, ...]
    adjectives: tuple[str, ...]
    themes: tuple[str, ...]
    facts: tuple[str, ...] = ()

    @classmethod
    def choose(cls, shared: Sequence[str], weights: Mapping[str, float]) -> "NamedAttributes":
        """The most telling: a genre and a theme or fact, else two of a sort or a mood."""

        def order(key: str) -> tuple[float, bool]:
            return -round(weights[normalise_key(key)], 6), in_sentence(label(key)) not in HEADS

        def best(keys: list[str], number: int) -> tuple[str, ...]:
            chosen = sorted(keys, key=order)[:number]
            return tuple(key for key in keys if key in chosen)

        telling = [key for key in shared if label(key).casefold() not in EMPTY]
        tags = [key for key in telling if kind(key) == TAG]
        moods = [key for key in tags if is_mood(key)]
        themes = [key for key in tags if key not in moods]
        facts = [key for key in telling if is_fact(key)]
        genres = [key for key in telling if kind(key) == GENRE]
        said = {label(key).casefold() for key in genres}
        moods = [key for key in moods if _implied_by(key) not in said]
        if facts and (first := min((*facts, *themes), key=order)) in facts:
            facts, themes = [key for key in facts if kind(key) == kind(first)], []
        else:
            facts = []
        more = facts or themes
        named = best(genres, 1 if more or (moods and len(genres) == 1) else 2)
        return cls(
            genres=named,
            adjectives=best(moods, 1) if len(named) == 1 and not more else (),
            themes=best(themes, 1 if genres else 2), facts=best(facts, 1 if genres else 2),
        )  # fmt: skip

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them; none if only a mood is shared."""
        if not self.genres and not self.themes and not self.facts:
            return ()
        return (*self.genres, *self.adjectives, *self.themes, *self.facts)

    @cached_property
    def noun(self) -> str:
        """`quirky thriller`, `crime thriller`; empty if no genre is shared."""
        if not self.genres:
            return ""
        before = [label(key).casefold() for key in self.adjectives]
        return " ".join([*before, genre_phrase([label(key) for key in self.genres])])

    @cached_property
    def theme(self) -> str:
        """Behind `its` or `the`: `serial killer and police themes`, `author Ursula K. Le Guin`."""
        if self.facts:
            return f"{self._column} {joined([label(key) for key in self.facts])}"
        themes, places = self._themes
        words = f"{joined(themes)} theme{'s' if len(themes) > 1 else ''}" if themes else ""
        return joined(
            [one for one in (words, f"ties to {joined(places)}" if places else "") if one]
        )

    @cached_property
    def a_theme(self) -> str:
        """Behind `with`: `a prison theme`, `ties to Russia`, `the same author, Umberto Eco`."""
        if self.facts:
            return f"the same {self._column}, {joined([label(key) for key in self.facts])}"
        themes, _ = self._themes
        return with_article(self.theme) if len(themes) == 1 else self.theme

    @property
    def are_several(self) -> bool:
        """Whether `theme` is a plural."""
        return len(self.themes) + len(self.facts) > 1 or (bool(self.themes) and not self._themes[0])

    @property
    def _column(self) -> str:
        column = kind(self.facts[0])
        one = COLUMNS.get(column, singular(column))
        return one if len(self.facts) == 1 else f"{one.removesuffix('s')}s"

    @cached_property
    def _themes(self) -> tuple[list[str], list[str]]:
        """Themes as they stand before that word, and places behind `ties to`."""
        names = [label(key) for key in self.themes]
        places = [one for one in names if one.casefold() in PLACES]
        return (
            [theme_words(one) for one in names if one not in places],
            [THEMES.get(one.casefold(), one) for one in places],
        )


@lru_cache(maxsize=_KEPT)
def theme_words(tag: str) -> str:
    """A theme before that word: `serial killer`, `alien` (of Aliens), `seafaring` (of At Sea)."""
    said = in_sentence(tag)
    if said == tag and said != said.lower():  # a name keeps its form
        return THEMES.get(tag.casefold(), said)
    return THEMES.get(tag.casefold(), singular(said))


def singular(noun: str) -> str:
    """`platform` of `platforms`, `story` of `stories`, `hero` of `heroes`; what is none stays."""
    if len(noun) < 4 or noun.endswith(("ss", "us", "is", "ics", "series", "species", "news")):
        return noun
    if noun.endswith(("oes", "ches", "shes", "xes", "sses")):
        return noun[:-2]
    return f"{noun[:-3]}y" if noun.endswith("ies") else noun.removesuffix("s")


@lru_cache(maxsize=_KEPT)
def is_mood(key: str) -> bool:
    """Whether an attribute is a tag that reads as an adjective."""
    return kind(key) == TAG and label(key).casefold() in ADJECTIVES


def _implied_by(mood: str) -> str:
    return IMPLIED.get(label(mood).casefold(), "")


def genre_phrase(genres: Sequence[str]) -> str:
    """`crime thriller`, `romantic comedy`, `war title`: genres as one singular noun."""
    words = ["film-noir" if one.casefold() == "noir" else in_sentence(one) for one in genres]
    head = next((one for one in HEADS if one in words), None)
    before = [BEFORE.get(one, one) for one in words if one != head]
    end = "title" if head is None else head.replace("-", " ")
    return " ".join([*before, end])


@lru_cache(maxsize=_KEPT)
def in_sentence(tag: str) -> str:
    """A tag as it stands within a sentence: lower case, but for names and abbreviations."""
    words = re.split(r"[\s-]+", tag)
    if any(word.casefold() in NAMES or word[1:] != word[1:].lower() for word in words):
        return tag
    return tag.lower()


def joined(words: Sequence[str]) -> str:
    """`a`, `a and b`."""
    return " and ".join(words)


def with_article(noun: str) -> str:
    """`a crime thriller`, `an action comedy`, `an RPG`: letters are read by their names."""
    first = re.split(r"[^A-Za-z]", noun, maxsplit=1)[0]
    spelled = len(first) > 1 and first.isupper() and not first.startswith(_WORDS)
    return f"{'an' if noun[:1] in ('AEFHILMNORSX' if spelled else 'aeiouAEIOU') else 'a'} {noun}"
