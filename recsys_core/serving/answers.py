"""Lists with reasons for visitors: what the command, the service and a program get."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import ITEM, JUDGED, RECOMMENDATIONS, RERANKED_USERS, USER
from recsys_core.explanations.explainer import explain
from recsys_core.interactions.feedback import is_liked
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.rerank.fusion import fused_by_user
from recsys_core.serving.causes import visitor_causes
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.profiles import described, profiles_of
from recsys_core.serving.visitors import FOLDED_IN, KNOWN, NOTHING_KNOWN, Visitors


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """Lists with reasons.

    Attributes:
        recommendations: `columns.RECOMMENDATIONS`, users in the order of the visitors.
        status: by user id, how the list came about.
        notes: sentences about what was left out or is not known.
    """

    recommendations: pl.DataFrame
    status: dict[object, str]
    notes: tuple[str, ...]


def recommend(
    model: ServedModel,
    visitors: Visitors,
    *,
    k: int = 10,
    barred: npt.NDArray[np.bool_] | None = None,
) -> Answers:
    """The k best items of each visitor, each with a reason, by rules alone.

    Args:
        model: what ranks.
        visitors: for whom.
        k: length of each list.
        barred: (n_items,) items that are in no list.
    """
    profiles, _ = profiles_of(model, visitors)
    visitors = described(model, visitors, profiles)
    lists = model.lists(visitors, k, barred)
    frame, _ = asyncio.run(
        explain(
            as_reranked(lists), history=visitors.history, items=model.items,
            item_profiles=model.item_profiles, user_profiles=profiles,
            attributions=visitor_causes(model, visitors, lists), liking=liking(model, visitors),
            provider=RulesProvider(), config=model.config.explanations, titles=k,
            implicit=model.scale.is_implicit,
        )
    )  # fmt: skip
    ordered = visitors.users.to_frame().join(frame, on=USER, how="inner", maintain_order="left")
    return Answers(
        recommendations=ordered.select(*RECOMMENDATIONS),
        status=dict(zip(visitors.users.to_list(), visitors.status, strict=True)),
        notes=notes_of(visitors, lists),
    )


def liking(model: ServedModel, visitors: Visitors) -> pl.Series:
    """The visitors who are known to like something."""
    return visitors.history.filter(is_liked(model.scale.like_from))[USER].unique()


def as_reranked(lists: pl.DataFrame) -> pl.DataFrame:
    """Candidates as lists that no judgement has changed (`columns.RERANKED`)."""
    users = {USER: lists.schema[USER], ITEM: lists.schema[ITEM]}
    nobody = [
        pl.DataFrame(schema={name: kind or users[name] for name, kind in schema.items()})
        for schema in (JUDGED, RERANKED_USERS)
    ]
    return fused_by_user(lists, *nobody)


def notes_of(visitors: Visitors, lists: pl.DataFrame) -> tuple[str, ...]:
    """Sentences about what was left out or is not known."""
    counts = Counter(visitors.status)
    unknown, empty = int(visitors.unknown.sum()), len(visitors) - lists[USER].n_unique()
    told = {
        f"{counts[FOLDED_IN]:,} users are placed by their ratings, without training.":
            counts[FOLDED_IN],
        f"{unknown:,} ratings are of items that the model does not know, and say nothing.": unknown,
        f"Of {counts[NOTHING_KNOWN]:,} users no rating of a known item is there: they get what is"
        " popular.": counts[NOTHING_KNOWN],
        f"For {empty:,} users no item is left.": empty,
    }  # fmt: skip
    if len(visitors) == counts[KNOWN]:
        return tuple(text for text, count in told.items() if count and "no item" in text)
    return tuple(text for text, count in told.items() if count)
