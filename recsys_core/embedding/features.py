"""What the graph model sees of an item: its text, its facts alone, and its labels.

A sentence vector blends what it reads. Facts (title, year, genres) embedded apart, and every label
of the profile in a direction of its own, tell a linear map more about an item that nobody has
rated: a structured profile is worth more than the sentence it can be written as. Labels that mean
nearly the same lie near each other, so that a label of one item says something about others.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits

from recsys_core.columns import GENRES, ITEM, TAGS

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

AT_MOST: Final = 1024
"""Directions of labels at most; so the width does not grow with the catalogue."""
_COMPARED: Final = 1536
"""Labels, the most frequent ones, whose likeness to one another gives the directions."""
_SHARPNESS: Final = 2.5
"""Gamma of the Gaussian kernel: two labels with a cosine of .7 are a fifth alike."""
_LABEL: Final = "_label"


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels of items, whatever their case.

    Attributes:
        names: every label once, the most frequent first.
        lists: (n_items,) the distinct labels of each item.
    """

    names: list[str]
    lists: list[list[str]]

    @classmethod
    def of(cls, lists: pl.Series) -> "Labels":
        """From lists of labels; empty or null for an item without any."""
        distinct = [
            sorted({label.strip().casefold() for label in one or () if label} - {""})
            for one in lists.to_list()
        ]
        every = pl.Series(_LABEL, [label for one in distinct for label in one], dtype=pl.String)
        counts = every.value_counts(name="_items").sort("_items", _LABEL, descending=[True, False])
        return cls(names=counts[_LABEL].to_list(), lists=distinct)


def labels_of(items: pl.Series, item_profiles: pl.DataFrame) -> Labels:
    """Genres and tags of the profiles of `items`, in their order; none without a profile."""
    labels = pl.concat_list(GENRES, TAGS).alias(_LABEL)
    of_items = items.to_frame(ITEM).join(
        item_profiles.select(ITEM, labels), on=ITEM, how="left", maintain_order="left"
    )
    return Labels.of(of_items[_LABEL])


def item_features(text: Floats, facts: Floats, labels: Labels, meanings: Floats) -> Floats:
    """Three descriptions of every item, side by side.

    Args:
        text: (n, d) unit vectors of the whole texts.
        facts: (n, d) unit vectors of title, year and genres alone.
        labels: of the same items.
        meanings: (n_labels, d) unit vectors of `labels.names`.

    Returns:
        (n, 2 d + directions of labels) of length 1, or less for an item without labels.
    """
    parts = [text, facts, label_vectors(labels, meanings)]
    side_by_side: Floats = np.hstack(parts) / len(parts) ** 0.5
    return side_by_side


def label_vectors(labels: Labels, meanings: Floats) -> Floats:
    """TF-IDF over labels that may be alike: (n, directions), rows of length 1 or 0.

    The dot product of two rows is, but for their lengths, the sum over pairs of their labels of
    both weights times the kernel of the two meanings: exactly so up to `AT_MOST` labels, and by
    Nystroem's method, in the leading directions, beyond.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    if not labels.names:
        return np.zeros((len(labels.lists), 0), np.float32)
    weights = TfidfVectorizer(analyzer=list, vocabulary=labels.names, norm=None)
    # One thread: with several, the last bits depend on how many there are.
    with threadpool_limits(1):
        rows = weights.fit_transform(labels.lists) @ _directions(meanings.astype(np.float64))
    found: Floats = normalize(rows).astype(np.float32)
    return found


def _directions(meanings: Doubles) -> Doubles:
    """(n_labels, directions) whose dot products are the kernel of the meanings."""
    from scipy.linalg import eigh
    from sklearn.metrics.pairwise import rbf_kernel

    compared = meanings[:_COMPARED]
    last = len(compared) - 1
    values, vectors = eigh(
        rbf_kernel(compared, gamma=_SHARPNESS), subset_by_index=(max(0, last + 1 - AT_MOST), last)
    )
    # Labels of one meaning make values that are zero but for rounding.
    scaled = vectors / np.sqrt(values.clip(1e-9))
    found: Doubles = rbf_kernel(meanings, compared, gamma=_SHARPNESS) @ scaled
    return found
