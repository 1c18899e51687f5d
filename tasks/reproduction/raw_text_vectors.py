"""Step `plain_vectors`: vectors of texts that no language model wrote, for the ablations."""

import polars as pl

from recsys_core.artifacts import ArtifactWriter, local_folder
from recsys_core.columns import GENRES, ITEM, TEXT, USER, YEAR
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
from recsys_core.embedding.model_files import weights_hash
from recsys_core.embedding.raw_texts import raw_item_texts, raw_user_texts
from tasks.embed import FEATURES
from tasks.runtime.references import (
    CatalogueRef,
    EmbeddingsRef,
    UserProfilesRef,
    UsersRef,
)
from tasks.runtime.step import step
from tasks.runtime.vector_tables import write_vectors


@step(
    "plain_vectors",
    version="14",
    returns=EmbeddingsRef,
    rests_on=lambda inputs: {"weights": weights_hash(inputs["config"].model)},
)
def raw_text_vectors(
    out: ArtifactWriter,
    *,
    catalogue: CatalogueRef,
    known_users: UsersRef,
    users: UserProfilesRef,
    config: EmbeddingConfig,
    text: Text,
) -> None:
    """Embed texts that no language model wrote.

    Args:
        out: tables `items`, `users` and `item_features`, as the step `embeddings` writes them; the
            features are the vectors of the items, their genres and their years.
        catalogue: the items.
        known_users: all users.
        users: user profiles, for their table `evidence`: the same items are shown.
        config: model and back end.
        text: which text; `none` gives zeros.
    """
    embedder, folder = Embedder(config), local_folder(out.root)
    cache = VectorCache(folder and folder / FILE, embedder.identity)
    for name, key, texts in _raw_texts(catalogue, known_users, users, text):
        found, _ = embedder.encode_new(texts[TEXT].to_list(), cache)
        write_vectors(out, name, texts[key], found)
        if key == ITEM:
            features = found if text == "none" else _features(catalogue, found, embedder, cache)
            write_vectors(out, FEATURES, texts[key], features)
    out.fact("backend", embedder.backend)


def _features(
    catalogue: CatalogueRef, vectors: Floats, embedder: Embedder, cache: VectorCache
) -> Floats:
    """What the step `embeddings` makes of an item, but for all that a language model wrote."""
    items = catalogue.table("items")
    genres = Labels.of(items[GENRES])
    meanings, _ = embedder.encode_new(genres.names, cache)
    years = year_features(items[YEAR])
    return concatenate_features(vectors, label_features(genres, meanings), years)


def _raw_texts(
    catalogue: CatalogueRef, known_users: UsersRef, users: UserProfilesRef, text: Text
) -> list[tuple[str, str, pl.DataFrame]]:
    """Table, id column and texts of items and of users."""
    if text not in {"integrated", "facts"}:
        ids = [
            ("items", ITEM, catalogue.table("items")),
            ("users", USER, known_users.table("users")),
        ]
        # As wide as any text: the bias that a projection starts from depends on the width.
        return [(name, key, known.select(key, pl.lit("").alias(TEXT))) for name, key, known in ids]
    items = raw_item_texts(
        catalogue.table("items"), "integrated" if text == "integrated" else "facts"
    )
    people = raw_user_texts(known_users.table("users")[USER], users.table("evidence"), items)
    return [("items", ITEM, items), ("users", USER, people)]
