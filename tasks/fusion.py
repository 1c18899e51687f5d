"""Fuse: whose lists the judgements change, and the order that comes of it. Asks no model."""

from collections.abc import Callable

import polars as pl

from recsys_core.artifacts.store import ArtifactRef, ArtifactStore, ArtifactWriter
from recsys_core.columns import (
    CANDIDATES,
    PROBE,
    RERANKED,
    RERANKED_USERS,
    SCALE,
    USER,
    WEIGHT,
)
from recsys_core.interactions.feedback import RatingScale
from recsys_core.rerank import fusion_policy as policies
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion import fused_by_user
from tasks.runtime.step import step


@step("probe_sample", version="1")
def probe_sample(
    out: ArtifactWriter,
    split: ArtifactRef,
    candidates: ArtifactRef,
    ratings: RatingScale,
    config: FusionConfig,
    seed: int,
    stage: int,
    before: ArtifactRef | None = None,
) -> None:
    """The lists of the validation users that a stage of the probe judges.

    Args:
        out: table `candidates`, by the model that has not seen the validation ratings.
        split: train and valid.
        candidates: its table `valid_candidates`.
        ratings: thresholds.
        config: the stages, the bound of cold users.
        seed: of the order of users.
        stage: counted from 0.
        before: the probe after the stage before.
    """
    lists = candidates.table("valid_candidates")
    order = _order(split, lists, ratings, config, seed)
    users = policies.stage_users(order, stage, before.table("probe") if before else None, config)
    sample = lists.filter(pl.col(USER).is_in(users.implode()))
    out.table("candidates", sample, CANDIDATES)
    out.fact("users", users.len())


@step("probe", version="1")
def probe(
    out: ArtifactWriter,
    split: ArtifactRef,
    candidates: ArtifactRef,
    ratings: RatingScale,
    config: FusionConfig,
    seed: int,
    stage: int,
    judged: list[ArtifactRef],
    before: ArtifactRef | None = None,
) -> None:
    """What the judgements so far say about reranking, and whether to go on.

    Args:
        out: table `probe`; the fact `stopped` says that nothing more is to be judged.
        split: train and valid.
        candidates: the lists, with their table `valid_candidates`.
        ratings: thresholds.
        config: weight, scale, stages.
        seed: of order and folds.
        stage: counted from 0.
        judged: judgements of all stages up to this one.
        before: the probe after the stage before.
    """
    lists = candidates.table("valid_candidates")
    order = _order(split, lists, ratings, config, seed)
    table = policies.decide_stage(
        order, stage, before.table("probe") if before else None, lists,
        pl.concat([one.table("judged") for one in judged]), split.table("valid"),
        like_from=ratings.like_from, config=config, seed=seed,
    )  # fmt: skip
    out.table("probe", table, PROBE)
    out.fact("stopped", not policies.open_groups(order, table))
    out.fact("users", sum(one.table("judged")[USER].n_unique() for one in judged))


def _order(
    split: ArtifactRef, lists: pl.DataFrame, ratings: RatingScale, config: FusionConfig, seed: int
) -> pl.DataFrame:
    return policies.probe_users(
        lists, split.table("train"), split.table("valid"), like_from=ratings.like_from,
        config=config, seed=seed,
    )  # fmt: skip


@step("policy", version="2")
def policy(
    out: ArtifactWriter,
    data: ArtifactRef,
    split: ArtifactRef,
    config: FusionConfig,
    probed: ArtifactRef | None = None,
) -> None:
    """Whose lists are reranked, and how.

    Args:
        out: tables `users` (who is reranked, with weight and scale) and `probe` (what was seen).
        data: the ingested data set, for all users.
        split: train and valid; both count for who is cold.
        config: the policy, or `auto`.
        probed: for `auto`: the probe, or the policy of the run that had a validation split.
    """
    everybody = data.table("users")[USER]
    known = pl.concat([split.table("train"), split.table("valid")])
    seen = pl.DataFrame(schema=dict(PROBE))
    if config.policy != "auto":
        users = policies.fixed_users(everybody, known, config)
        name, why = config.policy, "configured"
    else:
        seen = seen if probed is None else probed.table("probe")
        users = policies.probed_users(seen, everybody, known, config)
        name = policies.policy_of(seen)
        why = "probe" if seen.height else "no validation user to judge"
    out.table("probe", seen, PROBE)
    out.table("users", users, RERANKED_USERS)
    for fact, value in {"policy": name, "why": why, "users": users.height}.items():
        out.fact(fact, value)


@step("fusion", version="2")
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
        policy: who is reranked, and how.
        config: weight and scale of those who are judged and not reranked.
    """
    lists, scores = candidates.table("candidates"), judged.table("judged")
    served, setting = policy.table("users"), policies.fixed_setting(config)
    out.table("reranked", fused_by_user(lists, scores, served), RERANKED)
    # Those whom the policy leaves to the graph are told with the configured weight.
    others = scores.select(USER).unique().join(served, on=USER, how="anti").with_columns(
        pl.lit(setting.weight).alias(WEIGHT), pl.lit(setting.scale).alias(SCALE)
    )  # fmt: skip
    everybody = pl.concat([served, others.cast(served.schema)])  # type: ignore[arg-type]
    out.table("everybody", fused_by_user(lists, scores, everybody), RERANKED)
    out.fact("reranked_users", served[USER].is_in(scores[USER].unique().implode()).sum())


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
    """The policy of a run: as configured, found by the probe, or taken over.

    Args:
        store: where artifacts lie.
        data: the ingested data set.
        split: train and valid.
        candidates: the graph model's lists, and `valid_candidates`.
        ratings: thresholds.
        config: the policy.
        seed: of order and folds.
        judge_sample: asks the model about the candidates of a stage's users.
        tuned: the policy of the run with a validation split, for one without.
    """
    if config.policy != "auto" or split.table("valid").is_empty():
        return policy(store, data, split, config, tuned)
    judged: list[ArtifactRef] = []
    seen: ArtifactRef | None = None
    for stage in range(len(config.probe_users)):
        sample = probe_sample(store, split, candidates, ratings, config, seed, stage, seen)
        if not sample.manifest.facts["users"]:
            break
        judged.append(judge_sample(sample))
        seen = probe(store, split, candidates, ratings, config, seed, stage, list(judged), seen)
        if seen.manifest.facts["stopped"]:
            break
    return policy(store, data, split, config, seen)
