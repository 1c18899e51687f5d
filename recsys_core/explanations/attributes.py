"""Attributes of items as keys: what a reason may name, and how two items are compared."""

import re
from collections.abc import Sequence
from typing import Final

GENRE: Final = "genre"
TAG: Final = "tag"
DECADE: Final = "decade"

_DECADE = re.compile(r"^\d{3}0s$")


def attributes(genres: Sequence[str], tags: Sequence[str], year: int | None) -> tuple[str, ...]:
    """An item's attributes as keys: `genre:Crime`, `tag:Detective`, `decade:1990s`.

    A tag that repeats a genre or is a decade is left out.
    """
    known = {genre.casefold() for genre in genres}
    themes = [tag for tag in tags if tag.casefold() not in known and not _DECADE.match(tag)]
    decade = [] if year is None else [f"{DECADE}:{year // 10 * 10}s"]
    return (*(f"{GENRE}:{one}" for one in genres), *(f"{TAG}:{one}" for one in themes), *decade)


def fold(key: str) -> str:
    """A key for comparison, without regard to case."""
    return key.casefold()


def kind(key: str) -> str:
    """`genre`, `tag` or `decade`."""
    return key.partition(":")[0]


def label(key: str) -> str:
    """The attribute itself."""
    return key.partition(":")[2]
