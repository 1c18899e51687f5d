import numpy as np
import polars as pl
import pytest

from recsys_core.columns import DECISION, GROUP, PROBE, RERANKED_USERS, STAGE, USER, check
from recsys_core.rerank.config import FusionConfig
from recsys_core.rerank.fusion_policy import (
    cold_users,
    decide_stage,
    fixed_users,
    open_groups,
    policy_of,
    probe_users,
    probed_users,
    stage_sizes,
    stage_users,
)
from recsys_core.rerank.learned_fusion import select
from tests.rerank_fusion_world import (
    COLD,
    LISTS,
    TRAIN,
    USERS_ALL,
    VALID,
    interactions,
    judged,
    lists_of,
    train_of,
    users_of,
    valid_of,
)

MANY_COLD, MANY = 60, 260
PEOPLE = users_of(MANY_COLD, MANY - MANY_COLD)
HISTORY, LIKES, RANKED = train_of(PEOPLE, MANY_COLD), valid_of(PEOPLE), lists_of(PEOPLE)
CONFIG = FusionConfig(probe_users=(50, 100, 200, 260))


def ordered(config: FusionConfig = CONFIG, seed: int = 0) -> pl.DataFrame:
    return probe_users(
        RANKED, HISTORY, LIKES, like_from=4.0, cold_below=10, config=config, seed=seed
    )


def run(helps: list[str], config: FusionConfig = CONFIG) -> tuple[pl.DataFrame, int]:
    """The probe with a judge who helps some and hurts the others; and how many were judged."""
    order, table, asked = ordered(config), None, list[str]()
    for stage in range(len(config.probe_users)):
        asked += stage_users(order, stage, table, config).to_list()
        scores = judged(
            [one for one in asked if one in helps], [one for one in asked if one not in helps]
        )
        table = decide_stage(
            order, stage, table, RANKED, scores, LIKES, like_from=4.0, config=config, seed=0
        )
        check(table, PROBE, table="probe")
        if not open_groups(order, table, config):
            break
    assert table is not None
    return table, len(asked)


@pytest.mark.parametrize(
    ("helps", "policy"),
    [
        (PEOPLE, "all"), (PEOPLE[:MANY_COLD], "cold-only"), (PEOPLE[MANY_COLD:], "warm-only"),
        ([], "none"),
    ],
)  # fmt: skip
def test_groups_are_decided_apart(helps: list[str], policy: str) -> None:
    table, _ = run(helps)
    assert set(table[GROUP]) == {"cold", "warm"}
    assert policy_of(table) == policy
    served = probed_users(table, pl.Series(USER, PEOPLE), HISTORY, cold_below=10)
    check(served, RERANKED_USERS, table="users")
    assert set(served[USER]) == set(helps)
    if helps:
        assert (served["weight"] > 0).all()


def test_a_decided_group_is_not_judged_any_further() -> None:
    order = ordered()
    rows = {"users": 12, "weight": 0.0, "scale": None, "value": 0.3, "difference": 0.0,
            "ci_low": None, "ci_high": None}  # fmt: skip
    before = pl.DataFrame(
        [{GROUP: "cold", STAGE: 0, DECISION: "futile", **rows},
         {GROUP: "warm", STAGE: 0, DECISION: "go on", **rows}],
        schema=dict(PROBE),
    )  # fmt: skip
    fresh = stage_users(order, 1, before, CONFIG).to_list()
    assert fresh
    assert not set(fresh) & set(PEOPLE[:MANY_COLD])
    assert not set(fresh) & set(stage_users(order, 0, None, CONFIG))


@pytest.mark.parametrize(("weigh", "asked"), [(50, 50), (100, 100), (200, 200), (1000, 260)])
def test_a_shown_gain_is_weighed_on_more_users(weigh: int, asked: int) -> None:
    config = CONFIG.model_copy(update={"weigh_users": weigh})
    table, judged_users = run(PEOPLE, config)
    assert judged_users == asked
    assert set(table[DECISION]) == {"serve"}
    assert set(table.filter(pl.col(STAGE) == table[STAGE].max())[GROUP]) == {"cold", "warm"}
    assert set(probed_users(table, pl.Series(USER, PEOPLE), HISTORY, cold_below=10)[USER]) == set(
        PEOPLE
    ), "each group once"
    fixed = config.model_copy(update={"llm_weight": 0.8, "scale": "score"})
    assert run(PEOPLE, fixed)[1] == 50, "a weight that is given needs no more users"


def test_once_a_gain_is_shown_the_best_setting_need_not_exceed_its_error_but_must_gain() -> None:
    gains = np.array([[0.5, -0.1], [-0.4, -0.1], [0.2, -0.1]])
    assert select(gains, fixed=False) is None
    assert select(gains, fixed=False, sure=False) == 0
    assert select(-np.abs(gains), fixed=False, sure=False) is None


def test_another_scale_must_be_better_by_more_than_chance() -> None:
    plain = np.array([True, True, False])
    likely = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.1], [0.1, 0.2, 0.3]])
    assert select(likely, fixed=False) == 2
    assert select(likely, fixed=False, plain=plain) == 1, "two of three users say little"
    surely = likely + np.array([0, 0, 0.2])
    assert select(surely, fixed=False, plain=plain) == 2
    assert select(likely, fixed=False, plain=np.zeros(3, bool)) == 2, "where the scale is given"


def test_a_harmful_judge_is_found_out_in_the_first_stage() -> None:
    table, asked = run([])
    assert asked == 50
    assert set(table[DECISION]) == {"futile"}
    assert (table["weight"] == 0).all(), "the learned weight gives the graph everything"


def test_a_configured_weight_is_measured_and_not_replaced() -> None:
    config = CONFIG.model_copy(update={"llm_weight": 0.8, "scale": "score"})
    table, _ = run([], config)
    assert policy_of(table) == "none"
    assert (table["difference"] < -0.1).all(), "what 0.8 does is told, not hidden"
    served, _ = run(PEOPLE, config)
    assert set(served["weight"]) == {0.8}


def test_cold_and_warm_stand_in_proportion_at_every_stage() -> None:
    order = ordered()
    for size in CONFIG.probe_users:
        cold = order.head(size).filter(pl.col(GROUP) == "cold").height
        assert cold == pytest.approx(size * MANY_COLD / MANY, abs=1)
    assert ordered()[USER].equals(order[USER])
    assert not ordered(seed=1)[USER].equals(order[USER])


def test_few_cold_users_are_decided_with_the_others() -> None:
    order = probe_users(
        LISTS, TRAIN, VALID, like_from=4.0, cold_below=10, config=FusionConfig(), seed=0
    )
    assert set(order[GROUP]) == {"everybody"}
    assert order.height == len(USERS_ALL)


def test_stages_end_with_the_users_there_are() -> None:
    assert stage_sizes(CONFIG, 1000) == (50, 100, 200, 260, 1000)
    assert stage_sizes(CONFIG, 120) == (50, 100, 120)
    assert stage_sizes(CONFIG, 50) == (50,)
    order = ordered().head(60)
    assert stage_users(order, 1, None, CONFIG).len() == 10
    assert stage_users(order, 2, None, CONFIG).is_empty()


def test_only_users_with_a_liked_validation_item_and_a_list_are_asked_about() -> None:
    rows = [("u00", "i5", 5.0), ("u01", "i5", 2.0), ("stranger", "i5", 5.0)]
    found = probe_users(
        LISTS,
        TRAIN,
        interactions(rows),
        like_from=4.0,
        cold_below=10,
        config=FusionConfig(),
        seed=0,
    )
    assert found[USER].to_list() == ["u00"]


@pytest.mark.parametrize(
    ("policy", "users"),
    [("none", []), ("cold-only", USERS_ALL[:COLD]), ("all", USERS_ALL)],
)
def test_a_configured_policy_is_taken_as_it_is(policy: str, users: list[str]) -> None:
    config = FusionConfig.model_validate({"policy": policy})
    found = fixed_users(pl.Series(USER, USERS_ALL), TRAIN, cold_below=10, config=config)
    check(found, RERANKED_USERS, table="users")
    assert found[USER].to_list() == users
    assert set(found["weight"]) <= {0.8}, "the paper's, where nothing is configured or learned"


def test_cold_users_are_those_with_few_interactions_or_none() -> None:
    users = pl.Series(USER, [*USERS_ALL, "new"])
    assert cold_users(users, TRAIN, 10).to_list() == [*USERS_ALL[:COLD], "new"]
    assert cold_users(users, TRAIN, 3).to_list() == ["new"]
