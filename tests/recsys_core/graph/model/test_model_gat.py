import pytest
import torch

from recsys_core.graph.config import GraphConfig
from recsys_core.graph.model.attention_layer import AttentionLayer, rating_levels
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_graph import Adjacency
from recsys_core.graph.model.message_passing import bind
from recsys_core.interactions.feedback import RatingScale

PRESETS = [
    GraphConfig(preset="paper", hidden=4, heads=2).for_data(1, 1, 1),
    GraphConfig(preset="best", recipe="dense", hidden=4, heads=2).for_data(1, 1, 1),
]


def build(config: GraphConfig, ids: torch.Tensor | None = None) -> GAT:
    torch.manual_seed(0)
    bias = torch.randn(4) if config.loss == "softmax" else None
    return GAT(torch.randn(3, 5), torch.randn(4, 5), ids, bias, config).eval()


def edges() -> tuple[torch.Tensor, torch.Tensor]:
    users, items = torch.tensor([0, 0, 1]), torch.tensor([3, 4, 4])
    return torch.cat([users, items]), torch.cat([items, users])


@pytest.mark.parametrize("config", PRESETS, ids=lambda config: config.preset)
def test_back_ends_agree_on_the_whole_model(config: GraphConfig) -> None:
    levels = torch.tensor([4, 1, 3, 4, 1, 3])
    ids = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
    found = []
    for backend in ("dgl", "torch"):
        model = build(config, ids if config.id_dimensions else None).double()
        adjacency = Adjacency(*edges(), 7)
        users, items = model(bind(backend, adjacency), levels[adjacency.order])
        (users.sum() + items.square().sum()).backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        found.append([users, items, *gradients])
        assert users.shape == (3, items.shape[1])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def all_scores(model: GAT, new: torch.Tensor | None = None) -> torch.Tensor:
    adjacency = Adjacency(*edges(), 7)
    users, items = model(bind("torch", adjacency), torch.zeros(6, dtype=torch.long), new)
    return (users @ items.T).detach()


def test_softmax_scores_are_cosine_over_temperature_plus_bias() -> None:
    model = build(PRESETS[1])
    assert model.item_bias is not None
    model.item_bias.data.zero_()
    before = all_scores(model)
    model.item_bias.data[:] = torch.tensor([0.5, 1.0, -1.0, 2.0])
    # The last two items have no edge, so their profile speaks for them instead of their bias.
    gained = torch.tensor([0.5, 1.0, 0.0, 0.0]).expand(3, 4)
    assert torch.allclose(all_scores(model) - before, gained, atol=1e-6)
    assert model.popularity is not None
    model.popularity.weight.data.zero_()
    model.popularity.bias.data.fill_(3.0)
    assert (all_scores(model)[:, 2:] - 3).abs().max() <= 1 / PRESETS[1].temperature + 1e-5


def test_who_is_better_known_departs_further_from_what_is_popular() -> None:
    model = build(PRESETS[1])
    assert model.item_bias is not None
    assert model.popularity is not None
    for one in (model.item_bias, *model.popularity.parameters()):
        one.data.zero_()
    adjacency = Adjacency(*edges(), 7)
    users, _ = model(bind("torch", adjacency), torch.zeros(6, dtype=torch.long))
    lengths = users[:, :-1].norm(dim=1) * PRESETS[1].temperature
    # Two ratings, one, none; a profile is worth one more, and six on top make a user half known.
    assert lengths.tolist() == pytest.approx([3 / 9, 2 / 8, 1 / 7])


def test_a_new_node_has_no_vector_or_bias_of_its_own() -> None:
    ids = torch.randn(7, 3)
    model = build(PRESETS[1], ids)
    new = torch.tensor([True, False, False, False, True, False, False])
    found = all_scores(model, new)
    assert not torch.allclose(found, all_scores(model))
    assert model.ids is not None
    assert model.item_bias is not None
    model.ids.data[new] += 1
    model.item_bias.data[1] += 1
    # Those without edges are new whoever says so.
    model.ids.data[[2, 5, 6]] += 1
    model.item_bias.data[2:] += 1
    assert torch.allclose(all_scores(model, new), found)


def test_symmetric_attention_starts_as_symmetric_normalisation() -> None:
    config = GraphConfig(hidden=3, heads=1).for_data(1, 1, 1)
    layer = AttentionLayer(config)
    for one in (layer.source, layer.target, layer.level):
        one.data.zero_()
    adjacency = Adjacency(*edges(), 7)
    features = torch.randn(7, 3)
    levels = torch.zeros(6, dtype=torch.long)
    dense = torch.zeros(7, 7)
    dense[adjacency.targets.long(), adjacency.sources.long()] = 1
    degrees = dense.sum(1).clamp(min=1)
    normalised = dense / (degrees[:, None] * degrees[None]).sqrt()
    received = layer(bind("torch", adjacency), levels, features, adjacency.degrees)
    assert torch.allclose(received, normalised @ features, atol=1e-6)


@pytest.mark.parametrize("config", PRESETS, ids=lambda config: config.preset)
def test_without_edges_profiles_alone_still_score(config: GraphConfig) -> None:
    none = torch.empty(0, dtype=torch.long)
    users, items = build(config)(bind("torch", Adjacency(none, none, 7)), none)
    scores = users @ items.T
    assert scores.isfinite().all()
    assert scores.std() > 0


def test_rating_levels_are_five_parts_of_any_scale() -> None:
    stars = rating_levels(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]), RatingScale())
    assert stars.tolist() == [0, 1, 2, 3, 4]
    percent = RatingScale.between(0, 100)
    assert rating_levels(torch.tensor([0.0, 39.0, 60.0, 100.0]), percent).tolist() == [0, 1, 3, 4]


def test_texts_of_users_are_scaled_and_those_of_items_are_not() -> None:
    config = PRESETS[1].model_copy(update={"user_text_scale": 0.25})
    users, items = torch.randn(3, 5), torch.randn(4, 5)
    model = GAT(users, items, None, None, config)
    assert torch.equal(model.user_text, users / 4)
    assert torch.equal(model.item_text, items)
    assert GraphConfig(preset="paper").user_text_scale == 1


def test_a_users_text_fades_with_ratings_an_items_does_not() -> None:
    degrees = torch.tensor([0, 10, 30, 0, 10, 30, 5])
    new = degrees == 0
    fading, lasting = (
        build(PRESETS[1].model_copy(update={"user_text_half_life": worth})).inputs(degrees, new)
        for worth in (10.0, None)
    )
    worth = torch.tensor([1, 1 / 2, 1 / 4, 1, 1, 1, 1])
    assert torch.allclose(fading, lasting * worth.unsqueeze(1))
    nodes = torch.tensor([2, 5, 1, 3])
    some = build(PRESETS[1]).inputs(degrees[nodes], new[nodes], nodes)
    assert torch.allclose(some, fading[nodes])
    assert GraphConfig(preset="paper").user_text_half_life is None
