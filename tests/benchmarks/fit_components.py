"""Item-to-item components on a synthetic graph: `python -m tests.benchmarks.fit_components USERS
ITEMS INTERACTIONS`.

The last line is JSON: seconds by the clock and of the processor, and peak memory in GiB of the
whole process.
"""

import json
import resource
import sys
import time

import flows  # noqa: F401  before torch: sets the environment's defaults
from tests.benchmarks.graph_data import synthetic


def main(users: int, items: int, interactions: int) -> None:
    import torch

    from recsys_core.graph.components.selection.search import search_components
    from recsys_core.graph.training.score_sum import histories_of
    from recsys_core.interactions.feedback import RatingScale
    from recsys_core.memory import memory_limit

    torch.set_num_threads(2)
    world, scale = synthetic(users, items, interactions), RatingScale()
    shape = world.graph.n_users, world.graph.n_items
    train, valid = (
        histories_of(one, shape, 0.5, scale) for one in (world.graph.edges, world.valid)
    )
    began, used = time.perf_counter(), time.process_time()
    found = search_components(train, valid, effort="quick", memory=memory_limit())
    found.refit(train, found.learn_weights())
    seconds, used = time.perf_counter() - began, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "cpu_seconds": used, "peak_gib": peak}))


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
