"""Folded-in lists beside trained ones on held-out ratings."""

import polars as pl

from recsys_core.artifacts import open_artifact
from recsys_core.columns import METHOD_PER_USER, METRIC, USER, VALUE
from recsys_core.serving import visitors_of
from tasks.fold_in_check import fold_in_check
from tasks.runtime.references import HeldOutRef, MetricsRef, ServedModelRef
from tests.served_world import _built, _commit, model, world


def held_out(made, name: str, rows: pl.DataFrame) -> HeldOutRef:
    with made.store.writer("test_split", name) as out:
        out.table("test", rows, {})
        return _commit(out).as_type(HeldOutRef)


def test_both_ways_are_measured_on_the_same_users():
    made, uri = world()
    served = model()
    known = served.histories.select("user_id", "item_id")
    every = served.user_ids[:20].to_frame().join(served.items.select("item_id"), how="cross")
    unseen = every.join(known, on=["user_id", "item_id"], how="anti").with_columns(
        pl.lit(10.0, pl.Float32).alias("rating"), pl.lit(None, pl.Int64).alias("timestamp")
    )
    test = held_out(made, "some", unseen.gather_every(3))
    ref = open_artifact(uri).as_type(ServedModelRef)
    given = {"served": ref, "bootstrap": 50, "seed": 0}
    place = made.store.writer("fold_in_check", "a"), MetricsRef
    found = _built(fold_in_check, place, held_out=test, **given)
    facts, table = found.manifest.facts, found.table("per_user")
    assert facts["folded_in_users"] == 20
    ndcg = table.filter(pl.col(METRIC) == "ndcg")
    assert ndcg.height == 40
    means = [ndcg[VALUE][:20].mean(), ndcg[VALUE][20:].mean()]
    assert [facts["ndcg_trained"], facts["ndcg_folded_in"]] == [round(one, 4) for one in means]
    assert ndcg[USER].n_unique() == 20
    assert set(table.columns) < set(METHOD_PER_USER)
    again = visitors_of(served, served.user_ids).as_newcomers()
    assert set(again.status) == {"folded in"}


def test_without_likes_there_is_nothing_to_measure():
    made, uri = world()
    ref = open_artifact(uri).as_type(ServedModelRef)
    none = held_out(made, "none", model().histories.clear())
    place = made.store.writer("fold_in_check", "b"), MetricsRef
    found = _built(fold_in_check, place, held_out=none, served=ref, bootstrap=5, seed=0)
    assert found.manifest.facts["folded_in_users"] == 0
