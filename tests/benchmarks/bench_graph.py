"""Training of preset `paper` on MovieLens 1M, negatives and lists, against stock libraries.

An epoch is forward, loss, backward and optimiser. Everything is measured in turn, so that a machine
that slows down slows all alike, and the best of the rounds counts. PyTorch Geometric is no
dependency of the project. To have it measured:

    pip install --no-deps --target .cache/pyg torch_geometric xxhash
    PYTHONPATH=.cache/pyg make bench ARGS=graph
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from recsys_core.graph.config import GraphConfig
from recsys_core.graph.model.message_graph import Adjacency, MessagePassing
from recsys_core.graph.model.message_passing import attend, bind
from recsys_core.graph.training.loop import fit
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.negative_sampling import NegativeSampler
from recsys_core.interactions.topk import top_k
from tests.benchmarks.bars import Bars
from tests.benchmarks.graph_data import World, movielens
from tests.benchmarks.graph_stock import HAS_PYG, dgl_step, pyg_step

THREADS = 2
ROUNDS = 5
OF_DGL, OF_PYG, NEGATIVES_MS, OF_IMPLICIT = 0.6, 0.1, 50, 1.5
"""The bars."""


def main() -> int:
    torch.set_num_threads(THREADS)
    world, bars = movielens("ml-1m"), Bars()
    negatives(bars)
    back_ends(world, bars)
    epoch(world, bars)
    lists(world, bars)
    return bars.missed


def negatives(bars: Bars) -> None:
    graph = movielens("ml-1m", whole=True).graph
    users = torch.tensor(np.sort(graph.edges.liked(RatingScale()).users))
    known = torch.tensor(graph.edges.users), torch.tensor(graph.edges.items)
    sampler = NegativeSampler(*known, n_users=graph.n_users, n_items=graph.n_items)
    generator = torch.Generator().manual_seed(0)
    (best,) = _in_turn([lambda: sampler.draw(users, generator)], rounds=50)
    what = f"negatives of the {len(users):,} positives of MovieLens 1M"
    bars.at_most(what, best * 1000, NEGATIVES_MS, " ms")


def back_ends(world: World, bars: Bars) -> None:
    """One round of attention, forward and backward, by each: `auto` takes the faster."""
    liked, width = world.graph.edges.liked(RatingScale()), (4, 64)
    users, items = torch.tensor(liked.users), torch.tensor(liked.items) + world.graph.n_users
    nodes = world.graph.n_users + world.graph.n_items
    adjacency = Adjacency(torch.cat([users, items]), torch.cat([items, users]), nodes)
    features = torch.randn(nodes, *width, requires_grad=True)
    scores = torch.randn(nodes, width[0], requires_grad=True)

    def round_of(graph: MessagePassing) -> Callable[[], object]:
        return lambda: attend(graph, features, scores, scores).sum().backward()

    both = [round_of(bind("torch", adjacency)), round_of(bind("dgl", adjacency))]
    ours, dgl = _in_turn(both, rounds=ROUNDS)
    print(f"attention over {2 * len(users):,} edges: torch {ours:.3f} s; DGL's kernels {dgl:.3f} s")
    bars.at_most("  torch back end (which auto takes), of the time of dgl", ours / dgl, 1)


def epoch(world: World, bars: Bars) -> None:
    spec = world.spec(GraphConfig(preset="paper"), epochs=ROUNDS + 3)
    torch.manual_seed(0)
    stock = [dgl_step(spec), *([pyg_step(spec)] if HAS_PYG else [])]
    times: list[list[float]] = [[] for _ in range(1 + len(stock))]
    began = [0.0]

    def after_ours(epoch: int, *_: object) -> None:
        times[0].append(time.perf_counter() - began[0])
        for kept, step in zip(times[1:], stock, strict=True):
            if epoch <= (ROUNDS if step is stock[0] else 2):
                kept.append(_seconds(step))
        began[0] = time.perf_counter()

    fit(spec, after_ours)
    # The first epoch comes with the setting up, the last with the vectors of all nodes.
    ours, *others = min(times[0][1:-1]), *(min(some) for some in times[1:])
    print(f"an epoch of preset paper on MovieLens 1M, {THREADS} threads: {ours:.2f} s;", end=" ")
    print("; ".join(f"{n} {t:.2f} s" for n, t in zip(("DGL", "PyG"), others, strict=False)))
    bars.at_most("  of the time with dgl.nn.GATConv", ours / others[0], OF_DGL)
    if HAS_PYG:
        bars.at_most("  of the time with PyG's GATv2Conv", ours / others[1], OF_PYG)
    else:
        bars.unknown("  against PyG's GATv2Conv", "it is not installed (see this file's head)")


def lists(world: World, bars: Bars) -> None:
    from implicit.cpu.topk import topk
    from scipy.sparse import csr_matrix

    rng, graph = np.random.default_rng(0), world.graph
    users, items = (
        rng.standard_normal((rows, 257), dtype=np.float32)
        for rows in (graph.n_users, graph.n_items)
    )
    seen = graph.edges
    known = csr_matrix(
        (np.ones(len(seen), np.float32), (seen.users, seen.items)),
        shape=(graph.n_users, graph.n_items),
    )
    found: list[np.ndarray] = []

    def ours() -> None:
        found[:] = [top_k(users, items, seen.users, seen.items, 20)[0]]

    def theirs() -> None:
        found[1:] = [topk(items, users, 20, filter_query_items=known, num_threads=THREADS)[0]]

    mine, other = _in_turn([ours, theirs], rounds=ROUNDS)
    same = (found[0] == found[1]).mean()
    print(f"top 20 of every user: {mine:.2f} s; implicit {other:.2f} s; {same:.2%} of places agree")
    bars.at_most("  of the time of implicit", mine / other, OF_IMPLICIT)


def _in_turn(steps: list[Callable[[], object]], rounds: int) -> list[float]:
    """The best time of each step, in seconds, after one round that does not count."""
    times = [[_seconds(step) for step in steps] for _ in range(rounds + 1)]
    return [min(column) for column in zip(*times[1:], strict=True)]


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started
