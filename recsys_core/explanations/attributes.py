"""Item attributes as keys (`genre:Crime`): what an explanation may name and cite."""

import re
from collections.abc import Sequence
from typing import Final

GENRE: Final = "genre"
TAG: Final = "tag"
DECADE: Final = "decade"

_DECADE = re.compile(r"^\d{3}0s$")
_LABEL_CHARS: Final = 60
"""Longer labels are no words of a sentence."""


def attributes(genres: Sequence[str], tags: Sequence[str], year: int | None) -> tuple[str, ...]:
    """An item's attributes as keys: `genre:Crime`, `tag:Detective`, `decade:1990s`.

    A tag that repeats a genre or is a decade is left out, and so are labels without a word or
    of more than 60 characters.
    """
    known = {genre.casefold() for genre in genres}
    themes = [tag for tag in tags if tag.casefold() not in known and not _DECADE.match(tag)]
    decade = [] if year is None else [f"{DECADE}:{year // 10 * 10}s"]
    return (
        *(f"{GENRE}:{one}" for one in genres if _nameable(one)),
        *(f"{TAG}:{one}" for one in themes if _nameable(one)),
        *decade,
    )


def _nameable(label: str) -> bool:
    return bool(label.strip()) and len(label) <= _LABEL_CHARS


def normalise_key(key: str) -> str:
    """A key for comparison, without regard to case."""
    return key.casefold()


def kind(key: str) -> str:
    """`genre`, `tag` or `decade`."""
    return key.partition(":")[0]


def label(key: str) -> str:
    """The attribute itself."""
    return key.partition(":")[2]
