"""Step `explanation_judge`: an LLM as a judge of some of the reasons."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import METRICS, USER
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.evaluation.llm_judge import (
    EXPLANATION_JUDGE,
    JUDGE_METRICS,
    TITLES,
    judge_reasons,
)
from recsys_core.explanations.evaluation.metrics import average_per_user
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from tasks.explanation_metrics import writers
from tasks.runtime.llm_calls import ask, prompts_in_use
from tasks.runtime.progress import progress
from tasks.runtime.references import (
    AttributionsRef,
    CatalogueRef,
    ItemProfilesRef,
    MetricsRef,
    RecommendationsRef,
    SplitRef,
    UserProfilesRef,
    liking,
    shown_history,
)
from tasks.runtime.step import DAY, step


@step(
    "explanation_judge",
    version="20",
    returns=MetricsRef,
    timeout_seconds=DAY,
    tags=("llm",),
    rests_on=lambda inputs: prompts_in_use(inputs["llm"], EXPLANATION_JUDGE),
)
def explanation_judge(
    out: ArtifactWriter,
    *,
    catalogue: CatalogueRef,
    split: SplitRef,
    items: ItemProfilesRef,
    users: UserProfilesRef,
    attributions: AttributionsRef,
    recommendations: RecommendationsRef,
    llm: LLMConfig,
    ratings: RatingScale,
    judged_users: int,
    bootstrap: int,
    seed: int,
) -> None:
    """Let the language model judge some of the reasons.

    Args:
        out: tables `metrics` (`columns.METRICS`, protocol `explanations`) and `llm_calls`.
        catalogue: the items.
        split: only its training part is shown.
        items: item profiles.
        users: user profiles.
        attributions: the causes that reasons may cite.
        recommendations: the lists with their reasons.
        llm: who judges.
        ratings: whether there are ratings to show.
        judged_users: how many users.
        bootstrap: resamples of users for the intervals.
        seed: of the sample and the resamples.
    """
    lists = recommendations.table("recommendations")
    with progress("judge", min(judged_users, lists[USER].n_unique())) as report:
        rows, facts = ask(
            out,
            llm,
            lambda model: judge_reasons(
                lists,
                history=shown_history(split, ratings),
                items=catalogue.table("items"),
                item_profiles=items.table("item_profiles"),
                user_profiles=users.table("user_profiles"),
                attributions=attributions.table("attributions"),
                liking=liking(split, ratings),
                provider=model,
                config=ExplanationConfig(judge_users=judged_users),
                seed=seed,
                implicit=ratings.is_implicit,
                on_user=report,
            ),
        )
    method = f"{writers(lists)}, judged by {llm.model}"
    found = average_per_user(rows, JUDGE_METRICS, method, TITLES, bootstrap, seed)
    out.table("metrics", found, METRICS)
    for name, value in facts.items():
        out.fact(name, value)
