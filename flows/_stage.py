"""What the flows of single stages share: where artifacts go, and what a stage tells at its end."""

from recsys_core.artifacts import ArtifactStore
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks.step import RunLog


def tell(log: RunLog) -> list[StepSummary]:
    """The steps of a flow, in the order in which they ended: rows, seconds, cached or not."""
    return [
        StepSummary(
            step=one.step,
            seconds=one.seconds,
            peak_memory_mib=one.peak_memory_mib,
            rows=one.rows,
            cached=one.cached,
            artifact=one.ref.uri,
        )
        for one in log.steps
    ]


def check_ready(config: RunConfig) -> None:
    """Refuse at the very start what cannot end well: hours of work would go before the error.

    Raises:
        StorageError: a root cannot be written.
        ConfigError: `graph.device` is `cuda` and torch sees no CUDA device.
    """
    for root in (config.artifact_root, config.runs_root):
        ArtifactStore(root=root).check_writable()
    if config.graph.device == "cuda":
        from recsys_core.graph.trainer import choose_device  # torch takes seconds to import

        choose_device(config.graph.device)
