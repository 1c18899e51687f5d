"""A trained model as it is stored, ready to place users: no training, no step, no Prefect."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl
import torch
from safetensors.torch import load, save

from recsys_core.graph.components.dot_products.component_file import sum_from_bytes
from recsys_core.graph.components.item_model import TABLES, ItemToItemModel
from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.inference.fold_in import FittedModel
from recsys_core.graph.interaction_graph import Floats, InteractionGraph
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import aligned

COMPONENTS_FILE: Final = "components.safetensors"
WEIGHTS_FILE: Final = "weights.safetensors"
USER_VECTORS: Final = "users"
ITEM_VECTORS: Final = "items"


def to_bytes(weights: Mapping[str, torch.Tensor]) -> bytes:
    """A network's parameters by name as a safetensors file."""
    data: bytes = save({name: one.contiguous() for name, one in weights.items()})
    return data


def fitted_model(
    graph: InteractionGraph,
    *,
    tables: Mapping[str, pl.DataFrame],
    weights: bytes,
    components: bytes,
    item_model: Mapping[str, Any] | None,
    user_text: Floats,
    item_text: Floats,
    config: TrainingConfig,
    scale: RatingScale,
) -> FittedModel:
    """The model of its stored parts.

    Args:
        graph: nodes, and all edges that the model learned from.
        tables: vectors `users` and `items`, and those of the item-to-item part (`TABLES`).
        weights: the network's parameters, a safetensors file.
        components: the dot-product components, as `components_to_bytes` writes them.
        item_model: facts of the item-to-item part; None where there is none.
        user_text: (n_users, d_text) text vectors of the users of the graph.
        item_text: (n_items, d_text).
        config: what it was trained with, nothing left open.
        scale: thresholds of its ratings.

    Raises:
        DataError: parts of different trainings.
    """
    maps = None if item_model is None else ItemToItemModel.from_tables(
        {name: tables[name] for name in TABLES}, item_model
    )  # fmt: skip
    served = sum_from_bytes(
        components, user_vectors=aligned(tables[USER_VECTORS], graph.user_ids),
        item_vectors=aligned(tables[ITEM_VECTORS], graph.item_ids), item_model=maps,
        config=config, scale=scale,
    )  # fmt: skip
    return FittedModel(
        graph=graph, weights=load(weights), user_text=user_text, item_text=item_text,
        config=config, data=scale, served=served,
    )  # fmt: skip
