"""The end of the reproduction: all measurements as one table, compared, and the page to read."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from recsys_core.artifacts import ArtifactRef
from recsys_core.columns import (
    COMPARISONS,
    DATA_SET,
    FOLD,
    METHOD,
    METRIC,
    OURS,
    PAPER,
    PROTOCOL,
    PUBLISHED,
    REPRODUCTION,
    STRATEGY_COSTS,
    TABLE_1,
    USER,
    VALUE,
    K,
)
from recsys_core.config import ReproduceConfig
from recsys_core.config.reproduction_methods import VARIANTS, figure_2
from recsys_core.config.reproduction_methods import table_1 as table_1_methods
from recsys_core.errors import DataError
from recsys_core.evaluation.cross_validation import compare_over_folds
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import CONDENSED, FULL, protocol_label
from recsys_core.report.folder import publish
from recsys_core.report.reproduction_page import Ablation, Reproduction, render
from recsys_core.report.strategy_gains import Reranking, StrategyRow, gains
from recsys_core.report.summary import StepSummary
from recsys_core.rerank.costs import strategy_costs
from tasks.reproduction.notes import PREFIX, notes_on
from tasks.reproduction.steps import headline_k
from tasks.runtime.llm import LEDGER

METRICS_FILE: Final = "reproduction.parquet"
COMPARISONS_FILE: Final = "comparisons.parquet"
TABLE_FILE: Final = "table1.parquet"
COLD_FILE: Final = "cold.parquet"
PAGE_FILE: Final = "reproduction.html"
SUMMARY_FILE: Final = "summary.json"
_TABLE_1_K: Final = 10
_PUBLISHED_RERANKING: Final = Reranking(
    base=f"{PREFIX}unified_structure", method=f"{PREFIX}relevancy_score", strategy="relevancy"
)
"""Every item of the authors' relevancy list is among the first 50 of that list of theirs."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One method on one fold: its lists' artifact, their measurement, and who judged them."""

    data_set: str
    fold: int
    method: str
    lists: ArtifactRef
    result: ArtifactRef
    judged: ArtifactRef | None = None


@task(name="reproduction", tags={"recsys", "report"}, cache_policy=NO_CACHE, persist_result=False)
def report(
    config: ReproduceConfig,
    results: Sequence[Measured],
    cold: pl.DataFrame,
    profiles: Sequence[tuple[str, int, str, str]],
    choices: Sequence[tuple[str, int, str, str]],
    steps: Sequence[StepSummary],
    started: datetime,
) -> Reproduction:
    """Write `runs/<run name>/`: the measurements, the comparisons, Table 1 and the page.

    Args:
        config: the run's parameters.
        results: every method on every fold.
        cold: `columns.COLD`.
        profiles: data set, fold, and who wrote the profiles of items and users.
        choices: data set, fold, method, and what was chosen on validation.
        steps: the steps of this run.
        started: when the run started, UTC.
    """
    metrics = _metrics(results)
    names, judged = {one.method for one in results}, any(one.judged for one in results)
    tests = {name: _tests(config, results, name) for name in _data_sets(results)}
    done = Reproduction(
        run_name=config.run_name,
        created=started,
        seconds=(datetime.now(UTC) - started).total_seconds(),
        folder=str(Path(config.runs_root).expanduser().resolve() / config.run_name),
        k=headline_k(config.evaluation),
        reference=config.reference,
        figure_2=figure_2(),
        metrics=metrics,
        comparisons={name: found for name, found in tests.items() if found.height},
        ablations=[one for name in tests for one in _ablations(config, results, name)],
        strategies=_strategies(results, metrics, headline_k(config.evaluation)),
        cold=cold,
        table_1=table_1(metrics, _paper_rows(config), config.evaluation.cold_below),
        profiles=profiles,
        choices=choices,
        notes=notes_on(config, names, judged=judged),
        steps=steps,
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


def _metrics(results: Sequence[Measured]) -> pl.DataFrame:
    frames = [
        one.result.table("metrics").with_columns(
            pl.lit(one.data_set).alias(DATA_SET), pl.lit(one.fold, pl.Int32).alias(FOLD)
        )
        for one in results
    ]
    return pl.concat(frames).select(*REPRODUCTION)


def _per_user(results: Sequence[Measured], data_set: str) -> dict[str, pl.DataFrame]:
    """Method -> fold, user and NDCG under `full`."""
    found: dict[str, list[pl.DataFrame]] = {}
    for one in results:
        if one.data_set == data_set:
            values = one.result.table("per_user").filter(
                (pl.col(PROTOCOL) == FULL) & (pl.col(METRIC) == NDCG)
            )
            row = values.select(pl.lit(one.fold, pl.Int32).alias(FOLD), USER, VALUE)
            found.setdefault(one.method, []).append(row)
    return {name: pl.concat(frames) for name, frames in found.items()}


def _tests(config: ReproduceConfig, results: Sequence[Measured], data_set: str) -> pl.DataFrame:
    values = _per_user(results, data_set)
    if config.reference not in values or len(values) < 2:
        return pl.DataFrame(schema=dict(COMPARISONS))
    return compare_over_folds(values, config.reference, seed=config.seed)


def _ablations(
    config: ReproduceConfig, results: Sequence[Measured], data_set: str
) -> list[Ablation]:
    values = _per_user(results, data_set)
    found = []
    for base in dict.fromkeys(one.ablates for one in VARIANTS.values() if one.ablates):
        variants = {name for name, one in VARIANTS.items() if one.ablates == base}
        part = {name: one for name, one in values.items() if name == base or name in variants}
        if base in part and len(part) > 1:
            table = compare_over_folds(part, base, seed=config.seed)
            found += [
                Ablation(data_set=data_set, variant=row[METHOD], base=base, row=row)
                for row in table.iter_rows(named=True)
            ]
    return found


def _strategies(results: Sequence[Measured], metrics: pl.DataFrame, k: int) -> list[StrategyRow]:
    """What every strategy gains over the lists that it reranks, ours and the authors'."""
    pairs = [
        Reranking(base=one.base, method=name, strategy=one.strategy)
        for name, one in VARIANTS.items()
        if one.base is not None
    ]
    pairs.append(_PUBLISHED_RERANKING)
    return gains(metrics, pairs, _costs(results), (FULL, CONDENSED), k)


def _costs(results: Sequence[Measured]) -> pl.DataFrame:
    """DATA_SET, METHOD and `columns.STRATEGY_COSTS` of every judging on every fold."""
    found = [
        strategy_costs(one.judged.table(LEDGER)).with_columns(
            pl.lit(one.data_set).alias(DATA_SET), pl.lit(one.method).alias(METHOD)
        )
        for one in results
        if one.judged is not None
    ]
    schema = {**STRATEGY_COSTS, DATA_SET: pl.String, METHOD: pl.String}
    return pl.concat([pl.DataFrame(schema=schema), *found])


def table_1(
    metrics: pl.DataFrame, paper: Mapping[str, Mapping[str, float]], cold_below: int
) -> pl.DataFrame:
    """The paper's Table 1 beside what is measured here (`columns.TABLE_1`).

    Args:
        metrics: `columns.REPRODUCTION`.
        paper: method -> metric -> the value in the paper.
        cold_below: users with fewer training interactions are cold.
    """
    cold = metrics.filter(
        (pl.col(PROTOCOL) == protocol_label(CONDENSED, cold_below - 1))
        & (pl.col(K) == _TABLE_1_K)
        & (pl.col(FOLD) == 1)
        & (pl.col(DATA_SET) == metrics[DATA_SET][0])
    )
    counterparts = table_1_methods()
    measured = {(row[METHOD], row[METRIC]): row[VALUE] for row in cold.iter_rows(named=True)}
    rows = [
        {
            METHOD: method, METRIC: metric, PAPER: value,
            PUBLISHED: measured.get((f"{PREFIX}{method}", metric)),
            OURS: measured.get((counterparts.get(method, ""), metric)),
        }
        for method, values in (paper if measured else {}).items()
        for metric, value in values.items()
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict(TABLE_1))


def _paper_rows(config: ReproduceConfig) -> dict[str, dict[str, float]]:
    path = config.paper_file("table1.csv")
    if path is None:
        return {}
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return {
                row.pop(METHOD): {name: float(value) for name, value in row.items()}
                for row in csv.DictReader(file)
            }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} cannot be read: {error!r}",
            expected="a CSV file with the columns method, precision, recall, ndcg and map.",
        ) from error


def _data_sets(results: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(one.data_set for one in results))


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def chosen(facts: Mapping[str, Any]) -> str | None:
    """What a step's facts say about its choice on validation; None for nothing chosen."""
    if "choice" in facts:
        return str(facts["choice"])
    if "epochs" in facts and "valid_ndcg" in facts:
        reached = facts["valid_ndcg"]
        shown = "" if reached is None else f", validation NDCG@10 {reached:.4f}"
        return f"{facts['epochs']} epochs{shown}"
    return None
