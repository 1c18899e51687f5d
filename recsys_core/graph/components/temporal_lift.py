"""What was rated more than usual when a user was active, in the same dot product as the network.

Titles come in waves: a release, a prize, a list on a front page. For every week, an item's lift is
the logarithm of how often it was rated around then, over how often its share of all ratings would
have it. A user has the share of their ratings in each week, so the dot product is the item's mean
lift over the weeks in which the user was active.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from recsys_core.graph.interaction_graph import Edges, Floats, Indices, Times
from recsys_core.graph.training.spec import Task

WEEK: Final = 7 * 86_400.0
"""Seconds in a window of time, where the ratings span at most `MOST` of them; else more."""
MOST: Final = 64
"""Windows at most: the columns that are added to every vector."""
_AROUND: Final = 2.0
"""Standard deviation, in windows, of the Gaussian that says how near another window is."""
_PRIOR: Final = 1.0
"""Ratings per window that every item has in advance: a rare item's lift is small."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of time, all of one width.

    Attributes:
        start: Unix seconds at which the first one begins.
        width: seconds.
        count: how many there are.
    """

    start: float
    width: float
    count: int

    @classmethod
    def over(cls, times: Times) -> "Windows | None":
        """Windows over all known `times`; None where fewer than two would do."""
        known = times[np.isfinite(times)]
        span = float(np.ptp(known)) if len(known) else 0.0
        if span < WEEK:
            return None
        width = max(WEEK, span / (MOST - 1))
        return cls(start=float(known.min()), width=width, count=int(span // width) + 1)

    def counted(self, nodes: Indices, times: Times, n_nodes: int) -> npt.NDArray[np.float64]:
        """(n_nodes, count) ratings of each node in each window.

        What came before the first window or after the last one counts as in that; a rating of
        unknown time counts nowhere.
        """
        known = np.isfinite(times)
        places = ((times[known] - self.start) // self.width).clip(0, self.count - 1)
        cells = nodes[known] * self.count + places.astype(np.int64)
        found = np.bincount(cells, minlength=n_nodes * self.count).reshape(n_nodes, self.count)
        return found.astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class TimeLift:
    """Lifts of items per window of time.

    Attributes:
        items: (n_items, windows) logarithms; 0 for an item without ratings.
        windows: the windows.
        factor: what the lifts are multiplied by in the score.
    """

    items: Floats
    windows: Windows
    factor: float

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """As `Beside.users`: the factor's share for each window; zeros where no time is known."""
        counts = self.windows.counted(edges.users, edges.times, len(attributes))
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        vectors: Floats = (self.factor * shares).astype(np.float32)
        return vectors


def time_lift(task: Task) -> TimeLift | None:
    """Count the lifts; None where they are not wanted, or all known times lie within a week."""
    edges, factor = task.graph.edges, task.config.time_lift
    windows = Windows.over(edges.times) if factor else None
    if windows is None:
        return None
    counts = windows.counted(edges.items, edges.times, task.graph.n_items)
    return TimeLift(items=lifts(counts), windows=windows, factor=factor)


def lifts(counts: npt.NDArray[np.float64]) -> Floats:
    """Logarithms of ratings around each window over those to be expected, as `counts`.

    Args:
        counts: (n_items, windows) ratings.
    """
    around = gaussian_filter1d(counts, _AROUND, axis=1, mode="constant")
    share = counts.sum(1, keepdims=True) / max(counts.sum(), 1)
    expected = share * around.sum(0)
    found: Floats = np.log((around + _PRIOR) / (expected + _PRIOR)).astype(np.float32)
    return found
