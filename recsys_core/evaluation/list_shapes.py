"""Ranked lists in the shapes that recommenders write, as one row per user, item and rank.

Long tables with ranks or scores, a row per user with nested lists of items (and of scores) or of
objects, lists printed as text, and TREC run files (`user Q0 item rank score tag`).
"""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from recsys_core.columns import ITEM, RANK, SCORE, USER
from recsys_core.datasets.contract.casts import numeric_ids
from recsys_core.datasets.sources.aliases import INTERACTION_ALIASES, Aliases, resolved
from recsys_core.datasets.sources.tables import Table
from recsys_core.datasets.sources.text_forms import decoded
from recsys_core.errors import DataError
from recsys_core.evaluation.rankings import ranked_by_score

_ITEMS: Final = ("items", "itemids", "recommendations", "recommended", "recommendeditems", "topk",
                 "movies", "list", "predictions")  # fmt: skip
LIST_ALIASES: Final[Aliases] = {
    USER: (*INTERACTION_ALIASES[USER], "id", "qid", "query"),
    ITEM: (*INTERACTION_ALIASES[ITEM], *_ITEMS, "docid", "docno", "id"),
    RANK: ("position", "place", "ranking"),
    SCORE: ("scores", "prediction", "pred", "predictedrating", "relevance", "rating", "estimate",
            "predictedscore", "similarity", "weight"),
}  # fmt: skip
_TREC: Final = (USER, "q0", ITEM, RANK, SCORE, "run")


def read_lists(
    table: Table, columns: Mapping[str, str | Sequence[str]] | None = None
) -> pl.DataFrame:
    """The lists in a file: user, item and rank.

    Args:
        table: the file.
        columns: names of its columns, where they are not the usual ones.

    Raises:
        DataError: users, items or both ranks and scores are missing, or cannot be read.
    """
    frame = _trec(table)
    if frame is None:
        frame = table.read()
    names = resolved(frame.columns, LIST_ALIASES, columns or {})
    _check_names(frame.columns, names, table.place)
    frame = frame.select(pl.col(old).alias(new) for new, old in names.items())
    frame = _long(frame, table.place)
    return _ranked(frame.with_columns(_id(frame[USER]), _id(frame[ITEM])), table.place)


def like_ids_of(lists: pl.DataFrame, interactions: pl.DataFrame) -> pl.DataFrame:
    """The lists with ids written as the interactions have them, where that loses none of them.

    Integers become strings, and strings integers; what does not fit stays for the checks.
    """
    for name in (USER, ITEM):
        wanted = interactions.schema[name]
        if lists.schema[name] == wanted:
            continue
        cast = lists[name].cast(pl.String).cast(wanted, strict=False)
        if not cast.null_count():
            known = cast.unique().is_in(interactions[name].unique().implode())
            lists = lists.with_columns(cast) if known.any() else lists
    return lists


def _check_names(has: Sequence[str], names: Mapping[str, str], place: str) -> None:
    missing = {USER, ITEM} - set(names)
    if missing or not (has and names):
        raise DataError(
            f"{place} has the columns {', '.join(has) or '(none)'}.",
            expected=f"{USER}, {ITEM} and {RANK} (or {SCORE}).",
            fix="rename the columns.",
        )


def _long(frame: pl.DataFrame, place: str) -> pl.DataFrame:
    """One row per user and item; the place in a nested list is the rank."""
    items = _parsed(frame[ITEM])
    if not isinstance(items.dtype, pl.List | pl.Array):
        if not {RANK, SCORE} & set(frame.columns):
            raise DataError(
                f"{place} has the columns {', '.join(frame.columns)}.",
                expected=f"{USER}, {ITEM} and {RANK} (or {SCORE}).",
                fix="add ranks (1 is best) or scores, or one list of items per user, best first.",
            )
        return frame
    nested = [items]
    if SCORE in frame.columns and isinstance((scores := _parsed(frame[SCORE])).dtype, pl.List):
        nested.append(scores)
    rows = frame.select(USER).with_columns(nested)
    rows = rows.filter(pl.col(ITEM).list.len() > 0)
    places = pl.int_ranges(1, pl.col(ITEM).list.len() + 1).alias(RANK)
    try:
        rows = rows.with_columns(places).explode([RANK, *(one.name for one in nested)])
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{place}: lists of items and of scores differ in length.",
            expected="a score for every item.", fix="write the lists anew.",
        ) from error  # fmt: skip
    return _unnested(rows, place)


def _unnested(rows: pl.DataFrame, place: str) -> pl.DataFrame:
    """Objects as columns; their own rank or score wins over the place in the list."""
    inner = rows.schema[ITEM]
    if isinstance(inner, pl.List | pl.Array):  # pairs of item and score
        width = int(str(rows[ITEM].list.len().max() or 0))
        pair = [pl.col(ITEM).list.get(0)] + [pl.col(ITEM).list.get(1).alias(SCORE)] * (width > 1)
        return rows.with_columns(pair)
    if not isinstance(inner, pl.Struct):
        return rows
    fields = [field.name for field in inner.fields]
    names = resolved(fields, {ITEM: (*LIST_ALIASES[ITEM], "f0"), RANK: LIST_ALIASES[RANK],
                              SCORE: (*LIST_ALIASES[SCORE], "f1")}, {})  # fmt: skip
    if ITEM not in names:
        raise DataError(
            f"{place}: the objects of the lists have the fields {', '.join(fields)}.",
            expected=f"{ITEM} and, perhaps, {RANK} or {SCORE}.", fix="rename the fields.",
        )  # fmt: skip
    return rows.with_columns(
        pl.col(ITEM).struct.field(old).alias(new) for new, old in names.items()
    )


def _parsed(column: pl.Series) -> pl.Series:
    """Lists printed as text (`[1, 2]`, `1|2`, `['a', 'b']`) as lists; others as they are."""
    if column.dtype != pl.String:
        return column
    texts = column.drop_nulls().str.strip_chars()
    if texts.is_empty() or not (texts.str.starts_with("[") & texts.str.ends_with("]")).all():
        return column
    if column.name == SCORE:
        return column.str.strip_chars("[] ").str.split(",").list.eval(
            pl.element().str.strip_chars().cast(pl.Float64, strict=False))  # fmt: skip
    try:
        parsed = [None if text is None else json.loads(text) for text in column]
        return pl.Series(column.name, parsed)
    except (ValueError, TypeError, pl.exceptions.PolarsError):
        parts = column.str.strip_chars("[] ").str.split(",")
        return parts.list.eval(pl.element().str.strip_chars(" '\"\n"))


def _id(column: pl.Series) -> pl.Series:
    """Ids as integers or strings: whole floats and categories are such."""
    if column.dtype.is_float():
        whole = column.fill_nan(None).drop_nulls()
        return column.cast(pl.Int64) if (whole == whole.floor()).all() else column
    if column.dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    return numeric_ids(column)


def _ranked(frame: pl.DataFrame, place: str) -> pl.DataFrame:
    if RANK in frame.columns:
        ranks = frame[RANK].cast(pl.Float64, strict=False).fill_nan(None)
        whole = ranks.is_not_null() & (ranks == ranks.floor())
        if whole.fill_null(False).all():
            from_zero = int(ranks.min() == 0)
            numbered = (ranks.cast(pl.Int32) + from_zero).alias(RANK)
            return frame.with_columns(numbered).select(USER, ITEM, RANK)
        if SCORE not in frame.columns:
            raise DataError(
                f"{place}: column {RANK} holds values that are no whole numbers.",
                expected="the ranks 1, 2, 3, ... of each user, or a column score.",
                fix="number the items of each list from 1.",
            )
    scores = frame[SCORE].cast(pl.Float64, strict=False)
    # Recommenders mask what may not be listed with minus infinity.
    masked = (scores == float("-inf")).fill_null(False)
    frame = frame.with_columns(scores.alias(SCORE)).filter(~masked)
    return ranked_by_score(frame).select(USER, ITEM, RANK)


def _trec(table: Table) -> pl.DataFrame | None:
    """A TREC run file; None for another file."""
    name = table.parts[0]
    first = decoded(table.files.head(name)).split("\n", 1)[0].split()
    if len(first) != len(_TREC) or first[1].upper() != "Q0":
        return None
    lines = decoded(table.files.read(name)).splitlines()
    text = "\n".join("\t".join(line.split()) for line in lines if line.strip())
    return pl.read_csv(
        io.BytesIO(text.encode()), separator="\t", has_header=False, quote_char=None,
        schema={one: pl.Float64 if one in (RANK, SCORE) else pl.String for one in _TREC},
    ).drop("q0", "run")  # fmt: skip
