"""A small graph with a planted taste, and trainings on it, one of which can be killed.

    python -m tests.graph_world SCRATCH PRESET THREADS

trains with checkpoints, in so many threads, and writes a line per epoch.
"""

import sys
from dataclasses import replace
from hashlib import sha256

import numpy as np
import polars as pl
import torch

from recsys_core.columns import ITEM, USER
from recsys_core.graph.components.dot_products.base import COMPONENTS, NETWORK
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.inference.fold_in import FittedModel
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.training.score_sum import Choice
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.graph.training.trainer import Trained, train
from recsys_core.interactions.feedback import RatingScale

SMALL = {"hidden": 8, "heads": 2, "max_epochs": 30, "evaluate_every": 5, "effort": "quick"}
CONFIGS = {
    "paper": GraphConfig(preset="paper", learning_rate=0.01, **SMALL),
    "best": GraphConfig(preset="best", recipe="dense", **SMALL),
    "sparse": GraphConfig(preset="best", recipe="sparse", users_per_step=16, **SMALL),
}
ALONE = CONFIGS["best"].model_copy(update={"components": False})
"""The network of `best` without components."""
KILLABLE = {
    name: one.model_copy(update={"checkpoint_every": 4, "max_epochs": 20, "patience": 9})
    for name, one in CONFIGS.items()
}
DATA = RatingScale()
N_USERS, N_ITEMS, TASTES = 40, 48, 4
_REGRESSION = {"lambda": 400.0, "likeness": 1.0, "sharpness": 3.0, "rank": float(N_ITEMS)}


def settings_of(*, decay: float = 0.0) -> dict[str, dict[str, float]]:
    """Settings of every dot-product component; `decay` is LightGCN's."""
    return {
        "ease": _REGRESSION, "residual_ease": _REGRESSION, "temporal_popularity": {},
        "lightgcn": {"decay": decay},
    }  # fmt: skip


def edges_of(users: object, items: object, ratings: object, times: object = None) -> Edges:
    """Edges of anything array-like; without times, these are unknown."""
    users = np.asarray(users, np.int64)
    return Edges(
        users=users,
        items=np.asarray(items, np.int64),
        ratings=np.broadcast_to(np.asarray(ratings, np.float32), users.shape),
        times=np.broadcast_to(np.nan if times is None else np.asarray(times, float), users.shape),
    )


def planted(seed: int = 0) -> tuple[InteractionGraph, Edges, Edges]:
    """Users like the items of their taste: training, validation and test edges.

    They rate over half a year.
    The last user and the last item have no edge, the last but one user dislikes everything.
    """
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((N_USERS - 1, N_ITEMS - 1)) < 0.4)
    users, items = pairs[:, 0], pairs[:, 1]
    fond = (users % TASTES == items % TASTES) & (users != N_USERS - 2)
    seconds = np.random.default_rng([seed, 1]).integers(0, 26 * 7 * 86_400, len(users))
    edges = edges_of(users, items, np.where(fond, 5, 1), seconds)
    part = rng.choice(3, len(users), p=[0.7, 0.15, 0.15])
    graph = InteractionGraph(
        user_ids=pl.Series(USER, [f"u{n}" for n in range(N_USERS)]),
        item_ids=pl.Series(ITEM, range(N_ITEMS)),
        edges=edges.where(part == 0),
    )
    return graph, edges.where(part == 1), edges.where(part == 2)


def texts(seed: int = 1) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(N_USERS, 6)).astype(np.float32),
        rng.normal(size=(N_ITEMS, 6)).astype(np.float32),
    )


def spec_of(config: GraphConfig) -> TrainingSpec:
    """The planted graph as a spec of one epoch."""
    graph, _, _ = planted()
    users, items = texts()
    return TrainingSpec(
        phase="final", graph=graph, user_text=users, item_text=items, data=DATA,
        config=config.for_data(1, 1, 1), seed=0, device=torch.device("cpu"), backend="torch",
        epochs=1,
    )  # fmt: skip


def spec_with(edges: Edges, **changes: object) -> TrainingSpec:
    """A spec of the preset `best` on other edges, with some fields of its configuration changed."""
    spec = spec_of(CONFIGS["best"].model_copy(update=changes))
    return replace(spec, graph=spec.graph.with_edges(edges))


def run(config: GraphConfig, seed: int = 0, **changes: object) -> Trained:
    graph, valid, _ = planted()
    users, items = texts()
    given: dict[str, object] = {
        "graph": graph, "valid": valid, "user_vectors": users, "item_vectors": items,
        "config": config, "data": DATA, "seed": seed,
    }  # fmt: skip
    return train(**(given | changes))  # type: ignore[arg-type]


def fitted_of(
    trained: Trained, graph: InteractionGraph | None = None, **changes: object
) -> FittedModel:
    """What places users who come after a training of the planted graph (or another one)."""
    users, items = texts()
    given: dict[str, object] = {
        "graph": graph or planted()[0], "weights": trained.weights, "user_text": users,
        "item_text": items, "config": trained.config, "data": DATA, "served": trained.served,
    }  # fmt: skip
    return FittedModel(**(given | changes))  # type: ignore[arg-type]


def every_component(*, decay: float) -> Choice:
    """The network and all dot products, each with a weight of its own; `decay` is LightGCN's."""
    return Choice(
        weights={NETWORK: 1.0} | {name: 0.5 + at for at, name in enumerate(COMPONENTS)},
        settings=settings_of(decay=decay),
        item_model={"effort": "quick", "seed": 0, "components": {}, "cut": {}},
    )


def with_tastes(graph: InteractionGraph) -> InteractionGraph:
    """The same users, with their tastes as attributes."""
    return replace(graph, attributes=np.eye(TASTES, dtype=np.float32)[np.arange(N_USERS) % TASTES])


def result(trained: Trained) -> str:
    """Hash of all that a training gives."""
    vectors = (trained.user_vectors, trained.item_vectors, trained.search.item_vectors)
    return sha256(trained.to_bytes() + b"".join(one.tobytes() for one in vectors)).hexdigest()


def main(folder: str, preset: str, threads: str) -> None:
    from pyarrow.fs import LocalFileSystem

    from recsys_core.artifacts import Scratch

    torch.set_num_threads(int(threads))

    def told(epoch: int, *_: object) -> None:
        print("epoch", epoch, flush=True)

    scratch = Scratch(LocalFileSystem(), folder)
    run(KILLABLE[preset], on_epoch=told, scratch=scratch)


if __name__ == "__main__":
    main(*sys.argv[1:])
