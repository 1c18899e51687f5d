"""Mini-batches on sampled neighbours: the same model, in steps that do not grow with the data."""

import sys

import numpy as np
import polars as pl
import pytest
import torch
from pyarrow.fs import LocalFileSystem

from recsys_core.artifacts import Scratch
from recsys_core.columns import ITEM, LOSS, USER
from recsys_core.errors import ConfigError
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.inference import layerwise
from recsys_core.graph.interaction_graph import Edges, InteractionGraph
from recsys_core.graph.model.message_passing import bind
from recsys_core.graph.training import mini_batches
from recsys_core.graph.training.batching import (
    BATCH_EDGES,
    FULL_BATCH_EDGES,
    FullBatch,
    batch_edges,
)
from recsys_core.graph.training.factory import messages_of, model_of
from recsys_core.graph.training.mini_batches import MiniBatches
from recsys_core.graph.training.neighbor_sampling import NeighborSampler
from recsys_core.graph.training.spec import TrainingSpec
from tests.graph_world import CONFIGS, DATA, N_ITEMS, N_USERS, edges_of, result, run, spec_of

CPU = torch.device("cpu")
MINI = {
    name: one.model_copy(update={"batch_edges": 150, "max_epochs": 10, "evaluate_every": 5})
    for name, one in CONFIGS.items()
}


@pytest.mark.parametrize("preset", MINI)
def test_it_learns_what_the_whole_graph_teaches(preset: str) -> None:
    longer = MINI[preset].model_copy(
        update={"max_epochs": 20, "retrain": False, "batch_edges": 100}
    )
    few, whole = run(longer), run(CONFIGS[preset].model_copy(update={"retrain": False}))
    assert few.facts["valid_ndcg"] > whole.facts["valid_ndcg"] - 0.05
    assert few.facts["batch_edges"] == 100
    assert whole.facts["batch_edges"] == "all"


@pytest.mark.parametrize("preset", MINI)
def test_one_seed_gives_the_same_bytes_and_a_checkpoint_goes_on_to_them(
    preset: str, tmp_path: object
) -> None:
    config = MINI[preset].model_copy(update={"checkpoint_every": 2, "max_epochs": 6})
    scratch = Scratch(LocalFileSystem(), str(tmp_path))

    def stop(epoch: int, *_: object) -> None:
        if epoch == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, on_epoch=stop, scratch=scratch)
    resumed = run(config, scratch=scratch)
    assert resumed.facts["epochs_from_checkpoints"] == 4
    assert result(resumed) == result(run(config))


@pytest.mark.parametrize("preset", MINI)
def test_with_every_neighbour_a_block_gives_the_vectors_of_the_whole_graph(preset: str) -> None:
    spec = spec_of(CONFIGS[preset])
    messages, model = messages_of(spec), model_of(spec).eval()
    around = NeighborSampler(
        messages.sources, messages.targets, messages.levels, n_nodes=messages.n_nodes,
        fan_out=1000, layers=spec.config.layers, backend="torch", device=CPU,
    )  # fmt: skip
    adjacency, levels = messages.sorted()
    users, items = model(bind("torch", adjacency), levels)
    seeds = torch.tensor([0, 3, 38, N_USERS, N_USERS + 7, N_USERS + N_ITEMS - 1])
    some_users, some_items = model.of_blocks(*around.of(seeds), adjacency.degrees)
    assert torch.allclose(some_users, users[[0, 3, 38]], atol=1e-5)
    assert torch.allclose(some_items, items[[0, 7, N_ITEMS - 1]], atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 50, 10**6])
@pytest.mark.parametrize("preset", MINI)
def test_part_by_part_gives_the_vectors_of_the_whole_graph(preset: str, at_once: int) -> None:
    spec = spec_of(CONFIGS[preset])
    (adjacency, levels), model = messages_of(spec).sorted(), model_of(spec).eval()
    with torch.no_grad():
        whole = model(bind("torch", adjacency), levels)
        parts = layerwise.all_vectors(model, adjacency, levels, "torch", at_once)
    for one, other in zip(whole, parts, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_blocks_are_made_of_the_graphs_edges_few_per_node() -> None:
    messages = messages_of(spec_of(CONFIGS["best"]))
    around = NeighborSampler(
        messages.sources, messages.targets, messages.levels, n_nodes=messages.n_nodes,
        fan_out=3, layers=3, backend="torch", device=CPU,
    )  # fmt: skip
    ends = zip(messages.sources.tolist(), messages.targets.tolist(), strict=True)
    level = dict(zip(ends, messages.levels.tolist(), strict=True))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        seeds = torch.randperm(messages.n_nodes, generator=generator)[:10].sort().values
        nodes, blocks = around.of(seeds)
        for block in blocks:
            edges = block.graph.adjacency
            assert int(edges.starts.diff().max()) <= 3
            ends = zip(nodes[edges.sources].tolist(), nodes[edges.targets].tolist(), strict=True)
            assert [level[one] for one in ends] == block.levels.tolist()
            nodes = nodes[: edges.n_targets]
        assert nodes.tolist() == seeds.tolist()


def test_with_every_item_a_step_on_all_pairs_is_the_softmax_over_all_items() -> None:
    config = CONFIGS["best"].model_copy(
        update={
            "num_neighbors": 1000,
            "dropout": 0.0,
            "cold_start_dropout_users": 0.0,
            "cold_start_dropout_items": 0.0,
        }
    )
    spec = spec_of(config)
    model = model_of(spec)
    sampled = MiniBatches(spec, 10**6, torch.Generator().manual_seed(0))
    whole = FullBatch(spec, torch.Generator())
    (one, _), (other, _) = next(sampled.losses(model)), next(whole.losses(model))
    assert one.item() == pytest.approx(other.item(), rel=1e-5)


def test_an_items_chance_to_be_a_candidate_is_what_is_corrected_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = spec_of(CONFIGS["best"])
    monkeypatch.setattr(mini_batches, "CANDIDATES", 12)
    sampled = MiniBatches(spec, 80, torch.Generator().manual_seed(0))
    counts = torch.zeros(N_ITEMS)
    of = NeighborSampler.of

    def note(around: NeighborSampler, seeds: torch.Tensor) -> object:
        counts[seeds[seeds >= N_USERS] - N_USERS] += 1
        return of(around, seeds)

    monkeypatch.setattr(NeighborSampler, "of", note)
    monkeypatch.setattr(mini_batches, "softmax_over_items", lambda *_: None)
    model = model_of(spec)
    for _ in range(200):
        next(sampled.losses(model))
    chance = sampled.chance_of(torch.arange(N_ITEMS), 80, 12)
    assert (counts / 200 - chance).abs().max() < 0.12


def test_a_step_holds_no_more_when_the_graph_grows() -> None:
    def largest(n_edges: int) -> int:
        rng = np.random.default_rng(0)
        users, items = (
            rng.integers(0, n_edges // 4, n_edges),
            rng.integers(0, n_edges // 8, n_edges),
        )
        edges = edges_of(users, items, 5)
        graph = InteractionGraph(
            user_ids=pl.Series(USER, range(n_edges // 4)),
            item_ids=pl.Series(ITEM, range(n_edges // 8)),
            edges=edges,
        )
        text = np.ones((n_edges // 4, 2), np.float32), np.ones((n_edges // 8, 2), np.float32)
        config = CONFIGS["paper"].model_copy(update={"layers": 2, "num_neighbors": 3})
        spec = TrainingSpec(
            phase="final", graph=graph, user_text=text[0], item_text=text[1], config=config,
            data=DATA, seed=0, device=CPU, backend="torch", epochs=1,
        )  # fmt: skip
        sizes: list[int] = []

        def note(saved: torch.Tensor) -> torch.Tensor:
            sizes.append(saved.numel())
            return saved

        losses = MiniBatches(spec, 32, torch.Generator()).losses(model_of(spec))
        with torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
            next(losses)
        return sum(sizes)

    assert largest(32_000) < 1.3 * largest(4_000)


def test_beyond_the_limit_the_default_is_to_sample() -> None:
    none = np.empty(0, np.int64)

    class Many(Edges):
        def __len__(self) -> int:
            return FULL_BATCH_EDGES + 1

    many = Many(users=none, items=none, ratings=none.astype(np.float32), times=none.astype(float))
    assert batch_edges(GraphConfig(), Edges.empty()) == 0
    assert batch_edges(GraphConfig(), many) == BATCH_EDGES
    assert batch_edges(GraphConfig(batch_edges=0), many) == 0
    assert batch_edges(GraphConfig(batch_edges=9), Edges.empty()) == 9


def test_without_dgl_it_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dgl", None)
    with pytest.raises(ConfigError, match="batch_edges"):
        run(MINI["best"])


def test_the_loss_of_an_epoch_is_the_mean_of_its_steps() -> None:
    trained = run(MINI["paper"].model_copy(update={"max_epochs": 2}))
    assert trained.curves[LOSS].is_finite().all()
