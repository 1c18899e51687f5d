"""The temporal popularity component: how much above its average an item was rated over time.

Popularity changes (releases, prizes, front pages). The lift of an item in a time window is
log(ratings around the window / ratings expected from its share of all ratings). A user's vector
holds the share of the user's ratings in each window, so the dot product is the item's mean lift
over the windows in which the user was active. Compare the time-dependent item bias of Koren,
"Collaborative Filtering with Temporal Dynamics" (KDD 2009).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from recsys_core.graph.components.dot_products.fitter import Fitted
from recsys_core.graph.interaction_graph import Edges, Floats, Indices, InteractionGraph
from recsys_core.interactions.order import Times

if TYPE_CHECKING:  # users are placed without torch
    from recsys_core.graph.training.spec import TrainingSpec

WEEK: Final = 7 * 86_400.0
"""Seconds in a window of time, where the ratings span at most `MOST` of them; else more."""
MOST: Final = 64
"""Windows at most, each a dimension of the component."""
_AROUND: Final = 2.0
"""Standard deviation, in windows, of the Gaussian that smooths counts over time."""
_PRIOR: Final = 1.0
"""Pseudo-count per item and window, which shrinks the lift of rare items."""


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Time windows of equal width.

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
class TemporalPopularity:
    """Lifts of items per window of time.

    Attributes:
        items: (n_items, windows) logarithms; 0 for an item without ratings.
        windows: the windows.
    """

    items: Floats
    windows: Windows

    def of_training(self, graph: InteractionGraph) -> Floats:
        """As `Component.of_training`."""
        return self.users(graph.edges, graph.user_attributes)

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """As `Component.users`: shares of the windows; zeros where no time is known."""
        counts = self.windows.counted(edges.users, edges.times, len(attributes))
        shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
        vectors: Floats = shares.astype(np.float32)
        return vectors


def temporal_popularity(spec: "TrainingSpec") -> Fitted | str:
    """Fit the component, or say why there is none."""
    edges = spec.graph.edges
    windows = Windows.over(edges.times)
    if windows is None:
        return "all known times lie within a week"
    counts = windows.counted(edges.items, edges.times, spec.graph.n_items)
    part = TemporalPopularity(items=lifts(counts), windows=windows)
    return Fitted(part=part, graph=spec.graph)


def lifts(counts: npt.NDArray[np.float64]) -> Floats:
    """Logarithms of smoothed over expected counts, in the shape of `counts`.

    Args:
        counts: (n_items, windows) ratings.
    """
    around = gaussian_filter1d(counts, _AROUND, axis=1, mode="constant")
    share = counts.sum(1, keepdims=True) / max(counts.sum(), 1)
    expected = share * around.sum(0)
    found: Floats = np.log((around + _PRIOR) / (expected + _PRIOR)).astype(np.float32)
    return found
