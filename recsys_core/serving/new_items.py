"""Items that came after training, placed by their texts.

A new item scores as the trained items that its text is most like: the mean of their scores, weighed
by the softmax of the cosines. Linear, so it holds for every part of the score; nothing is learned.
"""

from typing import Final

import numpy as np
import polars as pl
from scipy import sparse

from recsys_core.columns import ITEM, TEXT
from recsys_core.embedding import item_texts
from recsys_core.graph.interaction_graph import Floats
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.profiles import embedder

NEIGHBOURS: Final = 20
SHARPNESS: Final = 15.0
"""Cosines are multiplied by this before the softmax."""


def placed_items(model: ServedModel, items: pl.DataFrame, profiles: pl.DataFrame) -> ServedModel:
    """The model with further items.

    Args:
        model: of the training.
        items: `columns.ITEMS`; those that the model has are left out.
        profiles: `columns.ITEM_PROFILES` of them.

    Raises:
        DataError: ids of another type.
    """
    new = model.unknown_items(items)
    if new.is_empty():
        return model
    own = profiles.with_columns(pl.col(ITEM).cast(model.items.schema[ITEM])).join(
        new, on=ITEM, how="semi"
    )
    texts = embedder(model.config.embedding).encode(item_texts(new, own)[TEXT].to_list())
    mix = text_neighbours(texts, model.item_texts[: model.item_ids.len()])
    return model.with_items(new, own, texts, mix)


def text_neighbours(texts: Floats, known: Floats) -> sparse.csr_matrix:
    """(n_new, n_items) shares of the trained items most like each new one, by cosine."""
    cosines = _unit(texts) @ _unit(known).T
    count = min(NEIGHBOURS, known.shape[0])
    places = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    near = np.take_along_axis(cosines, places, axis=1)
    raised = np.exp(SHARPNESS * (near - near.max(1, keepdims=True)))
    shares = raised / raised.sum(1, keepdims=True)
    rows = np.repeat(np.arange(len(texts)), places.shape[1])
    return sparse.csr_matrix(
        (shares.ravel().astype(np.float32), (rows, places.ravel())), cosines.shape
    )


def _unit(vectors: Floats) -> Floats:
    found: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return found
