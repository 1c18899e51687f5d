"""Embed: a vector of every profile."""

from prefect import flow

from flows._preflight import check_ready
from flows.ingest import Sources, prepare
from flows.profile import Profiles, describe
from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks import embed as steps
from tasks.report import tell
from tasks.runtime.step import run_log


def vectorise(
    store: ArtifactStore, config: RunConfig, sources: Sources, profiles: Profiles
) -> ArtifactRef:
    """Embed items and users with the same model."""
    return steps.embed(store, sources.data, profiles.items, profiles.users, config.embedding)


@flow(name="embed")
def embed(config: RunConfig = RunConfig()) -> list[StepSummary]:
    """Embed the profiles, and do whatever has to be there before.

    Args:
        config: every parameter of a run; those up to `embedding` matter here.
    """
    check_ready(config)
    store = ArtifactStore(root=config.artifact_root)
    with run_log() as log:
        sources = prepare(store, config)
        vectorise(store, config, sources, describe(store, config, sources))
        return tell(log)
