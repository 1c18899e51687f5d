import csv
import logging

import numpy as np
import polars as pl
import pytest
from numpy import log2

from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    ITEM,
    METHOD,
    METRIC,
    METRICS,
    PROTOCOL,
    RANK,
    RATING,
    SCORE,
    USER,
    USERS,
    VALUE,
    K,
    check,
)
from recsys_core.errors import DataError
from recsys_core.evaluation.metrics import HIT_RATE, MAP, MRR, NDCG, PRECISION, RECALL
from recsys_core.evaluation.protocols import evaluate, judge, protocol_label
from recsys_core.evaluation.rankings import ranked_by_score
from tests.headline import headline


def interactions(rows):
    return pl.DataFrame(
        rows, schema={USER: pl.Int64, ITEM: pl.Int64, RATING: pl.Float32}, orient="row"
    )


def ranking(lists):
    rows = [(u, i, r + 1) for u, items in lists.items() for r, i in enumerate(items)]
    return pl.DataFrame(rows, schema={USER: pl.Int64, ITEM: pl.Int64, RANK: pl.Int64}, orient="row")


TRAIN = interactions([(1, 10, 5), (1, 11, 1), (2, 10, 4), (3, 12, 3), (4, 13, 4)])
# User 1: two relevant; user 2: rated, none relevant; user 3: one relevant; user 5: not in training.
TEST = interactions([
    (1, 20, 5), (1, 21, 4), (1, 22, 2), (2, 20, 1), (3, 21, 5), (5, 23, 4),
])  # fmt: skip
LISTS = ranking({1: [22, 30, 20], 2: [20, 21, 22], 3: [20, 22, 23], 4: [20, 21, 22]})
# Item 30 has no interactions.
SETTINGS = {"method": "m", "cutoffs": (3,), "like_from": 4.0}


def values(protocol, **more):
    table = evaluate(LISTS, TRAIN, TEST, protocol=protocol, bootstrap=0, **(SETTINGS | more))
    return {row[METRIC]: (row[VALUE], row[USERS]) for row in table.iter_rows(named=True)}


def test_known_and_new_users_are_measured_apart():
    # User 5 came after training; without a list every metric is 0.
    assert values("full", history="new")["recall"] == (0.0, 1)
    assert values("full", history="warm")["recall"] == (1 / 2 * (1 / 2 + 0 / 1), 2)
    assert protocol_label("full", history="new") == "full/new"


def test_what_lists_leave_out_need_not_be_what_was_learned_from():
    seen = interactions([(1, 22, 5)])
    first = {name: values("full", masked=part) for name, part in (("some", seen), ("all", TEST))}
    # With 22 left out, 20 moves from place 3 to 2: one hit of three places either way.
    assert first["some"]["mrr"][0] == pytest.approx(1 / 3 * (1 / 2))
    assert values("full")["mrr"][0] == pytest.approx(1 / 3 * (1 / 3))
    assert first["all"]["recall"][0] == 0.0


def test_with_the_catalogue_at_hand_lists_of_new_items_are_no_error():
    new = ranking({1: [40], 2: [41]})
    items = pl.Series(ITEM, [10, 11, 12, 13, 20, 21, 22, 23, 30, 40, 41])
    table = evaluate(new, TRAIN, TEST, protocol="full", items=items, bootstrap=0, **SETTINGS)
    assert table.filter(pl.col(METRIC) == "recall")[VALUE][0] == 0.0
    with pytest.raises(DataError, match="None of the 2 items"):
        evaluate(new, TRAIN, TEST, protocol="full", bootstrap=0, **SETTINGS)


def test_full_averages_precision_over_all_and_the_rest_over_users_with_something_relevant():
    measured = values("full")
    # Users 1, 3 and 5 have a relevant item; user 5 has no list; user 4 is not in test.
    assert measured["precision"] == (pytest.approx(1 / 4 * (1 / 3 + 0 + 0 + 0)), 4)
    assert measured["recall"] == (pytest.approx(1 / 3 * (1 / 2 + 0 + 0)), 3)
    ndcg = (1 / log2(4)) / (1 / log2(2) + 1 / log2(3))
    assert measured["ndcg"] == (pytest.approx(1 / 3 * (ndcg + 0 + 0)), 3)
    assert measured["map"] == (pytest.approx(1 / 3 * (1 / 2 * (1 / 3))), 3)
    assert measured["mrr"] == (pytest.approx(1 / 3 * (1 / 3)), 3)
    assert measured["hit_rate"] == (pytest.approx(1 / 3), 3)


def test_condensed_has_another_population_for_each_metric():
    measured = values("condensed")
    # Kept: user 1 [22, 20], user 2 [20], user 3 nothing, user 5 nothing.
    assert measured["precision"] == (pytest.approx(1 / 2 * (1 / 2 + 0 / 1)), 2)
    assert measured["recall"] == (pytest.approx(1 / 3 * (1 / 2 + 0 + 0)), 3)
    ndcg = (1 / log2(3)) / (1 / log2(2) + 1 / log2(3))
    assert measured["ndcg"] == (pytest.approx(1 / 2 * (ndcg + 0)), 2)
    assert measured["map"] == (pytest.approx(1 / 1 * (1 / 2 * (1 / 2))), 1)
    assert measured["mrr"] == (pytest.approx(1 / 2 * (1 / 2 + 0)), 2)
    assert measured["hit_rate"] == (pytest.approx(1 / 3), 3)


def test_only_cold_users_are_left_by_the_filter():
    # User 1 has two training interactions, 2 and 3 have one, 5 has none.
    assert values("full", max_train_interactions=1)["precision"][1] == 3
    assert values("full", max_train_interactions=0)["precision"][1] == 1
    assert protocol_label("condensed", 9) == "condensed/cold<10"
    assert protocol_label("full") == "full"


def test_no_user_left_gives_null_not_an_error():
    train = pl.concat([TRAIN, interactions([(5, 10, 3)])])
    table = evaluate(LISTS, train, TEST, protocol="full", max_train_interactions=0, **SETTINGS)
    assert table[VALUE].null_count() == table[CI_LOW].null_count() == table.height
    assert (table[USERS] == 0).all()


def test_items_seen_in_training_are_taken_out_under_full_and_counted(caplog):
    lists = ranking({1: [10, 11, 20], 2: [21], 3: [21]})
    with caplog.at_level(logging.WARNING):
        judged = judge(lists, TRAIN, TEST, protocol="full", **(SETTINGS | {"cutoffs": (1,)}))
    assert judged.notes["seen_items_removed"] == 2
    assert "seen_items_removed=2" in caplog.text
    assert judged.per_user("precision", 1).tolist() == [1.0, 0.0, 1.0, 0.0]


def test_notes_count_what_is_odd_but_usable():
    notes = judge(LISTS, TRAIN, TEST, protocol="full", **SETTINGS).notes
    assert notes == {
        "test_users_without_list": 1, "items_without_interactions": 1, "seen_items_removed": 0,
    }  # fmt: skip


def test_the_table_keeps_its_schema_and_the_interval_holds_the_mean():
    table = evaluate(LISTS, TRAIN, TEST, protocol="full", **SETTINGS)
    check(table, METRICS, table="metrics")
    assert table.columns == list(METRICS)
    assert (table[CI_LOW] <= table[VALUE]).all()
    assert (table[VALUE] <= table[CI_HIGH]).all()


def test_the_order_of_rows_does_not_matter():
    usual = evaluate(LISTS, TRAIN, TEST, protocol="condensed", **SETTINGS)
    mixed = evaluate(
        LISTS.sample(fraction=1, shuffle=True, seed=1), TRAIN.reverse(), TEST.reverse(),
        protocol="condensed", **SETTINGS,
    )  # fmt: skip
    assert usual.equals(mixed)


def test_string_ids_give_the_same_numbers():
    def named(frame):
        return frame.with_columns(pl.format("id-{}", pl.col(c)).alias(c) for c in (USER, ITEM))

    plain = evaluate(LISTS, TRAIN, TEST, protocol="full", bootstrap=0, **SETTINGS)
    strings = evaluate(
        named(LISTS), named(TRAIN), named(TEST), protocol="full", bootstrap=0, **SETTINGS
    )
    assert plain.equals(strings)


def test_a_threshold_without_an_exact_float32_is_met_by_its_own_rating():
    test = interactions([(1, 20, 3.6)])
    measured = evaluate(
        ranking({1: [20]}), TRAIN, test, method="m", protocol="full", cutoffs=(1,), like_from=3.6
    )
    by_name = dict(measured.select(METRIC, VALUE).iter_rows())
    assert {by_name[name] for name in (NDCG, PRECISION, RECALL, MAP, MRR, HIT_RATE)} == {1.0}


def test_narrow_integers_are_accepted():
    narrow = LISTS.cast({USER: pl.Int32, ITEM: pl.UInt16, RANK: pl.UInt8})
    plain = evaluate(LISTS, TRAIN, TEST, protocol="full", **SETTINGS)
    assert evaluate(narrow, TRAIN, TEST, protocol="full", **SETTINGS).equals(plain)


def with_item(item, user=1):
    return pl.concat([LISTS, pl.DataFrame({USER: [user], ITEM: [item], RANK: [4]})])


BAD = {
    "no rank": (LISTS.drop(RANK), "'rank' is missing"),
    "rank of text": (LISTS.cast({RANK: pl.String}), "'rank' has type String"),
    "null item": (LISTS.with_columns(pl.lit(None, pl.Int64).alias(ITEM)), "empty values in"),
    "string users": (LISTS.cast({USER: pl.String}), "user_id has type String, but Int64"),
    "string items": (LISTS.cast({ITEM: pl.String}), "item_id has type String, but Int64"),
    "an item twice": (with_item(22), "repeat an item of the same user's list .user 1, item 22"),
    "from zero": (LISTS.with_columns(pl.col(RANK) - 1), "do not start at 1 .user 1: .0, 1, 2."),
    "gaps": (LISTS.with_columns(pl.col(RANK) * 2 - 1), "ranks of 4 lists have gaps"),
    "equal ranks": (LISTS.with_columns(pl.lit(1).alias(RANK)), "repeat or do not"),
    "unknown user": (ranking({1: [20], 99: [20]}), "values of user_id are not in the data .99"),
    "only foreign items": (ranking({1: [77, 78]}), "None of the 2 items"),
    "no test user": (ranking({4: [20]}), "none of the 4 test users has a list"),
    "no rows": (LISTS.clear(), "none of the 4 test users has a list"),
}


@pytest.mark.parametrize(("lists", "message"), BAD.values(), ids=BAD)
def test_a_bad_ranking_gets_a_clear_error(lists, message):
    with pytest.raises(DataError, match=message):
        evaluate(lists, TRAIN, TEST, protocol="full", **SETTINGS)


def test_an_item_outside_the_catalogue_is_an_error_where_the_catalogue_is_given():
    catalogue = pl.Series(ITEM, [10, 11, 12, 13, 20, 21, 22, 23])
    with pytest.raises(DataError, match=r"1 values of item_id are not in the data \(30\)"):
        evaluate(LISTS, TRAIN, TEST, protocol="full", items=catalogue, **SETTINGS)


def test_scores_become_ranks_with_ties_by_item():
    lists = pl.DataFrame({USER: [2, 1, 1, 1], ITEM: [5, 7, 6, 8], SCORE: [0.1, 2.0, 2.0, 3.0]})
    ranked = ranked_by_score(lists)
    assert ranked.select(USER, ITEM, RANK).rows() == [(1, 8, 1), (1, 6, 2), (1, 7, 3), (2, 5, 1)]


@pytest.mark.parametrize("scores", [[1.0, None], [1.0, float("nan")], ["1", "2"]])
def test_scores_that_do_not_order_are_refused(scores):
    with pytest.raises(DataError, match="score"):
        ranked_by_score(pl.DataFrame({USER: [1, 1], ITEM: [1, 2], SCORE: scores}))


def test_headline_has_a_row_per_method_the_best_first():
    better = ranking({1: [20, 21], 3: [21]})
    tables = [
        evaluate(lists, TRAIN, TEST, **(SETTINGS | {"method": name}), protocol="full")
        for name, lists in (("worse", LISTS), ("better", better))
    ]
    table = headline(pl.concat(tables), protocol="full", k=3)
    assert table[METHOD].to_list() == ["better", "worse"]
    assert headline(pl.concat(tables), protocol="full", k=7).is_empty()
    assert set(pl.concat(tables)[PROTOCOL]) == {"full"}


def official_fold_1(shared_data):
    table = pl.read_parquet(shared_data / "ml-100k" / "interactions.parquet")
    return table[20_000:], table[:20_000]


PAPER = ("als", "gat", "integrated_text", "unified_structure", "relevancy_score")


@pytest.mark.data
@pytest.mark.parametrize("method", PAPER)
def test_the_papers_table_1_is_reproduced(shared_data, method):
    train, test = official_fold_1(shared_data)
    lists = pl.read_parquet(shared_data / "paper" / "recommendations" / f"{method}.parquet")
    with (shared_data / "paper" / "table1.csv").open() as file:
        published = {row["method"]: row for row in csv.DictReader(file)}[method]
    measured = evaluate(
        lists, train, test, method=method, protocol="condensed", cutoffs=(10,), like_from=4.0,
        max_train_interactions=9, bootstrap=0,
    )  # fmt: skip
    values = dict(measured.select(METRIC, VALUE).iter_rows())
    for metric in ("precision", "recall", "ndcg", "map"):
        assert values[metric] == pytest.approx(float(published[metric]), abs=0.002), metric
    assert measured.filter(pl.col(METRIC) == "recall")[USERS].item() == 6


@pytest.mark.data
def test_the_papers_headline_list_reaches_the_checked_numbers(shared_data):
    train, test = official_fold_1(shared_data)
    lists = pl.read_parquet(shared_data / "paper" / "recommendations" / "unified_structure.parquet")
    measured = evaluate(
        lists, train, test, method="paper", protocol="full", cutoffs=(1, 10), like_from=4.0
    )
    table = headline(measured, protocol="full", k=10)
    np.testing.assert_allclose(
        table.select("ndcg", "precision", "recall").row(0), [0.4244, 0.3588, 0.2173], atol=5e-5
    )
    assert set(measured[K]) == {1, 10}
