"""Step `fusion`: judgements and graph scores fused into the order that is served."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import RERANKED, SCALE, USER, WEIGHT
from recsys_core.rerank.fusion import fused_by_user
from tasks.runtime.references import CandidatesRef, JudgementsRef, PolicyRef, RerankedRef
from tasks.runtime.step import step


@step("fusion", version="4", returns=RerankedRef)
def fusion(
    out: ArtifactWriter,
    *,
    candidates: CandidatesRef,
    judged: JudgementsRef,
    policy: PolicyRef,
    weight: float,
    scale: str,
) -> None:
    """Fuse judgements and graph scores; asks no model.

    Args:
        out: tables `reranked`, the lists to serve, and `everybody`, the lists if all that were
            judged were reranked.
        candidates: the graph model's lists.
        judged: judgements of their tops.
        policy: who is reranked, with which weight and scale.
        weight: weight of the judgements of those who were judged and are not reranked.
        scale: their scale.
    """
    lists, scores = candidates.table("candidates"), judged.table("judged")
    served = policy.table("users")
    out.table("reranked", fused_by_user(lists, scores, served), RERANKED)
    others = scores.select(USER).unique().join(served, on=USER, how="anti").select(
        USER, pl.lit(weight, pl.Float64).alias(WEIGHT), pl.lit(scale).alias(SCALE)
    )  # fmt: skip
    out.table("everybody", fused_by_user(lists, scores, pl.concat([served, others])), RERANKED)
    out.fact("reranked_users", served[USER].is_in(scores[USER].unique().implode()).sum())
