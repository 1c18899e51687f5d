"""A warm start takes over what is still true: parameters by name, rows of nodes by id."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from pyarrow.fs import LocalFileSystem

from recsys_core.artifacts import Scratch
from recsys_core.columns import EPOCH, ITEM, USER, VALID_NDCG
from recsys_core.errors import ConfigError
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Edges, InteractionGraph
from recsys_core.graph.training.factory import model_of
from recsys_core.graph.training.phases import Earlier
from recsys_core.graph.training.score_sum import Choice
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.graph.training.trainer import Trained
from recsys_core.graph.training.warm_start import Start, warm
from tests.graph_world import CONFIGS, DATA, KILLABLE, N_USERS, edges_of, planted, result, run


def spec_of(graph: InteractionGraph, config: GraphConfig) -> TrainingSpec:
    rng = np.random.default_rng(0)
    sizes = ((graph.n_users, 6), (graph.n_items, 6))
    users, items = (rng.normal(size=size).astype(np.float32) for size in sizes)
    return TrainingSpec(
        phase="final", graph=graph, user_text=users, item_text=items, data=DATA,
        config=config.for_data(1, 1, 1), seed=0, device=torch.device("cpu"), backend="torch",
        epochs=1,
    )  # fmt: skip


def earlier(config: GraphConfig, graph: InteractionGraph) -> Start:
    """A model whose parameters are all different numbers."""
    weights = {
        name: torch.arange(one.numel(), dtype=one.dtype).reshape(one.shape) + 1
        for name, one in model_of(spec_of(graph, config)).state_dict().items()
    }
    return Start(weights=weights, user_ids=graph.user_ids, item_ids=graph.item_ids)


def other_nodes(graph: InteractionGraph) -> InteractionGraph:
    """The first user is gone, the others are in another order, and two items are new."""
    edges = edges_of([0], [0], 5)
    new = pl.Series(ITEM, [1000, 1001], dtype=graph.item_ids.dtype)
    return InteractionGraph(
        user_ids=graph.user_ids[1:].reverse(),
        item_ids=pl.concat([new[:1], graph.item_ids, new[1:]]),
        edges=edges,
    )


def test_rows_follow_their_ids_and_new_ones_are_zero() -> None:
    graph, _, _ = planted()
    config, now = CONFIGS["best"], other_nodes(graph)
    start, model = earlier(config, graph), model_of(spec_of(now, config))
    warm(model, start, now, spec_of(now, config).item_text)
    users, items = start.weights["ids"][:N_USERS], start.weights["ids"][N_USERS:]
    zero = torch.zeros(1, users.shape[1])
    assert model.ids is not None
    assert model.item_bias is not None
    assert torch.equal(model.ids, torch.cat([users[1:].flip(0), zero, items, zero]))
    bias = start.weights["item_bias"]
    assert torch.equal(model.item_bias, torch.cat([zero[0, :1], bias, zero[0, :1]]))
    for name, one in model.named_parameters():
        assert name in ("ids", "item_bias") or torch.equal(one, start.weights[name])
    assert start.new_nodes(now) == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [({"layers": 4}, "layers.3"), ({"hidden": 16}, "ids"), ({"id_dimensions": 0}, "ids"),
     ({"loss": "bpr"}, "evidence"), ({"feature_transform": True}, "layers.0")],
)  # fmt: skip
def test_another_kind_of_model_is_a_config_error(change: dict[str, object], named: str) -> None:
    graph, _, _ = planted()
    start = earlier(CONFIGS["best"], graph)
    other = spec_of(graph, CONFIGS["best"].model_copy(update=change))
    with pytest.raises(ConfigError, match=named):
        warm(model_of(other), start, graph, other.item_text)


def test_ids_of_another_type_are_a_config_error() -> None:
    graph, _, _ = planted()
    start = earlier(CONFIGS["best"], graph)
    texts_for_ids = Start(
        weights=start.weights, user_ids=start.user_ids, item_ids=start.item_ids.cast(pl.String)
    )
    with pytest.raises(ConfigError, match="ids are String"):
        spec = spec_of(graph, CONFIGS["best"])
        warm(model_of(spec), texts_for_ids, graph, spec.item_text)


def sharing_tastes(seed: int) -> tuple[InteractionGraph, Edges]:
    """More users and softer tastes than `planted`, so that NDCG moves in small steps."""
    rng = np.random.default_rng(seed)
    n_users, n_items, tastes = 400, 200, 10
    users, items = (rng.dirichlet(np.full(tastes, 0.3), n) for n in (n_users, n_items))
    fondness = (users @ items.T) * rng.gamma(2, 1, n_items)
    pairs = np.argwhere(rng.random(fondness.shape) < fondness / fondness.mean() * 0.12)
    liked = rng.random(len(pairs)) < 0.8
    edges = edges_of(pairs[:, 0], pairs[:, 1], np.where(liked, 5, 1))
    train = rng.random(len(pairs)) < 0.8
    graph = InteractionGraph(
        user_ids=pl.Series(USER, range(n_users)),
        item_ids=pl.Series(ITEM, range(n_items)),
        edges=edges.where(train),
    )
    return graph, edges.where(~train)


@pytest.mark.parametrize(("preset", "seed"), [("best", 3), ("paper", 3)])
def test_with_one_percent_more_ratings_half_of_the_epochs_are_enough(
    preset: str, seed: int
) -> None:
    graph, valid = sharing_tastes(seed)
    fewer = graph.edges.where(np.random.default_rng(seed).random(len(graph.edges)) < 0.99)
    # Without practice: what it draws moves NDCG more than an epoch does.
    config = CONFIGS[preset].model_copy(
        update={"evaluate_every": 2, "patience": 99, "retrain": False, "id_dimensions": 16,
                "max_epochs": 40, "cold_start_dropout_users": 0.0, "cold_start_dropout_items": 0.0}
    )  # fmt: skip
    spec = spec_of(graph, config)
    given = {"valid": valid, "user_vectors": spec.user_text, "item_vectors": spec.item_text}
    old = run(config, seed, graph=graph.with_edges(fewer), **given)
    cold = run(config, seed, graph=graph, **given)
    start = Start(weights=old.weights, user_ids=graph.user_ids, item_ids=graph.item_ids)
    again = run(config, seed, graph=graph, start=start, **given)
    as_good = again.curves.filter(pl.col(VALID_NDCG) >= cold.facts["valid_ndcg"])
    assert as_good[EPOCH][0] <= cold.best_epoch / 2
    assert again.facts["nodes_new_to_the_earlier_model"] == 0


def test_a_checkpoint_belongs_to_its_start(tmp_path: object) -> None:
    config, scratch = KILLABLE["best"], Scratch(LocalFileSystem(), str(tmp_path))
    graph, _, _ = planted()
    trained = run(config.model_copy(update={"max_epochs": 2}))
    start = Start(weights=trained.weights, user_ids=graph.user_ids, item_ids=graph.item_ids)

    def stop(epoch: int, *_: object) -> None:
        if epoch == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, on_epoch=stop, scratch=scratch, start=start)
    assert run(config, scratch=scratch).facts["epochs_from_checkpoints"] == 0
    assert result(run(config, start=start)) != result(run(config))


# Going on with what an earlier training chose


@pytest.fixture(scope="module")
def cold() -> Trained:
    return run(CONFIGS["best"])


def going_on_from(trained: Trained, *, epochs: int = 0, ndcg: float | None = None) -> Earlier:
    """What `trained` left; `ndcg` in place of what it measured."""
    graph, _, _ = planted()
    starts = [
        Start(weights=dict(one), user_ids=graph.user_ids, item_ids=graph.item_ids, share=0.0)
        for one in (trained.search_weights, trained.weights)
    ]
    assert trained.ndcg is not None
    measured = trained.ndcg if ndcg is None else np.where(np.isnan(trained.ndcg), np.nan, ndcg)
    return Earlier(
        search=starts[0], served=starts[1], choice=Choice(**trained.facts["choice"]),
        epochs=epochs, searched=trained.best_epoch, ndcg=measured, fall=0.03,
    )  # fmt: skip


def test_on_the_same_data_a_model_that_goes_on_is_the_same(cold: Trained) -> None:
    again = run(CONFIGS["best"], earlier=going_on_from(cold))
    assert again.went_on
    assert not cold.went_on
    assert again.to_bytes() == cold.to_bytes()
    assert again.facts["choice"] == cold.facts["choice"]
    assert again.best_epoch == cold.best_epoch
    assert again.facts["epochs"] == 0
    assert again.curves.is_empty()
    same = again.facts["valid_ndcg_of_the_same_users"]
    assert same == pytest.approx(cold.facts["valid_ndcg_of_lists"])


def test_it_trains_for_the_epochs_that_are_owed(cold: Trained) -> None:
    again = run(CONFIGS["best"], earlier=going_on_from(cold, epochs=2, ndcg=0.01))
    assert again.went_on
    assert again.facts["epochs"] == 2
    assert set(again.curves["phase"]) == {"warm_search", "warm_final"}
    assert again.to_bytes() != cold.to_bytes()


def test_when_validation_has_fallen_everything_is_chosen_as_without_an_earlier_model(
    cold: Trained,
) -> None:
    again = run(CONFIGS["best"], earlier=going_on_from(cold, ndcg=2.0))
    assert not again.went_on
    assert "fell from 2.0000" in again.facts["chosen_anew"]
    assert result(again) == result(cold)


def test_users_validated_by_other_items_are_not_compared(cold: Trained) -> None:
    given = going_on_from(cold)
    assert cold.ndcg is not None
    first = int(np.flatnonzero(np.isfinite(cold.ndcg))[0])
    one = np.full(N_USERS, np.nan)
    one[first] = 0.0
    again = run(CONFIGS["best"], earlier=replace(given, ndcg=one))
    assert again.went_on
    assert again.facts["users_validated_as_then"] == 1
    assert again.ndcg is not None
    assert again.ndcg[first] == 0.0, "what it is compared with stays that of the choice"
    assert np.isfinite(again.ndcg).sum() == np.isfinite(cold.ndcg).sum()


@pytest.mark.parametrize("wider", [0, 3])
def test_what_was_read_from_other_features_is_read_from_todays(wider: int) -> None:
    graph, _, _ = planted()
    config, rng = CONFIGS["best"], np.random.default_rng(1)
    spec = spec_of(graph, config)
    turn = np.linalg.qr(rng.normal(size=(6 + wider, 6 + wider)))[0][:6]
    today = (spec.item_text @ turn).astype(np.float32)
    start = replace(earlier(config, graph), item_text=spec.item_text)
    model = model_of(replace(spec, item_text=today))
    warm(model, start, graph, today)
    then = torch.tensor(spec.item_text) @ start.weights["item_projection.weight"].T
    now = torch.tensor(today) @ model.item_projection.weight.T
    assert torch.allclose(now, then, rtol=0.01, atol=0.01 * float(then.abs().max()))


def test_users_whose_rows_are_held_out_by_now_start_anew() -> None:
    graph, _, _ = planted()
    config = CONFIGS["best"]
    start = replace(earlier(config, graph), forgotten=graph.user_ids[:2])
    model = model_of(spec_of(graph, config))
    warm(model, start, graph, spec_of(graph, config).item_text)
    assert model.ids is not None
    assert not model.ids[:2].any()
    assert torch.equal(model.ids[2:], start.weights["ids"][2:])
    assert start.new_nodes(graph) == 2


def test_one_user_who_lost_a_hit_is_no_fall(cold: Trained) -> None:
    given = going_on_from(cold)
    assert cold.ndcg is not None
    known = np.flatnonzero(np.isfinite(cold.ndcg))
    then = cold.ndcg.copy()
    then[known[0]] += len(known) * 0.1 * float(then[known].mean())
    again = run(CONFIGS["best"], earlier=replace(given, ndcg=then))
    assert again.went_on
    told = again.facts
    assert told["valid_ndcg_of_the_same_users"] < 0.95 * told["valid_ndcg_when_chosen"]
