"""The quality gate: what passes, what does not, and what cannot be compared."""

from pathlib import Path

import pytest

from deployments.gate import Accepted, GateError, hold, judged, read_accepted, record

HEADLINE = {"gat": {"ndcg": 0.40}, "served": {"ndcg": 0.45}, "ease": {"ndcg": 0.5}}


ON = {"data": "shop", "split": "auto, fold 1, seed 0", "protocol": "full, k = 10"}


def accepted(ndcg: float, method: str = "served", **other: str) -> Accepted:
    return Accepted(run="ci-1", method=method, measured_on=ON | other, metrics={"ndcg": ndcg})


def test_the_served_lists_are_judged_unless_another_method_is_named() -> None:
    assert judged(HEADLINE, None, "ndcg", "ci-2", ON).method == "served"
    assert judged(HEADLINE, "gat", "ndcg", "ci-2", ON).metrics == {"ndcg": 0.40}


def test_served_lists_that_are_the_graphs_own_are_judged_by_its_figures() -> None:
    own = {name: HEADLINE[name] for name in ("gat", "ease")}
    now = judged(own, None, "ndcg", "ci-2", ON)
    assert (now.method, now.metrics) == ("served", {"ndcg": 0.40})
    assert "0.4000" in hold(now, accepted(0.40), "ndcg", 0.01), "compared with a run that reranked"


@pytest.mark.parametrize(("method", "metric"), [("magic", "ndcg"), (None, "accuracy")])
def test_what_the_run_did_not_measure_cannot_pass(method, metric) -> None:
    with pytest.raises(GateError, match="correct --method or --metric"):
        judged(HEADLINE, method, metric, "ci-2", ON)


@pytest.mark.parametrize(("now", "passes"), [(0.46, True), (0.44, True), (0.4399, False)])
def test_a_fall_up_to_the_limit_passes(now, passes) -> None:
    if passes:
        assert "0.4500 in the accepted run ci-1" in hold(
            accepted(now), accepted(0.45), "ndcg", 0.01
        )
        return
    with pytest.raises(GateError, match=r"-0\.0101, allowed -0\.0100"):
        hold(accepted(now), accepted(0.45), "ndcg", 0.01)


def test_the_first_run_has_nothing_to_be_held_to() -> None:
    assert "no accepted run" in hold(accepted(0.1), None, "ndcg", 0.01)


def test_another_method_does_not_compare() -> None:
    with pytest.raises(GateError, match="was judged by gat,"):
        hold(accepted(0.5), accepted(0.4, "gat"), "ndcg", 0.01)


@pytest.mark.parametrize(
    "other", [{"data": "ml-1m"}, {"split": "time"}, {"protocol": "full, k = 5"}]
)
def test_runs_on_other_rows_do_not_compare_and_both_are_named(other) -> None:
    (said,) = other.values()
    with pytest.raises(GateError, match=f"other rows .*{said}.* than this one .*data shop"):
        hold(accepted(0.5), accepted(0.4, **other), "ndcg", 0.01)


def test_what_was_compared_is_said() -> None:
    told = hold(accepted(0.5), accepted(0.5), "ndcg", 0.01)
    assert "(data shop; split auto, fold 1, seed 0; protocol full, k = 10)" in told


def test_the_record_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "accepted.json"
    assert read_accepted(path) is None
    record(path, accepted(0.45))
    assert read_accepted(path) == accepted(0.45)
    assert [one.name for one in path.parent.iterdir()] == ["accepted.json"]


def test_a_broken_record_is_told_from_none(tmp_path: Path) -> None:
    path = tmp_path / "accepted.json"
    path.write_text('{"run": "ci-1"')
    with pytest.raises(GateError, match="accept a run anew with --accept"):
        read_accepted(path)
