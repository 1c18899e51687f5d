"""Key phrases and characters of a text, by rules: a RAKE-like extraction (Rose et al., 2010).

Stop words, verbs and punctuation cut the text into candidate phrases, scored by the degree and
frequency of their words. What follows a determiner is nearly always a noun phrase, so no parser is
needed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from recsys_core.profiles.rules.stemming import WordLists, stem, word_lists
from recsys_core.profiles.text import is_plural, unique

_TOKEN = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*|[^\w\s]")
_POSSESSIVE = re.compile(r"['\u2019]s?$")
_LONGEST: Final = 3
_LONGEST_CHARS: Final = 40
_SENTENCE_STARTS: Final = frozenset({"", ".", "!", "?"})
_SENTENCE_ENDS: Final = frozenset(".!?:…")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A candidate phrase: words between stop words, verbs and punctuation.

    Attributes:
        words: as written; lower case unless it is a name.
        determined: it stands behind a determiner (`a retired detective`).
        name: every word is capitalised inside a sentence.
    """

    words: tuple[str, ...]
    determined: bool
    name: bool

    @property
    def text(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, kw_only=True)
class KeyPhrases:
    """What a text names.

    Attributes:
        characters: `retired detective`, `young boy`; lower case.
        phrases: other noun phrases, the best first; lower case.
        names: proper names that the text comes back to.
    """

    characters: tuple[str, ...]
    phrases: tuple[str, ...]
    names: tuple[str, ...]


def key_phrases(text: str) -> KeyPhrases:
    """The characters, phrases and names of `text` (one line of plain prose)."""
    lists = word_lists()
    found = list(chunks(text))
    scores = _scores(found)
    common = [chunk for chunk in found if not chunk.name]
    characters = [chunk for chunk in common if _is_character(chunk, lists)]
    others = [chunk for chunk in common if _is_phrase(chunk, lists)]
    others.sort(key=lambda chunk: (not chunk.determined, -scores[chunk.words]))
    return KeyPhrases(
        characters=unique(chunk.text for chunk in characters),
        phrases=unique(chunk.text for chunk in others),
        names=unique(_names(found, Counter(_TOKEN.findall(text)))),
    )


def chunks(text: str) -> Iterator[Chunk]:
    """Runs of words between stop words, verbs and punctuation."""
    lists = word_lists()
    run: list[str] = []
    named, starts = False, True
    behind = before = ""
    tokens = _TOKEN.findall(text)
    names = _capitalised(tokens)
    for place, token in enumerate(tokens):
        capital = token[:1].isupper() and not (starts and _is_common(tokens, place, names))
        ends = _ends_phrase(token, lists, before=before, open_run=bool(run), name=capital)
        if run and (ends or capital != named):
            yield from _chunk(run, lists, behind=behind, name=named)
            run = []
        if not ends:
            if not run:
                behind, named = before, capital
            run.append(token if capital else token.casefold())
        starts = token in _SENTENCE_ENDS or (starts and not token[0].isalnum())
        before = "its" if _POSSESSIVE.search(token) else token.casefold()
    yield from _chunk(run, lists, behind=behind, name=named)


def _capitalised(tokens: list[str]) -> frozenset[str]:
    """Words with a capital inside a sentence."""
    pairs = pairwise(tokens)
    return frozenset(word for before, word in pairs if word[0].isupper() and before[0].isalnum())


def _is_common(tokens: list[str], place: int, names: frozenset[str]) -> bool:
    """Whether the first word of a sentence owes its capital to that place alone."""
    lower_next = place + 1 < len(tokens) and tokens[place + 1][0].islower()
    return lower_next and tokens[place] not in names


def _ends_phrase(token: str, lists: WordLists, *, before: str, open_run: bool, name: bool) -> bool:
    word = token.casefold()
    if not word[0].isalpha() or word in lists.stop or _POSSESSIVE.search(word):
        return True
    if name:
        return False
    if word.endswith(("ed", "ing")):
        # `a retired detective` keeps its participle; elsewhere it is a verb.
        return open_run or (before not in lists.determiners and before not in _SENTENCE_STARTS)
    return word.endswith("ly") or stem(word) in lists.verbs


def _chunk(run: list[str], lists: WordLists, *, behind: str, name: bool) -> Iterator[Chunk]:
    if len(run) > 1 and behind in lists.singular and not name and is_plural(run[-1]):
        run = run[:-1]  # `a girl disguises`: behind a singular it is a verb
    if len(run) > _LONGEST:
        run = run[:2] if name else run[-2:]
    if run and sum(map(len, run)) <= _LONGEST_CHARS:
        yield Chunk(words=tuple(run), determined=behind in lists.determiners, name=name)


def _scores(found: Iterable[Chunk]) -> dict[tuple[str, ...], float]:
    """RAKE: a word's degree over its frequency, summed over the phrase."""
    degree: Counter[str] = Counter()
    frequency: Counter[str] = Counter()
    runs = [chunk.words for chunk in found]
    for run in runs:
        for word in run:
            frequency[word] += 1
            degree[word] += len(run)
    return {run: sum(degree[word] / frequency[word] for word in run) for run in runs}


def _is_phrase(chunk: Chunk, lists: WordLists) -> bool:
    last = chunk.words[-1]
    weak = len(last) < 3 or last in lists.weak_ends or last.endswith(("ing", "ed"))
    return len(chunk.words) > 1 and not weak and stem(last) not in lists.roles


def _is_character(chunk: Chunk, lists: WordLists) -> bool:
    role = stem(chunk.words[-1])
    telling = len(chunk.words) > 1 or (role not in lists.common_roles and chunk.determined)
    return role in lists.roles and telling


def _names(found: list[Chunk], mentions: Counter[str]) -> Iterator[str]:
    """Names of several words, one of which comes back elsewhere: a main character or a place."""
    for chunk in found:
        comes_back = any(mentions[word] > 1 and len(word) > 3 for word in chunk.words)
        if chunk.name and len(chunk.words) > 1 and comes_back:
            yield chunk.text
