"""One person's ratings as they are typed: titles looked up, ratings checked."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from recsys_core.columns import ITEM, RATING, TIMESTAMP, TITLE, USER
from recsys_core.errors import DataError
from recsys_core.serving.product.model import ServedModel

MOST_RATINGS: Final = 10_000
"""Of one person; a longer history is refused."""
_SHOWN: Final = 5
"""Wrong rows that an error quotes."""
_WHOLE: Final = re.compile(r"-?\d{1,18}")
_KEYS: Final = frozenset({TITLE, ITEM, RATING, TIMESTAMP})


def new_user_id(model: ServedModel) -> Any:
    """An id that no user of the model has."""
    dtype = model.users.schema[USER]
    if dtype == pl.String:
        name = "you"
        while name in model.known_users:
            name += "_"
        return name
    highest: Any = model.users[USER].max()
    return 0 if highest is None else int(highest) + 1


def person(
    model: ServedModel, rows: Sequence[Mapping[str, Any]], user: Any = None
) -> tuple[pl.DataFrame, Any]:
    """One person's ratings as a table (`columns.INTERACTIONS`), and the user's id.

    Args:
        model: knows the titles and the scale.
        rows: as `rated_rows` takes them.
        user: a known user who rated them; None for a new one.

    Raises:
        DataError: as `rated_rows`.
    """
    found = rated_rows(model, rows)
    user = new_user_id(model) if user is None else user
    items, ratings, times = zip(*found, strict=True) if found else ((), (), ())
    table = pl.DataFrame(
        {ITEM: items, RATING: ratings, TIMESTAMP: times},
        schema={ITEM: model.items.schema[ITEM], RATING: pl.Float32, TIMESTAMP: pl.Int64},
    )
    owner = pl.lit(user, dtype=model.users.schema[USER]).alias(USER)
    return table.select(owner, ITEM, RATING, TIMESTAMP), user


Rating = tuple[Any, float, int | None]
"""Item id, rating, seconds since 1970 where they are known."""


def rated_rows(model: ServedModel, rows: Sequence[Mapping[str, Any]]) -> list[Rating]:
    """One person's ratings, titles looked up.

    Args:
        model: knows the titles and the scale.
        rows: each has `title` or `item_id`, `rating` (not for data without ratings), and perhaps
            `timestamp`.

    Raises:
        DataError: a title is unknown or ambiguous, or a rating is not of the scale; every wrong
            row is named.
    """
    if len(rows) > MOST_RATINGS:
        raise DataError(
            f"The history has {len(rows):,} ratings.", expected=f"at most {MOST_RATINGS:,}.",
            fix="leave out the oldest ones.",
        )  # fmt: skip
    found: list[Rating] = []
    problems: list[DataError] = []
    for at, row in enumerate(rows, 1):
        try:
            found.append(_rated(model, row))
        except DataError as error:
            problems.append(error if len(rows) == 1 else _numbered(error, at))
    if problems:
        first = problems[0]
        seen = " ".join(one.seen for one in problems[:_SHOWN])
        more = f" And {len(problems) - _SHOWN} more." if len(problems) > _SHOWN else ""
        raise DataError(seen + more, expected=first.expected, fix=first.fix)
    return found


def _numbered(error: DataError, at: int) -> DataError:
    return DataError(f"Rating {at}: {error.seen}", expected=error.expected, fix=error.fix)


def _rated(model: ServedModel, row: Mapping[str, Any]) -> tuple[Any, float, int | None]:
    surplus = set(row) - _KEYS
    if surplus or not (row.keys() & {TITLE, ITEM}):
        raise DataError(
            f"A rating has the keys {', '.join(map(repr, row)) or '(none)'}.",
            expected=f"{TITLE} or {ITEM}, {RATING} and perhaps {TIMESTAMP}.",
            fix="correct the history.",
        )
    if ITEM in row:
        item: Any = known_item(model, row[ITEM])
        if item is None:
            raise DataError(
                f"The model has no item {row[ITEM]!r}.", expected="an item_id of the data set.",
                fix="look the title up.",
            )  # fmt: skip
    else:
        item = model.titles.item(str(row[TITLE]))
    return item, _rating(model, row.get(RATING)), _time(row.get(TIMESTAMP))


def _rating(model: ServedModel, given: Any) -> float:
    scale = model.scale
    if scale.is_implicit and given is None:
        return scale.rating_max
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not scale.rating_min <= float(given) <= scale.rating_max:
        raise DataError(
            f"The rating is {given!r}.",
            expected=f"a number from {scale.rating_min:g} to {scale.rating_max:g}.",
            fix="rate on the scale of the data.",
        )
    return float(given)


def _time(given: Any) -> int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool)
                         and abs(given) < 2**53):  # fmt: skip
        return given
    raise DataError(f"The timestamp is {given!r}.", expected="whole seconds since 1970.")


def known_item(model: ServedModel, given: Any) -> Any:
    """The id, in the model's type, of an item that it has; None for no such item."""
    return _among(model.known_items, model.items.schema[ITEM], given)


def known_user(model: ServedModel, given: Any) -> Any:
    """The id, in the model's type, of a user whom training placed; None for no such user."""
    return _among(model.known_users, model.users.schema[USER], given)


def _among(known: frozenset[Any], dtype: pl.DataType, given: Any) -> Any:
    found = given
    if isinstance(given, bool | float | list | dict):
        return None
    if dtype == pl.String:
        found = str(given)
    elif isinstance(given, str):
        found = int(given) if _WHOLE.fullmatch(given) else None
    return found if found in known else None


def item_of(model: ServedModel, named: str) -> Any:
    """The item with this id, or else with this title.

    Raises:
        DataError: neither, or several titles fit.
    """
    found = known_item(model, named)
    return model.titles.item(named) if found is None else found
