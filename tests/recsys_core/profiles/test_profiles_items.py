from datetime import date
from typing import Any

import polars as pl
import pytest

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
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.llm.request.json_schema import per_request_schema
from recsys_core.profiles.items import ItemProfiles, NumberedProfile, profile_items
from recsys_core.profiles.schema import Profile
from tests.recsys_core.profiles.profiles_world import CATALOGUE, Recorder, items, run


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
        cast=pl.lit(["A B", "C D"]), tmdb_id=pl.lit(7), available=pl.lit(True),
        director=pl.lit("Michael Mann"), budget=pl.lit(2.5), premiere=pl.lit(date(1995, 12, 15)),
    )  # fmt: skip
    provider = Recorder()
    table = run(profile_items(frame, provider))
    shown = provider.requests[0].variables
    assert shown.extra == {
        "budget": "2.5", "cast": "A B | C D", "director": "Michael Mann", "premiere": "1995-12-15",
    }  # fmt: skip
    assert (shown.labels, shown.prose) == (("cast",), ("director",))
    assert {"A B", "C D"} <= set(table["tags"][0])
    assert "Michael Mann" not in table["tags"][0]


def test_nobody_is_asked_what_an_id_is_about() -> None:
    frame = items([(7, "7", None, [], None), (8, "8", None, ["Drama"], None)])
    provider = Recorder()
    table = run(profile_items(frame, provider))
    assert [request.subject for request in provider.requests] == ["item:8"]
    assert table[STATUS].to_list() == ["no_evidence", "ok"]
    assert table[TURNS].to_list() == [0, 1]
    assert "7" not in table[MARKDOWN][0]
    assert "8" not in table[MARKDOWN][1], "a number is no title of a drama either"


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


# Several items per call


def several(provider: Recorder, per_call: int, **options: Any) -> pl.DataFrame:
    return run(profile_items(CATALOGUE, provider, per_call=per_call, **options))


@pytest.mark.parametrize("per_call", [2, 4, 5, 10])
def test_profiles_do_not_depend_on_how_many_a_call_writes(per_call: int) -> None:
    done: list[int] = []
    provider = Recorder()
    table = several(provider, per_call, on_item=done.append)
    alone = several(Recorder(), 1)
    assert table.equals(alone)
    assert len(provider.requests) == -(-CATALOGUE.height // per_call)
    assert sorted(done)[-1] == CATALOGUE.height
    assert provider.requests[0].parts == min(per_call, CATALOGUE.height)
    assert provider.requests[0].subject == f"items:{','.join(map(str, range(1, 7)[:per_call]))}"


def test_ready_made_profiles_leave_the_calls_and_a_bad_answer_marks_its_items() -> None:
    provider = Recorder(statuses=["failed"])
    ready = {2: Profile(overview="o", description="d")}
    table = several(provider, 2, ready_made=ready)
    assert [one.subject for one in provider.requests] == ["items:1,3", "items:4,5", "item:6"]
    assert table[STATUS].to_list() == ["failed", "published", "failed", "ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("given", "told"),
    [(["1"], r'missing: \["2"'), (["1", "2", "3"], r'not asked for: \["3"'),
     (["1", "2", "2"], r'named twice: \["2"'), (["1", "Heat"], r'missing: \["2"')],
)  # fmt: skip
def test_numbers_of_an_answer_are_those_of_the_request(given: list[str], told: str) -> None:
    provider = Recorder()
    several(provider, 2)
    request = provider.requests[0]
    profile = Profile(overview="o", description="d")
    answer = ItemProfiles(profiles=tuple(NumberedProfile(id=i, profile=profile) for i in given))
    with pytest.raises(ValueError, match=told):
        request.purpose.check(request.variables, answer)


def test_a_per_request_schema_asks_for_each_number_once() -> None:
    provider = Recorder()
    several(provider, 3)
    request = provider.requests[0]
    schema = per_request_schema(ItemProfiles, request.purpose.choices(request.variables))
    entries = schema["properties"]["profiles"]["prefixItems"]
    assert [one["properties"]["id"]["enum"] for one in entries] == [["1"], ["2"], ["3"]]
    assert {"overview", "tags"} <= set(entries[0]["properties"]["profile"]["properties"])
