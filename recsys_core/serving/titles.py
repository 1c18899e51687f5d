"""Titles as people write them: looked up among the items, and asked back where several fit."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Final

import polars as pl

from recsys_core.columns import ITEM, TITLE, YEAR
from recsys_core.errors import DataError

_YEAR: Final = re.compile(r"\s*\((\d{4})\)\s*$")
_ARTICLE: Final = re.compile(r"^(the|a|an) (.+)$")
_MOVED: Final = re.compile(r"^(.+), (the|a|an|le|la|les|l'|der|die|das|il|el)(?= |$|\()(.*)$")
_CHOICES: Final = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Titles:
    """The titles of the items.

    Attributes:
        items: `columns.ITEMS`.
    """

    items: pl.DataFrame
    _found: dict[str, list[int]] = field(default_factory=dict, repr=False)

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        return list(self.items.select(ITEM, TITLE, YEAR).iter_rows(named=True))

    @cached_property
    def _plain(self) -> list[str]:
        return [plain(row[TITLE] or "") for row in self._rows]

    @cached_property
    def _by_name(self) -> Mapping[str, list[int]]:
        found: dict[str, list[int]] = {}
        for at, name in enumerate(self._plain):
            found.setdefault(name, []).append(at)
        return found

    @cached_property
    def _by_id(self) -> Mapping[str, int]:
        return {str(row[ITEM]): at for at, row in enumerate(self._rows)}

    def item(self, given: str) -> Any:
        """Id of the one item with this title; a year in brackets tells remakes apart.

        Raises:
            DataError: no title is like it, or several are; the choices are named.
        """
        year = _YEAR.search(given)
        exact = self._by_name.get(plain(given), [])
        if year:
            exact = [at for at in exact if self._rows[at][YEAR] == int(year[1])] or exact
        if len(exact) == 1:
            return self._rows[exact[0]][ITEM]
        choices = exact or self._like(plain(given))
        if len(choices) == 1 and not exact:
            return self._rows[choices[0]][ITEM]
        shown = "; ".join(self.shown(at) for at in choices[:_CHOICES])
        if not choices:
            raise DataError(
                f"No title is like {given!r}.", expected="a title of the data set.",
                fix="search for another word of it.",
            )  # fmt: skip
        raise DataError(
            f"{given!r} may be any of {len(choices)} titles: {shown}"
            f"{'; ...' if len(choices) > _CHOICES else ''}.",
            expected="a title that only one item has.",
            fix="write one of these, with its year in brackets, or its item_id.",
        )

    def search(self, words: str, limit: int = 10) -> list[dict[str, Any]]:
        """The item with this id, and those whose titles hold these words, or begin so first."""
        wanted = plain(words)
        named = self._by_id.get(words)
        found = [] if named is None else [named]
        found += [at for at in self._like(wanted) if at != named] if wanted else []
        return [
            {name: self._rows[at][name] for name in (ITEM, TITLE, YEAR)} for at in found[:limit]
        ]

    def shown(self, at: int) -> str:
        """A title as choices name it."""
        row = self._rows[at]
        year = f" ({row[YEAR]})" if row[YEAR] and not _YEAR.search(row[TITLE] or "") else ""
        return f"{row[TITLE]}{year} [item_id {row[ITEM]}]"

    def _like(self, wanted: str) -> list[int]:
        words = wanted.split()
        held = [
            at for at, name in enumerate(self._plain)
            if all(f" {word}" in f" {name}" for word in words)
        ]  # fmt: skip
        if held:
            first = [not self._plain[at].startswith(wanted) for at in held]
            return [
                at for _, _, at in sorted(zip(first, map(self._length, held), held, strict=True))
            ]
        near = get_close_matches(wanted, list(self._by_name), _CHOICES, 0.75)
        return [at for name in near for at in self._by_name[name]]

    def _length(self, at: int) -> int:
        return len(self._plain[at])


def plain(title: str) -> str:
    """A title for comparison: no case, accents, punctuation, year or place of its article."""
    folded = unicodedata.normalize("NFKD", title).casefold()
    name = "".join(one for one in folded if not unicodedata.combining(one))
    name = _YEAR.sub("", name)
    moved = _MOVED.match(name)
    if moved:
        name = f"{moved[2]} {moved[1]}{moved[3]}"
    name = " ".join(re.findall(r"[\w]+", name))
    article = _ARTICLE.match(name)
    return article[2] if article else name
