"""User profiles, written and refined over several turns (paper, section 2.1.2).

The turns of one user follow one another, each with the profile so far and one more batch of the
user's evidence; different users are independent and run at the same time.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

import polars as pl

from recsys_core.artifacts import content_hash
from recsys_core.columns import (
    GENRES,
    ITEM,
    NO_EVIDENCE,
    OVERVIEW,
    POLARITY,
    STATUS,
    TAGS,
    TITLE,
    TURN,
    USER,
    USER_PROFILES,
    YEAR,
)
from recsys_core.concurrency import Progress, map_bounded
from recsys_core.datasets.ids_as_titles import telling_titles
from recsys_core.errors import DataError
from recsys_core.llm.providers.base import Provider, Purpose, Reply, Request
from recsys_core.llm.providers.rules import RULES, RULES_VERSION
from recsys_core.profiles.history_selection import LIKED
from recsys_core.profiles.inputs import RatedItem, UserTurnInput
from recsys_core.profiles.rules.users import NEUTRAL, refine_user_profile
from recsys_core.profiles.schema import Profile
from recsys_core.profiles.tables import (
    AT_ONCE,
    PUBLISHED,
    Id,
    Row,
    profile_row,
    profile_table,
    worst_status,
)
from recsys_core.profiles.text import lead

USER_PROFILE: Final = Purpose(name="user_profile", answer=Profile, rule=refine_user_profile)
"""Write, or revise, the profile of one user from one batch of rated items."""

NO_LIKES: Final = "no_likes"
"""Status: written from disliked items only."""

_SHOWN_TAGS: Final = 10
_SHOWN_OVERVIEW: Final = 200


@dataclass(frozen=True, kw_only=True)
class UserTurns:
    """A user and the prompt variables of each turn."""

    user: Id
    turns: tuple[UserTurnInput, ...]

    @property
    def evidence_hash(self) -> str:
        """Hash of all that the profile depends on: the evidence, and what is shown of each item."""
        return content_hash([turn.model_dump(mode="json") for turn in self.turns])


async def profile_users(
    users: pl.Series,
    evidence: pl.DataFrame,
    items: pl.DataFrame,
    item_profiles: pl.DataFrame,
    provider: Provider,
    ready_made: Mapping[Id, Profile] | None = None,
    on_user: Progress | None = None,
) -> pl.DataFrame:
    """A profile for every user.

    Args:
        users: the ids of all users, each once.
        evidence: `columns.EVIDENCE` of the training split (`history_selection.select_history`).
        items: `columns.ITEMS`, for title and year.
        item_profiles: `columns.ITEM_PROFILES`, for what is shown of each item of the evidence.
        provider: who writes the profiles.
        ready_made: profiles by user id; those users are not asked for.
        on_user: called with the number of finished users after each.

    Returns:
        `columns.USER_PROFILES`, sorted by user id. `status` is `no_likes` or `no_evidence` where
        that is so, `published`, or the worst status among the turns.

    Raises:
        DataError: the evidence names an item without a row in `items` or `item_profiles`.
        LLMError: the provider gave up.
    """
    ready = ready_made or {}

    async def write(one: UserTurns) -> Row:
        if one.user in ready:
            return _row(one, ready[one.user], PUBLISHED, PUBLISHED, turns=0, status=PUBLISHED)
        if not one.turns:
            return _row(one, NEUTRAL, RULES, RULES_VERSION, turns=0, status=NO_EVIDENCE)
        replies = await _refine(one, provider)
        last = replies[-1]
        likes = any(turn.liked for turn in one.turns)
        status = worst_status(reply.status for reply in replies) if likes else NO_LIKES
        return _row(
            one, last.answer, last.model, last.prompt_version, turns=len(replies), status=status
        )

    jobs = user_turns(users, evidence, items, item_profiles)
    rows = await map_bounded(jobs, write, at_once=AT_ONCE, on_done=on_user)
    return profile_table(rows, USER_PROFILES, USER, users.dtype)


async def _refine(one: UserTurns, provider: Provider) -> list[Reply[Profile]]:
    replies: list[Reply[Profile]] = []
    for turn in one.turns:
        previous = replies[-1].answer if replies else None
        variables = turn.model_copy(update={"previous": previous})
        replies.append(
            await provider.ask(
                Request(purpose=USER_PROFILE, variables=variables, subject=f"user:{one.user}")
            )
        )
    return replies


def user_turns(
    users: pl.Series,
    evidence: pl.DataFrame,
    items: pl.DataFrame,
    item_profiles: pl.DataFrame,
) -> Iterator[UserTurns]:
    """Every user with the batches of their turns, built lazily."""
    used = evidence.select(ITEM).unique()
    shown = shown_items(items, item_profiles, used)
    missing = used.filter(~pl.col(ITEM).is_in(list(shown)))
    if missing.height:
        raise DataError(
            f"{missing.height} items of the evidence have no profile or no metadata, such as"
            f" {missing[ITEM].sort().head(3).to_list()}.",
            expected="a row in items and in item_profiles for every rated item.",
            fix="write the item profiles of the same data set first.",
        )
    per_user = (
        evidence.sort(USER, TURN, maintain_order=True)
        .group_by(USER, maintain_order=True)
        .agg(TURN, POLARITY, ITEM)
    )
    everyone = users.alias(USER).to_frame().join(per_user, on=USER, how="left").sort(USER)
    for user, turns, polarities, ids in everyone.select(USER, TURN, POLARITY, ITEM).iter_rows():
        rows = zip(ids or (), polarities or (), turns or (), strict=True)
        yield UserTurns(user=user, turns=tuple(evidence_turns(rows, shown)))


def evidence_turns(
    rows: Iterable[tuple[Id, str, int]], shown: Mapping[Id, RatedItem | None]
) -> Iterator[UserTurnInput]:
    """The batches of one user's evidence: item, polarity and turn, in the order of the turns."""
    known = ((turn, polarity, shown[item]) for item, polarity, turn in rows)
    rated = ((turn, polarity, item) for turn, polarity, item in known if item is not None)
    return map(_turn, _by_turn(rated))


Rated = tuple[int, str, RatedItem]


def _by_turn(rows: Iterable[Rated]) -> Iterator[list[Rated]]:
    for _, batch in groupby(rows, key=itemgetter(0)):
        yield list(batch)


def _turn(batch: list[Rated]) -> UserTurnInput:
    return UserTurnInput(
        liked=tuple(item for _, polarity, item in batch if polarity == LIKED),
        disliked=tuple(item for _, polarity, item in batch if polarity != LIKED),
    )


def shown_items(
    items: pl.DataFrame, item_profiles: pl.DataFrame, used: pl.DataFrame | None = None
) -> dict[Id, RatedItem | None]:
    """What is shown of each item of the evidence: its profile's content in short.

    Items of which nothing is known but the id say nothing of who rated them, and are not shown.

    Args:
        items: `columns.ITEMS`.
        item_profiles: `columns.ITEM_PROFILES`.
        used: ids of the items that are wanted; None for all.
    """
    titled = items.select(ITEM, telling_titles(items).fill_null(""), YEAR)
    known = item_profiles.select(ITEM, GENRES, TAGS, OVERVIEW, STATUS).join(titled, on=ITEM)
    if used is not None:
        known = known.join(used, on=ITEM, how="semi")
    return {
        row[ITEM]: None
        if row[STATUS] == NO_EVIDENCE
        else RatedItem(
            title=row[TITLE],
            year=row[YEAR],
            genres=tuple(row[GENRES]),
            tags=tuple(row[TAGS][:_SHOWN_TAGS]),
            overview=lead(row[OVERVIEW], _SHOWN_OVERVIEW),
        )
        for row in known.iter_rows(named=True)
    }


def _row(
    one: UserTurns, profile: Profile, model: str, prompt_version: str, *, turns: int, status: str
) -> Row:
    return profile_row(
        USER,
        one.user,
        profile,
        model=model,
        prompt_version=prompt_version,
        evidence_hash=one.evidence_hash,
        turns=turns,
        status=status,
    )
