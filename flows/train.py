"""Train: the graph attention network, and every user's candidates from it."""

from dataclasses import dataclass

from prefect import flow

from flows._preflight import check_ready
from flows.embed import vectorise
from flows.ingest import Sources, prepare
from flows.profile import Profiles, describe
from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks import train as steps
from tasks.candidates import candidates
from tasks.graph import graph
from tasks.report import tell
from tasks.runtime.step import run_log
from tasks.warm_start import earlier_model


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The trained model, what it was given, and the lists it gives."""

    profiles: Profiles
    vectors: ArtifactRef
    model: ArtifactRef
    candidates: ArtifactRef


def fit(
    store: ArtifactStore, config: RunConfig, sources: Sources, tuned: ArtifactRef | None = None
) -> Trained:
    """Profiles, vectors, graph, model and candidates of one split.

    Args:
        store: where artifacts lie.
        config: the run's parameters.
        sources: the data set and the split.
        tuned: a model whose number of epochs is taken, where the split holds nothing out.
    """
    parts, seed = sources.parts, config.seed
    profiles = describe(store, config, sources)
    vectors = vectorise(store, config, sources, profiles)
    nodes = graph(store, sources.data, parts)
    earlier = earlier_model(config, refit=tuned is not None)
    model = steps.train(
        store, parts, nodes, vectors, config.graph, config.data.scale, seed, tuned,
        earlier.model if earlier else None, earlier.split if earlier else None,
    )  # fmt: skip
    depth = max(config.rerank.candidates, *config.evaluation.cutoffs)
    ranked = candidates(store, parts, nodes, model, depth)
    return Trained(profiles=profiles, vectors=vectors, model=model, candidates=ranked)


@flow(name="train")
def train(config: RunConfig = RunConfig()) -> list[StepSummary]:
    """Train the graph model, and do whatever has to be there before.

    On a GPU worker this fills the artifact that a run of `personalize` elsewhere then finds:
    the same configuration on the same artifact root.

    Args:
        config: every parameter of a run; those up to `graph` matter here. `graph.device: cuda`
            is refused at once where there is no GPU.
    """
    check_ready(config)
    store = ArtifactStore(root=config.artifact_root)
    with run_log() as log:
        fit(store, config, prepare(store, config))
        return tell(log)
