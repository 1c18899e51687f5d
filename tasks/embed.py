"""Embed: a vector of every item's and every user's text."""

from recsys_core.artifacts import ArtifactRef, ArtifactWriter, local_folder
from recsys_core.columns import ITEM, TEXT, USER, vectors
from recsys_core.config import EmbeddingConfig
from recsys_core.embedding import Embedder, VectorCache, item_texts, user_texts
from recsys_core.embedding.cache import FILE
from tasks.step import step
from tasks.vectors import vector_table


@step("embeddings", version="1")
def embed(
    out: ArtifactWriter,
    data: ArtifactRef,
    items: ArtifactRef,
    users: ArtifactRef,
    config: EmbeddingConfig,
) -> None:
    """Embed item and user profiles with the same model (paper, section 2.2).

    Texts that were embedded before, for whatever run, come from a cache in the artifact root.

    Args:
        out: tables `items` and `users`, an id and a vector each.
        data: the ingested data set: titles, years and genres stand beside the profile.
        items: item profiles.
        users: user profiles.
        config: model and back end.
    """
    tables = {
        "items": (ITEM, item_texts(data.table("items"), items.table("item_profiles"))),
        "users": (USER, user_texts(users.table("user_profiles"))),
    }
    embedder, folder, embedded = Embedder(config), local_folder(out.root), 0
    cache = VectorCache(folder and folder / FILE, embedder.identity)
    for name, (key, texts) in tables.items():
        found, new = embedder.encode_new(texts[TEXT].to_list(), cache)
        embedded += new
        out.table(name, vector_table(texts[key], found), vectors(key, found.shape[1]))
    out.fact("backend", embedder.backend)
    out.fact("embedded_texts", embedded)
