"""Configuration of the graph attention network and its training."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from recsys_core.section import Section


class GraphConfig(Section):
    """The graph attention network and its training.

    `preset` sets every field that is not given; the defaults below are those of `best`.
    """

    runtime_fields: ClassVar[frozenset[str]] = frozenset({
        "checkpoint_every", "warm_start_from", "device", "backend",
    })  # fmt: skip

    preset: Literal["paper", "best"] = "best"
    """`paper`: section 2.2 of the paper (liked edges only, feature transforms, BPR and cosine
    loss), with id vectors beside the profiles, without which our training stays far below the
    authors' lists; `best`: what won on held-out ratings (all ratings as edges, light attention
    layers, softmax over all items, practice of the cold start, and regressions and waves of time
    beside the network)."""
    layers: int = Field(default=3, ge=1, le=6)
    """GAT layers."""
    hidden: int = Field(default=64, ge=1)
    """Hidden units per head."""
    heads: int = Field(default=4, ge=1)
    """Attention heads."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout on features."""
    transform: bool = False
    """Whether a layer has its own weights, layer norm, LeakyReLU and residual connection."""
    symmetric: bool = True
    """Whether attention starts from symmetric normalisation, which discounts neighbours that have
    many edges, instead of from a plain mean; a mean of several layers blurs."""
    combine: Literal["last", "mean"] = "mean"
    """Output: the last layer, or the mean of the input and every layer."""
    edges: Literal["liked", "all"] = "all"
    """Edges that carry messages: liked ones, or all, each level of rating with its own weight."""
    id_rank: int = Field(default=16, ge=0)
    """Learned id vectors start from the spectrum of the training matrix up to this rank; 0 has
    none, so that profiles alone describe a node."""
    loss: Literal["bpr", "softmax"] = "softmax"
    """`bpr`: BPR and cosine alignment of the dot product; `softmax`: cross-entropy over all items
    of cosine / temperature + item bias."""
    temperature: float | None = Field(default=None, gt=0)
    """Temperature of the softmax loss; null takes .25 for up to 100,000 ratings, and less for more,
    by the fifth root of their number."""
    practice_users: float = Field(default=0.35, ge=0, le=1)
    """Share of the users that play new in each epoch, with a few of their ratings and no id
    vector: so the model learns to serve users who come after training (whole graph only)."""
    practice_items: float = Field(default=0.05, ge=0, lt=1)
    """Share of the items that play new in each epoch, with their profile alone."""
    item_features: bool = True
    """Whether an item is described by its facts, its year and the labels and words of its profile,
    too, beside the vector of its text; without, by that vector alone (as in the paper)."""
    user_text_scale: float = Field(default=0.3, ge=0)
    """What vectors of the users' texts are multiplied by: a profile says little that the ratings
    of a user do not say better, and where a user has none, what is left still points somewhere."""
    user_text_ratings: float | None = Field(default=10.0, gt=0)
    """Ratings after which a user's text counts half; null counts it in full for everybody."""
    new_item_penalty: float = Field(default=1.0, ge=0)
    """Penalty of the ridge regression that reads the final vectors of items without ratings from
    their features, averaged with what the model makes of them; 0 leaves it to the model."""
    item_to_item: float = Field(default=5.0, ge=0)
    """Weight of an item-to-item regression (EASE, told which items have like features) beside the
    network, in the same dot product; 0 leaves it out, and so do more than 20,000 items."""
    user_attributes: float = Field(default=2.0, ge=0)
    """Weight of a user's age, country and whatever else the table of users tells, beside one liked
    item, in the item-to-item regression; 0 leaves them out."""
    rating_deviations: float = Field(default=1.5, ge=0)
    """Weight of a regression of how much better than usual a user rates an item on how much better
    than usual they rated others, in the same dot product; 0 leaves it out, and so do ratings that
    are all alike, or more than 20,000 items."""
    time_lift: float = Field(default=0.3, ge=0)
    """Weight of what was rated more than usual in the weeks in which a user was active, in the same
    dot product; 0 leaves it out, and so do ratings without timestamps."""
    neutral_weight: float = Field(default=0.5, ge=0, le=1)
    """Weight of ratings between disliked and liked as targets of the softmax loss."""
    bpr_weight: float = Field(default=5.0, ge=0)
    """Weight of the BPR loss."""
    cosine_weight: float = Field(default=2.0, ge=0)
    """Weight of the cosine alignment of positive pairs."""
    negatives: Literal["uniform", "popularity", "robust"] = "uniform"
    """Items that the BPR loss takes as worse than a liked one, never one that the user has
    rated: any alike, popular ones more often, or (`robust`) in part what the user disliked."""
    popularity_exponent: float = Field(default=0.75, ge=0, le=2)
    """`popularity`: an unknown item's chance is in proportion to this power of its number of
    ratings."""
    disliked_share: float = Field(default=0.5, ge=0, le=1)
    """`robust`: share of the negatives of a user with dislikes that are disliked items."""
    learning_rate: float = Field(default=1e-2, gt=0)
    """Peak learning rate of AdamW."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of AdamW; id vectors and biases have none."""
    max_epochs: int | None = Field(default=None, ge=1)
    """Upper bound of epochs; null takes 60 for up to 100,000 ratings, and more for more, by the
    fifth root of their number."""
    evaluate_every: int = Field(default=5, ge=1)
    """Epochs between two validations."""
    patience: int = Field(default=3, ge=1)
    """Validations without a better NDCG@10 before training stops."""
    retrain: bool = True
    """Train once more on training and validation rows, for the number of epochs found."""
    batch_edges: int | None = Field(default=None, ge=0)
    """Liked pairs per step, each step on sampled neighbours of theirs: what a step needs does not
    grow with the data. 0 trains on the whole graph at once; null does so up to 10 million ratings,
    and takes 131,072 pairs beyond."""
    neighbours: int = Field(default=25, ge=1)
    """Neighbours that are sampled per node and layer, where a step has some of the pairs."""
    warm_start_from: str | None = None
    """An earlier run whose model training goes on from, where data changed a little: its name
    under `runs_root` (`latest` is the last one), or its folder. A model that has seen what this
    run holds out for validation or test is not used, and the summary says so; with `refit`,
    the served model holds nothing out."""
    checkpoint_every: int = Field(default=20, ge=0)
    """Epochs between two checkpoints, from which a training that was killed goes on, to the same
    result; 0 writes none."""
    backend: Literal["auto", "dgl", "torch"] = "auto"
    """Kernels of message passing; `auto` takes the faster one, which is `torch`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA where there is some, else the CPU, and says so."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of dense products: `auto` takes bfloat16 on a CUDA device that has it, else float32. Sums
    over neighbours, losses and parameters always have 32 bits."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("preset") == "paper":
            return {**_PAPER_GRAPH, **given}
        return given

    def for_ratings(self, count: int) -> "TrainingConfig":
        """The same with nothing left open, for a training on `count` ratings.

        The more ratings there are, the sharper may the model tell items apart, and the longer does
        it learn to.
        """
        growth = max(1.0, count / _FEW_RATINGS) ** 0.2
        found = {
            "temperature": self.temperature or 0.25 / growth,
            "max_epochs": self.max_epochs or round(60 * growth),
        }
        return TrainingConfig.model_validate(self.model_dump() | found)


_FEW_RATINGS: Final = 100_000


class TrainingConfig(GraphConfig):
    """`GraphConfig` with nothing left open; made by its `for_ratings`."""

    temperature: float = Field(gt=0)
    max_epochs: int = Field(ge=1)


_PAPER_GRAPH: Mapping[str, Any] = {
    "layers": 3, "hidden": 64, "heads": 4, "dropout": 0.1, "transform": True, "combine": "last",
    "edges": "liked", "id_rank": 64, "loss": "bpr", "learning_rate": 3e-3, "max_epochs": 300,
    "evaluate_every": 10, "patience": 5, "practice_users": 0.0, "practice_items": 0.0,
    "symmetric": False, "item_to_item": 0.0, "item_features": False, "user_text_scale": 1.0,
    "user_text_ratings": None, "new_item_penalty": 0.0, "rating_deviations": 0.0,
    "time_lift": 0.0, "user_attributes": 0.0,
}  # fmt: skip
