"""Items filled from TMDB: what is matched, what is kept, what is listed as unmatched."""

from typing import Any

import polars as pl
import pytest

from recsys_core.columns import (
    CAST,
    DIRECTORS,
    ITEM,
    ITEMS,
    KEYWORDS,
    OVERVIEW,
    REASON,
    TMDB_ID,
    UNMATCHED,
    check,
)  # fmt: skip
from recsys_core.datasets.config import TmdbConfig
from recsys_core.datasets.tmdb import client as client_module
from recsys_core.datasets.tmdb import enrich as enrich_module
from recsys_core.datasets.tmdb.enrich import enrich
from recsys_core.errors import DataError, SourceUnavailable
from tests.fake_tmdb import items, with_client


def enriched(frame: pl.DataFrame, config: TmdbConfig) -> tuple[pl.DataFrame, pl.DataFrame, Any]:
    (full, unmatched), client = with_client(config, lambda client: enrich(frame, client, config))
    check(full, ITEMS, table="items")
    check(unmatched, UNMATCHED, table="unmatched")
    return full, unmatched, client


def test_items_get_overview_keywords_cast_and_directors(tmdb_config) -> None:
    frame = items((7, "Toy Story", 1995, None), (3, "Heat", 1996, "My own words."))
    full, unmatched, _ = enriched(frame, tmdb_config)
    assert full[ITEM].to_list() == [7, 3]
    assert full[OVERVIEW].to_list() == ["What happens in Toy Story.", "My own words."]
    assert full[TMDB_ID].to_list() == [862, 949]
    assert full[KEYWORDS].to_list() == [["friendship", "k862"], ["friendship", "k949"]]
    assert full[CAST].to_list()[0] == [f"Actor {i} of 862" for i in range(5)]
    assert full[DIRECTORS].to_list() == [["Director of 862"], ["Director of 949"]]
    assert unmatched.is_empty()


@pytest.mark.parametrize(
    ("title", "year", "found"),
    [
        ("Seven (a.k.a. Se7en)", 1995, 807),
        ("Seven (Se7en)", 1995, 807),
        ("City of Lost Children, The", 1995, 902),
        ("La Cité des enfants perdus", 1995, 902),
        ("Tin Drum, The (Blechtrommel, Die)", 1979, 659),
        ("Heat (1986)", None, 950),
        ("Heat", 1987, 950),
        ("Heat", None, 949),
        ("Heat", 1990, None),
        ("Nothing of the Kind", 1995, None),
        ("Toy", 1995, None),
    ],
)
def test_search_by_title_and_year(tmdb_config, title, year, found) -> None:
    full, unmatched, _ = enriched(items((1, title, year, None)), tmdb_config)
    assert full[TMDB_ID].item() == found
    assert unmatched.height == (0 if found else 1)


def test_unmatched_titles_are_listed_and_go_through_as_they_are(tmdb_config) -> None:
    frame = items((1, "No Such", 1990, "Kept."), (2, "Heat", 1995, None), (3, "Nor", None, None))
    full, unmatched, _ = enriched(frame, tmdb_config)
    assert unmatched[ITEM].to_list() == [1, 3]
    assert unmatched[REASON].to_list() == [
        "no film of this title within a year of 1990", "no film of this title",
    ]  # fmt: skip
    assert full[OVERVIEW].to_list() == ["Kept.", "What happens in Heat.", None]
    assert full[CAST].to_list()[0] == full[KEYWORDS].to_list()[2] == []


@pytest.mark.parametrize(
    "ids",
    [
        pl.Series([862, 4, None]),
        pl.Series(["862", " 4 ", ""]),
        pl.Series([862.0, 4.0, float("nan")]),
    ],
)
def test_known_ids_skip_the_search(tmdb, tmdb_config, ids) -> None:
    frame = items((1, "x", 1, None), (2, "y", 2, None), (3, "Heat", 1995, None), tmdb_id=ids)
    full, unmatched, _ = enriched(frame, tmdb_config)
    assert full[TMDB_ID].to_list() == [862, 4, 949]
    assert unmatched[REASON].to_list() == ["TMDB has no film with id 4"]
    searched = {seen.query["query"] for seen in tmdb.seen if "query" in seen.query}
    assert searched == {"Heat"}


@pytest.mark.parametrize("ids", [["tt0114709"], [0], [-5], [1.5], [True]])
def test_wrong_ids_are_named(tmdb, tmdb_config, ids) -> None:
    with pytest.raises(DataError, match="tmdb_id"):
        enriched(items((1, "x", 1, None), tmdb_id=pl.Series(ids)), tmdb_config)
    assert tmdb.seen == []


def test_overwrite_takes_tmdbs_texts_but_never_deletes(tmdb_config) -> None:
    frame = items((1, "Heat", 1995, "Mine."), (2, "Bare", 1999, "Mine."), (3, "No", 1, "Mine."))
    full, _, _ = enriched(frame, tmdb_config.model_copy(update={"overwrite": True}))
    assert full[OVERVIEW].to_list() == ["What happens in Heat.", "Mine.", "Mine."]


def test_lists_that_are_there_stay(tmdb_config) -> None:
    mine = pl.Series([["mine"], [], None], dtype=pl.List(pl.String))
    rows = [(n, "Heat", 1995, None) for n in (1, 2, 3)]
    full, _, _ = enriched(items(*rows, keywords=mine), tmdb_config)
    assert full[KEYWORDS].to_list() == [["mine"], *[["friendship", "k949"]] * 2]
    full, _, _ = enriched(items(*rows, keywords=mine),
                          tmdb_config.model_copy(update={"overwrite": True}))  # fmt: skip
    assert full[KEYWORDS].to_list() == [["friendship", "k949"]] * 3


def test_a_column_of_another_type(tmdb, tmdb_config) -> None:
    frame = items((1, "Heat", 1995, None), cast=pl.Series(["Al Pacino, Robert De Niro"]))
    with pytest.raises(DataError, match="'cast' has type String"):
        enriched(frame, tmdb_config)
    full, _, _ = enriched(frame, tmdb_config.model_copy(update={"overwrite": True}))
    assert full[CAST].to_list() == [[f"Actor {n} of 949" for n in range(5)]]


def test_string_ids_further_columns_and_twice(tmdb_config) -> None:
    frame = items((1, "Heat", 1995, None)).with_columns(
        pl.col(ITEM).cast(pl.String), tagline=pl.lit("x")
    )
    once, _, _ = enriched(frame, tmdb_config)
    twice, _, client = enriched(once, tmdb_config)
    assert once.columns[: frame.width] == frame.columns
    assert twice.equals(once)
    assert client.requests == 0


def test_no_items(tmdb_config) -> None:
    full, unmatched, client = enriched(items(), tmdb_config)
    assert (full.height, unmatched.height, client.requests) == (0, 0, 0)


def test_an_outage_in_the_middle_loses_nothing(tmdb, tmdb_config, monkeypatch) -> None:
    frame = items(*((n, "x", 1, None) for n in range(30)), tmdb_id=pl.Series(range(100, 130)))
    monkeypatch.setattr(client_module, "MAX_ATTEMPTS", 2)
    monkeypatch.setattr(enrich_module, "MAX_IN_FLIGHT", 1)
    tmdb.faults = [None] * 10 + [503] * 2
    with pytest.raises(SourceUnavailable):
        enriched(frame, tmdb_config)
    _, unmatched, client = enriched(frame, tmdb_config)
    assert (client.cached, client.requests, unmatched.height) == (10, 20, 30)


def test_progress_is_told(tmdb_config) -> None:
    told: list[int] = []
    frame = items((1, "Heat", 1995, None), (2, "No", 1, None))
    with_client(tmdb_config, lambda client: enrich(frame, client, tmdb_config, on_done=told.append))
    assert told == [1, 2]
