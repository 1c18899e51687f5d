from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import torch

from recsys_core.columns import CURVES, EPOCH, ITEM, PHASE, USER, VALID_NDCG, check
from recsys_core.errors import ConfigError, DataError, TrainingError
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Edges, InteractionGraph
from recsys_core.graph.training import loop as fitting
from recsys_core.graph.training.early_stopping import Validator
from recsys_core.graph.training.spec import Fit, Listener, TrainingSpec
from recsys_core.graph.training.trainer import train
from tests.graph_world import (
    ALONE,
    CONFIGS,
    DATA,
    N_ITEMS,
    N_USERS,
    SMALL,
    edges_of,
    planted,
    run,
    texts,
)


@pytest.mark.parametrize("preset", CONFIGS)
def test_it_learns_the_planted_taste_but_cannot_know_the_test_rows(preset: str) -> None:
    graph, valid, test = planted()
    # The texts of this world are noise, which `best` takes to say which items are alike.
    trained = run(CONFIGS[preset], item_vectors=np.zeros((N_ITEMS, 6), np.float32))
    known = graph.edges.joined(valid)
    score = Validator(known, test, n_items=N_ITEMS, scale=DATA)
    found = score.ndcg(trained.user_vectors, trained.item_vectors)
    rng = np.random.default_rng(0)
    chance = score.ndcg(
        rng.normal(size=(N_USERS, 4)).astype(np.float32),
        rng.normal(size=(N_ITEMS, 4)).astype(np.float32),
    )
    assert found > chance + 0.2
    assert found < 0.999  # a taste is known, not which of its items were rated


@pytest.mark.parametrize("preset", CONFIGS)
def test_one_seed_gives_the_same_bytes_and_another_does_not(preset: str) -> None:
    config = CONFIGS[preset].model_copy(update={"max_epochs": 6})
    first, again, other = run(config), run(config), run(config, seed=1)
    assert first.to_bytes() == again.to_bytes()
    assert first.user_vectors.tobytes() == again.user_vectors.tobytes()
    assert first.to_bytes() != other.to_bytes()


def test_without_order_a_model_is_that_of_unknown_times() -> None:
    config = CONFIGS["best"].model_copy(update={"max_epochs": 2, "order": False})
    graph, valid, _ = planted()
    blind = graph.with_edges(graph.edges.without_order())
    assert np.isnan(blind.edges.times).all()
    known, unknown = run(config), run(config, graph=blind, valid=valid.without_order())
    assert known.to_bytes() == unknown.to_bytes()
    assert known.item_vectors.tobytes() == unknown.item_vectors.tobytes()
    assert known.served.weights == unknown.served.weights
    assert run(config.model_copy(update={"order": True})).served.weights != known.served.weights


def test_the_callers_random_state_is_left_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    run(CONFIGS["best"].model_copy(update={"max_epochs": 2}))
    assert torch.equal(torch.rand(3), wanted)
    assert not torch.are_deterministic_algorithms_enabled()


def test_curves_show_both_phases_and_the_final_fit_stops_at_the_best_epoch() -> None:
    heard: list[tuple[int, int, float, float | None]] = []
    trained = run(CONFIGS["paper"], on_epoch=lambda *what: heard.append(what))
    curves = check(trained.curves, CURVES, table="curves")
    search = curves.filter(pl.col(PHASE) == "search").drop_nulls(VALID_NDCG)
    final = curves.filter(pl.col(PHASE) == "final")
    best = search.sort(VALID_NDCG, descending=True, maintain_order=True)[EPOCH][0]
    assert final[EPOCH].max() == trained.best_epoch == best
    assert final[VALID_NDCG].is_null().all()
    assert trained.facts["valid_ndcg"] == search[VALID_NDCG].max()
    assert len(heard) == curves.height
    assert [row[0] for row in heard] == curves[EPOCH].to_list()
    assert trained.search.item_vectors.tobytes() != trained.item_vectors.tobytes()


def test_without_retraining_the_best_epoch_of_the_search_is_kept() -> None:
    graph, valid, _ = planted()
    alone = {"retrain": False, "components": False}
    trained = run(CONFIGS["best"].model_copy(update=alone))
    score = Validator(graph.edges, valid, n_items=N_ITEMS, scale=DATA)
    found = score.ndcg(trained.user_vectors, trained.item_vectors)
    assert found == trained.facts["valid_ndcg"]
    assert trained.curves[PHASE].unique().to_list() == ["search"]


def test_the_search_sees_no_validation_row(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, int] = {}
    fit: Callable[..., Fit] = fitting.fit

    def spy(spec: TrainingSpec, on_epoch: Listener | None, scratch: object) -> Fit:
        seen[spec.phase] = len(spec.graph.edges)
        return fit(spec, on_epoch, scratch)

    monkeypatch.setattr("recsys_core.graph.training.phases.fit", spy)
    run(CONFIGS["best"].model_copy(update={"max_epochs": 2}))
    graph, valid, _ = planted()
    assert seen == {"search": len(graph.edges), "final": len(graph.edges) + len(valid)}


def test_facts_count_the_nodes_that_only_a_profile_describes() -> None:
    users, items = texts()
    users[3] = 0
    config = CONFIGS["best"].model_copy(update={"max_epochs": 1})
    facts = run(config, user_vectors=users, item_vectors=items).facts
    assert facts["users_without_likes"] == 2
    assert facts["items_without_edges"] == 1
    assert facts["users_without_profile"] == 1
    assert facts["items_without_profile"] == 0
    assert facts["backend"] == "torch"
    assert facts["device"].startswith(("cpu", "cuda"))


def test_given_epochs_train_once_on_all_rows() -> None:
    trained = run(ALONE, epochs=3, valid=Edges.empty())
    assert trained.curves.select(PHASE, EPOCH).rows() == [("final", n) for n in (1, 2, 3)]
    assert trained.facts["epochs_rule"] == "number of epochs given"


def test_validation_without_likes_trains_all_epochs_and_says_so() -> None:
    _, valid, _ = planted()
    config = CONFIGS["best"].model_copy(update={"max_epochs": 4})
    trained = run(config, valid=valid.disliked(DATA))
    assert trained.best_epoch == 4
    assert "no liked validation rows" in trained.facts["epochs_rule"]


@pytest.mark.parametrize("preset", CONFIGS)
def test_one_user_and_one_item_are_enough(preset: str) -> None:
    one = edges_of([0], [0], 5)
    graph = InteractionGraph(
        user_ids=pl.Series(USER, [1]), item_ids=pl.Series(ITEM, [1]), edges=one
    )
    vector = np.ones((1, 6), np.float32)
    trained = train(graph, Edges.empty(), vector, vector, CONFIGS[preset], DATA, 0, epochs=2)
    assert np.isfinite(trained.user_vectors).all()


def test_no_liked_rating_is_a_data_error() -> None:
    graph, _, _ = planted()
    with pytest.raises(DataError, match="liked"):
        disliked = graph.with_edges(graph.edges.disliked(DATA))
        run(CONFIGS["best"], graph=disliked, valid=Edges.empty(), epochs=1)


def test_nothing_to_stop_by_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="validation"):
        run(CONFIGS["best"], valid=Edges.empty())


@pytest.mark.parametrize("shape", [(N_USERS - 1, 6), (N_USERS, 0), (N_USERS,)])
def test_vectors_must_fit_the_graph(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="user vectors"):
        run(CONFIGS["best"], user_vectors=np.zeros(shape, np.float32))


def test_nan_stops_at_once() -> None:
    users, items = texts()
    heard: list[object] = []
    with pytest.raises(TrainingError, match="epoch 1 "):
        run(CONFIGS["paper"], user_vectors=np.full_like(users, np.nan), item_vectors=items,
            on_epoch=lambda *what: heard.append(what))  # fmt: skip
    assert heard == []


def test_collapsed_vectors_stop_the_training() -> None:
    users, _ = texts()
    same = np.ones((N_ITEMS, 6), np.float32)
    graph, valid, _ = planted()
    everybody = np.argwhere(np.ones((N_USERS, N_ITEMS), bool))
    alike = edges_of(everybody[:, 0], everybody[:, 1], 5)
    with pytest.raises(TrainingError, match="collapsed"):
        run(CONFIGS["paper"], graph=graph.with_edges(alike), valid=valid, user_vectors=users,
            item_vectors=same)  # fmt: skip


def test_cuda_that_is_not_there_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"graph\.device"):
        run(GraphConfig(device="cuda", **SMALL))
