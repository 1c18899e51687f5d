"""Ingest: the data set in the contract, and the split that everything else is made from."""

from dataclasses import dataclass

from prefect import flow

from flows._preflight import check_ready
from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.config import RunConfig
from recsys_core.datasets.load import source_fingerprint
from recsys_core.datasets.tmdb.client import api_key
from recsys_core.report.summary import StepSummary
from tasks import ingest as steps
from tasks.enrich import enrich
from tasks.report import tell
from tasks.runtime.step import run_log
from tasks.split import split


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The data set, and one split of it."""

    data: ArtifactRef
    parts: ArtifactRef


def fetch(store: ArtifactStore, config: RunConfig) -> ArtifactRef:
    """The data set as its source has it, and what TMDB adds to its items where a key is set."""
    data = steps.ingest(store, config.data, source_fingerprint(config.data))
    return enrich(store, data, config.tmdb, api_key(config.tmdb) is not None)


def prepare(store: ArtifactStore, config: RunConfig) -> Sources:
    """The data set and its train, validation and test parts."""
    data = fetch(store, config)
    return Sources(data=data, parts=split(store, data, config.split, config.seed))


@flow(name="ingest")
def ingest(config: RunConfig = RunConfig()) -> list[StepSummary]:
    """Fetch, check and split the data set.

    Args:
        config: every parameter of a run; `data` and `split` matter here.
    """
    check_ready(config)
    with run_log() as log:
        prepare(ArtifactStore(root=config.artifact_root), config)
        return tell(log)
