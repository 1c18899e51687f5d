"""Steps of the reproduction: a method's lists on one fold, and what they are worth."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactRef, ArtifactWriter, local_folder
from recsys_core.columns import (
    CANDIDATES,
    GENRES,
    ITEM,
    METRICS,
    PER_USER,
    RANK,
    RANKING,
    TEXT,
    USER,
    YEAR,
    check,
)
from recsys_core.config.reproduction_methods import Text
from recsys_core.embedding import (
    Embedder,
    Labels,
    VectorCache,
    concatenate_features,
    label_features,
    year_features,
)
from recsys_core.embedding.cache import FILE
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.embedding.item_features import Floats
from recsys_core.embedding.raw_texts import raw_item_texts, raw_user_texts
from recsys_core.errors import DataError
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.cross_validation import user_table
from recsys_core.evaluation.protocols import CONDENSED, FULL, judge
from recsys_core.interactions.feedback import RatingScale
from recsys_core.recommenders.methods import builders
from recsys_core.recommenders.tuning import tuned
from recsys_core.report.summary import HEADLINE_K
from tasks.embed import FEATURES
from tasks.runtime.step import HOUR, step
from tasks.runtime.vector_tables import write_vectors

LISTS: Final = "candidates"
"""Table of lists in the artifacts of this module, the same as in the graph model's."""


_NODES: Final = (("items", ITEM), ("users", USER))


@step("plain_vectors", version="4")
def plain_vectors(
    out: ArtifactWriter, data: ArtifactRef, users: ArtifactRef, config: EmbeddingConfig, text: Text
) -> None:
    """Embed texts that no language model wrote.

    Args:
        out: tables `items`, `users` and `item_features`, as the step `embed` writes them; the
            features are the vectors of the items, their genres and their years.
        data: the ingested data set.
        users: user profiles, for their table `evidence`: the same items are shown.
        config: model and back end.
        text: which text; `none` gives zeros.
    """
    embedder, folder = Embedder(config), local_folder(out.root)
    cache = VectorCache(folder and folder / FILE, embedder.identity)
    for name, key, texts in _plain_texts(data, users, text):
        found, _ = embedder.encode_new(texts[TEXT].to_list(), cache)
        if text == "none":
            # As wide as any text: the bias that a projection starts from depends on the width.
            found = np.zeros_like(found)
        write_vectors(out, name, texts[key], found)
        if key == ITEM:
            features = found if text == "none" else _plain_features(data, found, embedder, cache)
            write_vectors(out, FEATURES, texts[key], features)
    out.fact("backend", embedder.backend)


def _plain_features(
    data: ArtifactRef, vectors: Floats, embedder: Embedder, cache: VectorCache
) -> Floats:
    """What the step `embed` makes of an item, but for all that a language model wrote."""
    items = data.table("items")
    genres = Labels.of(items[GENRES])
    meanings, _ = embedder.encode_new(genres.names, cache)
    return concatenate_features(
        vectors, label_features(genres, meanings), year_features(items[YEAR])
    )


def _plain_texts(
    data: ArtifactRef, users: ArtifactRef, text: Text
) -> list[tuple[str, str, pl.DataFrame]]:
    """Table, id column and texts of items and of users."""
    if text not in {"integrated", "facts"}:
        empty = [(name, key, data.table(name).select(key)) for name, key in _NODES]
        return [(name, key, ids.with_columns(pl.lit("").alias(TEXT))) for name, key, ids in empty]
    items = raw_item_texts(data.table("items"), "integrated" if text == "integrated" else "facts")
    people = raw_user_texts(data.table("users")[USER], users.table("evidence"), items)
    return [("items", ITEM, items), ("users", USER, people)]


@step("baseline", version="1", timeout_seconds=6 * HOUR)
def baseline(
    out: ArtifactWriter,
    data: ArtifactRef,
    split: ArtifactRef,
    method: str,
    ratings: RatingScale,
    k: int,
    seed: int,
) -> None:
    """Choose among a baseline's candidates on validation, refit the winner, rank.

    Args:
        out: table `candidates` (`columns.CANDIDATES`).
        data: the ingested data set.
        split: train and valid; test is not looked at.
        method: name in `recommenders.methods.BASELINES`.
        ratings: thresholds.
        k: length of the lists.
        seed: of the methods that draw.
    """
    train, valid = split.table("train"), split.table("valid")
    candidates = builders(method, ratings, seed=seed)
    found = tuned(candidates, train, valid, data.table("items")[ITEM], like_from=ratings.like_from)
    known = pl.concat([train, valid])
    lists = found.recommender.recommend(data.table("users")[USER], k, exclude=known)
    out.table(LISTS, lists, CANDIDATES)
    out.fact("choice", found.choice)
    out.fact("valid_ndcg", found.valid_ndcg)


@step("published_lists", version="1")
def published_lists(out: ArtifactWriter, path: str, fingerprint: str | None) -> None:
    """Take over the lists in a file.

    Args:
        out: table `candidates` (`columns.RANKING`).
        path: Parquet with user, item and rank.
        fingerprint: content hash of the file.

    Raises:
        DataError: the file is no such table.
    """
    try:
        lists = pl.read_parquet(path).cast({RANK: pl.Int32})
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path} cannot be read: {error}", expected=f"Parquet with {', '.join(RANKING)}."
        ) from error
    out.table(LISTS, check(lists, RANKING, table=path).select(*RANKING), RANKING)
    out.fact("file", Path(path).name)
    out.fact("fingerprint", fingerprint)


@step("measured", version="1")
def measured(
    out: ArtifactWriter,
    split: ArtifactRef,
    lists: ArtifactRef,
    table: str,
    method: str,
    ratings: RatingScale,
    config: EvaluationConfig,
    seed: int,
) -> None:
    """Measure one method's lists on the test split, all users and cold users, both protocols.

    Args:
        out: tables `metrics` and `per_user`; the latter at one cut-off, for paired tests.
        split: train, valid and test; only here are test ratings read.
        lists: the method's lists.
        table: name of their table.
        method: name in the tables.
        ratings: thresholds.
        config: cut-offs, the bound of cold users, bootstrap resamples.
        seed: of the bootstrap.
    """
    known, ranking = pl.concat([split.table("train"), split.table("valid")]), lists.table(table)
    judged = [
        judge(
            ranking, known, split.table("test"), method=method, protocol=protocol,
            cutoffs=config.cutoffs, like_from=ratings.like_from, max_train_interactions=cold,
        )
        for protocol in (FULL, CONDENSED)
        for cold in (None, config.cold_below - 1)
    ]  # fmt: skip
    metrics = [one.table(bootstrap=config.bootstrap, seed=seed) for one in judged]
    out.table("metrics", pl.concat(metrics), METRICS)
    k = headline_k(config)
    out.table("per_user", pl.concat([user_table(one, k) for one in judged]), PER_USER)
    for name, count in judged[0].notes.items():
        out.fact(name, count)


def headline_k(config: EvaluationConfig) -> int:
    """The cut-off of tables and tests: 10 where it is measured, else the largest."""
    return HEADLINE_K if HEADLINE_K in config.cutoffs else max(config.cutoffs)
