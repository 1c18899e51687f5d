"""Profiles of users who are folded in, by rules, and the vectors of their texts."""

import asyncio
import logging
from functools import cache

import numpy as np
import polars as pl

from recsys_core.columns import EVIDENCE, MODEL, TEXT, USER, USER_PROFILES
from recsys_core.embedding import Embedder, user_texts
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.errors import ConfigError, SourceUnavailable
from recsys_core.graph.interaction_graph import Floats
from recsys_core.interactions.lookup import aligned, vector_table
from recsys_core.llm.providers.rules import RULES, RulesProvider
from recsys_core.profiles.history_selection import select_history
from recsys_core.profiles.users import profile_users
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.visitors import Visitors

logger = logging.getLogger(__name__)


def profiles_of(model: ServedModel, visitors: Visitors) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Profiles (`columns.USER_PROFILES`) of everybody, and their evidence.

    Those of users placed by training are the run's own; the others' are written by rules.
    """
    placed = visitors.placed
    evidence = select_history(
        visitors.history.join(placed.to_frame(), on=USER, how="semi"), model.scale,
        model.config.user_profiles,
    )  # fmt: skip
    written = asyncio.run(
        profile_users(placed, evidence, model.items, model.item_profiles, RulesProvider())
    )
    return with_known(model, visitors, written, evidence)


def with_known(
    model: ServedModel,
    visitors: Visitors,
    written: pl.DataFrame | None,
    evidence: pl.DataFrame | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Profiles and evidence of everybody: those written now, and of the others the run's own."""
    placed = visitors.placed.to_frame()
    known = visitors.users.to_frame().join(placed, on=USER, how="anti")
    profiles = [model.user_profiles.join(known, on=USER, how="semi").select(*USER_PROFILES)]
    shown = [model.evidence.join(known, on=USER, how="semi").select(*EVIDENCE)]
    for parts, new, names in ((profiles, written, USER_PROFILES), (shown, evidence, EVIDENCE)):
        if new is not None:
            parts.append(new.join(placed, on=USER, how="semi").select(*names))
    return pl.concat(profiles), pl.concat(shown)


def text_vectors(model: ServedModel, profiles: pl.DataFrame, users: pl.Series) -> Floats:
    """(n, d_text) vectors of the profiles of `users`, zeros where one has none.

    Raises:
        ConfigError: the model of the embeddings is not here.
    """
    width = model.placing.text_width
    texts = user_texts(profiles)
    vectors = np.zeros((texts.height, width), np.float32)
    if texts.height:
        vectors = embedder(model.config.embedding).encode(texts[TEXT].to_list())
    return aligned(vector_table(texts[USER], vectors), users)


def described(
    model: ServedModel, visitors: Visitors, profiles: pl.DataFrame, *, everybody: bool = False
) -> Visitors:
    """The same visitors with the vectors of those profiles' texts that say more than ratings do.

    What rules write repeats the ratings, and a model that discounts texts by the number of ratings
    ranks alike with and without (docs/experiments.md): such texts are not embedded, and the vectors
    are those of the cold-start protocol.

    Args:
        model: places the users.
        visitors: the users.
        profiles: of everybody.
        everybody: embed every text, for a reranker that compares them.
    """
    own = profiles.join(visitors.placed.to_frame(), on=USER, how="semi")
    if everybody:
        own = profiles
    elif model.placing.network.settings["user_text_half_life"] is not None:
        own = own.filter(pl.col(MODEL) != RULES)
    if own.is_empty():
        return visitors
    return visitors.with_texts(text_vectors(model, own, visitors.users))


@cache
def embedder(config: EmbeddingConfig) -> Embedder:
    """The embedding model, opened once.

    Raises:
        ConfigError: it is not here.
    """
    try:
        return Embedder(config)
    except SourceUnavailable as error:
        raise ConfigError(error.seen, expected=error.expected, fix=error.fix) from error
