"""Step `explain`: a reason for every recommendation, with the evidence that it rests on."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import LLM_CALLS, RECOMMENDATIONS, USER
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.explainer import explain as explain_users
from recsys_core.explanations.prompt import EXPLANATION
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from tasks.runtime.llm_calls import LEDGER, ask, prompts_in_use
from tasks.runtime.progress import progress
from tasks.runtime.references import (
    AttributionsRef,
    CatalogueRef,
    ItemProfilesRef,
    RecommendationsRef,
    RerankedRef,
    SplitRef,
    UserProfilesRef,
    liking,
    shown_history,
)
from tasks.runtime.sharded import Shard, sharded


@sharded(
    "explain",
    version="27",
    returns=RecommendationsRef,
    lists="reranked",
    tables={"recommendations": RECOMMENDATIONS, LEDGER: LLM_CALLS},
    tags=("llm",),
    rests_on=lambda inputs: prompts_in_use(inputs["llm"], EXPLANATION),
)
def explain(
    out: ArtifactWriter,
    shard: Shard,
    *,
    catalogue: CatalogueRef,
    split: SplitRef,
    items: ItemProfilesRef,
    users: UserProfilesRef,
    attributions: AttributionsRef,
    reranked: RerankedRef,
    llm: LLMConfig,
    ratings: RatingScale,
    config: ExplanationConfig,
    titles: int,
) -> None:
    """Write the final lists of a shard's users with a reason for each entry (paper, section 2.3).

    Args:
        out: tables `recommendations` and `llm_calls`.
        shard: which users.
        catalogue: the items.
        split: only its training part is shown.
        items: item profiles.
        users: user profiles.
        attributions: the causes that reasons may cite.
        reranked: the lists in their final order.
        llm: who writes the reasons.
        ratings: whether there are ratings to show.
        config: how many titles per request.
        titles: how many entries a list has.
    """
    lists = shard.of(reranked.table("reranked"))
    with progress("explanations", lists[USER].n_unique(), shown=shard.count == 1) as report:
        recommendations, facts = ask(
            out,
            llm,
            lambda model: explain_users(
                lists,
                history=shown_history(split, ratings),
                items=catalogue.table("items"),
                item_profiles=items.table("item_profiles"),
                user_profiles=users.table("user_profiles"),
                attributions=attributions.table("attributions"),
                liking=liking(split, ratings),
                provider=model,
                config=config,
                titles=titles,
                implicit=ratings.is_implicit,
                on_user=report,
            ),
        )
    out.table("recommendations", recommendations, RECOMMENDATIONS)
    for name, value in facts.items():
        out.fact(name, value)
