"""The cold-start protocols of the reproduction: every method and seed, then one table."""

from collections.abc import Sequence
from typing import get_args

import polars as pl

from flows.reproduction.folds import Fold, text_vectors
from recsys_core.artifacts import ArtifactStore
from recsys_core.columns import COLD, FOLD, METRIC, PROTOCOL, USER, VALUE
from recsys_core.config import FanOutConfig, ReproduceConfig
from recsys_core.config.reproduction_methods import VARIANTS
from recsys_core.config.reproduction_methods import cold_start as methods_of
from recsys_core.evaluation.cold_start import cold_table
from recsys_core.evaluation.metrics import NDCG
from recsys_core.recommenders.methods import BASELINES, Held
from tasks.reproduction.cold_start import cold_start
from tasks.runtime.fan_out import fan_out
from tasks.runtime.references import ColdStartRef
from tasks.runtime.step import Submitted

Job = tuple[Held, str, int]


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
        graph = (
            VARIANTS[method].graph(best=config.best, paper=config.paper)
            if method in VARIANTS
            else None
        )
        return cold_start.submit(
            store, interactions=data.interactions, known_users=data.known_users,
            item_ids=data.item_ids, facts=facts, profiles=profiles, new=new, method=method,
            graph=graph, ratings=data.scale, seed=seed,
        )  # fmt: skip

    fan = FanOutConfig(shards_at_once=config.at_once)
    done = fan_out(jobs, submit, fan, "cold start")
    tables = [ref.table("per_user") for ref in done]
    return _together(jobs, tables, config)


def _jobs(config: ReproduceConfig) -> list[Job]:
    # Baselines that need texts cannot be asked for elsewhere: here they are always measured.
    wanted = {*config.methods, *(name for name, one in BASELINES.items() if "texts" in one.needs)}
    return [
        (held, method, seed)
        for held in get_args(Held)
        for method in methods_of(held)
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
