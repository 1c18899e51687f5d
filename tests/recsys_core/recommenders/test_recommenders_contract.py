"""Every baseline of the table under the contract: a new one is found by itself."""

import polars as pl
import pytest

from recsys_core.columns import ITEM, USER
from recsys_core.config.reproduction_methods import (
    METHODS,
    VARIANTS,
    cold_start,
    figure_2,
    table_1,
    trained,
)
from recsys_core.errors import ConfigError
from recsys_core.recommenders.methods import BASELINES, BUDGET, builders
from recsys_core.report.plots import SERIES
from tests.recsys_core.recommenders.recommender_contract import (
    CONFIG,
    ITEMS,
    TRAIN,
    InductiveContract,
    texts_of,
)

CANDIDATES = [
    (name, place) for name, one in BASELINES.items() for place in sorted({0, len(one.grid) - 1})
]
"""The first and the last candidate of each: those that differ most."""
POPULAR = ["i1", "i0", "i3"]


def candidate(name, place, items=ITEMS):
    return list(builders(name, CONFIG, texts=texts_of(items)).values())[place]()


@pytest.mark.parametrize("case", CANDIDATES, ids=lambda case: f"{case[0]}-{case[1]}", scope="class")
class TestBaselines(InductiveContract):
    @pytest.fixture(scope="class")
    @classmethod
    def build(cls, case):
        return lambda items: candidate(*case, items)


@pytest.mark.parametrize("name", [n for n in BASELINES if n != "text_popularity"])
@pytest.mark.parametrize("user", ["stranger", "dan"])  # unknown; with dislikes only
def test_users_without_evidence_get_popular_items(name, user):
    table = candidate(name, 0).fit(TRAIN, ITEMS).recommend(pl.Series(USER, [user]), 3, TRAIN)
    assert table[ITEM].to_list() == POPULAR


@pytest.mark.parametrize("name", BASELINES)
def test_no_baseline_has_more_candidates_than_the_budget_or_one_twice(name):
    made = builders(name, CONFIG, texts=texts_of(ITEMS))
    assert 1 <= len(made) == len(BASELINES[name].grid) <= BUDGET
    assert {build().name for build in made.values()} == {name}


def test_an_unknown_baseline_and_missing_texts_are_errors():
    with pytest.raises(ConfigError, match="No baseline is called 'easy'"):
        builders("easy", CONFIG)
    with pytest.raises(ConfigError, match="text_ridge needs the text vectors"):
        builders("text_ridge", CONFIG)


def test_the_tables_of_the_reproduction_name_only_what_there_is():
    known = {*BASELINES, *VARIANTS}
    assert set(METHODS) <= known
    assert len(METHODS) == len(set(METHODS))
    assert set(figure_2()) | set(table_1().values()) <= known
    assert 0 < len(figure_2()) <= SERIES
    references = {one.base for one in VARIANTS.values()} | {o.ablates for o in VARIANTS.values()}
    assert references - {None} <= set(VARIANTS)
    assert set(cold_start("items")) & set(BASELINES) == {
        name for name, one in BASELINES.items() if "texts" in one.needs
    }
    assert trained(["ease", "gat_best_pairwise", "gat_best"]) == ["gat_best"]
