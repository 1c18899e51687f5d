"""Claim extraction: the attributes and titles that an explanation names, and whether they hold.

Claims are read from the sentence alone, so that any writer can be measured, whatever evidence it
declares:

- *titles*: what stands in quotation marks, and catalogue titles of two or more words;
- *attributes*: genres, tags, keywords, people and decades of the catalogue's vocabulary, the
  longest first ("serial killer" before "killer"), genres also as they read within a sentence
  ("romantic" for Romance).

An attribute is supported if the item has it, or if the item's own texts say it. What is in no
vocabulary (a plot detail, a mood in free words) is not extracted: the rates cover checkable claims
only.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import polars as pl

from recsys_core import columns as c
from recsys_core.explanations.sentence_templates import shown_title
from recsys_core.explanations.vocabulary import BEFORE
from recsys_core.prompt_context.tables import label_columns

_APOSTROPHE: Final = "\u2019"
"""The typographic one."""
_WORD: Final = re.compile(rf"[^\W_]+(?:['{_APOSTROPHE}][^\W_]+)*")
QUOTED: Final = re.compile(r"[“\"«]([^”\"»]{1,200})[”\"»](?: \(\d{4}\))?")
_DECADE: Final = re.compile(r"^\d{3}0s$")
_NUMBER: Final = re.compile(r"\b\d{3}0\b")
"""1360 people are no decade; `1360s` would be."""
_LONGEST: Final = 6
"""Words of the longest label that is looked for."""
_PLAIN_TEXT: Final = (
    "another both came close come decade enjoy film good great here like liked loved match movie"
    " pattern people picture profile rating same series show similar story taste the theme this"
    " title tie watched with you your"
)
_PLAIN: Final = frozenset(_PLAIN_TEXT.split())
"""Words of sentences about titles; alone they are no attribute, whatever a tag may say."""

Words = tuple[str, ...]


def words(text: str) -> Words:
    """The words of a text in lower case, plural and possessive endings taken off."""
    return tuple(_stem(one.casefold()) for one in _WORD.findall(text))


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    word = word.replace(_APOSTROPHE, "'").removesuffix("'s")
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@lru_cache(maxsize=65_536)
def title_key(title: str) -> Words:
    """A title for comparison: its article in front, as sentences write it.

    Kept, since a title is compared with the sentences of thousands of users.
    """
    return words(shown_title(title))


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What one sentence claims.

    Attributes:
        attributes: claimed labels, as words.
        titles: keys of the titles it names (`title_key`).
    """

    attributes: tuple[Words, ...]
    titles: tuple[Words, ...]


@dataclass(frozen=True, kw_only=True)
class ItemFacts:
    """What is true of an item: its labels, and the words of its own texts in order."""

    title: Words
    labels: frozenset[Words]
    text: str

    def supports(self, label: Words) -> bool:
        """Whether the item has this label, or its texts say it."""
        return label in self.labels or f" {' '.join(label)} " in self.text


class Catalogue:
    """The vocabulary of all items, and the facts of each.

    Args:
        items: `columns.ITEMS`; labels of further columns (keywords, cast, authors) count.
        item_profiles: `columns.ITEM_PROFILES`.
    """

    def __init__(self, items: pl.DataFrame, item_profiles: pl.DataFrame) -> None:
        profiles = item_profiles.select(
            c.ITEM, *(pl.col(name).alias(f"profile_{name}") for name in _PROFILE)
        )
        further = label_columns(items.schema)
        rows = items.join(profiles, on=c.ITEM, how="left").iter_rows(named=True)
        self.facts: dict[Any, ItemFacts] = {row[c.ITEM]: _facts(row, further) for row in rows}
        self._labels = {
            label: None
            for one in self.facts.values()
            for label in one.labels
            if label and not (len(label) == 1 and label[0] in _PLAIN)
        }
        self._titles = {one.title for one in self.facts.values() if one.title}
        self._label_heads, self._title_heads = _heads(self._labels), _heads(self._titles)

    def claims(self, sentence: str) -> Claims:
        """What `sentence` claims; see the module."""
        quoted = [title_key(found) for found in QUOTED.findall(sentence)]
        rest = words(_NUMBER.sub(" . ", QUOTED.sub(" . ", sentence)))
        titles, rest = self._bare_titles(rest)
        return Claims(
            attributes=tuple(dict.fromkeys(self._attributes(rest))),
            titles=tuple(dict.fromkeys((*filter(None, quoted), *titles))),
        )

    def supports(self, item: Any, label: Words) -> bool:
        """Whether `label` is true of `item`; of a compound, whether each of its parts is."""
        facts = self.facts[item]
        if any(facts.supports(one) for one in (label, *_GENRES.get(label, ()))):
            return True
        if len(label) > 1 and label[-1] in _PLAIN:  # "LGBTQ+ themes" says no more than "LGBTQ+"
            return self.supports(item, label[:-1])
        return any(
            self._known(label[:at]) and self._known(label[at:])
            and self.supports(item, label[:at]) and self.supports(item, label[at:])
            for at in range(1, len(label))
        )  # fmt: skip

    def is_title(self, key: Words) -> bool:
        """Whether an item of the catalogue has this title."""
        return key in self._titles

    def _known(self, span: Words) -> bool:
        return span in self._labels or span in _GENRES or _is_decade(span[0])

    def _bare_titles(self, rest: Words) -> tuple[list[Words], Words]:
        """Titles of three or more words that stand without quotation marks, and what is left."""
        found, left, at = [], [], 0
        while at < len(rest):
            longest = self._title_heads.get(rest[at], 0)
            for length in range(min(longest, len(rest) - at), 2, -1):
                if rest[at : at + length] in self._titles:
                    found.append(rest[at : at + length])
                    at += length
                    break
            else:
                left.append(rest[at])
                at += 1
        return found, tuple(left)

    def _attributes(self, rest: Words) -> Iterator[Words]:
        at = 0
        while at < len(rest):
            longest = max(1, self._label_heads.get(rest[at], 0))
            for length in range(min(longest, len(rest) - at), 0, -1):
                span = rest[at : at + length]
                if self._known(span) if length == 1 else span in self._labels:
                    yield span
                    at += length - 1
                    break
            at += 1


def _is_decade(word: str) -> bool:
    return word[0].isdigit() and _DECADE.match(f"{word}s") is not None


def _heads(labels: Iterable[Words]) -> dict[str, int]:
    """First word -> words of the longest label that begins with it, up to those looked for."""
    found: dict[str, int] = {}
    for one in labels:
        if one:
            found[one[0]] = max(found.get(one[0], 0), min(len(one), _LONGEST))
    return found


_PROFILE: Final = (c.OVERVIEW, c.GENRES, c.TAGS, c.DESCRIPTION)
_GENRES: Final[Mapping[Words, tuple[Words, ...]]] = {
    words(form): tuple(words(one) for one, other in BEFORE.items() if other == form)
    for genre, form in BEFORE.items() if words(form) != words(genre)
}  # fmt: skip
"""How genres read within a sentence, and the genres that read so."""


def _facts(row: Mapping[str, Any], further: Sequence[str]) -> ItemFacts:
    listed: list[str] = []
    for name in (c.GENRES, f"profile_{c.GENRES}", f"profile_{c.TAGS}", *further):
        listed += row.get(name) or ()
    year = row[c.YEAR]
    labels = {words(label) for label in listed}
    labels |= {words(f"{year // 10 * 10}s")} if year is not None else set()
    said: Iterable[str] = (
        row.get(name) or ""
        for name in (c.TITLE, c.OVERVIEW, f"profile_{c.OVERVIEW}", f"profile_{c.DESCRIPTION}")
    )
    text = " ".join(" ".join(words(part)) for part in said)
    return ItemFacts(
        title=title_key(row[c.TITLE] or ""), labels=frozenset(labels - {()}), text=f" {text} "
    )


def folded(labels: Sequence[str]) -> frozenset[Words]:
    """Labels of a profile, comparable with claims."""
    return frozenset(map(_label, labels))


_label: Final = lru_cache(maxsize=65_536)(words)
"""The words of a label; the same few are met over and over."""
