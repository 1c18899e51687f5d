import polars as pl
import pytest
from profiles_world import CATALOGUE, Recorder, items, run

from recsys_core.columns import (
    EVIDENCE_HASH,
    ITEM,
    ITEM_PROFILES,
    MARKDOWN,
    MODEL,
    OVERVIEW,
    STATUS,
    TITLE,
    TURNS,
    check,
)  # fmt: skip
from recsys_core.errors import LLMRefused
from recsys_core.llm.rules import RulesProvider
from recsys_core.profiles.items import profile_items
from recsys_core.profiles.schema import Profile


def test_every_item_gets_a_row_sorted_by_id() -> None:
    table = run(profile_items(CATALOGUE.reverse(), RulesProvider()))
    check(table, ITEM_PROFILES, table="item_profiles")
    assert table[ITEM].to_list() == [1, 2, 3, 4, 5, 6]
    assert set(table[MODEL]) == {"rules"}
    assert set(table[STATUS]) == {"ok"}
    assert set(table[TURNS]) == {1}
    assert table[MARKDOWN][0].startswith("# Heat\n\n## Overview\nA retired detective")


def test_published_profiles_are_not_asked_for() -> None:
    provider = Recorder(statuses=["repaired"])
    ready = {2: Profile(overview="o", description="d")}
    table = run(profile_items(CATALOGUE, provider, ready))
    assert "item:2" not in {request.subject for request in provider.requests}
    assert len(provider.requests) == CATALOGUE.height - 1
    assert table.filter(pl.col(ITEM) == 2).select(OVERVIEW, MODEL, STATUS, TURNS).row(0) == (
        "o", "published", "published", 0,
    )  # fmt: skip
    assert table[STATUS].to_list().count("repaired") == 1


def test_the_hash_changes_with_this_item_only() -> None:
    before = run(profile_items(CATALOGUE, RulesProvider()))
    changed = CATALOGUE.with_columns(
        pl.when(pl.col(ITEM) == 3).then(pl.lit("New")).otherwise(pl.col(TITLE)).alias(TITLE)
    )
    after = run(profile_items(changed, RulesProvider()))
    differs = before[EVIDENCE_HASH] != after[EVIDENCE_HASH]
    assert before.filter(differs)[ITEM].to_list() == [3]


def test_further_text_columns_are_shown() -> None:
    frame = CATALOGUE.head(1).with_columns(
        director=pl.lit("Michael Mann"), cast=pl.lit(["A B", "C D"]), tmdb=pl.lit(7)
    )
    provider = Recorder()
    table = run(profile_items(frame, provider))
    shown = provider.requests[0].variables.extra
    assert shown == {"cast": "A B | C D", "director": "Michael Mann"}
    assert "Michael Mann" in table["tags"][0]


def test_string_ids_and_no_items() -> None:
    frame = items([("b", "B", None, None, None), ("a", "A", None, [], "")], id_type=pl.String)
    table = run(profile_items(frame, RulesProvider()))
    assert table[ITEM].to_list() == ["a", "b"]
    assert run(profile_items(frame.clear(), RulesProvider())).height == 0


def test_an_error_of_the_provider_comes_out_as_it_is() -> None:
    class Refusing(Recorder):
        async def ask(self, request):
            raise LLMRefused("no key")

    with pytest.raises(LLMRefused, match="no key"):
        run(profile_items(CATALOGUE, Refusing()))
