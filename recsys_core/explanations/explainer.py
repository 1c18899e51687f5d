"""An explanation of every recommendation (paper, section 2.3), with its evidence.

One request covers all recommended titles of a user (or `ExplanationConfig.batch` of them); it
begins like the reranker's, with the same words, profile and latest ratings, so that a cache of
prompts serves both. An answer may cite only the causes of a title that the request shows
(`explanations.attribution`), and only attributes that the recommended title has; what does not
hold is replaced by the rule's reason and counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from recsys_core import columns as c
from recsys_core.concurrency import Progress, map_bounded
from recsys_core.errors import LLMError, LLMStopped
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.prompt import (
    EXPLANATION,
    ExplanationInput,
    Reason,
    explain_with_rules,
    faults_of,
    with_numbers,
)
from recsys_core.explanations.user_context import ExplanationContext, ExplanationContexts
from recsys_core.llm.providers.base import Provider, Request
from recsys_core.llm.providers.rules import RULES

Facts = dict[str, Any]
_USERS_AT_ONCE: Final = 64


@dataclass(kw_only=True)
class _Explained:
    """Reasons aligned with a user's titles, and who wrote each."""

    reasons: list[Reason] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    replaced: int = 0
    outside: int = 0
    failed_requests: int = 0

    def in_order(self, ids: Sequence[str]) -> "_Explained":
        """The same for the titles in this order."""
        places = {reason.id: place for place, reason in enumerate(self.reasons)}
        order = [places[one] for one in ids]
        return replace(
            self,
            reasons=[self.reasons[place] for place in order],
            models=[self.models[place] for place in order],
        )


async def explain(
    reranked: pl.DataFrame,
    *,
    history: pl.DataFrame,
    items: pl.DataFrame,
    item_profiles: pl.DataFrame,
    user_profiles: pl.DataFrame,
    attributions: pl.DataFrame,
    liking: pl.Series,
    provider: Provider,
    config: ExplanationConfig,
    titles: int,
    implicit: bool = False,
    on_user: Progress | None = None,
) -> tuple[pl.DataFrame, Facts]:
    """Write a reason for each of every user's first `titles` titles.

    Args:
        reranked: `columns.RERANKED`.
        history: `columns.INTERACTIONS` of the training split; the latest are shown.
        items: `columns.ITEMS`.
        item_profiles: `columns.ITEM_PROFILES`; an item without one shows its metadata only.
        user_profiles: `columns.USER_PROFILES`.
        attributions: `columns.ATTRIBUTIONS` of these titles: their liked causes may be cited.
        liking: users who are known to like any title.
        provider: who writes; every row says who did.
        config: how many titles per request.
        titles: how many of each list.
        implicit: whether what people like is what they chose: sentences say so.
        on_user: called with the number of users done.

    Returns:
        `columns.RECOMMENDATIONS`, ordered by user and rank, and the facts for the summary:
        `fallback_items` were explained by the rule although a model was asked,
        `citations_outside_causes` of its reasons cited or named what is no cause.

    Raises:
        DataError: a table breaks its contract.
        LLMStopped: the run ends (budget, key, endpoint, or what the configuration says of invalid
            answers).
    """
    c.check(reranked, c.RERANKED, table="reranked")
    c.check(attributions, c.ATTRIBUTIONS, table="attributions")
    pool = reranked.filter(pl.col(c.RANK) <= titles).sort(c.USER, c.RANK)
    users = ExplanationContexts(
        pool,
        history=history,
        items=items,
        item_profiles=item_profiles,
        user_profiles=user_profiles,
        attributions=attributions,
        liking=liking,
        batch=config.batch,
        language=config.language,
        implicit=implicit,
    )

    async def work(user: ExplanationContext) -> _Explained:
        return await _explain_user(user, provider)

    explained = await map_bounded(users, work, at_once=_USERS_AT_ONCE, on_done=on_user)
    frame = _recommendations(pool, items, explained)
    return frame, _facts(explained, users)


async def _explain_user(user: ExplanationContext, provider: Provider) -> _Explained:
    done = _Explained()
    for variables in user.batches:
        request = Request(purpose=EXPLANATION, variables=variables, subject=f"user:{user.user}")
        given: Mapping[str, Reason] = {}
        model = RULES
        try:
            reply = await provider.ask(request)
            if reply.status == "failed":
                done.failed_requests += 1
            else:
                model = reply.model
                given = {one.id: one for one in reversed(reply.answer.reasons)}
        except LLMStopped:
            raise
        except LLMError:
            done.failed_requests += 1
        _keep_supported(done, variables, given, model)
    return done.in_order(user.order)


def _keep_supported(
    done: _Explained, variables: ExplanationInput, given: Mapping[str, Reason], model: str
) -> None:
    """Add a reason for every title: the model's if its citations hold, else the rule's."""
    faults = {
        item.id: faults_of(variables, item, given[item.id])
        for item in variables.items
        if item.id in given
    }
    kept = {
        item.id: with_numbers(item, given[item.id])
        for item in variables.items
        if item.id in given and not faults[item.id]
    }
    done.outside += sum(bool(one.outside) for one in faults.values())
    complete = len(kept) == len(variables.items)
    rule = () if complete else explain_with_rules(variables).reasons
    written = {reason.id: reason for reason in rule}
    for item in variables.items:
        done.reasons.append(kept.get(item.id) or written[item.id])
        done.models.append(model if item.id in kept else RULES)
        done.replaced += item.id not in kept


def _recommendations(
    pool: pl.DataFrame, items: pl.DataFrame, explained: Sequence[_Explained]
) -> pl.DataFrame:
    """The rows of `pool` with titles, reasons and evidence, ids in the data set's own type."""
    reasons = [reason for user in explained for reason in user.reasons]
    ids = items[c.ITEM]
    back = dict(zip(ids.cast(pl.String).to_list(), ids.to_list(), strict=True))
    cited = [[back[one] for one in reason.liked_ids] for reason in reasons]
    keys = [list(reason.attributes) for reason in reasons]
    models = [model for user in explained for model in user.models]
    frame = pool.with_columns(
        pl.Series(c.EXPLANATION, [reason.sentence for reason in reasons], pl.String),
        pl.Series(c.LIKED_EVIDENCE, cited, pl.List(ids.dtype)),
        pl.Series(c.ATTRIBUTE_EVIDENCE, keys, pl.List(pl.String)),
        pl.Series(c.MODEL, models, pl.String),
    ).join(items.select(c.ITEM, c.TITLE), on=c.ITEM, how="left", maintain_order="left")
    return c.check(
        frame.select(list(c.RECOMMENDATIONS)), c.RECOMMENDATIONS, table="recommendations"
    )


def _facts(explained: Sequence[_Explained], users: ExplanationContexts) -> Facts:
    reasons = [reason for user in explained for reason in user.reasons]
    return {
        "explained_items": len(reasons),
        "fallback_users": sum(user.replaced == len(user.reasons) for user in explained),
        "fallback_items": sum(user.replaced for user in explained),
        "citations_outside_causes": sum(user.outside for user in explained),
        "failed_requests": sum(user.failed_requests for user in explained),
        "without_liked_evidence": sum(not one.liked_ids for one in reasons),
        "users_without_liked": users.without_liked,
        "reasons_by_model": dict(Counter(model for user in explained for model in user.models)),
    }
