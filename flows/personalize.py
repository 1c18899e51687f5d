"""The whole DAG: from a data set to recommendations with reasons, measured and reported.

    python -m flows.personalize --help

Nothing asks for a server: without PREFECT_API_URL the flow runs in this process.
"""

import sys

if __name__ == "__main__":  # the server gets ready while this process imports the rest
    from flows import _server

    _server.start_ahead(sys.argv)

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from prefect import flow

from flows import _command, _console, _server
from flows._preflight import check_ready
from flows.evaluate import measure
from flows.ingest import prepare
from flows.rerank import recommend
from recsys_core.artifacts import ArtifactStore
from recsys_core.config import RunConfig
from recsys_core.report.summary import Summary
from tasks.dry_run import plan
from tasks.evaluate_explanations import judge_explanations
from tasks.metadata_changes import processed
from tasks.plots import plots
from tasks.report import made_calls, report
from tasks.runtime.prefect_artifacts import publish_artifacts
from tasks.runtime.step import run_log
from tasks.split import split_everything


@flow(name="personalize", description="Profiles, graph model, reranking, reasons, evaluation.")
def personalize(config: RunConfig = RunConfig()) -> Summary | None:
    """Run the pipeline once; a dry run ends after the plan, and returns nothing.

    Args:
        config: every parameter of the run; see `--help`.
    """
    store, started = ArtifactStore(root=config.artifact_root), datetime.now(UTC)
    check_ready(config)
    with run_log() as log:
        sources = prepare(store, config)
        if config.llm.uses_model or config.dry_run:
            plan(sources.data, sources.parts, config)
        if config.dry_run:
            return None
        lists = recommend(store, config, sources)
        served = lists
        if config.refit:
            everything = replace(sources, parts=split_everything(store, sources.data))
            served = recommend(store, config, everything, lists)
        metrics = measure(store, config, sources, lists)
        reasons = judge_explanations(store, config, sources.data, served)
        drawn = plots(store, metrics, served.model)
        summary = report(config, log, sources.data, served, metrics, reasons, drawn, started)
        processed(config, sources.data)
        publish_artifacts(summary, served.recommendations, made_calls(log), drawn)
        return summary


def main(argv: Sequence[str]) -> int:
    """The command line."""

    def action() -> None:
        config = _command.parse(
            argv, program="python -m flows.personalize", description=personalize.description or ""
        )
        _server.wait()
        if (summary := personalize(config)) is not None:
            _console.show(summary)

    return _command.run(action)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
