"""Step `user_profiles`: a structured profile of every user, from training ratings only."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import EVIDENCE, USER, USER_PROFILES
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from recsys_core.profiles.config import UserProfileConfig
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.users import profile_users
from tasks.runtime.llm_calls import ask
from tasks.runtime.progress import progress
from tasks.runtime.published_profiles import published_profiles
from tasks.runtime.references import DatasetRef, ItemProfilesRef, SplitRef, UserProfilesRef
from tasks.runtime.step import DAY, step


@step("user_profiles", version="1", returns=UserProfilesRef, timeout_seconds=DAY, tags=("llm",))
def user_profiles(
    out: ArtifactWriter,
    *,
    data: DatasetRef,
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
    ready = published_profiles(out, config.file, published, USER, users)
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
