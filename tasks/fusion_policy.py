"""Step `policy`: whose lists are reranked, as configured or chosen on validation."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import POLICIES, RERANKED_USERS, USER
from recsys_core.interactions.feedback import RatingScale
from recsys_core.rerank import fusion_policy as policies
from recsys_core.rerank.config import FusionConfig
from tasks.runtime.references import CandidatesRef, JudgementsRef, PolicyRef, SplitRef, UsersRef
from tasks.runtime.step import step


@step("policy", version="1", returns=PolicyRef)
def fusion_policy(
    out: ArtifactWriter,
    *,
    known_users: UsersRef,
    split: SplitRef,
    ratings: RatingScale,
    config: FusionConfig,
    seed: int,
    candidates: CandidatesRef | None = None,
    judged: JudgementsRef | None = None,
    tuned: PolicyRef | None = None,
) -> None:
    """Choose whose lists are reranked.

    Args:
        out: tables `policies` (what was compared, and the choice) and `users` (who is reranked).
        known_users: all users.
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
    everybody, known = known_users.table("users")[USER], pl.concat([train, valid])
    users = policies.reranked_users(choice, everybody, known, config)
    out.table("policies", table, POLICIES)
    out.table("users", users.to_frame(), RERANKED_USERS)
    for name, value in {"policy": choice, "why": why, "users": users.len()}.items():
        out.fact(name, value)
