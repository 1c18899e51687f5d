"""Sentence templates of the rule-based explanations: attributes as phrases, several forms each."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recsys_core.explanations.attributes import DECADE, GENRE, TAG, kind, label, normalise_key
from recsys_core.explanations.vocabulary import ADJECTIVES, BEFORE, HEADS, IMPLIED, NAMES

_TITLE_CHARS: Final = 80
_ARTICLE_LAST = re.compile(r"^(.+), (The|A|An)$")


@dataclass(frozen=True, kw_only=True)
class NamedAttributes:
    """The few shared attributes that a sentence names."""

    genres: tuple[str, ...]
    adjectives: tuple[str, ...]
    themes: tuple[str, ...]
    decades: tuple[str, ...]

    @classmethod
    def choose(cls, shared: Sequence[str], weights: Mapping[str, float]) -> "NamedAttributes":
        """The most telling two genres, two themes and one adjective, and the decade."""

        def best(keys: list[str], number: int) -> tuple[str, ...]:
            chosen = sorted(keys, key=lambda key: -weights[normalise_key(key)])[:number]
            return tuple(key for key in keys if key in chosen)

        tags = [key for key in shared if kind(key) == TAG]
        moods = [key for key in tags if is_mood(key)]
        genres = [key for key in shared if kind(key) == GENRE]
        said = {label(key).casefold() for key in genres}
        return cls(
            genres=best(genres, 2),
            adjectives=best([key for key in moods if _implied_by(key) not in said], 1),
            themes=best([key for key in tags if key not in moods], 2),
            decades=tuple(key for key in shared if kind(key) == DECADE),
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them; none if there is no genre and no theme."""
        if not self.genres and not self.themes:
            return ()
        adjectives = self.adjectives if self.genres else ()
        return (*self.genres, *adjectives, *self.themes, *self.decades)

    @property
    def noun(self) -> str:
        """`quirky 1990s crime thriller`; empty if no genre is shared."""
        if not self.genres:
            return ""
        before = [label(key).casefold() for key in self.adjectives]
        before += [label(key) for key in self.decades]
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


def liked_sentence(titles: Sequence[str], named: NamedAttributes, variant: int) -> str:
    """A reason that cites one or two liked titles; `variant` chooses among the forms."""
    if named.noun and named.theme:
        forms = _genre_and_theme(titles, named)
    elif named.noun:
        forms = _genre_only(titles, named)
    elif len(named.themes) > 1:
        forms = _themes_only(titles, named)
    else:
        forms = _loose_tie(titles, named)
    return forms[variant % len(forms)]


def _genre_and_theme(titles: Sequence[str], named: NamedAttributes) -> list[str]:
    liked, noun, theme = joined(titles), named.noun, named.theme
    return [
        f"Because you liked {liked}: another {noun} with {named.a_theme}.",
        f"Like {liked}, {_which(titles)}, this is {with_article(noun)} with {named.a_theme}.",
        f"You liked {liked}; this {noun} shares {_their(titles)} {theme}.",
        f"{capitalised(with_article(noun))} with the {theme} of {liked}, {_which(titles)}.",
    ]


def _genre_only(titles: Sequence[str], named: NamedAttributes) -> list[str]:
    liked, noun = joined(titles), with_article(named.noun)
    return [
        f"Because you liked {liked}: another {named.noun}.",
        f"{capitalised(noun)} like {liked}, {_which(titles)}.",
        f"You liked {liked}; this is {noun} too.",
    ]


def _themes_only(titles: Sequence[str], named: NamedAttributes) -> list[str]:
    liked, theme = joined(titles), named.theme
    when = f" in the same decade, the {label(named.decades[0])}" if named.decades else ""
    return [
        f"Because you liked {liked}: it shares {_their(titles)} {theme}{when}.",
        f"You liked {liked}; the same {theme} return here{when}.",
        f"Its {theme} are those of {liked}, {_which(titles)}{when and f', {when[1:]}'}.",
    ]


def _loose_tie(titles: Sequence[str], named: NamedAttributes) -> list[str]:
    liked = joined(titles)
    when = f" and come from the {label(named.decades[0])}" if named.decades else ""
    all_of_them = "All three" if len(titles) > 1 else "Both"
    return [
        f"A loose tie to {liked}, {_which(titles)}: {all_of_them.lower()} have"
        f" {named.a_theme}{when}.",
        f"Only loosely like {liked}, {_which(titles)}: {all_of_them.lower()} have"
        f" {named.a_theme}{when}.",
    ]


def _which(titles: Sequence[str]) -> str:
    return "both of which you liked" if len(titles) > 1 else "which you liked"


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


def no_match_sentence(itself: NamedAttributes, *, has_liked: bool, variant: int) -> str:
    """What to say when nothing is shared: the truth. `itself` says what the title is."""
    this = f"this {itself.noun or 'title'}"
    if has_liked:
        forms = [
            f"No close match among what you liked; {this} is here for the pattern of ratings.",
            f"Nothing you liked resembles {this} closely; other people's ratings brought it here.",
        ]
    else:
        forms = [
            f"We know no title that you liked yet; other people's ratings brought {this} here.",
            f"With no liked title to go by, {this} rests on other people's ratings.",
        ]
    return forms[variant % len(forms)]
