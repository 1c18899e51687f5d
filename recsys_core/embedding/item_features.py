"""What the graph model sees of an item: its text, its facts alone, its labels, words and year.

A sentence vector blends what it reads. Facts (title, year, genres) embedded apart, every label of
the profile in a direction of its own, and the words of its description tell a linear map more about
an item that nobody has rated: a structured profile is worth more than the sentence it can be
written as. Labels that mean nearly the same lie near each other, so that a label of one item says
something about others; so do years, the nearer the longer ago.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits

from recsys_core.columns import DESCRIPTION, GENRES, ITEM, TAGS

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

AT_MOST: Final = 1024
"""Directions of labels at most; so the width does not grow with the catalogue."""
_COMPARED: Final = 1536
"""Labels, the most frequent ones, whose likeness to one another gives the directions."""
_SHARPNESS: Final = 2.5
"""Gamma of the Gaussian kernel: two labels with a cosine of .7 are a fifth alike."""
WORDS_AT_MOST: Final = 256
"""Directions of words at most."""
_WORD_IN: Final = 5
"""Descriptions that a word must be in to count."""
AGES: Final = 21
"""Directions of years: ages from none to 150 years, by their logarithms."""
_AGE_STEP: Final = 0.25
_AGE_SHARE: Final = 0.75
"""Squared length of a year beside the other parts, which have 1."""
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
    """Descriptions in the profiles of `items`, in their order; null without a profile."""
    return _in_order(items, item_profiles, pl.col(DESCRIPTION))


def _in_order(items: pl.Series, item_profiles: pl.DataFrame, value: pl.Expr) -> pl.Series:
    values = item_profiles.select(ITEM, value.alias("_value"))
    joined = items.to_frame(ITEM).join(values, on=ITEM, how="left", maintain_order="left")
    return joined["_value"]


def side_by_side(*parts: Floats) -> Floats:
    """One description of every item: (n, sum of d) from parts (n, d) with rows of length 1 or less.

    The rows have length 1 or less, too.
    """
    found: Floats = np.hstack(parts) / np.float32(len(parts) ** 0.5)
    return found


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


def word_vectors(texts: pl.Series) -> Floats:
    """TF-IDF over the words of texts (n,) in its leading directions: (n, directions).

    Rows have length 1 or less; those of empty and null texts are zeros.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    words_of = CountVectorizer(stop_words="english").build_analyzer()
    lists = [words_of(text or "") for text in texts.to_list()]
    counts = Counter(word for words in lists for word in set(words))
    known = sorted(word for word, count in counts.items() if count >= _WORD_IN)
    if not known:
        return np.zeros((len(lists), 0), np.float32)
    weights = TfidfVectorizer(analyzer=list, vocabulary=known, sublinear_tf=True)
    rows = weights.fit_transform(lists)
    if len(known) > WORDS_AT_MOST:
        # One thread: with several, the last bits depend on how many there are.
        with threadpool_limits(1):
            rows = TruncatedSVD(WORDS_AT_MOST, random_state=0).fit_transform(rows)
    else:
        rows = rows.toarray()
    found: Floats = rows.astype(np.float32)
    return found


def gaussian_places(at: Doubles, count: int) -> Doubles:
    """Gaussians of values (n,) around 0, 1, 2, ...: (n, count), rows of length 1.

    So values are alike the nearer they are.
    """
    from sklearn.preprocessing import normalize

    steps = at[:, None] - np.arange(count)
    rows: Doubles = normalize(np.exp(-(steps**2) / 2))
    return rows


def year_vectors(years: pl.Series) -> Floats:
    """Places of years (n,) in time, (n, `AGES`): close to one another for years that are.

    A year apart is much for what is new and little for what is old, so logarithms of ages are
    compared, by a Gaussian; ages are counted from the year after the last. Unknown years have
    zeros.
    """
    given = years.cast(pl.Float64)
    newest = given.max()
    if not isinstance(newest, float):
        return np.zeros((len(years), AGES), np.float32)
    ages = np.log1p(newest + 1 - given.fill_null(newest).to_numpy())
    rows = _AGE_SHARE**0.5 * gaussian_places(ages / _AGE_STEP, AGES)
    rows[given.is_null().to_numpy()] = 0
    found: Floats = rows.astype(np.float32)
    return found
