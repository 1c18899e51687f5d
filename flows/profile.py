"""Profile: what every item is like, and what every user likes."""

from dataclasses import dataclass

from prefect import flow

from flows._preflight import check_ready
from flows.ingest import Sources, prepare
from recsys_core.artifacts import ArtifactRef, ArtifactStore, file_hash
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks.profile import item_profiles, user_profiles
from tasks.report import tell
from tasks.runtime.step import run_log


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """Profiles of all items and of all users."""

    items: ArtifactRef
    users: ArtifactRef


def describe(store: ArtifactStore, config: RunConfig, sources: Sources) -> Profiles:
    """Write the profiles; users' come from the training part only."""
    mine, theirs = config.item_profiles, config.user_profiles
    items = item_profiles(store, sources.data, config.llm, mine, file_hash(mine.file))
    users = user_profiles(
        store, sources.data, sources.parts, items, config.llm, theirs, config.data.scale,
        file_hash(theirs.file),
    )  # fmt: skip
    return Profiles(items=items, users=users)


@flow(name="profile")
def profile(config: RunConfig = RunConfig()) -> list[StepSummary]:
    """Write item and user profiles, and whatever has to be there before them.

    Args:
        config: every parameter of a run; `data`, `split`, `llm`, `item_profiles` and
            `user_profiles` matter here.
    """
    check_ready(config)
    store = ArtifactStore(root=config.artifact_root)
    with run_log() as log:
        describe(store, config, prepare(store, config))
        return tell(log)
