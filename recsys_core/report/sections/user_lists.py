"""Every user's list as JSON for the search field of the report.

The lists of up to `PAGE_USERS` users are part of the page. More lie in files beside it, which the
page loads with a script element, since a page that is opened from disk may read nothing else. The
file of a user follows from a hash of the id (FNV-1a, 32 bits), so the page needs no directory.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import polars as pl

from recsys_core.columns import (
    ATTRIBUTE_EVIDENCE,
    EXPLANATION,
    ITEM,
    LIKED_EVIDENCE,
    MODEL,
    RANK,
    SCORE,
    TITLE,
    USER,
    YEAR,
)
from recsys_core.report.sections.causes import PARTS, ListCauses

PAGE_USERS: Final = 2_000
USERS_PER_FILE: Final = 1_000
FOLDER: Final = "lists"


@dataclass(frozen=True, kw_only=True)
class UserLists:
    """Every user's list.

    Attributes:
        users: how many.
        example: an id to try.
        page: JSON of all lists, safe inside a script element; empty where they lie in files.
        files: path beside the page -> content; empty where the page has them all.
    """

    users: int
    example: str
    page: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


def user_lists(
    recommendations: pl.DataFrame,
    items: pl.DataFrame,
    attributions: pl.DataFrame | None = None,
    *,
    page_users: int = PAGE_USERS,
) -> UserLists:
    """The lists for the page.

    Args:
        recommendations: `columns.RECOMMENDATIONS`.
        items: `columns.ITEMS`, for years and for the titles of what a reason cites.
        attributions: `columns.ATTRIBUTIONS`: the bar under every sentence; None draws none.
        page_users: with more users the lists go into files.
    """
    ids = recommendations[USER].unique().sort()
    example = str(ids[0]) if ids.len() else ""
    if ids.len() <= page_users:
        return UserLists(
            users=ids.len(), example=example, page=_json(recommendations, items, attributions)
        )
    count = -(-ids.len() // USERS_PER_FILE)
    places = pl.DataFrame({USER: ids, _FILE: [fnv1a(str(one)) % count for one in ids]})
    parts = recommendations.join(places, on=USER).partition_by(_FILE, as_dict=True)
    made = _parted(attributions, places)
    files = {
        f"{FOLDER}/{number}.js":
            f"recsysLists({number}, {_json(part, items, made.get(number))});\n".encode()
        for (number,), part in parts.items()
    }  # fmt: skip
    return UserLists(users=ids.len(), example=example, files=files)


def _parted(attributions: pl.DataFrame | None, places: pl.DataFrame) -> dict[Any, pl.DataFrame]:
    """Number of a file -> the attributions of its users."""
    if attributions is None:
        return {}
    parts = attributions.join(places, on=USER).partition_by(_FILE, as_dict=True)
    return {number: part for (number,), part in parts.items()}


def file_count(lists: UserLists) -> int:
    """Into how many files the hash of an id leads, those without a user included."""
    return -(-lists.users // USERS_PER_FILE) if lists.files else 0


def fnv1a(text: str) -> int:
    """The 32-bit FNV-1a hash of the text's UTF-8 bytes; the page computes the same."""
    value = 2166136261
    for byte in text.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return value


_FILE: Final = "__file__"


def _json(
    recommendations: pl.DataFrame, items: pl.DataFrame, attributions: pl.DataFrame | None
) -> str:
    """`{items: [[title, year]], models: [name], parts: [name], users: {id: [entry]}}`.

    An entry is `[item, score, reason, model, causes]` and, where there are attributions, `[part,
    percent, ...]`, `[[title, place without it]]` and the place before a judgement (0 for none).
    """
    bars = None if attributions is None else ListCauses(attributions)
    titles = dict(items.select(ITEM, TITLE).iter_rows())
    years = dict(items.select(ITEM, YEAR).iter_rows())
    found: dict[Any, int] = {}
    shown: list[list[Any]] = []
    models: dict[str, int] = {}
    users: dict[str, list[list[Any]]] = {}

    def number(item: Any, title: str) -> int:
        if item not in found:
            found[item] = len(shown)
            shown.append([title, years.get(item)])
        return found[item]

    columns = (
        USER, ITEM, RANK, TITLE, SCORE, EXPLANATION, MODEL, LIKED_EVIDENCE, ATTRIBUTE_EVIDENCE,
    )  # fmt: skip
    for user, item, rank, title, score, reason, model, liked, attributes in (
        recommendations.sort(USER, RANK).select(columns).iter_rows()
    ):
        place = models.setdefault(model or "", len(models))
        causes = causes_of(liked, attributes, titles)
        row = [number(item, title), round(score, 3), reason or "", place, causes]
        if bars is not None:
            parts = [(one.number, round(one.percent)) for one in bars.parts(user, item)]
            falls = bars.falls(user, item, liked or ())
            row += [
                [value for part in parts for value in part],
                [[number(one, titles.get(one) or str(one)), at] for one, at in falls],
                bars.judged_from(user, item, rank),
            ]
        users.setdefault(str(user), []).append(row)
    text = json.dumps(
        {"items": shown, "models": list(models), "parts": PARTS, "users": users},
        ensure_ascii=False, separators=(",", ":"),
    )  # fmt: skip
    # Inside a script element nothing may end it or open a comment; JSON allows the escape.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def causes_of(liked: Any, attributes: Any, titles: Mapping[Any, str]) -> list[str]:
    """What a reason rests on: titles the user liked, then attributes."""
    cited = [titles.get(one) or str(one) for one in liked or ()]
    return [f"liked: {title}" for title in cited] + [str(one) for one in attributes or ()]
