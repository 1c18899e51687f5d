"""The causes of one user's recommendations, as arrays.

Two questions, two answers. *What is the score made of?* Contributions: exact for the parts that are
sums over the history, attention times message for the network; they add up to the score. *What
would be without this title?* Leave-one-out through fold-in, over the whole score. Which causes a
reason may cite is decided by the second (measured in docs/experiments.md).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_core.graph.inference.counterfactual import Bools, HistoryParts, UserHistory
from recsys_core.graph.interaction_graph import Floats, Indices

Places = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class UserCauses:
    """What contributed to the scores of some items for one user.

    Attributes:
        drops: (n, n_items) how much lower the score of each item were without each rating.
        contributions: (n, n_items) each rating's part of the score.
        others: (6, n_items) all other parts, in the order of `kinds.OTHERS`.
        places: (n_items,) where each stands among all items that may be recommended.
        places_without: (n, n_items) where it would stand without the rating; 0 where nobody asked.
    """

    drops: Floats
    contributions: Floats
    others: Floats
    places: Places
    places_without: Places


def causes_of(
    history: UserHistory, items: Indices, *, placed: Floats | None, hidden: Bools, asked: int
) -> UserCauses:
    """Attribute the scores of some items to the user's ratings and to all else.

    Args:
        history: the user.
        items: (n_items,) numbers of the recommended items.
        placed: (d,) the user's vector of training; None for a user who was folded in.
        hidden: (all items,) which are not recommended to this user: known ones, unavailable ones.
        asked: how many of the strongest liked causes of each item are taken away to see where it
            would stand.
    """
    added = history.contributions(items)
    parts = history.whole_and_without_each()
    own = parts.scores(items)
    drops = own[0] - own[1:]
    others = [added.profile, added.attributes, added.popularity, added.time, added.joint]
    learned = np.zeros(parts.vectors.shape[1], np.float32)
    if placed is not None:
        learned = placed - parts.vectors[0]
    vectors = history.source.fitted.served.item_vectors
    places, without = _places(history, parts, items, drops, vectors @ learned, hidden, asked)
    return UserCauses(
        drops=drops, contributions=added.ratings,
        others=np.stack([*others, vectors[items] @ learned]),
        places=places, places_without=without,
    )  # fmt: skip


def _places(
    history: UserHistory,
    parts: HistoryParts,
    items: Indices,
    drops: Floats,
    learned: Floats,
    hidden: Bools,
    asked: int,
) -> tuple[Places, Places]:
    """(n_items,) places, and (n, n_items) those without each of the strongest liked causes."""
    liked = np.flatnonzero(history.liked)
    strongest = np.argsort(-drops[liked], axis=0, kind="stable")[:asked]  # (asked, n_items)
    wanted = liked[np.unique(strongest)]
    # As much lower or higher as a folded-in user's score would be: like with like.
    scores = parts.scores(which=np.append(0, 1 + wanted)) + learned
    scores[:, hidden] = -np.inf
    places, without = places_of(scores, items), np.zeros(drops.shape, np.int32)
    without[wanted] = places[1:]
    return places[0], without


def places_of(scores: Floats, items: Indices) -> Places:
    """(n_lists, n_items) places, from 1, of some items in lists ordered by score.

    Args:
        scores: (n_lists, all items); of equal ones the lower number comes first.
        items: (n_items,).
    """
    own = scores[:, items]
    found = np.empty(own.shape, np.int32)
    for column, item in enumerate(items.tolist()):
        mine = own[:, column : column + 1]
        better = (scores > mine).sum(1) + (scores[:, :item] == mine).sum(1)
        found[:, column] = 1 + better
    return found
