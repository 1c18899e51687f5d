"""A served model of the small data set, made by the steps' own functions without a flow."""

import asyncio
import json
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import polars as pl

from recsys_core import columns as c
from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.embedding.user_features import user_attribute_features
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.interaction_graph import InteractionGraph
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import vector_table
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.profiles.config import UserProfileConfig
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.items import profile_items
from recsys_core.profiles.users import profile_users
from recsys_core.serving import ServedModel, open_model
from recsys_core.serving.product import contract
from recsys_core.serving.product.config import ServingConfig
from tasks.runtime.references import (
    LEARNED,
    MASKED,
    SHOWN,
    CatalogueRef,
    EmbeddingsRef,
    GraphRef,
    ItemProfilesRef,
    ModelRef,
    PolicyRef,
    ServedModelRef,
    SplitRef,
    UserProfilesRef,
    UsersRef,
)
from tasks.served_model import served_model
from tasks.train import train
from tests.small_data import small_items, write_small

SCALE = RatingScale(rating_min=1, rating_max=10, like_from=7, dislike_from=4)
GRAPH = GraphConfig(hidden=8, heads=2, max_epochs=3, effort="quick")
AGES = 20, 60
WITHOUT = "film-03"
"""An item that may not be recommended."""


class World:
    """The tables, and the artifacts in a store.

    Args:
        root: folder of the store.
        order: column that orders the ratings; None: nothing does.
        attributes: whether users have an age.
    """

    def __init__(
        self, root: Path, *, order: str | None = c.TIMESTAMP, attributes: bool = True
    ) -> None:
        self.store = ArtifactStore(root=str(root / "artifacts"))
        self.items = small_items().with_columns(
            (pl.col(c.ITEM) != WITHOUT).alias(c.AVAILABLE), pl.col(c.OVERVIEW).cast(pl.String)
        )
        rows = pl.read_parquet(write_small(root / "data") / "interactions.parquet")
        number, none = pl.int_range(pl.len(), dtype=pl.Int64), pl.lit(None, pl.Int64)
        placed = {c.POSITION: number} if order == c.POSITION else {}
        self.ratings = rows.select(
            c.USER, c.ITEM, pl.col(c.RATING).cast(pl.Float32),
            (number * 86_400 if order == c.TIMESTAMP else none).alias(c.TIMESTAMP), **placed,
        )  # fmt: skip
        self.users = self.ratings.select(c.USER).unique().sort(c.USER)
        if attributes:
            spread = np.linspace(*AGES, self.users.height).round()
            self.users = self.users.with_columns(pl.Series(c.AGE, spread))

    def served(self, **changes: Any) -> ServedModelRef:
        """The served model."""
        parts = self.parts
        model = self.trained = _built(
            train, self._writer("train", ModelRef), split=parts["split"], graph=parts["graph"],
            embeddings=parts["embeddings"], config=GRAPH, ratings=SCALE, seed=0,
        )  # fmt: skip
        config = ServingConfig.model_validate(
            {"data": {"positive": 7, "negative": 4, "rating_min": 1, "rating_max": 10}} | changes
        )
        return _built(
            served_model, self._writer("served_model", ServedModelRef), model=model, config=config,
            ratings=self.ratings.height,
            **{name: parts[name] for name in (
                "known_users", "catalogue", "split", "items", "users", "graph", "embeddings",
                "policy",
            )},
        )  # fmt: skip

    @cached_property
    def parts(self) -> dict[str, Any]:
        """References to the artifacts that the model rests on."""
        profiles = asyncio.run(profile_items(self.items, RulesProvider()))
        held = np.random.default_rng(0).random(self.ratings.height) < 0.1
        rows = {
            "train": (self.ratings.filter(~pl.Series(held)), c.INTERACTIONS),
            "valid": (self.ratings.filter(pl.Series(held)), c.INTERACTIONS),
        }
        evidence = select_history(rows["train"][0], SCALE, UserProfileConfig())
        everybody = self.users[c.USER]
        written = asyncio.run(
            profile_users(everybody, evidence, self.items, profiles, RulesProvider())
        )
        attributes = user_attribute_features(self.users)
        graph = InteractionGraph.from_interactions(
            rows["train"][0], everybody, self.items[c.ITEM],
            attributes if attributes.shape[1] else None,
        )  # fmt: skip
        texts = {
            "items": vector_table(self.items[c.ITEM], _noise(self.items.height)),
            "item_features": vector_table(self.items[c.ITEM], _noise(self.items.height)),
            "users": vector_table(everybody, _noise(everybody.len())),
        }
        facts = dict.fromkeys((LEARNED, SHOWN, MASKED), "train+valid")
        return {
            "known_users": self._put("users", UsersRef, {"users": self.users}),
            "catalogue": self._put("catalogue", CatalogueRef, {"items": self.items}),
            "split": self._put("split", SplitRef, {k: v for k, (v, _) in rows.items()}, facts),
            "items": self._put("items", ItemProfilesRef, {"item_profiles": profiles}),
            "users": self._put(
                "profiles", UserProfilesRef, {"user_profiles": written, "evidence": evidence}
            ),
            "embeddings": self._put("embeddings", EmbeddingsRef, texts),
            "graph": self._put("graph", GraphRef, graph.tables()),
            "policy": self._put("policy", PolicyRef, {"probe": pl.DataFrame(schema=dict(c.PROBE))}),
        }

    def _put(
        self, name: str, kind: Any, tables: Mapping[str, pl.DataFrame], facts: Any = None
    ) -> Any:
        with self.store.writer("made", name) as out:
            for table, frame in tables.items():
                out.table(table, frame, {})
            for fact, value in (facts or {}).items():
                out.fact(fact, value, in_content=True)
            return _commit(out).as_type(kind)

    def _writer(self, step: str, kind: Any) -> tuple[Any, Any]:
        return self.store.writer(step, step), kind


def _built(step: Any, place: tuple[Any, Any], **inputs: Any) -> Any:
    writer, kind = place
    with writer as out:
        step._build(out, **inputs)
        return _commit(out).as_type(kind)


def _commit(out: Any) -> ArtifactRef:
    return out.commit(
        version="1", parameters={}, inputs={}, built_by="made", seconds=0, peak_memory_mib=0
    )


def _noise(count: int) -> Any:
    return np.random.default_rng(count).normal(size=(count, 6)).astype(np.float32)


@cache
def world(order: str | None = c.TIMESTAMP, attributes: bool = True) -> tuple[World, str]:
    """A world, and the URI of its served model; made once per process."""
    made = World(Path(mkdtemp(prefix="served-world-")), order=order, attributes=attributes)
    return made, made.served().uri


@cache
def model(order: str | None = c.TIMESTAMP, attributes: bool = True) -> ServedModel:
    """The model of a world."""
    return open_model(world(order, attributes)[1])


def run(root: Path, name: str, *models: str) -> Path:
    """The folder of a run that left these models."""
    folder = root / name
    folder.mkdir(parents=True)
    steps = [{"step": contract.STEP, "artifact": one} for one in models]
    (folder / "summary.json").write_text(json.dumps({"steps": steps}), "utf-8")
    return folder
