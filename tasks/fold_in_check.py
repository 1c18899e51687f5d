"""Step `fold_in_check`: how far lists of folded-in users are from those of trained ones."""

from typing import Final

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import PER_USER, RANKING, USER
from recsys_core.evaluation.cross_validation import user_table
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import FULL, Judgement, judge
from recsys_core.evaluation.significance import intervals
from recsys_core.interactions.feedback import is_liked
from recsys_core.serving.product.loading import open_model
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.visitors import Visitors, visitors_of
from tasks.runtime.references import HeldOutRef, MetricsRef, ServedModelRef
from tasks.runtime.step import step

USERS: Final = 500
"""Test users at most; more would say the same more exactly."""
K: Final = 10


@step("fold_in_check", version="23", returns=MetricsRef)
def fold_in_check(
    out: ArtifactWriter,
    *,
    served: ServedModelRef,
    held_out: HeldOutRef,
    bootstrap: int,
    seed: int,
) -> None:
    """Rank for test users once by their trained vectors and once folded in; NDCG@10 of both.

    The items have learned from these users either way: what differs is how a user is placed. How
    lists are for users whom no training saw is what the cold-start protocols measure.

    Args:
        out: table `per_user`, trained users first; the facts hold both means, and the 95 % interval
            of the difference.
        served: the model of the pass that is measured.
        held_out: test ratings.
        bootstrap: resamples of users.
        seed: of the draw and of the resamples.
    """
    model, test = open_model(served.uri), held_out.table("test")
    likes = test.filter(is_liked(model.scale.like_from))[USER].unique()
    users = likes.filter(likes.is_in(model.user_ids.implode())).sort()
    users = users.sample(min(users.len(), USERS), seed=seed).sort()
    test = test.join(users.to_frame(), on=USER, how="semi")
    if users.is_empty():
        schema = {name: kind or users.dtype for name, kind in PER_USER.items()}
        out.table("per_user", pl.DataFrame(schema=schema), PER_USER)
        out.fact("folded_in_users", 0)
        return
    known = visitors_of(model, users)
    judged = {
        name: _judged(model, visitors, test, name)
        for name, visitors in (("trained", known), ("folded_in", known.as_newcomers()))
    }
    out.table("per_user", pl.concat([user_table(one, K) for one in judged.values()]), PER_USER)
    ndcg = {name: one.per_user(NDCG, K) for name, one in judged.items()}
    low, high = intervals(
        (ndcg["folded_in"] - ndcg["trained"])[:, None], resamples=bootstrap, seed=seed
    )
    out.fact("folded_in_users", users.len())
    for name, values in ndcg.items():
        out.fact(f"ndcg_{name}", round(float(np.nanmean(values)), 4))
    out.fact("difference", [round(float(low[0]), 4), round(float(high[0]), 4)])


def _judged(model: ServedModel, visitors: Visitors, test: pl.DataFrame, name: str) -> Judgement:
    lists = model.lists(visitors, K).select(*RANKING)
    return judge(
        lists, visitors.history, test, method=name, protocol=FULL, cutoffs=(K,),
        like_from=model.scale.like_from, items=model.item_ids,
        masked=visitors.history.clear() if model.allows_repeats else None,
    )  # fmt: skip
