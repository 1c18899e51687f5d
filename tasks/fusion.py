"""Fuse: whose lists the judgements change, and the order that comes of it. Asks no model."""

from collections.abc import Callable

import polars as pl

from recsys_core.artifacts import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import CANDIDATES, POLICIES, RERANKED, RERANKED_USERS, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.rerank import fusion_policy as policies
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion import fused_lists
from tasks.runtime.step import step


@step("validation_sample", version="1")
def validation_sample(
    out: ArtifactWriter,
    split: ArtifactRef,
    candidates: ArtifactRef,
    ratings: RatingScale,
    cold_below: int,
    most: int,
    seed: int,
) -> None:
    """Draw the users whose judgements decide about the policy.

    Args:
        out: table `candidates`, the lists of the sampled users by the model that has not seen the
            validation ratings.
        split: train and valid.
        candidates: its table `valid_candidates`.
        ratings: thresholds.
        cold_below: training interactions below which a user is cold.
        most: size of the sample.
        seed: of the sample.
    """
    lists = candidates.table("valid_candidates")
    users = policies.sampled_users(
        lists, split.table("train"), split.table("valid"), like_from=ratings.like_from,
        cold_below=cold_below, most=most, seed=seed,
    )  # fmt: skip
    sample = lists.filter(pl.col(USER).is_in(users.implode()))
    out.table("candidates", sample, CANDIDATES)
    out.fact("users", users.len())


@step("policy", version="1")
def policy(
    out: ArtifactWriter,
    data: ArtifactRef,
    split: ArtifactRef,
    ratings: RatingScale,
    config: FusionConfig,
    seed: int,
    candidates: ArtifactRef | None = None,
    judged: ArtifactRef | None = None,
    tuned: ArtifactRef | None = None,
) -> None:
    """Choose whose lists are reranked.

    Args:
        out: tables `policies` (what was compared, and the choice) and `users` (who is reranked).
        data: the ingested data set, for all users.
        split: train and valid; both count for who is cold.
        ratings: thresholds.
        config: the policy, or `auto`.
        seed: of the intervals.
        candidates: for `auto`: the lists, with their table `valid_candidates`.
        judged: for `auto`: judgements of the validation sample.
        tuned: for `auto` without a validation split: the policy that was chosen with one.
    """
    train, valid = split.table("train"), split.table("valid")
    if config.policy != "auto":
        table, why = policies.fixed(config.policy, config), "configured"
    elif candidates is not None and judged is not None:
        table = policies.choose(
            candidates.table("valid_candidates"), judged.table("judged"), train, valid,
            like_from=ratings.like_from, config=config, seed=seed,
        )  # fmt: skip
        why = "best on validation" if table.height > 1 else "no judged user with a liked item"
    elif tuned is not None:
        table, why = tuned.table("policies"), "chosen with a validation split"
    else:
        table, why = policies.fixed("none", config), "nothing to choose with"
    choice = policies.chosen(table)
    everybody, known = data.table("users")[USER], pl.concat([train, valid])
    users = policies.reranked_users(choice, everybody, known, config)
    out.table("policies", table, POLICIES)
    out.table("users", users.to_frame(), RERANKED_USERS)
    for name, value in {"policy": choice, "why": why, "users": users.len()}.items():
        out.fact(name, value)


@step("fusion", version="1")
def fusion(
    out: ArtifactWriter,
    candidates: ArtifactRef,
    judged: ArtifactRef,
    policy: ArtifactRef,
    config: FusionConfig,
) -> None:
    """Bring judgements and graph scores into one order.

    Args:
        out: tables `reranked`, the lists to serve, and `everybody`, the lists if all that were
            judged were reranked.
        candidates: the graph model's lists.
        judged: judgements of their tops.
        policy: who is reranked.
        config: weight and scale.
    """
    lists, scores = candidates.table("candidates"), judged.table("judged")
    chosen, everybody = policy.table("users")[USER], lists[USER].unique()
    for name, users in (("reranked", chosen), ("everybody", everybody)):
        fused = fused_lists(lists, scores, users, weight=config.llm_weight, method=config.scale)
        out.table(name, fused, RERANKED)
    out.fact("llm_weight", config.llm_weight)
    out.fact("reranked_users", chosen.is_in(scores[USER].unique().implode()).sum())


def decide(
    store: ArtifactStore,
    data: ArtifactRef,
    split: ArtifactRef,
    candidates: ArtifactRef,
    ratings: RatingScale,
    config: FusionConfig,
    seed: int,
    judge_sample: Callable[[ArtifactRef], ArtifactRef],
    tuned: ArtifactRef | None = None,
) -> ArtifactRef:
    """The policy of a run: as configured, chosen on validation, or taken over.

    Args:
        store: where artifacts lie.
        data: the ingested data set.
        split: train and valid.
        candidates: the graph model's lists, and `valid_candidates`.
        ratings: thresholds.
        config: the policy.
        seed: of sample and intervals.
        judge_sample: asks the model about the candidates of the sampled users.
        tuned: the policy of the run with a validation split, for one without.
    """
    if config.policy != "auto" or split.table("valid").is_empty():
        return policy(store, data, split, ratings, config, seed, tuned=tuned)
    sample = validation_sample(
        store, split, candidates, ratings, config.cold_below, config.auto_users, seed
    )
    judged = judge_sample(sample)
    return policy(store, data, split, ratings, config, seed, candidates, judged)
