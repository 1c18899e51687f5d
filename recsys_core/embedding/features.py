"""What the graph model sees of an item: its text, its facts alone, and its labels.

A sentence vector blends what it reads. Facts (title, year, genres) embedded apart, and every label
of the profile as a direction of its own, tell a linear map more about an item that nobody has
rated: a structured profile is worth more than the sentence it can be written as.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import GENRES, ITEM, TAGS

Floats = npt.NDArray[np.float32]

FEWEST: Final = 3
"""Items that share a label at least: what one or two have says nothing about others."""
AT_MOST: Final = 1024
"""Labels, the most frequent ones; so the width does not grow with the catalogue."""
_LABEL: Final = "_label"


def item_features(text: Floats, facts: Floats, labels: pl.Series) -> Floats:
    """Three descriptions of every item, side by side.

    Args:
        text: (n, d) unit vectors of the whole texts.
        facts: (n, d) unit vectors of title, year and genres alone.
        labels: (n,) lists of labels; empty or null for an item without any.

    Returns:
        (n, 2 d + number of labels) of length 1, or less for an item without labels.
    """
    parts = [text, facts, label_vectors(labels)]
    side_by_side: Floats = np.hstack(parts) / len(parts) ** 0.5
    return side_by_side


def labels_of(items: pl.Series, item_profiles: pl.DataFrame) -> pl.Series:
    """Genres and tags of the profiles of `items`, in their order; empty without a profile."""
    labels = pl.concat_list(GENRES, TAGS).alias(_LABEL)
    return (
        items.to_frame(ITEM)
        .join(item_profiles.select(ITEM, labels), on=ITEM, how="left", maintain_order="left")
        .get_column(_LABEL)
        .fill_null([])
    )


def label_vectors(labels: pl.Series) -> Floats:
    """TF-IDF over labels, whatever their case: (n, number of labels), rows of length 1 or 0."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    lists = [_distinct(one) for one in labels.to_list()]
    kept = _frequent(lists)
    if not kept:
        return np.zeros((len(lists), 0), np.float32)
    model = TfidfVectorizer(analyzer=list, vocabulary=kept, dtype=np.float32)
    found: Floats = model.fit_transform(lists).toarray()  # other labels are not counted
    return found


def _distinct(labels: Sequence[str | None] | None) -> list[str]:
    return sorted({label.strip().casefold() for label in labels or () if label} - {""})


def _frequent(lists: Sequence[Sequence[str]]) -> list[str]:
    """Labels of `FEWEST` items or more, at most `AT_MOST` of them, the most frequent first."""
    counts = pl.Series(_LABEL, [label for one in lists for label in one], dtype=pl.String)
    return (
        counts.value_counts(name="_items")
        .filter(pl.col("_items") >= FEWEST)
        .sort("_items", _LABEL, descending=[True, False])
        .head(AT_MOST)[_LABEL]
        .to_list()
    )
