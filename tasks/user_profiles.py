"""Step `user_profiles`: a structured profile of every user, from training ratings only."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import EVIDENCE, USER, USER_PROFILES
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from recsys_core.profiles.config import UserProfileConfig
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.users import USER_PROFILE, profile_users
from tasks.runtime.llm_calls import ask, prompts_in_use
from tasks.runtime.progress import progress
from tasks.runtime.published_profiles import published_profiles
from tasks.runtime.references import (
    CatalogueRef,
    ItemProfilesRef,
    SplitRef,
    UserProfilesRef,
    UsersRef,
)
from tasks.runtime.step import DAY, step


@step(
    "user_profiles",
    version="14",
    returns=UserProfilesRef,
    timeout_seconds=DAY,
    tags=("llm",),
    rests_on=lambda inputs: prompts_in_use(inputs["llm"], USER_PROFILE),
)
def user_profiles(
    out: ArtifactWriter,
    *,
    known_users: UsersRef,
    catalogue: CatalogueRef,
    split: SplitRef,
    items: ItemProfilesRef,
    llm: LLMConfig,
    config: UserProfileConfig,
    ratings: RatingScale,
    published: str | None = None,
) -> None:
    """Write a profile of every user in turns (paper, section 2.1.2), from training ratings only.

    Args:
        out: tables `user_profiles`, `evidence` (what was shown, in which turn) and `llm_calls`.
        known_users: all users.
        catalogue: the items.
        split: only its training part is read.
        items: item profiles, for what is shown of an item.
        llm: who writes.
        config: how much is shown, in which batches; ready-made profiles, if any.
        ratings: thresholds of liked and disliked.
        published: content hash of the file of ready-made profiles.
    """
    users = known_users.table("users")[USER]
    evidence = select_history(split.table("train"), ratings, config)
    ready = published_profiles(out, config.file, published, USER, users)
    with progress("user profiles", users.len()) as report:
        profiles = ask(
            out,
            llm,
            lambda model: profile_users(
                users,
                evidence,
                catalogue.table("items"),
                items.table("item_profiles"),
                model,
                ready,
                on_user=report,
            ),
        )
    out.table("user_profiles", profiles, USER_PROFILES)
    out.table("evidence", evidence, EVIDENCE)
