"""A lexicon of themes and genres: themes by keywords, moods by genre, what audiences avoid."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from recsys_core.profiles.rules.stemming import load_table, stem

_WORD = re.compile(r"[^\W_]+(?:['\u2019.-][^\W_]+)*")
_LETTERS = re.compile(r"[^\w]|_")


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Themes and genres, and what is known of them.

    Attributes:
        phrases: themes by the stems of their keywords.
        longest: length of the longest keyword by its first stem.
        order: place of each theme in the table.
        avoids: what the audience of a theme, or of a genre (by `genre_key`), avoids.
        moods: moods that a genre implies, by `genre_key`.
        stories: genres of stories, by `genre_key`.
        all_moods: the tags that say how something feels rather than what it is about.
        never_disliked: themes that say nothing about what somebody avoids.
        prose: how a theme reads behind "about", where that is not its name in lower case.
    """

    phrases: dict[tuple[str, ...], tuple[str, ...]]
    longest: dict[str, int]
    order: dict[str, int]
    avoids: dict[str, tuple[str, ...]]
    moods: dict[str, tuple[str, ...]]
    stories: frozenset[str]
    all_moods: frozenset[str]
    never_disliked: frozenset[str]
    prose: dict[str, str]

    def themes(self, text: str) -> list[str]:
        """Themes of `text`, the most often named first, then in the lexicon's order.

        A keyword counts once: a text is not more about war for naming the army five times.
        """
        stems = [stem(word) for word in _WORD.findall(text)]
        seen: set[tuple[str, ...]] = set()
        start = 0
        while start < len(stems):
            phrase = self._longest_at(stems, start)
            seen.add(phrase)
            start += len(phrase) or 1  # the words of `los angeles` are no angels
        seen.discard(())
        # A phrase is better evidence than a word.
        votes: Counter[str] = Counter()
        for phrase in seen:
            for theme in self.phrases[phrase]:
                votes[theme] += 1 + (len(phrase) > 1)
        return sorted(votes, key=lambda theme: (-votes[theme], self.order[theme]))

    def _longest_at(self, stems: list[str], start: int) -> tuple[str, ...]:
        for length in range(self.longest.get(stems[start], 0), 0, -1):
            phrase = tuple(stems[start : start + length])
            if phrase in self.phrases:
                return phrase
        return ()

    def implied(self, genres: Iterable[str]) -> list[str]:
        """Moods that the genres imply: all there is to say of an item without a text."""
        return list(dict.fromkeys(m for g in genres for m in self.moods.get(genre_key(g), ())))

    def may_tell_a_story(self, genres: Iterable[str]) -> bool:
        """Whether one of the genres is one of stories, or none says what the item is."""
        keys = set(map(genre_key, genres))
        return not keys or not keys.isdisjoint(self.stories)

    def avoided(self, genres: Sequence[str], themes: Sequence[str]) -> list[str]:
        """What the audience of these genres and themes would rather avoid, the surest first."""
        # A genre says more about its audience than one theme among several.
        votes: Counter[str] = Counter()
        for weight, names in ((2, map(genre_key, genres)), (1, iter(themes))):
            for name in names:
                for opposite in self.avoids.get(name, ()):
                    votes[opposite] += weight
        own = {genre_key(name) for name in (*genres, *themes)}
        return [name for name, _ in votes.most_common() if genre_key(name) not in own]


def genre_key(genre: str) -> str:
    """One key for the spellings of a genre: `Sci-Fi`, `sci fi`, `Science Fiction` -> `scifi`."""
    letters = _LETTERS.sub("", genre).casefold()
    return _aliases().get(letters, letters)


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return load_table("themes.yaml")


@lru_cache(maxsize=1)
def _aliases() -> dict[str, str]:
    aliases: dict[str, str] = _table()["aliases"]
    return aliases


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The lexicon of `themes.yaml`, read at first use."""
    table = _table()
    themes, genres = table["themes"], table["genres"]
    phrases: dict[tuple[str, ...], tuple[str, ...]] = {}
    for name, theme in themes.items():
        for keyword in theme["words"].split():
            phrase = tuple(map(stem, keyword.split("_")))
            phrases[phrase] = tuple(dict.fromkeys((*phrases.get(phrase, ()), name)))
    longest: dict[str, int] = {}
    for phrase in phrases:
        longest[phrase[0]] = max(longest.get(phrase[0], 0), len(phrase))
    moods = {name: tuple(genre["moods"]) for name, genre in genres.items()}
    return Lexicon(
        phrases=phrases,
        longest=longest,
        order={name: place for place, name in enumerate(themes)},
        avoids={name: tuple(row["avoids"]) for name, row in (themes | genres).items()},
        moods=moods,
        stories=frozenset(moods) | frozenset(table["stories"].split()),
        all_moods=frozenset(mood for implied in moods.values() for mood in implied),
        never_disliked=frozenset(table["never_disliked"]),
        prose=table["prose"] | {name: name for name in table["proper"]},
    )
