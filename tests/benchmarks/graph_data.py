"""Graphs to measure training on: MovieLens from the shared data, and synthetic ones of any size.

Text vectors are random: speed does not depend on what they say.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from recsys_core.columns import ITEM, RATING, TIMESTAMP, USER
from recsys_core.datasets.config import SplitConfig
from recsys_core.datasets.split_parts import Split
from recsys_core.datasets.splits import split_interactions
from recsys_core.embedding.item_features import (
    MAX_LABEL_DIMENSIONS,
    MAX_WORD_DIMENSIONS,
    YEAR_DIMENSIONS,
)
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import Edges, Floats, Indices, InteractionGraph
from recsys_core.graph.training.spec import TrainingSpec
from recsys_core.interactions.feedback import RatingScale

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
TEXT = 384
"""Width of the text vectors."""
FEATURES = 2 * TEXT + MAX_LABEL_DIMENSIONS + MAX_WORD_DIMENSIONS + YEAR_DIMENSIONS
"""Width of the items' features at most: texts, labels, words, years (`embedding.item_features`)."""
SIZES = {
    "ml-100k": (943, 1_682, 100_000),
    "ml-1m": (6_040, 3_883, 1_000_000),
    "ml-latest-small": (610, 9_742, 100_836),
}
"""Users, items, ratings."""
_GROUPS = 8


@dataclass(frozen=True, kw_only=True)
class World:
    """A graph to train on, and what is held out of it."""

    graph: InteractionGraph
    valid: Edges
    test: Edges
    user_text: Floats

    def item_text(self, config: GraphConfig) -> Floats:
        """What describes the items, as wide as the configuration has it."""
        return _text(self.graph.n_items, 2, FEATURES if config.item_features else TEXT)

    def spec(self, config: GraphConfig, *, epochs: int, device: str = "cpu") -> TrainingSpec:
        """Full-batch training of `epochs` epochs, without validation, by the torch back end."""
        graph = self.graph
        sized = config.for_data(len(graph.edges), graph.n_users, graph.n_items)
        return TrainingSpec(
            phase="bench", graph=self.graph, user_text=self.user_text,
            item_text=self.item_text(config), config=sized, data=RatingScale(), seed=0,
            device=torch.device(device), backend="torch", epochs=epochs,
        )  # fmt: skip


def movielens(name: str, shared: Path = SHARED, *, whole: bool = False) -> World:
    """`ml-100k` (the official first fold) or `ml-1m` (a random one), or all ratings to train on.

    Where the data are missing, a synthetic graph of the same size, which is said.
    """
    folder = shared / name
    if not folder.is_dir():
        print(f"{name} is not there: a synthetic graph of its size instead")
        return synthetic(*SIZES[name], held_out=not whole)
    interactions = pl.read_parquet(folder / "interactions.parquet")
    items = pl.read_parquet(folder / "items.parquet")
    return _world(interactions, items[ITEM].unique().sort(), split=not whole)


def synthetic(
    n_users: int, n_items: int, n_edges: int, *, held_out: bool = True, seed: int = 0
) -> World:
    """`n_edges` ratings; popular items and others, and every user likes one item in eight best.

    With `held_out`, a fold of five and a tenth of the rest are not in the graph.
    """
    assert n_edges < n_users * n_items / 4, "so many distinct pairs would take long to draw"
    rng, found = np.random.default_rng(seed), np.empty(0, np.int64)
    while len(found) < n_edges:
        found = np.union1d(found, _pairs(rng, n_users, n_items, n_edges))
    found = np.sort(rng.choice(found, n_edges, replace=False, shuffle=False))
    users, items = np.divmod(found, n_items)
    near = items % _GROUPS == users % _GROUPS
    ratings = rng.integers(1, 5, n_edges) + near
    interactions = pl.DataFrame({USER: users, ITEM: items, RATING: ratings.astype(np.float64)})
    interactions = interactions.with_columns(pl.lit(None, pl.Int64).alias(TIMESTAMP))
    return _world(interactions, pl.Series(ITEM, np.arange(n_items)), split=held_out)


def _pairs(rng: np.random.Generator, n_users: int, n_items: int, n_edges: int) -> Indices:
    users = rng.integers(0, n_users, n_edges)
    items = (n_items * rng.random(n_edges) ** 2).astype(np.int64)  # low numbers are popular
    own = np.minimum(items // _GROUPS * _GROUPS + users % _GROUPS, n_items - 1)
    return users * n_items + np.where(rng.random(n_edges) < 0.5, own, items)


def _world(interactions: pl.DataFrame, items: pl.Series, *, split: bool = True) -> World:
    users = interactions[USER].unique().sort()
    parts = split_interactions(interactions, SplitConfig(), 0) if split else _whole(interactions)
    graph = InteractionGraph.from_interactions(parts.train, users, items)
    return World(
        graph=graph,
        valid=graph.edges_of(parts.valid),
        test=graph.edges_of(parts.test),
        user_text=_text(graph.n_users, 1, TEXT),
    )


def _whole(interactions: pl.DataFrame) -> Split:
    nothing = interactions.clear()
    return Split(train=interactions, valid=nothing, test=nothing, kind="none")


def _text(rows: int, seed: int, width: int) -> Floats:
    """(rows, width) vectors of about length 1."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((rows, width), dtype=np.float32) / np.sqrt(np.float32(width))


def shortened(config: GraphConfig, epochs: int) -> GraphConfig:
    """The same preset with a schedule of `epochs` epochs."""
    return config.model_validate({**config.model_dump(), "max_epochs": epochs})
