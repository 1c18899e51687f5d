"""A step whose source changed has another version, or is known to give the same results."""

import json
from pathlib import Path

import pytest

from tests import step_sources
from tests.step_sources import Pinned, closure, complaints, pins, renewed, same_results, steps

OLD = {"version": "1", "sources": "a"}


def test_every_step_is_pinned_to_the_source_that_it_reaches() -> None:
    assert "\n".join(complaints(steps(), pins()).values()) == ""


def test_a_change_without_a_raise_is_told_with_both_ways_out() -> None:
    (told,) = complaints({"x": Pinned(version="1", sources="b")}, {"x": OLD}).values()
    assert "raise the version of step x, or record that the result is the same, with the" in told
    assert complaints({"x": Pinned(version="1", sources="a")}, {"x": OLD}) == {}
    assert "renew" in complaints({"x": Pinned(version="2", sources="b")}, {"x": OLD})["x"]
    assert "renew" in complaints({}, {"x": OLD})["x"]


def test_a_pin_is_renewed_by_a_raise_or_by_compared_results_and_by_nothing_else() -> None:
    now = {name: Pinned(version="1", sources="b") for name in ("kept", "same")}
    now["rose"] = Pinned(version="2", sources="b")
    found = renewed(now, dict.fromkeys(now, OLD), {"same": ["t:1"], "rose": ["t:2"]})
    assert found == {
        "kept": OLD,
        "same": {"version": "1", "sources": "b", "compared": ["t:1"]},
        "rose": {"version": "2", "sources": "b"},
    }


def test_results_are_the_same_where_all_tables_but_the_ledger_are(tmp_path: Path) -> None:
    for root, made in (("before", "1"), ("after", "2")):
        for step, table in (("graph", "x"), ("train", made)):
            folder = tmp_path / root / step / "key"
            folder.mkdir(parents=True)
            files = {"t.parquet": {"sha256": table}, "llm_calls.parquet": {"sha256": made}}
            (folder / "manifest.json").write_text(json.dumps({"files": files}))
    assert same_results(tmp_path / "before", tmp_path / "after") == {"graph": ["t.parquet:x"]}


def test_the_source_of_a_step_is_what_it_imports_inside_the_project() -> None:
    train, split = closure("tasks.train"), closure("tasks.split")
    assert {"tasks.train", "tasks.graph", "recsys_core.graph.training.trainer"} <= train
    assert "recsys_core.datasets.splits" in split
    assert not {one for one in split if ".graph" in one}
    assert not {one for one in train | split if one.startswith("recsys_core.llm.transport")}


def test_comments_and_docstrings_change_no_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_sources, "ROOT", tmp_path)
    (tmp_path / "tasks").mkdir()
    hashes = []
    for text in ('"""A."""\nX = 1\n', '"""B."""\n# why\nX = 1\n"""Help."""\n', "X = 2\n"):
        (tmp_path / "tasks" / "made.py").write_text(text)
        hashes.append(step_sources.sources_of("tasks.made"))
    assert hashes[0] == hashes[1] != hashes[2]
