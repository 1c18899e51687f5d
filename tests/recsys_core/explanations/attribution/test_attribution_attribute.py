"""The table of causes: it adds up, its drops and places are those of fold-in, its people count."""

import numpy as np
import polars as pl
import pytest

from recsys_core import columns as c
from recsys_core.explanations.attribution.attribute import (
    ASKED,
    KnownUsers,
    attribute,
)
from recsys_core.explanations.attribution.co_likes import co_likes
from recsys_core.explanations.attribution.kinds import (
    LEARNED,
    LIKED,
    OTHERS,
    POPULARITY,
    RATINGS,
    STRONGEST,
)
from recsys_core.graph.inference.counterfactual import Counterfactuals
from recsys_core.graph.inference.fold_in import FittedModel
from recsys_core.graph.training.score_sum import histories_of, item_scores
from tests.graph_world import CONFIGS, DATA, N_ITEMS, N_USERS, edges_of, planted, run, texts

K = 6


@pytest.fixture(scope="module")
def world():
    graph, valid, _ = planted()
    users, items = texts()
    trained = run(CONFIGS["best"])
    graph = graph.with_edges(graph.edges.joined(valid))
    fitted = FittedModel(
        graph=graph, weights=trained.weights, user_text=users, item_text=items,
        config=trained.config, data=DATA, served=trained.served,
    )  # fmt: skip
    model, known = Counterfactuals.of(fitted), KnownUsers(
        ids=graph.user_ids, shown=graph.edges, profiles=users,
        attributes=graph.user_attributes, vectors=trained.user_vectors,
    )  # fmt: skip
    scores = served_scores(fitted)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :K]
    lists = pl.DataFrame(
        {
            c.USER: np.repeat(graph.user_ids.to_numpy(), K),
            c.ITEM: best.ravel(),
            c.RANK: np.tile(np.arange(1, K + 1), N_USERS),
        }
    )
    table = attribute(model, known, lists, barred=np.array([], np.int64))
    return fitted, scores, lists, c.check(table, c.ATTRIBUTIONS, table="attributions"), known


def served_scores(fitted: FittedModel) -> np.ndarray:
    """(n_users, n_items) as candidates are made, known items left out."""
    served, edges = fitted.served, fitted.graph.edges
    rated = histories_of(edges, (N_USERS, N_ITEMS), fitted.config.neutral_weight, DATA)
    maps = served.item_model
    scores = served.user_vectors @ served.item_vectors.T
    scores = scores + item_scores(maps, maps.rows(rated), False, np.arange(N_USERS))
    scores[edges.users, edges.items] = -np.inf
    return scores


def test_the_parts_of_an_item_with_few_causes_add_up_to_its_score(world):
    fitted, scores, _, table, _ = world
    sums = table.group_by(c.USER, c.ITEM).agg(pl.col(c.CONTRIBUTION).sum(), pl.len())
    histories = np.bincount(fitted.graph.edges.users, minlength=N_USERS)
    checked = 0
    for user, item, total, _ in sums.iter_rows():
        number = int(user[1:])
        if histories[number] <= STRONGEST:
            assert total == pytest.approx(scores[number, item], abs=1e-4)
            checked += 1
    assert checked > K


def test_causes_of_the_last_run_are_found_again_and_stay_what_they_were(world):
    fitted, _, lists, table, known = world
    last = table.with_columns(
        pl.when(pl.col(c.STRENGTH) == "main").then(pl.lit("strong"))
        .when(pl.col(c.STRENGTH) == "strong").then(pl.lit("main"))
        .otherwise(c.STRENGTH).alias(c.STRENGTH)
    )  # fmt: skip
    model, nobody = Counterfactuals.of(fitted), np.array([], np.int64)
    again = attribute(model, known, lists, barred=nobody, last=table, margin=10)
    assert again.equals(table)
    kept = attribute(model, known, lists, barred=nobody, last=last, margin=10)
    assert kept.drop(c.STRENGTH).equals(table.drop(c.STRENGTH))
    assert not kept.equals(table)
    assert attribute(model, known, lists, barred=nobody, last=last).equals(table)


def test_shares_are_parts_of_all_causes_and_signs_those_of_contributions(world):
    *_, table, _ = world
    assert table[c.SHARE].min() >= 0
    sums = table.group_by(c.USER, c.ITEM).agg(pl.col(c.SHARE).sum())[c.SHARE]
    assert sums.max() <= 1 + 1e-5
    assert (np.sign(table[c.CONTRIBUTION]) == table[c.SIGN]).all()


def test_places_are_those_of_the_lists(world):
    _, _, lists, table, _ = world
    places = table.select(c.USER, c.ITEM, c.PLACE).unique()
    both = lists.join(places, on=[c.USER, c.ITEM])
    assert both.height == lists.height
    assert (both[c.RANK] == both[c.PLACE]).all()


def test_the_strongest_liked_causes_say_where_the_item_would_stand(world):
    fitted, scores, _, table, known = world
    users = Counterfactuals.of(fitted).users(known.shown, known.profiles, known.attributes)
    histories = dict(zip(known.ids, users, strict=True))
    ratings = table.filter(pl.col(c.KIND) == LIKED).with_columns(
        pl.col(c.DROP).rank("ordinal", descending=True).over(c.USER, c.ITEM).alias("order")
    )
    asked = ratings.filter(pl.col("order") <= ASKED)
    assert asked[c.PLACE_WITHOUT].null_count() == 0
    for row in asked.sample(40, seed=0).iter_rows(named=True):
        history = histories[row[c.USER]]
        kept = np.stack([history.items >= 0, history.items != row[c.CAUSE]])
        whole, without = history.scores(kept)
        left = scores[int(row[c.USER][1:])] - (whole - without)
        assert row[c.PLACE_WITHOUT] == 1 + (left > left[row[c.ITEM]]).sum()
        assert row[c.DROP] == pytest.approx((whole - without)[row[c.ITEM]], abs=1e-4)


def test_kinds_are_known_and_only_ratings_have_a_cause(world):
    *_, table, _ = world
    assert set(table[c.KIND].unique()) <= {*RATINGS, *OTHERS}
    of_ratings = table[c.KIND].is_in(RATINGS)
    assert (table[c.CAUSE].is_not_null() == of_ratings).all()
    assert (table[c.DROP].is_not_null() == of_ratings).all()
    assert table.filter(of_ratings).group_by(c.USER, c.ITEM).len()["len"].max() <= STRONGEST


def test_the_people_are_counted(world):
    fitted, _, _, table, _ = world
    liked = fitted.graph.edges.liked(DATA)
    fans = {item: set(liked.users[liked.items == item].tolist()) for item in range(N_ITEMS)}
    rows = table.filter(pl.col(c.KIND) == LIKED)
    for cause, item, people, both in rows.select(
        c.CAUSE, c.ITEM, c.PEOPLE, c.PEOPLE_BOTH
    ).iter_rows():
        assert people == len(fans[cause])
        assert both == len(fans[cause] & fans[item])
    popular = table.filter(pl.col(c.KIND) == POPULARITY)
    assert popular.height
    for item, people in popular.select(c.ITEM, c.PEOPLE).iter_rows():
        assert people == len(fans[item])
    others = table.filter(~pl.col(c.KIND).is_in([LIKED, POPULARITY]))
    assert others[c.PEOPLE].null_count() == others.height


def test_a_folded_in_user_has_no_learned_part(world):
    fitted, *_, known = world
    new = KnownUsers(
        ids=pl.Series(c.USER, ["somebody new"]), shown=edges_of([0, 0], [1, 2], [5, 1], [1e7, 2e7]),
        profiles=known.profiles[:1], attributes=known.attributes[:1],
    )  # fmt: skip
    own = pl.DataFrame({c.USER: ["somebody new"] * 2, c.ITEM: [5, 9], c.RANK: [1, 2]})
    found = attribute(Counterfactuals.of(fitted), new, own, barred=np.array([0]))
    assert LEARNED not in found[c.KIND].to_list()
    assert found[c.USER].unique().to_list() == ["somebody new"]
    assert set(found[c.CAUSE].drop_nulls()) == {1, 2}


def test_a_user_without_ratings_has_causes_that_are_no_ratings(world):
    *_, table, _ = world
    nobody = table.filter(pl.col(c.USER) == f"u{N_USERS - 1}")
    assert nobody.height
    assert nobody[c.CAUSE].null_count() == nobody.height


def test_nobody_gets_an_empty_table(world):
    fitted, _, lists, _, known = world
    found = attribute(Counterfactuals.of(fitted), known, lists.clear(), barred=np.array([]))
    assert found.is_empty()
    c.check(found, c.ATTRIBUTIONS, table="attributions")


def test_a_person_who_liked_twice_counts_once():
    likes = edges_of([0, 0, 1, 1, 2], [0, 0, 0, 1, 1], 5)
    people, both = co_likes(likes, (3, 2), np.array([0, 1, 0]), np.array([1, 0, 0]))
    assert people.tolist() == [2, 2, 2]
    assert both.tolist() == [1, 1, 2]
