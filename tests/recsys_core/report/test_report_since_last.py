"""What changed since the last run, in shares and in words."""

import polars as pl
import pytest

from recsys_core.columns import ITEM, RANK, USER
from recsys_core.report.sections.since_last import since_last, training_line


def lists(**of: str) -> pl.DataFrame:
    """A letter per item, the best first."""
    rows = [(user, item, rank) for user, items in of.items() for rank, item in enumerate(items, 1)]
    return pl.DataFrame(
        rows, schema={USER: pl.String, ITEM: pl.String, RANK: pl.Int32}, orient="row"
    )


def test_shares_are_of_the_first_places_of_users_in_both() -> None:
    before = lists(same="abcd", swapped="abcd", other="abcd", gone="abcd")
    found = since_last(
        before, lists(same="abcx", swapped="bacd", other="abxd", new="abcd"), run="r", k=3
    )
    assert found is not None
    assert found.users == 3
    assert found.stability == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert found.changed_lists == pytest.approx(2 / 3)
    assert found.changed_places == pytest.approx((0 + 2 + 1) / 9)
    assert "stability@3 0.889 over 3 users" in found.line()


def test_a_shorter_list_has_lost_places() -> None:
    found = since_last(lists(u="abc"), lists(u="ab"), run="r", k=3)
    assert found is not None
    assert (found.stability, found.changed_places) == pytest.approx((2 / 3, 1 / 3))


def test_nobody_in_both_is_nothing_to_tell() -> None:
    assert since_last(lists(a="x"), lists(b="x"), run="r", k=3) is None
    numbers = lists(a="x").with_columns(pl.lit(1).alias(USER))
    assert since_last(numbers, lists(b="x"), run="r", k=3) is None


def test_a_training_is_told_in_a_sentence() -> None:
    told = {
        "went_on_from": "monday", "epochs": 2, "best_epoch": 40,
        "valid_ndcg_when_chosen": 0.31, "valid_ndcg_of_the_same_users": 0.3125,
    }  # fmt: skip
    assert training_line(told, "used", cached=True).startswith("Model: found; it went on from")
    line = training_line(told, "used: monday", cached=False)
    assert "the run monday for 2 of 40 epochs" in line
    assert "0.3100 when they were chosen, 0.3125 now" in line
    anew = {"chosen_anew": "validation NDCG fell from 0.3 to 0.2", "valid_ndcg_of_lists": 0.33}
    assert "(validation NDCG fell from 0.3 to 0.2)" in training_line(anew, "used", cached=False)
    assert "switched off" in training_line({}, "switched off", cached=False)
