"""Comparisons of the reproduction: over folds, of ablations, of rerank strategies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from recsys_core.columns import (
    COMPARISONS,
    DATA_SET,
    FOLD,
    METHOD,
    METRIC,
    PROTOCOL,
    REPRODUCTION,
    STRATEGY_COSTS,
    USER,
    VALUE,
)
from recsys_core.config import ReproduceConfig
from recsys_core.config.reproduction_methods import VARIANTS
from recsys_core.evaluation.cross_validation import compare_over_folds
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import CONDENSED, FULL
from recsys_core.report.reproduction_page import Ablation
from recsys_core.report.sections.strategy_gains import Reranking, StrategyRow, gains
from recsys_core.rerank.costs import strategy_costs
from tasks.reproduction.caveats import PREFIX
from tasks.runtime.llm_calls import LEDGER
from tasks.runtime.references import JudgementsRef, MetricsRef

_PUBLISHED_RERANKING: Final = Reranking(
    base=f"{PREFIX}unified_structure", method=f"{PREFIX}relevancy_score", strategy="relevancy"
)
"""Every item of the authors' relevancy list is among the first 50 of that list of theirs."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One method on one fold: its metrics, and the judgements that its lists rest on, if any."""

    data_set: str
    fold: int
    method: str
    result: MetricsRef
    judged: JudgementsRef | None = None


def all_metrics(results: Sequence[Measured]) -> pl.DataFrame:
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


def significance_tests(
    config: ReproduceConfig, results: Sequence[Measured], data_set: str
) -> pl.DataFrame:
    values = _per_user(results, data_set)
    if config.reference not in values or len(values) < 2:
        return pl.DataFrame(schema=dict(COMPARISONS))
    return compare_over_folds(values, config.reference, seed=config.seed)


def ablations(
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


def strategy_rows(results: Sequence[Measured], metrics: pl.DataFrame, k: int) -> list[StrategyRow]:
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


def data_sets(results: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(one.data_set for one in results))
