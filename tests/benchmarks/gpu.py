"""`make bench-gpu`: training on a GPU by the torch back end; needs neither DGL nor Prefect.

The same sparse operations on both devices in float64, then MovieLens 100K, 1M and a synthetic graph
of 25 million ratings: time of an epoch, peak memory, and NDCG@10 on the test rows beside the CPU's.

    make bench-gpu ARGS="--data FOLDER"        # ml-100k/ and ml-1m/ as Parquet; else synthetic
    make bench-gpu ARGS="--device cpu --edges 20000 --epochs 3"    # a rehearsal without a GPU
"""

import argparse
import resource
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch

from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Floats
from recsys_core.graph.model.csr import CSR
from recsys_core.graph.model.message_graph import Adjacency
from recsys_core.graph.model.message_passing import attend, bind
from recsys_core.graph.training.early_stopping import Validator
from recsys_core.graph.training.loop import fit
from recsys_core.graph.training.losses import pair_scores, softmax_over_items
from recsys_core.interactions.feedback import RatingScale
from tests.benchmarks.bars import Bars
from tests.benchmarks.graph_data import SHARED, SIZES, World, movielens, synthetic

NO_GPU = 3
"""Exit code where there is no such device."""
SAME_VALUES, SAME_NDCG = 1e-9, 0.01
"""Bars: differences in float64; of NDCG, three times what another seed changes."""


def main(arguments: list[str]) -> int:
    wanted = _parser().parse_args(arguments)
    device = torch.device(wanted.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(
            f"torch {torch.__version__} sees no CUDA device, so nothing was measured.\n"
            "Needed: an NVIDIA GPU and a CUDA build of torch. --device cpu rehearses the script.",
            file=sys.stderr,
        )
        return NO_GPU
    bars = Bars()
    print(f"{_name(device)}, torch {torch.__version__}")
    bars.at_most("largest difference to the CPU in float64", disagreement(device), SAME_VALUES)
    for name, sizes in SIZES.items():
        there = (wanted.data / name / "interactions.parquet").is_file()
        shrunk = [
            min(size, limit) for size, limit in zip(sizes, _limits(wanted.edges), strict=True)
        ]
        world = movielens(name, wanted.data) if there else synthetic(*shrunk)
        print(f"\n{name}{'' if there else ' (synthetic)'}:")
        for preset in ("paper", "best"):
            compare(world, preset, device, wanted.epochs, bars)
    print(f"\nsynthetic, {wanted.edges:,} ratings:")
    large = synthetic(*_limits(wanted.edges), held_out=False)
    for preset in ("paper", "best"):
        trained(large, preset, device, min(wanted.epochs, 5))
    return bars.missed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, prog="make bench-gpu")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--edges", type=int, default=25_000_000)
    parser.add_argument("--epochs", type=int, default=30)
    return parser


def _limits(edges: int) -> tuple[int, int, int]:
    """Users, items and ratings of a synthetic graph: 100 ratings per user, 500 per item."""
    return edges // 100, max(500, edges // 500), edges


def disagreement(device: torch.device) -> float:
    """Largest difference between `device` and the CPU over values and gradients, in float64."""
    here, there = (_values(one) for one in (torch.device("cpu"), device))
    return max(float((a - b.cpu()).abs().max()) for a, b in zip(here, there, strict=True))


def _values(device: torch.device) -> list[torch.Tensor]:
    nodes, users, pairs = 300, 200, 4_000
    generator = torch.Generator().manual_seed(0)
    ends = torch.randint(0, nodes, (2, pairs), generator=generator).to(device)
    graph = bind("torch", Adjacency(ends[0], ends[1], nodes))
    inputs = [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(device).requires_grad_()
        for shape in ((nodes, 4, 16), (nodes, 4), (nodes, 4), (pairs, 4))
    ]
    vectors = attend(graph, *inputs).flatten(1)
    rows = torch.randint(0, users, (pairs,), generator=generator).sort().values.to(device)
    columns = torch.randint(0, nodes - users, (pairs,), generator=generator).to(device)
    csr = CSR.of_sorted(rows, columns, (users, nodes - users))
    weights = torch.rand(pairs, generator=generator, dtype=torch.float64).to(device)
    dots = pair_scores(vectors[:users], vectors[users:], csr)
    loss = softmax_over_items(vectors[:users], vectors[users:], csr, weights)
    (loss + dots.sigmoid().mean()).backward()
    return [vectors.detach(), dots.detach(), *(one.grad for one in inputs if one.grad is not None)]


def compare(world: World, preset: str, device: torch.device, epochs: int, bars: Bars) -> None:
    """Train for as many epochs on `device` and on the CPU."""
    both = (device, torch.device("cpu"))
    (fast, ours), (slow, theirs) = (trained(world, preset, one, epochs) for one in both)
    print(f"  {slow / fast:.1f} times as fast as the CPU")
    bars.at_most("  difference of NDCG@10 on test", abs(ours - theirs), SAME_NDCG)


def trained(world: World, preset: str, device: torch.device, epochs: int) -> tuple[float, float]:
    """Seconds of the median epoch, and NDCG@10 on the test rows (0 where there are none)."""
    # The whole graph at once: samplers of neighbours would need DGL.
    config = GraphConfig.model_validate({"preset": preset, "max_epochs": epochs, "batch_edges": 0})
    times = [time.perf_counter()]
    torch.manual_seed(0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)

    def note(*_: object) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter())

    found = fit(replace(world.spec(config, epochs=epochs), device=device), note)
    ndcg = _ndcg(world, found.user_vectors, found.item_vectors)
    # The first epoch comes with the setting up, the last with the vectors of all nodes.
    spans = [after - before for before, after in pairwise(times)]
    epoch = median(spans[1:-1] or spans)
    print(
        f"  {preset} on {device}: {epoch:.4f} s an epoch, peak {_peak(device):.2f} GiB,"
        f" {epochs} epochs in {times[-1] - times[0]:.1f} s, NDCG@10 {ndcg:.4f}",
        flush=True,
    )
    return epoch, ndcg


def _ndcg(world: World, users: Floats, items: Floats) -> float:
    if not len(world.test):
        return 0.0
    known = world.graph.edges
    validator = Validator(known, world.test, n_items=world.graph.n_items, scale=RatingScale())
    return validator.ndcg(users, items)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _peak(device: torch.device) -> float:
    """GiB: of the device, or of this process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
