"""Text embeddings of the profiles: the text of each, the model folder, two back ends."""

from recsys_core.embedding.cache import VectorCache
from recsys_core.embedding.embedder import Embedder
from recsys_core.embedding.item_features import (
    Labels,
    descriptions_of,
    label_vectors,
    labels_of,
    side_by_side,
    word_vectors,
    year_vectors,
)
from recsys_core.embedding.profile_texts import item_texts, user_texts

__all__ = [
    "Embedder", "Labels", "VectorCache", "descriptions_of", "item_texts", "label_vectors",
    "labels_of", "side_by_side", "user_texts", "word_vectors", "year_vectors",
]  # fmt: skip
