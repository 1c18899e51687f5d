import numpy as np
import polars as pl
import pytest
from sklearn.metrics.pairwise import rbf_kernel

from recsys_core.columns import GENRES, ITEM, TAGS
from recsys_core.embedding import item_features as module
from recsys_core.embedding.item_features import (
    YEAR_DIMENSIONS,
    Labels,
    concatenate_features,
    label_features,
    labels_of,
    word_features,
    year_features,
)


def units(n: int, d: int = 4) -> np.ndarray:
    found = np.random.default_rng(n + d).normal(size=(n, d)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def labels(*lists: list[str] | None) -> Labels:
    return Labels.of(pl.Series(lists, dtype=pl.List(pl.String)))


def unlike(n: int) -> np.ndarray:
    """Meanings so far apart that no label is like another."""
    return 9 * np.eye(n, dtype=np.float32)


def test_every_label_once_the_most_frequent_first_whatever_its_case() -> None:
    found = labels(["Space", "rare"], ["space ", "Space"], ["SPACE", " ", "alone"], [], None)
    assert found.names == ["space", "alone", "rare"], "ties by name"
    assert found.lists == [["rare", "space"], ["space"], ["alone", "space"], [], []]


def test_a_rarer_label_weighs_more_and_rows_have_length_one() -> None:
    both, common = ["common", "rarer"], ["common"]
    found = label_features(labels(both, both, both, common, common, common), unlike(2))
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    assert 0.5 < found[0] @ found[3] < 0.5**0.5, "what they share is the smaller part"


def test_items_are_as_alike_as_their_labels() -> None:
    embeddings = units(3)
    found = label_features(labels(["a"], ["b"], ["c"]), embeddings)
    np.testing.assert_allclose(found @ found.T, rbf_kernel(embeddings, gamma=2.5), atol=1e-5)


def test_labels_of_one_meaning_are_one() -> None:
    given = labels(["sci-fi"], ["war"], ["science fiction"])
    assert given.names == ["sci-fi", "science fiction", "war"]
    found = label_features(given, units(2)[[0, 0, 1]])
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)


@pytest.mark.parametrize("lists", [(), ([], None), ([" "], [])])
def test_without_a_label_there_is_no_direction(lists: tuple[list[str] | None, ...]) -> None:
    assert label_features(labels(*lists), units(0)).shape == (len(lists), 0)


def test_an_item_without_a_label_has_zeros_beside_others() -> None:
    assert not label_features(labels(["a"], None), units(1))[1].any()


def test_beyond_so_many_labels_the_rest_lie_among_the_most_frequent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LANDMARKS", 2)
    own = units(2)
    given = labels(["a"], ["a"], ["b"], ["b"], ["once"])
    found = label_features(given, own[[0, 1, 0]])
    assert found.shape == (5, 2)
    np.testing.assert_allclose(found[4], found[0], atol=1e-5)


def test_only_so_many_directions_the_leading_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = units(6, 3)
    given = labels(*([name] for name in "abcdef"))
    whole = label_features(given, embeddings)
    errors = []
    for most in (2, 4):
        monkeypatch.setattr(module, "MAX_LABEL_DIMENSIONS", most)
        found = label_features(given, embeddings)
        assert found.shape == (6, most)
        errors.append(np.abs(found @ found.T - whole @ whole.T).max())
    assert errors[0] > errors[1]


def test_the_parts_stand_side_by_side_with_length_one() -> None:
    text, facts, short = units(4), units(4, 3), np.zeros((4, 2), np.float32)
    found = concatenate_features(text, facts, short)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :4] * 3**0.5, text, rtol=1e-5)
    np.testing.assert_allclose(found[:, 4:7] * 3**0.5, facts, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), (2 / 3) ** 0.5, rtol=1e-5)


def test_words_count_from_the_fifth_text_on_and_grammar_does_not() -> None:
    texts = [
        "The iconic robot",
        "an iconic ROBOT",
        "robot",
        "robot of the war",
        "robot war",
        None,
        "",
    ]
    found = word_features(pl.Series(texts, dtype=pl.String))
    assert found.shape == (7, 1), "robot alone is in five"
    assert found[:5].tolist() == [[1.0]] * 5
    assert not found[5:].any()
    assert word_features(pl.Series([*texts[:4], None])).shape == (5, 0)
    assert word_features(pl.Series([None, "the of"], dtype=pl.String)).shape == (2, 0)


def test_many_words_are_told_in_their_leading_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    vocabulary = [f"word{n}" for n in range(12)]
    texts = pl.Series([" ".join(rng.choice(vocabulary, 6)) for _ in range(60)])
    whole = word_features(texts)
    assert whole.shape == (60, 12)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, rtol=1e-6)
    monkeypatch.setattr(module, "MAX_WORD_DIMENSIONS", 5)
    found = word_features(texts)
    assert found.shape == (60, 5)
    assert np.array_equal(found, word_features(texts))
    left = np.linalg.svd(whole @ whole.T - found @ found.T)[1][0]
    assert left == pytest.approx(np.linalg.svd(whole)[1][5] ** 2, rel=0.05)


def test_years_are_alike_the_nearer_and_the_longer_ago() -> None:
    found = year_features(pl.Series([1998, 1997, 1991, 1951, 1950, None], dtype=pl.Int32))
    assert found.dtype == np.float32
    assert found.shape == (6, YEAR_DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(found[:5], axis=1), 0.75**0.5, rtol=1e-6)
    alike = found @ found.T
    assert alike[3, 4] > alike[0, 1] > alike[0, 2] > alike[0, 3]
    assert not found[5].any()
    assert not year_features(pl.Series([None, None], dtype=pl.Int32)).any()
    assert np.isfinite(year_features(pl.Series([0, 2020], dtype=pl.Int32))).all()


def test_labels_are_genres_and_tags_in_the_order_of_the_items() -> None:
    profiles = pl.DataFrame({ITEM: [3, 1], GENRES: [["Drama"], []], TAGS: [["war"], ["robots"]]})
    found = labels_of(pl.Series(ITEM, [1, 2, 3]), profiles)
    assert found.lists == [["robots"], [], ["drama", "war"]]
