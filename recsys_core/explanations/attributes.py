"""Item attributes as keys (`genre:Crime`): what an explanation may name and cite."""

import re
from collections.abc import Sequence
from typing import Final

from recsys_core import columns as c

GENRE: Final = "genre"
TAG: Final = "tag"
DECADE: Final = "decade"
WORD: Final = "title word"
"""A word of the title, of an item that nothing else is known of."""

_DECADE = re.compile(r"^\d{3}0s$")
_LABEL_CHARS: Final = 60
"""Longer labels are no words of a sentence."""


def attributes(
    genres: Sequence[str], tags: Sequence[str], year: int | None, labels: Sequence[str] = ()
) -> tuple[str, ...]:
    """An item's attributes as keys: `genre:Crime`, `tag:Detective`, `author:Eco`, `decade:1990s`.

    A label that repeats a genre is left out, so is a tag that repeats a label or is a decade, and
    so are labels without a word or of more than 60 characters.

    Args:
        genres: of the item.
        tags: themes and moods of its profile.
        year: of its release.
        labels: `column:label` of further columns of the data (`prompt_context.tables.LABELS`).
            Keywords are tags.
    """
    known = {genre.casefold() for genre in genres}
    told = [_of_column(one) for one in labels if label(one).casefold() not in known]
    known |= {label(one).casefold() for one in told}
    themes = [tag for tag in tags if tag.casefold() not in known and not _DECADE.match(tag)]
    decade = [] if year is None else [f"{DECADE}:{year // 10 * 10}s"]
    return (
        *(f"{GENRE}:{one}" for one in genres if _nameable(one)),
        *(one for one in told if _nameable(label(one))),
        *(f"{TAG}:{one}" for one in themes if _nameable(one)),
        *decade,
    )


def _of_column(key: str) -> str:
    """The key of a label: its column in words; a keyword is a tag, and no column is called so."""
    column = kind(key).replace("_", " ")
    if column == c.KEYWORDS:
        column = TAG
    elif column in (GENRE, TAG, DECADE):
        column = f"{column}s"
    return f"{column}:{label(key)}"


def is_fact(key: str) -> bool:
    """Whether an attribute is a label of a column of its own: an author, a brand, a platform."""
    return kind(key) not in (GENRE, TAG, DECADE)


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
