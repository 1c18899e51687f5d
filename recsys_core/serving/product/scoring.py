"""Scores of users by numpy alone: placing who came later, and the two parts of a score."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from recsys_core.graph.components.histories import Histories
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.inference.user_placing import UserPlacing
from recsys_core.graph.interaction_graph import Edges, Floats
from recsys_core.interactions.feedback import RatingScale, rating_weights
from recsys_core.serving.product.located import Located, by_order


@dataclass(frozen=True, kw_only=True, eq=False)
class Scoring:
    """What scores take.

    Attributes:
        user_vectors: (n_users, d) of users placed by training.
        item_vectors: (n_items, d).
        item_model: the item-to-item part of the score; None for none.
        placing: places users who came later.
        scale: of ratings.
        unary: whether ratings say nothing beyond that there is one.
        neutral: weight of a rating that is neither liked nor disliked.
        mix: (n_new, n_items) shares of the trained items whose scores make those of items that came
            after training; None where none came.
    """

    user_vectors: Floats
    item_vectors: Floats
    item_model: ItemToItemModel | None
    placing: UserPlacing
    scale: RatingScale
    unary: bool
    neutral: float
    mix: sparse.csr_matrix | None = None
    _weights: dict[float, float] = field(default_factory=dict, repr=False)

    def vectors(self, located: Located) -> Floats:
        """(n, d) vectors of users: those of training, or folded in."""
        found = np.zeros((len(located), self.item_vectors.shape[1]), np.float32)
        known = np.flatnonzero(located.trained >= 0)
        found[known] = self.user_vectors[located.trained[known]]
        others = np.flatnonzero(located.trained < 0)
        if not len(others):
            return found
        later = located if len(others) == len(located) else located.where(others)
        for rows, part in by_order(later.edges, len(later)):
            found[others[rows]] = self.placing.vectors(
                later.texts[rows], self.rated(part, len(rows)), part, later.attributes[rows],
                self.scale,
            )  # fmt: skip
        return found

    def rated(self, edges: Edges, n_users: int) -> Histories:
        """Ratings of users, all of them with a time or none, as the item-to-item part reads them.

        What ratings mean is the model's business: those of one user may be all alike by chance.
        """
        timed = len(edges) > 0 and bool(np.isfinite(edges.times).all())
        ones = np.ones(len(edges), np.float32)
        return Histories(
            users=edges.users, items=edges.items,
            weights=ones if self.unary else self._rating_weights(edges.ratings),
            liked=ones.astype(bool) if self.unary else edges.ratings >= self.scale.like_from,
            shape=(n_users, len(self.placing.network.item_degrees)),
            ratings=None if self.unary else edges.ratings,
            order=edges.times if timed else None,
        )  # fmt: skip

    def _rating_weights(self, ratings: Floats) -> Floats:
        """(n,) as `rating_weights`, asked once per rating of the scale: a table takes long."""
        levels, places = np.unique(ratings, return_inverse=True)
        new = np.array([one for one in levels.tolist() if one not in self._weights], np.float32)
        if len(new):
            asked = rating_weights(new, self.scale, self.neutral)
            self._weights.update(zip(new.tolist(), asked.tolist(), strict=True))
        found: Floats = np.array([self._weights[one] for one in levels.tolist()], np.float32)
        return found[places]

    def scores(self, located: Located) -> Floats:
        """(n, n_items) of a block of users, new items last."""
        found: Floats = self.vectors(located) @ self.item_vectors.T
        if self.item_model is not None:
            for rows, part in by_order(located.edges, len(located)):
                found[rows] += self._item_scores(self.item_model, part, located.attributes[rows])
        if self.mix is not None:
            found = np.hstack([found, (self.mix @ found.T).T.astype(np.float32)])
        return found

    def _item_scores(self, item_model: ItemToItemModel, edges: Edges, attributes: Floats) -> Floats:
        count = len(attributes)
        rated = self.rated(edges, count)
        if count == 1:
            added = item_model.scores_of_one(rated)[None]
        else:
            added = item_model.scores(rated, np.arange(count))
        # Who has rated nothing is ranked by attributes first, where there are any.
        told: npt.NDArray[np.bool_] = np.bincount(edges.users, minlength=count) == 0
        added[told & attributes.any(axis=1)] = item_model.described_newcomers
        return added
