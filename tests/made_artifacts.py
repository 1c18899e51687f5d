"""Artifacts from tables at hand, and a fan-out of judgements over them that can be killed.

Run as a program (`python -m tests.made_artifacts ROOT URL`) it judges the users of a made-up world
by the model at URL, in the artifact root ROOT.
"""

import sys
from collections.abc import Mapping
from typing import TypeVar

import polars as pl
from prefect import flow

from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.columns import (
    CANDIDATES,
    INTERACTIONS,
    ITEM,
    ITEM_PROFILES,
    ITEMS,
    USER,
    USER_PROFILES,
    VECTOR,
    Schema,
    vectors,
)
from recsys_core.config import FanOutConfig
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.user_context import RerankTables
from tasks.rerank import rerank
from tasks.runtime.references import (
    SCALE,
    CandidatesRef,
    CatalogueRef,
    EmbeddingsRef,
    ItemProfilesRef,
    JudgementsRef,
    SplitRef,
    UserProfilesRef,
)
from tests.rerank_world import world

R = TypeVar("R", bound=ArtifactRef)
Made = Mapping[str, tuple[pl.DataFrame, Schema]]
USERS, SHARD, IN_FLIGHT = 24, 4, 4


def put(store: ArtifactStore, name: str, tables: Made, **facts: object) -> ArtifactRef:
    """An artifact with these tables; the one that is there, if there is one of this name."""
    if found := store.find("made", name):
        return found
    with store.writer("made", name) as out:
        for table, (frame, schema) in tables.items():
            out.table(table, frame, schema)
        out.fact(SCALE, RatingScale().model_dump(mode="json"))
        for fact, value in facts.items():
            out.fact(fact, value)
        return out.commit(
            version="1", parameters={}, inputs={}, built_by="made", seconds=0, peak_memory_mib=0
        )


def judged(
    store: ArtifactStore,
    tables: RerankTables,
    llm: LLMConfig,
    config: RerankConfig,
    fan: FanOutConfig,
) -> JudgementsRef:
    """The step `rerank` on these tables; to be called in a flow."""

    def width(frame: pl.DataFrame) -> int:
        return int(frame.schema[VECTOR].size)  # type: ignore[attr-defined]  # an array

    def kept(kind: type[R], tables: Made) -> R:
        return put(store, kind.__name__, tables).as_type(kind)

    return rerank(
        store,
        fan,
        catalogue=kept(CatalogueRef, {"items": (tables.items, ITEMS)}),
        split=kept(SplitRef, {"train": (tables.history, INTERACTIONS)}),
        items=kept(ItemProfilesRef, {"item_profiles": (tables.item_profiles, ITEM_PROFILES)}),
        users=kept(UserProfilesRef, {"user_profiles": (tables.user_profiles, USER_PROFILES)}),
        embeddings=kept(EmbeddingsRef, {
            "users": (tables.user_vectors, vectors(USER, width(tables.user_vectors))),
            "items": (tables.item_vectors, vectors(ITEM, width(tables.item_vectors))),
        }),
        candidates=kept(CandidatesRef, {"candidates": (tables.candidates, CANDIDATES)}),
        llm=llm,
        ratings=RatingScale(),
        config=config,
        seed=0,
    )  # fmt: skip


@flow
def fan_out(root: str, url: str) -> JudgementsRef:
    """Judge a made-up world in shards of four users, two shards at a time."""
    tables, _ = world(n_users=USERS)
    llm = LLMConfig(model="openai/fake", api_base=url, max_in_flight=IN_FLIGHT)
    fan = FanOutConfig(shard_users=SHARD, shards_at_once=2)
    return judged(ArtifactStore(root=root), tables, llm, RerankConfig(), fan)


if __name__ == "__main__":
    fan_out(*sys.argv[1:])
