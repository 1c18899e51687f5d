from pathlib import Path

import polars as pl
import pytest

from recsys_core.columns import (
    DISLIKES,
    EVIDENCE_HASH,
    GENRES,
    ITEM,
    MODEL,
    OVERVIEW,
    STATUS,
    TITLE,
    TURNS,
    USER,
    USER_PROFILES,
    YEAR,
    check,
)  # fmt: skip
from recsys_core.errors import DataError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.profiles.config import UserProfileConfig
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.items import profile_items
from recsys_core.profiles.schema import Profile
from recsys_core.profiles.users import profile_users
from tests.recsys_core.profiles.profiles_world import CATALOGUE, Recorder, ratings, run

ITEM_TABLE = run(profile_items(CATALOGUE, RulesProvider()))
USERS = pl.Series([4, 2, 1, 3])
TRAIN = ratings(
    [(1, 1, 5.0, 9), (1, 2, 5.0, 8), (1, 3, 1.0, 7), (1, 5, 3.0, 6), (2, 3, 2.0, 1), (3, 5, 3.0, 1)]
)


def evidence_of(train: pl.DataFrame, size: int = 1) -> pl.DataFrame:
    return select_history(train, RatingScale(), UserProfileConfig(batch_size=size))


def profiles(train: pl.DataFrame = TRAIN, provider: object = None, **rest: object) -> pl.DataFrame:
    provider = provider or RulesProvider()
    return run(profile_users(USERS, evidence_of(train), CATALOGUE, ITEM_TABLE, provider, **rest))


def test_every_user_gets_a_row_and_a_status() -> None:
    table = check(profiles(), USER_PROFILES, table="user_profiles")
    assert table.select(USER, STATUS, TURNS).rows() == [
        (1, "ok", 3), (2, "no_likes", 1), (3, "no_evidence", 0), (4, "no_evidence", 0),
    ]  # fmt: skip
    assert "crime" in table[OVERVIEW][0]
    assert "Romance" in table[DISLIKES][1]
    assert set(table[MODEL]) == {"rules"}


def test_turns_follow_one_another_with_the_profile_so_far() -> None:
    provider = Recorder()
    table = profiles(provider=provider)
    turns = [r.variables for r in provider.requests if r.subject == "user:1"]
    assert turns[0].previous is None
    assert all(turn.previous is not None for turn in turns[1:])
    shown = [[item.title for item in (*turn.liked, *turn.disliked)] for turn in turns]
    assert shown == [["Heat"], ["Love Letters"], ["Seven"]]
    assert turns[0].liked[0].genres == ("Crime", "Thriller")
    assert "Heist" in turns[0].liked[0].tags
    assert table[MODEL][0] == "recorder"


def test_ids_without_a_title_say_nothing_of_a_taste() -> None:
    known = pl.col(ITEM) == 1
    catalogue = CATALOGUE.with_columns(
        pl.when(known).then(TITLE).otherwise(pl.col(ITEM).cast(pl.String)).alias(TITLE),
        pl.when(known).then(YEAR).alias(YEAR),
        pl.when(known).then(GENRES).otherwise(pl.lit([], pl.List(pl.String))).alias(GENRES),
        pl.when(known).then(OVERVIEW).alias(OVERVIEW),
    )
    provider = Recorder()
    of_items = run(profile_items(catalogue, RulesProvider()))
    table = run(profile_users(USERS, evidence_of(TRAIN), catalogue, of_items, provider))
    shown = [[one.title for one in request.variables.liked] for request in provider.requests]
    assert shown == [["Heat"]]
    assert table.select(USER, STATUS, TURNS).rows() == [
        (1, "ok", 1), (2, "no_evidence", 0), (3, "no_evidence", 0), (4, "no_evidence", 0),
    ]  # fmt: skip


def test_only_training_items_are_ever_shown() -> None:
    provider = Recorder()
    profiles(provider=provider)
    asked = " ".join(request.variables.model_dump_json() for request in provider.requests)
    assert "Held Out" not in asked
    assert "Space Race" not in asked  # rated 3: neither liked nor disliked


def test_the_worst_status_counts() -> None:
    provider = Recorder(statuses=["ok", "failed", "repaired"])
    table = run(profile_users(pl.Series([1]), evidence_of(TRAIN), CATALOGUE, ITEM_TABLE, provider))
    assert table[STATUS].to_list() == ["failed"]


def test_published_profiles_are_not_asked_for() -> None:
    provider = Recorder()
    table = profiles(provider=provider, ready_made={1: Profile(overview="o", description="d")})
    assert {request.subject for request in provider.requests} == {"user:2"}
    assert table.select(OVERVIEW, STATUS, TURNS).row(0) == ("o", "published", 0)


def test_the_hash_covers_evidence_and_shown_content_only() -> None:
    before = profiles()
    longer = pl.concat([TRAIN, ratings([(3, 1, 5.0, 3)])])
    assert changed(before, profiles(longer)) == [3]
    later = TRAIN.with_columns(pl.col("timestamp") + 5)
    assert changed(before, profiles(later)) == []

    def with_items(items: pl.DataFrame) -> pl.DataFrame:
        return run(profile_users(USERS, evidence_of(TRAIN), items, ITEM_TABLE, RulesProvider()))

    renamed = pl.when(pl.col(ITEM) == 2).then(pl.lit("Se7en")).otherwise(pl.col(TITLE))
    assert changed(before, with_items(CATALOGUE.with_columns(renamed.alias(TITLE)))) == [1]
    unseen = pl.when(pl.col(ITEM) == 6).then(2010).otherwise(pl.col(YEAR)).cast(pl.Int32)
    assert changed(before, with_items(CATALOGUE.with_columns(unseen.alias(YEAR)))) == []


def changed(before: pl.DataFrame, after: pl.DataFrame) -> list[int]:
    return before.filter(before[EVIDENCE_HASH] != after[EVIDENCE_HASH])[USER].to_list()


def test_evidence_without_a_profile_is_an_error() -> None:
    lost = ITEM_TABLE.filter(pl.col(ITEM) != 1)
    with pytest.raises(DataError, match=r"1 items of the evidence .* such as \[1\]"):
        run(profile_users(USERS, evidence_of(TRAIN), CATALOGUE, lost, RulesProvider()))


@pytest.mark.data
def test_movielens_is_profiled_without_a_glimpse_of_the_test_split(shared_data: Path) -> None:
    items = pl.read_parquet(shared_data / "ml-100k" / "items.parquet")
    interactions = pl.read_parquet(shared_data / "ml-100k" / "interactions.parquet")
    train = interactions[20_000:]
    item_table = run(profile_items(items, RulesProvider()))
    evidence = select_history(train, RatingScale(), UserProfileConfig())
    assert evidence.join(train, on=[USER, ITEM], how="anti").is_empty()
    users = interactions[USER].unique()
    table = run(profile_users(users, evidence, items, item_table, RulesProvider()))
    assert table.height == 943
    assert table[TURNS].max() == 4
    for text in (*item_table["markdown"], *table["markdown"]):
        Profile.from_markdown(text)
