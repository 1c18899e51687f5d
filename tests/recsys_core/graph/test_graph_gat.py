import pytest
import torch

from recsys_core.config import DataConfig, GraphConfig
from recsys_core.graph.adjacency import Adjacency
from recsys_core.graph.gat import GAT, rating_levels
from recsys_core.graph.message_passing import bind

PRESETS = [
    GraphConfig(preset="paper", hidden=4, heads=2),
    GraphConfig(preset="best", hidden=4, heads=2),
]


def build(config: GraphConfig, ids: torch.Tensor | None = None) -> GAT:
    torch.manual_seed(0)
    return GAT(torch.randn(3, 5), torch.randn(4, 5), ids, config).eval()


def edges() -> tuple[torch.Tensor, torch.Tensor]:
    users, items = torch.tensor([0, 0, 1]), torch.tensor([3, 4, 4])
    return torch.cat([users, items]), torch.cat([items, users])


@pytest.mark.parametrize("config", PRESETS, ids=lambda config: config.preset)
def test_back_ends_agree_on_the_whole_model(config: GraphConfig) -> None:
    levels = torch.tensor([4, 1, 3, 4, 1, 3])
    ids = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    found = []
    for backend in ("dgl", "torch"):
        model = build(config, ids if config.id_rank else None).double()
        adjacency = Adjacency(*edges(), 7)
        users, items = model(bind(backend, adjacency), levels[adjacency.order])
        (users.sum() + items.square().sum()).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        found.append([users, items, *gradients])
        assert users.shape == (3, items.shape[1])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_softmax_scores_are_cosine_over_temperature_plus_bias() -> None:
    model = build(PRESETS[1])
    adjacency = Adjacency(*edges(), 7)
    levels = torch.zeros(6, dtype=torch.long)
    users, items = model(bind("torch", adjacency), levels)
    assert model.item_bias is not None
    with torch.no_grad():
        model.item_bias[:] = torch.tensor([0.5, 0.0, -1.0, 2.0])
    _, biased = model(bind("torch", adjacency), levels)
    assert torch.allclose(users @ biased.T - users @ items.T, model.item_bias.expand(3, 4))
    assert (users[:, :-1] @ items[:, :-1].T).abs().max() <= 1 / 0.2 + 1e-5


@pytest.mark.parametrize("config", PRESETS, ids=lambda config: config.preset)
def test_without_edges_profiles_alone_still_score(config: GraphConfig) -> None:
    none = torch.empty(0, dtype=torch.long)
    users, items = build(config)(bind("torch", Adjacency(none, none, 7)), none)
    scores = users @ items.T
    assert scores.isfinite().all()
    assert scores.std() > 0


def test_rating_levels_are_five_parts_of_any_scale() -> None:
    stars = rating_levels(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), DataConfig())
    assert stars.tolist() == [0, 1, 2, 3, 4]
    percent = DataConfig(rating_min=0, rating_max=100)
    assert rating_levels(torch.tensor([0.0, 39.0, 60.0, 100.0]), percent).tolist() == [0, 1, 3, 4]
