"""Text embeddings of the profiles: the text of each, the model folder, two back ends."""

from recsys_core.embedding.embedder import Embedder
from recsys_core.embedding.texts import item_texts, user_texts

__all__ = ["Embedder", "item_texts", "user_texts"]
