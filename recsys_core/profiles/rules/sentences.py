"""Sentence templates of the rule-written profiles: genres and tags within prose."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from recsys_core.profiles.rules.lexicon import genre_key, lexicon
from recsys_core.profiles.text import enumerate_words

DECADE = re.compile(r"\d{3}0s")
_SMALL: Final = frozenset(
    ["a", "an", "and", "at", "for", "from", "in", "of", "on", "or", "the", "to", "with"]
)


def decade(year: int | None) -> str | None:
    """`1994 -> 1990s`."""
    return None if year is None or not 1000 <= year <= 2999 else f"{year // 10 * 10}s"


def title_case(phrase: str) -> str:
    """`retired detective -> Retired Detective`, the form of a tag; other capitals are kept."""
    words = phrase.split()
    return " ".join(w if w in _SMALL and n else w[:1].upper() + w[1:] for n, w in enumerate(words))


def in_prose(label: str) -> str:
    """A label inside a sentence: known themes and genres lose their capitals, others keep them."""
    known = lexicon()
    if label in known.prose:
        return known.prose[label]
    usual = label in known.order or label in known.all_moods or genre_key(label) in known.moods
    return label.lower() if usual else label


def themes_among(tags: Iterable[str]) -> list[str]:
    """The tags that say what something is about: the lexicon's themes, or all if none is there.

    Moods and decades are left out, and war beside a particular war.
    """
    known = lexicon()
    themes = [tag for tag in tags if tag not in known.all_moods and not DECADE.fullmatch(tag)]
    if any(tag.startswith(("World War", "Vietnam War")) for tag in themes):
        themes = [tag for tag in themes if tag != "War"]
    return [tag for tag in themes if tag in known.order] or themes


def about(themes: Iterable[str]) -> str:
    """`revenge, a heist and life at sea`."""
    return enumerate_words([in_prose(theme) for theme in themes])


def genre_words(genres: Sequence[str], limit: int) -> str:
    """`comedy, crime and sci-fi`."""
    return enumerate_words([in_prose(genre) for genre in genres[:limit]])
