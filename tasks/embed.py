"""Step `embeddings`: text vectors of items and users, and the features of items."""

from functools import partial
from typing import Final

from recsys_core.artifacts import ArtifactWriter, local_folder
from recsys_core.columns import ITEM, TEXT, USER, YEAR
from recsys_core.embedding import (
    Embedder,
    VectorCache,
    concatenate_features,
    descriptions_of,
    item_texts,
    label_features,
    labels_of,
    user_texts,
    word_features,
    year_features,
)
from recsys_core.embedding.cache import FILE
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.embedding.encoders import Vectors
from recsys_core.embedding.model_files import weights_hash
from recsys_core.embedding.raw_texts import raw_item_texts
from tasks.runtime.progress import Report, progress
from tasks.runtime.references import (
    CatalogueRef,
    EmbeddingsRef,
    ItemProfilesRef,
    UserProfilesRef,
)
from tasks.runtime.step import step
from tasks.runtime.vector_tables import write_vectors

FEATURES: Final = "item_features"
"""Table of the vectors that describe items to the graph model: texts, labels, words, year."""


def _encoded(
    embedder: Embedder, cache: VectorCache, texts: dict[str, list[str]]
) -> dict[str, tuple[Vectors, int]]:
    """`encode_new` of every list of texts, with progress over all of them."""
    found, done = {}, 0
    with progress("embedding", sum(len(set(one)) for one in texts.values())) as report:
        for name, one in texts.items():
            found[name] = embedder.encode_new(one, cache, partial(_shifted, report, done))
            done += len(set(one))
            report(done)
    return found


def _shifted(report: Report, before: int, done: int) -> None:
    report(before + done)


@step(
    "embeddings",
    version="12",
    returns=EmbeddingsRef,
    rests_on=lambda inputs: {"weights": weights_hash(inputs["config"].model)},
    libraries=("scikit-learn",),
)
def embed(
    out: ArtifactWriter,
    *,
    catalogue: CatalogueRef,
    items: ItemProfilesRef,
    users: UserProfilesRef,
    config: EmbeddingConfig,
) -> None:
    """Embed item and user profiles with the same model (paper, section 2.2).

    Texts that were embedded before, for whatever run, come from a cache in the artifact root.

    Args:
        out: tables `items` and `users`, an id and the vector of its text each; and
            `item_features`: text, facts, labels, words and year of every item side by side.
        catalogue: the items: titles, years and genres are embedded, too.
        items: item profiles.
        users: user profiles.
        config: model and back end.
    """
    known, profiles = catalogue.table("items"), items.table("item_profiles")
    embedder, folder = Embedder(config), local_folder(out.root)
    cache = VectorCache(folder and folder / FILE, embedder.identity)
    labels = labels_of(known[ITEM], profiles)
    of_items, of_users = item_texts(known, profiles), user_texts(users.table("user_profiles"))
    texts = {
        ITEM: of_items[TEXT].to_list(),
        "facts": raw_item_texts(known, "facts")[TEXT].to_list(),
        "labels": labels.names,
        USER: of_users[TEXT].to_list(),
    }
    encoded = _encoded(embedder, cache, texts)
    found = {name: vectors_of for name, (vectors_of, _) in encoded.items()}
    write_vectors(out, "items", of_items[ITEM], found[ITEM])
    write_vectors(out, "users", of_users[USER], found[USER])
    features = concatenate_features(
        found[ITEM],
        found["facts"],
        label_features(labels, found["labels"]),
        word_features(descriptions_of(known[ITEM], profiles)),
        year_features(known[YEAR]),
    )
    write_vectors(out, FEATURES, known[ITEM], features)
    out.fact("backend", embedder.backend)
    out.fact("embedded_texts", sum(new for _, new in encoded.values()))
    out.fact("item_features", features.shape[1])
