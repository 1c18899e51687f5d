"""The cold-start protocols of the reproduction: every method and seed, then one table."""

from collections.abc import Sequence
from typing import cast

import polars as pl

from flows.reproduction.folds import Fold, text_vectors
from recsys_core.artifacts import ArtifactStore
from recsys_core.columns import COLD, FOLD, METRIC, PROTOCOL, USER, VALUE
from recsys_core.config import FanOutConfig, Method, ReproduceConfig
from recsys_core.evaluation.cold_start_table import cold_table
from recsys_core.evaluation.metrics import NDCG
from tasks.reproduction.cold_start import (
    GRAPH_TEXTS,
    METHODS,
    TEXT_BASELINES,
    New,
    cold_start,
)
from tasks.reproduction.graph_variants import VARIANTS
from tasks.runtime.fan_out import fan_out
from tasks.runtime.references import ColdStartRef
from tasks.runtime.step import Submitted

Job = tuple[New, str, int]


def measure_cold(store: ArtifactStore, config: ReproduceConfig, fold: Fold) -> pl.DataFrame:
    """`cold_user(n)` and `cold_item` on the fold's whole data set (`columns.COLD`).

    Args:
        store: the artifacts.
        config: the seeds, the methods and the graph model.
        fold: any fold of the data set; its split is not used.
    """
    jobs = _jobs(config)
    if not jobs:
        return pl.DataFrame(schema=dict(COLD))
    data, facts = fold.made.data, text_vectors(store, fold, "facts")
    profiles = text_vectors(store, fold, "unified")

    def submit(job: Job) -> Submitted[ColdStartRef]:
        new, method, seed = job
        graph = VARIANTS[cast(Method, method)].graph(config) if method in GRAPH_TEXTS else None
        return cold_start.submit(
            store, interactions=data.interactions, user_table=data.user_table,
            item_ids=data.item_ids, facts=facts, profiles=profiles, new=new, method=method,
            graph=graph, ratings=fold.run.data.scale, seed=seed,
        )  # fmt: skip

    fan = FanOutConfig(shards_at_once=config.at_once)
    done = fan_out(jobs, submit, fan, "cold start")
    tables = [ref.table("per_user") for ref in done]
    return _together(jobs, tables, config)


def _jobs(config: ReproduceConfig) -> list[Job]:
    wanted = {*config.methods, *TEXT_BASELINES}
    return [
        (new, method, seed)
        for new, methods in METHODS.items()
        for method in methods
        if method in wanted
        for seed in config.cold_seeds
    ]


def _together(
    jobs: Sequence[Job], tables: Sequence[pl.DataFrame], config: ReproduceConfig
) -> pl.DataFrame:
    values: dict[str, list[pl.DataFrame]] = {}
    for (_, method, seed), table in zip(jobs, tables, strict=True):
        row = table.filter(pl.col(METRIC) == NDCG).select(
            pl.lit(seed, pl.Int32).alias(FOLD), USER, PROTOCOL, VALUE
        )
        values.setdefault(method, []).append(row)
    return cold_table(
        {name: pl.concat(frames) for name, frames in values.items()},
        config.reference, bootstrap=config.evaluation.bootstrap, seed=config.seed,
    )  # fmt: skip
