"""A layer of graph attention, with what a rating says as a weight of its edge.

Layers with `feature_transform` are those of the paper (Velickovic et al., "Graph Attention
Networks", ICLR 2018); without, a layer is a weighted mean of the neighbours, as in LightGCN (He et
al., SIGIR 2020) with attention in place of fixed weights.
"""

import torch
from torch import nn
from torch.nn import functional

from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.interaction_graph import RATING_LEVELS
from recsys_core.graph.model.message_graph import MessagePassing, Pairs
from recsys_core.graph.model.message_passing import attend
from recsys_core.graph.model.mixed_precision import Dense
from recsys_core.interactions.feedback import RatingScale


def rating_levels(ratings: torch.Tensor, data: RatingScale) -> torch.Tensor:
    """Level 0 (worst) to 4 (best) of each rating: five equal parts of the scale, (n,) -> (n,)."""
    share = (ratings - data.rating_min) / (data.rating_max - data.rating_min)
    return (share * RATING_LEVELS).long().clamp(0, RATING_LEVELS - 1)


class AttentionLayer(nn.Module):
    """One round of messages, `heads` x `hidden` wide in and out.

    Args:
        config: sizes, dropout, and whether the layer transforms.
    """

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        width = config.hidden * config.heads
        self.shape = (config.heads, config.hidden)
        self.dropout, self.symmetric = config.dropout, config.symmetric_normalization
        self.transform = Dense(width, width, bias=False) if config.feature_transform else None
        self.norm = nn.LayerNorm(width) if config.feature_transform else None
        # Where data are sparse, attention starts flat: the layer is then LightGCN's.
        spread = 0.0 if config.recipe == "sparse" else 0.1
        self.source = nn.Parameter(torch.randn(self.shape) * spread)
        self.target = nn.Parameter(torch.randn(self.shape) * spread)
        # At first a liked edge weighs e^3 as much as one with the worst rating.
        start = torch.tensor([-2.0, -1.0, 0.0, 1.0, 1.0])
        self.level = nn.Parameter(start.unsqueeze(1).repeat(1, config.heads))

    def forward(
        self,
        graph: MessagePassing,
        levels: torch.Tensor,
        features: torch.Tensor,
        degrees: torch.Tensor,
    ) -> torch.Tensor:
        """Features (n_nodes, width) and levels (n_edges,), in the graph's order -> same width.

        Of a block that has fewer targets than nodes, the targets are the first ones; `degrees`
        (n_nodes,) are the nodes' numbers of edges in the whole graph.
        """
        sent = self.sent(features)
        targets = slice(graph.adjacency.n_targets)
        return self.received(
            graph, levels, sent, sent[targets], features[targets], degrees, degrees[targets]
        )

    @staticmethod
    def reach(degrees: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """1 / sqrt(degree) of each source, (n,)."""
        return degrees.clamp(min=1).to(dtype).rsqrt()

    def sent(self, features: torch.Tensor) -> torch.Tensor:
        """What nodes send to their neighbours, (n_nodes, width) -> (n_nodes, heads, hidden)."""
        sent = features if self.transform is None else self.transform(features)
        return sent.view(-1, *self.shape)

    def received(
        self,
        graph: MessagePassing,
        levels: torch.Tensor,
        sent: torch.Tensor,
        own: torch.Tensor,
        features: torch.Tensor,
        source_degrees: torch.Tensor,
        degrees: torch.Tensor,
    ) -> torch.Tensor:
        """What the targets make of it, (n_targets, width).

        Args:
            graph: the edges.
            levels: (n_edges,) in its order.
            sent: (n_nodes, heads, hidden) by the sources.
            own: (n_targets, heads, hidden) the targets' part of it.
            features: (n_targets, width) the targets' features.
            source_degrees: (n_nodes,) edges of each source.
            degrees: (n_targets,) edges of each target.
        """
        edge_scores = self.level.index_select(0, levels)
        if self.symmetric:
            reach = self.reach(source_degrees, sent.dtype)
            edge_scores = edge_scores + reach.log()[graph.adjacency.sources].unsqueeze(1)
        received = attend(
            graph, sent, _dots(sent, self.source), _dots(own, self.target), edge_scores
        ).flatten(1)
        if self.symmetric:
            received = received * symmetric_size(graph.adjacency, reach, degrees).unsqueeze(1)
        if self.norm is None:
            return received
        active = functional.leaky_relu(self.norm(received), 0.2)
        dropped: torch.Tensor = functional.dropout(active, self.dropout, self.training)
        return dropped + features


def _dots(features: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(n, heads) dot products of (n, heads, hidden) with (heads, hidden).

    As one product with a block-diagonal matrix: nothing of the size of the features is made.
    """
    heads, hidden = weights.shape
    places = torch.eye(heads, dtype=weights.dtype, device=weights.device)
    blocks = places.repeat_interleave(hidden, 0) * weights.reshape(-1, 1)
    return features.flatten(1) @ blocks


def symmetric_size(edges: Pairs, reach: torch.Tensor, degrees: torch.Tensor) -> torch.Tensor:
    """(n_targets,) how large a sum of neighbours is under symmetric normalisation.

    That is the sum over the neighbours j of a node i of 1 / sqrt(d_i d_j), written as
    sqrt(d_i) x the mean of 1 / sqrt(d_j), which a sample of the neighbours estimates.
    """
    total = reach.new_zeros(edges.n_targets)
    total.index_add_(0, edges.targets.long(), reach[edges.sources])
    return total / edges.degrees.clamp(min=1) * degrees.to(reach.dtype).sqrt()
