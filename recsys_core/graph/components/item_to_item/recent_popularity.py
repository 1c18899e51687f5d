"""How popular items have been, lately or altogether: the same score for every user."""

import numpy as np

from recsys_core.errors import DataError
from recsys_core.graph.components.histories import Histories
from recsys_core.graph.interaction_graph import Floats


def popularity(histories: Histories, power: float) -> Floats:
    """(n_items,) sums of the rating weights to a power; 0.5 keeps the head from deciding alone."""
    counts = np.bincount(histories.items, histories.weights, minlength=histories.shape[1])
    values: Floats = (counts**power).astype(np.float32)
    return values


def recent_popularity(histories: Histories, half_life: float, power: float) -> Floats:
    """(n_items,) sums of the rating weights, halved every `half_life`, to a power.

    Args:
        histories: rated pairs with times.
        half_life: as a share of the time that the histories span.
        power: of the sums.

    Raises:
        DataError: the times are unknown.
    """
    if histories.times is None:
        raise DataError(
            "Recent popularity needs the time of every rating.",
            fix="give a column of timestamps, or leave it out.",
        )
    span = float(np.ptp(histories.times)) if len(histories) else 0.0
    ages = (histories.times.max(initial=-np.inf) - histories.times) / (half_life * span or 1.0)
    fading = histories.weights * 0.5**ages
    counts = np.bincount(histories.items, fading, minlength=histories.shape[1])
    values: Floats = (counts**power).astype(np.float32)
    return values
