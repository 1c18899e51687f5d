from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from recsys_core.graph.components.dot_products import lightgcn as module
from recsys_core.graph.components.dot_products.lightgcn import AS_TRAINED, LightGcn, lightgcn
from recsys_core.graph.interaction_graph import no_attributes
from recsys_core.graph.training.early_stopping import Validator
from recsys_core.graph.training.spec import TrainingSpec
from tests.graph_world import CONFIGS, DATA, N_ITEMS, N_USERS, edges_of, planted, spec_of, spec_with


def fitted(spec: TrainingSpec) -> LightGcn:
    found = lightgcn(spec)
    assert not isinstance(found, str)
    return found.fit({"decay": AS_TRAINED})


@pytest.fixture(scope="module")
def trained() -> LightGcn:
    return fitted(spec_of(CONFIGS["best"]))


def test_it_learns_the_planted_taste(trained: LightGcn) -> None:
    graph, _, test = planted()
    score = Validator(graph.edges, test, n_items=N_ITEMS, scale=DATA)
    found = score.ndcg(trained.trained, trained.items)
    chance = score.ndcg(np.random.default_rng(0).permutation(trained.trained), trained.items)
    assert chance + 0.2 < found < 0.999


def test_one_seed_gives_the_same_vectors(trained: LightGcn) -> None:
    again = fitted(spec_of(CONFIGS["best"]))
    assert np.array_equal(again.items, trained.items)
    assert np.array_equal(again.trained, trained.trained)


def test_a_user_who_is_folded_in_points_where_training_put_them(trained: LightGcn) -> None:
    graph, _, _ = planted()
    folded = trained.users(graph.edges, no_attributes(N_USERS))
    rated = np.unique(graph.edges.liked(DATA).users)
    cosines = (folded * trained.trained).sum(1)[rated] * trained.temperature**2
    assert cosines.mean() > 0.8
    assert not folded[-1].any(), "the last user has rated nothing"
    assert not trained.trained[-1].any()
    assert not trained.items[-1].any(), "nobody rated the last item"


def test_recent_ratings_count_more_with_a_decay(trained: LightGcn) -> None:
    new = edges_of([0, 0, 1, 1], [0, 1, 1, 0], 5, [1, 2, 1, 2])
    even, fading = (replace(trained, decay=one).users(new, no_attributes(2)) for one in (1.0, 0.1))
    assert np.allclose(even[0], even[1])
    assert (fading[0] @ trained.items[1]) > (fading[1] @ trained.items[1])


def test_without_an_order_no_decay_is_tried() -> None:
    edges = planted()[0].edges
    unordered = lightgcn(spec_with(edges_of(edges.users, edges.items, edges.ratings)))
    ordered = lightgcn(spec_of(CONFIGS["best"]))
    assert not isinstance(unordered, str)
    assert not isinstance(ordered, str)
    assert unordered.grid["decay"].some(1) == (AS_TRAINED, 1.0)
    assert len(ordered.grid["decay"].some(1)) > 2


def test_the_gradient_is_that_of_the_loss() -> None:
    rng = np.random.default_rng(0)
    rows = sparse.csr_matrix((rng.random((5, 7)) < 0.5).astype(np.float32))
    both = sparse.block_array([[None, rows], [rows.T, None]], format="csr") / 3
    graph, temperature = module._Propagation(both), 0.3
    start = torch.from_numpy(rng.normal(size=(12, 4)).astype(np.float32)).requires_grad_()
    batch, drawn = np.array([0, 2, 3]), np.array([1, 4, 6])
    some = rows[batch]
    found = module._gradient(graph, start, some, batch, drawn, 5, temperature)
    dense = torch.from_numpy(both.toarray().astype(np.float32))
    final = start + dense @ start + dense @ dense @ start
    final = final / final.norm(dim=1, keepdim=True)
    users, items = final[torch.from_numpy(batch)] / temperature, final[5:]
    scores = users @ items.T
    total = torch.logsumexp(scores[:, drawn.tolist()], 1, keepdim=True)
    weights = torch.from_numpy(some.toarray() / some.sum()).float()
    (weights * (total - scores)).sum().backward()
    assert start.grad is not None
    torch.testing.assert_close(found, start.grad, atol=1e-5, rtol=1e-4)
