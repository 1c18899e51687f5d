import numpy as np
import polars as pl
import pytest

from recsys_core.columns import GENRES, ITEM, TAGS
from recsys_core.embedding import features as module
from recsys_core.embedding.features import item_features, label_vectors, labels_of


def units(n: int, d: int = 4) -> np.ndarray:
    found = np.random.default_rng(n + d).normal(size=(n, d)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def series(*lists: list[str] | None) -> pl.Series:
    return pl.Series(lists, dtype=pl.List(pl.String))


def test_labels_of_few_items_are_left_out_and_case_does_not_count() -> None:
    found = label_vectors(series(["Space", "rare"], ["space ", "Space"], ["SPACE"], []))
    np.testing.assert_allclose(found, [[1], [1], [1], [0]])


def test_a_rarer_label_weighs_more_and_rows_have_length_one() -> None:
    both, common = ["common", "rarer"], ["common"]
    found = label_vectors(series(both, both, both, common, common, common))
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    assert found[0].argmin() == 0, "the most frequent label comes first"
    assert found[3].tolist() == [1, 0]


@pytest.mark.parametrize("lists", [(), ([], None), (["once"], ["twice"], ["twice"])])
def test_no_label_that_counts(lists: tuple[list[str] | None, ...]) -> None:
    assert label_vectors(series(*lists)).shape == (len(lists), 0)


def test_only_so_many_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_MOST", 2)
    lists = [["b", "a", "c"]] * 3 + [["c"]]
    found = label_vectors(series(*lists))
    assert found.shape == (4, 2), "c, then a: ties by name"
    assert found[3].tolist() == [1, 0]


def test_the_parts_stand_side_by_side_with_length_one() -> None:
    text, facts = units(4), units(4, 3)
    found = item_features(text, facts, series(["x"], ["x"], ["x"], None))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :4] * 3**0.5, text, rtol=1e-5)
    np.testing.assert_allclose(found[:, 4:7] * 3**0.5, facts, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 1, (2 / 3) ** 0.5], rtol=1e-5)


def test_labels_are_genres_and_tags_in_the_order_of_the_items() -> None:
    profiles = pl.DataFrame({ITEM: [3, 1], GENRES: [["Drama"], []], TAGS: [["war"], ["robots"]]})
    found = labels_of(pl.Series(ITEM, [1, 2, 3]), profiles)
    assert found.to_list() == [["robots"], [], ["Drama", "war"]]
