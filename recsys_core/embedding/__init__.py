"""Text embeddings of profiles (sentence-transformers, by OpenVINO or torch), and item features."""

from recsys_core.embedding.cache import VectorCache
from recsys_core.embedding.embedder import Embedder
from recsys_core.embedding.item_features import (
    Labels,
    concatenate_features,
    descriptions_of,
    label_features,
    labels_of,
    word_features,
    year_features,
)
from recsys_core.embedding.profile_texts import item_texts, user_texts

__all__ = [
    "Embedder",
    "Labels",
    "VectorCache",
    "concatenate_features",
    "descriptions_of",
    "item_texts",
    "label_features",
    "labels_of",
    "user_texts",
    "word_features",
    "year_features",
]  # fmt: skip
