"""LLM-as-a-judge for the explanations, optional.

The judge sees the writer's context and the sentences. Its verdicts are reported as metrics of their
own, beside those of `explanations.evaluation.metrics`: small models judge near chance.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from recsys_core import columns as c
from recsys_core.columns import MAX_ID_CHARS
from recsys_core.concurrency import Progress, map_bounded
from recsys_core.errors import LLMError, LLMStopped
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.prompt import ExplainedItem, ExplanationInput, KnownItem
from recsys_core.explanations.user_context import ExplanationContext, ExplanationContexts
from recsys_core.explanations.vocabulary import verb_of
from recsys_core.llm.providers.base import Choices, Provider, Purpose, Request
from recsys_core.llm.request.json_schema import choice, each
from recsys_core.llm.request.parsing import check_ids
from recsys_core.prompt_context.models import PromptModel, RecentItem, Taste

TITLES: Final = 5
"""First entries of a list that are judged, all of them in one request."""
JUDGE_SUPPORTED: Final = "judge_supported"
JUDGE_CONVINCING: Final = "judge_convincing"
JUDGE_METRICS: Final = (JUDGE_SUPPORTED, JUDGE_CONVINCING)
_USERS_AT_ONCE: Final = 64
_MOST: Final = 5
"""Top of the scale of `convincing`."""


_IDS: Final = "ids"


class GivenReason(PromptModel):
    """A recommended title and the sentence about it."""

    item: ExplainedItem
    sentence: str

    @property
    def causes_shown(self) -> list[dict[str, str | int]]:
        """The causes with the counts that the sentence may tell, the strongest first."""
        return [
            {"liked_id": one.id, "influence": one.strength, "people": one.people,
             "of_them": one.people_both}
            for one in self.item.causes
        ]  # fmt: skip


class JudgeInput(PromptModel):
    """What the writer of the sentences saw, and the sentences."""

    taste: Taste
    recent: tuple[RecentItem, ...] = ()
    liked: tuple[KnownItem, ...]
    reasons: tuple[GivenReason, ...]
    implicit: bool = False
    """Whether liked titles are chosen ones, of which no rating is known."""

    @property
    def did(self) -> str:
        """What people did with liked titles, as sentences say it."""
        return verb_of(implicit=self.implicit).past


class Verdict(BaseModel):
    """What the judge says about one sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: Annotated[str, Field(max_length=MAX_ID_CHARS, json_schema_extra=choice(_IDS))]
    supported: bool
    convincing: Annotated[int, Field(ge=1, le=_MOST)]


class JudgeAnswer(BaseModel):
    """A verdict on every sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdicts: Annotated[tuple[Verdict, ...], Field(max_length=20, json_schema_extra=each(_IDS))]


def neutral_verdicts(variables: JudgeInput) -> JudgeAnswer:
    """A verdict in the middle of the scale: used by dry runs only, never written to a result."""
    return JudgeAnswer(
        verdicts=tuple(
            Verdict(id=one.item.id, supported=True, convincing=3) for one in variables.reasons
        )
    )


def _check(variables: JudgeInput, answer: JudgeAnswer) -> None:
    check_ids((one.item.id for one in variables.reasons), (one.id for one in answer.verdicts))


def _choices(variables: JudgeInput) -> Choices:
    return {_IDS: [one.item.id for one in variables.reasons]}


EXPLANATION_JUDGE = Purpose(
    name="explanation_judge",
    answer=JudgeAnswer,
    rule=neutral_verdicts,
    check=_check,
    choices=_choices,
)


async def judge_reasons(
    recommendations: pl.DataFrame,
    *,
    history: pl.DataFrame,
    items: pl.DataFrame,
    item_profiles: pl.DataFrame,
    user_profiles: pl.DataFrame,
    attributions: pl.DataFrame,
    liking: pl.Series,
    provider: Provider,
    config: ExplanationConfig,
    seed: int,
    implicit: bool = False,
    on_user: Progress | None = None,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Let the model judge the first reasons of some users.

    Args:
        recommendations: `columns.RECOMMENDATIONS`.
        history: `columns.INTERACTIONS` of the training split.
        items: `columns.ITEMS`.
        item_profiles: `columns.ITEM_PROFILES`.
        user_profiles: `columns.USER_PROFILES`.
        attributions: `columns.ATTRIBUTIONS`.
        liking: users who are known to like any title.
        provider: who judges.
        config: how many users.
        seed: of the sample of users.
        implicit: whether what people like is what they chose: the prompt says so.
        on_user: called with the number of users done.

    Returns:
        USER, ITEM, RANK and `JUDGE_METRICS` between 0 and 1, a row per judged reason, and facts:
        `unjudged` reasons got no valid answer and have no row.

    Raises:
        DataError: a table breaks its contract.
        LLMStopped: the run ends (budget, key, endpoint, or what the configuration says of invalid
            answers).
    """
    c.check(recommendations, c.RECOMMENDATIONS, table="recommendations")
    pool = sampled(recommendations, config.judge_users, seed)
    users = ExplanationContexts(
        pool, history=history, items=items, item_profiles=item_profiles,
        user_profiles=user_profiles, attributions=attributions, liking=liking, batch=TITLES,
        implicit=implicit,
    )  # fmt: skip
    said = {(str(user), str(item)): text for user, item, text in pool.select(_KEYS).iter_rows()}

    async def work(user: ExplanationContext) -> Verdicts:
        return await _verdicts(user, said, provider)

    judged = await map_bounded(users, work, at_once=_USERS_AT_ONCE, on_done=on_user)
    rows = _rows(pool, judged)
    return rows, {"judged": rows.height, "unjudged": pool.height - rows.height}


Verdicts = dict[tuple[str, str], Verdict]
"""By user and item id, as text."""
_KEYS: Final = (c.USER, c.ITEM, c.EXPLANATION)


def sampled(recommendations: pl.DataFrame, users: int, seed: int) -> pl.DataFrame:
    """The first `TITLES` rows of a seeded sample of users, by user and rank."""
    ids = recommendations[c.USER].unique().sort()
    kept = ids.gather(np.random.default_rng(seed).permutation(ids.len())[:users])
    mine = pl.col(c.USER).is_in(kept.implode()) & (pl.col(c.RANK) <= TITLES)
    return recommendations.filter(mine).sort(c.USER, c.RANK)


async def _verdicts(
    user: ExplanationContext, said: Mapping[tuple[str, str], str], provider: Provider
) -> Verdicts:
    """The verdicts on one user's reasons; none where the model gave no valid answer."""
    found: Verdicts = {}
    for shown in user.batches:
        request = Request(
            purpose=EXPLANATION_JUDGE, subject=f"user:{user.user}",
            variables=_question(shown, user.user, said),
        )  # fmt: skip
        try:
            reply = await provider.ask(request)
        except LLMStopped:
            raise
        except LLMError:
            continue
        if reply.status != "failed":
            found |= {(user.user, one.id): one for one in reply.answer.verdicts}
    return found


def _question(
    shown: ExplanationInput, user: str, said: Mapping[tuple[str, str], str]
) -> JudgeInput:
    reasons = tuple(GivenReason(item=one, sentence=said[user, one.id]) for one in shown.items)
    return JudgeInput(
        taste=shown.taste, recent=shown.recent, liked=shown.liked, reasons=reasons,
        implicit=shown.implicit,
    )  # fmt: skip


def _rows(pool: pl.DataFrame, judged: list[Verdicts]) -> pl.DataFrame:
    found = {key: one for user in judged for key, one in user.items()}
    keys = pool.select(c.USER, c.ITEM).cast(pl.String).iter_rows()
    verdicts = [found.get((user, item)) for user, item in keys]
    scale = _MOST - 1
    values = {
        JUDGE_SUPPORTED: [None if one is None else float(one.supported) for one in verdicts],
        JUDGE_CONVINCING: [None if one is None else (one.convincing - 1) / scale
                           for one in verdicts],
    }  # fmt: skip
    columns = [pl.Series(name, values[name], pl.Float64) for name in JUDGE_METRICS]
    rows = pool.select(c.USER, c.ITEM, c.RANK).with_columns(columns)
    return rows.drop_nulls(JUDGE_METRICS)
