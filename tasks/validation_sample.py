"""Step `validation_sample`: the users on whose validation ratings the fusion policy is chosen."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import CANDIDATES, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.rerank import fusion_policy as policies
from tasks.runtime.references import CandidatesRef, SampleRef, SplitRef
from tasks.runtime.step import step


@step("validation_sample", version="1", returns=SampleRef)
def validation_sample(
    out: ArtifactWriter,
    *,
    split: SplitRef,
    candidates: CandidatesRef,
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
