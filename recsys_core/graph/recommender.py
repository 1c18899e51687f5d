"""The graph model as a `Recommender`, with fold-in of users who come after training."""

import copy
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Self

import numpy as np
import polars as pl

from recsys_core.columns import ITEM, USER
from recsys_core.graph.components.histories import InputRows
from recsys_core.graph.config import GraphConfig
from recsys_core.graph.inference.fold_in import FittedModel, fold_in_users
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.training.score_sum import histories_of, item_scores
from recsys_core.graph.training.trainer import Trained, train
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import aligned, width_of
from recsys_core.recommenders.base import MatrixRecommender
from recsys_core.recommenders.content_based import text_vectors
from recsys_core.recommenders.rating_matrix import Rows, Scores

Profiles = Callable[[pl.DataFrame], pl.DataFrame]
"""Interactions -> user and vector of a profile that is written from these interactions alone."""

logger = logging.getLogger(__name__)


class GraphRecommender(MatrixRecommender):
    """The graph attention network, trained for `max_epochs` epochs.

    Users who come after training are folded in (`fold_in`), also those of whom nothing is known.

    Args:
        data: rating thresholds.
        config: the model.
        texts: item and vector of every item.
        attributes: user and attribute vector of the users of training and of later ones; None
            for no attributes.
        profiles: writes the users' profile vectors, of training and of new users alike, from the
            interactions it is given; None: no user has one.
        seed: of every random choice.
        name: for the metrics table.
    """

    def __init__(
        self,
        data: RatingScale,
        config: GraphConfig,
        texts: pl.DataFrame,
        *,
        attributes: pl.DataFrame | None = None,
        profiles: Profiles | None = None,
        seed: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(data)
        self.graph_config, self.texts, self.profiles, self.seed = config, texts, profiles, seed
        self.attributes = attributes
        self.name = name or f"gat_{config.preset}"
        self._text_width = width_of(texts)

    def fit(self, train: pl.DataFrame, items: pl.Series) -> Self:
        """Learn from training interactions; see `Recommender.fit`."""
        # In one order, whatever that of the file: sums round alike.
        self._train = train.sort(USER, ITEM)
        return super().fit(train, items)

    def fold_in(self, shown: pl.DataFrame) -> Self:
        """The same model for the users of `shown`; see `InductiveRecommender.fold_in`."""
        folded = super().fold_in(shown)
        folded._user_vectors, folded._inputs = folded._placed(shown, folded.weights.users[USER])
        return folded

    def recommend(
        self, users: pl.Series, k: int, exclude: pl.DataFrame, among: pl.Series | None = None
    ) -> pl.DataFrame:
        """The best k items of each user; see `InductiveRecommender.recommend`.

        Who has rated nothing is placed by what else is known of them.
        """
        return super(GraphRecommender, self._met(users)).recommend(users, k, exclude, among)

    def _met(self, users: pl.Series) -> Self:
        strangers = users.filter(~users.is_in(self.weights.users[USER].implode()))
        if self.attributes is None or self._fitted is None or strangers.is_empty():
            return self
        met = copy.copy(self)
        met.weights = self.weights.with_strangers(strangers)
        placed, _ = self._placed(self._train.clear(), strangers)
        met._user_vectors = np.concatenate([self._user_vectors[:-1], placed])
        known = self._inputs.histories
        shape = len(met._user_vectors), known.shape[1]
        met._inputs = replace(self._inputs, histories=replace(known, shape=shape), _made={})
        return met

    def _learn(self) -> None:
        users, items = self.weights.users[USER], self.weights.items[ITEM]
        known = self._attributes_of(users)
        graph = InteractionGraph.from_interactions(self._train, users, items, known)
        item_text = text_vectors(self.texts, items).astype(np.float32)
        user_text = self._profiles_of(self._train, users)
        if not len(graph.edges.liked(self.config)):
            self._fitted: FittedModel | None = None
            self._item_vectors = np.zeros((items.len(), 1), np.float32)
            self._user_vectors = np.zeros((users.len() + 1, 1), np.float32)
            self._inputs = self._inputs_of(graph.edges, users.len())
            logger.warning("%s: nobody likes anything: popular items for all", self.name)
            return
        trained = self._trained(graph, user_text, item_text)
        self._fitted = FittedModel(
            graph=graph, weights=trained.weights, user_text=user_text, item_text=item_text,
            config=trained.config, data=self.config, served=trained.served,
        )  # fmt: skip
        nobody, _ = self._placed(self._train.clear(), users.clear())
        self._item_vectors = trained.item_vectors
        self._user_vectors = np.concatenate([trained.user_vectors, nobody])
        self._inputs = self._inputs_of(graph.edges, users.len())

    def _trained(self, graph: InteractionGraph, user_text: Floats, item_text: Floats) -> Trained:
        config = self.graph_config.for_data(len(graph.edges), graph.n_users, graph.n_items)
        return train(
            graph, Edges.empty(), user_text, item_text, config, self.config, self.seed,
            epochs=config.max_epochs,
        )  # fmt: skip

    def _placed(self, shown: pl.DataFrame, users: pl.Series) -> tuple[Floats, InputRows]:
        """Vectors (n_users + 1, d) and inputs: the last one is a user nobody knows."""
        items = self.weights.items[ITEM]
        rated = shown.join(self.weights.items, on=ITEM, how="semi").sort(USER, ITEM)
        edges = InteractionGraph.from_interactions(rated, users, items).edges
        inputs = self._inputs_of(edges, users.len())
        if self._fitted is None:
            return np.zeros((users.len() + 1, 1), np.float32), inputs
        profiles = self._profiles_of(shown, users)
        attributes = self._attributes_of(users)
        vectors = fold_in_users(
            self._fitted, _and_nobody(profiles), edges,
            attributes=None if attributes is None else _and_nobody(attributes),
        )  # fmt: skip
        return vectors, inputs

    def _inputs_of(self, edges: Edges, n_users: int) -> InputRows:
        """What the item-to-item part reads of the users, and of one without interactions."""
        shape = n_users + 1, self.weights.items.height
        rated = histories_of(edges, shape, self.graph_config.neutral_weight, self.config)
        model = None if self._fitted is None else self._fitted.served.item_model
        return InputRows(histories=rated) if model is None else model.rows(rated)

    def _attributes_of(self, users: pl.Series) -> Floats | None:
        return None if self.attributes is None else aligned(self.attributes, users)

    def _profiles_of(self, interactions: pl.DataFrame, users: pl.Series) -> Floats:
        """(n_users, d_text); zeros for a user without a profile."""
        if self.profiles is None:
            return np.zeros((users.len(), self._text_width), np.float32)
        return aligned(self.profiles(interactions), users)

    def _count_unknown(self, rows: Rows) -> None:
        """Nothing to count: whoever is not known is placed by the model, too."""

    def _scores(self, rows: Rows) -> Scores:
        scores: Scores = self._user_vectors[rows] @ self._item_vectors.T
        model = None if self._fitted is None else self._fitted.served.item_model
        if model is None:
            return scores
        return scores + item_scores(model, self._inputs, self.attributes is not None, rows)


def _and_nobody(vectors: Floats) -> Floats:
    """One more row, of zeros."""
    return np.concatenate([vectors, np.zeros((1, vectors.shape[1]), np.float32)])
