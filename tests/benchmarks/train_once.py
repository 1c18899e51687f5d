"""One training in a process of its own: `python -m tests.benchmarks.train_once WORLD PRESET`.

WORLD is a name of `graph_data.SIZES`, or EDGES for a synthetic graph, on which a single epoch is
trained. The last line is JSON: seconds by the clock and of the processor, peak memory in GiB (the
whole process, data included), and the outcome.
"""

import json
import resource
import sys
import time

import flows  # noqa: F401  before torch: sets the environment's defaults
from recsys_core.graph.config import GraphConfig
from recsys_core.interactions.feedback import RatingScale
from tests.benchmarks.graph_data import World, movielens, synthetic


def main(name: str, preset: str) -> None:
    import torch

    torch.set_num_threads(2)
    config = GraphConfig.model_validate({"preset": preset})
    if name.isdigit():
        edges = int(name)
        config = GraphConfig.model_validate({"preset": preset, "batch_edges": 0})
        facts = one_epoch(synthetic(edges // 100, edges // 500, edges, held_out=False), config)
    else:
        facts = to_the_end(movielens(name), config)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({**facts, "peak_gib": peak}))


def to_the_end(world: World, config: GraphConfig) -> dict[str, object]:
    """Both phases: the search for the best epoch, and the fit on all rows for as many."""
    from recsys_core.graph.training.trainer import train

    started, used, began = time.perf_counter(), time.process_time(), []

    def note(epoch: int, *_: object) -> None:
        if epoch == 1:
            began.append(time.perf_counter())  # of each phase

    trained = train(
        world.graph, world.valid, world.user_text, world.item_text(config), config,
        RatingScale(), 0, on_epoch=note,
    )  # fmt: skip
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "search_seconds": began[1] - started,
        "epoch": trained.best_epoch,
        "valid_ndcg": trained.facts["valid_ndcg"],
        "valid_ndcg_of_sum": trained.facts.get("valid_ndcg_of_sum"),
        "edges": len(world.graph.edges),
    }


def one_epoch(world: World, config: GraphConfig) -> dict[str, object]:
    from recsys_core.graph.training.loop import fit

    started = time.perf_counter()
    found = fit(world.spec(config, epochs=1))
    return {
        "seconds": time.perf_counter() - started,
        "epoch": found.epoch,
        "edges": len(world.graph.edges),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
