"""Text embeddings of the profiles: the text of each, the model folder, two back ends."""

from recsys_core.embedding.cache import VectorCache
from recsys_core.embedding.embedder import Embedder
from recsys_core.embedding.features import item_features, labels_of
from recsys_core.embedding.texts import item_texts, user_texts

__all__ = ["Embedder", "VectorCache", "item_features", "item_texts", "labels_of", "user_texts"]
