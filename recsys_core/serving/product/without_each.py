"""A user's scores without each of the ratings, all at once.

A sum without one rating is the whole sum less that rating's part. That holds for the item-to-item
part and for columns that are linear in the history, also where ratings fade with every later one.
Attention is a case of its own: `graph.inference.network_without_each`.
"""

import numpy as np
import numpy.typing as npt

from recsys_core.graph.components.histories import (
    Histories,
    HistoryInput,
    InputRows,
    UsualRatings,
)
from recsys_core.graph.inference.network_without_each import vectors_without_each
from recsys_core.graph.inference.user_placing import HistoryColumns
from recsys_core.graph.interaction_graph import Edges, Floats, Indices
from recsys_core.serving.product.scoring import Scoring

Doubles = npt.NDArray[np.float64]


def scores_without_each(
    scoring: Scoring, own: Edges, asked: Indices, attributes: Floats, text: Floats
) -> Floats | None:
    """(1 + n, n_items) scores of one user: with all ratings, and without each of those asked for.

    Args:
        scoring: of the items, the new ones last.
        own: the user's ratings, each of another item.
        asked: (n,) places of the ratings that are left out.
        attributes: (1, d) of the user.
        text: (1, d_text) of the user's profile.

    Returns:
        None where sums cannot tell: some ratings have a time and others none, or the attention
        rests on one rating alone.
    """
    timed = np.isfinite(own.times)
    if timed.any() and not timed.all():
        return None
    rated = scoring.rated(own, 1)
    network = vectors_without_each(scoring.placing.network, own, asked, text, scoring.scale)
    if network is None:
        return None
    parts = [scoring.placing.weight * network]
    for weight, columns in scoring.placing.columns:
        if isinstance(columns, HistoryColumns):
            found = _sums(rated, columns.usual, columns.input, columns.rated[own.items], asked)
            parts.append(weight * columns.finished(found, attributes))
        else:
            places = np.arange(len(own))
            each = columns.windows.counted(places, own.times, len(own))
            parts.append(weight * columns.shares(_less_own(each, asked)))
    scores: Floats = np.hstack(parts).astype(np.float32) @ scoring.item_vectors.T
    if scoring.item_model is not None:
        scores = scores + _item_scores(scoring, rated, own.items, asked, attributes)
    if scoring.mix is not None:
        scores = np.hstack([scores, (scoring.mix @ scores.T).T])
    return scores.astype(np.float32)


def _less_own(each: Doubles, asked: Indices) -> Doubles:
    """(1 + n, d) the sum of the rows, and that sum without each of the rows asked for."""
    total = each.sum(0)
    return np.vstack([total, total - each[asked]])


def _sums(
    rated: Histories,
    usual: UsualRatings | None,
    wanted: HistoryInput,
    linear: Floats,
    asked: Indices,
) -> Floats:
    """(1 + n, d) what the ratings add to linear columns (n_own, d), and without each asked for."""
    values = InputRows(histories=rated, usual=usual).values(wanted)
    each = values[:, None].astype(np.float64) * linear
    if wanted.decay == 1 or rated.order is None:
        return _less_own(each, asked).astype(np.float32)
    ages = rated.ages()
    running = np.zeros((len(each) + 1, each.shape[1]))
    np.cumsum(each[np.argsort(ages)], axis=0, out=running[1:])
    at = ages[asked]
    # Whatever is older than the rating has one later rating less.
    without = running[at] + (running[-1] - running[at + 1]) / wanted.decay
    return np.vstack([running[-1], without]).astype(np.float32)


def _item_scores(
    scoring: Scoring, rated: Histories, items: Indices, asked: Indices, attributes: Floats
) -> Floats:
    model = scoring.item_model
    assert model is not None  # noqa: S101 - the caller asked
    added = np.repeat(model.prior[None], 1 + len(asked), axis=0)
    for wanted, (mine, theirs) in model.low_rank.items():
        added += _sums(rated, model.usual, wanted, mine[items], asked) @ theirs.T
    for wanted, weights in model.maps.items():
        added += _sums(rated, model.usual, wanted, weights[items].toarray(), asked)
    if len(items) == 1:  # nothing is left
        added[1:] = 0 if attributes.any() else model.newcomers
    return added
