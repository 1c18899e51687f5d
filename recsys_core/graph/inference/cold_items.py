"""Vectors of items without ratings: the mean of the model's and a ridge regression's.

The network has learned such vectors from cold-start dropout, EASE with side information from
similar items. A ridge regression from features to the vectors of rated items, fitted after
training, makes other errors, so the mean is better than either.

Source: Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations"
(ICDM 2010).
"""

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from recsys_core.graph.interaction_graph import Floats
from recsys_core.recommenders.content_based import completed


def with_cold_items(
    vectors: Floats, features: Floats, known: npt.NDArray[np.bool_], penalty: float
) -> Floats:
    """The same vectors, with those of items without ratings replaced by the mean.

    Args:
        vectors: (n_items, d) of the trained model.
        features: (n_items, d_text).
        known: (n_items,) which have ratings.
        penalty: of the ridge; 0 changes nothing.
    """
    if not penalty or known.all() or not known.any():
        return vectors
    # One thread: with several, the last bits depend on how many there are.
    with threadpool_limits(1):
        read = completed(features.astype(np.float64), vectors.astype(np.float64), known, penalty)
    found: Floats = ((vectors + read) / 2).astype(np.float32)
    return found
