"""Whose lists a language model judges: as the run's policy, or its probe, decided."""

import polars as pl

from recsys_core.columns import USER
from recsys_core.rerank.fusion_policy import fixed_users, probed_users
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.visitors import Visitors


def reranked_users(model: ServedModel, visitors: Visitors, writer: str) -> tuple[pl.DataFrame, str]:
    """`columns.RERANKED_USERS`, and a sentence where the policy does not apply.

    Args:
        model: of the run.
        visitors: the users.
        writer: name of the language model that would judge.
    """
    kept, users, known = model.config, visitors.users.alias(USER), visitors.history
    if kept.fusion.policy != "auto":
        found = fixed_users(users, known, cold_below=kept.cold_below, config=kept.fusion)
    else:
        found = probed_users(model.probe, users, known, cold_below=kept.cold_below)
    if found.height and writer != model.config.llm.model:
        return found.clear(), (
            f"The run reranks with {model.config.llm.model}, and {writer} answers here: the order"
            " is the graph model's."
        )
    return found, ""
