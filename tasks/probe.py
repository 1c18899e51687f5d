"""The probe: validation users judged in stages, until it is known whether reranking pays."""

from collections.abc import Callable

import polars as pl

from recsys_core.artifacts import ArtifactStore, ArtifactWriter
from recsys_core.columns import CANDIDATES, PROBE, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion_policy import decide_stage, open_groups, probe_users, stage_users
from tasks.runtime.references import CandidatesRef, JudgementsRef, ProbeRef, SampleRef, SplitRef
from tasks.runtime.runs.run_log import one_record
from tasks.runtime.step import step

STAGE = "probe_stage"
"""How the records of its judgements begin in a run's log."""


@step("probe_sample", version="6", returns=SampleRef)
def probe_sample(
    out: ArtifactWriter,
    *,
    split: SplitRef,
    candidates: CandidatesRef,
    ratings: RatingScale,
    cold_below: int,
    config: FusionConfig,
    seed: int,
    stage: int,
    before: ProbeRef | None = None,
) -> None:
    """The lists of the validation users that a stage judges.

    Args:
        out: table `candidates`, by the model that has not seen the validation ratings.
        split: train and valid.
        candidates: its table `valid_candidates`.
        ratings: thresholds.
        cold_below: users with fewer training interactions are cold.
        config: the stages.
        seed: of the order of users.
        stage: counted from 0.
        before: the decisions after the stage before.
    """
    lists = candidates.table("valid_candidates")
    seen = before.table("probe") if before else None
    order = _order(split, lists, ratings, cold_below, config, seed)
    users = stage_users(order, stage, seen, config)
    out.table("candidates", lists.filter(pl.col(USER).is_in(users.implode())), CANDIDATES)
    out.fact("users", users.len())


@step("probe_decision", version="6", returns=ProbeRef)
def probe_decision(
    out: ArtifactWriter,
    *,
    split: SplitRef,
    candidates: CandidatesRef,
    judged: list[JudgementsRef],
    ratings: RatingScale,
    cold_below: int,
    config: FusionConfig,
    seed: int,
    stage: int,
    before: ProbeRef | None = None,
) -> None:
    """What the judgements so far say about reranking, and whether to go on.

    Args:
        out: table `probe`; the fact `stopped` says that nothing more is to be judged.
        split: train and valid.
        candidates: the lists, with their table `valid_candidates`.
        judged: judgements of all stages up to this one.
        ratings: thresholds.
        cold_below: users with fewer training interactions are cold.
        config: weight, scale, stages.
        seed: of order and folds.
        stage: counted from 0.
        before: the decisions after the stage before.
    """
    lists = candidates.table("valid_candidates")
    seen = before.table("probe") if before else None
    order = _order(split, lists, ratings, cold_below, config, seed)
    scores = pl.concat([one.table("judged") for one in judged])
    table = decide_stage(
        order, stage, seen, lists, scores, split.table("valid"), like_from=ratings.like_from,
        config=config, seed=seed,
    )  # fmt: skip
    out.table("probe", table, PROBE)
    out.fact("stopped", not open_groups(order, table, config))
    out.fact("users", scores[USER].n_unique())


def _order(
    split: SplitRef,
    lists: pl.DataFrame,
    ratings: RatingScale,
    cold_below: int,
    config: FusionConfig,
    seed: int,
) -> pl.DataFrame:
    return probe_users(
        lists, split.table("train"), split.table("valid"), like_from=ratings.like_from,
        cold_below=cold_below, config=config, seed=seed,
    )  # fmt: skip


def probe(
    store: ArtifactStore,
    judge: Callable[..., JudgementsRef],
    *,
    split: SplitRef,
    candidates: CandidatesRef,
    ratings: RatingScale,
    cold_below: int,
    config: FusionConfig,
    seed: int,
    judged: list[JudgementsRef],
) -> ProbeRef | None:
    """Judge stage after stage until every group is decided; None without a validation user.

    Args:
        store: where artifacts lie.
        judge: the step `rerank` but for its lists.
        split: train and valid.
        candidates: the lists, with their table `valid_candidates`.
        ratings: thresholds.
        cold_below: users with fewer training interactions are cold.
        config: weight, scale, stages.
        seed: of order and folds.
        judged: an empty list; gets the judgements of every stage as they come.
    """
    seen: ProbeRef | None = None
    for stage in range(len(config.probe_users)):
        sample = probe_sample(
            store, split=split, candidates=candidates, ratings=ratings, cold_below=cold_below,
            config=config, seed=seed, stage=stage, before=seen,
        )  # fmt: skip
        if not sample.manifest.facts["users"]:
            break
        with one_record(f"{STAGE}_{stage + 1}"):
            judged.append(judge(candidates=sample))
        seen = probe_decision(
            store, split=split, candidates=candidates, judged=list(judged), ratings=ratings,
            cold_below=cold_below, config=config, seed=seed, stage=stage, before=seen,
        )  # fmt: skip
        if seen.manifest.facts["stopped"]:
            break
    return seen
