"""Measures that take ratings away: exact by hand, and they tell our reasons from others."""

import numpy as np
import polars as pl
import pytest

from recsys_core import columns as c
from recsys_core.explanations.attribution.attribute import KnownUsers
from recsys_core.explanations.evaluation.fidelity import (
    CITES_STRONGEST,
    COMPREHENSIVENESS,
    DELETION,
    DROP_PERCENTILE,
    FIDELITY_METRICS,
    INSERTION,
    NEG_P,
    NEGATIVE_CAUSES,
    PLACES_KEPT_UP,
    PLACES_LOST,
    PLACES_LOST_BEST,
    POS_P,
    SUFFICIENCY,
    CitedTitles,
    fidelity_of_user,
    fidelity_table,
    measure_fidelity,
)
from recsys_core.graph.inference.counterfactual import Counterfactuals, UserHistory
from recsys_core.graph.inference.fold_in import FittedModel
from tests.graph_world import CONFIGS, DATA, N_ITEMS, N_USERS, planted, run, texts
from tests.recsys_core.explanations.explanation_trials import auc

NOBODY_HIDDEN = np.zeros(N_ITEMS, np.bool_)


@pytest.fixture(scope="module")
def world() -> tuple[Counterfactuals, KnownUsers]:
    graph, valid, _ = planted()
    users, items = texts()
    trained = run(CONFIGS["best"].model_copy(update={"recipe": "dense"}))
    graph = graph.with_edges(graph.edges.joined(valid))
    fitted = FittedModel(
        graph=graph, weights=trained.weights, user_text=users, item_text=items,
        config=trained.config, data=DATA, served=trained.served,
    )  # fmt: skip
    known = KnownUsers(
        ids=graph.user_ids, shown=graph.edges, profiles=users, attributes=graph.user_attributes
    )
    return Counterfactuals.of(fitted), known


def history_of(world: tuple[Counterfactuals, KnownUsers], user: int) -> UserHistory:
    model, known = world
    wanted = np.array([user])
    return next(iter(model.users(known.shown, known.profiles, known.attributes, wanted)))


def measured(history: UserHistory, item: int, *cited: int) -> dict[str, float]:
    reason = CitedTitles(item=item, rank=1, cited=cited)
    return fidelity_of_user(history, [reason], NOBODY_HIDDEN, np.random.default_rng(0))[0]


def test_the_ranks_of_cited_titles_by_hand(world) -> None:
    history, item = history_of(world, 3), 7
    drops = history.drops(np.array([item]))[:, 0]
    liked = np.flatnonzero(history.liked)
    order = liked[np.argsort(-drops[liked])]
    best = measured(history, item, int(history.items[order[0]]))
    assert (best[CITES_STRONGEST], best[DROP_PERCENTILE]) == (1, 1)
    assert best[PLACES_LOST] == best[PLACES_LOST_BEST]
    worst = measured(history, item, int(history.items[order[-1]]))
    assert (worst[CITES_STRONGEST], worst[DROP_PERCENTILE]) == (0, 0)
    assert worst[NEGATIVE_CAUSES] == float(drops[order[-1]] < 0)
    both = measured(history, item, *(int(history.items[order[at]]) for at in (0, -1)))
    assert both[CITES_STRONGEST] == 1 / 2


def test_places_lost_are_those_of_the_whole_list(world) -> None:
    history, item = history_of(world, 3), 7
    cited = int(history.items[np.flatnonzero(history.liked)[0]])
    kept = np.stack([history.items >= 0, history.items != cited])
    before, after = ((one > one[item]).sum() for one in history.scores(kept))
    assert measured(history, item, cited)[PLACES_LOST] == after - before


def test_a_title_that_was_never_rated_is_no_cause(world) -> None:
    history = history_of(world, 3)
    stranger = next(n for n in range(N_ITEMS) if n not in history.items)
    assert np.isnan(measured(history, 7, stranger)[CITES_STRONGEST])


def test_comprehensiveness_and_sufficiency_by_hand(world) -> None:
    history, item = history_of(world, 5), 9
    drops = history.drops(np.array([item]))[:, 0]
    strongest = np.argsort(-drops, kind="stable")[:5]
    rest = np.ones(len(history), np.bool_)
    rest[strongest] = False
    whole, without, alone = history.scores(np.stack([rest | True, rest, ~rest]))
    found = measured(history, item)
    assert found[COMPREHENSIVENESS] == pytest.approx(
        (whole - without)[item] / whole.std(), abs=1e-4
    )
    assert found[SUFFICIENCY] == pytest.approx((whole - alone)[item] / whole.std(), abs=1e-4)


def listed(world, cite) -> pl.DataFrame:
    """Each user's first four recommendations with what `cite` (history, items -> rows) cites."""
    _, known = world
    rows = []
    for user in range(N_USERS - 2):
        history = history_of(world, user)
        if not history.liked.any():
            continue
        scores = history.scores(history.whole)[0]
        scores[history.items] = -np.inf
        items = np.argsort(-scores)[:4]
        for rank, (item, row) in enumerate(zip(items, cite(history, items), strict=True), 1):
            rows.append((known.ids[user], int(item), rank, [int(history.items[row])]))
    schema = {c.USER: pl.String, c.ITEM: pl.Int64, c.RANK: pl.Int32,
              c.LIKED_EVIDENCE: pl.List(pl.Int64)}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def strongest(history: UserHistory, items: np.ndarray) -> list[int]:
    liked = np.flatnonzero(history.liked)
    return [int(liked[one]) for one in history.drops(items)[liked].argmax(0)]


def shuffled(history: UserHistory, items: np.ndarray) -> list[int]:
    liked = np.flatnonzero(history.liked)
    return np.random.default_rng(len(history)).choice(liked, len(items)).tolist()


def resembling(history: UserHistory, items: np.ndarray) -> list[int]:
    """Reasons of the old kind: the liked title whose text is nearest."""
    vectors = history.source.fitted.item_text
    liked = np.flatnonzero(history.liked)
    return [int(liked[(vectors[history.items[liked]] @ vectors[one]).argmax()]) for one in items]


def rows_of(world, cite) -> pl.DataFrame:
    model, known = world
    return measure_fidelity(
        model, known, listed(world, cite), users=100, barred=np.array([], np.int64),
        seen=known.shown, seed=0,
    )  # fmt: skip


def test_the_measure_tells_causes_from_resemblance_and_from_chance(world) -> None:
    ours = rows_of(world, strongest)
    assert ours[CITES_STRONGEST].mean() == 1
    assert ours[NEGATIVE_CAUSES].mean() < 0.05
    for other in (resembling, shuffled):
        theirs = rows_of(world, other)
        assert auc(ours[DROP_PERCENTILE].to_numpy(), theirs[DROP_PERCENTILE].to_numpy()) > 0.75
        assert ours[PLACES_LOST].mean() > theirs[PLACES_LOST].mean()


def test_the_curves_tell_the_attribution_from_its_reverse(world) -> None:
    history = history_of(world, 3)
    scores = history.scores(history.whole)[0]
    scores[history.items] = -np.inf
    item = int(scores.argmax())
    reason = CitedTitles(item=item, rank=1, cited=())
    drops = history.drops(np.array([item]))
    args = history, [reason], NOBODY_HIDDEN, np.random.default_rng(0)
    ours, reverse = fidelity_of_user(*args, drops)[0], fidelity_of_user(*args, -drops)[0]
    assert ours[DELETION] < reverse[DELETION]
    assert ours[INSERTION] > reverse[INSERTION]
    assert ours[POS_P] <= reverse[POS_P]
    assert ours[NEG_P] >= reverse[NEG_P]


def test_the_table_has_every_measure_with_intervals(world) -> None:
    rows = rows_of(world, strongest)
    found = fidelity_table(rows, method="rules", cutoffs=[2, 4], bootstrap=50, seed=0)
    c.check(found, c.METRICS, table="metrics")
    assert set(found[c.METRIC]) == set(FIDELITY_METRICS)
    kept_up = found.filter(pl.col(c.METRIC) == PLACES_KEPT_UP)
    assert kept_up[c.VALUE].to_list() == [1.0, 1.0], "the strongest are the best choice"
    assert kept_up[c.CI_LOW].null_count() == 0


def test_a_sample_of_users_is_drawn_by_the_seed(world) -> None:
    model, known = world
    lists = listed(world, strongest)
    drawn = [
        measure_fidelity(
            model, known, lists, users=5, barred=np.array([], np.int64), seen=known.shown, seed=seed
        )[c.USER].unique().sort().to_list()
        for seed in (0, 0, 1)
    ]  # fmt: skip
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 5


def test_nobody_has_measures_of_nobody(world) -> None:
    model, known = world
    lists = listed(world, strongest).clear()
    rows = measure_fidelity(
        model, known, lists, users=5, barred=np.array([], np.int64), seen=known.shown, seed=0
    )
    found = fidelity_table(rows, method="nobody", cutoffs=[1], bootstrap=50, seed=0)
    assert found[c.VALUE].null_count() == found.height == len(FIDELITY_METRICS)
