"""Both back ends against a dense reference, values and gradients, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_core.errors import ConfigError
from recsys_core.graph.model import message_passing
from recsys_core.graph.model.message_graph import Adjacency
from recsys_core.graph.model.message_passing import Backend, attend, bind, choose_backend

BACKENDS: tuple[Backend, ...] = ("dgl", "torch")
HEADS, HIDDEN = 2, 3


def dense_attention(
    edges: Adjacency,
    features: torch.Tensor,
    source: torch.Tensor,
    target: torch.Tensor,
    edge: torch.Tensor,
) -> torch.Tensor:
    rows = []
    for node in range(edges.n_targets):
        here = edges.targets == node
        senders = edges.sources[here]
        if not len(senders):
            rows.append(features[:1].sum() * 0 + torch.zeros_like(features[0]))
            continue
        logits = torch.nn.functional.leaky_relu(source[senders] + target[node], 0.2) + edge[here]
        rows.append((logits.softmax(0).unsqueeze(-1) * features[senders]).sum(0))
    return torch.stack(rows)


def inputs(n_nodes: int, n_edges: int, seed: int, n_targets: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    receive = n_targets or n_nodes
    shapes = [(n_nodes, HEADS, HIDDEN), (n_nodes, HEADS), (receive, HEADS), (n_edges, HEADS)]
    drawn = [torch.randn(*s, generator=generator, dtype=torch.float64) for s in shapes]
    return [one.requires_grad_() for one in drawn]


pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, unique=True)


@settings(max_examples=25)
@pytest.mark.parametrize("backend", BACKENDS)
@given(edges=pairs, n_targets=st.sampled_from([7, 4, 9]), seed=st.integers(0, 1000))
def test_attention_equals_the_dense_reference(
    backend: Backend, edges: list[tuple[int, int]], n_targets: int, seed: int
) -> None:
    pair = torch.tensor(edges)
    adjacency = Adjacency(pair[:, 0], pair[:, 1] % n_targets, 7, n_targets)
    ours, theirs = (inputs(7, len(edges), seed, n_targets) for _ in range(2))
    found = attend(bind(backend, adjacency), *ours)
    wanted = dense_attention(adjacency, *theirs)
    assert torch.allclose(found, wanted, atol=1e-12)
    upstream = torch.randn(wanted.shape, dtype=torch.float64)
    (found * upstream).sum().backward()
    (wanted * upstream).sum().backward()
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.grad is not None
        gradient = torch.zeros_like(mine) if reference.grad is None else reference.grad
        assert torch.allclose(mine.grad, gradient, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_node_without_edges_receives_zeros(backend: Backend) -> None:
    graph = bind(backend, Adjacency(torch.tensor([0, 1]), torch.tensor([2, 2]), 4))
    features, source, target, edge = inputs(4, 2, seed=0)
    received = attend(graph, features, source, target, edge)
    assert received[[0, 1, 3]].abs().max() == 0
    assert received[2].abs().min() > 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_large_logits_do_not_overflow(backend: Backend) -> None:
    graph = bind(backend, Adjacency(torch.tensor([0, 1]), torch.tensor([2, 2]), 3))
    shares = graph.softmax(torch.tensor([[1000.0], [999.0]]))
    assert shares.flatten().tolist() == pytest.approx([1 / (1 + 1 / 2.718281828), 1 - 0.731058578])


def test_edges_are_sorted_and_know_where_they_came_from() -> None:
    sources, targets = torch.tensor([3, 1, 0]), torch.tensor([2, 0, 2])
    edges = Adjacency(sources, targets, 4)
    assert edges.targets.tolist() == [0, 2, 2]
    assert edges.sources.tolist() == [1, 0, 3]
    assert edges.order.tolist() == [1, 2, 0]
    assert edges.starts.tolist() == [0, 1, 1, 3, 3]


def test_no_edges_by_heads_by_hidden_tensor_is_held() -> None:
    n_nodes, n_edges, hidden = 50, 2000, 64
    generator = torch.Generator().manual_seed(0)
    ends = torch.randint(0, n_nodes, (2, n_edges), generator=generator)
    graph = bind("torch", Adjacency(ends[0], ends[1], n_nodes))
    features = torch.randn(n_nodes, HEADS, hidden, requires_grad=True)
    weights = torch.randn(n_edges, HEADS, requires_grad=True)
    sizes: list[int] = []

    def note(saved: torch.Tensor) -> torch.Tensor:
        sizes.append(saved.numel())
        return saved

    with torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
        graph.weighted_sum(features, weights).sum().backward()
    assert sizes
    assert max(sizes) < n_edges * HEADS * hidden


def test_auto_is_torch() -> None:
    assert choose_backend("auto", torch.device("cpu")) == "torch"
    assert choose_backend("dgl", torch.device("cpu")) == "dgl"


class DglBuild:
    """A build of DGL with or without CUDA kernels, as far as moving a graph tells."""

    def __init__(self, *, cuda: bool) -> None:
        self.cuda, self.asked = cuda, 0

    def graph(self, edges: object) -> "DglBuild":
        return self

    def to(self, device: str) -> "DglBuild":
        self.asked += 1
        if device == "cuda" and not self.cuda:
            raise RuntimeError("Device API cuda is not enabled.\nStack trace ...")
        return self


@pytest.mark.parametrize("cuda", [True, False])
def test_the_build_is_asked_once_whether_dgl_computes_on_cuda(
    monkeypatch: pytest.MonkeyPatch, cuda: bool
) -> None:
    build = DglBuild(cuda=cuda)
    monkeypatch.setattr(message_passing, "load_dgl", lambda: build)
    message_passing._dgl_on.cache_clear()
    for _ in range(2):
        if cuda:
            assert choose_backend("dgl", torch.device("cuda")) == "dgl"
        else:
            with pytest.raises(ConfigError, match=r"graph\.backend.*cuda is not enabled\."):
                choose_backend("dgl", torch.device("cuda"))
    assert build.asked == 1
    message_passing._dgl_on.cache_clear()
