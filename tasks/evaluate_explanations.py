"""How good the reasons are: measured from their claims, and judged by a model where it is asked."""

from typing import Final

import polars as pl

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import METRICS, MODEL, RANK, USER
from recsys_core.config import RunConfig
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.evaluation.llm_judge import JUDGE_METRICS, TITLES
from recsys_core.explanations.evaluation.llm_judge import judge_reasons as judge_sample
from recsys_core.explanations.evaluation.metrics import average_per_user, evaluate_explanations
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from recsys_core.report.summary import HEADLINE_K
from tasks.profile import DAY
from tasks.report import Lists
from tasks.runtime.llm import ask
from tasks.runtime.progress import progress
from tasks.runtime.step import step

TABLE: Final = "metrics"


@step("explanation_metrics", version="1")
def measure_reasons(
    out: ArtifactWriter,
    data: ArtifactRef,
    split: ArtifactRef,
    items: ArtifactRef,
    users: ArtifactRef,
    recommendations: ArtifactRef,
    ratings: RatingScale,
    config: EvaluationConfig,
    seed: int,
) -> None:
    """Measure what the reasons claim against profiles, metadata and training ratings.

    Args:
        out: table `metrics` (`columns.METRICS`, protocol `explanations`).
        data: the ingested data set.
        split: only its training part is read.
        items: item profiles.
        users: user profiles.
        recommendations: the lists with their reasons.
        ratings: thresholds.
        config: bootstrap resamples.
        seed: of resamples and samples.
    """
    lists = recommendations.table("recommendations")
    longest = lists.select(pl.col(RANK).max().fill_null(1)).item()
    found = evaluate_explanations(
        lists,
        history=split.table("train"),
        items=data.table("items"),
        item_profiles=items.table("item_profiles"),
        user_profiles=users.table("user_profiles"),
        like_from=ratings.like_from,
        method=writers(lists),
        cutoffs=sorted({min(HEADLINE_K, longest), longest}),
        bootstrap=config.bootstrap,
        seed=seed,
    )
    out.table(TABLE, found, METRICS)


@step("explanation_judge", version="1", timeout_seconds=DAY, tags=("llm",))
def judge_reasons(
    out: ArtifactWriter,
    data: ArtifactRef,
    split: ArtifactRef,
    items: ArtifactRef,
    users: ArtifactRef,
    recommendations: ArtifactRef,
    llm: LLMConfig,
    judged_users: int,
    bootstrap: int,
    seed: int,
) -> None:
    """Let the language model judge some of the reasons.

    Args:
        out: tables `metrics` (`columns.METRICS`, protocol `explanations`) and `llm_calls`.
        data: the ingested data set.
        split: only its training part is shown.
        items: item profiles.
        users: user profiles, and the evidence they were written from.
        recommendations: the lists with their reasons.
        llm: who judges.
        judged_users: how many users.
        bootstrap: resamples of users for the intervals.
        seed: of the sample and the resamples.
    """
    lists = recommendations.table("recommendations")
    with progress("judge", min(judged_users, lists[USER].n_unique())) as report:
        rows, facts = ask(
            out,
            llm,
            lambda model: judge_sample(
                lists,
                history=split.table("train"),
                items=data.table("items"),
                item_profiles=items.table("item_profiles"),
                user_profiles=users.table("user_profiles"),
                evidence=users.table("evidence"),
                provider=model,
                config=ExplanationConfig(judge_users=judged_users),
                seed=seed,
                on_user=report,
            ),
        )
    method = f"{writers(lists)}, judged by {llm.model}"
    out.table(
        TABLE, average_per_user(rows, JUDGE_METRICS, method, TITLES, bootstrap, seed), METRICS
    )
    for name, value in facts.items():
        out.fact(name, value)


def judge_explanations(
    store: ArtifactStore, config: RunConfig, data: ArtifactRef, lists: Lists
) -> list[ArtifactRef]:
    """What the reasons of the served lists are worth; artifacts with a table `metrics` each."""
    given = (data, lists.split, lists.items, lists.users, lists.recommendations)
    found = [measure_reasons(store, *given, config.data.scale, config.evaluation, config.seed)]
    if config.explanations.judge:
        users, bootstrap = config.explanations.judge_users, config.evaluation.bootstrap
        found.append(judge_reasons(store, *given, config.llm, users, bootstrap, config.seed))
    return found


def writers(recommendations: pl.DataFrame) -> str:
    """Who wrote the reasons: the models, or `rules`."""
    return ", ".join(recommendations[MODEL].unique().sort().drop_nulls()) or "nobody"
