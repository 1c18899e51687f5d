"""Step `fusion`: judgements and graph scores fused into the order that is served."""

from typing import Literal

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import RERANKED, USER
from recsys_core.rerank.fusion import fused_lists
from tasks.runtime.references import CandidatesRef, JudgementsRef, PolicyRef, RerankedRef
from tasks.runtime.step import step


@step("fusion", version="1", returns=RerankedRef)
def fusion(
    out: ArtifactWriter,
    *,
    candidates: CandidatesRef,
    judged: JudgementsRef,
    policy: PolicyRef,
    llm_weight: float,
    scale: Literal["score", "rank"],
) -> None:
    """Fuse judgements and graph scores; asks no model.

    Args:
        out: tables `reranked`, the lists to serve, and `everybody`, the lists if all that were
            judged were reranked.
        candidates: the graph model's lists.
        judged: judgements of their tops.
        policy: who is reranked.
        llm_weight: weight of the judgements; the graph scores have the rest.
        scale: how the two are made comparable.
    """
    lists, scores = candidates.table("candidates"), judged.table("judged")
    chosen, everybody = policy.table("users")[USER], lists[USER].unique()
    for name, users in (("reranked", chosen), ("everybody", everybody)):
        fused = fused_lists(lists, scores, users, weight=llm_weight, method=scale)
        out.table(name, fused, RERANKED)
    out.fact("llm_weight", llm_weight)
    out.fact("reranked_users", chosen.is_in(scores[USER].unique().implode()).sum())
