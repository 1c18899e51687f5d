"""Step `policy`: whose lists are reranked, and how, as configured or as the probe decided."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import PROBE, RERANKED_USERS, USER
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion_policy import fixed_users, policy_of, probed_users
from tasks.runtime.references import PolicyRef, ProbeRef, SplitRef, UsersRef
from tasks.runtime.step import step


@step("policy", version="5", returns=PolicyRef)
def fusion_policy(
    out: ArtifactWriter,
    *,
    known_users: UsersRef,
    split: SplitRef,
    cold_below: int,
    config: FusionConfig,
    probe: ProbeRef | None = None,
    tuned: PolicyRef | None = None,
) -> None:
    """Choose whose lists are reranked, and how.

    Args:
        out: tables `users` (who is reranked, with weight and scale) and `probe` (what was seen).
        known_users: all users.
        split: train and valid; both count for who is cold.
        cold_below: users with fewer of these interactions are cold.
        config: the policy, or `auto`.
        probe: for `auto`: what the probe decided.
        tuned: for `auto` without a validation split: the policy that was chosen with one.
    """
    everybody = known_users.table("users")[USER]
    known = pl.concat([split.table("train"), split.table("valid")])
    seen = pl.DataFrame(schema=dict(PROBE))
    if config.policy != "auto":
        users = fixed_users(everybody, known, cold_below=cold_below, config=config)
        choice, why = str(config.policy), "configured"
    else:
        source = probe or tuned
        seen = seen if source is None else source.table("probe")
        users = probed_users(seen, everybody, known, cold_below=cold_below)
        choice = str(policy_of(seen))
        why = "probe" if probe else "chosen with a validation split" if tuned else "nobody to ask"
    out.table("probe", seen, PROBE)
    out.table("users", users, RERANKED_USERS)
    for name, value in {"policy": choice, "why": why, "users": users.height}.items():
        out.fact(name, value)
