"""Hyperparameters of LightGCN and NGCF."""

from dataclasses import dataclass
from typing import Literal

from recsys_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LightGcnConfig:
    """Sizes, loss and optimiser.

    Attributes:
        dimensions: of the learned vectors, and of every layer.
        layers: rounds of message passing; 0 is plain matrix factorisation.
        loss: `softmax` (over all items, cosine scores) or `bpr` (one negative per interaction).
        weighted: edges and targets carry the rating weight (liked 1, neutral 0.5); otherwise
            the graph has liked interactions only, each with weight 1.
        temperature: of the softmax; cosine scores are divided by it.
        steps: updates of the optimiser.
        learning_rate: of Adam.
        decay: L2 penalty of the learned vectors (BPR: of those in the batch).
        batch: interactions per update of BPR.
        seed: of the first vectors and of the samples.
    """

    dimensions: int = 128
    layers: int = 2
    loss: Literal["softmax", "bpr"] = "softmax"
    weighted: bool = True
    temperature: float = 0.2
    steps: int = 100
    learning_rate: float = 0.01
    decay: float = 0.0
    batch: int = 16_384
    seed: int = 0

    def __post_init__(self) -> None:
        sizes = (self.dimensions, self.layers + 1, self.steps, self.batch)
        if min(sizes) < 1 or not min(self.temperature, self.learning_rate) > 0 or self.decay < 0:
            raise ConfigError(
                f"Graph baseline: {self}.",
                expected="sizes and steps of at least 1 (layers: 0), a temperature and learning"
                " rate above 0, a decay of at least 0.",
            )
