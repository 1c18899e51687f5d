"""Step `enrich`: fill the items' overviews, keywords, cast and directors from TMDB."""

import asyncio
from pathlib import Path

import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import (
    AVAILABLE,
    INTERACTIONS,
    ITEM,
    ITEMS,
    OVERVIEW,
    REASON,
    TITLE,
    UNMATCHED,
    USER,
    YEAR,
)
from recsys_core.datasets.config import TmdbConfig
from recsys_core.datasets.tmdb.cache import ResponseCache
from recsys_core.datasets.tmdb.client import TmdbClient, api_key
from recsys_core.datasets.tmdb.enrich import enrich as enrich_items
from recsys_core.errors import ConfigError
from tasks.runtime.progress import progress
from tasks.runtime.references import DatasetRef
from tasks.runtime.step import DAY, step

SOURCE = "The Movie Database (this product uses the TMDB API but is not endorsed by TMDB)"


@step("enrich", version="4", returns=DatasetRef, timeout_seconds=DAY, tags=("network",))
def enrich(out: ArtifactWriter, *, data: DatasetRef, config: TmdbConfig, with_key: bool) -> None:
    """Put what TMDB knows into the items; without a key the data set goes through as it is.

    Args:
        out: the tables of `ingest`, and `unmatched` (items that TMDB does not have, and why).
        data: the ingested data set.
        config: address, limits, what is kept.
        with_key: whether a key is set (`datasets.tmdb.api_key`): a part of the content key, so
            that the first run with a key does not take what a run without one left.
    """
    items = data.table("items")
    unmatched = items.clear().select(ITEM, TITLE, YEAR, pl.lit(None, pl.String).alias(REASON))
    for name, value in data.manifest.facts.items():
        out.fact(name, value, in_content=name in data.manifest.content_facts)
    if with_key:
        items, unmatched = _ask(out, items, config)
    else:
        why = "switched off" if not config.enabled else f"{config.api_key_env} is not set"
        out.fact("metadata", f"the data set's own: TMDB was not asked ({why})")
    out.table("interactions", data.table("interactions"), INTERACTIONS)
    out.table("items", items, ITEMS)
    out.table("item_ids", items.select(ITEM, AVAILABLE), {ITEM: None, AVAILABLE: pl.Boolean})
    out.table("users", data.table("users"), {USER: None})
    out.table("unmatched", unmatched, UNMATCHED)


def _ask(
    out: ArtifactWriter, items: pl.DataFrame, config: TmdbConfig
) -> tuple[pl.DataFrame, pl.DataFrame]:
    key = api_key(config)
    if key is None:
        raise ConfigError(
            f"{config.api_key_env} was set where the flow started, but not where this step runs.",
            expected="the same environment for the flow and its steps.",
            fix=f"set {config.api_key_env} for the workers, too.",
        )

    async def run() -> tuple[pl.DataFrame, pl.DataFrame]:
        with (
            ResponseCache(Path(config.cache_file).expanduser()) as cache,
            progress("TMDB", items.height) as report,
        ):
            async with TmdbClient(config, key, cache) as client:
                enriched, unmatched = await enrich_items(items, client, config, on_done=report)
        _note(out, client, items, enriched, unmatched)
        return enriched, unmatched

    return asyncio.run(run())


def _note(
    out: ArtifactWriter,
    client: TmdbClient,
    before: pl.DataFrame,
    after: pl.DataFrame,
    unmatched: pl.DataFrame,
) -> None:
    filled = before[OVERVIEW].null_count() - after[OVERVIEW].null_count()
    facts = {
        "metadata": SOURCE, "matched": after.height - unmatched.height,
        "unmatched": unmatched.height, "overviews_filled": filled,
        "requests": client.requests, "retries": client.retries, "cached": client.cached,
    }  # fmt: skip
    for name, value in facts.items():
        out.fact(name, value)
