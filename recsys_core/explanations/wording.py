"""How a reason is worded: the attributes it names, as phrases and as a choice of sentences."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from recsys_core.explanations.attributes import DECADE, GENRE, TAG, fold, kind, label
from recsys_core.explanations.vocabulary import ADJECTIVES, BEFORE, HEADS, NAMES

_TITLE_CHARS: Final = 80
_ARTICLE_LAST = re.compile(r"^(.+), (The|A|An)$")


@dataclass(frozen=True, kw_only=True)
class Named:
    """The few shared attributes that a sentence names."""

    genres: tuple[str, ...]
    adjectives: tuple[str, ...]
    themes: tuple[str, ...]
    decades: tuple[str, ...]

    @classmethod
    def choose(cls, shared: Sequence[str], weights: Mapping[str, float]) -> "Named":
        """The most telling two genres, two themes and one adjective, and the decade."""

        def best(keys: list[str], number: int) -> tuple[str, ...]:
            chosen = sorted(keys, key=lambda key: -weights[fold(key)])[:number]
            return tuple(key for key in keys if key in chosen)

        tags = [key for key in shared if kind(key) == TAG]
        moods = [key for key in tags if label(key).casefold() in ADJECTIVES]
        genres = [key for key in shared if kind(key) == GENRE]
        return cls(
            genres=best(genres, 2),
            adjectives=best(moods, 1),
            themes=best([key for key in tags if key not in moods], 2),
            decades=tuple(key for key in shared if kind(key) == DECADE),
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them; none if there is no more than a decade."""
        strong = (*self.genres, *self.adjectives, *self.themes)
        return (*strong, *self.decades) if strong else ()

    @property
    def noun(self) -> str:
        """`gritty 1990s crime thriller`; empty if only themes are shared."""
        before = [label(key).casefold() for key in self.adjectives] + [
            label(key) for key in self.decades
        ]
        if not self.genres and not self.adjectives:
            return ""
        return " ".join([*before, genre_phrase([label(key) for key in self.genres])])

    @property
    def theme(self) -> str:
        """`serial killer and police themes`; empty if there is none."""
        words = [in_sentence(label(key)) for key in self.themes]
        return f"{joined(words)} theme{'s' if len(words) > 1 else ''}" if words else ""


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


def liked_sentence(titles: Sequence[str], named: Named, place: int) -> str:
    """A reason that cites one or two liked titles; `place` chooses among the forms."""
    liked, several = joined(titles), len(titles) > 1
    which = "both of which you liked" if several else "which you liked"
    their = "their" if several else "its"
    noun, theme = named.noun, named.theme
    if noun and theme:
        forms = [
            f"Because you liked {liked}: another {noun} with {theme}.",
            f"Like {liked}, {which}, this is {with_article(noun)} with {theme}.",
            f"You liked {liked}; this {noun} shares {their} {theme}.",
            f"{capitalised(with_article(noun))} with the {theme} of {liked}, {which}.",
        ]
    elif noun:
        forms = [
            f"Because you liked {liked}: another {noun}.",
            f"{capitalised(with_article(noun))} like {liked}, {which}.",
            f"You liked {liked}; this is {with_article(noun)} too.",
        ]
    else:
        when = f" and {their} decade, the {label(named.decades[0])}" if named.decades else ""
        forms = [
            f"Because you liked {liked}: it shares {their} {theme}{when}.",
            f"You liked {liked}; this shares {their} {theme}{when}.",
            f"It shares the {theme} of {liked}, {which}{when and f', {when[1:]}'}.",
        ]
    return forms[place % len(forms)]


def taste_sentence(named: Named, place: int) -> str:
    """A reason that rests on the user's profile alone."""
    noun, theme = named.noun, named.theme
    what = f"{with_article(noun)} with {theme}" if noun and theme else with_article(noun or theme)
    if not noun:
        what = f"something with {theme}"
    forms = [
        f"It fits the taste in your profile: {what}.",
        f"Close to what your profile says you enjoy: {what}.",
    ]
    return forms[place % len(forms)]


def open_sentence(has_liked: bool, place: int) -> str:
    """What to say when nothing is shared: the truth."""
    if has_liked:
        forms = [
            "No close match among the titles you liked; it ranks high for the pattern of ratings.",
            "Nothing you liked resembles it closely; the ratings of other people brought it here.",
        ]
    else:
        forms = [
            "We know no title that you liked yet; the ratings of other people brought it here.",
            "Without a title that you liked to go by, this rests on the ratings of other people.",
        ]
    return forms[place % len(forms)]
