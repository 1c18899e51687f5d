"""Neighbour sampling (DGL): blocks of sampled neighbours of a few nodes, layer by layer."""

from typing import Any

import torch

from recsys_core.graph.model.csr import index_type
from recsys_core.graph.model.message_graph import Adjacency, Block
from recsys_core.graph.model.message_passing import Backend, bind, load_dgl


class NeighborSampler:
    """Samples up to `fan_out` neighbours per node and layer.

    Sampling runs on the CPU; the blocks are moved to the device.

    Args:
        sources: (n_edges,) node each message comes from.
        targets: (n_edges,) node it goes to.
        levels: (n_edges,) level of rating of each edge.
        n_nodes: number of nodes.
        fan_out: neighbours per node and layer at most, drawn without replacement.
        layers: layers of the model.
        backend: kernels that the blocks are bound to.
        device: where the blocks are used.

    Source:
        Hamilton et al., "Inductive Representation Learning on Large Graphs", 2017, algorithm 2.

    Raises:
        ConfigError: DGL is not installed.
    """

    def __init__(
        self,
        sources: torch.Tensor,
        targets: torch.Tensor,
        levels: torch.Tensor,
        *,
        n_nodes: int,
        fan_out: int,
        layers: int,
        backend: Backend,
        device: torch.device,
    ) -> None:
        dgl = load_dgl()
        kind = index_type(max(len(sources), n_nodes))
        edges = sources.cpu().to(kind), targets.cpu().to(kind)
        self._dgl, self._levels = dgl, levels.cpu()
        self._graph = dgl.graph(edges, num_nodes=n_nodes)
        # The sampler looks up a node's edges; the list of all of them is of no more use.
        self._graph = self._graph.formats(["csc"])
        # Fused sampling of dgl 1.1.3 mixes up node numbers after its first call.
        self._sampler = dgl.dataloading.NeighborSampler([fan_out] * layers, fused=False)
        self._backend, self._device = backend, device

    def seed(self, number: int) -> None:
        """Start DGL's random numbers anew, so that a training can be repeated."""
        self._dgl.seed(number)

    def of(self, seeds: torch.Tensor) -> tuple[torch.Tensor, list[Block]]:
        """The neighbourhood of `seeds` (n,), each once.

        Returns:
            (nodes, blocks), as `GAT.of_blocks` takes them.
        """
        wanted = seeds.cpu().to(self._graph.idtype)
        nodes, _, blocks = self._sampler.sample_blocks(self._graph, wanted)
        return nodes.long().to(self._device), [self._block(one) for one in blocks]

    def _block(self, block: Any) -> Block:
        sources, targets = (ends.long().to(self._device) for ends in block.edges())
        n_sources, n_targets = block.num_src_nodes(), block.num_dst_nodes()
        adjacency = Adjacency(sources, targets, n_sources, n_targets)
        levels = self._levels[block.edata[self._dgl.EID].long()].to(self._device)
        return Block(graph=bind(self._backend, adjacency), levels=levels[adjacency.order])
