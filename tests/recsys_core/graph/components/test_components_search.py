"""The search as a whole, on users of four tastes."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from recsys_core.errors import DataError
from recsys_core.graph.components.effort import BUDGETS
from recsys_core.graph.components.histories import Histories
from recsys_core.graph.components.item_maps import Vectors
from recsys_core.graph.components.item_to_item.component_table import COMPONENTS
from recsys_core.graph.components.selection import search
from recsys_core.graph.components.selection.grid_search import choose_settings
from recsys_core.graph.components.selection.refit import refit_from
from recsys_core.graph.components.selection.search import search_components
from recsys_core.graph.components.settings import Ladder

USERS, ITEMS, TASTES = 80, 60, 4
TASTE_OF_ITEM = np.arange(ITEMS) % TASTES
FEATURES = np.eye(TASTES, dtype=np.float32)[TASTE_OF_ITEM]


def histories(seed: int = 0) -> tuple[Histories, Histories]:
    """Training and validation rows: users like their own taste and dislike the rest."""
    rng = np.random.default_rng(seed)
    taste = np.arange(USERS) % TASTES
    own = taste[:, None] == TASTE_OF_ITEM
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < np.where(own, 0.6, 0.1))
    ratings = np.where(own[users, items], rng.integers(3, 6, len(users)), 1).astype(np.float32)
    times = rng.random(len(users)) * 1e6
    whole = Histories(
        users=users, items=items, shape=(USERS, ITEMS), ratings=ratings, order=times, times=times,
        weights=np.where(ratings >= 4, 1, np.where(ratings > 2, 0.5, 0)).astype(np.float32),
        liked=ratings >= 4,
    )  # fmt: skip
    held = rng.random(len(users)) < 0.2
    return whole.where(~held), whole.where(held)


@pytest.fixture(scope="module")
def found():
    train, valid = histories()
    return search_components(train, valid, features=FEATURES, effort="quick")


def test_everything_that_the_data_allow_is_fitted(found) -> None:
    assert set(found.fitted) == set(COMPONENTS)
    assert found.skipped == {}
    assert json.loads(json.dumps(found.facts()))["validation_users"] > 0


def test_the_learned_sum_is_never_behind_a_component(found) -> None:
    learned = found.learn_weights()
    assert learned.ndcg >= max(learned.alone.values())
    assert learned.cut["ndcg"] == pytest.approx(learned.ndcg, abs=1e-3)  # the pool holds 50 of 60
    model = found.refit(found.data.histories, learned)
    assert found.ndcg(_Scorer(model)) == pytest.approx(learned.cut["ndcg"])


def test_a_user_without_a_history_is_shown_what_is_popular(found) -> None:
    train, _ = histories()
    model = found.refit(found.data.histories, found.learn_weights())
    nobody = train.where(np.zeros(len(train), np.bool_))
    items, _ = model.top_k(nobody, 5)
    ((name, entry),) = model.facts["users_without_history"].items()
    popular = COMPONENTS[name].fit(found.data, entry["settings"]).values
    assert (items == np.argsort(-popular, kind="stable")[:5]).all()


def test_users_without_a_history_choose_no_component_but_their_popularity() -> None:
    train, valid = histories()
    train = train.where(train.users >= 20)
    found = search_components(train, valid, effort="quick")
    assert found.newcomers is not None
    assert set(found.newcomers.users) <= set(range(20))
    assert not set(found.target.users) & set(range(20))
    model = found.refit(train, found.learn_weights())
    assert model.facts["users_without_history"].keys() <= {"popularity", "recent_popularity"}


class _Scorer:
    def __init__(self, model):
        self.model = model

    def scores(self, rows, users):
        return self.model.scores(rows, users)


def test_where_time_has_passed_few_users_do_not_vote_down_what_is_popular_lately(found) -> None:
    train, valid = histories()
    whole = train.joined(valid)
    past = whole.times < np.quantile(whole.times, 0.8)
    later = search_components(whole.where(past), whole.where(~past), effort="quick")
    assert later.later
    assert not found.later
    learned = later.learn_weights()
    scores = {
        name: part.scores(later.data.rows, np.arange(9)) for name, part in later.fitted.items()
    }
    spreads = {
        name: weight * scores[name].std(1).mean() for name, weight in learned.weights.items()
    }
    assert spreads["recent_popularity"] > 0.15 * sum(spreads.values())


def test_a_perfect_model_from_outside_takes_the_sum_and_noise_none(found) -> None:
    _, valid = histories()
    rng = np.random.default_rng(0)
    perfect = Vectors(users=valid.relevant().toarray(), items=np.eye(ITEMS, dtype=np.float32))
    noise = Vectors(
        users=rng.standard_normal((USERS, 3)).astype(np.float32),
        items=rng.standard_normal((ITEMS, 3)).astype(np.float32),
    )
    learned = found.learn_weights({"noise": noise, "perfect": perfect})
    assert learned.ndcg == pytest.approx(1.0)
    assert "perfect" in learned.weights
    assert "noise" not in learned.weights
    assert found.ndcg(perfect) == pytest.approx(1.0)


def test_a_refit_from_stored_facts_is_the_same_model(found) -> None:
    learned = found.learn_weights()
    train, valid = histories()
    both = train.joined(valid)
    model = found.refit(both, learned, features=FEATURES)
    again = refit_from(json.loads(json.dumps(model.facts)), both, features=FEATURES)
    users = np.arange(USERS)
    np.testing.assert_array_equal(model.scores(both, users), again.scores(both, users))


def test_what_the_data_lack_is_skipped_and_said() -> None:
    train, valid = (replace(part, ratings=None, order=None, times=None) for part in histories())
    found = search_components(train, valid, effort="quick", memory=1000)
    assert set(found.skipped) == {
        "transitions", "past_to_future", "recent_popularity", "deviation_ease",
        "local_ease_features", "feature_neighbours", "exact_ease",
    }  # fmt: skip
    assert "timestamps or positions" in found.skipped["transitions"]
    assert "memory" in found.skipped["exact_ease"]
    model = found.refit(train.joined(valid), found.learn_weights())
    assert all(wanted.decay == 1.0 for wanted in model.maps)


def test_beyond_the_budget_one_setting_of_each_cheap_component_is_fitted(monkeypatch) -> None:
    tiny = replace(BUDGETS["quick"], fitted=1)
    monkeypatch.setitem(search.BUDGETS, "quick", tiny)
    train, valid = histories()
    found = search_components(train, valid, features=FEATURES, effort="quick")
    costly = {name for name, component in COMPONENTS.items() if component.cost > 1}
    assert set(found.skipped) == costly
    assert all("effort's budget" in why for why in found.skipped.values())
    assert not [name for name, chosen in found.chosen.items() if len(chosen.tried) > 4]
    assert found.learn_weights().weights


def test_a_refit_on_rows_that_lack_what_was_chosen_is_refused() -> None:
    facts = {
        "effort": "quick", "seed": 0, "cut": {},
        "components": {"transitions": {"weight": 1.0, "settings": {}}},
    }  # fmt: skip
    train, _ = histories()
    with pytest.raises(DataError, match="transitions was chosen"):
        refit_from(facts, replace(train, order=None))


@pytest.mark.parametrize("broken", ["no likes", "no training likes", "one item"])
def test_where_nothing_can_be_chosen_the_first_model_from_outside_is_taken(broken) -> None:
    train, valid = histories()
    if broken == "no likes":
        valid = replace(valid, liked=np.zeros(len(valid), np.bool_))
    elif broken == "no training likes":
        train = replace(train, weights=np.zeros(len(train), np.float32))
    else:
        train, valid = (
            replace(part.where(part.items == 0), shape=(USERS, 1)) for part in (train, valid)
        )
    found = search_components(train, valid, effort="quick")
    assert set(found.skipped) == set(COMPONENTS)
    network = Vectors(users=np.ones((USERS, 1), np.float32), items=np.ones((1, 1), np.float32))
    assert math.isnan(found.ndcg(network))
    learned = found.learn_weights({"network": network})
    assert learned.weights == {"network": 1.0}
    assert not found.refit(train, learned).maps
    with pytest.raises(DataError, match="neither a component nor a model"):
        found.learn_weights()


def test_the_refitted_sum_recommends_the_taste() -> None:
    train, valid = histories(5)
    found = search_components(train, valid, features=FEATURES, effort="quick")
    model = found.refit(train.joined(valid), found.learn_weights(), features=FEATURES)
    items, _ = model.top_k(train.joined(valid), 3)
    own = TASTE_OF_ITEM[items] == (np.arange(USERS) % TASTES)[:, None]
    assert own[items >= 0].mean() > 0.9


def test_on_a_small_catalogue_the_low_pass_says_more_than_the_history(found) -> None:
    fitted = COMPONENTS["low_pass"].fit(found.data, {"rank": 256.0})
    scores = fitted.scores(found.data.rows, np.arange(USERS))
    unseen = scores[~found.data.rows.seen.toarray().astype(bool)]
    assert unseen.std() > 0.01, "not the noise of float32"


def test_the_search_climbs_one_parameter_after_the_other() -> None:
    component = replace(
        COMPONENTS["local_ease"],
        grid={
            "lambda": Ladder(values=(1.0, 4.0, 16.0, 64.0), geometric=True),
            "size": Ladder(values=(10.0, 20.0)),
        },
    )

    def value(settings):
        return (
            -abs(math.log(settings["lambda"] / 8.0)) - settings["size"] - settings.get("decay", 1)
        )

    chosen = choose_settings(
        component.grid, value, BUDGETS["standard"], most=100, decays=(1.0, 0.5)
    )
    assert chosen.settings == {"lambda": pytest.approx(8.0), "size": 10.0, "decay": 0.5}
    few = choose_settings(component.grid, value, BUDGETS["standard"], most=1, decays=())
    assert len(few.tried) == 1


@pytest.mark.parametrize("gain", [0.0, 0.01])
def test_one_that_gains_nothing_beside_the_best_is_not_searched_further(gain) -> None:
    grid = {
        "lambda": Ladder(values=(1.0, 4.0, 16.0), geometric=True),
        "size": Ladder(values=(10.0, 20.0)),
        "rank": Ladder(values=(0.0, 3.0, 6.0), cheap=True, provisional=True),
    }

    def value(settings):
        return 0.5 + gain * (settings["lambda"] == 16.0)

    chosen = choose_settings(grid, value, BUDGETS["standard"], most=100, gains=0.5)
    tried = [settings for settings, _ in chosen.tried]
    assert ({settings["size"] for settings in tried} == {10.0, 20.0}) == (gain > 0)
    assert {settings["lambda"] for settings in tried} >= {1.0, 4.0, 16.0}
    assert chosen.settings["rank"] == 3.0, "what is provisional is settled in any case"


def test_lambdas_that_a_search_asks_for_are_solved_in_one_pass() -> None:
    train, valid = histories()
    found = search_components(train, valid, effort="standard")
    data, passes = found.data, []

    def solve(lambdas):
        passes.append(lambdas)
        return [sparse.csr_matrix((1, 1))] * len(lambdas)

    for strength in (40.0, 10.0, 160.0, 20.0, 80.0):  # the ladder, then half a rung beside 40
        data.ridge("some", {"lambda": strength}, solve)
    assert passes == [[10.0, 40.0, 160.0], [20.0, 80.0]]
