"""The steps `policy` and `fusion`: whose lists the judgements change, and the fused order."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prefect import flow

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import CANDIDATES, ITEM, JUDGED, RANK, USER, Schema
from recsys_core.interactions.feedback import RatingScale
from recsys_core.rerank.config import FusionConfig
from tasks.fusion import fusion
from tasks.fusion_policy import fusion_policy
from tasks.probe import probe
from tasks.runtime.references import (
    CandidatesRef,
    JudgementsRef,
    ListsRef,
    PolicyRef,
    RerankedRef,
    SplitRef,
    UsersRef,
)
from tasks.runtime.step import step

CALLS: list[int] = []


@pytest.fixture
def store(tmp_path: Path, prefect_server: None) -> ArtifactStore:
    CALLS.clear()
    return ArtifactStore(root=str(tmp_path / "artifacts"))


CHAIN: dict[str, Schema] = {"candidates": CANDIDATES, "valid_candidates": CANDIDATES}


class WorldRef(ArtifactRef):
    """Lists, training and validation rows and users in one artifact."""


@step("world", version="1", returns=WorldRef)
def made(out: ArtifactWriter, *, valid: bool) -> None:
    """Six users with ten candidates each, of which the last one is liked."""
    rows = [(f"u{n}", f"i{rank}", rank, -float(rank)) for n in range(6) for rank in range(1, 11)]
    lists = pl.DataFrame(rows, schema=typed(CANDIDATES), orient="row")
    for name, schema in CHAIN.items():
        out.table(name, lists, schema)
    train = interactions(
        [(f"u{n}", f"t{m}", 4.0) for n in range(6) for m in range(3 + 9 * (n % 2))]
    )
    out.table("train", train, {USER: None})
    held = interactions([(f"u{n}", "i10", 5.0) for n in range(6)])
    out.table("valid", held if valid else held.clear(), {USER: None})
    out.table("users", pl.DataFrame({USER: [f"u{n}" for n in range(7)]}), {USER: None})


def typed(schema: Schema) -> dict[str, Any]:
    return {name: dtype or pl.String for name, dtype in schema.items()}


def interactions(rows: list[tuple[str, str, float]]) -> pl.DataFrame:
    schema = {USER: pl.String, ITEM: pl.String, "rating": pl.Float32}
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        pl.lit(None, pl.Int64).alias("timestamp")
    )


@step("judgements", version="1", returns=JudgementsRef)
def judgements(out: ArtifactWriter, *, candidates: ListsRef, good: bool) -> None:
    """The model likes the last candidate best, or worst."""
    CALLS.append(1)
    score = pl.col(RANK) if good else -pl.col(RANK)
    judged = candidates.table("candidates").select(
        USER, ITEM, RANK, pl.col("score").alias("graph_score"),
        score.cast(pl.Float32).alias("llm_score"), pl.lit("relevancy").alias("strategy"),
        pl.lit(None, pl.Float32).alias("agreement"),
    )  # fmt: skip
    out.table("judged", judged, JUDGED)


@flow
def fusing(
    store: ArtifactStore,
    config: FusionConfig,
    good: bool,
    valid: bool = True,
    tuned: PolicyRef | None = None,
) -> tuple[PolicyRef, RerankedRef]:
    world = made(store, valid=valid)
    users, split, candidates = (world.as_type(kind) for kind in (UsersRef, SplitRef, CandidatesRef))

    def judge(candidates: ListsRef) -> JudgementsRef:
        return judgements(store, candidates=candidates, good=good)

    seen = None
    if valid and config.policy == "auto":
        seen = probe(
            store, judge, split=split, candidates=candidates, ratings=RatingScale(),
            cold_below=10, config=config, seed=0, judged=[],
        )  # fmt: skip
    policy = fusion_policy(
        store, known_users=users, split=split, cold_below=10, config=config, probe=seen, tuned=tuned
    )
    return policy, fusion(
        store, candidates=candidates, judged=judge(candidates), policy=policy,
        weight=config.fixed_weight, scale=config.fixed_scale,
    )  # fmt: skip


def changed(fused: RerankedRef, table: str = "reranked") -> set[str]:
    lists = fused.table(table)
    return set(lists.filter((pl.col(RANK) == 1) & (pl.col(ITEM) != "i1"))[USER])


EVERYBODY = {f"u{n}" for n in range(6)}
COLD = {"u0", "u2", "u4"}


@pytest.mark.parametrize(
    ("config", "good", "users"),
    [
        ({}, True, EVERYBODY), ({}, False, set()), ({"policy": "cold-only"}, True, COLD),
    ],
)  # fmt: skip
def test_the_policy_decides_whose_lists_change(
    store: ArtifactStore, config: dict[str, Any], good: bool, users: set[str]
) -> None:
    policy, fused = fusing(store, FusionConfig(**config), good)
    assert changed(fused) == users
    if good:
        assert changed(fused, "everybody") == EVERYBODY
    assert policy.manifest.facts["why"] == ("probe" if not config else "configured")
    assert fused.manifest.facts["reranked_users"] == (6 if not config and good else len(users))


def test_another_weight_asks_nothing_anew(store: ArtifactStore) -> None:
    fusing(store, FusionConfig(), True)
    assert len(CALLS) == 2, "the probe's lists and everybody's"
    fusing(store, FusionConfig(llm_weight=0.5), True)
    fusing(store, FusionConfig(policy="all"), True)
    assert len(CALLS) == 2


def test_a_probe_in_stages_judges_every_user_once(store: ArtifactStore) -> None:
    policy, _ = fusing(store, FusionConfig(probe_users=(3, 6), weigh_users=3), True)
    stages = policy.table("probe")
    assert stages["users"].to_list() == [3], "equal gains of all users leave no doubt"
    assert policy.manifest.facts["policy"] == "all"
    policy, _ = fusing(store, FusionConfig(probe_users=(3, 6)), True)
    assert policy.table("probe")["users"].to_list() == [3, 6], "the weight rests on more"
    assert policy.manifest.facts["policy"] == "all"
    harmed, _ = fusing(store, FusionConfig(probe_users=(3, 6)), False)
    assert harmed.table("probe")["decision"].to_list() == ["futile"]
    assert harmed.table("users").is_empty()


def test_without_validation_the_tuned_choice_is_taken_over(store: ArtifactStore) -> None:
    tuned, _ = fusing(store, FusionConfig(), True)
    policy, fused = fusing(store, FusionConfig(), True, valid=False, tuned=tuned)
    assert changed(fused) == EVERYBODY
    assert policy.manifest.facts["why"] == "chosen with a validation split"
    alone, fused = fusing(store, FusionConfig(), True, valid=False)
    assert changed(fused) == set()
    assert alone.manifest.facts["why"] == "nobody to ask"
