"""Report of the reproduction: its folder with tables and the page."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from recsys_core.columns import COMPARISONS, DATA_SET
from recsys_core.config import ReproduceConfig
from recsys_core.config.reproduction_methods import figure_2
from recsys_core.report.folder import publish
from recsys_core.report.reproduction_page import Reproduction, render
from recsys_core.report.summary import headline_k
from tasks.reproduction.caveats import caveats
from tasks.reproduction.comparisons import (
    Measured,
    ablations,
    all_metrics,
    data_sets,
    significance_tests,
    strategy_rows,
)
from tasks.reproduction.table_1 import paper_rows, table_1
from tasks.runtime.runs.run_folder import SUMMARY_FILE
from tasks.runtime.runs.run_log import RunLog

METRICS_FILE: Final = "reproduction.parquet"
COMPARISONS_FILE: Final = "comparisons.parquet"
TABLE_FILE: Final = "table1.parquet"
COLD_FILE: Final = "cold.parquet"
PAGE_FILE: Final = "reproduction.html"


@task(name="reproduction", tags={"recsys", "report"}, cache_policy=NO_CACHE, persist_result=False)
def report(
    config: ReproduceConfig,
    results: Sequence[Measured],
    cold: pl.DataFrame,
    profiles: Sequence[tuple[str, int, str, str]],
    choices: Sequence[tuple[str, int, str, str]],
    log: RunLog,
) -> Reproduction:
    """Write `runs/<run name>/`: the measurements, the comparisons, Table 1 and the page.

    Args:
        config: the run's parameters.
        results: every method on every fold.
        cold: `columns.COLD`.
        profiles: data set, fold, and who wrote the profiles of items and users.
        choices: data set, fold, method, and what was chosen on validation.
        log: the steps of this run.
    """
    metrics = all_metrics(results)
    names, judged = {one.method for one in results}, any(one.judged for one in results)
    tests = {name: significance_tests(config, results, name) for name in data_sets(results)}
    done = Reproduction(
        run_name=config.run_name,
        created=log.started,
        seconds=(datetime.now(UTC) - log.started).total_seconds(),
        folder=str(Path(config.runs_root).expanduser().resolve() / config.run_name),
        k=headline_k(config.evaluation.cutoffs),
        reference=config.reference,
        figure_2=figure_2(),
        metrics=metrics,
        comparisons={name: found for name, found in tests.items() if found.height},
        ablations=[one for name in tests for one in ablations(config, results, name)],
        strategies=strategy_rows(results, metrics, headline_k(config.evaluation.cutoffs)),
        cold=cold,
        table_1=table_1(metrics, paper_rows(config), config.evaluation.cold_below),
        profiles=profiles,
        choices=choices,
        notes=caveats(config, names, judged=judged),
        steps=log.summaries(),
        config=config.model_dump(mode="json"),
    )
    publish(config.runs_root, config.run_name, _files(done), latest=False)
    return done


def _files(done: Reproduction) -> dict[str, bytes]:
    tests = [
        frame.select(pl.lit(name).alias(DATA_SET), *COMPARISONS)
        for name, frame in done.comparisons.items()
    ]
    empty = pl.DataFrame(schema={DATA_SET: pl.String, **COMPARISONS})
    summary = {
        "run_name": done.run_name, "created": done.created.isoformat(), "seconds": done.seconds,
        "notes": list(done.notes), "profiles": list(done.profiles), "choices": list(done.choices),
        "ablations": [dict(one.row) for one in done.ablations],
        "strategies": [asdict(one) for one in done.strategies],
        "steps": [one.model_dump() for one in done.steps], "config": done.config,
    }  # fmt: skip
    return {
        METRICS_FILE: _parquet(done.metrics),
        COMPARISONS_FILE: _parquet(pl.concat([empty, *tests])),
        TABLE_FILE: _parquet(done.table_1),
        COLD_FILE: _parquet(done.cold),
        PAGE_FILE: render(done).encode(),
        SUMMARY_FILE: json.dumps(summary, indent=1).encode(),
    }


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
