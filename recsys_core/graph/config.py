"""Configuration of the graph attention network and its training."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from recsys_core.graph.recipes import dense_recipe, recipe_of, sparse_recipe
from recsys_core.section import Section


class GraphConfig(Section):
    """The graph attention network and its training.

    `preset` sets every field that is not given; the defaults below are those of `best`.
    """

    runtime_fields: ClassVar[frozenset[str]] = frozenset(
        {"checkpoint_every", "warm_start_from", "device", "backend", "memory"}
    )
    former_names: ClassVar[Mapping[str, str]] = {
        "practice_users": "write `cold_start_dropout_users`",
        "practice_items": "write `cold_start_dropout_items`",
        "new_item_penalty": "write `cold_item_ridge`",
        "item_to_item": "its weight is learned on validation; `components` switches it off",
        "rating_deviations": "its weight is learned on validation; `components` switches it off",
        "time_lift": "its weight is learned on validation; `components` switches it off",
        "user_attributes": "write `user_attributes_weight`",
        "id_rank": "write `id_dimensions`",
        "neighbours": "write `num_neighbors`",
        "negatives": "write `negative_sampling`",
        "popularity_exponent": "leave it out: it is 0.75",
        "disliked_share": "leave it out: it is a half",
        "combine": "write `layer_combination`",
        "transform": "write `feature_transform`",
        "symmetric": "write `symmetric_normalization`",
        "user_text_ratings": "write `user_text_half_life`",
    }

    preset: Literal["paper", "best"] = "best"
    """`paper`: section 2.2 of the paper (liked edges only, feature transforms, BPR and cosine
    loss), with id vectors added to the profiles, without which our training stays far below the
    authors' lists; `best`: what won on held-out ratings (all ratings as edges, light attention
    layers, softmax over all items, cold-start dropout, and additive score components)."""
    recipe: Literal["auto", "dense", "sparse"] = "auto"
    """How the network is trained where a field below is null. `dense`: all users in a step, three
    layers, id vectors that start narrow, item biases, cold-start dropout; `sparse`: as LightGCN
    trains best on few interactions per user: batches of users, two layers, id vectors that start
    at full width, no biases and no dropout. `auto` takes `sparse` from 2,000 users on, below 23
    interactions per node (geometric mean over users and items); there, unless effort is `quick`,
    the search trains both and takes what validation prefers."""
    layers: int | None = Field(default=None, ge=1, le=6)
    """GAT layers; null takes 3, sparse 2."""
    hidden: int = Field(default=64, ge=1)
    """Hidden units per head; more for data with more to learn, at a cost in proportion."""
    heads: int = Field(default=4, ge=1)
    """Attention heads; their outputs are concatenated."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout on features, more where validation falls early; null takes .2, sparse 0."""
    feature_transform: bool = False
    """Whether a layer has weights, layer norm, LeakyReLU and a residual connection (as in the
    paper); without, it only averages neighbours, as LightGCN does."""
    symmetric_normalization: bool = True
    """Whether attention is multiplied by 1 / sqrt(degree product), as in GCN and LightGCN, instead
    of averaging plainly; deep means over popular neighbours blur."""
    layer_combination: Literal["last", "mean"] = "mean"
    """Output: the last layer (the paper's GAT), or the mean of the input and every layer (as in
    LightGCN)."""
    edges: Literal["liked", "all"] = "all"
    """Edges that carry messages: liked ones, or all with a learned weight per level of rating."""
    id_dimensions: int | None = Field(default=None, ge=0)
    """Learned id vectors start from this many singular vectors of the training matrix; null takes
    16, sparse the whole width; 0 has no id vectors, so that profiles alone describe a node."""
    loss: Literal["bpr", "softmax"] = "softmax"
    """`bpr`: BPR and cosine alignment of the dot product; `softmax`: cross-entropy over items of
    cosine / temperature + item bias."""
    item_bias: bool | None = None
    """Whether the softmax has item biases, and a certainty per user, so that users with few ratings
    are shown what is popular; null: sparse data have none, which they blur."""
    temperature: float | None = Field(default=None, gt=0)
    """Temperature of the softmax loss; null takes .25 for up to 100,000 ratings, and less for more,
    by the fifth root of their number; sparse .12 up to 15 interactions per node, and more for
    more, .2 at 35."""
    users_per_step: int | None = Field(default=None, ge=0)
    """Users of a step, whose softmax runs over a sample of the items; each step passes messages on
    the whole graph. 0 takes all users; null does so, sparse 1,024 or a thirtieth of the users."""
    cold_start_dropout_users: float | None = Field(default=None, ge=0, le=1)
    """Share of the users who lose id vector and most edges in each step (DropoutNet), so that the
    model learns to serve users who come after training (full-graph training only); null takes
    .35, sparse 0."""
    cold_start_dropout_items: float | None = Field(default=None, ge=0, lt=1)
    """Share of the items that are reduced to their profile in each step (DropoutNet); null takes
    .05, sparse 0."""
    item_features: bool = True
    """Whether an item is described by its facts, year, profile labels and words in addition to the
    vector of its text; without, by that vector alone (as in the paper)."""
    user_text_scale: float = Field(default=0.3, ge=0)
    """Factor on the vectors of the users' texts: a profile says little that a user's ratings do not
    say better, and matters where there are none."""
    user_text_half_life: float | None = Field(default=10.0, gt=0)
    """Ratings after which a user's text counts half; null counts it in full for everybody (as in
    the paper)."""
    cold_item_ridge: float = Field(default=1.0, ge=0)
    """Penalty of the ridge regression from features to final vectors whose predictions are averaged
    with the model's vectors of items without ratings; 0 uses the model's alone, as the paper."""
    components: bool = True
    """Whether additive components are added to the network's score: item-to-item maps (EASE, kNN,
    transitions), LightGCN (on dense data up to 100,000, 500,000 or 5 million interactions by
    effort), popularity over time, each with the weight that validation gives it."""
    effort: Literal["quick", "standard", "thorough"] = "standard"
    """Settings of components that are tried on validation: few (a first look), those that matter,
    or all (a model to keep)."""
    order: bool = True
    """Whether times and positions of interactions count: transitions, decayed histories, recent
    popularity. Without, an experiment shows what they are worth."""
    user_attributes_weight: float = Field(default=2.0, ge=0)
    """Weight of user attributes (age, country, ...) relative to one liked item in the EASE
    component; 0 leaves them out."""
    neutral_weight: float = Field(default=0.5, ge=0, le=1)
    """Weight of ratings between disliked and liked as targets of the softmax loss; 0 where a middle
    rating says nothing good."""
    bpr_weight: float = Field(default=5.0, ge=0)
    """Weight of the BPR loss (the paper names none)."""
    cosine_weight: float = Field(default=2.0, ge=0)
    """Weight of the cosine alignment of positive pairs, which a high learning rate collapses."""
    negative_sampling: Literal["uniform", "popularity", "robust"] = "uniform"
    """Negatives of the BPR loss, never an item that the user has rated: uniform, by the 0.75th
    power of its ratings, or (`robust`) half of them from what the user disliked."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate of AdamW, lower where the loss jumps; null takes .01, sparse .005."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Weight decay of AdamW, against overfitting; id vectors and biases have none."""
    max_epochs: int | None = Field(default=None, ge=1)
    """Upper bound of epochs; null takes 60 for up to 100,000 ratings, and more for more, by the
    fifth root of their number; sparse as many as make 300 steps (150 with effort `quick`)."""
    evaluate_every: int = Field(default=5, ge=1)
    """Epochs between two validations; more where validation takes longer than training."""
    patience: int = Field(default=3, ge=1)
    """Validations without a better NDCG@10 before training stops; more for noisy, small data."""
    retrain: bool = True
    """Train once more on training and validation rows, for the number of epochs found. Without, an
    experiment takes half the time."""
    batch_edges: int | None = Field(default=None, ge=0)
    """Liked pairs per step, each step on sampled neighbours of theirs: what a step needs does not
    grow with the data. 0 trains on the whole graph at once; null does so up to 10 million ratings,
    and takes 131,072 pairs beyond."""
    num_neighbors: int = Field(default=25, ge=1)
    """Neighbours sampled per node and layer in mini-batch training; fewer take less memory."""
    warm_start: bool = True
    """Whether training goes on from the last run of the same configuration and data, with the
    components and weights that it chose, for the part of its epochs that the changes amount to: a
    rating more then changes few lists. Without, every change of the data chooses everything anew.
    A model that has seen what this run holds out is not used, and the summary says so."""
    warm_start_fall: float = Field(default=0.03, ge=0, le=1)
    """Share of the validation NDCG that may be lost since components and weights were chosen,
    before they are chosen anew; over the users of whom the same items are held out, and where
    the fall is two standard errors of theirs."""
    warm_start_from: str | None = None
    """An earlier run to go on from in place of the last one: its name under `runs_root` (`latest`
    is the last one), or its folder."""
    checkpoint_every: int = Field(default=20, ge=0)
    """Epochs between two checkpoints, from which a training that was killed goes on, to the same
    result; 0 writes none."""
    memory: float | None = Field(default=None, gt=0)
    """GiB that components may hold; null takes half of what the container or machine has. What
    would need more takes a sparser form, and the facts say so."""
    backend: Literal["auto", "dgl", "torch"] = "auto"
    """Kernels of message passing; `auto` takes the faster one, which is `torch`."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA where there is some, else the CPU, and says so. A model is found again by a
    run on another device: the device is no part of what is computed."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of dense products: `auto` takes bfloat16 on a CUDA device that has it, else float32. Sums
    over neighbours, losses and parameters always have 32 bits."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("preset") == "paper":
            return {**_PAPER_GRAPH, **given}
        return given

    def for_data(self, ratings: int, users: int, items: int) -> "TrainingConfig":
        """The same with nothing left open, for a training on so many ratings, users and items."""
        density = ratings / math.sqrt(max(1, users * items))
        recipe = self.recipe
        if recipe == "auto":
            recipe = recipe_of(density, users)
        rules = (
            dense_recipe(ratings)
            if recipe == "dense"
            else sparse_recipe(
                density, users, width=self.hidden * self.heads, at_once=self.users_per_step,
                quick=self.effort == "quick",
            )
        )  # fmt: skip
        found = {name: value for name, value in rules.items() if getattr(self, name) is None}
        return TrainingConfig.model_validate(self.model_dump() | found | {"recipe": recipe})

    def rival_for_data(self, ratings: int, users: int, items: int) -> "TrainingConfig | None":
        """The other recipe that validation has to judge beside `for_data`; None for none."""
        tried = self.recipe == "auto" and self.effort != "quick"
        if not tried or self.for_data(ratings, users, items).recipe == "dense":
            return None
        return self.model_copy(update={"recipe": "dense"}).for_data(ratings, users, items)


class CandidatesConfig(Section):
    """Candidate generation by the graph model's scores."""

    keep_margin: float = Field(default=2.0, ge=0, le=10)
    """An item that the last run of this configuration listed stays in a user's candidates, unless
    a newcomer's score is higher by more than so many standard deviations of what retraining
    alone changes. 0 lists by the scores alone. What is rated by now, or may not be recommended
    any more, is never kept."""


class TrainingConfig(GraphConfig):
    """`GraphConfig` with nothing left open; made by its `for_data`."""

    recipe: Literal["dense", "sparse"]
    layers: int = Field(ge=1, le=6)
    dropout: float = Field(ge=0, lt=1)
    id_dimensions: int = Field(ge=0)
    item_bias: bool
    temperature: float = Field(gt=0)
    users_per_step: int = Field(ge=0)
    cold_start_dropout_users: float = Field(ge=0, le=1)
    cold_start_dropout_items: float = Field(ge=0, lt=1)
    learning_rate: float = Field(gt=0)
    max_epochs: int = Field(ge=1)


_PAPER_GRAPH: Mapping[str, Any] = {
    "recipe": "dense", "layers": 3, "hidden": 64, "heads": 4, "dropout": 0.1,
    "feature_transform": True,
    "layer_combination": "last", "edges": "liked", "id_dimensions": 64, "loss": "bpr",
    "learning_rate": 3e-3, "max_epochs": 300, "evaluate_every": 10, "patience": 5,
    "cold_start_dropout_users": 0.0, "cold_start_dropout_items": 0.0,
    "symmetric_normalization": False, "components": False, "item_features": False,
    "user_text_scale": 1.0,
    "user_text_half_life": None, "cold_item_ridge": 0.0, "warm_start": False,
}  # fmt: skip
