"""Explain: a reason for every recommendation, with the evidence it rests on."""

from recsys_core.artifacts import ArtifactRef, ArtifactWriter
from recsys_core.columns import RECOMMENDATIONS
from recsys_core.config import LLMConfig, RerankConfig
from recsys_core.explanations.run import explain as explain_users
from tasks.llm import ask
from tasks.profile import DAY
from tasks.progress import progress
from tasks.step import step


@step("explain", version="1", timeout_seconds=DAY, tags=("llm",))
def explain(
    out: ArtifactWriter,
    data: ArtifactRef,
    items: ArtifactRef,
    users: ArtifactRef,
    reranked: ArtifactRef,
    llm: LLMConfig,
    config: RerankConfig,
) -> None:
    """Write the final lists with a reason for each entry (paper, section 2.3).

    Args:
        out: tables `recommendations` and `llm_calls`.
        data: the ingested data set.
        items: item profiles.
        users: user profiles, and the evidence they were written from.
        reranked: the lists in their final order.
        llm: who writes the reasons.
        config: how many entries a list has.
    """
    people = users.table("user_profiles")
    with progress("explanations", people.height) as report:
        recommendations, facts = ask(
            out,
            llm,
            lambda model: explain_users(
                reranked.table("reranked"),
                items=data.table("items"),
                item_profiles=items.table("item_profiles"),
                user_profiles=people,
                evidence=users.table("evidence"),
                provider=model,
                config=config,
                on_user=report,
            ),
        )
    out.table("recommendations", recommendations, RECOMMENDATIONS)
    for name, value in facts.items():
        out.fact(name, value)
