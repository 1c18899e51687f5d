"""Text embeddings of the profiles: the text of each, the model folder, two back ends."""

from recsys_core.embedding.cache import VectorCache
from recsys_core.embedding.embedder import Embedder
from recsys_core.embedding.texts import item_texts, user_texts

__all__ = ["Embedder", "VectorCache", "item_texts", "user_texts"]
