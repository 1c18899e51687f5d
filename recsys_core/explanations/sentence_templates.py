"""Sentence templates of the rule-based explanations: attributes as phrases, several forms each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from recsys_core.explanations.attributes import GENRE, TAG, kind, label, normalise_key
from recsys_core.explanations.attribution.kinds import ATTRIBUTES, PROFILE, TIME
from recsys_core.explanations.vocabulary import (
    ADJECTIVES,
    BEFORE,
    EMPTY,
    HEADS,
    IMPLIED,
    LIKED,
    NAMES,
    Verb,
)

_TITLE_CHARS: Final = 80
_ARTICLE_LAST = re.compile(r"^(.+), (The|A|An)$")


@dataclass(frozen=True, kw_only=True)
class NamedAttributes:
    """The one or two shared attributes that a sentence names."""

    genres: tuple[str, ...]
    adjectives: tuple[str, ...]
    themes: tuple[str, ...]

    @classmethod
    def choose(cls, shared: Sequence[str], weights: Mapping[str, float]) -> "NamedAttributes":
        """The most telling: a genre and a theme, else two of either, else a genre and a mood."""

        def best(keys: list[str], number: int) -> tuple[str, ...]:
            def order(key: str) -> tuple[float, bool]:
                return -round(weights[normalise_key(key)], 6), in_sentence(label(key)) not in HEADS

            chosen = sorted(keys, key=order)[:number]
            return tuple(key for key in keys if key in chosen)

        telling = [key for key in shared if label(key).casefold() not in EMPTY]
        tags = [key for key in telling if kind(key) == TAG]
        moods = [key for key in tags if is_mood(key)]
        themes = [key for key in tags if key not in moods]
        genres = [key for key in telling if kind(key) == GENRE]
        said = {label(key).casefold() for key in genres}
        moods = [key for key in moods if _implied_by(key) not in said]
        named = best(genres, 1 if themes or (moods and len(genres) == 1) else 2)
        return cls(
            genres=named,
            adjectives=best(moods, 1) if len(named) == 1 and not themes else (),
            themes=best(themes, 1 if genres else 2),
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them; none if there is no genre and no theme."""
        if not self.genres and not self.themes:
            return ()
        return (*self.genres, *self.adjectives, *self.themes)

    @property
    def noun(self) -> str:
        """`quirky thriller`, `crime thriller`; empty if no genre is shared."""
        if not self.genres:
            return ""
        before = [label(key).casefold() for key in self.adjectives]
        return " ".join([*before, genre_phrase([label(key) for key in self.genres])])

    @property
    def theme(self) -> str:
        """`serial killer and police themes`, `prison theme`; empty if there is none."""
        words = [in_sentence(label(key)) for key in self.themes]
        return f"{joined(words)} theme{'s' if len(words) > 1 else ''}" if words else ""

    @property
    def a_theme(self) -> str:
        """`serial killer and police themes`, `a prison theme`."""
        return self.theme if len(self.themes) > 1 else with_article(self.theme)


@lru_cache(maxsize=65_536)
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


@lru_cache(maxsize=65_536)
def in_sentence(tag: str) -> str:
    """A tag as it stands within a sentence: lower case, but for names and abbreviations."""
    words = re.split(r"[\s-]+", tag)
    if any(word.casefold() in NAMES or word[1:] != word[1:].lower() for word in words):
        return tag
    return tag.lower()


def shown_title(title: str) -> str:
    """A title in quotation marks, its article in front: “The Godfather”."""
    title = _ARTICLE_LAST.sub(r"\2 \1", " ".join(title.split()))
    if len(title) > _TITLE_CHARS:
        title = title[: _TITLE_CHARS - 1].rstrip() + "…"
    return f"“{title}”"


def joined(words: Sequence[str]) -> str:
    """`a`, `a and b`."""
    return " and ".join(words)


def with_article(noun: str) -> str:
    """`a crime thriller`, `an action comedy`."""
    return f"{'an' if noun[:1].casefold() in 'aeiou' else 'a'} {noun}"


def capitalised(text: str) -> str:
    """`text` with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def liked_sentence(
    titles: Sequence[str], named: NamedAttributes, variant: int, verb: Verb = LIKED
) -> str:
    """A reason that cites one or two liked titles; `variant` chooses among the forms."""
    if named.noun and named.theme:
        forms = _genre_and_theme(titles, named, verb.past)
    elif named.noun:
        forms = _genre_only(titles, named, verb.past)
    elif len(named.themes) > 1:
        forms = _themes_only(titles, named, verb.past)
    else:
        forms = _theme_only(titles, named, verb.past)
    return forms[variant % len(forms)]


def _genre_and_theme(titles: Sequence[str], named: NamedAttributes, did: str) -> list[str]:
    liked, noun, theme = joined(titles), named.noun, named.theme
    return [
        f"Because you {did} {liked}: another {noun} with {named.a_theme}.",
        f"Like {liked}, {_which(titles, did)}, this is {with_article(noun)} with {named.a_theme}.",
        f"You {did} {liked}; this {noun} shares {_their(titles)} {theme}.",
        f"{capitalised(with_article(noun))} with the {theme} of {liked}, {_which(titles, did)}.",
    ]


def _genre_only(titles: Sequence[str], named: NamedAttributes, did: str) -> list[str]:
    liked, noun = joined(titles), with_article(named.noun)
    return [
        f"Because you {did} {liked}: another {named.noun}.",
        f"{capitalised(noun)} like {liked}, {_which(titles, did)}.",
        f"You {did} {liked}; this is {noun} too.",
    ]


def _themes_only(titles: Sequence[str], named: NamedAttributes, did: str) -> list[str]:
    liked, theme = joined(titles), named.theme
    return [
        f"Because you {did} {liked}: it shares {_their(titles)} {theme}.",
        f"You {did} {liked}; the same {theme} return here.",
        f"Its {theme} are those of {liked}, {_which(titles, did)}.",
    ]


def _theme_only(titles: Sequence[str], named: NamedAttributes, did: str) -> list[str]:
    liked, theme = joined(titles), named.theme
    return [
        f"You {did} {liked}; this has {_their(titles)} {theme}.",
        f"It shares the {theme} of {liked}, {_which(titles, did)}.",
        f"What it has in common with {liked}, {_which(titles, did)}: the {theme}.",
    ]


def _which(titles: Sequence[str], did: str) -> str:
    return f"both of which you {did}" if len(titles) > 1 else f"which you {did}"


def _their(titles: Sequence[str]) -> str:
    return "their" if len(titles) > 1 else "its"


def taste_sentence(named: NamedAttributes, variant: int) -> str:
    """A reason that rests on the user's profile alone."""
    noun = named.noun and with_article(named.noun)
    theme = named.theme and named.a_theme
    what = " with ".join(part for part in (noun or "something", theme) if part)
    forms = [
        f"It fits the taste in your profile: {what}.",
        f"Close to what your profile says you enjoy: {what}.",
    ]
    return forms[variant % len(forms)]


def collaborative_sentence(
    title: str, people: int, both: int, variant: int, verb: Verb = LIKED
) -> str:
    """A reason of counted people, where a cause shares nothing that can be said."""
    did = verb.past
    forms = [
        f"Of the {people} people who {did} {title}, as you did, {both} also {did} this.",
        f"You {did} {title}; {both} of the {people} people who did so {did} this, too.",
        f"{both} of the {people} people who, as you did, {did} {title} {did} this as well.",
        f"{capitalised(verb.participle)} by {both} of the {people} people who, like you, {did}"
        f" {title}.",
    ]
    return forms[variant % len(forms)]


def genre_and_people_sentence(
    title: str, named: NamedAttributes, people: int, both: int, variant: int, verb: Verb = LIKED
) -> str:
    """A reason of one shared genre, which alone says little, and of counted people."""
    noun, did = named.noun, verb.past
    forms = [
        f"You {did} {title}; this {noun} too was {verb.participle} by {both} of the {people} people"
        " who did.",
        f"{capitalised(with_article(noun))} that {both} of the {people} people who {did} {title},"
        f" as you did, also {did}.",
        f"Like {title}, which you {did}, {with_article(noun)}: {both} of {people} people who {did}"
        f" that one {did} this.",
        f"Another {noun} beside {title}, which you {did}: {both} of the {people} people who did so"
        f" {did} it.",
    ]
    return forms[variant % len(forms)]


def another_cause(sentence: str, title: str, variant: int, verb: Verb = LIKED) -> str:
    """The sentence with a second liked title that counts for much."""
    forms = [
        f"; {title}, which you {verb.past} too, also counts for it.",
        f"; your {verb.noun} {title} speaks for it as well.",
        f"; that you {verb.past} {title} adds to it.",
    ]
    if "; " in sentence:  # a sentence of three parts is hard to follow
        forms = [
            f" ({title}, which you {verb.past} too, also counts).",
            f" (and your {verb.noun} {title} speaks for it).",
            f" (that you {verb.past} {title} adds to it).",
        ]
    return sentence.removesuffix(".") + forms[variant % len(forms)]


def strongest_sentence(title: str, variant: int, verb: Verb = LIKED) -> str:
    """A reason that says which liked title counted for most, and nothing else."""
    did = verb.past
    forms = [
        f"Of all you {did}, {title} counts for most here.",
        f"You {did} {title}, and that counts for more here than any other title you {did}.",
        f"What brought it here most of all that you {did}: {title}.",
    ]
    return forms[variant % len(forms)]


def rests_on_sentence(
    cause: str, people: int, *, has_liked: bool, variant: int, verb: Verb = LIKED
) -> str:
    """What to say where no liked title is a cause: the truth.

    Args:
        cause: the largest cause (`attribution.kinds`); empty where none is known.
        people: how many liked the title; 0 for too few to speak of.
        has_liked: whether the user is known to like any title.
        variant: chooses among the forms.
        verb: what people did with titles.
    """
    did = verb.past
    if not has_liked:
        known = f"{people} people {did} this" if people else "other people's ratings brought this"
        end = "" if people else " here"
        forms = [
            f"We know no title that you {did} yet; {known}{end}.",
            f"With no title that you {did} to go by: {known}{end}.",
        ]
    elif cause == PROFILE:
        forms = ["It fits what your profile says of you as a whole."]
    elif cause == ATTRIBUTES:
        forms = ["It is here for what is known of you beside your ratings."]
    elif cause == TIME:
        forms = ["It is here because it was popular at the time when you were active."]
    else:
        forms = [
            f"It is here for being popular: {people} people {did} it.",
            f"{people} people {did} it, which speaks for it here.",
        ] if people else ["It is here for what other people's ratings say of it."]  # fmt: skip
    return forms[variant % len(forms)]
