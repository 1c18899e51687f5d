"""Profiles: what items are like, and what users like, written in one schema."""

import polars as pl

from recsys_core.artifacts import ArtifactRef, ArtifactWriter
from recsys_core.columns import EVIDENCE, ITEM, ITEM_PROFILES, USER, USER_PROFILES
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from recsys_core.profiles.config import ItemProfileConfig, UserProfileConfig
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.items import profile_items
from recsys_core.profiles.ready_made import read_ready_made
from recsys_core.profiles.schema import Profile
from recsys_core.profiles.users import profile_users
from tasks.runtime.llm import ask
from tasks.runtime.progress import progress
from tasks.runtime.step import HOUR, step

DAY = 24 * HOUR


@step("item_profiles", version="1", timeout_seconds=DAY, tags=("llm",))
def item_profiles(
    out: ArtifactWriter,
    data: ArtifactRef,
    llm: LLMConfig,
    config: ItemProfileConfig,
    published: str | None = None,
) -> None:
    """Write a profile of every item, one request each by default (paper, section 2.1.1).

    Args:
        out: tables `item_profiles` and `llm_calls`.
        data: the ingested data set.
        llm: who writes.
        config: items per request; ready-made profiles, if any.
        published: content hash of the file of ready-made profiles.
    """
    items = data.table("items")
    ready = _ready_made(out, config.file, published, ITEM, items[ITEM])
    with progress("item profiles", items.height) as report:
        profiles = ask(
            out,
            llm,
            lambda model: profile_items(
                items, model, ready, per_call=config.per_call, on_item=report
            ),
        )
    out.table("item_profiles", profiles, ITEM_PROFILES)


@step("user_profiles", version="1", timeout_seconds=DAY, tags=("llm",))
def user_profiles(
    out: ArtifactWriter,
    data: ArtifactRef,
    split: ArtifactRef,
    items: ArtifactRef,
    llm: LLMConfig,
    config: UserProfileConfig,
    ratings: RatingScale,
    published: str | None = None,
) -> None:
    """Write a profile of every user in turns (paper, section 2.1.2), from training ratings only.

    Args:
        out: tables `user_profiles`, `evidence` (what was shown, in which turn) and `llm_calls`.
        data: the ingested data set.
        split: only its training part is read.
        items: item profiles, for what is shown of an item.
        llm: who writes.
        config: how much is shown, in which batches; ready-made profiles, if any.
        ratings: thresholds of liked and disliked.
        published: content hash of the file of ready-made profiles.
    """
    users = data.table("users")[USER]
    evidence = select_history(split.table("train"), ratings, config)
    ready = _ready_made(out, config.file, published, USER, users)
    with progress("user profiles", users.len()) as report:
        profiles = ask(
            out,
            llm,
            lambda model: profile_users(
                users,
                evidence,
                data.table("items"),
                items.table("item_profiles"),
                model,
                ready,
                on_user=report,
            ),
        )
    out.table("user_profiles", profiles, USER_PROFILES)
    out.table("evidence", evidence, EVIDENCE)


def _ready_made(
    out: ArtifactWriter, path: str | None, published: str | None, key: str, known: pl.Series
) -> dict[int | str, Profile]:
    """Ready-made profiles; those not used, or not as they are, are said, not hidden."""
    if path is None:
        return {}
    ready = read_ready_made(path, key, known)
    out.fact("published_file", published)
    out.fact("published", len(ready.profiles))
    out.fact("published_unknown_ids", ready.unknown)
    out.fact("published_empty", ready.empty)
    out.fact("published_trimmed", ready.trimmed)
    return ready.profiles
