"""Which strategy to choose: a model that errs in a known way, on MovieLens 100K.

Lists by EASE fitted on training ratings; the oracle knows the validation ratings (unrated items
stand between liked and disliked ones, equal ones in a drawn order). Per strategy, error model and
error: calls and tokens per user, Kendall's tau between the strategy's order and the oracle's, and
NDCG@10 on validation after the fusion 0.8 to 0.2.

`python -m tests.benchmarks.bench_oracle --write docs/strategies.md` puts the table between the
markers of that file; `--users` takes fewer users.
"""

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import kendalltau

from recsys_core.columns import ITEM, LLM_SCORE, RANK, RANKING, RATING, USER
from recsys_core.evaluation.metrics import NDCG
from recsys_core.evaluation.protocols import FULL, judge
from recsys_core.interactions.feedback import is_liked
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.fusion import fused_lists
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.strategies.registry import STRATEGIES
from recsys_core.rerank.user_context import RerankTables
from tests.benchmarks.rerank_data import DATA, World, load
from tests.oracle import ERROR_MODELS, OFFSET, Oracle, OracleProvider

USERS = 400
ERRORS = (0.1, 0.2, 0.3)
NEUTRAL = 3.0
BEGIN, END = "<!-- oracle table: begin -->", "<!-- oracle table: end -->"
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **{name: {"strategy": name} for name in STRATEGIES},
    "prompt-level, 1 look": {"strategy": "prompt-level", "looks": 1},
    "prompt-level, 5 looks": {"strategy": "prompt-level", "looks": 5},
    "overlapping, overlap 4": {"strategy": "overlapping", "overlap": 4},
    "pairwise, both orders": {"strategy": "pairwise", "both_orders": True},
}
"""Every strategy with its defaults, and what people would try next."""


def sampled(world: World, count: int) -> pl.Series:
    """Users with a liked validation item among their candidates."""
    liked = world.split.valid.filter(is_liked(DATA.like_from))
    users = world.candidates.join(liked, on=[USER, ITEM])[USER].unique().sort()
    return users.sample(min(count, users.len()), seed=0).sort()


def true_orders(lists: pl.DataFrame, valid: pl.DataFrame) -> dict[str, list[str]]:
    """Every user's candidates by hidden rating; equal ones in a drawn order."""
    drawn = pl.Series("drawn", np.random.default_rng(0).random(lists.height))
    rated = lists.join(valid.select(USER, ITEM, RATING), on=[USER, ITEM], how="left",
                       maintain_order="left")  # fmt: skip
    ordered = rated.with_columns(pl.col(RATING).fill_null(NEUTRAL), drawn).sort(
        USER, RATING, "drawn", descending=[False, True, False]
    )
    grouped = ordered.group_by(USER, maintain_order=True).agg(ITEM)
    return {str(user): [str(item) for item in items] for user, items in grouped.iter_rows()}


def ask(
    tables: RerankTables, oracle: Oracle, config: Mapping[str, Any]
) -> tuple[pl.DataFrame, OracleProvider]:
    provider = OracleProvider(oracle)
    settings = RerankConfig.model_validate(config)
    judged, _ = asyncio.run(rerank(tables, provider=provider, config=settings, seed=0))
    return judged, provider


def ndcg(lists: pl.DataFrame, world: World, users: pl.Series) -> float:
    mine = pl.col(USER).is_in(users.implode())
    judged = judge(
        lists.filter(mine).select(list(RANKING)), world.split.train,
        world.split.valid.filter(mine), method="oracle", protocol=FULL, cutoffs=(10,),
        like_from=DATA.like_from,
    )  # fmt: skip
    return float(np.nanmean(judged.per_user(NDCG, 10)))


def taus(judged: pl.DataFrame, orders: Mapping[str, list[str]]) -> list[float]:
    """Kendall's tau of every user between the scores and the true order."""
    found = []
    for (user,), own in judged.group_by(USER):
        truth = [-orders[str(user)].index(str(item)) for item in own[ITEM]]
        found.append(kendalltau(truth, own[LLM_SCORE].to_list()).statistic)
    return found


def row(
    name: str, model: str, tables: RerankTables, orders: Mapping[str, list[str]], world: World,
    users: pl.Series,
) -> tuple[str, float]:  # fmt: skip
    """A line of the table, and the largest standard error of its taus."""
    told: list[tuple[float, float]] = []
    errors = []
    for error in ERRORS:
        oracle = Oracle(orders, error=error, offset=OFFSET, **ERROR_MODELS[model])  # type: ignore[arg-type]
        judged, provider = ask(tables, oracle, VARIANTS[name])
        found = taus(judged, orders)
        errors.append(float(np.std(found)) / len(found) ** 0.5)
        fused = fused_lists(tables.candidates, judged, users, weight=0.8)
        told.append((float(np.mean(found)), ndcg(fused, world, users)))
    tau, accuracy = (
        " / ".join(f"{one:.3f}"[1:] for one in values) for values in zip(*told, strict=True)
    )
    per_user = provider.calls / users.len(), provider.tokens / users.len() / 1000
    return (
        f"| {name} | {model} | {per_user[0]:.0f} | {per_user[1]:.1f} | {tau} | {accuracy} |",
        max(errors),
    )


def table(count: int) -> str:
    world = load(published=True)
    users = sampled(world, count)
    lists = world.candidates.filter(pl.col(USER).is_in(users.implode())).sort(USER, RANK)
    tables = replace(world.tables, candidates=lists)
    orders = true_orders(lists, world.split.valid)
    lines = [
        "| strategy | errors | calls per user | tokens per user, thousand | tau at 10 / 20 / 30 %"
        " error | NDCG@10 at 10 / 20 / 30 % |",
        "|---|---|--:|--:|---|---|",
    ]
    largest = 0.0
    for name in VARIANTS:
        for model in ERROR_MODELS:
            line, error = row(name, model, tables, orders, world, users)
            print(line, flush=True)
            lines.append(line)
            largest = max(largest, error)
    graph = ndcg(lists, world, users)
    lines += [
        "",
        f"{users.len()} users; standard errors of tau at most {largest:.3f}; the graph's own"
        f" NDCG@10 is {graph:.3f}. Written by `python -m tests.benchmarks.bench_oracle --write"
        " docs/strategies.md`.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, default=USERS)
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args(argv)
    made = table(asked.users)
    if asked.write:
        before, _, rest = asked.write.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        asked.write.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
