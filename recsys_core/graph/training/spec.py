"""What one run of training is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.model.message_passing import Backend
from recsys_core.graph.training.early_stopping import Validator
from recsys_core.graph.training.warm_start import Start
from recsys_core.interactions.feedback import RatingScale

Listener = Callable[[int, int, float, float | None], None]
"""Called after every epoch with (epoch, epochs at most, loss, NDCG if it was measured)."""
Row = dict[str, object]
"""A row of the curves (`columns.CURVES`)."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """What to fit.

    Attributes:
        phase: name in the curves.
        graph: nodes, and the edges to train on.
        user_text: (n_users, d_text) text vectors.
        item_text: (n_items, d_text) text vectors.
        config: model and training.
        data: thresholds of ratings.
        seed: of every random choice.
        device: where to compute.
        backend: kernels of message passing.
        epochs: epochs at most.
        validator: measures NDCG for early stopping; None trains all epochs.
        precision: type that dense products are computed in.
        start: an earlier model to go on from; None starts anew.
        shown: what users are placed by when lists are made, where that is not what the served
            model learned from; None: users stand as trained.
    """

    phase: str
    graph: InteractionGraph
    user_text: Floats
    item_text: Floats
    config: TrainingConfig
    data: RatingScale
    seed: int
    device: torch.device
    backend: Backend
    epochs: int
    validator: Validator | None = None
    precision: torch.dtype = torch.float32
    start: Start | None = None
    shown: Edges | None = None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted model.

    Attributes:
        weights: parameters by name, on the CPU.
        user_vectors: (n_users, d) refined vectors.
        item_vectors: (n_items, d).
        epoch: the epoch they are from: the best one, or the last without a validator.
        ndcg: its validation NDCG@10, or None.
        curves: one row per epoch, as `columns.CURVES`.
        resumed_at: the epoch of the checkpoint that the run went on from; 0 for none.
        unsaved: checkpoints that could not be written.
    """

    weights: dict[str, torch.Tensor]
    user_vectors: Floats
    item_vectors: Floats
    epoch: int
    ndcg: float | None
    curves: list[Row]
    resumed_at: int = 0
    unsaved: int = 0
