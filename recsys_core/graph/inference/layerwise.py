"""Vectors of all nodes of a graph too large for one pass, some targets at a time."""

from collections.abc import Iterator

import torch

from recsys_core.graph.model.attention_layer import AttentionLayer
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.model.message_graph import Adjacency
from recsys_core.graph.model.message_passing import Backend, bind


def all_vectors(
    model: GAT, adjacency: Adjacency, levels: torch.Tensor, backend: Backend, at_once: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `model(graph, levels)` gives, with the edges of a part of the graph at a time.

    Every node has all of its neighbours: nothing is sampled.

    Args:
        model: in evaluation mode, no gradients wanted.
        adjacency: all edges.
        levels: (n_edges,) in its order.
        backend: kernels of message passing.
        at_once: edges at a time; a node with more has them all at once.
    """
    new = adjacency.degrees == 0
    states = layer_states(model, adjacency, levels, backend, at_once)
    state, mean = next(states), model.config.layer_combination == "mean"
    for later in states:
        # The mean of all states needs their sum, not each of them.
        state = state + later if mean else later
    combined = state / (len(model.layers) + 1) if mean else state
    return model.outputs(combined, adjacency.degrees, new)


def layer_states(
    model: GAT, adjacency: Adjacency, levels: torch.Tensor, backend: Backend, at_once: int
) -> Iterator[torch.Tensor]:
    """The states (n_nodes, width) of all nodes: the input, then what every layer makes of it.

    Args:
        model: as for `all_vectors`, and so are the others.
        adjacency: all edges.
        levels: (n_edges,).
        backend: kernels.
        at_once: edges at a time.
    """
    state = model.inputs(adjacency.degrees, adjacency.degrees == 0)
    yield state
    for layer in model.layers:
        assert isinstance(layer, AttentionLayer)  # noqa: S101 - a ModuleList forgets the type
        state = _layer(layer, adjacency, levels, state, backend, at_once)
        yield state


def _layer(
    layer: AttentionLayer,
    edges: Adjacency,
    levels: torch.Tensor,
    features: torch.Tensor,
    backend: Backend,
    at_once: int,
) -> torch.Tensor:
    sent, received = layer.sent(features), torch.empty_like(features)
    degrees = edges.degrees
    for first, last in _parts(edges.starts, at_once):
        own, here = slice(first, last), slice(int(edges.starts[first]), int(edges.starts[last]))
        targets = edges.targets[here].long() - first
        part = Adjacency(edges.sources[here].long(), targets, edges.n_nodes, last - first)
        graph, order = bind(backend, part), part.order
        received[own] = layer.received(
            graph, levels[here][order], sent, sent[own], features[own], degrees, degrees[own]
        )
    return received


def _parts(starts: torch.Tensor, at_once: int) -> Iterator[tuple[int, int]]:
    """Ranges of targets with at most `at_once` edges each, or of one target."""
    ends, first = starts.cpu(), 0
    while first < len(ends) - 1:
        reach = int(torch.searchsorted(ends, int(ends[first]) + at_once, right=True)) - 1
        last = max(first + 1, reach)
        yield first, last
        first = last
