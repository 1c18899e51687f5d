"""Vectors of items without ratings, read from their features.

The network places them by what its practice taught (see `practice`), the item-to-item regression by
the items that are like them. A ridge regression from features to the vectors of the items that have
ratings, after training, errs elsewhere: the mean of both is better than either.

Source: Gantner et al., "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations"
(ICDM 2010).
"""

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from recsys_core.graph.interaction_graph import Floats
from recsys_core.recommenders.content_based import completed


def with_new_items(
    vectors: Floats, features: Floats, known: npt.NDArray[np.bool_], penalty: float
) -> Floats:
    """The same vectors, with those of new items completed.

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
