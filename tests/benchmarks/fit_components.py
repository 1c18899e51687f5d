"""Item-to-item components and an epoch of the network on a synthetic graph:
`python -m tests.benchmarks.fit_components USERS ITEMS INTERACTIONS`.

The last line is JSON: seconds by the clock and of the processor, and peak memory in GiB of the
whole process up to there: of the components, of an epoch of the network after them, and of three
peers on the same ratings: ALS of the library implicit (100 factors, 15 passes, its defaults), EASE
as its paper has it, one inversion by LAPACK in float64, up to 10,000 items, and an epoch of ELSA by
the library elsarec (256 factors, batches of 128 users), which reads dense rows: of 2,048 users, its
time multiplied by what they are of all.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

import flows  # noqa: F401  before torch: sets the environment's defaults
from tests.benchmarks.graph_data import synthetic

_LAPACK_ITEMS = 10_000
_ELSA_USERS = 2_048


def main(users: int, items: int, interactions: int) -> None:
    import torch

    from recsys_core.graph.components.selection.search import search_components
    from recsys_core.graph.config import GraphConfig
    from recsys_core.graph.training.loop import fit
    from recsys_core.graph.training.score_sum import histories_of
    from recsys_core.interactions.feedback import RatingScale
    from recsys_core.memory import memory_limit

    torch.set_num_threads(2)
    world, scale = synthetic(users, items, interactions), RatingScale()
    shape = world.graph.n_users, world.graph.n_items
    train, valid = (
        histories_of(one, shape, 0.5, scale) for one in (world.graph.edges, world.valid)
    )
    told: dict[str, float] = {}
    with _measured(told, ""):
        found = search_components(train, valid, effort="quick", memory=memory_limit())
        found.refit(train, found.learn_weights())
    spec = world.spec(GraphConfig(), epochs=1)
    with _measured(told, "epoch_"):
        fit(spec)
    rows = train.matrix(train.weights)
    with _measured(told, "implicit_als_"):
        _als(rows)
    if items <= _LAPACK_ITEMS:
        with _measured(told, "lapack_ease_"):
            _ease(rows)
    with _measured(told, "elsa_epoch_"):
        _elsa(rows[:_ELSA_USERS])
    for unit in ("seconds", "cpu_seconds"):
        told[f"elsa_epoch_{unit}"] *= max(1.0, users / _ELSA_USERS)
    print(json.dumps(told))


def _als(rows: sparse.csr_matrix) -> None:
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):
        AlternatingLeastSquares(random_state=0).fit(rows, show_progress=False)


def _ease(rows: sparse.csr_matrix) -> None:
    gram = (rows.T @ rows).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += 100.0
    inverse = np.linalg.inv(gram)
    inverse /= -np.diag(inverse)


def _elsa(rows: sparse.csr_matrix) -> None:
    import torch
    from elsa import ELSA

    model = ELSA(n_items=rows.shape[1], n_dims=256, device=torch.device("cpu"))
    model.fit(rows, batch_size=128, epochs=1, verbose=False)


@contextmanager
def _measured(told: dict[str, float], prefix: str) -> Iterator[None]:
    began, used = time.perf_counter(), time.process_time()
    yield
    told[f"{prefix}seconds"] = time.perf_counter() - began
    told[f"{prefix}cpu_seconds"] = time.process_time() - used
    told[f"{prefix}peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
