"""Evaluate: our lists beside the baselines', on the test split.

`python -m flows.evaluate` scores a list from anywhere (`flows/score_list.py`), without Prefect.
"""

import sys

if __name__ == "__main__":  # before Prefect is imported: scoring a list needs none of it
    from flows.score_list import main

    sys.exit(main(sys.argv[1:]))

from prefect import flow

from flows._preflight import check_ready
from flows.ingest import Sources, prepare
from flows.rerank import recommend
from recsys_core.artifacts import ArtifactRef, ArtifactStore
from recsys_core.config import RunConfig
from recsys_core.report.summary import StepSummary
from tasks import evaluate as steps
from tasks.baselines import baselines
from tasks.evaluate_explanations import judge_explanations
from tasks.report import Lists, tell
from tasks.runtime.step import run_log


def measure(store: ArtifactStore, config: RunConfig, sources: Sources, lists: Lists) -> ArtifactRef:
    """Rank by the baselines, then measure every method under every protocol."""
    data, parts, ratings = sources.data, sources.parts, config.data.scale
    others = baselines(store, data, parts, ratings, max(config.evaluation.cutoffs))
    return steps.evaluate(
        store, data, parts, lists.candidates, lists.reranked, others,
        ratings, config.evaluation, config.seed,
    )  # fmt: skip


@flow(name="evaluate")
def evaluate(config: RunConfig = RunConfig()) -> list[StepSummary]:
    """Measure the lists and their reasons, and do whatever has to be there before.

    Args:
        config: every parameter of a run.
    """
    check_ready(config)
    store = ArtifactStore(root=config.artifact_root)
    with run_log() as log:
        sources = prepare(store, config)
        lists = recommend(store, config, sources)
        measure(store, config, sources, lists)
        judge_explanations(store, config, sources.data, lists)
        return tell(log)
