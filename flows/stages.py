"""What the flows share: the checks before the first step, and a run up to a last step."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.command_line.signals import stop_on_signal
from flows.command_line.watch import watching_under_worker
from flows.pipeline import Last, pipeline
from recsys_core.artifacts import ArtifactStore, sweep_root
from recsys_core.config import RunConfig
from recsys_core.report.folder import check_run_folder, sweep_runs
from recsys_core.report.run_comparison import read_run
from recsys_core.report.summary import StepSummary
from tasks.runtime.runs.run_log import RunLog, run_log
from tasks.runtime.warm_start import named_run


def check_ready(config: RunConfig) -> None:
    """Refuse at the very start what cannot end well: hours of work would go before the error.

    Raises:
        StorageError: a root cannot be written.
        ConfigError: the run's folder would replace one that is not ours, `graph.device` is `cuda`
            and torch sees no CUDA device, or there is no run that `graph.warm_start_from` names.
        DataError: the run that `compare_to` names has not the files to be compared with.
    """
    for root in (config.artifact_root, config.runs_root):
        ArtifactStore(root=root).check_writable()
    sweep_root(config.artifact_root)
    sweep_runs(config.runs_root)
    if config.run_name is not None:
        check_run_folder(config.runs_root, config.run_name)
    if config.compare_to is not None:
        read_run(Path(config.runs_root).expanduser() / config.compare_to)
    named_run(config)
    if config.graph.device == "cuda":
        from recsys_core.graph.training.trainer import choose_device

        choose_device(config.graph.device)


@contextmanager
def started() -> Iterator[RunLog]:
    """Around the steps of every flow: signals end it at once, a server that is gone soon."""
    with stop_on_signal(), watching_under_worker(), run_log() as log:
        yield log


def run_until(config: RunConfig, last: Last) -> list[StepSummary]:
    """Run the pipeline up to a step; what the steps did."""
    check_ready(config)
    with started() as log:
        pipeline(config, log, until=last)
        return log.summaries()
