"""Item features of the graph model: text embedding, embedded facts, labels, words and year.

One sentence embedding blends everything it reads. A linear map predicts the ratings of cold-start
items better from concatenated features: the embedding of the profile text, that of the facts alone
(title, year, genres), TF-IDF over genres and tags smoothed by the similarity of their embeddings,
TF-IDF over the words of the description (truncated SVD), and a radial basis of the year.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits

from recsys_core.columns import DESCRIPTION, GENRES, ITEM, NO_EVIDENCE, STATUS, TAGS

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

MAX_LABEL_DIMENSIONS: Final = 1024
"""Dimensions of the label features at most, so that they do not grow with the catalogue."""
_LANDMARKS: Final = 1536
"""Landmarks of Nystroem's method: the most frequent labels."""
_RBF_GAMMA: Final = 2.5
"""Gamma of the RBF kernel: two labels with a cosine of .7 have a kernel value of a fifth."""
MAX_WORD_DIMENSIONS: Final = 256
"""Dimensions of the word features at most."""
_MIN_DOCUMENTS: Final = 5
"""Least document frequency of a word."""
YEAR_DIMENSIONS: Final = 21
"""Basis functions of the year, over the logarithm of ages of 0 to 150 years."""
_AGE_BANDWIDTH: Final = 0.25
_YEAR_WEIGHT: Final = 0.75
"""Squared length of the year's features; those of the other parts have 1."""
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
    return Labels.of(_in_order(items, item_profiles, pl.concat_list(GENRES, TAGS)))


def descriptions_of(items: pl.Series, item_profiles: pl.DataFrame) -> pl.Series:
    """Descriptions in the profiles of `items`, in their order; null where nothing is described."""
    told = pl.when(pl.col(STATUS).ne_missing(NO_EVIDENCE)).then(DESCRIPTION)
    return _in_order(items, item_profiles, told)


def _in_order(items: pl.Series, item_profiles: pl.DataFrame, value: pl.Expr) -> pl.Series:
    values = item_profiles.select(ITEM, value.alias("_value"))
    joined = items.to_frame(ITEM).join(values, on=ITEM, how="left", maintain_order="left")
    return joined["_value"]


def concatenate_features(*parts: Floats) -> Floats:
    """Concatenate features (n, d) to (n, sum of d), scaled so that rows keep length 1 or less."""
    found: Floats = np.hstack(parts) / np.float32(len(parts) ** 0.5)
    return found


def label_features(labels: Labels, embeddings: Floats) -> Floats:
    """TF-IDF over labels, smoothed by the RBF kernel of their embeddings: (n, d).

    Rows have length 1, or 0 without a label. Before that, the dot product of two rows is the sum
    over pairs of their labels of both TF-IDF weights times the kernel: exactly up to
    `MAX_LABEL_DIMENSIONS` labels, by Nystroem's method in the leading eigenvectors beyond.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    if not labels.names:
        return np.zeros((len(labels.lists), 0), np.float32)
    weights = TfidfVectorizer(analyzer=list, vocabulary=labels.names, norm=None)
    # One thread: with several, the last bits depend on how many there are.
    with threadpool_limits(1):
        rows = weights.fit_transform(labels.lists) @ _kernel_map(embeddings.astype(np.float64))
    found: Floats = normalize(rows).astype(np.float32)
    return found


def _kernel_map(embeddings: Doubles) -> Doubles:
    """Nystroem feature map (n_labels, d): its dot products approximate the RBF kernel."""
    from scipy.linalg import eigh
    from sklearn.metrics.pairwise import rbf_kernel

    landmarks = embeddings[:_LANDMARKS]
    last = len(landmarks) - 1
    values, vectors = eigh(
        rbf_kernel(landmarks, gamma=_RBF_GAMMA),
        subset_by_index=(max(0, last + 1 - MAX_LABEL_DIMENSIONS), last),
    )
    # Labels with equal embeddings make eigenvalues that are zero but for rounding.
    scaled = vectors / np.sqrt(values.clip(1e-9))
    found: Doubles = rbf_kernel(embeddings, landmarks, gamma=_RBF_GAMMA) @ scaled
    return found


def word_features(texts: pl.Series) -> Floats:
    """TF-IDF over the words of texts (n,), reduced by truncated SVD: (n, d).

    Rows have length 1 or less; those of empty and null texts are zeros.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    words_of = CountVectorizer(stop_words="english").build_analyzer()
    lists = [words_of(text or "") for text in texts.to_list()]
    counts = Counter(word for words in lists for word in set(words))
    known = sorted(word for word, count in counts.items() if count >= _MIN_DOCUMENTS)
    if not known:
        return np.zeros((len(lists), 0), np.float32)
    weights = TfidfVectorizer(analyzer=list, vocabulary=known, sublinear_tf=True)
    rows = weights.fit_transform(lists)
    if len(known) > MAX_WORD_DIMENSIONS:
        # One thread: with several, the last bits depend on how many there are.
        with threadpool_limits(1):
            rows = TruncatedSVD(MAX_WORD_DIMENSIONS, random_state=0).fit_transform(rows)
    else:
        rows = rows.toarray()
    found: Floats = rows.astype(np.float32)
    return found


def gaussian_basis(values: Doubles, count: int) -> Doubles:
    """Gaussian radial basis (n, count) of values (n,), centres 0, 1, 2, ...; rows of length 1."""
    steps = values[:, None] - np.arange(count)
    rows = np.exp(-(steps**2) / 2)
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))  # to the bits of scikit-learn's
    found: Doubles = rows / lengths[:, None]
    return found


def year_features(years: pl.Series) -> Floats:
    """Radial basis of the logarithm of an item's age: (n, `YEAR_DIMENSIONS`) from years (n,).

    The logarithm, since one year matters more between new items than between old ones. Ages count
    from the year after the newest. Unknown years have zeros.
    """
    given = years.cast(pl.Float64)
    newest = given.max()
    if not isinstance(newest, float):
        return np.zeros((len(years), YEAR_DIMENSIONS), np.float32)
    ages = np.log1p(newest + 1 - given.fill_null(newest).to_numpy())
    rows = _YEAR_WEIGHT**0.5 * gaussian_basis(ages / _AGE_BANDWIDTH, YEAR_DIMENSIONS)
    rows[given.is_null().to_numpy()] = 0
    found: Floats = rows.astype(np.float32)
    return found
