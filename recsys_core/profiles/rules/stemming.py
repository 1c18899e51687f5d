"""A suffix-stripping stemmer, and the word lists of `words.yaml`."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A crude stem: the same for the forms of one English word, good for comparing only.

    `avenge, avenged, avenging -> aveng`; `family, families -> famili`; `kidnapped -> kidnap`.
    """
    word = word.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").removesuffix("'s")
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = f"{word[:-3]}y" if word.endswith("ies") and len(word) > 4 else word[:-1]
    for suffix in ("ing", "ed"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word.removesuffix(suffix)
            break
    if len(word) > 3 and word.endswith("e"):
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]
    return f"{word[:-1]}i" if len(word) > 2 and word.endswith("y") else word


def load_table(name: str) -> dict[str, Any]:
    """A YAML table of this package."""
    text = files("recsys_core.profiles").joinpath(name).read_text("utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table


@dataclass(frozen=True, kw_only=True)
class WordLists:
    """Word lists of the key phrase extraction, explained in `words.yaml`."""

    determiners: frozenset[str]
    singular: frozenset[str]
    stop: frozenset[str]
    verbs: frozenset[str]
    roles: frozenset[str]
    common_roles: frozenset[str]
    weak_ends: frozenset[str]


@lru_cache(maxsize=1)
def word_lists() -> WordLists:
    """The word lists, read at first use; verbs and roles as stems."""
    lists = {name: text.split() for name, text in load_table("words.yaml").items()}
    stems = {"verbs", "roles", "common_roles"}
    return WordLists(
        **{
            name: frozenset(map(stem, listed) if name in stems else listed)
            for name, listed in lists.items()
        }
    )
